/* Expressions: kernels of truth, absence and choice. Logic is three-valued: null is "not known". */
#include "stream/expression_internal.h"

/*
 * gcc trusts restrict on parameters only, hence a function for each loop.
 * True where known true; else null where not known false.
 */
EXPRESSION_INLINE void logic_loop(const struct expression_rows *rows, uint8_t *restrict value, uint8_t *restrict null,
				  const struct expression_operand *argument, bool both, size_t a_mask, size_t b_mask)
{
	const uint8_t *a = argument[0].column.bools, *b = argument[1].column.bools;
	const uint8_t *a_null = argument[0].column.null, *b_null = argument[1].column.null;
	EXPRESSION_EACH_NEAR(rows, i, {
		uint8_t a_known = a_null[i & a_mask] == 0, b_known = b_null[i & b_mask] == 0;
		uint8_t a_true = (a[i & a_mask] != 0) & a_known, b_true = (b[i & b_mask] != 0) & b_known;
		uint8_t a_false = a_known & !a_true, b_false = b_known & !b_true;
		uint8_t is_true = both ? a_true & b_true : a_true | b_true;
		uint8_t is_false = both ? a_false | b_false : a_false & b_false;
		value[i] = is_true;
		null[i] = !(is_true | is_false);
	});
}

EXPRESSION_INLINE int logic(const struct expression_rows *rows, struct leat_column *out, const struct expression_operand *argument, bool both)
{
	if (argument[1].mask == 0)
		logic_loop(rows, out->bools, out->null, argument, both, EXPRESSION_ALL, 0);
	else if (argument[0].mask == 0)
		logic_loop(rows, out->bools, out->null, argument, both, 0, EXPRESSION_ALL);
	else
		logic_loop(rows, out->bools, out->null, argument, both, EXPRESSION_ALL, EXPRESSION_ALL);
	return 0;
}

int expression_and(const struct expression_rows *rows, struct leat_column *out, const struct expression_operand *argument, const struct expression_call *call)
{
	(void)call;
	return logic(rows, out, argument, true);
}

int expression_or(const struct expression_rows *rows, struct leat_column *out, const struct expression_operand *argument, const struct expression_call *call)
{
	(void)call;
	return logic(rows, out, argument, false);
}

EXPRESSION_INLINE void equal_zero_loop(const struct expression_rows *rows, uint8_t *restrict to, const uint8_t *from, bool equal)
{
	EXPRESSION_EACH_NEAR(rows, i, to[i] = (from[i] == 0) == equal);
}

EXPRESSION_INLINE void never_null_loop(const struct expression_rows *rows, uint8_t *restrict null)
{
	EXPRESSION_EACH_NEAR(rows, i, null[i] = 0);
}

int expression_not(const struct expression_rows *rows, struct leat_column *out, const struct expression_operand *argument, const struct expression_call *call)
{
	(void)call;
	equal_zero_loop(rows, out->bools, argument[0].column.bools, true);
	return 0;
}

EXPRESSION_INLINE void compare_bools_loop(const struct expression_rows *rows, uint8_t *restrict out, const struct expression_operand *argument, bool equal)
{
	const uint8_t *a = argument[0].column.bools, *b = argument[1].column.bools;
	size_t a_mask = argument[0].mask, b_mask = argument[1].mask;
	EXPRESSION_EACH_NEAR(rows, i, out[i] = ((a[i & a_mask] != 0) == (b[i & b_mask] != 0)) == equal);
}

int expression_equal_bool(const struct expression_rows *rows, struct leat_column *out, const struct expression_operand *argument,
			  const struct expression_call *call)
{
	(void)call;
	compare_bools_loop(rows, out->bools, argument, true);
	return 0;
}

int expression_unequal_bool(const struct expression_rows *rows, struct leat_column *out, const struct expression_operand *argument,
			    const struct expression_call *call)
{
	(void)call;
	compare_bools_loop(rows, out->bools, argument, false);
	return 0;
}

/* ---- absence ---- */

int expression_null(const struct expression_rows *rows, struct leat_column *out, const struct expression_operand *argument, const struct expression_call *call)
{
	(void)call;
	equal_zero_loop(rows, out->bools, argument[0].column.null, false);
	never_null_loop(rows, out->null);
	return 0;
}

int expression_present(const struct expression_rows *rows, struct leat_column *out, const struct expression_operand *argument,
		       const struct expression_call *call)
{
	(void)call;
	equal_zero_loop(rows, out->bools, argument[0].column.null, true);
	never_null_loop(rows, out->null);
	return 0;
}

/* ---- choice, by the size of a value; picking the place and not the value keeps the loops free of branches ---- */

EXPRESSION_INLINE void take(struct leat_column *out, size_t i, const struct expression_operand *a, const struct expression_operand *b, bool first, size_t size)
{
	size_t a_at = i & a->mask, b_at = i & b->mask;
	const uint8_t *a_data = (const uint8_t *)a->column.data + a_at * size, *b_data = (const uint8_t *)b->column.data + b_at * size;
	const uint8_t *a_null = a->column.null + a_at, *b_null = b->column.null + b_at;
	out->null[i] = *(first ? a_null : b_null) != 0;
	memcpy((uint8_t *)out->data + i * size, first ? a_data : b_data, size);
}

EXPRESSION_INLINE int copy(const struct expression_rows *rows, struct leat_column *out, const struct expression_operand *argument, size_t size)
{
	for (size_t at = 0; at < rows->count; at++)
		take(out, rows->row[at], &argument[0], &argument[0], true, size);
	return 0;
}

/* condition ? a : b; a condition that is not known gives null. */
EXPRESSION_INLINE int choose(const struct expression_rows *rows, struct leat_column *out, const struct expression_operand *argument, size_t size)
{
	const struct leat_column *condition = &argument[0].column;
	for (size_t at = 0; at < rows->count; at++) {
		size_t i = rows->row[at], c = i & argument[0].mask;
		take(out, i, &argument[1], &argument[2], condition->bools[c] != 0, size);
		out->null[i] |= condition->null[c] != 0;
	}
	return 0;
}

EXPRESSION_INLINE int otherwise(const struct expression_rows *rows, struct leat_column *out, const struct expression_operand *argument, size_t size)
{
	for (size_t at = 0; at < rows->count; at++) {
		size_t i = rows->row[at];
		take(out, i, &argument[0], &argument[1], argument[0].column.null[i & argument[0].mask] == 0, size);
	}
	return 0;
}

int expression_copy_bytes_1(const struct expression_rows *rows, struct leat_column *out, const struct expression_operand *argument,
			    const struct expression_call *call)
{
	(void)call;
	return copy(rows, out, argument, 1);
}

int expression_copy_bytes_8(const struct expression_rows *rows, struct leat_column *out, const struct expression_operand *argument,
			    const struct expression_call *call)
{
	(void)call;
	return copy(rows, out, argument, 8);
}

int expression_copy_bytes_16(const struct expression_rows *rows, struct leat_column *out, const struct expression_operand *argument,
			     const struct expression_call *call)
{
	(void)call;
	return copy(rows, out, argument, 16);
}

int expression_select_1(const struct expression_rows *rows, struct leat_column *out, const struct expression_operand *argument,
			const struct expression_call *call)
{
	(void)call;
	return choose(rows, out, argument, 1);
}

int expression_select_8(const struct expression_rows *rows, struct leat_column *out, const struct expression_operand *argument,
			const struct expression_call *call)
{
	(void)call;
	return choose(rows, out, argument, 8);
}

int expression_select_16(const struct expression_rows *rows, struct leat_column *out, const struct expression_operand *argument,
			 const struct expression_call *call)
{
	(void)call;
	return choose(rows, out, argument, 16);
}

int expression_otherwise_1(const struct expression_rows *rows, struct leat_column *out, const struct expression_operand *argument,
			   const struct expression_call *call)
{
	(void)call;
	return otherwise(rows, out, argument, 1);
}

int expression_otherwise_8(const struct expression_rows *rows, struct leat_column *out, const struct expression_operand *argument,
			   const struct expression_call *call)
{
	(void)call;
	return otherwise(rows, out, argument, 8);
}

int expression_otherwise_16(const struct expression_rows *rows, struct leat_column *out, const struct expression_operand *argument,
			    const struct expression_call *call)
{
	(void)call;
	return otherwise(rows, out, argument, 16);
}
