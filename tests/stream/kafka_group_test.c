/* timeout: 300. Sessions on a real BROKER: exactly once through kills, tasks that move, fencing, backpressure. Without one they are skipped. */
#include "tests/stream/kafka_help.h"

#include <pthread.h>
#include <sys/wait.h>

static const char *self_path;

/* ---- a worker in small: copies its input to its output, one state row per batch ---- */

static void side_positions(struct side *side, struct leat_position *positions, size_t *count)
{
	for (int32_t task = 0; task < TASKS; task++)
		if (side->feeds[task])
			positions[(*count)++] = (struct leat_position){ side->input, task, side->next[task] };
}

static int side_commit(struct side *side, const char *metadata)
{
	struct leat_position positions[TASKS];
	size_t count = 0;
	side_positions(side, positions, &count);
	return side->ops->session_commit(side->session, positions, count, metadata, &side->fault);
}

static void side_open_feeds(struct side *side)
{
	char metadata[64];
	for (int32_t task = 0; task < TASKS; task++) {
		if (!side->owned[task] || side->feeds[task])
			continue;
		must(side->ops->session_committed(side->session, side->input, task, &side->next[task], metadata, sizeof metadata, SOON_MS, &side->fault));
		if (side->next[task] < 0)
			side->next[task] = 0;
		else
			assert_string_equal(metadata, "copy");
		must(side->ops->feed_open(side->session, side->input, task, side->next[task], &side->feeds[task], &side->fault));
	}
}

/* Copies at most @max records of @task; returns how many. *at_end as take said. */
static long side_copy(struct side *side, int32_t task, long max, bool *at_end)
{
	const struct leat_record *records;
	long count = must(side->ops->feed_take(side->feeds[task], &records, at_end, &side->fault));
	count = LEAT_MIN(count, max);
	for (long i = 0; i < count; i++) {
		struct leat_record out = records[i];
		assert_true(out.offset >= side->next[task]);
		out.timestamp_ms = -1;
		must(side->ops->session_send_many(side->session, side->output, task, &out, 1, 0, &side->fault));
		side->next[task] = records[i].offset + 1;
	}
	side->ops->feed_release(side->feeds[task], (size_t)count);
	return count;
}

static void side_close_feeds(struct side *side)
{
	for (int32_t task = 0; task < TASKS; task++) {
		side->ops->feed_close(side->feeds[task]);
		side->feeds[task] = NULL;
	}
}

/* A commit that meets a change of generation half-way is aborted, and done again from what is committed. */
static void side_commit_or_redo(struct side *side)
{
	int rc = side_commit(side, "copy");
	if (rc != LEAT_EABORT) {
		must(rc);
		return;
	}
	side_close_feeds(side);
	must(side->ops->session_reset(side->session, &side->fault));
}

/* One round over all tasks, then a commit. True: nothing is left anywhere. */
static bool side_round(struct side *side, long batch)
{
	long copied = 0;
	bool all_at_end = true, at_end;
	must(side->ops->session_poll(side->session, 20000, &side->fault));
	side_open_feeds(side);
	for (int32_t task = 0; task < TASKS; task++) {
		if (!side->feeds[task])
			continue;
		copied += side_copy(side, task, batch, &at_end);
		all_at_end &= at_end;
	}
	if (copied > 0)
		side_commit_or_redo(side);
	return copied == 0 && all_at_end;
}

/* ---- exactly once through kills ---- */

/* The child: copies to the end and leaves in order, unless LEAT_CRASH kills it. */
static int copy_to_the_end(const char *application, const char *input, const char *output)
{
	struct side self = { .input = input, .output = output }, *side = &self;
	struct leat_session_config config = side_config(side);
	side_open(side, test_broker(), application, "one");
	side_join(side, &config);
	side_wait(side, TASKS);
	while (!side_round(side, 7))
		;
	side_close(side);
	return 0;
}

static int run_child(const char *crash, const char *application, const char *input, const char *output)
{
	int status;
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		if (crash)
			setenv("LEAT_CRASH", crash, 1);
		execl(self_path, self_path, "copy", application, input, output, (char *)NULL);
		_exit(99);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static void numbers_of(int32_t partition, int count, char *text, size_t size)
{
	size_t length = 0;
	text[0] = '\0';
	for (int i = 0; i < count; i++)
		length += (size_t)snprintf(text + length, size - length, "%s%d:%d", i ? " " : "", (int)partition, i);
}

static void check_copied(struct side *side, const char *output, int count)
{
	size_t size = (size_t)count * 16;
	char *expected = malloc(size), *got = malloc(size);
	for (int32_t partition = 0; partition < TASKS; partition++) {
		numbers_of(partition, count, expected, size);
		read_all(side, output, partition, got, size);
		assert_string_equal(got, expected);
	}
	free(expected);
	free(got);
}

static void every_record_is_copied_once_through_a_kill_at_each_point_of_a_commit(void **state)
{
	(void)state;
	NEEDS_BROKER();
	static const char *const points[] = { "kafka.commit.before_flush:2", "kafka.commit.before_offsets:3", "kafka.commit.before_end:2", "kafka.commit.after_end:2", "kafka.commit.before_end:1" };
	struct side self = { 0 }, *side = &self;
	const char *application = fresh_name("app"), *input = fresh_name("in"), *output = fresh_name("out");
	side_open(side, test_broker(), fresh_name("other"), "b");
	make_topic(side, input);
	make_topic(side, output);
	write_numbers(side, input, 100);
	for (size_t i = 0; i < LEAT_COUNT_OF(points); i++)
		assert_int_equal(run_child(points[i], application, input, output), 137);
	assert_int_equal(run_child(NULL, application, input, output), 0);
	check_copied(side, output, 100);
	side_close(side);
}

/* ---- tasks move ---- */

static void commit_inside(struct side *side, int32_t task)
{
	bool at_end;
	side_open_feeds(side);
	side_copy(side, task, 5, &at_end);
	side_commit_or_redo(side);
}

static void a_second_instance_takes_tasks_over_and_nothing_is_lost_or_doubled(void **state)
{
	(void)state;
	NEEDS_BROKER();
	const char *application = fresh_name("app"), *input = fresh_name("in"), *output = fresh_name("out");
	struct side first = { .input = input, .output = output, .on_revoked = commit_inside }, second = first, *side = &first;
	struct leat_session_config config = side_config(&first);
	side_open(side, test_broker(), application, "one");
	side_open(&second, test_broker(), application, "two");
	make_topic(side, input);
	make_topic(side, output);
	write_numbers(side, input, 200);
	side_join(side, &config);
	side_wait(side, TASKS);
	side_round(side, 10);
	config = side_config(&second);
	side_join(&second, &config);
	int64_t deadline = now_ms() + SOON_MS;
	while ((first.owned_count != TASKS / 2 || second.owned_count != TASKS / 2) && now_ms() < deadline) {
		side_round(&first, 1);
		side_round(&second, 1);
	}
	assert_int_equal(first.owned_count, TASKS / 2);
	assert_int_equal(second.owned_count, TASKS / 2);
	assert_int_equal(first.revoked_count, TASKS / 2);
	assert_int_equal(first.lost_count + second.lost_count, 0);
	for (bool done = false; !done;)
		done = (int)side_round(&first, 50) & (int)side_round(&second, 50);
	check_copied(side, output, 200);
	side_close(&second);
	side_close(&first);
}

static void of_two_sessions_of_one_instance_the_older_is_fenced(void **state)
{
	(void)state;
	NEEDS_BROKER();
	const char *application = fresh_name("app"), *input = fresh_name("in"), *output = fresh_name("out");
	struct side zombie = { .input = input, .output = output }, fresh = zombie, *side = &zombie;
	struct leat_session_config config = side_config(&zombie);
	char got[200];
	int rc = 0;
	side_open(side, test_broker(), application, "one");
	side_open(&fresh, test_broker(), application, "one");
	make_topic(side, input);
	make_topic(side, output);
	side_join(side, &config);
	side_wait(side, TASKS);
	side_open_feeds(side);
	struct leat_record record = text_record("k", "of the zombie");
	must(side->ops->session_send(zombie.session, output, 0, &record, 0, &zombie.fault));
	config = side_config(&fresh);
	side_join(&fresh, &config);
	side_wait(&fresh, TASKS);
	record = text_record("k", "of the fresh one");
	side_open_feeds(&fresh);
	must_(fresh.ops->session_send(fresh.session, output, 0, &record, 0, &fresh.fault), &fresh.fault, "send", __FILE__, __LINE__);
	must_(side_commit(&fresh, "copy"), &fresh.fault, "commit", __FILE__, __LINE__);
	rc = side_commit(&zombie, "copy");
	assert_true(rc == LEAT_EFENCED || rc == LEAT_EABORT);
	for (int64_t deadline = now_ms() + SOON_MS; zombie.lost_count < TASKS && now_ms() < deadline;)
		rc = zombie.ops->session_poll(zombie.session, 50000, &zombie.fault);
	assert_int_equal(zombie.lost_count, TASKS);
	assert_int_equal(rc, LEAT_EFENCED);
	assert_true(zombie.fault.fatal);
	assert_int_equal(side_commit(&zombie, "copy"), LEAT_EFENCED);
	read_all(side, output, 0, got, sizeof got);
	assert_string_equal(got, "of the fresh one");
	side_close(&fresh);
	side_close(&zombie);
}

static void a_dead_owners_transaction_is_ended_by_its_id(void **state)
{
	(void)state;
	NEEDS_BROKER();
	const char *application = fresh_name("app"), *input = fresh_name("in"), *output = fresh_name("out");
	struct side self = { .input = input, .output = output }, *side = &self;
	struct leat_session_config config = side_config(side);
	char metadata[64], owner[200], expected[200];
	int64_t offset, start;
	side_open(side, test_broker(), application, "two");
	make_topic(side, input);
	make_topic(side, output);
	write_numbers(side, input, 50);
	/* The first commit succeeds and names the owner, the second dies with its offsets sent. */
	assert_int_equal(run_child("kafka.commit.before_end:2", application, input, output), 137);
	side_join(side, &config);
	side_wait(side, TASKS);
	assert_int_equal(side->ops->session_committed(side->session, input, 0, &offset, metadata, sizeof metadata, 300, &side->fault), LEAT_ERETRY);
	snprintf(expected, sizeof expected, "%s-one-0", application);
	assert_int_equal(side->ops->session_owner(side->session, input, 0, owner, sizeof owner), (int)strlen(expected));
	assert_string_equal(owner, expected);
	start = now_ms();
	must(side->ops->session_fence(side->session, owner, &side->fault));
	must(side->ops->session_committed(side->session, input, 0, &offset, metadata, sizeof metadata, SOON_MS, &side->fault));
	assert_true(now_ms() - start < 2000);
	assert_int_equal(offset, 7);
	assert_string_equal(metadata, "copy");
	side_close(side);
}

/* ---- commits ---- */

static void positions_and_metadata_come_back_and_the_unknown_is_minus_one(void **state)
{
	(void)state;
	NEEDS_BROKER();
	const char *application = fresh_name("app"), *input = fresh_name("in");
	struct side self = { .input = input }, *side = &self;
	struct leat_session_config config = side_config(side);
	char metadata[200], small[5];
	int64_t offset;
	side_open(side, test_broker(), application, "one");
	make_topic(side, input);
	side_join(side, &config);
	side_wait(side, TASKS);
	must(side->ops->session_committed(side->session, input, 1, &offset, metadata, sizeof metadata, SOON_MS, &side->fault));
	assert_int_equal(offset, -1);
	assert_string_equal(metadata, "");
	struct leat_position position = { input, 1, 4711 };
	must(side->ops->session_commit(side->session, &position, 1, "leat 1|a=b|", &side->fault));
	must(side->ops->session_committed(side->session, input, 1, &offset, metadata, sizeof metadata, SOON_MS, &side->fault));
	assert_int_equal(offset, 4711);
	assert_string_equal(metadata, "leat 1|a=b|");
	must(side->ops->session_committed(side->session, input, 1, &offset, small, sizeof small, SOON_MS, &side->fault));
	assert_string_equal(small, "leat");
	char *endless = calloc(1, 5000);
	memset(endless, 'x', 4999);
	assert_int_equal(side->ops->session_commit(side->session, &position, 1, endless, &side->fault), LEAT_ELIMIT);
	free(endless);
	side_close(side);
}

static void rows_of_a_dropped_transaction_do_not_count_and_a_reset_goes_on(void **state)
{
	(void)state;
	NEEDS_BROKER();
	const char *application = fresh_name("app"), *changelog = fresh_name("changelog");
	struct side self = { 0 }, *side = &self;
	struct leat_session_config config = side_config(side);
	char got[200];
	side_open(side, test_broker(), application, "one");
	make_topic(side, changelog);
	side_join(side, &config);
	side_wait(side, TASKS);
	assert_int_equal(side->ops->session_changelog_end(side->session, 2), -1);
	must(side->ops->session_row(side->session, 2, changelog, leat_text("a"), leat_text("1"), &side->fault));
	must(side->ops->session_row(side->session, 2, changelog, leat_text("b"), leat_text("2"), &side->fault));
	assert_int_equal(side->ops->session_changelog_end(side->session, 2), -1);
	must(side->ops->session_commit(side->session, NULL, 0, "", &side->fault));
	assert_int_equal(side->ops->session_changelog_end(side->session, 2), 2);
	must(side->ops->session_row(side->session, 2, changelog, leat_text("c"), leat_text("dropped"), &side->fault));
	must(side->ops->session_reset(side->session, &side->fault));
	assert_int_equal(side->ops->session_changelog_end(side->session, 2), 2);
	must(side->ops->session_row(side->session, 2, changelog, leat_text("c"), leat_text("3"), &side->fault));
	must(side->ops->session_row(side->session, 3, changelog, leat_text("d"), leat_text("4"), &side->fault));
	must(side->ops->session_commit(side->session, NULL, 0, "", &side->fault));
	int64_t end = side->ops->session_changelog_end(side->session, 2);
	assert_true(end > 3);   /* behind the marker of the commit, and the dropped row and its marker if it got that far */
	assert_int_equal(read_all(side, changelog, 2, got, sizeof got), end + 1);
	assert_string_equal(got, "1 2 3");
	assert_int_equal(side->ops->session_changelog_end(side->session, 3), 1);
	assert_int_equal(side->ops->session_changelog_end(side->session, 0), -1);
	side_close(side);
}

static void a_transaction_that_is_open_too_long_is_given_up_before_the_broker_does(void **state)
{
	(void)state;
	NEEDS_BROKER();
	const char *application = fresh_name("app"), *output = fresh_name("out");
	struct side self = { 0 }, *side = &self;
	struct leat_session_config config = side_config(side);
	char got[100];
	config.transaction_timeout_ms = 1000;
	side_open(side, test_broker(), application, "one");
	make_topic(side, output);
	side_join(side, &config);
	side_wait(side, TASKS);
	struct leat_record record = text_record("k", "late");
	must(side->ops->session_send(side->session, output, 0, &record, 0, &side->fault));
	for (int64_t until = now_ms() + 650; now_ms() < until;)
		must(side->ops->session_poll(side->session, 50000, &side->fault));
	assert_int_equal(side->ops->session_commit(side->session, NULL, 0, "", &side->fault), LEAT_EABORT);
	assert_int_equal(side->ops->session_commit(side->session, NULL, 0, "", &side->fault), LEAT_EABORT);   /* only a reset helps */
	must(side->ops->session_reset(side->session, &side->fault));
	record = text_record("k", "in time");
	must(side->ops->session_send(side->session, output, 0, &record, 0, &side->fault));
	must(side->ops->session_commit(side->session, NULL, 0, "", &side->fault));
	read_all(side, output, 0, got, sizeof got);
	assert_string_equal(got, "in time");
	side_close(side);
}

static void early_records_are_seen_while_the_transaction_is_open(void **state)
{
	(void)state;
	NEEDS_BROKER();
	const char *application = fresh_name("app"), *early = fresh_name("early"), *late = fresh_name("late");
	struct side self = { 0 }, *side = &self;
	struct leat_session_config config = side_config(side);
	char got[100] = "";
	config.early = true;
	side_open(side, test_broker(), application, "one");
	make_topic(side, early);
	make_topic(side, late);
	side_join(side, &config);
	side_wait(side, TASKS);
	struct leat_record record = text_record("k", "decision");
	must(side->ops->session_send(side->session, late, 0, &record, 0, &side->fault));
	must(side->ops->session_send(side->session, early, 0, &record, LEAT_SEND_EARLY, &side->fault));
	for (int64_t deadline = now_ms() + SOON_MS; got[0] == '\0' && now_ms() < deadline;)
		read_all(side, early, 0, got, sizeof got);
	assert_string_equal(got, "decision");
	read_all(side, late, 0, got, sizeof got);
	assert_string_equal(got, "");
	must(side->ops->session_commit(side->session, NULL, 0, "", &side->fault));
	read_all(side, late, 0, got, sizeof got);
	assert_string_equal(got, "decision");
	side_close(side);
}

static void at_least_once_commits_positions_after_its_records(void **state)
{
	(void)state;
	NEEDS_BROKER();
	const char *application = fresh_name("app"), *input = fresh_name("in"), *output = fresh_name("out");
	struct side self = { .input = input, .output = output }, *side = &self;
	struct leat_session_config config = side_config(side);
	char metadata[64];
	int64_t offset;
	config.transactional = false;
	side_open(side, test_broker(), application, "one");
	make_topic(side, input);
	make_topic(side, output);
	write_numbers(side, input, 30);
	side_join(side, &config);
	side_wait(side, TASKS);
	while (!side_round(side, 11))
		;
	for (int32_t task = 0; task < TASKS; task++) {
		must(side->ops->session_committed(side->session, input, task, &offset, metadata, sizeof metadata, SOON_MS, &side->fault));
		assert_int_equal(offset, 30);
		assert_string_equal(metadata, "copy");
	}
	check_copied(side, output, 30);
	must(side->ops->session_reset(side->session, &side->fault));
	struct leat_record record = text_record("k", "after");
	must(side->ops->session_send(side->session, output, 0, &record, 0, &side->fault));
	must(side_commit(side, "copy"));
	side_close(side);
}

/* ---- feeds ---- */

static void a_slow_worker_with_little_memory_loses_and_doubles_nothing(void **state)
{
	enum { PER_TASK = 60000 };
	(void)state;
	NEEDS_BROKER();
	const char *application = fresh_name("app"), *input = fresh_name("in");
	struct side self = { .input = input }, *side = &self;
	struct leat_session_config config = side_config(side);
	const struct leat_record *records;
	int seen[TASKS] = { 0 }, total = 0;
	unsigned turn = 0;
	config.memory = 1;   /* the least there is: 500 records a feed */
	side_open(side, test_broker(), application, "one");
	make_topic(side, input);
	write_numbers(side, input, PER_TASK);
	side_join(side, &config);
	side_wait(side, TASKS);
	side_open_feeds(side);
	int64_t start = now_ms();
	while (total < TASKS * PER_TASK && now_ms() - start < 60000) {
		must(side->ops->session_poll(side->session, 100000, &side->fault));
		for (int32_t task = 0; task < TASKS; task++) {
			bool at_end;
			if ((turn++ / 64) % TASKS == (unsigned)task)   /* one of them rests for a while */
				continue;
			long count = must(side->ops->feed_take(side->feeds[task], &records, &at_end, &side->fault));
			count -= count > 1 ? count / 3 : 0;
			for (long i = 0; i < count; i++) {
				char expected[32];
				snprintf(expected, sizeof expected, "%d:%d", (int)task, seen[task]++);
				assert_int_equal(records[i].offset, seen[task] - 1);
				assert_true(leat_bytes_equal(records[i].value, leat_text(expected)));
			}
			side->ops->feed_release(side->feeds[task], (size_t)count);
			total += (int)count;
		}
	}
	assert_int_equal(total, TASKS * PER_TASK);
	for (int32_t task = 0; task < TASKS; task++) {
		bool at_end = false;
		for (int64_t deadline = now_ms() + SOON_MS; !at_end && now_ms() < deadline;) {
			must(side->ops->session_poll(side->session, 50000, &side->fault));
			assert_int_equal(must(side->ops->feed_take(side->feeds[task], &records, &at_end, &side->fault)), 0);
		}
		assert_true(at_end);
		assert_int_equal(side->ops->feed_lag(side->feeds[task]), 0);
	}
	side_close(side);
}

static void what_a_feed_shows_stays_until_released_and_a_gap_is_an_error(void **state)
{
	(void)state;
	NEEDS_BROKER();
	const char *application = fresh_name("app"), *input = fresh_name("in");
	struct side self = { .input = input }, *side = &self;
	struct leat_session_config config = side_config(side);
	const struct leat_record *records;
	struct leat_feed *other = NULL;
	bool at_end = false;
	side_open(side, test_broker(), application, "one");
	make_topic(side, input);
	write_numbers(side, input, 5);
	side_join(side, &config);
	side_wait(side, TASKS);
	must(side->ops->feed_open(side->session, input, 0, 1, &side->feeds[0], &side->fault));
	assert_int_equal(side->ops->feed_open(side->session, input, 0, 1, &other, &side->fault), LEAT_EBUSY);
	long count = 0;
	for (int64_t deadline = now_ms() + SOON_MS; count < 4 && now_ms() < deadline;) {
		must(side->ops->session_poll(side->session, 50000, &side->fault));
		count = must(side->ops->feed_take(side->feeds[0], &records, &at_end, &side->fault));
	}
	assert_int_equal(count, 4);
	assert_int_equal(records[0].offset, 1);
	side->ops->feed_release(side->feeds[0], 3);
	assert_int_equal(must(side->ops->feed_take(side->feeds[0], &records, &at_end, &side->fault)), 1);
	assert_int_equal(records[0].offset, 4);
	assert_int_equal(side->ops->feed_lag(side->feeds[0]), 1);
	side->ops->feed_close(side->feeds[0]);
	must(side->ops->trim(side->transport, input, 0, 3, &side->fault));
	must(side->ops->feed_open(side->session, input, 0, 2, &side->feeds[0], &side->fault));
	long rc = 0;
	for (int64_t deadline = now_ms() + SOON_MS; rc == 0 && now_ms() < deadline;) {
		must(side->ops->session_poll(side->session, 50000, &side->fault));
		rc = side->ops->feed_take(side->feeds[0], &records, &at_end, &side->fault);
	}
	assert_int_equal(rc, LEAT_EGAP);
	assert_non_null(strstr(side->fault.text, "offset 2"));
	side->ops->feed_close(side->feeds[0]);
	side->feeds[0] = NULL;
	side_close(side);
}

static void a_tasks_topic_of_another_size_ends_the_session_with_both_numbers(void **state)
{
	(void)state;
	NEEDS_BROKER();
	const char *application = fresh_name("app");
	char topic[100];
	struct side self = { 0 }, *side = &self;
	struct leat_session_config config = side_config(side);
	struct leat_topic_spec spec = { .name = topic, .partitions = TASKS + 1 };
	snprintf(topic, sizeof topic, "%s.tasks", application);
	side_open(side, test_broker(), application, "one");
	must(side->ops->create(side->transport, &spec, &side->fault));
	side_join(side, &config);
	int rc = 0;
	for (int64_t deadline = now_ms() + SOON_MS; rc == 0 && now_ms() < deadline;)
		rc = side->ops->session_poll(side->session, 100000, &side->fault);
	assert_int_equal(rc, LEAT_ECONFIG);
	assert_non_null(strstr(side->fault.text, "has 5 partitions, 4 are needed"));
	side_close(side);
}

static void *wake_it(void *self)
{
	struct side *side = self;
	side->ops->session_wake(side->session);
	return NULL;
}

static void another_thread_ends_the_wait(void **state)
{
	(void)state;
	struct side self = { 0 }, *side = &self;
	struct leat_session_config config = side_config(side);
	pthread_t thread;
	side_open(side, "127.0.0.1:1", "a", "b");
	side_join(side, &config);
	int64_t start = now_ms();
	assert_int_equal(pthread_create(&thread, NULL, wake_it, side), 0);
	must(side->ops->session_poll(side->session, 20000000, &side->fault));
	assert_true(now_ms() - start < 5000);
	pthread_join(thread, NULL);
	side_close(side);
}

int main(int count, char **arguments)
{
	leat_log_level = LEAT_ERROR;
	self_path = arguments[0];
	cmocka_set_test_filter(getenv("ONLY"));
	if (count == 5 && strcmp(arguments[1], "copy") == 0)
		return copy_to_the_end(arguments[2], arguments[3], arguments[4]);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_record_is_copied_once_through_a_kill_at_each_point_of_a_commit),
		cmocka_unit_test(a_second_instance_takes_tasks_over_and_nothing_is_lost_or_doubled),
		cmocka_unit_test(of_two_sessions_of_one_instance_the_older_is_fenced),
		cmocka_unit_test(a_dead_owners_transaction_is_ended_by_its_id),
		cmocka_unit_test(positions_and_metadata_come_back_and_the_unknown_is_minus_one),
		cmocka_unit_test(rows_of_a_dropped_transaction_do_not_count_and_a_reset_goes_on),
		cmocka_unit_test(a_transaction_that_is_open_too_long_is_given_up_before_the_broker_does),
		cmocka_unit_test(early_records_are_seen_while_the_transaction_is_open),
		cmocka_unit_test(at_least_once_commits_positions_after_its_records),
		cmocka_unit_test(a_slow_worker_with_little_memory_loses_and_doubles_nothing),
		cmocka_unit_test(what_a_feed_shows_stays_until_released_and_a_gap_is_an_error),
		cmocka_unit_test(a_tasks_topic_of_another_size_ends_the_session_with_both_numbers),
		cmocka_unit_test(another_thread_ends_the_wait),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
