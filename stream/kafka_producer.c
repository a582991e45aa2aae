/* A producer with the topics it has written to, and what became of its records. */
#include "stream/kafka_internal.h"

#include <poll.h>

enum { FULL_POLL_MS = 5, CHUNK = LEAT_BATCH_MAX, REPORTS_MS = 1000 };

/* What librdkafka drops because another record failed tells nothing, but may be reported first. */
static bool tells_nothing(rd_kafka_resp_err_t err)
{
	return !err || err == RD_KAFKA_RESP_ERR__PURGE_QUEUE || err == RD_KAFKA_RESP_ERR__PURGE_INFLIGHT;
}

static void note_failure(struct kafka_producer *producer, const rd_kafka_message_t *message)
{
	pthread_mutex_lock(&producer->lock);
	if (tells_nothing(producer->failed)) {
		snprintf(producer->failed_at, sizeof producer->failed_at, "%s [%d]", rd_kafka_topic_name(message->rkt), (int)message->partition);
		producer->failed = message->err;
	}
	pthread_mutex_unlock(&producer->lock);
}

static void note_row(struct kafka_producer *producer, const rd_kafka_message_t *message, intptr_t task)
{
	if (message->offset < producer->row_ends[task] && !producer->made_again) {
		producer->made_again = true;
		snprintf(producer->failed_at, sizeof producer->failed_at, "%s [%d]", rd_kafka_topic_name(message->rkt), (int)message->partition);
	}
	producer->row_ends[task] = LEAT_MAX(producer->row_ends[task], message->offset + 1);
}

/* Runs inside poll and flush, so on the owner's thread; for early records also on that of a commit beside the work. */
static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque)
{
	struct kafka_producer *producer = opaque;
	intptr_t tag = (intptr_t)message->_private;
	(void)rk;
	if (LEAT_UNLIKELY(message->err))
		note_failure(producer, message);
	else if (tag > 0 && tag <= producer->tasks && producer->row_ends)
		note_row(producer, message, tag - 1);
	if (producer->counts)
		atomic_fetch_sub(&producer->under_way[tag & 1], 1);
}

static void on_error(rd_kafka_t *rk, int code, const char *reason, void *opaque)
{
	static const char key;
	struct kafka_producer *producer = opaque;
	if (code == RD_KAFKA_RESP_ERR__TRANSPORT || code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN)
		atomic_fetch_add(&producer->disconnects, 1);
	leat_log_seldom(LEAT_WARNING, &key, 10000, "kafka producer %s: %s: %s", rd_kafka_name(rk), rd_kafka_err2name(code), reason);
}

static void free_producer(struct kafka_producer *producer)
{
	pthread_mutex_destroy(&producer->lock);
	leat_free(producer);
}

int kafka_producer_open(struct leat_kafka *kafka, enum kafka_role role, const struct kafka_sizes *sizes, const char *transactional_id, struct kafka_producer **out, struct leat_fault *fault)
{
	struct kafka_producer *producer = leat_calloc(1, sizeof *producer);
	*out = NULL;
	if (!producer)
		return leat_fail(fault, LEAT_ENOMEM, "out of memory");
	producer->kafka = kafka;
	producer->counts = role == KAFKA_EARLY;
	pthread_mutex_init(&producer->lock, NULL);
	struct kafka_extra extra = {
		.sizes = sizes, .transactional_id = transactional_id, .opaque = producer, .on_delivery = on_delivery, .on_error = on_error,
	};
	int rc = kafka_client_new(kafka, role, &extra, &producer->rk, fault);
	if (rc == 0)
		*out = producer;
	else
		free_producer(producer);
	return rc;
}

/* The client outlives the struct, so nothing may be delivered to it any more: nobody polls the client again. Its errors are polled too. */
void kafka_producer_close(struct kafka_producer *producer)
{
	if (!producer)
		return;
	for (size_t i = 0; i < producer->topic_count; i++) {
		rd_kafka_topic_destroy(producer->topics[i].handle);
		leat_free(producer->topics[i].name);
	}
	leat_free(producer->topics);
	rd_kafka_purge(producer->rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT | RD_KAFKA_PURGE_F_NON_BLOCKING);
	kafka_dispose(producer->kafka, producer->rk);
	free_producer(producer);
}

static rd_kafka_topic_t *add_topic(struct kafka_producer *producer, const char *name, struct leat_fault *fault)
{
	if (producer->topic_count == producer->topic_room) {
		size_t room = producer->topic_room ? producer->topic_room * 2 : 16;
		struct kafka_topic *topics = leat_realloc(producer->topics, room * sizeof *topics);
		if (!topics) {
			leat_fail(fault, LEAT_ENOMEM, "out of memory");
			return NULL;
		}
		producer->topics = topics;
		producer->topic_room = room;
	}
	struct kafka_topic *topic = &producer->topics[producer->topic_count];
	topic->name = leat_strdup(name);
	if (!topic->name) {
		leat_fail(fault, LEAT_ENOMEM, "out of memory");
		return NULL;
	}
	topic->handle = rd_kafka_topic_new(producer->rk, name, NULL);
	if (!topic->handle) {
		kafka_fail(fault, rd_kafka_last_error(), "topic %s", name);
		leat_free(topic->name);
		return NULL;
	}
	producer->last = producer->topic_count++;
	return topic->handle;
}

static rd_kafka_topic_t *find_topic(struct kafka_producer *producer, const char *name, struct leat_fault *fault)
{
	if (producer->last < producer->topic_count && strcmp(producer->topics[producer->last].name, name) == 0)
		return producer->topics[producer->last].handle;
	for (size_t i = 0; i < producer->topic_count; i++)
		if (strcmp(producer->topics[i].name, name) == 0) {
			producer->last = i;
			return producer->topics[i].handle;
		}
	return add_topic(producer, name, fault);
}

/* The error of the first failed delivery. */
static int undelivered(const struct kafka_producer *producer, struct leat_fault *fault)
{
	if (producer->failed != RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE)
		return kafka_fail(fault, producer->failed, "writing to %s", producer->failed_at);
	return leat_fail(fault, LEAT_ELIMIT, "writing to %s: larger than the topic's max.message.bytes allows: raise that, or lower message.max.bytes and batch.size in kafka.settings to it", producer->failed_at);
}

/* A record that librdkafka would not take. Whatever puts the producer out of order for good is an abort or a fencing. */
static int refuse(struct kafka_producer *producer, const char *topic, int32_t partition, rd_kafka_resp_err_t err, struct leat_fault *fault)
{
	char text[256];
	if (err == RD_KAFKA_RESP_ERR__FATAL) {
		err = rd_kafka_fatal_error(producer->rk, text, sizeof text);
		int rc = kafka_fail(fault, err, "writing to %s [%d]", topic, (int)partition);
		return leat_fail(fault, rc == LEAT_EFENCED ? rc : LEAT_EABORT, "writing to %s [%d]: %s", topic, (int)partition, text);
	}
	if (err == RD_KAFKA_RESP_ERR__STATE) {
		rd_kafka_flush(producer->rk, REPORTS_MS);   /* why it failed may not have been reported yet */
		if (producer->failed == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE)
			return undelivered(producer, fault);
		return leat_fail(fault, LEAT_EABORT, "writing to %s [%d]: the transaction has failed already", topic, (int)partition);
	}
	if (err == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE)
		return leat_fail(fault, LEAT_ELIMIT, "writing to %s [%d]: a record is larger than message.max.bytes in kafka.settings allows: raise that, and the topic's max.message.bytes to it", topic, (int)partition);
	return kafka_fail(fault, err, "writing to %s [%d]", topic, (int)partition);
}

/* The queue is full: lets deliveries happen. LEAT_ERETRY when time is up. */
static int wait_for_room(struct kafka_producer *producer, int64_t deadline_ms, struct leat_fault *fault)
{
	rd_kafka_poll(producer->rk, FULL_POLL_MS);
	if (kafka_left_ms(deadline_ms) > 0)
		return 0;
	return leat_fail(fault, LEAT_ERETRY, "the broker does not take records fast enough: %d wait to be sent", rd_kafka_outq_len(producer->rk));
}

static rd_kafka_headers_t *make_headers(const struct leat_record *record)
{
	if (record->header_count == 0)
		return NULL;
	rd_kafka_headers_t *headers = rd_kafka_headers_new(record->header_count);
	for (uint32_t i = 0; i < record->header_count; i++) {
		const struct leat_header *header = &record->headers[i];
		rd_kafka_header_add(headers, (const char *)header->name.data, (ssize_t)header->name.length, header->value.data, (ssize_t)header->value.length);
	}
	return headers;
}

/* What a record carries to its delivery: an early one the commit that waits for it. */
static void *mark_of(const struct kafka_producer *producer, intptr_t tag)
{
	return (void *)(producer->counts ? (intptr_t)producer->parity : tag);
}

/* Before the records are handed over: they may be delivered at once. */
static void count_under_way(struct kafka_producer *producer, long change)
{
	if (producer->counts)
		atomic_fetch_add(&producer->under_way[producer->parity], change);
}

void kafka_producer_flip(struct kafka_producer *producer)
{
	producer->parity ^= 1;
}

int kafka_producer_send(struct kafka_producer *producer, const char *topic, int32_t partition, const struct leat_record *record, intptr_t tag, int64_t deadline_ms, struct leat_fault *fault)
{
	rd_kafka_topic_t *handle = find_topic(producer, topic, fault);
	if (!handle)
		return fault && fault->code ? fault->code : LEAT_ENOMEM;
	for (;;) {
		rd_kafka_headers_t *headers = make_headers(record);
		rd_kafka_vu_t parts[] = {
			{ .vtype = RD_KAFKA_VTYPE_RKT, .u.rkt = handle },
			{ .vtype = RD_KAFKA_VTYPE_PARTITION, .u.i32 = partition < 0 ? RD_KAFKA_PARTITION_UA : partition },
			{ .vtype = RD_KAFKA_VTYPE_VALUE, .u.mem = { (void *)(uintptr_t)record->value.data, record->value.length } },
			{ .vtype = RD_KAFKA_VTYPE_KEY, .u.mem = { (void *)(uintptr_t)record->key.data, record->key.length } },
			{ .vtype = RD_KAFKA_VTYPE_MSGFLAGS, .u.i = RD_KAFKA_MSG_F_COPY },
			{ .vtype = RD_KAFKA_VTYPE_OPAQUE, .u.ptr = mark_of(producer, tag) },
			{ .vtype = RD_KAFKA_VTYPE_TIMESTAMP, .u.i64 = LEAT_MAX(record->timestamp_ms, (int64_t)0) },   /* 0: now */
			{ .vtype = RD_KAFKA_VTYPE_HEADERS, .u.headers = headers },
		};
		count_under_way(producer, 1);
		rd_kafka_error_t *error = rd_kafka_produceva(producer->rk, parts, LEAT_COUNT_OF(parts) - (headers ? 0 : 1));
		if (!error)
			return 0;
		rd_kafka_resp_err_t err = rd_kafka_error_code(error);
		rd_kafka_error_destroy(error);
		count_under_way(producer, -1);
		if (headers)
			rd_kafka_headers_destroy(headers);
		if (err != RD_KAFKA_RESP_ERR__QUEUE_FULL)
			return refuse(producer, topic, partition, err, fault);
		LEAT_TRY(wait_for_room(producer, deadline_ms, fault));
	}
}

/* Produces @messages but for what the queue has no room for, which moves to the front; returns how many that are, or the error of the first refused for good. */
static long produce(struct kafka_producer *producer, rd_kafka_topic_t *handle, int32_t partition, rd_kafka_message_t *messages, size_t count, const char *topic, struct leat_fault *fault)
{
	size_t left = 0;
	count_under_way(producer, (long)count);
	int taken = rd_kafka_produce_batch(handle, partition < 0 ? RD_KAFKA_PARTITION_UA : partition, RD_KAFKA_MSG_F_COPY, messages, (int)count);
	if (LEAT_LIKELY((size_t)taken == count))
		return 0;
	count_under_way(producer, taken - (long)count);
	for (size_t i = 0; i < count; i++) {
		if (messages[i].err == RD_KAFKA_RESP_ERR__QUEUE_FULL)
			messages[left++] = messages[i];
		else if (messages[i].err)
			return refuse(producer, topic, partition, messages[i].err, fault);
	}
	return (long)left;
}

static int send_chunk(struct kafka_producer *producer, rd_kafka_topic_t *handle, const char *topic, int32_t partition, const struct leat_record *records, size_t count, int64_t deadline_ms, struct leat_fault *fault)
{
	rd_kafka_message_t messages[CHUNK];
	void *mark = mark_of(producer, 0);
	for (size_t i = 0; i < count; i++) {
		messages[i] = (rd_kafka_message_t){
			.payload = (void *)(uintptr_t)records[i].value.data, .len = records[i].value.length,
			.key = (void *)(uintptr_t)records[i].key.data, .key_len = records[i].key.length, ._private = mark,
		};
	}
	long left = (long)count;
	while ((left = produce(producer, handle, partition, messages, (size_t)left, topic, fault)) > 0)
		LEAT_TRY(wait_for_room(producer, deadline_ms, fault));
	return (int)left;
}

int kafka_producer_send_many(struct kafka_producer *producer, const char *topic, int32_t partition, const struct leat_record *records, size_t count, int64_t deadline_ms, struct leat_fault *fault)
{
	rd_kafka_topic_t *handle = find_topic(producer, topic, fault);
	if (!handle)
		return fault && fault->code ? fault->code : LEAT_ENOMEM;
	for (size_t i = 0; i < count; i += CHUNK)
		LEAT_TRY(send_chunk(producer, handle, topic, partition, records + i, LEAT_MIN(count - i, (size_t)CHUNK), deadline_ms, fault));
	rd_kafka_poll(producer->rk, 0);
	return 0;
}

int kafka_producer_flush(struct kafka_producer *producer, int64_t deadline_ms, struct leat_fault *fault)
{
	rd_kafka_resp_err_t err = rd_kafka_flush(producer->rk, LEAT_MAX(kafka_left_ms(deadline_ms), 1));
	if (producer->made_again)
		return leat_fail(fault, LEAT_EGAP, "the changelog %s was deleted and made again while we ran: it lacks the state so far. A restart goes on with the local state where it is complete, else it says so; "
				 "--accept-state-loss begins with what the changelog has", producer->failed_at);
	if (producer->failed)
		return undelivered(producer, fault);
	return err ? kafka_fail(fault, err, "%d records wait to be acknowledged", rd_kafka_outq_len(producer->rk)) : 0;
}

int kafka_producer_settle(struct kafka_producer *producer, int64_t deadline_ms, struct leat_fault *fault)
{
	unsigned before = producer->parity ^ 1;
	while (atomic_load(&producer->under_way[before]) > 0 && !producer->failed) {
		if (kafka_left_ms(deadline_ms) == 0)
			return leat_fail(fault, LEAT_ERETRY, "%ld early records wait to be acknowledged", atomic_load(&producer->under_way[before]));
		rd_kafka_poll(producer->rk, 1);
	}
	return producer->failed ? undelivered(producer, fault) : 0;
}

int kafka_producer_init(struct kafka_producer *producer, int64_t deadline_ms, const _Atomic bool *stop, struct leat_fault *fault)
{
	rd_kafka_error_t *error;
	/* Short tries, because a call cannot be interrupted. One that runs out of time goes on behind the scenes, and the next one joins it. */
	while ((error = rd_kafka_init_transactions(producer->rk, LEAT_MIN((int)KAFKA_TRY_MS, LEAT_MAX(kafka_left_ms(deadline_ms), 1)))) != NULL) {
		bool again = rd_kafka_error_is_retriable(error) && kafka_left_ms(deadline_ms) > 0 && !(stop && atomic_load(stop));
		if (!again)
			return kafka_fail_error(fault, error, "initialising transactions");
		rd_kafka_error_destroy(error);
		poll(NULL, 0, 1);
	}
	return 0;
}
