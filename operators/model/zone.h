/*
 * Time zones from TZif data (RFC 8536), without the C library's hidden state: what the local clock shows at an instant.
 * The caller reads the file and owns the struct, which is plain memory. Any thread. Hostile bytes give LEAT_ECORRUPT, never a read outside @data.
 */
#ifndef LEAT_MODEL_ZONE_H
#define LEAT_MODEL_ZONE_H

#include <stddef.h>
#include <stdint.h>

#define LEAT_ZONE_CHANGES 512
#define LEAT_ZONE_LAST_YEAR 2100        /* the file's rule for the future is laid out until here */

struct leat_zone_change {
	int64_t at_s;           /* from this second since 1970 UTC on */
	int32_t offset_s;       /* local time minus UTC               */
};
/* Zeroed it is UTC. */
struct leat_zone {
	int32_t offset_s;       /* before the first change */
	uint32_t count;
	struct leat_zone_change changes[LEAT_ZONE_CHANGES];
};

/* LEAT_ECORRUPT: not TZif, cut short, or a rule that cannot be read; LEAT_ELIMIT: more than LEAT_ZONE_CHANGES changes since 1970. */
int leat_zone_parse(struct leat_zone *zone, const uint8_t *data, size_t length);
int32_t leat_zone_offset(const struct leat_zone *zone, int64_t at_ms);
/* Hour of the local day, 0..23. */
unsigned leat_zone_hour(const struct leat_zone *zone, int64_t at_ms);

#endif
