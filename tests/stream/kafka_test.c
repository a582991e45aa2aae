/* The Kafka transport without its group: settings, topics, plain reading and writing. Those that need a broker are skipped without BROKER. */
#include "stream/kafka_internal.h"
#include "tests/stream/kafka_help.h"

#include "state/store.h"

#include <dirent.h>
#include <librdkafka/rdkafka.h>
#include <stdlib.h>

/* ---- what is refused before anything is asked of a broker ---- */

static int open_with(const char *application, const char *instance, const char *brokers, const char *key, const char *value, struct leat_fault *fault)
{
	struct leat_pair_text settings[] = { { key, value }, { NULL, NULL } };
	struct leat_transport_config config = { .application = application, .instance = instance, .brokers = brokers, .settings = settings };
	struct leat_transport *transport = NULL;
	int rc = leat_kafka_open(&transport, &config, fault);
	if (rc == 0)
		transport->ops->close(transport);
	else
		assert_null(transport);
	return rc;
}

static void settings_that_are_dangerous_or_ours_are_refused_with_the_reason(void **state)
{
	(void)state;
	static const struct { const char *key, *value, *says; } cases[] = {
		{ "plugin.library.paths", "/tmp/x.so", "loads code" },
		{ "ssl.engine.location", "/tmp/x.so", "loads code" },
		{ "sasl.kerberos.kinit.cmd", "rm -rf /", "shell command" },
		{ "test.mock.num.brokers", "3", "replaces the brokers" },
		{ "enable.auto.commit", "true", "inside transactions" },
		{ "enable.auto.offset.store", "true", "inside transactions" },
		{ "isolation.level", "read_uncommitted", "read_committed" },
		{ "transactional.id", "x", "application, the instance and the worker" },
		{ "group.id", "x", "application's name" },
		{ "no.such.setting", "x", "unknown" },
		{ "linger.ms", "many", "linger.ms" },
		{ "message.max.bytes", "65535", "at least 65536" },
	};
	for (size_t i = 0; i < LEAT_COUNT_OF(cases); i++) {
		struct leat_fault fault = { 0 };
		assert_int_equal(open_with("a", "b", "localhost:1", cases[i].key, cases[i].value, &fault), LEAT_ECONFIG);
		assert_non_null(strstr(fault.text, cases[i].key));
		assert_non_null(strstr(fault.text, cases[i].says));
	}
}

static void settings_of_the_list_are_taken(void **state)
{
	(void)state;
	static const char *const cases[][2] = {
		{ "security.protocol", "plaintext" }, { "client.id", "me" }, { "socket.timeout.ms", "1000" }, { "linger.ms", "2.5" },
		{ "compression.type", "zstd" }, { "message.max.bytes", "65536" }, { "sasl.username", "u" }, { "ssl.ca.location", "/etc/ssl/certs" },
	};
	for (size_t i = 0; i < LEAT_COUNT_OF(cases); i++) {
		struct leat_fault fault = { 0 };
		assert_int_equal(open_with("a", "b", "localhost:1", cases[i][0], cases[i][1], &fault), 0);
	}
}

/* What @line of librdkafka's becomes on standard error. */
static void log_is(const char *facility, const char *line, const char *said)
{
	char text[300];
	FILE *file = tmpfile();
	assert_non_null(file);
	fflush(stderr);
	int saved = dup(2);
	enum leat_level before = leat_log_level;
	leat_log_level = LEAT_WARNING;
	dup2(fileno(file), 2);
	kafka_log_line(NULL, 4, facility, line);
	fflush(stderr);
	dup2(saved, 2);
	close(saved);
	leat_log_level = before;
	rewind(file);
	text[fread(text, 1, sizeof text - 1, file)] = '\0';
	fclose(file);
	assert_string_equal(text, said);
}

static void a_coordinator_that_loads_is_no_news(void **state)
{
	(void)state;
	log_is("GETPID", "[thrd:main]: Failed to acquire transactional PID from broker TxnCoordinator/1: Broker: Coordinator load in progress: retrying", "");
	log_is("GETPID", "[thrd:main]: Failed to acquire transactional PID from broker TxnCoordinator/1: Broker: Not authorized", "leat: warning: kafka client: GETPID: [thrd:main]: Failed to acquire "
	       "transactional PID from broker TxnCoordinator/1: Broker: Not authorized\n");
	log_is("TXNERR", "x: retrying", "leat: warning: kafka client: TXNERR: x: retrying\n");
}

static void names_that_would_break_ids_or_paths_are_refused(void **state)
{
	(void)state;
	struct leat_fault fault = { 0 };
	char endless[200];
	memset(endless, 'a', sizeof endless - 1);
	endless[sizeof endless - 1] = '\0';
	const char *const bad[] = { "", "a|b", "a/b", "../x", "a b", NULL, endless };
	for (size_t i = 0; i < LEAT_COUNT_OF(bad); i++) {
		assert_int_equal(open_with(bad[i], "b", "localhost:1", NULL, NULL, &fault), LEAT_ECONFIG);
		assert_int_equal(open_with("a", bad[i], "localhost:1", NULL, NULL, &fault), LEAT_ECONFIG);
	}
	assert_int_equal(open_with("a", "b", "", NULL, NULL, &fault), LEAT_ECONFIG);
	assert_int_equal(open_with("a", "b", NULL, NULL, NULL, &fault), LEAT_ECONFIG);
}

static int count_entries(const char *folder, const char *part)
{
	DIR *dir = opendir(folder);
	int count = 0;
	assert_non_null(dir);
	for (const struct dirent *entry; (entry = readdir(dir)) != NULL;)
		count += strstr(entry->d_name, part) != NULL;
	closedir(dir);
	return count;
}

/* Overwrites the newest MANIFEST, without which RocksDB cannot tell what the database holds. */
static void damage(const char *folder)
{
	char path[600];
	DIR *dir = opendir(folder);
	assert_non_null(dir);
	for (const struct dirent *entry; (entry = readdir(dir)) != NULL;) {
		if (strncmp(entry->d_name, "MANIFEST", 8) != 0)
			continue;
		snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
		FILE *file = fopen(path, "r+b");
		assert_non_null(file);
		for (int i = 0; i < 64; i++)
			fputc(0xA5, file);
		assert_int_equal(fclose(file), 0);
	}
	closedir(dir);
}

static void remove_set_aside(const char *folder)
{
	char path[600];
	DIR *dir = opendir(folder);
	assert_non_null(dir);
	for (const struct dirent *entry; (entry = readdir(dir)) != NULL;)
		if (strstr(entry->d_name, ".corrupt-")) {
			snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
			assert_int_equal(leat_store_remove(path, NULL), 0);
		}
	closedir(dir);
}

static void a_damaged_database_is_set_aside_and_a_new_one_begun(void **state)
{
	(void)state;
	char folder[] = "/tmp/leat-kafka-XXXXXX", application[64], instance[80];
	assert_non_null(mkdtemp(folder));
	snprintf(application, sizeof application, "%s/app", folder);
	snprintf(instance, sizeof instance, "%s/one", application);
	struct leat_transport_config config = { .application = "app", .instance = "one", .brokers = "localhost:1", .state_dir = folder };
	struct leat_fault fault = { 0 };
	struct leat_transport *transport;
	struct leat_storage *storage;
	struct leat_store *store;
	assert_int_equal(leat_kafka_open(&transport, &config, &fault), 0);
	assert_int_equal(leat_storage_open(&storage, 16 << 20, &fault), 0);
	assert_int_equal(transport->ops->store_open(transport, storage, 7, "owner", &store, &fault), 0);
	leat_store_close(store, true);
	assert_int_equal(count_entries(instance, "7"), 1);
	char path[100];
	snprintf(path, sizeof path, "%s/7", instance);
	damage(path);
	assert_int_equal(transport->ops->store_open(transport, storage, 7, "owner", &store, &fault), 0);
	leat_store_close(store, true);
	assert_int_equal(count_entries(instance, "7.corrupt-"), 1);
	leat_storage_close(storage);
	transport->ops->close(transport);
	assert_int_equal(leat_store_remove(path, &fault), 0);
	remove_set_aside(instance);
	assert_true(rmdir(instance) == 0 && rmdir(application) == 0 && rmdir(folder) == 0);
}

static void opening_survives_each_failing_allocation(void **state)
{
	(void)state;
	int rc = LEAT_ENOMEM;
	uint64_t nth = 1;
	for (; rc != 0 && nth < 100; nth++) {
		struct leat_fault fault = { 0 };
		leat_alloc_fail_at(nth);
		rc = open_with("a", "b", "localhost:1", "linger.ms", "1", &fault);
		leat_alloc_fail_at(0);
		assert_true(rc == 0 || rc == LEAT_ENOMEM);
	}
	assert_int_equal(rc, 0);
	assert_true(nth > 5);
}

static void ignore_task(void *self, int32_t task)
{
	(void)self, (void)task;
}

static void a_session_survives_each_failing_allocation(void **state)
{
	(void)state;
	struct side self = { 0 }, *side = &self;
	struct leat_session_config config = { .tasks = 2, .transactional = true, .early = true, .memory = 1 << 20, .events = { NULL, ignore_task, ignore_task, ignore_task } };
	int rc = LEAT_ENOMEM;
	side_open(side, "127.0.0.1:1", "a", "b");
	for (uint64_t nth = 1; rc != 0 && nth < 100; nth++) {
		leat_alloc_fail_at(nth);
		rc = side->ops->session_open(side->transport, &config, &side->session, &side->fault);
		leat_alloc_fail_at(0);
		assert_true(rc == 0 || rc == LEAT_ENOMEM);
	}
	assert_int_equal(rc, 0);
	side_close(side);
}

static void without_a_broker_calls_come_back_in_time_and_say_so(void **state)
{
	(void)state;
	struct side self = { 0 }, *side = &self;
	struct leat_session_config config = side_config(side);
	char metadata[64];
	int64_t offset, start = now_ms();
	config.transaction_timeout_ms = 1000;
	side_open(side, "127.0.0.1:1", "a", "b");
	side_join(side, &config);
	assert_true(now_ms() - start < 500);
	assert_int_equal(side->ops->session_poll(side->session, 100000, &side->fault), 0);
	assert_int_equal(side->ops->session_committed(side->session, "x", 0, &offset, metadata, sizeof metadata, 200, &side->fault), LEAT_ERETRY);
	struct leat_record record = text_record("k", "v");
	assert_int_equal(side->ops->session_send(side->session, "x", 0, &record, 0, &side->fault), LEAT_ERETRY);
	assert_non_null(strstr(side->fault.text, "127.0.0.1:1"));
	assert_true(now_ms() - start < 5000);
	side->ops->session_wake(side->session);   /* a stop does not wait for the broker */
	start = now_ms();
	assert_int_equal(side->ops->session_reset(side->session, &side->fault), LEAT_ERETRY);
	assert_true(now_ms() - start < 800);
	side_close(side);
	assert_true(now_ms() - start < 3000);
}

/* ---- topics ---- */

static void a_topic_is_made_once_and_its_partitions_are_held_against_the_spec(void **state)
{
	(void)state;
	NEEDS_BROKER();
	struct side self = { 0 }, *side = &self;
	const char *topic = fresh_name("topic");
	const struct leat_pair_text extra[] = { { "segment.bytes", "1048576" }, { NULL, NULL } };
	struct leat_topic_spec spec = { .name = topic, .partitions = 3, .compacted = true, .config = extra };
	int32_t count = 0;
	side_open(side, test_broker(), "a", "b");
	assert_int_equal(side->ops->partitions(side->transport, topic, &count, &side->fault), LEAT_ENOTFOUND);
	assert_int_equal(side->ops->partitions(side->transport, topic, &count, &side->fault), LEAT_ENOTFOUND);   /* asking did not make it */
	assert_int_equal(must(side->ops->create(side->transport, &spec, &side->fault)), 1);
	assert_int_equal(must(side->ops->create(side->transport, &spec, &side->fault)), 0);
	must(side->ops->partitions(side->transport, topic, &count, &side->fault));
	assert_int_equal(count, 3);
	spec.partitions = 5;
	assert_int_equal(side->ops->create(side->transport, &spec, &side->fault), LEAT_ECONFIG);
	assert_non_null(strstr(side->fault.text, "has 3 partitions, 5 are needed"));
	const struct leat_pair_text wrong[] = { { "no.such", "x" }, { NULL, NULL } };
	struct leat_topic_spec bad = { .name = fresh_name("bad"), .partitions = 1, .config = wrong };
	assert_true(side->ops->create(side->transport, &bad, &side->fault) < 0);
	side_close(side);
}

/* Bytes that do not compress. */
static char *noise(size_t count)
{
	char *bytes = malloc(count);
	assert_non_null(bytes);
	for (size_t i = 0; i < count; i++)
		bytes[i] = (char)leat_mix(i);
	return bytes;
}

static void make_topic_for(struct side *side, const char *name, const char *bytes)
{
	const struct leat_pair_text config[] = { { "max.message.bytes", bytes }, { NULL, NULL } };
	const struct leat_topic_spec spec = { .name = name, .partitions = 1, .config = config };
	must(side->ops->create(side->transport, &spec, &side->fault));
}

static void the_largest_record_passes_with_any_headers_and_a_larger_one_is_refused(void **state)
{
	(void)state;
	NEEDS_BROKER();
	enum { HEADERS = 64 };
	struct side self = { 0 }, *side = &self;
	struct leat_header headers[HEADERS];
	const char *topic = fresh_name("large");
	side_open(side, test_broker(), "a", "b");
	make_topic_for(side, topic, "2097152");   /* as the engine makes its own */
	struct leat_session *session = plain_session(side);
	char *bytes = noise(side->transport->record_max + 1000);
	for (size_t i = 0; i < HEADERS; i++)
		headers[i] = (struct leat_header){ leat_text("n"), leat_bytes(bytes, 1) };
	struct leat_record record = { .timestamp_ms = -1, .headers = headers, .header_count = HEADERS };
	record.value = leat_bytes(bytes, side->transport->record_max - leat_record_size(&record));
	must(side->ops->session_send(session, topic, 0, &record, 0, &side->fault));
	record = (struct leat_record){ .timestamp_ms = -1, .key = leat_bytes(bytes, side->transport->record_max / 2), .value = leat_bytes(bytes, (side->transport->record_max + 1) / 2) };
	must(side->ops->session_send(session, topic, 0, &record, 0, &side->fault));
	must(side->ops->session_commit(session, NULL, 0, NULL, &side->fault));
	record.value.length += 1000;
	assert_int_equal(side->ops->session_send(session, topic, 0, &record, 0, &side->fault), LEAT_ELIMIT);
	assert_non_null(strstr(side->fault.text, "message.max.bytes in kafka.settings"));
	side->ops->session_close(session, true);
	side_close(side);
	free(bytes);
}

/* @until_refused: goes on sending until the transaction takes no more; else the commit tells. */
static void send_beyond_the_topic(bool until_refused)
{
	struct side self = { 0 }, *side = &self;
	struct leat_session_config config = side_config(side);
	const char *small = fresh_name("small"), *other = fresh_name("other");
	int64_t deadline = now_ms() + SOON_MS;
	side_open(side, test_broker(), fresh_name("app"), "b");
	make_topic_for(side, small, "10000");
	make_topic_for(side, other, "1000000");
	side_join(side, &config);
	char *bytes = noise(50000);
	struct leat_record large = { .timestamp_ms = -1, .value = leat_bytes(bytes, 50000) }, record = text_record("k", "v");
	must(side->ops->session_send(side->session, small, 0, &large, 0, &side->fault));
	int rc = must(side->ops->session_send_many(side->session, other, 0, &record, 1, 0, &side->fault)) < 0;
	while (until_refused && rc >= 0 && now_ms() < deadline)
		rc = side->ops->session_send(side->session, other, 0, &record, 0, &side->fault);
	if (!until_refused)
		rc = side->ops->session_commit(side->session, NULL, 0, "", &side->fault);
	assert_int_equal(rc, LEAT_ELIMIT);
	assert_non_null(strstr(side->fault.text, small));
	assert_non_null(strstr(side->fault.text, "larger than the topic's max.message.bytes"));
	side_close(side);
	free(bytes);
}

static void a_topic_that_takes_less_is_named_wherever_it_shows(void **state)
{
	(void)state;
	NEEDS_BROKER();
	send_beyond_the_topic(false);
	send_beyond_the_topic(true);
}

static void writing_to_a_topic_that_is_not_there_fails_and_does_not_make_it(void **state)
{
	(void)state;
	NEEDS_BROKER();
	struct side self = { 0 }, *side = &self;
	const char *topic = fresh_name("missing");
	int32_t count;
	side_open(side, test_broker(), "a", "b");
	struct leat_session *session = plain_session(side);
	struct leat_record record = text_record("k", "v");
	int rc = side->ops->session_send(session, topic, 0, &record, 0, &side->fault);
	if (rc == 0)
		rc = side->ops->session_commit(session, NULL, 0, NULL, &side->fault);
	assert_int_equal(rc, LEAT_ENOTFOUND);
	assert_int_equal(side->ops->partitions(side->transport, topic, &count, &side->fault), LEAT_ENOTFOUND);
	side->ops->session_close(session, true);
	side_close(side);
}

static void trimmed_records_are_a_gap_and_bounds_say_where_it_ends(void **state)
{
	(void)state;
	NEEDS_BROKER();
	struct side self = { 0 }, *side = &self;
	const char *topic = fresh_name("trim");
	struct leat_reader *reader = NULL;
	const struct leat_record *records;
	bool at_end = false;
	int64_t first, end, position;
	side_open(side, test_broker(), "a", "b");
	make_topic(side, topic);
	write_numbers(side, topic, 10);
	must(side->ops->trim(side->transport, topic, 1, 4, &side->fault));
	must(side->ops->bounds(side->transport, topic, 1, &first, &end, &side->fault));
	assert_int_equal(first, 4);
	assert_int_equal(end, 10);
	must(side->ops->reader_open(side->transport, topic, 1, 3, &reader, &side->fault));
	long rc = 0;
	for (int64_t deadline = now_ms() + SOON_MS; rc == 0 && now_ms() < deadline;)
		rc = side->ops->reader_next(reader, &records, 100, 1000, &at_end, &position, &side->fault);
	assert_int_equal(rc, LEAT_EGAP);
	assert_non_null(strstr(side->fault.text, "offset 3"));
	assert_int_equal(side->ops->reader_next(reader, &records, 100, 1000, &at_end, &position, &side->fault), LEAT_EGAP);
	side->ops->reader_close(reader);
	assert_true(side->ops->bounds(side->transport, fresh_name("none"), 0, &first, &end, &side->fault) < 0);
	side_close(side);
}

/* ---- records ---- */

static long next_records(struct side *side, struct leat_reader *reader, const struct leat_record **records, size_t max)
{
	bool at_end;
	int64_t position;
	long count = 0;
	for (int64_t deadline = now_ms() + SOON_MS; count == 0 && now_ms() < deadline;)
		count = must(side->ops->reader_next(reader, records, max, 1000, &at_end, &position, &side->fault));
	return count;
}

static void headers_nulls_and_timestamps_come_back_as_they_were(void **state)
{
	(void)state;
	NEEDS_BROKER();
	struct side self = { 0 }, *side = &self;
	const char *topic = fresh_name("record");
	static const uint8_t nul[3] = { 0, 255, 0 };
	struct leat_header headers[] = {
		{ leat_text("reason"), leat_text("bad") }, { leat_text("empty"), leat_bytes("", 0) }, { leat_text("null"), { NULL, 0 } },
		{ leat_text("reason"), leat_bytes(nul, 3) },
	};
	const struct leat_record sent[] = {
		{ .timestamp_ms = 1234567890123, .key = leat_text("key"), .value = leat_bytes(nul, 3), .headers = headers, .header_count = 4 },
		{ .timestamp_ms = 1, .key = { NULL, 0 }, .value = leat_text("no key") },
		{ .timestamp_ms = 2, .key = leat_text("tombstone"), .value = { NULL, 0 } },
		{ .timestamp_ms = 3, .key = leat_bytes("", 0), .value = leat_bytes("", 0) },
	};
	struct leat_reader *reader = NULL;
	const struct leat_record *got;
	side_open(side, test_broker(), "a", "b");
	make_topic(side, topic);
	struct leat_session *session = plain_session(side);
	for (size_t i = 0; i < LEAT_COUNT_OF(sent); i++)
		must(side->ops->session_send(session, topic, 2, &sent[i], 0, &side->fault));
	must(side->ops->session_commit(session, NULL, 0, NULL, &side->fault));
	must(side->ops->reader_open(side->transport, topic, 2, -1, &reader, &side->fault));
	for (size_t i = 0; i < LEAT_COUNT_OF(sent); i++) {
		assert_int_equal(next_records(side, reader, &got, 1), 1);
		assert_int_equal(got->offset, (int64_t)i);
		assert_int_equal(got->timestamp_ms, sent[i].timestamp_ms);
		assert_int_equal(got->key.data == NULL, sent[i].key.data == NULL);
		assert_int_equal(got->value.data == NULL, sent[i].value.data == NULL);
		assert_true(leat_bytes_equal(got->key, sent[i].key) && leat_bytes_equal(got->value, sent[i].value));
		assert_int_equal(got->header_count, sent[i].header_count);
		for (uint32_t h = 0; h < got->header_count; h++) {
			assert_true(leat_bytes_equal(got->headers[h].name, headers[h].name) && leat_bytes_equal(got->headers[h].value, headers[h].value));
			assert_int_equal(got->headers[h].value.data == NULL, headers[h].value.data == NULL);
		}
	}
	side->ops->reader_close(reader);
	side->ops->session_close(session, true);
	side_close(side);
}

static void a_key_without_a_partition_goes_where_murmur2_says(void **state)
{
	(void)state;
	NEEDS_BROKER();
	struct side self = { 0 }, *side = &self;
	const char *topic = fresh_name("keys"), *const keys[] = { "a", "user-17", "42", "zz", "4711", "" };
	char expected[TASKS][200] = { "" }, got[200];
	side_open(side, test_broker(), "a", "b");
	make_topic(side, topic);
	struct leat_session *session = plain_session(side);
	for (size_t i = 0; i < LEAT_COUNT_OF(keys); i++) {
		struct leat_record record = text_record(keys[i], keys[i]);
		char *text = expected[leat_partition_of(keys[i], strlen(keys[i]), TASKS)];
		size_t length = strlen(text);
		snprintf(text + length, sizeof expected[0] - length, "%s%s", length ? " " : "", keys[i]);
		must(side->ops->session_send(session, topic, -1, &record, 0, &side->fault));
	}
	must(side->ops->session_commit(session, NULL, 0, NULL, &side->fault));
	side->ops->session_close(session, true);
	for (int32_t partition = 0; partition < TASKS; partition++) {
		read_all(side, topic, partition, got, sizeof got);
		assert_string_equal(got, expected[partition]);
	}
	side_close(side);
}

static void two_readers_of_one_partition_do_not_disturb_each_other(void **state)
{
	(void)state;
	NEEDS_BROKER();
	struct side self = { 0 }, *side = &self;
	const char *topic = fresh_name("two");
	struct leat_reader *first = NULL, *second = NULL;
	const struct leat_record *records;
	side_open(side, test_broker(), "a", "b");
	make_topic(side, topic);
	write_numbers(side, topic, 3);
	must(side->ops->reader_open(side->transport, topic, 0, 0, &first, &side->fault));
	must(side->ops->reader_open(side->transport, topic, 0, 1, &second, &side->fault));
	assert_int_equal(next_records(side, first, &records, 1), 1);
	assert_int_equal(records->offset, 0);
	assert_int_equal(next_records(side, second, &records, 1), 1);
	assert_int_equal(records->offset, 1);
	assert_int_equal(next_records(side, first, &records, 1), 1);
	assert_int_equal(records->offset, 1);
	side->ops->reader_close(first);
	must(side->ops->reader_open(side->transport, topic, 0, 2, &first, &side->fault));   /* at once again on the same partition */
	assert_int_equal(next_records(side, first, &records, 1), 1);
	assert_int_equal(records->offset, 2);
	side->ops->reader_close(first);
	side->ops->reader_close(second);
	side_close(side);
}

/* ---- transactions in the log ---- */

static rd_kafka_t *raw_producer(const char *id)
{
	char text[256];
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	assert_int_equal(rd_kafka_conf_set(conf, "bootstrap.servers", test_broker(), text, sizeof text), 0);
	assert_int_equal(rd_kafka_conf_set(conf, "transactional.id", id, text, sizeof text), 0);
	rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof text);
	assert_non_null(rk);
	assert_null(rd_kafka_init_transactions(rk, SOON_MS));
	return rk;
}

static void raw_send(rd_kafka_t *rk, const char *topic, const char *value)
{
	rd_kafka_topic_t *handle = rd_kafka_topic_new(rk, topic, NULL);
	assert_int_equal(rd_kafka_produce(handle, 0, RD_KAFKA_MSG_F_COPY, (void *)(uintptr_t)value, strlen(value), NULL, 0, NULL), 0);
	rd_kafka_topic_destroy(handle);
	assert_int_equal(rd_kafka_flush(rk, SOON_MS), 0);
}

static void a_reader_ends_before_the_open_transaction_and_leaves_out_the_aborted_one(void **state)
{
	(void)state;
	NEEDS_BROKER();
	struct side self = { 0 }, *side = &self;
	const char *topic = fresh_name("lso");
	char text[200];
	int64_t first, end;
	side_open(side, test_broker(), "a", "b");
	make_topic(side, topic);
	rd_kafka_t *one = raw_producer(fresh_name("one")), *two = raw_producer(fresh_name("two"));
	assert_null(rd_kafka_begin_transaction(one));
	raw_send(one, topic, "committed");                       /* 0, marker 1 */
	assert_null(rd_kafka_commit_transaction(one, SOON_MS));
	assert_null(rd_kafka_begin_transaction(one));
	raw_send(one, topic, "aborted");                         /* 2, marker 3 */
	assert_null(rd_kafka_abort_transaction(one, SOON_MS));
	assert_int_equal(read_all(side, topic, 0, text, sizeof text), 4);   /* beyond the markers */
	assert_string_equal(text, "committed");
	assert_null(rd_kafka_begin_transaction(one));
	assert_null(rd_kafka_begin_transaction(two));
	raw_send(two, topic, "open");                            /* 4 */
	raw_send(one, topic, "behind the open one");             /* 5, marker 6 */
	assert_null(rd_kafka_commit_transaction(one, SOON_MS));
	assert_int_equal(read_all(side, topic, 0, text, sizeof text), 4);
	assert_string_equal(text, "committed");
	must(side->ops->bounds(side->transport, topic, 0, &first, &end, &side->fault));
	assert_int_equal(end, 4);
	assert_null(rd_kafka_commit_transaction(two, SOON_MS));
	read_all(side, topic, 0, text, sizeof text);
	assert_string_equal(text, "committed open behind the open one");
	rd_kafka_destroy(one);
	rd_kafka_destroy(two);
	side_close(side);
}

int main(void)
{
	leat_log_level = LEAT_ERROR;
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(settings_that_are_dangerous_or_ours_are_refused_with_the_reason),
		cmocka_unit_test(settings_of_the_list_are_taken),
		cmocka_unit_test(a_coordinator_that_loads_is_no_news),
		cmocka_unit_test(names_that_would_break_ids_or_paths_are_refused),
		cmocka_unit_test(a_damaged_database_is_set_aside_and_a_new_one_begun),
		cmocka_unit_test(opening_survives_each_failing_allocation),
		cmocka_unit_test(a_session_survives_each_failing_allocation),
		cmocka_unit_test(without_a_broker_calls_come_back_in_time_and_say_so),
		cmocka_unit_test(a_topic_is_made_once_and_its_partitions_are_held_against_the_spec),
		cmocka_unit_test(the_largest_record_passes_with_any_headers_and_a_larger_one_is_refused),
		cmocka_unit_test(a_topic_that_takes_less_is_named_wherever_it_shows),
		cmocka_unit_test(writing_to_a_topic_that_is_not_there_fails_and_does_not_make_it),
		cmocka_unit_test(trimmed_records_are_a_gap_and_bounds_say_where_it_ends),
		cmocka_unit_test(headers_nulls_and_timestamps_come_back_as_they_were),
		cmocka_unit_test(a_key_without_a_partition_goes_where_murmur2_says),
		cmocka_unit_test(two_readers_of_one_partition_do_not_disturb_each_other),
		cmocka_unit_test(a_reader_ends_before_the_open_transaction_and_leaves_out_the_aborted_one),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
