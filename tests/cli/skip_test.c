/* leat skip: a pipeline that is stopped begins behind the record; a running one, a record that is not there and one that is done already are refused. */
#include "stream/leat.h"
#include "tests/cli/cli_help.h"

static const char pipeline[] =
	"pipeline: skipper\ntasks: 2\n"
	"sources: { in: { topic: t, format: json, fields: \"n:int\" } }\n"
	"operators: [ { id: all, use: filter, from: in, with: { where: \"n > 0\" } } ]\n"
	"sinks: { out: { from: all, topic: out, format: json, record: \"n:int\" } }\n";

static void put(struct fixture *fixture, int32_t partition, const char *body)
{
	send_record(fixture, "t", partition, &(struct leat_record){ .timestamp_ms = 1700000000000, .key = leat_text("k"), .value = leat_text(body) });
}

static void run_to_end(struct fixture *fixture, const char *path)
{
	const struct leat_config config = { .pipeline = path, .embedded = fixture->folder, .until_end = true };
	struct leat_fault fault = { 0 };
	struct leat *leat;
	close_topics(fixture);
	if (leat_open(&leat, &config, &fault) < 0 || leat_start(leat, &fault) < 0)
		fail_msg("%s", fault.text);
	int rc;
	while ((rc = leat_wait(leat, 100, &fault)) == 0)
		;
	if (rc < 0)
		fail_msg("%s", fault.text);
	leat_close(leat);
}

static int skip_line(struct fixture *fixture, const char *path, const char *rest)
{
	char line[300];
	snprintf(line, sizeof line, "%s %s", path, rest);
	return run_verb(fixture, &leat_verb_skip, line);
}

static void print_value(void *self, int32_t partition, const struct leat_record *record)
{
	(void)partition;
	leat_buffer_printf(self, "%.*s ", (int)record->value.length, (const char *)record->value.data);
}

static void out_is(struct fixture *fixture, const char *expected)
{
	struct leat_buffer got = { 0 };
	read_topic(fixture, "out", print_value, &got);
	leat_buffer_append(&got, "", 1);
	assert_string_equal((const char *)got.data, expected);
	leat_buffer_free(&got);
	close_topics(fixture);
}

static void a_skipped_record_is_left_out_and_the_rest_is_processed(void **state)
{
	struct fixture *fixture = *state;
	char path[96];
	snprintf(path, sizeof path, "%s", write_file(fixture, "yaml", pipeline));
	put(fixture, 0, "{\"n\":1}");
	put(fixture, 1, "{\"n\":10}");
	run_to_end(fixture, path);
	out_is(fixture, "{\"n\":1} {\"n\":10} ");
	put(fixture, 0, "{\"n\":2}");
	put(fixture, 0, "{\"n\":3}");
	put(fixture, 1, "{\"n\":11}");
	close_topics(fixture);
	assert_int_equal(skip_line(fixture, path, "--topic t --partition 0 --offset 1"), 0);
	assert_non_null(strstr(fixture->out, "skipper begins at t[0] offset 2 from now on\n"));
	run_to_end(fixture, path);
	out_is(fixture, "{\"n\":1} {\"n\":3} {\"n\":10} {\"n\":11} ");
	put(fixture, 0, "{\"n\":4}");
	run_to_end(fixture, path);
	out_is(fixture, "{\"n\":1} {\"n\":3} {\"n\":4} {\"n\":10} {\"n\":11} ");
	remove(path);
}

static void the_first_record_can_be_skipped_before_the_pipeline_ever_ran(void **state)
{
	struct fixture *fixture = *state;
	char path[96];
	snprintf(path, sizeof path, "%s", write_file(fixture, "yaml", pipeline));
	put(fixture, 0, "{\"n\":1}");
	put(fixture, 0, "{\"n\":2}");
	close_topics(fixture);
	assert_int_equal(skip_line(fixture, path, "--topic t --partition 0 --offset 0"), 0);
	run_to_end(fixture, path);
	out_is(fixture, "{\"n\":2} ");
	remove(path);
}

static void what_cannot_be_skipped_is_told(void **state)
{
	struct fixture *fixture = *state;
	static const struct { const char *rest; int status; const char *text; } cases[] = {
		{ "--topic t --partition 0 --offset 0", LEAT_EXIT_USAGE, "t[0] is processed up to 0 already" },
		{ "--topic t --partition 0 --offset 5", LEAT_EXIT_USAGE, "t[0] has offsets 0 to 0, not 5" },
		{ "--topic t --partition 2 --offset 0", LEAT_EXIT_USAGE, "t has only 2 partitions" },
		{ "--topic out --partition 0 --offset 0", LEAT_EXIT_USAGE, "out is no input of this pipeline" },
		{ "--topic t --partition 0 --offset 0.5", LEAT_EXIT_USAGE, "--offset must be a whole number from 0 to 9e+15, not 0.5" },
		{ "--topic t --partition 0", LEAT_EXIT_USAGE, "a pipeline file, --topic, --partition and --offset are needed" },
	};
	char path[96];
	snprintf(path, sizeof path, "%s", write_file(fixture, "yaml", pipeline));
	put(fixture, 0, "{\"n\":1}");
	run_to_end(fixture, path);
	for (size_t i = 0; i < LEAT_COUNT_OF(cases); i++) {
		assert_int_equal(skip_line(fixture, path, cases[i].rest), cases[i].status);
		if (!strstr(fixture->out, cases[i].text))
			fail_msg("%s gave %s", cases[i].rest, fixture->out);
	}
	remove(path);
}

/* Runs until the halt; what it said is in fixture->out. */
static void run_to_the_halt(struct fixture *fixture, const char *path, const char *where)
{
	const char *const overrides[] = { "sources.in.on_bad=halt", where, NULL };
	const struct leat_config config = { .pipeline = path, .embedded = fixture->folder, .overrides = overrides, .until_end = true };
	struct leat_fault fault = { 0 };
	struct leat *leat;
	int rc;
	close_topics(fixture);
	assert_int_equal(leat_open(&leat, &config, &fault), 0);
	assert_int_equal(leat_start(leat, &fault), 0);
	while ((rc = leat_wait(leat, 100, &fault)) == 0)
		;
	assert_int_equal(rc, LEAT_ECORRUPT);
	leat_close(leat);
	snprintf(fixture->out, HELP_OUTPUT, "%s", fault.text);
}

static void the_command_that_a_halt_prints_goes_on_behind_the_record(void **state)
{
	struct fixture *fixture = *state;
	char path[96], command[400];
	snprintf(path, sizeof path, "%s", write_file(fixture, "yaml", pipeline));
	put(fixture, 0, "{\"n\":1}");
	put(fixture, 0, "{");
	put(fixture, 0, "{\"n\":3}");
	run_to_the_halt(fixture, path, NULL);
	const char *words = strstr(fixture->out, "leat skip ");
	assert_non_null(words);
	snprintf(command, sizeof command, "%s", words + strlen("leat skip "));
	assert_non_null(strstr(command, "--set sources.in.on_bad=halt --topic t --partition 0 --offset 1"));
	assert_int_equal(run_line(fixture, &leat_verb_skip, true, command), 0);
	run_to_end(fixture, path);
	out_is(fixture, "{\"n\":1} {\"n\":3} ");
	remove(path);
}

static void the_command_is_quoted_for_the_shell_and_never_cut(void **state)
{
	struct fixture *fixture = *state;
	char path[96], where[600];
	snprintf(path, sizeof path, "%s", write_file(fixture, "it's.yaml", pipeline));
	put(fixture, 1, "{");
	run_to_the_halt(fixture, path, "operators.all.with.where=n > 0");
	assert_non_null(strstr(fixture->out, "it'\\''s.yaml' --embedded "));
	assert_non_null(strstr(fixture->out, " --set 'operators.all.with.where=n > 0' --topic t --partition 1 --offset 0"));
	size_t used = (size_t)snprintf(where, sizeof where, "operators.all.with.where=n > 0");
	for (; used + 10 < sizeof where; used += 9)
		memcpy(where + used, " || n > 0", 10);
	run_to_the_halt(fixture, path, where);
	assert_non_null(strstr(fixture->out, "leat skip PIPELINE OPTIONS-OF-THIS-RUN --topic t --partition 1 --offset 0"));
	remove(path);
}

static void a_running_pipeline_refuses(void **state)
{
	struct fixture *fixture = *state;
	struct leat_fault fault = { 0 };
	struct leat *leat;
	char path[96];
	snprintf(path, sizeof path, "%s", write_file(fixture, "yaml", pipeline));
	put(fixture, 0, "{\"n\":1}");
	close_topics(fixture);
	const struct leat_config config = { .pipeline = path, .embedded = fixture->folder };
	assert_int_equal(leat_open(&leat, &config, &fault), 0);
	assert_int_equal(leat_start(leat, &fault), 0);
	assert_int_equal(skip_line(fixture, path, "--topic t --partition 0 --offset 0"), LEAT_EXIT_FAILED);
	assert_non_null(strstr(fixture->out, "is in use by process"));
	assert_non_null(strstr(fixture->out, "stop it first"));
	leat_close(leat);
	remove(path);
}

static void a_worker_in_the_same_process_refuses_too(void **state)
{
	struct fixture *fixture = *state;
	struct leat_fault fault = { 0 };
	struct leat_session *session;
	put(fixture, 0, "1");
	close_topics(fixture);
	assert_int_equal(leat_tool_transport_of(&leat_verb_skip, &(struct leat_tool_of){ .application = "x" }, NULL, fixture->folder, &fixture->storage, &fixture->transport), 0);
	const struct leat_transport_ops *ops = fixture->transport->ops;
	assert_int_equal(ops->session_open(fixture->transport, &(struct leat_session_config){ .tasks = 2, .memory = 1 << 20 }, &session, &fault), 0);
	assert_int_equal(ops->position_set(fixture->transport, "t", 0, 1, "skip", &fault), LEAT_EBUSY);
	ops->session_close(session, false);
	assert_int_equal(ops->position_set(fixture->transport, "t", 0, 1, "skip", &fault), 0);
	assert_int_equal(ops->position_set(fixture->transport, "t", 0, 1, "skip", &fault), LEAT_ECONFIG);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_skipped_record_is_left_out_and_the_rest_is_processed), TEST(the_first_record_can_be_skipped_before_the_pipeline_ever_ran),
		TEST(the_command_that_a_halt_prints_goes_on_behind_the_record), TEST(the_command_is_quoted_for_the_shell_and_never_cut), TEST(what_cannot_be_skipped_is_told), TEST(a_running_pipeline_refuses), TEST(a_worker_in_the_same_process_refuses_too),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
