/* sha1.h - SHA-1, for DEBUG DIGEST, which is defined by it. Not for anything secret. Pure. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define SHA1_SIZE 20

struct sha1 {
    uint32_t state[5];
    uint64_t size;     /* bytes fed so far */
    uint8_t block[64]; /* the part of a block not yet hashed: size % 64 bytes */
};

void sha1_init(struct sha1 *s);
void sha1_update(struct sha1 *s, const void *data, size_t size);
void sha1_final(struct sha1 *s, uint8_t out[SHA1_SIZE]);
/* All three in one. */
void sha1_of(const void *data, size_t size, uint8_t out[SHA1_SIZE]);
