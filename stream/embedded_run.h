/*
 * Runs: how records lie in the embedded transport's database and travel over its socket. A run is up to LEAT_BATCH_MAX neighbouring records of one
 * partition in one piece, so that a record costs nanoseconds where a database key of its own would cost microseconds. Compacted topics have runs of one.
 *
 *   run     = header (32 bytes) record*                                              offsets are dense; the key in the database holds the last one
 *   record  = zigzag(time - time of the one before) size(key) size(value) count(headers) key value header*         all varints; sizes: 0 null, else n + 1
 *   header  = count(name) size(value) name value
 *   chunk   = (i64 last offset, run)*                                                 what a cursor hands out at a time
 *
 * Little-endian. The decoder is bounded: it takes bytes from a socket. One thread per object. LEAT_ENOMEM, LEAT_ELIMIT, LEAT_ECORRUPT.
 */
#ifndef LEAT_EMBEDDED_RUN_H
#define LEAT_EMBEDDED_RUN_H

#include "stream/transport.h"

#define LEAT_RUN_VERSION 1
#define LEAT_RUN_BYTES (256u << 10)          /* a run is closed once it is as long as this      */
#define LEAT_RUN_RECORD_MAX (8u << 20)       /* bytes of one record with its headers            */
#define LEAT_RUN_RECORD_HEAD 25u              /* of these: what lies before key and value        */
#define LEAT_RUN_HEADERS_MAX 1024            /* headers of one record                           */
#define LEAT_CHUNK_BYTES (1u << 20)          /* a cursor takes no further run beyond            */

struct leat_run_header {
	uint8_t version, flags;
	uint16_t reserved;
	uint32_t count;
	uint32_t length;                     /* with this header                                */
	uint32_t reserved2;
	int64_t committed_ms;                /* wall clock; set by the commit                   */
	int64_t first_ms;                    /* the first record's time is relative to this one */
};
_Static_assert(sizeof(struct leat_run_header) == 32, "stored");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "runs are written as they lie in memory");

/* Checks what can be seen without decoding: version, count and length within @available bytes. */
int leat_run_header_read(struct leat_run_header *header, const uint8_t *bytes, size_t available);

/* ---- outbox: records on their way into one partition, as runs one after the other ---- */
struct leat_outbox {
	struct leat_buffer bytes;
	size_t open;                         /* where the run being filled begins               */
	int64_t last_ms;                     /* time of its newest record                       */
	size_t records;
	bool dirty;                          /* stands in its set's list                        */
	int32_t partition;
	struct leat_outbox_topic *topic;
};
struct leat_outbox_topic {
	char *name;
	void *self;                          /* what the resolver wants to know it by           */
	int32_t partitions;
	bool compacted;
	uint32_t turn;                       /* records without key take the partitions in turn */
	struct leat_outbox boxes[];
};
/* Fills partitions, compacted and self of the topic @name. */
typedef int leat_outbox_resolve(void *owner, const char *name, struct leat_outbox_topic *topic, struct leat_fault *fault);

/* All outboxes of one sender. */
struct leat_outboxes {
	leat_outbox_resolve *resolve;
	void *owner;
	struct leat_outbox_topic **topics;
	size_t topic_count, last;
	struct leat_outbox **dirty;          /* those that hold records                         */
	size_t dirty_count, dirty_capacity;
	size_t records, bytes;
};
void leat_outboxes_init(struct leat_outboxes *boxes, leat_outbox_resolve *resolve, void *owner);
/* Copies one record. @partition -1: by murmur2 of the key. A time of -1 becomes @now_ms. LEAT_ECONFIG: no such partition, or no key where one is needed. */
int leat_outboxes_add(struct leat_outboxes *boxes, const char *topic, int32_t partition, const struct leat_record *record, int64_t now_ms, struct leat_fault *fault);
/* Many to one place; a failure may leave a part of them queued: clear, or give the transaction up. */
int leat_outboxes_add_many(struct leat_outboxes *boxes, const char *topic, int32_t partition, const struct leat_record *records, size_t count, int64_t now_ms, struct leat_fault *fault);
void leat_outboxes_clear(struct leat_outboxes *boxes);
void leat_outboxes_free(struct leat_outboxes *boxes);

/* ---- chunk: decoded records over the bytes of a few runs ---- */
struct leat_chunk {
	struct leat_buffer bytes;
	struct leat_record *records;
	size_t count, capacity, taken;       /* @taken of them are done with                    */
	struct leat_header *headers;
	size_t header_count, header_capacity;
};
/* Appends one run to the bytes. */
int leat_chunk_append(struct leat_chunk *chunk, int64_t last, const uint8_t *run, size_t length);
/* Decodes all bytes; records before offset @from are left out. */
int leat_chunk_decode(struct leat_chunk *chunk, int64_t from);
void leat_chunk_clear(struct leat_chunk *chunk);
void leat_chunk_free(struct leat_chunk *chunk);
static inline size_t leat_chunk_left(const struct leat_chunk *chunk)
{
	return chunk->count - chunk->taken;
}

#endif
