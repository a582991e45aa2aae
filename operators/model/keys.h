/* What a column's value stands for as an id, a category or a word: the same number in every operator, process and version. Any thread. */
#ifndef LEAT_MODEL_KEYS_H
#define LEAT_MODEL_KEYS_H

#include "base/column.h"

/* The value of a LEAT_INT or LEAT_ENUM column, or leat_random_id() of a LEAT_STRING's text. 0 for null. */
uint64_t leat_keys_id(const struct leat_column *column, size_t row);
/* Category 0..categories-1: an INT or ENUM modulo @categories, a STRING by hash; -1 for null. */
int32_t leat_keys_category(const struct leat_column *column, size_t row, size_t categories);
/* Hash of the word in a LEAT_STRING or LEAT_ENUM column; false for null. */
bool leat_keys_word(const struct leat_field *field, const struct leat_column *column, size_t row, uint64_t *out);
/* Does the value of a LEAT_STRING or LEAT_ENUM column equal @word? */
bool leat_keys_is(const struct leat_field *field, const struct leat_column *column, size_t row, const char *word);

#endif
