/* The simulated shop's events as Avro records with Confluent headers. */
#include "cli/cli.h"
#include "cli/shop_run.h"
#include "schemas/codec.h"

#include <math.h>
#include <stddef.h>

enum { UNKNOWN_ID = 999999, CUT_BYTES = 7, WRITER_MEMORY = 16 << 20, FIELDS_MAX = 32 };

/* Where a field of a schema lies in the event; fields that are not here take their defaults. */
static const struct member { const char *name; size_t offset; } members[] = {
#define TEXT(name) { #name, offsetof(struct leat_shop_event, name) }
	TEXT(event_id), TEXT(user_id), TEXT(anonymous_id), TEXT(item_id), TEXT(type), TEXT(ts), TEXT(category), TEXT(price), TEXT(channel), TEXT(url), TEXT(session_id),
	TEXT(order_id), TEXT(quantity), TEXT(currency), TEXT(country), TEXT(decision_id), TEXT(ad_id), TEXT(kind), TEXT(bid), TEXT(active), TEXT(title),
#undef TEXT
};
static const char *const names[LEAT_SHOP_TOPICS] = { "clicks", "purchases", "feedback", "ads" };
static const char *const files[LEAT_SHOP_TOPICS] = { "click", "purchase", "feedback", "ad" };

struct form {
	char *topic;
	struct leat_schema *schema;
	struct leat_encoder *encoder;
	struct leat_column *columns;
	const struct member *member[FIELDS_MAX];     /* by field */
	int32_t id;
};
struct leat_shop_writer {
	struct leat_transport *transport;
	struct leat_session *session;
	struct form forms[LEAT_SHOP_TOPICS];
	struct leat_buffer body;
};

static const struct member *find_member(const char *name)
{
	for (size_t i = 0; i < LEAT_COUNT_OF(members); i++)
		if (strcmp(members[i].name, name) == 0)
			return &members[i];
	return NULL;
}

static int compile_form(struct form *form, struct leat_fault *fault)
{
	const struct leat_field *fields[FIELDS_MAX];
	int slots[FIELDS_MAX];
	size_t count = leat_schema_count(form->schema);
	if (count > FIELDS_MAX)
		return leat_fail(fault, LEAT_ESCHEMA, "the schema %s has more than %d fields", leat_schema_name(form->schema), FIELDS_MAX);
	for (size_t i = 0; i < count; i++) {
		fields[i] = leat_schema_field(form->schema, i);
		form->member[i] = find_member(fields[i]->name);
		slots[i] = form->member[i] ? (int)i : -1;
	}
	if (leat_columns_make(&form->columns, fields, count) < 0)
		return leat_fail(fault, LEAT_ENOMEM, "out of memory");
	return leat_encoder_compile(&form->encoder, form->schema, slots, fields, fault);
}

static int open_form(struct leat_shop_writer *writer, struct leat_registry *registry, const struct leat_shop_writer_config *config, int topic, struct leat_fault *fault)
{
	struct form *form = &writer->forms[topic];
	char *path = leat_printf("%s/%s.avsc", config->schemas, files[topic]), *subject = NULL;
	form->topic = leat_printf("%s%s", config->prefix, names[topic]);
	int rc = path && form->topic ? leat_schema_load(&form->schema, path, fault) : leat_fail(fault, LEAT_ENOMEM, "out of memory");
	if (rc >= 0)
		rc = compile_form(form, fault);
	if (rc >= 0)
		rc = config->keep && topic != LEAT_SHOP_ADS ? leat_tool_topic_kept(writer->transport, form->topic, config->partitions, fault)
							    : leat_tool_topic(writer->transport, form->topic, config->partitions, topic == LEAT_SHOP_ADS, fault);
	if (rc >= 0 && !(subject = leat_printf("%s-value", form->topic)))
		rc = leat_fail(fault, LEAT_ENOMEM, "out of memory");
	if (rc >= 0)
		rc = leat_registry_register(registry, subject, leat_schema_json(form->schema), &form->id, fault);
	leat_free(subject);
	leat_free(path);
	return rc;
}

int leat_shop_writer_open(struct leat_shop_writer **out, struct leat_transport *transport, struct leat_registry *registry, const struct leat_shop_writer_config *config, struct leat_fault *fault)
{
	struct leat_shop_writer *writer = leat_calloc(1, sizeof *writer);
	const struct leat_session_config session = { .worker = -1, .tasks = 1, .memory = WRITER_MEMORY };
	*out = NULL;
	if (!writer)
		return leat_fail(fault, LEAT_ENOMEM, "out of memory");
	writer->transport = transport;
	int rc = 0;
	for (int topic = 0; rc >= 0 && topic < LEAT_SHOP_TOPICS; topic++)
		rc = open_form(writer, registry, config, topic, fault);
	if (rc >= 0)
		rc = transport->ops->session_open(transport, &session, &writer->session, fault);
	if (rc >= 0)
		*out = writer;
	else
		leat_shop_writer_close(writer);
	return rc < 0 ? rc : 0;
}

void leat_shop_writer_close(struct leat_shop_writer *writer)
{
	if (!writer)
		return;
	if (writer->session)
		writer->transport->ops->session_close(writer->session, true);
	for (int topic = 0; topic < LEAT_SHOP_TOPICS; topic++) {
		struct form *form = &writer->forms[topic];
		leat_encoder_free(form->encoder);
		if (form->columns)
			leat_columns_free(form->columns, leat_schema_count(form->schema));
		leat_schema_free(form->schema);
		leat_free(form->topic);
	}
	leat_buffer_free(&writer->body);
	leat_free(writer);
}

int leat_shop_writer_flush(struct leat_shop_writer *writer, struct leat_fault *fault)
{
	return writer->transport->ops->session_commit(writer->session, NULL, 0, "", fault);
}

static void fill(const struct form *form, const struct leat_shop_event *event)
{
	for (size_t i = 0; i < leat_schema_count(form->schema); i++) {
		const struct leat_field *field = leat_schema_field(form->schema, i);
		struct leat_column *column = &form->columns[i];
		if (!form->member[i])
			continue;
		const void *at = (const char *)event + form->member[i]->offset;
		if (field->type == LEAT_STRING)
			column->bytes[0] = leat_text(at);
		else
			memcpy(column->data, at, leat_type_size(field->type));
		bool missing = field->type == LEAT_STRING ? !column->bytes[0].length : field->type == LEAT_DOUBLE && isnan(column->doubles[0]);
		column->null[0] = field->nullable && missing;
	}
}

int leat_shop_write(struct leat_shop_writer *writer, const struct leat_shop_event *event, struct leat_fault *fault)
{
	const struct form *form = &writer->forms[event->topic];
	uint8_t header[LEAT_WIRE_HEADER];
	fill(form, event);
	leat_wire_write(header, event->dirt == LEAT_SHOP_UNKNOWN_SCHEMA ? UNKNOWN_ID : form->id);
	writer->body.length = 0;
	int rc = leat_buffer_append(&writer->body, header, sizeof header);
	if (rc >= 0)
		rc = leat_encoder_run(form->encoder, form->columns, 0, &writer->body);
	if (rc < 0)
		return leat_fail(fault, rc, "an event of the shop cannot be encoded: %s", leat_error_text(rc));
	if (event->dirt == LEAT_SHOP_CUT_BODY)
		writer->body.length -= CUT_BYTES;
	struct leat_record record = { .timestamp_ms = event->topic == LEAT_SHOP_ADS ? -1 : event->send_ms, .key = leat_text(event->topic == LEAT_SHOP_ADS ? event->ad_id : event->user_id),
				      .value = leat_bytes(writer->body.data, writer->body.length) };
	return writer->transport->ops->session_send(writer->session, form->topic, -1, &record, 0, fault);
}
