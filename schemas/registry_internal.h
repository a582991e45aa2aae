/* Parts of the registry client that its files share: one HTTP request, files of the folder. Not for others. */
#ifndef LEAT_REGISTRY_INTERNAL_H
#define LEAT_REGISTRY_INTERNAL_H

#include "schemas/registry.h"

#define LEAT_REGISTRY_ANSWER_MAX (1 << 20)     /* bytes of an answer, and of a schema file */

/* ---- registry_http.c: requests to one server, one at a time (the caller holds a lock) ---- */
struct leat_http;
/* LEAT_ECONFIG for a bad url or auth file, LEAT_ENOMEM. No network call. */
int leat_http_open(struct leat_http **out, const struct leat_registry_config *config, struct leat_fault *fault);
void leat_http_close(struct leat_http *http);
void leat_http_stop(struct leat_http *http);               /* any thread, without the lock */
const char *leat_http_name(const struct leat_http *http);  /* the url without credentials   */
/*
 * GET <url>@path, or POST when @body is given. 0: the server answered with *status, @answer holds the NUL-terminated body (the NUL is
 * not counted). LEAT_ERETRY: it did not answer; LEAT_ESTOPPED; LEAT_ENOMEM.
 */
int leat_http_request(struct leat_http *http, const char *path, const char *body, long *status, struct leat_buffer *answer, struct leat_fault *fault);
/* @text as one path element; free with leat_free. */
char *leat_http_escape(const char *text);

/* ---- registry_folder.c ---- */
/* Calls @each for every line of <folder>/ids.txt with the file's text; what @each returns below 0 ends it. LEAT_ECONFIG, LEAT_ENOMEM. */
typedef int leat_folder_each(void *self, int32_t id, const char *json, size_t length, struct leat_fault *fault);
int leat_folder_read(const char *folder, leat_folder_each *each, void *self, struct leat_fault *fault);

#endif
