/* lzf.h - the compression of long strings in RDB: the format of Marc Lehmann's LZF.
 *
 *     000lllll + bytes          l + 1 bytes as they are
 *     lllooooo + o              l + 2 (3..8) bytes from o + 1 before here
 *     111ooooo + l + o          l + 9 (9..264) bytes from there
 *
 * A copy may overlap what it writes. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* No compressed run of bytes gives more than this many times its size. */
enum { LZF_RATIO_MAX = 88 };

/* Inputs of up to LZF_SMALL_MAX bytes need no table. */
enum { LZF_SMALL_MAX = 1000, LZF_SLOTS = 1 << 16 };

/* What the compressor remembers, 128 KiB. To be cleared once; what it holds of one input does not matter to the next. */
struct lzf_table {
    uint16_t last[LZF_SLOTS];
    uint32_t now, swept;
};

void lzf_table_clear(struct lzf_table *t);

/* Compresses into `capacity` bytes: the size, or 0: it does not fit. Inputs of 4 GiB and more do not either, nor large ones
 * where `table` is NULL. What it writes is, to the byte, what the peers' compressor writes. */
size_t lzf_compress(struct lzf_table *table, const unsigned char *from, size_t size,
                    unsigned char *to, size_t capacity);
/* True if the input is whole and gives exactly `capacity` bytes. Reads and writes nothing beyond either. */
bool lzf_decompress(const unsigned char *from, size_t size, unsigned char *to, size_t capacity);
