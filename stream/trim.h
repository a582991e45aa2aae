/*
 * Trim: records of the internal topics that no restart needs any more are deleted. Tasks say how far (leat_trims_note, from their workers' threads), the
 * application's own thread does it (leat_trims_run), so that a slow broker never holds a worker.
 *
 * A task restarts from its committed positions, so what lies before them is spare: for re-keyed rows at once; for deltas when their merged rows can be read in
 * every process, because senders rebuild what is pending from them. A position is therefore used only when it has been committed for 30 s.
 */
#ifndef LEAT_TRIM_H
#define LEAT_TRIM_H

#include "stream/lane.h"

struct leat_trims;
int leat_trims_open(struct leat_trims **out, const struct leat_pipeline *pipeline, struct leat_transport *transport, int32_t tasks);
void leat_trims_close(struct leat_trims *trims);
/* After a commit of @lane. */
void leat_trims_note(struct leat_trims *trims, struct leat_lane *lane);
/* Deletes at most one partition's spare records: 1 did, 0 nothing to do. A failure is logged and tried again with the next position. */
int leat_trims_run(struct leat_trims *trims);

#endif
