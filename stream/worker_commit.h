/* Between worker.c and worker_commit.c: commits of a worker, and what its tasks count. The worker's thread. */
#ifndef LEAT_WORKER_COMMIT_H
#define LEAT_WORKER_COMMIT_H

#include "stream/worker.h"

bool leat_worker_takes_part(const struct leat_lane *lane);
bool leat_worker_anything(const struct leat_worker *worker);   /* is there anything to commit? */
bool leat_worker_due(struct leat_worker *worker);
/* Beside the work where that can be: what follows belongs to the next commit, and leat_worker_settle() tells how this one went. Else as leat_worker_commit(). */
int leat_worker_commit_soon(struct leat_worker *worker, struct leat_fault *fault);
/* What has become of a commit beside the work; 0 when there is none, or while it lasts unless @wait. */
int leat_worker_settle(struct leat_worker *worker, bool wait, struct leat_fault *fault);

/* Why the lane's store must be rebuilt; NULL: it need not, or nothing could rebuild it. */
const char *leat_worker_damage(const struct leat_lane *lane);

void leat_tally_add(struct leat_tally *tally, const struct leat_lane *lane);
/* Of the tasks that are here and those that were. */
void leat_worker_count(const struct leat_worker *worker, struct leat_tally *tally);

#endif
