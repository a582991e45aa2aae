/* libFuzzer target: any bytes as a chunk of runs, and as a request to the owner of an embedded directory. What decodes is decoded the same after encoding it again; a request never hurts. */
#include "stream/embedded_serve.h"

#include <ftw.h>
#include <stdlib.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char directory[] = "/tmp/leat-fuzz-XXXXXX";
static struct leat_transport *transport;

static int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *walk)
{
	(void)status, (void)kind, (void)walk;
	return remove(path);
}

static void close_all(void)
{
	transport->ops->close(transport);
	nftw(directory, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

static void open_all(void)
{
	const struct leat_pair_text settings[] = { { "socket", "off" }, { NULL, NULL } };
	const struct leat_transport_config config = { .application = "fuzz", .directory = directory, .settings = settings };
	LEAT_ASSERT(mkdtemp(directory) && leat_embedded_open(&transport, &config, NULL) == 0);
	LEAT_ASSERT(transport->ops->create(transport, &(struct leat_topic_spec){ .name = "t", .partitions = 2 }, NULL) == 1);
	LEAT_ASSERT(transport->ops->create(transport, &(struct leat_topic_spec){ .name = "c", .partitions = 1, .compacted = true }, NULL) == 1);
	atexit(close_all);
}

static int resolve(void *owner, const char *name, struct leat_outbox_topic *topic, struct leat_fault *fault)
{
	(void)owner, (void)name, (void)fault;
	topic->partitions = 1;
	return 0;
}

static void assert_same(const struct leat_record *a, const struct leat_record *b)
{
	LEAT_ASSERT(leat_bytes_equal(a->key, b->key) && leat_bytes_equal(a->value, b->value) && !a->key.data == !b->key.data && !a->value.data == !b->value.data);
	LEAT_ASSERT(a->header_count == b->header_count && a->wire_size == b->wire_size);
	LEAT_ASSERT(a->timestamp_ms < 0 || a->timestamp_ms == b->timestamp_ms);
	for (uint32_t i = 0; i < a->header_count; i++)
		LEAT_ASSERT(leat_bytes_equal(a->headers[i].name, b->headers[i].name) && leat_bytes_equal(a->headers[i].value, b->headers[i].value));
}

/* One run at a time: a run of ours never holds more than LEAT_BATCH_MAX records. */
static void encode_again(const struct leat_chunk *chunk)
{
	struct leat_outboxes boxes;
	leat_outboxes_init(&boxes, resolve, NULL);
	for (size_t i = 0; i < chunk->count; i++) {
		struct leat_chunk again = { 0 };
		LEAT_ASSERT(leat_outboxes_add(&boxes, "t", 0, &chunk->records[i], 0, NULL) == 0);
		const struct leat_buffer *bytes = &boxes.topics[0]->boxes[0].bytes;
		LEAT_ASSERT(leat_chunk_append(&again, 0, bytes->data, bytes->length) == 0 && leat_chunk_decode(&again, 0) == 0 && again.count == 1);
		assert_same(&chunk->records[i], &again.records[0]);
		leat_chunk_free(&again);
		leat_outboxes_clear(&boxes);
	}
	leat_outboxes_free(&boxes);
}

/* In memory of its own, so that reading past its end is seen. */
static void decode(const uint8_t *data, size_t size)
{
	struct leat_chunk chunk = { .bytes = { .data = leat_malloc(size), .length = size, .capacity = size } };
	LEAT_ASSERT(chunk.bytes.data);
	memcpy(chunk.bytes.data, data, size);
	int rc = leat_chunk_decode(&chunk, 0);
	LEAT_ASSERT(rc == 0 || rc == LEAT_ECORRUPT);
	if (rc == 0)
		encode_again(&chunk);
	leat_chunk_free(&chunk);
}

static void serve(const uint8_t *data, size_t size)
{
	struct leat_serve serve = { .embedded = leat_embedded_of(transport), .greeted = true };
	struct leat_buffer answer = { 0 };
	uint8_t *copy = leat_malloc(size);
	LEAT_ASSERT(copy);
	memcpy(copy, data, size);
	int rc = leat_serve_frame(&serve, copy, size, &answer);
	LEAT_ASSERT(rc == 0 || rc == LEAT_SERVE_WAIT || rc == LEAT_ECORRUPT);
	LEAT_ASSERT(rc != 0 || answer.length >= 8);
	leat_serve_free(&serve);
	leat_buffer_free(&answer);
	leat_free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!transport)
		open_all();
	decode(data, size);
	serve(data, size);
	return 0;
}
