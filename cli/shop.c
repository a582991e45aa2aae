/* The simulated shop: its life and its answers to decisions. */
#include "cli/shop_internal.h"

#include <math.h>

enum { COUNT_MAX = 1000000, EVENTS_PER_SESSION_PERCENT = 790, DWELL_US_MAX = 8000000, FAVOURITES = 2 };
enum { ABOUT_USER = 7, ABOUT_DECISION };
static const double busy_share = 0.25;       /* of the users at most are in the shop at once */

const char *leat_shop_dirt_name(enum leat_shop_dirt dirt)
{
	static const char *const names[] = {
		"clean",
#define X(name, text) text,
		LEAT_SHOP_DIRT(X)
#undef X
	};
	return names[dirt];
}

struct leat_shop_config leat_shop_defaults(void)
{
	return (struct leat_shop_config){ .seed = 1, .users = 5000, .items = 1000, .ads = 200, .start_ms = 1760000000000, .rate = 2000, .late = 0.02, .copies = 0.01, .dirt = 0.005 };
}

double shop_random(struct leat_shop *shop)
{
	shop->state += 0x9E3779B97F4A7C15ull;
	return shop_unit(leat_mix(shop->state));
}

/* ---- opening ---- */

static int check(const struct leat_shop_config *config, struct leat_fault *fault)
{
	const int64_t counts[] = { config->users, config->items, config->ads + 1 };
	static const char *const names[] = { "users", "items", "ads" };
	for (size_t i = 0; i < LEAT_COUNT_OF(counts); i++)
		if (counts[i] < 1 || counts[i] > COUNT_MAX)
			return leat_fail(fault, LEAT_ECONFIG, "the shop's %s must be %d to %d", names[i], i < 2 ? 1 : 0, COUNT_MAX);
	if (!(config->rate > 0 && config->rate <= 1e7))
		return leat_fail(fault, LEAT_ECONFIG, "the shop's rate must be above 0 and at most 10,000,000 events per second");
	return 0;
}

/* A little of everything, much of two things. */
static void give_tastes(struct leat_shop *shop, uint32_t number)
{
	struct shop_user *user = &shop->users[number];
	for (int i = 0; i < LEAT_SHOP_TASTES; i++)
		user->taste[i] = (float)shop_unit(shop_fixed(shop, ABOUT_USER, (uint64_t)number * 16 + (uint64_t)i));
	for (int i = 0; i < FAVOURITES; i++)
		user->taste[shop_fixed(shop, ABOUT_USER, (uint64_t)number * 16 + 12 + (uint64_t)i) % LEAT_SHOP_TASTES] += 2.5f;
}

int leat_shop_open(struct leat_shop **out, const struct leat_shop_config *config, struct leat_fault *fault)
{
	*out = NULL;
	LEAT_TRY(check(config, fault));
	struct leat_shop *shop = leat_calloc(1, sizeof *shop);
	int rc = LEAT_ENOMEM;
	if (!shop)
		goto out;
	shop->config = *config;
	shop->state = leat_mix(config->seed);
	shop->arrival_us = 1e6 * EVENTS_PER_SESSION_PERCENT / 100 / config->rate;
	shop->dwell_us = LEAT_MIN(DWELL_US_MAX, 1e6 * busy_share * (double)config->users / config->rate);
	shop->users = leat_calloc((size_t)config->users, sizeof *shop->users);
	if (!shop->users || (rc = shop_goods_open(shop)) < 0 || (rc = shop_push(&shop->heap, config->start_ms * 1000, SHOP_ARRIVAL, 0)) < 0)
		goto out;
	for (int64_t i = 0; i < config->users; i++)
		give_tastes(shop, (uint32_t)i);
	if ((rc = shop_fill(shop, config->start_ms * 1000)) < 0)
		goto out;
	*out = shop;
	shop = NULL;
out:
	leat_shop_close(shop);
	return rc < 0 ? leat_fail(fault, rc, "out of memory for the shop") : 0;
}

void leat_shop_close(struct leat_shop *shop)
{
	if (!shop)
		return;
	shop_goods_close(&shop->goods);
	leat_free(shop->heap.items);
	leat_free(shop->users);
	leat_free(shop->pool);
	leat_free(shop->unused);
	leat_free(shop);
}

/* ---- events that wait ---- */

static int grow_pool(struct leat_shop *shop)
{
	size_t count = LEAT_MAX(shop->pool_count * 2, (size_t)256);
	struct leat_shop_event *pool = leat_realloc(shop->pool, count * sizeof *pool);
	if (!pool)
		return LEAT_ENOMEM;
	shop->pool = pool;
	uint32_t *unused = leat_realloc(shop->unused, count * sizeof *unused);
	if (!unused)
		return LEAT_ENOMEM;
	shop->unused = unused;
	for (size_t i = count; i > shop->pool_count; i--)
		shop->unused[shop->unused_count++] = (uint32_t)(i - 1);
	shop->pool_count = count;
	return 0;
}

int shop_queue(struct leat_shop *shop, const struct leat_shop_event *event, int64_t at_us)
{
	if (shop->unused_count == 0)
		LEAT_TRY(grow_pool(shop));
	uint32_t place = shop->unused[shop->unused_count - 1];
	LEAT_TRY(shop_push(&shop->heap, at_us, SHOP_EVENT, place));
	shop->unused_count--;
	shop->pool[place] = *event;
	shop->pool[place].send_ms = at_us / 1000;
	return 0;
}

static void count_event(struct leat_shop_stats *stats, const struct leat_shop_event *event)
{
	stats->events++;
	stats->topics[event->topic]++;
	stats->dirt[event->dirt]++;
	stats->late += event->late && !event->copy;
	stats->copies += event->copy;
	if (event->topic == LEAT_SHOP_FEEDBACK)
		stats->kinds[event->kind]++;
	else
		stats->types[event->type]++;
}

int leat_shop_next(struct leat_shop *shop, int64_t until_ms, const struct leat_shop_event **out)
{
	int64_t until_us = until_ms > INT64_MAX / 1000 - 1 ? INT64_MAX : until_ms * 1000 + 999;
	int rc = 0;
	while (rc == 0 && shop->heap.count > 0 && shop->heap.items[0].at_us <= until_us) {
		struct shop_due due = shop_pop(&shop->heap);
		if (due.kind == SHOP_ARRIVAL)
			rc = shop_arrive(shop, due.at_us);
		else if (due.kind == SHOP_STEP)
			rc = shop_step(shop, due.index, due.at_us);
		else
			rc = 1;
		if (rc <= 0)
			continue;
		shop->current = shop->pool[due.index];
		shop->unused[shop->unused_count++] = due.index;
		count_event(&shop->stats, &shop->current);
		*out = &shop->current;
	}
	return rc;
}

const struct leat_shop_stats *leat_shop_stats(const struct leat_shop *shop)
{
	return &shop->stats;
}

/* ---- answers to decisions ---- */

/* The number in "u12", "a12" or "ad7" when it is one of ours, else -1. */
static int64_t number_of(struct leat_bytes id, const char *prefix, int64_t count)
{
	size_t at = strlen(prefix);
	int64_t number = 0;
	if (id.length <= at || id.length > at + 7 || memcmp(id.data, prefix, at) != 0)
		return -1;
	for (; at < id.length; at++) {
		if (id.data[at] < '0' || id.data[at] > '9')
			return -1;
		number = number * 10 + id.data[at] - '0';
	}
	return number < count ? number : -1;
}

static int answer(struct leat_shop *shop, struct leat_shop_event *event, enum leat_shop_kind kind, uint64_t *bits, int64_t *at_us)
{
	*bits = leat_mix(*bits);
	*at_us += 100000 + (int64_t)(*bits % 2000000);
	event->kind = kind;
	event->ts = *at_us / 1000;
	snprintf(event->event_id, sizeof event->event_id, "%016llx", (unsigned long long)leat_mix(*bits + kind));
	return shop_queue(shop, event, *at_us);
}

/* Drawn from the decision's own id: the same one gets the same answer, however often and whenever it comes. */
int leat_shop_decided(struct leat_shop *shop, struct leat_bytes decision_id, struct leat_bytes user_id, struct leat_bytes ad_id, int64_t now_ms)
{
	struct leat_shop_event event = { .topic = LEAT_SHOP_FEEDBACK, .price = NAN };
	int64_t user = number_of(user_id, "u", shop->config.users), ad = number_of(ad_id, "ad", shop->config.ads), at_us = now_ms * 1000;
	if (user < 0)
		user = number_of(user_id, "a", shop->config.users);
	if (user < 0 || ad < 0 || decision_id.length >= sizeof event.decision_id)
		return 0;
	shop->stats.decisions++;
	memcpy(event.decision_id, decision_id.data, decision_id.length);
	memcpy(event.user_id, user_id.data, user_id.length);
	memcpy(event.ad_id, ad_id.data, ad_id.length);
	double liking = leat_shop_taste(shop, user, shop_ad_category(shop, ad) * LEAT_SHOP_TASTES / LEAT_SHOP_CATEGORIES);
	uint64_t bits = shop_fixed(shop, ABOUT_DECISION, leat_hash(decision_id.data, decision_id.length));
	bool clicks = shop_unit(leat_mix(bits ^ 1)) < 0.005 + 0.4 * liking, converts = clicks && shop_unit(leat_mix(bits ^ 2)) < 0.1;
	LEAT_TRY(answer(shop, &event, LEAT_SHOP_IMPRESSION, &bits, &at_us));
	if (clicks)
		LEAT_TRY(answer(shop, &event, LEAT_SHOP_CLICK, &bits, &at_us));
	return converts ? answer(shop, &event, LEAT_SHOP_CONVERSION, &bits, &at_us) : 0;
}
