/* Arithmetic of shared rows. */
#include "state/merge.h"

#include <math.h>

#define GRID_MOST 274877906944.0   /* 2^38: values up to 16,384 */

int64_t leat_grid_from(double value)
{
	double scaled = value * LEAT_GRID;
	if (isnan(scaled))
		return 0;
	return llrint(fmin(fmax(scaled, -GRID_MOST), GRID_MOST));
}

double leat_merge_factor(const double *curvature, size_t count)
{
	double all = 0, apart = 0;
	size_t senders = 0;
	for (size_t i = 0; i < count; i++) {
		double h = curvature[i] > 0 ? curvature[i] : 0;
		all += h;
		apart += -expm1(-h);
		senders += h > 0;
	}
	return senders < 2 || apart <= 0 ? 1 : -expm1(-all) / apart;
}

void leat_merge_apply(int64_t *base, const int64_t *delta, size_t count, double factor)
{
	for (size_t i = 0; i < count; i++)
		base[i] += factor == 1 ? delta[i] : llrint((double)delta[i] * factor);
}
