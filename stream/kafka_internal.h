/*
 * What the files of the Kafka transport share. Nobody else includes this.
 *
 * One session has three clients: `group` (membership and committed offsets; it subscribes to the empty topic <app>.tasks and nothing else),
 * `data` (reads inputs at explicit offsets, each partition with a queue of its own, no group) and a producer. Group and data are two clients because
 * in one client an incremental_unassign made for a feed is taken as the answer to a revocation that is already on its way.
 */
#ifndef LEAT_KAFKA_INTERNAL_H
#define LEAT_KAFKA_INTERNAL_H

#include "stream/transport.h"

#include <librdkafka/rdkafka.h>
#include <pthread.h>
#include <stdatomic.h>

enum {
	KAFKA_NAME_MAX = 100,                 /* application, instance                                 */
	KAFKA_TXN_ID_MAX = 2 * KAFKA_NAME_MAX + 32,
	KAFKA_METADATA_MAX = 4096,            /* the broker's default limit of an offset's metadata    */
	KAFKA_ADMIN_MS = 5000,                /* one administrative call                               */
	KAFKA_TRY_MS = 500,                   /* one try of what is tried again and holds up a close   */
	KAFKA_CLOSE_MS = 5000,                /* nothing waits longer than this for the end of a session */
	KAFKA_BURY_MS = 3000,                 /* … and then of its clients: librdkafka 2.0.2 never ends a member whose topic was deleted */
	KAFKA_COMMIT_MS = 15000,              /* after this the outcome of a commit counts as unknown  */
	KAFKA_COMMIT_SLOW_MS = 5000,          /* a commit slower than this makes the producer be renewed */
	KAFKA_WATCHDOG_PERCENT = 60,          /* of transaction_timeout_ms; then we abort ourselves    */
	KAFKA_PAUSE_MS = 20,                  /* between two tries                                     */
	KAFKA_INLET_ROOM = 2 * LEAT_BATCH_MAX,
	KAFKA_READER_RECORDS = 20000,         /* a plain reader's queue in librdkafka                  */
	KAFKA_READER_BYTES = 8 << 20,
};

/* ---- kafka.c, kafka_settings.c: the process-wide part ---- */

enum kafka_role { KAFKA_READER = 1, KAFKA_GROUP = 2, KAFKA_DATA = 4, KAFKA_TRANSACTIONAL = 8, KAFKA_IDEMPOTENT = 16, KAFKA_EARLY = 32, KAFKA_PEEK = 64 };
#define KAFKA_CONSUMERS (KAFKA_READER | KAFKA_GROUP | KAFKA_DATA | KAFKA_PEEK)
#define KAFKA_PRODUCERS (KAFKA_TRANSACTIONAL | KAFKA_IDEMPOTENT | KAFKA_EARLY)

struct kafka_setting {
	char *key, *value;
};

/* A client that plain readers share. A client reads a partition once at most, so there are as many as readers of one partition. */
struct kafka_client {
	struct kafka_client *next;
	rd_kafka_t *rk;
	struct leat_reader *readers;
};

struct leat_kafka {
	struct leat_transport transport;      /* first */
	char *application, *instance, *state_dir, *brokers, *tasks_topic;
	struct kafka_setting *settings;
	size_t setting_count;
	_Atomic bool reached;                 /* a broker has answered: until then tries are short, so that an interrupt is heard */
	pthread_mutex_t cause_lock;           /* guards the next, which librdkafka's threads write */
	char cause[512];                      /* why no broker could be reached so far; "": not known */
	pthread_mutex_t lock;                 /* guards the rest */
	pthread_cond_t changed;
	struct kafka_client *clients;         /* the first also serves administration */
	unsigned dying;                       /* clients being destroyed in threads of their own */
	bool leaves_one;                      /* a client outlives the transport, see kafka_session.c */
};

/* What sizes a session's clients. */
struct kafka_sizes {
	size_t feed_bytes, fetch_bytes, send_bytes;
	int feed_records;
	int64_t transaction_timeout_ms;
};
/* Both may be NULL where the role does not need them. */
struct kafka_extra {
	const struct kafka_sizes *sizes;
	const char *transactional_id, *instance_id;
	void *opaque;
	void (*on_delivery)(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque);
	void (*on_error)(rd_kafka_t *rk, int code, const char *reason, void *opaque);
};
/* A client for @role. LEAT_ENOMEM, LEAT_ECONFIG. */
int kafka_client_new(struct leat_kafka *kafka, enum kafka_role role, const struct kafka_extra *extra, rd_kafka_t **out, struct leat_fault *fault);
/* ": why", or "", about brokers that could not be reached so far. */
void kafka_cause(struct leat_kafka *kafka, char *out, size_t room);
/* Makes a KAFKA_READER's client note that: its callbacks and its opaque are taken. */
void kafka_cause_watch(struct leat_kafka *kafka, rd_kafka_conf_t *conf);
void kafka_log_line(const rd_kafka_t *rk, int level, const char *facility, const char *text);
/* Checks every setting against the allow-list and copies them. LEAT_ECONFIG with the reason. */
int kafka_settings_take(struct leat_kafka *kafka, const struct leat_pair_text *settings, struct leat_fault *fault);
void kafka_settings_free(struct leat_kafka *kafka);
/* What a producer takes at most, by leat_record_size(). */
size_t kafka_record_max(const struct leat_kafka *kafka);
/* Destroys @rk (may be NULL) in a thread of its own, because librdkafka's destroy may hang. */
void kafka_dispose(struct leat_kafka *kafka, rd_kafka_t *rk);
/* The negative code for librdkafka's @code; @fault gets "<what>: <librdkafka's text>". */
int kafka_fail(struct leat_fault *fault, rd_kafka_resp_err_t code, const char *format, ...) __attribute__((format(printf, 3, 4)));
int kafka_fail_error(struct leat_fault *fault, rd_kafka_error_t *error, const char *what);   /* destroys @error */
int64_t kafka_now_ms(void);                   /* monotonic, real: librdkafka's time-outs are */
static inline int kafka_left_ms(int64_t deadline_ms)
{
	int64_t left = deadline_ms - kafka_now_ms();
	return left < 0 ? 0 : (int)LEAT_MIN(left, (int64_t)3600000);
}

/* ---- kafka_topics.c ---- */
int kafka_partitions(struct leat_transport *transport, const char *topic, int32_t *count, struct leat_fault *fault);
int kafka_create(struct leat_transport *transport, const struct leat_topic_spec *spec, struct leat_fault *fault);
int kafka_bounds(struct leat_transport *transport, const char *topic, int32_t partition, int64_t *first, int64_t *end, struct leat_fault *fault);
int kafka_trim(struct leat_transport *transport, const char *topic, int32_t partition, int64_t offset, struct leat_fault *fault);
/* <app>.tasks with @tasks partitions, asked through @rk; waits KAFKA_TRY_MS for the broker. */
int kafka_tasks_topic(struct leat_kafka *kafka, rd_kafka_t *rk, int32_t tasks, struct leat_fault *fault);

/* ---- kafka_skip.c ---- */
int kafka_position_set(struct leat_transport *transport, const char *topic, int32_t partition, int64_t offset, const char *metadata, struct leat_fault *fault);

/* ---- kafka_inlet.c: one partition being read; one thread ---- */
struct kafka_inlet {
	rd_kafka_t *rk;
	rd_kafka_topic_t *topic;
	rd_kafka_queue_t *queue;
	char *name;
	int32_t partition;
	int64_t next;                         /* the next offset expected from the broker                          */
	size_t first, count;                  /* what is shown: [first, first + count)                             */
	rd_kafka_message_t *messages[KAFKA_INLET_ROOM];
	struct leat_record records[KAFKA_INLET_ROOM];
	struct leat_header *headers[KAFKA_INLET_ROOM];
	bool at_end;
	int limit_records;                    /* librdkafka stops fetching at this many or at this many bytes …     */
	size_t limit_bytes, mean_bytes;
	size_t full_at;                       /* … and this many were there when it did; 0: it did not             */
	int rc;                               /* what ended it, after the records before it                        */
	struct leat_fault fault;
};
void kafka_inlet_error(rd_kafka_t *rk, int code, const char *reason, void *opaque);   /* error callback of the clients that read */
int kafka_inlet_start(struct kafka_inlet *inlet, rd_kafka_t *rk, const char *topic, int32_t partition, int64_t offset, int wake_fd, struct leat_fault *fault);
void kafka_inlet_stop(struct kafka_inlet *inlet);             /* accepts one that never started */
/* Shows more records, without waiting. True: librdkafka sleeps because it was full, and should be woken now. */
bool kafka_inlet_fill(struct kafka_inlet *inlet);
/* As fill, but waits for the first record. */
bool kafka_inlet_wait(struct kafka_inlet *inlet, int64_t timeout_ms);
void kafka_inlet_release(struct kafka_inlet *inlet, size_t count);
/* What take returns: the records shown, 0, or the error once nothing is left before it. */
long kafka_inlet_shown(struct kafka_inlet *inlet, const struct leat_record **records, bool *at_end, struct leat_fault *fault);
/*
 * librdkafka before 2.2 sleeps up to a second after its queue was full although the queue is empty again. Any request to that broker
 * ends the sleep; this makes one. Measured with a consumer of 2 us a record: 162,000/s without, 431,000/s with.
 */
void kafka_nudge(rd_kafka_t *rk, const char *topic, int32_t partition);
bool kafka_needs_nudges(void);

/* ---- kafka_reader.c ---- */
int kafka_reader_open(struct leat_transport *transport, const char *topic, int32_t partition, int64_t offset, struct leat_reader **out, struct leat_fault *fault);
long kafka_reader_next(struct leat_reader *reader, const struct leat_record **records, size_t max, int64_t timeout_ms, bool *at_end, int64_t *position, struct leat_fault *fault);
void kafka_reader_close(struct leat_reader *reader);
/* The client for administration and the first plain readers. */
int kafka_reading_client(struct leat_kafka *kafka, rd_kafka_t **out, struct leat_fault *fault);

/* ---- kafka_producer.c: a producer with its topics; one thread ---- */
struct kafka_topic {
	char *name;
	rd_kafka_topic_t *handle;
};
struct kafka_producer {
	struct leat_kafka *kafka;
	rd_kafka_t *rk;
	struct kafka_topic *topics;
	size_t topic_count, topic_room, last;
	int64_t *row_ends;                    /* by task: offset after the last row delivered; borrowed from the session */
	int32_t tasks;
	pthread_mutex_t lock;                 /* guards changes of the next two: two threads may poll */
	_Atomic rd_kafka_resp_err_t failed;   /* first delivery that failed, and where */
	char failed_at[300];
	bool made_again;                      /* a changelog began anew: @failed_at    */
	/* early: records on their way, by the parity of the commit that has to wait for them */
	bool counts;
	unsigned parity;
	_Atomic long under_way[2];
	_Atomic unsigned disconnects;
};
int kafka_producer_open(struct leat_kafka *kafka, enum kafka_role role, const struct kafka_sizes *sizes, const char *transactional_id, struct kafka_producer **out, struct leat_fault *fault);
void kafka_producer_close(struct kafka_producer *producer);   /* accepts NULL; drops what is not sent; does not wait */
/* @tag: task + 1 of a state row, 0 for all else. Waits for room until @deadline_ms (LEAT_ERETRY then). */
int kafka_producer_send(struct kafka_producer *producer, const char *topic, int32_t partition, const struct leat_record *record, intptr_t tag, int64_t deadline_ms, struct leat_fault *fault);
int kafka_producer_send_many(struct kafka_producer *producer, const char *topic, int32_t partition, const struct leat_record *records, size_t count, int64_t deadline_ms, struct leat_fault *fault);
/* Until everything is acknowledged. LEAT_ERETRY: time is up; else the error of a failed delivery. */
int kafka_producer_flush(struct kafka_producer *producer, int64_t deadline_ms, struct leat_fault *fault);
/* Until the records of before the last flip are acknowledged, while others go on being sent. */
int kafka_producer_settle(struct kafka_producer *producer, int64_t deadline_ms, struct leat_fault *fault);
void kafka_producer_flip(struct kafka_producer *producer);
/* init_transactions until @deadline_ms or *@stop. */
int kafka_producer_init(struct kafka_producer *producer, int64_t deadline_ms, const _Atomic bool *stop, struct leat_fault *fault);

/* ---- kafka_session.c, kafka_feed.c, kafka_send.c, kafka_commit.c ---- */
struct leat_feed {
	struct leat_feed *next;
	struct leat_session *session;
	struct kafka_inlet inlet;
	size_t noted;                         /* what poll has already woken the worker for */
	bool left_over;                       /* shown records remain after a release       */
	_Atomic bool wants_nudge;
};

struct leat_session {
	struct leat_kafka *kafka;
	struct leat_session_config config;
	struct kafka_sizes sizes;
	char transactional_id[KAFKA_TXN_ID_MAX];
	char instance_id[KAFKA_TXN_ID_MAX];
	int wake_fd;
	bool plain;                           /* worker = -1: producer only                       */
	rd_kafka_t *group, *data;
	rd_kafka_queue_t *group_queue;
	struct kafka_producer *producer, *early;
	bool *owned;                          /* by task                                           */
	int64_t *row_sent, *row_committed;    /* by task: offset after the last row                */
	int dead;                             /* fenced or refused for good: every call says so    */
	struct leat_fault dead_fault;
	/* transaction */
	bool open, broken, renew;             /* broken: only reset or close may follow            */
	int64_t opened_ms;
	int broken_rc;                        /* why, when nobody has been told yet; else 0 */
	struct leat_fault broken_fault;
	/* two threads of ours: the starter joins and initialises, the pulse wakes librdkafka      */
	pthread_t starter, pulse;
	bool has_starter, has_pulse;
	bool assigned_once;                   /* the group has given us something, be it nothing    */
	_Atomic bool closing;
	_Atomic bool interrupted;             /* session_wake: ends the waits of a start or a reset, so that a stop need not wait for a broker */
	pthread_mutex_t lock;                 /* guards what follows and the list of feeds         */
	pthread_cond_t changed;
	bool ready;
	int start_rc;
	struct leat_fault start_fault;
	struct leat_feed *feeds;
	bool nudges;
	struct kafka_beside *beside;          /* kafka_beside.c; NULL: no commit was ever made beside the work */
	bool commits_beside;                  /* one is under way: the producer is the committer's, what is sent waits */
	/* orphaned tasks, see kafka_watch.c */
	int64_t watch_ms;                     /* when to look; 0: all were owned at the last look  */
	pthread_t watcher;
	bool has_watcher;
	_Atomic bool watch_done;
	int32_t orphans;                      /* what the watcher found, once it is done           */
	int orphans_seen;                     /* looks in a row that found some                    */
};
int kafka_session_open(struct leat_transport *transport, const struct leat_session_config *config, struct leat_session **out, struct leat_fault *fault);
int kafka_session_poll(struct leat_session *session, int64_t timeout_us, struct leat_fault *fault);
void kafka_session_wake(struct leat_session *session);
void kafka_session_ring(struct leat_session *session);       /* any thread: ends the wait of a poll */
void kafka_session_close(struct leat_session *session, bool graceful);
int kafka_session_dead(struct leat_session *session, struct leat_fault *fault);   /* 0 or what ended it */
int kafka_session_ready(struct leat_session *session, int64_t deadline_ms, struct leat_fault *fault);   /* waits for the starter */

int kafka_feed_open(struct leat_session *session, const char *topic, int32_t partition, int64_t offset, struct leat_feed **out, struct leat_fault *fault);
long kafka_feed_take(struct leat_feed *feed, const struct leat_record **records, bool *at_end, struct leat_fault *fault);
void kafka_feed_release(struct leat_feed *feed, size_t count);
void kafka_feed_close(struct leat_feed *feed);
int64_t kafka_feed_lag(struct leat_feed *feed);
bool kafka_feeds_ready(struct leat_session *session);         /* has a feed something the worker has not been woken for? */
void kafka_feeds_stalled(struct leat_session *session);       /* nothing came for a while: wake librdkafka */
void *kafka_pulse_main(void *session);

void kafka_watch_soon(struct leat_session *session);           /* after every change of the assignment */
void kafka_watch(struct leat_session *session);                /* from poll */
void kafka_watch_end(struct leat_session *session);            /* waits for the thread, at most a second */

int kafka_session_begin(struct leat_session *session, struct leat_fault *fault);   /* a transaction, if none is open */
int kafka_session_broken(struct leat_session *session, struct leat_fault *fault);  /* 0 or, the first time, why */
int kafka_session_watchdog(struct leat_session *session, struct leat_fault *fault);
int64_t kafka_session_deadline(const struct leat_session *session);                /* ms; until when sends and flushes may wait */
int kafka_session_send(struct leat_session *session, const char *topic, int32_t partition, const struct leat_record *record, unsigned flags, struct leat_fault *fault);
int kafka_session_send_many(struct leat_session *session, const char *topic, int32_t partition, const struct leat_record *records, size_t count, unsigned flags, struct leat_fault *fault);
int kafka_session_row(struct leat_session *session, int32_t task, const char *changelog, struct leat_bytes key, struct leat_bytes value, struct leat_fault *fault);
int kafka_session_commit(struct leat_session *session, const struct leat_position *positions, size_t count, const char *metadata, struct leat_fault *fault);
int kafka_session_reset(struct leat_session *session, struct leat_fault *fault);
int kafka_session_renew(struct leat_session *session, struct leat_fault *fault);   /* a new producer, and no more than that */

/* What a commit consists of: all is ready and a transaction open, *list is the caller's; the broker's part, any thread; what follows from its result. */
int kafka_commit_ready(struct leat_session *session, const struct leat_position *positions, size_t count, const char *metadata, rd_kafka_topic_partition_list_t **list, struct leat_fault *fault);
int kafka_transaction_commit(struct leat_session *session, const rd_kafka_topic_partition_list_t *list, struct leat_fault *fault);
void kafka_commit_done(struct leat_session *session, int rc);

/* ---- kafka_beside.c: commits on a thread of their own ---- */
int kafka_commit_start(struct leat_session *session, const struct leat_position *positions, size_t count, const char *metadata, struct leat_fault *fault);
bool kafka_commit_ended(struct leat_session *session);
int kafka_commit_end(struct leat_session *session, struct leat_fault *fault);
/* A record for the next transaction, while one is being committed. Waits for that when there are too many. */
int kafka_beside_keep(struct leat_session *session, const char *topic, int32_t partition, const struct leat_record *record, struct leat_fault *fault);
/* Waits for a commit that is under way, whatever has become of it; drops what waited. */
void kafka_beside_give_up(struct leat_session *session);
void kafka_beside_close(struct leat_session *session);
int kafka_session_fence(struct leat_session *session, const char *transactional_id, struct leat_fault *fault);
int kafka_session_committed(struct leat_session *session, const char *topic, int32_t partition, int64_t *offset, char *metadata, size_t size, int64_t timeout_ms, struct leat_fault *fault);
int kafka_session_owner(struct leat_session *session, const char *topic, int32_t partition, char *owner, size_t size);
int64_t kafka_session_changelog_end(struct leat_session *session, int32_t task);

#endif
