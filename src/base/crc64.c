/* crc64.c - see crc64.h. Eight bytes at a time: the CRC is linear, so what each of them does is looked up on its own. */
#include "base/crc64.h"

#include <string.h>

static const uint64_t tables[8][256] = {
#include "base/crc64_tables.inc"
};

uint64_t crc64(uint64_t crc, const void *data, size_t size)
{
    const unsigned char *at = data;
    for (; size >= 8; size -= 8, at += 8) {
        uint64_t word;
        memcpy(&word, at, sizeof word); /* little endian */
        word ^= crc;
        crc = tables[7][word & 0xff] ^ tables[6][word >> 8 & 0xff] ^ tables[5][word >> 16 & 0xff] ^
              tables[4][word >> 24 & 0xff] ^ tables[3][word >> 32 & 0xff] ^
              tables[2][word >> 40 & 0xff] ^ tables[1][word >> 48 & 0xff] ^ tables[0][word >> 56];
    }
    for (; size > 0; size--, at++)
        crc = tables[0][(crc ^ *at) & 0xff] ^ crc >> 8;
    return crc;
}
