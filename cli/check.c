/* leat check, leat graph, leat operators: looking at pipelines without running them. */
#include "cli/cli.h"
#include "stream/expression.h"
#include "stream/operators_list.h"
#include "stream/pipeline.h"

static int load(const struct leat_verb *verb, int count, char **arguments, const char *const *overrides, struct leat_pipeline **out)
{
	struct leat_fault fault = { 0 };
	if (count != 1)
		return leat_usage(verb, "one pipeline file is needed");
	return leat_pipeline_load(out, arguments[0], overrides, &fault) < 0 ? leat_failed(&fault) : LEAT_EXIT_OK;
}

/* What runs, and yet is hardly meant. A schema may well have more fields than a pipeline fills; a record is written for the one pipeline. */
static void warn(const struct leat_pipeline *pipeline, const char *path)
{
	if (pipeline->sink_count == 0)
		fprintf(stderr, "leat: warning: %s has no sinks: it would run, but nothing of what it makes would leave it but dead letters\n", path);
	for (size_t i = 0; i < pipeline->sink_count; i++) {
		const struct leat_sink *sink = &pipeline->sinks[i];
		for (size_t k = 0; sink->fields_text && k < leat_schema_count(sink->schema); k++)
			if (sink->slots[k] < 0)
				fprintf(stderr, "leat: warning: %s:%d: sink '%s': there is no column '%s', so that field of its record is always null\n", path, sink->line, sink->name, leat_schema_field(sink->schema, k)->name);
	}
}

/* Internal topics that operators read are no sources of the pipeline. */
static void print_counts(const struct leat_pipeline *pipeline, bool json)
{
	size_t sources = 0, operators = pipeline->node_count, sinks = pipeline->sink_count;
	for (size_t i = 0; i < pipeline->source_count; i++)
		sources += pipeline->sources[i].rekey < 0 && !pipeline->sources[i].deltas;
	if (json)
		printf("{\"pipeline\":\"%s\",\"sources\":%zu,\"operators\":%zu,\"sinks\":%zu}\n", pipeline->name, sources, operators, sinks);
	else
		printf("%s is right: %zu source%s, %zu operator%s, %zu sink%s\n", pipeline->name, sources, leat_s(sources), operators, leat_s(operators), sinks, leat_s(sinks));
}

static int check(int count, char **arguments)
{
	const char *overrides[64] = { NULL };
	bool json = false;
	const struct leat_flag flags[] = {
		{ "--set", LEAT_FLAG_LIST, overrides, "PATH=VALUE: another value for one setting, e.g. sinks.decisions.topic=x" },
		{ "--json", LEAT_FLAG_SWITCH, &json, "the numbers of sources, operators and sinks as JSON" },
	};
	struct leat_pipeline *pipeline;
	int left = leat_flags_parse(&leat_verb_check, flags, LEAT_COUNT_OF(flags), count, arguments);
	if (left < 0)
		return LEAT_EXIT_USAGE;
	int status = load(&leat_verb_check, left, arguments, overrides, &pipeline);
	if (status)
		return status;
	print_counts(pipeline, json);
	warn(pipeline, arguments[0]);
	leat_pipeline_free(pipeline);
	return LEAT_EXIT_OK;
}
const struct leat_verb leat_verb_check = { "check", "PIPELINE [--set PATH=VALUE] [--json]", "checks a pipeline file whole, without starting anything", check,
	"What is wrong is told with file and line, status 2; what is right, but hardly meant, is warned of." };

static int graph(int count, char **arguments)
{
	const char *overrides[64] = { NULL };
	bool dot = false;
	const struct leat_flag flags[] = {
		{ "--set", LEAT_FLAG_LIST, overrides, "PATH=VALUE: another value for one setting" },
		{ "--dot", LEAT_FLAG_SWITCH, &dot, "DOT for graphviz instead of text" },
	};
	struct leat_pipeline *pipeline;
	int left = leat_flags_parse(&leat_verb_graph, flags, LEAT_COUNT_OF(flags), count, arguments);
	if (left < 0)
		return LEAT_EXIT_USAGE;
	int status = load(&leat_verb_graph, left, arguments, overrides, &pipeline);
	if (status)
		return status;
	(dot ? leat_graph_dot : leat_graph_text)(pipeline, stdout);
	leat_pipeline_free(pipeline);
	return LEAT_EXIT_OK;
}
const struct leat_verb leat_verb_graph = { "graph", "PIPELINE [--dot] [--set PATH=VALUE]", "draws a pipeline as text or DOT", graph, NULL };

static void print_names(const char *title, const struct leat_output *outputs)
{
	for (size_t i = 0; outputs && outputs[i].name; i++)
		printf("%s`%s`%s%s", i ? ", " : title, outputs[i].name, outputs[i].help ? " - " : "", outputs[i].help ? outputs[i].help : "");
	if (outputs && outputs[0].name)
		printf("\n\n");
}

static void print_operator(const struct leat_operator *op)
{
	printf("## %s\n\n%s\n\n", op->name, op->help);
	leat_options_print(op->options, stdout);
	printf("\n");
	print_names("Outputs: ", op->outputs);
	for (size_t i = 0; op->columns && op->columns[i].name; i++)
		printf("%s`%s` (%s)", i ? "; " : "Adds columns: ", op->columns[i].name, op->columns[i].help ? op->columns[i].help : "");
	if (op->columns && op->columns[0].name)
		printf("\n\n");
	for (size_t i = 0; op->tables && op->tables[i].name; i++)
		printf("%s`%s` (%s)", i ? "; " : "State: ", op->tables[i].name, op->tables[i].help ? op->tables[i].help : "");
	if (op->tables && op->tables[0].name)
		printf("\n\n");
	for (size_t i = 0; op->counters && op->counters[i]; i++)
		printf("%s`%s`", i ? ", " : "Counters: ", op->counters[i]);
	if (op->counters && op->counters[0])
		printf("\n\n");
}

static void print_reference(void)
{
	printf("# Reference\n\nMade by `leat operators --markdown` from the program itself; do not edit.\n\n# Operators\n\n");
	for (size_t i = 0; leat_operators[i]; i++)
		print_operator(leat_operators[i]);
	printf("## rekey\n\nSends rows through an internal topic to the task that owns their new key. Operators after it see the field `by` as message key. Columns of type vector do not travel. Rows in flight survive a change of the pipeline: their columns are found by name; what cannot be read goes to the dead letters.\n\n"
	       "| option | type | default | meaning |\n|---|---|---|---|\n| `by` | field | must be given | string or int field that becomes the key |\n");
	printf("\n# Expressions\n\n");
	leat_expression_help(stdout);
	printf("\n# Pipeline file\n");
	leat_pipeline_print_options(stdout);
}

static const struct leat_operator *find_operator(const char *name)
{
	for (size_t i = 0; leat_operators[i]; i++)
		if (strcmp(leat_operators[i]->name, name) == 0)
			return leat_operators[i];
	return NULL;
}

static int unknown_operator(const char *name)
{
	struct leat_guess guess = { 0 };
	for (size_t i = 0; leat_operators[i]; i++)
		leat_guess(&guess, leat_text(name), leat_operators[i]->name);
	return leat_usage(&leat_verb_operators, "there is no operator '%s'%s", name, leat_guess_hint(&guess));
}

static int operators(int count, char **arguments)
{
	bool markdown = false;
	const struct leat_flag flags[] = { { "--markdown", LEAT_FLAG_SWITCH, &markdown, "the whole reference: operators, expressions, settings" } };
	int left = leat_flags_parse(&leat_verb_operators, flags, LEAT_COUNT_OF(flags), count, arguments);
	if (left < 0)
		return LEAT_EXIT_USAGE;
	if (markdown) {
		print_reference();
		return LEAT_EXIT_OK;
	}
	for (int k = 0; k < left; k++)
		if (!find_operator(arguments[k]))
			return unknown_operator(arguments[k]);
	for (int k = 0; k < left; k++)
		print_operator(find_operator(arguments[k]));
	if (left > 0)
		return LEAT_EXIT_OK;
	for (size_t i = 0; leat_operators[i]; i++)
		printf("%-12s %s\n", leat_operators[i]->name, leat_operators[i]->help);
	printf("%-12s %s\n", "rekey", "Sends rows to the task that owns another key.");
	return LEAT_EXIT_OK;
}
const struct leat_verb leat_verb_operators = { "operators", "[NAME ...] [--markdown]", "lists the operators, or one with its options", operators, NULL };
