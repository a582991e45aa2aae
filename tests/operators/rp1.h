/* The reference workload's operators without an engine, for a test and a benchmark. Include after loose_task.h. */
#ifndef LEAT_RP1_H
#define LEAT_RP1_H

#include "operators/model/random.h"
#include "tests/operators/rp1_reference.h"

static const char *const rp1_symbols[] = { "VIEW", "CART", "PURCHASE", NULL };

struct rp1 {
	struct loose_stream stream;
	int user, item, type, price, category;  /* slots */
	struct loose profile, factors, target;
	char keys[LEAT_BATCH_MAX][24];
};

static inline void rp1_put(struct rp1 *rp1, size_t row, uint64_t i, const struct rp1_event *event)
{
	struct loose_stream *stream = &rp1->stream;
	int length = snprintf(rp1->keys[row], sizeof rp1->keys[row], "%lld", (long long)event->user);
	stream->time_ms[row] = event->ts;
	stream->id[row] = leat_random_mix(i);
	stream->key[row] = (struct leat_bytes){ (const uint8_t *)rp1->keys[row], (uint32_t)length };
	stream->columns[rp1->item].ints[row] = event->item;
	stream->columns[rp1->type].ints[row] = event->type;
	stream->columns[rp1->category].ints[row] = event->category;
	stream->columns[rp1->price].doubles[row] = event->price;
	stream->columns[rp1->price].null[row] = event->price == 0;
}
static inline int rp1_open(struct rp1 *rp1)
{
	static const struct leat_texts types = { rp1_symbols, 3 };
	static const struct leat_weight weight[] = { { "VIEW", 1 }, { "CART", 3 }, { "PURCHASE", 5 } };
	static const struct leat_weights weights = { weight, 3 };
	const struct loose_setting profile[] = {
		{ "type", "type", NULL }, { "types", NULL, &types }, { "price", "price", NULL }, { "category", "category", NULL }, { "interests", "40", NULL }, { 0 },
	};
	const struct loose_setting factors[] = {
		{ "item", "item", NULL }, { "type", "type", NULL }, { "weights", NULL, &weights }, { "items", "local", NULL }, { "biases", "false", NULL },
		{ "score_every", "0", NULL }, { 0 },
	};
	const struct loose_setting target[] = { { "demo_ads", "256", NULL }, { "factors", "factors", NULL }, { "interests", "interests", NULL }, { 0 } };
	rp1->item = loose_field(&rp1->stream, "item", LEAT_INT, 1, NULL);
	rp1->type = loose_field(&rp1->stream, "type", LEAT_ENUM, 1, rp1_symbols);
	rp1->price = loose_field(&rp1->stream, "price", LEAT_DOUBLE, 1, NULL);
	rp1->category = loose_field(&rp1->stream, "category", LEAT_INT, 1, NULL);
	LEAT_TRY(loose_open(&rp1->profile, &operator_profile, &rp1->stream, profile));
	LEAT_TRY(loose_open(&rp1->factors, &operator_factors, &rp1->stream, factors));
	return loose_open(&rp1->target, &operator_target, &rp1->stream, target);
}
static inline int rp1_process(struct rp1 *rp1, size_t from, size_t count)
{
	LEAT_TRY(loose_process(&rp1->profile, from, count));
	LEAT_TRY(loose_process(&rp1->factors, from, count));
	return loose_process(&rp1->target, from, count);
}
static inline void rp1_close(struct rp1 *rp1)
{
	loose_close(&rp1->profile);
	loose_close(&rp1->factors);
	loose_close(&rp1->target);
	loose_stream_free(&rp1->stream);
}

#endif
