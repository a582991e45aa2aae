/* Where rows lie in memory: slabs that never move, and an open-addressing index of row numbers. */
#include "state/rows_private.h"

enum {
	SLAB_SMALL = 64 << 10,         /* the first slabs, so that small sets stay small      */
	INDEX_FIRST = 64,
	RESERVE_FIRST = 64,
};

uint32_t leat_index_hash(struct leat_bytes key, uint32_t partition_hash)
{
	uint64_t hash = leat_hash(key.data, key.length) ^ partition_hash * 0x9E3779B97F4A7C15ull;
	return (uint32_t)(hash ^ (hash >> 32));
}

bool leat_index_same(const struct row *row, uint32_t hash, uint32_t partition_hash, struct leat_bytes key)
{
	if (row->hash != hash || row->partition_hash != partition_hash || row->key_length != key.length)
		return false;
	return key.length == 0 || memcmp(row_key(row).data, key.data, key.length) == 0;
}

struct row *leat_index_find(const struct leat_rows *rows, uint32_t hash, uint32_t partition_hash, struct leat_bytes key)
{
	const struct row_index *index = &rows->index;
	if (index->count == 0)
		return NULL;
	for (size_t at = hash & index->mask; index->cells[at].number != NO_ROW; at = (at + 1) & index->mask) {
		if (index->cells[at].hash != hash)
			continue;
		struct row *row = row_at(rows, index->cells[at].number);
		if (leat_index_same(row, hash, partition_hash, key))
			return row;
	}
	return NULL;
}

static void insert(struct row_index *index, uint32_t hash, uint32_t number)
{
	size_t at = hash & index->mask;
	while (index->cells[at].number != NO_ROW)
		at = (at + 1) & index->mask;
	index->cells[at] = (struct index_cell){ hash, number };
}

static int index_reserve(struct row_index *index)
{
	if (index->cells && index->count * 2 < index->mask + 1)
		return 0;
	struct row_index wider = { .mask = index->cells ? index->mask * 2 + 1 : INDEX_FIRST - 1, .count = index->count };
	wider.cells = leat_malloc((wider.mask + 1) * sizeof *wider.cells);
	if (!wider.cells)
		return LEAT_ENOMEM;
	memset(wider.cells, 0xff, (wider.mask + 1) * sizeof *wider.cells);
	for (size_t i = 0; index->cells && i <= index->mask; i++)
		if (index->cells[i].number != NO_ROW)
			insert(&wider, index->cells[i].hash, index->cells[i].number);
	leat_free(index->cells);
	*index = wider;
	return 0;
}

static int behind_reserve(struct leat_rows *rows, size_t size)
{
	struct behind *wider = leat_malloc(size * sizeof *wider);
	if (!wider)
		return LEAT_ENOMEM;
	for (size_t i = 0; i < rows->behind_count; i++)
		wider[i] = rows->behind[(rows->behind_first + i) & rows->behind_mask];
	leat_free(rows->behind);
	rows->behind = wider;
	rows->behind_mask = size - 1;
	rows->behind_first = 0;
	return 0;
}

/* Room in every list that a row may get into later, so that writing to a row cannot fail. */
static int lists_reserve(struct leat_rows *rows, size_t count)
{
	if (count <= rows->reserved)
		return 0;
	size_t size = LEAT_MAX(rows->reserved * 2, (size_t)RESERVE_FIRST);
	while (size < count)
		size *= 2;
	uint32_t *wider = leat_realloc(rows->slabs.free, size * sizeof *wider);
	if (!wider)
		return LEAT_ENOMEM;
	rows->slabs.free = wider;
	wider = leat_realloc(rows->dirty, size * sizeof *wider);
	if (!wider)
		return LEAT_ENOMEM;
	rows->dirty = wider;
	LEAT_TRY(behind_reserve(rows, size));
	rows->reserved = size;
	return 0;
}

static int slab_add(struct row_slabs *slabs)
{
	if (slabs->slab_count == slabs->slab_capacity) {
		size_t capacity = LEAT_MAX(slabs->slab_capacity * 2, (size_t)8);
		uint8_t **wider = leat_realloc(slabs->slabs, capacity * sizeof *wider);
		if (!wider)
			return LEAT_ENOMEM;
		slabs->slabs = wider;
		slabs->slab_capacity = capacity;
	}
	uint8_t *slab = leat_aligned(ROW_LINE, slabs->stride << slabs->shift);
	if (!slab)
		return LEAT_ENOMEM;
	slabs->slabs[slabs->slab_count++] = slab;
	return 0;
}

static int rows_reserve(struct leat_rows *rows)
{
	struct row_slabs *slabs = &rows->slabs;
	if (slabs->shift == 0 && slabs->slab_count == 0)
		while ((slabs->stride << (slabs->shift + 1)) <= SLAB_SMALL)
			slabs->shift++;
	if (slabs->free_count || slabs->high < slabs->slab_count << slabs->shift)
		return 0;
	if (slabs->high >= NO_ROW - (1u << slabs->shift))
		return LEAT_ELIMIT;
	LEAT_TRY(lists_reserve(rows, (slabs->slab_count + 1) << slabs->shift));
	return slab_add(slabs);
}

static int key_set(struct leat_rows *rows, struct row *row, struct leat_bytes key)
{
	uint8_t *to = row->key.bytes;
	if (key.length > KEY_INLINE) {
		to = leat_malloc(key.length);
		if (!to)
			return LEAT_ENOMEM;
		row->key.spilled = to;
		rows->spilled_bytes += key.length;
	}
	if (key.length)
		memcpy(to, key.data, key.length);
	row->key_length = (uint16_t)key.length;
	return 0;
}

struct row *leat_index_add(struct leat_rows *rows, uint32_t hash, uint32_t partition_hash, struct leat_bytes key)
{
	struct row_slabs *slabs = &rows->slabs;
	if (index_reserve(&rows->index) < 0 || rows_reserve(rows) < 0)
		return NULL;
	uint32_t number = slabs->free_count ? slabs->free[slabs->free_count - 1] : slabs->high;
	struct row *row = row_at(rows, number);
	if (key_set(rows, row, key) < 0)
		return NULL;
	if (slabs->free_count)
		slabs->free_count--;
	else
		slabs->high++;
	row->hash = hash;
	row->partition_hash = partition_hash;
	row->number = number;
	row->flags = ROW_USED;
	insert(&rows->index, hash, number);
	rows->index.count++;
	return row;
}

/* Closes the gap at @gap, so that no search stops short of a cell that was pushed past it. */
static void close_gap(struct row_index *index, size_t gap)
{
	for (size_t at = (gap + 1) & index->mask; index->cells[at].number != NO_ROW; at = (at + 1) & index->mask) {
		size_t home = index->cells[at].hash & index->mask;
		if (((at - home) & index->mask) < ((at - gap) & index->mask))
			continue;
		index->cells[gap] = index->cells[at];
		gap = at;
	}
	index->cells[gap] = (struct index_cell){ NO_ROW, NO_ROW };
}

void leat_index_remove(struct leat_rows *rows, struct row *row)
{
	struct row_index *index = &rows->index;
	size_t at = row->hash & index->mask;
	while (index->cells[at].number != row->number)
		at = (at + 1) & index->mask;
	close_gap(index, at);
	index->count--;
	if (row->key_length > KEY_INLINE) {
		rows->spilled_bytes -= row->key_length;
		leat_free(row->key.spilled);
	}
	if (row->timers)
		rows->timer_bytes -= rows->count * sizeof *row->timers;
	leat_free(row->timers);
	rows->slabs.free[rows->slabs.free_count++] = row->number;
	memset(row, 0, rows->slabs.stride);
}

void leat_index_free(struct leat_rows *rows)
{
	struct row_slabs *slabs = &rows->slabs;
	for (uint32_t number = 0; number < slabs->high; number++) {
		struct row *row = row_at(rows, number);
		if (row->key_length > KEY_INLINE)
			leat_free(row->key.spilled);
		leat_free(row->timers);
	}
	for (size_t i = 0; i < slabs->slab_count; i++)
		leat_free(slabs->slabs[i]);
	leat_free(slabs->slabs);
	leat_free(slabs->free);
	leat_free(rows->index.cells);
}

size_t leat_index_memory(const struct leat_rows *rows)
{
	size_t cells = rows->index.cells ? (rows->index.mask + 1) * sizeof *rows->index.cells : 0;
	return rows->index.count * rows->slabs.stride + cells + rows->spilled_bytes;
}
