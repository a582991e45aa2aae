/* Shared tables in the engine, with several tasks and workers: sums are exact, own deltas are read at once, and no fault loses or doubles any. */
#include "tests/stream/shared_help.h"

#include "stream/application.h"

#include <math.h>

/* ---- plain ---- */

static void sums_are_exact_in_every_view(void **state)
{
	(void)state;
	for (int workers = 1; workers <= 2; workers++)
		for (int batch = 1; batch <= 512; batch *= 8) {
			struct world *world = make_world(4, batch, both);
			open_world(world);
			feed(world, 400);
			for (int number = 0; number < workers; number++)
				start_worker(world, number);
			drain(world);
			sums_are_exact(world);
			views_agree(world);
			feed(world, 100);
			drain(world);
			sums_are_exact(world);
			views_agree(world);
			free_world(world);
		}
}

/* One commit sends the delta, the owner's next one merges it, the look after that shows it. */
static void others_see_a_delta_after_two_commits(void **state)
{
	(void)state;
	struct world *world = make_world(4, 512, both);
	open_world(world);
	start_worker(world, 0);
	run_until_running(world);
	feed_to(world, 1, 2);
	uint64_t before = world->workers[0].live.commits;
	while (world->workers[0].live.commits < before + 2)
		step(world, 0);
	step(world, 0);
	sums_are_exact(world);
	views_agree(world);
	free_world(world);
}

/* An input that is hours behind must not keep the deltas waiting, whose records are of now. */
static void deltas_do_not_wait_for_events_that_are_behind(void **state)
{
	(void)state;
	struct world *world = make_world(2, 8, both);
	open_world(world);
	feed(world, 2000);
	start_worker(world, 0);
	run_until_running(world);
	for (int i = 0; i < 20; i++)
		step(world, 0);
	assert_true(lane_of(world, 0)->intakes[0].next_offset < 900);
	for (int32_t task = 0; task < 2; task++)
		for (int32_t owner = 0; owner < 2; owner++) {
			const struct leat_owner_link *link = &lane_of(world, task)->shared->owners[owner];
			assert_true(!link->first || link->first->sequence >> LEAT_SHARED_SEQUENCE_SHIFT >= lane_of(world, task)->sequence - 3);
		}
	drain(world);
	sums_are_exact(world);
	free_world(world);
}

static void the_watermark_is_that_of_the_events(void **state)
{
	(void)state;
	struct world *world = make_world(2, 4, both);
	open_world(world);
	feed(world, 100);
	start_worker(world, 0);
	drain(world);
	assert_true(lane_of(world, 0)->watermark_ms == 1098 && lane_of(world, 1)->watermark_ms == 1099);
	free_world(world);
}

/* ---- one task ---- */

static void one_task_is_the_sequential_program_for_any_batch_and_commit(void **state)
{
	(void)state;
	const int batches[] = { 1, 2, 3, 7, 64, 512 }, commits[] = { 1, 5, 17, 10000 };
	for (size_t b = 0; b < LEAT_COUNT_OF(batches); b++)
		for (size_t c = 0; c < LEAT_COUNT_OF(commits); c++) {
			struct world *world = make_world(1, batches[b], both);
			world->commit_ms = commits[c];
			open_world(world);
			feed(world, 300);
			start_worker(world, 0);
			drain(world);
			sums_are_exact(world);
			same_as_the_program(world);
			free_world(world);
		}
}

struct part { struct leat_lane *lane; int64_t most; };

static void receive_some(void *self, const struct leat_record *record)
{
	struct part *part = self;
	struct leat_intake *intake = &part->lane->intakes[part->lane->pipeline->deltas_source];
	int rc;
	if (record->offset < intake->next_offset || record->offset >= part->most)
		return;
	assert_int_equal(leat_shared_receive(part->lane, record, &rc), LEAT_BAD_NONE);
	assert_int_equal(rc, 0);
	intake->next_offset = record->offset + 1;
}

/* Half of what one commit sent is in the rows, the other half is still pending: what the task sees does not change by that. */
static void an_owner_may_commit_in_the_midst_of_what_a_commit_sent(void **state)
{
	(void)state;
	struct world *world = make_world(1, 512, both);
	struct leat_fault fault = { 0 };
	open_world(world);
	feed(world, 100);
	start_worker(world, 0);
	run_until_running(world);
	struct leat_lane *lane = lane_of(world, 0);
	leat_lane_run(lane, &fault);
	must(leat_worker_commit(&world->workers[0], &fault), &fault, "commit");
	for (int64_t most = 1; most < 26; most += 5) {
		struct part part = { lane, most };
		read_topic(world, "w.deltas", 0, receive_some, &part);
		must(leat_worker_commit(&world->workers[0], &fault), &fault, "commit");
		must(leat_replica_poll(world->engine.replica, &fault), &fault, "poll");
		must(leat_shared_refresh(lane), &fault, "refresh");
		sums_are_exact(world);
		drop(&world->workers[0]);   /* what is left is rebuilt, and read from there on */
		start_worker(world, 0);
		must(world->transport->ops->session_poll(world->workers[0].session, 0, &fault), &fault, "poll");
		do
			must(leat_lane_advance(world->workers[0].lanes[0], &fault), &fault, "open");
		while (world->workers[0].lanes[0]->state != LEAT_LANE_RUNNING);
		lane = lane_of(world, 0);
		sums_are_exact(world);
	}
	feed(world, 100);
	drain(world);
	sums_are_exact(world);
	same_as_the_program(world);
	free_world(world);
}

/* ---- faults ---- */

/* Everything is done once for nothing, killed, done again and committed, and killed once more: at every event, with every stage of the deltas on its way. */
static void run_killed(struct world *world, int workers)
{
	for (int round = 0; round < 4000; round++) {
		long events = 0;
		struct leat_fault fault = { 0 };
		for (int number = 0; number < workers; number++)
			start_worker(world, number);
		run_until_running(world);
		for (int number = 0; number < workers; number++)
			for (int32_t task = 0; task < world->tasks; task++)
				if (world->workers[number].lanes[task]) {
					long count = leat_lane_run(world->workers[number].lanes[task], &fault);
					must((int)count, &fault, "run");
					events += count;
				}
		if (round % 2)
			for (int number = 0; number < workers; number++)
				must(leat_worker_commit(&world->workers[number], &fault), &fault, "commit");
		for (int number = 0; number < workers; number++)
			drop(&world->workers[number]);
		if (round % 5 == 4) {
			close_world(world);
			open_world(world);
		}
		if (events == 0 && round % 2)
			break;
	}
	start_worker(world, 0);
	drain(world);
}

static void a_kill_at_any_event_loses_and_doubles_nothing(void **state)
{
	(void)state;
	for (int workers = 1; workers <= 2; workers++) {
		struct world *world = make_world(4, 1, both);
		open_world(world);
		feed(world, 100);
		run_killed(world, workers);
		sums_are_exact(world);
		views_agree(world);
		free_world(world);
	}
	struct world *world = make_world(1, 1, both);
	open_world(world);
	feed(world, 60);
	run_killed(world, 1);
	sums_are_exact(world);
	same_as_the_program(world);
	free_world(world);
}

static void an_unknown_or_failed_commit_loses_and_doubles_nothing(void **state)
{
	(void)state;
	for (int32_t tasks = 1; tasks <= 4; tasks += 3)
		for (int number = 1; number <= 12; number++)
			for (int unknown = 0; unknown < 2; unknown++) {
				struct world *world = make_world(tasks, 10, both);
				char value[16];
				snprintf(value, sizeof value, "%d", number);
				world->setting = unknown ? "unknown_commit" : "fail_commit";
				world->value = value;
				open_world(world);
				feed(world, 600);
				start_worker(world, 0);
				drain(world);
				sums_are_exact(world);
				if (tasks == 1)
					same_as_the_program(world);
				assert_int_equal(world->workers[0].live.aborts, 1);
				free_world(world);
			}
}

static int (*reset_session)(struct leat_session *session, struct leat_fault *fault);
static int resets_to_fail;

static int reset_when_the_broker_is_back(struct leat_session *session, struct leat_fault *fault)
{
	return resets_to_fail-- > 0 ? leat_fail(fault, LEAT_ERETRY, "no broker") : reset_session(session, fault);
}

static void a_recovery_that_fails_is_tried_again_and_forgets_no_task(void **state)
{
	(void)state;
	struct world *world = make_world(4, 10, both);
	world->setting = "fail_commit";
	world->value = "3";
	open_world(world);
	struct leat_transport_ops ops = *world->transport->ops;
	reset_session = ops.session_reset;
	ops.session_reset = reset_when_the_broker_is_back;
	resets_to_fail = 2;
	world->transport->ops = &ops;
	feed(world, 600);
	start_worker(world, 0);
	for (int round = 0; world->workers[0].live.aborts < 3; round++) {
		assert_true(round < 100000);
		step(world, 0);
	}
	run_until_running(world);
	drain(world);
	sums_are_exact(world);
	free_world(world);
}

static void tasks_that_move_stay_exact(void **state)
{
	(void)state;
	struct world *world = make_world(4, 4, both);
	open_world(world);
	start_worker(world, 0);
	for (int round = 0; round < 12; round++) {
		struct leat_fault fault = { 0 };
		feed(world, 50);
		int other = !world->workers[1].session;
		for (int i = 0; i < 3 + round; i++)
			for (int number = 0; number < 2; number++)
				if (world->workers[number].session)
					step(world, number);
		if (other) {
			start_worker(world, 1);
		} else {
			leat_worker_close(&world->workers[1], round % 4 < 2);
			world->workers[1] = (struct leat_worker){ 0 };
		}
		(void)fault;
	}
	drain(world);
	sums_are_exact(world);
	views_agree(world);
	free_world(world);
}

/* The owners of half of the keys do not run; what is sent to them stays pending, and is merged when they are back. */
static void an_owner_that_is_away_loses_nothing(void **state)
{
	(void)state;
	struct world *world = make_world(4, 16, both);
	open_world(world);
	start_worker(world, 0);
	start_worker(world, 1);
	run_until_running(world);
	int here = world->workers[0].lanes[0] ? 0 : 1;
	feed_to(world, 200, 0);
	for (int i = 0; i < 200; i++)
		step(world, here);
	for (int item = 0; item < ITEMS; item++)
		assert_memory_equal(view(world, 0, 0, item), world->expected[item], sizeof world->expected[item]);
	drop(&world->workers[here]);   /* and what was pending is rebuilt */
	start_worker(world, here);
	for (int i = 0; i < 50; i++)
		step(world, here);
	step(world, !here);
	run_until_running(world);
	for (int item = 0; item < ITEMS; item++)
		assert_memory_equal(view(world, 0, 0, item), world->expected[item], sizeof world->expected[item]);
	drain(world);
	sums_are_exact(world);
	views_agree(world);
	free_world(world);
}

/* Beyond the bound what waits grows by no more than one delta per row, the sender still reads all of its own, and nothing is lost. */
static void what_waits_for_an_owner_is_bounded(void **state)
{
	(void)state;
	struct world *world = make_world(4, 4, both);
	open_world(world);
	start_worker(world, 0);
	start_worker(world, 1);
	run_until_running(world);
	int here = world->workers[0].lanes[0] ? 0 : 1;
	struct leat_shared *shared = lane_of(world, 0)->shared;
	size_t waiting = 0;
	shared->sent_most = 2000;
	feed_to(world, 800, 0);
	for (int i = 0; i < 400; i++)
		step(world, here);
	for (int32_t owner = 0; owner < 4; owner++)
		for (const struct leat_sent *sent = shared->owners[owner].first; sent; sent = sent->next) {
			waiting++;
			assert_true(!sent->next || sent->sequence < sent->next->sequence);
		}
	assert_in_range(waiting, 10, 2000 / 40 + 2 * ITEMS);
	for (int item = 0; item < ITEMS; item++)
		assert_memory_equal(view(world, 0, 0, item), world->expected[item], sizeof world->expected[item]);
	drain(world);
	assert_int_equal(shared->sent_bytes, 0);
	sums_are_exact(world);
	views_agree(world);
	free_world(world);
}

/* Without shared tables for a while: positions, rows and what is included are found again. */
static void tables_that_were_left_out_come_back_as_they_were(void **state)
{
	(void)state;
	struct world *world = make_world(4, 16, both);
	open_world(world);
	feed(world, 200);
	start_worker(world, 0);
	for (int i = 0; i < 12; i++)
		step(world, 0);
	close_world(world);
	world->workers[0] = (struct leat_worker){ 0 };
	world->operators = neither;
	int64_t expected[ITEMS][TALLY];
	open_world(world);
	start_worker(world, 0);
	drain(world);
	memcpy(expected, world->expected, sizeof expected);
	feed(world, 50);
	memcpy(world->expected, expected, sizeof expected);   /* nobody counts these */
	drain(world);
	int64_t before = lane_of(world, 0)->intakes[0].next_offset;
	assert_true(before > 0);
	close_world(world);
	world->operators = both;
	open_world(world);
	start_worker(world, 0);
	drain(world);
	int64_t counted = 0, fed = 0;
	for (int item = 0; item < ITEMS; item++) {
		const int64_t *seen = view(world, 0, 0, item);
		counted += seen ? seen[0] : 0;
		fed += expected[item][0];
	}
	assert_true(counted > 0 && counted <= fed);
	views_agree(world);
	memset(world->expected, 0, sizeof world->expected);
	for (int item = 0; item < ITEMS; item++)
		if (view(world, 0, 0, item))
			memcpy(world->expected[item], view(world, 0, 0, item), sizeof world->expected[item]);
	feed(world, 100);
	drain(world);
	sums_are_exact(world);
	free_world(world);
}

static void a_key_too_long_for_a_shared_row_is_a_bad_event(void **state)
{
	(void)state;
	struct world *world = make_world(4, 16, both);
	open_world(world);
	char value[1200], key[1100];
	for (int length = LEAT_SHARED_KEY_MOST; length <= LEAT_ROW_KEY_MAX; length++) {
		memset(key, 'k', sizeof key);
		key[length] = 0;
		snprintf(value, sizeof value, "{\"item\":\"%s\",\"n\":1}", key);
		put(world, "in", 0, leat_text("k"), leat_text(value), 5);
	}
	start_worker(world, 0);
	drain(world);
	struct leat_buffer out = { 0 };
	read_topic(world, "out", 0, add_line, &out);
	assert_int_equal(out.length > 1000 && out.length < 1200, 1);
	leat_buffer_free(&out);
	free_world(world);
}

/* ---- memory is out ---- */

static void restart(struct world *world)
{
	drop(&world->workers[0]);
	start_worker(world, 0);
}

static void an_allocation_that_fails_loses_nothing(void **state)
{
	(void)state;
	uint64_t fail_at = 1;
	bool failed = true;
	for (; failed; fail_at += fail_at < 40 ? 1 : 1 + fail_at / 24) {
		struct world *world = make_world(2, 5, both);
		open_world(world);
		feed(world, 60);
		start_worker(world, 0);
		run_until_running(world);
		leat_alloc_fail_at(fail_at);
		uint64_t made = 0;
		failed = false;
		for (int i = 0; i < 200; i++) {
			struct leat_fault fault = { 0 };
			bool idle;
			int rc = leat_replica_poll(world->engine.replica, &fault);   /* it outlives the worker that met the failure */
			if (rc >= 0)
				rc = (int)leat_worker_step(&world->workers[0], 0, &idle, &fault);
			if (rc >= 0)
				continue;
			made += leat_alloc_fail_at(0);
			assert_int_equal(rc, LEAT_ENOMEM);
			assert_false(failed);
			failed = true;
			restart(world);
		}
		made += leat_alloc_fail_at(0);
		failed |= made >= fail_at;
		drain(world);
		sums_are_exact(world);
		views_agree(world);
		free_world(world);
	}
	assert_true(fail_at > 100);
}

static void opening_without_memory_fails_and_can_be_tried_again(void **state)
{
	(void)state;
	bool failed = true;
	struct world *world = make_world(2, 5, both);
	open_world(world);
	feed(world, 60);
	start_worker(world, 0);
	for (int i = 0; i < 8; i++)
		step(world, 0);
	drop(&world->workers[0]);
	for (uint64_t fail_at = 1; failed; fail_at++) {
		struct leat_fault fault = { 0 };
		leat_replica_close(world->engine.replica);
		leat_alloc_fail_at(fail_at);
		int rc = leat_replica_open(&world->engine.replica, world->pipeline, world->transport, world->tasks, &fault);
		failed = leat_alloc_fail_at(0) >= fail_at;
		assert_int_equal(rc, failed ? LEAT_ENOMEM : 0);
	}
	start_worker(world, 0);
	drain(world);
	sums_are_exact(world);
	free_world(world);
}

/* ---- with re-keying; trimming; memory ---- */

static const char rekeyed[] = "operators: [ { id: by_item, use: rekey, from: in, with: { by: item } }, { id: tally, use: tally, from: by_item, with: { item: item, n: n } },"
			      " { id: learn, use: learn, from: tally, with: { item: item, n: n } } ]\n"
			      "sinks: { out: { from: learn, topic: out, format: json, record: \"item:string seen:int? guess:double?\" } }\n";

static void rekeyed_rows_feed_shared_tables(void **state)
{
	(void)state;
	struct world *world = make_world(4, 7, rekeyed);
	open_world(world);
	start_worker(world, 0);
	start_worker(world, 1);
	feed(world, 300);
	drain(world);
	sums_are_exact(world);
	views_agree(world);
	free_world(world);
}

static int64_t first_of(struct world *world, const char *topic)
{
	int64_t sum = 0;
	for (int32_t task = 0; task < world->tasks; task++) {
		struct leat_fault fault = { 0 };
		int64_t first, end;
		must(world->transport->ops->bounds(world->transport, topic, task, &first, &end, &fault), &fault, topic);
		sum += first;
	}
	return sum;
}

/* A position is used half a minute after it was committed, and only what no restart needs goes. */
static void spare_records_of_internal_topics_are_deleted(void **state)
{
	(void)state;
	struct world *world = make_world(4, 7, rekeyed);
	open_world(world);
	assert_int_equal(leat_trims_open(&world->engine.trims, world->pipeline, world->transport, world->tasks), 0);
	const char *topic = world->pipeline->sources[1].topic;
	for (int round = 0; round < 4; round++) {
		if (!world->workers[0].session)
			start_worker(world, 0);
		feed(world, 200);
		drain(world);
		assert_int_equal(leat_trims_run(world->engine.trims), round > 1);
		while (leat_trims_run(world->engine.trims))
			;
		assert_true((first_of(world, "w.deltas") > 0) == (round > 1));
		assert_true((first_of(world, topic) > 0) == (round > 1));
		world->now_us += 31000000;
		sums_are_exact(world);
	}
	drop(&world->workers[0]);
	start_worker(world, 0);
	feed(world, 50);
	drain(world);
	sums_are_exact(world);
	views_agree(world);
	free_world(world);
}

static void a_thousand_keys_are_known_in_the_order_of_their_bytes(void **state)
{
	(void)state;
	struct world *world = make_world(2, 512, both);
	open_world(world);
	struct leat_session *session = open_writer(world);
	struct leat_fault fault = { 0 };
	for (int i = 0; i < 3000; i++) {
		char key[32], value[64];
		snprintf(key, sizeof key, "%x", (unsigned)(leat_mix((uint64_t)i % 1500) & 0xffffff));
		snprintf(value, sizeof value, "{\"item\":\"%s\",\"n\":1}", key);
		const struct leat_record record = { .timestamp_ms = i, .key = leat_text(key), .value = leat_text(value) };
		must(world->transport->ops->session_send(session, "in", i % 2, &record, 0, &fault), &fault, "in");
	}
	close_writer(world, session);
	start_worker(world, 0);
	drain(world);
	for (int round = 0; round < 2; round++) {
		for (int32_t task = 0; task < 2; task++) {
			const struct leat_shared_table *table = &lane_of(world, task)->shared->tables[0];
			assert_int_equal(leat_shared_count(table), 1500);
			assert_null(leat_shared_at(table, 1500));
			char last[32] = "";
			for (size_t i = 0; i < 1500; i++) {
				struct leat_bytes key = leat_rows_key(table->rows, leat_shared_at(table, i));
				char this[32] = "";
				memcpy(this, key.data, key.length);
				assert_true(strcmp(last, this) < 0);
				memcpy(last, this, sizeof last);
			}
		}
		drop(&world->workers[0]);
		start_worker(world, 0);
		run_until_running(world);
	}
	free_world(world);
}

/* ---- threads: a whole application ---- */

struct published { uint32_t tag; int64_t rows[ITEMS][TALLY]; };

static void last_row(void *self, const struct leat_record *record)
{
	struct published *published = self;
	char name[16] = "";
	if (record->key.length <= 4 || memcmp(record->key.data, &published->tag, 4) != 0)
		return;
	memcpy(name, record->key.data + 4, LEAT_MIN((size_t)record->key.length - 4, sizeof name - 1));
	memcpy(published->rows[strtol(name + 5, NULL, 10)], record->value.data, sizeof published->rows[0]);
}

static void run_application(struct world *world, const char *path, int events)
{
	char topics[96];
	struct leat_fault fault = { 0 };
	struct leat *leat;
	snprintf(topics, sizeof topics, "%s/topics", world->folder);
	const struct leat_config config = { .pipeline = path, .embedded = topics, .until_end = true };
	must(leat_open(&leat, &config, &fault), &fault, "open");
	world->transport = leat->transport;
	feed(world, events);
	must(leat_start(leat, &fault), &fault, "start");
	int rc;
	while ((rc = leat_wait(leat, 1000, &fault)) == 0)
		;
	must(rc, &fault, "run");
	struct published published = { .tag = leat->pipeline->nodes[0].table[0].tag };
	for (int32_t task = 0; task < world->tasks; task++)
		read_topic(world, "w.shared", task, last_row, &published);
	assert_memory_equal(published.rows, world->expected, sizeof published.rows);
	leat_close(leat);
}

/* It ends although deltas flow between the workers, and not before the last is merged. */
static void two_workers_run_to_the_end_with_everything_merged(void **state)
{
	(void)state;
	char path[96], text[2048];
	struct world *world = make_world(4, 16, both);
	snprintf(path, sizeof path, "%s/w.yaml", world->folder);
	int length = snprintf(text, sizeof text, "pipeline: w\ntasks: 4\nworkers: 2\nbatch: 16\ncommit_ms: 2\nmemory: 64MB\nsources: { in: { topic: in, format: json, fields: \"item:string n:int\" } }\n%s", both);
	FILE *file = fopen(path, "we");
	assert_non_null(file);
	assert_int_equal(fwrite(text, 1, (size_t)length, file), length);
	fclose(file);
	run_application(world, path, 3000);
	run_application(world, path, 500);
	leat_storage_close(world->storage);
	nftw(world->folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	pthread_rwlock_destroy(&world->tables);
	free(world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sums_are_exact_in_every_view),
		cmocka_unit_test(others_see_a_delta_after_two_commits),
		cmocka_unit_test(deltas_do_not_wait_for_events_that_are_behind),
		cmocka_unit_test(the_watermark_is_that_of_the_events),
		cmocka_unit_test(one_task_is_the_sequential_program_for_any_batch_and_commit),
		cmocka_unit_test(an_owner_may_commit_in_the_midst_of_what_a_commit_sent),
		cmocka_unit_test(a_kill_at_any_event_loses_and_doubles_nothing),
		cmocka_unit_test(an_unknown_or_failed_commit_loses_and_doubles_nothing),
		cmocka_unit_test(a_recovery_that_fails_is_tried_again_and_forgets_no_task),
		cmocka_unit_test(tasks_that_move_stay_exact),
		cmocka_unit_test(an_owner_that_is_away_loses_nothing),
		cmocka_unit_test(what_waits_for_an_owner_is_bounded),
		cmocka_unit_test(tables_that_were_left_out_come_back_as_they_were),
		cmocka_unit_test(a_key_too_long_for_a_shared_row_is_a_bad_event),
		cmocka_unit_test(an_allocation_that_fails_loses_nothing),
		cmocka_unit_test(opening_without_memory_fails_and_can_be_tried_again),
		cmocka_unit_test(rekeyed_rows_feed_shared_tables),
		cmocka_unit_test(spare_records_of_internal_topics_are_deleted),
		cmocka_unit_test(two_workers_run_to_the_end_with_everything_merged),
		cmocka_unit_test(a_thousand_keys_are_known_in_the_order_of_their_bytes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
