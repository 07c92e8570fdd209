/* siphash.c - SipHash (Aumasson and Bernstein): add, rotate, xor on four words.
 *
 * The input is taken eight bytes at a time; the last word holds the remaining bytes and the size's
 * low byte on top. Keys of the store are mostly 8 to 40 bytes, so there is no buffering: one pass
 * over memory that is all there. The tail is gathered without reading past the end.
 */
#include "base/siphash.h"

#include "base/little_endian.h"

#define ROTATE(x, b) (((x) << (b)) | ((x) >> (64 - (b))))

struct words {
    uint64_t v0, v1, v2, v3;
};

static inline __attribute__((always_inline)) void round_once(struct words *w)
{
    w->v0 += w->v1;
    w->v2 += w->v3;
    w->v1 = ROTATE(w->v1, 13) ^ w->v0;
    w->v3 = ROTATE(w->v3, 16) ^ w->v2;
    w->v0 = ROTATE(w->v0, 32);
    w->v2 += w->v1;
    w->v0 += w->v3;
    w->v1 = ROTATE(w->v1, 17) ^ w->v2;
    w->v3 = ROTATE(w->v3, 21) ^ w->v0;
    w->v2 = ROTATE(w->v2, 32);
}

/* The last size % 8 bytes, little endian. With eight bytes or more before the end, one load that
 * ends exactly at the end, shifted, saves the loop. */
static inline uint64_t load_tail(const unsigned char *end, size_t left, size_t size)
{
    if (left == 0)
        return 0;
    if (size >= 8)
        return load_le64(end - 8) >> (8 * (8 - left));
    uint64_t x = 0;
    for (size_t i = 0; i < left; i++)
        x |= (uint64_t)(end - left)[i] << (8 * i);
    return x;
}

static inline __attribute__((always_inline)) uint64_t
siphash(const struct siphash_key *key, const void *data, size_t size, int c_rounds, int d_rounds)
{
    struct words w = {
        key->k0 ^ UINT64_C(0x736f6d6570736575), key->k1 ^ UINT64_C(0x646f72616e646f6d),
        key->k0 ^ UINT64_C(0x6c7967656e657261), key->k1 ^ UINT64_C(0x7465646279746573)};
    const unsigned char *p = data;
    size_t whole = size & ~(size_t)7;
    for (size_t i = 0; i < whole; i += 8) {
        uint64_t m = load_le64(p + i);
        w.v3 ^= m;
        for (int r = 0; r < c_rounds; r++)
            round_once(&w);
        w.v0 ^= m;
    }
    uint64_t last = (uint64_t)size << 56;
    if (size & 7)
        last |= load_tail(p + size, size & 7, size);
    w.v3 ^= last;
    for (int r = 0; r < c_rounds; r++)
        round_once(&w);
    w.v0 ^= last;
    w.v2 ^= 0xff;
    for (int r = 0; r < d_rounds; r++)
        round_once(&w);
    return w.v0 ^ w.v1 ^ w.v2 ^ w.v3;
}

uint64_t siphash13(const struct siphash_key *key, const void *data, size_t size)
{
    return siphash(key, data, size, 1, 3);
}

uint64_t siphash24(const struct siphash_key *key, const void *data, size_t size)
{
    return siphash(key, data, size, 2, 4);
}
