/*
 * Scoring a catalogue for many users at once: score = start + sum over k of user[k] * ad[k], then the best or the k best.
 *
 * Ads lie across vector lanes and k runs in sequence, so a score has one fixed order of operations however many users are scored together:
 * any batch size gives the same bytes on one kind of processor (with AVX2 and FMA, or without). Ads are ordered by category, so that the
 * interest in a category is laid down as runs instead of gathered. The memory is the caller's. Any thread while nobody writes.
 */
#ifndef LEAT_MODEL_ADS_H
#define LEAT_MODEL_ADS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LEAT_ADS_TILE 16        /* lanes worked on together; the number of lanes is a multiple of it */
#define LEAT_ADS_BLOCK 12       /* users that leat_ads_score() takes at most: their scores stay in L1 */
#define LEAT_ADS_RANK_MAX 128
#define LEAT_ADS_CATEGORIES 1024

/* Lanes [first, last) hold ads of @category. */
struct leat_ads_run {
	uint32_t first, last;
	int32_t category;       /* -1: none */
};

struct leat_ads {
	size_t capacity, rank, categories;      /* as given to leat_ads_place()               */
	size_t count, lanes;                    /* ads, and ads padded to full tiles          */
	float *matrix;                          /* [lanes / TILE][rank][TILE]                 */
	float *base;                            /* [lanes] part of the score without the user */
	float *inverse_norm;                    /* [lanes] 1 / |ad|, 0 for a zero vector      */
	uint32_t *order;                        /* [lanes] lane -> number of the ad           */
	int32_t *category;                      /* [lanes]                                    */
	struct leat_ads_run *runs;
	size_t run_count;
	bool based;                             /* some base is not 0                         */
	float *scores;                          /* [BLOCK][lanes] and a tile of spare         */
};

struct leat_ads_weights {
	float factors, cosine, interest;
};

static inline size_t leat_ads_lanes(size_t count)
{
	return (count + LEAT_ADS_TILE - 1) / LEAT_ADS_TILE * LEAT_ADS_TILE;
}

/* Bytes that leat_ads_place() needs for up to @capacity ads. */
size_t leat_ads_size(size_t capacity, size_t rank, size_t categories);
/* Lays an empty catalogue into @memory: leat_ads_size() bytes, zeroed, 64-byte aligned. */
void leat_ads_place(struct leat_ads *ads, void *memory, size_t capacity, size_t rank, size_t categories);
/*
 * Starts a new catalogue of @count <= capacity ads with these categories (-1: none; else below @categories), ordered by category and within it
 * as given. ads->order tells afterwards which ad each lane is for; then set each lane.
 */
void leat_ads_begin(struct leat_ads *ads, const int32_t *category, size_t count);
void leat_ads_set(struct leat_ads *ads, size_t lane, const float *factors, float base);

/*
 * Scores all ads for @users <= LEAT_ADS_BLOCK users into ads->scores, row by row. @factors: [rank] each; @interests: [categories] each, or NULL
 * for nobody's. score = base + interest[category] * w + w_factors * (p.a) + w_cosine * (p.a) / (|p| |a|). Padding gets -infinity.
 */
void leat_ads_score(struct leat_ads *ads, const struct leat_ads_weights *weights, const float *const *factors, const float *const *interests, size_t users);
static inline float *leat_ads_scores(struct leat_ads *ads, size_t user)
{
	return ads->scores + user * ads->lanes;
}
/* The lane with the highest of @scores; the ad with the lowest number wins a tie; -1 when all are -infinity or not numbers. */
long leat_ads_best(const struct leat_ads *ads, const float *scores);

#endif
