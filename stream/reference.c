/* Reference tables: rows by key (and time) in a hash map, and beside it dense sorted columns that operators scan; the columns are made anew after changes. */
#include "stream/reference.h"
#include "schemas/registry.h"
#include "stream/pipeline.h"

#include <errno.h>
#include <stdlib.h>
#include <uthash.h>

enum { ROWS_MAX = 1000000, PARTITIONS_MAX = 1024, DECODERS_MAX = 64 };

struct value {
	uint8_t null;
	union { uint8_t boolean; int64_t integer; float single; double real; struct { uint32_t at, count; } span; };
};

/* Key and values in one block: values[fields], then the bytes that spans point into, then the key and the time it holds from. */
struct entry {
	UT_hash_handle hh;
	uint32_t key_length;
	int64_t since_ms;                      /* INT64_MIN in a table without history */
	uint8_t *key, *bytes;
	struct value values[];
};

struct leat_reference {
	const struct leat_reference_spec *spec;
	const struct leat_schema *schema;
	size_t fields, key_field;
	long history_field;                    /* -1: none */
	struct entry *entries;
	struct entry **sorted;
	size_t count;
	struct leat_column *columns;           /* dense, @count rows */
	struct leat_column *scratch;           /* one decoded row at index 0 */
	struct leat_arena *arena;              /* lists of the dense columns */
	struct leat_arena *decoding;           /* of the one scratch row     */
	int *slots;
	struct leat_json_decoder *json;
	struct { int32_t id; struct leat_decoder *decoder; } decoders[DECODERS_MAX];
	size_t decoder_count;
	struct leat_registry *registry;
	struct leat_transport *transport;
	struct leat_reader *readers[PARTITIONS_MAX];   /* NULL: opened at @next when it is drained */
	int64_t next[PARTITIONS_MAX];
	int32_t partitions;
	uint64_t version;
	bool changed;
};

/* ---- opening ---- */

static int make_scratch(struct leat_reference *reference)
{
	const struct leat_field *fields[LEAT_SLOTS_MAX];
	if (reference->fields > LEAT_SLOTS_MAX)
		return LEAT_ELIMIT;
	for (size_t i = 0; i < reference->fields; i++) {
		fields[i] = leat_schema_field(reference->schema, i);
		reference->slots[i] = (int)i;
	}
	return leat_columns_make(&reference->scratch, fields, reference->fields);
}

static int load_rows(struct leat_reference *reference, struct leat_fault *fault);

int leat_reference_open(struct leat_reference **out, const struct leat_reference_spec *spec, struct leat_fault *fault)
{
	struct leat_reference *reference = leat_calloc(1, sizeof *reference);
	int rc = LEAT_ENOMEM;
	*out = reference;
	if (!reference)
		return leat_fail(fault, rc, "out of memory");
	reference->spec = spec;
	reference->schema = spec->schema;
	reference->fields = leat_schema_count(spec->schema);
	reference->key_field = (size_t)leat_schema_find(spec->schema, spec->key_name);
	reference->history_field = spec->history_name ? leat_schema_find(spec->schema, spec->history_name) : -1;
	reference->slots = leat_calloc(reference->fields, sizeof *reference->slots);
	reference->columns = leat_calloc(reference->fields, sizeof *reference->columns);
	if (!reference->slots || !reference->columns || make_scratch(reference) < 0 || leat_arena_open(&reference->arena, 16 << 10) < 0 || leat_arena_open(&reference->decoding, 16 << 10) < 0)
		return leat_fail(fault, rc, "out of memory");
	LEAT_TRY(leat_json_decoder_open(&reference->json, spec->schema, reference->slots, fault));
	return spec->rows.items ? load_rows(reference, fault) : 0;
}

static void free_columns(struct leat_reference *reference)
{
	for (size_t i = 0; reference->columns && i < reference->fields; i++) {
		leat_free(reference->columns[i].null);
		leat_free(reference->columns[i].data);
		reference->columns[i] = (struct leat_column){ 0 };
	}
}

void leat_reference_close(struct leat_reference *reference)
{
	struct entry *entry, *next;
	if (!reference)
		return;
	for (int32_t i = 0; i < reference->partitions; i++)
		if (reference->readers[i])
			reference->transport->ops->reader_close(reference->readers[i]);
	HASH_ITER(hh, reference->entries, entry, next) {
		HASH_DEL(reference->entries, entry);
		leat_free(entry);
	}
	for (size_t i = 0; i < reference->decoder_count; i++)
		leat_decoder_free(reference->decoders[i].decoder);
	free_columns(reference);
	leat_free(reference->columns);
	leat_free(reference->sorted);
	leat_free(reference->slots);
	if (reference->scratch)
		leat_columns_free(reference->scratch, reference->fields);
	leat_json_decoder_free(reference->json);
	leat_arena_close(reference->arena);
	leat_arena_close(reference->decoding);
	leat_free(reference);
}

/* ---- rows ---- */

static size_t span_bytes(const struct leat_column *column, size_t row)
{
	const struct leat_list *list = &column->lists[row];
	size_t sum = 0;
	switch (column->type) {
	case LEAT_STRING: case LEAT_BYTES:
		return column->bytes[row].length;
	case LEAT_FLOATS:
		return list->count * sizeof(float) + sizeof(float);
	case LEAT_STRINGS:
		for (uint32_t i = 0; i < list->count; i++)
			sum += ((const struct leat_bytes *)list->items)[i].length + sizeof(uint32_t);
		return sum;
	default:
		return 0;
	}
}

static uint32_t put_span(struct entry *entry, uint32_t at, const struct leat_column *column, struct value *value)
{
	const struct leat_list *list = &column->lists[0];
	value->span.count = column->type == LEAT_STRING || column->type == LEAT_BYTES ? column->bytes[0].length : list->count;
	if (column->type == LEAT_FLOATS)
		at = (at + 3) & ~3u;
	value->span.at = at;
	if (column->type == LEAT_STRING || column->type == LEAT_BYTES) {
		if (value->span.count)
			memcpy(entry->bytes + at, column->bytes[0].data, value->span.count);
		return at + value->span.count;
	}
	if (column->type == LEAT_FLOATS) {
		if (list->count)
			memcpy(entry->bytes + at, list->items, list->count * sizeof(float));
		return at + list->count * (uint32_t)sizeof(float);
	}
	for (uint32_t i = 0; i < list->count; i++) {
		const struct leat_bytes *text = (const struct leat_bytes *)list->items + i;
		memcpy(entry->bytes + at, &text->length, sizeof text->length);
		memcpy(entry->bytes + at + sizeof text->length, text->data, text->length);
		at += (uint32_t)sizeof text->length + text->length;
	}
	return at;
}

static uint32_t put_value(struct entry *entry, uint32_t at, const struct leat_column *column, struct value *value)
{
	value->null = column->null[0];
	if (value->null)
		return at;
	switch (column->type) {
	case LEAT_BOOL:
		value->boolean = column->bools[0];
		return at;
	case LEAT_INT: case LEAT_ENUM:
		value->integer = column->ints[0];
		return at;
	case LEAT_FLOAT:
		value->single = column->floats[0];
		return at;
	case LEAT_DOUBLE:
		value->real = column->doubles[0];
		return at;
	default:
		return put_span(entry, at, column, value);
	}
}

static struct leat_bytes scratch_key(const struct leat_reference *reference)
{
	const struct leat_column *column = &reference->scratch[reference->key_field];
	if (column->null[0])
		return leat_bytes(NULL, 0);
	return column->type == LEAT_INT ? leat_bytes(column->ints, sizeof *column->ints) : column->bytes[0];
}

static void remove_entry(struct leat_reference *reference, struct entry *entry)
{
	HASH_DEL(reference->entries, entry);
	leat_free(entry);
	reference->changed = true;
}

/* What the map knows a row by: its key, and in a table with history the time behind it. */
static uint32_t identity_length(const struct leat_reference *reference, const struct entry *entry)
{
	return entry->key_length + (reference->history_field >= 0 ? (uint32_t)sizeof entry->since_ms : 0);
}

/* All rows of the key: there is one, or a history. */
static void remove_key(struct leat_reference *reference, struct leat_bytes key)
{
	struct entry *entry, *next;
	if (reference->history_field < 0) {
		HASH_FIND(hh, reference->entries, key.data, key.length, entry);
		if (entry)
			remove_entry(reference, entry);
		return;
	}
	HASH_ITER(hh, reference->entries, entry, next)
		if (leat_bytes_equal(leat_bytes(entry->key, entry->key_length), key))
			remove_entry(reference, entry);
}

/* What tells the row in scratch from others: its key and the time it holds from. False: it lacks one of them. */
static bool identify(struct leat_reference *reference, struct leat_bytes *key, int64_t *since_ms)
{
	const struct leat_column *history = reference->history_field >= 0 ? &reference->scratch[reference->history_field] : NULL;
	*key = scratch_key(reference);
	*since_ms = history && !history->null[0] ? history->ints[0] : INT64_MIN;
	return key->data && !(history && history->null[0]);
}

static struct entry *make_entry(const struct leat_reference *reference, struct leat_bytes key, int64_t since_ms)
{
	size_t bytes = key.length + sizeof since_ms;
	for (size_t i = 0; i < reference->fields; i++)
		if (!reference->scratch[i].null[0])
			bytes += span_bytes(&reference->scratch[i], 0);
	struct entry *entry = leat_calloc(1, sizeof *entry + reference->fields * sizeof *entry->values + bytes);
	if (!entry)
		return NULL;
	entry->bytes = (uint8_t *)&entry->values[reference->fields];
	uint32_t at = 0;
	for (size_t i = 0; i < reference->fields; i++)
		at = put_value(entry, at, &reference->scratch[i], &entry->values[i]);
	entry->key = entry->bytes + at;
	entry->key_length = key.length;
	entry->since_ms = since_ms;
	memcpy(entry->key, key.data, key.length);
	memcpy(entry->key + key.length, &since_ms, sizeof since_ms);
	return entry;
}

/* The row in scratch takes the place of the one of the same key (and time). */
static int put_row(struct leat_reference *reference)
{
	struct leat_bytes key;
	struct entry *known = NULL;
	int64_t since_ms;
	bool whole = identify(reference, &key, &since_ms);
	struct entry *entry = whole ? make_entry(reference, key, since_ms) : NULL;
	if (whole && !entry)
		return LEAT_ENOMEM;
	if (whole)
		HASH_FIND(hh, reference->entries, entry->key, identity_length(reference, entry), known);
	if (!known && (!whole || HASH_COUNT(reference->entries) >= ROWS_MAX)) {
		leat_free(entry);
		leat_log_seldom(LEAT_WARNING, &reference->entries, 60000, "table '%s': a record %s is skipped", reference->spec->name, whole ? "beyond the limit of rows" : "without a key or a time");
		return 0;
	}
	if (known)
		remove_entry(reference, known);
	HASH_ADD_KEYPTR(hh, reference->entries, entry->key, identity_length(reference, entry), entry);
	reference->changed = true;
	return 0;
}

/* ---- dense columns ---- */

static int by_key(const struct entry *x, const struct entry *y)
{
	int order = memcmp(x->key, y->key, LEAT_MIN(x->key_length, y->key_length));
	return order ? order : (x->key_length > y->key_length) - (x->key_length < y->key_length);
}

static int by_key_and_time(const void *a, const void *b)
{
	const struct entry *x = *(const struct entry *const *)a, *y = *(const struct entry *const *)b;
	int order = by_key(x, y);
	return order ? order : (x->since_ms > y->since_ms) - (x->since_ms < y->since_ms);
}

static int fill_strings(struct leat_reference *reference, struct leat_list *list, const struct entry *entry, const struct value *value)
{
	struct leat_bytes *items = leat_arena_take(reference->arena, value->span.count * sizeof *items + 1);
	const uint8_t *at = entry->bytes + value->span.at;
	if (!items)
		return LEAT_ENOMEM;
	for (uint32_t i = 0; i < value->span.count; i++) {
		memcpy(&items[i].length, at, sizeof items[i].length);
		items[i].data = at + sizeof items[i].length;
		at = items[i].data + items[i].length;
	}
	*list = (struct leat_list){ items, value->span.count };
	return 0;
}

static int fill_cell(struct leat_reference *reference, struct leat_column *column, size_t row, const struct entry *entry, const struct value *value)
{
	column->null[row] = value->null;
	if (value->null)
		return 0;
	switch (column->type) {
	case LEAT_BOOL:
		column->bools[row] = value->boolean;
		return 0;
	case LEAT_INT: case LEAT_ENUM:
		column->ints[row] = value->integer;
		return 0;
	case LEAT_FLOAT:
		column->floats[row] = value->single;
		return 0;
	case LEAT_DOUBLE:
		column->doubles[row] = value->real;
		return 0;
	case LEAT_STRING: case LEAT_BYTES:
		column->bytes[row] = leat_bytes(entry->bytes + value->span.at, value->span.count);
		return 0;
	case LEAT_FLOATS:
		column->lists[row] = (struct leat_list){ entry->bytes + value->span.at, value->span.count };
		return 0;
	default:
		return fill_strings(reference, &column->lists[row], entry, value);
	}
}

static int fill_column(struct leat_reference *reference, size_t field)
{
	struct leat_column *column = &reference->columns[field];
	column->type = leat_schema_field(reference->schema, field)->type;
	column->width = 1;
	column->null = leat_calloc(reference->count + 1, 1);
	column->data = leat_calloc(reference->count + 1, leat_type_size(column->type));
	if (!column->null || !column->data)
		return LEAT_ENOMEM;
	for (size_t row = 0; row < reference->count; row++)
		LEAT_TRY(fill_cell(reference, column, row, reference->sorted[row], &reference->sorted[row]->values[field]));
	return 0;
}

static int publish(struct leat_reference *reference)
{
	struct entry *entry, *next;
	size_t count = 0;
	if (!reference->changed && reference->version > 0)
		return 0;
	struct entry **sorted = leat_calloc(HASH_COUNT(reference->entries) + 1, sizeof(struct entry *));
	if (!sorted)
		return LEAT_ENOMEM;
	leat_free(reference->sorted);
	reference->sorted = sorted;
	HASH_ITER(hh, reference->entries, entry, next)
		sorted[count++] = entry;
	qsort(sorted, count, sizeof(struct entry *), by_key_and_time);
	reference->count = count;
	free_columns(reference);
	leat_arena_reset(reference->arena);
	for (size_t i = 0; i < reference->fields; i++)
		LEAT_TRY(fill_column(reference, i));
	reference->changed = false;
	reference->version++;
	return 1;
}

static int bad_row(const struct leat_reference *reference, size_t row, struct leat_fault *fault)
{
	char detail[200];
	enum leat_bad bad = leat_json_decoder_explain(reference->json, leat_text(reference->spec->rows.items[row]), detail, sizeof detail);
	return leat_fail(fault, LEAT_ECONFIG, "table '%s': row %zu: %s%s%s", reference->spec->name, row + 1, leat_bad_text(bad), detail[0] ? ": " : "", detail);
}

static int load_rows(struct leat_reference *reference, struct leat_fault *fault)
{
	for (size_t i = 0; i < reference->spec->rows.count; i++) {
		enum leat_bad bad = leat_json_decoder_run(reference->json, leat_text(reference->spec->rows.items[i]), reference->scratch, 0, reference->decoding);
		if (bad)
			return bad_row(reference, i, fault);
		if (put_row(reference) < 0)
			return leat_fail(fault, LEAT_ENOMEM, "out of memory");
	}
	return publish(reference) < 0 ? leat_fail(fault, LEAT_ENOMEM, "out of memory") : 0;
}

/* ---- the topic ---- */

/* 0 found, positive: why its records cannot be read. LEAT_ERETRY, LEAT_ESTOPPED: the registry does not say. LEAT_ENOMEM. */
static int find_decoder(struct leat_reference *reference, int32_t id, const struct leat_decoder **out, struct leat_fault *fault)
{
	const char *json;
	size_t length;
	for (size_t i = 0; i < reference->decoder_count; i++)
		if (reference->decoders[i].id == id) {
			*out = reference->decoders[i].decoder;
			return 0;
		}
	if (reference->decoder_count == DECODERS_MAX || !reference->registry)
		return LEAT_BAD_UNKNOWN_SCHEMA;
	int rc = leat_registry_by_id(reference->registry, id, &json, &length, fault);
	if (rc == LEAT_ERETRY || rc == LEAT_ESTOPPED || rc == LEAT_ENOMEM)
		return rc;
	if (rc < 0)
		return rc == LEAT_EUNSUPPORTED ? LEAT_BAD_SCHEMA_INCOMPATIBLE : LEAT_BAD_UNKNOWN_SCHEMA;
	struct leat_decoder *decoder = NULL;
	rc = leat_decoder_compile(&decoder, json, length, reference->schema, reference->slots, fault);
	if (rc < 0)
		return rc == LEAT_ENOMEM ? rc : LEAT_BAD_SCHEMA_INCOMPATIBLE;
	reference->decoders[reference->decoder_count].id = id;
	reference->decoders[reference->decoder_count++].decoder = decoder;
	*out = decoder;
	return 0;
}

static int decode_body(struct leat_reference *reference, const struct leat_record *record, struct leat_fault *fault)
{
	int32_t id;
	struct leat_bytes body;
	const struct leat_decoder *decoder;
	if (reference->spec->format == LEAT_FORMAT_JSON)
		return (int)leat_json_decoder_run(reference->json, record->value, reference->scratch, 0, reference->decoding);
	enum leat_bad bad = leat_wire_read(record->value, &id, &body);
	if (bad)
		return (int)bad;
	int rc = find_decoder(reference, id, &decoder, fault);
	return rc ? rc : (int)leat_decoder_run(decoder, body, reference->scratch, 0, reference->decoding);
}

/* A tombstone names its row by the record's key, which is the key field as text. False: it names none. */
static bool apply_tombstone(struct leat_reference *reference, struct leat_bytes key)
{
	char text[24], *end;
	if (reference->scratch[reference->key_field].type != LEAT_INT) {
		if (key.data)
			remove_key(reference, key);
		return key.data != NULL;
	}
	if (key.length == 0 || key.length >= sizeof text)
		return false;
	memcpy(text, key.data, key.length);
	text[key.length] = 0;
	errno = 0;
	int64_t number = strtoll(text, &end, 10);
	if (errno || end != text + key.length || !(text[0] == '-' || (text[0] >= '0' && text[0] <= '9')))
		return false;
	remove_key(reference, leat_bytes(&number, sizeof number));
	return true;
}

static void skip_record(struct leat_reference *reference, const struct leat_record *record, const char *why, const struct leat_fault *fault)
{
	leat_log_seldom(LEAT_WARNING, reference, 60000, "table '%s': the record at offset %lld of %s is skipped: %s%s%s", reference->spec->name, (long long)record->offset, reference->spec->topic, why,
			fault->text[0] ? ": " : "", fault->text);
}

static void skip_bad(struct leat_reference *reference, const struct leat_record *record, enum leat_bad bad, struct leat_fault *fault)
{
	if (reference->json)
		leat_json_decoder_explain(reference->json, record->value, fault->text, sizeof fault->text);
	skip_record(reference, record, leat_bad_text(bad), fault);
}

/* What cannot be read is skipped, so that the row stays as it was; what cannot be read just now is not. */
static int apply(struct leat_reference *reference, const struct leat_record *record, struct leat_fault *fault)
{
	struct leat_fault mine = { 0 };
	if (!record->value.data) {
		if (!apply_tombstone(reference, record->key))
			skip_record(reference, record, "its key names no row to delete", &mine);
		return 0;
	}
	leat_arena_reset(reference->decoding);
	int bad = decode_body(reference, record, &mine);
	if (bad == 0)
		bad = put_row(reference) < 0 ? LEAT_ENOMEM : 0;
	if (bad == LEAT_ENOMEM || bad == LEAT_BAD_NO_MEMORY)
		return leat_fail(fault, LEAT_ENOMEM, "out of memory");
	if (bad < 0)
		return leat_fail(fault, bad, "table '%s' waits for the schema of the record at offset %lld of %s: %s", reference->spec->name, (long long)record->offset, reference->spec->topic, mine.text);
	if (bad > 0)
		skip_bad(reference, record, (enum leat_bad)bad, &mine);
	return 0;
}

/* The next drain takes the record at @offset first. */
static void go_to(struct leat_reference *reference, int32_t partition, int64_t offset)
{
	if (reference->readers[partition])
		reference->transport->ops->reader_close(reference->readers[partition]);
	reference->readers[partition] = NULL;
	reference->next[partition] = offset;
}

/* Everything that is there now; *at_end when that was all. */
static int drain(struct leat_reference *reference, int32_t partition, int64_t timeout_ms, bool *at_end, struct leat_fault *fault)
{
	const struct leat_transport_ops *ops = reference->transport->ops;
	const struct leat_record *records;
	int64_t position;
	long count;
	*at_end = false;
	if (!reference->readers[partition])
		LEAT_TRY(ops->reader_open(reference->transport, reference->spec->topic, partition, reference->next[partition], &reference->readers[partition], fault));
	do {
		count = ops->reader_next(reference->readers[partition], &records, 1024, timeout_ms, at_end, &position, fault);
		for (long i = 0; i < count; i++) {
			int rc = apply(reference, &records[i], fault);
			if (rc < 0) {
				*at_end = false;
				go_to(reference, partition, records[i].offset);
				return rc;
			}
		}
	} while (count > 0);
	if (count == LEAT_ENOTFOUND || count == LEAT_EGAP)
		return leat_fail(fault, LEAT_EGAP, "table '%s': %s was deleted, or made again, while it was followed: a restart reads what it has now", reference->spec->name, reference->spec->topic);
	return count < 0 ? (int)count : 0;
}

static int load_partition(struct leat_reference *reference, int32_t partition, struct leat_fault *fault)
{
	int64_t first, end;
	bool at_end = false;
	LEAT_TRY(reference->transport->ops->bounds(reference->transport, reference->spec->topic, partition, &first, &end, fault));
	go_to(reference, partition, first);
	for (int tries = 0; !at_end && first < end; tries++) {
		LEAT_TRY(drain(reference, partition, 200, &at_end, fault));
		if (tries == 50)
			return leat_fail(fault, LEAT_ERETRY, "table '%s': the end of %s[%d] was not reached within 10 s", reference->spec->name, reference->spec->topic, (int)partition);
	}
	return 0;
}

int leat_reference_load(struct leat_reference *reference, struct leat_transport *transport, struct leat_registry *registry, struct leat_fault *fault)
{
	if (!reference->spec->topic)
		return 0;
	reference->transport = transport;
	reference->registry = registry;
	LEAT_TRY(transport->ops->partitions(transport, reference->spec->topic, &reference->partitions, fault));
	if (reference->partitions > PARTITIONS_MAX)
		return leat_fail(fault, LEAT_ELIMIT, "table '%s': %s has more than %d partitions", reference->spec->name, reference->spec->topic, PARTITIONS_MAX);
	for (int32_t i = 0; i < reference->partitions; i++)
		LEAT_TRY(load_partition(reference, i, fault));
	return publish(reference) < 0 ? leat_fail(fault, LEAT_ENOMEM, "out of memory") : 0;
}

int leat_reference_poll(struct leat_reference *reference, struct leat_fault *fault)
{
	bool at_end;
	int rc = 0;
	for (int32_t i = 0; rc >= 0 && i < reference->partitions; i++)
		rc = drain(reference, i, 0, &at_end, fault);
	int published = reference->changed ? publish(reference) : 0;   /* also after a failure: the columns point into rows that are gone */
	return rc < 0 ? rc : published;
}

/* ---- operator.h ---- */

uint64_t leat_reference_version(const struct leat_reference *reference)
{
	return reference->version;
}

size_t leat_reference_count(const struct leat_reference *reference)
{
	return reference->count;
}

const struct leat_column *leat_reference_column(const struct leat_reference *reference, const char *name)
{
	long field = leat_schema_find(reference->schema, name);
	return field < 0 ? NULL : &reference->columns[field];
}

const struct leat_field *leat_reference_field(const struct leat_reference *reference, const char *name)
{
	long field = leat_schema_find(reference->schema, name);
	return field < 0 ? NULL : leat_schema_field(reference->schema, (size_t)field);
}

const struct leat_field *leat_reference_key(const struct leat_reference *reference)
{
	return leat_schema_field(reference->schema, reference->key_field);
}

bool leat_reference_dated(const struct leat_reference *reference)
{
	return reference->history_field >= 0;
}

/* The last row that is not beyond @key and @time_ms, if it is of that key. */
long leat_reference_find(const struct leat_reference *reference, struct leat_bytes key, int64_t time_ms)
{
	size_t low = 0, high = reference->count;
	struct entry wanted = { .key = (uint8_t *)(uintptr_t)key.data, .key_length = key.length, .since_ms = time_ms }, *pointer = &wanted;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (by_key_and_time(&reference->sorted[middle], &pointer) <= 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low > 0 && by_key(reference->sorted[low - 1], &wanted) == 0 ? (long)low - 1 : -1;
}
