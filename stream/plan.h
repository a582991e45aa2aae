/* What plan.c and its neighbours share while a pipeline is checked. */
#ifndef LEAT_PLAN_H
#define LEAT_PLAN_H

#include "stream/expression.h"
#include "stream/pipeline.h"

/* Slot of the new field, or LEAT_ELIMIT. */
int leat_layout_add(struct leat_layout *layout, const struct leat_field *field);
/* The stream whose rows come through @from. */
int leat_plan_stream_of(const struct leat_pipeline *pipeline, const struct leat_from *from);
/* What is left when nodes and sinks are placed; refuses columns that an operator rewrites while something beside it reads them. */
int leat_plan_finish(struct leat_pipeline *pipeline, struct leat_fault *fault);
/* The pipeline frees @expression, also when this fails. LEAT_ENOMEM. */
int leat_pipeline_own_expression(struct leat_pipeline *pipeline, struct leat_expression *expression);

#endif
