/* xxh3.c - XXH3, 64 bits.
 *
 * Five ways by size. Up to 16 bytes are read by two overlapping loads; up to 240 in pairs of words that are multiplied to 128
 * bits and folded; beyond that, eight sums run beside each other over stripes of 64 bytes. The sums are independent so that a
 * compiler can keep them in vector registers; each block of 16 stripes ends with a scramble. "Lane" is one 64-bit word of a stripe.
 */
#include "base/xxh3.h"

#include "base/little_endian.h"

#define PRIME32_1 UINT64_C(0x9E3779B1)
#define PRIME32_2 UINT64_C(0x85EBCA77)
#define PRIME32_3 UINT64_C(0xC2B2AE3D)
#define PRIME64_1 UINT64_C(0x9E3779B185EBCA87)
#define PRIME64_2 UINT64_C(0xC2B2AE3D27D4EB4F)
#define PRIME64_3 UINT64_C(0x165667B19E3779F9)
#define PRIME64_4 UINT64_C(0x85EBCA77C2B2AE63)
#define PRIME64_5 UINT64_C(0x27D4EB2F165667C5)
#define PRIME_MX1 UINT64_C(0x165667919E3779F9)
#define PRIME_MX2 UINT64_C(0x9FB21C651E98DF25)

enum {
    LANES = 8,
    STRIPE = 8 * LANES, /* bytes */
    SECRET_SIZE = 192,
    SECRET_STEP = 8, /* how far a stripe moves on in the secret */
    STRIPES_OF_BLOCK = (SECRET_SIZE - STRIPE) / SECRET_STEP,
    BLOCK = STRIPE * STRIPES_OF_BLOCK,
    MIDDLE_MAX = 240, /* the largest input without stripes */
};

static const unsigned char secret[SECRET_SIZE] = {
    0xb8, 0xfe, 0x6c, 0x39, 0x23, 0xa4, 0x4b, 0xbe, 0x7c, 0x01, 0x81, 0x2c, 0xf7, 0x21, 0xad, 0x1c,
    0xde, 0xd4, 0x6d, 0xe9, 0x83, 0x90, 0x97, 0xdb, 0x72, 0x40, 0xa4, 0xa4, 0xb7, 0xb3, 0x67, 0x1f,
    0xcb, 0x79, 0xe6, 0x4e, 0xcc, 0xc0, 0xe5, 0x78, 0x82, 0x5a, 0xd0, 0x7d, 0xcc, 0xff, 0x72, 0x21,
    0xb8, 0x08, 0x46, 0x74, 0xf7, 0x43, 0x24, 0x8e, 0xe0, 0x35, 0x90, 0xe6, 0x81, 0x3a, 0x26, 0x4c,
    0x3c, 0x28, 0x52, 0xbb, 0x91, 0xc3, 0x00, 0xcb, 0x88, 0xd0, 0x65, 0x8b, 0x1b, 0x53, 0x2e, 0xa3,
    0x71, 0x64, 0x48, 0x97, 0xa2, 0x0d, 0xf9, 0x4e, 0x38, 0x19, 0xef, 0x46, 0xa9, 0xde, 0xac, 0xd8,
    0xa8, 0xfa, 0x76, 0x3f, 0xe3, 0x9c, 0x34, 0x3f, 0xf9, 0xdc, 0xbb, 0xc7, 0xc7, 0x0b, 0x4f, 0x1d,
    0x8a, 0x51, 0xe0, 0x4b, 0xcd, 0xb4, 0x59, 0x31, 0xc8, 0x9f, 0x7e, 0xc9, 0xd9, 0x78, 0x73, 0x64,
    0xea, 0xc5, 0xac, 0x83, 0x34, 0xd3, 0xeb, 0xc3, 0xc5, 0x81, 0xa0, 0xff, 0xfa, 0x13, 0x63, 0xeb,
    0x17, 0x0d, 0xdd, 0x51, 0xb7, 0xf0, 0xda, 0x49, 0xd3, 0x16, 0x55, 0x26, 0x29, 0xd4, 0x68, 0x9e,
    0x2b, 0x16, 0xbe, 0x58, 0x7d, 0x47, 0xa1, 0xfc, 0x8f, 0xf8, 0xb8, 0xd1, 0x7a, 0xd0, 0x31, 0xce,
    0x45, 0xcb, 0x3a, 0x8f, 0x95, 0x16, 0x04, 0x28, 0xaf, 0xd7, 0xfb, 0xca, 0xbb, 0x4b, 0x40, 0x7e,
};

static inline uint64_t rotate(uint64_t x, unsigned bits)
{
    return x << bits | x >> (64 - bits);
}

static inline uint64_t multiply_fold(uint64_t a, uint64_t b)
{
    unsigned __int128 product = (unsigned __int128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static inline uint64_t avalanche(uint64_t h)
{
    h ^= h >> 37;
    h *= PRIME_MX1;
    return h ^ h >> 32;
}

/* The older end, of XXH64. */
static inline uint64_t avalanche_64(uint64_t h)
{
    h ^= h >> 33;
    h *= PRIME64_2;
    h ^= h >> 29;
    h *= PRIME64_3;
    return h ^ h >> 32;
}

static uint64_t hash_up_to_16(const unsigned char *p, size_t size)
{
    if (size > 8) {
        uint64_t low = load_le64(p) ^ load_le64(secret + 24) ^ load_le64(secret + 32);
        uint64_t high = load_le64(p + size - 8) ^ load_le64(secret + 40) ^ load_le64(secret + 48);
        return avalanche(size + __builtin_bswap64(low) + high + multiply_fold(low, high));
    }
    if (size >= 4) {
        uint64_t h = load_le32(p + size - 4) + ((uint64_t)load_le32(p) << 32);
        h ^= load_le64(secret + 8) ^ load_le64(secret + 16);
        h ^= rotate(h, 49) ^ rotate(h, 24);
        h *= PRIME_MX2;
        h ^= (h >> 35) + size;
        h *= PRIME_MX2;
        return h ^ h >> 28;
    }
    if (size > 0) {
        uint64_t all = (uint64_t)p[0] << 16 | (uint64_t)p[size / 2] << 24 | p[size - 1] | size << 8;
        return avalanche_64(all ^ load_le32(secret) ^ load_le32(secret + 4));
    }
    return avalanche_64(load_le64(secret + 56) ^ load_le64(secret + 64));
}

static inline uint64_t mix_16(const unsigned char *p, const unsigned char *s)
{
    return multiply_fold(load_le64(p) ^ load_le64(s), load_le64(p + 8) ^ load_le64(s + 8));
}

/* 17 to 128 bytes: pairs from both ends inwards. */
static uint64_t hash_up_to_128(const unsigned char *p, size_t size)
{
    uint64_t sum = size * PRIME64_1;
    for (size_t i = (size - 1) / 32 + 1; i-- > 0;)
        sum += mix_16(p + 16 * i, secret + 32 * i) +
               mix_16(p + size - 16 * (i + 1), secret + 32 * i + 16);
    return avalanche(sum);
}

static uint64_t hash_up_to_240(const unsigned char *p, size_t size)
{
    uint64_t sum = size * PRIME64_1;
    for (size_t i = 0; i < 8; i++)
        sum += mix_16(p + 16 * i, secret + 16 * i);
    sum = avalanche(sum);
    for (size_t i = 8; i < size / 16; i++)
        sum += mix_16(p + 16 * i, secret + 16 * (i - 8) + 3);
    return avalanche(sum + mix_16(p + size - 16, secret + 136 - 17));
}

static inline void add_stripe(uint64_t sums[LANES], const unsigned char *p, const unsigned char *s)
{
#pragma GCC unroll 8
    for (size_t i = 0; i < LANES; i++) {
        uint64_t word = load_le64(p + 8 * i), keyed = word ^ load_le64(s + 8 * i);
        sums[i ^ 1] += word;
        sums[i] += (keyed & UINT32_MAX) * (keyed >> 32);
    }
}

static void scramble(uint64_t sums[LANES])
{
    for (size_t i = 0; i < LANES; i++) {
        uint64_t x = sums[i];
        x ^= x >> 47;
        x ^= load_le64(secret + SECRET_SIZE - STRIPE + 8 * i);
        sums[i] = x * PRIME32_1;
    }
}

static uint64_t hash_stripes(const unsigned char *p, size_t size)
{
    uint64_t sums[LANES] = {PRIME32_3, PRIME64_1, PRIME64_2, PRIME64_3,
                            PRIME64_4, PRIME32_2, PRIME64_5, PRIME32_1};
    /* The last stripe ends with the input and is taken apart, so that a block is full only if something follows. */
    size_t stripes = (size - 1) / STRIPE;
    for (size_t i = 0; i < stripes; i++) {
        size_t place = i % STRIPES_OF_BLOCK;
        add_stripe(sums, p + i * STRIPE, secret + place * SECRET_STEP);
        if (place == STRIPES_OF_BLOCK - 1)
            scramble(sums);
    }
    add_stripe(sums, p + size - STRIPE, secret + SECRET_SIZE - STRIPE - 7);
    uint64_t h = size * PRIME64_1;
    for (size_t i = 0; i < LANES; i += 2) {
        const unsigned char *s = secret + 11 + 8 * i;
        h += multiply_fold(sums[i] ^ load_le64(s), sums[i + 1] ^ load_le64(s + 8));
    }
    return avalanche(h);
}

uint64_t xxh3_64(const void *bytes, size_t size)
{
    if (size <= 16)
        return hash_up_to_16(bytes, size);
    if (size <= 128)
        return hash_up_to_128(bytes, size);
    return size <= MIDDLE_MAX ? hash_up_to_240(bytes, size) : hash_stripes(bytes, size);
}
