/* Deleting what is spare in the internal topics. */
#include "stream/trim.h"

#include <pthread.h>

enum { EVERY_US = 30000000 };

struct leat_trims {
	const struct leat_pipeline *pipeline;
	struct leat_transport *transport;
	int32_t tasks;
	pthread_mutex_t lock;
	size_t pending;
	int64_t *wanted;              /* per source and task; 0: nothing new */
};

int leat_trims_open(struct leat_trims **out, const struct leat_pipeline *pipeline, struct leat_transport *transport, int32_t tasks)
{
	struct leat_trims *trims = leat_calloc(1, sizeof *trims);
	*out = NULL;
	if (!trims || !(trims->wanted = leat_calloc(pipeline->source_count * (size_t)tasks, sizeof *trims->wanted))) {
		leat_free(trims);
		return LEAT_ENOMEM;
	}
	trims->pipeline = pipeline;
	trims->transport = transport;
	trims->tasks = tasks;
	pthread_mutex_init(&trims->lock, NULL);
	*out = trims;
	return 0;
}

void leat_trims_close(struct leat_trims *trims)
{
	if (!trims)
		return;
	pthread_mutex_destroy(&trims->lock);
	leat_free(trims->wanted);
	leat_free(trims);
}

static void want(struct leat_trims *trims, size_t source, int32_t task, int64_t offset)
{
	int64_t *wanted = &trims->wanted[source * (size_t)trims->tasks + (size_t)task];
	pthread_mutex_lock(&trims->lock);
	trims->pending += *wanted == 0;
	*wanted = offset;
	pthread_mutex_unlock(&trims->lock);
}

void leat_trims_note(struct leat_trims *trims, struct leat_lane *lane)
{
	int64_t now = leat_clock_mono_us(lane->engine->clock);
	if (!trims || (lane->trimmed_us && now - lane->trimmed_us < EVERY_US))
		return;
	for (size_t i = 0; i < trims->pipeline->source_count; i++) {
		if (trims->pipeline->sources[i].rekey < 0 && !trims->pipeline->sources[i].deltas)
			continue;
		/* What was committed at the last look is so old by now; the present position is for the next. */
		if (lane->trimmed_us && lane->trim_next[i] > lane->trim_last[i]) {
			want(trims, i, lane->task, lane->trim_next[i]);
			lane->trim_last[i] = lane->trim_next[i];
		}
		lane->trim_next[i] = lane->intakes[i].committed_offset;
	}
	lane->trimmed_us = now;
}

/* Takes one that is wanted. */
static bool next(struct leat_trims *trims, size_t *source, int32_t *task, int64_t *offset)
{
	bool found = false;
	pthread_mutex_lock(&trims->lock);
	for (size_t i = 0; trims->pending && !found && i < trims->pipeline->source_count * (size_t)trims->tasks; i++) {
		if (trims->wanted[i] == 0)
			continue;
		*source = i / (size_t)trims->tasks;
		*task = (int32_t)(i % (size_t)trims->tasks);
		*offset = trims->wanted[i];
		trims->wanted[i] = 0;
		trims->pending--;
		found = true;
	}
	pthread_mutex_unlock(&trims->lock);
	return found;
}

int leat_trims_run(struct leat_trims *trims)
{
	struct leat_fault fault = { 0 };
	size_t source;
	int32_t task;
	int64_t offset;
	if (!trims || !next(trims, &source, &task, &offset))
		return 0;
	const char *topic = trims->pipeline->sources[source].topic;
	if (trims->transport->ops->trim(trims->transport, topic, task, offset, &fault) < 0)
		leat_log_seldom(LEAT_WARNING, trims, 600000, "what is spare in %s[%d] was not deleted: %s", topic, (int)task, fault.text);
	return 1;
}
