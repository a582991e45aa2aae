/* Committing: outputs, rows and positions in one transaction; starting again after a failure; reading what was committed. */
#include "stream/kafka_internal.h"

enum { OFFSETS_MS = 5000, END_TRY_MS = 1000, FENCE_MS = 10000, PEEK_MS = 2000 };

/* ---- positions ---- */

/* The metadata of an offset: the owner's transactional id, so that a successor can end what a dead owner left open, then what the caller gave. */
static int metadata_of(const struct leat_session *session, const char *metadata, char *out, struct leat_fault *fault)
{
	int length = snprintf(out, KAFKA_METADATA_MAX, "%s|%s", session->transactional_id, metadata ? metadata : "");
	if (length < 0 || length >= KAFKA_METADATA_MAX)
		return leat_fail(fault, LEAT_ELIMIT, "the metadata of a commit is %d bytes long, the broker takes %d", length, KAFKA_METADATA_MAX - 1);
	return length;
}

static rd_kafka_topic_partition_list_t *list_of(const struct leat_position *positions, size_t count, const char *metadata, int length)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)count);
	for (size_t i = 0; i < count; i++) {
		rd_kafka_topic_partition_t *one = rd_kafka_topic_partition_list_add(list, positions[i].topic, positions[i].partition);
		one->offset = positions[i].offset;
		one->metadata = rd_kafka_mem_malloc(NULL, (size_t)length);   /* the list frees it */
		memcpy(one->metadata, metadata, (size_t)length);
		one->metadata_size = (size_t)length;
	}
	return list;
}

/* ---- transactional ---- */

/* An error before the end was asked for: certainly not committed, whatever it was. */
static int not_committed(struct leat_fault *fault, rd_kafka_error_t *error, const char *what)
{
	int rc = kafka_fail_error(fault, error, what);
	if (fault && rc != LEAT_EFENCED)
		fault->code = LEAT_EABORT;
	return rc == LEAT_EFENCED ? rc : LEAT_EABORT;
}

static int send_offsets(struct leat_session *session, const rd_kafka_topic_partition_list_t *list, struct leat_fault *fault)
{
	int64_t deadline = kafka_now_ms() + OFFSETS_MS;
	rd_kafka_error_t *error;
	/* The group's metadata anew for each commit, and each try: an old generation would be refused. */
	for (;;) {
		rd_kafka_consumer_group_metadata_t *group = rd_kafka_consumer_group_metadata(session->group);
		if (!group)
			return leat_fail(fault, LEAT_EABORT, "not a member of the group %s", session->kafka->application);
		error = rd_kafka_send_offsets_to_transaction(session->producer->rk, list, group, LEAT_MAX(kafka_left_ms(deadline), 1));
		rd_kafka_consumer_group_metadata_destroy(group);
		if (!error)
			return 0;
		if (!rd_kafka_error_is_retriable(error) || kafka_left_ms(deadline) == 0)
			return not_committed(fault, error, "sending offsets to the transaction");
		rd_kafka_error_destroy(error);
	}
}

/* From here on a failure may leave the outcome unknown. */
static int end_transaction(struct leat_session *session, struct leat_fault *fault)
{
	int64_t deadline = kafka_now_ms() + KAFKA_COMMIT_MS;
	rd_kafka_error_t *error;
	while ((error = rd_kafka_commit_transaction(session->producer->rk, END_TRY_MS)) != NULL) {
		if (rd_kafka_error_is_retriable(error) && kafka_left_ms(deadline) > 0) {
			rd_kafka_error_destroy(error);
			continue;
		}
		if (rd_kafka_error_txn_requires_abort(error))
			return not_committed(fault, error, "committing");
		int rc = kafka_fail_error(fault, error, "committing, outcome unknown");
		return rc == LEAT_EABORT ? leat_fail(fault, LEAT_EBROKER, "committing: outcome unknown") : rc;
	}
	return 0;
}

static int flush_all(struct leat_session *session, struct leat_fault *fault)
{
	int64_t deadline = LEAT_MAX(kafka_session_deadline(session), kafka_now_ms() + 100);
	LEAT_TRY(kafka_producer_flush(session->producer, deadline, fault));
	if (!session->early)
		return 0;
	return session->commits_beside ? kafka_producer_settle(session->early, deadline, fault) : kafka_producer_flush(session->early, deadline, fault);
}

static int flush_or_abort(struct leat_session *session, struct leat_fault *fault)
{
	int rc = flush_all(session, fault);
	if (rc >= 0 || rc == LEAT_EFENCED || rc == LEAT_ELIMIT || rc == LEAT_EGAP)   /* what would be the same again: a record too large for the broker, a changelog that began anew */
		return rc;
	if (fault)
		fault->code = LEAT_EABORT;
	return LEAT_EABORT;
}

int kafka_transaction_commit(struct leat_session *session, const rd_kafka_topic_partition_list_t *list, struct leat_fault *fault)
{
	LEAT_TRY(kafka_session_watchdog(session, fault));
	leat_crashpoint("kafka.commit.before_flush");
	LEAT_TRY(flush_or_abort(session, fault));
	leat_crashpoint("kafka.commit.before_offsets");
	int64_t begin = kafka_now_ms();
	unsigned disconnects = atomic_load(&session->producer->disconnects);
	if (list->cnt > 0)
		LEAT_TRY(send_offsets(session, list, fault));
	leat_crashpoint("kafka.commit.before_end");
	LEAT_TRY(end_transaction(session, fault));
	leat_crashpoint("kafka.commit.after_end");
	rd_kafka_poll(session->producer->rk, 0);
	session->renew = kafka_now_ms() - begin > KAFKA_COMMIT_SLOW_MS || disconnects != atomic_load(&session->producer->disconnects);
	return 0;
}

/* ---- at least once ---- */

static int read_commit(rd_kafka_event_t *event, struct leat_fault *fault)
{
	if (!event)
		return kafka_fail(fault, RD_KAFKA_RESP_ERR__TIMED_OUT, "committing offsets");
	rd_kafka_resp_err_t err = rd_kafka_event_error(event);
	const rd_kafka_topic_partition_list_t *list = rd_kafka_event_topic_partition_list(event);
	for (int i = 0; !err && list && i < list->cnt; i++)
		err = list->elems[i].err;
	return err ? kafka_fail(fault, err, "committing offsets") : 0;
}

static int commit_offsets(struct leat_session *session, const rd_kafka_topic_partition_list_t *list, struct leat_fault *fault)
{
	LEAT_TRY(flush_or_abort(session, fault));
	leat_crashpoint("kafka.commit.before_offsets");
	if (list->cnt == 0)
		return 0;
	rd_kafka_queue_t *queue = rd_kafka_queue_new(session->group);
	rd_kafka_resp_err_t err = rd_kafka_commit_queue(session->group, list, queue, NULL, NULL);
	rd_kafka_event_t *event = err ? NULL : rd_kafka_queue_poll(queue, OFFSETS_MS);
	int rc = err ? kafka_fail(fault, err, "committing offsets") : read_commit(event, fault);
	if (event)
		rd_kafka_event_destroy(event);
	rd_kafka_queue_destroy(queue);
	return rc;
}

/* ---- both ---- */

int kafka_commit_ready(struct leat_session *session, const struct leat_position *positions, size_t count, const char *metadata, rd_kafka_topic_partition_list_t **list, struct leat_fault *fault)
{
	char text[KAFKA_METADATA_MAX];
	LEAT_TRY(kafka_session_broken(session, fault));
	int length = metadata_of(session, metadata, text, fault);
	LEAT_TRY(length);
	LEAT_TRY(kafka_session_begin(session, fault));
	*list = list_of(positions, count, text, length);
	return 0;
}

void kafka_commit_done(struct leat_session *session, int rc)
{
	if (rc < 0) {
		session->broken = true;
		return;
	}
	session->open = false;
	memcpy(session->row_committed, session->row_sent, (size_t)session->config.tasks * sizeof *session->row_sent);
}

static int commit_group(struct leat_session *session, const struct leat_position *positions, size_t count, const char *metadata, struct leat_fault *fault)
{
	rd_kafka_topic_partition_list_t *list;
	LEAT_TRY(kafka_commit_ready(session, positions, count, metadata, &list, fault));
	int rc = session->config.transactional ? kafka_transaction_commit(session, list, fault) : commit_offsets(session, list, fault);
	rd_kafka_topic_partition_list_destroy(list);
	return rc;
}

int kafka_session_commit(struct leat_session *session, const struct leat_position *positions, size_t count, const char *metadata, struct leat_fault *fault)
{
	LEAT_TRY(kafka_session_dead(session, fault));
	if (session->plain)
		return flush_all(session, fault);
	if (!session->open && count == 0 && !session->broken)
		return 0;
	int rc = commit_group(session, positions, count, metadata, fault);
	kafka_commit_done(session, rc);
	return rc;
}

/* ---- starting again ---- */

int kafka_session_renew(struct leat_session *session, struct leat_fault *fault)
{
	struct kafka_producer *fresh = NULL;
	bool transactional = session->config.transactional;
	kafka_beside_give_up(session);
	LEAT_TRY(kafka_session_dead(session, fault));
	if (!session->plain)
		LEAT_TRY(kafka_session_ready(session, kafka_now_ms() + session->config.transaction_timeout_ms, fault));
	session->broken = true;   /* until a new producer stands */
	LEAT_TRY(kafka_producer_open(session->kafka, transactional ? KAFKA_TRANSACTIONAL : KAFKA_IDEMPOTENT, &session->sizes,
		transactional ? session->transactional_id : NULL, &fresh, fault));
	int rc = transactional ? kafka_producer_init(fresh, kafka_now_ms() + session->config.transaction_timeout_ms, &session->interrupted, fault) : 0;
	if (rc < 0) {
		kafka_producer_close(fresh);
		return rc;
	}
	kafka_producer_close(session->producer);
	session->producer = fresh;
	for (int32_t task = 0; task < session->config.tasks; task++)
		session->row_sent[task] = session->row_committed[task];
	fresh->row_ends = session->row_sent;
	fresh->tasks = session->config.tasks;
	session->open = session->broken = session->renew = false;
	session->broken_rc = 0;
	return 0;
}

int kafka_session_reset(struct leat_session *session, struct leat_fault *fault)
{
	LEAT_TRY(kafka_session_renew(session, fault));
	if (session->early)
		session->early->failed = RD_KAFKA_RESP_ERR_NO_ERROR;   /* what it did not deliver comes again with the redo */
	return 0;
}

int kafka_session_fence(struct leat_session *session, const char *transactional_id, struct leat_fault *fault)
{
	struct kafka_producer *other = NULL;
	if (strcmp(transactional_id, session->transactional_id) == 0)
		return 0;   /* our own was ended when our producer started */
	LEAT_TRY(kafka_producer_open(session->kafka, KAFKA_TRANSACTIONAL, &session->sizes, transactional_id, &other, fault));
	int rc = kafka_producer_init(other, kafka_now_ms() + FENCE_MS, &session->interrupted, fault);
	kafka_producer_close(other);
	return rc;
}

/* ---- what was committed ---- */

/* Splits "<transactional id>|<caller's>"; either target may be NULL. Text that is not ours counts as the caller's whole. */
static void split(const char *stored, size_t length, char *owner, size_t owner_size, char *rest, size_t rest_size)
{
	const char *bar = length ? memchr(stored, '|', length) : NULL;
	size_t owner_length = bar ? (size_t)(bar - stored) : 0;
	size_t skip = bar ? owner_length + 1 : 0;
	if (owner && owner_size)
		snprintf(owner, owner_size, "%.*s", (int)owner_length, length ? stored : "");
	if (rest && rest_size)
		snprintf(rest, rest_size, "%.*s", (int)(length - skip), length ? stored + skip : "");
}

/* Read past a pending transaction, by a client that does not ask for stable offsets. */
int kafka_session_owner(struct leat_session *session, const char *topic, int32_t partition, char *owner, size_t size)
{
	rd_kafka_t *peek = NULL;
	LEAT_ASSERT(size > 0);
	owner[0] = '\0';
	if (kafka_client_new(session->kafka, KAFKA_PEEK, NULL, &peek, NULL) != 0)
		return 0;
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
	const rd_kafka_topic_partition_t *one = rd_kafka_topic_partition_list_add(list, topic, partition);
	if (!rd_kafka_committed(peek, list, PEEK_MS) && !one->err && one->metadata)
		split(one->metadata, one->metadata_size, owner, size, NULL, 0);
	rd_kafka_topic_partition_list_destroy(list);
	kafka_dispose(session->kafka, peek);
	return (int)strlen(owner);
}

int kafka_session_committed(struct leat_session *session, const char *topic, int32_t partition, int64_t *offset, char *metadata, size_t size, int64_t timeout_ms, struct leat_fault *fault)
{
	LEAT_TRY(kafka_session_dead(session, fault));
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
	const rd_kafka_topic_partition_t *one = rd_kafka_topic_partition_list_add(list, topic, partition);
	rd_kafka_resp_err_t err = rd_kafka_committed(session->group, list, (int)LEAT_MAX(timeout_ms, (int64_t)1));
	if (!err)
		err = one->err;
	int rc = 0;
	if (err) {
		rc = kafka_fail(fault, err, "the committed offset of %s [%d]", topic, (int)partition);
	} else {
		*offset = one->offset >= 0 ? one->offset : -1;
		split(one->metadata, one->metadata_size, NULL, 0, metadata, size);
	}
	rd_kafka_topic_partition_list_destroy(list);
	return rc;
}
