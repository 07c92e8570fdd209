/* hyperloglog_test.c - both forms beside an array of registers; estimates of sets of known size; strings that only look like
 * HyperLogLogs; out of memory. */
#include "store/types/hyperloglog.h"

#include "base/random.h"
#include "runtime/mem/heap.h"
#include "store/type_limits.h"
#include "store/types/string.h"
#include "support/keyspace_fixture.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <tuco/mem.h>

static uint8_t model[HLL_REGISTERS], registers[HLL_REGISTERS];

static void start(void)
{
    keyspace_fixture_start();
    memset(model, 0, sizeof model);
}

static void verify(const char *name)
{
    REQUIRE(hll_registers(&tx, key_of(name), registers) == STORE_OK);
    CHECK(memcmp(model, registers, sizeof model) == 0);
}

static void add_number(const char *name, uint64_t number)
{
    struct slice element = {(const char *)&number, sizeof number};
    uint8_t value;
    bool changed, rises;
    unsigned at = hll_place(element, &value);
    rises = value > model[at];
    model[at] = rises ? value : model[at];
    bool is_new = hll_registers(&tx, key_of(name), registers) == STORE_MISSING;
    REQUIRE(hll_add(&tx, key_of(name), &element, 1, &changed) == STORE_OK);
    CHECK_EQ(changed, rises || is_new);
}

static void add_unwatched(const char *name, uint64_t number)
{
    struct slice element = {(const char *)&number, sizeof number};
    uint8_t value;
    bool changed;
    unsigned at = hll_place(element, &value);
    model[at] = value > model[at] ? value : model[at];
    REQUIRE(hll_add(&tx, key_of(name), &element, 1, &changed) == STORE_OK);
}

static bool dense(const char *name)
{
    bool is_dense, converted;
    REQUIRE(hll_form(&tx, key_of(name), false, &is_dense, &converted) == STORE_OK);
    return is_dense;
}

TEST(hyperloglog, beside_a_model)
{
    static const int64_t limits[] = {0, 60, 300, 3000, 16000};
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        start();
        atomic_store(&keyspace_limits(ks)->hll_sparse_max_bytes, limits[i]);
        for (uint64_t n = 0; n < 3000; n++) {
            add_number("h", n * n % 4001 + i * 10000);
            verify("h");
        }
        CHECK_EQ(dense("h"), limits[i] < 6000);
        keyspace_fixture_stop();
    }
}

TEST(hyperloglog, estimates_within_four_errors)
{
    start();
    for (uint64_t n = 1, next = 1; n <= 200000; n++) {
        uint64_t estimate;
        bool changed;
        struct slice element = {(const char *)&n, sizeof n};
        REQUIRE(hll_add(&tx, key_of("h"), &element, 1, &changed) == STORE_OK);
        if (n != next)
            continue;
        next = next * 3 + 1;
        REQUIRE(hll_count(&tx, key_of("h"), &estimate) == STORE_OK);
        CHECK(fabs((double)estimate - (double)n) <= 1 + 4 * 1.04 / 128 * (double)n);
        REQUIRE(hll_registers(&tx, key_of("h"), registers) == STORE_OK);
        CHECK_EQ(hll_estimate(registers), estimate);
        uint64_t dirty = tx.dirty, again;
        REQUIRE(hll_count(&tx, key_of("h"), &again) == STORE_OK);
        CHECK_EQ(again, estimate);
        CHECK_EQ(tx.dirty, dirty); /* the second time it is read from the header */
    }
    keyspace_fixture_stop();
}

TEST(hyperloglog, merge_is_the_maximum)
{
    start();
    struct store_key keys[] = {key_of("u"), key_of("a"), key_of("missing"), key_of("b")};
    for (uint64_t n = 0; n < 5000; n++)
        add_unwatched(n % 50 == 0 ? "a" : "b", n * 7);
    CHECK(!dense("a") && dense("b"));
    uint64_t together, merged;
    REQUIRE(hll_count_union(&tx, keys, 4, &together) == STORE_OK);
    REQUIRE(hll_merge(&tx, keys, 2) == STORE_OK);
    CHECK(!dense("u"));
    REQUIRE(hll_merge(&tx, keys, 4) == STORE_OK);
    CHECK(dense("u"));
    verify("u");
    REQUIRE(hll_count(&tx, key_of("u"), &merged) == STORE_OK);
    CHECK_EQ(merged, together);
    keyspace_fixture_stop();
}

/* Bytes from outside: every answer is one of the four, and what was accepted can be counted. */
TEST(hyperloglog, damaged_values)
{
    struct random_state r;
    random_init(&r, 11);
    start();
    for (int round = 0; round < 4000; round++) {
        unsigned char bytes[400] = "HYLL\1";
        size_t size = 16 + random_below(&r, 384);
        uint64_t estimate;
        bool changed;
        for (size_t i = 16; i < size; i++)
            bytes[i] = (unsigned char)(random_below(&r, 3) ? 0x40 | random_below(&r, 4)
                                                           : random_below(&r, 256));
        bytes[15] = 0x80;
        REQUIRE(string_set(&tx, key_of("x"), (struct slice){(char *)bytes, size}, NULL) ==
                STORE_OK);
        struct slice element = {(const char *)&round, sizeof round};
        enum store_result added = hll_add(&tx, key_of("x"), &element, 1, &changed);
        enum store_result counted = hll_count(&tx, key_of("x"), &estimate);
        CHECK(added == STORE_OK || added == STORE_CORRUPT);
        CHECK(counted == STORE_OK || counted == STORE_CORRUPT);
        struct store_key keys[] = {key_of("y"), key_of("x")};
        CHECK_EQ(hll_merge(&tx, keys, 2), counted);
        char *text;
        size_t text_size;
        enum store_result shown = hll_runs(&tx, key_of("x"), &text, &text_size);
        CHECK(shown == counted || shown == STORE_NOT_MET);
        if (shown == STORE_OK)
            tu_free(text);
    }
    keyspace_fixture_stop();
}

/* Appends runs of random kinds and lengths that cover all registers; zeros in two bytes also where one would do, so that
 * second bytes look like first ones and rows of them have any length. */
static size_t random_runs(struct random_state *r, unsigned char *to, unsigned two_bytes_percent)
{
    size_t left = HLL_REGISTERS, size = 0;
    while (left > 0) {
        bool two = random_below(r, 100) < two_bytes_percent;
        bool value = !two && random_below(r, 2);
        size_t most = value ? 4 : two && random_below(r, 8) == 0 ? 400 : 64;
        size_t length = 1 + random_below(r, most < left ? most : left);
        left -= length--;
        if (two)
            to[size++] = (unsigned char)(0x40 | length >> 8);
        to[size++] = (unsigned char)(value ? 0x80 | random_below(r, 32) << 2 | length : length);
    }
    return size;
}

/* The runs are walked in two ways, by chunks and one by one: every register is looked for. */
TEST(hyperloglog, any_runs)
{
    enum { ROOM = 40000 };
    struct random_state r;
    random_init(&r, 5);
    unsigned char *bytes = tu_alloc(ROOM);
    REQUIRE(bytes);
    for (int round = 0; round < 60; round++) {
        start();
        atomic_store(&keyspace_limits(ks)->hll_sparse_max_bytes, 2 * ROOM);
        memset(bytes, 0, HLL_HEADER);
        memcpy(bytes, "HYLL\1", 5);
        size_t size = HLL_HEADER + random_runs(&r, bytes + HLL_HEADER, 5 * (unsigned)(round % 21));
        REQUIRE(string_set(&tx, key_of("h"), (struct slice){(char *)bytes, size}, NULL) ==
                STORE_OK);
        REQUIRE(hll_registers(&tx, key_of("h"), model) == STORE_OK);
        for (uint64_t n = 0; n < 400; n++)
            add_number("h", random_next(&r));
        verify("h");
        CHECK(!dense("h"));
        keyspace_fixture_stop();
    }
    tu_free(bytes);
}

/* Recorded from valkey-server 9.1.2: PFADD h a b c and its runs. */
TEST(hyperloglog, bytes_of_the_peer)
{
    static const struct slice elements[] = {SLICE("a"), SLICE("b"), SLICE("c")};
    static const char runs[] = "Z:8436 v:1,1 Z:4274 v:2,1 Z:3068 v:1,1 Z:603";
    char *text;
    size_t size;
    bool changed;
    start();
    REQUIRE(hll_add(&tx, key_of("h"), elements, 3, &changed) == STORE_OK);
    REQUIRE(hll_runs(&tx, key_of("h"), &text, &size) == STORE_OK);
    CHECK_EQ(size, sizeof runs - 1);
    CHECK(memcmp(text, runs, size) == 0);
    tu_free(text);
    keyspace_fixture_stop();
}

/* A new key is dropped again; one that was there has what was added before, and is whole. */
TEST(hyperloglog, out_of_memory)
{
    unsigned failed = 0;
    if (!tu__mem_fail_after(0)) {
        printf("  skipped: not a debug build\n");
        return;
    }
    for (int64_t after = 1; after < 40; after++) {
        start();
        for (uint64_t n = 0; n < 900; n++)
            add_number("h", n);
        struct slice elements[600];
        uint64_t numbers[600];
        bool changed;
        for (uint64_t n = 0; n < 600; n++) {
            numbers[n] = 5000 + n;
            elements[n] = (struct slice){(const char *)&numbers[n], sizeof numbers[n]};
        }
        REQUIRE(tu__mem_fail_after(after));
        enum store_result old = hll_add(&tx, key_of("h"), elements, 600, &changed);
        enum store_result fresh = hll_add(&tx, key_of("new"), elements, 600, &changed);
        REQUIRE(tu__mem_fail_after(0));
        CHECK(old == STORE_OK || old == STORE_NO_MEMORY);
        CHECK(fresh == STORE_OK || fresh == STORE_NO_MEMORY);
        failed += (old != STORE_OK) + (fresh != STORE_OK);
        CHECK_EQ(hll_registers(&tx, key_of("new"), registers),
                 fresh == STORE_OK ? STORE_OK : STORE_MISSING);
        CHECK(hll_registers(&tx, key_of("h"), registers) == STORE_OK);
        keyspace_fixture_stop();
    }
    CHECK(failed > 3);
}
