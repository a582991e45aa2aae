/* The owner's side of the shared tables: gathers the deltas of its keys, and at its commit merges them and publishes the rows. */
#include "stream/shared_internal.h"

#include <stdlib.h>

/* ---- gathering ---- */

static struct leat_gathered *find_gathered(struct leat_shared *shared, struct leat_shared_table *table, struct leat_bytes key)
{
	struct leat_gathered *found;
	HASH_FIND(hh, shared->gathered, key.data, key.length, found);
	if (found)
		return found;
	found = leat_calloc(1, sizeof *found + table->numbers * sizeof *found->sum + key.length);
	if (!found)
		return NULL;
	uint8_t *copy = (uint8_t *)&found->sum[table->numbers];
	memcpy(copy, key.data, key.length);
	found->table = table;
	found->key = copy;
	found->key_length = key.length;
	HASH_ADD_KEYPTR(hh, shared->gathered, found->key, found->key_length, found);
	if (found->hh.tbl)
		return found;
	leat_free(found);
	return NULL;
}

static int add_curvature(struct leat_gathered *gathered, uint32_t sender, double curvature)
{
	curvature = curvature > 0 ? curvature : 0;
	for (size_t i = 0; i < gathered->from_count; i++)
		if (gathered->from[i].sender == sender) {
			gathered->from[i].curvature += curvature;
			return 0;
		}
	if (gathered->from_count == gathered->from_capacity) {
		size_t capacity = LEAT_MAX(gathered->from_capacity * 2, (size_t)4);
		struct leat_from_sender *from = leat_realloc(gathered->from, capacity * sizeof *from);
		if (!from)
			return LEAT_ENOMEM;
		gathered->from = from;
		gathered->from_capacity = capacity;
	}
	gathered->from[gathered->from_count++] = (struct leat_from_sender){ sender, curvature };
	return 0;
}

/* The table whose delta @record is; *bad says what is wrong with it. NULL without a reason: of an operator that is no longer in the pipeline. */
static struct leat_shared_table *check(struct leat_lane *lane, const struct leat_record *record, struct leat_delta_head *head, enum leat_bad *bad)
{
	struct leat_bytes key = record->key;
	uint32_t tag;
	*bad = LEAT_BAD_SHORT_HEADER;
	if (!key.data || key.length < sizeof tag || key.length > LEAT_ROW_KEY_MAX || !record->value.data || record->value.length < sizeof *head)
		return NULL;
	memcpy(&tag, key.data, sizeof tag);
	memcpy(head, record->value.data, sizeof *head);
	*bad = LEAT_BAD_BAD_MAGIC;
	if (head->sender >= (uint32_t)lane->engine->tasks || !leat_shared_sequence_is(head->sequence) || leat_partition_of(key.data + sizeof tag, key.length - sizeof tag, lane->engine->tasks) != lane->task)
		return NULL;
	struct leat_shared_table *table = leat_shared_find(lane->shared, tag);
	if (table && record->value.length != sizeof *head + table->numbers * sizeof(int64_t))
		return NULL;
	*bad = LEAT_BAD_NONE;
	return table;
}

enum leat_bad leat_shared_receive(struct leat_lane *lane, const struct leat_record *record, int *rc)
{
	struct leat_shared *shared = lane->shared;
	struct leat_delta_head head;
	enum leat_bad bad;
	struct leat_shared_table *table = check(lane, record, &head, &bad);
	*rc = 0;
	if (bad)
		return bad;
	if (table) {
		struct leat_gathered *gathered = find_gathered(shared, table, record->key);
		if (!gathered || add_curvature(gathered, head.sender, head.curvature) < 0) {
			*rc = LEAT_ENOMEM;
			return LEAT_BAD_NONE;
		}
		for (size_t i = 0; i < table->numbers; i++) {
			int64_t step;
			memcpy(&step, record->value.data + sizeof head + i * sizeof step, sizeof step);
			gathered->sum[i] = leat_merge_plus(gathered->sum[i], step);
		}
	}
	shared->included[head.sender] = LEAT_MAX(shared->included[head.sender], (int64_t)head.sequence);
	shared->received = true;
	return LEAT_BAD_NONE;
}

void leat_owner_clear(struct leat_shared *shared)
{
	struct leat_gathered *gathered, *next;
	HASH_ITER(hh, shared->gathered, gathered, next) {
		HASH_DEL(shared->gathered, gathered);
		leat_free(gathered->from);
		leat_free(gathered);
	}
}

/* ---- merging ---- */

static int publish(struct leat_lane *lane, struct leat_bytes key, struct leat_bytes value, struct leat_fault *fault)
{
	char topic[256];
	snprintf(topic, sizeof topic, "%s.shared", lane->pipeline->name);
	const struct leat_record record = { .timestamp_ms = -1, .key = key, .value = value };
	return lane->ops->session_send(lane->session, topic, lane->task, &record, 0, fault);
}

static int by_sender(const void *a, const void *b)
{
	const struct leat_from_sender *one = a, *other = b;
	return (one->sender > other->sender) - (one->sender < other->sender);
}

/* In the order of the senders: the sum of their curvatures must not hang on whose record came first. */
static double factor_of(const struct leat_gathered *gathered)
{
	double curvature[1024];
	LEAT_ASSERT(gathered->from_count <= LEAT_COUNT_OF(curvature));
	if (gathered->table->merge != LEAT_MERGE_FACTOR || gathered->from_count < 2)
		return 1;
	qsort(gathered->from, gathered->from_count, sizeof *gathered->from, by_sender);
	for (size_t i = 0; i < gathered->from_count; i++)
		curvature[i] = gathered->from[i].curvature;
	return leat_merge_factor(curvature, gathered->from_count);
}

static int merge_row(struct leat_lane *lane, struct leat_rows *rows, struct leat_row *row, const struct leat_gathered *gathered, struct leat_fault *fault)
{
	const struct leat_shared_table *table = gathered->table;
	int64_t *numbers = (int64_t *)(void *)((uint8_t *)row + leat_rows_offset(rows, table->index));
	leat_rows_touch(rows, row, table->index, 0);
	leat_merge_apply(numbers, gathered->sum, table->numbers, factor_of(gathered));
	return publish(lane, leat_bytes(gathered->key, gathered->key_length), leat_bytes(numbers, table->numbers * sizeof *numbers), fault);
}

static int merge_some(struct leat_lane *lane, struct leat_rows *rows, struct leat_gathered *const *gathered, size_t count, struct leat_fault *fault)
{
	struct leat_bytes keys[LEAT_BATCH_MAX];
	uint32_t hashes[LEAT_BATCH_MAX];
	int64_t times[LEAT_BATCH_MAX];
	struct leat_row *found[LEAT_BATCH_MAX];
	for (size_t i = 0; i < count; i++) {
		keys[i] = leat_bytes(gathered[i]->key, gathered[i]->key_length);
		hashes[i] = leat_murmur2(keys[i].data + sizeof(uint32_t), keys[i].length - sizeof(uint32_t));
		times[i] = INT64_MIN;
	}
	int rc = leat_rows_find(rows, keys, hashes, times, count, found);
	if (rc < 0)
		return leat_fail(fault, rc, "shared rows could not be read: %s", leat_error_text(rc));
	for (size_t i = 0; i < count; i++)
		LEAT_TRY(merge_row(lane, rows, found[i], gathered[i], fault));
	return 0;
}

int leat_owner_prepare(struct leat_lane *lane, struct leat_fault *fault)
{
	struct leat_shared *shared = lane->shared;
	struct leat_rows *rows = lane->groups[lane->pipeline->owner_group].rows;
	struct leat_gathered *some[LEAT_BATCH_MAX], *gathered, *next;
	static const uint8_t closing[4];
	size_t count = 0;
	if (!shared->received)
		return 0;
	HASH_ITER(hh, shared->gathered, gathered, next) {
		some[count++] = gathered;
		if (count == LEAT_BATCH_MAX || !next)
			LEAT_TRY(merge_some(lane, rows, some, count, fault));
		count %= LEAT_BATCH_MAX;
	}
	leat_owner_clear(shared);
	return publish(lane, leat_bytes(closing, sizeof closing), leat_bytes(shared->included, (size_t)shared->tasks * sizeof *shared->included), fault);
}
