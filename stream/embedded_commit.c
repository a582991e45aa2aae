/* A commit of the embedded transport: outputs, rows and positions in one write batch, and only then visible to readers. */
#include "stream/embedded_internal.h"

#include <errno.h>
#include <time.h>

struct writing {
	struct leat_embedded *embedded;
	const struct leat_commit *commit;
	rocksdb_writebatch_t *batch;
	int64_t now_ms;
	size_t compacted;            /* records of compacted topics */
};

int leat_embedded_resolve(void *embedded, const char *name, struct leat_outbox_topic *topic, struct leat_fault *fault)
{
	struct leat_topic *found;
	LEAT_TRY(leat_topic_find(embedded, name, &found, fault));
	*topic = (struct leat_outbox_topic){ .self = found, .partitions = found->partitions, .compacted = found->compacted };
	return 0;
}

/* Offsets are given here, in the order of commits; the end moves when the batch is on disk. */
static void put_runs(struct writing *writing, const struct leat_outbox *box)
{
	const struct leat_topic *topic = box->topic->self;
	const struct leat_log *log = &topic->logs[box->partition];
	struct leat_log_row row = { .first = atomic_load(&log->first), .end = atomic_load(&log->end), .cleaned = log->cleaned };
	for (size_t at = 0; at < box->bytes.length;) {
		struct leat_run_header *run = (struct leat_run_header *)(void *)(box->bytes.data + at);
		uint8_t key[LEAT_LOG_KEY];
		run->committed_ms = writing->now_ms;
		row.end += run->count;
		leat_log_key(key, topic->id, box->partition, row.end - 1);
		rocksdb_writebatch_put_cf(writing->batch, writing->embedded->family[FAMILY_TOPICS], (const char *)key, sizeof key, (const char *)run, run->length);
		at = (at + run->length + 7) & ~(size_t)7;
	}
	if (topic->compacted)
		writing->compacted += box->records;
	leat_topic_put_log(writing->embedded, writing->batch, topic, box->partition, &row);
}

static int put_position(struct writing *writing, uint32_t application, const struct leat_position *position, struct leat_fault *fault)
{
	struct leat_topic *topic;
	uint8_t key[12];
	struct { int64_t offset, wall_ms; } head = { position->offset, writing->now_ms };
	const char *metadata = writing->commit->metadata ? writing->commit->metadata : "";
	size_t length = strlen(metadata);
	if (length > LEAT_EMBEDDED_METADATA_MAX)
		return leat_fail(fault, LEAT_ELIMIT, "the metadata of a position has %zu bytes, at most %d are allowed", length, LEAT_EMBEDDED_METADATA_MAX);
	LEAT_TRY(leat_topic_find_log(writing->embedded, position->topic, position->partition, &topic, fault));
	leat_put_u32(leat_put_u32(leat_put_u32(key, application), topic->id), (uint32_t)position->partition);
	const char *keys[] = { (const char *)key }, *values[] = { (const char *)&head, metadata };
	rocksdb_writebatch_putv_cf(writing->batch, writing->embedded->family[FAMILY_OFFSETS], 1, keys, &(size_t){ sizeof key }, 2, values, (const size_t[]){ sizeof head, length });
	return 0;
}

static int fill(struct writing *writing, uint32_t application, struct leat_fault *fault)
{
	const struct leat_commit *commit = writing->commit;
	for (size_t i = 0; i < commit->position_count; i++)
		LEAT_TRY(put_position(writing, application, &commit->positions[i], fault));
	for (size_t i = 0; commit->outboxes && i < commit->outboxes->dirty_count; i++)
		put_runs(writing, commit->outboxes->dirty[i]);
	return 0;
}

static void publish(const struct leat_outboxes *outboxes)
{
	for (size_t i = 0; outboxes && i < outboxes->dirty_count; i++) {
		const struct leat_outbox *box = outboxes->dirty[i];
		struct leat_topic *topic = box->topic->self;
		atomic_fetch_add_explicit(&topic->logs[box->partition].end, (int64_t)box->records, memory_order_release);
	}
}

/* Holds commit_lock. */
static int write_whole(struct writing *writing, uint32_t application, struct leat_fault *fault)
{
	struct leat_embedded *embedded = writing->embedded;
	int64_t number = writing->commit->worker ? ++embedded->commits : 0;
	if (number && number == embedded->settings.fail_commit)
		return leat_fail(fault, LEAT_EABORT, "commit %lld was made to fail", (long long)number);
	LEAT_TRY(fill(writing, application, fault));
	leat_crashpoint("embedded.before_commit");
	LEAT_TRY(leat_database_write(embedded, writing->batch, true, fault));
	leat_crashpoint("embedded.after_commit");
	publish(writing->commit->outboxes);
	if (number && number == embedded->settings.unknown_commit)
		return leat_fail(fault, LEAT_ERETRY, "the outcome of commit %lld was made unknown", (long long)number);
	return 0;
}

/* Wakes whoever waits for records. */
static void notify(struct leat_embedded *embedded)
{
	pthread_mutex_lock(&embedded->lock);
	pthread_cond_broadcast(&embedded->changed);
	pthread_mutex_unlock(&embedded->lock);
	leat_server_notify(embedded->server);
}

int leat_embedded_commit(struct leat_embedded *embedded, const struct leat_commit *commit, struct leat_fault *fault)
{
	struct writing writing = { .embedded = embedded, .commit = commit, .batch = commit->batch, .now_ms = leat_clock_wall_ms(embedded->clock) };
	uint32_t application = 0;
	if (commit->position_count)
		LEAT_TRY(leat_application_id(embedded, &application, fault));
	if (!writing.batch)
		writing.batch = rocksdb_writebatch_create();
	pthread_mutex_lock(&embedded->commit_lock);
	int rc = write_whole(&writing, application, fault);
	pthread_mutex_unlock(&embedded->commit_lock);
	if (writing.batch != commit->batch)
		rocksdb_writebatch_destroy(writing.batch);
	notify(embedded);
	if (rc == 0)
		leat_embedded_clean(embedded, writing.compacted);
	return rc;
}

int64_t leat_embedded_deadline(const struct leat_embedded *embedded, int64_t timeout_us)
{
	return timeout_us <= 0 || embedded->clock ? 0 : leat_clock_mono_us(NULL) + LEAT_MIN(timeout_us, INT64_MAX / 2);
}

bool leat_embedded_wait(struct leat_embedded *embedded, int64_t deadline_us)
{
	if (deadline_us == 0)
		return false;
	struct timespec until = { .tv_sec = deadline_us / 1000000, .tv_nsec = deadline_us % 1000000 * 1000 };
	return pthread_cond_timedwait(&embedded->changed, &embedded->lock, &until) != ETIMEDOUT;
}
