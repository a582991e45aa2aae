/* The reference workload written down plainly: made-up events and the decision for each, one after the other, with nothing of leat's. */
#ifndef LEAT_RP1_REFERENCE_H
#define LEAT_RP1_REFERENCE_H

#include <math.h>
#include <stdint.h>
#include <stdlib.h>

enum { RP1_CATEGORIES = 40, USERS_OF_TEST = 400, ITEMS_OF_TEST = 2000 };

struct rp1_event {
	int64_t user, item, ts;
	int type, category;
	double price;           /* 0: none */
};
static inline uint64_t reference_mix(uint64_t z)
{
	z += 0x9E3779B97F4A7C15ull;
	z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
	z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
	return z ^ (z >> 31);
}
static inline int64_t rp1_power(uint64_t random, int64_t below)
{
	double u = (double)(random >> 11) * 0x1p-53;
	return (int64_t)((double)below * u * u * u);
}
/* Event @i: users and items unevenly popular, about one in fifty late. */
static inline struct rp1_event rp1_event(uint64_t i, int64_t users, int64_t items)
{
	uint64_t a = reference_mix(i * 4), b = reference_mix(i * 4 + 1), c = reference_mix(i * 4 + 2), d = reference_mix(i * 4 + 3);
	struct rp1_event event = { .user = rp1_power(a, users), .item = rp1_power(b, items), .type = c % 100 < 90 ? 0 : c % 100 < 97 ? 1 : 2 };
	event.category = (int)(event.item % RP1_CATEGORIES);
	event.ts = 1760000000000 + (int64_t)i * 2000 - (d % 50 == 0 ? (int64_t)(d >> 8) % 6000000 : 0);
	event.price = event.type ? 5 + (double)(event.item % 97) * 1.5 : 0;
	return event;
}
struct reference_user {
	int64_t n, c[3], last;
	double spend;
	float act, in[40], p[32];
	int used;
};
struct reference {
	struct reference_user users[USERS_OF_TEST];
	float q[ITEMS_OF_TEST][32], ads[256][32];
	char known[ITEMS_OF_TEST];
};

static inline float reference_start(int64_t id, int k)
{
	return ((float)(reference_mix((uint64_t)id * 64 + (uint64_t)k) >> 40) * (1.f / (1 << 24)) - .5f) * .1f;
}
static inline struct reference *reference_new(void)
{
	struct reference *reference = calloc(1, sizeof *reference);
	if (!reference)
		abort();
	for (int a = 0; a < 256; a++)
		for (int k = 0; k < 32; k++)
			reference->ads[a][k] = reference_start(0xADll * 1000003 + a, k) * 10;
	return reference;
}
static inline void reference_profile(struct reference_user *u, const struct rp1_event *e)
{
	int64_t dt = e->ts - u->last;
	if (dt > 0) {
		float f = (float)exp(-(double)dt * (M_LN2 / 3.6e6));
		u->act *= f;
		for (int i = 0; i < 40; i++)
			u->in[i] *= f;
		u->last = e->ts;
	}
	u->act += 1;
	u->in[e->category] += 1;
	u->n++;
	u->c[e->type]++;
	u->spend += e->price;
}
static inline void reference_learn(struct reference *reference, struct reference_user *u, const struct rp1_event *e)
{
	float *q = reference->q[e->item], *p = u->p, d = 0;
	if (!reference->known[e->item])
		for (int k = 0; k < 32; k++)
			q[k] = reference_start((int64_t)((uint64_t)e->item + 0x517CC1B727220A95ull), k);
	reference->known[e->item] = 1;
	for (int k = 0; k < 32; k++)
		d += p[k] * q[k];
	float we = (e->type == 0 ? 1.f : e->type == 1 ? 3.f : 5.f) * (1 - d);
	for (int k = 0; k < 32; k++) {
		float a = p[k], b = q[k];
		p[k] = a + .05f * (we * b - .01f * a);
		q[k] = b + .05f * (we * a - .01f * b);
	}
}
static inline int reference_best(const struct reference *reference, const struct reference_user *u, float *score)
{
	int best = 0;
	for (int a = 0; a < 256; a++) {
		float s = .1f * u->in[a % 40];
		for (int k = 0; k < 32; k++)
			s += u->p[k] * reference->ads[a][k];
		if (a == 0 || s > *score) {
			*score = s;
			best = a;
		}
	}
	return best;
}
static inline int reference_decide(struct reference *reference, const struct rp1_event *e, float *score)
{
	struct reference_user *u = &reference->users[e->user];
	if (!u->used)
		for (int k = 0; k < 32; k++)
			u->p[k] = reference_start(e->user, k);
	u->used = 1;
	reference_profile(u, e);
	reference_learn(reference, u, e);
	return reference_best(reference, u, score);
}

#endif
