/*
 * Deaths: operators that end the process. When a worker's thread is inside process() or on_timer() and meets SIGSEGV, SIGBUS, SIGFPE, SIGILL or SIGABRT, the handler notes who
 * died and on what in a file beside the state, and the signal then does what it would have done. The next start reads it: events that a death may be laid to are done one
 * by one, and the event that an operator has died on LEAT_DEATHS_MOST times is kept from it. A kill from outside, and a crash anywhere else, notes nothing.
 *
 * The file survives the process, not the machine. An entry goes when its task has committed behind it.
 */
#ifndef LEAT_DEATHS_H
#define LEAT_DEATHS_H

#include "stream/lane.h"

enum { LEAT_DEATHS_MOST = 3 };

/* What the file holds at @path, which is copied; one that cannot be read is said so and counts as empty. LEAT_ENOMEM. */
int leat_deaths_open(struct leat_deaths **out, const char *path, struct leat_fault *fault);
/* When no thread watches any more. Accepts NULL. */
void leat_deaths_close(struct leat_deaths *deaths);

/*
 * From here on the calling thread's operators are watched, until leat_deaths_unwatch(). While any thread is, handlers stand for those of the signals that nobody had one for. When
 * memory is out, or @deaths is NULL, the thread is not watched.
 */
void leat_deaths_watch(struct leat_deaths *deaths);
void leat_deaths_unwatch(void);

/* Whose process() or on_timer() runs on this thread; NULL: none. */
extern _Thread_local const struct leat_node_run *volatile leat_deaths_inside __attribute__((tls_model("initial-exec")));
/* Returns who it was until now, to be set again afterwards. */
static inline const struct leat_node_run *leat_deaths_enter(const struct leat_node_run *node)
{
	const struct leat_node_run *outer = leat_deaths_inside;
	leat_deaths_inside = node;
	return outer;
}

/* A task is about to run: says in the log what its operators died of, and makes suspects of what they died on. Any worker's thread, as the following. */
void leat_deaths_recall(struct leat_lane *lane);
/* Drops what the task has committed behind. */
void leat_deaths_settle(struct leat_lane *lane);
/* Is the event kept from @node, or from any operator when @node is NULL? */
bool leat_deaths_refuse(const struct leat_lane *lane, const struct leat_node *node, size_t source, int64_t offset);

#endif
