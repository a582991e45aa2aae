/* Schemas: what is read from the text, what is refused and with which words. */
#include "tests/schemas/given.h"

#include <jansson.h>

#define FIELDS(list) "{\"type\":\"record\",\"name\":\"R\",\"fields\":[" list "]}"
#define FIELD(name, type) "{\"name\":\"" name "\",\"type\":" type "}"

/* One line per field: name:type, ? when nullable, symbols, the time's divisor, the default, the doc. */
static void show_default(struct leat_buffer *out, const struct leat_schema *schema, size_t index)
{
	const struct leat_field *field = leat_schema_field(schema, index);
	const void *value;
	bool null;
	if (!leat_schema_default(schema, index, &value, &null))
		return;
	struct leat_column column = { .type = field->type, .width = 1, .null = (uint8_t *)&null, .data = (void *)(uintptr_t)value };
	leat_buffer_printf(out, " =");
	show_value(out, field, &column, 0);
}

static void then_fields(const struct leat_schema *schema, const char *expected)
{
	struct leat_buffer out = { 0 };
	for (size_t i = 0; i < leat_schema_count(schema); i++) {
		const struct leat_field *field = leat_schema_field(schema, i);
		leat_buffer_printf(&out, "%s:%s%s", field->name, leat_type_name(field->type), field->nullable ? "?" : "");
		for (size_t j = 0; field->symbols && field->symbols[j]; j++)
			leat_buffer_printf(&out, "%s%s", j ? "," : " ", field->symbols[j]);
		if (leat_schema_time_divisor(schema, i) != 1)
			leat_buffer_printf(&out, " /%d", leat_schema_time_divisor(schema, i));
		show_default(&out, schema, i);
		leat_buffer_printf(&out, "%s%s\n", field->help ? " -- " : "", field->help ? field->help : "");
		assert_int_equal(leat_schema_find(schema, field->name), (long)i);
		assert_int_equal(field->width, 1);
	}
	leat_buffer_append(&out, "", 1);
	assert_string_equal((char *)out.data, expected);
	leat_buffer_free(&out);
}

static void a_record_is_flattened_to_fields_with_all_that_is_known_of_them(void **state)
{
	(void)state;
	static const char json[] =
		"{\"type\":\"record\",\"name\":\"Click\",\"namespace\":\"leat.shop\",\"fields\":["
		"{\"name\":\"id\",\"type\":\"string\",\"doc\":\"Who.\"},"
		"{\"name\":\"ok\",\"type\":\"boolean\",\"default\":true},"
		"{\"name\":\"n\",\"type\":\"int\",\"default\":-5},"
		"{\"name\":\"ms\",\"type\":{\"type\":\"long\",\"logicalType\":\"timestamp-millis\"},\"default\":7},"
		"{\"name\":\"us\",\"type\":[\"null\",{\"type\":\"long\",\"logicalType\":\"timestamp-micros\"}],\"default\":null},"
		"{\"name\":\"at\",\"type\":{\"type\":\"long\",\"logicalType\":\"local-timestamp-micros\"},\"default\":-1},"
		"{\"name\":\"day\",\"type\":{\"type\":\"int\",\"logicalType\":\"date\"}},"
		"{\"name\":\"geo\",\"type\":{\"type\":\"record\",\"name\":\"Geo\",\"fields\":["
		"{\"name\":\"lat\",\"type\":\"double\",\"default\":1.5},{\"name\":\"lon\",\"type\":\"float\"},"
		"{\"name\":\"in\",\"type\":{\"type\":\"record\",\"name\":\"other.In\",\"fields\":[{\"name\":\"x\",\"type\":\"bytes\",\"default\":\"\\u00ff\\u0000a\"}]}}]},"
		"\"default\":{\"lon\":2,\"in\":{}}},"
		"{\"name\":\"kind\",\"type\":{\"type\":\"enum\",\"name\":\"Kind\",\"symbols\":[\"A\",\"B\"],\"default\":\"A\"},\"default\":\"B\"},"
		"{\"name\":\"also\",\"type\":[\"leat.shop.Kind\",\"null\"],\"default\":\"A\"},"
		"{\"name\":\"again\",\"type\":\"Geo\"},"
		"{\"name\":\"tags\",\"type\":{\"type\":\"array\",\"items\":\"string\"},\"default\":[\"x\",\"\"]},"
		"{\"name\":\"v\",\"type\":{\"type\":\"array\",\"items\":\"double\"},\"default\":[1,0.25]}]}";
	struct leat_schema *schema = given_schema(json);
	assert_string_equal(leat_schema_name(schema), "leat.shop.Click");
	assert_string_equal(leat_schema_json(schema), json);
	assert_int_equal(leat_schema_find(schema, "geo"), -1);
	then_fields(schema, "id:string -- Who.\nok:bool =true\nn:int =-5\nms:int =7\nus:int? /1000 =null\nat:int /1000 =-1\nday:int\n"
			    "geo.lat:double =1.5\ngeo.lon:float\ngeo.in.x:bytes =\\ff\\00a\nkind:enum A,B =B\nalso:enum? A,B =A\n"
			    "again.lat:double =1.5\nagain.lon:float\nagain.in.x:bytes =\\ff\\00a\ntags:strings =[x,]\nv:floats =[1,0.25]\n");
	leat_schema_free(schema);
}

static void what_no_column_can_hold_is_refused_by_name(void **state)
{
	(void)state;
	static const struct {
		const char *type, *text;
	} cases[] = {
		{ "{\"type\":\"map\",\"values\":\"int\"}", "test: field 'f' has type map, which a column cannot hold" },
		{ "{\"type\":\"fixed\",\"name\":\"F\",\"size\":4}", "test: field 'f' has type fixed, which a column cannot hold" },
		{ "\"null\"", "test: field 'f' has type null, which a column cannot hold" },
		{ "[\"null\",\"int\",\"string\"]", "test: field 'f' has type union, which a column cannot hold" },
		{ "[\"int\"]", "test: field 'f' has type union, which a column cannot hold" },
		{ "[\"int\",\"string\"]", "test: field 'f' has type union, which a column cannot hold" },
		{ "{\"type\":\"array\",\"items\":\"long\"}", "test: field 'f' has type array, which a column cannot hold" },
		{ "{\"type\":\"array\",\"items\":[\"null\",\"string\"]}", "test: field 'f' has type array, which a column cannot hold" },
		{ "[\"null\",{\"type\":\"record\",\"name\":\"N\",\"fields\":[]}]", "test: field 'f' has type record, which a column cannot hold" },
		{ "\"R\"", "test: record R contains itself, or too many records" },
	};
	for (size_t i = 0; i < LEAT_COUNT_OF(cases); i++) {
		struct leat_schema *schema;
		struct leat_fault fault = { 0 };
		char *json = leat_printf(FIELDS("{\"name\":\"f\",\"type\":%s}"), cases[i].type);
		assert_int_equal(leat_schema_parse(&schema, json, strlen(json), "test", &fault), LEAT_ESCHEMA);
		assert_string_equal(fault.text, cases[i].text);
		assert_null(schema);
		leat_free(json);
	}
}

static void a_wrong_text_is_refused_with_its_place(void **state)
{
	(void)state;
	static const struct {
		const char *json, *text;
	} cases[] = {
		{ "", "test:1: unexpected token near end of file" },
		{ "{\n\"type\":\n}", "test:3: unexpected token near '}'" },
		{ "{\"a\":1,\"a\":2}", "test:1: duplicate object key near '\"a\"'" },
		{ "\"int\"", "test: the schema is not a record" },
		{ "7", "test: a type must be a name, a list or an object" },
		{ "{}", "test: a type must be a name, a list or an object" },
		{ "{\"type\":\"record\"}", "test: a type without a valid name: record" },
		{ "{\"type\":\"record\",\"name\":\"a-b\",\"fields\":[]}", "test: a type without a valid name: record" },
		{ "{\"type\":\"record\",\"name\":\"a\\u0000b\",\"fields\":[]}", "test: a type without a valid name: record" },
		{ "{\"type\":\"record\",\"name\":\"a..b\",\"fields\":[]}", "test: a type without a valid name: record" },
		{ "{\"type\":\"record\",\"name\":\"R\",\"namespace\":3,\"fields\":[]}", "test: not a namespace in type: R" },
		{ "{\"type\":\"record\",\"name\":\"R\",\"aliases\":\"X\",\"fields\":[]}", "test: aliases must be a list of names" },
		{ "{\"type\":\"record\",\"name\":\"R\",\"aliases\":[1],\"fields\":[]}", "test: aliases must be a list of names" },
		{ "{\"type\":\"record\",\"name\":\"R\"}", "test: no list of fields, or too many, in record: R" },
		{ FIELDS("{\"name\":\"a\"}"), "test: a field without a valid name and a type in record: R" },
		{ FIELDS("{\"name\":\"a.b\",\"type\":\"int\"}"), "test: a field without a valid name and a type in record: R" },
		{ FIELDS("7"), "test: a field without a valid name and a type in record: R" },
		{ FIELDS(FIELD("a", "\"int\"") "," FIELD("a", "\"int\"")), "test: a field appears twice: a" },
		{ FIELDS(FIELD("a", "\"S\"")), "test: unknown type: S" },
		{ FIELDS(FIELD("a", "\"i nt\"")), "test: not a type name: i nt" },
		{ FIELDS(FIELD("a", "[]")), "test: a union of no types, or of too many" },
		{ FIELDS(FIELD("a", "[\"int\",[\"null\",\"long\"]]")), "test: a union directly in a union" },
		{ FIELDS(FIELD("a", "[\"int\",\"int\"]")), "test: a union with the same type twice: int" },
		{ FIELDS(FIELD("a", "{\"type\":\"enum\",\"name\":\"R\",\"symbols\":[]}")), "test: a type is defined twice: R" },
		{ FIELDS(FIELD("a", "{\"type\":\"enum\",\"name\":\"E\"}")), "test: no list of symbols, or too many, in enum: E" },
		{ FIELDS(FIELD("a", "{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"A\",\"A\"]}")), "test: a symbol appears twice in enum: E" },
		{ FIELDS(FIELD("a", "{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"-\"]}")), "test: not a symbol in enum: E" },
		{ FIELDS(FIELD("a", "{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"A\"],\"default\":\"B\"}")),
		  "test: the default is not a symbol of enum: E" },
		{ FIELDS(FIELD("a", "{\"type\":\"fixed\",\"name\":\"F\",\"size\":-1}")), "test: no size, or a bad one, in fixed: F" },
		{ FIELDS(FIELD("a", "{\"type\":\"array\"}")), "test: an array or map without: items" },
		{ FIELDS(FIELD("a", "{\"type\":\"map\"}")), "test: an array or map without: values" },
	};
	for (size_t i = 0; i < LEAT_COUNT_OF(cases); i++) {
		struct leat_schema *schema;
		struct leat_fault fault = { 0 };
		assert_int_equal(leat_schema_parse(&schema, cases[i].json, strlen(cases[i].json), "test", &fault), LEAT_ESCHEMA);
		assert_string_equal(fault.text, cases[i].text);
		assert_int_equal(leat_schema_parse(&schema, cases[i].json, strlen(cases[i].json), "test", NULL), LEAT_ESCHEMA);
	}
}

static void a_default_that_does_not_fit_is_refused(void **state)
{
	(void)state;
	static const struct {
		const char *type, *value;
	} cases[] = {
		{ "\"int\"", "2147483648" },
		{ "\"int\"", "1.5" },
		{ "\"long\"", "\"1\"" },
		{ "\"boolean\"", "0" },
		{ "\"float\"", "1e39" },
		{ "\"double\"", "true" },
		{ "\"string\"", "null" },
		{ "\"bytes\"", "\"\\u0100\"" },
		{ "[\"null\",\"int\"]", "1" },
		{ "[\"int\",\"null\"]", "null" },
		{ "{\"type\":\"array\",\"items\":\"string\"}", "{}" },
		{ "{\"type\":\"array\",\"items\":\"string\"}", "[1]" },
		{ "{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"A\"]}", "\"B\"" },
		{ "{\"type\":\"record\",\"name\":\"N\",\"fields\":[{\"name\":\"x\",\"type\":\"int\"}]}", "{}" },
		{ "{\"type\":\"record\",\"name\":\"N\",\"fields\":[{\"name\":\"x\",\"type\":\"int\"}]}", "1" },
	};
	for (size_t i = 0; i < LEAT_COUNT_OF(cases); i++) {
		struct leat_schema *schema;
		struct leat_fault fault = { 0 };
		char *json = leat_printf(FIELDS("{\"name\":\"f\",\"type\":%s,\"default\":%s}"), cases[i].type, cases[i].value);
		if (leat_schema_parse(&schema, json, strlen(json), "test", &fault) != LEAT_ESCHEMA)
			fail_msg("accepted: %s", json);
		assert_non_null(strstr(fault.text, "the default of field 'f' does not fit its type"));
		leat_free(json);
	}
}

/* A chain of @depth records, each in the one before, the last of them empty, each member @width times. */
static char *nested_records(int depth, int width)
{
	struct leat_buffer out = { 0 };
	for (int i = 0; i < depth; i++) {
		leat_buffer_printf(&out, "{\"type\":\"record\",\"name\":\"N%d\",\"fields\":[", i);
		leat_buffer_printf(&out, i + 1 < depth ? "{\"name\":\"f0\",\"type\":" : "");
	}
	for (int i = depth - 1; i >= 0; i--) {
		leat_buffer_printf(&out, "]}");
		if (i > 0)
			leat_buffer_printf(&out, "}");
		for (int j = 1; i > 0 && j < width; j++)
			leat_buffer_printf(&out, ",{\"name\":\"f%d\",\"type\":\"N%d\"}", j, i);
	}
	leat_buffer_append(&out, "", 1);
	return (char *)out.data;
}

static void nesting_and_size_are_bounded(void **state)
{
	(void)state;
	struct leat_schema *schema;
	struct leat_fault fault = { 0 };
	char *deep = nested_records(65, 1), *wide = nested_records(40, 2), *fits = nested_records(64, 1);
	char *large = leat_calloc(1, (1 << 20) + 2);
	memset(large, ' ', (1 << 20) + 1);

	assert_int_equal(leat_schema_parse(&schema, deep, strlen(deep), "test", &fault), LEAT_ESCHEMA);
	assert_string_equal(fault.text, "test: types nested deeper than 64");
	assert_int_equal(leat_schema_parse(&schema, wide, strlen(wide), "test", &fault), LEAT_ESCHEMA);
	assert_non_null(strstr(fault.text, "or too many records"));
	assert_int_equal(leat_schema_parse(&schema, large, (1 << 20) + 1, "test", &fault), LEAT_ESCHEMA);
	assert_string_equal(fault.text, "test: the schema is longer than 1 MiB");
	assert_int_equal(leat_schema_parse(&schema, fits, strlen(fits), "test", &fault), 0);
	assert_int_equal(leat_schema_count(schema), 0);
	leat_schema_free(schema);
	leat_free(deep), leat_free(wide), leat_free(fits), leat_free(large);
}

static const struct leat_field some_fields[] = {
	{ .name = "ok", .type = LEAT_BOOL, .width = 1, .help = "Is it \"so\"?" },
	{ .name = "n", .type = LEAT_INT, .width = 1, .nullable = true },
	{ .name = "a.kind", .type = LEAT_ENUM, .width = 1, .symbols = (const char *const[]){ "A", "B", NULL } },
	{ .name = "a.b.f", .type = LEAT_FLOAT, .width = 1 },
	{ .name = "a.b.d", .type = LEAT_DOUBLE, .width = 1 },
	{ .name = "a.s", .type = LEAT_STRING, .width = 1, .nullable = true, .help = "Text." },
	{ .name = "raw", .type = LEAT_BYTES, .width = 1 },
	{ .name = "vector", .type = LEAT_VECTOR, .width = 8 },
	{ .name = "tags", .type = LEAT_STRINGS, .width = 1 },
	{ .name = "floats", .type = LEAT_FLOATS, .width = 1, .nullable = true },
	{ 0 },
};

static void fields_make_a_schema_of_the_same_fields_in_the_same_order(void **state)
{
	(void)state;
	struct leat_schema *schema, *empty;
	struct leat_fault fault = { 0 };
	assert_int_equal(leat_schema_from_fields(&schema, "leat.Row", some_fields, &fault), 0);
	assert_string_equal(leat_schema_name(schema), "leat.Row");
	then_fields(schema, "ok:bool -- Is it \"so\"?\nn:int? =null\na.kind:enum A,B\na.b.f:float\na.b.d:double\na.s:string? =null -- Text.\n"
			    "raw:bytes\nvector:floats\ntags:strings\nfloats:floats? =null\n");
	leat_schema_free(schema);
	assert_int_equal(leat_schema_from_fields(&empty, "Empty", &(struct leat_field){ 0 }, &fault), 0);
	assert_int_equal(leat_schema_count(empty), 0);
	leat_schema_free(empty);
}

static void fields_that_make_no_schema_are_refused(void **state)
{
	(void)state;
	static const struct leat_field apart[] = { { .name = "a.x", .type = LEAT_INT }, { .name = "b", .type = LEAT_INT }, { .name = "a.y", .type = LEAT_INT }, { 0 } };
	static const struct leat_field untyped[] = { { .name = "a" }, { 0 } };
	static const struct leat_field nameless[] = { { .name = "a..b", .type = LEAT_INT }, { 0 } };
	struct leat_schema *schema;
	struct leat_fault fault = { 0 };
	assert_int_equal(leat_schema_from_fields(&schema, "R", apart, &fault), LEAT_ESCHEMA);
	assert_int_equal(leat_schema_from_fields(&schema, "R", untyped, &fault), LEAT_ESCHEMA);
	assert_string_equal(fault.text, "R: field 'a' has no type");
	assert_int_equal(leat_schema_from_fields(&schema, "R", nameless, &fault), LEAT_ESCHEMA);
	assert_int_equal(leat_schema_from_fields(&schema, "my row", some_fields, &fault), LEAT_ESCHEMA);
	assert_null(schema);
}

static void a_file_that_cannot_be_read_is_named(void **state)
{
	(void)state;
	struct leat_schema *schema;
	struct leat_fault fault = { 0 };
	assert_int_equal(leat_schema_load(&schema, "/nowhere/x.avsc", &fault), LEAT_ECONFIG);
	assert_string_equal(fault.text, "/nowhere/x.avsc: No such file or directory");
	assert_int_equal(leat_schema_load(&schema, "/", &fault), LEAT_EIO);
	assert_int_equal(leat_schema_load(&schema, "/dev/zero", &fault), LEAT_ESCHEMA);
	assert_string_equal(fault.text, "/dev/zero: the schema is longer than 1 MiB");
}

static void a_file_is_read_whole(void **state)
{
	(void)state;
	char path[] = "/tmp/leat-schema-XXXXXX";
	int fd = mkstemp(path);
	FILE *file = fdopen(fd, "w");
	struct leat_schema *schema;
	fprintf(file, "%8000s%s", "", FIELDS(FIELD("a", "\"int\"")));
	fclose(file);
	assert_int_equal(leat_schema_load(&schema, path, NULL), 0);
	then_fields(schema, "a:int\n");
	leat_schema_free(schema);
	remove(path);
}

/*
 * Runs @make with the n-th allocation failing, for n from 1 until none fails; each time before it must say LEAT_ENOMEM and leave nothing behind.
 * @other: what jansson's allocations may also lead to, which it reports as a token that it does not understand.
 */
static void walk_out_of_memory(int (*make)(struct leat_schema **, struct leat_fault *), int other)
{
	int rc = LEAT_ENOMEM;
	for (uint64_t n = 1; rc != 0; n++) {
		struct leat_schema *schema;
		struct leat_fault fault = { 0 };
		leat_alloc_fail_at(n);
		rc = make(&schema, &fault);
		leat_alloc_fail_at(0);
		assert_true(rc == 0 || rc == LEAT_ENOMEM || rc == other);
		assert_true(rc == 0 ? schema != NULL : fault.code == rc && schema == NULL);
		leat_schema_free(schema);
		assert_true(n < 10000);
	}
}

static int make_parsed(struct leat_schema **out, struct leat_fault *fault)
{
	static const char json[] = "{\"type\":\"record\",\"name\":\"a.R\",\"aliases\":[\"Q\"],\"fields\":["
				   "{\"name\":\"x\",\"type\":{\"type\":\"array\",\"items\":\"string\"},\"default\":[\"a\"]},"
				   "{\"name\":\"y\",\"type\":{\"type\":\"record\",\"name\":\"N\",\"fields\":[{\"name\":\"z\",\"type\":[\"null\",\"long\"]}]},"
				   "\"default\":{\"z\":null}}]}";
	return leat_schema_parse(out, json, sizeof json - 1, "test", fault);
}

static int make_from_fields(struct leat_schema **out, struct leat_fault *fault)
{
	return leat_schema_from_fields(out, "R", some_fields, fault);
}

static void out_of_memory_is_said_wherever_it_happens(void **state)
{
	(void)state;
	walk_out_of_memory(make_parsed, LEAT_ENOMEM);
	walk_out_of_memory(make_from_fields, LEAT_ENOMEM);
	json_set_alloc_funcs(leat_malloc, leat_free);
	walk_out_of_memory(make_parsed, LEAT_ESCHEMA);
	walk_out_of_memory(make_from_fields, LEAT_ESCHEMA);
	json_set_alloc_funcs(malloc, free);
}

static void columns_are_made_whole_or_not_at_all(void **state)
{
	(void)state;
	static const struct leat_field vector = { .name = "v", .type = LEAT_VECTOR, .width = 3 }, text = { .name = "t", .type = LEAT_STRING, .width = 1 };
	const struct leat_field *fields[] = { &vector, &text };
	struct leat_column *columns = NULL;
	int rc = LEAT_ENOMEM;
	for (uint64_t n = 1; rc != 0; n++) {
		leat_alloc_fail_at(n);
		rc = leat_columns_make(&columns, fields, 2);
		leat_alloc_fail_at(0);
		assert_true(rc == 0 ? columns != NULL : rc == LEAT_ENOMEM && columns == NULL);
	}
	assert_int_equal(columns[0].type, LEAT_VECTOR);
	assert_int_equal(columns[0].width, 3);
	columns[0].floats[3 * LEAT_BATCH_MAX - 1] = 1;
	columns[1].bytes[LEAT_BATCH_MAX - 1] = leat_text("x");
	columns[1].null[LEAT_BATCH_MAX - 1] = 1;
	leat_columns_free(columns, 2);
	assert_int_equal(leat_type_size(LEAT_VECTOR), sizeof(float));
	assert_int_equal(leat_type_size(LEAT_BOOL), 1);
	assert_string_equal(leat_type_name(LEAT_STRINGS), "strings");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_record_is_flattened_to_fields_with_all_that_is_known_of_them),
		cmocka_unit_test(what_no_column_can_hold_is_refused_by_name),
		cmocka_unit_test(a_wrong_text_is_refused_with_its_place),
		cmocka_unit_test(a_default_that_does_not_fit_is_refused),
		cmocka_unit_test(nesting_and_size_are_bounded),
		cmocka_unit_test(fields_make_a_schema_of_the_same_fields_in_the_same_order),
		cmocka_unit_test(fields_that_make_no_schema_are_refused),
		cmocka_unit_test(a_file_that_cannot_be_read_is_named),
		cmocka_unit_test(a_file_is_read_whole),
		cmocka_unit_test(out_of_memory_is_said_wherever_it_happens),
		cmocka_unit_test(columns_are_made_whole_or_not_at_all),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
