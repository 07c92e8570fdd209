/* bitmap_test.c - every operation against an array of bits, with strings of every form; and out of memory. */
#include "store/types/bitmap.h"

#include "base/random.h"
#include "store/shard.h"
#include "store/types/string.h"
#include "support/keyspace_fixture.h"

#include <stdlib.h>
#include <string.h>

enum { MODEL_BITS = 20000 };
static bool model[MODEL_BITS];
static size_t model_bytes;

static void verify(void)
{
    struct string_value v;
    REQUIRE(string_get(&tx, key_of("b"), &v) == STORE_OK);
    CHECK_EQ(v.bytes.size, model_bytes);
    for (size_t i = 0; i < model_bytes * 8; i++)
        REQUIRE(((unsigned char)v.bytes.data[i / 8] >> (7 - i % 8) & 1) == model[i]);
}

static int64_t naive_count(int64_t first, int64_t last, int64_t *at, bool bit)
{
    int64_t n = 0;
    *at = -1;
    for (int64_t i = first; i <= last && i < (int64_t)model_bytes * 8; i++) {
        n += model[i];
        if (model[i] == bit && *at < 0)
            *at = i;
    }
    return n;
}

static void set_one(uint64_t at, bool bit)
{
    bool before = !model[at];
    CHECK_EQ(bitmap_set(&tx, key_of("b"), at, bit, &before), STORE_OK);
    CHECK_EQ(before, model[at]);
    model[at] = bit;
    model_bytes = at / 8 + 1 > model_bytes ? at / 8 + 1 : model_bytes;
}

static void look_at_range(struct random_state *random)
{
    int64_t a = (int64_t)random_below(random, model_bytes * 8), found, at, count;
    int64_t b = a + (int64_t)random_below(random, 3000);
    bool bit = random_below(random, 2);
    struct bitmap_range range = {.start = a, .end = b, .in_bits = true};
    int64_t expected = naive_count(a, b, &found, bit);
    CHECK_EQ(bitmap_count(&tx, key_of("b"), &range, &count), STORE_OK);
    CHECK_EQ(count, expected);
    CHECK_EQ(bitmap_find(&tx, key_of("b"), bit, &range, &at), STORE_OK);
    CHECK_EQ(at, found);
}

TEST(bitmap, sets_counts_and_finds_like_an_array)
{
    keyspace_fixture_start();
    struct random_state random;
    random_init(&random, 7);
    for (size_t round = 0; round < 3000; round++) {
        size_t most = round < 200 ? 100 : round < 1000 ? 8000 : MODEL_BITS;
        set_one(random_below(&random, most), random_below(&random, 4) > 0);
        look_at_range(&random);
        if (round % 100 == 0)
            verify();
    }
    verify();
    keyspace_fixture_stop();
}

TEST(bitmap, fields_are_numbers_of_any_width)
{
    keyspace_fixture_start();
    struct random_state random;
    random_init(&random, 8);
    for (size_t round = 0; round < 3000; round++) {
        bool is_signed = random_below(&random, 2);
        unsigned width = 1 + (unsigned)random_below(&random, is_signed ? 64 : 63);
        uint64_t at = random_below(&random, 3000), operand = random_next(&random);
        struct bitmap_field fields[] = {
            {.action = FIELD_SET, .is_signed = is_signed, .width = (uint8_t)width, .at = at},
            {.action = FIELD_GET, .is_signed = is_signed, .width = (uint8_t)width, .at = at},
            {.action = FIELD_ADD, .is_signed = is_signed, .width = (uint8_t)width, .at = at},
        };
        fields[0].operand = fields[2].operand = (int64_t)operand;
        CHECK_EQ(bitmap_fields(&tx, key_of("b"), fields, 3), STORE_OK);
        for (size_t i = 0; i < width; i++)
            model[at + i] = (operand * 2) >> (width - 1 - i) & 1;
        size_t bytes = (at + width + 7) / 8;
        model_bytes = bytes > model_bytes ? bytes : model_bytes;
        unsigned spare = 64 - width;
        int64_t expected =
            is_signed ? (int64_t)(operand << spare) >> spare : (int64_t)(operand << spare >> spare);
        CHECK_EQ(fields[1].result, expected);
        if (round % 100 == 0)
            verify();
    }
    verify();
    keyspace_fixture_stop();
}

static void saturate(int64_t start_value, int64_t delta, unsigned width, bool is_signed,
                     int64_t expected)
{
    struct bitmap_field fields[] = {
        {.action = FIELD_SET, .is_signed = is_signed, .width = (uint8_t)width, .at = 5},
        {.action = FIELD_ADD, .is_signed = is_signed, .width = (uint8_t)width, .at = 5},
        {.action = FIELD_ADD, .is_signed = is_signed, .width = (uint8_t)width, .at = 5},
    };
    fields[0].operand = start_value;
    fields[1].operand = fields[2].operand = delta;
    fields[1].overflow = OVERFLOW_FAIL;
    fields[2].overflow = OVERFLOW_SATURATE;
    CHECK_EQ(bitmap_fields(&tx, key_of("b"), fields, 3), STORE_OK);
    CHECK(fields[1].failed);
    CHECK_EQ(fields[2].result, expected);
}

TEST(bitmap, overflow_saturates_or_fails)
{
    keyspace_fixture_start();
    saturate(200, 100, 8, false, 255);
    saturate(20, -100, 8, false, 0);
    saturate(100, 100, 8, true, 127);
    saturate(-100, -100, 8, true, -128);
    saturate(INT64_MAX, 1, 64, true, INT64_MAX);
    saturate(INT64_MIN, -1, 64, true, INT64_MIN);
    saturate(INT64_MAX, 1, 63, false, INT64_MAX);
    keyspace_fixture_stop();
}

TEST(bitmap, combining_fills_up_with_zeros)
{
    keyspace_fixture_start();
    char a[1500], b[900];
    struct store_key sources[] = {key_of("a"), key_of("b"), key_of("none")};
    for (size_t i = 0; i < sizeof a; i++)
        a[i] = (char)(i * 7);
    for (size_t i = 0; i < sizeof b; i++)
        b[i] = (char)(i * 13 + 1);
    REQUIRE(string_set(&tx, sources[0], (struct slice){a, sizeof a}, NULL) == STORE_OK);
    REQUIRE(string_set(&tx, sources[1], (struct slice){b, sizeof b}, NULL) == STORE_OK);
    for (enum bitmap_operator op = BITMAP_AND; op <= BITMAP_NOT; op++) {
        size_t size, count = op == BITMAP_NOT ? 1 : 2;
        struct string_value v;
        CHECK_EQ(bitmap_combine(&tx, op, key_of("d"), sources, count, &size), STORE_OK);
        CHECK_EQ(size, sizeof a);
        REQUIRE(string_get(&tx, key_of("d"), &v) == STORE_OK && v.bytes.size == sizeof a);
        for (size_t i = 0; i < sizeof a; i++) {
            char x = a[i], y = i < sizeof b ? b[i] : 0;
            char expected[] = {(char)(x & y), (char)(x | y), (char)(x ^ y), (char)~x};
            REQUIRE(v.bytes.data[i] == expected[op]);
        }
    }
    size_t size;
    CHECK_EQ(bitmap_combine(&tx, BITMAP_OR, key_of("d"), &sources[2], 1, &size), STORE_OK);
    CHECK(size == 0 && !keyspace_exists(&tx, key_of("d")));
    keyspace_fixture_stop();
}

TEST(bitmap, popcount_of_every_size)
{
    unsigned char bytes[700];
    uint64_t expected = 0;
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (unsigned char)(i * 37 + (i >> 3));
    for (size_t size = 0; size < sizeof bytes; size++) {
        CHECK_EQ(bitmap_popcount(bytes, size), expected);
        expected += (unsigned)__builtin_popcount(bytes[size]);
    }
    memset(bytes, 0xff, sizeof bytes);
    CHECK_EQ(bitmap_popcount(bytes, sizeof bytes), 8 * sizeof bytes);
}
