/*
 * Inside the embedded transport: what its files share. Nobody else includes this.
 *
 *   directory/  format        version of everything in it           embedded_directory.c
 *               owner         locked by the owning process, its pid
 *               control.sock  how other processes get at it         embedded_socket.c (owner), embedded_client.c (others)
 *               db/           one RocksDB database, WAL on          embedded.c
 *
 *   family      key (integers big-endian)             value                                      file
 *   topics      u32 topic, u32 partition, u64 last    run (embedded_run.h)                       embedded_commit.c, embedded_cursor.c
 *   index       u8 'k', u32, u32, record key          u64 offset of its newest record            embedded_clean.c
 *               u8 't', u32, u32, u64 offset          i64 committed_ms, record key: a tombstone
 *   offsets     u32 application, u32, u32 partition   i64 offset, i64 wall_ms, metadata          embedded_session.c
 *   catalogue   u8 't', name                          leat_topic_row                             embedded_topics.c
 *               u8 'p', u32 topic, u32 partition      leat_log_row
 *               u8 'a', application                   u32 its number
 *               u8 'o', u32 application, u32 task     owner text of the task's state
 *   and the families of state/store.h with the prefix u32 application, u32 task.
 *
 * Locks: commit_lock (who holds it writes to the database and moves the ends of logs), then lock (sessions, tasks, the list of topics); never the
 * other way round. Readers of records take neither: they read log->first and log->end and then the database.
 */
#ifndef LEAT_EMBEDDED_INTERNAL_H
#define LEAT_EMBEDDED_INTERNAL_H

#include "state/store.h"
#include "stream/embedded_run.h"

#include <pthread.h>
#include <stdatomic.h>

#define LEAT_EMBEDDED_FORMAT 1
#define LEAT_EMBEDDED_TASKS 4                        /* partitions of a topic that does not say how many */
#define LEAT_EMBEDDED_PARTITIONS_MAX 4096
#define LEAT_EMBEDDED_RETENTION_MS (7LL * 86400000)  /* as Kafka's default                               */
#define LEAT_EMBEDDED_TOMBSTONE_MS 86400000LL        /* how long deletes stay readable, as Kafka's        */
#define LEAT_EMBEDDED_METADATA_MAX 4096

enum { FAMILY_TOPICS = LEAT_FAMILIES, FAMILY_INDEX, FAMILY_OFFSETS, FAMILY_CATALOGUE, FAMILY_COUNT };

struct leat_topic_row {
	uint32_t version, id;
	int32_t partitions;
	uint32_t flags;
	int64_t retention_ms;
};
enum { TOPIC_COMPACTED = 1, TOPIC_INTERNAL = 2 };
_Static_assert(sizeof(struct leat_topic_row) == 24, "stored");
struct leat_log_row {
	int64_t first, end, cleaned;
};
_Static_assert(sizeof(struct leat_log_row) == 24, "stored");

/* One partition of a topic. */
struct leat_log {
	_Atomic int64_t first, end;              /* moved under commit_lock                                  */
	int64_t cleaned;                         /* compaction has seen what lies before                     */
	int64_t deleted;                         /* what lies before is gone from the database               */
	int64_t expires_ms;                      /* not before this time does retention need to look         */
};
struct leat_topic {
	char *name;
	uint32_t id;
	int32_t partitions;
	bool compacted, internal;
	int64_t retention_ms;                    /* -1: none */
	struct leat_log logs[];
};

struct leat_embedded_settings {
	bool fsync, socket;
	int64_t fail_commit, unknown_commit;     /* 0: none */
	int64_t partitions;
};

struct leat_directory {
	char *path;
	int fd;                                  /* of the directory          */
	int owner_fd;                            /* locked while we own it    */
	bool owned;
	int64_t pid;                             /* of the owner, if others own it */
	char state[16];                          /* what the owner says: opening, serving, or alone (it has no socket) */
};

struct leat_server;
struct leat_embedded {
	struct leat_transport transport;
	const struct leat_clock *clock;
	struct leat_embedded_settings settings;
	struct leat_directory directory;
	char *application;                       /* may be empty: nothing that needs one can be done then */
	uint32_t application_id;                 /* 0: not asked for yet */

	rocksdb_t *db;
	rocksdb_column_family_handle_t *family[FAMILY_COUNT];
	rocksdb_writeoptions_t *write, *write_now;          /* as the setting says; never synced */
	rocksdb_readoptions_t *read;

	pthread_mutex_t commit_lock;
	struct leat_fault failed;                /* the database refuses to write since */
	int64_t commits;                         /* of workers, for the injected faults */
	uint32_t next_topic_id;
	_Atomic int64_t clean_us;                /* when cleaning is due next           */
	size_t clean_topic;                      /* where the last slice stopped        */
	int32_t clean_partition;

	pthread_mutex_t lock;
	pthread_cond_t changed;                  /* new records, tasks that moved, a session woken */
	struct leat_topic **topics;
	size_t topic_count, topic_capacity;
	struct leat_session *sessions;           /* of workers, oldest first */
	struct leat_session **owners, **targets; /* [tasks]                  */
	int32_t tasks;

	struct leat_server *server;
};
static inline struct leat_embedded *leat_embedded_of(struct leat_transport *transport)
{
	return (struct leat_embedded *)(void *)transport;
}

static inline uint8_t *leat_put_u32(uint8_t *at, uint32_t value)
{
	value = __builtin_bswap32(value);
	memcpy(at, &value, sizeof value);
	return at + sizeof value;
}
static inline uint8_t *leat_put_u64(uint8_t *at, uint64_t value)
{
	value = __builtin_bswap64(value);
	memcpy(at, &value, sizeof value);
	return at + sizeof value;
}
static inline uint64_t leat_get_u64(const uint8_t *at)
{
	uint64_t value;
	memcpy(&value, at, sizeof value);
	return __builtin_bswap64(value);
}

#define LEAT_LOG_KEY 16
static inline void leat_log_key(uint8_t key[LEAT_LOG_KEY], uint32_t topic, int32_t partition, int64_t last)
{
	leat_put_u64(leat_put_u32(leat_put_u32(key, topic), (uint32_t)partition), (uint64_t)last);
}

/* ---- embedded.c, embedded_session.c ---- */
extern const struct leat_transport_ops leat_embedded_ops;
void leat_embedded_close(struct leat_transport *transport);

/* ---- embedded_directory.c ---- */
/* Makes the directory if there is none, checks that it is ours, and owns it unless another does (directory->owned tells). LEAT_EFOREIGN, LEAT_EIO, LEAT_ENOMEM. */
int leat_directory_open(struct leat_directory *directory, const char *path, struct leat_fault *fault);
void leat_directory_close(struct leat_directory *directory);
/* The owner's pid and @state into the owner file. */
int leat_directory_say(struct leat_directory *directory, const char *state, struct leat_fault *fault);

/* ---- embedded_database.c ---- */
int leat_database_open(struct leat_embedded *embedded, struct leat_storage *storage, struct leat_fault *fault);
void leat_database_close(struct leat_embedded *embedded);
/* Turns RocksDB's text into a fault and frees it; 0 when @error is NULL. */
int leat_database_fault(char *error, const char *what, struct leat_fault *fault);
/* The value under @key in *value (free with rocksdb_free), NULL when there is none. */
int leat_database_get(struct leat_embedded *embedded, int family, const void *key, size_t length, char **value, size_t *size, struct leat_fault *fault);
/* Writes @batch; a failure is remembered: the database takes no more writes until it is opened again. Holds commit_lock. */
int leat_database_write(struct leat_embedded *embedded, rocksdb_writebatch_t *batch, bool durable, struct leat_fault *fault);

/* ---- embedded_topics.c ---- */
int leat_topics_load(struct leat_embedded *embedded, struct leat_fault *fault);
void leat_topics_free(struct leat_embedded *embedded);
/* LEAT_ENOTFOUND. Topics live as long as the transport. */
int leat_topic_find(struct leat_embedded *embedded, const char *name, struct leat_topic **out, struct leat_fault *fault);
/* LEAT_ECONFIG when it has no such partition. */
int leat_topic_find_log(struct leat_embedded *embedded, const char *name, int32_t partition, struct leat_topic **out, struct leat_fault *fault);
void leat_topic_put_log(struct leat_embedded *embedded, rocksdb_writebatch_t *batch, const struct leat_topic *topic, int32_t partition, const struct leat_log_row *row);
int leat_topics_partitions(struct leat_transport *transport, const char *topic, int32_t *count, struct leat_fault *fault);
int leat_topics_create(struct leat_transport *transport, const struct leat_topic_spec *spec, struct leat_fault *fault);
int leat_topics_bounds(struct leat_transport *transport, const char *topic, int32_t partition, int64_t *first, int64_t *end, struct leat_fault *fault);
int leat_topics_trim(struct leat_transport *transport, const char *topic, int32_t partition, int64_t offset, struct leat_fault *fault);
/* The number under which this application's positions and state are kept. LEAT_ECONFIG without an application. */
int leat_application_id(struct leat_embedded *embedded, uint32_t *id, struct leat_fault *fault);

/* ---- embedded_commit.c ---- */
struct leat_commit {
	const struct leat_outboxes *outboxes;
	rocksdb_writebatch_t *batch;             /* more to write with it, NULL: nothing; spoilt by a failure */
	const struct leat_position *positions;
	size_t position_count;
	const char *metadata;
	bool worker;                             /* counted for the injected faults */
};
/* Writes all of it or nothing and makes it visible. Any thread. */
int leat_embedded_commit(struct leat_embedded *embedded, const struct leat_commit *commit, struct leat_fault *fault);
int leat_embedded_resolve(void *embedded, const char *name, struct leat_outbox_topic *topic, struct leat_fault *fault);
/* Waits for embedded->changed while @lock is held, until @deadline_us of the monotonic clock; false: the time is over. Never waits on a virtual clock: nobody would move it. */
bool leat_embedded_wait(struct leat_embedded *embedded, int64_t deadline_us);
int64_t leat_embedded_deadline(const struct leat_embedded *embedded, int64_t timeout_us);

/* ---- embedded_clean.c ---- */
/* Retention, compaction and deleting, a slice of it when a second has passed since the last or many records came to compacted topics. Faults are logged: cleaning is tried again. */
void leat_embedded_clean(struct leat_embedded *embedded, size_t compacted_records);

/* ---- embedded_cursor.c ---- */
struct leat_cursor {
	struct leat_embedded *embedded;
	struct leat_topic *topic;
	int32_t partition;
	int64_t position;                        /* next to load; what was loaded lies in the chunk */
	rocksdb_iterator_t *iterator;
	rocksdb_readoptions_t *options;
	unsigned loads;                          /* of this iterator */
	uint8_t upper[8];                        /* RocksDB keeps a pointer to it */
	struct leat_chunk chunk;
};
/* @offset -1: the first there is. Does not move afterwards. */
int leat_cursor_open(struct leat_cursor *cursor, struct leat_embedded *embedded, const char *topic, int32_t partition, int64_t offset, struct leat_fault *fault);
void leat_cursor_close(struct leat_cursor *cursor);
/* Replaces the chunk's bytes with the next runs, not decoded. 1: there are some, 0: the end. *from: records before it are not wanted. LEAT_EGAP, LEAT_EIO, LEAT_ECORRUPT, LEAT_ENOMEM. */
int leat_cursor_load(struct leat_cursor *cursor, int64_t *from, struct leat_fault *fault);
/* Loads and decodes if nothing is left in the chunk; returns how many records are there. */
long leat_cursor_fill(struct leat_cursor *cursor, struct leat_fault *fault);
static inline int64_t leat_cursor_end(const struct leat_cursor *cursor)
{
	return atomic_load_explicit(&cursor->topic->logs[cursor->partition].end, memory_order_acquire);
}
int leat_cursor_reader_open(struct leat_transport *transport, const char *topic, int32_t partition, int64_t offset, struct leat_reader **out, struct leat_fault *fault);
long leat_cursor_reader_next(struct leat_reader *reader, const struct leat_record **records, size_t max, int64_t timeout_ms, bool *at_end, int64_t *position, struct leat_fault *fault);
void leat_cursor_reader_close(struct leat_reader *reader);

/* ---- embedded_store.c ---- */
int leat_embedded_store_open(struct leat_transport *transport, struct leat_storage *storage, int32_t task, const char *owner, struct leat_store **out, struct leat_fault *fault);
/* Rows, timers, meta and owner of one task, in one batch. There is no changelog to make them again from. */
int leat_embedded_store_discard(struct leat_transport *transport, int32_t task, struct leat_fault *fault);
/* A view for writing only: no owner is asked for. */
int leat_embedded_store_view(struct leat_embedded *embedded, int32_t task, struct leat_store **out, struct leat_fault *fault);

/* ---- embedded_socket.c, embedded_client.c ---- */
int leat_server_open(struct leat_server **out, struct leat_embedded *embedded, struct leat_fault *fault);
void leat_server_close(struct leat_server *server);      /* accepts NULL */
void leat_server_notify(struct leat_server *server);     /* records were committed; any thread; accepts NULL */
/* Connects to the owner. LEAT_ERETRY: nobody listens. Takes the directory over when it succeeds. */
int leat_client_open(struct leat_transport **out, struct leat_directory *directory, const struct leat_clock *clock, struct leat_fault *fault);

#endif
