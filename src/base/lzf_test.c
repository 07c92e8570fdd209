/* lzf_test.c - payloads that valkey-server wrote; there and back for many kinds of data and all room there can be; broken
 * input. */
#include "base/lzf.h"

#include "base/random.h"
#include "support/testing.h"

#include <stdlib.h>
#include <string.h>

static size_t compress(const void *data, size_t size, unsigned char *to, size_t capacity)
{
    void *work = calloc(1, lzf_work_size(size));
    REQUIRE(work);
    size_t n = lzf_compress(work, data, size, to, capacity);
    free(work);
    return n;
}

TEST(lzf, as_the_peers_write_it)
{
    unsigned char data[100], out[100];
    memset(data, 'a', sizeof data);
    REQUIRE(compress(data, 21, out, 17) == 6);
    CHECK(memcmp(out,
                 "\x01"
                 "aa"
                 "\xe0\x0a\x00",
                 6) == 0);
    REQUIRE(compress(data, 100, out, 96) == 9);
    CHECK(memcmp(out,
                 "\x01"
                 "aa"
                 "\xe0\x57\x00\x01"
                 "aa",
                 9) == 0);
}

static void there_and_back(const unsigned char *data, size_t size, size_t capacity)
{
    unsigned char *out = malloc(capacity + 1), *back = malloc(size + 1);
    REQUIRE(out && back);
    size_t n = compress(data, size, out, capacity);
    CHECK(n <= capacity);
    if (n > 0) {
        CHECK(lzf_decompress(out, n, back, size));
        CHECK(memcmp(back, data, size) == 0);
        CHECK(size <= n * LZF_RATIO_MAX);
        CHECK(!lzf_decompress(out, n, back, size - 1));
        CHECK(!lzf_decompress(out, n - 1, back, size));
    }
    free(out);
    free(back);
}

TEST(lzf, there_and_back)
{
    struct random_state random;
    static unsigned char data[80000];
    random_init(&random, 7);
    for (int round = 0; round < 340; round++) {
        size_t size = 1 + random_below(&random, round < 300 ? 300 : sizeof data);
        unsigned letters = 1 + (unsigned)random_below(&random, round % 2 ? 4 : 200);
        for (size_t i = 0; i < size; i++)
            data[i] = (unsigned char)random_below(&random, letters);
        there_and_back(data, size, size > 4 ? size - 4 : size);
        there_and_back(data, size, random_below(&random, size + 1));
    }
}

TEST(lzf, broken_input_stays_inside)
{
    struct random_state random;
    unsigned char in[64], out[300];
    random_init(&random, 11);
    for (int round = 0; round < 20000; round++) {
        size_t size = random_below(&random, sizeof in),
               capacity = random_below(&random, sizeof out);
        for (size_t i = 0; i < size; i++)
            in[i] = (unsigned char)random_next(&random);
        out[capacity] = 0x5a;
        (void)lzf_decompress(in, size, out, capacity);
        CHECK(out[capacity] == 0x5a);
    }
    CHECK(lzf_decompress(in, 0, out, 0));
}
