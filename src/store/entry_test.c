/* entry_test.c - every shape of an entry keeps key, value and deadline through every change. */
#include "store/entry.h"

#include "base/random.h"
#include "support/testing.h"

#include <stdlib.h>
#include <tuco/mem.h>

TEST(entry, sizes_are_the_designs)
{
    char value[64] = {0};
    struct slice key = SLICE("0123456789abcdef");
    struct entry *e = entry_new_bytes(key, (struct slice){value, 64}, EXPIRY_NONE);
    CHECK_EQ(entry_bytes(e), 88);
    e = entry_set_expiry(e, 5);
    CHECK_EQ(entry_bytes(e), 96);
    entry_free(e);
    e = entry_new_bytes(key, (struct slice){value, 8}, EXPIRY_NONE);
    CHECK_EQ(entry_bytes(e), 32);
    entry_free(e);
    e = entry_new_string(key, SLICE("-123456789012"), EXPIRY_NONE);
    CHECK(entry_bytes(e) == 32 && e->encoding == ENCODING_INT);
    CHECK_EQ(entry_integer(e), -123456789012);
    entry_free(e);
}

/* Key and value sizes around every limit, and every sequence of deadline changes. */
TEST(entry, keeps_key_value_and_deadline)
{
    static const size_t sizes[] = {0,   1,   7,    8,    16,   127,  128,  253,  254,
                                   255, 256, 1000, 1023, 1024, 1025, 5000, 70000};
    enum { COUNT = sizeof sizes / sizeof *sizes };
    struct random_state r;
    random_init(&r, 8);
    char *bytes = malloc(70000);
    for (size_t i = 0; i < 70000; i++)
        bytes[i] = (char)('a' + random_below(&r, 26));
    for (size_t i = 0; i < COUNT; i++) {
        for (size_t j = 0; j < COUNT; j++) {
            struct slice key = {bytes + i, sizes[i] - (i == COUNT - 1 ? i : 0)};
            struct slice value = {bytes, sizes[j]};
            int64_t at_ms = random_below(&r, 2) ? 77 : EXPIRY_NONE;
            struct entry *e = entry_new_string(key, value, at_ms);
            for (int change = 0; change < 6; change++) {
                CHECK_EQ(entry_expiry(e), at_ms);
                CHECK(slice_equal(entry_key(e), key) && slice_equal(entry_string(e), value));
                CHECK(entry_bytes(e) <= tu_usable_size(e) && entry_memory(e) >= value.size);
                at_ms = random_below(&r, 2) ? 1000 + change : EXPIRY_NONE;
                e = entry_set_expiry(e, at_ms);
            }
            struct entry *copy = entry_copy(e, SLICE("other"), 9);
            struct entry *renamed = entry_renamed(e, SLICE("third"));
            tu_free(e); /* its block lives on in `renamed` */
            CHECK(slice_equal(entry_string(copy), value) && entry_expiry(copy) == 9);
            CHECK(slice_equal(entry_string(renamed), value) && entry_expiry(renamed) == at_ms);
            CHECK(slice_equal(entry_key(renamed), SLICE("third")));
            entry_free(copy);
            entry_free(renamed);
        }
    }
    free(bytes);
}

TEST(entry, deadlines_are_inclusive)
{
    struct entry *e = entry_new_integer(SLICE("k"), 1, 1000);
    CHECK(!entry_is_expired(e, 999) && entry_is_expired(e, 1000) && entry_is_expired(e, 1001));
    e = entry_set_expiry(e, EXPIRY_NONE);
    CHECK(!entry_is_expired(e, INT64_MAX) && entry_integer(e) == 1);
    entry_free(e);
}
