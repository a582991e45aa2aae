/* Commits beside the work: what waits, what goes, and what becomes of it when the commit fails. Skipped without BROKER. */
#include "stream/kafka_internal.h"
#include "tests/stream/kafka_help.h"

static void open_member(struct side *side, const char *application, const char *output, bool early)
{
	side_open(side, test_broker(), application, "one");
	side->output = output;
	make_topic(side, output);
	struct leat_session_config config = side_config(side);
	config.early = early;
	side_join(side, &config);
	side_wait(side, TASKS);
}

static void send_text(struct side *side, const char *value, unsigned flags)
{
	struct leat_record record = text_record("k", value);
	must(side->ops->session_send_many(side->session, side->output, 0, &record, 1, flags, &side->fault));
}

static void expect_output(struct side *side, const char *wanted)
{
	char text[4096];
	read_all(side, side->output, 0, text, sizeof text);
	assert_string_equal(text, wanted);
}

static void start(struct side *side)
{
	struct leat_position position = { side->output, 0, 7 };
	must(side->ops->session_commit_start(side->session, &position, 1, "meta", &side->fault));
}

static void what_is_sent_meanwhile_belongs_to_the_next_commit(void **state)
{
	(void)state;
	NEEDS_BROKER();
	struct side room = { 0 }, *side = &room;
	open_member(side, fresh_name("app"), fresh_name("out"), false);
	assert_int_equal(must(side->ops->session_commit_end(side->session, &side->fault)), 0);   /* none was started */
	send_text(side, "a", 0);
	start(side);
	send_text(side, "b", 0);
	must(side->ops->session_commit_end(side->session, &side->fault));
	assert_true(side->ops->session_commit_ended(side->session));
	expect_output(side, "a");
	int64_t offset;
	must(side->ops->session_committed(side->session, side->output, 0, &offset, NULL, 0, 5000, &side->fault));
	assert_int_equal(offset, 7);
	must(side->ops->session_commit(side->session, NULL, 0, "", &side->fault));
	expect_output(side, "a b");
	side_close(side);
}

static void a_poll_wakes_when_it_has_ended(void **state)
{
	(void)state;
	NEEDS_BROKER();
	struct side room = { 0 }, *side = &room;
	open_member(side, fresh_name("app"), fresh_name("out"), false);
	send_text(side, "a", 0);
	start(side);
	int64_t begin = now_ms();
	while (!side->ops->session_commit_ended(side->session))
		must(side->ops->session_poll(side->session, 60000000, &side->fault));
	assert_true(now_ms() - begin < SOON_MS);
	must(side->ops->session_commit_end(side->session, &side->fault));
	expect_output(side, "a");
	side_close(side);
}

static void expect_same(const struct leat_record *a, const struct leat_record *b)
{
	assert_true(leat_bytes_equal(a->key, b->key) && !a->key.data == !b->key.data);
	assert_true(leat_bytes_equal(a->value, b->value) && !a->value.data == !b->value.data);
	assert_int_equal(a->header_count, b->header_count);
	for (uint32_t i = 0; i < a->header_count; i++) {
		assert_true(leat_bytes_equal(a->headers[i].name, b->headers[i].name));
		assert_true(leat_bytes_equal(a->headers[i].value, b->headers[i].value) && !a->headers[i].value.data == !b->headers[i].value.data);
	}
}

static void what_waited_comes_as_it_was_sent(void **state)
{
	(void)state;
	NEEDS_BROKER();
	struct side room = { 0 }, *side = &room;
	open_member(side, fresh_name("app"), fresh_name("out"), false);
	const struct leat_header headers[] = { { leat_text("x"), leat_text("1") }, { leat_text(""), leat_bytes(NULL, 0) }, { leat_text("empty"), leat_text("") } };
	const struct leat_record sent[] = {
		{ .timestamp_ms = 1234567890123, .key = leat_text("key"), .value = leat_text("value"), .headers = headers, .header_count = 3 },
		{ .timestamp_ms = 1234567890124, .value = leat_text("") },
		{ .timestamp_ms = 1234567890125, .key = leat_text("") },
	};
	send_text(side, "first", 0);
	start(side);
	for (size_t i = 0; i < LEAT_COUNT_OF(sent); i++)
		must(side->ops->session_send(side->session, side->output, 1, &sent[i], 0, &side->fault));
	must(side->ops->session_commit_end(side->session, &side->fault));
	must(side->ops->session_commit(side->session, NULL, 0, "", &side->fault));
	struct leat_reader *reader = NULL;
	const struct leat_record *records;
	bool at_end = false;
	int64_t position;
	size_t seen = 0;
	must(side->ops->reader_open(side->transport, side->output, 1, 0, &reader, &side->fault));
	while (!at_end) {
		long count = must(side->ops->reader_next(reader, &records, 10, 5000, &at_end, &position, &side->fault));
		for (long i = 0; i < count; i++, seen++) {
			assert_true(seen < LEAT_COUNT_OF(sent));
			expect_same(&records[i], &sent[seen]);
			assert_int_equal(records[i].timestamp_ms, sent[seen].timestamp_ms);
		}
	}
	assert_int_equal(seen, LEAT_COUNT_OF(sent));
	side->ops->reader_close(reader);
	side_close(side);
}

static void more_than_may_wait_waits_for_the_commit_and_keeps_its_order(void **state)
{
	(void)state;
	NEEDS_BROKER();
	enum { COUNT = 200, SIZE = 100000 };
	struct side room = { 0 }, *side = &room;
	open_member(side, fresh_name("app"), fresh_name("out"), false);
	char *value = leat_malloc(SIZE);
	memset(value, 'x', SIZE);
	send_text(side, "first", 0);
	start(side);
	for (int i = 0; i < COUNT; i++) {
		memcpy(value, &i, sizeof i);
		struct leat_record record = { .timestamp_ms = -1, .value = leat_bytes(value, SIZE) };
		must(side->ops->session_send(side->session, side->output, 2, &record, 0, &side->fault));
	}
	must(side->ops->session_commit_end(side->session, &side->fault));
	must(side->ops->session_commit(side->session, NULL, 0, "", &side->fault));
	struct leat_reader *reader = NULL;
	const struct leat_record *records;
	bool at_end = false;
	int64_t position;
	int seen = 0;
	must(side->ops->reader_open(side->transport, side->output, 2, 0, &reader, &side->fault));
	while (!at_end) {
		long count = must(side->ops->reader_next(reader, &records, 100, 5000, &at_end, &position, &side->fault));
		for (long i = 0; i < count; i++, seen++)
			assert_memory_equal(records[i].value.data, &seen, sizeof seen);
	}
	assert_int_equal(seen, COUNT);
	side->ops->reader_close(reader);
	leat_free(value);
	side_close(side);
}

static void a_commit_that_fails_takes_what_waited_with_it(void **state)
{
	(void)state;
	NEEDS_BROKER();
	struct side room = { 0 }, *side = &room, other = { 0 };
	const char *application = fresh_name("app");
	char id[200];
	snprintf(id, sizeof id, "%s-one-0", application);
	open_member(side, application, fresh_name("out"), false);
	side_open(&other, test_broker(), application, "two");
	struct leat_session_config config = { .worker = 1, .tasks = TASKS, .transaction_timeout_ms = 10000, .transactional = true, .memory = 32 << 20, .events = side_config(&other).events };
	must(other.ops->session_open(other.transport, &config, &other.session, &other.fault));
	send_text(side, "lost", 0);
	struct leat_fault fault = { 0 };
	assert_int_equal(other.ops->session_fence(other.session, id, &fault), 0);
	start(side);
	send_text(side, "lost too", 0);
	assert_true(side->ops->session_commit_end(side->session, &fault) < 0);
	assert_true(fault.text[0]);
	struct leat_record record = text_record("k", "lost as well");
	assert_true(side->ops->session_send(side->session, side->output, 0, &record, 0, &fault) < 0);
	must(side->ops->session_reset(side->session, &side->fault));
	send_text(side, "kept", 0);
	start(side);
	must(side->ops->session_commit_end(side->session, &side->fault));
	expect_output(side, "kept");
	side_close(side);
	side_close(&other);
}

static void early_records_do_not_wait(void **state)
{
	(void)state;
	NEEDS_BROKER();
	struct side room = { 0 }, *side = &room;
	open_member(side, fresh_name("app"), fresh_name("out"), true);
	const char *written = fresh_name("state");
	make_topic(side, written);
	struct leat_record record = text_record("k", "state");
	send_text(side, "before", LEAT_SEND_EARLY);
	must(side->ops->session_send(side->session, written, 0, &record, 0, &side->fault));
	start(side);
	send_text(side, "during", LEAT_SEND_EARLY);
	must(side->ops->session_commit_end(side->session, &side->fault));
	must(side->ops->session_send(side->session, written, 0, &record, 0, &side->fault));
	start(side);   /* waits for what was sent before it: «during» is there when it has ended */
	must(side->ops->session_commit_end(side->session, &side->fault));
	expect_output(side, "before during");
	side_close(side);
}

static void an_early_record_that_was_refused_is_not_forgotten_when_the_producer_is_renewed(void **state)
{
	(void)state;
	NEEDS_BROKER();
	static const struct leat_pair_text small[] = { { "max.message.bytes", "1000" }, { NULL, NULL } };
	struct side room = { 0 }, *side = &room;
	open_member(side, fresh_name("app"), fresh_name("out"), true);
	const char *strict = fresh_name("strict");
	const struct leat_topic_spec spec = { .name = strict, .partitions = TASKS, .config = small };
	must(side->ops->create(side->transport, &spec, &side->fault));
	send_text(side, "a", 0);
	must(side->ops->session_commit(side->session, NULL, 0, "", &side->fault));
	side->session->renew = true;   /* as after a commit in which a connection broke */
	char text[5000];
	for (size_t i = 0; i < sizeof text; i++)
		text[i] = (char)(i * 7919 >> 3);   /* does not compress to less than the topic takes */
	struct leat_record large = { .timestamp_ms = -1, .value = leat_bytes(text, sizeof text) };
	must(side->ops->session_send(side->session, strict, 0, &large, LEAT_SEND_EARLY, &side->fault));
	for (int64_t deadline = now_ms() + SOON_MS; !side->session->early->failed && now_ms() < deadline;)
		must(side->ops->session_poll(side->session, 20000, &side->fault));
	assert_true(side->session->early->failed);
	struct leat_fault fault = { 0 };
	send_text(side, "b", 0);
	assert_int_equal(side->ops->session_commit(side->session, NULL, 0, "", &fault), LEAT_ELIMIT);
	assert_non_null(strstr(fault.text, strict));
	side_close(side);
}

static void a_reset_and_a_close_wait_for_it(void **state)
{
	(void)state;
	NEEDS_BROKER();
	struct side room = { 0 }, *side = &room;
	open_member(side, fresh_name("app"), fresh_name("out"), false);
	send_text(side, "a", 0);
	start(side);
	send_text(side, "dropped", 0);
	must(side->ops->session_reset(side->session, &side->fault));
	assert_int_equal(must(side->ops->session_commit_end(side->session, &side->fault)), 0);
	send_text(side, "b", 0);
	start(side);
	send_text(side, "dropped", 0);
	side->ops->session_close(side->session, true);
	side->session = NULL;
	expect_output(side, "a b");
	side_close(side);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_sent_meanwhile_belongs_to_the_next_commit),
		cmocka_unit_test(a_poll_wakes_when_it_has_ended),
		cmocka_unit_test(what_waited_comes_as_it_was_sent),
		cmocka_unit_test(more_than_may_wait_waits_for_the_commit_and_keeps_its_order),
		cmocka_unit_test(a_commit_that_fails_takes_what_waited_with_it),
		cmocka_unit_test(early_records_do_not_wait),
		cmocka_unit_test(an_early_record_that_was_refused_is_not_forgotten_when_the_producer_is_renewed),
		cmocka_unit_test(a_reset_and_a_close_wait_for_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
