/* The row set itself, shared by the files that implement rows.h. Internal to state/. */
#ifndef LEAT_ROWS_PRIVATE_H
#define LEAT_ROWS_PRIVATE_H

#include "state/rows.h"

#include <assert.h>

#define NO_ROW UINT32_MAX
#define NO_TIME INT64_MAX

enum {
	KEY_INLINE = 24,               /* longer keys are allocated on their own                         */
	KEY_HEAD = 6,                  /* on disk: u16 tag, u32 partition hash, both big-endian         */
	KEY_BYTES = KEY_HEAD + LEAT_ROW_KEY_MAX,
	ROW_LINE = 64,
	/* Index entry on disk: u16 tag of the row set, i64 time, u32 tag of the table, u32 partition hash, key; big-endian, the time with its sign flipped. */
	TIMER_HEAD = 18,
	TIMER_KEY_BYTES = TIMER_HEAD + LEAT_ROW_KEY_MAX + 1,
};

enum row_flag {
	ROW_USED = 1,
	ROW_DIRTY = 2,                 /* is in the dirty list                                           */
	ROW_BEHIND = 4,                /* is in the behind queue                                         */
	ROW_RECENT = 8,                /* found since the clock hand last passed                         */
};

/* Each an index entry is known to be at: in the heap at @queued, on disk at or before @indexed; NO_TIME: nowhere. */
struct row_timer {
	int64_t at, queued, indexed;
};

struct row {
	struct leat_row head;
	uint32_t hash;                 /* of key and partition hash; where the index looks               */
	uint32_t partition_hash;
	union {
		uint8_t bytes[KEY_INLINE];
		uint8_t *spilled;
	} key;
	uint16_t key_length;
	uint8_t flags;
	uint8_t unused;
	uint32_t found;                /* number of the find that handed it out last                     */
	uint32_t number;
	uint32_t changed;              /* bit per table: differs from the last commit                    */
	struct row_timer *timers;      /* one per table; NULL until one is set                           */
	int64_t written_ms[];          /* one per table with a ttl                                       */
};
static_assert(offsetof(struct row, key_length) < ROW_LINE, "looking a row up touches one cache line");

struct index_cell {
	uint32_t hash, number;
};
struct row_index {
	struct index_cell *cells;
	size_t mask, count;
};

/* Rows in slabs that never move; freed numbers are used again, the last first. */
struct row_slabs {
	uint8_t **slabs;
	size_t slab_count, slab_capacity;
	unsigned shift;                /* rows per slab, as a power of two                               */
	size_t stride;
	uint32_t high;                 /* numbers given out so far                                       */
	uint32_t *free;
	size_t free_count;
};

struct behind {
	uint64_t since;
	uint32_t number;
};

struct timer_hint {
	int64_t at;
	uint32_t number, table;
};

struct timers {
	struct timer_hint *heap;       /* smallest time first; entries are hints that are checked when they pop */
	size_t heap_count, heap_capacity;
	struct timer_hint *due;        /* taken from the heap, all of one time, sorted by table and key  */
	size_t due_first, due_count, due_capacity;
	/* Index entries read ahead from the disk, in order: whole keys, each after its u16 length. */
	struct leat_buffer ahead;
	size_t ahead_at, ahead_last;   /* the next of them, and the last                                 */
	bool complete;                 /* nothing on disk beyond what was read ahead                     */
	uint8_t from[TIMER_KEY_BYTES]; /* every entry on disk before this key has been taken off         */
	size_t from_length;
	/* Entries taken off since the last batch, each a struct taken followed by its key. */
	struct leat_buffer taken;
};

struct leat_rows {
	uint16_t tag;
	struct leat_rows_table tables[LEAT_ROW_TABLES];
	uint32_t offsets[LEAT_ROW_TABLES];
	uint8_t written_at[LEAT_ROW_TABLES];    /* index into written_ms of tables with a ttl */
	size_t count;
	uint32_t durable, with_ttl, all;        /* bits of tables                              */
	struct leat_store *store;
	size_t memory;
	bool write_behind;

	struct row_slabs slabs;
	struct row_index index;
	size_t spilled_bytes, timer_bytes;
	size_t reserved;                        /* rows that free, dirty and behind have room for */
	uint32_t *dirty;
	size_t dirty_count;
	struct behind *behind;                  /* ring of @reserved, a power of two             */
	size_t behind_mask, behind_first, behind_count;
	uint64_t sequence;                      /* of the last commit                          */
	uint32_t find_number;
	uint32_t hand;
	size_t value_bytes;                     /* of a row that has every durable entry       */
	uint8_t *value;
	struct leat_buffer keys;                /* disk keys of the rows that are being read   */
	struct leat_buffer sweep_from;
	struct timers timers;
	struct leat_rows_stats stats;
};

/* A row number's row. */
static inline struct row *row_at(const struct leat_rows *rows, uint32_t number)
{
	const struct row_slabs *slabs = &rows->slabs;
	size_t within = number & ((1u << slabs->shift) - 1);
	return (struct row *)(void *)(slabs->slabs[number >> slabs->shift] + within * slabs->stride);
}
static inline struct leat_bytes row_key(const struct row *row)
{
	return (struct leat_bytes){ row->key_length <= KEY_INLINE ? row->key.bytes : row->key.spilled, row->key_length };
}
static inline void *row_entry(const struct leat_rows *rows, const struct row *row, size_t table)
{
	return (uint8_t *)(uintptr_t)row + rows->offsets[table];
}
static inline int64_t *row_written(const struct leat_rows *rows, struct row *row, size_t table)
{
	return &row->written_ms[rows->written_at[table]];
}

static inline void put_be16(uint8_t *to, uint16_t value)
{
	to[0] = (uint8_t)(value >> 8);
	to[1] = (uint8_t)value;
}
static inline void put_be32(uint8_t *to, uint32_t value)
{
	put_be16(to, (uint16_t)(value >> 16));
	put_be16(to + 2, (uint16_t)value);
}
static inline void put_be64(uint8_t *to, uint64_t value)
{
	put_be32(to, (uint32_t)(value >> 32));
	put_be32(to + 4, (uint32_t)value);
}
static inline uint32_t get_be32(const uint8_t *from)
{
	return (uint32_t)from[0] << 24 | (uint32_t)from[1] << 16 | (uint32_t)from[2] << 8 | from[3];
}
static inline uint64_t get_be64(const uint8_t *from)
{
	return (uint64_t)get_be32(from) << 32 | get_be32(from + 4);
}

/* Writes the disk key of (@partition_hash, @key) to @to, KEY_BYTES long. */
static inline struct leat_bytes disk_key(const struct leat_rows *rows, uint32_t partition_hash, struct leat_bytes key, uint8_t *to)
{
	put_be16(to, rows->tag);
	put_be32(to + 2, partition_hash);
	if (key.length)
		memcpy(to + KEY_HEAD, key.data, key.length);
	return leat_bytes(to, KEY_HEAD + key.length);
}

/* ---- rows_index.c: where rows lie in memory ---- */
uint32_t leat_index_hash(struct leat_bytes key, uint32_t partition_hash);
struct row *leat_index_find(const struct leat_rows *rows, uint32_t hash, uint32_t partition_hash, struct leat_bytes key);
bool leat_index_same(const struct row *row, uint32_t hash, uint32_t partition_hash, struct leat_bytes key);
/* A zeroed row under a key that is not in the index yet. NULL when memory is out; nothing has changed then. */
struct row *leat_index_add(struct leat_rows *rows, uint32_t hash, uint32_t partition_hash, struct leat_bytes key);
void leat_index_remove(struct leat_rows *rows, struct row *row);
void leat_index_free(struct leat_rows *rows);
size_t leat_index_memory(const struct leat_rows *rows);

/* ---- rows_format.c: a row's value on disk and in the changelog ---- */
/* Largest encoded value of @rows. */
size_t leat_format_size(const struct leat_rows *rows);
/* Into rows->value; data NULL when no durable entry is present. */
struct leat_bytes leat_format_encode(struct leat_rows *rows, struct row *row);
/* Into @row, whose entries are zeroed. LEAT_ECORRUPT, LEAT_EFOREIGN, LEAT_ENOMEM. */
int leat_format_decode(struct leat_rows *rows, struct row *row, struct leat_bytes value);
struct leat_section {
	uint32_t tag;
	uint16_t version;
	bool has_written;
	int64_t written_ms, timer_ms;      /* NO_TIME: none */
	struct leat_bytes entry;
};
/* Takes the next section off *value, which leat_format_begin() has made from a whole value. 1, 0 at the end, LEAT_ECORRUPT. */
int leat_format_begin(struct leat_bytes *value);
int leat_format_next(struct leat_bytes *value, struct leat_section *section);
/* Index of the table with @tag, or -1. */
int leat_format_table(const struct leat_rows *rows, uint32_t tag);

/* ---- rows.c ---- */
/* The row, read from disk if need be; *out NULL when there is neither a row in memory nor one on disk. */
int leat_rows_get(struct leat_rows *rows, uint32_t partition_hash, struct leat_bytes key, struct row **out);
void leat_rows_changed(struct leat_rows *rows, struct row *row, uint32_t bits);
/* Queues a committed row for the disk. */
void leat_rows_fall_behind(struct leat_rows *rows, struct row *row);
void leat_rows_reset(struct leat_rows *rows, struct row *row, size_t table);
bool leat_rows_expired(const struct leat_rows *rows, struct row *row, size_t table, int64_t now_ms);

/* ---- timers.c ---- */
int leat_timers_make(struct leat_rows *rows, struct row *row);
/* Puts index entries for timers of @row that the index on disk does not cover, as @row goes to disk in the same batch. */
void leat_timers_write(struct leat_rows *rows, struct row *row, struct leat_writes *writes);
/* Index entries taken off leave the disk with the batch that holds what taking them off did. */
void leat_timers_write_taken(struct leat_rows *rows, struct leat_writes *writes);
void leat_timers_restore(struct leat_rows *rows, struct leat_bytes key, const struct leat_section *section, struct leat_writes *writes);
/* Before rows leave memory. */
void leat_timers_release(struct leat_rows *rows);
void leat_timers_free(struct leat_rows *rows);
size_t leat_timers_memory(const struct leat_rows *rows);

#endif
