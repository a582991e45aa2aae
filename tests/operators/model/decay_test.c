/* Decayed sums. */
#include "operators/model/decay.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void half_is_left_after_a_half_life(void **state)
{
	(void)state;
	assert_float_equal(leat_decay_factor(3600000, 3.6e6), 0.5f, 1e-6f);
	assert_float_equal(leat_decay_factor(7200000, 3.6e6), 0.25f, 1e-6f);
	assert_float_equal(leat_decay_factor(1800000, 3.6e6), 0.707107f, 1e-6f);
}

static void no_time_or_time_backwards_takes_nothing(void **state)
{
	(void)state;
	assert_true(leat_decay_factor(0, 1000) == 1.f);
	assert_true(leat_decay_factor(-5000, 1000) == 1.f);
	assert_true(leat_decay_factor(INT64_MIN, 1000) == 1.f);
}

static void nothing_is_left_after_ages(void **state)
{
	(void)state;
	assert_true(leat_decay_factor(INT64_MAX, 1000) == 0.f);
}

static void factor_is_applied_to_every_value(void **state)
{
	float values[11];
	(void)state;
	for (int i = 0; i < 11; i++)
		values[i] = (float)i;
	leat_decay_apply(values, 10, 0.5f);
	for (int i = 0; i < 10; i++)
		assert_true(values[i] == (float)i * 0.5f);
	assert_true(values[10] == 10.f);
}

/* Two sums kept apart and joined are what one sum of all events would be. */
static void merged_sums_equal_one_sum(void **state)
{
	const double half_life = 1000;
	float early = 2, late = 3, other_way = 3;
	(void)state;
	leat_decay_merge(&early, 1000, &late, 3000, 1, half_life);
	assert_float_equal(early, 2 * 0.25f + 3, 1e-6f);
	assert_true(late == 3.f);
	early = 2;
	leat_decay_merge(&other_way, 3000, &early, 1000, 1, half_life);
	assert_float_equal(other_way, 3.5f, 1e-6f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(half_is_left_after_a_half_life),
		cmocka_unit_test(no_time_or_time_backwards_takes_nothing),
		cmocka_unit_test(nothing_is_left_after_ages),
		cmocka_unit_test(factor_is_applied_to_every_value),
		cmocka_unit_test(merged_sums_equal_one_sum),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
