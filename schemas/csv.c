/* CSV lines to columns: RFC 4180 with a separator of choice, one record per body; numbers are read without any locale. */
#include "schemas/leaf.h"

#include <locale.h>
#include <math.h>
#include <stdlib.h>

enum { EXPLAIN_CHUNK = 4096, COLUMNS_MAX = LEAT_SCHEMA_FIELDS_MAX };

struct leat_csv_decoder {
	struct leat_leaves *leaves;
	locale_t plain;                 /* "C": a point is a point */
	char separator;
	size_t count;                   /* cells of a line         */
	int leaf[COLUMNS_MAX];          /* of each cell; -1: skip  */
};

/* One cell: its text is in the arena, NUL-terminated. */
struct cell {
	char *text;
	size_t length;
	bool quoted;
};

struct reader {
	const uint8_t *at, *end;
	char *to;                       /* where the next cell's text goes */
	char separator;
	size_t cell;                    /* that is being read              */
	bool torn;                      /* its quotes are out of place     */
	struct leat_misfit misfit;
};

/* ---- open ---- */

static int find_leaf(const struct leat_leaves *leaves, const char *name, size_t length)
{
	for (size_t i = 0; i < leaves->count; i++)
		if (strlen(leaves->leaf[i].field->name) == length && memcmp(leaves->leaf[i].field->name, name, length) == 0)
			return (int)i;
	return -1;
}

static int add_column(struct leat_csv_decoder *decoder, const char *name, size_t length, struct leat_fault *fault)
{
	int leaf = find_leaf(decoder->leaves, name, length);
	bool skip = length == 1 && name[0] == '-';
	if (decoder->count == COLUMNS_MAX)
		return leat_fail(fault, LEAT_ESCHEMA, "more than %d CSV columns", COLUMNS_MAX);
	if (leaf < 0 && !skip)
		return leat_fail(fault, LEAT_ESCHEMA, "CSV column '%.*s' is not a field of the schema", (int)length, name);
	for (size_t i = 0; leaf >= 0 && i < decoder->count; i++)
		if (decoder->leaf[i] == leaf)
			return leat_fail(fault, LEAT_ESCHEMA, "CSV column '%.*s' is there twice", (int)length, name);
	if (leaf >= 0 && decoder->leaves->leaf[leaf].slot >= 0 && decoder->leaves->leaf[leaf].type->kind == LEAT_AVRO_ARRAY)
		return leat_fail(fault, LEAT_ESCHEMA, "CSV column '%.*s' is a list, which a cell cannot hold", (int)length, name);
	decoder->leaf[decoder->count++] = leaf;
	return 0;
}

static int add_columns(struct leat_csv_decoder *decoder, const char *names, struct leat_fault *fault)
{
	for (const char *name = names;; name++) {
		name += strspn(name, " ");
		size_t length = strcspn(name, ",");
		size_t cut = length;
		while (cut && name[cut - 1] == ' ')
			cut--;
		LEAT_TRY(add_column(decoder, name, cut, fault));
		name += length;
		if (!*name)
			return 0;
	}
}

/* A field that no cell fills is absent in every line: better refused here than there. */
static int check_absent(const struct leat_csv_decoder *decoder, struct leat_fault *fault)
{
	for (size_t i = 0; i < decoder->leaves->count; i++) {
		const struct leat_leaf *leaf = &decoder->leaves->leaf[i];
		bool filled = leaf->slot < 0 || leaf->has_default || leaf->field->nullable;
		for (size_t c = 0; c < decoder->count && !filled; c++)
			filled = decoder->leaf[c] == (int)i;
		if (!filled)
			return leat_fail(fault, LEAT_ESCHEMA, "field '%s' has no CSV column, no default and no null", leaf->field->name);
	}
	return 0;
}

int leat_csv_decoder_open(struct leat_csv_decoder **out, const struct leat_schema *reader, const char *columns_text, char separator,
			  const int *slots, struct leat_fault *fault)
{
	struct leat_csv_decoder *decoder = leat_calloc(1, sizeof *decoder);
	int rc = LEAT_ENOMEM;

	*out = NULL;
	if (!decoder || leat_leaves_make(&decoder->leaves, reader, slots) < 0 || !(decoder->plain = newlocale(LC_ALL_MASK, "C", NULL))) {
		leat_fail(fault, rc, "%s: out of memory", leat_schema_name(reader));
		goto out;
	}
	decoder->separator = separator;
	if (!separator || strchr("\"\r\n", separator)) {
		rc = leat_fail(fault, LEAT_ESCHEMA, "a quote or an end of line cannot separate CSV columns");
		goto out;
	}
	if ((rc = add_columns(decoder, columns_text, fault)) < 0 || (rc = check_absent(decoder, fault)) < 0)
		goto out;
	*out = decoder;
	decoder = NULL;
out:
	leat_csv_decoder_free(decoder);
	return rc;
}

void leat_csv_decoder_free(struct leat_csv_decoder *decoder)
{
	if (!decoder)
		return;
	if (decoder->plain)
		freelocale(decoder->plain);
	leat_free(decoder->leaves);
	leat_free(decoder);
}

/* ---- cells ---- */

static bool read_quoted(struct reader *reader)
{
	for (reader->at++; reader->at < reader->end; reader->at++) {
		if (*reader->at == '"') {
			reader->at++;
			if (reader->at == reader->end || *reader->at != '"')
				return true;
		}
		*reader->to++ = (char)*reader->at;
	}
	return false;
}

static bool read_plain(struct reader *reader)
{
	for (; reader->at < reader->end && *reader->at != (uint8_t)reader->separator; reader->at++) {
		if (*reader->at == '"' || *reader->at == '\n' || *reader->at == '\r')
			return false;
		*reader->to++ = (char)*reader->at;
	}
	return true;
}

/* Reads one cell; the reader then stands at a separator or at the end. */
static bool read_cell(struct reader *reader, struct cell *cell)
{
	*cell = (struct cell){ .text = reader->to, .quoted = reader->at < reader->end && *reader->at == '"' };
	if (!(cell->quoted ? read_quoted(reader) : read_plain(reader)))
		return false;
	cell->length = (size_t)(reader->to - cell->text);
	*reader->to++ = 0;
	return reader->at == reader->end || *reader->at == (uint8_t)reader->separator;
}

/* ---- values ---- */

/* An optional sign and digits, nothing else. */
static bool parse_int(const struct cell *cell, int64_t *out)
{
	const char *at = cell->text, *end = at + cell->length;
	bool negative = at < end && *at == '-';
	int64_t value = 0;

	at += at < end && (*at == '-' || *at == '+');
	if (at == end)
		return false;
	for (; at < end; at++)
		if (*at < '0' || *at > '9' || __builtin_mul_overflow(value, 10, &value) ||
		    (negative ? __builtin_sub_overflow(value, *at - '0', &value) : __builtin_add_overflow(value, *at - '0', &value)))
			return false;
	*out = value;
	return true;
}

/* Only digits, signs, a point and an exponent may get to strtod, which also knows hex, "nan", "inf" and blanks. */
static bool parse_real(const struct leat_csv_decoder *decoder, const struct cell *cell, double *out)
{
	char *end;
	if (!cell->length || strspn(cell->text, "0123456789+-.eE") != cell->length)
		return false;
	*out = strtod_l(cell->text, &end, decoder->plain);
	return end == cell->text + cell->length;
}

static bool parse_bool(const struct cell *cell, bool *out)
{
	struct leat_bytes text = leat_bytes(cell->text, cell->length);
	*out = leat_bytes_equal(text, leat_text("true")) || leat_bytes_equal(text, leat_text("1"));
	return *out || leat_bytes_equal(text, leat_text("false")) || leat_bytes_equal(text, leat_text("0"));
}

static bool store_text(const struct leat_csv_decoder *decoder, const struct leat_leaf *leaf, struct leat_column *column, size_t row, const struct cell *cell)
{
	struct leat_bytes text = leat_bytes(cell->text, cell->length);
	int64_t integer;
	double real;
	bool boolean;

	switch (leaf->field->type) {
	case LEAT_BOOL:
		return parse_bool(cell, &boolean) && leat_leaf_bool(leaf, column, row, boolean);
	case LEAT_INT:
		return parse_int(cell, &integer) && leat_leaf_int(leaf, column, row, integer);
	case LEAT_FLOAT:
	case LEAT_DOUBLE:
		return parse_real(decoder, cell, &real) && leat_leaf_real(leaf, column, row, real);
	case LEAT_ENUM:
		return leat_leaf_symbol(leaf, column, row, text);
	case LEAT_STRING:
		return leat_utf8_valid(text) && leat_leaf_bytes(leaf, column, row, text);
	default:
		return leat_leaf_bytes(leaf, column, row, text);
	}
}

/* A cell with nothing in it, not even quotes, is an absent value; text that has neither default nor null is then the empty text. */
static bool store_cell(const struct leat_csv_decoder *decoder, const struct leat_leaf *leaf, struct leat_column *column, size_t row, const struct cell *cell)
{
	if (!cell->length && !cell->quoted && leat_leaf_absent(leaf, column, row))
		return true;
	return store_text(decoder, leaf, column, row, cell);
}

static bool store_absent(const struct leat_csv_decoder *decoder, struct leat_column *columns, size_t row)
{
	bool ok = true;
	for (size_t i = 0; i < decoder->leaves->count; i++) {
		const struct leat_leaf *leaf = &decoder->leaves->leaf[i];
		if (leaf->slot >= 0 && (leaf->has_default || leaf->field->nullable))
			ok &= leat_leaf_absent(leaf, &columns[leaf->slot], row);
	}
	return ok;
}

static enum leat_bad run_cells(const struct leat_csv_decoder *decoder, struct reader *reader, struct leat_column *columns, size_t row)
{
	enum leat_bad bad = LEAT_BAD_NONE;
	struct cell cell;

	for (size_t i = 0; i < decoder->count; i++) {
		const struct leat_leaf *leaf = decoder->leaf[i] < 0 ? NULL : &decoder->leaves->leaf[decoder->leaf[i]];
		reader->cell = i + 1;
		if ((reader->torn = !read_cell(reader, &cell)))
			return LEAT_BAD_CSV_SYNTAX;
		bool last = i + 1 == decoder->count;
		if ((reader->at == reader->end) != last)
			return LEAT_BAD_CSV_SYNTAX;
		reader->at += !last;
		if (leaf && leaf->slot >= 0 && !store_cell(decoder, leaf, &columns[leaf->slot], row, &cell)) {
			leat_misfit_note(&reader->misfit, leaf, false);
			bad = LEAT_BAD_CSV_TYPE;        /* not at once: a line of the wrong form is that first of all */
		}
	}
	return bad;
}

static enum leat_bad run_line(const struct leat_csv_decoder *decoder, struct reader *reader, struct leat_bytes line, struct leat_column *columns, size_t row,
			      struct leat_arena *arena)
{
	*reader = (struct reader){ .at = line.data, .separator = decoder->separator };
	if (!line.data)
		return LEAT_BAD_NULL_VALUE;
	if (line.length > LEAT_TEXT_MAX)
		return LEAT_BAD_TOO_LARGE;
	if (line.length && line.data[line.length - 1] == '\n')
		line.length--;
	if (line.length && line.data[line.length - 1] == '\r')
		line.length--;
	reader->end = line.data + line.length;
	reader->to = leat_arena_take(arena, line.length + decoder->count);
	if (!reader->to)
		return LEAT_BAD_NO_MEMORY;
	if (!store_absent(decoder, columns, row))
		return LEAT_BAD_CSV_TYPE;
	return run_cells(decoder, reader, columns, row);
}

enum leat_bad leat_csv_decoder_run(const struct leat_csv_decoder *decoder, struct leat_bytes line, struct leat_column *columns, size_t row,
				   struct leat_arena *arena)
{
	struct reader reader;
	return run_line(decoder, &reader, line, columns, row, arena);
}

static void say_syntax(const struct leat_csv_decoder *decoder, const struct reader *reader, char *text, size_t size)
{
	const char *what = reader->torn ? "the quotes are out of place in" : reader->at == reader->end ? "the line ends after" : "the line goes on after";
	snprintf(text, size, "%s cell %zu of %zu", what, reader->cell, decoder->count);
}

enum leat_bad leat_csv_decoder_explain(const struct leat_csv_decoder *decoder, struct leat_bytes line, char *text, size_t size)
{
	struct reader reader;
	struct leat_arena *arena;
	enum leat_bad bad = LEAT_BAD_NO_MEMORY;
	text[0] = '\0';
	if (leat_arena_open(&arena, EXPLAIN_CHUNK) < 0)
		return bad;
	struct leat_column *columns = leat_leaves_scratch(decoder->leaves, arena);
	if (columns)
		bad = run_line(decoder, &reader, line, columns, 0, arena);
	if (bad == LEAT_BAD_CSV_TYPE)
		leat_misfit_say(&reader.misfit, text, size);
	else if (bad == LEAT_BAD_CSV_SYNTAX)
		say_syntax(decoder, &reader, text, size);
	leat_arena_close(arena);
	return bad;
}
