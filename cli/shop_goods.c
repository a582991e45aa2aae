/* The simulated shop's items, ads and tastes. Fixed by the seed. */
#include "cli/shop_internal.h"

#include <math.h>

enum { ABOUT_ORDER = 1, ABOUT_CATEGORY, ABOUT_PRICE, ABOUT_COMPANION, ABOUT_AD, ABOUT_BID };
enum { CATEGORIES_PER_TASTE = LEAT_SHOP_CATEGORIES / LEAT_SHOP_TASTES, PAUSED_ADS_PERCENT = 5 };

/* Items by popularity, most popular first: a shuffle. */
static void shuffle(const struct leat_shop *shop, uint32_t *rank_to_item, size_t count)
{
	for (size_t i = 0; i < count; i++)
		rank_to_item[i] = (uint32_t)i;
	for (size_t i = count; i > 1; i--) {
		size_t j = shop_fixed(shop, ABOUT_ORDER, i) % i;
		uint32_t item = rank_to_item[i - 1];
		rank_to_item[i - 1] = rank_to_item[j];
		rank_to_item[j] = item;
	}
}

static void group_by_taste(struct shop_goods *goods, const uint32_t *rank_to_item)
{
	size_t at = 0;
	double sum = 0;
	for (int taste = 0; taste < LEAT_SHOP_TASTES; taste++) {
		goods->first[taste] = at;
		for (size_t rank = 0; rank < goods->count; rank++) {
			if (goods->category[rank_to_item[rank]] / CATEGORIES_PER_TASTE != taste)
				continue;
			sum += 1 / (double)(rank + 1);          /* Zipf, exponent 1 */
			goods->sorted[at] = rank_to_item[rank];
			goods->sum[at++] = sum;
		}
	}
	goods->first[LEAT_SHOP_TASTES] = at;
}

int shop_goods_open(struct leat_shop *shop)
{
	struct shop_goods *goods = &shop->goods;
	goods->count = (size_t)shop->config.items;
	goods->sorted = leat_calloc(goods->count, sizeof *goods->sorted);
	goods->sum = leat_calloc(goods->count, sizeof *goods->sum);
	goods->category = leat_calloc(goods->count, 1);
	uint32_t *rank_to_item = leat_calloc(goods->count, sizeof *rank_to_item);
	bool there = goods->sorted && goods->sum && goods->category && rank_to_item;
	for (size_t item = 0; there && item < goods->count; item++)
		goods->category[item] = (uint8_t)(shop_fixed(shop, ABOUT_CATEGORY, item) % LEAT_SHOP_CATEGORIES);
	if (there) {
		shuffle(shop, rank_to_item, goods->count);
		group_by_taste(goods, rank_to_item);
	}
	leat_free(rank_to_item);
	return there ? 0 : LEAT_ENOMEM;
}

void shop_goods_close(struct shop_goods *goods)
{
	leat_free(goods->sorted);
	leat_free(goods->sum);
	leat_free(goods->category);
}

uint32_t shop_goods_pick(const struct shop_goods *goods, int taste, double unit)
{
	bool any = taste < 0 || goods->first[taste] == goods->first[taste + 1];      /* nothing sold for that taste */
	size_t low = any ? 0 : goods->first[taste], high = (any ? goods->count : goods->first[taste + 1]) - 1;
	double below = low ? goods->sum[low - 1] : 0, wanted = below + unit * (goods->sum[high] - below);
	while (low < high) {
		size_t middle = (low + high) / 2;
		if (goods->sum[middle] > wanted)
			high = middle;
		else
			low = middle + 1;
	}
	return goods->sorted[low];
}

uint32_t shop_goods_companion(const struct leat_shop *shop, uint32_t item, unsigned which)
{
	const struct shop_goods *goods = &shop->goods;
	int taste = goods->category[item] / CATEGORIES_PER_TASTE;
	size_t count = goods->first[taste + 1] - goods->first[taste];
	return goods->sorted[goods->first[taste] + shop_fixed(shop, ABOUT_COMPANION, item * 4ull + which % 4) % count];
}

/* 1 to 200, more cheap than dear, in whole cents. */
double shop_item_price(const struct leat_shop *shop, uint32_t item)
{
	double unit = shop_unit(shop_fixed(shop, ABOUT_PRICE, item));
	return round((1 + 199 * unit * unit * unit) * 100) / 100;
}

int shop_ad_category(const struct leat_shop *shop, int64_t ad)
{
	return (int)(shop_fixed(shop, ABOUT_AD, (uint64_t)ad) % LEAT_SHOP_CATEGORIES);
}

void leat_shop_ad(const struct leat_shop *shop, int64_t index, struct leat_shop_event *out)
{
	int category = shop_ad_category(shop, index);
	uint64_t bits = shop_fixed(shop, ABOUT_BID, (uint64_t)index);
	*out = (struct leat_shop_event){ .topic = LEAT_SHOP_ADS, .bid = round((0.05 + 0.95 * shop_unit(bits)) * 100) / 100, .active = bits % 100 >= PAUSED_ADS_PERCENT, .price = NAN };
	snprintf(out->ad_id, sizeof out->ad_id, "ad%lld", (long long)index);
	snprintf(out->category, sizeof out->category, "c%02d", category);
	snprintf(out->title, sizeof out->title, "Offer %lld of category c%02d", (long long)index, category);
}

void shop_tastes(const struct shop_user *user, double chance[LEAT_SHOP_TASTES])
{
	double sum = 0;
	for (int i = 0; i < LEAT_SHOP_TASTES; i++)
		sum += chance[i] = exp((double)user->taste[i]);
	for (int i = 0; i < LEAT_SHOP_TASTES; i++)
		chance[i] /= sum;
}

double leat_shop_taste(const struct leat_shop *shop, int64_t user, int taste)
{
	double chance[LEAT_SHOP_TASTES];
	shop_tastes(&shop->users[user], chance);
	return chance[taste];
}
