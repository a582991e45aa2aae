/* What `leat run` shows while it runs: a status line per second and some of the newest decisions. */
#ifndef LEAT_WATCH_H
#define LEAT_WATCH_H

#include "stream/application.h"

struct leat_watch;
/* Never fails for want of a terminal: then whole lines are written. @json: one object per tick. @quiet: nothing but the last line. */
int leat_watch_open(struct leat_watch **out, struct leat *leat, bool json, bool quiet);
void leat_watch_tick(struct leat_watch *watch);
/* The closing line. */
void leat_watch_close(struct leat_watch *watch, bool well);

/* ---- the simulated shop beside a pipeline (cli/shop_feed.c) ---- */
struct leat_shop_feed;
/* A thread that writes the shop's topics, with the schemas of the folder @schemas (NULL: as the other verbs find it), at @rate events per second and answers decisions. */
int leat_shop_feed_start(struct leat_shop_feed **out, struct leat_transport *transport, struct leat_registry *registry, const char *schemas, double rate, struct leat_fault *fault);
void leat_shop_feed_stop(struct leat_shop_feed *feed);      /* accepts NULL */

#endif
