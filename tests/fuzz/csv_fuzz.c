/* libFuzzer target: any bytes as a CSV line. An accepted row keeps to its schema. */
#include "tests/fuzz/text_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct text_fuzz fuzz;
	static struct leat_csv_decoder *decoder;

	if (!decoder) {
		text_fuzz_open(&fuzz);
		LEAT_ASSERT(leat_csv_decoder_open(&decoder, fuzz.schema, "s,i,f,-,e,b,d,y,r.a,l", ';', fuzz.slots, NULL) == 0);
	}
	leat_arena_reset(fuzz.arena);
	if (leat_csv_decoder_run(decoder, leat_bytes(data, size), fuzz.columns, 0, fuzz.arena) == LEAT_BAD_NONE)
		text_fuzz_judge(&fuzz);
	return 0;
}
