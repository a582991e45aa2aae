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

/* Two at a time, as every CPU has it; each lane is what to_grid() is. */
typedef double doubles __attribute__((vector_size(16)));
typedef int64_t ints __attribute__((vector_size(16)));
typedef uint64_t words __attribute__((vector_size(16)));

static inline doubles pick(ints mask, doubles yes, doubles no)
{
	return (doubles)((mask & (ints)yes) | (~mask & (ints)no));
}

static inline words to_grid_two(doubles value)
{
	const doubles zero = { 0, 0 }, most = zero + GRID_MOST, rounder = zero + ROUNDER;
	doubles scaled = pick(value == value, value * LEAT_GRID, zero);
	scaled = pick(scaled > -most, scaled, -most);
	scaled = pick(scaled < most, scaled, most);
	return (words)(scaled + rounder) - (words)rounder;
}

/* Within 2^51 the reverse of the trick above is exact; *beyond stays 0 then. */
static inline void show_two(words total, float *visible, words *beyond)
{
	const doubles rounder = (doubles){ 0, 0 } + ROUNDER;
	*beyond |= (total + (1ull << 51)) >> 52;
	doubles number = ((doubles)(total + (words)rounder) - rounder) * (1 / LEAT_GRID);
	visible[0] = (float)number[0];
	visible[1] = (float)number[1];
}

static void show_slowly(const int64_t *total, float *visible, size_t count)
{
	for (size_t i = 0; i < count; i++)
		visible[i] = (float)((double)total[i] * (1 / LEAT_GRID));
}

void leat_merge_show_factor(const int64_t *total, float *visible, size_t count)
{
	words beyond = { 0, 0 }, two;
	size_t at = 0;
	for (; at + 2 <= count; at += 2) {
		memcpy(&two, total + at, sizeof two);
		show_two(two, visible + at, &beyond);
	}
	at = beyond[0] | beyond[1] ? 0 : at;
	show_slowly(total + at, visible + at, count - at);
}

void leat_merge_step_factor(const float *restrict delta, int64_t *restrict total, float *restrict visible, size_t count)
{
	words beyond = { 0, 0 }, two;
	size_t at = 0;
	for (; at + 2 <= count; at += 2) {
		memcpy(&two, total + at, sizeof two);
		two += to_grid_two((doubles){ (double)delta[at], (double)delta[at + 1] });   /* wraps around */
		memcpy(total + at, &two, sizeof two);
		show_two(two, visible + at, &beyond);
	}
	for (size_t i = at; i < count; i++)
		total[i] = leat_merge_plus(total[i], to_grid((double)delta[i]));
	at = beyond[0] | beyond[1] ? 0 : at;
	show_slowly(total + at, visible + at, count - at);
}

void leat_merge_step_sum(const int64_t *restrict delta, int64_t *restrict total, int64_t *restrict visible, size_t count)
{
	for (size_t i = 0; i < count; i++)
		visible[i] = total[i] = leat_merge_plus(total[i], delta[i]);
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
