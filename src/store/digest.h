/* digest.h - DEBUG DIGEST: one number for the content of everything, the same as Redis computes it,
 * so that two servers can be compared whatever the order of their keys.
 */
#pragma once

#include "base/sha1.h"
#include "store/keyspace.h"

/* Of all databases. tx holds all. */
void digest_dataset(struct transaction *tx, uint8_t out[SHA1_SIZE]);
/* For the types: `data` in a place of its own (what is mixed before and after matters), or as one of a
 * set (the order does not). */
void digest_mix(uint8_t digest[SHA1_SIZE], const void *data, size_t size);
void digest_xor(uint8_t digest[SHA1_SIZE], const void *data, size_t size);
/* Of one key's value, zeros if it is missing; the key's shard is held. */
void digest_value(struct transaction *tx, struct store_key key, uint8_t out[SHA1_SIZE]);
