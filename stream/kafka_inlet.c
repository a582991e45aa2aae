/*
 * Inlet: one partition being read through librdkafka's plain consumer, from an explicit offset to the end and on. Records are views into librdkafka's own
 * messages, so nothing is copied. There is no pause, resume or seek: a partition whose records nobody takes fills its own queue up to a bound, librdkafka
 * stops fetching it, and goes on when there is room. That is why taking them in batches is safe here.
 */
#include "stream/kafka_internal.h"

enum { NUDGE_MS = 200 };

bool kafka_needs_nudges(void)
{
	return rd_kafka_version() < 0x02020000;
}

void kafka_nudge(rd_kafka_t *rk, const char *topic, int32_t partition)
{
	int64_t first, end;
	rd_kafka_query_watermark_offsets(rk, topic, partition, &first, &end, NUDGE_MS);
}

static _Thread_local struct kafka_inlet *filling;

/* librdkafka tells of a partition that is gone by this callback, from within the taking from the partition's own queue. */
void kafka_inlet_error(rd_kafka_t *rk, int code, const char *reason, void *opaque)
{
	static const char key;
	struct kafka_inlet *inlet = filling;
	(void)opaque;
	if (inlet && inlet->rc == 0 && (code == RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION || code == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC || code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART))
		inlet->rc = kafka_fail(&inlet->fault, (rd_kafka_resp_err_t)code, "%s [%d]: deleted, perhaps to be made again", inlet->name, (int)inlet->partition);
	else
		leat_log_seldom(LEAT_WARNING, &key, 10000, "kafka consumer %s: %s: %s", rd_kafka_name(rk), rd_kafka_err2name(code), reason);
}

int kafka_inlet_start(struct kafka_inlet *inlet, rd_kafka_t *rk, const char *topic, int32_t partition, int64_t offset, int wake_fd, struct leat_fault *fault)
{
	static const uint64_t one = 1;
	inlet->rk = rk;
	inlet->partition = partition;
	inlet->next = LEAT_MAX(offset, (int64_t)0);
	inlet->name = leat_strdup(topic);
	if (!inlet->name)
		return leat_fail(fault, LEAT_ENOMEM, "out of memory");
	inlet->topic = rd_kafka_topic_new(rk, topic, NULL);
	if (!inlet->topic)
		return kafka_fail(fault, rd_kafka_last_error(), "cannot read %s", topic);
	inlet->queue = rd_kafka_queue_new(rk);
	if (wake_fd >= 0)
		rd_kafka_queue_io_event_enable(inlet->queue, wake_fd, &one, sizeof one);
	if (rd_kafka_consume_start_queue(inlet->topic, partition, offset < 0 ? RD_KAFKA_OFFSET_BEGINNING : offset, inlet->queue) == 0)
		return 0;
	int rc = kafka_fail(fault, rd_kafka_last_error(), "cannot read %s [%d] from offset %lld", topic, (int)partition, (long long)offset);
	rd_kafka_queue_destroy(inlet->queue);
	inlet->queue = NULL;
	return rc;
}

void kafka_inlet_stop(struct kafka_inlet *inlet)
{
	kafka_inlet_release(inlet, inlet->count);
	if (inlet->queue) {
		rd_kafka_queue_io_event_enable(inlet->queue, -1, NULL, 0);
		rd_kafka_consume_stop(inlet->topic, inlet->partition);
		rd_kafka_queue_destroy(inlet->queue);
	}
	if (inlet->topic)
		rd_kafka_topic_destroy(inlet->topic);
	leat_free(inlet->name);
	inlet->queue = NULL;
	inlet->topic = NULL;
	inlet->name = NULL;
}

/* The headers of @message as an array in @out; none: 0. */
static int copy_headers(const rd_kafka_message_t *message, struct leat_header **out, uint32_t *count)
{
	rd_kafka_headers_t *theirs = NULL;
	*out = NULL;
	*count = 0;
	if (rd_kafka_message_headers(message, &theirs) != RD_KAFKA_RESP_ERR_NO_ERROR)
		return 0;
	size_t number = rd_kafka_header_cnt(theirs);
	struct leat_header *headers = leat_calloc(number, sizeof *headers);
	if (!headers)
		return LEAT_ENOMEM;
	for (size_t i = 0; i < number; i++) {
		const char *name = NULL;
		const void *value = NULL;
		size_t size = 0;
		if (rd_kafka_header_get_all(theirs, i, &name, &value, &size) != RD_KAFKA_RESP_ERR_NO_ERROR)
			break;
		headers[i].name = leat_text(name);
		headers[i].value = leat_bytes(value, size);
	}
	*out = headers;
	*count = (uint32_t)number;
	return 0;
}

static int show(struct kafka_inlet *inlet, size_t at, rd_kafka_message_t *message)
{
	struct leat_record *record = &inlet->records[at];
	rd_kafka_timestamp_type_t kind;
	uint32_t header_count;
	LEAT_TRY(copy_headers(message, &inlet->headers[at], &header_count));
	*record = (struct leat_record){
		.offset = message->offset,
		.timestamp_ms = rd_kafka_message_timestamp(message, &kind),
		.key = leat_bytes(message->key, message->key ? message->key_len : 0),
		.value = leat_bytes(message->payload, message->payload ? message->len : 0),
		.headers = inlet->headers[at],
		.header_count = header_count,
	};
	record->wire_size = record->key.length + record->value.length;
	for (uint32_t i = 0; i < header_count; i++)
		record->wire_size += record->headers[i].name.length + record->headers[i].value.length;
	inlet->messages[at] = message;
	return 0;
}

/* What a message that is no record says. Only what ends the reading is kept; the rest librdkafka retries by itself. */
static void take_event(struct kafka_inlet *inlet, const rd_kafka_message_t *message)
{
	long long offset = (long long)(message->offset >= 0 ? message->offset : inlet->next);
	switch (message->err) {
	case RD_KAFKA_RESP_ERR__PARTITION_EOF:
		inlet->at_end = true;
		inlet->next = LEAT_MAX(inlet->next, message->offset);
		break;
	case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
	case RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE:
		inlet->rc = leat_fail(&inlet->fault, LEAT_EGAP, "%s [%d]: offset %lld is no longer there, or not yet", inlet->name, (int)inlet->partition, offset);
		break;
	case RD_KAFKA_RESP_ERR__BAD_MSG:
	case RD_KAFKA_RESP_ERR__BAD_COMPRESSION:
	case RD_KAFKA_RESP_ERR__NOT_IMPLEMENTED:
	case RD_KAFKA_RESP_ERR_INVALID_MSG:
		inlet->rc = leat_fail(&inlet->fault, LEAT_ECORRUPT, "%s [%d]: the batch at offset %lld is damaged: %s", inlet->name, (int)inlet->partition, offset, rd_kafka_message_errstr(message));
		break;
	case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
	case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
	case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
	case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
		inlet->rc = kafka_fail(&inlet->fault, message->err, "%s [%d]", inlet->name, (int)inlet->partition);
		break;
	default:
		leat_log_seldom(LEAT_WARNING, inlet, 10000, "kafka: %s [%d]: %s", inlet->name, (int)inlet->partition, rd_kafka_message_errstr(message));
	}
}

/* Takes @message over. True: it is shown now. */
static bool take_message(struct kafka_inlet *inlet, rd_kafka_message_t *message)
{
	if (message->err) {
		if (inlet->rc == 0)
			take_event(inlet, message);
	} else if (inlet->rc == 0 && message->offset >= inlet->next) {   /* 2.0.2 may deliver a record again after a change of leader */
		inlet->rc = show(inlet, inlet->first + inlet->count, message);
		if (inlet->rc == 0) {
			inlet->count++;
			inlet->next = message->offset + 1;
			inlet->at_end = false;
			return true;
		}
		leat_fail(&inlet->fault, inlet->rc, "out of memory");
	}
	rd_kafka_message_destroy(message);
	return false;
}

/* Keeps room for a whole batch behind what is shown. */
static void make_room(struct kafka_inlet *inlet)
{
	if (inlet->first + LEAT_BATCH_MAX <= KAFKA_INLET_ROOM)
		return;
	memmove(inlet->messages, inlet->messages + inlet->first, inlet->count * sizeof *inlet->messages);
	memmove(inlet->records, inlet->records + inlet->first, inlet->count * sizeof *inlet->records);
	memmove(inlet->headers, inlet->headers + inlet->first, inlet->count * sizeof *inlet->headers);
	inlet->first = 0;
}

/* Was librdkafka's queue full, so that it stopped fetching, and is there room again? */
static bool drained(struct kafka_inlet *inlet, size_t before, size_t left)
{
	if (!inlet->limit_records)
		return false;
	if (before >= (size_t)inlet->limit_records || before * inlet->mean_bytes >= inlet->limit_bytes)
		inlet->full_at = LEAT_MAX(inlet->full_at, before);
	if (inlet->full_at == 0 || left > inlet->full_at / 4)
		return false;
	inlet->full_at = 0;
	return true;
}

static bool fill(struct kafka_inlet *inlet, int64_t wait_ms)
{
	make_room(inlet);
	rd_kafka_message_t **room = inlet->messages + inlet->first + inlet->count;
	size_t free_slots = LEAT_BATCH_MAX - inlet->count;
	size_t before = rd_kafka_queue_length(inlet->queue);
	if (inlet->rc != 0 || free_slots == 0 || (before == 0 && wait_ms == 0))
		return false;
	/* With a time-out librdkafka waits for all that was asked for, so only one record is waited for. */
	rd_kafka_message_t *taken[LEAT_BATCH_MAX];
	filling = inlet;
	ssize_t count = before > 0 ? rd_kafka_consume_batch_queue(inlet->queue, 0, taken, free_slots)
				   : rd_kafka_consume_batch_queue(inlet->queue, (int)LEAT_MIN(wait_ms, (int64_t)60000), taken, 1);
	filling = NULL;
	size_t bytes = 0, shown = 0;
	for (ssize_t i = 0; i < count; i++)
		if (take_message(inlet, taken[i])) {
			bytes += room[shown]->len + room[shown]->key_len;
			shown++;
		}
	if (shown)
		inlet->mean_bytes = (inlet->mean_bytes * 3 + bytes / shown + 3) / 4;
	return drained(inlet, before, rd_kafka_queue_length(inlet->queue));
}

bool kafka_inlet_fill(struct kafka_inlet *inlet)
{
	return fill(inlet, 0);
}

bool kafka_inlet_wait(struct kafka_inlet *inlet, int64_t timeout_ms)
{
	bool nudge = fill(inlet, timeout_ms);
	if (inlet->count > 0)
		nudge |= fill(inlet, 0);
	return nudge;
}

void kafka_inlet_release(struct kafka_inlet *inlet, size_t count)
{
	LEAT_ASSERT(count <= inlet->count);
	for (size_t i = inlet->first; i < inlet->first + count; i++) {
		leat_free(inlet->headers[i]);
		rd_kafka_message_destroy(inlet->messages[i]);
	}
	inlet->first += count;
	inlet->count -= count;
	if (inlet->count == 0)
		inlet->first = 0;
}

long kafka_inlet_shown(struct kafka_inlet *inlet, const struct leat_record **records, bool *at_end, struct leat_fault *fault)
{
	*records = inlet->records + inlet->first;
	*at_end = inlet->at_end && inlet->rc == 0;
	if (inlet->count > 0 || inlet->rc == 0)
		return (long)inlet->count;
	if (fault)
		*fault = inlet->fault;
	return inlet->rc;
}
