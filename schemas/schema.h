/* What the codecs share about a schema beyond codec.h: its tree, and defaults as column values. Private to schemas/. Immutable, any thread. */
#ifndef LEAT_SCHEMA_H
#define LEAT_SCHEMA_H

#include "schemas/avro_type.h"

enum { LEAT_SCHEMA_FIELDS_MAX = 1024 };   /* of a flattened record */

/* One value of any column type, as it lies in a column. */
struct leat_value {
	_Alignas(16) uint8_t bytes[16];
	uint8_t null;
	uint8_t size;                 /* bytes of it that the column's type has */
};

const struct leat_avro_type *leat_schema_type(const struct leat_schema *schema);
/* The column type of a field of @type, LEAT_NONE when it has none. @nullable: is it a union with null? (may be NULL) */
uint8_t leat_avro_column(const struct leat_avro_type *type, bool *nullable);
/* How many columns @type flattens to; records are the sum of their fields. Only for types of a parsed schema, which are bounded. */
size_t leat_avro_leaves(const struct leat_avro_type *type);
/*
 * The default of a field of @type as values, one per leaf; what they point to lies in @arena (schemas/resolve.c).
 * LEAT_ESCHEMA, LEAT_ENOMEM.
 */
int leat_avro_default_values(const struct leat_avro_field *field, struct leat_arena *arena, struct leat_value *values, struct leat_fault *fault);

#endif
