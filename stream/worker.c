/* The worker's loop: poll, open tasks, run batches, commit; and what to do when a commit's outcome is unknown. */
#include "stream/worker.h"
#include "stream/rekey.h"
#include "stream/shared.h"
#include "stream/worker_commit.h"

#include <poll.h>
#include <stdlib.h>

enum { FENCED_MAX = 5, FENCED_WITHIN_US = 600000000, FENCED_WAIT_US = 1000000, TRANSACTION_MS = 10000, RETRY_FIRST_MS = 100, RETRY_MOST_MS = 10000, IDLE_WAIT_US = 100000, OPENING_WAIT_US = 1000, BUDGET_US = 5000,
       DAMAGES_MAX = 3, DAMAGES_US = 600000000 };   /* a disk that damages more than so many databases of a task within that time needs somebody to look at it */

/* ---- assignment ---- */

static int set_store_aside(struct leat_worker *worker, int32_t task, const char *why, struct leat_fault *fault)
{
	struct leat_standing *standing = &worker->standings[task];
	int64_t now = leat_clock_mono_us(worker->engine->clock);
	if (standing->damages == 0 || now - standing->damaged_us > DAMAGES_US) {
		standing->damages = 0;
		standing->damaged_us = now;
	}
	standing->damages++;
	return worker->engine->transport->ops->store_quarantine(worker->engine->transport, task, why, fault);
}

static int open_lane(struct leat_worker *worker, int32_t task, struct leat_fault *fault)
{
	struct leat_standing *standing = &worker->standings[task];
	struct leat_fault own = { 0 };
	if (standing->stopped)
		return 0;
	int rc = leat_lane_open(&worker->lanes[task], worker->engine, worker->session, task, &own);
	if (rc == LEAT_ECORRUPT && !worker->engine->transport->ops->keeps_rows) {
		LEAT_TRY(set_store_aside(worker, task, own.text, fault));
		rc = leat_lane_open(&worker->lanes[task], worker->engine, worker->session, task, &own);
	}
	if (rc < 0) {
		*fault = own;
		return rc;
	}
	standing->reopen = false;
	worker->lanes[task]->suspects = &standing->suspects;
	if (standing->damages <= DAMAGES_MAX)
		return 0;
	worker->lanes[task]->state = LEAT_LANE_FAILED;
	leat_log(LEAT_ERROR, "task %d stops: its state was found damaged %d times within %d minutes, look at the disk. What is committed is safe in Kafka; a restart rebuilds the state", (int)task,
		 standing->damages, DAMAGES_US / 60000000);
	return 0;
}

static void note_retry(struct leat_worker *worker, const struct leat_fault *fault)
{
	worker->retry_wait_ms = LEAT_MIN(LEAT_MAX(worker->retry_wait_ms * 2, (int64_t)RETRY_FIRST_MS), (int64_t)RETRY_MOST_MS);
	worker->retry_us = leat_clock_mono_us(worker->engine->clock) + worker->retry_wait_ms * 1000;
	leat_log_seldom(LEAT_WARNING, worker, 2000, "worker %d: %s; trying again in %lld ms", worker->number, fault->text, (long long)worker->retry_wait_ms);
}

/* Nothing to wait for: each time the event to blame is better known. */
static void redo_at_once(struct leat_worker *worker, const struct leat_fault *fault)
{
	worker->retry_us = 1;
	leat_log_seldom(LEAT_WARNING, worker->standings, 2000, "worker %d: %s", worker->number, fault->text);
}

static void on_assigned(void *self, int32_t task)
{
	struct leat_worker *worker = self;
	struct leat_fault fault = { 0 };
	if (worker->lanes[task])
		return;
	int rc = open_lane(worker, task, &fault);
	if (rc < 0) {
		worker->result = rc;
		worker->fault = fault;
	}
}

static void close_lane(struct leat_worker *worker, int32_t task, bool clean)
{
	if (clean && worker->lanes[task])
		leat_tally_add(&worker->closed, worker->lanes[task]);
	leat_lane_close(worker->lanes[task], clean);
	worker->lanes[task] = NULL;
}

static void let_go(struct leat_worker *worker, int32_t task, bool clean)
{
	close_lane(worker, task, clean);
	worker->standings[task].reopen = false;
}

static int recover(struct leat_worker *worker, struct leat_fault *fault);

static void on_revoked(void *self, int32_t task)
{
	struct leat_worker *worker = self;
	struct leat_fault fault = { 0 };
	bool clean = true;
	leat_crashpoint("rebalance.before_commit");
	if (worker->lanes[task] && worker->lanes[task]->state == LEAT_LANE_RUNNING && leat_worker_commit(worker, &fault) < 0) {
		leat_log(LEAT_WARNING, "worker %d: the commit before handing over task %d failed, its new owner will redo it: %s", worker->number, (int)task, fault.text);
		clean = false;
		struct leat_fault again = { 0 };
		if (recover(worker, &again) < 0)
			note_retry(worker, &again);
	}
	leat_crashpoint("rebalance.after_commit");
	let_go(worker, task, clean);
}

static void on_lost(void *self, int32_t task)
{
	struct leat_worker *worker = self;
	struct leat_fault fault = { 0 };
	(void)leat_worker_settle(worker, true, &fault);   /* it has gone through or not, and nothing hangs on which: this task's next owner reads it from Kafka */
	worker->lost = true;   /* what is open in the transaction may hold this task's work: it must not be committed */
	let_go(worker, task, false);
}

/* ---- opening and closing ---- */

static size_t session_memory(const struct leat_engine *engine)
{
	return (size_t)engine->pipeline->settings.memory / 4 / (size_t)engine->pipeline->settings.workers;
}

/* leat_worker_stop() wakes the session from another thread: under the lock it finds one that is open, or none. Opening and closing themselves, which take long, go on without. */
static void publish(struct leat_worker *worker, struct leat_session *session)
{
	pthread_mutex_lock(&worker->lock);
	worker->session = session;
	pthread_mutex_unlock(&worker->lock);
}

int leat_worker_open(struct leat_worker *worker, struct leat_fault *fault)
{
	const struct leat_pipeline *pipeline = worker->engine->pipeline;
	struct leat_session_config config = {
		.worker = worker->number, .tasks = worker->engine->tasks, .transaction_timeout_ms = (int)LEAT_MAX(TRANSACTION_MS, 4 * pipeline->settings.commit_ms), .transactional = pipeline->settings.guarantee == LEAT_EXACTLY_ONCE,
		.memory = session_memory(worker->engine),
		.events = { .self = worker, .assigned = on_assigned, .revoked = on_revoked, .lost = on_lost },
	};
	for (size_t i = 0; i < pipeline->sink_count; i++)
		config.early |= pipeline->sinks[i].emit == LEAT_EMIT_EARLY;
	worker->lanes = leat_calloc((size_t)worker->engine->tasks, sizeof(struct leat_lane *));
	worker->standings = leat_calloc((size_t)worker->engine->tasks, sizeof *worker->standings);
	if (!worker->lanes || !worker->standings)
		return leat_fail(fault, LEAT_ENOMEM, "out of memory");
	worker->first_us = leat_clock_mono_us(worker->engine->clock);
	struct leat_session *session = NULL;
	int rc = worker->engine->transport->ops->session_open(worker->engine->transport, &config, &session, fault);
	publish(worker, session);
	return rc;
}

void leat_worker_close(struct leat_worker *worker, bool graceful)
{
	struct leat_fault fault = { 0 };
	bool clean = graceful && worker->session && worker->result == 0;
	if (clean && leat_worker_commit(worker, &fault) < 0) {
		leat_log(LEAT_WARNING, "worker %d: the last commit failed, it will be redone at the next start: %s", worker->number, fault.text);
		clean = false;
	}
	for (int32_t task = 0; worker->lanes && task < worker->engine->tasks; task++)
		close_lane(worker, task, clean);
	struct leat_session *session = worker->session;
	publish(worker, NULL);
	if (session)
		worker->engine->transport->ops->session_close(session, graceful);
	leat_free(worker->lanes);
	worker->lanes = NULL;
	leat_free(worker->standings);
	worker->standings = NULL;
}

/* ---- recovery: the outcome of a commit is unknown, or the producer was fenced ---- */

static bool any_damage(const struct leat_worker *worker)
{
	for (int32_t task = 0; task < worker->engine->tasks; task++)
		if (leat_worker_damage(worker->lanes[task]))
			return true;
	return false;
}

static int close_for_recovery(struct leat_worker *worker, int32_t task, struct leat_fault *fault)
{
	struct leat_lane *lane = worker->lanes[task];
	char why[320] = "";
	if (!lane)
		return 0;
	if (leat_worker_damage(lane))
		snprintf(why, sizeof why, "%s", leat_worker_damage(lane));
	worker->standings[task].reopen = true;
	worker->standings[task].halt = lane->halt;
	close_lane(worker, task, false);
	return why[0] ? set_store_aside(worker, task, why, fault) : 0;
}

/* May fail and be called again: which tasks it has closed stands in @standings. */
static int recover(struct leat_worker *worker, struct leat_fault *fault)
{
	struct leat_fault ignored = { 0 };
	worker->live.aborts++;
	leat_crashpoint("recover.begin");
	(void)leat_worker_settle(worker, true, &ignored);   /* all tasks open anew from what Kafka says */
	for (int32_t task = 0; task < worker->engine->tasks; task++)
		LEAT_TRY(close_for_recovery(worker, task, fault));
	worker->closed = worker->committed;
	LEAT_TRY(worker->engine->transport->ops->session_reset(worker->session, fault));
	worker->lost = worker->damaged = false;
	for (int32_t task = 0; task < worker->engine->tasks; task++)
		if (worker->standings[task].reopen) {
			LEAT_TRY(open_lane(worker, task, fault));
			if (worker->lanes[task])
				worker->lanes[task]->halt = worker->standings[task].halt;
		}
	leat_crashpoint("recover.end");
	return 0;
}

/* ---- one step ---- */

/* Opening tasks go on in slices, right after a commit: never with a transaction open. */
static int advance_lanes(struct leat_worker *worker, bool *opening, struct leat_fault *fault)
{
	*opening = false;
	for (int32_t task = 0; task < worker->engine->tasks; task++) {
		struct leat_lane *lane = worker->lanes[task];
		if (!lane || lane->state > LEAT_LANE_RESTORING)
			continue;
		*opening = true;
		LEAT_TRY(leat_worker_settle(worker, true, fault));
		if (leat_worker_anything(worker))
			return 0;
		LEAT_TRY(leat_lane_advance(lane, fault));
		if (lane->state == LEAT_LANE_RUNNING)
			worker->live.restored += lane->restored;
	}
	return 0;
}

static int run_lanes(struct leat_worker *worker, long *events, struct leat_fault *fault)
{
	for (int32_t task = 0; task < worker->engine->tasks; task++) {
		struct leat_lane *lane = worker->lanes[task];
		if (!leat_worker_takes_part(lane))
			continue;
		pthread_rwlock_rdlock(worker->tables);
		long count = leat_lane_run(lane, fault);
		pthread_rwlock_unlock(worker->tables);
		if (count < 0)
			return (int)count;
		*events += count;
		worker->live.events += lane->events - lane->counted;
		lane->counted = lane->events;
	}
	return 0;
}

static int64_t wait_for(const struct leat_worker *worker, int64_t most_us)
{
	int64_t now = leat_clock_mono_us(worker->engine->clock), due = worker->last_commit_us + worker->engine->pipeline->settings.commit_ms * 1000;
	for (int32_t task = 0; task < worker->engine->tasks; task++)
		if (worker->lanes[task] && worker->lanes[task]->state < LEAT_LANE_RUNNING)
			return LEAT_MIN(most_us, OPENING_WAIT_US);
	if (!leat_worker_anything(worker))
		return most_us;
	return LEAT_MAX(LEAT_MIN(due - now, most_us), (int64_t)0);
}

static int step(struct leat_worker *worker, int64_t wait_us, long *events, bool *idle, struct leat_fault *fault)
{
	bool opening;
	LEAT_TRY(worker->engine->transport->ops->session_poll(worker->session, wait_us, fault));
	if (worker->result < 0) {
		*fault = worker->fault;
		return worker->result;
	}
	if (worker->lost)
		return leat_fail(fault, LEAT_EABORT, "tasks were lost");
	if (worker->engine->replica)
		LEAT_TRY(leat_replica_poll(worker->engine->replica, fault));
	LEAT_TRY(leat_worker_settle(worker, false, fault));
	LEAT_TRY(advance_lanes(worker, &opening, fault));
	int64_t start = leat_clock_mono_us(NULL);
	long before;
	do {
		before = *events;
		LEAT_TRY(run_lanes(worker, events, fault));
	} while (*events > before && leat_clock_mono_us(NULL) - start < BUDGET_US && !leat_worker_due(worker));
	if (opening && leat_worker_anything(worker))
		LEAT_TRY(leat_worker_commit(worker, fault));
	else if (leat_worker_due(worker))
		LEAT_TRY(leat_worker_commit_soon(worker, fault));
	*idle = *events == 0 && !opening && !worker->beside;
	if (worker->damaged)
		return leat_fail(fault, LEAT_EABORT, "the state of a task is damaged");
	if (worker->slow_commit) {
		worker->slow_commit = false;
		return leat_fail(fault, LEAT_EABORT, "the last commit took over 5 s: a late end of its transaction could hit the next one");
	}
	return 0;
}

/* Where the transport keeps the rows there is no second copy of them. */
static void name_damage(const struct leat_worker *worker, struct leat_fault *fault)
{
	for (int32_t task = 0; worker->engine->transport->ops->keeps_rows && task < worker->engine->tasks; task++) {
		const struct leat_lane *lane = worker->lanes[task];
		const char *where = lane && lane->store ? leat_store_damage(lane->store) : NULL;
		if (where)
			leat_fail(fault, LEAT_ECORRUPT, "the state of task %d is damaged and there is no second copy of it: put a copy of the folder back, or begin with an empty one: %s", (int)task, where);
	}
}

/* What can be done again is done again; the rest ends the worker. */
static bool recoverable(int code)
{
	return code == LEAT_EABORT || code == LEAT_EFENCED || code == LEAT_ERETRY || code == LEAT_EBROKER || code == LEAT_EOPERATOR;
}

long leat_worker_step(struct leat_worker *worker, int64_t wait_us, bool *idle, struct leat_fault *fault)
{
	long events = 0;
	int rc = 0;
	*idle = false;
	if (worker->retry_us) {
		if (leat_clock_mono_us(worker->engine->clock) < worker->retry_us) {
			LEAT_TRY(worker->engine->transport->ops->session_poll(worker->session, LEAT_MIN(wait_us, 20000), fault));
			return 0;
		}
		worker->retry_us = 0;
		rc = recover(worker, fault);
	}
	if (rc >= 0)
		rc = step(worker, worker->busy ? 0 : wait_us, &events, idle, fault);
	worker->busy = events > 0;
	if (rc < 0 && (recoverable(rc) || any_damage(worker)) && !fault->fatal) {
		worker->lost = true;   /* what it was at may be half done: neither a hand-over nor a stop commits it before the recovery */
		if (rc == LEAT_EOPERATOR)
			redo_at_once(worker, fault);
		else
			note_retry(worker, fault);
		*fault = (struct leat_fault){ 0 };
		return 0;
	}
	if (rc < 0)
		name_damage(worker, fault);
	return rc < 0 ? rc : events;
}

/* ---- the thread ---- */

static void count_lanes(struct leat_worker *worker)
{
	struct leat_worker_stats *live = &worker->live;
	struct leat_tally tally;
	leat_worker_count(worker, &tally);
	live->outputs = LEAT_MAX(live->outputs, tally.outputs);   /* after a recovery the same is counted again: totals wait for it */
	live->dead_letters = LEAT_MAX(live->dead_letters, tally.dead_letters);
	memcpy(live->nodes, tally.nodes, sizeof live->nodes);
	live->running = live->opening = live->failed = live->rows_memory = 0;
	live->lag_events = 0;
	int64_t newest = 0, wall = leat_clock_wall_ms(worker->engine->clock);
	for (int32_t task = 0; task < worker->engine->tasks; task++) {
		const struct leat_lane *lane = worker->lanes[task];
		live->failed += !lane && worker->standings[task].stopped;
		if (!lane)
			continue;
		live->running += lane->state == LEAT_LANE_RUNNING;
		live->opening += lane->state < LEAT_LANE_RUNNING;
		live->failed += lane->state == LEAT_LANE_FAILED;
		live->lag_events += leat_lane_lag(lane);
		newest = LEAT_MAX(newest, lane->newest_ms);
		for (size_t i = 0; i < lane->pipeline->group_count; i++)
			live->rows_memory += lane->groups[i].rows ? leat_rows_memory(lane->groups[i].rows) : 0;
	}
	live->lag_ms = live->lag_events > 0 && newest > 0 ? LEAT_MAX(wall - newest, (int64_t)0) : 0;
}

static void show(struct leat_worker *worker)
{
	count_lanes(worker);
	pthread_mutex_lock(&worker->lock);
	worker->stats = worker->live;
	pthread_mutex_unlock(&worker->lock);
}

void leat_worker_look(struct leat_worker *worker, struct leat_worker_stats *stats)
{
	pthread_mutex_lock(&worker->lock);
	*stats = worker->stats;
	pthread_mutex_unlock(&worker->lock);
}

void leat_worker_stop(struct leat_worker *worker)
{
	atomic_store(&worker->stop, true);   /* first: a session that is opened later finds it set */
	pthread_mutex_lock(&worker->lock);
	if (worker->session)
		worker->engine->transport->ops->session_wake(worker->session);
	pthread_mutex_unlock(&worker->lock);
}

static bool all_at_end(const struct leat_worker *worker)
{
	bool any = false;
	if (worker->beside)
		return false;
	for (int32_t task = 0; task < worker->engine->tasks; task++) {
		const struct leat_lane *lane = worker->lanes[task];
		if (!lane)
			continue;
		any = true;
		if (lane->state == LEAT_LANE_FAILED)
			continue;
		if (lane->state != LEAT_LANE_RUNNING || lane->touched)
			return false;
		for (size_t i = 0; i < lane->pipeline->source_count; i++)
			if (!lane->intakes[i].at_end)
				return false;
	}
	return any;
}

static int run_until_ended(struct leat_worker *worker, struct leat_fault *fault)
{
	int64_t shown = 0;
	int rc = leat_worker_open(worker, fault);
	while (rc >= 0 && !atomic_load(&worker->stop)) {
		bool idle;
		long events = leat_worker_step(worker, wait_for(worker, IDLE_WAIT_US), &idle, fault);
		rc = events < 0 ? (int)events : 0;
		int64_t now = leat_clock_mono_us(NULL);
		if (now - shown > 100000 || idle) {
			shown = now;
			show(worker);
			atomic_store(&worker->at_end, all_at_end(worker));
		}
	}
	return rc;
}

static void end_session(struct leat_worker *worker, int rc, const struct leat_fault *fault)
{
	if (rc < 0) {
		worker->result = rc;
		worker->fault = *fault;
	}
	if (worker->lanes && worker->session)
		show(worker);
	leat_worker_close(worker, true);
}

/*
 * Fenced as a member: another instance has our name, or the group has mistaken us for one: a static member whose answer from a broker that stood still came too late
 * asks again under an id that is no longer its own. Joining anew ends the second; of two that really have one name the tries of one are used up.
 */
static bool joins_again(struct leat_worker *worker)
{
	int64_t now = leat_clock_mono_us(NULL);
	if (worker->result != LEAT_EFENCED || atomic_load(&worker->stop))
		return false;
	if (now - worker->fenced_us > FENCED_WITHIN_US) {
		worker->fenced_us = now;
		worker->fenced = 0;
	}
	if (++worker->fenced > FENCED_MAX)
		return false;
	leat_log(LEAT_WARNING, "worker %d: %s; joining again (%d of %d within %d minutes)", worker->number, worker->fault.text, worker->fenced, FENCED_MAX, FENCED_WITHIN_US / 60000000);
	for (int64_t until = now + FENCED_WAIT_US; leat_clock_mono_us(NULL) < until && !atomic_load(&worker->stop);)
		poll(NULL, 0, 50);
	worker->result = 0;
	worker->fault = (struct leat_fault){ 0 };
	worker->closed = worker->committed;
	worker->lost = worker->damaged = worker->beside = worker->committed_once = worker->slow_commit = worker->busy = false;
	worker->retry_us = worker->retry_wait_ms = 0;
	return true;
}

int leat_worker_run(struct leat_worker *worker)
{
	do {
		struct leat_fault fault = { 0 };
		int rc = run_until_ended(worker, &fault);
		end_session(worker, rc, &fault);
	} while (joins_again(worker));
	atomic_store(&worker->ended, true);
	return worker->result;
}
