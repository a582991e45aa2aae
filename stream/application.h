/* The application object behind leat.h, for the command line's use of what a program does not need. */
#ifndef LEAT_APPLICATION_H
#define LEAT_APPLICATION_H

#include "stream/leat.h"
#include "stream/reference.h"
#include "stream/worker.h"

struct leat {
	struct leat_pipeline *pipeline;
	struct leat_engine engine;
	struct leat_transport *transport;
	struct leat_registry *registry;
	struct leat_worker *workers;
	size_t worker_count;
	pthread_rwlock_t tables_lock;
	int64_t tables_us;
	char *state_dir, *instance;
	struct leat_buffer again;            /* engine.again */
	int lock_fd;
	bool until_end;
	atomic_bool stopping;
	pthread_t topics_thread;             /* looks at the topics while workers run, so that nobody waits for the broker's answer */
	bool has_topics_thread;
	atomic_bool topics_wrong;            /* @topics_fault says how; until it is set that is the thread's alone */
	struct leat_fault topics_fault;
	uint64_t moved;                      /* commits and events at the last look, and since when they are the same */
	int64_t still_since_us;
	bool (*interrupted)(void *self);
	void *interrupted_self;
	uint64_t latency_before[LEAT_LATENCY_BUCKETS];
};

/* As leat_open, but gives up with LEAT_ESTOPPED when @interrupted says so while it waits for the broker. */
int leat_open_interruptible(struct leat **out, const struct leat_config *config, bool (*interrupted)(void *self), void *self, struct leat_fault *fault);

#endif
