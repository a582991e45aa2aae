/* Error codes of leat: one list, negative values, one text each. Installed, because operators return them. */
#ifndef LEAT_ERROR_H
#define LEAT_ERROR_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

/* code, value, text. Values are part of the ABI: only ever append. */
#define LEAT_ERRORS(X)                                                                 \
	X(LEAT_ENOMEM, -1, "out of memory")                                            \
	X(LEAT_ECONFIG, -2, "the command line or a file is wrong")                     \
	X(LEAT_EIO, -3, "reading or writing the disk failed")                          \
	X(LEAT_ENOSPC, -4, "no space left on the disk")                                \
	X(LEAT_ECORRUPT, -5, "stored data is damaged")                                 \
	X(LEAT_EBUSY, -6, "in use by another process")                                 \
	X(LEAT_EFOREIGN, -7, "belongs to another application or version")              \
	X(LEAT_ENOTFOUND, -8, "not found")                                             \
	X(LEAT_EBROKER, -9, "the broker refused or could not be reached")              \
	X(LEAT_ERETRY, -10, "failed for now; trying again may help")                   \
	X(LEAT_EABORT, -11, "the transaction was aborted and has to be done again")    \
	X(LEAT_EFENCED, -12, "another instance has taken over")                        \
	X(LEAT_ELIMIT, -13, "a stated limit was reached")                              \
	X(LEAT_EGAP, -14, "records that were still needed are gone")                   \
	X(LEAT_ESCHEMA, -15, "the schema does not fit")                                \
	X(LEAT_EUNSUPPORTED, -16, "not supported")                                     \
	X(LEAT_EOPERATOR, -17, "the operator failed")                                  \
	X(LEAT_ESTOPPED, -18, "asked to stop")

enum leat_error {
#define X(name, value, text) name = (value),
	LEAT_ERRORS(X)
#undef X
};

/* The text of @code; "ok" for 0, "unknown error" for a code that is none of ours. Static storage. */
const char *leat_error_text(int code);

/*
 * What went wrong, said once where it happened. The struct is the caller's, zeroed or LEAT_FAULT_INIT;
 * functions that take one fill it when they return a negative code. No ownership, any thread.
 */
struct leat_fault {
	int code;
	bool fatal;         /* trying again cannot help                      */
	char text[512];     /* one line, no full stop, file:line first if known */
};

/* Sets @fault (may be NULL) to @code and the formatted text and returns @code, so that callers can `return leat_fail(...)`. */
int leat_fail(struct leat_fault *fault, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));

#define LEAT_TRY(call)                                                                 \
	do {                                                                           \
		int try_rc_ = (call);                                                  \
		if (try_rc_ < 0)                                                       \
			return try_rc_;                                                \
	} while (0)

#endif
