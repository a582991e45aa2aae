/* Drawing a pipeline, as text for a terminal and as DOT for graphviz. */
#include "stream/pipeline.h"

static const char *feeder(const struct leat_pipeline *pipeline, const struct leat_from *from)
{
	return from->source >= 0 ? pipeline->sources[from->source].name : pipeline->nodes[from->node].id;
}

static const char *edge(const struct leat_pipeline *pipeline, const struct leat_from *from)
{
	if (from->source >= 0 || !pipeline->nodes[from->node].op || pipeline->nodes[from->node].outputs < 2)
		return "";
	return pipeline->nodes[from->node].op->outputs[from->output].name;
}

static void text_froms(const struct leat_pipeline *pipeline, const struct leat_froms *froms, FILE *out)
{
	for (size_t i = 0; i < froms->count; i++) {
		const char *name = edge(pipeline, &froms->items[i]);
		fprintf(out, "%s%s%s%s", i ? ", " : "", feeder(pipeline, &froms->items[i]), *name ? "." : "", name);
	}
}

static void text_node(const struct leat_pipeline *pipeline, const struct leat_node *node, FILE *out)
{
	fprintf(out, "  %-16s %-12s <- ", node->id, node->use);
	text_froms(pipeline, &node->from, out);
	for (size_t i = 0; i < node->columns; i++)
		fprintf(out, "%s%s%s", i ? ", " : "   adds ", pipeline->streams[node->stream].layout.fields[node->added[i]].name, node->column[i].rewritten ? " (rewritten)" : "");
	for (size_t i = 0; i < node->tables; i++) {
		const char *key = pipeline->groups[node->table[i].group].key_name;
		fprintf(out, "%s%s[%s] %zu B", i ? ", " : "   state ", node->op->tables[i].name, *key ? key : "key", node->table[i].entry_size);
	}
	fprintf(out, "\n");
}

void leat_graph_text(const struct leat_pipeline *pipeline, FILE *out)
{
	fprintf(out, "pipeline %s\nsources\n", pipeline->name);
	for (size_t i = 0; i < pipeline->source_count; i++)
		if (pipeline->sources[i].rekey < 0 && !pipeline->sources[i].deltas)
			fprintf(out, "  %-16s %s\n", pipeline->sources[i].name, pipeline->sources[i].topic);
	if (pipeline->table_count)
		fprintf(out, "tables\n");
	for (size_t i = 0; i < pipeline->table_count; i++)
		fprintf(out, "  %-16s %s\n", pipeline->tables[i].name, pipeline->tables[i].topic ? pipeline->tables[i].topic : "(inline rows)");
	fprintf(out, "operators\n");
	for (size_t i = 0; i < pipeline->node_count; i++)
		text_node(pipeline, &pipeline->nodes[i], out);
	fprintf(out, "sinks\n");
	for (size_t i = 0; i < pipeline->sink_count; i++) {
		fprintf(out, "  %-16s %s <- ", pipeline->sinks[i].name, pipeline->sinks[i].topic);
		text_froms(pipeline, &pipeline->sinks[i].from, out);
		fprintf(out, "\n");
	}
	fprintf(out, "dead letters       %s\n", pipeline->dead_letter_topic);
}

static void dot_froms(const struct leat_pipeline *pipeline, const struct leat_froms *froms, const char *to, FILE *out)
{
	for (size_t i = 0; i < froms->count; i++)
		fprintf(out, "\t\"%s\" -> \"%s\" [label=\"%s\"];\n", feeder(pipeline, &froms->items[i]), to, edge(pipeline, &froms->items[i]));
}

void leat_graph_dot(const struct leat_pipeline *pipeline, FILE *out)
{
	fprintf(out, "digraph \"%s\" {\n\trankdir=LR;\n\tnode [shape=box];\n", pipeline->name);
	for (size_t i = 0; i < pipeline->source_count; i++)
		if (pipeline->sources[i].rekey < 0 && !pipeline->sources[i].deltas)
			fprintf(out, "\t\"%s\" [shape=cds, label=\"%s\\n%s\"];\n", pipeline->sources[i].name, pipeline->sources[i].name, pipeline->sources[i].topic);
	for (size_t i = 0; i < pipeline->node_count; i++) {
		fprintf(out, "\t\"%s\" [label=\"%s\\n%s\"];\n", pipeline->nodes[i].id, pipeline->nodes[i].id, pipeline->nodes[i].use);
		dot_froms(pipeline, &pipeline->nodes[i].from, pipeline->nodes[i].id, out);
	}
	for (size_t i = 0; i < pipeline->sink_count; i++) {
		fprintf(out, "\t\"sink %s\" [shape=cds, label=\"%s\\n%s\"];\n", pipeline->sinks[i].name, pipeline->sinks[i].name, pipeline->sinks[i].topic);
		char name[160];
		snprintf(name, sizeof name, "sink %s", pipeline->sinks[i].name);
		dot_froms(pipeline, &pipeline->sinks[i].from, name, out);
	}
	fprintf(out, "}\n");
}
