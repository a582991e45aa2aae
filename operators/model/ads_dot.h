/* The inner loops of ads.c, with AVX2 and FMA where the processor has them. Any thread. */
#ifndef LEAT_MODEL_ADS_DOT_H
#define LEAT_MODEL_ADS_DOT_H

#include <stddef.h>
#include <stdint.h>

/* scores[u][lane] += sum over k, in sequence, of users[u][k] * matrix[lane / 16][k][lane % 16]; @lanes is a multiple of 16. */
void leat_ads_dot(const float *matrix, size_t lanes, size_t rank, const float *const *users, size_t count, float *scores);
/* The largest of @scores that is a number; -infinity when there is none. */
float leat_ads_highest(const float *scores, size_t lanes);
/* Of the lanes whose score is @value the one with the smallest @order; -1 when there is none. */
long leat_ads_find(const float *scores, size_t lanes, float value, const uint32_t *order);

#endif
