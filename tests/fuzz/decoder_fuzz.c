/*
 * Fuzz target of the Avro codec. The first byte chooses: a body for one of the pairs of schemas below, or (0xff) a writer schema, a NUL and a body.
 * Whatever comes, it must be decoded or refused; what was decoded must encode, and decode to the same body again; and it must print.
 */
#include "schemas/codec.h"

#define R(fields) "{\"type\":\"record\",\"name\":\"R\",\"fields\":[" fields "]}"
#define F(name, type) "{\"name\":\"" name "\",\"type\":" type "}"
#define D(name, type, value) "{\"name\":\"" name "\",\"type\":" type ",\"default\":" value "}"
#define ARRAY(item) "{\"type\":\"array\",\"items\":" item "}"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct {
	const char *writer, *reader;
} pairs[] = {
	{ R(F("s", "\"string\"") "," F("l", "\"long\"") "," F("i", "\"int\"") "," F("d", "[\"null\",\"double\"]") "," F("f", "\"float\"") "," F("b", "\"boolean\"")),
	  R(F("f", "\"double\"") "," F("s", "\"bytes\"") "," F("i", "\"float\"") "," F("l", "\"long\"") "," F("d", "[\"double\",\"null\"]") "," D("m", "\"string\"", "\"x\"")) },
	{ R(F("t", ARRAY("[\"null\",\"string\"]")) "," F("v", ARRAY("\"int\"")) "," F("e", "{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"A\",\"B\",\"C\"]}")),
	  R(F("t", ARRAY("\"string\"")) "," F("v", ARRAY("\"float\"")) "," F("e", "{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"C\",\"A\"]}")) },
	{ R(F("tree", "{\"type\":\"record\",\"name\":\"T\",\"fields\":[" F("v", "{\"type\":\"map\",\"values\":\"bytes\"}") "," F("kids", ARRAY("\"T\"")) "]}") "," F(
		  "n", ARRAY("\"null\"")) "," F("u", "[\"null\",\"int\",\"string\",\"T\"]")),
	  R(F("u", "[\"null\",\"long\"]")) },
};
static const char reader_of_all[] =
	R(D("s", "[\"null\",\"string\"]", "null") "," D("l", "\"long\"", "0") "," D("d", "\"double\"", "1") "," D("t", ARRAY("\"string\""), "[\"a\"]") "," D(
		"g", "{\"type\":\"record\",\"name\":\"G\",\"fields\":[" D("v", ARRAY("\"double\""), "[]") "]}", "{}"));

struct codec {
	struct leat_schema *schema;
	struct leat_column *columns;
	const struct leat_field *fields[16];
	int slots[16];
	struct leat_encoder *encoder;
	struct leat_arena *arena;
	struct leat_buffer body, again;
};

static void codec_open(struct codec *codec, const char *reader)
{
	LEAT_ASSERT(leat_schema_parse(&codec->schema, reader, strlen(reader), "reader", NULL) == 0);
	for (size_t i = 0; i < leat_schema_count(codec->schema); i++) {
		codec->fields[i] = leat_schema_field(codec->schema, i);
		codec->slots[i] = (int)i;
	}
	LEAT_ASSERT(leat_columns_make(&codec->columns, codec->fields, leat_schema_count(codec->schema)) == 0);
	LEAT_ASSERT(leat_encoder_compile(&codec->encoder, codec->schema, codec->slots, codec->fields, NULL) == 0);
	LEAT_ASSERT(leat_arena_open(&codec->arena, 4096) == 0);
}

/* Row 0 as a body must read back, and be written as the same body again. */
static void check_round(struct codec *codec)
{
	struct leat_decoder *own;
	const char *json = leat_schema_json(codec->schema);
	if (leat_encoder_run(codec->encoder, codec->columns, 0, &codec->body) != 0)
		return;                 /* a time that has no microseconds */
	LEAT_ASSERT(leat_decoder_compile(&own, json, strlen(json), codec->schema, codec->slots, NULL) == 0);
	LEAT_ASSERT(leat_decoder_run(own, leat_bytes(codec->body.data, codec->body.length), codec->columns, 1, codec->arena) == LEAT_BAD_NONE);
	LEAT_ASSERT(leat_encoder_run(codec->encoder, codec->columns, 1, &codec->again) == 0);
	LEAT_ASSERT(codec->body.length == codec->again.length && memcmp(codec->body.data, codec->again.data, codec->body.length) == 0);
	codec->again.length = 0;
	LEAT_ASSERT(leat_encoder_run_json(codec->encoder, codec->columns, 1, &codec->again) == 0);
	leat_decoder_free(own);
}

/* The codec of each reader is made once: a fuzzer's worth lies in its speed. */
static void try_body(const char *writer, size_t length, struct codec *codec, const char *reader, struct leat_bytes body)
{
	struct leat_buffer text = { 0 };
	struct leat_decoder *decoder;
	struct leat_fault fault = { 0 };

	leat_avro_print(writer, length, body, &text);
	leat_buffer_free(&text);
	if (!codec->schema)
		codec_open(codec, reader);
	codec->body.length = codec->again.length = 0;
	leat_arena_reset(codec->arena);
	if (leat_decoder_compile(&decoder, writer, length, codec->schema, codec->slots, &fault) == 0) {
		if (leat_decoder_run(decoder, body, codec->columns, 0, codec->arena) == LEAT_BAD_NONE)
			check_round(codec);
		leat_decoder_free(decoder);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct codec codecs[LEAT_COUNT_OF(pairs) + 1];
	if (size == 0)
		return 0;
	if (data[0] != 0xff) {
		size_t i = data[0] % LEAT_COUNT_OF(pairs);
		try_body(pairs[i].writer, strlen(pairs[i].writer), &codecs[i], pairs[i].reader, leat_bytes(data + 1, size - 1));
		return 0;
	}
	const uint8_t *text = data + 1, *end = data + size, *nul = memchr(text, 0, size - 1);
	const uint8_t *body = nul ? nul + 1 : end;
	struct leat_schema *schema;
	struct leat_fault fault = { 0 };
	if (leat_schema_parse(&schema, (const char *)text, (size_t)((nul ? nul : end) - text), "fuzz", &fault) == 0)
		leat_schema_free(schema);
	try_body((const char *)text, (size_t)((nul ? nul : end) - text), &codecs[LEAT_COUNT_OF(pairs)], reader_of_all,
		 leat_bytes(body, (size_t)(end - body)));
	return 0;
}
