/* A task's database: opened, read, written and flushed; or a prefix of a database that somebody else owns. */
#include "state/store_private.h"

enum { CHUNK = 128 };

const char *const leat_family_names[LEAT_FAMILIES] = {
	[LEAT_FAMILY_META] = "default",
	[LEAT_FAMILY_ROWS] = "rows",
	[LEAT_FAMILY_TIMERS] = "timers",
};

/* A family that this version does not know means a later version wrote here. */
static int open_database(struct leat_store *store, const rocksdb_options_t *options, const char *dir, struct leat_fault *fault)
{
	const rocksdb_options_t *family_options[LEAT_FAMILIES] = { options, options, options };
	char *error = NULL;
	store->db = rocksdb_open_column_families(options, dir, LEAT_FAMILIES, leat_family_names, family_options, store->families, &error);
	if (!error)
		return 0;
	store->db = NULL;
	memset(store->families, 0, sizeof store->families);
	return leat_storage_fail(fault, "opening the state", error);
}

static int open_own(struct leat_store *store, const char *dir, const char *owner, struct leat_fault *fault)
{
	LEAT_TRY(leat_store_dir_check(dir, fault));
	LEAT_TRY(leat_store_dir_make(dir, fault));
	rocksdb_options_t *options = leat_storage_options(store->storage, false);
	store->watch = leat_shim_watch_open(options);
	int rc = store->watch ? open_database(store, options, dir, fault) : leat_fail(fault, LEAT_ENOMEM, "no memory for a store");
	rocksdb_options_destroy(options);
	if (rc < 0)
		return rc;
	store->member = (struct leat_storage_member){ .db = store->db, .families = store->families };
	leat_storage_join(store->storage, &store->member);
	return leat_store_claim(store, dir, owner, fault);
}

int leat_store_open(struct leat_store **out, struct leat_storage *storage, const char *dir, const char *owner, struct leat_fault *fault)
{
	struct leat_store *store = leat_calloc(1, sizeof *store);
	*out = NULL;
	if (!store)
		return leat_fail(fault, LEAT_ENOMEM, "no memory for a store");
	store->own = true;
	store->storage = storage;
	store->read = rocksdb_readoptions_create();
	store->write = rocksdb_writeoptions_create();
	rocksdb_writeoptions_disable_WAL(store->write, 1);
	int rc = open_own(store, dir, owner, fault);
	if (rc < 0)
		leat_store_close(store, false);
	else
		*out = store;
	return rc;
}

int leat_store_view(struct leat_store **out, rocksdb_t *db, rocksdb_column_family_handle_t *const families[LEAT_FAMILIES], struct leat_bytes prefix)
{
	*out = NULL;
	if (prefix.length > LEAT_STORE_PREFIX_MAX)
		return LEAT_ELIMIT;
	struct leat_store *store = leat_calloc(1, sizeof *store);
	if (!store)
		return LEAT_ENOMEM;
	store->db = db;
	memcpy(store->families, families, sizeof store->families);
	if (prefix.length)
		memcpy(store->prefix, prefix.data, prefix.length);
	store->prefix_length = prefix.length;
	store->read = rocksdb_readoptions_create();
	*out = store;
	return 0;
}

static void close_own(struct leat_store *store, bool flush)
{
	struct leat_fault fault = { 0 };
	if (store->db) {
		if (flush && leat_store_flush(store, &fault) < 0)
			leat_log(LEAT_WARNING, "a store was closed without its last flush and will be repaired when it opens: %s", fault.text);
		leat_storage_leave(store->storage, &store->member);
		for (size_t i = 0; i < LEAT_FAMILIES; i++)
			rocksdb_column_family_handle_destroy(store->families[i]);
		rocksdb_close(store->db);
	}
	if (store->watch)
		leat_shim_watch_close(store->watch);
	rocksdb_writeoptions_destroy(store->write);
}

void leat_store_close(struct leat_store *store, bool flush)
{
	if (!store)
		return;
	if (store->own)
		close_own(store, flush);
	rocksdb_readoptions_destroy(store->read);
	leat_free(store);
}

/* ---- damage ---- */

/* Passes RocksDB's @error on as a code; what it says of damage is kept, because callers above tell codes only. */
static int note(struct leat_store *store, const char *error)
{
	int code = leat_storage_code(error);
	if (code == LEAT_ECORRUPT && !store->damage[0])
		snprintf(store->damage, sizeof store->damage, "%s", error);
	return code;
}

static int fail(struct leat_store *store, struct leat_fault *fault, const char *what, char *error)
{
	note(store, error);
	return leat_storage_fail(fault, what, error);
}

const char *leat_store_damage(struct leat_store *store)
{
	char text[sizeof store->damage];
	if (!store->damage[0] && store->own && leat_shim_watch_failed(store->watch, text, sizeof text))
		note(store, text);
	return store->damage[0] ? store->damage : NULL;
}

/* ---- reading ---- */

struct chunk {
	const char *keys[CHUNK];
	size_t sizes[CHUNK];
	rocksdb_pinnableslice_t *values[CHUNK];
	char *errors[CHUNK];
};

/* Hands on what one chunk found and frees all of it, also after a failure. */
static int chunk_finish(struct leat_store *store, struct chunk *chunk, size_t first, size_t count, leat_store_found *found, void *self)
{
	int rc = 0;
	for (size_t i = 0; i < count; i++) {
		size_t length = 0;
		const char *data = chunk->values[i] ? rocksdb_pinnableslice_value(chunk->values[i], &length) : NULL;
		if (chunk->errors[i])
			rc = rc < 0 ? rc : note(store, chunk->errors[i]);
		else if (data && rc >= 0)
			rc = found(self, first + i, leat_bytes(data, length));
		if (chunk->errors[i])
			leat_log_seldom(LEAT_ERROR, leat_family_names, 60000, "reading the state: %s", chunk->errors[i]);
		rocksdb_free(chunk->errors[i]);
		if (chunk->values[i])
			rocksdb_pinnableslice_destroy(chunk->values[i]);
	}
	return rc;
}

static int prefixed(struct leat_store *store, const struct leat_bytes *keys, size_t count, struct chunk *chunk, struct leat_buffer *buffer)
{
	buffer->length = 0;
	for (size_t i = 0; i < count; i++) {
		LEAT_TRY(leat_buffer_append(buffer, store->prefix, store->prefix_length));
		LEAT_TRY(leat_buffer_append(buffer, keys[i].data, keys[i].length));
	}
	size_t at = 0;
	for (size_t i = 0; i < count; i++) {
		chunk->keys[i] = (const char *)buffer->data + at;
		chunk->sizes[i] = store->prefix_length + keys[i].length;
		at += chunk->sizes[i];
	}
	return 0;
}

static int get_chunk(struct leat_store *store, enum leat_family family, const struct leat_bytes *keys, size_t count, struct chunk *chunk, struct leat_buffer *buffer)
{
	for (size_t i = 0; i < count; i++) {
		chunk->keys[i] = (const char *)keys[i].data;
		chunk->sizes[i] = keys[i].length;
		chunk->values[i] = NULL;
		chunk->errors[i] = NULL;
	}
	if (store->prefix_length)
		LEAT_TRY(prefixed(store, keys, count, chunk, buffer));
	rocksdb_batched_multi_get_cf(store->db, store->read, store->families[family], count, chunk->keys, chunk->sizes, chunk->values, chunk->errors, false);
	return 0;
}

int leat_store_get_many(struct leat_store *store, enum leat_family family, const struct leat_bytes *keys, size_t count, leat_store_found *found, void *self)
{
	struct leat_buffer buffer = { 0 };
	struct chunk chunk;
	int rc = 0;
	for (size_t first = 0; first < count && rc >= 0; first += CHUNK) {
		size_t part = LEAT_MIN(count - first, (size_t)CHUNK);
		rc = get_chunk(store, family, keys + first, part, &chunk, &buffer);
		if (rc >= 0)
			rc = chunk_finish(store, &chunk, first, part, found, self);
	}
	leat_buffer_free(&buffer);
	return LEAT_MIN(rc, 0);
}

static bool starts_with(struct leat_bytes key, const struct leat_buffer *start)
{
	return key.length >= start->length && (start->length == 0 || memcmp(key.data, start->data, start->length) == 0);
}

static int scan_from(struct leat_store *store, rocksdb_iterator_t *iterator, const struct leat_buffer *start, leat_store_each *each, void *self)
{
	int rc = 0;
	while (rc == 0 && rocksdb_iter_valid(iterator)) {
		size_t key_length, value_length;
		const char *key = rocksdb_iter_key(iterator, &key_length);
		const char *value = rocksdb_iter_value(iterator, &value_length);
		if (!starts_with(leat_bytes(key, key_length), start))
			return 0;
		rc = each(self, leat_bytes(key + store->prefix_length, key_length - store->prefix_length), leat_bytes(value, value_length));
		rocksdb_iter_next(iterator);
	}
	char *error = NULL;
	if (rc == 0)
		rocksdb_iter_get_error(iterator, &error);
	return error ? fail(store, NULL, "reading the state", error) : rc;
}

/* The smallest key above all that begin with @start into @limit, so that an iterator need not wade through what was deleted behind it; empty: none. */
static int upper_bound(const struct leat_buffer *start, struct leat_buffer *limit)
{
	LEAT_TRY(leat_buffer_append(limit, start->data, start->length));
	while (limit->length && limit->data[limit->length - 1] == 0xff)
		limit->length--;
	if (limit->length)
		limit->data[limit->length - 1]++;
	return 0;
}

int leat_store_scan(struct leat_store *store, enum leat_family family, struct leat_bytes prefix, struct leat_bytes from, leat_store_each *each, void *self)
{
	struct leat_buffer start = { 0 }, seek = { 0 }, limit = { 0 };
	rocksdb_readoptions_t *options = NULL;
	rocksdb_iterator_t *iterator = NULL;
	bool later = prefix.length < from.length && (prefix.length == 0 || memcmp(from.data, prefix.data, prefix.length) >= 0);
	struct leat_bytes first = later ? from : prefix;
	int rc;
	if ((rc = leat_buffer_append(&start, store->prefix, store->prefix_length)) < 0 || (rc = leat_buffer_append(&start, prefix.data, prefix.length)) < 0 ||
	    (rc = leat_buffer_append(&seek, store->prefix, store->prefix_length)) < 0 || (rc = leat_buffer_append(&seek, first.data, first.length)) < 0 ||
	    (rc = upper_bound(&start, &limit)) < 0)
		goto out;
	options = rocksdb_readoptions_create();
	rocksdb_readoptions_set_fill_cache(options, 0);
	if (limit.length)
		rocksdb_readoptions_set_iterate_upper_bound(options, (const char *)limit.data, limit.length);
	iterator = rocksdb_create_iterator_cf(store->db, options, store->families[family]);
	rocksdb_iter_seek(iterator, (const char *)seek.data, seek.length);
	rc = scan_from(store, iterator, &start, each, self);
out:
	if (iterator)
		rocksdb_iter_destroy(iterator);
	if (options)
		rocksdb_readoptions_destroy(options);
	leat_buffer_free(&start);
	leat_buffer_free(&seek);
	leat_buffer_free(&limit);
	return rc;
}

/* ---- writing ---- */

int leat_store_write(struct leat_store *store, struct leat_writes *writes, struct leat_fault *fault)
{
	if (!store->own)
		return leat_fail(fault, LEAT_EUNSUPPORTED, "a view is written by its database's owner");
	LEAT_TRY(leat_storage_relieve(store->storage, &store->member, fault));
	char *error = NULL;
	leat_crashpoint("store.before_write");
	rocksdb_write(store->db, store->write, leat_writes_raw(writes), &error);
	leat_crashpoint("store.after_write");
	if (error)
		return fail(store, fault, "writing the state", error);
	leat_writes_clear(writes);
	return 0;
}

int leat_store_flush(struct leat_store *store, struct leat_fault *fault)
{
	if (!store->own)
		return 0;
	char *error = leat_shim_flush(store->db, store->families, LEAT_FAMILIES, true);
	leat_crashpoint("store.after_flush");
	return error ? fail(store, fault, "flushing the state", error) : 0;
}

int leat_store_health(struct leat_store *store, struct leat_fault *fault)
{
	char text[384];
	if (!store->own || !leat_shim_watch_failed(store->watch, text, sizeof text))
		return 0;
	return leat_fail(fault, leat_storage_code(text), "background work on the state failed: %s", text);
}

uint64_t leat_store_size(struct leat_store *store)
{
	uint64_t sum = 0, bytes = 0;
	for (size_t i = 0; i < LEAT_FAMILIES; i++)
		if (rocksdb_property_int_cf(store->db, store->families[i], "rocksdb.live-sst-files-size", &bytes) == 0)
			sum += bytes;
	return sum;
}
