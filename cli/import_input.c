/* Records of files: finding where one ends and the next begins. */
#include "cli/import_input.h"
#include "cli/import_bytes.h"
#include "schemas/avro_type.h"

enum { CHUNK = 1 << 16, HEAD_MAX = 1 << 20, BLOCK_MAX = 16 << 20, UNPACKED_MAX = 64 << 20, SHOWN_OF_LARGE = 1024, SYNC = 16, HEAD_ENTRIES_MAX = 1000 };

struct leat_input {
	char *path;
	struct leat_unpacker *unpacker;
	enum leat_input_format format;
	char separator;
	/* bytes read but not yet handed out: data[at, length) */
	struct leat_buffer bytes;
	size_t at;
	bool ended;
	int64_t line;                     /* of the next record */
	/* of a container */
	char *schema;
	struct leat_avro *avro;
	bool deflate;
	uint8_t sync[SYNC];
	struct leat_buffer block;
	struct leat_cursor cursor;        /* in the block             */
	int64_t left;                     /* records left in the block */
};

/* ---- bytes ---- */

/* One chunk more; what was handed out goes. */
static int more(struct leat_input *input, struct leat_fault *fault)
{
	struct leat_buffer *bytes = &input->bytes;
	if (input->at > 0) {
		memmove(bytes->data, bytes->data + input->at, bytes->length - input->at);
		bytes->length -= input->at;
		input->at = 0;
	}
	if (leat_buffer_reserve(bytes, CHUNK) < 0)
		return leat_fail(fault, LEAT_ENOMEM, "%s: out of memory", input->path);
	long got = leat_unpacker_read(input->unpacker, bytes->data + bytes->length, CHUNK, fault);
	if (got < 0)
		return (int)got;
	bytes->length += (size_t)got;
	input->ended = got == 0;
	return 0;
}

static size_t left(const struct leat_input *input)
{
	return input->bytes.length - input->at;
}

/* ---- lines ---- */

/* Where a record is being looked for: how far, and whether inside quotes. A quote opens only where a cell begins. */
struct scan { size_t length; bool quoted, cell_start; int64_t lines; };

/* True when the record's end, a line end outside quotes, is at scan->length. */
static bool find_end(const struct leat_input *input, struct scan *scan)
{
	const uint8_t *data = input->bytes.data + input->at;
	for (; scan->length < left(input) && scan->length <= LEAT_INPUT_RECORD_MAX; scan->length++) {
		uint8_t byte = data[scan->length];
		if (byte == '\n') {
			if (!scan->quoted)
				return true;
			scan->lines++;
		}
		if (input->format != LEAT_INPUT_CSV)
			continue;
		if (byte == '"' && (scan->quoted || scan->cell_start))
			scan->quoted = !scan->quoted;          /* a doubled quote closes and opens again */
		scan->cell_start = byte == (uint8_t)input->separator || (byte == '"' && !scan->quoted);
	}
	return false;
}

/* What is longer than a record may be ends with its line, quotes or not, so that one stray quote does not cost the rest of the file. */
static int skip_line(struct leat_input *input, struct scan *scan, struct leat_fault *fault)
{
	uint8_t *end;
	scan->lines = 0;
	while (!(end = memchr(input->bytes.data + input->at, '\n', left(input))) && !input->ended) {
		input->at = input->bytes.length;
		LEAT_TRY(more(input, fault));
	}
	input->at = end ? (size_t)(end - input->bytes.data) + 1 : input->bytes.length;
	return 0;
}

static int take_large(struct leat_input *input, struct scan *scan, struct leat_input_record *record, struct leat_fault *fault)
{
	input->block.length = 0;
	if (leat_buffer_append(&input->block, input->bytes.data + input->at, SHOWN_OF_LARGE) < 0)
		return leat_fail(fault, LEAT_ENOMEM, "%s: out of memory", input->path);
	record->bytes = leat_bytes(input->block.data, input->block.length);
	record->too_large = true;
	return skip_line(input, scan, fault);
}

static int next_line(struct leat_input *input, struct leat_input_record *record, struct leat_fault *fault)
{
	struct scan scan = { .cell_start = true };
	bool found;
	while (!(found = find_end(input, &scan)) && !input->ended && scan.length <= LEAT_INPUT_RECORD_MAX)
		LEAT_TRY(more(input, fault));
	*record = (struct leat_input_record){ .line = input->line };
	if (!found && scan.length > LEAT_INPUT_RECORD_MAX) {
		LEAT_TRY(take_large(input, &scan, record, fault));
	} else {
		size_t length = scan.length;
		const uint8_t *data = input->bytes.data + input->at;
		input->at += length + found;
		if (length && data[length - 1] == '\r')
			length--;
		record->bytes = leat_bytes(data, length);
	}
	input->line += scan.lines + 1;
	return found || record->bytes.length > 0;
}

/* ---- containers ---- */

static int not_avro(const struct leat_input *input, const char *what, struct leat_fault *fault)
{
	return leat_fail(fault, LEAT_ECORRUPT, "%s: not a sound Avro container: %s", input->path, what);
}

static int need(struct leat_input *input, size_t count, struct leat_fault *fault)
{
	while (left(input) < count && !input->ended)
		LEAT_TRY(more(input, fault));
	return left(input) < count ? not_avro(input, "it ends too early", fault) : 0;
}

static int read_long(struct leat_input *input, int64_t *value, struct leat_fault *fault)
{
	while (left(input) < 10 && !input->ended)
		LEAT_TRY(more(input, fault));
	struct leat_cursor cursor = { input->bytes.data + input->at, input->bytes.data + input->bytes.length };
	if (leat_cursor_long(&cursor, value))
		return not_avro(input, "a number is damaged", fault);
	input->at = (size_t)(cursor.at - input->bytes.data);
	return 0;
}

/* A length and so many bytes, borrowed until more is read. */
static int read_block(struct leat_input *input, size_t max, struct leat_bytes *out, struct leat_fault *fault)
{
	int64_t size;
	LEAT_TRY(read_long(input, &size, fault));
	if (size < 0 || (uint64_t)size > max)
		return not_avro(input, "a length is negative or too large", fault);
	LEAT_TRY(need(input, (size_t)size, fault));
	*out = leat_bytes(input->bytes.data + input->at, (size_t)size);
	input->at += (size_t)size;
	return 0;
}

static int take_meta(struct leat_input *input, const char *key, struct leat_bytes value, struct leat_fault *fault)
{
	if (strcmp(key, "avro.schema") == 0 && !input->schema && !(input->schema = leat_printf("%.*s", (int)value.length, (const char *)value.data)))
		return leat_fail(fault, LEAT_ENOMEM, "%s: out of memory", input->path);
	if (strcmp(key, "avro.codec") != 0 || leat_bytes_equal(value, leat_text("null")))
		return 0;
	input->deflate = leat_bytes_equal(value, leat_text("deflate"));
	return input->deflate ? 0 : leat_fail(fault, LEAT_EUNSUPPORTED, "%s: its codec is none of null and deflate", input->path);
}

static int read_meta(struct leat_input *input, struct leat_fault *fault)
{
	int64_t count = 1, size, all = 0;
	while (count != 0) {
		LEAT_TRY(read_long(input, &count, fault));
		if (count < 0)
			LEAT_TRY(read_long(input, &size, fault));
		count = count < 0 && count > INT64_MIN ? -count : count;
		if (count < 0 || (all += LEAT_MIN(count, HEAD_ENTRIES_MAX + 1)) > HEAD_ENTRIES_MAX)
			return not_avro(input, "its head has too many entries", fault);
		for (int64_t i = 0; i < count; i++) {
			struct leat_bytes part;
			char key[64];
			LEAT_TRY(read_block(input, HEAD_MAX, &part, fault));
			snprintf(key, sizeof key, "%.*s", (int)LEAT_MIN(part.length, sizeof key - 1), part.data ? (const char *)part.data : "");
			LEAT_TRY(read_block(input, HEAD_MAX, &part, fault));
			LEAT_TRY(take_meta(input, key, part, fault));
		}
	}
	return 0;
}

static int read_head(struct leat_input *input, struct leat_fault *fault)
{
	LEAT_TRY(need(input, 4, fault));
	if (memcmp(input->bytes.data + input->at, "Obj\1", 4) != 0)
		return not_avro(input, "it does not begin as one", fault);
	input->at += 4;
	LEAT_TRY(read_meta(input, fault));
	LEAT_TRY(need(input, SYNC, fault));
	memcpy(input->sync, input->bytes.data + input->at, SYNC);
	input->at += SYNC;
	if (!input->schema)
		return not_avro(input, "it has no schema", fault);
	return leat_avro_parse(&input->avro, input->schema, strlen(input->schema), input->path, fault);
}

/* 0: the end of the file. */
static int next_block(struct leat_input *input, struct leat_fault *fault)
{
	struct leat_bytes packed;
	if (left(input) == 0 && !input->ended)
		LEAT_TRY(more(input, fault));
	if (left(input) == 0)
		return 0;
	LEAT_TRY(read_long(input, &input->left, fault));
	LEAT_TRY(read_block(input, BLOCK_MAX, &packed, fault));
	int rc = input->deflate ? leat_inflate(packed, UNPACKED_MAX, &input->block) : (input->block.length = 0, leat_buffer_append(&input->block, packed.data, packed.length));
	if (rc < 0)
		return rc == LEAT_ENOMEM ? leat_fail(fault, rc, "%s: out of memory", input->path) : not_avro(input, "a block cannot be unpacked, or has over 64 MiB", fault);
	LEAT_TRY(need(input, SYNC, fault));
	if (memcmp(input->bytes.data + input->at, input->sync, SYNC) != 0 || input->left < 0 || (uint64_t)input->left > LEAT_MAX(input->block.length, (size_t)1))
		return not_avro(input, "a block does not end where it should, or has more records than bytes", fault);
	input->at += SYNC;
	input->cursor = (struct leat_cursor){ input->block.data, input->block.data + input->block.length };
	return 1;
}

static int next_datum(struct leat_input *input, struct leat_input_record *record, struct leat_fault *fault)
{
	while (input->left == 0) {
		if (input->cursor.at != input->cursor.end)
			return not_avro(input, "a block holds more than it says", fault);
		int rc = next_block(input, fault);
		if (rc <= 0)
			return rc;
	}
	const uint8_t *start = input->cursor.at;
	struct leat_budget budget = leat_budget(leat_bytes(start, leat_cursor_left(&input->cursor)));
	enum leat_bad bad = leat_cursor_skip(&input->cursor, input->avro->type, &budget, 0);
	if (bad)
		return not_avro(input, leat_bad_text(bad), fault);
	size_t length = (size_t)(input->cursor.at - start);
	bool too_large = length > LEAT_INPUT_RECORD_MAX;
	*record = (struct leat_input_record){ .line = input->line++, .bytes = leat_bytes(start, too_large ? SHOWN_OF_LARGE : length), .too_large = too_large };
	input->left--;
	return 1;
}

/* ---- both ---- */

int leat_input_open(struct leat_input **out, const char *path, enum leat_input_format format, char separator, struct leat_fault *fault)
{
	struct leat_input *input = leat_calloc(1, sizeof *input);
	int rc = LEAT_ENOMEM;
	*out = NULL;
	if (!input || !(input->path = leat_strdup(path))) {
		leat_fail(fault, rc, "%s: out of memory", path);
		goto out;
	}
	input->format = format;
	input->separator = separator;
	input->line = 1;
	if ((rc = leat_unpacker_open(&input->unpacker, path, fault)) < 0 || (rc = more(input, fault)) < 0)
		goto out;
	if (format == LEAT_INPUT_AVRO && (rc = read_head(input, fault)) < 0)
		goto out;
	*out = input;
	input = NULL;
out:
	leat_input_close(input);
	return rc;
}

void leat_input_close(struct leat_input *input)
{
	if (!input)
		return;
	leat_unpacker_close(input->unpacker);
	leat_buffer_free(&input->bytes);
	leat_buffer_free(&input->block);
	leat_avro_free(input->avro);
	leat_free(input->schema);
	leat_free(input->path);
	leat_free(input);
}

int leat_input_next(struct leat_input *input, struct leat_input_record *record, struct leat_fault *fault)
{
	if (input->format == LEAT_INPUT_AVRO)
		return next_datum(input, record, fault);
	for (;;) {
		LEAT_TRY(next_line(input, record, fault));
		if (record->bytes.length > 0)
			return 1;
		if (input->ended && left(input) == 0)
			return 0;
	}
}

const char *leat_input_schema(const struct leat_input *input)
{
	return input->schema;
}
