/* Re-keying through an internal topic: what a task sends to the owner of a row's new key, and what the owner makes of it. */
#include "stream/rekey.h"
#include "stream/outlet.h"

enum { VERSION = 1, MARK = 0xffff };

/* Before the Avro body of every internal record. Little-endian, see lane_row.c. */
struct head {
	uint16_t version, kind;            /* kind: MARK, no row follows; else the fingerprint of the columns that do */
	uint32_t sender;                   /* task                               */
	int64_t watermark_ms;              /* of the sender; INT64_MAX: idle     */
	int64_t time_ms;
	uint64_t id;
	int64_t origin_offset;
	uint32_t origin_source;
	int32_t origin_partition;
};
_Static_assert(sizeof(struct head) == 48, "on the wire");

struct leat_rekey_in {
	struct leat_schema *schema;
	uint16_t fingerprint;
	struct leat_decoder *decoder;
	int64_t *marks;                    /* per sender */
	int32_t senders;
};

struct leat_rekey_out {
	struct leat_schema *schema;
	uint16_t fingerprint;
	struct leat_encoder *encoder;
	size_t outlet;
	uint64_t upstream;                 /* bit per source whose events pass here: only they hold the mark back */
	int64_t marked_ms;                 /* what was last told */
};

/* ---- the schema of a row on its way: the columns that somebody reads, named by slot ---- */

struct carried {
	struct leat_field fields[LEAT_SLOTS_MAX + 1];
	char names[LEAT_SLOTS_MAX][8];
	int slots[LEAT_SLOTS_MAX];
	size_t count;
};

static int carry(const struct leat_lane *lane, int stream, struct leat_schema **schema, int slots[LEAT_SLOTS_MAX], uint16_t *fingerprint, struct leat_fault *fault)
{
	const struct leat_stream *from = &lane->pipeline->streams[stream];
	struct carried *carried = leat_calloc(1, sizeof *carried);
	uint32_t hash = 0;
	if (!carried)
		return leat_fail(fault, LEAT_ENOMEM, "out of memory");
	for (size_t slot = 0; slot < from->layout.count; slot++) {
		if (!from->read[slot] || from->layout.fields[slot].type == LEAT_VECTOR)
			continue;
		struct leat_field *field = &carried->fields[carried->count];
		*field = from->layout.fields[slot];
		snprintf(carried->names[carried->count], sizeof carried->names[0], "c%zu", slot);
		hash = (uint32_t)leat_mix(hash ^ leat_mix(leat_hash(field->name, strlen(field->name)) + field->type));
		field->name = carried->names[carried->count];
		field->nullable = true;
		slots[carried->count++] = (int)slot;
	}
	*fingerprint = (uint16_t)(hash % MARK);
	int rc = leat_schema_from_fields(schema, "row", carried->fields, fault);
	leat_free(carried);
	return rc;
}

/* ---- receiving ---- */

int leat_rekey_in_open(struct leat_lane *lane, struct leat_intake *intake, struct leat_fault *fault)
{
	struct leat_rekey_in *in = leat_calloc(1, sizeof *in);
	int slots[LEAT_SLOTS_MAX];
	intake->rekey = in;
	if (!in || !(in->marks = leat_calloc((size_t)lane->engine->tasks, sizeof *in->marks)))
		return leat_fail(fault, LEAT_ENOMEM, "out of memory");
	in->senders = lane->engine->tasks;
	for (int32_t i = 0; i < in->senders; i++)
		in->marks[i] = INT64_MIN;
	LEAT_TRY(carry(lane, intake->source->stream, &in->schema, slots, &in->fingerprint, fault));
	const char *json = leat_schema_json(in->schema);
	return leat_decoder_compile(&in->decoder, json, strlen(json), in->schema, slots, fault);
}

void leat_rekey_in_close(struct leat_rekey_in *in)
{
	if (!in)
		return;
	leat_decoder_free(in->decoder);
	leat_schema_free(in->schema);
	leat_free(in->marks);
	leat_free(in);
}

static void clear_row(struct leat_stream_run *run, size_t row)
{
	for (size_t slot = 0; slot < run->stream->layout.count; slot++) {
		struct leat_column *column = &run->columns[slot];
		size_t size = leat_type_size(column->type) * column->width;
		column->null[row] = 1;
		memset((char *)column->data + row * size, 0, size);
	}
}

int leat_rekey_in_row(struct leat_lane *lane, struct leat_intake *intake, const struct leat_record *record, struct leat_stream_run *run, size_t row, int64_t *time_ms)
{
	struct leat_rekey_in *in = intake->rekey;
	struct head head;
	if (record->value.length < sizeof head)
		return LEAT_BAD_SHORT_HEADER;
	memcpy(&head, record->value.data, sizeof head);
	if (head.version != VERSION || head.sender >= (uint32_t)in->senders)
		return LEAT_BAD_BAD_MAGIC;
	in->marks[head.sender] = LEAT_MAX(in->marks[head.sender] == INT64_MAX ? INT64_MIN : in->marks[head.sender], head.watermark_ms);
	if (head.kind == MARK)
		return LEAT_REKEY_MARK;
	if (head.kind != in->fingerprint)
		return LEAT_BAD_SCHEMA_INCOMPATIBLE;   /* sent by a pipeline with other columns: run that one to its end first */
	clear_row(run, row);
	struct leat_bytes body = leat_bytes(record->value.data + sizeof head, record->value.length - sizeof head);
	enum leat_bad bad = leat_decoder_run(in->decoder, body, run->columns, row, lane->arena);
	run->id[row] = head.id;
	run->key[row] = record->key;
	*time_ms = head.time_ms;
	intake->max_time_ms = LEAT_MAX(intake->max_time_ms, head.time_ms);
	return (int)bad;
}

int64_t leat_rekey_in_watermark(const struct leat_rekey_in *in)
{
	int64_t lowest = INT64_MAX;
	for (int32_t i = 0; i < in->senders; i++)
		lowest = LEAT_MIN(lowest, in->marks[i]);
	return lowest;
}

int64_t leat_rekey_in_slowest(const struct leat_rekey_in *in, int32_t task)
{
	int64_t lowest = INT64_MAX;
	for (int32_t i = 0; i < in->senders; i++)
		if (i != task && in->marks[i] != INT64_MIN)
			lowest = LEAT_MIN(lowest, in->marks[i]);
	return lowest;
}

size_t leat_rekey_in_save(const struct leat_rekey_in *in, int64_t *marks, size_t count)
{
	count = LEAT_MIN(count, (size_t)in->senders);
	memcpy(marks, in->marks, count * sizeof *marks);
	return count;
}

void leat_rekey_in_load(struct leat_rekey_in *in, const int64_t *marks, size_t count)
{
	memcpy(in->marks, marks, LEAT_MIN(count, (size_t)in->senders) * sizeof *marks);
}

/* ---- sending ---- */

static uint64_t upstream_of(const struct leat_pipeline *pipeline, const struct leat_node *node)
{
	uint64_t bits = 0;
	for (size_t i = 0; i < node->from.count; i++) {
		const struct leat_from *from = &node->from.items[i];
		bits |= from->source >= 0 ? 1ull << from->source : upstream_of(pipeline, &pipeline->nodes[from->node]);
	}
	return bits;
}

/* The watermark of the events that pass here; INT64_MAX: all their inputs are idle. */
static int64_t mark_of(const struct leat_lane *lane, const struct leat_rekey_out *out)
{
	int64_t lowest = INT64_MAX, now = leat_clock_mono_us(lane->engine->clock);
	for (size_t i = 0; i < lane->pipeline->source_count; i++)
		if ((out->upstream >> i & 1) && !leat_intake_idle(lane, i, now))
			lowest = LEAT_MIN(lowest, leat_intake_watermark(&lane->intakes[i]));
	return lowest;
}

int leat_rekey_out_open(struct leat_lane *lane, const struct leat_node *node, struct leat_rekey_out **out, struct leat_fault *fault)
{
	const struct leat_layout *layout = &lane->pipeline->streams[node->stream].layout;
	const struct leat_field *fields[LEAT_SLOTS_MAX];
	int slots[LEAT_SLOTS_MAX];
	struct leat_rekey_out *made = leat_calloc(1, sizeof *made);
	*out = made;
	if (!made)
		return leat_fail(fault, LEAT_ENOMEM, "out of memory");
	made->marked_ms = INT64_MIN;
	made->upstream = upstream_of(lane->pipeline, node);
	for (size_t i = 0; i < layout->count; i++)
		fields[i] = &layout->fields[i];
	LEAT_TRY(carry(lane, node->stream, &made->schema, slots, &made->fingerprint, fault));
	LEAT_TRY(leat_encoder_compile(&made->encoder, made->schema, slots, fields, fault));
	return leat_outlet_find(lane, lane->pipeline->sources[node->rekey_source].topic, false, &made->outlet, fault);
}

void leat_rekey_out_close(struct leat_rekey_out *out)
{
	if (!out)
		return;
	leat_encoder_free(out->encoder);
	leat_schema_free(out->schema);
	leat_free(out);
}

static struct leat_bytes new_key(const struct leat_column *column, size_t row, char number[24])
{
	if (column->null[row])
		return leat_bytes(NULL, 0);
	if (column->type == LEAT_STRING)
		return column->bytes[row];
	return leat_bytes(number, (size_t)snprintf(number, 24, "%lld", (long long)column->ints[row]));
}

static int send_row(struct leat_lane *lane, struct leat_node_run *node, struct leat_rekey_out *out, size_t row)
{
	struct leat_stream_run *run = &lane->streams[node->node->stream];
	struct leat_outlet *outlet = &lane->outlets[out->outlet];
	char number[24];
	struct leat_bytes key = new_key(&run->columns[node->node->rekey_slot], row, number);
	uint32_t order = (uint32_t)(node - lane->nodes) + 1;
	if (!key.data) {
		leat_flow_reject(lane, run->arrival[row], order, node->node->id, "null_key", run->record[row], NULL);
		return 0;
	}
	const struct leat_record *record = run->record[row];
	struct head head = { .version = VERSION, .kind = out->fingerprint, .sender = (uint32_t)lane->task, .watermark_ms = run->watermark_ms[row], .time_ms = run->time_ms[row], .id = run->id[row],
			     .origin_offset = record ? record->offset : -1, .origin_source = run->source[row], .origin_partition = lane->task };
	struct leat_outlet_item *item = leat_outlet_add(outlet);
	if (!item)
		return LEAT_ENOMEM;
	item->arrival = run->arrival[row];
	item->node = order;
	item->partition = leat_partition_of(key.data, key.length, lane->engine->tasks);
	LEAT_TRY(leat_outlet_key(outlet, item, key));
	item->value_at = (uint32_t)outlet->bytes.length;
	LEAT_TRY(leat_buffer_append(&outlet->bytes, &head, sizeof head));
	LEAT_TRY(leat_encoder_run(out->encoder, run->columns, row, &outlet->bytes));
	item->value_length = (uint32_t)(outlet->bytes.length - item->value_at);
	return 0;
}

int leat_rekey_out_rows(struct leat_lane *lane, struct leat_node_run *run, struct leat_rekey_out *out, const uint16_t *rows, size_t count, struct leat_fault *fault)
{
	for (size_t i = 0; i < count; i++) {
		int rc = send_row(lane, run, out, rows[i]);
		if (rc < 0)
			return leat_fail(fault, rc, "re-keying in '%s': %s", run->node->id, leat_error_text(rc));
	}
	return 0;
}

bool leat_rekey_out_upstream(const struct leat_rekey_out *out, size_t source)
{
	return out->upstream >> source & 1;
}

bool leat_rekey_out_due(const struct leat_lane *lane, const struct leat_rekey_out *out)
{
	int64_t mark = mark_of(lane, out);
	return mark != out->marked_ms && mark != INT64_MIN;
}

int leat_rekey_out_marks(struct leat_lane *lane, struct leat_rekey_out *out, struct leat_fault *fault)
{
	struct head head = { .version = VERSION, .kind = MARK, .sender = (uint32_t)lane->task, .watermark_ms = mark_of(lane, out) };
	const struct leat_record record = { .timestamp_ms = -1, .value = leat_bytes(&head, sizeof head) };
	if (!leat_rekey_out_due(lane, out))
		return 0;
	for (int32_t i = 0; i < lane->engine->tasks; i++)
		LEAT_TRY(lane->ops->session_send(lane->session, lane->outlets[out->outlet].topic, i, &record, 0, fault));
	out->marked_ms = head.watermark_ms;
	return 0;
}
