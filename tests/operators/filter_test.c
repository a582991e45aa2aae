/* Tests of the operator filter. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/harness.h"

#define FIELDS "user:string price:double? type:enum(VIEW,CART)?"
#define WHEN(...) .when = (const char *const[]){ __VA_ARGS__, NULL }

static void true_passes_and_false_is_the_rest(void **state)
{
	(void)state;
	leat_scenario(&(struct leat_scenario){ .use = "filter", .with = "{ where: price >= 10 }", .fields = FIELDS, .show = "user",
		WHEN("{\"user\":\"a\",\"price\":10}", "{\"user\":\"b\",\"price\":9.99}", "{\"user\":\"c\",\"price\":1e300}", "{\"user\":\"\",\"price\":-0.0}"),
		.then = "pass: a\nrest: b\npass: c\nrest: \n" });
}

static void null_counts_as_false(void **state)
{
	(void)state;
	leat_scenario(&(struct leat_scenario){ .use = "filter", .with = "{ where: \"!(price < 10)\" }", .fields = FIELDS, .show = "user",
		WHEN("{\"user\":\"a\",\"price\":null}", "{\"user\":\"b\"}", "{\"user\":\"c\",\"price\":11}"), .then = "rest: a\nrest: b\npass: c\n" });
}

static void null_can_be_asked_for(void **state)
{
	(void)state;
	leat_scenario(&(struct leat_scenario){ .use = "filter", .with = "{ where: price == null || type == 'CART' }", .fields = FIELDS, .show = "user",
		WHEN("{\"user\":\"a\"}", "{\"user\":\"b\",\"price\":1,\"type\":\"CART\"}", "{\"user\":\"c\",\"price\":1,\"type\":\"VIEW\"}"), .then = "pass: a\npass: b\nrest: c\n" });
}

static void a_boolean_field_is_an_expression(void **state)
{
	(void)state;
	leat_scenario(&(struct leat_scenario){ .use = "filter", .with = "{ where: ok }", .fields = "user:string ok:bool?", .show = "user",
		WHEN("{\"user\":\"a\",\"ok\":true}", "{\"user\":\"b\",\"ok\":false}", "{\"user\":\"c\"}"), .then = "pass: a\nrest: b\nrest: c\n" });
}

static void no_event_gives_no_row(void **state)
{
	(void)state;
	leat_scenario(&(struct leat_scenario){ .use = "filter", .with = "{ where: true }", .fields = FIELDS, .show = "user", .when = (const char *const[]){ NULL }, .then = "" });
}

static void what_is_no_condition_is_refused(void **state)
{
	(void)state;
	leat_scenario_refused("filter", NULL, FIELDS, "'where' is missing");
	leat_scenario_refused("filter", "{ where: price + 1 }", FIELDS, "the result is double, but has to be bool");
	leat_scenario_refused("filter", "{ where: cost > 1 }", FIELDS, "cost");
	leat_scenario_refused("filter", "{ where: type == 'BUY' }", FIELDS, "'BUY' is no symbol of the enum 'type'");
	leat_scenario_refused("filter", "{ where: price > 1, which: 2 }", FIELDS, "unknown key 'which'; allowed: where");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(true_passes_and_false_is_the_rest),
		cmocka_unit_test(null_counts_as_false),
		cmocka_unit_test(null_can_be_asked_for),
		cmocka_unit_test(a_boolean_field_is_an_expression),
		cmocka_unit_test(no_event_gives_no_row),
		cmocka_unit_test(what_is_no_condition_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
