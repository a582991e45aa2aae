/* Steps of online matrix factorization. */
#include "operators/model/mf.h"
#include "operators/model/lanes.h"

float leat_mf_predict(const struct leat_mf *mf, struct leat_mf_side user, struct leat_mf_side item)
{
	float sum = leat_lanes_dot(user.factors, item.factors, mf->padded);
	if (user.bias)
		sum = mf->offset + *user.bias + *item.bias + sum;
	else
		sum = mf->offset + sum;
	return sum;
}

static void shrink(const struct leat_mf *mf, struct leat_mf_side side)
{
	for (size_t k = 0; k < mf->padded; k += 4)
		leat_lanes_store(side.factors + k, leat_lanes_clamp(leat_lanes_load(side.factors + k) * .5f, LEAT_MF_LIMIT));
	if (side.bias)
		*side.bias = leat_lanes_clamp(leat_lanes_all(*side.bias * .5f), LEAT_MF_LIMIT)[0];
}

static void step_bias(const struct leat_mf *mf, float *bias, float pull)
{
	*bias = leat_lanes_clamp(leat_lanes_all(*bias + mf->learning_rate * (pull - mf->regularization * *bias)), LEAT_MF_LIMIT)[0];
}

/* The part of @weight with which a step does not overshoot: so a pair whose factors have grown too long comes back instead of swinging wider. */
static float hold(const struct leat_mf *mf, struct leat_mf_side user, struct leat_mf_side item, float weight)
{
	float lengths = leat_lanes_dot(user.factors, user.factors, mf->padded) + leat_lanes_dot(item.factors, item.factors, mf->padded);
	float most = 1 / (mf->learning_rate * (lengths + (user.bias ? 2 : 0)));
	return weight < most ? weight : most;
}

bool leat_mf_step(const struct leat_mf *mf, struct leat_mf_side user, struct leat_mf_side item, float weight, float target)
{
	float error = target - leat_mf_predict(mf, user, item), pull;
	if (!(error <= LEAT_MF_LIMIT && error >= -LEAT_MF_LIMIT)) {
		shrink(mf, user);
		shrink(mf, item);
		return false;
	}
	if (error > LEAT_MF_CALM || error < -LEAT_MF_CALM)
		weight = hold(mf, user, item, weight);
	pull = weight * error;
	const leat_lanes rate = leat_lanes_all(mf->learning_rate), decay = leat_lanes_all(mf->regularization), pulls = leat_lanes_all(pull);
	for (size_t k = 0; k < mf->padded; k += 4) {
		leat_lanes p = leat_lanes_load(user.factors + k), q = leat_lanes_load(item.factors + k);
		leat_lanes p_new = p + rate * (pulls * q - decay * p), q_new = q + rate * (pulls * p - decay * q);
		leat_lanes_store(user.factors + k, leat_lanes_clamp(p_new, LEAT_MF_LIMIT));
		leat_lanes_store(item.factors + k, leat_lanes_clamp(q_new, LEAT_MF_LIMIT));
	}
	if (user.bias) {
		step_bias(mf, user.bias, pull);
		step_bias(mf, item.bias, pull);
	}
	return true;
}

double leat_mf_curvature(const struct leat_mf *mf, struct leat_mf_side user, float weight)
{
	double norm = leat_lanes_dot(user.factors, user.factors, mf->padded);
	return (double)mf->learning_rate * (double)weight * (norm + (user.bias ? 1 : 0));
}
