/* parse_time(): what fits gives the moment, what does not is null, and a format that makes no sense is refused. */
#include "stream/expression.h"
#include "stream/operator.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static const struct leat_layout layout = { .fields = { { .name = "text", .type = LEAT_STRING, .width = 1 } }, .count = 1 };

/* INT64_MIN: null. The text goes in as a column, so that nothing is folded away. */
static int64_t parse(const char *text, const char *format)
{
	char source[200];
	struct leat_fault fault = { 0 };
	struct leat_expression *expression;
	struct leat_arena *arena;
	struct leat_bytes value = leat_text(text);
	uint8_t null[LEAT_BATCH_MAX] = { 0 };
	struct leat_bytes values[LEAT_BATCH_MAX] = { value };
	const struct leat_column column = { .type = LEAT_STRING, .width = 1, .null = null, .bytes = values };
	const uint16_t row = 0;
	snprintf(source, sizeof source, "parse_time(text, '%s')", format);
	if (leat_expression_compile(&expression, source, &layout, 0, &fault) < 0)
		fail_msg("%s: %s", source, fault.text);
	assert_int_equal(leat_expression_type(expression), LEAT_INT);
	assert_int_equal(leat_arena_open(&arena, 1 << 16), 0);
	const struct leat_column *out = leat_expression_run(expression, &(struct leat_batch){ .row = &row, .count = 1, .columns = &column }, arena);
	int64_t result = out->null[0] ? INT64_MIN : out->ints[0];
	leat_arena_close(arena);
	leat_expression_free(expression);
	return result;
}

static void a_text_that_fits_gives_its_moment(void **state)
{
	static const struct { const char *text, *format; int64_t ms; } cases[] = {
		{ "2010-12-01 08:26:00", "%Y-%m-%d %H:%M:%S", 1291191960000 },
		{ "1970-01-01", "%Y-%m-%d", 0 },
		{ "1/12/2010 8:26", "%d/%m/%Y %H:%M", 1291191960000 },
		{ "2000-02-29T23:59:59.999Z", "%Y-%m-%dT%H:%M:%S.%f%z", 951868799999 },
		{ "2000-02-29T23:59:59.9+01:30", "%Y-%m-%dT%H:%M:%S.%f%z", 951863399900 },
		{ "2000-02-29T23:59:59.123456789-0200", "%Y-%m-%dT%H:%M:%S.%f%z", 951875999123 },
		{ "1969-12-31 23:59:59", "%Y-%m-%d %H:%M:%S", -1000 },
		{ "0001-01-01", "%Y-%m-%d", -62135596800000 },
		{ "9999-12-31", "%Y-%m-%d", 253402214400000 },
		{ "100% 2024", "100%% %Y", 1704067200000 },
	};
	(void)state;
	for (size_t i = 0; i < LEAT_COUNT_OF(cases); i++)
		if (parse(cases[i].text, cases[i].format) != cases[i].ms)
			fail_msg("%s: %lld, expected %lld", cases[i].text, (long long)parse(cases[i].text, cases[i].format), (long long)cases[i].ms);
}

static void a_text_that_does_not_fit_is_null(void **state)
{
	static const struct { const char *text, *format; } cases[] = {
		{ "", "%Y" }, { "201", "%Y" }, { "20101", "%Y" }, { "2010-13-01", "%Y-%m-%d" }, { "2010-00-01", "%Y-%m-%d" }, { "2010-02-29", "%Y-%m-%d" }, { "1900-02-29", "%Y-%m-%d" },
		{ "2010-04-31", "%Y-%m-%d" }, { "2010-01-00", "%Y-%m-%d" }, { "24:00", "%H:%M" }, { "23:60", "%H:%M" }, { "00:00:60", "%H:%M:%S" }, { "2010-01-01 ", "%Y-%m-%d" }, { "+1", "%H" },
		{ " 1", "%H" }, { "12.", "%H.%f" }, { "0000-01-01", "%Y-%m-%d" }, { "12 +1", "%H %z" }, { "12 +24:00", "%H %z" }, { "12 X", "%H %z" }, { "12", "%H%z" }, { "x", "%%" }, { "", "%%" },
	};
	(void)state;
	for (size_t i = 0; i < LEAT_COUNT_OF(cases); i++)
		if (parse(cases[i].text, cases[i].format) != INT64_MIN)
			fail_msg("'%s' by '%s' should be null", cases[i].text, cases[i].format);
}

static void a_format_that_makes_no_sense_is_refused(void **state)
{
	static const struct { const char *source, *text; } cases[] = {
		{ "parse_time(text, text)", "column 18: the format of a time has to be a constant text" },
		{ "parse_time(text, '%Q')", "column 18: a format of a time has %Y %m %d %H %M %S %f %z %%, nothing else after a %" },
		{ "parse_time(text, 'x%')", "column 18: a format of a time has %Y %m %d %H %M %S %f %z %%, nothing else after a %" },
	};
	(void)state;
	for (size_t i = 0; i < LEAT_COUNT_OF(cases); i++) {
		struct leat_expression *expression;
		struct leat_fault fault = { 0 };
		assert_int_equal(leat_expression_compile(&expression, cases[i].source, &layout, 0, &fault), LEAT_ECONFIG);
		assert_string_equal(fault.text, cases[i].text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_text_that_fits_gives_its_moment),
		cmocka_unit_test(a_text_that_does_not_fit_is_null),
		cmocka_unit_test(a_format_that_makes_no_sense_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
