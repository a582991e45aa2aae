/* Re-keyed rows in flight: read by another pipeline than the one that sent them, and damaged or forged on the way. */
#include "tests/stream/rekey_help.h"

static const char before[] =
	"sources: { in: { topic: in, format: json, fields: \"user:string item:string n:int kind:enum(A,B) price:double ts:int\", time: ts } }\n"
	"operators: [ { id: by, use: rekey, from: in, with: { by: item } } ]\n"
	"sinks: { out: { from: by, topic: out, format: json, record: \"user:string? item:string n:int kind:enum(A,B) price:double\" } }\n";

/* n has widened, price is gone, others are in another order and place, kind has another symbol before its own, extra is new. */
static const char after[] =
	"sources: { in: { topic: in, format: json, fields: \"extra:string? kind:enum(C,B,A) n:double other:int? item:string user:string ts:int\", time: ts } }\n"
	"operators: [ { id: by, use: rekey, from: in, with: { by: item } } ]\n"
	"sinks: { out: { from: by, topic: out, format: json, record: \"kind:enum(C,B,A) extra:string? n:double item:string\" } }\n";

static const char beside[] =
	"sources: { in: { topic: in, format: json, fields: \"extra:string? item:string price:double n:int kind:enum(A,B) ts:int\", time: ts } }\n"
	"operators: [ { id: by, use: rekey, from: in, with: { by: item } } ]\n"
	"sinks: { out: { from: by, topic: out, format: json, record: \"extra:string? item:string price:double n:int kind:enum(A,B)\" } }\n";

static const char with_text[] =
	"sources: { in: { topic: in, format: json, fields: \"item:string n:string ts:int\", time: ts } }\n"
	"operators: [ { id: by, use: rekey, from: in, with: { by: item } } ]\n"
	"sinks: { out: { from: by, topic: out, format: json, record: \"item:string n:string?\" } }\n";

static const char by_user[] =
	"sources: { in: { topic: in, format: json, fields: \"user:string item:string n:int kind:enum(A,B) price:double ts:int\", time: ts } }\n"
	"operators: [ { id: by, use: rekey, from: in, with: { by: user } } ]\n"
	"sinks: { out: { from: by, topic: out, format: json, record: \"user:string? item:string n:int kind:enum(A,B) price:double\" } }\n";

static void feed(struct world *world, int count)
{
	for (int i = 0; i < count; i++) {
		char value[128], key[16];
		snprintf(key, sizeof key, "u%d", i % 7);
		snprintf(value, sizeof value, "{\"user\":\"%s\",\"item\":\"i%d\",\"n\":%d,\"kind\":\"%s\",\"price\":%d.5,\"ts\":%d}", key, i % 11, i, i & 1 ? "B" : "A", i, 1000 + i);
		put(world, "in", -1, leat_text(key), leat_text(value));
	}
}

static void expect_rows(struct world *world, const char *format)
{
	struct lines lines = { .count = EVENTS };
	for (int i = 0; i < EVENTS; i++) {
		char line[128];
		snprintf(line, sizeof line, format, i & 1 ? "B" : "A", i, i % 11);
		lines.line[i] = strdup(line);
	}
	qsort(lines.line, EVENTS, sizeof lines.line[0], by_text);
	expect_lines(world, "out", add_value, lines.line, EVENTS);
	for (int i = 0; i < EVENTS; i++)
		free(lines.line[i]);
}

static const char as_after[] = "{\"kind\":\"%s\",\"extra\":null,\"n\":%d,\"item\":\"i%d\"}";

/* ---- another pipeline ---- */

static void rows_in_flight_are_read_by_name_by_a_pipeline_with_other_columns(void **state)
{
	(void)state;
	struct world *world = make_world();
	open_world(world, before, 512);
	feed(world, EVENTS);
	run_first_hop(world, EVENTS);
	assert_int_equal(count_of(world, "out"), 0);
	assert_true(count_of(world, "r.by") > EVENTS);
	close_world(world);
	open_world(world, after, 512);
	drain(world);
	expect_rows(world, as_after);
	assert_int_equal(count_of(world, world->pipeline->dead_letter_topic), 0);
	free_world(world);
}

/* Nothing that lies before a receiver's position is needed: it is deleted here as soon as it is committed. */
static void trim(struct world *world)
{
	struct leat_fault fault = { 0 };
	for (int32_t task = 0; task < TASKS; task++)
		must(world->transport->ops->trim(world->transport, "r.by", task, lane_of(world, task)->intakes[1].committed_offset, &fault), &fault, "trim");
}

static void also_when_the_receiver_stopped_among_them_and_their_columns_were_trimmed(void **state)
{
	(void)state;
	int partly = 0;
	for (int steps = 0; steps < 6; steps++) {
		struct world *world = make_world();
		open_world(world, before, 2);
		feed(world, EVENTS);
		run_first_hop(world, EVENTS);
		for (int i = 0; i < steps; i++)
			step(world);
		int done = count_of(world, "out"), by_old = 0;
		trim(world);
		partly += done > 0 && done < EVENTS;
		close_world(world);
		for (int again = 0; again < 2; again++) {
			open_world(world, after, 2);
			run_until_open(world);
			for (int i = 0; i < again; i++)
				step(world);
			trim(world);
			close_world(world);
		}
		open_world(world, after, 512);
		drain(world);
		assert_int_equal(count_of(world, world->pipeline->dead_letter_topic), 0);
		struct lines lines = { .count = 0 };
		read_topic(world, "out", add_value, &lines);
		assert_int_equal(lines.count, EVENTS);
		for (size_t i = 0; i < lines.count; i++) {
			by_old += strncmp(lines.line[i], "{\"user\":", 8) == 0;
			free(lines.line[i]);
		}
		assert_int_equal(by_old, done);
		free_world(world);
	}
	assert_true(partly > 0);
}

static void old_and_new_senders_side_by_side_are_both_understood(void **state)
{
	(void)state;
	struct world *world = make_world();
	for (int round = 0; round < 6; round++) {
		open_world(world, round & 1 ? beside : before, 512);
		feed(world, 10);
		run_first_hop(world, 10);
		close_world(world);
	}
	open_world(world, before, 512);
	drain(world);
	assert_int_equal(count_of(world, "out"), 60);
	assert_int_equal(count_of(world, world->pipeline->dead_letter_topic), 0);
	free_world(world);
}

static void expect_reasons(struct world *world, const char *reason, int count)
{
	struct lines lines = { .count = (size_t)count };
	for (int i = 0; i < count; i++)
		lines.line[i] = (char *)(uintptr_t)reason;
	expect_lines(world, world->pipeline->dead_letter_topic, add_reason, lines.line, lines.count);
}

static void rows_that_cannot_be_ours_are_set_aside_whole_and_the_task_goes_on(void **state)
{
	(void)state;
	for (int other = 0; other < 2; other++) {
		struct world *world = make_world();
		open_world(world, before, 512);
		feed(world, EVENTS);
		run_first_hop(world, EVENTS);
		close_world(world);
		open_world(world, other ? by_user : with_text, 512);
		drain(world);
		expect_reasons(world, "schema_incompatible", EVENTS);
		assert_int_equal(count_of(world, "out"), 0);
		put(world, "in", -1, leat_text("u"), leat_text("{\"user\":\"u\",\"item\":\"i\",\"n\":\"1\",\"kind\":\"A\",\"price\":1,\"ts\":5000}"));
		put(world, "in", -1, leat_text("u"), leat_text("{\"user\":\"u\",\"item\":\"i\",\"n\":1,\"kind\":\"A\",\"price\":1,\"ts\":5000}"));
		drain(world);
		assert_int_equal(count_of(world, "out"), 1);
		free_world(world);
	}
}

/* ---- damage ---- */

struct kept { int32_t partition; struct leat_record record; uint8_t key[64], value[512]; };

static void keep(struct kept *kept, int32_t partition, const struct leat_record *record)
{
	kept->partition = partition;
	kept->record = *record;
	memcpy(kept->key, record->key.data ? record->key.data : (const uint8_t *)"", record->key.length);
	memcpy(kept->value, record->value.data, record->value.length);
	kept->record.key.data = record->key.data ? kept->key : NULL;
	kept->record.value.data = kept->value;
}

/* The last of each kind: row, mark, columns. */
static void keep_kind(void *self, int32_t partition, const struct leat_record *record)
{
	keep((struct kept *)self + record->value.data[1], partition, record);
}

static struct world *world_in_flight(struct kept kept[3])
{
	struct world *world = make_world();
	open_world(world, before, 512);
	feed(world, EVENTS);
	run_first_hop(world, EVENTS);
	read_topic(world, "r.by", keep_kind, kept);
	return world;
}

static int take(struct world *world, int32_t task, const struct leat_record *record, int64_t *time_ms)
{
	struct leat_lane *lane = lane_of(world, task);
	leat_arena_reset(lane->arena);
	*time_ms = 0;
	return leat_rekey_in_row(lane, &lane->intakes[1], record, &lane->streams[0], 0, time_ms);
}

/* Whatever comes of it, time does not run away. */
static void take_damaged(struct world *world, const struct kept *damaged, bool truncated)
{
	struct leat_rekey_in *in = lane_of(world, damaged->partition)->intakes[1].rekey;
	int64_t marks[TASKS], time_ms;
	leat_rekey_in_save(in, marks, TASKS);
	int bad = take(world, damaged->partition, &damaged->record, &time_ms);
	assert_true(bad >= 0 && bad <= LEAT_REKEY_MARK && bad != LEAT_BAD_NO_MEMORY);
	assert_true(!truncated || (bad != LEAT_BAD_NONE && bad != LEAT_REKEY_MARK));
	assert_true(time_ms <= damaged->record.timestamp_ms + 86400000);
	int64_t changed[TASKS];
	leat_rekey_in_save(in, changed, TASKS);
	for (int i = 0; i < TASKS; i++) {
		assert_true(changed[i] == INT64_MAX ? bad == LEAT_REKEY_MARK || marks[i] == INT64_MAX : changed[i] <= damaged->record.timestamp_ms + 86400000);
		assert_true(bad == LEAT_BAD_NONE || bad == LEAT_REKEY_MARK || changed[i] == marks[i]);
	}
	leat_rekey_in_load(in, marks, TASKS);
}

static void every_truncation_and_every_flip_of_a_bit_ends_in_a_reason_or_a_row(void **state)
{
	(void)state;
	struct kept kept[3], damaged;
	struct world *world = world_in_flight(kept);
	int64_t time_ms;
	assert_int_equal(take(world, kept[0].partition, &kept[0].record, &time_ms), LEAT_BAD_NONE);
	assert_int_equal(take(world, kept[1].partition, &kept[1].record, &time_ms), LEAT_REKEY_MARK);
	assert_int_equal(take(world, kept[2].partition, &kept[2].record, &time_ms), LEAT_REKEY_MARK);
	for (int kind = 0; kind < 3; kind++) {
		uint32_t length = kept[kind].record.value.length;
		for (uint32_t shorter = 0; shorter < length; shorter++) {
			keep(&damaged, kept[kind].partition, &kept[kind].record);
			uint8_t *exact = malloc(shorter + 1);       /* so that reading beyond it is seen */
			memcpy(exact, kept[kind].value, shorter);
			if (shorter >= 24)
				memcpy(exact + 16, &damaged.record.timestamp_ms, sizeof(int64_t));   /* a watermark that would be believed of a whole record */
			damaged.record.value = leat_bytes(exact, shorter);
			take_damaged(world, &damaged, true);
			free(exact);
		}
		for (uint32_t bit = 0; bit < 8 * length; bit++) {
			keep(&damaged, kept[kind].partition, &kept[kind].record);
			damaged.value[bit / 8] ^= (uint8_t)(1 << bit % 8);
			take_damaged(world, &damaged, false);
		}
	}
	free_world(world);
}

/* Fields of the head, by their places: what nobody sends, and with which word it is set aside. */
static void what_no_sender_wrote_is_set_aside_and_moves_no_time(void **state)
{
	(void)state;
	static const struct { int kind, at, size; int64_t value; } forged[] = {
		{ 0, 0, 1, 1 }, { 0, 1, 1, 3 }, { 0, 2, 2, TASKS }, { 0, 2, 2, 0xffff }, { 0, 4, 2, LEAT_SOURCES_MAX }, { 0, 6, 2, TASKS }, { 0, 6, 2, 0xffff },
		{ 0, 16, 8, INT64_MAX }, { 0, 16, 8, INT64_MAX - 1 }, { 0, 16, 8, 1700000000000 + 2 * 86400000ll }, { 0, 24, 8, INT64_MAX }, { 0, 24, 8, INT64_MIN }, { 0, 24, 8, -2 },
		{ 0, 24, 8, 1700000000000 + 2 * 86400000ll }, { 0, 40, 8, -2 },
		{ 1, 2, 2, TASKS }, { 1, 16, 8, INT64_MAX - 1 }, { 1, 16, 8, 1700000000000 + 2 * 86400000ll }, { 2, 2, 2, TASKS }, { 2, 8, 8, 0 },
	};
	struct kept kept[3];
	struct world *world = world_in_flight(kept);
	int count = 0;
	for (size_t i = 0; i < LEAT_COUNT_OF(forged); i++, count++) {
		struct kept copy;
		keep(&copy, kept[forged[i].kind].partition, &kept[forged[i].kind].record);
		memcpy(copy.value + forged[i].at, &forged[i].value, (size_t)forged[i].size);
		put(world, "r.by", copy.partition, copy.record.key, copy.record.value);
	}
	put(world, "r.by", 0, leat_text("k"), leat_bytes(NULL, 0)), count++;
	put(world, "r.by", 0, leat_bytes(NULL, 0), leat_bytes("", 0)), count++;
	put(world, "r.by", kept[0].partition, leat_bytes(NULL, 0), kept[0].record.value), count++;
	put(world, "r.by", (kept[0].partition + 1) % TASKS, kept[0].record.key, kept[0].record.value), count++;
	put(world, "r.by", kept[1].partition, leat_text("k"), kept[1].record.value), count++;
	put(world, "r.by", kept[2].partition, leat_text("k"), kept[2].record.value), count++;
	static const uint8_t huge[900000];
	put(world, "r.by", 1, leat_text("k"), leat_bytes(huge, sizeof huge)), count++;
	drain(world);
	expect_reasons(world, "internal_damaged", count);
	assert_int_equal(count_of(world, "out"), EVENTS);
	for (int32_t task = 0; task < TASKS; task++)
		assert_true(lane_of(world, task)->watermark_ms <= 1000 + EVENTS);
	feed(world, EVENTS);
	drain(world);
	assert_int_equal(count_of(world, "out"), 2 * EVENTS);
	free_world(world);
}

static void a_row_of_columns_that_nobody_told_is_set_aside(void **state)
{
	(void)state;
	struct kept kept[3];
	struct world *world = world_in_flight(kept);
	kept[0].value[8] ^= 1;
	put(world, "r.by", kept[0].partition, kept[0].record.key, kept[0].record.value);
	drain(world);
	expect_reasons(world, "unknown_schema", 1);
	assert_int_equal(count_of(world, "out"), EVENTS);
	free_world(world);
}

static void a_mark_that_came_to_harm_is_told_again(void **state)
{
	(void)state;
	struct world *world = make_world();
	open_world(world, before, 512);
	feed(world, EVENTS);
	drain(world);
	int told = count_of(world, "r.by");
	drain(world);
	assert_int_equal(count_of(world, "r.by"), told);
	world->now_us += 61000000;
	drain(world);
	int again = count_of(world, "r.by") - told;
	assert_true(again > 0 && again % TASKS == 0 && again <= TASKS * TASKS);
	free_world(world);
}

/* Time need not be the present: what lies in the future of the machine passes. */
static void rows_of_a_far_future_pass(void **state)
{
	(void)state;
	struct world *world = make_world();
	open_world(world, before, 512);
	for (int i = 0; i < EVENTS; i++)
		put_at(world, "in", i % TASKS, leat_text("u"), leat_text("{\"user\":\"u\",\"item\":\"i\",\"n\":1,\"kind\":\"A\",\"price\":1,\"ts\":4102444800000}"), 4102444800000 + i);
	drain(world);
	assert_int_equal(count_of(world, "out"), EVENTS);
	assert_int_equal(count_of(world, world->pipeline->dead_letter_topic), 0);
	free_world(world);
}

/* ---- lists of columns ---- */

static void try_list(const struct leat_rekey_columns *ours, const uint8_t *bytes, size_t length)
{
	struct leat_decoder *decoder = NULL;
	struct leat_fault fault = { 0 };
	uint8_t *exact = malloc(length + 1);
	memcpy(exact, bytes, length);
	int rc = leat_rekey_columns_resolve(ours, leat_bytes(exact, length), &decoder, &fault);
	assert_true(rc == 0 || rc == LEAT_ECORRUPT || rc == LEAT_ESCHEMA);
	assert_true((rc == 0) == (decoder != NULL));
	leat_decoder_free(decoder);
	free(exact);
}

static void any_bytes_as_columns_are_refused_or_resolved(void **state)
{
	(void)state;
	struct world *world = make_world();
	struct leat_rekey_columns ours;
	struct leat_fault fault = { 0 };
	open_world(world, before, 512);
	must(leat_rekey_columns_make(&ours, world->pipeline, &world->pipeline->nodes[0], &fault), &fault, "columns");
	size_t length = ours.list.length;
	uint8_t *copy = malloc(length);
	assert_int_equal(leat_rekey_columns_check(leat_bytes(ours.list.data, length)), 0);
	for (size_t shorter = 0; shorter < length; shorter++)
		try_list(&ours, ours.list.data, shorter);
	for (size_t bit = 0; bit < 8 * length; bit++) {
		memcpy(copy, ours.list.data, length);
		copy[bit / 8] ^= (uint8_t)(1 << bit % 8);
		try_list(&ours, copy, length);
	}
	static const char twice[] = "\4\0item\2\1\0n\2\1\0n", quote[] = "\4\0item\3\1\0n\1\0\1\0\"", digit[] = "\4\0item\3\1\0n\1\0\1\0007", vector[] = "\4\0item\10\1\0n";
	assert_int_equal(leat_rekey_columns_check(leat_bytes(twice, sizeof twice - 1)), LEAT_ECORRUPT);
	assert_int_equal(leat_rekey_columns_check(leat_bytes(quote, sizeof quote - 1)), LEAT_ECORRUPT);
	assert_int_equal(leat_rekey_columns_check(leat_bytes(digit, sizeof digit - 1)), LEAT_ECORRUPT);
	assert_int_equal(leat_rekey_columns_check(leat_bytes(vector, sizeof vector - 1)), LEAT_ECORRUPT);
	free(copy);
	leat_rekey_columns_free(&ours);
	free_world(world);
}

static void any_words_can_be_loaded(void **state)
{
	(void)state;
	enum { WORDS = 64 };
	struct kept kept[3];
	struct world *world = world_in_flight(kept);
	struct leat_rekey_in *in = lane_of(world, 0)->intakes[1].rekey;
	int64_t saved[WORDS], words[WORDS];
	size_t count = leat_rekey_in_save(in, saved, WORDS);
	assert_true(count > TASKS + 1 && count < WORDS);
	for (size_t room = 0; room < count; room++)
		assert_int_equal(leat_rekey_in_save(in, words, room), LEAT_MIN(room, TASKS));
	for (size_t bit = 0; bit < 64 * count; bit++) {
		memcpy(words, saved, sizeof words);
		words[bit / 64] = (int64_t)((uint64_t)words[bit / 64] ^ 1ull << bit % 64);
		leat_rekey_in_load(in, words, count);
		assert_true(leat_rekey_in_slowest(in, 0) == INT64_MAX || leat_rekey_in_slowest(in, 0) < 253402300800000);
	}
	leat_rekey_in_load(in, saved, count);
	free_world(world);
}

/* What a failed allocation leaves is tried again. */
static void columns_are_learned_when_memory_was_short(void **state)
{
	(void)state;
	struct kept kept[3];
	struct world *world = world_in_flight(kept);
	close_world(world);
	open_world(world, after, 512);
	run_until_open(world);
	int64_t time_ms;
	kept[0].value[0] = 2;
	struct leat_lane *lane = lane_of(world, kept[0].partition);
	leat_rekey_in_close(lane->intakes[1].rekey);
	lane->intakes[1].rekey = NULL;
	struct leat_fault fault = { 0 };
	must(leat_rekey_in_open(lane, &lane->intakes[1], &fault), &fault, "again");
	for (int kind = 2; kind >= 0; kind -= 2) {
		int bad = LEAT_BAD_NO_MEMORY;
		for (uint64_t nth = 1; bad == LEAT_BAD_NO_MEMORY; nth++) {
			leat_alloc_fail_at(nth);
			bad = take(world, kept[0].partition, &kept[kind].record, &time_ms);
			leat_alloc_fail_at(0);
			assert_true(nth < 1000 && (nth > 1 || bad == LEAT_BAD_NO_MEMORY));
		}
		assert_int_equal(bad, kind ? (int)LEAT_REKEY_MARK : (int)LEAT_BAD_NONE);
	}
	free_world(world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rows_in_flight_are_read_by_name_by_a_pipeline_with_other_columns),
		cmocka_unit_test(also_when_the_receiver_stopped_among_them_and_their_columns_were_trimmed),
		cmocka_unit_test(old_and_new_senders_side_by_side_are_both_understood),
		cmocka_unit_test(rows_that_cannot_be_ours_are_set_aside_whole_and_the_task_goes_on),
		cmocka_unit_test(every_truncation_and_every_flip_of_a_bit_ends_in_a_reason_or_a_row),
		cmocka_unit_test(what_no_sender_wrote_is_set_aside_and_moves_no_time),
		cmocka_unit_test(a_row_of_columns_that_nobody_told_is_set_aside),
		cmocka_unit_test(a_mark_that_came_to_harm_is_told_again),
		cmocka_unit_test(rows_of_a_far_future_pass),
		cmocka_unit_test(any_bytes_as_columns_are_refused_or_resolved),
		cmocka_unit_test(any_words_can_be_loaded),
		cmocka_unit_test(columns_are_learned_when_memory_was_short),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
