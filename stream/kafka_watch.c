/*
 * Watching for orphans: tasks that no member of a stable group owns. A static member that is killed between giving tasks up and joining again gets its old,
 * already shrunk assignment back without a rebalance, and nobody is told to take what it gave up. Whoever sees that joins anew, which makes one.
 *
 * The question is put by a thread of its own, because it waits for an answer. (rd_kafka_DescribeConsumerGroups would not wait, but fails an assertion when the
 * coordinator is away: librdkafka #4605.) It goes through the client that reads data: that of the group has a fetch of seconds before it on its connection.
 */
#include "stream/kafka_internal.h"

enum { WATCH_AFTER_MS = 1500, WATCH_AGAIN_MS = 3000, LIST_MS = 1000 };

/* Big-endian numbers of the consumer protocol's assignment: i16 version, [topic string, [i32 partition]], user data. */
struct cursor { const uint8_t *at, *end; bool bad; };

static int32_t take(struct cursor *cursor, int bytes)
{
	int32_t value = 0;
	if (cursor->end - cursor->at < bytes) {
		cursor->bad = true;
		return 0;
	}
	for (int i = 0; i < bytes; i++)
		value = (int32_t)((uint32_t)value << 8 | *cursor->at++);
	return value;
}

static void mark_member(const struct rd_kafka_group_member_info *member, const char *topic, int32_t tasks, bool *owned)
{
	struct cursor cursor = { member->member_assignment, (const uint8_t *)member->member_assignment + member->member_assignment_size, false };
	take(&cursor, 2);
	for (int32_t topics = take(&cursor, 4); topics > 0 && !cursor.bad; topics--) {
		int32_t length = take(&cursor, 2);
		if (length < 0 || cursor.end - cursor.at < length)
			return;
		bool ours = strlen(topic) == (size_t)length && memcmp(cursor.at, topic, (size_t)length) == 0;
		cursor.at += length;
		for (int32_t count = take(&cursor, 4); count > 0 && !cursor.bad; count--) {
			int32_t task = take(&cursor, 4);
			if (ours && !cursor.bad && task >= 0 && task < tasks)
				owned[task] = true;
		}
	}
}

/* Number of tasks that nobody owns while the group is stable; -1 when it cannot be told now. */
static int32_t count_orphans(struct leat_session *session)
{
	const struct rd_kafka_group_list *list = NULL;
	bool *owned = leat_calloc((size_t)session->config.tasks, sizeof *owned);
	int32_t orphans = -1;
	if (!owned || rd_kafka_list_groups(session->data, session->kafka->application, &list, LIST_MS) != RD_KAFKA_RESP_ERR_NO_ERROR)
		goto out;
	if (list->group_cnt != 1 || !list->groups[0].state || strcmp(list->groups[0].state, "Stable") != 0)
		goto out;
	for (int i = 0; i < list->groups[0].member_cnt; i++)
		mark_member(&list->groups[0].members[i], session->kafka->tasks_topic, session->config.tasks, owned);
	orphans = 0;
	for (int32_t task = 0; task < session->config.tasks; task++)
		orphans += !owned[task];
out:
	if (list)
		rd_kafka_group_list_destroy(list);
	leat_free(owned);
	return orphans;
}

static void join_again(struct leat_session *session)
{
	rd_kafka_topic_partition_list_t *topics = rd_kafka_topic_partition_list_new(1);
	rd_kafka_topic_partition_list_add(topics, session->kafka->tasks_topic, RD_KAFKA_PARTITION_UA);
	rd_kafka_unsubscribe(session->group);
	rd_kafka_subscribe(session->group, topics);
	rd_kafka_topic_partition_list_destroy(topics);
}

void kafka_watch_soon(struct leat_session *session)
{
	session->watch_ms = kafka_now_ms() + WATCH_AFTER_MS;
	session->orphans_seen = 0;
}

static void *look(void *self)
{
	struct leat_session *session = self;
	session->orphans = count_orphans(session);
	atomic_store(&session->watch_done, true);
	return NULL;
}

static void judge(struct leat_session *session)
{
	session->watch_ms = session->orphans != 0 ? kafka_now_ms() + WATCH_AGAIN_MS : 0;
	if (session->orphans > 0 && session->orphans_seen++) {
		leat_log(LEAT_WARNING, "kafka: %d tasks of %s have no owner although its group is stable; joining anew", (int)session->orphans, session->kafka->application);
		join_again(session);
		session->orphans_seen = 0;
	}
}

void kafka_watch_end(struct leat_session *session)
{
	if (session->has_watcher)
		pthread_join(session->watcher, NULL);
	session->has_watcher = false;
}

void kafka_watch(struct leat_session *session)
{
	bool due = session->watch_ms != 0 && kafka_now_ms() >= session->watch_ms;
	if (session->has_watcher) {
		if (!atomic_load(&session->watch_done))
			return;
		kafka_watch_end(session);
		if (due)      /* else the assignment has changed since: the answer may be older */
			judge(session);
	} else if (due) {
		atomic_store(&session->watch_done, false);
		session->has_watcher = pthread_create(&session->watcher, NULL, look, session) == 0;
	}
}
