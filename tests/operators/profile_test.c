/* profile: what is known of a user right after each event. */
#include "tests/harness.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define SHOP "type:enum(VIEW,CART,PURCHASE) price:double? category:int? user:string ts:int before:string? kind:string?"
#define EVENT(user, ts, type, price, category) \
	"{\"type\":\"" type "\",\"price\":" price ",\"category\":" category ",\"user\":\"" user "\",\"ts\":" ts ",\"before\":null,\"kind\":null}"

static void counts_money_and_decayed_interests_follow_each_event(void **state)
{
	(void)state;
	leat_scenario(&(const struct leat_scenario){
		.use = "profile",
		.with = "{ type: type, types: [VIEW, CART, PURCHASE], price: price, category: category, interests: 3, half_life: 1s }",
		.fields = SHOP, .time = "ts", .key = "user", .lateness = "5s",
		.when = (const char *const[]){
			EVENT("a", "1000", "VIEW", "null", "1"), EVENT("a", "2000", "CART", "2.5", "1"), EVENT("a", "4000", "PURCHASE", "10", "5"),
			EVENT("b", "4000", "VIEW", "null", "null"), EVENT("a", "3500", "VIEW", "null", "0"), NULL,
		},
		.show = "events count_view count_cart count_purchase spend activity interests",
		.then = "passed: 1 1 0 0 0 1 [0,1,0]\n"
			"passed: 2 1 1 0 2.5 1.5 [0,1.5,0]\n"
			"passed: 3 1 1 1 12.5 1.375 [0,0.375,1]\n"
			"passed: 1 1 0 0 0 1 [0,0,0]\n"
			"passed: 4 2 1 1 12.5 2.375 [1,0.375,1]\n",
	});
}

static void recency_frequency_and_money_per_purchase(void **state)
{
	(void)state;
	leat_scenario(&(const struct leat_scenario){
		.use = "profile",
		.with = "{ type: type, types: [PURCHASE], spend_on: [PURCHASE], price: price, rfm: true, margin: 0.25, price_level: true, price_half_life: 1s, activity: false }",
		.fields = SHOP, .time = "ts", .key = "user",
		.when = (const char *const[]){
			EVENT("a", "1000", "VIEW", "8", "1"), EVENT("a", "2000", "PURCHASE", "20", "1"), EVENT("a", "2500", "VIEW", "null", "1"),
			EVENT("a", "3000", "PURCHASE", "40", "1"), EVENT("a", "3000", "PURCHASE", "-40", "1"), NULL,
		},
		.show = "spend recency_ms frequency monetary lifetime_value price_level",
		.then = "passed: 0 null 0 null 0 8\n"
			"passed: 20 0 1 20 5 16\n"
			"passed: 20 500 1 20 5 16\n"
			"passed: 60 0 2 30 15 29.7143\n"
			"passed: 20 0 3 6.66667 5 4.36364\n",
	});
}

static void windows_roll_with_event_time(void **state)
{
	(void)state;
	leat_scenario(&(const struct leat_scenario){
		.use = "profile", .with = "{ price: price, windows: [1m, 2h], activity: false }",
		.fields = SHOP, .time = "ts", .key = "user", .lateness = "10m",
		.when = (const char *const[]){
			EVENT("a", "86400000", "VIEW", "1", "1"), EVENT("a", "86430000", "VIEW", "2", "1"), EVENT("a", "86459999", "VIEW", "4", "1"), EVENT("a", "86460000", "VIEW", "8", "1"),
			EVENT("a", "86440000", "VIEW", "16", "1"), EVENT("a", "86490000", "VIEW", "32", "1"), EVENT("a", "95400000", "VIEW", "64", "1"), NULL,
		},
		.show = "events events_1m spend_1m events_2h spend_2h",
		.then = "passed: 1 1 1 1 1\n"
			"passed: 2 2 3 2 3\n"
			"passed: 3 3 7 3 7\n"
			"passed: 4 3 14 4 15\n"
			"passed: 5 4 30 5 31\n"
			"passed: 6 4 60 6 63\n"
			"passed: 7 1 64 1 64\n",
	});
}

static void hours_are_those_of_the_shops_clock(void **state)
{
	(void)state;
	leat_scenario(&(const struct leat_scenario){
		.use = "profile", .with = "{ hour: \"hour_in(ts, 'Asia/Kolkata')\", activity: false }",
		.fields = SHOP, .time = "ts", .key = "user",
		.when = (const char *const[]){
			EVENT("a", "86400000", "VIEW", "null", "1"), EVENT("a", "88199999", "VIEW", "null", "1"), EVENT("a", "88200000", "VIEW", "null", "1"), NULL,
		},
		.show = "hours",
		.then = "passed: [0,0,0,0,0,1,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0]\n"
			"passed: [0,0,0,0,0,2,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0]\n"
			"passed: [0,0,0,0,0,2,1,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0]\n",
	});
}

static void an_anonymous_profile_moves_into_the_known_one(void **state)
{
#define LOGIN(user, ts, before) "{\"type\":\"VIEW\",\"price\":null,\"category\":null,\"user\":\"" user "\",\"ts\":" ts ",\"before\":" before ",\"kind\":null}"
	(void)state;
	leat_scenario(&(const struct leat_scenario){
		.use = "profile", .with = "{ anonymous: before, half_life: 1s }",
		.fields = SHOP, .time = "ts", .key = "user",
		.when = (const char *const[]){
			LOGIN("cookie", "1000", "null"), LOGIN("cookie", "1000", "null"), LOGIN("ann", "2000", "\"cookie\""), LOGIN("ann", "2000", "\"cookie\""),
			LOGIN("cookie", "2000", "null"), LOGIN("ann", "3000", "\"nobody\""), NULL,
		},
		.show = "events activity",
		.then = "passed: 1 1\npassed: 2 2\npassed: 3 2\npassed: 4 3\npassed: 1 1\npassed: 5 2.5\n",
	});
}

static void a_user_without_events_for_the_ttl_is_forgotten(void **state)
{
	(void)state;
	leat_scenario(&(const struct leat_scenario){
		.use = "profile", .with = "{ ttl: 10s, activity: false }",
		.fields = SHOP, .time = "ts", .key = "user",
		.when = (const char *const[]){
			EVENT("a", "1", "VIEW", "null", "1"), EVENT("a", "9000", "VIEW", "null", "1"), EVENT("b", "9500", "VIEW", "null", "1"),
			EVENT("a", "30000", "VIEW", "null", "1"), NULL,
		},
		.show = "events", .then = "passed: 1\npassed: 2\npassed: 1\npassed: 1\n",
	});
}

static void texts_serve_as_types_and_categories(void **state)
{
#define WORD(kind) "{\"type\":\"VIEW\",\"price\":null,\"category\":null,\"user\":\"a\",\"ts\":5,\"before\":null,\"kind\":" kind "}"
	(void)state;
	leat_scenario(&(const struct leat_scenario){
		.use = "profile", .with = "{ type: kind, types: [shoes, 'big hats'], category: kind, interests: 1 }",
		.fields = SHOP, .time = "ts", .key = "user",
		.when = (const char *const[]){ WORD("\"shoes\""), WORD("\"big hats\""), WORD("\"socks\""), WORD("null"), NULL },
		.show = "count_shoes count_big_hats interests activity",
		.then = "passed: 1 0 [1] 1\npassed: 1 1 [2] 2\npassed: 1 1 [3] 3\npassed: 1 1 [3] 4\n",
	});
}

static void options_that_make_no_sense_are_refused(void **state)
{
	(void)state;
	leat_scenario_refused("profile", "{ types: [VIEW] }", SHOP, "needs type");
	leat_scenario_refused("profile", "{ type: type, types: [BUY] }", SHOP, "'BUY' is not a symbol of 'type'");
	leat_scenario_refused("profile", "{ rfm: true }", SHOP, "needs price");
	leat_scenario_refused("profile", "{ interests: 5 }", SHOP, "go together");
	leat_scenario_refused("profile", "{ windows: [1y] }", SHOP, "'1y' is not a time");
	leat_scenario_refused("profile", "{ hour: \"hour_in(ts, 'Mars/Base')\" }", SHOP, "Mars/Base");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(counts_money_and_decayed_interests_follow_each_event),
		cmocka_unit_test(recency_frequency_and_money_per_purchase),
		cmocka_unit_test(windows_roll_with_event_time),
		cmocka_unit_test(hours_are_those_of_the_shops_clock),
		cmocka_unit_test(an_anonymous_profile_moves_into_the_known_one),
		cmocka_unit_test(a_user_without_events_for_the_ttl_is_forgotten),
		cmocka_unit_test(texts_serve_as_types_and_categories),
		cmocka_unit_test(options_that_make_no_sense_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
