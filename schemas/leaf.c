/* Fields with their slots, and values on their way into columns, for the decoders of text. */
#include "schemas/leaf.h"

#include <float.h>
#include <math.h>

/* In the order in which the schema was flattened. */
static void fill(struct leat_leaves *leaves, const struct leat_avro_type *record, const struct leat_schema *reader, const int *slots)
{
	for (size_t i = 0; i < record->count; i++) {
		const struct leat_avro_type *type = record->fields[i].type;
		uint8_t null_branch;
		if (type->kind == LEAT_AVRO_RECORD) {
			fill(leaves, type, reader, slots);
			continue;
		}
		size_t index = leaves->count++;
		const struct leat_avro_type *inner = leat_avro_nullable(type, &null_branch);
		struct leat_leaf *leaf = &leaves->leaf[index];
		leaf->field = leat_schema_field(reader, index);
		leaf->type = inner ? inner : type;
		leaf->slot = slots[index];
		leaf->time_divisor = leat_schema_time_divisor(reader, index);
		leaf->size = leat_type_size(leaf->field->type);
		leaf->has_default = leat_schema_default(reader, index, &leaf->value, &leaf->default_null);
	}
}

int leat_leaves_make(struct leat_leaves **out, const struct leat_schema *reader, const int *slots)
{
	size_t count = leat_schema_count(reader);
	struct leat_leaves *leaves = leat_calloc(1, sizeof *leaves + count * sizeof leaves->leaf[0]);
	*out = leaves;
	if (!leaves)
		return LEAT_ENOMEM;
	fill(leaves, leat_schema_type(reader), reader, slots);
	LEAT_ASSERT(leaves->count == count);
	return 0;
}

bool leat_leaf_bool(const struct leat_leaf *leaf, struct leat_column *column, size_t row, bool value)
{
	if (leaf->field->type != LEAT_BOOL)
		return false;
	column->bools[row] = value;
	column->null[row] = 0;
	return true;
}

bool leat_leaf_int(const struct leat_leaf *leaf, struct leat_column *column, size_t row, int64_t value)
{
	if (leaf->field->type != LEAT_INT)
		return leat_leaf_real(leaf, column, row, (double)value);
	if (leaf->type->kind == LEAT_AVRO_INT && (value < INT32_MIN || value > INT32_MAX))
		return false;
	/* Down, also before 1970: as the binary decoder does. */
	column->ints[row] = leaf->time_divisor == 1 ? value : value / leaf->time_divisor - (value % leaf->time_divisor < 0);
	column->null[row] = 0;
	return true;
}

bool leat_leaf_real(const struct leat_leaf *leaf, struct leat_column *column, size_t row, double value)
{
	double bound = leaf->field->type == LEAT_FLOAT ? (double)FLT_MAX : DBL_MAX;
	if (!(fabs(value) <= bound))
		return false;
	if (leaf->field->type == LEAT_FLOAT)
		column->floats[row] = (float)value;
	else if (leaf->field->type == LEAT_DOUBLE)
		column->doubles[row] = value;
	else
		return false;
	column->null[row] = 0;
	return true;
}

static long find_symbol(const struct leat_avro_type *type, struct leat_bytes symbol)
{
	for (size_t i = 0; i < type->count; i++)
		if (leat_bytes_equal(leat_text(type->symbols[i]), symbol))
			return (long)i;
	return type->symbol_default;
}

bool leat_leaf_symbol(const struct leat_leaf *leaf, struct leat_column *column, size_t row, struct leat_bytes symbol)
{
	long index = leaf->field->type == LEAT_ENUM ? find_symbol(leaf->type, symbol) : -1;
	if (index < 0)
		return false;
	column->ints[row] = index;
	column->null[row] = 0;
	return true;
}

bool leat_leaf_bytes(const struct leat_leaf *leaf, struct leat_column *column, size_t row, struct leat_bytes value)
{
	if (leaf->field->type != LEAT_STRING && leaf->field->type != LEAT_BYTES)
		return false;
	column->bytes[row] = value;
	column->null[row] = 0;
	return true;
}

bool leat_leaf_list(const struct leat_leaf *leaf, struct leat_column *column, size_t row, struct leat_list list)
{
	if (leaf->field->type != LEAT_STRINGS && leaf->field->type != LEAT_FLOATS)
		return false;
	column->lists[row] = list;
	column->null[row] = 0;
	return true;
}

bool leat_leaf_null(const struct leat_leaf *leaf, struct leat_column *column, size_t row)
{
	if (!leaf->field->nullable)
		return false;
	memset((uint8_t *)column->data + row * leaf->size, 0, leaf->size);
	column->null[row] = 1;
	return true;
}

bool leat_leaf_absent(const struct leat_leaf *leaf, struct leat_column *column, size_t row)
{
	if (!leaf->has_default)
		return leat_leaf_null(leaf, column, row);
	memcpy((uint8_t *)column->data + row * leaf->size, leaf->value, leaf->size);
	column->null[row] = leaf->default_null;
	return true;
}

static void say_type(const struct leat_leaf *leaf, char *text, size_t size)
{
	const struct leat_avro_type *type = leaf->type;
	size_t used = (size_t)snprintf(text, size, "%s", leat_avro_kind_name(type->kind));
	if (type->kind == LEAT_AVRO_ARRAY)
		snprintf(text, size, "an array of %s", leaf->field->type == LEAT_STRINGS ? "strings" : "numbers");
	for (size_t i = 0; type->kind == LEAT_AVRO_ENUM && i < type->count && used < size; i++)
		used += (size_t)snprintf(text + used, size - used, "%s%s", i ? ", " : " of ", type->symbols[i]);
}

void leat_misfit_say(const struct leat_misfit *misfit, char *text, size_t size)
{
	char type[120];
	if (misfit->any && !misfit->leaf && misfit->object)
		snprintf(text, size, "'%s' must be an object", misfit->object);
	else if (misfit->any && !misfit->leaf)
		snprintf(text, size, "the body must be an object");
	if (!misfit->any || !misfit->leaf)
		return;
	say_type(misfit->leaf, type, sizeof type);
	if (misfit->absent)
		snprintf(text, size, "'%s' is missing", misfit->leaf->field->name);
	else
		snprintf(text, size, "'%s' must be %s%s", misfit->leaf->field->name, type, misfit->leaf->field->nullable ? " or null" : "");
}

struct leat_column *leat_leaves_scratch(const struct leat_leaves *leaves, struct leat_arena *arena)
{
	size_t count = 0;
	for (size_t i = 0; i < leaves->count; i++)
		count = LEAT_MAX(count, (size_t)(leaves->leaf[i].slot + 1));
	struct leat_column *columns = leat_arena_take(arena, count * sizeof *columns);
	for (size_t i = 0; columns && i < leaves->count; i++) {
		const struct leat_leaf *leaf = &leaves->leaf[i];
		if (leaf->slot < 0)
			continue;
		uint8_t *memory = leat_arena_take(arena, leaf->size + 1);
		if (!memory)
			return NULL;
		columns[leaf->slot] = (struct leat_column){ .type = leaf->field->type, .width = 1, .data = memory, .null = memory + leaf->size };
	}
	return columns;
}
