/* The loops for processors without AVX2 pass what the others pass. */
#define LEAT_PLAIN_LANES
#include "operators/model/ads_dot.c"
#undef TILE
#undef GROUP
#include "tests/operators/model/ads_test.c"
