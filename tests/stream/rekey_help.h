/* A world for tests of re-keying: one worker with four tasks on the embedded transport, driven by hand, that can be stopped between the hops and go on with another pipeline. */
#ifndef LEAT_REKEY_HELP_H
#define LEAT_REKEY_HELP_H

#include "stream/lane_row.h"
#include "stream/rekey.h"
#include "stream/rekey_columns.h"
#include "stream/worker.h"

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

enum { TASKS = 4, EVENTS = 40 };

struct world {
	char folder[64];
	struct leat_clock clock;
	int64_t now_us;
	struct leat_storage *storage;
	struct leat_transport *transport;
	struct leat_pipeline *pipeline;
	struct leat_engine engine;
	pthread_rwlock_t tables;
	struct leat_worker worker;
	const struct leat_transport_ops *ops;   /* instead of the transport's own, unless NULL */
};

static inline int64_t world_wall(void *self)
{
	return 1700000000000 + ((struct world *)self)->now_us / 1000;
}

/* Time passes by being looked at: a commit is always due. */
static inline int64_t world_mono(void *self)
{
	return ((struct world *)self)->now_us += 2000;
}

static inline void must(int rc, const struct leat_fault *fault, const char *what)
{
	if (rc < 0)
		print_error("%s: %s (%s)\n", what, fault->text, leat_error_text(rc));
	assert_true(rc >= 0);
}

static inline void make_topic(struct world *world, const char *name)
{
	const struct leat_topic_spec spec = { .name = name, .partitions = TASKS, .retention_ms = -1 };
	struct leat_fault fault = { 0 };
	must(world->transport->ops->create(world->transport, &spec, &fault), &fault, name);
}

/* @text: from the sources on. */
static inline void open_world(struct world *world, const char *text, int batch)
{
	static const struct leat_pair_text settings[] = { { "socket", "off" }, { NULL, NULL } };
	const struct leat_transport_config config = { .application = "r", .instance = "a", .directory = world->folder, .settings = settings, .clock = &world->clock, .storage = world->storage };
	struct leat_fault fault = { 0 };
	char whole[2048];
	int length = snprintf(whole, sizeof whole, "pipeline: r\ntasks: %d\nbatch: %d\ncommit_ms: 1\nmemory: 64MB\nidle_ms: 100000000\n%s", TASKS, batch, text);
	must(leat_pipeline_parse(&world->pipeline, "r.yaml", whole, (size_t)length, NULL, &fault), &fault, "pipeline");
	must(leat_embedded_open(&world->transport, &config, &fault), &fault, "transport");
	make_topic(world, "out");
	make_topic(world, "r.changelog");
	make_topic(world, world->pipeline->dead_letter_topic);
	for (size_t i = 0; i < world->pipeline->source_count; i++)
		make_topic(world, world->pipeline->sources[i].topic);
	if (world->ops)
		world->transport->ops = world->ops;
	world->engine = (struct leat_engine){ .pipeline = world->pipeline, .transport = world->transport, .storage = world->storage, .clock = &world->clock, .tasks = TASKS,
					      .rows_memory = 16 << 20, .behind_max = 1000 };
	world->worker = (struct leat_worker){ .engine = &world->engine, .tables = &world->tables };
	must(leat_worker_open(&world->worker, &fault), &fault, "worker");
}

/* As kill -9 leaves it. */
static inline void close_world(struct world *world)
{
	world->worker.result = LEAT_EABORT;
	leat_worker_close(&world->worker, false);
	world->transport->ops->close(world->transport);
	leat_pipeline_free(world->pipeline);
}

static inline struct world *make_world(void)
{
	struct world *world = calloc(1, sizeof *world);
	struct leat_fault fault = { 0 };
	leat_log_level = LEAT_ERROR;
	world->clock = (struct leat_clock){ world_wall, world_mono, world };
	pthread_rwlock_init(&world->tables, NULL);
	snprintf(world->folder, sizeof world->folder, "%s/leat-rekey-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	assert_non_null(mkdtemp(world->folder));
	must(leat_storage_open(&world->storage, 16 << 20, &fault), &fault, "storage");
	return world;
}

static inline int remove_one(const char *path, const struct stat *about, int flag, struct FTW *where)
{
	(void)about, (void)flag, (void)where;
	return remove(path);
}

static inline void free_world(struct world *world)
{
	close_world(world);
	leat_storage_close(world->storage);
	nftw(world->folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	pthread_rwlock_destroy(&world->tables);
	free(world);
}

/* ---- records ---- */

static inline void put_at(struct world *world, const char *topic, int32_t partition, struct leat_bytes key, struct leat_bytes value, int64_t timestamp_ms)
{
	const struct leat_session_config config = { .worker = -1, .tasks = TASKS, .memory = 16 << 20 };
	const struct leat_record record = { .timestamp_ms = timestamp_ms, .key = key, .value = value };
	struct leat_session *session;
	struct leat_fault fault = { 0 };
	must(world->transport->ops->session_open(world->transport, &config, &session, &fault), &fault, "writer");
	must(world->transport->ops->session_send(session, topic, partition, &record, 0, &fault), &fault, topic);
	must(world->transport->ops->session_commit(session, NULL, 0, "", &fault), &fault, "write");
	world->transport->ops->session_close(session, true);
}

static inline void put(struct world *world, const char *topic, int32_t partition, struct leat_bytes key, struct leat_bytes value)
{
	put_at(world, topic, partition, key, value, -1);
}

typedef void each_record(void *self, int32_t partition, const struct leat_record *record);

static inline void read_topic(struct world *world, const char *topic, each_record *each, void *self)
{
	const struct leat_transport_ops *ops = world->transport->ops;
	struct leat_fault fault = { 0 };
	for (int32_t task = 0; task < TASKS; task++) {
		struct leat_reader *reader;
		bool at_end = false;
		int64_t first, end;
		must(ops->bounds(world->transport, topic, task, &first, &end, &fault), &fault, topic);
		must(ops->reader_open(world->transport, topic, task, first, &reader, &fault), &fault, topic);
		while (!at_end) {
			const struct leat_record *records;
			int64_t position;
			long count = ops->reader_next(reader, &records, 100, 0, &at_end, &position, &fault);
			must((int)count, &fault, topic);
			for (long i = 0; i < count; i++)
				each(self, task, &records[i]);
		}
		ops->reader_close(reader);
	}
}

static inline void count_one(void *self, int32_t partition, const struct leat_record *record)
{
	(void)partition, (void)record;
	++*(int *)self;
}

static inline int count_of(struct world *world, const char *topic)
{
	int count = 0;
	read_topic(world, topic, count_one, &count);
	return count;
}

struct lines { char *line[1024]; size_t count; };

static inline void add_value(void *self, int32_t partition, const struct leat_record *record)
{
	struct lines *lines = self;
	(void)partition;
	assert_true(lines->count < LEAT_COUNT_OF(lines->line));
	lines->line[lines->count++] = strndup((const char *)record->value.data, record->value.length);
}

/* reason of a dead letter */
static inline void add_reason(void *self, int32_t partition, const struct leat_record *record)
{
	struct lines *lines = self;
	(void)partition;
	for (uint32_t i = 0; i < record->header_count; i++)
		if (leat_bytes_equal(record->headers[i].name, leat_text("leat.reason")))
			lines->line[lines->count++] = strndup((const char *)record->headers[i].value.data, record->headers[i].value.length);
}

static inline int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The topic's records as sorted lines must be @expected, which is sorted as well. */
static inline void expect_lines(struct world *world, const char *topic, each_record *each, char *const *expected, size_t count)
{
	struct lines lines = { .count = 0 };
	read_topic(world, topic, each, &lines);
	qsort(lines.line, lines.count, sizeof lines.line[0], by_text);
	for (size_t i = 0; i < LEAT_MIN(lines.count, count); i++)
		assert_string_equal(lines.line[i], expected[i]);
	assert_int_equal(lines.count, count);
	for (size_t i = 0; i < lines.count; i++)
		free(lines.line[i]);
}

/* ---- steps ---- */

static inline int try_step(struct world *world, struct leat_fault *fault)
{
	bool idle;
	return (int)leat_worker_step(&world->worker, 0, &idle, fault);
}

static inline int step(struct world *world)
{
	struct leat_fault fault = { 0 };
	int events = try_step(world, &fault);
	must(events, &fault, "step");
	return events;
}

static inline struct leat_lane *lane_of(const struct world *world, int32_t task)
{
	return world->worker.lanes ? world->worker.lanes[task] : NULL;
}

static inline void run_until_open(struct world *world)
{
	bool all = false;
	for (int round = 0; !all; round++) {
		assert_true(round < 1000);
		step(world);
		all = true;
		for (int32_t task = 0; task < TASKS; task++)
			all &= lane_of(world, task) && lane_of(world, task)->state == LEAT_LANE_RUNNING;
	}
}

static inline bool is_quiet(const struct world *world)
{
	for (int32_t task = 0; task < TASKS; task++) {
		const struct leat_lane *lane = lane_of(world, task);
		if (!lane || lane->state != LEAT_LANE_RUNNING || lane->touched)
			return false;
		for (size_t i = 0; i < lane->pipeline->source_count; i++)
			if (!lane->intakes[i].at_end)
				return false;
	}
	return true;
}

static inline void drain(struct world *world)
{
	for (int quiet = 0, round = 0; quiet < 3; round++) {
		assert_true(round < 10000);
		quiet = step(world) == 0 && is_quiet(world) ? quiet + 1 : 0;
	}
}

/* The first hop has taken @events and committed; none, or not all, of what it sent has been read. */
static inline void run_first_hop(struct world *world, uint64_t events)
{
	uint64_t seen = 0;
	for (int round = 0; seen < events; round++) {
		assert_true(round < 1000);
		step(world);
		seen = 0;
		for (int32_t task = 0; task < TASKS; task++)
			seen += lane_of(world, task) && !lane_of(world, task)->touched ? lane_of(world, task)->events : 0;
	}
}

#endif
