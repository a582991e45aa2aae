/* Why no broker can be reached: librdkafka tells it in logs, error callbacks and while it looks at certificates, each time only a part. */
#include "stream/kafka_internal.h"

#include <openssl/x509.h>

/* What librdkafka says, often only as TLS alert, and what it means for whoever wrote the settings. */
static const struct hint {
	const char *text, *means;
} hints[] = {
	{ "hostname mismatch", "the broker's certificate is for another host name than the one in brokers, or in the broker's advertised.listeners" },
	{ "IP address mismatch", "the broker's certificate does not name this address; say the host name it is made for" },
	{ "unable to get local issuer certificate", "the broker's certificate is not signed by a CA of ssl.ca.location" },
	{ "self-signed certificate", "the broker's certificate is not signed by a CA of ssl.ca.location" },
	{ "certificate has expired", "the broker's certificate has expired" },
	{ "alert bad certificate", "the broker wants a certificate of ours (ssl.certificate.location, ssl.key.location) and got none, or one that it refuses" },
	{ "alert certificate required", "the broker wants a certificate of ours: ssl.certificate.location, ssl.key.location" },
	{ "alert certificate unknown", "the broker does not trust our certificate (ssl.certificate.location)" },
	{ "alert unknown ca", "the broker does not trust our certificate (ssl.certificate.location)" },
	{ "unexpected eof", "perhaps the broker does not speak TLS there: security.protocol" },
	{ "wrong version number", "perhaps the broker does not speak TLS there: security.protocol" },
};

/* "NAME: what happened (after 5ms in state X)": only what happened. */
static void take_core(const char *text, char *out, size_t room)
{
	const char *name = strstr(text, ": "), *from = text;
	if (name && memchr(from, '/', (size_t)(name - from)))
		from = name + 2;
	const char *end = strstr(from, " (after ");
	snprintf(out, room, "%.*s", end ? (int)(end - from) : (int)strlen(from), from);
}

static void note_cause(struct leat_kafka *kafka, const char *text)
{
	char core[sizeof kafka->cause / 2];
	const char *means = NULL;
	take_core(text, core, sizeof core);
	for (size_t i = 0; !means && i < LEAT_COUNT_OF(hints); i++)
		if (strstr(text, hints[i].text))
			means = hints[i].means;
	pthread_mutex_lock(&kafka->cause_lock);
	snprintf(kafka->cause, sizeof kafka->cause, means ? "%s (%s)" : "%s", core, means);
	pthread_mutex_unlock(&kafka->cause_lock);
}

/* The client that finds out whether there is a broker: until then its failures are the reason we give, and nothing else is said of them. */
static void reader_error(rd_kafka_t *rk, int code, const char *reason, void *opaque)
{
	struct leat_kafka *kafka = opaque;
	if (atomic_load(&kafka->reached)) {
		if (!strstr(reason, "isconnected"))     /* brokers end idle connections */
			kafka_inlet_error(rk, code, reason, opaque);
	} else if (code != RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN && !strstr(reason, "certificate verify failed")) {   /* of that refused_certificate() knows more */
		note_cause(kafka, reason);
	}
}

static void log_reader(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
	const struct leat_kafka *kafka = rd_kafka_opaque(rk);
	if (level >= 7 || (atomic_load(&kafka->reached) && strcmp(facility, "FAIL") != 0))
		kafka_log_line(rk, level, facility, text);
}

/* Decides nothing: librdkafka tells what is wrong with a certificate nowhere else. */
static int refused_certificate(rd_kafka_t *rk, const char *broker, int32_t id, int *error, int depth, const char *certificate, size_t size, char *text, size_t room, void *opaque)
{
	char cause[256];
	(void)rk, (void)broker, (void)id, (void)depth, (void)certificate, (void)size;
	if (*error == 0)
		return 1;
	snprintf(text, room, "%s", X509_verify_cert_error_string(*error));
	snprintf(cause, sizeof cause, "TLS: %s", text);
	note_cause(opaque, cause);
	return 0;
}

void kafka_cause(struct leat_kafka *kafka, char *out, size_t room)
{
	pthread_mutex_lock(&kafka->cause_lock);
	snprintf(out, room, "%s%s", kafka->cause[0] ? ": " : "", kafka->cause);
	pthread_mutex_unlock(&kafka->cause_lock);
}

void kafka_cause_watch(struct leat_kafka *kafka, rd_kafka_conf_t *conf)
{
	rd_kafka_conf_set_opaque(conf, kafka);
	rd_kafka_conf_set_log_cb(conf, log_reader);
	rd_kafka_conf_set_error_cb(conf, reader_error);
	rd_kafka_conf_set_ssl_cert_verify_cb(conf, refused_certificate);
}
