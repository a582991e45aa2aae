/* The embedded transport's socket: what another process can do, and what a hostile one cannot. */
#include "tests/stream/embedded_help.h"

#include "stream/embedded_run.h"
#include "stream/embedded_wire.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

/* A fixture of its own for the client: the second transport on one directory is a client, whatever process it is in. */
static int open_real(struct fixture *fixture)
{
	const struct leat_transport_config config = { .application = "app", .directory = fixture->directory };
	fixture->fault = (struct leat_fault){ 0 };
	return leat_embedded_open(&fixture->transport, &config, &fixture->fault);
}

static struct fixture *open_client(struct fixture *owner)
{
	struct fixture *client = calloc(1, sizeof *client);
	memcpy(client->directory, owner->directory, sizeof client->directory);
	expect_ok(client, open_real(client));
	return client;
}

static void close_client(struct fixture *client)
{
	close_transport(client);
	free(client);
}

/* ---- what others can do ---- */

static void another_process_makes_topics_writes_and_reads(void **state)
{
	struct fixture *owner = *state;
	int32_t count;
	expect_ok(owner, open_real(owner));
	struct fixture *client = open_client(owner);
	assert_string_equal(client->transport->ops->name, "embedded, by way of its owner");
	create_topic(client, "t", 3);
	assert_int_equal(client->transport->ops->create(client->transport, &(struct leat_topic_spec){ .name = "t", .partitions = 3 }, &client->fault), 0);
	expect_ok(client, client->transport->ops->partitions(client->transport, "t", &count, &client->fault));
	assert_int_equal(count, 3);
	put(client, "t", 1, "k", "from the client");
	put(owner, "t", 1, NULL, "from the owner");
	put(client, "t", 1, "k", NULL);
	assert_string_equal(content(owner, "t", 1), "0:k=from the client 1:=from the owner 2:k=null ");
	assert_string_equal(content(client, "t", 1), "0:k=from the client 1:=from the owner 2:k=null ");
	assert_string_equal(content_from(client, "t", 1, 1), "1:=from the owner 2:k=null ");
	expect_ok(client, client->transport->ops->trim(client->transport, "t", 1, 2, &client->fault));
	assert_string_equal(bounds_text(client, "t", 1), "2..3");
	assert_string_equal(bounds_text(owner, "t", 1), "2..3");
	close_client(client);
}

static void faults_of_the_owner_come_back_with_code_and_text(void **state)
{
	struct fixture *owner = *state;
	struct leat_reader *reader;
	int32_t count;
	expect_ok(owner, open_real(owner));
	struct fixture *client = open_client(owner);
	const struct leat_transport_ops *ops = client->transport->ops;
	assert_int_equal(ops->partitions(client->transport, "none", &count, &client->fault), LEAT_ENOTFOUND);
	create_topic(client, "t", 3);
	assert_int_equal(ops->create(client->transport, &(struct leat_topic_spec){ .name = "t", .partitions = 4 }, &client->fault), LEAT_ECONFIG);
	assert_string_equal(client->fault.text, "topic t has 3 partitions, not 4");
	assert_int_equal(ops->reader_open(client->transport, "t", 3, 0, &reader, &client->fault), LEAT_ECONFIG);
	assert_int_equal(ops->reader_open(client->transport, "t", -1, 0, &reader, &client->fault), LEAT_ECONFIG);
	assert_int_equal(ops->reader_open(client->transport, "t", 0, 1, &reader, &client->fault), LEAT_EGAP);
	assert_int_equal(ops->trim(client->transport, "t", 0, 1, &client->fault), LEAT_ECONFIG);
	close_client(client);
}

static void tasks_of_another_process_are_refused_with_the_owners_pid(void **state)
{
	struct fixture *owner = *state;
	struct leat_session *session;
	char text[64];
	expect_ok(owner, open_real(owner));
	struct fixture *client = open_client(owner);
	assert_int_equal(client->transport->ops->session_open(client->transport, &(struct leat_session_config){ .tasks = 4 }, &session, &client->fault), LEAT_EBUSY);
	snprintf(text, sizeof text, "in use by process %ld", (long)getpid());
	assert_non_null(strstr(client->fault.text, text));
	assert_null(session);
	close_client(client);
}

static void many_records_with_headers_cross_the_socket_unchanged(void **state)
{
	struct fixture *owner = *state;
	enum { COUNT = 20000 };
	expect_ok(owner, open_real(owner));
	struct fixture *client = open_client(owner);
	const struct leat_transport_ops *ops = client->transport->ops;
	create_topic(client, "t", 1);
	struct leat_session *session = open_session(client, -1);
	char *big = calloc(1, 3 << 20);
	const struct leat_header header = { leat_text("h"), leat_text("v") };
	for (int i = 0; i < COUNT; i++) {
		const struct leat_record record = { .timestamp_ms = i, .value = leat_bytes(big, i % 5000 == 0 ? 3 << 20 : (size_t)i % 100), .headers = &header, .header_count = i % 2 };
		expect_ok(client, ops->session_send(session, "t", 0, &record, 0, &client->fault));
	}
	ops->session_close(session, true);
	struct leat_reader *reader;
	bool at_end = false;
	int64_t position, next = 0;
	expect_ok(client, ops->reader_open(client->transport, "t", 0, -1, &reader, &client->fault));
	while (!at_end) {
		const struct leat_record *records;
		long count = ops->reader_next(reader, &records, 300, 1000, &at_end, &position, &client->fault);
		expect_ok(client, (int)count);
		for (long i = 0; i < count; i++, next++) {
			assert_int_equal(records[i].offset, next);
			assert_int_equal(records[i].timestamp_ms, next);
			assert_int_equal(records[i].value.length, next % 5000 == 0 ? 3 << 20 : next % 100);
			assert_int_equal(records[i].header_count, next % 2);
			assert_true(next % 2 == 0 || leat_bytes_equal(records[i].headers[0].value, leat_text("v")));
		}
	}
	assert_int_equal(next, COUNT);
	ops->reader_close(reader);
	free(big);
	close_client(client);
}

static void *put_later(void *self)
{
	struct fixture *owner = self;
	put(owner, "t", 0, "k", "v");
	return NULL;
}

static void a_reader_waits_for_records_in_the_owner(void **state)
{
	struct fixture *owner = *state;
	const struct leat_record *records;
	struct leat_reader *reader;
	pthread_t thread;
	bool at_end;
	int64_t position, start_us = leat_clock_mono_us(NULL);
	expect_ok(owner, open_real(owner));
	struct fixture *client = open_client(owner);
	create_topic(client, "t", 1);
	expect_ok(client, client->transport->ops->reader_open(client->transport, "t", 0, -1, &reader, &client->fault));
	assert_int_equal(client->transport->ops->reader_next(reader, &records, 10, 10, &at_end, &position, &client->fault), 0);
	assert_true(at_end);
	pthread_create(&thread, NULL, put_later, owner);
	assert_int_equal(client->transport->ops->reader_next(reader, &records, 10, 60000, &at_end, &position, &client->fault), 1);
	assert_true(leat_clock_mono_us(NULL) - start_us < 30000000);
	assert_int_equal(position, 1);
	pthread_join(thread, NULL);
	client->transport->ops->reader_close(reader);
	close_client(client);
}

static void the_socket_is_for_its_user_alone_and_its_path_may_be_long(void **state)
{
	struct fixture *owner = *state;
	char path[400];
	struct stat status;
	int length = snprintf(path, sizeof path, "%s/%0200d", owner->directory, 1);
	const struct leat_transport_config config = { .application = "app", .directory = path };
	struct leat_transport *first, *second;
	expect_ok(owner, leat_embedded_open(&first, &config, &owner->fault));
	expect_ok(owner, leat_embedded_open(&second, &config, &owner->fault));
	snprintf(path + length, sizeof path - (size_t)length, "/control.sock");
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_mode & 0777, 0600);
	second->ops->close(second);
	first->ops->close(first);
	assert_int_equal(stat(path, &status), -1);
}

static void when_the_owner_dies_its_client_is_told_and_may_become_owner(void **state)
{
	struct fixture *client = *state;
	int pipes[2], status;
	char byte;
	int32_t count;
	assert_int_equal(pipe(pipes), 0);
	pid_t pid = fork();
	if (pid == 0) {
		char number[16];
		snprintf(number, sizeof number, "%d", pipes[1]);
		execl("/proc/self/exe", "embedded_socket_test", client->directory, number, (char *)NULL);
		_exit(1);
	}
	assert_int_equal(read(pipes[0], &byte, 1), 1);
	expect_ok(client, open_real(client));
	assert_string_equal(client->transport->ops->name, "embedded, by way of its owner");
	put(client, "t", 0, "k", "kept");
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	assert_int_equal(client->transport->ops->partitions(client->transport, "t", &count, &client->fault), LEAT_ERETRY);
	assert_non_null(strstr(client->fault.text, "has gone"));
	assert_int_equal(client->transport->ops->partitions(client->transport, "t", &count, &client->fault), LEAT_ERETRY);
	struct leat_transport *old = client->transport;
	expect_ok(client, open_real(client));
	assert_string_equal(client->transport->ops->name, "embedded");
	assert_string_equal(content(client, "t", 0), "0:k=kept ");
	/* The old connection finds the new owner by itself. */
	expect_ok(client, old->ops->partitions(old, "t", &count, &client->fault));
	old->ops->close(old);
	close(pipes[0]);
	close(pipes[1]);
}

/* ---- what others cannot do ---- */

static int connect_raw(struct fixture *owner)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	snprintf(address.sun_path, sizeof address.sun_path, "%s/control.sock", owner->directory);
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
	return fd;
}

/* As far as the other side takes it. */
static void send_raw(int fd, const void *data, size_t length)
{
	for (ssize_t sent; length && (sent = send(fd, data, length, MSG_NOSIGNAL)) > 0; length -= (size_t)sent)
		data = (const uint8_t *)data + sent;
}

/* Reads what comes within a minute until the other side closes. */
static bool is_closed(int fd)
{
	uint8_t buffer[65536];
	struct pollfd waits = { .fd = fd, .events = POLLIN };
	while (poll(&waits, 1, 60000) > 0) {
		ssize_t count = recv(fd, buffer, sizeof buffer, MSG_DONTWAIT);
		if (count <= 0)
			return count == 0 || errno == ECONNRESET;
	}
	return false;
}

static void make_hello(struct leat_buffer *frame, uint32_t magic, uint32_t version)
{
	assert_int_equal(leat_wire_begin(frame), 0);
	leat_wire_put_u8(frame, LEAT_WIRE_HELLO);
	leat_wire_put_u32(frame, magic);
	leat_wire_put_u32(frame, version);
	leat_wire_finish(frame);
}

static int connect_greeted(struct fixture *owner)
{
	struct leat_buffer frame = { 0 };
	uint8_t answer[16];
	int fd = connect_raw(owner);
	make_hello(&frame, LEAT_WIRE_MAGIC, LEAT_WIRE_VERSION);
	send_raw(fd, frame.data, frame.length);
	assert_int_equal(recv(fd, answer, sizeof answer, MSG_WAITALL), 16);
	leat_buffer_free(&frame);
	return fd;
}

static void assert_still_serves(struct fixture *owner)
{
	struct fixture *client = open_client(owner);
	put(client, "t", 0, "k", "v");
	close_client(client);
}

static void malformed_frames_close_the_connection_and_nothing_else(void **state)
{
	struct fixture *owner = *state;
	static const struct { const char *bytes; size_t length; bool greeted; } bad[] = {
		{ "GET / HTTP/1.1\r\n\r\n", 18, false },
		{ "\x00\x00\x00\x00", 4, false },
		{ "\x09\x00\x00\x00\x01xxxxxxxx", 13, false },               /* another magic       */
		{ "\x01\x00\x00\x00\x02", 5, false },                        /* not greeted         */
		{ "\x01\x00\x00\x00\x00", 5, true },
		{ "\x01\x00\x00\x00\xff", 5, true },                         /* unknown kind        */
		{ "\x01\x00\x00\x00\x02", 5, true },                         /* topic missing       */
		{ "\x05\x00\x00\x00\x02\x01\x00t!", 9, true },               /* a byte too many     */
		{ "\x04\x00\x00\x00\x02\x01\x00\x00", 8, true },             /* NUL in a name       */
		{ "\x01\x00\x00\x01", 4, true },                             /* 16 MiB and one byte */
		{ "\x08\x00\x00\x00\x07\x01\x00t\x00\x00\x00\x00", 12, true },   /* a run missing    */
	};
	expect_ok(owner, open_real(owner));
	create_topic(owner, "t", 1);
	for (size_t i = 0; i < LEAT_COUNT_OF(bad); i++) {
		int fd = bad[i].greeted ? connect_greeted(owner) : connect_raw(owner);
		send_raw(fd, bad[i].bytes, bad[i].length);
		assert_true(is_closed(fd));
		close(fd);
	}
	assert_still_serves(owner);
	assert_string_equal(content(owner, "t", 0), "0:k=v ");
}

static void a_client_of_another_version_is_told(void **state)
{
	struct fixture *owner = *state;
	struct leat_buffer frame = { 0 };
	struct { uint32_t length; int32_t status; uint8_t fatal; } __attribute__((packed)) answer;
	expect_ok(owner, open_real(owner));
	int fd = connect_raw(owner);
	make_hello(&frame, LEAT_WIRE_MAGIC, 9);
	send_raw(fd, frame.data, frame.length);
	assert_int_equal(recv(fd, &answer, sizeof answer, MSG_WAITALL), sizeof answer);
	assert_int_equal(answer.status, LEAT_EFOREIGN);
	close(fd);
	leat_buffer_free(&frame);
}

static void the_65th_client_is_turned_away_until_one_leaves(void **state)
{
	struct fixture *owner = *state;
	int fds[64];
	expect_ok(owner, open_real(owner));
	create_topic(owner, "t", 1);
	for (size_t i = 0; i < LEAT_COUNT_OF(fds); i++)
		fds[i] = connect_greeted(owner);
	int one_more = connect_raw(owner);
	assert_true(is_closed(one_more));
	close(one_more);
	for (size_t i = 0; i < LEAT_COUNT_OF(fds); i++)
		close(fds[i]);
	assert_still_serves(owner);
}

static void a_client_that_asks_and_does_not_read_is_dropped(void **state)
{
	struct fixture *owner = *state;
	struct leat_buffer frame = { 0 };
	expect_ok(owner, open_real(owner));
	create_topic(owner, "t", 1);
	struct leat_session *session = open_session(owner, -1);
	uint8_t *big = calloc(1, 1 << 20);
	const struct leat_record record = { .timestamp_ms = 1, .value = leat_bytes(big, 1 << 20) };
	expect_ok(owner, owner->transport->ops->session_send(session, "t", 0, &record, 0, &owner->fault));
	owner->transport->ops->session_close(session, true);
	free(big);
	assert_int_equal(leat_wire_begin(&frame), 0);
	leat_wire_put_u8(&frame, LEAT_WIRE_READ);
	leat_wire_put_text(&frame, "t");
	leat_wire_put_u32(&frame, 0);
	leat_wire_put_i64(&frame, 0);
	leat_wire_put_u32(&frame, 0);
	leat_wire_finish(&frame);
	int fd = connect_greeted(owner);
	struct pollfd waits = { .fd = fd, .events = POLLHUP };
	for (int i = 0; i < 40; i++)
		send_raw(fd, frame.data, frame.length);
	assert_int_equal(poll(&waits, 1, 60000), 1);
	assert_true(waits.revents & (POLLHUP | POLLERR));
	close(fd);
	leat_buffer_free(&frame);
	assert_still_serves(owner);
}

/* A frame that writes two runs, cut and bent at each byte: it is taken whole or refused, and the server lives. */
static void bent_writes_are_taken_whole_or_not_at_all(void **state)
{
	struct fixture *owner = *state;
	struct leat_buffer frame = { 0 };
	expect_ok(owner, open_real(owner));
	create_topic(owner, "t", 1);
	uint8_t run[] = { LEAT_RUN_VERSION, 0, 0, 0, 2, 0, 0, 0, 46, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0,
		0, 2, 2, 1, 'k', 'v', 1, 2, 'h', 'v', 2, 0, 0, 0 };
	assert_int_equal(leat_wire_begin(&frame), 0);
	leat_wire_put_u8(&frame, LEAT_WIRE_WRITE);
	for (int i = 0; i < 2; i++) {
		leat_wire_put_text(&frame, "t");
		leat_wire_put_u32(&frame, 0);
		leat_buffer_append(&frame, run, sizeof run);
	}
	leat_wire_finish(&frame);
	int64_t first, end = 0, before = 0;
	for (size_t i = 0; i <= frame.length * 2; i++) {
		int fd = connect_greeted(owner);
		uint8_t bent[256];
		memcpy(bent, frame.data, frame.length);
		if (i > 0)
			bent[(i - 1) / 2] ^= i % 2 ? 0x80 : 0x01;
		send_raw(fd, bent, frame.length);
		shutdown(fd, SHUT_WR);
		assert_true(is_closed(fd));
		close(fd);
		expect_ok(owner, owner->transport->ops->bounds(owner->transport, "t", 0, &first, &end, &owner->fault));
		assert_true(end == before || end == before + 4);
		before = end;
	}
	assert_true(end >= 4);
	leat_buffer_free(&frame);
	const char *all = content(owner, "t", 0);
	assert_memory_equal(all, "0:k=v 1:=null 2:k=v 3:=null ", 28);
	assert_still_serves(owner);
}

/* ---- the decoder alone ---- */

static int resolve(void *owner, const char *name, struct leat_outbox_topic *topic, struct leat_fault *fault)
{
	(void)owner, (void)name, (void)fault;
	topic->partitions = 1;
	return 0;
}

static void make_chunk(struct leat_chunk *chunk, int count)
{
	static const struct leat_header headers[] = { { { (const uint8_t *)"name", 4 }, { NULL, 0 } }, { { (const uint8_t *)"n", 1 }, { (const uint8_t *)"value", 5 } } };
	struct leat_outboxes boxes;
	leat_outboxes_init(&boxes, resolve, NULL);
	for (int i = 0; i < count; i++) {
		const struct leat_record record = { .timestamp_ms = i * 1000, .key = leat_text("key"), .value = leat_bytes("some value", (size_t)i % 10), .headers = headers, .header_count = (uint32_t)i % 3 };
		assert_int_equal(leat_outboxes_add(&boxes, "t", 0, &record, 0, NULL), 0);
	}
	const struct leat_buffer *bytes = &boxes.topics[0]->boxes[0].bytes;
	assert_int_equal(leat_chunk_append(chunk, count - 1, bytes->data, bytes->length), 0);
	leat_outboxes_free(&boxes);
}

/* Exactly as long as it is, so that a sanitizer sees a byte too far. */
static int decode_copy(const uint8_t *data, size_t length)
{
	struct leat_chunk chunk = { .bytes = { .data = malloc(length ? length : 1), .length = length, .capacity = length } };
	memcpy(chunk.bytes.data, data, length);
	int rc = leat_chunk_decode(&chunk, 0);
	for (size_t i = 0; rc == 0 && i < chunk.count; i++)
		for (uint32_t h = 0; h < chunk.records[i].header_count; h++)
			assert_non_null(chunk.records[i].headers[h].name.data);
	leat_chunk_free(&chunk);
	return rc;
}

static void a_run_cut_anywhere_is_corrupt(void **state)
{
	(void)state;
	struct leat_chunk chunk = { 0 };
	make_chunk(&chunk, 20);
	assert_int_equal(decode_copy(chunk.bytes.data, chunk.bytes.length), 0);
	for (size_t length = 1; length < chunk.bytes.length; length++)
		assert_int_equal(decode_copy(chunk.bytes.data, length), LEAT_ECORRUPT);
	leat_chunk_free(&chunk);
}

static void bent_runs_decode_or_are_corrupt_and_never_hurt(void **state)
{
	(void)state;
	struct leat_chunk chunk = { 0 };
	int corrupt = 0;
	make_chunk(&chunk, 50);
	for (uint64_t seed = 0; seed < 100000; seed++) {
		uint8_t bent[4096];
		memcpy(bent, chunk.bytes.data, chunk.bytes.length);
		for (uint64_t i = 0; i <= seed % 4; i++)
			bent[leat_mix(seed * 8 + i) % chunk.bytes.length] = (uint8_t)leat_mix(seed * 8 + i + 4);
		corrupt += decode_copy(bent, chunk.bytes.length) == LEAT_ECORRUPT;
	}
	assert_in_range(corrupt, 1000, 99000);
	leat_chunk_free(&chunk);
}

int main(int count, char **arguments)
{
	const struct CMUnitTest tests[] = {
		EMBEDDED_TEST(another_process_makes_topics_writes_and_reads),
		EMBEDDED_TEST(faults_of_the_owner_come_back_with_code_and_text),
		EMBEDDED_TEST(tasks_of_another_process_are_refused_with_the_owners_pid),
		EMBEDDED_TEST(many_records_with_headers_cross_the_socket_unchanged),
		EMBEDDED_TEST(a_reader_waits_for_records_in_the_owner),
		EMBEDDED_TEST(the_socket_is_for_its_user_alone_and_its_path_may_be_long),
		EMBEDDED_TEST(when_the_owner_dies_its_client_is_told_and_may_become_owner),
		EMBEDDED_TEST(malformed_frames_close_the_connection_and_nothing_else),
		EMBEDDED_TEST(a_client_of_another_version_is_told),
		EMBEDDED_TEST(the_65th_client_is_turned_away_until_one_leaves),
		EMBEDDED_TEST(a_client_that_asks_and_does_not_read_is_dropped),
		EMBEDDED_TEST(bent_writes_are_taken_whole_or_not_at_all),
		cmocka_unit_test(a_run_cut_anywhere_is_corrupt),
		cmocka_unit_test(bent_runs_decode_or_are_corrupt_and_never_hurt),
	};
	if (count == 3) {
		struct fixture fixture = { 0 };
		snprintf(fixture.directory, sizeof fixture.directory, "%.60s", arguments[1]);
		expect_ok(&fixture, open_real(&fixture));
		create_topic(&fixture, "t", 1);
		if (write((int)strtol(arguments[2], NULL, 10), "", 1) == 1)
			pause();
		return 1;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
