/*
 * Rows: the keyed state of one task, decoded in memory over a store. One thread (the task's worker).
 *
 * All keyed tables of a task that have the same key share one row set and, per key, one row: a head and one entry (a C struct) per table at a
 * fixed offset. Per commit and dirty key there is one record for the changelog and, later, one put to RocksDB.
 *
 *   find ──▶ row in memory? ── no ─▶ RocksDB (MultiGet for the whole batch) ── no ─▶ new row, entries by init()
 *   write ─▶ dirty ── commit ─▶ committed, not yet on disk («behind») ── write_behind ─▶ clean ── evict (CLOCK) ─▶ gone from memory
 *   abort: dirty rows are not undone one by one: the task is closed and opened again.
 *
 * Key of a row on disk and in the changelog: u16 tag of the row set (big-endian), u32 murmur2 of the message key (big-endian: a later rescale needs it),
 * then the key's bytes. Value: see rows_format.c; versioned, one section per table that has an entry; no sections = tombstone.
 */
#ifndef LEAT_ROWS_H
#define LEAT_ROWS_H

#include "base/row.h"
#include "state/store.h"

#define LEAT_ROW_TABLES 32           /* tables in one row set at most               */
#define LEAT_ROW_KEY_MAX 1024        /* bytes of a key                               */
#define LEAT_ROW_VALUE_MAX (1 << 20) /* bytes of a row's value: LEAT_ELIMIT beyond  */


struct leat_rows_table {
	uint32_t tag;                  /* hash of "<operator id>.<table>": names the section on disk   */
	uint16_t version;
	size_t entry_size;
	int64_t ttl_ms;                /* 0: none                                                       */
	bool durable;                  /* false: LEAT_LOCAL                                             */
	const void *self;              /* first argument of the two below                               */
	void (*init)(const void *self, void *entry, struct leat_bytes key);
	int (*upgrade)(const void *self, void *entry, const void *old, size_t old_size, uint16_t version);
};
struct leat_rows_config {
	uint16_t tag;                  /* of the row set; distinct within the task           */
	const struct leat_rows_table *tables;
	size_t count;
	struct leat_store *store;      /* NULL: nothing is durable (LEAT_LOCAL only)         */
	size_t memory;                 /* bytes for rows in memory before clean ones are evicted; dirty and behind ones are never evicted */
	bool write_behind;             /* false: the transport's commit writes rows itself, committed rows are clean at once */
};
struct leat_rows;
int leat_rows_open(struct leat_rows **out, const struct leat_rows_config *config, struct leat_fault *fault);
void leat_rows_close(struct leat_rows *rows);      /* writes nothing; accepts NULL */

/* Offset of table @index's entry from the row's start; 16-byte aligned. */
uint32_t leat_rows_offset(const struct leat_rows *rows, size_t index);

/*
 * The rows of @count (≤ LEAT_BATCH_MAX) keys into @out, created in memory where they are new (nothing is dirty by that). @partition_hash: murmur2
 * of the message keys. @now_ms: the event times, by which entries past their ttl are found reset (per row, before it is handed out: an entry whose
 * last write is older than now − ttl counts as absent and init() runs again). Pointers stay valid until the next leat_rows_evict().
 * LEAT_EIO, LEAT_ECORRUPT, LEAT_ENOMEM, LEAT_ELIMIT (key too long).
 * Prefetches in three passes so that cache misses overlap. A reset counts as a change: it is part of the next commit. An entry that waits for a timer
 * does not expire. LEAT_EFOREIGN: the entry on disk is of a later version, or of another size and there is no upgrade().
 */
int leat_rows_find(struct leat_rows *rows, const struct leat_bytes *keys, const uint32_t *partition_hash, const int64_t *now_ms, size_t count, struct leat_row **out);
/*
 * As find, but only entries of @tables (a bit per table: those of the operator that runs now) are found reset. When a key comes twice, whether the
 * later event finds an entry expired may hang on what the earlier one writes: *exact (may be NULL) is how many rows, from the first, may be processed
 * before find is called again for the rest. With NULL, or if *exact is ignored, the first event of a key in the call decides for all of them.
 */
int leat_rows_find_tables(struct leat_rows *rows, const struct leat_bytes *keys, const uint32_t *partition_hash, const int64_t *now_ms, size_t count,
			  uint32_t tables, struct leat_row **out, size_t *exact);
/*
 * Finds the entry of table @index reset if it has expired at @now_ms, as find does for rows that it hands out: for an engine that judges expiry when an
 * operator looks, event by event, and calls find with the time INT64_MIN, at which nothing expires.
 */
void leat_rows_expire(struct leat_rows *rows, struct leat_row *row, size_t index, int64_t now_ms);
/* As find for one key, but NULL in *out when there is no entry of any table, in memory or on disk. */
int leat_rows_peek(struct leat_rows *rows, struct leat_bytes key, uint32_t partition_hash, struct leat_row **out);
/* Marks table @index's entry of @row as written at @now_ms. */
void leat_rows_touch(struct leat_rows *rows, struct leat_row *row, size_t index, int64_t now_ms);
void leat_rows_delete(struct leat_rows *rows, struct leat_row *row, size_t index);
struct leat_bytes leat_rows_key(const struct leat_rows *rows, const struct leat_row *row);
uint32_t leat_rows_partition_hash(const struct leat_rows *rows, const struct leat_row *row);
/* Rows in memory, in order of arrival (only while nothing was evicted: LEAT_LOCAL sets are never evicted unless @memory is set). */
size_t leat_rows_count(const struct leat_rows *rows);
struct leat_row *leat_rows_at(const struct leat_rows *rows, size_t index);

/* ---- commit: called by the engine in this order, per row set ---- */
size_t leat_rows_dirty_count(const struct leat_rows *rows);
size_t leat_rows_dirty_bytes(const struct leat_rows *rows);   /* estimate of encoded bytes: for the early commit */
/* Encodes each dirty row once, in the order in which they became dirty; @each gets key and value (value.data NULL: tombstone), borrowed. */
typedef int leat_rows_each(void *self, struct leat_bytes key, struct leat_bytes value);
int leat_rows_encode_dirty(struct leat_rows *rows, leat_rows_each *each, void *self, struct leat_fault *fault);
/* The transaction has committed: dirty rows become behind (or clean). @sequence: the commit's number, rising. */
void leat_rows_committed(struct leat_rows *rows, uint64_t sequence);
/* With the transport that writes rows in its commit: adds all dirty rows (and timer index) to @writes. To be called instead of encode_dirty. */
int leat_rows_write_dirty(struct leat_rows *rows, struct leat_writes *writes, struct leat_fault *fault);
/*
 * Adds rows that are behind, oldest first, to @writes until none has been behind since a commit ≤ @until_sequence. May only be called when nothing is dirty.
 * Afterwards the store's meta may say that everything up to commit @until_sequence is on disk. Returns how many.
 */
long leat_rows_write_behind(struct leat_rows *rows, uint64_t until_sequence, struct leat_writes *writes, struct leat_fault *fault);
size_t leat_rows_behind_count(const struct leat_rows *rows);
/* Frees clean rows, least recently found first, until the memory limit holds. Between batches only: pointers to rows become invalid. */
void leat_rows_evict(struct leat_rows *rows);
size_t leat_rows_memory(const struct leat_rows *rows);

/* ---- restore: before the first find ---- */
/* One changelog record into @writes (and the timer index), without going through memory. LEAT_ECORRUPT for a malformed record. */
int leat_rows_restore(struct leat_rows *rows, struct leat_bytes key, struct leat_bytes value, struct leat_writes *writes, struct leat_fault *fault);
/* The same for a record of a row set that is not open. LEAT_ECORRUPT, LEAT_EFOREIGN: nothing was added. */
int leat_rows_restore_other(struct leat_store *store, struct leat_bytes key, struct leat_bytes value, struct leat_writes *writes);

/*
 * ---- timers: one per entry, durable with its row; the index on disk is derived from the rows ----
 * A batch that write_behind, write_dirty or restore has filled must have reached the database before the next call of timer_next or timer_pop.
 */
/* INT64_MAX clears. An entry that was not there is there from now on. Moving a timer later costs nothing: the old index entry is found stale when its time comes. LEAT_ENOMEM. */
int leat_rows_timer_set(struct leat_rows *rows, struct leat_row *row, size_t index, int64_t at_ms);
/* Time of the earliest timer, INT64_MAX when there is none; may be early (a stale index entry), never late. LEAT_EIO in the return value. */
int leat_rows_timer_next(struct leat_rows *rows, int64_t *at_ms);
/*
 * Takes the earliest timer ≤ @until_ms off: *row, *index, *at_ms; *row NULL when there is none. The entry counts as changed. Order: time, then tag of the
 * table, then partition hash and key bytes, wherever the rows lie. The row is valid until evict. LEAT_EIO, LEAT_ECORRUPT, LEAT_ENOMEM.
 */
int leat_rows_timer_pop(struct leat_rows *rows, int64_t until_ms, struct leat_row **row, size_t *index, int64_t *at_ms);

/* ---- expiry and inspection ---- */
/*
 * Looks at up to @count keys on disk (in a set without a store: in memory) from where it last stopped and deletes entries past their ttl (as dirty rows:
 * tombstones follow with the next commit). @now_ms: a time that no event still to come is older than. How many entries went.
 */
int leat_rows_sweep(struct leat_rows *rows, int64_t now_ms, size_t count, struct leat_fault *fault);
/* Calls @each with key and value of every row that has an entry, as of now (memory over disk), sorted by key: for `leat state` and tests. */
int leat_rows_dump(struct leat_rows *rows, leat_rows_each *each, void *self, struct leat_fault *fault);

struct leat_rows_stats { uint64_t finds, hits, disk_reads, created, evicted, expired, written; };
void leat_rows_stats(const struct leat_rows *rows, struct leat_rows_stats *stats);

#endif
