/* Flow: a batch of rows through the operators in topological order; selections, state rows, timers, and the memory that all of it uses. */
#include "stream/deaths.h"
#include "stream/rekey.h"
#include "stream/shared.h"

/* ---- memory of the streams ---- */

static int open_stream(struct leat_stream_run *run, const struct leat_stream *stream)
{
	const struct leat_field *fields[LEAT_SLOTS_MAX];
	run->stream = stream;
	for (size_t i = 0; i < stream->layout.count; i++)
		fields[i] = &stream->layout.fields[i];
	LEAT_TRY(leat_columns_make(&run->columns, fields, stream->layout.count));
	run->time_ms = leat_calloc(LEAT_BATCH_MAX, sizeof *run->time_ms);
	run->watermark_ms = leat_calloc(LEAT_BATCH_MAX, sizeof *run->watermark_ms);
	run->id = leat_calloc(LEAT_BATCH_MAX, sizeof *run->id);
	run->key = leat_calloc(LEAT_BATCH_MAX, sizeof *run->key);
	run->source = leat_calloc(LEAT_BATCH_MAX, sizeof *run->source);
	run->arrival = leat_calloc(LEAT_BATCH_MAX, sizeof *run->arrival);
	run->record = leat_calloc(LEAT_BATCH_MAX, sizeof *run->record);
	run->key_hash = leat_calloc(LEAT_BATCH_MAX, sizeof *run->key_hash);
	run->rejected = leat_calloc(LEAT_BATCH_MAX, sizeof *run->rejected);
	return run->time_ms && run->watermark_ms && run->id && run->key && run->source && run->arrival && run->record && run->key_hash && run->rejected ? 0 : LEAT_ENOMEM;
}

static void close_stream(struct leat_stream_run *run)
{
	if (run->columns)
		leat_columns_free(run->columns, run->stream->layout.count);
	leat_free(run->time_ms);
	leat_free(run->watermark_ms);
	leat_free(run->id);
	leat_free(run->key);
	leat_free(run->source);
	leat_free(run->arrival);
	leat_free(run->record);
	leat_free(run->key_hash);
	leat_free(run->rejected);
}

/* ---- row sets ---- */

static int open_group(struct leat_lane *lane, size_t index, struct leat_fault *fault)
{
	const struct leat_group *group = &lane->pipeline->groups[index];
	struct leat_group_run *run = &lane->groups[index];
	struct leat_rows_table tables[LEAT_TABLES_MAX];
	run->group = group;
	for (size_t i = 0; i < group->count; i++) {
		const struct leat_node *node = &lane->pipeline->nodes[group->member[i].node];
		const struct leat_node_table *planned = &node->table[group->member[i].table];
		const struct leat_table *table = &node->op->tables[group->member[i].table];
		tables[i] = (struct leat_rows_table){ .tag = planned->tag, .version = table->version, .entry_size = planned->entry_size, .ttl_ms = planned->ttl_ms,
						      .durable = group->kind == LEAT_KEYED, .self = lane->nodes[group->member[i].node].self, .init = table->init, .upgrade = table->upgrade };
		if (planned->kind != LEAT_SHARED)
			continue;
		tables[i].self = leat_shared_table(lane, group->member[i].node, group->member[i].table);
		tables[i].entry_size = group->owner ? planned->numbers * sizeof(int64_t) : leat_shared_view_size(planned);
		tables[i].init = group->owner ? leat_shared_owner_init : leat_shared_view_init;
		tables[i].upgrade = NULL;
	}
	bool keyed = group->kind == LEAT_KEYED;
	struct leat_rows_config config = { .tag = group->tag, .tables = tables, .count = group->count, .store = keyed ? lane->store : NULL,
					   .memory = keyed ? lane->engine->rows_memory / LEAT_MAX(lane->pipeline->group_count, (size_t)1) : 0, .write_behind = !lane->ops->keeps_rows };
	LEAT_TRY(leat_rows_open(&run->rows, &config, fault));
	for (size_t i = 0; i < lane->pipeline->stream_count; i++) {
		if (group->slot_of_stream[i] == -2)
			continue;
		run->row[i] = leat_calloc(LEAT_BATCH_MAX, sizeof *run->row[i]);
		run->resolved[i] = leat_calloc(LEAT_BATCH_MAX, 1);
		if (!run->row[i] || !run->resolved[i])
			return LEAT_ENOMEM;
	}
	return 0;
}

static void close_group(struct leat_group_run *run)
{
	leat_rows_close(run->rows);
	for (size_t i = 0; i < LEAT_STREAMS_MAX; i++) {
		leat_free(run->row[i]);
		leat_free(run->resolved[i]);
	}
	for (size_t i = 0; i < LEAT_TABLES_MAX; i++)
		leat_free(run->known[i].rows);
}

/* ---- nodes ---- */

static int open_node(struct leat_lane *lane, size_t index)
{
	const struct leat_node *node = &lane->pipeline->nodes[index];
	struct leat_node_run *run = &lane->nodes[index];
	struct leat_task *view = &run->view;
	run->lane = lane;
	run->node = node;
	view->engine = run;
	run->selection = leat_calloc(2 * LEAT_BATCH_MAX, sizeof *run->selection);
	if (!node->op)
		return run->selection ? 0 : LEAT_ENOMEM;
	run->self = leat_calloc(1, LEAT_MAX(node->op->self_size, (size_t)1));
	view->out = leat_calloc(node->outputs + 1, sizeof *view->out);
	view->tables = leat_calloc(node->tables + 1, sizeof *view->tables);
	view->added = leat_calloc(node->columns + 1, sizeof *view->added);
	view->counters = leat_calloc(node->counters + 1, sizeof *view->counters);
	if (!run->self || !run->selection || !view->out || !view->tables || !view->added || !view->counters)
		return LEAT_ENOMEM;
	memcpy(run->self, node->self, node->op->self_size);
	for (size_t i = 0; i < node->outputs; i++)
		if (!(view->out[i].row = leat_calloc(LEAT_BATCH_MAX, sizeof *view->out[i].row)))
			return LEAT_ENOMEM;
	for (size_t i = 0; i < node->columns; i++)
		view->added[i] = &lane->streams[node->stream].columns[node->added[i]];
	return 0;
}

static void connect_tables(struct leat_lane *lane, struct leat_node_run *run)
{
	for (size_t i = 0; i < run->node->tables; i++) {
		const struct leat_node_table *table = &run->node->table[i];
		struct leat_group_run *group = &lane->groups[table->group];
		run->view.tables[i] = (struct leat_table_view){ .row = group->row[run->node->stream], .offset = leat_rows_offset(group->rows, table->index),
								.bit = 1u << table->index, .quick = table->ttl_ms ? 0 : 1u << table->index,
								.expires = table->ttl_ms > 0, .rows = group->rows,
								.shared = leat_shared_table(lane, (int)(run - lane->nodes), (int)i) };
	}
}

static void close_node(struct leat_node_run *run)
{
	const struct leat_node *node = run->node;
	if (!node)
		return;
	if (run->opened && node->op->close)
		node->op->close(&run->view, run->self);
	for (size_t i = 0; run->view.out && i < node->outputs; i++)
		leat_free(run->view.out[i].row);
	leat_free(run->view.out);
	leat_free(run->view.tables);
	leat_free(run->view.added);
	leat_free(run->view.counters);
	leat_free(run->self);
	leat_free(run->selection);
}

static int open_operators(struct leat_lane *lane, struct leat_fault *fault)
{
	for (size_t i = 0; i < lane->pipeline->node_count; i++) {
		struct leat_node_run *run = &lane->nodes[i];
		connect_tables(lane, run);
		if (!run->node->op)
			continue;
		run->opened = true;
		int rc = run->node->op->open ? run->node->op->open(&run->view, run->self) : 0;
		if (rc < 0)
			return leat_fail(fault, rc, "operator '%s' could not be opened: %s", run->node->id, leat_error_text(rc));
	}
	return 0;
}

int leat_flow_open(struct leat_lane *lane, struct leat_fault *fault)
{
	const struct leat_pipeline *pipeline = lane->pipeline;
	int rc = LEAT_ENOMEM;
	lane->streams = leat_calloc(pipeline->stream_count, sizeof *lane->streams);
	lane->nodes = leat_calloc(LEAT_MAX(pipeline->node_count, (size_t)1), sizeof *lane->nodes);
	lane->rejections = leat_calloc(LEAT_BATCH_MAX, sizeof *lane->rejections);   /* an event is set aside once, whoever else rejects it */
	if (!lane->streams || !lane->nodes || !lane->rejections || leat_arena_open(&lane->arena, 256 << 10) < 0)
		goto out;
	for (size_t i = 0; i < pipeline->stream_count; i++)
		if ((rc = open_stream(&lane->streams[i], &pipeline->streams[i])) < 0)
			goto out;
	for (size_t i = 0; i < pipeline->node_count; i++)
		if ((rc = open_node(lane, i)) < 0)
			goto out;
	if ((rc = leat_shared_prepare_tables(lane)) < 0)
		goto out;
	for (size_t i = 0; i < pipeline->group_count; i++)
		if ((rc = open_group(lane, i, fault)) < 0)
			goto out;
	rc = open_operators(lane, fault);
out:
	return rc == LEAT_ENOMEM ? leat_fail(fault, rc, "out of memory") : rc;
}

void leat_flow_close(struct leat_lane *lane)
{
	leat_shared_close(lane);
	for (size_t i = 0; lane->nodes && i < lane->pipeline->node_count; i++)
		close_node(&lane->nodes[i]);
	for (size_t i = 0; i < lane->pipeline->group_count; i++)
		close_group(&lane->groups[i]);
	for (size_t i = 0; lane->streams && i < lane->pipeline->stream_count; i++)
		close_stream(&lane->streams[i]);
	for (size_t i = 0; i < lane->held_count; i++)
		leat_free(lane->held[i]);
	leat_free(lane->held);
	leat_free(lane->streams);
	leat_free(lane->nodes);
	leat_free(lane->rejections);
	leat_arena_close(lane->arena);
	lane->streams = NULL;
	lane->nodes = NULL;
	lane->rejections = NULL;
	lane->arena = NULL;
	lane->held = NULL;
	lane->held_count = lane->held_capacity = 0;
	memset(lane->groups, 0, sizeof lane->groups);
}

/* ---- selections ---- */

static size_t rows_of_source(const struct leat_stream_run *run, const struct leat_froms *froms, uint16_t *out)
{
	uint64_t wanted = 0;
	size_t count = 0;
	for (size_t i = 0; i < froms->count; i++)
		if (froms->items[i].source >= 0)
			wanted |= 1ull << froms->items[i].source;
	for (size_t row = 0; wanted && row < run->rows; row++)
		if (!run->rejected[row] && (wanted >> run->source[row] & 1))
			out[count++] = (uint16_t)row;
	return count;
}

/* Merges ascending @b into ascending @a; a row that comes both ways is taken once. */
static size_t merge_rows(uint16_t *a, size_t a_count, const uint16_t *b, size_t b_count)
{
	uint16_t merged[LEAT_BATCH_MAX];
	size_t i = 0, j = 0, count = 0;
	while (i < a_count || j < b_count) {
		bool from_a = j == b_count || (i < a_count && a[i] <= b[j]);
		uint16_t row = from_a ? a[i] : b[j];
		if (i < a_count && a[i] == row)
			i++;
		if (j < b_count && b[j] == row)
			j++;
		merged[count++] = row;
	}
	memcpy(a, merged, count * sizeof *a);
	return count;
}

size_t leat_flow_select(struct leat_lane *lane, int stream, const struct leat_froms *froms, uint16_t *scratch, const uint16_t **rows)
{
	const struct leat_stream_run *run = &lane->streams[stream];
	*rows = scratch;
	if (froms->count == 1 && froms->items[0].source < 0) {
		const struct leat_from *from = &froms->items[0];
		const struct leat_node *node = &lane->pipeline->nodes[from->node];
		if (node->emits[from->output] < 0) {
			*rows = lane->nodes[from->node].view.out[from->output].row;
			return lane->nodes[from->node].view.out[from->output].count;
		}
	}
	size_t count = rows_of_source(run, froms, scratch);
	for (size_t i = 0; i < froms->count; i++) {
		const struct leat_from *from = &froms->items[i];
		if (from->source >= 0)
			continue;
		if (lane->pipeline->nodes[from->node].emits[from->output] >= 0) {
			for (count = 0; count < run->rows; count++)
				scratch[count] = (uint16_t)count;
			return count;
		}
		const struct leat_out *out = &lane->nodes[from->node].view.out[from->output];
		count = merge_rows(scratch, count, out->row, out->count);
	}
	return count;
}

/* ---- state rows for the selected rows ---- */

static struct leat_bytes key_of(const struct leat_stream_run *run, int slot, size_t row)
{
	if (slot < 0)
		return run->key[row];
	const struct leat_column *column = &run->columns[slot];
	if (column->null[row])
		return leat_bytes(NULL, 0);
	return column->type == LEAT_INT ? leat_bytes(&column->ints[row], sizeof(int64_t)) : column->bytes[row];
}

/* In tables that are not the task's own rows an absent key is the empty one: the operator sees the null in its column and leaves the entry alone. */
static struct leat_bytes table_key(const struct leat_group *group, const struct leat_stream_run *run, int slot, size_t row)
{
	struct leat_bytes key = key_of(run, slot, row);
	return key.data || group->kind == LEAT_KEYED ? key : leat_bytes("", 0);
}

static void hash_keys(struct leat_stream_run *run)
{
	for (; run->hashed < run->rows; run->hashed++)
		run->key_hash[run->hashed] = leat_murmur2(run->key[run->hashed].data, run->key[run->hashed].length);
}

static size_t key_most(const struct leat_group *group)
{
	return group->kind == LEAT_SHARED ? LEAT_SHARED_KEY_MOST : LEAT_ROW_KEY_MAX;
}

/* Rows whose key is null cannot reach a table: they are rejected and leave the selection. */
static size_t drop_keyless(struct leat_lane *lane, struct leat_node_run *node, const struct leat_group_run *group, uint16_t *rows, size_t count)
{
	struct leat_stream_run *run = &lane->streams[node->node->stream];
	int slot = group->group->slot_of_stream[node->node->stream];
	size_t kept = 0;
	for (size_t i = 0; i < count; i++) {
		struct leat_bytes key = table_key(group->group, run, slot, rows[i]);
		if (key.data && key.length <= key_most(group->group)) {
			rows[kept++] = rows[i];
			continue;
		}
		run->rejected[rows[i]] = 1;
		leat_flow_reject(lane, run->arrival[rows[i]], (uint32_t)(node - lane->nodes) + 1, node->node->id, key.data ? "too_large" : "null_key", run->record[rows[i]], NULL);
	}
	return kept;
}

static bool any_keyless(const struct leat_group *group, const struct leat_stream_run *run, int slot, const uint16_t *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct leat_bytes key = table_key(group, run, slot, rows[i]);
		if (!key.data || key.length > key_most(group))
			return true;
	}
	return false;
}

static int resolve_rows(struct leat_lane *lane, int stream, struct leat_group_run *group, const uint16_t *rows, size_t count)
{
	struct leat_stream_run *run = &lane->streams[stream];
	struct leat_bytes keys[LEAT_BATCH_MAX];
	uint32_t hashes[LEAT_BATCH_MAX];
	int64_t times[LEAT_BATCH_MAX];   /* expiry is judged row by row, when the operator looks: leat_row_expire */
	struct leat_row *found[LEAT_BATCH_MAX];
	uint16_t missing[LEAT_BATCH_MAX];
	size_t wanted = 0;
	int slot = group->group->slot_of_stream[stream];
	for (size_t i = 0; i < count; i++) {
		uint16_t row = rows[i];
		if (group->resolved[stream][row])
			continue;
		missing[wanted] = row;
		keys[wanted] = table_key(group->group, run, slot, row);
		/* a keyed row belongs to the task of its message key; in the other tables all users meet at one entry of a field's key */
		hashes[wanted] = group->group->kind == LEAT_KEYED ? run->key_hash[row] : leat_murmur2(keys[wanted].data, keys[wanted].length);
		times[wanted++] = INT64_MIN;
	}
	if (wanted == 0)
		return 0;
	LEAT_TRY(leat_rows_find(group->rows, keys, hashes, times, wanted, found));
	for (size_t i = 0; i < wanted; i++) {
		group->row[stream][missing[i]] = found[i];
		group->resolved[stream][missing[i]] = 1;
	}
	return 0;
}

static int resolve_groups(struct leat_lane *lane, struct leat_node_run *node, const uint16_t **rows, size_t *count, struct leat_fault *fault)
{
	struct leat_stream_run *run = &lane->streams[node->node->stream];
	uint32_t done = 0;
	hash_keys(run);
	for (size_t i = 0; i < node->node->tables; i++) {
		int index = node->node->table[i].group;
		struct leat_group_run *group = &lane->groups[index];
		if (done >> index & 1)
			continue;
		done |= 1u << index;
		if (any_keyless(group->group, run, group->group->slot_of_stream[node->node->stream], *rows, *count)) {
			if (*rows != node->selection)
				memcpy(node->selection, *rows, *count * sizeof **rows);
			*rows = node->selection;
			*count = drop_keyless(lane, node, group, node->selection, *count);
		}
		int rc = resolve_rows(lane, node->node->stream, group, *rows, *count);
		if (rc < 0)
			return leat_fail(fault, rc, "operator '%s': reading its state failed: %s", node->node->id, leat_error_text(rc));
	}
	return 0;
}

/* ---- running ---- */

static struct leat_batch batch_of(const struct leat_stream_run *run, const uint16_t *rows, size_t count)
{
	return (struct leat_batch){ .row = rows, .count = count, .columns = run->columns, .time_ms = run->time_ms, .id = run->id, .key = run->key,
				    .source = run->source, .watermark_ms = run->watermark_ms };
}

static int flush_emitted(struct leat_lane *lane, const struct leat_node *node, struct leat_fault *fault)
{
	for (size_t i = 0; i < node->outputs; i++)
		if (node->emits[i] >= 0 && lane->streams[node->emits[i]].rows > 0)
			LEAT_TRY(leat_flow_stream(lane, node->emits[i], fault));
	return 0;
}

/* Rows whose key column was rewritten have other state from here on. */
static void forget_rewritten(struct leat_lane *lane, const struct leat_node *node, const uint16_t *rows, size_t count)
{
	for (size_t i = 0; i < lane->pipeline->group_count; i++) {
		int slot = lane->pipeline->groups[i].slot_of_stream[node->stream];
		for (size_t at = 0; slot >= 0 && node->rewrites[slot] && at < count; at++)
			lane->groups[i].resolved[node->stream][rows[at]] = 0;
	}
}

/* Is the one event of this batch the one that an operator failed on last? */
static bool failed_alone(const struct leat_lane *lane)
{
	const struct leat_suspects *suspects = lane->suspects;
	const struct leat_stream_run *run = lane->running;
	return suspects && suspects->refused && run->source[0] == suspects->intake && run->record[0]->offset == suspects->offset;
}

/* Why the operator does not get the one event that this batch is; NULL: it does. */
static const char *refusal(const struct leat_lane *lane, const struct leat_node_run *node)
{
	if (failed_alone(lane) && lane->suspects->nodes[node - lane->nodes])
		return "operator_error";
	return leat_deaths_refuse(lane, node->node, lane->running->source[0], lane->running->record[0]->offset) ? "operator_crash" : NULL;
}

/* Rows of a batch that is one event, which this operator has failed on. */
static void refuse(struct leat_lane *lane, struct leat_node_run *node, const char *reason, const uint16_t *rows, size_t count)
{
	for (size_t i = 0; i < count; i++)
		lane->streams[node->node->stream].rejected[rows[i]] = 1;
	leat_flow_reject(lane, lane->arrivals, (uint32_t)(node - lane->nodes) + 1, node->node->id, reason, lane->refusing, NULL);
}

/* An operator that an event is passed on to may fail inside leat_emit() of the one before it: that is the one to name. */
static int process(struct leat_lane *lane, struct leat_node_run *node, const struct leat_batch *batch, struct leat_fault *fault)
{
	uint64_t failures = leat_alloc_failures();
	node->batch = batch;
	node->emitted = 0;
	const struct leat_node_run *outer = leat_deaths_enter(node);
	int rc = node->node->op->process(&node->view, node->self, batch);
	leat_deaths_enter(outer);
	node->batch = NULL;
	if (rc >= 0 && !lane->failed)
		return 0;
	if (!lane->failed) {
		lane->failed = node;
		lane->failed_code = rc == LEAT_ENOMEM && failures == leat_alloc_failures() ? LEAT_EOPERATOR : rc;
	}
	return leat_fail(fault, lane->failed_code, "operator '%s' failed: %s", lane->failed->node->id, leat_error_text(lane->failed_code));
}

static int run_node(struct leat_lane *lane, struct leat_node_run *node, struct leat_fault *fault)
{
	struct leat_stream_run *run = &lane->streams[node->node->stream];
	const uint16_t *rows;
	size_t count = leat_flow_select(lane, node->node->stream, &node->node->from, node->selection, &rows);
	for (size_t i = 0; i < node->node->outputs; i++)
		node->view.out[i].count = 0;
	if (count == 0)
		return 0;
	if (!node->node->op)
		return leat_rekey_out_rows(lane, node, node->rekey, rows, count, fault);
	const char *reason = lane->refusing ? refusal(lane, node) : NULL;
	if (reason) {
		refuse(lane, node, reason, rows, count);
		return 0;
	}
	int64_t start = leat_clock_mono_us(NULL);
	LEAT_TRY(resolve_groups(lane, node, &rows, &count, fault));
	struct leat_batch batch = batch_of(run, rows, count);
	LEAT_TRY(process(lane, node, &batch, fault));
	forget_rewritten(lane, node->node, rows, count);
	node->events += count;
	node->batches++;
	node->ns += (uint64_t)(leat_clock_mono_us(NULL) - start) * 1000;
	return flush_emitted(lane, node->node, fault);
}

static void clear_range(struct leat_stream_run *run, size_t from, size_t end)
{
	for (size_t slot = run->stream->base; slot < run->stream->layout.count; slot++) {
		struct leat_column *column = &run->columns[slot];
		size_t size = leat_type_size(column->type) * column->width;
		memset(column->null + from, 1, end - from);
		memset((char *)column->data + from * size, 0, (end - from) * size);
	}
}

/* Added columns of a stream where branches meet: a row that came past their operator must read null. Re-keyed rows bring theirs along. */
static void clear_added(const struct leat_lane *lane, struct leat_stream_run *run)
{
	size_t from = 0;
	for (size_t row = 0; run->stream->joins && row < run->rows; row++) {
		if (run->stream->emitter >= 0 || lane->pipeline->sources[run->source[row]].rekey < 0)
			continue;
		clear_range(run, from, row);
		from = row + 1;
	}
	if (run->stream->joins && from < run->rows)
		clear_range(run, from, run->rows);
}

static void forget_rows(struct leat_lane *lane, int stream)
{
	struct leat_stream_run *run = &lane->streams[stream];
	for (size_t i = 0; i < lane->pipeline->group_count; i++)
		if (lane->groups[i].resolved[stream])
			memset(lane->groups[i].resolved[stream], 0, run->rows);
	run->rows = 0;
	run->hashed = 0;
}

static int run_stream(struct leat_lane *lane, int stream, struct leat_fault *fault)
{
	struct leat_stream_run *run = &lane->streams[stream];
	clear_added(lane, run);
	for (size_t i = 0; i < lane->pipeline->node_count; i++)
		if (lane->pipeline->nodes[i].stream == stream)
			LEAT_TRY(run_node(lane, &lane->nodes[i], fault));
	LEAT_TRY(leat_outlet_collect(lane, stream, fault));
	forget_rows(lane, stream);
	return 0;
}

/* Also from inside leat_emit(): then what the engine does between two operators is not laid to the one that emits. */
int leat_flow_stream(struct leat_lane *lane, int stream, struct leat_fault *fault)
{
	const struct leat_node_run *outer = leat_deaths_enter(NULL);
	int rc = run_stream(lane, stream, fault);
	leat_deaths_enter(outer);
	return rc;
}

/* ---- timers ---- */

static int fire(struct leat_lane *lane, struct leat_group_run *group, struct leat_row *row, size_t index, int64_t at_ms, struct leat_fault *fault)
{
	int member = group->group->member[index].node, table = group->group->member[index].table;
	struct leat_node_run *node = &lane->nodes[member];
	struct leat_bytes key = leat_rows_key(group->rows, row);
	uint64_t id = leat_mix(leat_hash(key.data, key.length) ^ leat_mix((uint64_t)at_ms ^ (uint64_t)node->node->table[table].tag << 32));
	struct leat_timer_event event = { .table = table, .at_ms = at_ms, .key = key, .entry = (char *)row + leat_rows_offset(group->rows, index), .id = id, .row = row };
	node->now_ms = at_ms;
	node->emitted = 0;
	leat_rows_touch(group->rows, row, index, at_ms);
	const struct leat_node_run *outer = leat_deaths_enter(node);
	int rc = node->node->op->on_timer(&node->view, node->self, &event);
	leat_deaths_enter(outer);
	if (rc < 0)
		return leat_fail(fault, rc, "operator '%s' failed in a timer: %s", node->node->id, leat_error_text(rc));
	return flush_emitted(lane, node->node, fault);
}

/* The row set with the earliest timer, and when. */
static int earliest(struct leat_lane *lane, int64_t watermark_ms, size_t *group)
{
	int64_t best = INT64_MAX;
	*group = SIZE_MAX;
	for (size_t i = 0; i < lane->pipeline->group_count; i++) {
		int64_t at;
		if (lane->pipeline->groups[i].kind != LEAT_KEYED)
			continue;
		LEAT_TRY(leat_rows_timer_next(lane->groups[i].rows, &at));
		if (at < best && at <= watermark_ms) {
			best = at;
			*group = i;
		}
	}
	return 0;
}

int leat_flow_timers(struct leat_lane *lane, int64_t watermark_ms, struct leat_fault *fault)
{
	lane->watermark_ms = watermark_ms;
	for (;;) {
		size_t group, index;
		struct leat_row *row;
		int64_t at_ms;
		LEAT_TRY(earliest(lane, watermark_ms, &group));
		if (group == SIZE_MAX)
			break;
		int rc = leat_rows_timer_pop(lane->groups[group].rows, watermark_ms, &row, &index, &at_ms);
		if (rc < 0)
			return leat_fail(fault, rc, "reading timers failed: %s", leat_error_text(rc));
		if (row)
			LEAT_TRY(fire(lane, &lane->groups[group], row, index, at_ms, fault));
		lane->touched = true;
	}
	return 0;
}

/* ---- bad rows ---- */

static void count_reason(struct leat_lane *lane, const char *reason)
{
	for (size_t i = 0; i < LEAT_COUNT_OF(lane->reasons); i++) {
		if (!lane->reasons[i].reason)
			lane->reasons[i].reason = reason;
		if (strcmp(lane->reasons[i].reason, reason) == 0 || i + 1 == LEAT_COUNT_OF(lane->reasons)) {
			lane->reasons[i].count++;
			return;
		}
	}
}

/* A re-keyed event is its first source's. */
static int on_bad(const struct leat_lane *lane, const struct leat_intake *intake, const struct leat_record *record)
{
	struct leat_rekey_origin origin;
	return intake->rekey && leat_rekey_in_origin(lane, intake, record, &origin) ? origin.source->on_bad : intake->source->on_bad;
}

void leat_flow_reject(struct leat_lane *lane, uint32_t arrival, uint32_t node, const char *stage, const char *reason, const struct leat_record *record, const struct leat_intake *intake)
{
	/* Several branches, or several rows emitted from one event, may find it bad: it is one bad event with one dead letter. */
	if (arrival < LEAT_COUNT_OF(lane->rejected) && record && lane->rejected[arrival])
		return;
	count_reason(lane, reason);
	if (arrival < LEAT_COUNT_OF(lane->rejected))
		lane->rejected[arrival] = record != NULL;
	for (size_t i = 0; !intake && i < lane->pipeline->source_count; i++) {
		const struct leat_intake *from = &lane->intakes[i];
		if (from->taken > 0 && record >= from->records && record < from->records + from->taken)
			intake = from;
	}
	if (!intake || !record || on_bad(lane, intake, record) == LEAT_BAD_SKIP)
		return;
	for (size_t i = lane->rejection_count; i-- > 0;)
		if (lane->rejections[i].record == record)
			return;
	LEAT_ASSERT(lane->rejection_count < LEAT_BATCH_MAX);
	lane->rejections[lane->rejection_count++] = (struct leat_rejection){ arrival, node, stage, reason, record, intake };
}

/* ---- one batch ---- */

static int say_halt(const struct leat_lane *lane, const struct leat_rejection *bad, const char *run, struct leat_fault *fault)
{
	const char *topic = bad->intake->source->topic;
	char detail[LEAT_DETAIL_MAX];
	long long offset = (long long)bad->record->offset;
	leat_intake_explain(bad, detail);
	return leat_fail(fault, LEAT_ECORRUPT, "%s[%d] stops at offset %lld: %s%s%s (on_bad: halt). To go on behind it: leat skip %s --topic %s --partition %d --offset %lld", topic,
			 (int)lane->task, offset, bad->reason, detail[0] ? ": " : "", detail, run, topic, (int)lane->task, offset);
}

static int halt_on_bad(struct leat_lane *lane, struct leat_fault *fault)
{
	for (size_t i = 0; i < lane->rejection_count; i++) {
		const struct leat_rejection *bad = &lane->rejections[i];
		if (on_bad(lane, bad->intake, bad->record) != LEAT_BAD_HALT)
			continue;
		if (!lane->halt.last) {
			lane->halt = (struct leat_halt){ .set = true, .intake = (size_t)(bad->intake - lane->intakes), .offset = bad->record->offset };
			return leat_fail(fault, LEAT_EABORT, "%s[%d]: a bad event at offset %lld; what lies before it is done again and committed", bad->intake->source->topic, (int)lane->task, (long long)bad->record->offset);
		}
		int rc = say_halt(lane, bad, lane->engine->again ? lane->engine->again : lane->pipeline->path, fault);
		if (strlen(fault->text) + 1 == sizeof fault->text)      /* half a command would be worse than one to be completed */
			rc = say_halt(lane, bad, "PIPELINE OPTIONS-OF-THIS-RUN", fault);
		return rc;
	}
	return 0;
}

/* What these codes tell of is no event's doing: the same event may do well on a sound machine. */
static bool is_events_fault(int code)
{
	static const int engines[] = { LEAT_ENOMEM, LEAT_EIO, LEAT_ENOSPC, LEAT_ECORRUPT, LEAT_EBUSY, LEAT_EFOREIGN, LEAT_EBROKER, LEAT_ERETRY, LEAT_EABORT, LEAT_EFENCED, LEAT_EGAP, LEAT_ESTOPPED };
	for (size_t i = 0; i < LEAT_COUNT_OF(engines); i++)
		if (code == engines[i])
			return false;
	return true;
}

/*
 * An operator failed in this batch, perhaps after it had changed state. Whose doing it was shows when everything since the last commit is done again,
 * one event at a time; an event that fails alone is noted, to be refused when it is met next.
 */
static int isolate(struct leat_lane *lane, int stream, int code, struct leat_fault *fault)
{
	const struct leat_stream_run *run = &lane->streams[stream];
	struct leat_suspects *suspects = lane->suspects;
	if (!lane->failed || !suspects || !is_events_fault(code))
		return code;
	const char *id = lane->failed->node->id;
	for (size_t i = 0; i < lane->pipeline->source_count; i++)
		suspects->until[i] = LEAT_MAX(suspects->until[i], lane->intakes[i].next_offset);
	if (run->rows > 1)
		return leat_fail(fault, LEAT_EOPERATOR, "task %d: operator '%s' failed on one of %zu events (%s): they are done again one by one", (int)lane->task, id, run->rows, leat_error_text(code));
	size_t intake = run->source[0];
	int64_t offset = run->record[0]->offset;
	if (!suspects->refused || suspects->intake != intake || suspects->offset != offset)
		memset(suspects->nodes, 0, sizeof suspects->nodes);
	suspects->refused = true;
	suspects->intake = intake;
	suspects->offset = offset;
	suspects->nodes[lane->failed - lane->nodes] = true;
	return leat_fail(fault, LEAT_EOPERATOR, "task %d: operator '%s' failed on the event of %s at offset %lld (%s): what is not committed is done again without it", (int)lane->task, id,
			 lane->intakes[intake].source->topic, (long long)offset, leat_error_text(code));
}

/* The record of the batch when that is one event which some operator does not get. */
static const struct leat_record *refused_record(const struct leat_lane *lane)
{
	const struct leat_stream_run *run = lane->running;
	bool is = run->rows == 1 && (failed_alone(lane) || leat_deaths_refuse(lane, NULL, run->source[0], run->record[0]->offset));
	return is ? run->record[0] : NULL;
}

static int run_batch(struct leat_lane *lane, int stream, struct leat_fault *fault)
{
	lane->running = &lane->streams[stream];
	lane->refusing = refused_record(lane);
	int rc = leat_flow_stream(lane, stream, fault);
	lane->urgent |= lane->refusing != NULL;
	lane->refusing = NULL;
	lane->running = NULL;
	return rc < 0 ? isolate(lane, stream, rc, fault) : 0;
}

static void evict(struct leat_lane *lane)
{
	for (size_t i = 0; i < lane->pipeline->group_count; i++)
		leat_rows_evict(lane->groups[i].rows);
}

long leat_lane_run(struct leat_lane *lane, struct leat_fault *fault)
{
	int stream;
	if (!lane->touched && leat_intake_halts(lane, lane->halt.intake))
		lane->halt = (struct leat_halt){ .last = true };
	if (lane->haunted)
		leat_deaths_settle(lane);
	if (leat_shared_refresh(lane) < 0)
		return leat_fail(fault, LEAT_ENOMEM, "out of memory");
	int rc = leat_intake_fill(lane, &stream, fault);
	if (rc == LEAT_EOPERATOR && fault)
		fault->fatal = true;   /* in a timer: no event is to blame */
	LEAT_TRY(rc);
	uint32_t arrivals = lane->arrivals;
	if (stream >= 0)
		LEAT_TRY(run_batch(lane, stream, fault));
	LEAT_TRY(halt_on_bad(lane, fault));
	LEAT_TRY(leat_outlet_flush(lane, fault));
	leat_intake_release(lane);
	leat_arena_reset(lane->arena);
	lane->rejection_count = 0;
	memset(lane->rejected, 0, sizeof lane->rejected);
	evict(lane);
	return (long)arrivals;
}
