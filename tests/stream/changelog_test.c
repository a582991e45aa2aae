/* Hostile records in a changelog: a task refuses to go on where its own rows are damaged and says where; what is nobody's is left out. On the embedded transport, told to keep a changelog as Kafka's does. */
#include "tests/stream/rekey_help.h"

#include "stream/lane_meaning.h"

static const char counts[] =
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_nobodys_is_left_out),
		cmocka_unit_test(a_damaged_row_stops_the_task_with_its_place_each_time),
		cmocka_unit_test(every_truncation_and_every_flip_of_a_bit_of_a_task_row_is_survived),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
