/* One HTTP server asked with libcurl: bounded in time and size, only http and https, never redirected. */
#include "schemas/registry_internal.h"

#include <curl/curl.h>
#include <pthread.h>
#include <stdatomic.h>

enum { AUTH_MAX = 4096, POLL_MS = 100, TIMEOUT_MS = 5000 };

struct leat_http {
	CURL *easy;
	CURLM *multi;           /* because a transfer through it can be stopped in the middle */
	struct curl_slist *headers;
	char *url;              /* without credentials and trailing slash */
	char *user, *password;  /* from the url, or NULL                  */
	char *auth_file;
	char error[CURL_ERROR_SIZE];
	_Atomic bool stopped;
};

/* What the write callback needs: curl reports both of its failures as the same error. */
struct answer {
	struct leat_buffer *buffer;
	int rc;
};

static pthread_once_t curl_once = PTHREAD_ONCE_INIT;
static CURLcode curl_ready;

static void init_curl(void)
{
	curl_ready = curl_global_init(CURL_GLOBAL_DEFAULT);
}

static size_t take_answer(char *data, size_t size, size_t count, void *self)
{
	struct answer *answer = self;
	struct leat_buffer *buffer = answer->buffer;
	if (buffer->length + size * count > LEAT_REGISTRY_ANSWER_MAX) {
		answer->rc = LEAT_ELIMIT;
		return 0;
	}
	answer->rc = leat_buffer_append(buffer, data, size * count);
	return answer->rc < 0 ? 0 : size * count;
}

/* Takes one part of @parts as our own copy; a part that is not there is NULL. */
static int take_part(CURLU *parts, CURLUPart part, unsigned flags, char **out)
{
	char *text = NULL;
	*out = NULL;
	CURLUcode code = curl_url_get(parts, part, &text, flags);
	if (code == CURLUE_NO_USER || code == CURLUE_NO_PASSWORD)
		return 0;
	if (code != CURLUE_OK)
		return code == CURLUE_OUT_OF_MEMORY ? LEAT_ENOMEM : LEAT_ECONFIG;
	*out = leat_strdup(text);
	curl_free(text);
	return *out ? 0 : LEAT_ENOMEM;
}

static bool is_web(CURLU *parts)
{
	char *scheme = NULL;
	bool web = curl_url_get(parts, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
		   (strcmp(scheme, "http") == 0 || strcmp(scheme, "https") == 0);
	curl_free(scheme);
	return web;
}

static int split_url(struct leat_http *http, const char *url, struct leat_fault *fault)
{
	CURLU *parts = curl_url();
	if (!parts)
		return LEAT_ENOMEM;
	int rc = LEAT_ECONFIG;
	CURLUcode code = curl_url_set(parts, CURLUPART_URL, url, 0);
	if (code == CURLUE_OK && !is_web(parts))
		code = CURLUE_UNSUPPORTED_SCHEME;
	if (code != CURLUE_OK)
		goto out;
	if ((rc = take_part(parts, CURLUPART_USER, CURLU_URLDECODE, &http->user)) < 0 ||
	    (rc = take_part(parts, CURLUPART_PASSWORD, CURLU_URLDECODE, &http->password)) < 0)
		goto out;
	curl_url_set(parts, CURLUPART_USER, NULL, 0);
	curl_url_set(parts, CURLUPART_PASSWORD, NULL, 0);
	curl_url_set(parts, CURLUPART_QUERY, NULL, 0);
	curl_url_set(parts, CURLUPART_FRAGMENT, NULL, 0);
	if ((rc = take_part(parts, CURLUPART_URL, 0, &http->url)) < 0)
		goto out;
	for (size_t length = strlen(http->url); length && http->url[length - 1] == '/'; length--)
		http->url[length - 1] = 0;
out:
	if (rc == LEAT_ECONFIG)      /* does not repeat the url: it may hold a password */
		leat_fail(fault, rc, "registry: the url is not of the form http(s)://[user:password@]host[:port][/path]");
	curl_url_cleanup(parts);
	return rc;
}

static int set_login(struct leat_http *http, const char *user, const char *password)
{
	CURLcode code = curl_easy_setopt(http->easy, CURLOPT_USERNAME, user);
	if (code == CURLE_OK)
		code = curl_easy_setopt(http->easy, CURLOPT_PASSWORD, password ? password : "");
	return code == CURLE_OK ? 0 : LEAT_ENOMEM;
}

/* Anew for each request, which are rare: so the credentials can be changed while we run. */
static int read_login(struct leat_http *http, struct leat_fault *fault)
{
	struct leat_buffer text = { 0 };
	int rc = leat_file_read(http->auth_file, AUTH_MAX, true, &text, fault);
	if (rc < 0)
		goto out;
	char *user = (char *)text.data;
	user[strcspn(user, "\r\n")] = 0;
	char *colon = strchr(user, ':');
	if (!colon || colon == user) {
		rc = leat_fail(fault, LEAT_ECONFIG, "%s: its first line has to be user:password", http->auth_file);
		goto out;
	}
	*colon = 0;
	rc = set_login(http, user, colon + 1);
out:
	if (text.data)
		explicit_bzero(text.data, text.capacity);
	leat_buffer_free(&text);
	return rc;
}

#define SET(option, value)                                                             \
	if (code == CURLE_OK)                                                          \
	code = curl_easy_setopt(http->easy, option, value)

static CURLcode set_options(struct leat_http *http, const struct leat_registry_config *config)
{
	long timeout_ms = (long)(config->timeout_ms > 0 ? config->timeout_ms : TIMEOUT_MS);
	CURLcode code = CURLE_OK;
	SET(CURLOPT_PROTOCOLS_STR, "http,https");
	SET(CURLOPT_FOLLOWLOCATION, 0L);
	SET(CURLOPT_NOSIGNAL, 1L);
	SET(CURLOPT_TIMEOUT_MS, timeout_ms);
	SET(CURLOPT_CONNECTTIMEOUT_MS, timeout_ms);
	SET(CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
	SET(CURLOPT_SSL_VERIFYPEER, 1L);
	SET(CURLOPT_SSL_VERIFYHOST, 2L);
	SET(CURLOPT_USERAGENT, "leat");
	SET(CURLOPT_HTTPHEADER, http->headers);
	SET(CURLOPT_ERRORBUFFER, http->error);
	SET(CURLOPT_WRITEFUNCTION, take_answer);
	if (config->ca_file)
		SET(CURLOPT_CAINFO, config->ca_file);
	return code;
}

static int add_header(struct leat_http *http, const char *line)
{
	struct curl_slist *longer = curl_slist_append(http->headers, line);
	if (!longer)
		return LEAT_ENOMEM;
	http->headers = longer;
	return 0;
}

static int start(struct leat_http *http, const struct leat_registry_config *config)
{
	pthread_once(&curl_once, init_curl);
	if (curl_ready != CURLE_OK)
		return LEAT_ENOMEM;
	http->easy = curl_easy_init();
	http->multi = curl_multi_init();
	if (!http->easy || !http->multi)
		return LEAT_ENOMEM;
	LEAT_TRY(add_header(http, "Content-Type: application/vnd.schemaregistry.v1+json"));
	LEAT_TRY(add_header(http, "Accept: application/vnd.schemaregistry.v1+json, application/json"));
	LEAT_TRY(add_header(http, "Expect:"));
	return set_options(http, config) == CURLE_OK ? 0 : LEAT_ENOMEM;
}

int leat_http_open(struct leat_http **out, const struct leat_registry_config *config, struct leat_fault *fault)
{
	struct leat_http *http = leat_calloc(1, sizeof *http);
	int rc = http ? start(http, config) : LEAT_ENOMEM;
	*out = NULL;
	if (rc < 0 || (rc = split_url(http, config->url, fault)) < 0)
		goto out;
	if (config->auth_file && http->user) {
		rc = leat_fail(fault, LEAT_ECONFIG, "registry: credentials in the url and in %s; one of them is too many", config->auth_file);
		goto out;
	}
	rc = LEAT_ENOMEM;
	if (config->auth_file && !(http->auth_file = leat_strdup(config->auth_file)))
		goto out;
	rc = http->auth_file ? read_login(http, fault) : http->user ? set_login(http, http->user, http->password) : 0;
	if (rc < 0)
		goto out;
	*out = http;
	http = NULL;
out:
	if (rc == LEAT_ENOMEM)
		leat_fail(fault, rc, "registry: out of memory");
	leat_http_close(http);
	return rc;
}

static void forget(char *secret)
{
	if (secret)
		explicit_bzero(secret, strlen(secret));
	leat_free(secret);
}

void leat_http_close(struct leat_http *http)
{
	if (!http)
		return;
	curl_easy_cleanup(http->easy);
	curl_multi_cleanup(http->multi);
	curl_slist_free_all(http->headers);
	forget(http->user);
	forget(http->password);
	leat_free(http->url);
	leat_free(http->auth_file);
	leat_free(http);
}

void leat_http_stop(struct leat_http *http)
{
	http->stopped = true;
}

const char *leat_http_name(const struct leat_http *http)
{
	return http->url;
}

/* Runs the prepared transfer; *result is curl's verdict when 0 comes back. */
static int transfer(struct leat_http *http, CURLcode *result)
{
	int running = 1, left;
	CURLMcode code = curl_multi_add_handle(http->multi, http->easy);
	while (code == CURLM_OK && running && !http->stopped) {
		code = curl_multi_perform(http->multi, &running);
		if (code == CURLM_OK && running)
			code = curl_multi_poll(http->multi, NULL, 0, POLL_MS, NULL);
	}
	*result = CURLE_FAILED_INIT;
	for (CURLMsg *message; (message = curl_multi_info_read(http->multi, &left));)
		if (message->msg == CURLMSG_DONE)
			*result = message->data.result;
	curl_multi_remove_handle(http->multi, http->easy);
	if (running && http->stopped)
		return LEAT_ESTOPPED;
	return code == CURLM_OUT_OF_MEMORY ? LEAT_ENOMEM : 0;
}

static CURLcode prepare(struct leat_http *http, const char *url, const char *body, struct answer *answer)
{
	CURLcode code = CURLE_OK;
	http->error[0] = 0;
	SET(CURLOPT_URL, url);
	SET(CURLOPT_WRITEDATA, answer);
	if (!body) {
		SET(CURLOPT_HTTPGET, 1L);
		return code;
	}
	SET(CURLOPT_POST, 1L);
	SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)strlen(body));
	SET(CURLOPT_POSTFIELDS, body);
	return code;
}

static int explain(const struct leat_http *http, const struct answer *answer, CURLcode result, struct leat_fault *fault)
{
	if (answer->rc == LEAT_ENOMEM || result == CURLE_OUT_OF_MEMORY)
		return leat_fail(fault, LEAT_ENOMEM, "registry %s: out of memory", http->url);
	if (answer->rc == LEAT_ELIMIT)
		return leat_fail(fault, LEAT_ERETRY, "registry %s: its answer is larger than %d bytes", http->url, LEAT_REGISTRY_ANSWER_MAX);
	return leat_fail(fault, LEAT_ERETRY, "registry %s: %s", http->url, http->error[0] ? http->error : curl_easy_strerror(result));
}

int leat_http_request(struct leat_http *http, const char *path, const char *body, long *status, struct leat_buffer *answer, struct leat_fault *fault)
{
	struct answer taken = { .buffer = answer };
	CURLcode result = CURLE_OUT_OF_MEMORY;
	int rc = 0;
	char *url = NULL;
	answer->length = 0;
	if (http->stopped)
		return leat_fail(fault, LEAT_ESTOPPED, "registry %s: asked to stop", http->url);
	if (http->auth_file && (rc = read_login(http, fault)) == LEAT_ECONFIG && fault)
		fault->code = LEAT_ERETRY;      /* it was in order when we opened: somebody is changing it */
	if (rc < 0)
		return rc == LEAT_ECONFIG ? LEAT_ERETRY : rc;
	url = leat_printf("%s%s", http->url, path);
	if (url && prepare(http, url, body, &taken) == CURLE_OK)
		rc = transfer(http, &result);
	if (rc == LEAT_ESTOPPED) {
		leat_fail(fault, rc, "registry %s: asked to stop", http->url);
	} else if (rc < 0 || result != CURLE_OK) {
		rc = explain(http, &taken, rc < 0 ? CURLE_OUT_OF_MEMORY : result, fault);
	} else {
		curl_easy_getinfo(http->easy, CURLINFO_RESPONSE_CODE, status);
		rc = leat_buffer_append(answer, "", 1);
		answer->length -= rc == 0;
	}
	leat_free(url);
	return rc;
}

char *leat_http_escape(const char *text)
{
	char *escaped = curl_easy_escape(NULL, text, 0);
	char *copy = escaped ? leat_strdup(escaped) : NULL;
	curl_free(escaped);
	return copy;
}
