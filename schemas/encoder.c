/* Running an encoder: one row of columns to an Avro body. */
#include "schemas/encoding.h"
#include "schemas/put.h"

/* Where the body grows. Room for everything of fixed size is made once; texts and lists ask for theirs and for the rest anew. */
struct sink {
	uint8_t *at, *end;
	struct leat_buffer *out;
	size_t bound;
};

static int sink_grow(struct sink *sink, size_t more)
{
	sink->out->length = (size_t)(sink->at - sink->out->data);
	LEAT_TRY(leat_buffer_reserve(sink->out, more));
	sink->at = sink->out->data + sink->out->length;
	sink->end = sink->out->data + sink->out->capacity;
	return 0;
}

/* Grows a copy: a sink whose address leaves the loop could not stay in registers. */
static inline int sink_room(struct sink *sink, size_t more)
{
	if (LEAT_LIKELY((size_t)(sink->end - sink->at) >= more + sink->bound))
		return 0;
	struct sink copy = *sink;
	int rc = sink_grow(&copy, more + sink->bound);
	*sink = copy;
	return rc;
}

/* Ids and names are short: a few words, the last of which may overlap, are done before a call of memcpy has begun. */
static inline uint8_t *put_raw(uint8_t *at, const uint8_t *data, size_t length)
{
	if (length < 16 || length > 64) {
		if (length)
			memcpy(at, data, length);
		return at + length;
	}
	for (size_t i = 0; i + 16 <= length; i += 16)
		memcpy(at + i, data + i, 16);
	memcpy(at + length - 16, data + length - 16, 16);
	return at + length;
}

static inline int put_bytes(struct sink *sink, struct leat_bytes bytes)
{
	LEAT_TRY(sink_room(sink, (size_t)bytes.length + LEAT_PUT_LONG_MAX));
	sink->at = put_raw(leat_put_small(sink->at, bytes.length), bytes.data, bytes.length);
	return 0;
}

static int put_floats(struct sink *sink, const struct leat_put *put, const float *items, size_t count)
{
	LEAT_TRY(sink_room(sink, count * sizeof(double) + 2 * LEAT_PUT_LONG_MAX));
	if (count)
		sink->at = leat_put_long(sink->at, (int64_t)count);
	for (size_t i = 0; i < count; i++)
		sink->at = put->doubles ? leat_put_double(sink->at, (double)items[i]) : leat_put_float(sink->at, items[i]);
	*sink->at++ = 0;
	return 0;
}

static int put_strings(struct sink *sink, const struct leat_bytes *items, size_t count)
{
	LEAT_TRY(sink_room(sink, LEAT_PUT_LONG_MAX));
	if (count)
		sink->at = leat_put_long(sink->at, (int64_t)count);
	for (size_t i = 0; i < count; i++)
		LEAT_TRY(put_bytes(sink, items[i]));
	LEAT_TRY(sink_room(sink, 1));
	*sink->at++ = 0;
	return 0;
}

static int put_list(struct sink *sink, const struct leat_put *put, const struct leat_column *column, size_t row)
{
	if (put->column == LEAT_VECTOR)
		return put_floats(sink, put, column->floats + row * put->width, put->width);
	const struct leat_list *list = &column->lists[row];
	return put->column == LEAT_STRINGS ? put_strings(sink, list->items, list->count) : put_floats(sink, put, list->items, list->count);
}

static int put_symbol(struct sink *sink, const struct leat_put *put, int64_t index)
{
	if ((uint64_t)index >= put->count)
		return LEAT_ESCHEMA;
	if (put->code == LEAT_PUT_SYMBOL)
		return put_bytes(sink, put->symbols[index]);
	sink->at = leat_put_long(sink->at, put->to[index]);
	return 0;
}

static int put_micros(struct sink *sink, int64_t value)
{
	int64_t micros;
	if (__builtin_mul_overflow(value, 1000, &micros))
		return LEAT_ESCHEMA;
	sink->at = leat_put_long(sink->at, micros);
	return 0;
}

static int put_seldom(struct sink *sink, const struct leat_put *put, const struct leat_column *column, size_t row)
{
	switch (put->code) {
	case LEAT_PUT_BOOL:
		*sink->at++ = column->bools[row] != 0;
		return 0;
	case LEAT_PUT_MICROS:
		return put_micros(sink, column->ints[row]);
	case LEAT_PUT_FLOAT_DOUBLE:
		sink->at = leat_put_double(sink->at, (double)column->floats[row]);
		return 0;
	case LEAT_PUT_INT_DOUBLE:
		sink->at = leat_put_double(sink->at, (double)column->ints[row]);
		return 0;
	case LEAT_PUT_LIST:
		return put_list(sink, put, column, row);
	default:
		return put_symbol(sink, put, column->ints[row]);
	}
}

static inline int put_value(struct sink *sink, const struct leat_put *put, const struct leat_column *column, size_t row)
{
	switch (put->code) {
	case LEAT_PUT_INT:
		sink->at = leat_put_long(sink->at, column->ints[row]);
		return LEAT_LIKELY(column->ints[row] == (int32_t)column->ints[row]) ? 0 : LEAT_ESCHEMA;
	case LEAT_PUT_LONG:
		sink->at = leat_put_long(sink->at, column->ints[row]);
		return 0;
	case LEAT_PUT_FLOAT:
		sink->at = leat_put_float(sink->at, column->floats[row]);
		return 0;
	case LEAT_PUT_DOUBLE:
		sink->at = leat_put_double(sink->at, column->doubles[row]);
		return 0;
	case LEAT_PUT_BYTES:
		return put_bytes(sink, column->bytes[row]);
	default: {
		struct sink copy = *sink;
		int rc = put_seldom(&copy, put, column, row);
		*sink = copy;
		return rc;
	}
	}
}

static inline int put_field(struct sink *sink, const struct leat_put *put, const struct leat_column *columns, size_t row)
{
	if (LEAT_UNLIKELY(put->code == LEAT_PUT_CONSTANT)) {
		sink->at = put_raw(sink->at, put->constant.data, put->constant.length);
		return 0;
	}
	const struct leat_column *column = &columns[put->slot];
	if (LEAT_UNLIKELY(column->null[row])) {
		*sink->at = put->null_branch;
		sink->at += put->null_branch != LEAT_PUT_NO_BRANCH;
		return put->null_branch != LEAT_PUT_NO_BRANCH ? 0 : LEAT_ESCHEMA;
	}
	if (put->value_branch != LEAT_PUT_NO_BRANCH)
		*sink->at++ = put->value_branch;
	return put_value(sink, put, column, row);
}

int leat_encoder_run(const struct leat_encoder *encoder, const struct leat_column *columns, size_t row, struct leat_buffer *out)
{
	size_t before = out->length;
	LEAT_TRY(leat_buffer_reserve(out, encoder->bound));
	struct sink sink = { out->data + before, out->data + out->capacity, out, encoder->bound };
	const struct leat_put *end = encoder->puts + encoder->count;
	int rc = 0;

	for (const struct leat_put *put = encoder->puts; put < end && rc == 0; put++)
		rc = put_field(&sink, put, columns, row);
	out->length = rc == 0 ? (size_t)(sink.at - out->data) : before;
	return rc;
}
