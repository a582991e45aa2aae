/* What the codec's tests share: schemas from text that must parse, columns for them, and a row as one line of text to compare whole. */
#ifndef TESTS_SCHEMAS_GIVEN_H
#define TESTS_SCHEMAS_GIVEN_H

#include "schemas/codec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define BODY(text) ((struct leat_bytes){ (const uint8_t *)(text), sizeof(text) - 1 })
enum { GIVEN_FIELDS = 64 };

static inline struct leat_schema *given_schema(const char *json)
{
	struct leat_schema *schema;
	struct leat_fault fault = { 0 };
	if (leat_schema_parse(&schema, json, strlen(json), "test", &fault) < 0)
		fail_msg("%s in %s", fault.text, json);
	return schema;
}

/* Every field of a schema in the slot of its index. */
struct given_table {
	const struct leat_field *fields[GIVEN_FIELDS];
	int slots[GIVEN_FIELDS];
	struct leat_column *columns;
	size_t count;
};

static inline void given_table_open(struct given_table *table, const struct leat_schema *schema)
{
	table->count = leat_schema_count(schema);
	assert_true(table->count <= GIVEN_FIELDS);
	for (size_t i = 0; i < table->count; i++) {
		table->fields[i] = leat_schema_field(schema, i);
		table->slots[i] = (int)i;
	}
	assert_int_equal(leat_columns_make(&table->columns, table->fields, table->count), 0);
}

static inline void given_table_close(struct given_table *table)
{
	leat_columns_free(table->columns, table->count);
}

static inline void show_text(struct leat_buffer *out, struct leat_bytes text)
{
	for (size_t i = 0; i < text.length; i++)
		if (text.data[i] < 0x20 || text.data[i] > 0x7e)
			assert_int_equal(leat_buffer_printf(out, "\\%02x", text.data[i]), 0);
		else
			assert_int_equal(leat_buffer_append(out, &text.data[i], 1), 0);
}

static inline void show_list(struct leat_buffer *out, const struct leat_list *list, uint8_t type)
{
	leat_buffer_printf(out, "[");
	for (uint32_t i = 0; i < list->count; i++) {
		leat_buffer_printf(out, i ? "," : "");
		if (type == LEAT_STRINGS)
			show_text(out, ((const struct leat_bytes *)list->items)[i]);
		else
			leat_buffer_printf(out, "%.9g", (double)((const float *)list->items)[i]);
	}
	leat_buffer_printf(out, "]");
}

static inline void show_value(struct leat_buffer *out, const struct leat_field *field, const struct leat_column *column, size_t row)
{
	static const uint8_t zeros[16];
	if (column->null[row]) {
		size_t size = leat_type_size(field->type);
		assert_memory_equal((const uint8_t *)column->data + row * size, zeros, size);
		leat_buffer_printf(out, "null");
	} else if (field->type == LEAT_BOOL)
		leat_buffer_printf(out, "%s", column->bools[row] ? "true" : "false");
	else if (field->type == LEAT_INT)
		leat_buffer_printf(out, "%lld", (long long)column->ints[row]);
	else if (field->type == LEAT_ENUM)
		leat_buffer_printf(out, "%s", field->symbols[column->ints[row]]);
	else if (field->type == LEAT_FLOAT)
		leat_buffer_printf(out, "%.9g", (double)column->floats[row]);
	else if (field->type == LEAT_DOUBLE)
		leat_buffer_printf(out, "%.17g", column->doubles[row]);
	else if (field->type == LEAT_STRING || field->type == LEAT_BYTES)
		show_text(out, column->bytes[row]);
	else
		show_list(out, &column->lists[row], field->type);
}

/* "name=value name=value", from malloc. */
static inline char *show_row(const struct given_table *table, size_t row)
{
	struct leat_buffer out = { 0 };
	for (size_t i = 0; i < table->count; i++) {
		leat_buffer_printf(&out, "%s%s=", i ? " " : "", table->fields[i]->name);
		show_value(&out, table->fields[i], &table->columns[i], row);
	}
	assert_int_equal(leat_buffer_append(&out, "", 1), 0);
	return (char *)out.data;
}

#endif
