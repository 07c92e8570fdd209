/* random.c - xoshiro256++ (Blackman and Vigna, public domain algorithm): 256 bits of state, passes
 * the usual batteries, four operations a number. Seeds go through splitmix64, so that a seed of few
 * bits, or zero, still fills the state. Bounds by multiplication (Lemire), with the rare rejection
 * that makes them exact.
 */
#include "base/random.h"

#include "base/check.h"

static uint64_t splitmix(uint64_t *x)
{
    uint64_t z = (*x += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static inline uint64_t rotate(uint64_t x, int bits)
{
    return (x << bits) | (x >> (64 - bits));
}

void random_init(struct random_state *r, uint64_t seed)
{
    for (int i = 0; i < 4; i++)
        r->s[i] = splitmix(&seed);
}

uint64_t random_next(struct random_state *r)
{
    uint64_t *s = r->s;
    uint64_t result = rotate(s[0] + s[3], 23) + s[0];
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate(s[3], 45);
    return result;
}

uint64_t random_below(struct random_state *r, uint64_t bound)
{
    tu_assert(bound > 0);
    unsigned __int128 wide = (unsigned __int128)random_next(r) * bound;
    if ((uint64_t)wide < bound) {
        uint64_t threshold = -bound % bound;
        while ((uint64_t)wide < threshold)
            wide = (unsigned __int128)random_next(r) * bound;
    }
    return (uint64_t)(wide >> 64);
}
