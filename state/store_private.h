/* The store itself, shared by the files that implement store.h. Internal to state/. */
#ifndef LEAT_STORE_PRIVATE_H
#define LEAT_STORE_PRIVATE_H

#include "state/storage.h"

#include <assert.h>

enum { LEAT_STORE_PREFIX_MAX = 8 };

struct leat_store {
	rocksdb_t *db;
	rocksdb_column_family_handle_t *families[LEAT_FAMILIES];
	uint8_t prefix[LEAT_STORE_PREFIX_MAX];
	size_t prefix_length;
	rocksdb_readoptions_t *read;
	char damage[320];                    /* RocksDB's words; empty: none seen */
	/* Only a store with a directory of its own has the rest. */
	bool own;
	struct leat_storage *storage;
	struct leat_storage_member member;
	struct leat_shim_watch *watch;
	rocksdb_writeoptions_t *write;
};

/* Stored structs are the host's bytes, and every host that leat runs on is little-endian. */
static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "stored formats are little-endian");
static_assert(sizeof(struct leat_store_meta) == 120, "the meta record is stored as it is");

/* Is @dir absent, empty, or a store? LEAT_EFOREIGN when it holds anything else, LEAT_EIO when it cannot be read. */
int leat_store_dir_check(const char *dir, struct leat_fault *fault);
/* Creates @dir and what is missing above it with mode 0700. */
int leat_store_dir_make(const char *dir, struct leat_fault *fault);
/* Checks version and owner of an open database; writes and flushes the owner into a new one. */
int leat_store_claim(struct leat_store *store, const char *dir, const char *owner, struct leat_fault *fault);

#endif
