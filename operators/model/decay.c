/* Exponentially decayed sums. */
#include "operators/model/decay.h"
#include "operators/model/lanes.h"

#include <math.h>

float leat_decay_factor(int64_t elapsed_ms, double half_life_ms)
{
	return elapsed_ms > 0 ? (float)exp(-(double)elapsed_ms * (M_LN2 / half_life_ms)) : 1.f;
}

void leat_decay_apply(float *values, size_t count, float factor)
{
	size_t i = 0;
	for (; i + 4 <= count; i += 4)
		leat_lanes_store(values + i, leat_lanes_load(values + i) * factor);
	for (; i < count; i++)
		values[i] *= factor;
}

void leat_decay_merge(float *into, int64_t into_ms, const float *from, int64_t from_ms, size_t count, double half_life_ms)
{
	int64_t later = into_ms > from_ms ? into_ms : from_ms;
	float into_factor = leat_decay_factor(leat_decay_elapsed(into_ms, later), half_life_ms);
	float from_factor = leat_decay_factor(leat_decay_elapsed(from_ms, later), half_life_ms);
	for (size_t i = 0; i < count; i++)
		into[i] = into[i] * into_factor + from[i] * from_factor;
}
