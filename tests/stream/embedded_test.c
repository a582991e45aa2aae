/* The embedded transport: records, commits, positions, rows, tasks and feeds. */
#include "tests/stream/embedded_help.h"

#include "base/column.h"
#include "state/store.h"

#include <pthread.h>

/* ---- records ---- */

static const struct leat_header two_headers[] = { { { (const uint8_t *)"h", 1 }, { (const uint8_t *)"x", 1 } }, { { (const uint8_t *)"", 0 }, { NULL, 0 } } };
static const struct leat_record odd_records[] = {
	{ .timestamp_ms = 5, .key = { (const uint8_t *)"k", 1 }, .value = { (const uint8_t *)"v", 1 } },
	{ .timestamp_ms = INT64_MAX, .key = { NULL, 0 }, .value = { NULL, 0 } },
	{ .timestamp_ms = 0, .key = { (const uint8_t *)"", 0 }, .value = { (const uint8_t *)"", 0 } },
	{ .timestamp_ms = -1, .key = { (const uint8_t *)"a\0b", 3 }, .value = { (const uint8_t *)"\0", 1 }, .headers = two_headers, .header_count = 2 },
};

static void assert_same_bytes(struct leat_bytes a, struct leat_bytes b)
{
	assert_int_equal(a.length, b.length);
	assert_int_equal(a.data == NULL, b.data == NULL);
	assert_memory_equal(a.length ? a.data : (const uint8_t *)"", a.length ? b.data : (const uint8_t *)"", a.length);
}

static void assert_same_record(const struct leat_record *sent, const struct leat_record *got, int64_t now_ms)
{
	uint32_t size = sent->key.length + sent->value.length;
	assert_int_equal(got->timestamp_ms, sent->timestamp_ms < 0 ? now_ms : sent->timestamp_ms);
	assert_same_bytes(sent->key, got->key);
	assert_same_bytes(sent->value, got->value);
	assert_int_equal(sent->header_count, got->header_count);
	for (uint32_t i = 0; i < sent->header_count; i++) {
		assert_same_bytes(sent->headers[i].name, got->headers[i].name);
		assert_same_bytes(sent->headers[i].value, got->headers[i].value);
		size += sent->headers[i].name.length + sent->headers[i].value.length;
	}
	assert_int_equal(got->wire_size, size);
}

static void assert_odd_records(struct fixture *fixture)
{
	const struct leat_transport_ops *ops = fixture->transport->ops;
	struct leat_reader *reader;
	const struct leat_record *records;
	bool at_end;
	int64_t position;
	expect_ok(fixture, ops->reader_open(fixture->transport, "t", 0, 0, &reader, &fixture->fault));
	assert_int_equal(ops->reader_next(reader, &records, 3, 0, &at_end, &position, &fixture->fault), 3);
	assert_false(at_end);
	assert_int_equal(position, 3);
	for (size_t i = 0; i < 3; i++)
		assert_same_record(&odd_records[i], &records[i], fixture->now_ms);
	assert_int_equal(ops->reader_next(reader, &records, 3, 0, &at_end, &position, &fixture->fault), 1);
	assert_true(at_end);
	assert_int_equal(position, 4);
	assert_int_equal(records[0].offset, 3);
	assert_same_record(&odd_records[3], &records[0], fixture->now_ms);
	ops->reader_close(reader);
}

static void records_come_back_as_they_were_sent_also_after_reopening(void **state)
{
	struct fixture *fixture = *state;
	open_with(fixture, NULL, NULL);
	create_topic(fixture, "t", 1);
	struct leat_session *session = open_session(fixture, 0);
	expect_ok(fixture, fixture->transport->ops->session_send_many(session, "t", 0, odd_records, LEAT_COUNT_OF(odd_records), 0, &fixture->fault));
	expect_ok(fixture, commit(fixture, session));
	fixture->transport->ops->session_close(session, true);
	assert_odd_records(fixture);
	reopen(fixture);
	assert_odd_records(fixture);
}

static void a_transaction_is_invisible_before_its_commit_and_whole_after_it(void **state)
{
	struct fixture *fixture = *state;
	open_with(fixture, NULL, NULL);
	create_topic(fixture, "a", 1);
	create_topic(fixture, "b", 2);
	struct leat_session *session = open_session(fixture, 0);
	expect_ok(fixture, send_text(fixture, session, "a", 0, "k", "1", 0));
	expect_ok(fixture, send_text(fixture, session, "b", 1, "k", "2", 0));
	expect_ok(fixture, send_text(fixture, session, "a", 0, "k", "3", 0));
	assert_string_equal(content(fixture, "a", 0), "");
	assert_string_equal(content(fixture, "b", 1), "");
	expect_ok(fixture, commit(fixture, session));
	assert_string_equal(content(fixture, "a", 0), "0:k=1 1:k=3 ");
	assert_string_equal(content(fixture, "b", 1), "0:k=2 ");
	fixture->transport->ops->session_close(session, true);
}

static void a_reset_and_a_close_drop_what_was_not_committed(void **state)
{
	struct fixture *fixture = *state;
	open_with(fixture, NULL, NULL);
	create_topic(fixture, "t", 1);
	struct leat_session *session = open_session(fixture, 0);
	expect_ok(fixture, send_text(fixture, session, "t", 0, "k", "dropped", 0));
	expect_ok(fixture, fixture->transport->ops->session_reset(session, &fixture->fault));
	expect_ok(fixture, send_text(fixture, session, "t", 0, "k", "kept", 0));
	expect_ok(fixture, commit(fixture, session));
	expect_ok(fixture, send_text(fixture, session, "t", 0, "k", "open", 0));
	fixture->transport->ops->session_close(session, true);
	assert_string_equal(content(fixture, "t", 0), "0:k=kept ");
}

static void early_records_are_visible_at_once_and_stay_after_a_reset(void **state)
{
	struct fixture *fixture = *state;
	open_with(fixture, NULL, NULL);
	create_topic(fixture, "t", 1);
	create_topic(fixture, "early", 1);
	struct leat_session *session = open_session(fixture, 0);
	expect_ok(fixture, send_text(fixture, session, "t", 0, "k", "open", 0));
	expect_ok(fixture, send_text(fixture, session, "early", 0, "k", "1", LEAT_SEND_EARLY));
	assert_string_equal(content(fixture, "early", 0), "0:k=1 ");
	expect_ok(fixture, fixture->transport->ops->session_reset(session, &fixture->fault));
	expect_ok(fixture, commit(fixture, session));
	assert_string_equal(content(fixture, "early", 0), "0:k=1 ");
	assert_string_equal(content(fixture, "t", 0), "");
	fixture->transport->ops->session_close(session, true);
}

static void a_key_decides_the_partition_and_none_takes_turns(void **state)
{
	struct fixture *fixture = *state;
	open_with(fixture, NULL, NULL);
	create_topic(fixture, "t", 3);
	struct leat_session *session = open_session(fixture, -1);
	for (int i = 0; i < 3; i++)
		expect_ok(fixture, send_text(fixture, session, "t", -1, NULL, "turn", 0));
	expect_ok(fixture, send_text(fixture, session, "t", -1, "21", "keyed", 0));
	fixture->transport->ops->session_close(session, true);
	int32_t keyed = leat_partition_of("21", 2, 3);
	for (int32_t p = 0; p < 3; p++)
		assert_string_equal(content(fixture, "t", p), p == keyed ? "0:=turn 1:21=keyed " : "0:=turn ");
}

static void a_record_that_cannot_be_taken_is_refused_with_the_reason(void **state)
{
	struct fixture *fixture = *state;
	open_with(fixture, NULL, NULL);
	create_topic(fixture, "t", 2);
	expect_ok(fixture, fixture->transport->ops->create(fixture->transport, &(struct leat_topic_spec){ .name = "c", .partitions = 1, .compacted = true }, &fixture->fault));
	struct leat_session *session = open_session(fixture, 0);
	assert_int_equal(send_text(fixture, session, "none", 0, "k", "v", 0), LEAT_ENOTFOUND);
	assert_int_equal(send_text(fixture, session, "t", 2, "k", "v", 0), LEAT_ECONFIG);
	assert_string_equal(fixture->fault.text, "topic t has 2 partitions, there is no partition 2");
	assert_int_equal(send_text(fixture, session, "c", 0, NULL, "v", 0), LEAT_ECONFIG);
	assert_string_equal(fixture->fault.text, "topic c is compacted: its records need a key");
	uint8_t *big = calloc(1, 9 << 20);
	const struct leat_record record = { .key = leat_text("k"), .value = leat_bytes(big, 9 << 20) };
	assert_int_equal(fixture->transport->ops->session_send(session, "t", 0, &record, 0, &fixture->fault), LEAT_ELIMIT);
	free(big);
	expect_ok(fixture, commit(fixture, session));
	assert_string_equal(content(fixture, "t", 0), "");
	fixture->transport->ops->session_close(session, true);
}

static void a_plain_writers_records_are_visible_after_its_commit(void **state)
{
	struct fixture *fixture = *state;
	open_with(fixture, NULL, NULL);
	create_topic(fixture, "t", 1);
	struct leat_session *session = open_session(fixture, -1);
	expect_ok(fixture, send_text(fixture, session, "t", 0, "k", "1", 0));
	assert_string_equal(content(fixture, "t", 0), "");
	expect_ok(fixture, commit(fixture, session));
	assert_string_equal(content(fixture, "t", 0), "0:k=1 ");
	expect_ok(fixture, send_text(fixture, session, "t", 0, "k", "2", 0));
	fixture->now_ms += 5;
	expect_ok(fixture, send_text(fixture, session, "t", 0, "k", "3", 0));
	assert_string_equal(content(fixture, "t", 0), "0:k=1 1:k=2 2:k=3 ");
	fixture->transport->ops->session_close(session, true);
}

/* ---- commits that fail ---- */

static void a_commit_made_to_fail_writes_nothing_and_must_be_reset(void **state)
{
	struct fixture *fixture = *state;
	open_with(fixture, "fail_commit", "2");
	create_topic(fixture, "t", 1);
	struct leat_session *session = open_session(fixture, 0);
	for (int i = 1; i <= 3; i++) {
		expect_ok(fixture, send_text(fixture, session, "t", 0, "k", i == 1 ? "1" : i == 2 ? "2" : "3", 0));
		assert_int_equal(commit(fixture, session), i == 2 ? LEAT_EABORT : 0);
		if (i != 2)
			continue;
		assert_int_equal(send_text(fixture, session, "t", 0, "k", "x", 0), LEAT_EABORT);
		assert_int_equal(commit(fixture, session), LEAT_EABORT);
		expect_ok(fixture, fixture->transport->ops->session_reset(session, &fixture->fault));
	}
	fixture->transport->ops->session_close(session, true);
	assert_string_equal(content(fixture, "t", 0), "0:k=1 1:k=3 ");
}

static void a_commit_of_unknown_outcome_is_written(void **state)
{
	struct fixture *fixture = *state;
	open_with(fixture, "unknown_commit", "1");
	create_topic(fixture, "t", 4);
	struct leat_session *session = open_session(fixture, 0);
	const struct leat_position position = { "t", 0, 17 };
	int64_t offset;
	expect_ok(fixture, send_text(fixture, session, "t", 0, "k", "1", 0));
	assert_int_equal(fixture->transport->ops->session_commit(session, &position, 1, "m", &fixture->fault), LEAT_ERETRY);
	expect_ok(fixture, fixture->transport->ops->session_reset(session, &fixture->fault));
	expect_ok(fixture, fixture->transport->ops->session_committed(session, "t", 0, &offset, NULL, 0, 0, &fixture->fault));
	assert_int_equal(offset, 17);
	assert_string_equal(content(fixture, "t", 0), "0:k=1 ");
	fixture->transport->ops->session_close(session, true);
}

/* ---- positions and rows ---- */

static void positions_and_their_metadata_come_back_after_reopening(void **state)
{
	struct fixture *fixture = *state;
	int64_t offset;
	char metadata[32] = "?";
	open_with(fixture, NULL, NULL);
	create_topic(fixture, "t", 4);
	struct leat_session *session = open_session(fixture, 0);
	const struct leat_position positions[] = { { "t", 0, 5 }, { "t", 3, 7 } };
	expect_ok(fixture, fixture->transport->ops->session_commit(session, positions, 2, "what the engine says", &fixture->fault));
	fixture->transport->ops->session_close(session, true);
	reopen(fixture);
	session = open_session(fixture, 0);
	expect_ok(fixture, fixture->transport->ops->session_committed(session, "t", 3, &offset, metadata, sizeof metadata, 0, &fixture->fault));
	assert_int_equal(offset, 7);
	assert_string_equal(metadata, "what the engine says");
	expect_ok(fixture, fixture->transport->ops->session_committed(session, "t", 0, &offset, metadata, 5, 0, &fixture->fault));
	assert_int_equal(offset, 5);
	assert_string_equal(metadata, "what");
	expect_ok(fixture, fixture->transport->ops->session_committed(session, "t", 1, &offset, metadata, sizeof metadata, 0, &fixture->fault));
	assert_int_equal(offset, -1);
	assert_string_equal(metadata, "");
	fixture->transport->ops->session_close(session, true);
}

static int keep_value(void *self, size_t index, struct leat_bytes value)
{
	char (*values)[16] = self;
	snprintf(values[index], sizeof values[index], "%.*s", (int)value.length, (const char *)value.data);
	return 0;
}

static const char *rows_of(struct leat_store *store)
{
	static char text[64];
	char values[2][16] = { "-", "-" };
	const struct leat_bytes keys[] = { leat_text("a"), leat_text("b") };
	assert_int_equal(leat_store_get_many(store, LEAT_FAMILY_ROWS, keys, 2, keep_value, values), 0);
	snprintf(text, sizeof text, "a=%s b=%s", values[0], values[1]);
	return text;
}

static void rows_are_written_by_the_commit_and_belong_to_one_task(void **state)
{
	struct fixture *fixture = *state;
	open_with(fixture, NULL, NULL);
	const struct leat_transport_ops *ops = fixture->transport->ops;
	struct leat_session *session = open_session(fixture, 0);
	struct leat_store *one, *two;
	expect_ok(fixture, ops->store_open(fixture->transport, NULL, 1, "owner 1", &one, &fixture->fault));
	expect_ok(fixture, ops->store_open(fixture->transport, NULL, 2, "owner 2", &two, &fixture->fault));
	expect_ok(fixture, ops->session_row(session, 1, "changelog", leat_text("a"), leat_text("1"), &fixture->fault));
	leat_writes_put(ops->session_writes(session), one, LEAT_FAMILY_ROWS, leat_text("b"), leat_text("2"));
	assert_string_equal(rows_of(one), "a=- b=-");
	expect_ok(fixture, commit(fixture, session));
	assert_string_equal(rows_of(one), "a=1 b=2");
	assert_string_equal(rows_of(two), "a=- b=-");
	expect_ok(fixture, ops->session_row(session, 1, "changelog", leat_text("a"), (struct leat_bytes){ 0 }, &fixture->fault));
	expect_ok(fixture, ops->session_reset(session, &fixture->fault));
	expect_ok(fixture, ops->session_row(session, 1, "changelog", leat_text("b"), (struct leat_bytes){ 0 }, &fixture->fault));
	expect_ok(fixture, commit(fixture, session));
	assert_string_equal(rows_of(one), "a=1 b=-");
	leat_store_close(one, false);
	leat_store_close(two, false);
	ops->session_close(session, true);
}

static void state_of_another_owner_is_refused_with_both_texts(void **state)
{
	struct fixture *fixture = *state;
	struct leat_store *store;
	open_with(fixture, NULL, NULL);
	expect_ok(fixture, fixture->transport->ops->store_open(fixture->transport, NULL, 1, "app, 4 partitions", &store, &fixture->fault));
	leat_store_close(store, false);
	reopen(fixture);
	expect_ok(fixture, fixture->transport->ops->store_open(fixture->transport, NULL, 1, "app, 4 partitions", &store, &fixture->fault));
	leat_store_close(store, false);
	assert_int_equal(fixture->transport->ops->store_open(fixture->transport, NULL, 1, "app, 8 partitions", &store, &fixture->fault), LEAT_EFOREIGN);
	assert_non_null(strstr(fixture->fault.text, "\"app, 4 partitions\", not to \"app, 8 partitions\""));
}

static void a_discarded_store_is_empty_and_free_and_its_neighbours_stay(void **state)
{
	struct fixture *fixture = *state;
	open_with(fixture, NULL, NULL);
	const struct leat_transport_ops *ops = fixture->transport->ops;
	struct leat_session *session = open_session(fixture, 0);
	struct leat_store *store;
	for (int32_t task = 0; task < 3; task++) {
		expect_ok(fixture, ops->store_open(fixture->transport, NULL, task, "first", &store, &fixture->fault));
		leat_store_close(store, false);
		expect_ok(fixture, ops->session_row(session, task, NULL, leat_text("a"), leat_text("1"), &fixture->fault));
	}
	expect_ok(fixture, commit(fixture, session));
	expect_ok(fixture, ops->store_discard(fixture->transport, 1, &fixture->fault));
	for (int32_t task = 0; task < 3; task++) {
		expect_ok(fixture, ops->store_open(fixture->transport, NULL, task, task == 1 ? "second" : "first", &store, &fixture->fault));
		assert_string_equal(rows_of(store), task == 1 ? "a=- b=-" : "a=1 b=-");
		leat_store_close(store, false);
	}
	ops->session_close(session, true);
}

/* ---- tasks ---- */

struct worker {
	struct fixture *fixture;
	struct leat_session *session;
	char told[128];
};

static void tell(struct worker *worker, char what, int32_t task)
{
	size_t length = strlen(worker->told);
	snprintf(worker->told + length, sizeof worker->told - length, "%c%d ", what, task);
}

static void on_assigned(void *self, int32_t task)
{
	tell(self, '+', task);
}

/* Commits inside, as an engine does: the task is still its own. */
static void on_revoked(void *self, int32_t task)
{
	struct worker *worker = self;
	tell(worker, '-', task);
	const struct leat_position position = { "t", task, 100 + task };
	expect_ok(worker->fixture, worker->fixture->transport->ops->session_commit(worker->session, &position, 1, NULL, &worker->fixture->fault));
}

static void open_worker(struct fixture *fixture, struct worker *worker, int number, int32_t tasks)
{
	const struct leat_session_config config = { .worker = number, .tasks = tasks, .transactional = true, .events = { worker, on_assigned, on_revoked, NULL } };
	*worker = (struct worker){ .fixture = fixture };
	expect_ok(fixture, fixture->transport->ops->session_open(fixture->transport, &config, &worker->session, &fixture->fault));
}

static const char *poll_told(struct worker *worker)
{
	static char text[128];
	worker->told[0] = '\0';
	expect_ok(worker->fixture, worker->fixture->transport->ops->session_poll(worker->session, 1000000, &worker->fixture->fault));
	snprintf(text, sizeof text, "%s", worker->told);
	return text;
}

static void tasks_are_split_evenly_and_handed_over_only_after_they_were_given_up(void **state)
{
	struct fixture *fixture = *state;
	struct worker a, b, c;
	open_with(fixture, NULL, NULL);
	create_topic(fixture, "t", 5);
	open_worker(fixture, &a, 0, 5);
	assert_string_equal(poll_told(&a), "+0 +1 +2 +3 +4 ");
	open_worker(fixture, &b, 1, 5);
	assert_string_equal(poll_told(&b), "");
	assert_string_equal(poll_told(&a), "-3 -4 ");
	assert_string_equal(poll_told(&b), "+3 +4 ");
	open_worker(fixture, &c, 2, 5);
	assert_string_equal(poll_told(&b), "");
	assert_string_equal(poll_told(&a), "-2 ");
	assert_string_equal(poll_told(&c), "+2 ");
	a.told[0] = '\0';
	fixture->transport->ops->session_close(a.session, true);
	assert_string_equal(a.told, "-0 -1 ");
	assert_string_equal(poll_told(&b), "+0 ");
	assert_string_equal(poll_told(&c), "+1 ");
	fixture->transport->ops->session_close(b.session, false);
	assert_string_equal(poll_told(&c), "+0 +3 +4 ");
	fixture->transport->ops->session_close(c.session, true);
}

static void the_position_of_a_task_that_is_not_ours_is_fenced(void **state)
{
	struct fixture *fixture = *state;
	struct worker a, b;
	int64_t offset;
	open_with(fixture, NULL, NULL);
	create_topic(fixture, "t", 2);
	open_worker(fixture, &a, 0, 2);
	poll_told(&a);
	open_worker(fixture, &b, 1, 2);
	poll_told(&a);
	poll_told(&b);
	const struct leat_position position = { "t", 1, 5 };
	assert_int_equal(fixture->transport->ops->session_commit(a.session, &position, 1, NULL, &fixture->fault), LEAT_EFENCED);
	expect_ok(fixture, fixture->transport->ops->session_committed(a.session, "t", 1, &offset, NULL, 0, 0, &fixture->fault));
	assert_int_equal(offset, 101);
	fixture->transport->ops->session_close(a.session, false);
	fixture->transport->ops->session_close(b.session, true);
}

static void sessions_must_agree_on_the_count_of_tasks(void **state)
{
	struct fixture *fixture = *state;
	struct worker a;
	struct leat_session *session;
	open_with(fixture, NULL, NULL);
	create_topic(fixture, "t", 2);
	open_worker(fixture, &a, 0, 2);
	assert_int_equal(fixture->transport->ops->session_open(fixture->transport, &(struct leat_session_config){ .worker = 1, .tasks = 3 }, &session, &fixture->fault), LEAT_ECONFIG);
	assert_string_equal(fixture->fault.text, "the open sessions have 2 tasks, this one asks for 3");
	assert_null(session);
	fixture->transport->ops->session_close(a.session, true);
}

/* ---- feeds ---- */

/* Takes everything, @step records at a time; checks that offsets go up by one from @offset. Returns the next. */
static int64_t drain(struct fixture *fixture, struct leat_feed *feed, int64_t offset, size_t step)
{
	const struct leat_transport_ops *ops = fixture->transport->ops;
	for (;;) {
		const struct leat_record *records;
		bool at_end;
		long count = ops->feed_take(feed, &records, &at_end, &fixture->fault);
		expect_ok(fixture, (int)count);
		size_t used = LEAT_MIN((size_t)count, step);
		for (size_t i = 0; i < used; i++)
			assert_int_equal(records[i].offset, offset++);
		ops->feed_release(feed, used);
		if (count == 0) {
			assert_true(at_end);
			return offset;
		}
	}
}

static void send_numbers(struct fixture *fixture, struct leat_session *session, int count)
{
	char text[16];
	for (int i = 0; i < count; i++) {
		snprintf(text, sizeof text, "%d", i);
		expect_ok(fixture, send_text(fixture, session, "t", 0, NULL, text, 0));
	}
	expect_ok(fixture, commit(fixture, session));
}

static void a_feed_gives_every_record_once_in_order_whatever_the_sizes(void **state)
{
	struct fixture *fixture = *state;
	static const int commits[] = { 1, 511, 1, 512, 513, 3000, 1, 1, 1, 700 };
	open_with(fixture, NULL, NULL);
	create_topic(fixture, "t", 4);
	struct leat_session *session = open_session(fixture, 0);
	struct leat_feed *feed, *middle;
	int64_t total = 0, next = 0;
	expect_ok(fixture, fixture->transport->ops->feed_open(session, "t", 0, -1, &feed, &fixture->fault));
	for (size_t i = 0; i < LEAT_COUNT_OF(commits); i++) {
		send_numbers(fixture, session, commits[i]);
		total += commits[i];
		assert_int_equal(fixture->transport->ops->feed_lag(feed), total - next);
		if (i % 2)
			next = drain(fixture, feed, next, i % 3 ? 100 : 100000);
	}
	assert_int_equal(next, total);
	for (int64_t start = 500; start < total; start += 701) {
		expect_ok(fixture, fixture->transport->ops->feed_open(session, "t", 0, start, &middle, &fixture->fault));
		assert_int_equal(drain(fixture, middle, start, 10000), total);
		fixture->transport->ops->feed_close(middle);
	}
	fixture->transport->ops->feed_close(feed);
	fixture->transport->ops->session_close(session, true);
}

static void a_feed_outside_the_log_is_a_gap(void **state)
{
	struct fixture *fixture = *state;
	struct leat_feed *feed;
	open_with(fixture, NULL, NULL);
	create_topic(fixture, "t", 4);
	struct leat_session *session = open_session(fixture, 0);
	send_numbers(fixture, session, 10);
	assert_int_equal(fixture->transport->ops->feed_open(session, "t", 0, 11, &feed, &fixture->fault), LEAT_EGAP);
	assert_null(feed);
	expect_ok(fixture, fixture->transport->ops->feed_open(session, "t", 0, 10, &feed, &fixture->fault));
	fixture->transport->ops->feed_close(feed);
	expect_ok(fixture, fixture->transport->ops->trim(fixture->transport, "t", 0, 5, &fixture->fault));
	assert_int_equal(fixture->transport->ops->feed_open(session, "t", 0, 4, &feed, &fixture->fault), LEAT_EGAP);
	assert_string_equal(fixture->fault.text, "topic t, partition 0: offset 4 is gone, the first still there is 5");
	expect_ok(fixture, fixture->transport->ops->feed_open(session, "t", 0, -1, &feed, &fixture->fault));
	assert_int_equal(drain(fixture, feed, 5, 100), 10);
	fixture->transport->ops->session_close(session, true);
	fixture->transport->ops->feed_close(feed);
}

/* With the real clock: a poll that does not see what it should would last its whole minute. */
static void reopen_on_real_time(struct fixture *fixture)
{
	const struct leat_pair_text settings[] = { { "socket", "off" }, { NULL, NULL } };
	const struct leat_transport_config config = { .application = "app", .directory = fixture->directory, .settings = settings };
	if (fixture->transport)
		close_transport(fixture);
	expect_ok(fixture, leat_embedded_open(&fixture->transport, &config, &fixture->fault));
}

static void poll_minute(struct fixture *fixture, struct leat_session *session)
{
	int64_t start_us = leat_clock_mono_us(NULL);
	expect_ok(fixture, fixture->transport->ops->session_poll(session, 60000000, &fixture->fault));
	assert_true(leat_clock_mono_us(NULL) - start_us < 30000000);
}

static void *commit_and_wake(void *self)
{
	struct worker *worker = self;
	struct fixture copy = *worker->fixture;
	put(&copy, "t", 0, "k", "v");
	copy.transport->ops->session_wake(worker->session);
	return NULL;
}

static void poll_ends_on_new_records_what_is_left_and_a_wake(void **state)
{
	struct fixture *fixture = *state;
	const struct leat_record *records;
	struct leat_feed *feed;
	pthread_t thread;
	bool at_end;
	reopen_on_real_time(fixture);
	create_topic(fixture, "t", 4);
	struct leat_session *session = open_session(fixture, 0);
	const struct leat_transport_ops *ops = fixture->transport->ops;
	expect_ok(fixture, ops->feed_open(session, "t", 0, -1, &feed, &fixture->fault));
	struct worker other = { .fixture = fixture, .session = session };
	pthread_create(&thread, NULL, commit_and_wake, &other);
	poll_minute(fixture, session);
	pthread_join(thread, NULL);
	poll_minute(fixture, session);       /* the record, or the wake that came after it */
	put(fixture, "t", 0, "k", "w");
	assert_int_equal(ops->feed_take(feed, &records, &at_end, &fixture->fault), 2);
	ops->feed_release(feed, 1);
	poll_minute(fixture, session);       /* one is left */
	assert_int_equal(ops->feed_take(feed, &records, &at_end, &fixture->fault), 1);
	ops->session_wake(session);
	poll_minute(fixture, session);
	ops->feed_close(feed);
	ops->session_close(session, true);
}

static void a_worker_that_withholds_a_feed_does_not_spin(void **state)
{
	struct fixture *fixture = *state;
	const struct leat_record *records;
	struct leat_feed *feed;
	bool at_end;
	reopen_on_real_time(fixture);
	create_topic(fixture, "t", 4);
	struct leat_session *session = open_session(fixture, 0);
	const struct leat_transport_ops *ops = fixture->transport->ops;
	put(fixture, "t", 0, "k", "v");
	expect_ok(fixture, ops->feed_open(session, "t", 0, -1, &feed, &fixture->fault));
	assert_int_equal(ops->feed_take(feed, &records, &at_end, &fixture->fault), 1);
	int64_t start_us = leat_clock_mono_us(NULL);
	expect_ok(fixture, ops->session_poll(session, 20000, &fixture->fault));
	assert_true(leat_clock_mono_us(NULL) - start_us >= 20000);
	ops->feed_close(feed);
	ops->session_close(session, true);
}

/* ---- memory ---- */

static int scenario(struct fixture *fixture)
{
	static const struct leat_record record = { .timestamp_ms = 1, .key = { (const uint8_t *)"k", 1 }, .value = { (const uint8_t *)"v", 1 }, .headers = two_headers, .header_count = 2 };
	struct leat_session *session = NULL;
	struct leat_feed *feed = NULL;
	struct leat_store *store = NULL;
	const struct leat_record *records;
	bool at_end;
	int rc = try_open(fixture, NULL, NULL);
	if (rc < 0)
		return rc;
	struct leat_transport *transport = fixture->transport;
	const struct leat_transport_ops *ops = transport->ops;
	rc = ops->create(transport, &(struct leat_topic_spec){ .name = "t", .partitions = 4, .compacted = true }, &fixture->fault);
	if (rc >= 0)
		rc = ops->session_open(transport, &(struct leat_session_config){ .tasks = 4 }, &session, &fixture->fault);
	if (rc >= 0)
		rc = ops->session_poll(session, 0, &fixture->fault);
	if (rc >= 0)
		rc = ops->store_open(transport, NULL, 0, "owner", &store, &fixture->fault);
	if (rc >= 0)
		rc = ops->session_send(session, "t", 0, &record, 0, &fixture->fault);
	if (rc >= 0)
		rc = ops->session_row(session, 0, NULL, leat_text("a"), leat_text("1"), &fixture->fault);
	if (rc >= 0)
		rc = ops->session_commit(session, &(struct leat_position){ "t", 0, 1 }, 1, "m", &fixture->fault);
	if (rc >= 0)
		rc = ops->session_send(session, "t", 0, &record, LEAT_SEND_EARLY, &fixture->fault);
	if (rc >= 0)
		rc = ops->feed_open(session, "t", 0, 0, &feed, &fixture->fault);
	if (rc >= 0)
		rc = (int)ops->feed_take(feed, &records, &at_end, &fixture->fault);
	if (feed)
		ops->feed_close(feed);
	leat_store_close(store, false);
	ops->session_close(session, true);
	return rc;
}

static void running_out_of_memory_anywhere_is_an_error_and_hurts_nothing(void **state)
{
	struct fixture *fixture = *state;
	enum leat_level level = leat_log_level;
	uint64_t nth = 0;
	int rc;
	leat_log_level = LEAT_ERROR;
	do {
		leat_alloc_fail_at(++nth);
		rc = scenario(fixture);
		leat_alloc_fail_at(0);
		assert_true(rc >= 0 || rc == LEAT_ENOMEM);
		if (fixture->transport)
			close_transport(fixture);
	} while (rc < 0 || nth < 30);
	leat_log_level = level;
	open_with(fixture, NULL, NULL);
	struct leat_session *session = open_session(fixture, 0);
	int64_t offset;
	expect_ok(fixture, fixture->transport->ops->session_committed(session, "t", 0, &offset, NULL, 0, 0, &fixture->fault));
	assert_int_equal(offset, 1);
	fixture->transport->ops->session_close(session, true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		EMBEDDED_TEST(records_come_back_as_they_were_sent_also_after_reopening),
		EMBEDDED_TEST(a_transaction_is_invisible_before_its_commit_and_whole_after_it),
		EMBEDDED_TEST(a_reset_and_a_close_drop_what_was_not_committed),
		EMBEDDED_TEST(early_records_are_visible_at_once_and_stay_after_a_reset),
		EMBEDDED_TEST(a_key_decides_the_partition_and_none_takes_turns),
		EMBEDDED_TEST(a_record_that_cannot_be_taken_is_refused_with_the_reason),
		EMBEDDED_TEST(a_plain_writers_records_are_visible_after_its_commit),
		EMBEDDED_TEST(a_commit_made_to_fail_writes_nothing_and_must_be_reset),
		EMBEDDED_TEST(a_commit_of_unknown_outcome_is_written),
		EMBEDDED_TEST(positions_and_their_metadata_come_back_after_reopening),
		EMBEDDED_TEST(rows_are_written_by_the_commit_and_belong_to_one_task),
		EMBEDDED_TEST(state_of_another_owner_is_refused_with_both_texts),
		EMBEDDED_TEST(a_discarded_store_is_empty_and_free_and_its_neighbours_stay),
		EMBEDDED_TEST(tasks_are_split_evenly_and_handed_over_only_after_they_were_given_up),
		EMBEDDED_TEST(the_position_of_a_task_that_is_not_ours_is_fenced),
		EMBEDDED_TEST(sessions_must_agree_on_the_count_of_tasks),
		EMBEDDED_TEST(a_feed_gives_every_record_once_in_order_whatever_the_sizes),
		EMBEDDED_TEST(a_feed_outside_the_log_is_a_gap),
		EMBEDDED_TEST(poll_ends_on_new_records_what_is_left_and_a_wake),
		EMBEDDED_TEST(a_worker_that_withholds_a_feed_does_not_spin),
		EMBEDDED_TEST(running_out_of_memory_anywhere_is_an_error_and_hurts_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
