/* The wire header that Confluent's serialisers put before a body, and the names of the reasons for refusing one. */
#include "schemas/codec.h"

static const char *const reasons[LEAT_BAD_COUNT] = {
#define X(name, text) [LEAT_BAD_##name] = text,
	LEAT_BAD_REASONS(X)
#undef X
};

const char *leat_bad_text(enum leat_bad bad)
{
	LEAT_ASSERT((unsigned)bad < LEAT_BAD_COUNT);
	return reasons[bad];
}

enum leat_bad leat_wire_read(struct leat_bytes value, int32_t *schema_id, struct leat_bytes *body)
{
	if (value.length == 0)
		return LEAT_BAD_NULL_VALUE;
	if (value.data[0] != 0)
		return LEAT_BAD_BAD_MAGIC;
	if (value.length < LEAT_WIRE_HEADER)
		return LEAT_BAD_SHORT_HEADER;
	uint32_t id = 0;
	for (size_t i = 1; i < LEAT_WIRE_HEADER; i++)
		id = id << 8 | value.data[i];
	*schema_id = (int32_t)id;
	*body = leat_bytes(value.data + LEAT_WIRE_HEADER, value.length - LEAT_WIRE_HEADER);
	return LEAT_BAD_NONE;
}

void leat_wire_write(uint8_t header[LEAT_WIRE_HEADER], int32_t schema_id)
{
	uint32_t id = (uint32_t)schema_id;
	header[0] = 0;
	for (size_t i = LEAT_WIRE_HEADER - 1; i > 0; i--, id >>= 8)
		header[i] = (uint8_t)id;
}
