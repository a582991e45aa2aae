/* ads_bench: nanoseconds per user of scoring 256 ads of rank 32 and finding the best, by users at a time. Takes under 2 s. */
#include "operators/model/ads.h"
#include "operators/model/random.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { ADS = 256, RANK = 32, CATEGORIES = 40, USERS = 512 };
static float users[USERS][RANK], interests[USERS][CATEGORIES];

static double now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static void fill(struct leat_ads *ads)
{
	int32_t category[ADS];
	float factors[RANK];
	for (int i = 0; i < ADS; i++)
		category[i] = i % CATEGORIES;
	leat_ads_begin(ads, category, ADS);
	for (size_t lane = 0; lane < ADS; lane++) {
		leat_random_fill(0xADull * 1000003 + ads->order[lane], factors, RANK);
		leat_ads_set(ads, lane, factors, 0);
	}
	for (int u = 0; u < USERS; u++) {
		leat_random_fill((uint64_t)u, users[u], RANK);
		leat_random_fill((uint64_t)u + 99999, interests[u], CATEGORIES);
	}
}

static long score_all(struct leat_ads *ads, size_t at_once)
{
	const struct leat_ads_weights weights = { 1, 0, .1f };
	const float *factors[LEAT_ADS_BLOCK], *tastes[LEAT_ADS_BLOCK];
	long sum = 0;
	for (size_t first = 0; first < USERS; first += at_once) {
		size_t count = USERS - first < at_once ? USERS - first : at_once;
		for (size_t i = 0; i < count; i++) {
			factors[i] = users[first + i];
			tastes[i] = interests[first + i];
		}
		leat_ads_score(ads, &weights, factors, tastes, count);
		for (size_t i = 0; i < count; i++)
			sum += leat_ads_best(ads, leat_ads_scores(ads, i));
	}
	return sum;
}

int main(void)
{
	static const size_t at_once[] = { 1, 2, 6, LEAT_ADS_BLOCK };
	struct leat_ads ads;
	void *memory = aligned_alloc(64, (leat_ads_size(ADS, RANK, CATEGORIES) + 63) / 64 * 64);
	if (!memory)
		return 1;
	leat_ads_place(&ads, memory, ADS, RANK, CATEGORIES);
	fill(&ads);
	for (size_t i = 0; i < sizeof at_once / sizeof *at_once; i++) {
		double best = 1e18;
		long sum = 0;
		for (int round = 0; round < 200; round++) {
			double start = now_ns();
			sum = score_all(&ads, at_once[i]);
			double each = (now_ns() - start) / USERS;
			best = each < best ? each : best;
		}
		printf("ads: 256 x rank 32, %2zu users at once: %6.1f ns per user (check %ld)\n", at_once[i], best, sum);
	}
	free(memory);
	return 0;
}
