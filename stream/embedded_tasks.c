/* Tasks of the embedded transport: split evenly over the sessions of this process, moved as seldom as can be, each handed over only after it was given up. */
#include "stream/embedded_session.h"

static int32_t count_sessions(const struct leat_embedded *embedded)
{
	int32_t count = 0;
	for (const struct leat_session *session = embedded->sessions; session; session = session->next)
		count++;
	return count;
}

static int32_t held_by(const struct leat_embedded *embedded, const struct leat_session *session)
{
	int32_t held = 0;
	for (int32_t task = 0; task < embedded->tasks; task++)
		held += embedded->targets[task] == session;
	return held;
}

/* Everybody gets the floor; the remainder goes to those who would have to give up a task otherwise, then to the oldest. */
static void set_quotas(struct leat_embedded *embedded, int32_t sessions)
{
	int32_t floor = embedded->tasks / sessions, more = embedded->tasks % sessions;
	for (struct leat_session *session = embedded->sessions; session; session = session->next) {
		session->kept = 0;
		session->quota = floor;
		if (more > 0 && held_by(embedded, session) > floor) {
			session->quota++;
			more--;
		}
	}
	for (struct leat_session *session = embedded->sessions; session && more > 0; session = session->next)
		if (session->quota == floor) {
			session->quota++;
			more--;
		}
}

static struct leat_session *session_with_room(struct leat_embedded *embedded)
{
	struct leat_session *session = embedded->sessions;
	while (session && session->kept >= session->quota)
		session = session->next;
	LEAT_ASSERT(session);
	return session;
}

/* Holds lock. */
static void split(struct leat_embedded *embedded)
{
	int32_t sessions = count_sessions(embedded);
	if (sessions == 0)
		return;
	set_quotas(embedded, sessions);
	for (int32_t task = 0; task < embedded->tasks; task++) {
		struct leat_session *session = embedded->targets[task];
		if (session && session->kept < session->quota)
			session->kept++;
		else
			embedded->targets[task] = NULL;
	}
	for (int32_t task = 0; task < embedded->tasks; task++)
		if (!embedded->targets[task]) {
			embedded->targets[task] = session_with_room(embedded);
			embedded->targets[task]->kept++;
		}
	pthread_cond_broadcast(&embedded->changed);
}

/* Holds lock. The first session says how many tasks there are. */
static int set_tasks(struct leat_embedded *embedded, int32_t tasks, struct leat_fault *fault)
{
	if (embedded->sessions) {
		if (tasks != embedded->tasks)
			return leat_fail(fault, LEAT_ECONFIG, "the open sessions have %d tasks, this one asks for %d", embedded->tasks, tasks);
		return 0;
	}
	leat_free(embedded->owners);
	leat_free(embedded->targets);
	embedded->owners = leat_calloc((size_t)tasks, sizeof *embedded->owners);
	embedded->targets = leat_calloc((size_t)tasks, sizeof *embedded->targets);
	embedded->tasks = embedded->owners && embedded->targets ? tasks : 0;
	return embedded->tasks ? 0 : leat_fail(fault, LEAT_ENOMEM, "out of memory for %d tasks", tasks);
}

int leat_tasks_join(struct leat_session *session, struct leat_fault *fault)
{
	struct leat_embedded *embedded = session->embedded;
	int32_t tasks = session->config.tasks;
	if (tasks < 1 || tasks > LEAT_EMBEDDED_PARTITIONS_MAX)
		return leat_fail(fault, LEAT_ECONFIG, "there cannot be %d tasks: 1 to %d are allowed", tasks, LEAT_EMBEDDED_PARTITIONS_MAX);
	pthread_mutex_lock(&embedded->lock);
	int rc = set_tasks(embedded, tasks, fault);
	if (rc == 0) {
		struct leat_session **end = &embedded->sessions;
		while (*end)
			end = &(*end)->next;
		*end = session;
		split(embedded);
	}
	pthread_mutex_unlock(&embedded->lock);
	return rc;
}

/* Holds lock. The first task for which @session has to act: *revoke tells what. -1: none. */
static int32_t task_due(const struct leat_session *session, bool *revoke)
{
	const struct leat_embedded *embedded = session->embedded;
	for (int32_t task = 0; task < embedded->tasks; task++)
		if (embedded->owners[task] == session && embedded->targets[task] != session) {
			*revoke = true;
			return task;
		}
	*revoke = false;
	for (int32_t task = 0; task < embedded->tasks; task++)
		if (!embedded->owners[task] && embedded->targets[task] == session)
			return task;
	return -1;
}

bool leat_tasks_due(const struct leat_session *session)
{
	bool revoke;
	return session->config.worker >= 0 && task_due(session, &revoke) >= 0;
}

/* A task is ours before its worker hears of it and until its worker has given it up. */
static bool serve_one(struct leat_session *session)
{
	struct leat_embedded *embedded = session->embedded;
	bool revoke;
	pthread_mutex_lock(&embedded->lock);
	int32_t task = task_due(session, &revoke);
	if (task >= 0 && !revoke)
		embedded->owners[task] = session;
	pthread_mutex_unlock(&embedded->lock);
	if (task < 0)
		return false;
	const struct leat_session_events *events = &session->config.events;
	void (*tell)(void *self, int32_t task) = revoke ? events->revoked : events->assigned;
	if (tell)
		tell(events->self, task);
	if (!revoke)
		return true;
	pthread_mutex_lock(&embedded->lock);
	embedded->owners[task] = NULL;
	pthread_cond_broadcast(&embedded->changed);
	pthread_mutex_unlock(&embedded->lock);
	return true;
}

void leat_tasks_serve(struct leat_session *session)
{
	while (session->config.worker >= 0 && serve_one(session))
		;
}

void leat_tasks_leave(struct leat_session *session, bool graceful)
{
	struct leat_embedded *embedded = session->embedded;
	pthread_mutex_lock(&embedded->lock);
	struct leat_session **link = &embedded->sessions;
	while (*link && *link != session)
		link = &(*link)->next;
	bool joined = *link;
	if (joined)
		*link = session->next;
	for (int32_t task = 0; joined && task < embedded->tasks; task++) {
		if (embedded->targets[task] == session)
			embedded->targets[task] = NULL;
		if (!graceful && embedded->owners[task] == session)
			embedded->owners[task] = NULL;
	}
	if (joined)
		split(embedded);
	pthread_mutex_unlock(&embedded->lock);
	if (joined)
		leat_tasks_serve(session);
}

bool leat_tasks_owned(struct leat_session *session, int32_t task)
{
	struct leat_embedded *embedded = session->embedded;
	pthread_mutex_lock(&embedded->lock);
	bool owned = task >= 0 && task < embedded->tasks && embedded->owners[task] == session;
	pthread_mutex_unlock(&embedded->lock);
	return owned;
}
