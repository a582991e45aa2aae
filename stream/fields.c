/* Fields as text: "user:string price:double? type:enum(VIEW,CART)", for topics whose bodies have no schema file. */
#include "stream/pipeline.h"

static const struct { const char *name; uint8_t type; } types[] = {
	{ "bool", LEAT_BOOL }, { "int", LEAT_INT }, { "float", LEAT_FLOAT }, { "double", LEAT_DOUBLE }, { "string", LEAT_STRING }, { "bytes", LEAT_BYTES },
	{ "strings", LEAT_STRINGS }, { "floats", LEAT_FLOATS },
};

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
