/* The embedded transport of a process that does not own the directory: topics, readers and plain writers by way of the owner; tasks stay with it. */
#include "stream/embedded_link.h"

#include <errno.h>
#include <time.h>

struct client {
	struct leat_transport transport;
	struct leat_directory directory;
	const struct leat_clock *clock;
	pthread_mutex_t lock;
	struct leat_link link;               /* for topics, under lock */
};

struct leat_reader {
	struct leat_link link;
	char *topic;
	int32_t partition;
	int64_t position, end;               /* next to ask for; the log's end when last asked */
	struct leat_chunk chunk;
};

/* Of a plain writer: there are no others here. */
struct leat_session {
	struct client *client;
	struct leat_link link;
	struct leat_outboxes outboxes;
	int64_t queued_us;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool woken;
};

enum { QUEUE_RECORDS = 4096, QUEUE_BYTES = 1 << 20, QUEUE_WAIT_US = 5000, FRAME_BYTES = 4 << 20 };
_Static_assert(FRAME_BYTES + LEAT_RUN_BYTES + LEAT_RUN_RECORD_MAX + 4096 < LEAT_WIRE_FRAME_MAX, "a run more fits into any frame");

static struct client *client_of(struct leat_transport *transport)
{
	return (struct client *)(void *)transport;
}

static int no_memory(struct leat_fault *fault)
{
	return leat_fail(fault, LEAT_ENOMEM, "out of memory for the embedded transport");
}

static int malformed(const struct leat_link *link, struct leat_fault *fault)
{
	return leat_fail(fault, LEAT_ECORRUPT, "%s: its owner sent a malformed answer", link->directory->path);
}

/* ---- topics ---- */

static int ask_partitions(struct leat_link *link, const char *topic, int32_t *count, struct leat_fault *fault)
{
	struct leat_wire answer;
	if (leat_link_begin_topic(link, LEAT_WIRE_PARTITIONS, topic, -1) < 0)
		return no_memory(fault);
	LEAT_TRY(leat_link_call(link, &answer, fault));
	*count = (int32_t)leat_wire_u32(&answer);
	return answer.bad || *count < 1 || *count > LEAT_EMBEDDED_PARTITIONS_MAX ? malformed(link, fault) : 0;
}

static int ask_bounds(struct leat_link *link, const char *topic, int32_t partition, int64_t *first, int64_t *end, struct leat_fault *fault)
{
	struct leat_wire answer;
	if (partition < 0)
		return leat_fail(fault, LEAT_ECONFIG, "topic %s has no partition %d", topic, partition);
	if (leat_link_begin_topic(link, LEAT_WIRE_BOUNDS, topic, partition) < 0)
		return no_memory(fault);
	LEAT_TRY(leat_link_call(link, &answer, fault));
	*first = leat_wire_i64(&answer);
	*end = leat_wire_i64(&answer);
	return answer.bad ? malformed(link, fault) : 0;
}

static int put_create(struct leat_link *link, const struct leat_topic_spec *spec)
{
	LEAT_TRY(leat_link_begin_topic(link, LEAT_WIRE_CREATE, spec->name, -1));
	LEAT_TRY(leat_wire_put_u32(&link->out, (uint32_t)spec->partitions));
	LEAT_TRY(leat_wire_put_u8(&link->out, spec->compacted));
	LEAT_TRY(leat_wire_put_u8(&link->out, spec->internal));
	return leat_wire_put_i64(&link->out, spec->retention_ms);
}

static int client_partitions(struct leat_transport *transport, const char *topic, int32_t *count, struct leat_fault *fault)
{
	struct client *client = client_of(transport);
	pthread_mutex_lock(&client->lock);
	int rc = ask_partitions(&client->link, topic, count, fault);
	pthread_mutex_unlock(&client->lock);
	return rc;
}

static int client_create(struct leat_transport *transport, const struct leat_topic_spec *spec, struct leat_fault *fault)
{
	struct client *client = client_of(transport);
	struct leat_wire answer;
	pthread_mutex_lock(&client->lock);
	int rc = put_create(&client->link, spec) < 0 ? no_memory(fault) : leat_link_call(&client->link, &answer, fault);
	pthread_mutex_unlock(&client->lock);
	return rc;
}

static int client_bounds(struct leat_transport *transport, const char *topic, int32_t partition, int64_t *first, int64_t *end, struct leat_fault *fault)
{
	struct client *client = client_of(transport);
	pthread_mutex_lock(&client->lock);
	int rc = ask_bounds(&client->link, topic, partition, first, end, fault);
	pthread_mutex_unlock(&client->lock);
	return rc;
}

static int client_trim(struct leat_transport *transport, const char *topic, int32_t partition, int64_t offset, struct leat_fault *fault)
{
	struct client *client = client_of(transport);
	struct leat_wire answer;
	if (partition < 0)
		return leat_fail(fault, LEAT_ECONFIG, "topic %s has no partition %d", topic, partition);
	pthread_mutex_lock(&client->lock);
	bool built = leat_link_begin_topic(&client->link, LEAT_WIRE_TRIM, topic, partition) == 0 && leat_wire_put_i64(&client->link.out, offset) == 0;
	int rc = built ? leat_link_call(&client->link, &answer, fault) : no_memory(fault);
	pthread_mutex_unlock(&client->lock);
	return rc;
}

/* ---- readers ---- */

static void reader_close(struct leat_reader *reader)
{
	if (!reader)
		return;
	leat_link_close(&reader->link);
	leat_chunk_free(&reader->chunk);
	leat_free(reader->topic);
	leat_free(reader);
}

static int check_offset(const struct leat_reader *reader, int64_t first, struct leat_fault *fault)
{
	if (reader->position >= first && reader->position <= reader->end)
		return 0;
	return leat_fail(fault, LEAT_EGAP, "topic %s, partition %d: there is no offset %lld, it has %lld to %lld", reader->topic, reader->partition, (long long)reader->position,
		(long long)first, (long long)reader->end);
}

static int reader_open(struct leat_transport *transport, const char *topic, int32_t partition, int64_t offset, struct leat_reader **out, struct leat_fault *fault)
{
	struct leat_reader *reader = leat_calloc(1, sizeof *reader);
	int64_t first = 0;
	*out = NULL;
	if (!reader)
		return no_memory(fault);
	leat_link_init(&reader->link, &client_of(transport)->directory);
	reader->topic = leat_strdup(topic);
	reader->partition = partition;
	int rc = reader->topic ? ask_bounds(&reader->link, topic, partition, &first, &reader->end, fault) : no_memory(fault);
	if (rc == 0) {
		reader->position = offset < 0 ? first : offset;
		rc = check_offset(reader, first, fault);
	}
	if (rc < 0) {
		reader_close(reader);
		return rc;
	}
	*out = reader;
	return 0;
}

static int put_read(struct leat_reader *reader, uint32_t wait_ms)
{
	LEAT_TRY(leat_link_begin_topic(&reader->link, LEAT_WIRE_READ, reader->topic, reader->partition));
	LEAT_TRY(leat_wire_put_i64(&reader->link.out, reader->position));
	return leat_wire_put_u32(&reader->link.out, wait_ms);
}

static int ask_records(struct leat_reader *reader, uint32_t wait_ms, struct leat_fault *fault)
{
	struct leat_wire answer;
	leat_chunk_clear(&reader->chunk);
	if (put_read(reader, wait_ms) < 0)
		return no_memory(fault);
	LEAT_TRY(leat_link_call(&reader->link, &answer, fault));
	int64_t from = leat_wire_i64(&answer), position = leat_wire_i64(&answer), end = leat_wire_i64(&answer);
	if (answer.bad || position < reader->position)
		return malformed(&reader->link, fault);
	int rc = leat_buffer_append(&reader->chunk.bytes, answer.at, leat_wire_left(&answer));
	if (rc == 0)
		rc = leat_chunk_decode(&reader->chunk, from);
	if (rc < 0) {
		leat_chunk_clear(&reader->chunk);
		return rc == LEAT_ENOMEM ? no_memory(fault) : malformed(&reader->link, fault);
	}
	reader->position = position;
	reader->end = end;
	return 0;
}

static long reader_next(struct leat_reader *reader, const struct leat_record **records, size_t max, int64_t timeout_ms, bool *at_end, int64_t *position, struct leat_fault *fault)
{
	struct leat_chunk *chunk = &reader->chunk;
	int64_t until_us = leat_clock_mono_us(NULL) + LEAT_MIN(LEAT_MAX(timeout_ms, 0), INT64_MAX / 4000) * 1000;
	for (int64_t left_us = until_us - leat_clock_mono_us(NULL), first = 1; leat_chunk_left(chunk) == 0 && (first || left_us > 0); first = 0) {
		uint32_t wait_ms = timeout_ms > 0 ? (uint32_t)LEAT_MIN(LEAT_MAX(left_us / 1000, 1), LEAT_WIRE_WAIT_MAX_MS) : 0;
		LEAT_TRY(ask_records(reader, wait_ms, fault));
		left_us = until_us - leat_clock_mono_us(NULL);
	}
	size_t count = LEAT_MIN(leat_chunk_left(chunk), max);
	*records = count ? chunk->records + chunk->taken : NULL;
	chunk->taken += count;
	bool all = leat_chunk_left(chunk) == 0;
	*position = all ? reader->position : chunk->records[chunk->taken].offset;
	*at_end = all && reader->position >= reader->end;
	return (long)count;
}

/* ---- plain writers ---- */

static int refuse_tasks(const struct client *client, struct leat_fault *fault)
{
	return leat_fail(fault, LEAT_EBUSY, "%s is in use by process %lld: only that process can run tasks on it", client->directory.path, (long long)client->link.pid);
}

static int resolve(void *self, const char *name, struct leat_outbox_topic *topic, struct leat_fault *fault)
{
	struct leat_session *session = self;
	return ask_partitions(&session->link, name, &topic->partitions, fault);
}

static int client_session_open(struct leat_transport *transport, const struct leat_session_config *config, struct leat_session **out, struct leat_fault *fault)
{
	struct client *client = client_of(transport);
	pthread_condattr_t monotonic;
	*out = NULL;
	if (config->worker >= 0)
		return refuse_tasks(client, fault);
	struct leat_session *session = leat_calloc(1, sizeof *session);
	if (!session)
		return no_memory(fault);
	session->client = client;
	leat_link_init(&session->link, &client->directory);
	leat_outboxes_init(&session->outboxes, resolve, session);
	pthread_mutex_init(&session->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&session->changed, &monotonic);
	pthread_condattr_destroy(&monotonic);
	*out = session;
	return 0;
}

static int put_run(struct leat_buffer *frame, const struct leat_outbox *box, const struct leat_run_header *run)
{
	LEAT_TRY(leat_wire_put_text(frame, box->topic->name));
	LEAT_TRY(leat_wire_put_u32(frame, (uint32_t)box->partition));
	return leat_buffer_append(frame, run, run->length);
}

static int call_write(struct leat_session *session, struct leat_fault *fault)
{
	struct leat_wire answer;
	LEAT_TRY(leat_link_call(&session->link, &answer, fault));
	return leat_link_begin(&session->link, LEAT_WIRE_WRITE) < 0 ? no_memory(fault) : 0;
}

static int write_box(struct leat_session *session, const struct leat_outbox *box, struct leat_fault *fault)
{
	struct leat_buffer *frame = &session->link.out;
	for (size_t at = 0; at < box->bytes.length;) {
		const struct leat_run_header *run = (const void *)(box->bytes.data + at);
		if (put_run(frame, box, run) < 0)
			return no_memory(fault);
		at = (at + run->length + 7) & ~(size_t)7;
		if (frame->length > FRAME_BYTES)
			LEAT_TRY(call_write(session, fault));
	}
	return 0;
}

/* What could not be written is dropped, as with the owner's own plain writers. */
static int flush(struct leat_session *session, struct leat_fault *fault)
{
	const struct leat_outboxes *boxes = &session->outboxes;
	if (boxes->records == 0)
		return 0;
	int rc = leat_link_begin(&session->link, LEAT_WIRE_WRITE) < 0 ? no_memory(fault) : 0;
	for (size_t i = 0; rc == 0 && i < boxes->dirty_count; i++)
		rc = write_box(session, boxes->dirty[i], fault);
	if (rc == 0)
		rc = call_write(session, fault);
	leat_outboxes_clear(&session->outboxes);
	return rc;
}

static int client_send_many(struct leat_session *session, const char *topic, int32_t partition, const struct leat_record *records, size_t count, unsigned flags, struct leat_fault *fault)
{
	const struct leat_outboxes *boxes = &session->outboxes;
	int64_t now_us = leat_clock_mono_us(session->client->clock);
	if (boxes->records == 0)
		session->queued_us = now_us;
	LEAT_TRY(leat_outboxes_add_many(&session->outboxes, topic, partition, records, count, leat_clock_wall_ms(session->client->clock), fault));
	bool due = (flags & LEAT_SEND_EARLY) || boxes->records >= QUEUE_RECORDS || boxes->bytes >= QUEUE_BYTES || now_us - session->queued_us >= QUEUE_WAIT_US;
	return due ? flush(session, fault) : 0;
}

static int client_send(struct leat_session *session, const char *topic, int32_t partition, const struct leat_record *record, unsigned flags, struct leat_fault *fault)
{
	return client_send_many(session, topic, partition, record, 1, flags, fault);
}

static int client_commit(struct leat_session *session, const struct leat_position *positions, size_t count, const char *metadata, struct leat_fault *fault)
{
	(void)positions, (void)metadata;
	return count ? refuse_tasks(session->client, fault) : flush(session, fault);
}

static int client_poll(struct leat_session *session, int64_t timeout_us, struct leat_fault *fault)
{
	int rc = flush(session, fault);
	int64_t until_us = leat_clock_mono_us(NULL) + LEAT_MIN(timeout_us, INT64_MAX / 4);
	struct timespec until = { .tv_sec = until_us / 1000000, .tv_nsec = until_us % 1000000 * 1000 };
	bool waits = rc == 0 && timeout_us > 0 && !session->client->clock;
	pthread_mutex_lock(&session->lock);
	while (waits && !session->woken)
		waits = pthread_cond_timedwait(&session->changed, &session->lock, &until) != ETIMEDOUT;
	session->woken = false;
	pthread_mutex_unlock(&session->lock);
	return rc;
}

static void client_wake(struct leat_session *session)
{
	pthread_mutex_lock(&session->lock);
	session->woken = true;
	pthread_cond_broadcast(&session->changed);
	pthread_mutex_unlock(&session->lock);
}

static int client_reset(struct leat_session *session, struct leat_fault *fault)
{
	(void)fault;
	leat_outboxes_clear(&session->outboxes);
	return 0;
}

static void client_session_close(struct leat_session *session, bool graceful)
{
	if (!session)
		return;
	struct leat_fault fault = { 0 };
	if (graceful && flush(session, &fault) < 0)
		leat_log(LEAT_ERROR, "the last records of a writer were lost: %s", fault.text);
	leat_outboxes_free(&session->outboxes);
	leat_link_close(&session->link);
	pthread_cond_destroy(&session->changed);
	pthread_mutex_destroy(&session->lock);
	leat_free(session);
}

/* ---- what only the owner can do ---- */

static int client_committed(struct leat_session *session, const char *topic, int32_t partition, int64_t *offset, char *metadata, size_t size, int64_t timeout_ms, struct leat_fault *fault)
{
	(void)topic, (void)partition, (void)offset, (void)metadata, (void)size, (void)timeout_ms;
	return refuse_tasks(session->client, fault);
}

static int client_owner(struct leat_session *session, const char *topic, int32_t partition, char *owner, size_t size)
{
	(void)session, (void)topic, (void)partition;
	if (size)
		owner[0] = '\0';
	return 0;
}

/* Who owns the directory may be running the application's tasks. */
static int client_position_set(struct leat_transport *transport, const char *topic, int32_t partition, int64_t offset, const char *metadata, struct leat_fault *fault)
{
	(void)topic, (void)partition, (void)offset, (void)metadata;
	const struct client *client = client_of(transport);
	return leat_fail(fault, LEAT_EBUSY, "%s is in use by process %lld; stop it first", client->directory.path, (long long)client->link.pid);
}

static int client_fence(struct leat_session *session, const char *transactional_id, struct leat_fault *fault)
{
	(void)session, (void)transactional_id, (void)fault;
	return 0;
}

static int client_feed_open(struct leat_session *session, const char *topic, int32_t partition, int64_t offset, struct leat_feed **out, struct leat_fault *fault)
{
	(void)topic, (void)partition, (void)offset;
	*out = NULL;
	return refuse_tasks(session->client, fault);
}

/* Never called: no feed was ever opened. */
static long client_feed_take(struct leat_feed *feed, const struct leat_record **records, bool *at_end, struct leat_fault *fault)
{
	(void)feed;
	*records = NULL;
	*at_end = false;
	return leat_fail(fault, LEAT_EUNSUPPORTED, "there are no feeds here");
}

static void client_feed_release(struct leat_feed *feed, size_t count)
{
	(void)feed, (void)count;
}

static void client_feed_close(struct leat_feed *feed)
{
	(void)feed;
}

static int64_t client_feed_lag(struct leat_feed *feed)
{
	(void)feed;
	return -1;
}

static int client_row(struct leat_session *session, int32_t task, const char *changelog, struct leat_bytes key, struct leat_bytes value, struct leat_fault *fault)
{
	(void)task, (void)changelog, (void)key, (void)value;
	return refuse_tasks(session->client, fault);
}

static struct leat_writes *client_writes(struct leat_session *session)
{
	(void)session;
	return NULL;
}

static int64_t client_changelog_end(struct leat_session *session, int32_t task)
{
	(void)session, (void)task;
	return -1;
}

static int client_store_open(struct leat_transport *transport, struct leat_storage *storage, int32_t task, const char *owner, struct leat_store **out, struct leat_fault *fault)
{
	(void)storage, (void)task, (void)owner;
	*out = NULL;
	return refuse_tasks(client_of(transport), fault);
}

static int client_store_discard(struct leat_transport *transport, int32_t task, struct leat_fault *fault)
{
	(void)task;
	return refuse_tasks(client_of(transport), fault);
}

static void client_close(struct leat_transport *transport)
{
	if (!transport)
		return;
	struct client *client = client_of(transport);
	leat_link_close(&client->link);
	leat_directory_close(&client->directory);
	pthread_mutex_destroy(&client->lock);
	leat_free(client);
}

static const struct leat_transport_ops client_ops = {
	.name = "embedded, by way of its owner",
	.keeps_rows = true,
	.close = client_close,
	.partitions = client_partitions,
	.create = client_create,
	.bounds = client_bounds,
	.trim = client_trim,
	.reader_open = reader_open,
	.reader_next = reader_next,
	.reader_close = reader_close,
	.session_open = client_session_open,
	.session_poll = client_poll,
	.session_wake = client_wake,
	.session_committed = client_committed,
	.session_owner = client_owner,
	.session_fence = client_fence,
	.feed_open = client_feed_open,
	.feed_take = client_feed_take,
	.feed_release = client_feed_release,
	.feed_close = client_feed_close,
	.session_send = client_send,
	.session_send_many = client_send_many,
	.session_row = client_row,
	.session_writes = client_writes,
	.session_commit = client_commit,
	.session_reset = client_reset,
	.session_changelog_end = client_changelog_end,
	.store_open = client_store_open,
	.store_discard = client_store_discard,
	.feed_lag = client_feed_lag,
	.session_close = client_session_close,
	.position_set = client_position_set,
};

int leat_client_open(struct leat_transport **out, struct leat_directory *directory, const struct leat_clock *clock, struct leat_fault *fault)
{
	struct client *client = leat_calloc(1, sizeof *client);
	if (!client)
		return no_memory(fault);
	client->transport = (struct leat_transport){ &client_ops, LEAT_RUN_RECORD_MAX - LEAT_RUN_RECORD_HEAD };
	client->clock = clock;
	client->directory = *directory;
	leat_link_init(&client->link, &client->directory);
	int rc = leat_link_connect(&client->link, fault);
	if (rc < 0) {
		leat_link_close(&client->link);
		leat_free(client);
		return rc;
	}
	pthread_mutex_init(&client->lock, NULL);
	*directory = (struct leat_directory){ .fd = -1, .owner_fd = -1 };
	*out = &client->transport;
	return 0;
}
