/* Tests of the operator map. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/harness.h"

#define FIELDS "user:string price:double? n:int? type:enum(VIEW,CART)? tags:strings? weights:floats? single:float?"
/* Failing allocations take most of a scenario's time, and each operator's own are met by the scenarios without this. */
#define QUICK .without = LEAT_SCENARIO_ALLOCATIONS
#define WHEN(...) .when = (const char *const[]){ __VA_ARGS__, NULL }

static void columns_have_the_types_of_their_expressions(void **state)
{
	(void)state;
	leat_scenario(&(struct leat_scenario){ .use = "map", .with = "{ set: { total: price * n, twice: n * 2, dear: price > 10, name: \"user + '!'\" } }", .fields = FIELDS, .show = "total twice dear name",
		WHEN("{\"user\":\"a\",\"price\":2.5,\"n\":3}", "{\"user\":\"\",\"price\":20,\"n\":-1}"), .then = "mapped: 7.5 6 false a!\nmapped: -20 -2 true !\n" });
}

static void null_stays_null(void **state)
{
	(void)state;
	leat_scenario(&(struct leat_scenario){ QUICK, .use = "map", .with = "{ set: { a: price * 2, b: \"if_null(n, 7)\", c: user, d: n / 0 } }", .fields = FIELDS, .show = "a b c d",
		WHEN("{\"user\":\"x\"}", "{\"user\":\"y\",\"price\":1,\"n\":2}", "{\"user\":\"z\"}"), .then = "mapped: null 7 x null\nmapped: 2 2 y null\nmapped: null 7 z null\n" });
}

static void numbers_at_their_limits_overflow_to_null(void **state)
{
	(void)state;
	leat_scenario(&(struct leat_scenario){ QUICK, .use = "map", .with = "{ set: { up: n + 1, down: n - 1, same: n } }", .fields = FIELDS, .show = "up down same",
		WHEN("{\"user\":\"a\",\"n\":9223372036854775807}", "{\"user\":\"b\",\"n\":-9223372036854775808}"),
		.then = "mapped: null 9223372036854775806 9223372036854775807\nmapped: -9223372036854775807 null -9223372036854775808\n" });
}

static void enums_become_text_and_lists_stay_lists(void **state)
{
	(void)state;
	leat_scenario(&(struct leat_scenario){ .use = "map", .with = "{ set: { kind: type, words: tags, numbers: weights, one: single } }", .fields = FIELDS, .show = "kind words numbers one",
		WHEN("{\"user\":\"a\",\"type\":\"CART\",\"tags\":[\"x\",\"\"],\"weights\":[1,0.5],\"single\":0.25}", "{\"user\":\"b\",\"tags\":[]}"),
		.then = "mapped: CART [x,] [1,0.5] 0.25\nmapped: null [] null null\n" });
}

/* y is computed from the n of the event, not from the new one. */
static void an_expression_does_not_see_the_others(void **state)
{
	(void)state;
	leat_scenario_refused("map", "{ set: { a: n + 1, b: a + 1 } }", FIELDS, "a");
}

static void maps_may_follow_one_another(void **state)
{
	(void)state;
	leat_scenario(&(struct leat_scenario){ QUICK, .use = "map", .with = "{ set: { b: a + 1 } }", .before = "[{ id: first, use: map, from: in, with: { set: { a: n + 1 } } }]", .fields = FIELDS, .show = "a b",
		WHEN("{\"user\":\"x\",\"n\":1}"), .then = "mapped: 2 3\n" });
}

static void what_cannot_be_a_column_is_refused(void **state)
{
	(void)state;
	leat_scenario_refused("map", NULL, FIELDS, "'set' is missing");
	leat_scenario_refused("map", "{ set: {} }", FIELDS, "'set' must name at least one column");
	leat_scenario_refused("map", "{ set: { n: n + 1 } }", FIELDS, "adds the column 'n', which is already there; rename it with as: { n: other }");
	leat_scenario_refused("map", "{ set: { a: 1, a: 2 } }", FIELDS, "a");
	leat_scenario_refused("map", "{ set: { a: null } }", FIELDS, "the result is always null");
	leat_scenario_refused("map", "{ set: { a: nothing } }", FIELDS, "nothing");
	leat_scenario_refused("map", "{ set: [ a, b ] }", FIELDS, "must be a map");
}

static void too_many_columns_are_refused(void **state)
{
	char with[1024] = "{ set: { ";
	size_t at = strlen(with);
	(void)state;
	for (int i = 0; i < 65; i++)
		at += (size_t)snprintf(with + at, sizeof with - at, "%sx%d: n", i ? ", " : "", i);
	(void)snprintf(with + at, sizeof with - at, " } }");
	leat_scenario_refused("map", with, FIELDS, "names too many columns; the last that fits is 'x63'");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(columns_have_the_types_of_their_expressions),
		cmocka_unit_test(null_stays_null),
		cmocka_unit_test(numbers_at_their_limits_overflow_to_null),
		cmocka_unit_test(enums_become_text_and_lists_stay_lists),
		cmocka_unit_test(an_expression_does_not_see_the_others),
		cmocka_unit_test(maps_may_follow_one_another),
		cmocka_unit_test(what_cannot_be_a_column_is_refused),
		cmocka_unit_test(too_many_columns_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
