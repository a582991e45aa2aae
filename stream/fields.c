/* Fields as text: "user:string price:double? type:enum(VIEW,CART)", for topics whose bodies have no schema file. */
#include "stream/pipeline.h"

static const struct { const char *name; uint8_t type; const char *avro, *help; } types[] = {
	{ "bool", LEAT_BOOL, "boolean", "true or false" },
	{ "int", LEAT_INT, "int, long", "64 bits with sign; also points in time, in milliseconds" },
	{ "float", LEAT_FLOAT, "float", "32 bits" },
	{ "double", LEAT_DOUBLE, "double", "64 bits" },
	{ "string", LEAT_STRING, "string", "UTF-8" },
	{ "bytes", LEAT_BYTES, "bytes", "anything" },
	{ "strings", LEAT_STRINGS, "array of string", "list" },
	{ "floats", LEAT_FLOATS, "array of float or double", "list, 32 bits each" },
};

void leat_fields_print(FILE *out)
{
	fprintf(out, "`fields:` of a source or table and `record:` of a sink: `name:type` with spaces between them, `?` behind the type for what may be null, as in\n"
		     "`\"user:string price:double? type:enum(VIEW,CART)\"`. A schema file's fields have the same types; `vector`, numbers of a fixed count, is made by operators only and becomes floats at a sink.\n\n"
		     "| type | in a schema file | values |\n|---|---|---|\n");
	for (size_t i = 0; i < LEAT_COUNT_OF(types); i++)
		fprintf(out, "| `%s` | %s | %s |\n", types[i].name, types[i].avro, types[i].help);
	fprintf(out, "| `enum(A,B,..)` | enum | one of the symbols |\n");
}

static int parse_symbols(struct leat_pipeline *pipeline, char *list, struct leat_field *field)
{
	size_t count = 1;
	for (const char *at = list; *at; at++)
		count += *at == ',';
	const char **symbols = leat_pipeline_memory(pipeline, (count + 1) * sizeof *symbols);
	if (!symbols)
		return LEAT_ENOMEM;
	field->symbols = symbols;
	field->type = LEAT_ENUM;
	for (char *word; (word = strsep(&list, ","));)
		*symbols++ = word;
	return 0;
}

/* "name:type", "name:type?", "name:enum(A,B)". */
static int parse_field(struct leat_pipeline *pipeline, char *text, struct leat_field *field, const struct leat_yaml *where, struct leat_fault *fault)
{
	char *type = strchr(text, ':');
	*field = (struct leat_field){ .name = text, .width = 1, .help = "" };
	if (!type || type == text || !type[1])
		return leat_yaml_fail(pipeline->file, where, fault, "fields: '%s' must be name:type", text);
	*type++ = 0;
	if (type[strlen(type) - 1] == '?') {
		field->nullable = true;
		type[strlen(type) - 1] = 0;
	}
	if (strncmp(type, "enum(", 5) == 0 && type[strlen(type) - 1] == ')') {
		type[strlen(type) - 1] = 0;
		return parse_symbols(pipeline, type + 5, field);
	}
	for (size_t i = 0; i < LEAT_COUNT_OF(types); i++)
		if (strcmp(types[i].name, type) == 0) {
			field->type = types[i].type;
			return 0;
		}
	return leat_yaml_fail(pipeline->file, where, fault, "fields: '%s' has the unknown type '%s'; allowed: bool, int, float, double, string, bytes, strings, floats, enum(A,B,..), with ? for nullable", text, type);
}

int leat_fields_parse(struct leat_pipeline *pipeline, const char *text, struct leat_field **out, const struct leat_yaml *where, struct leat_fault *fault)
{
	size_t length = strlen(text), count = 0;
	char *copy = leat_pipeline_memory(pipeline, length + 1);
	struct leat_field *fields = leat_pipeline_memory(pipeline, (length / 3 + 2) * sizeof *fields);
	*out = fields;
	if (!copy || !fields)
		return LEAT_ENOMEM;
	memcpy(copy, text, length);
	for (char *word; (word = strsep(&copy, " \n\t"));)
		if (*word)
			LEAT_TRY(parse_field(pipeline, word, &fields[count++], where, fault));
	return count ? 0 : leat_yaml_fail(pipeline->file, where, fault, "fields: at least one is needed");
}
