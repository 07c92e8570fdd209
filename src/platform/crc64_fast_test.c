/* crc64_fast_test.c - the same as the slow one, for all sizes around the steps, from any address and any beginning. */
#include "platform/crc64_fast.h"

#include "base/crc64.h"
#include "support/testing.h"

TEST(crc64_fast, equals_the_other)
{
    unsigned char data[700];
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (unsigned char)(i * i + 7 * i + i / 13);
    for (size_t size = 0; size <= 600; size++) {
        size_t from = size % 17;
        uint64_t begin = size * UINT64_C(0x9e3779b97f4a7c15);
        CHECK(crc64_fast(0, data + from, size) == crc64(0, data + from, size));
        CHECK(crc64_fast(begin, data + from, size) == crc64(begin, data + from, size));
    }
}
