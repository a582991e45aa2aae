/* Kafka clients' settings: what users may set, what they may not and why, and what each kind of client of ours needs. */
#include "stream/kafka_internal.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ALL = KAFKA_CONSUMERS | KAFKA_PRODUCERS, MESSAGE_MAX_LEAST = 65536, MESSAGE_HEAD = 128 };   /* a batch's header and a record's, rounded up */

/* What users may pass on, and to which clients it goes. */
static const struct allowed {
	const char *key;
	unsigned roles;
} allowed[] = {
	{ "security.protocol", ALL }, { "client.id", ALL }, { "client.rack", KAFKA_CONSUMERS },
	{ "ssl.ca.location", ALL }, { "ssl.ca.pem", ALL }, { "ssl.certificate.location", ALL }, { "ssl.certificate.pem", ALL },
	{ "ssl.key.location", ALL }, { "ssl.key.pem", ALL }, { "ssl.key.password", ALL }, { "ssl.keystore.location", ALL },
	{ "ssl.keystore.password", ALL }, { "ssl.crl.location", ALL }, { "ssl.cipher.suites", ALL }, { "ssl.curves.list", ALL },
	{ "ssl.sigalgs.list", ALL }, { "ssl.endpoint.identification.algorithm", ALL }, { "enable.ssl.certificate.verification", ALL },
	{ "sasl.mechanism", ALL }, { "sasl.mechanisms", ALL }, { "sasl.username", ALL }, { "sasl.password", ALL },
	{ "sasl.kerberos.service.name", ALL }, { "sasl.kerberos.principal", ALL }, { "sasl.kerberos.keytab", ALL },
	{ "sasl.oauthbearer.config", ALL }, { "sasl.oauthbearer.method", ALL }, { "sasl.oauthbearer.client.id", ALL },
	{ "sasl.oauthbearer.client.secret", ALL }, { "sasl.oauthbearer.scope", ALL }, { "sasl.oauthbearer.extensions", ALL },
	{ "sasl.oauthbearer.token.endpoint.url", ALL },
	{ "socket.timeout.ms", ALL }, { "socket.send.buffer.bytes", ALL }, { "socket.receive.buffer.bytes", ALL },
	{ "socket.keepalive.enable", ALL }, { "socket.nagle.disable", ALL }, { "socket.max.fails", ALL },
	{ "socket.connection.setup.timeout.ms", ALL }, { "connections.max.idle.ms", ALL }, { "broker.address.ttl", ALL },
	{ "broker.address.family", ALL }, { "reconnect.backoff.ms", ALL }, { "reconnect.backoff.max.ms", ALL },
	{ "metadata.max.age.ms", ALL }, { "topic.metadata.refresh.interval.ms", ALL }, { "message.max.bytes", ALL },
	{ "receive.message.max.bytes", ALL }, { "check.crcs", KAFKA_CONSUMERS }, { "fetch.wait.max.ms", KAFKA_READER | KAFKA_DATA },
	{ "fetch.max.bytes", KAFKA_READER | KAFKA_DATA }, { "fetch.message.max.bytes", KAFKA_READER | KAFKA_DATA },
	{ "session.timeout.ms", KAFKA_GROUP }, { "heartbeat.interval.ms", KAFKA_GROUP }, { "max.poll.interval.ms", KAFKA_GROUP },
	{ "linger.ms", KAFKA_TRANSACTIONAL | KAFKA_IDEMPOTENT }, { "queue.buffering.max.ms", KAFKA_TRANSACTIONAL | KAFKA_IDEMPOTENT },
	{ "compression.type", KAFKA_PRODUCERS }, { "compression.codec", KAFKA_PRODUCERS }, { "compression.level", KAFKA_PRODUCERS },
	{ "batch.size", KAFKA_PRODUCERS }, { "batch.num.messages", KAFKA_PRODUCERS }, { "request.timeout.ms", KAFKA_PRODUCERS },
	{ "debug", ALL },
};

/* Settings that are secrets, and those that name files which hold some. */
static const char *const secrets[] = { "sasl.password", "ssl.key.password", "ssl.key.pem", "ssl.keystore.password", "sasl.oauthbearer.client.secret" };
static const char *const secret_files[] = { "ssl.key.location", "ssl.keystore.location", "sasl.kerberos.keytab" };

/* What is refused gets its reason said; anything not listed at all is refused as unknown. */
static const struct refused {
	const char *key, *why;
} refused[] = {
	{ "plugin.library.paths", "it loads code into the process" },
	{ "ssl.engine.location", "it loads code into the process" },
	{ "ssl.engine.id", "it loads code into the process" },
	{ "ssl.providers", "it loads code into the process" },
	{ "sasl.kerberos.kinit.cmd", "it runs a shell command" },
	{ "test.mock.num.brokers", "it silently replaces the brokers" },
	{ "test.mock.broker.rtt", "it silently replaces the brokers" },
	{ "enable.auto.commit", "leat commits offsets itself, inside transactions" },
	{ "auto.commit.interval.ms", "leat commits offsets itself, inside transactions" },
	{ "enable.auto.offset.store", "leat commits offsets itself, inside transactions" },
	{ "auto.offset.reset", "leat starts at committed offsets and reports a gap instead of jumping over it" },
	{ "isolation.level", "exactly once needs read_committed" },
	{ "enable.idempotence", "exactly once needs it" },
	{ "acks", "exactly once needs all" },
	{ "request.required.acks", "exactly once needs all" },
	{ "transactional.id", "it is made of the application, the instance and the worker" },
	{ "transaction.timeout.ms", "leat sets it and aborts by itself before it passes" },
	{ "group.id", "it is the application's name" },
	{ "group.instance.id", "it is made of the instance and the worker" },
	{ "partition.assignment.strategy", "tasks move by cooperative-sticky" },
	{ "partitioner", "a key's task follows from murmur2, as in Kafka's own clients" },
	{ "bootstrap.servers", "write it as kafka.brokers" },
	{ "metadata.broker.list", "write it as kafka.brokers" },
	{ "retry.backoff.ms", "each transaction waits for it" },
	{ "queued.min.messages", "it follows from memory" },
	{ "queued.max.messages.kbytes", "it follows from memory" },
	{ "queue.buffering.max.messages", "it follows from memory" },
	{ "queue.buffering.max.kbytes", "it follows from memory" },
	{ "allow.auto.create.topics", "a mistyped topic must not come into being" },
};

/* Before the user's settings, so that those that are allowed win. */
static const struct preset {
	unsigned roles;
	const char *key, *value;
} presets[] = {
	{ ALL, "retry.backoff.ms", "10" },              /* 100, the default, makes each transaction take 103 ms */
	{ ALL, "reconnect.backoff.ms", "20" },          /* also paces the first connections                     */
	{ ALL, "reconnect.backoff.max.ms", "1000" },
	{ ALL, "socket.nagle.disable", "true" },
	{ ALL, "socket.keepalive.enable", "true" },
	{ ALL, "log.connection.close", "false" },
	{ ALL, "allow.auto.create.topics", "false" },
	{ ALL, "topic.metadata.propagation.max.ms", "3000" },       /* a topic still unknown then is an error, not after 30 s */
	{ KAFKA_CONSUMERS, "enable.auto.commit", "false" },
	{ KAFKA_CONSUMERS, "enable.auto.offset.store", "false" },
	{ KAFKA_CONSUMERS, "auto.offset.reset", "error" },
	{ KAFKA_CONSUMERS & ~KAFKA_PEEK, "isolation.level", "read_committed" },
	{ KAFKA_PEEK, "isolation.level", "read_uncommitted" },
	{ KAFKA_READER | KAFKA_DATA, "enable.partition.eof", "true" },
	{ KAFKA_READER | KAFKA_DATA, "check.crcs", "true" },
	{ KAFKA_READER | KAFKA_DATA, "fetch.error.backoff.ms", "10" },
	{ KAFKA_READER | KAFKA_DATA, "fetch.wait.max.ms", "50" },   /* a new partition waits for the fetch under way */
	{ KAFKA_GROUP, "partition.assignment.strategy", "cooperative-sticky" },
	{ KAFKA_GROUP, "session.timeout.ms", "6000" },
	{ KAFKA_GROUP, "heartbeat.interval.ms", "500" },            /* a change of members is heard of by heartbeat  */
	{ KAFKA_GROUP, "max.poll.interval.ms", "60000" },
	{ KAFKA_GROUP, "fetch.wait.max.ms", "5000" },               /* its topic is empty                            */
	{ KAFKA_PRODUCERS, "enable.idempotence", "true" },
	{ KAFKA_PRODUCERS, "compression.type", "lz4" },
	{ KAFKA_PRODUCERS, "message.max.bytes", "2097152" },        /* a dead letter carries a whole bad message of 1 MiB, and headers */
	{ KAFKA_PRODUCERS, "batch.num.messages", "100000" },
	{ KAFKA_PRODUCERS, "batch.size", "1000000" },
	{ KAFKA_PRODUCERS, "partitioner", "murmur2_random" },
	{ KAFKA_TRANSACTIONAL | KAFKA_IDEMPOTENT, "linger.ms", "5" },
	{ KAFKA_EARLY, "linger.ms", "3" },   /* a request per partition and half a millisecond kept a small broker busy for longer than it saved */
};

static const struct allowed *find_allowed(const char *key)
{
	for (size_t i = 0; i < LEAT_COUNT_OF(allowed); i++)
		if (strcmp(allowed[i].key, key) == 0)
			return &allowed[i];
	return NULL;
}

static bool is_among(const char *const *list, size_t count, const char *key)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(list[i], key) == 0)
			return true;
	return false;
}

bool leat_kafka_setting_secret(const char *key)
{
	return is_among(secrets, LEAT_COUNT_OF(secrets), key);
}

/* A file that is not there is librdkafka's to tell of. */
static int check_file(const char *key, const char *path, struct leat_fault *fault)
{
	struct stat about;
	if (!is_among(secret_files, LEAT_COUNT_OF(secret_files), key) || stat(path, &about) != 0 || leat_file_secret(about.st_mode, about.st_uid, geteuid()))
		return 0;
	return leat_fail(fault, LEAT_ECONFIG, "kafka setting %s: %s holds a secret but others may open it (mode %03o); chmod 600 it", key, path, (unsigned)(about.st_mode & 0777));
}

static int unknown_setting(const char *key, struct leat_fault *fault)
{
	struct leat_guess guess = { 0 };
	for (size_t i = 0; i < LEAT_COUNT_OF(allowed); i++)
		leat_guess(&guess, leat_text(key), allowed[i].key);
	return leat_fail(fault, LEAT_ECONFIG, "kafka setting %s is unknown or not among those that may be set%s", key, leat_guess_hint(&guess));
}

static int check_setting(rd_kafka_conf_t *scratch, const char *key, const char *value, struct leat_fault *fault)
{
	char text[256];
	for (size_t i = 0; i < LEAT_COUNT_OF(refused); i++)
		if (strcmp(refused[i].key, key) == 0)
			return leat_fail(fault, LEAT_ECONFIG, "kafka setting %s is not allowed: %s", key, refused[i].why);
	if (!find_allowed(key))
		return unknown_setting(key, fault);
	if (rd_kafka_conf_set(scratch, key, value, text, sizeof text) != RD_KAFKA_CONF_OK)
		return leat_fail(fault, LEAT_ECONFIG, "kafka setting %s: %s", key, text);
	if (strcmp(key, "message.max.bytes") == 0 && strtol(value, NULL, 10) < MESSAGE_MAX_LEAST)
		return leat_fail(fault, LEAT_ECONFIG, "kafka setting %s: at least %d: dead letters must fit", key, MESSAGE_MAX_LEAST);
	return check_file(key, value, fault);
}

void leat_kafka_settings_print(FILE *out)
{
	for (size_t i = 0; i < LEAT_COUNT_OF(allowed); i++)
		fprintf(out, "%s`%s`", i ? ", " : "", allowed[i].key);
}

void leat_kafka_secrets_print(FILE *out)
{
	for (size_t i = 0; i < LEAT_COUNT_OF(secrets); i++)
		fprintf(out, "%s`%s`", i ? ", " : "", secrets[i]);
}

int leat_kafka_setting_check(const char *key, const char *value, struct leat_fault *fault)
{
	rd_kafka_conf_t *scratch = rd_kafka_conf_new();
	int rc = check_setting(scratch, key, value, fault);
	rd_kafka_conf_destroy(scratch);
	return rc;
}

int kafka_settings_take(struct leat_kafka *kafka, const struct leat_pair_text *settings, struct leat_fault *fault)
{
	size_t count = 0;
	while (settings && settings[count].key)
		count++;
	rd_kafka_conf_t *scratch = rd_kafka_conf_new();
	int rc = LEAT_ENOMEM;
	kafka->settings = leat_calloc(count, sizeof *kafka->settings);
	if (!kafka->settings)
		goto out;
	for (size_t i = 0; i < count; i++) {
		if ((rc = check_setting(scratch, settings[i].key, settings[i].value, fault)) != 0)
			goto out;
		struct kafka_setting *mine = &kafka->settings[kafka->setting_count++];
		mine->key = leat_strdup(settings[i].key);
		mine->value = leat_strdup(settings[i].value);
		rc = LEAT_ENOMEM;
		if (!mine->key || !mine->value)
			goto out;
	}
	rc = 0;
out:
	rd_kafka_conf_destroy(scratch);
	return rc == LEAT_ENOMEM ? leat_fail(fault, rc, "out of memory") : rc;
}

size_t kafka_record_max(const struct leat_kafka *kafka)
{
	const char *value = NULL;
	for (size_t i = 0; i < LEAT_COUNT_OF(presets); i++)
		if (strcmp(presets[i].key, "message.max.bytes") == 0)
			value = presets[i].value;
	for (size_t i = 0; i < kafka->setting_count; i++)
		if (strcmp(kafka->settings[i].key, "message.max.bytes") == 0)
			value = kafka->settings[i].value;
	LEAT_ASSERT(value);
	return (size_t)strtol(value, NULL, 10) - MESSAGE_HEAD;
}

void kafka_settings_free(struct leat_kafka *kafka)
{
	for (size_t i = 0; i < kafka->setting_count; i++) {
		leat_free(kafka->settings[i].key);
		leat_free(kafka->settings[i].value);
	}
	leat_free(kafka->settings);
}

/* A new broker's transaction coordinator loads for a moment; who waits for the id in vain for long is told so by the transport. */
static bool expected(const char *facility, const char *text)
{
	static const char end[] = ": retrying";
	size_t length = strlen(text);
	return strcmp(facility, "GETPID") == 0 && length >= sizeof end - 1 && strcmp(text + length - (sizeof end - 1), end) == 0;
}

/* librdkafka's facility is a constant string, so its address limits the rate of each kind of line by itself. */
void kafka_log_line(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
	if (strcmp(facility, "CONFWARN") == 0)   /* allow.auto.create.topics works for producers too, whatever it says */
		return;
	if (level >= 7) {   /* asked for by kafka.settings.debug: every line counts */
		leat_log(LEAT_INFO, "%s: %s: %s", rd_kafka_name(rk), facility, text);
		return;
	}
	if (expected(facility, text))
		return;
	enum leat_level mine = level <= 3 ? LEAT_ERROR : level == 4 ? LEAT_WARNING : LEAT_INFO;
	leat_log_seldom(mine, facility, 10000, "kafka client: %s: %s", facility, text);
}

/* ---- clients ---- */

struct conf {
	rd_kafka_conf_t *conf;
	char text[256];
	bool failed;
};

static void put(struct conf *conf, const char *key, const char *value)
{
	if (!conf->failed && rd_kafka_conf_set(conf->conf, key, value, conf->text, sizeof conf->text) != RD_KAFKA_CONF_OK)
		conf->failed = true;
}

static void put_number(struct conf *conf, const char *key, int64_t value)
{
	char text[32];
	snprintf(text, sizeof text, "%lld", (long long)value);
	put(conf, key, text);
}

static void put_sizes(struct conf *conf, enum kafka_role role, const struct kafka_sizes *sizes)
{
	if (role == KAFKA_READER) {
		put_number(conf, "queued.min.messages", KAFKA_READER_RECORDS);
		put_number(conf, "queued.max.messages.kbytes", KAFKA_READER_BYTES / 1024);
	}
	if (role == KAFKA_DATA) {
		put_number(conf, "queued.min.messages", sizes->feed_records);
		put_number(conf, "queued.max.messages.kbytes", (int64_t)LEAT_MAX(sizes->feed_bytes / 1024, (size_t)1));
		put_number(conf, "fetch.message.max.bytes", (int64_t)sizes->fetch_bytes);
	}
	if (role & KAFKA_PRODUCERS) {
		put_number(conf, "queue.buffering.max.kbytes", (int64_t)LEAT_MAX(sizes->send_bytes / 1024, (size_t)1));
		put_number(conf, "queue.buffering.max.messages", (int64_t)LEAT_MIN(LEAT_MAX(sizes->send_bytes / 256, (size_t)1000), (size_t)10000000));
	}
	if (role == KAFKA_TRANSACTIONAL)
		put_number(conf, "transaction.timeout.ms", sizes->transaction_timeout_ms);
}

static void put_ours(struct conf *conf, const struct leat_kafka *kafka, enum kafka_role role, const struct kafka_extra *extra)
{
	char client_id[KAFKA_TXN_ID_MAX];
	snprintf(client_id, sizeof client_id, "leat-%s-%s", kafka->application, kafka->instance);
	put(conf, "bootstrap.servers", kafka->brokers);
	put(conf, "client.id", client_id);
	for (size_t i = 0; i < LEAT_COUNT_OF(presets); i++)
		if (presets[i].roles & role)
			put(conf, presets[i].key, presets[i].value);
	/* Since 2.2 the wait after a full queue can be set; before, it is a second and kafka_nudge() ends it. */
	if ((role & (KAFKA_READER | KAFKA_DATA)) && !kafka_needs_nudges())
		put(conf, "fetch.queue.backoff.ms", "5");
	if (role & (KAFKA_GROUP | KAFKA_PEEK))
		put(conf, "group.id", kafka->application);
	put_sizes(conf, role, extra ? extra->sizes : NULL);
	if (extra && extra->instance_id)
		put(conf, "group.instance.id", extra->instance_id);
	if (extra && extra->transactional_id)
		put(conf, "transactional.id", extra->transactional_id);
	for (size_t i = 0; i < kafka->setting_count; i++)
		if (find_allowed(kafka->settings[i].key)->roles & role)
			put(conf, kafka->settings[i].key, kafka->settings[i].value);
}

int kafka_client_new(struct leat_kafka *kafka, enum kafka_role role, const struct kafka_extra *extra, rd_kafka_t **out, struct leat_fault *fault)
{
	struct conf conf = { .conf = rd_kafka_conf_new() };
	*out = NULL;
	put_ours(&conf, kafka, role, extra);
	rd_kafka_conf_set_log_cb(conf.conf, kafka_log_line);
	if (role == KAFKA_DATA)
		rd_kafka_conf_set_error_cb(conf.conf, kafka_inlet_error);
	if (role == KAFKA_READER) {
		put(&conf, "log.connection.close", "true");
		kafka_cause_watch(kafka, conf.conf);
	}
	if (extra) {
		rd_kafka_conf_set_opaque(conf.conf, extra->opaque);
		if (extra->on_delivery)
			rd_kafka_conf_set_dr_msg_cb(conf.conf, extra->on_delivery);
		if (extra->on_error)
			rd_kafka_conf_set_error_cb(conf.conf, extra->on_error);
	}
	if (role == KAFKA_GROUP)
		rd_kafka_conf_set_events(conf.conf, RD_KAFKA_EVENT_REBALANCE | RD_KAFKA_EVENT_ERROR);
	if (!conf.failed)
		*out = rd_kafka_new(role & KAFKA_PRODUCERS ? RD_KAFKA_PRODUCER : RD_KAFKA_CONSUMER, conf.conf, conf.text, sizeof conf.text);
	if (*out)
		return 0;
	rd_kafka_conf_destroy(conf.conf);
	return leat_fail(fault, LEAT_ECONFIG, "kafka client: %s", conf.text);
}
