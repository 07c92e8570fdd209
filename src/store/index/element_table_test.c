/* element_table_test.c - elements against a plain array, verified as it goes; fairness, cursors, sizes; what runs out
 * of memory, and what an element costs. */
#include "store/index/element_table.h"

#include "runtime/mem/heap.h"
#include "support/testing.h"

#include <stdio.h>
#include <stdlib.h>
#include <tuco/mem.h>

static const struct siphash_key secret = {3, 4};

static struct slice name_of(char out[32], size_t i)
{
    return (struct slice){out, (size_t)sprintf(out, "member:%06zu", i)};
}

TEST(element_table, an_element_keeps_what_it_was_given)
{
    static const size_t sizes[] = {0, 1, 13, 255, 256, 65535, 65536, 100000};
    char *bytes = malloc(100000);
    for (size_t i = 0; i < 100000; i++)
        bytes[i] = (char)(i * 7);
    for (size_t n = 0; n < 8; n++) {
        for (size_t v = 0; v < 9; v++) {
            for (int ends = 0; ends < 2; ends++) {
                struct slice name = {bytes, sizes[n]},
                             value = {bytes + 1, v < 8 ? sizes[v] - (v == 7) : 0};
                if (v == 8)
                    value.data = NULL;
                struct element *e = element_new(name, value, ends ? 1234567890123 : EXPIRY_NONE);
                REQUIRE(e != NULL);
                CHECK(slice_equal(element_name(e), name));
                CHECK(slice_equal(element_value(e), value));
                CHECK((element_value(e).data == NULL) == (v == 8));
                CHECK_EQ(element_deadline(e), ends ? 1234567890123 : EXPIRY_NONE);
                CHECK_EQ(element_is_over(e, 1234567890123), ends);
                CHECK(!element_is_over(e, 1234567890122));
                element_free(e);
            }
        }
    }
    free(bytes);
}

/* Elements of number i have the value `values[i]` (0: not there) and the deadline i, if odd. */
TEST(element_table, agrees_with_a_model_while_verified)
{
    enum { NAMES = 3000 };
    static uint32_t values[NAMES];
    size_t count = 0;
    struct random_state r;
    random_init(&r, 5);
    struct element_table *t = element_table_new(&secret);
    for (int round = 0; round < 30; round++) {
        uint64_t bias = random_below(&r, 100);
        for (int step = 0; step < 400; step++) {
            char text[32];
            size_t i = random_below(&r, NAMES);
            uint32_t next = random_below(&r, 100) < bias ? (uint32_t)random_next(&r) | 1 : 0;
            struct slice name = name_of(text, i), value = {(char *)&next, next % 5};
            struct element_place place;
            struct element *e = element_table_find(t, name, &place);
            REQUIRE((e != NULL) == (values[i] != 0));
            if (e)
                CHECK(memcmp(element_value(e).data, &values[i], values[i] % 5) == 0 &&
                      element_value(e).size == values[i] % 5);
            if (e)
                CHECK(element_table_find_hash(t, element_table_hash(t, name), NULL) == e);
            struct element *made = next ? element_new(name, value, EXPIRY_NONE) : NULL;
            if (e && next)
                element_table_replace(t, &place, made);
            else if (next)
                REQUIRE(element_table_insert(t, made));
            else
                CHECK_EQ(element_table_remove(t, name), e != NULL);
            if (next && i % 2) {
                REQUIRE(element_table_find(t, name, &place) == made);
                REQUIRE((made = element_table_set_deadline(t, &place, (int64_t)i)) != NULL);
                CHECK_EQ(element_deadline(made), (int64_t)i);
                CHECK(slice_equal(element_value(made), value));
            }
            count += (next != 0) - (e != NULL);
            values[i] = next;
            CHECK_EQ(element_table_count(t), count);
            if (step % 16 == 0)
                element_table_verify(t);
        }
        struct element_table *copy = element_table_copy(t);
        element_table_verify(copy);
        CHECK_EQ(element_table_count(copy), count);
        element_table_free(t);
        t = copy;
    }
    element_table_free(t);
}

TEST(element_table, a_cursor_meets_what_stays_exactly_once)
{
    enum { STAYS = 2000, COMES = 6000 };
    static uint8_t seen[COMES];
    struct random_state r;
    random_init(&r, 6);
    char text[32];
    for (int grow = 0; grow < 2; grow++) {
        struct element_table *t = element_table_new(&secret);
        for (size_t i = 0; i < (grow ? STAYS : COMES); i++)
            REQUIRE(element_table_add(t, name_of(text, i)) == ELEMENT_ADDED);
        CHECK(element_table_add(t, name_of(text, 5)) == ELEMENT_EXISTS);
        memset(seen, 0, sizeof seen);
        uint64_t cursor = 0;
        size_t changed = STAYS;
        do {
            struct element *found[ELEMENT_SCAN_MAX];
            size_t count;
            cursor = element_table_scan(t, cursor, found, &count);
            CHECK(cursor < UINT64_C(1) << 48);
            for (size_t i = 0; i < count; i++)
                seen[atoi(element_name(found[i]).data + 7)]++;
            for (int n = 0; n < 20 && changed < COMES; n++, changed++) {
                if (grow)
                    CHECK(element_table_add(t, name_of(text, changed)) == ELEMENT_ADDED);
                else
                    CHECK(element_table_remove(t, name_of(text, changed)));
            }
        } while (cursor != 0);
        for (size_t i = 0; i < STAYS; i++)
            CHECK_EQ(seen[i], 1);
        element_table_verify(t);
        element_table_free(t);
    }
}

/* Chi squared over all elements; at every size, the sparse one that is left of a large table included. */
static void check_fair(struct element_table *t, size_t first, size_t count, struct random_state *r)
{
    enum { DRAWS = 60 };
    uint32_t *hits = calloc(first + count, sizeof *hits);
    struct element_place place;
    for (size_t i = 0; i < count * DRAWS; i++) {
        struct element *e = element_table_random(t, r, &place);
        REQUIRE(e != NULL);
        hits[atoi(element_name(e).data + 7)]++;
    }
    double chi = 0;
    for (size_t i = first; i < first + count; i++)
        chi += ((double)hits[i] - DRAWS) * ((double)hits[i] - DRAWS) / DRAWS;
    /* mean count - 1, deviation sqrt(2 (count - 1)) */
    double limit = (double)count - 1, deviation = 6;
    while (deviation * deviation < 72 * (limit + 1)) /* six of them: sqrt without libm */
        deviation *= 1.01;
    CHECK(chi < limit + deviation);
    free(hits);
}

TEST(element_table, random_elements_are_fair)
{
    struct random_state r;
    random_init(&r, 7);
    static const size_t counts[] = {1, 3, 40, 700, 20000};
    char text[32];
    for (size_t c = 0; c < 5; c++) {
        struct element_table *t = element_table_new(&secret);
        struct element_place place;
        CHECK(element_table_random(t, &r, &place) == NULL);
        for (size_t i = 0; i < counts[c]; i++)
            REQUIRE(element_table_add(t, name_of(text, i)) == ELEMENT_ADDED);
        check_fair(t, 0, counts[c], &r);
        size_t left = counts[c] / 100 + 1;
        for (size_t i = 0; i < counts[c] - left; i++)
            REQUIRE(element_table_remove(t, name_of(text, i)));
        check_fair(t, counts[c] - left, left, &r);
        while (element_table_count(t) > 0) {
            REQUIRE(element_table_random(t, &r, &place) != NULL);
            element_table_remove_at(t, &place);
            element_table_verify(t);
        }
        element_table_free(t);
    }
}

TEST(element_table, a_member_costs_its_bytes_and_some)
{
    enum { COUNT = 200000 };
    char text[32];
    struct element_table *t = element_table_new(&secret);
    for (size_t i = 0; i < COUNT; i++)
        REQUIRE(element_table_add(t, name_of(text, i)) == ELEMENT_ADDED);
    size_t each = element_table_memory(t) / COUNT; /* 13 bytes in blocks of 16 */
    CHECK(each >= 16 && each <= 27);
    element_table_verify(t);
    element_table_free(t);
}

static struct element_item *items_of(size_t count)
{
    struct element_item *items = malloc((count + 1) * sizeof *items);
    char text[32];
    for (size_t i = 0; i < count; i++) {
        struct slice name = name_of(text, i);
        items[i].element = element_new(name, (struct slice){0}, EXPIRY_NONE);
        items[i].word = siphash13(&secret, name.data, name.size);
        REQUIRE(items[i].element);
    }
    return items;
}

/* A table that is filled at once is like one that grew, but not larger, and lives on. */
TEST(element_table, filled_at_once)
{
    static const size_t counts[] = {0, 1, 9, 10, 11, 288, 289, 500, 3000, 60000};
    char text[32];
    for (size_t c = 0; c < sizeof counts / sizeof *counts; c++) {
        struct element_item *items = items_of(counts[c]);
        struct element_table *t = element_table_new(&secret), *grown = element_table_new(&secret);
        REQUIRE(element_table_fill(t, items, counts[c]));
        element_table_verify(t);
        CHECK_EQ(element_table_count(t), counts[c]);
        for (size_t i = 0; i < counts[c]; i++)
            REQUIRE(element_table_add(grown, name_of(text, i)) == ELEMENT_ADDED);
        printf("  %zu elements: %zu bytes filled, %zu grown\n", counts[c], element_table_memory(t),
               element_table_memory(grown));
        CHECK(element_table_memory(t) <= element_table_memory(grown) * 102 / 100 + 512);
        for (size_t i = 0; i < counts[c]; i++) {
            if (i % 2)
                REQUIRE(element_table_remove(t, name_of(text, i)));
            REQUIRE(element_table_add(t, name_of(text, i + counts[c])) == ELEMENT_ADDED);
        }
        element_table_verify(t);
        element_table_free(t);
        element_table_free(grown);
        free(items);
    }
}

TEST(element_table, filled_without_memory)
{
    enum { COUNT = 2000 };
    int allocations = 1;
    if (!tu__mem_fail_after(0)) {
        printf("  skipped: not a debug build\n");
        return;
    }
    struct element_item *items = items_of(COUNT);
    struct element_table *t = element_table_new(&secret);
    for (bool done = false; !done; allocations++) {
        REQUIRE(tu__mem_fail_after(allocations));
        done = element_table_fill(t, items, COUNT);
        REQUIRE(tu__mem_fail_after(0));
        CHECK(done || (element_table_count(t) == 0 && element_table_memory(t) == 0));
    }
    CHECK(allocations > 10);
    element_table_verify(t);
    element_table_free(t);
    free(items);
}
