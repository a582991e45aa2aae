/* Arena: bump allocation for one batch; chunks are kept between batches so that steady state takes nothing from malloc. */
#include "base/base.h"

enum { ALIGN = 16, KEEP = 4 << 20, LIMIT = 64 << 20 };

struct chunk {
	struct chunk *next;
	size_t size;
	_Alignas(ALIGN) uint8_t bytes[];
};

struct leat_arena {
	struct chunk *first, *current;
	size_t used;            /* of the current chunk */
	size_t total;           /* of all chunks         */
	size_t chunk;
};

int leat_arena_open(struct leat_arena **out, size_t chunk)
{
	struct leat_arena *arena = leat_calloc(1, sizeof *arena);
	*out = arena;
	if (!arena)
		return LEAT_ENOMEM;
	arena->chunk = chunk;
	return 0;
}

void leat_arena_close(struct leat_arena *arena)
{
	if (!arena)
		return;
	for (struct chunk *chunk = arena->first, *next; chunk; chunk = next) {
		next = chunk->next;
		leat_free(chunk);
	}
	leat_free(arena);
}

static struct chunk *add_chunk(struct leat_arena *arena, size_t size)
{
	size_t want = LEAT_MAX(size, arena->chunk);
	if (arena->total + want > LIMIT)
		return NULL;
	struct chunk *chunk = leat_malloc(sizeof *chunk + want);
	if (!chunk)
		return NULL;
	chunk->size = want;
	chunk->next = NULL;
	if (arena->current) {
		chunk->next = arena->current->next;
		arena->current->next = chunk;
	} else {
		arena->first = chunk;
	}
	arena->total += want;
	return chunk;
}

void *leat_arena_take(struct leat_arena *arena, size_t size)
{
	if (size > LIMIT)
		return NULL;
	size = (size + ALIGN - 1) & ~(size_t)(ALIGN - 1);
	while (!arena->current || arena->used + size > arena->current->size) {
		struct chunk *next = arena->current ? arena->current->next : arena->first;
		if (!next || next->size < size)
			next = add_chunk(arena, size);
		if (!next)
			return NULL;
		arena->current = next;
		arena->used = 0;
	}
	void *taken = arena->current->bytes + arena->used;
	arena->used += size;
	return taken;
}

void leat_arena_reset(struct leat_arena *arena)
{
	if (arena->total > KEEP) {
		for (struct chunk *chunk = arena->first, *next; chunk; chunk = next) {
			next = chunk->next;
			leat_free(chunk);
		}
		arena->first = NULL;
		arena->total = 0;
	}
	arena->current = arena->first;
	arena->used = 0;
}
