/*
 * Shared tables: one table for the whole application, read by all tasks, changed by deltas.
 *
 *   task ── deltas of a commit ──▶ <app>.deltas[owner of the key] ──▶ owner task merges (state/merge.h) ──▶ <app>.shared[owner] ──▶ one replica per process ──▶ views of its tasks
 *
 * Everything rides in the tasks' own transactions. A task sees base + own deltas that the base does not hold yet («pending»), in int64. Each owner commit ends with one
 * closing record: sender → last sequence that is included; the replica applies an owner's rows when it arrives, and each task then drops what it had pending of those.
 * Exactly once: a delta is merged in the transaction that moves the owner's position behind it.
 *
 * <app>.deltas: key = u32 table tag ‖ key; value = struct head (sender, sequence, curvature) and int64s.  <app>.shared: the same key; value = int64s. Closing record: key of 4 zero bytes.
 */
#ifndef LEAT_SHARED_H
#define LEAT_SHARED_H

#include "stream/lane.h"

/* ---- the replica: one per process; its functions take a lock ---- */
struct leat_replica;
/* Reads all partitions of <app>.shared to their ends. */
int leat_replica_open(struct leat_replica **out, const struct leat_pipeline *pipeline, struct leat_transport *transport, int32_t tasks, struct leat_fault *fault);
void leat_replica_close(struct leat_replica *replica);
/* Applies what owners have closed since; does not wait; another thread that is at it makes this return at once. */
int leat_replica_poll(struct leat_replica *replica, struct leat_fault *fault);

/* ---- a task's side: views and pending deltas, and its part as owner of the keys that hash to it ---- */
/* Before the row sets are opened: what their init functions need. */
int leat_shared_prepare_tables(struct leat_lane *lane);
int leat_shared_open(struct leat_lane *lane, struct leat_fault *fault);       /* after the row sets are open and restored */
void leat_shared_close(struct leat_lane *lane);
/* The view rows of a shared table: their entry begins with what the operator sees. */
size_t leat_shared_view_size(const struct leat_node_table *table);
void leat_shared_view_init(const void *self, void *entry, struct leat_bytes key);
void leat_shared_owner_init(const void *self, void *entry, struct leat_bytes key);
/* Per table of the pipeline that is shared: what the two init functions need as self; NULL for others. */
const void *leat_shared_table(struct leat_lane *lane, int node, int table);
int leat_shared_add(struct leat_lane *lane, int node, int table, struct leat_row *row, uint32_t offset, const void *delta, double curvature);
/* Takes over what the replica has applied since the last call. Between batches. */
int leat_shared_refresh(struct leat_lane *lane);
/* A record of the task's partition of <app>.deltas: a reason, or LEAT_BAD_NONE. LEAT_ENOMEM as -1 is not a reason: see *rc. */
enum leat_bad leat_shared_receive(struct leat_lane *lane, const struct leat_record *record, int *rc);
/* Into the open transaction: own deltas; as owner the merged rows and the closing record. */
int leat_shared_prepare(struct leat_lane *lane, struct leat_fault *fault);
void leat_shared_committed(struct leat_lane *lane);
/* Last sequence merged per sender, for the task row. */
size_t leat_shared_save(const struct leat_lane *lane, int64_t *marks, size_t count);
void leat_shared_load(struct leat_lane *lane, const int64_t *marks, size_t count);
/* Has the task deltas to merge or to send? Then there is something to commit. */
bool leat_shared_due(const struct leat_lane *lane);

#endif
