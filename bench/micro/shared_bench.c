/* What a shared row costs at each station of a delta: ns per addition, per row sent, received, merged and taken over; and bytes of a row in every task. At most 3 s. */
#include "stream/shared_internal.h"

#include <stdlib.h>
#include <time.h>

enum { NUMBERS = 33, ITEMS = 20000, BATCH = 512, ADDS = 4000000, ROUNDS = 8 };

/* A transport whose topics are two arrays. */
struct heap { struct leat_buffer bytes; struct leat_record *records; size_t count, capacity; };
static struct heap deltas, rows;
static bool handed_out;

static struct heap *heap_of(const char *topic)
{
	return strcmp(topic, "bench.deltas") == 0 ? &deltas : &rows;
}

static int send_one(struct leat_session *session, const char *topic, int32_t partition, const struct leat_record *record, unsigned flags, struct leat_fault *fault)
{
	struct heap *heap = heap_of(topic);
	(void)session, (void)partition, (void)flags, (void)fault;
	if (heap->count == heap->capacity || heap->bytes.length + record->key.length + record->value.length > heap->bytes.capacity)
		return LEAT_ELIMIT;
	uint8_t *at = heap->bytes.data + heap->bytes.length;
	memcpy(at, record->key.data, record->key.length);
	memcpy(at + record->key.length, record->value.data, record->value.length);
	heap->records[heap->count++] = (struct leat_record){ .key = leat_bytes(at, record->key.length), .value = leat_bytes(at + record->key.length, record->value.length) };
	heap->bytes.length += record->key.length + record->value.length;
	return 0;
}

static int bounds(struct leat_transport *transport, const char *topic, int32_t partition, int64_t *first, int64_t *end, struct leat_fault *fault)
{
	(void)transport, (void)topic, (void)partition, (void)fault;
	*first = *end = 0;
	return 0;
}

static int reader_open(struct leat_transport *transport, const char *topic, int32_t partition, int64_t offset, struct leat_reader **out, struct leat_fault *fault)
{
	(void)transport, (void)topic, (void)partition, (void)offset, (void)fault;
	*out = NULL;
	return 0;
}

static long reader_next(struct leat_reader *reader, const struct leat_record **records, size_t max, int64_t timeout_ms, bool *at_end, int64_t *position, struct leat_fault *fault)
{
	(void)reader, (void)max, (void)timeout_ms, (void)fault;
	*records = rows.records;
	*at_end = true;
	*position = 0;
	long count = handed_out ? 0 : (long)rows.count;
	handed_out = true;
	return count;
}

static const struct leat_transport_ops ops = { .name = "bench", .bounds = bounds, .reader_open = reader_open, .reader_next = reader_next, .session_send = send_one };
static const struct leat_table table = { .name = "items", .kind = LEAT_SHARED, .merge = LEAT_MERGE_FACTOR, .entry_size = NUMBERS * sizeof(float), .version = 1 };
static const struct leat_operator operator = { .name = "bench", .tables = &table };

struct bench {
	struct leat_transport transport;
	struct leat_pipeline *pipeline;
	struct leat_engine engine;
	struct leat_node_run node;
	struct leat_lane *lane;
	struct leat_row *row[ITEMS];
	uint64_t key[ITEMS];
	struct leat_fault fault;
};

static void ok(const struct bench *bench, long rc)
{
	if (rc >= 0)
		return;
	fprintf(stderr, "%s: %s\n", leat_error_text((int)rc), bench->fault.text);
	exit(1);
}

static double now(void)
{
	struct timespec time;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
	return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static void print(const char *what, double spent, size_t count)
{
	printf("%-52s %8.1f ns\n", what, spent * 1e9 / (double)count);
	fflush(stdout);
}

static void make_heap(struct bench *bench, struct heap *heap)
{
	heap->capacity = ITEMS + 1;
	heap->records = leat_calloc(heap->capacity, sizeof *heap->records);
	ok(bench, heap->records ? leat_buffer_reserve(&heap->bytes, heap->capacity * 320) : LEAT_ENOMEM);
}

static void open_rows(struct bench *bench, size_t group, bool owner)
{
	struct leat_lane *lane = bench->lane;
	const struct leat_node_table *planned = &bench->pipeline->nodes[0].table[0];
	struct leat_rows_table tables = { .tag = 1, .version = 1, .entry_size = owner ? NUMBERS * sizeof(int64_t) : leat_shared_view_size(planned), .self = leat_shared_table(lane, 0, 0),
					  .init = owner ? leat_shared_owner_init : leat_shared_view_init };
	struct leat_rows_config config = { .tag = 1, .tables = &tables, .count = 1 };
	ok(bench, leat_rows_open(&lane->groups[group].rows, &config, &bench->fault));
}

static void open_all(struct bench *bench)
{
	struct leat_pipeline *pipeline = bench->pipeline = leat_calloc(1, sizeof *pipeline);
	struct leat_lane *lane = bench->lane = leat_calloc(1, sizeof *lane);
	ok(bench, pipeline && lane ? 0 : LEAT_ENOMEM);
	bench->transport.ops = &ops;
	pipeline->name = "bench";
	pipeline->sources[0] = (struct leat_source){ .topic = "bench.deltas", .deltas = true };
	pipeline->source_count = pipeline->node_count = 1;
	pipeline->owner_group = 1;
	pipeline->nodes[0] = (struct leat_node){ .op = &operator, .tables = 1 };
	pipeline->nodes[0].table[0] = (struct leat_node_table){ .kind = LEAT_SHARED, .entry_size = table.entry_size, .numbers = NUMBERS, .tag = 77 };
	bench->engine = (struct leat_engine){ .pipeline = pipeline, .transport = &bench->transport, .tasks = 1 };
	ok(bench, leat_replica_open(&bench->engine.replica, pipeline, &bench->transport, 1, &bench->fault));
	lane->engine = &bench->engine;
	lane->pipeline = pipeline;
	lane->ops = &ops;
	lane->nodes = &bench->node;
	ok(bench, leat_shared_prepare_tables(lane));
	open_rows(bench, 0, false);
	open_rows(bench, 1, true);
	ok(bench, leat_shared_open(lane, &bench->fault));
	make_heap(bench, &deltas);
	make_heap(bench, &rows);
}

static void find_rows(struct bench *bench)
{
	for (size_t at = 0; at < ITEMS; at++)
		bench->key[at] = leat_mix(at);
	for (size_t at = 0; at < ITEMS; at++)
		ok(bench, leat_shared_row(leat_shared_table(bench->lane, 0, 0), leat_bytes(&bench->key[at], sizeof bench->key[at]), &bench->row[at]));
}

static void add(struct bench *bench, size_t count, size_t items, const char *what)
{
	struct leat_shared_table *shared = leat_shared_table(bench->lane, 0, 0);
	float delta[NUMBERS];
	uint64_t draw = 0;
	for (size_t i = 0; i < NUMBERS; i++)
		delta[i] = .001f * (float)((int)i - 16);
	double start = now();
	for (size_t i = 0; i < count; i++)
		ok(bench, leat_shared_add(shared, bench->row[leat_mix(draw++) % items], delta, .01));
	if (what)
		print(what, now() - start, count);
}

/* One commit with every row changed: the deltas out, in again, merged, the rows out, in again, and what was pending dropped. */
static void commit(struct bench *bench, double spent[4])
{
	struct leat_lane *lane = bench->lane;
	struct leat_shared_table *shared = leat_shared_table(lane, 0, 0);
	float delta[NUMBERS] = { .5f };
	for (size_t i = 0; i < ITEMS; i++)
		ok(bench, leat_shared_add(shared, bench->row[i], delta, .01));
	deltas.count = deltas.bytes.length = rows.count = rows.bytes.length = 0;
	double start = now();
	ok(bench, leat_shared_prepare(lane, &bench->fault));
	spent[0] += now() - start;
	lane->sequence++;
	start = now();
	for (size_t i = 0; i < deltas.count; i++) {
		int rc;
		if (leat_shared_receive(lane, &deltas.records[i], &rc) || rc < 0)
			ok(bench, LEAT_ECORRUPT);
	}
	spent[1] += now() - start;
	start = now();
	ok(bench, leat_shared_prepare(lane, &bench->fault));
	spent[2] += now() - start;
	leat_shared_committed(lane);
	handed_out = false;
	start = now();
	ok(bench, leat_replica_poll(bench->engine.replica, &bench->fault));
	ok(bench, leat_shared_refresh(lane));
	spent[3] += now() - start;
}

static void close_all(struct bench *bench)
{
	leat_rows_close(bench->lane->groups[0].rows);
	leat_rows_close(bench->lane->groups[1].rows);
	leat_shared_close(bench->lane);
	leat_free(bench->lane);
	leat_free(bench->pipeline);
	leat_buffer_free(&deltas.bytes);
	leat_buffer_free(&rows.bytes);
	leat_free(deltas.records);
	leat_free(rows.records);
}

int main(void)
{
	static struct bench bench;
	double spent[4] = { 0 };
	open_all(&bench);
	find_rows(&bench);
	add(&bench, 64, 64, NULL);
	add(&bench, ADDS, 64, "add 33 floats, 64 rows, row at hand");
	add(&bench, ADDS / 4, ITEMS, "add 33 floats, 20,000 rows, row at hand");
	for (int round = 0; round < ROUNDS; round++)
		commit(&bench, spent);
	print("send a row's delta", spent[0], ROUNDS * ITEMS);
	print("receive a delta", spent[1], ROUNDS * ITEMS);
	print("merge and publish a row", spent[2], ROUNDS * ITEMS);
	print("replica applies, view takes over, pending dropped", spent[3], ROUNDS * ITEMS);
	const struct leat_shared_table *shared = leat_shared_table(bench.lane, 0, 0);
	printf("%-52s %8zu bytes\n", "a row of 33 floats in a task's view", leat_rows_memory(bench.lane->groups[0].rows) / ITEMS);
	printf("%-52s %8zu bytes\n", "and while something of it is pending", shared->pendings.size + shared->sents.size);
	close_all(&bench);
	leat_replica_close(bench.engine.replica);
	return 0;
}
