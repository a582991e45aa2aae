/* Requests of other processes to the owner of an embedded directory; each byte of them may be hostile. */
#include "stream/embedded_serve.h"

#include <unistd.h>

enum { NAME_SIZE = 256 };

static int answer_status(struct leat_buffer *answer, int status)
{
	LEAT_TRY(leat_wire_begin(answer));
	return leat_wire_put_u32(answer, (uint32_t)status);
}

static int answer_fault(struct leat_buffer *answer, int code, const struct leat_fault *fault)
{
	LEAT_TRY(answer_status(answer, code));
	LEAT_TRY(leat_wire_put_u8(answer, fault->fatal));
	return leat_wire_put_text(answer, fault->text);
}

static bool is_whole(const struct leat_wire *wire)
{
	return !wire->bad && leat_wire_left(wire) == 0;
}

static int hello(struct leat_serve *serve, struct leat_wire *wire, struct leat_buffer *answer, struct leat_fault *fault)
{
	uint32_t magic = leat_wire_u32(wire), version = leat_wire_u32(wire);
	if (!is_whole(wire) || magic != LEAT_WIRE_MAGIC)
		return LEAT_ECORRUPT;
	if (version != LEAT_WIRE_VERSION) {
		leat_fail(fault, LEAT_EFOREIGN, "the owning process %ld speaks version %d of the socket's protocol, not %u", (long)getpid(), LEAT_WIRE_VERSION, version);
		return 0;
	}
	serve->greeted = true;
	LEAT_TRY(answer_status(answer, 0));
	return leat_wire_put_i64(answer, getpid());
}

static int partitions(struct leat_serve *serve, struct leat_wire *wire, struct leat_buffer *answer, struct leat_fault *fault)
{
	char topic[NAME_SIZE];
	int32_t count;
	leat_wire_text(wire, topic, sizeof topic);
	if (!is_whole(wire))
		return LEAT_ECORRUPT;
	if (leat_topics_partitions(&serve->embedded->transport, topic, &count, fault) < 0)
		return 0;
	LEAT_TRY(answer_status(answer, 0));
	return leat_wire_put_u32(answer, (uint32_t)count);
}

static int create(struct leat_serve *serve, struct leat_wire *wire, struct leat_buffer *answer, struct leat_fault *fault)
{
	char topic[NAME_SIZE];
	leat_wire_text(wire, topic, sizeof topic);
	struct leat_topic_spec spec = { .name = topic, .partitions = (int32_t)leat_wire_u32(wire) };
	spec.compacted = leat_wire_u8(wire);
	spec.internal = leat_wire_u8(wire);
	spec.retention_ms = leat_wire_i64(wire);
	if (!is_whole(wire))
		return LEAT_ECORRUPT;
	int rc = leat_topics_create(&serve->embedded->transport, &spec, fault);
	return rc < 0 ? 0 : answer_status(answer, rc);
}

static int bounds(struct leat_serve *serve, struct leat_wire *wire, struct leat_buffer *answer, struct leat_fault *fault)
{
	char topic[NAME_SIZE];
	int64_t first, end;
	leat_wire_text(wire, topic, sizeof topic);
	int32_t partition = (int32_t)leat_wire_u32(wire);
	if (!is_whole(wire))
		return LEAT_ECORRUPT;
	if (leat_topics_bounds(&serve->embedded->transport, topic, partition, &first, &end, fault) < 0)
		return 0;
	LEAT_TRY(answer_status(answer, 0));
	LEAT_TRY(leat_wire_put_i64(answer, first));
	return leat_wire_put_i64(answer, end);
}

static int trim(struct leat_serve *serve, struct leat_wire *wire, struct leat_buffer *answer, struct leat_fault *fault)
{
	char topic[NAME_SIZE];
	leat_wire_text(wire, topic, sizeof topic);
	int32_t partition = (int32_t)leat_wire_u32(wire);
	int64_t offset = leat_wire_i64(wire);
	if (!is_whole(wire))
		return LEAT_ECORRUPT;
	int rc = leat_topics_trim(&serve->embedded->transport, topic, partition, offset, fault);
	return rc < 0 ? 0 : answer_status(answer, 0);
}

/* ---- reading ---- */

static int answer_chunk(struct leat_serve *serve, int64_t from, struct leat_buffer *answer)
{
	const struct leat_cursor *cursor = &serve->cursor;
	LEAT_TRY(answer_status(answer, 0));
	LEAT_TRY(leat_wire_put_i64(answer, from));
	LEAT_TRY(leat_wire_put_i64(answer, cursor->position));
	LEAT_TRY(leat_wire_put_i64(answer, leat_cursor_end(cursor)));
	return leat_buffer_append(answer, cursor->chunk.bytes.data, cursor->chunk.bytes.length);
}

static void stop_reading(struct leat_serve *serve)
{
	if (serve->reading)
		leat_cursor_close(&serve->cursor);
	serve->reading = false;
}

static int try_read(struct leat_serve *serve, bool give_up, struct leat_buffer *answer, struct leat_fault *fault)
{
	int64_t from, before = serve->cursor.position;
	int rc = leat_cursor_load(&serve->cursor, &from, fault);
	if (rc < 0) {
		stop_reading(serve);
		return 0;
	}
	if (rc == 0 && !give_up && serve->cursor.position == before)
		return LEAT_SERVE_WAIT;
	return answer_chunk(serve, from, answer);
}

/* The next request mostly goes on where the last one ended. */
static int position_cursor(struct leat_serve *serve, const char *topic, int32_t partition, int64_t offset, struct leat_fault *fault)
{
	const struct leat_cursor *cursor = &serve->cursor;
	if (serve->reading && cursor->partition == partition && cursor->position == offset && strcmp(cursor->topic->name, topic) == 0)
		return 0;
	stop_reading(serve);
	LEAT_TRY(leat_cursor_open(&serve->cursor, serve->embedded, topic, partition, offset, fault));
	serve->reading = true;
	return 0;
}

static int read_records(struct leat_serve *serve, struct leat_wire *wire, struct leat_buffer *answer, struct leat_fault *fault)
{
	char topic[NAME_SIZE];
	leat_wire_text(wire, topic, sizeof topic);
	int32_t partition = (int32_t)leat_wire_u32(wire);
	int64_t offset = leat_wire_i64(wire);
	uint32_t wait_ms = leat_wire_u32(wire);
	serve->wait_ms = LEAT_MIN(wait_ms, (uint32_t)LEAT_WIRE_WAIT_MAX_MS);
	if (!is_whole(wire))
		return LEAT_ECORRUPT;
	if (position_cursor(serve, topic, partition, offset, fault) < 0)
		return 0;
	return try_read(serve, serve->wait_ms == 0, answer, fault);
}

/* ---- writing ---- */

/* Decoded and encoded again, so that nothing but sound runs of ours get to the disk. */
static int add_run(struct leat_serve *serve, struct leat_outboxes *boxes, struct leat_chunk *chunk, struct leat_wire *wire, struct leat_fault *fault)
{
	char topic[NAME_SIZE];
	struct leat_run_header run;
	leat_wire_text(wire, topic, sizeof topic);
	int32_t partition = (int32_t)leat_wire_u32(wire);
	if (wire->bad || leat_run_header_read(&run, wire->at, leat_wire_left(wire)) < 0)
		return LEAT_ECORRUPT;
	const uint8_t *bytes = leat_wire_take(wire, run.length);
	leat_chunk_clear(chunk);
	LEAT_TRY(leat_chunk_append(chunk, (int64_t)run.count - 1, bytes, run.length));
	LEAT_TRY(leat_chunk_decode(chunk, 0));
	leat_outboxes_add_many(boxes, topic, partition, chunk->records, chunk->count, leat_clock_wall_ms(serve->embedded->clock), fault);
	return 0;
}

static int write_records(struct leat_serve *serve, struct leat_wire *wire, struct leat_buffer *answer, struct leat_fault *fault)
{
	struct leat_outboxes boxes;
	struct leat_chunk chunk = { 0 };
	int rc = 0;
	leat_outboxes_init(&boxes, leat_embedded_resolve, serve->embedded);
	while (rc == 0 && fault->code == 0 && leat_wire_left(wire) > 0)
		rc = add_run(serve, &boxes, &chunk, wire, fault);
	if (rc == 0 && fault->code == 0)
		leat_embedded_commit(serve->embedded, &(struct leat_commit){ .outboxes = &boxes }, fault);
	if (rc == 0 && fault->code == 0)
		rc = answer_status(answer, 0);
	leat_outboxes_free(&boxes);
	leat_chunk_free(&chunk);
	return rc;
}

/* ---- requests ---- */

/* Negative: malformed or out of memory. A fault in @fault is the answer. */
typedef int handler(struct leat_serve *serve, struct leat_wire *wire, struct leat_buffer *answer, struct leat_fault *fault);
static handler *const handlers[] = {
	[LEAT_WIRE_HELLO] = hello,
	[LEAT_WIRE_PARTITIONS] = partitions,
	[LEAT_WIRE_CREATE] = create,
	[LEAT_WIRE_BOUNDS] = bounds,
	[LEAT_WIRE_TRIM] = trim,
	[LEAT_WIRE_READ] = read_records,
	[LEAT_WIRE_WRITE] = write_records,
};

static int finish(struct leat_buffer *answer, int rc, const struct leat_fault *fault)
{
	if (rc == 0 && fault->code < 0)
		rc = answer_fault(answer, fault->code, fault);
	if (rc == 0)
		leat_wire_finish(answer);
	return rc;
}

int leat_serve_frame(struct leat_serve *serve, const uint8_t *frame, size_t length, struct leat_buffer *answer)
{
	struct leat_wire wire = { frame, frame + length, false };
	struct leat_fault fault = { 0 };
	uint8_t kind = leat_wire_u8(&wire);
	if (wire.bad || kind >= LEAT_COUNT_OF(handlers) || !handlers[kind] || serve->greeted == (kind == LEAT_WIRE_HELLO))
		return LEAT_ECORRUPT;
	return finish(answer, handlers[kind](serve, &wire, answer, &fault), &fault);
}

int leat_serve_read(struct leat_serve *serve, bool give_up, struct leat_buffer *answer)
{
	struct leat_fault fault = { 0 };
	return finish(answer, try_read(serve, give_up, answer, &fault), &fault);
}

void leat_serve_free(struct leat_serve *serve)
{
	stop_reading(serve);
}
