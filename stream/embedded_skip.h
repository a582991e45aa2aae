/* The embedded transport's position_set (stream/transport.h). */
#ifndef LEAT_EMBEDDED_SKIP_H
#define LEAT_EMBEDDED_SKIP_H

#include "stream/embedded_internal.h"

int leat_embedded_position_set(struct leat_transport *transport, const char *topic, int32_t partition, int64_t offset, const char *metadata, struct leat_fault *fault);

#endif
