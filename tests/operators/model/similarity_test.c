/* Similarities and predictions against worked examples. */
#include "operators/model/similarity.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define NEAR 1e-5f
static const float a[] = { 5, 1, 5, 3, 5 }, b[] = { 4, 1, 4, 5, 4 }, c[] = { 5, 3, 4, 5, 3 };
static const float shop[3][5] = { { 5, 1, 5, 3, 5 }, { 4, 1, 4, 5, 4 }, { 5, 3, 4, 5, 3 } };
static const float table[5][5] = { { 5, 4, 3, 2, 1 }, { 4, 3, 2, 1, 0 }, { 5, 3, 2, 1, 0 }, { 3, 2, 1, 0, 1 }, { 1, 2, 3, 4, 5 } };

static void near(double got, double wanted)
{
	assert_float_equal((float)got, (float)wanted, NEAR);
}

static void cosine_of_two_users(void **state)
{
	(void)state;
	near(leat_similarity_cosine(a, b, 5), 0.958271);
}

static void pearson_of_two_users(void **state)
{
	(void)state;
	near(leat_similarity_pearson(a, b, 5), 0.700349);
}

static void prediction_from_one_neighbour_is_its_rating(void **state)
{
	const float weight = 0.700349f;
	(void)state;
	for (size_t i = 0; i < 5; i++)
		near(leat_similarity_predict(&weight, &b[i], 1), (double)b[i]);
}

static void prediction_without_weights_is_zero(void **state)
{
	const float none[] = { 0, 0 };
	(void)state;
	near(leat_similarity_predict(none, a, 2), 0);
	near(leat_similarity_predict(none, a, 0), 0);
}

static void prediction_divides_by_the_sizes_of_the_weights(void **state)
{
	const float weights[] = { 1, -1 }, ratings[] = { 4, 2 };
	(void)state;
	near(leat_similarity_predict(weights, ratings, 2), 1);
}

static void cosines_of_the_five_users(void **state)
{
	(void)state;
	near(leat_similarity_cosine(table[0], table[1], 5), 0.984732);
	near(leat_similarity_cosine(table[0], table[2], 5), 0.971625);
	near(leat_similarity_cosine(table[0], table[3], 5), 0.940019);
	near(leat_similarity_cosine(table[0], table[4], 5), 0.636364);
	near(leat_similarity_cosine(table[1], table[2], 5), 0.993999);
	near(leat_similarity_cosine(table[1], table[4], 5), 0.492366);
}

static void undefined_similarity_is_zero(void **state)
{
	const float zeros[5] = { 0 }, same[5] = { 2, 2, 2, 2, 2 };
	(void)state;
	near(leat_similarity_cosine(a, zeros, 5), 0);
	near(leat_similarity_pearson(a, same, 5), 0);
	near(leat_similarity_cosine(a, b, 0), 0);
}

static void similarity_is_symmetric_and_one_with_itself(void **state)
{
	(void)state;
	near(leat_similarity_cosine(a, a, 5), 1);
	near(leat_similarity_pearson(c, c, 5), 1);
	near(leat_similarity_cosine(a, c, 5), leat_similarity_cosine(c, a, 5));
	near(leat_similarity_adjusted(&shop[0][0], 3, 5, 0, 0), 1);
}

static double item_cosine(size_t i, size_t j)
{
	float left[3], right[3];
	for (size_t user = 0; user < 3; user++) {
		left[user] = shop[user][i];
		right[user] = shop[user][j];
	}
	return leat_similarity_cosine(left, right, 3);
}

static void cosines_of_items(void **state)
{
	static const struct { size_t i, j; double wanted; } pairs[] = {
		{ 0, 1, 0.890724 }, { 0, 2, 0.994536 }, { 0, 3, 0.961509 }, { 0, 4, 0.974835 }, { 1, 2, 0.838659 },
		{ 1, 3, 0.902829 }, { 1, 4, 0.767523 }, { 2, 3, 0.948417 }, { 2, 4, 0.992781 }, { 3, 4, 0.920575 },
	};
	(void)state;
	for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
		near(item_cosine(pairs[i].i, pairs[i].j), pairs[i].wanted);
}

static void prediction_from_the_users_other_items(void **state)
{
	float weights[4];
	(void)state;
	for (size_t j = 1; j < 5; j++)
		weights[j - 1] = (float)item_cosine(0, j);
	near(leat_similarity_predict(weights, &shop[2][1], 4), 3.763437);
}

static void adjusted_cosines_of_items(void **state)
{
	static const struct { size_t i, j; double wanted; } pairs[] = {
		{ 0, 1, -0.847900 }, { 0, 2, 0.784465 }, { 0, 3, 0.196116 }, { 0, 4, 0.230769 }, { 1, 2, -0.880705 }, { 2, 3, -0.166667 },
	};
	(void)state;
	for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
		near(leat_similarity_adjusted(&shop[0][0], 3, 5, pairs[i].i, pairs[i].j), pairs[i].wanted);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cosine_of_two_users),
		cmocka_unit_test(pearson_of_two_users),
		cmocka_unit_test(prediction_from_one_neighbour_is_its_rating),
		cmocka_unit_test(prediction_without_weights_is_zero),
		cmocka_unit_test(prediction_divides_by_the_sizes_of_the_weights),
		cmocka_unit_test(cosines_of_the_five_users),
		cmocka_unit_test(undefined_similarity_is_zero),
		cmocka_unit_test(similarity_is_symmetric_and_one_with_itself),
		cmocka_unit_test(cosines_of_items),
		cmocka_unit_test(prediction_from_the_users_other_items),
		cmocka_unit_test(adjusted_cosines_of_items),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
