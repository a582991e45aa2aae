/* Rows: found, written, encoded, committed, evicted, expired, restored; and a random walk against a model. */
#include "tests/state/state_fixture.h"

enum { TAG = 7, MANY = 200 };

struct counter {
	uint64_t count;
	uint32_t seed;
	uint32_t spare;
};

static void counter_init(const void *self, void *entry, struct leat_bytes key)
{
	struct counter *counter = entry;
	(void)self;
	counter->seed = key.length;
}

static int counter_upgrade(const void *self, void *entry, const void *old, size_t old_size, uint16_t version)
{
	struct counter *counter = entry;
	(void)self;
	if (version != 1 || old_size != sizeof(uint32_t))
		return LEAT_ECORRUPT;
	uint32_t count;
	memcpy(&count, old, sizeof count);
	counter->count = count;
	return 0;
}

enum { COUNTER, FLAG, TABLES };
static const struct leat_rows_table tables[TABLES] = {
	[COUNTER] = { .tag = 0xc0de, .version = 2, .entry_size = sizeof(struct counter), .durable = true, .init = counter_init, .upgrade = counter_upgrade },
	[FLAG] = { .tag = 0xf1a6, .version = 1, .entry_size = 3, .ttl_ms = 1000, .durable = true },
};

static struct leat_rows *open_rows(struct fixture *fixture, size_t memory)
{
	struct leat_rows *rows = NULL;
	struct leat_rows_config config = { .tag = TAG, .tables = tables, .count = TABLES, .store = fixture->store, .memory = memory, .write_behind = true };
	fixture_ok(fixture, leat_rows_open(&rows, &config, &fixture->fault));
	return rows;
}

static struct leat_rows *open_local(size_t memory)
{
	struct leat_rows *rows = NULL;
	struct leat_rows_config config = { .tag = TAG, .tables = tables, .count = TABLES, .memory = memory };
	assert_int_equal(leat_rows_open(&rows, &config, NULL), 0);
	return rows;
}

static void *entry(struct leat_rows *rows, struct leat_row *row, size_t table)
{
	return (char *)row + leat_rows_offset(rows, table);
}

static void add(struct leat_rows *rows, const char *key, uint64_t by, int64_t now_ms)
{
	struct leat_row *row = fixture_find(rows, key, now_ms);
	leat_rows_touch(rows, row, COUNTER, now_ms);
	((struct counter *)entry(rows, row, COUNTER))->count += by;
}

static void set_flag(struct leat_rows *rows, const char *key, char to, int64_t now_ms)
{
	struct leat_row *row = fixture_find(rows, key, now_ms);
	leat_rows_touch(rows, row, FLAG, now_ms);
	memset(entry(rows, row, FLAG), to, tables[FLAG].entry_size);
}

static uint64_t count_of(struct leat_rows *rows, const char *key)
{
	return ((struct counter *)entry(rows, fixture_find(rows, key, 0), COUNTER))->count;
}

static void write_behind(struct fixture *fixture, struct leat_rows *rows, uint64_t until, long expected)
{
	assert_int_equal(leat_rows_write_behind(rows, until, fixture->writes, &fixture->fault), expected);
	fixture_write(fixture);
}

static void expect_dump(struct leat_rows *rows, const char *expected)
{
	struct leat_buffer out = { 0 };
	assert_int_equal(leat_rows_dump(rows, fixture_hex, &out, NULL), 0);
	assert_string_equal(out.data ? (const char *)out.data : "", expected);
	leat_buffer_free(&out);
}

static void expect_changes(struct leat_rows *rows, const char *expected)
{
	struct leat_buffer out = { 0 };
	assert_int_equal(leat_rows_encode_dirty(rows, fixture_hex, &out, NULL), 0);
	assert_string_equal(out.data ? (const char *)out.data : "", expected);
	leat_buffer_free(&out);
}

/* ---- finding ---- */

static void one_key_twice_in_a_call_is_one_row(void **state)
{
	struct leat_rows *rows = open_local(0);
	struct leat_bytes keys[] = { leat_text("a"), leat_text("b"), leat_text("a") };
	uint32_t hashes[] = { 1, 1, 1 };
	int64_t times[] = { 0, 0, 0 };
	struct leat_row *found[3];
	(void)state;
	assert_int_equal(leat_rows_find(rows, keys, hashes, times, 3, found), 0);
	assert_ptr_equal(found[0], found[2]);
	assert_ptr_not_equal(found[0], found[1]);
	assert_int_equal(leat_rows_count(rows), 2);
	leat_rows_close(rows);
}

static void one_key_under_two_message_keys_is_two_rows(void **state)
{
	struct leat_rows *rows = open_local(0);
	struct leat_bytes keys[] = { leat_text("a"), leat_text("a") };
	uint32_t hashes[] = { 1, 2 };
	int64_t times[] = { 0, 0 };
	struct leat_row *found[2];
	(void)state;
	assert_int_equal(leat_rows_find(rows, keys, hashes, times, 2, found), 0);
	assert_ptr_not_equal(found[0], found[1]);
	assert_int_equal(leat_rows_partition_hash(rows, found[1]), 2);
	leat_rows_close(rows);
}

static void finding_a_new_key_initialises_it_and_changes_nothing(void **state)
{
	struct leat_rows *rows = open_local(0);
	(void)state;
	struct leat_row *row = fixture_find(rows, "four", 0);
	const struct counter *counter = entry(rows, row, COUNTER);
	assert_int_equal(counter->seed, 4);
	assert_int_equal(counter->count, 0);
	assert_int_equal(row->present, 0);
	assert_int_equal(leat_rows_dirty_count(rows), 0);
	expect_dump(rows, "");
	leat_rows_close(rows);
}

static void entries_are_aligned_and_apart(void **state)
{
	struct leat_rows *rows = open_local(0);
	(void)state;
	struct leat_row *row = fixture_find(rows, "k", 0);
	assert_int_equal((uintptr_t)entry(rows, row, COUNTER) % 16, 0);
	assert_int_equal((uintptr_t)entry(rows, row, FLAG) % 16, 0);
	assert_true(leat_rows_offset(rows, FLAG) >= leat_rows_offset(rows, COUNTER) + sizeof(struct counter));
	leat_rows_close(rows);
}

static void keys_of_every_length_are_found_again_and_longer_ones_refused(void **state)
{
	struct fixture fixture;
	uint8_t bytes[LEAT_ROW_KEY_MAX + 1];
	int64_t now = 0;
	uint32_t hash = 5;
	struct leat_row *row;
	(void)state;
	fixture_open(&fixture);
	struct leat_rows *rows = open_rows(&fixture, 0);
	memset(bytes, 'k', sizeof bytes);
	for (size_t length = 0; length <= LEAT_ROW_KEY_MAX; length = length < 32 ? length + 1 : length * 2) {
		struct leat_bytes key = leat_bytes(bytes, length);
		assert_int_equal(leat_rows_find(rows, &key, &hash, &now, 1, &row), 0);
		leat_rows_touch(rows, row, COUNTER, 0);
		((struct counter *)entry(rows, row, COUNTER))->count = length + 1;
	}
	leat_rows_committed(rows, 1);
	write_behind(&fixture, rows, 1, 38);
	leat_rows_evict(rows);
	assert_int_equal(leat_rows_count(rows), 0);
	for (size_t length = 0; length <= LEAT_ROW_KEY_MAX; length = length < 32 ? length + 1 : length * 2) {
		struct leat_bytes key = leat_bytes(bytes, length);
		assert_int_equal(leat_rows_find(rows, &key, &hash, &now, 1, &row), 0);
		assert_int_equal(((struct counter *)entry(rows, row, COUNTER))->count, length + 1);
		assert_true(leat_bytes_equal(leat_rows_key(rows, row), key));
	}
	struct leat_bytes key = leat_bytes(bytes, sizeof bytes);
	assert_int_equal(leat_rows_find(rows, &key, &hash, &now, 1, &row), LEAT_ELIMIT);
	assert_int_equal(leat_rows_peek(rows, key, hash, &row), LEAT_ELIMIT);
	leat_rows_close(rows);
	fixture_close(&fixture);
}

static void peeking_creates_nothing(void **state)
{
	struct fixture fixture;
	struct leat_row *row;
	(void)state;
	fixture_open(&fixture);
	struct leat_rows *rows = open_rows(&fixture, 0);
	assert_int_equal(leat_rows_peek(rows, leat_text("a"), 1, &row), 0);
	assert_null(row);
	assert_int_equal(leat_rows_count(rows), 0);
	fixture_find(rows, "b", 0);
	assert_int_equal(leat_rows_peek(rows, leat_text("b"), leat_murmur2("b", 1), &row), 0);
	assert_null(row);
	add(rows, "b", 1, 0);
	assert_int_equal(leat_rows_peek(rows, leat_text("b"), leat_murmur2("b", 1), &row), 0);
	assert_non_null(row);
	leat_rows_close(rows);
	fixture_close(&fixture);
}

static void rows_of_a_local_set_keep_the_order_in_which_they_came(void **state)
{
	struct leat_rows *rows = open_local(0);
	char key[8];
	(void)state;
	for (int i = 0; i < MANY; i++) {
		snprintf(key, sizeof key, "%d", i);
		add(rows, key, 1, 0);
	}
	leat_rows_evict(rows);
	assert_int_equal(leat_rows_count(rows), MANY);
	for (int i = 0; i < MANY; i++) {
		snprintf(key, sizeof key, "%d", i);
		assert_true(leat_bytes_equal(leat_rows_key(rows, leat_rows_at(rows, (size_t)i)), leat_text(key)));
	}
	leat_rows_close(rows);
}

/* ---- encoding ---- */

static void a_value_is_these_bytes(void **state)
{
	struct leat_rows *rows = open_local(0);
	(void)state;
	add(rows, "ab", 0x0102, 5);
	set_flag(rows, "ab", 'x', 0x1234);
	assert_int_equal(leat_rows_timer_set(rows, fixture_find(rows, "ab", 5), FLAG, -1), 0);
	/* murmur2("ab") = 0x76ebd8a2 as Kafka has it is checked in base; here: tag, hash, key = format, sections. */
	char expected[256];
	snprintf(expected, sizeof expected, "0007%08x6162=01" "dec00000" "0200" "40" "0201000000000000" "02000000" "00000000"
		 "a6f10000" "0100" "0f" "3412000000000000" "ffffffffffffffff" "787878\n", leat_murmur2("ab", 2));
	expect_changes(rows, expected);
	expect_dump(rows, expected);
	leat_rows_close(rows);
}

static void a_row_changes_once_per_commit_in_the_order_of_first_writes(void **state)
{
	struct leat_rows *rows = open_local(0);
	char expected[512];
	(void)state;
	add(rows, "b", 1, 0), add(rows, "a", 1, 0), add(rows, "b", 1, 0);
	snprintf(expected, sizeof expected, "0007%08x62=01dec000000200400200000000000000010000000000""0000\n0007%08x61=01dec000000200400100000000000000010000000000""0000\n",
		 leat_murmur2("b", 1), leat_murmur2("a", 1));
	expect_changes(rows, expected);
	assert_int_equal(leat_rows_dirty_count(rows), 2);
	leat_rows_committed(rows, 1);
	expect_changes(rows, "");
	leat_rows_close(rows);
}

static void deleting_the_last_entry_leaves_a_tombstone(void **state)
{
	struct leat_rows *rows = open_local(0);
	char expected[64];
	(void)state;
	add(rows, "a", 1, 0);
	leat_rows_committed(rows, 1);
	struct leat_row *row = fixture_find(rows, "a", 0);
	leat_rows_delete(rows, row, COUNTER);
	assert_int_equal(((struct counter *)entry(rows, row, COUNTER))->seed, 1);
	assert_int_equal(count_of(rows, "a"), 0);
	snprintf(expected, sizeof expected, "0007%08x61-\n", leat_murmur2("a", 1));
	expect_changes(rows, expected);
	expect_dump(rows, "");
	leat_rows_close(rows);
}

static void deleting_what_never_was_is_no_change(void **state)
{
	struct leat_rows *rows = open_local(0);
	(void)state;
	leat_rows_delete(rows, fixture_find(rows, "a", 0), COUNTER);
	expect_changes(rows, "");
	leat_rows_close(rows);
}

static struct leat_bytes unhex(const char *text, uint8_t *to)
{
	size_t length = strlen(text) / 2;
	for (size_t i = 0; i < length; i++) {
		char digits[3] = { text[2 * i], text[2 * i + 1], 0 };
		to[i] = (uint8_t)strtoul(digits, NULL, 16);
	}
	return leat_bytes(to, length);
}

static const char key_a[] = "00070000000161";

/* Puts @value under key_a past the check of restore, as an older version or a damaged disk would have left it, and finds the row. */
static int find_stored(struct fixture *fixture, struct leat_rows *rows, const char *value, struct leat_row **row)
{
	uint8_t key_bytes[64], value_bytes[256];
	struct leat_bytes a = leat_text("a");
	uint32_t hash = 1;
	int64_t now = 0;
	leat_writes_put(fixture->writes, fixture->store, LEAT_FAMILY_ROWS, unhex(key_a, key_bytes), unhex(value, value_bytes));
	fixture_write(fixture);
	return leat_rows_find(rows, &a, &hash, &now, 1, row);
}

static void an_older_entry_is_upgraded_and_a_table_that_is_gone_is_skipped(void **state)
{
	struct fixture fixture;
	struct leat_row *row;
	(void)state;
	fixture_open(&fixture);
	struct leat_rows *rows = open_rows(&fixture, 1 << 20);
	assert_int_equal(find_stored(&fixture, rows, "01" "11110000" "0100" "08" "aabb" "dec00000" "0100" "10" "2a000000", &row), 0);
	assert_int_equal(row->present, 1 << COUNTER);
	assert_int_equal(((struct counter *)entry(rows, row, COUNTER))->count, 42);
	leat_rows_close(rows);
	fixture_close(&fixture);
}

static void stored_values_that_do_not_fit_are_refused_and_leave_no_row(void **state)
{
	static const struct { const char *value; int code; } cases[] = {
		{ "", LEAT_ECORRUPT }, { "00", LEAT_ECORRUPT }, { "02", LEAT_EFOREIGN },
		{ "01de", LEAT_ECORRUPT }, { "01dec000000200", LEAT_ECORRUPT }, { "01dec00000020040", LEAT_ECORRUPT },
		{ "01dec000000200ffffffffff", LEAT_ECORRUPT }, { "01dec000000200ffffffff7f", LEAT_ECORRUPT }, { "01dec00000020041ff", LEAT_ECORRUPT },
		{ "01dec00000020002ffffffffffffff7f", LEAT_ECORRUPT },
		{ "01dec00000030040" "00000000000000000000000000000000", LEAT_EFOREIGN },    /* a later layout */
		{ "01dec0000002003c" "000000000000000000000000000000", LEAT_EFOREIGN },      /* another size   */
		{ "01dec00000010008" "0000", LEAT_EFOREIGN },                                /* upgrade() cannot */
		{ "01dec00000010010" "2a000000" "dec00000010010" "2a000000", LEAT_ECORRUPT },  /* twice          */
	};
	struct fixture fixture;
	struct leat_row *row;
	(void)state;
	fixture_open(&fixture);
	leat_log_level = LEAT_ERROR;
	struct leat_rows *rows = open_rows(&fixture, 1 << 20);
	for (size_t i = 0; i < LEAT_COUNT_OF(cases); i++) {
		int rc = find_stored(&fixture, rows, cases[i].value, &row);
		if (rc != cases[i].code)
			fail_msg("%s: %s instead of %s", cases[i].value, leat_error_text(rc), leat_error_text(cases[i].code));
		assert_int_equal(leat_rows_count(rows), 0);
	}
	leat_rows_close(rows);
	fixture_close(&fixture);
}

/* ---- commit, write behind, evict ---- */

static void what_is_not_committed_never_reaches_the_disk(void **state)
{
	struct fixture fixture;
	(void)state;
	fixture_open(&fixture);
	struct leat_rows *rows = open_rows(&fixture, 0);
	add(rows, "a", 1, 0);
	leat_rows_committed(rows, 1);
	write_behind(&fixture, rows, 1, 1);
	add(rows, "a", 1, 0), add(rows, "b", 1, 0);
	leat_rows_evict(rows);
	assert_int_equal(count_of(rows, "a"), 2);
	leat_rows_close(rows);
	rows = open_rows(&fixture, 0);
	assert_int_equal(count_of(rows, "a"), 1);
	assert_int_equal(count_of(rows, "b"), 0);
	leat_rows_close(rows);
	fixture_close(&fixture);
}

static void rows_go_to_disk_by_the_first_commit_since_which_they_are_behind(void **state)
{
	struct fixture fixture;
	(void)state;
	fixture_open(&fixture);
	struct leat_rows *rows = open_rows(&fixture, 0);
	add(rows, "a", 1, 0), leat_rows_committed(rows, 1);
	add(rows, "b", 1, 0), leat_rows_committed(rows, 2);
	add(rows, "a", 1, 0), add(rows, "c", 1, 0), leat_rows_committed(rows, 3);
	assert_int_equal(leat_rows_behind_count(rows), 3);
	write_behind(&fixture, rows, 1, 1);
	leat_rows_evict(rows);
	assert_int_equal(leat_rows_count(rows), 2);
	assert_int_equal(leat_rows_behind_count(rows), 2);
	leat_rows_close(rows);
	rows = open_rows(&fixture, 0);
	assert_int_equal(count_of(rows, "a"), 2);
	assert_int_equal(count_of(rows, "b"), 0);
	leat_rows_close(rows);
	fixture_close(&fixture);
}

static void eviction_takes_clean_rows_that_were_not_found_lately(void **state)
{
	struct fixture fixture;
	char key[8];
	(void)state;
	fixture_open(&fixture);
	struct leat_rows *rows = open_rows(&fixture, 1 << 14);
	for (int i = 0; i < MANY; i++) {
		snprintf(key, sizeof key, "%d", i);
		add(rows, key, (uint64_t)i, 0);
	}
	leat_rows_evict(rows);
	assert_int_equal(leat_rows_count(rows), MANY);
	leat_rows_committed(rows, 1);
	write_behind(&fixture, rows, 1, MANY);
	leat_rows_evict(rows);
	assert_true(leat_rows_memory(rows) <= 1 << 14);
	assert_true(leat_rows_count(rows) > 0);
	struct leat_rows_stats before, after;
	leat_rows_stats(rows, &before);
	for (int i = 0; i < MANY; i++) {
		snprintf(key, sizeof key, "%d", i);
		assert_int_equal(count_of(rows, key), i);
	}
	leat_rows_stats(rows, &after);
	assert_int_equal(after.disk_reads - before.disk_reads, before.evicted);
	assert_int_equal(after.created, before.created);
	leat_rows_close(rows);
	fixture_close(&fixture);
}

static void the_commit_of_an_embedded_transport_writes_rows_itself(void **state)
{
	struct fixture fixture;
	struct leat_rows *rows = NULL;
	(void)state;
	fixture_open(&fixture);
	struct leat_rows_config config = { .tag = TAG, .tables = tables, .count = TABLES, .store = fixture.store };
	fixture_ok(&fixture, leat_rows_open(&rows, &config, &fixture.fault));
	add(rows, "a", 3, 0), add(rows, "gone", 1, 0);
	leat_rows_delete(rows, fixture_find(rows, "gone", 0), COUNTER);
	assert_int_equal(leat_rows_write_dirty(rows, fixture.writes, &fixture.fault), 0);
	fixture_write(&fixture);
	leat_rows_committed(rows, 1);
	assert_int_equal(leat_rows_behind_count(rows), 0);
	leat_rows_evict(rows);
	assert_int_equal(leat_rows_count(rows), 0);
	assert_int_equal(count_of(rows, "a"), 3);
	leat_rows_close(rows);
	fixture_close(&fixture);
}

/* ---- expiry ---- */

static char flag_at(struct leat_rows *rows, const char *key, int64_t now_ms)
{
	struct leat_row *row = fixture_find(rows, key, now_ms);
	return row->present & 1 << FLAG ? *(char *)entry(rows, row, FLAG) : '-';
}

static void an_entry_is_found_until_its_ttl_has_passed(void **state)
{
	struct leat_rows *rows = open_local(0);
	(void)state;
	set_flag(rows, "a", 'x', 5000);
	assert_int_equal(flag_at(rows, "a", 6000), 'x');
	assert_int_equal(flag_at(rows, "a", 6001), '-');
	assert_int_equal(*(char *)entry(rows, fixture_find(rows, "a", 0), FLAG), 0);
	/* An older event that comes later must not find it again. */
	assert_int_equal(flag_at(rows, "a", 5500), '-');
	leat_rows_close(rows);
}

static void every_write_counts_for_the_ttl_wherever_commits_fall(void **state)
{
	(void)state;
	for (int commits = 0; commits < 2; commits++) {
		struct leat_rows *rows = open_local(0);
		set_flag(rows, "a", 'x', 5000);
		if (commits)
			leat_rows_committed(rows, 1);
		assert_int_equal(fixture_find(rows, "a", 5000)->dirty & 1 << FLAG, 0);
		set_flag(rows, "a", 'y', 5900), set_flag(rows, "a", 'z', 5400);
		assert_int_equal(flag_at(rows, "a", 6900), 'z');
		assert_int_equal(flag_at(rows, "a", 6901), '-');
		leat_rows_close(rows);
	}
}

static void a_reset_is_part_of_the_next_commit(void **state)
{
	struct leat_rows *rows = open_local(0);
	char expected[64];
	(void)state;
	set_flag(rows, "a", 'x', 0);
	leat_rows_committed(rows, 1);
	assert_int_equal(flag_at(rows, "a", 2000), '-');
	snprintf(expected, sizeof expected, "0007%08x61-\n", leat_murmur2("a", 1));
	expect_changes(rows, expected);
	leat_rows_close(rows);
}

static void an_entry_that_waits_for_its_timer_does_not_expire(void **state)
{
	struct leat_rows *rows = open_local(0);
	struct leat_row *row;
	size_t table;
	int64_t at;
	(void)state;
	set_flag(rows, "a", 'x', 0);
	assert_int_equal(leat_rows_timer_set(rows, fixture_find(rows, "a", 0), FLAG, 5000), 0);
	assert_int_equal(flag_at(rows, "a", 4000), 'x');
	assert_int_equal(leat_rows_timer_pop(rows, 5000, &row, &table, &at), 0);
	assert_int_equal(flag_at(rows, "a", 4000), '-');
	leat_rows_close(rows);
}

static void at_no_time_nothing_expires_and_an_entry_can_be_judged_alone(void **state)
{
	struct leat_rows *rows = open_local(0);
	(void)state;
	set_flag(rows, "a", 'x', 5000);
	assert_int_equal(flag_at(rows, "a", INT64_MIN), 'x');
	struct leat_row *row = fixture_find(rows, "a", INT64_MIN);
	leat_rows_expire(rows, row, FLAG, 6000);
	assert_true(row->present & 1 << FLAG);
	leat_rows_expire(rows, row, FLAG, 6001);
	assert_false(row->present & 1 << FLAG);
	/* An entry that a timer made has no time yet: its time begins when it is first looked at, not before. */
	assert_int_equal(leat_rows_timer_set(rows, row, FLAG, 9000), 0);
	assert_int_equal(leat_rows_timer_set(rows, row, FLAG, INT64_MAX), 0);
	assert_int_equal(flag_at(rows, "a", INT64_MIN), 0);
	assert_int_equal(flag_at(rows, "a", 20000), 0);
	assert_int_equal(flag_at(rows, "a", 21000), 0);
	assert_int_equal(flag_at(rows, "a", 21001), '-');
	leat_rows_close(rows);
}

static void a_call_says_how_far_expiry_is_as_if_events_came_one_by_one(void **state)
{
	struct leat_rows *rows = open_local(0);
	struct leat_bytes keys[] = { leat_text("a"), leat_text("b"), leat_text("a"), leat_text("a") };
	uint32_t hashes[4];
	struct leat_row *found[4];
	size_t exact = 0;
	(void)state;
	for (size_t i = 0; i < 4; i++)
		hashes[i] = leat_murmur2(keys[i].data, keys[i].length);
	set_flag(rows, "a", 'x', 5000);
	assert_int_equal(leat_rows_find_tables(rows, keys, hashes, (int64_t[]){ 5990, 5990, 6000, 6001 }, 4, ~0u, found, &exact), 0);
	assert_int_equal(exact, 3);
	assert_true(found[0]->present & 1 << FLAG);
	assert_int_equal(leat_rows_find_tables(rows, keys, hashes, (int64_t[]){ 9000, 9000, 9500, 10000 }, 4, 1 << COUNTER, found, &exact), 0);
	assert_int_equal(exact, 4);
	assert_true(found[0]->present & 1 << FLAG);
	assert_int_equal(leat_rows_find_tables(rows, keys, hashes, (int64_t[]){ 9000, 9000, 9500, 10001 }, 4, ~0u, found, &exact), 0);
	assert_int_equal(exact, 3);
	assert_false(found[0]->present & 1 << FLAG);
	leat_rows_close(rows);
}

static void the_sweep_deletes_what_has_expired_and_nothing_else(void **state)
{
	struct fixture fixture;
	char key[8], expected[64];
	(void)state;
	fixture_open(&fixture);
	struct leat_rows *rows = open_rows(&fixture, 0);
	for (int i = 0; i < 10; i++) {
		snprintf(key, sizeof key, "%d", i);
		set_flag(rows, key, 'x', i * 100);
	}
	leat_rows_committed(rows, 1);
	write_behind(&fixture, rows, 1, 10);
	leat_rows_evict(rows);
	/* Written again, but only in memory yet. */
	set_flag(rows, "0", 'y', 2000);
	leat_rows_committed(rows, 2);
	int swept = 0;
	for (int i = 0; i < 4; i++) {
		int rc = leat_rows_sweep(rows, 1201, 3, &fixture.fault);
		assert_true(rc >= 0);
		swept += rc;
	}
	assert_int_equal(swept, 2);
	assert_int_equal(leat_rows_dirty_count(rows), 2);
	assert_int_equal(flag_at(rows, "0", 1201), 'y');
	assert_int_equal(flag_at(rows, "3", 1201), 'x');
	leat_rows_committed(rows, 3);
	write_behind(&fixture, rows, 3, 3);
	leat_rows_evict(rows);
	assert_int_equal(flag_at(rows, "1", 0), '-');
	/* The end of the walk is its beginning. */
	assert_int_equal(leat_rows_sweep(rows, 1301, 100, &fixture.fault) + leat_rows_sweep(rows, 1301, 100, &fixture.fault), 1);
	snprintf(expected, sizeof expected, "0007%08x33-\n", leat_murmur2("3", 1));
	leat_rows_evict(rows);
	expect_changes(rows, expected);
	leat_rows_close(rows);
	fixture_close(&fixture);
}

/* ---- restore ---- */

static void a_damaged_record_is_refused_and_nothing_of_it_is_written(void **state)
{
	static const struct { const char *key, *value; int code; } cases[] = {
		{ "0007000000", "01", LEAT_ECORRUPT }, { "00080000000161", "01", LEAT_ECORRUPT }, { "", "01", LEAT_ECORRUPT },
		{ key_a, "", LEAT_ECORRUPT }, { key_a, "00", LEAT_ECORRUPT }, { key_a, "7f", LEAT_EFOREIGN },
		{ key_a, "01dec00000020040aa", LEAT_ECORRUPT }, { key_a, "01dec000000200808080808001", LEAT_ECORRUPT },
		{ key_a, "01dec0000002004000000000000000000000000000000000de", LEAT_ECORRUPT },
	};
	struct fixture fixture;
	uint8_t key[2048] = { 0, TAG }, value[256];
	(void)state;
	fixture_open(&fixture);
	struct leat_rows *rows = open_rows(&fixture, 0);
	for (size_t i = 0; i < LEAT_COUNT_OF(cases); i++)
		assert_int_equal(leat_rows_restore(rows, unhex(cases[i].key, key), unhex(cases[i].value, value), fixture.writes, &fixture.fault), cases[i].code);
	memset(key, 0, sizeof key);
	key[1] = TAG;
	assert_int_equal(leat_rows_restore(rows, leat_bytes(key, 6 + LEAT_ROW_KEY_MAX + 1), unhex("01", value), fixture.writes, &fixture.fault), LEAT_ECORRUPT);
	assert_int_equal(leat_writes_count(fixture.writes), 0);
	leat_rows_close(rows);
	fixture_close(&fixture);
}

static void random_bytes_are_never_trusted(void **state)
{
	struct fixture fixture;
	uint8_t key_bytes[32], value[96];
	struct leat_bytes key = unhex(key_a, key_bytes);
	struct leat_row *row;
	uint64_t seed = 1;
	(void)state;
	fixture_open(&fixture);
	struct leat_rows *rows = open_rows(&fixture, 0);
	struct leat_bytes good = unhex("01dec00000020040020100000000000002000000000000""00a6f10000" "0100" "0f" "3412000000000000" "ffffffffffffff7e" "787878", value);
	uint8_t whole[96];
	memcpy(whole, value, good.length);
	for (int i = 0; i < 3000; i++) {
		memcpy(value, whole, good.length);
		for (int flips = 0; flips < 1 + i % 3; flips++) {
			seed = leat_mix(seed);
			value[seed % good.length] = (uint8_t)(seed >> 32);
		}
		struct leat_bytes cut = leat_bytes(value, i % 5 ? good.length : seed % good.length);
		int rc = leat_rows_restore(rows, key, cut, fixture.writes, &fixture.fault);
		assert_true(rc == 0 || rc == LEAT_ECORRUPT || rc == LEAT_EFOREIGN);
		fixture_write(&fixture);
		struct leat_bytes a = leat_text("a");
		int rc_peek = leat_rows_peek(rows, a, 1, &row);
		assert_true(rc_peek == 0 || rc_peek == LEAT_ECORRUPT || rc_peek == LEAT_EFOREIGN);
		leat_rows_evict(rows);
	}
	leat_rows_close(rows);
	fixture_close(&fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_key_twice_in_a_call_is_one_row),
		cmocka_unit_test(one_key_under_two_message_keys_is_two_rows),
		cmocka_unit_test(finding_a_new_key_initialises_it_and_changes_nothing),
		cmocka_unit_test(entries_are_aligned_and_apart),
		cmocka_unit_test(keys_of_every_length_are_found_again_and_longer_ones_refused),
		cmocka_unit_test(peeking_creates_nothing),
		cmocka_unit_test(rows_of_a_local_set_keep_the_order_in_which_they_came),
		cmocka_unit_test(a_value_is_these_bytes),
		cmocka_unit_test(a_row_changes_once_per_commit_in_the_order_of_first_writes),
		cmocka_unit_test(deleting_the_last_entry_leaves_a_tombstone),
		cmocka_unit_test(deleting_what_never_was_is_no_change),
		cmocka_unit_test(an_older_entry_is_upgraded_and_a_table_that_is_gone_is_skipped),
		cmocka_unit_test(stored_values_that_do_not_fit_are_refused_and_leave_no_row),
		cmocka_unit_test(what_is_not_committed_never_reaches_the_disk),
		cmocka_unit_test(rows_go_to_disk_by_the_first_commit_since_which_they_are_behind),
		cmocka_unit_test(eviction_takes_clean_rows_that_were_not_found_lately),
		cmocka_unit_test(the_commit_of_an_embedded_transport_writes_rows_itself),
		cmocka_unit_test(an_entry_is_found_until_its_ttl_has_passed),
		cmocka_unit_test(every_write_counts_for_the_ttl_wherever_commits_fall),
		cmocka_unit_test(a_reset_is_part_of_the_next_commit),
		cmocka_unit_test(an_entry_that_waits_for_its_timer_does_not_expire),
		cmocka_unit_test(at_no_time_nothing_expires_and_an_entry_can_be_judged_alone),
		cmocka_unit_test(a_call_says_how_far_expiry_is_as_if_events_came_one_by_one),
		cmocka_unit_test(the_sweep_deletes_what_has_expired_and_nothing_else),
		cmocka_unit_test(a_damaged_record_is_refused_and_nothing_of_it_is_written),
		cmocka_unit_test(random_bytes_are_never_trusted),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
