/* Moving a committed offset of the group by hand. The broker takes it from outside only while the group has no member. */
#include "stream/kafka_internal.h"

/* Waits for a transaction that a dead owner left open: the broker ends it after its time-out. */
static int committed(rd_kafka_t *rk, const char *topic, int32_t partition, int64_t *offset, struct leat_fault *fault)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
	const rd_kafka_topic_partition_t *one = rd_kafka_topic_partition_list_add(list, topic, partition);
	rd_kafka_resp_err_t err = rd_kafka_committed(rk, list, 2 * KAFKA_ADMIN_MS);
	if (!err)
		err = one->err;
	*offset = one->offset;
	rd_kafka_topic_partition_list_destroy(list);
	return err ? kafka_fail(fault, err, "the committed offset of %s [%d]", topic, (int)partition) : 0;
}

static int commit(rd_kafka_t *rk, const struct leat_kafka *kafka, const struct leat_position *position, const char *metadata, struct leat_fault *fault)
{
	char text[KAFKA_METADATA_MAX];
	int length = snprintf(text, sizeof text, "|%s", metadata);      /* no owner whose transaction could be ended */
	if (length < 0 || (size_t)length >= sizeof text)
		return leat_fail(fault, LEAT_ELIMIT, "the metadata of a position is longer than %zu bytes", sizeof text - 1);
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
	rd_kafka_topic_partition_t *one = rd_kafka_topic_partition_list_add(list, position->topic, position->partition);
	one->offset = position->offset;
	one->metadata = rd_kafka_mem_malloc(NULL, (size_t)length);      /* the list frees it */
	memcpy(one->metadata, text, (size_t)length);
	one->metadata_size = (size_t)length;
	rd_kafka_resp_err_t err = rd_kafka_commit(rk, list, 0);
	if (!err)
		err = one->err;
	rd_kafka_topic_partition_list_destroy(list);
	if (err == RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID || err == RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION || err == RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS)
		return leat_fail(fault, LEAT_EBUSY, "an instance of '%s' is running, or ended less than its session time-out (6 s) ago; stop it first", kafka->application);
	return err ? kafka_fail(fault, err, "moving %s [%d]", position->topic, (int)position->partition) : 0;
}

int kafka_position_set(struct leat_transport *transport, const char *topic, int32_t partition, int64_t offset, const char *metadata, struct leat_fault *fault)
{
	struct leat_kafka *kafka = (struct leat_kafka *)transport;
	const struct leat_position position = { topic, partition, offset };
	rd_kafka_t *rk;
	int64_t before;
	LEAT_TRY(kafka_client_new(kafka, KAFKA_GROUP, NULL, &rk, fault));
	int rc = committed(rk, topic, partition, &before, fault);
	if (rc == 0 && offset <= before)
		rc = leat_fail(fault, LEAT_ECONFIG, "%s[%d] is processed up to %lld already", topic, (int)partition, (long long)before - 1);
	if (rc == 0)
		rc = commit(rk, kafka, &position, metadata, fault);
	kafka_dispose(kafka, rk);
	return rc;
}
