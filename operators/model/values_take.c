/* The words of a rule: one table of keys, the types they are for, and how each is read. */
#include "operators/model/values.h"

#include <string.h>

#define TYPE(name) LEAT_TYPE_BIT(LEAT_##name)
#define NUMBER_MAX 64           /* characters of a word of a list of numbers */

/* All have these arguments; they return NULL or what is wrong. */
typedef const char *take(struct leat_values *values, const struct leat_field *field, const char *value, int64_t *numbers);

static const char *take_flag(const char *value, bool *out)
{
	*out = strcmp(value, "true") == 0;
	return *out || strcmp(value, "false") == 0 ? NULL : "must be true or false";
}

static const char *take_not_null(struct leat_values *values, const struct leat_field *field, const char *value, int64_t *numbers)
{
	(void)field;
	(void)numbers;
	return take_flag(value, &values->not_null);
}

static const char *take_not_empty(struct leat_values *values, const struct leat_field *field, const char *value, int64_t *numbers)
{
	(void)field;
	(void)numbers;
	return take_flag(value, &values->not_empty);
}

static const char *take_trim(struct leat_values *values, const struct leat_field *field, const char *value, int64_t *numbers)
{
	(void)field;
	(void)numbers;
	return take_flag(value, &values->trim);
}

static const char *take_style(struct leat_values *values, const char *value, enum leat_values_case style)
{
	bool wanted;
	const char *wrong = take_flag(value, &wanted);
	if (!wrong && wanted && values->style)
		return "contradicts the other one: give lower or upper";
	values->style = wanted ? style : values->style;
	return wrong;
}

static const char *take_lower(struct leat_values *values, const struct leat_field *field, const char *value, int64_t *numbers)
{
	(void)field;
	(void)numbers;
	return take_style(values, value, LEAT_VALUES_LOWER);
}

static const char *take_upper(struct leat_values *values, const struct leat_field *field, const char *value, int64_t *numbers)
{
	(void)field;
	(void)numbers;
	return take_style(values, value, LEAT_VALUES_UPPER);
}

static const char *take_bound(const struct leat_field *field, const char *value, double *bound, int64_t *whole)
{
	if (field->type == LEAT_INT)
		return leat_values_parse_int(value, whole) ? NULL : "must be a whole number";
	if (!leat_values_parse_double(value, bound))
		return "must be a number";
	if (field->type == LEAT_FLOAT)          /* else no float could equal it */
		*bound = (double)(float)*bound;
	return NULL;
}

static const char *take_min(struct leat_values *values, const struct leat_field *field, const char *value, int64_t *numbers)
{
	(void)numbers;
	values->has_min = true;
	return take_bound(field, value, &values->min, &values->min_int);
}

static const char *take_max(struct leat_values *values, const struct leat_field *field, const char *value, int64_t *numbers)
{
	(void)numbers;
	values->has_max = true;
	return take_bound(field, value, &values->max, &values->max_int);
}

static const char *take_length(const char *value, bool *has, int64_t *length)
{
	*has = true;
	return leat_values_parse_int(value, length) && *length >= 0 ? NULL : "must be a whole number, not negative";
}

static const char *take_min_length(struct leat_values *values, const struct leat_field *field, const char *value, int64_t *numbers)
{
	(void)field;
	(void)numbers;
	return take_length(value, &values->has_min_length, &values->min_length);
}

static const char *take_max_length(struct leat_values *values, const struct leat_field *field, const char *value, int64_t *numbers)
{
	(void)field;
	(void)numbers;
	return take_length(value, &values->has_max_length, &values->max_length);
}

static const char *take_type(struct leat_values *values, const struct leat_field *field, const char *value, int64_t *numbers)
{
	(void)field;
	(void)numbers;
	values->form = strcmp(value, "int") == 0 ? LEAT_VALUES_INT : LEAT_VALUES_NUMBER;
	return values->form == LEAT_VALUES_INT || strcmp(value, "number") == 0 ? NULL : "must be int or number";
}

static bool number_of(const struct leat_field *field, struct leat_bytes word, int64_t *out)
{
	char text[NUMBER_MAX + 1];
	if (word.length == 0 || word.length > NUMBER_MAX)
		return false;
	memcpy(text, word.data, word.length);
	text[word.length] = 0;
	if (field->type == LEAT_INT)
		return leat_values_parse_int(text, out);
	for (*out = 0; field->symbols[*out]; (*out)++)
		if (strcmp(field->symbols[*out], text) == 0)
			return true;
	return false;
}

static const char *take_in(struct leat_values *values, const struct leat_field *field, const char *value, int64_t *numbers)
{
	if (field->type == LEAT_STRING) {
		values->words = value;
		return NULL;
	}
	values->numbers = numbers;
	for (struct leat_bytes word = leat_values_word(&value); word.data; word = leat_values_word(&value))
		if (!number_of(field, word, &numbers[values->count++]))
			return field->type == LEAT_INT ? "must list whole numbers, separated by commas" : "must list symbols of the enum, separated by commas";
	return NULL;
}

static const struct {
	const char *name;
	uint32_t types;
	take *take;
} keys[] = {
	{ "not_null", ~0u, take_not_null },
	{ "not_empty", TYPE(STRING) | TYPE(BYTES), take_not_empty },
	{ "min_length", TYPE(STRING) | TYPE(BYTES), take_min_length },
	{ "max_length", TYPE(STRING) | TYPE(BYTES), take_max_length },
	{ "min", TYPE(INT) | TYPE(FLOAT) | TYPE(DOUBLE), take_min },
	{ "max", TYPE(INT) | TYPE(FLOAT) | TYPE(DOUBLE), take_max },
	{ "in", TYPE(STRING) | TYPE(INT) | TYPE(ENUM), take_in },
	{ "type", TYPE(STRING), take_type },
	{ "trim", TYPE(STRING), take_trim },
	{ "lower", TYPE(STRING), take_lower },
	{ "upper", TYPE(STRING), take_upper },
};

const char *leat_values_take(struct leat_values *values, const struct leat_field *field, const char *key, const char *value, int64_t *numbers)
{
	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
		if (strcmp(keys[i].name, key) != 0)
			continue;
		if (!(keys[i].types & LEAT_TYPE_BIT(field->type)))
			return "is not for a field of this type";
		return keys[i].take(values, field, value, numbers);
	}
	return "is unknown; allowed: field, as, else, reason, not_null, not_empty, min_length, max_length, min, max, in, type, trim, lower, upper";
}

size_t leat_values_count(const char *list)
{
	size_t count = 1;
	for (; *list; list++)
		count += *list == ',';
	return count;
}

const char *leat_values_conflict(const struct leat_values *values, const struct leat_field *field)
{
	bool crossed = field->type == LEAT_INT ? values->min_int > values->max_int : values->min > values->max;
	if (values->has_min && values->has_max && crossed)
		return "min is above max";
	if (values->has_min_length && values->has_max_length && values->min_length > values->max_length)
		return "min_length is above max_length";
	return NULL;
}
