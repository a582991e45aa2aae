/*
 * Where schema ids come from: a Confluent-compatible Schema Registry when one is configured (libcurl), else the folder of
 * schemas, whose ids.txt gives each file its id ("<id> <file>" per line, # begins a comment). One object per process, thread-safe;
 * it caches for good, because an id never changes. Nothing but the url's host is ever contacted: redirects are not followed.
 */
#ifndef LEAT_REGISTRY_H
#define LEAT_REGISTRY_H

#include "base/base.h"

struct leat_registry;
struct leat_registry_config {
	const char *url;              /* http(s)://[user:password@]host:port[/path]; NULL: the folder only       */
	const char *folder;           /* *.avsc and ids.txt; may be NULL when url is given                       */
	const char *auth_file;        /* "user:password" in a file that others cannot read, or NULL; read anew for each request */
	const char *ca_file;          /* CA bundle for https, or NULL: the system's                              */
	int64_t timeout_ms;           /* of one request; 0: 5,000                                                */
	int64_t backoff_min_ms, backoff_max_ms;   /* after a failure; 0: 100 and 10,000                         */
	const struct leat_clock *clock;
};
/* Opens without a network call. LEAT_ECONFIG for a bad url, auth file or folder. The config's texts are copied, its clock is borrowed. */
int leat_registry_open(struct leat_registry **out, const struct leat_registry_config *config, struct leat_fault *fault);
void leat_registry_close(struct leat_registry *registry);
/* Whether @url (may be NULL) names a user, and so mostly a password. */
bool leat_registry_url_secret(const char *url);
/* From any thread: a request under way ends within 0.1 s, it and all later ones with LEAT_ESTOPPED; what is cached stays. */
void leat_registry_stop(struct leat_registry *registry);
/*
 * The schema text of @id, NUL-terminated, borrowed until close. 0; LEAT_ENOTFOUND: no such id (cached for 60 s); LEAT_ERETRY: the registry
 * cannot be reached now or makes no sense, call again later (no request is made before the back-off has passed, the call then returns at once);
 * LEAT_EUNSUPPORTED: not Avro, or with references to other schemas (cached for good); LEAT_ELIMIT: over 10,000 schemas; LEAT_ENOMEM.
 * Blocks for at most timeout_ms, and only when it has to ask.
 */
int leat_registry_by_id(struct leat_registry *registry, int32_t id, const char **json, size_t *length, struct leat_fault *fault);
/* The id of @json under @subject ("<topic>-value"), registering it when it is new. Same errors; LEAT_ESCHEMA when the registry says it is incompatible. */
int leat_registry_register(struct leat_registry *registry, const char *subject, const char *json, int32_t *id, struct leat_fault *fault);

#endif
