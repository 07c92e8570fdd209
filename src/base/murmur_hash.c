/* murmur_hash.c - see murmur_hash.h. Words are little-endian on every machine: the hash is part of a format. */
#include "base/murmur_hash.h"

#include "base/little_endian.h"

#define MULTIPLIER UINT64_C(0xc6a4a7935bd1e995)

static uint64_t mix(uint64_t word)
{
    word *= MULTIPLIER;
    word ^= word >> 47;
    return word * MULTIPLIER;
}

uint64_t murmur_hash_64a(const void *bytes, size_t size, uint64_t seed)
{
    const unsigned char *p = bytes;
    uint64_t hash = seed ^ size * MULTIPLIER;
    for (; size >= 8; size -= 8, p += 8)
        hash = (hash ^ mix(load_le64(p))) * MULTIPLIER;
    if (size > 0) {
        uint64_t word = 0;
        while (size-- > 0)
            word = word << 8 | p[size];
        hash = (hash ^ word) * MULTIPLIER;
    }
    hash ^= hash >> 47;
    hash *= MULTIPLIER;
    return hash ^ hash >> 47;
}
