/* leat test: a user's own pipeline against events given and records expected, on the embedded transport in a folder of its own. */
#include "cli/cli.h"
#include "cli/watch.h"

#include <ftw.h>
#include <jansson.h>
#include <stdlib.h>
#include <unistd.h>

struct test {
	struct leat *leat;
	const char *given, *expected;
	json_t *got;                   /* sink name → array of { key, value } */
	size_t wrong;
};

static int bad_line(const char *path, size_t line, const char *what, struct leat_fault *fault)
{
	return leat_fail(fault, LEAT_ECONFIG, "%s:%zu: %s", path, line, what);
}

/* Calls @each for every line that is not empty. */
static int each_line(struct test *test, const char *path, int (*each)(struct test *, const json_t *, size_t, struct leat_fault *), struct leat_fault *fault)
{
	struct leat_buffer text = { 0 };
	size_t number = 0;
	int rc = leat_file_read(path, 64 << 20, false, &text, fault);
	char *rest = (char *)text.data, *line;
	while (rc >= 0 && (line = strsep(&rest, "\n"))) {
		number++;
		if (!*line)
			continue;
		json_error_t error;
		json_t *object = json_loads(line, JSON_REJECT_DUPLICATES, &error);
		rc = json_is_object(object) ? each(test, object, number, fault) : bad_line(path, number, object ? "must be an object" : error.text, fault);
		json_decref(object);
	}
	leat_buffer_free(&text);
	return rc;
}

/* ---- given ---- */

static int bad_name(const struct test *test, const char *path, size_t number, bool sink, const char *name, struct leat_fault *fault)
{
	const struct leat_pipeline *pipeline = test->leat->pipeline;
	const char *kind = sink ? "sink" : "source";
	char known[300] = "";
	size_t used = 0, count = sink ? pipeline->sink_count : pipeline->source_count;
	for (size_t i = 0; i < count && used < sizeof known; i++)
		if (sink || (pipeline->sources[i].schema && pipeline->sources[i].rekey < 0))
			used += (size_t)snprintf(known + used, sizeof known - used, "%s%s", used ? ", " : "", sink ? pipeline->sinks[i].name : pipeline->sources[i].name);
	if (sink && used < sizeof known)
		snprintf(known + used, sizeof known - used, "%sdead_letters", used ? ", " : "");
	if (!name)
		return leat_fail(fault, LEAT_ECONFIG, "%s:%zu: needs \"%s\": one of %s", path, number, kind, known);
	return leat_fail(fault, LEAT_ECONFIG, "%s:%zu: there is no %s '%s'; there are: %s", path, number, kind, name, known);
}

static bool is_sink(const struct leat_pipeline *pipeline, const char *name)
{
	for (size_t i = 0; i < pipeline->sink_count; i++)
		if (strcmp(pipeline->sinks[i].name, name) == 0)
			return true;
	return strcmp(name, "dead_letters") == 0;
}

static const struct leat_source *find_source(const struct leat_pipeline *pipeline, const char *name)
{
	for (size_t i = 0; name && i < pipeline->source_count; i++)
		if (pipeline->sources[i].schema && strcmp(pipeline->sources[i].name, name) == 0)
			return &pipeline->sources[i];
	return NULL;
}

static int does_not_fit(const struct leat_source *source, const struct leat_json_decoder *decoder, const char *json, struct leat_fault *fault)
{
	char detail[200];
	enum leat_bad bad = leat_json_decoder_explain(decoder, leat_text(json), detail, sizeof detail);
	return leat_fail(fault, LEAT_ECONFIG, "the value does not fit the schema of source '%s': %s%s%s", source->name, leat_bad_text(bad), detail[0] ? ": " : "", detail);
}

/* The JSON value as an Avro body with a wire header, by the source's own schema. */
static int to_avro(struct test *test, const struct leat_source *source, const char *json, struct leat_buffer *out, struct leat_fault *fault)
{
	const struct leat_schema *schema = source->schema;
	size_t count = leat_schema_count(schema);
	const struct leat_field *fields[LEAT_SLOTS_MAX];
	int slots[LEAT_SLOTS_MAX];
	struct leat_column *columns = NULL;
	struct leat_json_decoder *decoder = NULL;
	struct leat_encoder *encoder = NULL;
	struct leat_arena *arena = NULL;
	uint8_t header[LEAT_WIRE_HEADER];
	int32_t id = 0;
	for (size_t i = 0; i < count; i++) {
		fields[i] = leat_schema_field(schema, i);
		slots[i] = (int)i;
	}
	int rc = leat_columns_make(&columns, fields, count);
	if (rc < 0 || (rc = leat_arena_open(&arena, 1 << 16)) < 0 || (rc = leat_json_decoder_open(&decoder, schema, slots, fault)) < 0 ||
	    (rc = leat_encoder_compile(&encoder, schema, slots, fields, fault)) < 0)
		goto out;
	if (!source->writer && test->leat->registry && (rc = leat_registry_register(test->leat->registry, source->topic, leat_schema_json(schema), &id, fault)) < 0)
		goto out;
	enum leat_bad bad = leat_json_decoder_run(decoder, leat_text(json), columns, 0, arena);
	leat_wire_write(header, id);
	if (bad)
		rc = does_not_fit(source, decoder, json, fault);
	else if ((rc = leat_buffer_append(out, header, sizeof header)) >= 0)
		rc = leat_encoder_run(encoder, columns, 0, out);
out:
	leat_encoder_free(encoder);
	leat_json_decoder_free(decoder);
	leat_arena_close(arena);
	if (columns)
		leat_columns_free(columns, count);
	return rc;
}

static int send(struct test *test, const char *topic, const struct leat_record *record, struct leat_fault *fault)
{
	const struct leat_transport_ops *ops = test->leat->transport->ops;
	const struct leat_session_config config = { .worker = -1, .tasks = 1, .memory = 4 << 20 };
	struct leat_session *session;
	LEAT_TRY(ops->session_open(test->leat->transport, &config, &session, fault));
	int rc = ops->session_send(session, topic, 0, record, 0, fault);
	if (rc >= 0)
		rc = ops->session_commit(session, NULL, 0, "", fault);
	ops->session_close(session, true);
	return rc;
}

static int give(struct test *test, const json_t *line, size_t number, struct leat_fault *fault)
{
	const char *name = json_string_value(json_object_get(line, "source"));
	const struct leat_source *source = find_source(test->leat->pipeline, name);
	const json_t *value = json_object_get(line, "value"), *key = json_object_get(line, "key"), *time = json_object_get(line, "timestamp");
	struct leat_buffer body = { 0 };
	if (!source)
		return bad_name(test, test->given, number, false, name, fault);
	if (!value)
		return bad_line(test->given, number, "needs \"value\"", fault);
	char *text = json_is_string(value) ? leat_strdup(json_string_value(value)) : json_dumps(value, JSON_COMPACT);
	int rc = !text ? LEAT_ENOMEM : source->format == LEAT_FORMAT_AVRO && !json_is_string(value) ? to_avro(test, source, text, &body, fault) : leat_buffer_append(&body, text, strlen(text));
	struct leat_record record = { .timestamp_ms = json_is_integer(time) ? json_integer_value(time) : 4102444800000, .key = key ? leat_text(json_string_value(key) ? json_string_value(key) : "") : leat_bytes(NULL, 0),
				      .value = leat_bytes(body.data ? body.data : (const uint8_t *)"", body.length) };
	if (rc >= 0)
		rc = send(test, source->topic, &record, fault);
	else if (fault->code == LEAT_ECONFIG) {
		struct leat_fault inner = *fault;
		bad_line(test->given, number, inner.text, fault);
	}
	leat_free(text);
	leat_buffer_free(&body);
	return rc;
}

/* ---- what came ---- */

static json_t *value_of(const struct leat_sink *sink, const struct leat_record *record)
{
	struct leat_buffer text = { 0 };
	struct leat_bytes body = record->value;
	int32_t id;
	const char *schema = sink ? leat_schema_json(sink->schema) : NULL;
	json_t *value = NULL;
	if (sink && sink->format == LEAT_FORMAT_AVRO && !leat_wire_read(record->value, &id, &body) && !leat_avro_print(schema, strlen(schema), body, &text))
		value = json_loadb((const char *)text.data, text.length, JSON_DECODE_ANY, NULL);
	else
		value = json_loadb((const char *)body.data, body.length, JSON_DECODE_ANY, NULL);
	leat_buffer_free(&text);
	return value ? value : json_stringn_nocheck((const char *)record->value.data, record->value.length);
}

static void add_record(struct test *test, const char *name, const struct leat_sink *sink, const struct leat_record *record)
{
	json_t *list = json_object_get(test->got, name), *row = json_object();
	if (!list) {
		list = json_array();
		json_object_set_new(test->got, name, list);
	}
	json_object_set_new(row, "value", value_of(sink, record));
	if (record->key.data)
		json_object_set_new(row, "key", json_stringn_nocheck((const char *)record->key.data, record->key.length));
	for (uint32_t i = 0; i < record->header_count; i++)
		if (leat_bytes_equal(record->headers[i].name, leat_text("leat.reason")))
			json_object_set_new(row, "reason", json_stringn_nocheck((const char *)record->headers[i].value.data, record->headers[i].value.length));
	json_array_append_new(list, row);
}

static int collect(struct test *test, const char *name, const char *topic, const struct leat_sink *sink, struct leat_fault *fault)
{
	const struct leat_transport_ops *ops = test->leat->transport->ops;
	struct leat_reader *reader;
	bool at_end = false;
	int rc = ops->reader_open(test->leat->transport, topic, 0, 0, &reader, fault);
	while (rc >= 0 && !at_end) {
		const struct leat_record *records;
		int64_t position;
		long count = ops->reader_next(reader, &records, 100, 0, &at_end, &position, fault);
		for (long i = 0; i < count; i++)
			add_record(test, name, sink, &records[i]);
		rc = count < 0 ? (int)count : 0;
	}
	if (rc >= 0)
		ops->reader_close(reader);
	return rc;
}

/* Every member of @want must be in @got and equal; members that @want does not name do not matter. */
static bool fits(const json_t *want, const json_t *got)
{
	const char *name;
	json_t *member;
	if (!json_is_object(want) || !json_is_object(got))
		return (json_is_number(want) && json_is_number(got) && json_number_value(want) == json_number_value(got)) || json_equal((json_t *)(uintptr_t)want, (json_t *)(uintptr_t)got);
	json_object_foreach((json_t *)(uintptr_t)want, name, member)
		if (!json_object_get(got, name) || !fits(member, json_object_get(got, name)))
			return false;
	return true;
}

static int compare(struct test *test, const json_t *line, size_t number, struct leat_fault *fault)
{
	const char *sink = json_string_value(json_object_get(line, "sink"));
	if (!sink || !is_sink(test->leat->pipeline, sink))
		return bad_name(test, test->expected, number, true, sink, fault);
	json_t *list = json_object_get(test->got, sink), *want = json_deep_copy(line);
	json_object_del(want, "sink");
	char *wanted = json_dumps(want, JSON_COMPACT), *found = json_array_size(list) ? json_dumps(json_array_get(list, 0), JSON_COMPACT) : NULL;
	if (!found || !fits(want, json_array_get(list, 0))) {
		printf("%s:%zu: %s\n  expected %s\n  got      %s\n", test->expected, number, sink, wanted, found ? found : "nothing more");
		test->wrong++;
	}
	if (found)
		json_array_remove(list, 0);
	leat_free(found);
	leat_free(wanted);
	json_decref(want);
	return 0;
}

static void report_rest(struct test *test)
{
	const char *name;
	json_t *list, *row;
	size_t index;
	json_object_foreach(test->got, name, list)
		json_array_foreach(list, index, row) {
			char *text = json_dumps(row, JSON_COMPACT);
			printf("%s: %s: not expected: %s\n", test->expected, name, text);
			leat_free(text);
			test->wrong++;
		}
}

/* ---- the run ---- */

static int collect_all(struct test *test, struct leat_fault *fault)
{
	const struct leat_pipeline *pipeline = test->leat->pipeline;
	for (size_t i = 0; i < pipeline->sink_count; i++)
		LEAT_TRY(collect(test, pipeline->sinks[i].name, pipeline->sinks[i].topic, &pipeline->sinks[i], fault));
	return collect(test, "dead_letters", pipeline->dead_letter_topic, NULL, fault);
}

static int go(struct test *test, struct leat_fault *fault)
{
	int rc = each_line(test, test->given, give, fault);
	if (rc < 0 || (rc = leat_start(test->leat, fault)) < 0)
		return rc;
	while ((rc = leat_wait(test->leat, 1000, fault)) == 0)
		if (leat_interrupted(NULL))
			return leat_fail(fault, LEAT_ESTOPPED, "interrupted");
	if (rc < 0 || (rc = collect_all(test, fault)) < 0)
		return rc;
	rc = each_line(test, test->expected, compare, fault);
	report_rest(test);
	return rc;
}

static int remove_one(const char *path, const struct stat *about, int flag, struct FTW *where)
{
	(void)about;
	(void)flag;
	(void)where;
	return remove(path);
}

static int verb(int count, char **arguments)
{
	const char *overrides[64] = { NULL };
	const struct leat_flag flags[] = { { "--set", LEAT_FLAG_LIST, overrides, "PATH=VALUE: another value for one setting" } };
	int left = leat_flags_parse(&leat_verb_test, flags, LEAT_COUNT_OF(flags), count, arguments);
	char folder[] = "/tmp/leat-test-XXXXXX";
	struct leat_fault fault = { 0 };
	if (left < 0)
		return LEAT_EXIT_USAGE;
	if (left != 3)
		return leat_usage(&leat_verb_test, "three files are needed");
	for (size_t i = 0; i < LEAT_COUNT_OF(overrides) - 1; i++)
		if (!overrides[i]) {
			overrides[i] = "tasks=1";
			break;
		}
	if (!mkdtemp(folder))
		return leat_fail(&fault, LEAT_EIO, "cannot make a folder in /tmp"), leat_failed(&fault);
	leat_catch_signals();
	leat_log_level = LEAT_ERROR;
	struct test test = { .given = arguments[1], .expected = arguments[2], .got = json_object() };
	const struct leat_config config = { .pipeline = arguments[0], .overrides = overrides, .embedded = folder, .until_end = true };
	int rc = leat_open(&test.leat, &config, &fault);
	if (rc >= 0)
		rc = go(&test, &fault);
	leat_close(test.leat);
	json_decref(test.got);
	nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	if (rc < 0)
		return leat_failed(&fault);
	if (test.wrong)
		printf("%zu difference%s\n", test.wrong, leat_s(test.wrong));
	else
		printf("as expected\n");
	return test.wrong ? LEAT_EXIT_FAILED : LEAT_EXIT_OK;
}

const struct leat_verb leat_verb_test = {
	"test", "PIPELINE GIVEN.jsonl EXPECT.jsonl [--set PATH=VALUE]", "runs a pipeline on events given and compares what leaves it", verb,
	"GIVEN: one object per line: {\"source\":\"clicks\",\"key\":\"u1\",\"timestamp\":1700000000000,\"value\":{...}}; a value that is a text goes in as it is.\n"
	"EXPECT: one object per line, in the order of each sink: {\"sink\":\"decisions\",\"key\":\"u1\",\"value\":{...}}; members that are not named do not matter.\n"
	"Dead letters are the sink \"dead_letters\" and have a member \"reason\"."
};
