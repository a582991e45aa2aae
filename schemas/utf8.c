/* Strict UTF-8: no overlong forms, no surrogates, nothing above U+10FFFF (Unicode 15, table 3-7). */
#include "schemas/cursor.h"

/* The length of the sequence at @at, 0 when it is none. The second byte's range depends on the first. */
static size_t sequence(const uint8_t *at, size_t left)
{
	uint8_t first = at[0];
	size_t length = first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;
	uint8_t low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
	uint8_t high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;

	if (length == 0 || length > left || at[1] < low || at[1] > high)
		return 0;
	for (size_t i = 2; i < length; i++)
		if ((at[i] & 0xc0) != 0x80)
			return 0;
	return length;
}

bool leat_utf8_valid(struct leat_bytes text)
{
	const uint8_t *at = text.data, *end = at + text.length;
	while (at < end) {
		if (end - at >= 8 && !(leat_load_64(at) & 0x8080808080808080u)) {
			at += 8;
			continue;
		}
		size_t length = *at < 0x80 ? 1 : sequence(at, (size_t)(end - at));
		if (length == 0)
			return false;
		at += length;
	}
	return true;
}
