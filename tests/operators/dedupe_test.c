/* Tests of the operator dedupe. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "stream/operator.h"
#include "tests/harness.h"

extern const struct leat_operator operator_dedupe;

#define FIELDS "id:string? user:string card:int? ts:int"
#define E(id, user, ts) "{\"id\":\"" id "\",\"user\":\"" user "\",\"ts\":" #ts "}"
#define C(id, card, ts) "{\"id\":\"" id "\",\"user\":\"u\",\"card\":" #card ",\"ts\":" #ts "}"
/* Failing allocations take most of a scenario's time, and each operator's own are met by the scenarios without this. */
#define QUICK .without = LEAT_SCENARIO_ALLOCATIONS
#define WHEN(...) .when = (const char *const[]){ __VA_ARGS__, NULL }

/* ---- last ---- */

static void a_copy_among_the_last_n_ids_is_a_duplicate(void **state)
{
	(void)state;
	leat_scenario(&(struct leat_scenario){ QUICK, .use = "dedupe", .with = "{ last: 3 }", .fields = FIELDS, .id = "id", .key = "user", .show = "id",
		WHEN(E("a", "u", 1), E("b", "u", 2), E("a", "u", 3), E("c", "u", 4), E("a", "u", 5)),
		.then = "unique: a\nunique: b\nduplicate: a\nunique: c\nduplicate: a\n" });
}

static void an_id_is_forgotten_after_n_others(void **state)
{
	(void)state;
	leat_scenario(&(struct leat_scenario){ .use = "dedupe", .with = "{ last: 2 }", .fields = FIELDS, .id = "id", .key = "user", .show = "id",
		WHEN(E("a", "u", 1), E("b", "u", 2), E("c", "u", 3), E("a", "u", 4), E("c", "u", 5), E("b", "u", 6)),
		.then = "unique: a\nunique: b\nunique: c\nunique: a\nduplicate: c\nunique: b\n" });
}

/* a is sighted again before c pushes it out: the copy did not renew it. */
static void a_duplicate_does_not_renew_its_id(void **state)
{
	(void)state;
	leat_scenario(&(struct leat_scenario){ QUICK, .use = "dedupe", .with = "{ last: 2 }", .fields = FIELDS, .id = "id", .key = "user", .show = "id",
		WHEN(E("a", "u", 1), E("b", "u", 2), E("a", "u", 3), E("c", "u", 4), E("a", "u", 5)),
		.then = "unique: a\nunique: b\nduplicate: a\nunique: c\nunique: a\n" });
}

static void keys_have_rings_of_their_own(void **state)
{
	(void)state;
	leat_scenario(&(struct leat_scenario){ QUICK, .use = "dedupe", .with = "{ last: 16 }", .fields = FIELDS, .id = "id", .key = "user", .show = "user id",
		WHEN(E("a", "u", 1), E("a", "v", 2), E("a", "u", 3), E("a", "v", 4)),
		.then = "unique: u a\nunique: v a\nduplicate: u a\nduplicate: v a\n" });
}

static void ids_may_be_grouped_by_a_field(void **state)
{
	(void)state;
	leat_scenario(&(struct leat_scenario){ QUICK, .use = "dedupe", .with = "{ last: 2, key: card }", .fields = FIELDS, .id = "id", .show = "card id",
		WHEN(C("a", 1, 1), C("a", 2, 2), C("a", 1, 3), C("b", -9223372036854775808, 4), C("b", -9223372036854775808, 5)),
		.then = "unique: 1 a\nunique: 2 a\nduplicate: 1 a\nunique: -9223372036854775808 b\nduplicate: -9223372036854775808 b\n" });
}

static void a_null_key_is_rejected(void **state)
{
	(void)state;
	leat_scenario(&(struct leat_scenario){ QUICK, .use = "dedupe", .with = "{ last: 2, key: card }", .fields = FIELDS, .id = "id", .show = "id",
		WHEN(C("a", null, 1), C("b", 7, 2), C("c", null, 3)), .then = "unique: b\nrejected: null_key\nrejected: null_key\n" });
}

static void without_an_id_every_event_is_one_of_its_own(void **state)
{
	(void)state;
	leat_scenario(&(struct leat_scenario){ QUICK, .use = "dedupe", .with = "{ last: 16 }", .fields = FIELDS, .key = "user", .show = "id",
		WHEN(E("a", "u", 1), E("a", "u", 2)), .then = "unique: a\nunique: a\n" });
}

static void empty_ids_are_equal_to_each_other(void **state)
{
	(void)state;
	leat_scenario(&(struct leat_scenario){ QUICK, .use = "dedupe", .with = "{ last: 16 }", .fields = FIELDS, .id = "id", .key = "user", .show = "id user",
		WHEN(E("", "u", 1), E("", "u", 2)), .then = "unique:  u\nduplicate:  u\n" });
}

/* ---- window ---- */

static void a_copy_inside_the_window_is_a_duplicate(void **state)
{
	(void)state;
	leat_scenario(&(struct leat_scenario){ .use = "dedupe", .with = "{ window: 1s, key: id }", .fields = FIELDS, .time = "ts", .show = "id ts",
		WHEN(E("a", "u", 1000), E("a", "u", 1999), E("a", "u", 2000), E("b", "u", 2000), E("a", "u", 2999), E("a", "u", 3000)),
		.then = "unique: a 1000\nduplicate: a 1999\nunique: a 2000\nunique: b 2000\nduplicate: a 2999\nunique: a 3000\n" });
}

static void an_older_copy_is_a_duplicate_too(void **state)
{
	(void)state;
	leat_scenario(&(struct leat_scenario){ QUICK, .use = "dedupe", .with = "{ window: 1s, key: id }", .fields = FIELDS, .time = "ts", .lateness = "1h", .show = "id ts",
		WHEN(E("a", "u", 100000), E("a", "u", 5), E("a", "u", 100999)), .then = "unique: a 100000\nduplicate: a 5\nduplicate: a 100999\n" });
}

/* The watermark is at 5000 when the copy of a comes: its window has passed for good, whether the entry is still there or not. */
static void what_is_late_is_judged_by_the_watermark(void **state)
{
	(void)state;
	leat_scenario(&(struct leat_scenario){ QUICK, .use = "dedupe", .with = "{ window: 1s, key: id }", .fields = FIELDS, .time = "ts", .show = "id ts",
		WHEN(E("a", "u", 1000), E("b", "u", 5000), E("a", "u", 1500), E("b", "u", 1600)),
		.then = "unique: a 1000\nunique: b 5000\nunique: a 1500\nduplicate: b 1600\n" });
}

static void numbers_identify_events_too(void **state)
{
	(void)state;
	leat_scenario(&(struct leat_scenario){ QUICK, .use = "dedupe", .with = "{ window: 1s, key: card }", .fields = FIELDS, .time = "ts", .show = "card ts",
		WHEN(C("x", 0, 1), C("y", 0, 2), C("x", -1, 3)), .then = "unique: 0 1\nduplicate: 0 2\nunique: -1 3\n" });
}

/* ---- the check ---- */

static void contradictory_options_are_refused(void **state)
{
	(void)state;
	leat_scenario_refused("dedupe", NULL, FIELDS, "operator 'op': give either last (a number of ids) or window (a time)");
	leat_scenario_refused("dedupe", "{ last: 3, window: 1s, key: id }", FIELDS, "'window' give either last");
	leat_scenario_refused("dedupe", "{ window: 1s }", FIELDS, "'window' needs key, the field that identifies an event");
	leat_scenario_refused("dedupe", "{ last: 5000 }", FIELDS, "last");
	leat_scenario_refused("dedupe", "{ last: -1 }", FIELDS, "last");
	leat_scenario_refused("dedupe", "{ last: 3, key: nobody }", FIELDS, "names the field 'nobody'");
	leat_scenario_refused("dedupe", "{ window: soon, key: id }", FIELDS, "must be a time");
}

/* ---- entries of another length ---- */

/* The operator's options lie in a struct of its own: key, last, window. */
struct options {
	struct leat_field_ref key;
	int64_t last, window_ms;
};

static void a_longer_ring_takes_over_all_ids(void **state)
{
	(void)state;
	const struct options options = { .last = 4 };
	const uint64_t old[] = { 1 /* next */, 30, 10, 20 };
	uint64_t entry[5] = { 0 };
	assert_int_equal(operator_dedupe.tables[0].upgrade(&options, entry, old, sizeof old, 1), 0);
	assert_memory_equal(entry, ((const uint64_t[]){ 0, 0, 10, 20, 30 }), sizeof entry);
}

static void a_shorter_ring_keeps_the_newest_ids(void **state)
{
	(void)state;
	const struct options options = { .last = 2 };
	const uint64_t old[] = { 1, 30, 10, 20 };
	uint64_t entry[3] = { 0 };
	assert_int_equal(operator_dedupe.tables[0].upgrade(&options, entry, old, sizeof old, 1), 0);
	assert_memory_equal(entry, ((const uint64_t[]){ 0, 20, 30 }), sizeof entry);
}

static void a_ring_that_was_not_full_stays_so(void **state)
{
	(void)state;
	const struct options options = { .last = 2 };
	const uint64_t old[] = { 1, 7, 0, 0 };
	uint64_t entry[3] = { 0 };
	assert_int_equal(operator_dedupe.tables[0].upgrade(&options, entry, old, sizeof old, 1), 0);
	assert_memory_equal(entry, ((const uint64_t[]){ 0, 0, 7 }), sizeof entry);
}

static void what_is_no_ring_is_not_taken_over(void **state)
{
	(void)state;
	const struct options ring = { .last = 2 }, window = { .window_ms = 1 };
	const uint64_t old[] = { 9, 7, 0, 0 };
	uint64_t entry[3] = { 0 };
	assert_int_equal(operator_dedupe.tables[0].upgrade(&ring, entry, old, sizeof old, 1), LEAT_EFOREIGN);
	assert_int_equal(operator_dedupe.tables[0].upgrade(&ring, entry, old, 8, 1), LEAT_EFOREIGN);
	assert_int_equal(operator_dedupe.tables[0].upgrade(&ring, entry, old, 17, 1), LEAT_EFOREIGN);
	assert_int_equal(operator_dedupe.tables[0].upgrade(&window, entry, old, sizeof old, 1), LEAT_EFOREIGN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_copy_among_the_last_n_ids_is_a_duplicate),
		cmocka_unit_test(an_id_is_forgotten_after_n_others),
		cmocka_unit_test(a_duplicate_does_not_renew_its_id),
		cmocka_unit_test(keys_have_rings_of_their_own),
		cmocka_unit_test(ids_may_be_grouped_by_a_field),
		cmocka_unit_test(a_null_key_is_rejected),
		cmocka_unit_test(without_an_id_every_event_is_one_of_its_own),
		cmocka_unit_test(empty_ids_are_equal_to_each_other),
		cmocka_unit_test(a_copy_inside_the_window_is_a_duplicate),
		cmocka_unit_test(an_older_copy_is_a_duplicate_too),
		cmocka_unit_test(what_is_late_is_judged_by_the_watermark),
		cmocka_unit_test(numbers_identify_events_too),
		cmocka_unit_test(contradictory_options_are_refused),
		cmocka_unit_test(a_longer_ring_takes_over_all_ids),
		cmocka_unit_test(a_shorter_ring_keeps_the_newest_ids),
		cmocka_unit_test(a_ring_that_was_not_full_stays_so),
		cmocka_unit_test(what_is_no_ring_is_not_taken_over),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
