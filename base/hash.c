/* Hashes: XXH3 (library) for tables in memory, murmur2 as Kafka's default partitioner computes it for what is stored. */
#include "base/base.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

uint64_t leat_hash(const void *data, size_t length)
{
	return XXH3_64bits(data, length);
}

/* org.apache.kafka.common.utils.Utils.murmur2: Appleby's MurmurHash2 with seed 0x9747b28c. */
uint32_t leat_murmur2(const void *data, size_t length)
{
	const uint32_t m = 0x5bd1e995;
	const uint8_t *bytes = data;
	uint32_t hash = 0x9747b28c ^ (uint32_t)length;
	for (; length >= 4; bytes += 4, length -= 4) {
		uint32_t k;
		memcpy(&k, bytes, 4);
		k *= m;
		k ^= k >> 24;
		k *= m;
		hash = (hash * m) ^ k;
	}
	if (length >= 3)
		hash ^= (uint32_t)bytes[2] << 16;
	if (length >= 2)
		hash ^= (uint32_t)bytes[1] << 8;
	if (length >= 1)
		hash = (hash ^ bytes[0]) * m;
	hash ^= hash >> 13;
	hash *= m;
	return hash ^ (hash >> 15);
}
