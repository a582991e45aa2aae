/* The default of a field, written in JSON, as Avro binary: what a writer who had set the field to it would have sent. */
#include "schemas/avro_type.h"
#include "schemas/put.h"

#include <float.h>
#include <math.h>

struct writer {
	struct leat_buffer *out;
	const char *field;              /* for messages */
	int depth;
	size_t steps;                   /* left; records of records of records have defaults of exponential size */
	struct leat_fault *fault;
};

static int write_value(struct writer *writer, const struct leat_avro_type *type, const json_t *value);

static int misfit(struct writer *writer, const struct leat_avro_type *type)
{
	return leat_fail(writer->fault, LEAT_ESCHEMA, "the default of field '%s' does not fit its type %s", writer->field,
			 type->name ? type->name : leat_avro_kind_name(type->kind));
}

static int write_long(struct writer *writer, int64_t value)
{
	LEAT_TRY(leat_buffer_reserve(writer->out, LEAT_PUT_LONG_MAX));
	uint8_t *at = writer->out->data + writer->out->length;
	writer->out->length += (size_t)(leat_put_long(at, value) - at);
	return 0;
}

static int write_integer(struct writer *writer, const struct leat_avro_type *type, const json_t *value)
{
	json_int_t integer = json_integer_value(value);
	bool fits = type->kind == LEAT_AVRO_LONG || (integer >= INT32_MIN && integer <= INT32_MAX);
	return json_is_integer(value) && fits ? write_long(writer, integer) : misfit(writer, type);
}

static int write_real(struct writer *writer, const struct leat_avro_type *type, const json_t *value)
{
	double number = json_number_value(value);
	uint8_t bytes[sizeof number];

	if (!json_is_number(value) || (type->kind == LEAT_AVRO_FLOAT && fabs(number) > (double)FLT_MAX))
		return misfit(writer, type);
	if (type->kind == LEAT_AVRO_DOUBLE) {
		leat_put_double(bytes, number);
		return leat_buffer_append(writer->out, bytes, sizeof(double));
	}
	leat_put_float(bytes, (float)number);
	return leat_buffer_append(writer->out, bytes, sizeof(float));
}

static int write_string(struct writer *writer, const json_t *value)
{
	LEAT_TRY(write_long(writer, (int64_t)json_string_length(value)));
	return leat_buffer_append(writer->out, json_string_value(value), json_string_length(value));
}

/* Bytes stand in JSON as a string whose code points 0 to 255 are the bytes; as UTF-8 that is one byte, or two from 0xc2 or 0xc3 on. */
static int write_latin(struct writer *writer, const struct leat_avro_type *type, const json_t *value)
{
	const uint8_t *text = (const uint8_t *)json_string_value(value);
	size_t length = json_string_length(value), count = 0;

	for (size_t i = 0; i < length; i += text[i] < 0x80 ? 1 : 2, count++)
		if (text[i] > 0xc3)
			return misfit(writer, type);
	if (!json_is_string(value) || (type->kind == LEAT_AVRO_FIXED && count != type->size))
		return misfit(writer, type);
	if (type->kind == LEAT_AVRO_BYTES)
		LEAT_TRY(write_long(writer, (int64_t)count));
	for (size_t i = 0; i < length; i++) {
		uint8_t byte = text[i];
		if (byte >= 0x80)
			byte = (uint8_t)((byte & 3) << 6 | (text[++i] & 0x3f));
		LEAT_TRY(leat_buffer_append(writer->out, &byte, 1));
	}
	return 0;
}

static int write_symbol(struct writer *writer, const struct leat_avro_type *type, const json_t *value)
{
	for (size_t i = 0; json_is_string(value) && i < type->count; i++)
		if (strcmp(type->symbols[i], json_string_value(value)) == 0)
			return write_long(writer, (int64_t)i);
	return misfit(writer, type);
}

static int write_record(struct writer *writer, const struct leat_avro_type *type, const json_t *value)
{
	if (!json_is_object(value))
		return misfit(writer, type);
	for (size_t i = 0; i < type->count; i++) {
		const struct leat_avro_field *field = &type->fields[i];
		const json_t *member = json_object_get(value, field->name);
		if (!member)
			member = field->value;
		if (!member)
			return misfit(writer, type);
		LEAT_TRY(write_value(writer, field->type, member));
	}
	return 0;
}

static int write_array(struct writer *writer, const struct leat_avro_type *type, const json_t *value)
{
	if (!json_is_array(value))
		return misfit(writer, type);
	if (json_array_size(value))
		LEAT_TRY(write_long(writer, (int64_t)json_array_size(value)));
	for (size_t i = 0; i < json_array_size(value); i++)
		LEAT_TRY(write_value(writer, type->item, json_array_get(value, i)));
	return write_long(writer, 0);
}

static int write_map(struct writer *writer, const struct leat_avro_type *type, const json_t *value)
{
	if (!json_is_object(value))
		return misfit(writer, type);
	if (json_object_size(value))
		LEAT_TRY(write_long(writer, (int64_t)json_object_size(value)));
	/* The iterator does not change the object; jansson only lacks the const. */
	for (void *i = json_object_iter((json_t *)(uintptr_t)value); i; i = json_object_iter_next((json_t *)(uintptr_t)value, i)) {
		const char *key = json_object_iter_key(i);
		LEAT_TRY(write_long(writer, (int64_t)strlen(key)));
		LEAT_TRY(leat_buffer_append(writer->out, key, strlen(key)));
		LEAT_TRY(write_value(writer, type->item, json_object_iter_value(i)));
	}
	return write_long(writer, 0);
}

static int write_kind(struct writer *writer, const struct leat_avro_type *type, const json_t *value)
{
	uint8_t boolean = json_is_true(value);

	switch (type->kind) {
	case LEAT_AVRO_NULL:
		return json_is_null(value) ? 0 : misfit(writer, type);
	case LEAT_AVRO_BOOLEAN:
		return json_is_boolean(value) ? leat_buffer_append(writer->out, &boolean, 1) : misfit(writer, type);
	case LEAT_AVRO_INT:
	case LEAT_AVRO_LONG:
		return write_integer(writer, type, value);
	case LEAT_AVRO_FLOAT:
	case LEAT_AVRO_DOUBLE:
		return write_real(writer, type, value);
	case LEAT_AVRO_STRING:
		return json_is_string(value) ? write_string(writer, value) : misfit(writer, type);
	case LEAT_AVRO_BYTES:
	case LEAT_AVRO_FIXED:
		return write_latin(writer, type, value);
	case LEAT_AVRO_ENUM:
		return write_symbol(writer, type, value);
	case LEAT_AVRO_RECORD:
		return write_record(writer, type, value);
	case LEAT_AVRO_ARRAY:
		return write_array(writer, type, value);
	case LEAT_AVRO_MAP:
		return write_map(writer, type, value);
	default:                        /* a union's default belongs to its first branch */
		LEAT_TRY(write_long(writer, 0));
		return write_value(writer, type->branches[0], value);
	}
}

static int write_value(struct writer *writer, const struct leat_avro_type *type, const json_t *value)
{
	if (writer->depth >= LEAT_AVRO_DEPTH || writer->steps == 0)
		return leat_fail(writer->fault, LEAT_ESCHEMA, "the default of field '%s' has no end", writer->field);
	writer->depth++;
	writer->steps--;
	int rc = write_kind(writer, type, value);
	writer->depth--;
	return rc;
}

int leat_avro_default(const struct leat_avro_type *type, const json_t *value, struct leat_buffer *out, const char *field, struct leat_fault *fault)
{
	struct writer writer = { .out = out, .field = field, .steps = LEAT_AVRO_ELEMENTS, .fault = fault };
	return write_value(&writer, type, value);
}
