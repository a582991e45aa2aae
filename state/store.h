/*
 * Stores: where rows lie on disk. Thin over RocksDB. A store belongs to one task; one thread at a time.
 *
 * Two shapes, one interface: `leat_store_open` owns a directory of its own (kafka transport: WAL off, atomic flush, the
 * changelog topic is the log), `leat_store_view` is a key prefix inside the embedded transport's database (WAL on; there every write goes
 * through the transport's commit, and flush is a no-op).
 */
#ifndef LEAT_STORE_H
#define LEAT_STORE_H

#include "base/base.h"

#include <rocksdb/c.h>

/* ---- storage: what all databases of one process share: one block cache, one write-buffer budget, background threads ---- */
struct leat_storage;
/* @memory: bytes for block cache and write buffers together (the engine gives a part of its `memory` setting). */
int leat_storage_open(struct leat_storage **out, size_t memory, struct leat_fault *fault);
void leat_storage_close(struct leat_storage *storage);
/* Options of a database within the budget; the caller destroys them. @wal: keep a write-ahead log. */
rocksdb_options_t *leat_storage_options(struct leat_storage *storage, bool wal);
size_t leat_storage_memory_used(struct leat_storage *storage);

/* ---- families (RocksDB column families) ---- */
enum leat_family {
	LEAT_FAMILY_META,      /* leat_store_meta_*; also RocksDB's "default"   */
	LEAT_FAMILY_ROWS,      /* keyed rows: see rows.h                          */
	LEAT_FAMILY_TIMERS,    /* index of rows by timer: see rows.h              */
	LEAT_FAMILIES
};
extern const char *const leat_family_names[LEAT_FAMILIES];

struct leat_store;
/*
 * Opens or creates the database in @dir (created with mode 0700) and locks it. @owner: text that must be the same at each opening
 * (application, task, partition count): LEAT_EFOREIGN with both texts when it differs. LEAT_EBUSY: another process has it.
 * LEAT_ECORRUPT: checksums fail (the caller sets the directory aside with leat_store_quarantine and restores). LEAT_EIO, LEAT_ENOSPC.
 */
int leat_store_open(struct leat_store **out, struct leat_storage *storage, const char *dir, const char *owner, struct leat_fault *fault);
/* A view on families of an open database: keys get @prefix (its bytes are copied, at most 8). Does not own @db. */
int leat_store_view(struct leat_store **out, rocksdb_t *db, rocksdb_column_family_handle_t *const families[LEAT_FAMILIES], struct leat_bytes prefix);
/* Flushes all families together first if @flush (own directory only). Accepts NULL. */
void leat_store_close(struct leat_store *store, bool flush);
/* Renames @dir to @dir.corrupt-<wall ms>. Deletes nothing. */
int leat_store_quarantine(const char *dir, const struct leat_clock *clock, struct leat_fault *fault);
/* Deletes a store's directory whole. */
int leat_store_remove(const char *dir, struct leat_fault *fault);

/*
 * Reads @count keys of @family; calls @found(self, i, value) for those that exist (value borrowed during the call) and nothing for others.
 * Batched (MultiGet). LEAT_EIO, LEAT_ECORRUPT.
 */
typedef int leat_store_found(void *self, size_t index, struct leat_bytes value);
int leat_store_get_many(struct leat_store *store, enum leat_family family, const struct leat_bytes *keys, size_t count, leat_store_found *found, void *self);
/* Calls @each for keys of @family from @from on (whole key without the view's prefix) that begin with @prefix, in order, until it returns non-zero, which is then returned. */
typedef int leat_store_each(void *self, struct leat_bytes key, struct leat_bytes value);
int leat_store_scan(struct leat_store *store, enum leat_family family, struct leat_bytes prefix, struct leat_bytes from, leat_store_each *each, void *self);

/* ---- writes: a RocksDB write batch that several stores of one database may fill ---- */
struct leat_writes;
int leat_writes_open(struct leat_writes **out);
void leat_writes_free(struct leat_writes *writes);
void leat_writes_clear(struct leat_writes *writes);
size_t leat_writes_count(const struct leat_writes *writes);
size_t leat_writes_bytes(const struct leat_writes *writes);
rocksdb_writebatch_t *leat_writes_raw(struct leat_writes *writes);
void leat_writes_put(struct leat_writes *writes, struct leat_store *store, enum leat_family family, struct leat_bytes key, struct leat_bytes value);
void leat_writes_delete(struct leat_writes *writes, struct leat_store *store, enum leat_family family, struct leat_bytes key);
/* Writes the batch to the store's own database at once, without sync, and clears it. LEAT_EIO, LEAT_ENOSPC, LEAT_ECORRUPT. */
int leat_store_write(struct leat_store *store, struct leat_writes *writes, struct leat_fault *fault);
/* Flushes all families atomically through DB::Flush(handles) and passes the crash point "store.after_flush". Own directory only; a view returns 0. */
int leat_store_flush(struct leat_store *store, struct leat_fault *fault);
/* Did background work fail (disk full, EIO)? 0 or LEAT_EIO / LEAT_ENOSPC / LEAT_ECORRUPT: the store must be closed and reopened. */
int leat_store_health(struct leat_store *store, struct leat_fault *fault);
/* Where the database is damaged, in RocksDB's words, when any call on this store or background work has met that (LEAT_ECORRUPT) since it was opened; else NULL. Good until the store is closed. */
const char *leat_store_damage(struct leat_store *store);
uint64_t leat_store_size(struct leat_store *store);     /* bytes on disk, estimated */

/* ---- meta: what the rows on disk stand for; one fixed struct under one key, written in the same batch as rows ---- */
struct leat_store_meta {
	uint32_t version;              /* LEAT_STORE_VERSION; a newer one is refused: LEAT_EFOREIGN                      */
	uint32_t partitions;           /* of the inputs when the store was made (E20)                                    */
	int64_t changelog_offset;      /* next changelog offset that is not in the rows; -1: none yet                    */
	int64_t changelog_base;        /* log start offset or a topic id hash, to see a topic that was made again        */
	int64_t watermark_ms;
	int64_t commit_wall_ms;        /* of the last commit                                                             */
	uint64_t commits;
	uint64_t config_hash;
	uint64_t reserved[8];
};
#define LEAT_STORE_VERSION 1
/* LEAT_ENOTFOUND in a new store. */
int leat_store_meta_read(struct leat_store *store, struct leat_store_meta *meta, struct leat_fault *fault);
void leat_store_meta_put(struct leat_writes *writes, struct leat_store *store, const struct leat_store_meta *meta);

#endif
