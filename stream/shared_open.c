/* Opening a task's shared tables: the newest rows, and what this task sent and no owner has included is pending again. */
#include "stream/shared_internal.h"

enum { RECORDS = 4096, WAIT_MS = 20, PATIENCE_US = 20000000, SLICE_US = 20000 };

/* ---- the task row ---- */

size_t leat_shared_save(const struct leat_lane *lane, int64_t *marks, size_t count)
{
	const struct leat_shared *shared = lane->shared;
	size_t tasks = (size_t)shared->tasks;
	LEAT_ASSERT(count >= 2 * tasks);
	memcpy(marks, shared->included, tasks * sizeof *marks);
	for (size_t owner = 0; owner < tasks; owner++)
		marks[tasks + owner] = (int64_t)shared->owners[owner].sent;
	return 2 * tasks;
}

void leat_shared_load(struct leat_lane *lane, const int64_t *marks, size_t count)
{
	struct leat_shared *shared = lane->shared;
	size_t tasks = (size_t)shared->tasks;
	for (size_t i = 0; i < count && i < 2 * tasks; i++) {
		if (!leat_shared_sequence_is((uint64_t)marks[i]))
			continue;
		if (i < tasks)
			shared->included[i] = marks[i];
		else
			shared->owners[i - tasks].sent = (uint64_t)marks[i];
	}
}

/* ---- the rows, and what this task has included as owner ---- */

/*
 * The pipeline may have run for a while without shared tables: then the task row knows nothing of them, and the last closing record does. Sequences go on
 * above all that were ever seen, also when the task row is lost.
 */
static int start(struct leat_lane *lane)
{
	struct leat_shared *shared = lane->shared;
	size_t tasks = (size_t)shared->tasks;
	int64_t *included = leat_calloc(tasks, sizeof *included);
	if (!included)
		return LEAT_ENOMEM;
	for (size_t i = 0; i < shared->table_count; i++) {
		struct leat_shared_table *table = &shared->tables[i];
		int group = lane->pipeline->nodes[table->node].table[table->table].group;
		table->rows = lane->groups[group].rows;
		table->offset = leat_rows_offset(table->rows, table->view_index);
	}
	leat_replica_included(shared->replica, lane->task, included);
	for (size_t sender = 0; sender < tasks; sender++)
		shared->included[sender] = LEAT_MAX(shared->included[sender], included[sender]);
	for (int32_t owner = 0; owner < shared->tasks; owner++) {
		leat_replica_included(shared->replica, owner, included);
		uint64_t newest = LEAT_MAX(shared->owners[owner].sent, (uint64_t)included[lane->task]);
		lane->sequence = LEAT_MAX(lane->sequence, newest >> LEAT_SHARED_SEQUENCE_SHIFT);
	}
	leat_free(included);
	int rc = leat_shared_take_everything(lane);
	shared->based = rc >= 0;
	return rc;
}

/* ---- own deltas ---- */

static int add_pending(struct leat_lane *lane, const struct leat_record *record, uint64_t included)
{
	struct leat_shared *shared = lane->shared;
	struct leat_delta_head head;
	uint32_t tag;
	struct leat_row *row;
	int64_t delta[LEAT_SHARED_NUMBERS_MAX];
	if (!record->key.data || record->key.length < sizeof tag || record->key.length > LEAT_ROW_KEY_MAX || record->value.length < sizeof head)
		return 0;
	memcpy(&tag, record->key.data, sizeof tag);
	memcpy(&head, record->value.data, sizeof head);
	if (head.sender != (uint32_t)lane->task || head.sequence <= shared->reached || head.sequence > shared->owners[shared->opening].sent)
		return 0;
	shared->reached = head.sequence;
	struct leat_shared_table *table = leat_shared_find(shared, tag);
	if (!table || head.sequence <= included || record->value.length != sizeof head + table->numbers * sizeof *delta)
		return 0;
	LEAT_TRY(leat_shared_row(table, leat_bytes(record->key.data + sizeof tag, record->key.length - sizeof tag), &row));
	LEAT_TRY(leat_shared_know(table, row));
	struct leat_pending *pending = leat_shared_pending(table, row);
	memcpy(delta, record->value.data + sizeof head, table->numbers * sizeof *delta);
	if (!pending || leat_shared_sent(shared, pending, shared->opening, head.sequence, delta) < 0)
		return LEAT_ENOMEM;
	leat_merge_add(pending->total, delta, table->numbers);
	leat_merge_add(pending->total + table->numbers, delta, table->numbers);
	leat_shared_show(table, (uint8_t *)row + table->offset);
	return 0;
}

static int open_reader(struct leat_lane *lane, struct leat_fault *fault)
{
	struct leat_shared *shared = lane->shared;
	const char *topic = lane->pipeline->sources[lane->pipeline->deltas_source].topic;
	int64_t first, end;
	LEAT_TRY(lane->ops->bounds(lane->engine->transport, topic, shared->opening, &first, &end, fault));
	return lane->ops->reader_open(lane->engine->transport, topic, shared->opening, first, &shared->reader, fault);
}

/* Always 1: an owner is done with. */
static int close_reader(struct leat_lane *lane)
{
	if (lane->shared->reader)
		lane->ops->reader_close(lane->shared->reader);
	lane->shared->reader = NULL;
	lane->shared->reached = 0;
	lane->shared->waiting_us = 0;
	return 1;
}

static uint64_t included_by(struct leat_lane *lane, int32_t owner, int64_t *room)
{
	leat_replica_included(lane->shared->replica, owner, room);
	return (uint64_t)room[lane->task];
}

/*
 * 1: everything that was sent to this owner is included or pending. The end of what can be read is no proof: another's open transaction, or a marker that is still
 * to be written, may hide our own last records for a moment. The task row says what there must be. Records that are no longer in the topic were included long
 * ago, the replica will say so; in the end patience runs out, for an owner whose topic was made again.
 */
static int read_owner(struct leat_lane *lane, int64_t *room, struct leat_fault *fault)
{
	struct leat_shared *shared = lane->shared;
	uint64_t included = included_by(lane, shared->opening, room), sent = shared->owners[shared->opening].sent;
	if (included >= sent || shared->reached >= sent)
		return 1;
	if (!shared->reader)
		LEAT_TRY(open_reader(lane, fault));
	const struct leat_record *records;
	bool at_end;
	int64_t position;
	long count = lane->ops->reader_next(shared->reader, &records, RECORDS, WAIT_MS, &at_end, &position, fault);
	for (long i = 0; i < count; i++)
		if (add_pending(lane, &records[i], included) < 0)
			return leat_fail(fault, LEAT_ENOMEM, "out of memory");
	if (count < 0 || shared->reached >= sent || count > 0)
		return count < 0 ? (int)count : shared->reached >= sent;
	int64_t now = leat_clock_mono_us(lane->engine->clock);
	if (shared->waiting_us == 0)
		shared->waiting_us = now;
	if (now - shared->waiting_us < PATIENCE_US)
		return 0;
	leat_log(LEAT_WARNING, "task %d: some of what it sent to the shared rows of task %d can be neither seen nor found included; its own view lacks it until that is so", (int)lane->task, (int)shared->opening);
	return 1;
}

int leat_shared_open(struct leat_lane *lane, struct leat_fault *fault)
{
	struct leat_shared *shared = lane->shared;
	if (!shared)
		return 1;
	LEAT_TRY(leat_replica_poll(shared->replica, fault));
	int rc = shared->based ? 0 : start(lane);
	if (rc < 0)
		return leat_fail(fault, rc, "the shared rows could not be taken over: %s", leat_error_text(rc));
	int64_t *room = leat_calloc((size_t)shared->tasks, sizeof *room);
	if (!room)
		return leat_fail(fault, LEAT_ENOMEM, "out of memory");
	int64_t began = leat_clock_mono_us(NULL);
	for (rc = 1; rc > 0 && shared->opening < shared->tasks;) {
		rc = read_owner(lane, room, fault);
		if (rc == 0 && shared->waiting_us == 0 && leat_clock_mono_us(NULL) - began < SLICE_US)
			rc = 1;
		else if (rc <= 0)
			break;
		else
			shared->opening += close_reader(lane);
	}
	leat_free(room);
	return rc;
}
