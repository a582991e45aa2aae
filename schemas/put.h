/* Writing Avro's primitives to memory that the caller made sure is there. Private to schemas/; the counterpart of cursor.h. */
#ifndef LEAT_PUT_H
#define LEAT_PUT_H

#include "base/base.h"

#include <endian.h>

#define LEAT_PUT_LONG_MAX 16         /* room for one long: 10 bytes at most, but 8 are stored at once */

static inline uint8_t *leat_put_64(uint8_t *at, uint64_t value)
{
	value = htole64(value);
	memcpy(at, &value, sizeof value);
	return at + sizeof value;
}

static inline uint8_t *leat_put_long_slow(uint8_t *at, uint64_t raw)
{
	for (; raw > 0x7f; raw >>= 7)
		*at++ = (uint8_t)(raw | 0x80);
	*at++ = (uint8_t)raw;
	return at;
}

/* Without a branch on the length: spreads the bits seven to a byte, then sets the continuation bit of all bytes but the last. */
static inline uint8_t *leat_put_long(uint8_t *at, int64_t value)
{
	uint64_t raw = (uint64_t)value << 1 ^ (uint64_t)(value >> 63);
	unsigned bits = 63 - (unsigned)__builtin_clzll(raw | 1);
	unsigned length = (bits * 9 + 73) / 64;

	if (LEAT_UNLIKELY(length > 8))
		return leat_put_long_slow(at, raw);
	raw = (raw & 0x0fffffffu) | (raw & 0x00fffffff0000000u) << 4;
	raw = (raw & 0x00003fff00003fffu) | (raw & 0x0fffc0000fffc000u) << 2;
	raw = (raw & 0x007f007f007f007fu) | (raw & 0x3f803f803f803f80u) << 1;
	raw |= 0x8080808080808080u & (((uint64_t)1 << 8 * (length - 1)) - 1);
	leat_put_64(at, raw);
	return at + length;
}

/* For lengths, which mostly take one byte. */
static inline uint8_t *leat_put_small(uint8_t *at, int64_t value)
{
	if (LEAT_UNLIKELY((uint64_t)value > 63))
		return leat_put_long(at, value);
	*at = (uint8_t)(value << 1);
	return at + 1;
}

static inline uint8_t *leat_put_float(uint8_t *at, float value)
{
	uint32_t bits;
	memcpy(&bits, &value, sizeof bits);
	bits = htole32(bits);
	memcpy(at, &bits, sizeof bits);
	return at + sizeof bits;
}

static inline uint8_t *leat_put_double(uint8_t *at, double value)
{
	uint64_t bits;
	memcpy(&bits, &value, sizeof bits);
	return leat_put_64(at, bits);
}

#endif
