/* A file's bytes, unpacked when it is gzip or xz. One thread. */
#ifndef LEAT_IMPORT_BYTES_H
#define LEAT_IMPORT_BYTES_H

#include "base/base.h"

struct leat_unpacker;
int leat_unpacker_open(struct leat_unpacker **out, const char *path, struct leat_fault *fault);
void leat_unpacker_close(struct leat_unpacker *unpacker);      /* accepts NULL */
/* Up to @size bytes; 0: the end. LEAT_EIO; LEAT_ECORRUPT: damaged or cut short. */
long leat_unpacker_read(struct leat_unpacker *unpacker, uint8_t *to, size_t size, struct leat_fault *fault);
/* Unpacks a raw deflate block of at most @max bytes into @out, replacing it. LEAT_ECORRUPT, LEAT_ELIMIT, LEAT_ENOMEM. */
int leat_inflate(struct leat_bytes packed, size_t max, struct leat_buffer *out);

#endif
