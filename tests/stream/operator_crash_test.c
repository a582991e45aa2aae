/* timeout: 300. An operator that ends the process on an event: three deaths, then the event is set aside and everything else has its effect, once. */
#include "tests/stream/crash_help.h"

/* ---- tests ---- */

static void after_three_deaths_the_event_is_a_dead_letter_and_all_others_count_once(void **state)
{
	static const struct { int way, batch; bool second; } cases[] = {
		{ NULL_WRITE, 64, false }, { ABORT, 1, true }, { OVERFLOW, 64, true }, { TRAP, 7, false },
	};
	struct world *world = *state;
	for (size_t i = 0; i < LEAT_COUNT_OF(cases); i++) {
		struct event events[EVENTS];
		make_events(events);
		*(cases[i].second ? &events[POISON].b : &events[POISON].a) = cases[i].way;
		begin(world, chain, cases[i].batch, "dead-letter", events, EVENTS);
		assert_int_equal(die_until_through(world, signal_of[cases[i].way], 0), DEATHS);
		check_chain(world, events, EVENTS, true);
		assert_int_equal(access(world->deaths, F_OK), -1);
	}
}

static void the_first_and_the_last_event_of_all_may_be_the_deadly_ones(void **state)
{
	struct world *world = *state;
	struct event events[EVENTS];
	make_events(events);
	events[0].a = ABORT;
	events[EVENTS - 1].b = RAISED_FPE;
	begin(world, chain, 64, "dead-letter", events, EVENTS);
	for (int i = 0; i < DEATHS; i++)
		assert_int_equal(run(world, "dies"), SIGABRT);
	assert_int_equal(die_until_through(world, SIGFPE, 0), DEATHS);
	check_chain(world, events, EVENTS, true);
}

static void each_start_says_who_died_on_what_and_how_often(void **state)
{
	struct world *world = *state;
	struct event events[EVENTS];
	make_events(events);
	events[POISON].b = NULL_WRITE;
	begin(world, chain, 64, "dead-letter", events, EVENTS);
	die_until_through(world, SIGSEGV, 0);
	assert_true(said(world, "task 0: operator 'second' died of SIGSEGV on one of 20 events, death 1 of 3"));
	assert_true(said(world, "task 0: operator 'second' died of SIGSEGV on the event of $-in[0] at offset 11, death 2 of 3\n"));
	assert_true(said(world, "task 0: operator 'second' died of SIGSEGV on the event of $-in[0] at offset 11, death 3 of 3. It is kept from the operator now and set aside as operator_crash"));
}

/* The first death was on a batch that held both; it counts for the one that was to blame. */
static void two_deadly_events_in_a_row_cost_three_deaths_each(void **state)
{
	struct world *world = *state;
	struct event events[EVENTS];
	make_events(events);
	events[POISON].a = events[POISON + 1].a = RAISED_BUS;
	begin(world, chain, 64, "dead-letter", events, EVENTS);
	assert_int_equal(die_until_through(world, SIGBUS, 0), 2 * DEATHS);
	check_chain(world, events, EVENTS, true);
}

static void an_operator_behind_one_that_emits_is_the_one_that_is_named(void **state)
{
	struct world *world = *state;
	struct event events[3] = { { 'a', NOTHING, 0 }, { 'a', ABORT, 0 }, { 'a', NOTHING, 0 } };
	begin(world, emitted, 64, "dead-letter", events, 3);
	assert_int_equal(die_until_through(world, SIGABRT, 0), DEATHS);
	char expected[512];
	snprintf(expected, sizeof expected, "a={\"seen\":1}\na={\"seen\":2}\na={\"seen\":3}\na={\"seen\":4}\n--\na={\"user\":\"a\",\"a\":2,\"b\":0} a operator_crash second %s-in 0 1 -1 %s\n", world->name, world->name);
	check(world, expected);
}

static void with_on_bad_skip_it_is_left_out(void **state)
{
	struct world *world = *state;
	struct event events[EVENTS];
	make_events(events);
	events[POISON].a = NULL_WRITE;
	begin(world, chain, 64, "skip", events, EVENTS);
	assert_int_equal(die_until_through(world, SIGSEGV, 0), DEATHS);
	check_chain(world, events, EVENTS, false);
}

static void with_on_bad_halt_it_stops_there_at_each_start_until_the_deaths_are_deleted(void **state)
{
	struct world *world = *state;
	struct event events[EVENTS];
	make_events(events);
	events[POISON].a = NULL_WRITE;
	begin(world, chain, 64, "halt", events, EVENTS);
	assert_int_equal(die_until_through(world, SIGSEGV, 1), DEATHS);
	assert_true(said(world, "$-in[0] stops at offset 11: operator_crash (on_bad: halt). To go on behind it: leat skip "));
	check_chain(world, events, POISON, false);
	assert_int_equal(run(world, "survives"), -1);
	assert_true(said(world, "delete "));
	assert_true(said(world, world->deaths));
	assert_int_equal(unlink(world->deaths), 0);
	assert_int_equal(run(world, "survives"), 0);
	events[POISON].a = NOTHING;
	check_chain(world, events, EVENTS, true);
}

static void an_event_that_does_well_after_all_is_forgotten(void **state)
{
	struct world *world = *state;
	struct event events[EVENTS];
	make_events(events);
	events[POISON].a = NULL_WRITE;
	begin(world, chain, 64, "dead-letter", events, EVENTS);
	assert_int_equal(run(world, "dies"), SIGSEGV);
	assert_int_equal(run(world, "dies"), SIGSEGV);
	assert_int_equal(access(world->deaths, F_OK), 0);
	assert_int_equal(run(world, "survives"), 0);
	assert_int_equal(access(world->deaths, F_OK), -1);
	events[POISON].a = NOTHING;
	check_chain(world, events, EVENTS, true);
}

static void a_kill_inside_the_operator_counts_for_nothing(void **state)
{
	struct world *world = *state;
	struct event events[EVENTS];
	make_events(events);
	events[POISON].a = NULL_WRITE;
	begin(world, chain, 64, "dead-letter", events, EVENTS);
	for (int i = 0; i < 2 * DEATHS; i++)
		assert_int_equal(run(world, "killed"), SIGKILL);
	assert_int_equal(access(world->deaths, F_OK), -1);
	for (int i = 0; i < DEATHS; i++) {
		assert_int_equal(run(world, "dies"), SIGSEGV);
		assert_int_equal(run(world, "killed"), i + 1 < DEATHS ? SIGKILL : 0);   /* the last one is through */
	}
	check_chain(world, events, EVENTS, true);
}

static void nor_does_a_signal_that_another_process_sends(void **state)
{
	struct world *world = *state;
	struct event events[EVENTS];
	int status;
	make_events(events);
	events[POISON].a = NULL_WRITE;
	begin(world, chain, 64, "dead-letter", events, EVENTS);
	pid_t pid = start(world, "waits");
	assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
	assert_true(WIFSTOPPED(status));
	kill(pid, SIGSEGV);
	kill(pid, SIGCONT);
	assert_int_equal(end_of(pid), SIGSEGV);
	assert_int_equal(access(world->deaths, F_OK), -1);
}

static void a_handler_that_the_program_has_stays_and_nothing_is_counted(void **state)
{
	struct world *world = *state;
	struct event events[EVENTS];
	make_events(events);
	events[POISON].a = NULL_WRITE;
	begin(world, chain, 64, "dead-letter", events, EVENTS);
	for (int i = 0; i < DEATHS + 1; i++)
		assert_int_equal(run(world, "handles"), -42);
	assert_int_equal(access(world->deaths, F_OK), -1);
}

static void a_death_in_a_timer_is_told_and_no_event_is_blamed(void **state)
{
	struct world *world = *state;
	struct event events[EVENTS];
	make_events(events);
	begin(world, timers, 1, "dead-letter", events, EVENTS);
	for (int i = 0; i < DEATHS + 2; i++)
		assert_int_equal(run(world, "dies"), SIGSEGV);
	assert_true(said(world, "task 0: operator 'first' died of SIGSEGV in a timer: no event is to blame"));
	assert_int_equal(run(world, "survives"), 0);
	assert_int_equal(access(world->deaths, F_OK), -1);
	struct leat *leat = open_application(world);
	struct leat_buffer letters = { 0 };
	read_all(leat, leat->pipeline->dead_letter_topic, &letters);
	assert_int_equal(letters.length, 0);
	leat_close(leat);
}

static void a_damaged_list_of_deaths_is_said_so_and_counts_as_far_as_it_goes(void **state)
{
	struct world *world = *state;
	struct event events[EVENTS];
	make_events(events);
	events[POISON].a = NULL_WRITE;
	begin(world, chain, 64, "dead-letter", events, EVENTS);
	assert_int_equal(run(world, "dies"), SIGSEGV);
	FILE *file = fopen(world->deaths, "ae");
	assert_non_null(file);
	fputs("half of another", file);
	fclose(file);
	assert_int_equal(die_until_through(world, SIGSEGV, 0), DEATHS - 1);
	assert_true(said(world, "is damaged: 1 deaths of operators can be read in it"));
	check_chain(world, events, EVENTS, true);
}

int main(int argc, char **argv)
{
	if (argc == 6)
		return run_pipeline(argv);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(after_three_deaths_the_event_is_a_dead_letter_and_all_others_count_once, make_world, remove_world),
		cmocka_unit_test_setup_teardown(the_first_and_the_last_event_of_all_may_be_the_deadly_ones, make_world, remove_world),
		cmocka_unit_test_setup_teardown(each_start_says_who_died_on_what_and_how_often, make_world, remove_world),
		cmocka_unit_test_setup_teardown(two_deadly_events_in_a_row_cost_three_deaths_each, make_world, remove_world),
		cmocka_unit_test_setup_teardown(an_operator_behind_one_that_emits_is_the_one_that_is_named, make_world, remove_world),
		cmocka_unit_test_setup_teardown(with_on_bad_skip_it_is_left_out, make_world, remove_world),
		cmocka_unit_test_setup_teardown(with_on_bad_halt_it_stops_there_at_each_start_until_the_deaths_are_deleted, make_world, remove_world),
		cmocka_unit_test_setup_teardown(an_event_that_does_well_after_all_is_forgotten, make_world, remove_world),
		cmocka_unit_test_setup_teardown(a_kill_inside_the_operator_counts_for_nothing, make_world, remove_world),
		cmocka_unit_test_setup_teardown(nor_does_a_signal_that_another_process_sends, make_world, remove_world),
		cmocka_unit_test_setup_teardown(a_handler_that_the_program_has_stays_and_nothing_is_counted, make_world, remove_world),
		cmocka_unit_test_setup_teardown(a_death_in_a_timer_is_told_and_no_event_is_blamed, make_world, remove_world),
		cmocka_unit_test_setup_teardown(a_damaged_list_of_deaths_is_said_so_and_counts_as_far_as_it_goes, make_world, remove_world),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
