/* Outlets: what leaves a task: decisions and other records of sinks, re-keyed rows, dead letters, each batch in an order that does not hang on its size. */
#include "stream/outlet.h"
#include "stream/rekey.h"

#include <stdlib.h>

#define KEY_NULL UINT32_MAX

/* Bytes of a dead letter, at most; of a longer value or key the first KEPT. */
enum { VALUE_MOST = 1 << 20, KEY_MOST = 1 << 16, HEADERS_MOST = 1 << 17, KEPT = 1024, HEADERS_COUNT = 64,
       OURS = 9, OURS_WHEN_CUT = 3 };   /* headers that say why, where and who, and how much there was */

/* ---- opening ---- */

static int count_partitions(const struct leat_lane *lane, const char *topic, int32_t *partitions, struct leat_fault *fault)
{
	int rc = lane->ops->partitions(lane->engine->transport, topic, partitions, fault);
	return rc == LEAT_ENOTFOUND ? leat_fail(fault, LEAT_EGAP, "topic %s, which this pipeline writes, is gone: a restart makes it again", topic) : rc;
}

int leat_outlet_find(struct leat_lane *lane, const char *topic, bool early, size_t *out, struct leat_fault *fault)
{
	for (size_t i = 0; i < lane->outlet_count; i++)
		if (strcmp(lane->outlets[i].topic, topic) == 0) {
			lane->outlets[i].sort = true;
			*out = i;
			return 0;
		}
	struct leat_outlet *outlet = &lane->outlets[lane->outlet_count];
	*outlet = (struct leat_outlet){ .topic = topic, .flags = early ? LEAT_SEND_EARLY : 0 };
	LEAT_TRY(count_partitions(lane, topic, &outlet->partitions, fault));
	*out = lane->outlet_count++;
	return 0;
}

static int schema_id(struct leat_lane *lane, const struct leat_sink *sink, int32_t *id, struct leat_fault *fault)
{
	char subject[300];
	*id = (int32_t)sink->schema_id;
	if (*id || sink->format != LEAT_FORMAT_AVRO)
		return 0;
	if (!lane->engine->registry)
		return leat_fail(fault, LEAT_ECONFIG, "sink '%s': no schema ids are known: give it a schema_id, or configure a registry, or put ids.txt into the schemas folder", sink->name);
	snprintf(subject, sizeof subject, "%s-value", sink->topic);
	return leat_registry_register(lane->engine->registry, subject, leat_schema_json(sink->schema), id, fault);
}

static int open_sink(struct leat_lane *lane, size_t index, struct leat_fault *fault)
{
	const struct leat_sink *sink = &lane->pipeline->sinks[index];
	const struct leat_layout *layout = &lane->pipeline->streams[sink->stream].layout;
	const struct leat_field *fields[LEAT_SLOTS_MAX];
	struct leat_sink_run *run = &lane->sinks[index];
	for (size_t i = 0; i < layout->count; i++)
		fields[i] = &layout->fields[i];
	run->sink = sink;
	LEAT_TRY(leat_encoder_compile(&run->encoder, sink->schema, sink->slots, fields, fault));
	LEAT_TRY(schema_id(lane, sink, &run->schema_id, fault));
	return leat_outlet_find(lane, sink->topic, sink->emit == LEAT_EMIT_EARLY, &run->outlet, fault);
}

int leat_outlet_open(struct leat_lane *lane, struct leat_fault *fault)
{
	int32_t partitions;
	LEAT_TRY(count_partitions(lane, lane->pipeline->dead_letter_topic, &partitions, fault));   /* else the first bad event would be tried for ever */
	for (size_t i = 0; i < lane->pipeline->sink_count; i++)
		LEAT_TRY(open_sink(lane, i, fault));
	return 0;
}

void leat_outlet_close(struct leat_lane *lane)
{
	for (size_t i = 0; i < lane->pipeline->sink_count; i++)
		leat_encoder_free(lane->sinks[i].encoder);
	for (size_t i = 0; i < lane->outlet_count; i++) {
		leat_buffer_free(&lane->outlets[i].bytes);
		leat_free(lane->outlets[i].items);
	}
	leat_buffer_free(&lane->scratch);
}

/* ---- collecting ---- */

struct leat_outlet_item *leat_outlet_add(struct leat_outlet *outlet)
{
	if (outlet->count == outlet->capacity) {
		size_t capacity = LEAT_MAX(outlet->capacity * 2, (size_t)LEAT_BATCH_MAX);
		struct leat_outlet_item *items = leat_realloc(outlet->items, capacity * sizeof *items);
		if (!items)
			return NULL;
		outlet->items = items;
		outlet->capacity = capacity;
	}
	struct leat_outlet_item *item = &outlet->items[outlet->count++];
	*item = (struct leat_outlet_item){ .key_length = KEY_NULL };
	return item;
}

int leat_outlet_key(struct leat_outlet *outlet, struct leat_outlet_item *item, struct leat_bytes key)
{
	if (!key.data)
		return 0;
	item->key_at = (uint32_t)outlet->bytes.length;
	item->key_length = key.length;
	return leat_buffer_append(&outlet->bytes, key.data, key.length);
}

static struct leat_record record_of(const struct leat_outlet *outlet, const struct leat_outlet_item *item)
{
	const uint8_t *bytes = outlet->bytes.data;
	struct leat_record record = { .timestamp_ms = item->timestamp_ms ? item->timestamp_ms : -1, .key = item->key_length == KEY_NULL ? leat_bytes(NULL, 0) : leat_bytes(bytes + item->key_at, item->key_length),
				      .value = item->value_length ? leat_bytes(bytes + item->value_at, item->value_length) : leat_bytes("", 0) };
	if (item->origin) {
		record.headers = item->origin->headers;
		record.header_count = item->origin->header_count;
	}
	return record;
}

static void drop_newest(struct leat_outlet *outlet)
{
	outlet->bytes.length = outlet->items[--outlet->count].value_at;
}

bool leat_outlet_end(const struct leat_lane *lane, struct leat_outlet *outlet)
{
	struct leat_outlet_item *item = &outlet->items[outlet->count - 1];
	item->value_length = (uint32_t)(outlet->bytes.length - item->value_at);
	const struct leat_record record = record_of(outlet, item);
	if (LEAT_LIKELY(leat_record_size(&record) <= lane->engine->transport->record_max))
		return true;
	drop_newest(outlet);
	return false;
}

static int sink_key(struct leat_lane *lane, const struct leat_sink *sink, size_t row, struct leat_outlet *outlet, struct leat_outlet_item *item)
{
	const struct leat_stream_run *run = &lane->streams[sink->stream];
	char number[24];
	if (sink->key_slot < 0) {
		item->partition = outlet->partitions == lane->engine->tasks ? lane->task : -1;
		return leat_outlet_key(outlet, item, run->key[row]);
	}
	const struct leat_column *column = &run->columns[sink->key_slot];
	item->partition = -1;
	if (column->null[row])
		return 0;
	if (column->type == LEAT_STRING)
		return leat_outlet_key(outlet, item, column->bytes[row]);
	return leat_outlet_key(outlet, item, leat_bytes(number, (size_t)snprintf(number, sizeof number, "%lld", (long long)column->ints[row])));
}

static int sink_row(struct leat_lane *lane, struct leat_sink_run *sink, size_t row)
{
	struct leat_stream_run *run = &lane->streams[sink->sink->stream];
	struct leat_outlet *outlet = &lane->outlets[sink->outlet];
	struct leat_outlet_item *item = leat_outlet_add(outlet);
	uint8_t header[LEAT_WIRE_HEADER];
	if (!item)
		return LEAT_ENOMEM;
	LEAT_TRY(sink_key(lane, sink->sink, row, outlet, item));
	item->arrival = run->arrival[row];
	item->node = (uint32_t)(LEAT_NODES_MAX + (sink - lane->sinks));
	item->origin = sink->sink->headers ? run->record[row] : NULL;
	item->value_at = (uint32_t)outlet->bytes.length;
	int rc;
	if (sink->sink->format == LEAT_FORMAT_JSON) {
		rc = leat_encoder_run_json(sink->encoder, run->columns, row, &outlet->bytes);
	} else {
		leat_wire_write(header, sink->schema_id);
		rc = leat_buffer_append(&outlet->bytes, header, sizeof header);
		if (rc >= 0)
			rc = leat_encoder_run(sink->encoder, run->columns, row, &outlet->bytes);
	}
	if (rc == LEAT_ESCHEMA)     /* a null where the schema has none: the row cannot be written */
		drop_newest(outlet);
	else if (rc < 0 || leat_outlet_end(lane, outlet))
		return rc;
	leat_flow_reject(lane, run->arrival[row], item->node, sink->sink->name, rc < 0 ? "null_in_required_field" : "output_too_large", run->record[row], NULL);
	return 0;
}

int leat_outlet_collect(struct leat_lane *lane, int stream, struct leat_fault *fault)
{
	uint16_t scratch[LEAT_BATCH_MAX];
	for (size_t i = 0; i < lane->pipeline->sink_count; i++) {
		struct leat_sink_run *sink = &lane->sinks[i];
		const uint16_t *rows;
		if (sink->sink->stream != stream)
			continue;
		size_t count = leat_flow_select(lane, stream, &sink->sink->from, scratch, &rows);
		for (size_t n = 0; n < count; n++) {
			int rc = sink_row(lane, sink, rows[n]);
			if (rc < 0)
				return leat_fail(fault, rc, "sink '%s': %s", sink->sink->name, leat_error_text(rc));
		}
		sink->events += count;
	}
	return 0;
}

/* ---- sending ---- */

static int by_arrival(const void *a, const void *b)
{
	const struct leat_outlet_item *x = a, *y = b;
	if (x->arrival != y->arrival)
		return x->arrival < y->arrival ? -1 : 1;
	if (x->node != y->node)
		return x->node < y->node ? -1 : 1;
	return x->value_at < y->value_at ? -1 : x->value_at > y->value_at;
}

static int send_item(struct leat_lane *lane, const struct leat_outlet *outlet, const struct leat_outlet_item *item, struct leat_fault *fault)
{
	const struct leat_record record = record_of(outlet, item);
	return lane->ops->session_send(lane->session, outlet->topic, item->partition, &record, outlet->flags, fault);
}

static bool goes_alone(const struct leat_outlet_item *item)
{
	return item->origin || item->partition < 0 || item->timestamp_ms;
}

/* Runs of items for one partition without headers, and of the present, go as one call. */
static int send_items(struct leat_lane *lane, struct leat_outlet *outlet, struct leat_fault *fault)
{
	struct leat_record records[LEAT_BATCH_MAX];
	for (size_t at = 0; at < outlet->count;) {
		const struct leat_outlet_item *first = &outlet->items[at];
		size_t count = 0;
		if (goes_alone(first)) {
			LEAT_TRY(send_item(lane, outlet, first, fault));
			at++;
			continue;
		}
		while (at + count < outlet->count && count < LEAT_BATCH_MAX && !goes_alone(&first[count]) && first[count].partition == first->partition) {
			records[count] = record_of(outlet, &first[count]);
			count++;
		}
		LEAT_TRY(lane->ops->session_send_many(lane->session, outlet->topic, first->partition, records, count, outlet->flags, fault));
		at += count;
	}
	return 0;
}

static int by_arrival_rejected(const void *a, const void *b)
{
	const struct leat_rejection *x = a, *y = b;
	if (x->arrival != y->arrival)
		return x->arrival < y->arrival ? -1 : 1;
	return x->node < y->node ? -1 : x->node > y->node;
}

struct letter {
	struct leat_header headers[HEADERS_COUNT + OURS + OURS_WHEN_CUT];
	uint32_t count;
	char numbers[7][24], detail[LEAT_DETAIL_MAX];
	unsigned used;
};

static void add_text(struct letter *letter, const char *name, const char *value)
{
	LEAT_ASSERT(letter->count < LEAT_COUNT_OF(letter->headers));
	letter->headers[letter->count++] = (struct leat_header){ leat_text(name), leat_text(value) };
}

static void add_number(struct letter *letter, const char *name, int64_t number)
{
	LEAT_ASSERT(letter->used < LEAT_COUNT_OF(letter->numbers));
	char *text = letter->numbers[letter->used++];
	snprintf(text, sizeof letter->numbers[0], "%lld", (long long)number);
	add_text(letter, name, text);
}

/* The record's own headers, as far as there is room. */
static void keep_headers(struct letter *letter, const struct leat_record *from, size_t most)
{
	for (uint32_t i = 0; i < from->header_count && letter->count < HEADERS_COUNT; i++) {
		letter->headers[letter->count] = from->headers[i];
		const struct leat_record with = { .headers = letter->headers, .header_count = letter->count + 1 };
		letter->count += leat_record_size(&with) <= most;
	}
}

static struct leat_bytes cut(struct letter *letter, struct leat_bytes bytes, size_t most, const char *name)
{
	if (bytes.length <= most)
		return bytes;
	add_number(letter, name, bytes.length);
	return leat_bytes(bytes.data, KEPT);
}

/*
 * The record as it lay there, with why, where and who in headers. It fits whatever it was: a key or value beyond the limit is cut to its first bytes, headers are left
 * out, and how much there was is said. A re-keyed row names where its event began.
 */
static int send_dead_letter(struct leat_lane *lane, const struct leat_rejection *bad, struct leat_fault *fault)
{
	const struct leat_record *from = bad->record;
	size_t part = lane->engine->transport->record_max / 8;     /* 1 key, 1 headers, 5 value; 1 for what we say */
	struct letter letter = { .count = 0 };
	int32_t id = -1;
	struct leat_bytes body;
	struct leat_rekey_origin origin = { bad->intake->source, lane->task, from->offset };
	if (bad->intake->rekey && !leat_rekey_in_origin(lane, bad->intake, from, &origin))
		origin = (struct leat_rekey_origin){ bad->intake->source, lane->task, from->offset };
	if (from->value.data)
		leat_wire_read(from->value, &id, &body);
	keep_headers(&letter, from, LEAT_MIN(part, (size_t)HEADERS_MOST));
	uint32_t kept = letter.count;
	add_text(&letter, "leat.reason", bad->reason);
	if (leat_intake_explain(bad, letter.detail) < 0)
		return leat_fail(fault, LEAT_ENOMEM, "out of memory");
	bool more = letter.detail[0] != '\0';
	if (more)
		add_text(&letter, "leat.detail", letter.detail);
	leat_log_seldom(LEAT_WARNING, bad->reason, 60000, "%s: an event of %s[%d] at offset %lld is bad: %s%s%s", bad->stage, bad->intake->source->topic, (int)lane->task, (long long)from->offset,
			bad->reason, more ? ": " : "", letter.detail);
	add_text(&letter, "leat.stage", bad->stage);
	add_text(&letter, "leat.topic", origin.source->topic);
	add_number(&letter, "leat.partition", origin.partition);
	add_number(&letter, "leat.offset", origin.offset);
	add_number(&letter, "leat.timestamp", from->timestamp_ms);
	add_number(&letter, "leat.schema_id", id);
	add_text(&letter, "leat.application", lane->pipeline->name);
	struct leat_record record = { .timestamp_ms = -1, .headers = letter.headers };
	record.key = cut(&letter, from->key, LEAT_MIN(part, (size_t)KEY_MOST), "leat.key_bytes");
	record.value = cut(&letter, from->value, LEAT_MIN(5 * part, (size_t)VALUE_MOST), "leat.value_bytes");
	if (kept < from->header_count)
		add_number(&letter, "leat.headers", from->header_count);
	record.header_count = letter.count;
	return lane->ops->session_send(lane->session, lane->pipeline->dead_letter_topic, lane->task, &record, 0, fault);
}

static int send_dead_letters(struct leat_lane *lane, struct leat_fault *fault)
{
	if (lane->rejection_count > 1)
		qsort(lane->rejections, lane->rejection_count, sizeof *lane->rejections, by_arrival_rejected);
	for (size_t i = 0; i < lane->rejection_count; i++)
		LEAT_TRY(send_dead_letter(lane, &lane->rejections[i], fault));
	return 0;
}

int leat_outlet_flush(struct leat_lane *lane, struct leat_fault *fault)
{
	for (size_t i = 0; i < lane->outlet_count; i++) {
		struct leat_outlet *outlet = &lane->outlets[i];
		if (outlet->count == 0)
			continue;
		if (outlet->sort)
			qsort(outlet->items, outlet->count, sizeof *outlet->items, by_arrival);
		int rc = send_items(lane, outlet, fault);
		if (rc < 0)
			return rc;
		outlet->sent += outlet->count;
		outlet->count = 0;
		outlet->bytes.length = 0;
	}
	return send_dead_letters(lane, fault);
}
