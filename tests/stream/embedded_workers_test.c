/* Workers of one process on the embedded transport, each on its thread: what they copy while they come and go arrives once each. */
#include "tests/stream/embedded_help.h"

#include "base/column.h"

#include <pthread.h>
#include <stdatomic.h>

enum { TASKS = 4, RECORDS = 40000, BATCH = 200 };

struct copier {
	struct leat_transport *transport;
	struct leat_session *session;
	struct leat_feed *feeds[TASKS];
	int64_t next[TASKS];                 /* -1: not ours */
	int number;
	_Atomic bool stop;
	struct leat_fault fault;
};

static void need(struct copier *copier, long rc)
{
	if (rc < 0)
		fail_msg("worker %d: %ld: %s", copier->number, rc, copier->fault.text);
}

static void on_assigned(void *self, int32_t task)
{
	struct copier *copier = self;
	need(copier, copier->transport->ops->session_committed(copier->session, "in", task, &copier->next[task], NULL, 0, 0, &copier->fault));
	copier->next[task] = LEAT_MAX(copier->next[task], 0);
	need(copier, copier->transport->ops->feed_open(copier->session, "in", task, copier->next[task], &copier->feeds[task], &copier->fault));
}

static void commit_all(struct copier *copier)
{
	struct leat_position positions[TASKS];
	size_t count = 0;
	for (int32_t task = 0; task < TASKS; task++)
		if (copier->feeds[task])
			positions[count++] = (struct leat_position){ "in", task, copier->next[task] };
	need(copier, copier->transport->ops->session_commit(copier->session, positions, count, "", &copier->fault));
}

static void on_revoked(void *self, int32_t task)
{
	struct copier *copier = self;
	commit_all(copier);
	copier->transport->ops->feed_close(copier->feeds[task]);
	copier->feeds[task] = NULL;
}

static void copy_some(struct copier *copier, int32_t task)
{
	const struct leat_transport_ops *ops = copier->transport->ops;
	const struct leat_record *records;
	bool at_end;
	long count = ops->feed_take(copier->feeds[task], &records, &at_end, &copier->fault);
	need(copier, count);
	size_t some = LEAT_MIN((size_t)count, (size_t)BATCH);
	need(copier, ops->session_send_many(copier->session, "out", task, records, some, 0, &copier->fault));
	ops->feed_release(copier->feeds[task], some);
	copier->next[task] += (int64_t)some;
}

static void *copy(void *self)
{
	struct copier *copier = self;
	const struct leat_transport_ops *ops = copier->transport->ops;
	const struct leat_session_config config = { .worker = copier->number, .tasks = TASKS, .transactional = true, .events = { copier, on_assigned, on_revoked, NULL } };
	need(copier, ops->session_open(copier->transport, &config, &copier->session, &copier->fault));
	while (!copier->stop) {
		need(copier, ops->session_poll(copier->session, 1000, &copier->fault));
		for (int32_t task = 0; task < TASKS; task++)
			if (copier->feeds[task])
				copy_some(copier, task);
		commit_all(copier);
	}
	ops->session_close(copier->session, true);
	return NULL;
}

static void start(struct copier *copier, struct leat_transport *transport, int number, pthread_t *thread)
{
	*copier = (struct copier){ .transport = transport, .number = number };
	assert_int_equal(pthread_create(thread, NULL, copy, copier), 0);
}

static void stop(struct copier *copier, pthread_t thread)
{
	copier->stop = true;
	pthread_join(thread, NULL);
}

/* As another process would: through the socket. */
static void *generate(void *self)
{
	struct fixture *client = self;
	struct leat_session *session = open_session(client, -1);
	char text[16];
	for (int i = 0; i < RECORDS; i++) {
		snprintf(text, sizeof text, "%d", i / TASKS);
		expect_ok(client, send_text(client, session, "in", i % TASKS, NULL, text, 0));
	}
	client->transport->ops->session_close(session, true);
	return NULL;
}

static void open_real(struct fixture *fixture)
{
	const struct leat_transport_config config = { .application = "app", .directory = fixture->directory };
	expect_ok(fixture, leat_embedded_open(&fixture->transport, &config, &fixture->fault));
}

/* Reads out's partition until all have come and sees that they are 0, 1, 2, ... */
static void check_output(struct fixture *fixture, int32_t partition, int64_t until)
{
	const struct leat_transport_ops *ops = fixture->transport->ops;
	struct leat_reader *reader;
	int64_t next = 0, position;
	bool at_end;
	expect_ok(fixture, ops->reader_open(fixture->transport, "out", partition, 0, &reader, &fixture->fault));
	while (next < until) {
		const struct leat_record *records;
		long count = ops->reader_next(reader, &records, LEAT_BATCH_MAX, 60000, &at_end, &position, &fixture->fault);
		assert_true(count > 0);
		for (long i = 0; i < count; i++, next++) {
			char text[32];
			snprintf(text, sizeof text, "%lld", (long long)next);
			assert_true(leat_bytes_equal(records[i].value, leat_text(text)));
		}
	}
	ops->reader_close(reader);
}

static void three_workers_that_come_and_go_copy_every_record_once(void **state)
{
	struct fixture *owner = *state;
	struct copier a, b, c;
	pthread_t threads[4];
	open_real(owner);
	create_topic(owner, "in", TASKS);
	create_topic(owner, "out", TASKS);
	struct fixture client = *owner;
	open_real(&client);
	pthread_create(&threads[3], NULL, generate, &client);
	start(&a, owner->transport, 0, &threads[0]);
	check_output(&client, 0, 100);
	start(&b, owner->transport, 1, &threads[1]);
	check_output(owner, 1, RECORDS / TASKS / 4);
	start(&c, owner->transport, 2, &threads[2]);
	check_output(&client, 2, RECORDS / TASKS / 2);
	stop(&a, threads[0]);
	check_output(owner, 3, RECORDS / TASKS * 3 / 4);
	start(&a, owner->transport, 3, &threads[0]);
	for (int32_t p = 0; p < TASKS; p++)
		check_output(p % 2 ? owner : &client, p, RECORDS / TASKS);
	pthread_join(threads[3], NULL);
	stop(&b, threads[1]);
	stop(&c, threads[2]);
	stop(&a, threads[0]);
	for (int32_t p = 0; p < TASKS; p++)
		assert_string_equal(bounds_text(owner, "out", p), "0..10000");
	close_transport(&client);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		EMBEDDED_TEST(three_workers_that_come_and_go_copy_every_record_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
