/* mf_bench: nanoseconds per step of online matrix factorization, rank 32, items and users in random order. Takes under 2 s. */
#include "operators/model/lanes.h"
#include "operators/model/mf.h"
#include "operators/model/random.h"

#include <stdio.h>
#include <time.h>

enum { RANK = 32, USERS = 20000, ITEMS = 20000, STEPS = 2000000 };
static float users[USERS][RANK], items[ITEMS][RANK];

static double now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static double run(uint64_t n_users, uint64_t n_items)
{
	const struct leat_mf mf = { .padded = RANK, .learning_rate = .05f, .regularization = .01f };
	double start = now_ns();
	for (uint64_t i = 0; i < STEPS; i++) {
		uint64_t random = leat_random_mix(i);
		struct leat_mf_side user = { users[(random >> 32) % n_users], NULL }, item = { items[(random & 0xffffffff) % n_items], NULL };
		if (!leat_mf_step(&mf, user, item, 1, 1))
			return -1;
	}
	return (now_ns() - start) / STEPS;
}

int main(void)
{
	for (uint64_t i = 0; i < USERS; i++) {
		leat_random_fill(i, users[i], RANK);
		leat_random_fill(i + LEAT_RANDOM_ITEM, items[i], RANK);
	}
	printf("mf: rank 32, %5.1f ns per step in cache", run(64, 64));
	printf(", %5.1f ns with 20,000 users and 20,000 items\n", run(USERS, ITEMS));
	return 0;
}
