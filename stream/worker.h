/*
 * Worker: a thread with one session and the tasks that are assigned to it: batches, commits, assignment changes, recovery. The application starts and joins it; the
 * functions marked "any thread" may be called from outside.
 */
#ifndef LEAT_WORKER_H
#define LEAT_WORKER_H

#include "stream/lane.h"

#include <pthread.h>
#include <stdatomic.h>

enum { LEAT_LATENCY_BUCKETS = 400, LEAT_COUNTERS_MAX = 16 };

/* Of one operator, summed over the tasks that run here or ran here. */
struct leat_node_stats { uint64_t events, batches, ns, counters[LEAT_COUNTERS_MAX]; };

struct leat_worker_stats {
	uint64_t events, outputs, dead_letters, late, commits, aborts, restored, early_commits;
	int64_t lag_events, lag_ms;
	uint64_t latency[LEAT_LATENCY_BUCKETS];     /* record timestamp → commit done (or sent, early) */
	uint64_t running, opening, failed;          /* tasks */
	size_t rows_memory;
	struct leat_node_stats nodes[LEAT_NODES_MAX];
};
int64_t leat_latency_of_bucket(size_t bucket);

/* What is known of a task beyond the life of its lane. */
struct leat_standing {
	bool reopen;                                /* a recovery closed it and has not opened it again */
	struct leat_halt halt;
	struct leat_suspects suspects;
	bool stopped;                               /* its state could not be written: it stays failed until a restart */
	int damages;                                /* how often its store was found damaged since @damaged_us */
	int64_t damaged_us;
};

/* What lanes count themselves. */
struct leat_tally {
	uint64_t outputs, dead_letters;
	struct leat_node_stats nodes[LEAT_NODES_MAX];
};

struct leat_worker {
	const struct leat_engine *engine;
	int number;
	pthread_t thread;
	bool started;
	atomic_bool stop, ended;
	struct leat_session *session;               /* set and cleared under @lock, by the worker's thread alone */
	struct leat_lane **lanes;                   /* by task, NULL: not ours */
	struct leat_standing *standings;            /* by task */
	int64_t last_commit_us, first_us;
	int64_t retry_us;                           /* failed for now: try again at this time; 0: no */
	int64_t retry_wait_ms;
	int64_t commit_start_us;
	bool committed_once, slow_commit, busy;
	bool beside;                                /* a commit is under way beside the work */
	bool lost;                                  /* what the transaction holds must not be committed */
	bool damaged;                               /* a store was, when it was written behind a commit */
	int64_t fenced_us;                          /* since when @fenced is counted: how often the group did not know us any more */
	int fenced;
	int result;                                 /* why it ended: 0 asked to stop, else a code */
	struct leat_fault fault;
	pthread_rwlock_t *tables;                   /* held for reading while a batch runs: reference tables change in between */
	pthread_mutex_t lock;                       /* held for moments only */
	struct leat_worker_stats stats;             /* as of the last look (under @lock) */
	struct leat_worker_stats live;              /* the worker's own */
	struct leat_tally closed;                   /* of the tasks that were handed over */
	struct leat_tally sealed;                   /* of all of them, as of the commit under way */
	struct leat_tally committed;                /* of all of them, as of the last commit: what a recovery goes back to */
	atomic_bool at_end;                         /* every input of tasks that have not failed has been read to its end and is committed */
};

/* Opens the session and runs until told to stop, or until something fails that trying again cannot mend. */
int leat_worker_run(struct leat_worker *worker);
/* Any thread. */
void leat_worker_stop(struct leat_worker *worker);
void leat_worker_look(struct leat_worker *worker, struct leat_worker_stats *stats);

/* For tests, which drive a worker by hand on one thread. */
int leat_worker_open(struct leat_worker *worker, struct leat_fault *fault);
/* Events processed in this step; *idle: nothing left to do now. */
long leat_worker_step(struct leat_worker *worker, int64_t wait_us, bool *idle, struct leat_fault *fault);
int leat_worker_commit(struct leat_worker *worker, struct leat_fault *fault);
void leat_worker_close(struct leat_worker *worker, bool graceful);

#endif
