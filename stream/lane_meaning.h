/*
 * The meaning row: one row per task beside the task row that says under which options each operator's state was made. Written when it changes, in the same commit as
 * the first rows that were made so. A pipeline under which stored bytes would mean something else is refused. An operator that was out of the pipeline
 * for a time comes back as it was, unless others wrote rows that it had a part in: its entries went with that, and it is refused. New ids are let in, with no state.
 */
#ifndef LEAT_LANE_MEANING_H
#define LEAT_LANE_MEANING_H

#include "stream/lane.h"

extern const struct leat_bytes leat_lane_meaning_key;
bool leat_lane_meaning_is(struct leat_bytes key);
/*
 * Compares what is stored with the pipeline; afterwards lane->meaning is the row as it must be and lane->meaning_due says whether the next commit has to write it.
 * May be called again. LEAT_EFOREIGN: which operator, what has changed, what to do. LEAT_ECORRUPT, LEAT_EIO, LEAT_ENOMEM.
 */
int leat_lane_meaning_open(struct leat_lane *lane, struct leat_fault *fault);
/* LEAT_ECORRUPT: no version of leat wrote this. */
int leat_lane_meaning_check(struct leat_bytes value);
/* The row's value. */
struct leat_bytes leat_lane_meaning(const struct leat_lane *lane);

#endif
