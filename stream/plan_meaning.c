/*
 * Resolving a pipeline: what an operator's stored entries hang on, as text in one form: defaults filled in, numbers and times as they were understood. It goes with
 * the state (lane_meaning.c), so that a task can say what has changed.
 */
#include "stream/plan.h"

#include <stdlib.h>

static bool is_durable(const struct leat_node *node, size_t table)
{
	return node->table[table].kind != LEAT_LOCAL;
}

static bool names_a_key(const struct leat_node *node, const struct leat_option *option)
{
	for (size_t i = 0; i < node->tables; i++)
		if (is_durable(node, i) && node->op->tables[i].key_option && strcmp(node->op->tables[i].key_option, option->name) == 0)
			return true;
	return false;
}

/* ---- values ---- */

static int put_duration(struct leat_buffer *out, int64_t ms)
{
	static const struct { const char *unit; int64_t ms; } units[] = { { "d", 86400000 }, { "h", 3600000 }, { "m", 60000 }, { "s", 1000 }, { "ms", 1 } };
	size_t i = 0;
	while (ms % units[i].ms != 0)
		i++;
	return leat_buffer_printf(out, "%lld%s", (long long)(ms / units[i].ms), units[i].unit);
}

/* The type too: texts and numbers make other keys and other categories. Where any number will do it does not matter which. */
static int put_field(struct leat_buffer *out, const struct leat_option *option, const struct leat_field_ref *ref)
{
	static const char *const names[LEAT_TYPES] = { "none", "bool", "int", "enum", "float", "double", "string", "bytes", "vector", "strings", "floats" };
	const uint32_t numbers = LEAT_TYPE_BIT(LEAT_INT) | LEAT_TYPE_BIT(LEAT_FLOAT) | LEAT_TYPE_BIT(LEAT_DOUBLE);
	if (ref->slot < 0)
		return leat_buffer_printf(out, "none");
	bool any_number = (option->types & numbers) == numbers && (LEAT_TYPE_BIT(ref->field->type) & numbers);
	return leat_buffer_printf(out, "%s (%s)", ref->field->name, any_number ? "number" : names[ref->field->type]);
}

static int compare_words(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int put_texts(struct leat_plan *plan, struct leat_buffer *out, const struct leat_texts *texts, bool sorted)
{
	const char **items = leat_plan_memory(plan, (texts->count + 1) * sizeof *items);
	if (!items)
		return LEAT_ENOMEM;
	for (size_t i = 0; i < texts->count; i++)
		items[i] = texts->items[i];
	if (sorted)
		qsort(items, texts->count, sizeof *items, compare_words);
	for (size_t i = 0; i < texts->count; i++)
		LEAT_TRY(leat_buffer_printf(out, "%s%s", i ? ", " : "[", items[i]));
	return leat_buffer_printf(out, texts->count ? "]" : "[]");
}

/* As it stands in the file. */
static int put_yaml(struct leat_buffer *out, const struct leat_yaml *node)
{
	if (node->kind == LEAT_YAML_SCALAR)
		return leat_buffer_printf(out, "%s", node->text);
	bool map = node->kind == LEAT_YAML_MAP;
	LEAT_TRY(leat_buffer_printf(out, map ? "{" : "["));
	for (const struct leat_yaml *child = node->first; child; child = child->next) {
		LEAT_TRY(leat_buffer_printf(out, "%s%s%s", child == node->first ? "" : ", ", map ? child->key : "", map ? ": " : ""));
		LEAT_TRY(put_yaml(out, child));
	}
	return leat_buffer_printf(out, map ? "}" : "]");
}

static int put_value(struct leat_plan *plan, struct leat_buffer *out, const struct leat_option *option)
{
	const void *at = (const char *)plan->node->self + option->offset;
	const struct leat_yaml *given = leat_yaml_get(plan->with, option->name);
	switch (option->type) {
	case LEAT_OPTION_INT:
	case LEAT_OPTION_SIZE:
		return leat_buffer_printf(out, "%lld", (long long)*(const int64_t *)at);
	case LEAT_OPTION_DOUBLE:
		return leat_buffer_printf(out, "%.17g", *(const double *)at);
	case LEAT_OPTION_BOOL:
		return leat_buffer_printf(out, "%s", *(const bool *)at ? "true" : "false");
	case LEAT_OPTION_DURATION:
		return put_duration(out, *(const int64_t *)at);
	case LEAT_OPTION_FIELD:
		return put_field(out, option, at);
	case LEAT_OPTION_TEXTS:
		return put_texts(plan, out, at, option->meaning == LEAT_MEANS_SET);
	default:
		return given ? put_yaml(out, given) : leat_buffer_printf(out, "%s", option->fallback ? option->fallback : "none");
	}
}

static bool is_on(const struct leat_plan *plan, const struct leat_option *option)
{
	const void *at = (const char *)plan->node->self + option->offset;
	if (option->type == LEAT_OPTION_INT || option->type == LEAT_OPTION_SIZE || option->type == LEAT_OPTION_DURATION)
		return *(const int64_t *)at != 0;
	return leat_yaml_get(plan->with, option->name) != NULL;
}

/* ---- keys ---- */

static const char *key_of(const struct leat_pipeline *pipeline, const struct leat_from *from)
{
	if (from->source < 0)
		return pipeline->nodes[from->node].rekeyed_by;
	int rekey = pipeline->sources[from->source].rekey;
	const struct leat_node *node = rekey < 0 ? NULL : &pipeline->nodes[rekey];
	return node ? pipeline->streams[node->stream].layout.fields[node->rekey_slot].name : "nothing";
}

/* State by message key means nothing under the keys of another field. */
static int name_keys(struct leat_plan *plan)
{
	struct leat_node *node = plan->node;
	const char *names[LEAT_FROM_MAX];
	struct leat_buffer text = { 0 };
	int rc = 0;
	for (size_t i = 0; i < node->from.count; i++)
		names[i] = key_of(plan->pipeline, &node->from.items[i]);
	qsort(names, node->from.count, sizeof *names, compare_words);
	for (size_t i = 0; i < node->from.count && rc >= 0; i++)
		if (i == 0 || strcmp(names[i], names[i - 1]) != 0)
			rc = leat_buffer_printf(&text, "%s%s", i ? ", " : "", names[i]);
	char *copy = rc < 0 ? NULL : leat_plan_memory(plan, text.length + 1);
	node->rekeyed_by = copy ? memcpy(copy, text.data, text.length) : NULL;
	leat_buffer_free(&text);
	return copy ? 0 : LEAT_ENOMEM;
}

static bool goes_by_message_key(const struct leat_plan *plan)
{
	const struct leat_node *node = plan->node;
	for (size_t i = 0; i < node->tables; i++)
		if (is_durable(node, i) && *plan->pipeline->groups[node->table[i].group].key_name == '\0')
			return true;
	return false;
}

/* ---- the whole ---- */

static int put_word(struct leat_buffer *out, const char *word)
{
	return leat_buffer_append(out, word, strlen(word) + 1);
}

static int put_option(struct leat_plan *plan, struct leat_buffer *out, const struct leat_option *option)
{
	bool key = names_a_key(plan->node, option);
	if (option->meaning == LEAT_MEANS_NOTHING && !key)
		return 0;
	LEAT_TRY(put_word(out, option->name));
	if (option->meaning == LEAT_MEANS_ON && !key)
		LEAT_TRY(leat_buffer_printf(out, "%s", is_on(plan, option) ? "given" : "not given"));
	else
		LEAT_TRY(put_value(plan, out, option));
	return leat_buffer_append(out, "", 1);
}

/* Which rows its keyed tables are part of: a pipeline that writes them without knowing the tables drops their entries. */
static int put_rows(struct leat_plan *plan, struct leat_buffer *out)
{
	const struct leat_node *node = plan->node;
	for (size_t i = 0; i < node->tables; i++) {
		if (node->table[i].kind != LEAT_KEYED)
			continue;
		LEAT_TRY(leat_buffer_printf(out, LEAT_MEANING_ROWS "%s", node->op->tables[i].name));
		LEAT_TRY(leat_buffer_append(out, "", 1));
		LEAT_TRY(put_word(out, plan->pipeline->groups[node->table[i].group].key_name));
	}
	return 0;
}

static int put_all(struct leat_plan *plan, struct leat_buffer *out)
{
	LEAT_TRY(put_word(out, "use"));
	LEAT_TRY(put_word(out, plan->node->use));
	if (goes_by_message_key(plan)) {
		LEAT_TRY(put_word(out, "re-keyed by"));
		LEAT_TRY(put_word(out, plan->node->rekeyed_by));
	}
	for (const struct leat_option *option = plan->node->op->options; option && option->name; option++)
		LEAT_TRY(put_option(plan, out, option));
	return put_rows(plan, out);
}

int leat_plan_meaning(struct leat_plan *plan)
{
	struct leat_node *node = plan->node;
	struct leat_buffer text = { 0 };
	bool durable = false;
	LEAT_TRY(name_keys(plan));
	for (size_t i = 0; i < node->tables; i++)
		durable |= is_durable(node, i);
	if (!durable)
		return 0;
	int rc = put_all(plan, &text);
	void *copy = rc < 0 ? NULL : leat_plan_memory(plan, text.length);
	if (copy)
		node->meaning = leat_bytes(memcpy(copy, text.data, text.length), text.length);
	leat_buffer_free(&text);
	return copy ? 0 : LEAT_ENOMEM;
}
