/* The task row's format: version, watermark, then per source: tag of its topic, position, newest time, sender marks. Little-endian. */
#include "stream/lane_row.h"
#include "stream/rekey.h"
#include "stream/shared.h"

enum { VERSION = 1, MARKS_MAX = 2048 };

static const uint8_t key_bytes[] = { 0xff, 0xff, 0, 0, 0, 0, 't', 'a', 's', 'k' };
const struct leat_bytes leat_lane_row_key = { key_bytes, sizeof key_bytes };

struct head { uint32_t version, sources; int64_t watermark_ms; uint64_t sequence; };
struct part { uint32_t tag, marks; int64_t position, max_time_ms; };
_Static_assert(sizeof(struct head) == 24 && sizeof(struct part) == 24, "stored");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "stored rows are little-endian");

bool leat_lane_row_is(struct leat_bytes key)
{
	return leat_bytes_equal(key, leat_lane_row_key);
}

static uint32_t tag_of(const struct leat_source *source)
{
	return leat_murmur2(source->topic, strlen(source->topic));   /* a source may get another name */
}

int leat_lane_row_encode(struct leat_lane *lane, struct leat_bytes *value)
{
	const struct leat_pipeline *pipeline = lane->pipeline;
	struct head head = { VERSION, (uint32_t)pipeline->source_count, lane->watermark_ms, lane->sequence + 1 };
	lane->scratch.length = 0;
	LEAT_TRY(leat_buffer_append(&lane->scratch, &head, sizeof head));
	for (size_t i = 0; i < pipeline->source_count; i++) {
		const struct leat_intake *intake = &lane->intakes[i];
		int64_t marks[MARKS_MAX];
		size_t count = intake->rekey ? leat_rekey_in_save(intake->rekey, marks, MARKS_MAX) : pipeline->sources[i].deltas ? leat_shared_save(lane, marks, MARKS_MAX) : 0;
		struct part part = { tag_of(&pipeline->sources[i]), (uint32_t)count, intake->next_offset, intake->max_time_ms };
		LEAT_TRY(leat_buffer_append(&lane->scratch, &part, sizeof part));
		LEAT_TRY(leat_buffer_append(&lane->scratch, marks, count * sizeof *marks));
	}
	*value = leat_bytes(lane->scratch.data, lane->scratch.length);
	return 0;
}

static void take_part(struct leat_lane *lane, const struct part *part, const int64_t *marks, int64_t positions[LEAT_SOURCES_MAX])
{
	for (size_t i = 0; i < lane->pipeline->source_count; i++) {
		if (tag_of(&lane->pipeline->sources[i]) != part->tag)
			continue;
		positions[i] = part->position;
		lane->intakes[i].max_time_ms = part->max_time_ms;
		if (lane->intakes[i].rekey)
			leat_rekey_in_load(lane->intakes[i].rekey, marks, part->marks);
		if (lane->pipeline->sources[i].deltas)
			leat_shared_load(lane, marks, part->marks);
	}
}

int leat_lane_row_decode(struct leat_lane *lane, struct leat_bytes value, int64_t positions[LEAT_SOURCES_MAX])
{
	const uint8_t *at = value.data, *end = value.data ? at + value.length : NULL;
	struct head head;
	for (size_t i = 0; i < LEAT_SOURCES_MAX; i++)
		positions[i] = -1;
	if (value.length < sizeof head)
		return LEAT_ECORRUPT;
	memcpy(&head, at, sizeof head);
	at += sizeof head;
	if (head.version != VERSION || head.sources > LEAT_SOURCES_MAX)
		return LEAT_ECORRUPT;
	if (lane) {
		lane->watermark_ms = head.watermark_ms;
		lane->sequence = LEAT_MAX(lane->sequence, head.sequence);
	}
	for (uint32_t i = 0; i < head.sources; i++) {
		struct part part;
		int64_t marks[MARKS_MAX];
		if ((size_t)(end - at) < sizeof part)
			return LEAT_ECORRUPT;
		memcpy(&part, at, sizeof part);
		at += sizeof part;
		if (part.marks > MARKS_MAX || (size_t)(end - at) < part.marks * sizeof *marks)
			return LEAT_ECORRUPT;
		memcpy(marks, at, part.marks * sizeof *marks);
		at += part.marks * sizeof *marks;
		if (lane)
			take_part(lane, &part, marks, positions);
	}
	return at == end ? 0 : LEAT_ECORRUPT;
}
