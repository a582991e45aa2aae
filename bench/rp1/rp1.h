/* What the tools of the reference workload share: options as name=value, Avro longs, the fields of an event, and a reader of a whole topic. A tool that cannot go on says why and ends. */
#ifndef BENCH_RP1_H
#define BENCH_RP1_H

#include <librdkafka/rdkafka.h>
#include <stddef.h>
#include <stdint.h>

#define RP1_HEADER 5                     /* Confluent: a zero and four bytes of schema id */

enum { RP1_VIEW, RP1_CART, RP1_PURCHASE };

struct rp1_event {
	const uint8_t *id;                   /* into the message */
	size_t id_length;
	uint64_t hash;                       /* of the id */
	int64_t user, item, type, ts, category;
	double price;                        /* 0 where there is none */
};

struct rp1_reader {
	rd_kafka_t *client;
	rd_kafka_queue_t *queue;
	int partitions;
};

/* What check writes and sink compares with: the ad that the reference chooses for an event. */
struct rp1_choice {
	uint64_t event;                      /* hash of its id */
	int64_t ad;
};

_Noreturn void rp1_die(const char *what, const char *why);
/* The value of name=value among the arguments, else @otherwise. */
const char *rp1_option(int argc, char **argv, const char *name, const char *otherwise);
double rp1_number(int argc, char **argv, const char *name, double otherwise);
double rp1_now_ms(void);

/* FNV-1a, with which all programs of the workload remember event ids. */
uint64_t rp1_hash(const uint8_t *bytes, size_t length);
uint64_t rp1_hash_on(uint64_t hash, const uint8_t *bytes, size_t length);
const uint8_t *rp1_read_long(const uint8_t *at, int64_t *value);
uint8_t *rp1_write_long(uint8_t *at, int64_t value);
/* @value: header and Avro body as gen wrote them; nothing is checked. */
void rp1_decode(const uint8_t *value, struct rp1_event *event);

rd_kafka_conf_t *rp1_conf(const char *broker, const char *const (*settings)[2]);
/* All partitions of @topic from their beginning. @settings end with a NULL name. */
void rp1_reader_open(struct rp1_reader *reader, const char *broker, const char *topic, const char *const (*settings)[2]);

#endif
