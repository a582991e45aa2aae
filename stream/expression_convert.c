/* Expressions: text to numbers and back, and hashes. Numbers look the same in every locale. */
#include "stream/expression_internal.h"

#include <locale.h>
#include <math.h>
#include <stdlib.h>

enum { NUMBER_MAX = 128 };      /* bytes of a number in a text */

/* The C locale is a constant of the C library: asking for it takes no memory, cannot fail, and needs no freeing. */
static locale_t plain_locale(void)
{
	locale_t plain = newlocale(LC_ALL_MASK, "C", NULL);
	LEAT_ASSERT(plain);
	return plain;
}

static size_t digits_at(struct leat_bytes text, size_t at)
{
	size_t start = at;
	while (at < text.length && text.data[at] >= '0' && text.data[at] <= '9')
		at++;
	return at - start;
}

static bool is_at(struct leat_bytes text, size_t at, const char *any)
{
	return at < text.length && text.data[at] != 0 && strchr(any, text.data[at]);
}

/* [+-] digits [. digits] [e [+-] digits] and nothing else. */
static bool is_decimal(struct leat_bytes text)
{
	size_t at = is_at(text, 0, "+-"), digits = digits_at(text, at);
	at += digits;
	if (digits > 0 && is_at(text, at, ".")) {
		digits = digits_at(text, at + 1);
		at += 1 + digits;
	}
	if (digits > 0 && is_at(text, at, "eE")) {
		at += 1 + is_at(text, at + 1, "+-");
		digits = digits_at(text, at);
		at += digits;
	}
	return digits > 0 && at == text.length;
}

static bool read_double(struct leat_bytes text, locale_t plain, double *value)
{
	char copy[NUMBER_MAX + 1];
	if (text.length > NUMBER_MAX || !is_decimal(text))
		return false;
	memcpy(copy, text.data, text.length);
	copy[text.length] = '\0';
	*value = strtod_l(copy, NULL, plain);
	return true;
}

bool expression_read_double(struct leat_bytes text, double *value)
{
	return read_double(text, plain_locale(), value);
}

bool expression_read_int(struct leat_bytes digits, bool negative, int64_t *value)
{
	int64_t sum = 0;
	if (digits.length == 0 || digits_at(digits, 0) != digits.length)
		return false;
	for (size_t at = 0; at < digits.length; at++) {
		int64_t digit = digits.data[at] - '0';
		if (__builtin_mul_overflow(sum, (int64_t)10, &sum) || __builtin_sub_overflow(sum, digit, &sum))
			return false;
	}
	*value = sum;
	return negative || !__builtin_sub_overflow((int64_t)0, sum, value);
}

/* ---- to numbers ---- */

int expression_int_of_bool(const struct expression_rows *rows, struct leat_column *out, const struct expression_operand *argument,
			   const struct expression_call *call)
{
	(void)call;
	EXPRESSION_EACH_PRESENT(rows, out, i, out->ints[i] = argument[0].column.bools[i] != 0);
	return 0;
}

/* Towards zero; null out of range. */
int expression_int_of_double(const struct expression_rows *rows, struct leat_column *out, const struct expression_operand *argument,
			     const struct expression_call *call)
{
	(void)call;
	EXPRESSION_EACH_PRESENT(rows, out, i, {
		double value = argument[0].column.doubles[i];
		bool fits = value >= -0x1p63 && value < 0x1p63;
		out->null[i] = !fits;
		out->ints[i] = fits ? (int64_t)value : 0;
	});
	return 0;
}

int expression_int_of_text(const struct expression_rows *rows, struct leat_column *out, const struct expression_operand *argument,
			   const struct expression_call *call)
{
	(void)call;
	EXPRESSION_EACH_PRESENT(rows, out, i, {
		struct leat_bytes text = expression_bytes_at(&argument[0], i);
		bool sign = is_at(text, 0, "+-"), negative = is_at(text, 0, "-");
		if (sign)
			text = leat_bytes(text.data + 1, text.length - 1);
		out->null[i] = !expression_read_int(text, negative, &out->ints[i]);
	});
	return 0;
}

int expression_double_of_text(const struct expression_rows *rows, struct leat_column *out, const struct expression_operand *argument,
			      const struct expression_call *call)
{
	(void)call;
	locale_t plain = plain_locale();
	EXPRESSION_EACH_PRESENT(rows, out, i, {
		out->null[i] = !read_double(expression_bytes_at(&argument[0], i), plain, &out->doubles[i]) || !isfinite(out->doubles[i]);
	});
	return 0;
}

/* ---- to text ---- */

int expression_text_of_bool(const struct expression_rows *rows, struct leat_column *out, const struct expression_operand *argument,
			    const struct expression_call *call)
{
	(void)call;
	EXPRESSION_EACH_PRESENT(rows, out, i, out->bytes[i] = leat_text(argument[0].column.bools[i] ? "true" : "false"));
	return 0;
}

enum { NUMBER_TEXT = 32 };

int expression_text_of_int(const struct expression_rows *rows, struct leat_column *out, const struct expression_operand *argument,
			   const struct expression_call *call)
{
	(void)call;
	char *memory = leat_arena_take(rows->arena, rows->count * NUMBER_TEXT);
	if (!memory)
		return LEAT_ENOMEM;
	EXPRESSION_EACH_PRESENT(rows, out, i, {
		int length = snprintf(memory, NUMBER_TEXT, "%lld", (long long)argument[0].column.ints[i]);
		out->bytes[i] = leat_bytes(memory, (size_t)length);
		memory += NUMBER_TEXT;
	});
	return 0;
}

/* The fewest digits, from 15 on, that read back as the same number. */
static size_t shortest(char *text, double value, locale_t plain)
{
	int length = 0;
	for (int digits = 15; digits <= 17; digits++) {
		length = snprintf(text, NUMBER_TEXT, "%.*g", digits, value);
		if (digits == 17 || strtod_l(text, NULL, plain) == value)
			break;
	}
	return (size_t)length;
}

int expression_text_of_double(const struct expression_rows *rows, struct leat_column *out, const struct expression_operand *argument,
			      const struct expression_call *call)
{
	(void)call;
	char *memory = leat_arena_take(rows->arena, rows->count * NUMBER_TEXT);
	if (!memory)
		return LEAT_ENOMEM;
	locale_t plain = plain_locale(), before = uselocale(plain);
	EXPRESSION_EACH_PRESENT(rows, out, i, {
		double value = argument[0].column.doubles[i];
		out->null[i] = !isfinite(value);
		out->bytes[i] = leat_bytes(memory, shortest(memory, value, plain));
		memory += NUMBER_TEXT;
	});
	uselocale(before);
	return 0;
}

/* ---- hashes: part of the output of pipelines, so they never change. 63 bits, never negative ---- */

static int64_t hash_int(int64_t value)
{
	return (int64_t)(leat_mix((uint64_t)value) >> 1);
}

/* FNV-1a, 64 bits, finished by splitmix64. */
static int64_t hash_bytes(struct leat_bytes bytes)
{
	uint64_t hash = UINT64_C(14695981039346656037);
	for (size_t at = 0; at < bytes.length; at++)
		hash = (hash ^ bytes.data[at]) * UINT64_C(1099511628211);
	return hash_int((int64_t)hash);
}

int expression_hash_bool(const struct expression_rows *rows, struct leat_column *out, const struct expression_operand *argument,
			 const struct expression_call *call)
{
	(void)call;
	EXPRESSION_EACH_PRESENT(rows, out, i, out->ints[i] = hash_int(argument[0].column.bools[i] != 0));
	return 0;
}

int expression_hash_int(const struct expression_rows *rows, struct leat_column *out, const struct expression_operand *argument,
			const struct expression_call *call)
{
	(void)call;
	EXPRESSION_EACH_PRESENT(rows, out, i, out->ints[i] = hash_int(argument[0].column.ints[i]));
	return 0;
}

int expression_hash_text(const struct expression_rows *rows, struct leat_column *out, const struct expression_operand *argument,
			 const struct expression_call *call)
{
	(void)call;
	EXPRESSION_EACH_PRESENT(rows, out, i, out->ints[i] = hash_bytes(expression_bytes_at(&argument[0], i)));
	return 0;
}
