/*
 * The columns of a re-keyed row on its way, as the sender knows them: names, types, symbols. Rows carry a fingerprint of them; who receives rows of a pipeline
 * with other columns resolves them by name, as Avro resolves fields: missing ones are null, surplus ones are left out, numbers widen.
 *
 * The list as bytes, little-endian: name of the key's column; then per column u8 type, name, and for an enum u16 count and the symbols. A name is u16 length and
 * bytes. It comes from a topic, so it may be anything.
 */
#ifndef LEAT_REKEY_COLUMNS_H
#define LEAT_REKEY_COLUMNS_H

#include "stream/pipeline.h"

enum { LEAT_REKEY_LIST_MAX = 64 << 10 };

/* What this pipeline sends at one rekey operator. Immutable once made. */
struct leat_rekey_columns {
	const struct leat_stream *stream;
	struct leat_schema *schema;          /* of the body; its fields are called by their slots, since columns may have any name */
	int slots[LEAT_SLOTS_MAX];           /* field → slot */
	struct leat_buffer list;
	uint64_t fingerprint;                /* of the list */
};
/* LEAT_ENOMEM, LEAT_ESCHEMA. After any result it may be freed. */
int leat_rekey_columns_make(struct leat_rekey_columns *out, const struct leat_pipeline *pipeline, const struct leat_node *node, struct leat_fault *fault);
void leat_rekey_columns_free(struct leat_rekey_columns *columns);
uint64_t leat_rekey_fingerprint(struct leat_bytes list);
/* Bodies that were written by @list → @ours. LEAT_ESCHEMA: a column has another type, or the rows another key; LEAT_ECORRUPT: not a list; LEAT_ENOMEM. */
int leat_rekey_columns_resolve(const struct leat_rekey_columns *ours, struct leat_bytes list, struct leat_decoder **out, struct leat_fault *fault);
/* 0, LEAT_ECORRUPT or LEAT_ENOMEM. */
int leat_rekey_columns_check(struct leat_bytes list);

#endif
