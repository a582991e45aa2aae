/* Layout: the columns of one stream of a pipeline, by slot, and the batch memory that holds them. */
#ifndef LEAT_LAYOUT_H
#define LEAT_LAYOUT_H

#include "base/base.h"

#define LEAT_SLOTS_MAX 256

/* All sources of a pipeline decode into one layout; each stream that an operator emits has its own. Fixed after the pipeline was checked. */
struct leat_layout {
	struct leat_field fields[LEAT_SLOTS_MAX];     /* names owned by the pipeline */
	size_t count;
};
/* Slot of @name, or -1. */
int leat_layout_find(const struct leat_layout *layout, const char *name);

#endif
