/* leat run: a pipeline until Ctrl-C, with a status line, and the simulated shop beside it if asked for. */
#include "cli/cli.h"
#include "cli/watch.h"
#include "stream/application.h"

#include <math.h>
#include <unistd.h>

struct run {
	const char *brokers, *embedded, *state, *instance;
	const char *overrides[64];
	double seconds, shop_rate;
	int64_t start_us;
	bool shop, json, quiet, profile, until_end, accept_state_loss;
};

/* One status line per second, until something ends the run. */
static int watch(struct leat *leat, const struct run *run, struct leat_fault *fault)
{
	struct leat_watch *view;
	int64_t start = leat_clock_mono_us(NULL);
	int rc = leat_watch_open(&view, leat, run->json, run->quiet);
	while (rc == 0) {
		rc = leat_wait(leat, 1000, fault);
		if (rc == 0)
			leat_watch_tick(view);
		if (leat_interrupted(NULL) || (run->seconds > 0 && (double)(leat_clock_mono_us(NULL) - start) >= run->seconds * 1e6))
			break;
	}
	leat_stop(leat);
	while (rc == 0)
		rc = leat_wait(leat, 1000, fault);
	leat_watch_close(view, rc >= 0);
	return rc < 0 ? rc : 0;
}

/* While the broker cannot be reached: Ctrl-C, or the time is over. */
static bool give_up(void *self)
{
	const struct run *run = self;
	return leat_interrupted(NULL) || (run->seconds > 0 && (double)(leat_clock_mono_us(NULL) - run->start_us) >= run->seconds * 1e6);
}

static int run_it(struct run *run, const char *pipeline)
{
	const struct leat_config config = { .pipeline = pipeline, .overrides = run->overrides, .brokers = run->brokers, .embedded = run->embedded, .state_dir = run->state,
					    .instance = run->instance, .accept_state_loss = run->accept_state_loss, .until_end = run->until_end };
	struct leat_fault fault = { 0 };
	struct leat_shop_feed *shop = NULL;
	struct leat *leat;
	leat_catch_signals();
	run->start_us = leat_clock_mono_us(NULL);
	int rc = leat_open_interruptible(&leat, &config, give_up, run, &fault);
	if (rc == LEAT_ESTOPPED && leat_interrupted(NULL))
		return LEAT_EXIT_OK;
	if (rc == LEAT_ESTOPPED)
		rc = leat_fail(&fault, LEAT_EBROKER, "the %g s of --seconds were over before Kafka could be reached", run->seconds);
	if (rc < 0)
		return leat_failed(&fault);
	rc = leat_start(leat, &fault);
	if (rc >= 0 && run->shop)
		rc = leat_shop_feed_start(&shop, leat->transport, leat->registry, leat->pipeline->settings.schemas, run->shop_rate, &fault);
	if (rc >= 0)
		rc = watch(leat, run, &fault);
	leat_shop_feed_stop(shop);
	if (run->profile)
		leat_profile(leat, stderr);
	leat_close(leat);
	return rc < 0 ? leat_failed(&fault) : LEAT_EXIT_OK;
}

static int verb(int count, char **arguments)
{
	struct run run = { .seconds = NAN, .shop_rate = 2000 };
	const struct leat_flag flags[] = {
		{ "--brokers", LEAT_FLAG_TEXT, &run.brokers, "HOST:PORT[,...]: Kafka; default: the pipeline's kafka: brokers:" },
		{ "--embedded", LEAT_FLAG_TEXT, &run.embedded, "FOLDER: topics and state in this folder instead of Kafka" },
		{ "--state", LEAT_FLAG_TEXT, &run.state, "FOLDER: local state with Kafka; default $LEAT_STATE, else ~/.local/state/leat" },
		{ "--instance", LEAT_FLAG_TEXT, &run.instance, "NAME: which instance this is; default the first free <host>-N" },
		{ "--set", LEAT_FLAG_LIST, run.overrides, "PATH=VALUE: another value for one setting, e.g. commit_ms=20; up to 63 times" },
		{ "--seconds", LEAT_FLAG_NUMBER, &run.seconds, "N: end by itself after N seconds; with status 1 if Kafka could not be reached in them" },
		{ "--until-end", LEAT_FLAG_SWITCH, &run.until_end, "end when every input has been read to its end" },
		{ "--shop", LEAT_FLAG_SWITCH, &run.shop, "run the simulated shop beside the pipeline: it clicks, buys and answers decisions" },
		{ "--shop-rate", LEAT_FLAG_NUMBER, &run.shop_rate, "N: events per second of the shop (2000)" },
		{ "--json", LEAT_FLAG_SWITCH, &run.json, "status as JSON lines" },
		{ "--quiet", LEAT_FLAG_SWITCH, &run.quiet, "no status line" },
		{ "--profile", LEAT_FLAG_SWITCH, &run.profile, "print the cost per operator at the end" },
		{ "--accept-state-loss", LEAT_FLAG_SWITCH, &run.accept_state_loss, "go on when the changelog is behind the local state" },
	};
	int left = leat_flags_parse(&leat_verb_run, flags, LEAT_COUNT_OF(flags), count, arguments);
	if (left < 0)
		return LEAT_EXIT_USAGE;
	if (left != 1)
		return leat_usage(&leat_verb_run, "one pipeline file is needed");
	if (run.brokers && run.embedded)
		return leat_usage(&leat_verb_run, "--brokers and --embedded exclude each other");
	const struct leat_range ranges[] = { { "--seconds", run.seconds, 0.001, 1e9, false }, { "--shop-rate", run.shop_rate, 0.001, 1e7, false } };
	int status = leat_ranges_check(&leat_verb_run, ranges, LEAT_COUNT_OF(ranges));
	if (status)
		return status;
	run.seconds = leat_number_or(run.seconds, 0);
	return run_it(&run, arguments[0]);
}

const struct leat_verb leat_verb_run = {
	"run", "PIPELINE [--brokers HOST:PORT | --embedded FOLDER] [options]", "runs a pipeline", verb,
	"Each second: the newest decision (of the first sink), and a line: events and decisions per second, p99 from a record's timestamp to its commit (- while only records are read\n"
	"that are older than this run), lag, bad events, tasks that run here and all there are. With Kafka: run once more beside it, it shares the tasks. Ctrl-C ends it in order, a second one at once."
};
