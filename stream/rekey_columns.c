/* The columns of re-keyed rows: as a schema for the body, as a list for whoever has others, and from such a list to ours. */
#include "stream/rekey_columns.h"

enum { NAME_MAX = UINT16_MAX };

static bool travels(const struct leat_stream *stream, int slot)
{
	return stream->read[slot] && stream->layout.fields[slot].type != LEAT_VECTOR;
}

/* ---- ours ---- */

static int put_name(struct leat_buffer *list, const char *name)
{
	uint16_t length = (uint16_t)LEAT_MIN(strlen(name), (size_t)NAME_MAX);
	LEAT_TRY(leat_buffer_append(list, &length, sizeof length));
	return leat_buffer_append(list, name, length);
}

static int put_column(struct leat_buffer *list, const struct leat_field *field)
{
	uint16_t symbols = 0;
	LEAT_TRY(leat_buffer_append(list, &field->type, sizeof field->type));
	LEAT_TRY(put_name(list, field->name));
	if (field->type != LEAT_ENUM)
		return 0;
	while (field->symbols && field->symbols[symbols])
		symbols++;
	LEAT_TRY(leat_buffer_append(list, &symbols, sizeof symbols));
	for (uint16_t i = 0; i < symbols; i++)
		LEAT_TRY(put_name(list, field->symbols[i]));
	return 0;
}

struct named {
	struct leat_field fields[LEAT_SLOTS_MAX + 1];
	char names[LEAT_SLOTS_MAX][8];
	const char *by;
	size_t count;
};

/* The next field, under a name of its own that says where it belongs: 'c' slot of ours, 'x' of the sender's. */
static void add_named(struct named *named, const struct leat_field *field, char kind, int number)
{
	struct leat_field *added = &named->fields[named->count];
	*added = *field;
	snprintf(named->names[named->count], sizeof named->names[0], "%c%d", kind, number & 0xfff);
	added->name = named->names[named->count++];
	added->nullable = true;
	added->help = NULL;
}

static int make(struct leat_rekey_columns *columns, struct named *named, const struct leat_node *node, struct leat_fault *fault)
{
	const struct leat_layout *layout = &columns->stream->layout;
	LEAT_TRY(put_name(&columns->list, layout->fields[node->rekey_slot].name));
	for (int slot = 0; slot < (int)layout->count; slot++) {
		if (!travels(columns->stream, slot))
			continue;
		LEAT_TRY(put_column(&columns->list, &layout->fields[slot]));
		columns->slots[named->count] = slot;
		add_named(named, &layout->fields[slot], 'c', slot);
	}
	columns->fingerprint = leat_rekey_fingerprint(leat_bytes(columns->list.data, columns->list.length));
	return leat_schema_from_fields(&columns->schema, "row", named->fields, fault);
}

int leat_rekey_columns_make(struct leat_rekey_columns *out, const struct leat_pipeline *pipeline, const struct leat_node *node, struct leat_fault *fault)
{
	struct named *named = leat_calloc(1, sizeof *named);
	*out = (struct leat_rekey_columns){ .stream = &pipeline->streams[node->stream] };
	int rc = named ? make(out, named, node, fault) : LEAT_ENOMEM;
	leat_free(named);
	return rc == LEAT_ENOMEM ? leat_fail(fault, rc, "out of memory") : rc;
}

void leat_rekey_columns_free(struct leat_rekey_columns *columns)
{
	leat_schema_free(columns->schema);
	leat_buffer_free(&columns->list);
}

uint64_t leat_rekey_fingerprint(struct leat_bytes list)
{
	return leat_hash(list.data, list.length);
}

/* ---- another's ---- */

struct reading {
	struct leat_bytes rest;
	struct leat_arena *arena;
};

static bool take(struct reading *reading, void *to, size_t size)
{
	if (reading->rest.length < size)
		return false;
	memcpy(to, reading->rest.data, size);
	reading->rest.data += size;
	reading->rest.length -= (uint32_t)size;
	return true;
}

static int take_name(struct reading *reading, const char **out)
{
	uint16_t length;
	if (!take(reading, &length, sizeof length) || length == 0 || length > reading->rest.length || memchr(reading->rest.data, '\0', length))
		return LEAT_ECORRUPT;
	char *name = leat_arena_take(reading->arena, length + 1u);
	if (!name)
		return LEAT_ENOMEM;
	(void)take(reading, name, length);
	name[length] = '\0';
	*out = name;
	return 0;
}

/* A symbol goes into the text of a schema as it is. */
static bool is_symbol(const char *name)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789";
	return name[strspn(name, letters)] == '\0' && !(*name >= '0' && *name <= '9');
}

static int take_symbols(struct reading *reading, struct leat_field *field)
{
	uint16_t count;
	if (!take(reading, &count, sizeof count) || count > reading->rest.length)
		return LEAT_ECORRUPT;
	const char **symbols = leat_arena_take(reading->arena, (count + 1u) * sizeof *symbols);
	if (!symbols)
		return LEAT_ENOMEM;
	for (uint16_t i = 0; i < count; i++) {
		LEAT_TRY(take_name(reading, &symbols[i]));
		if (!is_symbol(symbols[i]))
			return LEAT_ECORRUPT;
	}
	symbols[count] = NULL;
	field->symbols = symbols;
	return 0;
}

static int take_column(struct reading *reading, struct named *named)
{
	struct leat_field *field = &named->fields[named->count];
	if (named->count == LEAT_SLOTS_MAX || !take(reading, &field->type, sizeof field->type) || field->type == LEAT_NONE || field->type >= LEAT_TYPES || field->type == LEAT_VECTOR)
		return LEAT_ECORRUPT;
	LEAT_TRY(take_name(reading, &field->name));
	for (size_t i = 0; i < named->count; i++)
		if (strcmp(named->fields[i].name, field->name) == 0)
			return LEAT_ECORRUPT;
	if (field->type == LEAT_ENUM)
		LEAT_TRY(take_symbols(reading, field));
	named->count++;
	return 0;
}

static int take_list(struct reading *reading, struct named *named)
{
	LEAT_TRY(take_name(reading, &named->by));
	while (reading->rest.length > 0)
		LEAT_TRY(take_column(reading, named));
	return 0;
}

static bool widens(uint8_t from, uint8_t to)
{
	bool text = (from == LEAT_STRING || from == LEAT_BYTES) && (to == LEAT_STRING || to == LEAT_BYTES);
	return from == to || text || (from == LEAT_INT && (to == LEAT_FLOAT || to == LEAT_DOUBLE)) || (from == LEAT_FLOAT && to == LEAT_DOUBLE);
}

static int rename_columns(const struct leat_rekey_columns *ours, struct named *named, struct leat_fault *fault)
{
	const struct leat_layout *layout = &ours->stream->layout;
	size_t count = named->count;
	named->count = 0;
	for (size_t i = 0; i < count; i++) {
		const struct leat_field field = named->fields[i];
		int slot = leat_layout_find(layout, field.name);
		bool known = slot >= 0 && travels(ours->stream, slot);
		if (known && !widens(field.type, layout->fields[slot].type))
			return leat_fail(fault, LEAT_ESCHEMA, "their '%s' is %s, ours is %s", field.name, leat_type_name(field.type), leat_type_name(layout->fields[slot].type));
		add_named(named, &field, known ? 'c' : 'x', known ? slot : (int)i);
	}
	return 0;
}

static int resolve(const struct leat_rekey_columns *ours, struct named *named, struct leat_decoder **out, struct leat_fault *fault)
{
	struct leat_bytes list = leat_bytes(ours->list.data, ours->list.length);
	uint16_t length;
	memcpy(&length, list.data, sizeof length);
	if (strlen(named->by) != length || memcmp(named->by, list.data + sizeof length, length) != 0)
		return leat_fail(fault, LEAT_ESCHEMA, "their key is '%s', ours is '%.*s'", named->by, (int)length, (const char *)list.data + sizeof length);
	LEAT_TRY(rename_columns(ours, named, fault));
	struct leat_schema *writer;
	LEAT_TRY(leat_schema_from_fields(&writer, "row", named->fields, fault));
	const char *json = leat_schema_json(writer);
	int rc = leat_decoder_compile(out, json, strlen(json), ours->schema, ours->slots, fault);
	leat_schema_free(writer);
	return rc;
}

static int read_list(const struct leat_rekey_columns *ours, struct leat_bytes list, struct leat_decoder **out, struct leat_fault *fault)
{
	struct reading reading = { .rest = list };
	struct named *named = leat_calloc(1, sizeof *named);
	int rc = list.length > LEAT_REKEY_LIST_MAX ? LEAT_ECORRUPT : leat_arena_open(&reading.arena, 4096);
	if (rc >= 0)
		rc = named ? take_list(&reading, named) : LEAT_ENOMEM;
	if (rc >= 0 && ours)
		rc = resolve(ours, named, out, fault);
	leat_arena_close(reading.arena);
	leat_free(named);
	return rc;
}

int leat_rekey_columns_resolve(const struct leat_rekey_columns *ours, struct leat_bytes list, struct leat_decoder **out, struct leat_fault *fault)
{
	*out = NULL;
	return read_list(ours, list, out, fault);
}

int leat_rekey_columns_check(struct leat_bytes list)
{
	return read_list(NULL, list, NULL, NULL);
}
