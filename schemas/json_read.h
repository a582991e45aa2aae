/*
 * Reading JSON (RFC 8259) from bytes that nobody vouches for, without a tree and without taking memory: from a copy of the body that may be
 * changed, because strings are unescaped where they stand. Private to schemas/. The reader owns nothing; one thread per reader.
 * Every function returns why it could not go on: LEAT_BAD_JSON_SYNTAX or LEAT_BAD_TOO_LARGE; the reader then holds no promise.
 */
#ifndef LEAT_JSON_READ_H
#define LEAT_JSON_READ_H

#include "schemas/codec.h"

enum { LEAT_JSON_DEPTH = 64 };

/* *end has to be 0, which no value contains unescaped, so that nothing needs to look for the end; all of it has to be UTF-8. */
struct leat_json_reader {
	uint8_t *at;
	const uint8_t *end;
};

struct leat_json_number {
	bool integer;           /* written as one, and within int64 */
	int64_t whole;          /* if integer                       */
	double real;            /* in any case; may be infinite     */
};

/* The first byte of what comes next; 0 at the end. */
static inline uint8_t leat_json_peek(struct leat_json_reader *reader)
{
	while (*reader->at == ' ' || *reader->at == '\n' || *reader->at == '\r' || *reader->at == '\t')
		reader->at++;
	return *reader->at;
}

/* Goes past @mark if that comes next. */
static inline bool leat_json_take(struct leat_json_reader *reader, uint8_t mark)
{
	if (leat_json_peek(reader) != mark)
		return false;
	reader->at++;
	return true;
}

/* Where a string begins: *out is its text, a view. @out NULL: only past it, nothing is changed. */
enum leat_bad leat_json_string(struct leat_json_reader *reader, struct leat_bytes *out);
/* @out NULL: only past it. */
enum leat_bad leat_json_number(struct leat_json_reader *reader, struct leat_json_number *out);
/* true, false or null. */
enum leat_bad leat_json_word(struct leat_json_reader *reader, const char *word);
/* Past one value, whatever it is, inside of @depth others; nothing is changed. @count: its items or members, if it has any (may be NULL). */
enum leat_bad leat_json_skip(struct leat_json_reader *reader, unsigned depth, size_t *count);

#endif
