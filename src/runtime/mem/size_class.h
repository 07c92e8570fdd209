/* size_class.h - which block sizes the manual heap hands out, as arithmetic.
 *
 * Class 0 does not exist. Classes 1..32 are 8, 16 .. 256 bytes; then eight classes to each doubling
 * up to 4 KiB, and sixteen up to 32 KiB, so a block is at most 12.5 % larger than what was asked for, and a large one 6.25 %:
 *
 *     size_class_bytes(size_class_of(n)) >= n   and no smaller class satisfies this, 0 < n <= 32768
 *
 * Pure functions; callable from anywhere.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define SIZE_CLASS_COUNT   113u /* 1..112 */
#define SIZE_CLASS_LARGEST ((size_t)32768)

/* The class for a size of 1..32768; 0 is treated as 1. */
static inline unsigned size_class_of(size_t size)
{
    if (size <= 256)
        return (unsigned)((size + 7 + (size == 0)) >> 3);
    unsigned log = 63u - (unsigned)__builtin_clzll(size - 1); /* 8..14: 2^log < size <= 2^(log+1) */
    if (log < 12)
        return 33 + (log - 8) * 8 + (unsigned)((size - 1) >> (log - 3)) - 8;
    return 65 + (log - 12) * 16 + (unsigned)((size - 1) >> (log - 4)) - 16;
}

static inline size_t size_class_bytes(unsigned class)
{
    if (class <= 32)
        return (size_t) class * 8;
    if (class <= 64)
        return (size_t)(9 + (class - 33) % 8) << (5 + (class - 33) / 8);
    return (size_t)(17 + (class - 65) % 16) << (8 + (class - 65) / 16);
}
