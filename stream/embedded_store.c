/* State in the embedded transport: each task's store is a key prefix in the one database. */
#include "stream/embedded_internal.h"

int leat_embedded_store_view(struct leat_embedded *embedded, int32_t task, struct leat_store **out, struct leat_fault *fault)
{
	uint32_t application;
	uint8_t prefix[8];
	LEAT_TRY(leat_application_id(embedded, &application, fault));
	leat_put_u32(leat_put_u32(prefix, application), (uint32_t)task);
	int rc = leat_store_view(out, embedded->db, embedded->family, leat_bytes(prefix, sizeof prefix));
	return rc < 0 ? leat_fail(fault, rc, "the state of task %d cannot be opened: %s", task, leat_error_text(rc)) : 0;
}

static int put_owner(struct leat_embedded *embedded, const uint8_t *key, size_t length, const char *owner, struct leat_fault *fault)
{
	rocksdb_writebatch_t *batch = rocksdb_writebatch_create();
	rocksdb_writebatch_put_cf(batch, embedded->family[FAMILY_CATALOGUE], (const char *)key, length, owner, strlen(owner));
	pthread_mutex_lock(&embedded->commit_lock);
	int rc = leat_database_write(embedded, batch, true, fault);
	pthread_mutex_unlock(&embedded->commit_lock);
	rocksdb_writebatch_destroy(batch);
	return rc;
}

static int check_owner(struct leat_embedded *embedded, int32_t task, const char *owner, struct leat_fault *fault)
{
	uint32_t application;
	uint8_t key[9] = { 'o' };
	char *found;
	size_t size;
	LEAT_TRY(leat_application_id(embedded, &application, fault));
	leat_put_u32(leat_put_u32(key + 1, application), (uint32_t)task);
	LEAT_TRY(leat_database_get(embedded, FAMILY_CATALOGUE, key, sizeof key, &found, &size, fault));
	int rc = 0;
	if (!found)
		rc = put_owner(embedded, key, sizeof key, owner, fault);
	else if (size != strlen(owner) || memcmp(found, owner, size) != 0)
		rc = leat_fail(fault, LEAT_EFOREIGN, "the state of task %d in %s belongs to \"%.*s\", not to \"%s\"", task, embedded->directory.path, (int)size, found, owner);
	rocksdb_free(found);
	return rc;
}

int leat_embedded_store_open(struct leat_transport *transport, struct leat_storage *storage, int32_t task, const char *owner, struct leat_store **out, struct leat_fault *fault)
{
	struct leat_embedded *embedded = leat_embedded_of(transport);
	(void)storage;          /* the database was opened within its budget */
	*out = NULL;
	LEAT_TRY(check_owner(embedded, task, owner, fault));
	return leat_embedded_store_view(embedded, task, out, fault);
}

static void delete_prefix(struct leat_embedded *embedded, rocksdb_writebatch_t *batch, int family, const uint8_t prefix[8])
{
	uint8_t end[8];
	leat_put_u64(end, leat_get_u64(prefix) + 1);
	rocksdb_writebatch_delete_range_cf(batch, embedded->family[family], (const char *)prefix, 8, (const char *)end, sizeof end);
}

int leat_embedded_store_discard(struct leat_transport *transport, int32_t task, struct leat_fault *fault)
{
	struct leat_embedded *embedded = leat_embedded_of(transport);
	uint32_t application;
	uint8_t key[9] = { 'o' };
	LEAT_TRY(leat_application_id(embedded, &application, fault));
	leat_put_u32(leat_put_u32(key + 1, application), (uint32_t)task);
	rocksdb_writebatch_t *batch = rocksdb_writebatch_create();
	for (int family = 0; family < LEAT_FAMILIES; family++)
		delete_prefix(embedded, batch, family, key + 1);
	rocksdb_writebatch_delete_cf(batch, embedded->family[FAMILY_CATALOGUE], (const char *)key, sizeof key);
	pthread_mutex_lock(&embedded->commit_lock);
	int rc = leat_database_write(embedded, batch, true, fault);
	pthread_mutex_unlock(&embedded->commit_lock);
	rocksdb_writebatch_destroy(batch);
	return rc;
}
