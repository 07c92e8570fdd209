/* xxh3.h - XXH3 of Yann Collet, 64 bits, with the standard secret and no seed: what DIGEST shows of a string. Fast, and not safe
 * against chosen input: it tells values apart that nobody made alike on purpose. Pure; any thread.
 * Source: the algorithm's specification, https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

uint64_t xxh3_64(const void *bytes, size_t size);
