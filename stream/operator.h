/*
 * operator.h - everything that an operator sees. Include this and operators/model/ headers, nothing else of leat.
 *
 * An operator is one constant `struct leat_operator operator_<name>` in one file operators/<name>.c. It takes batches of
 * rows, reads columns, may add columns, keeps state in tables that the engine stores, restores and commits, and passes
 * rows on to its outputs. All calls for one task come from one thread at a time; nothing here may be called from
 * another thread. Errors are negative codes of error.h; a bad *event* is not an error but leat_reject().
 *
 * What a failing process() means: codes about machine, disk or broker (LEAT_ENOMEM when an allocation failed, LEAT_EIO, LEAT_ENOSPC, LEAT_ECORRUPT, LEAT_EBROKER, ...)
 * are handed on as they came. Any other negative code (LEAT_EOPERATOR when nothing fits better) is laid to an event: what is not committed is dropped and done again
 * event by event, and the event that fails alone goes to the dead-letter topic with the reason "operator_error". A failing on_timer() has no event: it ends the run.
 * A process() that ends the whole process (a null pointer, abort(), a stack that runs out) does so at most three times on one event: then that is set aside as "operator_crash".
 *
 * Rules that the engine relies on: no wall clock, no rand(), no malloc, no global state; the result may hang only on the
 * rows, on the options and on the tables. Then any batch size and any crash gives the same output.
 */
#ifndef LEAT_OPERATOR_H
#define LEAT_OPERATOR_H

#include "base/column.h"
#include "base/error.h"
#include "base/row.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LEAT_OPERATOR_ABI 1

/* ---- batches ---- */

/*
 * Rows of one stream. An operator must look only at the rows row[0..count), which ascend; columns are indexed by row.
 * Everything is borrowed until process() returns, except that LEAT_STRING views stay valid until the batch has left the task.
 */
struct leat_batch {
	const uint16_t *row;
	size_t count;
	const struct leat_column *columns;     /* by slot; see LEAT_OPTION_FIELD               */
	const int64_t *time_ms;                /* event time                                    */
	const uint64_t *id;                    /* hash of the declared event id, else of the origin: seeds and ids derive from it */
	const struct leat_bytes *key;          /* the Kafka message key; data NULL = none       */
	const uint16_t *source;                /* index of the pipeline's source it came from   */
	const int64_t *watermark_ms;           /* the watermark when the row arrived, itself counted: older rows are late */
};

/* ---- state ---- */

enum leat_table_kind {
	LEAT_KEYED,     /* owned by the task, durable, exactly once (DESIGN: keyed)                                     */
	LEAT_LOCAL,     /* the task's own memory, not durable: empty after a restart. For caches and measurements       */
	LEAT_SHARED,    /* one for the whole application: read by all tasks, changed by leat_delta() only              */
};
enum leat_merge { LEAT_MERGE_NONE, LEAT_MERGE_SUM, LEAT_MERGE_FACTOR };   /* LEAT_SHARED only */

/*
 * A table: one entry (a plain C struct without pointers) per key. The engine allocates entries zeroed, calls @init
 * once for a new key, stores the bytes as they are, and drops entries whose last write is older than @ttl_option.
 * The key is the message key unless @key_option names a LEAT_OPTION_FIELD option of this operator whose field is then the key.
 * When the struct's layout changes raise @version and give @upgrade.
 */
struct leat_table {
	const char *name;
	enum leat_table_kind kind;
	enum leat_merge merge;
	size_t entry_size;              /* 0: plan() must set it with leat_plan_table()                          */
	uint16_t version;               /* of the entry's layout                                                  */
	const char *key_option;         /* NULL: the message key                                                  */
	const char *ttl_option;         /* a LEAT_OPTION_DURATION of this operator; NULL or value 0: kept for good */
	void (*init)(const void *self, void *entry, struct leat_bytes key);              /* may be NULL: zeroes     */
	/* Old bytes of layout @version into a zeroed @entry; negative: cannot. */
	int (*upgrade)(const void *self, void *entry, const void *old, size_t old_size, uint16_t version);
	const char *help;
};

struct leat_table_view {
	struct leat_row **row;  /* [LEAT_BATCH_MAX], filled by the engine for the rows of this call */
	uint32_t offset;        /* of the entry from the row's start                                  */
	uint32_t bit;
	uint32_t quick;         /* = bit, or 0 when every write has to be noted with its time         */
	bool expires;           /* the table has a ttl                                                */
	void *rows;             /* engine's                                                           */
	struct leat_shared_table *shared;  /* engine's: of a LEAT_SHARED table                        */
};
struct leat_out {
	uint16_t *row;
	uint32_t count;
};

/* One operator's view of its task. Public members are read-only for operators except through the functions below. */
struct leat_task {
	struct leat_out *out;                  /* by output                 */
	struct leat_table_view *tables;        /* by table of the operator  */
	struct leat_column **added;            /* by column of the operator */
	uint64_t *counters;                    /* by counter                */
	void *engine;
};

void leat_row_touch(struct leat_task *task, int table, size_t row);                /* slow half of leat_entry_write */
void leat_row_expire(const struct leat_task *task, int table, size_t row);         /* resets an entry whose ttl has passed at the row's time */

/* The entry of @table for the key of @row, for reading. Never NULL (a new key's entry is as @init left it). Valid until process() returns. */
static inline const void *leat_entry(const struct leat_task *task, int table, size_t row)
{
	const struct leat_table_view *view = &task->tables[table];
	if (view->expires)
		leat_row_expire(task, table, row);
	return (const char *)view->row[row] + view->offset;
}
/* Had the key an entry before this event (written at least once)? */
static inline bool leat_entry_known(const struct leat_task *task, int table, size_t row)
{
	const struct leat_table_view *view = &task->tables[table];
	if (view->expires)
		leat_row_expire(task, table, row);
	return (view->row[row]->present & view->bit) != 0;
}
/* The same entry for writing: part of the next commit. Not for LEAT_SHARED. */
static inline void *leat_entry_write(struct leat_task *task, int table, size_t row)
{
	struct leat_table_view *view = &task->tables[table];
	struct leat_row *head = view->row[row];
	if ((head->dirty & head->present & view->quick) == 0)
		leat_row_touch(task, table, row);
	return (char *)head + view->offset;
}
/* Deletes the entry of @table for the key of @row; a tombstone when it was the row's last. */
void leat_entry_delete(struct leat_task *task, int table, size_t row);
/*
 * The entry of any key of @table (its key type: message key bytes, a string field's bytes, or a LEAT_INT field's int64_t in
 * host order), read through cache and disk. *out is valid until process() returns; for a key never written *out is NULL.
 * LEAT_EIO, LEAT_ECORRUPT, LEAT_ENOMEM.
 */
int leat_lookup(struct leat_task *task, int table, struct leat_bytes key, const void **out);
/* As leat_lookup, created if needed, for writing. LEAT_KEYED and LEAT_LOCAL. The key must belong to this task. */
int leat_lookup_write(struct leat_task *task, int table, struct leat_bytes key, void **out);
/*
 * Adds to the entry of a LEAT_SHARED table: @delta has one number per number of the entry. LEAT_MERGE_SUM: int64 entries,
 * @delta int64. LEAT_MERGE_FACTOR: float entries, @delta float, and @curvature is the step's h: the bound that its model states on lr·w·|u|².
 * This task reads its own deltas at once, others after the owner has merged them. LEAT_ENOMEM, LEAT_ELIMIT.
 */
int leat_delta(struct leat_task *task, int table, struct leat_bytes key, const void *delta, double curvature);
/* The same for the key of @row, without looking it up. */
int leat_delta_row(struct leat_task *task, int table, size_t row, const void *delta, double curvature);
/*
 * Number of keys known in a LEAT_LOCAL or LEAT_SHARED table, and the @index-th of them (LOCAL: in order of arrival in this
 * process; SHARED: in the order of their bytes, which is the same after a restart): for sampling.
 * A key is known from its first write or delta on, never because a row of the batch names it: else the sample would hang on the batch size.
 */
size_t leat_table_count(struct leat_task *task, int table);
int leat_table_at(struct leat_task *task, int table, size_t index, struct leat_bytes *key, const void **entry);

/* ---- outputs ---- */

/* Sends @row on to @output (index into leat_operator.outputs). Rows must be passed in ascending order. */
static inline void leat_pass(struct leat_task *task, int output, size_t row)
{
	struct leat_out *out = &task->out[output];
	out->row[out->count++] = (uint16_t)row;
}
/* The column that this operator adds (index into leat_operator.columns): write at [row], and null[row] = 0 or 1. */
static inline struct leat_column *leat_added(struct leat_task *task, int column)
{
	return task->added[column];
}
/*
 * The row is a bad event: counted under @reason (a static string such as "domain_price") and sent with its original
 * bytes to the dead-letter topic, by the policy of its source. Do not pass it as well.
 */
void leat_reject(struct leat_task *task, size_t row, const char *reason);
/*
 * Starts a new row on @output, which must be one that declares @fields. Returns its row number in *row; fill its values
 * with leat_emitted(). @parent: the row it stems from, or -1 in on_timer(). @time_ms: its event time. @key: copied.
 * LEAT_ELIMIT when one call emits more than 65,536 rows in all, LEAT_ENOMEM.
 */
int leat_emit(struct leat_task *task, int output, long parent, int64_t time_ms, struct leat_bytes key, size_t *row);
struct leat_column *leat_emitted(struct leat_task *task, int output, int field);
/* Memory until the batch has left the task, 16-byte aligned; NULL when it is out. */
void *leat_scratch(struct leat_task *task, size_t size);
/* Memory of this task until close(), zeroed, 64-byte aligned; only from open(). Freed by the engine. NULL when it is out. */
void *leat_task_memory(struct leat_task *task, size_t size);
static inline void leat_count(struct leat_task *task, int counter, uint64_t by)
{
	task->counters[counter] += by;
}

/* ---- time ---- */

/* The task's watermark (ms) in on_timer(): no event older than this is expected. In process() use in->watermark_ms[row], which does not hang on the batch size. */
int64_t leat_watermark(const struct leat_task *task);
/*
 * on_timer() will be called for the entry of @row in LEAT_KEYED @table when the watermark reaches @at_ms, before the event
 * that moves it there. One timer per entry: setting it again moves it, INT64_MAX clears it. Durable with the entry.
 * @at_ms must be at least the row's event time + the operator's timer_min_ms.
 */
int leat_timer(struct leat_task *task, int table, size_t row, int64_t at_ms);

struct leat_timer_event {
	int table;
	int64_t at_ms;
	struct leat_bytes key;      /* of the table                          */
	void *entry;                /* already counted as written            */
	uint64_t id;                /* derived from table, key and time       */
	struct leat_row *row;
};
void leat_timer_delete_entry(struct leat_task *task, const struct leat_timer_event *event);
int leat_timer_again(struct leat_task *task, const struct leat_timer_event *event, int64_t at_ms);

/* ---- reference tables: the newest record per key of a topic, or all of them by time; the same in every task ---- */

struct leat_reference;       /* value of a LEAT_OPTION_REFERENCE option */
/* Rises with every change, so that an operator can keep what it derived from the table. */
uint64_t leat_reference_version(const struct leat_reference *reference);
size_t leat_reference_count(const struct leat_reference *reference);
/* Dense columns of the table's schema over all its rows, in an order that is the same in every task; by name; NULL if there is none. Not bounded by LEAT_BATCH_MAX. */
const struct leat_column *leat_reference_column(const struct leat_reference *reference, const char *name);
/* The row of @key that holds at @time_ms, or -1. In a table without history a row holds at any time. */
long leat_reference_find(const struct leat_reference *reference, struct leat_bytes key, int64_t time_ms);
/* True: the table has one row per key and time (`history:`), not one per key. */
bool leat_reference_dated(const struct leat_reference *reference);
const struct leat_field *leat_reference_field(const struct leat_reference *reference, const char *name);
/* The field that is the table's key: LEAT_STRING or LEAT_BYTES, whose bytes leat_reference_find() takes, or LEAT_INT, whose int64_t it takes. */
const struct leat_field *leat_reference_key(const struct leat_reference *reference);

/* ---- options ---- */

enum leat_option_type {
	LEAT_OPTION_INT,          /* int64_t, min..max                                                     */
	LEAT_OPTION_DOUBLE,       /* double, min..max                                                      */
	LEAT_OPTION_BOOL,         /* bool                                                                  */
	LEAT_OPTION_TEXT,         /* const char *                                                          */
	LEAT_OPTION_DURATION,     /* int64_t ms; written 250ms, 10s, 5m, 1h, 30d                            */
	LEAT_OPTION_CHOICE,       /* int: index into @choices                                              */
	LEAT_OPTION_FIELD,        /* struct leat_field_ref; @types says which are allowed                  */
	LEAT_OPTION_FIELDS,       /* struct leat_field_refs: a list                                        */
	LEAT_OPTION_EXPRESSION,   /* struct leat_expression *; @types: the wanted result                   */
	LEAT_OPTION_NAMED_EXPRESSIONS, /* struct leat_named_expressions: name: expression, ...             */
	LEAT_OPTION_WEIGHTS,      /* struct leat_weights: word: number, ...                                */
	LEAT_OPTION_TEXTS,        /* struct leat_texts: a list of words                                    */
	LEAT_OPTION_REFERENCE,    /* struct leat_reference *; names a table of the pipeline's `tables:`    */
	LEAT_OPTION_RULES,        /* struct leat_rules: a list of maps word: text                          */
	LEAT_OPTION_SIZE,         /* int64_t bytes; written 64KB, 256MB, 2GB                               */
};

struct leat_field_ref {
	int slot;                              /* -1: the option was not given  */
	const struct leat_field *field;
};
struct leat_field_refs { const struct leat_field_ref *items; size_t count; };
struct leat_weight { const char *word; double weight; };
struct leat_weights { const struct leat_weight *items; size_t count; };
struct leat_texts { const char *const *items; size_t count; };
struct leat_expression;
struct leat_named_expression { const char *name; struct leat_expression *expression; };
struct leat_named_expressions { const struct leat_named_expression *items; size_t count; };
struct leat_pair { const char *key, *value; };
struct leat_rule { const struct leat_pair *pairs; size_t count; int line; };   /* line: in the pipeline file */
struct leat_rules { const struct leat_rule *items; size_t count; };

/*
 * Does what is stored hang on the option? Then a task whose state was made with another value is refused when it is opened: its bytes would be taken for something
 * else. For options that say what a number counts, where in the entry it lies, or how it was added up; not for limits, rates and what is only put out.
 * An option that names the key of a durable table always counts as LEAT_MEANS_VALUE.
 */
enum leat_meaning {
	LEAT_MEANS_NOTHING,
	LEAT_MEANS_VALUE,         /* on its value; the order of a list counts */
	LEAT_MEANS_SET,           /* TEXTS: on the words, in any order        */
	LEAT_MEANS_ON,            /* on whether it is given and not 0         */
};

/* One option: a row of a table that the engine parses into self, checks, and prints as reference. The last row has name NULL. */
struct leat_option {
	const char *name;
	enum leat_option_type type;
	size_t offset;                 /* into self                                                                       */
	const char *fallback;          /* default, as it would be written in the file; NULL: must be given unless @optional */
	bool optional;
	enum leat_meaning meaning;
	double min, max;               /* both 0: no limits                                                               */
	uint32_t types;                /* LEAT_TYPE_BIT()s for FIELD, FIELDS, EXPRESSION; 0: any                           */
	const char *const *choices;    /* CHOICE: NULL-terminated                                                         */
	const char *help;              /* one sentence, with the unit                                                     */
};

/*
 * Evaluates @expression for the rows of @in into a column of the expression's own type, indexed by row; valid until
 * process() returns (the texts in it until the batch has left the task). NULL when memory is out. An operation without a result (1/0, null) gives null.
 */
const struct leat_column *leat_evaluate(struct leat_task *task, const struct leat_expression *expression, const struct leat_batch *in);
uint8_t leat_expression_type(const struct leat_expression *expression);

/* The weight of @row's value in an ENUM, STRING or INT column; @otherwise when its word is not listed or the value is null. */
double leat_weight_of(const struct leat_weights *weights, const struct leat_field *field, const struct leat_column *column, size_t row, double otherwise);

/* ---- the descriptor ---- */

struct leat_added_column {
	const char *name;
	uint8_t type;            /* LEAT_NONE: plan() sets it with leat_plan_column() */
	uint16_t width;
	const char *help;
};
struct leat_output {
	const char *name;
	const struct leat_field *fields;   /* NULL: input rows pass through; else it emits rows of these fields (last name NULL) */
	const char *help;
};

struct leat_plan;   /* while a pipeline is checked */
/* Sets type and width of an added column that hang on options. */
void leat_plan_column(struct leat_plan *plan, int column, uint8_t type, uint16_t width);
/* Adds a column that is not in the descriptor (e.g. `map`); its index in leat_added() is returned. @name is copied. Negative: LEAT_ELIMIT, LEAT_ENOMEM. */
int leat_plan_add(struct leat_plan *plan, const char *name, uint8_t type, uint16_t width, const char *help);
/* Sets kind and size of a table that hang on options. */
void leat_plan_table(struct leat_plan *plan, int table, enum leat_table_kind kind, size_t entry_size);
/* Earliest timer relative to an event's time, when it hangs on options. */
void leat_plan_timer_min(struct leat_plan *plan, int64_t timer_min_ms);
/*
 * Says that this operator writes into the column of @slot, which is there already (to repair or normalise values); its index in leat_added() is returned.
 * Everything behind this operator then reads what it wrote. The check refuses the pipeline when something that is not behind it reads the column of the
 * same rows. Negative: LEAT_ELIMIT.
 */
int leat_plan_rewrite(struct leat_plan *plan, int slot);
/*
 * The field of @slot (0, 1, ... in turn), NULL behind the last; its name is "" where the column is not there for this operator. Does not make the column one
 * that is read: it stays null or zero unless somebody else reads it.
 */
const struct leat_field *leat_plan_field(struct leat_plan *plan, int slot);
/* A slot by name for operators whose options do not name it, or -1; the field in *field (may be NULL). */
int leat_plan_slot(struct leat_plan *plan, const char *name, const struct leat_field **field);
/* Compiles text from a LEAT_OPTION_RULES row; NULL after leat_plan_fail() said why. The plan owns it. @types: wanted result. */
struct leat_expression *leat_plan_expression(struct leat_plan *plan, const char *text, uint32_t types, int line);
/* Memory that lives as long as the pipeline, zeroed; NULL when it is out. */
void *leat_plan_memory(struct leat_plan *plan, size_t size);
/* Says what is wrong with option @option (its file and line are added by the engine) and returns LEAT_ECONFIG. @option may be NULL. */
int leat_plan_fail(struct leat_plan *plan, const char *option, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* One operator: a constant, named like its file. Unset fields mean "none". Fields are only ever appended. */
struct leat_operator {
	uint32_t abi;                               /* LEAT_OPERATOR_ABI                                     */
	const char *name, *help;                    /* help: one sentence                                    */
	const struct leat_output *outputs;          /* the first is the default; the last has name NULL      */
	const char *const *counters;                /* NULL-terminated; exported as leat_<operator>_<counter>_total */
	const struct leat_option *options;
	const struct leat_added_column *columns;
	const struct leat_table *tables;            /* the last has name NULL                                */
	int64_t timer_min_ms;                       /* timers are set at least this far after an event's time */
	size_t self_size;                           /* the engine allocates it per task, zeroed, options filled */
	int (*plan)(struct leat_plan *plan, void *self);      /* once, when the pipeline is checked; @self is copied for every task afterwards */
	int (*open)(struct leat_task *task, void *self);
	int (*process)(struct leat_task *task, void *self, const struct leat_batch *in);
	int (*on_timer)(struct leat_task *task, void *self, const struct leat_timer_event *event);
	void (*close)(struct leat_task *task, void *self);    /* accepts what a failed open() left           */
};

#endif
