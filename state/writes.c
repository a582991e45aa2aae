/* Write batches that several stores of one database fill before they reach it in one step. */
#include "state/store_private.h"

struct leat_writes {
	rocksdb_writebatch_t *batch;
};

int leat_writes_open(struct leat_writes **out)
{
	struct leat_writes *writes = leat_calloc(1, sizeof *writes);
	*out = writes;
	if (!writes)
		return LEAT_ENOMEM;
	writes->batch = rocksdb_writebatch_create();
	return 0;
}

void leat_writes_free(struct leat_writes *writes)
{
	if (!writes)
		return;
	rocksdb_writebatch_destroy(writes->batch);
	leat_free(writes);
}

void leat_writes_clear(struct leat_writes *writes)
{
	rocksdb_writebatch_clear(writes->batch);
}

size_t leat_writes_count(const struct leat_writes *writes)
{
	return (size_t)rocksdb_writebatch_count(writes->batch);
}

size_t leat_writes_bytes(const struct leat_writes *writes)
{
	size_t bytes = 0;
	(void)rocksdb_writebatch_data(writes->batch, &bytes);
	return bytes;
}

rocksdb_writebatch_t *leat_writes_raw(struct leat_writes *writes)
{
	return writes->batch;
}

void leat_writes_put(struct leat_writes *writes, struct leat_store *store, enum leat_family family, struct leat_bytes key, struct leat_bytes value)
{
	rocksdb_column_family_handle_t *handle = store->families[family];
	const char *keys[] = { (const char *)store->prefix, (const char *)key.data };
	const size_t sizes[] = { store->prefix_length, key.length };
	const char *data = (const char *)value.data;
	const size_t length = value.length;
	if (store->prefix_length)
		rocksdb_writebatch_putv_cf(writes->batch, handle, 2, keys, sizes, 1, &data, &length);
	else
		rocksdb_writebatch_put_cf(writes->batch, handle, keys[1], key.length, data, length);
}

void leat_writes_delete(struct leat_writes *writes, struct leat_store *store, enum leat_family family, struct leat_bytes key)
{
	const char *keys[] = { (const char *)store->prefix, (const char *)key.data };
	const size_t sizes[] = { store->prefix_length, key.length };
	rocksdb_writebatch_deletev_cf(writes->batch, store->families[family], 2, keys, sizes);
}
