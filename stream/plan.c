/* Resolving a pipeline: order of the graph, fields and columns of each stream, tables by key; everything an operator asks for while it is planned. */
#include "stream/plan.h"
#include "stream/operators_list.h"

#include <stdlib.h>

struct raw_node {
	const struct leat_yaml *map;
	const char *id, *use;
	bool placed;
};

struct resolve {
	struct leat_pipeline *pipeline;
	struct leat_fault *fault;
	struct raw_node raw[LEAT_NODES_MAX];
	size_t raw_count;
};

static int layout_add(struct leat_layout *layout, const struct leat_field *field)
{
	if (layout->count == LEAT_SLOTS_MAX)
		return LEAT_ELIMIT;
	layout->fields[layout->count] = *field;
	return (int)layout->count++;
}

/* ---- streams ---- */

static int add_stream(struct resolve *resolve, int emitter, int output)
{
	struct leat_pipeline *pipeline = resolve->pipeline;
	if (pipeline->stream_count == LEAT_STREAMS_MAX)
		return leat_yaml_fail(pipeline->file, NULL, resolve->fault, "more than %d streams", LEAT_STREAMS_MAX);
	struct leat_stream *stream = &pipeline->streams[pipeline->stream_count];
	stream->emitter = emitter;
	stream->output = output;
	for (size_t i = 0; i < LEAT_SLOTS_MAX; i++)
		stream->producer[i] = -1;
	return (int)pipeline->stream_count++;
}

static bool same_symbols(const struct leat_field *a, const struct leat_field *b)
{
	const char *const *x = a->symbols, *const *y = b->symbols;
	if (!x || !y)
		return x == y;
	while (*x && *y && strcmp(*x, *y) == 0)
		x++, y++;
	return !*x && !*y;
}

static int merge_field(struct resolve *resolve, struct leat_source *source, size_t index)
{
	struct leat_pipeline *pipeline = resolve->pipeline;
	struct leat_layout *layout = &pipeline->streams[0].layout;
	const struct leat_field *field = leat_schema_field(source->schema, index);
	const struct leat_yaml at = { .line = source->line };
	int slot = leat_layout_find(layout, field->name);
	if (slot < 0) {
		slot = layout_add(layout, field);
		if (slot < 0)
			return leat_yaml_fail(pipeline->file, &at, resolve->fault, "more than %d fields", LEAT_SLOTS_MAX);
	} else if (layout->fields[slot].type != field->type || !same_symbols(&layout->fields[slot], field)) {
		return leat_yaml_fail(pipeline->file, &at, resolve->fault, "source '%s': the field '%s' has another type here than in another source", source->name, field->name);
	}
	layout->fields[slot].nullable |= field->nullable || pipeline->source_count > 1;
	source->slots[index] = slot;
	return 0;
}

static int find_slot(struct resolve *resolve, const struct leat_source *source, const char *name, const char *what, int *slot)
{
	const struct leat_yaml at = { .line = source->line };
	*slot = -1;
	if (!name)
		return 0;
	long field = leat_schema_find(source->schema, name);
	if (field < 0)
		return leat_yaml_fail(resolve->pipeline->file, &at, resolve->fault, "source '%s': '%s' names '%s', which its schema has not", source->name, what, name);
	*slot = source->slots[field];
	uint8_t type = resolve->pipeline->streams[0].layout.fields[*slot].type;
	bool fits = strcmp(what, "time") == 0 ? type == LEAT_INT : type == LEAT_STRING || type == LEAT_INT || type == LEAT_BYTES;
	if (!fits)
		return leat_yaml_fail(resolve->pipeline->file, &at, resolve->fault, "source '%s': '%s' must be of type %s", source->name, name,
				      strcmp(what, "time") == 0 ? "int (a timestamp)" : "string or int");
	resolve->pipeline->streams[0].read[*slot] = true;
	return 0;
}

static int resolve_sources(struct resolve *resolve)
{
	struct leat_pipeline *pipeline = resolve->pipeline;
	LEAT_TRY(add_stream(resolve, -1, -1));
	for (size_t i = 0; i < pipeline->source_count; i++) {
		struct leat_source *source = &pipeline->sources[i];
		size_t count = leat_schema_count(source->schema);
		source->slots = leat_pipeline_memory(pipeline, LEAT_MAX(count, (size_t)1) * sizeof *source->slots);
		if (!source->slots)
			return LEAT_ENOMEM;
		for (size_t field = 0; field < count; field++)
			LEAT_TRY(merge_field(resolve, source, field));
		LEAT_TRY(find_slot(resolve, source, source->time_name, "time", &source->time_slot));
		LEAT_TRY(find_slot(resolve, source, source->id_name, "id", &source->id_slot));
	}
	pipeline->streams[0].base = pipeline->streams[0].layout.count;
	return 0;
}

/* ---- who feeds whom ---- */

static int output_of(const struct leat_node *node, const char *name)
{
	if (!node->op)
		return *name ? -1 : 0;
	if (!*name)
		return 0;
	for (int i = 0; node->op->outputs && node->op->outputs[i].name; i++)
		if (strcmp(node->op->outputs[i].name, name) == 0)
			return i;
	return -1;
}

/* 1: found, 0: not (yet) there. */
static int find_from(struct resolve *resolve, const struct leat_yaml *at, const char *name, struct leat_from *from)
{
	struct leat_pipeline *pipeline = resolve->pipeline;
	for (size_t i = 0; i < pipeline->source_count; i++)
		if (pipeline->sources[i].rekey < 0 && strcmp(pipeline->sources[i].name, name) == 0) {
			*from = (struct leat_from){ .source = (int)i, .node = -1 };
			return 1;
		}
	for (size_t i = 0; i < pipeline->node_count; i++) {
		struct leat_node *node = &pipeline->nodes[i];
		size_t length = strlen(node->id);
		if (strncmp(node->id, name, length) != 0 || (name[length] && name[length] != '.'))
			continue;
		int output = output_of(node, name[length] ? name + length + 1 : "");
		if (output < 0)
			return leat_yaml_fail(pipeline->file, at, resolve->fault, "'%s': '%s' has no such output", name, node->use);
		*from = node->op ? (struct leat_from){ .source = -1, .node = (int)i, .output = output } : (struct leat_from){ .source = node->rekey_source, .node = -1 };
		return 1;
	}
	return 0;
}

static bool names_a_node(const struct resolve *resolve, const char *name)
{
	for (size_t i = 0; i < resolve->raw_count; i++) {
		size_t length = strlen(resolve->raw[i].id);
		if (strncmp(resolve->raw[i].id, name, length) == 0 && (!name[length] || name[length] == '.'))
			return true;
	}
	return false;
}

/* Reads `from`: 1 all there, 0 some not placed yet. */
static int unknown_from(struct resolve *resolve, const struct leat_yaml *at)
{
	struct leat_guess guess = { 0 };
	for (size_t i = 0; i < resolve->pipeline->source_count; i++)
		leat_guess(&guess, leat_text(at->text), resolve->pipeline->sources[i].name);
	for (size_t i = 0; i < resolve->raw_count; i++)
		leat_guess(&guess, leat_text(at->text), resolve->raw[i].id);
	return leat_yaml_fail(resolve->pipeline->file, at, resolve->fault, "'from' names '%s', which is neither a source nor an operator%s", at->text, leat_guess_hint(&guess));
}

static int read_from(struct resolve *resolve, const struct leat_yaml *map, struct leat_froms *froms)
{
	struct leat_pipeline *pipeline = resolve->pipeline;
	const struct leat_yaml *from = leat_yaml_get(map, "from");
	const struct leat_yaml *child = from && from->kind == LEAT_YAML_LIST ? from->first : from;
	froms->count = 0;
	if (!child)
		return leat_yaml_fail(pipeline->file, map, resolve->fault, "'from' is missing: name a source or an operator");
	for (; child; child = from->kind == LEAT_YAML_LIST ? child->next : NULL) {
		if (child->kind != LEAT_YAML_SCALAR)
			return leat_yaml_fail(pipeline->file, child, resolve->fault, "'from' must be a name or a list of names");
		if (froms->count == LEAT_FROM_MAX)
			return leat_yaml_fail(pipeline->file, child, resolve->fault, "'from' names more than %d", LEAT_FROM_MAX);
		int found = find_from(resolve, child, child->text, &froms->items[froms->count]);
		if (found < 0)
			return found;
		if (found == 0 && !names_a_node(resolve, child->text))
			return unknown_from(resolve, child);
		if (found == 0)
			return 0;
		froms->count++;
	}
	return 1;
}

static int stream_of(const struct leat_pipeline *pipeline, const struct leat_from *from)
{
	if (from->source >= 0)
		return pipeline->sources[from->source].stream;
	const struct leat_node *node = &pipeline->nodes[from->node];
	return node->emits[from->output] >= 0 ? node->emits[from->output] : node->stream;
}

static uint64_t ancestors_of(const struct leat_pipeline *pipeline, const struct leat_froms *froms)
{
	uint64_t bits = 0;
	for (size_t i = 0; i < froms->count; i++) {
		const struct leat_from *from = &froms->items[i];
		int node = from->source >= 0 ? pipeline->sources[from->source].rekey : from->node;
		if (node >= 0)
			bits |= pipeline->nodes[node].ancestors | 1ull << node;
	}
	return bits;
}

static int common_stream(struct resolve *resolve, const struct leat_yaml *map, const struct leat_froms *froms, int *out)
{
	*out = stream_of(resolve->pipeline, &froms->items[0]);
	for (size_t i = 1; i < froms->count; i++)
		if (stream_of(resolve->pipeline, &froms->items[i]) != *out)
			return leat_yaml_fail(resolve->pipeline->file, map, resolve->fault, "'from' mixes rows of different kinds: one of them is emitted by an operator and has its own fields");
	if (froms->count > 1)
		resolve->pipeline->streams[*out].joins = true;
	return 0;
}

/* The layout as one node sees it: columns of nodes that are not upstream have no name. */
static void visible_layout(const struct leat_pipeline *pipeline, int stream, uint64_t ancestors, struct leat_layout *out)
{
	const struct leat_stream *from = &pipeline->streams[stream];
	*out = from->layout;
	for (size_t i = 0; i < out->count; i++)
		if (from->producer[i] >= 0 && !(ancestors >> from->producer[i] & 1))
			out->fields[i].name = "";
}

/* ---- planning one operator ---- */

static const struct leat_layout *layout_of(const struct leat_plan *plan)
{
	return &plan->resolve->pipeline->streams[plan->node->stream].layout;
}

static void mark_read(void *self, int slot)
{
	struct leat_plan *plan = self;
	plan->resolve->pipeline->streams[plan->node->stream].read[slot] = true;
	plan->node->reads[slot] = true;
}

static struct leat_reference *plan_reference(void *self, const char *name)
{
	struct leat_pipeline *pipeline = ((struct leat_plan *)self)->resolve->pipeline;
	for (size_t i = 0; i < pipeline->table_count; i++)
		if (strcmp(pipeline->tables[i].name, name) == 0)
			return pipeline->tables[i].reference;
	return NULL;
}

void *leat_plan_memory(struct leat_plan *plan, size_t size)
{
	return leat_pipeline_memory(plan->resolve->pipeline, size);
}

static void *plan_memory(void *self, size_t size)
{
	return leat_plan_memory(self, size);
}

static int plan_expression(void *self, struct leat_expression *expression)
{
	struct leat_plan *plan = self;
	leat_expression_reads(expression, mark_read, plan);
	return leat_pipeline_own_expression(plan->resolve->pipeline, expression);
}

struct leat_expression *leat_plan_expression(struct leat_plan *plan, const char *text, uint32_t types, int line)
{
	const struct leat_yaml at = { .line = line };
	struct leat_expression *expression;
	struct leat_fault inner = { 0 };
	if (leat_expression_compile(&expression, text, plan->visible, types, &inner) < 0) {
		leat_yaml_fail(plan->resolve->pipeline->file, &at, plan->resolve->fault, "operator '%s': '%s' is not right: %s", plan->node->id, text, inner.text);
		return NULL;
	}
	return plan_expression(plan, expression) < 0 ? NULL : expression;
}

int leat_plan_fail(struct leat_plan *plan, const char *option, const char *format, ...)
{
	char text[300];
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	const struct leat_yaml *at = option ? leat_yaml_get(plan->with, option) : NULL;
	return leat_yaml_fail(plan->resolve->pipeline->file, at ? at : plan->map, plan->resolve->fault, "operator '%s': %s%s%s%s", plan->node->id,
			      option ? "'" : "", option ? option : "", option ? "' " : "", text);
}

void leat_plan_column(struct leat_plan *plan, int column, uint8_t type, uint16_t width)
{
	plan->node->column[column].type = type;
	plan->node->column[column].width = width;
}

int leat_plan_add(struct leat_plan *plan, const char *name, uint8_t type, uint16_t width, const char *help)
{
	struct leat_node *node = plan->node;
	if (node->columns == LEAT_COUNT_OF(node->column))
		return LEAT_ELIMIT;
	char *copy = leat_plan_memory(plan, strlen(name) + 1);
	if (!copy)
		return LEAT_ENOMEM;
	memcpy(copy, name, strlen(name) + 1);
	node->column[node->columns] = (struct leat_plan_column){ .name = copy, .help = help, .type = type, .width = width };
	return (int)node->columns++;
}

int leat_plan_rewrite(struct leat_plan *plan, int slot)
{
	struct leat_node *node = plan->node;
	if (node->columns == LEAT_COUNT_OF(node->column))
		return LEAT_ELIMIT;
	mark_read(plan, slot);
	node->rewrites[slot] = true;
	plan->resolve->pipeline->streams[node->stream].layout.fields[slot].nullable = true;
	node->column[node->columns] = (struct leat_plan_column){ .rewritten = slot + 1 };
	return (int)node->columns++;
}

const struct leat_field *leat_plan_field(struct leat_plan *plan, int slot)
{
	return (size_t)slot < plan->visible->count ? &plan->visible->fields[slot] : NULL;
}

void leat_plan_table(struct leat_plan *plan, int table, enum leat_table_kind kind, size_t entry_size)
{
	plan->node->table[table].kind = kind;
	plan->node->table[table].entry_size = entry_size;
}

void leat_plan_timer_min(struct leat_plan *plan, int64_t timer_min_ms)
{
	plan->node->timer_min_ms = timer_min_ms;
}

int leat_plan_slot(struct leat_plan *plan, const char *name, const struct leat_field **field)
{
	int slot = leat_layout_find(plan->visible, name);
	if (slot >= 0)
		mark_read(plan, slot);
	if (field)
		*field = slot >= 0 ? &layout_of(plan)->fields[slot] : NULL;
	return slot;
}

/* Field references made while parsing point into the temporary layout; let them point to the one that stays, and note what is read. */
static void settle_fields(struct leat_plan *plan)
{
	const struct leat_layout *layout = layout_of(plan);
	for (const struct leat_option *option = plan->node->op->options; option && option->name; option++) {
		char *at = (char *)plan->node->self + option->offset;
		struct leat_field_ref *refs = (struct leat_field_ref *)at;
		size_t count = option->type == LEAT_OPTION_FIELD && refs->slot >= 0 ? 1 : 0;
		if (option->type == LEAT_OPTION_FIELDS) {
			refs = (struct leat_field_ref *)(uintptr_t)((struct leat_field_refs *)at)->items;
			count = ((struct leat_field_refs *)at)->count;
		}
		for (size_t i = 0; i < count; i++) {
			refs[i].field = &layout->fields[refs[i].slot];
			mark_read(plan, refs[i].slot);
		}
	}
}

static size_t count_outputs(const struct leat_operator *op)
{
	size_t count = 0;
	while (op->outputs && op->outputs[count].name)
		count++;
	return count;
}

static int take_descriptor(struct leat_plan *plan)
{
	struct leat_node *node = plan->node;
	const struct leat_operator *op = node->op;
	node->outputs = count_outputs(op);
	while (op->counters && op->counters[node->counters])
		node->counters++;
	for (; op->columns && op->columns[node->columns].name; node->columns++)
		node->column[node->columns] = (struct leat_plan_column){ .name = op->columns[node->columns].name, .help = op->columns[node->columns].help,
									 .type = op->columns[node->columns].type, .width = LEAT_MAX(op->columns[node->columns].width, (uint16_t)1) };
	for (; op->tables && op->tables[node->tables].name; node->tables++) {
		node->table[node->tables].kind = op->tables[node->tables].kind;
		node->table[node->tables].entry_size = op->tables[node->tables].entry_size;
	}
	node->timer_min_ms = op->on_timer ? op->timer_min_ms : INT64_MAX;
	node->self = leat_plan_memory(plan, LEAT_MAX(op->self_size, (size_t)1));
	LEAT_ASSERT(op->abi == LEAT_OPERATOR_ABI && node->outputs <= LEAT_OUTPUTS_MAX && node->tables <= LEAT_TABLES_MAX);
	return node->self ? 0 : LEAT_ENOMEM;
}

static int add_columns(struct leat_plan *plan)
{
	struct leat_node *node = plan->node;
	struct leat_pipeline *pipeline = plan->resolve->pipeline;
	struct leat_stream *stream = &pipeline->streams[node->stream];
	const struct leat_yaml *as = leat_yaml_get(plan->map, "as");
	for (size_t i = 0; i < node->columns; i++) {
		const struct leat_plan_column *column = &node->column[i];
		if (column->rewritten) {
			node->added[i] = column->rewritten - 1;
			continue;
		}
		const struct leat_yaml *renamed = leat_yaml_get(as, column->name);
		struct leat_field field = { .name = renamed ? renamed->text : column->name, .type = column->type, .width = column->width, .nullable = true, .help = column->help };
		if (leat_layout_find(&stream->layout, field.name) >= 0)
			return leat_plan_fail(plan, NULL, "adds the column '%s', which is already there; rename it with as: { %s: other }", field.name, column->name);
		int slot = layout_add(&stream->layout, &field);
		if (slot < 0)
			return leat_plan_fail(plan, NULL, "more than %d columns", LEAT_SLOTS_MAX);
		stream->producer[slot] = (int)(node - pipeline->nodes);
		node->added[i] = slot;
	}
	return 0;
}

static int add_outputs(struct leat_plan *plan)
{
	struct leat_node *node = plan->node;
	struct leat_pipeline *pipeline = plan->resolve->pipeline;
	for (size_t i = 0; i < LEAT_OUTPUTS_MAX; i++)
		node->emits[i] = -1;
	for (size_t i = 0; i < node->outputs; i++) {
		const struct leat_field *fields = node->op->outputs[i].fields;
		if (!fields)
			continue;
		int stream = add_stream(plan->resolve, (int)(node - pipeline->nodes), (int)i);
		if (stream < 0)
			return stream;
		for (; fields->name; fields++)
			if (layout_add(&pipeline->streams[stream].layout, fields) < 0)
				return leat_plan_fail(plan, NULL, "emits too many fields");
		pipeline->streams[stream].base = pipeline->streams[stream].layout.count;
		node->emits[i] = stream;
	}
	return 0;
}

/* ---- nodes ---- */

static const struct leat_operator *find_operator(const char *name)
{
	for (size_t i = 0; leat_operators[i]; i++)
		if (strcmp(leat_operators[i]->name, name) == 0)
			return leat_operators[i];
	return NULL;
}

static int plan_operator(struct leat_plan *plan)
{
	struct leat_pipeline *pipeline = plan->resolve->pipeline;
	struct leat_node *node = plan->node;
	char what[160];
	snprintf(what, sizeof what, "operator '%s'", node->id);
	struct leat_option_scope scope = { .file = pipeline->file, .what = what, .layout = plan->visible, .reference = plan_reference,
					   .memory = plan_memory, .expression = plan_expression, .self = plan };
	LEAT_TRY(take_descriptor(plan));
	const struct leat_yaml empty = { .kind = LEAT_YAML_MAP, .line = node->line };
	LEAT_TRY(leat_options_parse(&scope, node->op->options, plan->with ? plan->with : &empty, NULL, node->self, plan->resolve->fault));
	settle_fields(plan);
	if (node->op->plan)
		LEAT_TRY(node->op->plan(plan, node->self));
	for (size_t i = 0; i < node->tables; i++)
		LEAT_TRY(leat_plan_table_add(plan, i));
	LEAT_TRY(leat_plan_meaning(plan));
	LEAT_TRY(add_columns(plan));
	return add_outputs(plan);
}

struct rekey_options { struct leat_field_ref by; };

static int plan_rekey(struct leat_plan *plan)
{
	static const struct leat_option options[] = {
		{ .name = "by", .type = LEAT_OPTION_FIELD, .offset = offsetof(struct rekey_options, by), .types = LEAT_TYPE_BIT(LEAT_STRING) | LEAT_TYPE_BIT(LEAT_INT), .help = "field that becomes the key" },
		{ .name = NULL }
	};
	struct leat_pipeline *pipeline = plan->resolve->pipeline;
	struct leat_node *node = plan->node;
	struct rekey_options found;
	char what[160];
	snprintf(what, sizeof what, "operator '%s'", node->id);
	struct leat_option_scope scope = { .file = pipeline->file, .what = what, .layout = plan->visible, .memory = plan_memory, .self = plan };
	const struct leat_yaml empty = { .kind = LEAT_YAML_MAP, .line = node->line };
	LEAT_TRY(leat_options_parse(&scope, options, plan->with ? plan->with : &empty, NULL, &found, plan->resolve->fault));
	mark_read(plan, found.by.slot);
	node->rekey_slot = found.by.slot;
	node->timer_min_ms = INT64_MAX;
	if (pipeline->source_count == LEAT_SOURCES_MAX)
		return leat_plan_fail(plan, NULL, "more than %d sources", LEAT_SOURCES_MAX);
	size_t size = strlen(pipeline->name) + strlen(node->id) + 2;
	char *topic = leat_plan_memory(plan, size);
	if (!topic)
		return LEAT_ENOMEM;
	snprintf(topic, size, "%s.%s", pipeline->name, node->id);
	node->rekey_source = (int)pipeline->source_count;
	pipeline->sources[pipeline->source_count++] = (struct leat_source){ .name = node->id, .topic = topic, .stream = node->stream, .rekey = (int)(node - pipeline->nodes),
									    .time_slot = -1, .id_slot = -1, .line = node->line };
	return 0;
}

static int unknown_operator(struct resolve *resolve, const struct raw_node *raw)
{
	struct leat_guess guess = { 0 };
	leat_guess(&guess, leat_text(raw->use), "rekey");
	for (size_t i = 0; leat_operators[i]; i++)
		leat_guess(&guess, leat_text(raw->use), leat_operators[i]->name);
	return leat_yaml_fail(resolve->pipeline->file, leat_yaml_get(raw->map, "use"), resolve->fault, "operator '%s': there is no operator '%s'%s `leat operators` lists them", raw->id, raw->use, guess.name ? leat_guess_hint(&guess) : ";");
}

static int place_node(struct resolve *resolve, struct raw_node *raw, const struct leat_froms *froms)
{
	struct leat_pipeline *pipeline = resolve->pipeline;
	struct leat_node *node = &pipeline->nodes[pipeline->node_count];
	static const char *const keys[] = { "id", "use", "from", "with", "as" };
	for (const struct leat_yaml *child = raw->map->first; child; child = child->next) {
		struct leat_guess guess = { 0 };
		for (size_t i = 0; i < LEAT_COUNT_OF(keys); i++)
			leat_guess(&guess, leat_text(child->key), keys[i]);
		if (!guess.name || guess.distance > 0)
			return leat_yaml_fail(pipeline->file, child, resolve->fault, "operator '%s': unknown key '%s'%s allowed: id, use, from, with, as", raw->id, child->key, guess.name ? leat_guess_hint(&guess) : ";");
	}
	*node = (struct leat_node){ .id = raw->id, .use = raw->use, .line = raw->map->line, .from = *froms, .rekey_slot = -1, .rekey_source = -1 };
	for (size_t i = 0; i < LEAT_OUTPUTS_MAX; i++)
		node->emits[i] = -1;
	LEAT_TRY(common_stream(resolve, raw->map, froms, &node->stream));
	node->ancestors = ancestors_of(pipeline, froms);
	pipeline->node_count++;
	struct leat_layout *visible = leat_pipeline_memory(pipeline, sizeof *visible);
	if (!visible)
		return LEAT_ENOMEM;
	visible_layout(pipeline, node->stream, node->ancestors, visible);
	struct leat_plan plan = { resolve, resolve->pipeline, node, leat_yaml_get(raw->map, "with"), raw->map, visible };
	if (strcmp(raw->use, "rekey") == 0)
		return plan_rekey(&plan);
	node->op = find_operator(raw->use);
	if (!node->op)
		return unknown_operator(resolve, raw);
	return plan_operator(&plan);
}

static int read_raw(struct resolve *resolve, const struct leat_yaml *map)
{
	struct leat_pipeline *pipeline = resolve->pipeline;
	const struct leat_yaml *id = leat_yaml_get(map, "id"), *use = leat_yaml_get(map, "use");
	if (map->kind != LEAT_YAML_MAP || !id || !use || id->kind != LEAT_YAML_SCALAR || use->kind != LEAT_YAML_SCALAR)
		return leat_yaml_fail(pipeline->file, map, resolve->fault, "an operator must be { id: name, use: operator, from: ..., with: {...} }");
	if (!*id->text || strpbrk(id->text, "./ ") || strlen(id->text) > 100)
		return leat_yaml_fail(pipeline->file, id, resolve->fault, "an id must be 1 to 100 characters without '.', '/' and spaces");
	if (resolve->raw_count == LEAT_NODES_MAX)
		return leat_yaml_fail(pipeline->file, map, resolve->fault, "more than %d operators", LEAT_NODES_MAX);
	for (size_t i = 0; i < resolve->raw_count; i++)
		if (strcmp(resolve->raw[i].id, id->text) == 0)
			return leat_yaml_fail(pipeline->file, id, resolve->fault, "the id '%s' is used twice", id->text);
	for (size_t i = 0; i < pipeline->source_count; i++)
		if (strcmp(pipeline->sources[i].name, id->text) == 0)
			return leat_yaml_fail(pipeline->file, id, resolve->fault, "'%s' is the name of a source too", id->text);
	resolve->raw[resolve->raw_count++] = (struct raw_node){ map, id->text, use->text, false };
	return 0;
}

/* One that @raw reads from and that is not placed. */
static const struct raw_node *waits_for(const struct resolve *resolve, const struct raw_node *raw)
{
	const struct leat_yaml *from = leat_yaml_get(raw->map, "from");
	bool one = from->kind == LEAT_YAML_SCALAR;
	for (const struct leat_yaml *at = one ? from : from->first; at; at = one ? NULL : at->next)
		for (size_t i = 0; i < resolve->raw_count; i++) {
			size_t length = strlen(resolve->raw[i].id);
			if (!resolve->raw[i].placed && strncmp(resolve->raw[i].id, at->text, length) == 0 && (!at->text[length] || at->text[length] == '.'))
				return &resolve->raw[i];
		}
	return raw;
}

/* Who waits for ever need not be in the cycle, but going on to what it waits for leads there. */
static int say_cycle(struct resolve *resolve, const struct raw_node *stuck)
{
	for (size_t i = 0; i < resolve->raw_count; i++)
		stuck = waits_for(resolve, stuck);
	const struct raw_node *next = waits_for(resolve, stuck);
	return leat_yaml_fail(resolve->pipeline->file, stuck->map, resolve->fault, "operator '%s' is part of a cycle: it reads '%s', which waits for it", stuck->id, next->id);
}

static int place_nodes(struct resolve *resolve)
{
	for (size_t placed = 0; placed < resolve->raw_count;) {
		size_t before = placed;
		const struct raw_node *stuck = NULL;
		for (size_t i = 0; i < resolve->raw_count; i++) {
			struct raw_node *raw = &resolve->raw[i];
			struct leat_froms froms;
			if (raw->placed)
				continue;
			int ready = read_from(resolve, raw->map, &froms);
			LEAT_TRY(ready);
			if (!ready) {
				stuck = raw;
				continue;
			}
			LEAT_TRY(place_node(resolve, raw, &froms));
			raw->placed = true;
			placed++;
		}
		if (placed == before)
			return say_cycle(resolve, stuck);
	}
	return 0;
}

/* ---- sinks ---- */

static int sink_slot(struct resolve *resolve, struct leat_sink *sink, const struct leat_layout *visible, const struct leat_yaml *fields, size_t index)
{
	struct leat_pipeline *pipeline = resolve->pipeline;
	const struct leat_field *field = leat_schema_field(sink->schema, index);
	const struct leat_yaml *named = leat_yaml_get(fields, field->name);
	int slot = leat_layout_find(visible, named ? named->text : field->name);
	if (slot < 0 && named) {
		struct leat_guess guess = { 0 };
		for (size_t i = 0; i < visible->count; i++)
			leat_guess(&guess, leat_text(named->text), visible->fields[i].name);
		return leat_yaml_fail(pipeline->file, named, resolve->fault, "sink '%s': there is no column '%s'%s", sink->name, named->text, leat_guess_hint(&guess));
	}
	if (slot >= 0)
		pipeline->streams[sink->stream].read[slot] = true;
	sink->slots[index] = slot;
	return 0;
}

static int check_encoder(struct resolve *resolve, struct leat_sink *sink, const struct leat_yaml *map)
{
	const struct leat_layout *layout = &resolve->pipeline->streams[sink->stream].layout;
	const struct leat_field *fields[LEAT_SLOTS_MAX];
	struct leat_encoder *encoder;
	struct leat_fault inner = { 0 };
	for (size_t i = 0; i < layout->count; i++)
		fields[i] = &layout->fields[i];
	int rc = leat_encoder_compile(&encoder, sink->schema, sink->slots, fields, &inner);
	if (rc < 0)
		return leat_yaml_fail(resolve->pipeline->file, map, resolve->fault, "sink '%s': %s", sink->name, inner.text);
	leat_encoder_free(encoder);
	return 0;
}

static int resolve_sink(struct resolve *resolve, struct leat_sink *sink, const struct leat_yaml *map)
{
	struct leat_pipeline *pipeline = resolve->pipeline;
	const struct leat_yaml *fields = leat_yaml_get(map, "fields");
	size_t count = leat_schema_count(sink->schema);
	LEAT_TRY(read_from(resolve, map, &sink->from));
	LEAT_TRY(common_stream(resolve, map, &sink->from, &sink->stream));
	struct leat_layout *visible = leat_pipeline_memory(pipeline, sizeof *visible);
	sink->slots = leat_pipeline_memory(pipeline, LEAT_MAX(count, (size_t)1) * sizeof *sink->slots);
	if (!visible || !sink->slots)
		return LEAT_ENOMEM;
	visible_layout(pipeline, sink->stream, ancestors_of(pipeline, &sink->from), visible);
	for (const struct leat_yaml *child = fields ? fields->first : NULL; child; child = child->next)
		if (!child->key || leat_schema_find(sink->schema, child->key) < 0)
			return leat_yaml_fail(pipeline->file, child, resolve->fault, "sink '%s': its schema has no field '%s'", sink->name, child->key ? child->key : "?");
	for (size_t i = 0; i < count; i++)
		LEAT_TRY(sink_slot(resolve, sink, visible, fields, i));
	sink->key_slot = sink->key_name ? leat_layout_find(visible, sink->key_name) : -1;
	if (sink->key_name && (sink->key_slot < 0 || (visible->fields[sink->key_slot].type != LEAT_STRING && visible->fields[sink->key_slot].type != LEAT_INT)))
		return leat_yaml_fail(pipeline->file, map, resolve->fault, "sink '%s': 'key' must name a string or int column; '%s' is not one", sink->name, sink->key_name);
	if (sink->key_slot >= 0)
		pipeline->streams[sink->stream].read[sink->key_slot] = true;
	return check_encoder(resolve, sink, map);
}

/* ---- the whole ---- */

int leat_plan_resolve(struct leat_pipeline *pipeline, struct leat_fault *fault)
{
	struct resolve *resolve = leat_pipeline_memory(pipeline, sizeof *resolve);
	pipeline->streams = leat_pipeline_memory(pipeline, LEAT_STREAMS_MAX * sizeof *pipeline->streams);
	if (!resolve || !pipeline->streams)
		return LEAT_ENOMEM;
	*resolve = (struct resolve){ .pipeline = pipeline, .fault = fault };
	const struct leat_yaml *root = leat_yaml_root(pipeline->file), *operators = leat_yaml_get(root, "operators"), *sinks = leat_yaml_get(root, "sinks");
	LEAT_TRY(resolve_sources(resolve));
	if (operators && operators->kind != LEAT_YAML_LIST)
		return leat_yaml_fail(pipeline->file, operators, fault, "'operators:' must be a list of { id, use, from, with }");
	for (const struct leat_yaml *child = operators ? operators->first : NULL; child; child = child->next)
		LEAT_TRY(read_raw(resolve, child));
	LEAT_TRY(place_nodes(resolve));
	LEAT_TRY(leat_plan_shared_add(pipeline, fault));
	for (size_t i = 0; i < pipeline->sink_count; i++)
		LEAT_TRY(resolve_sink(resolve, &pipeline->sinks[i], leat_yaml_get(sinks, pipeline->sinks[i].name)));
	return leat_plan_finish(pipeline, fault);
}
