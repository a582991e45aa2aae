/* Opening and closing a task: its store, the committed positions, the changelog's tail; sliced so that a worker stays responsive. */
#include "stream/deaths.h"
#include "stream/lane_meaning.h"
#include "stream/lane_row.h"
#include "stream/lane_tail.h"
#include "stream/outlet.h"
#include "stream/rekey.h"
#include "stream/shared.h"

#include <stdlib.h>

enum {
	SLICE_RECORDS = 4096,
	SLICE_US = 20000,
	SETTLE_US = 5000000,
	FENCE_AFTER_US = 2000000,       /* a dead owner's transaction is ended by us after so long */
	DISAGREE_US = 15000000,         /* markers of one transaction are never that far apart: somebody moved the positions */
	APPLY_BYTES = 4 << 20,          /* restored rows are written after so much */
	TAIL_BYTES = 64 << 20,          /* rows that no task row follows yet: beyond that, the changelog is first read to its end for where the last one is */
	INCOMPLETE_US = 60000000,       /* markers of a commit lag by moments; a changelog that lacks it for so long has lost it */
	STALE_MS = 36 * 3600 * 1000,    /* half of the changelog's delete.retention: tombstones may be gone from it */
};

/* ---- store ---- */

static int open_store(struct leat_lane *lane, struct leat_fault *fault)
{
	const struct leat_engine *engine = lane->engine;
	char owner[256];
	snprintf(owner, sizeof owner, "leat %s task %d", lane->pipeline->name, (int)lane->task);
	LEAT_TRY(lane->ops->store_open(engine->transport, engine->storage, lane->task, owner, &lane->store, fault));
	int rc = leat_store_meta_read(lane->store, &lane->meta, fault);
	if (rc == LEAT_ENOTFOUND) {
		lane->meta = (struct leat_store_meta){ .version = LEAT_STORE_VERSION, .partitions = (uint32_t)engine->tasks, .changelog_offset = -1, .watermark_ms = INT64_MIN };
		return 0;
	}
	LEAT_TRY(rc);
	if (lane->meta.partitions != (uint32_t)engine->tasks)
		return leat_fail(fault, LEAT_ECONFIG, "the state of task %d was made with %u partitions of the inputs, now there are %d: keys would move between tasks. Go back to %u partitions, or begin with a new application name",
				 (int)lane->task, lane->meta.partitions, (int)engine->tasks, lane->meta.partitions);
	lane->sequence = lane->meta.commits;
	return 0;
}

/* Local state that cannot be trusted or continued is dropped; the changelog has everything. */
static int discard_store(struct leat_lane *lane, const char *why, struct leat_fault *fault)
{
	if (lane->discarded)
		return leat_fail(fault, LEAT_EGAP, "task %d: %s, even with an empty store", (int)lane->task, why);
	leat_log(LEAT_WARNING, "task %d: local state is discarded and rebuilt from the changelog: %s", (int)lane->task, why);
	lane->discarded = true;
	lane->whole_until = 0;
	lane->scout = LEAT_SCOUT_NONE;
	leat_writes_clear(lane->writes);
	leat_lane_tail_clear(lane);
	lane->ops->reader_close(lane->reader);
	lane->reader = NULL;
	leat_store_close(lane->store, false);
	lane->store = NULL;
	LEAT_TRY(lane->ops->store_discard(lane->engine->transport, lane->task, fault));
	return open_store(lane, fault);
}

/* ---- positions ---- */

/* 1: all known, 0: some transaction is still pending, try again. */
static int read_positions(struct leat_lane *lane, struct leat_fault *fault)
{
	char metadata[256];
	for (size_t i = 0; i < lane->pipeline->source_count; i++) {
		struct leat_intake *intake = &lane->intakes[i];
		int rc = lane->ops->session_committed(lane->session, lane->pipeline->sources[i].topic, lane->task, &intake->committed_offset, metadata, sizeof metadata, 20, fault);
		if (rc == LEAT_ERETRY)
			return 0;
		LEAT_TRY(rc);
		intake->next_offset = intake->committed_offset;
		lane->skipped |= strncmp(metadata, "skip", 4) == 0;
	}
	return 1;
}

static int fence_dead_owner(struct leat_lane *lane, struct leat_fault *fault)
{
	int64_t now = leat_clock_mono_us(lane->engine->clock);
	if (now - lane->blocked_us < FENCE_AFTER_US)
		return 0;
	lane->blocked_us = now;
	char owner[256];
	if (lane->ops->session_owner(lane->session, lane->pipeline->sources[0].topic, lane->task, owner, sizeof owner) <= 0)
		return 0;
	leat_log(LEAT_INFO, "task %d: ending the open transaction of '%s'", (int)lane->task, owner);
	int rc = lane->ops->session_fence(lane->session, owner, fault);
	return rc == LEAT_ERETRY ? 0 : rc;
}

/* ---- changelog ---- */

static int open_changelog(struct leat_lane *lane, struct leat_fault *fault)
{
	int64_t first, end, wall = leat_clock_wall_ms(lane->engine->clock);
	int there = lane->ops->bounds(lane->engine->transport, lane->changelog, lane->task, &first, &end, fault);
	if (there == LEAT_ENOTFOUND)
		return leat_fail(fault, LEAT_EGAP, "the changelog %s is gone. A restart makes it again, empty, and says what that means for the state", lane->changelog);
	LEAT_TRY(there);
	if (lane->meta.changelog_offset > end) {
		if (!lane->engine->accept_state_loss)
			return leat_fail(fault, LEAT_EGAP, "the state of task %d is ahead of its changelog %s (%lld > %lld): the topic was made again or lost committed records. --accept-state-loss goes on with what the changelog has",
					 (int)lane->task, lane->changelog, (long long)lane->meta.changelog_offset, (long long)end);
		LEAT_TRY(discard_store(lane, "it is ahead of the changelog", fault));
		lane->skipped = true;   /* what is committed will never be in the changelog */
	}
	if (lane->meta.changelog_offset >= 0 && lane->meta.commit_wall_ms + STALE_MS < wall)
		LEAT_TRY(discard_store(lane, "its last commit is so old that deletions may be gone from the changelog", fault));
	int rc = lane->ops->reader_open(lane->engine->transport, lane->changelog, lane->task, LEAT_MAX(lane->meta.changelog_offset, first), &lane->reader, fault);
	return rc;
}

static int restore_record(struct leat_lane *lane, const struct leat_record *record, struct leat_fault *fault)
{
	if (!record->key.data || record->key.length < 2) {
		leat_log_seldom(LEAT_WARNING, lane, 60000, "the record of %s[%d] at offset %lld is none that leat writes; it is left out", lane->changelog, (int)lane->task, (long long)record->offset);
		return 0;
	}
	lane->restored++;
	if (lane->restored_row || leat_lane_meaning_is(record->key)) {
		int64_t positions[LEAT_SOURCES_MAX];
		if ((lane->restored_row ? leat_lane_row_decode(NULL, record->value, positions) : leat_lane_meaning_check(record->value)) < 0)
			return leat_fail(fault, LEAT_ECORRUPT, "the task's own row cannot be read");
		leat_writes_put(lane->writes, lane->store, LEAT_FAMILY_ROWS, record->key, record->value);
		return 0;
	}
	uint16_t tag = (uint16_t)(record->key.data[0] << 8 | record->key.data[1]);
	for (size_t i = 0; i < lane->pipeline->group_count; i++)
		if (lane->pipeline->groups[i].tag == tag && lane->groups[i].rows)
			return leat_rows_restore(lane->groups[i].rows, record->key, record->value, lane->writes, fault);
	/* Of operators that this pipeline has not. The store goes on saying that it has all up to here, also when the one that has them comes back before anything is committed. */
	int rc = leat_rows_restore_other(lane->store, record->key, record->value, lane->writes);
	return rc == LEAT_ECORRUPT || rc == LEAT_EFOREIGN ? 0 : rc;   /* nobody reads it */
}

static int say_where(const struct leat_lane *lane, const struct leat_record *record, int rc, struct leat_fault *fault)
{
	if ((rc != LEAT_ECORRUPT && rc != LEAT_EFOREIGN) || !fault)
		return rc;
	const struct leat_fault inner = *fault;
	return leat_fail(fault, rc, "%s[%d] cannot be read at offset %lld: %s", lane->changelog, (int)lane->task, (long long)record->offset, inner.text);
}

static int write_restored(struct leat_lane *lane, int64_t position, struct leat_fault *fault)
{
	lane->meta.changelog_offset = position;
	lane->meta.commit_wall_ms = leat_clock_wall_ms(lane->engine->clock);
	leat_store_meta_put(lane->writes, lane->store, &lane->meta);
	leat_lane_tail_clear(lane);
	leat_crashpoint("restore.before_write");
	return leat_store_write(lane->store, lane->writes, fault);
}

/* From what the store has, once more. */
static int read_again(struct leat_lane *lane, struct leat_fault *fault)
{
	int64_t first, end;
	LEAT_TRY(lane->ops->bounds(lane->engine->transport, lane->changelog, lane->task, &first, &end, fault));
	lane->ops->reader_close(lane->reader);
	lane->reader = NULL;
	lane->scout = LEAT_SCOUT_DONE;
	leat_writes_clear(lane->writes);
	leat_lane_tail_clear(lane);
	return lane->ops->reader_open(lane->engine->transport, lane->changelog, lane->task, LEAT_MAX(lane->meta.changelog_offset, first), &lane->reader, fault);
}

/* Too many rows to hold with no task row behind them. */
static void let_go(struct leat_lane *lane)
{
	leat_writes_clear(lane->writes);
	if (lane->scout == LEAT_SCOUT_DONE) {
		lane->scout = LEAT_SCOUT_TAIL;
		return;
	}
	lane->scout = LEAT_SCOUT_AHEAD;
	leat_lane_tail_clear(lane);
}

/*
 * Without transactions only what is followed by a task row was committed whole, and rows are held until it comes. A compacted changelog may have more without one than
 * can be held: then it is read ahead to its end, for where the last task row is, and again. 1: it has to be read again, because a task row came behind what was let go.
 */
static int restore_unsure(struct leat_lane *lane, const struct leat_record *record, struct leat_fault *fault)
{
	if (lane->restored_row)
		lane->whole_until = record->offset + 1;
	if (lane->scout == LEAT_SCOUT_AHEAD)
		return 0;
	if (lane->scout == LEAT_SCOUT_TAIL && lane->restored_row)
		return 1;
	if (lane->scout != LEAT_SCOUT_TAIL)
		LEAT_TRY(say_where(lane, record, restore_record(lane, record, fault), fault));
	if (lane->restored_row || (record->offset < lane->whole_until && leat_writes_bytes(lane->writes) > APPLY_BYTES))
		return write_restored(lane, record->offset + 1, fault);
	if (record->key.data && leat_lane_tail_add(lane, record->key) < 0)
		return leat_fail(fault, LEAT_ENOMEM, "out of memory");
	if (record->offset >= lane->whole_until && leat_writes_bytes(lane->writes) > TAIL_BYTES)
		let_go(lane);
	return 0;
}

static int restore_sure(struct leat_lane *lane, const struct leat_record *record, struct leat_fault *fault)
{
	LEAT_TRY(say_where(lane, record, restore_record(lane, record, fault), fault));
	return lane->restored_row || leat_writes_bytes(lane->writes) > APPLY_BYTES ? write_restored(lane, record->offset + 1, fault) : 0;
}

/* 1: at the end, 0: more. */
static int restore_slice(struct leat_lane *lane, struct leat_fault *fault)
{
	int64_t start = leat_clock_mono_us(NULL), position = lane->meta.changelog_offset;
	bool at_end = false, once = lane->pipeline->settings.guarantee == LEAT_EXACTLY_ONCE;
	while (!at_end && leat_clock_mono_us(NULL) - start < SLICE_US) {
		const struct leat_record *records;
		long count = lane->ops->reader_next(lane->reader, &records, SLICE_RECORDS, 10, &at_end, &position, fault);
		if (count < 0)
			return (int)count;
		for (long i = 0; i < count; i++) {
			lane->restored_row = leat_lane_row_is(records[i].key);
			int again = once ? restore_sure(lane, &records[i], fault) : restore_unsure(lane, &records[i], fault);
			if (again)
				return again < 0 ? again : read_again(lane, fault);
		}
	}
	if (!at_end)
		return 0;
	if (lane->scout == LEAT_SCOUT_AHEAD)
		return read_again(lane, fault);
	if (once)
		LEAT_TRY(write_restored(lane, position, fault));
	return 1;
}

/* ---- is what was restored what was committed? ---- */

static int found_task_row(void *self, size_t index, struct leat_bytes value)
{
	struct leat_lane *lane = self;
	(void)index;
	lane->row_found = true;
	return leat_lane_row_decode(lane, value, lane->row_positions);
}

static int read_task_row(struct leat_lane *lane, struct leat_fault *fault)
{
	lane->row_found = false;
	for (size_t i = 0; i < LEAT_SOURCES_MAX; i++) {
		lane->row_positions[i] = -1;
		lane->intakes[i].max_time_ms = INT64_MIN;
	}
	int rc = leat_store_get_many(lane->store, LEAT_FAMILY_ROWS, &leat_lane_row_key, 1, found_task_row, lane);
	return rc < 0 ? leat_fail(fault, rc, "task %d: its own row cannot be read: %s", (int)lane->task, leat_error_text(rc)) : 0;
}

/* The pipeline ran without this source since: its position is older than the row. A moment shows that no newer row is on its way. */
static bool was_left_out(const struct leat_lane *lane, size_t source)
{
	bool settled = lane->ops->keeps_rows || leat_clock_mono_us(lane->engine->clock) - lane->opened_us > SETTLE_US;
	return lane->row_found && lane->row_positions[source] < 0 && settled;
}

/*
 * Offsets, changelog and outputs commit together, but their markers are written one after the other: a changelog may look complete while it still lacks the
 * last commit. The task row says which positions the rows stand for. 1: they agree. 0: not yet.
 */
static int positions_agree(struct leat_lane *lane)
{
	bool once = lane->pipeline->settings.guarantee == LEAT_EXACTLY_ONCE;
	for (size_t i = 0; i < lane->pipeline->source_count; i++) {
		struct leat_intake *intake = &lane->intakes[i];
		if (lane->row_positions[i] == intake->next_offset || (lane->skipped && lane->row_positions[i] < intake->next_offset))
			continue;
		if (once && !lane->engine->accept_state_loss && !was_left_out(lane, i))
			return 0;
		if (once)
			continue;
		intake->next_offset = LEAT_MAX(intake->next_offset, lane->row_positions[i]);
	}
	return 1;
}

/* ---- slices ---- */

/* 1: yes. 0: not yet: a broker that has just come back may not show its newest records. */
static int positions_are_there(struct leat_lane *lane, struct leat_fault *fault)
{
	for (size_t i = 0; i < lane->pipeline->source_count; i++) {
		const char *topic = lane->pipeline->sources[i].topic;
		int64_t first, end, offset = lane->intakes[i].next_offset;
		LEAT_TRY(lane->ops->bounds(lane->engine->transport, topic, lane->task, &first, &end, fault));
		lane->intakes[i].first_there = first;
		lane->intakes[i].end_there = end;
		if (offset <= end)
			continue;
		if (lane->engine->accept_state_loss) {
			leat_log(LEAT_WARNING, "%s[%d] ends at %lld, before the position %lld: it is read from its start (--accept-state-loss)", topic, (int)lane->task, (long long)end, (long long)offset);
			lane->intakes[i].next_offset = first;
			continue;
		}
		if (leat_clock_mono_us(lane->engine->clock) - lane->opened_us < DISAGREE_US)
			return 0;
		return leat_fail(fault, LEAT_EGAP, "%s[%d] ends at %lld, before the position %lld: the topic was made again or lost records. --accept-state-loss reads what is there from its start, "
				 "with the state as it is", topic, (int)lane->task, (long long)end, (long long)offset);
	}
	return 1;
}

static int start_intakes(struct leat_lane *lane, struct leat_fault *fault)
{
	for (size_t i = 0; i < lane->pipeline->source_count; i++) {
		const struct leat_source *source = &lane->pipeline->sources[i];
		int64_t first = lane->intakes[i].first_there, end = lane->intakes[i].end_there, offset = lane->intakes[i].next_offset, max_time = lane->intakes[i].max_time_ms;
		if (offset < 0)
			offset = source->start == LEAT_START_LATEST && source->rekey < 0 ? end : first;
		if (offset < first) {
			if (source->on_gap == LEAT_GAP_HALT)
				return leat_fail(fault, LEAT_EGAP, "%s[%d]: offset %lld is gone, the first there is %lld: %lld events are lost. on_gap: earliest goes on with the first", source->topic,
						 (int)lane->task, (long long)offset, (long long)first, (long long)(first - offset));
			leat_log(LEAT_WARNING, "%s[%d]: %lld events are gone; going on with offset %lld (on_gap: earliest)", source->topic, (int)lane->task, (long long)(first - offset), (long long)first);
			lane->gap_events += (uint64_t)(first - offset);
			offset = first;
		}
		LEAT_TRY(leat_intake_open(lane, i, offset, fault));
		lane->intakes[i].max_time_ms = max_time;
	}
	return 0;
}

static int start_running(struct leat_lane *lane, struct leat_fault *fault)
{
	LEAT_TRY(leat_outlet_open(lane, fault));
	LEAT_TRY(start_intakes(lane, fault));
	LEAT_TRY(read_task_row(lane, fault));   /* once more: sender marks belong to intakes that are open only now */
	for (size_t i = 0; i < lane->pipeline->node_count; i++)
		if (!lane->pipeline->nodes[i].op)
			LEAT_TRY(leat_rekey_out_open(lane, &lane->pipeline->nodes[i], &lane->nodes[i].rekey, fault));
	lane->ops->reader_close(lane->reader);
	lane->reader = NULL;
	lane->flushed_offset = lane->meta.changelog_offset;
	leat_deaths_recall(lane);
	lane->state = LEAT_LANE_RUNNING;
	leat_writes_clear(lane->writes);
	lane->touched = leat_lane_tail_due(lane);
	lane->committed_ms = leat_clock_wall_ms(lane->engine->clock);
	int64_t took = leat_clock_mono_us(lane->engine->clock) - lane->opened_us;
	leat_log(LEAT_INFO, "task %d runs (%llu changelog records replayed, %lld ms)", (int)lane->task, (unsigned long long)lane->restored, (long long)(took / 1000));
	return 1;
}

static int advance_opening(struct leat_lane *lane, struct leat_fault *fault)
{
	int known = read_positions(lane, fault);
	LEAT_TRY(known);
	if (!known)
		return fence_dead_owner(lane, fault);
	LEAT_TRY(leat_flow_open(lane, fault));
	lane->flow_open = true;
	if (!lane->ops->keeps_rows)
		LEAT_TRY(open_changelog(lane, fault));
	lane->state = LEAT_LANE_RESTORING;
	return 0;
}

static int fail_incomplete(const struct leat_lane *lane, struct leat_fault *fault)
{
	return leat_fail(fault, LEAT_EGAP, "the changelog %s lacks what task %d committed last: the topic was made again or lost committed records. --accept-state-loss goes on with what the changelog has", lane->changelog, (int)lane->task);
}

static int still_disagree(struct leat_lane *lane, struct leat_fault *fault)
{
	int64_t now = leat_clock_mono_us(lane->engine->clock);
	if (lane->disagree_us == 0)
		lane->disagree_us = now;
	if (now - lane->disagree_us < DISAGREE_US)
		return 0;
	for (size_t i = 0; i < lane->pipeline->source_count; i++)
		if (lane->row_positions[i] >= 0 && lane->intakes[i].next_offset < 0)
			return leat_fail(fault, LEAT_EGAP, "%s[%d] has no committed position, but the state of task %d stands for %lld: the topic was deleted, which takes its positions along, or they expired. "
					 "--accept-state-loss goes on with what is in it now and the state as it is", lane->pipeline->sources[i].topic, (int)lane->task, (int)lane->task, (long long)lane->row_positions[i]);
		else if (!lane->row_found && lane->intakes[i].next_offset >= 0)
			return fail_incomplete(lane, fault);
		else if (lane->row_positions[i] != lane->intakes[i].next_offset)
			return leat_fail(fault, LEAT_EGAP, "%s[%d]: the group's position is %lld, but the state of task %d stands for %lld: somebody moved the positions. Move them back, or skip with `leat skip`; "
					 "--accept-state-loss goes on from the group's position with the state as it is", lane->pipeline->sources[i].topic, (int)lane->task,
					 (long long)lane->intakes[i].next_offset, (int)lane->task, (long long)lane->row_positions[i]);
	return 0;
}

/* What was committed is not in the changelog: it was deleted, or lost records. */
static int wait_or_give_up(struct leat_lane *lane, struct leat_fault *fault)
{
	int64_t now = leat_clock_mono_us(lane->engine->clock);
	if (lane->incomplete_us == 0)
		lane->incomplete_us = now;
	if (now - lane->incomplete_us < INCOMPLETE_US)
		return 0;
	if (!lane->engine->accept_state_loss)
		return fail_incomplete(lane, fault);
	lane->skipped = true;
	return 0;
}

/* 1: the store has all that is committed, and the pipeline fits it. */
static int restore(struct leat_lane *lane, struct leat_fault *fault)
{
	int at_end = lane->ops->keeps_rows ? 1 : restore_slice(lane, fault);
	leat_crashpoint("restore.slice");
	if (at_end == LEAT_EGAP) {
		leat_flow_close(lane);
		lane->flow_open = false;
		LEAT_TRY(discard_store(lane, "the changelog no longer reaches back to it", fault));
		lane->state = LEAT_LANE_OPENING;
		return 0;
	}
	if (at_end <= 0)
		return at_end;
	LEAT_TRY(read_task_row(lane, fault));
	if (!positions_agree(lane)) {
		LEAT_TRY(still_disagree(lane, fault));
		int known = read_positions(lane, fault);
		leat_log_seldom(LEAT_INFO, lane, 2000, "task %d waits until the changelog has the last commit", (int)lane->task);
		return known < 0 ? known : wait_or_give_up(lane, fault);
	}
	LEAT_TRY(leat_lane_meaning_open(lane, fault));
	return positions_are_there(lane, fault);
}

/* In slices: what is done is not done again, because each question to the broker costs time that the other tasks wait. */
static int advance_restoring(struct leat_lane *lane, struct leat_fault *fault)
{
	if (!lane->whole) {
		int rc = restore(lane, fault);
		if (rc <= 0)
			return rc;
		lane->whole = true;
	}
	int open = leat_shared_open(lane, fault);
	return open <= 0 ? open : start_running(lane, fault);
}

int leat_lane_advance(struct leat_lane *lane, struct leat_fault *fault)
{
	int rc = lane->state == LEAT_LANE_OPENING ? advance_opening(lane, fault) : advance_restoring(lane, fault);
	if (rc < 0 && rc != LEAT_ERETRY) {
		lane->state = LEAT_LANE_FAILED;
		if (fault)
			lane->fault = *fault;
	}
	if (rc == LEAT_ERETRY)
		leat_log_seldom(LEAT_INFO, lane, 5000, "task %d cannot be opened yet: %s", (int)lane->task, fault ? fault->text : "");
	return rc == LEAT_ERETRY ? 0 : rc;
}

int leat_lane_open(struct leat_lane **out, const struct leat_engine *engine, struct leat_session *session, int32_t task, struct leat_fault *fault)
{
	struct leat_lane *lane = leat_calloc(1, sizeof *lane);
	int rc = LEAT_ENOMEM;
	*out = NULL;
	if (!lane)
		goto out;
	lane->engine = engine;
	lane->pipeline = engine->pipeline;
	lane->ops = engine->transport->ops;
	lane->session = session;
	lane->task = task;
	lane->watermark_ms = INT64_MIN;
	lane->opened_us = lane->blocked_us = leat_clock_mono_us(engine->clock);
	snprintf(lane->changelog, sizeof lane->changelog, "%s.changelog", lane->pipeline->name);
	if ((rc = leat_writes_open(&lane->writes)) < 0 || (rc = open_store(lane, fault)) < 0)
		goto out;
	*out = lane;
	lane = NULL;
out:
	if (rc == LEAT_ENOMEM)
		leat_fail(fault, rc, "task %d: out of memory", (int)task);
	leat_lane_close(lane, false);
	return rc;
}

void leat_lane_close(struct leat_lane *lane, bool clean)
{
	if (!lane)
		return;
	struct leat_fault fault = { 0 };
	bool flush = clean && lane->state == LEAT_LANE_RUNNING && !lane->ops->keeps_rows && leat_lane_write_behind(lane, &fault) >= 0;
	if (fault.code)
		leat_log(LEAT_WARNING, "task %d: its state could not be written at the end (the changelog has it): %s", (int)lane->task, fault.text);
	if (lane->reader)
		lane->ops->reader_close(lane->reader);
	for (size_t i = 0; i < lane->pipeline->source_count; i++)
		leat_intake_close(lane, i);
	for (size_t i = 0; lane->nodes && i < lane->pipeline->node_count; i++)
		leat_rekey_out_close(lane->nodes[i].rekey);
	leat_outlet_close(lane);
	leat_flow_close(lane);
	leat_writes_free(lane->writes);
	leat_store_close(lane->store, flush);
	leat_buffer_free(&lane->meaning);
	leat_lane_tail_clear(lane);
	leat_free(lane->marks);
	leat_free(lane);
}

int64_t leat_lane_lag(const struct leat_lane *lane)
{
	int64_t sum = 0;
	for (size_t i = 0; lane->state == LEAT_LANE_RUNNING && i < lane->pipeline->source_count; i++) {
		const struct leat_source *source = &lane->pipeline->sources[i];
		if (source->rekey >= 0 || source->deltas)
			continue;   /* records of our own are no events */
		int64_t lag = lane->intakes[i].feed ? lane->ops->feed_lag(lane->intakes[i].feed) : -1;
		if (lag > 0)
			sum += lag;
	}
	return sum;
}
