/* Copying values between columns of one type. Texts and lists are copied as views. Any thread. */
#ifndef LEAT_MODEL_CELLS_H
#define LEAT_MODEL_CELLS_H

#include "base/column.h"

/* to[to_row] = from[from_row], null as well. */
void leat_cells_copy(struct leat_column *to, size_t to_row, const struct leat_column *from, size_t from_row);
/* to[row] = null for one row. */
void leat_cells_clear(struct leat_column *to, size_t row);
/* to[row] = from[row] for @count rows. */
void leat_cells_copy_rows(struct leat_column *to, const struct leat_column *from, const uint16_t *rows, size_t count);

#endif
