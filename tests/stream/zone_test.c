/* Time zones: the C library's localtime_r is the independent judge; hostile files are refused. */
#include "stream/zone.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <time.h>
#include <cmocka.h>

static struct leat_arena *arena;

static int open_arena(void **state)
{
	(void)state;
	return leat_arena_open(&arena, 1 << 16);
}

static int close_arena(void **state)
{
	(void)state;
	leat_arena_close(arena);
	return 0;
}

static const struct leat_zone *loaded(const char *name)
{
	const struct leat_zone *zone = NULL;
	struct leat_fault fault = { 0 };
	if (leat_zone_load(&zone, leat_text(name), arena, &fault) < 0)
		fail_msg("%s: %s", name, fault.text);
	return zone;
}

static void same_as_libc(const struct leat_zone *zone, const char *name, int64_t unix_s)
{
	struct tm local;
	time_t time = (time_t)unix_s;
	assert_non_null(localtime_r(&time, &local));
	if (leat_zone_offset_s(zone, unix_s) != (int32_t)local.tm_gmtoff)
		fail_msg("%s at %lld: %d, wants %ld", name, (long long)unix_s, leat_zone_offset_s(zone, unix_s), local.tm_gmtoff);
	struct leat_zone_span span = leat_zone_span(zone, unix_s);
	assert_true(span.from_s <= unix_s && unix_s < span.until_s);
}

static void offsets_are_those_of_the_c_library(void **state)
{
	(void)state;
	static const char *const names[] = { "Europe/Berlin", "Europe/Dublin", "America/New_York", "America/Sao_Paulo", "America/St_Johns", "Asia/Kolkata", "Asia/Tokyo",
					     "Asia/Gaza", "Africa/Casablanca", "Australia/Lord_Howe", "Pacific/Apia", "Pacific/Chatham", "America/Nuuk", "Etc/GMT+5", "EST5EDT", "UTC" };
	for (size_t i = 0; i < LEAT_COUNT_OF(names); i++) {
		const struct leat_zone *zone = loaded(names[i]);
		setenv("TZ", names[i], 1);
		tzset();
		uint64_t seed = i;
		for (int round = 0; round < 3000; round++) {
			seed = leat_mix(seed);
			same_as_libc(zone, names[i], (int64_t)(seed % INT64_C(25000000000)) - 5000000000);      /* 1811 to 2603 */
			same_as_libc(zone, names[i], (int64_t)(seed % INT64_C(2000000000)));
		}
		for (int64_t day = 0; day < 366 * 2; day++)
			for (int64_t quarter = 0; quarter < 96; quarter++)
				same_as_libc(zone, names[i], INT64_C(13569465600) + day * 86400 + quarter * 900);       /* 2400 and 2401 */
	}
	unsetenv("TZ");
	tzset();
}

/* Moments that no C library converts still have an offset, and none is computed by overflow. */
static void any_moment_has_an_offset(void **state)
{
	(void)state;
	const struct leat_zone *zone = loaded("Europe/Berlin");
	assert_int_equal(leat_zone_offset_s(zone, INT64_MIN), 3208);
	assert_in_range(leat_zone_offset_s(zone, INT64_MAX), 3600, 7200);
	assert_int_equal(leat_zone_offset_s(loaded("UTC"), INT64_MAX), 0);
}

static void refused(const char *name, const char *text)
{
	const struct leat_zone *zone = NULL;
	struct leat_fault fault = { 0 };
	assert_int_equal(leat_zone_load(&zone, leat_text(name), arena, &fault), LEAT_ENOTFOUND);
	assert_null(zone);
	assert_string_equal(fault.text, text);
}

static void names_do_not_leave_the_folder(void **state)
{
	(void)state;
	refused("", "unknown time zone ''; they look like 'Europe/Berlin'");
	refused("../../../etc/passwd", "unknown time zone '../../../etc/passwd'; they look like 'Europe/Berlin'");
	refused("/etc/passwd", "unknown time zone '/etc/passwd'; they look like 'Europe/Berlin'");
	refused("Europe/", "unknown time zone 'Europe/'; they look like 'Europe/Berlin'");
	refused("Europe/Nowhere", "unknown time zone 'Europe/Nowhere'; /usr/share/zoneinfo/Europe/Nowhere does not exist (package tzdata)");
}

static void a_folder_and_a_text_are_no_zone(void **state)
{
	(void)state;
	const struct leat_zone *zone = NULL;
	assert_true(leat_zone_load(&zone, leat_text("Europe"), arena, NULL) < 0);
	setenv("TZDIR", "/etc", 1);
	assert_int_equal(leat_zone_load(&zone, leat_text("passwd"), arena, NULL), LEAT_ECORRUPT);
	unsetenv("TZDIR");
	assert_null(zone);
}

static struct leat_buffer file_of(const char *path)
{
	struct leat_buffer buffer = { 0 };
	FILE *file = fopen(path, "rb");
	assert_non_null(file);
	assert_int_equal(leat_buffer_reserve(&buffer, 1 << 16), 0);
	buffer.length = fread(buffer.data, 1, 1 << 16, file);
	fclose(file);
	return buffer;
}

/* Parses a copy of exactly @length bytes, so that the sanitizers see every read beyond it. */
static int parse(const uint8_t *bytes, size_t length)
{
	const struct leat_zone *zone = NULL;
	uint8_t *copy = malloc(length ? length : 1);
	memcpy(copy, bytes, length);
	int rc = leat_zone_read(&zone, leat_bytes(copy, length), arena, NULL);
	free(copy);
	if (rc == 0) {
		leat_zone_offset_s(zone, INT64_MAX);
		leat_zone_offset_s(zone, INT64_MIN);
		leat_zone_offset_s(zone, 1700000000);
	}
	leat_arena_reset(arena);
	return rc;
}

static void a_file_cut_anywhere_is_refused(void **state)
{
	(void)state;
	struct leat_buffer file = file_of("/usr/share/zoneinfo/Europe/Berlin");
	assert_int_equal(parse(file.data, file.length), 0);
	for (size_t length = 0; length < file.length; length++)
		assert_int_equal(parse(file.data, length), LEAT_ECORRUPT);
	leat_buffer_free(&file);
}

static void damaged_files_do_no_harm(void **state)
{
	(void)state;
	struct leat_buffer file = file_of("/usr/share/zoneinfo/America/New_York");
	uint8_t *copy = malloc(file.length);
	int refusals = 0;
	for (uint64_t round = 0; round < 5000; round++) {
		uint64_t seed = leat_mix(round);
		memcpy(copy, file.data, file.length);
		size_t near = round % 3 == 0 ? 44 : round % 3 == 1 ? file.length : 24;
		for (int change = 0; change < 3; change++, seed = leat_mix(seed))
			copy[(round % 3 == 2 ? file.length - near : 0) + seed % near] = (uint8_t)(seed >> 32);
		refusals += parse(copy, file.length) < 0;
	}
	assert_true(refusals > 1000);
	free(copy);
	leat_buffer_free(&file);
}

static void rules_of_the_last_line(void **state)
{
	(void)state;
	static const struct {
		const char *footer;
		int64_t unix_s;
		int rc;
		int32_t offset_s;
	} list[] = {
		{ "\nCET-1CEST,M3.5.0,M10.5.0/3\n", 1711846800 - 1, 0, 3600 },
		{ "\nCET-1CEST,M3.5.0,M10.5.0/3\n", 1711846800, 0, 7200 },
		{ "\n<+0330>-3:30\n", 0, 0, 12600 },
		{ "\nAAA3BBB,J60/0,J61/0\n", 1709262000 - 1, 0, -10800 },         /* 2024-03-01 03:00 UTC: day 60 is March 1 in leap years too */
		{ "\nAAA3BBB,J60/0,J61/0\n", 1709262000, 0, -7200 },
		{ "\nAAA3BBB,59/0,60/0\n", 1709175600, 0, -7200 },                /* 2024-02-29, as day 59 counted from 0 */
		{ "\nXXX3EDT4,0/0,J365/23\n", 1704078000 - 1, 0, -14400 },        /* daylight saving all year: both changes at one moment */
		{ "\nXXX3EDT4,0/0,J365/23\n", 1704078000, 0, -14400 },
		{ "\n\n", 0, 0, 0 },
		{ "\nCET\n", 0, LEAT_ECORRUPT, 0 },
		{ "\nCET-99\n", 0, LEAT_ECORRUPT, 0 },
		{ "\nCET-1CEST\n", 0, LEAT_ECORRUPT, 0 },
		{ "\nCET-1CEST,M13.5.0,M10.5.0\n", 0, LEAT_ECORRUPT, 0 },
		{ "\nCET-1CEST,M3.5.0,M10.5.0x\n", 0, LEAT_ECORRUPT, 0 },
		{ "\nCET-1CEST,J0,J1\n", 0, LEAT_ECORRUPT, 0 },
		{ "\nCET-1", 0, LEAT_ECORRUPT, 0 },
		{ "", 0, LEAT_ECORRUPT, 0 },
	};
	for (size_t i = 0; i < LEAT_COUNT_OF(list); i++) {
		/* Two headers with one type of offset 0 and a one-byte name; the first block is empty but for those. */
		uint8_t bytes[256] = { 0 };
		size_t at = 0;
		for (int block = 0; block < 2; block++) {
			memcpy(bytes + at, "TZif2", 5);
			bytes[at + 39] = bytes[at + 43] = 1;
			at += 44 + 6 + 1;
		}
		memcpy(bytes + at, list[i].footer, strlen(list[i].footer));
		const struct leat_zone *zone = NULL;
		int rc = leat_zone_read(&zone, leat_bytes(bytes, at + strlen(list[i].footer)), arena, NULL);
		if (rc != list[i].rc || (rc == 0 && leat_zone_offset_s(zone, list[i].unix_s) != list[i].offset_s))
			fail_msg("%s gives %d, %d", list[i].footer, rc, rc < 0 ? 0 : leat_zone_offset_s(zone, list[i].unix_s));
	}
}

static void running_out_of_memory_is_reported(void **state)
{
	(void)state;
	int rc = LEAT_ENOMEM;
	uint64_t nth = 0;
	while (rc == LEAT_ENOMEM && nth < 20) {
		struct leat_arena *small = NULL;
		const struct leat_zone *zone = NULL;
		assert_int_equal(leat_arena_open(&small, 64), 0);
		leat_alloc_fail_at(++nth);
		rc = leat_zone_load(&zone, leat_text("Europe/Berlin"), small, NULL);
		leat_alloc_fail_at(0);
		assert_true((rc == 0) == (zone != NULL));
		leat_arena_close(small);
	}
	assert_int_equal(rc, 0);
	assert_int_equal(nth, 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(offsets_are_those_of_the_c_library), cmocka_unit_test(any_moment_has_an_offset),     cmocka_unit_test(names_do_not_leave_the_folder),
		cmocka_unit_test(a_folder_and_a_text_are_no_zone),    cmocka_unit_test(a_file_cut_anywhere_is_refused), cmocka_unit_test(damaged_files_do_no_harm),
		cmocka_unit_test(rules_of_the_last_line),             cmocka_unit_test(running_out_of_memory_is_reported),
	};
	return cmocka_run_group_tests(tests, open_arena, close_arena);
}
