/* leat run with the shop, check, graph and test as a newcomer meets them: decisions from the first event on, and mistakes told with the names there are. */
#include "cli/watch.h"
#include "stream/application.h"
#include "tests/cli/cli_help.h"

static const char pipeline[] =
	"pipeline: first\ntasks: 1\n"
	"sources: { in: { topic: t, format: json, fields: \"n:int\" } }\n"
	"operators: [ { id: all, use: filter, from: in, with: { where: \"n > 0\" } } ]\n"
	"sinks: { out: { from: all, topic: out, format: json, record: \"n:int\" } }\n";

/* The number of events in an operator's row of the profile. */
static long long events_of(struct leat *leat, const char *operator)
{
	char text[4096] = "", use[32];
	long long events = -1;
	FILE *file = tmpfile();
	assert_non_null(file);
	leat_profile(leat, file);
	rewind(file);
	text[fread(text, 1, sizeof text - 1, file)] = '\0';
	fclose(file);
	const char *row = strstr(text, operator);
	assert_non_null(row);
	assert_int_equal(sscanf(row + strlen(operator), "%31s %lld", use, &events), 2);
	return events;
}

static struct leat_look wait_for(struct leat *leat, uint64_t running, uint64_t outputs)
{
	struct leat_fault fault = { 0 };
	struct leat_look look = { 0 };
	for (int tries = 0; tries < 1000 && (look.tasks_running < running || look.outputs < outputs); tries++) {
		assert_int_equal(leat_wait(leat, 20, &fault), 0);
		leat_look(leat, &look);
	}
	return look;
}

static void the_shop_gets_a_decision_for_every_event_from_the_first_on(void **state)
{
	struct fixture *fixture = *state;
	const struct leat_config config = { .pipeline = "pipelines/personalize.yaml", .embedded = fixture->folder };
	struct leat_fault fault = { 0 };
	struct leat_shop_feed *shop;
	struct leat *leat;
	assert_int_equal(leat_open(&leat, &config, &fault), 0);
	assert_int_equal(leat_start(leat, &fault), 0);
	assert_int_equal(wait_for(leat, 4, 0).tasks_running, 4);      /* waiting for events before there is an ad */
	assert_int_equal(leat_shop_feed_start(&shop, leat->transport, leat->registry, NULL, 5000, &fault), 0);
	assert_true(wait_for(leat, 4, 2000).outputs >= 2000);
	leat_shop_feed_stop(shop);
	leat_stop(leat);
	while (leat_wait(leat, 1000, &fault) == 0)
		;
	assert_int_equal(events_of(leat, "\nlabel "), events_of(leat, "\ntarget "));
	leat_close(leat);
}

static void check_warns_of_a_pipeline_without_sinks(void **state)
{
	struct fixture *fixture = *state;
	char sinkless[sizeof pipeline];
	memcpy(sinkless, pipeline, sizeof pipeline);
	assert_int_equal(run_line(fixture, &leat_verb_check, true, write_file(fixture, "yaml", pipeline)), 0);
	assert_null(strstr(fixture->out, "warning"));
	*strstr(sinkless, "sinks:") = '\0';
	assert_int_equal(run_line(fixture, &leat_verb_check, true, write_file(fixture, "yaml", sinkless)), 0);
	assert_non_null(strstr(fixture->out, "has no sinks"));
	remove(fixture->path);
}

static void check_warns_of_a_record_that_names_no_column(void **state)
{
	struct fixture *fixture = *state;
	static const char text[] = "pipeline: p\nsources: { c: { topic: c, format: json, fields: \"user:string\" } }\nsinks:\n"
				   "  s: { from: c, topic: o, format: json, record: \"user:string citty:string?\" }\n";
	assert_int_equal(run_line(fixture, &leat_verb_check, true, write_file(fixture, "yaml", text)), 0);
	assert_non_null(strstr(fixture->out, "yaml:4: sink 's': there is no column 'citty'"));
	remove(fixture->path);
}

static void check_counts_what_the_pipeline_names_itself(void **state)
{
	struct fixture *fixture = *state;
	static const char text[] = "pipeline: p\nsources: { c: { topic: c, format: json, fields: \"user:string item:string type:string\" } }\n"
				   "operators: [ { id: by, use: rekey, from: c, with: { by: item } }, { id: f, use: factors, from: by, with: { item: item, type: type, weights: { VIEW: 1 } } } ]\n"
				   "sinks: { s: { from: f, topic: o, format: json, record: \"user:string\" } }\n";
	assert_int_equal(run_line(fixture, &leat_verb_check, true, write_file(fixture, "yaml", text)), 0);
	assert_string_equal(fixture->out, "p is right: 1 source, 2 operators, 1 sink\n");
	remove(fixture->path);
}

static void what_is_mistyped_is_guessed(void **state)
{
	struct fixture *fixture = *state;
	static const struct { const struct leat_verb *verb; const char *line, *said; } cases[] = {
		{ &leat_verb_run, "x --emmbedded=y", "leat run: unknown option --emmbedded; did you mean '--embedded'?\n" },
		{ &leat_verb_run, "x --colour y", "leat run: unknown option --colour\n" },
		{ &leat_verb_operators, "dedup", "there is no operator 'dedup'; did you mean 'dedupe'?\n" },
		{ &leat_verb_operators, "shuffle", "there is no operator 'shuffle'\n" },
	};
	for (size_t i = 0; i < LEAT_COUNT_OF(cases); i++) {
		assert_int_equal(run_line(fixture, cases[i].verb, true, cases[i].line), LEAT_EXIT_USAGE);
		if (!strstr(fixture->out, cases[i].said))
			fail_msg("%s gave %s", cases[i].line, fixture->out);
	}
}

/* p99 after one record of that time has been processed. */
static int64_t latency_of(struct fixture *fixture, int64_t timestamp_ms)
{
	const struct leat_config config = { .pipeline = fixture->path, .embedded = fixture->folder, .until_end = true };
	struct leat_fault fault = { 0 };
	struct leat_look look;
	struct leat *leat;
	send_record(fixture, "t", 0, &(struct leat_record){ .timestamp_ms = timestamp_ms, .key = leat_text("k"), .value = leat_text("{\"n\":1}") });
	close_topics(fixture);
	assert_int_equal(leat_open(&leat, &config, &fault), 0);
	assert_int_equal(leat_start(leat, &fault), 0);
	while (leat_wait(leat, 1000, &fault) == 0)
		;
	leat_look(leat, &look);
	assert_int_equal(look.events, 1);
	leat_close(leat);
	return look.p99_ms;
}

static void the_age_of_a_backlog_is_no_latency(void **state)
{
	struct fixture *fixture = *state;
	char line[200];
	write_file(fixture, "yaml", pipeline);
	assert_int_equal(latency_of(fixture, leat_clock_wall_ms(NULL) - 3000), -1);
	assert_int_equal(latency_of(fixture, leat_clock_wall_ms(NULL) + 3600000), 0);
	send_record(fixture, "t", 0, &(struct leat_record){ .timestamp_ms = 1700000000000, .key = leat_text("k"), .value = leat_text("{\"n\":1}") });
	close_topics(fixture);
	snprintf(line, sizeof line, "%s --until-end --json --quiet", fixture->path);
	assert_int_equal(run_verb(fixture, &leat_verb_run, line), 0);
	assert_non_null(strstr(fixture->out, "\"p50_ms\":null,\"p99_ms\":null,"));
	remove(fixture->path);
}

static void print_headers(void *self, int32_t partition, const struct leat_record *record)
{
	(void)partition;
	for (uint32_t i = 0; i < record->header_count && i < 2; i++)
		leat_buffer_printf(self, "%.*s=%.*s ", (int)record->headers[i].name.length, (const char *)record->headers[i].name.data, (int)record->headers[i].value.length, (const char *)record->headers[i].value.data);
}

static void a_dead_letter_names_the_field_that_is_wrong(void **state)
{
	struct fixture *fixture = *state;
	char line[200];
	struct leat_buffer headers = { 0 };
	send_record(fixture, "t", 0, &(struct leat_record){ .timestamp_ms = 1700000000000, .key = leat_text("k"), .value = leat_text("{\"n\":\"one\"}") });
	close_topics(fixture);
	snprintf(line, sizeof line, "%s --until-end --quiet", write_file(fixture, "yaml", pipeline));
	assert_int_equal(run_verb(fixture, &leat_verb_run, line), 0);
	assert_non_null(strstr(fixture->out, "decode: an event of t[0] at offset 0 is bad: json_type: 'n' must be long\n"));
	read_topic(fixture, "first.dead-letters", print_headers, &headers);
	leat_buffer_append(&headers, "", 1);
	assert_string_equal((const char *)headers.data, "leat.reason=json_type leat.detail='n' must be long ");
	leat_buffer_free(&headers);
	close_topics(fixture);
	snprintf(line, sizeof line, "%s --until-end --quiet --set sources.in.on_bad=halt --set pipeline=second", fixture->path);
	assert_int_equal(run_verb(fixture, &leat_verb_run, line), LEAT_EXIT_FAILED);
	assert_non_null(strstr(fixture->out, "stops at offset 0: json_type: 'n' must be long (on_bad: halt)"));
	remove(fixture->path);
}

static void graph_takes_set(void **state)
{
	struct fixture *fixture = *state;
	char line[200];
	snprintf(line, sizeof line, "%s --set sinks.out.topic=elsewhere", write_file(fixture, "yaml", pipeline));
	assert_int_equal(run_line(fixture, &leat_verb_graph, true, line), 0);
	assert_non_null(strstr(fixture->out, "elsewhere"));
	snprintf(line, sizeof line, "%s --set sinks.outt.topic=elsewhere", fixture->path);
	assert_int_equal(run_line(fixture, &leat_verb_graph, true, line), LEAT_EXIT_USAGE);
	assert_non_null(strstr(fixture->out, "has no 'outt'; did you mean 'out'? it has: out"));
	remove(fixture->path);
}

static void test_names_the_sources_and_sinks_there_are(void **state)
{
	struct fixture *fixture = *state;
	static const struct { const char *given, *expected, *said; int status; } cases[] = {
		{ "{\"source\":\"in\",\"value\":{\"n\":1}}\n", "{\"sink\":\"out\",\"value\":{\"n\":1}}\n", "as expected\n", LEAT_EXIT_OK },
		{ "\n{\"source\":\"inn\",\"value\":{\"n\":1}}\n", "", ".given:2: there is no source 'inn'; there are: in\n", LEAT_EXIT_USAGE },
		{ "{\"source\":\"in\",\"value\":{\"n\":\"one\"}}\n", "{\"sink\":\"dead_letters\",\"reason\":\"json_type\"}\n", "as expected\n", LEAT_EXIT_OK },
		{ "{\"value\":{\"n\":1}}\n", "", ".given:1: needs \"source\": one of in\n", LEAT_EXIT_USAGE },
		{ "{\"source\":\"in\"}\n", "", ".given:1: needs \"value\"\n", LEAT_EXIT_USAGE },
		{ "{\"source\":\"in\",\"value\":{\"n\":1}}\n", "{\"sink\":\"out\",\"value\":{\"n\":2}}\n", "\n1 difference\n", LEAT_EXIT_FAILED },
		{ "{\"source\":\"in\",\"value\":{\"n\":1}}\n{\"source\":\"in\",\"value\":{\"n\":3}}\n", "{\"sink\":\"out\",\"value\":{\"n\":2}}\n", "\n2 differences\n", LEAT_EXIT_FAILED },
		{ "", "{\"sink\":\"oot\",\"value\":{\"n\":1}}\n", ".expected:1: there is no sink 'oot'; there are: out, dead_letters\n", LEAT_EXIT_USAGE },
		{ "", "{\"value\":{\"n\":1}}\n", ".expected:1: needs \"sink\": one of out, dead_letters\n", LEAT_EXIT_USAGE },
	};
	char files[3][96], line[400];
	snprintf(files[0], sizeof files[0], "%s", write_file(fixture, "yaml", pipeline));
	for (size_t i = 0; i < LEAT_COUNT_OF(cases); i++) {
		snprintf(files[1], sizeof files[1], "%s", write_file(fixture, "given", cases[i].given));
		snprintf(files[2], sizeof files[2], "%s", write_file(fixture, "expected", cases[i].expected));
		snprintf(line, sizeof line, "%s %s %s", files[0], files[1], files[2]);
		assert_int_equal(run_line(fixture, &leat_verb_test, true, line), cases[i].status);
		if (!strstr(fixture->out, cases[i].said))
			fail_msg("expected %s, got %s", cases[i].said, fixture->out);
	}
	for (int i = 0; i < 3; i++)
		remove(files[i]);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		TEST(the_shop_gets_a_decision_for_every_event_from_the_first_on), TEST(check_warns_of_a_pipeline_without_sinks), TEST(check_warns_of_a_record_that_names_no_column), TEST(check_counts_what_the_pipeline_names_itself),
		TEST(what_is_mistyped_is_guessed), TEST(a_dead_letter_names_the_field_that_is_wrong), TEST(the_age_of_a_backlog_is_no_latency), TEST(graph_takes_set), TEST(test_names_the_sources_and_sinks_there_are),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
