/* The decoder: what it makes of a body by writer and reader schema, and which reason it gives for what it refuses. */
#include "tests/schemas/given.h"

#include <jansson.h>

#define R(fields) "{\"type\":\"record\",\"name\":\"R\",\"fields\":[" fields "]}"
#define F(name, type) "{\"name\":\"" name "\",\"type\":" type "}"
#define D(name, type, value) "{\"name\":\"" name "\",\"type\":" type ",\"default\":" value "}"
#define ARRAY(item) "{\"type\":\"array\",\"items\":" item "}"
#define MAP(item) "{\"type\":\"map\",\"values\":" item "}"
#define ENUM(name, symbols) "{\"type\":\"enum\",\"name\":\"" name "\",\"symbols\":[" symbols "]}"
#define MICROS "{\"type\":\"long\",\"logicalType\":\"timestamp-micros\"}"
#define MILLIS "{\"type\":\"long\",\"logicalType\":\"timestamp-millis\"}"

struct example {
	const char *writer, *reader;      /* reader NULL: the same */
	struct leat_bytes body;
	const char *then;                 /* the row, or the reason */
};
#define EXAMPLE(writer, reader, body, then) { writer, reader, { (const uint8_t *)(body), sizeof(body) - 1 }, then }

struct given {
	struct leat_schema *schema;
	struct given_table table;
	struct leat_decoder *decoder;
	struct leat_arena *arena;
};

static void given_open(struct given *given, const char *writer, const char *reader)
{
	struct leat_fault fault = { 0 };
	given->schema = given_schema(reader ? reader : writer);
	given_table_open(&given->table, given->schema);
	if (leat_decoder_compile(&given->decoder, writer, strlen(writer), given->schema, given->table.slots, &fault) < 0)
		fail_msg("%s: %s", fault.text, writer);
	assert_int_equal(leat_arena_open(&given->arena, 4096), 0);
}

static void given_close(struct given *given)
{
	leat_decoder_free(given->decoder);
	leat_arena_close(given->arena);
	given_table_close(&given->table);
	leat_schema_free(given->schema);
}

/* Decodes a copy of exactly the body's size, so that the sanitizer sees any read beyond it. */
static enum leat_bad run(struct given *given, struct leat_bytes body, size_t row, uint8_t **copy)
{
	*copy = leat_malloc(body.length);
	memcpy(*copy, body.data, body.length);
	return leat_decoder_run(given->decoder, leat_bytes(*copy, body.length), given->table.columns, row, given->arena);
}

static void then(const struct example *examples, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct given given;
		uint8_t *copy;
		given_open(&given, examples[i].writer, examples[i].reader);
		enum leat_bad bad = run(&given, examples[i].body, 7, &copy);
		char *text = bad ? leat_strdup(leat_bad_text(bad)) : show_row(&given.table, 7);
		if (strcmp(text, examples[i].then) != 0)
			fail_msg("example %zu: %s, not %s", i, text, examples[i].then);
		leat_free(text);
		leat_free(copy);
		given_close(&given);
	}
}
#define THEN(examples) then(examples, LEAT_COUNT_OF(examples))

static void every_type_is_read_as_it_was_written(void **state)
{
	(void)state;
	static const struct example examples[] = {
		EXAMPLE(R(F("x", "\"boolean\"") "," F("y", "\"boolean\"")), NULL, "\1\0", "x=true y=false"),
		EXAMPLE(R(F("x", "\"int\"")), NULL, "\x01", "x=-1"),
		EXAMPLE(R(F("x", "\"int\"")), NULL, "\xff\xff\xff\xff\x0f", "x=-2147483648"),
		EXAMPLE(R(F("x", "\"int\"")), NULL, "\xfe\xff\xff\xff\x0f", "x=2147483647"),
		EXAMPLE(R(F("x", "\"long\"")), NULL, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "x=-9223372036854775808"),
		EXAMPLE(R(F("x", "\"long\"")), NULL, "\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01", "x=9223372036854775807"),
		EXAMPLE(R(F("x", "\"float\"")), NULL, "\0\0\xc0\x3f", "x=1.5"),
		EXAMPLE(R(F("x", "\"double\"")), NULL, "\0\0\0\0\0\0\x04\xc0", "x=-2.5"),
		EXAMPLE(R(F("x", "\"string\"")), NULL, "\6abc", "x=abc"),
		EXAMPLE(R(F("x", "\"string\"")), NULL, "\0", "x="),
		EXAMPLE(R(F("x", "\"string\"")), NULL, "\x06"
							"a\0b",
			"x=a\\00b"),
		EXAMPLE(R(F("x", "\"bytes\"")), NULL, "\4\xff\xfe", "x=\\ff\\fe"),
		EXAMPLE(R(F("x", ENUM("E", "\"A\",\"B\""))), NULL, "\2", "x=B"),
		EXAMPLE(R(F("x", ARRAY("\"string\""))), NULL, "\4\2a\4bc\0", "x=[a,bc]"),
		EXAMPLE(R(F("x", ARRAY("\"string\""))), NULL, "\0", "x=[]"),
		EXAMPLE(R(F("x", ARRAY("\"string\""))), NULL, "\2\2a\1\6\4bc\0", "x=[a,bc]"),
		EXAMPLE(R(F("x", ARRAY("\"float\""))), NULL, "\1\x08\0\0\x80\x3f\2\0\0\0\x40\0", "x=[1,2]"),
		EXAMPLE(R(F("x", ARRAY("\"double\""))), NULL, "\2\0\0\0\0\0\0\xf0\x3f\0", "x=[1]"),
		EXAMPLE(R(F("x", "[\"null\",\"double\"]") "," F("y", "[\"string\",\"null\"]")), NULL, "\0\2", "x=null y=null"),
		EXAMPLE(R(F("x", "[\"null\",\"int\"]") "," F("y", "[\"string\",\"null\"]")), NULL, "\2\7\0\2a", "x=-4 y=a"),
		EXAMPLE(R(F("a", "{\"type\":\"record\",\"name\":\"A\",\"fields\":[" F("x", "\"int\"") "]}") "," F("z", "\"int\"")), NULL, "\2\4", "a.x=1 z=2"),
		EXAMPLE(R(""), NULL, "", ""),
	};
	THEN(examples);
}

static void numbers_and_texts_are_promoted(void **state)
{
	(void)state;
	static const struct example examples[] = {
		EXAMPLE(R(F("x", "\"int\"")), R(F("x", "\"long\"")), "\3", "x=-2"),
		EXAMPLE(R(F("x", "\"int\"")), R(F("x", "\"float\"")), "\3", "x=-2"),
		EXAMPLE(R(F("x", "\"int\"")), R(F("x", "\"double\"")), "\3", "x=-2"),
		EXAMPLE(R(F("x", "\"long\"")), R(F("x", "\"float\"")), "\xfe\xff\xff\xff\x1f", "x=4.2949673e+09"),
		EXAMPLE(R(F("x", "\"long\"")), R(F("x", "\"double\"")), "\xfe\xff\xff\xff\x1f", "x=4294967295"),
		EXAMPLE(R(F("x", "\"float\"")), R(F("x", "\"double\"")), "\0\0\xc0\x3f", "x=1.5"),
		EXAMPLE(R(F("x", "\"string\"")), R(F("x", "\"bytes\"")), "\2\xff", "x=\\ff"),
		EXAMPLE(R(F("x", "\"bytes\"")), R(F("x", "\"string\"")), "\2a", "x=a"),
		EXAMPLE(R(F("x", "\"bytes\"")), R(F("x", "\"string\"")), "\2\xff", "avro_utf8"),
		EXAMPLE(R(F("x", ARRAY("\"int\""))), R(F("x", ARRAY("\"float\""))), "\4\2\3\0", "x=[1,-2]"),
		EXAMPLE(R(F("x", ARRAY("\"long\""))), R(F("x", ARRAY("\"double\""))), "\4\2\3\0", "x=[1,-2]"),
		EXAMPLE(R(F("x", ARRAY("\"bytes\""))), R(F("x", ARRAY("\"string\""))), "\2\2a\0", "x=[a]"),
		EXAMPLE(R(F("x", "\"int\"")), R(F("x", "[\"null\",\"double\"]")), "\2", "x=1"),
		EXAMPLE(R(F("x", "\"null\"")), R(F("x", "[\"null\",\"double\"]")), "", "x=null"),
		EXAMPLE(R(F("x", "[\"null\",\"int\"]")), R(F("x", "[\"double\",\"null\"]")), "\2\2", "x=1"),
		EXAMPLE(R(F("x", "[\"null\",\"int\"]")), R(F("x", "[\"double\",\"null\"]")), "\0", "x=null"),
	};
	THEN(examples);
}

static void times_become_milliseconds_by_the_unit_of_who_wrote_them(void **state)
{
	(void)state;
	static const struct example examples[] = {
		EXAMPLE(R(F("x", MICROS)), NULL, "\xd0\x1f", "x=2"),
		EXAMPLE(R(F("x", MICROS)), NULL, "\x01", "x=-1"),                    /* -1 µs lies in the millisecond before 1970 */
		EXAMPLE(R(F("x", MICROS)), R(F("x", MILLIS)), "\xd0\x1f", "x=2"),
		EXAMPLE(R(F("x", MILLIS)), R(F("x", MICROS)), "\xd0\x1f", "x=2024"),
		EXAMPLE(R(F("x", "\"long\"")), R(F("x", MICROS)), "\xd0\x1f", "x=2"),
		EXAMPLE(R(F("x", "\"int\"")), R(F("x", MICROS)), "\xd0\x1f", "x=2"),
		EXAMPLE(R(F("x", MICROS)), R(F("x", "\"long\"")), "\xd0\x1f", "x=2024"),
		EXAMPLE(R(F("x", MICROS)), R(F("x", "\"double\"")), "\xd0\x1f", "x=2024"),
		EXAMPLE(R(F("x", "[\"null\"," MICROS "]")), NULL, "\2\xd0\x1f", "x=2"),
		EXAMPLE(R(F("y", "\"int\"")), R(F("y", "\"int\"") "," D("x", MICROS, "5000")), "\2", "y=1 x=5"),
	};
	THEN(examples);
}

static void enums_go_by_symbol_not_by_index(void **state)
{
	(void)state;
#define OURS "{\"type\":\"enum\",\"name\":\"our.E\",\"aliases\":[\"their.Old\"],\"symbols\":[\"B\",\"A\",\"Z\"],\"default\":\"Z\"}"
	static const struct example examples[] = {
		EXAMPLE(R(F("x", ENUM("E", "\"A\",\"B\""))), R(F("x", ENUM("a.E", "\"B\",\"A\""))), "\0", "x=A"),
		EXAMPLE(R(F("x", ENUM("E", "\"A\",\"B\""))), R(F("x", ENUM("E", "\"B\""))), "\2", "x=B"),
		EXAMPLE(R(F("x", ENUM("E", "\"A\",\"B\""))), R(F("x", ENUM("E", "\"B\""))), "\0", "schema_incompatible"),
		EXAMPLE(R(F("x", ENUM("Old", "\"A\",\"Q\""))), R(F("x", OURS)), "\2", "x=Z"),
		EXAMPLE(R(F("x", ENUM("Old", "\"A\",\"Q\""))), R(F("x", OURS)), "\4", "avro_enum"),
		EXAMPLE(R(F("x", ENUM("E", "\"A\""))), NULL, "\1", "avro_enum"),
	};
	THEN(examples);
}

static void fields_are_matched_by_name_and_alias_and_may_come_in_any_order(void **state)
{
	(void)state;
	static const struct example examples[] = {
		EXAMPLE(R(F("a", "\"int\"") "," F("b", "\"int\"")), R(F("b", "\"int\"") "," F("a", "\"int\"")), "\2\4", "b=2 a=1"),
		EXAMPLE(R(F("old", "\"int\"")), R("{\"name\":\"new\",\"aliases\":[\"older\",\"old\"],\"type\":\"int\"}"), "\2", "new=1"),
		EXAMPLE(R(F("old", "\"int\"") "," F("new", "\"int\"")), R("{\"name\":\"new\",\"aliases\":[\"old\"],\"type\":\"int\"}"), "\2\4", "new=2"),
		EXAMPLE(R(F("x", "\"int\"") "," F("y", "\"int\"")),
			R("{\"name\":\"y\",\"aliases\":[\"x\"],\"type\":\"int\"}," D("x", "\"int\"", "9")), "\2\4", "y=2 x=1"),
		EXAMPLE("{\"type\":\"record\",\"name\":\"a.Old\",\"fields\":[" F("x", "\"int\"") "]}",
			"{\"type\":\"record\",\"name\":\"b.New\",\"aliases\":[\"Old\"],\"fields\":[" F("x", "\"int\"") "]}", "\2", "x=1"),
	};
	THEN(examples);
}

static void missing_fields_take_their_defaults(void **state)
{
	(void)state;
#define GEO "{\"type\":\"record\",\"name\":\"G\",\"fields\":[" F("x", "\"int\"") "," D("t", ARRAY("\"string\""), "[\"q\"]") "]}"
	static const struct example examples[] = {
		EXAMPLE(R(F("a", "\"int\"")), R(D("b", "\"boolean\"", "true") "," F("a", "\"int\"") "," D("l", "\"long\"", "-7")), "\2", "b=true a=1 l=-7"),
		EXAMPLE(R(""), R(D("f", "\"float\"", "1.5") "," D("d", "\"double\"", "2") "," D("s", "\"string\"", "\"h\\u00e9\"")), "",
			"f=1.5 d=2 s=h\\c3\\a9"),
		EXAMPLE(R(""), R(D("b", "\"bytes\"", "\"\\u00ff\\u0000\"") "," D("e", ENUM("E", "\"A\",\"B\""), "\"B\"")), "", "b=\\ff\\00 e=B"),
		EXAMPLE(R(""), R(D("n", "[\"null\",\"string\"]", "null") "," D("m", "[\"string\",\"null\"]", "\"x\"")), "", "n=null m=x"),
		EXAMPLE(R(""), R(D("t", ARRAY("\"string\""), "[\"a\",\"b\"]") "," D("v", ARRAY("\"float\""), "[1,2]")), "", "t=[a,b] v=[1,2]"),
		EXAMPLE(R(""), R(D("g", GEO, "{\"x\":5}")), "", "g.x=5 g.t=[q]"),
		EXAMPLE(R(F("g", "{\"type\":\"record\",\"name\":\"G\",\"fields\":[" F("x", "\"int\"") "]}")), R(D("g", GEO, "{\"x\":5,\"t\":[]}")), "\2",
			"g.x=1 g.t=[q]"),
	};
	THEN(examples);
}

static void a_union_fits_branch_by_branch(void **state)
{
	(void)state;
#define WIDE "[\"null\",\"int\",\"string\",{\"type\":\"record\",\"name\":\"G\",\"fields\":[" F("x", "\"int\"") "]}]"
	static const struct example examples[] = {
		EXAMPLE(R(F("x", WIDE) "," F("y", "\"int\"")), R(F("x", "\"long\"") "," F("y", "\"int\"")), "\2\2\4", "x=1 y=2"),
		EXAMPLE(R(F("x", WIDE)), R(F("x", "\"long\"")), "\0", "schema_incompatible"),
		EXAMPLE(R(F("x", WIDE)), R(F("x", "\"long\"")), "\4\2a", "schema_incompatible"),
		EXAMPLE(R(F("x", WIDE)), R(F("x", "\"long\"")), "\x08", "avro_union"),
		EXAMPLE(R(F("x", WIDE)), R(F("x", "\"long\"")), "\1", "avro_union"),
		EXAMPLE(R(F("x", WIDE)), R(F("x", "[\"null\",\"string\"]")), "\4\2a", "x=a"),
		EXAMPLE(R(F("x", WIDE)), R(F("x", "[\"null\",\"string\"]")), "\0", "x=null"),
		EXAMPLE(R(F("x", WIDE)), R(F("x", "{\"type\":\"record\",\"name\":\"G\",\"fields\":[" F("x", "\"int\"") "]}")), "\6\2", "x.x=1"),
		EXAMPLE(R(F("x", "[\"null\",\"int\"]")), R(F("x", "\"long\"")), "\2\2", "x=1"),
		EXAMPLE(R(F("x", "[\"null\",\"int\"]")), R(F("x", "\"long\"")), "\0", "schema_incompatible"),
		EXAMPLE(R(F("x", "[\"null\",\"string\"]")), R(F("x", "[\"null\",\"int\"]")), "\0", "x=null"),
		EXAMPLE(R(F("x", "[\"null\",\"string\"]")), R(F("x", "[\"null\",\"int\"]")), "\2\2a", "schema_incompatible"),
		EXAMPLE(R(F("x", ARRAY("[\"null\",\"string\",\"int\"]"))), R(F("x", ARRAY("\"string\""))), "\4\2\2a\2\2b\0", "x=[a,b]"),
		EXAMPLE(R(F("x", ARRAY("[\"null\",\"string\",\"int\"]"))), R(F("x", ARRAY("\"string\""))), "\4\2\2a\0\0", "schema_incompatible"),
		EXAMPLE("[\"null\"," R(F("x", "\"int\"")) "]", R(F("x", "\"int\"")), "\2\2", "x=1"),
		EXAMPLE("[\"null\"," R(F("x", "\"int\"")) "]", R(F("x", "\"int\"")), "\0", "schema_incompatible"),
	};
	THEN(examples);
}

/* One field of every kind before the one we know; each must be stepped over to the byte. */
static void what_we_do_not_know_is_stepped_over(void **state)
{
	(void)state;
#define SKIPS(type, body, then) EXAMPLE(R(F("u", type) "," F("x", "\"int\"")), R(F("x", "\"int\"")), body, then)
#define TREE "{\"type\":\"record\",\"name\":\"T\",\"fields\":[" F("v", "\"int\"") "," F("kids", ARRAY("\"T\"")) "]}"
	static const struct example examples[] = {
		SKIPS("\"null\"", "\2", "x=1"),
		SKIPS("\"boolean\"", "\1\2", "x=1"),
		SKIPS("\"boolean\"", "\2\2", "avro_bool"),
		SKIPS("\"int\"", "\x80\x01\2", "x=1"),
		SKIPS("\"long\"", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\2", "x=1"),
		SKIPS("\"float\"", "....\2", "x=1"),
		SKIPS("\"double\"", "........\2", "x=1"),
		SKIPS("\"string\"", "\4\xff\xff\2", "x=1"),
		SKIPS("\"bytes\"", "\4ab\2", "x=1"),
		SKIPS("{\"type\":\"fixed\",\"name\":\"F\",\"size\":3}", "abc\2", "x=1"),
		SKIPS(ENUM("E", "\"A\",\"B\""), "\2\2", "x=1"),
		SKIPS(ENUM("E", "\"A\",\"B\""), "\4\2", "avro_enum"),
		SKIPS(ARRAY("\"long\""), "\4\2\2\1\1\2\0\2", "avro_negative_count"),
		SKIPS(ARRAY("\"long\""), "\4\2\2\3\4\2\2\0\2", "x=1"),
		SKIPS(ARRAY("\"long\""), "\3\2\2\2\0\2", "avro_length"),
		SKIPS(ARRAY("\"long\""), "\3\6\2\2\2\0\2", "avro_length"),
		SKIPS(MAP("\"int\""), "\4\2k\2\4kk\4\0\2", "x=1"),
		SKIPS(MAP(MAP("\"boolean\"")), "\2\2k\2\2k\1\0\0\2", "x=1"),
		SKIPS("[\"null\",\"int\"]", "\0\2", "x=1"),
		SKIPS("[\"null\",\"int\"]", "\2\4\2", "x=1"),
		SKIPS("[\"null\",\"int\"]", "\4\4\2", "avro_union"),
		SKIPS("[\"null\",\"int\",\"string\"]", "\4\2a\2", "x=1"),
		SKIPS("[\"int\",\"string\"]", "\2\2a\2", "x=1"),
		SKIPS(TREE, "\2\4\4\0\6\2\x08\0\0\0\2", "x=1"),
	};
	THEN(examples);
}

static void every_kind_of_damage_has_its_reason(void **state)
{
	(void)state;
	static const struct example examples[] = {
		EXAMPLE(R(F("x", "\"int\"")), NULL, "", "avro_truncated"),
		EXAMPLE(R(F("x", "\"int\"")), NULL, "\x80", "avro_truncated"),
		EXAMPLE(R(F("x", "\"int\"")), NULL, "\2\2", "avro_trailing_bytes"),
		EXAMPLE(R(F("x", "\"int\"")), NULL, "\x80\x80\x80\x80\x10", "avro_varint"),
		EXAMPLE(R(F("x", "\"int\"")), R(F("x", "\"double\"")), "\x80\x80\x80\x80\x10", "avro_varint"),
		EXAMPLE(R(F("x", "\"long\"")), NULL, "\x80\x80\x80\x80\x80\x80\x80\x80\x80\x02", "avro_varint"),
		EXAMPLE(R(F("x", "\"long\"")), NULL, "\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01", "avro_varint"),
		EXAMPLE(R(F("x", "\"float\"")), NULL, "abc", "avro_truncated"),
		EXAMPLE(R(F("x", "\"double\"")), NULL, "abcdefg", "avro_truncated"),
		EXAMPLE(R(F("x", "\"boolean\"")), NULL, "\7", "avro_bool"),
		EXAMPLE(R(F("x", "\"string\"")), NULL, "\10abc", "avro_length"),
		EXAMPLE(R(F("x", "\"string\"")), NULL, "\1", "avro_negative_count"),
		EXAMPLE(R(F("x", "\"string\"")), NULL, "\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01", "avro_length"),
		EXAMPLE(R(F("x", "\"string\"")), NULL, "\4\xc3\x28", "avro_utf8"),
		EXAMPLE(R(F("x", ARRAY("\"string\""))), NULL, "\2\2\xff\0", "avro_utf8"),
		EXAMPLE(R(F("x", ARRAY("\"string\""))), NULL, "\2\6a\0", "avro_length"),
		EXAMPLE(R(F("x", ARRAY("\"string\""))), NULL, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "avro_negative_count"),
		EXAMPLE(R(F("x", ARRAY("\"string\""))), NULL, "\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01", "avro_elements"),
		EXAMPLE(R(F("x", ARRAY("\"string\""))), NULL, "\1\1\0", "avro_negative_count"),
		EXAMPLE(R(F("x", "[\"null\",\"int\"]")), NULL, "\3", "avro_union"),
		/* 1e9 nulls in 6 bytes, unknown to us and known */
		EXAMPLE(R(F("u", ARRAY("\"null\""))), R(""), "\x80\xa8\xd6\xb9\x07\0", "avro_elements"),
		EXAMPLE(R(F("x", ARRAY("[\"null\",\"string\"]"))), R(F("x", ARRAY("\"string\""))), "\x80\xa8\xd6\xb9\x07\0", "avro_elements"),
		/* 90,000 nulls where strings were promised: nothing is taken for them */
		EXAMPLE(R(F("x", ARRAY("[\"string\"," ARRAY("\"null\"") "]"))), R(F("x", ARRAY("\"string\""))), "\2\2\xa0\xfe\x0a\0\0", "schema_incompatible"),
	};
	THEN(examples);
}

static void schemas_that_cannot_resolve_are_refused_when_compiled(void **state)
{
	(void)state;
	static const struct {
		const char *writer, *reader, *text;
	} cases[] = {
		{ R(F("x", "\"string\"")), R(F("x", "\"int\"")), "field 'x': the writer's string does not resolve to our int" },
		{ R(F("x", "\"long\"")), R(F("x", "\"int\"")), "field 'x': the writer's long does not resolve to our int" },
		{ R(F("x", "\"double\"")), R(F("x", "\"float\"")), "field 'x': the writer's double does not resolve to our float" },
		{ R(F("x", "\"double\"")), R(F("x", MICROS)), "field 'x': the writer's double does not resolve to our long" },
		{ R(F("x", "\"null\"")), R(F("x", "\"int\"")), "field 'x': the writer's null does not resolve to our int" },
		{ R(F("x", ENUM("E", "\"A\""))), R(F("x", ENUM("F", "\"A\""))), "field 'x': the writer's E does not resolve to our F" },
		{ R(F("x", ENUM("E", "\"A\""))), R(F("x", "\"string\"")), "field 'x': the writer's E does not resolve to our string" },
		{ R(F("x", ARRAY("\"double\""))), R(F("x", ARRAY("\"float\""))), "field 'x': the writer's double does not resolve to our float" },
		{ R(F("x", ARRAY("\"int\""))), R(F("x", ARRAY("\"string\""))), "field 'x': the writer's int does not resolve to our string" },
		{ R(F("x", "\"int\"")), R(F("x", ARRAY("\"string\""))), "field 'x': the writer's int does not resolve to our array" },
		{ R(F("x", "[\"null\",\"string\"]")), R(F("x", "\"int\"")), "field 'x': the writer's string does not resolve to our int" },
		{ R(""), R(F("x", "[\"null\",\"int\"]")), "field 'x' is missing in the writer's schema and has no default" },
		{ "\"int\"", R(""), "field '': the writer's int does not resolve to our R" },
		{ "{\"type\":\"record\",\"name\":\"a.Q\",\"fields\":[]}", R(""), "the writer's record a.Q is not our R; an alias would make it so" },
		{ R(F("a", "\"int\"")), R("{\"name\":\"x\",\"type\":\"int\",\"aliases\":[\"a\"]},{\"name\":\"y\",\"type\":\"int\",\"aliases\":[\"a\"]}"),
		  "fields 'x' and 'y' both stand for the writer's 'a'" },
		{ "{", R(""), "the writer's schema:1: string or '}' expected near end of file" },
	};
	for (size_t i = 0; i < LEAT_COUNT_OF(cases); i++) {
		struct leat_schema *schema = given_schema(cases[i].reader);
		struct leat_decoder *decoder;
		struct leat_fault fault = { 0 };
		static const int nowhere[2] = { -1, -1 }, somewhere[2] = { 0, 1 };
		assert_int_equal(leat_decoder_compile(&decoder, cases[i].writer, strlen(cases[i].writer), schema, somewhere, &fault), LEAT_ESCHEMA);
		assert_string_equal(fault.text, cases[i].text);
		assert_null(decoder);
		assert_int_equal(leat_decoder_compile(&decoder, cases[i].writer, strlen(cases[i].writer), schema, nowhere, NULL), LEAT_ESCHEMA);
		leat_schema_free(schema);
	}
}

static const char everything[] =
	R(F("b", "\"boolean\"") "," F("i", "\"int\"") "," F("l", "\"long\"") "," F("f", "\"float\"") "," F("d", "\"double\"") "," F("s", "\"string\"") "," F(
		"r", "\"bytes\"") "," F("e", ENUM("E", "\"A\",\"B\"")) "," F("t", ARRAY("\"string\"")) "," F("v", ARRAY("\"float\"")) "," F("n",
																    "[\"null\",\"int\"]") "," F("g", "{\"type\":\"record\",\"name\":\"G\",\"fields\":[" F("x",
																														  MICROS) "]}"));
static const char everything_body[] = "\1\x80\x02\xff\xff\x03\0\0\x80\x3f\0\0\0\0\0\0\xf0\x3f\x14"
				      "0123456789\4\xff\xfe\2\4\2a\6\xe2\x82\xac\0\2\0\0\0\x40\0\2\2\xd0\x0f";
static const char everything_row[] = "b=true i=128 l=-32768 f=1 d=1 s=0123456789 r=\\ff\\fe e=B t=[a,\\e2\\82\\ac] v=[2] n=1 g.x=1";

/* Which fields are kept changes nothing about the others, nor about what is sound. */
static void any_set_of_fields_may_be_skipped(void **state)
{
	(void)state;
	struct given given;
	given_open(&given, everything, NULL);
	for (unsigned keep = 0; keep < 1u << 12; keep++) {
		struct leat_decoder *decoder;
		int slots[12];
		for (int i = 0; i < 12; i++) {
			slots[i] = keep & 1u << i ? i : -1;
			memset(given.table.columns[i].null, 2, 1);
		}
		assert_int_equal(leat_decoder_compile(&decoder, everything, strlen(everything), given.schema, slots, NULL), 0);
		assert_int_equal(leat_decoder_run(decoder, BODY(everything_body), given.table.columns, 0, given.arena), 0);
		for (int i = 0; i < 12; i++)
			assert_int_equal(given.table.columns[i].null[0], slots[i] < 0 ? 2 : 0);
		assert_int_equal(leat_decoder_run(decoder, leat_bytes(everything_body, sizeof everything_body - 2), given.table.columns, 1, given.arena),
				 LEAT_BAD_AVRO_TRUNCATED);
		leat_decoder_free(decoder);
		leat_arena_reset(given.arena);
	}
	given_close(&given);
}

static void a_body_cut_anywhere_is_refused(void **state)
{
	(void)state;
	struct given given;
	uint8_t *copy;
	given_open(&given, everything, NULL);
	assert_int_equal(run(&given, BODY(everything_body), 0, &copy), 0);
	char *row = show_row(&given.table, 0);
	assert_string_equal(row, everything_row);
	leat_free(row);
	leat_free(copy);
	for (size_t length = 0; length < sizeof everything_body - 1; length++) {
		enum leat_bad bad = run(&given, leat_bytes(everything_body, length), 0, &copy);
		assert_true(bad == LEAT_BAD_AVRO_TRUNCATED || bad == LEAT_BAD_AVRO_LENGTH);
		leat_free(copy);
	}
	assert_int_equal(leat_decoder_run(given.decoder, (struct leat_bytes){ 0 }, given.table.columns, 0, given.arena), LEAT_BAD_AVRO_TRUNCATED);
	given_close(&given);
}

static void a_decoder_outlives_the_schema_it_was_made_for(void **state)
{
	(void)state;
	struct given given;
	given_open(&given, R(F("x", ENUM("E", "\"A\",\"B\""))), R(F("x", ENUM("E", "\"B\",\"A\"")) "," D("t", ARRAY("\"string\""), "[\"a\"]")));
	leat_schema_free(given.schema);
	assert_int_equal(leat_decoder_run(given.decoder, BODY("\2"), given.table.columns, 0, given.arena), LEAT_BAD_NONE);
	assert_int_equal(given.table.columns[0].ints[0], 0);
	assert_true(leat_bytes_equal(*(const struct leat_bytes *)given.table.columns[1].lists[0].items, leat_text("a")));
	given.schema = NULL;
	given_close(&given);
}

/* A list within itself 4,000,000 deep would overflow any stack; 64 levels are let through. */
static void depth_is_bounded(void **state)
{
	(void)state;
	struct given given;
	size_t length = 4000000;
	uint8_t *body = leat_malloc(length);
	given_open(&given, R(F("u", "{\"type\":\"record\",\"name\":\"L\",\"fields\":[" F("next", "[\"null\",\"L\"]") "]}") "," F("x", "\"int\"")),
		   R(F("x", "\"int\"")));
	memset(body, 2, length);
	assert_int_equal(leat_decoder_run(given.decoder, leat_bytes(body, length), given.table.columns, 0, given.arena), LEAT_BAD_AVRO_DEPTH);
	body[30] = 0;
	assert_int_equal(leat_decoder_run(given.decoder, leat_bytes(body, 32), given.table.columns, 0, given.arena), 0);
	leat_free(body);
	given_close(&given);
}

static void a_record_that_holds_nothing_but_itself_has_no_end(void **state)
{
	(void)state;
	static const struct example examples[] = {
		SKIPS("{\"type\":\"record\",\"name\":\"L\",\"fields\":[" F("next", "\"L\"") "]}", "\2", "avro_depth"),
	};
	THEN(examples);
}

/* Forty records, each twice in the one before: 2^40 steps that read not one byte. */
static void steps_that_read_nothing_are_bounded(void **state)
{
	(void)state;
	struct leat_buffer json = { 0 };
	struct given given;
	leat_buffer_printf(&json, "{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"u\",\"type\":");
	for (int i = 0; i < 40; i++)
		leat_buffer_printf(&json, "{\"type\":\"record\",\"name\":\"N%d\",\"fields\":[{\"name\":\"a\",\"type\":", i);
	leat_buffer_printf(&json, "\"null\"");
	for (int i = 39; i >= 0; i--)
		leat_buffer_printf(&json, i == 39 ? "}]}" : "},{\"name\":\"b\",\"type\":\"N%d\"}]}", i + 1);
	leat_buffer_printf(&json, "}]}");
	leat_buffer_append(&json, "", 1);
	given_open(&given, (char *)json.data, R(""));
	assert_int_equal(leat_decoder_run(given.decoder, BODY(""), given.table.columns, 0, given.arena), LEAT_BAD_AVRO_ELEMENTS);
	leat_buffer_free(&json);
	given_close(&given);
}

/* Each of twenty unions has two records that fit ours, and each of those the next union: 2^20 ways. */
static void schemas_that_multiply_are_refused(void **state)
{
	(void)state;
	struct leat_buffer writer = { 0 }, reader = { 0 };
	struct leat_fault fault = { 0 };
	struct leat_decoder *decoder;
	int slot = 0;
	for (int i = 0; i < 20; i++) {
		leat_buffer_printf(&writer, "[{\"type\":\"record\",\"name\":\"a.N%d\",\"fields\":[{\"name\":\"x\",\"type\":", i);
		leat_buffer_printf(&reader, "{\"type\":\"record\",\"name\":\"N%d\",\"fields\":[{\"name\":\"x\",\"type\":", i);
	}
	leat_buffer_printf(&writer, "\"int\"");
	leat_buffer_printf(&reader, "\"int\"");
	for (int i = 19; i >= 0; i--) {
		leat_buffer_printf(&writer, "}]},{\"type\":\"record\",\"name\":\"b.N%d\",\"fields\":[{\"name\":\"x\",\"type\":", i);
		leat_buffer_printf(&writer, i == 19 ? "\"int\"}]}]" : "[\"a.N%d\",\"b.N%d\"]}]}]", i + 1, i + 1);
		leat_buffer_printf(&reader, "}]}");
	}
	leat_buffer_append(&reader, "", 1);
	struct leat_schema *schema = given_schema((char *)reader.data);
	assert_int_equal(leat_decoder_compile(&decoder, (char *)writer.data, writer.length, schema, &slot, &fault), LEAT_ESCHEMA);
	assert_string_equal(fault.text, "field 'x': the schemas resolve to more than 65536 steps");
	assert_int_equal(fault.code, LEAT_ESCHEMA);
	leat_schema_free(schema);
	leat_buffer_free(&writer);
	leat_buffer_free(&reader);
}

static void nothing_is_taken_for_a_list_that_is_not_there(void **state)
{
	(void)state;
	struct given given;
	given_open(&given, R(F("x", ARRAY("\"string\""))), NULL);
	static const char claims[] = "\xa0\xfe\x0a\2a";    /* 90,000 strings, one there */
	leat_alloc_fail_at(1);
	assert_int_equal(leat_decoder_run(given.decoder, BODY(claims), given.table.columns, 0, given.arena), LEAT_BAD_AVRO_TRUNCATED);
	assert_int_equal(leat_decoder_run(given.decoder, BODY("\2\2a\0"), given.table.columns, 0, given.arena), LEAT_BAD_NO_MEMORY);
	leat_alloc_fail_at(0);
	given_close(&given);
}

static void a_hundred_thousand_elements_are_the_limit(void **state)
{
	(void)state;
	struct given given;
	struct leat_buffer body = { 0 };
	given_open(&given, R(F("x", ARRAY("\"string\""))), NULL);
	leat_buffer_append(&body, "\xc0\x9a\x0c", 3);
	for (int i = 0; i < 100001; i++)
		leat_buffer_append(&body, "", 1);
	assert_int_equal(leat_decoder_run(given.decoder, leat_bytes(body.data, body.length), given.table.columns, 0, given.arena), 0);
	assert_int_equal(given.table.columns[0].lists[0].count, 100000);
	body.data[0] += 2;
	assert_int_equal(leat_decoder_run(given.decoder, leat_bytes(body.data, body.length), given.table.columns, 0, given.arena), LEAT_BAD_AVRO_ELEMENTS);
	leat_buffer_free(&body);
	given_close(&given);
}

static void out_of_memory_is_said_wherever_it_happens(void **state)
{
	(void)state;
	static const char reader[] = R(F("i", "\"long\"") "," F("e", ENUM("E", "\"B\"")) "," F("t", ARRAY("\"string\"")) "," F(
		"s", "[\"null\",\"string\"]") "," D("z", ARRAY("\"string\""), "[\"a\"]"));
	static const char writer[] = R(F("i", "\"int\"") "," F("e", ENUM("E", "\"A\",\"B\"")) "," F("t", ARRAY("\"string\"")) "," F("s", "[\"int\",\"string\",\"null\"]"));
	struct leat_schema *schema = given_schema(reader);
	static const int slots[] = { 0, 1, 2, 3, 4 };
	int rc = LEAT_ENOMEM;
	for (uint64_t n = 1; rc != 0; n++) {
		struct leat_decoder *decoder;
		struct leat_fault fault = { 0 };
		leat_alloc_fail_at(n);
		rc = leat_decoder_compile(&decoder, writer, sizeof writer - 1, schema, slots, &fault);
		leat_alloc_fail_at(0);
		assert_true(rc == 0 ? decoder != NULL : rc == LEAT_ENOMEM && decoder == NULL && fault.code == LEAT_ENOMEM);
		leat_decoder_free(decoder);
	}
	leat_schema_free(schema);
}

static void the_wire_header_is_read_and_written(void **state)
{
	(void)state;
	struct leat_bytes body;
	int32_t id = 0;
	uint8_t header[LEAT_WIRE_HEADER];
	assert_int_equal(leat_wire_read((struct leat_bytes){ 0 }, &id, &body), LEAT_BAD_NULL_VALUE);
	assert_int_equal(leat_wire_read(BODY(""), &id, &body), LEAT_BAD_NULL_VALUE);
	assert_int_equal(leat_wire_read(BODY("\1\0\0\0\1"), &id, &body), LEAT_BAD_BAD_MAGIC);
	assert_int_equal(leat_wire_read(BODY("\0\0\0\0"), &id, &body), LEAT_BAD_SHORT_HEADER);
	assert_int_equal(leat_wire_read(BODY("\0\1\2\3\4"), &id, &body), LEAT_BAD_NONE);
	assert_int_equal(id, 0x01020304);
	assert_int_equal(body.length, 0);
	leat_wire_write(header, 0x7f000001);
	assert_memory_equal(header, "\0\x7f\0\0\1", 5);
}

static void only_strict_utf8_is_valid(void **state)
{
	(void)state;
	static const char *const good[] = { "", "plain", "h\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80", "\xed\x9f\xbf", "\xee\x80\x80", "\xf4\x8f\xbf\xbf", "12345678\xc2\x80" };
	static const char *const bad[] = { "\x80", "\xc0\x80", "\xc1\xbf", "\xc3", "\xc3(", "\xe0\x9f\xbf", "\xe2\x82", "\xed\xa0\x80", "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80",
					   "\xf5\x80\x80\x80", "\xff", "12345678\xff", "1234567\xff", "123456789012345\xff", "\xe2(\xa1", "\xf0\x90\x80(" };
	for (size_t i = 0; i < LEAT_COUNT_OF(good); i++)
		assert_true(leat_utf8_valid(leat_text(good[i])));
	for (size_t i = 0; i < LEAT_COUNT_OF(bad); i++)
		assert_false(leat_utf8_valid(leat_text(bad[i])));
}

/* One bad byte at every place of texts of every length that the fast paths tell apart, at the end of a body and before it. */
static void a_bad_byte_is_found_wherever_it_stands(void **state)
{
	(void)state;
	struct given given;
	uint8_t *copy;
	given_open(&given, R(F("s", "\"string\"") "," F("t", "\"string\"")), NULL);
	for (size_t length = 0; length < 40; length++) {
		for (size_t tail = 0; tail < 10; tail++) {
			uint8_t body[64];
			memset(body, 'a', sizeof body);
			body[0] = (uint8_t)(length << 1);
			body[1 + length] = (uint8_t)(tail << 1);
			struct leat_bytes whole = leat_bytes(body, 2 + length + tail);
			assert_int_equal(run(&given, whole, 0, &copy), LEAT_BAD_NONE);
			leat_free(copy);
			for (size_t i = 0; i < length + tail; i++) {
				size_t at = i < length ? 1 + i : 2 + i;
				body[at] = 0xff;
				assert_int_equal(run(&given, whole, 0, &copy), LEAT_BAD_AVRO_UTF8);
				leat_free(copy);
				body[at] = 'a';
			}
		}
	}
	given_close(&given);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_type_is_read_as_it_was_written),
		cmocka_unit_test(numbers_and_texts_are_promoted),
		cmocka_unit_test(times_become_milliseconds_by_the_unit_of_who_wrote_them),
		cmocka_unit_test(enums_go_by_symbol_not_by_index),
		cmocka_unit_test(fields_are_matched_by_name_and_alias_and_may_come_in_any_order),
		cmocka_unit_test(missing_fields_take_their_defaults),
		cmocka_unit_test(a_union_fits_branch_by_branch),
		cmocka_unit_test(what_we_do_not_know_is_stepped_over),
		cmocka_unit_test(every_kind_of_damage_has_its_reason),
		cmocka_unit_test(schemas_that_cannot_resolve_are_refused_when_compiled),
		cmocka_unit_test(any_set_of_fields_may_be_skipped),
		cmocka_unit_test(a_body_cut_anywhere_is_refused),
		cmocka_unit_test(a_decoder_outlives_the_schema_it_was_made_for),
		cmocka_unit_test(depth_is_bounded),
		cmocka_unit_test(a_record_that_holds_nothing_but_itself_has_no_end),
		cmocka_unit_test(steps_that_read_nothing_are_bounded),
		cmocka_unit_test(schemas_that_multiply_are_refused),
		cmocka_unit_test(nothing_is_taken_for_a_list_that_is_not_there),
		cmocka_unit_test(a_hundred_thousand_elements_are_the_limit),
		cmocka_unit_test(out_of_memory_is_said_wherever_it_happens),
		cmocka_unit_test(the_wire_header_is_read_and_written),
		cmocka_unit_test(only_strict_utf8_is_valid),
		cmocka_unit_test(a_bad_byte_is_found_wherever_it_stands),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
