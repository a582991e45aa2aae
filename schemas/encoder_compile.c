/* Schema and columns to an encoder's steps: which conversion each field needs, and what stands in for columns that are not there. */
#include "schemas/encoding.h"
#include "schemas/json_text.h"
#include "schemas/put.h"

struct builder {
	struct leat_encoder *encoder;
	const struct leat_schema *schema;
	const int *slots;
	const struct leat_field *const *fields;
	size_t leaf;
	struct leat_buffer pending;     /* JSON text that waits for the next value */
	struct leat_fault *fault;
};

static int no_memory(struct builder *builder)
{
	return leat_fail(builder->fault, LEAT_ENOMEM, "schema %s: out of memory", leat_schema_name(builder->schema));
}

static int keep(struct builder *builder, const void *data, size_t length, struct leat_bytes *out)
{
	uint8_t *copy = leat_arena_take(builder->encoder->arena, length);
	if (!copy)
		return no_memory(builder);
	if (length)
		memcpy(copy, data, length);
	*out = leat_bytes(copy, length);
	return 0;
}

static int keep_pending(struct builder *builder, struct leat_bytes *out)
{
	int rc = keep(builder, builder->pending.data, builder->pending.length, out);
	builder->pending.length = 0;
	return rc;
}

static int pend(struct builder *builder, const char *text)
{
	return leat_buffer_append(&builder->pending, text, strlen(text)) < 0 ? no_memory(builder) : 0;
}

/* ---- conversions that lose nothing by type ---- */

static uint8_t list_code(const struct leat_avro_type *type, uint8_t column)
{
	if (type->item->kind == LEAT_AVRO_STRING)
		return column == LEAT_STRINGS ? LEAT_PUT_LIST : LEAT_PUT_NONE;
	return column == LEAT_FLOATS || column == LEAT_VECTOR ? LEAT_PUT_LIST : LEAT_PUT_NONE;
}

static uint8_t code_of(const struct leat_avro_type *type, uint8_t column)
{
	static const uint8_t codes[][LEAT_TYPES] = {
		[LEAT_AVRO_BOOLEAN] = { [LEAT_BOOL] = LEAT_PUT_BOOL },
		[LEAT_AVRO_INT] = { [LEAT_INT] = LEAT_PUT_INT },
		[LEAT_AVRO_LONG] = { [LEAT_INT] = LEAT_PUT_LONG },
		[LEAT_AVRO_FLOAT] = { [LEAT_FLOAT] = LEAT_PUT_FLOAT },
		[LEAT_AVRO_DOUBLE] = { [LEAT_DOUBLE] = LEAT_PUT_DOUBLE, [LEAT_FLOAT] = LEAT_PUT_FLOAT_DOUBLE, [LEAT_INT] = LEAT_PUT_INT_DOUBLE },
		[LEAT_AVRO_BYTES] = { [LEAT_BYTES] = LEAT_PUT_BYTES, [LEAT_STRING] = LEAT_PUT_BYTES },
		[LEAT_AVRO_STRING] = { [LEAT_STRING] = LEAT_PUT_BYTES, [LEAT_ENUM] = LEAT_PUT_SYMBOL },
		[LEAT_AVRO_ENUM] = { [LEAT_ENUM] = LEAT_PUT_ENUM },
		[LEAT_AVRO_FIXED] = { 0 },
	};
	if (type->kind == LEAT_AVRO_ARRAY)
		return list_code(type, column);
	return type->time_divisor == 1000 && column == LEAT_INT ? LEAT_PUT_MICROS : codes[type->kind][column];
}

static int index_symbols(struct builder *builder, const struct leat_avro_type *type, const struct leat_field *field, int32_t *to)
{
	for (size_t i = 0; field->symbols[i]; i++) {
		to[i] = -1;
		for (size_t j = 0; j < type->count; j++)
			if (strcmp(type->symbols[j], field->symbols[i]) == 0)
				to[i] = (int32_t)j;
		if (to[i] < 0)
			return leat_fail(builder->fault, LEAT_ESCHEMA, "column '%s': enum %s has no symbol %s", field->name, type->name, field->symbols[i]);
	}
	return 0;
}

static int build_symbols(struct builder *builder, const struct leat_avro_type *type, const struct leat_field *field, struct leat_put *put)
{
	struct leat_arena *arena = builder->encoder->arena;
	while (field->symbols && field->symbols[put->count])
		put->count++;
	struct leat_bytes *symbols = leat_avro_take(arena, put->count, sizeof *symbols);
	int32_t *to = leat_avro_take(arena, put->count, sizeof *to);
	if (!symbols || !to)
		return no_memory(builder);
	for (size_t i = 0; i < put->count; i++)
		LEAT_TRY(keep(builder, field->symbols[i], strlen(field->symbols[i]), &symbols[i]));
	put->symbols = symbols;
	put->to = to;
	return put->code == LEAT_PUT_ENUM && put->count ? index_symbols(builder, type, field, to) : 0;
}

static int build_value(struct builder *builder, const struct leat_avro_type *type, const struct leat_field *field, struct leat_put *put)
{
	put->code = code_of(type, field->type);
	put->column = field->type;
	put->width = LEAT_MAX(field->width, 1);
	put->text = type->kind == LEAT_AVRO_STRING;
	put->doubles = type->kind == LEAT_AVRO_ARRAY && type->item->kind == LEAT_AVRO_DOUBLE;
	if (put->code == LEAT_PUT_NONE)
		return leat_fail(builder->fault, LEAT_ESCHEMA, "field '%s' of schema %s is %s and cannot take column '%s' of type %s",
				 leat_schema_field(builder->schema, builder->leaf)->name, leat_schema_name(builder->schema), leat_avro_kind_name(type->kind),
				 field->name, leat_type_name(field->type));
	return field->type == LEAT_ENUM ? build_symbols(builder, type, field, put) : 0;
}

/* ---- defaults ---- */

/* The body of @field's default, or of null, and the same as JSON. */
static int build_constant(struct builder *builder, const struct leat_avro_field *field, struct leat_put *put)
{
	struct leat_buffer body = { 0 }, json = { 0 };
	uint8_t null_branch;
	bool nullable = leat_avro_nullable(field->type, &null_branch) != NULL;
	int rc;

	put->code = LEAT_PUT_CONSTANT;
	if (field->value)
		rc = leat_avro_default(field->type, field->value, &body, field->name, builder->fault);
	else if (nullable)
		rc = leat_buffer_append(&body, &(uint8_t){ (uint8_t)(null_branch << 1) }, 1);
	else
		rc = leat_fail(builder->fault, LEAT_ESCHEMA, "field '%s' of schema %s has neither a column nor a default nor null",
			       leat_schema_field(builder->schema, builder->leaf)->name, leat_schema_name(builder->schema));
	if (rc == 0)
		rc = keep(builder, body.data, body.length, &put->constant);
	if (rc == 0 && leat_avro_print_value(field->type, put->constant, &json) != LEAT_BAD_NONE)
		rc = LEAT_ENOMEM;       /* a default that was checked when the schema was parsed can fail for nothing else */
	if (rc == 0)
		rc = keep(builder, json.data, json.length, &put->constant_json);
	builder->encoder->bound += body.length;
	leat_buffer_free(&body);
	leat_buffer_free(&json);
	return rc;
}

static bool all_unset(const struct builder *builder, size_t leaves)
{
	for (size_t i = 0; i < leaves; i++)
		if (builder->slots[builder->leaf + i] >= 0)
			return false;
	return true;
}

/* ---- fields ---- */

static int build_leaf(struct builder *builder, const struct leat_avro_field *field)
{
	struct leat_encoder *encoder = builder->encoder;
	struct leat_put *put = &encoder->puts[encoder->count++];
	int slot = builder->slots[builder->leaf];
	uint8_t null_branch = 0;
	const struct leat_avro_type *value = leat_avro_nullable(field->type, &null_branch);

	put->null_branch = value ? (uint8_t)(null_branch << 1) : LEAT_PUT_NO_BRANCH;
	put->value_branch = value ? (uint8_t)((1 - null_branch) << 1) : LEAT_PUT_NO_BRANCH;
	put->slot = (uint32_t)slot;
	encoder->bound += 1 + LEAT_PUT_LONG_MAX;
	LEAT_TRY(keep_pending(builder, &put->prefix));
	if (slot >= 0)
		LEAT_TRY(build_value(builder, value ? value : field->type, builder->fields[slot], put));
	else
		LEAT_TRY(build_constant(builder, field, put));
	builder->leaf++;
	return 0;
}

/* A record none of whose fields has a column takes its own default, if it has one. */
static int build_record_default(struct builder *builder, const struct leat_avro_field *field)
{
	struct leat_put *put = &builder->encoder->puts[builder->encoder->count++];
	LEAT_TRY(keep_pending(builder, &put->prefix));
	LEAT_TRY(build_constant(builder, field, put));
	builder->leaf += leat_avro_leaves(field->type);
	return 0;
}

static int build_record(struct builder *builder, const struct leat_avro_type *record)
{
	LEAT_TRY(pend(builder, "{"));
	for (size_t i = 0; i < record->count; i++) {
		const struct leat_avro_field *field = &record->fields[i];
		size_t leaves = leat_avro_leaves(field->type);
		LEAT_TRY(pend(builder, i ? ",\"" : "\""));
		LEAT_TRY(pend(builder, field->name));
		LEAT_TRY(pend(builder, "\":"));
		if (field->type->kind != LEAT_AVRO_RECORD)
			LEAT_TRY(build_leaf(builder, field));
		else if (field->value && leaves > 0 && all_unset(builder, leaves))
			LEAT_TRY(build_record_default(builder, field));
		else
			LEAT_TRY(build_record(builder, field->type));
	}
	return pend(builder, "}");
}

static int build(struct builder *builder)
{
	struct leat_encoder *encoder = builder->encoder;
	encoder->bound = LEAT_PUT_LONG_MAX;     /* the last long may store beyond its end */
	encoder->puts = leat_avro_take(encoder->arena, leat_schema_count(builder->schema), sizeof *encoder->puts);
	if (!encoder->puts)
		return no_memory(builder);
	LEAT_TRY(build_record(builder, leat_schema_type(builder->schema)));
	return keep_pending(builder, &encoder->suffix);
}

int leat_encoder_compile(struct leat_encoder **out, const struct leat_schema *schema, const int *slots, const struct leat_field *const *fields,
			 struct leat_fault *fault)
{
	struct leat_encoder *encoder = leat_calloc(1, sizeof *encoder);
	struct builder builder = { .encoder = encoder, .schema = schema, .slots = slots, .fields = fields, .fault = fault };
	int rc = LEAT_ENOMEM;

	*out = NULL;
	if (!encoder || (rc = leat_arena_open(&encoder->arena, 4096)) < 0)
		goto out;
	if ((rc = build(&builder)) < 0)
		goto out;
	*out = encoder;
	encoder = NULL;
out:
	if (rc == LEAT_ENOMEM)
		no_memory(&builder);
	leat_buffer_free(&builder.pending);
	leat_encoder_free(encoder);
	return rc;
}

void leat_encoder_free(struct leat_encoder *encoder)
{
	if (!encoder)
		return;
	leat_arena_close(encoder->arena);
	leat_free(encoder);
}
