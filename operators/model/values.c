/* Checks and repairs of single values. */
#include "operators/model/values.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define NUMBER_MAX 64           /* characters of a number written as text */

/* ---- text ---- */

static bool is_blank(uint8_t c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

struct leat_bytes leat_values_trim(struct leat_bytes text)
{
	while (text.length && is_blank(text.data[0])) {
		text.data++;
		text.length--;
	}
	while (text.length && is_blank(text.data[text.length - 1]))
		text.length--;
	return text;
}

static bool changes(uint8_t c, enum leat_values_case style)
{
	return style == LEAT_VALUES_LOWER ? c >= 'A' && c <= 'Z' : style == LEAT_VALUES_UPPER && c >= 'a' && c <= 'z';
}

bool leat_values_has_case(struct leat_bytes text, enum leat_values_case style)
{
	for (uint32_t i = 0; i < text.length; i++)
		if (changes(text.data[i], style))
			return true;
	return false;
}

struct leat_bytes leat_values_to_case(uint8_t *out, struct leat_bytes text, enum leat_values_case style)
{
	for (uint32_t i = 0; i < text.length; i++)
		out[i] = changes(text.data[i], style) ? text.data[i] ^ 0x20 : text.data[i];
	return (struct leat_bytes){ out, text.length };
}

static bool starts_character(uint8_t c)
{
	return (c & 0xC0) != 0x80;
}

/* Characters of valid UTF-8. */
static int64_t characters(struct leat_bytes text)
{
	int64_t count = 0;
	for (uint32_t i = 0; i < text.length; i++)
		count += starts_character(text.data[i]);
	return count;
}

/* Bytes of the character at @at, 0 if there is none (RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF). */
static uint32_t character_at(struct leat_bytes text, uint32_t at)
{
	uint8_t c = text.data[at];
	uint32_t size = c < 0x80 ? 1 : c >= 0xC2 && c < 0xE0 ? 2 : c >= 0xE0 && c < 0xF0 ? 3 : c >= 0xF0 && c < 0xF5 ? 4 : 0;
	if (size == 0 || size > text.length - at)
		return 0;
	for (uint32_t i = 1; i < size; i++)
		if (starts_character(text.data[at + i]))
			return 0;
	uint8_t next = size > 2 ? text.data[at + 1] : 0;
	bool bad = (c == 0xE0 && next < 0xA0) || (c == 0xED && next > 0x9F) || (c == 0xF0 && next < 0x90) || (c == 0xF4 && next > 0x8F);
	return bad ? 0 : size;
}

bool leat_values_is_utf8(struct leat_bytes text)
{
	for (uint32_t at = 0, size; at < text.length; at += size)
		if ((size = character_at(text, at)) == 0)
			return false;
	return true;
}

/* Bytes of the first @characters. */
static uint32_t bytes_of(struct leat_bytes text, int64_t characters)
{
	uint32_t at = 0;
	for (; at < text.length; at++)
		if (starts_character(text.data[at]) && characters-- == 0)
			break;
	return at;
}

struct leat_bytes leat_values_word(const char **list)
{
	if (!*list)
		return (struct leat_bytes){ 0 };
	const char *comma = strchr(*list, ',');
	struct leat_bytes word = { (const uint8_t *)*list, (uint32_t)(comma ? (size_t)(comma - *list) : strlen(*list)) };
	*list = comma ? comma + 1 : NULL;
	return leat_values_trim(word);
}

/* ---- numbers as text ---- */

bool leat_values_parse_int(const char *text, int64_t *out)
{
	char *end;
	if (is_blank((uint8_t)*text))
		return false;
	errno = 0;
	*out = strtoll(text, &end, 10);
	return end != text && !*end && errno == 0;
}

/* Decimal only: what strtod() reads beyond that - hexadecimal, inf, nan - has letters other than e. */
bool leat_values_parse_double(const char *text, double *out)
{
	char *end;
	if (text[strspn(text, "0123456789+-.eE")])
		return false;
	*out = strtod(text, &end);
	return end != text && !*end && isfinite(*out);
}

static bool has_form(struct leat_bytes text, uint8_t form)
{
	char copy[NUMBER_MAX + 1];
	int64_t whole;
	double number;
	if (form == LEAT_VALUES_ANY)
		return true;
	if (text.length > NUMBER_MAX || (text.length && memchr(text.data, 0, text.length)))
		return false;
	if (text.length)
		memcpy(copy, text.data, text.length);
	copy[text.length] = 0;
	return form == LEAT_VALUES_INT ? leat_values_parse_int(copy, &whole) : leat_values_parse_double(copy, &number);
}

/* ---- checks ---- */

static bool is_listed(const struct leat_values *values, int64_t number)
{
	for (size_t i = 0; i < values->count; i++)
		if (values->numbers[i] == number)
			return true;
	return !values->numbers;
}

static bool is_word(const char *list, struct leat_bytes text)
{
	if (!list)
		return true;
	for (struct leat_bytes word = leat_values_word(&list); word.data; word = leat_values_word(&list))
		if (word.length == text.length && (!text.length || memcmp(word.data, text.data, text.length) == 0))
			return true;
	return false;
}

static bool good_number(const struct leat_values *values, double number)
{
	return isfinite(number) && !(values->has_min && number < values->min) && !(values->has_max && number > values->max);
}

static bool good_int(const struct leat_values *values, int64_t number)
{
	return !(values->has_min && number < values->min_int) && !(values->has_max && number > values->max_int) && is_listed(values, number);
}

static bool good_length(const struct leat_values *values, struct leat_bytes bytes, bool text)
{
	bool counted = values->has_min_length || (values->has_max_length && bytes.length > values->max_length);
	int64_t length = counted && text ? characters(bytes) : bytes.length;
	if (values->not_empty && bytes.length == 0)
		return false;
	return !(values->has_min_length && length < values->min_length) && !(values->has_max_length && length > values->max_length);
}

static bool all_finite(const float *numbers, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (!isfinite(numbers[i]))
			return false;
	return true;
}

bool leat_values_good(const struct leat_values *values, const struct leat_column *column, size_t row)
{
	switch (column->type) {
	case LEAT_INT:
		return good_int(values, column->ints[row]);
	case LEAT_ENUM:
		return is_listed(values, column->ints[row]);
	case LEAT_FLOAT:
		return good_number(values, (double)column->floats[row]);
	case LEAT_DOUBLE:
		return good_number(values, column->doubles[row]);
	case LEAT_STRING:
		return good_length(values, column->bytes[row], true) && is_word(values->words, column->bytes[row]) && has_form(column->bytes[row], values->form);
	case LEAT_BYTES:
		return good_length(values, column->bytes[row], false);
	case LEAT_VECTOR:
		return all_finite(column->floats + row * column->width, column->width);
	case LEAT_FLOATS:
		return all_finite(column->lists[row].items, column->lists[row].count);
	default:
		return true;
	}
}

/* ---- repairs ---- */

static double clip_number(const struct leat_values *values, double number)
{
	if (values->has_min && number < values->min)
		return values->min;
	return values->has_max && number > values->max ? values->max : number;
}

bool leat_values_clip(const struct leat_values *values, struct leat_column *column, size_t row)
{
	if (column->type == LEAT_DOUBLE)
		column->doubles[row] = clip_number(values, column->doubles[row]);
	else if (column->type == LEAT_FLOAT)
		column->floats[row] = (float)clip_number(values, (double)column->floats[row]);
	else if (column->type == LEAT_INT && values->has_min && column->ints[row] < values->min_int)
		column->ints[row] = values->min_int;
	else if (column->type == LEAT_INT && values->has_max && column->ints[row] > values->max_int)
		column->ints[row] = values->max_int;
	else if (column->type == LEAT_STRING && values->has_max_length)
		column->bytes[row].length = bytes_of(column->bytes[row], values->max_length);
	return leat_values_good(values, column, row);
}
