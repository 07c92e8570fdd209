/* lzf_test.c - payloads that valkey-server wrote; there and back for many kinds of data and all room there can be; broken
 * input. */
#include "base/lzf.h"

#include "base/random.h"
#include "support/testing.h"

#include <stdlib.h>
#include <string.h>

static size_t compress(const void *data, size_t size, unsigned char *to, size_t capacity)
{
    static struct lzf_table table;
    lzf_table_clear(&table);
    return lzf_compress(&table, data, size, to, capacity);
}

static size_t put_plain_runs(const unsigned char *run, const unsigned char *end, unsigned char *to)
{
    unsigned char *out = to;
    while (run < end) {
        size_t bytes = end - run < 32 ? (size_t)(end - run) : 32;
        *out++ = (unsigned char)(bytes - 1);
        memcpy(out, run, bytes);
        out += bytes;
        run += bytes;
    }
    return (size_t)(out - to);
}

/* The same as plainly as it can be said, where there is room enough. */
static size_t compress_plainly(const unsigned char *b, size_t size, unsigned char *to)
{
    static size_t last[1 << 16];
    size_t n = 0, run = 0, at = 0;
    memset(last, 0, sizeof last);
    while (at + 2 < size) {
        uint32_t h = (uint32_t)b[at] << 16 | (uint32_t)b[at + 1] << 8 | b[at + 2];
        size_t slot = ((h >> 8) - h * 5) & 0xffff, before = last[slot];
        last[slot] = at;
        if (before == 0 || at - before > 8192 || memcmp(b + before, b + at, 3) != 0) {
            at++;
            continue;
        }
        size_t most = size - at - 2 < 264 ? size - at - 2 : 264, length = 3;
        if (most > 16 && most < 19)
            most = 19;
        while (length < most && b[before + length] == b[at + length])
            length++;
        n += put_plain_runs(b + run, b + at, to + n);
        size_t distance = at - before - 1, l = length - 2;
        to[n++] = (unsigned char)(distance >> 8 | (l < 7 ? l : 7) << 5);
        if (l >= 7)
            to[n++] = (unsigned char)(l - 7);
        to[n++] = (unsigned char)distance;
        run = at += length;
        for (size_t i = at - 2; i < at && at + 2 < size; i++) {
            h = (uint32_t)b[i] << 16 | (uint32_t)b[i + 1] << 8 | b[i + 2];
            last[((h >> 8) - h * 5) & 0xffff] = i;
        }
    }
    return n + put_plain_runs(b + run, b + size, to + n);
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

/* Bytes that repeat what was a while ago, from one byte before to beyond what a copy reaches. */
static void fill_with_echoes(struct random_state *random, unsigned char *data, size_t size)
{
    static const unsigned distances[] = {4, 300, 9000, 70000};
    unsigned letters = 1 + (unsigned)random_below(random, 200);
    for (size_t i = 0; i < size;) {
        data[i++] = (unsigned char)random_below(random, letters);
        size_t distance = 1 + random_below(random, distances[random_below(random, 4)]);
        size_t bytes = random_below(random, random_below(random, 20) ? 20 : 400);
        for (; distance <= i && i < size && bytes > 0; i++, bytes--)
            data[i] = data[i - distance];
    }
}

/* One table for all of them: what earlier inputs left in it must not matter. */
TEST(lzf, one_table_for_many_inputs)
{
    enum { MOST = 200000 };
    static struct lzf_table table;
    static unsigned char data[MOST], out[MOST * 2], plain[MOST * 2];
    struct random_state random;
    random_init(&random, 5);
    lzf_table_clear(&table);
    for (int round = 0; round < 600; round++) {
        size_t size = 4 + random_below(&random, round % 20 == 0 ? MOST - 4 : 10000);
        fill_with_echoes(&random, data, size);
        size_t n = lzf_compress(&table, data, size, out, sizeof out);
        REQUIRE(n == compress_plainly(data, size, plain));
        CHECK(memcmp(out, plain, n) == 0);
    }
}

/* Of a block that is repeated all the time most positions are entered once only, within its first: 64 KiB later their lower
 * 16 bits say that they are near, and the same bytes are indeed there. The peers take them for too old. */
TEST(lzf, what_is_too_old_does_not_grow_young_again)
{
    enum { BLOCK = 128, REPEATED = 66000, SIZE = REPEATED + 1 + BLOCK };
    static struct lzf_table table;
    static unsigned char data[SIZE], out[SIZE * 2], plain[SIZE * 2];
    struct random_state random;
    random_init(&random, 3);
    for (size_t i = 0; i < BLOCK; i++)
        data[i] = (unsigned char)random_next(&random);
    for (size_t i = BLOCK; i < REPEATED; i++)
        data[i] = data[i - BLOCK];
    for (size_t from = 1; from < BLOCK; from++) {
        data[REPEATED] = (unsigned char)(data[REPEATED % BLOCK] + 1);
        for (size_t i = 0; i < BLOCK; i++)
            data[REPEATED + 1 + i] = data[(from + i) % BLOCK];
        lzf_table_clear(&table);
        size_t n = lzf_compress(&table, data, SIZE, out, sizeof out);
        REQUIRE(n == compress_plainly(data, SIZE, plain));
        CHECK(memcmp(out, plain, n) == 0);
    }
}

TEST(lzf, long_inputs_want_a_table)
{
    static unsigned char data[LZF_SMALL_MAX + 1], out[LZF_SMALL_MAX + 1];
    CHECK(lzf_compress(NULL, data, LZF_SMALL_MAX, out, sizeof out) > 0);
    CHECK(lzf_compress(NULL, data, LZF_SMALL_MAX + 1, out, sizeof out) == 0);
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
