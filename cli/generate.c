/* leat generate: the simulated shop, or the reference workload, into topics. */
#include "cli/cli.h"
#include "cli/generate_rp1.h"
#include "cli/shop_run.h"
#include "stream/pipeline.h"

#include <math.h>

enum { RP1_BATCH = 256, RP1_MEMORY = 64 << 20 };
static const double virtual_rate = 200;      /* events per second of the shop's time when it runs as fast as it can */

struct generate {
	struct leat_tool_where where;
	const char *prefix, *schemas, *topic;
	double users, items, ads, rate, events, seconds, seed, partitions, start, rp1;
	bool react, json;
	struct leat_transport *transport;
};

/* ---- what was planted ---- */

static void print_counts(const char *title, const char *const *names, const uint64_t *counts, size_t count, bool json)
{
	printf(json ? ",\"%s\":{" : "; %s", title);
	for (size_t i = 0; i < count; i++)
		printf(json ? "%s\"%s\":%llu" : "%s %s %llu", i ? "," : "", names[i], (unsigned long long)counts[i]);
	printf(json ? "}" : "");
}

static void print_stats(const struct leat_shop_stats *stats, bool json)
{
	static const char *const topics[] = { "clicks", "purchases", "feedback" }, *const types[] = { "VIEW", "CART", "FAVORITE", "SEARCH", "PURCHASE" };
	static const char *const kinds[] = { "IMPRESSION", "CLICK", "CONVERSION" };
	const char *dirt[LEAT_SHOP_DIRTS - 1];
	for (int i = 1; i < LEAT_SHOP_DIRTS; i++)
		dirt[i - 1] = leat_shop_dirt_name((enum leat_shop_dirt)i);
	printf(json ? "{\"events\":%llu,\"late\":%llu,\"copies\":%llu,\"sessions\":%llu,\"anonymous_sessions\":%llu,\"sign_ins\":%llu,\"decisions\":%llu"
		    : "events: %llu, late %llu, copies %llu; sessions: %llu (anonymous %llu, signed in %llu); decisions answered: %llu",
	       (unsigned long long)stats->events, (unsigned long long)stats->late, (unsigned long long)stats->copies, (unsigned long long)stats->sessions,
	       (unsigned long long)stats->anonymous_sessions, (unsigned long long)stats->sign_ins, (unsigned long long)stats->decisions);
	print_counts("topics", topics, stats->topics, LEAT_COUNT_OF(topics), json);
	print_counts("types", types, stats->types, LEAT_COUNT_OF(types), json);
	print_counts("feedback", kinds, stats->kinds, LEAT_COUNT_OF(kinds), json);
	print_counts("dirt", dirt, stats->dirt + 1, LEAT_COUNT_OF(dirt), json);
	printf(json ? "}\n" : "\n");
	fflush(stdout);
}

static struct leat_shop_run shop_of(const struct generate *generate, const char *schemas)
{
	struct leat_shop_run run = { .shop = leat_shop_defaults(), .topics = { generate->prefix, schemas, (int32_t)generate->partitions, generate->rate <= 0 }, .paced = generate->rate > 0, .react = generate->react,
				     .events = (uint64_t)generate->events, .seconds = generate->seconds, .stop = leat_interrupted };
	run.shop.users = (int64_t)generate->users;
	run.shop.items = (int64_t)generate->items;
	run.shop.ads = (int64_t)generate->ads;
	run.shop.seed = (uint64_t)generate->seed;
	run.shop.rate = run.paced ? generate->rate : virtual_rate;
	if (generate->start >= 0)
		run.shop.start_ms = (int64_t)generate->start;
	return run;
}

static int run_shop(const struct generate *generate, struct leat_fault *fault)
{
	struct leat_registry *registry = NULL;
	struct leat_shop_stats stats;
	char *schemas;
	LEAT_TRY(leat_tool_schemas(generate->schemas, &schemas, fault));
	struct leat_shop_run run = shop_of(generate, schemas);
	int rc = leat_tool_registry(&generate->where, schemas, &registry, fault);
	if (rc >= 0)
		rc = leat_shop_run(generate->transport, registry, &run, &stats, fault);
	if (rc >= 0)
		print_stats(&stats, generate->json);
	leat_registry_close(registry);
	leat_free(schemas);
	return rc;
}

/* ---- the reference workload ---- */

struct rp1_batch {
	struct leat_record records[RP1_BATCH];
	char keys[RP1_BATCH][24];
	uint8_t bodies[RP1_BATCH][320];
	size_t count;
};

static void add(struct rp1_batch *batch, const struct leat_rp1 *rp1)
{
	size_t i = batch->count++;
	memcpy(batch->keys[i], rp1->key, sizeof rp1->key);
	memcpy(batch->bodies[i], rp1->body, rp1->length);
	batch->records[i] = (struct leat_record){ .timestamp_ms = -1, .key = leat_text(batch->keys[i]), .value = leat_bytes(batch->bodies[i], rp1->length) };
}

/* How many may be made by now. */
static uint64_t allowed(const struct generate *generate, int64_t started_us)
{
	uint64_t all = (uint64_t)generate->rp1;
	if (generate->rate <= 0)
		return all;
	return (uint64_t)LEAT_MIN((double)all, (double)(leat_clock_mono_us(NULL) - started_us) / 1e6 * generate->rate + 1);
}

static int send_rp1(const struct generate *generate, struct leat_session *session, struct rp1_batch *batch, struct leat_rp1 *rp1, struct leat_fault *fault)
{
	const struct leat_transport_ops *ops = generate->transport->ops;
	int64_t started_us = leat_clock_mono_us(NULL);
	while (rp1->made < (uint64_t)generate->rp1 && !leat_interrupted(NULL)) {
		uint64_t until = allowed(generate, started_us);
		for (batch->count = 0; batch->count < RP1_BATCH && rp1->made < until; add(batch, rp1))
			leat_rp1_next(rp1, generate->rate > 0 ? leat_clock_wall_ms(NULL) : -1);
		if (batch->count)
			LEAT_TRY(ops->session_send_many(session, generate->topic, -1, batch->records, batch->count, 0, fault));
		if (batch->count < RP1_BATCH && generate->rate > 0) {
			LEAT_TRY(ops->session_poll(session, 0, fault));
			leat_tool_nap(200);
		}
	}
	return ops->session_commit(session, NULL, 0, "", fault);
}

static int run_rp1(const struct generate *generate, struct leat_fault *fault)
{
	const struct leat_transport_ops *ops = generate->transport->ops;
	struct leat_session *session = NULL;
	struct leat_rp1 rp1;
	struct rp1_batch *batch = leat_calloc(1, sizeof *batch);
	int64_t started_us = leat_clock_mono_us(NULL);
	int rc = batch ? leat_tool_topic(generate->transport, generate->topic, (int32_t)generate->partitions, false, fault) : leat_fail(fault, LEAT_ENOMEM, "out of memory");
	if (rc >= 0)
		rc = ops->session_open(generate->transport, &(struct leat_session_config){ .worker = -1, .tasks = 1, .memory = RP1_MEMORY }, &session, fault);
	leat_rp1_init(&rp1, (int64_t)generate->users, (int64_t)generate->items);
	if (rc >= 0)
		rc = send_rp1(generate, session, batch, &rp1, fault);
	double seconds = (double)(leat_clock_mono_us(NULL) - started_us) / 1e6;
	if (session)
		ops->session_close(session, rc >= 0);
	double each_second = (double)rp1.made / LEAT_MAX(seconds, 1e-6);
	if (rc >= 0 && generate->json)
		printf("{\"events\":%llu,\"seconds\":%.3f,\"rate\":%.0f}\n", (unsigned long long)rp1.made, seconds, each_second);
	else if (rc >= 0)
		printf("%llu event%s in %.2f s, %.0f/s\n", (unsigned long long)rp1.made, leat_s(rp1.made), seconds, each_second);
	leat_free(batch);
	return rc;
}

/* ---- the verb ---- */

static int check(const struct generate *generate)
{
	const struct leat_range ranges[] = {
		{ "--users", generate->users, 1, 1e6, true }, { "--items", generate->items, 1, 1e6, true }, { "--ads", generate->ads, 0, 1e6, true }, { "--rate", generate->rate, 0, 1e7, false },
		{ "--events", generate->events, 1, 1e15, true }, { "--seconds", generate->seconds, 0.001, 1e9, false }, { "--seed", generate->seed, 0, 9e15, true },
		{ "--partitions", generate->partitions, 1, 1024, true }, { "--start", generate->start, 0, 4102444800000, true }, { "--rp1", generate->rp1, 1, 1e12, true },
	};
	int status = leat_ranges_check(&leat_verb_generate, ranges, LEAT_COUNT_OF(ranges));
	if (status)
		return status;
	if (generate->start >= 0 && !(generate->rate <= 0) && isnan(generate->rp1))
		return leat_usage(&leat_verb_generate, "--start is for --rate 0: with a rate events happen now");
	return LEAT_EXIT_OK;
}

static void set_defaults(struct generate *generate)
{
	bool rp1 = generate->rp1 > 0;
	generate->users = leat_number_or(generate->users, rp1 ? 200000 : 5000);
	generate->items = leat_number_or(generate->items, rp1 ? 20000 : 1000);
	generate->rate = leat_number_or(generate->rate, rp1 ? 0 : 2000);
	generate->events = leat_number_or(generate->events, 0);
	generate->seconds = leat_number_or(generate->seconds, 0);
}

static int verb(int count, char **arguments)
{
	struct generate generate = { .prefix = "shop.", .topic = "rp-events", .users = NAN, .items = NAN, .ads = 200, .rate = NAN, .events = NAN, .seconds = NAN, .seed = 1, .partitions = 4, .start = NAN, .rp1 = NAN };
	const struct leat_flag flags[] = {
		{ "--embedded", LEAT_FLAG_TEXT, &generate.where.embedded, "FOLDER: topics in this folder, also while a pipeline runs on it" },
		{ "--brokers", LEAT_FLAG_TEXT, &generate.where.brokers, "HOST:PORT[,...]: Kafka" },
		{ "--config", LEAT_FLAG_TEXT, &generate.where.config, leat_tool_config_help },
		{ "--topic-prefix", LEAT_FLAG_TEXT, &generate.prefix, "TEXT: what stands before clicks, purchases, feedback, ads, decisions (shop.)" },
		{ "--users", LEAT_FLAG_NUMBER, &generate.users, "N: visitors (5000; with --rp1 200000)" },
		{ "--items", LEAT_FLAG_NUMBER, &generate.items, "N: things to buy (1000; with --rp1 20000)" },
		{ "--ads", LEAT_FLAG_NUMBER, &generate.ads, "N: advertisements (200)" },
		{ "--rate", LEAT_FLAG_NUMBER, &generate.rate, "N: events per second, on average (2000); 0: as fast as possible, events on a clock of their own" },
		{ "--events", LEAT_FLAG_NUMBER, &generate.events, "N: end after so many events" },
		{ "--seconds", LEAT_FLAG_NUMBER, &generate.seconds, "N: end after so long" },
		{ "--seed", LEAT_FLAG_NUMBER, &generate.seed, "N: the same seed is the same shop (1)" },
		{ "--react", LEAT_FLAG_SWITCH, &generate.react, "answer decisions with impressions and clicks" },
		{ "--partitions", LEAT_FLAG_NUMBER, &generate.partitions, "N: of topics that are not there yet (4)" },
		{ "--registry", LEAT_FLAG_TEXT, &generate.where.registry, "URL: Schema Registry; without it the ids are those of ids.txt" },
		{ "--schemas", LEAT_FLAG_TEXT, &generate.schemas, "FOLDER: the shop's schemas (./schemas, else the installed ones)" },
		{ "--start", LEAT_FLAG_NUMBER, &generate.start, "MS: unix time of the first event with --rate 0 (1760000000000)" },
		{ "--json", LEAT_FLAG_SWITCH, &generate.json, "the closing line as JSON" },
		{ "--rp1", LEAT_FLAG_NUMBER, &generate.rp1, "N: instead of the shop N events of the benchmark's reference workload, as fast as possible unless --rate says otherwise" },
		{ "--topic", LEAT_FLAG_TEXT, &generate.topic, "TOPIC: where they go (rp-events)" },
	};
	struct leat_fault fault = { 0 };
	struct leat_storage *storage;
	int left = leat_flags_parse(&leat_verb_generate, flags, LEAT_COUNT_OF(flags), count, arguments);
	if (left < 0)
		return LEAT_EXIT_USAGE;
	if (left > 0)
		return leat_usage(&leat_verb_generate, "'%s' is one too many", arguments[0]);
	int status = check(&generate);
	set_defaults(&generate);
	if (status)
		return status;
	leat_catch_signals();
	if ((status = leat_tool_transport(&leat_verb_generate, &generate.where, &storage, &generate.transport)))
		goto out;
	int rc = generate.rp1 > 0 ? run_rp1(&generate, &fault) : run_shop(&generate, &fault);
	leat_tool_close(generate.transport, storage);
	status = rc < 0 ? leat_failed(&fault) : LEAT_EXIT_OK;
out:
	leat_pipeline_free(generate.where.file);
	return status;
}

const struct leat_verb leat_verb_generate = {
	"generate", "(--brokers HOST:PORT | --config FILE | --embedded FOLDER) [options]", "a simulated shop: clicks, purchases, ads, answers to decisions", verb,
	"Some events are late, some come twice, some are broken; the closing line says how many of each. Ctrl-C ends it."
};
