/* Rows of commits that were cut short: their keys, and how they are put right. In the list a key follows its length (u32). */
#include "stream/lane_tail.h"
#include "stream/lane_meaning.h"

enum { CHUNK = 128, KEY_LEAST = 6 };   /* of a row: its set's tag and the hash */

int leat_lane_tail_add(struct leat_lane *lane, struct leat_bytes key)
{
	if (leat_lane_meaning_is(key)) {
		lane->tail_meaning = true;      /* a commit may write it anyway, and it has no tombstone */
		return 0;
	}
	if (key.length < KEY_LEAST)
		return 0;
	LEAT_TRY(leat_buffer_append(&lane->tail, &key.length, sizeof key.length));
	return leat_buffer_append(&lane->tail, key.data, key.length);
}

void leat_lane_tail_clear(struct leat_lane *lane)
{
	leat_buffer_free(&lane->tail);
	lane->tail_meaning = false;
}

bool leat_lane_tail_due(const struct leat_lane *lane)
{
	return lane->tail.length > 0 || lane->tail_meaning;
}

struct chunk {
	struct leat_lane *lane;
	struct leat_fault *fault;
	struct leat_bytes keys[CHUNK];
	bool found[CHUNK];
	size_t count;
};

static int send_key(struct chunk *chunk, size_t index, struct leat_bytes value)
{
	struct leat_lane *lane = chunk->lane;
	return lane->ops->session_row(lane->session, lane->task, lane->changelog, chunk->keys[index], value, chunk->fault);
}

static int found(void *self, size_t index, struct leat_bytes value)
{
	struct chunk *chunk = self;
	chunk->found[index] = true;
	return send_key(chunk, index, value);
}

static int send_chunk(struct chunk *chunk)
{
	struct leat_lane *lane = chunk->lane;
	memset(chunk->found, 0, sizeof chunk->found);
	int rc = leat_store_get_many(lane->store, LEAT_FAMILY_ROWS, chunk->keys, chunk->count, found, chunk);
	if (rc < 0)
		return chunk->fault && chunk->fault->code ? rc : leat_fail(chunk->fault, rc, "task %d: its rows cannot be read: %s", (int)lane->task, leat_error_text(rc));
	for (size_t i = 0; i < chunk->count; i++)
		if (!chunk->found[i])
			LEAT_TRY(send_key(chunk, i, leat_bytes(NULL, 0)));
	return 0;
}

int leat_lane_tail_send(struct leat_lane *lane, struct leat_fault *fault)
{
	struct chunk chunk = { .lane = lane, .fault = fault };
	for (size_t at = 0; at < lane->tail.length;) {
		for (chunk.count = 0; chunk.count < CHUNK && at < lane->tail.length; chunk.count++) {
			uint32_t length;
			memcpy(&length, lane->tail.data + at, sizeof length);
			chunk.keys[chunk.count] = leat_bytes(lane->tail.data + at + sizeof length, length);
			at += sizeof length + length;
		}
		LEAT_TRY(send_chunk(&chunk));
	}
	return 0;
}
