/* Intake: records of a task's inputs become the rows of a batch, merged by record time, each with its event time, id and watermark. */
#include "stream/lane.h"
#include "stream/rekey.h"
#include "stream/shared.h"

enum {
	DECODERS_MAX = 64,
	FUTURE_MS = 3600000,
	RETRY_US = 100000,
	BATCH_BYTES = 4 << 20,          /* of bodies in a batch: what operators make of them must fit into the arena */
};

/* ---- opening ---- */

static int open_format(struct leat_intake *intake, struct leat_fault *fault)
{
	const struct leat_source *source = intake->source;
	if (source->rekey >= 0 || source->deltas)
		return 0;
	if (source->format == LEAT_FORMAT_JSON)
		return leat_json_decoder_open(&intake->json, source->schema, source->slots, fault);
	if (source->format == LEAT_FORMAT_CSV)
		return leat_csv_decoder_open(&intake->csv, source->schema, source->csv_columns, *source->separator, source->slots, fault);
	intake->decoders = leat_calloc(DECODERS_MAX, sizeof *intake->decoders);
	return intake->decoders ? 0 : leat_fail(fault, LEAT_ENOMEM, "out of memory");
}

int leat_intake_open(struct leat_lane *lane, size_t source, int64_t offset, struct leat_fault *fault)
{
	struct leat_intake *intake = &lane->intakes[source];
	intake->source = &lane->pipeline->sources[source];
	intake->next_offset = intake->committed_offset = offset;
	intake->end_since_us = -1;
	lane->sample_from_ms = leat_clock_wall_ms(lane->engine->clock);
	LEAT_TRY(open_format(intake, fault));
	if (intake->source->rekey >= 0)
		LEAT_TRY(leat_rekey_in_open(lane, intake, fault));
	return lane->ops->feed_open(lane->session, intake->source->topic, lane->task, offset, &intake->feed, fault);
}

void leat_intake_close(struct leat_lane *lane, size_t source)
{
	struct leat_intake *intake = &lane->intakes[source];
	if (intake->feed)
		lane->ops->feed_close(intake->feed);
	for (size_t i = 0; i < intake->decoder_count; i++)
		leat_decoder_free(intake->decoders[i].decoder);
	leat_free(intake->decoders);
	leat_json_decoder_free(intake->json);
	leat_csv_decoder_free(intake->csv);
	leat_rekey_in_close(intake->rekey);
	*intake = (struct leat_intake){ 0 };
}

/* ---- bodies ---- */

/* The decoder for a writer's schema; NULL: not known yet (the registry is down), try again later. */
static struct leat_decoder_entry *find_decoder(struct leat_lane *lane, struct leat_intake *intake, int32_t id)
{
	struct leat_decoder_entry *entry = intake->decoders;
	const struct leat_schema *writer = intake->source->writer;
	struct leat_fault fault = { 0 };
	const char *json = NULL;
	size_t length = 0;
	if (writer)
		id = 0;
	for (size_t i = 0; i < intake->decoder_count; i++, entry++)
		if (entry->id == id)
			return entry;
	int rc = 0;
	if (writer) {
		json = leat_schema_json(writer);
		length = strlen(json);
	} else if (!lane->engine->registry) {
		rc = leat_fail(&fault, LEAT_ENOTFOUND, "no schema ids are known");
	} else {
		rc = leat_registry_by_id(lane->engine->registry, id, &json, &length, &fault);
	}
	if (rc == LEAT_ERETRY || rc == LEAT_ENOMEM || rc == LEAT_ESTOPPED) {
		leat_log_seldom(LEAT_WARNING, intake->source, 5000, "source '%s' waits for schema %d: %s", intake->source->name, (int)id, fault.text);
		return NULL;
	}
	static struct leat_decoder_entry unknown = { .bad = LEAT_BAD_UNKNOWN_SCHEMA };
	static struct leat_decoder_entry unsupported = { .bad = LEAT_BAD_SCHEMA_INCOMPATIBLE };
	if (rc == LEAT_EUNSUPPORTED) {
		leat_log_seldom(LEAT_WARNING, intake->source, 60000, "source '%s': schema %d: %s", intake->source->name, (int)id, fault.text);
		return &unsupported;
	}
	if (rc < 0 || intake->decoder_count == DECODERS_MAX)
		return &unknown;
	entry = &intake->decoders[intake->decoder_count++];
	*entry = (struct leat_decoder_entry){ .id = id };
	if (leat_decoder_compile(&entry->decoder, json, length, intake->source->schema, intake->source->slots, &fault) < 0) {
		entry->bad = LEAT_BAD_SCHEMA_INCOMPATIBLE;
		leat_log(LEAT_WARNING, "source '%s': schema %d cannot be read as ours: %s", intake->source->name, (int)id, fault.text);
	}
	return entry;
}

/* A reason, or -1: the schema cannot be had now. */
static int decode_avro(struct leat_lane *lane, struct leat_intake *intake, const struct leat_record *record, struct leat_column *columns, size_t row)
{
	int32_t id;
	struct leat_bytes body;
	enum leat_bad bad = leat_wire_read(record->value, &id, &body);
	if (bad)
		return bad;
	const struct leat_decoder_entry *entry = find_decoder(lane, intake, id);
	if (!entry)
		return -1;
	return entry->bad ? (int)entry->bad : (int)leat_decoder_run(entry->decoder, body, columns, row, lane->arena);
}

static int decode(struct leat_lane *lane, struct leat_intake *intake, const struct leat_record *record, struct leat_column *columns, size_t row)
{
	if (LEAT_UNLIKELY(!record->value.data))
		return LEAT_BAD_NULL_VALUE;
	if (LEAT_UNLIKELY(!record->key.data && intake->source->needs_key))
		return LEAT_BAD_NULL_KEY;
	if (LEAT_UNLIKELY(record->key.length > LEAT_ROW_KEY_MAX))
		return LEAT_BAD_TOO_LARGE;
	if (LEAT_UNLIKELY(record->value.length > 1 << 20 || record->header_count > 64))
		return LEAT_BAD_TOO_LARGE;
	if (LEAT_LIKELY(intake->source->format == LEAT_FORMAT_AVRO))
		return decode_avro(lane, intake, record, columns, row);
	if (intake->json)
		return leat_json_decoder_run(intake->json, record->value, columns, row, lane->arena);
	return leat_csv_decoder_run(intake->csv, record->value, columns, row, lane->arena);
}

int leat_intake_explain(const struct leat_rejection *bad, char text[LEAT_DETAIL_MAX])
{
	enum leat_bad again = LEAT_BAD_NONE;
	if (bad->intake->json)
		again = leat_json_decoder_explain(bad->intake->json, bad->record->value, text, LEAT_DETAIL_MAX);
	else if (bad->intake->csv)
		again = leat_csv_decoder_explain(bad->intake->csv, bad->record->value, text, LEAT_DETAIL_MAX);
	if (strcmp(leat_bad_text(again), bad->reason) != 0)     /* it was refused for something else */
		text[0] = '\0';
	return again == LEAT_BAD_NO_MEMORY ? LEAT_ENOMEM : 0;
}

static uint64_t origin_id(const struct leat_lane *lane, const struct leat_intake *intake, const struct leat_record *record)
{
	uint64_t topic = leat_hash(intake->source->topic, strlen(intake->source->topic));
	return leat_mix(leat_mix(topic ^ (uint64_t)(uint32_t)lane->task) ^ (uint64_t)record->offset);
}

static uint64_t event_id(const struct leat_lane *lane, const struct leat_intake *intake, const struct leat_record *record, const struct leat_column *columns, size_t row)
{
	int slot = intake->source->id_slot;
	if (slot < 0 || columns[slot].null[row])
		return origin_id(lane, intake, record);
	if (columns[slot].type == LEAT_INT)
		return leat_mix((uint64_t)columns[slot].ints[row]);
	return leat_hash(columns[slot].bytes[row].data, columns[slot].bytes[row].length);
}

static enum leat_bad event_time(const struct leat_intake *intake, const struct leat_record *record, const struct leat_column *columns, size_t row, int64_t *time_ms)
{
	int slot = intake->source->time_slot;
	*time_ms = record->timestamp_ms;
	if (slot < 0)
		return *time_ms < 0 ? LEAT_BAD_BAD_TIME : LEAT_BAD_NONE;
	*time_ms = columns[slot].ints[row];
	/* Old clients write records without a time, hostile ones with a negative one: then the clock on the wall must do. */
	int64_t now = record->timestamp_ms > 0 ? record->timestamp_ms : leat_clock_wall_ms(NULL);
	bool future = *time_ms > INT64_MAX - FUTURE_MS || *time_ms > now + FUTURE_MS;
	return columns[slot].null[row] || *time_ms <= 0 || future ? LEAT_BAD_BAD_TIME : LEAT_BAD_NONE;
}

/* Is there more than one input of rows? */
static bool merges(const struct leat_lane *lane)
{
	return lane->pipeline->source_count > (lane->pipeline->deltas_source >= 0 ? 2u : 1u);
}

/* Columns that this source does not fill are null in its rows. */
static void clear_missing(struct leat_lane *lane, const struct leat_source *source, struct leat_stream_run *run, size_t row)
{
	if (!merges(lane))
		return;
	for (size_t slot = 0; slot < run->stream->base; slot++) {
		struct leat_column *column = &run->columns[slot];
		if (!run->stream->read[slot])
			continue;
		column->null[row] = 1;
		memset((char *)column->data + row * leat_type_size(column->type) * column->width, 0, leat_type_size(column->type) * column->width);
	}
	(void)source;
}

/* ---- watermark ---- */

int64_t leat_intake_watermark(const struct leat_intake *intake)
{
	if (intake->source->deltas)
		return INT64_MAX;
	if (intake->rekey)
		return leat_rekey_in_watermark(intake->rekey);
	return intake->max_time_ms == INT64_MIN ? INT64_MIN : intake->max_time_ms - intake->source->lateness_ms;
}

/* A re-keyed input is never idle by itself: its senders say so in their marks. */
bool leat_intake_idle(const struct leat_lane *lane, size_t source, int64_t now_us)
{
	const struct leat_intake *intake = &lane->intakes[source];
	return !intake->rekey && !intake->source->deltas && intake->end_since_us >= 0 && now_us - intake->end_since_us >= lane->pipeline->settings.idle_ms * 1000;
}

/* The smallest over the inputs that are not idle, if @intake saw @time_ms. */
static int64_t watermark_with(const struct leat_lane *lane, const struct leat_intake *intake, int64_t time_ms, int64_t now_us)
{
	int64_t lowest = INT64_MAX;
	for (size_t i = 0; i < lane->pipeline->source_count; i++) {
		const struct leat_intake *other = &lane->intakes[i];
		int64_t mark = leat_intake_watermark(other);
		if (other == intake && !other->rekey && !other->source->deltas)
			mark = LEAT_MAX(mark, time_ms - other->source->lateness_ms);
		else if (other != intake && leat_intake_idle(lane, i, now_us))
			continue;
		lowest = LEAT_MIN(lowest, mark);
	}
	return LEAT_MAX(lowest, lane->watermark_ms);
}

/* ---- choosing the next record ---- */

static int refill(struct leat_lane *lane, struct leat_intake *intake, int64_t now_us, struct leat_fault *fault)
{
	bool at_end = false;
	long count = lane->ops->feed_take(intake->feed, &intake->records, &at_end, fault);
	if (count == LEAT_ENOTFOUND)   /* opening again finds out whether it is gone, or was made again, or never left */
		return leat_fail(fault, LEAT_EABORT, "%s[%d] was not there for a moment: what is not committed is done again", intake->source->topic, (int)lane->task);
	if (count < 0)
		return (int)count;
	intake->taken = (size_t)count;
	intake->at_end = at_end && count == 0;
	if (!intake->at_end)
		intake->end_since_us = -1;
	else if (intake->end_since_us < 0)
		intake->end_since_us = now_us;
	return 0;
}

/* Is the next record of this input, or one behind it, what the task has to stop at? */
bool leat_intake_halts(const struct leat_lane *lane, size_t source)
{
	const struct leat_intake *intake = &lane->intakes[source];
	return lane->halt.set && lane->halt.intake == source && intake->at < intake->taken && intake->records[intake->at].offset >= lane->halt.offset;
}

/* An operator failed on one of these events: they are taken one at a time. */
static bool singly(const struct leat_lane *lane)
{
	bool any = false;
	for (size_t i = 0; lane->suspects && i < lane->pipeline->source_count; i++)
		any |= lane->intakes[i].next_offset < lane->suspects->until[i];
	return any;
}

static bool ready(const struct leat_lane *lane, size_t source)
{
	const struct leat_intake *intake = &lane->intakes[source];
	return intake->at < intake->taken && intake->blocked_until_us == 0 && !leat_intake_halts(lane, source);
}

/* Events that are re-keyed must not run further ahead of the other senders' than skew_ms: the receivers would have to hold them. */
static bool held_back(const struct leat_lane *lane, size_t source)
{
	for (size_t i = 0; i < lane->pipeline->node_count; i++) {
		const struct leat_rekey_out *out = lane->nodes[i].rekey;
		if (!out || !leat_rekey_out_upstream(out, source))
			continue;
		const struct leat_intake *back = &lane->intakes[lane->pipeline->nodes[i].rekey_source];
		int64_t slowest = leat_rekey_in_slowest(back->rekey, lane->task), ours = leat_intake_watermark(&lane->intakes[source]);
		if (slowest != INT64_MAX && ours != INT64_MIN && ours > slowest + lane->pipeline->settings.skew_ms)
			return true;
	}
	return false;
}

/* The input whose next record is oldest; NULL: none, or one that may still bring an older one is worth waiting for. */
static struct leat_intake *choose(struct leat_lane *lane, int stream, int64_t now_us)
{
	struct leat_intake *best = NULL;
	bool wait = false;
	for (size_t i = 0; i < lane->pipeline->source_count; i++) {
		struct leat_intake *intake = &lane->intakes[i];
		if (intake->source->deltas)
			continue;
		if (!ready(lane, i)) {
			wait |= !intake->at_end && intake->blocked_until_us == 0;
			continue;
		}
		if ((stream >= 0 && intake->source->stream != stream) || held_back(lane, i))
			continue;
		if (!best || intake->records[intake->at].timestamp_ms < best->records[best->at].timestamp_ms)
			best = intake;
	}
	if (best && wait && lane->pipeline->settings.merge_wait_ms > 0) {
		if (lane->blocked_us == 0)
			lane->blocked_us = now_us;
		if (now_us - lane->blocked_us < lane->pipeline->settings.merge_wait_ms * 1000)
			return NULL;
	}
	lane->blocked_us = 0;
	return best;
}

/* ---- filling ---- */

static void set_aside(struct leat_lane *lane, struct leat_intake *intake, const struct leat_record *record, enum leat_bad bad)
{
	intake->bad++;
	leat_flow_reject(lane, lane->arrivals + 1, 0, "decode", leat_bad_text(bad), record, intake);
}

static void took(struct leat_lane *lane, struct leat_intake *intake, const struct leat_record *record)
{
	intake->at++;
	intake->events++;
	lane->events += !intake->rekey && !intake->source->deltas;
	intake->next_offset = record->offset + 1;
	lane->arrivals++;
	lane->touched = true;
	if (intake->rekey || intake->source->deltas)
		return;
	lane->newest_ms = LEAT_MAX(lane->newest_ms, record->timestamp_ms);
	if (lane->sampled < LEAT_COUNT_OF(lane->samples) && record->timestamp_ms >= lane->sample_from_ms)
		lane->samples[lane->sampled++] = record->timestamp_ms;
}

/* The earliest time at which a timer set by a row of this time could be due. */
static int64_t earliest_timer(const struct leat_lane *lane, int64_t time_ms)
{
	int64_t least = INT64_MAX;
	for (size_t i = 0; i < lane->pipeline->node_count; i++)
		least = LEAT_MIN(least, lane->pipeline->nodes[i].timer_min_ms);
	return least == INT64_MAX ? INT64_MAX : time_ms + least;
}

struct fill {
	int stream;
	int64_t now_us;
	int64_t timer_ms;       /* no watermark may pass this within the batch */
	size_t bytes;
};

static int next_timer(struct leat_lane *lane, int64_t *at_ms)
{
	*at_ms = INT64_MAX;
	for (size_t i = 0; i < lane->pipeline->group_count; i++) {
		int64_t next = INT64_MAX;
		if (lane->groups[i].rows && lane->pipeline->groups[i].kind == LEAT_KEYED)
			LEAT_TRY(leat_rows_timer_next(lane->groups[i].rows, &next));
		*at_ms = LEAT_MIN(*at_ms, next);
	}
	return 0;
}

/*
 * Deltas of shared rows that this task owns: no rows, and no part of the merge by time: they are taken as soon as they are there, else an input that is
 * behind would keep them waiting. One that nobody can have sent stops the batch: the position stays before it.
 */
static int take_deltas(struct leat_lane *lane, struct leat_intake *intake, struct leat_fault *fault)
{
	for (; intake->at < intake->taken && !leat_intake_halts(lane, (size_t)(intake - lane->intakes)); intake->at++) {
		const struct leat_record *record = &intake->records[intake->at];
		int rc;
		enum leat_bad bad = leat_shared_receive(lane, record, &rc);
		if (rc < 0)
			return leat_fail(fault, rc, "out of memory");
		if (bad) {
			set_aside(lane, intake, record, bad);
			return 0;
		}
		intake->events++;
		intake->next_offset = record->offset + 1;
		lane->touched = true;
	}
	return 0;
}

/* Decodes the next record into the row after the last; 1: taken as row, 0: taken but set aside, 2: stop the batch before it, 3: blocked. */
static int take_row(struct leat_lane *lane, struct leat_intake *intake, struct fill *fill, struct leat_fault *fault)
{
	const struct leat_record *record = &intake->records[intake->at];
	struct leat_stream_run *run = &lane->streams[intake->source->stream];
	size_t row = run->rows;
	int64_t time_ms;
	clear_missing(lane, intake->source, run, row);
	int bad = intake->rekey ? leat_rekey_in_row(lane, intake, record, run, row, &time_ms) : decode(lane, intake, record, run->columns, row);
	if (bad == LEAT_BAD_NO_MEMORY)
		return leat_fail(fault, LEAT_ENOMEM, "out of memory");
	if (bad < 0) {
		intake->blocked_until_us = fill->now_us + RETRY_US;
		return 3;
	}
	if (!bad && !intake->rekey)
		bad = (int)event_time(intake, record, run->columns, row, &time_ms);
	if (bad) {
		if (bad != LEAT_REKEY_MARK)
			set_aside(lane, intake, record, (enum leat_bad)bad);
		took(lane, intake, record);
		return 0;
	}
	int64_t watermark = watermark_with(lane, intake, time_ms, fill->now_us);
	if (watermark >= fill->timer_ms) {
		if (run->rows > 0 || lane->rejection_count > 0)
			return 2;
		LEAT_TRY(leat_flow_timers(lane, watermark, fault));
		LEAT_TRY(next_timer(lane, &fill->timer_ms));
	}
	fill->timer_ms = LEAT_MIN(fill->timer_ms, earliest_timer(lane, time_ms));
	if (!intake->rekey) {
		run->id[row] = event_id(lane, intake, record, run->columns, row);
		run->key[row] = record->key;
		intake->max_time_ms = LEAT_MAX(intake->max_time_ms, time_ms);
	}
	lane->watermark_ms = watermark;
	run->time_ms[row] = time_ms;
	run->watermark_ms[row] = watermark;
	run->source[row] = (uint16_t)(intake->source - lane->pipeline->sources);
	run->arrival[row] = lane->arrivals + 1;   /* timers that fire before the first row have 0 */
	run->record[row] = record;
	run->rejected[row] = 0;
	run->rows++;
	took(lane, intake, record);
	return 1;
}

static void wake_blocked(struct leat_lane *lane, int64_t now_us)
{
	for (size_t i = 0; i < lane->pipeline->source_count; i++)
		if (lane->intakes[i].blocked_until_us <= now_us)
			lane->intakes[i].blocked_until_us = 0;
}

/* Timers also run when an input has gone idle and the watermark moves without an event. */
static int idle_watermark(struct leat_lane *lane, int64_t now_us, struct leat_fault *fault)
{
	int64_t watermark = watermark_with(lane, NULL, 0, now_us), timer;
	bool all_idle = true;
	for (size_t i = 0; i < lane->pipeline->source_count; i++)
		all_idle &= lane->intakes[i].source->deltas || leat_intake_idle(lane, i, now_us);
	if (all_idle || watermark == INT64_MAX || watermark <= lane->watermark_ms)
		return 0;
	lane->watermark_ms = watermark;
	LEAT_TRY(next_timer(lane, &timer));
	return timer <= watermark ? leat_flow_timers(lane, watermark, fault) : 0;
}

int leat_intake_fill(struct leat_lane *lane, int *stream, struct leat_fault *fault)
{
	struct fill fill = { .stream = -1, .now_us = leat_clock_mono_us(lane->engine->clock) };
	size_t limit = singly(lane) ? 1 : (size_t)lane->pipeline->settings.batch;
	lane->arrivals = 0;
	*stream = -1;
	wake_blocked(lane, fill.now_us);
	for (size_t i = 0; i < lane->pipeline->source_count; i++)
		if (lane->intakes[i].at == lane->intakes[i].taken)
			LEAT_TRY(refill(lane, &lane->intakes[i], fill.now_us, fault));
	if (lane->pipeline->deltas_source >= 0)
		LEAT_TRY(take_deltas(lane, &lane->intakes[lane->pipeline->deltas_source], fault));
	LEAT_TRY(next_timer(lane, &fill.timer_ms));
	while (lane->arrivals < limit && fill.bytes < BATCH_BYTES) {
		struct leat_intake *intake = choose(lane, fill.stream, fill.now_us);
		if (!intake)
			break;
		fill.bytes += intake->records[intake->at].value.length;
		int took_it = take_row(lane, intake, &fill, fault);
		LEAT_TRY(took_it);
		fill.stream = intake->source->stream;
		if (took_it >= 2)
			break;
		if (intake->at == intake->taken && merges(lane))
			break;   /* what comes next on this input may be older than what waits on the others */
	}
	if (lane->arrivals == 0 && merges(lane))
		LEAT_TRY(idle_watermark(lane, fill.now_us, fault));
	*stream = lane->arrivals > 0 ? fill.stream : -1;
	return 0;
}

void leat_intake_release(struct leat_lane *lane)
{
	for (size_t i = 0; i < lane->pipeline->source_count; i++) {
		struct leat_intake *intake = &lane->intakes[i];
		if (intake->at == 0)
			continue;
		lane->ops->feed_release(intake->feed, intake->at);
		intake->taken = intake->at = 0;
	}
}
