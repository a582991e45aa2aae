/* Plain readers: one partition, no group; readers of different partitions share a client, since a client costs four threads and a connection. */
#include "stream/kafka_internal.h"

struct leat_reader {
	struct leat_reader *next;
	struct leat_kafka *kafka;
	struct kafka_client *client;
	size_t shown;                 /* by the last call; released by the next */
	struct kafka_inlet inlet;
};

/* kafka->lock is held. */
static struct kafka_client *add_client(struct leat_kafka *kafka, struct leat_fault *fault)
{
	struct kafka_client *client = leat_calloc(1, sizeof *client);
	if (!client) {
		leat_fail(fault, LEAT_ENOMEM, "out of memory");
		return NULL;
	}
	if (kafka_client_new(kafka, KAFKA_READER, NULL, &client->rk, fault) != 0) {
		leat_free(client);
		return NULL;
	}
	struct kafka_client **end = &kafka->clients;
	while (*end)
		end = &(*end)->next;
	return *end = client;
}

static bool reads(const struct kafka_client *client, const char *topic, int32_t partition)
{
	for (const struct leat_reader *reader = client->readers; reader; reader = reader->next)
		if (reader->inlet.partition == partition && strcmp(reader->inlet.name, topic) == 0)
			return true;
	return false;
}

int kafka_reading_client(struct leat_kafka *kafka, rd_kafka_t **out, struct leat_fault *fault)
{
	pthread_mutex_lock(&kafka->lock);
	struct kafka_client *client = kafka->clients ? kafka->clients : add_client(kafka, fault);
	pthread_mutex_unlock(&kafka->lock);
	*out = client ? client->rk : NULL;
	return client ? 0 : fault && fault->code ? fault->code : LEAT_ENOMEM;
}

static int attach(struct leat_reader *reader, const char *topic, int32_t partition, int64_t offset, struct leat_fault *fault)
{
	struct leat_kafka *kafka = reader->kafka;
	struct leat_fault mine = { 0 };
	pthread_mutex_lock(&kafka->lock);
	struct kafka_client *client = kafka->clients;
	while (client && reads(client, topic, partition))
		client = client->next;
	if (!client)
		client = add_client(kafka, &mine);
	int rc = client ? kafka_inlet_start(&reader->inlet, client->rk, topic, partition, offset, -1, &mine) : mine.code;
	if (rc == 0) {
		reader->client = client;
		reader->next = client->readers;
		client->readers = reader;
	} else if (fault) {
		*fault = mine;
	}
	pthread_mutex_unlock(&kafka->lock);
	return rc;
}

int kafka_reader_open(struct leat_transport *transport, const char *topic, int32_t partition, int64_t offset, struct leat_reader **out, struct leat_fault *fault)
{
	struct leat_reader *reader = leat_calloc(1, sizeof *reader);
	*out = NULL;
	if (!reader)
		return leat_fail(fault, LEAT_ENOMEM, "out of memory");
	reader->kafka = (struct leat_kafka *)transport;
	int rc = attach(reader, topic, partition, offset, fault);
	if (rc == 0) {
		reader->inlet.limit_records = kafka_needs_nudges() ? KAFKA_READER_RECORDS : 0;
		reader->inlet.limit_bytes = KAFKA_READER_BYTES;
		*out = reader;
	} else {
		kafka_reader_close(reader);
	}
	return rc;
}

long kafka_reader_next(struct leat_reader *reader, const struct leat_record **records, size_t max, int64_t timeout_ms, bool *at_end, int64_t *position, struct leat_fault *fault)
{
	struct kafka_inlet *inlet = &reader->inlet;
	kafka_inlet_release(inlet, reader->shown);
	reader->shown = 0;
	int64_t deadline = kafka_now_ms() + timeout_ms;
	bool tailing = inlet->at_end;      /* the caller knows of the end already and wants what comes after it */
	bool nudge = kafka_inlet_fill(inlet);
	while (inlet->count == 0 && inlet->rc == 0 && (tailing || !inlet->at_end) && kafka_left_ms(deadline) > 0)
		nudge |= kafka_inlet_wait(inlet, kafka_left_ms(deadline));
	if (nudge)
		kafka_nudge(inlet->rk, inlet->name, inlet->partition);
	long count = kafka_inlet_shown(inlet, records, at_end, fault);
	if (count < 0)
		return count;
	reader->shown = LEAT_MIN((size_t)count, max);
	if (reader->shown < inlet->count)
		*at_end = false;
	*position = reader->shown < inlet->count ? inlet->records[inlet->first + reader->shown].offset : inlet->next;
	return (long)reader->shown;
}

void kafka_reader_close(struct leat_reader *reader)
{
	if (!reader)
		return;
	pthread_mutex_lock(&reader->kafka->lock);   /* so that nobody starts on this partition before it has stopped */
	kafka_inlet_stop(&reader->inlet);
	if (reader->client) {
		struct leat_reader **at = &reader->client->readers;
		while (*at != reader)
			at = &(*at)->next;
		*at = reader->next;
	}
	pthread_mutex_unlock(&reader->kafka->lock);
	leat_free(reader);
}
