/* Tests of what values may be. */
#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "operators/model/values.h"

#define TEXT(literal) ((struct leat_bytes){ (const uint8_t *)(literal), sizeof(literal) - 1 })

static bool good_double(const struct leat_values *values, double number)
{
	uint8_t null = 0;
	const struct leat_column column = { .type = LEAT_DOUBLE, .width = 1, .null = &null, .doubles = &number };
	return leat_values_good(values, &column, 0);
}

static bool clipped_double(const struct leat_values *values, double *number)
{
	uint8_t null = 0;
	struct leat_column column = { .type = LEAT_DOUBLE, .width = 1, .null = &null, .doubles = number };
	return leat_values_clip(values, &column, 0);
}

static bool good_float(const struct leat_values *values, float number)
{
	uint8_t null = 0;
	const struct leat_column column = { .type = LEAT_FLOAT, .width = 1, .null = &null, .floats = &number };
	return leat_values_good(values, &column, 0);
}

static bool good_text(const struct leat_values *values, struct leat_bytes text)
{
	uint8_t null = 0;
	const struct leat_column column = { .type = LEAT_STRING, .width = 1, .null = &null, .bytes = &text };
	return leat_values_good(values, &column, 0);
}

static void numbers_that_are_not_finite_are_never_good(void **state)
{
	const struct leat_values any = { 0 }, bounded = { .has_min = true, .min = -1, .has_max = true, .max = 1 };
	(void)state;
	assert_false(good_double(&any, (double)NAN));
	assert_false(good_double(&any, -(double)NAN));
	assert_false(good_double(&any, (double)INFINITY));
	assert_false(good_double(&any, -(double)INFINITY));
	assert_false(good_double(&bounded, (double)NAN));
	assert_false(good_float(&any, NAN));
	assert_false(good_float(&any, -INFINITY));
	assert_true(good_double(&any, DBL_MAX));
	assert_true(good_double(&any, -DBL_MAX));
	assert_true(good_double(&any, -0.0));
	assert_true(good_double(&bounded, -1));
	assert_false(good_double(&bounded, nextafter(1, 2)));
}

static void clipping_brings_infinities_back_but_not_what_is_no_number(void **state)
{
	const struct leat_values bounded = { .has_min = true, .min = -1, .has_max = true, .max = 1 }, lower = { .has_min = true, .min = 0 };
	double number = (double)INFINITY;
	(void)state;
	assert_true(clipped_double(&bounded, &number));
	assert_true(number == 1);
	number = -(double)INFINITY;
	assert_true(clipped_double(&bounded, &number));
	assert_true(number == -1);
	number = (double)NAN;
	assert_false(clipped_double(&bounded, &number));
	number = (double)INFINITY;
	assert_false(clipped_double(&lower, &number));
}

static void one_bad_number_makes_a_list_bad(void **state)
{
	const struct leat_values any = { 0 };
	const float good[] = { 1, -2, 0 }, bad[] = { 1, NAN, 0 };
	float vectors[] = { 1, 2, INFINITY, 4, 5, 6 };
	uint8_t null[2] = { 0 };
	struct leat_list lists[] = { { good, 3 }, { bad, 3 } };
	const struct leat_column list = { .type = LEAT_FLOATS, .width = 1, .null = null, .lists = lists }, vector = { .type = LEAT_VECTOR, .width = 3, .null = null, .floats = vectors };
	(void)state;
	assert_true(leat_values_good(&any, &list, 0));
	assert_false(leat_values_good(&any, &list, 1));
	assert_false(leat_values_good(&any, &vector, 0));
	assert_true(leat_values_good(&any, &vector, 1));
	lists[0].count = 0;
	assert_true(leat_values_good(&any, &list, 0));
}

static void bytes_are_measured_in_bytes(void **state)
{
	const struct leat_values values = { .not_empty = true, .has_max_length = true, .max_length = 2 };
	uint8_t null[3] = { 0 };
	struct leat_bytes bytes[] = { TEXT("\xff\xff"), TEXT("\xff\xff\xff"), TEXT("") };
	const struct leat_column column = { .type = LEAT_BYTES, .width = 1, .null = null, .bytes = bytes };
	(void)state;
	assert_true(leat_values_good(&values, &column, 0));
	assert_false(leat_values_good(&values, &column, 1));
	assert_false(leat_values_good(&values, &column, 2));
}

/* A word list with an empty word admits the empty text; a text that contains a comma is in no list. */
static void words_are_compared_whole(void **state)
{
	const struct leat_values values = { .words = "a, bc ,,d" }, empty = { .words = "" };
	(void)state;
	assert_true(good_text(&values, TEXT("a")));
	assert_true(good_text(&values, TEXT("bc")));
	assert_true(good_text(&values, TEXT("")));
	assert_true(good_text(&values, TEXT("d")));
	assert_false(good_text(&values, TEXT("b")));
	assert_false(good_text(&values, TEXT("a, bc")));
	assert_true(good_text(&empty, TEXT("")));
	assert_false(good_text(&empty, TEXT("x")));
}

static void a_number_too_long_to_be_one_is_bad(void **state)
{
	const struct leat_values whole = { .form = LEAT_VALUES_INT }, number = { .form = LEAT_VALUES_NUMBER };
	char digits[65];
	(void)state;
	memset(digits, '0', sizeof digits);
	assert_true(good_text(&whole, (struct leat_bytes){ (const uint8_t *)digits, 64 }));
	assert_false(good_text(&whole, (struct leat_bytes){ (const uint8_t *)digits, 65 }));
	assert_false(good_text(&number, (struct leat_bytes){ (const uint8_t *)digits, 65 }));
	assert_false(good_text(&number, (struct leat_bytes){ NULL, 0 }));
	assert_true(good_text(&number, TEXT("+.5e-3")));
	assert_false(good_text(&number, TEXT("1 ")));
	assert_false(good_text(&number, TEXT(" 1")));
	assert_false(good_text(&number, TEXT("infinity")));
}

static void only_wellformed_utf8_is_utf8(void **state)
{
	const struct leat_bytes good[] = { TEXT(""), TEXT("a"), TEXT("\xc2\x80"), TEXT("\xdf\xbf"), TEXT("\xe0\xa0\x80"), TEXT("\xed\x9f\xbf"), TEXT("\xee\x80\x80"), TEXT("\xf0\x90\x80\x80"), TEXT("\xf4\x8f\xbf\xbf") };
	const struct leat_bytes bad[] = { TEXT("\x80"), TEXT("\xc1\xbf"), TEXT("\xc2"), TEXT("\xc2g"), TEXT("\xe0\x9f\xbf"), TEXT("\xed\xa0\x80"), TEXT("\xe1\x80"), TEXT("\xf0\x8f\xbf\xbf"), TEXT("\xf4\x90\x80\x80"),
		TEXT("\xf5\x80\x80\x80"), TEXT("\xff"), TEXT("ab\xf0\x90\x80") };
	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof *good; i++)
		assert_true(leat_values_is_utf8(good[i]));
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_false(leat_values_is_utf8(bad[i]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_that_are_not_finite_are_never_good),
		cmocka_unit_test(clipping_brings_infinities_back_but_not_what_is_no_number),
		cmocka_unit_test(one_bad_number_makes_a_list_bad),
		cmocka_unit_test(bytes_are_measured_in_bytes),
		cmocka_unit_test(words_are_compared_whole),
		cmocka_unit_test(a_number_too_long_to_be_one_is_bad),
		cmocka_unit_test(only_wellformed_utf8_is_utf8),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
