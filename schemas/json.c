/* JSON bodies to columns, in one pass over a copy of the body: no tree, and memory in proportion to what was sent. */
#include "schemas/json_read.h"
#include "schemas/leaf.h"

#include <float.h>
#include <math.h>

enum { EXPLAIN_CHUNK = 4096, MEMBERS_MAX = 8192 };     /* of all records of a schema: fields, and records within records */

/* One name that an object may have. */
struct member {
	const char *name;
	size_t length;
	const struct leat_leaf *leaf;          /* or: */
	const struct record *record;
};

struct record {
	size_t first, count;                   /* its members, side by side in the decoder                      */
	size_t leaf, leaves;                   /* the leaves below it                                           */
	const struct leat_value *absent;       /* their values when the whole record is absent, if it says so   */
};

struct leat_json_decoder {
	struct leat_leaves *leaves;
	struct leat_arena *arena;              /* holds the rest */
	struct member *members;
	struct record *records;
	size_t member_count, record_count, leaf_count;
};

/* One body on its way into a row. */
struct run {
	const struct leat_json_decoder *decoder;
	struct leat_json_reader reader;
	struct leat_column *columns;
	size_t row;
	struct leat_arena *arena;
	struct leat_misfit misfit;             /* a value of another type: told only after the whole body was found to be JSON */
	uint64_t seen[MEMBERS_MAX / 64];       /* which members came */
};

/* ---- open ---- */

static void count_parts(const struct leat_avro_type *record, size_t *members, size_t *records)
{
	*members += record->count;
	++*records;
	for (size_t i = 0; i < record->count; i++)
		if (record->fields[i].type->kind == LEAT_AVRO_RECORD)
			count_parts(record->fields[i].type, members, records);
}

static int add_absent(struct leat_json_decoder *decoder, struct record *record, const struct leat_avro_field *field, struct leat_fault *fault)
{
	if (!field->value)
		return 0;
	struct leat_value *values = leat_arena_take(decoder->arena, record->leaves * sizeof *values);
	if (!values)
		return LEAT_ENOMEM;
	record->absent = values;
	return leat_avro_default_values(field, decoder->arena, values, fault);
}

static int add_record(struct leat_json_decoder *decoder, const struct leat_avro_type *type, const struct record **out, struct leat_fault *fault)
{
	struct record *record = &decoder->records[decoder->record_count++];
	*record = (struct record){ .first = decoder->member_count, .count = type->count, .leaf = decoder->leaf_count };
	decoder->member_count += type->count;
	for (size_t i = 0; i < type->count; i++) {
		const struct leat_avro_field *field = &type->fields[i];
		struct member *member = &decoder->members[record->first + i];
		*member = (struct member){ .name = field->name, .length = strlen(field->name) };
		if (field->type->kind != LEAT_AVRO_RECORD) {
			member->leaf = &decoder->leaves->leaf[decoder->leaf_count++];
			continue;
		}
		struct record *child = &decoder->records[decoder->record_count];
		LEAT_TRY(add_record(decoder, field->type, &member->record, fault));
		LEAT_TRY(add_absent(decoder, child, field, fault));
	}
	record->leaves = decoder->leaf_count - record->leaf;
	*out = record;
	return 0;
}

int leat_json_decoder_open(struct leat_json_decoder **out, const struct leat_schema *reader, const int *slots, struct leat_fault *fault)
{
	struct leat_json_decoder *decoder = leat_calloc(1, sizeof *decoder);
	size_t members = 0, records = 0;
	const struct record *root;
	int rc = LEAT_ENOMEM;

	*out = NULL;
	if (!decoder || leat_leaves_make(&decoder->leaves, reader, slots) < 0 || leat_arena_open(&decoder->arena, 4096) < 0)
		goto out;
	count_parts(leat_schema_type(reader), &members, &records);
	LEAT_ASSERT(members <= MEMBERS_MAX);
	decoder->members = leat_avro_take(decoder->arena, members, sizeof *decoder->members);
	decoder->records = leat_avro_take(decoder->arena, records, sizeof *decoder->records);
	if (!decoder->members || !decoder->records)
		goto out;
	if ((rc = add_record(decoder, leat_schema_type(reader), &root, fault)) < 0)
		goto out;
	*out = decoder;
	decoder = NULL;
out:
	if (rc == LEAT_ENOMEM)
		leat_fail(fault, rc, "%s: out of memory", leat_schema_name(reader));
	leat_json_decoder_free(decoder);
	return rc;
}

void leat_json_decoder_free(struct leat_json_decoder *decoder)
{
	if (!decoder)
		return;
	leat_arena_close(decoder->arena);
	leat_free(decoder->leaves);
	leat_free(decoder);
}

/* ---- values: each goes past its value, and says by run->misfit when it is of another type ---- */

static void judge(struct run *run, const struct leat_leaf *leaf, bool fits)
{
	if (!fits)
		leat_misfit_note(&run->misfit, leaf, false);
}

static void judge_absent(struct run *run, const struct leat_leaf *leaf)
{
	if (!leat_leaf_absent(leaf, &run->columns[leaf->slot], run->row))
		leat_misfit_note(&run->misfit, leaf, true);
}

static void no_object(struct run *run, const char *what)
{
	if (!run->misfit.any)
		run->misfit = (struct leat_misfit){ .any = true, .object = what };
}

/* Avro's JSON writes bytes as the code points 0 to 255: in UTF-8 one byte below 0x80, else two that begin with 0xc2 or 0xc3. In place. */
static bool to_latin(struct leat_bytes *text)
{
	uint8_t *bytes = (uint8_t *)(uintptr_t)text->data;     /* the run's own copy */
	uint32_t length = 0;
	for (uint32_t i = 0; i < text->length; i++) {
		uint8_t byte = bytes[i];
		if (byte > 0xc3)
			return false;
		bytes[length++] = byte < 0x80 ? byte : (uint8_t)((byte & 3) << 6 | (bytes[++i] & 0x3f));
	}
	text->length = length;
	return true;
}

static enum leat_bad take_string(struct run *run, const struct leat_leaf *leaf, struct leat_column *column)
{
	struct leat_bytes text;
	enum leat_bad bad = leat_json_string(&run->reader, &text);
	if (bad)
		return bad;
	if (leaf->field->type == LEAT_ENUM)
		judge(run, leaf, leat_leaf_symbol(leaf, column, run->row, text));
	else
		judge(run, leaf, (leaf->field->type != LEAT_BYTES || to_latin(&text)) && leat_leaf_bytes(leaf, column, run->row, text));
	return LEAT_BAD_NONE;
}

/* An integer field takes whole numbers in any notation that a double holds exactly. */
static bool store_number(const struct leat_leaf *leaf, struct leat_column *column, size_t row, const struct leat_json_number *number)
{
	static const double exact = 9007199254740992.0;         /* 2^53 */
	if (number->integer)
		return leat_leaf_int(leaf, column, row, number->whole);
	if (leaf->field->type != LEAT_INT)
		return leat_leaf_real(leaf, column, row, number->real);
	return fabs(number->real) <= exact && number->real == trunc(number->real) && leat_leaf_int(leaf, column, row, (int64_t)number->real);
}

static enum leat_bad take_number(struct run *run, const struct leat_leaf *leaf, struct leat_column *column)
{
	struct leat_json_number number;
	enum leat_bad bad = leat_json_number(&run->reader, &number);
	if (!bad)
		judge(run, leaf, store_number(leaf, column, run->row, &number));
	return bad;
}

static enum leat_bad take_word(struct run *run, const struct leat_leaf *leaf, struct leat_column *column, uint8_t first)
{
	enum leat_bad bad = leat_json_word(&run->reader, first == 't' ? "true" : first == 'f' ? "false" : "null");
	if (!bad)
		judge(run, leaf, first == 'n' ? leat_leaf_null(leaf, column, run->row) : leat_leaf_bool(leaf, column, run->row, first == 't'));
	return bad;
}

/* An item of an array that was found sound. */
static bool take_item(struct run *run, uint8_t type, void *items, size_t index)
{
	struct leat_json_number number;
	uint8_t first = leat_json_peek(&run->reader);
	if (type == LEAT_STRINGS)
		return first == '"' && !leat_json_string(&run->reader, (struct leat_bytes *)items + index);
	if ((first != '-' && (first < '0' || first > '9')) || leat_json_number(&run->reader, &number) || !(fabs(number.real) <= (double)FLT_MAX))
		return false;
	((float *)items)[index] = (float)number.real;
	return true;
}

/* Twice over the array: the first time proves it sound and counts. */
static enum leat_bad take_array(struct run *run, const struct leat_leaf *leaf, struct leat_column *column)
{
	uint8_t *start = run->reader.at, type = leaf->field->type;
	size_t count;
	enum leat_bad bad = leat_json_skip(&run->reader, 1, &count);
	uint8_t *end = run->reader.at;
	bool fits = type == LEAT_STRINGS || type == LEAT_FLOATS;

	if (bad || !fits) {
		judge(run, leaf, fits);
		return bad;
	}
	if (count > LEAT_AVRO_ELEMENTS)
		return LEAT_BAD_TOO_LARGE;
	void *items = leat_arena_take(run->arena, count * (type == LEAT_STRINGS ? sizeof(struct leat_bytes) : sizeof(float)));
	if (!items)
		return LEAT_BAD_NO_MEMORY;
	run->reader.at = start;
	for (size_t i = 0; i < count && fits; i++) {
		run->reader.at++;       /* the bracket, or a comma */
		fits = take_item(run, type, items, i);
		if (fits)
			leat_json_peek(&run->reader);
	}
	run->reader.at = end;
	judge(run, leaf, fits && leat_leaf_list(leaf, column, run->row, (struct leat_list){ items, (uint32_t)count }));
	return LEAT_BAD_NONE;
}

static bool is_branch(const struct leat_leaf *leaf, struct leat_bytes name)
{
	const char *own = leaf->type->name;
	if (!own)
		return leat_bytes_equal(name, leat_text(leat_avro_kind_name(leaf->type->kind)));
	return leat_bytes_equal(name, leat_text(own)) || leat_bytes_equal(name, leat_text(leat_avro_short_name(own)));
}

static enum leat_bad take_plain(struct run *run, const struct leat_leaf *leaf, struct leat_column *column, uint8_t first)
{
	switch (first) {
	case '"':
		return take_string(run, leaf, column);
	case '[':
		return take_array(run, leaf, column);
	case 't':
	case 'f':
	case 'n':
		return take_word(run, leaf, column, first);
	default:
		return take_number(run, leaf, column);
	}
}

/* Avro's form of a union, {"double": 1.5}, the only object that a leaf takes. Skipped first, so that whatever is wrong in it is no syntax. */
static enum leat_bad take_wrapped(struct run *run, const struct leat_leaf *leaf, struct leat_column *column)
{
	uint8_t *start = run->reader.at, *end;
	size_t count;
	struct leat_bytes name;
	enum leat_bad bad = leat_json_skip(&run->reader, 1, &count);

	if (bad)
		return bad;
	end = run->reader.at;
	run->reader.at = start + 1;
	bool fits = leaf->field->nullable && count == 1 && leat_json_peek(&run->reader) == '"' && !leat_json_string(&run->reader, &name) &&
		    is_branch(leaf, name) && leat_json_take(&run->reader, ':');
	uint8_t first = leat_json_peek(&run->reader);
	fits = fits && first != '{' && first != 'n';
	judge(run, leaf, fits);
	if (fits)
		bad = take_plain(run, leaf, column, first);
	run->reader.at = end;
	return bad;
}

static enum leat_bad take_leaf(struct run *run, const struct leat_leaf *leaf)
{
	uint8_t first = leat_json_peek(&run->reader);
	if (leaf->slot < 0)
		return leat_json_skip(&run->reader, 1, NULL);
	struct leat_column *column = &run->columns[leaf->slot];
	LEAT_ASSERT(column->type == leaf->field->type);
	return first == '{' ? take_wrapped(run, leaf, column) : take_plain(run, leaf, column, first);
}

/* ---- objects ---- */

static void set_default(struct run *run, const struct leat_leaf *leaf, const struct leat_value *value)
{
	if (leaf->slot < 0)
		return;
	struct leat_column *column = &run->columns[leaf->slot];
	memcpy((uint8_t *)column->data + run->row * leaf->size, value->bytes, leaf->size);
	column->null[run->row] = value->null;
}

/* Without a default for the record as a whole, each field below it needs one of its own. */
static void set_absent(struct run *run, const struct record *record)
{
	for (size_t i = 0; i < record->leaves; i++) {
		const struct leat_leaf *leaf = &run->decoder->leaves->leaf[record->leaf + i];
		if (record->absent)
			set_default(run, leaf, &record->absent[i]);
		else if (leaf->slot >= 0)
			judge_absent(run, leaf);
	}
}

static void set_unseen(struct run *run, const struct record *record)
{
	for (size_t i = record->first; i < record->first + record->count; i++) {
		const struct member *member = &run->decoder->members[i];
		if (run->seen[i / 64] >> i % 64 & 1)
			continue;
		if (member->record)
			set_absent(run, member->record);
		else if (member->leaf->slot >= 0)
			judge_absent(run, member->leaf);
	}
}

/* Index of the member @name, from *next on, because writers keep an order; -1 if it is unknown. */
static long find_member(const struct leat_json_decoder *decoder, const struct record *record, struct leat_bytes name, size_t *next)
{
	for (size_t i = 0; i < record->count; i++, *next = *next + 1 < record->count ? *next + 1 : 0) {
		const struct member *member = &decoder->members[record->first + *next];
		if (member->length == name.length && memcmp(member->name, name.data, name.length) == 0) {
			long index = (long)(record->first + *next);
			*next = *next + 1 < record->count ? *next + 1 : 0;
			return index;
		}
	}
	return -1;
}

static enum leat_bad take_record(struct run *run, const struct record *record, unsigned depth);

static enum leat_bad take_member(struct run *run, const struct record *record, size_t *next, unsigned depth)
{
	struct leat_bytes name;
	if (leat_json_peek(&run->reader) != '"' || leat_json_string(&run->reader, &name) || !leat_json_take(&run->reader, ':'))
		return LEAT_BAD_JSON_SYNTAX;
	long index = find_member(run->decoder, record, name, next);
	if (index < 0)
		return leat_json_skip(&run->reader, depth, NULL);
	if (run->seen[index / 64] >> index % 64 & 1)
		return LEAT_BAD_JSON_SYNTAX;    /* twice: which one was meant? */
	run->seen[index / 64] |= (uint64_t)1 << index % 64;
	const struct member *member = &run->decoder->members[index];
	if (!member->record)
		return take_leaf(run, member->leaf);
	if (leat_json_peek(&run->reader) == '{')
		return take_record(run, member->record, depth);
	no_object(run, member->name);
	return leat_json_skip(&run->reader, depth, NULL);
}

static enum leat_bad take_record(struct run *run, const struct record *record, unsigned depth)
{
	size_t next = 0;
	bool more = true;
	run->reader.at++;
	if (leat_json_take(&run->reader, '}'))
		more = false;
	while (more) {
		enum leat_bad bad = take_member(run, record, &next, depth + 1);
		if (bad)
			return bad;
		more = leat_json_take(&run->reader, ',');
		if (!more && !leat_json_take(&run->reader, '}'))
			return LEAT_BAD_JSON_SYNTAX;
	}
	set_unseen(run, record);
	return LEAT_BAD_NONE;
}

static enum leat_bad take_body(struct run *run)
{
	enum leat_bad bad;
	if (leat_json_peek(&run->reader) == '{') {
		bad = take_record(run, run->decoder->records, 0);
	} else {
		no_object(run, NULL);
		bad = leat_json_skip(&run->reader, 0, NULL);
	}
	if (bad)
		return bad;
	leat_json_peek(&run->reader);
	if (run->reader.at != run->reader.end)
		return LEAT_BAD_JSON_SYNTAX;
	return run->misfit.any ? LEAT_BAD_JSON_TYPE : LEAT_BAD_NONE;
}

static enum leat_bad run_body(struct run *run, struct leat_bytes body)
{
	const struct leat_json_decoder *decoder = run->decoder;
	if (!body.data)
		return LEAT_BAD_NULL_VALUE;
	if (body.length > LEAT_TEXT_MAX)
		return LEAT_BAD_TOO_LARGE;
	if (!leat_utf8_valid(body))
		return LEAT_BAD_JSON_SYNTAX;
	uint8_t *copy = leat_arena_take(run->arena, (size_t)body.length + 1);
	if (!copy)
		return LEAT_BAD_NO_MEMORY;
	memcpy(copy, body.data, body.length);
	copy[body.length] = 0;
	run->reader = (struct leat_json_reader){ copy, copy + body.length };
	run->misfit = (struct leat_misfit){ .any = false };
	memset(run->seen, 0, (decoder->member_count + 63) / 64 * sizeof run->seen[0]);
	return take_body(run);
}

enum leat_bad leat_json_decoder_run(const struct leat_json_decoder *decoder, struct leat_bytes body, struct leat_column *columns, size_t row,
				    struct leat_arena *arena)
{
	struct run run;        /* its large parts are cleared as far as they are used */
	run.decoder = decoder;
	run.columns = columns;
	run.row = row;
	run.arena = arena;
	return run_body(&run, body);
}

enum leat_bad leat_json_decoder_explain(const struct leat_json_decoder *decoder, struct leat_bytes body, char *text, size_t size)
{
	struct run run;
	enum leat_bad bad = LEAT_BAD_NO_MEMORY;
	text[0] = '\0';
	run.decoder = decoder;
	run.row = 0;
	run.reader = (struct leat_json_reader){ NULL, NULL };
	if (leat_arena_open(&run.arena, EXPLAIN_CHUNK) < 0)
		return bad;
	if ((run.columns = leat_leaves_scratch(decoder->leaves, run.arena)))
		bad = run_body(&run, body);
	if (bad == LEAT_BAD_JSON_TYPE)
		leat_misfit_say(&run.misfit, text, size);
	else if (bad == LEAT_BAD_JSON_SYNTAX && run.reader.end)
		snprintf(text, size, "near byte %zu of %u", LEAT_MIN((size_t)body.length, body.length - (size_t)(run.reader.end - run.reader.at) + 1), body.length);
	leat_arena_close(run.arena);
	return bad;
}
