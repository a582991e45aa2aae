/* Clock: the only place that reads the system's time. */
#include "base/base.h"

#include <time.h>

static int64_t read_us(clockid_t id)
{
	struct timespec now;
	clock_gettime(id, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int64_t leat_clock_wall_ms(const struct leat_clock *clock)
{
	return clock ? clock->wall_ms(clock->self) : read_us(CLOCK_REALTIME) / 1000;
}

int64_t leat_clock_mono_us(const struct leat_clock *clock)
{
	return clock ? clock->mono_us(clock->self) : read_us(CLOCK_MONOTONIC);
}
