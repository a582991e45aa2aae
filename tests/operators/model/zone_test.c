/* Time zones: against files made by hand, against the C library, and against damaged bytes. */
#include "operators/model/zone.h"
#include "base/error.h"
#include "operators/model/random.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct file {
	uint8_t data[4096];
	size_t length;
};

static void put(struct file *file, const void *data, size_t length)
{
	memcpy(file->data + file->length, data, length);
	file->length += length;
}
static void put_number(struct file *file, uint64_t number, size_t width)
{
	for (size_t i = 0; i < width; i++)
		file->data[file->length++] = (uint8_t)(number >> 8 * (width - 1 - i));
}
static void put_header(struct file *file, uint32_t times, uint32_t types, uint32_t chars)
{
	const uint32_t counts[] = { 0, 0, 0, times, types, chars };
	put(file, "TZif2\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20);
	for (size_t i = 0; i < 6; i++)
		put_number(file, counts[i], 4);
}
/* A file with @count changes and a rule for the time after them. */
static struct file file_of(const struct leat_zone_change *changes, uint32_t count, int32_t first_s, const char *rule)
{
	struct file file = { .length = 0 };
	put_header(&file, 0, 1, 1);
	put(&file, "\0\0\0\0\0\0\0", 7);
	put_header(&file, count, count + 1, 1);
	for (uint32_t i = 0; i < count; i++)
		put_number(&file, (uint64_t)changes[i].at_s, 8);
	for (uint32_t i = 0; i < count; i++)
		put_number(&file, i + 1, 1);
	for (uint32_t i = 0; i <= count; i++) {
		put_number(&file, (uint32_t)(i ? changes[i - 1].offset_s : first_s), 4);
		put_number(&file, 0, 2);
	}
	put(&file, "", 1);
	put(&file, "\n", 1);
	put(&file, rule, strlen(rule));
	put(&file, "\n", 1);
	return file;
}

/* Each has its own allocation of exactly the length, so that a sanitizer sees a byte too far. */
static int parse(struct leat_zone *zone, const uint8_t *data, size_t length)
{
	uint8_t *copy = malloc(length ? length : 1);
	assert_non_null(copy);
	memcpy(copy, data, length);
	int rc = leat_zone_parse(zone, copy, length);
	free(copy);
	return rc;
}

static int64_t utc_ms(int year, int month, int day, int hour, int minute)
{
	struct tm tm = { .tm_year = year - 1900, .tm_mon = month - 1, .tm_mday = day, .tm_hour = hour, .tm_min = minute };
	return (int64_t)timegm(&tm) * 1000;
}

static void a_zeroed_zone_is_utc(void **state)
{
	const struct leat_zone zone = { 0 };
	(void)state;
	assert_int_equal(leat_zone_hour(&zone, utc_ms(2026, 1, 2, 23, 59)), 23);
	assert_int_equal(leat_zone_hour(&zone, 0), 0);
	assert_int_equal(leat_zone_hour(&zone, -1), 23);
}

static void berlin_changes_in_march_and_october(void **state)
{
	const struct file file = file_of(NULL, 0, 3600, "CET-1CEST,M3.5.0,M10.5.0/3");
	struct leat_zone zone;
	(void)state;
	assert_int_equal(parse(&zone, file.data, file.length), 0);
	assert_int_equal(leat_zone_hour(&zone, utc_ms(2026, 1, 15, 12, 0)), 13);
	assert_int_equal(leat_zone_hour(&zone, utc_ms(2026, 7, 15, 12, 0)), 14);
	assert_int_equal(leat_zone_hour(&zone, utc_ms(2026, 3, 29, 0, 59)), 1);
	assert_int_equal(leat_zone_hour(&zone, utc_ms(2026, 3, 29, 1, 0)), 3);
	assert_int_equal(leat_zone_hour(&zone, utc_ms(2026, 10, 25, 0, 59)), 2);
	assert_int_equal(leat_zone_hour(&zone, utc_ms(2026, 10, 25, 1, 0)), 2);
	assert_int_equal(leat_zone_hour(&zone, utc_ms(2026, 10, 25, 2, 0)), 3);
	assert_int_equal(leat_zone_hour(&zone, utc_ms(2026, 12, 31, 23, 30)), 0);
	assert_int_equal(leat_zone_offset(&zone, utc_ms(2099, 7, 1, 0, 0)), 7200);
}

static void southern_summer_spans_the_new_year(void **state)
{
	const struct file file = file_of(NULL, 0, 36000, "AEST-10AEDT,M10.1.0,M4.1.0/3");
	struct leat_zone zone;
	(void)state;
	assert_int_equal(parse(&zone, file.data, file.length), 0);
	assert_int_equal(leat_zone_offset(&zone, utc_ms(2026, 1, 1, 0, 0)), 39600);
	assert_int_equal(leat_zone_offset(&zone, utc_ms(2026, 7, 1, 0, 0)), 36000);
	assert_int_equal(leat_zone_offset(&zone, utc_ms(2026, 4, 4, 15, 59)), 39600);
	assert_int_equal(leat_zone_offset(&zone, utc_ms(2026, 4, 4, 16, 0)), 36000);
}

static void named_in_brackets_and_times_beyond_a_day(void **state)
{
	const struct file file = file_of(NULL, 0, -7200, "<-02>2<-01>,M3.4.6/24,M10.5.0/-1:30");
	struct leat_zone zone;
	(void)state;
	assert_int_equal(parse(&zone, file.data, file.length), 0);
	assert_int_equal(leat_zone_offset(&zone, utc_ms(2026, 3, 29, 1, 59)), -7200);
	assert_int_equal(leat_zone_offset(&zone, utc_ms(2026, 3, 29, 2, 0)), -3600);
	assert_int_equal(leat_zone_offset(&zone, utc_ms(2026, 10, 24, 23, 29)), -3600);
	assert_int_equal(leat_zone_offset(&zone, utc_ms(2026, 10, 24, 23, 30)), -7200);
}

static void listed_changes_hold_until_the_rule_begins(void **state)
{
	const struct leat_zone_change changes[] = { { -1000, 1800 }, { 1000, 5400 }, { 2000000000, 10800 } };
	const struct file file = file_of(changes, 3, 600, "MSK-3");
	struct leat_zone zone;
	(void)state;
	assert_int_equal(parse(&zone, file.data, file.length), 0);
	assert_int_equal(leat_zone_offset(&zone, 999999), 1800);
	assert_int_equal(leat_zone_offset(&zone, 1000000), 5400);
	assert_int_equal(leat_zone_offset(&zone, INT64_C(1999999999999)), 5400);
	assert_int_equal(leat_zone_offset(&zone, INT64_C(2000000000000)), 10800);
	assert_int_equal(leat_zone_offset(&zone, INT64_MAX), 10800);
	assert_int_equal(leat_zone_offset(&zone, INT64_MIN), 1800);
	assert_in_range(leat_zone_hour(&zone, INT64_MAX), 0, 23);
	assert_in_range(leat_zone_hour(&zone, INT64_MIN), 0, 23);
}

static void rules_that_cannot_be_read_are_refused(void **state)
{
	static const char *const rules[] = {
		"CET", "CET-1CEST", "CET-1CEST,M3.5.0", "CET-1CEST,M13.5.0,M10.5.0", "CET-1CEST,M3.6.0,M10.5.0", "CET-1CEST,M3.5.7,M10.5.0",
		"CET-1CEST,J60,J300", "CET-168", "<CET-1", "1", "CET-1CEST,M3.5.0,M10.5.0/3x", "CET-1:60", "CET-1CEST,M0.5.0,M10.5.0", "CET-1CEST,M3.0.0,M10.5.0",
	};
	struct leat_zone zone;
	(void)state;
	for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
		const struct file file = file_of(NULL, 0, 0, rules[i]);
		assert_int_equal(parse(&zone, file.data, file.length), LEAT_ECORRUPT);
	}
}

static void changes_out_of_order_and_unknown_kinds_are_refused(void **state)
{
	const struct leat_zone_change changes[] = { { 2000, 0 }, { 1000, 3600 } };
	struct file file = file_of(changes, 2, 0, "UTC0");
	struct leat_zone zone;
	(void)state;
	assert_int_equal(parse(&zone, file.data, file.length), LEAT_ECORRUPT);
	file = file_of(changes, 1, 0, "UTC0");
	assert_int_equal(parse(&zone, file.data, file.length), 0);
	file.data[44 + 7 + 44 + 8] = 2;
	assert_int_equal(parse(&zone, file.data, file.length), LEAT_ECORRUPT);
}

static void every_shortened_file_is_refused(void **state)
{
	const struct leat_zone_change changes[] = { { 1000, 3600 }, { 2000, 7200 } };
	const struct file file = file_of(changes, 2, 0, "CET-1CEST,M3.5.0,M10.5.0/3");
	struct leat_zone zone;
	(void)state;
	for (size_t length = 0; length < file.length; length++)
		assert_int_equal(parse(&zone, file.data, length), LEAT_ECORRUPT);
}

static void damaged_bytes_never_give_an_hour_that_is_none(void **state)
{
	const struct leat_zone_change changes[] = { { 1000, 3600 }, { 2000, 7200 } };
	const struct file whole = file_of(changes, 2, 0, "CET-1CEST,M3.5.0,M10.5.0/3");
	static struct leat_zone zone;
	(void)state;
	for (uint64_t i = 0; i < 20000; i++) {
		struct file file = whole;
		for (uint64_t j = 0; j <= i % 3; j++)
			file.data[leat_random_mix(i * 8 + j) % file.length] = (uint8_t)(leat_random_mix(i * 8 + j + 4) >> 13);
		if (parse(&zone, file.data, file.length) == 0)
			assert_in_range(leat_zone_hour(&zone, (int64_t)leat_random_mix(i)), 0, 23);
	}
}

static void hours_are_the_c_librarys(void **state)
{
	static const char *const names[] = { "Europe/Berlin", "America/New_York", "Australia/Sydney", "Asia/Kolkata", "America/Sao_Paulo", "Pacific/Apia", "Europe/London" };
	static uint8_t data[65536];
	static struct leat_zone zone;
	size_t found = 0;
	(void)state;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		char path[128];
		(void)snprintf(path, sizeof path, "/usr/share/zoneinfo/%s", names[i]);
		FILE *file = fopen(path, "rb");
		if (!file)
			continue;
		size_t length = fread(data, 1, sizeof data, file);
		(void)fclose(file);
		assert_int_equal(leat_zone_parse(&zone, data, length), 0);
		(void)setenv("TZ", names[i], 1);
		tzset();
		for (uint64_t j = 0; j < 5000; j++) {
			time_t at = (time_t)(leat_random_mix(j) % UINT64_C(4000000000));
			struct tm tm;
			assert_non_null(localtime_r(&at, &tm));
			assert_int_equal(leat_zone_hour(&zone, (int64_t)at * 1000), tm.tm_hour);
		}
		found++;
	}
	(void)unsetenv("TZ");
	if (found == 0)
		skip();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_zeroed_zone_is_utc),
		cmocka_unit_test(berlin_changes_in_march_and_october),
		cmocka_unit_test(southern_summer_spans_the_new_year),
		cmocka_unit_test(named_in_brackets_and_times_beyond_a_day),
		cmocka_unit_test(listed_changes_hold_until_the_rule_begins),
		cmocka_unit_test(rules_that_cannot_be_read_are_refused),
		cmocka_unit_test(changes_out_of_order_and_unknown_kinds_are_refused),
		cmocka_unit_test(every_shortened_file_is_refused),
		cmocka_unit_test(damaged_bytes_never_give_an_hour_that_is_none),
		cmocka_unit_test(hours_are_the_c_librarys),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
