/* Options as data: parsing, checking and printing them from one table. */
#include "stream/options.h"
#include "stream/expression.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

struct parse {
	const struct leat_option_scope *scope;
	const struct leat_option *option;
	const struct leat_yaml *node;      /* the value; for defaults a made-up scalar */
	void *at;                          /* where it goes in the target               */
	struct leat_fault *fault;
};

static int wrong(const struct parse *parse, const char *format, ...) __attribute__((format(printf, 2, 3)));
static int wrong(const struct parse *parse, const char *format, ...)
{
	char text[300];
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	return leat_yaml_fail(parse->scope->file, parse->node, parse->fault, "%s: '%s' %s", parse->scope->what, parse->option->name, text);
}

static const char *type_name(enum leat_option_type type);

static int need_scalar(const struct parse *parse)
{
	if (parse->node->kind != LEAT_YAML_SCALAR)
		return wrong(parse, "must be a single value (%s)", type_name(parse->option->type));
	return 0;
}

static int check_limits(const struct parse *parse, double value)
{
	const struct leat_option *option = parse->option;
	if (isnan(value) || ((option->min != 0 || option->max != 0) && (value < option->min || value > option->max)))
		return wrong(parse, "must be from %.12g to %.12g, not '%s'", option->min, option->max, parse->node->text);
	return 0;
}

static int parse_int(const struct parse *parse)
{
	char *end;
	errno = 0;
	long long value = strtoll(parse->node->text, &end, 10);
	if (errno || end == parse->node->text || *end)
		return wrong(parse, "must be a whole number, not '%s'", parse->node->text);
	*(int64_t *)parse->at = value;
	return check_limits(parse, (double)value);
}

static int parse_double(const struct parse *parse)
{
	char *end;
	double value = strtod(parse->node->text, &end);
	if (end == parse->node->text || *end || !isfinite(value))
		return wrong(parse, "must be a number, not '%s'", parse->node->text);
	*(double *)parse->at = value;
	return check_limits(parse, value);
}

static int parse_bool(const struct parse *parse)
{
	static const char *const yes[] = { "true", "on", "yes" }, *const no[] = { "false", "off", "no" };
	for (size_t i = 0; i < LEAT_COUNT_OF(yes); i++) {
		bool is = strcmp(parse->node->text, yes[i]) == 0;
		if (is || strcmp(parse->node->text, no[i]) == 0) {
			*(bool *)parse->at = is;
			return 0;
		}
	}
	return wrong(parse, "must be true or false, not '%s'", parse->node->text);
}

struct unit { const char *name; int64_t factor; };

static int64_t parse_with_unit(const char *text, const struct unit *units, size_t count)
{
	char *end;
	errno = 0;
	double value = strtod(text, &end);
	if (errno || end == text || !(value >= 0) || value > 9e15)
		return -1;
	for (size_t i = 0; i < count; i++)
		if (strcmp(end, units[i].name) == 0)
			return value * (double)units[i].factor > 9e15 ? -1 : (int64_t)llround(value * (double)units[i].factor);
	return -1;
}

/* "250ms", "10s", "5m", "1h", "30d", "0" → ms; -1: it is none of these. */
static int64_t duration_of(const char *text)
{
	static const struct unit units[] = { { "ms", 1 }, { "s", 1000 }, { "m", 60000 }, { "h", 3600000 }, { "d", 86400000 } };
	return strcmp(text, "0") == 0 ? 0 : parse_with_unit(text, units, LEAT_COUNT_OF(units));
}

/* "64KB", "256MB", "2GB", "123" → bytes; -1: it is none of these. */
static int64_t size_of(const char *text)
{
	static const struct unit units[] = { { "", 1 }, { "B", 1 }, { "KB", 1 << 10 }, { "MB", 1 << 20 }, { "GB", 1 << 30 } };
	return parse_with_unit(text, units, LEAT_COUNT_OF(units));
}

static int parse_duration(const struct parse *parse)
{
	int64_t value = duration_of(parse->node->text);
	if (value < 0 && *parse->node->text == '-')
		return wrong(parse, "must not be negative: 0, or a time such as 250ms, 10s, 5m, 1h or 30d, not '%s'", parse->node->text);
	if (value < 0)
		return wrong(parse, "must be a time such as 250ms, 10s, 5m, 1h or 30d, not '%s'", parse->node->text);
	*(int64_t *)parse->at = value;
	return check_limits(parse, (double)value);
}

static int parse_size(const struct parse *parse)
{
	int64_t value = size_of(parse->node->text);
	if (value < 0)
		return wrong(parse, "must be a size such as 64KB, 256MB or 2GB, not '%s'", parse->node->text);
	*(int64_t *)parse->at = value;
	return check_limits(parse, (double)value);
}

static char *copy_text(const struct parse *parse, const char *text)
{
	size_t size = strlen(text) + 1;
	char *copy = parse->scope->memory(parse->scope->self, size);
	return copy ? memcpy(copy, text, size) : NULL;
}

static int out_of_memory(const struct parse *parse)
{
	return leat_fail(parse->fault, LEAT_ENOMEM, "out of memory");
}

static int parse_text(const struct parse *parse)
{
	const char *copy = copy_text(parse, parse->node->text);
	*(const char **)parse->at = copy;
	return copy ? 0 : out_of_memory(parse);
}

static int parse_choice(const struct parse *parse)
{
	char list[200] = "";
	size_t used = 0;
	struct leat_guess guess = { 0 };
	for (int i = 0; parse->option->choices[i]; i++) {
		if (strcmp(parse->node->text, parse->option->choices[i]) == 0) {
			*(int *)parse->at = i;
			return 0;
		}
		used += (size_t)snprintf(list + used, sizeof list - used, "%s%s", i ? ", " : "", parse->option->choices[i]);
		used = LEAT_MIN(used, sizeof list - 1);
	}
	for (int i = 0; parse->option->choices[i]; i++)
		leat_guess(&guess, leat_text(parse->node->text), parse->option->choices[i]);
	return wrong(parse, "must be one of %s, not '%s'%s", list, parse->node->text, leat_guess_hint(&guess));
}

static void list_types(uint32_t types, char *out, size_t size)
{
	size_t used = 0;
	static const char *const names[LEAT_TYPES] = { "none", "bool", "int", "enum", "float", "double", "string", "bytes", "vector", "strings", "floats" };
	for (int type = 1; type < LEAT_TYPES && used < size; type++)
		if (types & LEAT_TYPE_BIT(type))
			used += (size_t)snprintf(out + used, size - used, "%s%s", used ? ", " : "", names[type]);
}

static int find_field(const struct parse *parse, const char *name, struct leat_field_ref *ref)
{
	const struct leat_layout *layout = parse->scope->layout;
	int slot = layout && *name ? leat_layout_find(layout, name) : -1;
	if (slot < 0) {
		struct leat_guess guess = { 0 };
		for (size_t i = 0; layout && i < layout->count; i++)
			leat_guess(&guess, leat_text(name), layout->fields[i].name);
		return wrong(parse, "names the field '%s', which does not exist here%s", name, leat_guess_hint(&guess));
	}
	if (parse->option->types && !(parse->option->types & LEAT_TYPE_BIT(layout->fields[slot].type))) {
		char types[120] = "";
		list_types(parse->option->types, types, sizeof types);
		return wrong(parse, "must name a field of type %s; '%s' is not", types, name);
	}
	ref->slot = slot;
	ref->field = &layout->fields[slot];
	return 0;
}

static int parse_field(const struct parse *parse)
{
	return find_field(parse, parse->node->text, parse->at);
}

static int compile(const struct parse *parse, const char *text, struct leat_expression **out)
{
	struct leat_fault inner = { 0 };
	int rc = leat_expression_compile(out, text, parse->scope->layout, parse->option->types, &inner);
	if (rc == LEAT_ENOMEM)
		return out_of_memory(parse);
	if (rc < 0)
		return wrong(parse, "is not right: %s", inner.text);
	return parse->scope->expression(parse->scope->self, *out);
}

static int parse_expression(const struct parse *parse)
{
	return compile(parse, parse->node->text, parse->at);
}

static int parse_reference(const struct parse *parse)
{
	struct leat_reference *reference = parse->scope->reference(parse->scope->self, parse->node->text);
	if (!reference)
		return wrong(parse, "names the table '%s', which is not under tables:", parse->node->text);
	*(struct leat_reference **)parse->at = reference;
	return 0;
}

/* ---- lists and maps ---- */

static int need_children(const struct parse *parse, enum leat_yaml_kind kind)
{
	if (parse->node->kind == kind || (parse->node->kind == LEAT_YAML_SCALAR && !*parse->node->text))
		return 0;
	return wrong(parse, kind == LEAT_YAML_MAP ? "must be a map { name: value, ... }" : "must be a list [ a, b, ... ]");
}

static int need_text(const struct parse *parse, const struct leat_yaml *child)
{
	struct parse inner = *parse;
	inner.node = child;
	return child->kind == LEAT_YAML_SCALAR ? 0 : wrong(&inner, "must hold single values");
}

static void *take_items(const struct parse *parse, size_t size)
{
	return parse->scope->memory(parse->scope->self, LEAT_MAX(parse->node->count, (size_t)1) * size);
}

static int parse_fields(const struct parse *parse)
{
	LEAT_TRY(need_children(parse, LEAT_YAML_LIST));
	struct leat_field_ref *items = take_items(parse, sizeof *items);
	struct leat_field_refs *refs = parse->at;
	if (!items)
		return out_of_memory(parse);
	*refs = (struct leat_field_refs){ items, 0 };
	for (const struct leat_yaml *child = parse->node->first; child; child = child->next) {
		LEAT_TRY(need_text(parse, child));
		LEAT_TRY(find_field(parse, child->text, &items[refs->count++]));
	}
	return 0;
}

static int parse_texts(const struct parse *parse)
{
	LEAT_TRY(need_children(parse, LEAT_YAML_LIST));
	const char **items = take_items(parse, sizeof *items);
	struct leat_texts *texts = parse->at;
	if (!items)
		return out_of_memory(parse);
	*texts = (struct leat_texts){ items, 0 };
	for (const struct leat_yaml *child = parse->node->first; child; child = child->next) {
		LEAT_TRY(need_text(parse, child));
		if (!(items[texts->count++] = copy_text(parse, child->text)))
			return out_of_memory(parse);
	}
	return 0;
}

static int parse_weights(const struct parse *parse)
{
	LEAT_TRY(need_children(parse, LEAT_YAML_MAP));
	struct leat_weight *items = take_items(parse, sizeof *items);
	struct leat_weights *weights = parse->at;
	if (!items)
		return out_of_memory(parse);
	*weights = (struct leat_weights){ items, 0 };
	for (const struct leat_yaml *child = parse->node->first; child; child = child->next) {
		struct leat_weight *item = &items[weights->count++];
		struct parse inner = *parse;
		inner.node = child;
		inner.at = &item->weight;
		LEAT_TRY(need_text(parse, child));
		LEAT_TRY(parse_double(&inner));
		if (!(item->word = copy_text(parse, child->key)))
			return out_of_memory(parse);
	}
	return 0;
}

static int parse_named_expressions(const struct parse *parse)
{
	LEAT_TRY(need_children(parse, LEAT_YAML_MAP));
	struct leat_named_expression *items = take_items(parse, sizeof *items);
	struct leat_named_expressions *named = parse->at;
	if (!items)
		return out_of_memory(parse);
	*named = (struct leat_named_expressions){ items, 0 };
	for (const struct leat_yaml *child = parse->node->first; child; child = child->next) {
		struct leat_named_expression *item = &items[named->count++];
		struct parse inner = *parse;
		inner.node = child;
		LEAT_TRY(need_text(parse, child));
		LEAT_TRY(compile(&inner, child->text, &item->expression));
		if (!(item->name = copy_text(parse, child->key)))
			return out_of_memory(parse);
	}
	return 0;
}

static int parse_rule(const struct parse *parse, const struct leat_yaml *map, struct leat_rule *rule)
{
	struct parse inner = *parse;
	inner.node = map;
	if (map->kind != LEAT_YAML_MAP)
		return wrong(&inner, "must be a list of maps");
	struct leat_pair *pairs = take_items(&inner, sizeof *pairs);
	*rule = (struct leat_rule){ pairs, 0, map->line };
	for (const struct leat_yaml *child = pairs ? map->first : NULL; child; child = child->next) {
		struct leat_pair *pair = &pairs[rule->count++];
		LEAT_TRY(need_text(parse, child));
		pair->key = copy_text(parse, child->key);
		pair->value = copy_text(parse, child->text);
		if (!pair->key || !pair->value)
			return out_of_memory(parse);
	}
	return pairs ? 0 : out_of_memory(parse);
}

static int parse_rules(const struct parse *parse)
{
	LEAT_TRY(need_children(parse, LEAT_YAML_LIST));
	struct leat_rule *items = take_items(parse, sizeof *items);
	struct leat_rules *rules = parse->at;
	if (!items)
		return out_of_memory(parse);
	*rules = (struct leat_rules){ items, 0 };
	for (const struct leat_yaml *child = parse->node->first; child; child = child->next)
		LEAT_TRY(parse_rule(parse, child, &items[rules->count++]));
	return 0;
}

/* ---- the table of types ---- */

static const struct {
	const char *name;
	bool scalar;
	int (*parse)(const struct parse *parse);
} types[] = {
	[LEAT_OPTION_INT] = { "whole number", true, parse_int },
	[LEAT_OPTION_DOUBLE] = { "number", true, parse_double },
	[LEAT_OPTION_BOOL] = { "true or false", true, parse_bool },
	[LEAT_OPTION_TEXT] = { "text", true, parse_text },
	[LEAT_OPTION_DURATION] = { "time", true, parse_duration },
	[LEAT_OPTION_CHOICE] = { "choice", true, parse_choice },
	[LEAT_OPTION_FIELD] = { "field", true, parse_field },
	[LEAT_OPTION_FIELDS] = { "list of fields", false, parse_fields },
	[LEAT_OPTION_EXPRESSION] = { "expression", true, parse_expression },
	[LEAT_OPTION_NAMED_EXPRESSIONS] = { "name: expression, ...", false, parse_named_expressions },
	[LEAT_OPTION_WEIGHTS] = { "word: number, ...", false, parse_weights },
	[LEAT_OPTION_TEXTS] = { "list of words", false, parse_texts },
	[LEAT_OPTION_REFERENCE] = { "table", true, parse_reference },
	[LEAT_OPTION_RULES] = { "list of maps", false, parse_rules },
	[LEAT_OPTION_SIZE] = { "size", true, parse_size },
};

static const char *type_name(enum leat_option_type type)
{
	return types[type].name;
}

static int parse_value(const struct leat_option_scope *scope, const struct leat_option *option, const struct leat_yaml *node, void *target, struct leat_fault *fault)
{
	struct parse parse = { scope, option, node, (char *)target + option->offset, fault };
	if (types[option->type].scalar)
		LEAT_TRY(need_scalar(&parse));
	return types[option->type].parse(&parse);
}

/* Defaults of list types are written as flow YAML, so they go through the same parser as the user's text. */
static int parse_fallback(const struct leat_option_scope *scope, const struct leat_option *option, void *target, struct leat_fault *fault)
{
	if (types[option->type].scalar) {
		const struct leat_yaml node = { .kind = LEAT_YAML_SCALAR, .text = option->fallback };
		return parse_value(scope, option, &node, target, fault);
	}
	struct leat_yaml_file *file;
	LEAT_TRY(leat_yaml_parse(&file, "default", option->fallback, strlen(option->fallback), fault));
	int rc = parse_value(scope, option, leat_yaml_root(file), target, fault);
	leat_yaml_free(file);
	return rc;
}

static const struct leat_option *find_option(const struct leat_option *table, const char *name)
{
	for (; table->name; table++)
		if (strcmp(table->name, name) == 0)
			return table;
	return NULL;
}

static bool listed(const char *const *words, const char *word)
{
	for (; words && *words; words++)
		if (strcmp(*words, word) == 0)
			return true;
	return false;
}

static size_t add_name(char *list, size_t size, size_t used, const char *name)
{
	return used < size ? used + (size_t)snprintf(list + used, size - used, "%s%s", used ? ", " : "", name) : used;
}

static int unknown_key(const struct leat_option_scope *scope, const struct leat_option *table, const struct leat_yaml *child, const char *const *ignore, struct leat_fault *fault)
{
	char list[400] = "";
	size_t used = 0;
	struct leat_guess guess = { 0 };
	for (; ignore && *ignore; ignore++)
		used = add_name(list, sizeof list, used, *ignore), leat_guess(&guess, leat_text(child->key), *ignore);
	for (; table->name; table++)
		used = add_name(list, sizeof list, used, table->name), leat_guess(&guess, leat_text(child->key), table->name);
	return leat_yaml_fail(scope->file, child, fault, "%s: unknown key '%.64s'%s allowed: %s", scope->what, child->key, guess.name ? leat_guess_hint(&guess) : ";", used ? list : "none");
}

static int check_keys(const struct leat_option_scope *scope, const struct leat_option *table, const struct leat_yaml *map, const char *const *ignore, struct leat_fault *fault)
{
	if (map->kind != LEAT_YAML_MAP && !(map->kind == LEAT_YAML_SCALAR && !*map->text))
		return leat_yaml_fail(scope->file, map, fault, "%s: must be a map { key: value, ... }", scope->what);
	for (const struct leat_yaml *child = map->first; child; child = child->next)
		if (!find_option(table, child->key) && !listed(ignore, child->key))
			return unknown_key(scope, table, child, ignore, fault);
	return 0;
}

int leat_options_parse(const struct leat_option_scope *scope, const struct leat_option *table, const struct leat_yaml *map, const char *const *ignore,
		       void *target, struct leat_fault *fault)
{
	static const struct leat_option none[] = { { .name = NULL } };
	if (!table)
		table = none;
	if (map)
		LEAT_TRY(check_keys(scope, table, map, ignore, fault));
	for (const struct leat_option *option = table; option->name; option++) {
		const struct leat_yaml *node = leat_yaml_get(map, option->name);
		if (option->type == LEAT_OPTION_FIELD)
			((struct leat_field_ref *)((char *)target + option->offset))->slot = -1;
		if (node)
			LEAT_TRY(parse_value(scope, option, node, target, fault));
		else if (option->fallback)
			LEAT_TRY(parse_fallback(scope, option, target, fault));
		else if (!option->optional)
			return leat_yaml_fail(scope->file, map, fault, "%s: '%s' is missing (%s)", scope->what, option->name, option->help);
	}
	return 0;
}

void leat_options_print(const struct leat_option *table, FILE *out)
{
	static const char *const fixed[] = {
		[LEAT_MEANS_NOTHING] = "", [LEAT_MEANS_VALUE] = " *Fixed with the state.*", [LEAT_MEANS_SET] = " *Fixed with the state.*",
		[LEAT_MEANS_ON] = " *Whether it is given is fixed with the state.*",
	};
	if (!table || !table->name)
		return;
	fprintf(out, "| option | type | default | meaning |\n|---|---|---|---|\n");
	for (; table->name; table++) {
		fprintf(out, "| `%s` | %s", table->name, types[table->type].name);
		for (int i = 0; table->choices && table->choices[i]; i++)
			fprintf(out, "%s `%s`", i ? "," : ":", table->choices[i]);
		if (table->min != 0 || table->max != 0)
			fprintf(out, ", %.12g to %.12g", table->min, table->max);
		fprintf(out, " | %s%s%s | %s%s |\n", table->fallback ? "`" : "", table->fallback ? table->fallback : table->optional ? "none" : "must be given",
			table->fallback ? "`" : "", table->help ? table->help : "", fixed[table->meaning]);
	}
}
