/* For tests of the decoders of text: a schema with every type, columns for it, and a row shown as one line of text. */
#ifndef LEAT_TESTS_TEXT_HARNESS_H
#define LEAT_TESTS_TEXT_HARNESS_H

#include "schemas/codec.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define EVERY_TYPE                                                                                                     \
	"{\"type\":\"record\",\"name\":\"T\",\"namespace\":\"x.y\",\"fields\":["                                       \
	"{\"name\":\"b\",\"type\":\"boolean\",\"default\":true},"                                                      \
	"{\"name\":\"i\",\"type\":\"int\",\"default\":-7},"                                                            \
	"{\"name\":\"l\",\"type\":\"long\",\"default\":8},"                                                            \
	"{\"name\":\"f\",\"type\":\"float\",\"default\":0.5},"                                                         \
	"{\"name\":\"d\",\"type\":\"double\",\"default\":1},"                                                          \
	"{\"name\":\"s\",\"type\":\"string\",\"default\":\"none\"},"                                                   \
	"{\"name\":\"y\",\"type\":\"bytes\",\"default\":\"\\u00ff\"},"                                                 \
	"{\"name\":\"e\",\"type\":{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"A\",\"B\"]},\"default\":\"B\"},"    \
	"{\"name\":\"ts\",\"type\":{\"type\":\"long\",\"logicalType\":\"timestamp-micros\"},\"default\":1999},"        \
	"{\"name\":\"ns\",\"type\":[\"null\",\"string\"]},"                                                            \
	"{\"name\":\"nd\",\"type\":[\"null\",\"double\"],\"default\":null},"                                           \
	"{\"name\":\"ne\",\"type\":[\"E\",\"null\"],\"default\":\"A\"},"                                               \
	"{\"name\":\"ss\",\"type\":{\"type\":\"array\",\"items\":\"string\"},\"default\":[\"p\",\"q\"]},"              \
	"{\"name\":\"fs\",\"type\":{\"type\":\"array\",\"items\":\"float\"},\"default\":[]},"                          \
	"{\"name\":\"nf\",\"type\":[\"null\",{\"type\":\"array\",\"items\":\"double\"}]},"                             \
	"{\"name\":\"r\",\"type\":{\"type\":\"record\",\"name\":\"R\",\"fields\":["                                    \
	"{\"name\":\"a\",\"type\":\"int\"},{\"name\":\"o\",\"type\":\"string\",\"default\":\"own\"}]},\"default\":{\"a\":3}}" \
	"]}"
#define EVERY_DEFAULT "b=t i=-7 l=8 f=0.5 d=1 s'none' y#ff e=B ts=1 ns- nd- ne=A ss['p''q'] fs[] nf- r.a=3 r.o'own'"

enum { FIELDS_MAX = 32 };
struct text_scene {
	struct leat_schema *schema;
	struct leat_column *columns;
	struct leat_arena *arena;
	const struct leat_field *fields[FIELDS_MAX];
	int slots[FIELDS_MAX];
	size_t count;
	struct leat_buffer shown;
};

static inline void text_open(struct text_scene *scene, const char *schema)
{
	struct leat_fault fault = { 0 };
	*scene = (struct text_scene){ 0 };
	if (leat_schema_parse(&scene->schema, schema, strlen(schema), "test", &fault) < 0)
		fail_msg("%s", fault.text);
	scene->count = leat_schema_count(scene->schema);
	assert_true(scene->count <= FIELDS_MAX);
	for (size_t i = 0; i < scene->count; i++) {
		scene->fields[i] = leat_schema_field(scene->schema, i);
		scene->slots[i] = (int)(scene->count - 1 - i);       /* not the field's own index, so that nobody confuses the two */
	}
	const struct leat_field *by_slot[FIELDS_MAX];
	for (size_t i = 0; i < scene->count; i++)
		by_slot[scene->slots[i]] = scene->fields[i];
	assert_int_equal(leat_columns_make(&scene->columns, by_slot, scene->count), 0);
	assert_int_equal(leat_arena_open(&scene->arena, 4096), 0);
}

static inline void text_close(struct text_scene *scene)
{
	leat_columns_free(scene->columns, scene->count);
	leat_arena_close(scene->arena);
	leat_schema_free(scene->schema);
	leat_buffer_free(&scene->shown);
}

/* So that what a decoder leaves alone is seen. */
static inline void text_soil(struct text_scene *scene, size_t row)
{
	for (size_t i = 0; i < scene->count; i++) {
		size_t size = leat_type_size(scene->columns[i].type);
		memset((uint8_t *)scene->columns[i].data + row * size, 0x5a, size);
		scene->columns[i].null[row] = 0x5a;
	}
}

static inline void show_text(struct leat_buffer *out, struct leat_bytes text)
{
	leat_buffer_printf(out, "'%.*s'", (int)text.length, (const char *)text.data);
}

static inline void show_list(struct leat_buffer *out, uint8_t type, struct leat_list list)
{
	leat_buffer_printf(out, "[");
	for (uint32_t i = 0; i < list.count; i++)
		if (type == LEAT_STRINGS)
			show_text(out, ((const struct leat_bytes *)list.items)[i]);
		else
			leat_buffer_printf(out, "%s%g", i ? " " : "", (double)((const float *)list.items)[i]);
	leat_buffer_printf(out, "]");
}

static inline void show_value(struct leat_buffer *out, const struct leat_field *field, const struct leat_column *column, size_t row)
{
	switch (field->type) {
	case LEAT_BOOL:
		leat_buffer_printf(out, "=%s", column->bools[row] == 1 ? "t" : column->bools[row] == 0 ? "f" : "?");
		break;
	case LEAT_INT:
		leat_buffer_printf(out, "=%" PRId64, column->ints[row]);
		break;
	case LEAT_ENUM:
		leat_buffer_printf(out, "=%s", field->symbols[column->ints[row]]);
		break;
	case LEAT_FLOAT:
		leat_buffer_printf(out, "=%.9g", (double)column->floats[row]);
		break;
	case LEAT_DOUBLE:
		leat_buffer_printf(out, "=%.17g", column->doubles[row]);
		break;
	case LEAT_STRING:
		show_text(out, column->bytes[row]);
		break;
	case LEAT_BYTES:
		leat_buffer_printf(out, "#");
		for (uint32_t i = 0; i < column->bytes[row].length; i++)
			leat_buffer_printf(out, "%02x", column->bytes[row].data[i]);
		break;
	default:
		show_list(out, field->type, column->lists[row]);
	}
}

static inline bool all_zero(const void *data, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if (((const uint8_t *)data)[i])
			return false;
	return true;
}

/* Row @row as text, borrowed until the next call: name=number name'string' name#hex name[list] name- (null). Unwanted fields are left out. */
static inline const char *text_show(struct text_scene *scene, size_t row)
{
	struct leat_buffer *out = &scene->shown;
	out->length = 0;
	for (size_t i = 0; i < scene->count; i++) {
		if (scene->slots[i] < 0)
			continue;
		const struct leat_column *column = &scene->columns[scene->slots[i]];
		size_t size = leat_type_size(column->type);
		leat_buffer_printf(out, "%s%s", out->length ? " " : "", scene->fields[i]->name);
		if (column->null[row] == 0)
			show_value(out, scene->fields[i], column, row);
		else
			leat_buffer_printf(out, "%s", column->null[row] == 1 && all_zero((uint8_t *)column->data + row * size, size) ? "-" : "-dirty");
	}
	leat_buffer_append(out, "", 1);
	return (const char *)out->data;
}

#endif
