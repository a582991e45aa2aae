/* The functions of operator.h that work while batches run: state, emitted rows, rejections, timers, lookups. */
#include "stream/deaths.h"
#include "stream/expression.h"
#include "stream/shared.h"

#include <math.h>

enum { EMITTED_MAX = 65536 };

static struct leat_node_run *node_of(const struct leat_task *task)
{
	return task->engine;
}

static struct leat_stream_run *stream_of(const struct leat_task *task)
{
	const struct leat_node_run *node = node_of(task);
	return &node->lane->streams[node->node->stream];
}

static const struct leat_node_table *table_of(const struct leat_task *task, int table)
{
	return &node_of(task)->node->table[table];
}

/* ---- rows of the tables by key: what RocksDB may die of is not the operator's doing ---- */

static int find_row(struct leat_rows *rows, struct leat_bytes key, struct leat_row **row)
{
	uint32_t hash = leat_murmur2(key.data, key.length);
	int64_t now = INT64_MIN;
	const struct leat_node_run *outer = leat_deaths_enter(NULL);
	int rc = leat_rows_find(rows, &key, &hash, &now, 1, row);
	leat_deaths_enter(outer);
	return rc;
}

static int peek_row(struct leat_rows *rows, struct leat_bytes key, struct leat_row **row)
{
	uint32_t hash = leat_murmur2(key.data, key.length);
	const struct leat_node_run *outer = leat_deaths_enter(NULL);
	int rc = leat_rows_peek(rows, key, hash, row);
	leat_deaths_enter(outer);
	return rc;
}

/* ---- entries ---- */

/* A row that is written for the first time joins its table's list. When memory is out it joins at its next first write after a restart: the list is for sampling. */
static void note_known(struct leat_task *task, int table, struct leat_row *row)
{
	const struct leat_node_table *planned = table_of(task, table);
	struct leat_group_run *group = &node_of(task)->lane->groups[planned->group];
	struct leat_known *known = &group->known[planned->index];
	if (group->group->kind != LEAT_LOCAL || (row->present & task->tables[table].bit))
		return;
	if (known->count == known->capacity) {
		size_t capacity = LEAT_MAX(known->capacity * 2, (size_t)1024);
		struct leat_row **rows = leat_realloc(known->rows, capacity * sizeof(struct leat_row *));
		if (!rows)
			return;
		known->rows = rows;
		known->capacity = capacity;
	}
	known->rows[known->count++] = row;
}

void leat_row_touch(struct leat_task *task, int table, size_t row)
{
	struct leat_table_view *view = &task->tables[table];
	note_known(task, table, view->row[row]);
	if (view->expires)
		leat_row_expire(task, table, row);
	leat_rows_touch(view->rows, view->row[row], table_of(task, table)->index, stream_of(task)->time_ms[row]);
}

void leat_row_expire(const struct leat_task *task, int table, size_t row)
{
	const struct leat_table_view *view = &task->tables[table];
	leat_rows_expire(view->rows, view->row[row], table_of(task, table)->index, stream_of(task)->time_ms[row]);
}

void leat_entry_delete(struct leat_task *task, int table, size_t row)
{
	struct leat_table_view *view = &task->tables[table];
	leat_rows_delete(view->rows, view->row[row], table_of(task, table)->index);
}

int leat_lookup(struct leat_task *task, int table, struct leat_bytes key, const void **out)
{
	struct leat_table_view *view = &task->tables[table];
	struct leat_row *row;
	*out = NULL;
	LEAT_TRY(peek_row(view->rows, key, &row));
	if (row && (row->present & view->bit))
		*out = (char *)row + view->offset;
	return 0;
}

int leat_lookup_write(struct leat_task *task, int table, struct leat_bytes key, void **out)
{
	struct leat_table_view *view = &task->tables[table];
	struct leat_row *row;
	int64_t written = node_of(task)->lane->watermark_ms;
	*out = NULL;
	LEAT_TRY(find_row(view->rows, key, &row));
	note_known(task, table, row);
	leat_rows_touch(view->rows, row, table_of(task, table)->index, written);
	*out = (char *)row + view->offset;
	return 0;
}

size_t leat_table_count(struct leat_task *task, int table)
{
	const struct leat_node_table *planned = table_of(task, table);
	const struct leat_group_run *group = &node_of(task)->lane->groups[planned->group];
	return planned->kind == LEAT_SHARED ? leat_shared_count(task->tables[table].shared) : group->known[planned->index].count;
}

int leat_table_at(struct leat_task *task, int table, size_t index, struct leat_bytes *key, const void **entry)
{
	struct leat_table_view *view = &task->tables[table];
	const struct leat_node_table *planned = table_of(task, table);
	const struct leat_known *known = &node_of(task)->lane->groups[planned->group].known[planned->index];
	struct leat_row *row = planned->kind == LEAT_SHARED ? leat_shared_at(view->shared, index) : index < known->count ? known->rows[index] : NULL;
	if (!row)
		return LEAT_ENOTFOUND;
	*key = leat_rows_key(view->rows, row);
	*entry = (char *)row + view->offset;
	return 0;
}

int leat_delta(struct leat_task *task, int table, struct leat_bytes key, const void *delta, double curvature)
{
	struct leat_table_view *view = &task->tables[table];
	struct leat_row *row;
	if (key.length > LEAT_SHARED_KEY_MOST)
		return LEAT_ELIMIT;
	LEAT_TRY(find_row(view->rows, key, &row));
	return leat_shared_add(view->shared, row, delta, curvature);
}

int leat_delta_row(struct leat_task *task, int table, size_t row, const void *delta, double curvature)
{
	struct leat_table_view *view = &task->tables[table];
	return leat_shared_add(view->shared, view->row[row], delta, curvature);
}

/* ---- rows ---- */

void leat_reject(struct leat_task *task, size_t row, const char *reason)
{
	struct leat_node_run *node = node_of(task);
	struct leat_stream_run *run = stream_of(task);
	uint32_t number = (uint32_t)(node - node->lane->nodes) + 1;
	run->rejected[row] = 1;
	leat_flow_reject(node->lane, run->arrival[row], number, node->node->id, reason, run->record[row], NULL);
}

int leat_emit(struct leat_task *task, int output, long parent, int64_t time_ms, struct leat_bytes key, size_t *row)
{
	struct leat_node_run *node = node_of(task);
	struct leat_lane *lane = node->lane;
	const struct leat_stream_run *from = stream_of(task);
	struct leat_stream_run *run = &lane->streams[node->node->emits[output]];
	if (++node->emitted > EMITTED_MAX)
		return LEAT_ELIMIT;
	if (run->rows == LEAT_BATCH_MAX) {
		struct leat_fault fault = { 0 };
		LEAT_TRY(leat_flow_stream(lane, node->node->emits[output], &fault));
	}
	uint8_t *copy = leat_arena_take(lane->arena, key.length + 1);
	if (!copy)
		return LEAT_ENOMEM;
	if (key.length)
		memcpy(copy, key.data, key.length);
	*row = run->rows++;
	run->time_ms[*row] = time_ms;
	run->watermark_ms[*row] = parent >= 0 ? from->watermark_ms[parent] : lane->watermark_ms;
	run->key[*row] = leat_bytes(key.data ? copy : NULL, key.length);
	run->id[*row] = leat_mix((parent >= 0 ? from->id[parent] : leat_hash(copy, key.length) ^ (uint64_t)time_ms) + node->emitted + node->node->table[0].tag);
	run->source[*row] = parent >= 0 ? from->source[parent] : 0;
	run->arrival[*row] = parent >= 0 ? from->arrival[parent] : 0;
	run->record[*row] = parent >= 0 ? from->record[parent] : NULL;
	run->rejected[*row] = 0;
	for (size_t slot = 0; slot < run->stream->base; slot++)
		run->columns[slot].null[*row] = 1;
	return 0;
}

struct leat_column *leat_emitted(struct leat_task *task, int output, int field)
{
	struct leat_node_run *node = node_of(task);
	return &node->lane->streams[node->node->emits[output]].columns[field];
}

void *leat_scratch(struct leat_task *task, size_t size)
{
	return leat_arena_take(node_of(task)->lane->arena, size);
}

void *leat_task_memory(struct leat_task *task, size_t size)
{
	struct leat_lane *lane = node_of(task)->lane;
	if (lane->held_count == lane->held_capacity) {
		size_t capacity = LEAT_MAX(lane->held_capacity * 2, (size_t)16);
		void **held = leat_realloc(lane->held, capacity * sizeof *held);
		if (!held)
			return NULL;
		lane->held = held;
		lane->held_capacity = capacity;
	}
	void *memory = leat_aligned(64, size);
	if (memory)
		lane->held[lane->held_count++] = memory;
	return memory;
}

const struct leat_column *leat_evaluate(struct leat_task *task, const struct leat_expression *expression, const struct leat_batch *in)
{
	return leat_expression_run(expression, in, node_of(task)->lane->arena);
}

/* ---- time ---- */

int64_t leat_watermark(const struct leat_task *task)
{
	return node_of(task)->lane->watermark_ms;
}

int leat_timer(struct leat_task *task, int table, size_t row, int64_t at_ms)
{
	struct leat_table_view *view = &task->tables[table];
	const struct leat_node_run *node = node_of(task);
	LEAT_ASSERT(at_ms >= stream_of(task)->time_ms[row] + node->node->timer_min_ms);
	return leat_rows_timer_set(view->rows, view->row[row], table_of(task, table)->index, at_ms);
}

void leat_timer_delete_entry(struct leat_task *task, const struct leat_timer_event *event)
{
	leat_rows_delete(task->tables[event->table].rows, event->row, table_of(task, event->table)->index);
}

int leat_timer_again(struct leat_task *task, const struct leat_timer_event *event, int64_t at_ms)
{
	if (at_ms <= event->at_ms)
		return LEAT_ELIMIT;
	return leat_rows_timer_set(task->tables[event->table].rows, event->row, table_of(task, event->table)->index, at_ms);
}

/* ---- weights ---- */

static bool is_word(const char *word, struct leat_bytes text)
{
	return strlen(word) == text.length && memcmp(word, text.data, text.length) == 0;
}

double leat_weight_of(const struct leat_weights *weights, const struct leat_field *field, const struct leat_column *column, size_t row, double otherwise)
{
	char number[24];
	struct leat_bytes text;
	if (column->null[row])
		return otherwise;
	if (column->type == LEAT_ENUM)
		text = leat_text(field->symbols[column->ints[row]]);
	else if (column->type == LEAT_INT)
		text = leat_bytes(number, (size_t)snprintf(number, sizeof number, "%lld", (long long)column->ints[row]));
	else
		text = column->bytes[row];
	for (size_t i = 0; i < weights->count; i++)
		if (is_word(weights->items[i].word, text))
			return weights->items[i].weight;
	return otherwise;
}
