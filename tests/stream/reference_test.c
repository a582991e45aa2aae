/* Reference tables from a topic: the newest record per key, deletions, records that are no rows, and what operators find meanwhile. */
#include "tests/stream/embedded_help.h"

#include "stream/pipeline.h"
#include "stream/reference.h"
#include "stream/worker.h"
#include "tests/schemas/registry_server.h"

static const char text[] =
	"pipeline: p\ntasks: 1\nbatch: 8\ncommit_ms: 1\nmemory: 64MB\nidle_ms: 100000000\n"
	"sources: { in: { topic: in, format: json, fields: \"ad:string\" } }\n"
	"tables:\n"
	"  ads: { topic: ads, format: json, key: ad, fields: \"ad:string bid:int? tags:strings?\" }\n"
	"  shops: { topic: shops, format: json, key: shop, fields: \"shop:int bid:int?\" }\n"
	"  prices: { topic: prices, format: json, key: ad, history: since, fields: \"ad:string since:int? bid:int?\" }\n"
	"  wired: { topic: wired, format: avro, key: ad, fields: \"ad:string bid:int\" }\n"
	"operators: [ { id: look, use: enrich, from: in, with: { table: ads, key: ad, fields: [ bid ] } } ]\n"
	"sinks: { out: { from: [ look.found, look.missing ], topic: out, format: json, record: \"ad:string bid:int?\" } }\n";

enum { ADS, SHOPS, PRICES, WIRED };

struct tables {
	struct fixture *fixture;
	struct leat_pipeline *pipeline;
};

static int open_tables(void **state)
{
	static const char *const topics[] = { "in", "ads", "shops", "prices", "wired", "out", "p.dead-letters" };
	struct tables *tables = calloc(1, sizeof *tables);
	if (fixture_setup((void **)&tables->fixture) < 0)
		return -1;
	leat_log_level = LEAT_ERROR;
	open_with(tables->fixture, NULL, NULL);
	for (size_t i = 0; i < LEAT_COUNT_OF(topics); i++)
		create_topic(tables->fixture, topics[i], strcmp(topics[i], "ads") == 0 ? 2 : 1);
	expect_ok(tables->fixture, leat_pipeline_parse(&tables->pipeline, "p.yaml", text, sizeof text - 1, NULL, &tables->fixture->fault));
	*state = tables;
	return 0;
}

static int close_tables(void **state)
{
	struct tables *tables = *state;
	leat_pipeline_free(tables->pipeline);
	fixture_teardown((void **)&tables->fixture);
	free(tables);
	return 0;
}

static struct leat_reference *load(struct tables *tables, int table, struct leat_registry *registry)
{
	struct leat_reference *reference = tables->pipeline->tables[table].reference;
	expect_ok(tables->fixture, leat_reference_load(reference, tables->fixture->transport, registry, &tables->fixture->fault));
	return reference;
}

static int poll_table(struct tables *tables, struct leat_reference *reference)
{
	int rc = leat_reference_poll(reference, &tables->fixture->fault);
	expect_ok(tables->fixture, rc);
	return rc;
}

/* "key=bid " of each row, in the table's order. */
static const char *rows_of(const struct leat_reference *reference)
{
	static char out[1024];
	size_t length = 0;
	const struct leat_column *keys = leat_reference_column(reference, leat_reference_key(reference)->name), *bids = leat_reference_column(reference, "bid");
	out[0] = 0;
	for (size_t i = 0; i < leat_reference_count(reference); i++) {
		if (keys->type == LEAT_INT)
			length += (size_t)snprintf(out + length, sizeof out - length, "%lld=", (long long)keys->ints[i]);
		else
			length += (size_t)snprintf(out + length, sizeof out - length, "%.*s=", (int)keys->bytes[i].length, (const char *)keys->bytes[i].data);
		length += (size_t)snprintf(out + length, sizeof out - length, bids->null[i] ? "null " : "%lld ", (long long)bids->ints[i]);
	}
	return out;
}

static void a_tombstone_deletes_the_row_and_a_later_record_brings_it_back(void **state)
{
	struct tables *tables = *state;
	put(tables->fixture, "ads", 0, "b", "{\"ad\":\"b\",\"bid\":2,\"tags\":[\"x\",\"yz\"]}");
	put(tables->fixture, "ads", 1, "a", "{\"ad\":\"a\",\"bid\":1}");
	struct leat_reference *ads = load(tables, ADS, NULL);
	assert_string_equal(rows_of(ads), "a=1 b=2 ");
	uint64_t version = leat_reference_version(ads);
	assert_int_equal(poll_table(tables, ads), 0);
	assert_int_equal(leat_reference_version(ads), version);
	put(tables->fixture, "ads", 1, "a", NULL);
	assert_int_equal(poll_table(tables, ads), 1);
	assert_string_equal(rows_of(ads), "b=2 ");
	assert_true(leat_reference_version(ads) > version);
	assert_int_equal(leat_reference_find(ads, leat_text("a"), 0), -1);
	assert_int_equal(leat_reference_find(ads, leat_text("b"), 0), 0);
	put(tables->fixture, "ads", 1, "a", "{\"ad\":\"a\",\"bid\":7}");
	put(tables->fixture, "ads", 0, "b", NULL);
	poll_table(tables, ads);
	assert_string_equal(rows_of(ads), "a=7 ");
}

static void a_table_read_anew_is_the_table_that_was_followed(void **state)
{
	struct tables *tables = *state;
	struct leat_reference *ads = load(tables, ADS, NULL);
	assert_string_equal(rows_of(ads), "");
	for (int i = 0; i < 60; i++) {
		char key[8], value[64];
		snprintf(key, sizeof key, "k%d", i * 7 % 20);
		snprintf(value, sizeof value, "{\"ad\":\"%s\",\"bid\":%d}", key, i);
		put(tables->fixture, "ads", i * 7 % 20 % 2, key, i % 6 == 5 ? NULL : value);
		poll_table(tables, ads);
	}
	char followed[1024];
	snprintf(followed, sizeof followed, "%s", rows_of(ads));
	assert_true(strlen(followed) > 50);
	load(tables, ADS, NULL);
	assert_string_equal(rows_of(ads), followed);
}

static void what_is_no_row_is_skipped_and_the_row_stays_as_it_was(void **state)
{
	struct tables *tables = *state;
	put(tables->fixture, "ads", 0, "a", "{\"ad\":\"a\",\"bid\":1}");
	put(tables->fixture, "ads", 0, "a", "{\"ad\":");
	put(tables->fixture, "ads", 0, "a", "");
	put(tables->fixture, "ads", 0, "a", "{\"ad\":\"a\",\"bid\":\"much\"}");
	put(tables->fixture, "ads", 0, "a", "{\"bid\":3}");
	put(tables->fixture, "ads", 0, NULL, NULL);
	put(tables->fixture, "ads", 0, "other", NULL);
	struct leat_reference *ads = load(tables, ADS, NULL);
	assert_string_equal(rows_of(ads), "a=1 ");
	put(tables->fixture, "ads", 0, NULL, "{\"ad\":\"c\",\"bid\":3}");   /* the body has the key: a topic that is not compacted may do without */
	poll_table(tables, ads);
	assert_string_equal(rows_of(ads), "a=1 c=3 ");
}

static void a_number_as_key_is_deleted_by_its_text_and_by_no_other(void **state)
{
	static const char *const wrong[] = { "x", "7x", "", "700000000000000000000000000000000", NULL };
	struct tables *tables = *state;
	put(tables->fixture, "shops", 0, "7", "{\"shop\":7,\"bid\":1}");
	put(tables->fixture, "shops", 0, "0", "{\"shop\":0,\"bid\":2}");
	for (int i = 0; wrong[i]; i++)
		put(tables->fixture, "shops", 0, wrong[i], NULL);
	put(tables->fixture, "shops", 0, NULL, NULL);
	put(tables->fixture, "shops", 0, " 7", NULL);
	put(tables->fixture, "shops", 0, "+7", NULL);
	struct leat_reference *shops = load(tables, SHOPS, NULL);
	assert_int_equal(leat_reference_count(shops), 2);
	put(tables->fixture, "shops", 0, "7", NULL);
	poll_table(tables, shops);
	assert_string_equal(rows_of(shops), "0=2 ");
}

/* Lists that cannot be read to their end must not use up the memory that good records are read into. */
static void bad_records_leave_no_memory_behind(void **state)
{
	struct tables *tables = *state;
	static char value[40000];
	size_t length = (size_t)snprintf(value, sizeof value, "{\"ad\":\"a\",\"tags\":[\"\"");
	while (length < sizeof value - 10)
		length += (size_t)snprintf(value + length, sizeof value - length, ",\"\"");
	snprintf(value + length, sizeof value - length, "],");
	struct leat_reference *ads = load(tables, ADS, NULL);
	for (int i = 0; i < 400; i++)
		put(tables->fixture, "ads", 0, "a", value);
	put(tables->fixture, "ads", 0, "a", "{\"ad\":\"a\",\"bid\":1,\"tags\":[\"x\"]}");
	poll_table(tables, ads);
	assert_string_equal(rows_of(ads), "a=1 ");
}

/* ---- a registry that does not answer ---- */

static void put_wired(struct tables *tables, const char *key, int bid)
{
	char value[16] = { 0, 0, 0, 0, 9, 2, key[0], (char)(2 * bid) };
	struct leat_session *session = open_session(tables->fixture, -1);
	const struct leat_record record = { .timestamp_ms = -1, .key = leat_text(key), .value = leat_bytes(value, 8) };
	expect_ok(tables->fixture, tables->fixture->transport->ops->session_send(session, "wired", 0, &record, 0, &tables->fixture->fault));
	tables->fixture->transport->ops->session_close(session, true);
}

static void while_the_registry_is_down_no_row_is_passed_over(void **state)
{
	struct tables *tables = *state;
	struct server server = { 0 };
	struct leat_registry *registry;
	char url[64];
	server_start(&server);
	snprintf(url, sizeof url, "http://127.0.0.1:%d", server.port);
	const struct leat_registry_config config = { .url = url, .clock = &tables->fixture->clock };
	expect_ok(tables->fixture, leat_registry_open(&registry, &config, &tables->fixture->fault));
	struct leat_reference *wired = tables->pipeline->tables[WIRED].reference;
	put_wired(tables, "a", 1);
	put_wired(tables, "b", 2);
	server_can(&server, "HTTP/1.1 503 Busy\r\nConnection: close\r\n\r\nbusy");
	assert_int_equal(leat_reference_load(wired, tables->fixture->transport, registry, &tables->fixture->fault), LEAT_ERETRY);
	assert_non_null(strstr(tables->fixture->fault.text, "waits for the schema of the record at offset 0 of wired"));
	server_can(&server, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{\"schema\":\"{\\\"type\\\":\\\"record\\\",\\\"name\\\":\\\"record\\\",\\\"fields\\\":[{\\\"name\\\":\\\"ad\\\",\\\"type\\\":\\\"string\\\"},{\\\"name\\\":\\\"bid\\\",\\\"type\\\":\\\"long\\\"}]}\"}");
	tables->fixture->now_ms += 60000;
	load(tables, WIRED, registry);
	assert_string_equal(rows_of(wired), "a=1 b=2 ");
	leat_registry_close(registry);
	server_stop(&server);
	server_forget(&server);
}

/* ---- seen by an operator ---- */

static void run(struct tables *tables, struct leat_worker *worker)
{
	for (int idle = 0; idle < 5;) {
		bool nothing;
		long events = leat_worker_step(worker, 0, &nothing, &tables->fixture->fault);
		expect_ok(tables->fixture, (int)events);
		tables->fixture->now_ms += 5;
		idle = nothing ? idle + 1 : 0;
	}
}

static void enrich_finds_a_row_as_it_is_now_and_nothing_once_it_is_deleted(void **state)
{
	struct tables *tables = *state;
	struct fixture *fixture = tables->fixture;
	struct leat_storage *storage;
	pthread_rwlock_t lock;
	pthread_rwlock_init(&lock, NULL);
	expect_ok(fixture, leat_storage_open(&storage, 8 << 20, &fixture->fault));
	const struct leat_engine engine = { .pipeline = tables->pipeline, .transport = fixture->transport, .storage = storage, .clock = &fixture->clock, .tasks = 1, .rows_memory = 1 << 20, .behind_max = 1000 };
	struct leat_worker worker = { .engine = &engine, .tables = &lock };
	expect_ok(fixture, leat_worker_open(&worker, &fixture->fault));
	struct leat_reference *ads = load(tables, ADS, NULL);
	static const char *const states[] = { "{\"ad\":\"a\",\"bid\":1}", "{\"ad\":\"a\",\"bid\":2}", NULL, "{\"ad\":\"a\",\"bid\":3}" };
	for (size_t i = 0; i < LEAT_COUNT_OF(states); i++) {
		put(fixture, "ads", 0, "a", states[i]);
		poll_table(tables, ads);
		put(fixture, "in", 0, "k", "{\"ad\":\"a\"}");
		run(tables, &worker);
	}
	assert_string_equal(content(fixture, "out", 0), "0:k={\"ad\":\"a\",\"bid\":1} 1:k={\"ad\":\"a\",\"bid\":2} 2:k={\"ad\":\"a\",\"bid\":null} 3:k={\"ad\":\"a\",\"bid\":3} ");
	leat_worker_close(&worker, true);
	leat_storage_close(storage);
	pthread_rwlock_destroy(&lock);
}

static long long price_at(const struct leat_reference *prices, const char *key, int64_t time_ms)
{
	long row = leat_reference_find(prices, leat_text(key), time_ms);
	return row < 0 ? -1 : (long long)leat_reference_column(prices, "bid")->ints[row];
}

static void a_history_has_the_row_that_held_at_any_time_whatever_came_first(void **state)
{
	struct tables *tables = *state;
	static const char *const rows[] = { "{\"ad\":\"a\",\"since\":200,\"bid\":2}", "{\"ad\":\"ab\",\"since\":50,\"bid\":9}", "{\"ad\":\"a\",\"since\":100,\"bid\":1}",
		"{\"ad\":\"a\",\"since\":-5,\"bid\":0}", "{\"ad\":\"a\",\"bid\":77}" };
	for (size_t i = 0; i < LEAT_COUNT_OF(rows); i++)
		put(tables->fixture, "prices", 0, "any key", rows[i]);
	struct leat_reference *prices = load(tables, PRICES, NULL);
	assert_true(leat_reference_dated(prices));
	assert_int_equal(leat_reference_count(prices), 4);      /* the one without a time is none */
	static const struct { int64_t at; int bid; } expected[] = { { -6, -1 }, { -5, 0 }, { 99, 0 }, { 100, 1 }, { 199, 1 }, { 200, 2 }, { INT64_MAX, 2 } };
	for (size_t i = 0; i < LEAT_COUNT_OF(expected); i++)
		assert_int_equal(price_at(prices, "a", expected[i].at), expected[i].bid);
	assert_int_equal(price_at(prices, "ab", 49), -1);
	assert_int_equal(price_at(prices, "ab", 50), 9);
	put(tables->fixture, "prices", 0, "any key", "{\"ad\":\"a\",\"since\":100,\"bid\":11}");
	assert_int_equal(poll_table(tables, prices), 1);
	assert_int_equal(price_at(prices, "a", 150), 11);
	assert_int_equal(leat_reference_count(prices), 4);
	put(tables->fixture, "prices", 0, "a", NULL);
	assert_int_equal(poll_table(tables, prices), 1);
	assert_int_equal(price_at(prices, "a", 150), -1);
	assert_int_equal(price_at(prices, "ab", 150), 9);
}

#define TABLES_TEST(name) cmocka_unit_test_setup_teardown(name, open_tables, close_tables)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TABLES_TEST(a_tombstone_deletes_the_row_and_a_later_record_brings_it_back),
		TABLES_TEST(a_table_read_anew_is_the_table_that_was_followed),
		TABLES_TEST(what_is_no_row_is_skipped_and_the_row_stays_as_it_was),
		TABLES_TEST(a_number_as_key_is_deleted_by_its_text_and_by_no_other),
		TABLES_TEST(a_history_has_the_row_that_held_at_any_time_whatever_came_first),
		TABLES_TEST(bad_records_leave_no_memory_behind),
		TABLES_TEST(while_the_registry_is_down_no_row_is_passed_over),
		TABLES_TEST(enrich_finds_a_row_as_it_is_now_and_nothing_once_it_is_deleted),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
