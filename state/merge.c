/* Arithmetic of shared rows. */
#include "state/merge.h"

#include <math.h>

#define GRID_MOST 0x1p38
#define ROUNDER 0x1.8p52   /* beside it doubles lie 1 apart: adding it rounds to the nearest integer, which its low bits then hold */

/* As llrint() within the clamp, without a call: the loops below run for every event. */
static inline int64_t to_grid(double value)
{
	double scaled = value == value ? value * LEAT_GRID : 0;
	scaled = scaled > -GRID_MOST ? scaled : -GRID_MOST;
	scaled = scaled < GRID_MOST ? scaled : GRID_MOST;
	union { double number; int64_t bits; } rounded = { .number = scaled + ROUNDER }, zero = { .number = ROUNDER };
	return rounded.bits - zero.bits;
}

int64_t leat_grid_from(double value)
{
	return to_grid(value);
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
	if (senders < 2 || apart <= 0)
		return 1;
	double factor = -expm1(-all) / apart;
	return factor < 1 ? factor : 1;   /* tiny curvatures round to either side of 1 */
}

void leat_merge_apply(int64_t *base, const int64_t *delta, size_t count, double factor)
{
	for (size_t i = 0; i < count; i++) {
		double scaled = (double)delta[i] * factor;
		bool whole = factor == 1 || !(scaled > -0x1p62 && scaled < 0x1p62);   /* beyond, llrint() is undefined; no task sends that */
		base[i] = leat_merge_plus(base[i], whole ? delta[i] : llrint(scaled));
	}
}

void leat_merge_step_factor(const float *restrict delta, int64_t *restrict total, float *restrict visible, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		total[i] = leat_merge_plus(total[i], to_grid((double)delta[i]));
		visible[i] = (float)((double)total[i] * (1 / LEAT_GRID));
	}
}

void leat_merge_step_sum(const int64_t *restrict delta, int64_t *restrict total, int64_t *restrict visible, size_t count)
{
	for (size_t i = 0; i < count; i++)
		visible[i] = total[i] = leat_merge_plus(total[i], delta[i]);
}

void leat_merge_show_factor(const int64_t *restrict total, float *restrict visible, size_t count)
{
	for (size_t i = 0; i < count; i++)
		visible[i] = (float)((double)total[i] * (1 / LEAT_GRID));
}

void leat_merge_add(int64_t *restrict to, const int64_t *restrict what, size_t count)
{
	for (size_t i = 0; i < count; i++)
		to[i] = leat_merge_plus(to[i], what[i]);
}

void leat_merge_subtract(int64_t *restrict from, const int64_t *restrict what, size_t count)
{
	for (size_t i = 0; i < count; i++)
		from[i] = leat_merge_minus(from[i], what[i]);
}
