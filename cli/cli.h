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
/* What a number may be; @value NAN: it was not given. */
struct leat_range {
	const char *name;                    /* "--users" */
	double value, min, max;
	bool whole;
};
/* LEAT_EXIT_OK, or LEAT_EXIT_USAGE after the first that is out of its range was printed with it. */
int leat_ranges_check(const struct leat_verb *verb, const struct leat_range *ranges, size_t count);
/* @value unless it was not given. */
double leat_number_or(double value, double otherwise);
/* The ending of a word of which there are @count. */
static inline const char *leat_s(uint64_t count)
{
	return count == 1 ? "" : "s";
}
int leat_usage(const struct leat_verb *verb, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Prints "leat: text" and gives the exit status that belongs to the code. */
int leat_failed(const struct leat_fault *fault);
/* SIGINT and SIGTERM set it; a second one ends the process at once. */
void leat_catch_signals(void);
bool leat_interrupted(void *unused);

/* ---- what tools need of topics (cli/transport.c) ---- */
struct leat_transport;
struct leat_storage;
struct leat_fault;
struct leat_registry;
struct leat_registry_config;
struct leat_pipeline;
/* Where a tool finds topics and schema ids: what was given, NULL if not, and what the file of --config says. */
struct leat_tool_where {
	const char *brokers, *embedded, *config, *registry;
	struct leat_pipeline *file;          /* filled by leat_tool_transport(); leat_pipeline_free() it last */
};
extern const char leat_tool_config_help[];
/* Brokers or a folder; neither or both: usage error already printed, as all others. 0 or an exit status. The caller closes the transport, then the storage. */
int leat_tool_transport(const struct leat_verb *verb, struct leat_tool_where *where, struct leat_storage **storage, struct leat_transport **out);
/* The registry of --registry, or of the file; @folder, which may be NULL, when neither names one. */
int leat_tool_registry(const struct leat_tool_where *where, const char *folder, struct leat_registry **out, struct leat_fault *fault);
/* NULL: none. */
const char *leat_tool_registry_url(const struct leat_tool_where *where);
/* As leat_tool_transport() under the name of an application, whose positions it may then move, with librdkafka settings (NULL key ends; may be NULL). */
struct leat_pair_text;
struct leat_tool_of { const char *application; const struct leat_pair_text *settings; };
int leat_tool_transport_of(const struct leat_verb *verb, const struct leat_tool_of *of, const char *brokers, const char *embedded, struct leat_storage **storage, struct leat_transport **out);
void leat_tool_close(struct leat_transport *transport, struct leat_storage *storage);
/* The folder of schemas: @given, else ./schemas, else the one installed with this program. Free with leat_free(). LEAT_ECONFIG when there is none. */
int leat_tool_schemas(const char *given, char **out, struct leat_fault *fault);
/* The topic is made with @partitions if it is absent; one that is there stays as it is. */
int leat_tool_topic(struct leat_transport *transport, const char *topic, int32_t partitions, bool compacted, struct leat_fault *fault);
/* The same without retention: events of long ago would be deleted by it as soon as they are written. */
int leat_tool_topic_kept(struct leat_transport *transport, const char *topic, int32_t partitions, struct leat_fault *fault);
/* Waits; a signal ends it early. */
void leat_tool_nap(int64_t us);

#endif
