/* Who owns a store and up to where its rows go: two records in the meta family. */
#include "state/store_private.h"

static const char meta_key[] = "meta";
static const char owner_key[] = "owner";

struct meta_read {
	struct leat_store_meta *meta;
	size_t length;
};

static int meta_found(void *self, size_t index, struct leat_bytes value)
{
	struct meta_read *read = self;
	(void)index;
	read->length = value.length;
	memcpy(read->meta, value.data, LEAT_MIN(value.length, sizeof *read->meta));
	return 0;
}

int leat_store_meta_read(struct leat_store *store, struct leat_store_meta *meta, struct leat_fault *fault)
{
	struct meta_read read = { .meta = meta };
	struct leat_bytes key = leat_text(meta_key);
	memset(meta, 0, sizeof *meta);
	int rc = leat_store_get_many(store, LEAT_FAMILY_META, &key, 1, meta_found, &read);
	if (rc < 0)
		return leat_fail(fault, rc, "the state's meta record cannot be read: %s", leat_error_text(rc));
	if (read.length == 0)
		return leat_fail(fault, LEAT_ENOTFOUND, "the state has no meta record yet");
	if (read.length < sizeof meta->version)
		return leat_fail(fault, LEAT_ECORRUPT, "the state's meta record has %zu bytes", read.length);
	if (meta->version > LEAT_STORE_VERSION)
		return leat_fail(fault, LEAT_EFOREIGN, "the state was written by a later version (format %u, this one knows %d)", meta->version, LEAT_STORE_VERSION);
	if (meta->version == 0 || read.length != sizeof *meta)
		return leat_fail(fault, LEAT_ECORRUPT, "the state's meta record is damaged (format %u, %zu bytes)", meta->version, read.length);
	return 0;
}

void leat_store_meta_put(struct leat_writes *writes, struct leat_store *store, const struct leat_store_meta *meta)
{
	leat_writes_put(writes, store, LEAT_FAMILY_META, leat_text(meta_key), leat_bytes(meta, sizeof *meta));
}

static int owner_found(void *self, size_t index, struct leat_bytes value)
{
	(void)index;
	return leat_buffer_append(self, value.data, value.length);
}

/* Flushed at once: an owner that is only in memory would be forgotten by the first crash. */
static int owner_write(struct leat_store *store, const char *owner, struct leat_fault *fault)
{
	struct leat_writes *writes = NULL;
	int rc = leat_writes_open(&writes);
	if (rc < 0)
		return leat_fail(fault, rc, "no memory for a store");
	leat_writes_put(writes, store, LEAT_FAMILY_META, leat_text(owner_key), leat_text(owner));
	rc = leat_store_write(store, writes, fault);
	if (rc == 0)
		rc = leat_store_flush(store, fault);
	leat_writes_free(writes);
	return rc;
}

static int owner_check(struct leat_store *store, const char *dir, const char *owner, struct leat_buffer *text, struct leat_fault *fault)
{
	struct leat_bytes key = leat_text(owner_key);
	int rc = leat_store_get_many(store, LEAT_FAMILY_META, &key, 1, owner_found, text);
	if (rc < 0)
		return leat_fail(fault, rc, "the owner of %s cannot be read: %s", dir, leat_error_text(rc));
	if (!text->data)
		return owner_write(store, owner, fault);
	if (!leat_bytes_equal(leat_text(owner), leat_bytes(text->data, text->length)))
		return leat_fail(fault, LEAT_EFOREIGN, "%s belongs to \"%.*s\", not to \"%s\"", dir, (int)text->length, (const char *)text->data, owner);
	return 0;
}

int leat_store_claim(struct leat_store *store, const char *dir, const char *owner, struct leat_fault *fault)
{
	struct leat_buffer text = { 0 };
	struct leat_store_meta meta;
	int rc = owner_check(store, dir, owner, &text, fault);
	leat_buffer_free(&text);
	if (rc < 0)
		return rc;
	rc = leat_store_meta_read(store, &meta, fault);
	return rc == LEAT_ENOTFOUND ? 0 : rc;
}
