/* A world for tests of shared tables: several tasks and workers on the embedded transport, driven by hand on one thread and a clock of its own. */
#ifndef LEAT_SHARED_HELP_H
#define LEAT_SHARED_HELP_H

#include "state/merge.h"
#include "stream/operators_list.h"
#include "stream/shared_internal.h"
#include "stream/trim.h"
#include "stream/worker.h"

#include <ftw.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

enum { ITEMS = 13, TALLY = 2, LEARN = 3 };

/* ---- two operators: one counts per item, one learns; both read what they have just added ---- */

struct item_options { struct leat_field_ref item, n; };
static atomic_int own_deltas_unread;   /* times that an entry was not what it had been plus the delta */

static const struct leat_option item_options[] = {
	{ "item", LEAT_OPTION_FIELD, offsetof(struct item_options, item), .types = LEAT_TYPE_BIT(LEAT_STRING), .help = "The key." },
	{ "n", LEAT_OPTION_FIELD, offsetof(struct item_options, n), .types = LEAT_TYPE_BIT(LEAT_INT), .help = "The number." },
	{ 0 },
};
static const struct leat_output passed[] = { { .name = "passed", .help = "Every event." }, { 0 } };

static inline int tally_process(struct leat_task *task, void *self, const struct leat_batch *in)
{
	const struct item_options *tally = self;
	for (size_t i = 0; i < in->count; i++) {
		size_t row = in->row[i];
		const int64_t *entry = leat_entry(task, 0, row), before[TALLY] = { entry[0], entry[1] };
		const int64_t delta[TALLY] = { 1, in->columns[tally->n.slot].ints[row] };
		const struct leat_column *item = &in->columns[tally->item.slot];
		LEAT_TRY(delta[1] & 1 ? leat_delta(task, 0, item->bytes[row], delta, 0) : leat_delta_row(task, 0, row, delta, 0));
		own_deltas_unread += entry[0] != before[0] + delta[0] || entry[1] != before[1] + delta[1] || !leat_entry_known(task, 0, row);
		leat_added(task, 0)->ints[row] = entry[0];
		leat_added(task, 0)->null[row] = 0;
		leat_pass(task, 0, row);
	}
	return 0;
}

/* One number of a pseudo-random vector that the event's id gives. */
static inline float direction(uint64_t id, int k)
{
	return (float)(int64_t)(leat_mix(id + (uint64_t)k) >> 60) / 8 - 1;
}

static inline void learn_init(const void *self, void *entry, struct leat_bytes key)
{
	(void)self;
	for (int k = 0; k < LEARN; k++)
		((float *)entry)[k] = direction(leat_hash(key.data, key.length), k) / 8;
}

/* The step for a row @q; its curvature is returned. */
static inline double learn_step(const float *q, uint64_t id, int64_t n, float *delta, double *guess)
{
	double h = 0;
	*guess = 0;
	for (int k = 0; k < LEARN; k++)
		*guess += (double)q[k] * (double)direction(id, k);
	for (int k = 0; k < LEARN; k++) {
		delta[k] = (float)(.05 * ((double)n / 16 - *guess) * (double)direction(id, k));
		h += .05 * (double)(direction(id, k) * direction(id, k));
	}
	return h;
}

/* Besides the event's item one drawn among all that are known is pulled to 0, as negatives are. */
static inline int pull(struct leat_task *task, uint64_t id)
{
	struct leat_bytes key;
	const void *entry, *looked_up;
	float delta[LEARN];
	size_t count = leat_table_count(task, 0);
	if (count == 0)
		return 0;
	LEAT_TRY(leat_table_at(task, 0, (size_t)(id % count), &key, &entry));
	LEAT_TRY(leat_lookup(task, 0, key, &looked_up));
	own_deltas_unread += looked_up != entry;
	for (int k = 0; k < LEARN; k++)
		delta[k] = -((const float *)entry)[k] / 64;
	return leat_delta(task, 0, key, delta, 1. / 64);
}

static inline int learn_process(struct leat_task *task, void *self, const struct leat_batch *in)
{
	const struct item_options *learn = self;
	for (size_t i = 0; i < in->count; i++) {
		size_t row = in->row[i];
		float delta[LEARN];
		double h = learn_step(leat_entry(task, 0, row), in->id[row], in->columns[learn->n.slot].ints[row], delta, &leat_added(task, 0)->doubles[row]);
		leat_added(task, 0)->null[row] = 0;
		LEAT_TRY(pull(task, in->id[row]));
		LEAT_TRY(leat_delta_row(task, 0, row, delta, h));
		leat_pass(task, 0, row);
	}
	return 0;
}

static const struct leat_operator operator_learn = {
	.abi = LEAT_OPERATOR_ABI, .name = "learn", .help = "Learns per item.", .outputs = passed, .options = item_options, .self_size = sizeof(struct item_options), .process = learn_process,
	.columns = (const struct leat_added_column[]){ { "guess", LEAT_DOUBLE, 0, "Before the event." }, { 0 } },
	.tables = (const struct leat_table[]){ { .name = "rows", .kind = LEAT_SHARED, .merge = LEAT_MERGE_FACTOR, .entry_size = LEARN * sizeof(float), .version = 1, .key_option = "item", .init = learn_init, .help = "." }, { 0 } },
};
static const struct leat_operator operator_tally = {
	.abi = LEAT_OPERATOR_ABI, .name = "tally", .help = "Counts per item.", .outputs = passed, .options = item_options, .self_size = sizeof(struct item_options), .process = tally_process,
	.columns = (const struct leat_added_column[]){ { "seen", LEAT_INT, 0, "Events of the item so far." }, { 0 } },
	.tables = (const struct leat_table[]){ { .name = "rows", .kind = LEAT_SHARED, .merge = LEAT_MERGE_SUM, .entry_size = TALLY * sizeof(int64_t), .version = 1, .key_option = "item", .help = "." }, { 0 } },
};
static inline int pass_process(struct leat_task *task, void *self, const struct leat_batch *in)
{
	(void)self;
	for (size_t i = 0; i < in->count; i++)
		leat_pass(task, 0, in->row[i]);
	return 0;
}
static const struct leat_operator operator_pass = { .abi = LEAT_OPERATOR_ABI, .name = "pass", .help = "Passes on.", .outputs = passed, .self_size = 1, .process = pass_process };
const struct leat_operator *const leat_operators[] = { &operator_learn, &operator_pass, &operator_tally, NULL };

/* ---- the world ---- */

struct world {
	char folder[64];
	struct leat_clock clock;
	int64_t now_us, tick_us;
	struct leat_storage *storage;
	struct leat_transport *transport;
	struct leat_pipeline *pipeline;
	struct leat_engine engine;
	pthread_rwlock_t tables;
	struct leat_worker workers[2];
	int32_t tasks;
	int batch, commit_ms;
	const char *operators, *setting, *value;   /* setting: of the embedded transport */
	int64_t expected[ITEMS][TALLY];
	int events;
};

static const char both[] = "operators: [ { id: tally, use: tally, from: in, with: { item: item, n: n } }, { id: learn, use: learn, from: tally, with: { item: item, n: n } } ]\n"
			   "sinks: { out: { from: learn, topic: out, format: json, record: \"item:string seen:int? guess:double?\" } }\n";
static const char neither[] = "operators: [ { id: pass, use: pass, from: in } ]\nsinks: { out: { from: pass, topic: out, format: json, record: \"item:string\" } }\n";

static inline int64_t world_wall(void *self)
{
	return 1700000000000 + ((struct world *)self)->now_us / 1000;
}

/* Time passes by being looked at. */
static inline int64_t world_mono(void *self)
{
	struct world *world = self;
	return world->now_us += world->tick_us;
}

static inline void must(int rc, const struct leat_fault *fault, const char *what)
{
	if (rc < 0)
		print_error("%s: %s (%s)\n", what, fault->text, leat_error_text(rc));
	assert_true(rc >= 0);
}

static inline void plan(struct world *world)
{
	char text[2048];
	struct leat_fault fault = { 0 };
	int length = snprintf(text, sizeof text, "pipeline: w\ntasks: %d\nbatch: %d\ncommit_ms: %d\nmemory: 64MB\nidle_ms: 100000000\n"
			      "sources: { in: { topic: in, format: json, fields: \"item:string n:int\" } }\n%s", (int)world->tasks, world->batch, world->commit_ms, world->operators);
	must(leat_pipeline_parse(&world->pipeline, "w.yaml", text, (size_t)length, NULL, &fault), &fault, "pipeline");
}

static inline void make_topic(struct world *world, const char *name, int32_t partitions, bool compacted)
{
	struct leat_topic_spec spec = { .name = name, .partitions = partitions, .retention_ms = -1, .compacted = compacted };
	struct leat_fault fault = { 0 };
	must(world->transport->ops->create(world->transport, &spec, &fault), &fault, name);
}

static inline void open_replica(struct world *world)
{
	struct leat_fault fault = { 0 };
	if (world->pipeline->deltas_source >= 0)
		must(leat_replica_open(&world->engine.replica, world->pipeline, world->transport, world->tasks, &fault), &fault, "replica");
}

static inline void open_world(struct world *world)
{
	struct leat_fault fault = { 0 };
	const struct leat_pair_text settings[] = { { "socket", "off" }, { world->setting, world->value }, { NULL, NULL } };
	const struct leat_transport_config config = { .application = "w", .instance = "a", .directory = world->folder, .settings = settings, .clock = &world->clock, .storage = world->storage };
	plan(world);
	must(leat_embedded_open(&world->transport, &config, &fault), &fault, "transport");
	make_topic(world, "in", world->tasks, false);
	make_topic(world, "out", world->tasks, false);
	make_topic(world, world->pipeline->dead_letter_topic, world->tasks, false);
	for (size_t i = 0; i < world->pipeline->source_count; i++)
		make_topic(world, world->pipeline->sources[i].topic, world->tasks, false);
	make_topic(world, "w.shared", world->tasks, true);
	world->engine = (struct leat_engine){ .pipeline = world->pipeline, .transport = world->transport, .storage = world->storage, .clock = &world->clock, .tasks = world->tasks,
					      .rows_memory = 16 << 20, .behind_max = 1000 };
	open_replica(world);
}

static inline struct world *make_world(int32_t tasks, int batch, const char *operators)
{
	struct world *world = calloc(1, sizeof *world);
	struct leat_fault fault = { 0 };
	leat_log_level = LEAT_ERROR;
	own_deltas_unread = 0;
	world->clock = (struct leat_clock){ world_wall, world_mono, world };
	world->tick_us = 2000;
	world->tasks = tasks;
	world->batch = batch;
	world->commit_ms = 1;
	world->operators = operators;
	pthread_rwlock_init(&world->tables, NULL);
	snprintf(world->folder, sizeof world->folder, "%s/leat-shared-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	assert_non_null(mkdtemp(world->folder));
	must(leat_storage_open(&world->storage, 16 << 20, &fault), &fault, "storage");
	return world;
}

/* As kill -9 leaves a worker: nothing is committed, nothing is written any more. */
static inline void drop(struct leat_worker *worker)
{
	if (!worker->session)
		return;
	worker->result = LEAT_EABORT;
	leat_worker_close(worker, false);
}

static inline void close_world(struct world *world)
{
	drop(&world->workers[0]);
	drop(&world->workers[1]);
	leat_replica_close(world->engine.replica);
	leat_trims_close(world->engine.trims);
	world->transport->ops->close(world->transport);
	leat_pipeline_free(world->pipeline);
}

static inline int remove_one(const char *path, const struct stat *about, int flag, struct FTW *where)
{
	(void)about;
	(void)flag;
	(void)where;
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

static inline struct leat_session *open_writer(struct world *world)
{
	struct leat_session_config config = { .worker = -1, .tasks = world->tasks, .memory = 16 << 20 };
	struct leat_session *session;
	struct leat_fault fault = { 0 };
	must(world->transport->ops->session_open(world->transport, &config, &session, &fault), &fault, "writer");
	return session;
}

static inline void close_writer(struct world *world, struct leat_session *session)
{
	struct leat_fault fault = { 0 };
	must(world->transport->ops->session_commit(session, NULL, 0, "", &fault), &fault, "write");
	world->transport->ops->session_close(session, true);
}

static inline void put(struct world *world, const char *topic, int32_t partition, struct leat_bytes key, struct leat_bytes value, int64_t timestamp_ms)
{
	struct leat_session *session = open_writer(world);
	const struct leat_record record = { .timestamp_ms = timestamp_ms, .key = key, .value = value };
	struct leat_fault fault = { 0 };
	must(world->transport->ops->session_send(session, topic, partition, &record, 0, &fault), &fault, topic);
	close_writer(world, session);
}

static inline void item_name(int item, char out[16])
{
	snprintf(out, 16, "item-%d", item);
}

/* @count events spread over the tasks; a third of them on item 0. */
static inline void feed_to(struct world *world, int count, int32_t task)
{
	struct leat_session *session = open_writer(world);
	struct leat_fault fault = { 0 };
	for (int i = 0; i < count; i++, world->events++) {
		char name[16], value[64];
		int item = world->events % 3 ? (int)(leat_mix((uint64_t)world->events) % ITEMS) : 0, n = world->events % 17 - 5;
		item_name(item, name);
		snprintf(value, sizeof value, "{\"item\":\"%s\",\"n\":%d}", name, n);
		const struct leat_record record = { .timestamp_ms = 1000 + world->events, .key = leat_text(name), .value = leat_text(value) };
		must(world->transport->ops->session_send(session, "in", task >= 0 ? task : world->events % world->tasks, &record, 0, &fault), &fault, "in");
		world->expected[item][0]++;
		world->expected[item][1] += n;
	}
	close_writer(world, session);
}

static inline void feed(struct world *world, int count)
{
	feed_to(world, count, -1);
}

typedef void each_record(void *self, const struct leat_record *record);

static inline void read_topic(struct world *world, const char *topic, int32_t partition, each_record *each, void *self)
{
	const struct leat_transport_ops *ops = world->transport->ops;
	struct leat_reader *reader;
	struct leat_fault fault = { 0 };
	bool at_end = false;
	int64_t first, end;
	must(ops->bounds(world->transport, topic, partition, &first, &end, &fault), &fault, topic);
	must(ops->reader_open(world->transport, topic, partition, first, &reader, &fault), &fault, topic);
	while (!at_end) {
		const struct leat_record *records;
		int64_t position;
		long count = ops->reader_next(reader, &records, 100, 0, &at_end, &position, &fault);
		must((int)count, &fault, topic);
		for (long i = 0; i < count; i++)
			each(self, &records[i]);
	}
	ops->reader_close(reader);
}

static inline void add_line(void *self, const struct leat_record *record)
{
	leat_buffer_printf(self, "%.*s\n", (int)record->value.length, (const char *)record->value.data);
}

/* ---- workers ---- */

static inline void start_worker(struct world *world, int number)
{
	struct leat_fault fault = { 0 };
	struct leat_worker *worker = &world->workers[number];
	*worker = (struct leat_worker){ .engine = &world->engine, .number = number, .tables = &world->tables };
	must(leat_worker_open(worker, &fault), &fault, "worker");
}

static inline long step(struct world *world, int number)
{
	struct leat_fault fault = { 0 };
	bool idle;
	long events = leat_worker_step(&world->workers[number], 0, &idle, &fault);
	must((int)events, &fault, "step");
	return events;
}

/* Nothing is pending, gathered or to be read in any task. */
static inline bool is_quiet(const struct world *world, int number)
{
	const struct leat_worker *worker = &world->workers[number];
	for (int32_t task = 0; worker->session && task < world->tasks; task++) {
		const struct leat_lane *lane = worker->lanes[task];
		if (!lane)
			continue;
		if (lane->state != LEAT_LANE_RUNNING || lane->touched)
			return false;
		for (size_t i = 0; i < lane->pipeline->source_count; i++)
			if (!lane->intakes[i].at_end)
				return false;
		for (int32_t owner = 0; lane->shared && owner < world->tasks; owner++)
			if (lane->shared->owners[owner].first)
				return false;
	}
	return true;
}

static inline void drain(struct world *world)
{
	for (int quiet = 0, round = 0; quiet < 3; round++) {
		assert_true(round < 100000);
		long events = 0;
		for (int number = 0; number < 2; number++)
			if (world->workers[number].session)
				events += step(world, number);
		quiet = events == 0 && is_quiet(world, 0) && is_quiet(world, 1) ? quiet + 1 : 0;
	}
}

static inline struct leat_lane *lane_of(const struct world *world, int32_t task)
{
	for (int number = 0; number < 2; number++)
		if (world->workers[number].session && world->workers[number].lanes[task])
			return world->workers[number].lanes[task];
	return NULL;
}

static inline void run_until_running(struct world *world)
{
	for (int round = 0; round < 1000; round++) {
		bool all = true;
		for (int number = 0; number < 2; number++)
			if (world->workers[number].session)
				step(world, number);
		for (int32_t task = 0; task < world->tasks; task++)
			all &= lane_of(world, task) && lane_of(world, task)->state == LEAT_LANE_RUNNING;
		if (all)
			return;
	}
	fail_msg("not all tasks run");
}

/* What task @task sees of @item in table @table (0: tally, 1: learn); NULL: nothing known. */
static inline const void *view(const struct world *world, int32_t task, int table, int item)
{
	char name[16];
	struct leat_row *row;
	struct leat_lane *lane = lane_of(world, task);
	struct leat_shared_table *of = &lane->shared->tables[table];
	item_name(item, name);
	assert_int_equal(leat_shared_row(of, leat_text(name), &row), 0);
	return row->present >> of->view_index & 1 ? (const uint8_t *)row + of->offset : NULL;
}

static inline void sums_are_exact(const struct world *world)
{
	for (int32_t task = 0; task < world->tasks; task++)
		for (int item = 0; item < ITEMS; item++) {
			const int64_t *seen = view(world, task, 0, item), none[TALLY] = { 0 };
			if (memcmp(seen ? seen : none, world->expected[item], sizeof none) != 0)
				fail_msg("task %d sees %lld events and %lld of item %d, not %lld and %lld", (int)task, (long long)(seen ? seen[0] : -1), (long long)(seen ? seen[1] : -1), item,
					 (long long)world->expected[item][0], (long long)world->expected[item][1]);
		}
	assert_int_equal(own_deltas_unread, 0);
}

static inline void views_agree(const struct world *world)
{
	for (int item = 0; item < ITEMS; item++)
		for (int32_t task = 1; task < world->tasks; task++) {
			const float *first = view(world, 0, 1, item), *other = view(world, task, 1, item);
			assert_true(!first == !other);
			if (first)
				assert_memory_equal(first, other, LEARN * sizeof(float));
		}
}

/* ---- one task: the sequential program ---- */

struct item { char name[16]; int64_t seen; bool known; int64_t grid[LEARN]; float q[LEARN]; };
struct program { struct item items[ITEMS]; struct leat_buffer out; uint64_t topic; };

static inline int by_name(const void *a, const void *b)
{
	return strcmp(((const struct item *)a)->name, ((const struct item *)b)->name);
}

static inline void add_to(struct item *item, const float *delta)
{
	for (int k = 0; k < LEARN; k++) {
		item->grid[k] += leat_grid_from((double)delta[k]);
		item->q[k] = (float)leat_grid_to(item->grid[k]);
	}
	item->known = true;
}

static inline void pull_one(struct program *program, uint64_t id)
{
	struct item *known[ITEMS];
	float delta[LEARN];
	size_t count = 0;
	for (int i = 0; i < ITEMS; i++)
		if (program->items[i].known)
			known[count++] = &program->items[i];
	if (count == 0)
		return;
	for (int k = 0; k < LEARN; k++)
		delta[k] = -known[id % count]->q[k] / 64;
	add_to(known[id % count], delta);
}

static inline void sequential_event(void *self, const struct leat_record *record)
{
	struct program *program = self;
	json_t *event = json_loadb((const char *)record->value.data, record->value.length, 0, NULL);
	struct item wanted;
	float delta[LEARN];
	double guess;
	snprintf(wanted.name, sizeof wanted.name, "%s", json_string_value(json_object_get(event, "item")));
	struct item *item = bsearch(&wanted, program->items, ITEMS, sizeof wanted, by_name);
	uint64_t id = leat_mix(leat_mix(program->topic) ^ (uint64_t)record->offset);
	learn_step(item->q, id, json_integer_value(json_object_get(event, "n")), delta, &guess);
	pull_one(program, id);
	add_to(item, delta);
	item->seen++;
	leat_buffer_printf(&program->out, "%s %lld %a\n", item->name, (long long)item->seen, guess);
	json_decref(event);
}

static inline void run_program(struct world *world, struct program *program)
{
	*program = (struct program){ .topic = leat_hash("in", 2) };
	for (int i = 0; i < ITEMS; i++) {
		struct item *item = &program->items[i];
		item_name(i, item->name);
		learn_init(NULL, item->q, leat_text(item->name));
		for (int k = 0; k < LEARN; k++)
			item->grid[k] = leat_grid_from((double)item->q[k]);
	}
	qsort(program->items, ITEMS, sizeof program->items[0], by_name);
	read_topic(world, "in", 0, sequential_event, program);
}

static inline void add_row(void *self, const struct leat_record *record)
{
	json_t *row = json_loadb((const char *)record->value.data, record->value.length, 0, NULL);
	leat_buffer_printf(self, "%s %lld %a\n", json_string_value(json_object_get(row, "item")), (long long)json_integer_value(json_object_get(row, "seen")), json_number_value(json_object_get(row, "guess")));
	json_decref(row);
}

static inline void same_as_the_program(struct world *world)
{
	struct program program;
	struct leat_buffer out = { 0 };
	run_program(world, &program);
	read_topic(world, "out", 0, add_row, &out);
	assert_int_equal(out.length, program.out.length);
	assert_memory_equal(out.data, program.out.data, out.length);
	leat_buffer_free(&out);
	leat_buffer_free(&program.out);
}

#endif
