/* Running a decoder's program over a body. */
#include "schemas/program.h"

/* Where the current step reads and writes; a copy of the loop's variables, so that those can stay in registers. */
struct place {
	struct leat_cursor cursor;
	struct leat_column *column;
	size_t row;
	struct leat_budget budget;
	struct leat_arena *arena;
};

static inline void store_null(struct leat_column *column, size_t row, size_t size)
{
	uint8_t *value = (uint8_t *)column->data + row * size;
	if (LEAT_LIKELY(size == 8))     /* numbers; a size known here is one store instead of a call */
		memset(value, 0, 8);
	else
		memset(value, 0, size);
	column->null[row] = 1;
}

/* ---- the seldom steps ---- */

static int64_t floor_thousandth(int64_t micros)
{
	return micros / 1000 - (micros % 1000 < 0);
}

static enum leat_bad convert(const struct leat_op *op, struct place *place)
{
	bool narrow = op->code == LEAT_OP_INT_FLOAT || op->code == LEAT_OP_INT_DOUBLE || op->code == LEAT_OP_INT_MICROS;
	int64_t value;
	enum leat_bad bad = narrow ? leat_cursor_int(&place->cursor, &value) : leat_cursor_long(&place->cursor, &value);

	if (bad)
		return bad;
	if (op->code == LEAT_OP_INT_FLOAT || op->code == LEAT_OP_LONG_FLOAT)
		place->column->floats[place->row] = (float)value;
	else if (op->code == LEAT_OP_INT_DOUBLE || op->code == LEAT_OP_LONG_DOUBLE)
		place->column->doubles[place->row] = (double)value;
	else
		place->column->ints[place->row] = floor_thousandth(value);
	place->column->null[place->row] = 0;
	return LEAT_BAD_NONE;
}

static enum leat_bad convert_float(struct place *place)
{
	float value = 0;
	enum leat_bad bad = leat_cursor_float(&place->cursor, &value);
	place->column->doubles[place->row] = (double)value;
	place->column->null[place->row] = 0;
	return bad;
}

static enum leat_bad list_number(struct leat_cursor *cursor, enum leat_avro_kind kind, float *out)
{
	int64_t integer = 0;
	double real = 0;
	enum leat_bad bad;

	switch (kind) {
	case LEAT_AVRO_FLOAT:
		return leat_cursor_float(cursor, out);
	case LEAT_AVRO_DOUBLE:
		bad = leat_cursor_double(cursor, &real);
		*out = (float)real;
		return bad;
	default:
		bad = kind == LEAT_AVRO_INT ? leat_cursor_int(cursor, &integer) : leat_cursor_long(cursor, &integer);
		*out = (float)integer;
		return bad;
	}
}

static enum leat_bad list_item(struct leat_cursor *cursor, const struct leat_op_list *list, void *items, size_t index)
{
	const struct leat_avro_type *item = list->type->item;
	size_t branch;

	if (item->kind == LEAT_AVRO_UNION) {
		enum leat_bad bad = leat_cursor_index(cursor, item->count, LEAT_BAD_AVRO_UNION, &branch);
		if (bad)
			return bad;
		item = item->branches[branch];
	}
	if (!leat_op_list_takes(list, item->kind))
		return LEAT_BAD_SCHEMA_INCOMPATIBLE;
	if (list->column == LEAT_STRINGS)
		return leat_cursor_text(cursor, (struct leat_bytes *)items + index);
	return list_number(cursor, item->kind, (float *)items + index);
}

static enum leat_bad list_fill(struct leat_cursor *cursor, const struct leat_op_list *list, struct leat_budget budget, void *items)
{
	size_t index = 0, count;
	const uint8_t *end;
	enum leat_bad bad;

	while ((bad = leat_cursor_block(cursor, &budget, &count, &end)) == LEAT_BAD_NONE && count > 0)
		for (; count > 0; count--)
			if ((bad = list_item(cursor, list, items, index++)) != LEAT_BAD_NONE)
				return bad;
	return bad;
}

/* Twice over the array: the first time proves it sound and counts, so that what is taken from the arena is bounded by what was sent. */
static enum leat_bad store_list(const struct leat_op *op, struct place *place)
{
	const struct leat_op_list *list = op->list;
	struct leat_cursor cursor = place->cursor;
	struct leat_budget before = place->budget;
	enum leat_bad bad = leat_cursor_skip(&place->cursor, list->type, &place->budget, list->depth);
	size_t count = before.elements - place->budget.elements;

	if (bad)
		return bad;
	if (count > (size_t)(place->cursor.at - cursor.at))    /* no item we take is without bytes */
		return LEAT_BAD_SCHEMA_INCOMPATIBLE;
	void *items = leat_arena_take(place->arena, count * (list->column == LEAT_STRINGS ? sizeof(struct leat_bytes) : sizeof(float)));
	if (!items)
		return LEAT_BAD_NO_MEMORY;
	bad = list_fill(&cursor, list, before, items);
	place->column->lists[place->row] = (struct leat_list){ items, (uint32_t)count };
	place->column->null[place->row] = 0;
	return bad;
}

static enum leat_bad step_seldom(const struct leat_op *op, struct place *place)
{
	uint8_t boolean;
	size_t index;

	switch (op->code) {
	case LEAT_OP_FLOAT_DOUBLE:
		return convert_float(place);
	case LEAT_OP_LIST:
		return store_list(op, place);
	case LEAT_OP_SET:
		memcpy((uint8_t *)place->column->data + place->row * op->size, op->value->bytes, op->size);
		place->column->null[place->row] = op->value->null;
		return LEAT_BAD_NONE;
	case LEAT_OP_SET_NULL:
		store_null(place->column, place->row, op->size);
		return LEAT_BAD_NONE;
	case LEAT_OP_SKIP_BOOL:
		return leat_cursor_bool(&place->cursor, &boolean);
	case LEAT_OP_SKIP_ENUM:
		return leat_cursor_index(&place->cursor, op->number, LEAT_BAD_AVRO_ENUM, &index);
	case LEAT_OP_SKIP_TREE:
		return leat_cursor_skip(&place->cursor, op->type, &place->budget, op->extra);
	case LEAT_OP_INCOMPATIBLE:
		return LEAT_BAD_SCHEMA_INCOMPATIBLE;
	default:
		return convert(op, place);
	}
}

/* ---- the loop ---- */

static inline enum leat_bad read_enum(struct leat_cursor *cursor, const struct leat_op_table *table, int64_t *value)
{
	size_t index;
	enum leat_bad bad = leat_cursor_index(cursor, table->count, LEAT_BAD_AVRO_ENUM, &index);
	if (LEAT_UNLIKELY(bad))
		return bad;
	*value = table->to[index];
	return LEAT_LIKELY(*value >= 0) ? LEAT_BAD_NONE : LEAT_BAD_SCHEMA_INCOMPATIBLE;
}

#define READ(call)                                                                     \
	do {                                                                           \
		enum leat_bad bad_ = (call);                                           \
		if (LEAT_UNLIKELY(bad_ != LEAT_BAD_NONE))                              \
			return bad_;                                                   \
	} while (0)
#define STORE(member, value, call)                                                     \
	READ(call);                                                                    \
	columns[op->slot].member[row] = (value);                                       \
	columns[op->slot].null[row] = 0;                                               \
	break
#define SKIP(call)                                                                     \
	READ(call);                                                                    \
	break

enum leat_bad leat_decoder_run(const struct leat_decoder *decoder, struct leat_bytes body, struct leat_column *columns, size_t row,
			       struct leat_arena *arena)
{
	static const uint8_t nothing[1];
	const uint8_t *start = body.data ? body.data : nothing;
	struct leat_cursor cursor = { start, start + body.length };
	struct leat_budget budget = leat_budget(body);
	int64_t integer;
	size_t index;
	uint8_t boolean;
	float real;
	double wide;
	struct leat_bytes bytes;

	for (const struct leat_op *op = decoder->ops;; op++) {
		switch (op->code) {
		case LEAT_OP_END:
			return cursor.at == cursor.end ? LEAT_BAD_NONE : LEAT_BAD_AVRO_TRAILING;
		case LEAT_OP_BOOL:
			STORE(bools, boolean, leat_cursor_bool(&cursor, &boolean));
		case LEAT_OP_INT:
			STORE(ints, integer, leat_cursor_int(&cursor, &integer));
		case LEAT_OP_LONG:
			STORE(ints, integer, leat_cursor_long(&cursor, &integer));
		case LEAT_OP_FLOAT:
			STORE(floats, real, leat_cursor_float(&cursor, &real));
		case LEAT_OP_DOUBLE:
			STORE(doubles, wide, leat_cursor_double(&cursor, &wide));
		case LEAT_OP_TEXT:
			STORE(bytes, bytes, leat_cursor_text(&cursor, &bytes));
		case LEAT_OP_BYTES:
			STORE(bytes, bytes, leat_cursor_bytes(&cursor, &bytes));
		case LEAT_OP_ENUM:
			STORE(ints, integer, read_enum(&cursor, op->table, &integer));
		case LEAT_OP_NULLABLE:
			READ(leat_cursor_index(&cursor, 2, LEAT_BAD_AVRO_UNION, &index));
			if (index == op->extra) {
				store_null(&columns[op->slot], row, op->size);
				op++;
			}
			break;
		case LEAT_OP_UNION:
			READ(leat_cursor_index(&cursor, op->table->count, LEAT_BAD_AVRO_UNION, &index));
			op = decoder->ops + op->table->to[index] - 1;
			break;
		case LEAT_OP_JUMP:
			op = decoder->ops + op->number - 1;
			break;
		case LEAT_OP_SKIP_INT:
			SKIP(leat_cursor_int(&cursor, &integer));
		case LEAT_OP_SKIP_LONG:
			SKIP(leat_cursor_long(&cursor, &integer));
		case LEAT_OP_SKIP_FIXED:
			SKIP(leat_cursor_fixed(&cursor, op->number));
		case LEAT_OP_SKIP_BYTES:
			SKIP(leat_cursor_bytes(&cursor, &bytes));
		case LEAT_OP_SKIP_NULLABLE:
			READ(leat_cursor_index(&cursor, 2, LEAT_BAD_AVRO_UNION, &index));
			op += index == op->extra;
			break;
		default: {
			struct place place = { cursor, &columns[op->slot], row, budget, arena };
			READ(step_seldom(op, &place));
			cursor = place.cursor;
			budget = place.budget;
		}
		}
	}
}
