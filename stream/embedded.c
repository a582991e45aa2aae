/* The embedded transport: topics and state in one directory. Opening and closing it; another process' directory is reached through that process. */
#include "stream/embedded_internal.h"

#include <time.h>

enum { CONNECT_TRIES = 250, CONNECT_PAUSE_MS = 20, DEAF_TRIES = 25 };

/* ---- settings ---- */

struct setting {
	const char *name, *allowed;
	size_t offset;
	int64_t least, most;                 /* of numbers; most 0: a switch */
};
static const struct setting known_settings[] = {
	{ "fsync", "true or false", offsetof(struct leat_embedded_settings, fsync), 0, 0 },
	{ "socket", "on or off", offsetof(struct leat_embedded_settings, socket), 0, 0 },
	{ "partitions", "a number from 1 to 4096", offsetof(struct leat_embedded_settings, partitions), 1, LEAT_EMBEDDED_PARTITIONS_MAX },
	{ "fail_commit", "the number of a commit", offsetof(struct leat_embedded_settings, fail_commit), 0, INT64_MAX },
	{ "unknown_commit", "the number of a commit", offsetof(struct leat_embedded_settings, unknown_commit), 0, INT64_MAX },
};

static bool parse_switch(const char *text, bool *value)
{
	*value = strcmp(text, "true") == 0 || strcmp(text, "on") == 0;
	return *value || strcmp(text, "false") == 0 || strcmp(text, "off") == 0;
}

static bool parse_number(const struct setting *setting, const char *text, int64_t *value)
{
	size_t digits = strspn(text, "0123456789");
	if (digits == 0 || digits > 18 || text[digits])
		return false;
	*value = 0;
	for (; *text; text++)
		*value = *value * 10 + (*text - '0');
	return *value >= setting->least && *value <= setting->most;
}

static int parse_setting(struct leat_embedded_settings *settings, const char *name, const char *value, struct leat_fault *fault)
{
	for (size_t i = 0; i < LEAT_COUNT_OF(known_settings); i++) {
		const struct setting *setting = &known_settings[i];
		void *field = (uint8_t *)settings + setting->offset;
		if (strcmp(setting->name, name) != 0)
			continue;
		if (setting->most ? parse_number(setting, value, field) : parse_switch(value, field))
			return 0;
		return leat_fail(fault, LEAT_ECONFIG, "setting %s of the embedded transport is \"%s\": %s is allowed", name, value, setting->allowed);
	}
	return leat_fail(fault, LEAT_ECONFIG, "the embedded transport has no setting %s; it has fsync, socket, partitions", name);
}

static int parse_settings(struct leat_embedded_settings *settings, const struct leat_pair_text *pairs, struct leat_fault *fault)
{
	*settings = (struct leat_embedded_settings){ .socket = true, .partitions = LEAT_EMBEDDED_TASKS };
	for (; pairs && pairs->key; pairs++)
		LEAT_TRY(parse_setting(settings, pairs->key, pairs->value, fault));
	return 0;
}

/* ---- as owner ---- */

static void init_locks(struct leat_embedded *embedded)
{
	pthread_condattr_t monotonic;
	pthread_mutex_init(&embedded->commit_lock, NULL);
	pthread_mutex_init(&embedded->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&embedded->changed, &monotonic);
	pthread_condattr_destroy(&monotonic);
}

static int open_owner(struct leat_embedded *embedded, const struct leat_transport_config *config, struct leat_fault *fault)
{
	LEAT_TRY(leat_database_open(embedded, config->storage, fault));
	LEAT_TRY(leat_topics_load(embedded, fault));
	if (embedded->settings.socket)
		LEAT_TRY(leat_server_open(&embedded->server, embedded, fault));
	return leat_directory_say(&embedded->directory, embedded->settings.socket ? "serving" : "alone", fault);
}

/* Takes @directory over, also when it fails. */
static int open_embedded(struct leat_transport **out, struct leat_directory *directory, const struct leat_embedded_settings *settings, const struct leat_transport_config *config,
	struct leat_fault *fault)
{
	struct leat_embedded *embedded = leat_calloc(1, sizeof *embedded);
	if (!embedded) {
		leat_directory_close(directory);
		return leat_fail(fault, LEAT_ENOMEM, "out of memory for the embedded transport");
	}
	init_locks(embedded);
	embedded->transport = (struct leat_transport){ &leat_embedded_ops, LEAT_RUN_RECORD_MAX - LEAT_RUN_RECORD_HEAD };
	embedded->clock = config->clock;
	embedded->settings = *settings;
	embedded->directory = *directory;
	*directory = (struct leat_directory){ .fd = -1, .owner_fd = -1 };
	embedded->application = leat_strdup(config->application ? config->application : "");
	int rc = embedded->application ? open_owner(embedded, config, fault) : leat_fail(fault, LEAT_ENOMEM, "out of memory for the embedded transport");
	if (rc == 0)
		*out = &embedded->transport;
	else
		leat_embedded_close(&embedded->transport);
	return rc;
}

void leat_embedded_close(struct leat_transport *transport)
{
	if (!transport)
		return;
	struct leat_embedded *embedded = leat_embedded_of(transport);
	LEAT_ASSERT(!embedded->sessions);
	leat_server_close(embedded->server);
	leat_database_close(embedded);
	leat_topics_free(embedded);
	leat_directory_close(&embedded->directory);
	pthread_cond_destroy(&embedded->changed);
	pthread_mutex_destroy(&embedded->lock);
	pthread_mutex_destroy(&embedded->commit_lock);
	leat_free(embedded->owners);
	leat_free(embedded->targets);
	leat_free(embedded->application);
	leat_free(embedded);
}

/* ---- owner or client ---- */

static int refuse_busy(const struct leat_directory *directory, struct leat_fault *fault)
{
	return leat_fail(fault, LEAT_EBUSY, "%s is in use by process %lld, which does not answer on its socket", directory->path, (long long)directory->pid);
}

/* The owner may be opening or closing just now: then the socket, or the lock, comes free in a moment. LEAT_ERETRY: try again. */
static int try_open(struct leat_transport **out, const struct leat_embedded_settings *settings, const struct leat_transport_config *config, int number, struct leat_fault *fault)
{
	struct leat_directory directory;
	LEAT_TRY(leat_directory_open(&directory, config->directory, fault));
	if (directory.owned)
		return open_embedded(out, &directory, settings, config, fault);
	bool alone = strcmp(directory.state, "alone") == 0;
	int patience = strcmp(directory.state, "opening") == 0 ? CONNECT_TRIES : DEAF_TRIES;
	int rc = alone ? LEAT_ERETRY : leat_client_open(out, &directory, config->clock, fault);
	if (rc == LEAT_ERETRY && (alone || number >= patience))
		rc = refuse_busy(&directory, fault);
	leat_directory_close(&directory);
	return rc;
}

int leat_embedded_open(struct leat_transport **out, const struct leat_transport_config *config, struct leat_fault *fault)
{
	struct leat_embedded_settings settings;
	*out = NULL;
	if (!config->directory || !config->directory[0])
		return leat_fail(fault, LEAT_ECONFIG, "the embedded transport needs a directory");
	LEAT_TRY(parse_settings(&settings, config->settings, fault));
	int rc = LEAT_ERETRY;
	for (int i = 1; rc == LEAT_ERETRY && i <= CONNECT_TRIES; i++) {
		struct timespec pause = { .tv_nsec = CONNECT_PAUSE_MS * 1000000L };
		if (i > 1)
			nanosleep(&pause, NULL);
		rc = try_open(out, &settings, config, i, fault);
	}
	return rc;
}
