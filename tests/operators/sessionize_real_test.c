/* Sessions of a real, public click log: the engine against a few lines of plain C, and both against the sessions that the log itself names. */
/* timeout: 300 */
#include <setjmp.h>
#include <spawn.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/harness_run.h"

enum { GAP_MS = 30 * 60 * 1000, USERS_TAKEN = 32 /* every so manyth */, EVENTS_MAX = 100000, LINE_MAX = 256 };

struct click { int64_t user, session, size, time_ms, arrives_ms; };
static struct click clicks[EVENTS_MAX];
static size_t count;

struct lines { char **items; size_t count; };

static void add_line(struct lines *lines, const char *text, size_t length)
{
	lines->items = realloc(lines->items, (lines->count + 1) * sizeof *lines->items);
	assert_non_null(lines->items);
	lines->items[lines->count] = strndup(text, length);
	assert_non_null(lines->items[lines->count++]);
}

static void free_lines(struct lines *lines)
{
	for (size_t i = 0; i < lines->count; i++)
		free(lines->items[i]);
	free(lines->items);
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static size_t common(struct lines *a, struct lines *b)
{
	size_t same = 0, i = 0, j = 0;
	qsort(a->items, a->count, sizeof *a->items, by_text);
	qsort(b->items, b->count, sizeof *b->items, by_text);
	while (i < a->count && j < b->count) {
		int order = strcmp(a->items[i], b->items[j]);
		same += order == 0;
		i += order <= 0;
		j += order >= 0;
	}
	return same;
}

/* ---- the log ---- */

static const char *data_path(char *out, size_t size)
{
	const char *folder = getenv("LEAT_DATA");
	(void)snprintf(out, size, "%s/globo/clicks-hours-000-071.csv.xz", folder ? folder : "../shared/data");
	return access(out, R_OK) == 0 ? out : NULL;
}

static FILE *unpacked(char *path, pid_t *xz)
{
	int ends[2];
	posix_spawn_file_actions_t actions;
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(posix_spawn_file_actions_init(&actions), 0);
	assert_int_equal(posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO), 0);
	assert_int_equal(posix_spawn_file_actions_addclose(&actions, ends[0]), 0);
	assert_int_equal(posix_spawnp(xz, "xz", &actions, NULL, (char *[]){ "xz", "-dc", path, NULL }, environ), 0);
	(void)posix_spawn_file_actions_destroy(&actions);
	(void)close(ends[1]);
	FILE *stream = fdopen(ends[0], "r");
	assert_non_null(stream);
	return stream;
}

static bool load(void)
{
	char path[512], line[LINE_MAX];
	pid_t xz;
	int status;
	if (!data_path(path, sizeof path))
		return false;
	FILE *log = unpacked(path, &xz);
	while (fgets(line, sizeof line, log)) {
		long long user, session, start, size, item, time_ms;
		if (sscanf(line, "%lld,%lld,%lld,%lld,%lld,%lld", &user, &session, &start, &size, &item, &time_ms) != 6 || user % USERS_TAKEN)
			continue;
		assert_true(count < EVENTS_MAX - 1);
		clicks[count++] = (struct click){ user, session, size, time_ms, time_ms };
	}
	(void)fclose(log);
	assert_int_equal(waitpid(xz, &status, 0), xz);
	assert_int_equal(status, 0);
	return count > 0;
}

static int by_arrival(const void *a, const void *b)
{
	const struct click *x = a, *y = b;
	if (x->arrives_ms != y->arrives_ms)
		return x->arrives_ms < y->arrives_ms ? -1 : 1;
	return x->time_ms != y->time_ms ? (x->time_ms < y->time_ms ? -1 : 1) : (x->user > y->user) - (x->user < y->user);
}

static int by_user(const void *a, const void *b)
{
	const struct click *x = a, *y = b;
	return x->user != y->user ? (x->user < y->user ? -1 : 1) : (x->time_ms > y->time_ms) - (x->time_ms < y->time_ms);
}

static int by_session(const void *a, const void *b)
{
	const struct click *x = a, *y = b;
	return x->session != y->session ? (x->session < y->session ? -1 : 1) : (x->time_ms > y->time_ms) - (x->time_ms < y->time_ms);
}

/* ---- three ways to sessions, each as lines "user start end events" ---- */

static void note(struct lines *lines, const struct click *first, const struct click *last)
{
	char text[LINE_MAX];
	int length = snprintf(text, sizeof text, "%lld %lld %lld %lld", (long long)first->user, (long long)first->time_ms, (long long)last->time_ms, (long long)(last - first + 1));
	add_line(lines, text, (size_t)length);
}

static void by_pauses(struct lines *lines)
{
	qsort(clicks, count, sizeof *clicks, by_user);
	for (size_t first = 0, i = 0; i < count; i++) {
		bool ends = i + 1 == count || clicks[i + 1].user != clicks[i].user || clicks[i + 1].time_ms - clicks[i].time_ms >= GAP_MS;
		if (!ends)
			continue;
		note(lines, &clicks[first], &clicks[i]);
		first = i + 1;
	}
}

/* Only sessions that the log holds whole. */
static void by_their_ids(struct lines *lines)
{
	qsort(clicks, count, sizeof *clicks, by_session);
	for (size_t first = 0, i = 0; i < count; i++) {
		if (i + 1 < count && clicks[i + 1].session == clicks[i].session)
			continue;
		if ((int64_t)(i + 1 - first) == clicks[i].size)
			note(lines, &clicks[first], &clicks[i]);
		first = i + 1;
	}
}

static void by_the_engine(struct lines *lines, const char *lateness)
{
	const char **when = calloc(count + 2, sizeof *when);
	char text[LINE_MAX];
	assert_non_null(when);
	qsort(clicks, count, sizeof *clicks, by_arrival);
	for (size_t i = 0; i <= count; i++) {
		/* the last one moves the watermark past the end of all */
		long long user = i < count ? clicks[i].user : -1, time_ms = i < count ? clicks[i].time_ms : 4000000000000;
		(void)snprintf(text, sizeof text, "{\"user\":\"%lld\",\"ts\":%lld}", user, time_ms);
		assert_non_null(when[i] = strdup(text));
	}
	const struct leat_scenario scenario = { .use = "sessionize", .with = "{ gap: 30m }", .fields = "user:string ts:int", .time = "ts", .key = "user", .lateness = lateness, .when = when,
						.show = "key start end events" };
	struct scenario_run run = { .batch = 512 };
	struct scenario_host *host = scenario_host_open();
	char *got = scenario_go(host, &scenario, &run);
	for (const char *at = got; *at; at += strcspn(at, "\n") + 1)
		if (strncmp(at, "sessions: ", 10) == 0)
			add_line(lines, at + 10, strcspn(at + 10, "\n"));
	free(got);
	for (size_t i = 0; i <= count; i++)
		free((char *)(uintptr_t)when[i]);
	free(when);
}

static void skip_without_data(void)
{
	if (count == 0 && !load()) {
		print_message("skip: no click log (LEAT_DATA names the folder that holds globo/)\n");
		skip();
	}
}

static void sessions_are_those_that_pauses_of_the_gap_part(void **state)
{
	struct lines engine = { 0 }, plain = { 0 }, named = { 0 };
	(void)state;
	skip_without_data();
	by_the_engine(&engine, "0");
	by_pauses(&plain);
	by_their_ids(&named);
	size_t same = common(&engine, &plain), right = common(&engine, &named);
	print_message("%zu events, %zu sessions, %zu of %zu named by the log found exactly\n", count, engine.count, right, named.count);
	assert_int_equal(engine.count, plain.count);
	assert_int_equal(same, plain.count);
	/* the log has sessions that hold pauses of hours: 94.8 % is what a gap of 30 minutes can find */
	assert_true(right * 100 >= named.count * 94);
	free_lines(&engine);
	free_lines(&plain);
	free_lines(&named);
}

/* Each event arrives up to 10 minutes late, by a hash of what it is. Only pairs of sessions that a late event would have bridged may differ. */
static void events_out_of_order_within_the_lateness_find_their_sessions(void **state)
{
	struct lines engine = { 0 }, plain = { 0 };
	(void)state;
	skip_without_data();
	for (size_t i = 0; i < count; i++)
		clicks[i].arrives_ms = clicks[i].time_ms + (int64_t)(leat_mix((uint64_t)(clicks[i].time_ms ^ clicks[i].user << 40)) % 600000);
	by_the_engine(&engine, "10m");
	by_pauses(&plain);
	size_t same = common(&engine, &plain);
	print_message("%zu of %zu sessions the same although events came out of order\n", same, plain.count);
	assert_true(same * 1000 >= plain.count * 998);
	free_lines(&engine);
	free_lines(&plain);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sessions_are_those_that_pauses_of_the_gap_part),
		cmocka_unit_test(events_out_of_order_within_the_lateness_find_their_sessions),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
