/*
 * Expressions: nanoseconds per row, over full batches of 512 rows and over a quarter of them, for a filter's condition and for a set of ten rules.
 * `make bench-micro` runs it.
 */
#include "stream/expression.h"
#include "stream/operator.h"

#include <stdlib.h>

enum { BATCHES = 200, ROUNDS = 100 };

static const char *const symbols[] = { "VIEW", "CART", "PURCHASE", NULL };
enum { PRICE, QUANTITY, TYPE, CATEGORY, TS, COUNTRY, SLOTS };
static const struct leat_layout layout = {
	.count = SLOTS,
	.fields = {
		[PRICE] = { .name = "price", .type = LEAT_DOUBLE, .width = 1 },
		[QUANTITY] = { .name = "quantity", .type = LEAT_INT, .width = 1 },
		[TYPE] = { .name = "type", .type = LEAT_ENUM, .width = 1, .symbols = symbols },
		[CATEGORY] = { .name = "category", .type = LEAT_STRING, .width = 1 },
		[TS] = { .name = "ts", .type = LEAT_INT, .width = 1 },
		[COUNTRY] = { .name = "country", .type = LEAT_STRING, .width = 1 },
	},
};

static const char *const one[] = { "price * quantity > 100.0 && type == \"PURCHASE\"" };
static const char *const rules[] = {
	"price * quantity > 100.0 && type == 'PURCHASE'",
	"quantity >= 10 || price > 500",
	"type == 'CART' && quantity > 3",
	"category in ['shoes', 'hats', 'books'] && price < 20",
	"country == 'DE' && hour_in(ts, 'Europe/Berlin') < 6",
	"price != null && price / quantity > 80.5",
	"starts_with(category, 'sho') && type != 'VIEW'",
	"(type == 'PURCHASE' ? price : 0.0) * 0.19 > 12",
	"quantity % 2 == 0 && !(price <= 50.0)",
	"day_of_week(ts) in [6, 7] && quantity * 3 + 1 > 7",
};

struct given {
	struct leat_column columns[SLOTS];
	struct leat_batch batch;
	uint16_t row[LEAT_BATCH_MAX];
};

static void fill(struct given *given)
{
	static const char *const categories[] = { "shoes", "hats", "books", "gardening", "kitchen" }, *const countries[] = { "DE", "FR", "US" };
	for (int slot = 0; slot < SLOTS; slot++) {
		size_t size = layout.fields[slot].type == LEAT_STRING ? sizeof(struct leat_bytes) : 8;
		given->columns[slot] = (struct leat_column){ .type = layout.fields[slot].type, .width = 1 };
		given->columns[slot].null = calloc(1, LEAT_BATCH_MAX);
		given->columns[slot].data = calloc(LEAT_BATCH_MAX, size);
	}
	for (size_t i = 0; i < LEAT_BATCH_MAX; i++) {
		uint64_t seed = leat_mix(i);
		given->columns[PRICE].doubles[i] = (double)(seed % 20000) / 100;
		given->columns[QUANTITY].ints[i] = (int64_t)(leat_mix(seed) % 12);
		given->columns[TYPE].ints[i] = (int64_t)(leat_mix(seed + 1) % 3);
		given->columns[TS].ints[i] = 1700000000000 + (int64_t)(seed % (86400000ull * 30));
		given->columns[CATEGORY].bytes[i] = leat_text(categories[leat_mix(seed + 2) % 5]);
		given->columns[COUNTRY].bytes[i] = leat_text(countries[leat_mix(seed + 3) % 3]);
		given->columns[QUANTITY].null[i] = leat_mix(seed + 4) % 20 == 0;
	}
	given->batch = (struct leat_batch){ .row = given->row, .columns = given->columns };
}

static void choose_rows(struct given *given, size_t every)
{
	given->batch.count = 0;
	for (size_t i = 0; i < LEAT_BATCH_MAX; i += every)
		given->row[given->batch.count++] = (uint16_t)i;
}

/* The best of many short rounds: the machine is shared. */
static double ns_per_row(struct leat_expression *const *expressions, size_t count, const struct given *given, uint64_t *passed)
{
	struct leat_arena *arena = NULL;
	double best = 1e9;
	if (leat_arena_open(&arena, 1 << 20) < 0)
		abort();
	for (int round = 0; round < ROUNDS; round++) {
		int64_t start_us = leat_clock_mono_us(NULL);
		for (int batch = 0; batch < BATCHES; batch++) {
			leat_arena_reset(arena);
			for (size_t e = 0; e < count; e++)
				*passed += leat_expression_run(expressions[e], &given->batch, arena)->bools[given->row[batch % given->batch.count]];
		}
		double ns = (double)(leat_clock_mono_us(NULL) - start_us) * 1000 / BATCHES / (double)given->batch.count;
		best = LEAT_MIN(best, ns);
	}
	leat_arena_close(arena);
	return best;
}

static void measure(const char *name, const char *const *texts, size_t count, struct given *given)
{
	struct leat_expression *expressions[16];
	struct leat_fault fault = { 0 };
	uint64_t passed = 0;
	for (size_t e = 0; e < count; e++) {
		if (leat_expression_compile(&expressions[e], texts[e], &layout, LEAT_TYPE_BIT(LEAT_BOOL), &fault) < 0) {
			fprintf(stderr, "%s: %s\n", texts[e], fault.text);
			exit(1);
		}
	}
	static const size_t every[] = { 1, 2, 16 };
	for (size_t i = 0; i < LEAT_COUNT_OF(every); i++) {
		choose_rows(given, every[i]);
		printf("%-60.60s %3zu rows: %6.2f ns/row\n", name, given->batch.count, ns_per_row(expressions, count, given, &passed));
	}
	for (size_t e = 0; e < count; e++)
		leat_expression_free(expressions[e]);
	if (passed == 0)
		printf("nothing passed\n");
}

int main(void)
{
	static struct given given;
	fill(&given);
	measure(one[0], one, 1, &given);
	measure("ten rules", rules, LEAT_COUNT_OF(rules), &given);
	for (size_t i = 0; i < LEAT_COUNT_OF(rules); i++)
		measure(rules[i], rules + i, 1, &given);
	return 0;
}
