/* Topics: counting, creating, bounds, trimming. Blocking calls with a time-out, from any thread. */
#include "stream/kafka_internal.h"

#include <poll.h>

static rd_kafka_t *client_of(struct leat_transport *transport, struct leat_fault *fault, int *rc)
{
	rd_kafka_t *rk = NULL;
	*rc = kafka_reading_client((struct leat_kafka *)transport, &rk, fault);
	return rk;
}

/* Partitions of @topic and brokers of the cluster; LEAT_ENOTFOUND without creating it. */
static int ask(rd_kafka_t *rk, const char *topic, int timeout_ms, int32_t *partitions, int *brokers, struct leat_fault *fault)
{
	const struct rd_kafka_metadata *metadata = NULL;
	rd_kafka_topic_t *handle = rd_kafka_topic_new(rk, topic, NULL);
	if (!handle)
		return kafka_fail(fault, rd_kafka_last_error(), "topic %s", topic);
	rd_kafka_resp_err_t err = rd_kafka_metadata(rk, 0, handle, &metadata, timeout_ms);
	rd_kafka_topic_destroy(handle);
	if (!err && metadata->topic_cnt == 1)
		err = metadata->topics[0].err;
	int rc = err ? kafka_fail(fault, err, "topic %s", topic) : 0;
	if (rc == 0 && metadata->topics[0].partition_cnt == 0)
		rc = kafka_fail(fault, RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, "topic %s", topic);
	if (metadata) {
		if (rc == 0 && partitions)
			*partitions = metadata->topics[0].partition_cnt;
		if (brokers)
			*brokers = metadata->broker_cnt;
		rd_kafka_metadata_destroy(metadata);
	}
	return rc;
}

int kafka_partitions(struct leat_transport *transport, const char *topic, int32_t *count, struct leat_fault *fault)
{
	int rc;
	struct leat_kafka *kafka = (struct leat_kafka *)transport;
	rd_kafka_t *rk = client_of(transport, fault, &rc);
	if (!rk)
		return rc;
	rc = ask(rk, topic, atomic_load(&kafka->reached) ? KAFKA_ADMIN_MS : KAFKA_TRY_MS, count, NULL, fault);
	while (rd_kafka_poll(rk, 0) > 0)     /* its errors, one of which may be the cause */
		;
	if (rc >= 0 || rc == LEAT_ENOTFOUND)
		atomic_store(&kafka->reached, true);
	else if (rc == LEAT_ERETRY && !atomic_load(&kafka->reached)) {
		char cause[sizeof kafka->cause + 2];
		kafka_cause(kafka, cause, sizeof cause);
		leat_fail(fault, rc, "cannot reach Kafka at %s%s", kafka->brokers, cause);
	}
	return rc;
}

/* ---- creating ---- */

static bool has_config(const struct leat_topic_spec *spec, const char *key)
{
	for (size_t i = 0; spec->config && spec->config[i].key; i++)
		if (strcmp(spec->config[i].key, key) == 0)
			return true;
	return false;
}

static rd_kafka_resp_err_t configure(rd_kafka_NewTopic_t *new_topic, const struct leat_topic_spec *spec, int replication)
{
	rd_kafka_resp_err_t err = RD_KAFKA_RESP_ERR_NO_ERROR;
	char retention[32];
	snprintf(retention, sizeof retention, "%lld", (long long)spec->retention_ms);
	if (spec->compacted)
		err = rd_kafka_NewTopic_set_config(new_topic, "cleanup.policy", "compact");
	if (!err && spec->retention_ms != 0)
		err = rd_kafka_NewTopic_set_config(new_topic, "retention.ms", retention);
	if (!err && spec->internal && replication >= 3 && !has_config(spec, "min.insync.replicas"))
		err = rd_kafka_NewTopic_set_config(new_topic, "min.insync.replicas", "2");
	for (size_t i = 0; !err && spec->config && spec->config[i].key; i++)
		err = rd_kafka_NewTopic_set_config(new_topic, spec->config[i].key, spec->config[i].value);
	return err;
}

/* What the broker answered to the only topic of a request. */
static int read_answer(rd_kafka_event_t *event, const char *topic, struct leat_fault *fault)
{
	if (!event)
		return kafka_fail(fault, RD_KAFKA_RESP_ERR__TIMED_OUT, "creating topic %s", topic);
	size_t count = 0;
	rd_kafka_resp_err_t err = rd_kafka_event_error(event);
	const char *text = rd_kafka_event_error_string(event);
	const rd_kafka_CreateTopics_result_t *result = err ? NULL : rd_kafka_event_CreateTopics_result(event);
	const rd_kafka_topic_result_t **topics = result ? rd_kafka_CreateTopics_result_topics(result, &count) : NULL;
	if (count == 1) {
		err = rd_kafka_topic_result_error(topics[0]);
		text = rd_kafka_topic_result_error_string(topics[0]);
	}
	if (!err)
		return 1;
	if (err == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS)
		return 0;
	int rc = kafka_fail(fault, err, "creating topic %s", topic);
	return leat_fail(fault, rc, "creating topic %s: %s", topic, text ? text : rd_kafka_err2str(err));
}

static int request_topic(rd_kafka_t *rk, const struct leat_topic_spec *spec, int replication, struct leat_fault *fault)
{
	char text[256] = "";
	rd_kafka_NewTopic_t *new_topic = rd_kafka_NewTopic_new(spec->name, spec->partitions > 0 ? spec->partitions : 1, replication, text, sizeof text);
	if (!new_topic)
		return leat_fail(fault, LEAT_ECONFIG, "topic %s: %s", spec->name, text);
	rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
	rd_kafka_AdminOptions_t *options = rd_kafka_AdminOptions_new(rk, RD_KAFKA_ADMIN_OP_CREATETOPICS);
	rd_kafka_AdminOptions_set_request_timeout(options, KAFKA_ADMIN_MS, text, sizeof text);
	rd_kafka_AdminOptions_set_operation_timeout(options, KAFKA_ADMIN_MS - 500, text, sizeof text);
	rd_kafka_resp_err_t err = configure(new_topic, spec, replication);
	int rc;
	if (err) {
		rc = leat_fail(fault, LEAT_ECONFIG, "topic %s: its settings are not valid", spec->name);
	} else {
		rd_kafka_CreateTopics(rk, &new_topic, 1, options, queue);
		rd_kafka_event_t *event = rd_kafka_queue_poll(queue, KAFKA_ADMIN_MS + 1000);
		rc = read_answer(event, spec->name, fault);
		if (event)
			rd_kafka_event_destroy(event);
	}
	rd_kafka_AdminOptions_destroy(options);
	rd_kafka_queue_destroy(queue);
	rd_kafka_NewTopic_destroy(new_topic);
	return rc;
}

static int check_count(const struct leat_topic_spec *spec, int32_t there, struct leat_fault *fault)
{
	if (spec->partitions <= 0 || there == spec->partitions)
		return 0;
	return leat_fail(fault, LEAT_ECONFIG, "topic %s has %d partitions, %d are needed", spec->name, (int)there, (int)spec->partitions);
}

static int create_with(rd_kafka_t *rk, const struct leat_topic_spec *spec, int timeout_ms, struct leat_fault *fault)
{
	static const char warned;
	int32_t there = 0;
	int brokers = 1;
	int rc = ask(rk, spec->name, timeout_ms, &there, &brokers, fault);
	if (rc == 0)
		return check_count(spec, there, fault);
	if (rc != LEAT_ENOTFOUND)
		return rc;
	int replication = spec->replication > 0 ? spec->replication : LEAT_MAX(1, LEAT_MIN(3, brokers));
	if (replication < 3)
		leat_log_seldom(LEAT_WARNING, &warned, 60000, "kafka: topic %s gets replication factor %d; below 3 the loss of a broker may lose data", spec->name, replication);
	int created = request_topic(rk, spec, replication, fault);
	if (created < 0)
		return created;
	int64_t deadline = kafka_now_ms() + KAFKA_ADMIN_MS;   /* brokers learn of it one after the other */
	while ((rc = ask(rk, spec->name, timeout_ms, &there, NULL, fault)) == LEAT_ENOTFOUND || rc == LEAT_ERETRY) {
		if (kafka_left_ms(deadline) == 0)
			return leat_fail(fault, LEAT_ERETRY, "topic %s is made, but the broker does not know it yet", spec->name);
		poll(NULL, 0, KAFKA_PAUSE_MS);
	}
	if (rc == 0)
		rc = check_count(spec, there, fault);
	return rc < 0 ? rc : created;
}

int kafka_create(struct leat_transport *transport, const struct leat_topic_spec *spec, struct leat_fault *fault)
{
	int rc;
	rd_kafka_t *rk = client_of(transport, fault, &rc);
	return rk ? create_with(rk, spec, KAFKA_ADMIN_MS, fault) : rc;
}

int kafka_tasks_topic(struct leat_kafka *kafka, rd_kafka_t *rk, int32_t tasks, struct leat_fault *fault)
{
	struct leat_topic_spec spec = { .name = kafka->tasks_topic, .partitions = tasks, .compacted = true, .internal = true };
	int rc = create_with(rk, &spec, KAFKA_TRY_MS, fault);
	return rc > 0 ? 0 : rc;
}

/* ---- bounds and trimming ---- */

int kafka_bounds(struct leat_transport *transport, const char *topic, int32_t partition, int64_t *first, int64_t *end, struct leat_fault *fault)
{
	int rc;
	rd_kafka_t *rk = client_of(transport, fault, &rc);
	if (!rk)
		return rc;
	rd_kafka_resp_err_t err = rd_kafka_query_watermark_offsets(rk, topic, partition, first, end, KAFKA_ADMIN_MS);
	return err ? kafka_fail(fault, err, "%s [%d]: asking for its bounds", topic, (int)partition) : 0;
}

static int read_trim(rd_kafka_event_t *event, const char *topic, int32_t partition, struct leat_fault *fault)
{
	if (!event)
		return kafka_fail(fault, RD_KAFKA_RESP_ERR__TIMED_OUT, "%s [%d]: deleting records", topic, (int)partition);
	rd_kafka_resp_err_t err = rd_kafka_event_error(event);
	const rd_kafka_DeleteRecords_result_t *result = err ? NULL : rd_kafka_event_DeleteRecords_result(event);
	const rd_kafka_topic_partition_list_t *offsets = result ? rd_kafka_DeleteRecords_result_offsets(result) : NULL;
	if (offsets && offsets->cnt == 1)
		err = offsets->elems[0].err;
	return err ? kafka_fail(fault, err, "%s [%d]: deleting records", topic, (int)partition) : 0;
}

int kafka_trim(struct leat_transport *transport, const char *topic, int32_t partition, int64_t offset, struct leat_fault *fault)
{
	int rc;
	char text[256];
	rd_kafka_t *rk = client_of(transport, fault, &rc);
	if (!rk)
		return rc;
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
	rd_kafka_topic_partition_list_add(list, topic, partition)->offset = offset;
	rd_kafka_DeleteRecords_t *request = rd_kafka_DeleteRecords_new(list);
	rd_kafka_AdminOptions_t *options = rd_kafka_AdminOptions_new(rk, RD_KAFKA_ADMIN_OP_DELETERECORDS);
	rd_kafka_AdminOptions_set_request_timeout(options, KAFKA_ADMIN_MS, text, sizeof text);
	rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
	rd_kafka_DeleteRecords(rk, &request, 1, options, queue);
	rd_kafka_event_t *event = rd_kafka_queue_poll(queue, KAFKA_ADMIN_MS + 1000);
	rc = read_trim(event, topic, partition, fault);
	if (event)
		rd_kafka_event_destroy(event);
	rd_kafka_queue_destroy(queue);
	rd_kafka_AdminOptions_destroy(options);
	rd_kafka_DeleteRecords_destroy(request);
	rd_kafka_topic_partition_list_destroy(list);
	return rc;
}
