/* Scores that are put together from parts. */
#include "operators/model/score.h"

double leat_score_sum(const double *weights, const double *values, size_t count)
{
	double sum = 0;
	for (size_t i = 0; i < count; i++)
		sum += weights[i] * values[i];
	return sum;
}

double leat_score_mix(double behaviour, double context, double share)
{
	share = share < 0 ? 0 : share > 1 ? 1 : share;
	return behaviour * share + context * (1 - share);
}
