/*
 * decode_bench: nanoseconds per event of the Avro decoder and encoder on the reference workload's events (9 fields, 75 bytes) and decisions (5 fields).
 * Build and run: make build/bench/decode_bench && build/bench/decode_bench
 */
#include "schemas/codec.h"

#include <math.h>
#include <time.h>

enum { EVENTS = 4096, ROUNDS = 20, TRIES = 50 };

static const char event_json[] =
	"{\"type\":\"record\",\"name\":\"Event\",\"namespace\":\"shop\",\"fields\":["
	"{\"name\":\"event_id\",\"type\":\"string\"},{\"name\":\"user_id\",\"type\":\"long\"},{\"name\":\"item_id\",\"type\":\"long\"},"
	"{\"name\":\"type\",\"type\":{\"type\":\"enum\",\"name\":\"EventType\",\"symbols\":[\"VIEW\",\"CART\",\"PURCHASE\"]}},"
	"{\"name\":\"ts\",\"type\":{\"type\":\"long\",\"logicalType\":\"timestamp-millis\"}},"
	"{\"name\":\"price\",\"type\":[\"null\",\"double\"],\"default\":null},{\"name\":\"category\",\"type\":\"int\"},"
	"{\"name\":\"channel\",\"type\":\"string\"},{\"name\":\"url\",\"type\":\"string\"}]}";
static const char decision_json[] =
	"{\"type\":\"record\",\"name\":\"Decision\",\"namespace\":\"shop\",\"fields\":["
	"{\"name\":\"event_id\",\"type\":\"string\"},{\"name\":\"user_id\",\"type\":\"long\"},{\"name\":\"ad_id\",\"type\":\"int\"},"
	"{\"name\":\"score\",\"type\":\"float\"},{\"name\":\"ts\",\"type\":{\"type\":\"long\",\"logicalType\":\"timestamp-millis\"}}]}";
static const char *const channels[] = { "search", "feed", "mail", "push", "social" };

struct bench {
	struct leat_schema *event, *decision;
	struct leat_column *columns;
	const struct leat_field *fields[9];
	struct leat_encoder *writer;           /* of events */
	struct leat_arena *arena;
	struct leat_buffer bodies;
	size_t ends[EVENTS + 1];
};

static double now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static void check(int rc, const struct leat_fault *fault)
{
	if (rc < 0)
		fprintf(stderr, "decode_bench: %s\n", fault->text);
	LEAT_ASSERT(rc == 0);
}

/* Ids by a power law, as the reference workload has them. */
static int64_t zipf(uint64_t random, int64_t count)
{
	double u = (double)(random >> 11) * 0x1p-53;
	double x = pow(u * (pow((double)count + 1, -0.05) - 1) + 1, -20);
	return LEAT_MIN(LEAT_MAX((int64_t)x - 1, 0), count - 1);
}

static void put_text(struct bench *bench, int slot, const char *text)
{
	bench->columns[slot].bytes[0] = leat_text(text);
}

static void make_event(struct bench *bench, uint64_t i)
{
	char id[40], url[64];
	struct leat_column *columns = bench->columns;
	int64_t user = zipf(leat_mix(8 * i), 200000), item = zipf(leat_mix(8 * i + 1), 20000);
	uint64_t a = leat_mix(8 * i + 2), b = leat_mix(8 * i + 3), kind = leat_mix(8 * i + 4) % 100;

	snprintf(id, sizeof id, "%08x-%04x-%04x-%04x-%012llx", (unsigned)a, (unsigned)(a >> 32) & 0xffff, (unsigned)(a >> 48), (unsigned)b & 0xffff,
		 (unsigned long long)(b >> 16));
	snprintf(url, sizeof url, "/c/%d/item/%lld", (int)(item % 40), (long long)item);
	put_text(bench, 0, id);
	columns[1].ints[0] = user;
	columns[2].ints[0] = item;
	columns[3].ints[0] = kind < 90 ? 0 : kind < 97 ? 1 : 2;
	columns[4].ints[0] = 1760000000000 + 2 * (int64_t)i;
	columns[5].null[0] = kind < 90;
	columns[5].doubles[0] = 5 + (double)(item % 97) * 1.5;
	columns[6].ints[0] = item % 40;
	put_text(bench, 7, channels[leat_mix(8 * i + 5) % 5]);
	put_text(bench, 8, url);
	LEAT_ASSERT(leat_encoder_run(bench->writer, columns, 0, &bench->bodies) == 0);
	bench->ends[i + 1] = bench->bodies.length;
}

static void open_bench(struct bench *bench)
{
	static const int slots[9] = { 0, 1, 2, 3, 4, 5, 6, 7, 8 };
	struct leat_fault fault = { 0 };
	check(leat_schema_parse(&bench->event, event_json, sizeof event_json - 1, "event", &fault), &fault);
	check(leat_schema_parse(&bench->decision, decision_json, sizeof decision_json - 1, "decision", &fault), &fault);
	for (size_t i = 0; i < 9; i++)
		bench->fields[i] = leat_schema_field(bench->event, i);
	check(leat_columns_make(&bench->columns, bench->fields, 9), &fault);
	check(leat_encoder_compile(&bench->writer, bench->event, slots, bench->fields, &fault), &fault);
	check(leat_arena_open(&bench->arena, 65536), &fault);
	for (uint64_t i = 0; i < EVENTS; i++)
		make_event(bench, i);
}

static void bench_decoder(struct bench *bench, const char *what, const int *slots)
{
	struct leat_fault fault = { 0 };
	struct leat_decoder *decoder;
	double best = 1e300;
	check(leat_decoder_compile(&decoder, event_json, sizeof event_json - 1, bench->event, slots, &fault), &fault);
	for (int try = 0; try < TRIES; try++) {
		double from = now_ns();
		for (size_t n = 0; n < (size_t)ROUNDS * EVENTS; n++) {
			size_t i = n % EVENTS;
			struct leat_bytes body = { bench->bodies.data + bench->ends[i], (uint32_t)(bench->ends[i + 1] - bench->ends[i]) };
			LEAT_ASSERT(leat_decoder_run(decoder, body, bench->columns, n % LEAT_BATCH_MAX, bench->arena) == 0);
		}
		best = LEAT_MIN(best, (now_ns() - from) / ((double)ROUNDS * EVENTS));
	}
	printf("%-40s %6.1f ns per event\n", what, best);
	leat_decoder_free(decoder);
}

static void bench_encoder(struct bench *bench)
{
	/* event_id, user_id, ad_id (a category serves), score (no float in an event: a default column of its own), ts */
	static const struct leat_field score = { .name = "score", .type = LEAT_FLOAT, .width = 1 };
	const struct leat_field *fields[5] = { bench->fields[0], bench->fields[1], bench->fields[6], &score, bench->fields[4] };
	static const int slots[5] = { 0, 1, 2, 3, 4 };
	struct leat_column *scores, columns[5];
	struct leat_fault fault = { 0 };
	struct leat_encoder *encoder;
	struct leat_buffer out = { 0 };
	double best = 1e300;

	const struct leat_field *score_field = &score;
	check(leat_columns_make(&scores, &score_field, 1), &fault);
	check(leat_encoder_compile(&encoder, bench->decision, slots, fields, &fault), &fault);
	columns[0] = bench->columns[0], columns[1] = bench->columns[1], columns[2] = bench->columns[6], columns[3] = scores[0], columns[4] = bench->columns[4];
	for (int try = 0; try < TRIES; try++) {
		double from = now_ns();
		for (size_t n = 0; n < (size_t)ROUNDS * EVENTS; n++) {
			out.length = n % LEAT_BATCH_MAX ? out.length : 0;
			LEAT_ASSERT(leat_encoder_run(encoder, columns, n % LEAT_BATCH_MAX, &out) == 0);
		}
		best = LEAT_MIN(best, (now_ns() - from) / ((double)ROUNDS * EVENTS));
	}
	printf("%-40s %6.1f ns per decision\n", "encode 5 fields", best);
	leat_columns_free(scores, 1);
	leat_encoder_free(encoder);
	leat_buffer_free(&out);
}

int main(void)
{
	static const int all[9] = { 0, 1, 2, 3, 4, 5, 6, 7, 8 }, most[9] = { 0, 1, 2, 3, 4, 5, 6, -1, -1 };
	static struct bench bench;
	open_bench(&bench);
	printf("%d events, %.1f bytes each\n", EVENTS, (double)bench.bodies.length / EVENTS);
	bench_decoder(&bench, "decode 9 fields, 2 strings skipped", most);
	bench_decoder(&bench, "decode 9 fields", all);
	bench_encoder(&bench);
	leat_arena_close(bench.arena);
	leat_columns_free(bench.columns, 9);
	leat_encoder_free(bench.writer);
	leat_buffer_free(&bench.bodies);
	leat_schema_free(bench.event);
	leat_schema_free(bench.decision);
	return 0;
}
