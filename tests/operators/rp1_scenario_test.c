/* The reference workload through the whole engine gives the decisions of an independent program. */
#include "tests/harness.h"
#include "tests/operators/rp1_reference.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

enum { EVENTS = 60 };
static const char *const words[] = { "VIEW", "CART", "PURCHASE" };
static char texts[EVENTS][160], wanted[EVENTS * 64];
static const char *events[EVENTS + 1];

static void write_events(void)
{
	struct reference *reference = reference_new();
	size_t at = 0;
	for (uint64_t i = 0; i < EVENTS; i++) {
		struct rp1_event event = rp1_event(i, 8, 50);
		char price[32] = "null";
		float score = 0;
		if (event.price != 0)
			(void)snprintf(price, sizeof price, "%g", event.price);
		(void)snprintf(texts[i], sizeof texts[i], "{\"user\":\"%lld\",\"item\":%lld,\"type\":\"%s\",\"ts\":%lld,\"price\":%s,\"category\":%d}", (long long)event.user,
			(long long)event.item, words[event.type], (long long)event.ts, price, event.category);
		events[i] = texts[i];
		int ad = reference_decide(reference, &event, &score);
		const struct reference_user *user = &reference->users[event.user];
		at += (size_t)snprintf(wanted + at, sizeof wanted - at, "decisions: %d %lld %g\n", ad, (long long)user->n, user->spend);
	}
	free(reference);
}

/* Item factors of one task are lost at a restart, so killing it changes what comes after. */
static void decisions_are_those_of_the_reference(void **state)
{
	(void)state;
	write_events();
	leat_scenario(&(const struct leat_scenario){
		.use = "target", .with = "{ demo_ads: 256, factors: factors, interests: interests }",
		.fields = "user:string item:int type:enum(VIEW,CART,PURCHASE) ts:int price:double? category:int", .time = "ts", .key = "user", .lateness = "2h",
		.before = "[{ id: profile, use: profile, from: in, with: { type: type, types: [VIEW, CART, PURCHASE], price: price, category: category, interests: 40 } }, "
			"{ id: factors, use: factors, from: profile, with: { item: item, type: type, weights: { VIEW: 1, CART: 3, PURCHASE: 5 }, items: local, biases: false, score_every: 0 } }]",
		.when = events, .show = "ad_id events spend", .then = wanted, .without = LEAT_SCENARIO_RESTORE,
	});
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(decisions_are_those_of_the_reference) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
