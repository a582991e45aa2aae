/*
 * Random expressions over random rows give what a second evaluator gives, which knows nothing of columns: it walks the tree, one row at a time.
 * Each tree is written as text with as few parentheses as the precedences allow, so that the parser is judged too.
 */
#include "stream/expression.h"
#include "stream/operator.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

enum { EXPRESSIONS = 12000, DEPTH = 5, TERMS = 400, POOL = 1 << 20, LINE = 4096 };

/* ---- the data ---- */

enum { FLAG, DONE, COUNT, OTHER, PRICE, RATE, NAME, WORD, KIND, SHARE, SLOTS };
static const char *const symbols[] = { "VIEW", "CART", "BUY", NULL };
static const struct leat_layout layout = {
	.count = SLOTS,
	.fields = {
		[FLAG] = { .name = "flag", .type = LEAT_BOOL, .width = 1 }, [DONE] = { .name = "done", .type = LEAT_BOOL, .width = 1 },
		[COUNT] = { .name = "count", .type = LEAT_INT, .width = 1 }, [OTHER] = { .name = "a.other", .type = LEAT_INT, .width = 1 },
		[PRICE] = { .name = "price", .type = LEAT_DOUBLE, .width = 1 }, [RATE] = { .name = "rate", .type = LEAT_DOUBLE, .width = 1 },
		[NAME] = { .name = "name", .type = LEAT_STRING, .width = 1 }, [WORD] = { .name = "word", .type = LEAT_STRING, .width = 1 },
		[KIND] = { .name = "kind", .type = LEAT_ENUM, .width = 1, .symbols = symbols }, [SHARE] = { .name = "share", .type = LEAT_FLOAT, .width = 1 },
	},
};
static struct leat_column columns[SLOTS];
static uint64_t seed;

static uint64_t draw(uint64_t limit)
{
	seed = leat_mix(seed);
	return seed % limit;
}

static const int64_t ints[] = { 0, 1, -1, 2, 3, 7, -13, 100, 3600000, 1711845000000, INT64_MAX, INT64_MIN, INT64_MAX / 2, -4611686018427387905 };
static const double reals[] = { 0, 1, -1, 0.5, 2.25, -3.75, 100.125, 1e-300, 1e300, -1e308, 9.3e18, 0.1 };
static const char *const words[] = { "", "a", "ab", "abc", "BUY", "VIEW", "Zo\303\253", "\303\251t\303\251", "aAbB", "aaab", "x*y" };
static const char *const globs[] = { "*", "", "a*", "*b", "?b*", "a?c", "*a*b", "Zo?", "?" "?" "?", "*\303\251" };

static void fill_row(size_t i)
{
	for (int slot = 0; slot < SLOTS; slot++)
		columns[slot].null[i] = draw(8) == 0 ? (uint8_t)(1 + draw(255)) : 0;
	for (int slot = FLAG; slot <= DONE; slot++)
		columns[slot].bools[i] = columns[slot].null[i] ? 0 : (uint8_t)draw(2);
	for (int slot = COUNT; slot <= OTHER; slot++)
		columns[slot].ints[i] = columns[slot].null[i] ? 0 : draw(2) ? ints[draw(LEAT_COUNT_OF(ints))] : (int64_t)draw(20) - 10;
	for (int slot = PRICE; slot <= RATE; slot++)
		columns[slot].doubles[i] = columns[slot].null[i] ? 0 : draw(20) == 0 ? (draw(2) ? NAN : (double)INFINITY) : reals[draw(LEAT_COUNT_OF(reals))];
	for (int slot = NAME; slot <= WORD; slot++)
		columns[slot].bytes[i] = columns[slot].null[i] ? leat_bytes(NULL, 0) : leat_text(words[draw(LEAT_COUNT_OF(words))]);
	columns[KIND].ints[i] = columns[KIND].null[i] ? 0 : (int64_t)draw(3);
	columns[SHARE].floats[i] = columns[SHARE].null[i] ? 0 : (float)reals[draw(6)];
}

static int given_rows(void **state)
{
	(void)state;
	for (int slot = 0; slot < SLOTS; slot++) {
		columns[slot] = (struct leat_column){ .type = layout.fields[slot].type, .width = 1 };
		columns[slot].null = calloc(1, LEAT_BATCH_MAX);
		columns[slot].data = calloc(LEAT_BATCH_MAX, 16);
	}
	for (size_t i = 0; i < LEAT_BATCH_MAX; i++)
		fill_row(i);
	return 0;
}

static int forget_rows(void **state)
{
	(void)state;
	for (int slot = 0; slot < SLOTS; slot++) {
		free(columns[slot].null);
		free(columns[slot].data);
	}
	return 0;
}

/* ---- trees ---- */

enum op {
	OP_CONST, OP_FIELD, OP_NONE, OP_NOT, OP_AND, OP_OR, OP_EQ, OP_NE, OP_LT, OP_LE, OP_GT, OP_GE, OP_IS_NULL, OP_IS_THERE, OP_IF, OP_IF_NULL, OP_IN,
	OP_KIND_IS, OP_CONTAINS, OP_STARTS, OP_ENDS, OP_MATCHES, OP_ADD, OP_SUB, OP_MUL, OP_DIV, OP_REST, OP_NEG, OP_MIN, OP_MAX, OP_ABS, OP_FLOOR, OP_CEIL,
	OP_SQRT, OP_LENGTH, OP_INT, OP_DOUBLE, OP_HOUR, OP_DAY, OP_WEEKDAY, OP_LOWER, OP_UPPER, OP_SUBSTRING, OP_TEXT, OPS,
};
/* How it is written: %1 %2 %3 are the children. Level: binds tighter than lower ones; 9 needs no parentheses ever. */
static const struct {
	const char *text;
	int level;
} writing[OPS] = {
	[OP_NOT] = { "!%1", 7 }, [OP_AND] = { "%1 && %2", 2 }, [OP_OR] = { "%1||%2", 1 }, [OP_EQ] = { "%1 == %2", 3 }, [OP_NE] = { "%1 != %2", 3 },
	[OP_LT] = { "%1<%2", 3 }, [OP_LE] = { "%1 <= %2", 3 }, [OP_GT] = { "%1 > %2", 3 }, [OP_GE] = { "%1>=%2", 3 }, [OP_IS_NULL] = { "%1 == null", 3 },
	[OP_IS_THERE] = { "%1 != null", 3 }, [OP_IF] = { "%1 ? %2 : %3", 0 }, [OP_IF_NULL] = { "if_null(%1, %2)", 9 }, [OP_CONTAINS] = { "contains(%1, %2)", 9 },
	[OP_STARTS] = { "starts_with(%1, %2)", 9 }, [OP_ENDS] = { "ends_with(%1,%2)", 9 }, [OP_MATCHES] = { "matches(%1, %2)", 9 }, [OP_ADD] = { "%1 + %2", 4 },
	[OP_SUB] = { "%1 - %2", 4 }, [OP_MUL] = { "%1*%2", 5 }, [OP_DIV] = { "%1 / %2", 5 }, [OP_REST] = { "%1 % %2", 5 }, [OP_NEG] = { "-%1", 7 },
	[OP_MIN] = { "min(%1, %2)", 9 }, [OP_MAX] = { "max(%1, %2)", 9 }, [OP_ABS] = { "abs(%1)", 9 }, [OP_FLOOR] = { "floor(%1)", 9 }, [OP_CEIL] = { "ceil( %1 )", 9 },
	[OP_SQRT] = { "sqrt(%1)", 9 }, [OP_LENGTH] = { "length(%1)", 9 }, [OP_INT] = { "int(%1)", 9 }, [OP_DOUBLE] = { "double(%1)", 9 }, [OP_HOUR] = { "hour(%1)", 9 },
	[OP_DAY] = { "day(%1)", 9 }, [OP_WEEKDAY] = { "day_of_week(%1)", 9 }, [OP_LOWER] = { "lower(%1)", 9 }, [OP_UPPER] = { "upper(%1)", 9 },
	[OP_SUBSTRING] = { "substring(%1, %2, %3)", 9 }, [OP_TEXT] = { "text(%1)", 9 }, [OP_IN] = { "%1 in [%2, %3]", 3 },
};

struct value {
	uint8_t type;       /* BOOL, INT, DOUBLE, STRING */
	bool null;
	int64_t i;          /* also bool */
	double d;
	struct leat_bytes s;
};
struct term {
	enum op op;
	uint8_t type;
	int slot;
	struct value value;
	struct term *child[3];
};
static struct term terms[TERMS];
static size_t term_count;

static struct term *make(enum op op, uint8_t type, struct term *a, struct term *b, struct term *c)
{
	assert_true(term_count < TERMS);
	struct term *term = &terms[term_count++];
	*term = (struct term){ .op = op, .type = type, .child = { a, b, c } };
	return term;
}

static struct term *constant(uint8_t type)
{
	struct term *term = make(OP_CONST, type, NULL, NULL, NULL);
	term->value = (struct value){ .type = type };
	if (type == LEAT_BOOL)
		term->value.i = (int64_t)draw(2);
	else if (type == LEAT_INT)
		term->value.i = draw(3) ? (int64_t)draw(12) - 2 : ints[draw(LEAT_COUNT_OF(ints))];
	else if (type == LEAT_DOUBLE)
		term->value.d = reals[draw(LEAT_COUNT_OF(reals))];
	else
		term->value.s = leat_text(words[draw(LEAT_COUNT_OF(words))]);
	return term;
}

static struct term *leaf(uint8_t type)
{
	static const int first[LEAT_TYPES] = { [LEAT_BOOL] = FLAG, [LEAT_INT] = COUNT, [LEAT_DOUBLE] = PRICE, [LEAT_STRING] = NAME };
	uint64_t choice = draw(12);
	if (choice == 0)
		return make(OP_NONE, type, NULL, NULL, NULL);
	if (choice < 4)
		return constant(type);
	struct term *term = make(OP_FIELD, type, NULL, NULL, NULL);
	term->slot = first[type] + (int)draw(2);
	if (type == LEAT_DOUBLE && choice == 4)
		term->slot = SHARE;
	if (type == LEAT_STRING && choice == 4)
		term->slot = KIND;
	return term;
}

static struct term *grow(uint8_t type, int depth);

static struct term *grow_bool(int depth)
{
	static const enum op compare[] = { OP_EQ, OP_NE, OP_LT, OP_LE, OP_GT, OP_GE }, find[] = { OP_CONTAINS, OP_STARTS, OP_ENDS };
	static const uint8_t types[] = { LEAT_INT, LEAT_DOUBLE, LEAT_STRING };
	uint64_t choice = draw(13);
	uint8_t type = types[draw(3)];
	if (choice < 4)
		return make(choice < 2 ? OP_AND : OP_OR, LEAT_BOOL, grow(LEAT_BOOL, depth), grow(LEAT_BOOL, depth), NULL);
	if (choice < 7)
		return make(compare[draw(6)], LEAT_BOOL, grow(type, depth), grow(type, depth), NULL);
	if (choice == 7)
		return make(compare[draw(6)], LEAT_BOOL, grow(LEAT_INT, depth), grow(LEAT_DOUBLE, depth), NULL);
	if (choice == 8)
		return make(compare[draw(2)], LEAT_BOOL, grow(LEAT_BOOL, depth), grow(LEAT_BOOL, depth), NULL);
	if (choice == 9)
		return make(draw(2) ? OP_IS_NULL : OP_IS_THERE, LEAT_BOOL, grow(type, depth), NULL, NULL);
	if (choice == 10)
		return make(OP_IN, LEAT_BOOL, grow(type, depth), constant(type), constant(type));
	if (choice == 11)
		return make(find[draw(3)], LEAT_BOOL, grow(LEAT_STRING, depth), grow(LEAT_STRING, depth), NULL);
	if (draw(2))
		return make(OP_NOT, LEAT_BOOL, grow(LEAT_BOOL, depth), NULL, NULL);
	struct term *pattern = constant(LEAT_STRING);
	pattern->value.s = leat_text(globs[draw(LEAT_COUNT_OF(globs))]);
	return make(OP_MATCHES, LEAT_BOOL, grow(LEAT_STRING, depth), pattern, NULL);
}

static struct term *grow_number(uint8_t type, int depth)
{
	static const enum op two[] = { OP_ADD, OP_SUB, OP_MUL, OP_DIV, OP_REST, OP_MIN, OP_MAX };
	static const enum op real[] = { OP_NEG, OP_ABS, OP_FLOOR, OP_CEIL, OP_SQRT };
	static const enum op of_time[] = { OP_HOUR, OP_DAY, OP_WEEKDAY, OP_NEG, OP_ABS };
	if (draw(3))
		return make(two[draw(7)], type, grow(type, depth), grow(type == LEAT_DOUBLE && draw(3) == 0 ? LEAT_INT : type, depth), NULL);
	if (type == LEAT_DOUBLE)
		return draw(6) ? make(real[draw(5)], type, grow(type, depth), NULL, NULL) : make(OP_DOUBLE, type, grow(LEAT_INT, depth), NULL, NULL);
	if (draw(2))
		return make(of_time[draw(5)], type, grow(type, depth), NULL, NULL);
	if (draw(2))
		return make(OP_LENGTH, type, grow(LEAT_STRING, depth), NULL, NULL);
	return make(OP_INT, type, grow(draw(3) ? LEAT_DOUBLE : LEAT_BOOL, depth), NULL, NULL);
}

static struct term *grow_text(int depth)
{
	uint64_t choice = draw(6);
	if (choice < 2)
		return make(OP_ADD, LEAT_STRING, grow(LEAT_STRING, depth), grow(LEAT_STRING, depth), NULL);
	if (choice < 4)
		return make(choice == 2 ? OP_LOWER : OP_UPPER, LEAT_STRING, grow(LEAT_STRING, depth), NULL, NULL);
	if (choice == 4)
		return make(OP_SUBSTRING, LEAT_STRING, grow(LEAT_STRING, depth), grow(LEAT_INT, depth), grow(LEAT_INT, depth));
	return make(OP_TEXT, LEAT_STRING, grow(draw(2) ? LEAT_INT : LEAT_BOOL, depth), NULL, NULL);
}

static struct term *grow(uint8_t type, int depth)
{
	if (depth == 0 || draw(6) == 0)
		return leaf(type);
	if (draw(7) == 0)
		return make(OP_IF, type, grow(LEAT_BOOL, depth - 1), grow(type, depth - 1), grow(type, depth - 1));
	if (draw(10) == 0)
		return make(OP_IF_NULL, type, grow(type, depth - 1), grow(type, depth - 1), NULL);
	return type == LEAT_BOOL ? grow_bool(depth - 1) : type == LEAT_STRING ? grow_text(depth - 1) : grow_number(type, depth - 1);
}

/* ---- as text ---- */

static int level_of(const struct term *term)
{
	return term->op == OP_CONST || term->op == OP_FIELD || term->op == OP_NONE ? 9 : writing[term->op].level;
}

static void write_constant(FILE *out, const struct value *value)
{
	char number[40];
	if (value->type == LEAT_BOOL)
		fprintf(out, "%s", value->i ? "true" : "false");
	if (value->type == LEAT_INT)
		fprintf(out, "%lld", (long long)value->i);
	if (value->type == LEAT_STRING)
		fprintf(out, draw(2) ? "'%.*s'" : "\"%.*s\"", (int)value->s.length, (const char *)value->s.data);
	if (value->type != LEAT_DOUBLE)
		return;
	snprintf(number, sizeof number, "%.17g", value->d);
	fprintf(out, "%s%s", number, strpbrk(number, ".e") ? "" : ".0");
}

static void write_term(FILE *out, const struct term *term);

static void write_child(FILE *out, const struct term *term, int which)
{
	const struct term *child = term->child[which];
	int least = level_of(term) + ((which > 0 && level_of(term) < 7) || term->op == OP_IF);      /* all are left-associative but ?: */
	bool inside = level_of(term) == 9 || (term->op == OP_IF && which > 0) || (term->op == OP_IN && which > 0);
	bool braces = !inside && level_of(child) < least;
	fputs(braces ? "(" : "", out);
	write_term(out, child);
	fputs(braces ? ")" : "", out);
}

static void write_term(FILE *out, const struct term *term)
{
	static const char *const nothing[LEAT_TYPES] = { [LEAT_BOOL] = "(true && null)", [LEAT_INT] = "(1 / 0)", [LEAT_DOUBLE] = "(1 / 0.0)", [LEAT_STRING] = "substring('', -1, 0)" };
	if (term->op == OP_CONST)
		write_constant(out, &term->value);
	else if (term->op == OP_NONE)
		fputs(nothing[term->type], out);
	else if (term->op == OP_FIELD)
		fprintf(out, term->slot == KIND ? "text(%s)" : "%s", layout.fields[term->slot].name);
	else
		for (const char *c = writing[term->op].text; *c; c++) {
			if (*c == '%' && c[1] >= '1' && c[1] <= '3')
				write_child(out, term, *++c - '1');
			else
				fputc(*c, out);
		}
}

/* ---- the second evaluator ---- */

static uint8_t pool[POOL];
static size_t pool_used;
static const struct value nothing_at_all = { .null = true };

static struct value walk(const struct term *term, size_t row);

static struct value of_int(int64_t i)
{
	return (struct value){ .type = LEAT_INT, .i = i };
}

static struct value of_bool(bool b)
{
	return (struct value){ .type = LEAT_BOOL, .i = b };
}

static struct value of_double(double d)
{
	return (struct value){ .type = LEAT_DOUBLE, .d = d, .null = isnan(d) || isinf(d) };
}

static struct value of_text(struct leat_bytes s)
{
	return (struct value){ .type = LEAT_STRING, .s = s };
}

static uint8_t *room(size_t size)
{
	assert_true(pool_used + size <= POOL);
	pool_used += size;
	return pool + pool_used - size;
}

static struct value field_value(const struct term *term, size_t row)
{
	const struct leat_column *column = &columns[term->slot];
	if (column->null[row])
		return nothing_at_all;
	if (term->type == LEAT_BOOL)
		return of_bool(column->bools[row]);
	if (term->type == LEAT_INT)
		return of_int(column->ints[row]);
	if (term->type == LEAT_STRING)
		return of_text(term->slot == KIND ? leat_text(symbols[column->ints[row]]) : column->bytes[row]);
	/* A field may hold NaN; only arithmetic turns it into null. */
	return (struct value){ .type = LEAT_DOUBLE, .d = term->slot == SHARE ? (double)column->floats[row] : column->doubles[row] };
}

static double real_of(struct value value)
{
	return value.type == LEAT_INT ? (double)value.i : value.d;
}

static int order_text(struct leat_bytes a, struct leat_bytes b)
{
	for (size_t i = 0; i < a.length && i < b.length; i++)
		if (a.data[i] != b.data[i])
			return a.data[i] < b.data[i] ? -1 : 1;
	return a.length < b.length ? -1 : a.length > b.length;
}

static bool compare(enum op op, struct value a, struct value b)
{
	if (a.type == LEAT_DOUBLE || b.type == LEAT_DOUBLE) {
		double x = real_of(a), y = real_of(b);
		return op == OP_EQ ? x == y : op == OP_NE ? x != y : op == OP_LT ? x < y : op == OP_LE ? x <= y : op == OP_GT ? x > y : x >= y;
	}
	int order = a.type == LEAT_STRING ? order_text(a.s, b.s) : (a.i > b.i) - (a.i < b.i);
	return op == OP_EQ ? order == 0 : op == OP_NE ? order != 0 : op == OP_LT ? order < 0 : op == OP_LE ? order <= 0 : op == OP_GT ? order > 0 : order >= 0;
}

__extension__ typedef __int128 wide;

static struct value int_arithmetic(enum op op, wide a, wide b)
{
	if ((op == OP_DIV || op == OP_REST) && b == 0)
		return nothing_at_all;
	wide result = op == OP_ADD ? a + b : op == OP_SUB ? a - b : op == OP_MUL ? a * b : op == OP_DIV ? a / b : op == OP_REST ? a % b : op == OP_MIN ? (a < b ? a : b) : (a > b ? a : b);
	return result > INT64_MAX || result < INT64_MIN ? nothing_at_all : of_int((int64_t)result);
}

static struct value real_arithmetic(enum op op, double a, double b)
{
	if (isnan(a) || isnan(b))
		return nothing_at_all;
	return of_double(op == OP_ADD ? a + b : op == OP_SUB ? a - b : op == OP_MUL ? a * b : op == OP_DIV ? a / b : op == OP_REST ? fmod(a, b) : op == OP_MIN ? fmin(a, b) : fmax(a, b));
}

static struct value joined(struct leat_bytes a, struct leat_bytes b)
{
	uint8_t *bytes = room(a.length + b.length);
	for (size_t i = 0; i < a.length + b.length; i++)
		bytes[i] = i < a.length ? a.data[i] : b.data[i - a.length];
	return of_text(leat_bytes(bytes, a.length + b.length));
}

static bool lead(uint8_t byte)
{
	return byte < 0x80 || byte >= 0xC0;
}

static struct value cut(struct leat_bytes s, int64_t start, int64_t count)
{
	if (start < 0 || count < 0)
		return nothing_at_all;
	uint8_t *bytes = room(s.length);
	size_t length = 0;
	int64_t character = -1;
	for (size_t i = 0; i < s.length; i++) {
		character += lead(s.data[i]);
		if (character >= start && (wide)character < (wide)start + count)
			bytes[length++] = s.data[i];
	}
	return of_text(leat_bytes(bytes, length));
}

static bool glob(const uint8_t *p, const uint8_t *p_end, const uint8_t *s, const uint8_t *s_end)
{
	if (p == p_end)
		return s == s_end;
	if (*p == '*')
		return glob(p + 1, p_end, s, s_end) || (s < s_end && glob(p, p_end, s + 1, s_end));
	if (s == s_end || (*p != '?' && *p != *s))
		return false;
	for (s++; *p == '?' && s < s_end && !lead(*s);)
		s++;
	return glob(p + 1, p_end, s, s_end);
}

static bool found(enum op op, struct leat_bytes s, struct leat_bytes part)
{
	for (size_t at = 0; at + part.length <= s.length; at++) {
		if (op == OP_STARTS && at > 0)
			break;
		if (op == OP_ENDS && at + part.length != s.length)
			continue;
		if (order_text(leat_bytes(s.data + at, part.length), part) == 0)
			return true;
	}
	return false;
}

static struct value cased(struct leat_bytes s, bool lower)
{
	uint8_t *bytes = room(s.length);
	for (size_t i = 0; i < s.length; i++)
		bytes[i] = lower && s.data[i] >= 'A' && s.data[i] <= 'Z' ? (uint8_t)(s.data[i] + 32) : !lower && s.data[i] >= 'a' && s.data[i] <= 'z' ? (uint8_t)(s.data[i] - 32) : s.data[i];
	return of_text(leat_bytes(bytes, s.length));
}

static struct value one_number(enum op op, struct value a)
{
	wide day = 86400000, i = a.i, shifted = ((i % day) + day) % day, days = (i - shifted) / day;
	if (a.type == LEAT_INT && (op == OP_NEG || op == OP_ABS))
		return op == OP_ABS && i >= 0 ? of_int(a.i) : int_arithmetic(OP_SUB, 0, i);
	if (op == OP_HOUR)
		return of_int((int64_t)(shifted / 3600000));
	if (op == OP_DAY)
		return of_int((int64_t)days);
	if (op == OP_WEEKDAY)
		return of_int((int64_t)(((days + 3) % 7 + 7) % 7 + 1));
	if (op == OP_INT && a.type == LEAT_BOOL)
		return of_int(a.i);
	if (op == OP_INT)
		return a.d >= -9223372036854775808.0 && a.d < 9223372036854775808.0 ? of_int((int64_t)a.d) : nothing_at_all;
	double d = real_of(a);
	return of_double(op == OP_NEG ? -d : op == OP_ABS ? fabs(d) : op == OP_FLOOR ? floor(d) : op == OP_CEIL ? ceil(d) : op == OP_SQRT ? sqrt(d) : d);
}

static struct value written(struct value a)
{
	if (a.type == LEAT_BOOL)
		return of_text(leat_text(a.i ? "true" : "false"));
	char *bytes = (char *)room(24);
	return of_text(leat_bytes(bytes, (size_t)snprintf(bytes, 24, "%lld", (long long)a.i)));
}

static struct value logic(const struct term *term, size_t row)
{
	struct value a = walk(term->child[0], row), b = walk(term->child[1], row);
	bool decisive = term->op == OP_OR;
	if ((!a.null && (a.i != 0) == decisive) || (!b.null && (b.i != 0) == decisive))
		return of_bool(decisive);
	return a.null || b.null ? nothing_at_all : of_bool(!decisive);
}

/* Operators that look at null themselves; *done says whether it was one. */
static struct value walk_special(const struct term *term, size_t row, bool *done)
{
	*done = true;
	if (term->op == OP_AND || term->op == OP_OR)
		return logic(term, row);
	if (term->op == OP_IS_NULL || term->op == OP_IS_THERE)
		return of_bool(walk(term->child[0], row).null == (term->op == OP_IS_NULL));
	if (term->op == OP_IF) {
		struct value condition = walk(term->child[0], row);
		return condition.null ? nothing_at_all : walk(term->child[condition.i ? 1 : 2], row);
	}
	if (term->op == OP_IF_NULL) {
		struct value first = walk(term->child[0], row);
		return first.null ? walk(term->child[1], row) : first;
	}
	*done = false;
	return nothing_at_all;
}

static struct value walk_text(enum op op, const struct value *v)
{
	int64_t length = 0;
	if (op == OP_MATCHES)
		return of_bool(glob(v[1].s.data, v[1].s.data + v[1].s.length, v[0].s.data, v[0].s.data + v[0].s.length));
	if (op == OP_LOWER || op == OP_UPPER)
		return cased(v[0].s, op == OP_LOWER);
	if (op == OP_SUBSTRING)
		return cut(v[0].s, v[1].i, v[2].i);
	if (op != OP_LENGTH)
		return of_bool(found(op, v[0].s, v[1].s));
	for (size_t i = 0; i < v[0].s.length; i++)
		length += lead(v[0].s.data[i]);
	return of_int(length);
}

static struct value walk(const struct term *term, size_t row)
{
	bool done = false;
	struct value v[3] = { 0 };
	if (term->op == OP_CONST)
		return term->value;
	if (term->op == OP_NONE)
		return nothing_at_all;
	if (term->op == OP_FIELD)
		return field_value(term, row);
	struct value special = walk_special(term, row, &done);
	if (done)
		return special;
	for (int i = 0; i < 3 && term->child[i]; i++) {
		v[i] = walk(term->child[i], row);
		if (v[i].null)
			return nothing_at_all;
	}
	if (term->op == OP_NOT)
		return of_bool(!v[0].i);
	if (term->op >= OP_EQ && term->op <= OP_GE)
		return of_bool(compare(term->op, v[0], v[1]));
	if (term->op == OP_IN)
		return of_bool(compare(OP_EQ, v[0], v[1]) || compare(OP_EQ, v[0], v[2]));
	if (term->op == OP_ADD && term->type == LEAT_STRING)
		return joined(v[0].s, v[1].s);
	if (term->op == OP_TEXT)
		return written(v[0]);
	if (v[0].type == LEAT_STRING)
		return walk_text(term->op, v);
	if (!term->child[1])
		return one_number(term->op, v[0]);
	return term->type == LEAT_INT ? int_arithmetic(term->op, v[0].i, v[1].i) : real_arithmetic(term->op, real_of(v[0]), real_of(v[1]));
}

/* ---- the two beside each other ---- */

static bool same(const struct leat_column *column, size_t row, struct value wanted)
{
	if (wanted.null || column->null[row])
		return wanted.null == (column->null[row] != 0);
	if (column->type == LEAT_BOOL)
		return column->bools[row] == wanted.i;
	if (column->type == LEAT_INT)
		return column->ints[row] == wanted.i;
	if (column->type == LEAT_STRING)
		return order_text(column->bytes[row], wanted.s) == 0;
	double has = column->type == LEAT_FLOAT ? (double)column->floats[row] : column->doubles[row], wants = real_of(wanted);
	return has == wants || (isnan(has) && isnan(wants));
}

/* Few rows or many, together or far apart. */
static size_t choose_rows(uint16_t *row)
{
	size_t count = 0, every = 1 + draw(3) * draw(20);
	size_t first = draw(LEAT_BATCH_MAX), end = first + 1 + draw(LEAT_BATCH_MAX - first);
	for (size_t i = first; i < end; i++)
		if (draw(every) == 0)
			row[count++] = (uint16_t)i;
	if (count == 0)
		row[count++] = (uint16_t)first;
	return count;
}

static size_t compare_rows(const char *text, const struct term *term, const struct leat_expression *expression, struct leat_arena *arena)
{
	uint16_t row[LEAT_BATCH_MAX];
	struct leat_batch batch = { .row = row, .count = choose_rows(row), .columns = columns };
	const struct leat_column *column = leat_expression_run(expression, &batch, arena);
	size_t present = 0;
	assert_non_null(column);
	for (size_t at = 0; at < batch.count; at++) {
		pool_used = 0;
		struct value wanted = walk(term, row[at]);
		if (!same(column, row[at], wanted))
			fail_msg("%s\n  row %u of %zu: null %d, wants %s %lld %.17g", text, row[at], batch.count, column->null[row[at]], wanted.null ? "null" : "value",
				 (long long)wanted.i, wanted.d);
		present += !wanted.null;
	}
	return present * 2 > batch.count;
}

static void columns_give_what_a_walk_over_the_tree_gives(void **state)
{
	(void)state;
	static const uint8_t types[] = { LEAT_BOOL, LEAT_INT, LEAT_DOUBLE, LEAT_STRING };
	struct leat_arena *arena = NULL;
	size_t present = 0, compiled = 0;
	assert_int_equal(leat_arena_open(&arena, 1 << 18), 0);
	for (uint64_t number = 0; number < EXPRESSIONS; number++) {
		char text[LINE * 4] = "";
		struct leat_expression *expression = NULL;
		struct leat_fault fault = { 0 };
		seed = leat_mix(number);
		term_count = 0;
		uint8_t type = types[number % 4];
		struct term *term = grow(type, 1 + (int)(number % DEPTH));
		FILE *out = fmemopen(text, sizeof text, "w");
		write_term(out, term);
		fclose(out);
		if (strlen(text) > LINE)
			continue;
		if (leat_expression_compile(&expression, text, &layout, LEAT_TYPE_BIT(type), &fault) < 0)
			fail_msg("%s\n  %s", text, fault.text);
		present += compare_rows(text, term, expression, arena);
		leat_expression_free(expression);
		leat_arena_reset(arena);
		compiled++;
	}
	leat_arena_close(arena);
	assert_true(compiled > EXPRESSIONS * 9 / 10);
	assert_true(present > EXPRESSIONS / 3);        /* not everything is null */
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(columns_give_what_a_walk_over_the_tree_gives) };
	return cmocka_run_group_tests(tests, given_rows, forget_rows);
}
