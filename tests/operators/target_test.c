/* target: the ad for each event, through the whole engine. Interests come from profile: one per event of a category. */
#include "tests/harness.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define FIELDS "category:int? user:string country:string? ts:int"
#define EVENT(user, category, country, ts) "{\"category\":" category ",\"user\":\"" user "\",\"country\":" country ",\"ts\":" ts "}"
#define PROFILE "[{ id: profile, use: profile, from: in, with: { category: category, interests: 3, half_life: 30d } }]"
#define ADS "{ ads: { key: ad_id, fields: \"ad_id:string category:int? bid:double? active:bool? starts:int? ends:int? countries:string?\", rows: ["
#define AD(id, category, bid, active, ends, countries) \
	"'{\"ad_id\":\"" id "\",\"category\":" category ",\"bid\":" bid ",\"active\":" active ",\"starts\":null,\"ends\":" ends ",\"countries\":" countries "}'"
#define THREE ADS AD("a", "0", "null", "null", "null", "null") ", " AD("b", "1", "null", "null", "null", "null") ", " AD("c", "2", "null", "true", "null", "null") "] } }"

static void the_ad_of_the_strongest_interest_wins(void **state)
{
	(void)state;
	leat_scenario(&(const struct leat_scenario){
		.use = "target", .with = "{ ads: ads, interests: interests, weight_interest: 0.5, k: 2, explain: true }",
		.fields = FIELDS, .time = "ts", .key = "user", .before = PROFILE, .tables = THREE,
		.when = (const char *const[]){
			EVENT("u", "1", "null", "5"), EVENT("u", "2", "null", "5"), EVENT("u", "2", "null", "5"), EVENT("v", "null", "null", "5"), NULL,
		},
		.show = "ad_id score ads scores reasons",
		.then = "decisions: b 0.5 [b,a] [0.5,0] [interest:1,factors]\n"
			"decisions: b 0.5 [b,c] [0.5,0.5] [interest:1,interest:2]\n"
			"decisions: c 1 [c,b] [1,0.5] [interest:2,interest:1]\n"
			"decisions: a 0 [a,b] [0,0] [factors,factors]\n",
	});
}

static void conditions_of_the_ad_hold(void **state)
{
	(void)state;
	leat_scenario(&(const struct leat_scenario){
		.use = "target", .with = "{ ads: ads, interests: interests, weight_bid: 1, match: country }",
		.fields = FIELDS, .time = "ts", .key = "user", .before = PROFILE,
		.tables = ADS AD("off", "0", "9", "false", "null", "null") ", " AD("sale", "0", "7", "true", "100", "null") ", " AD("swiss", "0", "5", "null", "null", "\"CH\"") ", "
			AD("rest", "0", "1", "null", "null", "null") "] } }",
		.when = (const char *const[]){ EVENT("u", "null", "\"CH\"", "99"), EVENT("u", "null", "\"CH\"", "100"), EVENT("u", "null", "\"DE\"", "101"), EVENT("u", "null", "null", "102"), NULL },
		.show = "ad_id score",
		.then = "decisions: sale 7\ndecisions: swiss 5\ndecisions: rest 1\ndecisions: rest 1\n",
	});
}

static void the_same_ad_at_most_cap_times_in_the_window(void **state)
{
	(void)state;
	leat_scenario(&(const struct leat_scenario){
		.use = "target", .with = "{ ads: ads, interests: interests, weight_bid: 1, cap: 1, cap_window: 1s }",
		.fields = FIELDS, .time = "ts", .key = "user", .before = PROFILE,
		.tables = ADS AD("a", "0", "2", "null", "null", "null") ", " AD("b", "0", "1", "null", "null", "null") "] } }",
		.when = (const char *const[]){
			EVENT("u", "null", "null", "5000"), EVENT("u", "null", "null", "5500"), EVENT("v", "null", "null", "5500"), EVENT("u", "null", "null", "5999"),
			EVENT("u", "null", "null", "6000"), EVENT("u", "null", "null", "6499"), EVENT("u", "null", "null", "6500"), NULL,
		},
		.show = "ad_id",
		.then = "decisions: a\ndecisions: b\ndecisions: a\nundecided: null\ndecisions: a\nundecided: null\ndecisions: b\n",
	});
}

static void only_eligible_events_get_a_decision(void **state)
{
	(void)state;
	leat_scenario(&(const struct leat_scenario){
		.use = "target", .with = "{ ads: ads, interests: interests, eligible: \"country == 'CH' && events > 1\" }",
		.fields = FIELDS, .time = "ts", .key = "user", .before = PROFILE, .tables = THREE,
		.when = (const char *const[]){
			EVENT("u", "1", "\"CH\"", "1"), EVENT("u", "1", "\"CH\"", "2"), EVENT("u", "1", "\"DE\"", "3"), EVENT("u", "1", "null", "4"), EVENT("u", "1", "\"CH\"", "5"), NULL,
		},
		.show = "ad_id",
		.then = "undecided: null\ndecisions: b\nundecided: null\nundecided: null\ndecisions: b\n",
	});
}

static void made_up_ads_have_numbers(void **state)
{
	(void)state;
	leat_scenario(&(const struct leat_scenario){
		.use = "target", .with = "{ demo_ads: 6, interests: interests, weight_interest: 1 }",
		.fields = FIELDS, .time = "ts", .key = "user", .before = PROFILE,
		.when = (const char *const[]){ EVENT("u", "null", "null", "1"), EVENT("u", "2", "null", "1"), EVENT("u", "4", "null", "1"), EVENT("u", "4", "null", "1"), NULL },
		.show = "ad_id score", .then = "decisions: 0 0\ndecisions: 2 1\ndecisions: 1 1\ndecisions: 1 2\n",
	});
}

static void options_that_make_no_sense_are_refused(void **state)
{
	(void)state;
	leat_scenario_refused("target", "{ demo_ads: 5 }", FIELDS, "needs factors, interests or both");
	leat_scenario_refused("target", "{ demo_ads: 70000 }", FIELDS, "demo_ads");
	leat_scenario_refused("target", "{ ads: nowhere }", FIELDS, "nowhere");
	leat_scenario_refused("target", "{ interests: category }", FIELDS, "interests");
	leat_scenario_refused("target", "{ k: 1 }", FIELDS, "either ads");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_ad_of_the_strongest_interest_wins),
		cmocka_unit_test(conditions_of_the_ad_hold),
		cmocka_unit_test(the_same_ad_at_most_cap_times_in_the_window),
		cmocka_unit_test(only_eligible_events_get_a_decision),
		cmocka_unit_test(made_up_ads_have_numbers),
		cmocka_unit_test(options_that_make_no_sense_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
