/* Visits to the simulated shop: who comes, what they look at, carry away and buy, and which of it arrives late, twice or broken. */
#include "cli/shop_internal.h"

#include <math.h>

enum { LATE_MS_MAX = 30000, COPY_MS_MAX = 5000, STEPS_MEAN = 8, STEPS_MAX = 200, TRIES = 64, FUTURE_S = 366 * 86400 };
/* Shares of steps and sessions. */
static const double anonymous_share = 0.2, signs_in_share = 0.6, search_share = 0.03, favorite_share = 0.02, checkout_share = 0.45, follow_share = 0.35, popular_share = 0.1;
static const double drift = 0.02, moves_share = 0.002;

static bool chance(struct leat_shop *shop, double share)
{
	return shop_random(shop) < share;
}

static int64_t wait_us(struct leat_shop *shop, double mean_us)
{
	return (int64_t)(-log(1 - shop_random(shop)) * mean_us) + 1;
}

static void number_event(struct leat_shop *shop, struct leat_shop_event *event)
{
	uint64_t run = leat_mix(shop->config.seed ^ leat_mix((uint64_t)shop->config.start_ms));
	snprintf(event->event_id, sizeof event->event_id, "%016llx", (unsigned long long)leat_mix(run + shop->events++));
}

/* ---- dirt ---- */

static void spoil(struct leat_shop *shop, struct leat_shop_event *event)
{
	event->dirt = (enum leat_shop_dirt)(1 + (int)(shop_random(shop) * (LEAT_SHOP_DIRTS - 1)));
	if (event->dirt == LEAT_SHOP_NEGATIVE_PRICE)
		event->price = -fabs(isnan(event->price) ? 1 : event->price);
	if (event->dirt == LEAT_SHOP_EMPTY_USER)
		event->user_id[0] = '\0';
	if (event->dirt == LEAT_SHOP_FAR_FUTURE)
		event->ts += FUTURE_S * 1000LL;
	number_event(shop, event);
}

/* The event leaves, perhaps late, perhaps again; a broken one beside it is an event more. */
static int leave(struct leat_shop *shop, struct leat_shop_event *event, int64_t at_us)
{
	struct leat_shop_event broken = *event;
	int64_t send_us = at_us;
	number_event(shop, event);
	event->late = chance(shop, shop->config.late);
	if (event->late)
		send_us += 1000000 + (int64_t)(shop_random(shop) * (LATE_MS_MAX - 1000) * 1000);
	LEAT_TRY(shop_queue(shop, event, send_us));
	if (chance(shop, shop->config.copies)) {
		event->copy = true;
		LEAT_TRY(shop_queue(shop, event, send_us + (int64_t)(shop_random(shop) * COPY_MS_MAX * 1000)));
	}
	if (!chance(shop, shop->config.dirt))
		return 0;
	spoil(shop, &broken);
	return shop_queue(shop, &broken, at_us);
}

/* ---- one step ---- */

static uint32_t choose_item(struct leat_shop *shop, const struct shop_user *user)
{
	double chances[LEAT_SHOP_TASTES], how = shop_random(shop), wanted = shop_random(shop), unit = shop_random(shop);
	int taste = 0;
	if (user->last_item && how < follow_share)
		return shop_goods_companion(shop, user->last_item - 1, (unsigned)(unit * 4));
	if (how > 1 - popular_share)
		return shop_goods_pick(&shop->goods, -1, unit);
	shop_tastes(user, chances);
	while (taste < LEAT_SHOP_TASTES - 1 && (wanted -= chances[taste]) >= 0)
		taste++;
	return shop_goods_pick(&shop->goods, taste, unit);
}

static void name_user(const struct shop_user *user, uint32_t number, struct leat_shop_event *event)
{
	snprintf(event->anonymous_id, sizeof event->anonymous_id, "a%u", number);
	snprintf(event->user_id, sizeof event->user_id, user->anonymous ? "a%u" : "u%u", number);
}

static struct leat_shop_event begin_event(const struct leat_shop *shop, uint32_t number, int64_t at_us)
{
	static const char channels[][8] = { "web", "app", "mail", "search" };
	const struct shop_user *user = &shop->users[number];
	struct leat_shop_event event = { .ts = at_us / 1000, .price = NAN, .quantity = 1 };
	uint64_t session = shop_fixed(shop, 9, user->session ^ (uint64_t)shop->config.start_ms);
	name_user(user, number, &event);
	snprintf(event.session_id, sizeof event.session_id, "s%016llx", (unsigned long long)session);
	snprintf(event.channel, sizeof event.channel, "%s", channels[session % LEAT_COUNT_OF(channels)]);
	return event;
}

static void set_item(const struct leat_shop *shop, struct leat_shop_event *event, uint32_t item)
{
	snprintf(event->item_id, sizeof event->item_id, "i%u", item);
	snprintf(event->category, sizeof event->category, "c%02d", shop->goods.category[item]);
	snprintf(event->url, sizeof event->url, "/item/%u", item);
	event->price = shop_item_price(shop, item);
}

static int click(struct leat_shop *shop, uint32_t number, int64_t at_us, enum leat_shop_type type)
{
	struct shop_user *user = &shop->users[number];
	struct leat_shop_event event = begin_event(shop, number, at_us);
	event.topic = LEAT_SHOP_CLICKS;
	event.type = type;
	user->viewed = type == LEAT_SHOP_VIEW;
	if (type == LEAT_SHOP_SEARCH)
		snprintf(event.url, sizeof event.url, "/search");
	if (type == LEAT_SHOP_VIEW)
		user->last_item = choose_item(shop, user) + 1;
	if (type != LEAT_SHOP_SEARCH)
		set_item(shop, &event, user->last_item - 1);
	if (type == LEAT_SHOP_CART)
		user->cart[user->cart_count++] = user->last_item - 1;
	return leave(shop, &event, at_us);
}

/* One line per item of the cart, one order. */
static int check_out(struct leat_shop *shop, uint32_t number, int64_t at_us)
{
	struct shop_user *user = &shop->users[number];
	uint64_t order = shop_fixed(shop, 10, shop->orders++ ^ (uint64_t)shop->config.start_ms);
	for (uint8_t i = 0; i < user->cart_count; i++) {
		struct leat_shop_event event = begin_event(shop, number, at_us);
		event.topic = LEAT_SHOP_PURCHASES;
		event.type = LEAT_SHOP_PURCHASE;
		set_item(shop, &event, user->cart[i]);
		event.quantity = shop_random(shop) < 0.8 ? 1 : 2 + (int64_t)(shop_random(shop) * 3);
		snprintf(event.order_id, sizeof event.order_id, "o%016llx", (unsigned long long)order);
		snprintf(event.currency, sizeof event.currency, "EUR");
		snprintf(event.country, sizeof event.country, "DE");
		LEAT_TRY(leave(shop, &event, at_us));
	}
	user->cart_count = 0;
	user->viewed = false;
	return 0;
}

/* People put what they like into the cart more often. */
static double cart_share(const struct leat_shop *shop, const struct shop_user *user)
{
	double chances[LEAT_SHOP_TASTES];
	shop_tastes(user, chances);
	return 0.04 + 0.25 * chances[shop->goods.category[user->last_item - 1] * LEAT_SHOP_TASTES / LEAT_SHOP_CATEGORIES];
}

static int act(struct leat_shop *shop, uint32_t number, int64_t at_us)
{
	const struct shop_user *user = &shop->users[number];
	if (user->cart_count && chance(shop, checkout_share))
		return check_out(shop, number, at_us);
	if (user->viewed && user->cart_count < SHOP_CART_MAX && chance(shop, cart_share(shop, user)))
		return click(shop, number, at_us, LEAT_SHOP_CART);
	if (user->viewed && chance(shop, favorite_share))
		return click(shop, number, at_us, LEAT_SHOP_FAVORITE);
	return click(shop, number, at_us, chance(shop, search_share) ? LEAT_SHOP_SEARCH : LEAT_SHOP_VIEW);
}

int shop_step(struct leat_shop *shop, uint32_t number, int64_t at_us)
{
	struct shop_user *user = &shop->users[number];
	if (user->anonymous && user->steps <= user->sign_in) {
		user->anonymous = false;
		shop->stats.sign_ins++;
	}
	LEAT_TRY(act(shop, number, at_us));
	if (--user->steps == 0) {
		user->session = 0;
		user->cart_count = 0;
		return 0;
	}
	return shop_push(&shop->heap, at_us + wait_us(shop, shop->dwell_us), SHOP_STEP, number);
}

/* ---- arrivals ---- */

/* Slowly all the time, and now and then a liking goes over to something else. */
static void drift_tastes(struct leat_shop *shop, struct shop_user *user)
{
	for (int i = 0; i < LEAT_SHOP_TASTES; i++)
		user->taste[i] += (float)(drift * sqrt(12) * (shop_random(shop) - 0.5));
	if (!chance(shop, moves_share))
		return;
	int from = (int)(shop_random(shop) * LEAT_SHOP_TASTES), to = (int)(shop_random(shop) * LEAT_SHOP_TASTES);
	float taste = user->taste[from];
	user->taste[from] = user->taste[to];
	user->taste[to] = taste;
}

static void start_session(struct leat_shop *shop, struct shop_user *user)
{
	double steps = 1 - log(1 - shop_random(shop)) * (STEPS_MEAN - 0.5);
	user->session = ++shop->sessions;
	user->steps = (uint16_t)LEAT_MIN(steps, STEPS_MAX);
	user->viewed = false;
	user->anonymous = chance(shop, anonymous_share);
	user->sign_in = user->anonymous && chance(shop, signs_in_share) ? (uint16_t)(1 + user->steps * shop_random(shop)) : 0;
	shop->stats.sessions++;
	shop->stats.anonymous_sessions += user->anonymous;
	drift_tastes(shop, user);
}

/* Some come far more often than others; who is here already does not come again. */
int shop_enter(struct leat_shop *shop, int64_t at_us)
{
	for (int i = 0; i < TRIES; i++) {
		double unit = shop_random(shop);
		uint32_t number = (uint32_t)(unit * unit * (double)shop->config.users);
		if (shop->users[number].session)
			continue;
		start_session(shop, &shop->users[number]);
		return shop_push(&shop->heap, at_us, SHOP_STEP, number);
	}
	return 0;
}

int shop_arrive(struct leat_shop *shop, int64_t at_us)
{
	LEAT_TRY(shop_push(&shop->heap, at_us + wait_us(shop, shop->arrival_us), SHOP_ARRIVAL, 0));
	return shop_enter(shop, at_us);
}

/* The shop has been open for long: as many are in it as there are on average. */
int shop_fill(struct leat_shop *shop, int64_t at_us)
{
	int64_t present = (int64_t)(shop->config.rate * shop->dwell_us / 1e6);
	for (int64_t i = 0; i < present; i++)
		LEAT_TRY(shop_enter(shop, at_us + (int64_t)(shop_random(shop) * shop->dwell_us)));
	return 0;
}
