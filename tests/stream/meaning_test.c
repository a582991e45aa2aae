/* State keeps the meaning it was made with: options that give it one may not change under it, others may, and operators come, go and are renamed. */
#include "stream/lane_meaning.h"
#include "stream/shared.h"
#include "stream/worker.h"

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

/* One task of one application on a database of its own, driven on one thread. */
struct world {
	char path[64];
	struct leat_storage *storage;
	struct leat_transport *transport;
	struct leat_clock clock;
	int64_t now_us;
	pthread_rwlock_t tables;
	struct leat_fault fault;         /* of the last run */
	int sent;
};

static int64_t wall(void *self)
{
	return 1700000000000 + ((struct world *)self)->now_us / 1000;
}

/* Time passes by being looked at: a commit is due at the next look. */
static int64_t mono(void *self)
{
	return ((struct world *)self)->now_us += 2000;
}

static void must(long rc, const struct leat_fault *fault)
{
	if (rc < 0)
		fail_msg("%s", fault->text);
}

static int make_world(void **state)
{
	static const char *const topics[] = { "in", "out", "meaning.deltas", "meaning.shared", "meaning.dead-letters", "meaning.again", "meaning.elsewhere", "meaning.a" };
	static const struct leat_pair_text settings[] = { { "socket", "off" }, { NULL, NULL } };
	struct world *world = calloc(1, sizeof *world);
	leat_log_level = LEAT_ERROR;
	world->clock = (struct leat_clock){ wall, mono, world };
	pthread_rwlock_init(&world->tables, NULL);
	snprintf(world->path, sizeof world->path, "%s/leat-meaning-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	assert_non_null(mkdtemp(world->path));
	must(leat_storage_open(&world->storage, 16 << 20, &world->fault), &world->fault);
	const struct leat_transport_config config = { .application = "meaning", .instance = "a", .directory = world->path, .settings = settings, .clock = &world->clock, .storage = world->storage };
	must(leat_embedded_open(&world->transport, &config, &world->fault), &world->fault);
	for (size_t i = 0; i < LEAT_COUNT_OF(topics); i++)
		must(world->transport->ops->create(world->transport, &(struct leat_topic_spec){ .name = topics[i], .partitions = 1, .retention_ms = -1 }, &world->fault), &world->fault);
	*state = world;
	return 0;
}

static int remove_one(const char *path, const struct stat *about, int flag, struct FTW *where)
{
	(void)about, (void)flag, (void)where;
	return remove(path);
}

static int remove_world(void **state)
{
	struct world *world = *state;
	world->transport->ops->close(world->transport);
	leat_storage_close(world->storage);
	pthread_rwlock_destroy(&world->tables);
	nftw(world->path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	free(world);
	return 0;
}

/* ---- running a pipeline to the end of what there is ---- */

static struct leat_pipeline *pipeline_of(const char *operators)
{
	char text[3000];
	struct leat_fault fault = { 0 };
	struct leat_pipeline *pipeline;
	int length = snprintf(text, sizeof text, "pipeline: meaning\ntasks: 1\nworkers: 1\ncommit_ms: 1\nmemory: 64MB\ndead_letters: { topic: meaning.dead-letters }\n"
		"tables: { ads: { key: ad_id, fields: \"ad_id:string code:string\", rows: [ '{\"ad_id\":\"x\",\"code\":\"y\"}' ] } }\n"
		"sources: { in: { topic: in, format: json, time: ts, id: id, fields: \"id:string user:string device:string type:enum(VIEW,CART) item:string price:double cost:double ts:int\" } }\n"
		"operators:\n%s"
		"sinks: { out: { from: last, topic: out, format: json, record: \"user:string events:int? count_view:int? count_cart:int? devices:int?\" } }\n", operators);
	assert_in_range(length, 1, sizeof text - 1);
	must(leat_pipeline_parse(&pipeline, "p.yaml", text, (size_t)length, NULL, &fault), &fault);
	return pipeline;
}

static void send_events(struct world *world, int count)
{
	const struct leat_transport_ops *ops = world->transport->ops;
	const struct leat_session_config config = { .worker = -1, .tasks = 1, .memory = 8 << 20 };
	struct leat_session *session;
	must(ops->session_open(world->transport, &config, &session, &world->fault), &world->fault);
	for (int i = 0; i < count; i++, world->sent++) {
		char value[200];
		snprintf(value, sizeof value, "{\"id\":\"e%d\",\"user\":\"u\",\"device\":\"d\",\"type\":\"%s\",\"item\":\"i%d\",\"price\":1,\"cost\":2,\"ts\":%d}",
			 world->sent, world->sent % 3 ? "VIEW" : "CART", world->sent, 1000 + world->sent);
		const struct leat_record record = { .timestamp_ms = 4102444800000, .key = leat_text("u"), .value = leat_text(value) };
		must(ops->session_send(session, "in", 0, &record, 0, &world->fault), &world->fault);
	}
	must(ops->session_commit(session, NULL, 0, "", &world->fault), &world->fault);
	ops->session_close(session, true);
}

/* The newest row of the topic out, and how many there are. */
static long newest(struct world *world, char *out, size_t size)
{
	const struct leat_transport_ops *ops = world->transport->ops;
	struct leat_reader *reader;
	long rows = 0;
	bool at_end = false;
	*out = '\0';
	must(ops->reader_open(world->transport, "out", 0, 0, &reader, &world->fault), &world->fault);
	while (!at_end) {
		const struct leat_record *records;
		int64_t position;
		long count = ops->reader_next(reader, &records, 1000, 0, &at_end, &position, &world->fault);
		must(count, &world->fault);
		if (count > 0)
			snprintf(out, size, "%.*s", (int)records[count - 1].value.length, (const char *)records[count - 1].value.data);
		rows += count;
	}
	ops->reader_close(reader);
	return rows;
}

/* Steps until nothing moves any more; @steps: at most so many, which is what a kill leaves then. */
static int step(struct world *world, const struct leat_engine *engine, int steps)
{
	struct leat_worker worker = { .engine = engine, .tables = &world->tables };
	pthread_mutex_init(&worker.lock, NULL);
	long rc = leat_worker_open(&worker, &world->fault);
	bool idle = false;
	for (int quiet = 0; rc >= 0 && quiet < 5 && steps > 0; steps--) {
		rc = leat_worker_step(&worker, 0, &idle, &world->fault);
		quiet = rc == 0 && idle ? quiet + 1 : 0;
	}
	worker.result = (int)LEAT_MIN(rc, 0L);
	leat_worker_close(&worker, false);
	pthread_mutex_destroy(&worker.lock);
	return worker.result;
}

/* @events more go through these operators. 0, or the code with its text in world->fault; nothing has come out then. */
static int run(struct world *world, const char *operators, int events)
{
	struct leat_pipeline *pipeline = pipeline_of(operators);
	struct leat_engine engine = { .pipeline = pipeline, .transport = world->transport, .storage = world->storage, .clock = &world->clock, .tasks = 1, .rows_memory = 16 << 20, .behind_max = 1000 };
	char out[300];
	world->fault = (struct leat_fault){ 0 };
	send_events(world, events);
	if (pipeline->deltas_source >= 0)
		must(leat_replica_open(&engine.replica, pipeline, world->transport, 1, &world->fault), &world->fault);
	long before = newest(world, out, sizeof out);
	int rc = step(world, &engine, 1000);
	struct leat_fault fault = world->fault;
	assert_int_equal(newest(world, out, sizeof out), rc < 0 ? before : world->sent);
	world->fault = fault;
	leat_replica_close(engine.replica);
	leat_pipeline_free(pipeline);
	return rc;
}

/* Three more events, and the last row of what has come. */
static void goes_on(struct world *world, const char *operators, const char *row)
{
	char out[300];
	must(run(world, operators, 3), &world->fault);
	newest(world, out, sizeof out);
	assert_string_equal(out, row);
}

/* Nothing comes out; @words are in the one line that says why. */
static void is_refused(struct world *world, const char *operators, const char *const *words)
{
	assert_int_equal(run(world, operators, 0), LEAT_EFOREIGN);   /* exit 1 */
	for (; *words; words++)
		if (!strstr(world->fault.text, *words))
			fail_msg("'%s' is not in: %s", *words, world->fault.text);
	assert_null(strchr(world->fault.text, '\n'));
}

#define ROW(events, views, carts, devices) "{\"user\":\"u\",\"events\":" events ",\"count_view\":" views ",\"count_cart\":" carts ",\"devices\":" devices "}"
#define PROFILE(with) "  - { id: people, use: profile, from: in, with: { type: type, types: " with " } }\n"
#define LAST(from) "  - { id: last, use: filter, from: " from ", with: { where: 'true' } }\n"
#define DEVICES "  - { id: gadgets, use: sessionize, from: people, with: { key: device }, as: { session_events: devices } }\n"

static void counters_that_change_places_are_refused_and_go_on_when_changed_back(void **state)
{
	struct world *world = *state;
	goes_on(world, PROFILE("[VIEW, CART]") LAST("people"), ROW("3", "2", "1", "null"));
	is_refused(world, PROFILE("[CART, VIEW]") LAST("people"),
		   (const char *const[]){ "operator 'people'", "task 0", "'types' [VIEW, CART]", "[CART, VIEW]", "Put the option back", "new id", NULL });
	is_refused(world, PROFILE("[CART, VIEW]") LAST("people"), (const char *const[]){ "'types'", NULL });   /* no less the second time */
	goes_on(world, PROFILE("[VIEW, CART]") LAST("people"), ROW("6", "4", "2", "null"));
}

static void an_operator_is_added_to_old_state_and_begins_with_nothing(void **state)
{
	struct world *world = *state;
	goes_on(world, PROFILE("[VIEW, CART]") LAST("people"), ROW("3", "2", "1", "null"));
	goes_on(world, PROFILE("[VIEW, CART]") DEVICES LAST("gadgets.events"), ROW("6", "4", "2", "3"));
	goes_on(world, PROFILE("[VIEW, CART]") DEVICES LAST("gadgets.events"), ROW("9", "6", "3", "6"));
}

#define UNIQUE(id) PROFILE("[VIEW, CART]") "  - { id: " id ", use: dedupe, from: people, with: { last: 4 } }\n" LAST(id)

static void an_operator_taken_out_of_rows_that_others_write_comes_back_only_under_a_new_id(void **state)
{
	struct world *world = *state;
	goes_on(world, UNIQUE("unique"), ROW("3", "2", "1", "null"));
	goes_on(world, PROFILE("[VIEW, CART]") LAST("people"), ROW("6", "4", "2", "null"));
	is_refused(world, UNIQUE("unique"), (const char *const[]){ "operator 'unique'", "without it", "task 0", "new id", NULL });
	goes_on(world, PROFILE("[VIEW, CART]") LAST("people"), ROW("9", "6", "3", "null"));
	is_refused(world, UNIQUE("unique"), (const char *const[]){ "operator 'unique'", NULL });
	goes_on(world, UNIQUE("unique2"), ROW("12", "8", "4", "null"));
}

static void an_operator_with_rows_of_its_own_comes_back_as_it_was(void **state)
{
	struct world *world = *state;
	const char *with = PROFILE("[VIEW, CART]") DEVICES LAST("gadgets.events");
	goes_on(world, with, ROW("3", "2", "1", "3"));
	goes_on(world, PROFILE("[VIEW, CART]") LAST("people"), ROW("6", "4", "2", "null"));
	goes_on(world, PROFILE("[VIEW, CART]") LAST("people"), ROW("9", "6", "3", "null"));
	goes_on(world, with, ROW("12", "8", "4", "6"));
	goes_on(world, PROFILE("[VIEW, CART]") "  - { id: others, use: dedupe, from: people, with: { last: 4, key: device } }\n" LAST("others"), ROW("15", "10", "5", "null"));
	is_refused(world, with, (const char *const[]){ "operator 'gadgets'", NULL });
}

/* Nothing was committed without it, so nothing of it was dropped. */
static void an_operator_put_back_before_any_commit_without_it_goes_on(void **state)
{
	struct world *world = *state;
	goes_on(world, UNIQUE("unique"), ROW("3", "2", "1", "null"));
	must(run(world, PROFILE("[VIEW, CART]") LAST("people"), 0), &world->fault);
	goes_on(world, UNIQUE("unique"), ROW("6", "4", "2", "null"));
}

static void a_new_id_is_new_state(void **state)
{
	struct world *world = *state;
	goes_on(world, PROFILE("[VIEW, CART]") LAST("people"), ROW("3", "2", "1", "null"));
	goes_on(world, "  - { id: folk, use: profile, from: in, with: { type: type, types: [CART, VIEW] } }\n" LAST("folk"), ROW("3", "2", "1", "null"));
	goes_on(world, "  - { id: folk, use: profile, from: in, with: { type: type, types: [CART, VIEW] } }\n" LAST("folk"), ROW("6", "4", "2", "null"));
}

/* ---- which options ---- */

static const struct {
	const char *use, *before, *after, *option;      /* option NULL: may be changed */
} changes[] = {
	{ "profile", "{ type: type, types: [VIEW, CART], half_life: 60m }", "{ types: [VIEW, CART], activity: on, type: type, margin: 0.5, ttl: 30d, half_life: 1h, rfm: true, price: price }", "price" },
	{ "profile", "{ price: price, type: type, types: [VIEW, CART], spend_on: [CART, VIEW] }", "{ spend_on: [VIEW, CART], types: [VIEW, CART], activity: on, type: type, margin: 0.5, ttl: 30d, half_life: 60m, rfm: true, price: price, anonymous: device }", NULL },
	{ "profile", "{ price: price, type: type, types: [VIEW, CART], spend_on: [CART] }", "{ price: price, type: type, types: [VIEW, CART], spend_on: [VIEW] }", "spend_on" },
	{ "profile", "{ price: price }", "{ price: cost }", "price" },
	{ "profile", "{ half_life: 1h }", "{ half_life: 2h }", "half_life" },
	{ "profile", "{ windows: [ 1h, 24h ] }", "{ windows: [ 24h, 1h ] }", "windows" },
	{ "profile", "{ interests: 8, category: item }", "{ interests: 8, category: device }", "category" },
	{ "profile", "{ interests: 8, category: item }", "{ interests: 7, category: item }", "interests" },
	{ "profile", "{ hour: \"hour_in(ts, 'Europe/Berlin')\" }", "{ hour: \"hour_in(ts, 'Asia/Tokyo')\" }", "hour" },
	{ "profile", "{ price: price, price_level: on, price_half_life: 1d }", "{ price: price, price_level: on, price_half_life: 2d }", "price_half_life" },
	{ "profile", "{ price: price, price_level: on, activity: off }", "{ price: price, price_level: off, activity: on }", "price_level" },
	{ "profile", "{}", "{ activity: off }", "activity" },
	{ "factors", "{ item: item }", "{ item: item, type: type, weights: { CART: 3 }, learning_rate: 0.1, regularization: 0.02, score_every: 4, history: 8, negatives: 2, ttl: 9d }", NULL },
	{ "factors", "{ item: item }", "{ item: item, score_every: 0 }", NULL },
	{ "factors", "{ item: item, items: local, score_every: 0 }", "{ item: item, items: local }", NULL },
	{ "factors", "{ item: item, rank: 32 }", "{ item: item, rank: 31 }", "rank" },
	{ "factors", "{ item: item, rank: 7, biases: true }", "{ item: item, rank: 7, biases: false }", "biases" },
	{ "factors", "{ item: item }", "{ item: device }", "item" },
	{ "dedupe", "{ last: 4 }", "{ last: 7 }", NULL },
	{ "dedupe", "{ last: 4, key: device }", "{ window: 1h, key: device }", "window" },
	{ "dedupe", "{ window: 2h, key: device }", "{ window: 1h, key: device }", NULL },
	{ "dedupe", "{ last: 4, key: device }", "{ last: 4, key: user }", "key" },
	{ "dedupe", "{ last: 4 }", "{ last: 4, key: user }", "key" },
	{ "sessionize", "{}", "{ gap: 5m, max_length: 1h, max_events: 7 }", NULL },
	{ "sessionize", "{}", "{ key: device }", "key" },
	{ "target", "{ ads: ads, interests: interests, cap: 1, cap_memory: 8 }", "{ ads: ads, interests: interests, cap: 2, cap_memory: 3, cap_window: 2h, weight_interest: 2, explain: on, k: 2, salt: s }", NULL },
	{ "target", "{ demo_ads: 4, interests: interests, cap: 3, cap_memory: 8, explain: on, k: 4 }", "{ demo_ads: 4, interests: interests, cap: 1, cap_memory: 3 }", NULL },
	{ "target", "{ demo_ads: 4, interests: interests, cap: 1, cap_memory: 3 }", "{ demo_ads: 4, interests: interests, cap: 1, cap_memory: 30 }", NULL },
	{ "target", "{ ads: ads, interests: interests, cap: 1 }", "{ ads: ads, interests: interests, cap: 1, id: code }", "id" },
};

static void operators_of(char *out, size_t size, const char *use, const char *id, const char *with)
{
	snprintf(out, size, "  - { id: taste, use: profile, from: in, with: { interests: 8, category: item } }\n"
			    "  - { id: %s, use: %s, from: taste, with: %s, as: { events: x_events, interests: x_interests, activity: x_activity } }\n" LAST("taste"), id, use, with);
}

static struct leat_bytes meaning_of(const struct leat_pipeline *pipeline, const char *id)
{
	for (size_t i = 0; i < pipeline->node_count; i++)
		if (strcmp(pipeline->nodes[i].id, id) == 0)
			return pipeline->nodes[i].meaning;
	return leat_bytes(NULL, 0);
}

static void only_options_that_stored_bytes_hang_on_have_a_meaning(void **state)
{
	(void)state;
	for (size_t i = 0; i < LEAT_COUNT_OF(changes); i++) {
		char operators[1000];
		operators_of(operators, sizeof operators, changes[i].use, "x", changes[i].before);
		struct leat_pipeline *before = pipeline_of(operators);
		operators_of(operators, sizeof operators, changes[i].use, "x", changes[i].after);
		struct leat_pipeline *after = pipeline_of(operators);
		if (leat_bytes_equal(meaning_of(before, "x"), meaning_of(after, "x")) != !changes[i].option)
			fail_msg("%s %s -> %s", changes[i].use, changes[i].before, changes[i].after);
		leat_pipeline_free(before);
		leat_pipeline_free(after);
	}
}

static void what_is_fixed_is_refused_by_name_and_what_is_free_goes_on(void **state)
{
	struct world *world = *state;
	for (size_t i = 0; i < LEAT_COUNT_OF(changes); i++) {
		char operators[1000], text[100], id[16];
		if (strstr(changes[i].before, "ads: ads"))
			continue;       /* nobody fills the table here */
		snprintf(id, sizeof id, "x%zu", i);
		operators_of(operators, sizeof operators, changes[i].use, id, changes[i].before);
		must(run(world, operators, 3), &world->fault);
		operators_of(operators, sizeof operators, changes[i].use, id, changes[i].after);
		int rc = run(world, operators, changes[i].option ? 0 : 3);
		snprintf(text, sizeof text, "operator '%s': the state of task 0 was made with '%s' ", id, changes[i].option ? changes[i].option : "");
		if (changes[i].option ? rc != LEAT_EFOREIGN || !strstr(world->fault.text, text) : rc != 0)
			fail_msg("%s %s -> %s: %d %s", changes[i].use, changes[i].before, changes[i].after, rc, world->fault.text);
	}
}

static void another_operator_under_an_old_id_is_refused(void **state)
{
	struct world *world = *state;
	goes_on(world, "  - { id: x, use: dedupe, from: in, with: { last: 4 } }\n" LAST("x"), ROW("null", "null", "null", "null"));
	is_refused(world, "  - { id: x, use: sessionize, from: in }\n" LAST("x"), (const char *const[]){ "'use' dedupe", "sessionize", NULL });
}

#define REKEYED(by) "  - { id: again, use: rekey, from: in, with: { by: " by " } }\n  - { id: x, use: profile, from: again }\n" LAST("x")

static void state_by_message_key_is_refused_under_keys_of_another_field(void **state)
{
	struct world *world = *state;
	must(run(world, REKEYED("device"), 3), &world->fault);
	is_refused(world, REKEYED("item"), (const char *const[]){ "operator 'x'", "'re-keyed by' device", "item", NULL });
	is_refused(world, "  - { id: x, use: profile, from: in }\n" LAST("x"), (const char *const[]){ "'re-keyed by' device", "nothing", NULL });
	is_refused(world, "  - { id: a, use: rekey, from: in, with: { by: device } }\n  - { id: f, use: map, from: in, with: { set: { y: ts } } }\n  - { id: x, use: profile, from: [ f, a ] }\n" LAST("x"),
		   (const char *const[]){ "'re-keyed by' device", "device, nothing", NULL });
	must(run(world, "  - { id: elsewhere, use: rekey, from: in, with: { by: device } }\n  - { id: x, use: profile, from: elsewhere }\n" LAST("x"), 3), &world->fault);
}

/* ---- the row itself ---- */

/* Puts @value in the place of the row, or takes the row away, as another version or a damaged disk might. */
static void write_row(struct world *world, struct leat_bytes value)
{
	const struct leat_transport_ops *ops = world->transport->ops;
	const struct leat_session_config config = { .worker = 0, .tasks = 1, .memory = 8 << 20 };
	struct leat_session *session;
	must(ops->session_open(world->transport, &config, &session, &world->fault), &world->fault);
	must(ops->session_row(session, 0, "", leat_lane_meaning_key, value, &world->fault), &world->fault);
	must(ops->session_commit(session, NULL, 0, "", &world->fault), &world->fault);
	ops->session_close(session, true);
}

static void a_damaged_row_and_one_of_a_later_version_are_refused(void **state)
{
	struct world *world = *state;
	static const struct { const char *bytes; size_t length; int code; } cases[] = {
		{ "\1", 1, LEAT_ECORRUPT }, { "\0\0\0\0", 4, LEAT_ECORRUPT }, { "\2\0\0\0", 4, LEAT_EFOREIGN }, { "\1\0\0\0\6\0", 6, LEAT_ECORRUPT },
		{ "\1\0\0\0\6\0\0\0\4\0\0\0people", 18, LEAT_ECORRUPT }, { "\1\0\0\0\6\0\0\0\4\0\0\0peopleuse-", 22, LEAT_ECORRUPT }, { "\1\0\0\0\7\0\0\0\0\0\0\0people", 18, LEAT_ECORRUPT },
	};
	goes_on(world, PROFILE("[VIEW, CART]") LAST("people"), ROW("3", "2", "1", "null"));
	for (size_t i = 0; i < LEAT_COUNT_OF(cases); i++) {
		write_row(world, leat_bytes(cases[i].bytes, cases[i].length));
		assert_int_equal(run(world, PROFILE("[VIEW, CART]") LAST("people"), 0), cases[i].code);
		assert_non_null(strstr(world->fault.text, "what its state means"));
	}
}

static void state_of_a_version_that_did_not_write_the_row_is_taken_as_it_is(void **state)
{
	struct world *world = *state;
	goes_on(world, PROFILE("[VIEW, CART]") LAST("people"), ROW("3", "2", "1", "null"));
	write_row(world, (struct leat_bytes){ 0 });
	goes_on(world, PROFILE("[VIEW, CART]") LAST("people"), ROW("6", "4", "2", "null"));
	is_refused(world, PROFILE("[CART, VIEW]") LAST("people"), (const char *const[]){ "'types'", NULL });
}

static void an_allocation_that_fails_while_it_is_read_fails_the_opening_and_no_more(void **state)
{
	struct world *world = *state;
	goes_on(world, PROFILE("[VIEW, CART]") LAST("people"), ROW("3", "2", "1", "null"));
	goes_on(world, "  - { id: other, use: profile, from: in }\n" LAST("other"), ROW("3", "null", "null", "null"));
	struct leat_pipeline *pipeline = pipeline_of("  - { id: other, use: profile, from: in }\n" LAST("other"));
	const struct leat_engine engine = { .pipeline = pipeline, .transport = world->transport, .storage = world->storage, .clock = &world->clock, .tasks = 1, .rows_memory = 16 << 20 };
	struct leat_lane *lane;
	int rc = LEAT_ENOMEM;
	for (uint64_t n = 1; rc == LEAT_ENOMEM; n++) {
		assert_in_range(n, 1, 100);
		must(leat_lane_open(&lane, &engine, NULL, 0, &world->fault), &world->fault);
		leat_alloc_fail_at(n);
		rc = leat_lane_meaning_open(lane, &world->fault);
		leat_alloc_fail_at(0);
		if (n == 1)
			assert_int_equal(rc, LEAT_ENOMEM);
		if (rc == LEAT_ENOMEM)
			assert_int_equal(leat_lane_meaning_open(lane, &world->fault), 0);   /* as if nothing had been */
		assert_true(rc < 0 || !lane->meaning_due);
		leat_lane_close(lane, false);
	}
	assert_int_equal(rc, 0);
	leat_pipeline_free(pipeline);
}

/* Options that only one version knows: nothing to compare. */
static void an_option_that_the_state_does_not_know_is_let_in(void **state)
{
	struct world *world = *state;
	static const char row[] = "\1\0\0\0\6\0\0\0\30\0\0\0peopleuse\0profile\0lost\0option";
	goes_on(world, PROFILE("[VIEW, CART]") LAST("people"), ROW("3", "2", "1", "null"));
	write_row(world, leat_bytes(row, sizeof row));
	goes_on(world, PROFILE("[VIEW, CART]") LAST("people"), ROW("6", "4", "2", "null"));
}

int main(void)
{
#define IN_A_WORLD(test) cmocka_unit_test_setup_teardown(test, make_world, remove_world)
	const struct CMUnitTest tests[] = {
		IN_A_WORLD(counters_that_change_places_are_refused_and_go_on_when_changed_back),
		IN_A_WORLD(an_operator_is_added_to_old_state_and_begins_with_nothing),
		IN_A_WORLD(an_operator_taken_out_of_rows_that_others_write_comes_back_only_under_a_new_id),
		IN_A_WORLD(an_operator_with_rows_of_its_own_comes_back_as_it_was),
		IN_A_WORLD(an_operator_put_back_before_any_commit_without_it_goes_on),
		IN_A_WORLD(a_new_id_is_new_state),
		cmocka_unit_test(only_options_that_stored_bytes_hang_on_have_a_meaning),
		IN_A_WORLD(what_is_fixed_is_refused_by_name_and_what_is_free_goes_on),
		IN_A_WORLD(another_operator_under_an_old_id_is_refused),
		IN_A_WORLD(state_by_message_key_is_refused_under_keys_of_another_field),
		IN_A_WORLD(a_damaged_row_and_one_of_a_later_version_are_refused),
		IN_A_WORLD(state_of_a_version_that_did_not_write_the_row_is_taken_as_it_is),
		IN_A_WORLD(an_allocation_that_fails_while_it_is_read_fails_the_opening_and_no_more),
		IN_A_WORLD(an_option_that_the_state_does_not_know_is_let_in),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
