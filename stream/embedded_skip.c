/* Moving a committed position of the embedded transport by hand, while nothing runs on it. */
#include "stream/embedded_skip.h"

enum { HEAD = 2 * sizeof(int64_t) };

static int committed(struct leat_embedded *embedded, const char *topic, int32_t partition, int64_t *offset, struct leat_fault *fault)
{
	struct leat_topic *found;
	uint32_t application;
	uint8_t key[12];
	char *value;
	size_t size = 0;
	*offset = -1;
	LEAT_TRY(leat_topic_find_log(embedded, topic, partition, &found, fault));
	LEAT_TRY(leat_application_id(embedded, &application, fault));
	leat_put_u32(leat_put_u32(leat_put_u32(key, application), found->id), (uint32_t)partition);
	LEAT_TRY(leat_database_get(embedded, FAMILY_OFFSETS, key, sizeof key, &value, &size, fault));
	if (value && size >= HEAD)
		memcpy(offset, value, sizeof *offset);
	rocksdb_free(value);
	return 0;
}

int leat_embedded_position_set(struct leat_transport *transport, const char *topic, int32_t partition, int64_t offset, const char *metadata, struct leat_fault *fault)
{
	struct leat_embedded *embedded = leat_embedded_of(transport);
	const struct leat_position position = { topic, partition, offset };
	int64_t before;
	pthread_mutex_lock(&embedded->lock);
	bool busy = embedded->sessions != NULL;
	pthread_mutex_unlock(&embedded->lock);
	if (busy)
		return leat_fail(fault, LEAT_EBUSY, "%s: the pipeline '%s' is running; stop it first", embedded->directory.path, embedded->application);
	LEAT_TRY(committed(embedded, topic, partition, &before, fault));
	if (offset <= before)
		return leat_fail(fault, LEAT_ECONFIG, "%s[%d] is processed up to %lld already", topic, (int)partition, (long long)before - 1);
	return leat_embedded_commit(embedded, &(struct leat_commit){ .positions = &position, .position_count = 1, .metadata = metadata }, fault);
}
