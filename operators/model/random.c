/* Stable hashes and start values. */
#include "operators/model/random.h"

uint64_t leat_random_hash(struct leat_bytes text)
{
	uint64_t hash = 14695981039346656037ull;
	for (uint32_t i = 0; i < text.length; i++)
		hash = (hash ^ text.data[i]) * 1099511628211ull;
	return leat_random_mix(hash);
}

uint64_t leat_random_id(struct leat_bytes text)
{
	uint64_t number = 0;
	if (text.length == 0 || text.length > 18)
		return leat_random_hash(text);
	for (uint32_t i = 0; i < text.length; i++) {
		unsigned digit = (unsigned)text.data[i] - '0';
		if (digit > 9)
			return leat_random_hash(text);
		number = number * 10 + digit;
	}
	return number;
}

void leat_random_fill(uint64_t id, float *factors, size_t rank)
{
	for (size_t k = 0; k < rank; k++)
		factors[k] = leat_random_start(id, k);
}
