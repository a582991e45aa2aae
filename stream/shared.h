/*
 * Shared tables: one table for the whole application, read by all tasks, changed by deltas.
 *
 *   task ── deltas of a commit ──▶ <app>.deltas[owner of the key] ──▶ owner task merges (state/merge.h) ──▶ <app>.shared[owner] ──▶ one replica per process ──▶ views of its tasks
 *
 * Everything rides in the tasks' own transactions. A task sees base + own deltas that the base does not hold yet («pending»), in int64. Each owner commit ends with one
 * closing record: sender → last sequence that is included; the replica applies an owner's rows when it arrives, and each task then drops what it had pending of those.
 * Exactly once: a delta is merged in the transaction that moves the owner's position behind it. An owner may commit in the midst of what a sender's commit sent it,
 * so every record has a sequence of its own: number of the sender's commit << 24 | number within it.
 *
 * <app>.deltas: key = u32 table tag ‖ key; value = struct head (sender, sequence, curvature) and int64s.  <app>.shared: the same key; value = int64s. Closing record: key of
 * 4 zero bytes; value = int64 per sender.
 *
 * All functions with a lane are for its worker's thread between batches, but leat_shared_add() and the init functions, which run within one.
 */
#ifndef LEAT_SHARED_H
#define LEAT_SHARED_H

#include "stream/lane.h"

/* ---- the replica: one per process; any thread ---- */
struct leat_replica;
/* Reads all partitions of <app>.shared to their ends. LEAT_ENOMEM, LEAT_ERETRY (the end was not reached), LEAT_EBROKER. */
int leat_replica_open(struct leat_replica **out, const struct leat_pipeline *pipeline, struct leat_transport *transport, int32_t tasks, struct leat_fault *fault);
void leat_replica_close(struct leat_replica *replica);
/* Applies what owners have closed since; does not wait; another thread that is at it makes this return at once. After LEAT_ENOMEM the next call goes on where this one stopped. */
int leat_replica_poll(struct leat_replica *replica, struct leat_fault *fault);
/* Records that no owner can have written. */
uint64_t leat_replica_refused(struct leat_replica *replica);

/* ---- a task's side: views and pending deltas, and its part as owner of the keys that hash to it ---- */
enum { LEAT_SHARED_KEY_MOST = LEAT_ROW_KEY_MAX - 4 };   /* bytes of a key: the owner's row has the tag before it */
struct leat_shared_table;
/* Before the row sets are opened: what their init functions need. */
int leat_shared_prepare_tables(struct leat_lane *lane);
/*
 * After the row sets are open and the task row is read; never with a transaction open. 1: open. 0: not all that this task has sent is visible yet, call again; waits for
 * at most some 20 ms. LEAT_ENOMEM, LEAT_EBROKER.
 */
int leat_shared_open(struct leat_lane *lane, struct leat_fault *fault);
void leat_shared_close(struct leat_lane *lane);
/* The view rows of a shared table: their entry begins with what the operator sees. */
size_t leat_shared_view_size(const struct leat_node_table *table);
void leat_shared_view_init(const void *self, void *entry, struct leat_bytes key);
void leat_shared_owner_init(const void *self, void *entry, struct leat_bytes key);
/* NULL: not a shared one. */
struct leat_shared_table *leat_shared_table(const struct leat_lane *lane, int node, int table);
/* Keys with a merged row or a delta of this task, in the order of their bytes. */
size_t leat_shared_count(const struct leat_shared_table *table);
struct leat_row *leat_shared_at(const struct leat_shared_table *table, size_t index);
/* @row: of the table's view rows. Nothing has changed after LEAT_ENOMEM. */
int leat_shared_add(struct leat_shared_table *table, struct leat_row *row, const void *delta, double curvature);
/* Takes over what the replica has applied since the last call. LEAT_ENOMEM: the next call goes on. */
int leat_shared_refresh(struct leat_lane *lane);
/* A record of the task's partition of <app>.deltas: a reason, or LEAT_BAD_NONE. *rc: LEAT_ENOMEM, then the record was not taken. */
enum leat_bad leat_shared_receive(struct leat_lane *lane, const struct leat_record *record, int *rc);
/* Into the open transaction: own deltas; as owner the merged rows and the closing record. After a negative result the task must be closed. */
int leat_shared_prepare(struct leat_lane *lane, struct leat_fault *fault);
void leat_shared_committed(struct leat_lane *lane);
/* For the task row: per sender the last sequence merged, per owner the last one sent. */
size_t leat_shared_save(const struct leat_lane *lane, int64_t *marks, size_t count);
void leat_shared_load(struct leat_lane *lane, const int64_t *marks, size_t count);
/* Has the task deltas to merge or to send? Then there is something to commit. */
bool leat_shared_due(const struct leat_lane *lane);

#endif
