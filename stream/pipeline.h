/*
 * Pipeline: a checked plan of what runs, made whole from a pipeline file before anything starts. Immutable afterwards (but for reference tables'
 * contents), shared by all workers. pipeline.c reads the sections, plan.c resolves the graph: order, fields, columns, tables; graph.c draws it.
 */
#ifndef LEAT_PIPELINE_H
#define LEAT_PIPELINE_H

#include "schemas/codec.h"
#include "stream/options.h"

enum { LEAT_SOURCES_MAX = 32, LEAT_NODES_MAX = 64, LEAT_SINKS_MAX = 32, LEAT_STREAMS_MAX = 32, LEAT_GROUPS_MAX = 32, LEAT_OUTPUTS_MAX = 8, LEAT_FROM_MAX = 16, LEAT_TABLES_MAX = 32, LEAT_SHARED_NUMBERS_MAX = 260 };

enum leat_guarantee { LEAT_EXACTLY_ONCE, LEAT_AT_LEAST_ONCE };
enum leat_format { LEAT_FORMAT_AVRO, LEAT_FORMAT_JSON, LEAT_FORMAT_CSV };
enum leat_on_bad { LEAT_BAD_DEAD_LETTER, LEAT_BAD_SKIP, LEAT_BAD_HALT };
enum leat_start { LEAT_START_EARLIEST, LEAT_START_LATEST };
enum leat_on_gap { LEAT_GAP_HALT, LEAT_GAP_EARLIEST };
enum leat_emit_mode { LEAT_EMIT_TRANSACTION, LEAT_EMIT_EARLY };

struct leat_settings {
	int64_t memory;                 /* bytes for the process          */
	int64_t commit_ms;
	int64_t merge_wait_ms;
	int64_t skew_ms;
	int64_t idle_ms;                /* an input at its end for so long does not hold the watermark back */
	int64_t behind_max;             /* changelog records that RocksDB may lag behind, per process */
	int64_t uncommitted_max;        /* bytes of dirty state that make a commit come early, per worker */
	int64_t workers;
	int64_t tasks;                  /* embedded: partitions of the topics it makes */
	int64_t batch;                  /* rows in a batch at most */
	int guarantee;
	const char *schemas;            /* folder */
};

struct leat_source {
	const char *name, *topic, *schema_name, *fields_text, *writer_name, *time_name, *id_name, *csv_columns, *separator;
	int64_t lateness_ms;
	int format, on_bad, on_gap, start;
	struct leat_schema *schema, *writer;     /* writer: NULL, by the id in the wire header */
	int stream;
	int *slots;                     /* reader field → slot, -1 when nobody reads it        */
	int time_slot, id_slot;         /* -1: the record's timestamp / the origin              */
	int rekey;                      /* node that feeds it (internal topic), or -1           */
	bool deltas;                    /* the internal topic of shared tables' deltas: no rows */
	bool needs_key;
	int line;
};

/* Who feeds a node or a sink: a source or an output of a node. */
struct leat_from {
	int source;                     /* index, or -1 */
	int node, output;
};
struct leat_froms {
	struct leat_from items[LEAT_FROM_MAX];
	size_t count;
};

struct leat_node_table {
	int group;                      /* index into groups                         */
	size_t index;                   /* of the table within the group's row       */
	enum leat_table_kind kind;
	size_t entry_size;
	size_t numbers;                 /* shared: numbers of an entry                */
	int64_t ttl_ms;
	uint32_t tag;
};
struct leat_plan_column { const char *name, *help; uint8_t type; uint16_t width; int rewritten; /* slot + 1 of a column that was there before, else 0 */ };

struct leat_node {
	const char *id, *use;
	const struct leat_operator *op;          /* NULL: rekey, which the engine does itself */
	void *self;                              /* filled options, copied per task           */
	struct leat_froms from;
	int stream;                              /* whose rows it takes                        */
	int emits[LEAT_OUTPUTS_MAX];             /* stream of an output that emits, else -1   */
	size_t outputs, counters, columns, tables;
	int added[LEAT_SLOTS_MAX / 4];           /* slots of added and rewritten columns       */
	bool reads[LEAT_SLOTS_MAX], rewrites[LEAT_SLOTS_MAX];
	struct leat_plan_column column[LEAT_SLOTS_MAX / 4];
	struct leat_node_table table[LEAT_TABLES_MAX];
	int64_t timer_min_ms;                    /* INT64_MAX: sets no timers                  */
	uint64_t ancestors;                      /* bit per node                               */
	const char *rekeyed_by;                  /* the fields that its rows were last re-keyed by, "nothing" for message keys as they came */
	struct leat_bytes meaning;               /* what its durable tables hang on: NUL-ended names and values by turns; length 0: it has none */
	int rekey_slot, rekey_source;            /* rekey: the new key's field, the internal source */
	int line;
};

struct leat_sink {
	const char *name, *topic, *schema_name, *fields_text, *key_name;
	int64_t schema_id;                       /* in the wire header; 0: asked of the registry */
	int format, emit;
	struct leat_froms from;
	int stream;
	struct leat_schema *schema;
	int *slots;                              /* schema field → slot, -1: default */
	int key_slot;                            /* -1: the row's message key        */
	bool headers;                            /* hand on the event's Kafka headers */
	int line;
};

#define LEAT_MEANING_ROWS "key of table "    /* begins the names in leat_node.meaning whose value is the key name of a keyed table's group */

/* Keyed tables with the same key share one row. */
struct leat_group {
	const char *key_name;                    /* "" = message key */
	enum leat_table_kind kind;
	uint16_t tag;
	bool owner;                              /* the merged rows of shared tables, kept by the owner of their keys */
	size_t count;
	struct { int node, table; } member[LEAT_TABLES_MAX];
	int slot_of_stream[LEAT_STREAMS_MAX];    /* key field's slot per stream; -1: message key, -2: not there */
};

/* A stream: rows of one layout. Stream 0 is what the sources decode into. */
struct leat_stream {
	struct leat_layout layout;
	int producer[LEAT_SLOTS_MAX];            /* node that adds the column, -1: decoded or emitted */
	bool read[LEAT_SLOTS_MAX];               /* somebody reads it */
	int emitter, output;                     /* node and output that emit it; -1 for stream 0 */
	size_t base;                             /* columns [0, base) are decoded or emitted, the rest added */
	bool joins;                              /* a node or sink on it has several feeders: added columns are cleared per batch */
};

struct leat_reference_spec {
	const char *name, *topic, *schema_name, *fields_text, *key_name;
	const char *history_name;                /* field with the time from which a row holds; NULL: only the newest row of a key is kept */
	struct leat_texts rows;                  /* inline rows (JSON), instead of a topic */
	int format;
	struct leat_schema *schema;
	struct leat_reference *reference;
	int line;
};

struct leat_setting_pair { const char *key, *value; };

struct leat_pipeline {
	const char *name, *path;
	struct leat_settings settings;
	const char *brokers, *registry_url, *registry_auth_file, *registry_ca_file;
	struct leat_setting_pair *kafka, *embedded;   /* NULL key ends */
	struct leat_source sources[LEAT_SOURCES_MAX];
	size_t source_count;
	struct leat_reference_spec tables[LEAT_SOURCES_MAX];
	size_t table_count;
	struct leat_node nodes[LEAT_NODES_MAX];  /* in topological order */
	size_t node_count;
	struct leat_sink sinks[LEAT_SINKS_MAX];
	size_t sink_count;
	struct leat_stream *streams;
	size_t stream_count;
	struct leat_group groups[LEAT_GROUPS_MAX];
	size_t group_count;
	int owner_group, deltas_source;          /* of shared tables; -1: there are none */
	const char *dead_letter_topic;
	struct leat_yaml_file *file;
	struct leat_keep *keep;                  /* memory that lives as long as the pipeline */
	uint64_t config_hash;
};

/* Overrides ("sinks.decisions.topic=x"), NULL-terminated, may be NULL. LEAT_ECONFIG: the fault says "file:line: ...". */
int leat_pipeline_load(struct leat_pipeline **out, const char *path, const char *const *overrides, struct leat_fault *fault);
int leat_pipeline_parse(struct leat_pipeline **out, const char *path, const char *text, size_t length, const char *const *overrides, struct leat_fault *fault);
/* Only what `kafka:` and `registry:` say: of a pipeline file, or of a file that holds nothing else. */
int leat_pipeline_load_connection(struct leat_pipeline **out, const char *path, struct leat_fault *fault);
void leat_pipeline_free(struct leat_pipeline *pipeline);
void *leat_pipeline_memory(struct leat_pipeline *pipeline, size_t size);
/* What pipeline.c leaves to plan.c: order, fields, columns, tables. */
int leat_plan_resolve(struct leat_pipeline *pipeline, struct leat_fault *fault);
void leat_graph_text(const struct leat_pipeline *pipeline, FILE *out);
void leat_graph_dot(const struct leat_pipeline *pipeline, FILE *out);
/* Text tables of settings, source, table and sink keys, for the generated reference. */
void leat_pipeline_print_options(FILE *out);
/* The types that fields may have, for the generated reference. */
void leat_fields_print(FILE *out);
/* "a:string b:int c:enum(X,Y) d:double?" to fields; the last has name NULL. */
int leat_fields_parse(struct leat_pipeline *pipeline, const char *text, struct leat_field **out, const struct leat_yaml *where, struct leat_fault *fault);

#endif
