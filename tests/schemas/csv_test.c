/* CSV lines: RFC 4180 to the letter, and nothing that is not a value becomes one. */
#include "tests/schemas/text_harness.h"

#include <stdlib.h>

#define COLUMNS "b,i,l,f,d,s,y,e,ts,ns,nd,ne,r.a,r.o"
#define LISTS " ss['p''q'] fs[] nf-"
#define FIELD(type) "{\"type\":\"record\",\"name\":\"T\",\"fields\":[{\"name\":\"v\",\"type\":" type "},{\"name\":\"w\",\"type\":\"string\"}]}"

static enum leat_bad run_bytes(struct text_scene *scene, const char *columns, char separator, const char *line, size_t length, size_t row)
{
	struct leat_csv_decoder *decoder;
	struct leat_fault fault = { 0 };
	text_soil(scene, row);
	if (leat_csv_decoder_open(&decoder, scene->schema, columns, separator, scene->slots, &fault) < 0)
		fail_msg("%s", fault.text);
	/* A copy of just that length: one byte too many read is seen by the sanitizer, and the row must not point into it. */
	char *copy = malloc(length ? length : 1);
	memcpy(copy, line, length);
	enum leat_bad bad = leat_csv_decoder_run(decoder, leat_bytes(copy, length), scene->columns, row, scene->arena);
	memset(copy, 'x', length);
	free(copy);
	leat_csv_decoder_free(decoder);
	return bad;
}

static void gives_by(struct text_scene *scene, const char *columns, char separator, const char *line, const char *wanted)
{
	enum leat_bad bad = run_bytes(scene, columns, separator, line, strlen(line), LEAT_BATCH_MAX - 1);
	if (bad)
		fail_msg("%s: %s", line, leat_bad_text(bad));
	assert_string_equal(text_show(scene, LEAT_BATCH_MAX - 1), wanted);
}

static void refuses_by(struct text_scene *scene, const char *columns, const char *line, enum leat_bad wanted)
{
	enum leat_bad bad = run_bytes(scene, columns, ',', line, strlen(line), 2);
	if (bad != wanted)
		fail_msg("%s: %s, not %s", line, leat_bad_text(bad), leat_bad_text(wanted));
}

static void every_type_that_a_cell_can_hold_is_read(void **state)
{
	struct text_scene scene;
	(void)state;
	text_open(&scene, EVERY_TYPE);
	gives_by(&scene, COLUMNS, ',', "false,2147483647,-9223372036854775808,1e-3,0.1,caf\xc3\xa9,\xff\x01,A,-1,x,2,B,4,other",
		 "b=f i=2147483647 l=-9223372036854775808 f=0.00100000005 d=0.10000000000000001 s'caf\xc3\xa9' y#ff01 e=A ts=-1 ns'x' nd=2 ne=B" LISTS
		 " r.a=4 r.o'other'");
	gives_by(&scene, COLUMNS, ',', "1,+5,9223372036854775807,-.5,5.E+1,,,B,1999,\"\",-0,A,-2147483648,\"\"\r\n",
		 "b=t i=5 l=9223372036854775807 f=-0.5 d=50 s'none' y#ff e=B ts=1 ns'' nd=-0 ne=A" LISTS " r.a=-2147483648 r.o''");
	text_close(&scene);
}

static void an_empty_cell_is_an_absent_value(void **state)
{
	struct text_scene scene;
	(void)state;
	text_open(&scene, EVERY_TYPE);
	gives_by(&scene, COLUMNS, ',', ",,,,,,,,,,,,1,", "b=t i=-7 l=8 f=0.5 d=1 s'none' y#ff e=B ts=1 ns- nd- ne=A" LISTS " r.a=1 r.o'own'");
	gives_by(&scene, "r.a", ',', "1\n", "b=t i=-7 l=8 f=0.5 d=1 s'none' y#ff e=B ts=1 ns- nd- ne=A" LISTS " r.a=1 r.o'own'");
	refuses_by(&scene, "r.a,s", ",x", LEAT_BAD_CSV_TYPE);
	refuses_by(&scene, "r.a", "", LEAT_BAD_CSV_TYPE);
	text_close(&scene);
	text_open(&scene, FIELD("\"string\""));
	gives_by(&scene, "v,w", ',', ",", "v'' w''");
	text_close(&scene);
}

static void quotes_are_as_in_rfc_4180(void **state)
{
	struct text_scene scene;
	(void)state;
	text_open(&scene, FIELD("\"string\""));
	gives_by(&scene, "v,w", ',', "\"a,b\",\"c\"\"d\"\"\"", "v'a,b' w'c\"d\"'");
	gives_by(&scene, "v,w", ',', "\"a\r\nb\",\"\"\"\"\r\n", "v'a\r\nb' w'\"'");
	gives_by(&scene, "v,w", ',', " a ,\tb", "v' a ' w'\tb'");
	gives_by(&scene, "w,-,v", ',', "1,\"skip,ped\"\"\",2", "v'2' w'1'");
	gives_by(&scene, " v , w ", ';', "a,b;\"c;d\"", "v'a,b' w'c;d'");
	gives_by(&scene, "v,w", '\t', "a b\tc", "v'a b' w'c'");
	static const char *const bad[] = {
		"", "a", "a,b,c", "a,b,", "\"a,b", "\"a\"b,c", "\"a\" ,c", "a\"b,c", "a,\"", "a,\"b\"\"", "a,b\"", "a\nb,c", "a\rb,c", "a,b\n\n", "a,b\r\r\n", "\n",
	};
	for (size_t i = 0; i < LEAT_COUNT_OF(bad); i++)
		refuses_by(&scene, "v,w", bad[i], LEAT_BAD_CSV_SYNTAX);
	text_close(&scene);
}

static void what_is_not_a_value_is_refused(void **state)
{
	static const struct { const char *column, *cells; } cases[] = {
		{ "b", "TRUE yes 2 t \"\"" },
		{ "i", "2147483648 -2147483649 1.0 1e3 0x1 - + +-1 1a \"\" 1_0" },
		{ "l", "9223372036854775808 -9223372036854775809 99999999999999999999 1.5" },
		{ "f", "3.5e38 nan inf -inf 0x1p3 1e 1..2 . e1 \"\" 1,5 abc" },
		{ "d", "1e999 -1e999 NaN Infinity 0x10 1.5.5 1-1 --1 +" },
		{ "s", "\xff \xc0\x80 \xed\xa0\x80 a\x80" },
		{ "e", "C a 0 \"\"" },
		{ "ts", "2020-01-01T00:00:00Z 1.5" },
		{ "nd", "null NULL \"\"" },
	};
	struct text_scene scene;
	char columns[20], line[100], cells[200];
	(void)state;
	text_open(&scene, EVERY_TYPE);
	for (size_t i = 0; i < LEAT_COUNT_OF(cases); i++) {
		snprintf(columns, sizeof columns, "%s,r.a", cases[i].column);
		snprintf(cells, sizeof cells, "%s", cases[i].cells);
		for (char *cell = cells, *end; cell; cell = end) {
			end = strchr(cell, ' ');
			if (end)
				*end++ = 0;
			snprintf(line, sizeof line, strchr(cell, ',') ? "\"%.50s\",1" : "%.50s,1", cell);
			refuses_by(&scene, columns, line, LEAT_BAD_CSV_TYPE);
		}
	}
	assert_int_equal(run_bytes(&scene, "i,r.a", ',', "1\0,1", 4, 0), LEAT_BAD_CSV_TYPE);
	assert_int_equal(run_bytes(&scene, "d,r.a", ',', "1\0,1", 4, 0), LEAT_BAD_CSV_TYPE);
	assert_int_equal(run_bytes(&scene, "b,r.a", ',', "true\0,1", 7, 0), LEAT_BAD_CSV_TYPE);
	assert_int_equal(run_bytes(&scene, "s,r.a", ',', "a\0b,1", 5, 0), LEAT_BAD_NONE);
	assert_true(leat_bytes_equal(scene.columns[scene.slots[5]].bytes[0], leat_bytes("a\0b", 3)));
	text_close(&scene);
}

static void a_line_of_the_wrong_form_is_that_before_all_else(void **state)
{
	struct text_scene scene;
	(void)state;
	text_open(&scene, EVERY_TYPE);
	refuses_by(&scene, "i,r.a", "x,1,2", LEAT_BAD_CSV_SYNTAX);
	refuses_by(&scene, "i,r.a", "x,\"1", LEAT_BAD_CSV_SYNTAX);
	text_close(&scene);
}

static void unwanted_columns_are_not_judged(void **state)
{
	struct text_scene scene;
	(void)state;
	text_open(&scene, FIELD("\"int\""));
	scene.slots[0] = -1;
	gives_by(&scene, "v,w", ',', "not a number,x", "w'x'");
	text_close(&scene);
}

static void an_overlong_line_is_too_large(void **state)
{
	struct text_scene scene;
	size_t length = 1 << 20;
	char *line = malloc(length + 1);
	(void)state;
	text_open(&scene, FIELD("\"string\""));
	memset(line, 'a', length + 1);
	line[3] = ',';
	assert_int_equal(run_bytes(&scene, "v,w", ',', line, length, 0), LEAT_BAD_NONE);
	assert_int_equal(run_bytes(&scene, "v,w", ',', line, length + 1, 0), LEAT_BAD_TOO_LARGE);
	struct leat_csv_decoder *decoder;
	assert_int_equal(leat_csv_decoder_open(&decoder, scene.schema, "v,w", ',', scene.slots, NULL), 0);
	assert_int_equal(leat_csv_decoder_run(decoder, (struct leat_bytes){ 0 }, scene.columns, 0, scene.arena), LEAT_BAD_NULL_VALUE);
	leat_csv_decoder_free(decoder);
	text_close(&scene);
	free(line);
}

static void columns_that_cannot_work_are_refused(void **state)
{
	static const struct { const char *columns; char separator; const char *says; } cases[] = {
		{ "i", ',', "field 'r.a' has no CSV column, no default and no null" },
		{ "r.a,none", ',', "CSV column 'none' is not a field of the schema" },
		{ "", ',', "CSV column '' is not a field of the schema" },
		{ "r.a,", ',', "CSV column '' is not a field of the schema" },
		{ "r.a,i,r.a", ',', "CSV column 'r.a' is there twice" },
		{ "r.a,fs", ',', "CSV column 'fs' is a list, which a cell cannot hold" },
		{ "r.a,nf", ',', "CSV column 'nf' is a list, which a cell cannot hold" },
		{ "r.a", '"', "a quote or an end of line cannot separate CSV columns" },
		{ "r.a", '\n', "a quote or an end of line cannot separate CSV columns" },
		{ "r.a", 0, "a quote or an end of line cannot separate CSV columns" },
	};
	struct text_scene scene;
	(void)state;
	text_open(&scene, EVERY_TYPE);
	for (size_t i = 0; i < LEAT_COUNT_OF(cases); i++) {
		struct leat_csv_decoder *decoder;
		struct leat_fault fault = { 0 };
		assert_int_equal(leat_csv_decoder_open(&decoder, scene.schema, cases[i].columns, cases[i].separator, scene.slots, &fault), LEAT_ESCHEMA);
		assert_null(decoder);
		assert_string_equal(fault.text, cases[i].says);
	}
	text_close(&scene);
}

static void every_allocation_may_fail(void **state)
{
	struct text_scene scene;
	struct leat_csv_decoder *decoder;
	struct leat_fault fault;
	(void)state;
	text_open(&scene, EVERY_TYPE);
	for (uint64_t nth = 1; nth <= 3; nth++) {
		leat_alloc_fail_at(nth);
		int rc = leat_csv_decoder_open(&decoder, scene.schema, "r.a", ',', scene.slots, &fault);
		leat_alloc_fail_at(0);
		assert_int_equal(rc, nth <= 2 ? LEAT_ENOMEM : 0);
		assert_true(!rc == !!decoder);
	}
	leat_alloc_fail_at(1);
	assert_int_equal(leat_csv_decoder_run(decoder, leat_text("1"), scene.columns, 0, scene.arena), LEAT_BAD_NO_MEMORY);
	leat_alloc_fail_at(0);
	assert_int_equal(leat_csv_decoder_run(decoder, leat_text("1"), scene.columns, 0, scene.arena), LEAT_BAD_NONE);
	leat_csv_decoder_free(decoder);
	text_close(&scene);
}

static void what_is_wrong_is_said_by_field_or_cell(void **state)
{
	static const struct { const char *line, *said; enum leat_bad bad; } cases[] = {
		{ "x,w", "'v' must be int or null", LEAT_BAD_CSV_TYPE },
		{ "1", "the line ends after cell 1 of 2", LEAT_BAD_CSV_SYNTAX },
		{ "x,w,3", "the line goes on after cell 2 of 2", LEAT_BAD_CSV_SYNTAX },
		{ "1,\"w", "the quotes are out of place in cell 2 of 2", LEAT_BAD_CSV_SYNTAX },
		{ "1,w", "", LEAT_BAD_NONE },
	};
	struct leat_csv_decoder *decoder;
	struct text_scene scene;
	char text[100];
	(void)state;
	text_open(&scene, FIELD("[\"null\",\"int\"]"));
	assert_int_equal(leat_csv_decoder_open(&decoder, scene.schema, "v,w", ',', scene.slots, NULL), 0);
	for (size_t i = 0; i < LEAT_COUNT_OF(cases); i++) {
		assert_int_equal(leat_csv_decoder_explain(decoder, leat_text(cases[i].line), text, sizeof text), cases[i].bad);
		assert_string_equal(text, cases[i].said);
	}
	leat_alloc_fail_at(1);
	assert_int_equal(leat_csv_decoder_explain(decoder, leat_text("x,w"), text, sizeof text), LEAT_BAD_NO_MEMORY);
	leat_alloc_fail_at(0);
	leat_csv_decoder_free(decoder);
	text_close(&scene);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_wrong_is_said_by_field_or_cell),
		cmocka_unit_test(every_type_that_a_cell_can_hold_is_read),
		cmocka_unit_test(an_empty_cell_is_an_absent_value),
		cmocka_unit_test(quotes_are_as_in_rfc_4180),
		cmocka_unit_test(what_is_not_a_value_is_refused),
		cmocka_unit_test(a_line_of_the_wrong_form_is_that_before_all_else),
		cmocka_unit_test(unwanted_columns_are_not_judged),
		cmocka_unit_test(an_overlong_line_is_too_large),
		cmocka_unit_test(columns_that_cannot_work_are_refused),
		cmocka_unit_test(every_allocation_may_fail),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
