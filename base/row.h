/* The head of a keyed row, as the state layer keeps it and as inlined operator code reads it. Installed. */
#ifndef LEAT_ROW_H
#define LEAT_ROW_H

#include <stdint.h>

/* One row: this head, then one entry per table at a fixed offset. Only the state layer writes it. */
struct leat_row {
	uint32_t present;       /* bit per table of the row: the entry exists                                               */
	uint32_t dirty;         /* bit per table: a further write needs no call to leat_rows_touch() before the next commit */
};

#endif
