/* The reference workload: user and item by a power law, 90 % views, 7 % carts, 3 % purchases, about 1 % exact copies of the event before. */
#include "cli/generate_rp1.h"

#include <math.h>

enum { CATEGORIES = 40, VIEW_PERCENT = 90, CART_PERCENT = 97, LATE_MS = 60000, SCHEMA_ID = 1 };
static const uint64_t seed = 88172645463325252ull;
static const int64_t start_ms = 1760000000000;

void leat_rp1_init(struct leat_rp1 *rp1, int64_t users, int64_t items)
{
	*rp1 = (struct leat_rp1){ .state = seed, .users = users, .items = items };
}

static uint64_t next(struct leat_rp1 *rp1)
{
	rp1->state ^= rp1->state << 13;
	rp1->state ^= rp1->state >> 7;
	return rp1->state ^= rp1->state << 17;
}

/* Power law of exponent 1.05 by inversion. */
static int64_t power_law(struct leat_rp1 *rp1, int64_t count)
{
	double unit = (double)(next(rp1) >> 11) * 0x1p-53, a = -0.05;
	double value = pow(unit * (pow((double)count + 1, a) - 1) + 1, 1 / a);
	int64_t k = (int64_t)value - 1;
	return k < 0 ? 0 : k >= count ? count - 1 : k;
}

static void put(struct leat_rp1 *rp1, const void *data, size_t length)
{
	LEAT_ASSERT(rp1->length + length <= sizeof rp1->body);
	memcpy(rp1->body + rp1->length, data, length);
	rp1->length += length;
}

static void put_long(struct leat_rp1 *rp1, int64_t value)
{
	uint64_t zigzag = ((uint64_t)value << 1) ^ (uint64_t)(value >> 63);
	uint8_t bytes[10];
	size_t length = 0;
	for (; zigzag > 127; zigzag >>= 7)
		bytes[length++] = (uint8_t)(zigzag | 128);
	bytes[length++] = (uint8_t)zigzag;
	put(rp1, bytes, length);
}

static void put_text(struct leat_rp1 *rp1, const char *text)
{
	put_long(rp1, (int64_t)strlen(text));
	put(rp1, text, strlen(text));
}

/* The order in which random numbers are drawn is part of the workload. */
static void make(struct leat_rp1 *rp1, uint64_t number, int64_t now_ms)
{
	static const char *const channels[] = { "search", "feed", "mail", "push", "social" };
	static const uint8_t header[] = { 0, 0, 0, 0, SCHEMA_ID };
	char id[40], url[64];
	int64_t user = power_law(rp1, rp1->users), item = power_law(rp1, rp1->items), percent = (int64_t)(next(rp1) % 100), type = percent < VIEW_PERCENT ? 0 : percent < CART_PERCENT ? 1 : 2;
	if (now_ms < 0) {
		now_ms = start_ms + (int64_t)number * 2;
		if (next(rp1) % 50 == 0)
			now_ms -= (int64_t)(next(rp1) % LATE_MS);
	}
	uint64_t a = next(rp1), b = next(rp1);
	snprintf(id, sizeof id, "%08x-%04x-%04x-%04x-%012llx", (unsigned)a, (unsigned)(a >> 32) & 0xffff, (unsigned)(a >> 48), (unsigned)b & 0xffff, (unsigned long long)(b >> 16));
	snprintf(url, sizeof url, "/c/%d/item/%lld", (int)(item % CATEGORIES), (long long)item);
	snprintf(rp1->key, sizeof rp1->key, "%lld", (long long)user);
	rp1->length = 0;
	put(rp1, header, sizeof header);
	put_text(rp1, id);
	put_long(rp1, user);
	put_long(rp1, item);
	put_long(rp1, type);
	put_long(rp1, now_ms);
	put_long(rp1, type != 0);
	if (type != 0)
		put(rp1, &(double){ 5 + (double)(item % 97) * 1.5 }, 8);
	put_long(rp1, item % CATEGORIES);
	put_text(rp1, channels[next(rp1) % LEAT_COUNT_OF(channels)]);
	put_text(rp1, url);
}

void leat_rp1_next(struct leat_rp1 *rp1, int64_t now_ms)
{
	uint64_t number = rp1->made++;
	if (rp1->length && next(rp1) % 100 == 0)
		return;
	make(rp1, number, now_ms);
}
