/*
 * One operator after another without the engine: tables are hash maps in memory, a stream is an array of columns. For tests of what
 * the harness cannot show (counters, entries, injected failures) and for micro benchmarks. It defines the functions of stream/operator.h,
 * so a program that includes it must not use the engine. One thread. Everything is freed by loose_close().
 */
#ifndef LEAT_LOOSE_TASK_H
#define LEAT_LOOSE_TASK_H

#include "stream/operator.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOOSE_SLOTS 64
#define LOOSE_TABLES 4

struct loose_stream {
	struct leat_field fields[LOOSE_SLOTS];
	struct leat_column columns[LOOSE_SLOTS];
	int slots;
	int64_t time_ms[LEAT_BATCH_MAX];
	uint64_t id[LEAT_BATCH_MAX];
	struct leat_bytes key[LEAT_BATCH_MAX];
	uint16_t source[LEAT_BATCH_MAX];
};

/* An option by name: @text as in a pipeline file (a field's name for FIELD), or @value: a pointer to the parsed struct. */
struct loose_setting {
	const char *name, *text;
	const void *value;
};

struct loose_row {
	struct loose_row *next;         /* in its bucket */
	struct leat_bytes key;
	bool listed;
	_Alignas(16) struct leat_row head;      /* the entry follows */
};
struct loose_table {
	enum leat_table_kind kind;
	size_t entry_size;
	int key_slot;                   /* -1: message key */
	struct loose_row **buckets;     /* 1 << 16         */
	struct loose_row **listed;
	size_t count, room;
	struct leat_row *rows[LEAT_BATCH_MAX];
};
struct loose_memory {
	struct loose_memory *next;
	_Alignas(64) char bytes[];
};
struct loose_delta {
	double curvature;
	size_t calls;
};

struct loose {
	struct leat_task task;
	const struct leat_operator *operator;
	void *self;
	struct loose_stream *stream;
	struct loose_table tables[LOOSE_TABLES];
	struct leat_table_view views[LOOSE_TABLES];
	struct leat_out outs[4];
	uint16_t out_rows[4][LEAT_BATCH_MAX];
	struct leat_column *added[LOOSE_SLOTS];
	int added_count;
	uint64_t counters[16];
	struct loose_memory *memory, *scratch;
	struct loose_delta delta;
	char refused[256];              /* what leat_plan_fail() said   */
	size_t fail_at;                 /* the n-th allocation fails    */
};

struct leat_plan { struct loose *loose; };
struct leat_expression { int slot; };
struct leat_reference {
	uint64_t version;
	size_t count;
	bool dated;
	struct leat_field fields[16];   /* last name NULL */
	struct leat_column columns[16];
};

#define LOOSE_OF(task_) ((struct loose *)(task_)->engine)

/* ---- memory ---- */

static inline void *loose_take(struct loose *loose, struct loose_memory **list, size_t size)
{
	if (loose->fail_at && --loose->fail_at == 0)
		return NULL;
	struct loose_memory *memory = aligned_alloc(64, (sizeof *memory + size + 63) / 64 * 64);
	if (!memory)
		abort();
	memset(memory, 0, (sizeof *memory + size + 63) / 64 * 64);
	memory->next = *list;
	*list = memory;
	return memory->bytes;
}
static inline void loose_drop(struct loose_memory **list)
{
	while (*list) {
		struct loose_memory *next = (*list)->next;
		free(*list);
		*list = next;
	}
}
void *leat_scratch(struct leat_task *task, size_t size)
{
	return loose_take(LOOSE_OF(task), &LOOSE_OF(task)->scratch, size);
}
void *leat_task_memory(struct leat_task *task, size_t size)
{
	return loose_take(LOOSE_OF(task), &LOOSE_OF(task)->memory, size);
}
void *leat_plan_memory(struct leat_plan *plan, size_t size)
{
	return loose_take(plan->loose, &plan->loose->memory, size);
}

/* ---- streams ---- */

static inline int loose_slot(const struct loose_stream *stream, const char *name)
{
	for (int i = 0; i < stream->slots; i++)
		if (strcmp(stream->fields[i].name, name) == 0)
			return i;
	return -1;
}
static inline void loose_column(struct leat_column *column, uint8_t type, uint16_t width, size_t rows)
{
	static const size_t sizes[LEAT_TYPES] = {
		[LEAT_BOOL] = 1, [LEAT_INT] = 8, [LEAT_ENUM] = 8, [LEAT_FLOAT] = 4, [LEAT_DOUBLE] = 8, [LEAT_STRING] = sizeof(struct leat_bytes),
		[LEAT_BYTES] = sizeof(struct leat_bytes), [LEAT_VECTOR] = 4, [LEAT_STRINGS] = sizeof(struct leat_list), [LEAT_FLOATS] = sizeof(struct leat_list),
	};
	*column = (struct leat_column){ .type = type, .width = width, .null = calloc(rows, 1), .data = calloc(rows * width, sizes[type]) };
	if (!column->null || !column->data)
		abort();
}
/* Adds a field; returns its slot. Names and symbols are borrowed. */
static inline int loose_field(struct loose_stream *stream, const char *name, uint8_t type, uint16_t width, const char *const *symbols)
{
	int slot = stream->slots++;
	stream->fields[slot] = (struct leat_field){ .name = name, .type = type, .width = width, .nullable = true, .symbols = symbols };
	loose_column(&stream->columns[slot], type, width, LEAT_BATCH_MAX);
	return slot;
}
static inline void loose_stream_free(struct loose_stream *stream)
{
	for (int i = 0; i < stream->slots; i++) {
		free(stream->columns[i].null);
		free(stream->columns[i].data);
	}
}

/* ---- tables ---- */

static inline struct loose_row *loose_find(struct loose *loose, int index, struct leat_bytes key, bool create)
{
	struct loose_table *table = &loose->tables[index];
	uint64_t hash = 14695981039346656037ull;
	for (uint32_t i = 0; i < key.length; i++)
		hash = (hash ^ key.data[i]) * 1099511628211ull;
	struct loose_row **bucket = &table->buckets[(hash ^ hash >> 32) & 65535], *row = *bucket;
	while (row && (row->key.length != key.length || memcmp(row->key.data, key.data, key.length) != 0))
		row = row->next;
	if (row || !create)
		return row;
	size_t size = sizeof *row + table->entry_size + key.length;
	row = aligned_alloc(16, (size + 15) / 16 * 16);
	if (!row)
		abort();
	memset(row, 0, size);
	uint8_t *copy = (uint8_t *)row + sizeof *row + table->entry_size;
	if (key.length)
		memcpy(copy, key.data, key.length);
	row->key = (struct leat_bytes){ copy, key.length };
	row->next = *bucket;
	*bucket = row;
	if (loose->operator->tables[index].init)
		loose->operator->tables[index].init(loose->self, &row->head + 1, key);
	return row;
}
static inline struct loose_row *loose_row_of(struct leat_row *head)
{
	return (struct loose_row *)(void *)((char *)head - offsetof(struct loose_row, head));
}
static inline void loose_touch(struct loose_table *of, struct leat_row *row)
{
	struct loose_row *loose_row = loose_row_of(row);
	row->present |= 1;
	row->dirty |= 1;
	if (loose_row->listed)
		return;
	if (of->count == of->room) {
		of->room = of->room ? of->room * 2 : 64;
		of->listed = realloc(of->listed, of->room * sizeof *of->listed);
		if (!of->listed)
			abort();
	}
	loose_row->listed = true;
	of->listed[of->count++] = loose_row;
}
void leat_row_touch(struct leat_task *task, int table, size_t row)
{
	loose_touch(&LOOSE_OF(task)->tables[table], task->tables[table].row[row]);
}
void leat_row_expire(const struct leat_task *task, int table, size_t row)
{
	(void)task, (void)table, (void)row;
	abort();        /* no table of a loose task expires */
}
int leat_lookup(struct leat_task *task, int table, struct leat_bytes key, const void **out)
{
	struct loose_row *row = loose_find(LOOSE_OF(task), table, key, false);
	*out = row && row->head.present ? &row->head + 1 : NULL;
	return 0;
}
int leat_lookup_write(struct leat_task *task, int table, struct leat_bytes key, void **out)
{
	struct loose_row *row = loose_find(LOOSE_OF(task), table, key, true);
	loose_touch(&LOOSE_OF(task)->tables[table], &row->head);
	*out = &row->head + 1;
	return 0;
}
int leat_delta_row(struct leat_task *task, int table, size_t row, const void *delta, double curvature)
{
	struct loose *loose = LOOSE_OF(task);
	struct leat_row *head = task->tables[table].row[row];
	float *numbers = (void *)(head + 1);
	loose_touch(&loose->tables[table], head);
	for (size_t i = 0; i < loose->tables[table].entry_size / sizeof(float); i++)
		numbers[i] += ((const float *)delta)[i];
	loose->delta.curvature += curvature;
	loose->delta.calls++;
	return 0;
}
int leat_delta(struct leat_task *task, int table, struct leat_bytes key, const void *delta, double curvature)
{
	struct leat_row *row = &loose_find(LOOSE_OF(task), table, key, true)->head, **rows = task->tables[table].row;
	task->tables[table].row = &row;
	int rc = leat_delta_row(task, table, 0, delta, curvature);
	task->tables[table].row = rows;
	return rc;
}
size_t leat_table_count(struct leat_task *task, int table)
{
	return LOOSE_OF(task)->tables[table].count;
}
int leat_table_at(struct leat_task *task, int table, size_t index, struct leat_bytes *key, const void **entry)
{
	struct loose_row *row = LOOSE_OF(task)->tables[table].listed[index];
	*key = row->key;
	*entry = &row->head + 1;
	return 0;
}

/* ---- reference tables, expressions ---- */

uint64_t leat_reference_version(const struct leat_reference *reference)
{
	return reference->version;
}
bool leat_reference_dated(const struct leat_reference *reference)
{
	return reference->dated;
}
size_t leat_reference_count(const struct leat_reference *reference)
{
	return reference->count;
}
const struct leat_field *leat_reference_field(const struct leat_reference *reference, const char *name)
{
	for (const struct leat_field *field = reference->fields; field->name; field++)
		if (strcmp(field->name, name) == 0)
			return field;
	return NULL;
}
const struct leat_column *leat_reference_column(const struct leat_reference *reference, const char *name)
{
	const struct leat_field *field = leat_reference_field(reference, name);
	return field ? &reference->columns[field - reference->fields] : NULL;
}
const struct leat_column *leat_evaluate(struct leat_task *task, const struct leat_expression *expression, const struct leat_batch *in)
{
	struct loose *loose = LOOSE_OF(task);
	if (loose->fail_at && --loose->fail_at == 0)
		return NULL;
	return &in->columns[expression->slot];
}
double leat_weight_of(const struct leat_weights *weights, const struct leat_field *field, const struct leat_column *column, size_t row, double otherwise)
{
	if (column->null[row])
		return otherwise;
	for (size_t i = 0; i < weights->count; i++) {
		const char *word = weights->items[i].word;
		if (column->type == LEAT_ENUM ? strcmp(field->symbols[column->ints[row]], word) == 0 :
		    column->bytes[row].length == strlen(word) && memcmp(column->bytes[row].data, word, strlen(word)) == 0)
			return weights->items[i].weight;
	}
	return otherwise;
}

/* ---- planning ---- */

void leat_plan_column(struct leat_plan *plan, int column, uint8_t type, uint16_t width)
{
	struct leat_column *added = plan->loose->added[column];
	struct leat_field *field = &plan->loose->stream->fields[added - plan->loose->stream->columns];
	free(added->null);
	free(added->data);
	loose_column(added, type, width, LEAT_BATCH_MAX);
	field->type = type;
	field->width = width;
}
int leat_plan_add(struct leat_plan *plan, const char *name, uint8_t type, uint16_t width, const char *help)
{
	struct loose *loose = plan->loose;
	char *copy = leat_plan_memory(plan, strlen(name) + 1);
	(void)help;
	if (!copy)
		return LEAT_ENOMEM;
	memcpy(copy, name, strlen(name));
	loose->added[loose->added_count] = &loose->stream->columns[loose_field(loose->stream, copy, type, width, NULL)];
	return loose->added_count++;
}
void leat_plan_table(struct leat_plan *plan, int table, enum leat_table_kind kind, size_t entry_size)
{
	plan->loose->tables[table].kind = kind;
	plan->loose->tables[table].entry_size = (entry_size + 15) / 16 * 16;
}
int leat_plan_fail(struct leat_plan *plan, const char *option, const char *format, ...)
{
	va_list arguments;
	int length = snprintf(plan->loose->refused, sizeof plan->loose->refused, "%s: ", option);
	va_start(arguments, format);
	(void)vsnprintf(plan->loose->refused + length, sizeof plan->loose->refused - (size_t)length, format, arguments);
	va_end(arguments);
	return LEAT_ECONFIG;
}

static inline int64_t loose_duration(const char *text)
{
	char *end;
	int64_t number = strtoll(text, &end, 10);
	return number * (*end == 'd' ? 86400000 : *end == 'h' ? 3600000 : *end == 'm' && end[1] != 's' ? 60000 : *end == 's' ? 1000 : 1);
}
static inline void loose_set_text(struct loose *loose, const struct leat_option *option, void *at, const char *text)
{
	int slot;
	switch (option->type) {
	case LEAT_OPTION_INT: *(int64_t *)at = strtoll(text, NULL, 10); break;
	case LEAT_OPTION_DOUBLE: *(double *)at = strtod(text, NULL); break;
	case LEAT_OPTION_BOOL: *(bool *)at = strcmp(text, "true") == 0; break;
	case LEAT_OPTION_TEXT: *(const char **)at = text; break;
	case LEAT_OPTION_DURATION: *(int64_t *)at = loose_duration(text); break;
	case LEAT_OPTION_CHOICE:
		for (*(int *)at = 0; strcmp(option->choices[*(int *)at], text) != 0; (*(int *)at)++)
			;
		break;
	case LEAT_OPTION_FIELD:
		slot = loose_slot(loose->stream, text);
		*(struct leat_field_ref *)at = (struct leat_field_ref){ slot, &loose->stream->fields[slot] };
		break;
	default: abort();
	}
}
static inline void loose_set_value(const struct leat_option *option, void *at, const void *value)
{
	switch (option->type) {
	case LEAT_OPTION_TEXTS: *(struct leat_texts *)at = *(const struct leat_texts *)value; break;
	case LEAT_OPTION_WEIGHTS: *(struct leat_weights *)at = *(const struct leat_weights *)value; break;
	case LEAT_OPTION_REFERENCE:
	case LEAT_OPTION_EXPRESSION: *(const void **)at = value; break;
	default: abort();
	}
}
static inline void loose_options(struct loose *loose, const struct loose_setting *settings)
{
	for (const struct leat_option *option = loose->operator->options; option->name; option++) {
		void *at = (char *)loose->self + option->offset;
		const struct loose_setting *setting = settings;
		while (setting->name && strcmp(setting->name, option->name) != 0)
			setting++;
		if (setting->name && setting->value)
			loose_set_value(option, at, setting->value);
		else if (setting->name || option->fallback)
			loose_set_text(loose, option, at, setting->name ? setting->text : option->fallback);
		else if (option->type == LEAT_OPTION_FIELD)
			((struct leat_field_ref *)at)->slot = -1;
	}
}
static inline int loose_key_slot(const struct loose *loose, const struct leat_table *table)
{
	for (const struct leat_option *option = loose->operator->options; table->key_option && option->name; option++)
		if (strcmp(option->name, table->key_option) == 0)
			return ((struct leat_field_ref *)(void *)((char *)loose->self + option->offset))->slot;
	return -1;
}

/* Plans and opens @operator on @stream, whose columns it extends. @settings: last name NULL. Returns the code of plan() or open(). */
static inline int loose_open(struct loose *loose, const struct leat_operator *operator, struct loose_stream *stream, const struct loose_setting *settings)
{
	size_t fail_at = loose->fail_at;
	*loose = (struct loose){ .operator = operator, .stream = stream, .self = calloc(1, operator->self_size), .fail_at = fail_at };
	struct leat_plan plan = { loose };
	if (!loose->self)
		abort();
	loose->task = (struct leat_task){ loose->outs, loose->views, loose->added, loose->counters, loose };
	for (const struct leat_added_column *column = operator->columns; column && column->name; column++) {
		uint8_t type = column->type ? column->type : LEAT_INT;
		loose->added[loose->added_count++] = &stream->columns[loose_field(stream, column->name, type, column->width ? column->width : 1, NULL)];
	}
	loose_options(loose, settings);
	for (int i = 0; operator->tables[i].name; i++) {
		loose->tables[i].kind = operator->tables[i].kind;
		loose->tables[i].entry_size = operator->tables[i].entry_size;
		loose->tables[i].buckets = calloc(65536, sizeof *loose->tables[i].buckets);
		if (!loose->tables[i].buckets)
			abort();
		loose->tables[i].key_slot = loose_key_slot(loose, &operator->tables[i]);
		loose->views[i] = (struct leat_table_view){ .row = loose->tables[i].rows, .offset = sizeof(struct leat_row), .bit = 1, .quick = 1 };
	}
	for (int i = 0; i < 4; i++)
		loose->outs[i].row = loose->out_rows[i];
	LEAT_TRY(operator->plan(&plan, loose->self));
	return operator->open ? operator->open(&loose->task, loose->self) : 0;
}

/* Finds the entries of the rows of @in, as the engine does before process(). */
static inline void loose_views(struct loose *loose, const struct leat_batch *in)
{
	for (int t = 0; loose->operator->tables[t].name; t++) {
		struct loose_table *table = &loose->tables[t];
		for (size_t i = 0; i < in->count; i++) {
			size_t row = in->row[i];
			struct leat_bytes key = in->key[row];
			if (table->key_slot >= 0) {
				const struct leat_column *column = &in->columns[table->key_slot];
				bool text = column->type == LEAT_STRING;
				key = text ? column->bytes[row] : (struct leat_bytes){ (const uint8_t *)&column->ints[row], 8 };
				if (column->null[row])
					key = (struct leat_bytes){ 0 };
			}
			table->rows[row] = key.data ? &loose_find(loose, t, key, true)->head : NULL;
		}
	}
}

/* Processes rows [from, from + count) of the stream; what leaves is in outs[]. */
static inline int loose_process(struct loose *loose, size_t from, size_t count)
{
	uint16_t rows[LEAT_BATCH_MAX];
	struct loose_stream *stream = loose->stream;
	for (size_t i = 0; i < count; i++)
		rows[i] = (uint16_t)(from + i);
	const struct leat_batch in = { rows, count, stream->columns, stream->time_ms, stream->id, stream->key, stream->source, stream->time_ms };
	for (int i = 0; i < 4; i++)
		loose->outs[i].count = 0;
	loose_drop(&loose->scratch);
	loose_views(loose, &in);
	return loose->operator->process(&loose->task, loose->self, &in);
}

static inline void loose_close(struct loose *loose)
{
	for (int t = 0; loose->operator->tables[t].name; t++) {
		for (size_t b = 0; b < 65536; b++) {
			for (struct loose_row *row = loose->tables[t].buckets[b], *next; row; row = next) {
				next = row->next;
				free(row);
			}
		}
		free(loose->tables[t].buckets);
		free(loose->tables[t].listed);
	}
	loose_drop(&loose->scratch);
	loose_drop(&loose->memory);
	free(loose->self);
}

#endif
