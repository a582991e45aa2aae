/*
 * Commits beside the work. A thread of the session waits for the broker while the worker goes on with the next transaction, whose records wait here: the
 * producer takes none before the end of the one that is being committed. Whose it is meanwhile: producer, row_sent, broken and renew are the committer's;
 * group, feeds, the early producer and everything else stay the worker's.
 */
#include "stream/kafka_internal.h"

enum { KEPT_MOST = 8 << 20, KEPT_SPARE = 1 << 20, HEADERS_MOST = 128 };

enum phase { IDLE, ASKED, ENDED, CLOSING };

struct kafka_beside {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	enum phase phase;                     /* under @lock */
	rd_kafka_topic_partition_list_t *positions;   /* this and the outcome are the committer's while it is ASKED, else the worker's */
	int rc;
	struct leat_fault fault;
	bool due;                             /* the worker has not been told the outcome */
	struct leat_buffer kept;              /* the worker's: records that wait */
};

/* ---- records that wait: this, topic, key, value, then per header its head, name and value ---- */

struct kept { int64_t timestamp_ms; int32_t partition; uint32_t topic_length, key_length, value_length, header_count; };
struct kept_header { uint32_t name_length, value_length; };

#define NONE UINT32_MAX   /* length of a null */

static uint32_t length_of(struct leat_bytes bytes)
{
	return bytes.data ? bytes.length : NONE;
}

static int append(struct leat_buffer *buffer, struct leat_bytes bytes)
{
	return bytes.length ? leat_buffer_append(buffer, bytes.data, bytes.length) : 0;
}

static int append_headers(struct leat_buffer *buffer, const struct leat_record *record)
{
	for (uint32_t i = 0; i < record->header_count; i++) {
		const struct leat_header *header = &record->headers[i];
		const struct kept_header head = { header->name.length, length_of(header->value) };
		LEAT_TRY(leat_buffer_append(buffer, &head, sizeof head));
		LEAT_TRY(append(buffer, header->name));
		LEAT_TRY(append(buffer, header->value));
	}
	return 0;
}

static int keep(struct leat_buffer *buffer, const char *topic, int32_t partition, const struct leat_record *record)
{
	const struct kept head = { record->timestamp_ms, partition, (uint32_t)strlen(topic) + 1, length_of(record->key), length_of(record->value), record->header_count };
	LEAT_TRY(leat_buffer_append(buffer, &head, sizeof head));
	LEAT_TRY(leat_buffer_append(buffer, topic, head.topic_length));
	LEAT_TRY(append(buffer, record->key));
	LEAT_TRY(append(buffer, record->value));
	return append_headers(buffer, record);
}

static const uint8_t *take(const uint8_t **at, uint32_t length)
{
	const uint8_t *here = *at;
	if (length == NONE)
		return NULL;
	*at += length;
	return here;
}

static struct leat_bytes take_bytes(const uint8_t **at, uint32_t length)
{
	const uint8_t *data = take(at, length);
	return leat_bytes(data, data ? length : 0);
}

static int send_kept(struct leat_session *session, const uint8_t **at, struct leat_header headers[HEADERS_MOST], struct leat_fault *fault)
{
	struct kept head;
	memcpy(&head, take(at, sizeof head), sizeof head);
	const char *topic = (const char *)take(at, head.topic_length);
	struct leat_record record = { .timestamp_ms = head.timestamp_ms, .headers = headers, .header_count = head.header_count };
	record.key = take_bytes(at, head.key_length);
	record.value = take_bytes(at, head.value_length);
	for (uint32_t i = 0; i < head.header_count; i++) {
		struct kept_header lengths;
		memcpy(&lengths, take(at, sizeof lengths), sizeof lengths);
		headers[i].name = take_bytes(at, lengths.name_length);
		headers[i].value = take_bytes(at, lengths.value_length);
	}
	return kafka_session_send(session, topic, head.partition, &record, 0, fault);
}

/* A failure stays with the session: whatever it is asked to do next returns it. */
static void send_all_kept(struct leat_session *session)
{
	struct leat_buffer kept = session->beside->kept;
	struct leat_header headers[HEADERS_MOST];
	const uint8_t *at = kept.data, *end = at + kept.length;
	session->beside->kept = (struct leat_buffer){ 0 };   /* beginning a transaction may renew the producer, which drops what is there */
	while (!session->broken && at < end)   /* a failed send breaks the session */
		session->broken_rc = send_kept(session, &at, headers, &session->broken_fault);
	if (kept.capacity > KEPT_SPARE)
		leat_buffer_free(&kept);
	kept.length = 0;
	session->beside->kept = kept;
}

/* ---- the committer ---- */

static void *committer_main(void *self)
{
	struct leat_session *session = self;
	struct kafka_beside *beside = session->beside;
	pthread_mutex_lock(&beside->lock);
	while (beside->phase != CLOSING) {
		if (beside->phase != ASKED) {
			pthread_cond_wait(&beside->changed, &beside->lock);
			continue;
		}
		pthread_mutex_unlock(&beside->lock);
		struct leat_fault fault = { 0 };
		int rc = kafka_transaction_commit(session, beside->positions, &fault);
		pthread_mutex_lock(&beside->lock);
		beside->rc = rc;
		beside->fault = fault;
		beside->phase = ENDED;
		pthread_cond_broadcast(&beside->changed);
		kafka_session_ring(session);
	}
	pthread_mutex_unlock(&beside->lock);
	return NULL;
}

static int start_committer(struct leat_session *session, struct leat_fault *fault)
{
	if (session->beside)
		return 0;
	struct kafka_beside *beside = session->beside = leat_calloc(1, sizeof *beside);
	if (!beside)
		return leat_fail(fault, LEAT_ENOMEM, "out of memory");
	pthread_mutex_init(&beside->lock, NULL);
	pthread_cond_init(&beside->changed, NULL);
	if (pthread_create(&beside->thread, NULL, committer_main, session) == 0)
		return 0;
	pthread_mutex_destroy(&beside->lock);
	pthread_cond_destroy(&beside->changed);
	leat_free(beside);
	session->beside = NULL;
	return leat_fail(fault, LEAT_ENOMEM, "cannot start a thread");
}

/* ---- the worker's side ---- */

int kafka_commit_start(struct leat_session *session, const struct leat_position *positions, size_t count, const char *metadata, struct leat_fault *fault)
{
	LEAT_ASSERT(!session->commits_beside && session->config.transactional);
	LEAT_TRY(kafka_session_dead(session, fault));
	LEAT_TRY(start_committer(session, fault));
	struct kafka_beside *beside = session->beside;
	LEAT_TRY(kafka_commit_ready(session, positions, count, metadata, &beside->positions, fault));
	if (session->early)
		kafka_producer_flip(session->early);
	session->commits_beside = beside->due = true;
	pthread_mutex_lock(&beside->lock);
	beside->phase = ASKED;
	pthread_cond_broadcast(&beside->changed);
	pthread_mutex_unlock(&beside->lock);
	return 0;
}

/* Waits for a commit that is under way; the producer is the worker's again. */
static void settle(struct leat_session *session)
{
	struct kafka_beside *beside = session->beside;
	if (!session->commits_beside)
		return;
	pthread_mutex_lock(&beside->lock);
	while (beside->phase == ASKED)
		pthread_cond_wait(&beside->changed, &beside->lock);
	beside->phase = IDLE;
	pthread_mutex_unlock(&beside->lock);
	rd_kafka_topic_partition_list_destroy(beside->positions);
	session->commits_beside = false;
	kafka_commit_done(session, beside->rc);
	if (beside->rc < 0) {
		session->broken_rc = beside->rc;
		session->broken_fault = beside->fault;
	}
}

bool kafka_commit_ended(struct leat_session *session)
{
	struct kafka_beside *beside = session->beside;
	if (!session->commits_beside)
		return true;
	pthread_mutex_lock(&beside->lock);
	bool ended = beside->phase == ENDED;
	pthread_mutex_unlock(&beside->lock);
	return ended;
}

int kafka_commit_end(struct leat_session *session, struct leat_fault *fault)
{
	struct kafka_beside *beside = session->beside;
	if (!beside || !beside->due)
		return 0;
	settle(session);
	beside->due = false;
	if (beside->rc < 0 && fault)
		*fault = beside->fault;
	/* Whether these go well is the next transaction's concern: the next send or commit tells. */
	send_all_kept(session);
	return beside->rc;
}

int kafka_beside_keep(struct leat_session *session, const char *topic, int32_t partition, const struct leat_record *record, struct leat_fault *fault)
{
	struct leat_buffer *buffer = &session->beside->kept;
	size_t before = buffer->length;
	if (before > KEPT_MOST || record->header_count > HEADERS_MOST) {
		settle(session);
		send_all_kept(session);
		return kafka_session_send(session, topic, partition, record, 0, fault);
	}
	if (keep(buffer, topic, partition, record) >= 0)
		return 0;
	buffer->length = before;
	return leat_fail(fault, LEAT_ENOMEM, "out of memory");
}


void kafka_beside_give_up(struct leat_session *session)
{
	if (!session->beside)
		return;
	settle(session);
	session->beside->due = false;
	leat_buffer_free(&session->beside->kept);
}

void kafka_beside_close(struct leat_session *session)
{
	struct kafka_beside *beside = session->beside;
	if (!beside)
		return;
	kafka_beside_give_up(session);
	pthread_mutex_lock(&beside->lock);
	beside->phase = CLOSING;
	pthread_cond_broadcast(&beside->changed);
	pthread_mutex_unlock(&beside->lock);
	pthread_join(beside->thread, NULL);
	pthread_mutex_destroy(&beside->lock);
	pthread_cond_destroy(&beside->changed);
	leat_buffer_free(&beside->kept);
	leat_free(beside);
	session->beside = NULL;
}
