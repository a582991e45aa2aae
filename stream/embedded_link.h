/* One connection to the owner of an embedded directory: a request, its answer. One thread at a time. */
#ifndef LEAT_EMBEDDED_LINK_H
#define LEAT_EMBEDDED_LINK_H

#include "stream/embedded_internal.h"
#include "stream/embedded_wire.h"

struct leat_link {
	const struct leat_directory *directory;
	int fd;                              /* -1: not connected */
	int64_t pid;                         /* of the owner      */
	struct leat_buffer out, in;
};
void leat_link_init(struct leat_link *link, const struct leat_directory *directory);
void leat_link_close(struct leat_link *link);
/* LEAT_ERETRY: nobody listens, or not for now. Does nothing when it is connected. */
int leat_link_connect(struct leat_link *link, struct leat_fault *fault);
/*
 * Sends the frame in link->out (begun with leat_link_begin, finished here) and waits for the answer, whose fields are then in *answer until the next call.
 * Returns the answer's status. LEAT_ERETRY: the owner has gone or does not answer; what it did of the request is unknown. The next call connects anew.
 */
int leat_link_call(struct leat_link *link, struct leat_wire *answer, struct leat_fault *fault);
int leat_link_begin(struct leat_link *link, enum leat_wire_kind kind);
/* Begins a request about a topic and, unless -1, a partition. */
int leat_link_begin_topic(struct leat_link *link, enum leat_wire_kind kind, const char *topic, int32_t partition);

#endif
