/* sha1.c - FIPS 180-4, the plain way: speed does not matter to DEBUG DIGEST. */
#include "base/sha1.h"

#include <string.h>

static inline uint32_t rotate(uint32_t x, int bits)
{
    return (x << bits) | (x >> (32 - bits));
}

static void hash_block(uint32_t state[5], const uint8_t block[64])
{
    uint32_t w[80];
    for (int i = 0; i < 16; i++)
        w[i] = (uint32_t)block[4 * i] << 24 | (uint32_t)block[4 * i + 1] << 16 |
               (uint32_t)block[4 * i + 2] << 8 | block[4 * i + 3];
    for (int i = 16; i < 80; i++)
        w[i] = rotate(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
    uint32_t a = state[0], b = state[1], c = state[2], d = state[3], e = state[4];
    for (int i = 0; i < 80; i++) {
        uint32_t f, k;
        if (i < 20) {
            f = (b & c) | (~b & d);
            k = 0x5a827999;
        } else if (i < 40) {
            f = b ^ c ^ d;
            k = 0x6ed9eba1;
        } else if (i < 60) {
            f = (b & c) | (b & d) | (c & d);
            k = 0x8f1bbcdc;
        } else {
            f = b ^ c ^ d;
            k = 0xca62c1d6;
        }
        uint32_t t = rotate(a, 5) + f + e + k + w[i];
        e = d;
        d = c;
        c = rotate(b, 30);
        b = a;
        a = t;
    }
    state[0] += a;
    state[1] += b;
    state[2] += c;
    state[3] += d;
    state[4] += e;
}

void sha1_init(struct sha1 *s)
{
    *s = (struct sha1){.state = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0}};
}

void sha1_update(struct sha1 *s, const void *data, size_t size)
{
    const uint8_t *p = data;
    while (size > 0) {
        size_t at = s->size % 64, n = 64 - at < size ? 64 - at : size;
        memcpy(s->block + at, p, n);
        s->size += n;
        p += n;
        size -= n;
        if (s->size % 64 == 0)
            hash_block(s->state, s->block);
    }
}

void sha1_final(struct sha1 *s, uint8_t out[SHA1_SIZE])
{
    uint64_t bits = s->size * 8;
    uint8_t end[8], pad = 0x80;
    for (int i = 0; i < 8; i++)
        end[i] = (uint8_t)(bits >> (56 - 8 * i));
    sha1_update(s, &pad, 1);
    for (pad = 0; s->size % 64 != 56;)
        sha1_update(s, &pad, 1);
    sha1_update(s, end, 8);
    for (int i = 0; i < SHA1_SIZE; i++)
        out[i] = (uint8_t)(s->state[i / 4] >> (24 - 8 * (i % 4)));
}

void sha1_of(const void *data, size_t size, uint8_t out[SHA1_SIZE])
{
    struct sha1 s;
    sha1_init(&s);
    if (size > 0)
        sha1_update(&s, data, size);
    sha1_final(&s, out);
}
