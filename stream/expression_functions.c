/* Expressions: the table of operators and functions, from which they are resolved, documented and run; and the kernels of mathematics. */
#include "stream/expression_internal.h"

#include <math.h>

/* ---- mathematics: a result that is not finite is null ---- */

EXPRESSION_INLINE int each_double(const struct expression_rows *rows, struct leat_column *out, const struct expression_operand *argument,
				  double (*apply)(double))
{
	EXPRESSION_EACH_PRESENT(rows, out, i, {
		out->doubles[i] = apply(argument[0].column.doubles[i]);
		out->null[i] = !isfinite(out->doubles[i]);
	});
	return 0;
}

/* One kernel per function of <math.h> that takes a double. */
#define MATH(name, function)                                                                                                           \
	static int name(const struct expression_rows *rows, struct leat_column *out, const struct expression_operand *argument,        \
			const struct expression_call *call)                                                                            \
	{                                                                                                                              \
		(void)call;                                                                                                            \
		return each_double(rows, out, argument, function);                                                                     \
	}
MATH(run_abs, fabs)
MATH(run_floor, floor)
MATH(run_ceil, ceil)
MATH(run_round, round)
MATH(run_sqrt, sqrt)
MATH(run_exp, exp)
MATH(run_log, log)
MATH(run_log10, log10)

static int run_pow(const struct expression_rows *rows, struct leat_column *out, const struct expression_operand *argument, const struct expression_call *call)
{
	(void)call;
	EXPRESSION_EACH_PRESENT(rows, out, i, {
		out->doubles[i] = pow(argument[0].column.doubles[i & argument[0].mask], argument[1].column.doubles[i & argument[1].mask]);
		out->null[i] = !isfinite(out->doubles[i]);
	});
	return 0;
}

static int run_abs_int(const struct expression_rows *rows, struct leat_column *out, const struct expression_operand *argument,
		       const struct expression_call *call)
{
	(void)call;
	EXPRESSION_EACH_PRESENT(rows, out, i, {
		int64_t value = argument[0].column.ints[i];
		out->null[i] = value == INT64_MIN;
		out->ints[i] = value < 0 && value != INT64_MIN ? -value : value;
	});
	return 0;
}

EXPRESSION_INLINE int extreme_int(const struct expression_rows *rows, struct leat_column *out, const struct expression_operand *argument, size_t count,
				  bool largest)
{
	EXPRESSION_EACH_PRESENT(rows, out, i, {
		int64_t best = argument[0].column.ints[i & argument[0].mask];
		for (size_t at = 1; at < count; at++) {
			int64_t other = argument[at].column.ints[i & argument[at].mask];
			best = largest ? LEAT_MAX(best, other) : LEAT_MIN(best, other);
		}
		out->ints[i] = best;
	});
	return 0;
}

/* A value that is no number makes the result null, wherever it stands. */
EXPRESSION_INLINE int extreme_double(const struct expression_rows *rows, struct leat_column *out, const struct expression_operand *argument, size_t count,
				     bool largest)
{
	EXPRESSION_EACH_PRESENT(rows, out, i, {
		double best = argument[0].column.doubles[i & argument[0].mask];
		for (size_t at = 1; at < count; at++) {
			double other = argument[at].column.doubles[i & argument[at].mask];
			best = isnan(other) || (largest ? other > best : other < best) ? other : best;
			if (isnan(best))
				break;
		}
		out->doubles[i] = best;
		out->null[i] = !isfinite(best);
	});
	return 0;
}

static int run_min_int(const struct expression_rows *rows, struct leat_column *out, const struct expression_operand *argument,
		       const struct expression_call *call)
{
	return extreme_int(rows, out, argument, call->count, false);
}

static int run_max_int(const struct expression_rows *rows, struct leat_column *out, const struct expression_operand *argument,
		       const struct expression_call *call)
{
	return extreme_int(rows, out, argument, call->count, true);
}

static int run_min_double(const struct expression_rows *rows, struct leat_column *out, const struct expression_operand *argument,
			  const struct expression_call *call)
{
	return extreme_double(rows, out, argument, call->count, false);
}

static int run_max_double(const struct expression_rows *rows, struct leat_column *out, const struct expression_operand *argument,
			  const struct expression_call *call)
{
	return extreme_double(rows, out, argument, call->count, true);
}

/* ---- the table ---- */

#define B LEAT_BOOL
#define I LEAT_INT
#define D LEAT_DOUBLE
#define S LEAT_STRING
#define Y LEAT_BYTES
#define SS LEAT_STRINGS
#define FS LEAT_FLOATS

const struct expression_function expression_functions[] = {
	{ .name = "||", .parameters = { B, B }, .result = B, .own_nulls = true, .run = expression_or,
	  .help = "Either; null only if that could change the result: null || true is true." },
	{ .name = "&&", .parameters = { B, B }, .result = B, .own_nulls = true, .run = expression_and, .help = "Both; null && false is false." },
	{ .name = "!", .parameters = { B }, .result = B, .run = expression_not, .help = "Not." },
	{ .name = "==", .parameters = { B, B }, .result = B, .run = expression_equal_bool,
	  .help = "Equal. An enum compares with the names of its symbols; x == null tests for absence. Of int and double both become double." },
	{ .name = "==", .parameters = { I, I }, .result = B, .run = expression_equal_int },
	{ .name = "==", .parameters = { D, D }, .result = B, .run = expression_equal_double },
	{ .name = "==", .parameters = { S, S }, .result = B, .run = expression_equal_text },
	{ .name = "==", .parameters = { Y, Y }, .result = B, .run = expression_equal_text },
	{ .name = "!=", .parameters = { B, B }, .result = B, .run = expression_unequal_bool, .help = "Not equal; x != null is true where x is there." },
	{ .name = "!=", .parameters = { I, I }, .result = B, .run = expression_unequal_int },
	{ .name = "!=", .parameters = { D, D }, .result = B, .run = expression_unequal_double },
	{ .name = "!=", .parameters = { S, S }, .result = B, .run = expression_unequal_text },
	{ .name = "!=", .parameters = { Y, Y }, .result = B, .run = expression_unequal_text },
	{ .name = "<", .parameters = { I, I }, .result = B, .run = expression_less_int, .help = "Less; texts by their bytes." },
	{ .name = "<", .parameters = { D, D }, .result = B, .run = expression_less_double },
	{ .name = "<", .parameters = { S, S }, .result = B, .run = expression_less_text },
	{ .name = "<=", .parameters = { I, I }, .result = B, .run = expression_most_int, .help = "Less or equal." },
	{ .name = "<=", .parameters = { D, D }, .result = B, .run = expression_most_double },
	{ .name = "<=", .parameters = { S, S }, .result = B, .run = expression_most_text },
	{ .name = ">", .parameters = { I, I }, .result = B, .swapped = true, .run = expression_less_int, .help = "Greater." },
	{ .name = ">", .parameters = { D, D }, .result = B, .swapped = true, .run = expression_less_double },
	{ .name = ">", .parameters = { S, S }, .result = B, .swapped = true, .run = expression_less_text },
	{ .name = ">=", .parameters = { I, I }, .result = B, .swapped = true, .run = expression_most_int, .help = "Greater or equal." },
	{ .name = ">=", .parameters = { D, D }, .result = B, .swapped = true, .run = expression_most_double },
	{ .name = ">=", .parameters = { S, S }, .result = B, .swapped = true, .run = expression_most_text },
	{ .name = "in", .parameters = { S, SS }, .result = B, .run = expression_text_in_list,
	  .help = "Is one of: of a field that is a list, or of constants in brackets: x in ['a', 'b'], for int, double, string and enum." },
	{ .name = "in", .parameters = { D, FS }, .result = B, .run = expression_number_in_list },
	{ .name = "+", .parameters = { I, I }, .result = I, .run = expression_add_ints,
	  .help = "Sum, null on overflow; of texts: one after the other." },
	{ .name = "+", .parameters = { D, D }, .result = D, .run = expression_add_doubles },
	{ .name = "+", .parameters = { S, S }, .result = S, .run = expression_concat },
	{ .name = "-", .parameters = { I, I }, .result = I, .run = expression_subtract_ints, .help = "Difference, null on overflow; or the negative." },
	{ .name = "-", .parameters = { D, D }, .result = D, .run = expression_subtract_doubles },
	{ .name = "-", .parameters = { I }, .result = I, .run = expression_negate_ints },
	{ .name = "-", .parameters = { D }, .result = D, .run = expression_negate_doubles },
	{ .name = "*", .parameters = { I, I }, .result = I, .run = expression_multiply_ints, .help = "Product, null on overflow." },
	{ .name = "*", .parameters = { D, D }, .result = D, .run = expression_multiply_doubles },
	{ .name = "/", .parameters = { I, I }, .result = I, .run = expression_divide_ints, .help = "Quotient, of ints towards zero; null for x / 0." },
	{ .name = "/", .parameters = { D, D }, .result = D, .run = expression_divide_doubles },
	{ .name = "%", .parameters = { I, I }, .result = I, .run = expression_rest_ints,
	  .help = "What the division leaves, with the sign of the first; null for x % 0." },
	{ .name = "%", .parameters = { D, D }, .result = D, .run = expression_rest_doubles },
	{ .name = "?:", .parameters = { B, B, B }, .result = B, .own_nulls = true, .run = expression_select_1,
	  .help = "condition ? a : b, both of one type; null where the condition is null." },
	{ .name = "?:", .parameters = { B, I, I }, .result = I, .own_nulls = true, .run = expression_select_8 },
	{ .name = "?:", .parameters = { B, D, D }, .result = D, .own_nulls = true, .run = expression_select_8 },
	{ .name = "?:", .parameters = { B, S, S }, .result = S, .own_nulls = true, .run = expression_select_16 },
	{ .name = "?:", .parameters = { B, Y, Y }, .result = Y, .own_nulls = true, .run = expression_select_16 },
	{ .name = "?:", .parameters = { B, SS, SS }, .result = SS, .own_nulls = true, .run = expression_select_16 },
	{ .name = "?:", .parameters = { B, FS, FS }, .result = FS, .own_nulls = true, .run = expression_select_16 },

	{ .name = "if_null", .parameters = { B, B }, .result = B, .own_nulls = true, .run = expression_otherwise_1,
	  .help = "The first, or where it is null the second." },
	{ .name = "if_null", .parameters = { I, I }, .result = I, .own_nulls = true, .run = expression_otherwise_8 },
	{ .name = "if_null", .parameters = { D, D }, .result = D, .own_nulls = true, .run = expression_otherwise_8 },
	{ .name = "if_null", .parameters = { S, S }, .result = S, .own_nulls = true, .run = expression_otherwise_16 },
	{ .name = "if_null", .parameters = { Y, Y }, .result = Y, .own_nulls = true, .run = expression_otherwise_16 },
	{ .name = "if_null", .parameters = { SS, SS }, .result = SS, .own_nulls = true, .run = expression_otherwise_16 },
	{ .name = "if_null", .parameters = { FS, FS }, .result = FS, .own_nulls = true, .run = expression_otherwise_16 },

	{ .name = "abs", .parameters = { I }, .result = I, .run = run_abs_int, .help = "The value without its sign; null for the smallest int." },
	{ .name = "abs", .parameters = { D }, .result = D, .run = run_abs },
	{ .name = "min", .parameters = { I, I }, .more = true, .result = I, .run = run_min_int, .help = "The smallest of up to 16 values." },
	{ .name = "min", .parameters = { D, D }, .more = true, .result = D, .run = run_min_double },
	{ .name = "max", .parameters = { I, I }, .more = true, .result = I, .run = run_max_int, .help = "The largest of up to 16 values." },
	{ .name = "max", .parameters = { D, D }, .more = true, .result = D, .run = run_max_double },
	{ .name = "floor", .parameters = { I }, .result = I, .run = expression_copy_bytes_8, .help = "The next whole number below; an int stays." },
	{ .name = "floor", .parameters = { D }, .result = D, .run = run_floor },
	{ .name = "ceil", .parameters = { I }, .result = I, .run = expression_copy_bytes_8, .help = "The next whole number above; an int stays." },
	{ .name = "ceil", .parameters = { D }, .result = D, .run = run_ceil },
	{ .name = "round", .parameters = { I }, .result = I, .run = expression_copy_bytes_8, .help = "The nearest whole number, halves away from zero; an int stays." },
	{ .name = "round", .parameters = { D }, .result = D, .run = run_round },
	{ .name = "sqrt", .parameters = { D }, .result = D, .run = run_sqrt, .help = "Square root; null below zero." },
	{ .name = "exp", .parameters = { D }, .result = D, .run = run_exp, .help = "e to the power of the value; null on overflow." },
	{ .name = "log", .parameters = { D }, .result = D, .run = run_log, .help = "Natural logarithm; null for zero and below." },
	{ .name = "log10", .parameters = { D }, .result = D, .run = run_log10, .help = "Logarithm to base 10; null for zero and below." },
	{ .name = "pow", .parameters = { D, D }, .result = D, .run = run_pow, .help = "The first to the power of the second; null where there is none." },

	{ .name = "length", .parameters = { S }, .result = I, .run = expression_length_text, .help = "Characters of a text, bytes of bytes." },
	{ .name = "length", .parameters = { Y }, .result = I, .run = expression_length_bytes },
	{ .name = "lower", .parameters = { S }, .result = S, .run = expression_lower, .help = "A-Z become a-z; other letters stay. Null above 64 KiB." },
	{ .name = "upper", .parameters = { S }, .result = S, .run = expression_upper, .help = "a-z become A-Z; other letters stay. Null above 64 KiB." },
	{ .name = "contains", .parameters = { S, S }, .result = B, .run = expression_contains, .help = "Does the text contain the second?" },
	{ .name = "starts_with", .parameters = { S, S }, .result = B, .run = expression_starts_with, .help = "Does the text start with the second?" },
	{ .name = "ends_with", .parameters = { S, S }, .result = B, .run = expression_ends_with, .help = "Does the text end with the second?" },
	{ .name = "matches", .parameters = { S, S }, .result = B, .run = expression_matches, .prepare = expression_prepare_glob,
	  .help = "Does the whole text fit the constant pattern of at most 63 bytes? * is any text, ? one character, \\\\* and \\\\? are * and ?." },
	{ .name = "substring", .parameters = { S, I, I }, .result = S, .run = expression_substring,
	  .help = "From a character, counted from 0, as many as the third says or as there are; null for negative numbers." },
	{ .name = "concat", .parameters = { S, S }, .more = true, .result = S, .run = expression_concat,
	  .help = "Up to 16 texts, one after the other; null above 64 KiB." },

	{ .name = "text", .parameters = { B }, .result = S, .run = expression_text_of_bool,
	  .help = "The value as it would be written; a double with the digits that it takes to read it back." },
	{ .name = "text", .parameters = { I }, .result = S, .run = expression_text_of_int },
	{ .name = "text", .parameters = { D }, .result = S, .run = expression_text_of_double },
	{ .name = "text", .parameters = { S }, .result = S, .run = expression_copy_bytes_16 },
	{ .name = "int", .parameters = { B }, .result = I, .run = expression_int_of_bool,
	  .help = "A whole number: of a double towards zero, of a text of digits; null where there is none." },
	{ .name = "int", .parameters = { I }, .result = I, .run = expression_copy_bytes_8 },
	{ .name = "int", .parameters = { D }, .result = I, .run = expression_int_of_double },
	{ .name = "int", .parameters = { S }, .result = I, .run = expression_int_of_text },
	{ .name = "double", .parameters = { D }, .result = D, .run = expression_copy_bytes_8,
	  .help = "A number with fractions: of an int, or of a text such as -1.5e3; null where there is none." },
	{ .name = "double", .parameters = { S }, .result = D, .run = expression_double_of_text },
	{ .name = "hash", .parameters = { B }, .result = I, .run = expression_hash_bool,
	  .help = "A number from 0 to 2^63 - 1 that looks random and is the same for ever; hash(user) % 100 < 10 picks a tenth." },
	{ .name = "hash", .parameters = { I }, .result = I, .run = expression_hash_int },
	{ .name = "hash", .parameters = { S }, .result = I, .run = expression_hash_text },
	{ .name = "hash", .parameters = { Y }, .result = I, .run = expression_hash_text },

	{ .name = "parse_time", .parameters = { S, S }, .result = I, .run = expression_parse_time, .prepare = expression_prepare_time_format,
	  .help = "A time in ms from a text by a constant format of %Y %m %d %H %M %S, %f (fraction) and %z (Z or +01:00; UTC without it); null where the text does not fit." },
	{ .name = "hour", .parameters = { I }, .result = I, .run = expression_hour, .help = "Hour of the day, 0 to 23, of a time in ms, in UTC." },
	{ .name = "hour_in", .parameters = { I, S }, .result = I, .run = expression_hour, .prepare = expression_prepare_zone,
	  .help = "The same in a time zone: hour_in(ts, 'Europe/Berlin')." },
	{ .name = "day", .parameters = { I }, .result = I, .run = expression_day, .help = "Whole days since 1970-01-01, of a time in ms, in UTC." },
	{ .name = "day_in", .parameters = { I, S }, .result = I, .run = expression_day, .prepare = expression_prepare_zone,
	  .help = "The same by the calendar of a time zone." },
	{ .name = "day_of_week", .parameters = { I }, .result = I, .run = expression_day_of_week, .help = "1 Monday to 7 Sunday, of a time in ms, in UTC." },
	{ .name = "day_of_week_in", .parameters = { I, S }, .result = I, .run = expression_day_of_week, .prepare = expression_prepare_zone,
	  .help = "The same in a time zone." },

	{ .name = "size", .parameters = { SS }, .result = I, .run = expression_size, .help = "Elements of a list or a vector." },
	{ .name = "size", .parameters = { FS }, .result = I, .run = expression_size },
	{ .name = "at", .parameters = { SS, I }, .result = S, .run = expression_text_at, .help = "The element of a list or vector, counted from 0; null outside." },
	{ .name = "at", .parameters = { FS, I }, .result = D, .run = expression_number_at },
	{ .name = "dot", .parameters = { FS, FS }, .result = D, .run = expression_dot, .help = "Scalar product of two vectors; null when their sizes differ." },
	{ .name = "cosine", .parameters = { FS, FS }, .result = D, .run = expression_cosine,
	  .help = "Cosine of the angle between two vectors; null when their sizes differ or one has length 0." },
	{ .name = "norm", .parameters = { FS }, .result = D, .run = expression_norm, .help = "Length of a vector." },
	{ 0 },
};

/* What the checker puts in by itself. */
const struct expression_function expression_is_null = { .name = "== null", .parameters = { EXPRESSION_ANY }, .result = B, .own_nulls = true, .run = expression_null };
const struct expression_function expression_is_present = { .name = "!= null", .parameters = { EXPRESSION_ANY }, .result = B, .own_nulls = true, .run = expression_present };
const struct expression_function expression_copy_1 = { .name = "copy", .parameters = { B }, .result = B, .run = expression_copy_bytes_1 };
const struct expression_function expression_copy_8 = { .name = "copy", .parameters = { I }, .result = I, .run = expression_copy_bytes_8 };
const struct expression_function expression_copy_16 = { .name = "copy", .parameters = { S }, .result = S, .run = expression_copy_bytes_16 };
const struct expression_function expression_int_to_double = { .name = "double", .parameters = { I }, .result = D, .run = expression_widen_ints };
const struct expression_function expression_float_to_double = { .name = "double", .parameters = { LEAT_FLOAT }, .result = D, .run = expression_widen_floats };
const struct expression_function expression_enum_to_string = { .name = "text", .parameters = { LEAT_ENUM }, .result = S, .run = expression_symbols,
							       .prepare = expression_prepare_symbols };
const struct expression_function expression_vector_to_floats = { .name = "floats", .parameters = { LEAT_VECTOR }, .result = FS, .run = expression_list_of_vector };
const struct expression_function expression_equal_ints = { .name = "==", .parameters = { LEAT_ENUM, LEAT_ENUM }, .result = B, .run = expression_equal_int };
const struct expression_function expression_unequal_ints = { .name = "!=", .parameters = { LEAT_ENUM, LEAT_ENUM }, .result = B, .run = expression_unequal_int };
const struct expression_function expression_in_ints = { .name = "in", .parameters = { I }, .result = B, .run = expression_member_int };
const struct expression_function expression_in_doubles = { .name = "in", .parameters = { D }, .result = B, .run = expression_member_double };
const struct expression_function expression_in_strings = { .name = "in", .parameters = { S }, .result = B, .run = expression_member_text };

/* ---- the reference ---- */

static void print_row(FILE *out, const struct expression_function *row)
{
	fprintf(out, "  %s(", row->name);
	for (size_t i = 0; i < LEAT_COUNT_OF(row->parameters) && row->parameters[i] != LEAT_NONE; i++)
		fprintf(out, "%s%s", i > 0 ? ", " : "", expression_type_name(row->parameters[i]));
	fprintf(out, "%s) %s\n", row->more ? ", ..." : "", expression_type_name(row->result));
}

void leat_expression_help(FILE *out)
{
	fprintf(out, "Operators, the weakest first; ( ) group. Where a double is wanted int and float do as well, where a string an enum, where floats a vector.\n"
		     "A result that does not exist, and what is computed from null, is null; so is a double that would be infinite.\n");
	const struct expression_function *before = NULL;
	for (const struct expression_function *row = expression_functions; row->name; before = row++) {
		if (before && row->help && row->name[0] >= 'a' && row->name[0] <= 'z' && strcmp(before->name, "?:") == 0)
			fprintf(out, "\nFunctions\n");
		if (row->help)
			fprintf(out, "%s: %s\n", row->name, row->help);
		print_row(out, row);
	}
}
