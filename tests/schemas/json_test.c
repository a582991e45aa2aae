/* JSON bodies: what they become, and that no hostile one becomes anything. */
#include "tests/schemas/text_harness.h"

#include <stdlib.h>

static enum leat_bad run(struct text_scene *scene, const char *body, size_t length, size_t row)
{
	struct leat_json_decoder *decoder;
	text_soil(scene, row);
	assert_int_equal(leat_json_decoder_open(&decoder, scene->schema, scene->slots, NULL), 0);
	/* A copy of just that length: one byte too many read is seen by the sanitizer, and the row must not point into it. */
	char *copy = malloc(length ? length : 1);
	memcpy(copy, body, length);
	enum leat_bad bad = leat_json_decoder_run(decoder, leat_bytes(copy, length), scene->columns, row, scene->arena);
	memset(copy, 'x', length);
	free(copy);
	leat_json_decoder_free(decoder);
	return bad;
}

static void gives(struct text_scene *scene, const char *body, const char *wanted)
{
	enum leat_bad bad = run(scene, body, strlen(body), LEAT_BATCH_MAX - 1);
	if (bad)
		fail_msg("%s: %s", body, leat_bad_text(bad));
	assert_string_equal(text_show(scene, LEAT_BATCH_MAX - 1), wanted);
}

static void refuses(struct text_scene *scene, const char *body, enum leat_bad wanted)
{
	enum leat_bad bad = run(scene, body, strlen(body), 3);
	if (bad != wanted)
		fail_msg("%s: %s, not %s", body, leat_bad_text(bad), leat_bad_text(wanted));
}

#define FIELD(type) "{\"type\":\"record\",\"name\":\"x.T\",\"fields\":[{\"name\":\"v\",\"type\":" type "}]}"

static void what_is_absent_becomes_its_default_or_null(void **state)
{
	struct text_scene scene;
	(void)state;
	text_open(&scene, EVERY_TYPE);
	gives(&scene, "{}", EVERY_DEFAULT);
	text_close(&scene);
}

static void every_type_is_read(void **state)
{
	struct text_scene scene;
	(void)state;
	text_open(&scene, EVERY_TYPE);
	gives(&scene,
	      " {\"b\":false,\"i\":2147483647,\"l\":-9223372036854775808,\"f\":1e-3,\"d\":0.1,\"s\":\"\\u00e9\\n\xf0\x9f\x8e\x81\",\"y\":\"a\\u0000\\u00ff\","
	      "\"e\":\"A\",\"ts\":-1,\"ns\":\"\",\"nd\":2,\"ne\":null,\"ss\":[\"\",\"z\"],\"fs\":[1,2.5],\"nf\":[],\"r\":{\"o\":\"other\",\"a\":4},"
	      "\"unknown\":{\"b\":[1,{}]}}\r\n",
	      "b=f i=2147483647 l=-9223372036854775808 f=0.00100000005 d=0.10000000000000001 s'\xc3\xa9\n\xf0\x9f\x8e\x81' y#6100ff e=A ts=-1 ns'' nd=2 ne- "
	      "ss['''z'] fs[1 2.5] nf[] r.a=4 r.o'other'");
	gives(&scene, "{\"r\":{\"a\":5},\"ns\":null,\"nf\":null}",
	      "b=t i=-7 l=8 f=0.5 d=1 s'none' y#ff e=B ts=1 ns- nd- ne=A ss['p''q'] fs[] nf- r.a=5 r.o'own'");
	text_close(&scene);
}

static void a_zero_byte_belongs_to_the_string(void **state)
{
	struct text_scene scene;
	(void)state;
	text_open(&scene, FIELD("\"string\""));
	assert_int_equal(run(&scene, "{\"v\":\"a\\u0000b\"}", 16, 0), LEAT_BAD_NONE);
	assert_true(leat_bytes_equal(scene.columns[0].bytes[0], leat_bytes("a\0b", 3)));
	text_close(&scene);
}

static void avros_form_of_a_union_is_read(void **state)
{
	struct text_scene scene;
	(void)state;
	text_open(&scene, EVERY_TYPE);
	gives(&scene, "{\"ns\":{\"string\":\"x\"},\"nd\":{\"double\":1.5},\"ne\":{\"x.y.E\":\"B\"},\"nf\":{\"array\":[1]}}",
	      "b=t i=-7 l=8 f=0.5 d=1 s'none' y#ff e=B ts=1 ns'x' nd=1.5 ne=B ss['p''q'] fs[] nf[1] r.a=3 r.o'own'");
	gives(&scene, "{\"ne\":{\"E\":\"B\"}}", "b=t i=-7 l=8 f=0.5 d=1 s'none' y#ff e=B ts=1 ns- nd- ne=B ss['p''q'] fs[] nf- r.a=3 r.o'own'");
	refuses(&scene, "{\"nd\":{\"float\":1.5}}", LEAT_BAD_JSON_TYPE);
	refuses(&scene, "{\"nd\":{\"double\":1.5,\"x\":1}}", LEAT_BAD_JSON_TYPE);
	refuses(&scene, "{\"nd\":{\"double\":{\"double\":1}}}", LEAT_BAD_JSON_TYPE);
	refuses(&scene, "{\"ne\":{\"x.y.E\":\"C\"}}", LEAT_BAD_JSON_TYPE);
	refuses(&scene, "{\"ne\":{\"y.E\":\"B\"}}", LEAT_BAD_JSON_TYPE);
	refuses(&scene, "{\"nd\":{}}", LEAT_BAD_JSON_TYPE);
	refuses(&scene, "{\"d\":{\"double\":1.5}}", LEAT_BAD_JSON_TYPE);
	text_close(&scene);
}

static void a_value_of_another_type_is_refused(void **state)
{
	static const struct { const char *field, *bodies; } cases[] = {
		{ "b", "null 0 1 \"true\" [] {}" },
		{ "i", "null true 1.5 \"1\" 2147483648 -2147483649 1e10 [1] {\"int\":1}" },
		{ "l", "null false 0.1 \"1\" 9223372036854775808 -9223372036854775809 1e16 9007199254740994.0 [1]" },
		{ "f", "null true \"1\" 3.5e38 -1e39 1e999 [1.5] \"NaN\"" },
		{ "d", "null true \"1\" 1e999 -1e999 \"Infinity\" {}" },
		{ "s", "null true 1 1.5 [\"s\"] {\"string\":\"s\"}" },
		{ "y", "null 1 \"\xc4\x80\" \"\xe2\x82\xac\" \"\\ud83c\\udf81\" []" },
		{ "e", "null 0 \"C\" \"a\" \"\" [\"A\"]" },
		{ "ts", "null \"2020-01-01T00:00:00Z\" 1.5" },
		{ "ns", "1 true []" },
		{ "ss", "null \"s\" [1] [\"a\",null] {} [[\"a\"]]" },
		{ "fs", "null 1 [\"1\"] [null] [1e39] [true]" },
		{ "nf", "1 [[1]]" },
		{ "r", "null 1 [] {\"a\":\"x\"} {\"o\":\"x\"} {\"a\":null}" },
	};
	struct text_scene scene;
	char body[300], values[200];
	(void)state;
	text_open(&scene, EVERY_TYPE);
	for (size_t i = 0; i < LEAT_COUNT_OF(cases); i++) {
		snprintf(values, sizeof values, "%s", cases[i].bodies);
		for (char *value = values, *end; value; value = end) {
			end = strchr(value, ' ');
			if (end)
				*end++ = 0;
			snprintf(body, sizeof body, "{\"%s\":%s}", cases[i].field, value);
			refuses(&scene, body, LEAT_BAD_JSON_TYPE);
		}
	}
	text_close(&scene);
}

static void integers_may_be_written_as_whole_reals(void **state)
{
	struct text_scene scene;
	(void)state;
	text_open(&scene, FIELD("\"long\""));
	gives(&scene, "{\"v\":1.7e12}", "v=1700000000000");
	gives(&scene, "{\"v\":-9007199254740992.0}", "v=-9007199254740992");
	gives(&scene, "{\"v\":1,\"unknown\":99999999999999999999}", "v=1");
	gives(&scene, "{\"unknown\":99999999999999999999,\"v\":9007199254740993}", "v=9007199254740993");
	gives(&scene, "{\"v\":-0}", "v=0");
	text_close(&scene);
	text_open(&scene, FIELD("\"double\""));
	gives(&scene, "{\"v\":99999999999999999999}", "v=1e+20");
	gives(&scene, "{\"v\":9007199254740993}", "v=9007199254740992");
	gives(&scene, "{\"v\":2.2250738585072011e-308}", "v=2.2250738585072009e-308");
	gives(&scene, "{\"v\":1e-999,\"unknown\":1e999}", "v=0");
	text_close(&scene);
}

static void a_missing_field_without_default_or_null_is_refused(void **state)
{
	struct text_scene scene;
	(void)state;
	text_open(&scene, FIELD("\"string\""));
	refuses(&scene, "{}", LEAT_BAD_JSON_TYPE);
	refuses(&scene, "{\"V\":\"x\"}", LEAT_BAD_JSON_TYPE);
	scene.slots[0] = -1;
	gives(&scene, "{}", "");
	gives(&scene, "{\"v\":[]}", "");
	text_close(&scene);
}

static void names_may_be_escaped_repeated_or_out_of_order(void **state)
{
	struct text_scene scene;
	(void)state;
	text_open(&scene, "{\"type\":\"record\",\"name\":\"T\",\"fields\":[{\"name\":\"a\",\"type\":\"int\"},{\"name\":\"ab\",\"type\":\"string\"},"
			  "{\"name\":\"c\",\"type\":\"int\"}]}");
	gives(&scene, "{\"c\":3,\"u\":{\"a\":9},\"\\u0061b\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\",\"u\":0,\"a\":1,\"u\":0}", "a=1 ab'\"\\/\b\f\n\r\t' c=3");
	gives(&scene, "\t{ \"a\" : 1 ,\n\"ab\":\"\\uD83C\\udf81\\u20ac\\u00e9\\u0041\",\r\"c\":3 } ", "a=1 ab'\xf0\x9f\x8e\x81\xe2\x82\xac\xc3\xa9" "A' c=3");
	text_close(&scene);
}

static void a_nested_record_may_be_absent_with_what_it_says_for_that_case(void **state)
{
	struct text_scene scene;
	(void)state;
	text_open(&scene, "{\"type\":\"record\",\"name\":\"T\",\"fields\":[{\"name\":\"o\",\"type\":{\"type\":\"record\",\"name\":\"O\",\"fields\":["
			  "{\"name\":\"s\",\"type\":\"string\",\"default\":\"own\"},{\"name\":\"i\",\"type\":{\"type\":\"record\",\"name\":\"I\",\"fields\":["
			  "{\"name\":\"x\",\"type\":[\"null\",\"int\"]},{\"name\":\"y\",\"type\":\"int\",\"default\":5}]},\"default\":{\"x\":null,\"y\":6}}]},"
			  "\"default\":{\"s\":\"outer\",\"i\":{\"x\":null,\"y\":7}}}]}");
	gives(&scene, "{}", "o.s'outer' o.i.x- o.i.y=7");
	gives(&scene, "{\"o\":{}}", "o.s'own' o.i.x- o.i.y=6");
	gives(&scene, "{\"o\":{\"i\":{}}}", "o.s'own' o.i.x- o.i.y=5");
	gives(&scene, "{\"o\":{\"i\":{\"x\":1},\"s\":\"z\"}}", "o.s'z' o.i.x=1 o.i.y=5");
	refuses(&scene, "{\"o\":{\"i\":{},\"i\":{}}}", LEAT_BAD_JSON_SYNTAX);
	text_close(&scene);
}

static void an_unknown_symbol_is_the_enums_default(void **state)
{
	struct text_scene scene;
	(void)state;
	text_open(&scene, FIELD("{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"A\",\"B\"],\"default\":\"B\"}"));
	gives(&scene, "{\"v\":\"NEW\"}", "v=B");
	gives(&scene, "{\"v\":\"A\"}", "v=A");
	text_close(&scene);
}

static void what_is_not_one_json_object_is_refused(void **state)
{
	static const char *const bodies[] = {
		"", " ", "{", "}", "{\"i\":1", "{\"i\":1}}", "{\"i\":1} {}", "{\"i\":01}", "{\"i\":+1}", "{\"i\":.5}", "{\"i\":0x1}", "{i:1}", "{'i':1}",
		"{\"i\":1,}", "{\"i\":1,\"i\":1}", "{\"r\":{\"a\":1,\"a\":1}}", "{\"d\":NaN}", "{\"d\":Infinity}",
		"{\"d\":-Infinity}", "{\"s\":\"\xff\"}", "{\"s\":\"\xc0\x80\"}", "{\"s\":\"\xed\xa0\x80\"}", "{\"s\":\"\\ud800\"}", "{\"s\":\"a\nb\"}",
		"{\"s\":\"\\x\"}", "{\"s\":\"\\", "{\"s\":\"", "{\"i\":tru}", "\xef\xbb\xbf{}", "[}",
		"{\"i\":\"x\",}", "{\"u\":[1,]}", "{\"u\":[1 2]}", "{\"u\":{\"a\"}}", "{\"u\":{\"a\":}}", "{\"u\":{1:1}}", "{\"u\":{\"a\":1,}}", "{\"u\":\"\\u12g4\"}",
		"{\"u\":\"\\udc00\"}", "{\"u\":\"\\ud83c\\u0041\"}", "{\"u\":\"\\ud83cx\"}", "{\"u\":-}", "{\"u\":1.}", "{\"u\":1e}", "{\"u\":1e+}", "{\"u\":-01}",
		"{\"u\":00}", "{\"u\":nul}", "{\"u\":falsehood}", "{\"u\":'a'}", "{\"u\":\"a\tb\"}", "{\"ns\":{\"string\":}}", "{\"ss\":[\"a\",]}", "{\"\\u0069\":1,\"i\":1}",
		"{\"i\":1]", "{\"i\" 1}", "{,}", "{\"i\":1 \"l\":2}", "tru", "01", "\"", "{\"i\":1}\f", "{\"u\":1\v}",
	};
	struct text_scene scene;
	(void)state;
	text_open(&scene, EVERY_TYPE);
	for (size_t i = 0; i < LEAT_COUNT_OF(bodies); i++)
		refuses(&scene, bodies[i], LEAT_BAD_JSON_SYNTAX);
	assert_int_equal(run(&scene, "{}\0", 3, 0), LEAT_BAD_JSON_SYNTAX);
	assert_int_equal(run(&scene, "\0{}", 3, 0), LEAT_BAD_JSON_SYNTAX);
	assert_int_equal(run(&scene, "{\"u\":1\0}", 8, 0), LEAT_BAD_JSON_SYNTAX);
	assert_int_equal(run(&scene, "{\"s\":\"\0\"}", 9, 0), LEAT_BAD_JSON_SYNTAX);
	for (const char *const *body = (const char *const[]){ "[]", "[{}]", "1", "-1.5e3", "\"s\"", "null", "true ", NULL }; *body; body++)
		refuses(&scene, *body, LEAT_BAD_JSON_TYPE);
	struct leat_json_decoder *decoder;
	assert_int_equal(leat_json_decoder_open(&decoder, scene.schema, scene.slots, NULL), 0);
	assert_int_equal(leat_json_decoder_run(decoder, (struct leat_bytes){ 0 }, scene.columns, 0, scene.arena), LEAT_BAD_NULL_VALUE);
	leat_json_decoder_free(decoder);
	text_close(&scene);
}

/* @prefix, then @count times @unit, then @suffix. */
static enum leat_bad run_repeated(struct text_scene *scene, const char *prefix, const char *unit, size_t count, const char *suffix)
{
	struct leat_buffer body = { 0 };
	leat_buffer_append(&body, prefix, strlen(prefix));
	for (size_t i = 0; i < count; i++)
		leat_buffer_append(&body, unit, strlen(unit));
	leat_buffer_append(&body, suffix, strlen(suffix));
	enum leat_bad bad = run(scene, (const char *)body.data, body.length, 0);
	leat_buffer_free(&body);
	return bad;
}

static void depth_items_and_size_are_bounded(void **state)
{
	struct text_scene scene;
	(void)state;
	text_open(&scene, EVERY_TYPE);
	assert_int_equal(run_repeated(&scene, "{\"u\":", "[", 64, ""), LEAT_BAD_TOO_LARGE);
	assert_int_equal(run_repeated(&scene, "{\"u\":", "[", 63, ""), LEAT_BAD_JSON_SYNTAX);
	assert_int_equal(run_repeated(&scene, "{\"u\":", "{\"u\":", 64, ""), LEAT_BAD_TOO_LARGE);
	assert_int_equal(run_repeated(&scene, "{\"s\":\"", "[", 100, "\"}"), LEAT_BAD_NONE);
	assert_int_equal(run_repeated(&scene, "{\"s\":\"\\\"", "[\\\\{\\\"", 100, "\"}"), LEAT_BAD_NONE);
	assert_int_equal(run_repeated(&scene, "{\"u\":[0", ",[]", 300000, "]}"), LEAT_BAD_NONE);
	assert_int_equal(run_repeated(&scene, "{\"fs\":[0", ",0", 99999, "]}"), LEAT_BAD_NONE);
	assert_int_equal(scene.columns[scene.slots[13]].lists[0].count, 100000);
	assert_int_equal(run_repeated(&scene, "{\"fs\":[0", ",0", 100000, "]}"), LEAT_BAD_TOO_LARGE);
	assert_int_equal(run_repeated(&scene, "{\"s\":\"", "a", (1 << 20) - 8, "\"}"), LEAT_BAD_NONE);
	assert_int_equal(scene.columns[scene.slots[5]].bytes[0].length, (1 << 20) - 8);
	assert_int_equal(run_repeated(&scene, "{\"s\":\"", "a", (1 << 20) - 7, "\"}"), LEAT_BAD_TOO_LARGE);
	text_close(&scene);
}

static void every_allocation_may_fail(void **state)
{
	static const char body[] = "{\"s\":\"x\",\"y\":\"z\",\"ss\":[\"a\",\"b\"],\"fs\":[1],\"i\":1,\"ns\":{\"string\":\"n\"}}";
	struct text_scene scene;
	struct leat_json_decoder *decoder;
	struct leat_fault fault;
	uint64_t nth = 0;
	int rc = LEAT_ENOMEM;
	(void)state;
	text_open(&scene, EVERY_TYPE);
	while (rc == LEAT_ENOMEM && nth < 100) {
		leat_alloc_fail_at(++nth);
		rc = leat_json_decoder_open(&decoder, scene.schema, scene.slots, &fault);
		leat_alloc_fail_at(0);
		assert_true(!rc == !!decoder);
	}
	assert_int_equal(rc, 0);
	assert_true(nth > 4);
	enum leat_bad bad = LEAT_BAD_NO_MEMORY;
	for (nth = 0; bad == LEAT_BAD_NO_MEMORY && nth < 100;) {
		leat_arena_close(scene.arena);
		assert_int_equal(leat_arena_open(&scene.arena, 16), 0);
		leat_alloc_fail_at(++nth);
		bad = leat_json_decoder_run(decoder, leat_bytes(body, sizeof body - 1), scene.columns, 0, scene.arena);
		leat_alloc_fail_at(0);
	}
	assert_int_equal(bad, LEAT_BAD_NONE);
	assert_int_equal(nth, 4);       /* the copy and two lists; nothing else is taken */
	leat_json_decoder_free(decoder);
	text_close(&scene);
}

static void what_is_wrong_is_said_by_field(void **state)
{
	static const struct { const char *body, *said; enum leat_bad bad; } cases[] = {
		{ "{\"a\":1,\"p\":\"x\"}", "'p' must be double or null", LEAT_BAD_JSON_TYPE },
		{ "{\"a\":\"x\",\"p\":\"x\"}", "'a' must be int", LEAT_BAD_JSON_TYPE },
		{ "{\"a\":3000000000}", "'a' must be int", LEAT_BAD_JSON_TYPE },
		{ "{\"a\":null}", "'a' must be int", LEAT_BAD_JSON_TYPE },
		{ "{\"p\":1}", "'a' is missing", LEAT_BAD_JSON_TYPE },
		{ "{\"a\":1,\"e\":\"C\"}", "'e' must be enum of A, B", LEAT_BAD_JSON_TYPE },
		{ "{\"a\":1,\"l\":[1]}", "'l' must be an array of strings", LEAT_BAD_JSON_TYPE },
		{ "{\"a\":1,\"r\":{\"i\":true}}", "'r.i' must be string", LEAT_BAD_JSON_TYPE },
		{ "{\"a\":1,\"r\":4}", "'r' must be an object", LEAT_BAD_JSON_TYPE },
		{ "[1]", "the body must be an object", LEAT_BAD_JSON_TYPE },
		{ "{\"a\":1,}", "near byte 8 of 8", LEAT_BAD_JSON_SYNTAX },
		{ "\xff", "", LEAT_BAD_JSON_SYNTAX },
		{ "{\"a\":1}", "", LEAT_BAD_NONE },
	};
	static const char schema[] = "{\"type\":\"record\",\"name\":\"T\",\"fields\":[{\"name\":\"a\",\"type\":\"int\"},{\"name\":\"p\",\"type\":[\"null\",\"double\"]},"
				     "{\"name\":\"e\",\"type\":{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"A\",\"B\"]},\"default\":\"A\"},"
				     "{\"name\":\"l\",\"type\":{\"type\":\"array\",\"items\":\"string\"},\"default\":[]},"
				     "{\"name\":\"r\",\"type\":{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"i\",\"type\":\"string\",\"default\":\"\"}]}}]}";
	struct leat_json_decoder *decoder;
	struct text_scene scene;
	char text[100];
	(void)state;
	text_open(&scene, schema);
	assert_int_equal(leat_json_decoder_open(&decoder, scene.schema, scene.slots, NULL), 0);
	for (size_t i = 0; i < LEAT_COUNT_OF(cases); i++) {
		assert_int_equal(leat_json_decoder_explain(decoder, leat_text(cases[i].body), text, sizeof text), cases[i].bad);
		assert_string_equal(text, cases[i].said);
	}
	for (int nth = 1; nth < 3; nth++) {
		leat_alloc_fail_at((uint64_t)nth);
		assert_int_equal(leat_json_decoder_explain(decoder, leat_text("{}"), text, sizeof text), LEAT_BAD_NO_MEMORY);
		leat_alloc_fail_at(0);
		assert_string_equal(text, "");
	}
	assert_int_equal(leat_json_decoder_explain(decoder, leat_text("{}"), text, 9), LEAT_BAD_JSON_TYPE);
	assert_string_equal(text, "'a' is m");
	leat_json_decoder_free(decoder);
	text_close(&scene);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_wrong_is_said_by_field),
		cmocka_unit_test(what_is_absent_becomes_its_default_or_null),
		cmocka_unit_test(every_type_is_read),
		cmocka_unit_test(a_zero_byte_belongs_to_the_string),
		cmocka_unit_test(avros_form_of_a_union_is_read),
		cmocka_unit_test(a_value_of_another_type_is_refused),
		cmocka_unit_test(integers_may_be_written_as_whole_reals),
		cmocka_unit_test(a_missing_field_without_default_or_null_is_refused),
		cmocka_unit_test(names_may_be_escaped_repeated_or_out_of_order),
		cmocka_unit_test(a_nested_record_may_be_absent_with_what_it_says_for_that_case),
		cmocka_unit_test(an_unknown_symbol_is_the_enums_default),
		cmocka_unit_test(what_is_not_one_json_object_is_refused),
		cmocka_unit_test(depth_items_and_size_are_bounded),
		cmocka_unit_test(every_allocation_may_fail),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
