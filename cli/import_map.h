/* A mapping file: how the columns of a file become events, which rows are refused, and where the rest goes. Checked whole when it is read; immutable afterwards. */
#ifndef LEAT_IMPORT_MAP_H
#define LEAT_IMPORT_MAP_H

#include "cli/import_input.h"
#include "schemas/codec.h"
#include "schemas/registry.h"
#include "stream/expression.h"
#include "stream/options.h"

enum { LEAT_MAP_FIELDS_MAX = 64, LEAT_MAP_TARGETS_MAX = 16, LEAT_MAP_RULES_MAX = 64 };

struct leat_map_input { int format; bool header; const char *separator; };
struct leat_map_target {
	const char *topic, *schema_name, *when_text;
	struct leat_expression *when;           /* NULL: always                                        */
	struct leat_schema *schema;
	int *source;                            /* by schema field: index of a mapped field, -1: default */
	char **missing;                         /* by schema field: the reason when it would be null and must not be; NULL: it may */
	struct leat_field *fields;              /* by schema field: what the encoder gets               */
	struct leat_encoder *encoder;
	int64_t given_id;                       /* 0: asked of the registry                            */
	int32_t schema_id;
};
struct leat_map_rule { struct leat_expression *when; const char *reason; };
struct leat_map_field { const char *name; struct leat_expression *expression; };

struct leat_map {
	struct leat_map_input input;
	const char *key_name, *time_name, *dead_letters;
	int64_t partitions;
	int key, time;                          /* indexes into fields; time -1: the present           */
	struct leat_layout layout;              /* the columns of the file, then `file` and `line`     */
	size_t columns;                         /* without those two                                    */
	int file_slot, line_slot;
	struct leat_schema *row_schema;         /* of the columns; what rows are decoded by            */
	struct leat_map_field fields[LEAT_MAP_FIELDS_MAX];
	struct leat_map_target targets[LEAT_MAP_TARGETS_MAX];
	struct leat_map_rule rules[LEAT_MAP_RULES_MAX];
	size_t field_count, target_count, rule_count;
	struct leat_yaml_file *file;
	struct leat_arena *arena;
};

/* The file, its input section and what else needs no columns. LEAT_ECONFIG with file:line, LEAT_ENOMEM. */
int leat_map_load(struct leat_map **out, const char *path, struct leat_fault *fault);
/* @names: the columns of a CSV header in file order, or the schema text of a container; NULL: as the mapping says. Opens schemas in folder @schemas. */
int leat_map_resolve(struct leat_map *map, const char *names, const char *schemas, struct leat_fault *fault);
void leat_map_free(struct leat_map *map);          /* accepts NULL */
/* "a,b,c" for the CSV decoder. */
const char *leat_map_columns(const struct leat_map *map);
void leat_map_print_options(FILE *out);

#endif
