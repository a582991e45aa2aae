/* Opening topics for the verbs that write and look at them: generate, import, tail, skip. */
#include "cli/cli.h"
#include "state/store.h"
#include "stream/transport.h"

#include <time.h>
#include <unistd.h>

enum { TOOL_MEMORY = 64 << 20 };

int leat_tool_transport_of(const struct leat_verb *verb, const struct leat_tool_of *of, const char *brokers, const char *embedded, struct leat_storage **storage, struct leat_transport **out)
{
	struct leat_fault fault = { 0 };
	struct leat_transport_config config = { .application = of->application, .instance = "tool", .brokers = brokers, .directory = embedded, .settings = embedded ? NULL : of->settings };
	*out = NULL;
	*storage = NULL;
	if (!brokers == !embedded)
		return leat_usage(verb, "either --brokers HOST:PORT or --embedded FOLDER is needed");
	int rc = leat_storage_open(storage, TOOL_MEMORY, &fault);
	config.storage = *storage;
	if (rc >= 0)
		rc = embedded ? leat_embedded_open(out, &config, &fault) : leat_kafka_open(out, &config, &fault);
	if (rc >= 0)
		return LEAT_EXIT_OK;
	leat_tool_close(NULL, *storage);
	*storage = NULL;
	return leat_failed(&fault);
}

int leat_tool_transport(const struct leat_verb *verb, const char *brokers, const char *embedded, struct leat_storage **storage, struct leat_transport **out)
{
	return leat_tool_transport_of(verb, &(struct leat_tool_of){ .application = "leat-tool" }, brokers, embedded, storage, out);
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

int leat_tool_topic(struct leat_transport *transport, const char *topic, int32_t partitions, bool compacted, struct leat_fault *fault)
{
	struct leat_topic_spec spec = { .name = topic, .partitions = partitions, .compacted = compacted };
	int32_t count;
	int rc = transport->ops->partitions(transport, topic, &count, fault);
	return rc == LEAT_ENOTFOUND ? transport->ops->create(transport, &spec, fault) : rc;
}

void leat_tool_nap(int64_t us)
{
	struct timespec nap = { us / 1000000, us % 1000000 * 1000 };
	nanosleep(&nap, NULL);
}
