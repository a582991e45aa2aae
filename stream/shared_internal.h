/* Between replica.c, shared.c and shared_owner.c. */
#ifndef LEAT_SHARED_INTERNAL_H
#define LEAT_SHARED_INTERNAL_H

#include "state/merge.h"
#include "stream/shared.h"

#include <uthash.h>

enum { LEAT_SHARED_KEY_MAX = LEAT_ROW_KEY_MAX + 4 };

/* One shared table: constant after opening. */
struct leat_shared_table {
	uint32_t tag;
	int node, table, group;
	size_t numbers;                      /* per entry */
	enum leat_merge merge;
	const void *self;                    /* of the operator, for init() */
	void (*init)(const void *self, void *entry, struct leat_bytes key);
	struct leat_replica *replica;
};

/* A view entry: what the operator sees (floats or int64s), then this at the next multiple of 8. */
struct leat_view {
	double curvature;                    /* of the open transaction   */
	uint64_t touched;                    /* in the open transaction   */
	int64_t numbers[];                   /* base, pending, current: each @numbers long; pending includes current */
};

/* Before the numbers of a delta record. */
struct leat_delta_head { uint32_t sender, reserved; uint64_t sequence; double curvature; };
_Static_assert(sizeof(struct leat_delta_head) == 24, "on the wire");

/* What one task sent of one row in one commit and the owner has not confirmed. */
struct leat_sent { struct leat_row *row; uint32_t table; int32_t owner; uint64_t sequence; int64_t delta[]; };

/* What an owner gathered for one row since its last commit. */
struct leat_gathered {
	UT_hash_handle hh;
	struct leat_shared_table *table;
	uint32_t key_length;
	size_t senders, capacity;
	uint32_t *sender;
	double *curvature;
	int64_t *sum;
	uint8_t key[];                       /* tag ‖ key */
};

struct leat_shared {
	struct leat_shared_table tables[LEAT_TABLES_MAX];
	size_t table_count;
	struct leat_replica *replica;
	/* as sender */
	struct leat_row **touched;
	uint32_t *touched_table;
	size_t touched_count, touched_capacity;
	struct leat_sent **sent;
	size_t sent_count, sent_capacity;
	uint64_t seen_event;                 /* of the replica's events */
	/* as owner */
	struct leat_gathered *gathered;
	int64_t *included;                   /* per sender */
	bool received;
};

struct leat_shared_table *leat_shared_find(struct leat_shared *shared, uint32_t tag);

/* ---- replica.c ---- */
/* One closing of an owner: which rows changed, what is included. */
struct leat_replica_event { uint64_t number; int32_t owner; size_t key_count; struct leat_bytes *keys; int64_t *included; struct leat_replica_event *next; uint8_t *bytes; };
/* Copies the row's numbers into @base when there is one: 1, else 0. */
int leat_replica_get(struct leat_replica *replica, const uint8_t *key, size_t length, int64_t *base, size_t numbers);
/* Calls @each(self, event) for events after *seen, oldest first, under the lock. */
int leat_replica_events(struct leat_replica *replica, uint64_t *seen, int (*each)(void *self, const struct leat_replica_event *event), void *self);
/* Every row, under the lock; *seen becomes the newest event; @included gets what owner @owner included of @sender. */
int leat_replica_each(struct leat_replica *replica, uint64_t *seen, int (*each)(void *self, struct leat_bytes key), void *self);
int64_t leat_replica_included(struct leat_replica *replica, int32_t owner, int32_t sender);

/* ---- shared_owner.c ---- */
int leat_owner_prepare(struct leat_lane *lane, struct leat_fault *fault);
void leat_owner_clear(struct leat_shared *shared);

#endif
