/*
 * libFuzzer target: any bytes as a JSON body. An accepted row keeps to its schema, and written as JSON it is read back as itself;
 * jansson agrees on what JSON is, and on the values.
 */
#include "tests/fuzz/text_fuzz.h"

#include <jansson.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { B, I, L, F, D, S };
static struct text_fuzz fuzz;
static struct leat_json_decoder *decoder;
static struct leat_encoder *encoder;

static void open_all(void)
{
	text_fuzz_open(&fuzz);
	LEAT_ASSERT(leat_json_decoder_open(&decoder, fuzz.schema, fuzz.slots, NULL) == 0);
	LEAT_ASSERT(leat_encoder_compile(&encoder, fuzz.schema, fuzz.slots, fuzz.fields, NULL) == 0);
}

static void write_and_read_back(void)
{
	struct leat_buffer first = { 0 }, second = { 0 };
	LEAT_ASSERT(leat_encoder_run_json(encoder, fuzz.columns, 0, &first) == 0);
	leat_arena_reset(fuzz.arena);
	LEAT_ASSERT(leat_json_decoder_run(decoder, leat_bytes(first.data, first.length), fuzz.columns, 0, fuzz.arena) == LEAT_BAD_NONE);
	LEAT_ASSERT(leat_encoder_run_json(encoder, fuzz.columns, 0, &second) == 0);
	LEAT_ASSERT(leat_bytes_equal(leat_bytes(first.data, first.length), leat_bytes(second.data, second.length)));
	leat_buffer_free(&first);
	leat_buffer_free(&second);
}

static void compare_values(const json_t *json)
{
	const json_t *b = json_object_get(json, "b"), *i = json_object_get(json, "i"), *l = json_object_get(json, "l");
	const json_t *d = json_object_get(json, "d"), *s = json_object_get(json, "s");
	LEAT_ASSERT(!b || json_is_true(b) == (fuzz.columns[B].bools[0] == 1));
	LEAT_ASSERT(!json_is_integer(i) || json_integer_value(i) == fuzz.columns[I].ints[0]);
	LEAT_ASSERT(!json_is_integer(l) || json_integer_value(l) == fuzz.columns[L].ints[0]);
	LEAT_ASSERT(!json_is_number(d) || json_number_value(d) == fuzz.columns[D].doubles[0]);
	LEAT_ASSERT(!json_is_string(s) || leat_bytes_equal(leat_bytes(json_string_value(s), json_string_length(s)), fuzz.columns[S].bytes[0]));
}

/*
 * jansson refuses numbers beyond its range, escaped zeros in names, and every repeated name, where we refuse only names of the schema;
 * and takes a zero byte for the end.
 */
static void compare(const uint8_t *data, size_t size, enum leat_bad bad)
{
	json_error_t error = { 0 };
	if (memchr(data, 0, size)) {
		LEAT_ASSERT(bad == LEAT_BAD_JSON_SYNTAX || bad == LEAT_BAD_TOO_LARGE);
		return;
	}
	json_t *json = json_loadb((const char *)data, size, JSON_ALLOW_NUL | JSON_DECODE_ANY, &error);
	enum json_error_code code = json ? json_error_unknown : json_error_code(&error);
	if (json && bad == LEAT_BAD_JSON_SYNTAX) {
		json_t *strict = json_loadb((const char *)data, size, JSON_ALLOW_NUL | JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &error);
		LEAT_ASSERT(!strict && json_error_code(&error) == json_error_duplicate_key);
	}
	if (!json && code != json_error_numeric_overflow && code != json_error_null_byte_in_key && bad != LEAT_BAD_TOO_LARGE)
		LEAT_ASSERT(bad == LEAT_BAD_JSON_SYNTAX);
	if (json && bad == LEAT_BAD_NONE)
		compare_values(json);
	json_decref(json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!decoder)
		open_all();
	leat_arena_reset(fuzz.arena);
	enum leat_bad bad = leat_json_decoder_run(decoder, leat_bytes(data, size), fuzz.columns, 0, fuzz.arena);
	compare(data, size, bad);
	if (bad)
		return 0;
	text_fuzz_judge(&fuzz);
	if (size < 4096)        /* escapes make text longer, and a longer body may be over the limit */
		write_and_read_back();
	return 0;
}
