/*
 * Reading Avro's primitives from bytes that nobody vouches for. Private to schemas/. Every function checks what is left before it
 * looks, and returns the reason when it is not enough; the cursor then holds no promise. Inlined, because a call per field costs more than the field.
 */
#ifndef LEAT_CURSOR_H
#define LEAT_CURSOR_H

#include "schemas/codec.h"

#include <endian.h>

enum {
	LEAT_AVRO_DEPTH = 64,           /* of a schema's nesting, and of a body's */
	LEAT_AVRO_ELEMENTS = 100000     /* array and map items of one body        */
};

struct leat_cursor {
	const uint8_t *at, *end;
};

/* The varints that the fast path leaves: near the end of the body, or longer than 8 bytes. */
enum leat_bad leat_cursor_varint_slow(struct leat_cursor *cursor, uint64_t *raw);

static inline size_t leat_cursor_left(const struct leat_cursor *cursor)
{
	return (size_t)(cursor->end - cursor->at);
}

static inline uint64_t leat_load_64(const uint8_t *at)
{
	uint64_t value;
	memcpy(&value, at, sizeof value);
	return le64toh(value);
}

static inline uint32_t leat_load_32(const uint8_t *at)
{
	uint32_t value;
	memcpy(&value, at, sizeof value);
	return le32toh(value);
}

/* On copies: a cursor whose address leaves the loop could not stay in registers. */
static inline enum leat_bad leat_cursor_varint_copy(struct leat_cursor *cursor, uint64_t *raw)
{
	struct leat_cursor copy = *cursor;
	uint64_t value = 0;
	enum leat_bad bad = leat_cursor_varint_slow(&copy, &value);
	*cursor = copy;
	*raw = value;
	return bad;
}

/* Without a branch on the varint's length: ids of 1 to 3 bytes come in no order that a processor could foresee. */
static inline enum leat_bad leat_cursor_varint(struct leat_cursor *cursor, uint64_t *raw)
{
	if (LEAT_UNLIKELY(leat_cursor_left(cursor) < 8))
		return leat_cursor_varint_copy(cursor, raw);
	uint64_t x = leat_load_64(cursor->at);
	uint64_t stop = ~x & 0x8080808080808080u;
	if (LEAT_UNLIKELY(!stop))
		return leat_cursor_varint_copy(cursor, raw);
	cursor->at += ((unsigned)__builtin_ctzll(stop) + 1) >> 3;
	x &= (stop ^ (stop - 1)) & 0x7f7f7f7f7f7f7f7fu;
	x = (x & 0x007f007f007f007fu) | (x & 0x7f007f007f007f00u) >> 1;
	x = (x & 0x00003fff00003fffu) | (x & 0x3fff00003fff0000u) >> 2;
	*raw = (x & 0x0fffffffu) | (x & 0x0fffffff00000000u) >> 4;
	return LEAT_BAD_NONE;
}

static inline int64_t leat_unzigzag(uint64_t raw)
{
	return (int64_t)(raw >> 1) ^ -(int64_t)(raw & 1);
}

static inline enum leat_bad leat_cursor_long(struct leat_cursor *cursor, int64_t *value)
{
	uint64_t raw;
	enum leat_bad bad = leat_cursor_varint(cursor, &raw);
	if (LEAT_UNLIKELY(bad))
		return bad;
	*value = leat_unzigzag(raw);
	return LEAT_BAD_NONE;
}

/* For small numbers of either sign. */
static inline enum leat_bad leat_cursor_small(struct leat_cursor *cursor, int64_t *value)
{
	if (LEAT_LIKELY(leat_cursor_left(cursor) > 0 && *cursor->at < 0x80)) {
		*value = leat_unzigzag(*cursor->at++);
		return LEAT_BAD_NONE;
	}
	return leat_cursor_long(cursor, value);
}

static inline enum leat_bad leat_cursor_int(struct leat_cursor *cursor, int64_t *value)
{
	enum leat_bad bad = leat_cursor_small(cursor, value);
	if (LEAT_UNLIKELY(bad))
		return bad;
	return LEAT_LIKELY(*value == (int32_t)*value) ? LEAT_BAD_NONE : LEAT_BAD_AVRO_VARINT;
}

static inline enum leat_bad leat_cursor_bool(struct leat_cursor *cursor, uint8_t *value)
{
	if (LEAT_UNLIKELY(leat_cursor_left(cursor) < 1))
		return LEAT_BAD_AVRO_TRUNCATED;
	*value = *cursor->at++;
	return LEAT_LIKELY(*value <= 1) ? LEAT_BAD_NONE : LEAT_BAD_AVRO_BOOL;
}

static inline enum leat_bad leat_cursor_float(struct leat_cursor *cursor, float *value)
{
	if (LEAT_UNLIKELY(leat_cursor_left(cursor) < sizeof *value))
		return LEAT_BAD_AVRO_TRUNCATED;
	uint32_t bits = leat_load_32(cursor->at);
	memcpy(value, &bits, sizeof bits);
	cursor->at += sizeof bits;
	return LEAT_BAD_NONE;
}

static inline enum leat_bad leat_cursor_double(struct leat_cursor *cursor, double *value)
{
	if (LEAT_UNLIKELY(leat_cursor_left(cursor) < sizeof *value))
		return LEAT_BAD_AVRO_TRUNCATED;
	uint64_t bits = leat_load_64(cursor->at);
	memcpy(value, &bits, sizeof bits);
	cursor->at += sizeof bits;
	return LEAT_BAD_NONE;
}

/*
 * For lengths and indexes, which are not negative and mostly take one byte: the sign is known from the byte, so the next field's
 * address waits for a shift only.
 */
static inline enum leat_bad leat_cursor_size(struct leat_cursor *cursor, int64_t *value)
{
	if (LEAT_LIKELY(leat_cursor_left(cursor) > 0 && !(*cursor->at & 0x81))) {
		*value = *cursor->at++ >> 1;
		return LEAT_BAD_NONE;
	}
	return leat_cursor_long(cursor, value);
}

/* A view of the bytes; string and bytes alike. */
static inline enum leat_bad leat_cursor_bytes(struct leat_cursor *cursor, struct leat_bytes *value)
{
	int64_t length;
	enum leat_bad bad = leat_cursor_size(cursor, &length);
	if (LEAT_UNLIKELY(bad))
		return bad;
	if (LEAT_UNLIKELY((uint64_t)length > leat_cursor_left(cursor)))
		return length < 0 ? LEAT_BAD_AVRO_NEGATIVE : LEAT_BAD_AVRO_LENGTH;
	*value = (struct leat_bytes){ cursor->at, (uint32_t)length };
	cursor->at += length;
	return LEAT_BAD_NONE;
}

static inline enum leat_bad leat_cursor_fixed(struct leat_cursor *cursor, size_t size)
{
	if (LEAT_UNLIKELY(leat_cursor_left(cursor) < size))
		return LEAT_BAD_AVRO_TRUNCATED;
	cursor->at += size;
	return LEAT_BAD_NONE;
}

/* An index below @count, else @otherwise (avro_enum or avro_union). */
static inline enum leat_bad leat_cursor_index(struct leat_cursor *cursor, size_t count, enum leat_bad otherwise, size_t *index)
{
	int64_t value;
	enum leat_bad bad = leat_cursor_size(cursor, &value);
	if (LEAT_UNLIKELY(bad))
		return bad;
	*index = (size_t)value;
	return LEAT_LIKELY((uint64_t)value < count) ? LEAT_BAD_NONE : otherwise;
}

/* Text of at most 8 or 16 bytes, and longer text by words: true when it has no byte above 0x7f. Never reads behind @end. */
static inline bool leat_ascii(const uint8_t *at, size_t length, const uint8_t *end)
{
	const uint64_t high = 0x8080808080808080u;
	uint64_t seen = 0;

	if (length >= 8) {
		for (size_t i = 0; i + 8 <= length; i += 8)
			seen |= leat_load_64(at + i);
		return !((seen | leat_load_64(at + length - 8)) & high);
	}
	if (LEAT_LIKELY(end - at >= 8))
		return !(leat_load_64(at) & high & (((uint64_t)1 << 8 * length) - 1));
	for (size_t i = 0; i < length; i++)
		seen |= at[i];
	return !(seen & high);
}

static inline enum leat_bad leat_cursor_text(struct leat_cursor *cursor, struct leat_bytes *value)
{
	enum leat_bad bad = leat_cursor_bytes(cursor, value);
	if (LEAT_UNLIKELY(bad))
		return bad;
	if (LEAT_LIKELY(leat_ascii(value->data, value->length, cursor->end)))
		return LEAT_BAD_NONE;
	return leat_utf8_valid(*value) ? LEAT_BAD_NONE : LEAT_BAD_AVRO_UTF8;
}

/* ---- arrays and maps, and whatever nobody keeps (schemas/skip.c) ---- */

/*
 * What one body may still ask for: items of arrays and maps, and steps of any kind. A step that reads no byte (an empty record, a null)
 * costs nothing on the wire, so steps are bounded apart from the bytes.
 */
struct leat_budget {
	size_t elements, steps;
};
static inline struct leat_budget leat_budget(struct leat_bytes body)
{
	return (struct leat_budget){ LEAT_AVRO_ELEMENTS, LEAT_AVRO_ELEMENTS + (size_t)body.length };
}
/*
 * The head of the next block: @count 0 ends. @end is where the block says it ends, or NULL: then it does not say.
 * The elements are taken off @budget.
 */
enum leat_bad leat_cursor_block(struct leat_cursor *cursor, struct leat_budget *budget, size_t *count, const uint8_t **end);
struct leat_avro_type;
/* Steps over one value of @type, checking it as if it were kept, but for UTF-8. @depth: how deep it lies already. */
enum leat_bad leat_cursor_skip(struct leat_cursor *cursor, const struct leat_avro_type *type, struct leat_budget *budget, int depth);

#endif
