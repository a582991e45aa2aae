/* What store.c needs of storage.c: databases report to the storage, so that one may be made to give memory back for another. Internal to state/. */
#ifndef LEAT_STORAGE_H
#define LEAT_STORAGE_H

#include "state/shim.h"
#include "state/store.h"

/* A database within the budget. The storage only uses it between join and leave. */
struct leat_storage_member {
	rocksdb_t *db;
	rocksdb_column_family_handle_t *const *families;
	struct leat_storage_member *next;
};
void leat_storage_join(struct leat_storage *storage, struct leat_storage_member *member);
void leat_storage_leave(struct leat_storage *storage, struct leat_storage_member *member);
/* Called before each write: when the write buffers have outgrown the budget, the database that holds most is flushed, @writer's own with waiting if they are far beyond. */
int leat_storage_relieve(struct leat_storage *storage, struct leat_storage_member *writer, struct leat_fault *fault);
/* Maps a text of RocksDB to a code, fills @fault and frees @text. */
int leat_storage_fail(struct leat_fault *fault, const char *what, char *text);
int leat_storage_code(const char *text);

#endif
