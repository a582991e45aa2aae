/* A run of the simulated shop against topics, paced by the wall clock or as fast as the topics take it. */
#include "cli/shop_run.h"
#include "cli/cli.h"

enum { NAP_US = 1000, HEAR_EVERY_US = 20000, AT_ONCE = 256, OPENS_AFTER_MS = 500 };

struct running {
	const struct leat_shop_run *run;
	struct leat_shop *shop;
	struct leat_shop_writer *writer;
	struct leat_shop_ear *ear;
	int64_t started_us, heard_us, shop_ms;     /* shop_ms: the shop's time of the last event */
};

static bool over(const struct running *running)
{
	const struct leat_shop_run *run = running->run;
	if (run->stop && run->stop(run->self))
		return true;
	if (run->events && leat_shop_stats(running->shop)->events >= run->events)
		return true;
	return run->seconds > 0 && (double)(leat_clock_mono_us(NULL) - running->started_us) >= run->seconds * 1e6;
}

static int write_ads(struct running *running, struct leat_fault *fault)
{
	for (int64_t i = 0; i < running->run->shop.ads; i++) {
		struct leat_shop_event ad;
		leat_shop_ad(running->shop, i, &ad);
		LEAT_TRY(leat_shop_write(running->writer, &ad, fault));
	}
	return leat_shop_writer_flush(running->writer, fault);
}

/* Some events; 0 when none is due. */
static int write_some(struct running *running, int64_t until_ms, struct leat_fault *fault)
{
	uint64_t limit = running->run->events, made = leat_shop_stats(running->shop)->events;
	int rc = 0, count = 0;
	for (; count < AT_ONCE && (!limit || made + (uint64_t)count < limit); count++) {
		const struct leat_shop_event *event;
		rc = leat_shop_next(running->shop, until_ms, &event);
		if (rc < 0)
			return leat_fail(fault, rc, "out of memory for the shop");
		if (rc == 0)
			break;
		running->shop_ms = event->send_ms;
		LEAT_TRY(leat_shop_write(running->writer, event, fault));
	}
	return count;
}

static int hear(struct running *running, struct leat_fault *fault)
{
	int64_t now_us = leat_clock_mono_us(NULL);
	if (!running->ear || now_us - running->heard_us < HEAR_EVERY_US)
		return 0;
	running->heard_us = now_us;
	int rc = leat_shop_hear(running->ear, running->shop, running->run->paced ? leat_clock_wall_ms(NULL) : running->shop_ms, fault);
	return rc == LEAT_ERETRY ? 0 : rc;
}

static int go(struct running *running, struct leat_fault *fault)
{
	LEAT_TRY(write_ads(running, fault));
	while (!over(running)) {
		int count = write_some(running, running->run->paced ? leat_clock_wall_ms(NULL) : INT64_MAX, fault);
		LEAT_TRY(count);
		LEAT_TRY(hear(running, fault));
		if (count == AT_ONCE)
			continue;
		LEAT_TRY(leat_shop_writer_flush(running->writer, fault));
		leat_tool_nap(NAP_US);
	}
	return leat_shop_writer_flush(running->writer, fault);
}

static int open_ear(struct running *running, struct leat_transport *transport, struct leat_registry *registry, struct leat_fault *fault)
{
	const struct leat_shop_writer_config *topics = &running->run->topics;
	char *topic = leat_printf("%sdecisions", topics->prefix);
	int rc = topic ? leat_shop_ear_open(&running->ear, transport, registry, topic, topics->schemas, topics->partitions, fault) : leat_fail(fault, LEAT_ENOMEM, "out of memory");
	leat_free(topic);
	return rc;
}

int leat_shop_run(struct leat_transport *transport, struct leat_registry *registry, const struct leat_shop_run *run, struct leat_shop_stats *stats, struct leat_fault *fault)
{
	struct running running = { .run = run, .started_us = leat_clock_mono_us(NULL) };
	struct leat_shop_config shop = run->shop;
	*stats = (struct leat_shop_stats){ 0 };
	int rc = leat_shop_writer_open(&running.writer, transport, registry, &run->topics, fault);
	if (rc >= 0 && run->react)
		rc = open_ear(&running, transport, registry, fault);
	if (run->paced)      /* a pipeline beside it looks for ads ten times a second: it shall know them before it is asked for one */
		shop.start_ms = leat_clock_wall_ms(NULL) + OPENS_AFTER_MS;
	if (rc >= 0)
		rc = leat_shop_open(&running.shop, &shop, fault);
	if (rc >= 0)
		rc = go(&running, fault);
	if (running.shop)
		*stats = *leat_shop_stats(running.shop);
	leat_shop_ear_close(running.ear);
	leat_shop_writer_close(running.writer);
	leat_shop_close(running.shop);
	return rc;
}
