/* Tests of operators in chains: branches, joins, rewritten columns, events that several branches reject. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "stream/pipeline.h"
#include "tests/harness.h"

#define FIELDS "user:string? n:int? item:string?"
#define WHEN(...) .when = (const char *const[]){ __VA_ARGS__, NULL }
#define N(value) "{\"n\":" #value "}"

/* ---- branches and joins ---- */

static void a_chain_hands_its_columns_on(void **state)
{
	(void)state;
	leat_scenario(&(struct leat_scenario){ .use = "enrich", .with = "{ table: items, key: code, fields: [ price ] }", .fields = FIELDS, .show = "n code price",
		.tables = "{ items: { key: id, format: json, fields: \"id:string price:double\", rows: [ '{\"id\":\"i1\",\"price\":2.5}' ] } }",
		.before = "[{ id: some, use: filter, from: in, with: { where: n > 0 } }, { id: coded, use: map, from: some, with: { set: { code: \"'i' + item\" } } }]",
		WHEN("{\"n\":1,\"item\":\"1\"}", "{\"n\":0,\"item\":\"1\"}", "{\"n\":2,\"item\":\"2\"}"), .then = "found: 1 i1 2.5\nmissing: 2 i2 null\n" });
}

/* Events with n > 1 come by way of map, the others past it, in one batch and in the order in which they arrived. */
static void columns_of_a_branch_that_was_not_taken_are_null(void **state)
{
	(void)state;
	leat_scenario(&(struct leat_scenario){ .use = "map", .with = "{ set: { more: \"if_null(twice, -1)\", text: label } }", .fields = FIELDS, .show = "n twice more text",
		.before = "[{ id: part, use: filter, from: in, with: { where: n > 1 } }, { id: twice, use: map, from: part.pass, with: { set: { twice: n * 2, label: \"'big'\" } } }, "
			  "{ id: met, use: filter, from: [ twice, part.rest ], with: { where: true } }]",
		WHEN(N(1), N(5), N(0), N(7), N(-9223372036854775808)),
		.then = "mapped: 1 null -1 null\nmapped: 5 10 10 big\nmapped: 0 null -1 null\nmapped: 7 14 14 big\nmapped: -9223372036854775808 null -1 null\n" });
}

static void a_row_that_comes_both_ways_is_taken_once(void **state)
{
	(void)state;
	leat_scenario(&(struct leat_scenario){ .use = "map", .with = "{ set: { seen: n } }", .fields = FIELDS, .show = "n a b",
		.before = "[{ id: a, use: map, from: in, with: { set: { a: n + 1 } } }, { id: b, use: map, from: in, with: { set: { b: n + 2 } } }, { id: met, use: filter, from: [ a, b, in ], with: { where: n > 0 } }]",
		WHEN(N(1), N(0), N(3)), .then = "mapped: 1 2 3\nmapped: 3 4 5\n" });
}

static void both_outputs_together_are_all_events(void **state)
{
	(void)state;
	leat_scenario(&(struct leat_scenario){ .use = "map", .with = "{ set: { known: price != null } }", .fields = FIELDS, .show = "item price known",
		.tables = "{ items: { key: id, format: json, fields: \"id:string price:double\", rows: [ '{\"id\":\"a\",\"price\":2.5}' ] } }",
		.before = "[{ id: e, use: enrich, from: in, with: { table: items, key: item, fields: [ price ] } }, { id: all, use: filter, from: [ e.missing, e.found ], with: { where: true } }]",
		WHEN("{\"item\":\"b\"}", "{\"item\":\"a\"}", "{}"), .then = "mapped: b null false\nmapped: a 2.5 true\nmapped: null null false\n" });
}

/* ---- rewritten columns ---- */

static void what_clean_left_is_what_comes_behind_it(void **state)
{
	(void)state;
	leat_scenario(&(struct leat_scenario){ .use = "map", .with = "{ set: { greeting: \"'hi ' + user\", next: n + 1 } }", .fields = FIELDS, .show = "user greeting next",
		.before = "[{ id: c, use: clean, from: in, with: { rules: [ { field: user, trim: true, lower: true }, { field: n, max: 5, else: null } ] } }]",
		WHEN("{\"user\":\" Ann\",\"n\":9}", "{\"user\":\"bob\",\"n\":5}"), .then = "mapped: ann hi ann null\nmapped: bob hi bob 6\n" });
}

static void a_column_may_be_read_before_it_is_rewritten(void **state)
{
	(void)state;
	leat_scenario(&(struct leat_scenario){ .use = "map", .with = "{ set: { now: user } }", .fields = FIELDS, .show = "was now",
		.before = "[{ id: first, use: map, from: in, with: { set: { was: user } } }, { id: c, use: clean, from: first, with: { rules: [ { field: user, upper: true } ] } }]",
		WHEN("{\"user\":\"ann\"}"), .then = "mapped: ann ANN\n" });
}

/* The first dedupe groups by the raw name, the second by the clean one: both have the key user. */
static void a_rewritten_key_has_other_state(void **state)
{
	(void)state;
	leat_scenario(&(struct leat_scenario){ .use = "dedupe", .with = "{ window: 1d, key: user }", .fields = FIELDS, .show = "user n",
		.before = "[{ id: raw, use: dedupe, from: in, with: { window: 1d, key: user } }, { id: c, use: clean, from: raw, with: { rules: [ { field: user, lower: true } ] } }]",
		WHEN("{\"user\":\"Ann\",\"n\":1}", "{\"user\":\"ann\",\"n\":2}", "{\"user\":\"Ann\",\"n\":3}", "{\"user\":\"Bob\",\"n\":4}", "{\"user\":\"ANN\",\"n\":5}"),
		.then = "unique: ann 1\nduplicate: ann 2\nunique: bob 4\nduplicate: ann 5\n" });
}

static int check(const char *sources, const char *operators, const char *sinks, struct leat_fault *fault)
{
	char text[4096];
	struct leat_pipeline *pipeline = NULL;
	int length = snprintf(text, sizeof text, "pipeline: x\nsources: { %s }\ntables: { items: { key: id, fields: \"id:int name:string\", rows: [] } }\noperators: [ %s ]\nsinks: { %s }\n", sources, operators, sinks);
	*fault = (struct leat_fault){ 0 };
	int rc = leat_pipeline_parse(&pipeline, "x.yaml", text, (size_t)length, NULL, fault);
	leat_pipeline_free(pipeline);
	return rc;
}

static void refused(const char *sources, const char *operators, const char *sinks, const char *why)
{
	struct leat_fault fault;
	assert_int_equal(check(sources, operators, sinks, &fault), LEAT_ECONFIG);
	assert_string_equal(fault.text, why);
}

static void accepted(const char *sources, const char *operators, const char *sinks)
{
	struct leat_fault fault;
	if (check(sources, operators, sinks, &fault) < 0)
		fail_msg("%s", fault.text);
}

#define IN "in: { topic: t, format: json, fields: \"user:string n:int\" }"
#define TWO IN ", other: { topic: u, format: json, fields: \"user:string n:int\" }"
#define CLEAN "{ id: c, use: clean, from: in, with: { rules: [ { field: user, lower: true } ] } }"
#define SINK(from, record) "s: { from: " from ", topic: out, format: json, record: \"" record "\" }"

static void a_column_that_another_branch_reads_cannot_be_rewritten(void **state)
{
	(void)state;
	refused(IN, CLEAN ", { id: m, use: map, from: in, with: { set: { x: user } } }", "",
		"x.yaml:4: operator 'm' reads 'user', which operator 'c' rewrites for the same events on another branch: put it behind 'c', or let 'c' write a column of its own");
	refused(IN, CLEAN, SINK("in", "user:string"), "x.yaml:5: sink 's' reads 'user', which operator 'c' rewrites for the same events on another branch: put it behind 'c', or let 'c' write a column of its own");
	refused(IN, "{ id: f, use: filter, from: in, with: { where: n > 1 } }, { id: c, use: clean, from: f, with: { rules: [ { field: user, lower: true } ] } }", SINK("f", "user:string"),
		"x.yaml:5: sink 's' reads 'user', which operator 'c' rewrites for the same events on another branch: put it behind 'c', or let 'c' write a column of its own");
	refused(IN, CLEAN ", { id: k, use: rekey, from: in, with: { by: n } }, { id: m, use: map, from: k, with: { set: { x: user } } }", "",
		"x.yaml:4: operator 'k' reads 'user', which operator 'c' rewrites for the same events on another branch: put it behind 'c', or let 'c' write a column of its own");
	refused(IN, CLEAN ", { id: d, use: clean, from: in, with: { rules: [ { field: user, upper: true } ] } }", "",
		"x.yaml:4: operator 'd' reads 'user', which operator 'c' rewrites for the same events on another branch: put it behind 'c', or let 'c' write a column of its own");
}

static void a_column_may_be_rewritten_where_nobody_beside_reads_it(void **state)
{
	(void)state;
	accepted(IN, CLEAN ", { id: m, use: map, from: in, with: { set: { x: n } } }", SINK("c", "user:string"));
	accepted(IN, CLEAN, SINK("c.dropped", "user:string") ", r: { from: in, topic: raw, format: json, record: \"n:int\" }");
	accepted(IN, CLEAN ", { id: k, use: rekey, from: c, with: { by: user } }, { id: m, use: map, from: k, with: { set: { x: user } } }", "");
	accepted(IN, "{ id: c, use: clean, from: in, with: { rules: [ { field: user, lower: true, as: name } ] } }", SINK("in", "user:string"));
}

/* Events of another source are other rows, also where both meet again. */
static void branches_of_other_sources_do_not_count(void **state)
{
	(void)state;
	accepted(TWO, CLEAN ", { id: m, use: map, from: other, with: { set: { x: user } } }", SINK("other", "user:string"));
	accepted(TWO, CLEAN ", { id: d, use: clean, from: other, with: { rules: [ { field: user, upper: true } ] } }, { id: m, use: map, from: [ c, d ], with: { set: { x: user } } }", SINK("m", "user:string"));
	refused(TWO, CLEAN ", { id: m, use: map, from: [ other, in ], with: { set: { x: user } } }", "",
		"x.yaml:4: operator 'm' reads 'user', which operator 'c' rewrites for the same events on another branch: put it behind 'c', or let 'c' write a column of its own");
}

static void a_table_that_does_not_fit_is_refused(void **state)
{
	(void)state;
	refused(IN, "{ id: e, use: enrich, from: in, with: { table: items, key: user } }", "", "x.yaml:4: operator 'e': 'key' the field 'user' is not of the type of the table's key 'id'");
	refused(IN, "{ id: e, use: enrich, from: in, with: { table: items, key: n, fields: [ title ] } }", "", "x.yaml:4: operator 'e': 'fields' names 'title', which the table has not");
	refused(IN, "{ id: e, use: enrich, from: in, with: { table: items, key: n, fields: [ name, name ] } }", "",
		"x.yaml:4: operator 'e': adds the column 'name', which is already there; rename it with as: { name: other }");
	accepted(IN, "{ id: e, use: enrich, from: in, with: { table: items, key: n, fields: [ name ], prefix: user } }", SINK("e", "username:string?"));
}

/* ---- events that several branches find bad ---- */

static void an_event_that_two_branches_reject_is_one_dead_letter(void **state)
{
	static const char *events[201];
	char expected[201 * 24] = "";
	size_t at = 0;
	(void)state;
	for (int i = 0; i < 200; i++)
		events[i] = i % 2 ? N(1) : N(-1);
	for (int i = 0; i < 100; i++)
		at += (size_t)snprintf(expected + at, sizeof expected - at, "clean: 1\n");
	for (int i = 0; i < 100; i++)
		at += (size_t)snprintf(expected + at, sizeof expected - at, "rejected: first\n");
	/* the other conditions are met by the tests of the operators themselves: 200 events under each of them take too long */
	leat_scenario(&(struct leat_scenario){ .use = "clean", .with = "{ rules: [ { field: n, min: 0, reason: fourth } ] }", .fields = FIELDS, .show = "n", .when = events, .then = expected,
		.before = "[{ id: a, use: clean, from: in, with: { rules: [ { field: n, min: 0, reason: first } ] } }, { id: b, use: clean, from: in, with: { rules: [ { field: n, min: 0, reason: second } ] } }, "
			  "{ id: c, use: clean, from: in, with: { rules: [ { field: n, min: 0, reason: third } ] } }, { id: f, use: filter, from: in, with: { where: true } }]",
		.without = LEAT_SCENARIO_RESTORE | LEAT_SCENARIO_ALLOCATIONS });
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_chain_hands_its_columns_on),
		cmocka_unit_test(columns_of_a_branch_that_was_not_taken_are_null),
		cmocka_unit_test(a_row_that_comes_both_ways_is_taken_once),
		cmocka_unit_test(both_outputs_together_are_all_events),
		cmocka_unit_test(what_clean_left_is_what_comes_behind_it),
		cmocka_unit_test(a_column_may_be_read_before_it_is_rewritten),
		cmocka_unit_test(a_rewritten_key_has_other_state),
		cmocka_unit_test(a_column_that_another_branch_reads_cannot_be_rewritten),
		cmocka_unit_test(a_column_may_be_rewritten_where_nobody_beside_reads_it),
		cmocka_unit_test(branches_of_other_sources_do_not_count),
		cmocka_unit_test(a_table_that_does_not_fit_is_refused),
		cmocka_unit_test(an_event_that_two_branches_reject_is_one_dead_letter),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
