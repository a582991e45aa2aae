/*
 * Without transactions a crash in the middle of a commit leaves its first rows in the changelog with no task row behind them: the tail. Opening leaves them out, but under the
 * next commit's task row a later replay would take them for committed. So the first commit writes their keys again, behind them, as the store has them.
 */
#ifndef LEAT_LANE_TAIL_H
#define LEAT_LANE_TAIL_H

#include "stream/lane.h"

/* A record that no task row has followed yet. LEAT_ENOMEM. */
int leat_lane_tail_add(struct leat_lane *lane, struct leat_bytes key);
void leat_lane_tail_clear(struct leat_lane *lane);
/* Is there something to write again? */
bool leat_lane_tail_due(const struct leat_lane *lane);
/* Rows of the tail → the session, before all others of the commit: these may be newer. The store must still be as opening left it. Codes of the store and the session. */
int leat_lane_tail_send(struct leat_lane *lane, struct leat_fault *fault);

#endif
