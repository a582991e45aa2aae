/* Reading mapping files. */
#include "cli/import_map.h"

#include <stddef.h>

enum { ARENA_CHUNK = 1 << 14 };
#define AT(type, member) .offset = offsetof(struct type, member)
static const char *const formats[] = { "csv", "json", "avro", NULL };
static const char *const sections[] = { "input", "columns", "fields", "to", "reject", NULL };

static const struct leat_option map_options[] = {
	{ .name = "key", .type = LEAT_OPTION_TEXT, AT(leat_map, key_name), .fallback = "user_id", .help = "which of fields is the record's key; a string" },
	{ .name = "time", .type = LEAT_OPTION_TEXT, AT(leat_map, time_name), .optional = true, .help = "which of fields is the record's time (ms); default: the present" },
	{ .name = "dead_letters", .type = LEAT_OPTION_TEXT, AT(leat_map, dead_letters), .fallback = "import.dead-letters", .help = "topic of the rows that are refused" },
	{ .name = "partitions", .type = LEAT_OPTION_INT, AT(leat_map, partitions), .fallback = "4", .min = 1, .max = 1024, .help = "partitions of topics that are not there yet" },
	{ 0 },
};
static const struct leat_option input_options[] = {
	{ .name = "format", .type = LEAT_OPTION_CHOICE, AT(leat_map_input, format), .fallback = "csv", .choices = formats, .help = "of the file; gzip and xz are recognised" },
	{ .name = "header", .type = LEAT_OPTION_BOOL, AT(leat_map_input, header), .fallback = "false", .help = "csv: the first line names the columns" },
	{ .name = "separator", .type = LEAT_OPTION_TEXT, AT(leat_map_input, separator), .fallback = ",", .help = "csv: one character, or tab" },
	{ 0 },
};
static const struct leat_option target_options[] = {
	{ .name = "topic", .type = LEAT_OPTION_TEXT, AT(leat_map_target, topic), .help = "where the events go" },
	{ .name = "schema", .type = LEAT_OPTION_TEXT, AT(leat_map_target, schema_name), .help = "name of a schema in the schemas folder, or a path ending in .avsc" },
	{ .name = "schema_id", .type = LEAT_OPTION_INT, AT(leat_map_target, given_id), .fallback = "0", .min = 0, .max = INT32_MAX, .help = "id in the wire header; 0: asked of the registry, or of ids.txt in the schemas folder" },
	{ .name = "when", .type = LEAT_OPTION_TEXT, AT(leat_map_target, when_text), .optional = true, .help = "expression; only rows for which it is true; default: all" },
	{ 0 },
};
struct rule { const char *when, *reason; };
static const struct leat_option rule_options[] = {
	{ .name = "when", .type = LEAT_OPTION_TEXT, AT(rule, when), .help = "expression; rows for which it is true are refused" },
	{ .name = "reason", .type = LEAT_OPTION_TEXT, AT(rule, reason), .help = "word under which they are counted" },
	{ 0 },
};

void leat_map_print_options(FILE *out)
{
	fprintf(out, "input:\n");
	leat_options_print(input_options, out);
	fprintf(out, "\nto: (a list)\n");
	leat_options_print(target_options, out);
	fprintf(out, "\nreject: (a list)\n");
	leat_options_print(rule_options, out);
	fprintf(out, "\nthe rest:\n");
	leat_options_print(map_options, out);
}

static void *take(void *self, size_t size)
{
	struct leat_map *map = self;
	void *memory = leat_arena_take(map->arena, size);
	return memory ? memset(memory, 0, size) : NULL;
}

static int parse(struct leat_map *map, const char *what, const struct leat_option *table, const struct leat_yaml *node, const char *const *ignore, void *target, struct leat_fault *fault)
{
	const struct leat_option_scope scope = { .file = map->file, .what = what, .memory = take, .self = map };
	return leat_options_parse(&scope, table, node, ignore, target, fault);
}

static int no_memory(struct leat_fault *fault)
{
	return leat_fail(fault, LEAT_ENOMEM, "out of memory for the mapping");
}

int leat_map_load(struct leat_map **out, const char *path, struct leat_fault *fault)
{
	struct leat_map *map = leat_calloc(1, sizeof *map);
	int rc = LEAT_ENOMEM;
	*out = NULL;
	if (!map || leat_arena_open(&map->arena, ARENA_CHUNK) < 0) {
		no_memory(fault);
		goto out;
	}
	if ((rc = leat_yaml_load(&map->file, path, fault)) < 0)
		goto out;
	const struct leat_yaml *root = leat_yaml_root(map->file);
	if (root->kind != LEAT_YAML_MAP) {
		rc = leat_yaml_fail(map->file, root, fault, "not a mapping file: it has no input:, fields: and to:");
		goto out;
	}
	if ((rc = parse(map, "mapping", map_options, root, sections, map, fault)) < 0 ||
	    (rc = parse(map, "input", input_options, leat_yaml_get(root, "input"), NULL, &map->input, fault)) < 0)
		goto out;
	if (strcmp(map->input.separator, "tab") == 0)
		map->input.separator = "\t";
	if (strlen(map->input.separator) != 1) {
		rc = leat_yaml_fail(map->file, leat_yaml_get(root, "input"), fault, "input: 'separator' must be one character, or tab");
		goto out;
	}
	*out = map;
	map = NULL;
out:
	leat_map_free(map);
	return rc;
}

static void free_target(struct leat_map_target *target)
{
	size_t count = target->schema ? leat_schema_count(target->schema) : 0;
	for (size_t i = 0; target->missing && i < count; i++)
		leat_free(target->missing[i]);
	leat_free(target->missing);
	leat_free(target->source);
	leat_free(target->fields);
	leat_encoder_free(target->encoder);
	leat_expression_free(target->when);
	leat_schema_free(target->schema);
}

void leat_map_free(struct leat_map *map)
{
	if (!map)
		return;
	for (size_t i = 0; i < map->field_count; i++)
		leat_expression_free(map->fields[i].expression);
	for (size_t i = 0; i < map->target_count; i++)
		free_target(&map->targets[i]);
	for (size_t i = 0; i < map->rule_count; i++)
		leat_expression_free(map->rules[i].when);
	leat_schema_free(map->row_schema);
	leat_yaml_free(map->file);
	leat_arena_close(map->arena);
	leat_free(map);
}

/* ---- columns ---- */

static int add_column(struct leat_map *map, const struct leat_yaml *node, const char *name, size_t length, uint8_t type, struct leat_fault *fault)
{
	char *kept = take(map, length + 1);
	if (!kept)
		return no_memory(fault);
	if (map->layout.count == LEAT_SLOTS_MAX - 2)
		return leat_yaml_fail(map->file, node, fault, "more than %d columns", LEAT_SLOTS_MAX - 2);
	for (size_t i = 0; i < length; i++) {
		bool word = (name[i] >= 'a' && name[i] <= 'z') || (name[i] >= 'A' && name[i] <= 'Z') || (name[i] >= '0' && name[i] <= '9' && i > 0);
		kept[i] = word || name[i] == '.' ? name[i] : '_';
	}
	if (leat_layout_find(&map->layout, kept) >= 0)
		return leat_yaml_fail(map->file, node, fault, "the column '%s' is there twice", kept);
	map->layout.fields[map->layout.count++] = (struct leat_field){ .name = kept, .type = type, .width = 1, .nullable = true };
	return 0;
}

static int type_of(struct leat_map *map, const struct leat_yaml *node, uint8_t *type, struct leat_fault *fault)
{
	static const struct { const char *name; uint8_t type; } types[] = { { "string", LEAT_STRING }, { "int", LEAT_INT }, { "double", LEAT_DOUBLE }, { "boolean", LEAT_BOOL } };
	for (size_t i = 0; node->kind == LEAT_YAML_SCALAR && i < LEAT_COUNT_OF(types); i++)
		if (strcmp(node->text, types[i].name) == 0) {
			*type = types[i].type;
			return 0;
		}
	return leat_yaml_fail(map->file, node, fault, "the type of a column must be string, int, double or boolean");
}

/* [a, b]: strings; { a: string, b: int }. */
static int columns_of_mapping(struct leat_map *map, const struct leat_yaml *columns, struct leat_fault *fault)
{
	for (const struct leat_yaml *node = columns->first; node; node = node->next) {
		uint8_t type = LEAT_STRING;
		const char *name = columns->kind == LEAT_YAML_MAP ? node->key : node->text;
		if (columns->kind == LEAT_YAML_MAP)
			LEAT_TRY(type_of(map, node, &type, fault));
		else if (node->kind != LEAT_YAML_SCALAR)
			return leat_yaml_fail(map->file, node, fault, "a column is a name");
		LEAT_TRY(add_column(map, node, name, strlen(name), type, fault));
	}
	return 0;
}

/* The header's cells; quotes around them go, what is no letter or digit becomes _. */
static int columns_of_header(struct leat_map *map, const char *names, struct leat_fault *fault)
{
	char separator = map->input.separator[0];
	for (const char *at = names;; at++) {
		const char *end = strchr(at, separator);
		size_t length = end ? (size_t)(end - at) : strlen(at);
		size_t quoted = length >= 2 && at[0] == '"' && at[length - 1] == '"';
		LEAT_TRY(add_column(map, leat_yaml_root(map->file), at + quoted, length - 2 * quoted, LEAT_STRING, fault));
		if (!end)
			return 0;
		at = end;
	}
}

static int columns_of_container(struct leat_map *map, const char *json, struct leat_fault *fault)
{
	LEAT_TRY(leat_schema_parse(&map->row_schema, json, strlen(json), "the container's schema", fault));
	if (leat_schema_count(map->row_schema) > LEAT_SLOTS_MAX - 2)
		return leat_fail(fault, LEAT_ELIMIT, "the container's schema has more than %d fields", LEAT_SLOTS_MAX - 2);
	for (size_t i = 0; i < leat_schema_count(map->row_schema); i++)
		map->layout.fields[map->layout.count++] = *leat_schema_field(map->row_schema, i);
	return 0;
}

static int resolve_columns(struct leat_map *map, const char *names, struct leat_fault *fault)
{
	const struct leat_yaml *root = leat_yaml_root(map->file), *columns = leat_yaml_get(root, "columns");
	struct leat_field fields[LEAT_SLOTS_MAX + 1] = { 0 };
	if (columns && columns->kind == LEAT_YAML_SCALAR)
		return leat_yaml_fail(map->file, columns, fault, "columns: must be a list of names, or a map of names to types");
	if (map->input.format == LEAT_INPUT_AVRO)
		LEAT_TRY(columns_of_container(map, names, fault));
	else if (columns)
		LEAT_TRY(columns_of_mapping(map, columns, fault));
	else if (names)
		LEAT_TRY(columns_of_header(map, names, fault));
	else
		return leat_yaml_fail(map->file, root, fault, "'columns' is missing: nothing else says what the file's columns are called");
	map->columns = map->layout.count;
	memcpy(fields, map->layout.fields, map->columns * sizeof *fields);
	if (!map->row_schema)
		LEAT_TRY(leat_schema_from_fields(&map->row_schema, "Row", fields, fault));
	map->file_slot = leat_layout_find(&map->layout, "file") < 0 ? (int)map->layout.count++ : -1;
	map->line_slot = leat_layout_find(&map->layout, "line") < 0 ? (int)map->layout.count++ : -1;
	if (map->file_slot >= 0)
		map->layout.fields[map->file_slot] = (struct leat_field){ .name = "file", .type = LEAT_STRING, .width = 1 };
	if (map->line_slot >= 0)
		map->layout.fields[map->line_slot] = (struct leat_field){ .name = "line", .type = LEAT_INT, .width = 1 };
	return 0;
}

const char *leat_map_columns(const struct leat_map *map)
{
	size_t size = 1;
	for (size_t i = 0; i < map->columns; i++)
		size += strlen(map->layout.fields[i].name) + 1;
	char *text = leat_arena_take(map->arena, size);
	for (size_t i = 0, at = 0; text && i < map->columns; i++)
		at += (size_t)snprintf(text + at, size - at, "%s%s", i ? "," : "", map->layout.fields[i].name);
	return text;
}

/* ---- expressions ---- */

static int compile(struct leat_map *map, const struct leat_yaml *node, const char *what, const char *text, uint32_t types, struct leat_expression **out, struct leat_fault *fault)
{
	struct leat_fault inner = { 0 };
	int rc = leat_expression_compile(out, text, &map->layout, types, &inner);
	if (rc == LEAT_ENOMEM)
		return no_memory(fault);
	return rc < 0 ? leat_yaml_fail(map->file, node, fault, "%s: %s", what, inner.text) : 0;
}

static int find_field(const struct leat_map *map, const char *name)
{
	for (size_t i = 0; i < map->field_count; i++)
		if (strcmp(map->fields[i].name, name) == 0)
			return (int)i;
	return -1;
}

static int resolve_fields(struct leat_map *map, struct leat_fault *fault)
{
	const struct leat_yaml *root = leat_yaml_root(map->file), *fields = leat_yaml_get(root, "fields");
	if (!fields || fields->kind != LEAT_YAML_MAP)
		return leat_yaml_fail(map->file, fields ? fields : root, fault, "fields: must be a map of names to expressions");
	for (const struct leat_yaml *node = fields->first; node; node = node->next) {
		if (node->kind != LEAT_YAML_SCALAR)
			return leat_yaml_fail(map->file, node, fault, "fields: '%s' must be an expression", node->key);
		if (map->field_count == LEAT_MAP_FIELDS_MAX - 1)
			return leat_yaml_fail(map->file, node, fault, "more than %d fields", LEAT_MAP_FIELDS_MAX - 1);
		struct leat_map_field *field = &map->fields[map->field_count];
		LEAT_TRY(compile(map, node, node->key, node->text, 0, &field->expression, fault));
		field->name = node->key;
		map->field_count++;
	}
	if (find_field(map, "event_id") < 0 && map->file_slot >= 0 && map->line_slot >= 0) {
		LEAT_TRY(compile(map, fields, "event_id", "concat(file, ':', text(line))", 0, &map->fields[map->field_count].expression, fault));
		map->fields[map->field_count++].name = "event_id";
	}
	return 0;
}

static int resolve_names(struct leat_map *map, struct leat_fault *fault)
{
	const struct leat_yaml *root = leat_yaml_root(map->file);
	map->key = find_field(map, map->key_name);
	map->time = map->time_name ? find_field(map, map->time_name) : -1;
	if (map->key < 0 || leat_expression_type(map->fields[map->key].expression) != LEAT_STRING)
		return leat_yaml_fail(map->file, leat_yaml_get(root, "key"), fault, "key: '%s' must be one of fields, and a string", map->key_name);
	if (map->time_name && (map->time < 0 || leat_expression_type(map->fields[map->time].expression) != LEAT_INT))
		return leat_yaml_fail(map->file, leat_yaml_get(root, "time"), fault, "time: '%s' must be one of fields, and an int", map->time_name);
	return 0;
}

static int resolve_rules(struct leat_map *map, struct leat_fault *fault)
{
	const struct leat_yaml *rules = leat_yaml_get(leat_yaml_root(map->file), "reject");
	if (rules && rules->kind != LEAT_YAML_LIST)
		return leat_yaml_fail(map->file, rules, fault, "reject: must be a list of { when, reason }");
	for (const struct leat_yaml *node = rules ? rules->first : NULL; node; node = node->next) {
		struct rule rule = { 0 };
		if (map->rule_count == LEAT_MAP_RULES_MAX)
			return leat_yaml_fail(map->file, node, fault, "more than %d rules", LEAT_MAP_RULES_MAX);
		LEAT_TRY(parse(map, "reject", rule_options, node, NULL, &rule, fault));
		LEAT_TRY(compile(map, node, "reject", rule.when, LEAT_TYPE_BIT(LEAT_BOOL), &map->rules[map->rule_count].when, fault));
		map->rules[map->rule_count++].reason = rule.reason;
	}
	return 0;
}

/* ---- targets ---- */

/* What the encoder is given of schema field @i. A text for an enum is turned into its symbol's number row by row. */
static int resolve_source(const struct leat_map *map, struct leat_map_target *target, size_t i, struct leat_fault *fault)
{
	const struct leat_field *field = leat_schema_field(target->schema, i);
	const void *value;
	bool null;
	target->source[i] = find_field(map, field->name);
	if (target->source[i] < 0)
		return leat_schema_default(target->schema, i, &value, &null) ? 0 : leat_fail(fault, LEAT_ECONFIG, "fields: '%s' is missing, which the schema '%s' needs", field->name, target->schema_name);
	uint8_t type = leat_expression_type(map->fields[target->source[i]].expression);
	target->fields[i] = *field;
	if (field->type != LEAT_ENUM)
		target->fields[i] = (struct leat_field){ .name = field->name, .type = type, .width = 1, .nullable = field->nullable };
	else if (type != LEAT_STRING)
		return leat_fail(fault, LEAT_ECONFIG, "fields: '%s' must be a string, one of the symbols of the schema '%s'", field->name, target->schema_name);
	target->missing[i] = field->nullable ? NULL : leat_printf("missing_%s", field->name);
	return field->nullable || target->missing[i] ? 0 : no_memory(fault);
}

static int compile_target(const struct leat_map *map, struct leat_map_target *target, struct leat_fault *fault)
{
	const struct leat_field *fields[LEAT_SLOTS_MAX];
	int slots[LEAT_SLOTS_MAX];
	size_t count = leat_schema_count(target->schema);
	target->source = leat_calloc(count, sizeof *target->source);
	target->missing = leat_calloc(count, sizeof *target->missing);
	target->fields = leat_calloc(count, sizeof *target->fields);
	if (!target->source || !target->missing || !target->fields)
		return no_memory(fault);
	if (count > LEAT_SLOTS_MAX)
		return leat_fail(fault, LEAT_ELIMIT, "the schema '%s' has more than %d fields", target->schema_name, LEAT_SLOTS_MAX);
	for (size_t i = 0; i < count; i++) {
		LEAT_TRY(resolve_source(map, target, i, fault));
		fields[i] = &target->fields[i];
		slots[i] = target->source[i] < 0 ? -1 : (int)i;
	}
	return leat_encoder_compile(&target->encoder, target->schema, slots, fields, fault);
}

/* A name of the schemas folder, or a path ending in .avsc, which begins where the mapping file lies. */
static char *schema_path(const struct leat_map *map, const char *name, const char *schemas)
{
	const char *file = leat_yaml_path(map->file), *slash = strrchr(file, '/');
	size_t length = strlen(name);
	if (length < 5 || strcmp(name + length - 5, ".avsc") != 0)
		return leat_printf("%s/%s.avsc", schemas, name);
	return *name == '/' ? leat_strdup(name) : leat_printf("%.*s%s", slash ? (int)(slash - file + 1) : 0, file, name);
}

static int resolve_target(struct leat_map *map, const struct leat_yaml *node, const char *schemas, struct leat_fault *fault)
{
	struct leat_map_target *target = &map->targets[map->target_count++];
	struct leat_fault inner = { 0 };
	LEAT_TRY(parse(map, "to", target_options, node, NULL, target, fault));
	if (target->when_text)
		LEAT_TRY(compile(map, node, "to: when", target->when_text, LEAT_TYPE_BIT(LEAT_BOOL), &target->when, fault));
	char *path = schema_path(map, target->schema_name, schemas);
	int rc = path ? leat_schema_load(&target->schema, path, &inner) : no_memory(&inner);
	if (rc >= 0)
		rc = compile_target(map, target, &inner);
	leat_free(path);
	return rc < 0 ? leat_yaml_fail(map->file, node, fault, "%s", inner.text) : 0;
}

static bool is_used(const struct leat_map *map, const char *name)
{
	bool used = strcmp(name, map->key_name) == 0 || (map->time_name && strcmp(name, map->time_name) == 0);
	for (size_t i = 0; i < map->target_count && !used; i++)
		used = leat_schema_find(map->targets[i].schema, name) >= 0;
	return used;
}

/* A field that nobody takes is most likely misspelt: its column would be lost and the schema's default written in its place. */
static int check_fields(const struct leat_map *map, struct leat_fault *fault)
{
	for (const struct leat_yaml *node = leat_yaml_get(leat_yaml_root(map->file), "fields")->first; node; node = node->next)
		if (!is_used(map, node->key))
			return leat_yaml_fail(map->file, node, fault, "fields: no schema under 'to' has a field '%s', and it is neither key nor time", node->key);
	return 0;
}

/* ---- constants: what is the same in every row would be refused in every row ---- */

static void note_read(void *self, int slot)
{
	(void)slot;
	*(bool *)self = true;
}

/* Has @text a symbol of its own in the enum? Else a sentence about those there are. */
static int check_symbol(const struct leat_field *field, struct leat_bytes text, struct leat_fault *fault)
{
	char symbols[200] = "";
	size_t used = 0;
	for (size_t i = 0; field->symbols[i]; i++) {
		if (leat_bytes_equal(text, leat_text(field->symbols[i])))
			return 0;
		if (used < sizeof symbols)
			used += (size_t)snprintf(symbols + used, sizeof symbols - used, "%s%s", i ? ", " : "", field->symbols[i]);
	}
	return leat_fail(fault, LEAT_ECONFIG, "is always '%.*s', but must be one of %s", (int)LEAT_MIN(text.length, 60u), (const char *)text.data, symbols);
}

/* Whether the schema's own type takes it (int is narrower than what columns hold): a record that is empty but for it tells. */
static int check_encoded(const struct leat_map_target *target, size_t i, const struct leat_column *value, struct leat_fault *fault)
{
	static uint8_t zeros[16];
	size_t count = leat_schema_count(target->schema);
	struct leat_column *columns = leat_calloc(count, sizeof *columns);
	struct leat_buffer out = { 0 };
	for (size_t k = 0; columns && k < count; k++)
		columns[k] = k == i ? *value : (struct leat_column){ .type = target->fields[k].type, .width = 1, .data = zeros, .null = zeros };
	int rc = columns ? leat_encoder_run(target->encoder, columns, 0, &out) : LEAT_ENOMEM;
	leat_buffer_free(&out);
	leat_free(columns);
	return rc == LEAT_ESCHEMA ? leat_fail(fault, LEAT_ECONFIG, "is a constant that the type of that field cannot hold") : rc < 0 ? no_memory(fault) : 0;
}

static int check_constant(const struct leat_map_target *target, const char *name, const struct leat_column *value, struct leat_fault *fault)
{
	long i = leat_schema_find(target->schema, name);
	if (i < 0)
		return 0;
	if (value->null[0])
		return target->missing[i] ? leat_fail(fault, LEAT_ECONFIG, "is always null, but must have a value") : 0;
	return target->fields[i].type == LEAT_ENUM ? check_symbol(&target->fields[i], value->bytes[0], fault) : check_encoded(target, (size_t)i, value, fault);
}

static int check_constants(const struct leat_map *map, struct leat_fault *fault)
{
	static uint16_t first[1];
	const struct leat_batch one = { .row = first, .count = 1 };
	for (const struct leat_yaml *node = leat_yaml_get(leat_yaml_root(map->file), "fields")->first; node; node = node->next) {
		const struct leat_expression *expression = map->fields[find_field(map, node->key)].expression;
		struct leat_fault inner = { 0 };
		bool reads = false;
		leat_expression_reads(expression, note_read, &reads);
		const struct leat_column *value = reads ? NULL : leat_expression_run(expression, &one, map->arena);
		if (!reads && !value)
			return no_memory(fault);
		for (size_t t = 0; value && t < map->target_count; t++)
			if (check_constant(&map->targets[t], node->key, value, &inner) < 0)
				return inner.code == LEAT_ENOMEM ? no_memory(fault) :
				       leat_yaml_fail(map->file, node, fault, "fields: '%s' %s (schema '%s')", node->key, inner.text, map->targets[t].schema_name);
	}
	return 0;
}

int leat_map_resolve(struct leat_map *map, const char *names, const char *schemas, struct leat_fault *fault)
{
	const struct leat_yaml *root = leat_yaml_root(map->file), *to = leat_yaml_get(root, "to");
	LEAT_TRY(resolve_columns(map, names, fault));
	LEAT_TRY(resolve_fields(map, fault));
	LEAT_TRY(resolve_names(map, fault));
	LEAT_TRY(resolve_rules(map, fault));
	if (!to || to->kind != LEAT_YAML_LIST || !to->first)
		return leat_yaml_fail(map->file, to ? to : root, fault, "to: must be a list of { topic, schema, when }");
	for (const struct leat_yaml *node = to->first; node; node = node->next) {
		if (map->target_count == LEAT_MAP_TARGETS_MAX)
			return leat_yaml_fail(map->file, node, fault, "more than %d targets", LEAT_MAP_TARGETS_MAX);
		LEAT_TRY(resolve_target(map, node, schemas, fault));
	}
	LEAT_TRY(check_fields(map, fault));
	return check_constants(map, fault);
}
