/* Values from column to column. */
#include "operators/model/cells.h"

#include <string.h>

/* Bytes of one value. */
static size_t size_of(const struct leat_column *column)
{
	static const uint8_t sizes[LEAT_TYPES] = {
		[LEAT_BOOL] = 1, [LEAT_INT] = 8, [LEAT_ENUM] = 8, [LEAT_FLOAT] = 4, [LEAT_DOUBLE] = 8, [LEAT_STRING] = sizeof(struct leat_bytes),
		[LEAT_BYTES] = sizeof(struct leat_bytes), [LEAT_VECTOR] = 4, [LEAT_STRINGS] = sizeof(struct leat_list), [LEAT_FLOATS] = sizeof(struct leat_list),
	};
	return (size_t)sizes[column->type] * column->width;
}

static uint8_t *at(const struct leat_column *column, size_t row, size_t size)
{
	return (uint8_t *)column->data + row * size;
}

void leat_cells_copy(struct leat_column *to, size_t to_row, const struct leat_column *from, size_t from_row)
{
	size_t size = size_of(to);
	to->null[to_row] = from->null[from_row];
	memcpy(at(to, to_row, size), at(from, from_row, size), size);
}

void leat_cells_clear(struct leat_column *to, size_t row)
{
	size_t size = size_of(to);
	to->null[row] = 1;
	memset(at(to, row, size), 0, size);
}

void leat_cells_copy_rows(struct leat_column *to, const struct leat_column *from, const uint16_t *rows, size_t count)
{
	size_t size = size_of(to);
	if (size == 8) {        /* the common sizes without a call per value */
		for (size_t i = 0; i < count; i++)
			to->ints[rows[i]] = from->ints[rows[i]];
	} else if (size == sizeof(struct leat_bytes)) {
		for (size_t i = 0; i < count; i++)
			to->bytes[rows[i]] = from->bytes[rows[i]];
	} else {
		for (size_t i = 0; i < count; i++)
			memcpy(at(to, rows[i], size), at(from, rows[i], size), size);
	}
	for (size_t i = 0; i < count; i++)
		to->null[rows[i]] = from->null[rows[i]];
}
