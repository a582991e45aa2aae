/* The simulated shop connected to topics: its events as Avro records, and its ear for decisions. What `leat generate` and the shop beside `leat run` share. */
#ifndef LEAT_SHOP_RUN_H
#define LEAT_SHOP_RUN_H

#include "cli/shop.h"
#include "schemas/registry.h"
#include "stream/transport.h"

/* ---- events to records (cli/shop_write.c); one thread ---- */
struct leat_shop_writer;
/* Topics are @prefix + clicks, purchases, feedback, ads; @schemas: folder of their *.avsc; @partitions of those that are not there yet. Makes the topics. */
struct leat_shop_writer_config { const char *prefix, *schemas; int32_t partitions; bool keep; };      /* keep: topics made here have no retention */
int leat_shop_writer_open(struct leat_shop_writer **out, struct leat_transport *transport, struct leat_registry *registry, const struct leat_shop_writer_config *config, struct leat_fault *fault);
/* Sends what is queued. */
int leat_shop_writer_flush(struct leat_shop_writer *writer, struct leat_fault *fault);
void leat_shop_writer_close(struct leat_shop_writer *writer);      /* accepts NULL */
int leat_shop_write(struct leat_shop_writer *writer, const struct leat_shop_event *event, struct leat_fault *fault);

/* ---- decisions to reactions (cli/shop_hear.c); one thread ---- */
struct leat_shop_ear;
/* Listens from the present end of @topic on, which is made if it is absent. */
int leat_shop_ear_open(struct leat_shop_ear **out, struct leat_transport *transport, struct leat_registry *registry, const char *topic, const char *schemas, int32_t partitions, struct leat_fault *fault);
/* Tells the shop of the decisions that came; does not wait. */
int leat_shop_hear(struct leat_shop_ear *ear, struct leat_shop *shop, int64_t now_ms, struct leat_fault *fault);
void leat_shop_ear_close(struct leat_shop_ear *ear);               /* accepts NULL */

/* ---- a whole run (cli/shop_run.c) ---- */
struct leat_shop_run {
	struct leat_shop_config shop;        /* with @paced: rate is the real one, start_ms is not used: the shop opens 0.5 s after its topics are there, its ads first */
	struct leat_shop_writer_config topics;
	bool paced, react;                   /* paced: events leave at their time by the wall clock; else at once */
	uint64_t events;                     /* ends after so many, 0: never   */
	double seconds;                      /* ends after so many, 0: never   */
	bool (*stop)(void *self);
	void *self;
};
/* Ads first, then events until something ends it. @stats is what was planted, also after a failure. */
int leat_shop_run(struct leat_transport *transport, struct leat_registry *registry, const struct leat_shop_run *run, struct leat_shop_stats *stats, struct leat_fault *fault);

#endif
