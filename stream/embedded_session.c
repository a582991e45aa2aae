/* Sessions of the embedded transport: what a worker sends, commits and waits for. */
#include "stream/embedded_session.h"
#include "stream/embedded_skip.h"

/*
 * A plain writer (worker -1) has no transaction. What it sends waits for company until so much has come or the oldest has waited so long when the next
 * comes; poll, commit and close write it at once.
 */
enum { PLAIN_RECORDS = 4096, PLAIN_BYTES = 1 << 20, PLAIN_WAIT_US = 5000 };
static const size_t transaction_bytes_max = 1u << 30;       /* a write batch of RocksDB ends at 4 GiB */

static bool is_plain(const struct leat_session *session)
{
	return session->config.worker < 0;
}

static void session_free(struct leat_session *session)
{
	if (!session)
		return;
	for (int32_t task = 0; session->views && task < session->config.tasks; task++)
		if (session->views[task])
			leat_store_close(session->views[task], false);
	leat_free(session->views);
	leat_writes_free(session->writes);
	leat_outboxes_free(&session->outboxes);
	leat_free(session);
}

static int open_worker(struct leat_session *session, struct leat_fault *fault)
{
	uint32_t application;
	LEAT_TRY(leat_application_id(session->embedded, &application, fault));
	int rc = leat_writes_open(&session->writes);
	session->views = session->config.tasks > 0 ? leat_calloc((size_t)session->config.tasks, sizeof(struct leat_store *)) : NULL;
	if (rc < 0 || (session->config.tasks > 0 && !session->views))
		return leat_fail(fault, rc < 0 ? rc : LEAT_ENOMEM, "out of memory for a session");
	return leat_tasks_join(session, fault);
}

static int session_open(struct leat_transport *transport, const struct leat_session_config *config, struct leat_session **out, struct leat_fault *fault)
{
	struct leat_session *session = leat_calloc(1, sizeof *session);
	*out = NULL;
	if (!session)
		return leat_fail(fault, LEAT_ENOMEM, "out of memory for a session");
	session->embedded = leat_embedded_of(transport);
	session->config = *config;
	leat_outboxes_init(&session->outboxes, leat_embedded_resolve, session->embedded);
	int rc = is_plain(session) ? 0 : open_worker(session, fault);
	if (rc < 0) {
		session_free(session);
		return rc;
	}
	*out = session;
	return 0;
}

/* What could not be written is dropped: it was never promised, and keeping it would fail the same way again and again. */
static int flush_plain(struct leat_session *session, struct leat_fault *fault)
{
	if (session->outboxes.records == 0)
		return 0;
	int rc = leat_embedded_commit(session->embedded, &(struct leat_commit){ .outboxes = &session->outboxes }, fault);
	leat_outboxes_clear(&session->outboxes);
	return rc;
}

static int flush_if_due(struct leat_session *session, struct leat_fault *fault)
{
	const struct leat_outboxes *boxes = &session->outboxes;
	int64_t now_us = leat_clock_mono_us(session->embedded->clock);
	if (boxes->records < PLAIN_RECORDS && boxes->bytes < PLAIN_BYTES && now_us - session->queued_us < PLAIN_WAIT_US)
		return 0;
	return flush_plain(session, fault);
}

static int refuse_broken(struct leat_fault *fault)
{
	return leat_fail(fault, LEAT_EABORT, "the transaction has failed: it has to be reset first");
}

static int check_room(const struct leat_session *session, struct leat_fault *fault)
{
	if (LEAT_UNLIKELY(session->broken))
		return refuse_broken(fault);
	if (LEAT_UNLIKELY(session->outboxes.bytes > transaction_bytes_max))
		return leat_fail(fault, LEAT_ELIMIT, "the transaction holds %zu bytes of records, at most %zu are allowed", session->outboxes.bytes, transaction_bytes_max);
	return 0;
}

/* Outside the transaction and visible at once. */
static int send_early(struct leat_session *session, const char *topic, int32_t partition, const struct leat_record *records, size_t count, struct leat_fault *fault)
{
	struct leat_outboxes boxes;
	leat_outboxes_init(&boxes, leat_embedded_resolve, session->embedded);
	int rc = leat_outboxes_add_many(&boxes, topic, partition, records, count, leat_clock_wall_ms(session->embedded->clock), fault);
	if (rc == 0)
		rc = leat_embedded_commit(session->embedded, &(struct leat_commit){ .outboxes = &boxes }, fault);
	leat_outboxes_free(&boxes);
	return rc;
}

static int session_send_many(struct leat_session *session, const char *topic, int32_t partition, const struct leat_record *records, size_t count, unsigned flags, struct leat_fault *fault)
{
	if (flags & LEAT_SEND_EARLY)
		return send_early(session, topic, partition, records, count, fault);
	LEAT_TRY(check_room(session, fault));
	if (is_plain(session) && session->outboxes.records == 0)
		session->queued_us = leat_clock_mono_us(session->embedded->clock);
	LEAT_TRY(leat_outboxes_add_many(&session->outboxes, topic, partition, records, count, leat_clock_wall_ms(session->embedded->clock), fault));
	return is_plain(session) ? flush_if_due(session, fault) : 0;
}

static int session_send(struct leat_session *session, const char *topic, int32_t partition, const struct leat_record *record, unsigned flags, struct leat_fault *fault)
{
	return session_send_many(session, topic, partition, record, 1, flags, fault);
}

static int session_row(struct leat_session *session, int32_t task, const char *changelog, struct leat_bytes key, struct leat_bytes value, struct leat_fault *fault)
{
	(void)changelog;
	if (session->broken)
		return refuse_broken(fault);
	if (is_plain(session) || task < 0 || task >= session->config.tasks)
		return leat_fail(fault, LEAT_ECONFIG, "there is no task %d in this session", task);
	if (!session->views[task])
		LEAT_TRY(leat_embedded_store_view(session->embedded, task, &session->views[task], fault));
	if (value.data)
		leat_writes_put(session->writes, session->views[task], LEAT_FAMILY_ROWS, key, value);
	else
		leat_writes_delete(session->writes, session->views[task], LEAT_FAMILY_ROWS, key);
	return 0;
}

static struct leat_writes *session_writes(struct leat_session *session)
{
	return session->writes;
}

/* A worker that was too slow to notice must not move the positions of a task that is no longer its own. */
static int check_positions(struct leat_session *session, const struct leat_position *positions, size_t count, struct leat_fault *fault)
{
	for (size_t i = 0; i < count; i++)
		if (!leat_tasks_owned(session, positions[i].partition))
			return leat_fail(fault, LEAT_EFENCED, "task %d is not, or no longer, this session's", positions[i].partition);
	return 0;
}

static int commit_worker(struct leat_session *session, const struct leat_position *positions, size_t count, const char *metadata, struct leat_fault *fault)
{
	if (session->broken)
		return refuse_broken(fault);
	int rc = check_positions(session, positions, count, fault);
	struct leat_commit commit = {
		.outboxes = &session->outboxes,
		.batch = leat_writes_raw(session->writes),
		.positions = positions,
		.position_count = count,
		.metadata = metadata,
		.worker = true,
	};
	if (rc == 0)
		rc = leat_embedded_commit(session->embedded, &commit, fault);
	session->broken = rc < 0;
	if (rc == 0) {
		leat_outboxes_clear(&session->outboxes);
		leat_writes_clear(session->writes);
	}
	return rc;
}

static int session_commit(struct leat_session *session, const struct leat_position *positions, size_t count, const char *metadata, struct leat_fault *fault)
{
	if (!is_plain(session))
		return commit_worker(session, positions, count, metadata, fault);
	if (count)
		return leat_fail(fault, LEAT_ECONFIG, "a plain writer has no positions to commit");
	return flush_plain(session, fault);
}

static int session_reset(struct leat_session *session, struct leat_fault *fault)
{
	(void)fault;
	leat_outboxes_clear(&session->outboxes);
	if (session->writes)
		leat_writes_clear(session->writes);
	session->broken = false;
	return 0;
}

static int session_poll(struct leat_session *session, int64_t timeout_us, struct leat_fault *fault)
{
	struct leat_embedded *embedded = session->embedded;
	int64_t deadline_us = leat_embedded_deadline(embedded, timeout_us);
	if (is_plain(session))
		LEAT_TRY(flush_plain(session, fault));
	leat_tasks_serve(session);
	leat_embedded_clean(embedded, 0);
	pthread_mutex_lock(&embedded->lock);
	while (!session->woken && !leat_tasks_due(session) && !leat_feeds_ready(session->feeds) && leat_embedded_wait(embedded, deadline_us))
		;
	session->woken = false;
	pthread_mutex_unlock(&embedded->lock);
	leat_tasks_serve(session);
	return 0;
}

static void session_wake(struct leat_session *session)
{
	struct leat_embedded *embedded = session->embedded;
	pthread_mutex_lock(&embedded->lock);
	session->woken = true;
	pthread_cond_broadcast(&embedded->changed);
	pthread_mutex_unlock(&embedded->lock);
}

static int read_position(struct leat_session *session, const uint8_t *key, size_t length, int64_t *offset, char *metadata, size_t size, struct leat_fault *fault)
{
	struct { int64_t offset, wall_ms; } head = { .offset = -1 };
	char *value;
	size_t found = 0;
	LEAT_TRY(leat_database_get(session->embedded, FAMILY_OFFSETS, key, length, &value, &found, fault));
	bool sound = !value || found >= sizeof head;
	if (value && sound)
		memcpy(&head, value, sizeof head);
	*offset = head.offset;
	if (metadata && size)
		snprintf(metadata, size, "%.*s", value && sound ? (int)(found - sizeof head) : 0, value && sound ? value + sizeof head : "");
	rocksdb_free(value);
	return sound ? 0 : leat_fail(fault, LEAT_ECORRUPT, "%s: a committed position is damaged", session->embedded->directory.path);
}

/* Never waits: a commit is one write, so nobody's transaction can be pending. */
static int session_committed(struct leat_session *session, const char *topic, int32_t partition, int64_t *offset, char *metadata, size_t size, int64_t timeout_ms, struct leat_fault *fault)
{
	struct leat_topic *found;
	uint32_t application;
	uint8_t key[12];
	(void)timeout_ms;
	*offset = -1;
	LEAT_TRY(leat_topic_find_log(session->embedded, topic, partition, &found, fault));
	LEAT_TRY(leat_application_id(session->embedded, &application, fault));
	leat_put_u32(leat_put_u32(leat_put_u32(key, application), found->id), (uint32_t)partition);
	return read_position(session, key, sizeof key, offset, metadata, size, fault);
}

static int session_owner(struct leat_session *session, const char *topic, int32_t partition, char *owner, size_t size)
{
	(void)session, (void)topic, (void)partition;
	if (size)
		owner[0] = '\0';
	return 0;               /* no position is ever unstable */
}

static int session_fence(struct leat_session *session, const char *transactional_id, struct leat_fault *fault)
{
	(void)session, (void)transactional_id, (void)fault;     /* a dead owner leaves nothing open */
	return 0;
}

static int64_t session_changelog_end(struct leat_session *session, int32_t task)
{
	(void)session, (void)task;                               /* there is no changelog */
	return -1;
}

static void session_close(struct leat_session *session, bool graceful)
{
	if (!session)
		return;
	struct leat_fault fault = { 0 };
	if (!is_plain(session))
		leat_tasks_leave(session, graceful);
	else if (graceful && flush_plain(session, &fault) < 0)
		leat_log(LEAT_ERROR, "the last records of a writer were lost: %s", fault.text);
	leat_feeds_detach(session->feeds);
	session_free(session);
}

const struct leat_transport_ops leat_embedded_ops = {
	.name = "embedded",
	.keeps_rows = true,
	.close = leat_embedded_close,
	.partitions = leat_topics_partitions,
	.create = leat_topics_create,
	.bounds = leat_topics_bounds,
	.trim = leat_topics_trim,
	.reader_open = leat_cursor_reader_open,
	.reader_next = leat_cursor_reader_next,
	.reader_close = leat_cursor_reader_close,
	.session_open = session_open,
	.session_poll = session_poll,
	.session_wake = session_wake,
	.session_committed = session_committed,
	.session_owner = session_owner,
	.session_fence = session_fence,
	.feed_open = leat_embedded_feed_open,
	.feed_take = leat_embedded_feed_take,
	.feed_release = leat_embedded_feed_release,
	.feed_close = leat_embedded_feed_close,
	.session_send = session_send,
	.session_send_many = session_send_many,
	.session_row = session_row,
	.session_writes = session_writes,
	.session_commit = session_commit,
	.session_reset = session_reset,
	.session_changelog_end = session_changelog_end,
	.store_open = leat_embedded_store_open,
	.store_discard = leat_embedded_store_discard,
	.feed_lag = leat_embedded_feed_lag,
	.session_close = session_close,
	.position_set = leat_embedded_position_set,
};
