/*
 * Schemas and codecs: event bodies to columns and back. Bodies come from outside and are hostile until proven decent:
 * everything here is bounded, nothing here allocates per event except from the batch's arena, nothing trusts a length.
 * Compiled objects are immutable after compile and may be used from many threads.
 */
#ifndef LEAT_CODEC_H
#define LEAT_CODEC_H

#include "base/base.h"

/* Why a body was refused; the text is the dead letter's reason (RELIABILITY: bad input). */
#define LEAT_BAD_REASONS(X)                                                            \
	X(NONE, "")                                                                    \
	X(NULL_VALUE, "null_value")                                                    \
	X(NULL_KEY, "null_key")                                                        \
	X(BAD_MAGIC, "bad_magic")                                                      \
	X(SHORT_HEADER, "short_header")                                                \
	X(UNKNOWN_SCHEMA, "unknown_schema")                                            \
	X(SCHEMA_INCOMPATIBLE, "schema_incompatible")                                  \
	X(AVRO_TRUNCATED, "avro_truncated")                                            \
	X(AVRO_TRAILING, "avro_trailing_bytes")                                        \
	X(AVRO_LENGTH, "avro_length")             /* more than the bytes that are left */ \
	X(AVRO_NEGATIVE, "avro_negative_count")                                        \
	X(AVRO_VARINT, "avro_varint")             /* longer than 10 bytes, or beyond int for an int */ \
	X(AVRO_ENUM, "avro_enum")                                                      \
	X(AVRO_BOOL, "avro_bool")                                                      \
	X(AVRO_UNION, "avro_union")                                                    \
	X(AVRO_UTF8, "avro_utf8")                                                      \
	X(AVRO_DEPTH, "avro_depth")               /* > 64 */                           \
	X(AVRO_ELEMENTS, "avro_elements")         /* > 100,000 */                      \
	X(JSON_SYNTAX, "json_syntax")                                                  \
	X(JSON_TYPE, "json_type")                 /* a field is missing or of another type */ \
	X(CSV_SYNTAX, "csv_syntax")                                                    \
	X(CSV_TYPE, "csv_type")                                                        \
	X(TOO_LARGE, "too_large")                                                      \
	X(BAD_TIME, "bad_time")                                                        \
	X(INTERNAL_DAMAGED, "internal_damaged")   /* a record of our own topics that we did not write */ \
	X(NO_MEMORY, "no_memory")
enum leat_bad {
#define X(name, text) LEAT_BAD_##name,
	LEAT_BAD_REASONS(X)
#undef X
	LEAT_BAD_COUNT
};
const char *leat_bad_text(enum leat_bad bad);

/*
 * ---- schema (schemas/schema.c): an Avro record flattened to fields ----
 * Nested records become dotted names. Allowed field types: boolean, int, long, float, double, string, bytes, enum,
 * array of string, array of float or double, and ["null", T] unions of these. Others: LEAT_ESCHEMA naming the field.
 */
struct leat_schema;
/* @json: the Avro schema's text; @name: for messages, e.g. the file's path. */
int leat_schema_parse(struct leat_schema **out, const char *json, size_t length, const char *name, struct leat_fault *fault);
int leat_schema_load(struct leat_schema **out, const char *path, struct leat_fault *fault);
/* A schema made from fields (NULL name ends), for streams that operators emit and for tests; record name @name. */
int leat_schema_from_fields(struct leat_schema **out, const char *name, const struct leat_field *fields, struct leat_fault *fault);
void leat_schema_free(struct leat_schema *schema);
const char *leat_schema_name(const struct leat_schema *schema);        /* full record name, e.g. leat.shop.Click */
const char *leat_schema_json(const struct leat_schema *schema);        /* as parsed                               */
size_t leat_schema_count(const struct leat_schema *schema);
const struct leat_field *leat_schema_field(const struct leat_schema *schema, size_t index);
long leat_schema_find(const struct leat_schema *schema, const char *name);   /* index or -1 */
/* The field's timestamp unit: 1 = ms (also plain long), 1000 = µs (logicalType timestamp-micros); values in columns are always ms. */
int leat_schema_time_divisor(const struct leat_schema *schema, size_t index);
/*
 * Has field @index a default? Then *value is it as it would lie in a column (leat_type_size bytes; borrowed from the schema) and *null says whether it is null.
 * The field's own default: one of a nested record as a whole is not in it.
 */
bool leat_schema_default(const struct leat_schema *schema, size_t index, const void **value, bool *null);

/*
 * ---- decoders: a body to one row of columns ----
 * @slots[i]: where reader field i goes, or -1 to skip it. Numbers convert to the column's type (int → double and so on);
 * enum columns get OUR index (the writer's symbols are mapped once at compile time). Writer fields unknown to us are skipped;
 * missing ones take our default; aliases and promotions by Avro 1.11 "Schema Resolution". LEAT_ESCHEMA says why they do not resolve.
 * A decoder stands alone: @reader may be freed before it.
 */
struct leat_decoder;
int leat_decoder_compile(struct leat_decoder **out, const char *writer_json, size_t length, const struct leat_schema *reader,
			 const int *slots, struct leat_fault *fault);
void leat_decoder_free(struct leat_decoder *decoder);
/*
 * Decodes the Avro binary @body (after the wire header) into row @row of @columns, whose types are those of the reader's fields.
 * Strings and bytes are views into @body, or into @decoder where a default stands in for a missing field; lists take from @arena,
 * 16 bytes per string and 4 per number, so never more than 16 × the body's length. On a reason other than LEAT_BAD_NONE the row's
 * columns hold no promise. Never reads outside @body. All bytes must be consumed.
 */
enum leat_bad leat_decoder_run(const struct leat_decoder *decoder, struct leat_bytes body, struct leat_column *columns, size_t row,
			       struct leat_arena *arena);
/*
 * JSON: one object of at most 1 MiB, field names as in the schema, unknown ones skipped; also accepts Avro's JSON union form {"double": 1.5}.
 * A missing field takes its default, else null, else the body is refused. Whole numbers in any notation serve an integer field; a field that is
 * there twice is JSON_SYNTAX, nesting beyond 64 TOO_LARGE. Strings point into one copy of the body in @arena; lists take 16 bytes per string, 4 per number.
 */
struct leat_json_decoder;
int leat_json_decoder_open(struct leat_json_decoder **out, const struct leat_schema *reader, const int *slots, struct leat_fault *fault);
void leat_json_decoder_free(struct leat_json_decoder *decoder);
enum leat_bad leat_json_decoder_run(const struct leat_json_decoder *decoder, struct leat_bytes body, struct leat_column *columns, size_t row,
				    struct leat_arena *arena);
/*
 * What of a refused body was wrong, as words for people: "'price' must be double or null", "'user_id' is missing", "near byte 17 of 80"; "" when the reason says all.
 * Decodes it once more, in memory of its own. The reason again, or LEAT_BAD_NO_MEMORY.
 */
enum leat_bad leat_json_decoder_explain(const struct leat_json_decoder *decoder, struct leat_bytes body, char *text, size_t size);
/*
 * CSV: one line of at most 1 MiB, its end optional, RFC 4180 quoting; @columns_text: comma-separated field names in file order ("-" skips one),
 * @separator usually ','. A cell with nothing in it, not even quotes, is a missing field: default, else null, else empty text, else CSV_TYPE. Cells are
 * taken as they are, blanks included; true, false, 1, 0 are booleans; bytes are the cell's own. Strings point into one copy of the line in @arena.
 * open: LEAT_ESCHEMA for unknown or repeated names, lists, and fields that no cell fills and that have neither default nor null.
 */
struct leat_csv_decoder;
int leat_csv_decoder_open(struct leat_csv_decoder **out, const struct leat_schema *reader, const char *columns_text, char separator,
			  const int *slots, struct leat_fault *fault);
void leat_csv_decoder_free(struct leat_csv_decoder *decoder);
enum leat_bad leat_csv_decoder_run(const struct leat_csv_decoder *decoder, struct leat_bytes line, struct leat_column *columns, size_t row,
				   struct leat_arena *arena);
/* As leat_json_decoder_explain(); of a line of the wrong form: which cell. */
enum leat_bad leat_csv_decoder_explain(const struct leat_csv_decoder *decoder, struct leat_bytes line, char *text, size_t size);

/*
 * ---- encoders: one row of columns to a body ----
 * @slots[i]: the column of field i, or -1: its default, or null, else LEAT_ESCHEMA. @fields[slot] says the columns' types; conversions
 * that lose nothing by type (int → long, float → double, enum → string, int → double) are made, others are LEAT_ESCHEMA. A null in a
 * field that has no null branch is LEAT_ESCHEMA at run time, as are an integer beyond int in an int field, a time that has no microseconds, and an
 * enum index without a symbol. An encoder stands alone: @schema and @fields may be freed before it.
 */
struct leat_encoder;
int leat_encoder_compile(struct leat_encoder **out, const struct leat_schema *schema, const int *slots, const struct leat_field *const *fields,
			 struct leat_fault *fault);
void leat_encoder_free(struct leat_encoder *encoder);
/* Appends the Avro body (without wire header) of @row to @out; LEAT_ENOMEM, LEAT_ESCHEMA. */
int leat_encoder_run(const struct leat_encoder *encoder, const struct leat_column *columns, size_t row, struct leat_buffer *out);
/* Appends the row as one JSON object (UTF-8, no newline; NaN and infinities as null). */
int leat_encoder_run_json(const struct leat_encoder *encoder, const struct leat_column *columns, size_t row, struct leat_buffer *out);
/* Appends any Avro body of @schema_json as JSON text: for tail and dead letters. Bounded like the decoder. */
enum leat_bad leat_avro_print(const char *schema_json, size_t schema_length, struct leat_bytes body, struct leat_buffer *out);

/* ---- wire header: magic 0, schema id big-endian (Confluent) ---- */
#define LEAT_WIRE_HEADER 5
enum leat_bad leat_wire_read(struct leat_bytes value, int32_t *schema_id, struct leat_bytes *body);
void leat_wire_write(uint8_t header[LEAT_WIRE_HEADER], int32_t schema_id);

/* ---- helpers shared with others ---- */
bool leat_utf8_valid(struct leat_bytes text);
/* A batch-sized set of columns for @count fields, from malloc: for tools and tests; the engine makes its own the same way. */
int leat_columns_make(struct leat_column **out, const struct leat_field *const *fields, size_t count);
void leat_columns_free(struct leat_column *columns, size_t count);
size_t leat_type_size(uint8_t type);            /* bytes per row (of one float for LEAT_VECTOR) */
const char *leat_type_name(uint8_t type);

#endif
