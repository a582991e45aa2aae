/* For the fuzz targets of the decoders of text: a schema with every type, one decoder's row, and what every accepted row has to fulfil. */
#ifndef LEAT_TESTS_TEXT_FUZZ_H
#define LEAT_TESTS_TEXT_FUZZ_H

#include "schemas/codec.h"

#include <math.h>

#define FUZZ_SCHEMA                                                                                                    \
	"{\"type\":\"record\",\"name\":\"T\",\"fields\":["                                                             \
	"{\"name\":\"b\",\"type\":\"boolean\",\"default\":true},"                                                      \
	"{\"name\":\"i\",\"type\":\"int\",\"default\":0},"                                                             \
	"{\"name\":\"l\",\"type\":[\"null\",\"long\"]},"                                                               \
	"{\"name\":\"f\",\"type\":\"float\",\"default\":0},"                                                           \
	"{\"name\":\"d\",\"type\":[\"null\",\"double\"]},"                                                             \
	"{\"name\":\"s\",\"type\":[\"null\",\"string\"]},"                                                             \
	"{\"name\":\"y\",\"type\":\"bytes\",\"default\":\"\"},"                                                        \
	"{\"name\":\"e\",\"type\":[\"null\",{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"A\",\"B\"]}]},"           \
	"{\"name\":\"ss\",\"type\":{\"type\":\"array\",\"items\":\"string\"},\"default\":[]},"                         \
	"{\"name\":\"fs\",\"type\":[\"null\",{\"type\":\"array\",\"items\":\"float\"}]},"                              \
	"{\"name\":\"r\",\"type\":{\"type\":\"record\",\"name\":\"R\",\"fields\":["                                    \
	"{\"name\":\"a\",\"type\":\"long\",\"default\":1}]}}]}"

enum { FUZZ_FIELDS = 11 };
struct text_fuzz {
	struct leat_schema *schema;
	struct leat_column *columns;
	struct leat_arena *arena;
	const struct leat_field *fields[FUZZ_FIELDS];
	int slots[FUZZ_FIELDS];
};

static inline void text_fuzz_open(struct text_fuzz *fuzz)
{
	LEAT_ASSERT(leat_schema_parse(&fuzz->schema, FUZZ_SCHEMA, sizeof FUZZ_SCHEMA - 1, "fuzz", NULL) == 0);
	LEAT_ASSERT(leat_schema_count(fuzz->schema) == FUZZ_FIELDS);
	for (int i = 0; i < FUZZ_FIELDS; i++) {
		fuzz->fields[i] = leat_schema_field(fuzz->schema, (size_t)i);
		fuzz->slots[i] = i;
	}
	LEAT_ASSERT(leat_columns_make(&fuzz->columns, fuzz->fields, FUZZ_FIELDS) == 0);
	LEAT_ASSERT(leat_arena_open(&fuzz->arena, 4096) == 0);
}

static inline void text_fuzz_judge_list(const struct leat_column *column, struct leat_list list)
{
	for (uint32_t i = 0; i < list.count; i++)
		LEAT_ASSERT(column->type == LEAT_STRINGS ? leat_utf8_valid(((const struct leat_bytes *)list.items)[i])
							 : isfinite(((const float *)list.items)[i]));
}

static inline void text_fuzz_judge_column(const struct leat_column *column, const struct leat_field *field)
{
	switch (column->type) {
	case LEAT_BOOL:
		LEAT_ASSERT(column->bools[0] <= 1);
		break;
	case LEAT_ENUM:
		LEAT_ASSERT(column->ints[0] >= 0 && column->ints[0] < 2);
		break;
	case LEAT_FLOAT:
		LEAT_ASSERT(isfinite(column->floats[0]));
		break;
	case LEAT_DOUBLE:
		LEAT_ASSERT(isfinite(column->doubles[0]));
		break;
	case LEAT_STRING:
		LEAT_ASSERT(column->null[0] || leat_utf8_valid(column->bytes[0]));
		break;
	case LEAT_STRINGS:
	case LEAT_FLOATS:
		text_fuzz_judge_list(column, column->lists[0]);
		break;
	}
	LEAT_ASSERT(column->null[0] <= field->nullable);
}

static inline void text_fuzz_judge(const struct text_fuzz *fuzz)
{
	for (size_t i = 0; i < FUZZ_FIELDS; i++)
		text_fuzz_judge_column(&fuzz->columns[i], fuzz->fields[i]);
	LEAT_ASSERT(fuzz->columns[1].ints[0] >= INT32_MIN && fuzz->columns[1].ints[0] <= INT32_MAX);
}

#endif
