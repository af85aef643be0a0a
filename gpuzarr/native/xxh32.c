#include "native.h"

// XXH32 with the seed of lz4-java. Source: https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md
static const uint32_t PRIMES[] = {2654435761u, 2246822519u, 3266489917u, 668265263u, 374761393u};
static const uint32_t SEED = 0x9747b28cu;

static uint32_t rotated(uint32_t word, int bits)
{
    return word << bits | word >> (32 - bits);
}

static uint32_t word_at(const unsigned char *data)
{
    return data[0] | (uint32_t)data[1] << 8 | (uint32_t)data[2] << 16 | (uint32_t)data[3] << 24;
}

// A function for gpuzarr_checksums.
EXPORT uint32_t gpuzarr_xxh32(const unsigned char *data, size_t nbytes)
{
    const unsigned char *end = data + nbytes;
    uint32_t hash = SEED + PRIMES[4];
    if (nbytes >= 16) {
        uint32_t lanes[] = {SEED + PRIMES[0] + PRIMES[1], SEED + PRIMES[1], SEED, SEED - PRIMES[0]};
        for (; end - data >= 16; data += 16)
            for (int i = 0; i < 4; i++) lanes[i] = rotated(lanes[i] + word_at(data + 4 * i) * PRIMES[1], 13) * PRIMES[0];
        hash = rotated(lanes[0], 1) + rotated(lanes[1], 7) + rotated(lanes[2], 12) + rotated(lanes[3], 18);
    }
    hash += (uint32_t)nbytes;
    for (; end - data >= 4; data += 4) hash = rotated(hash + word_at(data) * PRIMES[2], 17) * PRIMES[3];
    for (; data < end; data++) hash = rotated(hash + *data * PRIMES[4], 11) * PRIMES[0];
    hash = (hash ^ hash >> 15) * PRIMES[1];
    hash = (hash ^ hash >> 13) * PRIMES[2];
    return hash ^ hash >> 16;
}
