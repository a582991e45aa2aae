/* The application: one process' share of a pipeline: transport, topics, instance folder, reference tables, workers. */
#include "stream/application.h"
#include "stream/deaths.h"
#include "stream/shared.h"
#include "stream/trim.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { INSTANCES_MAX = 64, TABLES_EVERY_US = 100000, AT_END_US = 500000, BEHIND_ROW_BYTES = 2500, TOPICS_EVERY_MS = 3000 };

/* ---- instance folder ---- */

static int make_folders(char *path, struct leat_fault *fault)
{
	for (char *at = path + 1;; at++) {
		char kept = *at;
		if (kept != '/' && kept != 0)
			continue;
		*at = 0;
		int failed = mkdir(path, 0700) < 0 && errno != EEXIST;
		*at = kept;
		if (failed)
			return leat_fail(fault, LEAT_EIO, "cannot make the folder %s: %s", path, strerror(errno));
		if (kept == 0)
			return 0;
	}
}

/* 0 locked, LEAT_EBUSY. */
static int lock_instance(struct leat *leat, const char *name, struct leat_fault *fault)
{
	char path[1024];
	snprintf(path, sizeof path, "%s/%s/%s", leat->state_dir, leat->pipeline->name, name);
	LEAT_TRY(make_folders(path, fault));
	size_t used = strlen(path);
	snprintf(path + used, sizeof path - used, "/lock");
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return leat_fail(fault, LEAT_EIO, "cannot open %s: %s", path, strerror(errno));
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		close(fd);
		return leat_fail(fault, LEAT_EBUSY, "instance '%s' of '%s' is already running (%s is locked)", name, leat->pipeline->name, path);
	}
	leat->lock_fd = fd;
	leat->instance = leat_strdup(name);
	return leat->instance ? 0 : leat_fail(fault, LEAT_ENOMEM, "out of memory");
}

static bool good_instance(const char *name)
{
	size_t length = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-");
	return length > 0 && length < 100 && !name[length] && name[0] != '.';
}

static int take_instance(struct leat *leat, const char *wanted, struct leat_fault *fault)
{
	char host[64] = "leat", name[96];
	if (wanted && !good_instance(wanted))
		return leat_fail(fault, LEAT_ECONFIG, "--instance '%s': must be letters, digits, '.', '_' or '-'", wanted);
	if (wanted)
		return lock_instance(leat, wanted, fault);
	gethostname(host, sizeof host - 1);
	for (int number = 1; number <= INSTANCES_MAX; number++) {
		snprintf(name, sizeof name, "%s-%d", host, number);
		int rc = lock_instance(leat, name, fault);
		if (rc != LEAT_EBUSY)
			return rc;
	}
	return leat_fail(fault, LEAT_EBUSY, "%d instances of '%s' run on this host already", INSTANCES_MAX, leat->pipeline->name);
}

static int choose_state_dir(struct leat *leat, const char *wanted, struct leat_fault *fault)
{
	const char *from = wanted ? wanted : getenv("LEAT_STATE"), *home = getenv("HOME");
	leat->state_dir = from ? leat_strdup(from) : leat_printf("%s/.local/state/leat", home && *home ? home : "/var/lib/leat");
	return leat->state_dir ? 0 : leat_fail(fault, LEAT_ENOMEM, "out of memory");
}

/* ---- topics ---- */

static const struct leat_pair_text changelog_config[] = {
	{ "max.message.bytes", "2097152" }, { "delete.retention.ms", "259200000" }, { "min.cleanable.dirty.ratio", "0.5" }, { "max.compaction.lag.ms", "86400000" }, { "segment.ms", "43200000" }, { NULL, NULL },
};

static const struct leat_pair_text internal_config[] = { { "max.message.bytes", "2097152" }, { NULL, NULL } };

/* The internal topics have one partition per task: another number means that an input has been changed. */
static int made_for_others(const struct leat_topic_spec *spec, struct leat_fault *fault)
{
	return leat_fail(fault, LEAT_ECONFIG, "topic %s was made for another number of partitions than the %d that the inputs have now: keys would move between tasks. Go back to as many as before, or begin with a new application name", spec->name, (int)spec->partitions);
}

static int create_internal(struct leat *leat, const struct leat_topic_spec *spec, struct leat_fault *fault)
{
	int rc = leat->transport->ops->create(leat->transport, spec, fault);
	return rc == LEAT_ECONFIG ? made_for_others(spec, fault) : rc;
}

typedef int visit_fn(struct leat *leat, const struct leat_topic_spec *spec, struct leat_fault *fault);

/* @visit for each topic that is ours alone, for @tasks tasks, until it fails. */
static int each_internal(struct leat *leat, int32_t tasks, visit_fn *visit, struct leat_fault *fault)
{
	const struct leat_pipeline *pipeline = leat->pipeline;
	char name[256];
	struct leat_topic_spec spec = { .partitions = tasks, .retention_ms = -1, .internal = true, .config = internal_config };
	for (size_t i = 0; i < pipeline->source_count; i++) {
		spec.name = pipeline->sources[i].topic;
		if (pipeline->sources[i].rekey >= 0 || pipeline->sources[i].deltas)
			LEAT_TRY(visit(leat, &spec, fault));
	}
	spec = (struct leat_topic_spec){ .name = name, .partitions = tasks, .compacted = true, .internal = true, .config = changelog_config };
	snprintf(name, sizeof name, "%s.shared", pipeline->name);
	if (pipeline->deltas_source >= 0)
		LEAT_TRY(visit(leat, &spec, fault));
	snprintf(name, sizeof name, "%s.changelog", pipeline->name);
	if (!leat->transport->ops->keeps_rows)
		LEAT_TRY(visit(leat, &spec, fault));
	spec = (struct leat_topic_spec){ .name = pipeline->dead_letter_topic, .partitions = tasks, .internal = true, .config = internal_config };
	return visit(leat, &spec, fault);
}

/* Creates @name if it is absent, with as many partitions as there are tasks; one that is there, or that somebody else makes meanwhile, stays as it is. */
static int ensure_topic(struct leat *leat, const char *name, bool compacted, int32_t *partitions, struct leat_fault *fault)
{
	int rc = leat->transport->ops->partitions(leat->transport, name, partitions, fault);
	if (rc != LEAT_ENOTFOUND)
		return rc;
	struct leat_topic_spec spec = { .name = name, .partitions = leat->engine.tasks, .compacted = compacted };
	rc = leat->transport->ops->create(leat->transport, &spec, fault);
	if (rc == LEAT_ECONFIG)
		return leat->transport->ops->partitions(leat->transport, name, partitions, fault);
	LEAT_TRY(rc);
	*partitions = leat->engine.tasks;
	leat_log(LEAT_INFO, "topic %s made with %d partitions", name, (int)leat->engine.tasks);
	return 0;
}

/* A producer's first record may make an input just after it was counted as absent, with as many partitions as the broker likes. */
static int ensure_input(struct leat *leat, const char *name, struct leat_fault *fault)
{
	int32_t partitions;
	LEAT_TRY(ensure_topic(leat, name, false, &partitions, fault));
	if (partitions == leat->engine.tasks)
		return 0;
	return leat_fail(fault, LEAT_ERETRY, "the input %s has come to be with %d partitions meanwhile, all inputs are counted again", name, (int)partitions);
}

/* Partitions of every input that is there; 0: none is. */
static int count_inputs(struct leat *leat, int32_t *count, struct leat_fault *fault)
{
	const struct leat_pipeline *pipeline = leat->pipeline;
	const char *first = NULL;
	*count = 0;
	for (size_t i = 0; i < pipeline->source_count; i++) {
		int32_t partitions;
		if (pipeline->sources[i].rekey >= 0 || pipeline->sources[i].deltas)
			continue;
		int rc = leat->transport->ops->partitions(leat->transport, pipeline->sources[i].topic, &partitions, fault);
		if (rc == LEAT_ENOTFOUND)
			continue;
		LEAT_TRY(rc);
		if (*count && partitions != *count)
			return leat_fail(fault, LEAT_ECONFIG, "the inputs %s and %s have %d and %d partitions: all inputs of a pipeline need as many, keyed alike. Make a topic with %d partitions and copy it there, or re-key it in a pipeline of its own",
					 first, pipeline->sources[i].topic, (int)*count, (int)partitions, (int)*count);
		*count = partitions;
		first = pipeline->sources[i].topic;
	}
	return 0;
}

static int count_tasks(struct leat *leat, struct leat_fault *fault)
{
	LEAT_TRY(count_inputs(leat, &leat->engine.tasks, fault));
	if (leat->engine.tasks == 0)
		leat->engine.tasks = (int32_t)leat->pipeline->settings.tasks;
	if (leat->engine.tasks > 1024)
		return leat_fail(fault, LEAT_ELIMIT, "more than 1,024 partitions");
	return 0;
}

static int make_topics(struct leat *leat, struct leat_fault *fault)
{
	const struct leat_pipeline *pipeline = leat->pipeline;
	int32_t partitions;
	LEAT_TRY(count_tasks(leat, fault));
	for (size_t i = 0; i < pipeline->source_count; i++)
		if (pipeline->sources[i].rekey < 0 && !pipeline->sources[i].deltas)
			LEAT_TRY(ensure_input(leat, pipeline->sources[i].topic, fault));
	LEAT_TRY(each_internal(leat, leat->engine.tasks, create_internal, fault));
	for (size_t i = 0; i < pipeline->table_count; i++)
		if (pipeline->tables[i].topic)
			LEAT_TRY(ensure_topic(leat, pipeline->tables[i].topic, true, &partitions, fault));
	for (size_t i = 0; i < pipeline->sink_count; i++)
		LEAT_TRY(ensure_topic(leat, pipeline->sinks[i].topic, false, &partitions, fault));
	return 0;
}

/* ---- topics while it runs ---- */

static int look_at_internal(struct leat *leat, const struct leat_topic_spec *spec, struct leat_fault *fault)
{
	int32_t there;
	int rc = leat->transport->ops->partitions(leat->transport, spec->name, &there, fault);
	if (rc == LEAT_ENOTFOUND && spec->retention_ms == -1)
		return 0;   /* it is read: its feeds tell, and know more */
	if (rc == LEAT_ENOTFOUND && spec->compacted)
		return leat_fail(fault, LEAT_EGAP, "topic %s is gone. A restart makes it again, empty, and says what that means for the state", spec->name);
	if (rc == LEAT_ENOTFOUND)
		return leat_fail(fault, LEAT_EGAP, "topic %s is gone: a restart makes it again", spec->name);
	LEAT_TRY(rc);
	return there == spec->partitions ? 0 : made_for_others(spec, fault);
}

/* LEAT_ECONFIG, LEAT_EGAP: what the run must not go on with; any other code: it cannot be told now. */
static int look_at_topics(struct leat *leat, struct leat_fault *fault)
{
	char name[256];
	int32_t inputs;
	LEAT_TRY(count_inputs(leat, &inputs, fault));
	struct leat_topic_spec tasks = { .name = name, .partitions = inputs ? inputs : leat->engine.tasks };
	LEAT_TRY(each_internal(leat, tasks.partitions, look_at_internal, fault));
	snprintf(name, sizeof name, "%s.tasks", leat->pipeline->name);
	return look_at_internal(leat, &tasks, fault);
}

/* False when told to stop. */
static bool nap_ms(struct leat *leat, int64_t ms)
{
	for (int64_t slept = 0; slept < ms && !atomic_load(&leat->stopping); slept += 50)
		nanosleep(&(struct timespec){ 0, 50000000 }, NULL);
	return !atomic_load(&leat->stopping);
}

/* Counts only when found twice: a broker that has just started, or not yet heard of a topic just made, may tell of less than there is. */
static void *watch_topics(void *self)
{
	struct leat *leat = self;
	int found = 0;
	while (found < 2 && nap_ms(leat, TOPICS_EVERY_MS)) {
		struct leat_fault *fault = &leat->topics_fault;
		int rc = look_at_topics(leat, fault);
		found = rc == LEAT_ECONFIG || rc == LEAT_EGAP ? found + 1 : 0;
		fault->code = LEAT_EGAP;   /* not LEAT_ECONFIG, whose status says that nothing ever ran */
	}
	atomic_store(&leat->topics_wrong, found == 2);
	return NULL;
}

static int load_tables(struct leat *leat, struct leat_fault *fault)
{
	for (size_t i = 0; i < leat->pipeline->table_count; i++)
		LEAT_TRY(leat_reference_load(leat->pipeline->tables[i].reference, leat->transport, leat->registry, fault));
	return 0;
}

/* The broker, or the registry, may be down or still starting: try again with back-off until told to stop. */
static int patiently(struct leat *leat, int (*step)(struct leat *leat, struct leat_fault *fault), struct leat_fault *fault)
{
	for (int64_t wait_ms = 100;; wait_ms = LEAT_MIN(wait_ms * 2, (int64_t)5000)) {
		int rc = step(leat, fault);
		if ((rc != LEAT_ERETRY && rc != LEAT_EBROKER) || fault->fatal)
			return rc;
		leat_log(LEAT_WARNING, "%s; trying again in %lld ms", fault->text, (long long)wait_ms);
		for (int64_t waited = 0; waited < wait_ms; waited += 20) {
			if (leat->interrupted && leat->interrupted(leat->interrupted_self))
				return leat_fail(fault, LEAT_ESTOPPED, "asked to stop");
			struct timespec nap = { 0, 20000000 };
			nanosleep(&nap, NULL);
		}
	}
}

/* ---- opening ---- */

static int open_transport(struct leat *leat, const struct leat_config *config, struct leat_fault *fault)
{
	struct leat_transport_config transport = { .application = leat->pipeline->name, .instance = leat->instance, .state_dir = leat->state_dir,
						   .brokers = config->brokers ? config->brokers : leat->pipeline->brokers, .directory = config->embedded,
						   .settings = (const struct leat_pair_text *)(const void *)(config->embedded ? leat->pipeline->embedded : leat->pipeline->kafka), .storage = leat->engine.storage };
	if (config->embedded)
		return leat_embedded_open(&leat->transport, &transport, fault);
	return leat_kafka_open(&leat->transport, &transport, fault);
}

/* Beside the state, whose lock is ours. */
static int open_deaths(struct leat *leat, const struct leat_config *config, struct leat_fault *fault)
{
	const char *name = leat->pipeline->name;
	char *path = config->embedded ? leat_printf("%s/%s.deaths", config->embedded, name) : leat_printf("%s/%s/%s/deaths", leat->state_dir, name, leat->instance);
	int rc = path ? leat_deaths_open(&leat->engine.deaths, path, fault) : leat_fail(fault, LEAT_ENOMEM, "out of memory");
	leat_free(path);
	return rc;
}

static int open_registry(struct leat *leat, struct leat_fault *fault)
{
	const struct leat_pipeline *pipeline = leat->pipeline;
	struct leat_registry_config config = { .url = pipeline->registry_url, .folder = pipeline->registry_url ? NULL : pipeline->settings.schemas,
					       .auth_file = pipeline->registry_auth_file, .ca_file = pipeline->registry_ca_file };
	char ids[1024];
	snprintf(ids, sizeof ids, "%s/ids.txt", config.folder ? config.folder : "");
	if (!config.url && access(ids, R_OK) < 0)
		return 0;   /* a pipeline without Avro bodies needs no ids; one with them says so when it meets the first */
	return leat_registry_open(&leat->registry, &config, fault);
}

/* " NAME WORD", the word as a shell takes it. */
static int add_word(struct leat_buffer *out, const char *name, const char *word)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-/:,=@%+";
	LEAT_TRY(leat_buffer_printf(out, "%s", name));
	if (*word && !word[strspn(word, plain)])
		return leat_buffer_printf(out, "%s", word);
	LEAT_TRY(leat_buffer_append(out, "'", 1));
	for (; *word; word++)
		LEAT_TRY(*word == '\'' ? leat_buffer_append(out, "'\\''", 4) : leat_buffer_append(out, word, 1));
	return leat_buffer_append(out, "'", 1);
}

static int note_options(struct leat *leat, const struct leat_config *config)
{
	LEAT_TRY(add_word(&leat->again, "", config->pipeline));
	if (config->embedded)
		LEAT_TRY(add_word(&leat->again, " --embedded ", config->embedded));
	else if (config->brokers)
		LEAT_TRY(add_word(&leat->again, " --brokers ", config->brokers));
	for (const char *const *set = config->overrides; set && *set; set++)
		LEAT_TRY(add_word(&leat->again, " --set ", *set));
	return leat_buffer_append(&leat->again, "", 1);
}

static void set_up_engine(struct leat *leat, const struct leat_config *config)
{
	const struct leat_settings *settings = &leat->pipeline->settings;
	struct leat_engine *engine = &leat->engine;
	engine->pipeline = leat->pipeline;
	engine->transport = leat->transport;
	engine->registry = leat->registry;
	engine->rows_memory = (size_t)settings->memory / 2 / (size_t)engine->tasks;
	/* Rows that RocksDB has not yet stay in memory. */
	engine->behind_max = (size_t)LEAT_MIN(settings->behind_max, settings->memory / BEHIND_ROW_BYTES) / (size_t)engine->tasks;
	engine->accept_state_loss = config->accept_state_loss;
	engine->again = (const char *)leat->again.data;
}

int leat_open_interruptible(struct leat **out, const struct leat_config *config, bool (*interrupted)(void *self), void *self, struct leat_fault *fault)
{
	struct leat *leat = leat_calloc(1, sizeof *leat);
	int rc = LEAT_ENOMEM;
	*out = NULL;
	if (!leat)
		return leat_fail(fault, rc, "out of memory");
	leat->lock_fd = -1;
	leat->interrupted = interrupted;
	leat->interrupted_self = self;
	leat->until_end = config->until_end;
	pthread_rwlock_init(&leat->tables_lock, NULL);
	if ((rc = leat_pipeline_load(&leat->pipeline, config->pipeline, config->overrides, fault)) < 0)
		goto out;
	if (!config->embedded && !config->brokers && !leat->pipeline->brokers) {
		rc = leat_fail(fault, LEAT_ECONFIG, "neither --brokers HOST:PORT nor --embedded FOLDER is given, and %s has no kafka: { brokers: ... }", config->pipeline);
		goto out;
	}
	if (note_options(leat, config) < 0) {
		rc = leat_fail(fault, LEAT_ENOMEM, "out of memory");
		goto out;
	}
	if ((rc = open_registry(leat, fault)) < 0)
		goto out;
	if (!config->embedded && ((rc = choose_state_dir(leat, config->state_dir, fault)) < 0 || (rc = take_instance(leat, config->instance, fault)) < 0))
		goto out;
	if ((rc = leat_storage_open(&leat->engine.storage, (size_t)leat->pipeline->settings.memory / 4, fault)) < 0)
		goto out;
	if ((rc = open_transport(leat, config, fault)) < 0 || (rc = open_deaths(leat, config, fault)) < 0 || (rc = patiently(leat, make_topics, fault)) < 0)
		goto out;
	set_up_engine(leat, config);
	if ((rc = patiently(leat, load_tables, fault)) >= 0 && (rc = leat_trims_open(&leat->engine.trims, leat->pipeline, leat->transport, leat->engine.tasks)) < 0)
		leat_fail(fault, rc, "out of memory");
	if (rc >= 0 && leat->pipeline->deltas_source >= 0)
		rc = leat_replica_open(&leat->engine.replica, leat->pipeline, leat->transport, leat->engine.tasks, fault);
	if (rc < 0)
		goto out;
	*out = leat;
	leat = NULL;
	rc = 0;
out:
	leat_close(leat);
	return rc;
}

int leat_open(struct leat **out, const struct leat_config *config, struct leat_fault *fault)
{
	return leat_open_interruptible(out, config, NULL, NULL, fault);
}

/* ---- running ---- */

static void *worker_thread(void *self)
{
	struct leat_worker *worker = self;
	leat_deaths_watch(worker->engine->deaths);
	leat_worker_run(worker);
	leat_deaths_unwatch();
	return NULL;
}

int leat_start(struct leat *leat, struct leat_fault *fault)
{
	size_t count = (size_t)LEAT_MIN(leat->pipeline->settings.workers, (int64_t)leat->engine.tasks);
	leat->workers = leat_calloc(count, sizeof *leat->workers);
	if (!leat->workers)
		return leat_fail(fault, LEAT_ENOMEM, "out of memory");
	for (size_t i = 0; i < count; i++) {
		struct leat_worker *worker = &leat->workers[i];
		worker->engine = &leat->engine;
		worker->number = (int)i;
		worker->tables = &leat->tables_lock;
		pthread_mutex_init(&worker->lock, NULL);
		leat->worker_count++;
		if (pthread_create(&worker->thread, NULL, worker_thread, worker) != 0)
			return leat_fail(fault, LEAT_ENOMEM, "a thread could not be started");
		worker->started = true;
	}
	if (leat->transport->ops->keeps_rows)   /* its topics are its own: nobody changes them */
		return 0;
	if (pthread_create(&leat->topics_thread, NULL, watch_topics, leat) != 0)
		return leat_fail(fault, LEAT_ENOMEM, "a thread could not be started");
	leat->has_topics_thread = true;
	return 0;
}

void leat_stop(struct leat *leat)
{
	atomic_store(&leat->stopping, true);
	if (leat->registry)
		leat_registry_stop(leat->registry);
	for (size_t i = 0; i < leat->worker_count; i++)
		leat_worker_stop(&leat->workers[i]);
}

/* Reference tables follow their topics while no batch runs. */
static int follow_tables(struct leat *leat, struct leat_fault *fault)
{
	for (size_t i = 0; i < leat->pipeline->table_count; i++) {
		struct leat_reference *reference = leat->pipeline->tables[i].reference;
		if (!leat->pipeline->tables[i].topic)
			continue;
		pthread_rwlock_wrlock(&leat->tables_lock);
		int rc = leat_reference_poll(reference, fault);
		pthread_rwlock_unlock(&leat->tables_lock);
		if (rc < 0 && rc != LEAT_ERETRY && rc != LEAT_EBROKER && rc != LEAT_ESTOPPED)
			return rc;
		if (rc < 0)
			leat_log_seldom(LEAT_WARNING, reference, 10000, "%s", fault->text);
	}
	return 0;
}

static int ended(struct leat *leat, struct leat_fault *fault)
{
	bool all = true;
	for (size_t i = 0; i < leat->worker_count; i++) {
		struct leat_worker *worker = &leat->workers[i];
		if (!atomic_load(&worker->ended)) {
			all = false;
			continue;
		}
		if (worker->result < 0) {
			*fault = worker->fault;
			leat_stop(leat);
			return worker->result;
		}
	}
	if (atomic_load(&leat->topics_wrong)) {
		*fault = leat->topics_fault;
		leat_stop(leat);
		return fault->code;
	}
	return all;
}

/* Workers feed one another through internal topics, so the end is there only when all have been at it for a while and nothing has moved. */
static int stop_at_end(struct leat *leat, int64_t now_us, struct leat_fault *fault)
{
	uint64_t moved = 0, failed = 0;
	bool all = leat->worker_count > 0;
	for (size_t i = 0; i < leat->worker_count; i++) {
		struct leat_worker_stats stats;
		leat_worker_look(&leat->workers[i], &stats);
		moved += stats.commits + stats.events;
		failed += stats.failed;
		all &= atomic_load(&leat->workers[i].at_end);
	}
	if (!all || moved != leat->moved) {
		leat->moved = moved;
		leat->still_since_us = now_us;
	} else if (now_us - leat->still_since_us > AT_END_US) {
		leat_stop(leat);
		if (failed > 0)
			return leat_fail(fault, LEAT_EIO, "%llu of the tasks failed before they had read their inputs to the end", (unsigned long long)failed);
	}
	return 0;
}

int leat_wait(struct leat *leat, int64_t timeout_ms, struct leat_fault *fault)
{
	int64_t until = leat_clock_mono_us(NULL) + timeout_ms * 1000;
	for (;;) {
		int rc = ended(leat, fault);
		if (rc != 0)
			return rc;
		int64_t now = leat_clock_mono_us(NULL);
		if (now - leat->tables_us > TABLES_EVERY_US) {
			leat->tables_us = now;
			LEAT_TRY(follow_tables(leat, fault));
			leat_trims_run(leat->engine.trims);
			if (leat->until_end)
				LEAT_TRY(stop_at_end(leat, now, fault));
		}
		if (now >= until)
			return 0;
		struct timespec nap = { 0, 1000 * LEAT_MIN(until - now, (int64_t)20000) };
		nanosleep(&nap, NULL);
	}
}

void leat_close(struct leat *leat)
{
	if (!leat)
		return;
	leat_stop(leat);
	for (size_t i = 0; i < leat->worker_count; i++) {
		if (leat->workers[i].started)
			pthread_join(leat->workers[i].thread, NULL);
		pthread_mutex_destroy(&leat->workers[i].lock);
	}
	if (leat->has_topics_thread)
		pthread_join(leat->topics_thread, NULL);
	leat_free(leat->workers);
	leat_replica_close(leat->engine.replica);
	leat_trims_close(leat->engine.trims);
	leat_deaths_close(leat->engine.deaths);
	leat_pipeline_free(leat->pipeline);
	if (leat->transport)
		leat->transport->ops->close(leat->transport);
	leat_storage_close(leat->engine.storage);
	leat_registry_close(leat->registry);
	if (leat->lock_fd >= 0)
		close(leat->lock_fd);
	pthread_rwlock_destroy(&leat->tables_lock);
	leat_free(leat->instance);
	leat_free(leat->state_dir);
	leat_buffer_free(&leat->again);
	leat_free(leat);
}

/* ---- looking ---- */

static uint64_t resident_bytes(void)
{
	unsigned long long size, resident = 0;
	FILE *in = fopen("/proc/self/statm", "re");
	if (!in)
		return 0;
	if (fscanf(in, "%llu %llu", &size, &resident) != 2)
		resident = 0;
	fclose(in);
	return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

static int64_t percentile(const uint64_t *buckets, double share)
{
	uint64_t total = 0, seen = 0;
	for (size_t i = 0; i < LEAT_LATENCY_BUCKETS; i++)
		total += buckets[i];
	for (size_t i = 0; i < LEAT_LATENCY_BUCKETS; i++) {
		seen += buckets[i];
		if (total && (double)seen >= share * (double)total)
			return leat_latency_of_bucket(i);
	}
	return -1;
}

void leat_look(struct leat *leat, struct leat_look *look)
{
	uint64_t window[LEAT_LATENCY_BUCKETS] = { 0 }, sum[LEAT_LATENCY_BUCKETS] = { 0 };
	*look = (struct leat_look){ .tasks = (uint64_t)leat->engine.tasks, .at_end = leat->worker_count > 0, .memory = resident_bytes() };
	for (size_t i = 0; i < leat->worker_count; i++) {
		struct leat_worker_stats stats;
		leat_worker_look(&leat->workers[i], &stats);
		look->events += stats.events;
		look->outputs += stats.outputs;
		look->bad += stats.dead_letters;
		look->commits += stats.commits;
		look->aborts += stats.aborts;
		look->tasks_running += stats.running;
		look->tasks_opening += stats.opening;
		look->tasks_failed += stats.failed;
		look->lag_events += stats.lag_events;
		look->lag_ms = LEAT_MAX(look->lag_ms, stats.lag_ms);
		look->at_end &= atomic_load(&leat->workers[i].at_end);
		for (size_t bucket = 0; bucket < LEAT_LATENCY_BUCKETS; bucket++)
			sum[bucket] += stats.latency[bucket];
	}
	for (size_t bucket = 0; bucket < LEAT_LATENCY_BUCKETS; bucket++) {
		window[bucket] = sum[bucket] - leat->latency_before[bucket];
		leat->latency_before[bucket] = sum[bucket];
	}
	look->p50_ms = percentile(window, .5);
	look->p99_ms = percentile(window, .99);
}

static void sum_nodes(struct leat *leat, struct leat_node_stats sum[LEAT_NODES_MAX])
{
	memset(sum, 0, LEAT_NODES_MAX * sizeof *sum);
	for (size_t i = 0; i < leat->worker_count; i++) {
		struct leat_worker_stats stats;
		leat_worker_look(&leat->workers[i], &stats);
		for (size_t n = 0; n < leat->pipeline->node_count; n++) {
			sum[n].events += stats.nodes[n].events;
			sum[n].batches += stats.nodes[n].batches;
			sum[n].ns += stats.nodes[n].ns;
			for (size_t k = 0; k < LEAT_COUNTERS_MAX; k++)
				sum[n].counters[k] += stats.nodes[n].counters[k];
		}
	}
}

int64_t leat_counter(struct leat *leat, const char *id, const char *counter)
{
	struct leat_node_stats sum[LEAT_NODES_MAX];
	sum_nodes(leat, sum);
	for (size_t n = 0; n < leat->pipeline->node_count; n++) {
		const struct leat_node *node = &leat->pipeline->nodes[n];
		for (size_t k = 0; strcmp(node->id, id) == 0 && k < LEAT_MIN(node->counters, (size_t)LEAT_COUNTERS_MAX); k++)
			if (strcmp(node->op->counters[k], counter) == 0)
				return (int64_t)sum[n].counters[k];
	}
	return -1;
}

void leat_profile(struct leat *leat, FILE *out)
{
	struct leat_node_stats sum[LEAT_NODES_MAX];
	uint64_t total = 0;
	sum_nodes(leat, sum);
	for (size_t n = 0; n < leat->pipeline->node_count; n++)
		total += sum[n].ns;
	fprintf(out, "%-20s %-12s %14s %12s %10s %7s\n", "operator", "kind", "events", "batches", "ns/event", "share");
	for (size_t n = 0; n < leat->pipeline->node_count; n++)
		fprintf(out, "%-20s %-12s %14llu %12llu %10.0f %6.1f%%\n", leat->pipeline->nodes[n].id, leat->pipeline->nodes[n].use, (unsigned long long)sum[n].events,
			(unsigned long long)sum[n].batches, sum[n].events ? (double)sum[n].ns / (double)sum[n].events : 0, total ? 100.0 * (double)sum[n].ns / (double)total : 0);
}

const char *leat_name(const struct leat *leat)
{
	return leat->pipeline->name;
}

const char *leat_instance(const struct leat *leat)
{
	return leat->instance ? leat->instance : "embedded";
}
