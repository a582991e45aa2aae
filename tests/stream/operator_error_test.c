/* An operator that fails on an event: the event becomes a dead letter, once, and everything else has its effect, once, whatever the batch and wherever it is killed. */
#include "stream/operators_list.h"
#include "stream/worker.h"

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

enum { EVENTS = 12, STEPS_MAX = 5000, ARENA = 65 << 20 };

/* ---- operators: they change state, and then fail as the event says ---- */

enum { MEMORY = 1000, TOO_MUCH };   /* allocation fails; more scratch memory than there ever is */

struct brittle { struct leat_field_ref fails; };
static int failure(struct leat_task *task, int64_t code)
{
	if (code == MEMORY)
		leat_alloc_fail_at(1);
	bool out = code >= MEMORY && !leat_scratch(task, code == TOO_MUCH ? ARENA : 1 << 20);
	leat_alloc_fail_at(0);
	return out ? LEAT_ENOMEM : (int)code;
}

static int brittle_process(struct leat_task *task, void *self, const struct leat_batch *in)
{
	const struct brittle *brittle = self;
	for (size_t i = 0; i < in->count; i++) {
		size_t row = in->row[i];
		int64_t *events = leat_entry_write(task, 0, row);
		++*events;
		const struct leat_column *fails = &in->columns[brittle->fails.slot];
		if (!fails->null[row] && fails->ints[row])
			return failure(task, fails->ints[row]);
		leat_added(task, 0)->ints[row] = *events;
		leat_added(task, 0)->null[row] = 0;
		leat_pass(task, 0, row);
	}
	return 0;
}

/* Two rows of each event, the second with what the event says. */
static int split_process(struct leat_task *task, void *self, const struct leat_batch *in)
{
	const struct brittle *split = self;
	for (size_t i = 0; i < in->count; i++)
		for (int part = 0; part < 2; part++) {
			size_t row;
			LEAT_TRY(leat_emit(task, 0, in->row[i], in->time_ms[in->row[i]], in->key[in->row[i]], &row));
			leat_emitted(task, 0, 0)->ints[row] = part ? in->columns[split->fails.slot].ints[in->row[i]] : 0;
			leat_emitted(task, 0, 0)->null[row] = 0;
		}
	return 0;
}

static int alarm_process(struct leat_task *task, void *self, const struct leat_batch *in)
{
	(void)self;
	for (size_t i = 0; i < in->count; i++) {
		++*(int64_t *)leat_entry_write(task, 0, in->row[i]);
		LEAT_TRY(leat_timer(task, 0, in->row[i], in->time_ms[in->row[i]] + 1));
		leat_pass(task, 0, in->row[i]);
	}
	return 0;
}

static int alarm_timer(struct leat_task *task, void *self, const struct leat_timer_event *event)
{
	(void)task;
	(void)self;
	(void)event;
	return LEAT_EOPERATOR;
}

static const struct leat_option brittle_options[] = { { "fails", LEAT_OPTION_FIELD, offsetof(struct brittle, fails), .types = LEAT_TYPE_BIT(LEAT_INT), .help = "The code to return." }, { 0 } };
static const struct leat_output passed[] = { { .name = "passed", .help = "Every event." }, { 0 } };
static const struct leat_field parts[] = { { .name = "fails", .type = LEAT_INT, .width = 1, .nullable = true }, { 0 } };
static const struct leat_table counts[] = { { .name = "counts", .entry_size = sizeof(int64_t), .version = 1, .help = "Events of the key." }, { 0 } };

static const struct leat_operator operator_alarm = { .abi = LEAT_OPERATOR_ABI, .name = "alarm", .help = "Fails in a timer.", .outputs = passed, .tables = counts, .self_size = 1, .timer_min_ms = 1,
						     .process = alarm_process, .on_timer = alarm_timer };
static const struct leat_operator operator_brittle = {
	.abi = LEAT_OPERATOR_ABI, .name = "brittle", .help = "Fails.", .outputs = passed, .options = brittle_options, .tables = counts, .self_size = sizeof(struct brittle), .process = brittle_process,
	.columns = (const struct leat_added_column[]){ { "seen", LEAT_INT, 1, "Events of the key so far." }, { 0 } },
};
static const struct leat_operator operator_split = {
	.abi = LEAT_OPERATOR_ABI, .name = "split", .help = "Two rows of each.", .options = brittle_options, .self_size = sizeof(struct brittle), .process = split_process,
	.outputs = (const struct leat_output[]){ { .name = "parts", .fields = parts, .help = "Two." }, { 0 } },
};
const struct leat_operator *const leat_operators[] = { &operator_alarm, &operator_brittle, &operator_split, NULL };

static const char chain[] = "operators: [ { id: first, use: brittle, from: in, with: { fails: a } }, { id: second, use: brittle, from: first, with: { fails: b }, as: { seen: again } } ]\n"
			    "sinks: { out: { from: second, topic: out#, format: json, record: \"user:string seen:int again:int\" } }\n";
static const char branches[] = "operators: [ { id: first, use: brittle, from: in, with: { fails: a } }, { id: second, use: brittle, from: in, with: { fails: b }, as: { seen: again } } ]\n"
			       "sinks: { one: { from: first, topic: out#, format: json, record: \"user:string seen:int\" }, two: { from: second, topic: out#, format: json, record: \"user:string again:int\" } }\n";
static const char emitted[] = "operators: [ { id: first, use: split, from: in, with: { fails: a } }, { id: second, use: brittle, from: first, with: { fails: fails } } ]\n"
			      "sinks: { out: { from: second, topic: out#, format: json, record: \"seen:int\" } }\n";
static const char hops[] = "operators: [ { id: first, use: brittle, from: in, with: { fails: a } }, { id: turn, use: rekey, from: first, with: { by: user } }, { id: again, use: rekey, from: turn, with: { by: user } },"
			   " { id: second, use: brittle, from: again, with: { fails: b }, as: { seen: again } } ]\n"
			   "sinks: { out: { from: second, topic: out#, format: json, record: \"user:string seen:int again:int\" } }\n";
static const char timers[] = "operators: [ { id: first, use: alarm, from: in } ]\nsinks: { out: { from: first, topic: out#, format: json, record: \"user:string\" } }\n";

/* ---- the world: one database, topics and state anew for each run ---- */

struct world {
	char folder[64];
	struct leat_storage *storage;
	struct leat_transport *transport;
	struct leat_clock clock;
	int64_t now_us;
	pthread_rwlock_t tables;
	int number, batch, steps;
	const char *on_bad;
	struct leat_pipeline *pipeline;
	struct leat_engine engine;
	struct leat_worker worker;
	struct leat_fault fault;      /* the one that ended the worker */
};

struct event { char user; int a, b; };

static int64_t wall(void *self)
{
	return 1700000000000 + ((struct world *)self)->now_us / 1000;
}

static int64_t mono(void *self)
{
	return ((struct world *)self)->now_us += 2000;
}

static void must(int rc, const struct leat_fault *fault, const char *what)
{
	if (rc < 0)
		print_error("%s: %s (%s)\n", what, fault->text, leat_error_text(rc));
	assert_true(rc >= 0);
}

static int open_world(void **state)
{
	struct world *world = calloc(1, sizeof *world);
	struct leat_fault fault = { 0 };
	leat_log_level = LEAT_ERROR;
	world->clock = (struct leat_clock){ wall, mono, world };
	world->on_bad = "dead-letter";
	pthread_rwlock_init(&world->tables, NULL);
	snprintf(world->folder, sizeof world->folder, "%s/leat-operator-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	assert_non_null(mkdtemp(world->folder));
	must(leat_storage_open(&world->storage, 16 << 20, &fault), &fault, "storage");
	static const struct leat_pair_text settings[] = { { "socket", "off" }, { NULL, NULL } };
	const struct leat_transport_config config = { .application = "operator", .instance = "a", .directory = world->folder, .settings = settings, .clock = &world->clock, .storage = world->storage };
	must(leat_embedded_open(&world->transport, &config, &fault), &fault, "transport");
	*state = world;
	return 0;
}

static int remove_one(const char *path, const struct stat *about, int flag, struct FTW *where)
{
	(void)about;
	(void)flag;
	(void)where;
	return remove(path);
}

/* As kill -9 leaves it. */
static void drop(struct world *world)
{
	world->worker.result = LEAT_EABORT;
	leat_worker_close(&world->worker, false);
}

static int close_world(void **state)
{
	struct world *world = *state;
	if (world->worker.session)
		drop(world);
	world->transport->ops->close(world->transport);
	leat_storage_close(world->storage);
	pthread_rwlock_destroy(&world->tables);
	nftw(world->folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	free(world);
	return 0;
}

static void make_topic(struct world *world, const char *name)
{
	struct leat_topic_spec spec = { .name = name, .partitions = 1, .retention_ms = -1 };
	struct leat_fault fault = { 0 };
	must(world->transport->ops->create(world->transport, &spec, &fault), &fault, name);
}

static void put_events(struct world *world, const struct event *events, int count)
{
	const struct leat_transport_ops *ops = world->transport->ops;
	struct leat_session_config config = { .worker = -1, .tasks = 1, .memory = 1 << 20 };
	struct leat_session *session;
	struct leat_fault fault = { 0 };
	char topic[32], value[128];
	snprintf(topic, sizeof topic, "in%d", world->number);
	must(ops->session_open(world->transport, &config, &session, &fault), &fault, "writer");
	for (int i = 0; i < count; i++) {
		int length = snprintf(value, sizeof value, "{\"user\":\"%c\",\"a\":%d,\"b\":%d}", events[i].user, events[i].a, events[i].b);
		struct leat_header header = { leat_text("trace"), leat_bytes(&events[i].user, 1) };
		struct leat_record record = { .timestamp_ms = i, .key = leat_bytes(&events[i].user, 1), .value = leat_bytes(value, (size_t)length), .headers = &header, .header_count = 1 };
		must(ops->session_send(session, topic, 0, &record, 0, &fault), &fault, "write");
	}
	must(ops->session_commit(session, NULL, 0, "", &fault), &fault, "write");
	ops->session_close(session, true);
}

static void begin(struct world *world, const char *graph, const struct event *events, int count)
{
	char topic[32];
	struct leat_fault fault = { 0 };
	struct leat_buffer text = { 0 };
	world->number++;
	leat_buffer_printf(&text, "pipeline: p%d\ntasks: 1\nbatch: %d\ncommit_ms: 20\nmemory: 64MB\nidle_ms: 100000000\n"
			   "sources: { in: { topic: in%d, format: json, fields: \"user:string a:int b:int\", on_bad: %s } }\n", world->number, world->batch, world->number, world->on_bad);
	for (const char *at = graph; *at; at++)
		leat_buffer_printf(&text, *at == '#' ? "%d" : "%c", *at == '#' ? world->number : *at);
	must(leat_pipeline_parse(&world->pipeline, "p.yaml", (const char *)text.data, text.length, NULL, &fault), &fault, "pipeline");
	leat_buffer_free(&text);
	must(world->transport->ops->store_discard(world->transport, 0, &fault), &fault, "discard");
	snprintf(topic, sizeof topic, "in%d", world->number);
	make_topic(world, topic);
	snprintf(topic, sizeof topic, "out%d", world->number);
	make_topic(world, topic);
	make_topic(world, world->pipeline->dead_letter_topic);
	for (size_t i = 0; i < world->pipeline->source_count; i++)
		if (world->pipeline->sources[i].rekey >= 0)
			make_topic(world, world->pipeline->sources[i].topic);
	world->engine = (struct leat_engine){ .pipeline = world->pipeline, .transport = world->transport, .storage = world->storage, .clock = &world->clock, .tasks = 1, .rows_memory = 16 << 20, .behind_max = 1000 };
	put_events(world, events, count);
	world->fault = (struct leat_fault){ 0 };
}

static void start(struct world *world)
{
	struct leat_fault fault = { 0 };
	world->worker = (struct leat_worker){ .engine = &world->engine, .tables = &world->tables };
	must(leat_worker_open(&world->worker, &fault), &fault, "worker");
}

/* Steps until nothing is left, or the worker ends; killed once, after step @kill_at. */
static void run_to_end(struct world *world, int kill_at)
{
	world->steps = 0;
	start(world);
	for (int idle = 0; idle < 20; world->steps++) {
		bool nothing;
		assert_true(world->steps < STEPS_MAX);
		long events = leat_worker_step(&world->worker, 0, &nothing, &world->fault);
		if (events < 0)
			break;
		const struct leat_lane *lane = world->worker.lanes[0];
		idle = nothing && !world->worker.retry_us && lane && !lane->touched ? idle + 1 : 0;
		if (world->steps + 1 != kill_at)
			continue;
		drop(world);
		start(world);
		idle = 0;
	}
}

static void end(struct world *world)
{
	drop(world);
	leat_pipeline_free(world->pipeline);
}

/* ---- what left ---- */

static void add_record(struct leat_buffer *out, const struct leat_record *record)
{
	bool json = record->value.length && *record->value.data == '{';   /* else it is a re-keyed row */
	leat_buffer_printf(out, "%.*s=%.*s", (int)record->key.length, (const char *)record->key.data, json ? (int)record->value.length : 3, json ? (const char *)record->value.data : "row");
	for (uint32_t i = 0; i < record->header_count; i++)
		if (!leat_bytes_equal(record->headers[i].name, leat_text("leat.timestamp")))
			leat_buffer_printf(out, " %.*s", (int)record->headers[i].value.length, (const char *)record->headers[i].value.data);
	leat_buffer_printf(out, "\n");
}

static void read_all(struct world *world, const char *topic, struct leat_buffer *out)
{
	const struct leat_transport_ops *ops = world->transport->ops;
	struct leat_reader *reader;
	struct leat_fault fault = { 0 };
	bool at_end = false;
	must(ops->reader_open(world->transport, topic, 0, 0, &reader, &fault), &fault, topic);
	while (!at_end) {
		const struct leat_record *records;
		int64_t position;
		long count = ops->reader_next(reader, &records, 100, 0, &at_end, &position, &fault);
		must((int)count, &fault, topic);
		for (long i = 0; i < count; i++)
			add_record(out, &records[i]);
	}
	ops->reader_close(reader);
}

static char *everything(struct world *world)
{
	char topic[32];
	struct leat_buffer out = { 0 };
	snprintf(topic, sizeof topic, "out%d", world->number);
	read_all(world, topic, &out);
	leat_buffer_printf(&out, "--\n");
	read_all(world, world->pipeline->dead_letter_topic, &out);
	assert_int_equal(leat_buffer_append(&out, "", 1), 0);
	return (char *)out.data;
}

/* ---- what should have left: no batches, no commits, no redoing ---- */

static void add_letter(const struct world *world, struct leat_buffer *out, const struct event *event, int offset, const char *stage)
{
	leat_buffer_printf(out, "%c={\"user\":\"%c\",\"a\":%d,\"b\":%d} %c operator_error %s in%d 0 %d -1 p%d\n", event->user, event->user, event->a, event->b, event->user, stage, world->number, offset, world->number);
}

static void expect_chain(struct world *world, const struct event *event, int offset, int seen[2][128], struct leat_buffer *rows, struct leat_buffer *letters)
{
	if (event->a)
		add_letter(world, letters, event, offset, "first");
	else if (++seen[0][(int)event->user], event->b)
		add_letter(world, letters, event, offset, "second");
	else
		leat_buffer_printf(rows, "%c={\"user\":\"%c\",\"seen\":%d,\"again\":%d}\n", event->user, event->user, seen[0][(int)event->user], ++seen[1][(int)event->user]);
}

/* As with leat_reject(): what comes later in the graph does not see the event, what came before it keeps what it did. */
static void expect_branches(struct world *world, const struct event *event, int offset, int seen[2][128], struct leat_buffer *rows, struct leat_buffer *letters)
{
	if (event->a || event->b)
		add_letter(world, letters, event, offset, event->a ? "first" : "second");
	if (event->a)
		return;
	leat_buffer_printf(rows, "%c={\"user\":\"%c\",\"seen\":%d}\n", event->user, event->user, ++seen[0][(int)event->user]);
	if (!event->b)
		leat_buffer_printf(rows, "%c={\"user\":\"%c\",\"again\":%d}\n", event->user, event->user, ++seen[1][(int)event->user]);
}

/* The letter of an event that fails two hops on names where it began. */
static void expect_hops(struct world *world, const struct event *event, int offset, int seen[2][128], struct leat_buffer *rows, struct leat_buffer *letters)
{
	struct leat_buffer unused = { 0 };
	if (!event->a && event->b) {
		seen[0][(int)event->user]++;
		leat_buffer_printf(letters, "%c=row operator_error second in%d 0 %d -1 p%d\n", event->user, world->number, offset, world->number);
	} else {
		expect_chain(world, event, offset, seen, rows, event->a ? letters : &unused);
	}
}

static void expect_emitted(struct world *world, const struct event *event, int offset, int seen[2][128], struct leat_buffer *rows, struct leat_buffer *letters)
{
	if (event->a)
		add_letter(world, letters, event, offset, "second");
	for (int part = 0; part < 2 && !event->a; part++)
		leat_buffer_printf(rows, "%c={\"seen\":%d}\n", event->user, ++seen[1][(int)event->user]);
}

struct graph {
	const char *text;
	void (*expect)(struct world *world, const struct event *event, int offset, int seen[2][128], struct leat_buffer *rows, struct leat_buffer *letters);
};
static const struct graph graphs[] = { { chain, expect_chain }, { branches, expect_branches }, { emitted, expect_emitted }, { hops, expect_hops } };

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* How the letters of several hops come to lie hangs on the commits between them. */
static void sort_letters(char *text)
{
	char *lines[EVENTS * 2 + 1], *letters = strstr(text, "--\n") + 3, copy[8192], *rest = copy;
	size_t count = 0;
	snprintf(copy, sizeof copy, "%s", letters);
	while (rest && *rest)
		lines[count++] = strsep(&rest, "\n");
	qsort(lines, count, sizeof(char *), by_text);
	for (size_t i = 0; i < count; i++)
		letters += snprintf(letters, strlen(lines[i]) + 2, "%s\n", lines[i]);
}

static void check(struct world *world, const struct graph *graph, const struct event *events, int count)
{
	struct leat_buffer rows = { 0 }, letters = { 0 };
	int seen[2][128] = { { 0 } };
	for (int i = 0; i < count; i++)
		graph->expect(world, &events[i], i, seen, &rows, &letters);
	leat_buffer_printf(&rows, "--\n");
	leat_buffer_append(&rows, letters.data, letters.length);
	assert_int_equal(leat_buffer_append(&rows, "", 1), 0);
	char *got = everything(world);
	if (graph->expect == expect_hops) {
		sort_letters(got);
		sort_letters((char *)rows.data);
	}
	if (strcmp(got, (char *)rows.data) != 0)
		print_error("batches of %d, expected:\n%s\ngot:\n%s\nended with: %s\n", world->batch, (char *)rows.data, got, world->fault.text);
	assert_string_equal(got, (char *)rows.data);
	free(got);
	leat_buffer_free(&rows);
	leat_buffer_free(&letters);
}

/* Which events fail: by bits, in operator a and in b. */
static void make_events(struct event events[EVENTS], unsigned a, unsigned b)
{
	static const int codes[] = { LEAT_EOPERATOR, -1, -99, LEAT_ELIMIT, TOO_MUCH };
	for (unsigned i = 0; i < EVENTS; i++)
		events[i] = (struct event){ "abc"[i * 7 % 5 % 3], a >> i & 1 ? codes[i % 5] : 0, b >> i & 1 ? codes[(i + 1) % 5] : 0 };
}

/* ---- tests ---- */

static const unsigned patterns[][2] = { { 0, 0 }, { 1, 0 }, { 1 << 11, 0 }, { 1 << 5, 0 }, { 0, 1 << 6 }, { 0x0c3, 0 }, { 0x421, 0x1a4 }, { 0x024, 0x024 }, { 0xfff, 0 }, { 0x555, 0xaaa } };

static void each_pattern(struct world *world, const struct graph *graph, int batch)
{
	world->batch = batch;
	for (size_t i = 0; i < LEAT_COUNT_OF(patterns); i++) {
		struct event events[EVENTS];
		make_events(events, patterns[i][0], graph->expect == expect_emitted ? 0 : patterns[i][1]);
		begin(world, graph->text, events, EVENTS);
		run_to_end(world, 0);
		check(world, graph, events, EVENTS);
		end(world);
	}
}

static void the_failing_events_are_dead_letters_and_the_others_count_once_in_batches_of_any_size(void **state)
{
	static const int batches[] = { 1, 2, 3, 5, 7, 12, 256 };
	for (size_t graph = 0; graph < LEAT_COUNT_OF(graphs); graph++)
		for (size_t i = 0; i < LEAT_COUNT_OF(batches); i++)
			each_pattern(*state, &graphs[graph], batches[i]);
}

static void killed_after_any_step_the_result_is_the_same(void **state)
{
	struct world *world = *state;
	struct event events[EVENTS];
	world->batch = 5;
	make_events(events, 0x421, 0x1a4);
	for (int kill_at = 1, last = 2; kill_at < last; kill_at++) {
		begin(world, chain, events, EVENTS);
		run_to_end(world, kill_at);
		last = LEAT_MIN(world->steps, 60);
		check(world, &graphs[0], events, EVENTS);
		end(world);
	}
}

static void state_is_right_for_what_comes_after_the_failures(void **state)
{
	struct world *world = *state;
	struct event events[2 * EVENTS];
	world->batch = 4;
	make_events(events, 0x0f0, 0x003);
	make_events(events + EVENTS, 0, 0x800);
	begin(world, chain, events, EVENTS);
	run_to_end(world, 0);
	drop(world);
	put_events(world, events + EVENTS, EVENTS);
	run_to_end(world, 0);
	check(world, &graphs[0], events, 2 * EVENTS);
	end(world);
}

static void one_failing_event_costs_two_redos_and_no_waiting(void **state)
{
	struct world *world = *state;
	struct event events[EVENTS];
	world->batch = EVENTS;
	make_events(events, 1 << 6, 0);
	begin(world, chain, events, EVENTS);
	run_to_end(world, 0);
	assert_int_equal(world->worker.live.aborts, 2);
	assert_int_equal(world->worker.retry_wait_ms, 0);
	assert_string_equal(world->worker.lanes[0]->reasons[0].reason, "operator_error");
	assert_int_equal(world->worker.lanes[0]->reasons[0].count, 1);
	end(world);
}

static void with_on_bad_skip_it_is_left_out_and_counted(void **state)
{
	struct world *world = *state;
	struct event events[EVENTS];
	world->batch = 5;
	world->on_bad = "skip";
	make_events(events, 1 << 6, 0);
	begin(world, chain, events, EVENTS);
	run_to_end(world, 0);
	char *got = everything(world);
	assert_non_null(strstr(got, "--\n"));
	assert_string_equal(strstr(got, "--\n"), "--\n");
	assert_string_equal(world->worker.lanes[0]->reasons[0].reason, "operator_error");
	assert_int_equal(world->worker.lanes[0]->reasons[0].count, 1);
	free(got);
	end(world);
}

static void with_on_bad_halt_it_stops_there_with_all_before_committed_and_says_how_to_go_on(void **state)
{
	struct world *world = *state;
	struct event events[EVENTS];
	world->on_bad = "halt";
	make_events(events, 1 << 6, 0);
	for (world->batch = 1; world->batch <= EVENTS; world->batch += 3) {
		begin(world, chain, events, EVENTS);
		run_to_end(world, 0);
		assert_int_equal(world->fault.code, LEAT_ECORRUPT);
		assert_non_null(strstr(world->fault.text, "stops at offset 6: operator_error (on_bad: halt)"));
		assert_non_null(strstr(world->fault.text, "leat skip p.yaml --topic in"));
		check(world, &graphs[0], events, 6);
		end(world);
	}
}

static void ends_with(struct world *world, const char *graph, int fails, int code)
{
	struct event events[EVENTS];
	make_events(events, 0, 0);
	events[4].a = fails;
	world->batch = 3;
	begin(world, graph, events, EVENTS);
	run_to_end(world, 0);
	assert_int_equal(world->fault.code, code);
	char *got = everything(world);
	assert_string_equal(strstr(got, "--\n"), "--\n");
	free(got);
	end(world);
}

static void memory_and_disk_are_no_events_fault(void **state)
{
	ends_with(*state, chain, MEMORY, LEAT_ENOMEM);
	ends_with(*state, chain, LEAT_EIO, LEAT_EIO);
	ends_with(*state, chain, LEAT_ECORRUPT, LEAT_ECORRUPT);
	ends_with(*state, emitted, LEAT_ENOSPC, LEAT_ENOSPC);
}

static void a_timer_that_fails_ends_the_worker_for_it_has_no_event(void **state)
{
	ends_with(*state, timers, 0, LEAT_EOPERATOR);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_failing_events_are_dead_letters_and_the_others_count_once_in_batches_of_any_size, open_world, close_world),
		cmocka_unit_test_setup_teardown(killed_after_any_step_the_result_is_the_same, open_world, close_world),
		cmocka_unit_test_setup_teardown(state_is_right_for_what_comes_after_the_failures, open_world, close_world),
		cmocka_unit_test_setup_teardown(one_failing_event_costs_two_redos_and_no_waiting, open_world, close_world),
		cmocka_unit_test_setup_teardown(with_on_bad_skip_it_is_left_out_and_counted, open_world, close_world),
		cmocka_unit_test_setup_teardown(with_on_bad_halt_it_stops_there_with_all_before_committed_and_says_how_to_go_on, open_world, close_world),
		cmocka_unit_test_setup_teardown(memory_and_disk_are_no_events_fault, open_world, close_world),
		cmocka_unit_test_setup_teardown(a_timer_that_fails_ends_the_worker_for_it_has_no_event, open_world, close_world),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
