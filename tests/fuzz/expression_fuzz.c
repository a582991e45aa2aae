/*
 * Expressions: no text crashes, reads out of bounds or outlasts its limits, and what compiles gives clean columns.
 * The first byte chooses the rows, the second the wanted types, the rest is the text.
 */
#include "stream/expression.h"
#include "stream/operator.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const symbols[] = { "VIEW", "CLICK", "PURCHASE", NULL };
static const struct leat_layout layout = {
	.count = 10,
	.fields = {
		{ .name = "b", .type = LEAT_BOOL, .width = 1 }, { .name = "i", .type = LEAT_INT, .width = 1 }, { .name = "e", .type = LEAT_ENUM, .width = 1, .symbols = symbols },
		{ .name = "f", .type = LEAT_FLOAT, .width = 1 }, { .name = "d", .type = LEAT_DOUBLE, .width = 1 }, { .name = "s", .type = LEAT_STRING, .width = 1 },
		{ .name = "y", .type = LEAT_BYTES, .width = 1 }, { .name = "v", .type = LEAT_VECTOR, .width = 3 }, { .name = "l", .type = LEAT_STRINGS, .width = 1 },
		{ .name = "w", .type = LEAT_FLOATS, .width = 1 },
	},
};

enum { ROWS = 24, SIZE_MOST = 16 };
static uint8_t nulls[10][LEAT_BATCH_MAX];
static _Alignas(16) uint8_t values[10][LEAT_BATCH_MAX * SIZE_MOST];
static struct leat_column columns[10];

/* Values that the decoder would let through: views of real memory, bools of 0 and 1; numbers of any bits. */
static void fill(void)
{
	static const struct leat_bytes items[] = { { (const uint8_t *)"VIEW", 4 }, { (const uint8_t *)"", 0 }, { (const uint8_t *)"\303\251t\303\251", 5 } };
	static const float weights[] = { 1, -2, 3e38f };
	for (int slot = 0; slot < 10; slot++)
		columns[slot] = (struct leat_column){ .type = layout.fields[slot].type, .width = layout.fields[slot].width, .null = nulls[slot], .data = values[slot] };
	for (size_t i = 0; i < LEAT_BATCH_MAX; i++) {
		uint64_t bits = leat_mix(i);
		for (int slot = 0; slot < 10; slot++)
			nulls[slot][i] = leat_mix(bits + (uint64_t)slot) % 7 == 0;
		columns[0].bools[i] = bits & 1;
		columns[1].ints[i] = i % 3 ? (int64_t)bits >> (i % 64) : i % 2 ? INT64_MIN : INT64_MAX;
		columns[2].ints[i] = (int64_t)(bits % 4) - (i % 11 == 0);
		memcpy(&columns[3].floats[i], &bits, sizeof(float));
		memcpy(&columns[4].doubles[i], &bits, sizeof(double));
		columns[5].bytes[i] = columns[6].bytes[i] = items[bits % 3];
		columns[7].floats[3 * i] = (float)(bits % 10);
		columns[8].lists[i] = (struct leat_list){ items, (uint32_t)(bits % 4) };
		columns[9].lists[i] = (struct leat_list){ weights, (uint32_t)(bits % 4) };
	}
}

static void read_slot(void *self, int slot)
{
	LEAT_ASSERT(slot >= 0 && slot < 10);
	*(size_t *)self += 1;
}

/* Reads what a consumer would read. */
static uint64_t consume(const struct leat_column *column, size_t row)
{
	uint64_t sum = 0;
	if (column->null[row])
		return 1;
	if (column->type == LEAT_BOOL)
		LEAT_ASSERT(column->bools[row] <= 1);
	if (column->type == LEAT_STRING || column->type == LEAT_BYTES)
		for (size_t i = 0; i < column->bytes[row].length; i++)
			sum += column->bytes[row].data[i];
	if (column->type == LEAT_FLOATS)
		for (size_t i = 0; i < column->lists[row].count; i++)
			sum += ((const uint8_t *)column->lists[row].items)[i * sizeof(float)];
	return sum;
}

static void run(const struct leat_expression *expression, uint8_t choice)
{
	static struct leat_arena *arena;
	uint16_t row[ROWS];
	struct leat_batch batch = { .row = row, .columns = columns };
	size_t reads = 0;
	if (!arena && leat_arena_open(&arena, 1 << 16) < 0)
		abort();
	leat_expression_reads(expression, read_slot, &reads);
	for (size_t i = 0; i < ROWS && batch.count * (1 + choice % 21) < LEAT_BATCH_MAX; i++)
		row[batch.count++] = (uint16_t)(i * (1 + choice % 21));
	const struct leat_column *column = leat_expression_run(expression, &batch, arena);
	for (size_t at = 0; column && at < batch.count; at++)
		LEAT_ASSERT(consume(column, row[at]) != UINT64_MAX);     /* keeps the reads from being left out */
	leat_arena_reset(arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct leat_expression *expression = NULL;
	struct leat_fault fault = { 0 };
	if (!columns[0].data)
		fill();
	if (size < 2 || size > 8192)
		return 0;
	char *text = malloc(size - 1);
	memcpy(text, data + 2, size - 2);
	text[size - 2] = '\0';
	int rc = leat_expression_compile(&expression, text, &layout, data[1] & 1 ? 0 : LEAT_TYPE_BIT(1 + (data[1] >> 1) % (LEAT_TYPES - 1)), &fault);
	LEAT_ASSERT((rc == 0) == (expression != NULL));
	LEAT_ASSERT(rc == 0 || strncmp(fault.text, "column ", 7) == 0);
	if (rc == 0)
		run(expression, data[0]);
	leat_expression_free(expression);
	free(text);
	return 0;
}
