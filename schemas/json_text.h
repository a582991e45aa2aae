/* JSON text appended to a buffer. Private to schemas/. LEAT_ENOMEM; no locale has a say in it. */
#ifndef LEAT_JSON_TEXT_H
#define LEAT_JSON_TEXT_H

#include "base/base.h"

/* @text: valid UTF-8, quoted and escaped. */
int leat_json_text(struct leat_buffer *out, struct leat_bytes text);
/* Bytes as Avro's JSON has them: the string of the code points 0 to 255. */
int leat_json_bytes(struct leat_buffer *out, struct leat_bytes bytes);
int leat_json_integer(struct leat_buffer *out, int64_t value);
/* The shortest text that reads back as the same number; null for NaN and infinities. */
int leat_json_double(struct leat_buffer *out, double value);
int leat_json_float(struct leat_buffer *out, float value);

#endif
