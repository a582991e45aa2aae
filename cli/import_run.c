/* Rows of a file in batches: decoded, refused or mapped, encoded, sent. */
#include "cli/import_run.h"
#include "cli/cli.h"
#include "stream/operator.h"

enum { DETAIL_MAX = 200, BATCH_BYTES = 8 << 20, ARENA_CHUNK = 1 << 20, MEMORY = 32 << 20, SLICES_PER_SECOND = 20 };

struct running {
	const struct leat_import *import;
	struct leat_map *map;
	struct leat_import_stats *stats;
	const struct leat_transport_ops *ops;
	struct leat_session *session;
	struct leat_input *input;
	struct leat_decoder *avro;
	struct leat_json_decoder *json;
	struct leat_csv_decoder *csv;
	struct leat_arena *arena;
	struct leat_column *columns;                     /* by slot of the layout */
	char *name;                                      /* of the file           */
	int64_t started_us;
	/* the batch */
	struct leat_buffer bytes, body;
	struct leat_input_record records[LEAT_BATCH_MAX];
	size_t offsets[LEAT_BATCH_MAX];
	const char *refused[LEAT_BATCH_MAX];             /* reason, NULL: fine    */
	size_t count;
	struct leat_batch batch;
	uint16_t rows[LEAT_BATCH_MAX];
	const struct leat_column *values[LEAT_MAP_FIELDS_MAX];
	const struct leat_column *when[LEAT_MAP_TARGETS_MAX];
	struct leat_column *views[LEAT_MAP_TARGETS_MAX]; /* what a target's encoder gets */
};

static int no_memory(struct leat_fault *fault)
{
	return leat_fail(fault, LEAT_ENOMEM, "out of memory");
}

/* ---- reading ---- */

static size_t batch_limit(const struct running *running)
{
	size_t limit = LEAT_BATCH_MAX;
	if (running->import->rate > 0)
		limit = LEAT_MAX((size_t)1, (size_t)LEAT_MIN(running->import->rate / SLICES_PER_SECOND, (double)limit));
	if (running->import->limit)
		limit = (size_t)LEAT_MIN((uint64_t)limit, running->import->limit - running->stats->rows);
	return limit;
}

/* 0: the end, or the limit. */
static int read_batch(struct running *running, struct leat_fault *fault)
{
	size_t limit = batch_limit(running);
	running->count = running->bytes.length = 0;
	leat_arena_reset(running->arena);
	while (running->count < limit && running->bytes.length < BATCH_BYTES) {
		struct leat_input_record *record = &running->records[running->count];
		int rc = leat_input_next(running->input, record, fault);
		LEAT_TRY(rc);
		if (rc == 0)
			break;
		running->offsets[running->count++] = running->bytes.length;
		if (leat_buffer_append(&running->bytes, record->bytes.data, record->bytes.length) < 0)
			return no_memory(fault);
	}
	for (size_t i = 0; i < running->count; i++)
		running->records[i].bytes.data = running->bytes.data + running->offsets[i];
	running->stats->rows += running->count;
	return running->count > 0;
}

static enum leat_bad decode(struct running *running, size_t row)
{
	struct leat_bytes bytes = running->records[row].bytes;
	if (running->records[row].too_large)
		return LEAT_BAD_TOO_LARGE;
	if (running->avro)
		return leat_decoder_run(running->avro, bytes, running->columns, row, running->arena);
	return running->json ? leat_json_decoder_run(running->json, bytes, running->columns, row, running->arena) : leat_csv_decoder_run(running->csv, bytes, running->columns, row, running->arena);
}

static int decode_batch(struct running *running, struct leat_fault *fault)
{
	const struct leat_map *map = running->map;
	running->batch = (struct leat_batch){ .row = running->rows, .columns = running->columns };
	for (size_t row = 0; row < running->count; row++) {
		enum leat_bad bad = decode(running, row);
		if (bad == LEAT_BAD_NO_MEMORY)
			return no_memory(fault);
		running->refused[row] = bad ? leat_bad_text(bad) : NULL;
		if (map->file_slot >= 0)
			running->columns[map->file_slot].bytes[row] = leat_text(running->name);
		if (map->line_slot >= 0)
			running->columns[map->line_slot].ints[row] = running->records[row].line;
		if (!bad)
			running->rows[running->batch.count++] = (uint16_t)row;
	}
	return 0;
}

/* ---- mapping ---- */

static bool is_true(const struct leat_column *column, size_t row)
{
	return !column->null[row] && column->bools[row];
}

static int run_rules(struct running *running, struct leat_fault *fault)
{
	for (size_t i = 0; i < running->map->rule_count; i++) {
		const struct leat_column *column = leat_expression_run(running->map->rules[i].when, &running->batch, running->arena);
		if (!column)
			return no_memory(fault);
		for (size_t k = 0; k < running->batch.count; k++) {
			size_t row = running->rows[k];
			if (!running->refused[row] && is_true(column, row))
				running->refused[row] = running->map->rules[i].reason;
		}
	}
	return 0;
}

/* Where a text has to become a symbol's number: a column of its own. */
static int view_enum(struct running *running, struct leat_column *view)
{
	uint8_t *memory = leat_arena_take(running->arena, LEAT_BATCH_MAX * (sizeof(int64_t) + 1));
	if (!memory)
		return LEAT_ENOMEM;
	*view = (struct leat_column){ .type = LEAT_ENUM, .width = 1, .data = memory, .null = memory + LEAT_BATCH_MAX * sizeof(int64_t) };
	return 0;
}

static int run_fields(struct running *running, struct leat_fault *fault)
{
	struct leat_map *map = running->map;
	for (size_t i = 0; i < map->field_count; i++)
		if (!(running->values[i] = leat_expression_run(map->fields[i].expression, &running->batch, running->arena)))
			return no_memory(fault);
	for (size_t t = 0; t < map->target_count; t++) {
		const struct leat_map_target *target = &map->targets[t];
		running->when[t] = target->when ? leat_expression_run(target->when, &running->batch, running->arena) : NULL;
		if (target->when && !running->when[t])
			return no_memory(fault);
		for (size_t i = 0; i < leat_schema_count(target->schema); i++) {
			if (target->source[i] >= 0)
				running->views[t][i] = *running->values[target->source[i]];
			if (target->source[i] >= 0 && target->fields[i].type == LEAT_ENUM && view_enum(running, &running->views[t][i]) < 0)
				return no_memory(fault);
		}
	}
	return 0;
}

static bool goes_to(const struct running *running, size_t target, size_t row)
{
	return !running->when[target] || is_true(running->when[target], row);
}

static bool set_symbol(const struct leat_field *field, const struct leat_column *text, struct leat_column *out, size_t row)
{
	out->null[row] = text->null[row];
	out->ints[row] = 0;
	for (; !text->null[row] && field->symbols[out->ints[row]]; out->ints[row]++)
		if (leat_bytes_equal(text->bytes[row], leat_text(field->symbols[out->ints[row]])))
			return true;
	return text->null[row];
}

/* Why the target's schema cannot take the row, or NULL. */
static const char *check_row(struct running *running, size_t t, size_t row)
{
	const struct leat_map_target *target = &running->map->targets[t];
	for (size_t i = 0; i < leat_schema_count(target->schema); i++) {
		if (target->source[i] < 0)
			continue;
		const struct leat_column *value = running->values[target->source[i]];
		if (value->null[row] && target->missing[i])
			return target->missing[i];
		if (target->fields[i].type == LEAT_ENUM && !set_symbol(&target->fields[i], value, &running->views[t][i], row))
			return "unknown_symbol";
	}
	return NULL;
}

static const char *check_targets(struct running *running, size_t row)
{
	const char *reason = "no_target";
	for (size_t t = 0; t < running->map->target_count; t++) {
		if (!goes_to(running, t, row))
			continue;
		reason = check_row(running, t, row);
		if (reason)
			return reason;
	}
	return reason;
}

/* ---- sending ---- */

static int send_row(struct running *running, size_t t, size_t row, struct leat_fault *fault)
{
	const struct leat_map *map = running->map;
	const struct leat_map_target *target = &map->targets[t];
	const struct leat_column *key = running->values[map->key], *time = map->time >= 0 ? running->values[map->time] : NULL;
	uint8_t header[LEAT_WIRE_HEADER];
	leat_wire_write(header, target->schema_id);
	running->body.length = 0;
	int rc = leat_buffer_append(&running->body, header, sizeof header);
	if (rc >= 0)
		rc = leat_encoder_run(target->encoder, running->views[t], row, &running->body);
	if (rc < 0)
		return leat_fail(fault, rc, "%s:%lld: cannot be encoded by the schema '%s': %s", running->name, (long long)running->records[row].line, target->schema_name, leat_error_text(rc));
	struct leat_record record = { .timestamp_ms = time && !time->null[row] ? time->ints[row] : -1, .key = key->null[row] ? leat_bytes(NULL, 0) : key->bytes[row],
				      .value = leat_bytes(running->body.data, running->body.length) };
	running->stats->written[t].count++;
	return running->ops->session_send(running->session, target->topic, -1, &record, 0, fault);
}

static void count_reason(struct leat_import_stats *stats, const char *reason)
{
	size_t i = 0;
	stats->refused++;
	while (i < stats->reason_count && strcmp(stats->reasons[i].name, reason) != 0)
		i++;
	if (i == LEAT_IMPORT_REASONS_MAX)
		return;
	stats->reasons[i].name = reason;
	stats->reasons[i].count++;
	stats->reason_count = LEAT_MAX(stats->reason_count, i + 1);
}

/* Of a row that was decoded and then refused by a rule: nothing. */
static enum leat_bad explain(const struct running *running, size_t row, char detail[DETAIL_MAX])
{
	const struct leat_input_record *record = &running->records[row];
	detail[0] = '\0';
	if (record->too_large || running->avro)
		return LEAT_BAD_NONE;
	return running->json ? leat_json_decoder_explain(running->json, record->bytes, detail, DETAIL_MAX) : leat_csv_decoder_explain(running->csv, record->bytes, detail, DETAIL_MAX);
}

static int send_refused(struct running *running, size_t row, struct leat_fault *fault)
{
	const struct leat_input_record *record = &running->records[row];
	char line[24], key[300], detail[DETAIL_MAX];
	snprintf(line, sizeof line, "%lld", (long long)record->line);
	snprintf(key, sizeof key, "%s:%s", running->name, line);
	if (explain(running, row, detail) == LEAT_BAD_NO_MEMORY)
		return no_memory(fault);
	const struct leat_header headers[] = {
		{ leat_text("reason"), leat_text(running->refused[row]) }, { leat_text("file"), leat_text(running->name) }, { leat_text("line"), leat_text(line) }, { leat_text("detail"), leat_text(detail) },
	};
	const struct leat_record letter = { .timestamp_ms = -1, .key = leat_text(key), .value = record->bytes, .headers = headers, .header_count = LEAT_COUNT_OF(headers) - !detail[0] };
	count_reason(running->stats, running->refused[row]);
	return running->ops->session_send(running->session, running->map->dead_letters, -1, &letter, 0, fault);
}

static int send_batch(struct running *running, struct leat_fault *fault)
{
	for (size_t row = 0; row < running->count; row++) {
		if (!running->refused[row])
			running->refused[row] = check_targets(running, row);
		if (running->refused[row]) {
			LEAT_TRY(send_refused(running, row, fault));
			continue;
		}
		for (size_t t = 0; t < running->map->target_count; t++)
			if (goes_to(running, t, row))
				LEAT_TRY(send_row(running, t, row, fault));
	}
	return 0;
}

static bool stopped(const struct running *running)
{
	return running->import->stop && running->import->stop(NULL);
}

static void wait_for_rate(const struct running *running)
{
	double due_us = running->import->rate > 0 ? (double)running->stats->rows / running->import->rate * 1e6 : 0;
	while (due_us > (double)(leat_clock_mono_us(NULL) - running->started_us) && !stopped(running))
		leat_tool_nap(1000);
}

static int run_all(struct running *running, struct leat_fault *fault)
{
	int rc;
	running->started_us = leat_clock_mono_us(NULL);
	while (!stopped(running) && (rc = read_batch(running, fault)) != 0) {
		LEAT_TRY(rc);
		LEAT_TRY(decode_batch(running, fault));
		if (running->batch.count) {
			LEAT_TRY(run_rules(running, fault));
			LEAT_TRY(run_fields(running, fault));
		}
		LEAT_TRY(send_batch(running, fault));
		if (running->import->rate > 0)
			LEAT_TRY(running->ops->session_commit(running->session, NULL, 0, "", fault));
		wait_for_rate(running);
	}
	return running->ops->session_commit(running->session, NULL, 0, "", fault);
}

/* ---- setting up ---- */

/* Ids of events hold the file's name: the same whether it is packed or not. */
static char *name_of(const char *path)
{
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
	size_t length = strlen(name);
	if (length > 3 && (strcmp(name + length - 3, ".gz") == 0 || strcmp(name + length - 3, ".xz") == 0))
		length -= 3;
	return leat_printf("%.*s", (int)LEAT_MIN(length, (size_t)250), name);
}

static int resolve_map(struct running *running, struct leat_fault *fault)
{
	struct leat_map *map = running->map;
	struct leat_input_record header;
	char *names = NULL;
	int rc = 0;
	if (map->input.format == LEAT_INPUT_CSV && map->input.header) {
		LEAT_TRY(rc = leat_input_next(running->input, &header, fault));
		bool bom = rc && header.bytes.length >= 3 && memcmp(header.bytes.data, "\xef\xbb\xbf", 3) == 0;
		names = rc ? leat_printf("%.*s", (int)(header.bytes.length - 3 * bom), (const char *)header.bytes.data + 3 * bom) : NULL;
		if (!names)
			return rc ? no_memory(fault) : leat_fail(fault, LEAT_ECONFIG, "%s: is empty, where a header should be", running->import->path);
	}
	rc = leat_map_resolve(map, map->input.format == LEAT_INPUT_AVRO ? leat_input_schema(running->input) : names, running->import->schemas, fault);
	leat_free(names);
	return rc;
}

static int open_decoder(struct running *running, struct leat_fault *fault)
{
	const struct leat_map *map = running->map;
	const struct leat_field *fields[LEAT_SLOTS_MAX];
	int slots[LEAT_SLOTS_MAX];
	for (size_t i = 0; i < map->layout.count; i++) {
		fields[i] = &map->layout.fields[i];
		slots[i] = (int)i;
	}
	if (leat_columns_make(&running->columns, fields, map->layout.count) < 0 || leat_arena_open(&running->arena, ARENA_CHUNK) < 0)
		return no_memory(fault);
	if (map->input.format == LEAT_INPUT_AVRO)
		return leat_decoder_compile(&running->avro, leat_input_schema(running->input), strlen(leat_input_schema(running->input)), map->row_schema, slots, fault);
	if (map->input.format == LEAT_INPUT_JSON)
		return leat_json_decoder_open(&running->json, map->row_schema, slots, fault);
	const char *columns = leat_map_columns(map);
	return columns ? leat_csv_decoder_open(&running->csv, map->row_schema, columns, map->input.separator[0], slots, fault) : no_memory(fault);
}

static int find_id(const struct running *running, struct leat_map_target *target, struct leat_fault *fault)
{
	target->schema_id = (int32_t)target->given_id;
	if (target->given_id)
		return 0;
	char *subject = leat_printf("%s-value", target->topic);
	int rc = subject ? leat_registry_register(running->import->registry, subject, leat_schema_json(target->schema), &target->schema_id, fault) : no_memory(fault);
	leat_free(subject);
	return rc;
}

static int open_targets(struct running *running, struct leat_fault *fault)
{
	struct leat_map *map = running->map;
	struct leat_transport *transport = running->import->transport;
	LEAT_TRY(leat_tool_topic_kept(transport, map->dead_letters, (int32_t)map->partitions, fault));
	for (size_t i = 0; i < map->target_count; i++) {
		struct leat_map_target *target = &map->targets[i];
		LEAT_TRY(leat_tool_topic_kept(transport, target->topic, (int32_t)map->partitions, fault));
		LEAT_TRY(find_id(running, target, fault));
		running->views[i] = leat_calloc(leat_schema_count(target->schema), sizeof(struct leat_column));
		if (!running->views[i])
			return no_memory(fault);
		running->stats->written[running->stats->written_count++].name = target->topic;
	}
	return running->ops->session_open(transport, &(struct leat_session_config){ .worker = -1, .tasks = 1, .memory = MEMORY }, &running->session, fault);
}

static void tear_down(struct running *running)
{
	if (running->session)
		running->ops->session_close(running->session, true);
	for (size_t i = 0; i < LEAT_MAP_TARGETS_MAX; i++)
		leat_free(running->views[i]);
	if (running->columns)
		leat_columns_free(running->columns, running->map->layout.count);
	leat_decoder_free(running->avro);
	leat_json_decoder_free(running->json);
	leat_csv_decoder_free(running->csv);
	leat_arena_close(running->arena);
	leat_input_close(running->input);
	leat_buffer_free(&running->bytes);
	leat_buffer_free(&running->body);
	leat_free(running->name);
	leat_free(running);
}

int leat_import_run(const struct leat_import *import, struct leat_import_stats *stats, struct leat_fault *fault)
{
	struct running *running = leat_calloc(1, sizeof *running);
	struct leat_map *map = import->map;
	int rc;
	*stats = (struct leat_import_stats){ 0 };
	if (!running)
		return no_memory(fault);
	running->import = import;
	running->map = map;
	running->stats = stats;
	running->ops = import->transport->ops;
	running->name = name_of(import->path);
	if (!running->name)
		rc = no_memory(fault);
	else if ((rc = leat_input_open(&running->input, import->path, (enum leat_input_format)map->input.format, map->input.separator[0], fault)) >= 0 &&
		 (rc = resolve_map(running, fault)) >= 0 && (rc = open_decoder(running, fault)) >= 0 && (rc = open_targets(running, fault)) >= 0)
		rc = run_all(running, fault);
	tear_down(running);
	return rc < 0 ? rc : 0;
}
