/*
 * A small schema registry for tests: one thread on loopback that follows the published REST API (GET /schemas/ids/{id},
 * POST /subjects/{subject}/versions), or that sends whatever bytes a test wants, or never answers.
 */
#ifndef LEAT_TESTS_REGISTRY_SERVER_H
#define LEAT_TESTS_REGISTRY_SERVER_H

#include <arpa/inet.h>
#include <jansson.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SERVER_SCHEMAS 64

struct server {
	int listener, port, stop[2];
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t arrived;
	int requests;                   /* seen so far                                          */
	bool hang;                      /* take the request, never answer                       */
	const char *canned;             /* answer every request with these bytes, then close    */
	size_t canned_length;
	const char *login;              /* "Basic ..." that is asked for, or NULL               */
	char request[8192];             /* the last one, head and body                          */
	char *schemas[SERVER_SCHEMAS];  /* id = index + 1                                       */
	int count;
};

static inline void server_send(int fd, const char *data, size_t length)
{
	while (length) {
		ssize_t sent = send(fd, data, length, MSG_NOSIGNAL);
		if (sent <= 0)
			return;
		data += sent;
		length -= (size_t)sent;
	}
}

static inline void server_answer(int fd, int status, json_t *body)
{
	char head[256];
	char *text = json_dumps(body, JSON_COMPACT);
	snprintf(head, sizeof head, "HTTP/1.1 %d X\r\nContent-Type: application/vnd.schemaregistry.v1+json\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n",
		 status, strlen(text));
	server_send(fd, head, strlen(head));
	server_send(fd, text, strlen(text));
	free(text);
	json_decref(body);
}

static inline void server_refuse(int fd, int code, const char *message)
{
	server_answer(fd, code / (code > 999 ? 100 : 1), json_pack("{s:i,s:s}", "error_code", code, "message", message));
}

static inline void server_get(struct server *server, int fd)
{
	int id = 0;
	if (sscanf(server->request, "GET /schemas/ids/%d HTTP", &id) != 1)
		server_refuse(fd, 404, "HTTP 404 Not Found");
	else if (id < 1 || id > server->count)
		server_refuse(fd, 40403, "Schema not found");
	else
		server_answer(fd, 200, json_pack("{s:s}", "schema", server->schemas[id - 1]));
}

static inline void server_post(struct server *server, int fd, const char *body)
{
	json_t *request = json_loads(body, 0, NULL);
	const char *schema = json_string_value(json_object_get(request, "schema"));
	json_t *parsed = schema ? json_loads(schema, JSON_DECODE_ANY, NULL) : NULL;
	int id = 0;
	if (!strstr(server->request, "Content-Type: application/vnd.schemaregistry.v1+json\r\n")) {
		server_refuse(fd, 415, "HTTP 415 Unsupported Media Type");
	} else if (!parsed) {
		server_refuse(fd, 42201, "Invalid schema");
	} else {
		while (id < server->count && strcmp(server->schemas[id], schema) != 0)
			id++;
		if (id == server->count && id < SERVER_SCHEMAS)
			server->schemas[server->count++] = strdup(schema);
		server_answer(fd, 200, json_pack("{s:i}", "id", id + 1));
	}
	json_decref(parsed);
	json_decref(request);
}

/* Reads one request into server->request; returns its body, or NULL when the peer left. */
static inline const char *server_read(int fd, char *request, size_t size)
{
	size_t have = 0;
	request[0] = 0;
	for (;;) {
		const char *end = strstr(request, "\r\n\r\n");
		const char *length = strcasestr(request, "content-length:");
		size_t body = length && length < end ? strtoul(length + 15, NULL, 10) : 0;
		if (end && have >= (size_t)(end + 4 - request) + body)
			return end + 4;
		ssize_t got = recv(fd, request + have, size - 1 - have, 0);
		if (got <= 0)
			return NULL;
		have += (size_t)got;
		request[have] = 0;
	}
}

static inline void server_serve(struct server *server, int fd)
{
	char request[sizeof server->request];
	const char *body = server_read(fd, request, sizeof request);
	if (!body)
		return;
	pthread_mutex_lock(&server->lock);
	memcpy(server->request, request, sizeof request);
	server->requests++;
	bool hang = server->hang;
	pthread_cond_broadcast(&server->arrived);
	if (!hang && server->canned)
		server_send(fd, server->canned, server->canned_length);
	else if (!hang && server->login && !strstr(request, server->login))
		server_refuse(fd, 401, "Unauthorized");
	else if (!hang && strncmp(request, "POST /subjects/", 15) == 0)
		server_post(server, fd, body);
	else if (!hang)
		server_get(server, fd);
	pthread_mutex_unlock(&server->lock);
}

/* Until the client leaves or the test ends: to close with unread bytes would reset what was sent, to hang is to wait here. */
static inline void server_linger(struct server *server, int fd)
{
	struct pollfd wait[2] = { { .fd = fd, .events = POLLIN }, { .fd = server->stop[0], .events = POLLIN } };
	char rest[512];
	do
		poll(wait, 2, -1);
	while (!wait[1].revents && recv(fd, rest, sizeof rest, 0) > 0);
}

static inline void *server_run(void *self)
{
	struct server *server = self;
	for (;;) {
		struct pollfd wait[2] = { { .fd = server->listener, .events = POLLIN }, { .fd = server->stop[0], .events = POLLIN } };
		poll(wait, 2, -1);
		if (wait[1].revents)
			return NULL;
		int fd = accept(server->listener, NULL, NULL);
		if (fd < 0)
			continue;
		server_serve(server, fd);
		if (!server->hang)
			shutdown(fd, SHUT_WR);
		server_linger(server, fd);
		close(fd);
	}
}

/* Listens on server->port, or on a free one when it is 0. */
static inline void server_start(struct server *server)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons((uint16_t)server->port) };
	socklen_t size = sizeof address;
	int on = 1;
	server->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(server->listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	assert_int_equal(bind(server->listener, (struct sockaddr *)&address, sizeof address), 0);
	assert_int_equal(listen(server->listener, 16), 0);
	getsockname(server->listener, (struct sockaddr *)&address, &size);
	server->port = ntohs(address.sin_port);
	assert_int_equal(pipe(server->stop), 0);
	pthread_mutex_init(&server->lock, NULL);
	pthread_cond_init(&server->arrived, NULL);
	assert_int_equal(pthread_create(&server->thread, NULL, server_run, server), 0);
}

static inline void server_stop(struct server *server)
{
	assert_int_equal(write(server->stop[1], "x", 1), 1);
	pthread_join(server->thread, NULL);
	close(server->listener);
	close(server->stop[0]);
	close(server->stop[1]);
}

static inline void server_forget(struct server *server)
{
	for (int i = 0; i < server->count; i++)
		free(server->schemas[i]);
	server->count = 0;
}

static inline int server_requests(struct server *server)
{
	pthread_mutex_lock(&server->lock);
	int requests = server->requests;
	pthread_mutex_unlock(&server->lock);
	return requests;
}

static inline void server_can(struct server *server, const char *bytes)
{
	pthread_mutex_lock(&server->lock);
	server->canned = bytes;
	server->canned_length = bytes ? strlen(bytes) : 0;
	pthread_mutex_unlock(&server->lock);
}

#endif
