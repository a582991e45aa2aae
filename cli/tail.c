/* leat tail: the records of a topic as lines of JSON. */
#include "cli/cli.h"
#include "cli/record_json.h"
#include "schemas/codec.h"
#include "stream/pipeline.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <unistd.h>

enum { AT_ONCE = 256, WAIT_MS = 20, NAP_US = 20000 };

struct tail {
	struct leat_tool_where where;
	const char *from, *schemas;
	double count, partition;
	bool follow, told;
	const char *topic;
	struct leat_transport *transport;
	struct leat_registry *registry;
	uint64_t printed;
	struct leat_buffer line;
};
struct end {
	struct leat_reader *reader;
	int32_t partition;
	int64_t position, end;           /* next; where the partition ended when tail began */
};

/* ---- where to begin ---- */

static int start_of(const struct tail *tail, int64_t first, int64_t end, int64_t *offset, struct leat_fault *fault)
{
	char *rest;
	if (strcmp(tail->from, "start") == 0) {
		*offset = first;
		return 0;
	}
	if (strcmp(tail->from, "end") == 0) {
		*offset = end;
		return 0;
	}
	errno = 0;
	long long wanted = strtoll(tail->from, &rest, 10);
	if (errno || rest == tail->from || *rest || wanted < 0)
		return leat_fail(fault, LEAT_ECONFIG, "--from must be start, end or an offset, not '%s'", tail->from);
	*offset = LEAT_MIN(LEAT_MAX(wanted, first), end);
	return 0;
}

static int open_end(const struct tail *tail, struct end *end, struct leat_fault *fault)
{
	const struct leat_transport_ops *ops = tail->transport->ops;
	int64_t first;
	LEAT_TRY(ops->bounds(tail->transport, tail->topic, end->partition, &first, &end->end, fault));
	LEAT_TRY(start_of(tail, first, end->end, &end->position, fault));
	return ops->reader_open(tail->transport, tail->topic, end->partition, end->position, &end->reader, fault);
}

/* ---- printing ---- */

static bool enough(const struct tail *tail)
{
	return leat_interrupted(NULL) || ferror(stdout) || (tail->count > 0 && (double)tail->printed >= tail->count);
}

static void tell_of_schemas(struct tail *tail, struct leat_bytes value)
{
	struct leat_bytes body;
	int32_t id;
	if (tail->registry || tail->told || leat_wire_read(value, &id, &body))
		return;
	fprintf(stderr, "leat: %s holds values of a schema, shown as base64: neither ./schemas nor the installed folder has an ids.txt; say --schemas FOLDER or --registry URL\n", tail->topic);
	tail->told = true;
}

static int print_record(struct tail *tail, int32_t partition, const struct leat_record *record)
{
	tail->line.length = 0;
	tell_of_schemas(tail, record->value);
	LEAT_TRY(leat_record_json(tail->registry, partition, record, &tail->line));
	LEAT_TRY(leat_buffer_append(&tail->line, "\n", 1));
	fwrite(tail->line.data, 1, tail->line.length, stdout);
	tail->printed++;
	return 0;
}

/* How many records came. */
static long read_some(struct tail *tail, struct end *end, struct leat_fault *fault)
{
	const struct leat_record *records;
	bool at_end;
	long count = tail->transport->ops->reader_next(end->reader, &records, AT_ONCE, tail->follow ? 0 : WAIT_MS, &at_end, &end->position, fault);
	for (long i = 0; i < count && !enough(tail); i++) {
		if (!tail->follow && records[i].offset >= end->end)
			break;
		if (print_record(tail, end->partition, &records[i]) < 0)
			return leat_fail(fault, LEAT_ENOMEM, "out of memory");
	}
	return count;
}

static int read_to_end(struct tail *tail, struct end *end, struct leat_fault *fault)
{
	while (end->position < end->end && !enough(tail))
		LEAT_TRY((int)read_some(tail, end, fault));
	return 0;
}

static int follow(struct tail *tail, struct end *ends, int32_t count, struct leat_fault *fault)
{
	while (!enough(tail)) {
		long came = 0;
		for (int32_t i = 0; i < count && !enough(tail); i++) {
			long some = read_some(tail, &ends[i], fault);
			if (some < 0 && some != LEAT_ERETRY)
				return (int)some;
			came += LEAT_MAX(some, 0);
		}
		if (came)
			continue;
		fflush(stdout);
		leat_tool_nap(NAP_US);
	}
	return 0;
}

/* Who follows may be there before the topic is. */
static int count_partitions(struct tail *tail, int32_t *partitions, struct leat_fault *fault)
{
	int rc;
	bool told_once = false;
	while ((rc = tail->transport->ops->partitions(tail->transport, tail->topic, partitions, fault)) == LEAT_ENOTFOUND && tail->follow && !enough(tail)) {
		if (!told_once)
			leat_log(LEAT_INFO, "there is no topic %s yet: waiting for it", tail->topic);
		told_once = true;
		leat_tool_nap(NAP_US);
	}
	return rc == LEAT_ENOTFOUND && enough(tail) ? 0 : rc;
}

static int tail_all(struct tail *tail, struct leat_fault *fault)
{
	int32_t partitions = 0, first = 0;
	LEAT_TRY(count_partitions(tail, &partitions, fault));
	if (partitions == 0)
		return 0;
	if (tail->partition >= partitions)
		return leat_fail(fault, LEAT_ECONFIG, "%s has only %d partition%s", tail->topic, (int)partitions, leat_s((uint64_t)partitions));
	if (tail->partition >= 0) {
		first = (int32_t)tail->partition;
		partitions = first + 1;
	}
	struct end *ends = leat_calloc((size_t)partitions, sizeof *ends);
	int rc = ends ? 0 : leat_fail(fault, LEAT_ENOMEM, "out of memory");
	for (int32_t i = first; rc >= 0 && i < partitions; i++) {
		ends[i].partition = i;
		rc = open_end(tail, &ends[i], fault);
		if (rc >= 0 && !tail->follow)
			rc = read_to_end(tail, &ends[i], fault);
	}
	if (rc >= 0 && tail->follow)
		rc = follow(tail, ends + first, partitions - first, fault);
	for (int32_t i = first; ends && i < partitions; i++)
		if (ends[i].reader)
			tail->transport->ops->reader_close(ends[i].reader);
	leat_free(ends);
	fflush(stdout);
	return rc;
}

/* ---- the verb ---- */

/* A topic of JSON needs no schemas: without a folder the bodies that would are shown as bytes. */
static int open_registry(struct tail *tail, struct leat_fault *fault)
{
	char *folder = NULL, *ids = NULL;
	int rc = 0;
	if (!leat_tool_registry_url(&tail->where) && leat_tool_schemas(tail->schemas, &folder, fault) < 0) {
		rc = tail->schemas ? fault->code : 0;
		goto out;
	}
	if (folder && !(ids = leat_printf("%s/ids.txt", folder)))
		rc = leat_fail(fault, LEAT_ENOMEM, "out of memory");
	else if (!ids || access(ids, R_OK) == 0 || tail->schemas)
		rc = leat_tool_registry(&tail->where, folder, &tail->registry, fault);
out:
	leat_free(ids);
	leat_free(folder);
	return rc;
}

static int verb(int count, char **arguments)
{
	struct tail tail = { .from = "start", .partition = NAN, .count = NAN };
	const struct leat_flag flags[] = {
		{ "--embedded", LEAT_FLAG_TEXT, &tail.where.embedded, "FOLDER: topics in this folder, also while a pipeline runs on it" },
		{ "--brokers", LEAT_FLAG_TEXT, &tail.where.brokers, "HOST:PORT[,...]: Kafka" },
		{ "--config", LEAT_FLAG_TEXT, &tail.where.config, leat_tool_config_help },
		{ "--from", LEAT_FLAG_TEXT, &tail.from, "start, end, or an OFFSET of each partition (start)" },
		{ "--partition", LEAT_FLAG_NUMBER, &tail.partition, "N: only this one" },
		{ "--count", LEAT_FLAG_NUMBER, &tail.count, "N: end after so many records" },
		{ "--follow", LEAT_FLAG_SWITCH, &tail.follow, "wait for more at the end" },
		{ "--schemas", LEAT_FLAG_TEXT, &tail.schemas, "FOLDER: schemas and ids.txt (./schemas, else the installed ones)" },
		{ "--registry", LEAT_FLAG_TEXT, &tail.where.registry, "URL: Schema Registry instead" },
	};
	struct leat_fault fault = { 0 };
	struct leat_storage *storage;
	int left = leat_flags_parse(&leat_verb_tail, flags, LEAT_COUNT_OF(flags), count, arguments);
	if (left < 0)
		return LEAT_EXIT_USAGE;
	if (left != 1)
		return leat_usage(&leat_verb_tail, "one topic is needed");
	const struct leat_range ranges[] = { { "--partition", tail.partition, 0, INT32_MAX, true }, { "--count", tail.count, 1, 1e15, true } };
	int status = leat_ranges_check(&leat_verb_tail, ranges, LEAT_COUNT_OF(ranges));
	tail.topic = arguments[0];
	tail.partition = leat_number_or(tail.partition, -1);
	tail.count = leat_number_or(tail.count, 0);
	if (status)
		return status;
	leat_catch_signals();
	if ((status = leat_tool_transport(&leat_verb_tail, &tail.where, &storage, &tail.transport)))
		goto out;
	int rc = open_registry(&tail, &fault);
	if (rc >= 0)
		rc = tail_all(&tail, &fault);
	leat_registry_close(tail.registry);
	leat_buffer_free(&tail.line);
	leat_tool_close(tail.transport, storage);
	status = rc < 0 ? leat_failed(&fault) : LEAT_EXIT_OK;
out:
	leat_pipeline_free(tail.where.file);
	return status;
}

const struct leat_verb leat_verb_tail = {
	"tail", "TOPIC (--brokers HOST:PORT | --config FILE | --embedded FOLDER) [options]", "prints the records of a topic as JSON", verb,
	"One object per line: partition, offset, timestamp, key, headers, value. A value that cannot be decoded is {\"base64\":...,\"reason\":...}."
};
