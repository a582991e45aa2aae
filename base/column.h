/* Columns: how the values of a batch's rows lie in memory, and what is known of them beforehand. Installed, because operators read them. */
#ifndef LEAT_COLUMN_H
#define LEAT_COLUMN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LEAT_BATCH_MAX 512           /* rows in a batch at most */

/* A borrowed view of bytes; text is not NUL-terminated. data == NULL means absent (null), length 0 with data means empty. */
struct leat_bytes {
	const uint8_t *data;
	uint32_t length;
};

/* ---- columns ---- */

enum leat_type {
	LEAT_NONE,
	LEAT_BOOL,      /* uint8_t, 0 or 1                                          */
	LEAT_INT,       /* int64_t; Avro int and long; times are ms since 1970 UTC */
	LEAT_ENUM,      /* int64_t index into the field's symbols                   */
	LEAT_FLOAT,     /* float                                                    */
	LEAT_DOUBLE,    /* double                                                   */
	LEAT_STRING,    /* struct leat_bytes, valid UTF-8 when it came from outside */
	LEAT_BYTES,     /* struct leat_bytes                                        */
	LEAT_VECTOR,    /* @width floats, rows one after the other                  */
	LEAT_STRINGS,   /* struct leat_list of struct leat_bytes                    */
	LEAT_FLOATS,    /* struct leat_list of float                                */
	LEAT_TYPES
};
#define LEAT_TYPE_BIT(type) (1u << (type))

struct leat_list {
	const void *items;
	uint32_t count;
};

/* One value per row of the batch, at index [row]. Where null[row] is not 0 the value is absent and its bytes are zero. */
struct leat_column {
	uint8_t type;           /* enum leat_type                              */
	uint16_t width;         /* floats per row of LEAT_VECTOR, else 1       */
	uint8_t *null;          /* [LEAT_BATCH_MAX]; never NULL                */
	union {
		void *data;
		uint8_t *bools;
		int64_t *ints;                 /* LEAT_INT and LEAT_ENUM        */
		float *floats;                 /* LEAT_FLOAT and LEAT_VECTOR    */
		double *doubles;
		struct leat_bytes *bytes;      /* LEAT_STRING and LEAT_BYTES    */
		struct leat_list *lists;
	};
};

/* What is known of a column before any event comes. */
struct leat_field {
	const char *name;
	uint8_t type;
	uint16_t width;
	bool nullable;
	const char *const *symbols;    /* LEAT_ENUM: NULL-terminated */
	const char *help;              /* one sentence; from the schema's doc */
};

#endif
