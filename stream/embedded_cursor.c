/* Cursors: reading the records of one partition, a chunk at a time; and the plain readers made of them. */
#include "base/column.h"
#include "stream/embedded_internal.h"

/* An iterator holds on to the files and memory it was made over; after so many chunks a new one lets them go. */
enum { LOADS_MAX = 1024, TAIL_RECORDS = 4 * LEAT_BATCH_MAX };

struct leat_reader {
	struct leat_cursor cursor;
};

static int gap(const struct leat_cursor *cursor, int64_t position, int64_t first, struct leat_fault *fault)
{
	return leat_fail(fault, LEAT_EGAP, "topic %s, partition %d: offset %lld is gone, the first still there is %lld", cursor->topic->name, cursor->partition, (long long)position, (long long)first);
}

static int damaged(const struct leat_cursor *cursor, int64_t offset, struct leat_fault *fault)
{
	return leat_fail(fault, LEAT_ECORRUPT, "topic %s, partition %d: the records at offset %lld are damaged", cursor->topic->name, cursor->partition, (long long)offset);
}

static struct leat_log *log_of(const struct leat_cursor *cursor)
{
	return &cursor->topic->logs[cursor->partition];
}

static int check_start(const struct leat_cursor *cursor, int64_t end, struct leat_fault *fault)
{
	int64_t first = atomic_load(&log_of(cursor)->first);
	if (cursor->position < first)
		return gap(cursor, cursor->position, first, fault);
	if (cursor->position > end)
		return leat_fail(fault, LEAT_EGAP, "topic %s, partition %d: offset %lld lies behind its end %lld", cursor->topic->name, cursor->partition, (long long)cursor->position, (long long)end);
	return 0;
}

int leat_cursor_open(struct leat_cursor *cursor, struct leat_embedded *embedded, const char *topic, int32_t partition, int64_t offset, struct leat_fault *fault)
{
	*cursor = (struct leat_cursor){ .embedded = embedded, .partition = partition };
	LEAT_TRY(leat_topic_find_log(embedded, topic, partition, &cursor->topic, fault));
	cursor->position = offset < 0 ? atomic_load(&log_of(cursor)->first) : offset;
	LEAT_TRY(check_start(cursor, leat_cursor_end(cursor), fault));
	leat_put_u32(leat_put_u32(cursor->upper, cursor->topic->id), (uint32_t)partition + 1);
	cursor->options = rocksdb_readoptions_create();
	rocksdb_readoptions_set_iterate_upper_bound(cursor->options, (const char *)cursor->upper, sizeof cursor->upper);
	return 0;
}

static void drop_iterator(struct leat_cursor *cursor)
{
	if (cursor->iterator)
		rocksdb_iter_destroy(cursor->iterator);
	cursor->iterator = NULL;
	cursor->loads = 0;
}

void leat_cursor_close(struct leat_cursor *cursor)
{
	drop_iterator(cursor);
	if (cursor->options)
		rocksdb_readoptions_destroy(cursor->options);
	leat_chunk_free(&cursor->chunk);
	*cursor = (struct leat_cursor){ 0 };
}

/* A backlog is read once and the cache is for state; at the tail the same blocks are sought again and again. */
static void seek(struct leat_cursor *cursor, int64_t end)
{
	uint8_t key[LEAT_LOG_KEY];
	drop_iterator(cursor);
	rocksdb_readoptions_set_fill_cache(cursor->options, end - cursor->position <= TAIL_RECORDS);
	leat_log_key(key, cursor->topic->id, cursor->partition, cursor->position);
	cursor->iterator = rocksdb_create_iterator_cf(cursor->embedded->db, cursor->options, cursor->embedded->family[FAMILY_TOPICS]);
	rocksdb_iter_seek(cursor->iterator, (const char *)key, sizeof key);
}

struct run_view {
	int64_t last;
	const uint8_t *bytes;
	struct leat_run_header header;
};

/* 1: a run, 0: nothing more in this iterator's view. */
static int current_run(struct leat_cursor *cursor, struct run_view *run, struct leat_fault *fault)
{
	size_t key_size, size;
	if (!rocksdb_iter_valid(cursor->iterator)) {
		char *error = NULL;
		rocksdb_iter_get_error(cursor->iterator, &error);
		return leat_database_fault(error, cursor->embedded->directory.path, fault);
	}
	const uint8_t *key = (const uint8_t *)rocksdb_iter_key(cursor->iterator, &key_size);
	if (key_size != LEAT_LOG_KEY)
		return damaged(cursor, cursor->position, fault);
	run->last = (int64_t)leat_get_u64(key + 8);
	run->bytes = (const uint8_t *)rocksdb_iter_value(cursor->iterator, &size);
	if (leat_run_header_read(&run->header, run->bytes, size) < 0 || run->header.length != size || run->last < cursor->position || run->last + 1 < run->header.count)
		return damaged(cursor, cursor->position, fault);
	return 1;
}

/* Offsets without a record exist in compacted topics only; elsewhere the records were deleted while they were on their way, or the data is damaged. */
static int check_dense(const struct leat_cursor *cursor, const struct run_view *run, struct leat_fault *fault)
{
	if (cursor->topic->compacted || run->last - run->header.count + 1 <= cursor->position)
		return 0;
	int64_t first = atomic_load(&log_of(cursor)->first);
	return first > cursor->position ? gap(cursor, cursor->position, first, fault) : damaged(cursor, cursor->position, fault);
}

/* Takes runs that end before @end until the chunk is full. Returns how many; *dry: the iterator saw nothing more before @end. */
static int take_runs(struct leat_cursor *cursor, int64_t end, bool *dry, struct leat_fault *fault)
{
	size_t records = 0;
	int runs = 0;
	*dry = false;
	while (cursor->position < end) {
		struct run_view run;
		int rc = current_run(cursor, &run, fault);
		*dry = rc == 0 || (rc > 0 && run.last >= end);
		if (rc < 0 || *dry)
			return rc < 0 ? rc : runs;
		if (runs && (records + run.header.count > LEAT_BATCH_MAX || cursor->chunk.bytes.length + run.header.length > LEAT_CHUNK_BYTES))
			return runs;
		LEAT_TRY(check_dense(cursor, &run, fault));
		if (leat_chunk_append(&cursor->chunk, run.last, run.bytes, run.header.length) < 0)
			return leat_fail(fault, LEAT_ENOMEM, "out of memory for records of topic %s", cursor->topic->name);
		cursor->position = run.last + 1;
		records += run.header.count;
		runs++;
		rocksdb_iter_next(cursor->iterator);
	}
	return runs;
}

/* An iterator made after @end was read has seen everything before it, so what it misses is not there. */
static int nothing_before_end(struct leat_cursor *cursor, int64_t end, struct leat_fault *fault)
{
	int64_t first = atomic_load(&log_of(cursor)->first);
	if (first > cursor->position)
		return gap(cursor, cursor->position, first, fault);
	if (!cursor->topic->compacted)
		return damaged(cursor, cursor->position, fault);
	cursor->position = end;
	return 0;
}

int leat_cursor_load(struct leat_cursor *cursor, int64_t *from, struct leat_fault *fault)
{
	int64_t end = leat_cursor_end(cursor);
	bool dry = false, fresh = !cursor->iterator || cursor->loads++ >= LOADS_MAX;
	leat_chunk_clear(&cursor->chunk);
	*from = cursor->position;
	LEAT_TRY(check_start(cursor, end, fault));
	if (cursor->position == end)
		return 0;
	if (fresh)
		seek(cursor, end);
	int runs = take_runs(cursor, end, &dry, fault);
	if (runs == 0 && dry && !fresh) {
		seek(cursor, end);
		runs = take_runs(cursor, end, &dry, fault);
	}
	if (runs == 0 && dry)
		runs = nothing_before_end(cursor, end, fault);
	if (runs < 0) {
		cursor->position = *from;        /* what was taken before the failure is taken again */
		leat_chunk_clear(&cursor->chunk);
	}
	if (runs < 0 || dry || cursor->position >= end)
		drop_iterator(cursor);
	return LEAT_MIN(runs, 1);
}

long leat_cursor_fill(struct leat_cursor *cursor, struct leat_fault *fault)
{
	while (leat_chunk_left(&cursor->chunk) == 0) {
		int64_t from;
		int rc = leat_cursor_load(cursor, &from, fault);
		if (rc <= 0)
			return rc;
		rc = leat_chunk_decode(&cursor->chunk, from);
		if (rc < 0) {
			leat_chunk_clear(&cursor->chunk);
			cursor->position = from;
			drop_iterator(cursor);
			return rc == LEAT_ENOMEM ? leat_fail(fault, rc, "out of memory for records of topic %s", cursor->topic->name) : damaged(cursor, from, fault);
		}
	}
	return (long)leat_chunk_left(&cursor->chunk);
}

/* ---- plain readers ---- */

int leat_cursor_reader_open(struct leat_transport *transport, const char *topic, int32_t partition, int64_t offset, struct leat_reader **out, struct leat_fault *fault)
{
	struct leat_reader *reader = leat_calloc(1, sizeof *reader);
	int rc = reader ? leat_cursor_open(&reader->cursor, leat_embedded_of(transport), topic, partition, offset, fault) : leat_fail(fault, LEAT_ENOMEM, "out of memory for a reader of %s", topic);
	if (rc < 0) {
		leat_free(reader);
		reader = NULL;
	}
	*out = reader;
	return rc;
}

void leat_cursor_reader_close(struct leat_reader *reader)
{
	if (reader)
		leat_cursor_close(&reader->cursor);
	leat_free(reader);
}

static void wait_for_records(struct leat_cursor *cursor, int64_t deadline_us)
{
	struct leat_embedded *embedded = cursor->embedded;
	pthread_mutex_lock(&embedded->lock);
	while (leat_cursor_end(cursor) <= cursor->position && leat_embedded_wait(embedded, deadline_us))
		;
	pthread_mutex_unlock(&embedded->lock);
}

long leat_cursor_reader_next(struct leat_reader *reader, const struct leat_record **records, size_t max, int64_t timeout_ms, bool *at_end, int64_t *position, struct leat_fault *fault)
{
	struct leat_cursor *cursor = &reader->cursor;
	struct leat_chunk *chunk = &cursor->chunk;
	long left = leat_cursor_fill(cursor, fault);
	if (left == 0 && timeout_ms > 0) {
		wait_for_records(cursor, leat_embedded_deadline(cursor->embedded, LEAT_MIN(timeout_ms, INT64_MAX / 2000) * 1000));
		left = leat_cursor_fill(cursor, fault);
	}
	if (left < 0)
		return left;
	size_t count = LEAT_MIN((size_t)left, max);
	*records = chunk->records ? chunk->records + chunk->taken : NULL;
	chunk->taken += count;
	bool all = leat_chunk_left(chunk) == 0;
	*position = all ? cursor->position : chunk->records[chunk->taken].offset;
	*at_end = all && cursor->position >= leat_cursor_end(cursor);
	return (long)count;
}
