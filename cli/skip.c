/* leat skip: takes a pipeline past one record that it cannot get over. */
#include "cli/cli.h"
#include "stream/pipeline.h"
#include "stream/transport.h"

#include <math.h>

/* Kafka gives up a member that left without a word after its session time-out of 6 s: twice that, for a busy broker. */
enum { WAIT_MS = 12000, AGAIN_MS = 500 };

struct skip {
	const char *embedded, *brokers, *topic, *overrides[64];
	double partition, offset;
};

static int check_input(const struct leat_pipeline *pipeline, const char *topic, struct leat_fault *fault)
{
	struct leat_guess guess = { 0 };
	for (size_t i = 0; i < pipeline->source_count; i++) {
		if (strcmp(pipeline->sources[i].topic, topic) == 0)
			return 0;
		leat_guess(&guess, leat_text(topic), pipeline->sources[i].topic);
	}
	return leat_fail(fault, LEAT_ECONFIG, "%s: %s is no input of this pipeline%s", pipeline->path, topic, leat_guess_hint(&guess));
}

/* With Kafka an instance that has just ended counts as a member for some seconds more. */
static int set_position(const struct skip *skip, struct leat_transport *transport, const char *metadata, struct leat_fault *fault)
{
	int rc;
	for (int64_t waited = 0;; waited += AGAIN_MS) {
		rc = transport->ops->position_set(transport, skip->topic, (int32_t)skip->partition, (int64_t)skip->offset + 1, metadata, fault);
		if (rc != LEAT_EBUSY || skip->embedded || waited >= WAIT_MS || leat_interrupted(NULL))
			return rc;
		if (waited == 0)
			fprintf(stderr, "leat: waiting up to %d s for the group to let go of the instance that ended last\n", WAIT_MS / 1000);
		leat_tool_nap(AGAIN_MS * 1000);
	}
}

/* The record must be there, so that a mistyped offset does not skip a million others. */
static int move(const struct skip *skip, struct leat_transport *transport, struct leat_fault *fault)
{
	int32_t partition = (int32_t)skip->partition, partitions;
	int64_t offset = (int64_t)skip->offset, first, end;
	char metadata[64];
	LEAT_TRY(transport->ops->partitions(transport, skip->topic, &partitions, fault));
	if (partition >= partitions)
		return leat_fail(fault, LEAT_ECONFIG, "%s has only %d partition%s", skip->topic, (int)partitions, leat_s((uint64_t)partitions));
	LEAT_TRY(transport->ops->bounds(transport, skip->topic, partition, &first, &end, fault));
	if (offset < first || offset >= end)
		return leat_fail(fault, LEAT_ECONFIG, "%s[%d] has offsets %lld to %lld, not %lld", skip->topic, (int)partition, (long long)first, (long long)end - 1, (long long)offset);
	snprintf(metadata, sizeof metadata, "skip to %lld", (long long)offset + 1);
	return set_position(skip, transport, metadata, fault);
}

static int run(const struct skip *skip, const struct leat_pipeline *pipeline)
{
	struct leat_fault fault = { 0 };
	struct leat_storage *storage;
	struct leat_transport *transport;
	const char *brokers = skip->brokers || skip->embedded ? skip->brokers : pipeline->brokers;
	const struct leat_tool_of of = { pipeline->name, (const struct leat_pair_text *)(const void *)pipeline->kafka };
	if (check_input(pipeline, skip->topic, &fault) < 0)
		return leat_failed(&fault);
	leat_catch_signals();
	int status = leat_tool_transport_of(&leat_verb_skip, &of, brokers, skip->embedded, &storage, &transport);
	if (status)
		return status;
	int rc = move(skip, transport, &fault);
	if (rc >= 0)
		printf("%s begins at %s[%d] offset %lld from now on\n", pipeline->name, skip->topic, (int)skip->partition, (long long)skip->offset + 1);
	leat_tool_close(transport, storage);
	return rc < 0 ? leat_failed(&fault) : LEAT_EXIT_OK;
}

static int verb(int count, char **arguments)
{
	struct skip skip = { .partition = NAN, .offset = NAN };
	const struct leat_flag flags[] = {
		{ "--topic", LEAT_FLAG_TEXT, &skip.topic, "TOPIC: an input of the pipeline" },
		{ "--partition", LEAT_FLAG_NUMBER, &skip.partition, "N: its partition" },
		{ "--offset", LEAT_FLAG_NUMBER, &skip.offset, "N: the record to leave out; all before it that are not processed yet are left out too" },
		{ "--embedded", LEAT_FLAG_TEXT, &skip.embedded, "FOLDER: topics and state in this folder" },
		{ "--brokers", LEAT_FLAG_TEXT, &skip.brokers, "HOST:PORT[,...]: Kafka; default: the pipeline's kafka: brokers:" },
		{ "--set", LEAT_FLAG_LIST, skip.overrides, "PATH=VALUE: as given to run" },
	};
	struct leat_fault fault = { 0 };
	struct leat_pipeline *pipeline;
	int left = leat_flags_parse(&leat_verb_skip, flags, LEAT_COUNT_OF(flags), count, arguments);
	if (left < 0)
		return LEAT_EXIT_USAGE;
	if (left != 1 || !skip.topic || isnan(skip.partition) || isnan(skip.offset))
		return leat_usage(&leat_verb_skip, "a pipeline file, --topic, --partition and --offset are needed");
	const struct leat_range ranges[] = { { "--partition", skip.partition, 0, INT32_MAX, true }, { "--offset", skip.offset, 0, 9e15, true } };
	int status = leat_ranges_check(&leat_verb_skip, ranges, LEAT_COUNT_OF(ranges));
	if (status)
		return status;
	if (leat_pipeline_load(&pipeline, arguments[0], skip.overrides, &fault) < 0)
		return leat_failed(&fault);
	status = run(&skip, pipeline);
	leat_pipeline_free(pipeline);
	return status;
}

const struct leat_verb leat_verb_skip = {
	"skip", "PIPELINE --topic TOPIC --partition N --offset N [--brokers HOST:PORT | --embedded FOLDER]", "leaves out a record that a pipeline cannot get over", verb,
	"Every instance must be stopped; of one that has just ended Kafka hears after its session time-out (6 s), which is waited for. The pipeline then begins behind that record; what it holds in its state stays."
};
