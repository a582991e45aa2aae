/* Exponentially decayed sums: each value halves every half-life of event time. Late events add 1 undecayed. Any thread. */
#ifndef LEAT_MODEL_DECAY_H
#define LEAT_MODEL_DECAY_H

#include <stddef.h>
#include <stdint.h>

/* @to_ms - @from_ms, at most what an int64_t holds. */
static inline int64_t leat_decay_elapsed(int64_t from_ms, int64_t to_ms)
{
	int64_t elapsed_ms;
	if (__builtin_sub_overflow(to_ms, from_ms, &elapsed_ms))
		return to_ms > from_ms ? INT64_MAX : INT64_MIN;
	return elapsed_ms;
}
/* What is left after @elapsed_ms: 2^(-elapsed / half-life); 1 when no time or less than none has passed. */
float leat_decay_factor(int64_t elapsed_ms, double half_life_ms);
void leat_decay_apply(float *values, size_t count, float factor);
/*
 * Joins two decayed sums: afterwards @into (as of @into_ms) holds both as of the later of the two times.
 * @from (as of @from_ms) is not changed.
 */
void leat_decay_merge(float *into, int64_t into_ms, const float *from, int64_t from_ms, size_t count, double half_life_ms);

#endif
