/* The replica of the shared tables in this process: tails <app>.shared, applies an owner's rows when its closing record arrives, and remembers what changed for the tasks. */
#include "stream/shared_internal.h"

#include <pthread.h>

enum { EVENTS_KEPT = 4096 };

struct row {
	UT_hash_handle hh;
	uint32_t key_length, count;
	uint8_t *key;
	int64_t numbers[];
};
struct staged { struct staged *next; uint32_t key_length, value_length; uint8_t bytes[]; };
struct part {
	struct leat_reader *reader;
	struct staged *first, **last;
	size_t count;
	int64_t *included;
};
struct leat_replica {
	struct leat_transport *transport;
	pthread_mutex_t lock;
	char topic[256];
	int32_t tasks;
	struct part *parts;
	struct row *rows;
	struct leat_replica_event *first, **last;
	uint64_t newest, oldest;      /* events kept: (oldest, newest] */
};

/* ---- rows ---- */

static int put_row(struct leat_replica *replica, const struct staged *staged)
{
	struct row *row;
	uint32_t count = staged->value_length / (uint32_t)sizeof(int64_t);
	HASH_FIND(hh, replica->rows, staged->bytes, staged->key_length, row);
	if (row && row->count != count) {
		HASH_DEL(replica->rows, row);
		leat_free(row);
		row = NULL;
	}
	if (!row) {
		row = leat_calloc(1, sizeof *row + count * sizeof *row->numbers + staged->key_length);
		if (!row)
			return LEAT_ENOMEM;
		row->count = count;
		row->key = (uint8_t *)&row->numbers[count];
		row->key_length = staged->key_length;
		memcpy(row->key, staged->bytes, staged->key_length);
		HASH_ADD_KEYPTR(hh, replica->rows, row->key, row->key_length, row);
	}
	memcpy(row->numbers, staged->bytes + staged->key_length, count * sizeof *row->numbers);
	return 0;
}

static void drop_staged(struct part *part)
{
	for (struct staged *staged = part->first, *next; staged; staged = next) {
		next = staged->next;
		leat_free(staged);
	}
	part->first = NULL;
	part->last = &part->first;
	part->count = 0;
}

static int stage(struct part *part, const struct leat_record *record)
{
	struct staged *staged = leat_malloc(sizeof *staged + record->key.length + record->value.length);
	if (!staged)
		return LEAT_ENOMEM;
	*staged = (struct staged){ NULL, record->key.length, record->value.length };
	memcpy(staged->bytes, record->key.data, record->key.length);
	memcpy(staged->bytes + record->key.length, record->value.data, record->value.length);
	*part->last = staged;
	part->last = &staged->next;
	part->count++;
	return 0;
}

/* ---- events ---- */

static struct leat_replica_event *make_event(struct leat_replica *replica, const struct part *part, int32_t owner)
{
	size_t bytes = 0, index = 0;
	for (const struct staged *staged = part->first; staged; staged = staged->next)
		bytes += staged->key_length;
	struct leat_replica_event *event = leat_calloc(1, sizeof *event + part->count * sizeof *event->keys + (size_t)replica->tasks * sizeof *event->included + bytes);
	if (!event)
		return NULL;
	event->owner = owner;
	event->key_count = part->count;
	event->included = (int64_t *)(event + 1);
	event->keys = (struct leat_bytes *)(event->included + replica->tasks);
	uint8_t *at = (uint8_t *)(event->keys + part->count);
	for (const struct staged *staged = part->first; staged; staged = staged->next) {
		memcpy(at, staged->bytes, staged->key_length);
		event->keys[index++] = leat_bytes(at, staged->key_length);
		at += staged->key_length;
	}
	memcpy(event->included, part->included, (size_t)replica->tasks * sizeof *event->included);
	return event;
}

static void add_event(struct leat_replica *replica, struct leat_replica_event *event)
{
	event->number = ++replica->newest;
	*replica->last = event;
	replica->last = &event->next;
	while (replica->newest - replica->oldest > EVENTS_KEPT) {
		struct leat_replica_event *old = replica->first;
		replica->first = old->next;
		replica->oldest = old->number;
		leat_free(old);
	}
}

static int close_commit(struct leat_replica *replica, int32_t owner, const struct leat_record *record)
{
	struct part *part = &replica->parts[owner];
	size_t length = LEAT_MIN((size_t)record->value.length, (size_t)replica->tasks * sizeof *part->included);
	memcpy(part->included, record->value.data, length);
	struct leat_replica_event *event = make_event(replica, part, owner);
	if (!event)
		return LEAT_ENOMEM;
	for (const struct staged *staged = part->first; staged; staged = staged->next)
		if (put_row(replica, staged) < 0) {
			leat_free(event);
			return LEAT_ENOMEM;
		}
	drop_staged(part);
	add_event(replica, event);
	return 0;
}

static bool is_closing(const struct leat_record *record)
{
	return record->key.length == 4 && memcmp(record->key.data, "\0\0\0\0", 4) == 0;
}

static int apply(struct leat_replica *replica, int32_t owner, const struct leat_record *record)
{
	if (!record->key.data || record->key.length < 4 || record->key.length > LEAT_SHARED_KEY_MAX || !record->value.data)
		return 0;
	return is_closing(record) ? close_commit(replica, owner, record) : stage(&replica->parts[owner], record);
}

/* Everything readable now; *at_end whether that was all. */
static int drain(struct leat_replica *replica, int32_t owner, int64_t timeout_ms, bool *at_end, struct leat_fault *fault)
{
	long count;
	*at_end = false;
	do {
		const struct leat_record *records;
		int64_t position;
		count = replica->transport->ops->reader_next(replica->parts[owner].reader, &records, 4096, timeout_ms, at_end, &position, fault);
		for (long i = 0; i < count; i++)
			if (apply(replica, owner, &records[i]) < 0)
				return leat_fail(fault, LEAT_ENOMEM, "out of memory");
	} while (count > 0);
	return count < 0 ? (int)count : 0;
}

int leat_replica_poll(struct leat_replica *replica, struct leat_fault *fault)
{
	int rc = 0;
	if (pthread_mutex_trylock(&replica->lock) != 0)
		return 0;
	for (int32_t owner = 0; rc >= 0 && owner < replica->tasks; owner++) {
		bool at_end;
		rc = drain(replica, owner, 0, &at_end, fault);
	}
	pthread_mutex_unlock(&replica->lock);
	return rc == LEAT_ERETRY || rc == LEAT_EBROKER ? 0 : rc;
}

/* ---- opening ---- */

static int open_part(struct leat_replica *replica, int32_t owner, struct leat_fault *fault)
{
	const struct leat_transport_ops *ops = replica->transport->ops;
	struct part *part = &replica->parts[owner];
	int64_t first, end;
	bool at_end = false;
	part->last = &part->first;
	part->included = leat_calloc((size_t)replica->tasks, sizeof *part->included);
	if (!part->included)
		return leat_fail(fault, LEAT_ENOMEM, "out of memory");
	LEAT_TRY(ops->bounds(replica->transport, replica->topic, owner, &first, &end, fault));
	LEAT_TRY(ops->reader_open(replica->transport, replica->topic, owner, first, &part->reader, fault));
	for (int tries = 0; first < end && !at_end; tries++) {
		LEAT_TRY(drain(replica, owner, 200, &at_end, fault));
		if (tries == 50)
			return leat_fail(fault, LEAT_ERETRY, "the end of %s[%d] was not reached within 10 s", replica->topic, (int)owner);
	}
	return 0;
}

int leat_replica_open(struct leat_replica **out, const struct leat_pipeline *pipeline, struct leat_transport *transport, int32_t tasks, struct leat_fault *fault)
{
	struct leat_replica *replica = leat_calloc(1, sizeof *replica);
	*out = replica;
	if (!replica || !(replica->parts = leat_calloc((size_t)tasks, sizeof *replica->parts)))
		return leat_fail(fault, LEAT_ENOMEM, "out of memory");
	pthread_mutex_init(&replica->lock, NULL);
	replica->transport = transport;
	replica->tasks = tasks;
	replica->last = &replica->first;
	snprintf(replica->topic, sizeof replica->topic, "%s.shared", pipeline->name);
	for (int32_t owner = 0; owner < tasks; owner++)
		LEAT_TRY(open_part(replica, owner, fault));
	return 0;
}

void leat_replica_close(struct leat_replica *replica)
{
	struct row *row, *next;
	if (!replica)
		return;
	for (int32_t owner = 0; replica->parts && owner < replica->tasks; owner++) {
		if (replica->parts[owner].reader)
			replica->transport->ops->reader_close(replica->parts[owner].reader);
		drop_staged(&replica->parts[owner]);
		leat_free(replica->parts[owner].included);
	}
	HASH_ITER(hh, replica->rows, row, next) {
		HASH_DEL(replica->rows, row);
		leat_free(row);
	}
	for (struct leat_replica_event *event = replica->first, *after; event; event = after) {
		after = event->next;
		leat_free(event);
	}
	if (replica->parts)
		pthread_mutex_destroy(&replica->lock);
	leat_free(replica->parts);
	leat_free(replica);
}

/* ---- for the tasks ---- */

static int get_locked(struct leat_replica *replica, const uint8_t *key, size_t length, int64_t *base, size_t numbers)
{
	struct row *row;
	HASH_FIND(hh, replica->rows, key, length, row);
	if (!row || row->count != numbers)
		return 0;
	memcpy(base, row->numbers, numbers * sizeof *base);
	return 1;
}

/* The lock may be held by this thread: a view row may be made while events are handed out. */
int leat_replica_get(struct leat_replica *replica, const uint8_t *key, size_t length, int64_t *base, size_t numbers)
{
	return get_locked(replica, key, length, base, numbers);
}

static int hand_out_all(struct leat_replica *replica, int (*each)(void *self, struct leat_bytes key), void *self)
{
	struct row *row, *next;
	HASH_ITER(hh, replica->rows, row, next)
		LEAT_TRY(each(self, leat_bytes(row->key, row->key_length)));
	return 0;
}

int leat_replica_each(struct leat_replica *replica, uint64_t *seen, int (*each)(void *self, struct leat_bytes key), void *self)
{
	pthread_mutex_lock(&replica->lock);
	*seen = replica->newest;
	int rc = hand_out_all(replica, each, self);
	pthread_mutex_unlock(&replica->lock);
	return rc;
}

int leat_replica_events(struct leat_replica *replica, uint64_t *seen, int (*each)(void *self, const struct leat_replica_event *event), void *self)
{
	int rc = 0;
	pthread_mutex_lock(&replica->lock);
	if (*seen < replica->oldest)
		rc = LEAT_EGAP;
	for (const struct leat_replica_event *event = replica->first; rc >= 0 && event; event = event->next) {
		if (event->number <= *seen)
			continue;
		rc = each(self, event);
		*seen = event->number;
	}
	pthread_mutex_unlock(&replica->lock);
	return rc;
}

int64_t leat_replica_included(struct leat_replica *replica, int32_t owner, int32_t sender)
{
	return replica->parts[owner].included[sender];
}
