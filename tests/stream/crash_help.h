/* What the tests of operators that end the process share: the operators, the process that dies, and the world it dies in. */
#ifndef LEAT_CRASH_HELP_H
#define LEAT_CRASH_HELP_H

#include "stream/application.h"
#include "stream/operators_list.h"

#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { EVENTS = 20, POISON = 11, DEATHS = 3, STARTS_MAX = 12 };

/* ---- operators ---- */

/* What an event says that happens. */
enum { NOTHING, NULL_WRITE, ABORT, OVERFLOW, RAISED_FPE, TRAP, RAISED_BUS };
static const int signal_of[] = { [NULL_WRITE] = SIGSEGV, [ABORT] = SIGABRT, [OVERFLOW] = SIGSEGV, [RAISED_FPE] = SIGFPE, [TRAP] = SIGILL, [RAISED_BUS] = SIGBUS };

/* How this process takes it. */
static enum { DIES, KILLED, WAITS, SURVIVES, HANDLES } manner;
static const char *const manners[] = { "dies", "killed", "waits", "survives", "handles" };

/* On purpose, so no sanitizer is to look: what is wanted is the signal. */
#define ON_PURPOSE __attribute__((noinline, no_sanitize("undefined", "address")))

static ON_PURPOSE int write_to_null(void)
{
	int *volatile nothing = NULL;
	*(volatile int *)nothing = 1;
	return 0;
}

static ON_PURPOSE int overflow(volatile int *depth)
{
	volatile char room[4096];
	room[0] = (char)++*depth;
	return *depth < 0 ? 0 : overflow(depth) + room[0];
}

static int mask_segv(int how)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGSEGV);
	return pthread_sigmask(how, &set, NULL);
}

/* Stopped first, which tells the parent that it has come here. */
static _Noreturn void wait_for_segv(void)
{
	mask_segv(SIG_UNBLOCK);
	kill(getpid(), SIGSTOP);
	for (;;)
		pause();
}

static int happen(int64_t what)
{
	volatile int depth = 0;
	if (manner == SURVIVES || what == NOTHING)
		return 0;
	if (manner == KILLED)
		return kill(getpid(), SIGKILL);
	if (manner == WAITS)
		wait_for_segv();
	switch (what) {
	case NULL_WRITE: return write_to_null();
	case ABORT: abort();
	case OVERFLOW: return overflow(&depth);
	case TRAP: __builtin_trap();
	default: return raise(signal_of[what]);
	}
}

struct fragile { struct leat_field_ref what; };
static int fragile_process(struct leat_task *task, void *self, const struct leat_batch *in)
{
	const struct fragile *fragile = self;
	for (size_t i = 0; i < in->count; i++) {
		size_t row = in->row[i];
		int64_t *events = leat_entry_write(task, 0, row);
		++*events;
		happen(in->columns[fragile->what.slot].ints[row]);
		leat_added(task, 0)->ints[row] = *events;
		leat_added(task, 0)->null[row] = 0;
		leat_pass(task, 0, row);
	}
	return 0;
}

/* Two rows of each event. */
static int split_process(struct leat_task *task, void *self, const struct leat_batch *in)
{
	const struct fragile *split = self;
	for (size_t i = 0; i < in->count; i++)
		for (int part = 0; part < 2; part++) {
			size_t row;
			LEAT_TRY(leat_emit(task, 0, in->row[i], in->time_ms[in->row[i]], in->key[in->row[i]], &row));
			leat_emitted(task, 0, 0)->ints[row] = part ? in->columns[split->what.slot].ints[in->row[i]] : NOTHING;
			leat_emitted(task, 0, 0)->null[row] = 0;
		}
	return 0;
}

static int alarm_process(struct leat_task *task, void *self, const struct leat_batch *in)
{
	(void)self;
	for (size_t i = 0; i < in->count; i++) {
		leat_entry_write(task, 0, in->row[i]);
		LEAT_TRY(leat_timer(task, 0, in->row[i], in->time_ms[in->row[i]] + 5));
		leat_pass(task, 0, in->row[i]);
	}
	return 0;
}

static int alarm_timer(struct leat_task *task, void *self, const struct leat_timer_event *event)
{
	(void)task;
	(void)self;
	(void)event;
	return happen(NULL_WRITE);
}

static const struct leat_option options[] = { { "what", LEAT_OPTION_FIELD, offsetof(struct fragile, what), .types = LEAT_TYPE_BIT(LEAT_INT), .help = "What happens." }, { 0 } };
static const struct leat_output passed[] = { { .name = "passed", .help = "Every event." }, { 0 } };
static const struct leat_field parts[] = { { .name = "part", .type = LEAT_INT, .width = 1, .nullable = true }, { 0 } };
static const struct leat_table counts[] = { { .name = "counts", .entry_size = sizeof(int64_t), .version = 1, .help = "Events of the key." }, { 0 } };
static const struct leat_operator operator_fragile = {
	.abi = LEAT_OPERATOR_ABI, .name = "fragile", .help = "Dies.", .outputs = passed, .options = options, .tables = counts, .self_size = sizeof(struct fragile), .process = fragile_process,
	.columns = (const struct leat_added_column[]){ { "seen", LEAT_INT, 1, "Events of the key so far." }, { 0 } },
};
static const struct leat_operator operator_split = {
	.abi = LEAT_OPERATOR_ABI, .name = "split", .help = "Two rows of each.", .options = options, .self_size = sizeof(struct fragile), .process = split_process,
	.outputs = (const struct leat_output[]){ { .name = "parts", .fields = parts, .help = "Two." }, { 0 } },
};
static const struct leat_operator operator_alarm = { .abi = LEAT_OPERATOR_ABI, .name = "alarm", .help = "Dies in a timer.", .outputs = passed, .tables = counts, .self_size = 1, .timer_min_ms = 1,
						     .process = alarm_process, .on_timer = alarm_timer };
const struct leat_operator *const leat_operators[] = { &operator_alarm, &operator_fragile, &operator_split, NULL };

static const char chain[] = "operators: [ { id: first, use: fragile, from: in, with: { what: a } }, { id: second, use: fragile, from: first, with: { what: b }, as: { seen: again } } ]\n"
			    "sinks: { out: { from: second, topic: $-out, format: json, record: \"user:string seen:int again:int\" } }\n";
static const char emitted[] = "operators: [ { id: first, use: split, from: in, with: { what: a } }, { id: second, use: fragile, from: first, with: { what: part } } ]\n"
			      "sinks: { out: { from: second, topic: $-out, format: json, record: \"seen:int\" } }\n";
static const char timers[] = "operators: [ { id: first, use: alarm, from: in } ]\nsinks: { out: { from: first, topic: $-out, format: json, record: \"user:string\" } }\n";

/* ---- the process that dies: this program anew, because after a fork alone RocksDB would count on threads that stayed behind ---- */

static void die_in_order(int number)
{
	(void)number;
	_exit(42);
}

struct world { char folder[64], name[80], pipeline[96], topics[96], deaths[256], said[96]; const char *brokers, *instance; };

static struct leat_config config_of(const struct world *world)
{
	return (struct leat_config){ .pipeline = world->pipeline, .brokers = world->brokers, .embedded = world->brokers ? NULL : world->topics, .state_dir = world->folder, .instance = world->instance, .until_end = true };
}

/* What begin() and start() say. */
static int run_pipeline(char **arguments)
{
	struct world world = { .brokers = *arguments[3] ? arguments[3] : NULL, .instance = arguments[4] };
	const char *how = arguments[5];
	snprintf(world.folder, sizeof world.folder, "%s", arguments[1]);
	snprintf(world.pipeline, sizeof world.pipeline, "%s/p.yaml", world.folder);
	snprintf(world.topics, sizeof world.topics, "%s", arguments[2]);
	const struct leat_config config = config_of(&world);
	struct leat_fault fault = { 0 };
	struct leat *leat;
	int rc;
	while (strcmp(manners[manner], how) != 0)
		manner++;
	if (manner == HANDLES)
		signal(SIGSEGV, die_in_order);
	if (manner == WAITS)      /* all threads that are started from here on: only the one that waits can be sent it */
		mask_segv(SIG_BLOCK);
	if (leat_open(&leat, &config, &fault) < 0 || leat_start(leat, &fault) < 0)
		return 3;
	while ((rc = leat_wait(leat, 1000, &fault)) == 0)
		;
	if (rc < 0)
		leat_log(LEAT_ERROR, "%s", fault.text);
	leat_close(leat);
	return rc < 0;
}

/* ---- the world: a folder with a pipeline, topics, and what the processes said ---- */

struct event { char user; int a, b; };

static void must(int rc, const struct leat_fault *fault)
{
	if (rc < 0)
		print_error("%s\n", fault->text);
	assert_true(rc >= 0);
}

static int make_world(void **state)
{
	struct world *world = calloc(1, sizeof *world);
	snprintf(world->folder, sizeof world->folder, "%s/leat-crash-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	assert_non_null(mkdtemp(world->folder));
	snprintf(world->pipeline, sizeof world->pipeline, "%s/p.yaml", world->folder);
	snprintf(world->said, sizeof world->said, "%s/said", world->folder);
	world->instance = "a";
	leat_log_level = LEAT_ERROR;
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

static int remove_world(void **state)
{
	struct world *world = *state;
	nftw(world->folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	free(world);
	return 0;
}

static struct leat *open_application(const struct world *world)
{
	struct leat_config config = config_of(world);
	struct leat_fault fault = { 0 };
	struct leat *leat;
	config.instance = "test";
	must(leat_open(&leat, &config, &fault), &fault);
	return leat;
}

static void put_events(const struct world *world, const struct event *events, int count)
{
	struct leat *leat = open_application(world);
	const struct leat_transport_ops *ops = leat->transport->ops;
	const struct leat_session_config config = { .worker = -1, .tasks = 1, .memory = 1 << 20 };
	struct leat_session *session;
	struct leat_fault fault = { 0 };
	char topic[96];
	snprintf(topic, sizeof topic, "%s-in", world->name);
	must(ops->session_open(leat->transport, &config, &session, &fault), &fault);
	for (int i = 0; i < count; i++) {
		char value[128];
		int length = snprintf(value, sizeof value, "{\"user\":\"%c\",\"a\":%d,\"b\":%d}", events[i].user, events[i].a, events[i].b);
		struct leat_header header = { leat_text("trace"), leat_bytes(&events[i].user, 1) };
		struct leat_record record = { .timestamp_ms = i, .key = leat_bytes(&events[i].user, 1), .value = leat_bytes(value, (size_t)length), .headers = &header, .header_count = 1 };
		must(ops->session_send(session, topic, 0, &record, 0, &fault), &fault);
	}
	must(ops->session_commit(session, NULL, 0, "", &fault), &fault);
	ops->session_close(session, true);
	leat_close(leat);
}

/* Topics and state anew. A $ in @graph is the pipeline's name. */
static void begin(struct world *world, const char *graph, int batch, const char *on_bad, const struct event *events, int count)
{
	static int number;
	snprintf(world->topics, sizeof world->topics, "%s/t%d", world->folder, number++);
	snprintf(world->name, sizeof world->name, "crash-%ld-%d", (long)getpid(), number);
	if (world->brokers)
		snprintf(world->deaths, sizeof world->deaths, "%s/%s/%s/deaths", world->folder, world->name, world->instance);
	else
		snprintf(world->deaths, sizeof world->deaths, "%s/%s.deaths", world->topics, world->name);
	FILE *out = fopen(world->pipeline, "we");
	assert_non_null(out);
	fprintf(out, "pipeline: %s\ntasks: 1\nbatch: %d\ncommit_ms: 20\nmemory: 64MB\nsources: { in: { topic: %s-in, format: json, fields: \"user:string a:int b:int\", on_bad: %s } }\n", world->name, batch,
		world->name, on_bad);
	for (const char *at = graph; *at; at++)
		fprintf(out, *at == '$' ? "%s" : "%.1s", *at == '$' ? world->name : at);
	fclose(out);
	unlink(world->said);
	put_events(world, events, count);
}

static void make_events(struct event events[EVENTS])
{
	for (int i = 0; i < EVENTS; i++)
		events[i] = (struct event){ "abc"[i * 7 % 5 % 3], NOTHING, NOTHING };
}

/* The handlers of the sanitizers would make an exit of each signal. */
static void leave_signals_alone(const char *name)
{
	char all[1024];
	const char *before = getenv(name);
	snprintf(all, sizeof all, "%s%shandle_segv=0:handle_sigbus=0:handle_sigfpe=0:handle_sigill=0:handle_abort=0", before ? before : "", before && *before ? ":" : "");
	setenv(name, all, 1);
}

static pid_t start(const struct world *world, const char *how)
{
	pid_t pid = fork();
	if (pid != 0)
		return pid;
	leave_signals_alone("ASAN_OPTIONS");
	leave_signals_alone("TSAN_OPTIONS");
	int said = open(world->said, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	dup2(said, STDERR_FILENO);
	setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
	execl("/proc/self/exe", "crash", world->folder, world->topics, world->brokers ? world->brokers : "", world->instance, how, (char *)NULL);
	_exit(3);
}

/* The signal that it died of, or minus its exit status. */
static int end_of(pid_t pid)
{
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? WTERMSIG(status) : -WEXITSTATUS(status);
}

static int run(const struct world *world, const char *how)
{
	return end_of(start(world, how));
}

/* Until it ends by itself: how often it died before, always of @number. */
static int die_until_through(const struct world *world, int number, int status)
{
	for (int deaths = 0; deaths < STARTS_MAX; deaths++) {
		int end = run(world, "dies");
		if (end <= 0) {
			assert_int_equal(-end, status);
			return deaths;
		}
		assert_int_equal(end, number);
	}
	return STARTS_MAX;
}

/* A $ in @text is the pipeline's name. */
static bool said(const struct world *world, const char *text)
{
	char wanted[512];
	const char *name = strchr(text, '$');
	snprintf(wanted, sizeof wanted, "%.*s%s%s", name ? (int)(name - text) : (int)strlen(text), text, name ? world->name : "", name ? name + 1 : "");
	struct leat_buffer all = { 0 };
	struct leat_fault fault = { 0 };
	must(leat_file_read(world->said, 1 << 20, false, &all, &fault), &fault);
	bool is = strstr((const char *)all.data, wanted);
	if (!is)
		print_message("not said: %s\nbut:\n%s\n", wanted, (const char *)all.data);
	leat_buffer_free(&all);
	return is;
}

/* ---- what left, and what should have ---- */

static void add_record(struct leat_buffer *out, const struct leat_record *record)
{
	leat_buffer_printf(out, "%.*s=%.*s", (int)record->key.length, (const char *)record->key.data, (int)record->value.length, (const char *)record->value.data);
	for (uint32_t i = 0; i < record->header_count; i++)
		if (!leat_bytes_equal(record->headers[i].name, leat_text("leat.timestamp")))
			leat_buffer_printf(out, " %.*s", (int)record->headers[i].value.length, (const char *)record->headers[i].value.data);
	leat_buffer_printf(out, "\n");
}

static void read_all(struct leat *leat, const char *topic, struct leat_buffer *out)
{
	const struct leat_transport_ops *ops = leat->transport->ops;
	struct leat_reader *reader;
	struct leat_fault fault = { 0 };
	bool at_end = false;
	must(ops->reader_open(leat->transport, topic, 0, 0, &reader, &fault), &fault);
	while (!at_end) {
		const struct leat_record *records;
		int64_t position;
		long count = ops->reader_next(reader, &records, 100, 0, &at_end, &position, &fault);
		must((int)count, &fault);
		for (long i = 0; i < count; i++)
			add_record(out, &records[i]);
	}
	ops->reader_close(reader);
}

/* No batches, no commits, no deaths. As with leat_reject(), what came before in the graph keeps what it did. */
static void expect(const struct world *world, const struct event *events, int count, bool letters, struct leat_buffer *out)
{
	struct leat_buffer set_aside = { 0 };
	int seen[2][128] = { { 0 } };
	for (int i = 0; i < count; i++) {
		const struct event *event = &events[i];
		int user = event->user;
		if (event->a || (++seen[0][user], event->b))
			leat_buffer_printf(&set_aside, "%c={\"user\":\"%c\",\"a\":%d,\"b\":%d} %c operator_crash %s %s-in 0 %d -1 %s\n", user, user, event->a, event->b, user, event->a ? "first" : "second", world->name, i,
					   world->name);
		else
			leat_buffer_printf(out, "%c={\"user\":\"%c\",\"seen\":%d,\"again\":%d}\n", user, user, seen[0][user], ++seen[1][user]);
	}
	leat_buffer_printf(out, "--\n");
	if (letters)
		leat_buffer_append(out, set_aside.data, set_aside.length);
	assert_int_equal(leat_buffer_append(out, "", 1), 0);
	leat_buffer_free(&set_aside);
}

static void check(const struct world *world, const char *expected)
{
	struct leat *leat = open_application(world);
	struct leat_buffer got = { 0 };
	char topic[96];
	snprintf(topic, sizeof topic, "%s-out", world->name);
	read_all(leat, topic, &got);
	leat_buffer_printf(&got, "--\n");
	read_all(leat, leat->pipeline->dead_letter_topic, &got);
	assert_int_equal(leat_buffer_append(&got, "", 1), 0);
	leat_close(leat);
	assert_string_equal((const char *)got.data, expected);
	leat_buffer_free(&got);
}

static void check_chain(const struct world *world, const struct event *events, int count, bool letters)
{
	struct leat_buffer expected = { 0 };
	expect(world, events, count, letters, &expected);
	check(world, (const char *)expected.data);
	leat_buffer_free(&expected);
}

#endif
