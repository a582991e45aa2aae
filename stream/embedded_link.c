/* The client's end of the embedded transport's socket: blocking, with a deadline, connecting anew when the owner has changed. */
#include "stream/embedded_link.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

enum { ANSWER_S = 15 };              /* more than the longest wait of a read */

void leat_link_init(struct leat_link *link, const struct leat_directory *directory)
{
	*link = (struct leat_link){ .directory = directory, .fd = -1 };
}

static void disconnect(struct leat_link *link)
{
	if (link->fd >= 0)
		close(link->fd);
	link->fd = -1;
}

void leat_link_close(struct leat_link *link)
{
	disconnect(link);
	leat_buffer_free(&link->out);
	leat_buffer_free(&link->in);
}

static int lost(struct leat_link *link, struct leat_fault *fault)
{
	bool deaf = errno == EAGAIN || errno == EWOULDBLOCK;
	disconnect(link);
	return leat_fail(fault, LEAT_ERETRY, "%s: its owner, process %lld, %s", link->directory->path, (long long)link->pid, deaf ? "does not answer" : "has gone");
}

static bool send_all(int fd, const uint8_t *data, size_t length)
{
	while (length) {
		ssize_t sent = send(fd, data, length, MSG_NOSIGNAL);
		if (sent < 0 && errno == EINTR)
			continue;
		if (sent <= 0)
			return false;
		data += sent;
		length -= (size_t)sent;
	}
	return true;
}

static bool receive_all(int fd, void *into, size_t length)
{
	for (uint8_t *at = into; length;) {
		errno = 0;
		ssize_t count = recv(fd, at, length, 0);
		if (count < 0 && errno == EINTR)
			continue;
		if (count <= 0)
			return false;
		at += count;
		length -= (size_t)count;
	}
	return true;
}

static int receive_frame(struct leat_link *link, struct leat_fault *fault)
{
	uint32_t length;
	if (!receive_all(link->fd, &length, sizeof length))
		return lost(link, fault);
	if (length < sizeof(int32_t) || length > LEAT_WIRE_FRAME_MAX) {
		disconnect(link);
		return leat_fail(fault, LEAT_ECORRUPT, "%s: its owner sent a malformed answer", link->directory->path);
	}
	link->in.length = 0;
	if (leat_buffer_reserve(&link->in, length) < 0) {
		disconnect(link);
		return leat_fail(fault, LEAT_ENOMEM, "out of memory for an answer");
	}
	if (!receive_all(link->fd, link->in.data, length))
		return lost(link, fault);
	link->in.length = length;
	return 0;
}

static int take_status(struct leat_link *link, struct leat_wire *answer, struct leat_fault *fault)
{
	*answer = (struct leat_wire){ link->in.data, link->in.data + link->in.length, false };
	int status = (int32_t)leat_wire_u32(answer);
	if (status >= 0)
		return status;
	struct leat_fault told = { .code = status, .fatal = leat_wire_u8(answer) };
	leat_wire_text(answer, told.text, sizeof told.text);
	if (fault)
		*fault = told;
	return status;
}

static int exchange(struct leat_link *link, struct leat_wire *answer, struct leat_fault *fault)
{
	leat_wire_finish(&link->out);
	if (!send_all(link->fd, link->out.data, link->out.length))
		return lost(link, fault);
	LEAT_TRY(receive_frame(link, fault));
	return take_status(link, answer, fault);
}

static int no_memory(struct leat_fault *fault)
{
	return leat_fail(fault, LEAT_ENOMEM, "out of memory for a request");
}

static int put_hello(struct leat_buffer *frame)
{
	LEAT_TRY(leat_wire_begin(frame));
	LEAT_TRY(leat_wire_put_u8(frame, LEAT_WIRE_HELLO));
	LEAT_TRY(leat_wire_put_u32(frame, LEAT_WIRE_MAGIC));
	return leat_wire_put_u32(frame, LEAT_WIRE_VERSION);
}

/* Leaves link->out alone: a request may be waiting in it. */
static int greet(struct leat_link *link, struct leat_fault *fault)
{
	struct leat_buffer request = link->out;
	struct leat_wire answer = { 0 };
	link->out = (struct leat_buffer){ 0 };
	int rc = put_hello(&link->out) < 0 ? no_memory(fault) : exchange(link, &answer, fault);
	if (rc >= 0)
		link->pid = leat_wire_i64(&answer);
	else
		disconnect(link);
	leat_buffer_free(&link->out);
	link->out = request;
	return rc;
}

/* Through the directory's descriptor: a socket's path may have 107 bytes only. */
int leat_link_connect(struct leat_link *link, struct leat_fault *fault)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct timeval limit = { .tv_sec = ANSWER_S };
	if (link->fd >= 0)
		return 0;
	snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/%s", link->directory->fd, LEAT_WIRE_SOCKET);
	link->pid = link->directory->pid;
	link->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (link->fd < 0 || setsockopt(link->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) < 0 || setsockopt(link->fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) < 0
	    || connect(link->fd, (struct sockaddr *)&address, sizeof address) < 0)
		return lost(link, fault);
	return greet(link, fault);
}

int leat_link_call(struct leat_link *link, struct leat_wire *answer, struct leat_fault *fault)
{
	LEAT_TRY(leat_link_connect(link, fault));
	return exchange(link, answer, fault);
}

int leat_link_begin(struct leat_link *link, enum leat_wire_kind kind)
{
	LEAT_TRY(leat_wire_begin(&link->out));
	return leat_wire_put_u8(&link->out, (uint8_t)kind);
}

int leat_link_begin_topic(struct leat_link *link, enum leat_wire_kind kind, const char *topic, int32_t partition)
{
	LEAT_TRY(leat_link_begin(link, kind));
	LEAT_TRY(leat_wire_put_text(&link->out, topic));
	return partition == -1 ? 0 : leat_wire_put_u32(&link->out, (uint32_t)partition);
}
