/* The catalogue of the embedded transport: which topics there are, where their logs begin and end, the numbers of applications. */
#include "stream/embedded_internal.h"

enum { NAME_MAX_ = 249 };

static int no_memory(struct leat_fault *fault, const char *name)
{
	return leat_fail(fault, LEAT_ENOMEM, "out of memory for topic %s", name);
}

static int damaged(const struct leat_embedded *embedded, struct leat_fault *fault)
{
	return leat_fail(fault, LEAT_ECORRUPT, "%s: the list of topics is damaged", embedded->directory.path);
}

static void topic_free(struct leat_topic *topic)
{
	if (topic)
		leat_free(topic->name);
	leat_free(topic);
}

static struct leat_topic *topic_new(struct leat_bytes name, const struct leat_topic_row *row)
{
	struct leat_topic *topic = leat_calloc(1, sizeof *topic + (size_t)row->partitions * sizeof topic->logs[0]);
	if (!topic)
		return NULL;
	topic->name = leat_printf("%.*s", (int)name.length, (const char *)name.data);
	topic->id = row->id;
	topic->partitions = row->partitions;
	topic->compacted = row->flags & TOPIC_COMPACTED;
	topic->internal = row->flags & TOPIC_INTERNAL;
	topic->retention_ms = row->retention_ms;
	if (!topic->name) {
		topic_free(topic);
		return NULL;
	}
	return topic;
}

static int reserve_topic(struct leat_embedded *embedded)
{
	if (embedded->topic_count < embedded->topic_capacity)
		return 0;
	size_t capacity = LEAT_MAX(embedded->topic_capacity * 2, (size_t)16);
	struct leat_topic **topics = leat_realloc(embedded->topics, capacity * sizeof *topics);
	if (!topics)
		return LEAT_ENOMEM;
	embedded->topics = topics;
	embedded->topic_capacity = capacity;
	return 0;
}

static int load_topic(struct leat_embedded *embedded, struct leat_bytes name, struct leat_bytes value, struct leat_fault *fault)
{
	struct leat_topic_row row;
	if (value.length != sizeof row)
		return damaged(embedded, fault);
	memcpy(&row, value.data, sizeof row);
	if (row.version != 1 || row.partitions < 1 || row.partitions > LEAT_EMBEDDED_PARTITIONS_MAX || name.length > NAME_MAX_)
		return damaged(embedded, fault);
	struct leat_topic *topic = topic_new(name, &row);
	if (!topic || reserve_topic(embedded) < 0) {
		topic_free(topic);
		return leat_fail(fault, LEAT_ENOMEM, "out of memory for the topics of %s", embedded->directory.path);
	}
	embedded->topics[embedded->topic_count++] = topic;
	embedded->next_topic_id = LEAT_MAX(embedded->next_topic_id, row.id + 1);
	return 0;
}

static int load_logs(struct leat_embedded *embedded, struct leat_topic *topic, struct leat_fault *fault)
{
	for (int32_t i = 0; i < topic->partitions; i++) {
		uint8_t key[9] = { 'p' };
		char *value;
		size_t size;
		struct leat_log_row row = { 0 };
		leat_put_u32(leat_put_u32(key + 1, topic->id), (uint32_t)i);
		LEAT_TRY(leat_database_get(embedded, FAMILY_CATALOGUE, key, sizeof key, &value, &size, fault));
		if (value && size == sizeof row)
			memcpy(&row, value, sizeof row);
		bool sound = !value || (size == sizeof row && row.first >= 0 && row.first <= row.end && row.cleaned <= row.end);
		rocksdb_free(value);
		if (!sound)
			return damaged(embedded, fault);
		atomic_store(&topic->logs[i].first, row.first);
		atomic_store(&topic->logs[i].end, row.end);
		topic->logs[i].cleaned = row.cleaned;
	}
	return 0;
}

static int load_all(struct leat_embedded *embedded, rocksdb_iterator_t *iterator, struct leat_fault *fault)
{
	char *error = NULL;
	for (rocksdb_iter_seek(iterator, "t", 1); rocksdb_iter_valid(iterator); rocksdb_iter_next(iterator)) {
		size_t key_size, value_size;
		const char *key = rocksdb_iter_key(iterator, &key_size);
		const char *value = rocksdb_iter_value(iterator, &value_size);
		if (key_size < 1 || key[0] != 't')
			break;
		LEAT_TRY(load_topic(embedded, leat_bytes(key + 1, key_size - 1), leat_bytes(value, value_size), fault));
	}
	rocksdb_iter_get_error(iterator, &error);
	LEAT_TRY(leat_database_fault(error, embedded->directory.path, fault));
	for (size_t i = 0; i < embedded->topic_count; i++)
		LEAT_TRY(load_logs(embedded, embedded->topics[i], fault));
	return 0;
}

int leat_topics_load(struct leat_embedded *embedded, struct leat_fault *fault)
{
	embedded->next_topic_id = 1;
	rocksdb_iterator_t *iterator = rocksdb_create_iterator_cf(embedded->db, embedded->read, embedded->family[FAMILY_CATALOGUE]);
	int rc = load_all(embedded, iterator, fault);
	rocksdb_iter_destroy(iterator);
	return rc;
}

void leat_topics_free(struct leat_embedded *embedded)
{
	for (size_t i = 0; i < embedded->topic_count; i++)
		topic_free(embedded->topics[i]);
	leat_free(embedded->topics);
	embedded->topics = NULL;
	embedded->topic_count = 0;
}

/* Holds lock. */
static struct leat_topic *lookup(struct leat_embedded *embedded, const char *name)
{
	for (size_t i = 0; i < embedded->topic_count; i++)
		if (strcmp(embedded->topics[i]->name, name) == 0)
			return embedded->topics[i];
	return NULL;
}

int leat_topic_find(struct leat_embedded *embedded, const char *name, struct leat_topic **out, struct leat_fault *fault)
{
	pthread_mutex_lock(&embedded->lock);
	*out = lookup(embedded, name);
	pthread_mutex_unlock(&embedded->lock);
	return *out ? 0 : leat_fail(fault, LEAT_ENOTFOUND, "there is no topic %s in %s", name, embedded->directory.path);
}

int leat_topic_find_log(struct leat_embedded *embedded, const char *name, int32_t partition, struct leat_topic **out, struct leat_fault *fault)
{
	LEAT_TRY(leat_topic_find(embedded, name, out, fault));
	if (partition < 0 || partition >= (*out)->partitions)
		return leat_fail(fault, LEAT_ECONFIG, "topic %s has %d partitions, there is no partition %d", name, (*out)->partitions, partition);
	return 0;
}

void leat_topic_put_log(struct leat_embedded *embedded, rocksdb_writebatch_t *batch, const struct leat_topic *topic, int32_t partition, const struct leat_log_row *row)
{
	uint8_t key[9] = { 'p' };
	leat_put_u32(leat_put_u32(key + 1, topic->id), (uint32_t)partition);
	rocksdb_writebatch_put_cf(batch, embedded->family[FAMILY_CATALOGUE], (const char *)key, sizeof key, (const char *)row, sizeof *row);
}

int leat_topics_partitions(struct leat_transport *transport, const char *topic, int32_t *count, struct leat_fault *fault)
{
	struct leat_topic *found;
	LEAT_TRY(leat_topic_find(leat_embedded_of(transport), topic, &found, fault));
	*count = found->partitions;
	return 0;
}

/* Kafka's rule, so that a pipeline moves to a real cluster as it is. */
static bool name_is_legal(const char *name)
{
	size_t length = strlen(name);
	return length >= 1 && length <= NAME_MAX_ && strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") == length
		&& strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

static int check_spec(const struct leat_topic_spec *spec, struct leat_fault *fault)
{
	if (!name_is_legal(spec->name))
		return leat_fail(fault, LEAT_ECONFIG, "\"%.300s\" cannot be the name of a topic: 1 to %d letters, digits, dots, underscores and dashes are allowed", spec->name, NAME_MAX_);
	if (spec->partitions < 0 || spec->partitions > LEAT_EMBEDDED_PARTITIONS_MAX)
		return leat_fail(fault, LEAT_ECONFIG, "topic %s cannot have %d partitions: 1 to %d are allowed", spec->name, spec->partitions, LEAT_EMBEDDED_PARTITIONS_MAX);
	return 0;
}

static struct leat_topic_row row_of(const struct leat_embedded *embedded, const struct leat_topic_spec *spec)
{
	int64_t retention_ms = spec->retention_ms ? spec->retention_ms : LEAT_EMBEDDED_RETENTION_MS;
	return (struct leat_topic_row){
		.version = 1,
		.id = embedded->next_topic_id,
		.partitions = spec->partitions ? spec->partitions : (int32_t)embedded->settings.partitions,
		.flags = (spec->compacted ? TOPIC_COMPACTED : 0u) | (spec->internal ? TOPIC_INTERNAL : 0u),
		.retention_ms = retention_ms < 0 || spec->compacted || spec->internal ? -1 : retention_ms,
	};
}

static int store_topic(struct leat_embedded *embedded, const char *name, const struct leat_topic_row *row, struct leat_fault *fault)
{
	char key[NAME_MAX_ + 1] = { 't' };
	size_t length = strlen(name);
	memcpy(key + 1, name, length);
	rocksdb_writebatch_t *batch = rocksdb_writebatch_create();
	rocksdb_writebatch_put_cf(batch, embedded->family[FAMILY_CATALOGUE], key, length + 1, (const char *)row, sizeof *row);
	int rc = leat_database_write(embedded, batch, true, fault);
	rocksdb_writebatch_destroy(batch);
	return rc;
}

/* Holds commit_lock. The place in the list is made first: once stored, the topic must be there. */
static int add_topic(struct leat_embedded *embedded, const struct leat_topic_spec *spec, struct leat_fault *fault)
{
	struct leat_topic_row row = row_of(embedded, spec);
	struct leat_topic *topic = topic_new(leat_text(spec->name), &row);
	if (!topic)
		return no_memory(fault, spec->name);
	pthread_mutex_lock(&embedded->lock);
	int rc = reserve_topic(embedded) < 0 ? no_memory(fault, spec->name) : 0;
	pthread_mutex_unlock(&embedded->lock);
	if (rc == 0)
		rc = store_topic(embedded, spec->name, &row, fault);
	if (rc < 0) {
		topic_free(topic);
		return rc;
	}
	pthread_mutex_lock(&embedded->lock);
	embedded->topics[embedded->topic_count++] = topic;
	embedded->next_topic_id++;
	pthread_mutex_unlock(&embedded->lock);
	return 1;
}

int leat_topics_create(struct leat_transport *transport, const struct leat_topic_spec *spec, struct leat_fault *fault)
{
	struct leat_embedded *embedded = leat_embedded_of(transport);
	LEAT_TRY(check_spec(spec, fault));
	pthread_mutex_lock(&embedded->commit_lock);
	pthread_mutex_lock(&embedded->lock);
	const struct leat_topic *topic = lookup(embedded, spec->name);
	pthread_mutex_unlock(&embedded->lock);
	int rc = 0;
	if (!topic)
		rc = add_topic(embedded, spec, fault);
	else if (spec->partitions > 0 && spec->partitions != topic->partitions)
		rc = leat_fail(fault, LEAT_ECONFIG, "topic %s has %d partitions, not %d", spec->name, topic->partitions, spec->partitions);
	pthread_mutex_unlock(&embedded->commit_lock);
	return rc;
}

int leat_topics_bounds(struct leat_transport *transport, const char *topic, int32_t partition, int64_t *first, int64_t *end, struct leat_fault *fault)
{
	struct leat_topic *found;
	LEAT_TRY(leat_topic_find_log(leat_embedded_of(transport), topic, partition, &found, fault));
	const struct leat_log *log = &found->logs[partition];
	*first = atomic_load(&log->first);
	*end = atomic_load(&log->end);
	return 0;
}

/* Only moves the beginning; what lies before it is deleted by and by. */
static int move_first(struct leat_embedded *embedded, struct leat_topic *topic, int32_t partition, int64_t offset, struct leat_fault *fault)
{
	struct leat_log *log = &topic->logs[partition];
	struct leat_log_row row = { .first = offset, .end = atomic_load(&log->end), .cleaned = log->cleaned };
	if (offset <= atomic_load(&log->first))
		return 0;
	if (offset > row.end)
		return leat_fail(fault, LEAT_ECONFIG, "topic %s, partition %d ends at %lld: nothing can be deleted up to %lld", topic->name, partition, (long long)row.end, (long long)offset);
	rocksdb_writebatch_t *batch = rocksdb_writebatch_create();
	leat_topic_put_log(embedded, batch, topic, partition, &row);
	int rc = leat_database_write(embedded, batch, false, fault);
	rocksdb_writebatch_destroy(batch);
	if (rc == 0)
		atomic_store(&log->first, offset);
	return rc;
}

int leat_topics_trim(struct leat_transport *transport, const char *topic, int32_t partition, int64_t offset, struct leat_fault *fault)
{
	struct leat_embedded *embedded = leat_embedded_of(transport);
	struct leat_topic *found;
	LEAT_TRY(leat_topic_find_log(embedded, topic, partition, &found, fault));
	pthread_mutex_lock(&embedded->commit_lock);
	int rc = move_first(embedded, found, partition, offset, fault);
	pthread_mutex_unlock(&embedded->commit_lock);
	return rc;
}

/* Holds commit_lock. Numbers are given in order and never taken back, so counting the applications gives the next one. */
static int new_application(struct leat_embedded *embedded, const char *key, size_t length, struct leat_fault *fault)
{
	uint32_t id = 1;
	rocksdb_iterator_t *iterator = rocksdb_create_iterator_cf(embedded->db, embedded->read, embedded->family[FAMILY_CATALOGUE]);
	for (rocksdb_iter_seek(iterator, "a", 1); rocksdb_iter_valid(iterator); rocksdb_iter_next(iterator), id++) {
		size_t size;
		const char *found = rocksdb_iter_key(iterator, &size);
		if (size < 1 || found[0] != 'a')
			break;
	}
	char *error = NULL;
	rocksdb_iter_get_error(iterator, &error);
	rocksdb_iter_destroy(iterator);
	LEAT_TRY(leat_database_fault(error, embedded->directory.path, fault));
	rocksdb_writebatch_t *batch = rocksdb_writebatch_create();
	rocksdb_writebatch_put_cf(batch, embedded->family[FAMILY_CATALOGUE], key, length, (const char *)&id, sizeof id);
	int rc = leat_database_write(embedded, batch, true, fault);
	rocksdb_writebatch_destroy(batch);
	if (rc == 0)
		embedded->application_id = id;
	return rc;
}

/* Holds commit_lock. */
static int find_application(struct leat_embedded *embedded, struct leat_fault *fault)
{
	char *key = leat_printf("a%s", embedded->application), *value;
	size_t size;
	if (!key)
		return leat_fail(fault, LEAT_ENOMEM, "out of memory for application %s", embedded->application);
	int rc = leat_database_get(embedded, FAMILY_CATALOGUE, key, strlen(key), &value, &size, fault);
	if (rc == 0 && value && size == sizeof embedded->application_id)
		memcpy(&embedded->application_id, value, size);
	else if (rc == 0 && value)
		rc = damaged(embedded, fault);
	else if (rc == 0)
		rc = new_application(embedded, key, strlen(key), fault);
	rocksdb_free(value);
	leat_free(key);
	return rc;
}

int leat_application_id(struct leat_embedded *embedded, uint32_t *id, struct leat_fault *fault)
{
	if (!embedded->application[0])
		return leat_fail(fault, LEAT_ECONFIG, "positions and state need the name of an application");
	pthread_mutex_lock(&embedded->commit_lock);
	int rc = embedded->application_id ? 0 : find_application(embedded, fault);
	*id = embedded->application_id;
	pthread_mutex_unlock(&embedded->commit_lock);
	return rc;
}
