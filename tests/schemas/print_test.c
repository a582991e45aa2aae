/* Any body as JSON text for people, and bodies that are none. */
#include "tests/schemas/given.h"

#define R(fields) "{\"type\":\"record\",\"name\":\"R\",\"fields\":[" fields "]}"
#define F(name, type) "{\"name\":\"" name "\",\"type\":" type "}"

struct example {
	const char *schema;
	struct leat_bytes body;
	const char *then;               /* JSON, or the reason */
};
#define EXAMPLE(schema, body, then) { schema, { (const uint8_t *)(body), sizeof(body) - 1 }, then }

static void then(const struct example *example)
{
	struct leat_buffer out = { 0 };
	leat_buffer_append(&out, "before", 6);
	uint8_t *copy = leat_malloc(example->body.length);
	memcpy(copy, example->body.data, example->body.length);
	enum leat_bad bad = leat_avro_print(example->schema, strlen(example->schema), leat_bytes(copy, example->body.length), &out);
	if (bad)
		assert_int_equal(out.length, 6);
	leat_buffer_append(&out, "", 1);
	assert_string_equal(bad ? leat_bad_text(bad) : (char *)out.data + 6, example->then);
	leat_free(copy);
	leat_buffer_free(&out);
}

static void every_type_has_a_text(void **state)
{
	(void)state;
	static const struct example examples[] = {
		EXAMPLE("\"null\"", "", "null"),
		EXAMPLE("\"boolean\"", "\1", "true"),
		EXAMPLE("\"boolean\"", "\0", "false"),
		EXAMPLE("\"int\"", "\3", "-2"),
		EXAMPLE("\"long\"", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "-9223372036854775808"),
		EXAMPLE("{\"type\":\"long\",\"logicalType\":\"timestamp-micros\"}", "\xd0\x1f", "2024"),
		EXAMPLE("\"float\"", "\xcd\xcc\xcc\x3d", "0.1"),
		EXAMPLE("\"float\"", "\0\0\xc0\x7f", "null"),
		EXAMPLE("\"double\"", "\x9a\x99\x99\x99\x99\x99\xb9\x3f", "0.1"),
		EXAMPLE("\"string\"", "\x08"
				      "a\"\t\0",
			"\"a\\\"\\t\\u0000\""),
		EXAMPLE("\"bytes\"", "\4\xff" "a", "\"\\u00ffa\""),
		EXAMPLE("{\"type\":\"fixed\",\"name\":\"F\",\"size\":2}", "\x01z", "\"\\u0001z\""),
		EXAMPLE("{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"A\",\"B\"]}", "\2", "\"B\""),
		EXAMPLE("{\"type\":\"array\",\"items\":\"int\"}", "\4\2\4\1\2\6\0", "[1,2,3]"),
		EXAMPLE("{\"type\":\"map\",\"values\":\"int\"}", "\4\2k\2\4kk\4\0", "{\"k\":1,\"kk\":2}"),
		EXAMPLE("[\"null\",\"int\"]", "\2\2", "1"),
		EXAMPLE(R(F("a", "[\"null\",\"R\"]") "," F("b", "\"int\"")), "\2\0\2\4", "{\"a\":{\"a\":null,\"b\":1},\"b\":2}"),
		EXAMPLE(R(""), "", "{}"),
	};
	for (size_t i = 0; i < LEAT_COUNT_OF(examples); i++)
		then(&examples[i]);
}

static void a_body_that_is_none_has_a_reason_and_leaves_no_text(void **state)
{
	(void)state;
	static const struct example examples[] = {
		EXAMPLE("\"int\"", "", "avro_truncated"),
		EXAMPLE("\"int\"", "\2\2", "avro_trailing_bytes"),
		EXAMPLE("\"int\"", "\x80\x80\x80\x80\x10", "avro_varint"),
		EXAMPLE("\"boolean\"", "\2", "avro_bool"),
		EXAMPLE("\"string\"", "\2\xff", "avro_utf8"),
		EXAMPLE("\"string\"", "\4" "a", "avro_length"),
		EXAMPLE("{\"type\":\"map\",\"values\":\"int\"}", "\2\2\xff\2\0", "avro_utf8"),
		EXAMPLE("{\"type\":\"fixed\",\"name\":\"F\",\"size\":2}", "a", "avro_truncated"),
		EXAMPLE("{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"A\",\"B\"]}", "\4", "avro_enum"),
		EXAMPLE("[\"null\",\"int\"]", "\4\2", "avro_union"),
		EXAMPLE("{\"type\":\"array\",\"items\":\"null\"}", "\x80\xa8\xd6\xb9\x07\0", "avro_elements"),
		EXAMPLE("{\"type\":\"array\",\"items\":\"int\"}", "\1\6\2\0", "avro_length"),
		EXAMPLE("{\"type\":\"array\",\"items\":\"int\"}", "\3\2\2\2\0", "avro_length"),
		EXAMPLE(R(F("a", "\"R\"")), "", "avro_depth"),
		EXAMPLE("{", "", "unknown_schema"),
	};
	for (size_t i = 0; i < LEAT_COUNT_OF(examples); i++)
		then(&examples[i]);
}

/* A few bytes must not ask for gigabytes of text: 100,000 items of 50 nulls each. */
static void text_out_of_nothing_is_bounded(void **state)
{
	(void)state;
	struct leat_buffer json = { 0 }, out = { 0 };
	leat_buffer_printf(&json, "{\"type\":\"array\",\"items\":{\"type\":\"record\",\"name\":\"R\",\"fields\":[");
	for (int i = 0; i < 50; i++)
		leat_buffer_printf(&json, "%s{\"name\":\"field%d\",\"type\":\"null\"}", i ? "," : "", i);
	leat_buffer_printf(&json, "]}}");
	assert_int_equal(leat_avro_print((char *)json.data, json.length, BODY("\xc0\x9a\x0c\0"), &out), LEAT_BAD_AVRO_ELEMENTS);
	assert_true(out.capacity < 8 << 20);
	leat_buffer_free(&json);
	leat_buffer_free(&out);
}

static void out_of_memory_is_said_wherever_it_happens(void **state)
{
	(void)state;
	static const char json[] = R(F("s", "\"string\"") "," F("t", "{\"type\":\"map\",\"values\":[\"null\",\"bytes\"]}"));
	static const char body[] = "\4\"a\2\2k\2\4\xff\n\0";
	enum leat_bad bad = LEAT_BAD_NO_MEMORY;
	for (uint64_t n = 1; bad; n++) {
		struct leat_buffer out = { 0 };
		leat_alloc_fail_at(n);
		bad = leat_avro_print(json, sizeof json - 1, BODY(body), &out);
		leat_alloc_fail_at(0);
		assert_true(bad == LEAT_BAD_NONE || (bad == LEAT_BAD_NO_MEMORY && out.length == 0));
		leat_buffer_free(&out);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_type_has_a_text),
		cmocka_unit_test(a_body_that_is_none_has_a_reason_and_leaves_no_text),
		cmocka_unit_test(text_out_of_nothing_is_bounded),
		cmocka_unit_test(out_of_memory_is_said_wherever_it_happens),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
