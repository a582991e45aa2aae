/* Fuzzes records of the internal topics: re-keyed rows and their columns, deltas and rows of shared tables, task rows. Whatever they are, a reason comes of it, and no time runs away. */
#include "tests/stream/shared_help.h"

#include "stream/lane_row.h"
#include "stream/rekey.h"
#include "stream/rekey_columns.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char pipeline[] = "operators: [ { id: by_item, use: rekey, from: in, with: { by: item } }, { id: tally, use: tally, from: by_item, with: { item: item, n: n } },"
			       " { id: learn, use: learn, from: tally, with: { item: item, n: n } } ]\n"
			       "sinks: { out: { from: learn, topic: out, format: json, record: \"item:string n:double seen:int? guess:double?\" } }\n";
static struct world *world;
static struct leat_rekey_columns ours;

static void close_all(void)
{
	leat_rekey_columns_free(&ours);
	free_world(world);
}

static void open_all(void)
{
	world = make_world(2, 16, pipeline);
	open_world(world);
	start_worker(world, 0);
	run_until_running(world);
	LEAT_ASSERT(leat_rekey_columns_make(&ours, world->pipeline, &world->pipeline->nodes[0], NULL) == 0);
	atexit(close_all);
}

/* ---- re-keyed ---- */

enum { FINGERPRINT_AT = 8, DAY_MS = 86400000 };

static void rekeyed(struct leat_lane *lane, const struct leat_record *record)
{
	struct leat_intake *intake = &lane->intakes[1];
	int64_t marks[2], time_ms = 0;
	leat_arena_reset(lane->arena);
	int bad = leat_rekey_in_row(lane, intake, record, &lane->streams[0], 0, &time_ms);
	LEAT_ASSERT(bad >= 0 && bad <= LEAT_REKEY_MARK && time_ms <= record->timestamp_ms + DAY_MS);
	leat_rekey_in_save(intake->rekey, marks, 2);
	for (int i = 0; i < 2; i++)
		LEAT_ASSERT(marks[i] == INT64_MAX || marks[i] <= record->timestamp_ms + DAY_MS);
}

/* As of a sender, so that the body is reached. */
static void rekeyed_well(struct leat_lane *lane, struct leat_record *record)
{
	uint8_t *value = (uint8_t *)(uintptr_t)record->value.data;
	if (record->value.length < 48)
		return;
	memset(value, 0, 48);
	value[0] = 2;
	memcpy(value + FINGERPRINT_AT, &ours.fingerprint, sizeof ours.fingerprint);
	rekeyed(lane, record);
}

static void columns(struct leat_bytes list)
{
	struct leat_decoder *decoder = NULL;
	struct leat_fault fault;
	int rc = leat_rekey_columns_resolve(&ours, list, &decoder, &fault);
	LEAT_ASSERT((rc == 0) == (decoder != NULL) && (rc == 0 || rc == LEAT_ECORRUPT || rc == LEAT_ESCHEMA || rc == LEAT_ELIMIT));
	leat_decoder_free(decoder);
}

static void words(struct leat_lane *lane, struct leat_bytes value)
{
	int64_t some[512];
	size_t count = LEAT_MIN(value.length / sizeof some[0], LEAT_COUNT_OF(some));
	memcpy(some, value.data, count * sizeof some[0]);
	leat_rekey_in_load(lane->intakes[1].rekey, some, count);
}

/* What was loaded came from a row of ours, as far as this program can tell. */
static void forget_marks(struct leat_lane *lane)
{
	static const int64_t none[2] = { INT64_MIN, INT64_MIN };
	leat_rekey_in_load(lane->intakes[1].rekey, none, 2);
}

/* ---- shared ---- */

static void delta(struct leat_lane *lane, const struct leat_record *record)
{
	int rc;
	enum leat_bad bad = leat_shared_receive(lane, record, &rc);
	LEAT_ASSERT(rc == 0 && bad < LEAT_BAD_COUNT);
	leat_owner_clear(lane->shared);
	lane->shared->received = false;
}

/* A transport with nothing but these records, in one partition. */
static struct { struct leat_record records[64]; long count; } topic;

static int bounds(struct leat_transport *transport, const char *name, int32_t partition, int64_t *first, int64_t *end, struct leat_fault *fault)
{
	(void)transport, (void)name, (void)fault;
	*first = 0;
	*end = partition == 0 ? topic.count : 0;
	return 0;
}

static int reader_open(struct leat_transport *transport, const char *name, int32_t partition, int64_t offset, struct leat_reader **out, struct leat_fault *fault)
{
	(void)transport, (void)name, (void)partition, (void)offset, (void)fault;
	*out = NULL;
	return 0;
}

static long reader_next(struct leat_reader *reader, const struct leat_record **records, size_t max, int64_t timeout_ms, bool *at_end, int64_t *position, struct leat_fault *fault)
{
	long count = topic.count;
	(void)reader, (void)max, (void)timeout_ms, (void)fault;
	*records = topic.records;
	*position = count;
	*at_end = true;
	topic.count = 0;
	return count;
}

static int get(void *self, const struct leat_replica_row *row)
{
	int64_t numbers[LEAT_SHARED_NUMBERS_MAX];
	LEAT_ASSERT(leat_replica_get(self, leat_bytes(row->key, row->key_length), numbers, row->count));
	return 0;
}

/* Records of: u8 length of the key, u8 of the value, both; the key's tag is one of ours by its first byte. */
static void rows(struct leat_bytes bytes)
{
	static const struct leat_transport_ops ops = { .bounds = bounds, .reader_open = reader_open, .reader_next = reader_next };
	struct leat_transport transport = { &ops };
	struct leat_replica *replica;
	uint64_t seen;
	int64_t included[2];
	for (topic.count = 0; bytes.length >= 2 && topic.count < (long)LEAT_COUNT_OF(topic.records); topic.count++) {
		uint32_t key = LEAT_MIN(bytes.data[0], bytes.length - 2), value = LEAT_MIN(bytes.data[1], bytes.length - 2 - key);
		uint8_t *at = (uint8_t *)(uintptr_t)bytes.data + 2;
		if (key >= 4 && at[0] > 0 && at[0] < 3)
			memcpy(at, &world->pipeline->nodes[at[0]].table[0].tag, 4);
		topic.records[topic.count] = (struct leat_record){ .key = leat_bytes(key ? at : NULL, key), .value = leat_bytes(value ? at + key : NULL, value) };
		bytes = leat_bytes(at + key + value, bytes.length - 2 - key - value);
	}
	LEAT_ASSERT(leat_replica_open(&replica, world->pipeline, &transport, 2, NULL) == 0);
	LEAT_ASSERT(leat_replica_each(replica, &seen, 1, included, get, replica) == 0 && included[0] >= 0);
	leat_replica_close(replica);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int64_t positions[LEAT_SOURCES_MAX];
	if (!world)
		open_all();
	if (size < 2)
		return 0;
	/* A copy of its own, so that reading past its end is seen. */
	uint8_t *copy = leat_malloc(size - 1);
	LEAT_ASSERT(copy);
	memcpy(copy, data + 1, size - 1);
	size_t key = LEAT_MIN((size_t)copy[0] % 64, size - 2);
	struct leat_lane *lane = lane_of(world, leat_partition_of(copy + 1, key, 2));
	struct leat_bytes all = leat_bytes(copy, size - 1);
	struct leat_record record = { .timestamp_ms = 1700000000000, .key = leat_bytes(key ? copy + 1 : NULL, key), .value = leat_bytes(copy + 1 + key, size - 2 - key) };
	switch (data[0] % 8) {
	case 0: rekeyed(lane, &record); break;
	case 1: rekeyed_well(lane, &record); break;
	case 2: columns(all); break;
	case 3: words(lane, all); break;
	case 4: delta(lane, &record); break;
	case 5: rows(all); break;
	case 6: leat_lane_row_decode(NULL, all, positions); break;
	case 7: leat_lane_row_decode(lane, all, positions); break;
	}
	forget_marks(lane);
	leat_free(copy);
	return 0;
}
