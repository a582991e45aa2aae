/* Scores that are put together from parts. Any thread. */
#ifndef LEAT_MODEL_SCORE_H
#define LEAT_MODEL_SCORE_H

#include <stddef.h>

/* Sum of weight * value: a behaviour score from counts, a recommendation score from ratings. */
double leat_score_sum(const double *weights, const double *values, size_t count);
/* behaviour * share + context * (1 - share); @share is held within 0..1. */
double leat_score_mix(double behaviour, double context, double share);

#endif
