/* Time zones from TZif data. */
#include "operators/model/zone.h"
#include "base/error.h"

#include <stdbool.h>
#include <string.h>

/* Header counts of TZif in the order of the file. */
enum { ISUT, ISSTD, LEAP, TIMES, TYPES, CHARS, COUNTS };
#define HEADER 44

struct block {
	const uint8_t *times, *kinds, *types, *end;
	uint32_t counts[COUNTS];
};

static uint32_t read_u32(const uint8_t *at)
{
	return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static int64_t read_time(const uint8_t *at)
{
	return (int64_t)((uint64_t)read_u32(at) << 32 | read_u32(at + 4));
}

/* Finds the parts of the data block at @data whose times take @wide bytes each. */
static int block_find(struct block *block, const uint8_t *data, size_t length, size_t wide)
{
	if (length < HEADER || memcmp(data, "TZif", 4) != 0)
		return LEAT_ECORRUPT;
	for (int i = 0; i < COUNTS; i++) {
		block->counts[i] = read_u32(data + 20 + 4 * i);
		if (block->counts[i] > 65536)
			return LEAT_ECORRUPT;
	}
	block->times = data + HEADER;
	block->kinds = block->times + block->counts[TIMES] * wide;
	block->types = block->kinds + block->counts[TIMES];
	size_t size = HEADER + block->counts[TIMES] * (wide + 1) + block->counts[TYPES] * (size_t)6 + block->counts[CHARS] +
		block->counts[LEAP] * (wide + 4) + block->counts[ISSTD] + block->counts[ISUT];
	if (size > length || block->counts[TYPES] == 0)
		return LEAT_ECORRUPT;
	block->end = data + size;
	return 0;
}

static int zone_add(struct leat_zone *zone, int64_t at_s, int32_t offset_s)
{
	if (at_s <= 0) {
		zone->offset_s = offset_s;
		return 0;
	}
	if (zone->count == LEAT_ZONE_CHANGES)
		return LEAT_ELIMIT;
	if (zone->count && zone->changes[zone->count - 1].at_s >= at_s)
		return LEAT_ECORRUPT;
	zone->changes[zone->count++] = (struct leat_zone_change){ at_s, offset_s };
	return 0;
}

static int read_changes(struct leat_zone *zone, const struct block *block)
{
	zone->offset_s = (int32_t)read_u32(block->types);
	for (uint32_t i = 0; i < block->counts[TIMES]; i++) {
		uint8_t kind = block->kinds[i];
		if (kind >= block->counts[TYPES])
			return LEAT_ECORRUPT;
		int32_t offset = (int32_t)read_u32(block->types + 6 * (size_t)kind);
		if (offset < -100000 || offset > 100000)
			return LEAT_ECORRUPT;
		LEAT_TRY(zone_add(zone, read_time(block->times + 8 * (size_t)i), offset));
	}
	return 0;
}

/* ---- the rule for the future: "CET-1CEST,M3.5.0,M10.5.0/3" ---- */

struct text {
	const char *at, *end;
};
struct rule {
	int month, week, day;   /* Mm.w.d                      */
	int32_t time_s;         /* local time of the change    */
};

static bool take(struct text *text, char c)
{
	if (text->at == text->end || *text->at != c)
		return false;
	text->at++;
	return true;
}

static bool take_number(struct text *text, int max, int *out)
{
	const char *start = text->at;
	int value = 0;
	while (text->at < text->end && *text->at >= '0' && *text->at <= '9' && value <= max)
		value = value * 10 + (*text->at++ - '0');
	*out = value;
	return text->at > start && value <= max;
}

/* A name: letters, or anything in angle brackets. */
static bool take_name(struct text *text)
{
	const char *start = text->at;
	if (take(text, '<')) {
		while (text->at < text->end && *text->at != '>')
			text->at++;
		return take(text, '>');
	}
	while (text->at < text->end && ((*text->at | 32) >= 'a' && (*text->at | 32) <= 'z'))
		text->at++;
	return text->at > start;
}

/* [+-]hh[:mm[:ss]] in seconds. */
static bool take_clock(struct text *text, int32_t *out)
{
	int part[3] = { 0 }, sign = take(text, '-') ? -1 : 1;
	if (sign > 0)
		(void)take(text, '+');
	if (!take_number(text, 167, &part[0]))
		return false;
	for (int i = 1; i < 3 && take(text, ':'); i++)
		if (!take_number(text, 59, &part[i]))
			return false;
	*out = sign * (part[0] * 3600 + part[1] * 60 + part[2]);
	return true;
}

static bool take_rule(struct text *text, struct rule *rule)
{
	rule->time_s = 2 * 3600;
	if (!take(text, ',') || !take(text, 'M') || !take_number(text, 12, &rule->month) || !take(text, '.') ||
	    !take_number(text, 5, &rule->week) || !take(text, '.') || !take_number(text, 6, &rule->day))
		return false;
	if (rule->month < 1 || rule->week < 1)
		return false;
	return !take(text, '/') || take_clock(text, &rule->time_s);
}

/* Days from 1970-01-01 to the first day of @month (proleptic Gregorian; Howard Hinnant's days_from_civil). */
static int64_t days_of(int year, int month)
{
	int y = month <= 2 ? year - 1 : year, era = y / 400, of_era = y - era * 400;
	int day = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5;
	return (int64_t)era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + day - 719468;
}

static int64_t rule_instant(const struct rule *rule, int year, int32_t offset_before_s)
{
	int64_t first = days_of(year, rule->month);
	int64_t next = rule->month == 12 ? days_of(year + 1, 1) : days_of(year, rule->month + 1);
	int64_t weekday = (first + 4) % 7;      /* 1970-01-01 was a Thursday */
	int64_t day = first + (rule->day - weekday + 7) % 7 + 7 * (rule->week - 1);
	while (day >= next)
		day -= 7;
	return day * 86400 + rule->time_s - offset_before_s;
}

static int extend(struct leat_zone *zone, const struct rule rules[2], int32_t standard, int32_t summer)
{
	const int32_t after[2] = { summer, standard };
	int64_t known = zone->count ? zone->changes[zone->count - 1].at_s : 0;
	for (int year = 1970; year <= LEAT_ZONE_LAST_YEAR; year++) {
		int64_t at[2] = { rule_instant(&rules[0], year, standard), rule_instant(&rules[1], year, summer) };
		int first = at[0] < at[1] ? 0 : 1;
		for (int i = 0; i < 2; i++) {
			int which = i == 0 ? first : 1 - first;
			if (at[which] > known)
				LEAT_TRY(zone_add(zone, at[which], after[which]));
		}
	}
	return 0;
}

static int read_footer(struct leat_zone *zone, struct text text)
{
	int32_t standard, summer;
	struct rule rules[2];
	if (!take(&text, '\n'))
		return LEAT_ECORRUPT;
	if (take(&text, '\n'))
		return 0;
	if (!take_name(&text) || !take_clock(&text, &standard))
		return LEAT_ECORRUPT;
	if (take(&text, '\n')) {
		if (zone->count == 0)
			zone->offset_s = -standard;
		return 0;
	}
	if (!take_name(&text))
		return LEAT_ECORRUPT;
	summer = standard - 3600;
	if (text.at < text.end && *text.at != ',' && !take_clock(&text, &summer))
		return LEAT_ECORRUPT;
	if (!take_rule(&text, &rules[0]) || !take_rule(&text, &rules[1]) || !take(&text, '\n'))
		return LEAT_ECORRUPT;
	return extend(zone, rules, -standard, -summer);
}

int leat_zone_parse(struct leat_zone *zone, const uint8_t *data, size_t length)
{
	struct block old, block;
	memset(zone, 0, sizeof *zone);
	LEAT_TRY(block_find(&old, data, length, 4));
	if (data[4] < '2')
		return LEAT_ECORRUPT;   /* 32-bit files ended with tzcode 2005b */
	LEAT_TRY(block_find(&block, old.end, length - (size_t)(old.end - data), 8));
	LEAT_TRY(read_changes(zone, &block));
	return read_footer(zone, (struct text){ (const char *)block.end, (const char *)data + length });
}

int32_t leat_zone_offset(const struct leat_zone *zone, int64_t at_ms)
{
	int64_t at_s = at_ms / 1000 - (at_ms % 1000 < 0);
	uint32_t low = 0, high = zone->count;
	while (low < high) {
		uint32_t middle = (low + high) / 2;
		if (zone->changes[middle].at_s <= at_s)
			low = middle + 1;
		else
			high = middle;
	}
	return low ? zone->changes[low - 1].offset_s : zone->offset_s;
}

unsigned leat_zone_hour(const struct leat_zone *zone, int64_t at_ms)
{
	int64_t at_s = at_ms / 1000 - (at_ms % 1000 < 0) + leat_zone_offset(zone, at_ms);
	int64_t of_day = at_s % 86400;
	return (unsigned)((of_day < 0 ? of_day + 86400 : of_day) / 3600);
}
