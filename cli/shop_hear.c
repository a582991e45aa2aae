/* The simulated shop's ear: decisions of a topic, told to the shop. */
#include "cli/cli.h"
#include "cli/shop_run.h"
#include "schemas/codec.h"

enum { HEAR_AT_ONCE = 512, ARENA_CHUNK = 1 << 16 };
enum { DECISION, USER, AD, HEARD };
static const char *const heard[HEARD] = { "decision_id", "user_id", "ad_id" };

struct leat_shop_ear {
	struct leat_transport *transport;
	struct leat_registry *registry;
	struct leat_schema *schema;
	struct leat_decoder *decoder;        /* of the writer's schema @id */
	int32_t id;
	struct leat_column *columns;
	struct leat_arena *arena;
	struct leat_reader **readers;
	int32_t count;
};

void leat_shop_ear_close(struct leat_shop_ear *ear)
{
	if (!ear)
		return;
	for (int32_t i = 0; ear->readers && i < ear->count; i++)
		if (ear->readers[i])
			ear->transport->ops->reader_close(ear->readers[i]);
	leat_free(ear->readers);
	if (ear->columns)
		leat_columns_free(ear->columns, HEARD);
	leat_decoder_free(ear->decoder);
	leat_schema_free(ear->schema);
	leat_arena_close(ear->arena);
	leat_free(ear);
}

static int open_readers(struct leat_shop_ear *ear, const char *topic, int32_t partitions, struct leat_fault *fault)
{
	const struct leat_transport_ops *ops = ear->transport->ops;
	LEAT_TRY(leat_tool_topic(ear->transport, topic, partitions, false, fault));
	LEAT_TRY(ops->partitions(ear->transport, topic, &ear->count, fault));
	ear->readers = leat_calloc((size_t)ear->count, sizeof(struct leat_reader *));
	if (!ear->readers)
		return leat_fail(fault, LEAT_ENOMEM, "out of memory");
	for (int32_t i = 0; i < ear->count; i++) {
		int64_t first, end;
		LEAT_TRY(ops->bounds(ear->transport, topic, i, &first, &end, fault));
		LEAT_TRY(ops->reader_open(ear->transport, topic, i, end, &ear->readers[i], fault));
	}
	return 0;
}

static int open_columns(struct leat_shop_ear *ear, struct leat_fault *fault)
{
	const struct leat_field *fields[HEARD];
	for (int i = 0; i < HEARD; i++) {
		long at = leat_schema_find(ear->schema, heard[i]);
		if (at < 0 || leat_schema_field(ear->schema, (size_t)at)->type != LEAT_STRING)
			return leat_fail(fault, LEAT_ECONFIG, "the schema %s has no text '%s'", leat_schema_name(ear->schema), heard[i]);
		fields[i] = leat_schema_field(ear->schema, (size_t)at);
	}
	if (leat_columns_make(&ear->columns, fields, HEARD) < 0 || leat_arena_open(&ear->arena, ARENA_CHUNK) < 0)
		return leat_fail(fault, LEAT_ENOMEM, "out of memory");
	return 0;
}

int leat_shop_ear_open(struct leat_shop_ear **out, struct leat_transport *transport, struct leat_registry *registry, const char *topic, const char *schemas, int32_t partitions, struct leat_fault *fault)
{
	struct leat_shop_ear *ear = leat_calloc(1, sizeof *ear);
	char *path = leat_printf("%s/decision.avsc", schemas);
	int rc = LEAT_ENOMEM;
	*out = NULL;
	if (!ear || !path) {
		leat_fail(fault, rc, "out of memory");
		goto out;
	}
	ear->transport = transport;
	ear->registry = registry;
	if ((rc = leat_schema_load(&ear->schema, path, fault)) < 0 || (rc = open_columns(ear, fault)) < 0 || (rc = open_readers(ear, topic, partitions, fault)) < 0)
		goto out;
	*out = ear;
	ear = NULL;
out:
	leat_shop_ear_close(ear);
	leat_free(path);
	return rc;
}

/* A writer's schema that is unknown or does not fit is nothing that the shop answers to. */
static int decoder_for(struct leat_shop_ear *ear, int32_t id)
{
	int slots[LEAT_COUNT_OF(heard) + 32];
	const char *json;
	size_t length, count = leat_schema_count(ear->schema);
	if (ear->decoder && ear->id == id)
		return 0;
	leat_decoder_free(ear->decoder);
	ear->decoder = NULL;
	if (count > LEAT_COUNT_OF(slots))
		return LEAT_ELIMIT;
	for (size_t i = 0; i < count; i++) {
		slots[i] = -1;
		for (int k = 0; k < HEARD; k++)
			if (strcmp(leat_schema_field(ear->schema, i)->name, heard[k]) == 0)
				slots[i] = k;
	}
	LEAT_TRY(leat_registry_by_id(ear->registry, id, &json, &length, NULL));
	ear->id = id;
	return leat_decoder_compile(&ear->decoder, json, length, ear->schema, slots, NULL);
}

static int hear_one(struct leat_shop_ear *ear, struct leat_shop *shop, struct leat_bytes value, int64_t now_ms)
{
	struct leat_bytes body;
	int32_t id;
	leat_arena_reset(ear->arena);
	if (leat_wire_read(value, &id, &body) || decoder_for(ear, id) < 0 || leat_decoder_run(ear->decoder, body, ear->columns, 0, ear->arena))
		return 0;
	if (ear->columns[AD].null[0])
		return 0;
	return leat_shop_decided(shop, ear->columns[DECISION].bytes[0], ear->columns[USER].bytes[0], ear->columns[AD].bytes[0], now_ms);
}

int leat_shop_hear(struct leat_shop_ear *ear, struct leat_shop *shop, int64_t now_ms, struct leat_fault *fault)
{
	for (int32_t i = 0; i < ear->count; i++) {
		const struct leat_record *records;
		bool at_end;
		int64_t position;
		long count = ear->transport->ops->reader_next(ear->readers[i], &records, HEAR_AT_ONCE, 0, &at_end, &position, fault);
		int rc = count < 0 ? (int)count : 0;
		for (long k = 0; rc >= 0 && k < count; k++)
			rc = hear_one(ear, shop, records[k].value, now_ms);
		if (rc < 0)
			return count < 0 ? rc : leat_fail(fault, rc, "out of memory for the shop");
	}
	return 0;
}
