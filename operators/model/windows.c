/* Rolling windows in buckets. */
#include "operators/model/windows.h"

static int64_t floor_divide(int64_t value, int64_t by)
{
	int64_t quotient = value / by;
	return quotient - (value % by < 0);
}

static unsigned slot_of(int64_t bucket)
{
	int64_t slot = bucket % LEAT_WINDOW_BUCKETS;
	return (unsigned)(slot < 0 ? slot + LEAT_WINDOW_BUCKETS : slot);
}

/* Makes @bucket the newest; the buckets that leave the window become empty. */
static void advance(struct leat_window *window, int64_t bucket)
{
	if (!window->filled) {
		window->filled = 1;
		window->newest = bucket;
	}
	if (bucket <= window->newest)
		return;
	uint64_t steps = (uint64_t)bucket - (uint64_t)window->newest;
	if (steps > LEAT_WINDOW_BUCKETS)
		steps = LEAT_WINDOW_BUCKETS;
	for (uint64_t i = 0; i < steps; i++) {
		unsigned slot = slot_of(bucket - (int64_t)i);
		window->events[slot] = 0;
		window->amount[slot] = 0;
	}
	window->newest = bucket;
}

static void add(struct leat_window *window, int64_t bucket, uint32_t events, float amount)
{
	advance(window, bucket);
	if ((uint64_t)window->newest - (uint64_t)bucket >= LEAT_WINDOW_BUCKETS)
		return;
	unsigned slot = slot_of(bucket);
	if (window->events[slot] <= UINT32_MAX - events)
		window->events[slot] += events;
	window->amount[slot] += amount;
}

void leat_window_add(struct leat_window *window, int64_t span_ms, int64_t at_ms, double amount)
{
	add(window, floor_divide(at_ms, span_ms / LEAT_WINDOW_BUCKETS), 1, (float)amount);
}

uint64_t leat_window_events(const struct leat_window *window)
{
	uint64_t sum = 0;
	for (unsigned i = 0; i < LEAT_WINDOW_BUCKETS; i++)
		sum += window->events[i];
	return sum;
}

double leat_window_amount(const struct leat_window *window)
{
	double sum = 0;
	for (unsigned i = 0; i < LEAT_WINDOW_BUCKETS; i++)
		sum += (double)window->amount[i];
	return sum;
}

void leat_window_merge(struct leat_window *into, const struct leat_window *from)
{
	if (!from->filled)
		return;
	for (int64_t age = LEAT_WINDOW_BUCKETS - 1; age >= 0; age--) {
		int64_t bucket = from->newest - age;
		unsigned slot = slot_of(bucket);
		add(into, bucket, from->events[slot], from->amount[slot]);
	}
}
