/* map - adds columns that are computed by expressions. */
#include "operators/model/cells.h"
#include "stream/operator.h"

#define RESULTS (LEAT_TYPE_BIT(LEAT_BOOL) | LEAT_TYPE_BIT(LEAT_INT) | LEAT_TYPE_BIT(LEAT_FLOAT) | LEAT_TYPE_BIT(LEAT_DOUBLE) | LEAT_TYPE_BIT(LEAT_STRING) | \
		 LEAT_TYPE_BIT(LEAT_BYTES) | LEAT_TYPE_BIT(LEAT_STRINGS) | LEAT_TYPE_BIT(LEAT_FLOATS))

enum { MAPPED };

struct map {
	struct leat_named_expressions set;
};

static int map_process(struct leat_task *task, void *self, const struct leat_batch *in)
{
	const struct map *map = self;
	for (size_t i = 0; i < map->set.count; i++) {
		const struct leat_column *result = leat_evaluate(task, map->set.items[i].expression, in);
		if (!result)
			return LEAT_ENOMEM;
		leat_cells_copy_rows(leat_added(task, (int)i), result, in->row, in->count);
	}
	for (size_t i = 0; i < in->count; i++)
		leat_pass(task, MAPPED, in->row[i]);
	return 0;
}

static int map_plan(struct leat_plan *plan, void *self)
{
	const struct map *map = self;
	if (map->set.count == 0)
		return leat_plan_fail(plan, "set", "must name at least one column");
	for (size_t i = 0; i < map->set.count; i++) {
		int column = leat_plan_add(plan, map->set.items[i].name, leat_expression_type(map->set.items[i].expression), 1, "An expression of map.");
		if (column == LEAT_ELIMIT)
			return leat_plan_fail(plan, "set", "names too many columns; the last that fits is '%s'", map->set.items[i - 1].name);
		LEAT_TRY(column);
	}
	return 0;
}

const struct leat_operator operator_map = {
	.abi = LEAT_OPERATOR_ABI,
	.name = "map",
	.help = "Adds columns that are computed by expressions.",
	.outputs = (const struct leat_output[]){ [MAPPED] = { .name = "mapped", .help = "Every event, with the new columns." }, { 0 } },
	.options = (const struct leat_option[]){
		{ "set", LEAT_OPTION_NAMED_EXPRESSIONS, offsetof(struct map, set), .types = RESULTS,
		  .help = "The new columns' names and expressions. An expression sees the columns that were there before, not the others of this list. An enum becomes text, a vector a list." },
		{ 0 },
	},
	.self_size = sizeof(struct map),
	.plan = map_plan,
	.process = map_process,
};
