/*
 * What RocksDB's C API lacks, wrapped by the one C++ file: a write-buffer budget shared by several databases, flushing all families of a
 * database together, and what background work failed of. Owned by storage.c and store.c; nobody else includes it. Any thread.
 */
#ifndef LEAT_SHIM_H
#define LEAT_SHIM_H

#include <rocksdb/c.h>
#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* One write-buffer budget for all databases that get it; its bytes are charged to @cache. NULL when memory is out. */
struct leat_shim_budget;
struct leat_shim_budget *leat_shim_budget_open(size_t bytes, rocksdb_cache_t *cache);
void leat_shim_budget_close(struct leat_shim_budget *budget);
size_t leat_shim_budget_used(const struct leat_shim_budget *budget);

/* The settings that c.h cannot make: the budget, insert hints for batches sorted by key, no implied flush when a database is closed, no log file. */
void leat_shim_options(rocksdb_options_t *options, struct leat_shim_budget *budget);

/* Flushes all of @handles in one atomic step. NULL, or a text that the caller frees with rocksdb_free(). */
char *leat_shim_flush(rocksdb_t *db, rocksdb_column_family_handle_t *const *handles, size_t count, bool wait);

/* Remembers the first error of background work of the database opened with @options. NULL when memory is out. */
struct leat_shim_watch;
struct leat_shim_watch *leat_shim_watch_open(rocksdb_options_t *options);
void leat_shim_watch_close(struct leat_shim_watch *watch);
/* Copies its text into @text and returns true when there was one. */
bool leat_shim_watch_failed(struct leat_shim_watch *watch, char *text, size_t size);

#ifdef __cplusplus
}
#endif
#endif
