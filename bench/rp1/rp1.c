/* What the tools of the reference workload share. */
#include "bench/rp1/rp1.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

void rp1_die(const char *what, const char *why)
{
	fprintf(stderr, "%s: %s\n", what, why);
	exit(1);
}

const char *rp1_option(int argc, char **argv, const char *name, const char *otherwise)
{
	size_t length = strlen(name);
	for (int i = 1; i < argc; i++)
		if (strncmp(argv[i], name, length) == 0 && argv[i][length] == '=')
			return argv[i] + length + 1;
	return otherwise;
}

double rp1_number(int argc, char **argv, const char *name, double otherwise)
{
	const char *text = rp1_option(argc, argv, name, NULL);
	char *end;
	double number = text ? strtod(text, &end) : otherwise;
	if (text && (end == text || *end))
		rp1_die(name, "not a number");
	return number;
}

double rp1_now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	return (double)now.tv_sec * 1e3 + (double)now.tv_nsec * 1e-6;
}

uint64_t rp1_hash_on(uint64_t hash, const uint8_t *bytes, size_t length)
{
	for (size_t i = 0; i < length; i++)
		hash = (hash ^ bytes[i]) * 1099511628211u;
	return hash;
}

uint64_t rp1_hash(const uint8_t *bytes, size_t length)
{
	return rp1_hash_on(14695981039346656037u, bytes, length);
}

const uint8_t *rp1_read_long(const uint8_t *at, int64_t *value)
{
	uint64_t bits = 0;
	int shift = 0;
	for (; *at & 128; shift += 7)
		bits |= (uint64_t)(*at++ & 127) << shift;
	bits |= (uint64_t)*at++ << shift;
	*value = (int64_t)(bits >> 1) ^ -(int64_t)(bits & 1);
	return at;
}

uint8_t *rp1_write_long(uint8_t *at, int64_t value)
{
	uint64_t bits = ((uint64_t)value << 1) ^ (uint64_t)(value >> 63);
	for (; bits > 127; bits >>= 7)
		*at++ = (uint8_t)(bits | 128);
	*at++ = (uint8_t)bits;
	return at;
}

void rp1_decode(const uint8_t *value, struct rp1_event *event)
{
	int64_t length, branch;
	const uint8_t *at = rp1_read_long(value + RP1_HEADER, &length);
	event->id = at;
	event->id_length = (size_t)length;
	event->hash = rp1_hash(at, (size_t)length);
	at = rp1_read_long(at + length, &event->user);
	at = rp1_read_long(at, &event->item);
	at = rp1_read_long(at, &event->type);
	at = rp1_read_long(at, &event->ts);
	at = rp1_read_long(at, &branch);
	event->price = 0;
	if (branch) {
		memcpy(&event->price, at, sizeof event->price);
		at += sizeof event->price;
	}
	rp1_read_long(at, &event->category);
}

rd_kafka_conf_t *rp1_conf(const char *broker, const char *const (*settings)[2])
{
	char why[512];
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	if (rd_kafka_conf_set(conf, "bootstrap.servers", broker, why, sizeof why) != RD_KAFKA_CONF_OK)
		rp1_die("bootstrap.servers", why);
	for (; (*settings)[0]; settings++)
		if (rd_kafka_conf_set(conf, (*settings)[0], (*settings)[1], why, sizeof why) != RD_KAFKA_CONF_OK)
			rp1_die((*settings)[0], why);
	return conf;
}

void rp1_reader_open(struct rp1_reader *reader, const char *broker, const char *topic, const char *const (*settings)[2])
{
	char why[512];
	const struct rd_kafka_metadata *metadata;
	rd_kafka_resp_err_t err;
	reader->client = rd_kafka_new(RD_KAFKA_CONSUMER, rp1_conf(broker, settings), why, sizeof why);
	if (!reader->client)
		rp1_die("consumer", why);
	rd_kafka_poll_set_consumer(reader->client);
	err = rd_kafka_metadata(reader->client, 0, rd_kafka_topic_new(reader->client, topic, NULL), &metadata, 15000);
	if (err || metadata->topic_cnt != 1 || metadata->topics[0].err)
		rp1_die(topic, rd_kafka_err2str(err ? err : metadata->topics[0].err));
	reader->partitions = metadata->topics[0].partition_cnt;
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(reader->partitions);
	for (int i = 0; i < reader->partitions; i++)
		rd_kafka_topic_partition_list_add(list, topic, i)->offset = RD_KAFKA_OFFSET_BEGINNING;
	rd_kafka_assign(reader->client, list);
	rd_kafka_topic_partition_list_destroy(list);
	rd_kafka_metadata_destroy(metadata);
	reader->queue = rd_kafka_queue_get_consumer(reader->client);
}
