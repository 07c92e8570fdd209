/* siphash_test.c - published vectors of SipHash-2-4, computed ones of 1-3, and equal results for
 * every alignment. */
#include "base/siphash.h"

#include "support/testing.h"

#include <string.h>

static const struct siphash_key reference_key = {UINT64_C(0x0706050403020100),
                                                 UINT64_C(0x0f0e0d0c0b0a0908)};

/* The reference input of n bytes is 00 01 02 ... n-1. */
TEST(siphash, reference_vectors_2_4)
{
    unsigned char in[64];
    for (int i = 0; i < 64; i++)
        in[i] = (unsigned char)i;
    CHECK(siphash24(&reference_key, in, 0) == UINT64_C(0x726fdb47dd0e0e31));
    CHECK(siphash24(&reference_key, in, 1) == UINT64_C(0x74f839c593dc67fd));
    CHECK(siphash24(&reference_key, in, 7) == UINT64_C(0xab0200f58b01d137));
    CHECK(siphash24(&reference_key, in, 8) == UINT64_C(0x93f5f5799a932462));
    CHECK(siphash24(&reference_key, in, 15) == UINT64_C(0xa129ca6149be45e5));
    CHECK(siphash24(&reference_key, in, 63) == UINT64_C(0x958a324ceb064572));
}

TEST(siphash, reference_vector_1_3)
{
    CHECK(siphash13(&reference_key, "", 0) == UINT64_C(0xabac0158050fc4dc));
}

/* The rounds written again, byte by byte, as a model for every size and alignment. */
static uint64_t model13(const struct siphash_key *key, const unsigned char *p, size_t size)
{
    uint64_t v[4] = {key->k0 ^ UINT64_C(0x736f6d6570736575), key->k1 ^ UINT64_C(0x646f72616e646f6d),
                     key->k0 ^ UINT64_C(0x6c7967656e657261),
                     key->k1 ^ UINT64_C(0x7465646279746573)};
    for (size_t word = 0; word <= size / 8 + 4; word++) {
        uint64_t m = 0;
        if (word <= size / 8) {
            for (size_t i = 0; i < 8 && word * 8 + i < size; i++)
                m |= (uint64_t)p[word * 8 + i] << (8 * i);
            if (word == size / 8)
                m |= (uint64_t)size << 56;
            v[3] ^= m;
        } else if (word == size / 8 + 1) {
            v[2] ^= 0xff;
        } else if (word > size / 8 + 3) {
            break;
        }
        v[0] += v[1];
        v[1] = v[1] << 13 | v[1] >> 51;
        v[1] ^= v[0];
        v[0] = v[0] << 32 | v[0] >> 32;
        v[2] += v[3];
        v[3] = v[3] << 16 | v[3] >> 48;
        v[3] ^= v[2];
        v[0] += v[3];
        v[3] = v[3] << 21 | v[3] >> 43;
        v[3] ^= v[0];
        v[2] += v[1];
        v[1] = v[1] << 17 | v[1] >> 47;
        v[1] ^= v[2];
        v[2] = v[2] << 32 | v[2] >> 32;
        v[0] ^= m;
    }
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

TEST(siphash, agrees_with_the_model_at_every_size_and_alignment)
{
    unsigned char in[128];
    for (int i = 0; i < 128; i++)
        in[i] = (unsigned char)(i * 37 + 11);
    for (size_t size = 0; size < 80; size++)
        for (size_t shift = 0; shift < 8; shift++)
            CHECK(siphash13(&reference_key, in + shift, size) ==
                  model13(&reference_key, in + shift, size));
}
