/* Tests of the operator clean. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/harness.h"

#define FIELDS "user:string? price:double? small:float? n:int? kind:enum(VIEW,CART)? ok:bool? list:floats? words:strings?"
/* Failing allocations take most of a scenario's time, and each operator's own are met by the scenarios without this. */
#define QUICK .without = LEAT_SCENARIO_ALLOCATIONS
#define WHEN(...) .when = (const char *const[]){ __VA_ARGS__, NULL }
#define USER(text) "{\"user\":\"" text "\"}"
#define N(value) "{\"n\":" #value "}"
#define PRICE(value) "{\"price\":" #value "}"

/* ---- checks ---- */

static void numbers_outside_of_their_range_are_rejected(void **state)
{
	(void)state;
	leat_scenario(&(struct leat_scenario){ QUICK, .use = "clean", .with = "{ rules: [ { field: price, min: 0, max: 100000 } ] }", .fields = FIELDS, .show = "price",
		WHEN(PRICE(-0.01), PRICE(0), PRICE(100000), PRICE(100000.01), PRICE(-1e308), PRICE(null), "{}"),
		.then = "clean: 0\nclean: 100000\nclean: null\nclean: null\nrejected: domain_price\nrejected: domain_price\nrejected: domain_price\n" });
}

static void whole_numbers_are_compared_exactly(void **state)
{
	(void)state;
	leat_scenario(&(struct leat_scenario){ QUICK, .use = "clean", .with = "{ rules: [ { field: n, min: -9223372036854775807, max: 9223372036854775806 } ] }", .fields = FIELDS, .show = "n",
		WHEN(N(-9223372036854775808), N(-9223372036854775807), N(9223372036854775806), N(9223372036854775807)),
		.then = "clean: -9223372036854775807\nclean: 9223372036854775806\nrejected: domain_n\nrejected: domain_n\n" });
}

static void a_float_may_equal_its_bound(void **state)
{
	(void)state;
	leat_scenario(&(struct leat_scenario){ QUICK, .use = "clean", .with = "{ rules: [ { field: small, max: 0.1 } ] }", .fields = FIELDS, .show = "small",
		WHEN("{\"small\":0.1}", "{\"small\":0.11}"), .then = "clean: 0.1\nrejected: domain_small\n" });
}

static void empty_texts_are_rejected_where_they_must_not_be(void **state)
{
	(void)state;
	leat_scenario(&(struct leat_scenario){ QUICK, .use = "clean", .with = "{ rules: [ { field: user, not_empty: true } ] }", .fields = FIELDS, .show = "user",
		WHEN(USER(""), USER("a"), "{}"), .then = "clean: a\nclean: null\nrejected: domain_user\n" });
}

static void nulls_are_rejected_where_they_must_not_be(void **state)
{
	(void)state;
	leat_scenario(&(struct leat_scenario){ QUICK, .use = "clean", .with = "{ rules: [ { field: user, not_null: true }, { field: ok, not_null: true } ] }", .fields = FIELDS, .show = "user ok",
		WHEN("{\"user\":\"\",\"ok\":false}", "{\"ok\":true}", USER("a")), .then = "clean:  false\nrejected: domain_user\nrejected: domain_ok\n" });
}

static void lengths_are_counted_in_characters(void **state)
{
	(void)state;
	leat_scenario(&(struct leat_scenario){ QUICK, .use = "clean", .with = "{ rules: [ { field: user, min_length: 2, max_length: 3 } ] }", .fields = FIELDS, .show = "user",
		WHEN(USER("\u00e4"), USER("\u00e4\u00f6\u00fc"), USER("ab"), USER("\u00e4bcd"), USER("\U0001F600\u20ac")),
		.then = "clean: \u00e4\u00f6\u00fc\nclean: ab\nclean: \U0001F600\u20ac\nrejected: domain_user\nrejected: domain_user\n" });
}

static void only_listed_words_are_good(void **state)
{
	(void)state;
	leat_scenario(&(struct leat_scenario){ QUICK, .use = "clean", .fields = FIELDS, .show = "user n kind",
		.with = "{ rules: [ { field: user, in: \"DE, FR\" }, { field: n, in: \"1,-2\" }, { field: kind, in: CART } ] }",
		WHEN("{\"user\":\"DE\",\"n\":-2,\"kind\":\"CART\"}", USER("FR"), USER("D"), USER(""), N(2), "{\"kind\":\"VIEW\"}"),
		.then = "clean: DE -2 CART\nclean: FR null null\nrejected: domain_user\nrejected: domain_user\nrejected: domain_n\nrejected: domain_kind\n" });
}

static void texts_may_have_to_be_numbers(void **state)
{
	(void)state;
	leat_scenario(&(struct leat_scenario){ QUICK, .use = "clean", .with = "{ rules: [ { field: user, type: int } ] }", .fields = FIELDS, .show = "user",
		WHEN(USER("12"), USER("-9223372036854775808"), USER("9223372036854775808"), USER("1.5"), USER(""), USER(" 1"), USER("1\\u0000")),
		.then = "clean: 12\nclean: -9223372036854775808\nrejected: domain_user\nrejected: domain_user\nrejected: domain_user\nrejected: domain_user\nrejected: domain_user\n" });
	leat_scenario(&(struct leat_scenario){ QUICK, .use = "clean", .with = "{ rules: [ { field: user, type: number } ] }", .fields = FIELDS, .show = "user",
		WHEN(USER("1.5"), USER("-1e3"), USER("1e999"), USER("nan"), USER("inf"), USER("0x10"), USER("1,5")),
		.then = "clean: 1.5\nclean: -1e3\nrejected: domain_user\nrejected: domain_user\nrejected: domain_user\nrejected: domain_user\nrejected: domain_user\n" });
}

/* ---- what becomes of a bad value ---- */

static void a_bad_event_may_be_dropped(void **state)
{
	(void)state;
	leat_scenario(&(struct leat_scenario){ QUICK, .use = "clean", .with = "{ rules: [ { field: n, min: 1, else: drop } ] }", .fields = FIELDS, .show = "n", WHEN(N(0), N(1), N(-5)),
		.then = "dropped: 0\nclean: 1\ndropped: -5\n" });
}

static void a_bad_value_may_become_null(void **state)
{
	(void)state;
	leat_scenario(&(struct leat_scenario){ QUICK, .use = "clean", .with = "{ rules: [ { field: n, min: 1, else: null }, { field: user, not_empty: true, else: null } ] }", .fields = FIELDS, .show = "n user",
		WHEN("{\"n\":0,\"user\":\"a\"}", "{\"n\":1,\"user\":\"\"}", "{\"n\":2,\"user\":\"b\"}"), .then = "clean: null a\nclean: 1 null\nclean: 2 b\n" });
}

static void a_bad_value_may_be_clipped(void **state)
{
	(void)state;
	leat_scenario(&(struct leat_scenario){ .use = "clean", .fields = FIELDS, .show = "n price small user",
		.with = "{ rules: [ { field: n, min: 1, max: 5, else: clip }, { field: price, max: 0.1, else: clip }, { field: small, max: 0.1, else: clip }, { field: user, max_length: 2, else: clip } ] }",
		WHEN("{\"n\":-9223372036854775808,\"price\":1e300,\"small\":7,\"user\":\"\u00e4\u00f6\u00fc\"}", "{\"n\":9,\"price\":-1e300,\"small\":-1,\"user\":\"\"}"),
		.then = "clean: 1 0.1 0.1 \u00e4\u00f6\nclean: 5 -1e+300 -1 \n" });
}

/* 0 is brought to 1, which is not in the list. */
static void what_clipping_does_not_mend_is_rejected(void **state)
{
	(void)state;
	leat_scenario(&(struct leat_scenario){ QUICK, .use = "clean", .with = "{ rules: [ { field: n, min: 1, in: \"2,3\", else: clip }, { field: user, min_length: 2, max_length: 3, else: clip } ] }", .fields = FIELDS,
		.show = "n user", WHEN("{\"n\":0,\"user\":\"ab\"}", "{\"n\":2,\"user\":\"a\"}", "{\"n\":3,\"user\":\"abcd\"}"), .then = "clean: 3 abc\nrejected: domain_n\nrejected: domain_user\n" });
}

static void the_first_rule_that_is_broken_decides(void **state)
{
	(void)state;
	leat_scenario(&(struct leat_scenario){ QUICK, .use = "clean", .with = "{ rules: [ { field: n, min: 0, reason: negative }, { field: n, min: 5, else: drop }, { field: user, not_null: true } ] }",
		.fields = FIELDS, .show = "n", WHEN(N(-1), N(1), N(5), "{\"n\":5,\"user\":\"a\"}"), .then = "dropped: 1\nclean: 5\nrejected: negative\nrejected: domain_user\n" });
}

static void an_expression_that_is_true_makes_an_event_bad(void **state)
{
	(void)state;
	leat_scenario(&(struct leat_scenario){ .use = "clean", .fields = FIELDS, .show = "user n",
		.with = "{ rules: [ { when: \"starts_with(user, 'C')\", reason: cancelled }, { when: n < 0, reason: returned, else: drop } ] }",
		WHEN("{\"user\":\"C1\",\"n\":1}", "{\"user\":\"D\",\"n\":-1}", "{\"user\":\"D\",\"n\":1}", "{}", "{\"user\":\"C2\",\"n\":-1}"),
		.then = "dropped: D -1\nclean: D 1\nclean: null null\nrejected: cancelled\nrejected: cancelled\n" });
}

static void a_rule_sees_what_the_ones_before_it_left(void **state)
{
	(void)state;
	leat_scenario(&(struct leat_scenario){ QUICK, .use = "clean", .fields = FIELDS, .show = "user n",
		.with = "{ rules: [ { field: user, trim: true, lower: true }, { field: user, in: \"de,fr\" }, { field: n, max: 9, else: clip }, { when: n > 9, reason: impossible } ] }",
		WHEN("{\"user\":\" DE \",\"n\":10}", "{\"user\":\"D E\"}"), .then = "clean: de 9\nrejected: domain_user\n" });
}

/* ---- normalising ---- */

static void texts_are_trimmed_and_brought_to_one_case(void **state)
{
	(void)state;
	leat_scenario(&(struct leat_scenario){ .use = "clean", .with = "{ rules: [ { field: user, trim: true, lower: true } ] }", .fields = FIELDS, .show = "user n",
		WHEN("{\"user\":\" \\t Shoes \\r\\n\",\"n\":1}", "{\"user\":\"   \",\"n\":2}", "{\"user\":\"\u00c4Z@[\",\"n\":3}", "{\"n\":4}", "{\"user\":\"\",\"n\":5}"),
		.then = "clean: shoes 1\nclean:  2\nclean: \u00c4z@[ 3\nclean: null 4\nclean:  5\n" });
	leat_scenario(&(struct leat_scenario){ .use = "clean", .with = "{ rules: [ { field: user, upper: true } ] }", .fields = FIELDS, .show = "user",
		WHEN(USER("aZ`{"), USER("DE")), .then = "clean: AZ`{\nclean: DE\n" });
}

/* Blanks alone are no name: the check comes after the normalising. */
static void a_text_is_checked_as_it_is_normalised(void **state)
{
	(void)state;
	leat_scenario(&(struct leat_scenario){ QUICK, .use = "clean", .with = "{ rules: [ { field: user, trim: true, not_empty: true, max_length: 2 } ] }", .fields = FIELDS, .show = "user",
		WHEN(USER("  "), USER("  ab   "), USER("abc")), .then = "clean: ab\nrejected: domain_user\nrejected: domain_user\n" });
}

static void the_result_may_have_a_column_of_its_own(void **state)
{
	(void)state;
	leat_scenario(&(struct leat_scenario){ .use = "clean", .fields = FIELDS, .show = "user name n count",
		.with = "{ rules: [ { field: user, lower: true, as: name }, { field: n, max: 5, else: null, as: count }, { field: ok, not_null: true, else: drop } ] }",
		WHEN("{\"user\":\"A\",\"n\":6,\"ok\":true}", "{\"user\":\"B\",\"n\":1}", "{\"ok\":true}"), .then = "clean: A a 6 null\ndropped: B b 1 1\nclean: null null null null\n" });
}

/* ---- texts that are too long ---- */

static void every_text_has_a_longest_length(void **state)
{
	static char ok[65536 + 64], bad[65537 + 64];
	char *events[] = { ok, bad };
	(void)state;
	for (size_t i = 0; i < 2; i++) {
		size_t at = (size_t)snprintf(events[i], 64, "{\"n\":%zu,\"user\":\"", i);
		memset(events[i] + at, 'x', 65536 + i);
		(void)snprintf(events[i] + at + 65536 + i, 8, "\"}");
	}
	leat_scenario(&(struct leat_scenario){ QUICK, .use = "clean", .fields = FIELDS, .show = "n", .before = "[{ id: reader, use: filter, from: in, with: { where: user != 'y' } }]", WHEN(ok, bad, N(2)),
		.then = "clean: 0\nrejected: domain_user\n" });
	leat_scenario(&(struct leat_scenario){ QUICK, .use = "clean", .with = "{ max_text: 2, rules: [ { field: user, max_length: 1, else: clip } ] }", .fields = FIELDS, .show = "user",
		WHEN(USER("ab"), USER("abc")), .then = "clean: a\nrejected: domain_user\n" });
}

static void a_text_that_nobody_reads_is_not_looked_at(void **state)
{
	(void)state;
	leat_scenario(&(struct leat_scenario){ QUICK, .use = "clean", .with = "{ max_text: 2 }", .fields = FIELDS, .show = "n", WHEN("{\"n\":1,\"user\":\"abc\"}"), .then = "clean: 1\n" });
}

static void without_rules_everything_is_clean(void **state)
{
	(void)state;
	leat_scenario(&(struct leat_scenario){ QUICK, .use = "clean", .fields = FIELDS, .show = "n user", WHEN("{}", "{\"n\":1,\"user\":\"\"}"), .then = "clean: null null\nclean: 1 \n" });
}

/* ---- the check ---- */

#define REFUSED(rule, text) leat_scenario_refused("clean", "{ rules: [ " rule " ] }", FIELDS, text)

static void contradictory_rules_are_refused(void **state)
{
	(void)state;
	REFUSED("{ field: n, min: 5, max: 4 }", "'rules' line 8: min is above max");
	REFUSED("{ field: price, min: 5, max: 4.9 }", "min is above max");
	REFUSED("{ field: user, min_length: 5, max_length: 4 }", "min_length is above max_length");
	REFUSED("{ field: user, lower: true, upper: true }", "'upper' contradicts the other one: give lower or upper");
	REFUSED("{ field: n, not_null: true, else: null }", "'else: null' contradicts not_null");
	REFUSED("{ field: n, in: \"1,2\", else: clip }", "'else: clip' needs a number with min or max, or a text with max_length");
	REFUSED("{ field: user, not_empty: true, else: clip }", "'else: clip' needs");
	REFUSED("{ field: n, when: n > 1, reason: x }", "a rule has either field or when");
	REFUSED("{ min: 1 }", "a rule has either field or when");
	REFUSED("{ when: n > 1 }", "'when' needs a reason");
	REFUSED("{ when: n > 1, reason: x, else: null }", "'else' must be reject or drop for an expression");
	REFUSED("{ when: n > 1, reason: x, min: 1 }", "'min' does not go with when; allowed: when, reason, else");
}

static void wrong_words_are_refused(void **state)
{
	(void)state;
	REFUSED("{ field: nobody, min: 1 }", "there is no field 'nobody' here");
	REFUSED("{ field: n, least: 1 }", "'least' is unknown; allowed: field, as, else, reason, not_null");
	REFUSED("{ field: user, min: 1 }", "'min' is not for a field of this type");
	REFUSED("{ field: n, trim: true }", "'trim' is not for a field of this type");
	REFUSED("{ field: n, min: 1.5 }", "'min' must be a whole number");
	REFUSED("{ field: n, max: 9223372036854775808 }", "'max' must be a whole number");
	REFUSED("{ field: price, min: nan }", "'min' must be a number");
	REFUSED("{ field: price, max: 1e999 }", "'max' must be a number");
	REFUSED("{ field: user, max_length: -1 }", "'max_length' must be a whole number, not negative");
	REFUSED("{ field: user, trim: maybe }", "'trim' must be true or false");
	REFUSED("{ field: user, type: date }", "'type' must be int or number");
	REFUSED("{ field: n, in: \"1,x\" }", "'in' must list whole numbers");
	REFUSED("{ field: n, in: \"1,,2\" }", "'in' must list whole numbers");
	REFUSED("{ field: kind, in: BUY }", "'in' must list symbols of the enum");
	REFUSED("{ field: n, min: 1, else: ignore }", "'else' must be reject, drop, null or clip");
	REFUSED("{ field: kind, not_null: true, as: other }", "'as' is not for an enum");
	REFUSED("{ field: user, lower: true, as: n }", "adds the column 'n', which is already there");
	REFUSED("{ when: n + 1, reason: x }", "the result is int, but has to be bool");
	REFUSED("[ n ]", "must be a list of maps");
	leat_scenario_refused("clean", "{ max_text: 2MB }", FIELDS, "max_text");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_outside_of_their_range_are_rejected),
		cmocka_unit_test(whole_numbers_are_compared_exactly),
		cmocka_unit_test(a_float_may_equal_its_bound),
		cmocka_unit_test(empty_texts_are_rejected_where_they_must_not_be),
		cmocka_unit_test(nulls_are_rejected_where_they_must_not_be),
		cmocka_unit_test(lengths_are_counted_in_characters),
		cmocka_unit_test(only_listed_words_are_good),
		cmocka_unit_test(texts_may_have_to_be_numbers),
		cmocka_unit_test(a_bad_event_may_be_dropped),
		cmocka_unit_test(a_bad_value_may_become_null),
		cmocka_unit_test(a_bad_value_may_be_clipped),
		cmocka_unit_test(what_clipping_does_not_mend_is_rejected),
		cmocka_unit_test(the_first_rule_that_is_broken_decides),
		cmocka_unit_test(an_expression_that_is_true_makes_an_event_bad),
		cmocka_unit_test(a_rule_sees_what_the_ones_before_it_left),
		cmocka_unit_test(texts_are_trimmed_and_brought_to_one_case),
		cmocka_unit_test(a_text_is_checked_as_it_is_normalised),
		cmocka_unit_test(the_result_may_have_a_column_of_its_own),
		cmocka_unit_test(every_text_has_a_longest_length),
		cmocka_unit_test(a_text_that_nobody_reads_is_not_looked_at),
		cmocka_unit_test(without_rules_everything_is_clean),
		cmocka_unit_test(contradictory_rules_are_refused),
		cmocka_unit_test(wrong_words_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
