/* A schema made from fields: the Avro text that leat_schema_parse reads. Dotted names become nested records again. */
#include "schemas/json_text.h"
#include "schemas/schema.h"

struct maker {
	struct leat_buffer out;
	const char *name;
	int depth;
	struct leat_fault *fault;
};

/* Named types are called after the field's path, so that they keep their name when fields are added. */
static int make_name(struct maker *maker, const char *kind, const char *path, size_t length)
{
	LEAT_TRY(leat_buffer_printf(&maker->out, "{\"type\":\"%s\",\"name\":\"%s_", kind, kind));
	for (size_t i = 0; i < length; i++)
		LEAT_TRY(leat_buffer_append(&maker->out, path[i] == '.' ? "__" : &path[i], path[i] == '.' ? 2 : 1));
	return leat_buffer_printf(&maker->out, "\",");
}

static int make_enum(struct maker *maker, const struct leat_field *field)
{
	LEAT_TRY(make_name(maker, "enum", field->name, strlen(field->name)));
	LEAT_TRY(leat_buffer_printf(&maker->out, "\"symbols\":["));
	for (size_t i = 0; field->symbols && field->symbols[i]; i++)
		LEAT_TRY(leat_buffer_printf(&maker->out, "%s\"%s\"", i ? "," : "", field->symbols[i]));
	return leat_buffer_printf(&maker->out, "]}");
}

static int make_type(struct maker *maker, const struct leat_field *field)
{
	static const char *const types[LEAT_TYPES] = {
		[LEAT_BOOL] = "\"boolean\"",
		[LEAT_INT] = "\"long\"",
		[LEAT_FLOAT] = "\"float\"",
		[LEAT_DOUBLE] = "\"double\"",
		[LEAT_STRING] = "\"string\"",
		[LEAT_BYTES] = "\"bytes\"",
		[LEAT_VECTOR] = "{\"type\":\"array\",\"items\":\"float\"}",
		[LEAT_STRINGS] = "{\"type\":\"array\",\"items\":\"string\"}",
		[LEAT_FLOATS] = "{\"type\":\"array\",\"items\":\"float\"}",
	};
	if (field->type == LEAT_ENUM)
		return make_enum(maker, field);
	if (field->type >= LEAT_TYPES || !types[field->type])
		return leat_fail(maker->fault, LEAT_ESCHEMA, "%s: field '%s' has no type", maker->name, field->name);
	return leat_buffer_printf(&maker->out, "%s", types[field->type]);
}

static int make_leaf(struct maker *maker, const struct leat_field *field)
{
	if (field->nullable)
		LEAT_TRY(leat_buffer_printf(&maker->out, "[\"null\","));
	LEAT_TRY(make_type(maker, field));
	if (field->nullable)
		LEAT_TRY(leat_buffer_printf(&maker->out, "],\"default\":null"));
	if (!field->help)
		return 0;
	LEAT_TRY(leat_buffer_printf(&maker->out, ",\"doc\":"));
	return leat_json_text(&maker->out, leat_text(field->help));
}

/*
 * Makes the members whose names share their first @skip characters and moves *@fields behind them.
 * The members of one nested record have to stand together, else the order would change; apart they are a field that appears twice.
 */
static int make_members(struct maker *maker, const struct leat_field **fields, size_t skip)
{
	const char *prefix = (*fields)->name;

	if (++maker->depth > LEAT_AVRO_DEPTH)
		return leat_fail(maker->fault, LEAT_ESCHEMA, "%s: field '%s' has too many dots", maker->name, prefix);
	LEAT_TRY(leat_buffer_printf(&maker->out, "\"fields\":["));
	for (bool first = true; (*fields)->name && strncmp((*fields)->name, prefix, skip) == 0; first = false) {
		const char *path = (*fields)->name, *dot = strchr(path + skip, '.');
		size_t end = dot ? (size_t)(dot - path) : strlen(path);
		LEAT_TRY(leat_buffer_printf(&maker->out, "%s{\"name\":\"%.*s\",\"type\":", first ? "" : ",", (int)(end - skip), path + skip));
		if (dot) {
			LEAT_TRY(make_name(maker, "record", path, end));
			LEAT_TRY(make_members(maker, fields, end + 1));
		} else {
			LEAT_TRY(make_leaf(maker, (*fields)++));
		}
		LEAT_TRY(leat_buffer_printf(&maker->out, "}"));
	}
	maker->depth--;
	return leat_buffer_printf(&maker->out, "]}");
}

int leat_schema_from_fields(struct leat_schema **out, const char *name, const struct leat_field *fields, struct leat_fault *fault)
{
	struct maker maker = { .name = name, .fault = fault };
	int rc = leat_buffer_printf(&maker.out, "{\"type\":\"record\",\"name\":\"%s\",", name);

	*out = NULL;
	if (rc == 0)
		rc = fields->name ? make_members(&maker, &fields, 0) : leat_buffer_printf(&maker.out, "\"fields\":[]}");
	if (rc == LEAT_ENOMEM)
		leat_fail(fault, rc, "%s: out of memory", name);
	if (rc == 0)
		rc = leat_schema_parse(out, (const char *)maker.out.data, maker.out.length, name, fault);
	leat_buffer_free(&maker.out);
	return rc;
}
