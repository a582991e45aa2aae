/* What a mistyped name may have meant. */
#include "base/base.h"

enum { NAME_MOST = 64 };

/* Levenshtein's distance, two neighbours exchanged counted as one; given up above @limit. */
static size_t distance(const uint8_t *a, size_t a_length, const char *b, size_t b_length, size_t limit)
{
	uint8_t rows[3][NAME_MOST + 1], *older = rows[0], *old = rows[1], *row = rows[2];
	for (size_t j = 0; j <= b_length; j++)
		old[j] = (uint8_t)j;
	for (size_t i = 1; i <= a_length; i++) {
		uint8_t least = row[0] = (uint8_t)i;
		for (size_t j = 1; j <= b_length; j++) {
			bool exchanged = i > 1 && j > 1 && a[i - 1] == (uint8_t)b[j - 2] && a[i - 2] == (uint8_t)b[j - 1];
			uint8_t change = (uint8_t)(old[j - 1] + (a[i - 1] != (uint8_t)b[j - 1])), step = (uint8_t)(LEAT_MIN(old[j], row[j - 1]) + 1);
			row[j] = LEAT_MIN(change, step);
			if (exchanged)
				row[j] = LEAT_MIN(row[j], (uint8_t)(older[j - 2] + 1));
			least = LEAT_MIN(least, row[j]);
		}
		if (least > limit)
			return limit + 1;
		uint8_t *free = older;
		older = old;
		old = row;
		row = free;
	}
	return old[b_length];
}

void leat_guess(struct leat_guess *guess, struct leat_bytes wanted, const char *name)
{
	size_t length = name ? strlen(name) : 0, limit = LEAT_MAX(1u, wanted.length / 3);
	if (length == 0 || length > NAME_MOST || wanted.length > NAME_MOST)
		return;
	size_t found = distance(wanted.data, wanted.length, name, length, limit);
	if (found > limit || (guess->name && found >= guess->distance))
		return;
	guess->name = name;
	guess->distance = found;
}

const char *leat_guess_hint(struct leat_guess *guess)
{
	if (guess->name)
		snprintf(guess->hint, sizeof guess->hint, "; did you mean '%s'?", guess->name);
	return guess->hint;
}
