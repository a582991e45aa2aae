/* The embedded transport's directory and topics: what is refused, what is kept, what goes with time. */
#include "tests/stream/embedded_help.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/syscall.h>

/* ---- a disk that is full: every write of the process to a file fails while it is ---- */

static atomic_bool disk_is_full;   /* RocksDB's threads write too */

ssize_t write(int fd, const void *data, size_t length)
{
	if (disk_is_full && fd > 2) {
		errno = ENOSPC;
		return -1;
	}
	return syscall(SYS_write, fd, data, length);
}

static void a_full_disk_fails_the_commit_and_shows_nothing_of_it_after_reopening(void **state)
{
	struct fixture *fixture = *state;
	open_with(fixture, NULL, NULL);
	create_topic(fixture, "t", 4);
	struct leat_session *session = open_session(fixture, 0);
	const struct leat_position first = { "t", 0, 1 }, second = { "t", 0, 2 };
	int64_t offset;
	expect_ok(fixture, send_text(fixture, session, "t", 0, "k", "1", 0));
	expect_ok(fixture, fixture->transport->ops->session_commit(session, &first, 1, NULL, &fixture->fault));
	disk_is_full = true;
	expect_ok(fixture, send_text(fixture, session, "t", 0, "k", "2", 0));
	assert_int_equal(fixture->transport->ops->session_commit(session, &second, 1, NULL, &fixture->fault), LEAT_ENOSPC);
	disk_is_full = false;
	assert_string_equal(content(fixture, "t", 0), "0:k=1 ");
	expect_ok(fixture, fixture->transport->ops->session_reset(session, &fixture->fault));
	assert_int_equal(commit(fixture, session), LEAT_ENOSPC);       /* until it is opened again */
	fixture->transport->ops->session_close(session, true);
	reopen(fixture);
	assert_string_equal(content(fixture, "t", 0), "0:k=1 ");
	session = open_session(fixture, 0);
	expect_ok(fixture, fixture->transport->ops->session_committed(session, "t", 0, &offset, NULL, 0, 0, &fixture->fault));
	assert_int_equal(offset, 1);
	expect_ok(fixture, send_text(fixture, session, "t", 0, "k", "3", 0));
	expect_ok(fixture, commit(fixture, session));
	fixture->transport->ops->session_close(session, true);
	assert_string_equal(content(fixture, "t", 0), "0:k=1 1:k=3 ");
}

/* ---- directories ---- */

static void write_file(struct fixture *fixture, const char *name, const char *text)
{
	char path[128];
	snprintf(path, sizeof path, "%s/%s", fixture->directory, name);
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static void refused(struct fixture *fixture, int code, const char *text)
{
	assert_int_equal(try_open(fixture, NULL, NULL), code);
	assert_null(fixture->transport);
	if (!strstr(fixture->fault.text, text))
		fail_msg("\"%s\" does not say \"%s\"", fixture->fault.text, text);
}

static void a_directory_with_strange_files_is_foreign(void **state)
{
	struct fixture *fixture = *state;
	write_file(fixture, "holiday.jpg", "");
	refused(fixture, LEAT_EFOREIGN, "is not a directory of leat: it holds holiday.jpg");
}

static void a_file_is_not_a_directory(void **state)
{
	struct fixture *fixture = *state;
	size_t length = strlen(fixture->directory);
	write_file(fixture, "file", "");
	snprintf(fixture->directory + length, sizeof fixture->directory - length, "/file");
	refused(fixture, LEAT_EFOREIGN, "/file is not a directory");
	snprintf(fixture->directory + length, sizeof fixture->directory - length, "/file/in");
	refused(fixture, LEAT_EIO, "Not a directory");
	fixture->directory[length] = '\0';
}

static void a_directory_that_cannot_be_written_says_why(void **state)
{
	struct fixture *fixture = *state;
	char before[sizeof fixture->directory];
	memcpy(before, fixture->directory, sizeof before);
	snprintf(fixture->directory, sizeof fixture->directory, "/proc/leat");
	refused(fixture, LEAT_EIO, "/proc/leat: cannot make the directory");
	memcpy(fixture->directory, before, sizeof before);
}

static void a_newer_format_is_refused_with_both_versions(void **state)
{
	struct fixture *fixture = *state;
	open_with(fixture, NULL, NULL);
	close_transport(fixture);
	write_file(fixture, "format", "leat embedded 2\n");
	refused(fixture, LEAT_EFOREIGN, "was written in format 2, this leat knows format 1");
	write_file(fixture, "format", "something else\n");
	refused(fixture, LEAT_EFOREIGN, "its file format says otherwise");
	write_file(fixture, "format", "leat embedded 1\n");
	open_with(fixture, NULL, NULL);
}

static void a_missing_directory_is_made_with_its_parents_for_us_alone(void **state)
{
	struct fixture *fixture = *state;
	size_t length = strlen(fixture->directory);
	struct stat status;
	snprintf(fixture->directory + length, sizeof fixture->directory - length, "/a/b");
	open_with(fixture, NULL, NULL);
	assert_int_equal(stat(fixture->directory, &status), 0);
	assert_int_equal(status.st_mode & 0777, 0700);
	close_transport(fixture);
	fixture->directory[length] = '\0';
}

static void a_second_owner_is_refused_with_the_pid_of_the_first(void **state)
{
	struct fixture *fixture = *state;
	char pid[32];
	open_with(fixture, NULL, NULL);
	struct leat_transport *first = fixture->transport;
	snprintf(pid, sizeof pid, "in use by process %ld", (long)getpid());
	fixture->transport = NULL;
	refused(fixture, LEAT_EBUSY, pid);
	first->ops->close(first);
	open_with(fixture, NULL, NULL);
}

static void settings_are_checked(void **state)
{
	struct fixture *fixture = *state;
	assert_int_equal(try_open(fixture, "fsinc", "true"), LEAT_ECONFIG);
	assert_string_equal(fixture->fault.text, "the embedded transport has no setting fsinc; it has fsync, socket, partitions");
	assert_int_equal(try_open(fixture, "fsync", "maybe"), LEAT_ECONFIG);
	assert_string_equal(fixture->fault.text, "setting fsync of the embedded transport is \"maybe\": true or false is allowed");
	assert_int_equal(try_open(fixture, "partitions", "0"), LEAT_ECONFIG);
	assert_int_equal(try_open(fixture, "partitions", "12x"), LEAT_ECONFIG);
	open_with(fixture, "fsync", "true");
	create_topic(fixture, "t", 1);
	put(fixture, "t", 0, "k", "v");
	assert_string_equal(content(fixture, "t", 0), "0:k=v ");
}

/* ---- topics ---- */

static int create_with(struct fixture *fixture, const struct leat_topic_spec *spec)
{
	return fixture->transport->ops->create(fixture->transport, spec, &fixture->fault);
}

static void a_topic_is_created_once_and_never_with_another_count(void **state)
{
	struct fixture *fixture = *state;
	int32_t count;
	open_with(fixture, "partitions", "6");
	assert_int_equal(fixture->transport->ops->partitions(fixture->transport, "t", &count, &fixture->fault), LEAT_ENOTFOUND);
	assert_int_equal(create_with(fixture, &(struct leat_topic_spec){ .name = "t", .partitions = 3 }), 1);
	assert_int_equal(create_with(fixture, &(struct leat_topic_spec){ .name = "u" }), 1);
	for (int opened = 0; opened < 2; opened++) {
		assert_int_equal(create_with(fixture, &(struct leat_topic_spec){ .name = "t", .partitions = 3 }), 0);
		assert_int_equal(create_with(fixture, &(struct leat_topic_spec){ .name = "t" }), 0);
		assert_int_equal(create_with(fixture, &(struct leat_topic_spec){ .name = "t", .partitions = 4 }), LEAT_ECONFIG);
		assert_string_equal(fixture->fault.text, "topic t has 3 partitions, not 4");
		expect_ok(fixture, fixture->transport->ops->partitions(fixture->transport, "u", &count, &fixture->fault));
		assert_int_equal(count, 6);
		reopen(fixture);
	}
}

static void a_topics_name_and_count_must_be_legal(void **state)
{
	struct fixture *fixture = *state;
	char name[300] = "";
	static const char *const bad[] = { "", ".", "..", "a/b", "a b", "\xc3\xa4" };
	open_with(fixture, NULL, NULL);
	for (size_t i = 0; i < LEAT_COUNT_OF(bad); i++)
		assert_int_equal(create_with(fixture, &(struct leat_topic_spec){ .name = bad[i], .partitions = 1 }), LEAT_ECONFIG);
	memset(name, 'x', 250);
	assert_int_equal(create_with(fixture, &(struct leat_topic_spec){ .name = name, .partitions = 1 }), LEAT_ECONFIG);
	name[249] = '\0';
	assert_int_equal(create_with(fixture, &(struct leat_topic_spec){ .name = name, .partitions = 1 }), 1);
	assert_int_equal(create_with(fixture, &(struct leat_topic_spec){ .name = "t", .partitions = -1 }), LEAT_ECONFIG);
	assert_int_equal(create_with(fixture, &(struct leat_topic_spec){ .name = "t", .partitions = 4097 }), LEAT_ECONFIG);
}

/* ---- time ---- */

/* As an owner does every second. */
static void clean(struct fixture *fixture)
{
	struct leat_session *session = open_session(fixture, -1);
	fixture->now_ms += 1000;
	expect_ok(fixture, fixture->transport->ops->session_poll(session, 0, &fixture->fault));
	fixture->transport->ops->session_close(session, true);
}

static void trimmed_records_are_gone_for_good(void **state)
{
	struct fixture *fixture = *state;
	open_with(fixture, NULL, NULL);
	create_topic(fixture, "t", 1);
	for (int i = 0; i < 200; i++)
		put(fixture, "t", 0, "k", i < 198 ? "old" : "new");
	expect_ok(fixture, fixture->transport->ops->trim(fixture->transport, "t", 0, 3, &fixture->fault));
	assert_string_equal(bounds_text(fixture, "t", 0), "3..200");
	clean(fixture);
	expect_ok(fixture, fixture->transport->ops->trim(fixture->transport, "t", 0, 198, &fixture->fault));
	expect_ok(fixture, fixture->transport->ops->trim(fixture->transport, "t", 0, 100, &fixture->fault));
	assert_string_equal(content(fixture, "t", 0), "198:k=new 199:k=new ");
	clean(fixture);
	reopen(fixture);
	assert_string_equal(bounds_text(fixture, "t", 0), "198..200");
	assert_string_equal(content(fixture, "t", 0), "198:k=new 199:k=new ");
	assert_string_equal(content_from(fixture, "t", 0, 197), leat_error_text(LEAT_EGAP));
	expect_ok(fixture, fixture->transport->ops->trim(fixture->transport, "t", 0, 200, &fixture->fault));
	clean(fixture);
	put(fixture, "t", 0, "k", "next");
	assert_string_equal(content(fixture, "t", 0), "200:k=next ");
	assert_int_equal(fixture->transport->ops->trim(fixture->transport, "t", 0, 202, &fixture->fault), LEAT_ECONFIG);
}

static void records_leave_when_they_were_committed_longer_ago_than_the_topic_keeps_them(void **state)
{
	struct fixture *fixture = *state;
	open_with(fixture, NULL, NULL);
	assert_int_equal(create_with(fixture, &(struct leat_topic_spec){ .name = "t", .partitions = 2, .retention_ms = 60000 }), 1);
	assert_int_equal(create_with(fixture, &(struct leat_topic_spec){ .name = "kept", .partitions = 1, .retention_ms = -1 }), 1);
	put(fixture, "t", 0, "k", "1");
	put(fixture, "t", 1, "k", "1");
	put(fixture, "kept", 0, "k", "1");
	fixture->now_ms += 30000;
	put(fixture, "t", 0, "k", "2");
	clean(fixture);
	assert_string_equal(content(fixture, "t", 0), "0:k=1 1:k=2 ");
	fixture->now_ms += 28999;
	clean(fixture);
	assert_string_equal(content(fixture, "t", 0), "1:k=2 ");
	assert_string_equal(bounds_text(fixture, "t", 1), "1..1");
	reopen(fixture);
	assert_string_equal(bounds_text(fixture, "t", 0), "1..2");
	fixture->now_ms += 365 * 86400000ll;
	clean(fixture);
	assert_string_equal(bounds_text(fixture, "t", 0), "2..2");
	assert_string_equal(content(fixture, "kept", 0), "0:k=1 ");
}

static void a_reader_that_retention_overtakes_sees_a_gap(void **state)
{
	struct fixture *fixture = *state;
	const struct leat_record *records;
	struct leat_reader *reader;
	bool at_end;
	int64_t position;
	open_with(fixture, NULL, NULL);
	assert_int_equal(create_with(fixture, &(struct leat_topic_spec){ .name = "t", .partitions = 1, .retention_ms = 1000 }), 1);
	for (int i = 0; i < 600; i++)
		put(fixture, "t", 0, "k", "v");
	expect_ok(fixture, fixture->transport->ops->reader_open(fixture->transport, "t", 0, 0, &reader, &fixture->fault));
	assert_int_equal(fixture->transport->ops->reader_next(reader, &records, 600, 0, &at_end, &position, &fixture->fault), 512);
	fixture->now_ms += 60000;
	put(fixture, "t", 0, "k", "new");
	clean(fixture);
	assert_int_equal(fixture->transport->ops->reader_next(reader, &records, 600, 0, &at_end, &position, &fixture->fault), LEAT_EGAP);
	fixture->transport->ops->reader_close(reader);
}

static void compaction_keeps_the_newest_record_of_each_key(void **state)
{
	struct fixture *fixture = *state;
	open_with(fixture, NULL, NULL);
	assert_int_equal(create_with(fixture, &(struct leat_topic_spec){ .name = "c", .partitions = 1, .compacted = true }), 1);
	put(fixture, "c", 0, "a", "1");
	put(fixture, "c", 0, "b", "1");
	struct leat_session *session = open_session(fixture, 0);
	expect_ok(fixture, send_text(fixture, session, "c", 0, "a", "2", 0));
	expect_ok(fixture, send_text(fixture, session, "c", 0, "a", "3", 0));
	expect_ok(fixture, commit(fixture, session));
	fixture->transport->ops->session_close(session, true);
	clean(fixture);
	assert_string_equal(content(fixture, "c", 0), "1:b=1 3:a=3 ");
	reopen(fixture);
	put(fixture, "c", 0, "b", "2");
	clean(fixture);
	assert_string_equal(content(fixture, "c", 0), "3:a=3 4:b=2 ");
	assert_string_equal(content_from(fixture, "c", 0, 1), "3:a=3 4:b=2 ");
	fixture->now_ms += 365 * 86400000ll;
	clean(fixture);
	assert_string_equal(content(fixture, "c", 0), "3:a=3 4:b=2 ");
}

static void a_delete_in_a_compacted_topic_can_be_seen_for_a_day(void **state)
{
	struct fixture *fixture = *state;
	open_with(fixture, NULL, NULL);
	assert_int_equal(create_with(fixture, &(struct leat_topic_spec){ .name = "c", .partitions = 1, .compacted = true }), 1);
	put(fixture, "c", 0, "a", "1");
	put(fixture, "c", 0, "b", "1");
	put(fixture, "c", 0, "a", NULL);
	put(fixture, "c", 0, "b", NULL);
	put(fixture, "c", 0, "b", "2");
	clean(fixture);
	assert_string_equal(content(fixture, "c", 0), "2:a=null 4:b=2 ");
	fixture->now_ms += 86400000 - 2001;
	clean(fixture);
	assert_string_equal(content(fixture, "c", 0), "2:a=null 4:b=2 ");
	clean(fixture);
	assert_string_equal(content(fixture, "c", 0), "4:b=2 ");
	put(fixture, "c", 0, "a", "again");
	put(fixture, "c", 0, "b", NULL);
	clean(fixture);
	assert_string_equal(content(fixture, "c", 0), "5:a=again 6:b=null ");
	fixture->now_ms += 86400000;
	reopen(fixture);
	clean(fixture);
	assert_string_equal(content(fixture, "c", 0), "5:a=again ");
}

static void compaction_keeps_up_with_a_busy_topic(void **state)
{
	struct fixture *fixture = *state;
	char key[16];
	open_with(fixture, NULL, NULL);
	assert_int_equal(create_with(fixture, &(struct leat_topic_spec){ .name = "c", .partitions = 1, .compacted = true }), 1);
	struct leat_session *session = open_session(fixture, 0);
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 5000; i++) {
			snprintf(key, sizeof key, "%d", i % 3);
			expect_ok(fixture, send_text(fixture, session, "c", 0, key, "v", 0));
		}
		expect_ok(fixture, commit(fixture, session));
	}
	fixture->transport->ops->session_close(session, true);
	assert_string_equal(content(fixture, "c", 0), "14997:2=v 14998:0=v 14999:1=v ");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		EMBEDDED_TEST(a_full_disk_fails_the_commit_and_shows_nothing_of_it_after_reopening),
		EMBEDDED_TEST(a_directory_with_strange_files_is_foreign),
		EMBEDDED_TEST(a_file_is_not_a_directory),
		EMBEDDED_TEST(a_directory_that_cannot_be_written_says_why),
		EMBEDDED_TEST(a_newer_format_is_refused_with_both_versions),
		EMBEDDED_TEST(a_missing_directory_is_made_with_its_parents_for_us_alone),
		EMBEDDED_TEST(a_second_owner_is_refused_with_the_pid_of_the_first),
		EMBEDDED_TEST(settings_are_checked),
		EMBEDDED_TEST(a_topic_is_created_once_and_never_with_another_count),
		EMBEDDED_TEST(a_topics_name_and_count_must_be_legal),
		EMBEDDED_TEST(trimmed_records_are_gone_for_good),
		EMBEDDED_TEST(records_leave_when_they_were_committed_longer_ago_than_the_topic_keeps_them),
		EMBEDDED_TEST(a_reader_that_retention_overtakes_sees_a_gap),
		EMBEDDED_TEST(compaction_keeps_the_newest_record_of_each_key),
		EMBEDDED_TEST(a_delete_in_a_compacted_topic_can_be_seen_for_a_day),
		EMBEDDED_TEST(compaction_keeps_up_with_a_busy_topic),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
