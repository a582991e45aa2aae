/* What an encoder runs: one step per field of the flattened schema, in order. Private to schemas/: encoder_compile.c writes, encoder.c and encoder_json.c run. */
#ifndef LEAT_ENCODING_H
#define LEAT_ENCODING_H

#include "schemas/schema.h"

enum leat_put_code {
	LEAT_PUT_NONE,
	LEAT_PUT_BOOL,
	LEAT_PUT_INT,
	LEAT_PUT_LONG,
	LEAT_PUT_MICROS,
	LEAT_PUT_FLOAT,
	LEAT_PUT_FLOAT_DOUBLE,
	LEAT_PUT_INT_DOUBLE,
	LEAT_PUT_DOUBLE,
	LEAT_PUT_BYTES,         /* string and bytes alike                 */
	LEAT_PUT_ENUM,          /* to: the field's index for the column's */
	LEAT_PUT_SYMBOL,        /* an enum column in a string field       */
	LEAT_PUT_LIST,
	LEAT_PUT_CONSTANT       /* a default, or null: no column          */
};

enum { LEAT_PUT_NO_BRANCH = 0xff };

struct leat_put {
	uint8_t code;
	uint8_t null_branch, value_branch;  /* as they stand on the wire; LEAT_PUT_NO_BRANCH: no union */
	uint8_t column;                     /* type and width of the column                            */
	uint16_t width;
	bool doubles;                       /* items of a list are double in the field                 */
	bool text;                          /* JSON: a string, not bytes                               */
	uint32_t slot;
	uint32_t count;                     /* symbols of the column                                   */
	const int32_t *to;                  /* [count]                                                 */
	const struct leat_bytes *symbols;   /* [count]                                                 */
	struct leat_bytes constant;         /* the body of a default                                   */
	struct leat_bytes constant_json;
	struct leat_bytes prefix;           /* JSON before the value: commas, braces, the key          */
};

struct leat_encoder {
	struct leat_put *puts;
	size_t count;
	size_t bound;                       /* bytes of a body at most, but for texts and lists        */
	struct leat_bytes suffix;           /* JSON that closes the object                             */
	struct leat_arena *arena;
};

/* Appends one value of @type as JSON text (schemas/print.c). */
enum leat_bad leat_avro_print_value(const struct leat_avro_type *type, struct leat_bytes body, struct leat_buffer *out);

#endif
