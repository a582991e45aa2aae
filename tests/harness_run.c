/* Driving a worker by hand through a scenario, on one thread and a clock of its own. */
#include "tests/harness_run.h"

#include "stream/reference.h"
#include "stream/shared.h"
#include "stream/worker.h"

#include <ftw.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

struct scenario_host {
	char folder[64];
	struct leat_storage *storage;
	struct leat_transport *transport;
	struct leat_clock clock;
	int64_t now_us;
	pthread_rwlock_t tables;
	int runs;
};

static int64_t wall(void *self)
{
	return 1700000000000 + ((struct scenario_host *)self)->now_us / 1000;
}

/* Time passes by being looked at: a commit is due at the next look. */
static int64_t mono(void *self)
{
	return ((struct scenario_host *)self)->now_us += 2000;
}

static void must(int rc, const struct leat_fault *fault, const char *what)
{
	if (rc < 0)
		print_error("%s: %s (%s)\n", what, fault->text, leat_error_text(rc));
	assert_true(rc >= 0);
}

static struct scenario_host *shared_host;

static int remove_one(const char *path, const struct stat *about, int flag, struct FTW *where)
{
	(void)about;
	(void)flag;
	(void)where;
	return remove(path);
}

static void close_host(void)
{
	shared_host->transport->ops->close(shared_host->transport);
	leat_storage_close(shared_host->storage);
	pthread_rwlock_destroy(&shared_host->tables);
	nftw(shared_host->folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	free(shared_host);
}

/* Opening a database costs more than a scenario, so a test program has one; each run has topics of its own and begins without state. */
struct scenario_host *scenario_host_open(void)
{
	struct leat_fault fault = { 0 };
	if (shared_host)
		return shared_host;
	struct scenario_host *host = shared_host = calloc(1, sizeof *host);
	leat_log_level = LEAT_ERROR;
	host->clock = (struct leat_clock){ wall, mono, host };
	pthread_rwlock_init(&host->tables, NULL);
	snprintf(host->folder, sizeof host->folder, "%s/leat-scenario-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	assert_non_null(mkdtemp(host->folder));
	must(leat_storage_open(&host->storage, 16 << 20, &fault), &fault, "storage");
	static const struct leat_pair_text settings[] = { { "socket", "off" }, { NULL, NULL } };
	const struct leat_transport_config config = { .application = "scenario", .instance = "a", .directory = host->folder, .settings = settings, .clock = &host->clock, .storage = host->storage };
	must(leat_embedded_open(&host->transport, &config, &fault), &fault, "transport");
	atexit(close_host);
	return host;
}

/* ---- topics ---- */

static void make_topic(struct scenario_host *host, const char *name)
{
	struct leat_topic_spec spec = { .name = name, .partitions = 1, .retention_ms = -1 };
	struct leat_fault fault = { 0 };
	must(host->transport->ops->create(host->transport, &spec, &fault), &fault, name);
}

static char *field_text(const json_t *event, const char *field)
{
	const json_t *value = json_object_get(event, field);
	if (json_is_string(value))
		return strdup(json_string_value(value));
	if (json_is_integer(value)) {
		char number[32];
		snprintf(number, sizeof number, "%lld", (long long)json_integer_value(value));
		return strdup(number);
	}
	return NULL;
}

static void write_events(struct scenario_host *host, const struct leat_scenario *s, const char *topic)
{
	const struct leat_transport_ops *ops = host->transport->ops;
	struct leat_session_config config = { .worker = -1, .tasks = 1, .memory = 16 << 20 };
	struct leat_session *session;
	struct leat_fault fault = { 0 };
	must(ops->session_open(host->transport, &config, &session, &fault), &fault, "writer");
	for (int i = 0; s->when[i]; i++) {
		json_t *event = json_loads(s->when[i], 0, NULL);
		char *key = s->key && event ? field_text(event, s->key) : strdup("k");
		struct leat_record record = { .timestamp_ms = s->time ? 4102444800000 : i, .key = key ? leat_text(key) : leat_bytes(NULL, 0), .value = leat_text(s->when[i]) };
		must(ops->session_send(session, topic, 0, &record, 0, &fault), &fault, "write");
		free(key);
		json_decref(event);
	}
	must(ops->session_commit(session, NULL, 0, "", &fault), &fault, "write");
	ops->session_close(session, true);
}

static void read_all(struct scenario_host *host, const char *topic, void (*each)(void *self, const struct leat_record *record), void *self)
{
	const struct leat_transport_ops *ops = host->transport->ops;
	struct leat_reader *reader;
	struct leat_fault fault = { 0 };
	bool at_end = false;
	must(ops->reader_open(host->transport, topic, 0, 0, &reader, &fault), &fault, topic);
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

struct lines { struct leat_buffer text; const char *show; };

static void add_row(void *self, const struct leat_record *record)
{
	struct lines *lines = self;
	scenario_print(&lines->text, record->value, lines->show);
}

static void add_rejected(void *self, const struct leat_record *record)
{
	struct lines *lines = self;
	for (uint32_t i = 0; i < record->header_count; i++)
		if (leat_bytes_equal(record->headers[i].name, leat_text("leat.reason")))
			leat_buffer_printf(&lines->text, "rejected: %.*s\n", (int)record->headers[i].value.length, (const char *)record->headers[i].value.data);
}

/* ---- the worker ---- */

static void start(struct scenario_host *host, struct leat_worker *worker, const struct leat_engine *engine)
{
	struct leat_fault fault = { 0 };
	*worker = (struct leat_worker){ .engine = engine, .tables = &host->tables };
	must(leat_worker_open(worker, &fault), &fault, "worker");
	for (int i = 0; i < 1000 && (!worker->lanes[0] || worker->lanes[0]->state != LEAT_LANE_RUNNING); i++) {
		must(worker->engine->transport->ops->session_poll(worker->session, 0, &fault), &fault, "poll");
		if (worker->lanes[0] && worker->lanes[0]->state != LEAT_LANE_RUNNING)
			must(leat_lane_advance(worker->lanes[0], &fault), &fault, "open");
	}
	if (!worker->lanes[0])
		print_error("task 0 did not open: %s\n", worker->fault.text);
	must(worker->result, &worker->fault, "task");
	assert_non_null(worker->lanes[0]);
	assert_int_equal(worker->lanes[0]->state, LEAT_LANE_RUNNING);
}

/* As kill -9 leaves it: nothing is committed, nothing is written any more. */
static void drop(struct leat_worker *worker)
{
	worker->result = LEAT_EABORT;
	leat_worker_close(worker, false);
}

/* Batches and commits until nothing is left; a failure (which only the planned allocation may cause) is what a crash would be. */
static void run_through(struct scenario_host *host, struct leat_worker *worker, const struct leat_engine *engine, struct scenario_run *run)
{
	for (int idle = 0; idle < 3;) {
		struct leat_fault fault = { 0 };
		if (engine->replica)
			must(leat_replica_poll(engine->replica, &fault), &fault, "replica");
		leat_alloc_fail_at(run->fail_at);
		long events = leat_lane_run(worker->lanes[0], &fault);
		int rc = events < 0 ? (int)events : leat_worker_commit(worker, &fault);
		run->allocations += leat_alloc_fail_at(0);
		if (rc < 0) {
			assert_int_equal(rc, LEAT_ENOMEM);
			assert_true(run->fail_at > 0);
			run->fail_at = 0;
			drop(worker);
			start(host, worker, engine);
			continue;
		}
		if (run->fail_at)
			run->fail_at = run->allocations >= run->fail_at ? 0 : run->fail_at - LEAT_MIN(run->allocations, run->fail_at);
		idle = events == 0 ? idle + 1 : 0;
	}
}

/* Each event is done once for nothing, killed, done again and committed, and killed once more. */
static void run_killed(struct scenario_host *host, struct leat_worker *worker, const struct leat_engine *engine)
{
	for (int round = 0; round < 2000; round++) {
		struct leat_fault fault = { 0 };
		long events = leat_lane_run(worker->lanes[0], &fault);
		must((int)events, &fault, "run");
		if (events == 0)
			break;
		drop(worker);
		start(host, worker, engine);
		must((int)leat_lane_run(worker->lanes[0], &fault), &fault, "run again");
		must(leat_worker_commit(worker, &fault), &fault, "commit");
		drop(worker);
		start(host, worker, engine);
	}
}

static void open_shared(struct scenario_host *host, const struct leat_pipeline *pipeline, struct leat_engine *engine)
{
	char topic[128];
	struct leat_fault fault = { 0 };
	make_topic(host, pipeline->sources[pipeline->deltas_source].topic);
	snprintf(topic, sizeof topic, "%s.shared", pipeline->name);
	make_topic(host, topic);
	must(leat_replica_open(&engine->replica, pipeline, host->transport, 1, &fault), &fault, "replica");
}

char *scenario_go(struct scenario_host *host, const struct leat_scenario *s, struct scenario_run *run)
{
	char in[32], out[32];
	struct leat_fault fault = { 0 };
	struct leat_worker worker;
	struct lines lines = { .show = s->show };
	run->number = ++host->runs;
	struct leat_pipeline *pipeline = scenario_pipeline(s, run, &fault);
	if (!pipeline)
		print_error("the pipeline is refused: %s\n", fault.text);
	assert_non_null(pipeline);
	must(host->transport->ops->store_discard(host->transport, 0, &fault), &fault, "discard");
	struct leat_engine engine = { .pipeline = pipeline, .transport = host->transport, .storage = host->storage, .clock = &host->clock, .tasks = 1,
					    .rows_memory = run->evict ? 1 : 16 << 20, .behind_max = 1000 };
	snprintf(in, sizeof in, "in%d", run->number);
	snprintf(out, sizeof out, "out%d", run->number);
	make_topic(host, in);
	make_topic(host, out);
	make_topic(host, pipeline->dead_letter_topic);
	if (pipeline->deltas_source >= 0)
		open_shared(host, pipeline, &engine);
	write_events(host, s, in);
	start(host, &worker, &engine);
	if (run->kill)
		run_killed(host, &worker, &engine);
	else
		run_through(host, &worker, &engine, run);
	drop(&worker);
	read_all(host, out, add_row, &lines);
	read_all(host, pipeline->dead_letter_topic, add_rejected, &lines);
	leat_replica_close(engine.replica);
	leat_pipeline_free(pipeline);
	assert_int_equal(leat_buffer_append(&lines.text, "", 1), 0);
	return (char *)lines.text.data;
}
