/* Inside the simulated shop: what its files share. */
#ifndef LEAT_SHOP_INTERNAL_H
#define LEAT_SHOP_INTERNAL_H

#include "cli/shop.h"

enum { SHOP_CART_MAX = 4 };

/* A visitor; at most one session each. */
struct shop_user {
	float taste[LEAT_SHOP_TASTES];        /* log weights */
	uint32_t last_item;                   /* + 1; 0: none yet, across sessions */
	uint32_t cart[SHOP_CART_MAX];
	uint64_t session;                     /* number of the session, 0: not here */
	uint16_t steps;                       /* left in the session                */
	uint16_t sign_in;                     /* signs in when so many steps are left; 0: never */
	uint8_t cart_count;
	bool anonymous, viewed;               /* viewed: the last step was a view */
};
/* Something that is due: an arrival, a visitor's next step, or an event that leaves. */
enum shop_due_kind { SHOP_ARRIVAL, SHOP_STEP, SHOP_EVENT };
struct shop_due {
	int64_t at_us;
	uint64_t order;                       /* of equal times: first in, first out */
	enum shop_due_kind kind;
	uint32_t index;                       /* of the user or of the event */
};
struct shop_heap {
	struct shop_due *items;
	size_t count, capacity;
	uint64_t order;
};
/* Items: by taste, in each the most popular first. */
struct shop_goods {
	uint32_t *sorted;                     /* item numbers, grouped by taste     */
	double *sum;                          /* of the popularity up to sorted[i]  */
	uint8_t *category;                    /* by item                            */
	size_t first[LEAT_SHOP_TASTES + 1];
	size_t count;
};

struct leat_shop {
	struct leat_shop_config config;
	uint64_t state;                       /* of the random numbers */
	uint64_t events, sessions, orders;    /* numbers given so far  */
	double dwell_us, arrival_us;          /* means                 */
	struct shop_user *users;
	struct shop_goods goods;
	struct shop_heap heap;
	struct leat_shop_event *pool;         /* events that wait to leave */
	uint32_t *unused;                     /* free places of it         */
	size_t pool_count, unused_count;
	struct leat_shop_event current;
	struct leat_shop_stats stats;
};

/* ---- shop_goods.c: what is sold, advertised and liked ---- */
static inline double shop_unit(uint64_t bits)
{
	return (double)(bits >> 11) * 0x1p-53;
}
/* A number of its own for @what and @index, whatever happened before. */
static inline uint64_t shop_fixed(const struct leat_shop *shop, uint64_t what, uint64_t index)
{
	return leat_mix(leat_mix(shop->config.seed ^ (what << 56)) ^ index);
}
int shop_goods_open(struct leat_shop *shop);
void shop_goods_close(struct shop_goods *goods);
/* @unit in [0, 1): an item of @taste by popularity; taste -1: of all. */
uint32_t shop_goods_pick(const struct shop_goods *goods, int taste, double unit);
/* One of the four items that people look at after @item. */
uint32_t shop_goods_companion(const struct leat_shop *shop, uint32_t item, unsigned which);
double shop_item_price(const struct leat_shop *shop, uint32_t item);
int shop_ad_category(const struct leat_shop *shop, int64_t ad);
/* The chance of each taste. */
void shop_tastes(const struct shop_user *user, double chance[LEAT_SHOP_TASTES]);

/* ---- shop_heap.c ---- */
int shop_push(struct shop_heap *heap, int64_t at_us, enum shop_due_kind kind, uint32_t index);
struct shop_due shop_pop(struct shop_heap *heap);

/* ---- shop.c ---- */
double shop_random(struct leat_shop *shop);          /* [0, 1) */
/* Queues a copy of @event. */
int shop_queue(struct leat_shop *shop, const struct leat_shop_event *event, int64_t at_us);
/* ---- shop_visit.c ---- */
int shop_enter(struct leat_shop *shop, int64_t at_us);      /* somebody comes in */
int shop_arrive(struct leat_shop *shop, int64_t at_us);     /* the same, and the next one will */
int shop_fill(struct leat_shop *shop, int64_t at_us);
int shop_step(struct leat_shop *shop, uint32_t user, int64_t at_us);

#endif
