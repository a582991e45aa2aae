/* What the owner answers to one peer's requests, apart from how bytes come and go. One thread (the server's). */
#ifndef LEAT_EMBEDDED_SERVE_H
#define LEAT_EMBEDDED_SERVE_H

#include "stream/embedded_internal.h"
#include "stream/embedded_wire.h"

struct leat_serve {
	struct leat_embedded *embedded;
	bool greeted;
	bool reading;                    /* the cursor is open */
	struct leat_cursor cursor;
	uint32_t wait_ms;                /* of the read that waits */
};
enum { LEAT_SERVE_WAIT = 1 };

/* Serves one request. 0: @answer is a frame to send; LEAT_SERVE_WAIT: a read that has nothing yet; negative: the peer is to be closed. */
int leat_serve_frame(struct leat_serve *serve, const uint8_t *frame, size_t length, struct leat_buffer *answer);
/* Tries the waiting read again; @give_up: answers in any case. Returns as above. */
int leat_serve_read(struct leat_serve *serve, bool give_up, struct leat_buffer *answer);
void leat_serve_free(struct leat_serve *serve);

#endif
