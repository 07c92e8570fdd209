/* murmur_hash.h - MurmurHash64A of Austin Appleby, little-endian: the hash that HyperLogLog values of the peers are made with.
 * Not safe against chosen keys: for estimates, never for tables. Pure; any thread.
 * Source: https://github.com/aappleby/smhasher (public domain), MurmurHash2.cpp.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

uint64_t murmur_hash_64a(const void *bytes, size_t size, uint64_t seed);
