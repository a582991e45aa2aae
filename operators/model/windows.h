/*
 * Rolling windows in buckets: events and amounts of the last span, accurate to one 24th of the span.
 * A window is a plain struct that may be stored. "Now" is the newest time it has seen. Any thread.
 */
#ifndef LEAT_MODEL_WINDOWS_H
#define LEAT_MODEL_WINDOWS_H

#include <stdint.h>

#define LEAT_WINDOW_BUCKETS 24

struct leat_window {
	int64_t newest;                         /* number of the newest bucket since 1970; meaningless while events are 0 */
	uint32_t filled;                        /* 0: nothing was added yet                                               */
	uint32_t events[LEAT_WINDOW_BUCKETS];   /* bucket n at n mod 24                                                   */
	float amount[LEAT_WINDOW_BUCKETS];
};

/* Adds an event at @at_ms with @amount to the window over @span_ms (at least 24,000); older than the window: ignored. */
void leat_window_add(struct leat_window *window, int64_t span_ms, int64_t at_ms, double amount);
uint64_t leat_window_events(const struct leat_window *window);
double leat_window_amount(const struct leat_window *window);
/* Adds what @from holds to @into, as if its events had come here. */
void leat_window_merge(struct leat_window *into, const struct leat_window *from);

#endif
