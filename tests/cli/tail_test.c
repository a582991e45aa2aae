/* leat tail: whole lines compared, for bodies of every kind. */
#include "tests/cli/cli_help.h"

static struct leat_bytes bytes(const char *data, size_t length)
{
	return leat_bytes(data, length);
}

static void put(struct fixture *fixture, int32_t partition, const char *key, struct leat_bytes value)
{
	struct leat_header header = { leat_text("h"), leat_text("x\ty") };
	struct leat_record record = { .timestamp_ms = 1700000000000, .key = key ? leat_text(key) : leat_bytes(NULL, 0), .value = value, .headers = &header, .header_count = key ? 0 : 1 };
	send_record(fixture, "t", partition, &record);
}

static void every_kind_of_body_is_one_line(void **state)
{
	struct fixture *fixture = *state;
	/* Erasure: request_id "r", user_id "u", ts 5 */
	put(fixture, 0, "a", bytes("\0\0\0\0\x0b\2r\2u\x0a", 10));
	put(fixture, 0, "a", bytes("\0\0\0\0\x0b\2r\2u", 9));
	put(fixture, 0, "a", bytes("\0\0\0\x01\0\2r", 7));
	put(fixture, 0, "a", bytes("{\"x\": [1,\n 2]}", 14));
	put(fixture, 1, "\xff", bytes("{\"x\": 1.50}", 11));
	put(fixture, 1, NULL, leat_bytes(NULL, 0));
	put(fixture, 1, "b", bytes("not json", 8));
	put(fixture, 1, "b", bytes("\0\1", 2));
	put(fixture, 1, "b", bytes("", 0));
	close_topics(fixture);
	assert_int_equal(run_verb(fixture, &leat_verb_tail, "t"), 0);
	assert_string_equal(fixture->out,
		"{\"partition\":0,\"offset\":0,\"timestamp\":1700000000000,\"key\":\"a\",\"headers\":{},\"value\":{\"request_id\":\"r\",\"user_id\":\"u\",\"ts\":5}}\n"
		"{\"partition\":0,\"offset\":1,\"timestamp\":1700000000000,\"key\":\"a\",\"headers\":{},\"value\":{\"base64\":\"AAAAAAsCcgJ1\",\"reason\":\"avro_truncated\"}}\n"
		"{\"partition\":0,\"offset\":2,\"timestamp\":1700000000000,\"key\":\"a\",\"headers\":{},\"value\":{\"base64\":\"AAAAAQACcg==\",\"reason\":\"unknown_schema\"}}\n"
		"{\"partition\":0,\"offset\":3,\"timestamp\":1700000000000,\"key\":\"a\",\"headers\":{},\"value\":{\"x\":[1,2]}}\n"
		"{\"partition\":1,\"offset\":0,\"timestamp\":1700000000000,\"key\":{\"base64\":\"/w==\"},\"headers\":{},\"value\":{\"x\": 1.50}}\n"
		"{\"partition\":1,\"offset\":1,\"timestamp\":1700000000000,\"key\":null,\"headers\":{\"h\":\"x\\ty\"},\"value\":null}\n"
		"{\"partition\":1,\"offset\":2,\"timestamp\":1700000000000,\"key\":\"b\",\"headers\":{},\"value\":\"not json\"}\n"
		"{\"partition\":1,\"offset\":3,\"timestamp\":1700000000000,\"key\":\"b\",\"headers\":{},\"value\":{\"base64\":\"AAE=\",\"reason\":\"short_header\"}}\n"
		"{\"partition\":1,\"offset\":4,\"timestamp\":1700000000000,\"key\":\"b\",\"headers\":{},\"value\":{\"base64\":\"\",\"reason\":\"null_value\"}}\n");
}

static size_t lines(const char *text)
{
	size_t count = 0;
	for (; *text; text++)
		count += *text == '\n';
	return count;
}

static void from_and_count_choose_records(void **state)
{
	struct fixture *fixture = *state;
	static const struct { const char *line; size_t records; } cases[] = {
		{ "t", 12 }, { "t --from 4", 4 }, { "t --from end", 0 }, { "t --from 99", 0 }, { "t --count 5", 5 }, { "t --from 5 --count 9", 2 },
		{ "t --partition 1", 6 }, { "t --partition 0 --from 5", 1 }, { "t --follow --count 12", 12 },
	};
	for (int i = 0; i < 12; i++)
		put(fixture, i % 2, "k", bytes("1", 1));
	close_topics(fixture);
	for (size_t i = 0; i < LEAT_COUNT_OF(cases); i++) {
		assert_int_equal(run_verb(fixture, &leat_verb_tail, cases[i].line), 0);
		if (lines(fixture->out) != cases[i].records)
			fail_msg("%s: %zu lines, expected %zu", cases[i].line, lines(fixture->out), cases[i].records);
	}
}

static void without_schemas_it_says_once_why_values_are_base64(void **state)
{
	struct fixture *fixture = *state;
	char here[4096];
	put(fixture, 0, "a", bytes("\0\0\0\0\x0b\2r\2u\x0a", 10));
	put(fixture, 0, "a", bytes("\0\0\0\0\x0b\2r\2u\x0a", 10));
	put(fixture, 0, "a", bytes("{}", 2));
	close_topics(fixture);
	assert_non_null(getcwd(here, sizeof here));
	assert_int_equal(chdir(fixture->folder), 0);
	int status = run_verb(fixture, &leat_verb_tail, "t");
	assert_int_equal(chdir(here), 0);
	assert_int_equal(status, 0);
	assert_int_equal(lines(fixture->out), 4);
	const char *said = strstr(fixture->out, "say --schemas FOLDER or --registry URL\n");
	assert_non_null(said);
	assert_null(strstr(said + 1, "say --schemas"));
	assert_non_null(strstr(fixture->out, "\"value\":{\"base64\":\"AAAAAAsCcgJ1Cg==\",\"reason\":\"unknown_schema\"}"));
	assert_int_equal(run_verb(fixture, &leat_verb_tail, "t"), 0);
	assert_null(strstr(fixture->out, "say --schemas"));
}

static void a_running_owner_serves_the_tail(void **state)
{
	struct fixture *fixture = *state;
	put(fixture, 0, "k", bytes("7", 1));          /* the fixture still owns the folder */
	assert_int_equal(run_verb(fixture, &leat_verb_tail, "t"), 0);
	assert_string_equal(fixture->out, "{\"partition\":0,\"offset\":0,\"timestamp\":1700000000000,\"key\":\"k\",\"headers\":{},\"value\":7}\n");
}

static void mistakes_are_told(void **state)
{
	struct fixture *fixture = *state;
	put(fixture, 0, "k", bytes("7", 1));
	close_topics(fixture);
	assert_int_equal(run_verb(fixture, &leat_verb_tail, "t --from middle"), LEAT_EXIT_USAGE);
	assert_non_null(strstr(fixture->out, "--from must be start, end or an offset, not 'middle'"));
	assert_int_equal(run_verb(fixture, &leat_verb_tail, "t --partition 2"), LEAT_EXIT_USAGE);
	assert_int_equal(run_verb(fixture, &leat_verb_tail, "absent"), LEAT_EXIT_FAILED);
	assert_int_equal(run_verb(fixture, &leat_verb_tail, ""), LEAT_EXIT_USAGE);
	assert_int_equal(run_verb(fixture, &leat_verb_tail, "t --schemas /nowhere"), LEAT_EXIT_USAGE);
}

static void how_kafka_is_reached_comes_from_a_file(void **state)
{
	struct fixture *fixture = *state;
	static const struct { const char *file, *more, *said; } cases[] = {
		{ "kafka: { settings: { security.protocol: SSL } }\n", "", "either --brokers HOST:PORT, --embedded FOLDER, or a file with brokers in its kafka: section is needed" },
		{ "kafka: { settings: { sasl.password: hush } }\n", "--brokers localhost:1", ":1: kafka setting sasl.password is a secret, which must not stand here" },
		{ "kafka: { brokers: \"localhost:1\", settings: { security.protocol: none } }\n", "", "kafka setting security.protocol: " },
		{ "registry: { url: \"ftp://r\" }\n", "--embedded", "registry: the url is not of the form" },
		{ "kafka: {}\n", "--brokers localhost:1 --registry http://me:hush@r", "everybody on this machine can read the command line" },
	};
	put(fixture, 0, "k", bytes("7", 1));
	close_topics(fixture);
	for (size_t i = 0; i < LEAT_COUNT_OF(cases); i++) {
		char line[512];
		const char *path = write_file(fixture, "yaml", cases[i].file);
		snprintf(line, sizeof line, "t --config %s %s %s", path, cases[i].more, strcmp(cases[i].more, "--embedded") == 0 ? fixture->folder : "");
		int status = run_line(fixture, &leat_verb_tail, true, line);
		unlink(path);
		if (status != LEAT_EXIT_USAGE || !strstr(fixture->out, cases[i].said) || strstr(fixture->out, "hush"))
			fail_msg("%s: status %d, %s", line, status, fixture->out);
	}
	char line[256];
	const char *path = write_file(fixture, "yaml", "kafka: { brokers: \"localhost:1\" }\n");
	snprintf(line, sizeof line, "t --config %s", path);
	int status = run_verb(fixture, &leat_verb_tail, line);    /* a folder that is given goes before brokers of the file */
	unlink(path);
	assert_int_equal(status, 0);
	assert_non_null(strstr(fixture->out, "\"value\":7"));
	assert_int_equal(run_verb(fixture, &leat_verb_tail, "t --config /nowhere.yaml"), LEAT_EXIT_USAGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(every_kind_of_body_is_one_line, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(from_and_count_choose_records, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(without_schemas_it_says_once_why_values_are_base64, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(a_running_owner_serves_the_tail, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(mistakes_are_told, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(how_kafka_is_reached_comes_from_a_file, fixture_setup, fixture_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
