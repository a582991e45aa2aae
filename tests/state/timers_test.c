/* Timers: in order, wherever the rows lie; moved for free; never lost between memory, disk and restore. */
#include "tests/state/state_fixture.h"

enum { TAG = 1, LATE = 0, EARLY = 1, TABLES };

/* The second table has the smaller tag: order goes by tag, not by place. */
static const struct leat_rows_table tables[TABLES] = {
	[LATE] = { .tag = 9, .version = 1, .entry_size = 4, .durable = true },
	[EARLY] = { .tag = 5, .version = 1, .entry_size = 4, .durable = true },
};

struct timers_state {
	struct fixture fixture;
	struct leat_rows *rows;
	uint64_t sequence;
};

static void open_rows(struct timers_state *ts)
{
	struct leat_rows_config config = { .tag = TAG, .tables = tables, .count = TABLES, .store = ts->fixture.store, .write_behind = true };
	fixture_ok(&ts->fixture, leat_rows_open(&ts->rows, &config, &ts->fixture.fault));
}

static int given(void **state)
{
	struct timers_state *ts = calloc(1, sizeof *ts);
	fixture_open(&ts->fixture);
	open_rows(ts);
	*state = ts;
	return 0;
}

static int over(void **state)
{
	struct timers_state *ts = *state;
	leat_rows_close(ts->rows);
	fixture_close(&ts->fixture);
	free(ts);
	return 0;
}

static void set(struct timers_state *ts, const char *key, size_t table, int64_t at_ms)
{
	struct leat_row *row = fixture_find(ts->rows, key, 0);
	leat_rows_touch(ts->rows, row, table, 0);
	assert_int_equal(leat_rows_timer_set(ts->rows, row, table, at_ms), 0);
}

static void commit(struct timers_state *ts)
{
	leat_rows_committed(ts->rows, ++ts->sequence);
}

static void write_until(struct timers_state *ts, uint64_t sequence)
{
	assert_true(leat_rows_write_behind(ts->rows, sequence, ts->fixture.writes, &ts->fixture.fault) >= 0);
	fixture_write(&ts->fixture);
}

/* Committed, on disk, out of memory. */
static void settle(struct timers_state *ts)
{
	commit(ts);
	write_until(ts, ts->sequence);
	leat_rows_evict(ts->rows);
	assert_int_equal(leat_rows_count(ts->rows), 0);
}

/* As after a crash with nothing to repair. */
static void reopen(struct timers_state *ts)
{
	leat_rows_close(ts->rows);
	fixture_ok(&ts->fixture, leat_store_flush(ts->fixture.store, &ts->fixture.fault));
	fixture_crash(&ts->fixture);
	open_rows(ts);
}

/* Pops up to @until and compares with "key.table@time " for each. */
static void expect(struct timers_state *ts, int64_t until, const char *expected)
{
	struct leat_buffer out = { 0 };
	struct leat_row *row = NULL;
	size_t table;
	int64_t at;
	leat_buffer_printf(&out, "%s", "");
	for (;;) {
		assert_int_equal(leat_rows_timer_pop(ts->rows, until, &row, &table, &at), 0);
		if (!row)
			break;
		struct leat_bytes key = leat_rows_key(ts->rows, row);
		leat_buffer_printf(&out, "%.*s.%zu@%lld ", (int)key.length, (const char *)key.data, table, (long long)at);
	}
	assert_string_equal((const char *)out.data, expected);
	leat_buffer_free(&out);
}

static void timers_fire_in_order_of_time_then_table_then_key(void **state)
{
	struct timers_state *ts = *state;
	/* murmur2: which of "a" and "b" comes first is their hashes' business. */
	const char *first = leat_murmur2("a", 1) < leat_murmur2("b", 1) ? "a" : "b", *second = *first == 'a' ? "b" : "a";
	char expected[128];
	for (int on_disk = 0; on_disk < 3; on_disk++) {
		set(ts, "b", LATE, 20), set(ts, "a", LATE, 20), set(ts, "a", EARLY, 20), set(ts, "c", LATE, 10);
		if (on_disk == 1)
			settle(ts);
		else if (on_disk == 2) {
			settle(ts);
			fixture_find(ts->rows, "a", 0);
		}
		set(ts, "b", EARLY, 20);
		snprintf(expected, sizeof expected, "c.0@10 %s.1@20 %s.1@20 %s.0@20 %s.0@20 ", first, second, first, second);
		expect(ts, 20, expected);
	}
}

static void nothing_fires_before_its_time_or_when_there_is_nothing(void **state)
{
	struct timers_state *ts = *state;
	int64_t next;
	expect(ts, INT64_MAX, "");
	set(ts, "a", LATE, 10);
	expect(ts, 9, "");
	assert_int_equal(leat_rows_timer_next(ts->rows, &next), 0);
	assert_int_equal(next, 10);
	expect(ts, 10, "a.0@10 ");
	assert_int_equal(leat_rows_timer_next(ts->rows, &next), 0);
	assert_true(next == INT64_MAX);
}

static void a_timer_moves_both_ways_and_clears(void **state)
{
	struct timers_state *ts = *state;
	for (int settled = 0; settled < 2; settled++) {
		set(ts, "later", LATE, 10), set(ts, "earlier", LATE, 50), set(ts, "cleared", LATE, 10), set(ts, "deleted", LATE, 10);
		if (settled)
			settle(ts);
		set(ts, "later", LATE, 30), set(ts, "earlier", LATE, 20), set(ts, "cleared", LATE, INT64_MAX);
		leat_rows_delete(ts->rows, fixture_find(ts->rows, "deleted", 0), LATE);
		if (settled)
			settle(ts);
		expect(ts, 100, "earlier.0@20 later.0@30 ");
	}
}

static void moving_a_timer_later_adds_no_entry(void **state)
{
	struct timers_state *ts = *state;
	set(ts, "a", LATE, 10);
	size_t memory = leat_rows_memory(ts->rows);
	for (int64_t at = 11; at < 1000; at++)
		set(ts, "a", LATE, at);
	assert_int_equal(leat_rows_memory(ts->rows), memory);
	commit(ts);
	assert_int_equal(leat_rows_write_behind(ts->rows, ts->sequence, ts->fixture.writes, &ts->fixture.fault), 1);
	assert_int_equal(leat_writes_count(ts->fixture.writes), 2);
	fixture_write(&ts->fixture);
	set(ts, "a", LATE, 2000);
	commit(ts);
	assert_int_equal(leat_rows_write_behind(ts->rows, ts->sequence, ts->fixture.writes, &ts->fixture.fault), 1);
	assert_int_equal(leat_writes_count(ts->fixture.writes), 1);
	fixture_write(&ts->fixture);
	reopen(ts);
	expect(ts, 1999, "");
	expect(ts, 2000, "a.0@2000 ");
}

static void a_timer_on_an_absent_entry_creates_it(void **state)
{
	struct timers_state *ts = *state;
	struct leat_row *row = fixture_find(ts->rows, "a", 0);
	assert_int_equal(leat_rows_timer_set(ts->rows, row, LATE, INT64_MAX), 0);
	assert_int_equal(leat_rows_dirty_count(ts->rows), 0);
	assert_int_equal(leat_rows_timer_set(ts->rows, row, LATE, 10), 0);
	assert_int_equal(row->present, 1 << LATE);
	settle(ts);
	reopen(ts);
	expect(ts, 10, "a.0@10 ");
}

static void a_moved_row_that_was_only_looked_at_can_be_evicted_without_losing_its_timer(void **state)
{
	struct timers_state *ts = *state;
	set(ts, "a", LATE, 100), settle(ts);
	set(ts, "a", LATE, 200), settle(ts);
	expect(ts, 150, "");
	leat_rows_evict(ts->rows);
	expect(ts, 250, "a.0@200 ");
}

static void a_moved_row_keeps_an_entry_on_disk_when_only_the_old_one_is_written_off(void **state)
{
	struct timers_state *ts = *state;
	set(ts, "a", LATE, 100), settle(ts);
	set(ts, "a", LATE, 200), settle(ts);
	expect(ts, 150, "");
	write_until(ts, ts->sequence - 1);
	reopen(ts);
	expect(ts, 250, "a.0@200 ");
}

static void an_earlier_timer_is_found_behind_what_was_taken_off(void **state)
{
	struct timers_state *ts = *state;
	set(ts, "a", LATE, 1000), settle(ts);
	expect(ts, 1000, "a.0@1000 ");
	set(ts, "b", LATE, 500), settle(ts);
	expect(ts, 600, "b.0@500 ");
	set(ts, "c", LATE, 3000), set(ts, "d", LATE, 4000), settle(ts);
	expect(ts, 2000, "");
	set(ts, "e", LATE, 2500), settle(ts);
	expect(ts, 5000, "e.0@2500 c.0@3000 d.0@4000 ");
}

static void rows_may_be_evicted_between_two_timers_of_one_time(void **state)
{
	struct timers_state *ts = *state;
	struct leat_row *row;
	size_t table, fired = 0;
	int64_t at;
	char key[8];
	for (int i = 0; i < 20; i++) {
		snprintf(key, sizeof key, "%d", i);
		set(ts, key, LATE, 10);
	}
	commit(ts);
	write_until(ts, ts->sequence);
	for (;; fired++) {
		assert_int_equal(leat_rows_timer_pop(ts->rows, 10, &row, &table, &at), 0);
		if (!row)
			break;
		/* Twice: what was found lately goes in the second round. */
		leat_rows_evict(ts->rows);
		leat_rows_evict(ts->rows);
		assert_int_equal(leat_rows_count(ts->rows), fired + 1);
	}
	assert_int_equal(fired, 20);
}

static void a_timer_that_fired_fires_again_only_if_its_commit_was_lost(void **state)
{
	struct timers_state *ts = *state;
	set(ts, "a", LATE, 10), set(ts, "b", LATE, 20), settle(ts);
	expect(ts, 10, "a.0@10 ");
	settle(ts);
	expect(ts, 20, "b.0@20 ");
	reopen(ts);
	expect(ts, 30, "b.0@20 ");
}

static void the_same_time_set_again_after_it_fired_holds_on_disk(void **state)
{
	struct timers_state *ts = *state;
	set(ts, "a", LATE, 10), settle(ts);
	expect(ts, 10, "a.0@10 ");
	set(ts, "a", LATE, 10), settle(ts);
	reopen(ts);
	expect(ts, 10, "a.0@10 ");
	settle(ts);
	reopen(ts);
	expect(ts, 10, "");
}

struct log {
	struct timers_state *ts;
	struct leat_rows *into;
};

static int replay(void *self, struct leat_bytes key, struct leat_bytes value)
{
	struct log *log = self;
	return leat_rows_restore(log->into, key, value, log->ts->fixture.writes, &log->ts->fixture.fault);
}

static void restored_rows_bring_their_timers(void **state)
{
	struct timers_state *ts = *state;
	struct log log = { .ts = ts };
	set(ts, "a", LATE, 10), set(ts, "b", EARLY, 5), set(ts, "c", LATE, 7);
	leat_rows_delete(ts->rows, fixture_find(ts->rows, "c", 0), LATE);
	/* Into the same store by a second set, as if the first had been lost with its process. */
	struct leat_rows_config config = { .tag = TAG, .tables = tables, .count = TABLES, .store = ts->fixture.store, .write_behind = true };
	assert_int_equal(leat_rows_open(&log.into, &config, NULL), 0);
	assert_int_equal(leat_rows_encode_dirty(ts->rows, replay, &log, NULL), 0);
	fixture_write(&ts->fixture);
	leat_rows_close(ts->rows);
	ts->rows = log.into;
	expect(ts, 100, "b.1@5 a.0@10 ");
}

static int replay_other(void *self, struct leat_bytes key, struct leat_bytes value)
{
	struct log *log = self;
	return leat_rows_restore_other(log->ts->fixture.store, key, value, log->ts->fixture.writes);
}

/* Restored while the pipeline has not the operator, or not the key: who brings it back finds all as it was. */
static void timers_of_tables_and_sets_that_are_not_open_are_restored_too(void **state)
{
	struct timers_state *ts = *state;
	for (int open = 0; open < 2; open++) {
		struct leat_rows_config config = { .tag = TAG, .tables = &tables[EARLY], .count = 1, .store = ts->fixture.store, .write_behind = true };
		struct log log = { .ts = ts };
		set(ts, "a", LATE, 10), set(ts, "b", EARLY, 5);
		assert_int_equal(leat_rows_open(&log.into, &config, NULL), 0);
		assert_int_equal(leat_rows_encode_dirty(ts->rows, open ? replay : replay_other, &log, NULL), 0);
		fixture_write(&ts->fixture);
		leat_rows_close(log.into);
		reopen(ts);
		expect(ts, 100, "b.1@5 a.0@10 ");
		settle(ts);
	}
}

static void a_tombstone_of_a_set_that_is_not_open_deletes_and_a_damaged_record_of_one_is_left_out(void **state)
{
	struct timers_state *ts = *state;
	struct log log = { .ts = ts };
	const uint8_t key[] = { 0, TAG, 0, 0, 0, 0, 'a' }, damaged[] = { 1, 9 };
	set(ts, "a", LATE, 10);
	settle(ts);
	leat_rows_delete(ts->rows, fixture_find(ts->rows, "a", 0), LATE);
	assert_int_equal(leat_rows_encode_dirty(ts->rows, replay_other, &log, NULL), 0);
	fixture_write(&ts->fixture);
	reopen(ts);
	expect(ts, 100, "");
	assert_int_equal(leat_rows_restore_other(ts->fixture.store, leat_bytes(key, sizeof key), leat_bytes(damaged, sizeof damaged), ts->fixture.writes), LEAT_ECORRUPT);
	assert_int_equal(leat_rows_restore_other(ts->fixture.store, leat_bytes(key, 5), leat_bytes(damaged, 1), ts->fixture.writes), LEAT_ECORRUPT);
	assert_int_equal(leat_writes_count(ts->fixture.writes), 0);
}

static void more_timers_than_are_read_ahead_at_once(void **state)
{
	struct timers_state *ts = *state;
	struct leat_row *row;
	size_t table, fired = 0;
	int64_t at, last = 0;
	char key[8];
	for (int i = 0; i < 1000; i++) {
		snprintf(key, sizeof key, "%d", i);
		set(ts, key, LATE, (int64_t)(leat_mix((uint64_t)i) % 5000));
	}
	settle(ts);
	for (;; fired++) {
		assert_int_equal(leat_rows_timer_pop(ts->rows, 5000, &row, &table, &at), 0);
		if (!row)
			break;
		assert_true(at >= last);
		last = at;
	}
	assert_int_equal(fired, 1000);
}

static void two_sets_of_one_store_have_their_own_timers(void **state)
{
	struct timers_state *ts = *state;
	struct leat_rows *other, *mine = ts->rows;
	struct leat_rows_config config = { .tag = TAG + 1, .tables = tables, .count = TABLES, .store = ts->fixture.store, .write_behind = true };
	assert_int_equal(leat_rows_open(&other, &config, NULL), 0);
	set(ts, "a", LATE, 10), settle(ts);
	ts->rows = other;
	set(ts, "b", LATE, 5), settle(ts);
	expect(ts, 100, "b.0@5 ");
	ts->rows = mine;
	expect(ts, 100, "a.0@10 ");
	leat_rows_close(other);
}

#define TIMERS(name) cmocka_unit_test_setup_teardown(name, given, over)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TIMERS(timers_fire_in_order_of_time_then_table_then_key),
		TIMERS(nothing_fires_before_its_time_or_when_there_is_nothing),
		TIMERS(a_timer_moves_both_ways_and_clears),
		TIMERS(moving_a_timer_later_adds_no_entry),
		TIMERS(a_timer_on_an_absent_entry_creates_it),
		TIMERS(a_moved_row_that_was_only_looked_at_can_be_evicted_without_losing_its_timer),
		TIMERS(a_moved_row_keeps_an_entry_on_disk_when_only_the_old_one_is_written_off),
		TIMERS(an_earlier_timer_is_found_behind_what_was_taken_off),
		TIMERS(rows_may_be_evicted_between_two_timers_of_one_time),
		TIMERS(a_timer_that_fired_fires_again_only_if_its_commit_was_lost),
		TIMERS(the_same_time_set_again_after_it_fired_holds_on_disk),
		TIMERS(restored_rows_bring_their_timers),
		TIMERS(timers_of_tables_and_sets_that_are_not_open_are_restored_too),
		TIMERS(a_tombstone_of_a_set_that_is_not_open_deletes_and_a_damaged_record_of_one_is_left_out),
		TIMERS(more_timers_than_are_read_ahead_at_once),
		TIMERS(two_sets_of_one_store_have_their_own_timers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
