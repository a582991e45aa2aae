/* JSON text: quoting and numbers. */
#include "schemas/json_text.h"

#include <math.h>
#include <stdlib.h>

static int escape(struct leat_buffer *out, uint8_t byte)
{
	static const char letters[] = { ['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r', ['"'] = '"', ['\\'] = '\\' };
	char letter = byte < sizeof letters ? letters[byte] : 0;
	return letter ? leat_buffer_printf(out, "\\%c", letter) : leat_buffer_printf(out, "\\u%04x", byte);
}

/* @ascii: bytes above 0x7f are escaped too. */
static int quote(struct leat_buffer *out, struct leat_bytes text, bool ascii)
{
	size_t from = 0;

	LEAT_TRY(leat_buffer_append(out, "\"", 1));
	for (size_t i = 0; i < text.length; i++) {
		uint8_t byte = text.data[i];
		if (byte >= 0x20 && byte != '"' && byte != '\\' && !(ascii && byte > 0x7e))
			continue;
		LEAT_TRY(leat_buffer_append(out, text.data + from, i - from));
		LEAT_TRY(escape(out, byte));
		from = i + 1;
	}
	LEAT_TRY(leat_buffer_append(out, text.data + from, text.length - from));
	return leat_buffer_append(out, "\"", 1);
}

int leat_json_text(struct leat_buffer *out, struct leat_bytes text)
{
	return quote(out, text, false);
}

int leat_json_bytes(struct leat_buffer *out, struct leat_bytes bytes)
{
	return quote(out, bytes, true);
}

int leat_json_integer(struct leat_buffer *out, int64_t value)
{
	return leat_buffer_printf(out, "%lld", (long long)value);
}

static int append_number(struct leat_buffer *out, char *text)
{
	for (char *at = text; *at; at++)
		if (*at == ',')         /* the decimal point of some locales */
			*at = '.';
	return leat_buffer_append(out, text, strlen(text));
}

int leat_json_double(struct leat_buffer *out, double value)
{
	char text[40];
	if (!isfinite(value))
		return leat_buffer_append(out, "null", 4);
	for (int digits = 15; digits <= 17; digits++) {
		snprintf(text, sizeof text, "%.*g", digits, value);
		double back = strtod(text, NULL);
		if (memcmp(&back, &value, sizeof back) == 0)
			break;
	}
	return append_number(out, text);
}

int leat_json_float(struct leat_buffer *out, float value)
{
	char text[40];
	if (!isfinite(value))
		return leat_buffer_append(out, "null", 4);
	for (int digits = 6; digits <= 9; digits++) {
		snprintf(text, sizeof text, "%.*g", digits, (double)value);
		float back = strtof(text, NULL);
		if (memcmp(&back, &value, sizeof back) == 0)
			break;
	}
	return append_number(out, text);
}
