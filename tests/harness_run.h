/* One run of a scenario, between harness.c (what is compared) and harness_run.c (how it is driven). */
#ifndef LEAT_HARNESS_RUN_H
#define LEAT_HARNESS_RUN_H

#include "stream/pipeline.h"
#include "tests/harness.h"

struct scenario_run {
	int batch;
	bool evict, kill;
	uint64_t fail_at;              /* this allocation fails while batches run */
	uint64_t allocations;          /* out: how many there were                */
	int number;                    /* set by scenario_go: distinct names      */
};

/* What all runs of a test program share: a folder, an embedded transport, a clock. It goes when the program ends. */
struct scenario_host;
struct scenario_host *scenario_host_open(void);
/* What left the operator, as text; the caller frees it. Fails the test on any error that is not the planned one. */
char *scenario_go(struct scenario_host *host, const struct leat_scenario *s, struct scenario_run *run);
/* NULL with a fault when the check refuses it. */
struct leat_pipeline *scenario_pipeline(const struct leat_scenario *s, const struct scenario_run *run, struct leat_fault *fault);
/* One record of the output topic as a line. */
void scenario_print(struct leat_buffer *out, struct leat_bytes body, const char *show);

#endif
