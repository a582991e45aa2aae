/* dedupe - lets the first event of each id through: among the last n ids of a key, or within a time. */
#include "stream/operator.h"

#include <string.h>

#define LAST_MAX 4096

enum { SEEN };
enum { UNIQUE, DUPLICATE };
enum { UNIQUES, DUPLICATES };

/* The entry with `last`: a ring. Slots that were never written are 0, which no id is. */
struct ring {
	uint64_t next;
	uint64_t ids[];
};
/* The entry with `window`. */
struct sighting {
	int64_t first_ms;
};

struct dedupe {
	struct leat_field_ref key;
	int64_t last, window_ms;
};

/* Without a way out in between, so that the compiler can compare several at a time. */
static bool ring_has(const struct ring *ring, int64_t last, uint64_t id)
{
	bool found = false;
	for (int64_t i = 0; i < last; i++)
		found |= ring->ids[i] == id;
	return found;
}

static bool add_to_ring(struct leat_task *task, const struct dedupe *dedupe, const struct leat_batch *in, size_t row)
{
	uint64_t id = in->id[row] ? in->id[row] : 1;
	if (ring_has(leat_entry(task, SEEN, row), dedupe->last, id))
		return false;
	struct ring *ring = leat_entry_write(task, SEEN, row);
	ring->ids[ring->next] = id;
	ring->next = ring->next + 1 < (uint64_t)dedupe->last ? ring->next + 1 : 0;
	return true;
}

/*
 * An id counts as seen until its window has passed for the event and for the watermark: by then the engine may have swept the entry away,
 * and what comes late must not hang on whether it has.
 */
static bool add_sighting(struct leat_task *task, const struct dedupe *dedupe, const struct leat_batch *in, size_t row)
{
	const struct sighting *seen = leat_entry(task, SEEN, row);
	int64_t at_ms = in->time_ms[row], now_ms = in->watermark_ms[row] > at_ms ? in->watermark_ms[row] : at_ms, end_ms;
	if (__builtin_add_overflow(seen->first_ms, dedupe->window_ms, &end_ms))
		end_ms = INT64_MAX;
	if (leat_entry_known(task, SEEN, row) && now_ms < end_ms)
		return false;
	struct sighting *first = leat_entry_write(task, SEEN, row);
	first->first_ms = at_ms;
	return true;
}

static int dedupe_process(struct leat_task *task, void *self, const struct leat_batch *in)
{
	const struct dedupe *dedupe = self;
	uint64_t uniques = 0;
	for (size_t i = 0; i < in->count; i++) {
		size_t row = in->row[i];
		bool added = dedupe->last ? add_to_ring(task, dedupe, in, row) : add_sighting(task, dedupe, in, row);
		uniques += added;
		leat_pass(task, added ? UNIQUE : DUPLICATE, row);
	}
	leat_count(task, UNIQUES, uniques);
	leat_count(task, DUPLICATES, in->count - uniques);
	return 0;
}

/* A ring of another length, from before `last` was changed: the newest ids stay. */
static int dedupe_upgrade(const void *self, void *entry, const void *old, size_t old_size, uint16_t version)
{
	const struct dedupe *dedupe = self;
	struct ring *ring = entry;
	(void)version;
	if (!dedupe->last || old_size < sizeof *ring + sizeof *ring->ids || (old_size - sizeof *ring) % sizeof *ring->ids)
		return LEAT_EFOREIGN;
	size_t count = (old_size - sizeof *ring) / sizeof *ring->ids, kept = 0;
	uint64_t ids[LAST_MAX], next;
	if (count > LAST_MAX)
		return LEAT_EFOREIGN;
	memcpy(&next, old, sizeof next);
	memcpy(ids, (const char *)old + sizeof next, count * sizeof *ids);
	if (next >= count)
		return LEAT_EFOREIGN;
	for (size_t i = 0; i < count && kept < (size_t)dedupe->last; i++) {
		uint64_t id = ids[(next + count - 1 - i) % count];
		if (id)
			ring->ids[(size_t)dedupe->last - ++kept] = id;
	}
	return 0;
}

static int dedupe_plan(struct leat_plan *plan, void *self)
{
	struct dedupe *dedupe = self;
	if (!dedupe->last == !dedupe->window_ms)
		return leat_plan_fail(plan, dedupe->last ? "window" : NULL, "give either last (a number of ids) or window (a time)");
	if (dedupe->window_ms && dedupe->key.slot < 0)
		return leat_plan_fail(plan, "window", "needs key, the field that identifies an event");
	leat_plan_table(plan, SEEN, LEAT_KEYED, dedupe->last ? sizeof(struct ring) + (size_t)dedupe->last * sizeof(uint64_t) : sizeof(struct sighting));
	return 0;
}

#define OPTION(member) offsetof(struct dedupe, member)
const struct leat_operator operator_dedupe = {
	.abi = LEAT_OPERATOR_ABI,
	.name = "dedupe",
	.help = "Lets the first event of each id through: among the last n ids of a key, or within a time.",
	.outputs = (const struct leat_output[]){
		[UNIQUE] = { .name = "unique", .help = "The first event of each id." },
		[DUPLICATE] = { .name = "duplicate", .help = "Events whose id was seen before." },
		{ 0 },
	},
	.counters = (const char *const[]){ [UNIQUES] = "unique", [DUPLICATES] = "duplicate", NULL },
	.options = (const struct leat_option[]){
		{ "last", LEAT_OPTION_INT, OPTION(last), "0", .max = LAST_MAX,
		  .help = "The newest so many ids (the source's id, else none is ever equal) are remembered per key, for good; a duplicate does not renew its id." },
		{ "window", LEAT_OPTION_DURATION, OPTION(window_ms), "0", .meaning = LEAT_MEANS_ON, .max = 3.2e11,
		  .help = "Instead of last: an event is a duplicate when one with the same key came before and its time was less than this earlier; a duplicate does not prolong it." },
		{ "key", LEAT_OPTION_FIELD, OPTION(key), .meaning = LEAT_MEANS_VALUE, .optional = true, .types = LEAT_TYPE_BIT(LEAT_STRING) | LEAT_TYPE_BIT(LEAT_INT) | LEAT_TYPE_BIT(LEAT_BYTES),
		  .help = "With last: the field by whose value ids are grouped; default: the message key. With window: the field that identifies an event. Copies must share their message key in either case." },
		{ 0 },
	},
	.tables = (const struct leat_table[]){
		[SEEN] = { .name = "seen", .kind = LEAT_KEYED, .version = 1, .key_option = "key", .ttl_option = "window", .upgrade = dedupe_upgrade, .help = "The last ids of a key, or when an id was first seen." },
		{ 0 },
	},
	.self_size = sizeof(struct dedupe),
	.plan = dedupe_plan,
	.process = dedupe_process,
};
