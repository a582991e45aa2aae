/* The application as a whole, on threads: several tasks and workers, re-keying, and that what one task sends another is there once when the end is reached. */
#include "stream/application.h"

#include <dirent.h>
#include <ftw.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <cmocka.h>

enum { TASKS = 4, EVENTS = 4000, USERS = 50, ITEMS = 20 };

static const char text[] =
	"pipeline: counts\ntasks: 4\nworkers: 2\ncommit_ms: 10\nbatch: 37\nmemory: 64MB\n"
	"sources: { clicks: { topic: clicks, format: json, fields: \"user:string item:string ts:int\", time: ts, lateness: 1h } }\n"
	"operators:\n"
	"  - { id: users, use: profile, from: clicks, with: { activity: false } }\n"
	"  - { id: items, use: rekey, from: users, with: { by: item } }\n"
	"  - { id: count, use: profile, from: items, with: { activity: false }, as: { events: item_events } }\n"
	"  - { id: lost, use: filter, from: [ count, users ], with: { where: \"item_events != null && events == null\" } }\n"
	"sinks:\n"
	"  by_user: { from: users, topic: by-user, format: json, record: \"user:string events:int?\" }\n"
	"  by_item: { from: count, topic: by-item, format: json, record: \"item:string item_events:int?\" }\n"
	"  lost: { from: lost, topic: lost, format: json, record: \"item:string item_events:int?\" }\n";

struct folder { char path[64], pipeline[96], topics[96]; };

static int make_folder(void **state)
{
	struct folder *folder = calloc(1, sizeof *folder);
	snprintf(folder->path, sizeof folder->path, "/tmp/leat-application-XXXXXX");
	assert_non_null(mkdtemp(folder->path));
	snprintf(folder->pipeline, sizeof folder->pipeline, "%s/p.yaml", folder->path);
	snprintf(folder->topics, sizeof folder->topics, "%s/topics", folder->path);
	FILE *out = fopen(folder->pipeline, "we");
	assert_non_null(out);
	fputs(text, out);
	fclose(out);
	leat_log_level = LEAT_ERROR;
	*state = folder;
	return 0;
}

static int remove_one(const char *path, const struct stat *about, int flag, struct FTW *where)
{
	(void)about;
	(void)flag;
	(void)where;
	return remove(path);
}

static int remove_folder(void **state)
{
	struct folder *folder = *state;
	nftw(folder->path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	free(folder);
	return 0;
}

static void must(int rc, const struct leat_fault *fault)
{
	if (rc < 0)
		print_error("%s\n", fault->text);
	assert_true(rc >= 0);
}

static void write_events(struct leat *leat, int from, int count)
{
	const struct leat_transport_ops *ops = leat->transport->ops;
	const struct leat_session_config config = { .worker = -1, .tasks = TASKS, .memory = 8 << 20 };
	struct leat_session *session;
	struct leat_fault fault = { 0 };
	must(ops->session_open(leat->transport, &config, &session, &fault), &fault);
	for (int i = from; i < from + count; i++) {
		char key[16], value[96];
		snprintf(key, sizeof key, "u%d", (int)(leat_mix((uint64_t)i) % USERS));
		snprintf(value, sizeof value, "{\"user\":\"%s\",\"item\":\"i%d\",\"ts\":%d}", key, (int)(leat_mix((uint64_t)i + 7) % ITEMS), 1000 + i);
		const struct leat_record record = { .timestamp_ms = -1, .key = leat_text(key), .value = leat_text(value) };
		must(ops->session_send(session, "clicks", -1, &record, 0, &fault), &fault);
	}
	must(ops->session_commit(session, NULL, 0, "", &fault), &fault);
	ops->session_close(session, true);
}

/* Every count of every key must be there once: 1, 2, 3, ... as a set. */
static size_t check_counts(struct leat *leat, const char *topic, const char *name, const char *counter)
{
	const struct leat_transport_ops *ops = leat->transport->ops;
	json_t *seen = json_object();
	struct leat_fault fault = { 0 };
	size_t total = 0;
	for (int32_t task = 0; task < TASKS; task++) {
		struct leat_reader *reader;
		bool at_end = false;
		must(ops->reader_open(leat->transport, topic, task, 0, &reader, &fault), &fault);
		while (!at_end) {
			const struct leat_record *records;
			int64_t position;
			long count = ops->reader_next(reader, &records, 1000, 0, &at_end, &position, &fault);
			must((int)count, &fault);
			for (long i = 0; i < count; i++) {
				json_t *row = json_loadb((const char *)records[i].value.data, records[i].value.length, 0, NULL);
				const char *key = json_string_value(json_object_get(row, name));
				json_int_t before = json_integer_value(json_object_get(seen, key)), now = json_integer_value(json_object_get(row, counter));
				assert_int_equal(now, before + 1);
				json_object_set_new(seen, key, json_integer(now));
				json_decref(row);
				total++;
			}
		}
		ops->reader_close(reader);
	}
	json_decref(seen);
	return total;
}

static void run_to_the_end(const struct folder *folder, int from, int count)
{
	const struct leat_config config = { .pipeline = folder->pipeline, .embedded = folder->topics, .until_end = true };
	struct leat_fault fault = { 0 };
	struct leat *leat;
	must(leat_open(&leat, &config, &fault), &fault);
	write_events(leat, from, count);
	must(leat_start(leat, &fault), &fault);
	int rc;
	while ((rc = leat_wait(leat, 1000, &fault)) == 0)
		;
	must(rc, &fault);
	size_t rows = check_counts(leat, "by-user", "user", "events");
	assert_int_equal(rows, from + count);
	rows = check_counts(leat, "by-item", "item", "item_events");
	assert_int_equal(rows, from + count);
	rows = check_counts(leat, "lost", "item", "item_events");
	assert_int_equal(rows, 0);      /* what was added before the re-keying came along, though branches meet behind it */
	leat_close(leat);
}

static void rekeyed_rows_are_counted_once_by_the_owner_of_their_key(void **state)
{
	const struct folder *folder = *state;
	run_to_the_end(folder, 0, EVENTS);
}

static void a_second_start_goes_on_where_the_first_ended(void **state)
{
	const struct folder *folder = *state;
	run_to_the_end(folder, 0, EVENTS / 2);
	run_to_the_end(folder, EVENTS / 2, EVENTS / 2);
}

static int run_until_killed(const char *pipeline, const char *topics)
{
	const struct leat_config config = { .pipeline = pipeline, .embedded = topics };
	struct leat_fault fault = { 0 };
	struct leat *leat;
	if (leat_open(&leat, &config, &fault) < 0 || leat_start(leat, &fault) < 0)
		return 1;
	while (leat_wait(leat, 1000, &fault) == 0)
		;
	return 2;
}

/* By exec: after a fork alone RocksDB would count on threads that stayed behind. */
static pid_t start_victim(const struct folder *folder)
{
	pid_t pid = fork();
	if (pid != 0)
		return pid;
	execl("/proc/self/exe", "application_test", folder->pipeline, folder->topics, (char *)NULL);
	_exit(3);
}

static void write_first(const struct folder *folder)
{
	const struct leat_config config = { .pipeline = folder->pipeline, .embedded = folder->topics };
	struct leat_fault fault = { 0 };
	struct leat *leat;
	must(leat_open(&leat, &config, &fault), &fault);
	write_events(leat, 0, EVENTS);
	leat_close(leat);
}

static void killed_twelve_times_nothing_is_lost_or_doubled(void **state)
{
	const struct folder *folder = *state;
	write_first(folder);
	for (int i = 0; i < 12; i++) {
		int status;
		pid_t pid = start_victim(folder);
		assert_true(pid > 0);
		poll(NULL, 0, 40 + (int)(leat_mix((uint64_t)i) % 120));
		kill(pid, SIGKILL);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status));
	}
	run_to_the_end(folder, EVENTS, 0);
}

/* Flips a byte of every table file of the embedded database; how many there were. */
static int damage(const struct folder *folder)
{
	char path[600];
	int flipped = 0;
	snprintf(path, sizeof path, "%s/db", folder->topics);
	DIR *dir = opendir(path);
	assert_non_null(dir);
	for (const struct dirent *entry; (entry = readdir(dir)) != NULL;) {
		if (!strstr(entry->d_name, ".sst"))
			continue;
		snprintf(path, sizeof path, "%s/db/%s", folder->topics, entry->d_name);
		FILE *file = fopen(path, "r+be");
		assert_non_null(file);
		assert_int_equal(fseek(file, 100, SEEK_SET), 0);
		int byte = fgetc(file);
		assert_true(byte != EOF && fseek(file, 100, SEEK_SET) == 0 && fputc(byte ^ 0x10, file) != EOF);
		assert_int_equal(fclose(file), 0);
		flipped++;
	}
	closedir(dir);
	return flipped;
}

static void embedded_state_that_is_damaged_ends_the_run_and_is_named(void **state)
{
	const struct folder *folder = *state;
	const struct leat_config config = { .pipeline = folder->pipeline, .embedded = folder->topics };
	struct leat_fault fault = { 0 };
	struct leat *leat;
	run_to_the_end(folder, 0, EVENTS / 2);
	must(leat_open(&leat, &config, &fault), &fault);   /* what the log held is now in table files */
	leat_close(leat);
	assert_true(damage(folder) > 0);
	int rc = leat_open(&leat, &config, &fault);
	if (rc == 0)
		rc = leat_start(leat, &fault);
	while (rc == 0)
		rc = leat_wait(leat, 1000, &fault);
	assert_int_equal(rc, LEAT_ECORRUPT);
	assert_non_null(strstr(fault.text, "is damaged and there is no second copy of it"));
	assert_non_null(strstr(fault.text, ".sst"));
	leat_close(leat);
}

/* Whatever the workers are at: their sessions are opened, used or closed by then. */
static void a_stop_at_any_moment_ends_every_worker(void **state)
{
	const struct folder *folder = *state;
	const struct leat_config config = { .pipeline = folder->pipeline, .embedded = folder->topics };
	struct leat_fault fault = { 0 };
	for (int i = 0; i < 20; i++) {
		struct leat *leat;
		must(leat_open(&leat, &config, &fault), &fault);
		must(leat_start(leat, &fault), &fault);
		for (volatile int spin = 0; spin < i * 20000; spin++)
			;
		leat_stop(leat);
		leat_stop(leat);
		int rc;
		while ((rc = leat_wait(leat, 10, &fault)) == 0)
			;
		assert_int_equal(rc, 1);
		leat_close(leat);
	}
}

/* ---- a task that moves to another instance ---- */

static void count_task(void *self, int32_t task)
{
	(void)task;
	++*(int *)self;
}

static void ignore_task(void *self, int32_t task)
{
	(void)self;
	(void)task;
}

static struct leat_look look_until(struct leat *leat, uint64_t outputs, uint64_t running)
{
	struct leat_fault fault = { 0 };
	struct leat_look look;
	for (int tries = 0; tries < 3000; tries++) {
		must(leat_wait(leat, 10, &fault), &fault);
		leat_look(leat, &look);
		if (look.outputs >= outputs && look.tasks_running == running && look.lag_events == 0)
			break;
	}
	assert_int_equal(look.outputs, outputs);
	assert_int_equal(look.tasks_running, running);
	return look;
}

static void what_tasks_that_moved_away_had_counted_stays_in_the_totals(void **state)
{
	const struct folder *folder = *state;
	const char *const overrides[] = { "workers=1", NULL };
	const struct leat_config config = { .pipeline = folder->pipeline, .embedded = folder->topics, .overrides = overrides };
	const struct leat_record broken = { .timestamp_ms = -1, .key = leat_text("u1"), .value = leat_text("{") };
	int taken = 0;
	const struct leat_session_config other = { .worker = 1, .tasks = TASKS, .memory = 8 << 20, .transactional = true, .events = { &taken, count_task, ignore_task, ignore_task } };
	struct leat_fault fault = { 0 };
	struct leat_session *session;
	struct leat *leat;
	must(leat_open(&leat, &config, &fault), &fault);
	const struct leat_transport_ops *ops = leat->transport->ops;
	write_events(leat, 0, EVENTS);
	must(ops->session_open(leat->transport, &(struct leat_session_config){ .worker = -1, .tasks = TASKS, .memory = 1 << 20 }, &session, &fault), &fault);
	for (int32_t task = 0; task < TASKS; task++)
		must(ops->session_send(session, "clicks", task, &broken, 0, &fault), &fault);
	ops->session_close(session, true);
	must(leat_start(leat, &fault), &fault);
	struct leat_look before = look_until(leat, 3 * EVENTS, TASKS);      /* by-user, the re-keyed, by-item */
	assert_int_equal(before.bad, TASKS);
	assert_int_equal(before.events, EVENTS + TASKS);
	must(ops->session_open(leat->transport, &other, &session, &fault), &fault);
	for (int tries = 0; taken < TASKS / 2 && tries < 3000; tries++)
		must(ops->session_poll(session, 10000, &fault), &fault);
	assert_int_equal(taken, TASKS / 2);
	struct leat_look after = look_until(leat, before.outputs, TASKS / 2);
	assert_int_equal(after.bad, before.bad);
	assert_int_equal(after.events, before.events);
	ops->session_close(session, true);
	leat_close(leat);
}

int main(int argc, char **argv)
{
	if (argc == 3)
		return run_until_killed(argv[1], argv[2]);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(rekeyed_rows_are_counted_once_by_the_owner_of_their_key, make_folder, remove_folder),
		cmocka_unit_test_setup_teardown(a_second_start_goes_on_where_the_first_ended, make_folder, remove_folder),
		cmocka_unit_test_setup_teardown(killed_twelve_times_nothing_is_lost_or_doubled, make_folder, remove_folder),
		cmocka_unit_test_setup_teardown(what_tasks_that_moved_away_had_counted_stays_in_the_totals, make_folder, remove_folder),
		cmocka_unit_test_setup_teardown(embedded_state_that_is_damaged_ends_the_run_and_is_named, make_folder, remove_folder),
		cmocka_unit_test_setup_teardown(a_stop_at_any_moment_ends_every_worker, make_folder, remove_folder),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
