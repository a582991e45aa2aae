/* What the tests of the Kafka transport share: a broker, names of their own, a worker in small. */
#ifndef LEAT_KAFKA_HELP_H
#define LEAT_KAFKA_HELP_H

#include "stream/transport.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

enum { TASKS = 4, SOON_MS = 15000 };

/* host:port of a real broker, which tests/run.sh starts and names in BROKER. */
static inline const char *test_broker(void)
{
	const char *broker = getenv("LEAT_TEST_BROKER");
	return broker ? broker : getenv("BROKER");
}

#define NEEDS_BROKER()                                                                              \
	do {                                                                                        \
		if (!test_broker()) {                                                               \
			printf("skip: no broker: set LEAT_TEST_BROKER=host:port\n");                \
			skip();                                                                     \
		}                                                                                   \
	} while (0)

/* A name nobody else uses. */
static inline const char *fresh_name(const char *what)
{
	static char name[8][80];
	static unsigned turn;
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	char *text = name[turn++ % 8];
	snprintf(text, sizeof name[0], "t-%s-%lld-%d", what, (long long)now.tv_sec * 1000000 + now.tv_nsec / 1000, (int)getpid());
	return text;
}

/* A worker in small. */
struct side {
	struct leat_transport *transport;
	const struct leat_transport_ops *ops;
	struct leat_session *session;
	struct leat_feed *feeds[TASKS];
	bool owned[TASKS];
	int owned_count, revoked_count, lost_count;
	int64_t next[TASKS];
	const char *input, *output;
	void (*on_revoked)(struct side *side, int32_t task);
	struct leat_fault fault;
};

#define must(call) must_(call, &side->fault, #call, __FILE__, __LINE__)
static inline long must_(long rc, const struct leat_fault *fault, const char *call, const char *file, int line)
{
	if (rc < 0) {
		print_error("%s gave %ld: %s\n", call, rc, fault->text);
		_fail(file, line);
	}
	return rc;
}

static inline void side_open(struct side *side, const char *broker, const char *application, const char *instance)
{
	struct leat_transport_config config = { .application = application, .instance = instance, .state_dir = "/tmp/leat-kafka-test", .brokers = broker };
	must(leat_kafka_open(&side->transport, &config, &side->fault));
	side->ops = side->transport->ops;
}

static inline void side_assigned(void *self, int32_t task)
{
	struct side *side = self;
	side->owned[task] = true;
	side->owned_count++;
}

static inline void side_drop(struct side *side, int32_t task)
{
	side->ops->feed_close(side->feeds[task]);
	side->feeds[task] = NULL;
	side->owned[task] = false;
	side->owned_count--;
}

static inline void side_revoked(void *self, int32_t task)
{
	struct side *side = self;
	side->revoked_count++;
	if (side->on_revoked)
		side->on_revoked(side, task);
	side_drop(side, task);
}

static inline void side_lost(void *self, int32_t task)
{
	struct side *side = self;
	side->lost_count++;
	side_drop(side, task);
}

static inline struct leat_session_config side_config(struct side *side)
{
	return (struct leat_session_config){
		.tasks = TASKS, .transaction_timeout_ms = 10000, .transactional = true, .memory = 32 << 20,
		.events = { .self = side, .assigned = side_assigned, .revoked = side_revoked, .lost = side_lost },
	};
}

static inline void side_join(struct side *side, const struct leat_session_config *config)
{
	must(side->ops->session_open(side->transport, config, &side->session, &side->fault));
}

static inline int64_t now_ms(void)
{
	return leat_clock_mono_us(NULL) / 1000;
}

/* Polls until @count tasks are ours. */
static inline void side_wait(struct side *side, int count)
{
	int64_t deadline = now_ms() + SOON_MS;
	while (side->owned_count != count && now_ms() < deadline)
		must(side->ops->session_poll(side->session, 50000, &side->fault));
	assert_int_equal(side->owned_count, count);
}

static inline void side_close(struct side *side)
{
	if (side->session)
		side->ops->session_close(side->session, true);
	side->ops->close(side->transport);
}

static inline void make_topic(struct side *side, const char *name)
{
	struct leat_topic_spec spec = { .name = name, .partitions = TASKS };
	must(side->ops->create(side->transport, &spec, &side->fault));
}

/* A session that only writes. */
static inline struct leat_session *plain_session(struct side *side)
{
	struct leat_session *session = NULL;
	struct leat_session_config config = { .worker = -1, .memory = 32 << 20 };
	must(side->ops->session_open(side->transport, &config, &session, &side->fault));
	return session;
}

static inline struct leat_record text_record(const char *key, const char *value)
{
	struct leat_record record = { .timestamp_ms = -1 };
	if (key)
		record.key = leat_text(key);
	if (value)
		record.value = leat_text(value);
	return record;
}

/* Writes "<partition>:0", "<partition>:1", … to each partition of @topic. */
static inline void write_numbers(struct side *side, const char *topic, int count)
{
	struct leat_session *session = plain_session(side);
	for (int32_t partition = 0; partition < TASKS; partition++)
		for (int i = 0; i < count; i++) {
			char value[32];
			snprintf(value, sizeof value, "%d:%d", (int)partition, i);
			struct leat_record record = text_record("k", value);
			must(side->ops->session_send_many(session, topic, partition, &record, 1, 0, &side->fault));
		}
	must(side->ops->session_commit(session, NULL, 0, NULL, &side->fault));
	side->ops->session_close(session, true);
}

/* Everything a read_committed reader sees of a partition, values joined by spaces, into @text. Returns the position after it. */
static inline int64_t read_all(struct side *side, const char *topic, int32_t partition, char *text, size_t size)
{
	struct leat_reader *reader = NULL;
	const struct leat_record *records;
	bool at_end = false;
	int64_t position = -1, deadline = now_ms() + SOON_MS;
	size_t length = 0;
	text[0] = '\0';
	must(side->ops->reader_open(side->transport, topic, partition, 0, &reader, &side->fault));
	while (!at_end && now_ms() < deadline) {
		long count = must(side->ops->reader_next(reader, &records, 1000, 1000, &at_end, &position, &side->fault));
		for (long i = 0; i < count; i++) {
			int added = snprintf(text + length, size - length, "%s%.*s", length ? " " : "", (int)records[i].value.length, (const char *)records[i].value.data);
			length += (size_t)added;
			assert_true(length < size);
		}
	}
	assert_true(at_end);
	side->ops->reader_close(reader);
	return position;
}

#endif
