/* The reference workload of the benchmark: events whose bytes are fixed by their number, so that figures of different programs can be compared. */
#ifndef LEAT_GENERATE_RP1_H
#define LEAT_GENERATE_RP1_H

#include "base/base.h"

struct leat_rp1 {
	uint64_t state;                  /* xorshift */
	int64_t users, items;
	uint64_t made;
	char key[24];
	uint8_t body[320];               /* Confluent header and Avro; the event made last */
	size_t length;
};
void leat_rp1_init(struct leat_rp1 *rp1, int64_t users, int64_t items);
/* The next event into key and body. @now_ms: its time; -1: the workload's own, 2 ms per event with late ones. */
void leat_rp1_next(struct leat_rp1 *rp1, int64_t now_ms);

#endif
