/* The engine around one operator that only passes rows on: what arrives leaves, in order, once. */
#include "tests/harness.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static void rows_pass_through_profile_in_order(void **state)
{
	(void)state;
	leat_scenario(&(struct leat_scenario){
		.use = "profile", .with = "{ interests: 0 }", .fields = "user:string ts:int", .time = "ts", .key = "user",
		.when = (const char *const[]){ "{\"user\":\"a\",\"ts\":1000}", "{\"user\":\"b\",\"ts\":2000}", "{\"user\":\"a\",\"ts\":3000}", "{\"user\":\"c\",\"ts\":0}", "nonsense", NULL },
		.show = "user events", .then = "passed: a 1\npassed: b 1\npassed: a 2\nrejected: bad_time\nrejected: json_syntax\n",
	});
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(rows_pass_through_profile_in_order) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
