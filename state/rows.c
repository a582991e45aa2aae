/* Rows in memory: opened, found, read from disk where they are missing, marked as written, expired, evicted. */
#include "state/rows_private.h"

enum { EVICT_STEPS = 4096, ENTRY_ALIGN = 16 };

/* ---- opening ---- */

static int check_tables(const struct leat_rows_config *config, struct leat_fault *fault)
{
	if (config->count == 0 || config->count > LEAT_ROW_TABLES)
		return leat_fail(fault, LEAT_ELIMIT, "a row set has 1 to %d tables, not %zu", LEAT_ROW_TABLES, config->count);
	for (size_t i = 0; i < config->count; i++) {
		const struct leat_rows_table *table = &config->tables[i];
		if (table->entry_size == 0 || table->entry_size > LEAT_ROW_VALUE_MAX)
			return leat_fail(fault, LEAT_ELIMIT, "an entry has 1 to %d bytes, not %zu", LEAT_ROW_VALUE_MAX, table->entry_size);
		for (size_t j = 0; j < i; j++)
			if (config->tables[j].tag == table->tag)
				return leat_fail(fault, LEAT_ECONFIG, "two tables of one row set have the tag %08x", table->tag);
	}
	return 0;
}

/* Places written_ms and the entries behind the head; every row starts on a cache line. */
static void lay_out(struct leat_rows *rows)
{
	size_t times = 0;
	for (size_t i = 0; i < rows->count; i++)
		if (rows->with_ttl & 1u << i)
			rows->written_at[i] = (uint8_t)times++;
	size_t at = sizeof(struct row) + times * sizeof(int64_t);
	for (size_t i = 0; i < rows->count; i++) {
		at = (at + ENTRY_ALIGN - 1) / ENTRY_ALIGN * ENTRY_ALIGN;
		rows->offsets[i] = (uint32_t)at;
		at += rows->tables[i].entry_size;
	}
	rows->slabs.stride = (at + ROW_LINE - 1) / ROW_LINE * ROW_LINE;
}

static void configure(struct leat_rows *rows, const struct leat_rows_config *config)
{
	rows->tag = config->tag;
	rows->count = config->count;
	rows->store = config->store;
	rows->memory = config->memory;
	rows->write_behind = config->write_behind;
	memcpy(rows->tables, config->tables, config->count * sizeof *config->tables);
	for (size_t i = 0; i < config->count; i++) {
		rows->all |= 1u << i;
		rows->durable |= config->tables[i].durable ? 1u << i : 0;
		rows->with_ttl |= config->tables[i].ttl_ms > 0 ? 1u << i : 0;
	}
}

int leat_rows_open(struct leat_rows **out, const struct leat_rows_config *config, struct leat_fault *fault)
{
	*out = NULL;
	LEAT_TRY(check_tables(config, fault));
	struct leat_rows *rows = leat_calloc(1, sizeof *rows);
	if (!rows)
		return leat_fail(fault, LEAT_ENOMEM, "no memory for a row set");
	configure(rows, config);
	lay_out(rows);
	rows->value_bytes = leat_format_size(rows);
	rows->value = leat_malloc(rows->value_bytes);
	int rc = 0;
	if (!rows->value)
		rc = leat_fail(fault, LEAT_ENOMEM, "no memory for a row set");
	else if (rows->value_bytes > LEAT_ROW_VALUE_MAX)
		rc = leat_fail(fault, LEAT_ELIMIT, "the tables under one key have %zu bytes, at most %d are allowed", rows->value_bytes, LEAT_ROW_VALUE_MAX);
	if (rc < 0)
		leat_rows_close(rows);
	else
		*out = rows;
	return rc;
}

void leat_rows_close(struct leat_rows *rows)
{
	if (!rows)
		return;
	leat_index_free(rows);
	leat_timers_free(rows);
	leat_buffer_free(&rows->sweep_from);
	leat_buffer_free(&rows->keys);
	leat_free(rows->dirty);
	leat_free(rows->behind);
	leat_free(rows->value);
	leat_free(rows);
}

uint32_t leat_rows_offset(const struct leat_rows *rows, size_t index)
{
	return rows->offsets[index];
}

/* ---- entries ---- */

void leat_rows_changed(struct leat_rows *rows, struct row *row, uint32_t bits)
{
	bits &= rows->durable;
	row->changed |= bits;
	if (!bits || row->flags & ROW_DIRTY)
		return;
	row->flags |= ROW_DIRTY;
	rows->dirty[rows->dirty_count++] = row->number;
}

static void init_entry(struct leat_rows *rows, struct row *row, size_t table)
{
	const struct leat_rows_table *config = &rows->tables[table];
	if (config->init)
		config->init(config->self, row_entry(rows, row, table), row_key(row));
}

static void init_absent(struct leat_rows *rows, struct row *row)
{
	for (uint32_t absent = rows->all & ~row->head.present; absent; absent &= absent - 1)
		init_entry(rows, row, (size_t)__builtin_ctz(absent));
}

void leat_rows_reset(struct leat_rows *rows, struct row *row, size_t table)
{
	uint32_t bit = 1u << table;
	if (row->head.present & bit)
		leat_rows_changed(rows, row, bit);
	row->head.present &= ~bit;
	row->head.dirty &= ~bit;
	memset(row_entry(rows, row, table), 0, rows->tables[table].entry_size);
	init_entry(rows, row, table);
	if (row->timers)
		row->timers[table].at = NO_TIME;
}

void leat_rows_touch(struct leat_rows *rows, struct leat_row *head, size_t index, int64_t now_ms)
{
	struct row *row = (struct row *)head;
	uint32_t bit = 1u << index;
	if (rows->with_ttl & bit) {
		int64_t *written = row_written(rows, row, index);
		*written = head->present & bit && *written != NO_TIME ? LEAT_MAX(*written, now_ms) : now_ms;
	} else {
		/* Only the first write since the commit has to come here: with a ttl every one has, or expiry would hang on when commits fall. */
		head->dirty |= bit;
	}
	head->present |= bit;
	leat_rows_changed(rows, row, bit);
}

void leat_rows_delete(struct leat_rows *rows, struct leat_row *head, size_t index)
{
	leat_rows_reset(rows, (struct row *)head, index);
}

struct leat_bytes leat_rows_key(const struct leat_rows *rows, const struct leat_row *head)
{
	(void)rows;
	return row_key((const struct row *)head);
}

uint32_t leat_rows_partition_hash(const struct leat_rows *rows, const struct leat_row *head)
{
	(void)rows;
	return ((const struct row *)head)->partition_hash;
}

/* ---- reading from disk ---- */

struct load {
	struct leat_rows *rows;
	const uint32_t *numbers;
	size_t found;
};

static int loaded(void *self, size_t index, struct leat_bytes value)
{
	struct load *load = self;
	load->found++;
	return leat_format_decode(load->rows, row_at(load->rows, load->numbers[index]), value);
}

static int load_keys(struct leat_rows *rows, const uint32_t *numbers, size_t count, struct leat_bytes *keys)
{
	size_t at = 0;
	rows->keys.length = 0;
	for (size_t i = 0; i < count; i++)
		at += KEY_HEAD + row_at(rows, numbers[i])->key_length;
	LEAT_TRY(leat_buffer_reserve(&rows->keys, at));
	for (size_t i = 0; i < count; i++) {
		const struct row *row = row_at(rows, numbers[i]);
		keys[i] = disk_key(rows, row->partition_hash, row_key(row), rows->keys.data + rows->keys.length);
		rows->keys.length += keys[i].length;
	}
	return 0;
}

/* Fills rows that have just been made with what the disk has of them. How many it had. */
static long load_rows(struct leat_rows *rows, const uint32_t *numbers, size_t count)
{
	struct leat_bytes keys[LEAT_BATCH_MAX];
	struct load load = { .rows = rows, .numbers = numbers };
	if (rows->store && count) {
		LEAT_TRY(load_keys(rows, numbers, count, keys));
		LEAT_TRY(leat_store_get_many(rows->store, LEAT_FAMILY_ROWS, keys, count, loaded, &load));
		rows->stats.disk_reads += count;
	}
	for (size_t i = 0; i < count; i++)
		init_absent(rows, row_at(rows, numbers[i]));
	return (long)load.found;
}

int leat_rows_get(struct leat_rows *rows, uint32_t partition_hash, struct leat_bytes key, struct row **out)
{
	uint32_t hash = leat_index_hash(key, partition_hash);
	struct row *row = leat_index_find(rows, hash, partition_hash, key);
	*out = row;
	if (row || !rows->store)
		return 0;
	row = leat_index_add(rows, hash, partition_hash, key);
	if (!row)
		return LEAT_ENOMEM;
	long found = load_rows(rows, &row->number, 1);
	if (found > 0)
		*out = row;
	else
		leat_index_remove(rows, row);
	return (int)LEAT_MIN(found, 0);
}

int leat_rows_peek(struct leat_rows *rows, struct leat_bytes key, uint32_t partition_hash, struct leat_row **out)
{
	struct row *row;
	*out = NULL;
	if (key.length > LEAT_ROW_KEY_MAX)
		return LEAT_ELIMIT;
	LEAT_TRY(leat_rows_get(rows, partition_hash, key, &row));
	if (!row)
		return 0;
	row->flags |= ROW_RECENT;
	if (row->head.present)
		*out = &row->head;
	return 0;
}

/* ---- expiry ---- */

static bool older(int64_t written_ms, int64_t now_ms, int64_t ttl_ms)
{
	int64_t limit;
	return !__builtin_sub_overflow(now_ms, ttl_ms, &limit) && written_ms < limit;
}

/* An entry that waits for its timer does not expire before. */
bool leat_rows_expired(const struct leat_rows *rows, struct row *row, size_t table, int64_t now_ms)
{
	if (!(row->head.present & rows->with_ttl & 1u << table) || (row->timers && row->timers[table].at != NO_TIME))
		return false;
	return older(*row_written(rows, row, table), now_ms, rows->tables[table].ttl_ms);
}

/* The reset is part of the next commit, else an event that is older but comes later would find the entry again after a restart and not without one. */
void leat_rows_expire(struct leat_rows *rows, struct leat_row *head, size_t table, int64_t now_ms)
{
	struct row *row = (struct row *)head;
	if (!(head->present & rows->with_ttl & 1u << table) || now_ms == INT64_MIN)
		return;
	int64_t *written = row_written(rows, row, table);
	if (*written == NO_TIME) {
		*written = now_ms;
		leat_rows_changed(rows, row, 1u << table);
	} else if (leat_rows_expired(rows, row, table, now_ms)) {
		leat_rows_reset(rows, row, table);
		rows->stats.expired++;
	}
}

static void expire_row(struct leat_rows *rows, struct row *row, int64_t now_ms, uint32_t tables)
{
	for (tables &= row->head.present; tables; tables &= tables - 1)
		leat_rows_expire(rows, &row->head, (size_t)__builtin_ctz(tables), now_ms);
}

/* Could what earlier events of this call do to @row leave an entry that has expired at @now_ms? @earliest_ms: the oldest of those events. */
static bool may_expire(struct leat_rows *rows, struct row *row, int64_t now_ms, int64_t earliest_ms, uint32_t tables)
{
	for (; tables; tables &= tables - 1) {
		size_t table = (size_t)__builtin_ctz(tables);
		int64_t written = row->head.present & 1u << table ? *row_written(rows, row, table) : NO_TIME;
		if (older(LEAT_MIN(written, earliest_ms), now_ms, rows->tables[table].ttl_ms))
			return true;
	}
	return false;
}

static void next_find(struct leat_rows *rows)
{
	if (++rows->find_number != 0)
		return;
	for (uint32_t number = 0; number < rows->slabs.high; number++)
		row_at(rows, number)->found = 0;
	rows->find_number = 1;
}

static void expire(struct leat_rows *rows, struct leat_row **out, const int64_t *now_ms, size_t count, uint32_t tables, size_t *exact)
{
	int64_t earliest = INT64_MAX;
	next_find(rows);
	for (size_t i = 0; i < count; i++) {
		struct row *row = (struct row *)out[i];
		if (row->found != rows->find_number) {
			row->found = rows->find_number;
			expire_row(rows, row, now_ms[i], tables);
		} else if (exact && may_expire(rows, row, now_ms[i], earliest, tables)) {
			*exact = i;
			return;
		}
		earliest = LEAT_MIN(earliest, now_ms[i]);
	}
}

/* ---- finding ---- */

struct search {
	const struct leat_bytes *keys;
	const uint32_t *partition_hash;
	size_t count;
	uint32_t hash[LEAT_BATCH_MAX];
	uint32_t guess[LEAT_BATCH_MAX];        /* number of the first row with the same hash */
	uint32_t made[LEAT_BATCH_MAX];         /* numbers of rows that were not in memory    */
	size_t made_count;
};

static int search_hash(const struct leat_rows *rows, struct search *search)
{
	for (size_t i = 0; i < search->count; i++) {
		if (search->keys[i].length > LEAT_ROW_KEY_MAX)
			return LEAT_ELIMIT;
		search->hash[i] = leat_index_hash(search->keys[i], search->partition_hash[i]);
		if (rows->index.cells)
			__builtin_prefetch(&rows->index.cells[search->hash[i] & rows->index.mask]);
	}
	return 0;
}

static void search_guess(const struct leat_rows *rows, struct search *search)
{
	const struct row_index *index = &rows->index;
	for (size_t i = 0; i < search->count; i++) {
		uint32_t hash = search->hash[i];
		search->guess[i] = NO_ROW;
		if (!index->cells)
			continue;
		size_t at = hash & index->mask;
		while (index->cells[at].number != NO_ROW && index->cells[at].hash != hash)
			at = (at + 1) & index->mask;
		search->guess[i] = index->cells[at].number;
		if (search->guess[i] == NO_ROW)
			continue;
		const char *row = (const char *)row_at(rows, search->guess[i]);
		__builtin_prefetch(row, 1);
		__builtin_prefetch(row + ROW_LINE);
		__builtin_prefetch(row + rows->offsets[rows->count - 1]);
	}
}

static struct row *search_one(struct leat_rows *rows, struct search *search, size_t i)
{
	struct leat_bytes key = search->keys[i];
	uint32_t hash = search->hash[i], partition_hash = search->partition_hash[i];
	if (search->guess[i] != NO_ROW) {
		struct row *row = row_at(rows, search->guess[i]);
		if (LEAT_LIKELY(leat_index_same(row, hash, partition_hash, key)))
			return row;
	}
	struct row *row = leat_index_find(rows, hash, partition_hash, key);
	if (row)
		return row;
	row = leat_index_add(rows, hash, partition_hash, key);
	if (row)
		search->made[search->made_count++] = row->number;
	return row;
}

static int search_rows(struct leat_rows *rows, struct search *search, struct leat_row **out)
{
	for (size_t i = 0; i < search->count; i++) {
		struct row *row = search_one(rows, search, i);
		if (!row)
			return LEAT_ENOMEM;
		row->flags |= ROW_RECENT;
		out[i] = &row->head;
	}
	long found = load_rows(rows, search->made, search->made_count);
	if (found < 0)
		return (int)found;
	rows->stats.created += search->made_count - (size_t)found;
	return 0;
}

int leat_rows_find_tables(struct leat_rows *rows, const struct leat_bytes *keys, const uint32_t *partition_hash, const int64_t *now_ms, size_t count,
			  uint32_t tables, struct leat_row **out, size_t *exact)
{
	struct search search;   /* its arrays are not worth clearing for one key */
	LEAT_ASSERT(count <= LEAT_BATCH_MAX);
	search.keys = keys;
	search.partition_hash = partition_hash;
	search.count = count;
	search.made_count = 0;
	LEAT_TRY(search_hash(rows, &search));
	search_guess(rows, &search);
	int rc = search_rows(rows, &search, out);
	/* Backwards, so that the numbers are given out in the same order again. */
	for (size_t i = search.made_count; rc < 0 && i-- > 0;)
		leat_index_remove(rows, row_at(rows, search.made[i]));
	if (rc < 0)
		return rc;
	rows->stats.finds += count;
	rows->stats.hits += count - search.made_count;
	if (exact)
		*exact = count;
	if (rows->with_ttl & tables)
		expire(rows, out, now_ms, count, rows->with_ttl & tables, exact);
	return 0;
}

int leat_rows_find(struct leat_rows *rows, const struct leat_bytes *keys, const uint32_t *partition_hash, const int64_t *now_ms, size_t count, struct leat_row **out)
{
	return leat_rows_find_tables(rows, keys, partition_hash, now_ms, count, rows->all, out, NULL);
}

/* ---- memory ---- */

size_t leat_rows_count(const struct leat_rows *rows)
{
	return rows->index.count;
}

struct leat_row *leat_rows_at(const struct leat_rows *rows, size_t index)
{
	LEAT_ASSERT(index < rows->slabs.high);
	struct row *row = row_at(rows, (uint32_t)index);
	return row->flags & ROW_USED ? &row->head : NULL;
}

size_t leat_rows_memory(const struct leat_rows *rows)
{
	return leat_index_memory(rows) + leat_timers_memory(rows);
}

/* What only memory has may not go: open or committed changes, and entries of tables that are not durable (unless the whole set is such). */
static bool evictable(const struct leat_rows *rows, const struct row *row)
{
	uint32_t pinned = rows->store ? rows->all & ~rows->durable : 0;
	return row->flags & ROW_USED && !(row->flags & (ROW_DIRTY | ROW_BEHIND)) && !(row->head.present & pinned);
}

void leat_rows_evict(struct leat_rows *rows)
{
	if (!rows->store && rows->memory == 0)
		return;
	size_t used = leat_rows_memory(rows);
	if (used <= rows->memory)
		return;
	leat_timers_release(rows);
	/* Two rounds find every clean row in a small set; in a large one what is left over waits for the next call. */
	size_t steps = LEAT_MIN((size_t)rows->slabs.high * 2, EVICT_STEPS + (used - rows->memory) / rows->slabs.stride * 8);
	for (; steps > 0 && leat_rows_memory(rows) > rows->memory && rows->index.count > 0; steps--) {
		rows->hand = rows->hand + 1 < rows->slabs.high ? rows->hand + 1 : 0;
		struct row *row = row_at(rows, rows->hand);
		if (row->flags & ROW_RECENT)
			row->flags &= (uint8_t)~ROW_RECENT;
		else if (evictable(rows, row)) {
			leat_index_remove(rows, row);
			rows->stats.evicted++;
		}
	}
}

void leat_rows_stats(const struct leat_rows *rows, struct leat_rows_stats *stats)
{
	*stats = rows->stats;
}
