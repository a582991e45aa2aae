/*
 * check: the reference of the workload, an independent program in plain arithmetic, per partition in order.
 *   check broker=HOST:PORT topic=NAME [reference=FILE] [hash=1]
 * Reads a topic of events to its end and prints one JSON line: how many events, duplicates, decisions that are due, users, and a hash over all values when asked for.
 * reference=FILE: also computes every decision and writes the chosen ads to FILE, for sink to compare with. Item factors belong to the partition.
 */
#include "bench/rp1/rp1.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ADS = 256, RANK = 32, CATEGORIES = 40, RING = 16, PARTITIONS_MAX = 64, ITEMS_MAX = 1 << 20 };

struct user {
	int64_t number, seen, last_ts;
	uint64_t ring[RING];
	float interests[CATEGORIES], factors[RANK];
};
struct item {
	int known;
	float factors[RANK];
};
struct partition {
	struct item *items;
	uint64_t events, values_hash;
};
struct check {
	uint64_t events, duplicates, bytes;
	struct user *users;                  /* by index + 1 in @slots; only as long as needed without a reference */
	uint32_t *slots;
	uint64_t user_count, user_room, slot_mask;
	struct partition partitions[PARTITIONS_MAX];
	float ads[RANK][ADS];
	FILE *reference;
};

/* ---- start values: the same in every program of the workload ---- */

static uint64_t mix(uint64_t z)
{
	z += 0x9E3779B97F4A7C15u;
	z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
	z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
	return z ^ (z >> 31);
}

static void fill(float *factors, uint64_t id, float scale)
{
	for (uint64_t k = 0; k < RANK; k++)
		factors[k] = ((float)(mix(id * 64 + k) >> 40) * (1.f / (1 << 24)) - .5f) * .1f * scale;
}

/* ---- users ---- */

static void *grown(void *memory, size_t count, size_t size)
{
	void *wider = realloc(memory, count * size);
	if (!wider)
		rp1_die("check", "no memory");
	return wider;
}

static uint32_t *slot_of(struct check *check, int64_t number)
{
	uint64_t at = mix((uint64_t)number) & check->slot_mask;
	while (check->slots[at] && check->users[check->slots[at] - 1].number != number)
		at = (at + 1) & check->slot_mask;
	return &check->slots[at];
}

static void grow(struct check *check)
{
	check->user_room = check->user_room ? check->user_room * 2 : 1 << 18;
	check->users = grown(check->users, check->user_room, sizeof *check->users);
	check->slot_mask = check->user_room * 2 - 1;
	check->slots = grown(check->slots, check->slot_mask + 1, sizeof *check->slots);
	memset(check->slots, 0, (check->slot_mask + 1) * sizeof *check->slots);
	for (uint32_t i = 0; i < check->user_count; i++)
		*slot_of(check, check->users[i].number) = i + 1;
}

static struct user *user_of(struct check *check, int64_t number)
{
	if (check->user_count == check->user_room)
		grow(check);
	uint32_t *slot = slot_of(check, number);
	if (!*slot) {
		struct user *user = &check->users[check->user_count++];
		*slot = (uint32_t)check->user_count;
		memset(user, 0, sizeof *user);
		user->number = number;
		fill(user->factors, (uint64_t)number, 1);
		return user;
	}
	return &check->users[*slot - 1];
}

/* ---- the rules ---- */

static int is_duplicate(struct user *user, uint64_t hash)
{
	for (int i = 0; i < RING; i++)
		if (user->ring[i] == hash)
			return 1;
	user->ring[user->seen++ % RING] = hash;
	return 0;
}

static void update_profile(struct user *user, const struct rp1_event *event)
{
	int64_t passed = event->ts - user->last_ts;
	if (passed > 0) {
		float decay = (float)exp(-(double)passed * (M_LN2 / 3.6e6));
		for (int c = 0; c < CATEGORIES; c++)
			user->interests[c] *= decay;
		user->last_ts = event->ts;
	}
	user->interests[event->category] += 1;
}

static void learn(struct user *user, struct item *item, const struct rp1_event *event)
{
	static const float weights[] = { [RP1_VIEW] = 1, [RP1_CART] = 3, [RP1_PURCHASE] = 5 };
	float dot = 0;
	if (!item->known) {
		item->known = 1;
		fill(item->factors, (uint64_t)event->item + 0x517CC1B727220A95u, 1);
	}
	for (int k = 0; k < RANK; k++)
		dot += user->factors[k] * item->factors[k];
	float pull = weights[event->type] * (1 - dot);
	for (int k = 0; k < RANK; k++) {
		float p = user->factors[k], q = item->factors[k];
		user->factors[k] = p + .05f * (pull * q - .01f * p);
		item->factors[k] = q + .05f * (pull * p - .01f * q);
	}
}

static int64_t choose(const struct check *check, const struct user *user)
{
	float scores[ADS];
	int best = 0;
	for (int a = 0; a < ADS; a++)
		scores[a] = .1f * user->interests[a % CATEGORIES];
	for (int k = 0; k < RANK; k++)
		for (int a = 0; a < ADS; a++)
			scores[a] += user->factors[k] * check->ads[k][a];
	for (int a = 1; a < ADS; a++)
		if (scores[a] > scores[best])
			best = a;
	return best;
}

static void fill_ads(struct check *check)
{
	float factors[RANK];
	for (int a = 0; a < ADS; a++) {
		fill(factors, 0xADull * 1000003 + (uint64_t)a, 10);
		for (int k = 0; k < RANK; k++)
			check->ads[k][a] = factors[k];
	}
}

static void decide(struct check *check, struct partition *partition, struct user *user, const struct rp1_event *event)
{
	struct rp1_choice choice = { .event = event->hash };
	if (event->item < 0 || event->item >= ITEMS_MAX)
		rp1_die("check", "an item beyond what it can hold");
	if (!partition->items)
		partition->items = calloc(ITEMS_MAX, sizeof *partition->items);
	if (!partition->items)
		rp1_die("check", "no memory");
	update_profile(user, event);
	learn(user, &partition->items[event->item], event);
	choice.ad = choose(check, user);
	if (fwrite(&choice, sizeof choice, 1, check->reference) != 1)
		rp1_die("check", "cannot write the reference");
}

static void take(struct check *check, const rd_kafka_message_t *message, int hash)
{
	struct partition *partition = &check->partitions[message->partition];
	struct rp1_event event;
	rp1_decode(message->payload, &event);
	check->events++;
	check->bytes += message->len;
	partition->events++;
	if (hash)
		partition->values_hash = rp1_hash_on(partition->values_hash, message->payload, message->len);
	struct user *user = user_of(check, event.user);
	if (is_duplicate(user, event.hash))
		check->duplicates++;
	else if (check->reference)
		decide(check, partition, user, &event);
}

static void print(const struct check *check, int partitions)
{
	printf("{\"events\":%llu,\"duplicates\":%llu,\"decisions\":%llu,\"users\":%llu,\"bytes_per_event\":%.1f,\"partitions\":[", (unsigned long long)check->events, (unsigned long long)check->duplicates,
	       (unsigned long long)(check->events - check->duplicates), (unsigned long long)check->user_count, (double)check->bytes / (double)(check->events ? check->events : 1));
	for (int i = 0; i < partitions; i++)
		printf("%s%llu", i ? "," : "", (unsigned long long)check->partitions[i].events);
	printf("],\"values_hash\":[");
	for (int i = 0; i < partitions; i++)
		printf("%s\"%016llx\"", i ? "," : "", (unsigned long long)check->partitions[i].values_hash);
	puts("]}");
}

int main(int argc, char **argv)
{
	static const char *const settings[][2] = { { "group.id", "check" }, { "enable.partition.eof", "true" }, { "queued.min.messages", "200000" }, { NULL, NULL } };
	static struct check check;
	struct rp1_reader reader;
	const char *file = rp1_option(argc, argv, "reference", NULL);
	int hash = rp1_number(argc, argv, "hash", 0) > 0, ended = 0;
	if (file && !(check.reference = fopen(file, "wb")))
		rp1_die(file, "cannot be written");
	fill_ads(&check);
	rp1_reader_open(&reader, rp1_option(argc, argv, "broker", "127.0.0.1:9092"), rp1_option(argc, argv, "topic", "rp-events"), settings);
	if (reader.partitions > PARTITIONS_MAX)
		rp1_die("check", "too many partitions");
	while (ended < reader.partitions) {
		rd_kafka_message_t *message = rd_kafka_consumer_poll(reader.client, 1000);
		if (message && message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF)
			ended++;
		else if (message && !message->err)
			take(&check, message, hash);
		if (message)
			rd_kafka_message_destroy(message);
	}
	if (check.reference && fclose(check.reference) != 0)
		rp1_die(file, "cannot be written");
	print(&check, reader.partitions);
	return 0;
}
