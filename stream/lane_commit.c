/* A task's part of a commit: rows into the transaction, and afterwards into RocksDB, behind. */
#include "stream/lane_meaning.h"
#include "stream/lane_row.h"
#include "stream/lane_tail.h"
#include "stream/rekey.h"
#include "stream/shared.h"
#include "stream/trim.h"

size_t leat_lane_dirty_bytes(const struct leat_lane *lane)
{
	size_t sum = 0;
	for (size_t i = 0; i < lane->pipeline->group_count; i++)
		if (lane->groups[i].rows && lane->pipeline->groups[i].kind == LEAT_KEYED)
			sum += leat_rows_dirty_bytes(lane->groups[i].rows);
	return sum;
}

struct send { struct leat_lane *lane; struct leat_fault *fault; };

static int send_row(void *self, struct leat_bytes key, struct leat_bytes value)
{
	struct send *send = self;
	struct leat_lane *lane = send->lane;
	return lane->ops->session_row(lane->session, lane->task, lane->changelog, key, value, send->fault);
}

static int prepare_group(struct leat_lane *lane, struct leat_rows *rows, struct leat_fault *fault)
{
	struct send send = { lane, fault };
	if (lane->ops->keeps_rows)
		return leat_rows_write_dirty(rows, lane->ops->session_writes(lane->session), fault);
	return leat_rows_encode_dirty(rows, send_row, &send, fault);
}

static int put_row(struct leat_lane *lane, struct leat_bytes key, struct leat_bytes value, struct leat_fault *fault)
{
	if (lane->ops->keeps_rows) {
		leat_writes_put(lane->ops->session_writes(lane->session), lane->store, LEAT_FAMILY_ROWS, key, value);
		return 0;
	}
	return lane->ops->session_row(lane->session, lane->task, lane->changelog, key, value, fault);
}

static int prepare_own_rows(struct leat_lane *lane, struct leat_fault *fault)
{
	struct leat_bytes value;
	if (lane->meaning_due)
		LEAT_TRY(put_row(lane, leat_lane_meaning_key, leat_lane_meaning(lane), fault));
	if (leat_lane_row_encode(lane, &value) < 0)
		return leat_fail(fault, LEAT_ENOMEM, "out of memory");
	return put_row(lane, leat_lane_row_key, value, fault);   /* last: it makes the commit whole */
}

static void prepare_meta(struct leat_lane *lane)
{
	lane->meta.commits = lane->sequence + 1;
	lane->meta.watermark_ms = lane->watermark_ms;
	lane->meta.commit_wall_ms = leat_clock_wall_ms(lane->engine->clock);
	if (lane->ops->keeps_rows)
		leat_store_meta_put(lane->ops->session_writes(lane->session), lane->store, &lane->meta);
}

/* Entries past their ttl that no event touches any more are found bit by bit. */
static int sweep(struct leat_lane *lane, struct leat_fault *fault)
{
	enum { KEYS_PER_COMMIT = 256 };
	for (size_t i = 0; i < lane->pipeline->group_count && lane->watermark_ms > 0; i++) {
		const struct leat_group *group = &lane->pipeline->groups[i];
		bool expires = false;
		for (size_t k = 0; k < group->count && !group->owner; k++)
			expires |= lane->pipeline->nodes[group->member[k].node].table[group->member[k].table].ttl_ms > 0;
		if (expires && group->kind == LEAT_KEYED)
			LEAT_TRY(leat_rows_sweep(lane->groups[i].rows, lane->watermark_ms, KEYS_PER_COMMIT, fault));
	}
	return 0;
}

long leat_lane_prepare(struct leat_lane *lane, struct leat_position *positions, struct leat_fault *fault)
{
	long count = 0;
	for (size_t i = 0; i < lane->pipeline->node_count; i++)
		if (lane->nodes[i].rekey)
			LEAT_TRY(leat_rekey_out_marks(lane, lane->nodes[i].rekey, fault));
	LEAT_TRY(sweep(lane, fault));
	LEAT_TRY(leat_shared_prepare(lane, fault));   /* before the rows: merging dirties the owner's */
	LEAT_TRY(leat_lane_tail_send(lane, fault));
	for (size_t i = 0; i < lane->pipeline->group_count; i++)
		if (lane->pipeline->groups[i].kind == LEAT_KEYED)
			LEAT_TRY(prepare_group(lane, lane->groups[i].rows, fault));
	LEAT_TRY(prepare_own_rows(lane, fault));
	prepare_meta(lane);
	for (size_t i = 0; i < lane->pipeline->source_count; i++)
		if (lane->intakes[i].next_offset >= 0)
			positions[count++] = (struct leat_position){ lane->pipeline->sources[i].topic, lane->task, lane->intakes[i].next_offset };
	return count;
}

/* ---- behind ---- */

int leat_lane_write_behind(struct leat_lane *lane, struct leat_fault *fault)
{
	if (lane->mark_count == 0)
		return 0;
	const struct leat_mark *last = &lane->marks[lane->mark_count - 1];
	struct leat_bytes value;
	for (size_t i = 0; i < lane->pipeline->group_count; i++)
		if (lane->pipeline->groups[i].kind == LEAT_KEYED) {
			long rows = leat_rows_write_behind(lane->groups[i].rows, last->sequence, lane->writes, fault);
			if (rows < 0)
				return (int)rows;
		}
	if (leat_lane_row_encode(lane, &value) < 0)
		return leat_fail(fault, LEAT_ENOMEM, "out of memory");
	leat_writes_put(lane->writes, lane->store, LEAT_FAMILY_ROWS, leat_lane_row_key, value);
	if (lane->meaning.length)
		leat_writes_put(lane->writes, lane->store, LEAT_FAMILY_ROWS, leat_lane_meaning_key, leat_lane_meaning(lane));
	lane->meta.changelog_offset = last->changelog_end;
	leat_store_meta_put(lane->writes, lane->store, &lane->meta);
	LEAT_TRY(leat_store_write(lane->store, lane->writes, fault));
	lane->mark_count = 0;
	return 0;
}

static int add_mark(struct leat_lane *lane, int64_t changelog_end)
{
	if (lane->mark_count == lane->mark_capacity) {
		size_t capacity = LEAT_MAX(lane->mark_capacity * 2, (size_t)16);
		struct leat_mark *marks = leat_realloc(lane->marks, capacity * sizeof *marks);
		if (!marks)
			return LEAT_ENOMEM;
		lane->marks = marks;
		lane->mark_capacity = capacity;
	}
	lane->marks[lane->mark_count++] = (struct leat_mark){ lane->sequence, changelog_end };
	return 0;
}

/* Rows go to RocksDB just before it is flushed: then the write buffer only passes them on, and a row changed often is written once. */
static int catch_up(struct leat_lane *lane, struct leat_fault *fault)
{
	int64_t end = lane->marks[lane->mark_count - 1].changelog_end;
	if (end - lane->flushed_offset <= (int64_t)lane->engine->behind_max)
		return 0;
	LEAT_TRY(leat_lane_write_behind(lane, fault));
	LEAT_TRY(leat_store_flush(lane->store, fault));
	lane->flushed_offset = end;
	return 0;
}

static size_t dirty_rows(const struct leat_lane *lane)
{
	size_t sum = 0;
	for (size_t i = 0; i < lane->pipeline->group_count; i++)
		if (lane->groups[i].rows && lane->pipeline->groups[i].kind == LEAT_KEYED)
			sum += leat_rows_dirty_count(lane->groups[i].rows);
	return sum;
}

bool leat_lane_must_write(const struct leat_lane *lane)
{
	int64_t end = lane->mark_count ? lane->marks[lane->mark_count - 1].changelog_end : lane->flushed_offset;
	return end + (int64_t)dirty_rows(lane) - lane->flushed_offset > (int64_t)lane->engine->behind_max;
}

void leat_lane_sealed(struct leat_lane *lane)
{
	lane->sequence++;
	lane->touched = lane->urgent = lane->meaning_due = false;
	lane->sealed_samples = lane->sampled;
	leat_lane_tail_clear(lane);
	leat_shared_committed(lane);
	for (size_t i = 0; i < lane->pipeline->source_count; i++)
		lane->intakes[i].committed_offset = lane->intakes[i].next_offset;
	for (size_t i = 0; i < lane->pipeline->group_count; i++)
		if (lane->pipeline->groups[i].kind == LEAT_KEYED)
			leat_rows_committed(lane->groups[i].rows, lane->sequence);
}

int leat_lane_committed(struct leat_lane *lane, bool beside, struct leat_fault *fault)
{
	int rc = 0;
	lane->committed_ms = lane->meta.commit_wall_ms;
	leat_trims_note(lane->engine->trims, lane);
	leat_crashpoint("commit.before_store");
	if (!lane->ops->keeps_rows) {
		rc = add_mark(lane, lane->ops->session_changelog_end(lane->session, lane->task));
		if (rc >= 0 && !beside)
			rc = catch_up(lane, fault);
		if (rc >= 0)
			rc = leat_store_health(lane->store, fault);   /* of flushes and compactions since */
	}
	leat_crashpoint("commit.after_store");
	if (rc < 0) {
		lane->state = LEAT_LANE_FAILED;
		lane->fault = fault ? *fault : (struct leat_fault){ .code = rc };
	}
	return rc;
}
