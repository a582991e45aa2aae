/* Tests of the operator enrich. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/harness.h"

#define FIELDS "item:string? n:int? kind:enum(BOOK,CD)?"
#define TABLES "{ items: { key: id, format: json, fields: \"id:string title:string? price:double? stock:int? sale:bool? kind:enum(NEW,USED)? tags:strings? vector:floats?\", rows: [ " \
	"'{\"id\":\"a\",\"title\":\"Alpha\",\"price\":1.5,\"stock\":-9223372036854775808,\"sale\":true,\"kind\":\"USED\",\"tags\":[\"x\",\"y\"],\"vector\":[1,2]}', " \
	"'{\"id\":\"\",\"title\":\"\"}', '{\"id\":\"BOOK\",\"title\":\"a book\"}' ] }, " \
	"numbers: { key: id, format: json, fields: \"id:int name:string\", rows: [ '{\"id\":7,\"name\":\"seven\"}', '{\"id\":-1,\"name\":\"minus\"}' ] } }"
/* Failing allocations take most of a scenario's time, and each operator's own are met by the scenarios without this. */
#define QUICK .without = LEAT_SCENARIO_ALLOCATIONS
#define WHEN(...) .when = (const char *const[]){ __VA_ARGS__, NULL }

static void columns_of_the_row_are_added(void **state)
{
	(void)state;
	leat_scenario(&(struct leat_scenario){ .use = "enrich", .with = "{ table: items, key: item, fields: [ title, price, stock, sale, tags, vector ] }", .fields = FIELDS, .tables = TABLES,
		.show = "item title price stock sale tags vector", WHEN("{\"item\":\"a\"}"), .then = "found: a Alpha 1.5 -9223372036854775808 true [x,y] [1,2]\n" });
}

static void an_enum_of_the_table_becomes_text(void **state)
{
	(void)state;
	leat_scenario(&(struct leat_scenario){ QUICK, .use = "enrich", .with = "{ table: items, key: item, fields: [ kind ], prefix: item_ }", .fields = FIELDS, .tables = TABLES, .show = "item_kind",
		WHEN("{\"item\":\"a\"}", "{\"item\":\"\"}"), .then = "found: USED\nfound: null\n" });
}

static void nulls_of_the_table_are_null(void **state)
{
	(void)state;
	leat_scenario(&(struct leat_scenario){ QUICK, .use = "enrich", .with = "{ table: items, key: item, fields: [ title, price, tags ] }", .fields = FIELDS, .tables = TABLES, .show = "title price tags",
		WHEN("{\"item\":\"a\"}", "{\"item\":\"\"}", "{\"item\":\"a\"}"), .then = "found: Alpha 1.5 [x,y]\nfound:  null null\nfound: Alpha 1.5 [x,y]\n" });
}

static void what_is_not_there_goes_to_missing_with_nulls(void **state)
{
	(void)state;
	leat_scenario(&(struct leat_scenario){ QUICK, .use = "enrich", .with = "{ table: items, key: item, fields: [ title, price ] }", .fields = FIELDS, .tables = TABLES, .show = "item title price",
		WHEN("{\"item\":\"a\"}", "{\"item\":\"b\"}", "{}", "{\"item\":\"a\"}", "{\"item\":\"aa\"}"),
		.then = "found: a Alpha 1.5\nmissing: b null null\nmissing: null null null\nfound: a Alpha 1.5\nmissing: aa null null\n" });
}

static void missing_events_may_be_dropped(void **state)
{
	(void)state;
	leat_scenario(&(struct leat_scenario){ QUICK, .use = "enrich", .with = "{ table: items, key: item, fields: [ title ], missing: drop }", .fields = FIELDS, .tables = TABLES, .show = "title",
		WHEN("{\"item\":\"b\"}", "{\"item\":\"a\"}", "{}"), .then = "found: Alpha\n" });
}

static void missing_events_may_be_rejected(void **state)
{
	(void)state;
	leat_scenario(&(struct leat_scenario){ .use = "enrich", .with = "{ table: items, key: item, fields: [ title ], missing: reject }", .fields = FIELDS, .tables = TABLES, .show = "title",
		WHEN("{\"item\":\"b\"}", "{\"item\":\"a\"}", "{}"), .then = "found: Alpha\nrejected: domain_item\nrejected: domain_item\n" });
}

static void numbers_are_keys_too(void **state)
{
	(void)state;
	leat_scenario(&(struct leat_scenario){ QUICK, .use = "enrich", .with = "{ table: numbers, key: n, fields: [ name ] }", .fields = FIELDS, .tables = TABLES, .show = "n name",
		WHEN("{\"n\":7}", "{\"n\":-1}", "{\"n\":9223372036854775807}", "{}"), .then = "found: 7 seven\nfound: -1 minus\nmissing: 9223372036854775807 null\nmissing: null null\n" });
}

static void an_enum_may_be_the_key(void **state)
{
	(void)state;
	leat_scenario(&(struct leat_scenario){ QUICK, .use = "enrich", .with = "{ table: items, key: kind, fields: [ title ] }", .fields = FIELDS, .tables = TABLES, .show = "kind title",
		WHEN("{\"kind\":\"BOOK\"}", "{\"kind\":\"CD\"}"), .then = "found: BOOK a book\nmissing: CD null\n" });
}

static void without_fields_it_only_parts(void **state)
{
	(void)state;
	leat_scenario(&(struct leat_scenario){ QUICK, .use = "enrich", .with = "{ table: items, key: item }", .fields = FIELDS, .tables = TABLES, .show = "item",
		WHEN("{\"item\":\"a\"}", "{\"item\":\"b\"}"), .then = "found: a\nmissing: b\n" });
}

static void an_empty_table_has_nothing(void **state)
{
	(void)state;
	leat_scenario(&(struct leat_scenario){ QUICK, .use = "enrich", .with = "{ table: none, key: item, fields: [ title ] }", .fields = FIELDS, .show = "item title",
		.tables = "{ none: { key: id, format: json, fields: \"id:string title:string\", rows: [] } }", WHEN("{\"item\":\"a\"}"), .then = "missing: a null\n" });
}

static void of_a_history_the_row_that_held_at_the_time_of_the_event_is_found(void **state)
{
	(void)state;
	leat_scenario(&(struct leat_scenario){ .use = "enrich", .with = "{ table: prices, key: item, fields: [ price ] }", .fields = "item:string ts:int", .time = "ts", .show = "ts price",
		.tables = "{ prices: { key: id, history: since, format: json, fields: \"id:string since:int price:int\", rows: [ "
			"'{\"id\":\"a\",\"since\":200,\"price\":2}', '{\"id\":\"a\",\"since\":100,\"price\":1}' ] } }",
		WHEN("{\"item\":\"a\",\"ts\":99}", "{\"item\":\"a\",\"ts\":250}", "{\"item\":\"a\",\"ts\":100}"), .then = "missing: 99 null\nfound: 250 2\nfound: 100 1\n" });
}

static void contradictions_are_refused(void **state)
{
	(void)state;
	leat_scenario_refused("enrich", NULL, FIELDS, "'table' is missing");
	leat_scenario_refused("enrich", "{ table: items, key: item }", FIELDS, "names the table 'items', which is not under tables:");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(columns_of_the_row_are_added),
		cmocka_unit_test(an_enum_of_the_table_becomes_text),
		cmocka_unit_test(nulls_of_the_table_are_null),
		cmocka_unit_test(what_is_not_there_goes_to_missing_with_nulls),
		cmocka_unit_test(missing_events_may_be_dropped),
		cmocka_unit_test(missing_events_may_be_rejected),
		cmocka_unit_test(numbers_are_keys_too),
		cmocka_unit_test(an_enum_may_be_the_key),
		cmocka_unit_test(without_fields_it_only_parts),
		cmocka_unit_test(an_empty_table_has_nothing),
		cmocka_unit_test(of_a_history_the_row_that_held_at_the_time_of_the_event_is_found),
		cmocka_unit_test(contradictions_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
