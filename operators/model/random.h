/* Randomness as a pure function of ids: splitmix64, stable hashes, and the start values of factors. Any thread. */
#ifndef LEAT_MODEL_RANDOM_H
#define LEAT_MODEL_RANDOM_H

#include "base/column.h"

#include <stddef.h>
#include <stdint.h>

/* splitmix64 (Steele, Lea, Flood 2014). */
static inline uint64_t leat_random_mix(uint64_t z)
{
	z += 0x9E3779B97F4A7C15ull;
	z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
	z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
	return z ^ (z >> 31);
}

/* FNV-1a, 64 bits, then mixed: the same on every machine and in every version, because state hangs on it. */
uint64_t leat_random_hash(struct leat_bytes text);

/* The id of a key's text: its number when it is 1 to 18 decimal digits, else its hash. */
uint64_t leat_random_id(struct leat_bytes text);

/* Start value @k of the factors of @id: uniform in [-0.05, 0.05). */
static inline float leat_random_start(uint64_t id, size_t k)
{
	uint64_t seed = id * 64 + k % 64 + k / 64 * 0xD1342543DE82EF95ull;
	return ((float)(leat_random_mix(seed) >> 40) * (1.f / (1 << 24)) - .5f) * .1f;
}
void leat_random_fill(uint64_t id, float *factors, size_t rank);

/* Item ids are moved by this much, so that user 7 and item 7 do not start alike. */
#define LEAT_RANDOM_ITEM 0x517CC1B727220A95ull

#endif
