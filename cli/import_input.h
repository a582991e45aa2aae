/*
 * Files as a stream of records: CSV records (RFC 4180, quoted line ends included), JSON lines, or the data of an Avro object container file; plain, gzip or xz, told by their
 * first bytes. One thread. Files are hostile until proven decent: a record has at most 1 MiB, a container's block 16 MiB and 64 MiB unpacked, its head 1 MiB, xz 256 MiB of
 * memory; compressed data is unpacked as it is read, so that a bomb only takes time.
 */
#ifndef LEAT_IMPORT_INPUT_H
#define LEAT_IMPORT_INPUT_H

#include "base/base.h"

enum leat_input_format { LEAT_INPUT_CSV, LEAT_INPUT_JSON, LEAT_INPUT_AVRO };
enum { LEAT_INPUT_RECORD_MAX = 1 << 20 };

struct leat_input_record {
	struct leat_bytes bytes;        /* without its line end; a too large one: its first 1,024 bytes */
	int64_t line;                   /* where it begins, from 1; of a container: its number, from 1  */
	bool too_large;
};

struct leat_input;
/* LEAT_ECONFIG: it cannot be opened or is not of that format; LEAT_ENOMEM. */
int leat_input_open(struct leat_input **out, const char *path, enum leat_input_format format, char separator, struct leat_fault *fault);
void leat_input_close(struct leat_input *input);      /* accepts NULL */
/* 1: a record, borrowed until the next call; 0: the end; LEAT_EIO, LEAT_ECORRUPT, LEAT_ENOMEM. Empty lines are left out. */
int leat_input_next(struct leat_input *input, struct leat_input_record *record, struct leat_fault *fault);
/* The schema of a container, NUL-terminated; NULL for others. */
const char *leat_input_schema(const struct leat_input *input);

#endif
