/* tmp */
#include "cli/watch.h"
int leat_shop_feed_start(struct leat_shop_feed **out, struct leat_transport *transport, struct leat_registry *registry, double rate, struct leat_fault *fault)
{ (void)out; (void)transport; (void)registry; (void)rate; return leat_fail(fault, LEAT_EUNSUPPORTED, "no shop"); }
void leat_shop_feed_stop(struct leat_shop_feed *feed) { (void)feed; }
