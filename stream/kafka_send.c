/* Sending: outputs, state rows and early decisions of a session. */
#include "stream/kafka_internal.h"

enum { PLAIN_SEND_MS = 60000 };

/* A transaction has until the watchdog, everything else a minute. */
int64_t kafka_session_deadline(const struct leat_session *session)
{
	if (session->config.transactional && session->open)
		return session->opened_ms + session->config.transaction_timeout_ms * KAFKA_WATCHDOG_PERCENT / 100;
	return kafka_now_ms() + PLAIN_SEND_MS;
}

/* The broker would abort it at 100 %; before that we do, because then we know. */
int kafka_session_watchdog(struct leat_session *session, struct leat_fault *fault)
{
	if (!session->open || !session->config.transactional || kafka_left_ms(kafka_session_deadline(session)) > 0)
		return 0;
	session->broken = true;
	return leat_fail(fault, LEAT_EABORT, "the transaction has been open for %lld ms, which is too near to its time-out of %lld ms",
		(long long)(kafka_now_ms() - session->opened_ms), (long long)session->config.transaction_timeout_ms);
}

/* After a commit whose answer was late or lost, a delayed end of that transaction could end the next one: a new epoch refuses it. */
static int renew(struct leat_session *session, struct leat_fault *fault)
{
	leat_log(LEAT_INFO, "kafka: renewing the producer %s after a slow or interrupted commit", session->transactional_id);
	return kafka_session_renew(session, fault);   /* early records that failed meanwhile stay failed: nothing is done again */
}

int kafka_session_begin(struct leat_session *session, struct leat_fault *fault)
{
	if (LEAT_LIKELY(session->open))
		return 0;
	LEAT_TRY(kafka_session_ready(session, kafka_now_ms() + session->config.transaction_timeout_ms, fault));
	if (session->renew)
		LEAT_TRY(renew(session, fault));
	if (session->config.transactional) {
		rd_kafka_error_t *error = rd_kafka_begin_transaction(session->producer->rk);
		if (error)
			return kafka_fail_error(fault, error, "beginning a transaction");
	}
	session->open = true;
	session->opened_ms = kafka_now_ms();
	return 0;
}

int kafka_session_broken(struct leat_session *session, struct leat_fault *fault)
{
	if (LEAT_LIKELY(!session->broken))
		return 0;
	if (session->broken_rc >= 0)
		return leat_fail(fault, LEAT_EABORT, "the transaction has failed already");
	int rc = session->broken_rc;
	if (fault)
		*fault = session->broken_fault;
	session->broken_rc = 0;
	return rc;
}

/* What a send needs before it: a session that is in order and, but for early ones, a transaction. */
static int enter(struct leat_session *session, bool early, struct leat_fault *fault)
{
	if (LEAT_UNLIKELY(session->dead))
		return kafka_session_dead(session, fault);
	if (early)
		return 0;
	LEAT_TRY(kafka_session_broken(session, fault));
	int rc = kafka_session_begin(session, fault);
	if (rc == 0)
		rc = kafka_session_watchdog(session, fault);
	return rc;
}

/* A send that failed leaves the transaction incomplete, so it must not be committed. */
static int leave(struct leat_session *session, bool early, int rc)
{
	if (rc < 0 && !early && !session->plain)
		session->broken = true;
	return rc;
}

static bool goes_early(const struct leat_session *session, unsigned flags)
{
	return (flags & LEAT_SEND_EARLY) && session->early;
}

int kafka_session_send(struct leat_session *session, const char *topic, int32_t partition, const struct leat_record *record, unsigned flags, struct leat_fault *fault)
{
	bool early = goes_early(session, flags);
	if (session->commits_beside && !early)
		return kafka_beside_keep(session, topic, partition, record, fault);
	int rc = enter(session, early, fault);
	if (rc == 0)
		rc = kafka_producer_send(early ? session->early : session->producer, topic, partition, record, 0, kafka_session_deadline(session), fault);
	return leave(session, early, rc);
}

int kafka_session_send_many(struct leat_session *session, const char *topic, int32_t partition, const struct leat_record *records, size_t count, unsigned flags, struct leat_fault *fault)
{
	bool early = goes_early(session, flags);
	if (session->commits_beside && !early) {
		for (size_t i = 0; i < count; i++)
			LEAT_TRY(kafka_session_send(session, topic, partition, &(struct leat_record){ .key = records[i].key, .value = records[i].value, .timestamp_ms = -1 }, 0, fault));
		return 0;
	}
	int rc = enter(session, early, fault);
	if (rc == 0)
		rc = kafka_producer_send_many(early ? session->early : session->producer, topic, partition, records, count, kafka_session_deadline(session), fault);
	return leave(session, early, rc);
}

int kafka_session_row(struct leat_session *session, int32_t task, const char *changelog, struct leat_bytes key, struct leat_bytes value, struct leat_fault *fault)
{
	struct leat_record record = { .key = key, .value = value, .timestamp_ms = -1 };
	LEAT_ASSERT(task >= 0 && task < session->config.tasks);
	int rc = enter(session, false, fault);
	if (rc == 0)
		rc = kafka_producer_send(session->producer, changelog, task, &record, (intptr_t)task + 1, kafka_session_deadline(session), fault);
	return leave(session, false, rc);
}

int64_t kafka_session_changelog_end(struct leat_session *session, int32_t task)
{
	LEAT_ASSERT(task >= 0 && task < session->config.tasks);
	return session->row_committed[task];
}
