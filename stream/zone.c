/* Time zones: TZif files read into one sorted list of offset changes that covers a whole Gregorian cycle beyond the file's end. */
#include "stream/zone.h"

#include <errno.h>
#include <stdlib.h>

enum { FILE_MAX = 64 << 10, CHANGES_MAX = 4096, TYPES_MAX = 256, NAME_MAX_BYTES = 64, DAY_S = 86400, OFFSET_MAX_S = 26 * 3600 };
/* Dates and days of the week repeat after 400 years; a little more, so that a whole cycle lies beyond the last change of the file. */
enum { CYCLE_YEARS = 400, RULE_YEARS = CYCLE_YEARS + 3 };
#define YEAR_1900_S INT64_C(-2208988800)
#define YEAR_9999_S INT64_C(253370764800)
#define CYCLE_S ((int64_t)146097 * DAY_S)

struct change {
	int64_t at;             /* unix seconds; from then on */
	int32_t offset_s;
};
struct leat_zone {
	int32_t first_offset_s;     /* before the first change                       */
	bool repeats;               /* after the last change the last cycle repeats  */
	size_t count;
	struct change changes[];
};

/* When daylight saving starts or ends, as the last line of a file says it. */
struct rule {
	char kind;              /* 'M' month.week.day, 'J' day 1..365 without leap days, 'N' day 0..365 */
	int month, week, day;
	int32_t time_s;
};
struct rules {
	int32_t standard_s, saving_s;
	bool saves;
	struct rule start, end;
};
/* Where we are in the bytes. */
struct cursor {
	const uint8_t *at, *end;
};

/* ---- the last line: POSIX TZ, e.g. CET-1CEST,M3.5.0,M10.5.0/3 ---- */

static bool next_is(struct cursor *cursor, uint8_t wanted)
{
	if (cursor->at == cursor->end || *cursor->at != wanted)
		return false;
	cursor->at++;
	return true;
}

static bool read_number(struct cursor *cursor, int limit, int *out)
{
	const uint8_t *start = cursor->at;
	int number = 0;
	for (; cursor->at < cursor->end && *cursor->at >= '0' && *cursor->at <= '9' && number <= limit; cursor->at++)
		number = number * 10 + (*cursor->at - '0');
	*out = number;
	return cursor->at > start && number <= limit;
}

/* [+-]h[:m[:s]] */
static bool read_time(struct cursor *cursor, int32_t *seconds)
{
	int hour = 0, minute = 0, second = 0;
	bool negative = next_is(cursor, '-');
	if (!negative)
		next_is(cursor, '+');
	if (!read_number(cursor, 167, &hour))
		return false;
	if (next_is(cursor, ':') && !read_number(cursor, 59, &minute))
		return false;
	if (next_is(cursor, ':') && !read_number(cursor, 59, &second))
		return false;
	*seconds = (negative ? -1 : 1) * (hour * 3600 + minute * 60 + second);
	return true;
}

static bool skip_name(struct cursor *cursor)
{
	const uint8_t *start = cursor->at;
	if (next_is(cursor, '<')) {
		while (cursor->at < cursor->end && *cursor->at != '>')
			cursor->at++;
		return next_is(cursor, '>');
	}
	while (cursor->at < cursor->end && ((*cursor->at | 0x20) >= 'a' && (*cursor->at | 0x20) <= 'z'))
		cursor->at++;
	return cursor->at > start;
}

static bool read_rule(struct cursor *cursor, struct rule *rule)
{
	*rule = (struct rule){ .kind = 'N', .time_s = 2 * 3600 };
	bool read;
	if (next_is(cursor, 'M')) {
		rule->kind = 'M';
		read = read_number(cursor, 12, &rule->month) && next_is(cursor, '.') && read_number(cursor, 5, &rule->week) && next_is(cursor, '.') &&
		       read_number(cursor, 6, &rule->day) && rule->month > 0 && rule->week > 0;
	} else {
		rule->kind = next_is(cursor, 'J') ? 'J' : 'N';
		read = read_number(cursor, 365, &rule->day) && (rule->kind == 'N' || rule->day > 0);
	}
	return read && (!next_is(cursor, '/') || read_time(cursor, &rule->time_s));
}

/* An offset is written west of Greenwich. */
static bool read_offset(struct cursor *cursor, int32_t *offset_s)
{
	if (!read_time(cursor, offset_s))
		return false;
	*offset_s = -*offset_s;
	return *offset_s >= -OFFSET_MAX_S && *offset_s <= OFFSET_MAX_S;
}

static bool read_rules(struct cursor *cursor, struct rules *rules)
{
	if (!skip_name(cursor) || !read_offset(cursor, &rules->standard_s))
		return false;
	if (cursor->at == cursor->end)
		return true;
	rules->saves = true;
	rules->saving_s = rules->standard_s + 3600;
	if (!skip_name(cursor))
		return false;
	if (cursor->at < cursor->end && *cursor->at != ',' && !read_offset(cursor, &rules->saving_s))
		return false;
	return next_is(cursor, ',') && read_rule(cursor, &rules->start) && next_is(cursor, ',') && read_rule(cursor, &rules->end) && cursor->at == cursor->end;
}

/* ---- the calendar ---- */

static bool is_leap(int64_t year)
{
	return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

/* Days from 1970-01-01 to January 1 of @year, which is after year 0. */
static int64_t days_to_year(int64_t year)
{
	int64_t before = year - 1;
	return before * 365 + before / 4 - before / 100 + before / 400 - 719162;
}

static int64_t year_of(int64_t unix_s)
{
	int64_t year = 1970 + unix_s / (365 * (int64_t)DAY_S + DAY_S / 4);
	while (year > 1 && days_to_year(year) * DAY_S > unix_s)
		year--;
	while (days_to_year(year + 1) * DAY_S <= unix_s)
		year++;
	return year;
}

static int days_to_month(int64_t year, int month)
{
	static const int days[] = { 0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365 };
	return days[month - 1] + (month > 2 && is_leap(year));
}

/* The day of @rule in @year, from 1970-01-01. */
static int64_t day_of_rule(const struct rule *rule, int64_t year)
{
	int64_t first = days_to_year(year);
	if (rule->kind == 'N')
		return first + rule->day;
	if (rule->kind == 'J')
		return first + rule->day - 1 + (rule->day > 59 && is_leap(year));
	int64_t month = first + days_to_month(year, rule->month);
	int length = rule->month == 12 ? 31 : days_to_month(year, rule->month + 1) - days_to_month(year, rule->month);
	int weekday = (int)(((month + 4) % 7 + 7) % 7);         /* of the month's first; 0 is Sunday */
	int day = (rule->day - weekday + 7) % 7 + (rule->week - 1) * 7;
	return month + (day >= length ? day - 7 : day);
}

/* ---- the file ---- */

struct header {
	uint32_t utc_count, wall_count, leap_count, change_count, type_count, name_bytes;
	uint8_t version;
};

static uint64_t big_endian(const uint8_t *bytes, size_t size)
{
	uint64_t value = 0;
	for (size_t i = 0; i < size; i++)
		value = value << 8 | bytes[i];
	return value;
}

static const uint8_t *read_bytes(struct cursor *cursor, size_t size)
{
	if (size > (size_t)(cursor->end - cursor->at))
		return NULL;
	cursor->at += size;
	return cursor->at - size;
}

static bool read_header(struct cursor *cursor, struct header *header)
{
	const uint8_t *bytes = read_bytes(cursor, 44);
	if (!bytes || memcmp(bytes, "TZif", 4) != 0)
		return false;
	uint32_t *const counts[] = { &header->utc_count, &header->wall_count, &header->leap_count, &header->change_count, &header->type_count, &header->name_bytes };
	for (size_t i = 0; i < LEAT_COUNT_OF(counts); i++) {
		*counts[i] = (uint32_t)big_endian(bytes + 20 + 4 * i, 4);
		if (*counts[i] > FILE_MAX)
			return false;
	}
	header->version = bytes[4];
	return true;
}

static size_t block_size(const struct header *header, size_t time_size)
{
	return header->change_count * (time_size + 1) + header->type_count * 6 + header->name_bytes + header->leap_count * (time_size + 4) +
	       header->wall_count + header->utc_count;
}

static bool read_type(const uint8_t *types, size_t index, int32_t *offset_s)
{
	*offset_s = (int32_t)(uint32_t)big_endian(types + index * 6, 4);
	return *offset_s >= -OFFSET_MAX_S && *offset_s <= OFFSET_MAX_S;
}

static bool read_changes(struct cursor *cursor, const struct header *header, size_t time_size, struct leat_zone *zone)
{
	const uint8_t *block = read_bytes(cursor, block_size(header, time_size));
	if (!block || header->leap_count > 0 || header->type_count == 0 || header->type_count > TYPES_MAX)
		return false;
	const uint8_t *indexes = block + header->change_count * time_size, *types = indexes + header->change_count;
	if (!read_type(types, 0, &zone->first_offset_s))
		return false;
	for (size_t i = 0; i < header->change_count; i++) {
		struct change *change = &zone->changes[i];
		uint64_t at = big_endian(block + i * time_size, time_size);
		change->at = time_size == 4 ? (int32_t)(uint32_t)at : (int64_t)at;
		if (indexes[i] >= header->type_count || !read_type(types, indexes[i], &change->offset_s))
			return false;
		if (i > 0 && change->at <= zone->changes[i - 1].at)
			return false;
	}
	zone->count = header->change_count;
	return true;
}

/* ---- beyond the file's end ---- */

static void add_change(struct leat_zone *zone, int64_t after, int64_t at, int32_t offset_s)
{
	if (at <= after)
		return;
	size_t place = zone->count++;
	for (; place > 0 && zone->changes[place - 1].at > at; place--)
		zone->changes[place] = zone->changes[place - 1];
	zone->changes[place] = (struct change){ at, offset_s };
}

static bool add_rules(struct leat_zone *zone, const struct rules *rules)
{
	bool any = zone->count > 0;
	int64_t last = any ? zone->changes[zone->count - 1].at : INT64_MIN;
	if (last > YEAR_9999_S)
		return false;
	int64_t year = any ? year_of(LEAT_MAX(last, YEAR_1900_S)) : 1900;       /* before any rule of today */
	if (!rules->saves) {
		if (!any)
			zone->first_offset_s = rules->standard_s;
		return true;
	}
	for (int64_t end = year + RULE_YEARS; year < end; year++) {
		add_change(zone, last, day_of_rule(&rules->start, year) * DAY_S + rules->start.time_s - rules->standard_s, rules->saving_s);
		add_change(zone, last, day_of_rule(&rules->end, year) * DAY_S + rules->end.time_s - rules->saving_s, rules->standard_s);
	}
	zone->repeats = true;
	return true;
}

/* The last line, between two line ends. */
static bool read_footer(struct cursor *cursor, struct leat_zone *zone)
{
	struct rules rules = { 0 };
	if (!next_is(cursor, '\n'))
		return false;
	const uint8_t *end = memchr(cursor->at, '\n', (size_t)(cursor->end - cursor->at));
	if (!end)
		return false;
	cursor->end = end;
	return cursor->at == end || (read_rules(cursor, &rules) && add_rules(zone, &rules));
}

static bool read_file(struct cursor *cursor, struct leat_zone *zone)
{
	struct header header = { 0 };
	if (!read_header(cursor, &header))
		return false;
	if (header.version == 0)
		return header.change_count <= CHANGES_MAX && read_changes(cursor, &header, 4, zone);
	if (!read_bytes(cursor, block_size(&header, 4)) || !read_header(cursor, &header) || header.change_count > CHANGES_MAX)
		return false;
	return read_changes(cursor, &header, 8, zone) && read_footer(cursor, zone);
}

static int keep(const struct leat_zone **out, const struct leat_zone *zone, struct leat_arena *arena, struct leat_fault *fault)
{
	size_t size = sizeof *zone + zone->count * sizeof zone->changes[0];
	struct leat_zone *kept = leat_arena_take(arena, size);
	if (!kept)
		return leat_fail(fault, LEAT_ENOMEM, "out of memory while reading a time zone");
	*out = memcpy(kept, zone, size);
	return 0;
}

int leat_zone_read(const struct leat_zone **out, struct leat_bytes file, struct leat_arena *arena, struct leat_fault *fault)
{
	struct cursor cursor = { file.data, file.data + file.length };
	struct leat_zone *zone = leat_calloc(1, sizeof *zone + (CHANGES_MAX + 2 * RULE_YEARS) * sizeof zone->changes[0]);
	int rc;
	*out = NULL;
	if (!zone)
		rc = leat_fail(fault, LEAT_ENOMEM, "out of memory while reading a time zone");
	else if (!read_file(&cursor, zone))
		rc = leat_fail(fault, LEAT_ECORRUPT, "not a time zone file that we can read (TZif without leap seconds)");
	else
		rc = keep(out, zone, arena, fault);
	leat_free(zone);
	return rc;
}

/* Names go into a path: no way up, no way out. */
static bool is_name(struct leat_bytes name)
{
	if (name.length == 0 || name.length > NAME_MAX_BYTES || name.data[0] == '/')
		return false;
	for (size_t i = 0; i < name.length; i++) {
		uint8_t c = name.data[i];
		bool word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '+';
		if (!word && (c != '/' || i + 1 == name.length))
			return false;
	}
	return true;
}

static int read_whole(const char *path, struct leat_buffer *buffer)
{
	FILE *file = fopen(path, "rbe");
	if (!file)
		return errno == ENOENT || errno == ENOTDIR ? LEAT_ENOTFOUND : LEAT_EIO;
	int rc = leat_buffer_reserve(buffer, FILE_MAX + 1);
	if (rc == 0) {
		buffer->length = fread(buffer->data, 1, FILE_MAX + 1, file);
		rc = ferror(file) ? LEAT_EIO : buffer->length > FILE_MAX ? LEAT_ECORRUPT : 0;
	}
	fclose(file);
	return rc;
}

int leat_zone_load(const struct leat_zone **out, struct leat_bytes name, struct leat_arena *arena, struct leat_fault *fault)
{
	struct leat_buffer file = { 0 };
	const char *directory = getenv("TZDIR");
	int shown = (int)LEAT_MIN(name.length, (uint32_t)NAME_MAX_BYTES);
	*out = NULL;
	if (leat_bytes_equal(name, leat_text("UTC")))
		return keep(out, &(struct leat_zone){ 0 }, arena, fault);
	if (!is_name(name))
		return leat_fail(fault, LEAT_ENOTFOUND, "unknown time zone '%.*s'; they look like 'Europe/Berlin'", shown, (const char *)name.data);
	char *path = leat_printf("%s/%.*s", directory ? directory : "/usr/share/zoneinfo", shown, (const char *)name.data);
	int rc = path ? read_whole(path, &file) : LEAT_ENOMEM;
	if (rc == 0)
		rc = leat_zone_read(out, leat_bytes(file.data, file.length), arena, fault);
	else if (rc == LEAT_ENOTFOUND)
		leat_fail(fault, rc, "unknown time zone '%.*s'; %s does not exist (package tzdata)", shown, (const char *)name.data, path);
	else
		leat_fail(fault, rc, "time zone '%.*s': %s", shown, (const char *)name.data, leat_error_text(rc));
	leat_free(path);
	leat_buffer_free(&file);
	return rc;
}

/* How many changes lie at or before @unix_s. */
static size_t changes_before(const struct leat_zone *zone, int64_t unix_s)
{
	size_t low = 0, high = zone->count;
	while (low < high) {
		size_t middle = (low + high) / 2;
		if (zone->changes[middle].at <= unix_s)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct leat_zone_span leat_zone_span(const struct leat_zone *zone, int64_t unix_s)
{
	int64_t shift = 0;
	if (zone->repeats && unix_s >= zone->changes[zone->count - 1].at)
		shift = ((unix_s - zone->changes[zone->count - 1].at) / CYCLE_S + 1) * CYCLE_S;
	size_t past = changes_before(zone, unix_s - shift);
	struct leat_zone_span span = { INT64_MIN, INT64_MAX, zone->first_offset_s };
	if (past > 0) {
		span.from_s = zone->changes[past - 1].at + shift;
		span.offset_s = zone->changes[past - 1].offset_s;
	}
	if (past < zone->count && __builtin_add_overflow(zone->changes[past].at, shift, &span.until_s))
		span.until_s = INT64_MAX;
	return span;
}

int32_t leat_zone_offset_s(const struct leat_zone *zone, int64_t unix_s)
{
	return leat_zone_span(zone, unix_s).offset_s;
}
