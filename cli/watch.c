/* The status line: events and decisions per second, latency, lag, and how well the factors recommend beside popularity, shown even where they lose. */
#include "cli/cli.h"
#include "cli/watch.h"

#include <stdlib.h>
#include <unistd.h>

enum { WINDOW = 10000 };

/* Events that were ranked before they were learned, and how often the item was among the first ten: of the factors, of the most popular. */
struct quality { int64_t scored, hits, popular; };

struct leat_watch {
	struct leat *leat;
	bool json, quiet;
	int64_t start_us, last_us;
	struct leat_look last;
	uint64_t ticks;
	struct leat_reader *readers[64];
	size_t reader_count;
	char decision[400];
	const char *learner;
	struct quality readings[1024];      /* one per tick */
};

static int64_t counter(struct leat *leat, const char *id, const char *name)
{
	return LEAT_MAX(leat_counter(leat, id, name), (int64_t)0);
}

/* The operator that measures itself, if there is one. */
static const char *find_learner(struct leat *leat)
{
	for (size_t i = 0; i < leat->pipeline->node_count; i++)
		if (leat->pipeline->nodes[i].op && leat_counter(leat, leat->pipeline->nodes[i].id, "popularity_hits") >= 0)
			return leat->pipeline->nodes[i].id;
	return NULL;
}

/* What was scored over about the last WINDOW events: now less the newest reading that lies so far back. */
static bool read_quality(struct leat_watch *watch, struct quality *out)
{
	struct quality now, from = { 0 };
	if (!watch->learner)
		return false;
	now = (struct quality){ counter(watch->leat, watch->learner, "scored"), counter(watch->leat, watch->learner, "hits"), counter(watch->leat, watch->learner, "popularity_hits") };
	for (size_t i = 0; i < LEAT_COUNT_OF(watch->readings); i++) {
		const struct quality *reading = &watch->readings[i];
		if (reading->scored >= from.scored && now.scored - reading->scored >= WINDOW)
			from = *reading;
	}
	watch->readings[watch->ticks % LEAT_COUNT_OF(watch->readings)] = now;
	*out = (struct quality){ now.scored - from.scored, now.hits - from.hits, now.popular - from.popular };
	return out->scored > 0;
}

/* ---- the newest decision, read as any reader of the topic would ---- */

static void open_readers(struct leat_watch *watch)
{
	struct leat *leat = watch->leat;
	const struct leat_transport_ops *ops = leat->transport->ops;
	struct leat_fault fault = { 0 };
	if (leat->pipeline->sink_count == 0)
		return;
	const char *topic = leat->pipeline->sinks[0].topic;
	for (int32_t i = 0; i < leat->engine.tasks && watch->reader_count < LEAT_COUNT_OF(watch->readers); i++) {
		int64_t first, end;
		if (ops->bounds(leat->transport, topic, i, &first, &end, &fault) < 0 ||
		    ops->reader_open(leat->transport, topic, i, end, &watch->readers[watch->reader_count], &fault) < 0)
			return;
		watch->reader_count++;
	}
}

static void print_decision(struct leat_watch *watch, const struct leat_record *record)
{
	struct leat_buffer text = { 0 };
	const struct leat_sink *sink = &watch->leat->pipeline->sinks[0];
	const char *json = leat_schema_json(sink->schema);
	struct leat_bytes body = record->value;
	int32_t id;
	if (sink->format == LEAT_FORMAT_AVRO && (leat_wire_read(record->value, &id, &body) || leat_avro_print(json, strlen(json), body, &text)))
		goto out;
	if (sink->format != LEAT_FORMAT_AVRO && leat_buffer_append(&text, body.data, body.length) < 0)
		goto out;
	snprintf(watch->decision, sizeof watch->decision, "%.*s", (int)LEAT_MIN(text.length, sizeof watch->decision - 1), (const char *)text.data);
out:
	leat_buffer_free(&text);
}

static void read_decisions(struct leat_watch *watch)
{
	const struct leat_transport_ops *ops = watch->leat->transport->ops;
	struct leat_fault fault = { 0 };
	for (size_t i = 0; i < watch->reader_count; i++) {
		const struct leat_record *records;
		bool at_end = false;
		int64_t position;
		long count;
		for (int rounds = 0; rounds < 20 && !at_end; rounds++) {
			count = ops->reader_next(watch->readers[i], &records, 4096, 0, &at_end, &position, &fault);
			if (count <= 0)
				break;
			print_decision(watch, &records[count - 1]);
		}
	}
}

/* ---- lines ---- */

/* Records that were there before their task began say nothing of how fast it is. */
static const char *latency(char text[24], int64_t ms, const char *none)
{
	snprintf(text, 24, "%lld", (long long)ms);
	return ms < 0 ? none : text;
}

static void print_json(struct leat_watch *watch, const struct leat_look *look, double events, double outputs)
{
	struct quality quality;
	char p50[24], p99[24];
	printf("{\"events\":%llu,\"decisions\":%llu,\"events_per_s\":%.0f,\"decisions_per_s\":%.0f,\"p50_ms\":%s,\"p99_ms\":%s,\"lag_events\":%lld,\"lag_s\":%.3f,\"bad\":%llu,"
	       "\"commits\":%llu,\"aborts\":%llu,\"tasks_running\":%llu,\"tasks_failed\":%llu,\"memory_mb\":%.1f",
	       (unsigned long long)look->events, (unsigned long long)look->outputs, events, outputs, latency(p50, look->p50_ms, "null"), latency(p99, look->p99_ms, "null"), (long long)look->lag_events,
	       (double)look->lag_ms / 1e3, (unsigned long long)look->bad, (unsigned long long)look->commits, (unsigned long long)look->aborts, (unsigned long long)look->tasks_running,
	       (unsigned long long)look->tasks_failed, (double)look->memory / 1048576);
	if (read_quality(watch, &quality))
		printf(",\"scored\":%lld,\"recall_at_10\":%.4f,\"popularity_recall_at_10\":%.4f", (long long)quality.scored, (double)quality.hits / (double)quality.scored, (double)quality.popular / (double)quality.scored);
	printf("}\n");
	fflush(stdout);
}

static void print_line(struct leat_watch *watch, const struct leat_look *look, double events, double outputs)
{
	struct quality quality;
	char learned[96] = "", failed[32] = "", p99[24];
	if (read_quality(watch, &quality))
		snprintf(learned, sizeof learned, " | recall@10 %.3f, popularity %.3f (of %lld)", (double)quality.hits / (double)quality.scored, (double)quality.popular / (double)quality.scored, (long long)quality.scored);
	if (look->tasks_failed > 0)
		snprintf(failed, sizeof failed, ", %llu failed", (unsigned long long)look->tasks_failed);
	if (watch->decision[0] && !watch->quiet)
		printf("%s\n", watch->decision);
	printf("leat: %8.0f events/s %8.0f decisions/s | p99 %s ms | lag %lld events, %.1f s | bad %llu | tasks %llu/%llu%s%s\n", events, outputs, latency(p99, look->p99_ms, "-"),
	       (long long)look->lag_events, (double)look->lag_ms / 1e3, (unsigned long long)look->bad, (unsigned long long)look->tasks_running, (unsigned long long)look->tasks, failed, learned);
	fflush(stdout);
}

void leat_watch_tick(struct leat_watch *watch)
{
	struct leat_look look;
	int64_t now = leat_clock_mono_us(NULL);
	double seconds = (double)(now - watch->last_us) / 1e6;
	leat_look(watch->leat, &look);
	double events = (double)(look.events - watch->last.events) / seconds, outputs = look.outputs >= watch->last.outputs ? (double)(look.outputs - watch->last.outputs) / seconds : 0;
	watch->last = look;
	watch->last_us = now;
	watch->ticks++;
	if (watch->quiet)
		return;
	if (!watch->json)
		read_decisions(watch);
	if (watch->json)
		print_json(watch, &look, events, outputs);
	else
		print_line(watch, &look, events, outputs);
}

int leat_watch_open(struct leat_watch **out, struct leat *leat, bool json, bool quiet)
{
	struct leat_watch *watch = leat_calloc(1, sizeof *watch);
	*out = watch;
	if (!watch)
		return LEAT_ENOMEM;
	watch->leat = leat;
	watch->json = json;
	watch->quiet = quiet;
	watch->learner = find_learner(leat);
	watch->start_us = watch->last_us = leat_clock_mono_us(NULL);
	if (!json && !quiet)
		open_readers(watch);
	return 0;
}

void leat_watch_close(struct leat_watch *watch, bool well)
{
	struct leat_look look;
	if (!watch)
		return;
	leat_look(watch->leat, &look);
	double seconds = (double)(leat_clock_mono_us(NULL) - watch->start_us) / 1e6;
	if (well && watch->json)
		print_json(watch, &look, (double)look.events / seconds, (double)look.outputs / seconds);
	else if (well)
		fprintf(stderr, "leat: %llu event%s, %llu decision%s and other records out, %llu bad, %llu commit%s in %.1f s\n", (unsigned long long)look.events, leat_s(look.events),
			(unsigned long long)look.outputs, leat_s(look.outputs), (unsigned long long)look.bad, (unsigned long long)look.commits, leat_s(look.commits), seconds);
	for (size_t i = 0; i < watch->reader_count; i++)
		watch->leat->transport->ops->reader_close(watch->readers[i]);
	leat_free(watch);
}
