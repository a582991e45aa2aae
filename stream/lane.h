/*
 * Lane: one task at run time: partition k of every input through the operator graph to the sinks, with its state. One worker thread at a time.
 *
 *   intake.c  records of the feeds → decoded, merged, timed rows of a batch; bad ones aside
 *   flow.c    the batch through the operators, in topological order; timers
 *   outlet.c  rows that reach a sink, dead letters, re-keyed rows → records for the transport
 *   lane.c    opening (store, committed positions, changelog), closing;  lane_commit.c  its part of a commit
 *
 * Order within one batch never hangs on its size: every record that leaves carries (arrival of its event, number of the node), and a topic that has several
 * feeders is sorted by that before it is sent.
 */
#ifndef LEAT_LANE_H
#define LEAT_LANE_H

#include "schemas/registry.h"
#include "state/rows.h"
#include "stream/pipeline.h"
#include "stream/transport.h"

/* What all lanes of a process share. */
struct leat_engine {
	const struct leat_pipeline *pipeline;
	struct leat_transport *transport;
	struct leat_registry *registry;
	struct leat_storage *storage;
	const struct leat_clock *clock;
	int32_t tasks;
	size_t rows_memory;                  /* bytes of row memory per lane                       */
	size_t behind_max;                   /* changelog records the store may lag, per lane      */
	struct leat_replica *replica;        /* of the shared tables, NULL: there are none          */
	struct leat_trims *trims;            /* NULL: internal topics are not trimmed               */
	struct leat_deaths *deaths;          /* of operators; NULL: they are not counted            */
	bool accept_state_loss;
	const char *again;                   /* pipeline and options that make another verb mean the same run, as a shell takes them; NULL: not known */
};

struct leat_decoder_entry { int32_t id; struct leat_decoder *decoder; enum leat_bad bad; };

struct leat_intake {
	const struct leat_source *source;
	struct leat_feed *feed;
	const struct leat_record *records;   /* taken, not yet released      */
	size_t taken, at;
	bool at_end;
	int64_t end_since_us;                /* monotonic, when at_end began; -1: not at its end */
	int64_t blocked_until_us;            /* the registry could not be asked; 0: not blocked   */
	int64_t next_offset;                 /* position to commit            */
	int64_t first_there, end_there;      /* the partition's ends when the task was opened */
	int64_t committed_offset;
	int64_t max_time_ms;                 /* INT64_MIN: nothing seen        */
	struct leat_decoder_entry *decoders;
	size_t decoder_count;
	struct leat_json_decoder *json;
	struct leat_csv_decoder *csv;
	struct leat_rekey_in *rekey;
	uint64_t events, bad;
};

struct leat_stream_run {
	const struct leat_stream *stream;
	struct leat_column *columns;
	size_t rows;
	int64_t *time_ms, *watermark_ms;
	uint64_t *id;
	struct leat_bytes *key;
	uint16_t *source;
	uint32_t *arrival;
	const struct leat_record **record;   /* NULL for emitted rows: see parent */
	uint32_t *key_hash;                  /* murmur2 of the key                */
	size_t hashed;                       /* rows [0, hashed) have key_hash     */
	uint8_t *rejected;
};

struct leat_group_run {
	struct leat_rows *rows;
	const struct leat_group *group;
	struct leat_row **row[LEAT_STREAMS_MAX];       /* [LEAT_BATCH_MAX] per stream that uses it */
	uint8_t *resolved[LEAT_STREAMS_MAX];
	/* local tables: rows in the order of their first write, which does not hang on the batch size as looking up does */
	struct leat_known { struct leat_row **rows; size_t count, capacity; } known[LEAT_TABLES_MAX];
};

struct leat_node_run {
	struct leat_task view;               /* what the operator sees; view.engine points to this struct */
	struct leat_lane *lane;
	const struct leat_node *node;
	void *self;
	bool opened;
	uint16_t *selection;                 /* rows for this call when several feed it */
	const struct leat_batch *batch;      /* during process()                         */
	struct leat_rekey_out *rekey;        /* the node is a rekey                      */
	int64_t now_ms;                      /* event time for touch in on_timer()       */
	size_t emitted;
	uint64_t events, batches, ns;
};

struct leat_outlet_item {
	uint32_t arrival, node;
	uint32_t key_at, key_length, value_at, value_length;   /* in the outlet's buffer; key_length UINT32_MAX: null */
	int32_t partition;
	int64_t timestamp_ms;                /* 0: the present */
	const struct leat_record *origin;    /* headers handed on, or NULL */
};
struct leat_outlet {
	const char *topic;
	int32_t partitions;
	unsigned flags;                      /* LEAT_SEND_EARLY */
	bool sort;
	struct leat_buffer bytes;
	struct leat_outlet_item *items;
	size_t count, capacity;
	uint64_t sent;
};
struct leat_sink_run {
	const struct leat_sink *sink;
	struct leat_encoder *encoder;
	size_t outlet;
	int32_t schema_id;
	uint64_t events;
};

enum { LEAT_DETAIL_MAX = 200 };
struct leat_rejection { uint32_t arrival, node; const char *stage, *reason; const struct leat_record *record; const struct leat_intake *intake; };

struct leat_reason_count { const char *reason; uint64_t count; };

enum leat_lane_state { LEAT_LANE_OPENING, LEAT_LANE_RESTORING, LEAT_LANE_RUNNING, LEAT_LANE_FAILED };

/* A bad event that the source's on_bad: halt stops at: first what lies before it is committed (set), then it is met once more (last). */
struct leat_halt {
	bool set, last;
	size_t intake;
	int64_t offset;
};

/*
 * An operator failed: everything since the last commit is dropped and done again, event by event as far as it had come, until one fails alone: that one is
 * kept from the operator and set aside. The worker's, per task: it outlives the lane, which is opened anew in between.
 */
struct leat_suspects {
	int64_t until[LEAT_SOURCES_MAX];     /* events before this offset are taken one at a time */
	bool refused;                        /* the event at @offset of @intake is kept from @nodes */
	bool nodes[LEAT_NODES_MAX];
	size_t intake;
	int64_t offset;
};

struct leat_lane {
	const struct leat_engine *engine;
	const struct leat_pipeline *pipeline;
	const struct leat_transport_ops *ops;
	struct leat_session *session;
	int32_t task;
	enum leat_lane_state state;
	struct leat_halt halt;
	int64_t incomplete_us;                   /* since when the changelog lacks the last commit; 0: it does not */
	bool whole;                          /* while restoring: the store has all that is committed     */
	struct leat_fault fault;
	char changelog[256];

	struct leat_store *store;
	struct leat_store_meta meta;
	struct leat_reader *reader;          /* while restoring */
	struct leat_writes *writes;
	struct leat_shared *shared;
	int64_t opened_us, blocked_us, disagree_us;
	uint64_t restored;
	bool discarded, skipped, flow_open, restored_row;
	int64_t row_positions[LEAT_SOURCES_MAX];   /* what the task row says */
	bool row_found;                      /* there is a task row */
	struct leat_buffer meaning;          /* lane_meaning.c: the row that says what the state means, as of this pipeline */
	bool meaning_due;                    /* it is not committed yet */
	struct leat_buffer tail;             /* lane_tail.c: keys of rows in the changelog that no task row follows */
	bool tail_meaning;                   /* the meaning row is one of them */
	int64_t whole_until;                 /* restoring: what lies before is known to be followed by a task row */
	enum leat_scout { LEAT_SCOUT_NONE, LEAT_SCOUT_AHEAD, LEAT_SCOUT_DONE, LEAT_SCOUT_TAIL } scout;   /* lane.c: restore_record() */
	int64_t trimmed_us, trim_next[LEAT_SOURCES_MAX], trim_last[LEAT_SOURCES_MAX];   /* trim.c */
	int64_t flushed_offset;              /* changelog position that is on disk for sure */
	uint64_t gap_events;

	struct leat_arena *arena;
	struct leat_intake intakes[LEAT_SOURCES_MAX];
	struct leat_stream_run *streams;
	struct leat_group_run groups[LEAT_GROUPS_MAX];
	struct leat_node_run *nodes;
	struct leat_sink_run sinks[LEAT_SINKS_MAX];
	struct leat_outlet outlets[LEAT_SINKS_MAX + LEAT_NODES_MAX];
	size_t outlet_count;
	void **held;                         /* leat_task_memory: freed with the operators */
	size_t held_count, held_capacity;
	struct leat_rejection *rejections;
	size_t rejection_count;
	bool rejected[LEAT_BATCH_MAX + 1];   /* by arrival: has its dead letter in @rejections */
	struct leat_buffer scratch;

	int64_t watermark_ms;
	uint32_t arrivals;                   /* records taken into the current batch */
	bool touched;                        /* something to commit                   */
	bool urgent;                         /* to be committed at once: it had a refused event */
	bool haunted;                        /* deaths.c has deaths of this task's operators    */
	struct leat_suspects *suspects;      /* NULL: a failing operator ends the task */
	const struct leat_stream_run *running;   /* the batch that the operators are at; NULL: none, timers may fire */
	const struct leat_record *refusing;  /* the batch is the one refused event    */
	const struct leat_node_run *failed;  /* whose process() returned a negative code: the innermost */
	int failed_code;
	int64_t newest_ms;                   /* newest record timestamp, for lag      */

	struct leat_mark { uint64_t sequence; int64_t changelog_end; } *marks;   /* commits not on disk yet, oldest first */
	size_t mark_count, mark_capacity;
	uint64_t sequence;                   /* of the last commit                     */
	int64_t committed_ms;                /* wall time of it, or of opening          */
	uint64_t events, counted;            /* of the sources, not of internal topics; what the worker has counted of them */
	int64_t samples[256];                /* record timestamps of some events of this transaction: for latency */
	int64_t sample_from_ms;              /* older ones waited for us, not we for them: their age is lag        */
	size_t sampled, sealed_samples;      /* sealed: the first ones, of the commit under way */
	struct leat_reason_count reasons[64];
};

/* ---- lane.c ---- */
int leat_lane_open(struct leat_lane **out, const struct leat_engine *engine, struct leat_session *session, int32_t task, struct leat_fault *fault);
/* Next slice of opening (≤ ~20 ms each): 1 running now, 0 more to do. Never call with a transaction open. On a negative code the lane is LEAT_LANE_FAILED unless LEAT_ERETRY. */
int leat_lane_advance(struct leat_lane *lane, struct leat_fault *fault);
/* @clean: everything is committed: write what is behind and flush. Accepts NULL. */
void leat_lane_close(struct leat_lane *lane, bool clean);
int64_t leat_lane_lag(const struct leat_lane *lane);

/* ---- intake.c ---- */
int leat_intake_open(struct leat_lane *lane, size_t source, int64_t offset, struct leat_fault *fault);
void leat_intake_close(struct leat_lane *lane, size_t source);
/* Fills the batch of the stream that is next: its index in *stream, or -1 when nothing is ready. Timers due before the next event are fired here. */
int leat_intake_fill(struct leat_lane *lane, int *stream, struct leat_fault *fault);
void leat_intake_release(struct leat_lane *lane);
/* Newest time less the lateness, or the smallest mark of a re-keyed input's senders. */
int64_t leat_intake_watermark(const struct leat_intake *intake);
/* What of a record that could not be decoded was wrong, where the reason does not say all; else "". LEAT_ENOMEM. */
int leat_intake_explain(const struct leat_rejection *bad, char text[LEAT_DETAIL_MAX]);
bool leat_intake_halts(const struct leat_lane *lane, size_t source);
bool leat_intake_idle(const struct leat_lane *lane, size_t source, int64_t now_us);

/* ---- flow.c ---- */
int leat_flow_open(struct leat_lane *lane, struct leat_fault *fault);
void leat_flow_close(struct leat_lane *lane);
/* One batch (if there is one): records taken, those of internal topics included, or a negative code. LEAT_EOPERATOR, unless fatal: drop what is open, do it again. */
long leat_lane_run(struct leat_lane *lane, struct leat_fault *fault);
int leat_flow_stream(struct leat_lane *lane, int stream, struct leat_fault *fault);
int leat_flow_timers(struct leat_lane *lane, int64_t watermark_ms, struct leat_fault *fault);
void leat_flow_reject(struct leat_lane *lane, uint32_t arrival, uint32_t node, const char *stage, const char *reason, const struct leat_record *record, const struct leat_intake *intake);

/* ---- outlet.c ---- */
int leat_outlet_open(struct leat_lane *lane, struct leat_fault *fault);
void leat_outlet_close(struct leat_lane *lane);
/* Rows of @stream that reach sinks → items. */
int leat_outlet_collect(struct leat_lane *lane, int stream, struct leat_fault *fault);
/* Items, dead letters → the session. */
int leat_outlet_flush(struct leat_lane *lane, struct leat_fault *fault);
/* Rows for a node or sink: its feeders' rows merged, ascending. */
size_t leat_flow_select(struct leat_lane *lane, int stream, const struct leat_froms *froms, uint16_t *scratch, const uint16_t **rows);

/* ---- lane_commit.c ---- */
size_t leat_lane_dirty_bytes(const struct leat_lane *lane);
/* Adds its rows to the open transaction and its positions to @positions (room for LEAT_SOURCES_MAX); returns how many positions. */
long leat_lane_prepare(struct leat_lane *lane, struct leat_position *positions, struct leat_fault *fault);
/*
 * What was prepared belongs to the commit from here on, and what comes is the next one's. Called once it has committed, or before that when it is made beside the
 * work: no matter, since a commit that fails is followed by opening the lane anew.
 */
void leat_lane_sealed(struct leat_lane *lane);
/* It has committed. Writes behind as the limit asks, but not after one @beside the work: rows may have changed since. A failure here is the lane's alone (LEAT_LANE_FAILED). */
int leat_lane_committed(struct leat_lane *lane, bool beside, struct leat_fault *fault);
/* Would the store lag further than it may after a commit that does not write behind? */
bool leat_lane_must_write(const struct leat_lane *lane);
/* Everything committed goes to RocksDB now. Nothing may be dirty. */
int leat_lane_write_behind(struct leat_lane *lane, struct leat_fault *fault);

#endif
