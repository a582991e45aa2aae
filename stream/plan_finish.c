/* What can only be said once the whole graph stands: who rewrites what others read, which sources need keys, which fields nobody reads. */
#include "stream/plan.h"

#define EMITTED (1ull << 63)            /* rows of a stream that an operator emits */

/* ---- an operator may write into a column in place only if whoever else reads it for the same rows stands behind it, or before it ---- */

/* The sources whose rows can come through @froms, a bit each. */
static uint64_t rows_of(const struct leat_pipeline *pipeline, const struct leat_froms *froms)
{
	uint64_t bits = 0;
	for (size_t i = 0; i < froms->count; i++) {
		const struct leat_from *from = &froms->items[i];
		if (from->source >= 0)
			bits |= 1ull << from->source;
		else
			bits |= pipeline->nodes[from->node].emits[from->output] >= 0 ? EMITTED : rows_of(pipeline, &pipeline->nodes[from->node].from);
	}
	return bits;
}

/* Is @node among what @froms leads back to, within the task? */
static bool is_behind(const struct leat_pipeline *pipeline, const struct leat_froms *froms, size_t node)
{
	for (size_t i = 0; i < froms->count; i++) {
		const struct leat_from *from = &froms->items[i];
		if (from->source < 0 && ((size_t)from->node == node || is_behind(pipeline, &pipeline->nodes[from->node].from, node)))
			return true;
	}
	return false;
}

static int refuse(const struct leat_pipeline *pipeline, const struct leat_node *writer, int slot, const char *kind, const char *name, int line, struct leat_fault *fault)
{
	const struct leat_yaml at = { .line = line };
	return leat_yaml_fail(pipeline->file, &at, fault, "%s '%s' reads '%s', which operator '%s' rewrites for the same events on another branch: put it behind '%s', or let '%s' write a column of its own",
			      kind, name, pipeline->streams[writer->stream].layout.fields[slot].name, writer->id, writer->id, writer->id);
}

/* A re-key sends on every column that somebody reads. */
static bool node_reads(const struct leat_pipeline *pipeline, const struct leat_node *node, int slot)
{
	return node->op ? node->reads[slot] : pipeline->streams[node->stream].read[slot];
}

static bool sink_reads(const struct leat_sink *sink, int slot)
{
	for (size_t i = 0; i < leat_schema_count(sink->schema); i++)
		if (sink->slots[i] == slot)
			return true;
	return sink->key_slot == slot;
}

static int check_slot(const struct leat_pipeline *pipeline, size_t writer_index, int slot, struct leat_fault *fault)
{
	const struct leat_node *writer = &pipeline->nodes[writer_index];
	uint64_t rows = rows_of(pipeline, &writer->from);
	for (size_t i = 0; i < pipeline->node_count; i++) {
		const struct leat_node *node = &pipeline->nodes[i];
		bool apart = i == writer_index || node->stream != writer->stream || !node_reads(pipeline, node, slot) || !(rows_of(pipeline, &node->from) & rows);
		if (!apart && !is_behind(pipeline, &node->from, writer_index) && !is_behind(pipeline, &writer->from, i))
			return refuse(pipeline, writer, slot, "operator", node->id, node->line, fault);
	}
	for (size_t i = 0; i < pipeline->sink_count; i++) {
		const struct leat_sink *sink = &pipeline->sinks[i];
		bool apart = sink->stream != writer->stream || !sink_reads(sink, slot) || !(rows_of(pipeline, &sink->from) & rows);
		if (!apart && !is_behind(pipeline, &sink->from, writer_index))
			return refuse(pipeline, writer, slot, "sink", sink->name, sink->line, fault);
	}
	return 0;
}

static int check_rewrites(const struct leat_pipeline *pipeline, struct leat_fault *fault)
{
	for (size_t i = 0; i < pipeline->node_count; i++)
		for (int slot = 0; slot < LEAT_SLOTS_MAX; slot++)
			if (pipeline->nodes[i].rewrites[slot])
				LEAT_TRY(check_slot(pipeline, i, slot, fault));
	return 0;
}

/* ---- what the sources have to bring ---- */

static bool node_needs_key(const struct leat_pipeline *pipeline, const struct leat_node *node)
{
	for (size_t i = 0; i < node->tables; i++)
		if (*pipeline->groups[node->table[i].group].key_name == 0)
			return true;
	return false;
}

static void need_keys_upstream(struct leat_pipeline *pipeline, const struct leat_node *node)
{
	for (size_t i = 0; i < node->from.count; i++) {
		const struct leat_from *from = &node->from.items[i];
		if (from->source >= 0)
			pipeline->sources[from->source].needs_key = true;
		else
			need_keys_upstream(pipeline, &pipeline->nodes[from->node]);
	}
}

/* Fields that nobody reads are skipped by the decoder. */
static void drop_unread(struct leat_pipeline *pipeline)
{
	for (size_t i = 0; i < pipeline->source_count; i++) {
		struct leat_source *source = &pipeline->sources[i];
		for (size_t field = 0; source->schema && field < leat_schema_count(source->schema); field++)
			if (!pipeline->streams[0].read[source->slots[field]])
				source->slots[field] = -1;
	}
}

int leat_plan_finish(struct leat_pipeline *pipeline, struct leat_fault *fault)
{
	LEAT_TRY(check_rewrites(pipeline, fault));
	for (size_t i = 0; i < pipeline->node_count; i++)
		if (node_needs_key(pipeline, &pipeline->nodes[i]))
			need_keys_upstream(pipeline, &pipeline->nodes[i]);
	drop_unread(pipeline);
	return 0;
}
