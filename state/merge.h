/*
 * Merging what several senders add to one shared row: pure arithmetic on int64 grids, no storage. Any thread.
 *
 * Numbers of a factor row lie on a grid of 2^-24, so that sums do not hang on their order. `sum` rows are int64 as they are. Sums wrap around at 2^63.
 * A factor row must not take the plain sum of the senders' SGD steps: each was computed against the same stale row, and together they overshoot
 * (3 or 4 senders with 1,500 steps each on one hot row diverge within a few intervals). Per row and interval the owner adds
 *   sum(delta) * (1 - exp(-sum_s h_s)) / sum_s (1 - exp(-h_s)),   h_s = the curvature that sender s gathered (squared loss: sum of lr * w * |u|^2).
 * The factor is exactly 1 for one sender or without curvature, so one partition is sequential learning bit for bit; it tends to 1/senders when every sender has converged by itself.
 */
#ifndef LEAT_MERGE_H
#define LEAT_MERGE_H

#include "base/base.h"

#define LEAT_GRID 16777216.0   /* 2^24 */

/* Rounded to the nearest grid point, ties to even; clamped to ±2^38 (values up to 16,384), NaN is 0: so sums stay far from overflow. */
int64_t leat_grid_from(double value);
static inline double leat_grid_to(int64_t grid)
{
	return (double)grid / LEAT_GRID;
}
/* Two's complement, without the undefined overflow of signed sums: a hostile record may hold any number. */
static inline int64_t leat_merge_plus(int64_t a, int64_t b)
{
	return (int64_t)((uint64_t)a + (uint64_t)b);
}
static inline int64_t leat_merge_minus(int64_t a, int64_t b)
{
	return (int64_t)((uint64_t)a - (uint64_t)b);
}
/* The factor of the rule above; @curvature of @count senders, in an order that does not hang on when they came: doubles are summed. 0 < factor <= 1. */
double leat_merge_factor(const double *curvature, size_t count);
/* base[i] += round(delta[i] * factor); with factor 1 exactly base[i] += delta[i]. */
void leat_merge_apply(int64_t *base, const int64_t *delta, size_t count, double factor);

/* A task's step, rounded to the grid, added to @total and shown in @visible. In the second @delta and @visible are int64. */
void leat_merge_step_factor(const float *delta, int64_t *total, float *visible, size_t count);
void leat_merge_step_sum(const int64_t *delta, int64_t *total, int64_t *visible, size_t count);
/* A factor row as its operator sees it. */
void leat_merge_show_factor(const int64_t *total, float *visible, size_t count);
/* to += what; to -= what. */
void leat_merge_add(int64_t *to, const int64_t *what, size_t count);
void leat_merge_subtract(int64_t *from, const int64_t *what, size_t count);

#endif
