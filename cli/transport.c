/* Opening topics for the verbs that write and look at them: generate, import, tail, skip. */
#include "cli/cli.h"
#include "schemas/registry.h"
#include "state/store.h"
#include "stream/pipeline.h"
#include "stream/transport.h"

#include <time.h>
#include <unistd.h>

enum { TOOL_MEMORY = 64 << 20, REACH_MS = 5000, AGAIN_MS = 100 };

const char leat_tool_config_help[] = "FILE: how Kafka (TLS, SASL, brokers) and the registry are reached: a pipeline file, or one with only its kafka: and registry:";

/* The first connection may take longer than one try, above all by TLS. */
static int reach(struct leat_transport *transport, struct leat_fault *fault)
{
	int64_t end_us = leat_clock_mono_us(NULL) + REACH_MS * 1000LL;
	int32_t count;
	int rc;
	while ((rc = transport->ops->partitions(transport, "leat-tool", &count, fault)) == LEAT_ERETRY) {
		if (leat_interrupted(NULL) || leat_clock_mono_us(NULL) >= end_us)
			return rc;
		leat_tool_nap(AGAIN_MS * 1000);
	}
	return 0;
}

int leat_tool_transport_of(const struct leat_verb *verb, const struct leat_tool_of *of, const char *brokers, const char *embedded, struct leat_storage **storage, struct leat_transport **out)
{
	struct leat_fault fault = { 0 };
	struct leat_transport_config config = { .application = of->application, .instance = "tool", .brokers = brokers, .directory = embedded, .settings = embedded ? NULL : of->settings };
	*out = NULL;
	*storage = NULL;
	if (!brokers == !embedded)
		return leat_usage(verb, "either --brokers HOST:PORT, --embedded FOLDER, or a file with brokers in its kafka: section is needed");
	int rc = leat_storage_open(storage, TOOL_MEMORY, &fault);
	config.storage = *storage;
	if (rc >= 0)
		rc = embedded ? leat_embedded_open(out, &config, &fault) : leat_kafka_open(out, &config, &fault);
	if (rc >= 0 && brokers)
		rc = reach(*out, &fault);
	if (rc >= 0)
		return LEAT_EXIT_OK;
	leat_tool_close(*out, *storage);
	*out = NULL;
	*storage = NULL;
	return leat_failed(&fault);
}

int leat_tool_transport(const struct leat_verb *verb, struct leat_tool_where *where, struct leat_storage **storage, struct leat_transport **out)
{
	struct leat_fault fault = { 0 };
	struct leat_tool_of of = { .application = "leat-tool" };
	if (leat_registry_url_secret(where->registry))
		return leat_usage(verb, "everybody on this machine can read the command line: name the registry, and its password's auth_file, in a file given as --config");
	if (where->config && leat_pipeline_load_connection(&where->file, where->config, &fault) < 0)
		return leat_failed(&fault);
	const char *brokers = where->brokers;
	if (where->file) {
		of.settings = (const struct leat_pair_text *)(const void *)where->file->kafka;
		brokers = brokers || where->embedded ? brokers : where->file->brokers;
	}
	return leat_tool_transport_of(verb, &of, brokers, where->embedded, storage, out);
}

const char *leat_tool_registry_url(const struct leat_tool_where *where)
{
	return where->registry || !where->file ? where->registry : where->file->registry_url;
}

int leat_tool_registry(const struct leat_tool_where *where, const char *folder, struct leat_registry **out, struct leat_fault *fault)
{
	struct leat_registry_config config = { .url = leat_tool_registry_url(where) };
	if (!config.url)
		config.folder = folder;
	else if (!where->registry) {     /* another registry must not hear this one's password */
		config.auth_file = where->file->registry_auth_file;
		config.ca_file = where->file->registry_ca_file;
	}
	return leat_registry_open(out, &config, fault);
}

void leat_tool_close(struct leat_transport *transport, struct leat_storage *storage)
{
	if (transport)
		transport->ops->close(transport);
	leat_storage_close(storage);
}

/* ../share/leat/schemas from where the program lies. */
static char *installed_schemas(void)
{
	char path[4096];
	ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
	path[LEAT_MAX(length, 0)] = '\0';
	for (int i = 0; i < 2; i++) {
		char *slash = strrchr(path, '/');
		if (slash)
			*slash = '\0';
	}
	return leat_printf("%s/share/leat/schemas", path);
}

int leat_tool_schemas(const char *given, char **out, struct leat_fault *fault)
{
	*out = leat_strdup(given ? given : "schemas");
	if (*out && !given && access("schemas/ids.txt", R_OK) != 0) {
		leat_free(*out);
		*out = installed_schemas();
	}
	if (!*out)
		return leat_fail(fault, LEAT_ENOMEM, "out of memory");
	if (access(*out, R_OK | X_OK) == 0)
		return 0;
	int rc = leat_fail(fault, LEAT_ECONFIG, given ? "%s: there is no such folder of schemas" : "no folder schemas/ is here, nor is there %s; say where with --schemas", *out);
	leat_free(*out);
	*out = NULL;
	return rc;
}

static int ensure(struct leat_transport *transport, const struct leat_topic_spec *spec, struct leat_fault *fault)
{
	int32_t count;
	int rc = transport->ops->partitions(transport, spec->name, &count, fault);
	return rc == LEAT_ENOTFOUND ? transport->ops->create(transport, spec, fault) : rc;
}

int leat_tool_topic(struct leat_transport *transport, const char *topic, int32_t partitions, bool compacted, struct leat_fault *fault)
{
	return ensure(transport, &(struct leat_topic_spec){ .name = topic, .partitions = partitions, .compacted = compacted }, fault);
}

int leat_tool_topic_kept(struct leat_transport *transport, const char *topic, int32_t partitions, struct leat_fault *fault)
{
	return ensure(transport, &(struct leat_topic_spec){ .name = topic, .partitions = partitions, .retention_ms = -1 }, fault);
}

void leat_tool_nap(int64_t us)
{
	struct timespec nap = { us / 1000000, us % 1000000 * 1000 };
	nanosleep(&nap, NULL);
}
