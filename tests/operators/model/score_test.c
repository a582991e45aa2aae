/* Scores put together from parts, against worked examples. */
#include "operators/model/score.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void behaviour_score_is_the_sum_of_count_times_weight(void **state)
{
	const double counts[] = { 10, 1, 5 }, weights[] = { 0.1, 0.9, 0.8 };
	(void)state;
	assert_float_equal((float)leat_score_sum(weights, counts, 3), 5.9f, 1e-5f);
}

static void recommendation_score_is_the_weighted_sum(void **state)
{
	const double weights[] = { 0.8, 0.6, 0.4 }, ratings[] = { 1, 2, 3 };
	(void)state;
	assert_float_equal((float)leat_score_sum(weights, ratings, 3), 3.2f, 1e-5f);
}

static void sum_of_nothing_is_zero(void **state)
{
	const double one[] = { 1 };
	(void)state;
	assert_true(leat_score_sum(one, one, 0) == 0);
}

static void mix_weighs_behaviour_against_context(void **state)
{
	(void)state;
	assert_float_equal((float)leat_score_mix(0.8, 0.3, 0.6), 0.6f, 1e-5f);
}

static void share_of_a_mix_stays_within_zero_and_one(void **state)
{
	(void)state;
	assert_true(leat_score_mix(2, 5, 1.5) == 2);
	assert_true(leat_score_mix(2, 5, -1) == 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(behaviour_score_is_the_sum_of_count_times_weight),
		cmocka_unit_test(recommendation_score_is_the_weighted_sum),
		cmocka_unit_test(sum_of_nothing_is_zero),
		cmocka_unit_test(mix_weighs_behaviour_against_context),
		cmocka_unit_test(share_of_a_mix_stays_within_zero_and_one),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
