/* The registry client against a server of the test's own, and against the folder of schemas. */
#include "schemas/registry.h"
#include "tests/schemas/registry_server.h"

#include <sys/stat.h>

#define A "{\"type\":\"record\",\"name\":\"A\",\"fields\":[]}"
#define B "{\"type\":\"record\",\"name\":\"B\",\"fields\":[]}"
#define ANSWER(status, body) "HTTP/1.1 " status "\r\nConnection: close\r\n\r\n" body

static int64_t now_us;
static int64_t read_now(void *self)
{
	(void)self;
	return now_us;
}
static const struct leat_clock virtual = { .wall_ms = read_now, .mono_us = read_now };

struct scene {
	struct server server;
	struct leat_registry *registry;
	struct leat_fault fault;
	char url[200];
};

static struct leat_registry *open_with(struct scene *scene, struct leat_registry_config config)
{
	snprintf(scene->url, sizeof scene->url, "http://127.0.0.1:%d", scene->server.port);
	config.url = config.url ? config.url : scene->url;
	config.clock = &virtual;
	leat_registry_close(scene->registry);
	assert_int_equal(leat_registry_open(&scene->registry, &config, &scene->fault), 0);
	return scene->registry;
}

static int set_up(void **state)
{
	struct scene *scene = calloc(1, sizeof *scene);
	*state = scene;
	now_us = 0;
	server_start(&scene->server);
	open_with(scene, (struct leat_registry_config){ 0 });
	return 0;
}

static int tear_down(void **state)
{
	struct scene *scene = *state;
	leat_registry_close(scene->registry);
	server_stop(&scene->server);
	server_forget(&scene->server);
	free(scene);
	return 0;
}

static int by_id(struct scene *scene, int32_t id, const char **json)
{
	size_t length = 0;
	const char *unused;
	scene->fault = (struct leat_fault){ 0 };
	int rc = leat_registry_by_id(scene->registry, id, json ? json : &unused, &length, &scene->fault);
	assert_int_equal(rc, scene->fault.code);
	if (rc == 0 && json)
		assert_int_equal(length, strlen(*json));
	return rc;
}

static int registered(struct scene *scene, const char *subject, const char *json)
{
	int32_t id = 0;
	scene->fault = (struct leat_fault){ 0 };
	int rc = leat_registry_register(scene->registry, subject, json, &id, &scene->fault);
	assert_int_equal(rc, scene->fault.code);
	return rc < 0 ? rc : id;
}

static void assert_says(const struct scene *scene, const char *wanted)
{
	if (!strstr(scene->fault.text, wanted))
		fail_msg("\"%s\" does not say \"%s\"", scene->fault.text, wanted);
}

/* ---- what the API promises ---- */

static void a_registered_schema_has_one_id_and_is_found_by_it(void **state)
{
	struct scene *scene = *state;
	const char *json;
	assert_int_equal(registered(scene, "shop.clicks-value", A), 1);
	assert_int_equal(registered(scene, "shop.ads-value", B), 2);
	assert_int_equal(registered(scene, "shop.clicks-value", A), 1);
	assert_int_equal(server_requests(&scene->server), 2);
	assert_int_equal(by_id(scene, 2, &json), 0);
	assert_string_equal(json, B);
	assert_int_equal(by_id(scene, 1, &json), 0);
	assert_string_equal(json, A);
}

static void an_id_is_asked_for_once(void **state)
{
	struct scene *scene = *state;
	const char *first, *second;
	scene->server.schemas[scene->server.count++] = strdup(A);
	assert_int_equal(by_id(scene, 1, &first), 0);
	now_us += 1000000000000;
	assert_int_equal(by_id(scene, 1, &second), 0);
	assert_ptr_equal(first, second);
	assert_int_equal(server_requests(&scene->server), 1);
}

static void an_unknown_id_is_asked_for_again_after_a_minute(void **state)
{
	struct scene *scene = *state;
	assert_int_equal(by_id(scene, 1, NULL), LEAT_ENOTFOUND);
	assert_says(scene, "schema 1 is not in the registry http://127.0.0.1:");
	scene->server.schemas[scene->server.count++] = strdup(A);
	now_us += 59999999;
	assert_int_equal(by_id(scene, 1, NULL), LEAT_ENOTFOUND);
	assert_int_equal(server_requests(&scene->server), 1);
	now_us += 1;
	assert_int_equal(by_id(scene, 1, NULL), 0);
	assert_int_equal(by_id(scene, -5, NULL), LEAT_ENOTFOUND);
	assert_int_equal(server_requests(&scene->server), 2);
}

static void request_is_as_the_api_says(void **state)
{
	struct scene *scene = *state;
	char url[200];
	snprintf(url, sizeof url, "http://127.0.0.1:%d/apis/v7/", scene->server.port);
	open_with(scene, (struct leat_registry_config){ .url = url });
	registered(scene, "a/b c-value", "{\"name\":\"\xc3\xa4\"}");
	assert_int_equal(strncmp(scene->server.request, "POST /apis/v7/subjects/a%2Fb%20c-value/versions HTTP/1.1\r\n", 57), 0);
	assert_non_null(strstr(scene->server.request, "\r\nContent-Type: application/vnd.schemaregistry.v1+json\r\n"));
	assert_non_null(strstr(scene->server.request, "\r\n\r\n{\"schema\":\"{\\\"name\\\":\\\"\xc3\xa4\\\"}\"}"));
}

static void an_incompatible_schema_is_refused_without_back_off(void **state)
{
	struct scene *scene = *state;
	server_can(&scene->server, ANSWER("409 X", "{\"error_code\":409,\"message\":\"reader is\\nmissing a\"}"));
	assert_int_equal(registered(scene, "s", A), LEAT_ESCHEMA);
	assert_says(scene, "not compatible with what is registered: reader is missing a");
	server_can(&scene->server, ANSWER("422 X", "{\"error_code\":42201,\"message\":\"bad\"}"));
	assert_int_equal(registered(scene, "s", A), LEAT_ESCHEMA);
	assert_says(scene, "not a valid schema: bad");
	server_can(&scene->server, NULL);
	assert_int_equal(registered(scene, "s", A), 1);
}

static void a_schema_we_cannot_use_is_named_and_remembered(void **state)
{
	struct scene *scene = *state;
	server_can(&scene->server, ANSWER("200 OK", "{\"schema\":\"{}\",\"references\":[{\"name\":\"x\",\"subject\":\"y\",\"version\":1}]}"));
	assert_int_equal(by_id(scene, 1, NULL), LEAT_EUNSUPPORTED);
	assert_int_equal(by_id(scene, 1, NULL), LEAT_EUNSUPPORTED);
	assert_says(scene, "schema 1: it refers to other schemas (\"references\"), which is not supported");
	server_can(&scene->server, ANSWER("200 OK", "{\"schema\":\"syntax\",\"schemaType\":\"PROTOBUF\"}"));
	assert_int_equal(by_id(scene, 2, NULL), LEAT_EUNSUPPORTED);
	assert_says(scene, "schema 2: it is not an Avro schema");
	server_can(&scene->server, ANSWER("200 OK", "{\"schema\":\"{}\",\"schemaType\":\"AVRO\",\"references\":[]}"));
	assert_int_equal(by_id(scene, 3, NULL), 0);
	assert_int_equal(server_requests(&scene->server), 3);
}

/* ---- what goes wrong ---- */

static void an_answer_outside_the_api_is_no_verdict(void **state)
{
	static const struct { const char *bytes, *says; } answers[] = {
		{ "", "Empty reply" },
		{ "SSH-2.0-OpenSSH\r\n", "HTTP/0.9" },
		{ "HTTP/1.1 200 OK\r\nContent-Length: 50\r\nConnection: close\r\n\r\n{\"schema\":", "" },
		{ ANSWER("200 OK", ""), "not a JSON object" },
		{ ANSWER("200 OK", "<html>"), "not a JSON object" },
		{ ANSWER("200 OK", "[1]"), "not a JSON object" },
		{ ANSWER("200 OK", "{}"), "lacks what the API promises" },
		{ ANSWER("200 OK", "{\"schema\":{},\"id\":\"1\"}"), "lacks what the API promises" },
		{ ANSWER("200 OK", "{\"schema\":7,\"id\":0}"), "lacks what the API promises" },
		{ ANSWER("200 OK", "{\"schema\":null,\"id\":2147483648}"), "lacks what the API promises" },
		{ ANSWER("204 No Content", ""), "not a JSON object" },
		{ ANSWER("301 X\r\nLocation: /schemas/ids/2", ""), "HTTP 301: it redirects, which is not followed" },
		{ ANSWER("400 X", "{\"error_code\":40403,\"message\":\"m\"}"), "HTTP 400: m" },
		{ ANSWER("401 X", "{\"error_code\":401}"), "HTTP 401: it refuses the credentials" },
		{ ANSWER("403 X", "{}"), "HTTP 403: it refuses the credentials" },
		{ ANSWER("404 X", "<html>no such page</html>"), "HTTP 404: is the url right?" },
		{ ANSWER("404 X", "{\"error_code\":404,\"message\":\"HTTP 404 Not Found\"}"), "HTTP 404: is the url right?" },
		{ ANSWER("409 X", "<html>"), "HTTP 409" },
		{ ANSWER("429 X", ""), "HTTP 429" },
		{ ANSWER("500 X", "{\"error_code\":50001,\"message\":\"store\"}"), "HTTP 500: store" },
		{ ANSWER("503 X", ""), "HTTP 503" },
	};
	struct scene *scene = *state;
	for (size_t i = 0; i < LEAT_COUNT_OF(answers); i++) {
		server_can(&scene->server, answers[i].bytes);
		now_us += 3600000000;
		assert_int_equal(by_id(scene, 1, NULL), LEAT_ERETRY);
		assert_says(scene, answers[i].says);
		now_us += 3600000000;
		assert_int_equal(registered(scene, "s", A), LEAT_ERETRY);
		assert_says(scene, answers[i].says);
		assert_int_equal(server_requests(&scene->server), 2 * (i + 1));
	}
	server_can(&scene->server, NULL);
	now_us += 3600000000;
	assert_int_equal(registered(scene, "s", A), 1);
}

static void an_endless_answer_is_cut_off(void **state)
{
	struct scene *scene = *state;
	size_t length = (1 << 20) + 100;
	char *bytes = malloc(length + 1);
	memset(bytes, ' ', length);
	bytes[length] = 0;
	memcpy(bytes, "HTTP/1.1 200 OK\r\n\r\n", 19);
	server_can(&scene->server, bytes);
	assert_int_equal(by_id(scene, 1, NULL), LEAT_ERETRY);
	assert_says(scene, "larger than 1048576 bytes");
	server_can(&scene->server, NULL);
	bytes[length - 81] = 0;         /* 19 of head, 1 MiB of body */
	server_can(&scene->server, bytes);
	now_us += 3600000000;
	assert_int_equal(by_id(scene, 1, NULL), LEAT_ERETRY);
	assert_says(scene, "not a JSON object");
	server_can(&scene->server, NULL);
	free(bytes);
}

static void back_off_doubles_up_to_its_bound_and_ends_with_success(void **state)
{
	static const int64_t waits_ms[] = { 100, 200, 400, 800, 1600, 3200, 6400, 10000, 10000, 10000 };
	struct scene *scene = *state;
	scene->server.schemas[scene->server.count++] = strdup(A);
	for (int round = 0; round < 2; round++) {
		scene->server.requests = 0;
		server_can(&scene->server, ANSWER("500 X", ""));
		for (size_t i = 0; i < LEAT_COUNT_OF(waits_ms); i++) {
			assert_int_equal(by_id(scene, round + 1, NULL), LEAT_ERETRY);
			assert_int_equal(server_requests(&scene->server), i + 1);
			now_us += waits_ms[i] * 1000 - 1;
			assert_int_equal(registered(scene, "s", A), LEAT_ERETRY);
			assert_says(scene, "HTTP 500: no message; asking again in 1 ms");
			assert_int_equal(server_requests(&scene->server), i + 1);
			now_us += 1;
		}
		server_can(&scene->server, NULL);
		assert_int_equal(by_id(scene, round + 1, NULL), round == 0 ? 0 : LEAT_ENOTFOUND);
	}
}

static void what_is_cached_is_served_while_the_registry_is_away(void **state)
{
	struct scene *scene = *state;
	assert_int_equal(registered(scene, "s", A), 1);
	assert_int_equal(by_id(scene, 1, NULL), 0);
	server_stop(&scene->server);
	assert_int_equal(by_id(scene, 2, NULL), LEAT_ERETRY);
	assert_says(scene, "registry http://127.0.0.1:");
	assert_int_equal(by_id(scene, 1, NULL), 0);
	assert_int_equal(registered(scene, "s", A), 1);
	server_start(&scene->server);
	assert_int_equal(by_id(scene, 2, NULL), LEAT_ERETRY);
	now_us += 100000;
	assert_int_equal(by_id(scene, 2, NULL), LEAT_ENOTFOUND);
	assert_int_equal(registered(scene, "s", B), 2);
}

static void a_hanging_server_is_given_up_after_the_timeout(void **state)
{
	struct scene *scene = *state;
	open_with(scene, (struct leat_registry_config){ .timeout_ms = 50 });
	scene->server.hang = true;
	assert_int_equal(by_id(scene, 1, NULL), LEAT_ERETRY);
	assert_says(scene, "timed out");
	assert_int_equal(server_requests(&scene->server), 1);
}

static void *ask_for_one(void *self)
{
	struct scene *scene = self;
	return (void *)(intptr_t)by_id(scene, 1, NULL);
}

static void stop_ends_a_request_under_way(void **state)
{
	struct scene *scene = *state;
	void *rc;
	pthread_t thread;
	open_with(scene, (struct leat_registry_config){ .timeout_ms = 600000 });
	scene->server.hang = true;
	assert_int_equal(pthread_create(&thread, NULL, ask_for_one, scene), 0);
	pthread_mutex_lock(&scene->server.lock);
	while (!scene->server.requests)
		pthread_cond_wait(&scene->server.arrived, &scene->server.lock);
	pthread_mutex_unlock(&scene->server.lock);
	leat_registry_stop(scene->registry);
	pthread_join(thread, &rc);
	assert_int_equal((intptr_t)rc, LEAT_ESTOPPED);
	assert_int_equal(by_id(scene, 1, NULL), LEAT_ESTOPPED);
	assert_int_equal(server_requests(&scene->server), 1);
}

static void *ask_for_all(void *self)
{
	struct scene *scene = self;
	intptr_t wrong = 0;
	for (int32_t id = 1; id <= 6; id++) {
		const char *json;
		size_t length;
		int rc = leat_registry_by_id(scene->registry, id, &json, &length, NULL);
		wrong += id <= 4 ? rc != 0 || strcmp(json, scene->server.schemas[id - 1]) != 0 : rc != LEAT_ENOTFOUND;
		wrong += leat_registry_register(scene->registry, "s", A, &(int32_t){ 0 }, NULL) != 0;
	}
	return (void *)wrong;
}

static void threads_share_one_request(void **state)
{
	struct scene *scene = *state;
	pthread_t threads[8];
	void *wrong;
	for (scene->server.count = 0; scene->server.count < 4; scene->server.count++)
		scene->server.schemas[scene->server.count] = strdup(scene->server.count ? B : A);
	for (size_t i = 0; i < 8; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, ask_for_all, scene), 0);
	for (size_t i = 0; i < 8; i++) {
		pthread_join(threads[i], &wrong);
		assert_int_equal((intptr_t)wrong, 0);
	}
	assert_int_equal(server_requests(&scene->server), 7);
}

static void ids_without_end_do_not_grow_the_memory_of_missing_ones(void **state)
{
	struct scene *scene = *state;
	for (int32_t id = 1; id <= 1025; id++)
		assert_int_equal(by_id(scene, id, NULL), LEAT_ENOTFOUND);
	assert_int_equal(by_id(scene, 1025, NULL), LEAT_ENOTFOUND);
	assert_int_equal(by_id(scene, 2, NULL), LEAT_ENOTFOUND);
	assert_int_equal(server_requests(&scene->server), 1025);
	assert_int_equal(by_id(scene, 1, NULL), LEAT_ENOTFOUND);
	assert_int_equal(server_requests(&scene->server), 1026);
}

/* ---- credentials and urls ---- */

struct secret {
	char folder[32], path[64];
};
static struct secret write_secret(const char *text, mode_t mode)
{
	struct secret secret = { .folder = "/tmp/leat-XXXXXX" };
	assert_non_null(mkdtemp(secret.folder));
	snprintf(secret.path, sizeof secret.path, "%s/auth", secret.folder);
	FILE *file = fopen(secret.path, "w");
	fputs(text, file);
	fclose(file);
	assert_int_equal(chmod(secret.path, mode), 0);
	return secret;
}
static void remove_secret(const struct secret *secret)
{
	unlink(secret->path);
	rmdir(secret->folder);
}

static void credentials_of_the_url_are_sent_and_never_shown(void **state)
{
	struct scene *scene = *state;
	char url[200];
	scene->server.login = "\r\nAuthorization: Basic bWU6aHVzaDpodXNo\r\n";     /* me:hush:hush */
	snprintf(url, sizeof url, "http://me:hush%%3Ahush@127.0.0.1:%d", scene->server.port);
	open_with(scene, (struct leat_registry_config){ .url = url });
	assert_int_equal(registered(scene, "s", A), 1);
	scene->server.login = "Basic other";
	assert_int_equal(by_id(scene, 1, NULL), LEAT_ERETRY);
	assert_says(scene, "HTTP 401: it refuses the credentials; Unauthorized");
	assert_null(strstr(scene->fault.text, "hush"));
}

static void changed_credentials_are_taken_from_the_file(void **state)
{
	struct scene *scene = *state;
	struct secret secret = write_secret("me:old\r\nignored", 0600);
	open_with(scene, (struct leat_registry_config){ .auth_file = secret.path });
	scene->server.login = "\r\nAuthorization: Basic bWU6b2xk\r\n";             /* me:old */
	assert_int_equal(registered(scene, "s", A), 1);
	FILE *file = fopen(secret.path, "w");
	fputs("me:new", file);
	fclose(file);
	scene->server.login = "\r\nAuthorization: Basic bWU6bmV3\r\n";             /* me:new */
	assert_int_equal(by_id(scene, 1, NULL), 0);
	unlink(secret.path);
	assert_int_equal(by_id(scene, 2, NULL), LEAT_ERETRY);
	assert_says(scene, "No such file");
	remove_secret(&secret);
}

static void roots_secret_may_be_read_by_a_group(void **state)
{
	static const struct { unsigned mode, owner, reader; bool fit; } files[] = {
		{ 0600, 1000, 1000, true }, { 0400, 0, 0, true }, { 0640, 1000, 1000, false }, { 0440, 1000, 1001, false }, { 0440, 0, 0, false },
		{ 0440, 0, 1000, true }, { 0640, 0, 1000, true }, { 0660, 0, 1000, false }, { 0444, 0, 1000, false }, { 0404, 0, 1000, false },
	};
	(void)state;
	for (size_t i = 0; i < LEAT_COUNT_OF(files); i++)
		if (leat_file_secret(S_IFREG | files[i].mode, files[i].owner, files[i].reader) != files[i].fit)
			fail_msg("mode %03o of %u read by %u", files[i].mode, files[i].owner, files[i].reader);
}

static void a_secret_that_others_may_open_is_refused(void **state)
{
	static const struct { const char *text; mode_t mode; const char *says; } files[] = {
		{ "me:hush", 0640, "holds a secret but others may open it (mode 640); chmod 600 it" },
		{ "me:hush", 0604, "mode 604" },
		{ "me:hush", 0620, "mode 620" },
		{ "hush", 0600, "its first line has to be user:password" },
		{ ":hush", 0600, "its first line has to be user:password" },
		{ "", 0600, "its first line has to be user:password" },
		{ "\nme:hush", 0600, "its first line has to be user:password" },
	};
	struct scene *scene = *state;
	for (size_t i = 0; i < LEAT_COUNT_OF(files); i++) {
		struct secret secret = write_secret(files[i].text, files[i].mode);
		struct leat_registry *registry;
		struct leat_registry_config config = { .url = "http://localhost:1", .auth_file = secret.path };
		assert_int_equal(leat_registry_open(&registry, &config, &scene->fault), LEAT_ECONFIG);
		assert_null(registry);
		assert_says(scene, files[i].says);
		assert_null(strstr(scene->fault.text, "hush"));
		remove_secret(&secret);
	}
}

static void bad_configurations_are_refused(void **state)
{
	static const struct { struct leat_registry_config config; const char *says; } bad[] = {
		{ { .url = "" }, "not of the form http(s)://" },
		{ { .url = "localhost:8081" }, "not of the form http(s)://" },
		{ { .url = "http://" }, "not of the form http(s)://" },
		{ { .url = "http://h:99999" }, "not of the form http(s)://" },
		{ { .url = "ftp://me:hush@h" }, "not of the form http(s)://" },
		{ { .url = "file:///etc/passwd" }, "not of the form http(s)://" },
		{ { .url = "http://me:hu%00sh@h" }, "not of the form http(s)://" },
		{ { .url = "http://me:hush@h", .auth_file = "x" }, "credentials in the url and in x" },
		{ { .url = "http://h", .auth_file = "/nowhere/x" }, "/nowhere/x: No such file" },
		{ { .url = "http://h", .auth_file = "/tmp" }, "/tmp: not a regular file" },
		{ { .folder = NULL }, "neither a url nor a folder" },
		{ { .folder = "/nowhere" }, "/nowhere/ids.txt: No such file" },
	};
	struct scene *scene = *state;
	for (size_t i = 0; i < LEAT_COUNT_OF(bad); i++) {
		struct leat_registry *registry;
		assert_int_equal(leat_registry_open(&registry, &bad[i].config, &scene->fault), LEAT_ECONFIG);
		assert_null(registry);
		assert_says(scene, bad[i].says);
		assert_null(strstr(scene->fault.text, "hush"));
	}
}

/* ---- the folder ---- */

static void the_folder_gives_ids_and_schemas(void **state)
{
	struct scene scene = { 0 };
	const char *json;
	(void)state;
	assert_int_equal(leat_registry_open(&scene.registry, &(struct leat_registry_config){ .folder = "schemas" }, &scene.fault), 0);
	assert_int_equal(by_id(&scene, 2, &json), 0);
	assert_non_null(strstr(json, "\"name\": \"Purchase\""));
	assert_int_equal(by_id(&scene, 0, NULL), LEAT_ENOTFOUND);
	assert_int_equal(by_id(&scene, 99, NULL), LEAT_ENOTFOUND);
	assert_says(&scene, "schema 99 is not in schemas/ids.txt");
	json_t *parsed = json_loads(json, 0, NULL);
	char *compact = json_dumps(parsed, JSON_COMPACT | JSON_SORT_KEYS);
	assert_int_equal(registered(&scene, "any", compact), 2);
	assert_int_equal(registered(&scene, "any", A), LEAT_ENOTFOUND);
	assert_says(&scene, "the schema A has no id: give it one with schema_id:, or save it in schemas and add a line to ids.txt");
	assert_int_equal(registered(&scene, "any", "nonsense"), LEAT_ENOTFOUND);
	leat_registry_stop(scene.registry);
	assert_int_equal(by_id(&scene, 1, NULL), 0);
	leat_registry_close(scene.registry);
	free(compact);
	json_decref(parsed);
}

static void write_file(const char *folder, const char *name, const char *text)
{
	char path[100];
	snprintf(path, sizeof path, "%s/%s", folder, name);
	FILE *file = fopen(path, "w");
	fputs(text, file);
	fclose(file);
}

static void bad_lines_of_ids_are_named(void **state)
{
	static const struct { const char *ids; int rc; const char *says; } files[] = {
		{ "# comment\n\n 3 \t a.avsc \r\n4 b.avsc # last", 0, "" },
		{ "", 0, "" },
		{ "1 a.avsc\nx a.avsc", LEAT_ECONFIG, "/ids.txt:2: a line is" },
		{ "1", LEAT_ECONFIG, "/ids.txt:1: a line is" },
		{ "1a.avsc", LEAT_ECONFIG, "/ids.txt:1: a line is" },
		{ "0 a.avsc", LEAT_ECONFIG, "/ids.txt:1: a line is" },
		{ "-1 a.avsc", LEAT_ECONFIG, "/ids.txt:1: a line is" },
		{ "2147483648 a.avsc", LEAT_ECONFIG, "/ids.txt:1: a line is" },
		{ "99999999999999999999999 a.avsc", LEAT_ECONFIG, "/ids.txt:1: a line is" },
		{ "1 a.avsc b.avsc", LEAT_ECONFIG, "/ids.txt:1: a line is" },
		{ "1 ../a.avsc", LEAT_ECONFIG, "/ids.txt:1: a line is" },
		{ "1 a.avsc\n1 b.avsc", LEAT_ECONFIG, "/ids.txt: id 1 is given twice" },
		{ "1 none.avsc", LEAT_ECONFIG, "/none.avsc: No such file" },
		{ "1 bad.avsc", LEAT_ECONFIG, "/bad.avsc:2: " },
	};
	struct scene scene = { 0 };
	char folder[] = "/tmp/leat-XXXXXX";
	(void)state;
	assert_non_null(mkdtemp(folder));
	write_file(folder, "a.avsc", A);
	write_file(folder, "b.avsc", B);
	write_file(folder, "bad.avsc", "{\n]");
	for (size_t i = 0; i < LEAT_COUNT_OF(files); i++) {
		write_file(folder, "ids.txt", files[i].ids);
		scene.fault = (struct leat_fault){ 0 };
		assert_int_equal(leat_registry_open(&scene.registry, &(struct leat_registry_config){ .folder = folder }, &scene.fault), files[i].rc);
		assert_says(&scene, files[i].says);
		leat_registry_close(scene.registry);
	}
	for (const char *const *name = (const char *const[]){ "a.avsc", "b.avsc", "bad.avsc", "ids.txt", NULL }; *name; name++) {
		char path[100];
		snprintf(path, sizeof path, "%s/%s", folder, *name);
		unlink(path);
	}
	rmdir(folder);
}

/* ---- memory ---- */

static int everything(const struct leat_registry_config *config)
{
	struct leat_registry *registry;
	struct leat_fault fault = { 0 };
	const char *json;
	size_t length;
	int32_t id = 0;
	int rc = leat_registry_open(&registry, config, &fault);
	if (rc == 0)
		rc = leat_registry_register(registry, "s", A, &id, &fault);
	if (rc == 0)
		rc = leat_registry_by_id(registry, id, &json, &length, &fault);
	if (rc == 0)
		assert_string_equal(json, A);
	if (rc < 0)
		assert_int_equal(fault.code, rc);
	leat_registry_close(registry);
	return rc;
}

static void every_allocation_may_fail(void **state)
{
	struct scene *scene = *state;
	struct secret secret = write_secret("me:old", 0600);
	struct secret folder = write_secret("", 0600);
	write_file(folder.folder, "ids.txt", "1 auth");
	write_file(folder.folder, "auth", A);
	struct leat_registry_config configs[] = { { .url = scene->url, .auth_file = secret.path }, { .folder = folder.folder } };
	for (size_t i = 0; i < LEAT_COUNT_OF(configs); i++) {
		int rc = LEAT_ENOMEM;
		uint64_t nth = 0;
		while (rc == LEAT_ENOMEM && nth < 100) {
			leat_alloc_fail_at(++nth);
			rc = everything(&configs[i]);
			leat_alloc_fail_at(0);
		}
		assert_int_equal(rc, 0);
		assert_true(nth > 5);
	}
	write_file(folder.folder, "ids.txt", "");
	char path[100];
	snprintf(path, sizeof path, "%s/ids.txt", folder.folder);
	unlink(path);
	remove_secret(&folder);
	remove_secret(&secret);
}

#define SERVED(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		SERVED(a_registered_schema_has_one_id_and_is_found_by_it),
		SERVED(an_id_is_asked_for_once),
		SERVED(an_unknown_id_is_asked_for_again_after_a_minute),
		SERVED(request_is_as_the_api_says),
		SERVED(an_incompatible_schema_is_refused_without_back_off),
		SERVED(a_schema_we_cannot_use_is_named_and_remembered),
		SERVED(an_answer_outside_the_api_is_no_verdict),
		SERVED(an_endless_answer_is_cut_off),
		SERVED(back_off_doubles_up_to_its_bound_and_ends_with_success),
		SERVED(what_is_cached_is_served_while_the_registry_is_away),
		SERVED(a_hanging_server_is_given_up_after_the_timeout),
		SERVED(stop_ends_a_request_under_way),
		SERVED(threads_share_one_request),
		SERVED(ids_without_end_do_not_grow_the_memory_of_missing_ones),
		SERVED(credentials_of_the_url_are_sent_and_never_shown),
		SERVED(changed_credentials_are_taken_from_the_file),
		cmocka_unit_test(roots_secret_may_be_read_by_a_group),
		SERVED(a_secret_that_others_may_open_is_refused),
		SERVED(bad_configurations_are_refused),
		cmocka_unit_test(the_folder_gives_ids_and_schemas),
		cmocka_unit_test(bad_lines_of_ids_are_named),
		SERVED(every_allocation_may_fail),
	};
	setenv("no_proxy", "*", 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
