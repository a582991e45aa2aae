/* Walks over all rows: the sweep for expired entries, and the dump. */
#include "state/rows_private.h"

#include <stdlib.h>

/* ---- sweep ---- */

struct sweep {
	struct leat_rows *rows;
	int64_t now_ms;
	size_t left;
	struct leat_buffer expired;        /* disk keys of rows with an expired entry, each after its u16 length */
};

static bool section_expired(const struct leat_rows *rows, const struct leat_section *section, int64_t now_ms)
{
	int table = leat_format_table(rows, section->tag);
	int64_t limit;
	if (table < 0 || !(rows->with_ttl & rows->durable & 1u << table) || !section->has_written || section->timer_ms != NO_TIME)
		return false;
	return !__builtin_sub_overflow(now_ms, rows->tables[table].ttl_ms, &limit) && section->written_ms < limit;
}

static int sweep_each(void *self, struct leat_bytes key, struct leat_bytes value)
{
	struct sweep *sweep = self;
	struct leat_section section;
	uint16_t length = (uint16_t)key.length;
	sweep->rows->sweep_from.length = 0;
	LEAT_TRY(leat_buffer_append(&sweep->rows->sweep_from, key.data, key.length));
	if (sweep->left == 0)
		return 1;
	sweep->left--;
	bool expired = false;
	LEAT_TRY(leat_format_begin(&value));
	int more;
	while ((more = leat_format_next(&value, &section)) > 0)
		expired = expired || section_expired(sweep->rows, &section, sweep->now_ms);
	if (more < 0 || !expired)
		return more;
	LEAT_TRY(leat_buffer_append(&sweep->expired, &length, sizeof length));
	return leat_buffer_append(&sweep->expired, key.data, key.length);
}

static int sweep_row(struct leat_rows *rows, struct row *row, int64_t now_ms)
{
	int count = 0;
	for (uint32_t tables = row->head.present & rows->with_ttl; tables; tables &= tables - 1) {
		size_t table = (size_t)__builtin_ctz(tables);
		if (!leat_rows_expired(rows, row, table, now_ms))
			continue;
		leat_rows_reset(rows, row, table);
		rows->stats.expired++;
		count++;
	}
	return count;
}

/* The disk may be behind: what counts is the row as memory has it. */
static int sweep_expired(struct leat_rows *rows, const struct leat_buffer *expired, int64_t now_ms)
{
	int count = 0;
	uint16_t length;
	for (size_t at = 0; at < expired->length; at += sizeof length + length) {
		memcpy(&length, expired->data + at, sizeof length);
		const uint8_t *key = expired->data + at + sizeof length;
		struct row *row;
		LEAT_TRY(leat_rows_get(rows, get_be32(key + 2), leat_bytes(key + KEY_HEAD, length - (size_t)KEY_HEAD), &row));
		if (row)
			count += sweep_row(rows, row, now_ms);
	}
	return count;
}

static int sweep_disk(struct leat_rows *rows, int64_t now_ms, size_t count)
{
	struct sweep sweep = { .rows = rows, .now_ms = now_ms, .left = count };
	uint8_t tag[2];
	put_be16(tag, rows->tag);
	struct leat_buffer from = rows->sweep_from;
	rows->sweep_from = (struct leat_buffer){ 0 };
	int rc = leat_store_scan(rows->store, LEAT_FAMILY_ROWS, leat_bytes(tag, sizeof tag), leat_bytes(from.data, from.length), sweep_each, &sweep);
	leat_buffer_free(&from);
	bool ended = rc == 0;
	if (rc >= 0)
		rc = sweep_expired(rows, &sweep.expired, now_ms);
	leat_buffer_free(&sweep.expired);
	/* At the end, or after a failure on the way: the next sweep begins again with the first key. */
	if (ended || rc < 0)
		rows->sweep_from.length = 0;
	return rc;
}

static int sweep_memory(struct leat_rows *rows, int64_t now_ms, size_t count)
{
	int expired = 0;
	for (size_t i = 0; i < count && i < rows->slabs.high; i++) {
		rows->hand = rows->hand + 1 < rows->slabs.high ? rows->hand + 1 : 0;
		expired += sweep_row(rows, row_at(rows, rows->hand), now_ms);
	}
	return expired;
}

int leat_rows_sweep(struct leat_rows *rows, int64_t now_ms, size_t count, struct leat_fault *fault)
{
	if (!rows->with_ttl)
		return 0;
	int rc = rows->store ? sweep_disk(rows, now_ms, count) : sweep_memory(rows, now_ms, count);
	return rc < 0 ? leat_fail(fault, rc, "looking for expired rows: %s", leat_error_text(rc)) : rc;
}

/* ---- dump ---- */

struct dump_item {
	struct leat_bytes key;
	struct row *row;
};
struct dump {
	struct leat_rows *rows;
	struct dump_item *items;           /* rows in memory, by disk key */
	size_t count, next;
	struct leat_buffer keys;
	leat_rows_each *each;
	void *self;
};

static int compare_bytes(struct leat_bytes a, struct leat_bytes b)
{
	uint32_t shorter = LEAT_MIN(a.length, b.length);
	int order = shorter ? memcmp(a.data, b.data, shorter) : 0;
	return order ? order : (a.length > b.length) - (a.length < b.length);
}

static int compare_items(const void *a, const void *b)
{
	return compare_bytes(((const struct dump_item *)a)->key, ((const struct dump_item *)b)->key);
}

static int dump_collect(struct dump *dump)
{
	struct leat_rows *rows = dump->rows;
	size_t bytes = rows->index.count * KEY_HEAD, at = 0;
	dump->items = leat_malloc((rows->index.count + 1) * sizeof *dump->items);
	if (!dump->items)
		return LEAT_ENOMEM;
	for (uint32_t number = 0; number < rows->slabs.high; number++)
		bytes += row_at(rows, number)->key_length;
	LEAT_TRY(leat_buffer_reserve(&dump->keys, bytes));
	for (uint32_t number = 0; number < rows->slabs.high; number++) {
		struct row *row = row_at(rows, number);
		if (!(row->flags & ROW_USED))
			continue;
		struct leat_bytes key = disk_key(rows, row->partition_hash, row_key(row), dump->keys.data + at);
		dump->items[dump->count++] = (struct dump_item){ key, row };
		at += key.length;
	}
	qsort(dump->items, dump->count, sizeof *dump->items, compare_items);
	return 0;
}

static int dump_row(struct dump *dump, const struct dump_item *item)
{
	struct leat_bytes value = leat_format_encode(dump->rows, item->row);
	return value.data ? dump->each(dump->self, item->key, value) : 0;
}

/* Rows in memory that come before @key, and says whether memory has @key itself. */
static int dump_until(struct dump *dump, struct leat_bytes key, bool *covered)
{
	*covered = false;
	while (dump->next < dump->count) {
		int order = compare_bytes(dump->items[dump->next].key, key);
		if (order > 0)
			return 0;
		*covered = order == 0;
		int rc = dump_row(dump, &dump->items[dump->next++]);
		if (rc != 0)
			return rc;
	}
	return 0;
}

static int dump_disk(void *self, struct leat_bytes key, struct leat_bytes value)
{
	struct dump *dump = self;
	bool covered;
	int rc = dump_until(dump, key, &covered);
	return rc != 0 || covered ? rc : dump->each(dump->self, key, value);
}

int leat_rows_dump(struct leat_rows *rows, leat_rows_each *each, void *self, struct leat_fault *fault)
{
	struct dump dump = { .rows = rows, .each = each, .self = self };
	uint8_t tag[2];
	put_be16(tag, rows->tag);
	int rc = dump_collect(&dump);
	if (rc == 0 && rows->store)
		rc = leat_store_scan(rows->store, LEAT_FAMILY_ROWS, leat_bytes(tag, sizeof tag), leat_bytes(NULL, 0), dump_disk, &dump);
	while (rc == 0 && dump.next < dump.count)
		rc = dump_row(&dump, &dump.items[dump.next++]);
	leat_buffer_free(&dump.keys);
	leat_free(dump.items);
	return rc < 0 ? leat_fail(fault, rc, "reading all rows: %s", leat_error_text(rc)) : 0;
}
