/* A schema: an Avro record flattened to fields, nested records as dotted names. */
#include "schemas/schema.h"

#include <errno.h>
#include <stdio.h>

enum { VISITS_MAX = 4 * LEAT_SCHEMA_FIELDS_MAX };   /* records without fields cost visits too */

struct leat_schema {
	struct leat_avro *avro;
	char *json;
	size_t count;
	struct leat_field fields[LEAT_SCHEMA_FIELDS_MAX];
	int divisors[LEAT_SCHEMA_FIELDS_MAX];
	bool has_default[LEAT_SCHEMA_FIELDS_MAX];
	struct leat_value defaults[LEAT_SCHEMA_FIELDS_MAX];
};

struct flattener {
	struct leat_schema *schema;
	const char *source;
	int depth;
	size_t visits;
	struct leat_fault *fault;
};

uint8_t leat_avro_column(const struct leat_avro_type *type, bool *nullable)
{
	static const uint8_t columns[] = {
		[LEAT_AVRO_BOOLEAN] = LEAT_BOOL, [LEAT_AVRO_INT] = LEAT_INT,       [LEAT_AVRO_LONG] = LEAT_INT,
		[LEAT_AVRO_FLOAT] = LEAT_FLOAT,  [LEAT_AVRO_DOUBLE] = LEAT_DOUBLE, [LEAT_AVRO_BYTES] = LEAT_BYTES,
		[LEAT_AVRO_STRING] = LEAT_STRING, [LEAT_AVRO_ENUM] = LEAT_ENUM,    [LEAT_AVRO_FIXED] = LEAT_NONE,
	};
	uint8_t null_branch;
	const struct leat_avro_type *value = leat_avro_nullable(type, &null_branch);

	if (nullable)
		*nullable = value != NULL;
	if (value)
		type = value;
	if (type->kind != LEAT_AVRO_ARRAY)
		return columns[type->kind];
	if (type->item->kind == LEAT_AVRO_STRING)
		return LEAT_STRINGS;
	return type->item->kind == LEAT_AVRO_FLOAT || type->item->kind == LEAT_AVRO_DOUBLE ? LEAT_FLOATS : LEAT_NONE;
}

size_t leat_avro_leaves(const struct leat_avro_type *type)
{
	size_t count = 0;
	if (type->kind != LEAT_AVRO_RECORD)
		return 1;
	for (size_t i = 0; i < type->count; i++)
		count += leat_avro_leaves(type->fields[i].type);
	return count;
}

static char *dotted(struct leat_arena *arena, const char *prefix, const char *name)
{
	size_t head = strlen(prefix), tail = strlen(name);
	char *path = leat_arena_take(arena, head + tail + 2);
	if (!path)
		return NULL;
	memcpy(path, prefix, head);
	if (head)
		path[head++] = '.';
	memcpy(path + head, name, tail + 1);
	return path;
}

static int add_field(struct flattener *flattener, const struct leat_avro_field *field, const char *path)
{
	struct leat_schema *schema = flattener->schema;
	bool nullable;
	uint8_t type = leat_avro_column(field->type, &nullable), null_branch;
	const struct leat_avro_type *value = nullable ? leat_avro_nullable(field->type, &null_branch) : field->type;

	if (type == LEAT_NONE)
		return leat_fail(flattener->fault, LEAT_ESCHEMA, "%s: field '%s' has type %s, which a column cannot hold", flattener->source, path,
				 leat_avro_kind_name(value->kind));
	if (schema->count == LEAT_SCHEMA_FIELDS_MAX)
		return leat_fail(flattener->fault, LEAT_ESCHEMA, "%s: more than %d fields", flattener->source, LEAT_SCHEMA_FIELDS_MAX);
	size_t index = schema->count++;
	schema->fields[index] = (struct leat_field){
		.name = path, .type = type, .width = 1, .nullable = nullable, .symbols = value->symbols, .help = field->doc,
	};
	schema->divisors[index] = value->time_divisor == 1000 ? 1000 : 1;
	schema->has_default[index] = field->value != NULL;
	return field->value ? leat_avro_default_values(field, schema->avro->arena, &schema->defaults[index], flattener->fault) : 0;
}

/* A nested record's default is decoded once to see that it fits; it serves only writers that do not have the record at all. */
static int check_default(struct flattener *flattener, const struct leat_avro_field *field)
{
	struct leat_buffer scratch = { 0 };
	int rc = field->value ? leat_avro_default(field->type, field->value, &scratch, field->name, flattener->fault) : 0;
	leat_buffer_free(&scratch);
	return rc;
}

static int flatten(struct flattener *flattener, const struct leat_avro_type *record, const char *prefix)
{
	if (++flattener->depth > LEAT_AVRO_DEPTH || ++flattener->visits > VISITS_MAX)
		return leat_fail(flattener->fault, LEAT_ESCHEMA, "%s: record %s contains itself, or too many records", flattener->source, record->name);
	for (size_t i = 0; i < record->count; i++) {
		const struct leat_avro_field *field = &record->fields[i];
		const char *path = dotted(flattener->schema->avro->arena, prefix, field->name);
		if (!path)
			return leat_fail(flattener->fault, LEAT_ENOMEM, "%s: out of memory", flattener->source);
		if (field->type->kind == LEAT_AVRO_RECORD) {
			LEAT_TRY(flatten(flattener, field->type, path));
			LEAT_TRY(check_default(flattener, field));
		} else {
			LEAT_TRY(add_field(flattener, field, path));
		}
	}
	flattener->depth--;
	return 0;
}

static char *copy_text(const char *text, size_t length)
{
	char *copy = leat_malloc(length + 1);
	if (!copy)
		return NULL;
	memcpy(copy, text, length);
	copy[length] = '\0';
	return copy;
}

int leat_schema_parse(struct leat_schema **out, const char *json, size_t length, const char *name, struct leat_fault *fault)
{
	struct leat_schema *schema = leat_calloc(1, sizeof *schema);
	struct flattener flattener = { .schema = schema, .source = name, .fault = fault };
	int rc = LEAT_ENOMEM;

	*out = NULL;
	if (!schema)
		goto out;
	if ((rc = leat_avro_parse(&schema->avro, json, length, name, fault)) < 0)
		goto out;
	rc = LEAT_ENOMEM;
	if (!(schema->json = copy_text(json, length)))
		goto out;
	if (schema->avro->type->kind != LEAT_AVRO_RECORD) {
		rc = leat_fail(fault, LEAT_ESCHEMA, "%s: the schema is not a record", name);
		goto out;
	}
	if ((rc = flatten(&flattener, schema->avro->type, "")) < 0)
		goto out;
	*out = schema;
	schema = NULL;
out:
	if (rc == LEAT_ENOMEM)
		leat_fail(fault, rc, "%s: out of memory", name);
	leat_schema_free(schema);
	return rc;
}

static int read_file(FILE *file, struct leat_buffer *text, const char *path, struct leat_fault *fault)
{
	size_t got;
	do {
		if (leat_buffer_reserve(text, 4096) < 0)
			return leat_fail(fault, LEAT_ENOMEM, "%s: out of memory", path);
		got = fread(text->data + text->length, 1, 4096, file);
		text->length += got;
		if (text->length > LEAT_AVRO_TEXT_MAX)
			return leat_fail(fault, LEAT_ESCHEMA, "%s: the schema is longer than 1 MiB", path);
	} while (got > 0);
	return ferror(file) ? leat_fail(fault, LEAT_EIO, "%s: %s", path, strerror(errno)) : 0;
}

int leat_schema_load(struct leat_schema **out, const char *path, struct leat_fault *fault)
{
	struct leat_buffer text = { 0 };
	FILE *file = fopen(path, "rb");
	int rc;

	*out = NULL;
	if (!file)
		return leat_fail(fault, LEAT_ECONFIG, "%s: %s", path, strerror(errno));
	rc = read_file(file, &text, path, fault);
	if (rc == 0)
		rc = leat_schema_parse(out, (const char *)text.data, text.length, path, fault);
	leat_buffer_free(&text);
	fclose(file);
	return rc;
}

void leat_schema_free(struct leat_schema *schema)
{
	if (!schema)
		return;
	leat_avro_free(schema->avro);
	leat_free(schema->json);
	leat_free(schema);
}

const char *leat_schema_name(const struct leat_schema *schema)
{
	return schema->avro->type->name;
}

const char *leat_schema_json(const struct leat_schema *schema)
{
	return schema->json;
}

const struct leat_avro_type *leat_schema_type(const struct leat_schema *schema)
{
	return schema->avro->type;
}

size_t leat_schema_count(const struct leat_schema *schema)
{
	return schema->count;
}

const struct leat_field *leat_schema_field(const struct leat_schema *schema, size_t index)
{
	LEAT_ASSERT(index < schema->count);
	return &schema->fields[index];
}

long leat_schema_find(const struct leat_schema *schema, const char *name)
{
	for (size_t i = 0; i < schema->count; i++)
		if (strcmp(schema->fields[i].name, name) == 0)
			return (long)i;
	return -1;
}

int leat_schema_time_divisor(const struct leat_schema *schema, size_t index)
{
	LEAT_ASSERT(index < schema->count);
	return schema->divisors[index];
}

bool leat_schema_default(const struct leat_schema *schema, size_t index, const void **value, bool *null)
{
	LEAT_ASSERT(index < schema->count);
	*value = schema->defaults[index].bytes;
	*null = schema->defaults[index].null;
	return schema->has_default[index];
}
