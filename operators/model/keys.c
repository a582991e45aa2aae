/* Ids, categories and words from columns. */
#include "operators/model/keys.h"
#include "operators/model/random.h"

#include <string.h>

static struct leat_bytes word_at(const struct leat_field *field, const struct leat_column *column, size_t row)
{
	if (column->null[row])
		return (struct leat_bytes){ 0 };
	if (column->type == LEAT_STRING)
		return column->bytes[row];
	const char *symbol = field->symbols[column->ints[row]];
	return (struct leat_bytes){ (const uint8_t *)symbol, (uint32_t)strlen(symbol) };
}

uint64_t leat_keys_id(const struct leat_column *column, size_t row)
{
	if (column->null[row])
		return 0;
	return column->type == LEAT_STRING ? leat_random_id(column->bytes[row]) : (uint64_t)column->ints[row];
}

int32_t leat_keys_category(const struct leat_column *column, size_t row, size_t categories)
{
	if (column->null[row])
		return -1;
	if (column->type == LEAT_STRING)
		return (int32_t)(leat_random_hash(column->bytes[row]) % categories);
	int64_t category = column->ints[row];
	if ((uint64_t)category < categories)
		return (int32_t)category;
	category %= (int64_t)categories;
	return (int32_t)(category < 0 ? category + (int64_t)categories : category);
}

bool leat_keys_word(const struct leat_field *field, const struct leat_column *column, size_t row, uint64_t *out)
{
	struct leat_bytes word = word_at(field, column, row);
	*out = word.data ? leat_random_hash(word) : 0;
	return word.data;
}

bool leat_keys_is(const struct leat_field *field, const struct leat_column *column, size_t row, const char *word)
{
	struct leat_bytes value = word_at(field, column, row);
	size_t length = strlen(word);
	return value.data && value.length == length && memcmp(value.data, word, length) == 0;
}
