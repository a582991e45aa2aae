/* What a row costs: ns per find in memory and from disk, per dirty encode, per commit, per row written behind. Prints one line each; at most 3 s. */
#include "state/rows.h"

#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { ROWS = 200000, BATCH = 512, ENTRY = 476, WRITE_ROUNDS = 8, WRITE_ROWS = 50000, MEMORY = 256 << 20 };

static const struct leat_rows_table table = { .tag = 1, .version = 1, .entry_size = ENTRY, .durable = true };

struct bench {
	char dir[64];
	struct leat_fault fault;
	struct leat_storage *storage;
	struct leat_store *store;
	struct leat_writes *writes;
	struct leat_rows *rows;
	uint64_t sequence;
};

static void ok(const struct bench *bench, long rc)
{
	if (rc >= 0)
		return;
	fprintf(stderr, "%s: %s\n", leat_error_text((int)rc), bench->fault.text);
	exit(1);
}

static double seconds(clockid_t clock)
{
	struct timespec time;
	clock_gettime(clock, &time);
	return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static void print(const char *what, double spent, size_t count)
{
	printf("%-44s %8.1f ns\n", what, spent * 1e9 / (double)count);
	fflush(stdout);
}

static void find(struct bench *bench, const uint64_t *users, size_t count, struct leat_row **out)
{
	struct leat_bytes keys[BATCH];
	uint32_t hashes[BATCH];
	int64_t times[BATCH] = { 0 };
	for (size_t i = 0; i < count; i++) {
		keys[i] = leat_bytes(&users[i], sizeof users[i]);
		hashes[i] = (uint32_t)leat_mix(users[i]);
	}
	ok(bench, leat_rows_find(bench->rows, keys, hashes, times, count, out));
}

static void write_all(struct bench *bench, const uint64_t *users, size_t count)
{
	struct leat_row *out[BATCH];
	for (size_t at = 0; at < count; at += BATCH) {
		size_t part = LEAT_MIN(count - at, (size_t)BATCH);
		find(bench, users + at, part, out);
		for (size_t i = 0; i < part; i++) {
			leat_rows_touch(bench->rows, out[i], 0, 0);
			((char *)out[i] + leat_rows_offset(bench->rows, 0))[at % ENTRY]++;
		}
	}
}

static void bench_hits(struct bench *bench, const uint64_t *users, size_t among, const char *what)
{
	enum { ROUNDS = 800 };
	uint64_t batch[BATCH], sum = 0;
	struct leat_row *out[BATCH];
	double spent = 0;
	for (size_t round = 0; round < ROUNDS; round++) {
		for (size_t i = 0; i < BATCH; i++)
			batch[i] = users[leat_mix(round * BATCH + i) % among];
		double start = seconds(CLOCK_THREAD_CPUTIME_ID);
		find(bench, batch, BATCH, out);
		spent += seconds(CLOCK_THREAD_CPUTIME_ID) - start;
		sum += out[0]->present;
	}
	print(what, spent, sum ? (size_t)ROUNDS * BATCH : 1);
}

static int nothing(void *self, struct leat_bytes key, struct leat_bytes value)
{
	*(uint64_t *)self += key.length + value.length;
	return 0;
}

static void commit(struct bench *bench)
{
	leat_rows_committed(bench->rows, ++bench->sequence);
}

static void bench_encode(struct bench *bench, const uint64_t *users)
{
	uint64_t bytes = 0;
	enum { DIRTY = 20000 };
	write_all(bench, users, DIRTY);
	double start = seconds(CLOCK_THREAD_CPUTIME_ID);
	ok(bench, leat_rows_encode_dirty(bench->rows, nothing, &bytes, &bench->fault));
	double middle = seconds(CLOCK_THREAD_CPUTIME_ID);
	commit(bench);
	print("encode a dirty row of 476 bytes", middle - start, DIRTY);
	print("mark a dirty row committed", seconds(CLOCK_THREAD_CPUTIME_ID) - middle, DIRTY);
}

static void bench_write_behind(struct bench *bench, uint64_t *users)
{
	double thread = 0, process = 0;
	long rows = 0;
	for (size_t round = 0; round < WRITE_ROUNDS; round++) {
		for (size_t i = 0; i < WRITE_ROWS; i++) {
			size_t other = leat_mix(round * WRITE_ROWS + i) % ROWS;
			uint64_t user = users[i];
			users[i] = users[other];
			users[other] = user;
		}
		write_all(bench, users, WRITE_ROWS);
		commit(bench);
		double start = seconds(CLOCK_THREAD_CPUTIME_ID), all = seconds(CLOCK_PROCESS_CPUTIME_ID);
		long count = leat_rows_write_behind(bench->rows, bench->sequence, bench->writes, &bench->fault);
		ok(bench, count);
		ok(bench, leat_store_write(bench->store, bench->writes, &bench->fault));
		thread += seconds(CLOCK_THREAD_CPUTIME_ID) - start;
		process += seconds(CLOCK_PROCESS_CPUTIME_ID) - all;
		rows += count;
	}
	print("write behind, calling thread", thread, (size_t)rows);
	print("write behind, whole process", process, (size_t)rows);
}

static void bench_misses(struct bench *bench, const uint64_t *users)
{
	enum { MISSES = 20480 };
	struct leat_row *out[BATCH];
	struct leat_rows_config config = { .tag = 1, .tables = &table, .count = 1, .store = bench->store, .memory = MEMORY, .write_behind = true };
	leat_rows_close(bench->rows);
	ok(bench, leat_rows_open(&bench->rows, &config, &bench->fault));
	double start = seconds(CLOCK_THREAD_CPUTIME_ID);
	for (size_t at = 0; at < MISSES; at += BATCH)
		find(bench, users + at, BATCH, out);
	print("find, from disk", seconds(CLOCK_THREAD_CPUTIME_ID) - start, MISSES);
}

int main(void)
{
	struct bench bench = { .dir = "/tmp/leat-bench-XXXXXX" };
	uint64_t *users = leat_malloc(ROWS * sizeof *users);
	if (!mkdtemp(bench.dir) || !users)
		return 1;
	ok(&bench, leat_storage_open(&bench.storage, MEMORY, &bench.fault));
	ok(&bench, leat_store_open(&bench.store, bench.storage, bench.dir, "bench", &bench.fault));
	ok(&bench, leat_writes_open(&bench.writes));
	struct leat_rows_config config = { .tag = 1, .tables = &table, .count = 1, .memory = MEMORY };
	ok(&bench, leat_rows_open(&bench.rows, &config, &bench.fault));
	for (size_t i = 0; i < ROWS; i++)
		users[i] = leat_mix(i);
	double start = seconds(CLOCK_THREAD_CPUTIME_ID);
	write_all(&bench, users, ROWS);
	print("find a new key and write it, no disk", seconds(CLOCK_THREAD_CPUTIME_ID) - start, ROWS);
	leat_rows_close(bench.rows);

	config.store = bench.store;
	config.write_behind = true;
	ok(&bench, leat_rows_open(&bench.rows, &config, &bench.fault));
	write_all(&bench, users, ROWS);
	commit(&bench);
	bench_hits(&bench, users, BATCH, "find, 512 rows that are hot");
	bench_hits(&bench, users, ROWS, "find, 512 of 200,000 rows in memory");
	bench_encode(&bench, users);
	bench_write_behind(&bench, users);
	bench_misses(&bench, users);
	leat_rows_close(bench.rows);
	leat_writes_free(bench.writes);
	leat_store_close(bench.store, false);
	leat_storage_close(bench.storage);
	leat_free(users);
	ok(&bench, leat_store_remove(bench.dir, &bench.fault));
	return 0;
}
