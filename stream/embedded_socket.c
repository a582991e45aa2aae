/* The owner's side of the embedded transport's socket: a thread with a libuv loop that serves other processes, none of whom is trusted to behave. */
#include "stream/embedded_internal.h"
#include "stream/embedded_serve.h"

#include <errno.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <uv.h>

enum { PEERS_MAX = 64, BACKLOG = 64, HELLO_MS = 5000, READ_SIZE = 64 << 10, QUEUE_MAX = 16 << 20, HELD_MAX = 64 << 20 };

struct leat_server {
	struct leat_embedded *embedded;
	uv_loop_t loop;
	uv_pipe_t listener;
	uv_async_t async;                /* something was committed, or it is time to stop */
	pthread_t thread;
	_Atomic bool stopping;
	_Atomic int waiting;             /* peers that wait for records                     */
	int peer_count;
	struct peer *peers;
	struct peer *spare;              /* to turn a connection away with when memory is out: left alone it would make the listener deaf */
};

struct peer {
	struct leat_server *server;
	struct peer *next;
	uv_pipe_t pipe;
	uv_timer_t timer;                /* until hello must have come; then until a read gives up waiting */
	int handles;
	bool closing, waiting;
	struct leat_buffer in;
	struct leat_serve serve;
};

struct answer {
	uv_write_t request;
	struct leat_buffer bytes;
};

static void serve_frames(struct peer *peer);

/* ---- the life of a peer ---- */

static void on_closed(uv_handle_t *handle)
{
	struct peer *peer = handle->data;
	if (--peer->handles > 0)
		return;
	struct peer **link = &peer->server->peers;
	while (*link != peer)
		link = &(*link)->next;
	*link = peer->next;
	struct leat_server *server = peer->server;
	server->peer_count--;
	leat_serve_free(&peer->serve);
	leat_buffer_free(&peer->in);
	if (server->spare)
		leat_free(peer);
	else
		server->spare = peer;
}

static void set_waiting(struct peer *peer, bool waiting)
{
	if (peer->waiting != waiting)
		atomic_fetch_add(&peer->server->waiting, waiting ? 1 : -1);
	peer->waiting = waiting;
}

static void peer_close(struct peer *peer)
{
	if (peer->closing)
		return;
	peer->closing = true;
	set_waiting(peer, false);
	uv_close((uv_handle_t *)&peer->pipe, on_closed);
	uv_close((uv_handle_t *)&peer->timer, on_closed);
}

static void on_alloc(uv_handle_t *handle, size_t size, uv_buf_t *buffer)
{
	struct peer *peer = handle->data;
	(void)size;
	bool room = leat_buffer_reserve(&peer->in, READ_SIZE) == 0;
	*buffer = room ? uv_buf_init((char *)peer->in.data + peer->in.length, READ_SIZE) : uv_buf_init(NULL, 0);
}

/* What peers have begun to say and not ended. */
static size_t bytes_held(const struct leat_server *server)
{
	size_t held = 0;
	for (const struct peer *peer = server->peers; peer; peer = peer->next)
		held += peer->in.length;
	return held;
}

static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *buffer)
{
	struct peer *peer = stream->data;
	(void)buffer;
	if (count < 0) {
		peer_close(peer);
		return;
	}
	peer->in.length += (size_t)count;
	if (bytes_held(peer->server) > HELD_MAX)
		peer_close(peer);
	serve_frames(peer);
}

/* ---- answers ---- */

static void on_written(uv_write_t *request, int status)
{
	struct answer *answer = request->data;
	struct peer *peer = request->handle->data;
	leat_buffer_free(&answer->bytes);
	leat_free(answer);
	if (status < 0)
		peer_close(peer);
}

/* Takes @bytes over. A peer that asks faster than it reads is let go before it costs more than QUEUE_MAX. */
static void send_answer(struct peer *peer, struct leat_buffer *bytes)
{
	struct answer *answer = leat_calloc(1, sizeof *answer);
	if (!answer) {
		leat_buffer_free(bytes);
		peer_close(peer);
		return;
	}
	answer->bytes = *bytes;
	answer->request.data = answer;
	*bytes = (struct leat_buffer){ 0 };
	uv_buf_t view = uv_buf_init((char *)answer->bytes.data, (unsigned)answer->bytes.length);
	if (uv_write(&answer->request, (uv_stream_t *)&peer->pipe, &view, 1, on_written) < 0) {
		leat_buffer_free(&answer->bytes);
		leat_free(answer);
		peer_close(peer);
	} else if (uv_stream_get_write_queue_size((uv_stream_t *)&peer->pipe) > QUEUE_MAX) {
		peer_close(peer);
	}
}

static void end_wait(struct peer *peer, bool give_up)
{
	struct leat_buffer bytes = { 0 };
	int rc = leat_serve_read(&peer->serve, give_up, &bytes);
	if (rc == LEAT_SERVE_WAIT)
		return;
	set_waiting(peer, false);
	uv_timer_stop(&peer->timer);
	if (rc < 0) {
		leat_buffer_free(&bytes);
		peer_close(peer);
		return;
	}
	send_answer(peer, &bytes);
	if (!peer->closing && uv_read_start((uv_stream_t *)&peer->pipe, on_alloc, on_read) < 0)
		peer_close(peer);
	serve_frames(peer);
}

static void on_timer(uv_timer_t *timer)
{
	struct peer *peer = timer->data;
	if (peer->waiting)
		end_wait(peer, true);
	else if (!peer->serve.greeted)
		peer_close(peer);
}

/* While a read waits nothing more is taken from its peer. */
static void begin_wait(struct peer *peer)
{
	set_waiting(peer, true);
	uv_read_stop((uv_stream_t *)&peer->pipe);
	uv_timer_start(&peer->timer, on_timer, peer->serve.wait_ms, 0);
	end_wait(peer, false);          /* what was committed before we counted as waiting */
}

/* ---- frames ---- */

static void serve_frame(struct peer *peer, const uint8_t *frame, uint32_t length)
{
	struct leat_buffer bytes = { 0 };
	int rc = leat_serve_frame(&peer->serve, frame, length, &bytes);
	if (rc == LEAT_SERVE_WAIT) {
		leat_buffer_free(&bytes);
		begin_wait(peer);
	} else if (rc < 0) {
		leat_buffer_free(&bytes);
		peer_close(peer);
	} else {
		send_answer(peer, &bytes);
	}
}

/* A frame is cut off the buffer before it is served: serving it may come back here when it had to wait. */
static void serve_frames(struct peer *peer)
{
	uint32_t length;
	while (!peer->closing && !peer->waiting && peer->in.length >= sizeof length) {
		memcpy(&length, peer->in.data, sizeof length);
		if (length == 0 || length > LEAT_WIRE_FRAME_MAX) {
			peer_close(peer);
			return;
		}
		size_t whole = sizeof length + length;
		if (peer->in.length < whole)
			return;
		struct leat_buffer frame = peer->in;
		peer->in = (struct leat_buffer){ 0 };
		if (leat_buffer_append(&peer->in, frame.data + whole, frame.length - whole) < 0)
			peer_close(peer);
		else
			serve_frame(peer, frame.data + sizeof length, length);
		leat_buffer_free(&frame);
	}
}

/* ---- connections ---- */

static bool same_user(uv_pipe_t *pipe)
{
	struct ucred peer;
	socklen_t size = sizeof peer;
	uv_os_fd_t fd;
	if (uv_fileno((uv_handle_t *)pipe, &fd) < 0 || getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
		return false;
	return peer.uid == geteuid() || peer.uid == 0;
}

static void on_connection(uv_stream_t *listener, int status)
{
	struct leat_server *server = listener->data;
	struct peer *fresh = leat_calloc(1, sizeof *fresh), *peer = fresh ? fresh : server->spare;
	if (status < 0 || !peer) {
		leat_free(fresh);
		return;
	}
	if (!fresh)
		server->spare = NULL;
	*peer = (struct peer){ .server = server, .next = server->peers, .handles = 2, .serve = { .embedded = server->embedded } };
	server->peers = peer;
	server->peer_count++;
	uv_pipe_init(&server->loop, &peer->pipe, 0);
	uv_timer_init(&server->loop, &peer->timer);
	peer->pipe.data = peer->timer.data = peer;
	bool welcome = uv_accept(listener, (uv_stream_t *)&peer->pipe) == 0 && fresh && server->peer_count <= PEERS_MAX && same_user(&peer->pipe);
	if (!welcome || uv_read_start((uv_stream_t *)&peer->pipe, on_alloc, on_read) < 0 || uv_timer_start(&peer->timer, on_timer, HELLO_MS, 0) < 0)
		peer_close(peer);
}

static void on_async(uv_async_t *async)
{
	struct leat_server *server = async->data;
	struct peer *next;
	bool stopping = atomic_load(&server->stopping);
	for (struct peer *peer = server->peers; peer; peer = next) {
		next = peer->next;
		if (stopping)
			peer_close(peer);
		else if (peer->waiting)
			end_wait(peer, false);
	}
	if (stopping) {
		uv_close((uv_handle_t *)&server->listener, NULL);
		uv_close((uv_handle_t *)&server->async, NULL);
	}
}

void leat_server_notify(struct leat_server *server)
{
	if (server && atomic_load(&server->waiting) > 0)
		uv_async_send(&server->async);
}

/* ---- the thread ---- */

/* Signals are the program's business; SIGPIPE comes back as an error of the write. */
static void *run(void *self)
{
	struct leat_server *server = self;
	uv_run(&server->loop, UV_RUN_DEFAULT);
	return NULL;
}

static int start_thread(struct leat_server *server)
{
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int rc = pthread_create(&server->thread, NULL, run, server);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return rc;
}

/* Bound through the directory's descriptor: a socket's path may have 107 bytes only. */
static int make_socket(const struct leat_directory *directory)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/%s", directory->fd, LEAT_WIRE_SOCKET);
	unlinkat(directory->fd, LEAT_WIRE_SOCKET, 0);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	bool bound = fd >= 0 && fchmod(fd, 0600) == 0 && bind(fd, (struct sockaddr *)&address, sizeof address) == 0
		&& fchmodat(directory->fd, LEAT_WIRE_SOCKET, 0600, 0) == 0;
	if (bound)
		return fd;
	int error = errno;
	if (fd >= 0)
		close(fd);
	return -error;
}

static int listen_on(struct leat_server *server, int fd)
{
	int rc = uv_pipe_open(&server->listener, fd);
	if (rc < 0) {
		close(fd);
		return rc;
	}
	return uv_listen((uv_stream_t *)&server->listener, BACKLOG, on_connection);
}

/* The loop is there; whatever fails now, stop_loop() ends it. */
static int start(struct leat_server *server)
{
	uv_pipe_init(&server->loop, &server->listener, 0);
	int rc = uv_async_init(&server->loop, &server->async, on_async);
	if (rc < 0) {
		uv_close((uv_handle_t *)&server->listener, NULL);
		return rc;
	}
	server->listener.data = server->async.data = server;
	int fd = make_socket(&server->embedded->directory);
	rc = fd < 0 ? fd : listen_on(server, fd);
	if (rc == 0)
		rc = -start_thread(server);
	if (rc < 0) {
		uv_close((uv_handle_t *)&server->listener, NULL);
		uv_close((uv_handle_t *)&server->async, NULL);
	}
	return rc;
}

int leat_server_open(struct leat_server **out, struct leat_embedded *embedded, struct leat_fault *fault)
{
	struct leat_server *server = leat_calloc(1, sizeof *server);
	if (!server)
		return leat_fail(fault, LEAT_ENOMEM, "out of memory for the socket of %s", embedded->directory.path);
	server->embedded = embedded;
	server->spare = leat_calloc(1, sizeof *server->spare);
	int rc = server->spare ? uv_loop_init(&server->loop) : UV_ENOMEM;
	if (rc == 0) {
		*out = server;
		rc = start(server);
		if (rc == 0)
			return 0;
		uv_run(&server->loop, UV_RUN_DEFAULT);
		uv_loop_close(&server->loop);
		*out = NULL;
	}
	leat_free(server->spare);
	leat_free(server);
	return leat_fail(fault, rc == UV_ENOMEM ? LEAT_ENOMEM : LEAT_EIO, "the socket in %s cannot be made: %s", embedded->directory.path, uv_strerror(rc));
}

void leat_server_close(struct leat_server *server)
{
	if (!server)
		return;
	atomic_store(&server->stopping, true);
	uv_async_send(&server->async);
	pthread_join(server->thread, NULL);
	LEAT_ASSERT(uv_loop_close(&server->loop) == 0);
	leat_free(server->spare);
	leat_free(server);
}
