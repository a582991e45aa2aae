/* Stepping over values that nobody keeps, bounded in depth, elements and steps, because both schema and body may be hostile. */
#include "schemas/avro_type.h"

enum leat_bad leat_cursor_varint_slow(struct leat_cursor *cursor, uint64_t *raw)
{
	uint64_t value = 0;
	for (unsigned shift = 0; shift < 70; shift += 7) {
		if (cursor->at == cursor->end)
			return LEAT_BAD_AVRO_TRUNCATED;
		uint8_t byte = *cursor->at++;
		if (shift == 63 && byte > 1)
			return LEAT_BAD_AVRO_VARINT;
		value |= (uint64_t)(byte & 0x7f) << shift;
		if (byte < 0x80) {
			*raw = value;
			return LEAT_BAD_NONE;
		}
	}
	return LEAT_BAD_AVRO_VARINT;
}

/* A negative count is followed by the block's size in bytes. */
static enum leat_bad read_size(struct leat_cursor *cursor, const uint8_t **end)
{
	int64_t size;
	enum leat_bad bad = leat_cursor_small(cursor, &size);
	if (bad)
		return bad;
	if (size < 0)
		return LEAT_BAD_AVRO_NEGATIVE;
	if ((uint64_t)size > leat_cursor_left(cursor))
		return LEAT_BAD_AVRO_LENGTH;
	*end = cursor->at + size;
	return LEAT_BAD_NONE;
}

enum leat_bad leat_cursor_block(struct leat_cursor *cursor, struct leat_budget *budget, size_t *count, const uint8_t **end)
{
	int64_t value;
	enum leat_bad bad = leat_cursor_small(cursor, &value);
	*end = NULL;
	if (bad)
		return bad;
	if (value == INT64_MIN)         /* has no positive counterpart */
		return LEAT_BAD_AVRO_NEGATIVE;
	*count = (size_t)(value < 0 ? -value : value);
	if (*count > budget->elements)
		return LEAT_BAD_AVRO_ELEMENTS;
	budget->elements -= *count;
	return value < 0 ? read_size(cursor, end) : LEAT_BAD_NONE;
}

static enum leat_bad skip_items(struct leat_cursor *cursor, const struct leat_avro_type *type, struct leat_budget *budget, int depth)
{
	for (;;) {
		size_t count;
		const uint8_t *end;
		enum leat_bad bad = leat_cursor_block(cursor, budget, &count, &end);
		if (bad || count == 0)
			return bad;
		for (size_t i = 0; i < count && !bad; i++) {
			struct leat_bytes key;
			if (type->kind == LEAT_AVRO_MAP)
				bad = leat_cursor_bytes(cursor, &key);
			if (!bad)
				bad = leat_cursor_skip(cursor, type->item, budget, depth + 1);
		}
		if (bad)
			return bad;
		if (end && cursor->at != end)
			return LEAT_BAD_AVRO_LENGTH;
	}
}

static enum leat_bad skip_record(struct leat_cursor *cursor, const struct leat_avro_type *type, struct leat_budget *budget, int depth)
{
	enum leat_bad bad = LEAT_BAD_NONE;
	for (size_t i = 0; i < type->count && !bad; i++)
		bad = leat_cursor_skip(cursor, type->fields[i].type, budget, depth + 1);
	return bad;
}

static enum leat_bad skip_union(struct leat_cursor *cursor, const struct leat_avro_type *type, struct leat_budget *budget, int depth)
{
	size_t index;
	enum leat_bad bad = leat_cursor_index(cursor, type->count, LEAT_BAD_AVRO_UNION, &index);
	return bad ? bad : leat_cursor_skip(cursor, type->branches[index], budget, depth + 1);
}

static enum leat_bad skip_simple(struct leat_cursor *cursor, const struct leat_avro_type *type)
{
	int64_t integer;
	uint8_t boolean;
	struct leat_bytes bytes;
	size_t index;

	switch (type->kind) {
	case LEAT_AVRO_BOOLEAN:
		return leat_cursor_bool(cursor, &boolean);
	case LEAT_AVRO_INT:
		return leat_cursor_int(cursor, &integer);
	case LEAT_AVRO_LONG:
		return leat_cursor_long(cursor, &integer);
	case LEAT_AVRO_FLOAT:
		return leat_cursor_fixed(cursor, sizeof(float));
	case LEAT_AVRO_DOUBLE:
		return leat_cursor_fixed(cursor, sizeof(double));
	case LEAT_AVRO_FIXED:
		return leat_cursor_fixed(cursor, type->size);
	case LEAT_AVRO_ENUM:
		return leat_cursor_index(cursor, type->count, LEAT_BAD_AVRO_ENUM, &index);
	case LEAT_AVRO_BYTES:
	case LEAT_AVRO_STRING:
		return leat_cursor_bytes(cursor, &bytes);
	default:
		return LEAT_BAD_NONE;   /* null */
	}
}

enum leat_bad leat_cursor_skip(struct leat_cursor *cursor, const struct leat_avro_type *type, struct leat_budget *budget, int depth)
{
	if (depth > LEAT_AVRO_DEPTH)
		return LEAT_BAD_AVRO_DEPTH;
	if (budget->steps == 0)
		return LEAT_BAD_AVRO_ELEMENTS;
	budget->steps--;
	switch (type->kind) {
	case LEAT_AVRO_RECORD:
		return skip_record(cursor, type, budget, depth);
	case LEAT_AVRO_ARRAY:
	case LEAT_AVRO_MAP:
		return skip_items(cursor, type, budget, depth);
	case LEAT_AVRO_UNION:
		return skip_union(cursor, type, budget, depth);
	default:
		return skip_simple(cursor, type);
	}
}
