/* Options: a YAML map into a C struct by a table, with every mistake named by file, line, key and what is allowed. The same tables print the reference. */
#ifndef LEAT_OPTIONS_H
#define LEAT_OPTIONS_H

#include "stream/layout.h"
#include "stream/operator.h"
#include "stream/yaml.h"

struct leat_option_scope {
	const struct leat_yaml_file *file;
	const char *what;                              /* for messages: "operator 'dedupe'"                      */
	const struct leat_layout *layout;              /* fields that may be named; hidden ones have the name "" */
	struct leat_reference *(*reference)(void *self, const char *name);
	void *(*memory)(void *self, size_t size);      /* zeroed, lives as long as the pipeline                  */
	int (*expression)(void *self, struct leat_expression *expression);   /* takes ownership; called for each compiled one */
	void *self;
};
/* Fills @target from @map (NULL: all defaults) by @table. @ignore: keys that somebody else reads, NULL-terminated, may be NULL. LEAT_ECONFIG, LEAT_ENOMEM. */
int leat_options_parse(const struct leat_option_scope *scope, const struct leat_option *table, const struct leat_yaml *map, const char *const *ignore,
		       void *target, struct leat_fault *fault);
/* One markdown table row per option. */
void leat_options_print(const struct leat_option *table, FILE *out);

#endif
