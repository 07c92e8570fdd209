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

/* Bytes of memory that lzf_compress wants for an input of this size, zeroed by the caller: up to 256 KiB. */
size_t lzf_work_size(size_t size);

/* Compresses into `capacity` bytes: the size, or 0: it does not fit. Inputs of 4 GiB and more do not either. What it
 * writes is, to the byte, what the peers' compressor writes. `work` is aligned for uint32_t. */
size_t lzf_compress(void *work, const unsigned char *from, size_t size, unsigned char *to,
                    size_t capacity);
/* True if the input is whole and gives exactly `capacity` bytes. Reads and writes nothing beyond either. */
bool lzf_decompress(const unsigned char *from, size_t size, unsigned char *to, size_t capacity);
