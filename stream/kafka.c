/* The Kafka transport: the process-wide part, and the table of its functions. */
#include "stream/kafka_internal.h"
#include "state/store.h"

#include <errno.h>
#include <sys/stat.h>
#include <time.h>

int64_t kafka_now_ms(void)
{
	return leat_clock_mono_us(NULL) / 1000;
}

/* Which of librdkafka's codes mean more than "the broker refused". */
static const struct meaning {
	rd_kafka_resp_err_t code;
	int ours;
} meanings[] = {
	{ RD_KAFKA_RESP_ERR__TIMED_OUT, LEAT_ERETRY }, { RD_KAFKA_RESP_ERR__TIMED_OUT_QUEUE, LEAT_ERETRY },
	{ RD_KAFKA_RESP_ERR__MSG_TIMED_OUT, LEAT_ERETRY }, { RD_KAFKA_RESP_ERR__TRANSPORT, LEAT_ERETRY },
	{ RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN, LEAT_ERETRY }, { RD_KAFKA_RESP_ERR__RESOLVE, LEAT_ERETRY },
	{ RD_KAFKA_RESP_ERR__WAIT_COORD, LEAT_ERETRY },
	{ RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT, LEAT_ERETRY }, { RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE, LEAT_ERETRY },
	{ RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION, LEAT_ERETRY }, { RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS, LEAT_ERETRY },
	{ RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE, LEAT_ERETRY }, { RD_KAFKA_RESP_ERR_NOT_COORDINATOR, LEAT_ERETRY },
	{ RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS, LEAT_ERETRY }, { RD_KAFKA_RESP_ERR_UNSTABLE_OFFSET_COMMIT, LEAT_ERETRY },
	{ RD_KAFKA_RESP_ERR_NOT_CONTROLLER, LEAT_ERETRY }, { RD_KAFKA_RESP_ERR_CONCURRENT_TRANSACTIONS, LEAT_ERETRY },
	{ RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, LEAT_ENOTFOUND }, { RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC, LEAT_ENOTFOUND },
	{ RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION, LEAT_ENOTFOUND }, { RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET, LEAT_EGAP },
	{ RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE, LEAT_EGAP }, { RD_KAFKA_RESP_ERR__BAD_MSG, LEAT_ECORRUPT },
	{ RD_KAFKA_RESP_ERR__BAD_COMPRESSION, LEAT_ECORRUPT }, { RD_KAFKA_RESP_ERR_INVALID_MSG, LEAT_ECORRUPT },
	{ RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, LEAT_ELIMIT }, { RD_KAFKA_RESP_ERR__FENCED, LEAT_EFENCED },
	{ RD_KAFKA_RESP_ERR_PRODUCER_FENCED, LEAT_EFENCED }, { RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH, LEAT_EFENCED },
	{ RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID, LEAT_EFENCED }, { RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION, LEAT_EABORT },
	{ RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID, LEAT_EABORT }, { RD_KAFKA_RESP_ERR__PURGE_QUEUE, LEAT_EABORT },
	{ RD_KAFKA_RESP_ERR__PURGE_INFLIGHT, LEAT_EABORT },
};

int kafka_fail(struct leat_fault *fault, rd_kafka_resp_err_t code, const char *format, ...)
{
	int ours = LEAT_EBROKER;
	for (size_t i = 0; i < LEAT_COUNT_OF(meanings); i++)
		if (meanings[i].code == code)
			ours = meanings[i].ours;
	if (!fault)
		return ours;
	va_list arguments;
	va_start(arguments, format);
	char what[256];
	vsnprintf(what, sizeof what, format, arguments);
	va_end(arguments);
	fault->fatal = false;   /* what ends a session for good is decided where it is known */
	return leat_fail(fault, ours, "%s: %s", what, rd_kafka_err2str(code));
}

int kafka_fail_error(struct leat_fault *fault, rd_kafka_error_t *error, const char *what)
{
	int rc = kafka_fail(fault, rd_kafka_error_code(error), "%s", what);
	if (fault)
		leat_fail(fault, rc, "%s: %s", what, rd_kafka_error_string(error));
	rd_kafka_error_destroy(error);
	return rc;
}

/* ---- clients' ends ---- */

struct burial {
	struct leat_kafka *kafka;
	rd_kafka_t *rk;
};

static void *bury(void *self)
{
	struct burial *burial = self;
	struct leat_kafka *kafka = burial->kafka;
	rd_kafka_destroy_flags(burial->rk, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
	leat_free(burial);
	pthread_mutex_lock(&kafka->lock);
	kafka->dying--;
	pthread_cond_broadcast(&kafka->changed);
	pthread_mutex_unlock(&kafka->lock);
	return NULL;
}

void kafka_dispose(struct leat_kafka *kafka, rd_kafka_t *rk)
{
	pthread_t thread;
	if (!rk)
		return;
	struct burial *burial = leat_malloc(sizeof *burial);
	if (!burial) {
		leat_log(LEAT_WARNING, "kafka: no memory to end a client in order; it is left running");
		return;
	}
	*burial = (struct burial){ .kafka = kafka, .rk = rk };
	pthread_mutex_lock(&kafka->lock);
	kafka->dying++;
	pthread_mutex_unlock(&kafka->lock);
	if (pthread_create(&thread, NULL, bury, burial) == 0) {
		pthread_detach(thread);
		return;
	}
	leat_log(LEAT_WARNING, "kafka: no thread to end a client in order; it is left running");
	leat_free(burial);
	pthread_mutex_lock(&kafka->lock);
	kafka->dying--;
	pthread_mutex_unlock(&kafka->lock);
}

/* True when all clients have ended within KAFKA_BURY_MS. */
static bool wait_for_burials(struct leat_kafka *kafka)
{
	struct timespec until;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += KAFKA_BURY_MS / 1000;
	pthread_mutex_lock(&kafka->lock);
	while (kafka->dying && pthread_cond_timedwait(&kafka->changed, &kafka->lock, &until) != ETIMEDOUT)
		;
	unsigned left = kafka->dying;
	pthread_mutex_unlock(&kafka->lock);
	if (left)
		leat_log(LEAT_WARNING, "kafka: %u clients did not end within %d ms and are left behind", left, KAFKA_BURY_MS);
	return left == 0;
}

static void free_kafka(struct leat_kafka *kafka)
{
	pthread_mutex_destroy(&kafka->lock);
	pthread_mutex_destroy(&kafka->cause_lock);
	pthread_cond_destroy(&kafka->changed);
	kafka_settings_free(kafka);
	leat_free(kafka->application);
	leat_free(kafka->instance);
	leat_free(kafka->state_dir);
	leat_free(kafka->brokers);
	leat_free(kafka->tasks_topic);
	leat_free(kafka);
}

static void close_kafka(struct leat_transport *transport)
{
	struct leat_kafka *kafka = (struct leat_kafka *)transport;
	if (!kafka)
		return;
	while (kafka->clients) {
		struct kafka_client *client = kafka->clients;
		LEAT_ASSERT(!client->readers);
		kafka->clients = client->next;
		kafka_dispose(kafka, client->rk);
		leat_free(client);
	}
	if (wait_for_burials(kafka) && !kafka->leaves_one)   /* else the threads still hold it */
		free_kafka(kafka);
}

/* ---- stores: a directory of their own per task ---- */

static int make_directories(char *path, struct leat_fault *fault)
{
	for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		int failed = mkdir(path, 0700) != 0 && errno != EEXIST;
		if (failed)
			leat_fail(fault, LEAT_EIO, "cannot create %s: %s", path, strerror(errno));
		*slash = '/';
		if (failed)
			return LEAT_EIO;
	}
	return 0;
}

static char *store_path(const struct leat_transport *transport, int32_t task)
{
	const struct leat_kafka *kafka = (const struct leat_kafka *)transport;
	return leat_printf("%s/%s/%s/%d", kafka->state_dir, kafka->application, kafka->instance, (int)task);
}

/* A damaged database is never repaired: it is set aside for whoever wants to look, and the changelog fills a new one. */
static int set_aside(const char *path, const char *why, struct leat_fault *fault)
{
	leat_log(LEAT_ERROR, "%s is damaged and set aside as %s.corrupt-<time>; the changelog fills a new one: %s", path, path, why);
	return leat_store_quarantine(path, NULL, fault);
}

static int open_or_begin_anew(struct leat_store **out, struct leat_storage *storage, const char *path, const char *owner, struct leat_fault *fault)
{
	int rc = leat_store_open(out, storage, path, owner, fault);
	if (rc != LEAT_ECORRUPT)
		return rc;
	LEAT_TRY(set_aside(path, fault->text, fault));
	return leat_store_open(out, storage, path, owner, fault);
}

static int open_store(struct leat_transport *transport, struct leat_storage *storage, int32_t task, const char *owner, struct leat_store **out, struct leat_fault *fault)
{
	char *path = store_path(transport, task);
	if (!path)
		return leat_fail(fault, LEAT_ENOMEM, "out of memory");
	int rc = make_directories(path, fault);
	if (rc == 0)
		rc = open_or_begin_anew(out, storage, path, owner, fault);
	leat_free(path);
	return rc;
}

static int discard_store(struct leat_transport *transport, int32_t task, struct leat_fault *fault)
{
	char *path = store_path(transport, task);
	if (!path)
		return leat_fail(fault, LEAT_ENOMEM, "out of memory");
	int rc = leat_store_remove(path, fault);
	leat_free(path);
	return rc;
}

static int quarantine_store(struct leat_transport *transport, int32_t task, const char *why, struct leat_fault *fault)
{
	char *path = store_path(transport, task);
	if (!path)
		return leat_fail(fault, LEAT_ENOMEM, "out of memory");
	int rc = set_aside(path, why, fault);
	leat_free(path);
	return rc;
}

static struct leat_writes *no_writes(struct leat_session *session)
{
	(void)session;
	return NULL;
}

static const struct leat_transport_ops ops = {
	.name = "kafka",
	.keeps_rows = false,
	.close = close_kafka,
	.partitions = kafka_partitions,
	.create = kafka_create,
	.bounds = kafka_bounds,
	.trim = kafka_trim,
	.reader_open = kafka_reader_open,
	.reader_next = kafka_reader_next,
	.reader_close = kafka_reader_close,
	.session_open = kafka_session_open,
	.session_poll = kafka_session_poll,
	.session_wake = kafka_session_wake,
	.session_committed = kafka_session_committed,
	.session_owner = kafka_session_owner,
	.session_fence = kafka_session_fence,
	.feed_open = kafka_feed_open,
	.feed_take = kafka_feed_take,
	.feed_release = kafka_feed_release,
	.feed_close = kafka_feed_close,
	.session_send = kafka_session_send,
	.session_send_many = kafka_session_send_many,
	.session_row = kafka_session_row,
	.session_writes = no_writes,
	.session_commit = kafka_session_commit,
	.session_commit_start = kafka_commit_start,
	.session_commit_ended = kafka_commit_ended,
	.session_commit_end = kafka_commit_end,
	.session_reset = kafka_session_reset,
	.session_changelog_end = kafka_session_changelog_end,
	.store_open = open_store,
	.store_discard = discard_store,
	.store_quarantine = quarantine_store,
	.feed_lag = kafka_feed_lag,
	.session_close = kafka_session_close,
	.position_set = kafka_position_set,
};

/* The names become parts of topics, group and transactional ids, and of the offsets' metadata, where '|' ends the id. */
static int check_name(const char *what, const char *name, struct leat_fault *fault)
{
	size_t length = name ? strlen(name) : 0;
	if (length == 0)
		return leat_fail(fault, LEAT_ECONFIG, "the %s has no name", what);
	if (length > KAFKA_NAME_MAX)
		return leat_fail(fault, LEAT_ECONFIG, "the %s's name is longer than %d characters", what, KAFKA_NAME_MAX);
	size_t good = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-");
	if (good != length || name[0] == '.')
		return leat_fail(fault, LEAT_ECONFIG, "the %s's name \"%s\" may hold letters, digits, '.', '_' and '-' only, and not begin with '.'", what, name);
	return 0;
}

static int take_config(struct leat_kafka *kafka, const struct leat_transport_config *config, struct leat_fault *fault)
{
	LEAT_TRY(check_name("application", config->application, fault));
	LEAT_TRY(check_name("instance", config->instance, fault));
	if (!config->brokers || !config->brokers[0])
		return leat_fail(fault, LEAT_ECONFIG, "no Kafka brokers are given");
	LEAT_TRY(kafka_settings_take(kafka, config->settings, fault));
	kafka->transport.record_max = kafka_record_max(kafka);
	kafka->application = leat_strdup(config->application);
	kafka->instance = leat_strdup(config->instance);
	kafka->state_dir = leat_strdup(config->state_dir ? config->state_dir : ".");
	kafka->brokers = leat_strdup(config->brokers);
	kafka->tasks_topic = leat_printf("%s.tasks", config->application);
	if (!kafka->application || !kafka->instance || !kafka->state_dir || !kafka->brokers || !kafka->tasks_topic)
		return leat_fail(fault, LEAT_ENOMEM, "out of memory");
	return 0;
}

int leat_kafka_open(struct leat_transport **out, const struct leat_transport_config *config, struct leat_fault *fault)
{
	struct leat_kafka *kafka = leat_calloc(1, sizeof *kafka);
	*out = NULL;
	if (!kafka)
		return leat_fail(fault, LEAT_ENOMEM, "out of memory");
	kafka->transport.ops = &ops;
	pthread_mutex_init(&kafka->lock, NULL);
	pthread_mutex_init(&kafka->cause_lock, NULL);
	pthread_cond_init(&kafka->changed, NULL);
	int rc = take_config(kafka, config, fault);
	if (rc == 0)
		*out = &kafka->transport;
	else
		free_kafka(kafka);
	return rc;
}
