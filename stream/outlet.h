/* What outlet.c shares with those that write through it. */
#ifndef LEAT_OUTLET_H
#define LEAT_OUTLET_H

#include "stream/lane.h"

/* The outlet of @topic, made if needed; two feeders of one topic make it sort. */
int leat_outlet_find(struct leat_lane *lane, const char *topic, bool early, size_t *out, struct leat_fault *fault);
/* A new item, zeroed, key null; NULL: out of memory. Its value is what the caller appends to outlet->bytes. */
struct leat_outlet_item *leat_outlet_add(struct leat_outlet *outlet);
int leat_outlet_key(struct leat_outlet *outlet, struct leat_outlet_item *item, struct leat_bytes key);

/* Ends the newest item, whose value has been appended. False: it is too large for the transport, it is gone, and the caller rejects its row. */
bool leat_outlet_end(const struct leat_lane *lane, struct leat_outlet *outlet);

#endif
