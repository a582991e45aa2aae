/* dedupe_bench: nanoseconds per event of dedupe with a ring of 16, entries in memory and without an engine. Takes under 1 s. */
#include "tests/operators/loose_task.h"

#include <time.h>

extern const struct leat_operator operator_dedupe;

enum { BATCH = 256, BATCHES = 2000, ROUND = 50, USERS = 20000, DUPLICATES = 100 /* one in so many */ };

static double now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static uint64_t mix(uint64_t z)
{
	z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
	z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
	return z ^ (z >> 31);
}

int main(void)
{
	static struct loose loose;
	static struct loose_stream stream;
	static uint16_t rows[BATCH];
	static char keys[BATCH][16];
	const struct loose_setting settings[] = { { .name = "last", .text = "16" }, { 0 } };
	double spent = 0, best = 1e18;
	uint64_t passed = 0;
	if (loose_open(&loose, &operator_dedupe, &stream, settings) < 0)
		return 1;
	for (uint64_t b = 0; b < BATCHES; b++) {
		for (size_t i = 0; i < BATCH; i++) {
			uint64_t n = b * BATCH + i, source = n % DUPLICATES == DUPLICATES - 1 ? n - 1 : n;
			int length = snprintf(keys[i], sizeof keys[i], "%d", (int)(mix(source * 7919 + 1) % USERS));
			stream.key[i] = (struct leat_bytes){ (const uint8_t *)keys[i], (uint32_t)length };
			stream.id[i] = mix(source + 12345);
			rows[i] = (uint16_t)i;
		}
		const struct leat_batch in = { rows, BATCH, stream.columns, stream.time_ms, stream.id, stream.key, stream.source, stream.time_ms };
		loose_views(&loose, &in);
		loose.outs[0].count = loose.outs[1].count = 0;
		double start = now_ns();
		if (operator_dedupe.process(&loose.task, loose.self, &in) < 0)
			return 1;
		spent += now_ns() - start;
		passed += loose.outs[0].count;
		if (b % ROUND == ROUND - 1) {
			best = spent < best ? spent : best;
			spent = 0;
		}
	}
	printf("dedupe: %.1f ns per event (ring of 16, %d users); %.2f %% duplicates\n", best / (ROUND * BATCH), USERS, 100.0 - 100.0 * (double)passed / ((double)BATCHES * BATCH));
	loose_close(&loose);
	return 0;
}
