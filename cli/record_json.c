/* Records as JSON. Their bytes are anybody's: nothing here trusts them. */
#include "cli/record_json.h"
#include "schemas/codec.h"
#include "schemas/json_text.h"

#include <jansson.h>

static int put(struct leat_buffer *out, const char *text)
{
	return leat_buffer_append(out, text, strlen(text));
}

static int put_base64(struct leat_buffer *out, struct leat_bytes bytes)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	LEAT_TRY(put(out, "\""));
	for (uint32_t i = 0; i < bytes.length; i += 3) {
		uint32_t left = bytes.length - i, three = (uint32_t)bytes.data[i] << 16;
		three |= left > 1 ? (uint32_t)bytes.data[i + 1] << 8 : 0;
		three |= left > 2 ? bytes.data[i + 2] : 0;
		const char four[] = { letters[three >> 18], letters[three >> 12 & 63], left > 1 ? letters[three >> 6 & 63] : '=', left > 2 ? letters[three & 63] : '=' };
		LEAT_TRY(leat_buffer_append(out, four, sizeof four));
	}
	return put(out, "\"");
}

/* Text that is no JSON, such as a line of CSV among dead letters, is shown as text: it is no Avro body, which begins with a zero. */
static int put_undecodable(struct leat_buffer *out, struct leat_bytes bytes, const char *reason)
{
	if (bytes.length && bytes.data[0] != 0 && leat_utf8_valid(bytes))
		return leat_json_text(out, bytes);
	LEAT_TRY(put(out, "{\"base64\":"));
	LEAT_TRY(put_base64(out, bytes));
	LEAT_TRY(put(out, ",\"reason\":"));
	LEAT_TRY(leat_json_text(out, leat_text(reason)));
	return put(out, "}");
}

/* Text if it is one. */
static int put_bytes(struct leat_buffer *out, struct leat_bytes bytes)
{
	if (!bytes.data)
		return put(out, "null");
	if (leat_utf8_valid(bytes))
		return leat_json_text(out, bytes);
	LEAT_TRY(put(out, "{\"base64\":"));
	LEAT_TRY(put_base64(out, bytes));
	return put(out, "}");
}

static bool has_line_ends(struct leat_bytes text)
{
	return text.length && (memchr(text.data, '\n', text.length) || memchr(text.data, '\r', text.length));
}

static int append_dump(const char *text, size_t length, void *out)
{
	return leat_buffer_append(out, text, length);
}

/* 1: it was JSON; 0: it is not. Its own text, unless that has line ends, which only stand between values. */
static int put_json(struct leat_buffer *out, struct leat_bytes body)
{
	json_t *json = json_loadb((const char *)body.data, body.length, JSON_DECODE_ANY, NULL);
	if (!json)
		return 0;
	int rc = has_line_ends(body) ? json_dump_callback(json, append_dump, out, JSON_COMPACT | JSON_ENCODE_ANY) : leat_buffer_append(out, body.data, body.length);
	json_decref(json);
	return rc < 0 ? LEAT_ENOMEM : 1;
}

static enum leat_bad print_avro(struct leat_registry *registry, int32_t id, struct leat_bytes body, struct leat_buffer *out)
{
	const char *json;
	size_t length;
	if (!registry || leat_registry_by_id(registry, id, &json, &length, NULL) < 0)
		return LEAT_BAD_UNKNOWN_SCHEMA;
	return leat_avro_print(json, length, body, out);
}

static int put_value(struct leat_registry *registry, struct leat_bytes value, struct leat_buffer *out)
{
	struct leat_bytes body;
	size_t before = out->length;
	int32_t id;
	if (!value.data)
		return put(out, "null");
	enum leat_bad bad = leat_wire_read(value, &id, &body);
	if (bad) {
		int rc = put_json(out, value);
		return rc != 0 ? rc : put_undecodable(out, value, leat_bad_text(bad));
	}
	bad = print_avro(registry, id, body, out);
	if (!bad)
		return 0;
	out->length = before;
	return bad == LEAT_BAD_NO_MEMORY ? LEAT_ENOMEM : put_undecodable(out, value, leat_bad_text(bad));
}

static int put_headers(const struct leat_record *record, struct leat_buffer *out)
{
	LEAT_TRY(put(out, ",\"headers\":{"));
	for (uint32_t i = 0; i < record->header_count; i++) {
		if (i)
			LEAT_TRY(put(out, ","));
		LEAT_TRY(leat_utf8_valid(record->headers[i].name) ? leat_json_text(out, record->headers[i].name) : put_base64(out, record->headers[i].name));
		LEAT_TRY(put(out, ":"));
		LEAT_TRY(put_bytes(out, record->headers[i].value));
	}
	return put(out, "}");
}

int leat_record_json(struct leat_registry *registry, int32_t partition, const struct leat_record *record, struct leat_buffer *out)
{
	LEAT_TRY(leat_buffer_printf(out, "{\"partition\":%d,\"offset\":%lld,\"timestamp\":%lld,\"key\":", (int)partition, (long long)record->offset, (long long)record->timestamp_ms));
	LEAT_TRY(put_bytes(out, record->key));
	LEAT_TRY(put_headers(record, out));
	LEAT_TRY(put(out, ",\"value\":"));
	LEAT_TRY(put_value(registry, record->value, out));
	return put(out, "}");
}
