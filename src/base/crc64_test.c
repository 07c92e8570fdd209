/* crc64_test.c - the published check value, ends that a DUMP of valkey-server has, pieces, and bit by bit. */
#include "base/crc64.h"

#include "support/testing.h"

TEST(crc64, check_values)
{
    CHECK(crc64(0, "123456789", 9) == UINT64_C(0xe9c6d914c4b8d9ca));
    CHECK(crc64(0, "", 0) == 0);
    CHECK(crc64(0,
                "\x00\x03"
                "abc\x50\x00",
                7) == UINT64_C(0x16c520dfacf98616));
}

static uint64_t bit_by_bit(const unsigned char *data, size_t size)
{
    uint64_t crc = 0;
    for (size_t i = 0; i < size; i++) {
        crc ^= data[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? UINT64_C(0x95ac9329ac4bc9b5) : 0);
    }
    return crc;
}

TEST(crc64, any_bytes_in_any_pieces)
{
    unsigned char data[300];
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (unsigned char)(i * i + 7 * i + i / 13);
    for (size_t size = 0; size <= sizeof data; size++) {
        uint64_t whole = bit_by_bit(data, size);
        CHECK(crc64(0, data, size) == whole);
        CHECK(crc64(crc64(0, data, size / 3), data + size / 3, size - size / 3) == whole);
    }
}
