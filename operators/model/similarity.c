/* Similarity of vectors. */
#include "operators/model/similarity.h"

#include <math.h>

struct products {
	double ab, aa, bb;
};

static void products_add(struct products *products, double a, double b)
{
	products->ab += a * b;
	products->aa += a * a;
	products->bb += b * b;
}

static double products_cosine(const struct products *products)
{
	double norm = sqrt(products->aa) * sqrt(products->bb);
	return norm > 0 ? products->ab / norm : 0;
}

static double mean(const float *values, size_t count)
{
	double sum = 0;
	for (size_t i = 0; i < count; i++)
		sum += (double)values[i];
	return count ? sum / (double)count : 0;
}

double leat_similarity_cosine(const float *a, const float *b, size_t count)
{
	struct products products = { 0 };
	for (size_t i = 0; i < count; i++)
		products_add(&products, (double)a[i], (double)b[i]);
	return products_cosine(&products);
}

double leat_similarity_pearson(const float *a, const float *b, size_t count)
{
	double mean_a = mean(a, count), mean_b = mean(b, count);
	struct products products = { 0 };
	for (size_t i = 0; i < count; i++)
		products_add(&products, (double)a[i] - mean_a, (double)b[i] - mean_b);
	return products_cosine(&products);
}

double leat_similarity_adjusted(const float *ratings, size_t users, size_t items, size_t i, size_t j)
{
	struct products products = { 0 };
	for (size_t user = 0; user < users; user++) {
		const float *row = ratings + user * items;
		double of_user = mean(row, items);
		products_add(&products, (double)row[i] - of_user, (double)row[j] - of_user);
	}
	return products_cosine(&products);
}

double leat_similarity_predict(const float *weights, const float *ratings, size_t count)
{
	double sum = 0, total = 0;
	for (size_t i = 0; i < count; i++) {
		sum += (double)weights[i] * (double)ratings[i];
		total += fabs((double)weights[i]);
	}
	return total > 0 ? sum / total : 0;
}
