/* A random walk over everything a row set can do, crashes included, against a model that is an array. The seed is in the failure's text. */
#include "tests/state/state_fixture.h"

enum { TAG = 3, KEYS = 24, STEPS = 1000, WALKS = 9, TTL_MS = 700, LOG_MAX = 1 << 16, FIRED_MAX = 4096 };
enum { COUNTER, FLAG, TABLES };

static const struct leat_rows_table tables[TABLES] = {
	[COUNTER] = { .tag = 0x20, .version = 1, .entry_size = 8, .durable = true },
	[FLAG] = { .tag = 0x10, .version = 1, .entry_size = 1, .ttl_ms = TTL_MS, .durable = true },
};

/* ---- the model ---- */

struct cell {
	bool present;
	int64_t value, written_ms, timer_ms;
};
struct model {
	struct cell cells[KEYS][TABLES];
};

static struct leat_bytes key_of(size_t key, char *to, size_t size, uint32_t *hash)
{
	/* Some keys are long, some share their bytes and differ only in the message key. */
	int length = snprintf(to, size, key % 3 == 0 ? "a-key-that-does-not-fit-into-a-row-%zu" : "k%zu", key / 2);
	*hash = (uint32_t)(key * 0x9E3779B1u);
	return leat_bytes(to, (size_t)length);
}

static void cell_clear(struct cell *cell)
{
	*cell = (struct cell){ .timer_ms = INT64_MAX };
}

static void model_find(struct model *model, size_t key, int64_t now_ms)
{
	struct cell *flag = &model->cells[key][FLAG];
	if (flag->present && flag->written_ms == INT64_MAX)
		flag->written_ms = now_ms;
	else if (flag->present && flag->timer_ms == INT64_MAX && flag->written_ms < now_ms - TTL_MS)
		cell_clear(flag);
}

static int hex_int(struct leat_buffer *out, uint64_t value, int bytes)
{
	for (int i = 0; i < bytes; i++)
		LEAT_TRY(leat_buffer_printf(out, "%02x", (unsigned)(value >> (8 * i) & 0xff)));
	return 0;
}

static void model_value(const struct cell *cells, struct leat_buffer *out)
{
	bool any = false;
	for (size_t table = 0; table < TABLES; table++) {
		const struct cell *cell = &cells[table];
		if (!cell->present)
			continue;
		bool timer = cell->timer_ms != INT64_MAX, ttl = tables[table].ttl_ms > 0;
		leat_buffer_printf(out, any ? "" : "=01");
		any = true;
		hex_int(out, tables[table].tag, 4), hex_int(out, tables[table].version, 2);
		hex_int(out, tables[table].entry_size << 2 | (timer ? 2 : 0) | (ttl ? 1 : 0), 1);
		if (ttl)
			hex_int(out, (uint64_t)cell->written_ms, 8);
		if (timer)
			hex_int(out, (uint64_t)cell->timer_ms, 8);
		hex_int(out, (uint64_t)cell->value, (int)tables[table].entry_size);
	}
}

static int compare_lines(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Dumps are compared as sorted lines: hex digits sort as the bytes do as long as no key is a prefix of another, and "=" is below "a". */
static void sort_lines(struct leat_buffer *text)
{
	char *lines[KEYS + 1], *rest = (char *)text->data, *line;
	size_t count = 0;
	struct leat_buffer sorted = { 0 };
	while (rest && (line = strsep(&rest, "\n")) && *line)
		lines[count++] = line;
	qsort(lines, count, sizeof *lines, compare_lines);
	leat_buffer_printf(&sorted, "%s", "");
	for (size_t i = 0; i < count; i++)
		leat_buffer_printf(&sorted, "%s\n", lines[i]);
	leat_buffer_free(text);
	*text = sorted;
}

static void model_dump(const struct model *model, struct leat_buffer *out)
{
	for (size_t key = 0; key < KEYS; key++) {
		char bytes[64];
		uint32_t hash;
		struct leat_bytes name = key_of(key, bytes, sizeof bytes, &hash);
		if (!model->cells[key][COUNTER].present && !model->cells[key][FLAG].present)
			continue;
		leat_buffer_printf(out, "%04x%08x", TAG, hash);
		for (uint32_t i = 0; i < name.length; i++)
			leat_buffer_printf(out, "%02x", name.data[i]);
		model_value(model->cells[key], out);
		leat_buffer_printf(out, "\n");
	}
	sort_lines(out);
}

struct firing {
	int64_t at;
	uint32_t tag, hash;
	char name[64];
	size_t key, table;
};

static int compare_firings(const void *a, const void *b)
{
	const struct firing *x = a, *y = b;
	if (x->at != y->at)
		return x->at < y->at ? -1 : 1;
	if (x->tag != y->tag)
		return x->tag < y->tag ? -1 : 1;
	if (x->hash != y->hash)
		return x->hash < y->hash ? -1 : 1;
	return strcmp(x->name, y->name);
}

/* The next timer up to @until, by trying them all. */
static bool model_next(const struct model *model, int64_t until_ms, struct firing *next)
{
	bool any = false;
	for (size_t key = 0; key < KEYS; key++)
		for (size_t table = 0; table < TABLES; table++) {
			const struct cell *cell = &model->cells[key][table];
			if (!cell->present || cell->timer_ms > until_ms || cell->timer_ms == INT64_MAX)
				continue;
			struct firing firing = { .at = cell->timer_ms, .tag = tables[table].tag, .key = key, .table = table };
			key_of(key, firing.name, sizeof firing.name, &firing.hash);
			if (!any || compare_firings(&firing, next) < 0)
				*next = firing;
			any = true;
		}
	return any;
}

/* ---- the walk ---- */

struct record {
	uint8_t key[128], value[128];
	size_t key_length, value_length;
	bool tombstone;
};

struct walk {
	struct fixture fixture;
	struct leat_rows *rows;
	struct model now, committed;
	struct record *log;
	size_t log_count;
	size_t log_at[STEPS + 2];          /* log_count after each commit */
	uint64_t sequence, on_disk, seed;
	int64_t time_ms;
	bool behind;
};

static uint64_t pick(struct walk *walk, uint64_t below)
{
	walk->seed = leat_mix(walk->seed);
	return walk->seed % below;
}

static void open_rows(struct walk *walk)
{
	struct leat_rows_config config = {
		.tag = TAG, .tables = tables, .count = TABLES, .store = walk->fixture.store, .memory = 4096, .write_behind = walk->behind,
	};
	fixture_ok(&walk->fixture, leat_rows_open(&walk->rows, &config, &walk->fixture.fault));
}

static struct leat_row *find(struct walk *walk, size_t key)
{
	char bytes[64];
	uint32_t hash;
	struct leat_row *row;
	struct leat_bytes name = key_of(key, bytes, sizeof bytes, &hash);
	assert_int_equal(leat_rows_find(walk->rows, &name, &hash, &walk->time_ms, 1, &row), 0);
	model_find(&walk->now, key, walk->time_ms);
	return row;
}

static void write_entry(struct walk *walk, struct leat_row *row, size_t key, size_t table, int64_t value)
{
	struct cell *cell = &walk->now.cells[key][table];
	leat_rows_touch(walk->rows, row, table, walk->time_ms);
	memcpy((char *)row + leat_rows_offset(walk->rows, table), &value, tables[table].entry_size);
	if (!cell->present)
		cell->written_ms = walk->time_ms;
	else
		cell->written_ms = cell->written_ms == INT64_MAX ? walk->time_ms : LEAT_MAX(cell->written_ms, walk->time_ms);
	cell->present = true;
	cell->value = table == FLAG ? value & 0xff : value;
}

static void step_write(struct walk *walk)
{
	size_t key = pick(walk, KEYS), table = pick(walk, TABLES);
	write_entry(walk, find(walk, key), key, table, (int64_t)pick(walk, 1000));
}

static void step_delete(struct walk *walk)
{
	size_t key = pick(walk, KEYS), table = pick(walk, TABLES);
	leat_rows_delete(walk->rows, find(walk, key), table);
	cell_clear(&walk->now.cells[key][table]);
}

static void set_timer(struct walk *walk, struct leat_row *row, size_t key, size_t table, int64_t at_ms)
{
	struct cell *cell = &walk->now.cells[key][table];
	assert_int_equal(leat_rows_timer_set(walk->rows, row, table, at_ms), 0);
	if (!cell->present && at_ms != INT64_MAX)
		*cell = (struct cell){ .present = true, .written_ms = INT64_MAX };
	cell->timer_ms = at_ms;
}

static void step_timer(struct walk *walk)
{
	size_t key = pick(walk, KEYS), table = pick(walk, TABLES);
	/* Coarse times, so that many timers fall together. */
	int64_t at = pick(walk, 8) == 0 ? INT64_MAX : (walk->time_ms + 50 + (int64_t)pick(walk, 600)) / 50 * 50;
	set_timer(walk, find(walk, key), key, table, at);
}

static void step_fire(struct walk *walk)
{
	struct leat_row *row;
	size_t table;
	int64_t at, next;
	struct firing expected;
	walk->time_ms += 100;
	int64_t until = walk->time_ms - 50;
	/* Often not all of them: rows may be evicted in between. */
	int most = pick(walk, 3) ? 1 + (int)pick(walk, 3) : FIRED_MAX;
	for (int fired = 0; fired < most; fired++) {
		bool any = model_next(&walk->now, until, &expected);
		assert_int_equal(leat_rows_timer_next(walk->rows, &next), 0);
		assert_true(!any || next <= expected.at);
		assert_int_equal(leat_rows_timer_pop(walk->rows, until, &row, &table, &at), 0);
		assert_true(any == (row != NULL));
		if (!any)
			return;
		assert_int_equal(at, expected.at);
		assert_int_equal(table, expected.table);
		assert_int_equal(leat_rows_partition_hash(walk->rows, row), expected.hash);
		assert_true(leat_bytes_equal(leat_rows_key(walk->rows, row), leat_text(expected.name)));
		walk->now.cells[expected.key][table].timer_ms = INT64_MAX;
		/* What a handler may do: nothing, write and set it again (also at once), delete. */
		uint64_t act = leat_mix((uint64_t)at * 31 + expected.key) % 5;
		if (act == 0 || act == 1) {
			write_entry(walk, row, expected.key, table, at & 0x7f);
			set_timer(walk, row, expected.key, table, act ? at + 150 : until + 50);
		} else if (act == 2) {
			leat_rows_delete(walk->rows, row, table);
			cell_clear(&walk->now.cells[expected.key][table]);
		}
	}
	assert_true(most < FIRED_MAX);
}

static int log_record(void *self, struct leat_bytes key, struct leat_bytes value)
{
	struct walk *walk = self;
	assert_true(walk->log_count < LOG_MAX);
	struct record *record = &walk->log[walk->log_count++];
	assert_true(key.length <= sizeof record->key && value.length <= sizeof record->value);
	memcpy(record->key, key.data, key.length);
	record->key_length = key.length;
	record->tombstone = !value.data;
	if (value.data)
		memcpy(record->value, value.data, value.length);
	record->value_length = value.length;
	return 0;
}

static void put_meta(struct walk *walk, uint64_t commits)
{
	struct leat_store_meta meta = { .version = LEAT_STORE_VERSION, .partitions = 1, .commits = commits, .changelog_offset = (int64_t)walk->log_at[commits] };
	leat_store_meta_put(walk->fixture.writes, walk->fixture.store, &meta);
	walk->on_disk = commits;
}

static void expect_equal(struct walk *walk, const struct model *model)
{
	struct leat_buffer is = { 0 }, should = { 0 };
	fixture_ok(&walk->fixture, leat_rows_dump(walk->rows, fixture_hex, &is, &walk->fixture.fault));
	sort_lines(&is);
	model_dump(model, &should);
	assert_string_equal((const char *)is.data, (const char *)should.data);
	leat_buffer_free(&is);
	leat_buffer_free(&should);
}

static void step_commit(struct walk *walk)
{
	fixture_ok(&walk->fixture, leat_rows_encode_dirty(walk->rows, log_record, walk, &walk->fixture.fault));
	walk->log_at[++walk->sequence] = walk->log_count;
	if (!walk->behind) {
		fixture_ok(&walk->fixture, leat_rows_write_dirty(walk->rows, walk->fixture.writes, &walk->fixture.fault));
		put_meta(walk, walk->sequence);
		fixture_write(&walk->fixture);
	}
	leat_rows_committed(walk->rows, walk->sequence);
	walk->committed = walk->now;
	expect_equal(walk, &walk->now);
}

static void step_write_behind(struct walk *walk)
{
	if (!walk->behind || leat_rows_dirty_count(walk->rows) > 0 || walk->sequence == 0)
		return;
	uint64_t until = walk->on_disk + pick(walk, walk->sequence - walk->on_disk + 1);
	assert_true(leat_rows_write_behind(walk->rows, until, walk->fixture.writes, &walk->fixture.fault) >= 0);
	put_meta(walk, until);
	fixture_write(&walk->fixture);
	if (pick(walk, 8) == 0)
		fixture_ok(&walk->fixture, leat_store_flush(walk->fixture.store, &walk->fixture.fault));
}

static void step_sweep(struct walk *walk)
{
	/* Only disk is walked: what it deletes is what a find at that time would not have found either. */
	assert_true(leat_rows_sweep(walk->rows, walk->time_ms - 40, 1 + pick(walk, KEYS), &walk->fixture.fault) >= 0);
	for (size_t key = 0; key < KEYS; key++) {
		char bytes[64];
		uint32_t hash;
		struct leat_row *row;
		struct cell *flag = &walk->now.cells[key][FLAG];
		struct leat_bytes name = key_of(key, bytes, sizeof bytes, &hash);
		assert_int_equal(leat_rows_peek(walk->rows, name, hash, &row), 0);
		if (flag->present && !(row && row->present & 1 << FLAG)) {
			assert_true(flag->timer_ms == INT64_MAX && flag->written_ms < walk->time_ms - 40 - TTL_MS);
			cell_clear(flag);
		}
	}
}

static void restore(struct walk *walk)
{
	struct leat_store_meta meta;
	size_t from = 0;
	if (leat_store_meta_read(walk->fixture.store, &meta, &walk->fixture.fault) == 0)
		from = (size_t)meta.changelog_offset;
	for (size_t i = from; i < walk->log_count; i++) {
		const struct record *record = &walk->log[i];
		struct leat_bytes value = record->tombstone ? (struct leat_bytes){ 0 } : leat_bytes(record->value, record->value_length);
		fixture_ok(&walk->fixture, leat_rows_restore(walk->rows, leat_bytes(record->key, record->key_length), value, walk->fixture.writes, &walk->fixture.fault));
	}
	put_meta(walk, walk->sequence);
	fixture_write(&walk->fixture);
}

static void step_crash(struct walk *walk)
{
	leat_rows_close(walk->rows);
	if (pick(walk, 3) == 0)
		fixture_ok(&walk->fixture, leat_store_flush(walk->fixture.store, &walk->fixture.fault));
	fixture_crash(&walk->fixture);
	open_rows(walk);
	restore(walk);
	walk->now = walk->committed;
	expect_equal(walk, &walk->now);
}

static void step(struct walk *walk)
{
	uint64_t dice = pick(walk, 100);
	walk->time_ms += (int64_t)pick(walk, 20) - 5;
	if (dice < 35)
		step_write(walk);
	else if (dice < 55)
		step_timer(walk);
	else if (dice < 60)
		step_delete(walk);
	else if (dice < 70)
		step_fire(walk);
	else if (dice < 82)
		step_commit(walk);
	else if (dice < 90)
		step_write_behind(walk);
	else if (dice < 95)
		leat_rows_evict(walk->rows);
	else if (dice < 98)
		step_sweep(walk);
	else
		step_crash(walk);
}

static void walk_from(uint64_t seed, bool behind)
{
	struct walk *walk = calloc(1, sizeof *walk);
	fixture_open(&walk->fixture);
	print_message("seed %llu\n", (unsigned long long)seed);
	walk->log = calloc(LOG_MAX, sizeof *walk->log);
	walk->seed = seed;
	walk->behind = behind;
	walk->time_ms = 10000;
	for (size_t key = 0; key < KEYS; key++)
		for (size_t table = 0; table < TABLES; table++)
			cell_clear(&walk->now.cells[key][table]);
	walk->committed = walk->now;
	open_rows(walk);
	for (int i = 0; i < STEPS; i++)
		step(walk);
	step_commit(walk);
	step_crash(walk);
	leat_rows_close(walk->rows);
	fixture_close(&walk->fixture);
	free(walk->log);
	free(walk);
}

static void rows_written_behind_are_what_the_model_says(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= WALKS; seed++)
		walk_from(seed, true);
}

static void rows_written_in_the_commit_are_what_the_model_says(void **state)
{
	(void)state;
	for (uint64_t seed = 101; seed < 101 + WALKS / 3; seed++)
		walk_from(seed, false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rows_written_behind_are_what_the_model_says),
		cmocka_unit_test(rows_written_in_the_commit_are_what_the_model_says),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
