/* Chunks: the bounded decoder of runs; nothing in them is trusted, because they may come from a socket. */
#include "stream/embedded_run.h"

struct view {
	const uint8_t *at, *end;
};

int leat_run_header_read(struct leat_run_header *header, const uint8_t *bytes, size_t available)
{
	enum { RECORD_MIN = 4 };
	if (available < sizeof *header)
		return LEAT_ECORRUPT;
	memcpy(header, bytes, sizeof *header);
	bool sound = header->version == LEAT_RUN_VERSION && header->count >= 1 && header->count <= LEAT_BATCH_MAX && header->length >= sizeof *header
		&& header->length <= available && header->count <= (header->length - sizeof *header) / RECORD_MIN;
	return sound ? 0 : LEAT_ECORRUPT;
}

static inline bool take_varint(struct view *view, uint64_t *out)
{
	uint64_t value = 0;
	for (unsigned shift = 0; shift < 64 && view->at < view->end; shift += 7) {
		uint8_t byte = *view->at++;
		value |= (uint64_t)(byte & 0x7f) << shift;
		if (LEAT_LIKELY(byte < 0x80)) {
			*out = value;
			return shift < 63 || byte <= 1;
		}
	}
	return false;
}

/* @size: 0 null, else length + 1. */
static inline bool take_bytes(struct view *view, uint64_t size, struct leat_bytes *out)
{
	if (size > (uint64_t)(view->end - view->at) + 1)
		return false;
	out->data = size ? view->at : NULL;
	out->length = size ? (uint32_t)(size - 1) : 0;
	view->at += out->length;
	return true;
}

static int take_headers(struct leat_chunk *chunk, struct view *view, struct leat_record *record, uint64_t count)
{
	size_t need = chunk->header_count + count;
	if (need > chunk->header_capacity) {
		size_t capacity = LEAT_MAX(need, chunk->header_capacity * 2);
		struct leat_header *headers = leat_realloc(chunk->headers, capacity * sizeof *headers);
		if (!headers)
			return LEAT_ENOMEM;
		chunk->headers = headers;
		chunk->header_capacity = capacity;
	}
	for (uint64_t i = 0; i < count; i++) {
		struct leat_header *header = &chunk->headers[chunk->header_count++];
		uint64_t name, value;
		if (!take_varint(view, &name) || name > LEAT_RUN_RECORD_MAX || !take_varint(view, &value) || !take_bytes(view, name + 1, &header->name)
		    || !take_bytes(view, value, &header->value))
			return LEAT_ECORRUPT;
		record->wire_size += header->name.length + header->value.length;
	}
	return 0;
}

static int take_record(struct leat_chunk *chunk, struct view *view, struct leat_record *record, int64_t *time_ms)
{
	uint64_t delta, key, value, headers;
	if (!take_varint(view, &delta) || !take_varint(view, &key) || !take_varint(view, &value) || !take_varint(view, &headers))
		return LEAT_ECORRUPT;
	if (headers > LEAT_RUN_HEADERS_MAX || !take_bytes(view, key, &record->key) || !take_bytes(view, value, &record->value))
		return LEAT_ECORRUPT;
	*time_ms = (int64_t)((uint64_t)*time_ms + ((delta >> 1) ^ (0 - (delta & 1))));
	record->timestamp_ms = *time_ms;
	record->header_count = (uint32_t)headers;
	record->headers = NULL;
	record->wire_size = record->key.length + record->value.length;
	return headers ? take_headers(chunk, view, record, headers) : 0;
}

static int reserve_records(struct leat_chunk *chunk, size_t more)
{
	size_t need = chunk->count + more;
	if (need <= chunk->capacity)
		return 0;
	size_t capacity = LEAT_MAX(need, (size_t)LEAT_BATCH_MAX);
	struct leat_record *records = leat_realloc(chunk->records, capacity * sizeof *records);
	if (!records)
		return LEAT_ENOMEM;
	chunk->records = records;
	chunk->capacity = capacity;
	return 0;
}

static int decode_run(struct leat_chunk *chunk, struct view view, const struct leat_run_header *run, int64_t last, int64_t from)
{
	int64_t time_ms = run->first_ms;
	LEAT_TRY(reserve_records(chunk, run->count));
	for (uint32_t i = 0; i < run->count; i++) {
		struct leat_record *record = &chunk->records[chunk->count];
		size_t headers = chunk->header_count;
		LEAT_TRY(take_record(chunk, &view, record, &time_ms));
		record->offset = last - (int64_t)(run->count - 1 - i);
		if (record->offset >= from)
			chunk->count++;
		else
			chunk->header_count = headers;
	}
	return view.at == view.end ? 0 : LEAT_ECORRUPT;
}

/* Only now: the array of headers has moved while it grew. */
static void place_headers(struct leat_chunk *chunk)
{
	const struct leat_header *header = chunk->headers;
	for (size_t i = 0; i < chunk->count; i++) {
		chunk->records[i].headers = header;
		header += chunk->records[i].header_count;
	}
}

int leat_chunk_decode(struct leat_chunk *chunk, int64_t from)
{
	const uint8_t *at = chunk->bytes.data;
	size_t left = chunk->bytes.length;
	chunk->count = chunk->taken = chunk->header_count = 0;
	while (left) {
		int64_t last;
		struct leat_run_header run;
		if (left < sizeof last)
			return LEAT_ECORRUPT;
		memcpy(&last, at, sizeof last);
		LEAT_TRY(leat_run_header_read(&run, at + sizeof last, left - sizeof last));
		if (last < (int64_t)run.count - 1)
			return LEAT_ECORRUPT;
		struct view view = { at + sizeof last + sizeof run, at + sizeof last + run.length };
		LEAT_TRY(decode_run(chunk, view, &run, last, from));
		at += sizeof last + run.length;
		left -= sizeof last + run.length;
	}
	if (chunk->header_count)
		place_headers(chunk);
	return 0;
}

int leat_chunk_append(struct leat_chunk *chunk, int64_t last, const uint8_t *run, size_t length)
{
	LEAT_TRY(leat_buffer_reserve(&chunk->bytes, sizeof last + length));
	leat_buffer_append(&chunk->bytes, &last, sizeof last);
	leat_buffer_append(&chunk->bytes, run, length);
	return 0;
}

void leat_chunk_clear(struct leat_chunk *chunk)
{
	enum { KEEP = 4 << 20 };
	if (chunk->bytes.capacity > KEEP)
		leat_buffer_free(&chunk->bytes);
	chunk->bytes.length = chunk->count = chunk->taken = chunk->header_count = 0;
}

void leat_chunk_free(struct leat_chunk *chunk)
{
	leat_buffer_free(&chunk->bytes);
	leat_free(chunk->records);
	leat_free(chunk->headers);
	*chunk = (struct leat_chunk){ 0 };
}
