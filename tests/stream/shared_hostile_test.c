/* Records in the topics of shared tables that no task wrote: halted at with their place, or counted and left out. */
#include "tests/stream/shared_help.h"

#include <math.h>

static int32_t owner_of(const struct world *world, const char *key)
{
	return leat_partition_of(key, strlen(key), world->tasks);
}

struct forged { uint8_t bytes[2048]; size_t length; };

static struct leat_bytes delta_of(struct forged *forged, uint32_t sender, uint64_t sequence, double curvature, const int64_t *numbers, size_t count)
{
	const struct leat_delta_head head = { sender, 0, sequence, curvature };
	memcpy(forged->bytes, &head, sizeof head);
	memcpy(forged->bytes + sizeof head, numbers, count * sizeof *numbers);
	return leat_bytes(forged->bytes, sizeof head + count * sizeof *numbers);
}

static struct leat_bytes key_of(struct forged *forged, uint32_t tag, const char *key)
{
	memcpy(forged->bytes, &tag, sizeof tag);
	memcpy(forged->bytes + sizeof tag, key, strlen(key));
	return leat_bytes(forged->bytes, sizeof tag + strlen(key));
}

static void a_delta_that_no_task_sent_halts_the_task_with_its_place(void **state)
{
	(void)state;
	const int64_t numbers[8] = { 1, 2 };
	for (int kind = 0; kind < 8; kind++) {
		struct world *world = make_world(4, 16, both);
		open_world(world);
		uint32_t tag = world->pipeline->nodes[0].table[0].tag;
		int32_t owner = owner_of(world, "item-1");
		struct forged key_room, room;
		struct leat_bytes key = key_of(&key_room, tag, "item-1"), value = delta_of(&room, 0, 1, 0, numbers, TALLY);
		int32_t partition = owner;
		static uint8_t longest[1100] = { 1 };
		switch (kind) {
		case 0: key = leat_bytes(NULL, 0); break;
		case 1: key.length = 3; break;
		case 2: key = leat_bytes(longest, sizeof longest); break;
		case 3: value.length = sizeof(struct leat_delta_head) - 1; break;
		case 4: value = delta_of(&room, 4, 1, 0, numbers, TALLY); break;
		case 5: value = delta_of(&room, 0, 1, 0, numbers, TALLY + 1); break;
		case 6: value = delta_of(&room, 0, UINT64_MAX, 0, numbers, TALLY); break;
		case 7: partition = (owner + 1) % 4; break;
		}
		put(world, "w.deltas", partition, key, value, 5);
		start_worker(world, 0);
		struct leat_fault fault = { 0 };
		bool idle;
		long rc = 0;
		/* What lies before it is committed first, after a pause of 100 ms. */
		for (int i = 0; i < 500 && rc >= 0; i++)
			rc = leat_worker_step(&world->workers[0], 0, &idle, &fault);
		assert_int_equal(rc, LEAT_ECORRUPT);
		assert_non_null(strstr(fault.text, "w.deltas["));
		assert_non_null(strstr(fault.text, "offset 0"));
		free_world(world);
	}
}

static void deltas_with_any_numbers_are_merged_without_harm(void **state)
{
	(void)state;
	struct world *world = make_world(4, 16, both);
	open_world(world);
	struct forged key_room, room;
	const int64_t numbers[3] = { INT64_MAX, INT64_MIN, 1 };
	const double curvatures[] = { (double)NAN, (double)INFINITY, -1, 1e300, 0 };
	for (uint32_t t = 0; t < 2; t++)
		for (size_t i = 0; i < LEAT_COUNT_OF(curvatures); i++)
			for (uint32_t sender = 0; sender < 4; sender++)
				put(world, "w.deltas", owner_of(world, "x"), key_of(&key_room, world->pipeline->nodes[t].table[0].tag, "x"), delta_of(&room, sender, (1ll << 62) - 1, curvatures[i], numbers, t ? LEARN : TALLY), 5);
	put(world, "w.deltas", owner_of(world, "x"), key_of(&key_room, 12345, "x"), delta_of(&room, 0, 7, 0, numbers, 3), 5);
	start_worker(world, 0);
	feed(world, 100);
	for (int i = 0; i < 100; i++)
		step(world, 0);
	assert_true(lane_of(world, owner_of(world, "x"))->intakes[world->pipeline->deltas_source].next_offset > 0);
	free_world(world);
}

static void rows_that_no_owner_wrote_are_counted_and_left_out(void **state)
{
	(void)state;
	struct world *world = make_world(4, 16, both);
	open_world(world);
	feed(world, 100);
	start_worker(world, 0);
	drain(world);
	uint32_t tag = world->pipeline->nodes[0].table[0].tag;
	struct forged room;
	const int64_t numbers[8] = { -1, -1 };
	static const uint8_t closing[4], longest[1100] = { 1 };
	int32_t owner = owner_of(world, "item-1");
	put(world, "w.shared", owner, leat_bytes(closing, 3), leat_bytes(numbers, 16), 5);
	put(world, "w.shared", owner, leat_bytes(longest, sizeof longest), leat_bytes(numbers, 16), 5);
	put(world, "w.shared", owner, key_of(&room, tag, "item-1"), leat_bytes(NULL, 0), 5);
	put(world, "w.shared", owner, key_of(&room, tag, "item-1"), leat_bytes(numbers, 24), 5);
	put(world, "w.shared", owner, key_of(&room, tag, "item-1"), leat_bytes(numbers, 15), 5);
	put(world, "w.shared", (owner + 1) % 4, key_of(&room, tag, "item-1"), leat_bytes(numbers, 16), 5);
	put(world, "w.shared", owner, leat_bytes(closing, 4), leat_bytes(numbers, 8), 5);
	put(world, "w.shared", owner, leat_bytes(closing, 4), leat_bytes(numbers, 32), 5);   /* sequences below 0 */
	feed(world, 100);
	drain(world);
	sums_are_exact(world);
	assert_int_equal(leat_replica_refused(world->engine.replica), 8);
	free_world(world);
}

/* Deltas are shown to the owner one by one; rows go the way of all rows. */
static void damage(struct world *world, struct leat_bytes key, struct leat_bytes value, void (*each)(struct world *world, struct leat_bytes key, struct leat_bytes value, bool cut))
{
	uint8_t whole[256];
	size_t length = key.length + value.length;
	memcpy(whole, key.data, key.length);
	memcpy(whole + key.length, value.data, value.length);
	for (size_t i = 0; i < 9 * length; i++) {
		bool cut = i >= 8 * length;
		size_t left = cut ? i - 8 * length : length;
		uint8_t *exact = malloc(left + 1);        /* so that reading beyond it is seen */
		memcpy(exact, whole, left);
		if (!cut)
			exact[i / 8] ^= (uint8_t)(1 << i % 8);
		each(world, leat_bytes(exact, LEAT_MIN(left, key.length)), leat_bytes(exact + LEAT_MIN(left, key.length), left - LEAT_MIN(left, key.length)), cut);
		free(exact);
	}
}

static void receive_damaged(struct world *world, struct leat_bytes key, struct leat_bytes value, bool cut)
{
	struct leat_lane *lane = lane_of(world, owner_of(world, "item-1"));
	const struct leat_record record = { .key = key, .value = value };
	int64_t included[4];
	int rc;
	memcpy(included, lane->shared->included, sizeof included);
	enum leat_bad bad = leat_shared_receive(lane, &record, &rc);
	assert_true(rc == 0 && (bad == LEAT_BAD_NONE || bad == LEAT_BAD_SHORT_HEADER || bad == LEAT_BAD_BAD_MAGIC));
	assert_true(!cut || bad);
	memcpy(lane->shared->included, included, sizeof included);
	lane->shared->received = false;
	leat_owner_clear(lane->shared);
}

static void put_damaged(struct world *world, struct leat_bytes key, struct leat_bytes value, bool cut)
{
	(void)cut;
	put(world, "w.shared", owner_of(world, "item-1"), key, value, 5);
}

static void every_cut_and_every_flip_of_a_bit_of_deltas_and_rows_is_survived(void **state)
{
	(void)state;
	struct world *world = make_world(4, 16, both);
	struct forged key_room, room;
	const int64_t numbers[4] = { 1 << 24, 2 << 24 };
	static const uint8_t closing[4];
	open_world(world);
	start_worker(world, 0);
	feed(world, 50);
	drain(world);
	struct leat_bytes key = key_of(&key_room, world->pipeline->nodes[0].table[0].tag, "item-1");
	damage(world, key, delta_of(&room, 0, 1, .5, numbers, TALLY), receive_damaged);
	sums_are_exact(world);
	damage(world, key, leat_bytes(numbers, TALLY * sizeof *numbers), put_damaged);
	damage(world, leat_bytes(closing, sizeof closing), leat_bytes(numbers, sizeof numbers), put_damaged);
	for (int i = 0; i < 2; i++) {
		feed(world, 50);
		drain(world);
		assert_true(leat_replica_refused(world->engine.replica) > 60);
		drop(&world->workers[0]);
		start_worker(world, 0);
		drain(world);
	}
	free_world(world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_delta_that_no_task_sent_halts_the_task_with_its_place),
		cmocka_unit_test(deltas_with_any_numbers_are_merged_without_harm),
		cmocka_unit_test(rows_that_no_owner_wrote_are_counted_and_left_out),
		cmocka_unit_test(every_cut_and_every_flip_of_a_bit_of_deltas_and_rows_is_survived),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
