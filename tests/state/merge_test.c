/* The rule by which an owner merges factor rows: its properties, and that it converges where plain sums do not. */
#include "state/merge.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

static double uniform(uint64_t *seed)
{
	return (double)(leat_mix((*seed)++) >> 11) * 0x1p-53;
}

/* ---- the grid ---- */

static void the_grid_rounds_to_the_nearest_even_and_clamps(void **state)
{
	(void)state;
	uint64_t seed = 1;
	assert_int_equal(leat_grid_from(1), 1 << 24);
	assert_int_equal(leat_grid_from(-0.5 / LEAT_GRID), 0);
	assert_int_equal(leat_grid_from(1.5 / LEAT_GRID), 2);
	assert_int_equal(leat_grid_from(2.5 / LEAT_GRID), 2);
	assert_int_equal(leat_grid_from((double)NAN), 0);
	assert_int_equal(leat_grid_from((double)INFINITY), 1ll << 38);
	assert_int_equal(leat_grid_from(-(double)INFINITY), -(1ll << 38));
	assert_int_equal(leat_grid_from(1e300), 1ll << 38);
	for (int i = 0; i < 100000; i++) {
		double value = (uniform(&seed) - .5) * exp2(30 * uniform(&seed) - 16);
		assert_int_equal(leat_grid_from(value), llrint(fmin(fmax(value * LEAT_GRID, -0x1p38), 0x1p38)));
	}
}

static void a_float_on_the_grid_comes_back_as_it_was(void **state)
{
	(void)state;
	uint64_t seed = 2;
	for (int i = 0; i < 100000; i++) {
		float value = (float)leat_grid_to((int64_t)(leat_mix(seed++) >> 40) - (1 << 23));
		assert_true((float)leat_grid_to(leat_grid_from((double)value)) == value);
	}
}

static void sums_wrap_around_without_undefined_overflow(void **state)
{
	(void)state;
	int64_t base[1] = { INT64_MAX }, one = 1, total[1] = { INT64_MAX }, visible[1];
	leat_merge_apply(base, &one, 1, 1);
	assert_true(base[0] == INT64_MIN);
	leat_merge_step_sum(&one, total, visible, 1);
	assert_true(total[0] == INT64_MIN && visible[0] == INT64_MIN);
	leat_merge_subtract(total, &one, 1);
	assert_true(total[0] == INT64_MAX);
	leat_merge_add(total, &one, 1);
	assert_true(total[0] == INT64_MIN);
	leat_merge_apply(base, &(int64_t){ INT64_MIN }, 1, .5);
	leat_merge_apply(base, &(int64_t){ INT64_MAX }, 1, .99);
}

static void a_step_is_rounded_added_and_shown(void **state)
{
	(void)state;
	float delta[3] = { .25f, -1e9f, NAN }, visible[3], shown[3];
	int64_t total[3] = { 2 << 24, 5, 7 };
	leat_merge_step_factor(delta, total, visible, 3);
	assert_true(total[0] == (2 << 24) + (1 << 22) && visible[0] == 2.25f);
	assert_true(total[1] == 5 - (1ll << 38) && visible[1] == -16384.f);
	assert_true(total[2] == 7 && visible[2] == (float)(7 / LEAT_GRID));
	leat_merge_show_factor(total, shown, 3);
	assert_memory_equal(shown, visible, sizeof shown);
}

/* Rows of every length, with numbers of every size: as one number by itself. */
static void rows_of_any_length_are_as_their_numbers(void **state)
{
	(void)state;
	uint64_t seed = 7;
	for (size_t round = 0; round < 20000; round++) {
		float delta[13], visible[13];
		int64_t total[13], expected[13];
		size_t count = round % 14;
		for (size_t i = 0; i < count; i++) {
			delta[i] = (float)((uniform(&seed) - .5) * exp2(80 * uniform(&seed) - 60));
			if (leat_mix(seed++) % 64 == 0)
				delta[i] = NAN;
			uint64_t shift = leat_mix(seed++);
			total[i] = (int64_t)leat_mix(seed++) >> (round % 3 ? 12 + shift % 52 : shift % 64);
			expected[i] = leat_merge_plus(total[i], leat_grid_from((double)delta[i]));
		}
		leat_merge_step_factor(delta, total, visible, count);
		for (size_t i = 0; i < count; i++)
			assert_true(total[i] == expected[i] && visible[i] == (float)leat_grid_to(expected[i]));
		memset(visible, 0, sizeof visible);
		leat_merge_show_factor(total, visible, count);
		for (size_t i = 0; i < count; i++)
			assert_true(visible[i] == (float)leat_grid_to(expected[i]));
	}
}

/* ---- the factor ---- */

static void one_sender_or_no_curvature_is_exactly_the_sum(void **state)
{
	(void)state;
	const double alone[] = { 0, 1e-300, 1e-9, .3, 5, 800, (double)INFINITY };
	for (size_t i = 0; i < LEAT_COUNT_OF(alone); i++) {
		double among[3] = { 0, alone[i], 0 };
		assert_true(leat_merge_factor(&alone[i], 1) == 1 && leat_merge_factor(among, 3) == 1);
	}
	assert_true(leat_merge_factor(NULL, 0) == 1);
	assert_true(leat_merge_factor((double[]){ -3, (double)NAN, 2 }, 3) == 1);
	uint64_t seed = 3;
	for (int i = 0; i < 10000; i++) {
		int64_t base[1] = { (int64_t)leat_mix(seed++) }, delta = (int64_t)leat_mix(seed++), sum = leat_merge_plus(base[0], delta);
		leat_merge_apply(base, &delta, 1, 1);
		assert_true(base[0] == sum);
	}
}

static void the_factor_lies_between_one_over_the_senders_and_one(void **state)
{
	(void)state;
	uint64_t seed = 4;
	for (int i = 0; i < 100000; i++) {
		double h[40];
		size_t count = 1 + (size_t)(uniform(&seed) * 40);
		for (size_t s = 0; s < count; s++)
			h[s] = exp2(80 * uniform(&seed) - 70);
		double factor = leat_merge_factor(h, count);
		assert_true(factor <= 1 && factor >= 1 / (double)count * (1 - 1e-12));
	}
	assert_true(fabs(leat_merge_factor((double[]){ 50, 60, 70, 80 }, 4) - .25) < 1e-12);
	assert_true(fabs(leat_merge_factor((double[]){ 1e-12, 1e-12 }, 2) - 1) < 1e-11);
	assert_true(leat_merge_factor((double[]){ (double)INFINITY, 1 }, 2) > 0);
}

static void the_factor_does_not_hang_on_the_order_of_the_senders(void **state)
{
	(void)state;
	uint64_t seed = 5;
	for (int i = 0; i < 10000; i++) {
		double h[16], back[16];
		for (size_t s = 0; s < 16; s++)
			h[s] = back[15 - s] = uniform(&seed) * 3;
		assert_true(fabs(leat_merge_factor(h, 16) / leat_merge_factor(back, 16) - 1) < 1e-14);
	}
}

/* Each sender alone goes 1 - e^-h of the way; merged they go as far as one sender with the sum of their curvatures would. */
static void equal_senders_go_as_far_as_one_that_did_all_of_it(void **state)
{
	(void)state;
	for (double h = .001; h < 40; h *= 1.3)
		for (size_t senders = 1; senders <= 32; senders *= 2) {
			double each[32], way = -expm1(-h);
			for (size_t s = 0; s < senders; s++)
				each[s] = h;
			double merged = (double)senders * way * leat_merge_factor(each, senders), sequential = -expm1(-h * (double)senders);
			assert_true(fabs(merged - sequential) < 1e-12);
		}
}

/* ---- convergence: least squares on one hot item, every sender against the row as it was at the interval's start ---- */

enum { RANK = 8, UPDATES = 1500, INTERVALS = 12 };
#define RATE .05
#define NOISE .1

struct run { size_t senders; bool damped; double truth[RANK]; };

/* One user's vector of length about 1, and what it says of the item. */
static double event(uint64_t *seed, const double *truth, double *u)
{
	double y = 0;
	for (size_t k = 0; k < RANK; k++) {
		u[k] = (uniform(seed) - .5) * 2;
		y += u[k] * truth[k];
	}
	return y + (uniform(seed) - .5) * NOISE;
}

static double learn(const struct run *run, double *q, uint64_t *seed, size_t steps)
{
	double h = 0;
	for (size_t i = 0; i < steps; i++) {
		double u[RANK], y = event(seed, run->truth, u), guess = 0;
		for (size_t k = 0; k < RANK; k++)
			guess += u[k] * q[k];
		for (size_t k = 0; k < RANK; k++) {
			q[k] += RATE * (y - guess) * u[k];
			h += RATE * u[k] * u[k];
		}
	}
	return h;
}

static void interval(const struct run *run, int64_t *base, uint64_t *seed)
{
	double h[32];
	int64_t sum[RANK] = { 0 };
	for (size_t s = 0; s < run->senders; s++) {
		double q[RANK];
		for (size_t k = 0; k < RANK; k++)
			q[k] = leat_grid_to(base[k]);
		h[s] = learn(run, q, seed, UPDATES);
		for (size_t k = 0; k < RANK; k++)
			sum[k] = leat_merge_plus(sum[k], leat_grid_from(q[k] - leat_grid_to(base[k])));
	}
	leat_merge_apply(base, sum, RANK, run->damped ? leat_merge_factor(h, run->senders) : 1);
}

static double distance(const double *a, const double *b)
{
	double sum = 0;
	for (size_t k = 0; k < RANK; k++)
		sum += (a[k] - b[k]) * (a[k] - b[k]);
	return sqrt(sum / RANK);
}

/* Distance to the truth after the intervals; what comes out of a row that was clamped or has run away is far. */
static double converge(size_t senders, bool damped)
{
	struct run run = { senders, damped, { 0 } };
	uint64_t seed = 6;
	int64_t base[RANK] = { 0 };
	double q[RANK];
	for (size_t k = 0; k < RANK; k++)
		run.truth[k] = uniform(&seed) * 2 - 1;
	for (int i = 0; i < INTERVALS; i++)
		interval(&run, base, &seed);
	for (size_t k = 0; k < RANK; k++)
		q[k] = leat_grid_to(base[k]);
	return distance(q, run.truth);
}

static double sequential(void)
{
	struct run run = { 1, true, { 0 } };
	uint64_t seed = 6;
	double q[RANK] = { 0 };
	for (size_t k = 0; k < RANK; k++)
		run.truth[k] = uniform(&seed) * 2 - 1;
	learn(&run, q, &seed, UPDATES * INTERVALS);
	return distance(q, run.truth);
}

static void plain_sums_of_a_hot_item_diverge(void **state)
{
	(void)state;
	assert_true(converge(1, false) < .05);
	for (size_t senders = 4; senders <= 32; senders *= 2)
		assert_true(converge(senders, false) > 100);
}

/* Sequential learning keeps the noise of its last steps (here about .014 RMS); merged rows average it away. */
static void the_damped_rule_comes_as_near_as_sequential_learning(void **state)
{
	(void)state;
	double bound = 1.5 * sequential();
	assert_true(bound < .03);
	for (size_t senders = 1; senders <= 32; senders *= 2)
		if (converge(senders, true) > bound)
			fail_msg("%zu senders: %g, the bound is %g", senders, converge(senders, true), bound);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_grid_rounds_to_the_nearest_even_and_clamps),
		cmocka_unit_test(a_float_on_the_grid_comes_back_as_it_was),
		cmocka_unit_test(sums_wrap_around_without_undefined_overflow),
		cmocka_unit_test(a_step_is_rounded_added_and_shown),
		cmocka_unit_test(rows_of_any_length_are_as_their_numbers),
		cmocka_unit_test(one_sender_or_no_curvature_is_exactly_the_sum),
		cmocka_unit_test(the_factor_lies_between_one_over_the_senders_and_one),
		cmocka_unit_test(the_factor_does_not_hang_on_the_order_of_the_senders),
		cmocka_unit_test(equal_senders_go_as_far_as_one_that_did_all_of_it),
		cmocka_unit_test(plain_sums_of_a_hot_item_diverge),
		cmocka_unit_test(the_damped_rule_comes_as_near_as_sequential_learning),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
