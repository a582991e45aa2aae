/* Re-keying through an internal topic: what a task sends to the owner of a row's new key, and what the owner makes of it. */
#include "stream/rekey.h"
#include "stream/outlet.h"
#include "stream/rekey_columns.h"

enum { VERSION = 2, LISTS = 4, TELL_AGAIN_US = 60000000 };
enum kind { ROW, MARK, COLUMNS };
static const int64_t ahead_ms = 86400000;          /* how far its times may lie behind a record's own: two hours are possible, the rest is for clocks */
static const int64_t last_ms = 253402300799999;    /* of the year 9999: what is added to a time does not overflow */

/* Before the body of every internal record: nothing in a mark, else a row or a list of columns. Little-endian, see lane_row.c. */
struct head {
	uint8_t version, kind;
	uint16_t sender;                   /* task; a worker takes up to 1024    */
	uint16_t origin_source, origin_partition;
	uint64_t fingerprint;              /* of the columns                     */
	int64_t watermark_ms;              /* of the sender; INT64_MAX: idle     */
	int64_t time_ms;
	uint64_t id;
	int64_t origin_offset;
};
_Static_assert(sizeof(struct head) == 48, "on the wire");

/* Columns of a pipeline that is not ours. */
struct foreign {
	uint64_t fingerprint, used;
	struct leat_bytes list;
	struct leat_decoder *decoder;      /* NULL: not needed yet, or @bad */
	enum leat_bad bad;
};

struct leat_rekey_in {
	struct leat_rekey_columns ours;
	struct leat_decoder *decoder;
	struct foreign foreign[LISTS];     /* the most recently used */
	uint64_t uses;
	bool incomplete;                   /* memory was short while loading: nothing is unknown for sure */
	int64_t *marks;                    /* per sender */
	int32_t senders;
};

struct leat_rekey_out {
	struct leat_rekey_columns ours;
	struct leat_encoder *encoder;
	size_t outlet;
	bool *told;                        /* per receiver: it has been sent the columns */
	uint64_t upstream;                 /* bit per source whose events pass here: only they hold the mark back */
	int64_t marked_ms, marked_us;      /* what was last told, and when */
	int64_t present_ms;                /* as of the last look */
};

/* ---- receiving ---- */

int leat_rekey_in_open(struct leat_lane *lane, struct leat_intake *intake, struct leat_fault *fault)
{
	struct leat_rekey_in *in = leat_calloc(1, sizeof *in);
	intake->rekey = in;
	if (!in || !(in->marks = leat_calloc((size_t)lane->engine->tasks, sizeof *in->marks)))
		return leat_fail(fault, LEAT_ENOMEM, "out of memory");
	in->senders = lane->engine->tasks;
	for (int32_t i = 0; i < in->senders; i++)
		in->marks[i] = INT64_MIN;
	LEAT_TRY(leat_rekey_columns_make(&in->ours, lane->pipeline, &lane->pipeline->nodes[intake->source->rekey], fault));
	const char *json = leat_schema_json(in->ours.schema);
	return leat_decoder_compile(&in->decoder, json, strlen(json), in->ours.schema, in->ours.slots, fault);
}

static void drop_foreign(struct foreign *foreign)
{
	leat_decoder_free(foreign->decoder);
	leat_free((void *)(uintptr_t)foreign->list.data);
	*foreign = (struct foreign){ 0 };
}

void leat_rekey_in_close(struct leat_rekey_in *in)
{
	if (!in)
		return;
	for (size_t i = 0; i < LISTS; i++)
		drop_foreign(&in->foreign[i]);
	leat_decoder_free(in->decoder);
	leat_rekey_columns_free(&in->ours);
	leat_free(in->marks);
	leat_free(in);
}

/* ---- columns of others ---- */

static struct foreign *find_foreign(struct leat_rekey_in *in, uint64_t fingerprint)
{
	for (size_t i = 0; i < LISTS; i++)
		if (in->foreign[i].list.data && in->foreign[i].fingerprint == fingerprint) {
			in->foreign[i].used = ++in->uses;
			return &in->foreign[i];
		}
	return NULL;
}

/* Remembers a list; the least recently used one makes room. */
static int learn(struct leat_rekey_in *in, struct leat_bytes list)
{
	uint64_t fingerprint = leat_rekey_fingerprint(list);
	struct foreign *room = &in->foreign[0];
	LEAT_TRY(leat_rekey_columns_check(list));
	if (fingerprint == in->ours.fingerprint || find_foreign(in, fingerprint))
		return 0;
	uint8_t *copy = leat_malloc(list.length);
	if (!copy)
		return LEAT_ENOMEM;
	for (size_t i = 1; i < LISTS; i++)
		if (in->foreign[i].used < room->used)
			room = &in->foreign[i];
	drop_foreign(room);
	memcpy(copy, list.data, list.length);
	*room = (struct foreign){ .fingerprint = fingerprint, .used = ++in->uses, .list = leat_bytes(copy, list.length) };
	return 0;
}

/* The decoder for rows with these columns; NULL and a reason. */
static const struct leat_decoder *decoder_for(struct leat_rekey_in *in, const struct leat_source *source, uint64_t fingerprint, enum leat_bad *bad)
{
	struct leat_fault fault = { 0 };
	if (LEAT_LIKELY(fingerprint == in->ours.fingerprint))
		return in->decoder;
	struct foreign *foreign = find_foreign(in, fingerprint);
	*bad = in->incomplete ? LEAT_BAD_NO_MEMORY : LEAT_BAD_UNKNOWN_SCHEMA;
	if (!foreign)
		return NULL;
	if (!foreign->decoder && !foreign->bad) {
		int rc = leat_rekey_columns_resolve(&in->ours, foreign->list, &foreign->decoder, &fault);
		*bad = LEAT_BAD_NO_MEMORY;
		if (rc == LEAT_ENOMEM)
			return NULL;
		if (rc < 0) {
			foreign->bad = LEAT_BAD_SCHEMA_INCOMPATIBLE;
			leat_log(LEAT_WARNING, "rows in flight in %s have other columns than this pipeline and are set aside: %s", source->topic, fault.text);
		}
	}
	*bad = foreign->bad;
	return foreign->decoder;
}

/* ---- records ---- */

static void clear_row(struct leat_stream_run *run, size_t row)
{
	for (size_t slot = 0; slot < run->stream->layout.count; slot++) {
		struct leat_column *column = &run->columns[slot];
		size_t size = leat_type_size(column->type) * column->width;
		column->null[row] = 1;
		memset((char *)column->data + row * size, 0, size);
	}
}

/* The sender sees to it that its records are not older than this (send_row), so that one beyond it is none of a sender's. */
static bool is_ahead(const struct leat_record *record, int64_t time_ms)
{
	return time_ms > last_ms || (time_ms > ahead_ms && time_ms - ahead_ms > record->timestamp_ms);
}

/* Can a sender have written this? */
static bool is_sound(const struct leat_rekey_in *in, const struct leat_record *record, const struct head *head, int32_t task)
{
	bool body = record->value.length > sizeof *head;
	if (head->version != VERSION || head->sender >= (uint32_t)in->senders)
		return false;
	switch ((enum kind)head->kind) {
	case ROW:
		return record->key.data && leat_partition_of(record->key.data, record->key.length, in->senders) == task && head->origin_source < LEAT_SOURCES_MAX &&
		       head->origin_partition < in->senders && head->origin_offset >= -1 && head->time_ms >= -1 && !is_ahead(record, head->time_ms) && !is_ahead(record, head->watermark_ms);
	case MARK:
		return !record->key.data && !body && (head->watermark_ms == INT64_MAX || !is_ahead(record, head->watermark_ms));
	case COLUMNS:
		return !record->key.data && body;
	}
	return false;
}

static void raise_mark(struct leat_rekey_in *in, const struct head *head)
{
	int64_t *mark = &in->marks[head->sender];
	*mark = LEAT_MAX(*mark == INT64_MAX ? INT64_MIN : *mark, head->watermark_ms);
}

static int take_columns(struct leat_rekey_in *in, const struct head *head, struct leat_bytes list)
{
	int rc = leat_rekey_fingerprint(list) == head->fingerprint ? learn(in, list) : LEAT_ECORRUPT;
	if (rc == LEAT_ENOMEM)
		return LEAT_BAD_NO_MEMORY;
	return rc < 0 ? (int)LEAT_BAD_INTERNAL_DAMAGED : (int)LEAT_REKEY_MARK;
}

/* Nothing of a record that is set aside is believed, its watermark neither. */
int leat_rekey_in_row(struct leat_lane *lane, struct leat_intake *intake, const struct leat_record *record, struct leat_stream_run *run, size_t row, int64_t *time_ms)
{
	struct leat_rekey_in *in = intake->rekey;
	struct head head;
	enum leat_bad bad = LEAT_BAD_NONE;
	if (record->value.length < sizeof head)
		return LEAT_BAD_INTERNAL_DAMAGED;
	memcpy(&head, record->value.data, sizeof head);
	struct leat_bytes body = leat_bytes(record->value.data + sizeof head, record->value.length - sizeof head);
	if (!is_sound(in, record, &head, lane->task))
		return LEAT_BAD_INTERNAL_DAMAGED;
	if (head.kind == COLUMNS)
		return take_columns(in, &head, body);
	if (head.kind == MARK) {
		raise_mark(in, &head);
		return LEAT_REKEY_MARK;
	}
	const struct leat_decoder *decoder = decoder_for(in, intake->source, head.fingerprint, &bad);
	if (!decoder)
		return (int)bad;
	clear_row(run, row);
	bad = leat_decoder_run(decoder, body, run->columns, row, lane->arena);
	if (bad)
		return (int)bad;
	raise_mark(in, &head);
	run->id[row] = head.id;
	run->key[row] = record->key;
	*time_ms = head.time_ms;
	return LEAT_BAD_NONE;
}

bool leat_rekey_in_origin(const struct leat_lane *lane, const struct leat_intake *intake, const struct leat_record *record, struct leat_rekey_origin *out)
{
	struct head head;
	if (record->value.length < sizeof head)
		return false;
	memcpy(&head, record->value.data, sizeof head);
	if (!is_sound(intake->rekey, record, &head, lane->task) || head.kind != ROW || head.fingerprint != intake->rekey->ours.fingerprint)
		return false;
	*out = (struct leat_rekey_origin){ &lane->pipeline->sources[head.origin_source], head.origin_partition, head.origin_offset };
	return head.origin_source < lane->pipeline->source_count && out->source->rekey < 0 && !out->source->deltas && out->offset >= 0;
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

/* ---- what a restart needs: marks, then lists of columns, each its length and its bytes: rows that carry their fingerprint may lie behind the position, the lists before it ---- */

static size_t save_list(struct leat_bytes list, int64_t *words, size_t count)
{
	size_t needed = 1 + (list.length + sizeof *words - 1) / sizeof *words;
	if (!list.data || needed > count)
		return 0;
	words[needed - 1] = 0;
	words[0] = list.length;
	memcpy(words + 1, list.data, list.length);
	return needed;
}

size_t leat_rekey_in_save(const struct leat_rekey_in *in, int64_t *marks, size_t count)
{
	size_t used = LEAT_MIN(count, (size_t)in->senders), before = used;
	memcpy(marks, in->marks, used * sizeof *marks);
	used += save_list(leat_bytes(in->ours.list.data, in->ours.list.length), marks + used, count - used);
	if (used == before)
		leat_log_seldom(LEAT_WARNING, in, 3600000, "so many tasks and columns are re-keyed that rows in flight will not be understood after a change of the columns");
	for (size_t i = 0; i < LISTS; i++)
		used += save_list(in->foreign[i].list, marks + used, count - used);
	return used;
}

void leat_rekey_in_load(struct leat_rekey_in *in, const int64_t *marks, size_t count)
{
	size_t at = LEAT_MIN(count, (size_t)in->senders);
	for (size_t i = 0; i < at; i++)
		in->marks[i] = marks[i] > last_ms && marks[i] != INT64_MAX ? INT64_MIN : marks[i];
	while (at < count) {
		int64_t length = marks[at++];
		if (length <= 0 || (uint64_t)length > (count - at) * sizeof *marks)
			return;
		in->incomplete |= learn(in, leat_bytes(marks + at, (size_t)length)) == LEAT_ENOMEM;
		at += ((size_t)length + sizeof *marks - 1) / sizeof *marks;
	}
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
	struct leat_rekey_out *made = leat_calloc(1, sizeof *made);
	*out = made;
	if (!made)
		return leat_fail(fault, LEAT_ENOMEM, "out of memory");
	made->marked_ms = INT64_MIN;
	made->told = leat_calloc((size_t)lane->engine->tasks, sizeof *made->told);
	if (!made->told)
		return leat_fail(fault, LEAT_ENOMEM, "out of memory");
	made->upstream = upstream_of(lane->pipeline, node);
	for (size_t i = 0; i < layout->count; i++)
		fields[i] = &layout->fields[i];
	LEAT_TRY(leat_rekey_columns_make(&made->ours, lane->pipeline, node, fault));
	LEAT_TRY(leat_encoder_compile(&made->encoder, made->ours.schema, made->ours.slots, fields, fault));
	return leat_outlet_find(lane, lane->pipeline->sources[node->rekey_source].topic, false, &made->outlet, fault);
}

void leat_rekey_out_close(struct leat_rekey_out *out)
{
	if (!out)
		return;
	leat_encoder_free(out->encoder);
	leat_rekey_columns_free(&out->ours);
	leat_free(out->told);
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

/* Once per receiver, before the first row goes: what is not committed is sent anew, by a task that was opened anew. */
static int tell_columns(struct leat_lane *lane, struct leat_rekey_out *out, int32_t receiver, struct leat_fault *fault)
{
	struct head head = { .version = VERSION, .kind = COLUMNS, .sender = (uint16_t)lane->task, .fingerprint = out->ours.fingerprint };
	if (out->told[receiver] || out->ours.list.length > LEAT_REKEY_LIST_MAX)
		return 0;
	lane->scratch.length = 0;
	LEAT_TRY(leat_buffer_append(&lane->scratch, &head, sizeof head));
	LEAT_TRY(leat_buffer_append(&lane->scratch, out->ours.list.data, out->ours.list.length));
	const struct leat_record record = { .timestamp_ms = -1, .value = leat_bytes(lane->scratch.data, lane->scratch.length) };
	LEAT_TRY(lane->ops->session_send(lane->session, lane->outlets[out->outlet].topic, receiver, &record, 0, fault));
	out->told[receiver] = true;
	return 0;
}

/* 0: the present will do; else the timestamp that a record with this time must have, lest the receiver takes it for damaged (is_ahead). */
static int64_t timestamp_for(const struct leat_lane *lane, struct leat_rekey_out *out, int64_t time_ms)
{
	if (LEAT_LIKELY(time_ms <= out->present_ms + ahead_ms / 2))
		return 0;
	out->present_ms = leat_clock_wall_ms(lane->engine->clock);
	return time_ms <= out->present_ms + ahead_ms / 2 || time_ms == INT64_MAX ? 0 : time_ms - ahead_ms / 2;
}

static int send_row(struct leat_lane *lane, struct leat_node_run *node, struct leat_rekey_out *out, size_t row, struct leat_fault *fault)
{
	struct leat_stream_run *run = &lane->streams[node->node->stream];
	struct leat_outlet *outlet = &lane->outlets[out->outlet];
	const struct leat_record *record = run->record[row];
	char number[24];
	struct leat_bytes key = new_key(&run->columns[node->node->rekey_slot], row, number);
	uint32_t order = (uint32_t)(node - lane->nodes) + 1;
	if (!key.data) {
		leat_flow_reject(lane, run->arrival[row], order, node->node->id, "null_key", record, NULL);
		return 0;
	}
	struct head head = { .version = VERSION, .kind = ROW, .sender = (uint16_t)lane->task, .origin_source = run->source[row], .origin_partition = (uint16_t)lane->task,
			     .fingerprint = out->ours.fingerprint, .watermark_ms = run->watermark_ms[row], .time_ms = run->time_ms[row], .id = run->id[row],
			     .origin_offset = record ? record->offset : -1 };
	const struct leat_intake *intake = &lane->intakes[run->source[row]];
	struct leat_rekey_origin origin;
	if (record && intake->rekey && leat_rekey_in_origin(lane, intake, record, &origin)) {
		head.origin_source = (uint16_t)(origin.source - lane->pipeline->sources);
		head.origin_partition = (uint16_t)origin.partition;
		head.origin_offset = origin.offset;
	}
	int32_t receiver = leat_partition_of(key.data, key.length, lane->engine->tasks);
	LEAT_TRY(tell_columns(lane, out, receiver, fault));
	struct leat_outlet_item *item = leat_outlet_add(outlet);
	if (!item)
		return LEAT_ENOMEM;
	item->arrival = run->arrival[row];
	item->node = order;
	item->partition = receiver;
	item->timestamp_ms = timestamp_for(lane, out, LEAT_MAX(head.time_ms, head.watermark_ms));
	LEAT_TRY(leat_outlet_key(outlet, item, key));
	item->value_at = (uint32_t)outlet->bytes.length;
	LEAT_TRY(leat_buffer_append(&outlet->bytes, &head, sizeof head));
	LEAT_TRY(leat_encoder_run(out->encoder, run->columns, row, &outlet->bytes));
	if (!leat_outlet_end(lane, outlet))
		leat_flow_reject(lane, run->arrival[row], order, node->node->id, "output_too_large", record, NULL);
	return 0;
}

int leat_rekey_out_rows(struct leat_lane *lane, struct leat_node_run *run, struct leat_rekey_out *out, const uint16_t *rows, size_t count, struct leat_fault *fault)
{
	for (size_t i = 0; i < count; i++) {
		int rc = send_row(lane, run, out, rows[i], fault);
		if (rc < 0)
			return leat_fail(fault, rc, "re-keying in '%s': %s", run->node->id, leat_error_text(rc));
	}
	return 0;
}

bool leat_rekey_out_upstream(const struct leat_rekey_out *out, size_t source)
{
	return out->upstream >> source & 1;
}

/* What does not change is told again now and then: a mark that came to harm would hold a receiver's time back for ever. */
bool leat_rekey_out_due(const struct leat_lane *lane, const struct leat_rekey_out *out)
{
	int64_t mark = mark_of(lane, out);
	return mark != INT64_MIN && (mark != out->marked_ms || leat_clock_mono_us(lane->engine->clock) - out->marked_us > TELL_AGAIN_US);
}

int leat_rekey_out_marks(struct leat_lane *lane, struct leat_rekey_out *out, struct leat_fault *fault)
{
	struct head head = { .version = VERSION, .kind = MARK, .sender = (uint16_t)lane->task, .watermark_ms = mark_of(lane, out) };
	struct leat_record record = { .timestamp_ms = -1, .value = leat_bytes(&head, sizeof head) };
	if (!leat_rekey_out_due(lane, out))
		return 0;
	int64_t timestamp_ms = timestamp_for(lane, out, head.watermark_ms);
	if (timestamp_ms)
		record.timestamp_ms = timestamp_ms;
	for (int32_t i = 0; i < lane->engine->tasks; i++)
		LEAT_TRY(lane->ops->session_send(lane->session, lane->outlets[out->outlet].topic, i, &record, 0, fault));
	out->marked_ms = head.watermark_ms;
	out->marked_us = leat_clock_mono_us(lane->engine->clock);
	return 0;
}
