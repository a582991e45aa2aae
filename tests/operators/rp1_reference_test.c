/* The reference workload: profile, factors and target give the decisions of an independent program, whatever the batch size. */
#include "tests/operators/loose_task.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

extern const struct leat_operator operator_profile, operator_factors, operator_target;
#include "tests/operators/rp1.h"
#include "tests/operators/rp1_reference.h"

enum { EVENTS_OF_TEST = 20000 };

/* ---- leat ---- */

struct decision {
	int64_t ad, events;
	float score, activity, interests[40], factors[32];
	double spend;
	char id[16];
};

static void read_decision(const struct rp1 *rp1, size_t row, struct decision *out)
{
	const struct leat_column *columns = rp1->stream.columns;
	memset(out, 0, sizeof *out);
	out->ad = columns[loose_slot(&rp1->stream, "ad_id")].ints[row];
	out->score = columns[loose_slot(&rp1->stream, "score")].floats[row];
	out->events = columns[loose_slot(&rp1->stream, "events")].ints[row];
	out->activity = columns[loose_slot(&rp1->stream, "activity")].floats[row];
	out->spend = columns[loose_slot(&rp1->stream, "spend")].doubles[row];
	memcpy(out->interests, columns[loose_slot(&rp1->stream, "interests")].floats + row * 40, sizeof out->interests);
	memcpy(out->factors, columns[loose_slot(&rp1->stream, "factors")].floats + row * 32, sizeof out->factors);
	memcpy(out->id, columns[loose_slot(&rp1->stream, "decision_id")].bytes[row].data, 16);
}

static struct decision *run(size_t batch)
{
	struct decision *decisions = calloc(EVENTS_OF_TEST, sizeof *decisions);
	struct rp1 *rp1 = calloc(1, sizeof *rp1);
	assert_non_null(decisions);
	assert_non_null(rp1);
	assert_int_equal(rp1_open(rp1), 0);
	for (size_t first = 0; first < EVENTS_OF_TEST; first += batch) {
		size_t count = EVENTS_OF_TEST - first < batch ? EVENTS_OF_TEST - first : batch;
		for (size_t i = 0; i < count; i++) {
			struct rp1_event event = rp1_event(first + i, USERS_OF_TEST, ITEMS_OF_TEST);
			rp1_put(rp1, i, first + i, &event);
		}
		assert_int_equal(rp1_process(rp1, 0, count), 0);
		assert_int_equal(rp1->target.outs[0].count, count);
		for (size_t i = 0; i < count; i++)
			read_decision(rp1, i, &decisions[first + i]);
	}
	rp1_close(rp1);
	free(rp1);
	return decisions;
}

static void decisions_are_those_of_the_reference(void **state)
{
	(void)state;
	struct decision *decisions = run(LEAT_BATCH_MAX);
	struct reference *reference = reference_new();
	int same = 0;
	for (uint64_t i = 0; i < EVENTS_OF_TEST; i++) {
		struct rp1_event event = rp1_event(i, USERS_OF_TEST, ITEMS_OF_TEST);
		float score = 0;
		same += reference_decide(reference, &event, &score) == decisions[i].ad;
		const struct reference_user *u = &reference->users[event.user];
		assert_int_equal(decisions[i].events, u->n);
		assert_true(decisions[i].spend == u->spend);
		assert_true(decisions[i].activity == u->act);
		assert_memory_equal(decisions[i].interests, u->in, sizeof u->in);
		assert_true(fabsf(decisions[i].score - score) < 1e-4f * (1 + fabsf(score)));
		for (int k = 0; k < 32; k++)
			assert_true(fabsf(decisions[i].factors[k] - u->p[k]) < 1e-4f);
	}
	print_message("same ad in %d of %d events\n", same, EVENTS_OF_TEST);
	assert_true(same >= EVENTS_OF_TEST - EVENTS_OF_TEST / 1000);
	free(reference);
	free(decisions);
}

static void any_batch_size_gives_the_same_bytes(void **state)
{
	static const size_t sizes[] = { 1, 2, 7, 12, 13, 100 };
	(void)state;
	struct decision *whole = run(LEAT_BATCH_MAX);
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		struct decision *cut = run(sizes[i]);
		assert_memory_equal(whole, cut, EVENTS_OF_TEST * sizeof *whole);
		free(cut);
	}
	free(whole);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(decisions_are_those_of_the_reference),
		cmocka_unit_test(any_batch_size_gives_the_same_bytes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
