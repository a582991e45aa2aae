/* Runs: encodes records into outboxes and decodes chunks, bounded. */
#include "stream/embedded_run.h"

#include "base/column.h"

/* ---- encoding ---- */

static uint8_t *put_varint(uint8_t *at, uint64_t value)
{
	while (value >= 0x80) {
		*at++ = (uint8_t)(value | 0x80);
		value >>= 7;
	}
	*at++ = (uint8_t)value;
	return at;
}

static uint8_t *put_bytes(uint8_t *at, struct leat_bytes bytes)
{
	if (bytes.length)
		memcpy(at, bytes.data, bytes.length);
	return at + bytes.length;
}

static uint64_t size_of(struct leat_bytes bytes)
{
	return bytes.data ? (uint64_t)bytes.length + 1 : 0;
}

static size_t record_bound(const struct leat_record *record)
{
	size_t bound = LEAT_RUN_RECORD_HEAD + (size_t)record->key.length + record->value.length;
	for (uint32_t i = 0; i < record->header_count; i++)
		bound += 10 + (size_t)record->headers[i].name.length + record->headers[i].value.length;
	return bound;
}

static uint8_t *put_headers(uint8_t *at, const struct leat_record *record)
{
	for (uint32_t i = 0; i < record->header_count; i++) {
		const struct leat_header *header = &record->headers[i];
		at = put_varint(at, header->name.length);
		at = put_varint(at, size_of(header->value));
		at = put_bytes(at, header->name);
		at = put_bytes(at, header->value);
	}
	return at;
}

static uint8_t *put_record(uint8_t *at, const struct leat_record *record, int64_t before_ms, int64_t time_ms)
{
	int64_t delta = (int64_t)((uint64_t)time_ms - (uint64_t)before_ms);
	at = put_varint(at, ((uint64_t)delta << 1) ^ (uint64_t)(delta >> 63));
	at = put_varint(at, size_of(record->key));
	at = put_varint(at, size_of(record->value));
	at = put_varint(at, record->header_count);
	at = put_bytes(at, record->key);
	at = put_bytes(at, record->value);
	return put_headers(at, record);
}

static struct leat_run_header *open_run(struct leat_outbox *box)
{
	return (struct leat_run_header *)(void *)(box->bytes.data + box->open);
}

/* Runs begin 8-aligned, so that their headers may be read in place. */
static bool run_is_full(const struct leat_outbox *box)
{
	if (box->records == 0 || box->topic->compacted)
		return true;
	const struct leat_run_header *run = (const void *)(box->bytes.data + box->open);
	return run->count >= LEAT_BATCH_MAX || run->length >= LEAT_RUN_BYTES;
}

static void begin_run(struct leat_outbox *box, int64_t time_ms)
{
	size_t start = (box->bytes.length + 7) & ~(size_t)7;
	memset(box->bytes.data + box->bytes.length, 0, start - box->bytes.length);
	box->open = start;
	box->last_ms = time_ms;
	*open_run(box) = (struct leat_run_header){ .version = LEAT_RUN_VERSION, .length = sizeof(struct leat_run_header), .first_ms = time_ms };
	box->bytes.length = start + sizeof(struct leat_run_header);
}

static int box_add(struct leat_outbox *box, const struct leat_record *record, int64_t now_ms)
{
	int64_t time_ms = record->timestamp_ms < 0 ? now_ms : record->timestamp_ms;
	LEAT_TRY(leat_buffer_reserve(&box->bytes, record_bound(record) + sizeof(struct leat_run_header) + 8));
	if (run_is_full(box))
		begin_run(box, time_ms);
	uint8_t *start = box->bytes.data + box->bytes.length;
	size_t length = (size_t)(put_record(start, record, box->last_ms, time_ms) - start);
	box->bytes.length += length;
	box->last_ms = time_ms;
	box->records++;
	open_run(box)->count++;
	open_run(box)->length += (uint32_t)length;
	return 0;
}

/* ---- outboxes ---- */

void leat_outboxes_init(struct leat_outboxes *boxes, leat_outbox_resolve *resolve, void *owner)
{
	*boxes = (struct leat_outboxes){ .resolve = resolve, .owner = owner };
}

static int add_topic(struct leat_outboxes *boxes, const char *name, struct leat_fault *fault)
{
	struct leat_outbox_topic found = { 0 };
	LEAT_TRY(boxes->resolve(boxes->owner, name, &found, fault));
	struct leat_outbox_topic **topics = leat_realloc(boxes->topics, (boxes->topic_count + 1) * sizeof *topics);
	if (!topics)
		return leat_fail(fault, LEAT_ENOMEM, "out of memory for topic %s", name);
	boxes->topics = topics;
	struct leat_outbox_topic *topic = leat_calloc(1, sizeof *topic + (size_t)found.partitions * sizeof topic->boxes[0]);
	char *copy = leat_strdup(name);
	if (!topic || !copy) {
		leat_free(topic);
		leat_free(copy);
		return leat_fail(fault, LEAT_ENOMEM, "out of memory for topic %s", name);
	}
	*topic = (struct leat_outbox_topic){ .name = copy, .self = found.self, .partitions = found.partitions, .compacted = found.compacted };
	for (int32_t i = 0; i < topic->partitions; i++) {
		topic->boxes[i].topic = topic;
		topic->boxes[i].partition = i;
	}
	topics[boxes->topic_count++] = topic;
	return 0;
}

static int find_topic(struct leat_outboxes *boxes, const char *name, struct leat_outbox_topic **out, struct leat_fault *fault)
{
	size_t i = boxes->last;
	if (LEAT_UNLIKELY(i >= boxes->topic_count || strcmp(boxes->topics[i]->name, name) != 0))
		for (i = 0; i < boxes->topic_count && strcmp(boxes->topics[i]->name, name) != 0; i++)
			;
	if (i == boxes->topic_count)
		LEAT_TRY(add_topic(boxes, name, fault));
	boxes->last = i;
	*out = boxes->topics[i];
	return 0;
}

static int check_record(const struct leat_outbox_topic *topic, const struct leat_record *record, struct leat_fault *fault)
{
	if (LEAT_UNLIKELY(record->header_count > LEAT_RUN_HEADERS_MAX))
		return leat_fail(fault, LEAT_ELIMIT, "a record for topic %s has %u headers, at most %u are allowed", topic->name, record->header_count, LEAT_RUN_HEADERS_MAX);
	size_t bound = record_bound(record);
	if (LEAT_UNLIKELY(bound > LEAT_RUN_RECORD_MAX))
		return leat_fail(fault, LEAT_ELIMIT, "a record for topic %s has %zu bytes, at most %u are allowed", topic->name, bound, LEAT_RUN_RECORD_MAX);
	if (LEAT_UNLIKELY(topic->compacted && !record->key.data))
		return leat_fail(fault, LEAT_ECONFIG, "topic %s is compacted: its records need a key", topic->name);
	return 0;
}

static int32_t choose_partition(struct leat_outbox_topic *topic, const struct leat_record *record)
{
	if (record->key.data)
		return leat_partition_of(record->key.data, record->key.length, topic->partitions);
	return (int32_t)(topic->turn++ % (uint32_t)topic->partitions);
}

static int mark_dirty(struct leat_outboxes *boxes, struct leat_outbox *box)
{
	if (LEAT_LIKELY(box->dirty))
		return 0;
	if (boxes->dirty_count == boxes->dirty_capacity) {
		size_t capacity = LEAT_MAX(boxes->dirty_capacity * 2, (size_t)16);
		struct leat_outbox **dirty = leat_realloc(boxes->dirty, capacity * sizeof *dirty);
		if (!dirty)
			return LEAT_ENOMEM;
		boxes->dirty = dirty;
		boxes->dirty_capacity = capacity;
	}
	boxes->dirty[boxes->dirty_count++] = box;
	box->dirty = true;
	return 0;
}

static int add_one(struct leat_outboxes *boxes, struct leat_outbox_topic *topic, int32_t partition, const struct leat_record *record, int64_t now_ms, struct leat_fault *fault)
{
	LEAT_TRY(check_record(topic, record, fault));
	if (partition == -1)
		partition = choose_partition(topic, record);
	if (partition < 0 || partition >= topic->partitions)
		return leat_fail(fault, LEAT_ECONFIG, "topic %s has %d partitions, there is no partition %d", topic->name, topic->partitions, partition);
	struct leat_outbox *box = &topic->boxes[partition];
	size_t before = box->bytes.length;
	if (mark_dirty(boxes, box) < 0 || box_add(box, record, now_ms) < 0)
		return leat_fail(fault, LEAT_ENOMEM, "out of memory for a record of topic %s", topic->name);
	boxes->records++;
	boxes->bytes += box->bytes.length - before;
	return 0;
}

int leat_outboxes_add(struct leat_outboxes *boxes, const char *topic, int32_t partition, const struct leat_record *record, int64_t now_ms, struct leat_fault *fault)
{
	struct leat_outbox_topic *found;
	LEAT_TRY(find_topic(boxes, topic, &found, fault));
	return add_one(boxes, found, partition, record, now_ms, fault);
}

int leat_outboxes_add_many(struct leat_outboxes *boxes, const char *topic, int32_t partition, const struct leat_record *records, size_t count, int64_t now_ms, struct leat_fault *fault)
{
	struct leat_outbox_topic *found;
	LEAT_TRY(find_topic(boxes, topic, &found, fault));
	for (size_t i = 0; i < count; i++)
		LEAT_TRY(check_record(found, &records[i], fault));
	for (size_t i = 0; i < count; i++)
		LEAT_TRY(add_one(boxes, found, partition, &records[i], now_ms, fault));
	return 0;
}

void leat_outboxes_clear(struct leat_outboxes *boxes)
{
	enum { KEEP = 4 << 20 };
	for (size_t i = 0; i < boxes->dirty_count; i++) {
		struct leat_outbox *box = boxes->dirty[i];
		if (box->bytes.capacity > KEEP)
			leat_buffer_free(&box->bytes);
		box->bytes.length = box->open = box->records = 0;
		box->dirty = false;
	}
	boxes->dirty_count = boxes->records = boxes->bytes = 0;
}

void leat_outboxes_free(struct leat_outboxes *boxes)
{
	for (size_t i = 0; i < boxes->topic_count; i++) {
		for (int32_t p = 0; p < boxes->topics[i]->partitions; p++)
			leat_buffer_free(&boxes->topics[i]->boxes[p].bytes);
		leat_free(boxes->topics[i]->name);
		leat_free(boxes->topics[i]);
	}
	leat_free(boxes->topics);
	leat_free(boxes->dirty);
	*boxes = (struct leat_outboxes){ 0 };
}
