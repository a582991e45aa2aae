/* Rows and stores when memory runs out, the disk is full, or its bytes have changed. */
#include "tests/state/state_fixture.h"

#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>

enum { KEYS = 70, SPILLED = 40 };

static const struct leat_rows_table tables[] = {
	{ .tag = 1, .version = 1, .entry_size = 8, .durable = true },
	{ .tag = 2, .version = 1, .entry_size = 8, .durable = true, .ttl_ms = 50 },
};

/* ---- the n-th allocation fails ---- */

/* Does @call until memory is there again: after a failure the same call must work as if it had been the first. */
#define RETRY(run, call)                                                               \
	do {                                                                           \
		long retry_rc_ = (call);                                               \
		if (retry_rc_ == LEAT_ENOMEM) {                                        \
			(run)->failures++;                                             \
			retry_rc_ = (call);                                            \
		}                                                                      \
		if (retry_rc_ < 0)                                                     \
			fail_msg("%s: %s", #call, leat_error_text((int)retry_rc_));    \
	} while (0)

struct run {
	struct fixture *fixture;
	struct leat_rows *rows;
	size_t failures;
	struct leat_buffer log, fired;
};

static struct leat_bytes run_key(size_t key, char *to, size_t size)
{
	int length = snprintf(to, size, "%zu%s", key, key % 4 ? "" : "-and-more-than-fits-into-a-row");
	return leat_bytes(to, (size_t)length);
}

static struct leat_row *run_find(struct run *run, size_t key, int64_t now_ms)
{
	char bytes[SPILLED];
	struct leat_bytes name = run_key(key, bytes, sizeof bytes);
	uint32_t hash = (uint32_t)key;
	struct leat_row *row = NULL;
	RETRY(run, leat_rows_find(run->rows, &name, &hash, &now_ms, 1, &row));
	return row;
}

static void run_write(struct run *run)
{
	for (size_t key = 0; key < KEYS; key++) {
		struct leat_row *row = run_find(run, key, 0);
		for (size_t table = 0; table < LEAT_COUNT_OF(tables); table++) {
			leat_rows_touch(run->rows, row, table, (int64_t)key);
			memcpy((char *)row + leat_rows_offset(run->rows, table), &key, sizeof key);
		}
		RETRY(run, leat_rows_timer_set(run->rows, row, 0, 100 + (int64_t)(key % 3)));
	}
}

static int run_log(void *self, struct leat_bytes key, struct leat_bytes value)
{
	struct run *run = self;
	/* The log is the test's, not what is tested: its memory may fail as well, and is then asked for again. */
	if (leat_buffer_reserve(&run->log, 4096) < 0)
		run->failures++, leat_buffer_reserve(&run->log, 4096);
	return fixture_hex(&run->log, key, value);
}

static void run_fire(struct run *run)
{
	for (;;) {
		struct leat_row *row;
		size_t table;
		int64_t at;
		RETRY(run, leat_rows_timer_pop(run->rows, 101, &row, &table, &at));
		if (!row)
			return;
		if (leat_buffer_reserve(&run->fired, 64) < 0)
			run->failures++, leat_buffer_reserve(&run->fired, 64);
		leat_buffer_printf(&run->fired, "%u@%lld ", leat_rows_partition_hash(run->rows, row), (long long)at);
	}
}

static void run_commit(struct run *run, uint64_t sequence)
{
	leat_rows_committed(run->rows, sequence);
	RETRY(run, leat_rows_write_behind(run->rows, sequence, run->fixture->writes, &run->fixture->fault));
	fixture_write(run->fixture);
	leat_rows_evict(run->rows);
}

/* Everything once; the texts say what came of it. */
static void run_all(struct run *run)
{
	struct leat_rows_config config = { .tag = 1, .tables = tables, .count = LEAT_COUNT_OF(tables), .store = run->fixture->store, .write_behind = true };
	RETRY(run, leat_rows_open(&run->rows, &config, &run->fixture->fault));
	run_write(run);
	RETRY(run, (run->log.length = 0, leat_rows_encode_dirty(run->rows, run_log, run, &run->fixture->fault)));
	run_commit(run, 1);
	run_fire(run);
	RETRY(run, leat_rows_sweep(run->rows, 80, KEYS, &run->fixture->fault));
	run_commit(run, 2);
	size_t logged = run->log.length;
	RETRY(run, (run->log.length = logged, leat_rows_dump(run->rows, run_log, run, &run->fixture->fault)));
	leat_rows_close(run->rows);
}

struct wipe {
	struct fixture *fixture;
	enum leat_family family;
};

static int wipe_each(void *self, struct leat_bytes key, struct leat_bytes value)
{
	struct wipe *wipe = self;
	(void)value;
	leat_writes_delete(wipe->fixture->writes, wipe->fixture->store, wipe->family, key);
	return 0;
}

/* One store for all runs: opening one each time would take most of the time. */
static void wipe(struct fixture *fixture)
{
	struct wipe rows = { fixture, LEAT_FAMILY_ROWS }, timers = { fixture, LEAT_FAMILY_TIMERS };
	assert_int_equal(leat_store_scan(fixture->store, LEAT_FAMILY_ROWS, leat_text(""), leat_text(""), wipe_each, &rows), 0);
	assert_int_equal(leat_store_scan(fixture->store, LEAT_FAMILY_TIMERS, leat_text(""), leat_text(""), wipe_each, &timers), 0);
	fixture_write(fixture);
}

static size_t run_with(struct fixture *fixture, uint64_t nth, struct run *run)
{
	*run = (struct run){ .fixture = fixture };
	leat_alloc_fail_at(nth);
	run_all(run);
	leat_alloc_fail_at(0);
	wipe(fixture);
	return run->failures;
}

static void run_free(struct run *run)
{
	leat_buffer_free(&run->log);
	leat_buffer_free(&run->fired);
}

static void a_failed_allocation_changes_nothing_and_the_call_can_be_made_again(void **state)
{
	struct fixture fixture;
	struct run plain, run;
	uint64_t nth = 1;
	(void)state;
	fixture_open(&fixture);
	assert_int_equal(run_with(&fixture, 0, &plain), 0);
	assert_true(plain.fired.length > 0);
	for (;; nth++) {
		size_t failures = run_with(&fixture, nth, &run);
		assert_string_equal((const char *)run.log.data, (const char *)plain.log.data);
		assert_string_equal((const char *)run.fired.data, (const char *)plain.fired.data);
		run_free(&run);
		if (failures == 0)
			break;
	}
	assert_true(nth > 50);
	run_free(&plain);
	fixture_close(&fixture);
}

static void a_store_that_gets_no_memory_is_not_half_open(void **state)
{
	struct fixture fixture;
	(void)state;
	fixture_open(&fixture);
	leat_store_close(fixture.store, false);
	int rc = LEAT_ENOMEM;
	for (uint64_t nth = 1; rc == LEAT_ENOMEM; nth++) {
		leat_alloc_fail_at(nth);
		rc = leat_store_open(&fixture.store, fixture.storage, fixture.dir, "test/0", &fixture.fault);
		leat_alloc_fail_at(0);
		assert_true((rc == 0) == (fixture.store != NULL));
		assert_true(rc == 0 || nth < 50);
	}
	assert_int_equal(rc, 0);
	fixture_close(&fixture);
}

/* ---- the disk is full ---- */

enum outcome { DONE, CANNOT_TRY = 77, OPENED_WRONG = 2, NEVER_FAILED, WRONG_CODE, HEALTHY };

/* Writes until it fails; runs in a child of its own, because limits and mounts stay. */
static int fill(const char *dir)
{
	struct leat_storage *storage;
	struct leat_store *store;
	struct leat_writes *writes;
	struct leat_fault fault = { 0 };
	static uint8_t value[65536];
	int rc = 0;
	if (leat_storage_open(&storage, 4 << 20, &fault) < 0 || leat_writes_open(&writes) < 0 || leat_store_open(&store, storage, dir, "full", &fault) < 0)
		return OPENED_WRONG;
	for (uint32_t commit = 1; rc == 0 && commit < 2000; commit++) {
		struct leat_store_meta meta = { .version = LEAT_STORE_VERSION, .commits = commit };
		value[0] = (uint8_t)leat_mix(commit);
		leat_writes_put(writes, store, LEAT_FAMILY_ROWS, leat_bytes(&commit, sizeof commit), leat_bytes(value, sizeof value));
		leat_store_meta_put(writes, store, &meta);
		rc = leat_store_write(store, writes, &fault);
		if (rc == 0 && commit % 20 == 0)
			rc = leat_store_flush(store, &fault);
	}
	if (rc == 0)
		return NEVER_FAILED;
	if (rc != LEAT_ENOSPC)
		fprintf(stderr, "%s\n", fault.text);
	if (leat_store_health(store, &fault) == 0)
		return HEALTHY;
	leat_store_close(store, true);
	leat_storage_close(storage);
	leat_writes_free(writes);
	return rc == LEAT_ENOSPC ? DONE : WRONG_CODE;
}

static int limit_files(const char *dir)
{
	struct rlimit limit = { 600 << 10, 600 << 10 };
	signal(SIGXFSZ, SIG_IGN);
	return setrlimit(RLIMIT_FSIZE, &limit) < 0 ? CANNOT_TRY : fill(dir);
}

static int fill_tmpfs(const char *dir)
{
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 || mount("leat", dir, "tmpfs", 0, "size=4m") < 0)
		return CANNOT_TRY;
	return fill(dir);
}

/* By exec: a fork alone would leave RocksDB's threads behind. */
static int in_child(const char *how, const char *dir)
{
	int status;
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		execl("/proc/self/exe", "rows_fault_test", how, dir, (char *)NULL);
		_exit(WRONG_CODE);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static int count_each(void *self, struct leat_bytes key, struct leat_bytes value)
{
	(void)key, (void)value;
	++*(uint32_t *)self;
	return 0;
}

static void a_full_disk_is_said_and_what_was_flushed_before_is_whole(void **state)
{
	char dir[64] = "/tmp/leat-full-XXXXXX";
	struct leat_storage *storage;
	struct leat_store *store;
	struct leat_store_meta meta;
	uint32_t count = 0;
	(void)state;
	assert_non_null(mkdtemp(dir));
	int outcome = in_child("limit", dir);
	assert_int_equal(outcome, DONE);
	assert_int_equal(leat_storage_open(&storage, FIXTURE_MEMORY, NULL), 0);
	assert_int_equal(leat_store_open(&store, storage, dir, "full", NULL), 0);
	int rc = leat_store_meta_read(store, &meta, NULL);
	assert_true(rc == 0 || rc == LEAT_ENOTFOUND);
	assert_int_equal(leat_store_scan(store, LEAT_FAMILY_ROWS, leat_text(""), leat_text(""), count_each, &count), 0);
	assert_int_equal(count, meta.commits);
	leat_store_close(store, false);
	leat_storage_close(storage);
	assert_int_equal(leat_store_remove(dir, NULL), 0);
}

static void no_space_left_is_enospc(void **state)
{
	char dir[64] = "/tmp/leat-full-XXXXXX";
	(void)state;
	assert_non_null(mkdtemp(dir));
	int outcome = in_child("tmpfs", dir);
	assert_int_equal(leat_store_remove(dir, NULL), 0);
	/* Mounting needs root. */
	if (outcome == CANNOT_TRY) {
		print_message("skip: a small tmpfs cannot be mounted here\n");
		skip();
	}
	assert_int_equal(outcome, DONE);
}

/* ---- bytes on disk have changed ---- */

/* Flips one byte in the middle of every file of @dir whose name ends like @suffix. */
static int flip(const char *dir, const char *suffix)
{
	DIR *handle = opendir(dir);
	char path[512];
	int flipped = 0;
	assert_non_null(handle);
	for (const struct dirent *entry = readdir(handle); entry; entry = readdir(handle)) {
		size_t length = strlen(entry->d_name), end = strlen(suffix);
		if (length < end || strcmp(entry->d_name + length - end, suffix) != 0)
			continue;
		snprintf(path, sizeof path, "%s/%s", dir, entry->d_name);
		int fd = open(path, O_RDWR | O_CLOEXEC);
		uint8_t byte = 0;
		assert_true(fd >= 0 && pread(fd, &byte, 1, 700) == 1);
		byte ^= 0x10;
		assert_int_equal(pwrite(fd, &byte, 1, 700), 1);
		close(fd);
		flipped++;
	}
	closedir(handle);
	return flipped;
}

static void a_flipped_byte_is_seen_when_rows_are_read(void **state)
{
	struct fixture fixture;
	char key[16];
	static uint8_t value[512];
	struct leat_rows *rows;
	struct leat_rows_config config = { .tag = 0x6b6b, .tables = tables, .count = 1 };
	struct leat_row *row;
	int64_t now = 0;
	(void)state;
	fixture_open(&fixture);
	for (int i = 0; i < 200; i++) {
		snprintf(key, sizeof key, "kk%08d", i);
		leat_writes_put(fixture.writes, fixture.store, LEAT_FAMILY_ROWS, leat_text(key), leat_bytes(value, sizeof value));
	}
	fixture_write(&fixture);
	leat_store_close(fixture.store, true);
	assert_true(flip(fixture.dir, ".sst") > 0);
	leat_log_level = LEAT_ERROR;
	int rc = leat_store_open(&fixture.store, fixture.storage, fixture.dir, "test/0", &fixture.fault);
	if (rc == 0) {
		assert_null(leat_store_damage(fixture.store));
		config.store = fixture.store;
		fixture_ok(&fixture, leat_rows_open(&rows, &config, &fixture.fault));
		struct leat_bytes rest = leat_text("0001");
		uint32_t hash = 0x30303030;
		assert_int_equal(leat_rows_find(rows, &rest, &hash, &now, 1, &row), LEAT_ECORRUPT);
		assert_int_equal(leat_rows_count(rows), 0);
		assert_non_null(strstr(leat_store_damage(fixture.store), ".sst"));
		uint32_t count = 0;
		assert_int_equal(leat_store_scan(fixture.store, LEAT_FAMILY_ROWS, leat_text(""), leat_text(""), count_each, &count), LEAT_ECORRUPT);
		leat_rows_close(rows);
	} else {
		assert_int_equal(rc, LEAT_ECORRUPT);
	}
	fixture_close(&fixture);
}

static void a_store_without_its_manifest_is_not_opened_as_empty(void **state)
{
	struct fixture fixture;
	char path[96];
	(void)state;
	fixture_open(&fixture);
	leat_store_close(fixture.store, true);
	snprintf(path, sizeof path, "%s/CURRENT", fixture.dir);
	int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
	assert_int_equal(write(fd, "MANIFEST-999999\n", 16), 16);
	close(fd);
	int rc = leat_store_open(&fixture.store, fixture.storage, fixture.dir, "test/0", &fixture.fault);
	assert_true(rc == LEAT_ECORRUPT || rc == LEAT_EIO);
	assert_null(fixture.store);
	fixture_close(&fixture);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_full_disk_is_said_and_what_was_flushed_before_is_whole),
		cmocka_unit_test(no_space_left_is_enospc),
		cmocka_unit_test(a_failed_allocation_changes_nothing_and_the_call_can_be_made_again),
		cmocka_unit_test(a_store_that_gets_no_memory_is_not_half_open),
		cmocka_unit_test(a_flipped_byte_is_seen_when_rows_are_read),
		cmocka_unit_test(a_store_without_its_manifest_is_not_opened_as_empty),
	};
	if (argc == 3)
		return strcmp(argv[1], "limit") == 0 ? limit_files(argv[2]) : fill_tmpfs(argv[2]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
