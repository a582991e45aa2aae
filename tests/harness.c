/* The scenario runner: builds a pipeline text around one operator, feeds it through the embedded transport, and reruns it under every condition. */
#include "tests/harness.h"

#include "stream/worker.h"
#include "tests/harness_run.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

enum { EVENTS_MAX = 256, RUN_TEXT_MAX = 1 << 16 };

/* ---- the pipeline text ---- */

static const char *type_word(const struct leat_field *field, char *out, size_t size)
{
	static const char *const words[LEAT_TYPES] = { [LEAT_BOOL] = "bool", [LEAT_INT] = "int", [LEAT_ENUM] = "string", [LEAT_FLOAT] = "float", [LEAT_DOUBLE] = "double", [LEAT_STRING] = "string",
						       [LEAT_BYTES] = "bytes", [LEAT_VECTOR] = "floats", [LEAT_STRINGS] = "strings", [LEAT_FLOATS] = "floats" };
	snprintf(out, size, "%s?", words[field->type]);
	return out;
}

static void add_before(struct leat_buffer *text, const char *before)
{
	/* The list's items follow one another; each takes from the one before it unless it says otherwise. */
	size_t length = strlen(before);
	if (length > 2)
		leat_buffer_printf(text, "%.*s, ", (int)(length - 2), before + 1);
}

static const char *last_id(const char *before, char *out, size_t size)
{
	const char *at = before, *found = NULL;
	snprintf(out, size, "in");
	while (before && (at = strstr(at, "id:"))) {
		found = at + 3;
		at += 3;
	}
	if (found)
		snprintf(out, size, "%.*s", (int)strcspn(found + strspn(found, " "), ", }"), found + strspn(found, " "));
	return out;
}

static void add_head(struct leat_buffer *text, const struct leat_scenario *s, const struct scenario_run *run)
{
	leat_buffer_printf(text, "pipeline: scenario%d\ntasks: 1\nbatch: %d\ncommit_ms: 1\nmemory: 64MB\nidle_ms: 100000000\n", run->number, run->batch);
	leat_buffer_printf(text, "sources: { in: { topic: in%d, format: json, fields: \"%s\", lateness: %s", run->number, s->fields, s->lateness ? s->lateness : "0");
	if (s->time)
		leat_buffer_printf(text, ", time: %s", s->time);
	if (s->id)
		leat_buffer_printf(text, ", id: %s", s->id);
	leat_buffer_printf(text, " } }\n");
	if (s->tables)
		leat_buffer_printf(text, "tables: %s\n", s->tables);
}

static void add_operators(struct leat_buffer *text, const struct leat_scenario *s)
{
	char from[64];
	leat_buffer_printf(text, "operators: [ ");
	if (s->before)
		add_before(text, s->before);
	leat_buffer_printf(text, "{ id: op, use: %s, from: %s%s%s } ]\n", s->use, last_id(s->before, from, sizeof from), s->with ? ", with: " : "", s->with ? s->with : "");
}

/* One sink per output; the names of its fields carry the output, so that all sinks can share a topic, where the engine keeps the order. */
static void add_sink(struct leat_buffer *text, const struct leat_scenario *s, const struct leat_pipeline *plan, const char *output, int index, int number)
{
	char show[1024], word[32], *rest = show, *name;
	const struct leat_node *node = &plan->nodes[plan->node_count - 1];
	const struct leat_layout *layout = &plan->streams[node->emits[index] >= 0 ? node->emits[index] : node->stream].layout;
	struct leat_buffer fields = { 0 };
	snprintf(show, sizeof show, "%s", s->show);
	leat_buffer_printf(text, "%s%s: { from: op.%s, topic: out%d, format: json, record: \"mark_%s:bool?", index ? ", " : "", output, output, number, output);
	while ((name = strsep(&rest, " "))) {
		int slot = *name ? leat_layout_find(layout, name) : -1;
		if (slot < 0)
			continue;
		leat_buffer_printf(text, " v_%s:%s", name, type_word(&layout->fields[slot], word, sizeof word));
		leat_buffer_printf(&fields, "%sv_%s: %s", fields.length ? ", " : "", name, name);
	}
	leat_buffer_printf(text, "\", fields: { %.*s } }", (int)fields.length, (const char *)fields.data);
	leat_buffer_free(&fields);
}

static struct leat_pipeline *parse(const struct leat_buffer *text, struct leat_fault *fault)
{
	struct leat_pipeline *pipeline;
	leat_pipeline_parse(&pipeline, "scenario.yaml", (const char *)text->data, text->length, NULL, fault);
	return pipeline;
}

struct leat_pipeline *scenario_pipeline(const struct leat_scenario *s, const struct scenario_run *run, struct leat_fault *fault)
{
	struct leat_buffer text = { 0 };
	add_head(&text, s, run);
	add_operators(&text, s);
	struct leat_pipeline *plan = parse(&text, fault), *whole = NULL;
	if (plan) {
		const struct leat_output *outputs = plan->nodes[plan->node_count - 1].op->outputs;
		leat_buffer_printf(&text, "sinks: { ");
		for (int i = 0; outputs && outputs[i].name; i++)
			add_sink(&text, s, plan, outputs[i].name, i, run->number);
		leat_buffer_printf(&text, " }\n");
		leat_pipeline_free(plan);
		whole = parse(&text, fault);
	}
	if (!whole)
		leat_buffer_printf(&text, "%c", 0), fault->fatal = true;
	leat_buffer_free(&text);
	return whole;
}

/* ---- the printed rows ---- */

static void print_value(struct leat_buffer *out, const json_t *value)
{
	size_t index;
	const json_t *item;
	if (json_is_string(value))
		leat_buffer_printf(out, "%s", json_string_value(value));
	else if (json_is_integer(value))
		leat_buffer_printf(out, "%lld", (long long)json_integer_value(value));
	else if (json_is_real(value))
		leat_buffer_printf(out, "%.6g", json_real_value(value));
	else if (json_is_boolean(value))
		leat_buffer_printf(out, "%s", json_is_true(value) ? "true" : "false");
	else if (json_is_array(value)) {
		leat_buffer_printf(out, "[");
		json_array_foreach(value, index, item) {
			leat_buffer_printf(out, "%s", index ? "," : "");
			print_value(out, item);
		}
		leat_buffer_printf(out, "]");
	} else {
		leat_buffer_printf(out, "null");
	}
}

void scenario_print(struct leat_buffer *out, struct leat_bytes body, const char *show)
{
	char names[1024], key[128], *rest = names, *name;
	json_t *object = json_loadb((const char *)body.data, body.length, 0, NULL);
	const char *member;
	json_t *value;
	json_object_foreach(object, member, value)
		if (strncmp(member, "mark_", 5) == 0)
			leat_buffer_printf(out, "%s:", member + 5);
	snprintf(names, sizeof names, "%s", show);
	while ((name = strsep(&rest, " "))) {
		snprintf(key, sizeof key, "v_%s", name);
		value = json_object_get(object, key);
		if (!*name || !value)
			continue;
		leat_buffer_printf(out, " ");
		print_value(out, value);
	}
	leat_buffer_printf(out, "\n");
	json_decref(object);
}

/* ---- checking ---- */

static void check(const struct leat_scenario *s, const char *how, const char *got)
{
	if (strcmp(s->then, got) == 0)
		return;
	print_error("%s, %s:\nexpected:\n%s\ngot:\n%s\n", s->use, how, s->then, got);
	fail();
}

static size_t count_events(const struct leat_scenario *s)
{
	size_t count = 0;
	while (s->when[count])
		count++;
	return count;
}

void leat_scenario(const struct leat_scenario *s)
{
	size_t events = count_events(s);
	assert_true(events <= EVENTS_MAX);
	struct scenario_host *host = scenario_host_open();
	struct scenario_run plain = { .batch = LEAT_BATCH_MAX };
	char how[64];
	char *got = scenario_go(host, s, &plain);
	check(s, "in one batch", got);
	free(got);
	for (size_t batch = 1; batch < LEAT_MIN(events, (size_t)8); batch++) {
		struct scenario_run run = { .batch = (int)batch };
		snprintf(how, sizeof how, "in batches of %zu", batch);
		got = scenario_go(host, s, &run);
		check(s, how, got);
		free(got);
	}
	struct scenario_run evicting = { .batch = 2, .evict = true };
	got = scenario_go(host, s, &evicting);
	check(s, "with state going to disk after each batch", got);
	free(got);
	if (!(s->without & LEAT_SCENARIO_RESTORE)) {
		struct scenario_run killed = { .batch = 1, .kill = true };
		got = scenario_go(host, s, &killed);
		check(s, "killed and restored around each event", got);
		free(got);
	}
	for (uint64_t nth = 1, made = 1; !(s->without & LEAT_SCENARIO_ALLOCATIONS) && nth <= LEAT_MIN(made, (uint64_t)40); nth++) {
		struct scenario_run failing = { .batch = 3, .fail_at = nth };
		snprintf(how, sizeof how, "when allocation %llu fails", (unsigned long long)nth);
		got = scenario_go(host, s, &failing);
		made = failing.allocations;
		check(s, how, got);
		free(got);
	}
}

void leat_scenario_refused(const char *use, const char *with, const char *fields, const char *text)
{
	const struct leat_scenario s = { .use = use, .with = with, .fields = fields, .show = "" };
	struct scenario_run run = { .batch = 1 };
	struct leat_fault fault = { 0 };
	struct leat_pipeline *pipeline = scenario_pipeline(&s, &run, &fault);
	if (pipeline)
		leat_pipeline_free(pipeline);
	assert_null(pipeline);
	if (!strstr(fault.text, text))
		print_error("expected a refusal with \"%s\", got \"%s\"\n", text, fault.text);
	assert_non_null(strstr(fault.text, text));
	assert_int_equal(fault.code, LEAT_ECONFIG);
}
