/* Buffer: bytes that grow by doubling. */
#include "base/base.h"

int leat_buffer_reserve(struct leat_buffer *buffer, size_t more)
{
	if (buffer->capacity - buffer->length >= more)
		return 0;
	size_t capacity = LEAT_MAX(buffer->capacity * 2, (size_t)256);
	while (capacity - buffer->length < more)
		capacity *= 2;
	uint8_t *data = leat_realloc(buffer->data, capacity);
	if (!data)
		return LEAT_ENOMEM;
	buffer->data = data;
	buffer->capacity = capacity;
	return 0;
}

int leat_buffer_append(struct leat_buffer *buffer, const void *data, size_t length)
{
	LEAT_TRY(leat_buffer_reserve(buffer, length));
	if (length)
		memcpy(buffer->data + buffer->length, data, length);
	buffer->length += length;
	return 0;
}

int leat_buffer_printf(struct leat_buffer *buffer, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	int length = vsnprintf(NULL, 0, format, arguments);
	va_end(arguments);
	LEAT_ASSERT(length >= 0);
	LEAT_TRY(leat_buffer_reserve(buffer, (size_t)length + 1));
	va_start(arguments, format);
	vsnprintf((char *)buffer->data + buffer->length, (size_t)length + 1, format, arguments);
	va_end(arguments);
	buffer->length += (size_t)length;
	return 0;
}

void leat_buffer_free(struct leat_buffer *buffer)
{
	leat_free(buffer->data);
	*buffer = (struct leat_buffer){ 0 };
}
