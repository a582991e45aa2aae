/* Hostile records in a changelog: a task refuses to go on where its own rows are damaged and says where; what is nobody's is left out. On the embedded transport, told to keep a changelog as Kafka's does. */
#include "tests/stream/rekey_help.h"

#include "stream/lane_meaning.h"

static const char counts[] =
	"sources: { in: { topic: in, format: json, fields: \"user:string ts:int\", time: ts } }\n"
	"operators: [ { id: users, use: profile, from: in, with: { activity: false } } ]\n"
	"sinks: { out: { from: users, topic: out, format: json, record: \"user:string events:int?\" } }\n";

static const char least[] =
	"guarantee: at-least-once\n"
	"sources: { in: { topic: in, format: json, fields: \"user:string ts:int\", time: ts } }\n"
	"operators: [ { id: users, use: profile, from: in, with: { activity: false } } ]\n"
	"sinks: { out: { from: users, topic: out, format: json, record: \"user:string events:int?\" } }\n";

static struct leat_transport_ops with_changelog;
static struct world *one;

static int send_row(struct leat_session *session, int32_t task, const char *changelog, struct leat_bytes key, struct leat_bytes value, struct leat_fault *fault)
{
	const struct leat_record record = { .timestamp_ms = -1, .key = key, .value = value };
	return with_changelog.session_send(session, changelog, task, &record, 0, fault);
}

static int64_t end_of_changelog(struct leat_session *session, int32_t task)
{
	struct leat_fault fault = { 0 };
	int64_t first, end;
	(void)session;
	must(with_changelog.bounds(one->transport, "r.changelog", task, &first, &end, &fault), &fault, "bounds");
	return end;
}

static int open_store(struct leat_transport *transport, struct leat_storage *storage, int32_t task, const char *owner, struct leat_store **out, struct leat_fault *fault)
{
	char path[96];
	(void)transport;
	snprintf(path, sizeof path, "%s/task-%d", one->folder, (int)task);
	return leat_store_open(out, storage, path, owner, fault);
}

static void learn_ops(struct world *world)
{
	open_world(world, counts, 512);
	with_changelog = *world->transport->ops;
	close_world(world);
	with_changelog.keeps_rows = false;
	with_changelog.session_row = send_row;
	with_changelog.session_changelog_end = end_of_changelog;
	with_changelog.store_open = open_store;
	world->ops = &with_changelog;
	one = world;
}

static void feed(struct world *world, int count)
{
	for (int i = 0; i < count; i++) {
		char key[16], value[64];
		snprintf(key, sizeof key, "u%d", i);
		snprintf(value, sizeof value, "{\"user\":\"%s\",\"ts\":1000}", key);
		put(world, "in", 0, leat_text(key), leat_text(value));
	}
}

struct rows { struct leat_buffer key, value, task; };

static void keep_row(void *self, int32_t partition, const struct leat_record *record)
{
	struct rows *rows = self;
	bool task = leat_lane_row_is(record->key);
	struct leat_buffer *value = task ? &rows->task : &rows->value;
	if (partition != 0 || leat_lane_meaning_is(record->key))
		return;
	value->length = 0;
	assert_int_equal(leat_buffer_append(value, record->value.data, record->value.length), 0);
	if (task)
		return;
	rows->key.length = 0;
	assert_int_equal(leat_buffer_append(&rows->key, record->key.data, record->key.length), 0);
}

static struct world *make_counts(struct rows *rows)
{
	struct world *world = make_world();
	learn_ops(world);
	open_world(world, counts, 512);
	feed(world, 5);
	drain(world);
	assert_int_equal(count_of(world, "out"), 5);
	read_topic(world, "r.changelog", keep_row, rows);
	assert_true(rows->key.length > 6 && rows->value.length > 0 && rows->task.length > 0);
	return world;
}

static void free_counts(struct world *world, struct rows *rows)
{
	leat_buffer_free(&rows->key);
	leat_buffer_free(&rows->value);
	leat_buffer_free(&rows->task);
	free_world(world);
}

static struct leat_bytes all(const struct leat_buffer *buffer)
{
	return leat_bytes(buffer->data, buffer->length);
}

static void what_is_nobodys_is_left_out(void **state)
{
	(void)state;
	struct rows rows = { .key = { 0 } };
	struct world *world = make_counts(&rows);
	static const uint8_t huge[900000];
	put(world, "r.changelog", 0, leat_bytes(NULL, 0), all(&rows.value));
	put(world, "r.changelog", 0, leat_bytes(NULL, 0), leat_bytes(NULL, 0));
	put(world, "r.changelog", 0, leat_bytes("", 0), all(&rows.value));
	put(world, "r.changelog", 0, leat_bytes("x", 1), all(&rows.value));
	put(world, "r.changelog", 0, leat_text("\xee\xee nobody's"), leat_bytes(huge, sizeof huge));
	close_world(world);
	open_world(world, counts, 512);
	feed(world, 5);
	drain(world);
	assert_int_equal(count_of(world, "out"), 10);
	free_counts(world, &rows);
}

static void refuses(struct world *world, int64_t offset)
{
	struct leat_fault fault = { 0 };
	char place[64];
	int rc = 0;
	open_world(world, counts, 512);
	for (int i = 0; i < 100 && rc >= 0; i++)
		rc = try_step(world, &fault);
	assert_int_equal(rc, LEAT_ECORRUPT);
	snprintf(place, sizeof place, "r.changelog[0] cannot be read at offset %lld:", (long long)offset);
	assert_non_null(strstr(fault.text, place));
	close_world(world);
}

static void a_damaged_row_stops_the_task_with_its_place_each_time(void **state)
{
	(void)state;
	for (int kind = 0; kind < 8; kind++) {
		struct rows rows = { .key = { 0 } };
		struct world *world = make_counts(&rows);
		uint8_t longest[1100] = { 0 };
		memcpy(longest, rows.key.data, rows.key.length);
		int64_t offset = end_of_changelog(NULL, 0);
		const struct leat_bytes keys[] = { all(&rows.key), all(&rows.key), all(&rows.key), leat_bytes(longest, sizeof longest), leat_lane_row_key, leat_lane_row_key,
						   leat_lane_meaning_key, leat_lane_meaning_key };
		const struct leat_bytes values[] = { leat_bytes("", 0), leat_bytes(rows.value.data, rows.value.length - 1), leat_text("\1nonsense"), all(&rows.value), leat_bytes(NULL, 0),
						     leat_bytes(rows.task.data, rows.task.length - 1), leat_bytes(NULL, 0), leat_bytes("\1\0\0\0x", 5) };
		put(world, "r.changelog", 0, keys[kind], values[kind]);
		put(world, "r.changelog", 0, all(&rows.key), all(&rows.value));
		put(world, "r.changelog", 0, leat_lane_row_key, all(&rows.task));
		close_world(world);
		refuses(world, offset);
		refuses(world, offset);
		world->ops = NULL;
		open_world(world, counts, 512);
		free_counts(world, &rows);
	}
}

static void every_truncation_and_every_flip_of_a_bit_of_a_task_row_is_survived(void **state)
{
	(void)state;
	struct rows rows = { .key = { 0 } };
	struct world *world = make_counts(&rows);
	int64_t positions[LEAT_SOURCES_MAX];
	uint32_t length = (uint32_t)rows.task.length;
	uint8_t *copy = malloc(length);
	assert_int_equal(leat_lane_row_decode(NULL, all(&rows.task), positions), 0);
	assert_int_equal(leat_lane_row_decode(NULL, leat_bytes(NULL, 0), positions), LEAT_ECORRUPT);
	for (uint32_t shorter = 0; shorter < length; shorter++) {
		uint8_t *exact = malloc(shorter + 1);
		memcpy(exact, rows.task.data, shorter);
		assert_int_equal(leat_lane_row_decode(lane_of(world, 0), leat_bytes(exact, shorter), positions), LEAT_ECORRUPT);
		free(exact);
	}
	for (uint32_t bit = 0; bit < 8 * length; bit++) {
		memcpy(copy, rows.task.data, length);
		copy[bit / 8] ^= (uint8_t)(1 << bit % 8);
		int rc = leat_lane_row_decode(lane_of(world, 0), leat_bytes(copy, length), positions);
		assert_true(rc == 0 || rc == LEAT_ECORRUPT);
	}
	free(copy);
	free_counts(world, &rows);
}

/* ---- at least once: rows of a commit that was cut short ---- */

struct last { struct leat_bytes key; struct leat_buffer value; int seen; bool deleted; };

static void keep_last(void *self, int32_t partition, const struct leat_record *record)
{
	struct last *last = self;
	if (partition != 0 || !leat_bytes_equal(record->key, last->key))
		return;
	last->seen++;
	last->deleted = !record->value.data;
	last->value.length = 0;
	assert_int_equal(leat_buffer_append(&last->value, record->value.data, record->value.length), 0);
}

/* The changelog's last record of @key must be @value; NULL: a tombstone. */
static void expect_row(struct world *world, struct leat_bytes key, const struct leat_buffer *value)
{
	struct last last = { .key = key };
	read_topic(world, "r.changelog", keep_last, &last);
	assert_true(last.seen > 0);
	assert_int_equal(last.deleted, !value);
	assert_true(leat_bytes_equal(all(&last.value), value ? all(value) : leat_bytes(NULL, 0)));
	leat_buffer_free(&last.value);
}

static void key_of(const char *user, const struct rows *rows, uint8_t key[8])
{
	uint32_t hash = leat_murmur2(user, 2);
	const uint8_t made[8] = { rows->key.data[0], rows->key.data[1], (uint8_t)(hash >> 24), (uint8_t)(hash >> 16), (uint8_t)(hash >> 8), (uint8_t)hash, (uint8_t)user[0], (uint8_t)user[1] };
	memcpy(key, made, sizeof made);
}

static void reopen(struct world *world)
{
	close_world(world);
	open_world(world, least, 512);
	drain(world);
}

/* Two events of u0 to u4; @first: rows after the first, @second: after both. */
static struct world *make_least(struct rows *first, struct rows *second)
{
	struct world *world = make_world();
	learn_ops(world);
	open_world(world, least, 512);
	feed(world, 5);
	drain(world);
	read_topic(world, "r.changelog", keep_row, first);
	feed(world, 5);
	drain(world);
	read_topic(world, "r.changelog", keep_row, second);
	assert_true(leat_bytes_equal(all(&first->key), all(&second->key)));
	assert_false(leat_bytes_equal(all(&first->value), all(&second->value)));
	return world;
}

static void free_least(struct world *world, struct rows *first, struct rows *second)
{
	leat_buffer_free(&first->key);
	leat_buffer_free(&first->value);
	leat_buffer_free(&first->task);
	free_counts(world, second);
}

/* A third event of u0 to u4, a first of u5: what the last six outputs say, sorted. */
static void expect_third(struct world *world)
{
	static char *const lines[] = {
		"{\"user\":\"u0\",\"events\":1}", "{\"user\":\"u0\",\"events\":2}", "{\"user\":\"u0\",\"events\":3}",
		"{\"user\":\"u1\",\"events\":1}", "{\"user\":\"u1\",\"events\":2}", "{\"user\":\"u1\",\"events\":3}",
		"{\"user\":\"u2\",\"events\":1}", "{\"user\":\"u2\",\"events\":2}", "{\"user\":\"u2\",\"events\":3}",
		"{\"user\":\"u3\",\"events\":1}", "{\"user\":\"u3\",\"events\":2}", "{\"user\":\"u3\",\"events\":3}",
		"{\"user\":\"u4\",\"events\":1}", "{\"user\":\"u4\",\"events\":2}", "{\"user\":\"u4\",\"events\":3}",
		"{\"user\":\"u5\",\"events\":1}",
	};
	feed(world, 6);
	drain(world);
	expect_lines(world, "out", add_value, lines, LEAT_COUNT_OF(lines));
}

static void rows_of_a_commit_that_was_cut_short_are_undone_without_an_event(void **state)
{
	(void)state;
	struct rows first = { .key = { 0 } }, second = { .key = { 0 } };
	struct world *world = make_least(&first, &second);
	const struct leat_bytes other = leat_text("\xee\xee another set's"), unread = leat_text("\xee\xee");
	uint8_t fresh[8];
	key_of("u5", &first, fresh);
	put(world, "r.changelog", 0, all(&first.key), all(&first.value));
	put(world, "r.changelog", 0, leat_bytes(fresh, sizeof fresh), all(&first.value));
	put(world, "r.changelog", 0, other, all(&first.value));
	put(world, "r.changelog", 0, unread, all(&first.value));
	put(world, "r.changelog", 0, leat_bytes(NULL, 0), all(&first.value));
	reopen(world);
	expect_row(world, all(&first.key), &second.value);
	expect_row(world, leat_bytes(fresh, sizeof fresh), NULL);
	expect_row(world, other, NULL);
	expect_row(world, unread, &first.value);
	int64_t end = end_of_changelog(NULL, 0);
	reopen(world);
	assert_int_equal(end_of_changelog(NULL, 0), end);      /* nothing is left to undo */
	put(world, "r.changelog", 0, all(&first.key), all(&first.value));
	put(world, "r.changelog", 0, all(&first.key), leat_bytes(NULL, 0));
	reopen(world);
	reopen(world);
	expect_third(world);
	free_least(world, &first, &second);
}

static void a_meaning_row_of_a_commit_that_was_cut_short_is_undone(void **state)
{
	(void)state;
	struct rows first = { .key = { 0 } }, second = { .key = { 0 } };
	struct world *world = make_least(&first, &second);
	struct last before = { .key = leat_lane_meaning_key };
	read_topic(world, "r.changelog", keep_last, &before);
	assert_int_equal(before.seen, 1);
	put(world, "r.changelog", 0, leat_lane_meaning_key, leat_bytes("\1\0\0\0", 4));
	reopen(world);
	expect_row(world, leat_lane_meaning_key, &before.value);
	reopen(world);
	expect_third(world);
	leat_buffer_free(&before.value);
	free_least(world, &first, &second);
}

/* One section of a table that nobody has: 900,000 bytes; 80 of them are more than is held. */
static void put_large_rows(struct world *world)
{
	enum { LENGTH = 900000, COUNT = 80 };
	static const uint8_t head[] = { 1, 0xee, 0xee, 0xee, 0xee, 1, 0, (LENGTH << 2 & 0x7f) | 0x80, (LENGTH >> 5 & 0x7f) | 0x80, (LENGTH >> 12 & 0x7f) | 0x80, LENGTH >> 19 };
	uint8_t *value = calloc(1, sizeof head + LENGTH);
	memcpy(value, head, sizeof head);
	for (int i = 0; i < COUNT; i++) {
		char key[16];
		snprintf(key, sizeof key, "\xee\xeehash%d", i);
		put(world, "r.changelog", 0, leat_text(key), leat_bytes(value, (uint32_t)sizeof head + LENGTH));
	}
	free(value);
}

static void more_rows_than_can_be_held_are_told_apart_by_the_task_row_behind_them(void **state)
{
	(void)state;
	for (int whole = 0; whole < 2; whole++) {
		struct rows first = { .key = { 0 } }, second = { .key = { 0 } };
		struct world *world = make_least(&first, &second);
		put(world, "r.changelog", 0, all(&first.key), all(whole ? &second.value : &first.value));
		put_large_rows(world);
		if (whole)
			put(world, "r.changelog", 0, leat_lane_row_key, all(&second.task));
		int64_t end = end_of_changelog(NULL, 0);
		reopen(world);
		assert_int_equal(end_of_changelog(NULL, 0), end + (whole ? 0 : 82));
		expect_row(world, all(&first.key), &second.value);
		reopen(world);
		expect_third(world);
		free_least(world, &first, &second);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_nobodys_is_left_out),
		cmocka_unit_test(a_damaged_row_stops_the_task_with_its_place_each_time),
		cmocka_unit_test(every_truncation_and_every_flip_of_a_bit_of_a_task_row_is_survived),
		cmocka_unit_test(rows_of_a_commit_that_was_cut_short_are_undone_without_an_event),
		cmocka_unit_test(a_meaning_row_of_a_commit_that_was_cut_short_is_undone),
		cmocka_unit_test(more_rows_than_can_be_held_are_told_apart_by_the_task_row_behind_them),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
