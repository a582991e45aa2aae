/* One file into topics by one mapping. What `leat import` does; apart from it so that tests can look at the counts. */
#ifndef LEAT_IMPORT_RUN_H
#define LEAT_IMPORT_RUN_H

#include "cli/import_map.h"
#include "stream/transport.h"

enum { LEAT_IMPORT_REASONS_MAX = 128 };

struct leat_import_count { const char *name; uint64_t count; };
struct leat_import_stats {
	uint64_t rows, refused;
	struct leat_import_count written[LEAT_MAP_TARGETS_MAX];          /* by target, named by its topic         */
	struct leat_import_count reasons[LEAT_IMPORT_REASONS_MAX];       /* in the order in which they first came */
	size_t written_count, reason_count;
};
struct leat_import {
	const char *path, *schemas;
	struct leat_map *map;                /* loaded, resolved here; names in the stats belong to it */
	struct leat_transport *transport;
	struct leat_registry *registry;
	uint64_t limit;                      /* rows, 0: all            */
	double rate;                         /* rows per second, 0: all */
	bool (*stop)(void *self);            /* may be NULL             */
};
/* Makes the topics that are absent. The same file and mapping give the same events with the same ids. */
int leat_import_run(const struct leat_import *import, struct leat_import_stats *stats, struct leat_fault *fault);

#endif
