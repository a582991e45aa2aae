/* What plan.c and its neighbours share while a pipeline is checked. */
#ifndef LEAT_PLAN_H
#define LEAT_PLAN_H

#include "stream/expression.h"
#include "stream/pipeline.h"

/* One operator while it is planned: what the functions leat_plan_* of operator.h work on. */
struct leat_plan {
	struct resolve *resolve;
	struct leat_pipeline *pipeline;
	struct leat_node *node;
	const struct leat_yaml *with, *map;
	struct leat_layout *visible;
};

/* The node's table @index joins the row of its key. LEAT_ECONFIG. */
int leat_plan_table_add(struct leat_plan *plan, size_t index);
/* What the node's durable tables hang on, into node->meaning; behind the tables. LEAT_ENOMEM. */
int leat_plan_meaning(struct leat_plan *plan);
/* When there are shared tables: an input of deltas, and a row set for the rows that a task owns. LEAT_ECONFIG, LEAT_ENOMEM. */
int leat_plan_shared_add(struct leat_pipeline *pipeline, struct leat_fault *fault);
/* What is left when nodes and sinks are placed; refuses columns that an operator rewrites while something beside it reads them. */
int leat_plan_finish(struct leat_pipeline *pipeline, struct leat_fault *fault);
/* The pipeline frees @expression, also when this fails. LEAT_ENOMEM. */
int leat_pipeline_own_expression(struct leat_pipeline *pipeline, struct leat_expression *expression);

#endif
