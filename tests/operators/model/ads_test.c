/* Scoring a catalogue: against plain loops, and the same bytes for any number of users at once. */
#include "operators/model/ads.h"
#include "operators/model/random.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { MOST = 300, RANK = 19, CATEGORIES = 7, USERS = LEAT_ADS_BLOCK };

struct catalogue {
	struct leat_ads ads;
	void *memory;
	size_t count;
	int32_t category[MOST];
	float factors[MOST][RANK], base[MOST], users[USERS][RANK], interests[USERS][CATEGORIES];
};

static void shape(struct catalogue *catalogue, uint64_t seed)
{
	for (size_t i = 0; i < MOST; i++) {
		catalogue->category[i] = (int32_t)(leat_random_mix(seed + i) % (CATEGORIES + 1)) - 1;
		leat_random_fill(seed + 1000 + i, catalogue->factors[i], RANK);
		catalogue->base[i] = leat_random_start(seed + 2000, i) / 8;
	}
	for (size_t u = 0; u < USERS; u++) {
		leat_random_fill(seed + 3000 + u, catalogue->users[u], RANK);
		leat_random_fill(seed + 4000 + u, catalogue->interests[u], CATEGORIES);
	}
}

static void load(struct catalogue *catalogue, size_t count)
{
	catalogue->count = count;
	leat_ads_begin(&catalogue->ads, catalogue->category, count);
	for (size_t lane = 0; lane < count; lane++)
		leat_ads_set(&catalogue->ads, lane, catalogue->factors[catalogue->ads.order[lane]], catalogue->base[catalogue->ads.order[lane]]);
}

static struct catalogue *catalogue_new(size_t count)
{
	struct catalogue *catalogue = calloc(1, sizeof *catalogue);
	assert_non_null(catalogue);
	size_t size = (leat_ads_size(MOST, RANK, CATEGORIES) + 63) / 64 * 64;
	catalogue->memory = aligned_alloc(64, size);
	assert_non_null(catalogue->memory);
	memset(catalogue->memory, 0, size);
	leat_ads_place(&catalogue->ads, catalogue->memory, MOST, RANK, CATEGORIES);
	shape(catalogue, 17);
	load(catalogue, count);
	return catalogue;
}
static void catalogue_free(struct catalogue *catalogue)
{
	free(catalogue->memory);
	free(catalogue);
}

static void score(struct catalogue *catalogue, const struct leat_ads_weights *weights, size_t first, size_t users)
{
	const float *factors[USERS], *interests[USERS];
	for (size_t i = 0; i < users; i++) {
		factors[i] = catalogue->users[first + i];
		interests[i] = catalogue->interests[first + i];
	}
	leat_ads_score(&catalogue->ads, weights, factors, interests, users);
}

static double plain_score(const struct catalogue *catalogue, const struct leat_ads_weights *weights, size_t user, size_t ad)
{
	double dot = 0, aa = 0, uu = 0;
	for (size_t k = 0; k < RANK; k++) {
		double a = (double)catalogue->factors[ad][k], u = (double)catalogue->users[user][k];
		dot += a * u;
		aa += a * a;
		uu += u * u;
	}
	double interest = catalogue->category[ad] >= 0 ? (double)catalogue->interests[user][catalogue->category[ad]] : 0;
	return (double)catalogue->base[ad] + (double)weights->interest * interest + (double)weights->factors * dot + (double)weights->cosine * dot / sqrt(aa * uu);
}

static const struct leat_ads_weights mixes[] = { { 1, 0, .1f }, { 1, 0, 0 }, { 0, 0, 1 }, { -2.5f, 0, 3 }, { 0, 1, .5f }, { 1, .7f, -.2f } };

static void scores_are_those_of_plain_loops(void **state)
{
	static const size_t counts[] = { 1, 15, 16, 17, 255, 256, MOST };
	struct catalogue *catalogue = catalogue_new(1);
	(void)state;
	for (size_t m = 0; m < sizeof mixes / sizeof *mixes; m++) {
		for (size_t c = 0; c < sizeof counts / sizeof *counts; c++) {
			load(catalogue, counts[c]);
			score(catalogue, &mixes[m], 0, USERS);
			for (size_t user = 0; user < USERS; user++)
				for (size_t lane = 0; lane < counts[c]; lane++)
					assert_float_equal(leat_ads_scores(&catalogue->ads, user)[lane], (float)plain_score(catalogue, &mixes[m], user, catalogue->ads.order[lane]), 1e-5f);
		}
	}
	catalogue_free(catalogue);
}

static void every_ad_has_one_lane_and_its_own_category(void **state)
{
	struct catalogue *catalogue = catalogue_new(MOST);
	bool seen[MOST] = { false };
	(void)state;
	for (size_t lane = 0; lane < MOST; lane++) {
		uint32_t ad = catalogue->ads.order[lane];
		assert_false(seen[ad]);
		seen[ad] = true;
		assert_int_equal(catalogue->ads.category[lane], catalogue->category[ad]);
	}
	catalogue_free(catalogue);
}

static void any_number_of_users_at_once_gives_the_same_bytes(void **state)
{
	struct catalogue *catalogue = catalogue_new(MOST);
	static float whole[USERS][512];
	(void)state;
	size_t lanes = catalogue->ads.lanes;
	for (size_t m = 0; m < sizeof mixes / sizeof *mixes; m++) {
		score(catalogue, &mixes[m], 0, USERS);
		for (size_t user = 0; user < USERS; user++)
			memcpy(whole[user], leat_ads_scores(&catalogue->ads, user), lanes * sizeof(float));
		for (size_t at_once = 1; at_once < USERS; at_once++) {
			for (size_t first = 0; first + at_once <= USERS; first++) {
				score(catalogue, &mixes[m], first, at_once);
				for (size_t i = 0; i < at_once; i++)
					assert_memory_equal(whole[first + i], leat_ads_scores(&catalogue->ads, i), lanes * sizeof(float));
			}
		}
	}
	catalogue_free(catalogue);
}

static long plain_best(const struct catalogue *catalogue, const float *scores)
{
	long best = -1;
	for (size_t lane = 0; lane < catalogue->count; lane++) {
		if (!(scores[lane] > -INFINITY))
			continue;
		if (best < 0 || scores[lane] > scores[best] || (scores[lane] == scores[best] && catalogue->ads.order[lane] < catalogue->ads.order[best]))
			best = (long)lane;
	}
	return best;
}

static void best_is_the_highest_and_a_tie_goes_to_the_first_ad(void **state)
{
	struct catalogue *catalogue = catalogue_new(MOST);
	static float scores[512];
	(void)state;
	for (uint64_t round = 0; round < 2000; round++) {
		for (size_t lane = 0; lane < catalogue->ads.lanes; lane++) {
			uint64_t random = leat_random_mix(round * 1000 + lane);
			scores[lane] = lane >= MOST || random % 5 == 0 ? -INFINITY : random % 7 == 0 ? NAN : (float)(random >> 32 & 63) - 40;
		}
		assert_int_equal(leat_ads_best(&catalogue->ads, scores), plain_best(catalogue, scores));
	}
	catalogue_free(catalogue);
}

static void without_a_number_there_is_no_best(void **state)
{
	struct catalogue *catalogue = catalogue_new(20);
	static float scores[32];
	(void)state;
	for (size_t lane = 0; lane < 32; lane++)
		scores[lane] = lane % 2 ? NAN : -INFINITY;
	assert_int_equal(leat_ads_best(&catalogue->ads, scores), -1);
	load(catalogue, 0);
	score(catalogue, &mixes[0], 0, 3);
	assert_int_equal(leat_ads_best(&catalogue->ads, leat_ads_scores(&catalogue->ads, 0)), -1);
	catalogue_free(catalogue);
}

static void padding_never_wins(void **state)
{
	static const struct leat_ads_weights low = { 0, 0, -100 };
	struct catalogue *catalogue = catalogue_new(17);
	(void)state;
	for (size_t c = 0; c < CATEGORIES; c++)
		catalogue->interests[0][c] = 1000;
	for (size_t m = 0; m < 2; m++) {
		const struct leat_ads_weights weights = { low.factors, m ? 1 : 0, low.interest };
		score(catalogue, &weights, 0, 1);
		for (size_t lane = 17; lane < catalogue->ads.lanes; lane++)
			assert_true(leat_ads_scores(&catalogue->ads, 0)[lane] == -INFINITY);
		long best = leat_ads_best(&catalogue->ads, leat_ads_scores(&catalogue->ads, 0));
		assert_in_range((uintmax_t)best, 0, 16);
	}
	catalogue_free(catalogue);
}

static void a_user_of_zeros_has_no_cosine(void **state)
{
	static const struct leat_ads_weights cosine = { 0, 1, 0 };
	struct catalogue *catalogue = catalogue_new(20);
	(void)state;
	memset(catalogue->users[0], 0, sizeof catalogue->users[0]);
	memset(catalogue->base, 0, sizeof catalogue->base);
	load(catalogue, 20);
	score(catalogue, &cosine, 0, 1);
	for (size_t lane = 0; lane < 20; lane++)
		assert_true(leat_ads_scores(&catalogue->ads, 0)[lane] == 0);
	catalogue_free(catalogue);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(scores_are_those_of_plain_loops),
		cmocka_unit_test(every_ad_has_one_lane_and_its_own_category),
		cmocka_unit_test(any_number_of_users_at_once_gives_the_same_bytes),
		cmocka_unit_test(best_is_the_highest_and_a_tie_goes_to_the_first_ad),
		cmocka_unit_test(without_a_number_there_is_no_best),
		cmocka_unit_test(padding_never_wins),
		cmocka_unit_test(a_user_of_zeros_has_no_cosine),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
