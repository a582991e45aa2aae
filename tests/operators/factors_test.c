/* factors: the user's factors right after each event. The figures come from plain loops over the formula. */
#include "tests/harness.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define FIELDS "item:int? type:enum(VIEW,CART,PURCHASE) user:string"
#define EVENT(user, item, type) "{\"item\":" item ",\"type\":\"" type "\",\"user\":\"" user "\"}"
#define FORMULA "rank: 2, learning_rate: 0.5, regularization: 0.1, biases: false"
static const char *const events[] = {
	EVENT("7", "1", "VIEW"), EVENT("7", "2", "PURCHASE"), EVENT("ann", "1", "VIEW"), EVENT("7", "1", "CART"), NULL,
};
static const char *const factors_of_events =
	"passed: [-0.0291015,0.00695357]\n"
	"passed: [-0.113187,0.103526]\n"
	"passed: [0.0503631,0.0363431]\n"
	"passed: [-0.0593062,0.144989]\n";

/* Item factors of one task are lost at a restart, so killing it changes what comes after. */
static void each_event_is_one_step_of_the_formula(void **state)
{
	(void)state;
	leat_scenario(&(const struct leat_scenario){
		.use = "factors", .with = "{ item: item, type: type, weights: { VIEW: 1, CART: 3, PURCHASE: 5 }, items: local, score_every: 0, " FORMULA " }",
		.fields = FIELDS, .key = "user", .when = events, .show = "factors", .then = factors_of_events, .without = LEAT_SCENARIO_RESTORE,
	});
}

static void watching_quality_changes_no_factor(void **state)
{
	(void)state;
	leat_scenario(&(const struct leat_scenario){
		.use = "factors", .with = "{ item: item, type: type, weights: { VIEW: 1, CART: 3, PURCHASE: 5 }, items: local, score_every: 1, history: 2, " FORMULA " }",
		.fields = FIELDS, .key = "user", .when = events, .show = "factors", .then = factors_of_events, .without = LEAT_SCENARIO_RESTORE,
	});
}

static void an_event_without_an_item_passes_and_teaches_nothing(void **state)
{
	(void)state;
	leat_scenario(&(const struct leat_scenario){
		.use = "factors", .with = "{ item: item, items: local, rank: 1 }",
		.fields = FIELDS, .key = "user", .when = (const char *const[]){ EVENT("7", "null", "VIEW"), NULL },
		.show = "factors", .then = "passed: [-0.0487469]\n",
	});
}

/* Nothing is learned, so local items do not matter and the restore must hold. */
static void a_user_starts_from_its_key_and_words_not_listed_teach_nothing(void **state)
{
	(void)state;
	leat_scenario(&(const struct leat_scenario){
		.use = "factors", .with = "{ item: item, type: type, weights: { CART: 3 }, items: local, rank: 2 }",
		.fields = FIELDS, .key = "user", .when = (const char *const[]){ EVENT("7", "1", "VIEW"), EVENT("7", "2", "PURCHASE"), EVENT("8", "2", "PURCHASE"), NULL },
		.show = "factors", .then = "passed: [-0.0487469,-0.00324826]\npassed: [-0.0487469,-0.00324826]\npassed: [0.0478964,-0.00276077]\n",
	});
}

static void options_that_make_no_sense_are_refused(void **state)
{
	(void)state;
	leat_scenario_refused("factors", "{ item: item, type: type, weights: { BUY: 1 } }", FIELDS, "'BUY' is not a symbol of 'type'");
	leat_scenario_refused("factors", "{ item: item, type: type, weights: { VIEW: -1 } }", FIELDS, "within 0..1000");
	leat_scenario_refused("factors", "{ item: item, weights: { VIEW: 1 } }", FIELDS, "needs type");
	leat_scenario_refused("factors", "{ item: item, rank: 129 }", FIELDS, "rank");
	leat_scenario_refused("factors", "{ rank: 3 }", FIELDS, "item");
	leat_scenario_refused("factors", "{ item: item, history: 0 }", FIELDS, "at least 1");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_event_is_one_step_of_the_formula),
		cmocka_unit_test(watching_quality_changes_no_factor),
		cmocka_unit_test(an_event_without_an_item_passes_and_teaches_nothing),
		cmocka_unit_test(a_user_starts_from_its_key_and_words_not_listed_teach_nothing),
		cmocka_unit_test(options_that_make_no_sense_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
