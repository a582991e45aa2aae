/*
 * Watching for orphans: tasks that no member of a stable group owns. A static member that is killed between giving tasks up and joining again gets its old,
 * already shrunk assignment back without a rebalance, and nobody is told to take what it gave up. Whoever sees that joins anew, which makes one.
 */
#include "stream/kafka_internal.h"

enum { WATCH_AFTER_MS = 1500, WATCH_AGAIN_MS = 3000, ANSWER_MS = 5000 };

/* ---- asking: the answer comes to a queue of its own, because the worker must not wait for it ---- */

static void ask(struct leat_session *session)
{
	const char *groups[] = { session->kafka->application };
	rd_kafka_AdminOptions_t *options = rd_kafka_AdminOptions_new(session->group, RD_KAFKA_ADMIN_OP_DESCRIBECONSUMERGROUPS);
	if (!session->watch_queue)
		session->watch_queue = rd_kafka_queue_new(session->group);
	rd_kafka_AdminOptions_set_request_timeout(options, ANSWER_MS, NULL, 0);
	rd_kafka_DescribeConsumerGroups(session->group, groups, 1, options, session->watch_queue);
	rd_kafka_AdminOptions_destroy(options);
	session->watch_asked = true;
}

/* ---- the answer ---- */

static void mark_member(const rd_kafka_MemberDescription_t *member, const char *topic, int32_t tasks, bool *owned)
{
	const rd_kafka_topic_partition_list_t *list = rd_kafka_MemberAssignment_partitions(rd_kafka_MemberDescription_assignment(member));
	for (int i = 0; list && i < list->cnt; i++)
		if (strcmp(list->elems[i].topic, topic) == 0 && list->elems[i].partition >= 0 && list->elems[i].partition < tasks)
			owned[list->elems[i].partition] = true;
}

static const rd_kafka_ConsumerGroupDescription_t *group_of(rd_kafka_event_t *event)
{
	size_t count = 0;
	const rd_kafka_DescribeConsumerGroups_result_t *result = rd_kafka_event_error(event) ? NULL : rd_kafka_event_DescribeConsumerGroups_result(event);
	const rd_kafka_ConsumerGroupDescription_t **groups = result ? rd_kafka_DescribeConsumerGroups_result_groups(result, &count) : NULL;
	return count == 1 && !rd_kafka_ConsumerGroupDescription_error(groups[0]) ? groups[0] : NULL;
}

/* Number of tasks that nobody owns while the group is stable; -1 when the answer does not tell. */
static int32_t count_orphans(const struct leat_session *session, rd_kafka_event_t *event)
{
	const rd_kafka_ConsumerGroupDescription_t *group = group_of(event);
	if (!group || rd_kafka_ConsumerGroupDescription_state(group) != RD_KAFKA_CONSUMER_GROUP_STATE_STABLE)
		return -1;
	bool *owned = leat_calloc((size_t)session->config.tasks, sizeof *owned);
	if (!owned)
		return -1;
	for (size_t i = 0; i < rd_kafka_ConsumerGroupDescription_member_count(group); i++)
		mark_member(rd_kafka_ConsumerGroupDescription_member(group, i), session->kafka->tasks_topic, session->config.tasks, owned);
	int32_t orphans = 0;
	for (int32_t task = 0; task < session->config.tasks; task++)
		orphans += !owned[task];
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

static void judge(struct leat_session *session, int32_t orphans)
{
	session->watch_ms = orphans != 0 ? kafka_now_ms() + WATCH_AGAIN_MS : 0;
	if (orphans > 0 && session->orphans_seen++) {
		leat_log(LEAT_WARNING, "kafka: %d tasks of %s have no owner although its group is stable; joining anew", (int)orphans, session->kafka->application);
		join_again(session);
		session->orphans_seen = 0;
	}
}

void kafka_watch(struct leat_session *session)
{
	if (session->watch_asked) {
		rd_kafka_event_t *event = rd_kafka_queue_poll(session->watch_queue, 0);
		if (!event)
			return;
		/* An answer given before the latest change of the assignment says nothing about it. */
		if (kafka_now_ms() >= session->watch_ms)
			judge(session, count_orphans(session, event));
		session->watch_asked = false;
		rd_kafka_event_destroy(event);
	} else if (session->watch_ms != 0 && kafka_now_ms() >= session->watch_ms) {
		ask(session);
	}
}
