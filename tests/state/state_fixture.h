/* What the tests of state/ share: a directory that goes away, a store in it, keys from text, dumps as text. */
#ifndef LEAT_STATE_FIXTURE_H
#define LEAT_STATE_FIXTURE_H

#include "state/rows.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

enum { FIXTURE_MEMORY = 8 << 20 };

struct fixture {
	char dir[64];
	struct leat_fault fault;
	struct leat_storage *storage;
	struct leat_store *store;
	struct leat_writes *writes;
};

static inline void fixture_ok(const struct fixture *fixture, int rc)
{
	if (rc < 0)
		fail_msg("%s: %s", leat_error_text(rc), fixture->fault.text);
}

static inline void fixture_open_store(struct fixture *fixture)
{
	fixture_ok(fixture, leat_store_open(&fixture->store, fixture->storage, fixture->dir, "test/0", &fixture->fault));
}

static inline void fixture_open(struct fixture *fixture)
{
	memset(fixture, 0, sizeof *fixture);
	/* Memory if there is any: nothing here cuts the power, so syncing a disk would only cost time. */
	snprintf(fixture->dir, sizeof fixture->dir, "%s/leat-state-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	assert_non_null(mkdtemp(fixture->dir));
	fixture_ok(fixture, leat_storage_open(&fixture->storage, FIXTURE_MEMORY, &fixture->fault));
	fixture_open_store(fixture);
	assert_int_equal(leat_writes_open(&fixture->writes), 0);
}

static inline void fixture_close(struct fixture *fixture)
{
	leat_store_close(fixture->store, false);
	leat_writes_free(fixture->writes);
	leat_storage_close(fixture->storage);
	fixture_ok(fixture, leat_store_remove(fixture->dir, &fixture->fault));
}

/* As a crash would: what was not flushed is gone. */
static inline void fixture_crash(struct fixture *fixture)
{
	leat_store_close(fixture->store, false);
	leat_writes_clear(fixture->writes);
	fixture_open_store(fixture);
}

static inline void fixture_write(struct fixture *fixture)
{
	fixture_ok(fixture, leat_store_write(fixture->store, fixture->writes, &fixture->fault));
}

/* The row of one key; its partition hash is that of the key, as if it were the message key. */
static inline struct leat_row *fixture_find(struct leat_rows *rows, const char *key, int64_t now_ms)
{
	struct leat_bytes bytes = leat_text(key);
	uint32_t hash = leat_murmur2(bytes.data, bytes.length);
	struct leat_row *row = NULL;
	int rc = leat_rows_find(rows, &bytes, &hash, &now_ms, 1, &row);
	if (rc < 0)
		fail_msg("find %s: %s", key, leat_error_text(rc));
	return row;
}

static inline int fixture_hex(void *self, struct leat_bytes key, struct leat_bytes value)
{
	struct leat_buffer *out = self;
	for (uint32_t i = 0; i < key.length; i++)
		LEAT_TRY(leat_buffer_printf(out, "%02x", key.data[i]));
	LEAT_TRY(leat_buffer_printf(out, value.data ? "=" : "-"));
	for (uint32_t i = 0; i < value.length; i++)
		LEAT_TRY(leat_buffer_printf(out, "%02x", value.data[i]));
	return leat_buffer_printf(out, "\n");
}

#endif
