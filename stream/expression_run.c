/* Expressions: a run over a batch, one operation after the other, each over all rows. */
#include "stream/expression_program.h"

/* Registers of most expressions fit here, so that they stay in the cache from one expression to the next. */
enum { WORKSPACE_NEAR = 40 << 10 };

/* A span is worth its unasked rows up to this many times the rows asked for. */
enum { SPAN_WORTH = 4 };

static void combine_nulls(const struct expression_rows *rows, uint8_t *restrict null, const struct expression_operand *operand, bool first)
{
	const uint8_t *restrict from = operand->column.null;
	if (operand->mask == 0) {
		uint8_t all = from[0] != 0;
		if (first)
			EXPRESSION_EACH_NEAR(rows, i, null[i] = all);
		else if (all)
			EXPRESSION_EACH_NEAR(rows, i, null[i] = 1);
	} else if (first) {
		EXPRESSION_EACH_NEAR(rows, i, null[i] = from[i] != 0);
	} else {
		EXPRESSION_EACH_NEAR(rows, i, null[i] |= from[i] != 0);
	}
}

int expression_apply(const struct expression_rows *rows, struct leat_column *out, const struct expression_operand *arguments, const struct expression_call *call)
{
	for (size_t i = 0; i < call->count && !call->function->own_nulls; i++)
		combine_nulls(rows, out->null, &arguments[i], i == 0);
	return call->function->run(rows, out, arguments, call);
}

static struct expression_operand operand_of(const struct expression_reference *reference, const struct leat_batch *in, uint8_t *workspace)
{
	if (reference->place == EXPRESSION_AT_SLOT)
		return (struct expression_operand){ in->columns[reference->at], EXPRESSION_ALL };
	if (reference->place == EXPRESSION_AT_CONSTANT)
		return (struct expression_operand){ *reference->constant, 0 };
	LEAT_ASSERT(reference->place == EXPRESSION_AT_REGISTER);
	return (struct expression_operand){
		.column = { .type = reference->type, .width = 1, .null = workspace + reference->at,
			    .data = workspace + reference->at + LEAT_BATCH_MAX },
		.mask = EXPRESSION_ALL,
	};
}

static int run_operation(const struct expression_operation *operation, const struct expression_rows *rows, const struct leat_batch *in, uint8_t *workspace,
			 struct leat_column *result)
{
	struct expression_operand arguments[EXPRESSION_ARGUMENTS_MAX];
	for (size_t i = 0; i < operation->call.count; i++)
		arguments[i] = operand_of(&operation->arguments[i], in, workspace);
	if (operation->out.place == EXPRESSION_AT_RESULT)
		return expression_apply(rows, result, arguments, &operation->call);
	struct leat_column out = operand_of(&operation->out, in, workspace).column;
	return expression_apply(rows, &out, arguments, &operation->call);
}

/* The bytes of absent values are zero by contract; kernels do not care. */
static void zero_nulls(const struct expression_rows *rows, struct leat_column *column)
{
	uint8_t any = 0;
	const uint8_t *null = column->null;
	size_t size = expression_type_size(column->type);
	EXPRESSION_EACH_NEAR(rows, i, any |= null[i]);
	for (size_t at = 0; any && at < rows->count; at++)
		if (null[rows->row[at]])
			memset((uint8_t *)column->data + rows->row[at] * size, 0, size);
}

static struct leat_column *take_result(uint8_t type, struct leat_arena *arena)
{
	struct leat_column *column = leat_arena_take(arena, sizeof *column);
	uint8_t *bytes = leat_arena_take(arena, LEAT_BATCH_MAX * (1 + expression_type_size(type)));
	if (!column || !bytes)
		return NULL;
	*column = (struct leat_column){ .type = type, .width = 1, .null = bytes, .data = bytes + LEAT_BATCH_MAX };
	return column;
}

static struct expression_rows rows_of(const struct leat_batch *in, struct leat_arena *arena)
{
	struct expression_rows rows = { .row = in->row, .count = in->count, .arena = arena };
	if (in->count == 0)
		return rows;
	rows.first = in->row[0];
	rows.end = (size_t)in->row[in->count - 1] + 1;
	LEAT_ASSERT(rows.first < rows.end && rows.end <= LEAT_BATCH_MAX);
	rows.span = rows.end - rows.first <= SPAN_WORTH * rows.count;
	return rows;
}

const struct leat_column *leat_expression_run(const struct leat_expression *expression, const struct leat_batch *in, struct leat_arena *arena)
{
	_Alignas(64) uint8_t near[WORKSPACE_NEAR];
	if (expression->count == 0)
		return &in->columns[expression->slots[0]];
	struct expression_rows rows = rows_of(in, arena);
	struct leat_column *result = take_result(expression->type, arena);
	uint8_t *workspace = expression->workspace <= sizeof near ? near : leat_arena_take(arena, expression->workspace);
	if (!result || !workspace)
		return NULL;
	for (size_t i = 0; i < expression->count; i++)
		if (run_operation(&expression->operations[i], &rows, in, workspace, result) < 0)
			return NULL;
	zero_nulls(&rows, result);
	return result;
}
