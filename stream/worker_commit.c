/* When a worker commits, and how: in order, or beside the work. */
#include "stream/worker_commit.h"
#include "stream/rekey.h"
#include "stream/shared.h"

#include <math.h>

#define COMMIT_METADATA "leat 1"

enum { POSITIONS_MAX = 4096, COMMIT_TOO_LONG_US = 5000000,
       COMMIT_AT_LEAST_MS = 12 * 3600 * 1000 };   /* Kafka forgets positions of topics that a group does not subscribe to */

/* ---- latency histogram: 10 buckets per factor of 2 below, exact up to 16 ms ---- */

static size_t latency_bucket(int64_t ms)
{
	if (ms < 16)
		return (size_t)LEAT_MAX(ms, (int64_t)0);
	double bucket = 16 + 10 * (log2((double)ms) - 4);
	return LEAT_MIN((size_t)bucket, (size_t)LEAT_LATENCY_BUCKETS - 1);
}

int64_t leat_latency_of_bucket(size_t bucket)
{
	return bucket < 16 ? (int64_t)bucket : (int64_t)ceil(exp2(((double)bucket - 15) / 10 + 4));
}

/* ---- what lanes count: kept when they close, as far as it was committed ---- */

void leat_tally_add(struct leat_tally *tally, const struct leat_lane *lane)
{
	for (size_t i = 0; i < lane->outlet_count; i++)
		tally->outputs += lane->outlets[i].sent;
	for (size_t i = 0; i < LEAT_COUNT_OF(lane->reasons); i++)
		tally->dead_letters += lane->reasons[i].count;
	for (size_t i = 0; lane->nodes && i < lane->pipeline->node_count; i++) {
		const struct leat_node_run *run = &lane->nodes[i];
		tally->nodes[i].events += run->events;
		tally->nodes[i].batches += run->batches;
		tally->nodes[i].ns += run->ns;
		for (size_t k = 0; run->view.counters && k < LEAT_MIN(run->node->counters, (size_t)LEAT_COUNTERS_MAX); k++)
			tally->nodes[i].counters[k] += run->view.counters[k];
	}
}

void leat_worker_count(const struct leat_worker *worker, struct leat_tally *tally)
{
	*tally = worker->closed;
	for (int32_t task = 0; task < worker->engine->tasks; task++)
		if (worker->lanes[task])
			leat_tally_add(tally, worker->lanes[task]);
}

/* ---- is there anything to commit, and now? ---- */

static bool lane_has_something(const struct leat_worker *worker, const struct leat_lane *lane)
{
	if (lane->touched || leat_shared_due(lane) || leat_clock_wall_ms(worker->engine->clock) - lane->committed_ms > COMMIT_AT_LEAST_MS)
		return true;
	for (size_t i = 0; i < lane->pipeline->node_count; i++)
		if (lane->nodes[i].rekey && leat_rekey_out_due(lane, lane->nodes[i].rekey))
			return true;
	return false;
}

bool leat_worker_takes_part(const struct leat_lane *lane)
{
	return lane && lane->state == LEAT_LANE_RUNNING;
}

bool leat_worker_anything(const struct leat_worker *worker)
{
	for (int32_t task = 0; task < worker->engine->tasks; task++)
		if (leat_worker_takes_part(worker->lanes[task]) && lane_has_something(worker, worker->lanes[task]))
			return true;
	return false;
}

bool leat_worker_due(struct leat_worker *worker)
{
	const struct leat_settings *settings = &worker->engine->pipeline->settings;
	int64_t now = leat_clock_mono_us(worker->engine->clock);
	size_t dirty = 0;
	if (!leat_worker_anything(worker))
		return false;
	if (!worker->committed_once || now - worker->last_commit_us >= settings->commit_ms * 1000)
		return true;
	for (int32_t task = 0; task < worker->engine->tasks; task++) {
		if (!leat_worker_takes_part(worker->lanes[task]))
			continue;
		if (worker->lanes[task]->urgent)
			return true;
		dirty += leat_lane_dirty_bytes(worker->lanes[task]);
	}
	if (dirty <= (size_t)LEAT_MIN(settings->uncommitted_max, settings->memory / 4))
		return false;
	worker->live.early_commits++;
	return true;
}

/* ---- the parts of a commit ---- */

static long prepare(struct leat_worker *worker, struct leat_position *positions, struct leat_fault *fault)
{
	long count = 0;
	for (int32_t task = 0; task < worker->engine->tasks; task++) {
		if (!leat_worker_takes_part(worker->lanes[task]))
			continue;
		if (count + LEAT_SOURCES_MAX > POSITIONS_MAX)
			return leat_fail(fault, LEAT_ELIMIT, "too many tasks on one worker");
		long added = leat_lane_prepare(worker->lanes[task], positions + count, fault);
		if (added < 0)
			return added;
		count += added;
	}
	return count;
}

/* What is counted from here on is the next commit's. */
static void seal(struct leat_worker *worker)
{
	leat_worker_count(worker, &worker->sealed);
	for (int32_t task = 0; task < worker->engine->tasks; task++)
		if (leat_worker_takes_part(worker->lanes[task]))
			leat_lane_sealed(worker->lanes[task]);
}

static void note_latency(struct leat_worker *worker, struct leat_lane *lane)
{
	int64_t now = leat_clock_wall_ms(worker->engine->clock);
	for (size_t i = 0; i < lane->sealed_samples; i++)
		worker->live.latency[latency_bucket(now - lane->samples[i])]++;
	lane->sampled -= lane->sealed_samples;
	memmove(lane->samples, lane->samples + lane->sealed_samples, lane->sampled * sizeof *lane->samples);
	lane->sealed_samples = 0;
}

const char *leat_worker_damage(const struct leat_lane *lane)
{
	return lane && lane->store && !lane->ops->keeps_rows ? leat_store_damage(lane->store) : NULL;
}

static bool lane_committed(struct leat_worker *worker, struct leat_lane *lane, bool beside)
{
	struct leat_fault fault = { 0 };
	note_latency(worker, lane);
	if (leat_lane_committed(lane, beside, &fault) >= 0)
		return true;
	if (leat_worker_damage(lane)) {
		worker->damaged = true;
		return false;
	}
	leat_log(LEAT_ERROR, "task %d stops: its state cannot be written: %s. What is committed is safe in Kafka; a restart repairs the state", (int)lane->task, fault.text);
	worker->standings[lane->task].stopped = true;
	return false;
}

/* False: a task has no state to go on with. */
static bool committed(struct leat_worker *worker, bool beside)
{
	bool good = true;
	leat_crashpoint("commit.done");
	worker->live.commits++;
	worker->committed_once = true;
	worker->retry_wait_ms = 0;
	worker->slow_commit = leat_clock_mono_us(NULL) - worker->commit_start_us > COMMIT_TOO_LONG_US;
	worker->committed = worker->sealed;
	for (int32_t task = 0; task < worker->engine->tasks; task++)
		if (leat_worker_takes_part(worker->lanes[task]))
			good &= lane_committed(worker, worker->lanes[task], beside);
	return good;
}

/* ---- in order ---- */

static int begin(struct leat_worker *worker, struct leat_fault *fault)
{
	LEAT_TRY(leat_worker_settle(worker, true, fault));
	return worker->lost ? leat_fail(fault, LEAT_EABORT, "the open transaction holds the work of lost tasks, or half a batch") : 0;
}

int leat_worker_commit(struct leat_worker *worker, struct leat_fault *fault)
{
	struct leat_position positions[POSITIONS_MAX];
	const struct leat_transport_ops *ops = worker->engine->transport->ops;
	LEAT_TRY(begin(worker, fault));
	if (!leat_worker_anything(worker))
		return 0;
	if (worker->engine->pipeline->settings.guarantee == LEAT_AT_LEAST_ONCE)
		LEAT_TRY(ops->session_commit(worker->session, NULL, 0, "", fault));   /* outputs first, state after them */
	leat_crashpoint("commit.begin");
	long count = prepare(worker, positions, fault);
	if (count < 0)
		return (int)count;
	leat_crashpoint("commit.prepared");
	worker->commit_start_us = leat_clock_mono_us(NULL);
	LEAT_TRY(ops->session_commit(worker->session, positions, (size_t)count, COMMIT_METADATA, fault));
	seal(worker);
	(void)committed(worker, false);   /* the tasks that are left go on: nothing is open yet */
	worker->last_commit_us = leat_clock_mono_us(worker->engine->clock);
	return 0;
}

/* ---- beside the work ---- */

/* Only in the quiet course of things: what opens, stops, refuses an event or has to be written behind wants a commit that nothing comes between. */
static bool can_be_beside(const struct leat_worker *worker)
{
	if (!worker->engine->transport->ops->session_commit_start || worker->engine->pipeline->settings.guarantee != LEAT_EXACTLY_ONCE || !worker->committed_once)
		return false;
	for (int32_t task = 0; task < worker->engine->tasks; task++) {
		const struct leat_lane *lane = worker->lanes[task];
		if (leat_worker_takes_part(lane) && (lane->urgent || lane->halt.set || leat_lane_must_write(lane)))
			return false;
	}
	return true;
}

int leat_worker_commit_soon(struct leat_worker *worker, struct leat_fault *fault)
{
	struct leat_position positions[POSITIONS_MAX];
	LEAT_TRY(begin(worker, fault));
	if (!can_be_beside(worker))
		return leat_worker_commit(worker, fault);
	worker->last_commit_us = leat_clock_mono_us(worker->engine->clock);
	leat_crashpoint("commit.beside");
	long count = prepare(worker, positions, fault);
	if (count < 0)
		return (int)count;
	leat_crashpoint("commit.beside.prepared");
	worker->commit_start_us = leat_clock_mono_us(NULL);
	LEAT_TRY(worker->engine->transport->ops->session_commit_start(worker->session, positions, (size_t)count, COMMIT_METADATA, fault));
	worker->beside = true;
	seal(worker);
	leat_crashpoint("commit.beside.sealed");
	return 0;
}

int leat_worker_settle(struct leat_worker *worker, bool wait, struct leat_fault *fault)
{
	const struct leat_transport_ops *ops = worker->engine->transport->ops;
	if (!worker->beside || (!wait && !ops->session_commit_ended(worker->session)))
		return 0;
	worker->beside = false;
	LEAT_TRY(ops->session_commit_end(worker->session, fault));
	if (committed(worker, true))
		return 0;
	return leat_fail(fault, LEAT_EABORT, "a task stops that has written to the open transaction already");
}
