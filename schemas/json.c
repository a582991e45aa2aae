/* JSON bodies to columns: measured before they are parsed, so that what a hostile one can make us take is bounded. */
#include "schemas/leaf.h"

#include <errno.h>
#include <float.h>
#include <math.h>

enum { DEPTH_MAX = 64, ELEMENTS_MAX = LEAT_AVRO_ELEMENTS };

struct leat_json_decoder {
	const struct leat_avro_type *record;
	struct leat_leaves *leaves;
};

/* One body on its way into a row. */
struct run {
	const struct leat_leaf *leaf;           /* the next one */
	struct leat_column *columns;
	size_t row;
	struct leat_arena *arena;
};

int leat_json_decoder_open(struct leat_json_decoder **out, const struct leat_schema *reader, const int *slots, struct leat_fault *fault)
{
	struct leat_json_decoder *decoder = leat_calloc(1, sizeof *decoder);
	*out = NULL;
	if (!decoder || leat_leaves_make(&decoder->leaves, reader, slots) < 0) {
		leat_json_decoder_free(decoder);
		return leat_fail(fault, LEAT_ENOMEM, "%s: out of memory", leat_schema_name(reader));
	}
	decoder->record = leat_schema_type(reader);
	*out = decoder;
	return 0;
}

void leat_json_decoder_free(struct leat_json_decoder *decoder)
{
	if (!decoder)
		return;
	leat_free(decoder->leaves);
	leat_free(decoder);
}

/* ---- before parsing ---- */

/* The position behind the string that begins at @at. */
static const uint8_t *skip_string(const uint8_t *at, const uint8_t *end)
{
	for (at++; at < end && *at != '"'; at++)
		at += *at == '\\' && at + 1 < end;
	return at < end ? at + 1 : end;
}

/*
 * The parser makes up to about 250 bytes of each value and recurses with each bracket. Here brackets are counted, not matched:
 * what is malformed is the parser's to say.
 */
static bool is_modest(struct leat_bytes body)
{
	const uint8_t *at = body.data, *end = at + body.length;
	size_t depth = 0, elements = 0;

	while (at < end && depth <= DEPTH_MAX && elements <= ELEMENTS_MAX) {
		uint8_t byte = *at;
		if (byte == '"') {
			at = skip_string(at, end);
			continue;
		}
		if (byte == '{' || byte == '[')
			depth++;
		else if (byte == '}' || byte == ']')
			depth -= depth > 0;
		elements += byte == ',' || byte == '{' || byte == '[';
		at++;
	}
	return depth <= DEPTH_MAX && elements <= ELEMENTS_MAX;
}

/*
 * An integer beyond int64 is sound JSON and may stand where a double is wanted, or in a field that nobody wants: so the body is
 * read again with all numbers as doubles, and integer fields then take only those that a double holds exactly.
 */
static enum leat_bad parse(struct leat_bytes body, json_t **out)
{
	size_t flags = JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL;
	json_error_t error = { 0 };

	errno = 0;
	*out = json_loadb((const char *)body.data, body.length, flags, &error);
	if (!*out && json_error_code(&error) == json_error_numeric_overflow)
		*out = json_loadb((const char *)body.data, body.length, flags | JSON_DECODE_INT_AS_REAL, &error);
	if (*out)
		return json_is_object(*out) ? LEAT_BAD_NONE : LEAT_BAD_JSON_TYPE;
	if (errno == ENOMEM)    /* the parser itself then often speaks of syntax */
		return LEAT_BAD_NO_MEMORY;
	return json_error_code(&error) == json_error_numeric_overflow ? LEAT_BAD_JSON_TYPE : LEAT_BAD_JSON_SYNTAX;
}

/* ---- values ---- */

static enum leat_bad fits(bool ok)
{
	return ok ? LEAT_BAD_NONE : LEAT_BAD_JSON_TYPE;
}

static struct leat_bytes text_of(const json_t *value)
{
	return leat_bytes(json_string_value(value), json_string_length(value));
}

/* Into the arena, because the parsed tree dies before the batch. */
static enum leat_bad keep(struct leat_arena *arena, const json_t *value, struct leat_bytes *out)
{
	struct leat_bytes text = text_of(value);
	void *copy = leat_arena_take(arena, text.length);
	if (!copy)
		return LEAT_BAD_NO_MEMORY;
	memcpy(copy, text.data, text.length);
	*out = leat_bytes(copy, text.length);
	return LEAT_BAD_NONE;
}

/* Avro's JSON writes bytes as the code points 0 to 255: in UTF-8 one byte below 0x80, else two that begin with 0xc2 or 0xc3. */
static enum leat_bad keep_latin(struct leat_arena *arena, const json_t *value, struct leat_bytes *out)
{
	struct leat_bytes text = text_of(value);
	uint8_t *copy = leat_arena_take(arena, text.length);
	uint32_t length = 0;

	if (!copy)
		return LEAT_BAD_NO_MEMORY;
	for (uint32_t i = 0; i < text.length; i++) {
		uint8_t byte = text.data[i];
		if (byte > 0xc3)
			return LEAT_BAD_JSON_TYPE;
		copy[length++] = byte < 0x80 ? byte : (uint8_t)((byte & 3) << 6 | (text.data[++i] & 0x3f));
	}
	*out = leat_bytes(copy, length);
	return LEAT_BAD_NONE;
}

static enum leat_bad take_string(struct run *run, const struct leat_leaf *leaf, struct leat_column *column, const json_t *value)
{
	struct leat_bytes bytes;
	if (leaf->field->type == LEAT_ENUM)
		return fits(leat_leaf_symbol(leaf, column, run->row, text_of(value)));
	if (leaf->field->type != LEAT_STRING && leaf->field->type != LEAT_BYTES)
		return LEAT_BAD_JSON_TYPE;
	enum leat_bad bad = leaf->field->type == LEAT_STRING ? keep(run->arena, value, &bytes) : keep_latin(run->arena, value, &bytes);
	return bad ? bad : fits(leat_leaf_bytes(leaf, column, run->row, bytes));
}

static enum leat_bad take_real(struct run *run, const struct leat_leaf *leaf, struct leat_column *column, double value)
{
	static const double exact = 9007199254740992.0;         /* 2^53 */
	if (leaf->field->type != LEAT_INT)
		return fits(leat_leaf_real(leaf, column, run->row, value));
	if (!(fabs(value) <= exact) || value != trunc(value))
		return LEAT_BAD_JSON_TYPE;
	return fits(leat_leaf_int(leaf, column, run->row, (int64_t)value));
}

static enum leat_bad take_item(struct run *run, const json_t *item, uint8_t type, void *items, size_t index)
{
	if (type == LEAT_STRINGS)
		return json_is_string(item) ? keep(run->arena, item, (struct leat_bytes *)items + index) : LEAT_BAD_JSON_TYPE;
	if (!json_is_number(item) || !(fabs(json_number_value(item)) <= (double)FLT_MAX))
		return LEAT_BAD_JSON_TYPE;
	((float *)items)[index] = (float)json_number_value(item);
	return LEAT_BAD_NONE;
}

static enum leat_bad take_array(struct run *run, const struct leat_leaf *leaf, struct leat_column *column, const json_t *value)
{
	uint8_t type = leaf->field->type;
	size_t count = json_array_size(value), size = type == LEAT_STRINGS ? sizeof(struct leat_bytes) : sizeof(float);

	if (type != LEAT_STRINGS && type != LEAT_FLOATS)
		return LEAT_BAD_JSON_TYPE;
	void *items = leat_arena_take(run->arena, count * size);
	if (!items)
		return LEAT_BAD_NO_MEMORY;
	for (size_t i = 0; i < count; i++) {
		enum leat_bad bad = take_item(run, json_array_get(value, i), type, items, i);
		if (bad)
			return bad;
	}
	return fits(leat_leaf_list(leaf, column, run->row, (struct leat_list){ items, (uint32_t)count }));
}

/* What stands behind the type's name in {"double": 1.5}, Avro's JSON for a union; NULL when @value is not of that form. */
static const json_t *unwrap(const struct leat_leaf *leaf, const json_t *value)
{
	const char *name = leaf->type->name;
	if (!leaf->field->nullable || json_object_size(value) != 1)
		return NULL;
	if (!name)
		return json_object_get(value, leat_avro_kind_name(leaf->type->kind));
	const json_t *inner = json_object_get(value, name);
	return inner ? inner : json_object_get(value, leat_avro_short_name(name));
}

static enum leat_bad take_value(struct run *run, const struct leat_leaf *leaf, struct leat_column *column, const json_t *value)
{
	switch (json_typeof(value)) {
	case JSON_NULL:
		return fits(leat_leaf_null(leaf, column, run->row));
	case JSON_TRUE:
	case JSON_FALSE:
		return fits(leat_leaf_bool(leaf, column, run->row, json_is_true(value)));
	case JSON_INTEGER:
		return fits(leat_leaf_int(leaf, column, run->row, json_integer_value(value)));
	case JSON_REAL:
		return take_real(run, leaf, column, json_real_value(value));
	case JSON_STRING:
		return take_string(run, leaf, column, value);
	case JSON_ARRAY:
		return take_array(run, leaf, column, value);
	default:
		return LEAT_BAD_JSON_TYPE;
	}
}

static enum leat_bad take_leaf(struct run *run, const json_t *value)
{
	const struct leat_leaf *leaf = run->leaf++;
	if (leaf->slot < 0)
		return LEAT_BAD_NONE;
	struct leat_column *column = &run->columns[leaf->slot];
	LEAT_ASSERT(column->type == leaf->field->type);
	if (!value)
		return fits(leat_leaf_absent(leaf, column, run->row));
	if (json_is_object(value) && !(value = unwrap(leaf, value)))
		return LEAT_BAD_JSON_TYPE;
	return take_value(run, leaf, column, value);
}

/* A nested record that is not there is its default, or else has no members: then each of them needs a default of its own. */
static enum leat_bad take_record(struct run *run, const struct leat_avro_type *record, const json_t *object)
{
	enum leat_bad bad = !object || json_is_object(object) ? LEAT_BAD_NONE : LEAT_BAD_JSON_TYPE;

	for (size_t i = 0; i < record->count && !bad; i++) {
		const struct leat_avro_field *field = &record->fields[i];
		const json_t *member = json_object_get(object, field->name);
		if (field->type->kind == LEAT_AVRO_RECORD)
			bad = take_record(run, field->type, member ? member : field->value);
		else
			bad = take_leaf(run, member);
	}
	return bad;
}

enum leat_bad leat_json_decoder_run(const struct leat_json_decoder *decoder, struct leat_bytes body, struct leat_column *columns, size_t row,
				    struct leat_arena *arena)
{
	struct run run = { .leaf = decoder->leaves->leaf, .columns = columns, .row = row, .arena = arena };
	json_t *json;

	if (!body.data)
		return LEAT_BAD_NULL_VALUE;
	if (body.length > LEAT_TEXT_MAX || !is_modest(body))
		return LEAT_BAD_TOO_LARGE;
	enum leat_bad bad = parse(body, &json);
	if (!bad)
		bad = take_record(&run, decoder->record, json);
	json_decref(json);
	return bad;
}
