/*
 * Time zones: the offset from UTC at a moment, from the TZif files of the system's tz database (RFC 8536).
 * A zone is constant once loaded, lives in the arena it was loaded into, and may be read by any thread.
 * Files are read whole and with bounds (64 KiB); leap-second ("right/") zones are refused.
 */
#ifndef LEAT_ZONE_H
#define LEAT_ZONE_H

#include "base/base.h"

struct leat_zone;

/* @name as "Europe/Berlin", from $TZDIR or /usr/share/zoneinfo; "UTC" needs no file. LEAT_ENOTFOUND for an unknown name, LEAT_ECORRUPT, LEAT_EIO, LEAT_ENOMEM. */
int leat_zone_load(const struct leat_zone **out, struct leat_bytes name, struct leat_arena *arena, struct leat_fault *fault);
/* The same from the bytes of a TZif file. */
int leat_zone_read(const struct leat_zone **out, struct leat_bytes file, struct leat_arena *arena, struct leat_fault *fault);
/* Seconds to add to UTC at @unix_s. Any moment is fine: the rule of the file's last line goes on for ever. */
int32_t leat_zone_offset_s(const struct leat_zone *zone, int64_t unix_s);

/* The offset that holds in [from_s, until_s): ask again only outside, because events that follow each other lie close together. */
struct leat_zone_span {
	int64_t from_s, until_s;
	int32_t offset_s;
};
struct leat_zone_span leat_zone_span(const struct leat_zone *zone, int64_t unix_s);

#endif
