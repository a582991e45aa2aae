/*
 * topic: makes, removes or measures topics.
 *   topic create|delete|records broker=HOST:PORT name=NAME[,NAME...] [partitions=4] [cleanup.policy=compact]
 * records: how many have ever been written to the topics, transaction markers included.
 */
#include "bench/rp1/rp1.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TOPICS_MAX = 64, WAIT_MS = 30000 };

static rd_kafka_NewTopic_t *new_topic(const char *name, int partitions, const char *policy)
{
	char why[512];
	rd_kafka_NewTopic_t *topic = rd_kafka_NewTopic_new(name, partitions, 1, why, sizeof why);
	if (!topic)
		rp1_die(name, why);
	/* A bench that is taken up again weeks later still finds its events. */
	rd_kafka_NewTopic_set_config(topic, "retention.ms", "-1");
	if (policy)
		rd_kafka_NewTopic_set_config(topic, "cleanup.policy", policy);
	return topic;
}

static void check_results(const rd_kafka_topic_result_t **results, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		rd_kafka_resp_err_t err = rd_kafka_topic_result_error(results[i]);
		if (err && err != RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART)
			rp1_die(rd_kafka_topic_result_name(results[i]), rd_kafka_err2str(err));
	}
}

static void run(rd_kafka_t *client, int create, char **names, size_t count, int partitions, const char *policy)
{
	rd_kafka_queue_t *queue = rd_kafka_queue_new(client);
	rd_kafka_NewTopic_t *made[TOPICS_MAX];
	rd_kafka_DeleteTopic_t *gone[TOPICS_MAX];
	for (size_t i = 0; i < count; i++) {
		if (create)
			made[i] = new_topic(names[i], partitions, policy);
		else
			gone[i] = rd_kafka_DeleteTopic_new(names[i]);
	}
	if (create)
		rd_kafka_CreateTopics(client, made, count, NULL, queue);
	else
		rd_kafka_DeleteTopics(client, gone, count, NULL, queue);
	rd_kafka_event_t *event = rd_kafka_queue_poll(queue, WAIT_MS);
	if (!event || rd_kafka_event_error(event))
		rp1_die(create ? "create" : "delete", event ? rd_kafka_event_error_string(event) : "no answer");
	size_t answers = 0;
	const rd_kafka_topic_result_t **results = create ? rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &answers)
	                                                 : rd_kafka_DeleteTopics_result_topics(rd_kafka_event_DeleteTopics_result(event), &answers);
	check_results(results, answers);
}

/* A topic that is not there has no records. */
static long long records_of(rd_kafka_t *client, const char *name)
{
	const struct rd_kafka_metadata *metadata;
	long long records = 0;
	int64_t low, high;
	if (rd_kafka_metadata(client, 0, rd_kafka_topic_new(client, name, NULL), &metadata, WAIT_MS))
		rp1_die(name, "no metadata");
	for (int i = 0; i < metadata->topics[0].partition_cnt; i++)
		if (!rd_kafka_query_watermark_offsets(client, name, i, &low, &high, WAIT_MS))
			records += high;
	rd_kafka_metadata_destroy(metadata);
	return records;
}

int main(int argc, char **argv)
{
	static const char *const settings[][2] = { { NULL, NULL } };
	char why[512], *names[TOPICS_MAX], *rest = NULL;
	size_t count = 0;
	if (argc < 2 || (strcmp(argv[1], "create") != 0 && strcmp(argv[1], "delete") != 0 && strcmp(argv[1], "records") != 0))
		rp1_die("usage", "topic create|delete|records broker=HOST:PORT name=NAME[,NAME...] [partitions=4] [cleanup.policy=compact]");
	rd_kafka_t *client = rd_kafka_new(RD_KAFKA_PRODUCER, rp1_conf(rp1_option(argc, argv, "broker", "127.0.0.1:9092"), settings), why, sizeof why);
	if (!client)
		rp1_die("client", why);
	char *list = strdup(rp1_option(argc, argv, "name", ""));
	for (char *name = strtok_r(list, ",", &rest); name && count < TOPICS_MAX; name = strtok_r(NULL, ",", &rest))
		names[count++] = name;
	if (strcmp(argv[1], "records") == 0) {
		long long records = 0;
		for (size_t i = 0; i < count; i++)
			records += records_of(client, names[i]);
		printf("%lld\n", records);
		return 0;
	}
	run(client, strcmp(argv[1], "create") == 0, names, count, (int)rp1_number(argc, argv, "partitions", 4), rp1_option(argc, argv, "cleanup.policy", NULL));
	return 0;
}
