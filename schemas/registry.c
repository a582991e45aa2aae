/* Schema ids: a cache that only grows, in front of a registry that may be away, or of a folder that is read once. */
#include "schemas/registry_internal.h"

#include <jansson.h>
#include <pthread.h>

enum {
	SCHEMAS_MAX = 10000,
	SUBJECTS_MAX = 10000,
	MISSING = 1024,                 /* ids known not to exist; the oldest is forgotten first */
	MISSING_US = 60 * 1000000,
	BACKOFF_MIN_MS = 100,
	BACKOFF_MAX_MS = 10000,
	NO_SUCH_SCHEMA = 40403,         /* error_code of the REST API, beside HTTP 404 */
	ASK = 1,                        /* the cache does not know                      */
};

struct entry {
	int32_t id;
	int code;               /* 0, or LEAT_EUNSUPPORTED: then @json says why */
	size_t length;
	char json[];
};
struct registration {
	uint64_t hash;
	int32_t id;
	char *subject, *json;
};
struct missing {
	int32_t id;
	int64_t until_us;
};

struct leat_registry {
	struct leat_http *http;         /* NULL: folder only */
	char *folder;
	const struct leat_clock *clock;
	pthread_mutex_t asking;         /* one request at a time; guards http and the back-off; taken before @cache */
	int64_t backoff_min_ms, backoff_max_ms, backoff_ms, retry_at_us;
	char *trouble;                  /* why the last request failed, or NULL */
	pthread_mutex_t cache;          /* guards what follows; never held during a request */
	struct entry **entries;         /* by id */
	size_t count, capacity;
	struct registration *registrations;
	size_t registration_count, registration_capacity;
	struct missing missing[MISSING];
	size_t next_missing;
};

/* ---- cache (lock: cache) ---- */

/* Index of @id, or where it belongs. */
static size_t find_entry(const struct leat_registry *registry, int32_t id)
{
	size_t low = 0, high = registry->count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (registry->entries[middle]->id < id)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool is_missing(struct leat_registry *registry, int32_t id)
{
	int64_t now = leat_clock_mono_us(registry->clock);
	for (size_t i = 0; i < MISSING; i++)
		if (registry->missing[i].id == id && registry->missing[i].until_us > now)
			return true;
	return false;
}

static int absent(const struct leat_registry *registry, int32_t id, struct leat_fault *fault)
{
	return leat_fail(fault, LEAT_ENOTFOUND, "schema %d is not in the registry %s", (int)id, leat_http_name(registry->http));
}

static int look_up(struct leat_registry *registry, int32_t id, const char **json, size_t *length, struct leat_fault *fault)
{
	size_t at = find_entry(registry, id);
	if (at < registry->count && registry->entries[at]->id == id) {
		const struct entry *entry = registry->entries[at];
		if (entry->code < 0)
			return leat_fail(fault, entry->code, "schema %d: %s", (int)id, entry->json);
		*json = entry->json;
		*length = entry->length;
		return 0;
	}
	if (!registry->http)
		return leat_fail(fault, LEAT_ENOTFOUND, "schema %d is not in %s/ids.txt", (int)id, registry->folder);
	if (id < 0 || is_missing(registry, id))
		return absent(registry, id, fault);
	return ASK;
}

static int grow(void **array, size_t count, size_t *capacity, size_t size)
{
	if (count < *capacity)
		return 0;
	size_t want = *capacity ? *capacity * 2 : 16;
	void *longer = leat_realloc(*array, want * size);
	if (!longer)
		return LEAT_ENOMEM;
	*array = longer;
	*capacity = want;
	return 0;
}

static int add_entry(struct leat_registry *registry, int32_t id, int code, const char *text, size_t length, struct leat_fault *fault)
{
	if (registry->count == SCHEMAS_MAX)
		return leat_fail(fault, LEAT_ELIMIT, "more than %d schemas", SCHEMAS_MAX);
	void *array = registry->entries;
	struct entry *entry = NULL;
	if (grow(&array, registry->count, &registry->capacity, sizeof(struct entry *)) == 0)
		entry = leat_malloc(sizeof *entry + length + 1);
	registry->entries = array;
	if (!entry)
		return leat_fail(fault, LEAT_ENOMEM, "schema %d: out of memory", (int)id);
	*entry = (struct entry){ .id = id, .code = code, .length = length };
	memcpy(entry->json, text, length);
	entry->json[length] = 0;
	size_t at = find_entry(registry, id);
	memmove(registry->entries + at + 1, registry->entries + at, (registry->count - at) * sizeof *registry->entries);
	registry->entries[at] = entry;
	registry->count++;
	return 0;
}

static void add_missing(struct leat_registry *registry, int32_t id)
{
	struct missing *missing = &registry->missing[registry->next_missing++ % MISSING];
	*missing = (struct missing){ .id = id, .until_us = leat_clock_mono_us(registry->clock) + MISSING_US };
}

static uint64_t hash_of(const char *subject, const char *json)
{
	return leat_mix(leat_hash(subject, strlen(subject))) ^ leat_hash(json, strlen(json));
}

static int look_up_registration(const struct leat_registry *registry, const char *subject, const char *json, int32_t *id)
{
	uint64_t hash = hash_of(subject, json);
	for (size_t i = 0; i < registry->registration_count; i++) {
		const struct registration *known = &registry->registrations[i];
		if (known->hash == hash && strcmp(known->subject, subject) == 0 && strcmp(known->json, json) == 0) {
			*id = known->id;
			return 0;
		}
	}
	return ASK;
}

static int add_registration(struct leat_registry *registry, const char *subject, const char *json, int32_t id, struct leat_fault *fault)
{
	if (registry->registration_count == SUBJECTS_MAX)
		return leat_fail(fault, LEAT_ELIMIT, "more than %d registered schemas", SUBJECTS_MAX);
	struct registration new = { .hash = hash_of(subject, json), .id = id, .subject = leat_strdup(subject), .json = leat_strdup(json) };
	void *array = registry->registrations;
	int rc = new.subject && new.json ? grow(&array, registry->registration_count, &registry->registration_capacity, sizeof new) : LEAT_ENOMEM;
	registry->registrations = array;
	if (rc < 0) {
		leat_free(new.subject);
		leat_free(new.json);
		return leat_fail(fault, rc, "%s: out of memory", subject);
	}
	registry->registrations[registry->registration_count++] = new;
	return 0;
}

/* ---- open and close ---- */

static int add_file(void *self, int32_t id, const char *json, size_t length, struct leat_fault *fault)
{
	struct leat_registry *registry = self;
	size_t at = find_entry(registry, id);
	if (at < registry->count && registry->entries[at]->id == id)
		return leat_fail(fault, LEAT_ECONFIG, "%s/ids.txt: id %d is given twice", registry->folder, (int)id);
	return add_entry(registry, id, 0, json, length, fault);
}

static int open_source(struct leat_registry *registry, const struct leat_registry_config *config, struct leat_fault *fault)
{
	if (config->url)
		return leat_http_open(&registry->http, config, fault);
	if (!config->folder)
		return leat_fail(fault, LEAT_ECONFIG, "registry: neither a url nor a folder of schemas is given");
	registry->folder = leat_strdup(config->folder);
	if (!registry->folder)
		return leat_fail(fault, LEAT_ENOMEM, "registry: out of memory");
	return leat_folder_read(registry->folder, add_file, registry, fault);
}

int leat_registry_open(struct leat_registry **out, const struct leat_registry_config *config, struct leat_fault *fault)
{
	struct leat_registry *registry = leat_calloc(1, sizeof *registry);
	*out = NULL;
	if (!registry)
		return leat_fail(fault, LEAT_ENOMEM, "registry: out of memory");
	pthread_mutex_init(&registry->asking, NULL);
	pthread_mutex_init(&registry->cache, NULL);
	registry->clock = config->clock;
	registry->backoff_min_ms = config->backoff_min_ms > 0 ? config->backoff_min_ms : BACKOFF_MIN_MS;
	registry->backoff_max_ms = config->backoff_max_ms > 0 ? config->backoff_max_ms : BACKOFF_MAX_MS;
	int rc = open_source(registry, config, fault);
	if (rc < 0) {
		leat_registry_close(registry);
		return rc;
	}
	*out = registry;
	return 0;
}

bool leat_registry_url_secret(const char *url)
{
	const char *host = url ? strstr(url, "://") : NULL;
	return host && host[3 + strcspn(host + 3, "@/?#")] == '@';
}

void leat_registry_close(struct leat_registry *registry)
{
	if (!registry)
		return;
	leat_http_close(registry->http);
	for (size_t i = 0; i < registry->count; i++)
		leat_free(registry->entries[i]);
	for (size_t i = 0; i < registry->registration_count; i++) {
		leat_free(registry->registrations[i].subject);
		leat_free(registry->registrations[i].json);
	}
	leat_free(registry->entries);
	leat_free(registry->registrations);
	leat_free(registry->folder);
	leat_free(registry->trouble);
	pthread_mutex_destroy(&registry->asking);
	pthread_mutex_destroy(&registry->cache);
	leat_free(registry);
}

void leat_registry_stop(struct leat_registry *registry)
{
	if (registry->http)
		leat_http_stop(registry->http);
}

/* ---- asking the registry (lock: asking) ---- */

/* The registry's own words, as one bounded line: it may be anybody. */
static const char *message_of(const json_t *answer, char out[200])
{
	const char *message = json_string_value(json_object_get(answer, "message"));
	snprintf(out, 200, "%s", message ? message : "no message");
	for (char *c = out; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = ' ';
	return out;
}

static void back_off(struct leat_registry *registry, const struct leat_fault *why)
{
	int64_t longer = registry->backoff_ms > registry->backoff_max_ms / 2 ? registry->backoff_max_ms : registry->backoff_ms * 2;
	registry->backoff_ms = LEAT_MAX(longer, registry->backoff_min_ms);
	registry->retry_at_us = leat_clock_mono_us(registry->clock) + registry->backoff_ms * 1000;
	leat_free(registry->trouble);
	registry->trouble = leat_strdup(why->text);
}

/* Any answer that keeps to the API says that the registry is well again. */
static void be_well(struct leat_registry *registry)
{
	registry->backoff_ms = 0;
	registry->retry_at_us = 0;
}

static int wait_for_backoff(const struct leat_registry *registry, struct leat_fault *fault)
{
	int64_t left_us = registry->retry_at_us - leat_clock_mono_us(registry->clock);
	if (!registry->backoff_ms || left_us <= 0)
		return 0;
	return leat_fail(fault, LEAT_ERETRY, "%s; asking again in %lld ms", registry->trouble ? registry->trouble : leat_error_text(LEAT_ERETRY),
			 (long long)((left_us + 999) / 1000));
}

static int refuse(const struct leat_registry *registry, long status, const json_t *answer, struct leat_fault *fault)
{
	char message[200];
	const char *hint = status == 401 || status == 403 ? "it refuses the credentials; " :
			   status == 404		   ? "is the url right? " :
			   status >= 300 && status < 400   ? "it redirects, which is not followed; " : "";
	return leat_fail(fault, LEAT_ERETRY, "registry %s: HTTP %ld: %s%s", leat_http_name(registry->http), status, hint, message_of(answer, message));
}

/* One request unless the back-off says no. 0: *answer is the JSON object of the success; else what @judge makes of an answer by the API. */
typedef int judge_answer(const struct leat_registry *registry, long status, const json_t *answer, struct leat_fault *fault);
static int ask(struct leat_registry *registry, const char *path, const char *body, judge_answer *judge, json_t **answer, struct leat_fault *fault)
{
	struct leat_buffer text = { 0 };
	long status = 0;
	*answer = NULL;
	LEAT_TRY(wait_for_backoff(registry, fault));
	int rc = leat_http_request(registry->http, path, body, &status, &text, fault);
	if (rc < 0)
		goto out;
	*answer = json_loadb((const char *)text.data, text.length, JSON_REJECT_DUPLICATES, NULL);
	if (status / 100 != 2)
		rc = judge(registry, status, *answer, fault);
	else if (!json_is_object(*answer))
		rc = leat_fail(fault, LEAT_ERETRY, "registry %s: its answer is not a JSON object", leat_http_name(registry->http));
out:
	if (rc == LEAT_ERETRY)
		back_off(registry, fault);
	else if (status)
		be_well(registry);
	if (rc < 0) {
		json_decref(*answer);
		*answer = NULL;
	}
	leat_buffer_free(&text);
	return rc;
}

/* An answer that is JSON but not what the API promises. */
static int nonsense(struct leat_registry *registry, struct leat_fault *fault)
{
	leat_fail(fault, LEAT_ERETRY, "registry %s: its answer lacks what the API promises", leat_http_name(registry->http));
	back_off(registry, fault);
	return LEAT_ERETRY;
}

static int judge_by_id(const struct leat_registry *registry, long status, const json_t *answer, struct leat_fault *fault)
{
	/* Without the error code, a 404 comes from somebody else, and events must not be given up for it. */
	if (status == 404 && json_integer_value(json_object_get(answer, "error_code")) == NO_SUCH_SCHEMA)
		return leat_fail(fault, LEAT_ENOTFOUND, "not in the registry %s", leat_http_name(registry->http));
	return refuse(registry, status, answer, fault);
}

static int judge_register(const struct leat_registry *registry, long status, const json_t *answer, struct leat_fault *fault)
{
	char message[200];
	if ((status == 409 || status == 422) && json_is_object(answer))
		return leat_fail(fault, LEAT_ESCHEMA, "registry %s: %s: %s", leat_http_name(registry->http),
				 status == 409 ? "not compatible with what is registered" : "not a valid schema", message_of(answer, message));
	return refuse(registry, status, answer, fault);
}

/* Why we cannot use what the registry has, or NULL. */
static const char *unsupported(const json_t *answer)
{
	const char *type = json_string_value(json_object_get(answer, "schemaType"));
	if (type && strcmp(type, "AVRO") != 0)
		return "it is not an Avro schema";
	if (json_array_size(json_object_get(answer, "references")))
		return "it refers to other schemas (\"references\"), which is not supported; register it as one schema";
	return NULL;
}

static int fetch(struct leat_registry *registry, int32_t id, struct leat_fault *fault)
{
	json_t *answer;
	char path[40];
	snprintf(path, sizeof path, "/schemas/ids/%d", (int)id);
	int rc = ask(registry, path, NULL, judge_by_id, &answer, fault);
	const json_t *schema = json_object_get(answer, "schema");
	const char *why = rc == 0 ? unsupported(answer) : NULL;
	if (rc == 0 && !json_is_string(schema)) {
		rc = nonsense(registry, fault);
		goto out;
	}
	pthread_mutex_lock(&registry->cache);
	if (rc == LEAT_ENOTFOUND) {
		absent(registry, id, fault);
		add_missing(registry, id);
	} else if (rc == 0 && why) {
		rc = add_entry(registry, id, LEAT_EUNSUPPORTED, why, strlen(why), fault);
	} else if (rc == 0) {
		rc = add_entry(registry, id, 0, json_string_value(schema), json_string_length(schema), fault);
	}
	pthread_mutex_unlock(&registry->cache);
out:
	json_decref(answer);
	return rc;
}

static int look_up_locked(struct leat_registry *registry, int32_t id, const char **json, size_t *length, struct leat_fault *fault)
{
	pthread_mutex_lock(&registry->cache);
	int rc = look_up(registry, id, json, length, fault);
	pthread_mutex_unlock(&registry->cache);
	return rc;
}

int leat_registry_by_id(struct leat_registry *registry, int32_t id, const char **json, size_t *length, struct leat_fault *fault)
{
	struct leat_fault own = { 0 };
	if (!fault)
		fault = &own;
	int rc = look_up_locked(registry, id, json, length, fault);
	if (rc != ASK)
		return rc;
	pthread_mutex_lock(&registry->asking);
	rc = look_up_locked(registry, id, json, length, fault);     /* somebody may have asked while we waited */
	if (rc == ASK && (rc = fetch(registry, id, fault)) == 0)
		rc = look_up_locked(registry, id, json, length, fault);
	pthread_mutex_unlock(&registry->asking);
	return rc;
}

/* ---- registering ---- */

static int send_registration(struct leat_registry *registry, const char *subject, const char *json, int32_t *id, struct leat_fault *fault)
{
	json_t *answer = NULL, *request = json_pack("{s:s}", "schema", json);
	char *body = request ? json_dumps(request, JSON_COMPACT) : NULL;
	char *escaped = leat_http_escape(subject);
	char *path = escaped ? leat_printf("/subjects/%s/versions", escaped) : NULL;
	json_free_t release;
	json_get_alloc_funcs(NULL, &release);
	int rc = LEAT_ENOMEM;
	if (!body || !path) {
		leat_fail(fault, rc, "%s: out of memory, or the schema is not UTF-8", subject);
		goto out;
	}
	if ((rc = ask(registry, path, body, judge_register, &answer, fault)) < 0)
		goto out;
	json_int_t number = json_integer_value(json_object_get(answer, "id"));
	if (number < 1 || number > INT32_MAX) {
		rc = nonsense(registry, fault);
		goto out;
	}
	*id = (int32_t)number;
out:
	json_decref(answer);
	json_decref(request);
	release(body);
	leat_free(escaped);
	leat_free(path);
	return rc;
}

/* In the folder a schema has an id when a file holds the same JSON, however it is laid out. */
static int find_in_folder(const struct leat_registry *registry, const char *json, int32_t *id, struct leat_fault *fault)
{
	json_t *wanted = json_loads(json, JSON_DECODE_ANY, NULL);
	int rc = LEAT_ENOTFOUND;
	for (size_t i = 0; wanted && rc < 0 && i < registry->count; i++) {
		json_t *have = json_loadb(registry->entries[i]->json, registry->entries[i]->length, JSON_DECODE_ANY, NULL);
		if (have && json_equal(wanted, have)) {
			*id = registry->entries[i]->id;
			rc = 0;
		}
		json_decref(have);
	}
	const json_t *name = json_object_get(wanted, "name");
	if (rc < 0)
		leat_fail(fault, rc, "the schema %s has no id: give it one with schema_id:, or save it in %s and add a line to ids.txt, or write format: json",
			  json_is_string(name) ? json_string_value(name) : "?", registry->folder);
	json_decref(wanted);
	return rc;
}

int leat_registry_register(struct leat_registry *registry, const char *subject, const char *json, int32_t *id, struct leat_fault *fault)
{
	struct leat_fault own = { 0 };
	if (!fault)
		fault = &own;
	if (!registry->http)
		return find_in_folder(registry, json, id, fault);
	pthread_mutex_lock(&registry->asking);
	pthread_mutex_lock(&registry->cache);
	int rc = look_up_registration(registry, subject, json, id);
	pthread_mutex_unlock(&registry->cache);
	if (rc == ASK && (rc = send_registration(registry, subject, json, id, fault)) == 0) {
		pthread_mutex_lock(&registry->cache);
		rc = add_registration(registry, subject, json, *id, fault);
		pthread_mutex_unlock(&registry->cache);
	}
	pthread_mutex_unlock(&registry->asking);
	return rc;
}
