/* What the value of a field may be - bounds, lengths, forms, sets - and what brings one back inside. Any thread; no memory of its own. */
#ifndef LEAT_MODEL_VALUES_H
#define LEAT_MODEL_VALUES_H

#include "base/column.h"

enum leat_values_form { LEAT_VALUES_ANY, LEAT_VALUES_INT, LEAT_VALUES_NUMBER };
enum leat_values_case { LEAT_VALUES_AS_IS, LEAT_VALUES_LOWER, LEAT_VALUES_UPPER };

/* Zeroed: everything is good but numbers that are none. */
struct leat_values {
	bool not_null;                  /* for the caller, which knows of nulls                     */
	bool not_empty;                 /* STRING, BYTES                                            */
	bool trim;                      /* STRING: for the caller, before the checks                */
	uint8_t style;                  /* the same: enum leat_values_case                          */
	bool has_min, has_max;
	double min, max;                /* FLOAT, DOUBLE                                            */
	int64_t min_int, max_int;       /* INT                                                      */
	bool has_min_length, has_max_length;
	int64_t min_length, max_length; /* characters of a STRING, bytes of BYTES                   */
	uint8_t form;                   /* STRING: enum leat_values_form, of the whole text         */
	const char *words;              /* STRING: one of these, separated by commas; NULL: any     */
	const int64_t *numbers;         /* INT, ENUM: one of these; NULL: any                       */
	size_t count;
};

/* Is the value, which is not null, good? A float or double (also in FLOATS and VECTOR) that is not a finite number never is. */
bool leat_values_good(const struct leat_values *values, const struct leat_column *column, size_t row);
/* Moves a number to the nearer bound, cuts a STRING to the longest length; true: the value is good now. */
bool leat_values_clip(const struct leat_values *values, struct leat_column *column, size_t row);

/* Without the blanks (space, tab, line ends) at both ends; a view. */
struct leat_bytes leat_values_trim(struct leat_bytes text);
/* Has it an ASCII letter that @style would change? */
bool leat_values_has_case(struct leat_bytes text, enum leat_values_case style);
/* The text with its ASCII letters changed, in @out, which has room for it. */
struct leat_bytes leat_values_to_case(uint8_t *out, struct leat_bytes text, enum leat_values_case style);

bool leat_values_is_utf8(struct leat_bytes text);

/*
 * Takes one word of a rule for @field, e.g. ("min", "0"), into @values. @numbers has room for leat_values_count(value) numbers and stays with @values, as
 * @value does. NULL, or what is wrong, in static text that follows the word: "must be a number".
 */
const char *leat_values_take(struct leat_values *values, const struct leat_field *field, const char *key, const char *value, int64_t *numbers);
size_t leat_values_count(const char *list);
/* NULL, or what contradicts itself in a rule that is complete. */
const char *leat_values_conflict(const struct leat_values *values, const struct leat_field *field);

/* The whole text as a number; false if it is none or out of range. */
bool leat_values_parse_int(const char *text, int64_t *out);
bool leat_values_parse_double(const char *text, double *out);
/* The next word of a list separated by commas, without blanks around it; *list moves on; data NULL: that was all. */
struct leat_bytes leat_values_word(const char **list);

#endif
