/* size_class.h - which block sizes the manual heap hands out, as arithmetic.
 *
 * Class 0 does not exist. Classes 1..16 are 8, 16 .. 128 bytes; then eight classes to each doubling
 * up to 32 KiB, so a block is at most 12.5 % larger than what was asked for:
 *
 *     size_class_bytes(size_class_of(n)) >= n   and no smaller class satisfies this, 0 < n <= 32768
 *
 * Pure functions; callable from anywhere.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define SIZE_CLASS_COUNT   81u /* 1..80 */
#define SIZE_CLASS_LARGEST ((size_t)32768)

/* The class for a size of 1..32768; 0 is treated as 1. */
static inline unsigned size_class_of(size_t size)
{
    if (size <= 128)
        return (unsigned)((size + 7 + (size == 0)) >> 3);
    unsigned log = 63u - (unsigned)__builtin_clzll(size - 1); /* 7..14: 2^log < size <= 2^(log+1) */
    return 17 + (log - 7) * 8 + (unsigned)((size - 1) >> (log - 3)) - 8;
}

static inline size_t size_class_bytes(unsigned class)
{
    if (class <= 16)
        return (size_t) class * 8;
    unsigned step = (class - 17) % 8, log = 7 + (class - 17) / 8;
    return (size_t)(9 + step) << (log - 3);
}
