/* The shop's schemas: each is documented field by field, and fields that meet in one pipeline have one type. */
#include "schemas/codec.h"

#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

/* Those of ids.txt; what else lies there (the benchmark's) is no event of the shop. */
static struct {
	size_t count;
	char paths[64][64];
} files;

static int find_files(void **state)
{
	char name[50];
	int id;
	FILE *ids = fopen("schemas/ids.txt", "r");
	(void)state;
	if (!ids)
		return -1;
	while (files.count < LEAT_COUNT_OF(files.paths) && fscanf(ids, "%d %49s", &id, name) == 2)
		snprintf(files.paths[files.count++], sizeof files.paths[0], "schemas/%s", name);
	fclose(ids);
	return 0;
}

static struct leat_schema *load(const char *path)
{
	struct leat_schema *schema;
	struct leat_fault fault = { 0 };
	if (leat_schema_load(&schema, path, &fault) < 0)
		fail_msg("%s", fault.text);
	return schema;
}

static bool names_a_unit(const char *help)
{
	static const char *const units[] = {
		"No unit.", "in milliseconds since 1970-01-01 UTC", "in units of the shop's currency, not cents", "in units of currency, not cents",
		"in pieces.", "in points.", "in records.",
	};
	for (size_t i = 0; help && i < LEAT_COUNT_OF(units); i++)
		if (strstr(help, units[i]))
			return true;
	return false;
}

static void every_field_says_what_it_is_and_its_unit(void **state)
{
	(void)state;
	assert_int_equal(files.count, 11);
	for (size_t i = 0; i < files.count; i++) {
		struct leat_schema *schema = load(files.paths[i]);
		assert_int_equal(strncmp(leat_schema_name(schema), "leat.shop.", 10), 0);
		for (size_t f = 0; f < leat_schema_count(schema); f++)
			if (!names_a_unit(leat_schema_field(schema, f)->help))
				fail_msg("%s: the doc of %s names no unit", files.paths[i], leat_schema_field(schema, f)->name);
		leat_schema_free(schema);
	}
}

static bool same_symbols(const char *const *a, const char *const *b)
{
	if (!a || !b)
		return a == b;
	for (; *a && *b && strcmp(*a, *b) == 0; a++, b++)
		;
	return !*a && !*b;
}

/* Events flow together: their fields are the same down to null. What a table or a sink has of the same name is of the same type. */
static bool is_event(const char *path)
{
	return strstr(path, "/click.") || strstr(path, "/purchase.") || strstr(path, "/feedback.") || strstr(path, "/label.");
}

static void compare(const char *path_a, const char *path_b)
{
	struct leat_schema *a = load(path_a), *b = load(path_b);
	bool strict = is_event(path_a) && is_event(path_b);
	for (size_t i = 0; i < leat_schema_count(a); i++) {
		const struct leat_field *left = leat_schema_field(a, i);
		long at = leat_schema_find(b, left->name);
		if (at < 0)
			continue;
		const struct leat_field *right = leat_schema_field(b, (size_t)at);
		if (left->type != right->type || !same_symbols(left->symbols, right->symbols) || (strict && left->nullable != right->nullable))
			fail_msg("%s is not the same in %s and %s", left->name, path_a, path_b);
	}
	leat_schema_free(a);
	leat_schema_free(b);
}

static void a_name_has_one_type(void **state)
{
	(void)state;
	for (size_t i = 0; i < files.count; i++)
		for (size_t j = 0; j < i; j++)
			compare(files.paths[i], files.paths[j]);
}

static void every_schema_of_the_shop_has_an_id(void **state)
{
	glob_t found;
	size_t shops = 0;
	(void)state;
	assert_int_equal(glob("schemas/*.avsc", 0, NULL, &found), 0);
	for (size_t i = 0; i < found.gl_pathc; i++) {
		struct leat_schema *schema = load(found.gl_pathv[i]);
		bool listed = false;
		for (size_t f = 0; f < files.count; f++)
			listed |= strcmp(files.paths[f], found.gl_pathv[i]) == 0;
		if (!listed && strncmp(leat_schema_name(schema), "leat.shop.", 10) == 0)
			fail_msg("%s is not in ids.txt", found.gl_pathv[i]);
		shops += listed;
		leat_schema_free(schema);
	}
	assert_int_equal(shops, files.count);
	globfree(&found);
}

static void ids_count_from_one(void **state)
{
	char line[200], file[100];
	int id, count = 0;
	FILE *ids = fopen("schemas/ids.txt", "r");
	(void)state;
	assert_non_null(ids);
	while (fgets(line, sizeof line, ids)) {
		assert_int_equal(sscanf(line, "%d %99s", &id, file), 2);
		assert_int_equal(id, ++count);
	}
	fclose(ids);
	assert_int_equal(count, 11);
}

/* A new optional field must not make writers fail: only these have to be given. */
static void only_what_makes_the_event_is_required(void **state)
{
	static const struct { const char *path, *required; } wanted[] = {
		{ "schemas/click.avsc", "event_id user_id item_id type ts " },
		{ "schemas/purchase.avsc", "event_id user_id item_id order_id type ts " },
		{ "schemas/ad.avsc", "ad_id bid " },
		{ "schemas/feedback.avsc", "decision_id event_id user_id ad_id kind ts " },
		{ "schemas/label.avsc", "event_id labelled_event_id user_id verdict ts " },
		{ "schemas/erasure.avsc", "request_id user_id ts " },
	};
	(void)state;
	for (size_t i = 0; i < LEAT_COUNT_OF(wanted); i++) {
		struct leat_schema *schema = load(wanted[i].path);
		struct leat_buffer required = { 0 };
		for (size_t f = 0; f < leat_schema_count(schema); f++) {
			const void *value;
			bool null;
			if (!leat_schema_default(schema, f, &value, &null))
				assert_int_equal(leat_buffer_printf(&required, "%s ", leat_schema_field(schema, f)->name), 0);
		}
		assert_int_equal(leat_buffer_append(&required, "", 1), 0);
		assert_string_equal((const char *)required.data, wanted[i].required);
		leat_buffer_free(&required);
		leat_schema_free(schema);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_field_says_what_it_is_and_its_unit),
		cmocka_unit_test(a_name_has_one_type),
		cmocka_unit_test(every_schema_of_the_shop_has_an_id),
		cmocka_unit_test(ids_count_from_one),
		cmocka_unit_test(only_what_makes_the_event_is_required),
	};
	return cmocka_run_group_tests(tests, find_files, NULL);
}
