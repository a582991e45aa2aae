/* libFuzzer target: any bytes as a JSON body. An accepted row keeps to its schema, and written as JSON it is read back as itself. */
#include "tests/fuzz/text_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!decoder)
		open_all();
	leat_arena_reset(fuzz.arena);
	if (leat_json_decoder_run(decoder, leat_bytes(data, size), fuzz.columns, 0, fuzz.arena) != LEAT_BAD_NONE)
		return 0;
	text_fuzz_judge(&fuzz);
	if (size < 4096)        /* escapes make text longer, and a longer body may be over the limit */
		write_and_read_back();
	return 0;
}
