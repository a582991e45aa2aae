/* Fuzzes a row's stored value: whatever the bytes are, decoding ends in a row or an error, and a row that was decoded encodes to what decodes to itself. */
#include "state/rows_private.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int upgrade(const void *self, void *entry, const void *old, size_t old_size, uint16_t version)
{
	(void)self, (void)version;
	memcpy(entry, old, LEAT_MIN(old_size, (size_t)8));
	return 0;
}

/* Small tags, so that the fuzzer finds them. */
static const struct leat_rows_table tables[] = {
	{ .tag = 1, .version = 2, .entry_size = 8, .durable = true, .upgrade = upgrade },
	{ .tag = 2, .version = 1, .entry_size = 3, .durable = true, .ttl_ms = 1000 },
	{ .tag = 3, .version = 1, .entry_size = 200, .durable = true },
};

static struct leat_rows *open_rows(void)
{
	struct leat_rows *rows = NULL;
	struct leat_rows_config config = { .tag = 1, .tables = tables, .count = LEAT_COUNT_OF(tables) };
	LEAT_ASSERT(leat_rows_open(&rows, &config, NULL) == 0);
	return rows;
}

static struct row *add(struct leat_rows *rows, const char *key)
{
	struct row *row = leat_index_add(rows, leat_index_hash(leat_text(key), 1), 1, leat_text(key));
	LEAT_ASSERT(row);
	return row;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	leat_log_level = LEAT_ERROR;
	struct leat_rows *rows = open_rows();
	/* A copy of its own, so that reading past its end is seen. */
	uint8_t *copy = leat_malloc(size);
	LEAT_ASSERT(copy);
	memcpy(copy, data, size);
	struct row *row = add(rows, "first");
	int rc = leat_format_decode(rows, row, leat_bytes(copy, size));
	LEAT_ASSERT(rc == 0 || rc == LEAT_ECORRUPT || rc == LEAT_EFOREIGN);
	if (rc == 0 && row->head.present) {
		struct leat_buffer once = { 0 };
		struct leat_bytes value = leat_format_encode(rows, row);
		LEAT_ASSERT(leat_buffer_append(&once, value.data, value.length) == 0);
		struct row *again = add(rows, "second");
		LEAT_ASSERT(leat_format_decode(rows, again, leat_bytes(once.data, once.length)) == 0);
		value = leat_format_encode(rows, again);
		LEAT_ASSERT(leat_bytes_equal(value, leat_bytes(once.data, once.length)));
		leat_buffer_free(&once);
	}
	leat_free(copy);
	leat_rows_close(rows);
	return 0;
}
