/* Retention and compaction of the embedded transport's topics, in slices between commits. */
#include "stream/embedded_internal.h"

enum {
	EVERY_US = 1000000,
	SOON_US = 100000,            /* when a slice was too small for what there was to do                    */
	LOGS_MAX = 256,              /* logs looked at in a slice                                              */
	RUNS_MAX = 8192,             /* runs that retention passes in a slice ...                              */
	BYTES_MAX = 16 << 20,        /* ... and their bytes, because commits wait meanwhile                    */
	SINGLE_MAX = 64,             /* more keys than these are deleted as a range: ranges slow down reading  */
	COMPACT_MIN = 4096,          /* records that compaction looks at in a slice, at least                  */
};

struct slice {
	struct leat_embedded *embedded;
	struct leat_topic *topic;
	int32_t partition;
	int64_t now_ms;
	size_t runs, bytes;          /* left for retention          */
	size_t compact;              /* records left for compaction */
};

static struct leat_log *log_of(const struct slice *slice)
{
	return &slice->topic->logs[slice->partition];
}

static struct leat_log_row row_of(const struct slice *slice)
{
	const struct leat_log *log = log_of(slice);
	return (struct leat_log_row){ .first = atomic_load(&log->first), .end = atomic_load(&log->end), .cleaned = log->cleaned };
}

/* Over the runs of one log from @offset on; @upper must live as long as the options, @options as the iterator. */
static rocksdb_iterator_t *iterate(const struct slice *slice, int64_t offset, uint8_t upper[8], rocksdb_readoptions_t **options)
{
	uint8_t key[LEAT_LOG_KEY];
	leat_put_u32(leat_put_u32(upper, slice->topic->id), (uint32_t)slice->partition + 1);
	*options = rocksdb_readoptions_create();
	rocksdb_readoptions_set_iterate_upper_bound(*options, (const char *)upper, 8);
	rocksdb_readoptions_set_fill_cache(*options, 0);
	rocksdb_iterator_t *iterator = rocksdb_create_iterator_cf(slice->embedded->db, *options, slice->embedded->family[FAMILY_TOPICS]);
	leat_log_key(key, slice->topic->id, slice->partition, offset);
	rocksdb_iter_seek(iterator, (const char *)key, sizeof key);
	return iterator;
}

static int end_iterator(const struct slice *slice, rocksdb_iterator_t *iterator, rocksdb_readoptions_t *options, struct leat_fault *fault)
{
	char *error = NULL;
	rocksdb_iter_get_error(iterator, &error);
	rocksdb_iter_destroy(iterator);
	rocksdb_readoptions_destroy(options);
	return leat_database_fault(error, slice->embedded->directory.path, fault);
}

/* Keys begin with topic and partition, so the upper bound makes sure of them. */
static int64_t last_of(rocksdb_iterator_t *iterator)
{
	size_t size;
	const uint8_t *key = (const uint8_t *)rocksdb_iter_key(iterator, &size);
	return size == LEAT_LOG_KEY ? (int64_t)leat_get_u64(key + 8) : -1;
}

static int write_batch(const struct slice *slice, rocksdb_writebatch_t *batch, struct leat_fault *fault)
{
	int rc = leat_database_write(slice->embedded, batch, false, fault);
	rocksdb_writebatch_destroy(batch);
	return rc;
}

/* ---- deleting what lies before the beginning ---- */

static void delete_range(const struct slice *slice, rocksdb_writebatch_t *batch, int64_t from, int64_t until)
{
	uint8_t start[LEAT_LOG_KEY], end[LEAT_LOG_KEY];
	leat_log_key(start, slice->topic->id, slice->partition, from);
	leat_log_key(end, slice->topic->id, slice->partition, until);
	rocksdb_writebatch_delete_range_cf(batch, slice->embedded->family[FAMILY_TOPICS], (const char *)start, sizeof start, (const char *)end, sizeof end);
}

static int delete_before_first(const struct slice *slice, struct leat_fault *fault)
{
	struct leat_log *log = log_of(slice);
	int64_t first = atomic_load(&log->first);
	if (log->deleted >= first)
		return 0;
	uint8_t upper[8];
	rocksdb_readoptions_t *options;
	rocksdb_writebatch_t *batch = rocksdb_writebatch_create();
	rocksdb_iterator_t *iterator = iterate(slice, log->deleted, upper, &options);
	int count = 0;
	for (; rocksdb_iter_valid(iterator) && last_of(iterator) < first && count <= SINGLE_MAX; rocksdb_iter_next(iterator), count++) {
		size_t size;
		const char *key = rocksdb_iter_key(iterator, &size);
		rocksdb_writebatch_delete_cf(batch, slice->embedded->family[FAMILY_TOPICS], key, size);
	}
	int rc = end_iterator(slice, iterator, options, fault);
	if (count > SINGLE_MAX) {
		rocksdb_writebatch_clear(batch);
		delete_range(slice, batch, log->deleted, first);
	}
	if (rc < 0 || count == 0)
		rocksdb_writebatch_destroy(batch);
	else
		rc = write_batch(slice, batch, fault);
	if (rc == 0)
		log->deleted = first;
	return rc;
}

/* ---- retention: a run goes when it was committed longer ago than the topic keeps records ---- */

/* Finds where the log begins after what is too old has gone, and when the next run will be. */
static int find_first(struct slice *slice, int64_t *first, int64_t *expires_ms, struct leat_fault *fault)
{
	uint8_t upper[8];
	rocksdb_readoptions_t *options;
	rocksdb_iterator_t *iterator = iterate(slice, *first, upper, &options);
	int64_t end = atomic_load(&log_of(slice)->end);
	*expires_ms = slice->now_ms + slice->topic->retention_ms;
	for (; rocksdb_iter_valid(iterator) && last_of(iterator) < end; rocksdb_iter_next(iterator)) {
		size_t size;
		struct leat_run_header run;
		const uint8_t *value = (const uint8_t *)rocksdb_iter_value(iterator, &size);
		if (leat_run_header_read(&run, value, size) < 0)
			break;           /* readers report it */
		*expires_ms = run.committed_ms + slice->topic->retention_ms;
		if (*expires_ms > slice->now_ms || slice->runs == 0 || slice->bytes == 0)
			break;
		slice->runs--;
		slice->bytes -= LEAT_MIN(slice->bytes, size);
		*first = last_of(iterator) + 1;
		*expires_ms = slice->now_ms + slice->topic->retention_ms;
	}
	return end_iterator(slice, iterator, options, fault);
}

static int retain(struct slice *slice, struct leat_fault *fault)
{
	struct leat_log *log = log_of(slice);
	struct leat_log_row row = row_of(slice);
	if (slice->topic->retention_ms < 0 || slice->now_ms < log->expires_ms || row.first == row.end)
		return 0;
	int64_t first = row.first, expires_ms;
	LEAT_TRY(find_first(slice, &first, &expires_ms, fault));
	if (first > row.first) {
		rocksdb_writebatch_t *batch = rocksdb_writebatch_create();
		row.first = first;
		leat_topic_put_log(slice->embedded, batch, slice->topic, slice->partition, &row);
		LEAT_TRY(write_batch(slice, batch, fault));
		atomic_store(&log->first, first);
	}
	log->expires_ms = expires_ms;
	return 0;
}

/* ---- compaction: of each key the newest record stays ---- */

static int index_key(const struct slice *slice, char kind, struct leat_bytes rest, struct leat_buffer *key)
{
	uint8_t head[9] = { (uint8_t)kind };
	leat_put_u32(leat_put_u32(head + 1, slice->topic->id), (uint32_t)slice->partition);
	key->length = 0;
	LEAT_TRY(leat_buffer_reserve(key, sizeof head + rest.length));
	leat_buffer_append(key, head, sizeof head);
	return leat_buffer_append(key, rest.data, rest.length);
}

static void delete_record(const struct slice *slice, rocksdb_writebatch_wi_t *batch, int64_t offset)
{
	uint8_t key[LEAT_LOG_KEY];
	leat_log_key(key, slice->topic->id, slice->partition, offset);
	rocksdb_writebatch_wi_delete_cf(batch, slice->embedded->family[FAMILY_TOPICS], (const char *)key, sizeof key);
}

/* The newest offset of a key as the index says, -1: none. */
static int index_get(const struct slice *slice, rocksdb_writebatch_wi_t *batch, const struct leat_buffer *key, int64_t *offset, struct leat_fault *fault)
{
	size_t size;
	char *error = NULL;
	char *value = rocksdb_writebatch_wi_get_from_batch_and_db_cf(batch, slice->embedded->db, slice->embedded->read, slice->embedded->family[FAMILY_INDEX],
		(const char *)key->data, key->length, &size, &error);
	LEAT_TRY(leat_database_fault(error, slice->embedded->directory.path, fault));
	*offset = -1;
	if (value && size == sizeof *offset)
		memcpy(offset, value, sizeof *offset);
	rocksdb_free(value);
	return 0;
}

static int put_tombstone(const struct slice *slice, rocksdb_writebatch_wi_t *batch, const struct leat_record *record, int64_t committed_ms, struct leat_buffer *key)
{
	uint8_t offset[8];
	leat_put_u64(offset, (uint64_t)record->offset);
	LEAT_TRY(index_key(slice, 't', leat_bytes(offset, sizeof offset), key));
	const char *keys[] = { (const char *)key->data }, *values[] = { (const char *)&committed_ms, (const char *)record->key.data };
	rocksdb_writebatch_wi_putv_cf(batch, slice->embedded->family[FAMILY_INDEX], 1, keys, &key->length, 2, values, (const size_t[]){ sizeof committed_ms, record->key.length });
	return 0;
}

static int compact_record(const struct slice *slice, rocksdb_writebatch_wi_t *batch, const struct leat_record *record, int64_t committed_ms, struct leat_buffer *key, struct leat_fault *fault)
{
	int64_t older;
	if (!record->key.data)
		return 0;
	if (index_key(slice, 'k', record->key, key) < 0)
		return leat_fail(fault, LEAT_ENOMEM, "out of memory for the index of topic %s", slice->topic->name);
	LEAT_TRY(index_get(slice, batch, key, &older, fault));
	if (older >= 0 && older < record->offset)
		delete_record(slice, batch, older);
	rocksdb_writebatch_wi_put_cf(batch, slice->embedded->family[FAMILY_INDEX], (const char *)key->data, key->length, (const char *)&record->offset, sizeof record->offset);
	if (!record->value.data && put_tombstone(slice, batch, record, committed_ms, key) < 0)
		return leat_fail(fault, LEAT_ENOMEM, "out of memory for the index of topic %s", slice->topic->name);
	return 0;
}

static void put_log(const struct slice *slice, rocksdb_writebatch_wi_t *batch, const struct leat_log_row *row)
{
	uint8_t key[9] = { 'p' };
	leat_put_u32(leat_put_u32(key + 1, slice->topic->id), (uint32_t)slice->partition);
	rocksdb_writebatch_wi_put_cf(batch, slice->embedded->family[FAMILY_CATALOGUE], (const char *)key, sizeof key, (const char *)row, sizeof *row);
}

static int write_indexed(const struct slice *slice, rocksdb_writebatch_wi_t *batch, struct leat_fault *fault)
{
	char *error = NULL;
	rocksdb_write_writebatch_wi(slice->embedded->db, slice->embedded->write_now, batch, &error);
	return leat_database_fault(error, slice->embedded->directory.path, fault);
}

/* All of the records in @cursor's chunk. Runs of compacted topics hold one record, so each chunk entry's header says when it was committed. */
static int compact_chunk(struct slice *slice, rocksdb_writebatch_wi_t *batch, struct leat_cursor *cursor, struct leat_fault *fault)
{
	struct leat_buffer key = { 0 };
	const struct leat_chunk *chunk = &cursor->chunk;
	const uint8_t *at = chunk->bytes.data;
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < chunk->count; i++) {
		struct leat_run_header run;
		memcpy(&run, at + sizeof(int64_t), sizeof run);
		at += sizeof(int64_t) + run.length;
		rc = compact_record(slice, batch, &chunk->records[i], run.committed_ms, &key, fault);
	}
	slice->compact -= LEAT_MIN(slice->compact, chunk->count);
	leat_buffer_free(&key);
	return rc;
}

static int compact_from(struct slice *slice, struct leat_cursor *cursor, struct leat_fault *fault)
{
	struct leat_log *log = log_of(slice);
	int rc = 0;
	while (rc == 0 && slice->compact && log->cleaned < atomic_load(&log->end)) {
		struct leat_log_row row = row_of(slice);
		LEAT_TRY((int)leat_cursor_fill(cursor, fault));
		rocksdb_writebatch_wi_t *batch = rocksdb_writebatch_wi_create(0, 1);
		rc = compact_chunk(slice, batch, cursor, fault);
		row.cleaned = cursor->position;
		put_log(slice, batch, &row);
		if (rc == 0)
			rc = write_indexed(slice, batch, fault);
		rocksdb_writebatch_wi_destroy(batch);
		if (rc == 0)
			log->cleaned = row.cleaned;
		leat_chunk_clear(&cursor->chunk);
	}
	return rc;
}

static int compact(struct slice *slice, struct leat_fault *fault)
{
	struct leat_log *log = log_of(slice);
	struct leat_cursor cursor;
	if (!slice->topic->compacted || !slice->compact || log->cleaned >= atomic_load(&log->end))
		return 0;
	int rc = leat_cursor_open(&cursor, slice->embedded, slice->topic->name, slice->partition, LEAT_MAX(log->cleaned, atomic_load(&log->first)), fault);
	if (rc == 0)
		rc = compact_from(slice, &cursor, fault);
	leat_cursor_close(&cursor);
	return rc;
}

/* ---- deletes that everybody has had time to see ---- */

static int expire_tombstone(const struct slice *slice, rocksdb_writebatch_wi_t *batch, int64_t offset, struct leat_bytes record_key, struct leat_fault *fault)
{
	struct leat_buffer key = { 0 };
	int64_t newest = -1;
	int rc = index_key(slice, 'k', record_key, &key) < 0 ? leat_fail(fault, LEAT_ENOMEM, "out of memory for the index of topic %s", slice->topic->name) : 0;
	if (rc == 0)
		rc = index_get(slice, batch, &key, &newest, fault);
	if (rc == 0 && newest == offset) {
		rocksdb_writebatch_wi_delete_cf(batch, slice->embedded->family[FAMILY_INDEX], (const char *)key.data, key.length);
		delete_record(slice, batch, offset);
	}
	leat_buffer_free(&key);
	return rc;
}

static int expire_from(struct slice *slice, rocksdb_iterator_t *iterator, rocksdb_writebatch_wi_t *batch, struct leat_fault *fault)
{
	enum { HEAD = 9, KEY = HEAD + 8, EXPIRE_MAX = 4096 };
	struct leat_log *log = log_of(slice);
	uint8_t start[HEAD] = { 't' };
	leat_put_u32(leat_put_u32(start + 1, slice->topic->id), (uint32_t)slice->partition);
	rocksdb_iter_seek(iterator, (const char *)start, sizeof start);
	log->expires_ms = slice->now_ms + LEAT_EMBEDDED_TOMBSTONE_MS;
	for (int i = 0; rocksdb_iter_valid(iterator); rocksdb_iter_next(iterator), i++) {
		size_t key_size, size;
		int64_t committed_ms;
		const uint8_t *key = (const uint8_t *)rocksdb_iter_key(iterator, &key_size);
		const uint8_t *value = (const uint8_t *)rocksdb_iter_value(iterator, &size);
		if (key_size != KEY || memcmp(key, start, HEAD) != 0 || size < sizeof committed_ms)
			break;
		memcpy(&committed_ms, value, sizeof committed_ms);
		log->expires_ms = committed_ms + LEAT_EMBEDDED_TOMBSTONE_MS;
		if (log->expires_ms > slice->now_ms || i == EXPIRE_MAX)
			break;
		LEAT_TRY(expire_tombstone(slice, batch, (int64_t)leat_get_u64(key + HEAD), leat_bytes(value + sizeof committed_ms, size - sizeof committed_ms), fault));
		rocksdb_writebatch_wi_delete_cf(batch, slice->embedded->family[FAMILY_INDEX], (const char *)key, key_size);
		log->expires_ms = slice->now_ms;
	}
	return 0;
}

static int expire_tombstones(struct slice *slice, struct leat_fault *fault)
{
	if (!slice->topic->compacted || slice->now_ms < log_of(slice)->expires_ms)
		return 0;
	rocksdb_iterator_t *iterator = rocksdb_create_iterator_cf(slice->embedded->db, slice->embedded->read, slice->embedded->family[FAMILY_INDEX]);
	rocksdb_writebatch_wi_t *batch = rocksdb_writebatch_wi_create(0, 1);
	int rc = expire_from(slice, iterator, batch, fault);
	if (rc == 0 && rocksdb_writebatch_wi_count(batch) > 0)
		rc = write_indexed(slice, batch, fault);
	rocksdb_writebatch_wi_destroy(batch);
	rocksdb_iter_destroy(iterator);
	return rc;
}

/* ---- slices ---- */

static int clean_log(struct slice *slice, struct leat_fault *fault)
{
	LEAT_TRY(retain(slice, fault));
	LEAT_TRY(delete_before_first(slice, fault));
	LEAT_TRY(compact(slice, fault));
	return expire_tombstones(slice, fault);
}

/* Moves to the next log in turn; false: there is none. Holds lock while it looks. */
static bool next_log(struct slice *slice)
{
	struct leat_embedded *embedded = slice->embedded;
	pthread_mutex_lock(&embedded->lock);
	bool any = embedded->topic_count > 0;
	if (any) {
		if (embedded->clean_topic >= embedded->topic_count)
			embedded->clean_topic = 0;
		slice->topic = embedded->topics[embedded->clean_topic];
		slice->partition = embedded->clean_partition++;
		if (embedded->clean_partition >= slice->topic->partitions) {
			embedded->clean_partition = 0;
			embedded->clean_topic++;
		}
	}
	pthread_mutex_unlock(&embedded->lock);
	return any;
}

static size_t count_logs(struct leat_embedded *embedded)
{
	size_t count = 0;
	pthread_mutex_lock(&embedded->lock);
	for (size_t i = 0; i < embedded->topic_count; i++)
		count += (size_t)embedded->topics[i]->partitions;
	pthread_mutex_unlock(&embedded->lock);
	return count;
}

void leat_embedded_clean(struct leat_embedded *embedded, size_t compacted_records)
{
	int64_t now_us = leat_clock_mono_us(embedded->clock);
	if (compacted_records < COMPACT_MIN && now_us < atomic_load(&embedded->clean_us))
		return;
	struct slice slice = {
		.embedded = embedded,
		.now_ms = leat_clock_wall_ms(embedded->clock),
		.runs = RUNS_MAX,
		.bytes = BYTES_MAX,
		.compact = LEAT_MAX((size_t)COMPACT_MIN, 2 * compacted_records),
	};
	struct leat_fault fault = { 0 };
	pthread_mutex_lock(&embedded->commit_lock);
	size_t logs = LEAT_MIN(count_logs(embedded), (size_t)LOGS_MAX);
	int rc = embedded->failed.code;
	while (rc == 0 && logs-- > 0 && next_log(&slice))
		rc = clean_log(&slice, &fault);
	bool whole = slice.runs && slice.bytes && slice.compact;
	atomic_store(&embedded->clean_us, now_us + (whole ? EVERY_US : SOON_US));
	pthread_mutex_unlock(&embedded->commit_lock);
	if (fault.code < 0)
		leat_log_seldom(LEAT_WARNING, embedded, 60000, "cleaning topic %s: %s", slice.topic->name, fault.text);
}
