/* Similarity of vectors and the predictions that are made from it. Sums are in double. What is undefined (a zero vector) is 0. Any thread. */
#ifndef LEAT_MODEL_SIMILARITY_H
#define LEAT_MODEL_SIMILARITY_H

#include <stddef.h>

double leat_similarity_cosine(const float *a, const float *b, size_t count);
double leat_similarity_pearson(const float *a, const float *b, size_t count);
/* Adjusted cosine of the columns @i and @j of @ratings[users][items]: each user's mean over all items is taken off first. */
double leat_similarity_adjusted(const float *ratings, size_t users, size_t items, size_t i, size_t j);
/* Sum of weight * rating / sum of |weight|. */
double leat_similarity_predict(const float *weights, const float *ratings, size_t count);

#endif
