/* Tests of the operator sessionize. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/harness.h"

#define FIELDS "user:string ts:int n:int? id:string?"
#define SHOW "user ts session_start session_events key start end duration_ms events closed_by"
/* Failing allocations take most of a scenario's time, and each operator's own are met by the scenarios without this. */
#define QUICK .without = LEAT_SCENARIO_ALLOCATIONS
#define WHEN(...) .when = (const char *const[]){ __VA_ARGS__, NULL }
#define E(user, ts) "{\"user\":\"" user "\",\"ts\":" #ts "}"
#define SCENARIO .use = "sessionize", .fields = FIELDS, .time = "ts", .key = "user"

static void events_without_a_long_pause_are_one_session(void **state)
{
	(void)state;
	leat_scenario(&(struct leat_scenario){ QUICK, SCENARIO, .with = "{ gap: 10ms }", .show = SHOW, WHEN(E("a", 100), E("a", 109), E("b", 110), E("a", 118), E("c", 1000)),
		.then = "events: a 100 100 1\nevents: a 109 100 2\nevents: b 110 110 1\nevents: a 118 100 3\n"
			"sessions: b 110 110 0 1 gap\nsessions: a 100 118 18 3 gap\nevents: c 1000 1000 1\n" });
}

static void a_pause_of_the_gap_parts_two_sessions(void **state)
{
	(void)state;
	leat_scenario(&(struct leat_scenario){ QUICK, SCENARIO, .with = "{ gap: 10ms }", .show = SHOW, WHEN(E("a", 100), E("a", 110), E("a", 119), E("b", 129)),
		.then = "events: a 100 100 1\nsessions: a 100 100 0 1 gap\nevents: a 110 110 1\nevents: a 119 110 2\nsessions: a 110 119 9 2 gap\nevents: b 129 129 1\n" });
}

/* The same where the watermark lags behind: which session an event joins does not hang on the lateness. */
static void a_pause_of_the_gap_parts_them_under_lateness_too(void **state)
{
	(void)state;
	leat_scenario(&(struct leat_scenario){ QUICK, SCENARIO, .with = "{ gap: 10ms }", .lateness = "1s", .show = SHOW, WHEN(E("a", 100), E("a", 110), E("a", 119), E("b", 2000)),
		.then = "events: a 100 100 1\nevents: a 110 110 1\nevents: a 119 110 2\nsessions: a 100 100 0 1 gap\nsessions: a 110 119 9 2 gap\nevents: b 2000 2000 1\n" });
}

static void an_older_event_moves_the_start_back(void **state)
{
	(void)state;
	leat_scenario(&(struct leat_scenario){ SCENARIO, .with = "{ gap: 10ms }", .lateness = "50ms", .show = SHOW, WHEN(E("a", 100), E("a", 91), E("a", 105), E("a", 95), E("b", 500)),
		.then = "events: a 100 100 1\nevents: a 91 91 2\nevents: a 105 91 3\nevents: a 95 91 4\nsessions: a 91 105 14 4 gap\nevents: b 500 500 1\n" });
}

/* 100 and 130 are two sessions; 115 is outside of both; 106 and 125 join the nearer one each. */
static void an_older_event_joins_the_session_it_belongs_to(void **state)
{
	(void)state;
	leat_scenario(&(struct leat_scenario){ QUICK, SCENARIO, .with = "{ gap: 10ms }", .lateness = "1s", .show = SHOW,
		WHEN(E("a", 100), E("a", 130), E("a", 115), E("a", 106), E("a", 125), E("b", 5000)),
		.then = "events: a 100 100 1\nevents: a 130 130 1\nevents: a 115 115 1\nevents: a 106 100 2\nevents: a 125 125 2\n"
			"sessions: a 100 106 6 2 gap\nsessions: a 115 115 0 1 gap\nsessions: a 125 130 5 2 gap\nevents: b 5000 5000 1\n" });
}

/* 109 lies within the gap of both and as near to either: the earlier one gets it, and they stay two. */
static void open_sessions_never_merge(void **state)
{
	(void)state;
	leat_scenario(&(struct leat_scenario){ QUICK, SCENARIO, .with = "{ gap: 10ms }", .lateness = "1s", .show = SHOW, WHEN(E("a", 100), E("a", 118), E("a", 109), E("b", 5000)),
		.then = "events: a 100 100 1\nevents: a 118 118 1\nevents: a 109 100 2\nsessions: a 100 109 9 2 gap\nsessions: a 118 118 0 1 gap\nevents: b 5000 5000 1\n" });
}

/* 50 + 10 is behind the watermark of 100; 95 is late, but its session is not over yet. */
static void a_late_event_is_a_session_of_its_own(void **state)
{
	(void)state;
	leat_scenario(&(struct leat_scenario){ QUICK, SCENARIO, .with = "{ gap: 10ms }", .show = SHOW, WHEN(E("b", 100), E("a", 50), E("a", 51), E("a", 95), E("b", 105), E("b", 200)),
		.then = "events: b 100 100 1\nevents: a 50 50 1\nsessions: a 50 50 0 1 late\nevents: a 51 51 1\nsessions: a 51 51 0 1 late\n"
			"events: a 95 95 1\nsessions: a 95 95 0 1 gap\nevents: b 105 100 2\nsessions: b 100 105 5 2 gap\nevents: b 200 200 1\n" });
}

static void a_session_ends_at_its_longest_length(void **state)
{
	(void)state;
	leat_scenario(&(struct leat_scenario){ SCENARIO, .with = "{ gap: 10ms, max_length: 15ms }", .show = SHOW, WHEN(E("a", 100), E("a", 108), E("a", 115), E("a", 116), E("a", 120), E("b", 900)),
		.then = "events: a 100 100 1\nevents: a 108 100 2\nevents: a 115 100 3\nevents: a 116 116 1\nsessions: a 100 115 15 3 max_length\nevents: a 120 116 2\n"
			"sessions: a 116 120 4 2 gap\nevents: b 900 900 1\n" });
}

static void a_session_ends_at_its_last_event_allowed(void **state)
{
	(void)state;
	leat_scenario(&(struct leat_scenario){ QUICK, SCENARIO, .with = "{ gap: 10ms, max_events: 2 }", .show = SHOW, WHEN(E("a", 100), E("a", 100), E("a", 100), E("a", 105), E("a", 106), E("b", 900)),
		.then = "events: a 100 100 1\nevents: a 100 100 2\nevents: a 100 100 1\nsessions: a 100 100 0 2 max_events\nevents: a 105 100 2\nevents: a 106 106 1\n"
			"sessions: a 100 105 5 2 max_events\nsessions: a 106 106 0 1 gap\nevents: b 900 900 1\n" });
}

/* 91 would make the session of 100..105 too long; that one goes on. */
static void an_older_event_does_not_end_a_session(void **state)
{
	(void)state;
	leat_scenario(&(struct leat_scenario){ QUICK, SCENARIO, .with = "{ gap: 10ms, max_length: 10ms }", .lateness = "1s", .show = SHOW, WHEN(E("a", 100), E("a", 105), E("a", 91), E("a", 108), E("b", 5000)),
		.then = "events: a 100 100 1\nevents: a 105 100 2\nevents: a 91 91 1\nevents: a 108 100 3\nsessions: a 91 91 0 1 gap\nsessions: a 100 108 8 3 gap\nevents: b 5000 5000 1\n" });
}

static void the_fifth_open_session_closes_the_oldest(void **state)
{
	(void)state;
	leat_scenario(&(struct leat_scenario){ QUICK, SCENARIO, .with = "{ gap: 10ms }", .lateness = "1s", .show = SHOW, WHEN(E("a", 140), E("a", 120), E("a", 160), E("a", 100), E("a", 180), E("b", 5000)),
		.then = "events: a 140 140 1\nevents: a 120 120 1\nevents: a 160 160 1\nevents: a 100 100 1\nevents: a 180 180 1\nsessions: a 100 100 0 1 crowded\n"
			"sessions: a 120 120 0 1 gap\nsessions: a 140 140 0 1 gap\nsessions: a 160 160 0 1 gap\nsessions: a 180 180 0 1 gap\nevents: b 5000 5000 1\n" });
}

/* The id hangs on the key and the the first event to arrive: neither a start that moves back nor the batch changes it, and another key or event has another one. */
static void an_id_stays_and_is_the_same_in_both_outputs(void **state)
{
	(void)state;
	leat_scenario(&(struct leat_scenario){ QUICK, SCENARIO, .id = "id", .with = "{ gap: 10ms }", .lateness = "20ms", .show = "user session_id key",
		WHEN("{\"user\":\"a\",\"ts\":100,\"id\":\"x\"}", "{\"user\":\"a\",\"ts\":95,\"id\":\"y\"}", "{\"user\":\"b\",\"ts\":100,\"id\":\"x\"}", "{\"user\":\"a\",\"ts\":120,\"id\":\"y\"}", "{\"user\":\"a\",\"ts\":900,\"id\":\"x\"}"),
		.then = "events: a d003a467559b8a3b\nevents: a d003a467559b8a3b\nevents: b c282851bb40e0d6e\nevents: a edf1cf2b9af5bac0\n"
			"sessions: c282851bb40e0d6e b\nsessions: d003a467559b8a3b a\nsessions: edf1cf2b9af5bac0 a\nevents: a a53d61084d8032e5\n" });
}

static void a_field_may_be_the_key(void **state)
{
	(void)state;
	leat_scenario(&(struct leat_scenario){ .use = "sessionize", .fields = FIELDS, .time = "ts", .with = "{ gap: 10ms, key: n }", .show = SHOW,
		WHEN("{\"user\":\"a\",\"ts\":100,\"n\":-9223372036854775808}", "{\"user\":\"b\",\"ts\":101,\"n\":0}", "{\"user\":\"c\",\"ts\":102,\"n\":-9223372036854775808}", "{\"user\":\"d\",\"ts\":103}",
		     "{\"user\":\"e\",\"ts\":900,\"n\":0}"),
		.then = "events: a 100 100 1\nevents: b 101 101 1\nevents: c 102 100 2\nsessions: 0 101 101 0 1 gap\nsessions: -9223372036854775808 100 102 2 2 gap\nevents: e 900 900 1\n"
			"rejected: null_key\n" });
}

static void a_text_field_may_be_the_key(void **state)
{
	(void)state;
	leat_scenario(&(struct leat_scenario){ QUICK, .use = "sessionize", .fields = FIELDS, .time = "ts", .with = "{ gap: 10ms, key: user }", .show = SHOW,
		WHEN(E("", 100), E("\u00e4", 101), E("", 109), E("x", 900)),
		.then = "events:  100 100 1\nevents: \u00e4 101 101 1\nevents:  109 100 2\nsessions: \u00e4 101 101 0 1 gap\nsessions:  100 109 9 2 gap\nevents: x 900 900 1\n" });
}

/* The timer is set for 110 and finds the session of 105 still open then. */
static void a_timer_that_comes_early_is_set_again(void **state)
{
	(void)state;
	leat_scenario(&(struct leat_scenario){ QUICK, SCENARIO, .with = "{ gap: 10ms }", .show = SHOW, WHEN(E("a", 100), E("a", 105), E("b", 112), E("a", 114), E("b", 900)),
		.then = "events: a 100 100 1\nevents: a 105 100 2\nevents: b 112 112 1\nevents: a 114 100 3\nsessions: b 112 112 0 1 gap\nsessions: a 100 114 14 3 gap\nevents: b 900 900 1\n" });
}

static void sessions_can_be_processed_further(void **state)
{
	(void)state;
	leat_scenario(&(struct leat_scenario){ .use = "map", .with = "{ set: { rate: events * 1000 / duration_ms } }", .fields = FIELDS, .time = "ts", .key = "user", .show = "key rate",
		.before = "[{ id: s, use: sessionize, from: in, with: { gap: 10ms } }, { id: long, use: filter, from: s.sessions, with: { where: events > 1 } }]",
		WHEN(E("a", 100), E("a", 105), E("b", 112), E("c", 900)), .then = "mapped: a 400\n" });
}

static void wrong_options_are_refused(void **state)
{
	(void)state;
	leat_scenario_refused("sessionize", "{ gap: 0 }", FIELDS, "gap");
	leat_scenario_refused("sessionize", "{ gap: a while }", FIELDS, "must be a time");
	leat_scenario_refused("sessionize", "{ max_events: -1 }", FIELDS, "max_events");
	leat_scenario_refused("sessionize", "{ key: price }", "price:double", "must name a field of type int, string; 'price' is not");
	leat_scenario_refused("sessionize", "{ gap: 1s }", "session_id:string", "adds the column 'session_id', which is already there; rename it with as: { session_id: other }");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(events_without_a_long_pause_are_one_session),
		cmocka_unit_test(a_pause_of_the_gap_parts_two_sessions),
		cmocka_unit_test(a_pause_of_the_gap_parts_them_under_lateness_too),
		cmocka_unit_test(an_older_event_moves_the_start_back),
		cmocka_unit_test(an_older_event_joins_the_session_it_belongs_to),
		cmocka_unit_test(open_sessions_never_merge),
		cmocka_unit_test(a_late_event_is_a_session_of_its_own),
		cmocka_unit_test(a_session_ends_at_its_longest_length),
		cmocka_unit_test(a_session_ends_at_its_last_event_allowed),
		cmocka_unit_test(an_older_event_does_not_end_a_session),
		cmocka_unit_test(the_fifth_open_session_closes_the_oldest),
		cmocka_unit_test(an_id_stays_and_is_the_same_in_both_outputs),
		cmocka_unit_test(a_field_may_be_the_key),
		cmocka_unit_test(a_text_field_may_be_the_key),
		cmocka_unit_test(a_timer_that_comes_early_is_set_again),
		cmocka_unit_test(sessions_can_be_processed_further),
		cmocka_unit_test(wrong_options_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
