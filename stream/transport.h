/*
 * Transport: what the engine needs of Kafka, behind a table of functions, so that the same engine runs on a real cluster
 * (stream/kafka_*.c), on one local directory (stream/embedded*.c), and in tests with injected faults.
 *
 * A transport belongs to the process (`--instance`), a session to one worker thread. Session functions are called from that
 * worker's thread only. Partition k of every topic that the tasks use belongs to task k.
 *
 * Life of a session: open → poll … (assigned / revoked / lost callbacks run inside poll, on the worker's thread) → close.
 * Life of a commit:  send* row* → commit. A transaction begins by itself with the first send or row after a commit.
 * Beside the work:   send* row* → commit_start → (send* poll* …: of the next transaction) → commit_end.
 */
#ifndef LEAT_TRANSPORT_H
#define LEAT_TRANSPORT_H

#include "base/base.h"

struct leat_store;
struct leat_storage;
struct leat_writes;

struct leat_header {
	struct leat_bytes name, value;      /* value.data NULL: null */
};

/* One record of a topic. Incoming: borrowed until released (feeds) or until the next call (readers). key.data / value.data NULL: null. */
struct leat_record {
	int64_t offset;
	int64_t timestamp_ms;               /* Kafka's; -1: none     */
	struct leat_bytes key, value;
	const struct leat_header *headers;
	uint32_t header_count;
	uint32_t wire_size;                 /* bytes of key + value + headers as they came, when the body was cut; else their sum */
};

/* How a topic must be when leat creates it; the fields a transport has no use for are ignored. */
struct leat_topic_spec {
	const char *name;
	int32_t partitions;
	int16_t replication;                /* 0: min(3, brokers)                                */
	bool compacted;
	int64_t retention_ms;               /* -1: none, 0: the broker's default                 */
	const struct leat_pair_text { const char *key, *value; } *config;   /* more topic settings; NULL key ends */
	bool internal;                      /* ours: created with whatever the engine says. Others: created only if absent and auto-creation is asked for */
};

/* What a session tells its worker. Called from leat_session_poll on the worker's thread. */
struct leat_session_events {
	void *self;
	/* Task @task is now ours. The worker opens it when it likes. */
	void (*assigned)(void *self, int32_t task);
	/* Task @task must be given up before returning: commit what is open, close it. May commit inside. */
	void (*revoked)(void *self, int32_t task);
	/* Task @task was lost: somebody else may own it already. Nothing of it may be committed; drop it. */
	void (*lost)(void *self, int32_t task);
};

struct leat_session_config {
	int worker;                               /* 0, 1, …: part of the transactional id                      */
	int32_t tasks;                            /* P                                                           */
	int64_t transaction_timeout_ms;           /* 10,000, longer when commits are far apart                   */
	bool transactional;                       /* false: guarantee at-least-once: idempotent, acks=all       */
	bool early;                               /* some sink emits early: a second producer is needed          */
	size_t memory;                            /* bytes for incoming and outgoing queues of this worker    */
	struct leat_session_events events;
};

/* Where a task's input stands. */
struct leat_position {
	const char *topic;
	int32_t partition;
	int64_t offset;                           /* next to read; -1: none committed yet */
};

enum leat_send_flags { LEAT_SEND_EARLY = 1 };  /* at once, outside the transaction */

struct leat_transport;
struct leat_session;
struct leat_reader;
struct leat_feed;                             /* one open (topic, partition) of a session: incoming records */

struct leat_transport_ops {
	const char *name;
	bool keeps_rows;      /* true: session_row() + session_commit() store the rows themselves (embedded); false: rows go to a changelog, the store is written by the engine after the commit (kafka) */

	void (*close)(struct leat_transport *transport);

	/* ---- topics ---- any thread. LEAT_EBROKER, LEAT_ERETRY, LEAT_ENOTFOUND. */
	int (*partitions)(struct leat_transport *transport, const char *topic, int32_t *count, struct leat_fault *fault);
	/* Creates it if absent; 1 created, 0 was there. LEAT_ECONFIG when it is there with another partition count than spec->partitions (if > 0). */
	int (*create)(struct leat_transport *transport, const struct leat_topic_spec *spec, struct leat_fault *fault);
	/* First offset still there, and the end (offset after the last record readers can see). */
	int (*bounds)(struct leat_transport *transport, const char *topic, int32_t partition, int64_t *first, int64_t *end, struct leat_fault *fault);
	/* Deletes records before @offset (internal topics: DeleteRecords). */
	int (*trim)(struct leat_transport *transport, const char *topic, int32_t partition, int64_t offset, struct leat_fault *fault);

	/* ---- plain reading, without a group: changelogs, tables, tail. Any one thread per reader. ---- */
	int (*reader_open)(struct leat_transport *transport, const char *topic, int32_t partition, int64_t offset, struct leat_reader **out, struct leat_fault *fault);
	/*
	 * Up to @max records, read_committed, borrowed until the next call on this reader. Returns how many; 0: none within @timeout_ms. *at_end is set
	 * when everything that was readable has been handed out; *position: the next offset (beyond markers). LEAT_EGAP when @offset is no longer there.
	 */
	long (*reader_next)(struct leat_reader *reader, const struct leat_record **records, size_t max, int64_t timeout_ms, bool *at_end, int64_t *position, struct leat_fault *fault);
	void (*reader_close)(struct leat_reader *reader);

	/* ---- plain writing, without a transaction: generate, import, tests. Any one thread per session opened with worker = -1. ----
	 * What was sent is visible soon, at the latest after session_commit (without positions), session_poll or session_close. */

	/* ---- sessions ---- */
	int (*session_open)(struct leat_transport *transport, const struct leat_session_config *config, struct leat_session **out, struct leat_fault *fault);
	/* Waits at most @timeout_us until there are incoming records on an open feed, an assignment change, or leat_session_wake. Serves callbacks. LEAT_EBROKER (fatal) … */
	int (*session_poll)(struct leat_session *session, int64_t timeout_us, struct leat_fault *fault);
	void (*session_wake)(struct leat_session *session);                /* any thread */
	/*
	 * The committed position of @partition of @topic and the metadata string stored with it (at most @size bytes, NUL-terminated). Waits until stable at most
	 * @timeout_ms: LEAT_ERETRY while another owner's transaction is pending (session_owner tells whose).
	 */
	int (*session_committed)(struct leat_session *session, const char *topic, int32_t partition, int64_t *offset, char *metadata, size_t size, int64_t timeout_ms, struct leat_fault *fault);
	/* The transactional id that last committed @partition of @topic, from its metadata even while that is not stable: its length, 0 unknown. */
	int (*session_owner)(struct leat_session *session, const char *topic, int32_t partition, char *owner, size_t size);
	/* Ends an open transaction that a dead owner left, by its transactional id (E12). */
	int (*session_fence)(struct leat_session *session, const char *transactional_id, struct leat_fault *fault);
	/* Starts reading at @offset (-1: the first there is). */
	int (*feed_open)(struct leat_session *session, const char *topic, int32_t partition, int64_t offset, struct leat_feed **out, struct leat_fault *fault);
	/* Records ready to be taken, in offset order, without waiting; borrowed until feed_release (the array itself until the next call on this feed). *at_end: nothing more was there when the broker was last asked. LEAT_EGAP, LEAT_ECORRUPT (fault says offset). */
	long (*feed_take)(struct leat_feed *feed, const struct leat_record **records, bool *at_end, struct leat_fault *fault);
	void (*feed_release)(struct leat_feed *feed, size_t count);        /* the first @count of what take showed are done with */
	void (*feed_close)(struct leat_feed *feed);

	/*
	 * Queues one record (copied). @partition -1: by murmur2 of the key. Waits for room itself; LEAT_ERETRY: none came before the transaction had to be given up.
	 * After a negative result (but for early records) only session_reset() or session_close() may follow.
	 */
	int (*session_send)(struct leat_session *session, const char *topic, int32_t partition, const struct leat_record *record, unsigned flags, struct leat_fault *fault);
	/* Many to one partition, without headers and with the present as their timestamp: the hot path. */
	int (*session_send_many)(struct leat_session *session, const char *topic, int32_t partition, const struct leat_record *records, size_t count, unsigned flags, struct leat_fault *fault);
	/* One state row of @task (kafka: to the changelog @topic; embedded: into the commit's batch through @store). value.data NULL: tombstone. */
	int (*session_row)(struct leat_session *session, int32_t task, const char *changelog, struct leat_bytes key, struct leat_bytes value, struct leat_fault *fault);
	/* keeps_rows only: the batch that the next commit writes. */
	struct leat_writes *(*session_writes)(struct leat_session *session);
	/*
	 * Commits everything since the last commit with the given positions, @metadata stored with each. 0: committed. LEAT_EABORT: certainly not committed; LEAT_EFENCED; any other
	 * negative: unknown outcome (E9). After a negative result only session_reset() or session_close() may follow.
	 */
	int (*session_commit)(struct leat_session *session, const struct leat_position *positions, size_t count, const char *metadata, struct leat_fault *fault);
	/*
	 * The same beside the work, NULL where a transport cannot: start returns at once, poll wakes when it has ended. Until commit_end() records sent wait in memory for the
	 * next transaction (early ones go), and neither row, commit, fence nor committed may be called; reset and close wait for it by themselves.
	 */
	int (*session_commit_start)(struct leat_session *session, const struct leat_position *positions, size_t count, const char *metadata, struct leat_fault *fault);
	bool (*session_commit_ended)(struct leat_session *session);
	/* Waits for it: what session_commit() would have returned; 0 when none was started. */
	int (*session_commit_end)(struct leat_session *session, struct leat_fault *fault);
	/* Drops the open transaction, makes a new producer under the same transactional id (fencing the old one). Feeds stay open but must be closed by the worker. */
	int (*session_reset)(struct leat_session *session, struct leat_fault *fault);
	/* The changelog offset after task @task's last committed row (kafka; -1 when nothing was sent since the session was opened). */
	int64_t (*session_changelog_end)(struct leat_session *session, int32_t task);
	/* Opens task @task's store. */
	int (*store_open)(struct leat_transport *transport, struct leat_storage *storage, int32_t task, const char *owner, struct leat_store **out, struct leat_fault *fault);
	/* Deletes task @task's store, which must be closed. */
	int (*store_discard)(struct leat_transport *transport, int32_t task, struct leat_fault *fault);
	/* Sets task @task's damaged store, which must be closed, aside for whoever wants to look; the next store_open() makes a new one. @why: for the log. NULL where the transport keeps the rows. */
	int (*store_quarantine)(struct leat_transport *transport, int32_t task, const char *why, struct leat_fault *fault);
	/* Is the newest record of every open feed processed? For lag: records between what was taken and the end, -1 unknown. */
	int64_t (*feed_lag)(struct leat_feed *feed);
	/* @graceful: hand tasks over (revoked callbacks run). Never hangs: gives up after 5 s. */
	void (*session_close)(struct leat_session *session, bool graceful);
	/*
	 * Moves the application's committed position of @partition of @topic forward to @offset, outside any session: for tools, while nothing runs. LEAT_EBUSY while an
	 * instance does; LEAT_ECONFIG when the position is there already or beyond.
	 */
	int (*position_set)(struct leat_transport *transport, const char *topic, int32_t partition, int64_t offset, const char *metadata, struct leat_fault *fault);
};

/* Every transport's struct begins with this. */
struct leat_transport {
	const struct leat_transport_ops *ops;
	size_t record_max;                       /* what session_send() takes at most, by leat_record_size() */
};

/* Bytes of a record as it counts against a limit: no less than on the wire. */
static inline size_t leat_record_size(const struct leat_record *record)
{
	enum { PER_HEADER = 16 };
	size_t size = (size_t)record->key.length + record->value.length;
	for (uint32_t i = 0; i < record->header_count; i++)
		size += PER_HEADER + (size_t)record->headers[i].name.length + record->headers[i].value.length;
	return size;
}

struct leat_transport_config {
	const char *application;                 /* pipeline name: group id, prefix of internal topics and transactional ids */
	const char *instance;                    /* --instance                                                                */
	const char *state_dir;                   /* <state>                                                                   */
	const char *brokers;                     /* kafka                                                                     */
	const struct leat_pair_text *settings;   /* kafka: allowed librdkafka settings; embedded: fsync, socket, partitions; NULL key ends */
	const char *directory;                   /* embedded                                                                  */
	const struct leat_clock *clock;
	struct leat_storage *storage;            /* embedded: its database shares the process' budget                        */
};
int leat_kafka_open(struct leat_transport **out, const struct leat_transport_config *config, struct leat_fault *fault);
int leat_embedded_open(struct leat_transport **out, const struct leat_transport_config *config, struct leat_fault *fault);
/* Whether a pipeline may set this librdkafka setting to @value; LEAT_ECONFIG says why not. No network. */
int leat_kafka_setting_check(const char *key, const char *value, struct leat_fault *fault);
/* Whether its value is a secret: never shown, and not to be written into a pipeline file. */
bool leat_kafka_setting_secret(const char *key);
/* Their names, for the generated reference. */
void leat_kafka_settings_print(FILE *out);
void leat_kafka_secrets_print(FILE *out);

#endif
