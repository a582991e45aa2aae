/*
 * Re-keying: rows leave through an internal topic to the task that owns their new key. A record carries where its event came from, who sent it and the sender's
 * watermark; the receiver's watermark for that input is the smallest over all senders, so idle senders send marks.
 *
 * Record: value = header (fixed, little-endian) and, for a row, whose key is the new key, the columns as Avro body of a schema made from the pipeline. Without a key:
 * marks (only the header), and the list of the sender's columns (rekey_columns.h), sent to each receiver before its first row. Receivers keep the lists in their task
 * row, which commits with the position: so a pipeline with other columns understands the rows in flight, wherever it begins to read.
 */
#ifndef LEAT_REKEY_H
#define LEAT_REKEY_H

#include "stream/lane.h"

enum { LEAT_REKEY_MARK = LEAT_BAD_COUNT };   /* leat_rekey_in_row: a mark or a list of columns, no row */

/* ---- receiving ---- */
int leat_rekey_in_open(struct leat_lane *lane, struct leat_intake *intake, struct leat_fault *fault);
void leat_rekey_in_close(struct leat_rekey_in *in);
/*
 * Decodes @record into @row (columns, id, key) and notes the sender's watermark: LEAT_BAD_NONE or LEAT_REKEY_MARK; else a reason, and nothing was noted:
 * INTERNAL_DAMAGED: no sender wrote it; SCHEMA_INCOMPATIBLE: its columns cannot be read as ours; UNKNOWN_SCHEMA: what its columns are is not known.
 */
int leat_rekey_in_row(struct leat_lane *lane, struct leat_intake *intake, const struct leat_record *record, struct leat_stream_run *run, size_t row, int64_t *time_ms);
/* Where the event of a re-keyed row began. False: nobody can say: it stems from a timer, or another pipeline sent it. */
struct leat_rekey_origin { const struct leat_source *source; int32_t partition; int64_t offset; };
bool leat_rekey_in_origin(const struct leat_lane *lane, const struct leat_intake *intake, const struct leat_record *record, struct leat_rekey_origin *out);
int64_t leat_rekey_in_watermark(const struct leat_rekey_in *in);
/* The slowest of the senders other than @task that are known and not idle; INT64_MAX: none. */
int64_t leat_rekey_in_slowest(const struct leat_rekey_in *in, int32_t task);
/* Sender watermarks and columns of rows in flight as words for the task row, at most @count, so that a restart knows them; and back, from whatever words. */
size_t leat_rekey_in_save(const struct leat_rekey_in *in, int64_t *marks, size_t count);
void leat_rekey_in_load(struct leat_rekey_in *in, const int64_t *marks, size_t count);

/* ---- sending ---- */
struct leat_rekey_out;
int leat_rekey_out_open(struct leat_lane *lane, const struct leat_node *node, struct leat_rekey_out **out, struct leat_fault *fault);
void leat_rekey_out_close(struct leat_rekey_out *out);
/* The selected rows as items of the outlet. */
int leat_rekey_out_rows(struct leat_lane *lane, struct leat_node_run *run, struct leat_rekey_out *out, const uint16_t *rows, size_t count, struct leat_fault *fault);
/* Do the events of @source pass here? */
bool leat_rekey_out_upstream(const struct leat_rekey_out *out, size_t source);
/* Is there something to tell? Then a commit is worth while even without events. */
bool leat_rekey_out_due(const struct leat_lane *lane, const struct leat_rekey_out *out);
/* Once per commit: tells every receiver how far this task's watermark has come, when it moved. */
int leat_rekey_out_marks(struct leat_lane *lane, struct leat_rekey_out *out, struct leat_fault *fault);

#endif
