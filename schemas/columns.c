/* What a row of each column type takes, and a set of columns from malloc. */
#include "schemas/codec.h"

static const struct {
	const char *name;
	size_t size;
} types[LEAT_TYPES] = {
	[LEAT_NONE] = { "none", 0 },
	[LEAT_BOOL] = { "bool", sizeof(uint8_t) },
	[LEAT_INT] = { "int", sizeof(int64_t) },
	[LEAT_ENUM] = { "enum", sizeof(int64_t) },
	[LEAT_FLOAT] = { "float", sizeof(float) },
	[LEAT_DOUBLE] = { "double", sizeof(double) },
	[LEAT_STRING] = { "string", sizeof(struct leat_bytes) },
	[LEAT_BYTES] = { "bytes", sizeof(struct leat_bytes) },
	[LEAT_VECTOR] = { "vector", sizeof(float) },
	[LEAT_STRINGS] = { "strings", sizeof(struct leat_list) },
	[LEAT_FLOATS] = { "floats", sizeof(struct leat_list) },
};

size_t leat_type_size(uint8_t type)
{
	LEAT_ASSERT(type < LEAT_TYPES);
	return types[type].size;
}

const char *leat_type_name(uint8_t type)
{
	LEAT_ASSERT(type < LEAT_TYPES);
	return types[type].name;
}

static int column_make(struct leat_column *column, const struct leat_field *field)
{
	column->type = field->type;
	column->width = LEAT_MAX(field->width, 1);
	column->null = leat_calloc(LEAT_BATCH_MAX, 1);
	column->data = leat_aligned(64, LEAT_BATCH_MAX * leat_type_size(field->type) * column->width);
	return column->null && column->data ? 0 : LEAT_ENOMEM;
}

int leat_columns_make(struct leat_column **out, const struct leat_field *const *fields, size_t count)
{
	struct leat_column *columns = leat_calloc(count, sizeof *columns);
	int rc = columns ? 0 : LEAT_ENOMEM;

	*out = NULL;
	for (size_t i = 0; i < count && rc == 0; i++)
		rc = column_make(&columns[i], fields[i]);
	if (rc == 0)
		*out = columns;
	else
		leat_columns_free(columns, count);
	return rc;
}

void leat_columns_free(struct leat_column *columns, size_t count)
{
	for (size_t i = 0; columns && i < count; i++) {
		leat_free(columns[i].null);
		leat_free(columns[i].data);
	}
	leat_free(columns);
}
