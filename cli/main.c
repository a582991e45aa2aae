/* leat: the program. Finds the verb and hands over. */
#include "cli/cli.h"

#include <locale.h>
#include <signal.h>

#ifndef LEAT_VERSION
#define LEAT_VERSION "0.1.0"
#endif

static const struct leat_verb *const verbs[] = {
	&leat_verb_run, &leat_verb_check, &leat_verb_graph, &leat_verb_operators, &leat_verb_test, &leat_verb_generate, &leat_verb_tail, &leat_verb_import, &leat_verb_skip,
};

static int help(FILE *out)
{
	fprintf(out, "leat %s: clicks and purchases from Kafka to decisions, exactly once\n\n", LEAT_VERSION);
	for (size_t i = 0; i < LEAT_COUNT_OF(verbs); i++)
		fprintf(out, "  leat %-10s %s\n", verbs[i]->name, verbs[i]->help);
	fprintf(out, "\n`leat VERB --help` says more, `leat --version` which one this is. Exit status: 0 ok, 1 failed, 2 wrong usage or configuration.\n");
	return out == stdout ? LEAT_EXIT_OK : LEAT_EXIT_USAGE;
}

int main(int count, char **arguments)
{
	signal(SIGPIPE, SIG_IGN);
	setlocale(LC_CTYPE, "C.UTF-8");
	if (count < 2)
		return help(stderr);
	if (strcmp(arguments[1], "--help") == 0 || strcmp(arguments[1], "help") == 0 || strcmp(arguments[1], "-h") == 0)
		return help(stdout);
	if (strcmp(arguments[1], "--version") == 0) {
		printf("leat %s\n", LEAT_VERSION);
		return LEAT_EXIT_OK;
	}
	for (size_t i = 0; i < LEAT_COUNT_OF(verbs); i++)
		if (strcmp(verbs[i]->name, arguments[1]) == 0)
			return verbs[i]->run(count - 2, arguments + 2);
	struct leat_guess guess = { 0 };
	for (size_t i = 0; i < LEAT_COUNT_OF(verbs); i++)
		leat_guess(&guess, leat_text(arguments[1]), verbs[i]->name);
	fprintf(stderr, "leat: there is no verb '%s'%s\n\n", arguments[1], leat_guess_hint(&guess));
	return help(stderr);
}
