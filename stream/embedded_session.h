/* Sessions of the owning process, their tasks and feeds. Each on its worker's thread; what lies under the transport's lock says so. */
#ifndef LEAT_EMBEDDED_SESSION_H
#define LEAT_EMBEDDED_SESSION_H

#include "stream/embedded_internal.h"

struct leat_session {
	struct leat_embedded *embedded;
	struct leat_session_config config;
	struct leat_session *next;               /* of workers, under lock */
	struct leat_outboxes outboxes;
	struct leat_writes *writes;
	struct leat_store **views;               /* [tasks], opened when session_row first needs them */
	struct leat_feed *feeds;
	int64_t queued_us;                       /* worker -1: when the oldest queued record came */
	bool woken;                              /* under lock */
	bool broken;                             /* a commit failed: reset or close must follow */
	int32_t quota, kept;                     /* while tasks are split */
};
/* ---- embedded_tasks.c ---- */
/* Enters @session and splits the tasks anew. LEAT_ECONFIG: another count of tasks than the sessions that are open. */
int leat_tasks_join(struct leat_session *session, struct leat_fault *fault);
/* Takes it out; @graceful: its tasks are revoked by callback, else they are simply free. */
void leat_tasks_leave(struct leat_session *session, bool graceful);
/* Runs the callbacks that are due. */
void leat_tasks_serve(struct leat_session *session);
/* Is one due? Holds lock. */
bool leat_tasks_due(const struct leat_session *session);
bool leat_tasks_owned(struct leat_session *session, int32_t task);

/* ---- embedded_feed.c ---- */
int leat_embedded_feed_open(struct leat_session *session, const char *topic, int32_t partition, int64_t offset, struct leat_feed **out, struct leat_fault *fault);
long leat_embedded_feed_take(struct leat_feed *feed, const struct leat_record **records, bool *at_end, struct leat_fault *fault);
void leat_embedded_feed_release(struct leat_feed *feed, size_t count);
void leat_embedded_feed_close(struct leat_feed *feed);
int64_t leat_embedded_feed_lag(struct leat_feed *feed);
/* Has any of them something that its worker has not been shown? */
bool leat_feeds_ready(const struct leat_feed *feeds);
/* The session closes before them: they only wait to be closed. */
void leat_feeds_detach(struct leat_feed *feeds);

#endif
