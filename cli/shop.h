/*
 * The simulated shop: visitors with planted tastes, what they click, buy and dislike, and the dirt that real streams have. Pure: it does no I/O, has no clock of its own
 * and is a function of its configuration and of the decisions it was shown. One thread. What somebody does next hangs on their taste and on what they looked at last,
 * so that a model which learns can beat the list of the most popular items.
 */
#ifndef LEAT_SHOP_H
#define LEAT_SHOP_H

#include "base/base.h"

enum { LEAT_SHOP_TASTES = 12, LEAT_SHOP_CATEGORIES = 36 };     /* category c belongs to taste c / 3 */

enum leat_shop_topic { LEAT_SHOP_CLICKS, LEAT_SHOP_PURCHASES, LEAT_SHOP_FEEDBACK, LEAT_SHOP_ADS, LEAT_SHOP_TOPICS };
/* In the order of the symbols of click.avsc and feedback.avsc. */
enum leat_shop_type { LEAT_SHOP_VIEW, LEAT_SHOP_CART, LEAT_SHOP_FAVORITE, LEAT_SHOP_SEARCH, LEAT_SHOP_PURCHASE, LEAT_SHOP_TYPES };
enum leat_shop_kind { LEAT_SHOP_IMPRESSION, LEAT_SHOP_CLICK, LEAT_SHOP_CONVERSION, LEAT_SHOP_KINDS };

/* What is wrong with an event; the last two are done to its bytes by whoever encodes it. */
#define LEAT_SHOP_DIRT(X)                      \
	X(NEGATIVE_PRICE, "negative_price")    \
	X(EMPTY_USER, "empty_user")            \
	X(FAR_FUTURE, "far_future")            \
	X(CUT_BODY, "cut_body")                \
	X(UNKNOWN_SCHEMA, "unknown_schema")
enum leat_shop_dirt {
	LEAT_SHOP_CLEAN,
#define X(name, text) LEAT_SHOP_##name,
	LEAT_SHOP_DIRT(X)
#undef X
	LEAT_SHOP_DIRTS
};
const char *leat_shop_dirt_name(enum leat_shop_dirt dirt);

struct leat_shop_config {
	uint64_t seed;                /* tastes, items, ads and what happens                                                  */
	int64_t users, items, ads;    /* at least 1 each but ads; at most a million                                           */
	int64_t start_ms;             /* of the shop's time, unix ms; part of the event ids, so that two runs have different ones */
	double rate;                  /* events per second of the shop's time, on average; above 0                            */
	double late, copies, dirt;    /* shares of events; late ones come up to 30 s after their time                         */
};
/* 5,000 users, 1,000 items, 200 ads, 2 % late, 1 % copies, 0.5 % dirt. */
struct leat_shop_config leat_shop_defaults(void);

/* One event or ad as flat values; an empty text or a NaN is null where the schema has null. */
struct leat_shop_event {
	enum leat_shop_topic topic;
	enum leat_shop_dirt dirt;
	bool late, copy;
	int64_t send_ms;              /* when it leaves the shop; ts + lateness */
	int64_t ts, type, kind, quantity;
	double price, bid;
	uint8_t active;
	char event_id[20], user_id[20], anonymous_id[20], item_id[16], order_id[20], session_id[20], category[12], channel[8], url[32], currency[4], country[4];
	char decision_id[96], ad_id[16], title[40];
};

struct leat_shop_stats {
	uint64_t events;              /* handed out, everything counted  */
	uint64_t topics[LEAT_SHOP_TOPICS], types[LEAT_SHOP_TYPES], kinds[LEAT_SHOP_KINDS], dirt[LEAT_SHOP_DIRTS];
	uint64_t late, copies, sessions, anonymous_sessions, sign_ins, decisions;
};

struct leat_shop;
/* LEAT_ENOMEM; LEAT_ECONFIG for numbers out of range. */
int leat_shop_open(struct leat_shop **out, const struct leat_shop_config *config, struct leat_fault *fault);
void leat_shop_close(struct leat_shop *shop);      /* accepts NULL */
/* The next event that leaves the shop at @until_ms or before, borrowed until the next call: 1; 0: there is none yet; LEAT_ENOMEM. */
int leat_shop_next(struct leat_shop *shop, int64_t until_ms, const struct leat_shop_event **out);
/* Ad @index of config.ads. */
void leat_shop_ad(const struct leat_shop *shop, int64_t index, struct leat_shop_event *out);
/* The shop shows the ad of a decision: an impression, perhaps a click, perhaps more, follow as events from @now_ms on. One for a stranger changes nothing. LEAT_ENOMEM. */
int leat_shop_decided(struct leat_shop *shop, struct leat_bytes decision_id, struct leat_bytes user_id, struct leat_bytes ad_id, int64_t now_ms);
const struct leat_shop_stats *leat_shop_stats(const struct leat_shop *shop);
/* How much user @user likes taste @taste now, 0 to 1: what a model should find out. */
double leat_shop_taste(const struct leat_shop *shop, int64_t user, int taste);

#endif
