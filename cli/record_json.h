/* A record of a topic as one JSON object, for people and scripts: its body decoded by its schema, or as it is. */
#ifndef LEAT_RECORD_JSON_H
#define LEAT_RECORD_JSON_H

#include "schemas/registry.h"
#include "stream/transport.h"

/*
 * Appends one line without its end. A body with a wire header is decoded by its schema; one that is JSON stays as it is, but on one line; null is null; anything else
 * becomes {"base64": ..., "reason": ...}. @registry may be NULL: then no schema is known. LEAT_ENOMEM.
 */
int leat_record_json(struct leat_registry *registry, int32_t partition, const struct leat_record *record, struct leat_buffer *out);

#endif
