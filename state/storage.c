/* What all databases of a process share: one block cache with the write buffers charged to it, one set of options. */
#include "state/storage.h"

#include <pthread.h>

enum {
	MEMORY_MIN = 1 << 20,
	ARENA_BLOCK = 256 << 10,
	OPEN_FILES = 256,
	BLOOM_BITS = 10,
	BLOCK_SIZE = 8 << 10,
	BLOCK_FORMAT = 5,      /* read by RocksDB 6.6 and later */
	CHECKSUM_XXH3 = 4,     /* rocksdb::kXXH3                */
};

struct leat_storage {
	size_t write_bytes;
	rocksdb_cache_t *cache;
	struct leat_shim_budget *budget;
	pthread_mutex_t lock;
	struct leat_storage_member *members;
};

int leat_storage_open(struct leat_storage **out, size_t memory, struct leat_fault *fault)
{
	struct leat_storage *storage = leat_calloc(1, sizeof *storage);
	*out = NULL;
	if (!storage)
		return leat_fail(fault, LEAT_ENOMEM, "no memory for the storage");
	memory = LEAT_MAX(memory, (size_t)MEMORY_MIN);
	storage->write_bytes = memory / 2;
	pthread_mutex_init(&storage->lock, NULL);
	storage->cache = rocksdb_cache_create_lru(memory);
	storage->budget = leat_shim_budget_open(storage->write_bytes, storage->cache);
	if (!storage->budget) {
		leat_storage_close(storage);
		return leat_fail(fault, LEAT_ENOMEM, "no memory for the storage");
	}
	*out = storage;
	return 0;
}

void leat_storage_close(struct leat_storage *storage)
{
	if (!storage)
		return;
	LEAT_ASSERT(!storage->members);
	leat_shim_budget_close(storage->budget);
	rocksdb_cache_destroy(storage->cache);
	pthread_mutex_destroy(&storage->lock);
	leat_free(storage);
}

size_t leat_storage_memory_used(struct leat_storage *storage)
{
	return rocksdb_cache_get_usage(storage->cache);
}

static rocksdb_block_based_table_options_t *table_options(struct leat_storage *storage)
{
	rocksdb_block_based_table_options_t *table = rocksdb_block_based_options_create();
	rocksdb_block_based_options_set_block_cache(table, storage->cache);
	rocksdb_block_based_options_set_block_size(table, BLOCK_SIZE);
	rocksdb_block_based_options_set_filter_policy(table, rocksdb_filterpolicy_create_bloom_full(BLOOM_BITS));
	rocksdb_block_based_options_set_format_version(table, BLOCK_FORMAT);
	rocksdb_block_based_options_set_checksum(table, CHECKSUM_XXH3);
	/* Filters and indexes count towards the budget. */
	rocksdb_block_based_options_set_cache_index_and_filter_blocks(table, 1);
	rocksdb_block_based_options_set_cache_index_and_filter_blocks_with_high_priority(table, 1);
	rocksdb_block_based_options_set_pin_l0_filter_and_index_blocks_in_cache(table, 1);
	return table;
}

rocksdb_options_t *leat_storage_options(struct leat_storage *storage, bool wal)
{
	rocksdb_options_t *options = rocksdb_options_create();
	rocksdb_block_based_table_options_t *table = table_options(storage);
	rocksdb_options_set_block_based_table_factory(options, table);
	rocksdb_block_based_options_destroy(table);
	rocksdb_options_set_create_if_missing(options, 1);
	rocksdb_options_set_create_missing_column_families(options, 1);
	rocksdb_options_set_paranoid_checks(options, 1);
	/* Without a log the families may only reach the disk together: rows ahead of their meta, or behind it, would be lost or doubled work. */
	rocksdb_options_set_atomic_flush(options, !wal);
	rocksdb_options_set_write_buffer_size(options, LEAT_MAX(storage->write_bytes / 2, (size_t)ARENA_BLOCK * 2));
	rocksdb_options_set_max_write_buffer_number(options, 4);
	rocksdb_options_set_arena_block_size(options, ARENA_BLOCK);
	/* One thread writes a database; the insert hints for sorted batches work only then. */
	rocksdb_options_set_allow_concurrent_memtable_write(options, 0);
	rocksdb_options_set_compression(options, rocksdb_no_compression);
	rocksdb_options_set_max_open_files(options, OPEN_FILES);
	rocksdb_options_set_stats_dump_period_sec(options, 0);
	rocksdb_options_set_stats_persist_period_sec(options, 0);
	leat_shim_options(options, storage->budget);
	return options;
}

void leat_storage_join(struct leat_storage *storage, struct leat_storage_member *member)
{
	pthread_mutex_lock(&storage->lock);
	member->next = storage->members;
	storage->members = member;
	pthread_mutex_unlock(&storage->lock);
}

void leat_storage_leave(struct leat_storage *storage, struct leat_storage_member *member)
{
	pthread_mutex_lock(&storage->lock);
	struct leat_storage_member **at = &storage->members;
	while (*at && *at != member)
		at = &(*at)->next;
	if (*at)
		*at = member->next;
	pthread_mutex_unlock(&storage->lock);
}

static uint64_t active_bytes(const struct leat_storage_member *member)
{
	uint64_t bytes = 0, sum = 0;
	for (size_t i = 0; i < LEAT_FAMILIES; i++)
		if (rocksdb_property_int_cf(member->db, member->families[i], "rocksdb.cur-size-active-mem-table", &bytes) == 0)
			sum += bytes;
	return sum;
}

/* A database that nobody writes to would keep its buffers for good and starve the others: RocksDB flushes only the one that is written. */
static char *flush_fullest(struct leat_storage *storage)
{
	const struct leat_storage_member *fullest = NULL;
	uint64_t most = storage->write_bytes / 16;
	char *text = NULL;
	pthread_mutex_lock(&storage->lock);
	for (const struct leat_storage_member *member = storage->members; member; member = member->next) {
		uint64_t bytes = active_bytes(member);
		if (bytes > most) {
			most = bytes;
			fullest = member;
		}
	}
	if (fullest)
		text = leat_shim_flush(fullest->db, fullest->families, LEAT_FAMILIES, false);
	pthread_mutex_unlock(&storage->lock);
	if (fullest)
		leat_crashpoint("store.after_flush");
	return text;
}

/* RocksDB's own stalling (allow_stall) would deadlock one thread with two databases; waiting for the writer's own flush cannot. */
int leat_storage_relieve(struct leat_storage *storage, struct leat_storage_member *writer, struct leat_fault *fault)
{
	size_t used = leat_shim_budget_used(storage->budget);
	if (LEAT_LIKELY(used < storage->write_bytes))
		return 0;
	/* What fails here is another database's trouble; its owner sees it by leat_store_health(). */
	rocksdb_free(flush_fullest(storage));
	if (used < storage->write_bytes + storage->write_bytes / 4)
		return 0;
	char *text = leat_shim_flush(writer->db, writer->families, LEAT_FAMILIES, true);
	leat_crashpoint("store.after_flush");
	return text ? leat_storage_fail(fault, "making room in the write buffers", text) : 0;
}

static const struct { const char *text; int code; } codes[] = {
	{ "No space left on device", LEAT_ENOSPC }, { "NoSpace", LEAT_ENOSPC }, { "File too large", LEAT_ENOSPC },
	{ "Disk quota exceeded", LEAT_ENOSPC }, { "Max allowed space was reached", LEAT_ENOSPC },
	{ "lock hold by current process", LEAT_EBUSY }, { "While lock file", LEAT_EBUSY },
	{ "Corruption", LEAT_ECORRUPT }, { "checksum mismatch", LEAT_ECORRUPT }, { "Column families not opened", LEAT_EFOREIGN },
	{ "Out of memory", LEAT_ENOMEM },
};

int leat_storage_code(const char *text)
{
	for (size_t i = 0; i < LEAT_COUNT_OF(codes); i++)
		if (strstr(text, codes[i].text))
			return codes[i].code;
	return LEAT_EIO;
}

int leat_storage_fail(struct leat_fault *fault, const char *what, char *text)
{
	int code = leat_storage_code(text);
	leat_fail(fault, code, "%s: %s", what, text);
	rocksdb_free(text);
	return code;
}
