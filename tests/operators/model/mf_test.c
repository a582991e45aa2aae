/* Online matrix factorization against worked examples and the best fits that exist. */
#include "operators/model/mf.h"
#include "operators/model/lanes.h"
#include "operators/model/random.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const float table[5][5] = { { 5, 4, 3, 2, 1 }, { 4, 3, 2, 1, 0 }, { 5, 3, 2, 1, 0 }, { 3, 2, 1, 0, 1 }, { 1, 2, 3, 4, 5 } };

struct model {
	struct leat_mf mf;
	float users[5][8], items[5][8], user_bias[5], item_bias[5];
	bool biased;
};

static struct leat_mf_side user_of(struct model *model, size_t user)
{
	return (struct leat_mf_side){ model->users[user], model->biased ? &model->user_bias[user] : NULL };
}
static struct leat_mf_side item_of(struct model *model, size_t item)
{
	return (struct leat_mf_side){ model->items[item], model->biased ? &model->item_bias[item] : NULL };
}

static double rmse(struct model *model)
{
	double sum = 0;
	for (size_t u = 0; u < 5; u++) {
		for (size_t i = 0; i < 5; i++) {
			double error = (double)(table[u][i] - leat_mf_predict(&model->mf, user_of(model, u), item_of(model, i)));
			sum += error * error;
		}
	}
	return sqrt(sum / 25);
}

static double fit(size_t rank, int rounds)
{
	struct model model = { .mf = { .padded = leat_lanes_padded(rank) } };
	for (size_t i = 0; i < 5; i++) {
		leat_random_fill(i, model.users[i], rank);
		leat_random_fill(i + LEAT_RANDOM_ITEM, model.items[i], rank);
	}
	for (int round = 0; round < rounds; round++) {
		model.mf.learning_rate = .02f / (1 + (float)round / 500);
		for (size_t at = 0; at < 25; at++)
			assert_true(leat_mf_step(&model.mf, user_of(&model, at / 5), item_of(&model, at % 5), 1, table[at / 5][at % 5]));
	}
	return rmse(&model);
}

static void steps_come_within_two_percent_of_the_best_fit_of_their_rank(void **state)
{
	(void)state;
	assert_in_range((uintmax_t)(fit(1, 6000) * 1e6), 1199708, 1199708 * 102 / 100);
	assert_in_range((uintmax_t)(fit(2, 20000) * 1e6), 250200, 250200 * 102 / 100);
	assert_in_range((uintmax_t)(fit(3, 40000) * 1e6), 89558, 89558 * 102 / 100);
}

static void biases_alone_are_the_means(void **state)
{
	static const float user_means[] = { 3, 2, 2.2f, 1.4f, 3 }, item_means[] = { 3.6f, 2.8f, 2.2f, 1.6f, 1.4f };
	struct model model = { .mf = { .padded = 8, .offset = 2.32f }, .biased = true };
	(void)state;
	for (size_t i = 0; i < 5; i++) {
		model.user_bias[i] = user_means[i] - 2.32f;
		model.item_bias[i] = item_means[i] - 2.32f;
	}
	assert_float_equal((float)rmse(&model), 1.162067f, 1e-5f);
}

/* Started at 0 factors stay 0, so only the biases learn: they must find the means' error. */
static void steps_learn_the_biases(void **state)
{
	struct model model = { .mf = { .padded = 8, .offset = 2.32f }, .biased = true };
	(void)state;
	for (int round = 0; round < 4000; round++) {
		model.mf.learning_rate = .02f / (1 + (float)round / 100);
		for (size_t at = 0; at < 25; at++)
			assert_true(leat_mf_step(&model.mf, user_of(&model, at / 5), item_of(&model, at % 5), 1, table[at / 5][at % 5]));
	}
	assert_float_equal((float)rmse(&model), 1.162067f, 1e-3f);
}

/* By hand: p = (1, 2), q = (3, -1), target 1: error 0. With weight 2 and target 2: error 1, p += .1 (2 q - .5 p), q += .1 (2 p - .5 q). */
static void one_step_is_the_formula(void **state)
{
	const struct leat_mf mf = { .padded = 8, .learning_rate = .1f, .regularization = .5f };
	float p[8] = { 1, 2 }, q[8] = { 3, -1 };
	(void)state;
	assert_true(leat_mf_predict(&mf, (struct leat_mf_side){ p, NULL }, (struct leat_mf_side){ q, NULL }) == 1);
	assert_true(leat_mf_step(&mf, (struct leat_mf_side){ p, NULL }, (struct leat_mf_side){ q, NULL }, 2, 2));
	assert_float_equal(p[0], 1.55f, 1e-6f);
	assert_float_equal(p[1], 1.7f, 1e-6f);
	assert_float_equal(q[0], 3.05f, 1e-6f);
	assert_float_equal(q[1], -.55f, 1e-6f);
	for (int k = 2; k < 8; k++)
		assert_true(p[k] == 0 && q[k] == 0);
}

static void curvature_is_rate_times_weight_times_the_users_square(void **state)
{
	const struct leat_mf mf = { .padded = 8, .learning_rate = .1f };
	float p[8] = { 1, 2, -2 }, bias = 5;
	(void)state;
	assert_float_equal((float)leat_mf_curvature(&mf, (struct leat_mf_side){ p, NULL }, 3), 2.7f, 1e-6f);
	assert_float_equal((float)leat_mf_curvature(&mf, (struct leat_mf_side){ p, &bias }, 3), 3.f, 1e-6f);
}

static bool all_finite(const float *values, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (!(values[i] >= -LEAT_MF_LIMIT && values[i] <= LEAT_MF_LIMIT))
			return false;
	return true;
}

static void whatever_was_there_only_finite_numbers_are_left(void **state)
{
	static const float bad[] = { NAN, INFINITY, -INFINITY, 3e38f, 1e3f, -1e3f };
	const struct leat_mf mf = { .padded = 8, .learning_rate = 1, .regularization = 1 };
	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		float p[8] = { 1, bad[i], 1, 1 }, q[8] = { bad[i], bad[i], 2, 3 }, user_bias = bad[i], item_bias = 1;
		struct leat_mf_side user = { p, &user_bias }, item = { q, &item_bias };
		assert_false(leat_mf_step(&mf, user, item, 5, 1));
		assert_true(all_finite(p, 8) && all_finite(q, 8) && all_finite(&user_bias, 1) && all_finite(&item_bias, 1));
	}
}

/* Far too large a rate: the pair runs away, is halved, and comes back each time. */
static void a_pair_that_ran_away_comes_back(void **state)
{
	struct leat_mf mf = { .padded = 8, .learning_rate = 1, .regularization = 0 };
	float p[8] = { 9, 9, 9, 9 }, q[8] = { 9, -8, 9, 9 };
	struct leat_mf_side user = { p, NULL }, item = { q, NULL };
	unsigned left_out = 0;
	(void)state;
	for (int i = 0; i < 1000; i++) {
		left_out += !leat_mf_step(&mf, user, item, 1000, 1);
		assert_true(all_finite(p, 8) && all_finite(q, 8));
	}
	assert_true(left_out > 0);
	mf.learning_rate = .01f;
	for (int i = 0; i < 1000; i++)
		(void)leat_mf_step(&mf, user, item, 1, 1);
	assert_float_equal(leat_mf_predict(&mf, user, item), 1, 1e-3f);
}

static void start_values_are_small_fixed_and_different(void **state)
{
	float one[128], other[128];
	(void)state;
	leat_random_fill(7, one, 128);
	leat_random_fill(8, other, 128);
	for (int k = 0; k < 128; k++) {
		assert_true(one[k] >= -.05f && one[k] < .05f);
		assert_true(one[k] != other[k]);
		assert_true(k < 64 || one[k] != other[k - 64]);
	}
	assert_float_equal(leat_random_start(0, 0), ((float)(0xE220A8397B1DCDAFull >> 40) / 16777216.f - .5f) * .1f, 1e-9f);
}

static uint64_t id_of(const char *text)
{
	size_t length = 0;
	while (text[length])
		length++;
	return leat_random_id((struct leat_bytes){ (const uint8_t *)text, (uint32_t)length });
}

static void digits_are_a_number_and_other_text_is_hashed(void **state)
{
	(void)state;
	assert_int_equal(id_of("0"), 0);
	assert_int_equal(id_of("1234567890"), 1234567890);
	assert_int_equal(id_of("999999999999999999"), 999999999999999999);
	assert_true(id_of("1999999999999999999") != 1999999999999999999);
	assert_true(id_of("-5") != (uint64_t)-5);
	assert_true(id_of("12a") != 12 && id_of("12a") != id_of("12b"));
	assert_true(id_of("") == id_of(""));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(steps_come_within_two_percent_of_the_best_fit_of_their_rank),
		cmocka_unit_test(biases_alone_are_the_means),
		cmocka_unit_test(steps_learn_the_biases),
		cmocka_unit_test(one_step_is_the_formula),
		cmocka_unit_test(curvature_is_rate_times_weight_times_the_users_square),
		cmocka_unit_test(whatever_was_there_only_finite_numbers_are_left),
		cmocka_unit_test(a_pair_that_ran_away_comes_back),
		cmocka_unit_test(start_values_are_small_fixed_and_different),
		cmocka_unit_test(digits_are_a_number_and_other_text_is_hashed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
