/* Stores: opened, locked, owned, read, scanned, flushed, set aside; the memory they share. */
#include "tests/state/state_fixture.h"

#include <fcntl.h>
#include <sys/stat.h>

static void expect_open(struct fixture *fixture, const char *owner, int code, const char *text)
{
	struct leat_store *store;
	struct leat_fault fault = { 0 };
	assert_int_equal(leat_store_open(&store, fixture->storage, fixture->dir, owner, &fault), code);
	assert_null(store);
	if (!strstr(fault.text, text))
		fail_msg("\"%s\" does not say \"%s\"", fault.text, text);
}

static void put(struct fixture *fixture, enum leat_family family, const char *key, const char *value)
{
	leat_writes_put(fixture->writes, fixture->store, family, leat_text(key), leat_text(value));
}

static int text_each(void *self, struct leat_bytes key, struct leat_bytes value)
{
	return leat_buffer_printf(self, "%.*s=%.*s ", (int)key.length, (const char *)key.data, (int)value.length, (const char *)value.data);
}

static void expect_scan(struct leat_store *store, const char *prefix, const char *from, const char *expected)
{
	struct leat_buffer out = { 0 };
	leat_buffer_printf(&out, "%s", "");
	assert_int_equal(leat_store_scan(store, LEAT_FAMILY_ROWS, leat_text(prefix), leat_text(from), text_each, &out), 0);
	assert_string_equal((const char *)out.data, expected);
	leat_buffer_free(&out);
}

static void a_second_opening_is_refused_as_busy(void **state)
{
	struct fixture fixture;
	(void)state;
	fixture_open(&fixture);
	expect_open(&fixture, "test/0", LEAT_EBUSY, "lock");
	fixture_close(&fixture);
}

static void another_owner_is_refused_with_both_names(void **state)
{
	struct fixture fixture;
	(void)state;
	fixture_open(&fixture);
	leat_store_close(fixture.store, false);
	fixture.store = NULL;
	expect_open(&fixture, "other/1", LEAT_EFOREIGN, "\"test/0\", not to \"other/1\"");
	fixture_open_store(&fixture);
	fixture_close(&fixture);
}

static void a_later_version_is_refused(void **state)
{
	struct fixture fixture;
	(void)state;
	fixture_open(&fixture);
	struct leat_store_meta meta = { .version = LEAT_STORE_VERSION + 1 };
	leat_store_meta_put(fixture.writes, fixture.store, &meta);
	fixture_write(&fixture);
	leat_store_close(fixture.store, true);
	fixture.store = NULL;
	expect_open(&fixture, "test/0", LEAT_EFOREIGN, "later version");
	fixture_close(&fixture);
}

static void a_family_of_a_later_version_is_refused(void **state)
{
	struct fixture fixture;
	char *error = NULL;
	(void)state;
	fixture_open(&fixture);
	leat_store_close(fixture.store, false);
	fixture.store = NULL;
	rocksdb_options_t *options = rocksdb_options_create();
	const rocksdb_options_t *all[] = { options, options, options };
	rocksdb_column_family_handle_t *families[LEAT_FAMILIES];
	rocksdb_t *db = rocksdb_open_column_families(options, fixture.dir, LEAT_FAMILIES, leat_family_names, all, families, &error);
	assert_null(error);
	rocksdb_column_family_handle_t *more = rocksdb_create_column_family(db, options, "later", &error);
	assert_null(error);
	rocksdb_column_family_handle_destroy(more);
	for (size_t i = 0; i < LEAT_FAMILIES; i++)
		rocksdb_column_family_handle_destroy(families[i]);
	rocksdb_close(db);
	rocksdb_options_destroy(options);
	expect_open(&fixture, "test/0", LEAT_EFOREIGN, "later");
	fixture_close(&fixture);
}

static void a_directory_with_other_files_is_refused_and_never_deleted(void **state)
{
	struct fixture fixture;
	char path[96];
	(void)state;
	fixture_open(&fixture);
	leat_store_close(fixture.store, false);
	fixture.store = NULL;
	snprintf(path, sizeof path, "%s/thesis.txt", fixture.dir);
	close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	expect_open(&fixture, "test/0", LEAT_EFOREIGN, "thesis.txt");
	assert_int_equal(leat_store_remove(fixture.dir, NULL), LEAT_EFOREIGN);
	assert_int_equal(access(path, F_OK), 0);
	unlink(path);
	fixture_close(&fixture);
}

static void directories_are_made_for_their_owner_only(void **state)
{
	struct fixture fixture;
	struct leat_store *store;
	struct stat info;
	char above[96], dir[112];
	(void)state;
	fixture_open(&fixture);
	snprintf(above, sizeof above, "%s-above", fixture.dir);
	snprintf(dir, sizeof dir, "%s/task", above);
	assert_int_equal(leat_store_open(&store, fixture.storage, dir, "test/1", &fixture.fault), 0);
	leat_store_close(store, false);
	assert_int_equal(stat(above, &info), 0);
	assert_int_equal(info.st_mode & 0777, 0700);
	assert_int_equal(stat(dir, &info), 0);
	assert_int_equal(info.st_mode & 0777, 0700);
	assert_int_equal(leat_store_remove(dir, NULL), 0);
	assert_int_equal(leat_store_remove(dir, NULL), 0);
	rmdir(above);
	fixture_close(&fixture);
}

static void a_directory_that_cannot_be_made_is_refused_with_the_reason(void **state)
{
	struct fixture fixture;
	struct leat_store *store;
	struct leat_fault fault = { 0 };
	(void)state;
	fixture_open(&fixture);
	assert_int_equal(leat_store_open(&store, fixture.storage, "/dev/null/state", "test/1", &fault), LEAT_EIO);
	assert_non_null(strstr(fault.text, "Not a directory"));
	fixture_close(&fixture);
}

static void what_was_written_together_is_read_together(void **state)
{
	struct fixture fixture;
	(void)state;
	fixture_open(&fixture);
	struct leat_store_meta meta = { .version = LEAT_STORE_VERSION, .partitions = 4, .changelog_offset = 17, .commits = 3 }, read;
	assert_int_equal(leat_store_meta_read(fixture.store, &read, &fixture.fault), LEAT_ENOTFOUND);
	put(&fixture, LEAT_FAMILY_ROWS, "a", "1");
	leat_store_meta_put(fixture.writes, fixture.store, &meta);
	assert_int_equal(leat_writes_count(fixture.writes), 2);
	assert_true(leat_writes_bytes(fixture.writes) > sizeof meta);
	fixture_write(&fixture);
	assert_int_equal(leat_writes_count(fixture.writes), 0);
	assert_int_equal(leat_store_flush(fixture.store, &fixture.fault), 0);
	assert_true(leat_store_size(fixture.store) > 0);
	fixture_crash(&fixture);
	assert_int_equal(leat_store_meta_read(fixture.store, &read, &fixture.fault), 0);
	assert_memory_equal(&read, &meta, sizeof meta);
	expect_scan(fixture.store, "", "", "a=1 ");
	assert_int_equal(leat_store_health(fixture.store, &fixture.fault), 0);
	fixture_close(&fixture);
}

static void closing_without_a_flush_keeps_only_what_was_flushed(void **state)
{
	struct fixture fixture;
	(void)state;
	fixture_open(&fixture);
	put(&fixture, LEAT_FAMILY_ROWS, "a", "1"), fixture_write(&fixture);
	assert_int_equal(leat_store_flush(fixture.store, &fixture.fault), 0);
	put(&fixture, LEAT_FAMILY_ROWS, "b", "2"), fixture_write(&fixture);
	fixture_crash(&fixture);
	expect_scan(fixture.store, "", "", "a=1 ");
	put(&fixture, LEAT_FAMILY_ROWS, "b", "2"), fixture_write(&fixture);
	leat_store_close(fixture.store, true);
	fixture_open_store(&fixture);
	expect_scan(fixture.store, "", "", "a=1 b=2 ");
	fixture_close(&fixture);
}

static int found_text(void *self, size_t index, struct leat_bytes value)
{
	return leat_buffer_printf(self, "%zu=%.*s ", index, (int)value.length, (const char *)value.data);
}

static void many_keys_are_read_in_their_order_and_missing_ones_left_out(void **state)
{
	struct fixture fixture;
	struct leat_bytes keys[300];
	char texts[300][8];
	size_t seen = 0;
	struct leat_buffer out = { 0 };
	(void)state;
	fixture_open(&fixture);
	for (size_t i = 0; i < 300; i++) {
		snprintf(texts[i], sizeof texts[i], "%zu", 299 - i);
		keys[i] = leat_text(texts[i]);
		if (i % 3)
			put(&fixture, LEAT_FAMILY_ROWS, texts[i], texts[i]);
	}
	fixture_write(&fixture);
	assert_int_equal(leat_store_get_many(fixture.store, LEAT_FAMILY_ROWS, keys, 300, found_text, &out), 0);
	char *rest = (char *)out.data, *word;
	for (size_t i = 0; i < 300; i++) {
		char expected[24];
		if (i % 3 == 0)
			continue;
		word = strsep(&rest, " ");
		snprintf(expected, sizeof expected, "%zu=%zu", i, 299 - i);
		assert_string_equal(word, expected);
		seen++;
	}
	assert_int_equal(seen, 200);
	assert_string_equal(rest, "");
	leat_buffer_free(&out);
	fixture_close(&fixture);
}

static int stop_each(void *self, struct leat_bytes key, struct leat_bytes value)
{
	(void)value;
	++*(int *)self;
	return key.data[0] == 'b' ? 42 : 0;
}

static void a_scan_keeps_to_its_prefix_and_stops_when_told(void **state)
{
	struct fixture fixture;
	int calls = 0;
	(void)state;
	fixture_open(&fixture);
	put(&fixture, LEAT_FAMILY_ROWS, "a1", "1"), put(&fixture, LEAT_FAMILY_ROWS, "b1", "2"), put(&fixture, LEAT_FAMILY_ROWS, "b2", "3"), put(&fixture, LEAT_FAMILY_ROWS, "c", "4");
	put(&fixture, LEAT_FAMILY_ROWS, "\xff\xff", "5");
	put(&fixture, LEAT_FAMILY_TIMERS, "b3", "other family");
	fixture_write(&fixture);
	expect_scan(fixture.store, "b", "", "b1=2 b2=3 ");
	expect_scan(fixture.store, "b", "b2", "b2=3 ");
	expect_scan(fixture.store, "b", "b9", "");
	expect_scan(fixture.store, "\xff", "", "\xff\xff=5 ");
	expect_scan(fixture.store, "", "b2", "b2=3 c=4 \xff\xff=5 ");
	assert_int_equal(leat_store_scan(fixture.store, LEAT_FAMILY_ROWS, leat_text(""), leat_text(""), stop_each, &calls), 42);
	assert_int_equal(calls, 2);
	fixture_close(&fixture);
}

struct shared {
	rocksdb_options_t *options;
	rocksdb_t *db;
	rocksdb_column_family_handle_t *families[LEAT_FAMILIES];
};

/* A database with a log, as the embedded transport has one. */
static void shared_open(struct shared *shared, struct fixture *fixture, const char *dir)
{
	char *error = NULL;
	shared->options = leat_storage_options(fixture->storage, true);
	const rocksdb_options_t *all[] = { shared->options, shared->options, shared->options };
	shared->db = rocksdb_open_column_families(shared->options, dir, LEAT_FAMILIES, leat_family_names, all, shared->families, &error);
	if (error)
		fail_msg("%s", error);
}

static void shared_close(struct shared *shared)
{
	for (size_t i = 0; i < LEAT_FAMILIES; i++)
		rocksdb_column_family_handle_destroy(shared->families[i]);
	rocksdb_close(shared->db);
	rocksdb_options_destroy(shared->options);
}

static void views_of_one_database_do_not_see_each_other(void **state)
{
	struct fixture fixture;
	struct shared shared;
	struct leat_store *one, *two, *none;
	struct leat_buffer out = { 0 };
	char dir[96], *error = NULL;
	(void)state;
	fixture_open(&fixture);
	snprintf(dir, sizeof dir, "%s-shared", fixture.dir);
	shared_open(&shared, &fixture, dir);
	assert_int_equal(leat_store_view(&one, shared.db, shared.families, leat_bytes("\0\1", 2)), 0);
	assert_int_equal(leat_store_view(&two, shared.db, shared.families, leat_bytes("\0\2", 2)), 0);
	assert_int_equal(leat_store_view(&none, shared.db, shared.families, leat_text("nine long")), LEAT_ELIMIT);
	leat_writes_put(fixture.writes, one, LEAT_FAMILY_ROWS, leat_text("a"), leat_text("1"));
	leat_writes_put(fixture.writes, two, LEAT_FAMILY_ROWS, leat_text("a"), leat_text("2"));
	leat_writes_put(fixture.writes, two, LEAT_FAMILY_ROWS, leat_text("b"), leat_text("3"));
	leat_writes_put(fixture.writes, two, LEAT_FAMILY_ROWS, leat_text("c"), leat_text("4"));
	leat_writes_delete(fixture.writes, two, LEAT_FAMILY_ROWS, leat_text("c"));
	assert_int_equal(leat_store_write(one, fixture.writes, &fixture.fault), LEAT_EUNSUPPORTED);
	rocksdb_writeoptions_t *write = rocksdb_writeoptions_create();
	rocksdb_write(shared.db, write, leat_writes_raw(fixture.writes), &error);
	assert_null(error);
	rocksdb_writeoptions_destroy(write);
	expect_scan(one, "", "", "a=1 ");
	expect_scan(two, "", "", "a=2 b=3 ");
	expect_scan(two, "b", "", "b=3 ");
	struct leat_bytes keys[] = { leat_text("b"), leat_text("a") };
	assert_int_equal(leat_store_get_many(two, LEAT_FAMILY_ROWS, keys, 2, found_text, &out), 0);
	assert_string_equal((const char *)out.data, "0=3 1=2 ");
	assert_int_equal(leat_store_flush(one, &fixture.fault), 0);
	leat_buffer_free(&out);
	leat_store_close(one, true);
	leat_store_close(two, false);
	shared_close(&shared);
	assert_int_equal(leat_store_remove(dir, &fixture.fault), 0);
	fixture_close(&fixture);
}

static int64_t fixed_wall(void *self)
{
	(void)self;
	return 1234567;
}

static void quarantine_sets_aside_and_deletes_nothing(void **state)
{
	struct fixture fixture;
	struct leat_clock clock = { .wall_ms = fixed_wall };
	char aside[96];
	(void)state;
	fixture_open(&fixture);
	put(&fixture, LEAT_FAMILY_ROWS, "a", "1"), fixture_write(&fixture);
	leat_store_close(fixture.store, true);
	assert_int_equal(leat_store_quarantine(fixture.dir, &clock, &fixture.fault), 0);
	assert_int_equal(access(fixture.dir, F_OK), -1);
	snprintf(aside, sizeof aside, "%s.corrupt-1234567", fixture.dir);
	assert_int_equal(leat_store_open(&fixture.store, fixture.storage, aside, "test/0", &fixture.fault), 0);
	expect_scan(fixture.store, "", "", "a=1 ");
	leat_store_close(fixture.store, false);
	assert_int_equal(leat_store_remove(aside, NULL), 0);
	assert_int_equal(leat_store_quarantine(fixture.dir, &clock, &fixture.fault), LEAT_EIO);
	fixture_open_store(&fixture);
	fixture_close(&fixture);
}

/* Several databases of one thread over one budget: nobody waits for ever, and memory stays near the budget. */
static void databases_that_nobody_writes_to_give_their_buffers_back(void **state)
{
	enum { STORES = 4, VALUE = 4096, PUTS = 3000 };
	struct fixture fixture;
	struct leat_store *stores[STORES];
	char dir[STORES][96], key[16];
	static uint8_t value[VALUE];
	size_t most = 0;
	(void)state;
	fixture_open(&fixture);
	for (int s = 0; s < STORES; s++) {
		snprintf(dir[s], sizeof dir[s], "%s-%d", fixture.dir, s);
		fixture_ok(&fixture, leat_store_open(&stores[s], fixture.storage, dir[s], "budget", &fixture.fault));
	}
	for (int s = 0; s < STORES; s++)
		for (int i = 0; i < PUTS; i++) {
			snprintf(key, sizeof key, "%d", i);
			leat_writes_put(fixture.writes, stores[s], LEAT_FAMILY_ROWS, leat_text(key), leat_bytes(value, sizeof value));
			if (i % 16 == 15) {
				fixture_ok(&fixture, leat_store_write(stores[s], fixture.writes, &fixture.fault));
				most = LEAT_MAX(most, leat_storage_memory_used(fixture.storage));
			}
		}
	assert_true(most > FIXTURE_MEMORY / 8);
	assert_true(most <= FIXTURE_MEMORY + FIXTURE_MEMORY / 4);
	for (int s = 0; s < STORES; s++) {
		leat_writes_clear(fixture.writes);
		leat_store_close(stores[s], false);
		assert_int_equal(leat_store_remove(dir[s], NULL), 0);
	}
	fixture_close(&fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_second_opening_is_refused_as_busy),
		cmocka_unit_test(another_owner_is_refused_with_both_names),
		cmocka_unit_test(a_later_version_is_refused),
		cmocka_unit_test(a_family_of_a_later_version_is_refused),
		cmocka_unit_test(a_directory_with_other_files_is_refused_and_never_deleted),
		cmocka_unit_test(directories_are_made_for_their_owner_only),
		cmocka_unit_test(a_directory_that_cannot_be_made_is_refused_with_the_reason),
		cmocka_unit_test(what_was_written_together_is_read_together),
		cmocka_unit_test(closing_without_a_flush_keeps_only_what_was_flushed),
		cmocka_unit_test(many_keys_are_read_in_their_order_and_missing_ones_left_out),
		cmocka_unit_test(a_scan_keeps_to_its_prefix_and_stops_when_told),
		cmocka_unit_test(views_of_one_database_do_not_see_each_other),
		cmocka_unit_test(quarantine_sets_aside_and_deletes_nothing),
		cmocka_unit_test(databases_that_nobody_writes_to_give_their_buffers_back),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
