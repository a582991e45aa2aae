/* timeout: 300. An operator that ends the process, on a real BROKER: what the deaths of an instance count for. */
#include "tests/stream/crash_help.h"

static int make_kafka_world(void **state)
{
	make_world(state);
	((struct world *)*state)->brokers = getenv("BROKER");
	return 0;
}

static void needs_broker(const struct world *world)
{
	if (world->brokers)
		return;
	printf("skip: no broker: set BROKER=host:port\n");
	skip();
}

static void after_three_deaths_the_event_is_a_dead_letter_and_kills_in_between_count_for_nothing(void **state)
{
	struct world *world = *state;
	struct event events[EVENTS];
	needs_broker(world);
	make_events(events);
	events[POISON].b = OVERFLOW;
	begin(world, chain, 64, "dead-letter", events, EVENTS);
	assert_int_equal(run(world, "killed"), SIGKILL);
	assert_int_equal(run(world, "dies"), SIGSEGV);
	assert_int_equal(run(world, "killed"), SIGKILL);
	assert_int_equal(die_until_through(world, SIGSEGV, 0), DEATHS - 1);
	check_chain(world, events, EVENTS, true);
	assert_int_equal(access(world->deaths, F_OK), -1);
	assert_true(said(world, "task 0: operator 'second' died of SIGSEGV on the event of $-in[0] at offset 11, death 3 of 3. It is kept from the operator now"));
}

static void another_instance_that_takes_the_task_over_counts_anew(void **state)
{
	struct world *world = *state;
	struct event events[EVENTS];
	needs_broker(world);
	make_events(events);
	events[POISON].a = ABORT;
	begin(world, chain, 64, "dead-letter", events, EVENTS);
	assert_int_equal(run(world, "dies"), SIGABRT);
	assert_int_equal(run(world, "dies"), SIGABRT);
	world->instance = "b";
	assert_int_equal(die_until_through(world, SIGABRT, 0), DEATHS);
	check_chain(world, events, EVENTS, true);
	assert_int_equal(access(world->deaths, F_OK), 0);      /* the other's list: dropped when the task comes back to it */
	world->instance = "a";
	assert_int_equal(run(world, "dies"), 0);
	assert_int_equal(access(world->deaths, F_OK), -1);
	check_chain(world, events, EVENTS, true);
}

int main(int argc, char **argv)
{
	if (argc == 6)
		return run_pipeline(argv);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(after_three_deaths_the_event_is_a_dead_letter_and_kills_in_between_count_for_nothing, make_kafka_world, remove_world),
		cmocka_unit_test_setup_teardown(another_instance_that_takes_the_task_over_counts_anew, make_kafka_world, remove_world),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
