/* Records too large for what comes next: as dead letters they are cut until they fit, and an event whose output does not fit is set aside alone. */
#include "tests/stream/rekey_help.h"

enum { LIMIT = 200000, BIG = 3 << 20, HEADERS = 1000 };

static const char two_sinks[] = "sources: { in: { topic: in, format: json, fields: \"user:string text:string\", on_bad: dead-letter } }\n"
				"operators: [ { id: m, use: map, from: in, with: { set: { twice: \"if_null(text, text)\" } } } ]\n"
				"sinks: { one: { from: m, topic: out, format: json, record: \"user:string text:string\" }, two: { from: m, topic: two, format: json, record: \"text:string twice:string\" } }\n";
static const char rekeyed[] = "sources: { in: { topic: in, format: json, fields: \"user:string text:string\" } }\n"
			      "operators: [ { id: turn, use: rekey, from: in, with: { by: text } } ]\n"
			      "sinks: { out: { from: turn, topic: out, format: json, record: \"user:string\" } }\n";

static char *repeated(char letter, size_t count)
{
	char *text = malloc(count + 1);
	assert_non_null(text);
	memset(text, letter, count);
	text[count] = '\0';
	return text;
}

static void put_text(struct world *world, const char *user, size_t length)
{
	char *text = repeated('x', length), *event = malloc(length + 100);
	assert_non_null(event);
	int size = snprintf(event, length + 100, "{\"user\":\"%s\",\"text\":\"%s\"}", user, text);
	put(world, "in", 0, leat_text("k"), leat_bytes(event, (size_t)size));
	free(text);
	free(event);
}

static void put_record(struct world *world, const struct leat_record *record)
{
	const struct leat_session_config config = { .worker = -1, .tasks = TASKS, .memory = 16 << 20 };
	struct leat_session *session;
	struct leat_fault fault = { 0 };
	must(world->transport->ops->session_open(world->transport, &config, &session, &fault), &fault, "writer");
	must(world->transport->ops->session_send(session, "in", 0, record, 0, &fault), &fault, "send");
	must(world->transport->ops->session_commit(session, NULL, 0, "", &fault), &fault, "write");
	world->transport->ops->session_close(session, true);
}

static struct world *begin(const char *text, size_t limit)
{
	struct world *world = make_world();
	open_world(world, text, 16);
	make_topic(world, "two");
	world->transport->record_max = limit;
	return world;
}

/* key length, value length, kept headers of theirs, and what ours say of the sizes */
static void tell_letter(void *self, int32_t partition, const struct leat_record *record)
{
	struct leat_buffer *out = self;
	int theirs = 0;
	(void)partition;
	assert_true(leat_record_size(record) <= LIMIT);
	for (uint32_t i = 0; i < record->header_count; i++)
		theirs += record->headers[i].name.data[0] == 'h';
	leat_buffer_printf(out, "%u %u %d", record->key.length, record->value.length, theirs);
	for (uint32_t i = 0; i < record->header_count; i++) {
		const struct leat_header *header = &record->headers[i];
		if (leat_bytes_equal(header->name, leat_text("leat.reason")) || leat_bytes_equal(header->name, leat_text("leat.stage")) || leat_bytes_equal(header->name, leat_text("leat.key_bytes")) ||
		    leat_bytes_equal(header->name, leat_text("leat.value_bytes")) || leat_bytes_equal(header->name, leat_text("leat.headers")))
			leat_buffer_printf(out, " %.*s", (int)header->value.length, (const char *)header->value.data);
	}
	leat_buffer_printf(out, "\n");
}

static void expect_letters(struct world *world, const char *expected)
{
	struct leat_buffer out = { 0 };
	read_topic(world, world->pipeline->dead_letter_topic, tell_letter, &out);
	leat_buffer_printf(&out, "%s", "");
	char *got = strndup((const char *)out.data, out.length);
	assert_string_equal(got, expected);
	free(got);
	leat_buffer_free(&out);
}

static void any_record_fits_as_a_dead_letter(void **state)
{
	(void)state;
	static struct leat_header many[HEADERS];
	struct world *world = begin(two_sinks, LIMIT);
	char *big = repeated('b', BIG);
	for (size_t i = 0; i < HEADERS; i++)
		many[i] = (struct leat_header){ leat_text("h"), leat_bytes(big, i == 1 ? 100000 : 10) };
	const struct leat_bytes small = leat_text("{}"), large = leat_bytes(big, BIG);
	put_record(world, &(struct leat_record){ .timestamp_ms = -1, .key = large, .value = small });
	put_record(world, &(struct leat_record){ .timestamp_ms = -1, .key = leat_text("k"), .value = large });
	put_record(world, &(struct leat_record){ .timestamp_ms = -1, .key = leat_text("k"), .value = small, .headers = many, .header_count = HEADERS });
	put_record(world, &(struct leat_record){ .timestamp_ms = -1, .key = leat_bytes(big, 2000), .value = small, .headers = many, .header_count = 2 });
	put_text(world, "a", 10);
	run_until_open(world);
	drain(world);
	expect_letters(world, "1024 2 0 too_large decode 3145728\n1 1024 0 too_large decode 3145728\n1 2 64 too_large decode 1000\n2000 2 1 too_large decode 2\n");
	assert_int_equal(count_of(world, "out"), 1);
	free(big);
	free_world(world);
}

static void an_event_whose_output_is_too_large_is_set_aside_and_its_other_outputs_stand(void **state)
{
	(void)state;
	struct world *world = begin(two_sinks, LIMIT);
	put_text(world, "a", 10);
	put_text(world, "b", 110000);
	put_text(world, "c", 10);
	run_until_open(world);
	drain(world);
	expect_letters(world, "1 110022 0 output_too_large two\n");
	assert_int_equal(count_of(world, "out"), 3);
	assert_int_equal(count_of(world, "two"), 2);
	free_world(world);
}

static void a_re_keyed_row_that_is_too_large_is_set_aside(void **state)
{
	(void)state;
	struct world *world = begin(rekeyed, LIMIT);
	put_text(world, "a", 10);
	put_text(world, "b", 110000);
	put_text(world, "c", 10);
	run_until_open(world);
	drain(world);
	expect_letters(world, "1 110022 0 output_too_large turn\n");
	assert_int_equal(count_of(world, "out"), 2);
	free_world(world);
}

static void what_just_fits_passes(void **state)
{
	(void)state;
	struct world *world = begin(two_sinks, LIMIT);
	const size_t around = strlen("k{\"text\":\"\",\"twice\":\"\"}");
	put_text(world, "a", (LIMIT - around) / 2);
	put_text(world, "b", (LIMIT - around) / 2 + 1);
	run_until_open(world);
	drain(world);
	assert_int_equal(count_of(world, "two"), 1);
	assert_int_equal(count_of(world, world->pipeline->dead_letter_topic), 1);
	free_world(world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_record_fits_as_a_dead_letter),
		cmocka_unit_test(an_event_whose_output_is_too_large_is_set_aside_and_its_other_outputs_stand),
		cmocka_unit_test(a_re_keyed_row_that_is_too_large_is_set_aside),
		cmocka_unit_test(what_just_fits_passes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
