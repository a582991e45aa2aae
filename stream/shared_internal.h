/* Between replica.c, shared.c, shared_open.c, shared_owner.c and shared_memory.c. */
#ifndef LEAT_SHARED_INTERNAL_H
#define LEAT_SHARED_INTERNAL_H

#include "state/merge.h"
#include "stream/shared.h"

#define uthash_malloc(size) leat_malloc(size)
#define uthash_free(pointer, size) leat_free(pointer)
#define HASH_NONFATAL_OOM 1   /* the element's hh.tbl stays NULL then */
#include <uthash.h>

enum { LEAT_SHARED_SEQUENCE_SHIFT = 24 };

/* Nobody commits so often; what is beyond came from elsewhere, and believed it would use up the numbers that are left. */
static inline bool leat_shared_sequence_is(uint64_t sequence)
{
	return sequence < 1ull << 62;
}

/* ---- memory: shared_memory.c ---- */

/* Pieces of one size, handed out and taken back; the memory stays until close. */
struct leat_pieces { size_t size; void *free, *chunks; size_t bytes; };
void *leat_pieces_take(struct leat_pieces *pieces);   /* zeroed; NULL: out of memory */
void leat_pieces_give(struct leat_pieces *pieces, void *piece);
void leat_pieces_close(struct leat_pieces *pieces);

/* Rows in the order of their keys, by index: blocks of at most 512, and how many rows lie before each. */
struct leat_sorted_block;
struct leat_sorted { struct leat_sorted_block **blocks; size_t *before; size_t block_count, capacity, count; };
int leat_sorted_add(struct leat_sorted *sorted, const struct leat_rows *rows, struct leat_row *row);   /* whose key is not there yet */
struct leat_row *leat_sorted_at(const struct leat_sorted *sorted, size_t index);                       /* NULL beyond the end */
void leat_sorted_close(struct leat_sorted *sorted);

/* ---- a task ---- */

/* One shared table in one task. Constant after opening but for the memory. */
struct leat_shared_table {
	struct leat_lane *lane;
	uint32_t tag, index;                 /* index: in shared->tables and in the owner's rows */
	int node, table;
	enum leat_merge merge;
	size_t numbers, visible;             /* per entry; bytes that the operator sees */
	const void *self;                    /* of the operator, for init() */
	void (*init)(const void *self, void *entry, struct leat_bytes key);
	struct leat_rows *rows;              /* of the views, once they are open */
	uint32_t offset;                     /* of the entry in them */
	size_t view_index;
	struct leat_pieces pendings, sents;
	struct leat_sorted known;
};

/* A view entry: what the operator sees (floats or int64s), then this at the next multiple of 8. */
struct leat_view {
	struct leat_pending *pending;        /* NULL: nothing */
	int64_t base[];
};

/* What this task has added to one row and the base does not hold yet. */
struct leat_pending {
	struct leat_row *row;
	struct leat_shared_table *table;
	struct leat_sent *newest;
	size_t sent;                         /* commits that wait to be included */
	double curvature;                    /* of the open transaction */
	bool touched;                        /* in the open transaction */
	int64_t total[];                     /* base + everything pending; behind it base + what was sent: the difference is of the open transaction */
};

/* What this task sent of one row in one commit and the owner has not confirmed; in order of sequence. */
struct leat_sent {
	struct leat_sent *next, *previous;
	struct leat_pending *pending;
	uint64_t sequence;
	int64_t delta[];
};

/* Before the numbers of a delta record. */
struct leat_delta_head { uint32_t sender, reserved; uint64_t sequence; double curvature; };
_Static_assert(sizeof(struct leat_delta_head) == 24, "on the wire");

struct leat_from_sender { uint32_t sender; double curvature; };

/* What an owner gathered for one row since its last commit. */
struct leat_gathered {
	UT_hash_handle hh;
	struct leat_shared_table *table;
	struct leat_from_sender *from;
	size_t from_count, from_capacity;
	const uint8_t *key;                  /* tag ‖ key, behind the sums */
	uint32_t key_length;
	int64_t sum[];
};

/* What this task has sent to one owner. */
struct leat_owner_link { struct leat_sent *first, *last; uint64_t sent; };

struct leat_shared {
	struct leat_shared_table tables[LEAT_TABLES_MAX];
	size_t table_count;
	int32_t tasks;
	struct leat_replica *replica;
	/* as sender */
	struct leat_pending **touched;
	size_t touched_count, touched_capacity;
	size_t sent_bytes, sent_most;        /* what waits for owners; beyond it one row's are taken together */
	struct leat_owner_link *owners;
	uint64_t seen_event;                 /* of the replica's events */
	/* while opening */
	bool based;
	int32_t opening;                     /* owner whose partition of the deltas is read */
	uint64_t reached;                    /* newest own sequence seen there */
	struct leat_reader *reader;
	int64_t waiting_us;
	/* as owner */
	struct leat_gathered *gathered;
	int64_t *included;                   /* per sender */
	bool received;
};

static inline struct leat_view *leat_shared_view(const struct leat_shared_table *table, struct leat_row *row)
{
	return (struct leat_view *)(void *)((uint8_t *)row + table->offset + table->visible);
}
/* The visible numbers from base + pending. */
void leat_shared_show(const struct leat_shared_table *table, void *entry);
struct leat_shared_table *leat_shared_find(struct leat_shared *shared, uint32_t tag);
/* The row of @key among the views, made if need be. */
int leat_shared_row(struct leat_shared_table *table, struct leat_bytes key, struct leat_row **out);
int leat_shared_know(struct leat_shared_table *table, struct leat_row *row);
struct leat_pending *leat_shared_pending(struct leat_shared_table *table, struct leat_row *row);
/* Notes that @delta, which is pending, has gone to @owner under @sequence. */
int leat_shared_sent(struct leat_shared *shared, struct leat_pending *pending, int32_t owner, uint64_t sequence, const int64_t *delta);
int leat_shared_take_everything(struct leat_lane *lane);

/* ---- replica.c ---- */
struct leat_replica_row {
	UT_hash_handle hh;
	uint32_t key_length, count;
	const uint8_t *key;                  /* tag ‖ key, behind the numbers */
	int64_t numbers[];
};
/* One closing of an owner: which rows changed, what is included. */
struct leat_replica_event { uint64_t number; int32_t owner; size_t row_count; int64_t *included; struct leat_replica_row *rows[]; };
/* Copies the row's numbers into @base when there is one: true. The calling thread may be inside one of the two calls below. */
bool leat_replica_get(struct leat_replica *replica, struct leat_bytes key, int64_t *base, size_t numbers);
/* Calls @each(self, event) for events after *seen, oldest first, under the lock; *seen is moved behind those that went well. LEAT_EGAP: some are no longer kept. */
int leat_replica_events(struct leat_replica *replica, uint64_t *seen, int (*each)(void *self, const struct leat_replica_event *event), void *self);
/* Every row, under one lock with the rest; *seen becomes the newest event; included[o]: what owner o included of @sender. */
int leat_replica_each(struct leat_replica *replica, uint64_t *seen, int32_t sender, int64_t *included, int (*each)(void *self, const struct leat_replica_row *row), void *self);
/* What @owner has included, per sender. */
void leat_replica_included(struct leat_replica *replica, int32_t owner, int64_t *included);

/* ---- shared_owner.c ---- */
int leat_owner_prepare(struct leat_lane *lane, struct leat_fault *fault);
void leat_owner_clear(struct leat_shared *shared);

#endif
