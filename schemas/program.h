/*
 * What a decoder runs: writer and reader schema compiled to a flat array of small steps in the order of the writer's fields,
 * so that a body is one loop over one array. Private to schemas/: resolve.c writes programs, decoder.c runs them.
 */
#ifndef LEAT_PROGRAM_H
#define LEAT_PROGRAM_H

#include "schemas/schema.h"

enum leat_op_code {
	LEAT_OP_END,           /* all bytes must be consumed                                               */
	LEAT_OP_BOOL,          /* <what the writer wrote>[_<column>]: read and store                       */
	LEAT_OP_INT,
	LEAT_OP_LONG,
	LEAT_OP_FLOAT,
	LEAT_OP_DOUBLE,
	LEAT_OP_TEXT,          /* string, or bytes to be a string: checked                                 */
	LEAT_OP_BYTES,
	LEAT_OP_ENUM,          /* table: our index for each of the writer's, or -1                         */
	LEAT_OP_NULLABLE,      /* null in branch @extra: store null and leave out the next step            */
	LEAT_OP_UNION,         /* table: the step of each branch                                           */
	LEAT_OP_JUMP,          /* to step @number                                                          */
	LEAT_OP_SKIP_INT,
	LEAT_OP_SKIP_LONG,
	LEAT_OP_SKIP_FIXED,    /* @number bytes                                                            */
	LEAT_OP_SKIP_BYTES,
	LEAT_OP_SKIP_NULLABLE, /* null in branch @extra: leave out the next step                           */
	/* The rest is seldom: kept out of the main loop so that it stays small. */
	LEAT_OP_INT_FLOAT,
	LEAT_OP_INT_DOUBLE,
	LEAT_OP_INT_MICROS,
	LEAT_OP_LONG_FLOAT,
	LEAT_OP_LONG_DOUBLE,
	LEAT_OP_LONG_MICROS,
	LEAT_OP_FLOAT_DOUBLE,
	LEAT_OP_LIST,          /* list                                                                     */
	LEAT_OP_SET,           /* value: a default                                                         */
	LEAT_OP_SET_NULL,
	LEAT_OP_SKIP_BOOL,
	LEAT_OP_SKIP_ENUM,     /* @number symbols                                                          */
	LEAT_OP_SKIP_TREE,     /* type, at depth @extra                                                    */
	LEAT_OP_INCOMPATIBLE   /* a branch that does not resolve                                           */
};

struct leat_op_table {
	uint32_t count;
	int32_t to[];
};

/* An array of the writer's, kept as a list. */
struct leat_op_list {
	const struct leat_avro_type *type;
	uint8_t column;                /* LEAT_STRINGS or LEAT_FLOATS                                */
	bool doubles;                  /* the reader's items are double: long resolves to it too     */
	uint8_t depth;
};

struct leat_op {
	uint8_t code;
	uint8_t extra;
	uint8_t size;                  /* bytes of the column's value                                */
	uint32_t slot;
	union {
		const void *pointer;
		size_t number;
		const struct leat_op_table *table;
		const struct leat_op_list *list;
		const struct leat_avro_type *type;
		const struct leat_value *value;
	};
};

struct leat_decoder {
	struct leat_op *ops;
	struct leat_avro *writer;      /* NULL for defaults, whose types belong to the schema        */
	struct leat_arena *arena;      /* tables, lists and defaults                                 */
};

/* Which of the writer's items may stand in a list (a union item is judged branch by branch). */
bool leat_op_list_takes(const struct leat_op_list *list, enum leat_avro_kind kind);

#endif
