/* Error texts and faults. */
#include "base/base.h"

#include <stdlib.h>

const char *leat_error_text(int code)
{
	switch (code) {
	case 0:
		return "ok";
#define X(name, value, text)                                                           \
	case value:                                                                    \
		return text;
		LEAT_ERRORS(X)
#undef X
	default:
		return "unknown error";
	}
}

int leat_fail(struct leat_fault *fault, int code, const char *format, ...)
{
	if (!fault)
		return code;
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(fault->text, sizeof fault->text, format, arguments);
	va_end(arguments);
	fault->code = code;
	return code;
}

void leat_assert_failed(const char *condition, const char *file, int line)
{
	fprintf(stderr, "leat: bug: %s:%d: %s does not hold\n", file, line, condition);
	abort();
}
