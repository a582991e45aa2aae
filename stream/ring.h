/*
 * Ring: records on their way from a transport's reader thread to a worker. One pushing thread, one taking thread, no lock.
 * A ring is a list of chunks; a chunk holds up to LEAT_BATCH_MAX records and their bytes, so that take() hands out a contiguous array and views into
 * it without copying. Memory is accounted in a counter that all rings of a session share.
 */
#ifndef LEAT_RING_H
#define LEAT_RING_H

#include "stream/transport.h"

#include <stdatomic.h>

struct leat_ring;
/* @used: bytes held by all rings that share it (may be NULL). */
int leat_ring_open(struct leat_ring **out, _Atomic size_t *used);
void leat_ring_close(struct leat_ring *ring);           /* both threads must be done with it */
/* Pushing thread: copies key, value and headers. Returns 1 when the ring was empty before (the taker may sleep), 0 else, LEAT_ENOMEM. */
int leat_ring_push(struct leat_ring *ring, const struct leat_record *record);
/* Taking thread: records ready in the oldest chunk; 0: none. They stay valid until released. Taking again without releasing shows the same and perhaps more. */
size_t leat_ring_take(struct leat_ring *ring, const struct leat_record **records);
void leat_ring_release(struct leat_ring *ring, size_t count);
/* Any thread, approximate. */
size_t leat_ring_records(const struct leat_ring *ring);
size_t leat_ring_bytes(const struct leat_ring *ring);

#endif
