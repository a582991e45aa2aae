/* Counted allocation with a hook that fails the n-th call, so that tests can walk through every out-of-memory path. */
#include "base/base.h"

#include <stdatomic.h>
#include <stdlib.h>

static _Atomic uint64_t made;
static _Atomic uint64_t fail_at;
static _Atomic uint64_t failed;

static bool fails(void)
{
	uint64_t number = atomic_fetch_add_explicit(&made, 1, memory_order_relaxed) + 1;
	return LEAT_UNLIKELY(number == atomic_load_explicit(&fail_at, memory_order_relaxed));
}

static void *noted(void *pointer)
{
	if (LEAT_UNLIKELY(!pointer))
		atomic_fetch_add_explicit(&failed, 1, memory_order_relaxed);
	return pointer;
}

uint64_t leat_alloc_failures(void)
{
	return atomic_load_explicit(&failed, memory_order_relaxed);
}

uint64_t leat_alloc_fail_at(uint64_t nth)
{
	uint64_t count = atomic_exchange(&made, 0);
	atomic_store(&fail_at, nth);
	return count;
}

void *leat_malloc(size_t size)
{
	return noted(fails() ? NULL : malloc(size ? size : 1));
}

void *leat_calloc(size_t count, size_t size)
{
	return noted(fails() ? NULL : calloc(count ? count : 1, size ? size : 1));
}

void *leat_realloc(void *pointer, size_t size)
{
	return noted(fails() ? NULL : realloc(pointer, size ? size : 1));
}

void *leat_aligned(size_t alignment, size_t size)
{
	size_t rounded = (size + alignment - 1) / alignment * alignment;
	void *pointer = noted(fails() || rounded < size ? NULL : aligned_alloc(alignment, rounded ? rounded : alignment));
	if (pointer)
		memset(pointer, 0, rounded);
	return pointer;
}

char *leat_strdup(const char *text)
{
	size_t size = strlen(text) + 1;
	char *copy = leat_malloc(size);
	return copy ? memcpy(copy, text, size) : NULL;
}

char *leat_printf(const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	int length = vsnprintf(NULL, 0, format, arguments);
	va_end(arguments);
	char *text = length < 0 ? NULL : leat_malloc((size_t)length + 1);
	if (!text)
		return NULL;
	va_start(arguments, format);
	vsnprintf(text, (size_t)length + 1, format, arguments);
	va_end(arguments);
	return text;
}

void leat_free(void *pointer)
{
	free(pointer);
}
