/* leat import: CSV, JSON lines and Avro container files into topics by a mapping file. */
#include "cli/cli.h"
#include "cli/import_run.h"
#include "stream/pipeline.h"

#include <jansson.h>
#include <math.h>

static json_t *counts_of(const struct leat_import_count *counts, size_t count)
{
	json_t *object = json_object();
	for (size_t i = 0; i < count; i++) {
		json_int_t before = json_integer_value(json_object_get(object, counts[i].name));
		json_object_set_new(object, counts[i].name, json_integer(before + (json_int_t)counts[i].count));
	}
	return object;
}

static void print_json(const struct leat_import_stats *stats)
{
	json_t *line = json_pack("{s:I,s:o,s:I,s:o}", "rows", (json_int_t)stats->rows, "written", counts_of(stats->written, stats->written_count), "refused", (json_int_t)stats->refused, "reasons",
				 counts_of(stats->reasons, stats->reason_count));
	json_dumpf(line, stdout, JSON_COMPACT);
	putchar('\n');
	json_decref(line);
}

static void print_text(const struct leat_import_stats *stats)
{
	printf("%llu row%s", (unsigned long long)stats->rows, leat_s(stats->rows));
	for (size_t i = 0; i < stats->written_count; i++)
		printf(", %llu to %s", (unsigned long long)stats->written[i].count, stats->written[i].name);
	printf(", %llu refused\n", (unsigned long long)stats->refused);
	for (size_t i = 0; i < stats->reason_count; i++)
		printf("  %10llu %s\n", (unsigned long long)stats->reasons[i].count, stats->reasons[i].name);
}

static int import(struct leat_import *import, const struct leat_tool_where *where, const char *mapping, const char *schemas, bool json, struct leat_fault *fault)
{
	struct leat_import_stats stats;
	char *folder = NULL;
	int rc = leat_tool_schemas(schemas, &folder, fault);
	import->schemas = folder;
	if (rc >= 0)
		rc = leat_tool_registry(where, folder, &import->registry, fault);
	if (rc >= 0)
		rc = leat_map_load(&import->map, mapping, fault);
	if (rc >= 0)
		rc = leat_import_run(import, &stats, fault);
	if (rc >= 0)
		(json ? print_json : print_text)(&stats);
	if (rc >= 0 && stats.rows > 0 && stats.refused == stats.rows)
		rc = leat_fail(fault, LEAT_ESCHEMA, "no row was taken: all of them are in the topic '%s', each with its reason", import->map->dead_letters);
	leat_map_free(import->map);
	leat_registry_close(import->registry);
	leat_free(folder);
	return rc;
}

static int verb(int count, char **arguments)
{
	struct leat_import config = { .stop = leat_interrupted };
	struct leat_tool_where where = { 0 };
	const char *mapping = NULL, *schemas = NULL;
	double limit = NAN;
	bool json = false;
	const struct leat_flag flags[] = {
		{ "--mapping", LEAT_FLAG_TEXT, &mapping, "FILE.yaml: columns, fields, rules, topics" },
		{ "--embedded", LEAT_FLAG_TEXT, &where.embedded, "FOLDER: topics in this folder, also while a pipeline runs on it" },
		{ "--brokers", LEAT_FLAG_TEXT, &where.brokers, "HOST:PORT[,...]: Kafka" },
		{ "--config", LEAT_FLAG_TEXT, &where.config, leat_tool_config_help },
		{ "--limit", LEAT_FLAG_NUMBER, &limit, "N: only the first N rows" },
		{ "--rate", LEAT_FLAG_NUMBER, &config.rate, "N: rows per second; 0, the default: as fast as possible" },
		{ "--schemas", LEAT_FLAG_TEXT, &schemas, "FOLDER: schemas and ids.txt (./schemas, else the installed ones)" },
		{ "--registry", LEAT_FLAG_TEXT, &where.registry, "URL: Schema Registry for the ids" },
		{ "--json", LEAT_FLAG_SWITCH, &json, "the closing line as JSON" },
	};
	struct leat_fault fault = { 0 };
	struct leat_storage *storage;
	int left = leat_flags_parse(&leat_verb_import, flags, LEAT_COUNT_OF(flags), count, arguments);
	if (left < 0)
		return LEAT_EXIT_USAGE;
	if (left != 1 || !mapping)
		return leat_usage(&leat_verb_import, "one file and --mapping are needed");
	const struct leat_range ranges[] = { { "--limit", limit, 1, 1e15, true }, { "--rate", config.rate, 0, 1e7, false } };
	int status = leat_ranges_check(&leat_verb_import, ranges, LEAT_COUNT_OF(ranges));
	config.path = arguments[0];
	config.limit = (uint64_t)leat_number_or(limit, 0);
	if (status)
		return status;
	leat_catch_signals();
	if ((status = leat_tool_transport(&leat_verb_import, &where, &storage, &config.transport)))
		goto out;
	int rc = import(&config, &where, mapping, schemas, json, &fault);
	leat_tool_close(config.transport, storage);
	status = rc < 0 ? leat_failed(&fault) : LEAT_EXIT_OK;
out:
	leat_pipeline_free(where.file);
	return status;
}

const struct leat_verb leat_verb_import = {
	"import", "FILE --mapping FILE.yaml (--brokers HOST:PORT | --config FILE | --embedded FOLDER) [options]", "loads CSV, JSON lines or Avro container files into topics", verb,
	"FILE may be packed by gzip or xz. Rows that a rule refuses, or that cannot be read, are counted by reason and go to the dead-letter topic with the original line and the\n"
	"headers reason, file and line; when that is every row, the status is 1. pipelines/import/ holds mappings to copy; cli/README.md says what may stand in one."
};
