/* The check of pipeline files: each mistake is named with file, line, key and what is allowed; nothing wrong gets through. */
#include "stream/pipeline.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#define SOURCE "sources: { clicks: { topic: c, format: json, fields: \"user:string item:string price:double? ts:int\", time: ts } }\n"
#define HEAD "pipeline: p\n" SOURCE

static const struct { const char *text, *said; } wrong[] = {
	{ "", "p.yaml: the file is empty" },
	{ "[1, 2", "p.yaml:2: not YAML" },
	{ "a: 1\n", "'pipeline: name' is missing" },
	{ "pipeline: 'a b'\n", "the pipeline's name must be" },
	{ "pipeline: p\nsources: 3\n", "p.yaml:2: 'sources:' must be a map" },
	{ "pipeline: p\n", "the section 'sources:' is missing" },
	{ "pipeline: p\npipeline: q\n", "'pipeline' is given twice" },
	{ HEAD "nonsense: 1\n", "p.yaml:3: pipeline: unknown key 'nonsense'; allowed: " },
	{ HEAD "memory: lots\n", "'memory' must be a size such as 64KB" },
	{ HEAD "commit_ms: 0\n", "'commit_ms' must be from 1 to 60000, not '0'" },
	{ HEAD "commit_ms: 1.5\n", "'commit_ms' must be a whole number" },
	{ HEAD "guarantee: twice\n", "must be one of exactly-once, at-least-once, not 'twice'" },
	{ "pipeline: p\nsources: { a: { topic: t } }\n", "p.yaml:2: source 'a': give either 'schema: NAME' or 'fields: \"user:string price:double?\"', one of them is needed" },
	{ HEAD "sinks: { s: { from: clicks, topic: o, format: json } }\n", "p.yaml:3: sink 's': give either 'schema: NAME' or 'record: " },
	{ HEAD "sinks: { s: { from: clicks, topic: o, format: json, schema: click, record: \"user:string\" } }\n", "not both" },
	{ "pipeline: p\nsources: { a: { topic: t, fields: \"x\" } }\n", "'x' must be name:type" },
	{ "pipeline: p\nsources: { a: { topic: t, fields: \"x:map\" } }\n", "unknown type 'map'" },
	{ "pipeline: p\nsources: { a: { topic: t, fields: \"x:int\", time: y } }\n", "'time' names 'y', which its schema has not" },
	{ "pipeline: p\nsources: { a: { topic: t, fields: \"x:string\", time: x } }\n", "'x' must be of type int" },
	{ "pipeline: p\nsources: { a: { topic: t, schema: nowhere } }\n", "schema 'nowhere'" },
	{ "pipeline: p\nsources: { a: { topic: t, fields: \"x:int\" }, b: { topic: u, fields: \"x:string\" } }\n", "the field 'x' has another type here" },
	{ HEAD "operators: { a: 1 }\n", "'operators:' must be a list" },
	{ HEAD "operators: [ { id: a, use: nothing, from: clicks } ]\n", "there is no operator 'nothing'" },
	{ HEAD "operators: [ { id: a, use: filter, from: nobody, with: { where: \"true\" } } ]\n", "'from' names 'nobody'" },
	{ HEAD "operators: [ { id: a, use: filter, from: clicks, with: { where: \"prize > 1\" } } ]\n", "unknown field 'prize'" },
	{ HEAD "operators: [ { id: a, use: filter, from: clicks, with: { where: \"price\" } } ]\n", "'where' is not right" },
	{ HEAD "operators: [ { id: a, use: filter, from: clicks, with: { were: \"true\" } } ]\n", "unknown key 'were'; did you mean 'where'? allowed: where" },
	{ HEAD "operators: [ { id: a, use: filter, from: clicks } ]\n", "'where' is missing" },
	{ HEAD "operators: [ { id: a, use: filter, from: b, with: { where: \"true\" } }, { id: b, use: filter, from: a, with: { where: \"true\" } } ]\n", "is part of a cycle" },
	{ HEAD "operators: [ { id: a, use: filter, from: b, with: { where: \"true\" } }, { id: b, use: filter, from: a, with: { where: \"true\" } },\n"
	  "  { id: behind, use: filter, from: b, with: { where: \"true\" } } ]\n", "operator 'b' is part of a cycle: it reads 'a', which waits for it" },
	{ HEAD "operators: [ { id: a, use: filter, from: clicks, with: { where: \"true\" } }, { id: a, use: filter, from: clicks, with: { where: \"true\" } } ]\n", "the id 'a' is used twice" },
	{ HEAD "operators: [ { id: clicks, use: filter, from: clicks, with: { where: \"true\" } } ]\n", "'clicks' is the name of a source too" },
	{ HEAD "operators: [ { id: a, use: filter, from: clicks, wit: {} } ]\n", "unknown key 'wit'; did you mean 'with'? allowed: id, use, from, with, as" },
	{ HEAD "operators: [ { id: a, use: filter, from: click, with: { where: \"true\" } } ]\n", "'from' names 'click', which is neither a source nor an operator; did you mean 'clicks'?" },
	{ HEAD "operators: [ { id: a, use: flter, from: clicks } ]\n", "there is no operator 'flter'; did you mean 'filter'? `leat operators` lists them" },
	{ HEAD "operators: [ { id: a, use: rekey, from: clicks, with: { by: usr } } ]\n", "names the field 'usr', which does not exist here; did you mean 'user'?" },
	{ HEAD "sinks: { s: { from: clicks, topic: o, format: json, record: \"user:string\", fields: { user: itme } } }\n", "there is no column 'itme'; did you mean 'item'?" },
	{ HEAD "kafka: { settings: { sasl.mechansim: PLAIN } }\n", "may be set; did you mean 'sasl.mechanism'?" },
	{ "pipeline: p\nsources: { a: { topic: t, fields: \"x:int\", lateness: -5s } }\n", "p.yaml:2: source 'a': 'lateness' must not be negative: 0, or a time such as 250ms, 10s, 5m, 1h or 30d, not '-5s'" },
	{ HEAD "operators: [ { id: a, use: rekey, from: clicks, with: { by: price } } ]\n", "must name a field of type int, string" },
	{ HEAD "sinks: { s: { from: clicks, topic: c, format: json, record: \"user:string\" } }\n", "writes a topic that the pipeline reads" },
	{ HEAD "sinks: { s: { from: clicks, topic: o, format: json, record: \"nobody:string\" } }\n", "sink 's'" },
	{ HEAD "sinks: { s: { from: clicks, topic: o, format: json, record: \"user:string\", fields: { user: x } } }\n", "there is no column 'x'" },
	{ HEAD "sinks: { s: { from: clicks, topic: o, format: json, record: \"user:string\", emit: early }, t: { from: clicks, topic: o, format: json, record: \"user:string\" } }\n", "either early or in transactions" },
	{ HEAD "tables: { t: { key: a, fields: \"a:string\" } }\n", "give either a topic or rows" },
	{ HEAD "tables: { t: { key: b, topic: t, fields: \"a:string\" } }\n", "its schema has no field 'b'" },
	{ HEAD "tables: { t: { key: a, history: b, topic: t, fields: \"a:string\" } }\n", "history: its schema has no int field 'b'" },
	{ HEAD "tables: { t: { key: a, history: a, topic: t, fields: \"a:string\" } }\n", "history: its schema has no int field 'a'" },
	{ HEAD "kafka: { broker: x }\n", "kafka: unknown key 'broker'; did you mean 'brokers'? allowed: brokers, settings" },
	{ HEAD "kafka: { settings: { sasl.password: hush } }\n", "p.yaml:3: kafka setting sasl.password is a secret, which must not stand here: write \"${file:/path}\" (chmod 600) or \"${env:NAME}\"" },
	{ HEAD "kafka: { settings: { ssl.key.password: \"\" } }\n", "kafka setting ssl.key.password is a secret" },
	{ HEAD "kafka: { settings: { ssl.keystore.password: \"${env:HOME}x\" } }\n", "kafka setting ssl.keystore.password is a secret" },
	{ HEAD "kafka: { settings: { sasl.oauthbearer.client.secret: \"${env:LEAT_TEST_NOT_SET:-hush}\" } }\n", "kafka setting sasl.oauthbearer.client.secret is a secret" },
	{ HEAD "kafka: { settings: { ssl.key.pem: hush } }\n", "kafka setting ssl.key.pem is a secret" },
	{ HEAD "kafka: { settings: { ssl.key.location: /etc/passwd } }\n", "p.yaml:3: kafka setting ssl.key.location: /etc/passwd holds a secret but others may open it (mode 644); chmod 600 it" },
	{ HEAD "registry: { url: \"http://me:hush@localhost\" }\n", "the registry's password must not stand here: put user:password into a file (chmod 600) and name it in auth_file:" },
	{ HEAD "dead_letters: x\n", "dead_letters: must be { topic: name }" },
	{ "pipeline: p\nsources: { a: { topic: 'a/b', fields: \"x:int\" } }\n", "'a/b' cannot be a topic's name" },
	{ "pipeline: ${env:LEAT_TEST_NOT_SET}\n", "the environment variable LEAT_TEST_NOT_SET is not set" },
	{ "pipeline: ${run:ls}\n", "only ${env:NAME}" },
	{ "pipeline: ${file:/etc/passwd}\n", "others may open it" },
};

static void every_mistake_is_named(void **state)
{
	(void)state;
	for (size_t i = 0; i < LEAT_COUNT_OF(wrong); i++) {
		struct leat_pipeline *pipeline;
		struct leat_fault fault = { 0 };
		int rc = leat_pipeline_parse(&pipeline, "p.yaml", wrong[i].text, strlen(wrong[i].text), NULL, &fault);
		if (rc != LEAT_ECONFIG || !strstr(fault.text, wrong[i].said))
			print_error("%s\n  expected ...%s..., got %d %s\n", wrong[i].text, wrong[i].said, rc, fault.text);
		assert_int_equal(rc, LEAT_ECONFIG);
		assert_non_null(strstr(fault.text, wrong[i].said));
		assert_null(pipeline);
	}
}

static void secrets_come_from_the_environment_or_a_file(void **state)
{
	static const char text[] = HEAD "kafka: { settings: { sasl.password: \"${env:LEAT_TEST_SECRET}\", sasl.username: me } }\nregistry: { url: \"http://${env:LEAT_TEST_SECRET}@h\" }\n";
	struct leat_pipeline *pipeline;
	struct leat_fault fault = { 0 };
	(void)state;
	setenv("LEAT_TEST_SECRET", "a:b", 1);
	assert_int_equal(leat_pipeline_parse(&pipeline, "p.yaml", text, strlen(text), NULL, &fault), 0);
	assert_string_equal(pipeline->kafka[0].key, "sasl.password");
	assert_string_equal(pipeline->kafka[0].value, "a:b");
	assert_string_equal(pipeline->registry_url, "http://a:b@h");
	leat_pipeline_free(pipeline);
}

/* Into a file of its own, then as leat_pipeline_load_connection() takes it. */
static int load_connection(const char *text, struct leat_pipeline **pipeline, struct leat_fault *fault)
{
	char path[] = "/tmp/leat-pipeline-XXXXXX";
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
	int rc = leat_pipeline_load_connection(pipeline, path, fault);
	unlink(path);
	return rc;
}

static void a_connection_needs_no_pipeline_around_it(void **state)
{
	static const char *const good[] = {
		"kafka: { brokers: h:1, settings: { security.protocol: SSL } }\nregistry: { url: http://r, auth_file: /a }\n",
		HEAD "operators: [ 3 ]\nkafka: { brokers: h:1, settings: { security.protocol: SSL } }\nregistry: { url: http://r, auth_file: /a }\n",
	};
	static const struct { const char *text, *said; } bad[] = {
		{ "kafkaa: { brokers: h:1 }\n", "unknown key 'kafkaa'" }, { "kafka: { settings: { sasl.password: hush } }\n", ":1: kafka setting sasl.password is a secret" },
		{ "kafka: { settings: { acks: 1 } }\n", "exactly once needs all" }, { "- kafka\n", "must be" },
	};
	struct leat_pipeline *pipeline;
	(void)state;
	for (size_t i = 0; i < LEAT_COUNT_OF(good); i++) {
		struct leat_fault fault = { 0 };
		assert_int_equal(load_connection(good[i], &pipeline, &fault), 0);
		assert_string_equal(pipeline->brokers, "h:1");
		assert_string_equal(pipeline->kafka[0].value, "SSL");
		assert_string_equal(pipeline->registry_auth_file, "/a");
		leat_pipeline_free(pipeline);
	}
	for (size_t i = 0; i < LEAT_COUNT_OF(bad); i++) {
		struct leat_fault fault = { 0 };
		assert_int_equal(load_connection(bad[i].text, &pipeline, &fault), LEAT_ECONFIG);
		if (!strstr(fault.text, bad[i].said))
			fail_msg("%s: %s", bad[i].text, fault.text);
	}
}

static const char whole[] = HEAD
	"operators:\n"
	"  - { id: last, use: map, from: [cheap, dear.pass], with: { set: { twice: \"price * 2.0\" } } }\n"
	"  - { id: cheap, use: filter, from: clicks, with: { where: \"price < 5.0\" } }\n"
	"  - { id: dear, use: filter, from: clicks, with: { where: \"price >= 5.0\" } }\n"
	"sinks: { s: { from: last, topic: \"${env:LEAT_TEST_TOPIC:-o}\", format: json, record: \"user:string twice:double?\" } }\n";

static void operators_are_ordered_by_who_feeds_whom(void **state)
{
	(void)state;
	struct leat_pipeline *pipeline;
	struct leat_fault fault = { 0 };
	assert_int_equal(leat_pipeline_parse(&pipeline, "p.yaml", whole, strlen(whole), NULL, &fault), 0);
	assert_int_equal(pipeline->node_count, 3);
	assert_string_equal(pipeline->nodes[2].id, "last");
	assert_string_equal(pipeline->sinks[0].topic, "o");
	assert_true(pipeline->streams[0].joins);
	assert_int_equal(pipeline->sources[0].slots[1], -1);   /* nobody reads the item */
	leat_pipeline_free(pipeline);
}

static void a_value_can_be_set_from_outside(void **state)
{
	(void)state;
	static const char *const set[] = { "sinks.s.topic=elsewhere", "commit_ms=7", "operators.cheap.with.where=price < 1.0", NULL };
	static const char *const bad[] = { "sinks=1", NULL };
	struct leat_pipeline *pipeline;
	struct leat_fault fault = { 0 };
	assert_int_equal(leat_pipeline_parse(&pipeline, "p.yaml", whole, strlen(whole), set, &fault), 0);
	assert_string_equal(pipeline->sinks[0].topic, "elsewhere");
	assert_int_equal(pipeline->settings.commit_ms, 7);
	leat_pipeline_free(pipeline);
	assert_int_equal(leat_pipeline_parse(&pipeline, "p.yaml", whole, strlen(whole), bad, &fault), LEAT_ECONFIG);
	assert_non_null(strstr(fault.text, "is not a single value"));
}

static void a_mistyped_set_is_named_as_such_with_the_names_there_are(void **state)
{
	static const struct { const char *set, *said; } cases[] = {
		{ "sinks.nope.emit=early", "--set sinks.nope.emit=early: 'sinks:' of p.yaml has no 'nope'; it has: s" },
		{ "sinks.ss.emit=early", "has no 'ss'; did you mean 's'? it has: s" },
		{ "sources.click.lateness=1s", "has no 'click'; did you mean 'clicks'? it has: clicks" },
		{ "operators.none.with.where=true", "has no 'none'; it has: last, cheap, dear" },
		{ "tables.ads.topic=x", "has no 'ads'; it has: none" },
		{ "sinks.s.emmit=early", "p.yaml as changed by --set: sink 's': unknown key 'emmit'; did you mean 'emit'? allowed: " },
		{ "sinks.s.emit=soon", "p.yaml as changed by --set: sink 's': 'emit' must be one of transaction, early, not 'soon'" },
		{ "commit=5", "p.yaml as changed by --set: pipeline: unknown key 'commit'; allowed: " },
		{ "commit_ms=0", "p.yaml as changed by --set: pipeline: 'commit_ms' must be from 1 to 60000" },
		{ "commit_ms", "--set commit_ms: must be PATH=VALUE" },
	};
	(void)state;
	for (size_t i = 0; i < LEAT_COUNT_OF(cases); i++) {
		const char *const set[] = { cases[i].set, NULL };
		struct leat_pipeline *pipeline;
		struct leat_fault fault = { 0 };
		assert_int_equal(leat_pipeline_parse(&pipeline, "p.yaml", whole, strlen(whole), set, &fault), LEAT_ECONFIG);
		if (!strstr(fault.text, cases[i].said))
			fail_msg("%s gave %s", cases[i].set, fault.text);
	}
}

/* 100 KB of brackets took libyaml most of a minute before its tree could be looked at. */
static void endless_nesting_is_refused_at_once(void **state)
{
	static const struct { const char *unit; int line; } cases[] = { { "[", 2 }, { "{a: ", 2 }, { "[\n", 34 }, { "[ ['', \"\", ", 2 } };
	const size_t size = 100000;
	char *text = malloc(size + 100), expected[40];
	(void)state;
	for (size_t i = 0; i < LEAT_COUNT_OF(cases); i++) {
		struct leat_pipeline *pipeline;
		struct leat_fault fault = { 0 };
		size_t used = (size_t)snprintf(text, 100, "pipeline: p\nsources: ");
		while (used < size)
			used += (size_t)snprintf(text + used, 16, "%s", cases[i].unit);
		int64_t start_us = leat_clock_mono_us(NULL);
		assert_int_equal(leat_pipeline_parse(&pipeline, "p.yaml", text, used, NULL, &fault), LEAT_ECONFIG);
		assert_true(leat_clock_mono_us(NULL) - start_us < 1000000);
		snprintf(expected, sizeof expected, "p.yaml:%d: too large or too deep", cases[i].line);
		if (!strstr(fault.text, expected))
			fail_msg("%.10s gave %s", cases[i].unit, fault.text);
	}
	free(text);
}

static void brackets_in_texts_are_no_nesting(void **state)
{
	char text[4000] = "pipeline: p  # [[[[\n" SOURCE "tables:\n  t: { key: a, format: json, fields: \"a:string\", rows: [ '", brackets[301];
	struct leat_pipeline *pipeline;
	struct leat_fault fault = { 0 };
	(void)state;
	memset(brackets, '[', 300);
	brackets[300] = 0;
	size_t used = strlen(text);
	snprintf(text + used, sizeof text - used, "{\"a\": \"%s\"}' ] }\n  u:\n    key: a\n    format: json\n    fields: \"a:string\"\n    rows:\n      - |\n        {\"a\":\n        \"%s\"}\n", brackets, brackets);
	int rc = leat_pipeline_parse(&pipeline, "p.yaml", text, strlen(text), NULL, &fault);
	if (rc < 0)
		fail_msg("%s", fault.text);
	leat_pipeline_free(pipeline);
}

static void no_failing_allocation_is_more_than_a_refusal(void **state)
{
	(void)state;
	for (uint64_t nth = 1;; nth++) {
		struct leat_pipeline *pipeline;
		struct leat_fault fault = { 0 };
		leat_alloc_fail_at(nth);
		int rc = leat_pipeline_parse(&pipeline, "p.yaml", whole, strlen(whole), NULL, &fault);
		uint64_t made = leat_alloc_fail_at(0);
		leat_pipeline_free(pipeline);
		if (made < nth) {
			assert_int_equal(rc, 0);
			break;
		}
		assert_true(rc < 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_mistake_is_named), cmocka_unit_test(secrets_come_from_the_environment_or_a_file), cmocka_unit_test(a_connection_needs_no_pipeline_around_it), cmocka_unit_test(operators_are_ordered_by_who_feeds_whom),
		cmocka_unit_test(a_value_can_be_set_from_outside), cmocka_unit_test(a_mistyped_set_is_named_as_such_with_the_names_there_are),
		cmocka_unit_test(endless_nesting_is_refused_at_once), cmocka_unit_test(brackets_in_texts_are_no_nesting), cmocka_unit_test(no_failing_allocation_is_more_than_a_refusal),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
