/* siphash.h - SipHash-1-3: a keyed hash that a stranger cannot make collide.
 *
 * The store hashes every key with 16 secret random bytes, so that nobody can send keys that all fall
 * into one bucket. 1-3 (one round a word, three at the end) is the variant hash tables use. Pure.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct siphash_key {
    uint64_t k0, k1; /* the 16 secret bytes, little endian */
};

/* The 64-bit hash of `size` bytes at `data` (NULL allowed when size is 0). */
uint64_t siphash13(const struct siphash_key *key, const void *data, size_t size);

/* SipHash-2-4, the variant with published vectors; the tests use it to prove the rounds. */
uint64_t siphash24(const struct siphash_key *key, const void *data, size_t size);
