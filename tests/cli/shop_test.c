/* The simulated shop: a function of its seed; what it plants is there in the promised shares; who likes an ad's category clicks on it more often. */
#include "cli/shop.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

enum { EVENTS = 60000 };

static struct leat_shop *open_shop(const struct leat_shop_config *config)
{
	struct leat_shop *shop;
	struct leat_fault fault = { 0 };
	if (leat_shop_open(&shop, config, &fault) < 0)
		fail_msg("%s", fault.text);
	return shop;
}

static const struct leat_shop_event *next_event(struct leat_shop *shop)
{
	const struct leat_shop_event *event;
	assert_int_equal(leat_shop_next(shop, INT64_MAX, &event), 1);
	return event;
}

static uint64_t fold(uint64_t hash, const struct leat_shop_event *event)
{
	return leat_hash(event, sizeof *event) ^ leat_mix(hash);
}

static uint64_t hash_of_run(const struct leat_shop_config *config)
{
	struct leat_shop *shop = open_shop(config);
	uint64_t hash = 0;
	for (int i = 0; i < 5000; i++)
		hash = fold(hash, next_event(shop));
	leat_shop_close(shop);
	return hash;
}

static void the_same_seed_is_the_same_shop_and_another_another(void **state)
{
	struct leat_shop_config config = leat_shop_defaults();
	(void)state;
	uint64_t first = hash_of_run(&config);
	assert_true(first == hash_of_run(&config));
	config.seed = 2;
	assert_true(first != hash_of_run(&config));
}

static void events_leave_in_order_and_never_before_they_are_due(void **state)
{
	struct leat_shop_config config = leat_shop_defaults();
	struct leat_shop *shop = open_shop(&config);
	const struct leat_shop_event *event;
	int64_t before = 0;
	(void)state;
	for (int64_t now = config.start_ms; now < config.start_ms + 2000; now += 7) {
		int rc;
		while ((rc = leat_shop_next(shop, now, &event)) == 1) {
			assert_true(event->send_ms >= before && event->send_ms <= now);
			before = event->send_ms;
		}
		assert_int_equal(rc, 0);
	}
	leat_shop_close(shop);
}

static bool near_share(uint64_t part, uint64_t whole, double share)
{
	double sigma = sqrt((double)whole * share * (1 - share));
	return fabs((double)part - (double)whole * share) < 6 * sigma;
}

static void dirt_copies_and_late_events_have_their_shares_and_are_counted(void **state)
{
	struct leat_shop_config config = leat_shop_defaults();
	struct leat_shop_stats seen = { 0 };
	(void)state;
	config.rate = 100;       /* of late events few are still under way at the end */
	struct leat_shop *shop = open_shop(&config);
	for (int i = 0; i < EVENTS; i++) {
		const struct leat_shop_event *event = next_event(shop);
		seen.dirt[event->dirt]++;
		seen.copies += event->copy;
		seen.late += event->late && !event->copy;
		seen.topics[event->topic]++;
		if (event->dirt == LEAT_SHOP_NEGATIVE_PRICE)
			assert_true(event->price < 0);
		assert_true((event->dirt == LEAT_SHOP_EMPTY_USER) == (event->user_id[0] == '\0'));
		assert_true((event->dirt == LEAT_SHOP_FAR_FUTURE) == (event->ts > event->send_ms));
		assert_true(event->send_ms - event->ts <= 35000);
	}
	const struct leat_shop_stats *stats = leat_shop_stats(shop);
	assert_int_equal(stats->events, EVENTS);
	assert_memory_equal(seen.dirt, stats->dirt, sizeof seen.dirt);
	assert_memory_equal(seen.topics, stats->topics, sizeof seen.topics);
	assert_int_equal(seen.copies, stats->copies);
	assert_int_equal(seen.late, stats->late);
	uint64_t clean = stats->dirt[LEAT_SHOP_CLEAN] - stats->copies;
	assert_true(near_share(EVENTS - stats->dirt[LEAT_SHOP_CLEAN], clean, 0.005));
	assert_true(near_share(stats->copies, clean, 0.01));
	assert_true(near_share(stats->late, clean, 0.02));
	leat_shop_close(shop);
}

static void views_lead_to_carts_and_carts_to_purchases(void **state)
{
	struct leat_shop_config config = leat_shop_defaults();
	struct leat_shop *shop = open_shop(&config);
	(void)state;
	for (int i = 0; i < EVENTS; i++)
		next_event(shop);
	const struct leat_shop_stats *stats = leat_shop_stats(shop);
	assert_true(stats->types[LEAT_SHOP_VIEW] > EVENTS / 10 * 7);
	assert_in_range(stats->types[LEAT_SHOP_CART], EVENTS / 20, EVENTS / 8);
	assert_in_range(stats->types[LEAT_SHOP_PURCHASE], EVENTS / 50, stats->types[LEAT_SHOP_CART]);
	assert_int_equal(stats->types[LEAT_SHOP_PURCHASE], stats->topics[LEAT_SHOP_PURCHASES]);
	assert_true(stats->sign_ins > 0 && stats->sign_ins < stats->anonymous_sessions);
	leat_shop_close(shop);
}

static void the_rate_is_what_was_asked_for(void **state)
{
	struct leat_shop_config config = leat_shop_defaults();
	const struct leat_shop_event *event;
	(void)state;
	for (config.rate = 50; config.rate < 20000; config.rate *= 6) {
		struct leat_shop *shop = open_shop(&config);
		int64_t seconds = (int64_t)(60000 / config.rate);
		while (leat_shop_next(shop, config.start_ms + seconds * 1000, &event) == 1)
			;
		assert_in_range(leat_shop_stats(shop)->events, (uint64_t)(config.rate * (double)seconds * 0.85), (uint64_t)(config.rate * (double)seconds * 1.15));
		leat_shop_close(shop);
	}
}

/* What a user looks at is far more often of their two tastes than chance would have it, and often follows from what they saw last. */
static void what_is_viewed_follows_taste(void **state)
{
	struct leat_shop_config config = leat_shop_defaults();
	struct leat_shop *shop = open_shop(&config);
	double liking = 0;
	int views = 0;
	(void)state;
	for (int i = 0; i < EVENTS; i++) {
		const struct leat_shop_event *event = next_event(shop);
		if (event->topic != LEAT_SHOP_CLICKS || event->type != LEAT_SHOP_VIEW || event->user_id[0] != 'u')
			continue;
		liking += leat_shop_taste(shop, strtol(event->user_id + 1, NULL, 10), (int)strtol(event->category + 1, NULL, 10) / 3);
		views++;
	}
	assert_true(liking / views > 2.0 / LEAT_SHOP_TASTES);
	leat_shop_close(shop);
}

static struct leat_bytes print(char *text, size_t size, const char *format, int number)
{
	snprintf(text, size, format, number);
	return leat_text(text);
}

static void who_likes_the_category_clicks_more_often(void **state)
{
	struct leat_shop_config config = leat_shop_defaults();
	struct leat_shop *shop = open_shop(&config);
	uint64_t clicks[2] = { 0 }, impressions[2] = { 0 };
	(void)state;
	for (int i = 0; i < 4000; i++) {
		char decision[24], user[24], ad_id[24];
		struct leat_shop_event ad;
		leat_shop_ad(shop, i % config.ads, &ad);
		bool likes = leat_shop_taste(shop, i, (int)strtol(ad.category + 1, NULL, 10) / 3) > 0.2;
		assert_int_equal(leat_shop_decided(shop, print(decision, sizeof decision, "d%d", i), print(user, sizeof user, "u%d", i), print(ad_id, sizeof ad_id, "ad%d", i % (int)config.ads), config.start_ms), 0);
		impressions[likes]++;
	}
	for (uint64_t seen = 0; seen < 4000;) {
		const struct leat_shop_event *event = next_event(shop);
		struct leat_shop_event ad;
		if (event->topic != LEAT_SHOP_FEEDBACK)
			continue;
		leat_shop_ad(shop, strtol(event->ad_id + 2, NULL, 10), &ad);
		bool likes = leat_shop_taste(shop, strtol(event->user_id + 1, NULL, 10), (int)strtol(ad.category + 1, NULL, 10) / 3) > 0.2;
		seen += event->kind == LEAT_SHOP_IMPRESSION;
		clicks[likes] += event->kind == LEAT_SHOP_CLICK;
	}
	assert_int_equal(leat_shop_stats(shop)->decisions, 4000);
	assert_true((double)clicks[1] / (double)impressions[1] > 3 * (double)clicks[0] / (double)impressions[0]);
	leat_shop_close(shop);
}

static void decisions_about_strangers_change_nothing(void **state)
{
	struct leat_shop_config config = leat_shop_defaults();
	struct leat_shop *shop = open_shop(&config);
	static const char *const users[] = { "u5000", "x1", "u", "u-1", "u12345678901", "" }, *const ads[] = { "ad200", "ad", "200", "ad1x" };
	char long_id[200];
	(void)state;
	memset(long_id, 'd', sizeof long_id);
	for (size_t i = 0; i < LEAT_COUNT_OF(users); i++)
		assert_int_equal(leat_shop_decided(shop, leat_text("d"), leat_text(users[i]), leat_text("ad1"), config.start_ms), 0);
	for (size_t i = 0; i < LEAT_COUNT_OF(ads); i++)
		assert_int_equal(leat_shop_decided(shop, leat_text("d"), leat_text("u1"), leat_text(ads[i]), config.start_ms), 0);
	assert_int_equal(leat_shop_decided(shop, leat_bytes(long_id, sizeof long_id), leat_text("u1"), leat_text("ad1"), config.start_ms), 0);
	assert_int_equal(leat_shop_stats(shop)->decisions, 0);
	leat_shop_close(shop);
}

static void numbers_out_of_range_are_refused(void **state)
{
	struct leat_shop *shop;
	struct leat_fault fault = { 0 };
	struct leat_shop_config none = leat_shop_defaults(), still = leat_shop_defaults(), minus = leat_shop_defaults();
	(void)state;
	none.users = 0;
	still.rate = 0;
	minus.ads = -1;
	assert_int_equal(leat_shop_open(&shop, &none, &fault), LEAT_ECONFIG);
	assert_string_equal(fault.text, "the shop's users must be 1 to 1000000");
	assert_int_equal(leat_shop_open(&shop, &still, &fault), LEAT_ECONFIG);
	assert_int_equal(leat_shop_open(&shop, &minus, &fault), LEAT_ECONFIG);
	assert_null(shop);
}

static void a_tiny_shop_works(void **state)
{
	struct leat_shop_config config = leat_shop_defaults();
	(void)state;
	config.users = config.items = 1;
	config.ads = 0;
	struct leat_shop *shop = open_shop(&config);
	for (int i = 0; i < 1000; i++)
		next_event(shop);
	leat_shop_close(shop);
}

static void memory_that_runs_out_is_an_error_and_leaks_nothing(void **state)
{
	struct leat_shop_config config = leat_shop_defaults();
	int rc = LEAT_ENOMEM;
	(void)state;
	for (uint64_t n = 1; rc == LEAT_ENOMEM; n++) {
		struct leat_shop *shop;
		const struct leat_shop_event *event;
		leat_alloc_fail_at(n);
		rc = leat_shop_open(&shop, &config, NULL);
		for (int i = 0; rc >= 0 && i < 3000; i++)
			rc = leat_shop_next(shop, INT64_MAX, &event);
		leat_alloc_fail_at(0);
		leat_shop_close(shop);
		assert_true(n < 1000);
	}
	assert_int_equal(rc, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_same_seed_is_the_same_shop_and_another_another),
		cmocka_unit_test(events_leave_in_order_and_never_before_they_are_due),
		cmocka_unit_test(dirt_copies_and_late_events_have_their_shares_and_are_counted),
		cmocka_unit_test(views_lead_to_carts_and_carts_to_purchases),
		cmocka_unit_test(the_rate_is_what_was_asked_for),
		cmocka_unit_test(what_is_viewed_follows_taste),
		cmocka_unit_test(who_likes_the_category_clicks_more_often),
		cmocka_unit_test(decisions_about_strangers_change_nothing),
		cmocka_unit_test(numbers_out_of_range_are_refused),
		cmocka_unit_test(a_tiny_shop_works),
		cmocka_unit_test(memory_that_runs_out_is_an_error_and_leaks_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
