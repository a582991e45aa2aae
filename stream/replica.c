/* The replica of the shared tables in this process: tails <app>.shared, applies an owner's rows when its closing record arrives, and remembers what changed for the tasks. */
#include "stream/shared_internal.h"

#include <pthread.h>
#include <stdatomic.h>

enum { EVENTS_KEPT = 1024, EVENT_ROWS_KEPT = 1 << 20 };

/* A staged record: this, the key, the value; at multiples of 8. */
struct staged { uint32_t key_length, value_length; };

struct part {
	struct leat_reader *reader;
	const struct leat_record *records;   /* handed out by the reader, those before @at are dealt with */
	long count, at;
	struct leat_buffer staged;
	size_t staged_count;
	int64_t *included;
};
struct kind { uint32_t tag; size_t numbers; };
/* @polling: who reads and stages. @lock: rows, events and what is included; recursive, since a view row may be made while events are handed out. */
struct leat_replica {
	struct leat_transport *transport;
	pthread_mutex_t polling, lock;
	char topic[256];
	int32_t tasks;
	struct kind kinds[LEAT_TABLES_MAX];
	size_t kind_count;
	struct part *parts;
	struct leat_replica_row *rows;
	struct leat_replica_event *events[EVENTS_KEPT];   /* number modulo this */
	size_t event_rows;
	_Atomic uint64_t newest;
	uint64_t oldest;                                   /* kept: (oldest, newest] */
	_Atomic uint64_t refused;
};

/* ---- rows ---- */

static const struct kind *kind_of(const struct leat_replica *replica, const uint8_t *key)
{
	uint32_t tag;
	memcpy(&tag, key, sizeof tag);
	for (size_t i = 0; i < replica->kind_count; i++)
		if (replica->kinds[i].tag == tag)
			return &replica->kinds[i];
	return NULL;
}

static struct leat_replica_row *put_row(struct leat_replica *replica, struct leat_bytes key, const uint8_t *value)
{
	struct leat_replica_row *row;
	size_t numbers = kind_of(replica, key.data)->numbers;
	HASH_FIND(hh, replica->rows, key.data, key.length, row);
	if (!row) {
		row = leat_calloc(1, sizeof *row + numbers * sizeof *row->numbers + key.length);
		if (!row)
			return NULL;
		uint8_t *copy = (uint8_t *)&row->numbers[numbers];
		memcpy(copy, key.data, key.length);
		row->count = (uint32_t)numbers;
		row->key = copy;
		row->key_length = key.length;
		HASH_ADD_KEYPTR(hh, replica->rows, row->key, row->key_length, row);
		if (!row->hh.tbl) {
			leat_free(row);
			return NULL;
		}
	}
	memcpy(row->numbers, value, numbers * sizeof *row->numbers);
	return row;
}

/* ---- staging ---- */

static int stage(struct part *part, const struct leat_record *record)
{
	const struct staged head = { record->key.length, record->value.length };
	size_t length = (sizeof head + head.key_length + head.value_length + 7) & ~(size_t)7;
	LEAT_TRY(leat_buffer_reserve(&part->staged, length));
	uint8_t *at = part->staged.data + part->staged.length;
	memcpy(at, &head, sizeof head);
	memcpy(at + sizeof head, record->key.data, head.key_length);
	memcpy(at + sizeof head + head.key_length, record->value.data, head.value_length);
	part->staged.length += length;
	part->staged_count++;
	return 0;
}

/* ---- events ---- */

static void drop_oldest(struct leat_replica *replica)
{
	struct leat_replica_event **oldest = &replica->events[++replica->oldest % EVENTS_KEPT];
	replica->event_rows -= (*oldest)->row_count;
	leat_free(*oldest);
	*oldest = NULL;
}

static void add_event(struct leat_replica *replica, struct leat_replica_event *event)
{
	event->number = atomic_load(&replica->newest) + 1;
	replica->event_rows += event->row_count;
	while (event->number - replica->oldest > 1 && (event->number - replica->oldest > EVENTS_KEPT || replica->event_rows > EVENT_ROWS_KEPT))
		drop_oldest(replica);
	replica->events[event->number % EVENTS_KEPT] = event;
	atomic_store(&replica->newest, event->number);
}

/* The lock is held. */
static int apply_staged(struct leat_replica *replica, const struct part *part, struct leat_replica_event *event)
{
	for (size_t at = 0; at < part->staged.length;) {
		struct staged head;
		memcpy(&head, part->staged.data + at, sizeof head);
		const uint8_t *key = part->staged.data + at + sizeof head;
		struct leat_replica_row *row = put_row(replica, leat_bytes(key, head.key_length), key + head.key_length);
		if (!row)
			return LEAT_ENOMEM;
		event->rows[event->row_count++] = row;
		at += (sizeof head + head.key_length + head.value_length + 7) & ~(size_t)7;
	}
	return 0;
}

/* After LEAT_ENOMEM the same record can be given again. */
static int close_commit(struct leat_replica *replica, int32_t owner, const struct leat_record *record)
{
	struct part *part = &replica->parts[owner];
	size_t size = (size_t)replica->tasks * sizeof *part->included;
	struct leat_replica_event *event = leat_calloc(1, sizeof *event + part->staged_count * sizeof event->rows[0] + size);
	if (!event)
		return LEAT_ENOMEM;
	event->owner = owner;
	event->included = (int64_t *)(void *)&event->rows[part->staged_count];
	memcpy(event->included, record->value.data, size);
	pthread_mutex_lock(&replica->lock);
	int rc = apply_staged(replica, part, event);
	if (rc >= 0) {
		memcpy(part->included, event->included, size);
		add_event(replica, event);
		event = NULL;
	}
	pthread_mutex_unlock(&replica->lock);
	leat_free(event);
	if (rc < 0)
		return rc;
	part->staged_count = part->staged.length = 0;
	if (part->staged.capacity > 1 << 20)
		leat_buffer_free(&part->staged);
	return 0;
}

/* ---- records ---- */

static int refuse(struct leat_replica *replica, int32_t owner, const struct leat_record *record)
{
	atomic_fetch_add(&replica->refused, 1);
	leat_log_seldom(LEAT_WARNING, replica, 60000, "a record of %s[%d] at offset %lld is none that leat writes; it is left out", replica->topic, (int)owner, (long long)record->offset);
	return 0;
}

static bool is_closing(const struct leat_replica *replica, struct leat_bytes value)
{
	int64_t included;
	if (value.length != (size_t)replica->tasks * sizeof included)
		return false;
	for (int32_t sender = 0; sender < replica->tasks; sender++) {
		memcpy(&included, value.data + (size_t)sender * sizeof included, sizeof included);
		if (!leat_shared_sequence_is((uint64_t)included))
			return false;
	}
	return true;
}

static int apply(struct leat_replica *replica, int32_t owner, const struct leat_record *record)
{
	struct leat_bytes key = record->key;
	if (!key.data || key.length < 4 || key.length > LEAT_ROW_KEY_MAX || !record->value.data)
		return refuse(replica, owner, record);
	if (key.length == 4 && memcmp(key.data, "\0\0\0\0", 4) == 0) {
		if (!is_closing(replica, record->value))
			return refuse(replica, owner, record);
		return close_commit(replica, owner, record);
	}
	const struct kind *kind = kind_of(replica, key.data);
	if (!kind)
		return 0;   /* of an operator that is no longer in the pipeline */
	if (record->value.length != kind->numbers * sizeof(int64_t) || leat_partition_of(key.data + 4, key.length - 4, replica->tasks) != owner)
		return refuse(replica, owner, record);
	return stage(&replica->parts[owner], record);
}

/* Everything readable now; *at_end whether that was all. */
static int drain(struct leat_replica *replica, int32_t owner, int64_t timeout_ms, bool *at_end, struct leat_fault *fault)
{
	struct part *part = &replica->parts[owner];
	*at_end = false;
	do {
		for (; part->at < part->count; part->at++)
			if (apply(replica, owner, &part->records[part->at]) < 0)
				return leat_fail(fault, LEAT_ENOMEM, "out of memory");
		int64_t position;
		part->at = 0;
		part->count = replica->transport->ops->reader_next(part->reader, &part->records, 4096, timeout_ms, at_end, &position, fault);
	} while (part->count > 0);
	int rc = (int)part->count;
	part->count = 0;
	return rc;
}

int leat_replica_poll(struct leat_replica *replica, struct leat_fault *fault)
{
	struct leat_fault mine = { 0 };
	int rc = 0;
	if (pthread_mutex_trylock(&replica->polling) != 0)
		return 0;
	for (int32_t owner = 0; rc >= 0 && owner < replica->tasks; owner++) {
		bool at_end;
		rc = drain(replica, owner, 0, &at_end, &mine);
	}
	pthread_mutex_unlock(&replica->polling);
	if (rc >= 0 || rc == LEAT_ERETRY || rc == LEAT_EBROKER)
		return 0;
	if (fault)
		*fault = mine;
	return rc;
}

uint64_t leat_replica_refused(struct leat_replica *replica)
{
	return atomic_load(&replica->refused);
}

/* ---- opening ---- */

static int open_part(struct leat_replica *replica, int32_t owner, struct leat_fault *fault)
{
	const struct leat_transport_ops *ops = replica->transport->ops;
	struct part *part = &replica->parts[owner];
	int64_t first, end;
	bool at_end = false;
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

static void note_kinds(struct leat_replica *replica, const struct leat_pipeline *pipeline)
{
	for (size_t n = 0; n < pipeline->node_count; n++)
		for (size_t t = 0; t < pipeline->nodes[n].tables; t++) {
			const struct leat_node_table *table = &pipeline->nodes[n].table[t];
			if (table->kind == LEAT_SHARED)
				replica->kinds[replica->kind_count++] = (struct kind){ table->tag, table->numbers };
		}
}

static void make_locks(struct leat_replica *replica)
{
	pthread_mutexattr_t recursive;
	pthread_mutexattr_init(&recursive);
	pthread_mutexattr_settype(&recursive, PTHREAD_MUTEX_RECURSIVE);
	pthread_mutex_init(&replica->lock, &recursive);
	pthread_mutexattr_destroy(&recursive);
	pthread_mutex_init(&replica->polling, NULL);
}

int leat_replica_open(struct leat_replica **out, const struct leat_pipeline *pipeline, struct leat_transport *transport, int32_t tasks, struct leat_fault *fault)
{
	struct leat_replica *replica = leat_calloc(1, sizeof *replica);
	int rc = 0;
	*out = NULL;
	if (!replica || !(replica->parts = leat_calloc((size_t)tasks, sizeof *replica->parts))) {
		leat_free(replica);
		return leat_fail(fault, LEAT_ENOMEM, "out of memory");
	}
	make_locks(replica);
	replica->transport = transport;
	replica->tasks = tasks;
	note_kinds(replica, pipeline);
	snprintf(replica->topic, sizeof replica->topic, "%s.shared", pipeline->name);
	for (int32_t owner = 0; rc >= 0 && owner < tasks; owner++)
		rc = open_part(replica, owner, fault);
	if (rc < 0)
		leat_replica_close(replica);
	else
		*out = replica;
	return rc;
}

void leat_replica_close(struct leat_replica *replica)
{
	struct leat_replica_row *row, *next;
	if (!replica)
		return;
	for (int32_t owner = 0; owner < replica->tasks; owner++) {
		if (replica->parts[owner].reader)
			replica->transport->ops->reader_close(replica->parts[owner].reader);
		leat_buffer_free(&replica->parts[owner].staged);
		leat_free(replica->parts[owner].included);
	}
	HASH_ITER(hh, replica->rows, row, next) {
		HASH_DEL(replica->rows, row);
		leat_free(row);
	}
	while (replica->oldest < atomic_load(&replica->newest))
		drop_oldest(replica);
	pthread_mutex_destroy(&replica->polling);
	pthread_mutex_destroy(&replica->lock);
	leat_free(replica->parts);
	leat_free(replica);
}

/* ---- for the tasks ---- */

bool leat_replica_get(struct leat_replica *replica, struct leat_bytes key, int64_t *base, size_t numbers)
{
	struct leat_replica_row *row;
	pthread_mutex_lock(&replica->lock);
	HASH_FIND(hh, replica->rows, key.data, key.length, row);
	if (row) {
		LEAT_ASSERT(row->count == numbers);
		memcpy(base, row->numbers, numbers * sizeof *base);
	}
	pthread_mutex_unlock(&replica->lock);
	return row != NULL;
}

int leat_replica_each(struct leat_replica *replica, uint64_t *seen, int32_t sender, int64_t *included, int (*each)(void *self, const struct leat_replica_row *row), void *self)
{
	struct leat_replica_row *row, *next;
	int rc = 0;
	pthread_mutex_lock(&replica->lock);
	*seen = atomic_load(&replica->newest);
	for (int32_t owner = 0; owner < replica->tasks; owner++)
		included[owner] = replica->parts[owner].included[sender];
	HASH_ITER(hh, replica->rows, row, next) {
		rc = each(self, row);
		if (rc < 0)
			break;
	}
	pthread_mutex_unlock(&replica->lock);
	return rc;
}

int leat_replica_events(struct leat_replica *replica, uint64_t *seen, int (*each)(void *self, const struct leat_replica_event *event), void *self)
{
	int rc = 0;
	if (*seen == atomic_load(&replica->newest))
		return 0;
	pthread_mutex_lock(&replica->lock);
	if (*seen < replica->oldest)
		rc = LEAT_EGAP;
	while (rc >= 0 && *seen < atomic_load(&replica->newest)) {
		rc = each(self, replica->events[(*seen + 1) % EVENTS_KEPT]);
		*seen += rc >= 0;
	}
	pthread_mutex_unlock(&replica->lock);
	return rc;
}

void leat_replica_included(struct leat_replica *replica, int32_t owner, int64_t *included)
{
	pthread_mutex_lock(&replica->lock);
	memcpy(included, replica->parts[owner].included, (size_t)replica->tasks * sizeof *included);
	pthread_mutex_unlock(&replica->lock);
}
