/* kill -9 while rows and meta are written without a log: after opening again, all families are of one commit. */
#include "tests/state/state_fixture.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

enum { KILLS = 20, KEYS = 40, VALUE = 2048, COMMITS_MAX = 150, FLUSH_EVERY = 37 };

static const char *const points[] = { "store.before_write", "store.after_write", "store.after_flush" };
static const int hits[] = { 1, 2, 7 };

/* Every commit writes every key of every family: its number first. */
static int write_commit(struct leat_store *store, struct leat_writes *writes, uint64_t commit)
{
	struct leat_fault fault;
	struct leat_store_meta meta = { .version = LEAT_STORE_VERSION, .commits = commit };
	static uint8_t value[VALUE];
	memcpy(value, &commit, sizeof commit);
	for (uint32_t key = 0; key < KEYS; key++) {
		leat_writes_put(writes, store, LEAT_FAMILY_ROWS, leat_bytes(&key, sizeof key), leat_bytes(value, sizeof value));
		leat_writes_put(writes, store, LEAT_FAMILY_TIMERS, leat_bytes(&key, sizeof key), leat_bytes(&commit, sizeof commit));
	}
	leat_store_meta_put(writes, store, &meta);
	LEAT_TRY(leat_store_write(store, writes, &fault));
	return commit % FLUSH_EVERY ? 0 : leat_store_flush(store, &fault);
}

/* The child; it writes a byte to @tell before each commit. Its memory is small, so that flushes come from full buffers as well as explicitly; with a crash point it is large, so that hits are counted. */
_Noreturn static void work(const char *dir, uint64_t commit, int tell)
{
	struct leat_storage *storage;
	struct leat_store *store;
	struct leat_writes *writes;
	struct leat_fault fault;
	size_t memory = getenv("LEAT_CRASH") ? 64 << 20 : 4 << 20;
	if (leat_storage_open(&storage, memory, &fault) < 0 || leat_store_open(&store, storage, dir, "kill", &fault) < 0 || leat_writes_open(&writes) < 0)
		_exit(2);
	do {
		if (write(tell, "!", 1) != 1)
			_exit(3);
	} while (write_commit(store, writes, ++commit) == 0);
	_exit(4);
}

struct seen {
	uint64_t commit;
	size_t count;
	bool mixed;
};

static int seen_each(void *self, struct leat_bytes key, struct leat_bytes value)
{
	struct seen *seen = self;
	uint64_t commit;
	(void)key;
	memcpy(&commit, value.data, sizeof commit);
	seen->mixed = seen->mixed || commit != seen->commit;
	seen->count++;
	return 0;
}

/* Which commit the store is of; fails when it is of several. */
static uint64_t check(const char *dir)
{
	struct leat_storage *storage;
	struct leat_store *store;
	struct leat_store_meta meta;
	struct leat_fault fault = { 0 };
	assert_int_equal(leat_storage_open(&storage, 4 << 20, &fault), 0);
	if (leat_store_open(&store, storage, dir, "kill", &fault) < 0)
		fail_msg("%s", fault.text);
	int rc = leat_store_meta_read(store, &meta, &fault);
	assert_true(rc == 0 || rc == LEAT_ENOTFOUND);
	for (enum leat_family family = LEAT_FAMILY_ROWS; family < LEAT_FAMILIES; family++) {
		struct seen seen = { .commit = meta.commits };
		assert_int_equal(leat_store_scan(store, family, leat_text(""), leat_text(""), seen_each, &seen), 0);
		assert_int_equal(seen.count, rc == 0 ? KEYS : 0);
		assert_false(seen.mixed);
	}
	leat_store_close(store, false);
	leat_storage_close(storage);
	return meta.commits;
}

/* Starts this program again as a child that writes on from @commit, and waits until it has opened the store and made @commits more (or died on the way). */
static pid_t start(const char *dir, uint64_t commit, uint64_t commits, const char *crash)
{
	int pipes[2];
	char byte, number[24], tell[12];
	assert_int_equal(pipe(pipes), 0);
	snprintf(number, sizeof number, "%llu", (unsigned long long)commit);
	snprintf(tell, sizeof tell, "%d", pipes[1]);
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		close(pipes[0]);
		if (crash)
			setenv("LEAT_CRASH", crash, 1);
		execl("/proc/self/exe", "store_kill_test", "work", dir, number, tell, (char *)NULL);
		_exit(5);
	}
	close(pipes[1]);
	ssize_t got = 1;
	for (uint64_t i = 0; i <= commits && got == 1; i++)
		got = read(pipes[0], &byte, 1);
	assert_true(got == 1 || crash);
	if (!crash)
		kill(child, SIGKILL);
	close(pipes[0]);
	return child;
}

static void expect_killed(pid_t child)
{
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void make_dir(char *dir, size_t size)
{
	snprintf(dir, size, "%s/leat-kill-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	assert_non_null(mkdtemp(dir));
}

static void rows_and_meta_are_of_one_commit_after_kill_9(void **state)
{
	char dir[64];
	uint64_t commit = 0, before;
	int moved = 0;
	(void)state;
	make_dir(dir, sizeof dir);
	for (int i = 0; i < KILLS; i++) {
		expect_killed(start(dir, commit, leat_mix((uint64_t)i) % COMMITS_MAX, NULL));
		before = commit;
		commit = check(dir);
		assert_true(commit >= before);
		moved += commit > before;
	}
	/* Else the kills hit nothing worth a test. */
	assert_true(moved > KILLS / 4);
	assert_int_equal(leat_store_remove(dir, NULL), 0);
}

static void every_crash_point_leaves_one_commit(void **state)
{
	char dir[64], crash[64];
	(void)state;
	for (size_t i = 0; i < LEAT_COUNT_OF(points); i++)
		for (size_t j = 0; j < LEAT_COUNT_OF(hits); j++) {
			make_dir(dir, sizeof dir);
			snprintf(crash, sizeof crash, "%s:%d", points[i], hits[j]);
			/* Twice: the second time there is something to lose. */
			uint64_t before = 0, commit;
			for (int again = 0; again < 2; again++, before = commit) {
				expect_killed(start(dir, before, UINT64_MAX - 1, crash));
				commit = check(dir);
				assert_true(commit >= before);
			}
			assert_int_equal(leat_store_remove(dir, NULL), 0);
		}
}

static void a_flush_that_returned_is_kept(void **state)
{
	char dir[64];
	(void)state;
	make_dir(dir, sizeof dir);
	/* The first flush is that of the owner's name, the second comes after FLUSH_EVERY commits. */
	expect_killed(start(dir, 0, UINT64_MAX - 1, "store.after_flush:2"));
	assert_int_equal(check(dir), FLUSH_EVERY);
	assert_int_equal(leat_store_remove(dir, NULL), 0);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rows_and_meta_are_of_one_commit_after_kill_9),
		cmocka_unit_test(every_crash_point_leaves_one_commit),
		cmocka_unit_test(a_flush_that_returned_is_kept),
	};
	if (argc == 5 && strcmp(argv[1], "work") == 0)
		work(argv[2], strtoull(argv[3], NULL, 10), (int)strtol(argv[4], NULL, 10));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
