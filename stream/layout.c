/* Layout: finding a column by its name. */
#include "stream/layout.h"

int leat_layout_find(const struct leat_layout *layout, const char *name)
{
	for (size_t slot = 0; slot < layout->count; slot++)
		if (layout->fields[slot].name && strcmp(layout->fields[slot].name, name) == 0)
			return (int)slot;
	return -1;
}
