/*
 * What the decoders of text (JSON, CSV) share: the fields of a flattened schema with their slots, and how one value gets into its column.
 * Private to schemas/. Immutable after make; any thread. The schema has to outlive the leaves.
 */
#ifndef LEAT_LEAF_H
#define LEAT_LEAF_H

#include "schemas/schema.h"

enum { LEAT_TEXT_MAX = 1 << 20 };       /* bytes of a body */

struct leat_leaf {
	const struct leat_field *field;
	const struct leat_avro_type *type;      /* without its null branch */
	int slot;                               /* -1: not wanted          */
	int time_divisor;
	size_t size;                            /* of a row's value        */
	bool has_default, default_null;
	const void *value;                      /* the default             */
};
struct leat_leaves {
	size_t count;
	struct leat_leaf leaf[];
};
/* One leaf per field of @reader, in its order; @slots as in codec.h. LEAT_ENOMEM. Free with leat_free. */
int leat_leaves_make(struct leat_leaves **out, const struct leat_schema *reader, const int *slots);

/* Each stores into row @row of the leaf's own @column; false: the value is not one of the leaf's type. */
bool leat_leaf_bool(const struct leat_leaf *leaf, struct leat_column *column, size_t row, bool value);
bool leat_leaf_int(const struct leat_leaf *leaf, struct leat_column *column, size_t row, int64_t value);
/* For float and double; refuses NaN and what overflows. */
bool leat_leaf_real(const struct leat_leaf *leaf, struct leat_column *column, size_t row, double value);
bool leat_leaf_symbol(const struct leat_leaf *leaf, struct leat_column *column, size_t row, struct leat_bytes symbol);
/* For string and bytes; keeps the view. */
bool leat_leaf_bytes(const struct leat_leaf *leaf, struct leat_column *column, size_t row, struct leat_bytes value);
bool leat_leaf_list(const struct leat_leaf *leaf, struct leat_column *column, size_t row, struct leat_list list);
bool leat_leaf_null(const struct leat_leaf *leaf, struct leat_column *column, size_t row);
/* The field is not there: its default, else null; false when it has neither. */
bool leat_leaf_absent(const struct leat_leaf *leaf, struct leat_column *column, size_t row);

/* The first value of a body that is not what its field takes. Zeroed at first. */
struct leat_misfit {
	bool any, absent;
	const struct leat_leaf *leaf;           /* NULL: @object is none */
	const char *object;                     /* NULL: the body        */
};
static inline void leat_misfit_note(struct leat_misfit *misfit, const struct leat_leaf *leaf, bool absent)
{
	if (!misfit->any)
		*misfit = (struct leat_misfit){ .any = true, .absent = absent, .leaf = leaf };
}
/* "'price' must be double or null", "'user_id' is missing". */
void leat_misfit_say(const struct leat_misfit *misfit, char *text, size_t size);
/* Columns of one row by slot, for a body that is only decoded to see what is wrong with it. NULL: memory is out. */
struct leat_column *leat_leaves_scratch(const struct leat_leaves *leaves, struct leat_arena *arena);

#endif
