/* From memory to the changelog and to disk: dirty rows of the open commit, committed rows that are behind, records that are restored. */
#include "state/rows_private.h"

enum { AHEAD = 8, DIGIT = 11, DIGITS = 3, BUCKETS = 1 << DIGIT };

size_t leat_rows_dirty_count(const struct leat_rows *rows)
{
	return rows->dirty_count;
}

size_t leat_rows_dirty_bytes(const struct leat_rows *rows)
{
	return rows->dirty_count * (rows->value_bytes + KEY_HEAD + KEY_INLINE);
}

size_t leat_rows_behind_count(const struct leat_rows *rows)
{
	return rows->behind_count;
}

int leat_rows_encode_dirty(struct leat_rows *rows, leat_rows_each *each, void *self, struct leat_fault *fault)
{
	uint8_t key[KEY_BYTES];
	for (size_t i = 0; i < rows->dirty_count; i++) {
		if (i + AHEAD < rows->dirty_count)
			__builtin_prefetch(row_at(rows, rows->dirty[i + AHEAD]));
		struct row *row = row_at(rows, rows->dirty[i]);
		int rc = each(self, disk_key(rows, row->partition_hash, row_key(row), key), leat_format_encode(rows, row));
		if (rc < 0)
			return leat_fail(fault, rc, "writing a row: %s", leat_error_text(rc));
	}
	return 0;
}

static void row_write(struct leat_rows *rows, struct row *row, struct leat_writes *writes)
{
	uint8_t bytes[KEY_BYTES];
	struct leat_bytes key = disk_key(rows, row->partition_hash, row_key(row), bytes);
	struct leat_bytes value = leat_format_encode(rows, row);
	if (value.data)
		leat_writes_put(writes, rows->store, LEAT_FAMILY_ROWS, key, value);
	else
		leat_writes_delete(writes, rows->store, LEAT_FAMILY_ROWS, key);
	if (row->timers)
		leat_timers_write(rows, row, writes);
	rows->stats.written++;
}

int leat_rows_write_dirty(struct leat_rows *rows, struct leat_writes *writes, struct leat_fault *fault)
{
	if (!rows->store)
		return 0;
	(void)fault;
	leat_timers_write_taken(rows, writes);
	for (size_t i = 0; i < rows->dirty_count; i++)
		row_write(rows, row_at(rows, rows->dirty[i]), writes);
	return 0;
}

void leat_rows_fall_behind(struct leat_rows *rows, struct row *row)
{
	if (row->flags & ROW_BEHIND)
		return;
	row->flags |= ROW_BEHIND;
	size_t at = (rows->behind_first + rows->behind_count++) & rows->behind_mask;
	rows->behind[at] = (struct behind){ .since = rows->sequence, .number = row->number };
}

void leat_rows_committed(struct leat_rows *rows, uint64_t sequence)
{
	bool behind = rows->store && rows->write_behind;
	LEAT_ASSERT(sequence >= rows->sequence);
	rows->sequence = sequence;
	for (size_t i = 0; i < rows->dirty_count; i++) {
		if (i + AHEAD < rows->dirty_count)
			__builtin_prefetch(row_at(rows, rows->dirty[i + AHEAD]), 1);
		struct row *row = row_at(rows, rows->dirty[i]);
		row->changed = 0;
		row->head.dirty &= ~rows->durable;
		row->flags &= (uint8_t)~ROW_DIRTY;
		if (behind)
			leat_rows_fall_behind(rows, row);
	}
	rows->dirty_count = 0;
}

/* ---- write behind ---- */

struct order {
	uint32_t partition_hash, number;
};

/* By the hash that leads their keys: RocksDB takes a sorted batch at about half the cost. */
static void sort_by_hash(struct order *items, struct order *spare, size_t count)
{
	for (unsigned digit = 0; digit < DIGITS; digit++) {
		size_t starts[BUCKETS] = { 0 }, sum = 0;
		unsigned shift = digit * DIGIT;
		for (size_t i = 0; i < count; i++)
			starts[items[i].partition_hash >> shift & (BUCKETS - 1)]++;
		for (size_t i = 0; i < BUCKETS; i++) {
			size_t here = starts[i];
			starts[i] = sum;
			sum += here;
		}
		for (size_t i = 0; i < count; i++)
			spare[starts[items[i].partition_hash >> shift & (BUCKETS - 1)]++] = items[i];
		struct order *other = items;
		items = spare;
		spare = other;
	}
	/* An odd number of passes: the result is in what came as @spare. */
	static_assert(DIGITS % 2 == 1 && DIGITS * DIGIT >= 32, "the caller reads the result from @spare");
}

static size_t behind_until(const struct leat_rows *rows, uint64_t until_sequence)
{
	size_t count = 0;
	while (count < rows->behind_count && rows->behind[(rows->behind_first + count) & rows->behind_mask].since <= until_sequence)
		count++;
	return count;
}

static void write_sorted(struct leat_rows *rows, const struct order *sorted, size_t count, struct leat_writes *writes)
{
	for (size_t i = 0; i < count; i++) {
		if (i + AHEAD < count) {
			const char *next = (const char *)row_at(rows, sorted[i + AHEAD].number);
			for (size_t at = 0; at < rows->slabs.stride && at < (size_t)8 * ROW_LINE; at += ROW_LINE)
				__builtin_prefetch(next + at);
		}
		struct row *row = row_at(rows, sorted[i].number);
		row->flags &= (uint8_t)~ROW_BEHIND;
		row_write(rows, row, writes);
	}
}

long leat_rows_write_behind(struct leat_rows *rows, uint64_t until_sequence, struct leat_writes *writes, struct leat_fault *fault)
{
	LEAT_ASSERT(rows->dirty_count == 0);
	size_t count = behind_until(rows, until_sequence);
	struct order *items = leat_malloc((count + 1) * 2 * sizeof *items);
	if (!items)
		return leat_fail(fault, LEAT_ENOMEM, "no memory to sort %zu rows", count);
	for (size_t i = 0; i < count; i++) {
		uint32_t number = rows->behind[(rows->behind_first + i) & rows->behind_mask].number;
		items[i] = (struct order){ row_at(rows, number)->partition_hash, number };
	}
	sort_by_hash(items, items + count, count);
	leat_timers_write_taken(rows, writes);
	write_sorted(rows, items + count, count, writes);
	rows->behind_first = (rows->behind_first + count) & rows->behind_mask;
	rows->behind_count -= count;
	leat_free(items);
	return (long)count;
}

/* ---- restore ---- */

static int restore_value(struct leat_rows *rows, struct leat_bytes key, struct leat_bytes value, struct leat_writes *writes)
{
	struct leat_bytes rest = value;
	struct leat_section section;
	int more = leat_format_begin(&rest);
	/* First the whole record is looked at: nothing of a damaged one may be written. */
	while (more >= 0 && (more = leat_format_next(&rest, &section)) > 0)
		;
	if (more < 0)
		return more;
	leat_writes_put(writes, rows->store, LEAT_FAMILY_ROWS, key, value);
	(void)leat_format_begin(&value);
	while (leat_format_next(&value, &section) > 0)
		if (section.timer_ms != NO_TIME)   /* also of tables that are not open: they may come back before the row is written again */
			leat_timers_restore(rows, key, &section, writes);
	return 0;
}

int leat_rows_restore(struct leat_rows *rows, struct leat_bytes key, struct leat_bytes value, struct leat_writes *writes, struct leat_fault *fault)
{
	uint8_t tag[2];
	put_be16(tag, rows->tag);
	LEAT_ASSERT(rows->store && rows->dirty_count == 0 && rows->behind_count == 0);
	if (key.length < KEY_HEAD || key.length > KEY_BYTES || memcmp(key.data, tag, sizeof tag) != 0)
		return leat_fail(fault, LEAT_ECORRUPT, "a changelog record has a key of %u bytes that is none of row set %u", key.length, rows->tag);
	int rc = 0;
	if (value.data)
		rc = restore_value(rows, key, value, writes);
	else
		leat_writes_delete(writes, rows->store, LEAT_FAMILY_ROWS, key);
	return rc < 0 ? leat_fail(fault, rc, "a changelog record of %u bytes cannot be read: %s", value.length, leat_error_text(rc)) : 0;
}

int leat_rows_restore_other(struct leat_store *store, struct leat_bytes key, struct leat_bytes value, struct leat_writes *writes)
{
	if (key.length < KEY_HEAD)
		return LEAT_ECORRUPT;
	struct leat_rows other = { .tag = (uint16_t)(key.data[0] << 8 | key.data[1]), .store = store };
	return leat_rows_restore(&other, key, value, writes, NULL);
}
