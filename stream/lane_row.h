/* The task row: one row per task beside the keyed ones, written last in every commit: watermarks and positions as of that commit, so that a restart can tell whether the changelog is whole. */
#ifndef LEAT_LANE_ROW_H
#define LEAT_LANE_ROW_H

#include "stream/lane.h"

extern const struct leat_bytes leat_lane_row_key;
bool leat_lane_row_is(struct leat_bytes key);
/* The row's value as of now, in lane->scratch. LEAT_ENOMEM. */
int leat_lane_row_encode(struct leat_lane *lane, struct leat_bytes *value);
/* Reads it back: lane->watermark_ms, and per source max_time_ms, sender marks and the position in @positions (-1 where it says nothing). @lane NULL: only looks whether it could. LEAT_ECORRUPT. */
int leat_lane_row_decode(struct leat_lane *lane, struct leat_bytes value, int64_t positions[LEAT_SOURCES_MAX]);

#endif
