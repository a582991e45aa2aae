/* A task's side of the shared tables: views of all rows, deltas that are pending, and keeping both in step with the replica. */
#include "stream/shared_internal.h"

#include <math.h>

/* ---- view entries ---- */

static size_t visible_size(const struct leat_shared_table *table)
{
	return (table->numbers * (table->merge == LEAT_MERGE_FACTOR ? sizeof(float) : sizeof(int64_t)) + 7) & ~(size_t)7;
}

size_t leat_shared_view_size(const struct leat_node_table *table)
{
	size_t numbers = table->numbers;
	return ((table->entry_size + 7) & ~(size_t)7) + sizeof(struct leat_view) + 3 * numbers * sizeof(int64_t);
}

static struct leat_view *view_of(const struct leat_shared_table *table, void *entry)
{
	return (struct leat_view *)(void *)((uint8_t *)entry + visible_size(table));
}

/* The visible numbers from base + pending. */
static void show(const struct leat_shared_table *table, void *entry)
{
	const struct leat_view *view = view_of(table, entry);
	const int64_t *base = view->numbers, *pending = base + table->numbers;
	for (size_t i = 0; i < table->numbers; i++) {
		if (table->merge == LEAT_MERGE_FACTOR)
			((float *)entry)[i] = (float)leat_grid_to(base[i] + pending[i]);
		else
			((int64_t *)entry)[i] = base[i] + pending[i];
	}
}

static void whole_key(uint8_t *out, uint32_t tag, struct leat_bytes key)
{
	memcpy(out, &tag, sizeof tag);
	memcpy(out + sizeof tag, key.data, key.length);
}

/* What the row is before anybody changed it. */
static void first_numbers(const struct leat_shared_table *table, struct leat_bytes key, int64_t *base)
{
	double room[LEAT_SHARED_NUMBERS_MAX];    /* aligned for floats and int64s alike */
	memset(room, 0, sizeof room);
	if (table->init)
		table->init(table->self, room, key);
	for (size_t i = 0; i < table->numbers; i++)
		base[i] = table->merge == LEAT_MERGE_FACTOR ? leat_grid_from(((const float *)room)[i]) : ((const int64_t *)room)[i];
}

void leat_shared_view_init(const void *self, void *entry, struct leat_bytes key)
{
	const struct leat_shared_table *table = self;
	struct leat_view *view = view_of(table, entry);
	uint8_t whole[LEAT_SHARED_KEY_MAX];
	whole_key(whole, table->tag, key);
	if (!leat_replica_get(table->replica, whole, key.length + sizeof table->tag, view->numbers, table->numbers))
		first_numbers(table, key, view->numbers);
	show(table, entry);
}

void leat_shared_owner_init(const void *self, void *entry, struct leat_bytes key)
{
	/* An owner's row has the key tag ‖ key, so that tables may share a key text. */
	first_numbers(self, leat_bytes(key.data + sizeof(uint32_t), key.length - sizeof(uint32_t)), entry);
}

/* ---- tables ---- */

const void *leat_shared_table(struct leat_lane *lane, int node, int table)
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

int leat_shared_prepare_tables(struct leat_lane *lane)
{
	const struct leat_pipeline *pipeline = lane->pipeline;
	if (pipeline->deltas_source < 0)
		return 0;
	struct leat_shared *shared = lane->shared = leat_calloc(1, sizeof *shared);
	if (!shared || !(shared->included = leat_calloc((size_t)lane->engine->tasks, sizeof *shared->included)))
		return LEAT_ENOMEM;
	shared->replica = lane->engine->replica;
	for (size_t n = 0; n < pipeline->node_count; n++) {
		const struct leat_node *node = &pipeline->nodes[n];
		for (size_t t = 0; t < node->tables; t++) {
			if (node->table[t].kind != LEAT_SHARED)
				continue;
			shared->tables[shared->table_count++] = (struct leat_shared_table){ .tag = node->table[t].tag, .node = (int)n, .table = (int)t, .group = node->table[t].group,
				.numbers = node->table[t].numbers, .merge = node->op->tables[t].merge, .self = lane->nodes[n].self, .init = node->op->tables[t].init, .replica = shared->replica };
		}
	}
	return 0;
}

void leat_shared_close(struct leat_lane *lane)
{
	struct leat_shared *shared = lane->shared;
	if (!shared)
		return;
	leat_owner_clear(shared);
	for (size_t i = 0; i < shared->sent_count; i++)
		leat_free(shared->sent[i]);
	leat_free(shared->sent);
	leat_free(shared->touched);
	leat_free(shared->touched_table);
	leat_free(shared->included);
	leat_free(shared);
	lane->shared = NULL;
}

/* ---- deltas of the open transaction ---- */

static int note_touched(struct leat_shared *shared, struct leat_row *row, uint32_t table)
{
	if (shared->touched_count == shared->touched_capacity) {
		size_t capacity = LEAT_MAX(shared->touched_capacity * 2, (size_t)256);
		struct leat_row **rows = leat_realloc(shared->touched, capacity * sizeof(struct leat_row *));
		if (!rows)
			return LEAT_ENOMEM;
		shared->touched = rows;
		uint32_t *tables = leat_realloc(shared->touched_table, capacity * sizeof *tables);
		if (!tables)
			return LEAT_ENOMEM;
		shared->touched_table = tables;
		shared->touched_capacity = capacity;
	}
	shared->touched[shared->touched_count] = row;
	shared->touched_table[shared->touched_count++] = table;
	return 0;
}

int leat_shared_add(struct leat_lane *lane, int node, int table_index, struct leat_row *row, uint32_t offset, const void *delta, double curvature)
{
	const struct leat_shared_table *table = leat_shared_table(lane, node, table_index);
	void *entry = (char *)row + offset;
	struct leat_view *view = view_of(table, entry);
	int64_t *pending = view->numbers + table->numbers, *current = pending + table->numbers;
	if (!view->touched) {
		LEAT_TRY(note_touched(lane->shared, row, (uint32_t)(table - lane->shared->tables)));
		view->touched = 1;
	}
	for (size_t i = 0; i < table->numbers; i++) {
		int64_t step = table->merge == LEAT_MERGE_FACTOR ? leat_grid_from(((const float *)delta)[i]) : ((const int64_t *)delta)[i];
		pending[i] += step;
		current[i] += step;
	}
	view->curvature += curvature > 0 && isfinite(curvature) ? curvature : 0;
	show(table, entry);
	lane->touched = true;
	return 0;
}

static void *entry_of(const struct leat_lane *lane, const struct leat_shared_table *table, struct leat_row *row)
{
	const struct leat_node_table *planned = &lane->pipeline->nodes[table->node].table[table->table];
	return (char *)row + leat_rows_offset(lane->groups[table->group].rows, planned->index);
}

static int remember(struct leat_shared *shared, struct leat_row *row, uint32_t table, int32_t owner, uint64_t sequence, const int64_t *delta)
{
	size_t numbers = shared->tables[table].numbers;
	if (shared->sent_count == shared->sent_capacity) {
		size_t capacity = LEAT_MAX(shared->sent_capacity * 2, (size_t)256);
		struct leat_sent **sent = leat_realloc(shared->sent, capacity * sizeof(struct leat_sent *));
		if (!sent)
			return LEAT_ENOMEM;
		shared->sent = sent;
		shared->sent_capacity = capacity;
	}
	struct leat_sent *one = leat_malloc(sizeof *one + numbers * sizeof *delta);
	if (!one)
		return LEAT_ENOMEM;
	*one = (struct leat_sent){ row, table, owner, sequence };
	memcpy(one->delta, delta, numbers * sizeof *delta);
	shared->sent[shared->sent_count++] = one;
	return 0;
}

static int send_delta(struct leat_lane *lane, size_t index, struct leat_fault *fault)
{
	struct leat_shared *shared = lane->shared;
	const struct leat_shared_table *table = &shared->tables[shared->touched_table[index]];
	struct leat_row *row = shared->touched[index];
	struct leat_view *view = view_of(table, entry_of(lane, table, row));
	struct leat_bytes key = leat_rows_key(lane->groups[table->group].rows, row);
	int64_t *current = view->numbers + 2 * table->numbers;
	uint8_t whole[LEAT_SHARED_KEY_MAX], value[sizeof(struct leat_delta_head) + LEAT_SHARED_NUMBERS_MAX * sizeof(int64_t)];
	struct leat_delta_head head = { (uint32_t)lane->task, 0, lane->sequence + 1, view->curvature };
	int32_t owner = leat_partition_of(key.data, key.length, lane->engine->tasks);
	whole_key(whole, table->tag, key);
	memcpy(value, &head, sizeof head);
	memcpy(value + sizeof head, current, table->numbers * sizeof *current);
	const struct leat_record record = { .timestamp_ms = -1, .key = leat_bytes(whole, key.length + sizeof table->tag), .value = leat_bytes(value, sizeof head + table->numbers * sizeof *current) };
	LEAT_TRY(lane->ops->session_send(lane->session, lane->pipeline->sources[lane->pipeline->deltas_source].topic, owner, &record, 0, fault));
	if (remember(shared, row, shared->touched_table[index], owner, head.sequence, current) < 0)
		return leat_fail(fault, LEAT_ENOMEM, "out of memory");
	memset(current, 0, table->numbers * sizeof *current);
	view->curvature = 0;
	view->touched = 0;
	return 0;
}

bool leat_shared_due(const struct leat_lane *lane)
{
	return lane->shared && (lane->shared->touched_count > 0 || lane->shared->received);
}

int leat_shared_prepare(struct leat_lane *lane, struct leat_fault *fault)
{
	if (!lane->shared)
		return 0;
	for (size_t i = 0; i < lane->shared->touched_count; i++)
		LEAT_TRY(send_delta(lane, i, fault));
	lane->shared->touched_count = 0;
	return leat_owner_prepare(lane, fault);
}

void leat_shared_committed(struct leat_lane *lane)
{
	if (lane->shared)
		lane->shared->received = false;
}

/* ---- following the replica ---- */

static int refresh_key(struct leat_lane *lane, struct leat_bytes whole)
{
	uint32_t tag;
	struct leat_row *row;
	int64_t now = INT64_MIN;
	memcpy(&tag, whole.data, sizeof tag);
	const struct leat_shared_table *table = leat_shared_find(lane->shared, tag);
	if (!table)
		return 0;
	struct leat_bytes key = leat_bytes(whole.data + sizeof tag, whole.length - sizeof tag);
	uint32_t hash = leat_murmur2(key.data, key.length);
	LEAT_TRY(leat_rows_find(lane->groups[table->group].rows, &key, &hash, &now, 1, &row));
	void *entry = entry_of(lane, table, row);
	leat_replica_get(lane->shared->replica, whole.data, whole.length, view_of(table, entry)->numbers, table->numbers);
	show(table, entry);
	return 0;
}

static int refresh_one(void *self, struct leat_bytes key)
{
	return refresh_key(self, key);
}

/* What @owner has confirmed is in its rows now and no longer pending here. */
static void confirm(struct leat_lane *lane, int32_t owner, uint64_t included)
{
	struct leat_shared *shared = lane->shared;
	size_t kept = 0;
	for (size_t i = 0; i < shared->sent_count; i++) {
		struct leat_sent *sent = shared->sent[i];
		if (sent->owner != owner || sent->sequence > included) {
			shared->sent[kept++] = sent;
			continue;
		}
		const struct leat_shared_table *table = &shared->tables[sent->table];
		void *entry = entry_of(lane, table, sent->row);
		int64_t *pending = view_of(table, entry)->numbers + table->numbers;
		for (size_t n = 0; n < table->numbers; n++)
			pending[n] -= sent->delta[n];
		show(table, entry);
		leat_free(sent);
	}
	shared->sent_count = kept;
}

static int take_event(void *self, const struct leat_replica_event *event)
{
	struct leat_lane *lane = self;
	for (size_t i = 0; i < event->key_count; i++)
		LEAT_TRY(refresh_key(lane, event->keys[i]));
	confirm(lane, event->owner, (uint64_t)event->included[lane->task]);
	return 0;
}

static int take_everything(struct leat_lane *lane)
{
	LEAT_TRY(leat_replica_each(lane->shared->replica, &lane->shared->seen_event, refresh_one, lane));
	for (int32_t owner = 0; owner < lane->engine->tasks; owner++)
		confirm(lane, owner, (uint64_t)leat_replica_included(lane->shared->replica, owner, lane->task));
	return 0;
}

int leat_shared_refresh(struct leat_lane *lane)
{
	if (!lane->shared)
		return 0;
	int rc = leat_replica_events(lane->shared->replica, &lane->shared->seen_event, take_event, lane);
	return rc == LEAT_EGAP ? take_everything(lane) : rc;
}

/* ---- opening: what this task sent and no owner has confirmed is pending again ---- */

static int add_pending(struct leat_lane *lane, const struct leat_record *record, int32_t owner)
{
	struct leat_delta_head head;
	uint32_t tag;
	struct leat_row *row;
	int64_t now = INT64_MIN;
	if (!record->key.data || record->key.length < sizeof tag || record->value.length < sizeof head)
		return 0;
	memcpy(&tag, record->key.data, sizeof tag);
	memcpy(&head, record->value.data, sizeof head);
	struct leat_shared_table *table = leat_shared_find(lane->shared, tag);
	bool mine = head.sender == (uint32_t)lane->task && head.sequence > (uint64_t)leat_replica_included(lane->shared->replica, owner, lane->task);
	if (!table || !mine || record->value.length != sizeof head + table->numbers * sizeof(int64_t))
		return 0;
	struct leat_bytes key = leat_bytes(record->key.data + sizeof tag, record->key.length - sizeof tag);
	uint32_t hash = leat_murmur2(key.data, key.length);
	LEAT_TRY(leat_rows_find(lane->groups[table->group].rows, &key, &hash, &now, 1, &row));
	void *entry = entry_of(lane, table, row);
	int64_t delta[LEAT_SHARED_NUMBERS_MAX], *pending = view_of(table, entry)->numbers + table->numbers;
	memcpy(delta, record->value.data + sizeof head, table->numbers * sizeof *delta);
	for (size_t i = 0; i < table->numbers; i++)
		pending[i] += delta[i];
	show(table, entry);
	return remember(lane->shared, row, (uint32_t)(table - lane->shared->tables), owner, head.sequence, delta);
}

static int read_own_deltas(struct leat_lane *lane, int32_t owner, struct leat_fault *fault)
{
	const char *topic = lane->pipeline->sources[lane->pipeline->deltas_source].topic;
	struct leat_reader *reader;
	int64_t first, end, position;
	bool at_end = false;
	LEAT_TRY(lane->ops->bounds(lane->engine->transport, topic, owner, &first, &end, fault));
	if (first == end)
		return 0;
	LEAT_TRY(lane->ops->reader_open(lane->engine->transport, topic, owner, first, &reader, fault));
	int rc = 0;
	for (int tries = 0; rc >= 0 && !at_end && tries < 100; tries++) {
		const struct leat_record *records;
		long count = lane->ops->reader_next(reader, &records, 4096, 100, &at_end, &position, fault);
		rc = count < 0 ? (int)count : 0;
		for (long i = 0; rc >= 0 && i < count; i++)
			rc = add_pending(lane, &records[i], owner);
		if (count > 0)
			tries = 0;
	}
	lane->ops->reader_close(reader);
	return rc == LEAT_ENOMEM ? leat_fail(fault, rc, "out of memory") : rc;
}

int leat_shared_open(struct leat_lane *lane, struct leat_fault *fault)
{
	if (!lane->shared)
		return 0;
	LEAT_TRY(leat_replica_poll(lane->shared->replica, fault));
	if (take_everything(lane) < 0)
		return leat_fail(fault, LEAT_ENOMEM, "out of memory");
	for (int32_t owner = 0; owner < lane->engine->tasks; owner++)
		LEAT_TRY(read_own_deltas(lane, owner, fault));
	return 0;
}
