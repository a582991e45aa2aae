/*
 * sink: reads a topic as any read_committed consumer would and says what it saw and when, one JSON line per occurrence ("at": first, mark, all) and one at the end.
 *   sink drain   broker= topic= expect=N [mark=N] [idle=SECONDS] [series=FILE] [reference=FILE]
 *   sink latency broker= topic= expect=N [after=MS] [idle=SECONDS] [what=decisions|events]
 * drain: counts, and distinct ids; ends idle seconds after the expected count, so that records too many are seen, or 120 s after the last record.
 *        reference: the ads that check computed; the last line then says how many decisions are the same. series: "unix_ms count" lines, 20 ms apart or more.
 * latency: from a record's ts to its arrival here, for those with ts >= after; ends idle seconds after the last record.
 */
#include "bench/rp1/rp1.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { BATCH = 20000, LOST_MS = 120000 };

struct seen {
	uint64_t event;                      /* 0: free */
	int64_t ad;
};
struct sink {
	int latency, events;
	uint64_t expect, mark, count, distinct, mask;
	struct seen *seen;
	float *latencies;
	uint64_t latency_count, latency_room;
	double after_ms, start_ms, first_ms, last_ms, all_ms, series_ms;
	FILE *series;
};

/* ---- ids ---- */

static struct seen *place_of(const struct sink *sink, uint64_t event)
{
	uint64_t at = (event * 0x9E3779B97F4A7C15u) >> 20 & sink->mask;
	while (sink->seen[at].event && sink->seen[at].event != event)
		at = (at + 1) & sink->mask;
	return &sink->seen[at];
}

static void note_id(struct sink *sink, uint64_t event, int64_t ad)
{
	struct seen *seen = place_of(sink, event ? event : 1);
	if (seen->event || sink->distinct * 10 > sink->mask * 7)
		return;
	*seen = (struct seen){ event ? event : 1, ad };
	sink->distinct++;
}

/* ---- records ---- */

static void take(struct sink *sink, const uint8_t *value, double now_ms)
{
	struct rp1_event event;
	int64_t length, number, ad = 0;
	const uint8_t *id = rp1_read_long(value + RP1_HEADER, &length), *at;
	event.hash = rp1_hash(id, (size_t)length);
	if (sink->events) {
		rp1_decode(value, &event);
	} else {
		at = rp1_read_long(id + length, &number);
		at = rp1_read_long(at, &ad);
		rp1_read_long(at + sizeof(float), &event.ts);
	}
	note_id(sink, event.hash, ad);
	sink->count++;
	if (sink->latency && (double)event.ts >= sink->after_ms && sink->latency_count < sink->latency_room)
		sink->latencies[sink->latency_count++] = (float)(now_ms - (double)event.ts);
}

static void tell(const char *what, double ms, uint64_t count)
{
	printf("{\"at\":\"%s\",\"ms\":%.0f,\"count\":%llu}\n", what, ms, (unsigned long long)count);
	fflush(stdout);
}

static void note_progress(struct sink *sink, uint64_t before, double now_ms)
{
	if (sink->count == before)
		return;
	if (!before) {
		sink->first_ms = now_ms;
		tell("first", now_ms, sink->count);
	}
	if (before < sink->mark && sink->count >= sink->mark)
		tell("mark", now_ms, sink->count);
	if (before < sink->expect && sink->count >= sink->expect) {
		sink->all_ms = now_ms;
		tell("all", now_ms, sink->count);
	}
	sink->last_ms = now_ms;
	if (sink->series && now_ms - sink->series_ms > 20) {
		fprintf(sink->series, "%.0f %llu\n", now_ms, (unsigned long long)sink->count);
		fflush(sink->series);
		sink->series_ms = now_ms;
	}
}

static int is_done(const struct sink *sink, double now_ms, double idle_ms)
{
	if (!sink->latency && sink->all_ms)
		return now_ms - sink->all_ms > idle_ms;
	if (sink->latency && sink->last_ms)
		return now_ms - sink->last_ms > idle_ms;
	return now_ms - (sink->last_ms ? sink->last_ms : sink->start_ms) > LOST_MS;
}

static void read_all(struct sink *sink, rd_kafka_queue_t *queue, double idle_ms)
{
	static rd_kafka_message_t *messages[BATCH];
	sink->start_ms = rp1_now_ms();
	for (;;) {
		/* Small bites where the time of arrival is what counts. */
		ssize_t got = rd_kafka_consume_batch_queue(queue, sink->latency ? 1 : 20, messages, sink->latency ? 500 : BATCH);
		double now_ms = rp1_now_ms();
		uint64_t before = sink->count;
		for (ssize_t i = 0; i < got; i++) {
			if (!messages[i]->err)
				take(sink, messages[i]->payload, now_ms);
			rd_kafka_message_destroy(messages[i]);
		}
		note_progress(sink, before, now_ms);
		if (is_done(sink, now_ms, idle_ms))
			return;
	}
}

/* ---- the closing line ---- */

static void print_compared(const struct sink *sink, const char *path)
{
	struct rp1_choice choice;
	uint64_t due = 0, found = 0, same = 0;
	FILE *file = fopen(path, "rb");
	if (!file)
		rp1_die(path, "cannot be read");
	while (fread(&choice, sizeof choice, 1, file) == 1) {
		const struct seen *seen = place_of(sink, choice.event);
		due++;
		found += seen->event != 0;
		same += seen->event && seen->ad == choice.ad;
	}
	fclose(file);
	printf(",\"due\":%llu,\"missing\":%llu,\"unknown\":%llu,\"same_ad\":%llu", (unsigned long long)due, (unsigned long long)(due - found), (unsigned long long)(sink->distinct - found), (unsigned long long)same);
}

static int by_size(const void *a, const void *b)
{
	float x = *(const float *)a, y = *(const float *)b;
	return (x > y) - (x < y);
}

static void print_latencies(struct sink *sink)
{
	static const struct { const char *name; double part; } parts[] = { { "p50_ms", .5 }, { "p95_ms", .95 }, { "p99_ms", .99 }, { "p999_ms", .999 } };
	uint64_t n = sink->latency_count;
	printf(",\"measured\":%llu", (unsigned long long)n);
	if (!n)
		return;
	qsort(sink->latencies, n, sizeof *sink->latencies, by_size);
	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
		printf(",\"%s\":%.1f", parts[i].name, (double)sink->latencies[(uint64_t)((double)n * parts[i].part)]);
	printf(",\"max_ms\":%.1f", (double)sink->latencies[n - 1]);
}

static void print_end(struct sink *sink, const char *reference)
{
	struct timespec cpu;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
	printf("{\"at\":\"end\",\"count\":%llu,\"distinct\":%llu,\"expect\":%llu,\"first_ms\":%.0f,\"all_ms\":%.0f,\"last_ms\":%.0f", (unsigned long long)sink->count, (unsigned long long)sink->distinct,
	       (unsigned long long)sink->expect, sink->first_ms, sink->all_ms, sink->last_ms);
	if (sink->latency)
		print_latencies(sink);
	if (reference)
		print_compared(sink, reference);
	printf(",\"sink_cpu_s\":%.2f}\n", (double)cpu.tv_sec + (double)cpu.tv_nsec * 1e-9);
	fflush(stdout);
}

static void open_reader(struct rp1_reader *reader, const char *broker, const char *topic, int latency)
{
	const char *const settings[][2] = {
		{ "group.id", "sink" }, { "isolation.level", "read_committed" }, { "enable.auto.commit", "false" }, { "check.crcs", "false" },
		{ "fetch.wait.max.ms", latency ? "5" : "50" }, { "fetch.min.bytes", latency ? "1" : "200000" }, { "fetch.error.backoff.ms", "10" },
		/* librdkafka 2.0.2 stops fetching for a second whenever its queue is full: so it never is. */
		{ "queued.min.messages", "10000000" }, { "queued.max.messages.kbytes", "2000000" }, { "fetch.message.max.bytes", "8388608" }, { NULL, NULL },
	};
	rp1_reader_open(reader, broker, topic, settings);
}

int main(int argc, char **argv)
{
	static struct sink sink;
	struct rp1_reader reader;
	const char *series = rp1_option(argc, argv, "series", NULL);
	if (argc < 2 || (strcmp(argv[1], "drain") != 0 && strcmp(argv[1], "latency") != 0))
		rp1_die("usage", "sink drain|latency broker=HOST:PORT topic=NAME expect=N ...");
	sink.latency = strcmp(argv[1], "latency") == 0;
	sink.events = strcmp(rp1_option(argc, argv, "what", "decisions"), "events") == 0;
	sink.expect = (uint64_t)rp1_number(argc, argv, "expect", 0);
	sink.mark = (uint64_t)rp1_number(argc, argv, "mark", (double)sink.expect / 2);
	sink.after_ms = rp1_number(argc, argv, "after", 0);
	if (series && !(sink.series = fopen(series, "w")))
		rp1_die(series, "cannot be written");
	for (sink.mask = 1 << 16; sink.mask < sink.expect * 2 + 1000;)
		sink.mask <<= 1;
	sink.seen = calloc(sink.mask--, sizeof *sink.seen);
	sink.latency_room = sink.latency ? sink.expect * 2 + 100000 : 1;
	sink.latencies = malloc(sink.latency_room * sizeof *sink.latencies);
	if (!sink.seen || !sink.latencies)
		rp1_die("sink", "no memory");
	open_reader(&reader, rp1_option(argc, argv, "broker", "127.0.0.1:9092"), rp1_option(argc, argv, "topic", "rp-dec"), sink.latency);
	read_all(&sink, reader.queue, rp1_number(argc, argv, "idle", 3) * 1e3);
	print_end(&sink, rp1_option(argc, argv, "reference", NULL));
	/* Leaving the group and freeing some gigabytes of queue is nobody's figure. */
	_Exit(0);
}
