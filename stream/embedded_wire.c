/* Frames of the embedded transport's socket: fields in and out, bounded. */
#include "stream/embedded_wire.h"

const uint8_t *leat_wire_take(struct leat_wire *wire, size_t length)
{
	const uint8_t *taken = wire->at;
	if (wire->bad || length > leat_wire_left(wire)) {
		wire->bad = true;
		return NULL;
	}
	wire->at += length;
	return taken;
}

static void take_number(struct leat_wire *wire, void *value, size_t size)
{
	const uint8_t *bytes = leat_wire_take(wire, size);
	if (bytes)
		memcpy(value, bytes, size);
}

uint8_t leat_wire_u8(struct leat_wire *wire)
{
	uint8_t value = 0;
	take_number(wire, &value, sizeof value);
	return value;
}

uint32_t leat_wire_u32(struct leat_wire *wire)
{
	uint32_t value = 0;
	take_number(wire, &value, sizeof value);
	return value;
}

int64_t leat_wire_i64(struct leat_wire *wire)
{
	int64_t value = 0;
	take_number(wire, &value, sizeof value);
	return value;
}

void leat_wire_text(struct leat_wire *wire, char *text, size_t size)
{
	uint16_t length = 0;
	take_number(wire, &length, sizeof length);
	const uint8_t *bytes = leat_wire_take(wire, length);
	text[0] = '\0';
	if (!bytes || length >= size || memchr(bytes, '\0', length)) {
		wire->bad = true;
		return;
	}
	memcpy(text, bytes, length);
	text[length] = '\0';
}

int leat_wire_begin(struct leat_buffer *frame)
{
	frame->length = 0;
	return leat_wire_put_u32(frame, 0);
}

int leat_wire_put_u8(struct leat_buffer *frame, uint8_t value)
{
	return leat_buffer_append(frame, &value, sizeof value);
}

int leat_wire_put_u32(struct leat_buffer *frame, uint32_t value)
{
	return leat_buffer_append(frame, &value, sizeof value);
}

int leat_wire_put_i64(struct leat_buffer *frame, int64_t value)
{
	return leat_buffer_append(frame, &value, sizeof value);
}

int leat_wire_put_text(struct leat_buffer *frame, const char *text)
{
	uint16_t length = (uint16_t)LEAT_MIN(strlen(text), (size_t)UINT16_MAX);
	LEAT_TRY(leat_buffer_append(frame, &length, sizeof length));
	return leat_buffer_append(frame, text, length);
}

void leat_wire_finish(struct leat_buffer *frame)
{
	uint32_t length = (uint32_t)(frame->length - sizeof length);
	LEAT_ASSERT(length <= LEAT_WIRE_FRAME_MAX);
	memcpy(frame->data, &length, sizeof length);
}
