/* JSON, value by value. */
#include "schemas/json_read.h"

#include <locale.h>
#include <pthread.h>
#include <stdlib.h>

/* ---- strings ---- */

static int hex_digit(uint8_t byte)
{
	if (byte >= '0' && byte <= '9')
		return byte - '0';
	byte |= 0x20;
	return byte >= 'a' && byte <= 'f' ? byte - 'a' + 10 : -1;
}

/* The four digits behind \u; -1 when they are not. */
static int32_t hex_unit(const uint8_t *at)
{
	int32_t unit = 0;
	for (int i = 0; i < 4; i++) {
		int digit = hex_digit(at[i]);
		if (digit < 0)
			return -1;
		unit = unit << 4 | digit;
	}
	return unit;
}

/* The code point of \uXXXX, or of two of them that make one; -1 for half of a pair. */
static int32_t unicode(struct leat_json_reader *reader)
{
	int32_t unit = hex_unit(reader->at + 2), low;
	if (unit < 0)
		return -1;
	reader->at += 6;
	if (unit < 0xd800 || unit > 0xdfff)
		return unit;
	if (unit > 0xdbff || reader->at[0] != '\\' || reader->at[1] != 'u' || (low = hex_unit(reader->at + 2)) < 0xdc00 || low > 0xdfff)
		return -1;
	reader->at += 6;
	return 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
}

static int32_t unescape(struct leat_json_reader *reader)
{
	static const char letters[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
	uint8_t letter = reader->at[1];
	if (letter == 'u')
		return unicode(reader);
	const char *known = letter ? strchr(letters, letter) : NULL;
	if (!known)
		return -1;
	reader->at += 2;
	return meanings[known - letters];
}

static uint8_t *put_code(uint8_t *to, int32_t code)
{
	if (code < 0x80) {
		*to++ = (uint8_t)code;
		return to;
	}
	if (code < 0x800) {
		*to++ = (uint8_t)(0xc0 | code >> 6);
	} else {
		if (code < 0x10000) {
			*to++ = (uint8_t)(0xe0 | code >> 12);
		} else {
			*to++ = (uint8_t)(0xf0 | code >> 18);
			*to++ = (uint8_t)(0x80 | (code >> 12 & 0x3f));
		}
		*to++ = (uint8_t)(0x80 | (code >> 6 & 0x3f));
	}
	*to++ = (uint8_t)(0x80 | (code & 0x3f));
	return to;
}

static bool is_plain(uint8_t byte)
{
	return byte >= 0x20 && byte != '"' && byte != '\\';
}

enum leat_bad leat_json_string(struct leat_json_reader *reader, struct leat_bytes *out)
{
	uint8_t *from = ++reader->at;
	while (is_plain(*reader->at))
		reader->at++;
	/* Escaped text is longer than what it stands for, so that writing never overtakes reading. */
	for (uint8_t *to = reader->at;;) {
		uint8_t byte = *reader->at;
		if (byte == '"') {
			reader->at++;
			if (out)
				*out = leat_bytes(from, (size_t)(to - from));
			return LEAT_BAD_NONE;
		}
		int32_t code = -1;
		if (byte < 0x20 || (byte == '\\' && (code = unescape(reader)) < 0))
			return LEAT_BAD_JSON_SYNTAX;
		if (code < 0)
			reader->at++;
		if (out && code >= 0)
			to = put_code(to, code);
		else if (out)
			*to++ = byte;
	}
}

/* ---- numbers ---- */

static locale_t plain;
static pthread_once_t plain_once = PTHREAD_ONCE_INIT;
static void make_plain(void)
{
	plain = newlocale(LC_ALL_MASK, "C", NULL);
	LEAT_ASSERT(plain);
}

static bool is_digit(uint8_t byte)
{
	return byte >= '0' && byte <= '9';
}

/* Past one digit or more. */
static bool take_digits(struct leat_json_reader *reader)
{
	const uint8_t *from = reader->at;
	while (is_digit(*reader->at))
		reader->at++;
	return reader->at > from;
}

/* Past a fraction and an exponent; *any: was there one? */
static bool take_real_part(struct leat_json_reader *reader, bool *any)
{
	*any = false;
	if (*reader->at == '.') {
		*any = true;
		reader->at++;
		if (!take_digits(reader))
			return false;
	}
	if (*reader->at != 'e' && *reader->at != 'E')
		return true;
	*any = true;
	reader->at++;
	reader->at += *reader->at == '+' || *reader->at == '-';
	return take_digits(reader);
}

static bool to_int(const uint8_t *at, const uint8_t *end, int64_t *out)
{
	bool negative = *at == '-';
	int64_t value = 0;
	for (at += negative; at < end; at++)
		if (__builtin_mul_overflow(value, 10, &value) ||
		    (negative ? __builtin_sub_overflow(value, *at - '0', &value) : __builtin_add_overflow(value, *at - '0', &value)))
			return false;
	*out = value;
	return true;
}

enum leat_bad leat_json_number(struct leat_json_reader *reader, struct leat_json_number *out)
{
	const uint8_t *from = reader->at;
	bool real;
	reader->at += *from == '-';
	bool zero = *reader->at == '0';
	if (!take_digits(reader) || (zero && reader->at - from > 1 + (*from == '-')) || !take_real_part(reader, &real))
		return LEAT_BAD_JSON_SYNTAX;
	if (!out)
		return LEAT_BAD_NONE;
	out->integer = !real && to_int(from, reader->at, &out->whole);
	if (out->integer) {
		out->real = (double)out->whole;
		return LEAT_BAD_NONE;
	}
	pthread_once(&plain_once, make_plain);
	out->real = strtod_l((const char *)from, NULL, plain);       /* it stops where the grammar did */
	return LEAT_BAD_NONE;
}

/* ---- the rest ---- */

enum leat_bad leat_json_word(struct leat_json_reader *reader, const char *word)
{
	for (; *word; word++, reader->at++)
		if (*reader->at != (uint8_t)*word)
			return LEAT_BAD_JSON_SYNTAX;
	return LEAT_BAD_NONE;
}

static enum leat_bad skip_name(struct leat_json_reader *reader)
{
	if (leat_json_peek(reader) != '"' || leat_json_string(reader, NULL) || !leat_json_take(reader, ':'))
		return LEAT_BAD_JSON_SYNTAX;
	return LEAT_BAD_NONE;
}

static enum leat_bad skip_items(struct leat_json_reader *reader, unsigned depth, size_t *count)
{
	bool object = *reader->at++ == '{';
	uint8_t close = object ? '}' : ']';
	enum leat_bad bad = LEAT_BAD_NONE;

	*count = 0;
	if (depth >= LEAT_JSON_DEPTH)
		return LEAT_BAD_TOO_LARGE;
	if (leat_json_take(reader, close))
		return LEAT_BAD_NONE;
	for (;;) {
		if (object && (bad = skip_name(reader)))
			return bad;
		if ((bad = leat_json_skip(reader, depth + 1, NULL)))
			return bad;
		++*count;
		if (leat_json_take(reader, close))
			return LEAT_BAD_NONE;
		if (!leat_json_take(reader, ','))
			return LEAT_BAD_JSON_SYNTAX;
	}
}

enum leat_bad leat_json_skip(struct leat_json_reader *reader, unsigned depth, size_t *count)
{
	size_t unused;
	switch (leat_json_peek(reader)) {
	case '"':
		return leat_json_string(reader, NULL);
	case '{':
	case '[':
		return skip_items(reader, depth, count ? count : &unused);
	case 't':
		return leat_json_word(reader, "true");
	case 'f':
		return leat_json_word(reader, "false");
	case 'n':
		return leat_json_word(reader, "null");
	default:
		return leat_json_number(reader, NULL);
	}
}
