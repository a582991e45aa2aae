/* factors: what only a look at its entries and counters can show. */
#include "tests/operators/loose_task.h"

#include "operators/model/lanes.h"
#include "operators/model/mf.h"
#include "operators/model/random.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

extern const struct leat_operator operator_factors;
enum { USERS, ITEMS, POPULARITY };
enum { LEARNED, DIVERGED, SCORED, HITS, POPULARITY_HITS };
static const char *const symbols[] = { "VIEW", "CART", "SEARCH", NULL };

struct fixture {
	struct loose_stream stream;
	struct loose loose;
	int item, type, factors;
	char keys[LEAT_BATCH_MAX][24], items[LEAT_BATCH_MAX][24];
};

static struct fixture *fixture_new(uint8_t item_type)
{
	struct fixture *fixture = calloc(1, sizeof *fixture);
	assert_non_null(fixture);
	fixture->item = loose_field(&fixture->stream, "item", item_type, 1, NULL);
	fixture->type = loose_field(&fixture->stream, "type", LEAT_ENUM, 1, symbols);
	return fixture;
}
static int fixture_open(struct fixture *fixture, const struct loose_setting *settings)
{
	int rc = loose_open(&fixture->loose, &operator_factors, &fixture->stream, settings);
	fixture->factors = loose_slot(&fixture->stream, "factors");
	return rc;
}
static void fixture_free(struct fixture *fixture)
{
	loose_close(&fixture->loose);
	loose_stream_free(&fixture->stream);
	free(fixture);
}
static void put(struct fixture *fixture, size_t row, uint64_t id, long user, long item, int type)
{
	int length = snprintf(fixture->keys[row], sizeof fixture->keys[row], "%ld", user);
	struct leat_column *items = &fixture->stream.columns[fixture->item];
	fixture->stream.key[row] = (struct leat_bytes){ (const uint8_t *)fixture->keys[row], (uint32_t)length };
	fixture->stream.id[row] = id;
	fixture->stream.columns[fixture->type].ints[row] = type;
	items->null[row] = item < 0;
	if (items->type == LEAT_STRING) {
		length = snprintf(fixture->items[row], sizeof fixture->items[row], "item %ld", item);
		items->bytes[row] = (struct leat_bytes){ (const uint8_t *)fixture->items[row], (uint32_t)length };
	} else {
		items->ints[row] = item;
	}
}
static const float *factors_at(const struct fixture *fixture, size_t row)
{
	const struct leat_column *column = &fixture->stream.columns[fixture->factors];
	return column->floats + row * column->width;
}
static void *entry_of(struct fixture *fixture, int table, long number)
{
	struct leat_bytes key = { (const uint8_t *)&(int64_t){ number }, sizeof(int64_t) };
	char text[24];
	if (table == USERS)
		key = (struct leat_bytes){ (const uint8_t *)text, (uint32_t)snprintf(text, sizeof text, "%ld", number) };
	struct loose_row *row = loose_find(&fixture->loose, table, key, false);
	assert_non_null(row);
	return &row->head + 1;
}

static const struct leat_weight weight[] = { { "VIEW", 1 }, { "CART", 3 } };
static const struct leat_weights weights = { weight, 2 };

static void users_and_items_start_from_their_ids(void **state)
{
	const struct loose_setting settings[] = { { "item", "item", NULL }, { "type", "type", NULL }, { "weights", NULL, &weights }, { "rank", "5", NULL }, { 0 } };
	struct fixture *fixture = fixture_new(LEAT_INT);
	(void)state;
	assert_int_equal(fixture_open(fixture, settings), 0);
	put(fixture, 0, 1, 77, 9, 2);
	assert_int_equal(loose_process(&fixture->loose, 0, 1), 0);
	const float *item = entry_of(fixture, ITEMS, 9);
	for (size_t k = 0; k < 5; k++) {
		assert_true(factors_at(fixture, 0)[k] == leat_random_start(77, k));
		assert_true(item[k] == leat_random_start(9 + LEAT_RANDOM_ITEM, k));
	}
	assert_int_equal(fixture->loose.outs[0].count, 1);
	fixture_free(fixture);
}

static void words_not_listed_and_rows_without_item_are_passed_and_not_learned(void **state)
{
	const struct loose_setting settings[] = { { "item", "item", NULL }, { "type", "type", NULL }, { "weights", NULL, &weights }, { 0 } };
	struct fixture *fixture = fixture_new(LEAT_INT);
	(void)state;
	assert_int_equal(fixture_open(fixture, settings), 0);
	put(fixture, 0, 1, 1, 9, 2);
	put(fixture, 1, 2, 1, -1, 0);
	put(fixture, 2, 3, 1, 9, 0);
	fixture->stream.columns[fixture->type].null[2] = 1;
	assert_int_equal(loose_process(&fixture->loose, 0, 3), 0);
	assert_int_equal(fixture->loose.outs[0].count, 3);
	assert_int_equal(fixture->loose.counters[LEARNED], 0);
	assert_int_equal(fixture->loose.tables[USERS].count, 0);
	assert_memory_equal(factors_at(fixture, 0), factors_at(fixture, 2), 32 * sizeof(float));
	fixture_free(fixture);
}

static void run(struct fixture *fixture, size_t events, size_t batch, long users, long items)
{
	for (size_t first = 0; first < events; first += batch) {
		size_t count = events - first < batch ? events - first : batch;
		for (size_t i = 0; i < count; i++) {
			uint64_t a = leat_random_mix((first + i) * 2), b = leat_random_mix((first + i) * 2 + 1);
			long item = (long)((b % (uint64_t)items) * (b >> 32 & 0xff) / 255);
			put(fixture, i, first + i, (long)(a % (uint64_t)users), item, (int)(a >> 40 & 1));
		}
		assert_int_equal(loose_process(&fixture->loose, 0, count), 0);
	}
}

/* One task alone: what is handed in as differences is what would have been learned in place. */
static void shared_items_of_one_task_learn_like_local_ones(void **state)
{
	const struct loose_setting local[] = { { "item", "item", NULL }, { "type", "type", NULL }, { "weights", NULL, &weights }, { "items", "local", NULL }, { "score_every", "0", NULL }, { 0 } };
	const struct loose_setting shared[] = { { "item", "item", NULL }, { "type", "type", NULL }, { "weights", NULL, &weights }, { "items", "shared", NULL }, { "score_every", "0", NULL }, { 0 } };
	struct fixture *left = fixture_new(LEAT_INT), *right = fixture_new(LEAT_INT);
	(void)state;
	assert_int_equal(fixture_open(left, local), 0);
	assert_int_equal(fixture_open(right, shared), 0);
	assert_int_equal(left->loose.tables[ITEMS].kind, LEAT_LOCAL);
	assert_int_equal(right->loose.tables[ITEMS].kind, LEAT_SHARED);
	run(left, 2000, 100, 20, 30);
	run(right, 2000, 100, 20, 30);
	for (long item = 0; item < 15; item++)
		for (int k = 0; k < 33; k++)
			assert_float_equal(((float *)entry_of(left, ITEMS, item))[k], ((float *)entry_of(right, ITEMS, item))[k], 1e-4f);
	assert_int_equal(right->loose.delta.calls, 2000);
	assert_int_equal(left->loose.counters[LEARNED], 2000);
	fixture_free(left);
	fixture_free(right);
}

static void the_step_of_a_shared_item_states_its_curvature(void **state)
{
	const struct loose_setting settings[] = { { "item", "item", NULL }, { "type", "type", NULL }, { "weights", NULL, &weights }, { "rank", "3", NULL }, { "biases", "false", NULL }, { 0 } };
	struct fixture *fixture = fixture_new(LEAT_INT);
	double square = 0;
	(void)state;
	assert_int_equal(fixture_open(fixture, settings), 0);
	for (size_t k = 0; k < 3; k++)
		square += (double)leat_random_start(4, k) * (double)leat_random_start(4, k);
	put(fixture, 0, 1, 4, 9, 1);
	assert_int_equal(loose_process(&fixture->loose, 0, 1), 0);
	assert_float_equal((float)fixture->loose.delta.curvature, (float)(.05 * 3 * square), 1e-7f);
	fixture_free(fixture);
}

/* ---- quality, against the protocol written down plainly ---- */

enum { MANY_USERS = 12, MANY_ITEMS = 60, MANY_EVENTS = 3000 };
struct plain {
	float p[MANY_USERS][32], q[MANY_ITEMS][32];
	int events[MANY_ITEMS];
	bool had[MANY_USERS][MANY_ITEMS], user[MANY_USERS], item[MANY_ITEMS];
	uint64_t scored, hits, popular;
};

static float plain_dot(const float *p, const float *q)
{
	float sum = 0;
	for (int k = 0; k < 32; k++)
		sum += p[k] * q[k];
	return sum;
}

static void plain_score(struct plain *plain, long user, long item)
{
	int rank = 1, popular = 1;
	bool seen = false;
	for (long i = 0; i < MANY_ITEMS; i++)
		seen |= plain->had[user][i];
	if (!seen || plain->had[user][item])
		return;
	plain->scored++;
	if (plain->events[item] == 0)
		return;
	for (long other = 0; other < MANY_ITEMS; other++) {
		if (other == item || plain->events[other] == 0 || plain->had[user][other])
			continue;
		rank += plain_dot(plain->p[user], plain->q[other]) >= plain_dot(plain->p[user], plain->q[item]);
		popular += plain->events[other] >= plain->events[item];
	}
	plain->hits += rank <= 10;
	plain->popular += popular <= 10;
}

static void plain_learn(struct plain *plain, long user, long item, float of)
{
	float *p = plain->p[user], *q = plain->q[item], error = of * (1 - plain_dot(p, q));
	for (int k = 0; k < 32; k++) {
		float a = p[k], b = q[k];
		p[k] = a + .05f * (error * b - .01f * a);
		q[k] = b + .05f * (error * a - .01f * b);
	}
	plain->events[item]++;
	plain->had[user][item] = true;
}

static struct plain *plain_run(void)
{
	struct plain *plain = calloc(1, sizeof *plain);
	assert_non_null(plain);
	for (size_t i = 0; i < MANY_ITEMS; i++)
		leat_random_fill(i + LEAT_RANDOM_ITEM, plain->q[i], 32);
	for (size_t u = 0; u < MANY_USERS; u++)
		leat_random_fill(u, plain->p[u], 32);
	for (uint64_t i = 0; i < MANY_EVENTS; i++) {
		uint64_t a = leat_random_mix(i * 2), b = leat_random_mix(i * 2 + 1);
		long user = (long)(a % MANY_USERS), item = (long)((b % MANY_ITEMS) * (b >> 32 & 0xff) / 255);
		plain_score(plain, user, item);
		plain_learn(plain, user, item, a >> 40 & 1 ? 3 : 1);
	}
	return plain;
}

static void recall_is_that_of_the_protocol(void **state)
{
	static const char *const kinds[] = { "local", "shared" };
	struct plain *plain = plain_run();
	(void)state;
	assert_true(plain->scored > 200 && plain->hits > 10 && plain->popular > 10);
	for (size_t kind = 0; kind < 2; kind++) {
		const struct loose_setting settings[] = {
			{ "item", "item", NULL }, { "type", "type", NULL }, { "weights", NULL, &weights }, { "biases", "false", NULL },
			{ "items", kinds[kind], NULL }, { "score_every", "1", NULL }, { "history", "64", NULL }, { 0 },
		};
		struct fixture *fixture = fixture_new(LEAT_INT);
		assert_int_equal(fixture_open(fixture, settings), 0);
		run(fixture, MANY_EVENTS, 64, MANY_USERS, MANY_ITEMS);
		assert_int_equal(fixture->loose.counters[SCORED], plain->scored);
		assert_in_range(fixture->loose.counters[HITS], plain->hits - 2, plain->hits + 2);       /* sums in another order */
		assert_int_equal(fixture->loose.counters[POPULARITY_HITS], plain->popular);
		fixture_free(fixture);
	}
	free(plain);
}

static void scoring_changes_nothing_that_is_learned_and_any_batch_counts_the_same(void **state)
{
	static const char *const every[] = { "0", "1", "7", "7" };
	static const size_t batches[] = { 50, 50, 50, 1 };
	struct fixture *fixtures[4];
	(void)state;
	for (size_t i = 0; i < 4; i++) {
		const struct loose_setting settings[] = {
			{ "item", "item", NULL }, { "type", "type", NULL }, { "weights", NULL, &weights }, { "items", "local", NULL }, { "score_every", every[i], NULL }, { 0 },
		};
		fixtures[i] = fixture_new(LEAT_INT);
		assert_int_equal(fixture_open(fixtures[i], settings), 0);
		run(fixtures[i], 1000, batches[i], 20, 40);
	}
	for (size_t i = 1; i < 4; i++)
		for (long item = 0; item < 20; item++)
			assert_memory_equal(entry_of(fixtures[0], ITEMS, item), entry_of(fixtures[i], ITEMS, item), 33 * sizeof(float));
	assert_int_equal(fixtures[0]->loose.counters[SCORED], 0);
	assert_in_range(fixtures[2]->loose.counters[SCORED], 1, fixtures[1]->loose.counters[SCORED] / 4);
	assert_memory_equal(fixtures[2]->loose.counters, fixtures[3]->loose.counters, sizeof fixtures[2]->loose.counters);
	for (size_t i = 0; i < 4; i++)
		fixture_free(fixtures[i]);
}

static void negatives_push_items_away_and_never_those_the_user_had(void **state)
{
	const struct loose_setting settings[] = {
		{ "item", "item", NULL }, { "type", "type", NULL }, { "weights", NULL, &weights }, { "items", "local", NULL }, { "negatives", "8", NULL }, { "biases", "false", NULL },
		{ "score_every", "0", NULL }, { 0 },
	};
	struct fixture *fixture = fixture_new(LEAT_INT);
	(void)state;
	assert_int_equal(fixture_open(fixture, settings), 0);
	put(fixture, 0, 1, 1, 10, 0);
	put(fixture, 1, 2, 1, 11, 0);
	assert_int_equal(loose_process(&fixture->loose, 0, 2), 0);
	assert_int_equal(fixture->loose.counters[LEARNED], 2);          /* nothing to draw that the user has not had */
	float before[32];
	memcpy(before, entry_of(fixture, ITEMS, 10), sizeof before);
	put(fixture, 0, 3, 2, 12, 0);
	assert_int_equal(loose_process(&fixture->loose, 0, 1), 0);
	assert_in_range(fixture->loose.counters[LEARNED], 4, 11);
	assert_memory_not_equal(before, entry_of(fixture, ITEMS, 10), sizeof before);
	fixture_free(fixture);
}

static void what_is_not_finite_is_counted_and_mended(void **state)
{
	static const char *const kinds[] = { "local", "shared" };
	(void)state;
	for (size_t kind = 0; kind < 2; kind++) {
		const struct loose_setting settings[] = { { "item", "item", NULL }, { "items", kinds[kind], NULL }, { 0 } };
		struct fixture *fixture = fixture_new(LEAT_INT);
		assert_int_equal(fixture_open(fixture, settings), 0);
		put(fixture, 0, 1, 1, 10, 0);
		assert_int_equal(loose_process(&fixture->loose, 0, 1), 0);
		((float *)entry_of(fixture, USERS, 1))[3] = 1e30f;
		assert_int_equal(loose_process(&fixture->loose, 0, 1), 0);
		assert_int_equal(fixture->loose.counters[DIVERGED], 1);
		for (int i = 0; i < 200; i++)
			assert_int_equal(loose_process(&fixture->loose, 0, 1), 0);
		for (int k = 0; k < 32; k++)
			assert_true(fabsf(factors_at(fixture, 0)[k]) <= LEAT_MF_LIMIT);
		assert_float_equal(leat_lanes_dot(entry_of(fixture, USERS, 1), entry_of(fixture, ITEMS, 10), 32), 1, 1);
		fixture_free(fixture);
	}
}

static void text_ids_are_items_too(void **state)
{
	const struct loose_setting settings[] = { { "item", "item", NULL }, { "items", "local", NULL }, { "score_every", "1", NULL }, { "negatives", "2", NULL }, { 0 } };
	struct fixture *fixture = fixture_new(LEAT_STRING);
	(void)state;
	assert_int_equal(fixture_open(fixture, settings), 0);
	run(fixture, 500, 50, 10, 40);
	assert_true(fixture->loose.counters[LEARNED] >= 500);
	assert_true(fixture->loose.counters[SCORED] > 0);
	assert_in_range(fixture->loose.tables[ITEMS].count, 30, 40);
	fixture_free(fixture);
}

static void the_entry_holds_only_what_is_on(void **state)
{
	static const struct { const char *biases, *every, *history; size_t users, items; } cases[] = {
		{ "false", "0", "32", 128, 128 }, { "true", "0", "32", 144, 144 }, { "false", "16", "8", 176, 128 },
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		const struct loose_setting settings[] = {
			{ "item", "item", NULL }, { "biases", cases[i].biases, NULL }, { "score_every", cases[i].every, NULL }, { "history", cases[i].history, NULL }, { 0 },
		};
		struct fixture *fixture = fixture_new(LEAT_INT);
		assert_int_equal(fixture_open(fixture, settings), 0);
		assert_int_equal(fixture->loose.tables[USERS].entry_size, cases[i].users);
		assert_int_equal(fixture->loose.tables[ITEMS].entry_size, cases[i].items);
		fixture_free(fixture);
	}
}

static void options_that_make_no_sense_are_refused(void **state)
{
	static const struct leat_weight unknown[] = { { "BUY", 1 } }, negative[] = { { "VIEW", -1 } };
	static const struct leat_weights no_symbol = { unknown, 1 }, below = { negative, 1 };
	const struct { struct loose_setting settings[4]; const char *text; } cases[] = {
		{ { { "item", "item", NULL }, { "type", "type", NULL }, { "weights", NULL, &no_symbol }, { 0 } }, "'BUY' is not a symbol of 'type'" },
		{ { { "item", "item", NULL }, { "type", "type", NULL }, { "weights", NULL, &below }, { 0 } }, "within 0..1000" },
		{ { { "item", "item", NULL }, { "weights", NULL, &weights }, { 0 } }, "needs type" },
		{ { { "item", "item", NULL }, { "history", "0", NULL }, { 0 } }, "at least 1" },
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct fixture *fixture = fixture_new(LEAT_INT);
		assert_int_equal(fixture_open(fixture, cases[i].settings), LEAT_ECONFIG);
		assert_non_null(strstr(fixture->loose.refused, cases[i].text));
		fixture_free(fixture);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(users_and_items_start_from_their_ids),
		cmocka_unit_test(words_not_listed_and_rows_without_item_are_passed_and_not_learned),
		cmocka_unit_test(shared_items_of_one_task_learn_like_local_ones),
		cmocka_unit_test(the_step_of_a_shared_item_states_its_curvature),
		cmocka_unit_test(recall_is_that_of_the_protocol),
		cmocka_unit_test(scoring_changes_nothing_that_is_learned_and_any_batch_counts_the_same),
		cmocka_unit_test(negatives_push_items_away_and_never_those_the_user_had),
		cmocka_unit_test(what_is_not_finite_is_counted_and_mended),
		cmocka_unit_test(text_ids_are_items_too),
		cmocka_unit_test(the_entry_holds_only_what_is_on),
		cmocka_unit_test(options_that_make_no_sense_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
