/* A compiled expression: operations in the order in which they run, on registers that lie in one workspace. Made by the compiler, read by the run. */
#ifndef LEAT_EXPRESSION_PROGRAM_H
#define LEAT_EXPRESSION_PROGRAM_H

#include "stream/expression_internal.h"

struct expression_operation {
	struct expression_call call;
	const struct expression_reference *arguments;
	struct expression_reference out;
};

/* No operation: the expression is the plain field slots[0]. */
struct leat_expression {
	struct leat_arena *arena;
	struct expression_operation *operations;
	size_t count;
	size_t workspace;           /* bytes of all registers */
	uint16_t *slots;            /* that it reads          */
	size_t slot_count;
	uint8_t type;
};

#endif
