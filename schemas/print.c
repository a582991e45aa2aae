/*
 * Any Avro body as JSON text, for people: unions without their branch's name, times and the like as the numbers they are.
 * Bounded as the decoder is; the steps also bound how much text few bytes can ask for.
 */
#include "schemas/encoding.h"
#include "schemas/json_text.h"

struct printer {
	struct leat_cursor cursor;
	struct leat_budget budget;
	struct leat_buffer *out;
};

static enum leat_bad print_type(struct printer *printer, const struct leat_avro_type *type, int depth);

static enum leat_bad bad_of(int rc)
{
	return rc < 0 ? LEAT_BAD_NO_MEMORY : LEAT_BAD_NONE;
}

static enum leat_bad say(struct printer *printer, const char *text)
{
	return bad_of(leat_buffer_append(printer->out, text, strlen(text)));
}

#define TRY(call)                                                                      \
	do {                                                                           \
		enum leat_bad bad_ = (call);                                           \
		if (bad_ != LEAT_BAD_NONE)                                             \
			return bad_;                                                   \
	} while (0)

static enum leat_bad print_key(struct printer *printer)
{
	struct leat_bytes key;
	TRY(leat_cursor_text(&printer->cursor, &key));
	TRY(bad_of(leat_json_text(printer->out, key)));
	return say(printer, ":");
}

/* The items of one block. *@comma says whether any came before it. */
static enum leat_bad print_block(struct printer *printer, const struct leat_avro_type *type, size_t count, bool *comma, int depth)
{
	for (; count > 0; count--, *comma = true) {
		TRY(say(printer, *comma ? "," : ""));
		if (type->kind == LEAT_AVRO_MAP)
			TRY(print_key(printer));
		TRY(print_type(printer, type->item, depth + 1));
	}
	return LEAT_BAD_NONE;
}

static enum leat_bad print_items(struct printer *printer, const struct leat_avro_type *type, int depth)
{
	const uint8_t *end;
	size_t count;
	bool comma = false;

	TRY(say(printer, type->kind == LEAT_AVRO_MAP ? "{" : "["));
	for (;;) {
		TRY(leat_cursor_block(&printer->cursor, &printer->budget, &count, &end));
		if (count == 0)
			return say(printer, type->kind == LEAT_AVRO_MAP ? "}" : "]");
		TRY(print_block(printer, type, count, &comma, depth));
		if (end && printer->cursor.at != end)
			return LEAT_BAD_AVRO_LENGTH;
	}
}

static enum leat_bad print_record(struct printer *printer, const struct leat_avro_type *type, int depth)
{
	TRY(say(printer, "{"));
	for (size_t i = 0; i < type->count; i++) {
		TRY(bad_of(leat_buffer_printf(printer->out, "%s\"%s\":", i ? "," : "", type->fields[i].name)));
		TRY(print_type(printer, type->fields[i].type, depth + 1));
	}
	return say(printer, "}");
}

static enum leat_bad print_number(struct printer *printer, const struct leat_avro_type *type)
{
	int64_t integer;
	float real;
	double wide;

	switch (type->kind) {
	case LEAT_AVRO_INT:
		TRY(leat_cursor_int(&printer->cursor, &integer));
		return bad_of(leat_json_integer(printer->out, integer));
	case LEAT_AVRO_LONG:
		TRY(leat_cursor_long(&printer->cursor, &integer));
		return bad_of(leat_json_integer(printer->out, integer));
	case LEAT_AVRO_FLOAT:
		TRY(leat_cursor_float(&printer->cursor, &real));
		return bad_of(leat_json_float(printer->out, real));
	default:
		TRY(leat_cursor_double(&printer->cursor, &wide));
		return bad_of(leat_json_double(printer->out, wide));
	}
}

static enum leat_bad print_simple(struct printer *printer, const struct leat_avro_type *type)
{
	struct leat_bytes bytes = { printer->cursor.at, (uint32_t)type->size };
	uint8_t boolean;
	size_t index;

	switch (type->kind) {
	case LEAT_AVRO_NULL:
		return say(printer, "null");
	case LEAT_AVRO_BOOLEAN:
		TRY(leat_cursor_bool(&printer->cursor, &boolean));
		return say(printer, boolean ? "true" : "false");
	case LEAT_AVRO_ENUM:
		TRY(leat_cursor_index(&printer->cursor, type->count, LEAT_BAD_AVRO_ENUM, &index));
		return bad_of(leat_json_text(printer->out, leat_text(type->symbols[index])));
	case LEAT_AVRO_STRING:
		TRY(leat_cursor_text(&printer->cursor, &bytes));
		return bad_of(leat_json_text(printer->out, bytes));
	case LEAT_AVRO_BYTES:
		TRY(leat_cursor_bytes(&printer->cursor, &bytes));
		return bad_of(leat_json_bytes(printer->out, bytes));
	case LEAT_AVRO_FIXED:
		TRY(leat_cursor_fixed(&printer->cursor, type->size));
		return bad_of(leat_json_bytes(printer->out, bytes));
	default:
		return print_number(printer, type);
	}
}

static enum leat_bad print_type(struct printer *printer, const struct leat_avro_type *type, int depth)
{
	size_t index;

	if (depth > LEAT_AVRO_DEPTH)
		return LEAT_BAD_AVRO_DEPTH;
	if (printer->budget.steps == 0)
		return LEAT_BAD_AVRO_ELEMENTS;
	printer->budget.steps--;
	switch (type->kind) {
	case LEAT_AVRO_RECORD:
		return print_record(printer, type, depth);
	case LEAT_AVRO_ARRAY:
	case LEAT_AVRO_MAP:
		return print_items(printer, type, depth);
	case LEAT_AVRO_UNION:
		TRY(leat_cursor_index(&printer->cursor, type->count, LEAT_BAD_AVRO_UNION, &index));
		return print_type(printer, type->branches[index], depth + 1);
	default:
		return print_simple(printer, type);
	}
}

enum leat_bad leat_avro_print_value(const struct leat_avro_type *type, struct leat_bytes body, struct leat_buffer *out)
{
	static const uint8_t nothing[1];
	const uint8_t *start = body.data ? body.data : nothing;
	struct printer printer = { { start, start + body.length }, leat_budget(body), out };
	size_t before = out->length;
	enum leat_bad bad = print_type(&printer, type, 0);

	if (bad == LEAT_BAD_NONE && printer.cursor.at != printer.cursor.end)
		bad = LEAT_BAD_AVRO_TRAILING;
	if (bad != LEAT_BAD_NONE)
		out->length = before;
	return bad;
}

enum leat_bad leat_avro_print(const char *schema_json, size_t schema_length, struct leat_bytes body, struct leat_buffer *out)
{
	struct leat_avro *avro;
	int rc = leat_avro_parse(&avro, schema_json, schema_length, "schema", NULL);
	if (rc < 0)
		return rc == LEAT_ENOMEM ? LEAT_BAD_NO_MEMORY : LEAT_BAD_UNKNOWN_SCHEMA;
	enum leat_bad bad = leat_avro_print_value(avro->type, body, out);
	leat_avro_free(avro);
	return bad;
}
