/*
 * Online matrix factorization: r = offset + b_u + b_i + p.q, learned by one step of stochastic gradient descent per event.
 * Owner: the caller holds all arrays. Any thread. Nothing that is not finite is ever stored: see leat_mf_step().
 */
#ifndef LEAT_MODEL_MF_H
#define LEAT_MODEL_MF_H

#include <stdbool.h>
#include <stddef.h>

#define LEAT_MF_RANK_MAX 128
#define LEAT_MF_LIMIT 1e3f      /* no number of a factor or bias leaves [-LIMIT, LIMIT], no error beyond it is learned from */
#define LEAT_MF_CALM 8.f        /* an error beyond it has its step held so that it does not overshoot                          */

struct leat_mf {
	size_t padded;          /* leat_lanes_padded(rank): length of the arrays, zero beyond the rank */
	float learning_rate;    /* per unit of weight                                                  */
	float regularization;   /* pull towards 0, per step                                            */
	float offset;           /* mean of the targets; 0 for implicit feedback                        */
};
/* One side of a rating: a user or an item. */
struct leat_mf_side {
	float *factors;         /* [padded]             */
	float *bias;            /* NULL: without biases */
};

float leat_mf_predict(const struct leat_mf *mf, struct leat_mf_side user, struct leat_mf_side item);
/*
 * err = target - prediction; p += lr (w err q - reg p), q += lr (w err p_old - reg q), biases likewise.
 * False when the error is not finite or beyond LEAT_MF_LIMIT: then nothing is learned, both sides are halved so that a pair that ran away comes back.
 */
bool leat_mf_step(const struct leat_mf *mf, struct leat_mf_side user, struct leat_mf_side item, float weight, float target);
/* Bound on the curvature of such a step for the item: lr w |u|^2, u being the user's factors before it and 1 for a bias. */
double leat_mf_curvature(const struct leat_mf *mf, struct leat_mf_side user, float weight);

#endif
