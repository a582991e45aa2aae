/* A task's side of the shared tables: views of all rows, deltas that are pending, and keeping both in step with the replica. */
#include "stream/shared_internal.h"

#include <math.h>

enum { SENT_MOST = 32 << 20 };   /* bytes of deltas that wait for dead owners before those of one row are taken together */

/* ---- view entries ---- */

static size_t visible_size(enum leat_merge merge, size_t numbers)
{
	return (numbers * (merge == LEAT_MERGE_FACTOR ? sizeof(float) : sizeof(int64_t)) + 7) & ~(size_t)7;
}

size_t leat_shared_view_size(const struct leat_node_table *table)
{
	return ((table->entry_size + 7) & ~(size_t)7) + sizeof(struct leat_view) + table->numbers * sizeof(int64_t);
}

static struct leat_view *view_of(const struct leat_shared_table *table, void *entry)
{
	return (struct leat_view *)(void *)((uint8_t *)entry + table->visible);
}

void leat_shared_show(const struct leat_shared_table *table, void *entry)
{
	const struct leat_view *view = view_of(table, entry);
	const int64_t *total = view->pending ? view->pending->total : view->base;
	if (table->merge == LEAT_MERGE_FACTOR)
		leat_merge_show_factor(total, entry, table->numbers);
	else
		memcpy(entry, total, table->numbers * sizeof *total);
}

/* What the row is before anybody changed it. */
static void first_numbers(const struct leat_shared_table *table, struct leat_bytes key, int64_t *base)
{
	int64_t room[LEAT_SHARED_NUMBERS_MAX];   /* aligned for floats and int64s alike */
	memset(room, 0, sizeof room);
	if (table->init)
		table->init(table->self, room, key);
	for (size_t i = 0; i < table->numbers; i++)
		base[i] = table->merge == LEAT_MERGE_FACTOR ? leat_grid_from((double)((const float *)(const void *)room)[i]) : room[i];
}

static struct leat_bytes whole_key(const struct leat_shared_table *table, struct leat_bytes key, uint8_t room[LEAT_ROW_KEY_MAX])
{
	memcpy(room, &table->tag, sizeof table->tag);
	if (key.length)
		memcpy(room + sizeof table->tag, key.data, key.length);
	return leat_bytes(room, key.length + sizeof table->tag);
}

void leat_shared_view_init(const void *self, void *entry, struct leat_bytes key)
{
	const struct leat_shared_table *table = self;
	struct leat_view *view = view_of(table, entry);
	uint8_t room[LEAT_ROW_KEY_MAX];
	if (key.length > LEAT_SHARED_KEY_MOST || !leat_replica_get(table->lane->shared->replica, whole_key(table, key, room), view->base, table->numbers))
		first_numbers(table, key, view->base);
	leat_shared_show(table, entry);
}

void leat_shared_owner_init(const void *self, void *entry, struct leat_bytes key)
{
	/* An owner's row has the key tag ‖ key, and room for an entry of every shared table: an operator's init() must not see the keys of another. */
	const struct leat_shared_table *table = self;
	uint32_t tag;
	memcpy(&tag, key.data, sizeof tag);
	if (tag == table->tag)
		first_numbers(table, leat_bytes(key.data + sizeof tag, key.length - sizeof tag), entry);
}

/* ---- tables ---- */

struct leat_shared_table *leat_shared_table(const struct leat_lane *lane, int node, int table)
{
	for (size_t i = 0; lane->shared && i < lane->shared->table_count; i++)
		if (lane->shared->tables[i].node == node && lane->shared->tables[i].table == table)
			return &lane->shared->tables[i];
	return NULL;
}

struct leat_shared_table *leat_shared_find(struct leat_shared *shared, uint32_t tag)
{
	for (size_t i = 0; i < shared->table_count; i++)
		if (shared->tables[i].tag == tag)
			return &shared->tables[i];
	return NULL;
}

static void add_table(struct leat_lane *lane, size_t node_index, size_t index)
{
	struct leat_shared *shared = lane->shared;
	const struct leat_node *node = &lane->pipeline->nodes[node_index];
	const struct leat_node_table *planned = &node->table[index];
	enum leat_merge merge = node->op->tables[index].merge;
	size_t numbers = planned->numbers;
	LEAT_ASSERT(shared->table_count < LEAT_TABLES_MAX);
	shared->tables[shared->table_count] = (struct leat_shared_table){
		.lane = lane, .tag = planned->tag, .index = (uint32_t)shared->table_count, .node = (int)node_index, .table = (int)index, .merge = merge, .numbers = numbers,
		.visible = visible_size(merge, numbers), .self = lane->nodes[node_index].self, .init = node->op->tables[index].init, .view_index = planned->index,
		.pendings = { .size = sizeof(struct leat_pending) + 2 * numbers * sizeof(int64_t) }, .sents = { .size = sizeof(struct leat_sent) + numbers * sizeof(int64_t) } };
	shared->table_count++;
}

int leat_shared_prepare_tables(struct leat_lane *lane)
{
	const struct leat_pipeline *pipeline = lane->pipeline;
	if (pipeline->deltas_source < 0)
		return 0;
	struct leat_shared *shared = lane->shared = leat_calloc(1, sizeof *shared);
	if (!shared)
		return LEAT_ENOMEM;
	shared->tasks = lane->engine->tasks;
	shared->replica = lane->engine->replica;
	shared->sent_most = SENT_MOST;
	shared->included = leat_calloc((size_t)shared->tasks, sizeof *shared->included);
	shared->owners = leat_calloc((size_t)shared->tasks, sizeof *shared->owners);
	if (!shared->included || !shared->owners)
		return LEAT_ENOMEM;
	for (size_t n = 0; n < pipeline->node_count; n++)
		for (size_t t = 0; t < pipeline->nodes[n].tables; t++)
			if (pipeline->nodes[n].table[t].kind == LEAT_SHARED)
				add_table(lane, n, t);
	return 0;
}

void leat_shared_close(struct leat_lane *lane)
{
	struct leat_shared *shared = lane->shared;
	if (!shared)
		return;
	if (shared->reader)
		lane->ops->reader_close(shared->reader);
	leat_owner_clear(shared);
	for (size_t i = 0; i < shared->table_count; i++) {
		leat_pieces_close(&shared->tables[i].pendings);
		leat_pieces_close(&shared->tables[i].sents);
		leat_sorted_close(&shared->tables[i].known);
	}
	leat_free(shared->touched);
	leat_free(shared->included);
	leat_free(shared->owners);
	leat_free(shared);
	lane->shared = NULL;
}

int leat_shared_row(struct leat_shared_table *table, struct leat_bytes key, struct leat_row **out)
{
	uint32_t hash = leat_murmur2(key.data, key.length);
	int64_t now = INT64_MIN;
	return leat_rows_find(table->rows, &key, &hash, &now, 1, out);
}

/* ---- known keys ---- */

int leat_shared_know(struct leat_shared_table *table, struct leat_row *row)
{
	if (row->present >> table->view_index & 1)
		return 0;
	LEAT_TRY(leat_sorted_add(&table->known, table->rows, row));
	leat_rows_touch(table->rows, row, table->view_index, 0);
	return 0;
}

size_t leat_shared_count(const struct leat_shared_table *table)
{
	return table->known.count;
}

struct leat_row *leat_shared_at(const struct leat_shared_table *table, size_t index)
{
	return leat_sorted_at(&table->known, index);
}

/* ---- deltas of the open transaction ---- */

struct leat_pending *leat_shared_pending(struct leat_shared_table *table, struct leat_row *row)
{
	struct leat_view *view = leat_shared_view(table, row);
	if (view->pending)
		return view->pending;
	struct leat_pending *pending = leat_pieces_take(&table->pendings);
	if (!pending)
		return NULL;
	pending->row = row;
	pending->table = table;
	memcpy(pending->total, view->base, table->numbers * sizeof *view->base);
	memcpy(pending->total + table->numbers, view->base, table->numbers * sizeof *view->base);
	return view->pending = pending;
}

static void drop_pending(struct leat_pending *pending)
{
	leat_shared_view(pending->table, pending->row)->pending = NULL;
	leat_pieces_give(&pending->table->pendings, pending);
}

static int reserve_touched(struct leat_shared *shared)
{
	if (shared->touched_count < shared->touched_capacity)
		return 0;
	if (shared->touched_count >> LEAT_SHARED_SEQUENCE_SHIFT)
		return LEAT_ELIMIT;
	size_t capacity = LEAT_MAX(shared->touched_capacity * 2, (size_t)256);
	struct leat_pending **touched = leat_realloc(shared->touched, capacity * sizeof(struct leat_pending *));
	if (!touched)
		return LEAT_ENOMEM;
	shared->touched = touched;
	shared->touched_capacity = capacity;
	return 0;
}

static int first_touch(struct leat_shared_table *table, struct leat_row *row)
{
	struct leat_shared *shared = table->lane->shared;
	if (leat_rows_key(table->rows, row).length > LEAT_SHARED_KEY_MOST)
		return LEAT_ELIMIT;
	LEAT_TRY(reserve_touched(shared));
	struct leat_pending *pending = leat_shared_pending(table, row);
	int rc = pending ? leat_shared_know(table, row) : LEAT_ENOMEM;
	if (rc < 0) {
		if (pending && pending->sent == 0)
			drop_pending(pending);
		return rc;
	}
	shared->touched[shared->touched_count++] = pending;
	pending->touched = true;
	table->lane->touched = true;
	return 0;
}

int leat_shared_add(struct leat_shared_table *table, struct leat_row *row, const void *delta, double curvature)
{
	struct leat_view *view = leat_shared_view(table, row);
	if (!view->pending || !view->pending->touched)
		LEAT_TRY(first_touch(table, row));
	struct leat_pending *pending = view->pending;
	void *visible = (uint8_t *)row + table->offset;
	if (table->merge == LEAT_MERGE_FACTOR)
		leat_merge_step_factor(delta, pending->total, visible, table->numbers);
	else
		leat_merge_step_sum(delta, pending->total, visible, table->numbers);
	pending->curvature += curvature > 0 && isfinite(curvature) ? curvature : 0;
	return 0;
}

/* ---- what was sent and is not confirmed ---- */

static void unlink_sent(struct leat_owner_link *owner, struct leat_sent *sent)
{
	*(sent->previous ? &sent->previous->next : &owner->first) = sent->next;
	*(sent->next ? &sent->next->previous : &owner->last) = sent->previous;
}

static void link_last(struct leat_owner_link *owner, struct leat_sent *sent)
{
	sent->next = NULL;
	sent->previous = owner->last;
	*(owner->last ? &owner->last->next : &owner->first) = sent;
	owner->last = sent;
}

/*
 * While an owner is away what waits for it grows. Beyond the bound a row's deltas are kept as one, under the newest sequence: the view may then hold
 * one twice for as long as the owner needs to catch up. Not with the owner in this very task: then the view is exact.
 */
static struct leat_sent *take_together(struct leat_shared *shared, const struct leat_pending *pending, int32_t owner)
{
	struct leat_sent *newest = pending->newest;
	if (shared->sent_bytes < shared->sent_most || !newest || owner == pending->table->lane->task)
		return NULL;
	unlink_sent(&shared->owners[owner], newest);
	return newest;
}

int leat_shared_sent(struct leat_shared *shared, struct leat_pending *pending, int32_t owner, uint64_t sequence, const int64_t *delta)
{
	struct leat_shared_table *table = pending->table;
	struct leat_sent *sent = take_together(shared, pending, owner);
	if (!sent) {
		sent = leat_pieces_take(&table->sents);
		if (!sent)
			return LEAT_ENOMEM;
		shared->sent_bytes += table->sents.size;
		sent->pending = pending;
		pending->sent++;
	}
	sent->sequence = sequence;
	leat_merge_add(sent->delta, delta, table->numbers);
	pending->newest = sent;
	link_last(&shared->owners[owner], sent);
	return 0;
}

static void confirm_one(struct leat_shared *shared, struct leat_owner_link *owner, struct leat_sent *sent)
{
	struct leat_pending *pending = sent->pending;
	struct leat_shared_table *table = pending->table;
	void *entry = (uint8_t *)pending->row + table->offset;
	unlink_sent(owner, sent);
	leat_merge_subtract(pending->total, sent->delta, table->numbers);
	leat_merge_subtract(pending->total + table->numbers, sent->delta, table->numbers);
	if (pending->newest == sent)
		pending->newest = NULL;
	shared->sent_bytes -= table->sents.size;
	leat_pieces_give(&table->sents, sent);
	if (--pending->sent == 0 && !pending->touched)
		drop_pending(pending);
	leat_shared_show(table, entry);
}

/* What @owner has included is in its rows now and no longer pending here. */
static void confirm(struct leat_shared *shared, int32_t number, uint64_t included)
{
	struct leat_owner_link *owner = &shared->owners[number];
	while (owner->first && owner->first->sequence <= included)
		confirm_one(shared, owner, owner->first);
}

/* ---- committing ---- */

static int send_delta(struct leat_lane *lane, struct leat_pending *pending, uint64_t sequence, struct leat_fault *fault)
{
	struct leat_shared *shared = lane->shared;
	const struct leat_shared_table *table = pending->table;
	struct leat_bytes key = leat_rows_key(table->rows, pending->row);
	int64_t current[LEAT_SHARED_NUMBERS_MAX];
	size_t size = table->numbers * sizeof *current;
	uint8_t room[LEAT_ROW_KEY_MAX], value[sizeof(struct leat_delta_head) + LEAT_SHARED_NUMBERS_MAX * sizeof(int64_t)];
	struct leat_delta_head head = { (uint32_t)lane->task, 0, sequence, pending->curvature };
	int32_t owner = leat_partition_of(key.data, key.length, shared->tasks);
	memcpy(current, pending->total, size);
	leat_merge_subtract(current, pending->total + table->numbers, table->numbers);
	memcpy(value, &head, sizeof head);
	memcpy(value + sizeof head, current, size);
	const struct leat_record record = { .timestamp_ms = -1, .key = whole_key(table, key, room), .value = leat_bytes(value, sizeof head + size) };
	if (leat_shared_sent(shared, pending, owner, sequence, current) < 0)
		return leat_fail(fault, LEAT_ENOMEM, "out of memory");
	LEAT_TRY(lane->ops->session_send(lane->session, lane->pipeline->sources[lane->pipeline->deltas_source].topic, owner, &record, 0, fault));
	shared->owners[owner].sent = sequence;
	memcpy(pending->total + table->numbers, pending->total, size);
	pending->curvature = 0;
	pending->touched = false;
	return 0;
}

bool leat_shared_due(const struct leat_lane *lane)
{
	return lane->shared && (lane->shared->touched_count > 0 || lane->shared->received);
}

int leat_shared_prepare(struct leat_lane *lane, struct leat_fault *fault)
{
	struct leat_shared *shared = lane->shared;
	if (!shared || !leat_shared_due(lane))
		return 0;
	uint64_t commit = (lane->sequence + 1) << LEAT_SHARED_SEQUENCE_SHIFT;
	for (size_t i = 0; i < shared->touched_count; i++)
		LEAT_TRY(send_delta(lane, shared->touched[i], commit + i, fault));
	shared->touched_count = 0;
	LEAT_TRY(leat_owner_prepare(lane, fault));
	leat_crashpoint("shared.prepared");
	return 0;
}

void leat_shared_committed(struct leat_lane *lane)
{
	if (lane->shared)
		lane->shared->received = false;
}

/* ---- following the replica ---- */

static int refresh_row(void *self, const struct leat_replica_row *from)
{
	struct leat_lane *lane = self;
	uint32_t tag;
	struct leat_row *row;
	memcpy(&tag, from->key, sizeof tag);
	struct leat_shared_table *table = leat_shared_find(lane->shared, tag);
	LEAT_ASSERT(table && table->numbers == from->count);   /* the replica keeps no others */
	LEAT_TRY(leat_shared_row(table, leat_bytes(from->key + sizeof tag, from->key_length - sizeof tag), &row));
	LEAT_TRY(leat_shared_know(table, row));
	struct leat_view *view = leat_shared_view(table, row);
	for (size_t i = 0; view->pending && i < table->numbers; i++) {
		int64_t change = leat_merge_minus(from->numbers[i], view->base[i]);
		view->pending->total[i] = leat_merge_plus(view->pending->total[i], change);
		view->pending->total[table->numbers + i] = leat_merge_plus(view->pending->total[table->numbers + i], change);
	}
	memcpy(view->base, from->numbers, table->numbers * sizeof *from->numbers);
	leat_shared_show(table, (uint8_t *)row + table->offset);
	return 0;
}

static int take_event(void *self, const struct leat_replica_event *event)
{
	struct leat_lane *lane = self;
	for (size_t i = 0; i < event->row_count; i++)
		LEAT_TRY(refresh_row(lane, event->rows[i]));
	confirm(lane->shared, event->owner, (uint64_t)event->included[lane->task]);
	leat_crashpoint("shared.refreshed");
	return 0;
}

int leat_shared_take_everything(struct leat_lane *lane)
{
	struct leat_shared *shared = lane->shared;
	int64_t *included = leat_calloc((size_t)shared->tasks, sizeof *included);
	uint64_t seen = 0;
	if (!included)
		return LEAT_ENOMEM;
	int rc = leat_replica_each(shared->replica, &seen, lane->task, included, refresh_row, lane);
	for (int32_t owner = 0; rc >= 0 && owner < shared->tasks; owner++)
		confirm(shared, owner, (uint64_t)included[owner]);
	if (rc >= 0)
		shared->seen_event = seen;
	leat_free(included);
	return rc;
}

int leat_shared_refresh(struct leat_lane *lane)
{
	if (!lane->shared)
		return 0;
	int rc = leat_replica_events(lane->shared->replica, &lane->shared->seen_event, take_event, lane);
	return rc == LEAT_EGAP ? leat_shared_take_everything(lane) : rc;
}
