/*
 * The wire between the owner of an embedded directory and other processes: frames over a Unix socket. A request is answered before the next one is looked at.
 *
 *   request  = u32 length, u8 kind, fields         answer = u32 length, i32 status (< 0: u8 fatal, text), fields
 *   text     = u16 length, bytes without NUL       length counts what follows it and is at most LEAT_WIRE_FRAME_MAX
 *
 *   kind         fields                                                       answer
 *   HELLO        u32 magic, u32 version                                       i64 pid
 *   PARTITIONS   text topic                                                   i32
 *   CREATE       text topic, i32 partitions, u8 compacted, u8 internal,       status 1: created, 0: was there
 *                i64 retention_ms
 *   BOUNDS       text topic, i32 partition                                    i64 first, i64 end
 *   TRIM         text topic, i32 partition, i64 offset
 *   READ         text topic, i32 partition, i64 offset, u32 wait_ms           i64 from, i64 position, i64 end, chunk (embedded_run.h)
 *   WRITE        (text topic, i32 partition, run)*: all of it or nothing
 *
 * Little-endian. Reading is bounded: past the end a field is 0 and @bad is set.
 */
#ifndef LEAT_EMBEDDED_WIRE_H
#define LEAT_EMBEDDED_WIRE_H

#include "base/base.h"

#define LEAT_WIRE_MAGIC 0x7461656cu                /* "leat" */
#define LEAT_WIRE_VERSION 1
#define LEAT_WIRE_FRAME_MAX (16u << 20)
#define LEAT_WIRE_WAIT_MAX_MS 5000
#define LEAT_WIRE_SOCKET "control.sock"

enum leat_wire_kind { LEAT_WIRE_HELLO = 1, LEAT_WIRE_PARTITIONS, LEAT_WIRE_CREATE, LEAT_WIRE_BOUNDS, LEAT_WIRE_TRIM, LEAT_WIRE_READ, LEAT_WIRE_WRITE };

struct leat_wire {
	const uint8_t *at, *end;
	bool bad;
};
uint8_t leat_wire_u8(struct leat_wire *wire);
uint32_t leat_wire_u32(struct leat_wire *wire);
int64_t leat_wire_i64(struct leat_wire *wire);
/* NUL-terminated into @text; too long for it is bad. */
void leat_wire_text(struct leat_wire *wire, char *text, size_t size);
const uint8_t *leat_wire_take(struct leat_wire *wire, size_t length);
static inline size_t leat_wire_left(const struct leat_wire *wire)
{
	return (size_t)(wire->end - wire->at);
}

/* Building a frame. After a failure the buffer holds half of one: begin anew. LEAT_ENOMEM. */
int leat_wire_begin(struct leat_buffer *frame);
int leat_wire_put_u8(struct leat_buffer *frame, uint8_t value);
int leat_wire_put_u32(struct leat_buffer *frame, uint32_t value);
int leat_wire_put_i64(struct leat_buffer *frame, int64_t value);
int leat_wire_put_text(struct leat_buffer *frame, const char *text);        /* cut at 65,535 bytes */
void leat_wire_finish(struct leat_buffer *frame);

#endif
