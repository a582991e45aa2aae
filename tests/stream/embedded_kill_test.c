/* kill -9 of a process that commits to an embedded directory: what is there afterwards is a prefix of its commits, each whole. */
#include "tests/stream/embedded_help.h"

#include "state/store.h"

#include <poll.h>
#include <signal.h>
#include <sys/wait.h>

enum { TASKS = 3, KILLS = 20 };

/* Commit n: n to each partition of t, n % 3 + 1 records, row "n" = n, and position n of task 0. One early record before it. */
static void one_commit(struct fixture *fixture, struct leat_session *session, long n)
{
	const struct leat_transport_ops *ops = fixture->transport->ops;
	char text[32];
	snprintf(text, sizeof text, "%ld", n);
	expect_ok(fixture, send_text(fixture, session, "early", 0, NULL, text, LEAT_SEND_EARLY));
	for (int32_t p = 0; p < TASKS; p++)
		for (long i = 0; i <= n % 3; i++)
			expect_ok(fixture, send_text(fixture, session, "t", p, NULL, text, 0));
	expect_ok(fixture, ops->session_row(session, 1, NULL, leat_text("n"), leat_text(text), &fixture->fault));
	expect_ok(fixture, ops->session_commit(session, &(struct leat_position){ "t", 0, n }, 1, text, &fixture->fault));
}

static struct leat_session *open_all(struct fixture *fixture, int64_t *committed)
{
	struct leat_session *session;
	open_with(fixture, NULL, NULL);
	expect_ok(fixture, fixture->transport->ops->create(fixture->transport, &(struct leat_topic_spec){ .name = "t", .partitions = TASKS }, &fixture->fault));
	expect_ok(fixture, fixture->transport->ops->create(fixture->transport, &(struct leat_topic_spec){ .name = "early", .partitions = 1 }, &fixture->fault));
	const struct leat_session_config config = { .tasks = TASKS };
	expect_ok(fixture, fixture->transport->ops->session_open(fixture->transport, &config, &session, &fixture->fault));
	expect_ok(fixture, fixture->transport->ops->session_poll(session, 0, &fixture->fault));
	expect_ok(fixture, fixture->transport->ops->session_committed(session, "t", 0, committed, NULL, 0, 0, &fixture->fault));
	return session;
}

/* Goes on where the last process stopped. Tells the number of each commit once it is done. */
static _Noreturn void child(struct fixture *fixture, int told, long until)
{
	int64_t committed;
	struct leat_session *session = open_all(fixture, &committed);
	for (long n = committed + 1; n < until; n++) {
		one_commit(fixture, session, n);
		if (write(told, &n, sizeof n) != sizeof n)
			_exit(1);
	}
	fixture->transport->ops->session_close(session, true);
	close_transport(fixture);
	_exit(0);
}

static int keep_number(void *self, size_t index, struct leat_bytes value)
{
	(void)index;
	snprintf(self, 32, "%.*s", (int)value.length, (const char *)value.data);
	return 0;
}

/* The records of partition @partition are those of commits 0 .. @committed, in order and each complete. */
static void check_partition(struct fixture *fixture, int32_t partition, int64_t committed)
{
	const struct leat_transport_ops *ops = fixture->transport->ops;
	struct leat_reader *reader;
	bool at_end = false;
	int64_t n = 0, part = 0, position;
	expect_ok(fixture, ops->reader_open(fixture->transport, "t", partition, 0, &reader, &fixture->fault));
	while (!at_end) {
		const struct leat_record *records;
		long count = ops->reader_next(reader, &records, 1000, 0, &at_end, &position, &fixture->fault);
		expect_ok(fixture, (int)count);
		for (long i = 0; i < count; i++) {
			char text[32];
			snprintf(text, sizeof text, "%lld", (long long)n);
			assert_true(leat_bytes_equal(records[i].value, leat_text(text)));
			if (part++ == n % 3) {
				part = 0;
				n++;
			}
		}
	}
	ops->reader_close(reader);
	assert_int_equal(part, 0);
	assert_int_equal(n, committed + 1);
}

/* Returns the newest commit. */
static int64_t check_all(struct fixture *fixture, int64_t told)
{
	int64_t committed, first, end;
	char row[32] = "-1", expected[32];
	struct leat_store *store;
	struct leat_session *session = open_all(fixture, &committed);
	assert_true(committed == told || committed == told + 1);
	for (int32_t p = 0; p < TASKS; p++)
		check_partition(fixture, p, committed);
	expect_ok(fixture, fixture->transport->ops->store_open(fixture->transport, NULL, 1, "owner", &store, &fixture->fault));
	assert_int_equal(leat_store_get_many(store, LEAT_FAMILY_ROWS, &(struct leat_bytes){ (const uint8_t *)"n", 1 }, 1, keep_number, row), 0);
	leat_store_close(store, false);
	snprintf(expected, sizeof expected, "%lld", (long long)committed);
	assert_string_equal(row, expected);
	expect_ok(fixture, fixture->transport->ops->bounds(fixture->transport, "early", 0, &first, &end, &fixture->fault));
	assert_true(end >= committed + 1);
	fixture->transport->ops->session_close(session, true);
	close_transport(fixture);
	return committed;
}

/* The child is this program anew, so that a failing check in it cannot run the parent's tests. Returns the end of a pipe that it tells its commits to. */
static int start(struct fixture *fixture, const char *crash, const char *until, pid_t *pid)
{
	int pipes[2];
	assert_int_equal(pipe(pipes), 0);
	*pid = fork();
	if (*pid == 0) {
		char number[16];
		snprintf(number, sizeof number, "%d", pipes[1]);
		close(pipes[0]);
		if (crash)
			setenv("LEAT_CRASH", crash, 1);
		execl("/proc/self/exe", "embedded_kill_test", fixture->directory, number, until, (char *)NULL);
		_exit(1);
	}
	close(pipes[1]);
	return pipes[0];
}

/* Reads what is still told and sees how the child ended. Returns the last commit told of, else @told. */
static int64_t finish(int pipe_end, pid_t pid, int64_t told)
{
	int status;
	long n;
	while (read(pipe_end, &n, sizeof n) == sizeof n)
		told = n;
	close(pipe_end);
	waitpid(pid, &status, 0);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	return told;
}

/* Kills a child after @commits of its commits and @more_ms. Returns the last commit it told of, or @before. */
static int64_t run_and_kill(struct fixture *fixture, int64_t before, int commits, int more_ms)
{
	pid_t pid;
	long n;
	int pipe_end = start(fixture, NULL, "2000000000", &pid);
	for (int i = 0; i < commits && read(pipe_end, &n, sizeof n) == sizeof n; i++)
		before = n;
	struct pollfd end = { .fd = pipe_end };          /* it does not end by itself: this is the time it gets */
	poll(&end, 1, more_ms);
	kill(pid, SIGKILL);
	return finish(pipe_end, pid, before);
}

static int64_t run_until_crash(struct fixture *fixture, const char *point)
{
	pid_t pid;
	int pipe_end = start(fixture, point, "20", &pid);
	return finish(pipe_end, pid, -1);
}

static void after_a_kill_at_any_time_every_commit_is_whole_or_absent(void **state)
{
	struct fixture *fixture = *state;
	int64_t committed = -1;
	for (uint64_t i = 0; i < KILLS; i++) {
		int64_t told = run_and_kill(fixture, committed, i % 4 == 0 ? 0 : (int)(leat_mix(i) % 200), (int)(leat_mix(i + 1000) % 20));
		committed = check_all(fixture, told);
	}
	assert_true(committed > 100);
}

/* Each commit passes the points twice: once for its early record. */
static void a_crash_before_the_write_loses_the_commit_and_one_after_it_does_not(void **state)
{
	struct fixture *fixture = *state;
	assert_int_equal(run_until_crash(fixture, "embedded.before_commit:2"), -1);
	assert_int_equal(check_all(fixture, -1), -1);
	assert_int_equal(run_until_crash(fixture, "embedded.after_commit:2"), -1);
	assert_int_equal(check_all(fixture, -1), 0);
	assert_int_equal(run_until_crash(fixture, "embedded.before_commit:14"), 6);
	assert_int_equal(check_all(fixture, 6), 6);
	assert_int_equal(run_until_crash(fixture, "embedded.after_commit:14"), 12);
	assert_int_equal(check_all(fixture, 12), 13);
}

int main(int count, char **arguments)
{
	const struct CMUnitTest tests[] = {
		EMBEDDED_TEST(after_a_kill_at_any_time_every_commit_is_whole_or_absent),
		EMBEDDED_TEST(a_crash_before_the_write_loses_the_commit_and_one_after_it_does_not),
	};
	if (count == 4) {
		struct fixture fixture = { .now_ms = 1700000000000 };
		fixture.clock = (struct leat_clock){ fixture_wall, fixture_mono, &fixture };
		snprintf(fixture.directory, sizeof fixture.directory, "%s", arguments[1]);
		child(&fixture, (int)strtol(arguments[2], NULL, 10), strtol(arguments[3], NULL, 10));
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
