/* Resolving a pipeline: which tables lie in one row because they have one key, and what shared tables bring along. */
#include "stream/plan.h"

static int find_group(struct leat_plan *plan, const char *key_name, enum leat_table_kind kind)
{
	struct leat_pipeline *pipeline = plan->pipeline;
	char name[160];
	snprintf(name, sizeof name, "%s%s", key_name, kind == LEAT_KEYED ? "" : kind == LEAT_LOCAL ? "#local" : "#shared");
	uint16_t tag = (uint16_t)(leat_murmur2(name, strlen(name)) % 0xFFF0);
	for (size_t i = 0; i < pipeline->group_count; i++) {
		struct leat_group *group = &pipeline->groups[i];
		if (group->kind == kind && strcmp(group->key_name, key_name) == 0)
			return (int)i;
		if (group->tag == tag)
			return leat_plan_fail(plan, NULL, "the key fields '%s' and '%s' get the same tag on disk; rename one", key_name, group->key_name);
	}
	if (pipeline->group_count == LEAT_GROUPS_MAX)
		return leat_plan_fail(plan, NULL, "tables have more than %d different keys", LEAT_GROUPS_MAX);
	struct leat_group *group = &pipeline->groups[pipeline->group_count];
	*group = (struct leat_group){ .key_name = key_name, .kind = kind, .tag = tag };
	for (size_t i = 0; i < LEAT_STREAMS_MAX; i++)
		group->slot_of_stream[i] = -2;
	return (int)pipeline->group_count++;
}

static int table_key(struct leat_plan *plan, const struct leat_table *table, const char **key_name, int *slot)
{
	*key_name = "";
	*slot = -1;
	if (!table->key_option)
		return 0;
	for (const struct leat_option *option = plan->node->op->options; option && option->name; option++) {
		if (strcmp(option->name, table->key_option) != 0)
			continue;
		const struct leat_field_ref *ref = (const struct leat_field_ref *)((const char *)plan->node->self + option->offset);
		if (ref->slot < 0)
			return 0;
		*key_name = ref->field->name;
		*slot = ref->slot;
		if (ref->field->type != LEAT_STRING && ref->field->type != LEAT_INT && ref->field->type != LEAT_BYTES)
			return leat_plan_fail(plan, option->name, "must name a string or int field, because a table has it as key");
		return 0;
	}
	LEAT_ASSERT(!"key_option names no option");
	return LEAT_ECONFIG;
}

static int64_t table_ttl(const struct leat_plan *plan, const struct leat_table *table)
{
	for (const struct leat_option *option = plan->node->op->options; table->ttl_option && option->name; option++)
		if (strcmp(option->name, table->ttl_option) == 0)
			return *(const int64_t *)((const char *)plan->node->self + option->offset);
	return 0;
}

static int check_shared(struct leat_plan *plan, const struct leat_table *table, struct leat_node_table *out)
{
	size_t size = table->merge == LEAT_MERGE_FACTOR ? sizeof(float) : sizeof(int64_t);
	LEAT_ASSERT(table->merge != LEAT_MERGE_NONE && out->entry_size % size == 0);
	out->numbers = out->entry_size / size;
	if (out->numbers > LEAT_SHARED_NUMBERS_MAX)
		return leat_plan_fail(plan, NULL, "a row of its shared table has more than %d numbers", LEAT_SHARED_NUMBERS_MAX);
	return 0;
}

int leat_plan_table_add(struct leat_plan *plan, size_t index)
{
	struct leat_pipeline *pipeline = plan->pipeline;
	struct leat_node *node = plan->node;
	struct leat_node_table *out = &node->table[index];
	const struct leat_table *table = &node->op->tables[index];
	const char *key_name;
	int slot;
	char tag[256];
	LEAT_ASSERT(out->entry_size > 0);
	LEAT_TRY(table_key(plan, table, &key_name, &slot));
	out->group = find_group(plan, key_name, out->kind);
	LEAT_TRY(out->group);
	struct leat_group *group = &pipeline->groups[out->group];
	if (group->count == LEAT_TABLES_MAX)
		return leat_plan_fail(plan, NULL, "more than %d tables have the key '%s'", LEAT_TABLES_MAX, key_name);
	if (out->kind == LEAT_SHARED)
		LEAT_TRY(check_shared(plan, table, out));
	group->slot_of_stream[node->stream] = slot;
	out->index = group->count;
	out->ttl_ms = out->kind == LEAT_SHARED ? 0 : table_ttl(plan, table);   /* shared rows are kept for good */
	snprintf(tag, sizeof tag, "%s.%s", node->id, table->name);
	out->tag = leat_murmur2(tag, strlen(tag));
	group->member[group->count].node = (int)(node - pipeline->nodes);
	group->member[group->count++].table = (int)index;
	return 0;
}

static int add_owned(struct leat_pipeline *pipeline, struct leat_group *group, size_t node, size_t table, struct leat_fault *fault)
{
	uint32_t tag = pipeline->nodes[node].table[table].tag;
	if (group->count == LEAT_TABLES_MAX)
		return leat_yaml_fail(pipeline->file, NULL, fault, "more than %d shared tables", LEAT_TABLES_MAX);
	for (size_t i = 0; i < group->count; i++)
		if (pipeline->nodes[group->member[i].node].table[group->member[i].table].tag == tag)
			return leat_yaml_fail(pipeline->file, NULL, fault, "shared tables of the operators '%s' and '%s' get the same tag in their topics; rename one",
					      pipeline->nodes[group->member[i].node].id, pipeline->nodes[node].id);
	if (tag == 0)
		return leat_yaml_fail(pipeline->file, NULL, fault, "the shared table of the operator '%s' gets the tag 0, which is taken; rename it", pipeline->nodes[node].id);
	group->member[group->count].node = (int)node;
	group->member[group->count++].table = (int)table;
	return 0;
}

int leat_plan_shared_add(struct leat_pipeline *pipeline, struct leat_fault *fault)
{
	struct leat_group owner = { .key_name = "#owner", .kind = LEAT_KEYED, .tag = 0xFFFE, .owner = true };
	for (size_t i = 0; i < LEAT_STREAMS_MAX; i++)
		owner.slot_of_stream[i] = -2;
	for (size_t n = 0; n < pipeline->node_count; n++)
		for (size_t t = 0; t < pipeline->nodes[n].tables; t++)
			if (pipeline->nodes[n].table[t].kind == LEAT_SHARED)
				LEAT_TRY(add_owned(pipeline, &owner, n, t, fault));
	pipeline->owner_group = pipeline->deltas_source = -1;
	if (owner.count == 0)
		return 0;
	if (pipeline->group_count == LEAT_GROUPS_MAX || pipeline->source_count == LEAT_SOURCES_MAX)
		return leat_yaml_fail(pipeline->file, NULL, fault, "too many sources or tables for shared tables");
	size_t size = strlen(pipeline->name) + sizeof ".deltas";
	char *topic = leat_pipeline_memory(pipeline, size);
	if (!topic)
		return LEAT_ENOMEM;
	snprintf(topic, size, "%s.deltas", pipeline->name);
	pipeline->owner_group = (int)pipeline->group_count;
	pipeline->groups[pipeline->group_count++] = owner;
	pipeline->deltas_source = (int)pipeline->source_count;
	pipeline->sources[pipeline->source_count++] = (struct leat_source){ .name = "#deltas", .topic = topic, .rekey = -1, .deltas = true, .time_slot = -1, .id_slot = -1, .on_bad = LEAT_BAD_HALT };
	return 0;
}
