/* Expressions: what they give, what they refuse, and with which words. */
#include "stream/expression.h"
#include "stream/operator.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

/* ---- given: five rows of every type at [row], row 4 all null, noise in between ---- */

enum { ROWS = 5, MS_HOUR = 3600000 };
static const uint16_t dense[ROWS] = { 0, 1, 2, 3, 4 };
static const uint16_t sparse[ROWS] = { 3, 90, 91, 300, 511 };
static const uint16_t near[ROWS] = { 7, 9, 12, 20, 22 };

static const char *const symbols[] = { "VIEW", "CLICK", "PURCHASE", NULL };
static const char *const other_symbols[] = { "PURCHASE", "VIEW", NULL };

enum { PRICE, QUANTITY, TYPE, BEFORE, NAME, ACTIVE, RATIO, TAGS, WEIGHTS, VECTOR, RAW, TS, BIG, DOTTED, SLOTS };
static const struct leat_layout layout = {
	.count = SLOTS,
	.fields = {
		[PRICE] = { .name = "price", .type = LEAT_DOUBLE, .width = 1 },
		[QUANTITY] = { .name = "quantity", .type = LEAT_INT, .width = 1 },
		[TYPE] = { .name = "type", .type = LEAT_ENUM, .width = 1, .symbols = symbols },
		[BEFORE] = { .name = "before", .type = LEAT_ENUM, .width = 1, .symbols = other_symbols },
		[NAME] = { .name = "name", .type = LEAT_STRING, .width = 1 },
		[ACTIVE] = { .name = "active", .type = LEAT_BOOL, .width = 1 },
		[RATIO] = { .name = "ratio", .type = LEAT_FLOAT, .width = 1 },
		[TAGS] = { .name = "tags", .type = LEAT_STRINGS, .width = 1 },
		[WEIGHTS] = { .name = "weights", .type = LEAT_FLOATS, .width = 1 },
		[VECTOR] = { .name = "vector", .type = LEAT_VECTOR, .width = 3 },
		[RAW] = { .name = "raw", .type = LEAT_BYTES, .width = 1 },
		[TS] = { .name = "ts", .type = LEAT_INT, .width = 1 },
		[BIG] = { .name = "big", .type = LEAT_INT, .width = 1 },
		[DOTTED] = { .name = "shop.id", .type = LEAT_INT, .width = 1 },
	},
};

static const double prices[] = { 10.5, -2, 0, 1e308 };
static const int64_t quantities[] = { 3, -7, 0, 100 };
static const int64_t types[] = { 2, 0, 1, 2 };
static const int64_t befores[] = { 0, 1, 0, 1 };
static const char *const names[] = { "Zo\303\253", "", "abc", "a*b?" };
static const uint8_t actives[] = { 1, 0, 1, 0 };
static const float ratios[] = { 0.5f, 2, -1, 0 };
static const struct leat_bytes tag_items[] = { { (const uint8_t *)"new", 3 }, { (const uint8_t *)"sale", 4 } };
static const struct leat_list tags[] = { { tag_items, 2 }, { tag_items, 0 }, { tag_items + 1, 1 }, { tag_items, 1 } };
static const float weight_items[] = { 1, 2, 2 };
static const struct leat_list weights[] = { { weight_items, 3 }, { weight_items, 2 }, { weight_items, 0 }, { weight_items, 3 } };
static const float vectors[][3] = { { 1, 0, 0 }, { 0, 3, 4 }, { 1, 2, 2 }, { 0, 0, 0 } };
/* 2024-03-31 00:30 and 01:30 UTC lie on both sides of the change to summer time in Berlin. */
static const int64_t times[] = { 1711845000000, 1711848600000, -1, 0 };
static const int64_t bigs[] = { INT64_MAX, INT64_MIN, -1, 4 };

struct given {
	struct leat_column columns[SLOTS];
	struct leat_batch batch;
	struct leat_arena *arena;
};

static const void *value_of(int slot, size_t at, struct leat_bytes *text)
{
	*text = leat_text(names[at]);
	const void *const values[SLOTS] = {
		[PRICE] = &prices[at], [QUANTITY] = &quantities[at], [TYPE] = &types[at], [BEFORE] = &befores[at], [NAME] = text,
		[ACTIVE] = &actives[at], [RATIO] = &ratios[at], [TAGS] = &tags[at], [WEIGHTS] = &weights[at], [VECTOR] = vectors[at],
		[RAW] = text, [TS] = &times[at], [BIG] = &bigs[at], [DOTTED] = &quantities[at],
	};
	return values[slot];
}

static size_t size_of(int slot)
{
	static const size_t sizes[LEAT_TYPES] = {
		[LEAT_BOOL] = 1, [LEAT_INT] = 8, [LEAT_ENUM] = 8, [LEAT_FLOAT] = 4, [LEAT_DOUBLE] = 8, [LEAT_VECTOR] = 12,
		[LEAT_STRING] = sizeof(struct leat_bytes), [LEAT_BYTES] = sizeof(struct leat_bytes),
		[LEAT_STRINGS] = sizeof(struct leat_list), [LEAT_FLOATS] = sizeof(struct leat_list),
	};
	return sizes[layout.fields[slot].type];
}

static void given_column(struct given *given, int slot, const uint16_t *row)
{
	struct leat_column *column = &given->columns[slot];
	size_t size = size_of(slot);
	*column = (struct leat_column){ .type = layout.fields[slot].type, .width = layout.fields[slot].width };
	column->null = malloc(LEAT_BATCH_MAX);
	column->data = malloc(LEAT_BATCH_MAX * size);
	memset(column->null, 0xA5, LEAT_BATCH_MAX);
	memset(column->data, 0xA5, LEAT_BATCH_MAX * size);
	for (size_t at = 0; at < ROWS; at++) {
		struct leat_bytes text;
		column->null[row[at]] = at == ROWS - 1 ? 7 : 0;
		memset((char *)column->data + row[at] * size, 0, size);
		if (at < ROWS - 1)
			memcpy((char *)column->data + row[at] * size, value_of(slot, at, &text), size);
	}
}

static struct given *given_rows(const uint16_t *row)
{
	struct given *given = calloc(1, sizeof *given);
	for (int slot = 0; slot < SLOTS; slot++)
		given_column(given, slot, row);
	given->batch = (struct leat_batch){ .row = row, .count = ROWS, .columns = given->columns };
	assert_int_equal(leat_arena_open(&given->arena, 1 << 16), 0);
	return given;
}

static void forget(struct given *given)
{
	for (int slot = 0; slot < SLOTS; slot++) {
		free(given->columns[slot].null);
		free(given->columns[slot].data);
	}
	leat_arena_close(given->arena);
	free(given);
}

/* ---- then: the values of the five rows, separated by blanks ---- */

static void show_list(FILE *out, const struct leat_column *column, const struct leat_list *list)
{
	for (size_t i = 0; i < list->count; i++) {
		const struct leat_bytes *text = (const struct leat_bytes *)list->items + i;
		if (column->type == LEAT_STRINGS)
			fprintf(out, "%s%.*s", i ? "," : "[", (int)text->length, (const char *)text->data);
		else
			fprintf(out, "%s%.10g", i ? "," : "[", (double)((const float *)list->items)[i]);
	}
	fprintf(out, "%s", list->count ? "]" : "[]");
}

static bool is_zero(const void *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if (((const char *)bytes)[i])
			return false;
	return true;
}

static void show(FILE *out, const struct leat_column *column, size_t row)
{
	if (column->null[row])
		fprintf(out, "null");
	else if (column->type == LEAT_BOOL)
		fprintf(out, "%s", column->bools[row] == 1 ? "true" : column->bools[row] == 0 ? "false" : "neither");
	else if (column->type == LEAT_INT || column->type == LEAT_ENUM)
		fprintf(out, "%lld", (long long)column->ints[row]);
	else if (column->type == LEAT_DOUBLE)
		fprintf(out, "%.10g", column->doubles[row]);
	else if (column->type == LEAT_FLOAT)
		fprintf(out, "%.10g", (double)column->floats[row]);
	else if (column->type == LEAT_STRING || column->type == LEAT_BYTES)
		fprintf(out, "'%.*s'", (int)column->bytes[row].length, (const char *)column->bytes[row].data);
	else
		show_list(out, column, &column->lists[row]);
}

static void shown(const struct given *given, const char *text, const char *then)
{
	struct leat_expression *expression = NULL;
	struct leat_fault fault = { 0 };
	char *line = NULL;
	size_t length = 0;
	FILE *out = open_memstream(&line, &length);
	if (leat_expression_compile(&expression, text, &layout, 0, &fault) < 0)
		fail_msg("%s: %s", text, fault.text);
	const struct leat_column *column = leat_expression_run(expression, &given->batch, given->arena);
	assert_non_null(column);
	assert_int_equal(column->type, leat_expression_type(expression));
	for (size_t at = 0; at < ROWS; at++) {
		size_t row = given->batch.row[at];
		size_t size = column->type == LEAT_BOOL ? 1 : column->type == LEAT_FLOAT ? 4 : column->type == LEAT_INT || column->type == LEAT_DOUBLE || column->type == LEAT_ENUM ? 8 : 16;
		if (column->null[row] && column->type != LEAT_VECTOR)
			assert_true(is_zero((const char *)column->data + row * size, size));
		fprintf(out, at > 0 ? " " : "");
		show(out, column, row);
	}
	fclose(out);
	if (strcmp(line, then) != 0)
		fail_msg("%s\n  gives %s\n  wants %s", text, line, then);
	free(line);
	leat_expression_free(expression);
}

struct example {
	const char *text, *then;
};

static void examples(const struct example *example, size_t count)
{
	const uint16_t *const selections[] = { dense, near, sparse };
	for (size_t s = 0; s < LEAT_COUNT_OF(selections); s++) {
		struct given *given = given_rows(selections[s]);
		for (size_t i = 0; i < count; i++)
			shown(given, example[i].text, example[i].then);
		forget(given);
	}
}
#define EXAMPLES(...)                                                                  \
	do {                                                                           \
		static const struct example list[] = { __VA_ARGS__ };                  \
		examples(list, LEAT_COUNT_OF(list));                                   \
	} while (0)

/* ---- values ---- */

static void fields_are_themselves(void **state)
{
	(void)state;
	EXAMPLES({ "price", "10.5 -2 0 1e+308 null" }, { "quantity", "3 -7 0 100 null" }, { "type", "2 0 1 2 null" }, { "ratio", "0.5 2 -1 0 null" },
		 { "name", "'Zo\303\253' '' 'abc' 'a*b?' null" }, { "tags", "[new,sale] [] [sale] [new] null" }, { "weights", "[1,2,2] [1,2] [] [1,2,2] null" },
		 { "shop.id", "3 -7 0 100 null" }, { "((active))", "true false true false null" });
}

static void constants_stand_in_every_row(void **state)
{
	(void)state;
	EXAMPLES({ "1 + 2 * 3", "7 7 7 7 7" }, { "'a' + \"b\"", "'ab' 'ab' 'ab' 'ab' 'ab'" }, { "true", "true true true true true" },
		 { "1.5e1", "15 15 15 15 15" }, { "1/0", "null null null null null" }, { "-9223372036854775808", "-9223372036854775808 -9223372036854775808 -9223372036854775808 -9223372036854775808 -9223372036854775808" },
		 { "1.0/0.0 == null", "true true true true true" }, { "'it\\'s\\n\\\\'", "'it's\n\\' 'it's\n\\' 'it's\n\\' 'it's\n\\' 'it's\n\\'" },
		 { "length(lower(\"ABC\"))", "3 3 3 3 3" });
}

static void ints_stay_ints_and_overflow_is_null(void **state)
{
	(void)state;
	EXAMPLES({ "quantity + 1", "4 -6 1 101 null" }, { "1 - quantity", "-2 8 1 -99 null" }, { "quantity * quantity", "9 49 0 10000 null" },
		 { "quantity / 2", "1 -3 0 50 null" }, { "quantity % 4", "3 -3 0 0 null" }, { "10 / quantity", "3 -1 null 0 null" },
		 { "10 % quantity", "1 3 null 10 null" }, { "big + 1", "null -9223372036854775807 0 5 null" }, { "big - 1", "9223372036854775806 null -2 3 null" },
		 { "big * 2", "null null -2 8 null" }, { "-big", "-9223372036854775807 null 1 -4 null" }, { "big / -1", "-9223372036854775807 null 1 -4 null" },
		 { "big % -1", "0 0 0 0 null" }, { "abs(big)", "9223372036854775807 null 1 4 null" }, { "-quantity", "-3 7 0 -100 null" });
}

static void int_with_double_gives_double_and_infinite_is_null(void **state)
{
	(void)state;
	EXAMPLES({ "price * quantity", "31.5 14 0 null null" }, { "price + 1", "11.5 -1 1 1e+308 null" }, { "1 / price", "0.09523809524 -0.5 null 1e-308 null" },
		 { "price - ratio", "10 -4 1 1e+308 null" }, { "quantity / 2.0", "1.5 -3.5 0 50 null" }, { "price % 4", "2.5 -2 0 0 null" },
		 { "-price", "-10.5 2 -0 -1e+308 null" }, { "ratio * 2", "1 4 -2 0 null" }, { "5 % ratio", "0 1 0 null null" });
}

static void comparisons_with_null_are_null(void **state)
{
	(void)state;
	EXAMPLES({ "price > 1", "true false false true null" }, { "price >= 0.0", "true false true true null" }, { "quantity < 3", "false true true false null" },
		 { "3 <= quantity", "true false false true null" }, { "price == quantity", "false false true false null" }, { "price != -2", "true false true true null" },
		 { "name < 'abc'", "true true false true null" }, { "name <= \"abc\"", "true true true true null" }, { "name > 'a'", "false false true true null" },
		 { "name == ''", "false true false false null" }, { "name != 'abc'", "true true false true null" }, { "active == true", "true false true false null" },
		 { "active != (quantity > 0)", "false false true true null" }, { "raw == raw", "true true true true null" }, { "quantity == null", "false false false false true" },
		 { "tags != null", "true true true true false" }, { "null == vector", "false false false false true" }, { "quantity > null", "null null null null null" });
}

static void logic_is_three_valued(void **state)
{
	(void)state;
	EXAMPLES({ "active && quantity > 1", "true false false false null" }, { "active || quantity > 1", "true false true true null" },
		 { "active && false", "false false false false false" }, { "true || active", "true true true true true" }, { "active && null", "null false null false null" },
		 { "null || active", "true null true null null" }, { "!active", "false true false true null" }, { "!(active && (quantity == null))", "true true true true null" },
		 { "active || quantity == null", "true false true false true" }, { "active && quantity != null", "true false true false false" },
		 { "active && true", "true false true false null" }, { "active ? 1 : 2", "1 2 1 2 null" }, { "quantity == null ? 'none' : name", "'Zo\303\253' '' 'abc' 'a*b?' 'none'" },
		 { "active ? price : quantity", "10.5 -7 0 100 null" }, { "active ? null : type", "null 'VIEW' null 'PURCHASE' null" },
		 { "true ? quantity : big", "3 -7 0 100 null" }, { "(true ? quantity : 0.5) / 2", "1.5 -3.5 0 50 null" }, { "active ? !active : active", "false false false false null" }, { "if_null(quantity, -1)", "3 -7 0 100 -1" },
		 { "if_null(active, false)", "true false true false false" }, { "if_null(type, 'none')", "'PURCHASE' 'VIEW' 'CLICK' 'PURCHASE' 'none'" },
		 { "if_null(1 / quantity, 0.5)", "0 0 0.5 0 0.5" }, { "active ? tags : null", "[new,sale] null [sale] null null" });
}

static void an_enum_compares_with_its_symbols_and_is_text_elsewhere(void **state)
{
	(void)state;
	EXAMPLES({ "type == 'PURCHASE'", "true false false true null" }, { "'VIEW' != type", "true false true true null" }, { "type in ['VIEW', 'CLICK']", "false true true false null" },
		 { "type == before", "true true false false null" }, { "type == type", "true true true true null" }, { "lower(type)", "'purchase' 'view' 'click' 'purchase' null" },
		 { "type == name", "false false false false null" }, { "text(type) == 'x'", "false false false false null" }, { "length(type)", "8 4 5 8 null" }, { "type < 'VIEW'", "true false true true null" });
}

static void membership(void **state)
{
	(void)state;
	EXAMPLES({ "quantity in [3, 100, -1]", "true false false true null" }, { "quantity in [3, 0.5]", "true false false false null" }, { "ratio in [1/2.0, -1]", "true false true false null" },
		 { "name in ['abc', '', 'x']", "false true true false null" }, { "name in ['a','b','c','d','e','f','g','h','i','abc']", "false false true false null" },
		 { "'sale' in tags", "true false true false null" }, { "name in tags", "false false false false null" }, { "type in tags", "false false false false null" },
		 { "2 in weights", "true true false true null" }, { "ratio in vector", "false false false true null" }, { "price in [10.5]", "true false false false null" },
		 { "!(quantity in [3])", "false true true true null" }, { "3 in [1, 2]", "false false false false false" });
}

static void numbers(void **state)
{
	(void)state;
	EXAMPLES({ "min(quantity, 2)", "2 -7 0 2 null" }, { "max(quantity, 2, 50)", "50 50 50 100 null" }, { "min(price, quantity)", "3 -7 0 100 null" },
		 { "abs(price)", "10.5 2 0 1e+308 null" }, { "floor(-price / 4)", "-3 0 -0 -2.5e+307 null" }, { "ceil(price / 4)", "3 -0 0 2.5e+307 null" },
		 { "round(price)", "11 -2 0 1e+308 null" }, { "round(-0.5)", "-1 -1 -1 -1 -1" }, { "round(quantity)", "3 -7 0 100 null" }, { "sqrt(quantity)", "1.732050808 null 0 10 null" },
		 { "exp(ratio)", "1.648721271 7.389056099 0.3678794412 1 null" }, { "log(quantity)", "1.098612289 null null 4.605170186 null" }, { "log10(quantity)", "0.4771212547 null null 2 null" },
		 { "pow(quantity, 2)", "9 49 0 10000 null" }, { "pow(quantity, 0.5)", "1.732050808 null 0 10 null" }, { "exp(quantity * 10)", "1.068647458e+13 3.975449736e-31 1 null null" },
		 { "int(price)", "10 -2 0 null null" }, { "int(-1.9)", "-1 -1 -1 -1 -1" }, { "int(active)", "1 0 1 0 null" }, { "double(quantity)", "3 -7 0 100 null" },
		 { "int('12')", "12 12 12 12 12" }, { "int(name)", "null null null null null" }, { "int('-9223372036854775808') == -9223372036854775808", "true true true true true" },
		 { "int('9223372036854775808')", "null null null null null" }, { "double('-1.5e3')", "-1500 -1500 -1500 -1500 -1500" }, { "double('0x10')", "null null null null null" },
		 { "double('1e999')", "null null null null null" }, { "double('inf')", "null null null null null" });
}

static void texts(void **state)
{
	(void)state;
	EXAMPLES({ "length(name)", "3 0 3 4 null" }, { "length(raw)", "4 0 3 4 null" }, { "upper(name)", "'ZO\303\253' '' 'ABC' 'A*B?' null" }, { "contains(name, 'b')", "false false true true null" },
		 { "contains(name, '')", "true true true true null" }, { "starts_with(name, 'a')", "false false true true null" }, { "ends_with(name, 'bc')", "false false true false null" },
		 { "substring(name, 1, 2)", "'o\303\253' '' 'bc' '*b' null" }, { "substring(name, 2, 9)", "'\303\253' '' 'c' 'b?' null" }, { "substring(name, -1, 1)", "null null null null null" },
		 { "concat(name, '-', type)", "'Zo\303\253-PURCHASE' '-VIEW' 'abc-CLICK' 'a*b?-PURCHASE' null" }, { "name + '!'", "'Zo\303\253!' '!' 'abc!' 'a*b?!' null" },
		 { "text(quantity)", "'3' '-7' '0' '100' null" }, { "text(price)", "'10.5' '-2' '0' '1e+308' null" }, { "text(0.1 + 0.2)", "'0.30000000000000004' '0.30000000000000004' '0.30000000000000004' '0.30000000000000004' '0.30000000000000004'" },
		 { "text(active)", "'true' 'false' 'true' 'false' null" }, { "text(name)", "'Zo\303\253' '' 'abc' 'a*b?' null" });
}

static void globs_match_the_whole_text(void **state)
{
	(void)state;
	EXAMPLES({ "matches(name, '*')", "true true true true null" }, { "matches(name, '')", "false true false false null" }, { "matches(name, 'Zo?')", "true false false false null" },
		 { "matches(name, 'Z*?')", "true false false false null" }, { "matches(name, '?" "?" "?')", "true false true false null" }, { "matches(name, 'a*')", "false false true true null" },
		 { "matches(name, '*b*')", "false false true true null" }, { "matches(name, 'a\\\\*b\\\\?')", "false false false true null" }, { "matches(name, 'a\\\\*')", "false false false false null" },
		 { "matches('aaaaaaaab', 'a*a*a*a*b')", "true true true true true" }, { "matches('aaaaaaaac', '*a*a*a*b*')", "false false false false false" },
		 { "matches('abab', '*ab')", "true true true true true" }, { "matches('\303\253', '?" "?')", "false false false false false" });
}

static void times_and_zones(void **state)
{
	(void)state;
	EXAMPLES({ "hour(ts)", "0 1 23 0 null" }, { "hour_in(ts, 'Europe/Berlin')", "1 3 0 1 null" }, { "hour_in(ts, 'UTC')", "0 1 23 0 null" }, { "day(ts)", "19813 19813 -1 0 null" },
		 { "day_of_week(ts)", "7 7 3 4 null" }, { "day_in(ts, 'America/New_York')", "19812 19812 -1 -1 null" }, { "day_of_week_in(ts, 'America/New_York')", "6 6 3 3 null" },
		 { "hour(big)", "7 16 23 0 null" });
}

static void lists_and_vectors(void **state)
{
	(void)state;
	EXAMPLES({ "size(tags)", "2 0 1 1 null" }, { "size(vector)", "3 3 3 3 null" }, { "size(weights)", "3 2 0 3 null" }, { "at(tags, 0)", "'new' null 'sale' 'new' null" },
		 { "at(vector, quantity - 2)", "0 null null null null" }, { "at(weights, 1)", "2 2 null 2 null" }, { "at(weights, -1)", "null null null null null" }, { "dot(vector, vector)", "1 25 9 0 null" },
		 { "dot(vector, weights)", "1 null null 0 null" }, { "norm(vector)", "1 5 3 0 null" }, { "cosine(vector, weights)", "0.3333333333 null null null null" }, { "cosine(vector, vector)", "1 1 1 null null" });
}

static void hashes_never_change(void **state)
{
	(void)state;
	EXAMPLES({ "hash(quantity)", "1046394712501569526 3895345612152968376 8147104208329303767 1266300714735270562 null" },
		 { "hash(name) == hash(raw)", "true true true true null" }, { "hash('abc')", "1509152287461723672 1509152287461723672 1509152287461723672 1509152287461723672 1509152287461723672" }, { "hash('')", "7043838727467204504 7043838727467204504 7043838727467204504 7043838727467204504 7043838727467204504" }, { "hash(big) >= 0", "true true true true null" }, { "hash(active) == hash(int(active))", "true true true true null" });
}

/* ---- refusals ---- */

static void refused(const char *text, uint32_t wanted, const char *then)
{
	struct leat_expression *expression = (void *)1;
	struct leat_fault fault = { 0 };
	int rc = leat_expression_compile(&expression, text, &layout, wanted, &fault);
	if (rc != LEAT_ECONFIG || strcmp(fault.text, then) != 0)
		fail_msg("%s\n  gives %d %s\n  wants %s", text, rc, fault.text, then);
	assert_null(expression);
}

static void messages_name_the_column_and_the_remedy(void **state)
{
	static const struct example list[] = {
		{ "quantity * (prize)", "column 13: unknown field 'prize'; did you mean 'price'?" },
		{ "completely_other", "column 1: unknown field 'completely_other'" },
		{ "lenght(name)", "column 1: unknown function 'lenght'; did you mean 'length'?" },
		{ "zzz(name)", "column 1: unknown function 'zzz'" },
		{ "name * 2", "column 6: '*' takes (int, int) or (double, double), not (string, int)" },
		{ "-name", "column 1: '-' takes (int) or (double), not (string)" },
		{ "length(1)", "column 1: length() takes (string) or (bytes), not (int)" },
		{ "length(name, 1)", "column 1: length() takes (string) or (bytes), not (string, int)" },
		{ "min(1, 'a')", "column 1: min() takes (int, int, ...) or (double, double, ...), not (int, string)" },
		{ "length()", "column 1: length() takes (string) or (bytes), not ()" },
		{ "active && 1", "column 8: '&&' takes (bool, bool), not (bool, int)" },
		{ "price ? 1 : 2", "column 7: '?:' takes (bool, bool, bool) or (bool, int, int) or (bool, double, double) or (bool, string, string) or (bool, bytes, bytes) or "
				   "(bool, strings, strings) or (bool, floats, floats), not (double, int, int)" },
		{ "type == 'PURCHASES'", "column 9: 'PURCHASES' is no symbol of the enum 'type'; did you mean 'PURCHASE'?" },
		{ "type in ['VIEW', 'buy']", "column 18: 'buy' is no symbol of the enum 'type'" },
		{ "type == 2", "column 6: '==' takes (bool, bool) or (int, int) or (double, double) or (string, string) or (bytes, bytes), not (enum, int)" },
		{ "name in ['a', 1]", "column 15: int in a list that is compared with string" },
		{ "quantity in [quantity]", "column 14: a list after 'in' holds constants only" },
		{ "quantity in [1, null]", "column 17: null in a list; use == null" },
		{ "quantity in []", "column 13: the list is empty" },
		{ "active in [true]", "column 8: 'in [..]' takes int, double, string or enum, not bool" },
		{ "quantity in name", "column 10: 'in' takes (string, strings) or (double, floats), not (int, string)" },
		{ "[1]", "column 1: a list can only stand after 'in'" },
		{ "matches(name, name)", "column 15: the pattern of matches() has to be a constant" },
		{ "matches(name, '0123456789012345678901234567890123456789012345678901234567890123')", "column 15: the pattern of matches() is longer than 63 bytes" },
		{ "hour_in(ts, name)", "column 13: the time zone has to be a constant" },
		{ "hour_in(ts, 'Europe/Berlyn')", "column 13: unknown time zone 'Europe/Berlyn'; /usr/share/zoneinfo/Europe/Berlyn does not exist (package tzdata)" },
		{ "hour_in(ts, '../../../etc/passwd')", "column 13: unknown time zone '../../../etc/passwd'; they look like 'Europe/Berlin'" },
		{ "", "column 1: expected a value, but the text ends" },
		{ "price >", "column 8: expected a value, but the text ends" },
		{ "price > )", "column 9: expected a value, found ')'" },
		{ "price price", "column 7: expected an operator or the end, found 'p'" },
		{ "price = 3", "column 7: expected an operator or the end, found '='" },
		{ "(price", "column 7: expected ')', but the text ends" },
		{ "active ? 1", "column 11: expected ':', but the text ends" },
		{ "min(1 2)", "column 7: expected ',' or ')', found '2'" },
		{ "price > 1\303\244", "column 10: expected an operator or the end, found byte 0xc3" },
		{ "'abc", "column 1: the text that begins here has no closing '" },
		{ "'a\\q'", "column 3: unknown escape; \\n \\r \\t \\\\ \\' \\\" exist" },
		{ "12abc", "column 3: 'a' after a number" },
		{ "1.2.3", "column 4: '.' after a number" },
		{ "1.", "column 1: this is no number" },
		{ "1e", "column 1: this is no number" },
		{ "1e999", "column 1: the number is too large for a double" },
		{ "9223372036854775808", "column 1: the number is too large for an int (64 bits)" },
		{ "null", "column 1: the result is always null" },
		{ "in", "column 1: expected a value before 'in'" },
		{ "min(1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17)", "column 44: more than 16 arguments" },
	};
	(void)state;
	for (size_t i = 0; i < LEAT_COUNT_OF(list); i++)
		refused(list[i].text, 0, list[i].then);
	refused("price", LEAT_TYPE_BIT(LEAT_BOOL), "column 1: the result is double, but has to be bool");
	refused("name", LEAT_TYPE_BIT(LEAT_INT) | LEAT_TYPE_BIT(LEAT_DOUBLE), "column 1: the result is string, but has to be int or double");
}

static char *repeated(const char *head, const char *middle, size_t times_, const char *tail)
{
	char *text = NULL;
	size_t length = 0;
	FILE *out = open_memstream(&text, &length);
	fputs(head, out);
	for (size_t i = 0; i < times_; i++)
		fputs(middle, out);
	fputs(tail, out);
	fclose(out);
	return text;
}

static void limits_are_kept(void **state)
{
	(void)state;
	static const struct {
		const char *head, *middle;
		size_t times;
		const char *tail, *then;
	} list[] = {
		{ "", "(", 65, "1", "column 66: nested deeper than 64" },
		{ "", "!", 100, "true", "column 66: nested deeper than 64" },
		{ "", "abs(", 65, "1", "column 261: nested deeper than 64" },
		{ "", "true ? 1 : ", 65, "1", "column 711: nested deeper than 64" },
		{ "1", "+1", 300, "", "column 512: longer than 512 values and operations" },
		{ "quantity in [1", ",1", 600, "]", "column 1036: longer than 512 values and operations" },
		{ "1", " ", 4096, "", "column 4097: longer than 4096 bytes" },
	};
	for (size_t i = 0; i < LEAT_COUNT_OF(list); i++) {
		char *text = repeated(list[i].head, list[i].middle, list[i].times, list[i].tail);
		refused(text, 0, list[i].then);
		free(text);
	}
	struct given *given = given_rows(dense);
	char *deep = repeated("quantity", " + quantity", 255, "");
	shown(given, deep, "768 -1792 0 25600 null");
	free(deep);
	deep = repeated("", "(quantity + ", 63, "0");
	char *closed = repeated(deep, ")", 63, "");
	shown(given, closed, "189 -441 0 6300 null");
	free(closed);
	free(deep);
	forget(given);
}

static void a_made_text_over_64_kib_is_null(void **state)
{
	(void)state;
	struct given *given = given_rows(dense);
	static char large[(64 << 10) + 1];
	memset(large, 'x', sizeof large);
	for (size_t at = 0; at < ROWS; at++)
		given->columns[NAME].bytes[at] = leat_bytes(large, sizeof large - (at < 2 ? 1 : 0));
	shown(given, "concat(name, '') == null", "false false true true true");
	shown(given, "name + 'x' == null", "true true true true true");
	shown(given, "lower(name) == null", "false false true true true");
	shown(given, "length(concat(name, ''))", "65536 65536 null null null");
	forget(given);
}

/* ---- the rest of the contract ---- */

static void results_widen_to_the_wanted_type(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		uint32_t wanted;
		uint8_t type;
	} list[] = {
		{ "quantity", LEAT_TYPE_BIT(LEAT_DOUBLE), LEAT_DOUBLE },
		{ "quantity", LEAT_TYPE_BIT(LEAT_DOUBLE) | LEAT_TYPE_BIT(LEAT_INT), LEAT_INT },
		{ "1", LEAT_TYPE_BIT(LEAT_DOUBLE), LEAT_DOUBLE },
		{ "ratio", LEAT_TYPE_BIT(LEAT_DOUBLE), LEAT_DOUBLE },
		{ "ratio", 0, LEAT_FLOAT },
		{ "type", LEAT_TYPE_BIT(LEAT_STRING), LEAT_STRING },
		{ "type", 0, LEAT_ENUM },
		{ "vector", LEAT_TYPE_BIT(LEAT_FLOATS), LEAT_FLOATS },
		{ "quantity + 1", LEAT_TYPE_BIT(LEAT_DOUBLE), LEAT_DOUBLE },
	};
	for (size_t i = 0; i < LEAT_COUNT_OF(list); i++) {
		struct leat_expression *expression = NULL;
		assert_int_equal(leat_expression_compile(&expression, list[i].text, &layout, list[i].wanted, NULL), 0);
		assert_int_equal(leat_expression_type(expression), list[i].type);
		struct given *given = given_rows(sparse);
		const struct leat_column *column = leat_expression_run(expression, &given->batch, given->arena);
		assert_int_equal(column->type, list[i].type);
		assert_true(list[i].type != LEAT_DOUBLE || column->doubles[sparse[0]] > 0.25);
		forget(given);
		leat_expression_free(expression);
	}
}

static void a_plain_field_is_not_copied(void **state)
{
	(void)state;
	struct leat_expression *expression = NULL;
	struct given *given = given_rows(dense);
	assert_int_equal(leat_expression_compile(&expression, "price", &layout, 0, NULL), 0);
	assert_ptr_equal(leat_expression_run(expression, &given->batch, given->arena), &given->columns[PRICE]);
	leat_expression_free(expression);
	forget(given);
}

static void an_empty_batch_is_fine(void **state)
{
	(void)state;
	struct leat_expression *expression = NULL;
	struct given *given = given_rows(dense);
	given->batch.count = 0;
	assert_int_equal(leat_expression_compile(&expression, "price * 2 > 1 && lower(name) == 'a'", &layout, 0, NULL), 0);
	assert_non_null(leat_expression_run(expression, &given->batch, given->arena));
	leat_expression_free(expression);
	forget(given);
}

static void note(void *self, int slot)
{
	char *line = self;
	size_t length = strlen(line);
	snprintf(line + length, 256 - length, "%s ", layout.fields[slot].name);
}

static void reads_each_slot_once_and_only_what_matters(void **state)
{
	(void)state;
	static const struct example list[] = {
		{ "price * price > 1 && type == 'VIEW'", "price type " }, { "price", "price " }, { "1 + 1", "" },
		{ "false && active", "" }, { "true ? price : price * quantity", "price " }, { "quantity + null", "" },
	};
	for (size_t i = 0; i < LEAT_COUNT_OF(list); i++) {
		struct leat_expression *expression = NULL;
		char line[256] = "";
		assert_int_equal(leat_expression_compile(&expression, list[i].text, &layout, 0, NULL), 0);
		leat_expression_reads(expression, note, line);
		assert_string_equal(line, list[i].then);
		leat_expression_free(expression);
	}
}

/* A symbol number outside the enum, which a damaged event could carry, is null and not a read beyond the table. */
static void an_enum_without_symbol_is_null(void **state)
{
	(void)state;
	struct given *given = given_rows(dense);
	given->columns[TYPE].ints[0] = 99;
	given->columns[TYPE].ints[1] = -1;
	shown(given, "lower(type)", "null null 'click' 'purchase' null");
	forget(given);
}

static int compile_and_run(const char *text, struct given *given)
{
	struct leat_expression *expression = NULL;
	struct leat_fault fault = { 0 };
	int rc = leat_expression_compile(&expression, text, &layout, 0, &fault);
	if (rc < 0) {
		assert_null(expression);
		assert_int_equal(rc, fault.code);
		return rc;
	}
	struct leat_arena *arena = NULL;
	rc = leat_arena_open(&arena, 64);
	if (rc == 0 && !leat_expression_run(expression, &given->batch, arena))
		rc = LEAT_ENOMEM;
	leat_arena_close(arena);
	leat_expression_free(expression);
	return rc;
}

static void running_out_of_memory_anywhere_is_reported(void **state)
{
	(void)state;
	static const char *const texts_[] = {
		"price * quantity > 100.0 && type == 'PURCHASE'", "concat(lower(name), text(price), text(quantity), type) + 'x'", "hour_in(ts, 'Europe/Berlin') in [1, 2] && name in ['a', 'b']",
		"matches(name, 'a*') ? 1 + 2 : 3", "hour_in(0, 'UTC') + quantity",
	};
	struct given *given = given_rows(dense);
	for (size_t i = 0; i < LEAT_COUNT_OF(texts_); i++) {
		int rc = LEAT_ENOMEM;
		uint64_t nth = 0;
		while (rc == LEAT_ENOMEM && nth < 1000) {
			leat_alloc_fail_at(++nth);
			rc = compile_and_run(texts_[i], given);
		}
		leat_alloc_fail_at(0);
		assert_int_equal(rc, 0);
		assert_true(nth > 3);
	}
	forget(given);
}

static void the_reference_names_every_operator_and_function(void **state)
{
	(void)state;
	static const char *const names_[] = {
		"||", "&&", "!", "==", "in", "?:", "if_null", "abs", "min", "max", "floor", "ceil", "round", "sqrt", "exp", "log", "log10", "pow", "length", "lower", "upper", "contains", "starts_with",
		"ends_with", "matches", "substring", "concat", "text", "int", "double", "hash", "hour", "hour_in", "day", "day_in", "day_of_week", "day_of_week_in", "size", "at", "dot", "cosine", "norm",
	};
	char *text = NULL;
	size_t length = 0;
	FILE *out = open_memstream(&text, &length);
	leat_expression_help(out);
	fclose(out);
	for (size_t i = 0; i < LEAT_COUNT_OF(names_); i++) {
		char line[64];
		snprintf(line, sizeof line, "\n%s: ", names_[i]);
		assert_non_null(strstr(text, line));
	}
	assert_non_null(strstr(text, "min: The smallest of up to 16 values.\n  min(int, int, ...) int\n  min(double, double, ...) double\n"));
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fields_are_themselves),
		cmocka_unit_test(constants_stand_in_every_row),
		cmocka_unit_test(ints_stay_ints_and_overflow_is_null),
		cmocka_unit_test(int_with_double_gives_double_and_infinite_is_null),
		cmocka_unit_test(comparisons_with_null_are_null),
		cmocka_unit_test(logic_is_three_valued),
		cmocka_unit_test(an_enum_compares_with_its_symbols_and_is_text_elsewhere),
		cmocka_unit_test(membership),
		cmocka_unit_test(numbers),
		cmocka_unit_test(texts),
		cmocka_unit_test(globs_match_the_whole_text),
		cmocka_unit_test(times_and_zones),
		cmocka_unit_test(lists_and_vectors),
		cmocka_unit_test(hashes_never_change),
		cmocka_unit_test(messages_name_the_column_and_the_remedy),
		cmocka_unit_test(limits_are_kept),
		cmocka_unit_test(a_made_text_over_64_kib_is_null),
		cmocka_unit_test(results_widen_to_the_wanted_type),
		cmocka_unit_test(a_plain_field_is_not_copied),
		cmocka_unit_test(an_empty_batch_is_fine),
		cmocka_unit_test(reads_each_slot_once_and_only_what_matters),
		cmocka_unit_test(an_enum_without_symbol_is_null),
		cmocka_unit_test(running_out_of_memory_anywhere_is_reported),
		cmocka_unit_test(the_reference_names_every_operator_and_function),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
