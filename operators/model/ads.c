/* Scoring a catalogue: the arithmetic's inner loops are in ads_dot.c. */
#include "operators/model/ads.h"
#include "operators/model/ads_dot.h"
#include "operators/model/lanes.h"

#include <math.h>

/* Hands out @count things of @size from @memory at *used, on a cache line; with @memory NULL it only counts. */
static void *take(void *memory, size_t *used, size_t count, size_t size)
{
	size_t at = (*used + 63) / 64 * 64;
	*used = at + count * size;
	return memory ? (char *)memory + at : NULL;
}

static size_t place(struct leat_ads *ads, void *memory, size_t capacity, size_t rank, size_t categories)
{
	size_t lanes = leat_ads_lanes(capacity), used = 0;
	*ads = (struct leat_ads){ .capacity = capacity, .rank = rank, .categories = categories };
	ads->matrix = take(memory, &used, lanes * rank, sizeof *ads->matrix);
	ads->base = take(memory, &used, lanes, sizeof *ads->base);
	ads->inverse_norm = take(memory, &used, lanes, sizeof *ads->inverse_norm);
	ads->order = take(memory, &used, lanes, sizeof *ads->order);
	ads->category = take(memory, &used, lanes, sizeof *ads->category);
	ads->runs = take(memory, &used, categories + 1, sizeof *ads->runs);
	ads->scores = take(memory, &used, LEAT_ADS_BLOCK * lanes + LEAT_ADS_TILE, sizeof *ads->scores);
	return used;
}

size_t leat_ads_size(size_t capacity, size_t rank, size_t categories)
{
	struct leat_ads ads;
	return place(&ads, NULL, capacity, rank, categories);
}

void leat_ads_place(struct leat_ads *ads, void *memory, size_t capacity, size_t rank, size_t categories)
{
	place(ads, memory, capacity, rank, categories);
}

void leat_ads_begin(struct leat_ads *ads, const int32_t *category, size_t count)
{
	uint32_t next[LEAT_ADS_CATEGORIES + 1] = { 0 }, lane = 0;
	ads->count = count;
	ads->lanes = leat_ads_lanes(count);
	ads->run_count = 0;
	ads->based = false;
	memset(ads->matrix, 0, ads->lanes * ads->rank * sizeof *ads->matrix);
	for (size_t i = 0; i < count; i++)
		next[category[i] + 1]++;
	for (size_t c = 0; c <= ads->categories; c++) {
		uint32_t many = next[c];
		next[c] = lane;
		if (many)
			ads->runs[ads->run_count++] = (struct leat_ads_run){ lane, lane + many, (int32_t)c - 1 };
		lane += many;
	}
	for (size_t i = 0; i < count; i++) {
		uint32_t to = next[category[i] + 1]++;
		ads->order[to] = (uint32_t)i;
		ads->category[to] = category[i];
		ads->base[to] = 0;
		ads->inverse_norm[to] = 0;
	}
}

void leat_ads_set(struct leat_ads *ads, size_t lane, const float *factors, float base)
{
	float *tile = ads->matrix + lane / LEAT_ADS_TILE * LEAT_ADS_TILE * ads->rank + lane % LEAT_ADS_TILE, norm = 0;
	for (size_t k = 0; k < ads->rank; k++) {
		tile[k * LEAT_ADS_TILE] = factors[k];
		norm += factors[k] * factors[k];
	}
	ads->inverse_norm[lane] = norm > 0 ? 1 / sqrtf(norm) : 0;
	ads->base[lane] = base;
	ads->based |= base != 0;
}

/* A run is written four lanes at a time; what it writes too much the next run, the padding or the next user writes over. */
static void fill(float *scores, uint32_t first, uint32_t last, float value)
{
	leat_lanes lanes = leat_lanes_all(value);
	for (uint32_t lane = first; lane < last; lane += 4)
		leat_lanes_store(scores + lane, lanes);
}

static void start(const struct leat_ads *ads, float *scores, float weight, const float *interests)
{
	for (size_t i = 0; i < ads->run_count; i++) {
		const struct leat_ads_run *run = &ads->runs[i];
		fill(scores, run->first, run->last, interests && run->category >= 0 ? weight * interests[run->category] : 0);
	}
	if (ads->based)
		for (size_t lane = 0; lane < ads->count; lane++)
			scores[lane] += ads->base[lane];
	fill(scores, (uint32_t)ads->count, (uint32_t)ads->lanes, -INFINITY);
}

/* Both products at once: the plain sum stands in @scores, which starts at 0, then each lane gets its own weight. */
static void score_cosine(struct leat_ads *ads, const struct leat_ads_weights *weights, const float *factors, const float *interests, float *scores)
{
	float norm = 0;
	for (size_t k = 0; k < ads->rank; k++)
		norm += factors[k] * factors[k];
	float cosine = norm > 0 ? weights->cosine / sqrtf(norm) : 0;
	for (size_t lane = 0; lane < ads->lanes; lane++)
		scores[lane] = 0;
	leat_ads_dot(ads->matrix, ads->lanes, ads->rank, &factors, 1, scores);
	for (size_t i = 0; i < ads->run_count; i++) {
		const struct leat_ads_run *run = &ads->runs[i];
		float part = interests && run->category >= 0 ? weights->interest * interests[run->category] : 0;
		for (uint32_t lane = run->first; lane < run->last; lane++)
			scores[lane] = (part + ads->base[lane]) + scores[lane] * (weights->factors + cosine * ads->inverse_norm[lane]);
	}
	for (size_t lane = ads->count; lane < ads->lanes; lane++)
		scores[lane] = -INFINITY;
}

void leat_ads_score(struct leat_ads *ads, const struct leat_ads_weights *weights, const float *const *factors, const float *const *interests, size_t users)
{
	float scaled[LEAT_ADS_BLOCK][LEAT_ADS_RANK_MAX];
	const float *rows[LEAT_ADS_BLOCK];
	if (weights->cosine != 0) {
		for (size_t user = 0; user < users; user++)
			score_cosine(ads, weights, factors[user], interests ? interests[user] : NULL, leat_ads_scores(ads, user));
		return;
	}
	for (size_t user = 0; user < users; user++)
		start(ads, leat_ads_scores(ads, user), weights->interest, interests ? interests[user] : NULL);
	if (weights->factors == 0)
		return;
	for (size_t user = 0; user < users; user++) {
		rows[user] = factors[user];
		if (weights->factors == 1)
			continue;
		for (size_t k = 0; k < ads->rank; k++)
			scaled[user][k] = weights->factors * factors[user][k];
		rows[user] = scaled[user];
	}
	leat_ads_dot(ads->matrix, ads->lanes, ads->rank, rows, users, ads->scores);
}

long leat_ads_best(const struct leat_ads *ads, const float *scores)
{
	float best = leat_ads_highest(scores, ads->lanes);
	return best == -INFINITY ? -1 : leat_ads_find(scores, ads->lanes, best, ads->order);
}
