/* Four floats at once, in a fixed order of operations, so that results do not hang on the compiler or the batch. */
#ifndef LEAT_MODEL_LANES_H
#define LEAT_MODEL_LANES_H

#include <stddef.h>
#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

typedef float leat_lanes __attribute__((vector_size(16)));

/* Arrays that are worked on in lanes have a length that is a multiple of this; what is beyond the rank stays 0. */
#define LEAT_LANES_STEP 8
static inline size_t leat_lanes_padded(size_t count)
{
	return (count + LEAT_LANES_STEP - 1) / LEAT_LANES_STEP * LEAT_LANES_STEP;
}

static inline leat_lanes leat_lanes_load(const float *from)
{
	leat_lanes lanes;
	memcpy(&lanes, from, sizeof lanes);
	return lanes;
}
static inline void leat_lanes_store(float *to, leat_lanes lanes)
{
	memcpy(to, &lanes, sizeof lanes);
}
static inline leat_lanes leat_lanes_all(float x)
{
	return (leat_lanes){ x, x, x, x };
}
/* Each lane within [-limit, limit]; not-a-number becomes -limit. */
static inline leat_lanes leat_lanes_clamp(leat_lanes x, float limit)
{
#ifdef __SSE2__
	return _mm_min_ps(_mm_max_ps(x, leat_lanes_all(-limit)), leat_lanes_all(limit));
#else
	for (int i = 0; i < 4; i++) {
		x[i] = x[i] > -limit ? x[i] : -limit;
		x[i] = x[i] < limit ? x[i] : limit;
	}
	return x;
#endif
}
static inline float leat_lanes_sum(leat_lanes x)
{
	return (x[0] + x[2]) + (x[1] + x[3]);
}

/* Sum of a[k] * b[k]; @padded is a multiple of LEAT_LANES_STEP. */
static inline float leat_lanes_dot(const float *a, const float *b, size_t padded)
{
	leat_lanes even = leat_lanes_all(0), odd = even;
	for (size_t k = 0; k < padded; k += LEAT_LANES_STEP) {
		even += leat_lanes_load(a + k) * leat_lanes_load(b + k);
		odd += leat_lanes_load(a + k + 4) * leat_lanes_load(b + k + 4);
	}
	return leat_lanes_sum(even + odd);
}

#endif
