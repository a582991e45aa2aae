/*
 * Expressions: kernels of numbers, truth and absence.
 * The loops are written once, take the operation as an inlined function, and become one vector loop for each combination
 * of columns and constants: the masks are constants at each call of a *_loop.
 */
#include "stream/expression_internal.h"

#include <float.h>
#include <math.h>

/* Calls loop(.., mask of the first, mask of the second) with literal masks. Two constants meet only while folding, where i is 0. */
#define BY_MASKS(argument, loop, ...)                                                  \
	do {                                                                           \
		if ((argument)[1].mask == 0)                                           \
			loop(__VA_ARGS__, EXPRESSION_ALL, 0);                          \
		else if ((argument)[0].mask == 0)                                      \
			loop(__VA_ARGS__, 0, EXPRESSION_ALL);                          \
		else                                                                   \
			loop(__VA_ARGS__, EXPRESSION_ALL, EXPRESSION_ALL);             \
	} while (0)

/* ---- double (double, double) ---- */

EXPRESSION_INLINE void doubles_loop(const struct expression_rows *rows, double *restrict out, const struct expression_operand *argument,
				    double (*apply)(double, double), size_t a_mask, size_t b_mask)
{
	const double *a = argument[0].column.doubles, *b = argument[1].column.doubles;
	EXPRESSION_EACH_NEAR(rows, i, out[i] = apply(a[i & a_mask], b[i & b_mask]));
}

/* The top bit is set when the exponent of any value has all bits: infinite or no number. */
static uint64_t exponents_of(const struct expression_rows *rows, const double *value)
{
	uint64_t any = 0;
	EXPRESSION_EACH_NEAR(rows, i, {
		uint64_t bits;
		memcpy(&bits, &value[i], sizeof bits);
		any |= (bits & UINT64_C(0x7FF0000000000000)) + UINT64_C(0x0010000000000000);
	});
	return any;
}

/* A double that is infinite or no number is no result. That is rare, so all are looked at together first. */
static void null_where_not_finite(const struct expression_rows *rows, struct leat_column *out)
{
	if ((exponents_of(rows, out->doubles) >> 63) == 0)
		return;
	for (size_t at = 0; at < rows->count; at++)
		out->null[rows->row[at]] |= !(fabs(out->doubles[rows->row[at]]) <= DBL_MAX);
}

EXPRESSION_INLINE int doubles(const struct expression_rows *rows, struct leat_column *out, const struct expression_operand *argument,
			      double (*apply)(double, double))
{
	BY_MASKS(argument, doubles_loop, rows, out->doubles, argument, apply);
	null_where_not_finite(rows, out);
	return 0;
}

EXPRESSION_INLINE double plus(double a, double b) { return a + b; }
EXPRESSION_INLINE double minus(double a, double b) { return a - b; }
EXPRESSION_INLINE double times(double a, double b) { return a * b; }
EXPRESSION_INLINE double over(double a, double b) { return a / b; }

int expression_add_doubles(const struct expression_rows *rows, struct leat_column *out, const struct expression_operand *argument,
			   const struct expression_call *call)
{
	(void)call;
	return doubles(rows, out, argument, plus);
}

int expression_subtract_doubles(const struct expression_rows *rows, struct leat_column *out, const struct expression_operand *argument,
				const struct expression_call *call)
{
	(void)call;
	return doubles(rows, out, argument, minus);
}

int expression_multiply_doubles(const struct expression_rows *rows, struct leat_column *out, const struct expression_operand *argument,
				const struct expression_call *call)
{
	(void)call;
	return doubles(rows, out, argument, times);
}

/* x / 0 is infinite or no number, hence null. */
int expression_divide_doubles(const struct expression_rows *rows, struct leat_column *out, const struct expression_operand *argument,
			      const struct expression_call *call)
{
	(void)call;
	return doubles(rows, out, argument, over);
}

EXPRESSION_INLINE void negate_loop(const struct expression_rows *rows, double *restrict to, const double *from)
{
	EXPRESSION_EACH_NEAR(rows, i, to[i] = -from[i]);
}

int expression_negate_doubles(const struct expression_rows *rows, struct leat_column *out, const struct expression_operand *argument,
			      const struct expression_call *call)
{
	(void)call;
	negate_loop(rows, out->doubles, argument[0].column.doubles);
	null_where_not_finite(rows, out);
	return 0;
}

int expression_rest_doubles(const struct expression_rows *rows, struct leat_column *out, const struct expression_operand *argument,
			    const struct expression_call *call)
{
	(void)call;
	const double *a = argument[0].column.doubles, *b = argument[1].column.doubles;
	EXPRESSION_EACH_PRESENT(rows, out, i, {
		out->doubles[i] = fmod(a[i & argument[0].mask], b[i & argument[1].mask]);
		out->null[i] = !(fabs(out->doubles[i]) <= DBL_MAX);
	});
	return 0;
}

/* ---- int (int, int), null on overflow ---- */

EXPRESSION_INLINE void ints_loop(const struct expression_rows *rows, int64_t *restrict out, uint8_t *restrict null, const struct expression_operand *argument,
				 bool (*apply)(int64_t, int64_t, int64_t *), size_t a_mask, size_t b_mask)
{
	const int64_t *a = argument[0].column.ints, *b = argument[1].column.ints;
	EXPRESSION_EACH_NEAR(rows, i, null[i] |= apply(a[i & a_mask], b[i & b_mask], &out[i]));
}

EXPRESSION_INLINE int ints(const struct expression_rows *rows, struct leat_column *out, const struct expression_operand *argument,
			   bool (*apply)(int64_t, int64_t, int64_t *))
{
	BY_MASKS(argument, ints_loop, rows, out->ints, out->null, argument, apply);
	return 0;
}

EXPRESSION_INLINE bool add_overflows(int64_t a, int64_t b, int64_t *out) { return __builtin_add_overflow(a, b, out); }
EXPRESSION_INLINE bool subtract_overflows(int64_t a, int64_t b, int64_t *out) { return __builtin_sub_overflow(a, b, out); }
EXPRESSION_INLINE bool multiply_overflows(int64_t a, int64_t b, int64_t *out) { return __builtin_mul_overflow(a, b, out); }

int expression_add_ints(const struct expression_rows *rows, struct leat_column *out, const struct expression_operand *argument,
			const struct expression_call *call)
{
	(void)call;
	return ints(rows, out, argument, add_overflows);
}

int expression_subtract_ints(const struct expression_rows *rows, struct leat_column *out, const struct expression_operand *argument,
			     const struct expression_call *call)
{
	(void)call;
	return ints(rows, out, argument, subtract_overflows);
}

int expression_multiply_ints(const struct expression_rows *rows, struct leat_column *out, const struct expression_operand *argument,
			     const struct expression_call *call)
{
	(void)call;
	return ints(rows, out, argument, multiply_overflows);
}

int expression_negate_ints(const struct expression_rows *rows, struct leat_column *out, const struct expression_operand *argument,
			   const struct expression_call *call)
{
	(void)call;
	const int64_t *a = argument[0].column.ints;
	EXPRESSION_EACH_NEAR(rows, i, out->null[i] |= __builtin_sub_overflow((int64_t)0, a[i], &out->ints[i]));
	return 0;
}

int expression_divide_ints(const struct expression_rows *rows, struct leat_column *out, const struct expression_operand *argument,
			   const struct expression_call *call)
{
	(void)call;
	EXPRESSION_EACH_PRESENT(rows, out, i, {
		int64_t a = argument[0].column.ints[i & argument[0].mask], b = argument[1].column.ints[i & argument[1].mask];
		out->null[i] = b == 0 || (b == -1 && a == INT64_MIN);
		out->ints[i] = out->null[i] ? 0 : a / b;
	});
	return 0;
}

/* The sign is the dividend's; the smallest int % -1 is 0, though the quotient overflows. */
int expression_rest_ints(const struct expression_rows *rows, struct leat_column *out, const struct expression_operand *argument,
			 const struct expression_call *call)
{
	(void)call;
	EXPRESSION_EACH_PRESENT(rows, out, i, {
		int64_t a = argument[0].column.ints[i & argument[0].mask], b = argument[1].column.ints[i & argument[1].mask];
		out->null[i] = b == 0;
		out->ints[i] = b == 0 || b == -1 ? 0 : a % b;
	});
	return 0;
}

/* ---- bool (number, number) ---- */

EXPRESSION_INLINE void compare_doubles_loop(const struct expression_rows *rows, uint8_t *restrict out, const struct expression_operand *argument,
					    bool (*apply)(double, double), size_t a_mask, size_t b_mask)
{
	const double *a = argument[0].column.doubles, *b = argument[1].column.doubles;
	EXPRESSION_EACH_NEAR(rows, i, out[i] = apply(a[i & a_mask], b[i & b_mask]));
}

EXPRESSION_INLINE void compare_ints_loop(const struct expression_rows *rows, uint8_t *restrict out, const struct expression_operand *argument,
					 bool (*apply)(int64_t, int64_t), size_t a_mask, size_t b_mask)
{
	const int64_t *a = argument[0].column.ints, *b = argument[1].column.ints;
	EXPRESSION_EACH_NEAR(rows, i, out[i] = apply(a[i & a_mask], b[i & b_mask]));
}

EXPRESSION_INLINE int compare_doubles(const struct expression_rows *rows, struct leat_column *out, const struct expression_operand *argument,
				      bool (*apply)(double, double))
{
	BY_MASKS(argument, compare_doubles_loop, rows, out->bools, argument, apply);
	return 0;
}

EXPRESSION_INLINE int compare_ints(const struct expression_rows *rows, struct leat_column *out, const struct expression_operand *argument,
				   bool (*apply)(int64_t, int64_t))
{
	BY_MASKS(argument, compare_ints_loop, rows, out->bools, argument, apply);
	return 0;
}

EXPRESSION_INLINE bool equal_double(double a, double b) { return a == b; }
EXPRESSION_INLINE bool unequal_double(double a, double b) { return a != b; }
EXPRESSION_INLINE bool less_double(double a, double b) { return a < b; }
EXPRESSION_INLINE bool most_double(double a, double b) { return a <= b; }
EXPRESSION_INLINE bool equal_int(int64_t a, int64_t b) { return a == b; }
EXPRESSION_INLINE bool unequal_int(int64_t a, int64_t b) { return a != b; }
EXPRESSION_INLINE bool less_int(int64_t a, int64_t b) { return a < b; }
EXPRESSION_INLINE bool most_int(int64_t a, int64_t b) { return a <= b; }

int expression_equal_double(const struct expression_rows *rows, struct leat_column *out, const struct expression_operand *argument,
			    const struct expression_call *call)
{
	(void)call;
	return compare_doubles(rows, out, argument, equal_double);
}

int expression_unequal_double(const struct expression_rows *rows, struct leat_column *out, const struct expression_operand *argument,
			      const struct expression_call *call)
{
	(void)call;
	return compare_doubles(rows, out, argument, unequal_double);
}

int expression_less_double(const struct expression_rows *rows, struct leat_column *out, const struct expression_operand *argument,
			   const struct expression_call *call)
{
	(void)call;
	return compare_doubles(rows, out, argument, less_double);
}

int expression_most_double(const struct expression_rows *rows, struct leat_column *out, const struct expression_operand *argument,
			   const struct expression_call *call)
{
	(void)call;
	return compare_doubles(rows, out, argument, most_double);
}

int expression_equal_int(const struct expression_rows *rows, struct leat_column *out, const struct expression_operand *argument,
			 const struct expression_call *call)
{
	(void)call;
	return compare_ints(rows, out, argument, equal_int);
}

int expression_unequal_int(const struct expression_rows *rows, struct leat_column *out, const struct expression_operand *argument,
			   const struct expression_call *call)
{
	(void)call;
	return compare_ints(rows, out, argument, unequal_int);
}

int expression_less_int(const struct expression_rows *rows, struct leat_column *out, const struct expression_operand *argument,
			const struct expression_call *call)
{
	(void)call;
	return compare_ints(rows, out, argument, less_int);
}

int expression_most_int(const struct expression_rows *rows, struct leat_column *out, const struct expression_operand *argument,
			const struct expression_call *call)
{
	(void)call;
	return compare_ints(rows, out, argument, most_int);
}

EXPRESSION_INLINE void widen_ints_loop(const struct expression_rows *rows, double *restrict to, const int64_t *from)
{
	EXPRESSION_EACH_NEAR(rows, i, to[i] = (double)from[i]);
}

EXPRESSION_INLINE void widen_floats_loop(const struct expression_rows *rows, double *restrict to, const float *from)
{
	EXPRESSION_EACH_NEAR(rows, i, to[i] = (double)from[i]);
}

int expression_widen_ints(const struct expression_rows *rows, struct leat_column *out, const struct expression_operand *argument,
			  const struct expression_call *call)
{
	(void)call;
	widen_ints_loop(rows, out->doubles, argument[0].column.ints);
	return 0;
}

int expression_widen_floats(const struct expression_rows *rows, struct leat_column *out, const struct expression_operand *argument,
			    const struct expression_call *call)
{
	(void)call;
	widen_floats_loop(rows, out->doubles, argument[0].column.floats);
	return 0;
}
