/*
 * The decoder and the encoder against avro-c, on random schemas and data of a fixed seed. avro-c writes bodies from random values; ours must read
 * the same values through a reader schema that promotes, renames, reorders, drops and adds fields; what ours then writes, avro-c must read as the same.
 * Bodies cut at every length must be refused; bodies with a flipped byte must be refused, or be what avro-c reads too.
 */
#include "tests/schemas/given.h"

#include <avro.h>

enum { CASES = 2500, FLIPS = 8, DEPTH_MAX = 3, NESTED_MAX = 6 };

static uint64_t seed;

static uint64_t below(uint64_t limit)
{
	return leat_mix(++seed) % limit;
}

/* ---- a random pair of schemas ---- */

struct pair {
	struct leat_buffer writer, reader;
	unsigned names;
};

#define SAY(buffer, ...) assert_int_equal(leat_buffer_printf(buffer, __VA_ARGS__), 0)

static void any_type(struct pair *pair, int depth);

/* Types that a column can hold, and what they may be promoted to. */
static const struct {
	const char *writer, *readers[4];
} simple[] = {
	{ "\"boolean\"", { "\"boolean\"" } },
	{ "\"int\"", { "\"int\"", "\"long\"", "\"float\"", "\"double\"" } },
	{ "\"long\"", { "\"long\"", "\"float\"", "\"double\"" } },
	{ "\"float\"", { "\"float\"", "\"double\"" } },
	{ "\"double\"", { "\"double\"" } },
	{ "\"string\"", { "\"string\"", "\"bytes\"" } },
	{ "\"bytes\"", { "\"bytes\"" } },
	{ "{\"type\":\"array\",\"items\":\"string\"}", { "{\"type\":\"array\",\"items\":\"string\"}" } },
	{ "{\"type\":\"array\",\"items\":\"float\"}", { "{\"type\":\"array\",\"items\":\"float\"}", "{\"type\":\"array\",\"items\":\"double\"}" } },
	{ "{\"type\":\"array\",\"items\":\"double\"}", { "{\"type\":\"array\",\"items\":\"double\"}" } },
	{ "{\"type\":\"array\",\"items\":\"int\"}", { "{\"type\":\"array\",\"items\":\"float\"}" } },
	{ "{\"type\":\"array\",\"items\":[\"null\",\"string\"]}", { "{\"type\":\"array\",\"items\":\"string\"}" } },
	{ "[\"null\",\"int\",\"string\"]", { "[\"null\",\"string\"]", "[\"double\",\"null\"]", "\"long\"" } },
};

static void simple_type(struct pair *pair)
{
	size_t i = below(LEAT_COUNT_OF(simple)), readers = 0;
	bool nullable = *simple[i].writer != '[' && below(3) == 0;
	while (readers < 4 && simple[i].readers[readers])
		readers++;
	SAY(&pair->writer, nullable ? "[\"null\",%s]" : "%s", simple[i].writer);
	SAY(&pair->reader, nullable ? "[%s,\"null\"]" : "%s", simple[i].readers[below(readers)]);
}

/* Ours has the symbols in another order, and sometimes lacks one. */
static void enum_type(struct pair *pair)
{
	unsigned name = pair->names++, count = 1 + (unsigned)below(5), lacks = below(3) || count == 1 ? count : (unsigned)below(count);
	bool first = true;
	SAY(&pair->writer, "{\"type\":\"enum\",\"name\":\"T%u\",\"symbols\":[", name);
	SAY(&pair->reader, "{\"type\":\"enum\",\"name\":\"T%u\",\"symbols\":[", name);
	for (unsigned i = 0; i < count; i++)
		SAY(&pair->writer, "%s\"S%u\"", i ? "," : "", i);
	for (unsigned i = count; i-- > 0;) {
		if (i == lacks)
			continue;
		SAY(&pair->reader, "%s\"S%u\"", first ? "" : ",", i);
		first = false;
	}
	SAY(&pair->writer, "]}");
	SAY(&pair->reader, "]}");
}

static void record_type(struct pair *pair, int depth)
{
	unsigned name = pair->names++, count = 1 + (unsigned)below(depth ? 3 : 8);
	const char *comma = "";
	SAY(&pair->writer, "{\"type\":\"record\",\"name\":\"T%u\",\"fields\":[", name);
	SAY(&pair->reader, "{\"type\":\"record\",\"name\":\"T%u\",\"fields\":[", name);
	for (unsigned i = 0; i < count; i++) {
		size_t kind = below(10), before = pair->reader.length;
		SAY(&pair->writer, "%s{\"name\":\"f%u\",\"type\":", i ? "," : "", i);
		SAY(&pair->reader, below(4) ? "%s{\"name\":\"f%u\",\"type\":" : "%s{\"name\":\"k%u\",\"aliases\":[\"f%u\"],\"type\":", comma, i, i);
		if (kind < 5)
			simple_type(pair);
		else if (kind < 6)
			enum_type(pair);
		else if (kind < 7 && depth < DEPTH_MAX)
			record_type(pair, depth + 1);
		else
			any_type(pair, depth + 1), pair->reader.length = before;
		SAY(&pair->writer, "}");
		if (pair->reader.length == before)
			continue;
		SAY(&pair->reader, "}");
		comma = ",";
	}
	SAY(&pair->reader, below(3) ? "]}" : "%s{\"name\":\"more\",\"type\":\"long\",\"default\":77}]}", comma);
	SAY(&pair->writer, "]}");
}

/* A type that ours does not know: only the writer's text counts. */
static void any_type(struct pair *pair, int depth)
{
	static const char *const leaves[] = { "\"null\"", "\"boolean\"", "\"int\"", "\"long\"", "\"float\"", "\"double\"", "\"string\"", "\"bytes\"" };
	unsigned name = pair->names;

	switch (depth < DEPTH_MAX ? below(8) : 7) {
	case 0:
		SAY(&pair->writer, "{\"type\":\"array\",\"items\":");
		any_type(pair, depth + 1);
		SAY(&pair->writer, "}");
		break;
	case 1:
		SAY(&pair->writer, "{\"type\":\"map\",\"values\":");
		any_type(pair, depth + 1);
		SAY(&pair->writer, "}");
		break;
	case 2:
		pair->names++;
		SAY(&pair->writer, "{\"type\":\"fixed\",\"name\":\"T%u\",\"size\":%u}", name, 1 + (unsigned)below(9));
		break;
	case 3:
		enum_type(pair);
		break;
	case 4:
		record_type(pair, depth + 1);
		break;
	case 5:
		pair->names++;
		SAY(&pair->writer, "{\"type\":\"record\",\"name\":\"T%u\",\"fields\":[{\"name\":\"v\",\"type\":\"int\"},{\"name\":\"n\",\"type\":[\"null\",\"T%u\"]}]}", name, name);
		break;
	case 6:
		SAY(&pair->writer, "[\"long\",\"string\",{\"type\":\"array\",\"items\":");
		any_type(pair, depth + 1);
		SAY(&pair->writer, "}]");
		break;
	default:
		SAY(&pair->writer, "%s", leaves[below(LEAT_COUNT_OF(leaves))]);
	}
}

/* ---- random values in avro-c ---- */

static int64_t any_long(void)
{
	return (int64_t)leat_mix(++seed) >> below(64);
}

static void fill_text(char *text, size_t length)
{
	static const char *const parts[] = { "a", "Z", "7", " ", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80" };
	size_t at = 0;
	while (at + 4 <= length) {
		const char *part = parts[below(below(4) ? 4 : LEAT_COUNT_OF(parts))];
		memcpy(text + at, part, strlen(part));
		at += strlen(part);
	}
	text[at] = '\0';
}

static void fill(avro_value_t *value, int depth);

static void fill_items(avro_value_t *value, int depth, bool map)
{
	size_t count = depth > NESTED_MAX ? 0 : below(4);
	for (size_t i = 0; i < count; i++) {
		avro_value_t item;
		char key[16];
		snprintf(key, sizeof key, "key%zu", i);
		assert_int_equal(map ? avro_value_add(value, key, &item, NULL, NULL) : avro_value_append(value, &item, NULL), 0);
		fill(&item, depth + 1);
	}
}

static void fill_record(avro_value_t *value, int depth)
{
	size_t count = 0;
	avro_value_get_size(value, &count);
	for (size_t i = 0; i < count; i++) {
		avro_value_t field;
		avro_value_get_by_index(value, i, &field, NULL);
		fill(&field, depth + 1);
	}
}

static void fill_union(avro_value_t *value, int depth)
{
	avro_schema_t schema = avro_value_get_schema(value);
	avro_value_t branch;
	int index = depth > NESTED_MAX ? 0 : (int)below(avro_schema_union_size(schema));
	assert_int_equal(avro_value_set_branch(value, index, &branch), 0);
	fill(&branch, depth + 1);
}

static void fill(avro_value_t *value, int depth)
{
	uint64_t bits = leat_mix(++seed);
	char bytes[64];

	switch (avro_value_get_type(value)) {
	case AVRO_NULL: avro_value_set_null(value); break;
	case AVRO_BOOLEAN: avro_value_set_boolean(value, (int)(bits & 1)); break;
	case AVRO_INT32: avro_value_set_int(value, (int32_t)any_long()); break;
	case AVRO_INT64: avro_value_set_long(value, any_long()); break;
	case AVRO_FLOAT: avro_value_set_float(value, (float)any_long() / 8); break;
	case AVRO_DOUBLE: avro_value_set_double(value, (double)any_long() / 8); break;
	case AVRO_ENUM: avro_value_set_enum(value, (int)below((uint64_t)avro_schema_enum_number_of_symbols(avro_value_get_schema(value)))); break;
	case AVRO_FIXED: avro_value_set_fixed(value, bytes, (size_t)avro_schema_fixed_size(avro_value_get_schema(value))); break;
	case AVRO_BYTES: fill_text(bytes, below(60)); avro_value_set_bytes(value, bytes, below(32)); break;
	case AVRO_STRING: fill_text(bytes, below(60)); avro_value_set_string(value, bytes); break;
	case AVRO_ARRAY: fill_items(value, depth, false); break;
	case AVRO_MAP: fill_items(value, depth, true); break;
	case AVRO_RECORD: fill_record(value, depth); break;
	case AVRO_UNION: fill_union(value, depth); break;
	default: fail();
	}
}

/* ---- a value of avro-c's and a field of ours ---- */

enum verdict { EQUAL, DIFFERENT, INCOMPATIBLE };

static enum verdict equal_if(bool equal)
{
	return equal ? EQUAL : DIFFERENT;
}

static enum verdict compare_number(double wide, float narrow, int64_t integer, bool whole, const struct leat_field *field, const struct leat_column *column)
{
	switch (field->type) {
	case LEAT_INT: return whole ? equal_if(column->ints[0] == integer) : INCOMPATIBLE;
	case LEAT_FLOAT: return equal_if(memcmp(&column->floats[0], &narrow, sizeof narrow) == 0);
	case LEAT_DOUBLE: return equal_if(memcmp(&column->doubles[0], &wide, sizeof wide) == 0);
	default: return INCOMPATIBLE;
	}
}

static enum verdict compare_text(avro_value_t *value, const struct leat_bytes *ours)
{
	const void *data = NULL;
	const char *text = NULL;
	size_t size = 0;
	if (avro_value_get_type(value) == AVRO_BYTES) {
		avro_value_get_bytes(value, &data, &size);
		return equal_if(leat_bytes_equal(*ours, leat_bytes(data, size)));
	}
	if (avro_value_get_type(value) != AVRO_STRING)
		return INCOMPATIBLE;
	avro_value_get_string(value, &text, &size);
	return equal_if(leat_bytes_equal(*ours, leat_bytes(text, size - 1)));
}

static enum verdict compare_item(avro_value_t *value, const struct leat_list *list, size_t index, uint8_t type)
{
	avro_value_t branch = *value;
	float ours, theirs = 0;
	double wide = 0;
	int32_t integer = 0;

	if (avro_value_get_type(value) == AVRO_UNION)
		avro_value_get_current_branch(value, &branch);
	if (type == LEAT_STRINGS)
		return compare_text(&branch, (const struct leat_bytes *)list->items + index);
	if (avro_value_get_float(&branch, &theirs) != 0) {
		if (avro_value_get_double(&branch, &wide) == 0)
			theirs = (float)wide;
		else if (avro_value_get_int(&branch, &integer) == 0)
			theirs = (float)integer;
		else
			return INCOMPATIBLE;
	}
	ours = ((const float *)list->items)[index];
	return equal_if(memcmp(&ours, &theirs, sizeof ours) == 0);
}

/* Items may be incompatible before anything is compared, so those are looked for in all of them even where the counts differ. */
static enum verdict compare_list(avro_value_t *value, const struct leat_list *list, uint8_t type)
{
	static const struct leat_bytes no_texts[8];
	static const struct leat_list none = { no_texts, 8 };
	enum verdict verdict = EQUAL;
	size_t count = 0;
	avro_value_get_size(value, &count);
	if (!list)
		assert_true(count <= 8);
	else if (list->count != count)
		verdict = DIFFERENT;
	for (size_t i = 0; i < count; i++) {
		avro_value_t item;
		avro_value_get_by_index(value, i, &item, NULL);
		enum verdict one = compare_item(&item, list && list->count == count ? list : &none, list ? i : i % 8, type);
		verdict = LEAT_MAX(verdict, one);
		if (list && list->count != count)
			break;
	}
	return verdict;
}

static enum verdict compare_enum(avro_value_t *value, const struct leat_field *field, const struct leat_column *column)
{
	int index = 0;
	avro_value_get_enum(value, &index);
	const char *symbol = avro_schema_enum_get(avro_value_get_schema(value), index);
	for (size_t i = 0; field->symbols[i]; i++)
		if (strcmp(field->symbols[i], symbol) == 0)
			return equal_if(column->ints[0] == (int64_t)i);
	return INCOMPATIBLE;
}

static enum verdict compare_value(avro_value_t *value, const struct leat_field *field, const struct leat_column *column, bool decoded)
{
	avro_value_t branch;
	int32_t integer = 0;
	int64_t wide_integer = 0;
	float narrow = 0;
	double wide = 0;
	int boolean = 0;

	switch (avro_value_get_type(value)) {
	case AVRO_UNION:
		avro_value_get_current_branch(value, &branch);
		return compare_value(&branch, field, column, decoded);
	case AVRO_NULL: return field->nullable ? equal_if(column->null[0] == 1) : INCOMPATIBLE;
	case AVRO_BOOLEAN: avro_value_get_boolean(value, &boolean); return equal_if(!column->null[0] && column->bools[0] == boolean);
	case AVRO_INT32:
		avro_value_get_int(value, &integer);
		return compare_number((double)integer, (float)integer, integer, true, field, column);
	case AVRO_INT64:
		avro_value_get_long(value, &wide_integer);
		return compare_number((double)wide_integer, (float)wide_integer, wide_integer, true, field, column);
	case AVRO_FLOAT: avro_value_get_float(value, &narrow); return compare_number((double)narrow, narrow, 0, false, field, column);
	case AVRO_DOUBLE: avro_value_get_double(value, &wide); return compare_number(wide, (float)wide, 0, false, field, column);
	case AVRO_ENUM: return compare_enum(value, field, column);
	case AVRO_ARRAY: return compare_list(value, decoded ? column->lists : NULL, field->type);
	default: return field->type == LEAT_STRING || field->type == LEAT_BYTES ? compare_text(value, column->bytes) : INCOMPATIBLE;
	}
}

/* The value at a dotted path; a field that ours calls k3 is the writer's f3. False: the writer has none, it is a default. */
static bool find_value(avro_value_t *root, const char *path, avro_value_t *found)
{
	char name[16];
	*found = *root;
	for (;;) {
		size_t length = strcspn(path, ".");
		avro_value_t outer = *found;
		snprintf(name, sizeof name, "%.*s", (int)length, path);
		if (avro_value_get_by_name(&outer, name, found, NULL) != 0) {
			name[0] = 'f';
			if (avro_value_get_by_name(&outer, name, found, NULL) != 0)
				return false;
		}
		if (!path[length])
			return true;
		path += length + 1;
	}
}

/* @decoded: whether row 0 holds what ours has read; else only compatibility is asked for. */
static enum verdict compare(avro_value_t *root, const struct given_table *table, bool decoded)
{
	enum verdict verdict = EQUAL;
	for (size_t i = 0; i < table->count; i++) {
		const struct leat_column *column = &table->columns[i];
		avro_value_t value;
		enum verdict one = find_value(root, table->fields[i]->name, &value) ? compare_value(&value, table->fields[i], column, decoded)
										     : equal_if(!decoded || column->ints[0] == 77);
		if (decoded || one == INCOMPATIBLE)
			verdict = LEAT_MAX(verdict, one);
	}
	return verdict;
}

/* ---- one case ---- */

struct run {
	struct pair pair;
	avro_schema_t writer, reader;
	avro_value_iface_t *writer_class, *reader_class;
	struct leat_schema *schema;
	struct given_table table;
	struct leat_decoder *decoder;
	struct leat_encoder *encoder;
	struct leat_arena *arena;
	avro_value_t value;
	uint8_t body[65536];
	size_t length;
	size_t compatible, accepted, flipped;
};

static avro_value_iface_t *avro_class(const struct leat_buffer *json, avro_schema_t *schema)
{
	if (avro_schema_from_json_length((const char *)json->data, json->length, schema) != 0)
		fail_msg("%s: %.*s", avro_strerror(), (int)json->length, (const char *)json->data);
	return avro_generic_class_from_schema(*schema);
}

static void open_run(struct run *run)
{
	struct leat_fault fault = { 0 };
	run->pair.writer.length = run->pair.reader.length = 0;
	run->pair.names = 0;
	record_type(&run->pair, 0);
	leat_buffer_append(&run->pair.reader, "", 1);
	run->pair.reader.length--;
	run->writer_class = avro_class(&run->pair.writer, &run->writer);
	run->reader_class = avro_class(&run->pair.reader, &run->reader);
	run->schema = given_schema((const char *)run->pair.reader.data);
	given_table_open(&run->table, run->schema);
	assert_int_equal(leat_encoder_compile(&run->encoder, run->schema, run->table.slots, run->table.fields, &fault), 0);
	assert_int_equal(leat_decoder_compile(&run->decoder, (const char *)run->pair.writer.data, run->pair.writer.length, run->schema, run->table.slots, &fault), 0);
	avro_generic_value_new(run->writer_class, &run->value);
	fill(&run->value, 0);
	avro_writer_t writer = avro_writer_memory((char *)run->body, sizeof run->body);
	assert_int_equal(avro_value_write(writer, &run->value), 0);
	run->length = (size_t)avro_writer_tell(writer);
	avro_writer_free(writer);
}

static void close_run(struct run *run)
{
	avro_value_decref(&run->value);
	avro_value_iface_decref(run->writer_class);
	avro_value_iface_decref(run->reader_class);
	avro_schema_decref(run->writer);
	avro_schema_decref(run->reader);
	leat_decoder_free(run->decoder);
	leat_encoder_free(run->encoder);
	given_table_close(&run->table);
	leat_schema_free(run->schema);
	leat_arena_reset(run->arena);
}

static enum leat_bad decode(struct run *run, const void *body, size_t length)
{
	return leat_decoder_run(run->decoder, leat_bytes(body, length), run->table.columns, 0, run->arena);
}

static bool avro_reads(avro_value_iface_t *class, const void *body, size_t length, avro_value_t *value)
{
	avro_reader_t reader = avro_reader_memory(body, (int64_t)length);
	avro_generic_value_new(class, value);
	bool read = avro_value_read(reader, value) == 0;
	avro_reader_free(reader);
	return read;
}

static void ours_reads_what_avro_wrote(struct run *run)
{
	bool compatible = compare(&run->value, &run->table, false) == EQUAL;
	enum leat_bad bad = decode(run, run->body, run->length);
	assert_int_equal(bad, compatible ? LEAT_BAD_NONE : LEAT_BAD_SCHEMA_INCOMPATIBLE);
	if (compatible)
		assert_int_equal(compare(&run->value, &run->table, true), EQUAL);
	run->compatible += compatible;
}

static void avro_reads_what_ours_writes(struct run *run)
{
	struct leat_buffer out = { 0 }, json = { 0 }, printed = { 0 };
	avro_value_t value;
	if (decode(run, run->body, run->length) == LEAT_BAD_NONE) {
		assert_int_equal(leat_encoder_run(run->encoder, run->table.columns, 0, &out), 0);
		assert_true(avro_reads(run->reader_class, out.data, out.length, &value));
		assert_int_equal(compare(&value, &run->table, true), EQUAL);
		assert_int_equal(leat_encoder_run_json(run->encoder, run->table.columns, 0, &json), 0);
		assert_int_equal(leat_avro_print((const char *)run->pair.reader.data, run->pair.reader.length, leat_bytes(out.data, out.length), &printed), 0);
		avro_value_decref(&value);
	}
	leat_buffer_free(&out);
	leat_buffer_free(&json);
	leat_buffer_free(&printed);
}

static void cut_bodies_are_refused(struct run *run)
{
	for (size_t length = 0; length < run->length; length++) {
		uint8_t *cut = leat_malloc(length);
		memcpy(cut, run->body, length);
		assert_int_not_equal(decode(run, cut, length), LEAT_BAD_NONE);
		leat_free(cut);
	}
}

static void flipped_bodies_are_refused_or_read_alike(struct run *run)
{
	for (int i = 0; i < FLIPS && run->length > 0; i++) {
		uint8_t *flipped = leat_malloc(run->length);
		avro_value_t value;
		memcpy(flipped, run->body, run->length);
		flipped[below(run->length)] ^= (uint8_t)(1 + below(255));
		run->flipped++;
		if (decode(run, flipped, run->length) == LEAT_BAD_NONE) {
			run->accepted++;
			assert_true(avro_reads(run->writer_class, flipped, run->length, &value));
			assert_int_equal(compare(&value, &run->table, true), EQUAL);
			avro_value_decref(&value);
		}
		leat_free(flipped);
	}
}

static void ours_and_avro_agree(void **state)
{
	(void)state;
	static struct run run;
	assert_int_equal(leat_arena_open(&run.arena, 65536), 0);
	for (uint64_t i = 0; i < CASES; i++) {
		seed = i * 1000003;
		open_run(&run);
		ours_reads_what_avro_wrote(&run);
		avro_reads_what_ours_writes(&run);
		cut_bodies_are_refused(&run);
		flipped_bodies_are_refused_or_read_alike(&run);
		close_run(&run);
	}
	/* The test says something only while both outcomes are common. */
	assert_in_range(run.compatible, CASES / 2, CASES - CASES / 20);
	assert_in_range(run.accepted, run.flipped / 20, run.flipped * 19 / 20);
	leat_buffer_free(&run.pair.writer);
	leat_buffer_free(&run.pair.reader);
	leat_arena_close(run.arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(ours_and_avro_agree) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
