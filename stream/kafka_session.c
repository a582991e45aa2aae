/* Sessions: joining the group, taking and giving up tasks, waiting, closing. All on the worker's thread but for the start, which needs the broker and must not hold it up. */
#include "stream/kafka_internal.h"

#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

enum { EVENTS_MAX = 32, STALL_MS = 20, KIB = 1024 };

/* ---- opening ---- */

/*
 * A record waiting in librdkafka costs some 300 bytes more than its own. The floors are what one fetch brings anyway; a session expects one input per task
 * and its share of a group of one, which is the worst case.
 */
static void set_sizes(struct leat_session *session)
{
	struct kafka_sizes *sizes = &session->sizes;
	size_t memory = LEAT_MAX(session->config.memory, (size_t)KIB * KIB);
	size_t share = memory / 2 / (size_t)LEAT_MAX(session->config.tasks, 1);
	sizes->send_bytes = LEAT_MAX(memory / 2, (size_t)KIB * KIB);
	sizes->feed_records = (int)LEAT_MIN(LEAT_MAX(share / 400, (size_t)500), (size_t)50000);
	sizes->feed_bytes = LEAT_MAX(share / 2, (size_t)64 * KIB);
	sizes->fetch_bytes = LEAT_MIN(LEAT_MAX(share / 16, (size_t)16 * KIB), (size_t)1024 * KIB);
	sizes->transaction_timeout_ms = session->config.transaction_timeout_ms;
}

static int open_producers(struct leat_session *session, struct leat_fault *fault)
{
	bool transactional = session->config.transactional;
	LEAT_TRY(kafka_producer_open(session->kafka, transactional ? KAFKA_TRANSACTIONAL : KAFKA_IDEMPOTENT, &session->sizes,
		transactional ? session->transactional_id : NULL, &session->producer, fault));
	session->producer->row_ends = session->row_sent;
	session->producer->tasks = session->config.tasks;
	return session->config.early ? kafka_producer_open(session->kafka, KAFKA_EARLY, &session->sizes, NULL, &session->early, fault) : 0;
}

static int open_consumers(struct leat_session *session, struct leat_fault *fault)
{
	static const uint64_t one = 1;
	struct kafka_extra extra = { .sizes = &session->sizes, .instance_id = session->instance_id };
	LEAT_TRY(kafka_client_new(session->kafka, KAFKA_GROUP, &extra, &session->group, fault));
	rd_kafka_poll_set_consumer(session->group);
	session->group_queue = rd_kafka_queue_get_consumer(session->group);
	rd_kafka_queue_io_event_enable(session->group_queue, session->wake_fd, &one, sizeof one);
	extra.instance_id = NULL;
	return kafka_client_new(session->kafka, KAFKA_DATA, &extra, &session->data, fault);
}

void kafka_session_ring(struct leat_session *session)
{
	uint64_t one = 1;
	if (write(session->wake_fd, &one, sizeof one) < 0)
		return;   /* the counter is full: it is awake */
}

/* Wakes whoever waits for the starter with its outcome. */
static void started(struct leat_session *session, int rc, const struct leat_fault *fault)
{
	pthread_mutex_lock(&session->lock);
	session->ready = rc == 0;
	session->start_rc = rc;
	session->start_fault = *fault;
	session->start_fault.fatal = true;
	pthread_cond_broadcast(&session->changed);
	pthread_mutex_unlock(&session->lock);
	kafka_session_ring(session);
}

static bool stopping(struct leat_session *session)
{
	return atomic_load(&session->closing);
}

/* Until @at_ms from now or the session closes. */
static void pause_ms(struct leat_session *session, int64_t ms)
{
	int64_t deadline = kafka_now_ms() + ms;
	while (!stopping(session) && kafka_left_ms(deadline) > 0)
		poll(NULL, 0, (int)LEAT_MIN(kafka_left_ms(deadline), KAFKA_PAUSE_MS));
}

/* The topic of tasks, tried until it is there, then the group. Subscribing to a topic that is not there would find it only minutes later. */
static int join(struct leat_session *session, struct leat_fault *fault)
{
	static const char key;
	int rc;
	int64_t wait = KAFKA_PAUSE_MS;
	while ((rc = kafka_tasks_topic(session->kafka, session->group, session->config.tasks, fault)) == LEAT_ERETRY || rc == LEAT_ENOTFOUND) {
		leat_log_seldom(LEAT_WARNING, &key, 10000, "kafka: cannot reach %s: %s; trying again", session->kafka->brokers, fault->text);
		pause_ms(session, wait);
		wait = LEAT_MIN(wait * 2, (int64_t)1000);
		if (stopping(session))
			return LEAT_ESTOPPED;
	}
	if (rc < 0)
		return rc;
	rd_kafka_topic_partition_list_t *topics = rd_kafka_topic_partition_list_new(1);
	rd_kafka_topic_partition_list_add(topics, session->kafka->tasks_topic, RD_KAFKA_PARTITION_UA);
	rd_kafka_resp_err_t err = rd_kafka_subscribe(session->group, topics);
	rd_kafka_topic_partition_list_destroy(topics);
	return err ? kafka_fail(fault, err, "joining the group %s", session->kafka->application) : 0;
}

/* What needs the broker, beside the worker: the group joins (in librdkafka's thread) while the producer gets its id. */
static void *starter_main(void *self)
{
	struct leat_session *session = self;
	struct leat_fault fault = { 0 };
	int rc = join(session, &fault);
	while (rc == 0 && session->config.transactional) {
		rc = kafka_producer_init(session->producer, kafka_now_ms() + KAFKA_ADMIN_MS, &session->closing, &fault);
		if (rc != LEAT_ERETRY || stopping(session))
			break;
		rc = 0;
	}
	started(session, rc, &fault);
	return NULL;
}

static int start_threads(struct leat_session *session, struct leat_fault *fault)
{
	if (session->nudges && pthread_create(&session->pulse, NULL, kafka_pulse_main, session) != 0)
		return leat_fail(fault, LEAT_ENOMEM, "cannot start a thread");
	session->has_pulse = session->nudges;
	if (pthread_create(&session->starter, NULL, starter_main, session) != 0)
		return leat_fail(fault, LEAT_ENOMEM, "cannot start a thread");
	session->has_starter = true;
	return 0;
}

static int prepare(struct leat_session *session, const struct leat_session_config *config)
{
	struct leat_kafka *kafka = session->kafka;
	session->config = *config;
	session->plain = config->worker < 0;
	session->nudges = kafka_needs_nudges() && !session->plain;
	if (session->config.transaction_timeout_ms <= 0)
		session->config.transaction_timeout_ms = 10000;
	if (session->plain)
		session->config.transactional = session->config.early = false;
	set_sizes(session);
	snprintf(session->transactional_id, sizeof session->transactional_id, "%s-%s-%d", kafka->application, kafka->instance, config->worker);
	snprintf(session->instance_id, sizeof session->instance_id, "%s-%d", kafka->instance, config->worker);
	size_t tasks = (size_t)LEAT_MAX(config->tasks, 0);
	session->owned = leat_calloc(tasks, sizeof *session->owned);
	session->row_sent = leat_calloc(tasks, sizeof *session->row_sent);
	session->row_committed = leat_calloc(tasks, sizeof *session->row_committed);
	if (!session->owned || !session->row_sent || !session->row_committed)
		return LEAT_ENOMEM;
	for (size_t task = 0; task < tasks; task++)
		session->row_sent[task] = session->row_committed[task] = -1;
	session->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	return session->wake_fd < 0 ? LEAT_ENOMEM : 0;
}

int kafka_session_open(struct leat_transport *transport, const struct leat_session_config *config, struct leat_session **out, struct leat_fault *fault)
{
	struct leat_session *session = leat_calloc(1, sizeof *session);
	*out = NULL;
	if (!session)
		return leat_fail(fault, LEAT_ENOMEM, "out of memory");
	session->kafka = (struct leat_kafka *)transport;
	session->wake_fd = -1;
	pthread_mutex_init(&session->lock, NULL);
	pthread_cond_init(&session->changed, NULL);
	int rc = prepare(session, config);
	if (rc < 0)
		leat_fail(fault, rc, "out of memory");
	if (rc == 0)
		rc = open_producers(session, fault);
	if (rc == 0 && session->plain)
		session->ready = true;
	if (rc == 0 && !session->plain)
		rc = open_consumers(session, fault);
	if (rc == 0 && !session->plain)
		rc = start_threads(session, fault);
	if (rc == 0)
		*out = session;
	else
		kafka_session_close(session, false);
	return rc;
}

int kafka_session_ready(struct leat_session *session, int64_t deadline_ms, struct leat_fault *fault)
{
	struct timespec until;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += kafka_left_ms(deadline_ms) / 1000 + 1;
	pthread_mutex_lock(&session->lock);
	while (!session->ready && session->start_rc == 0 && !atomic_load(&session->interrupted) && pthread_cond_timedwait(&session->changed, &session->lock, &until) != ETIMEDOUT)
		;
	int rc = session->start_rc;
	if (rc < 0 && fault)
		*fault = session->start_fault;
	else if (!session->ready && rc == 0)
		rc = leat_fail(fault, LEAT_ERETRY, "the producer is not initialised: %s cannot be reached", session->kafka->brokers);
	pthread_mutex_unlock(&session->lock);
	return rc;
}

/* ---- tasks come and go ---- */

/* Everything we had is somebody else's. */
static void lose_all(struct leat_session *session)
{
	for (int32_t task = 0; task < session->config.tasks; task++)
		if (session->owned[task]) {
			session->owned[task] = false;
			session->config.events.lost(session->config.events.self, task);
		}
}

static void die(struct leat_session *session, int rc, const struct leat_fault *fault)
{
	if (session->dead)
		return;
	session->dead = rc;
	session->dead_fault = *fault;
	session->dead_fault.fatal = true;
	lose_all(session);
}

int kafka_session_dead(struct leat_session *session, struct leat_fault *fault)
{
	if (session->dead && fault)
		*fault = session->dead_fault;
	return session->dead;
}

static void end_rebalance(rd_kafka_error_t *error, const char *what)
{
	if (!error)
		return;
	leat_log(LEAT_WARNING, "kafka: %s: %s", what, rd_kafka_error_string(error));
	rd_kafka_error_destroy(error);
}

static void gain(struct leat_session *session, rd_kafka_topic_partition_list_t *partitions)
{
	for (int i = 0; i < partitions->cnt; i++)
		partitions->elems[i].offset = RD_KAFKA_OFFSET_END;   /* explicit: nothing is committed for it and nothing is in it */
	end_rebalance(rd_kafka_incremental_assign(session->group, partitions), "taking tasks");
	session->assigned_once = true;
	for (int i = 0; i < partitions->cnt; i++) {
		int32_t task = partitions->elems[i].partition;
		if (task < 0 || task >= session->config.tasks || session->owned[task])
			continue;
		session->owned[task] = true;
		session->config.events.assigned(session->config.events.self, task);
	}
}

/* A member that lives must finish before it gives up: the broker checks the generation of a commit, not who owns the partition. */
static void give_up(struct leat_session *session, rd_kafka_topic_partition_list_t *partitions)
{
	bool lost = rd_kafka_assignment_lost(session->group) != 0;
	const struct leat_session_events *events = &session->config.events;
	for (int i = 0; i < partitions->cnt; i++) {
		int32_t task = partitions->elems[i].partition;
		if (task < 0 || task >= session->config.tasks || !session->owned[task])
			continue;
		session->owned[task] = false;
		if (lost)
			events->lost(events->self, task);
		else
			events->revoked(events->self, task);
	}
	end_rebalance(rd_kafka_incremental_unassign(session->group, partitions), "giving tasks up");
}

static void serve_rebalance(struct leat_session *session, rd_kafka_event_t *event)
{
	rd_kafka_topic_partition_list_t *partitions = rd_kafka_event_topic_partition_list(event);
	kafka_watch_soon(session);
	if (rd_kafka_event_error(event) == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS)
		gain(session, partitions);
	else
		give_up(session, partitions);
}

static void serve_error(struct leat_session *session, rd_kafka_event_t *event)
{
	static const char key;
	struct leat_fault fault = { 0 };
	rd_kafka_resp_err_t err = rd_kafka_event_error(event);
	switch (err) {
	case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED:
	case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
	case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
	case RD_KAFKA_RESP_ERR_INCONSISTENT_GROUP_PROTOCOL:
		break;
	default:
		if (rd_kafka_event_error_is_fatal(event))
			break;
		leat_log_seldom(LEAT_WARNING, &key, 10000, "kafka: group %s: %s: %s", session->kafka->application, rd_kafka_err2name(err), rd_kafka_event_error_string(event));
		return;
	}
	int rc = kafka_fail(&fault, err, "group %s, member %s", session->kafka->application, session->instance_id);
	die(session, rc, &fault);
}

static bool serve_event(struct leat_session *session, rd_kafka_queue_t *queue, int timeout_ms)
{
	rd_kafka_event_t *event = rd_kafka_queue_poll(queue, timeout_ms);
	if (!event)
		return false;
	switch (rd_kafka_event_type(event)) {
	case RD_KAFKA_EVENT_REBALANCE:
		serve_rebalance(session, event);
		break;
	case RD_KAFKA_EVENT_ERROR:
		serve_error(session, event);
		break;
	default:
		break;
	}
	rd_kafka_event_destroy(event);
	return true;
}

/* ---- waiting ---- */

static bool serve_events(struct leat_session *session)
{
	int served = 0;
	while (served < EVENTS_MAX && serve_event(session, session->group_queue, 0))
		served++;
	return served > 0;
}

static void serve_producers(struct leat_session *session)
{
	if (session->producer && !session->commits_beside)
		rd_kafka_poll(session->producer->rk, 0);
	if (session->early)
		rd_kafka_poll(session->early->rk, 0);
}

/* True when somebody woke us. */
static bool wait_for_wake(struct leat_session *session, int64_t timeout_us)
{
	uint64_t count;
	struct timespec timeout = { .tv_sec = timeout_us / 1000000, .tv_nsec = timeout_us % 1000000 * 1000 };
	struct pollfd wait = { .fd = session->wake_fd, .events = POLLIN };
	int woken = ppoll(&wait, 1, &timeout, NULL);
	return woken > 0 && read(session->wake_fd, &count, sizeof count) > 0;
}

static int start_failed(struct leat_session *session, struct leat_fault *fault)
{
	pthread_mutex_lock(&session->lock);
	int rc = session->start_rc;
	if (rc < 0 && fault)
		*fault = session->start_fault;
	pthread_mutex_unlock(&session->lock);
	return rc;
}

int kafka_session_poll(struct leat_session *session, int64_t timeout_us, struct leat_fault *fault)
{
	int64_t deadline = leat_clock_mono_us(NULL) + LEAT_MAX(timeout_us, (int64_t)0);
	atomic_store(&session->interrupted, false);   /* whatever it was for, the worker has come back to look */
	serve_producers(session);
	if (session->plain) {
		rd_kafka_poll(session->producer->rk, (int)(timeout_us / 1000));
		return 0;
	}
	kafka_watch(session);
	for (;;) {
		bool changed = serve_events(session);
		LEAT_TRY(kafka_session_dead(session, fault));
		LEAT_TRY(start_failed(session, fault));
		int64_t left = deadline - leat_clock_mono_us(NULL);
		if (kafka_feeds_ready(session) || changed || left <= 0)
			return 0;
		bool stalls = left > STALL_MS * 1000;
		bool woken = wait_for_wake(session, stalls ? STALL_MS * 1000 : left);
		if (woken) {
			serve_events(session);
			return kafka_session_dead(session, fault);
		}
		if (stalls)
			kafka_feeds_stalled(session);
		serve_producers(session);
	}
}

void kafka_session_wake(struct leat_session *session)
{
	atomic_store(&session->interrupted, true);
	pthread_mutex_lock(&session->lock);
	pthread_cond_broadcast(&session->changed);
	pthread_mutex_unlock(&session->lock);
	kafka_session_ring(session);
}

/* ---- closing ---- */

/* Hands tasks over (revoked callbacks run here) and waits until the group knows. A client that never had an assignment is not closed in order: 2.0.2 may crash there. */
static void leave_group(struct leat_session *session, int64_t deadline)
{
	bool had = false;
	for (int32_t task = 0; task < session->config.tasks; task++)
		had |= session->owned[task];
	if (!had || session->dead)
		return;
	rd_kafka_queue_t *queue = rd_kafka_queue_new(session->group);
	rd_kafka_error_t *error = rd_kafka_consumer_close_queue(session->group, queue);
	if (error)
		end_rebalance(error, "leaving the group");
	else
		while (!rd_kafka_consumer_closed(session->group) && kafka_left_ms(deadline) > 0)
			serve_event(session, queue, KAFKA_PAUSE_MS);
	if (!error && !rd_kafka_consumer_closed(session->group))
		leat_log(LEAT_WARNING, "kafka: leaving the group %s did not end within %d ms; left behind", session->kafka->application, KAFKA_CLOSE_MS);
	rd_kafka_queue_destroy(queue);
}

static void end_transaction(struct leat_session *session, int64_t deadline)
{
	if (!session->open || !session->config.transactional || !session->producer)
		return;
	rd_kafka_purge(session->producer->rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
	rd_kafka_error_t *error = rd_kafka_abort_transaction(session->producer->rk, LEAT_MIN(LEAT_MAX(kafka_left_ms(deadline), 100), 2000));
	if (error)
		rd_kafka_error_destroy(error);   /* the broker aborts it when its time is up */
}

static void join_threads(struct leat_session *session)
{
	atomic_store(&session->closing, true);
	pthread_mutex_lock(&session->lock);
	pthread_cond_broadcast(&session->changed);
	pthread_mutex_unlock(&session->lock);
	if (session->has_starter)
		pthread_join(session->starter, NULL);
	if (session->has_pulse)
		pthread_join(session->pulse, NULL);
}

/*
 * librdkafka 2.0.2 fails an assertion when a member is destroyed after it has joined and before its first assignment (#4312). Such a client is left behind
 * without a subscription; the group forgets it like any member that is not heard of.
 */
static void bury_member(struct leat_session *session)
{
	if (!session->group || session->assigned_once) {
		kafka_dispose(session->kafka, session->group);
		return;
	}
	rd_kafka_unsubscribe(session->group);
	session->kafka->leaves_one = true;
}

void kafka_session_close(struct leat_session *session, bool graceful)
{
	if (!session)
		return;
	int64_t deadline = kafka_now_ms() + KAFKA_CLOSE_MS;
	kafka_beside_close(session);   /* first: a commit needs the group that we are a member of */
	if (graceful && session->group)
		leave_group(session, deadline);
	join_threads(session);
	end_transaction(session, deadline);
	if (session->plain && session->producer && graceful)
		kafka_producer_flush(session->producer, deadline, NULL);
	if (session->early && graceful)
		kafka_producer_flush(session->early, deadline, NULL);
	while (session->feeds)
		kafka_feed_close(session->feeds);
	if (session->group_queue) {
		rd_kafka_queue_io_event_enable(session->group_queue, -1, NULL, 0);
		rd_kafka_queue_destroy(session->group_queue);
	}
	kafka_watch_end(session);
	kafka_producer_close(session->producer);
	kafka_producer_close(session->early);
	bury_member(session);
	kafka_dispose(session->kafka, session->data);
	if (session->wake_fd >= 0)
		close(session->wake_fd);
	pthread_mutex_destroy(&session->lock);
	pthread_cond_destroy(&session->changed);
	leat_free(session->owned);
	leat_free(session->row_sent);
	leat_free(session->row_committed);
	leat_free(session);
}
