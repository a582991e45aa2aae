/*
 * Expressions: typed, compiled once against a layout, evaluated over a batch a column at a time. Used by filter, map, clean, target and later by rules.
 *
 * Syntax (CEL where it overlaps, https://github.com/google/cel-spec): || && ! == != < <= > >= + - * / % ?: in [..] ( ),
 * 'text' "text" 12 1.5 true false null, field names (also dotted), functions of the list in expression_functions.c. No loops, no assignment.
 * Integers stay integers: + - * on two ints checks overflow (null on overflow), / and % by zero give null; int with double gives double.
 * A computed double that would be infinite or no number is null, so that models never see one. `in [..]` takes constants. `+` joins texts.
 * An enum compares with text ("PURCHASE") - an unknown symbol is an error when compiled - and acts as text elsewhere.
 * null: arithmetic and comparisons with null give null; && and || are three-valued; == null and != null test for it. filter takes null as false.
 */
#ifndef LEAT_EXPRESSION_H
#define LEAT_EXPRESSION_H

#include "stream/layout.h"

struct leat_expression;
struct leat_batch;
struct leat_expression_limits { size_t text, nodes, depth; };
extern const struct leat_expression_limits leat_expression_limits;   /* 4,096 bytes, 512 nodes, depth 64 */

/*
 * @types: LEAT_TYPE_BIT()s that the result may have, 0: any. Where the result's own type is not among them but one it widens to is, it is
 * widened: int and float to double, enum to string, vector to floats. Only a plain field can be of type enum, float or vector.
 * LEAT_ECONFIG with "column n: ..." and what is allowed, LEAT_ENOMEM. The field names and symbols of @layout have to outlive the expression.
 */
int leat_expression_compile(struct leat_expression **out, const char *text, const struct leat_layout *layout, uint32_t types, struct leat_fault *fault);
void leat_expression_free(struct leat_expression *expression);
uint8_t leat_expression_type(const struct leat_expression *expression);
/* Slots it reads: @each is called for each once. */
void leat_expression_reads(const struct leat_expression *expression, void (*each)(void *self, int slot), void *self);
/* The result column for in->row[0..count), indexed by row, from @arena; a plain field is returned without copying. NULL: out of memory.
 * No allocation but @arena; 48 KiB of stack. Thread-safe. Rows of @in that are not selected are read but do not matter; their results are anything. */
const struct leat_column *leat_expression_run(const struct leat_expression *expression, const struct leat_batch *in, struct leat_arena *arena);
/* The list of functions as text for the reference (name, arguments, sentence). */
void leat_expression_help(FILE *out);

#endif
