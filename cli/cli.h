/* The command line: one verb, one file. A verb returns the exit status: 0 ok, 1 failed, 2 usage or configuration. */
#ifndef LEAT_CLI_H
#define LEAT_CLI_H

#include "base/base.h"

enum { LEAT_EXIT_OK, LEAT_EXIT_FAILED, LEAT_EXIT_USAGE };

struct leat_verb {
	const char *name, *arguments, *help;
	int (*run)(int count, char **arguments);
	const char *more;                    /* printed by leat VERB --help */
};
extern const struct leat_verb leat_verb_run, leat_verb_check, leat_verb_skip, leat_verb_graph, leat_verb_operators, leat_verb_test, leat_verb_generate, leat_verb_import, leat_verb_tail;

/* ---- arguments ---- */
struct leat_flag {
	const char *name;                    /* "--brokers"                                                  */
	enum { LEAT_FLAG_TEXT, LEAT_FLAG_NUMBER, LEAT_FLAG_SWITCH, LEAT_FLAG_LIST } type;
	void *at;                            /* const char **, double *, bool *, const char ** (list of up to 64, NULL-terminated) */
	const char *help;
};
/* Fills flags; what is left (in order) stays in @arguments, its number is returned. -1 after the mistake was printed. "--x=y" and "--x y" both work. */
int leat_flags_parse(const struct leat_verb *verb, const struct leat_flag *flags, size_t flag_count, int count, char **arguments);
int leat_usage(const struct leat_verb *verb, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Prints "leat: text" and gives the exit status that belongs to the code. */
int leat_failed(const struct leat_fault *fault);
/* SIGINT and SIGTERM set it; a second one ends the process at once. */
void leat_catch_signals(void);
bool leat_interrupted(void *unused);

/* ---- a transport for tools ---- */
struct leat_transport;
/* @brokers or @embedded; neither: usage error already printed. 0 or an exit status. */
struct leat_storage;
int leat_tool_transport(const struct leat_verb *verb, const char *brokers, const char *embedded, struct leat_storage **storage, struct leat_transport **out);

#endif
