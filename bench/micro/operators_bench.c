/* operators_bench: nanoseconds per event of the reference workload's profile, factors and target, with tables in memory and without an engine. Takes under 3 s. */
#include "tests/operators/loose_task.h"

#include <time.h>

extern const struct leat_operator operator_profile, operator_factors, operator_target;
#include "tests/operators/rp1.h"

enum { BATCH = 256, BATCHES = 1200, ROUND = 50, USERS = 20000, ITEMS = 20000 };

static double now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

/* One operator's process() alone: finding the entries is the engine's work. */
static double timed(struct loose *loose, const struct leat_batch *in)
{
	loose_views(loose, in);
	loose->outs[0].count = loose->outs[1].count = 0;
	loose_drop(&loose->scratch);
	double start = now_ns();
	if (loose->operator->process(&loose->task, loose->self, in) < 0)
		abort();
	return now_ns() - start;
}

int main(void)
{
	static struct rp1 rp1;
	static uint16_t rows[BATCH];
	double spent[3] = { 0 }, best[3] = { 1e18, 1e18, 1e18 };     /* best: of the rounds, because the machine is shared */
	if (rp1_open(&rp1) < 0)
		return 1;
	for (int b = 0; b < BATCHES; b++) {
		for (size_t i = 0; i < BATCH; i++) {
			struct rp1_event event = rp1_event((uint64_t)b * BATCH + i, USERS, ITEMS);
			rp1_put(&rp1, i, (uint64_t)b * BATCH + i, &event);
			rows[i] = (uint16_t)i;
		}
		const struct leat_batch in = { rows, BATCH, rp1.stream.columns, rp1.stream.time_ms, rp1.stream.id, rp1.stream.key, rp1.stream.source, rp1.stream.time_ms };
		struct loose *operators[] = { &rp1.profile, &rp1.factors, &rp1.target };
		for (int o = 0; o < 3; o++) {
			spent[o] += timed(operators[o], &in);
			if (b % ROUND != ROUND - 1)
				continue;
			best[o] = spent[o] < best[o] ? spent[o] : best[o];
			spent[o] = 0;
		}
	}
	const double events = (double)ROUND * BATCH;
	printf("operators: profile %.0f ns, factors %.0f ns, target %.0f ns per event; together %.0f ns\n", best[0] / events, best[1] / events, best[2] / events,
		(best[0] + best[1] + best[2]) / events);
	rp1_close(&rp1);
	return 0;
}
