/* Avro schema text to a tree of types. jansson reads the JSON; avro-c's own parser drops docs, aliases, defaults and logical types. */
#include "schemas/avro_type.h"

enum { NAME_MAX_BYTES = 1024 };   /* names are copied into every full name below their namespace */

struct named {
	const struct leat_avro_type *type;
	struct named *next;
};

struct parser {
	struct leat_arena *arena;
	const char *source;             /* for messages */
	struct named *named;
	size_t named_count;
	int depth;
	struct leat_fault *fault;
};

static const char *const kind_names[] = {
	[LEAT_AVRO_NULL] = "null",     [LEAT_AVRO_BOOLEAN] = "boolean", [LEAT_AVRO_INT] = "int",       [LEAT_AVRO_LONG] = "long",
	[LEAT_AVRO_FLOAT] = "float",   [LEAT_AVRO_DOUBLE] = "double",   [LEAT_AVRO_BYTES] = "bytes",   [LEAT_AVRO_STRING] = "string",
	[LEAT_AVRO_RECORD] = "record", [LEAT_AVRO_ENUM] = "enum",       [LEAT_AVRO_ARRAY] = "array",   [LEAT_AVRO_MAP] = "map",
	[LEAT_AVRO_UNION] = "union",   [LEAT_AVRO_FIXED] = "fixed",
};

static const struct leat_avro_type primitives[] = {
	{ .kind = LEAT_AVRO_NULL },  { .kind = LEAT_AVRO_BOOLEAN }, { .kind = LEAT_AVRO_INT },   { .kind = LEAT_AVRO_LONG },
	{ .kind = LEAT_AVRO_FLOAT }, { .kind = LEAT_AVRO_DOUBLE },  { .kind = LEAT_AVRO_BYTES }, { .kind = LEAT_AVRO_STRING },
};

static int parse_type(struct parser *parser, const json_t *json, const char *space, const struct leat_avro_type **out);

const char *leat_avro_kind_name(enum leat_avro_kind kind)
{
	return kind_names[kind];
}

const char *leat_avro_short_name(const char *full)
{
	const char *dot = strrchr(full, '.');
	return dot ? dot + 1 : full;
}

bool leat_avro_names_match(const struct leat_avro_type *writer, const struct leat_avro_type *reader)
{
	const char *name = leat_avro_short_name(writer->name);
	if (strcmp(name, leat_avro_short_name(reader->name)) == 0)
		return true;
	for (const char **alias = reader->aliases; alias && *alias; alias++)
		if (strcmp(name, leat_avro_short_name(*alias)) == 0)
			return true;
	return false;
}

const struct leat_avro_type *leat_avro_nullable(const struct leat_avro_type *type, uint8_t *null_branch)
{
	if (type->kind != LEAT_AVRO_UNION || type->count != 2)
		return NULL;
	for (uint8_t i = 0; i < 2; i++) {
		if (type->branches[i]->kind == LEAT_AVRO_NULL && type->branches[1 - i]->kind != LEAT_AVRO_NULL) {
			*null_branch = i;
			return type->branches[1 - i];
		}
	}
	return NULL;
}

void *leat_avro_take(struct leat_arena *arena, size_t count, size_t size)
{
	if (count && size > SIZE_MAX / count)
		return NULL;
	void *taken = leat_arena_take(arena, count * size);
	return taken ? memset(taken, 0, count * size) : NULL;
}

static int wrong(struct parser *parser, const char *what, const char *where)
{
	return leat_fail(parser->fault, LEAT_ESCHEMA, "%s: %s%s%s", parser->source, what, *where ? ": " : "", where);
}

static bool name_part_valid(const char *part, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		char c = part[i];
		bool letter = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_';
		if (!letter && !(i > 0 && c >= '0' && c <= '9'))
			return false;
	}
	return length > 0;
}

/* @dotted: a full name, each part of which must be a name. NUL bytes in the JSON make the lengths differ and the name invalid. */
static bool name_valid(const char *name, size_t length, bool dotted)
{
	const char *end = name + length;
	if (length > NAME_MAX_BYTES)
		return false;
	for (const char *part = name;;) {
		const char *dot = dotted ? memchr(part, '.', (size_t)(end - part)) : NULL;
		if (!name_part_valid(part, (size_t)((dot ? dot : end) - part)))
			return false;
		if (!dot)
			return true;
		part = dot + 1;
	}
}

static const char *valid_name(const json_t *json, bool dotted)
{
	const char *name = json_string_value(json);
	return name && name_valid(name, json_string_length(json), dotted) ? name : NULL;
}

/* A name without dots lies in @space, "" for none. NULL: no memory. */
static const char *full_name(struct parser *parser, const char *name, const char *space)
{
	if (strchr(name, '.') || !*space)
		return name;
	size_t head = strlen(space), tail = strlen(name);
	char *full = leat_arena_take(parser->arena, head + tail + 2);
	if (!full)
		return NULL;
	memcpy(full, space, head);
	full[head] = '.';
	memcpy(full + head + 1, name, tail + 1);
	return full;
}

static const char *space_of(struct parser *parser, const char *full)
{
	const char *dot = strrchr(full, '.');
	if (!dot)
		return "";
	size_t length = (size_t)(dot - full);
	char *space = leat_arena_take(parser->arena, length + 1);
	if (!space)
		return NULL;
	memcpy(space, full, length);
	space[length] = '\0';
	return space;
}

static const struct leat_avro_type *find_named(const struct parser *parser, const char *full)
{
	for (const struct named *named = parser->named; named; named = named->next)
		if (strcmp(named->type->name, full) == 0)
			return named->type;
	return NULL;
}

static int find_type(struct parser *parser, const json_t *json, const char *space, const struct leat_avro_type **out)
{
	const char *name = valid_name(json, true);
	if (!name)
		return wrong(parser, "not a type name", json_string_value(json));
	for (size_t i = 0; i < LEAT_COUNT_OF(primitives); i++) {
		if (strcmp(name, kind_names[primitives[i].kind]) == 0) {
			*out = &primitives[i];
			return 0;
		}
	}
	const char *full = full_name(parser, name, space);
	if (!full)
		return LEAT_ENOMEM;
	*out = find_named(parser, full);
	if (!*out)                      /* Java falls back to no namespace, so such schemas exist */
		*out = find_named(parser, name);
	return *out ? 0 : wrong(parser, "unknown type", name);
}

static int parse_aliases(struct parser *parser, const json_t *json, const char *space, const char ***out)
{
	const json_t *list = json_object_get(json, "aliases");
	size_t count = json_array_size(list);
	if (!list)
		return 0;
	if (!json_is_array(list) || count > LEAT_AVRO_PARTS_MAX)
		return wrong(parser, "aliases must be a list of names", "");
	if (!(*out = leat_avro_take(parser->arena, count + 1, sizeof **out)))
		return LEAT_ENOMEM;
	for (size_t i = 0; i < count; i++) {
		const char *name = valid_name(json_array_get(list, i), true);
		if (!name)
			return wrong(parser, "aliases must be a list of names", "");
		if (!((*out)[i] = full_name(parser, name, space)))
			return LEAT_ENOMEM;
	}
	return 0;
}

/* Reads the name and makes the type known, so that its own fields may refer to it. @space becomes the type's. */
static int parse_named(struct parser *parser, const json_t *json, const char **space, struct leat_avro_type *type)
{
	const char *name = valid_name(json_object_get(json, "name"), true);
	const json_t *own = json_object_get(json, "namespace");
	if (!name)
		return wrong(parser, "a type without a valid name", leat_avro_kind_name(type->kind));
	if (own && !(json_is_string(own) && (json_string_length(own) == 0 || valid_name(own, true))))
		return wrong(parser, "not a namespace in type", name);
	type->name = full_name(parser, name, own ? json_string_value(own) : *space);
	struct named *named = leat_arena_take(parser->arena, sizeof *named);
	if (!type->name || !named || !(*space = space_of(parser, type->name)))
		return LEAT_ENOMEM;
	if (find_named(parser, type->name))
		return wrong(parser, "a type is defined twice", type->name);
	if (++parser->named_count > LEAT_AVRO_PARTS_MAX)
		return wrong(parser, "too many named types", "");
	*named = (struct named){ .type = type, .next = parser->named };
	parser->named = named;
	return parse_aliases(parser, json, *space, &type->aliases);
}

static int parse_field(struct parser *parser, const json_t *json, const char *space, struct leat_avro_type *record, size_t index)
{
	struct leat_avro_field *field = &record->fields[index];
	const char *name = valid_name(json_object_get(json, "name"), false);
	const json_t *type = json_object_get(json, "type");
	if (!name || !type)
		return wrong(parser, "a field without a valid name and a type in record", record->name);
	for (size_t i = 0; i < index; i++)
		if (strcmp(record->fields[i].name, name) == 0)
			return wrong(parser, "a field appears twice", name);
	field->name = name;
	field->doc = json_string_value(json_object_get(json, "doc"));
	field->value = json_object_get(json, "default");
	LEAT_TRY(parse_aliases(parser, json, "", &field->aliases));
	return parse_type(parser, type, space, &field->type);
}

static int parse_record(struct parser *parser, const json_t *json, const char *space, struct leat_avro_type *type)
{
	const json_t *fields = json_object_get(json, "fields");
	LEAT_TRY(parse_named(parser, json, &space, type));
	if (!json_is_array(fields) || json_array_size(fields) > LEAT_AVRO_PARTS_MAX)
		return wrong(parser, "no list of fields, or too many, in record", type->name);
	size_t count = json_array_size(fields);
	if (!(type->fields = leat_avro_take(parser->arena, count, sizeof *type->fields)))
		return LEAT_ENOMEM;
	for (size_t i = 0; i < count; i++) {
		LEAT_TRY(parse_field(parser, json_array_get(fields, i), space, type, i));
		type->count = i + 1;
	}
	return 0;
}

static int parse_symbol(struct parser *parser, const json_t *json, struct leat_avro_type *type)
{
	const char *symbol = valid_name(json, false);
	if (!symbol)
		return wrong(parser, "not a symbol in enum", type->name);
	for (size_t i = 0; i < type->count; i++)
		if (strcmp(type->symbols[i], symbol) == 0)
			return wrong(parser, "a symbol appears twice in enum", type->name);
	type->symbols[type->count++] = symbol;
	return 0;
}

static int parse_enum(struct parser *parser, const json_t *json, const char *space, struct leat_avro_type *type)
{
	const json_t *symbols = json_object_get(json, "symbols");
	const json_t *value = json_object_get(json, "default");
	LEAT_TRY(parse_named(parser, json, &space, type));
	if (!json_is_array(symbols) || json_array_size(symbols) > LEAT_AVRO_PARTS_MAX)
		return wrong(parser, "no list of symbols, or too many, in enum", type->name);
	if (!(type->symbols = leat_avro_take(parser->arena, json_array_size(symbols) + 1, sizeof *type->symbols)))
		return LEAT_ENOMEM;
	for (size_t i = 0; i < json_array_size(symbols); i++)
		LEAT_TRY(parse_symbol(parser, json_array_get(symbols, i), type));
	type->symbol_default = -1;
	for (size_t i = 0; json_is_string(value) && i < type->count; i++)
		if (strcmp(type->symbols[i], json_string_value(value)) == 0)
			type->symbol_default = (long)i;
	if (value && type->symbol_default < 0)
		return wrong(parser, "the default is not a symbol of enum", type->name);
	return 0;
}

static int parse_fixed(struct parser *parser, const json_t *json, const char *space, struct leat_avro_type *type)
{
	const json_t *size = json_object_get(json, "size");
	LEAT_TRY(parse_named(parser, json, &space, type));
	if (!json_is_integer(size) || json_integer_value(size) < 0 || json_integer_value(size) > INT32_MAX)
		return wrong(parser, "no size, or a bad one, in fixed", type->name);
	type->size = (size_t)json_integer_value(size);
	return 0;
}

static int parse_items(struct parser *parser, const json_t *json, const char *space, struct leat_avro_type *type)
{
	const char *key = type->kind == LEAT_AVRO_ARRAY ? "items" : "values";
	const json_t *item = json_object_get(json, key);
	if (!item)
		return wrong(parser, "an array or map without", key);
	return parse_type(parser, item, space, &type->item);
}

/* Two branches that a value's JSON form could not tell apart are forbidden by the specification. */
static bool branches_alike(const struct leat_avro_type *a, const struct leat_avro_type *b)
{
	if (a->kind != b->kind)
		return false;
	return !a->name || strcmp(a->name, b->name) == 0;
}

static int parse_union(struct parser *parser, const json_t *json, const char *space, const struct leat_avro_type **out)
{
	size_t count = json_array_size(json);
	if (count == 0 || count > LEAT_AVRO_PARTS_MAX)
		return wrong(parser, "a union of no types, or of too many", "");
	struct leat_avro_type *type = leat_avro_take(parser->arena, 1, sizeof *type);
	if (!type || !(type->branches = leat_avro_take(parser->arena, count, sizeof(void *))))
		return LEAT_ENOMEM;
	type->kind = LEAT_AVRO_UNION;
	for (; type->count < count; type->count++) {
		const struct leat_avro_type *branch;
		LEAT_TRY(parse_type(parser, json_array_get(json, type->count), space, &branch));
		if (branch->kind == LEAT_AVRO_UNION)
			return wrong(parser, "a union directly in a union", "");
		for (size_t i = 0; i < type->count; i++)
			if (branches_alike(type->branches[i], branch))
				return wrong(parser, "a union with the same type twice", leat_avro_kind_name(branch->kind));
		type->branches[type->count] = branch;
	}
	*out = type;
	return 0;
}

static int time_divisor(const json_t *logical)
{
	static const struct {
		const char *name;
		int divisor;
	} times[] = { { "timestamp-millis", 1 }, { "timestamp-micros", 1000 }, { "local-timestamp-millis", 1 }, { "local-timestamp-micros", 1000 } };

	for (size_t i = 0; json_is_string(logical) && i < LEAT_COUNT_OF(times); i++)
		if (strcmp(json_string_value(logical), times[i].name) == 0)
			return times[i].divisor;
	return 0;
}

/* {"type": <primitive, name or another type>, "logicalType": ...}: only timestamps change how a value is read. */
static int parse_wrapped(struct parser *parser, const json_t *json, const char *space, const struct leat_avro_type **out)
{
	int divisor = time_divisor(json_object_get(json, "logicalType"));
	LEAT_TRY(parse_type(parser, json_object_get(json, "type"), space, out));
	if (divisor && *out == &primitives[LEAT_AVRO_LONG]) {
		struct leat_avro_type *type = leat_avro_take(parser->arena, 1, sizeof *type);
		if (!type)
			return LEAT_ENOMEM;
		type->kind = LEAT_AVRO_LONG;
		type->time_divisor = divisor;
		*out = type;
	}
	return 0;
}

static int parse_complex(struct parser *parser, const json_t *json, const char *space, const struct leat_avro_type **out)
{
	static const struct {
		enum leat_avro_kind kind;
		int (*parse)(struct parser *, const json_t *, const char *, struct leat_avro_type *);
	} forms[] = {
		{ LEAT_AVRO_RECORD, parse_record }, { LEAT_AVRO_ENUM, parse_enum }, { LEAT_AVRO_FIXED, parse_fixed },
		{ LEAT_AVRO_ARRAY, parse_items },   { LEAT_AVRO_MAP, parse_items },
	};
	const char *name = json_string_value(json_object_get(json, "type"));

	for (size_t i = 0; name && i < LEAT_COUNT_OF(forms); i++) {
		if (strcmp(name, kind_names[forms[i].kind]) != 0)
			continue;
		struct leat_avro_type *type = leat_avro_take(parser->arena, 1, sizeof *type);
		if (!type)
			return LEAT_ENOMEM;
		type->kind = forms[i].kind;
		*out = type;
		return forms[i].parse(parser, json, space, type);
	}
	return parse_wrapped(parser, json, space, out);
}

static int parse_type(struct parser *parser, const json_t *json, const char *space, const struct leat_avro_type **out)
{
	int rc;
	if (++parser->depth > LEAT_AVRO_DEPTH)
		return wrong(parser, "types nested deeper than 64", "");
	if (json_is_string(json))
		rc = find_type(parser, json, space, out);
	else if (json_is_array(json))
		rc = parse_union(parser, json, space, out);
	else if (json_is_object(json))
		rc = parse_complex(parser, json, space, out);
	else
		rc = wrong(parser, "a type must be a name, a list or an object", "");
	parser->depth--;
	return rc;
}

static int load_json(struct leat_avro *avro, const char *json, size_t length, const char *name, struct leat_fault *fault)
{
	json_error_t error = { 0 };
	if (length > LEAT_AVRO_TEXT_MAX)
		return leat_fail(fault, LEAT_ESCHEMA, "%s: the schema is longer than 1 MiB", name);
	avro->json = json_loadb(json, length, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
	if (avro->json)
		return 0;
	if (!error.text[0])             /* jansson has no words, and no code, for most places where memory runs out */
		return leat_fail(fault, LEAT_ENOMEM, "%s: out of memory", name);
	return leat_fail(fault, LEAT_ESCHEMA, "%s:%d: %s", name, error.line, error.text);
}

int leat_avro_parse(struct leat_avro **out, const char *json, size_t length, const char *name, struct leat_fault *fault)
{
	struct leat_avro *avro = leat_calloc(1, sizeof *avro);
	struct parser parser = { .source = name, .fault = fault };
	int rc = LEAT_ENOMEM;

	*out = NULL;
	if (!avro || (rc = leat_arena_open(&avro->arena, 4096)) < 0)
		goto out;
	if ((rc = load_json(avro, json, length, name, fault)) < 0)
		goto out;
	parser.arena = avro->arena;
	if ((rc = parse_type(&parser, avro->json, "", &avro->type)) < 0)
		goto out;
	*out = avro;
	avro = NULL;
out:
	if (rc == LEAT_ENOMEM)
		leat_fail(fault, rc, "%s: out of memory", name);
	leat_avro_free(avro);
	return rc;
}

void leat_avro_free(struct leat_avro *avro)
{
	if (!avro)
		return;
	json_decref(avro->json);
	leat_arena_close(avro->arena);
	leat_free(avro);
}
