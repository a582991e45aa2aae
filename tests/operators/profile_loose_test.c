/* profile: the size of its entry, what merging does, and everything on at once. */
#include "tests/operators/loose_task.h"

#include "operators/model/random.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

extern const struct leat_operator operator_profile;
enum { HOUR = 3600000 };
static const char *const symbols[] = { "VIEW", "Cart add", "PURCHASE", NULL };
static const struct leat_texts types = { symbols, 3 };
static const char *const buys[] = { "PURCHASE" };
static const struct leat_texts spend_on = { buys, 1 };
static const char *const spans[] = { "1h", "24h", "30d" };
static const struct leat_texts windows = { spans, 3 };

static const struct leat_expression hour_of = { 5 };     /* the field hour */

struct fixture {
	struct loose_stream stream;
	struct loose loose;
	int type, price, category, before, word, hour;
};

static struct fixture *fixture_new(void)
{
	struct fixture *fixture = calloc(1, sizeof *fixture);
	assert_non_null(fixture);
	fixture->type = loose_field(&fixture->stream, "type", LEAT_ENUM, 1, symbols);
	fixture->price = loose_field(&fixture->stream, "price", LEAT_DOUBLE, 1, NULL);
	fixture->category = loose_field(&fixture->stream, "category", LEAT_INT, 1, NULL);
	fixture->before = loose_field(&fixture->stream, "before", LEAT_STRING, 1, NULL);
	fixture->word = loose_field(&fixture->stream, "word", LEAT_STRING, 1, NULL);
	fixture->hour = loose_field(&fixture->stream, "hour", LEAT_INT, 1, NULL);
	assert_int_equal(fixture->hour, hour_of.slot);
	return fixture;
}
static struct fixture *fixture_open(const struct loose_setting *settings)
{
	struct fixture *fixture = fixture_new();
	assert_int_equal(loose_open(&fixture->loose, &operator_profile, &fixture->stream, settings), 0);
	return fixture;
}
static void fixture_free(struct fixture *fixture)
{
	loose_close(&fixture->loose);
	loose_stream_free(&fixture->stream);
	free(fixture);
}
static struct leat_bytes text(const char *of)
{
	return (struct leat_bytes){ (const uint8_t *)of, of ? (uint32_t)strlen(of) : 0 };
}
/* @price 0: none; @category -1: none. */
static void put(struct fixture *fixture, size_t row, const char *key, const char *before, int64_t at_ms, int type, double price, int category)
{
	struct leat_column *columns = fixture->stream.columns;
	fixture->stream.key[row] = text(key);
	fixture->stream.time_ms[row] = at_ms;
	columns[fixture->type].ints[row] = type;
	columns[fixture->price].doubles[row] = price;
	columns[fixture->price].null[row] = price == 0;
	columns[fixture->category].ints[row] = category;
	columns[fixture->category].null[row] = category < 0;
	columns[fixture->before].bytes[row] = text(before);
	columns[fixture->before].null[row] = !before;
	columns[fixture->word].bytes[row] = text(symbols[type]);
	columns[fixture->hour].ints[row] = at_ms / HOUR % 24;
}
static void feed(struct fixture *fixture, const char *key, const char *before, int64_t at_ms, int type, double price, int category)
{
	put(fixture, 0, key, before, at_ms, type, price, category);
	assert_int_equal(loose_process(&fixture->loose, 0, 1), 0);
	assert_int_equal(fixture->loose.outs[0].count, 1);
}
static const struct leat_column *column_of(const struct fixture *fixture, const char *name)
{
	int slot = loose_slot(&fixture->stream, name);
	assert_true(slot >= 0);
	return &fixture->stream.columns[slot];
}
static int64_t int_of(const struct fixture *fixture, const char *name)
{
	return column_of(fixture, name)->ints[0];
}
static double double_of(const struct fixture *fixture, const char *name)
{
	return column_of(fixture, name)->doubles[0];
}
static float float_of(const struct fixture *fixture, const char *name)
{
	return column_of(fixture, name)->floats[0];
}

static const struct loose_setting everything[] = {
	{ "type", "type", NULL }, { "types", NULL, &types }, { "price", "price", NULL }, { "spend_on", NULL, &spend_on }, { "rfm", "true", NULL }, { "margin", "0.5", NULL },
	{ "price_level", "true", NULL }, { "price_half_life", "10h", NULL }, { "interests", "4", NULL }, { "category", "category", NULL }, { "windows", NULL, &windows },
	{ "hour", NULL, &hour_of }, { "anonymous", "before", NULL }, { 0 },
};

static void the_entry_holds_only_what_is_on(void **state)
{
	const struct { struct loose_setting settings[6]; size_t size; } cases[] = {
		{ { { "activity", "false", NULL }, { 0 } }, 24 },
		{ { { 0 } }, 24 + 8 },
		{ { { "price", "price", NULL }, { 0 } }, 24 + 24 + 8 },
		{ { { "interests", "40", NULL }, { "category", "category", NULL }, { 0 } }, 24 + 8 + 160 },
		{ { { "type", "type", NULL }, { "types", NULL, &types }, { "hour", NULL, &hour_of }, { 0 } }, 24 + 24 + 96 + 8 },
		{ { { "windows", NULL, &windows }, { "activity", "false", NULL }, { 0 } }, 24 + 3 * 208 },
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct fixture *fixture = fixture_open(cases[i].settings);
		assert_int_equal(fixture->loose.tables[0].entry_size, (cases[i].size + 15) / 16 * 16);
		fixture_free(fixture);
	}
}

static void everything_at_once_tells_what_happened(void **state)
{
	struct fixture *fixture = fixture_open(everything);
	const int64_t day = 24 * (int64_t)HOUR;
	(void)state;
	feed(fixture, "u", NULL, 100 * day, 0, 20, 1);
	assert_int_equal(column_of(fixture, "recency_ms")->null[0], 1);
	assert_int_equal(column_of(fixture, "monetary")->null[0], 1);
	assert_true(float_of(fixture, "price_level") == 20);
	feed(fixture, "u", NULL, 100 * day + 30 * 60000, 2, 40, 1);
	feed(fixture, "u", NULL, 100 * day + 10 * HOUR, 2, 80, 2);
	feed(fixture, "u", NULL, 100 * day + 10 * HOUR + HOUR / 2, 1, 0, -1);
	assert_int_equal(int_of(fixture, "events"), 4);
	assert_int_equal(int_of(fixture, "count_view"), 1);
	assert_int_equal(int_of(fixture, "count_cart_add"), 1);
	assert_int_equal(int_of(fixture, "count_purchase"), 2);
	assert_true(double_of(fixture, "spend") == 120 && double_of(fixture, "monetary") == 60 && double_of(fixture, "lifetime_value") == 60);
	assert_int_equal(int_of(fixture, "frequency"), 2);
	assert_int_equal(int_of(fixture, "recency_ms"), HOUR / 2);
	assert_int_equal(int_of(fixture, "events_1h"), 2);
	assert_int_equal(int_of(fixture, "events_24h"), 4);
	assert_int_equal(int_of(fixture, "events_30d"), 4);
	assert_true(double_of(fixture, "spend_1h") == 80 && double_of(fixture, "spend_24h") == 120);
	const float *hours = column_of(fixture, "hours")->floats;
	assert_true(hours[0] == 2 && hours[10] == 2 && hours[5] == 0);
	feed(fixture, "u", NULL, 102 * day, 0, 0, 3);
	assert_int_equal(int_of(fixture, "events_1h"), 1);
	assert_int_equal(int_of(fixture, "events_24h"), 1);
	assert_int_equal(int_of(fixture, "events_30d"), 5);
	fixture_free(fixture);
}

static void refunds_reduce_and_prices_that_are_none_are_left_out(void **state)
{
	const struct loose_setting settings[] = { { "price", "price", NULL }, { 0 } };
	static const double prices[] = { NAN, INFINITY, -INFINITY, 1e300 };
	struct fixture *fixture = fixture_open(settings);
	(void)state;
	feed(fixture, "u", NULL, 0, 0, 50, 0);
	feed(fixture, "u", NULL, 0, 0, -20, 0);
	for (size_t i = 0; i < 4; i++)
		feed(fixture, "u", NULL, 0, 0, prices[i], 0);
	assert_true(double_of(fixture, "spend") == 30);
	assert_int_equal(int_of(fixture, "events"), 6);
	fixture_free(fixture);
}

static void text_types_count_like_enum_types(void **state)
{
	const struct loose_setting settings[] = { { "type", "word", NULL }, { "types", NULL, &types }, { 0 } };
	struct fixture *fixture = fixture_open(settings);
	(void)state;
	feed(fixture, "u", NULL, 0, 1, 0, 0);
	feed(fixture, "u", NULL, 0, 2, 0, 0);
	feed(fixture, "u", NULL, 0, 2, 0, 0);
	assert_int_equal(int_of(fixture, "count_cart_add"), 1);
	assert_int_equal(int_of(fixture, "count_purchase"), 2);
	fixture_free(fixture);
}

/* Two visitors of whom one turns out to be the other are afterwards what one visitor would have been. */
static void an_anonymous_profile_moves_into_the_known_one(void **state)
{
	struct fixture *apart = fixture_open(everything), *whole = fixture_open(everything);
	(void)state;
	for (int i = 0; i < 60; i++) {
		const char *key = i % 3 ? "cookie" : "user";
		int64_t at = (int64_t)i * 25 * 60000;
		feed(apart, key, NULL, at, i % 3, i % 2 ? 1 + i : 0, i % 5);
		feed(whole, "user", NULL, at, i % 3, i % 2 ? 1 + i : 0, i % 5);
	}
	feed(apart, "user", "cookie", 60 * 25 * 60000, 0, 7, 1);
	feed(whole, "user", NULL, 60 * 25 * 60000, 0, 7, 1);
	assert_int_equal(apart->loose.counters[0], 1);
	for (int slot = whole->hour + 1; slot < whole->stream.slots; slot++) {
		const struct leat_column *left = &apart->stream.columns[slot], *right = &whole->stream.columns[slot];
		assert_int_equal(left->null[0], right->null[0]);
		if (left->type == LEAT_INT)
			assert_int_equal(left->ints[0], right->ints[0]);
		else if (left->type == LEAT_DOUBLE)
			assert_true(fabs(left->doubles[0] - right->doubles[0]) < 1e-9);
		else
			for (size_t k = 0; k < left->width; k++)
				assert_float_equal(left->floats[k], right->floats[k], 1e-4f);
	}
	fixture_free(apart);
	fixture_free(whole);
}

static void a_profile_moves_once_and_what_comes_later_moves_too(void **state)
{
	const struct loose_setting settings[] = { { "anonymous", "before", NULL }, { 0 } };
	struct fixture *fixture = fixture_open(settings);
	(void)state;
	for (int i = 0; i < 5; i++)
		feed(fixture, "cookie", NULL, i, 0, 0, 0);
	feed(fixture, "user", "cookie", 10, 0, 0, 0);
	assert_int_equal(int_of(fixture, "events"), 6);
	feed(fixture, "user", "cookie", 11, 0, 0, 0);
	assert_int_equal(int_of(fixture, "events"), 7);
	feed(fixture, "cookie", NULL, 12, 0, 0, 0);
	assert_int_equal(int_of(fixture, "events"), 1);
	feed(fixture, "user", "cookie", 13, 0, 0, 0);
	assert_int_equal(int_of(fixture, "events"), 9);
	assert_int_equal(fixture->loose.counters[0], 2);
	fixture_free(fixture);
}

static void nobody_moves_into_itself_or_from_nowhere(void **state)
{
	const struct loose_setting settings[] = { { "anonymous", "before", NULL }, { 0 } };
	struct fixture *fixture = fixture_open(settings);
	(void)state;
	feed(fixture, "user", NULL, 0, 0, 0, 0);
	feed(fixture, "user", "user", 1, 0, 0, 0);
	feed(fixture, "user", "stranger", 2, 0, 0, 0);
	feed(fixture, "user", "", 3, 0, 0, 0);
	assert_int_equal(int_of(fixture, "events"), 4);
	assert_int_equal(fixture->loose.counters[0], 0);
	assert_int_equal(fixture->loose.tables[0].count, 1);
	fixture_free(fixture);
}

static void extreme_times_do_no_harm(void **state)
{
	static const int64_t times[] = { INT64_MIN, INT64_MAX, 0, INT64_MIN };
	struct fixture *fixture = fixture_open(everything);
	(void)state;
	for (size_t i = 0; i < 4; i++)
		feed(fixture, "u", NULL, times[i], 2, 3, 1);
	feed(fixture, "cookie", NULL, INT64_MIN, 2, 3, 1);
	feed(fixture, "u", "cookie", INT64_MAX, 2, 3, 1);
	assert_int_equal(int_of(fixture, "events"), 6);
	assert_true(isfinite(float_of(fixture, "activity")));
	fixture_free(fixture);
}

static void any_batch_size_gives_the_same_bytes(void **state)
{
	static const size_t batches[] = { 1, 3, 64 };
	static float seen[3][64];
	(void)state;
	for (size_t b = 0; b < 3; b++) {
		struct fixture *fixture = fixture_open(everything);
		for (size_t i = 0; i < 64; i++)
			put(fixture, i, i % 5 ? "u" : "v", i % 17 == 16 ? "v" : NULL, (int64_t)i * 600000 - (i % 7 == 0 ? 5 * HOUR : 0), (int)(i % 3), (double)i, (int)(i % 6) - 1);
		for (size_t i = 0; i < 64; i += batches[b]) {
			assert_int_equal(loose_process(&fixture->loose, i, batches[b] < 64 - i ? batches[b] : 64 - i), 0);
		}
		for (size_t i = 0; i < 64; i++)
			seen[b][i] = column_of(fixture, "activity")->floats[i] + column_of(fixture, "interests")->floats[i * 4 + 1] * 1000;
		fixture_free(fixture);
	}
	assert_memory_equal(seen[0], seen[1], sizeof seen[0]);
	assert_memory_equal(seen[0], seen[2], sizeof seen[0]);
}

static void options_that_make_no_sense_are_refused(void **state)
{
	static const char *const unknown[] = { "BUY" }, *const spans_bad[] = { "5x" }, *const spans_short[] = { "1s" };
	static const struct leat_texts no_type = { unknown, 1 }, bad = { spans_bad, 1 }, brief = { spans_short, 1 };
	const struct { struct loose_setting settings[5]; const char *text; } cases[] = {
		{ { { "types", NULL, &types }, { 0 } }, "needs type" },
		{ { { "type", "type", NULL }, { 0 } }, "say which words of 'type'" },
		{ { { "type", "type", NULL }, { "types", NULL, &no_type }, { 0 } }, "'BUY' is not a symbol of 'type'" },
		{ { { "type", "type", NULL }, { "types", NULL, &types }, { "price", "price", NULL }, { "spend_on", NULL, &no_type }, { 0 } }, "'BUY' is not among types" },
		{ { { "rfm", "true", NULL }, { 0 } }, "rfm: needs price" },
		{ { { "price_level", "true", NULL }, { 0 } }, "price_level: needs price" },
		{ { { "interests", "5", NULL }, { 0 } }, "go together" },
		{ { { "category", "category", NULL }, { 0 } }, "go together" },
		{ { { "windows", NULL, &bad }, { 0 } }, "'5x' is not a time" },
		{ { { "windows", NULL, &brief }, { 0 } }, "'1s' is not a time" },
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct fixture *fixture = fixture_new();
		assert_int_equal(loose_open(&fixture->loose, &operator_profile, &fixture->stream, cases[i].settings), LEAT_ECONFIG);
		if (!strstr(fixture->loose.refused, cases[i].text))
			fail_msg("case %zu said: %s", i, fixture->loose.refused);
		fixture_free(fixture);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_entry_holds_only_what_is_on),
		cmocka_unit_test(everything_at_once_tells_what_happened),
		cmocka_unit_test(refunds_reduce_and_prices_that_are_none_are_left_out),
		cmocka_unit_test(text_types_count_like_enum_types),
		cmocka_unit_test(an_anonymous_profile_moves_into_the_known_one),
		cmocka_unit_test(a_profile_moves_once_and_what_comes_later_moves_too),
		cmocka_unit_test(nobody_moves_into_itself_or_from_nowhere),
		cmocka_unit_test(extreme_times_do_no_harm),
		cmocka_unit_test(any_batch_size_gives_the_same_bytes),
		cmocka_unit_test(options_that_make_no_sense_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
