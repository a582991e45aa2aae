/* The inner loops of scoring: 16 ads by up to 6 users in registers, so that each number of an ad is loaded once for 6 users. */
#include "operators/model/ads_dot.h"
#include "operators/model/ads.h"

#include <math.h>
#include <string.h>

#define TILE LEAT_ADS_TILE
#define GROUP 6

/* ---- any processor ---- */

static void dot_plain(const float *matrix, size_t lanes, size_t rank, const float *const *users, size_t count, float *scores)
{
	for (size_t first = 0; first < lanes; first += TILE, matrix += rank * TILE) {
		for (size_t user = 0; user < count; user++) {
			float sum[TILE];
			memcpy(sum, scores + user * lanes + first, sizeof sum);
			for (size_t k = 0; k < rank; k++)
				for (size_t lane = 0; lane < TILE; lane++)
					sum[lane] += users[user][k] * matrix[k * TILE + lane];
			memcpy(scores + user * lanes + first, sum, sizeof sum);
		}
	}
}

static float highest_plain(const float *scores, size_t lanes)
{
	float best = -INFINITY;
	for (size_t lane = 0; lane < lanes; lane++)
		best = scores[lane] > best ? scores[lane] : best;
	return best;
}

static long find_plain(const float *scores, size_t lanes, float value, const uint32_t *order)
{
	long found = -1;
	for (size_t lane = 0; lane < lanes; lane++)
		if (scores[lane] == value && (found < 0 || order[lane] < order[found]))
			found = (long)lane;
	return found;
}

#if defined __x86_64__ && !defined LEAT_PLAIN_LANES
#include <immintrin.h>
#define AVX2 __attribute__((target("avx2,fma")))

/* @count is a constant where this is inlined, so that the sums stay in registers. */
AVX2 __attribute__((always_inline)) static inline void tile_avx2(const float *tile, size_t rank, const float *const *users, float *scores, size_t lanes, const int count)
{
	__m256 low[GROUP], high[GROUP];
	#pragma GCC unroll 6
	for (int i = 0; i < count; i++) {
		low[i] = _mm256_loadu_ps(scores + (size_t)i * lanes);
		high[i] = _mm256_loadu_ps(scores + (size_t)i * lanes + 8);
	}
	for (size_t k = 0; k < rank; k++) {
		__m256 ad_low = _mm256_loadu_ps(tile + k * TILE), ad_high = _mm256_loadu_ps(tile + k * TILE + 8);
		#pragma GCC unroll 6
		for (int i = 0; i < count; i++) {
			__m256 user = _mm256_broadcast_ss(users[i] + k);
			low[i] = _mm256_fmadd_ps(user, ad_low, low[i]);
			high[i] = _mm256_fmadd_ps(user, ad_high, high[i]);
		}
	}
	#pragma GCC unroll 6
	for (int i = 0; i < count; i++) {
		_mm256_storeu_ps(scores + (size_t)i * lanes, low[i]);
		_mm256_storeu_ps(scores + (size_t)i * lanes + 8, high[i]);
	}
}

AVX2 static void dot_avx2(const float *matrix, size_t lanes, size_t rank, const float *const *users, size_t count, float *scores)
{
	for (size_t first = 0; first < lanes; first += TILE, matrix += rank * TILE) {
		size_t user = 0;
		for (; user + GROUP <= count; user += GROUP)
			tile_avx2(matrix, rank, users + user, scores + user * lanes + first, lanes, GROUP);
		for (; user < count; user++)
			tile_avx2(matrix, rank, users + user, scores + user * lanes + first, lanes, 1);
	}
}

/* maxps takes its second operand when the first is not a number. */
AVX2 static float highest_avx2(const float *scores, size_t lanes)
{
	__m256 even = _mm256_set1_ps(-INFINITY), odd = even;
	for (size_t lane = 0; lane < lanes; lane += TILE) {
		even = _mm256_max_ps(_mm256_loadu_ps(scores + lane), even);
		odd = _mm256_max_ps(_mm256_loadu_ps(scores + lane + 8), odd);
	}
	even = _mm256_max_ps(even, odd);
	__m128 four = _mm_max_ps(_mm256_castps256_ps128(even), _mm256_extractf128_ps(even, 1));
	four = _mm_max_ps(four, _mm_movehl_ps(four, four));
	return _mm_cvtss_f32(_mm_max_ss(four, _mm_movehdup_ps(four)));
}

AVX2 static long find_avx2(const float *scores, size_t lanes, float value, const uint32_t *order)
{
	const __m256 values = _mm256_set1_ps(value);
	long found = -1;
	for (size_t first = 0; first < lanes; first += TILE) {
		__m256 low = _mm256_cmp_ps(_mm256_loadu_ps(scores + first), values, _CMP_EQ_OQ);
		__m256 high = _mm256_cmp_ps(_mm256_loadu_ps(scores + first + 8), values, _CMP_EQ_OQ);
		uint32_t equal = (uint32_t)_mm256_movemask_ps(low) | (uint32_t)_mm256_movemask_ps(high) << 8;
		for (; equal; equal &= equal - 1) {
			long lane = (long)first + __builtin_ctz(equal);
			if (found < 0 || order[lane] < order[found])
				found = lane;
		}
	}
	return found;
}

static int has_avx2(void)
{
	return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}
#else
#define dot_avx2 dot_plain
#define highest_avx2 highest_plain
#define find_avx2 find_plain
static int has_avx2(void)
{
	return 0;
}
#endif

void leat_ads_dot(const float *matrix, size_t lanes, size_t rank, const float *const *users, size_t count, float *scores)
{
	if (has_avx2())
		dot_avx2(matrix, lanes, rank, users, count, scores);
	else
		dot_plain(matrix, lanes, rank, users, count, scores);
}

float leat_ads_highest(const float *scores, size_t lanes)
{
	return has_avx2() ? highest_avx2(scores, lanes) : highest_plain(scores, lanes);
}

long leat_ads_find(const float *scores, size_t lanes, float value, const uint32_t *order)
{
	return has_avx2() ? find_avx2(scores, lanes, value, order) : find_plain(scores, lanes, value, order);
}
