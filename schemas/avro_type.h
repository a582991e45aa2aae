/*
 * The tree of an Avro schema as its text says it: names resolved, docs, aliases, defaults and logical types kept. Private to schemas/.
 * Everything hangs in one arena and dies with leat_avro_free. Named types may refer to themselves, so the tree is a graph:
 * whoever walks it counts the depth. Immutable after parse; any thread.
 */
#ifndef LEAT_AVRO_TYPE_H
#define LEAT_AVRO_TYPE_H

#include "schemas/cursor.h"

#include <jansson.h>

enum {
	LEAT_AVRO_TEXT_MAX = 1 << 20,   /* bytes of schema text                       */
	LEAT_AVRO_PARTS_MAX = 4096      /* fields of a record, symbols, branches, named types: names are compared pairwise */
};

enum leat_avro_kind {
	LEAT_AVRO_NULL,
	LEAT_AVRO_BOOLEAN,
	LEAT_AVRO_INT,
	LEAT_AVRO_LONG,
	LEAT_AVRO_FLOAT,
	LEAT_AVRO_DOUBLE,
	LEAT_AVRO_BYTES,
	LEAT_AVRO_STRING,
	LEAT_AVRO_RECORD,
	LEAT_AVRO_ENUM,
	LEAT_AVRO_ARRAY,
	LEAT_AVRO_MAP,
	LEAT_AVRO_UNION,
	LEAT_AVRO_FIXED
};

struct leat_avro_type {
	enum leat_avro_kind kind;
	int time_divisor;               /* 1 or 1000 for (local-)timestamp-millis and -micros, else 0 */
	const char *name;               /* full name of a record, enum or fixed, else NULL */
	const char **aliases;           /* full names, NULL-terminated; NULL: none         */
	size_t count;                   /* of fields, symbols or branches                  */
	struct leat_avro_field *fields;
	const char **symbols;           /* NULL-terminated                                 */
	long symbol_default;            /* index, or -1                                    */
	const struct leat_avro_type **branches;
	const struct leat_avro_type *item;   /* of an array or a map                       */
	size_t size;                    /* of a fixed                                      */
};

struct leat_avro_field {
	const char *name, *doc;
	const char **aliases;           /* NULL-terminated; NULL: none                     */
	const struct leat_avro_type *type;
	const json_t *value;            /* the default, or NULL                            */
};

struct leat_avro {
	struct leat_arena *arena;
	json_t *json;
	const struct leat_avro_type *type;
};

/* @name: for messages. LEAT_ESCHEMA with the place, LEAT_ENOMEM. */
int leat_avro_parse(struct leat_avro **out, const char *json, size_t length, const char *name, struct leat_fault *fault);
void leat_avro_free(struct leat_avro *avro);
const char *leat_avro_kind_name(enum leat_avro_kind kind);
/* What follows the last dot of a full name. */
const char *leat_avro_short_name(const char *full);
/* Do two named types, or their @reader's aliases, agree by unqualified name? */
bool leat_avro_names_match(const struct leat_avro_type *writer, const struct leat_avro_type *reader);
/* For a union of null and one other: that other, and the index of null; else NULL. */
const struct leat_avro_type *leat_avro_nullable(const struct leat_avro_type *type, uint8_t *null_branch);
/* Zeroed memory from the arena, or NULL. */
void *leat_avro_take(struct leat_arena *arena, size_t count, size_t size);

/* Appends @value, a default written in JSON, as the binary body of @type (schemas/avro_default.c). LEAT_ESCHEMA when it does not fit. */
int leat_avro_default(const struct leat_avro_type *type, const json_t *value, struct leat_buffer *out, const char *field, struct leat_fault *fault);

#endif
