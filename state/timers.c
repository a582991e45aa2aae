/*
 * Timers: which entry is due next. The timer itself lies in its row; the heap and the family on disk only hold hints where to look.
 *
 * For every timer that is set there is a hint at or before its time, in the heap or on disk. A hint is checked against the row when its time comes: the
 * timer may have been moved later (then the hint is replaced), cleared, or have fired by another hint. So a timer moves later for free.
 * A hint on disk leaves it in the first batch after the commit that holds what taking it off did, and a row never reaches the disk without a hint.
 */
#include "state/rows_private.h"

#include <stdlib.h>

enum { AHEAD_ENTRIES = 256, LOAD_ENTRIES = 64 };

struct taken {
	uint32_t length;               /* of the key that follows                              */
	int64_t moved_ms;              /* the timer's new time, to be put in its stead; NO_TIME: none */
};

int leat_timers_make(struct leat_rows *rows, struct row *row)
{
	if (row->timers)
		return 0;
	row->timers = leat_malloc(rows->count * sizeof *row->timers);
	if (!row->timers)
		return LEAT_ENOMEM;
	for (size_t i = 0; i < rows->count; i++)
		row->timers[i] = (struct row_timer){ NO_TIME, NO_TIME, NO_TIME };
	rows->timer_bytes += rows->count * sizeof *row->timers;
	return 0;
}

/* ---- heap: by time only; rows may be evicted and their numbers used again under it ---- */

/* Room for one hint more, and for those in due to come back. */
static int heap_reserve(struct timers *timers)
{
	if (timers->heap_count + (timers->due_count - timers->due_first) < timers->heap_capacity)
		return 0;
	size_t capacity = LEAT_MAX(timers->heap_capacity * 2, (size_t)64);
	struct timer_hint *wider = leat_realloc(timers->heap, capacity * sizeof *wider);
	if (!wider)
		return LEAT_ENOMEM;
	timers->heap = wider;
	timers->heap_capacity = capacity;
	return 0;
}

static void heap_push(struct timers *timers, struct timer_hint hint)
{
	LEAT_ASSERT(timers->heap_count < timers->heap_capacity);
	size_t at = timers->heap_count++;
	for (; at > 0 && timers->heap[(at - 1) / 2].at > hint.at; at = (at - 1) / 2)
		timers->heap[at] = timers->heap[(at - 1) / 2];
	timers->heap[at] = hint;
}

static struct timer_hint heap_pop(struct timers *timers)
{
	struct timer_hint top = timers->heap[0], last = timers->heap[--timers->heap_count];
	size_t at = 0, child;
	while ((child = 2 * at + 1) < timers->heap_count) {
		if (child + 1 < timers->heap_count && timers->heap[child + 1].at < timers->heap[child].at)
			child++;
		if (timers->heap[child].at >= last.at)
			break;
		timers->heap[at] = timers->heap[child];
		at = child;
	}
	timers->heap[at] = last;
	return top;
}

/* There is room in the heap. */
static void queue(struct leat_rows *rows, struct row *row, size_t table)
{
	struct row_timer *timer = &row->timers[table];
	if (timer->at == NO_TIME || timer->queued <= timer->at || timer->indexed <= timer->at)
		return;
	heap_push(&rows->timers, (struct timer_hint){ timer->at, row->number, (uint32_t)table });
	timer->queued = timer->at;
}

int leat_rows_timer_set(struct leat_rows *rows, struct leat_row *head, size_t index, int64_t at_ms)
{
	struct row *row = (struct row *)head;
	uint32_t bit = 1u << index;
	if (at_ms == NO_TIME && !row->timers)
		return 0;
	LEAT_TRY(leat_timers_make(rows, row));
	LEAT_TRY(heap_reserve(&rows->timers));
	if (!(head->present & bit) && at_ms != NO_TIME) {
		head->present |= bit;
		if (rows->with_ttl & bit)
			*row_written(rows, row, index) = NO_TIME;
	}
	if (head->present & bit)
		leat_rows_changed(rows, row, bit);
	row->timers[index].at = at_ms;
	queue(rows, row, index);
	return 0;
}

/* ---- hints of the smallest time in the heap, in the order in which timers fire ---- */

static int compare_places(const struct leat_rows *rows, const struct timer_hint *a, const struct timer_hint *b)
{
	uint32_t a_tag = rows->tables[a->table].tag, b_tag = rows->tables[b->table].tag;
	if (a_tag != b_tag)
		return a_tag < b_tag ? -1 : 1;
	const struct row *a_row = row_at(rows, a->number), *b_row = row_at(rows, b->number);
	if (a_row->partition_hash != b_row->partition_hash)
		return a_row->partition_hash < b_row->partition_hash ? -1 : 1;
	struct leat_bytes a_key = row_key(a_row), b_key = row_key(b_row);
	int order = memcmp(a_key.data, b_key.data, LEAT_MIN(a_key.length, b_key.length));
	return order ? order : (a_key.length > b_key.length) - (a_key.length < b_key.length);
}

static int compare_due(const void *a, const void *b, void *rows)
{
	return compare_places(rows, a, b);
}

void leat_timers_release(struct leat_rows *rows)
{
	struct timers *timers = &rows->timers;
	for (; timers->due_first < timers->due_count; timers->due_first++) {
		const struct timer_hint *hint = &timers->due[timers->due_first];
		struct row_timer *timer = &row_at(rows, hint->number)->timers[hint->table];
		timer->queued = LEAT_MIN(timer->queued, hint->at);
		heap_push(timers, *hint);
	}
	timers->due_first = timers->due_count = 0;
}

static int due_reserve(struct timers *timers)
{
	if (timers->due_count < timers->due_capacity)
		return 0;
	size_t capacity = LEAT_MAX(timers->due_capacity * 2, (size_t)64);
	struct timer_hint *wider = leat_realloc(timers->due, capacity * sizeof *wider);
	if (!wider)
		return LEAT_ENOMEM;
	timers->due = wider;
	timers->due_capacity = capacity;
	return 0;
}

/* Takes the hint of @timers' top off the heap: into due when its timer is at that time, replaced when it is later, dropped else. */
static int due_take(struct leat_rows *rows)
{
	struct timers *timers = &rows->timers;
	LEAT_TRY(due_reserve(timers));
	struct timer_hint hint = heap_pop(timers);
	struct row *row = row_at(rows, hint.number);
	struct row_timer *timer = row->timers ? &row->timers[hint.table] : NULL;
	if (!timer)
		return 0;
	if (timer->queued == hint.at)
		timer->queued = NO_TIME;
	if (timer->at == hint.at)
		timers->due[timers->due_count++] = hint;
	else if (timer->at > hint.at)
		queue(rows, row, hint.table);
	return 0;
}

/* Makes due hold what the heap has at @time, the earliest of all. */
static int due_collect(struct leat_rows *rows, int64_t time)
{
	struct timers *timers = &rows->timers;
	if (timers->due_first < timers->due_count && timers->due[timers->due_first].at != time)
		leat_timers_release(rows);
	if (timers->due_first == timers->due_count)
		timers->due_first = timers->due_count = 0;
	size_t before = timers->due_count;
	int rc = 0;
	while (rc == 0 && timers->heap_count && timers->heap[0].at == time)
		rc = due_take(rows);
	if (timers->due_count > before)
		qsort_r(timers->due + timers->due_first, timers->due_count - timers->due_first, sizeof *timers->due, compare_due, rows);
	return rc;
}

/* ---- index on disk ---- */

static struct leat_bytes index_key(const struct leat_rows *rows, int64_t at_ms, uint32_t table_tag, struct leat_bytes disk_key, uint8_t *to)
{
	put_be16(to, rows->tag);
	put_be64(to + 2, (uint64_t)at_ms ^ (uint64_t)1 << 63);
	put_be32(to + 10, table_tag);
	memcpy(to + 14, disk_key.data + 2, disk_key.length - 2);
	return leat_bytes(to, disk_key.length + 12);
}

static int64_t index_time(struct leat_bytes key)
{
	return (int64_t)(get_be64(key.data + 2) ^ (uint64_t)1 << 63);
}

static struct leat_bytes ahead_key(const struct timers *timers, size_t at)
{
	uint16_t length;
	memcpy(&length, timers->ahead.data + at, sizeof length);
	return leat_bytes(timers->ahead.data + at + sizeof length, length);
}

static bool ahead_any(const struct timers *timers)
{
	return timers->ahead_at < timers->ahead.length;
}

static int compare_keys(struct leat_bytes a, struct leat_bytes b)
{
	uint32_t shorter = LEAT_MIN(a.length, b.length);
	int order = shorter ? memcmp(a.data, b.data, shorter) : 0;
	return order ? order : (a.length > b.length) - (a.length < b.length);
}

static void set_from(struct timers *timers, struct leat_bytes key)
{
	memcpy(timers->from, key.data, key.length);
	timers->from_length = key.length;
}

/* What was read ahead may not have @key, which goes to disk now. */
static void ahead_note(struct timers *timers, struct leat_bytes key)
{
	bool before = compare_keys(key, leat_bytes(timers->from, timers->from_length)) < 0;
	if (before)
		set_from(timers, key);
	if (before || (ahead_any(timers) && compare_keys(key, ahead_key(timers, timers->ahead_last)) < 0))
		timers->ahead.length = timers->ahead_at = 0;
	timers->complete = false;
}

struct fill {
	struct timers *timers;
	size_t count;
};

static int fill_each(void *self, struct leat_bytes key, struct leat_bytes value)
{
	struct fill *fill = self;
	struct timers *timers = fill->timers;
	uint16_t length = (uint16_t)key.length;
	(void)value;
	if (fill->count++ == AHEAD_ENTRIES)
		return 1;
	if (key.length < TIMER_HEAD || key.length >= TIMER_KEY_BYTES)
		return LEAT_ECORRUPT;
	LEAT_TRY(leat_buffer_reserve(&timers->ahead, sizeof length + length));
	timers->ahead_last = timers->ahead.length;
	LEAT_TRY(leat_buffer_append(&timers->ahead, &length, sizeof length));
	return leat_buffer_append(&timers->ahead, key.data, key.length);
}

static int ahead_fill(struct leat_rows *rows)
{
	struct timers *timers = &rows->timers;
	struct fill fill = { .timers = timers };
	uint8_t tag[2];
	if (!rows->store || ahead_any(timers) || timers->complete)
		return 0;
	put_be16(tag, rows->tag);
	timers->ahead.length = timers->ahead_at = 0;
	int rc = leat_store_scan(rows->store, LEAT_FAMILY_TIMERS, leat_bytes(tag, sizeof tag), leat_bytes(timers->from, timers->from_length), fill_each, &fill);
	timers->complete = rc == 0;
	if (rc < 0)
		timers->ahead.length = 0;
	return LEAT_MIN(rc, 0);
}

static void write_index(struct leat_rows *rows, struct leat_bytes disk_key, int64_t at_ms, uint32_t table_tag, struct leat_writes *writes)
{
	uint8_t bytes[TIMER_KEY_BYTES];
	struct leat_bytes key = index_key(rows, at_ms, table_tag, disk_key, bytes);
	leat_writes_put(writes, rows->store, LEAT_FAMILY_TIMERS, key, leat_bytes("", 0));
	ahead_note(&rows->timers, key);
}

void leat_timers_write(struct leat_rows *rows, struct row *row, struct leat_writes *writes)
{
	uint8_t bytes[KEY_BYTES];
	struct leat_bytes key = disk_key(rows, row->partition_hash, row_key(row), bytes);
	for (uint32_t tables = row->head.present & rows->durable; tables; tables &= tables - 1) {
		size_t table = (size_t)__builtin_ctz(tables);
		struct row_timer *timer = &row->timers[table];
		if (timer->at == NO_TIME || timer->indexed <= timer->at)
			continue;
		write_index(rows, key, timer->at, rows->tables[table].tag, writes);
		timer->indexed = timer->at;
	}
}

void leat_timers_restore(struct leat_rows *rows, struct leat_bytes key, const struct leat_section *section, struct leat_writes *writes)
{
	write_index(rows, key, section->timer_ms, section->tag, writes);
}

/*
 * Before rows are written: one of them may have been given the same timer again. In a batch behind nothing is dirty, so that none of these entries has
 * fired in the open commit; where the row on disk is older than the commit in which it did, the changelog's tail brings row and entry back.
 */
void leat_timers_write_taken(struct leat_rows *rows, struct leat_writes *writes)
{
	struct leat_buffer *taken = &rows->timers.taken;
	size_t at = 0;
	while (at < taken->length) {
		struct taken entry;
		memcpy(&entry, taken->data + at, sizeof entry);
		struct leat_bytes key = leat_bytes(taken->data + at + sizeof entry, entry.length);
		leat_writes_delete(writes, rows->store, LEAT_FAMILY_TIMERS, key);
		at += sizeof entry + entry.length;
		if (entry.moved_ms == NO_TIME)
			continue;
		uint8_t row_bytes[KEY_BYTES];
		put_be16(row_bytes, rows->tag);
		memcpy(row_bytes + 2, key.data + 14, key.length - 14u);
		write_index(rows, leat_bytes(row_bytes, key.length - 12u), entry.moved_ms, get_be32(key.data + 10), writes);
	}
	taken->length = 0;
}

/* Rows of the next entries up to @until_ms, read together: one by one they would cost a search on disk each. */
static int ahead_load(struct leat_rows *rows, int64_t until_ms)
{
	const struct timers *timers = &rows->timers;
	struct leat_bytes keys[LOAD_ENTRIES];
	uint32_t hashes[LOAD_ENTRIES];
	int64_t times[LOAD_ENTRIES];
	struct leat_row *found[LOAD_ENTRIES];
	size_t count = 0;
	for (size_t at = timers->ahead_at; at < timers->ahead.length && count < LOAD_ENTRIES; count++) {
		struct leat_bytes key = ahead_key(timers, at);
		times[count] = index_time(key);
		if (times[count] > until_ms)
			break;
		hashes[count] = get_be32(key.data + 14);
		keys[count] = leat_bytes(key.data + TIMER_HEAD, key.length - (size_t)TIMER_HEAD);
		at += sizeof(uint16_t) + key.length;
	}
	return leat_rows_find_tables(rows, keys, hashes, times, count, 0, found, NULL);
}

static int taken_add(struct timers *timers, struct leat_bytes key, int64_t moved_ms)
{
	struct taken entry = { .length = key.length, .moved_ms = moved_ms };
	LEAT_TRY(leat_buffer_reserve(&timers->taken, sizeof entry + key.length));
	LEAT_TRY(leat_buffer_append(&timers->taken, &entry, sizeof entry));
	return leat_buffer_append(&timers->taken, key.data, key.length);
}

/* What is put in the entry's stead can be read from disk only after the next batch: until then the row stays in memory. */
static void keep_moved(struct leat_rows *rows, struct row *row, size_t table)
{
	queue(rows, row, table);
	if (row->flags & (ROW_DIRTY | ROW_BEHIND))
		return;
	if (rows->write_behind)
		leat_rows_fall_behind(rows, row);
	else
		leat_rows_changed(rows, row, 1u << table);
}

/* Takes the next entry on disk off. *row is set when its timer is at that time. */
static int disk_take(struct leat_rows *rows, int64_t until_ms, struct row **row, size_t *index)
{
	struct timers *timers = &rows->timers;
	struct leat_bytes key = ahead_key(timers, timers->ahead_at);
	struct leat_bytes rest = leat_bytes(key.data + TIMER_HEAD, key.length - (size_t)TIMER_HEAD);
	uint32_t partition_hash = get_be32(key.data + 14);
	int table = leat_format_table(rows, get_be32(key.data + 10));
	int64_t time = index_time(key);
	struct row *found = leat_index_find(rows, leat_index_hash(rest, partition_hash), partition_hash, rest);
	if (!found && table >= 0) {
		LEAT_TRY(ahead_load(rows, until_ms));
		found = leat_index_find(rows, leat_index_hash(rest, partition_hash), partition_hash, rest);
	}
	LEAT_TRY(heap_reserve(timers));
	struct row_timer *timer = found && found->timers && table >= 0 ? &found->timers[table] : NULL;
	int64_t moved = timer && timer->at != time ? timer->at : NO_TIME;
	LEAT_TRY(taken_add(timers, key, moved));
	if (timer)
		timer->indexed = NO_TIME;
	timers->ahead_at += sizeof(uint16_t) + key.length;
	set_from(timers, key);
	timers->from[timers->from_length++] = 0;
	*index = (size_t)table;
	if (timer && timer->at == time)
		*row = found;
	else if (moved != NO_TIME)
		keep_moved(rows, found, *index);
	return 0;
}

/* ---- next and pop ---- */

static int64_t earliest(const struct timers *timers)
{
	int64_t time = timers->heap_count ? timers->heap[0].at : NO_TIME;
	if (timers->due_first < timers->due_count)
		time = LEAT_MIN(time, timers->due[timers->due_first].at);
	if (ahead_any(timers))
		time = LEAT_MIN(time, index_time(ahead_key(timers, timers->ahead_at)));
	return time;
}

int leat_rows_timer_next(struct leat_rows *rows, int64_t *at_ms)
{
	*at_ms = NO_TIME;
	LEAT_TRY(ahead_fill(rows));
	*at_ms = earliest(&rows->timers);
	return 0;
}

static bool disk_first(const struct leat_rows *rows, int64_t time)
{
	const struct timers *timers = &rows->timers;
	uint8_t row_bytes[KEY_BYTES], bytes[TIMER_KEY_BYTES];
	if (timers->due_first == timers->due_count)
		return true;
	if (!ahead_any(timers) || index_time(ahead_key(timers, timers->ahead_at)) != time)
		return false;
	const struct timer_hint *hint = &timers->due[timers->due_first];
	const struct row *row = row_at(rows, hint->number);
	struct leat_bytes key = disk_key(rows, row->partition_hash, row_key(row), row_bytes);
	key = index_key(rows, time, rows->tables[hint->table].tag, key, bytes);
	return compare_keys(ahead_key(timers, timers->ahead_at), key) <= 0;
}

static int take(struct leat_rows *rows, int64_t time, int64_t until_ms, struct row **row, size_t *index)
{
	struct timers *timers = &rows->timers;
	LEAT_TRY(due_collect(rows, time));
	bool any_disk = ahead_any(timers) && index_time(ahead_key(timers, timers->ahead_at)) == time;
	if (timers->due_first == timers->due_count && !any_disk)
		return 0;
	if (disk_first(rows, time))
		return disk_take(rows, until_ms, row, index);
	struct timer_hint hint = timers->due[timers->due_first++];
	struct row *found = row_at(rows, hint.number);
	struct row_timer *timer = &found->timers[hint.table];
	*index = hint.table;
	if (timer->at == time)
		*row = found;
	else if (timer->at > time)
		queue(rows, found, hint.table);
	return 0;
}

int leat_rows_timer_pop(struct leat_rows *rows, int64_t until_ms, struct leat_row **row, size_t *index, int64_t *at_ms)
{
	struct row *found = NULL;
	*row = NULL;
	while (!found) {
		LEAT_TRY(leat_rows_timer_next(rows, at_ms));
		if (*at_ms > until_ms || *at_ms == NO_TIME)
			return 0;
		LEAT_TRY(take(rows, *at_ms, until_ms, &found, index));
	}
	found->timers[*index].at = NO_TIME;
	leat_rows_changed(rows, found, 1u << *index);
	*row = &found->head;
	return 0;
}

void leat_timers_free(struct leat_rows *rows)
{
	leat_free(rows->timers.heap);
	leat_free(rows->timers.due);
	leat_buffer_free(&rows->timers.ahead);
	leat_buffer_free(&rows->timers.taken);
}

size_t leat_timers_memory(const struct leat_rows *rows)
{
	const struct timers *timers = &rows->timers;
	return rows->timer_bytes + (timers->heap_capacity + timers->due_capacity) * sizeof *timers->heap + timers->ahead.capacity + timers->taken.capacity;
}
