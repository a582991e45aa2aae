/*
 * gen: loads the reference workload's clickstream into a topic. The bytes depend on count, users, items and cover only; with a rate the events' time is the clock's instead.
 *   gen broker=HOST:PORT topic=NAME count=N [users=200000] [items=20000] [rate=EVENTS_PER_SECOND] [cover=1]
 * Avro behind the five-byte Confluent header, key: the user's number in decimals; one event in a hundred repeats the one before it.
 * cover=1: the first events belong to every user once, so that all the state there can be exists before the rest is measured.
 */
#include "bench/rp1/rp1.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct gen {
	uint64_t state;                      /* xorshift64 */
	int64_t users, items, cover;
	double rate, start_ms;
	uint8_t body[512];
	size_t length;                       /* of the event made last; 0: none yet */
	char key[32];
};

static uint64_t next(struct gen *gen)
{
	gen->state ^= gen->state << 13;
	gen->state ^= gen->state >> 7;
	gen->state ^= gen->state << 17;
	return gen->state;
}

/* A power law of exponent 1.05 by inversion: no rejection, so each event takes the same numbers from the sequence. */
static int64_t zipf(struct gen *gen, int64_t count)
{
	double uniform = (double)(next(gen) >> 11) * 0x1p-53, a = -0.05;
	int64_t rank = (int64_t)pow(uniform * (pow((double)count + 1, a) - 1) + 1, 1 / a) - 1;
	return rank < 0 ? 0 : rank >= count ? count - 1 : rank;
}

static uint8_t *write_text(uint8_t *at, const char *text)
{
	size_t length = strlen(text);
	at = rp1_write_long(at, (int64_t)length);
	memcpy(at, text, length);
	return at + length;
}

static int64_t time_of(struct gen *gen, int64_t number)
{
	if (gen->rate > 0)
		return (int64_t)rp1_now_ms();
	int64_t late = next(gen) % 50 == 0 ? (int64_t)(next(gen) % 60000) : 0;
	return 1760000000000 + number * 2 - late;
}

static uint8_t *write_price(uint8_t *at, int type, int64_t item)
{
	double price = 5 + (double)(item % 97) * 1.5;
	if (type == RP1_VIEW)
		return rp1_write_long(at, 0);
	at = rp1_write_long(at, 1);
	memcpy(at, &price, sizeof price);
	return at + sizeof price;
}

/* The order in which numbers are drawn is the workload: user, item, type, lateness, id, channel. */
static void make(struct gen *gen, int64_t number)
{
	static const char *const channels[] = { "search", "feed", "mail", "push", "social" };
	static const uint8_t header[RP1_HEADER] = { 0, 0, 0, 0, 1 };
	int64_t user = zipf(gen, gen->users), item = zipf(gen, gen->items);
	int percent = (int)(next(gen) % 100), type = percent < 90 ? RP1_VIEW : percent < 97 ? RP1_CART : RP1_PURCHASE;
	int64_t ts = time_of(gen, number);
	uint64_t high = next(gen), low = next(gen);
	char id[40], url[64];
	if (number < gen->cover)
		user = number * 2654435761 % gen->users;
	snprintf(id, sizeof id, "%08x-%04x-%04x-%04x-%012llx", (unsigned)high, (unsigned)(high >> 32) & 0xffff, (unsigned)(high >> 48), (unsigned)low & 0xffff, (unsigned long long)(low >> 16));
	snprintf(url, sizeof url, "/c/%d/item/%lld", (int)(item % 40), (long long)item);
	memcpy(gen->body, header, sizeof header);
	uint8_t *at = write_text(gen->body + sizeof header, id);
	at = rp1_write_long(at, user);
	at = rp1_write_long(at, item);
	at = rp1_write_long(at, type);
	at = rp1_write_long(at, ts);
	at = write_price(at, type, item);
	at = rp1_write_long(at, item % 40);
	at = write_text(at, channels[next(gen) % 5]);
	at = write_text(at, url);
	gen->length = (size_t)(at - gen->body);
	snprintf(gen->key, sizeof gen->key, "%lld", (long long)user);
}

static void wait_for_turn(const struct gen *gen, rd_kafka_t *producer, int64_t number)
{
	while (gen->rate > 0 && (rp1_now_ms() - gen->start_ms) / 1e3 < (double)number / gen->rate) {
		rd_kafka_poll(producer, 0);
		usleep(200);
	}
}

static void on_delivery(rd_kafka_t *producer, const rd_kafka_message_t *message, void *opaque)
{
	(void)producer, (void)opaque;
	if (message->err)
		rp1_die("delivery", rd_kafka_err2str(message->err));
}

static void produce(const struct gen *gen, rd_kafka_t *producer, rd_kafka_topic_t *topic)
{
	while (rd_kafka_produce(topic, RD_KAFKA_PARTITION_UA, RD_KAFKA_MSG_F_COPY, (void *)(uintptr_t)gen->body, gen->length, gen->key, strlen(gen->key), NULL) == -1) {
		if (rd_kafka_last_error() != RD_KAFKA_RESP_ERR__QUEUE_FULL)
			rp1_die("produce", rd_kafka_err2str(rd_kafka_last_error()));
		rd_kafka_poll(producer, 10);
	}
}

/* Until the client knows the topic's partitions, what is sent waits elsewhere and may be overtaken: the order would not be the same each time. */
static void know_partitions(rd_kafka_t *producer, rd_kafka_topic_t *topic)
{
	const struct rd_kafka_metadata *metadata;
	rd_kafka_resp_err_t err = rd_kafka_metadata(producer, 0, topic, &metadata, 15000);
	if (err || metadata->topic_cnt != 1 || metadata->topics[0].err)
		rp1_die(rd_kafka_topic_name(topic), rd_kafka_err2str(err ? err : metadata->topics[0].err));
	rd_kafka_metadata_destroy(metadata);
}

int main(int argc, char **argv)
{
	struct gen gen = { .state = 88172645463325252u };
	int64_t count = (int64_t)rp1_number(argc, argv, "count", 0);
	char why[512];
	gen.users = (int64_t)rp1_number(argc, argv, "users", 200000);
	gen.items = (int64_t)rp1_number(argc, argv, "items", 20000);
	gen.rate = rp1_number(argc, argv, "rate", 0);
	gen.cover = rp1_number(argc, argv, "cover", 0) > 0 ? gen.users : 0;
	const char *const settings[][2] = { { "queue.buffering.max.messages", "2000000" }, { "linger.ms", gen.rate > 0 ? "1" : "50" }, { "compression.type", "lz4" }, { "partitioner", "murmur2_random" }, { NULL, NULL } };
	rd_kafka_conf_t *conf = rp1_conf(rp1_option(argc, argv, "broker", "127.0.0.1:9092"), settings);
	rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
	rd_kafka_t *producer = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof why);
	if (!producer)
		rp1_die("producer", why);
	rd_kafka_topic_t *topic = rd_kafka_topic_new(producer, rp1_option(argc, argv, "topic", "rp-events"), NULL);
	know_partitions(producer, topic);
	gen.start_ms = rp1_now_ms();
	for (int64_t i = 0; i < count; i++) {
		wait_for_turn(&gen, producer, i);
		if (i < gen.cover || !gen.length || next(&gen) % 100)
			make(&gen, i);
		produce(&gen, producer, topic);
		if (!(i & 1023))
			rd_kafka_poll(producer, 0);
	}
	while (rd_kafka_outq_len(producer))
		rd_kafka_poll(producer, 100);
	double seconds = (rp1_now_ms() - gen.start_ms) / 1e3;
	printf("{\"events\":%lld,\"seconds\":%.2f,\"events_per_s\":%.0f}\n", (long long)count, seconds, (double)count / seconds);
	return 0;
}
