/* The owner's side of the shared tables: gathers the deltas of its keys, and at its commit merges them and publishes the rows. */
#include "stream/shared_internal.h"

/* ---- gathering ---- */

static struct leat_gathered *find_gathered(struct leat_shared *shared, struct leat_shared_table *table, struct leat_bytes key)
{
	struct leat_gathered *found;
	HASH_FIND(hh, shared->gathered, key.data, key.length, found);
	if (found)
		return found;
	found = leat_calloc(1, sizeof *found + key.length);
	if (!found)
		return NULL;
	found->table = table;
	found->key_length = key.length;
	memcpy(found->key, key.data, key.length);
	found->sum = leat_calloc(table->numbers, sizeof *found->sum);
	if (!found->sum) {
		leat_free(found);
		return NULL;
	}
	HASH_ADD(hh, shared->gathered, key, key.length, found);
	return found;
}

static int add_curvature(struct leat_gathered *gathered, uint32_t sender, double curvature)
{
	for (size_t i = 0; i < gathered->senders; i++)
		if (gathered->sender[i] == sender) {
			gathered->curvature[i] += curvature;
			return 0;
		}
	if (gathered->senders == gathered->capacity) {
		size_t capacity = LEAT_MAX(gathered->capacity * 2, (size_t)4);
		uint32_t *sender_ids = leat_realloc(gathered->sender, capacity * sizeof *sender_ids);
		if (!sender_ids)
			return LEAT_ENOMEM;
		gathered->sender = sender_ids;
		double *curvatures = leat_realloc(gathered->curvature, capacity * sizeof *curvatures);
		if (!curvatures)
			return LEAT_ENOMEM;
		gathered->curvature = curvatures;
		gathered->capacity = capacity;
	}
	gathered->sender[gathered->senders] = sender;
	gathered->curvature[gathered->senders++] = curvature;
	return 0;
}

enum leat_bad leat_shared_receive(struct leat_lane *lane, const struct leat_record *record, int *rc)
{
	struct leat_shared *shared = lane->shared;
	struct leat_delta_head head;
	uint32_t tag;
	*rc = 0;
	if (!record->key.data || record->key.length < sizeof tag || record->key.length > LEAT_SHARED_KEY_MAX || record->value.length < sizeof head)
		return LEAT_BAD_SHORT_HEADER;
	memcpy(&tag, record->key.data, sizeof tag);
	memcpy(&head, record->value.data, sizeof head);
	struct leat_shared_table *table = leat_shared_find(shared, tag);
	if (head.sender >= (uint32_t)lane->engine->tasks || (table && record->value.length != sizeof head + table->numbers * sizeof(int64_t)))
		return LEAT_BAD_BAD_MAGIC;
	shared->included[head.sender] = LEAT_MAX(shared->included[head.sender], (int64_t)head.sequence);
	shared->received = true;
	if (!table)
		return LEAT_BAD_NONE;   /* of an operator that is no longer in the pipeline */
	struct leat_gathered *gathered = find_gathered(shared, table, record->key);
	if (!gathered || add_curvature(gathered, head.sender, head.curvature) < 0) {
		*rc = LEAT_ENOMEM;
		return LEAT_BAD_NONE;
	}
	for (size_t i = 0; i < table->numbers; i++) {
		int64_t step;
		memcpy(&step, record->value.data + sizeof head + i * sizeof step, sizeof step);
		gathered->sum[i] += step;
	}
	return LEAT_BAD_NONE;
}

static void free_gathered(struct leat_gathered *gathered)
{
	leat_free(gathered->sender);
	leat_free(gathered->curvature);
	leat_free(gathered->sum);
	leat_free(gathered);
}

void leat_owner_clear(struct leat_shared *shared)
{
	struct leat_gathered *gathered, *next;
	HASH_ITER(hh, shared->gathered, gathered, next) {
		HASH_DEL(shared->gathered, gathered);
		free_gathered(gathered);
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

static int merge_one(struct leat_lane *lane, struct leat_rows *rows, const struct leat_gathered *gathered, struct leat_fault *fault)
{
	const struct leat_shared_table *table = gathered->table;
	struct leat_bytes key = leat_bytes(gathered->key, gathered->key_length);
	uint32_t hash = leat_murmur2(key.data + sizeof table->tag, key.length - sizeof table->tag);
	size_t index = (size_t)(table - lane->shared->tables);
	struct leat_row *row;
	int64_t now = INT64_MIN;
	int rc = leat_rows_find(rows, &key, &hash, &now, 1, &row);
	if (rc < 0)
		return leat_fail(fault, rc, "a shared row could not be read: %s", leat_error_text(rc));
	int64_t *numbers = (int64_t *)(void *)((char *)row + leat_rows_offset(rows, index));
	double factor = table->merge == LEAT_MERGE_FACTOR ? leat_merge_factor(gathered->curvature, gathered->senders) : 1;
	leat_rows_touch(rows, row, index, 0);
	leat_merge_apply(numbers, gathered->sum, table->numbers, factor);
	return publish(lane, key, leat_bytes(numbers, table->numbers * sizeof *numbers), fault);
}

int leat_owner_prepare(struct leat_lane *lane, struct leat_fault *fault)
{
	struct leat_shared *shared = lane->shared;
	struct leat_rows *rows = lane->groups[lane->pipeline->owner_group].rows;
	struct leat_gathered *gathered, *next;
	static const uint8_t closing[4];
	if (!shared->received)
		return 0;
	HASH_ITER(hh, shared->gathered, gathered, next)
		LEAT_TRY(merge_one(lane, rows, gathered, fault));
	leat_owner_clear(shared);
	return publish(lane, leat_bytes(closing, sizeof closing), leat_bytes(shared->included, (size_t)lane->engine->tasks * sizeof *shared->included), fault);
}

/* ---- the task row ---- */

size_t leat_shared_save(const struct leat_lane *lane, int64_t *marks, size_t count)
{
	count = LEAT_MIN(count, (size_t)lane->engine->tasks);
	memcpy(marks, lane->shared->included, count * sizeof *marks);
	return count;
}

void leat_shared_load(struct leat_lane *lane, const int64_t *marks, size_t count)
{
	memcpy(lane->shared->included, marks, LEAT_MIN(count, (size_t)lane->engine->tasks) * sizeof *marks);
}
