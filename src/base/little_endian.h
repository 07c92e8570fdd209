/* little_endian.h - words from bytes in the order that hashes are defined by, whatever the machine's; no alignment needed. Pure. */
#pragma once

#include <stdint.h>
#include <string.h>

static inline uint64_t load_le64(const void *bytes)
{
    uint64_t x;
    memcpy(&x, bytes, sizeof x);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    x = __builtin_bswap64(x);
#endif
    return x;
}

static inline uint32_t load_le32(const void *bytes)
{
    uint32_t x;
    memcpy(&x, bytes, sizeof x);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    x = __builtin_bswap32(x);
#endif
    return x;
}
