/* The simulated shop in a thread beside a pipeline. */
#include "cli/cli.h"
#include "cli/shop_run.h"
#include "cli/watch.h"

#include <pthread.h>
#include <stdatomic.h>

enum { FEED_PARTITIONS = 4 };

struct leat_shop_feed {
	struct leat_transport *transport;
	struct leat_registry *own;           /* when the pipeline has none */
	struct leat_registry *registry;
	char *schemas;
	struct leat_shop_run run;
	pthread_t thread;
	_Atomic bool stopping;
	bool started;
};

static bool stopping(void *self)
{
	struct leat_shop_feed *feed = self;
	return atomic_load(&feed->stopping);
}

static void *feed_main(void *self)
{
	struct leat_shop_feed *feed = self;
	struct leat_shop_stats stats;
	struct leat_fault fault = { 0 };
	if (leat_shop_run(feed->transport, feed->registry, &feed->run, &stats, &fault) < 0)
		leat_log(LEAT_ERROR, "the simulated shop has closed: %s", fault.text);
	return NULL;
}

static int set_up(struct leat_shop_feed *feed, struct leat_registry *registry, const char *schemas, double rate, struct leat_fault *fault)
{
	LEAT_TRY(leat_tool_schemas(schemas, &feed->schemas, fault));
	feed->registry = registry;
	if (!registry) {
		LEAT_TRY(leat_registry_open(&feed->own, &(struct leat_registry_config){ .folder = feed->schemas }, fault));
		feed->registry = feed->own;
	}
	feed->run = (struct leat_shop_run){ .shop = leat_shop_defaults(), .topics = { .prefix = "shop.", .schemas = feed->schemas, .partitions = FEED_PARTITIONS }, .paced = true, .react = true, .stop = stopping, .self = feed };
	feed->run.shop.rate = rate;
	return 0;
}

int leat_shop_feed_start(struct leat_shop_feed **out, struct leat_transport *transport, struct leat_registry *registry, const char *schemas, double rate, struct leat_fault *fault)
{
	struct leat_shop_feed *feed = leat_calloc(1, sizeof *feed);
	*out = NULL;
	if (!feed)
		return leat_fail(fault, LEAT_ENOMEM, "out of memory");
	feed->transport = transport;
	int rc = set_up(feed, registry, schemas, rate, fault);
	if (rc >= 0 && pthread_create(&feed->thread, NULL, feed_main, feed) != 0)
		rc = leat_fail(fault, LEAT_ENOMEM, "a thread could not be started");
	feed->started = rc >= 0;
	if (rc >= 0)
		*out = feed;
	else
		leat_shop_feed_stop(feed);
	return rc < 0 ? rc : 0;
}

void leat_shop_feed_stop(struct leat_shop_feed *feed)
{
	if (!feed)
		return;
	atomic_store(&feed->stopping, true);
	if (feed->started)
		pthread_join(feed->thread, NULL);
	leat_registry_close(feed->own);
	leat_free(feed->schemas);
	leat_free(feed);
}
