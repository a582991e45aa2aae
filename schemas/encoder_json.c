/* Running an encoder: one row of columns to a JSON object. Times stand in the schema's own unit, as in the Avro body. */
#include "schemas/encoding.h"
#include "schemas/json_text.h"

static int append(struct leat_buffer *out, struct leat_bytes bytes)
{
	return leat_buffer_append(out, bytes.data, bytes.length);
}

static int print_floats(struct leat_buffer *out, const float *items, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		LEAT_TRY(leat_buffer_append(out, ",", i > 0));
		LEAT_TRY(leat_json_float(out, items[i]));
	}
	return 0;
}

static int print_strings(struct leat_buffer *out, const struct leat_bytes *items, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		LEAT_TRY(leat_buffer_append(out, ",", i > 0));
		LEAT_TRY(leat_json_text(out, items[i]));
	}
	return 0;
}

static int print_list(struct leat_buffer *out, const struct leat_put *put, const struct leat_column *column, size_t row)
{
	LEAT_TRY(leat_buffer_append(out, "[", 1));
	if (put->column == LEAT_VECTOR)
		LEAT_TRY(print_floats(out, column->floats + row * put->width, put->width));
	else if (put->column == LEAT_FLOATS)
		LEAT_TRY(print_floats(out, column->lists[row].items, column->lists[row].count));
	else
		LEAT_TRY(print_strings(out, column->lists[row].items, column->lists[row].count));
	return leat_buffer_append(out, "]", 1);
}

static int print_micros(struct leat_buffer *out, int64_t value)
{
	int64_t micros;
	if (__builtin_mul_overflow(value, 1000, &micros))
		return LEAT_ESCHEMA;
	return leat_json_integer(out, micros);
}

static int print_value(struct leat_buffer *out, const struct leat_put *put, const struct leat_column *column, size_t row)
{
	switch (put->code) {
	case LEAT_PUT_BOOL:
		return column->bools[row] ? leat_buffer_append(out, "true", 4) : leat_buffer_append(out, "false", 5);
	case LEAT_PUT_INT:
		return column->ints[row] == (int32_t)column->ints[row] ? leat_json_integer(out, column->ints[row]) : LEAT_ESCHEMA;
	case LEAT_PUT_LONG:
	case LEAT_PUT_INT_DOUBLE:
		return leat_json_integer(out, column->ints[row]);
	case LEAT_PUT_MICROS:
		return print_micros(out, column->ints[row]);
	case LEAT_PUT_FLOAT:
	case LEAT_PUT_FLOAT_DOUBLE:
		return leat_json_float(out, column->floats[row]);
	case LEAT_PUT_DOUBLE:
		return leat_json_double(out, column->doubles[row]);
	case LEAT_PUT_BYTES:
		return put->text ? leat_json_text(out, column->bytes[row]) : leat_json_bytes(out, column->bytes[row]);
	case LEAT_PUT_LIST:
		return print_list(out, put, column, row);
	default:
		return (uint64_t)column->ints[row] < put->count ? leat_json_text(out, put->symbols[column->ints[row]]) : LEAT_ESCHEMA;
	}
}

static int print_field(struct leat_buffer *out, const struct leat_put *put, const struct leat_column *columns, size_t row)
{
	LEAT_TRY(append(out, put->prefix));
	if (put->code == LEAT_PUT_CONSTANT)
		return append(out, put->constant_json);
	if (!columns[put->slot].null[row])
		return print_value(out, put, &columns[put->slot], row);
	return put->null_branch == LEAT_PUT_NO_BRANCH ? LEAT_ESCHEMA : leat_buffer_append(out, "null", 4);
}

int leat_encoder_run_json(const struct leat_encoder *encoder, const struct leat_column *columns, size_t row, struct leat_buffer *out)
{
	size_t before = out->length;
	int rc = 0;

	for (size_t i = 0; i < encoder->count && rc == 0; i++)
		rc = print_field(out, &encoder->puts[i], columns, row);
	if (rc == 0)
		rc = append(out, encoder->suffix);
	if (rc < 0)
		out->length = before;
	return rc;
}
