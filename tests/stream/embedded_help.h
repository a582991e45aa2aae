/* What the tests of the embedded transport share: a directory of their own, a clock they move, short ways to send and read. */
#ifndef LEAT_EMBEDDED_HELP_H
#define LEAT_EMBEDDED_HELP_H

#include "stream/transport.h"

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

struct fixture {
	char directory[64];
	int64_t now_ms;                  /* of the virtual clock, wall and monotonic */
	struct leat_clock clock;
	struct leat_transport *transport;
	struct leat_fault fault;
};

static inline int64_t fixture_wall(void *self)
{
	return ((struct fixture *)self)->now_ms;
}

static inline int64_t fixture_mono(void *self)
{
	return ((struct fixture *)self)->now_ms * 1000;
}

static inline int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *walk)
{
	(void)status, (void)kind, (void)walk;
	return remove(path);
}

static inline void remove_tree(const char *path)
{
	nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

static inline int fixture_setup(void **state)
{
	struct fixture *fixture = calloc(1, sizeof *fixture);
	snprintf(fixture->directory, sizeof fixture->directory, "/tmp/leat-embedded-XXXXXX");
	fixture->now_ms = 1700000000000;
	fixture->clock = (struct leat_clock){ fixture_wall, fixture_mono, fixture };
	*state = fixture;
	return mkdtemp(fixture->directory) ? 0 : -1;
}

static inline int fixture_teardown(void **state)
{
	struct fixture *fixture = *state;
	if (fixture->transport)
		fixture->transport->ops->close(fixture->transport);
	remove_tree(fixture->directory);
	free(fixture);
	return 0;
}

/* Without a socket; one more setting unless @key is NULL. */
static inline int try_open(struct fixture *fixture, const char *key, const char *value)
{
	const struct leat_pair_text settings[] = { { "socket", "off" }, { key, value }, { NULL, NULL } };
	const struct leat_transport_config config = { .application = "app", .directory = fixture->directory, .settings = settings, .clock = &fixture->clock };
	fixture->fault = (struct leat_fault){ 0 };
	return leat_embedded_open(&fixture->transport, &config, &fixture->fault);
}

static inline void expect_ok(struct fixture *fixture, int rc)
{
	if (rc < 0)
		fail_msg("%d: %s", rc, fixture->fault.text);
}

static inline void open_with(struct fixture *fixture, const char *key, const char *value)
{
	expect_ok(fixture, try_open(fixture, key, value));
}

static inline void close_transport(struct fixture *fixture)
{
	fixture->transport->ops->close(fixture->transport);
	fixture->transport = NULL;
}

static inline void reopen(struct fixture *fixture)
{
	close_transport(fixture);
	open_with(fixture, NULL, NULL);
}

static inline void create_topic(struct fixture *fixture, const char *name, int32_t partitions)
{
	assert_int_equal(fixture->transport->ops->create(fixture->transport, &(struct leat_topic_spec){ .name = name, .partitions = partitions }, &fixture->fault), 1);
}

static inline struct leat_session *open_session(struct fixture *fixture, int worker)
{
	struct leat_session *session = NULL;
	const struct leat_session_config config = { .worker = worker, .tasks = 4, .transactional = true };
	expect_ok(fixture, fixture->transport->ops->session_open(fixture->transport, &config, &session, &fixture->fault));
	if (worker >= 0)
		expect_ok(fixture, fixture->transport->ops->session_poll(session, 0, &fixture->fault));
	return session;
}

static inline int send_text(struct fixture *fixture, struct leat_session *session, const char *topic, int32_t partition, const char *key, const char *value, unsigned flags)
{
	const struct leat_record record = { .timestamp_ms = -1, .key = key ? leat_text(key) : (struct leat_bytes){ 0 }, .value = value ? leat_text(value) : (struct leat_bytes){ 0 } };
	return fixture->transport->ops->session_send(session, topic, partition, &record, flags, &fixture->fault);
}

static inline int commit(struct fixture *fixture, struct leat_session *session)
{
	return fixture->transport->ops->session_commit(session, NULL, 0, NULL, &fixture->fault);
}

/* One plain record, at once. */
static inline void put(struct fixture *fixture, const char *topic, int32_t partition, const char *key, const char *value)
{
	struct leat_session *session = open_session(fixture, -1);
	expect_ok(fixture, send_text(fixture, session, topic, partition, key, value, 0));
	fixture->transport->ops->session_close(session, true);
}

/* Everything of a partition from @offset on as "offset:key=value " each; a negative code as text. */
static inline const char *content_from(struct fixture *fixture, const char *topic, int32_t partition, int64_t offset)
{
	static char text[1 << 16];
	const struct leat_transport_ops *ops = fixture->transport->ops;
	struct leat_reader *reader;
	size_t length = 0;
	bool at_end = false;
	text[0] = '\0';
	long rc = ops->reader_open(fixture->transport, topic, partition, offset, &reader, &fixture->fault);
	while (rc >= 0 && !at_end) {
		const struct leat_record *records;
		int64_t position;
		rc = ops->reader_next(reader, &records, 100, 0, &at_end, &position, &fixture->fault);
		for (long i = 0; i < rc; i++)
			length += (size_t)snprintf(text + length, sizeof text - length, "%lld:%.*s=%.*s ", (long long)records[i].offset, (int)records[i].key.length,
				records[i].key.data ? (const char *)records[i].key.data : "", (int)(records[i].value.data ? records[i].value.length : 4),
				records[i].value.data ? (const char *)records[i].value.data : "null");
	}
	if (reader)
		ops->reader_close(reader);
	if (rc < 0)
		snprintf(text + length, sizeof text - length, "%s", leat_error_text((int)rc));
	return text;
}

static inline const char *content(struct fixture *fixture, const char *topic, int32_t partition)
{
	return content_from(fixture, topic, partition, -1);
}

static inline const char *bounds_text(struct fixture *fixture, const char *topic, int32_t partition)
{
	static char text[64];
	int64_t first = -7, end = -7;
	expect_ok(fixture, fixture->transport->ops->bounds(fixture->transport, topic, partition, &first, &end, &fixture->fault));
	snprintf(text, sizeof text, "%lld..%lld", (long long)first, (long long)end);
	return text;
}

#define EMBEDDED_TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

#endif
