/* YAML: a file as a tree that remembers lines, by libyaml. Bounded (depth 32, 20,000 nodes, 1 MiB); duplicate keys are refused. */
#ifndef LEAT_YAML_H
#define LEAT_YAML_H

#include "base/base.h"

enum leat_yaml_kind { LEAT_YAML_SCALAR, LEAT_YAML_LIST, LEAT_YAML_MAP };

enum { LEAT_YAML_SET = -1 };

struct leat_yaml {
	enum leat_yaml_kind kind;
	const char *key;                    /* member of a map: its key                                   */
	const char *text;                   /* scalar, with ${env:..} and ${file:..} replaced            */
	bool plain;                         /* scalar without quotes                                      */
	bool literal, variable;             /* scalar: some of it stands in the file (or in --set), some came by ${..} */
	int line;                           /* 1..; LEAT_YAML_SET: comes from leat_yaml_set()             */
	size_t count;                       /* children                                                   */
	struct leat_yaml *first, *next;
};

struct leat_yaml_file;
/* Parses @text (a whole file); @path is for messages: "path:line: ...". LEAT_ECONFIG. */
int leat_yaml_parse(struct leat_yaml_file **out, const char *path, const char *text, size_t length, struct leat_fault *fault);
int leat_yaml_load(struct leat_yaml_file **out, const char *path, struct leat_fault *fault);
void leat_yaml_free(struct leat_yaml_file *file);
struct leat_yaml *leat_yaml_root(const struct leat_yaml_file *file);
const char *leat_yaml_path(const struct leat_yaml_file *file);

struct leat_yaml *leat_yaml_get(const struct leat_yaml *map, const char *key);   /* NULL: absent */
/* Sets the scalar at @dotted ("sinks.decisions.topic"; list members by their `id`) to @value, creating map members on the way. LEAT_ECONFIG. */
int leat_yaml_set(struct leat_yaml_file *file, const char *dotted, const char *value, struct leat_fault *fault);
/* Sets the fault to "path:line: text" and returns LEAT_ECONFIG. @node may be NULL. */
int leat_yaml_fail(const struct leat_yaml_file *file, const struct leat_yaml *node, struct leat_fault *fault, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

#endif
