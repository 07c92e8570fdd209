/* crc64.h - the CRC of RDB files and DUMP payloads: the polynomial of Jones (0xad93d23594c935a9), reflected, beginning with
 * 0, nothing inverted at the end. Of "123456789" it is 0xe9c6d914c4b8d9ca. Not for anything secret. Pure.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Goes on from `crc`, which is 0 at the beginning. */
uint64_t crc64(uint64_t crc, const void *data, size_t size);
