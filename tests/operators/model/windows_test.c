/* Rolling windows against a list of all events. */
#include "operators/model/windows.h"
#include "operators/model/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define HOUR INT64_C(3600000)
#define BUCKET (HOUR / 24)

static void events_of_the_last_span_are_counted(void **state)
{
	struct leat_window window = { 0 };
	(void)state;
	leat_window_add(&window, HOUR, 0, 2.5);
	leat_window_add(&window, HOUR, 10 * BUCKET, 1);
	leat_window_add(&window, HOUR, 23 * BUCKET, 0.5);
	assert_int_equal(leat_window_events(&window), 3);
	assert_true(leat_window_amount(&window) == 4.0);
	leat_window_add(&window, HOUR, 24 * BUCKET, 1);
	assert_int_equal(leat_window_events(&window), 3);
	assert_true(leat_window_amount(&window) == 2.5);
}

static void a_long_silence_empties_the_window(void **state)
{
	struct leat_window window = { 0 };
	(void)state;
	for (int i = 0; i < 100; i++)
		leat_window_add(&window, HOUR, i, 1);
	leat_window_add(&window, HOUR, 1000 * HOUR, 7);
	assert_int_equal(leat_window_events(&window), 1);
	assert_true(leat_window_amount(&window) == 7.0);
}

static void a_late_event_goes_where_it_belongs_or_nowhere(void **state)
{
	struct leat_window window = { 0 };
	(void)state;
	leat_window_add(&window, HOUR, 30 * BUCKET, 1);
	leat_window_add(&window, HOUR, 7 * BUCKET, 1);
	assert_int_equal(leat_window_events(&window), 2);
	leat_window_add(&window, HOUR, 7 * BUCKET - 1, 1);
	assert_int_equal(leat_window_events(&window), 2);
	leat_window_add(&window, HOUR, 31 * BUCKET, 1);
	assert_int_equal(leat_window_events(&window), 2);
}

static void times_before_1970_work(void **state)
{
	struct leat_window window = { 0 };
	(void)state;
	leat_window_add(&window, HOUR, -1, 1);
	leat_window_add(&window, HOUR, 0, 1);
	leat_window_add(&window, HOUR, -23 * BUCKET, 1);
	assert_int_equal(leat_window_events(&window), 3);
	leat_window_add(&window, HOUR, -23 * BUCKET - 1, 1);
	assert_int_equal(leat_window_events(&window), 3);
}

static void extreme_times_do_no_harm(void **state)
{
	struct leat_window window = { 0 };
	(void)state;
	leat_window_add(&window, 24000, INT64_MIN, 1);
	leat_window_add(&window, 24000, INT64_MAX, 1);
	leat_window_add(&window, 24000, INT64_MIN, 1);
	assert_int_equal(leat_window_events(&window), 1);
}

static void any_order_of_random_events_equals_a_recount(void **state)
{
	int64_t times[300];
	struct leat_window window = { 0 };
	int64_t newest = INT64_MIN;
	(void)state;
	for (uint64_t i = 0; i < 300; i++) {
		times[i] = (int64_t)(leat_random_mix(i) % (uint64_t)(6 * HOUR)) + (int64_t)i * (HOUR / 40);
		leat_window_add(&window, HOUR, times[i], 1);
		newest = times[i] > newest ? times[i] : newest;
		uint64_t wanted = 0;
		for (uint64_t j = 0; j <= i; j++)
			wanted += times[j] / BUCKET > newest / BUCKET - 24;
		assert_int_equal(leat_window_events(&window), wanted);
	}
}

static void merged_windows_equal_one_window(void **state)
{
	struct leat_window left = { 0 }, right = { 0 }, whole = { 0 }, none = { 0 };
	(void)state;
	for (int i = 0; i < 40; i++) {
		leat_window_add(i % 3 ? &left : &right, HOUR, i * BUCKET + 5, 1 + i);
		leat_window_add(&whole, HOUR, i * BUCKET + 5, 1 + i);
	}
	struct leat_window other = right;
	leat_window_merge(&other, &left);
	leat_window_merge(&left, &right);
	assert_memory_equal(&left, &whole, sizeof whole);
	assert_memory_equal(&other, &whole, sizeof whole);
	leat_window_merge(&left, &none);
	assert_memory_equal(&left, &whole, sizeof whole);
	leat_window_merge(&none, &left);
	assert_memory_equal(&none, &whole, sizeof whole);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(events_of_the_last_span_are_counted),
		cmocka_unit_test(a_long_silence_empties_the_window),
		cmocka_unit_test(a_late_event_goes_where_it_belongs_or_nowhere),
		cmocka_unit_test(times_before_1970_work),
		cmocka_unit_test(extreme_times_do_no_harm),
		cmocka_unit_test(any_order_of_random_events_equals_a_recount),
		cmocka_unit_test(merged_windows_equal_one_window),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
