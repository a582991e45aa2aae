/*
 * floor: the reference workload done by hand in one file, as a measure of what the machine allows. It leaves out what an engine owes its users: checks of what arrives,
 * group membership, restore, eviction; and it writes RocksDB before Kafka has committed.
 *   floor broker= in= out= changelog= app= dir= [mode=exact|loose] [commit_ms=1000] [linger_ms=20] [store=1] [log=1] [produce=1] [items=partition|process]
 * exact: every commit_ms all changed users go to RocksDB (one batch, WAL on, no sync) and to the changelog; decisions, changelog and offsets are one transaction.
 * loose: users in memory only, decisions at least once (flush, then offsets). store=0, log=0, produce=0 leave out the store, the changelog, the output: what each costs.
 * One thread computes; librdkafka has its own. SIGTERM ends it in order. Compiled with -O3 -march=x86-64-v3 -ffast-math.
 */
#include <librdkafka/rdkafka.h>
#include <math.h>
#include <rocksdb/c.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { ADS = 256, RANK = 32, CATEGORIES = 40, RING = 16, BATCH = 8192, GROUP = 16, PARTITIONS_MAX = 64, ITEMS = 1 << 17, USERS = 1 << 19, RECORD_MAX = 128 };
#define STORED 476                       /* bytes of a user in store and changelog, the same in every system */

struct user {
	uint64_t ring[RING];
	int32_t next, partition;
	int64_t events, kinds[3], last_ts;
	double spend, activity;
	float interests[CATEGORIES], factors[RANK];
	int64_t number;
	uint32_t epoch, used;                /* of the commit that it was changed for */
};
_Static_assert(offsetof(struct user, number) >= STORED, "what is stored lies before the number");
struct event {
	const uint8_t *id;
	int64_t id_length, user, item, type, ts, category;
	uint64_t hash;
	double price;
	struct user *owner;
};
struct items {
	float factors[ITEMS][RANK];
	uint8_t known[ITEMS];
};
struct floor {
	int exact, store, log, produce, partitions;
	double commit_s, committed_at;
	rd_kafka_t *consumer, *producer;
	rd_kafka_queue_t *queue;
	rd_kafka_topic_t *out, *changelog;
	rocksdb_t *db;
	rocksdb_writeoptions_t *write_options;
	const char *in;
	int64_t offsets[PARTITIONS_MAX];
	struct items *items[PARTITIONS_MAX];
	struct user *users, **dirty;
	uint64_t dirty_count;
	uint32_t epoch;
	int pending;
	uint64_t events, decisions, commits, dirty_total;
};

static float ads[RANK][ADS] __attribute__((aligned(64)));
static volatile sig_atomic_t stopping;

static void on_signal(int signal)
{
	(void)signal;
	stopping = 1;
}

static double now(void)
{
	struct timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static _Noreturn void die(const char *what, const char *why)
{
	fprintf(stderr, "%s: %s\n", what, why);
	exit(1);
}

static void check(const char *what, rd_kafka_error_t *error)
{
	if (error)
		die(what, rd_kafka_error_string(error));
}

static const char *option(int argc, char **argv, const char *name, const char *otherwise)
{
	size_t length = strlen(name);
	for (int i = 1; i < argc; i++)
		if (strncmp(argv[i], name, length) == 0 && argv[i][length] == '=')
			return argv[i] + length + 1;
	return otherwise;
}

/* ---- start values ---- */

static uint64_t mix(uint64_t z)
{
	z += 0x9E3779B97F4A7C15u;
	z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
	z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
	return z ^ (z >> 31);
}

static float start_value(uint64_t id, uint64_t k)
{
	return ((float)(mix(id * 64 + k) >> 40) * (1.f / (1 << 24)) - .5f) * .1f;
}

static struct user *find_user(struct user *users, int64_t number)
{
	uint64_t at = mix((uint64_t)number) & (USERS - 1);
	while (users[at].used && users[at].number != number)
		at = (at + 1) & (USERS - 1);
	struct user *user = &users[at];
	if (!user->used) {
		user->used = 1;
		user->number = number;
		for (uint64_t k = 0; k < RANK; k++)
			user->factors[k] = start_value((uint64_t)number, k);
	}
	return user;
}

/* ---- Avro ---- */

static inline const uint8_t *read_long(const uint8_t *at, int64_t *value)
{
	uint64_t bits = 0;
	int shift = 0;
	for (; *at & 128; shift += 7)
		bits |= (uint64_t)(*at++ & 127) << shift;
	bits |= (uint64_t)*at++ << shift;
	*value = (int64_t)(bits >> 1) ^ -(int64_t)(bits & 1);
	return at;
}

static inline uint8_t *write_long(uint8_t *at, int64_t value)
{
	uint64_t bits = ((uint64_t)value << 1) ^ (uint64_t)(value >> 63);
	for (; bits > 127; bits >>= 7)
		*at++ = (uint8_t)(bits | 128);
	*at++ = (uint8_t)bits;
	return at;
}

static void decode(const uint8_t *at, struct event *event)
{
	int64_t length, branch;
	uint64_t hash = 14695981039346656037u;
	at = read_long(at + 5, &length);
	event->id = at;
	event->id_length = length;
	for (int64_t i = 0; i < length; i++)
		hash = (hash ^ at[i]) * 1099511628211u;
	event->hash = hash;
	at = read_long(at + length, &event->user);
	at = read_long(at, &event->item);
	at = read_long(at, &event->type);
	at = read_long(at, &event->ts);
	at = read_long(at, &branch);
	event->price = 0;
	if (branch) {
		memcpy(&event->price, at, sizeof event->price);
		at += sizeof event->price;
	}
	at = read_long(at, &event->category);
	at = read_long(at, &length);         /* channel and url are not used, but a decoder has passed over them */
	at = read_long(at + length, &length);
}

static uint8_t *encode(uint8_t *at, const struct event *event, int64_t ad, float score)
{
	memcpy(at, "\0\0\0\0\2", 5);
	at = write_long(at + 5, event->id_length);
	memcpy(at, event->id, (size_t)event->id_length);
	at = write_long(at + event->id_length, event->user);
	at = write_long(at, ad);
	memcpy(at, &score, sizeof score);
	return write_long(at + sizeof score, event->ts);
}

/* ---- the rules ---- */

static int is_duplicate(struct user *user, uint64_t hash)
{
	int found = 0;
	for (int i = 0; i < RING; i++)
		found |= user->ring[i] == hash;
	if (!found)
		user->ring[user->next++ & (RING - 1)] = hash;
	return found;
}

static void update_profile(struct user *user, const struct event *event)
{
	int64_t passed = event->ts - user->last_ts;
	if (passed > 0) {
		float decay = (float)exp(-(double)passed * (M_LN2 / 3.6e6));
		user->activity *= decay;
		for (int c = 0; c < CATEGORIES; c++)
			user->interests[c] *= decay;
		user->last_ts = event->ts;
	}
	user->activity += 1;
	user->interests[event->category] += 1;
	user->events++;
	user->kinds[event->type]++;
	user->spend += event->price;
}

static void learn(struct user *user, struct items *items, const struct event *event)
{
	float *p = user->factors, *q = items->factors[event->item], dot = 0;
	if (!items->known[event->item]) {
		items->known[event->item] = 1;
		for (uint64_t k = 0; k < RANK; k++)
			q[k] = start_value((uint64_t)event->item + 0x517CC1B727220A95u, k);
	}
	for (int k = 0; k < RANK; k++)
		dot += p[k] * q[k];
	float pull = (event->type == 0 ? 1.f : event->type == 1 ? 3.f : 5.f) * (1 - dot);
	for (int k = 0; k < RANK; k++) {
		float a = p[k], b = q[k];
		p[k] = a + .05f * (pull * b - .01f * a);
		q[k] = b + .05f * (pull * a - .01f * b);
	}
}

/* A plain loop over the ads, eight ranks at a time, beat cblas_sgemv per event by 0.4 µs. */
static int choose(const struct user *user, float *best_score)
{
	float scores[ADS] __attribute__((aligned(64)));
	const float *p = user->factors;
	for (int a = 0; a < 240; a++)
		scores[a] = .1f * user->interests[a % CATEGORIES];
	for (int a = 240; a < ADS; a++)
		scores[a] = .1f * user->interests[a - 240];
	for (int k = 0; k < RANK; k += 8)
		for (int a = 0; a < ADS; a++)
			scores[a] += p[k] * ads[k][a] + p[k + 1] * ads[k + 1][a] + p[k + 2] * ads[k + 2][a] + p[k + 3] * ads[k + 3][a] +
			             p[k + 4] * ads[k + 4][a] + p[k + 5] * ads[k + 5][a] + p[k + 6] * ads[k + 6][a] + p[k + 7] * ads[k + 7][a];
	float most = scores[0];
	for (int a = 1; a < ADS; a++)
		most = scores[a] > most ? scores[a] : most;
	int best = 0;
	while (scores[best] < most)
		best++;
	*best_score = most;
	return best;
}

/* ---- a batch ---- */

/* Users lie all over memory: all of a group's are asked for before the first is needed. */
static void fetch_group(struct floor *floor, rd_kafka_message_t **messages, int count, struct event *events)
{
	for (int i = 0; i < count; i++) {
		if (messages[i]->err)
			continue;
		decode(messages[i]->payload, &events[i]);
		const char *home = (const char *)&floor->users[mix((uint64_t)events[i].user) & (USERS - 1)];
		__builtin_prefetch(home);
		__builtin_prefetch(home + 448);
	}
	for (int i = 0; i < count; i++) {
		if (messages[i]->err)
			continue;
		events[i].owner = find_user(floor->users, events[i].user);
		for (int at = 64; at < 448; at += 64)
			__builtin_prefetch((const char *)events[i].owner + at);
	}
}

static uint8_t *decide(struct floor *floor, const rd_kafka_message_t *message, const struct event *event, uint8_t *out)
{
	struct user *user = event->owner;
	float score;
	if (is_duplicate(user, event->hash))
		return out;
	update_profile(user, event);
	learn(user, floor->items[message->partition], event);
	int ad = choose(user, &score);
	if (floor->exact && user->epoch != floor->epoch) {
		user->epoch = floor->epoch;
		user->partition = message->partition;
		floor->dirty[floor->dirty_count++] = user;
	}
	floor->decisions++;
	return encode(out, event, ad, score);
}

static int process(struct floor *floor, rd_kafka_message_t **messages, int count, rd_kafka_message_t *out)
{
	static uint8_t bytes[BATCH * RECORD_MAX];
	static struct event events[GROUP];
	uint8_t *at = bytes;
	int produced = 0;
	for (int first = 0; first < count; first += GROUP) {
		int group = count - first < GROUP ? count - first : GROUP;
		fetch_group(floor, messages + first, group, events);
		for (int i = 0; i < group; i++) {
			rd_kafka_message_t *message = messages[first + i];
			if (message->err)
				continue;
			floor->events++;
			floor->offsets[message->partition] = message->offset + 1;
			uint8_t *end = decide(floor, message, &events[i], at);
			if (end == at)
				continue;
			out[produced++] = (rd_kafka_message_t){ .payload = at, .len = (size_t)(end - at), .key = message->key, .key_len = message->key_len, .partition = message->partition };
			at = end;
		}
	}
	return produced;
}

static void produce(struct floor *floor, rd_kafka_message_t *messages, int count)
{
	int from = 0;
	while (from < count) {
		int sent = rd_kafka_produce_batch(floor->out, RD_KAFKA_PARTITION_UA, RD_KAFKA_MSG_F_COPY | RD_KAFKA_MSG_F_PARTITION, messages + from, count - from);
		if (sent == count - from)
			return;
		int kept = from;
		for (int i = from; i < count; i++) {
			if (!messages[i].err)
				continue;
			if (messages[i].err != RD_KAFKA_RESP_ERR__QUEUE_FULL)
				die("produce", rd_kafka_err2str(messages[i].err));
			messages[i].err = 0;
			messages[kept++] = messages[i];
		}
		count = kept;
		rd_kafka_poll(floor->producer, 5);
	}
}

/* ---- commits ---- */

static void write_dirty(struct floor *floor)
{
	rocksdb_writebatch_t *batch = rocksdb_writebatch_create();
	char *error = NULL;
	for (uint64_t i = 0; i < floor->dirty_count; i++) {
		struct user *user = floor->dirty[i];
		if (floor->db)
			rocksdb_writebatch_put(batch, (const char *)&user->number, sizeof user->number, (const char *)user, STORED);
		while (floor->log && rd_kafka_produce(floor->changelog, user->partition, RD_KAFKA_MSG_F_COPY, user, STORED, &user->number, sizeof user->number, NULL) == -1)
			rd_kafka_poll(floor->producer, 5);
	}
	if (floor->db)
		rocksdb_write(floor->db, floor->write_options, batch, &error);
	if (error)
		die("rocksdb", error);
	rocksdb_writebatch_destroy(batch);
	floor->dirty_total += floor->dirty_count;
	floor->dirty_count = 0;
	floor->epoch++;
}

static void commit(struct floor *floor)
{
	rd_kafka_topic_partition_list_t *offsets = rd_kafka_topic_partition_list_new(floor->partitions);
	for (int i = 0; i < floor->partitions; i++)
		if (floor->offsets[i])
			rd_kafka_topic_partition_list_add(offsets, floor->in, i)->offset = floor->offsets[i];
	if (floor->exact) {
		rd_kafka_consumer_group_metadata_t *group = rd_kafka_consumer_group_metadata(floor->consumer);
		write_dirty(floor);
		check("offsets", rd_kafka_send_offsets_to_transaction(floor->producer, offsets, group, 10000));
		check("commit", rd_kafka_commit_transaction(floor->producer, 60000));
		check("begin", rd_kafka_begin_transaction(floor->producer));
		rd_kafka_consumer_group_metadata_destroy(group);
	} else {
		rd_kafka_flush(floor->producer, 60000);
		rd_kafka_commit(floor->consumer, offsets, 1);
	}
	rd_kafka_topic_partition_list_destroy(offsets);
	floor->commits++;
	floor->pending = 0;
	floor->committed_at = now();
}

/* ---- opening and running ---- */

static rd_kafka_t *client(rd_kafka_type_t type, const char *const (*settings)[2])
{
	char why[512];
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	for (; (*settings)[0]; settings++)
		if (rd_kafka_conf_set(conf, (*settings)[0], (*settings)[1], why, sizeof why) != RD_KAFKA_CONF_OK)
			die((*settings)[0], why);
	rd_kafka_t *made = rd_kafka_new(type, conf, why, sizeof why);
	if (!made)
		die("client", why);
	return made;
}

static void open_consumer(struct floor *floor, const char *broker, const char *app)
{
	const char *const settings[][2] = {
		{ "bootstrap.servers", broker }, { "group.id", app }, { "enable.auto.commit", "false" }, { "isolation.level", "read_committed" }, { "check.crcs", "false" },
		{ "fetch.message.max.bytes", "4194304" }, { "fetch.wait.max.ms", "5" }, { "fetch.error.backoff.ms", "5" },
		/* librdkafka before 2.2 stops fetching for a full second once this many wait: it costs memory, and speed otherwise. */
		{ "queued.min.messages", "10000000" }, { "queued.max.messages.kbytes", "2000000" }, { NULL, NULL },
	};
	const struct rd_kafka_metadata *metadata;
	floor->consumer = client(RD_KAFKA_CONSUMER, settings);
	rd_kafka_poll_set_consumer(floor->consumer);
	if (rd_kafka_metadata(floor->consumer, 0, rd_kafka_topic_new(floor->consumer, floor->in, NULL), &metadata, 10000) || metadata->topics[0].partition_cnt > PARTITIONS_MAX)
		die(floor->in, "no metadata");
	floor->partitions = metadata->topics[0].partition_cnt;
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(floor->partitions);
	for (int i = 0; i < floor->partitions; i++)
		rd_kafka_topic_partition_list_add(list, floor->in, i)->offset = RD_KAFKA_OFFSET_BEGINNING;
	rd_kafka_assign(floor->consumer, list);
	rd_kafka_topic_partition_list_destroy(list);
	rd_kafka_metadata_destroy(metadata);
	floor->queue = rd_kafka_queue_get_consumer(floor->consumer);
}

static void open_producer(struct floor *floor, const char *broker, const char *app, int argc, char **argv)
{
	const char *const settings[][2] = {
		{ "bootstrap.servers", broker }, { "linger.ms", option(argc, argv, "linger_ms", "20") }, { "compression.type", "lz4" }, { "batch.num.messages", "100000" },
		{ "batch.size", "1000000" }, { "queue.buffering.max.messages", "4000000" }, { "queue.buffering.max.kbytes", "1048576" }, { "acks", "all" },
		{ floor->exact ? "transactional.id" : NULL, app }, { NULL, NULL },
	};
	floor->producer = client(RD_KAFKA_PRODUCER, settings);
	floor->out = rd_kafka_topic_new(floor->producer, option(argc, argv, "out", "rp-dec"), NULL);
	if (!floor->exact)
		return;
	floor->changelog = rd_kafka_topic_new(floor->producer, option(argc, argv, "changelog", "rp-changelog"), NULL);
	check("init", rd_kafka_init_transactions(floor->producer, 30000));
	check("begin", rd_kafka_begin_transaction(floor->producer));
}

static void open_store(struct floor *floor, const char *dir)
{
	char *error = NULL;
	rocksdb_options_t *options = rocksdb_options_create();
	rocksdb_options_set_create_if_missing(options, 1);
	rocksdb_options_set_write_buffer_size(options, 64 << 20);
	rocksdb_options_set_max_write_buffer_number(options, 3);
	rocksdb_options_set_compression(options, rocksdb_no_compression);
	floor->db = rocksdb_open(options, dir, &error);
	if (error)
		die(dir, error);
	floor->write_options = rocksdb_writeoptions_create();
}

static void open_tables(struct floor *floor, int by_partition)
{
	for (uint64_t a = 0; a < ADS; a++)
		for (uint64_t k = 0; k < RANK; k++)
			ads[k][a] = start_value(0xADull * 1000003 + a, k) * 10;
	floor->users = aligned_alloc(64, sizeof *floor->users * USERS);
	floor->dirty = malloc(sizeof *floor->dirty * USERS);
	if (!floor->users || !floor->dirty)
		die("floor", "no memory");
	memset(floor->users, 0, sizeof *floor->users * USERS);
	for (int i = 0; i < floor->partitions; i++)
		if (!(floor->items[i] = i == 0 || by_partition ? calloc(1, sizeof **floor->items) : floor->items[0]))
			die("floor", "no memory");
}

static void run(struct floor *floor)
{
	static rd_kafka_message_t *in[BATCH], out[BATCH];
	floor->committed_at = now();
	while (!stopping) {
		ssize_t got = rd_kafka_consume_batch_queue(floor->queue, 2, in, BATCH);
		int produced = process(floor, in, (int)(got > 0 ? got : 0), out);
		if (produced) {
			if (floor->produce)
				produce(floor, out, produced);
			floor->pending = 1;
		}
		for (ssize_t i = 0; i < got; i++)
			rd_kafka_message_destroy(in[i]);
		if (floor->pending && now() - floor->committed_at >= floor->commit_s)
			commit(floor);
		else
			rd_kafka_poll(floor->producer, 0);
	}
	if (floor->pending)
		commit(floor);
}

int main(int argc, char **argv)
{
	static struct floor floor = { .epoch = 1 };
	const char *broker = option(argc, argv, "broker", "127.0.0.1:9092"), *app = option(argc, argv, "app", "floor");
	signal(SIGTERM, on_signal);
	signal(SIGINT, on_signal);
	floor.exact = strcmp(option(argc, argv, "mode", "exact"), "exact") == 0;
	floor.store = strcmp(option(argc, argv, "store", "1"), "0") != 0;
	floor.log = strcmp(option(argc, argv, "log", "1"), "0") != 0;
	floor.produce = strcmp(option(argc, argv, "produce", "1"), "0") != 0;
	floor.commit_s = strtod(option(argc, argv, "commit_ms", "1000"), NULL) / 1e3;
	floor.in = option(argc, argv, "in", "rp-events");
	open_consumer(&floor, broker, app);
	open_tables(&floor, strcmp(option(argc, argv, "items", "partition"), "partition") == 0);
	open_producer(&floor, broker, app, argc, argv);
	if (floor.exact && floor.store)
		open_store(&floor, option(argc, argv, "dir", "floor-db"));
	run(&floor);
	if (floor.db)
		rocksdb_close(floor.db);
	printf("%llu events, %llu decisions, %llu commits, %llu users written\n", (unsigned long long)floor.events, (unsigned long long)floor.decisions, (unsigned long long)floor.commits,
	       (unsigned long long)floor.dirty_total);
	fflush(stdout);
	/* What librdkafka would still free is nobody's figure. */
	_Exit(0);
}
