/* Pipeline files: sections into structs by option tables; names are resolved in plan.c. */
#include "stream/plan.h"
#include "stream/reference.h"
#include "schemas/registry.h"
#include "stream/transport.h"

#include <stdlib.h>

struct leat_keep {
	struct leat_keep *next;
	struct leat_expression *expression;
	_Alignas(16) char bytes[];
};

static const char *const guarantees[] = { "exactly-once", "at-least-once", NULL };
static const char *const formats[] = { "avro", "json", "csv", NULL };
static const char *const on_bads[] = { "dead-letter", "skip", "halt", NULL };
static const char *const starts[] = { "earliest", "latest", NULL };
static const char *const on_gaps[] = { "halt", "earliest", NULL };
static const char *const emits[] = { "transaction", "early", NULL };

#define AT(type, member) .offset = offsetof(struct type, member)

static const struct leat_option setting_options[] = {
	{ .name = "memory", .type = LEAT_OPTION_SIZE, AT(leat_settings, memory), .fallback = "256MB", .min = 32 << 20, .max = 1e15, .help = "memory of the process: state, caches, write buffers, queues" },
	{ .name = "commit_ms", .type = LEAT_OPTION_INT, AT(leat_settings, commit_ms), .fallback = "100", .min = 1, .max = 60000, .help = "milliseconds between commits" },
	{ .name = "merge_wait_ms", .type = LEAT_OPTION_INT, AT(leat_settings, merge_wait_ms), .fallback = "0", .min = 0, .max = 60000, .help = "how long a task waits for a silent input before it goes on with the others, milliseconds" },
	{ .name = "skew_ms", .type = LEAT_OPTION_INT, AT(leat_settings, skew_ms), .fallback = "3600000", .min = 0, .max = 1e12, .help = "how far one sender of a re-keyed stream may run ahead of the others in event time, milliseconds" },
	{ .name = "idle_ms", .type = LEAT_OPTION_INT, AT(leat_settings, idle_ms), .fallback = "10000", .min = 0, .max = 1e12, .help = "an input that has been at its end for so long does not hold the watermark back, milliseconds" },
	{ .name = "behind_max", .type = LEAT_OPTION_INT, AT(leat_settings, behind_max), .fallback = "100000", .min = 0, .max = 1e9, .help = "changelog records that the local store may lag behind, per process: bounds the replay after a crash; fewer with less than 256MB of memory" },
	{ .name = "uncommitted_max", .type = LEAT_OPTION_SIZE, AT(leat_settings, uncommitted_max), .fallback = "64MB", .min = 1 << 20, .max = 1e12, .help = "uncommitted state that makes a commit come early, per worker; at most a quarter of memory" },
	{ .name = "workers", .type = LEAT_OPTION_INT, AT(leat_settings, workers), .fallback = "1", .min = 1, .max = 64, .help = "threads that run tasks" },
	{ .name = "tasks", .type = LEAT_OPTION_INT, AT(leat_settings, tasks), .fallback = "4", .min = 1, .max = 1024, .help = "partitions of topics that leat creates itself" },
	{ .name = "batch", .type = LEAT_OPTION_INT, AT(leat_settings, batch), .fallback = "256", .min = 1, .max = LEAT_BATCH_MAX, .help = "events taken at a time at most; the result does not hang on it" },
	{ .name = "guarantee", .type = LEAT_OPTION_CHOICE, AT(leat_settings, guarantee), .fallback = "exactly-once", .choices = guarantees, .help = "what a crash may do to outputs" },
	{ .name = "schemas", .type = LEAT_OPTION_TEXT, AT(leat_settings, schemas), .optional = true, .help = "folder of the schemas; default: schemas/ beside the pipeline's folder" },
	{ .name = NULL }
};

static const struct leat_option source_options[] = {
	{ .name = "topic", .type = LEAT_OPTION_TEXT, AT(leat_source, topic), .help = "topic to read" },
	{ .name = "schema", .type = LEAT_OPTION_TEXT, AT(leat_source, schema_name), .optional = true, .help = "name of a schema in the schemas folder, or a path ending in .avsc" },
	{ .name = "fields", .type = LEAT_OPTION_TEXT, AT(leat_source, fields_text), .optional = true, .help = "fields as text instead of a schema: \"user:string price:double? type:enum(A,B)\"" },
	{ .name = "format", .type = LEAT_OPTION_CHOICE, AT(leat_source, format), .fallback = "avro", .choices = formats, .help = "form of the bodies" },
	{ .name = "writer", .type = LEAT_OPTION_TEXT, AT(leat_source, writer_name), .optional = true, .help = "avro: schema that all bodies were written with, whatever id their header has; default: by that id" },
	{ .name = "columns", .type = LEAT_OPTION_TEXT, AT(leat_source, csv_columns), .optional = true, .help = "csv: field names in file order, separated by commas, - skips one" },
	{ .name = "separator", .type = LEAT_OPTION_TEXT, AT(leat_source, separator), .fallback = ",", .help = "csv: one character" },
	{ .name = "time", .type = LEAT_OPTION_TEXT, AT(leat_source, time_name), .optional = true, .help = "field with the event time; default: the record's timestamp" },
	{ .name = "id", .type = LEAT_OPTION_TEXT, AT(leat_source, id_name), .optional = true, .help = "field that identifies the event; default: topic, partition and offset" },
	{ .name = "lateness", .type = LEAT_OPTION_DURATION, AT(leat_source, lateness_ms), .fallback = "0", .help = "how much later than the newest event one may still come without being late" },
	{ .name = "on_bad", .type = LEAT_OPTION_CHOICE, AT(leat_source, on_bad), .fallback = "dead-letter", .choices = on_bads, .help = "what becomes of an event that cannot be read, is rejected, or whose output is too large to be written (`output_too_large`)" },
	{ .name = "on_gap", .type = LEAT_OPTION_CHOICE, AT(leat_source, on_gap), .fallback = "halt", .choices = on_gaps, .help = "when records not read yet are gone: stop, or go on with the first there is" },
	{ .name = "start", .type = LEAT_OPTION_CHOICE, AT(leat_source, start), .fallback = "earliest", .choices = starts, .help = "where to begin when nothing was committed yet" },
	{ .name = NULL }
};

static const struct leat_option table_options[] = {
	{ .name = "topic", .type = LEAT_OPTION_TEXT, AT(leat_reference_spec, topic), .optional = true, .help = "compacted topic with the newest record per key" },
	{ .name = "schema", .type = LEAT_OPTION_TEXT, AT(leat_reference_spec, schema_name), .optional = true, .help = "name of a schema in the schemas folder, or a path ending in .avsc" },
	{ .name = "fields", .type = LEAT_OPTION_TEXT, AT(leat_reference_spec, fields_text), .optional = true, .help = "fields as text instead of a schema" },
	{ .name = "format", .type = LEAT_OPTION_CHOICE, AT(leat_reference_spec, format), .fallback = "avro", .choices = formats, .help = "form of the bodies" },
	{ .name = "key", .type = LEAT_OPTION_TEXT, AT(leat_reference_spec, key_name), .help = "field that is the key of a row" },
	{ .name = "history", .type = LEAT_OPTION_TEXT, AT(leat_reference_spec, history_name), .optional = true, .help = "int field with the time (ms since 1970) from which a row holds: all rows of a key are kept, and an event finds the one that held at its own time. The topic must not be compacted by the key alone" },
	{ .name = "rows", .type = LEAT_OPTION_TEXTS, AT(leat_reference_spec, rows), .optional = true, .help = "the rows themselves, as JSON texts, instead of a topic" },
	{ .name = NULL }
};

static const struct leat_option sink_options[] = {
	{ .name = "topic", .type = LEAT_OPTION_TEXT, AT(leat_sink, topic), .help = "topic to write" },
	{ .name = "schema", .type = LEAT_OPTION_TEXT, AT(leat_sink, schema_name), .optional = true, .help = "name of a schema in the schemas folder, or a path ending in .avsc" },
	{ .name = "record", .type = LEAT_OPTION_TEXT, AT(leat_sink, fields_text), .optional = true, .help = "fields as text instead of a schema" },
	{ .name = "format", .type = LEAT_OPTION_CHOICE, AT(leat_sink, format), .fallback = "avro", .choices = formats, .help = "form of the bodies (avro or json)" },
	{ .name = "emit", .type = LEAT_OPTION_CHOICE, AT(leat_sink, emit), .fallback = "transaction", .choices = emits, .help = "with the commit, or at once: then a crash may repeat records, with the same id" },
	{ .name = "schema_id", .type = LEAT_OPTION_INT, AT(leat_sink, schema_id), .fallback = "0", .min = 0, .max = INT32_MAX, .help = "id in the wire header; 0: asked of the registry, or of ids.txt in the schemas folder" },
	{ .name = "key", .type = LEAT_OPTION_TEXT, AT(leat_sink, key_name), .optional = true, .help = "field that becomes the record's key; default: the event's key" },
	{ .name = "headers", .type = LEAT_OPTION_BOOL, AT(leat_sink, headers), .fallback = "false", .help = "hand on the headers of the event" },
	{ .name = NULL }
};

struct registry_options { const char *url, *auth_file, *ca_file; };
static const struct leat_option registry_options[] = {
	{ .name = "url", .type = LEAT_OPTION_TEXT, AT(registry_options, url), .help = "address of a Confluent-compatible schema registry" },
	{ .name = "auth_file", .type = LEAT_OPTION_TEXT, AT(registry_options, auth_file), .optional = true, .help = "file with user:password that others cannot read" },
	{ .name = "ca_file", .type = LEAT_OPTION_TEXT, AT(registry_options, ca_file), .optional = true, .help = "CA certificates for https" },
	{ .name = NULL }
};

/* ---- memory of the pipeline ---- */

static struct leat_keep *keep(struct leat_pipeline *pipeline, size_t size)
{
	struct leat_keep *block = leat_calloc(1, sizeof *block + size);
	if (!block)
		return NULL;
	block->next = pipeline->keep;
	pipeline->keep = block;
	return block;
}

void *leat_pipeline_memory(struct leat_pipeline *pipeline, size_t size)
{
	struct leat_keep *block = keep(pipeline, size);
	return block ? block->bytes : NULL;
}

int leat_pipeline_own_expression(struct leat_pipeline *pipeline, struct leat_expression *expression)
{
	struct leat_keep *block = keep(pipeline, 0);
	if (!block) {
		leat_expression_free(expression);
		return LEAT_ENOMEM;
	}
	block->expression = expression;
	return 0;
}

static void *scope_memory(void *self, size_t size)
{
	return leat_pipeline_memory(self, size);
}

void leat_pipeline_free(struct leat_pipeline *pipeline)
{
	if (!pipeline)
		return;
	for (size_t i = 0; i < pipeline->source_count; i++)
		leat_schema_free(pipeline->sources[i].schema), leat_schema_free(pipeline->sources[i].writer);
	for (size_t i = 0; i < pipeline->sink_count; i++)
		leat_schema_free(pipeline->sinks[i].schema);
	for (size_t i = 0; i < pipeline->table_count; i++) {
		leat_reference_close(pipeline->tables[i].reference);
		leat_schema_free(pipeline->tables[i].schema);
	}
	for (struct leat_keep *block = pipeline->keep, *next; block; block = next) {
		next = block->next;
		leat_expression_free(block->expression);
		leat_free(block);
	}
	leat_yaml_free(pipeline->file);
	leat_free(pipeline);
}

/* ---- sections ---- */

static int parse_map(struct leat_pipeline *pipeline, const char *what, const struct leat_option *table, const struct leat_yaml *map,
		     const char *const *ignore, void *target, struct leat_fault *fault)
{
	struct leat_option_scope scope = { .file = pipeline->file, .what = what, .memory = scope_memory, .self = pipeline };
	return leat_options_parse(&scope, table, map, ignore, target, fault);
}

static int fail_at(struct leat_pipeline *pipeline, int line, struct leat_fault *fault, const char *text, const char *name)
{
	const struct leat_yaml at = { .line = line };
	return leat_yaml_fail(pipeline->file, &at, fault, text, name);
}

static char *folder_of(const char *path, const char *below)
{
	const char *slash = strrchr(path, '/');
	return leat_printf("%.*s%s", slash ? (int)(slash - path + 1) : 0, path, below);
}

static int schema_path(struct leat_pipeline *pipeline, const char *name, char **out)
{
	if (strstr(name, ".avsc"))
		*out = *name == '/' ? leat_strdup(name) : folder_of(pipeline->path, name);
	else if (pipeline->settings.schemas)
		*out = leat_printf("%s/%s.avsc", pipeline->settings.schemas, name);
	else
		*out = NULL;
	return *out || !pipeline->settings.schemas ? 0 : LEAT_ENOMEM;
}

/* @what: "sink 'decisions'", @key: how it calls its fields as text. */
struct named { const char *what, *key; int line; };

static int load_schema(struct leat_pipeline *pipeline, const struct named *of, const char *name, const char *fields_text, struct leat_schema **out, struct leat_fault *fault)
{
	const struct leat_yaml at = { .line = of->line };
	struct leat_fault inner = { 0 };
	if (!name == !fields_text)
		return leat_yaml_fail(pipeline->file, &at, fault, "%s: give either 'schema: NAME' or '%s: \"user:string price:double?\"', %s", of->what, of->key, name ? "not both" : "one of them is needed");
	if (fields_text) {
		struct leat_field *fields;
		LEAT_TRY(leat_fields_parse(pipeline, fields_text, &fields, &at, fault));
		int made = leat_schema_from_fields(out, "record", fields, &inner);
		return made < 0 && made != LEAT_ENOMEM ? leat_yaml_fail(pipeline->file, &at, fault, "%s: %s: %s", of->what, of->key, inner.text) : made;
	}
	char *path;
	LEAT_TRY(schema_path(pipeline, name, &path));
	if (!path)
		return leat_yaml_fail(pipeline->file, &at, fault, "no schemas folder is known for '%s'; set schemas:", name);
	int rc = leat_schema_load(out, path, &inner);
	leat_free(path);
	return rc < 0 ? leat_yaml_fail(pipeline->file, &at, fault, "schema '%s': %s", name, inner.text) : 0;
}

static int read_source(struct leat_pipeline *pipeline, const struct leat_yaml *map, struct leat_fault *fault)
{
	char what[128];
	if (pipeline->source_count == LEAT_SOURCES_MAX)
		return leat_yaml_fail(pipeline->file, map, fault, "more than %d sources", LEAT_SOURCES_MAX);
	struct leat_source *source = &pipeline->sources[pipeline->source_count++];
	snprintf(what, sizeof what, "source '%s'", map->key);
	const struct named of = { what, "fields", map->line };
	source->name = map->key;
	source->line = map->line;
	source->rekey = -1;
	LEAT_TRY(parse_map(pipeline, what, source_options, map, NULL, source, fault));
	if (strlen(source->separator) != 1)
		return leat_yaml_fail(pipeline->file, map, fault, "%s: 'separator' must be one character", what);
	if (source->format == LEAT_FORMAT_CSV && !source->csv_columns)
		return leat_yaml_fail(pipeline->file, map, fault, "%s: csv needs 'columns'", what);
	if (source->writer_name)
		LEAT_TRY(load_schema(pipeline, &of, source->writer_name, NULL, &source->writer, fault));
	return load_schema(pipeline, &of, source->schema_name, source->fields_text, &source->schema, fault);
}

static int read_table(struct leat_pipeline *pipeline, const struct leat_yaml *map, struct leat_fault *fault)
{
	char what[128];
	if (pipeline->table_count == LEAT_SOURCES_MAX)
		return leat_yaml_fail(pipeline->file, map, fault, "more than %d tables", LEAT_SOURCES_MAX);
	struct leat_reference_spec *table = &pipeline->tables[pipeline->table_count++];
	snprintf(what, sizeof what, "table '%s'", map->key);
	table->name = map->key;
	table->line = map->line;
	LEAT_TRY(parse_map(pipeline, what, table_options, map, NULL, table, fault));
	if (!table->topic == !table->rows.items)
		return leat_yaml_fail(pipeline->file, map, fault, "%s: give either a topic or rows", what);
	if (table->format == LEAT_FORMAT_CSV)
		return leat_yaml_fail(pipeline->file, map, fault, "%s: the format must be avro or json", what);
	LEAT_TRY(load_schema(pipeline, &(struct named){ what, "fields", map->line }, table->schema_name, table->fields_text, &table->schema, fault));
	if (leat_schema_find(table->schema, table->key_name) < 0)
		return leat_yaml_fail(pipeline->file, map, fault, "%s: its schema has no field '%s'", what, table->key_name);
	long history = table->history_name ? leat_schema_find(table->schema, table->history_name) : 0;
	if (history < 0 || (table->history_name && leat_schema_field(table->schema, (size_t)history)->type != LEAT_INT))
		return leat_yaml_fail(pipeline->file, map, fault, "%s: history: its schema has no int field '%s'", what, table->history_name);
	return leat_reference_open(&table->reference, table, fault);
}

static int read_sink(struct leat_pipeline *pipeline, const struct leat_yaml *map, struct leat_fault *fault)
{
	static const char *const ignore[] = { "from", "fields", NULL };
	char what[128];
	if (pipeline->sink_count == LEAT_SINKS_MAX)
		return leat_yaml_fail(pipeline->file, map, fault, "more than %d sinks", LEAT_SINKS_MAX);
	struct leat_sink *sink = &pipeline->sinks[pipeline->sink_count++];
	snprintf(what, sizeof what, "sink '%s'", map->key);
	sink->name = map->key;
	sink->line = map->line;
	LEAT_TRY(parse_map(pipeline, what, sink_options, map, ignore, sink, fault));
	if (sink->format == LEAT_FORMAT_CSV)
		return leat_yaml_fail(pipeline->file, map, fault, "%s: the format must be avro or json", what);
	return load_schema(pipeline, &(struct named){ what, "record", map->line }, sink->schema_name, sink->fields_text, &sink->schema, fault);
}

static int each_member(struct leat_pipeline *pipeline, const struct leat_yaml *root, const char *section, bool needed,
		       int (*read)(struct leat_pipeline *, const struct leat_yaml *, struct leat_fault *), struct leat_fault *fault)
{
	const struct leat_yaml *map = leat_yaml_get(root, section);
	if (!map)
		return needed ? leat_yaml_fail(pipeline->file, root, fault, "the section '%s:' is missing", section) : 0;
	if (map->kind != LEAT_YAML_MAP)
		return leat_yaml_fail(pipeline->file, map, fault, "'%s:' must be a map of names", section);
	for (const struct leat_yaml *child = map->first; child; child = child->next) {
		if (child->kind != LEAT_YAML_MAP)
			return leat_yaml_fail(pipeline->file, child, fault, "'%s' must be a map { key: value, ... }", child->key);
		LEAT_TRY(read(pipeline, child, fault));
	}
	return 0;
}

/* name: value, ... into pairs; NULL key ends. */
static int read_pairs(struct leat_pipeline *pipeline, const struct leat_yaml *map, int (*check)(const char *, const char *, struct leat_fault *),
		      struct leat_setting_pair **out, struct leat_fault *fault)
{
	struct leat_setting_pair *pairs = leat_pipeline_memory(pipeline, ((map ? map->count : 0) + 1) * sizeof *pairs);
	*out = pairs;
	if (!pairs)
		return LEAT_ENOMEM;
	for (const struct leat_yaml *child = map ? map->first : NULL; child; child = child->next) {
		struct leat_fault own = { 0 };
		if (!child->key || child->kind != LEAT_YAML_SCALAR)
			return leat_yaml_fail(pipeline->file, child, fault, "settings must be a map { name: value, ... }");
		if (check && child->literal && leat_kafka_setting_secret(child->key))
			return leat_yaml_fail(pipeline->file, child, fault, "kafka setting %s is a secret, which must not stand here: write \"${file:/path}\" (chmod 600) or \"${env:NAME}\"", child->key);
		if (check && check(child->key, child->text, &own) < 0)
			return leat_yaml_fail(pipeline->file, child, fault, "%s", own.text);
		*pairs++ = (struct leat_setting_pair){ child->key, child->text };
	}
	return 0;
}

static int read_kafka(struct leat_pipeline *pipeline, const struct leat_yaml *map, struct leat_fault *fault)
{
	if (map && map->kind != LEAT_YAML_MAP)
		return leat_yaml_fail(pipeline->file, map, fault, "'kafka:' must be a map");
	for (const struct leat_yaml *child = map ? map->first : NULL; child; child = child->next) {
		struct leat_guess guess = { 0 };
		leat_guess(&guess, leat_text(child->key), "brokers");
		leat_guess(&guess, leat_text(child->key), "settings");
		if (!guess.name || guess.distance > 0)
			return leat_yaml_fail(pipeline->file, child, fault, "kafka: unknown key '%s'%s allowed: brokers, settings", child->key, guess.name ? leat_guess_hint(&guess) : ";");
	}
	const struct leat_yaml *brokers = leat_yaml_get(map, "brokers");
	pipeline->brokers = brokers ? brokers->text : NULL;
	return read_pairs(pipeline, leat_yaml_get(map, "settings"), leat_kafka_setting_check, &pipeline->kafka, fault);
}

static int read_registry(struct leat_pipeline *pipeline, const struct leat_yaml *map, struct leat_fault *fault)
{
	struct registry_options options = { 0 };
	if (!map)
		return 0;
	LEAT_TRY(parse_map(pipeline, "registry", registry_options, map, NULL, &options, fault));
	const struct leat_yaml *url = leat_yaml_get(map, "url");
	if (url && !url->variable && leat_registry_url_secret(url->text))
		return leat_yaml_fail(pipeline->file, url, fault, "the registry's password must not stand here: put user:password into a file (chmod 600) and name it in auth_file:");
	pipeline->registry_url = options.url;
	pipeline->registry_auth_file = options.auth_file;
	pipeline->registry_ca_file = options.ca_file;
	return 0;
}

static int read_dead_letters(struct leat_pipeline *pipeline, const struct leat_yaml *map, struct leat_fault *fault)
{
	const struct leat_yaml *topic = leat_yaml_get(map, "topic");
	if (map && (!topic || topic->kind != LEAT_YAML_SCALAR || map->count != 1))
		return leat_yaml_fail(pipeline->file, map, fault, "dead_letters: must be { topic: name }");
	if (topic) {
		pipeline->dead_letter_topic = topic->text;
		return 0;
	}
	size_t size = strlen(pipeline->name) + sizeof ".dead-letters";
	char *name = leat_pipeline_memory(pipeline, size);
	if (!name)
		return LEAT_ENOMEM;
	snprintf(name, size, "%s.dead-letters", pipeline->name);
	pipeline->dead_letter_topic = name;
	return 0;
}

static bool good_name(const char *name)
{
	size_t length = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-");
	return length > 0 && length <= 100 && !name[length] && strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

static int read_name(struct leat_pipeline *pipeline, const struct leat_yaml *root, struct leat_fault *fault)
{
	const struct leat_yaml *name = leat_yaml_get(root, "pipeline");
	if (root->kind != LEAT_YAML_MAP || !name)
		return leat_yaml_fail(pipeline->file, root, fault, "not a pipeline file: 'pipeline: name' is missing");
	if (name->kind != LEAT_YAML_SCALAR || !good_name(name->text))
		return leat_yaml_fail(pipeline->file, name, fault, "the pipeline's name must be 1 to 100 letters, digits, '.', '_' or '-'");
	pipeline->name = name->text;
	return 0;
}

static int default_schemas(struct leat_pipeline *pipeline)
{
	if (pipeline->settings.schemas)
		return 0;
	char *path = folder_of(pipeline->path, "../schemas");
	char *kept = path ? leat_pipeline_memory(pipeline, strlen(path) + 1) : NULL;
	if (kept)
		pipeline->settings.schemas = memcpy(kept, path, strlen(path) + 1);
	leat_free(path);
	return kept ? 0 : LEAT_ENOMEM;
}

/* What Kafka takes as a topic's name. */
static int check_topic(struct leat_pipeline *pipeline, int line, const char *topic, struct leat_fault *fault)
{
	size_t length = strspn(topic, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-");
	if (length > 0 && length <= 249 && !topic[length] && strcmp(topic, ".") != 0 && strcmp(topic, "..") != 0)
		return 0;
	return fail_at(pipeline, line, fault, "'%.60s' cannot be a topic's name: 1 to 249 letters, digits, '.', '_' or '-'", topic);
}

static int check_topics(struct leat_pipeline *pipeline, struct leat_fault *fault)
{
	for (size_t i = 0; i < pipeline->source_count; i++)
		LEAT_TRY(check_topic(pipeline, pipeline->sources[i].line, pipeline->sources[i].topic, fault));
	for (size_t i = 0; i < pipeline->table_count; i++)
		if (pipeline->tables[i].topic)
			LEAT_TRY(check_topic(pipeline, pipeline->tables[i].line, pipeline->tables[i].topic, fault));
	for (size_t i = 0; i < pipeline->sink_count; i++)
		LEAT_TRY(check_topic(pipeline, pipeline->sinks[i].line, pipeline->sinks[i].topic, fault));
	return check_topic(pipeline, 0, pipeline->dead_letter_topic, fault);
}

static int check_emit(struct leat_pipeline *pipeline, struct leat_fault *fault)
{
	for (size_t i = 0; i < pipeline->sink_count; i++) {
		struct leat_sink *a = &pipeline->sinks[i];
		if (strcmp(a->topic, pipeline->dead_letter_topic) == 0 && a->emit == LEAT_EMIT_EARLY)
			return fail_at(pipeline, a->line, fault, "sink '%s' emits early into the dead-letter topic, which is written in transactions", a->name);
		for (size_t j = 0; j < i; j++)
			if (strcmp(a->topic, pipeline->sinks[j].topic) == 0 && a->emit != pipeline->sinks[j].emit)
				return fail_at(pipeline, a->line, fault, "sink '%s': a topic is written either early or in transactions, never both: a plain record behind an open transaction is invisible to read_committed readers", a->name);
		for (size_t j = 0; j < pipeline->source_count; j++)
			if (strcmp(a->topic, pipeline->sources[j].topic) == 0)
				return fail_at(pipeline, a->line, fault, "sink '%s' writes a topic that the pipeline reads: a loop", a->name);
	}
	return 0;
}

/* All but what flows: the settings, and how Kafka and the registry are reached. */
static int read_connection(struct leat_pipeline *pipeline, struct leat_fault *fault)
{
	static const char *const sections[] = { "pipeline", "kafka", "embedded", "registry", "sources", "tables", "operators", "sinks", "dead_letters", NULL };
	const struct leat_yaml *root = leat_yaml_root(pipeline->file);
	LEAT_TRY(parse_map(pipeline, "pipeline", setting_options, root, sections, &pipeline->settings, fault));
	LEAT_TRY(read_kafka(pipeline, leat_yaml_get(root, "kafka"), fault));
	LEAT_TRY(read_pairs(pipeline, leat_yaml_get(root, "embedded"), NULL, &pipeline->embedded, fault));
	return read_registry(pipeline, leat_yaml_get(root, "registry"), fault);
}

static int read_sections(struct leat_pipeline *pipeline, struct leat_fault *fault)
{
	const struct leat_yaml *root = leat_yaml_root(pipeline->file);
	LEAT_TRY(read_name(pipeline, root, fault));
	LEAT_TRY(read_connection(pipeline, fault));
	LEAT_TRY(default_schemas(pipeline));
	LEAT_TRY(read_dead_letters(pipeline, leat_yaml_get(root, "dead_letters"), fault));
	LEAT_TRY(each_member(pipeline, root, "sources", true, read_source, fault));
	LEAT_TRY(each_member(pipeline, root, "tables", false, read_table, fault));
	LEAT_TRY(each_member(pipeline, root, "sinks", false, read_sink, fault));
	LEAT_TRY(check_topics(pipeline, fault));
	LEAT_TRY(check_emit(pipeline, fault));
	return leat_plan_resolve(pipeline, fault);
}

static size_t name_length(const char *path)
{
	return strcspn(path, ".=");
}

/* What stands in a section: its keys, or the ids of a list. */
static const char *name_of(const struct leat_yaml *child)
{
	const struct leat_yaml *id = leat_yaml_get(child, "id");
	return child->key ? child->key : id && id->text ? id->text : "";
}

/* A mistyped name would otherwise become a second, half-made sink. */
static int check_override(const struct leat_pipeline *pipeline, const char *text, struct leat_fault *fault)
{
	static const char *const sections[] = { "sources", "tables", "operators", "sinks" };
	char list[300] = "";
	size_t used = 0, length = name_length(text);
	struct leat_guess guess = { 0 };
	for (size_t i = 0; i < LEAT_COUNT_OF(sections); i++) {
		if (strlen(sections[i]) != length || strncmp(text, sections[i], length) != 0 || text[length] != '.')
			continue;
		const struct leat_yaml *section = leat_yaml_get(leat_yaml_root(pipeline->file), sections[i]);
		const char *name = text + length + 1;
		for (const struct leat_yaml *child = section ? section->first : NULL; child; child = child->next) {
			const char *known = name_of(child);
			if (strlen(known) == name_length(name) && strncmp(known, name, strlen(known)) == 0)
				return 0;
			leat_guess(&guess, leat_bytes(name, name_length(name)), known);
			used += used < sizeof list ? (size_t)snprintf(list + used, sizeof list - used, "%s%s", used ? ", " : "", known) : 0;
		}
		return leat_fail(fault, LEAT_ECONFIG, "--set %s: '%s:' of %s has no '%.*s'%s it has: %s", text, sections[i], pipeline->path, (int)name_length(name), name, guess.name ? leat_guess_hint(&guess) : ";", used ? list : "none");
	}
	return 0;
}

static int apply_overrides(struct leat_pipeline *pipeline, const char *const *overrides, struct leat_fault *fault)
{
	for (; overrides && *overrides; overrides++) {
		char path[256];
		const char *equals = strchr(*overrides, '=');
		if (!equals || (size_t)(equals - *overrides) >= sizeof path)
			return leat_fail(fault, LEAT_ECONFIG, "--set %s: must be PATH=VALUE", *overrides);
		LEAT_TRY(check_override(pipeline, *overrides, fault));
		memcpy(path, *overrides, (size_t)(equals - *overrides));
		path[equals - *overrides] = 0;
		LEAT_TRY(leat_yaml_set(pipeline->file, path, equals + 1, fault));
	}
	return 0;
}

typedef int reader(struct leat_pipeline *pipeline, struct leat_fault *fault);

static int parse(struct leat_pipeline **out, const char *path, const char *text, size_t length, const char *const *overrides, reader *read, struct leat_fault *fault)
{
	struct leat_pipeline *pipeline = leat_calloc(1, sizeof *pipeline);
	int rc = LEAT_ENOMEM;
	*out = NULL;
	if (!pipeline)
		goto out;
	rc = leat_yaml_parse(&pipeline->file, path, text, length, fault);
	if (rc < 0)
		goto out;
	pipeline->path = leat_yaml_path(pipeline->file);
	pipeline->config_hash = leat_hash(text, length);
	rc = apply_overrides(pipeline, overrides, fault);
	if (rc >= 0)
		rc = read(pipeline, fault);
	if (rc < 0)
		goto out;
	*out = pipeline;
	pipeline = NULL;
out:
	if (rc == LEAT_ENOMEM)
		leat_fail(fault, rc, "%s: out of memory", path);
	leat_pipeline_free(pipeline);
	return rc;
}

static int load(struct leat_pipeline **out, const char *path, const char *const *overrides, reader *read, struct leat_fault *fault)
{
	struct leat_buffer text = { 0 };
	*out = NULL;
	int rc = leat_file_read(path, 1 << 20, false, &text, fault);
	if (rc >= 0)
		rc = parse(out, path, (const char *)text.data, text.length, overrides, read, fault);
	leat_buffer_free(&text);
	return rc;
}

int leat_pipeline_parse(struct leat_pipeline **out, const char *path, const char *text, size_t length, const char *const *overrides, struct leat_fault *fault)
{
	return parse(out, path, text, length, overrides, read_sections, fault);
}

int leat_pipeline_load(struct leat_pipeline **out, const char *path, const char *const *overrides, struct leat_fault *fault)
{
	return load(out, path, overrides, read_sections, fault);
}

int leat_pipeline_load_connection(struct leat_pipeline **out, const char *path, struct leat_fault *fault)
{
	return load(out, path, NULL, read_connection, fault);
}

void leat_pipeline_print_options(FILE *out)
{
	static const struct { const char *title; const struct leat_option *table; } all[] = {
		{ "Settings (top level)", setting_options }, { "sources.NAME", source_options }, { "tables.NAME", table_options },
		{ "sinks.NAME (besides `from:` and `fields: {schema field: column}`)", sink_options }, { "registry", registry_options },
	};
	for (size_t i = 0; i < LEAT_COUNT_OF(all); i++) {
		fprintf(out, "\n### %s\n\n", all[i].title);
		leat_options_print(all[i].table, out);
	}
	fprintf(out, "\n### kafka\n\n`brokers:` host:port,... unless `--brokers` is given. `settings: { name: value }` goes to librdkafka as it is; what leat needs itself is refused with the reason. Of librdkafka's settings these may be set: ");
	leat_kafka_settings_print(out);
	fprintf(out, ".\nSecrets (");
	leat_kafka_secrets_print(out);
	fprintf(out, ") are written as `\"${file:/path}\"` or `\"${env:NAME}\"`, never as they are; files that hold secrets must be open to their owner only (`chmod 600`), or be root's and readable by the group of a process that is not root (mode 0440, as Kubernetes mounts them with `fsGroup`).\n`debug: broker,security` (or another of librdkafka's contexts) prints what librdkafka does to standard error.\n\n### Types of fields\n\n");
	leat_fields_print(out);
}
