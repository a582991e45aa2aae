/* Feeds: inputs of a session's tasks. The worker takes records itself; one thread of ours (the pulse) only wakes librdkafka where that has gone to sleep. */
#include "stream/kafka_internal.h"

static bool is_open(const struct leat_session *session, const char *topic, int32_t partition)
{
	for (const struct leat_feed *feed = session->feeds; feed; feed = feed->next)
		if (feed->inlet.partition == partition && strcmp(feed->inlet.name, topic) == 0)
			return true;
	return false;
}

int kafka_feed_open(struct leat_session *session, const char *topic, int32_t partition, int64_t offset, struct leat_feed **out, struct leat_fault *fault)
{
	*out = NULL;
	LEAT_ASSERT(!session->plain);
	if (is_open(session, topic, partition))
		return leat_fail(fault, LEAT_EBUSY, "%s [%d] is being read by this worker already", topic, (int)partition);
	struct leat_feed *feed = leat_calloc(1, sizeof *feed);
	if (!feed)
		return leat_fail(fault, LEAT_ENOMEM, "out of memory");
	feed->session = session;
	int rc = kafka_inlet_start(&feed->inlet, session->data, topic, partition, offset, session->wake_fd, fault);
	if (rc < 0) {
		kafka_inlet_stop(&feed->inlet);
		leat_free(feed);
		return rc;
	}
	feed->inlet.limit_records = session->nudges ? session->sizes.feed_records : 0;
	feed->inlet.limit_bytes = session->sizes.feed_bytes;
	pthread_mutex_lock(&session->lock);
	feed->next = session->feeds;
	session->feeds = feed;
	pthread_mutex_unlock(&session->lock);
	*out = feed;
	return 0;
}

static void ask_nudge(struct leat_feed *feed)
{
	struct leat_session *session = feed->session;
	atomic_store(&feed->wants_nudge, true);
	pthread_mutex_lock(&session->lock);
	pthread_cond_broadcast(&session->changed);
	pthread_mutex_unlock(&session->lock);
}

long kafka_feed_take(struct leat_feed *feed, const struct leat_record **records, bool *at_end, struct leat_fault *fault)
{
	if (kafka_inlet_fill(&feed->inlet))
		ask_nudge(feed);
	feed->noted = 0;
	feed->left_over = false;
	return kafka_inlet_shown(&feed->inlet, records, at_end, fault);
}

void kafka_feed_release(struct leat_feed *feed, size_t count)
{
	kafka_inlet_release(&feed->inlet, count);
	feed->left_over = count > 0 && feed->inlet.count > 0;
}

void kafka_feed_close(struct leat_feed *feed)
{
	if (!feed)
		return;
	struct leat_session *session = feed->session;
	pthread_mutex_lock(&session->lock);
	struct leat_feed **at = &session->feeds;
	while (*at != feed)
		at = &(*at)->next;
	*at = feed->next;
	pthread_mutex_unlock(&session->lock);
	kafka_inlet_stop(&feed->inlet);
	leat_free(feed);
}

/* The end is what the last answer of the broker said, so this costs nothing. */
int64_t kafka_feed_lag(struct leat_feed *feed)
{
	int64_t first, end;
	const struct kafka_inlet *inlet = &feed->inlet;
	if (rd_kafka_get_watermark_offsets(inlet->rk, inlet->name, inlet->partition, &first, &end) || end < 0)
		return -1;
	int64_t next = inlet->count > 0 ? inlet->records[inlet->first].offset : inlet->next;
	return LEAT_MAX(end - next, (int64_t)0);
}

/* A feed that the worker leaves alone wakes it only when more has come, so that a worker that waits on purpose does not spin. */
bool kafka_feeds_ready(struct leat_session *session)
{
	bool ready = false;
	for (struct leat_feed *feed = session->feeds; feed; feed = feed->next) {
		size_t waiting = rd_kafka_queue_length(feed->inlet.queue);
		if (waiting > feed->noted && feed->inlet.count < LEAT_BATCH_MAX)
			ready = true;
		feed->noted = LEAT_MAX(feed->noted, waiting);
		ready |= feed->left_over;
		feed->left_over = false;
	}
	return ready;
}

/* Against a misjudged "was it full": bytes are known by their mean only. */
void kafka_feeds_stalled(struct leat_session *session)
{
	if (!session->nudges)
		return;
	for (struct leat_feed *feed = session->feeds; feed; feed = feed->next)
		if (!feed->inlet.at_end && feed->inlet.rc == 0 && feed->inlet.mean_bytes > 0 && rd_kafka_queue_length(feed->inlet.queue) == 0)
			ask_nudge(feed);
}

/* The next feed that wants a nudge, copied, since the worker may close it meanwhile. session->lock is held. */
static bool next_nudge(struct leat_session *session, char *topic, size_t size, int32_t *partition)
{
	for (struct leat_feed *feed = session->feeds; feed; feed = feed->next)
		if (atomic_exchange(&feed->wants_nudge, false)) {
			snprintf(topic, size, "%s", feed->inlet.name);
			*partition = feed->inlet.partition;
			return true;
		}
	return false;
}

void *kafka_pulse_main(void *self)
{
	struct leat_session *session = self;
	char topic[300];
	int32_t partition;
	pthread_mutex_lock(&session->lock);
	while (!atomic_load(&session->closing)) {
		if (!next_nudge(session, topic, sizeof topic, &partition)) {
			pthread_cond_wait(&session->changed, &session->lock);
			continue;
		}
		pthread_mutex_unlock(&session->lock);
		kafka_nudge(session->data, topic, partition);
		pthread_mutex_lock(&session->lock);
	}
	pthread_mutex_unlock(&session->lock);
	return NULL;
}
