/* The encoder: rows to Avro bodies and JSON objects, what may be converted, and what stands in for columns that are not there. */
#include "tests/schemas/given.h"

#include <math.h>

#define R(fields) "{\"type\":\"record\",\"name\":\"R\",\"fields\":[" fields "]}"
#define F(name, type) "{\"name\":\"" name "\",\"type\":" type "}"
#define D(name, type, value) "{\"name\":\"" name "\",\"type\":" type ",\"default\":" value "}"
#define ARRAY(item) "{\"type\":\"array\",\"items\":" item "}"
#define ENUM(name, symbols) "{\"type\":\"enum\",\"name\":\"" name "\",\"symbols\":[" symbols "]}"
#define MICROS "{\"type\":\"long\",\"logicalType\":\"timestamp-micros\"}"

static const char *const symbols[] = { "A", "B", NULL };
static const char *const more_symbols[] = { "B", "C", NULL };
static const struct leat_bytes two_texts[] = { { (const uint8_t *)"x", 1 }, { (const uint8_t *)"y\"z", 3 } };
static const float two_floats[] = { 1, -0.1f };

/* The columns that all tests write from; row 0 has the values below, row 1 is null throughout, row 2 has values at the edge. */
enum { BOOL, INT, KIND, FLOAT, DOUBLE, TEXT, BYTES, VECTOR, TEXTS, FLOATS, OTHER, COLUMNS };
static const struct leat_field columns_of[COLUMNS] = {
	[BOOL] = { .name = "bool", .type = LEAT_BOOL, .width = 1 },
	[INT] = { .name = "int", .type = LEAT_INT, .width = 1 },
	[KIND] = { .name = "kind", .type = LEAT_ENUM, .width = 1, .symbols = symbols },
	[FLOAT] = { .name = "float", .type = LEAT_FLOAT, .width = 1 },
	[DOUBLE] = { .name = "double", .type = LEAT_DOUBLE, .width = 1 },
	[TEXT] = { .name = "text", .type = LEAT_STRING, .width = 1 },
	[BYTES] = { .name = "bytes", .type = LEAT_BYTES, .width = 1 },
	[VECTOR] = { .name = "vector", .type = LEAT_VECTOR, .width = 2 },
	[TEXTS] = { .name = "texts", .type = LEAT_STRINGS, .width = 1 },
	[FLOATS] = { .name = "floats", .type = LEAT_FLOATS, .width = 1 },
	[OTHER] = { .name = "other", .type = LEAT_ENUM, .width = 1, .symbols = more_symbols },
};

struct given {
	const struct leat_field *fields[COLUMNS];
	struct leat_column *columns;
	struct leat_buffer out;
};

static void given_open(struct given *given)
{
	*given = (struct given){ 0 };
	for (size_t i = 0; i < COLUMNS; i++)
		given->fields[i] = &columns_of[i];
	assert_int_equal(leat_columns_make(&given->columns, given->fields, COLUMNS), 0);
	struct leat_column *columns = given->columns;
	for (size_t i = 0; i < COLUMNS; i++)
		columns[i].null[1] = 1;
	columns[BOOL].bools[0] = 1;
	columns[INT].ints[0] = -300;
	columns[INT].ints[2] = INT64_MAX;
	columns[KIND].ints[0] = 1;
	columns[KIND].ints[2] = 2;
	columns[FLOAT].floats[0] = 0.1f;
	columns[FLOAT].floats[2] = NAN;
	columns[DOUBLE].doubles[0] = 0.1;
	columns[DOUBLE].doubles[2] = -INFINITY;
	columns[TEXT].bytes[0] = leat_text("h\xc3\xa9\n\x01\\");
	columns[TEXT].bytes[2] = leat_text("");
	columns[BYTES].bytes[0] = leat_bytes("\xff\0", 2);
	columns[BYTES].bytes[2] = leat_text("");
	columns[VECTOR].floats[0] = 1.5f;
	columns[VECTOR].floats[1] = -2;
	columns[TEXTS].lists[0] = (struct leat_list){ two_texts, 2 };
	columns[FLOATS].lists[0] = (struct leat_list){ two_floats, 2 };
	columns[OTHER].ints[2] = -1;
}

static void given_close(struct given *given)
{
	leat_columns_free(given->columns, COLUMNS);
	leat_buffer_free(&given->out);
}

static struct leat_encoder *compile(const struct given *given, const char *json, const int *slots, struct leat_fault *fault)
{
	struct leat_schema *schema = given_schema(json);
	struct leat_encoder *encoder;
	int rc = leat_encoder_compile(&encoder, schema, slots, given->fields, fault);
	assert_int_equal(rc, encoder ? 0 : LEAT_ESCHEMA);
	leat_schema_free(schema);       /* the encoder stands alone */
	return encoder;
}

struct example {
	const char *schema;
	int slots[4], row;
	struct leat_bytes body;         /* data NULL: LEAT_ESCHEMA when run */
	const char *json;
};
#define EXAMPLE(schema, slots, row, body, json) { schema, slots, row, { (const uint8_t *)(body), sizeof(body) - 1 }, json }
#define REFUSED(schema, slots, row, json) { schema, slots, row, { 0 }, json }
#define AT(...) { __VA_ARGS__ }

static void then(const struct example *example)
{
	struct given given;
	struct leat_fault fault = { 0 };
	given_open(&given);
	struct leat_encoder *encoder = compile(&given, example->schema, example->slots, &fault);
	if (!encoder)
		fail_msg("%s: %s", example->schema, fault.text);
	leat_buffer_append(&given.out, "before", 6);
	int rc = leat_encoder_run(encoder, given.columns, (size_t)example->row, &given.out);
	assert_int_equal(rc, example->body.data ? 0 : LEAT_ESCHEMA);
	assert_int_equal(given.out.length, 6 + example->body.length);
	if (example->body.length)
		assert_memory_equal(given.out.data + 6, example->body.data, example->body.length);
	given.out.length = 6;
	rc = leat_encoder_run_json(encoder, given.columns, (size_t)example->row, &given.out);
	assert_int_equal(rc, example->json ? 0 : LEAT_ESCHEMA);
	leat_buffer_append(&given.out, "", 1);
	assert_string_equal((char *)given.out.data + 6, example->json ? example->json : "");
	leat_encoder_free(encoder);
	given_close(&given);
}

static void every_column_is_written_as_its_own_type(void **state)
{
	(void)state;
	static const struct example examples[] = {
		EXAMPLE(R(""), AT(0), 0, "", "{}"),
		EXAMPLE(R(F("x", "\"boolean\"")), AT(BOOL), 0, "\1", "{\"x\":true}"),
		EXAMPLE(R(F("x", "\"boolean\"")), AT(BOOL), 2, "\0", "{\"x\":false}"),
		EXAMPLE(R(F("x", "\"int\"")), AT(INT), 0, "\xd7\x04", "{\"x\":-300}"),
		EXAMPLE(R(F("x", "\"long\"")), AT(INT), 0, "\xd7\x04", "{\"x\":-300}"),
		EXAMPLE(R(F("x", "\"long\"")), AT(INT), 2, "\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01", "{\"x\":9223372036854775807}"),
		EXAMPLE(R(F("x", "\"float\"")), AT(FLOAT), 0, "\xcd\xcc\xcc\x3d", "{\"x\":0.1}"),
		EXAMPLE(R(F("x", "\"double\"")), AT(DOUBLE), 0, "\x9a\x99\x99\x99\x99\x99\xb9\x3f", "{\"x\":0.1}"),
		EXAMPLE(R(F("x", "\"string\"")), AT(TEXT), 0, "\x0ch\xc3\xa9\n\x01\\", "{\"x\":\"h\xc3\xa9\\n\\u0001\\\\\"}"),
		EXAMPLE(R(F("x", "\"string\"")), AT(TEXT), 2, "\0", "{\"x\":\"\"}"),
		EXAMPLE(R(F("x", "\"bytes\"")), AT(BYTES), 0, "\4\xff\0", "{\"x\":\"\\u00ff\\u0000\"}"),
		EXAMPLE(R(F("x", ENUM("E", "\"B\",\"A\""))), AT(KIND), 0, "\0", "{\"x\":\"B\"}"),
		EXAMPLE(R(F("x", ARRAY("\"string\""))), AT(TEXTS), 0, "\4\2x\6y\"z\0", "{\"x\":[\"x\",\"y\\\"z\"]}"),
		EXAMPLE(R(F("x", ARRAY("\"string\""))), AT(TEXTS), 2, "\0", "{\"x\":[]}"),
		EXAMPLE(R(F("x", ARRAY("\"float\""))), AT(FLOATS), 0, "\4\0\0\x80\x3f\xcd\xcc\xcc\xbd\0", "{\"x\":[1,-0.1]}"),
		EXAMPLE(R(F("x", ARRAY("\"float\""))), AT(FLOATS), 2, "\0", "{\"x\":[]}"),
		EXAMPLE(R(F("x", MICROS)), AT(INT), 0, "\xbf\xcf\x24", "{\"x\":-300000}"),
	};
	for (size_t i = 0; i < LEAT_COUNT_OF(examples); i++)
		then(&examples[i]);
}

static void conversions_that_lose_nothing_are_made(void **state)
{
	(void)state;
	static const struct example examples[] = {
		EXAMPLE(R(F("x", "\"double\"")), AT(FLOAT), 0, "\0\0\0\xa0\x99\x99\xb9\x3f", "{\"x\":0.1}"),
		EXAMPLE(R(F("x", "\"double\"")), AT(INT), 0, "\0\0\0\0\0\xc0\x72\xc0", "{\"x\":-300}"),
		EXAMPLE(R(F("x", "\"bytes\"")), AT(TEXT), 0, "\x0ch\xc3\xa9\n\x01\\", "{\"x\":\"h\\u00c3\\u00a9\\n\\u0001\\\\\"}"),
		EXAMPLE(R(F("x", "\"string\"")), AT(KIND), 0, "\2B", "{\"x\":\"B\"}"),
		EXAMPLE(R(F("x", ARRAY("\"float\""))), AT(VECTOR), 0, "\4\0\0\xc0\x3f\0\0\0\xc0\0", "{\"x\":[1.5,-2]}"),
		EXAMPLE(R(F("x", ARRAY("\"double\""))), AT(VECTOR), 0, "\4\0\0\0\0\0\0\xf8\x3f\0\0\0\0\0\0\0\xc0\0", "{\"x\":[1.5,-2]}"),
		EXAMPLE(R(F("x", "[\"null\",\"double\"]")), AT(INT), 0, "\2\0\0\0\0\0\xc0\x72\xc0", "{\"x\":-300}"),
	};
	for (size_t i = 0; i < LEAT_COUNT_OF(examples); i++)
		then(&examples[i]);
}

static void null_takes_its_branch_or_is_refused(void **state)
{
	(void)state;
	static const struct example examples[] = {
		EXAMPLE(R(F("x", "[\"null\",\"int\"]")), AT(INT), 1, "\0", "{\"x\":null}"),
		EXAMPLE(R(F("x", "[\"int\",\"null\"]")), AT(INT), 1, "\2", "{\"x\":null}"),
		EXAMPLE(R(F("x", "[\"int\",\"null\"]")), AT(INT), 0, "\0\xd7\x04", "{\"x\":-300}"),
		REFUSED(R(F("x", "\"int\"")), AT(INT), 1, NULL),
		REFUSED(R(F("a", "\"string\"") "," F("x", ARRAY("\"float\""))), AT(TEXT, VECTOR), 1, NULL),
	};
	for (size_t i = 0; i < LEAT_COUNT_OF(examples); i++)
		then(&examples[i]);
}

static void what_does_not_fit_the_field_is_refused_when_it_comes(void **state)
{
	(void)state;
	static const struct example examples[] = {
		REFUSED(R(F("x", "\"int\"")), AT(INT), 2, NULL),
		REFUSED(R(F("x", MICROS)), AT(INT), 2, NULL),
		REFUSED(R(F("x", ENUM("E", "\"A\",\"B\""))), AT(KIND), 2, NULL),
		REFUSED(R(F("x", ENUM("E", "\"C\",\"B\""))), AT(OTHER), 2, NULL),
		REFUSED(R(F("x", "\"string\"")), AT(KIND), 2, NULL),
	};
	for (size_t i = 0; i < LEAT_COUNT_OF(examples); i++)
		then(&examples[i]);
}

static void numbers_that_json_does_not_have_are_null_in_it(void **state)
{
	(void)state;
	static const struct example examples[] = {
		EXAMPLE(R(F("x", "\"float\"") "," F("y", "\"double\"")), AT(FLOAT, DOUBLE), 2, "\0\0\xc0\x7f\0\0\0\0\0\0\xf0\xff", "{\"x\":null,\"y\":null}"),
	};
	then(&examples[0]);
}

static void fields_without_a_column_take_their_default_or_null(void **state)
{
	(void)state;
#define GEO "{\"type\":\"record\",\"name\":\"G\",\"fields\":[" D("x", "\"int\"", "1") "," F("y", "[\"null\",\"string\"]") "]}"
	static const struct example examples[] = {
		EXAMPLE(R(D("x", "\"int\"", "-1") "," F("y", "\"int\"")), AT(-1, INT), 0, "\1\xd7\x04", "{\"x\":-1,\"y\":-300}"),
		EXAMPLE(R(F("x", "[\"null\",\"int\"]") "," F("y", "[\"int\",\"null\"]")), AT(-1, -1), 0, "\0\2", "{\"x\":null,\"y\":null}"),
		EXAMPLE(R(D("x", "[\"string\",\"null\"]", "\"q\"")), AT(-1), 1, "\0\2q", "{\"x\":\"q\"}"),
		EXAMPLE(R(D("x", MICROS, "5000") "," D("y", ENUM("E", "\"A\",\"B\""), "\"B\"")), AT(-1, -1), 0, "\x90\x4e\2", "{\"x\":5000,\"y\":\"B\"}"),
		EXAMPLE(R(D("x", "\"bytes\"", "\"\\u00ff\"") "," D("y", ARRAY("\"string\""), "[\"a\"]")), AT(-1, -1), 0, "\2\xff\2\2a\0",
			"{\"x\":\"\\u00ff\",\"y\":[\"a\"]}"),
		EXAMPLE(R(D("x", "\"boolean\"", "true") "," D("y", "\"float\"", "1") "," D("z", "\"double\"", "-1e300")), AT(-1, -1, -1), 0,
			"\1\0\0\x80\x3f\x9c\x75\0\x88\x3c\xe4\x37\xfe", "{\"x\":true,\"y\":1,\"z\":-1e+300}"),
		EXAMPLE(R(D("g", GEO, "{\"x\":7,\"y\":null}") "," F("z", "\"int\"")), AT(-1, -1, INT), 0, "\x0e\0\xd7\x04", "{\"g\":{\"x\":7,\"y\":null},\"z\":-300}"),
		EXAMPLE(R(D("g", GEO, "{\"x\":7,\"y\":null}")), AT(-1, TEXT), 2, "\2\2\0", "{\"g\":{\"x\":1,\"y\":\"\"}}"),
		EXAMPLE(R(F("g", GEO)), AT(-1, -1), 2, "\2\0", "{\"g\":{\"x\":1,\"y\":null}}"),
		EXAMPLE(R(F("e", "{\"type\":\"record\",\"name\":\"N\",\"fields\":[]}") "," F("z", "\"int\"")), AT(INT), 0, "\xd7\x04", "{\"e\":{},\"z\":-300}"),
	};
	for (size_t i = 0; i < LEAT_COUNT_OF(examples); i++)
		then(&examples[i]);
}

static void conversions_that_could_lose_something_are_refused_when_compiled(void **state)
{
	(void)state;
	static const struct {
		const char *schema;
		int slot;
		const char *text;
	} cases[] = {
		{ R(F("x", "\"int\"")), DOUBLE, "field 'x' of schema R is int and cannot take column 'double' of type double" },
		{ R(F("x", "\"float\"")), INT, "field 'x' of schema R is float and cannot take column 'int' of type int" },
		{ R(F("x", "\"float\"")), DOUBLE, "field 'x' of schema R is float and cannot take column 'double' of type double" },
		{ R(F("x", "\"string\"")), BYTES, "field 'x' of schema R is string and cannot take column 'bytes' of type bytes" },
		{ R(F("x", "\"string\"")), INT, "field 'x' of schema R is string and cannot take column 'int' of type int" },
		{ R(F("x", MICROS)), BOOL, "field 'x' of schema R is long and cannot take column 'bool' of type bool" },
		{ R(F("x", "\"int\"")), KIND, "field 'x' of schema R is int and cannot take column 'kind' of type enum" },
		{ R(F("x", ENUM("E", "\"A\""))), TEXT, "field 'x' of schema R is enum and cannot take column 'text' of type string" },
		{ R(F("x", ENUM("E", "\"A\""))), KIND, "column 'kind': enum E has no symbol B" },
		{ R(F("x", ARRAY("\"string\""))), FLOATS, "field 'x' of schema R is array and cannot take column 'floats' of type floats" },
		{ R(F("x", ARRAY("\"float\""))), TEXTS, "field 'x' of schema R is array and cannot take column 'texts' of type strings" },
		{ R(F("x", "\"int\"")), -1, "field 'x' of schema R has neither a column nor a default nor null" },
		{ R(F("g", "{\"type\":\"record\",\"name\":\"G\",\"fields\":[" F("y", "\"int\"") "]}")), -1,
		  "field 'g.y' of schema R has neither a column nor a default nor null" },
	};
	struct given given;
	given_open(&given);
	for (size_t i = 0; i < LEAT_COUNT_OF(cases); i++) {
		struct leat_fault fault = { 0 };
		assert_null(compile(&given, cases[i].schema, &cases[i].slot, &fault));
		assert_string_equal(fault.text, cases[i].text);
		assert_int_equal(fault.code, LEAT_ESCHEMA);
	}
	given_close(&given);
}

/* Every length of a long at its first and last value, texts and lists larger than any buffer yet: read back as they were. */
static void what_is_written_reads_back(void **state)
{
	(void)state;
	static const char json[] = R(F("l", "\"long\"") "," F("s", "\"string\"") "," F("t", ARRAY("\"string\"")) "," F("v", ARRAY("\"float\"")));
	static const int slots[] = { INT, TEXT, TEXTS, FLOATS };
	static struct leat_bytes texts[3000];
	static float floats[3000];
	struct given given;
	struct given_table table;
	struct leat_decoder *decoder;
	struct leat_arena *arena;
	struct leat_schema *schema = given_schema(json);
	given_open(&given);
	given_table_open(&table, schema);
	struct leat_encoder *encoder = compile(&given, json, slots, NULL);
	assert_int_equal(leat_decoder_compile(&decoder, json, strlen(json), schema, table.slots, NULL), 0);
	assert_int_equal(leat_arena_open(&arena, 4096), 0);
	char *text = leat_calloc(1, 100000);
	memset(text, 'x', 100000);
	for (size_t i = 0; i < 3000; i++)
		texts[i] = leat_bytes(text, i % 100), floats[i] = (float)i;
	for (int bit = 0; bit < 64; bit++) {
		for (int minus = 0; minus < 2; minus++) {
			int64_t value = (int64_t)((UINT64_C(1) << bit) - (uint64_t)minus);
			struct leat_bytes s = leat_bytes(text, bit < 62 ? (size_t)bit * 3 : 100000);
			given.columns[INT].ints[9] = value;
			given.columns[TEXT].bytes[9] = s;
			given.columns[TEXTS].lists[9] = (struct leat_list){ texts, bit < 60 ? (uint32_t)bit : 3000 };
			given.columns[FLOATS].lists[9] = (struct leat_list){ floats, bit < 61 ? (uint32_t)bit : 3000 };
			given.out = (struct leat_buffer){ 0 };
			assert_int_equal(leat_encoder_run(encoder, given.columns, 9, &given.out), 0);
			assert_int_equal(leat_decoder_run(decoder, leat_bytes(given.out.data, given.out.length), table.columns, 3, arena), 0);
			assert_true(table.columns[0].ints[3] == value);
			assert_true(leat_bytes_equal(table.columns[1].bytes[3], s));
			assert_int_equal(table.columns[2].lists[3].count, given.columns[TEXTS].lists[9].count);
			for (uint32_t i = 0; i < table.columns[2].lists[3].count; i++)
				assert_true(leat_bytes_equal(((const struct leat_bytes *)table.columns[2].lists[3].items)[i], texts[i]));
			assert_int_equal(table.columns[3].lists[3].count, given.columns[FLOATS].lists[9].count);
			if (table.columns[3].lists[3].count)
				assert_memory_equal(table.columns[3].lists[3].items, floats, table.columns[3].lists[3].count * sizeof(float));
			leat_buffer_free(&given.out);
			leat_arena_reset(arena);
		}
	}
	leat_free(text);
	leat_encoder_free(encoder);
	leat_decoder_free(decoder);
	leat_arena_close(arena);
	given_table_close(&table);
	leat_schema_free(schema);
	given_close(&given);
}

static void out_of_memory_leaves_the_buffer_as_it_was(void **state)
{
	(void)state;
	static const char json[] = R(F("s", "\"string\"") "," F("t", ARRAY("\"string\"")) "," F("k", ENUM("E", "\"A\",\"B\"")) "," D("d", ARRAY("\"string\""), "[\"a\"]"));
	static const int slots[] = { TEXT, TEXTS, KIND, -1 };
	struct leat_schema *schema = given_schema(json);
	struct leat_encoder *encoder = NULL;
	struct given given;
	int rc = LEAT_ENOMEM;
	given_open(&given);
	for (uint64_t n = 1; rc != 0; n++) {
		struct leat_fault fault = { 0 };
		leat_alloc_fail_at(n);
		rc = leat_encoder_compile(&encoder, schema, slots, given.fields, &fault);
		leat_alloc_fail_at(0);
		assert_true(rc == 0 ? encoder != NULL : rc == LEAT_ENOMEM && encoder == NULL && fault.code == LEAT_ENOMEM);
	}
	char *text = leat_calloc(1, 100000);
	given.columns[TEXT].bytes[0] = leat_bytes(text, 100000);
	for (int json_too = 0; json_too < 2; json_too++) {
		rc = LEAT_ENOMEM;
		for (uint64_t n = 1; rc != 0; n++) {
			leat_buffer_free(&given.out);
			leat_buffer_append(&given.out, "before", 6);
			leat_alloc_fail_at(n);
			rc = json_too ? leat_encoder_run_json(encoder, given.columns, 0, &given.out) : leat_encoder_run(encoder, given.columns, 0, &given.out);
			leat_alloc_fail_at(0);
			assert_true(rc == 0 || (rc == LEAT_ENOMEM && given.out.length == 6));
			assert_memory_equal(given.out.data, "before", 6);
		}
	}
	leat_free(text);
	leat_encoder_free(encoder);
	leat_schema_free(schema);
	given_close(&given);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_column_is_written_as_its_own_type),
		cmocka_unit_test(conversions_that_lose_nothing_are_made),
		cmocka_unit_test(null_takes_its_branch_or_is_refused),
		cmocka_unit_test(what_does_not_fit_the_field_is_refused_when_it_comes),
		cmocka_unit_test(numbers_that_json_does_not_have_are_null_in_it),
		cmocka_unit_test(fields_without_a_column_take_their_default_or_null),
		cmocka_unit_test(conversions_that_could_lose_something_are_refused_when_compiled),
		cmocka_unit_test(what_is_written_reads_back),
		cmocka_unit_test(out_of_memory_leaves_the_buffer_as_it_was),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
