/* leat generate: what the closing line says is what lies in the topics, keys decide on partitions, and the reference workload keeps its bytes. */
#include "cli/generate_rp1.h"
#include "cli/watch.h"
#include "schemas/codec.h"
#include "schemas/registry.h"
#include "tests/cli/cli_help.h"

#include <jansson.h>

/* FNV-1a of the keys and bodies of the first 1,000 events, made by the benchmark's own generator. */
static const uint64_t rp1_hash_1000 = 0xa98b94877475dbeaull;

struct counts {
	int32_t partitions;
	uint64_t undecodable, unknown, negative, nobody, keys_wrong;
	struct leat_schema *schema;
	struct leat_decoder *decoder;
	struct leat_column *columns;
	struct leat_arena *arena;
	long user, price;
};

static void open_counts(struct counts *counts, const char *file)
{
	const struct leat_field *fields[64];
	int slots[64];
	struct leat_fault fault = { 0 };
	if (leat_schema_load(&counts->schema, file, &fault) < 0)
		fail_msg("%s", fault.text);
	for (size_t i = 0; i < leat_schema_count(counts->schema); i++) {
		fields[i] = leat_schema_field(counts->schema, i);
		slots[i] = (int)i;
	}
	const char *json = leat_schema_json(counts->schema);
	assert_int_equal(leat_decoder_compile(&counts->decoder, json, strlen(json), counts->schema, slots, &fault), 0);
	assert_int_equal(leat_columns_make(&counts->columns, fields, leat_schema_count(counts->schema)), 0);
	assert_int_equal(leat_arena_open(&counts->arena, 4096), 0);
	counts->user = leat_schema_find(counts->schema, "user_id");
	counts->price = leat_schema_find(counts->schema, "price");
}

static void close_counts(struct counts *counts)
{
	leat_columns_free(counts->columns, leat_schema_count(counts->schema));
	leat_decoder_free(counts->decoder);
	leat_schema_free(counts->schema);
	leat_arena_close(counts->arena);
}

static void count_record(void *self, int32_t partition, const struct leat_record *record)
{
	struct counts *counts = self;
	struct leat_bytes body;
	int32_t id;
	leat_arena_reset(counts->arena);
	assert_int_equal(leat_wire_read(record->value, &id, &body), LEAT_BAD_NONE);
	counts->keys_wrong += leat_partition_of(record->key.data, record->key.length, counts->partitions) != partition;
	counts->unknown += id > 100;
	if (leat_decoder_run(counts->decoder, body, counts->columns, 0, counts->arena)) {
		counts->undecodable++;
		return;
	}
	struct leat_bytes user = counts->columns[counts->user].bytes[0];
	assert_true(leat_bytes_equal(user, record->key));
	counts->nobody += user.length == 0;
	counts->negative += !counts->columns[counts->price].null[0] && counts->columns[counts->price].doubles[0] < 0;
}

static json_int_t number(const json_t *json, const char *group, const char *name)
{
	const json_t *found = json_object_get(group ? json_object_get(json, group) : json, name);
	if (!found)
		fail_msg("no %s in the closing line", name);
	return json_integer_value(found);
}

static void the_closing_line_tells_what_lies_in_the_topics(void **state)
{
	struct fixture *fixture = *state;
	struct counts clicks = { .partitions = 3 }, purchases = { .partitions = 3 };
	assert_int_equal(run_verb(fixture, &leat_verb_generate, "--rate 0 --events 20000 --partitions 3 --json"), 0);
	json_t *told = json_loads(fixture->out, 0, NULL);
	assert_non_null(told);
	open_counts(&clicks, "schemas/click.avsc");
	open_counts(&purchases, "schemas/purchase.avsc");
	assert_int_equal(read_topic(fixture, "shop.clicks", count_record, &clicks), number(told, "topics", "clicks"));
	assert_int_equal(read_topic(fixture, "shop.purchases", count_record, &purchases), number(told, "topics", "purchases"));
	assert_int_equal(number(told, NULL, "events"), 20000);
	assert_int_equal(clicks.keys_wrong + purchases.keys_wrong, 0);
	assert_int_equal(clicks.undecodable + purchases.undecodable, number(told, "dirt", "cut_body"));
	assert_int_equal(clicks.unknown + purchases.unknown, number(told, "dirt", "unknown_schema"));
	assert_int_equal(clicks.negative + purchases.negative, number(told, "dirt", "negative_price"));
	assert_int_equal(clicks.nobody + purchases.nobody, number(told, "dirt", "empty_user"));
	assert_true(number(told, "dirt", "cut_body") > 0 && number(told, NULL, "copies") > 0 && number(told, NULL, "late") > 0);
	close_counts(&clicks);
	close_counts(&purchases);
	json_decref(told);
}

static void count_ad(void *self, int32_t partition, const struct leat_record *record)
{
	(void)partition;
	*(size_t *)self += record->key.length > 2 && memcmp(record->key.data, "ad", 2) == 0;
}

static void ads_are_there_under_their_ids_before_any_event(void **state)
{
	struct fixture *fixture = *state;
	size_t ads = 0;
	assert_int_equal(run_verb(fixture, &leat_verb_generate, "--rate 0 --events 1 --ads 37 --topic-prefix x."), 0);
	assert_int_equal(read_topic(fixture, "x.ads", count_ad, &ads), 37);
	assert_int_equal(ads, 37);
}

static void a_paced_run_ends_by_its_events(void **state)
{
	struct fixture *fixture = *state;
	assert_int_equal(run_verb(fixture, &leat_verb_generate, "--rate 20000 --events 500 --react --json"), 0);
	json_t *told = json_loads(fixture->out, 0, NULL);
	assert_int_equal(number(told, NULL, "events"), 500);
	json_decref(told);
}

static uint64_t fold(uint64_t hash, const void *data, size_t length)
{
	for (const uint8_t *at = data; length-- > 0; at++)
		hash = (hash ^ *at) * 1099511628211ull;
	return hash;
}

static void the_reference_workload_keeps_its_bytes(void **state)
{
	struct leat_rp1 rp1;
	uint64_t hash = 14695981039346656037ull;
	(void)state;
	leat_rp1_init(&rp1, 200000, 20000);
	for (int i = 0; i < 1000; i++) {
		leat_rp1_next(&rp1, -1);
		hash = fold(fold(hash, rp1.key, strlen(rp1.key)), rp1.body, rp1.length);
	}
	assert_true(hash == rp1_hash_1000);
}

static void count_any(void *self, int32_t partition, const struct leat_record *record)
{
	*(size_t *)self += leat_partition_of(record->key.data, record->key.length, 4) == partition && record->value.data[4] == 1;
}

static void the_reference_workload_is_written_by_key(void **state)
{
	struct fixture *fixture = *state;
	size_t right = 0;
	assert_int_equal(run_verb(fixture, &leat_verb_generate, "--rp1 5000"), 0);
	assert_int_equal(read_topic(fixture, "rp-events", count_any, &right), 5000);
	assert_int_equal(right, 5000);
}

/* ---- the shop beside a pipeline ---- */

static void send_decision(struct fixture *fixture, int number)
{
	struct leat_buffer body = { 0 };
	char id[32], user[16], ad[16];
	struct leat_fault fault = { 0 };
	struct leat_schema *schema;
	struct leat_encoder *encoder;
	struct leat_column *columns;
	const struct leat_field *fields[10];
	int slots[10];
	uint8_t header[LEAT_WIRE_HEADER];
	snprintf(id, sizeof id, "decision%d", number);
	snprintf(user, sizeof user, "u%d", number);
	snprintf(ad, sizeof ad, "ad%d", number % 10);
	assert_int_equal(leat_schema_load(&schema, "schemas/decision.avsc", &fault), 0);
	assert_int_equal(leat_schema_count(schema), 10);
	for (int i = 0; i < 10; i++) {
		fields[i] = leat_schema_field(schema, (size_t)i);
		slots[i] = i <= 4 ? i : -1;
	}
	assert_int_equal(leat_columns_make(&columns, fields, 10), 0);
	assert_int_equal(leat_encoder_compile(&encoder, schema, slots, fields, &fault), 0);
	columns[0].bytes[0] = leat_text(id);
	columns[1].bytes[0] = leat_text("event");
	columns[2].bytes[0] = leat_text(user);
	columns[4].bytes[0] = leat_text(ad);
	leat_wire_write(header, 7);
	leat_buffer_append(&body, header, sizeof header);
	assert_int_equal(leat_encoder_run(encoder, columns, 0, &body), 0);
	send_record(fixture, "shop.decisions", -1, &(struct leat_record){ .timestamp_ms = -1, .key = leat_text(user), .value = leat_bytes(body.data, body.length) });
	leat_buffer_free(&body);
	leat_encoder_free(encoder);
	leat_columns_free(columns, 10);
	leat_schema_free(schema);
}

static int64_t ends_of(struct fixture *fixture, const char *topic)
{
	struct leat_fault fault = { 0 };
	int32_t partitions;
	int64_t sum = 0, first, end;
	if (fixture->transport->ops->partitions(fixture->transport, topic, &partitions, &fault) < 0)
		return 0;
	for (int32_t i = 0; i < partitions; i++)
		if (fixture->transport->ops->bounds(fixture->transport, topic, i, &first, &end, &fault) == 0)
			sum += end;
	return sum;
}

static bool comes(struct fixture *fixture, const char *topic, int64_t count)
{
	for (int64_t until = leat_clock_mono_us(NULL) + 20000000; leat_clock_mono_us(NULL) < until;)
		if (ends_of(fixture, topic) >= count)
			return true;
	return false;
}

static void the_shop_beside_a_pipeline_answers_decisions(void **state)
{
	struct fixture *fixture = *state;
	struct leat_shop_feed *feed;
	struct leat_fault fault = { 0 };
	open_topics(fixture);
	assert_true(leat_tool_topic(fixture->transport, "shop.decisions", 2, false, &fault) >= 0);
	assert_int_equal(leat_shop_feed_start(&feed, fixture->transport, NULL, NULL, 2000, &fault), 0);
	assert_true(comes(fixture, "shop.clicks", 1));
	for (int i = 0; i < 20; i++)
		send_decision(fixture, i);
	assert_true(comes(fixture, "shop.feedback", 20));
	leat_shop_feed_stop(feed);
}

static void wrong_usage_is_told(void **state)
{
	struct fixture *fixture = *state;
	static const char *const lines[] = { "--rate 5 --start 1", "--start 1", "--bogus", "surplus" };
	for (size_t i = 0; i < LEAT_COUNT_OF(lines); i++)
		assert_int_equal(run_verb(fixture, &leat_verb_generate, lines[i]), LEAT_EXIT_USAGE);
	assert_int_equal(run_line(fixture, &leat_verb_generate, true, "--events 1"), LEAT_EXIT_USAGE);
	assert_non_null(strstr(fixture->out, "either --brokers HOST:PORT, --embedded FOLDER, or a file with brokers in its kafka: section is needed"));
	assert_int_equal(run_verb(fixture, &leat_verb_generate, "--events 1 --schemas /nowhere"), LEAT_EXIT_USAGE);
	assert_non_null(strstr(fixture->out, "/nowhere: there is no such folder of schemas"));
}

static void numbers_out_of_their_range_are_refused_with_it(void **state)
{
	struct fixture *fixture = *state;
	static const struct { const struct leat_verb *verb; const char *line, *said; } cases[] = {
		{ &leat_verb_generate, "--users 0", "--users must be a whole number from 1 to 1000000, not 0" },
		{ &leat_verb_generate, "--users -1", "--users must be a whole number from 1 to 1000000, not -1" },
		{ &leat_verb_generate, "--items 1.5", "--items must be a whole number from 1 to 1000000, not 1.5" },
		{ &leat_verb_generate, "--ads -1", "--ads must be a whole number from 0 to 1000000" },
		{ &leat_verb_generate, "--rate -1", "--rate must be a number from 0 to 10000000, not -1" },
		{ &leat_verb_generate, "--events 0", "--events must be a whole number from 1 to" },
		{ &leat_verb_generate, "--seconds -2", "--seconds must be a number from 0.001 to 1000000000, not -2" },
		{ &leat_verb_generate, "--seed -3", "--seed must be" },
		{ &leat_verb_generate, "--partitions 0", "--partitions must be a whole number from 1 to 1024, not 0" },
		{ &leat_verb_generate, "--rate 0 --start -1", "--start must be" },
		{ &leat_verb_generate, "--rp1 0", "--rp1 must be a whole number from 1 to" },
		{ &leat_verb_generate, "--rp1 nan", "--rp1 must be a number, not 'nan'" },
		{ &leat_verb_tail, "t --count 0", "--count must be a whole number from 1 to" },
		{ &leat_verb_tail, "t --count -5", "--count must be a whole number from 1 to" },
		{ &leat_verb_tail, "t --partition -1", "--partition must be a whole number from 0 to 2147483647, not -1" },
		{ &leat_verb_tail, "t --partition 1e12", "--partition must be" },
		{ &leat_verb_import, "f --mapping m --limit 0", "--limit must be a whole number from 1 to" },
		{ &leat_verb_import, "f --mapping m --rate -1", "--rate must be a number from 0 to 10000000, not -1" },
		{ &leat_verb_run, "p --seconds 0", "--seconds must be a number from 0.001 to 1000000000, not 0" },
		{ &leat_verb_run, "p --shop-rate 0", "--shop-rate must be a number from 0.001 to 10000000, not 0" },
	};
	for (size_t i = 0; i < LEAT_COUNT_OF(cases); i++) {
		assert_int_equal(run_verb(fixture, cases[i].verb, cases[i].line), LEAT_EXIT_USAGE);
		if (!strstr(fixture->out, cases[i].said))
			fail_msg("%s gave %s", cases[i].line, fixture->out);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_closing_line_tells_what_lies_in_the_topics, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(ads_are_there_under_their_ids_before_any_event, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(a_paced_run_ends_by_its_events, fixture_setup, fixture_teardown),
		cmocka_unit_test(the_reference_workload_keeps_its_bytes),
		cmocka_unit_test_setup_teardown(the_reference_workload_is_written_by_key, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(the_shop_beside_a_pipeline_answers_decisions, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(numbers_out_of_their_range_are_refused_with_it, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(wrong_usage_is_told, fixture_setup, fixture_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
