/* The registry client against a real registry that tests/e2e/registry.sh has started and prepared; the environment says where it is. */
#include "schemas/codec.h"
#include "schemas/registry.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

static const char *const shop[] = {
	"click", "purchase", "ad", "feedback", "label", "rule", "decision", "recommendation", "alert", "dead_letter", "erasure",
};
static struct leat_fault fault;

static struct leat_registry *open_at(const char *variable, const char *ca_file)
{
	struct leat_registry *registry = NULL;
	struct leat_registry_config config = { .url = getenv(variable), .ca_file = ca_file };
	if (!config.url || leat_registry_open(&registry, &config, &fault) < 0)
		fail_msg("%s: %s", variable, fault.text);
	return registry;
}

static int32_t register_at(struct leat_registry *registry, const char *subject, const char *json)
{
	int32_t id = 0;
	int rc = leat_registry_register(registry, subject, json, &id, &fault);
	return rc < 0 ? rc : id;
}

static bool same_json(const char *a, const char *b)
{
	json_t *left = json_loads(a, 0, NULL), *right = json_loads(b, 0, NULL);
	bool same = left && json_equal(left, right);
	json_decref(left);
	json_decref(right);
	return same;
}

static void check_schema(const char *name)
{
	struct leat_registry *writer = open_at("REGISTRY_URL", NULL), *reader = open_at("REGISTRY_URL", NULL);
	struct leat_schema *schema;
	struct leat_decoder *decoder;
	char path[100], subject[100];
	const char *json;
	size_t length;
	int slots[64];
	snprintf(path, sizeof path, "schemas/%s.avsc", name);
	snprintf(subject, sizeof subject, "shop.%s-value", name);
	if (leat_schema_load(&schema, path, &fault) < 0)
		fail_msg("%s", fault.text);
	int32_t id = register_at(writer, subject, leat_schema_json(schema));
	if (id < 1)
		fail_msg("%s: %s", name, fault.text);
	assert_int_equal(register_at(reader, subject, leat_schema_json(schema)), id);
	assert_int_equal(leat_registry_by_id(reader, id, &json, &length, &fault), 0);
	assert_true(same_json(json, leat_schema_json(schema)));
	for (size_t i = 0; i < LEAT_COUNT_OF(slots); i++)
		slots[i] = (int)i;
	assert_int_equal(leat_decoder_compile(&decoder, json, length, schema, slots, &fault), 0);
	leat_decoder_free(decoder);
	leat_schema_free(schema);
	leat_registry_close(writer);
	leat_registry_close(reader);
}

static void the_shops_schemas_come_back_as_they_were_registered(void **state)
{
	(void)state;
	for (size_t i = 0; i < LEAT_COUNT_OF(shop); i++)
		check_schema(shop[i]);
}

static void an_unknown_id_is_not_found(void **state)
{
	struct leat_registry *registry = open_at("REGISTRY_URL", NULL);
	const char *json;
	size_t length;
	(void)state;
	assert_int_equal(leat_registry_by_id(registry, 987654, &json, &length, &fault), LEAT_ENOTFOUND);
	leat_registry_close(registry);
}

static void what_the_registry_refuses_is_a_schema_error(void **state)
{
	struct leat_registry *registry = open_at("REGISTRY_URL", NULL);
	(void)state;
	assert_true(register_at(registry, "strict-value", "{\"type\":\"record\",\"name\":\"S\",\"fields\":[{\"name\":\"a\",\"type\":\"long\"}]}") > 0);
	assert_int_equal(register_at(registry, "strict-value", "{\"type\":\"record\",\"name\":\"S\",\"fields\":[{\"name\":\"a\",\"type\":\"string\"}]}"),
			 LEAT_ESCHEMA);
	assert_non_null(strstr(fault.text, "not compatible with what is registered"));
	assert_int_equal(register_at(registry, "other-value", "{nonsense"), LEAT_ESCHEMA);
	assert_non_null(strstr(fault.text, "not a valid schema"));
	assert_true(register_at(registry, "a/b c-value", "{\"type\":\"record\",\"name\":\"S\",\"fields\":[]}") > 0);
	leat_registry_close(registry);
}

static void a_schema_with_references_is_named(void **state)
{
	struct leat_registry *registry = open_at("REGISTRY_URL", NULL);
	const char *json, *id = getenv("REGISTRY_REFERENCING_ID");
	size_t length;
	(void)state;
	assert_non_null(id);
	assert_int_equal(leat_registry_by_id(registry, (int32_t)strtol(id, NULL, 10), &json, &length, &fault), LEAT_EUNSUPPORTED);
	assert_non_null(strstr(fault.text, "refers to other schemas"));
	leat_registry_close(registry);
}

static void a_wrong_path_gives_no_verdict(void **state)
{
	struct leat_registry *registry = open_at("REGISTRY_WRONG_URL", NULL);
	const char *json;
	size_t length;
	(void)state;
	assert_int_equal(leat_registry_by_id(registry, 1, &json, &length, &fault), LEAT_ERETRY);
	assert_non_null(strstr(fault.text, "HTTP 404: is the url right?"));
	leat_registry_close(registry);
}

static void https_needs_a_certificate_that_is_known(void **state)
{
	struct leat_registry *known = open_at("REGISTRY_HTTPS_URL", getenv("REGISTRY_CA")), *unknown = open_at("REGISTRY_HTTPS_URL", NULL);
	struct leat_registry *other_name = open_at("REGISTRY_HTTPS_WRONG_NAME_URL", getenv("REGISTRY_CA"));
	const char *json;
	size_t length;
	(void)state;
	if (leat_registry_by_id(known, 1, &json, &length, &fault) < 0)
		fail_msg("%s", fault.text);
	assert_int_equal(leat_registry_by_id(unknown, 1, &json, &length, &fault), LEAT_ERETRY);
	assert_non_null(strstr(fault.text, "certificate"));
	assert_int_equal(leat_registry_by_id(other_name, 1, &json, &length, &fault), LEAT_ERETRY);
	leat_registry_close(known);
	leat_registry_close(unknown);
	leat_registry_close(other_name);
}

static void a_registry_that_is_gone_is_tried_again_later(void **state)
{
	struct leat_registry *registry = open_at("REGISTRY_URL", NULL);
	const char *json;
	size_t length;
	(void)state;
	assert_int_equal(leat_registry_by_id(registry, 1, &json, &length, &fault), LEAT_ERETRY);
	leat_registry_close(registry);
}

int main(void)
{
	static const struct CMUnitTest served[] = {
		cmocka_unit_test(the_shops_schemas_come_back_as_they_were_registered),
		cmocka_unit_test(an_unknown_id_is_not_found),
		cmocka_unit_test(what_the_registry_refuses_is_a_schema_error),
		cmocka_unit_test(a_schema_with_references_is_named),
		cmocka_unit_test(a_wrong_path_gives_no_verdict),
		cmocka_unit_test(https_needs_a_certificate_that_is_known),
	};
	static const struct CMUnitTest gone[] = { cmocka_unit_test(a_registry_that_is_gone_is_tried_again_later) };
	return getenv("REGISTRY_GONE") ? cmocka_run_group_tests(gone, NULL, NULL) : cmocka_run_group_tests(served, NULL, NULL);
}
