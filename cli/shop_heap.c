/* The simulated shop's agenda: a binary heap by time. */
#include "cli/shop_internal.h"

static bool before(const struct shop_due *a, const struct shop_due *b)
{
	return a->at_us < b->at_us || (a->at_us == b->at_us && a->order < b->order);
}

static int grow(struct shop_heap *heap)
{
	size_t capacity = LEAT_MAX(heap->capacity * 2, (size_t)256);
	struct shop_due *items = leat_realloc(heap->items, capacity * sizeof *items);
	if (!items)
		return LEAT_ENOMEM;
	heap->items = items;
	heap->capacity = capacity;
	return 0;
}

int shop_push(struct shop_heap *heap, int64_t at_us, enum shop_due_kind kind, uint32_t index)
{
	if (heap->count == heap->capacity)
		LEAT_TRY(grow(heap));
	struct shop_due due = { .at_us = at_us, .order = heap->order++, .kind = kind, .index = index };
	size_t at = heap->count++;
	for (; at > 0 && before(&due, &heap->items[(at - 1) / 2]); at = (at - 1) / 2)
		heap->items[at] = heap->items[(at - 1) / 2];
	heap->items[at] = due;
	return 0;
}

struct shop_due shop_pop(struct shop_heap *heap)
{
	LEAT_ASSERT(heap->count > 0);
	struct shop_due top = heap->items[0], last = heap->items[--heap->count];
	size_t at = 0;
	for (size_t child; (child = 2 * at + 1) < heap->count; at = child) {
		if (child + 1 < heap->count && before(&heap->items[child + 1], &heap->items[child]))
			child++;
		if (!before(&heap->items[child], &last))
			break;
		heap->items[at] = heap->items[child];
	}
	heap->items[at] = last;
	return top;
}
