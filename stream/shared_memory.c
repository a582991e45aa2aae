/* Memory of the shared tables: pieces of one size, and rows in the order of their keys. */
#include "stream/shared_internal.h"

enum { PIECES = 64, BLOCK = 512 };

/* ---- pieces ---- */

union head { union head *next; double aligned[2]; };

static int add_chunk(struct leat_pieces *pieces)
{
	size_t size = (pieces->size + sizeof(union head) - 1) / sizeof(union head) * sizeof(union head);
	union head *chunk = leat_malloc(sizeof *chunk + PIECES * size);
	if (!chunk)
		return LEAT_ENOMEM;
	chunk->next = pieces->chunks;
	pieces->chunks = chunk;
	pieces->bytes += sizeof *chunk + PIECES * size;
	for (size_t i = PIECES; i-- > 0;) {
		union head *piece = (void *)((uint8_t *)(chunk + 1) + i * size);
		piece->next = pieces->free;
		pieces->free = piece;
	}
	return 0;
}

void *leat_pieces_take(struct leat_pieces *pieces)
{
	if (!pieces->free && add_chunk(pieces) < 0)
		return NULL;
	union head *piece = pieces->free;
	pieces->free = piece->next;
	return memset(piece, 0, pieces->size);
}

void leat_pieces_give(struct leat_pieces *pieces, void *piece)
{
	union head *head = piece;
	head->next = pieces->free;
	pieces->free = head;
}

void leat_pieces_close(struct leat_pieces *pieces)
{
	for (union head *chunk = pieces->chunks, *next; chunk; chunk = next) {
		next = chunk->next;
		leat_free(chunk);
	}
	pieces->chunks = pieces->free = NULL;
}

/* ---- sorted rows ---- */

struct leat_sorted_block { size_t count; struct leat_row *rows[BLOCK]; };

static int compare(struct leat_bytes a, struct leat_bytes b)
{
	size_t both = LEAT_MIN(a.length, b.length);
	int order = both ? memcmp(a.data, b.data, both) : 0;
	return order ? order : (a.length > b.length) - (a.length < b.length);
}

/* The last block whose first key is not above @key. */
static size_t block_for(const struct leat_sorted *sorted, const struct leat_rows *rows, struct leat_bytes key)
{
	size_t low = 0, high = sorted->block_count;
	while (high - low > 1) {
		size_t middle = (low + high) / 2;
		if (compare(leat_rows_key(rows, sorted->blocks[middle]->rows[0]), key) <= 0)
			low = middle;
		else
			high = middle;
	}
	return low;
}

static size_t place_in(const struct leat_sorted_block *block, const struct leat_rows *rows, struct leat_bytes key)
{
	size_t low = 0, high = block->count;
	while (low < high) {
		size_t middle = (low + high) / 2;
		if (compare(leat_rows_key(rows, block->rows[middle]), key) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* An empty block at @index. */
static int add_block(struct leat_sorted *sorted, size_t index)
{
	if (sorted->block_count == sorted->capacity) {
		size_t capacity = LEAT_MAX(sorted->capacity * 2, (size_t)16);
		struct leat_sorted_block **blocks = leat_realloc(sorted->blocks, capacity * sizeof *blocks);
		if (!blocks)
			return LEAT_ENOMEM;
		sorted->blocks = blocks;
		size_t *before = leat_realloc(sorted->before, capacity * sizeof *before);
		if (!before)
			return LEAT_ENOMEM;
		sorted->before = before;
		sorted->capacity = capacity;
	}
	struct leat_sorted_block *block = leat_malloc(sizeof *block);
	if (!block)
		return LEAT_ENOMEM;
	block->count = 0;
	memmove(&sorted->blocks[index + 1], &sorted->blocks[index], (sorted->block_count - index) * sizeof(struct leat_sorted_block *));
	sorted->blocks[index] = block;
	sorted->block_count++;
	return 0;
}

static void count_before(struct leat_sorted *sorted, size_t from)
{
	for (size_t i = from; i < sorted->block_count; i++)
		sorted->before[i] = i ? sorted->before[i - 1] + sorted->blocks[i - 1]->count : 0;
}

static int split(struct leat_sorted *sorted, size_t index)
{
	LEAT_TRY(add_block(sorted, index + 1));
	struct leat_sorted_block *full = sorted->blocks[index], *fresh = sorted->blocks[index + 1];
	full->count = BLOCK / 2;
	fresh->count = BLOCK - BLOCK / 2;
	memcpy(fresh->rows, full->rows + full->count, fresh->count * sizeof(struct leat_row *));
	count_before(sorted, index + 1);
	return 0;
}

int leat_sorted_add(struct leat_sorted *sorted, const struct leat_rows *rows, struct leat_row *row)
{
	struct leat_bytes key = leat_rows_key(rows, row);
	if (sorted->block_count == 0)
		LEAT_TRY(add_block(sorted, 0));
	size_t index = sorted->count ? block_for(sorted, rows, key) : 0;
	if (sorted->blocks[index]->count == BLOCK) {
		LEAT_TRY(split(sorted, index));
		index = block_for(sorted, rows, key);
	}
	struct leat_sorted_block *block = sorted->blocks[index];
	size_t place = place_in(block, rows, key);
	memmove(&block->rows[place + 1], &block->rows[place], (block->count - place) * sizeof(struct leat_row *));
	block->rows[place] = row;
	block->count++;
	sorted->count++;
	count_before(sorted, index ? index : 0);
	return 0;
}

struct leat_row *leat_sorted_at(const struct leat_sorted *sorted, size_t index)
{
	size_t low = 0, high = sorted->block_count;
	if (index >= sorted->count)
		return NULL;
	while (high - low > 1) {
		size_t middle = (low + high) / 2;
		if (sorted->before[middle] <= index)
			low = middle;
		else
			high = middle;
	}
	return sorted->blocks[low]->rows[index - sorted->before[low]];
}

void leat_sorted_close(struct leat_sorted *sorted)
{
	for (size_t i = 0; i < sorted->block_count; i++)
		leat_free(sorted->blocks[i]);
	leat_free(sorted->blocks);
	leat_free(sorted->before);
	*sorted = (struct leat_sorted){ 0 };
}
