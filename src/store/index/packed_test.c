/* packed_test.c - known bytes of each form, both directions, and hostile bytes. */
#include "store/index/packed.h"

#include "base/random.h"
#include "support/testing.h"

#include <stdlib.h>
#include <string.h>

struct buffer {
    unsigned char *bytes;
    size_t size;
    bool bare;
};

static unsigned char *hole(void *owner, size_t at, size_t removed, size_t inserted)
{
    struct buffer *b = owner;
    size_t after = b->size - removed + inserted;
    unsigned char *moved = malloc(after);
    memcpy(moved, b->bytes, at);
    memcpy(moved + at + inserted, b->bytes + at + removed, b->size - at - removed);
    free(b->bytes);
    b->bytes = moved;
    b->size = after;
    return moved;
}

static struct packed view(const struct buffer *b)
{
    return (struct packed){b->bytes, b->size, b->bare};
}

static struct buffer empty(void)
{
    return (struct buffer){calloc(1, PACKED_HEAD), PACKED_HEAD, false};
}

static void append(struct buffer *b, struct slice value)
{
    struct packed_store store = {hole, b};
    REQUIRE(packed_insert(&store, view(b), b->size, &value, 1));
}

static bool text_is(const struct buffer *b, size_t at, struct slice expected)
{
    struct packed_item item;
    packed_get(view(b), at, &item);
    return slice_equal(packed_text(&item), expected) && packed_equals(&item, expected);
}

/* The bytes that the format's description demands. */
TEST(packed, known_bytes)
{
    static const struct {
        const char *text, *bytes;
        size_t size;
    } cases[] = {
        {"0", "\x00\x01", 2},
        {"127", "\x7f\x01", 2},
        {"128", "\xc0\x80\x02", 3},
        {"-1", "\xdf\xff\x02", 3},
        {"4095", "\xcf\xff\x02", 3},
        {"-4096", "\xd0\x00\x02", 3},
        {"4096", "\xf1\x00\x10\x03", 4},
        {"-32768", "\xf1\x00\x80\x03", 4},
        {"32768", "\xf2\x00\x80\x00\x04", 5},
        {"-8388608", "\xf2\x00\x00\x80\x04", 5},
        {"8388608", "\xf3\x00\x00\x80\x00\x05", 6},
        {"2147483648", "\xf4\x00\x00\x00\x80\x00\x00\x00\x00\x09", 10},
        {"", "\x80\x01", 2},
        {"ab",
         "\x82"
         "ab\x03",
         4},
        {"007",
         "\x83"
         "007\x04",
         5},
        {"-0", "\x82-0\x03", 4},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buffer b = empty();
        struct slice text = slice_of(cases[i].text);
        append(&b, text);
        CHECK_EQ(packed_item_size(text), cases[i].size);
        CHECK(b.size == PACKED_HEAD + cases[i].size &&
              memcmp(b.bytes + PACKED_HEAD, cases[i].bytes, cases[i].size) == 0);
        CHECK(text_is(&b, PACKED_HEAD, text));
        CHECK(packed_is_valid(view(&b)));
        free(b.bytes);
    }
}

/* Strings around each limit of the heads and of the sizes behind; the two forms give each other. */
static struct buffer every_size(const char *bytes, bool bare)
{
    static const size_t sizes[] = {0,     1,     62,      63,      64,     125,   126,
                                   127,   128,   4094,    4095,    4096,   16376, 16377,
                                   16378, 16383, 2097145, 2097149, 2097155};
    enum { COUNT = sizeof sizes / sizeof *sizes };
    struct buffer b = empty();
    b.bare = bare;
    for (size_t i = 0; i < COUNT; i++)
        append(&b, (struct slice){bytes, sizes[i]});
    CHECK(packed_is_valid(view(&b)));
    size_t at = b.size;
    for (size_t i = COUNT; i-- > 0;) {
        at = packed_prev(view(&b), at);
        CHECK(text_is(&b, at, (struct slice){bytes, sizes[i]}));
        CHECK_EQ(packed_seek(view(&b), (int64_t)i), at);
        CHECK_EQ(packed_seek(view(&b), (int64_t)i - COUNT), at);
        CHECK_EQ(packed_find(view(&b), packed_first(view(&b)), 1, (struct slice){bytes, sizes[i]}),
                 at);
    }
    CHECK_EQ(packed_prev(view(&b), at), 0);
    CHECK_EQ(packed_seek(view(&b), COUNT), b.size);
    CHECK_EQ(packed_seek(view(&b), -COUNT - 1), b.size);
    return b;
}

TEST(packed, every_size_is_read_both_ways)
{
    char *bytes = malloc(1 << 22);
    memset(bytes, 'x', 1 << 22);
    struct buffer dressed = every_size(bytes, false), bare = every_size(bytes, true);
    unsigned char *to = malloc(dressed.size);
    CHECK_EQ(packed_strip(to, view(&dressed)), bare.size);
    CHECK(memcmp(to, bare.bytes, bare.size) == 0);
    CHECK_EQ(bare.size + packed_sizes(view(&bare)), dressed.size);
    packed_dress(to, view(&bare));
    CHECK(memcmp(to, dressed.bytes, dressed.size) == 0);
    free(dressed.bytes);
    free(bare.bytes);
    free(to);
    free(bytes);
}

/* Short elements of all sizes in blocks that end where they must: a sanitizer watches. */
TEST(packed, forms_of_short_elements)
{
    for (size_t size = 0; size < 40; size++) {
        struct buffer dressed = empty(), bare = empty();
        bare.bare = true;
        for (size_t i = 0; i <= size; i++) {
            struct slice value = {"abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz",
                                  i % 7 + size / 2};
            append(&dressed, value);
            append(&bare, value);
        }
        unsigned char *stripped = malloc(bare.size), *again = malloc(dressed.size);
        CHECK_EQ(packed_strip(stripped, view(&dressed)), bare.size);
        CHECK(memcmp(stripped, bare.bytes, bare.size) == 0);
        packed_dress(again, view(&bare));
        CHECK(memcmp(again, dressed.bytes, dressed.size) == 0);
        struct packed_store store = {hole, &bare};
        CHECK(packed_replace(&store, view(&bare), packed_first(view(&bare)), SLICE("new")));
        packed_remove(&store, view(&bare), packed_seek(view(&bare), -1), 1);
        CHECK(packed_is_valid(view(&bare)) && packed_count(view(&bare)) == size);
        free(stripped);
        free(again);
        free(dressed.bytes);
        free(bare.bytes);
    }
}

/* The value number i of a mixture in which names of one size stand beside those of many. */
static struct slice some_value(struct random_state *random, char *text, size_t most)
{
    switch (random_below(random, 4)) {
    case 0:
        return (struct slice){
            text, number_format_int64(text, (int64_t)random_below(random, 5) - 2 +
                                                ((int64_t)1 << random_below(random, 40)))};
    case 1: most = 12; break;
    default: break;
    }
    size_t size = most == 12 ? 12 : (size_t)random_below(random, most);
    memset(text, 'a', size);
    if (size > 0) {
        text[size - 1] = (char)('a' + random_below(random, 3));
        text[random_below(random, size)] = 'c';
    }
    return (struct slice){text, size};
}

/* A search is the same as looking at each element, from anywhere, with any step. */
TEST(packed, finds_what_looking_at_each_finds)
{
    struct random_state random;
    random_init(&random, 5);
    for (int round = 0; round < 300; round++) {
        static const size_t mosts[] = {8, 20, 70, 200, 5000};
        size_t most = mosts[round % 5], count = (size_t)random_below(&random, 40);
        struct buffer b = empty();
        char text[5000];
        for (size_t i = 0; i < count; i++)
            append(&b, some_value(&random, text, most));
        struct packed p = view(&b);
        for (int i = 0; i < 60; i++) {
            struct slice wanted = some_value(&random, text, most);
            size_t step = 1 + (size_t)random_below(&random, 3);
            size_t from = packed_seek(p, (int64_t)random_below(&random, count + 1)), at = from;
            for (size_t n = 0; at < p.size; n++, at = packed_next(p, at)) {
                struct packed_item item;
                packed_get(p, at, &item);
                if (n % step == 0 && packed_equals(&item, wanted))
                    break;
            }
            CHECK_EQ(packed_find(p, from, step, wanted), at);
        }
        free(b.bytes);
    }
}

TEST(packed, finds_every_second)
{
    struct buffer b = empty();
    static const char *const words[] = {"a", "b", "b", "a", "7", "a", "x", "7"};
    for (size_t i = 0; i < 8; i++)
        append(&b, slice_of(words[i]));
    struct packed p = view(&b);
    CHECK_EQ(packed_find(p, packed_first(p), 2, SLICE("b")), packed_seek(p, 2));
    CHECK_EQ(packed_find(p, packed_first(p), 2, SLICE("7")), packed_seek(p, 4));
    CHECK_EQ(packed_find(p, packed_seek(p, 1), 2, SLICE("7")), packed_seek(p, 7));
    CHECK_EQ(packed_find(p, packed_first(p), 2, SLICE("q")), p.size);
    free(b.bytes);
}

/* A counter that has overflowed is not trusted any more. */
TEST(packed, more_than_the_header_counts)
{
    enum { MANY = PACKED_UNCOUNTED + 10 };
    struct buffer b = {malloc(PACKED_HEAD + 2 * MANY), PACKED_HEAD + 2 * MANY, false};
    for (size_t i = 0; i < MANY; i++)
        packed_write(b.bytes + PACKED_HEAD + 2 * i, SLICE("5"));
    packed_set_count(b.bytes, MANY);
    CHECK_EQ(packed_count(view(&b)), MANY);
    CHECK(packed_is_valid(view(&b)));
    struct packed_store store = {hole, &b};
    packed_remove(&store, view(&b), PACKED_HEAD, 20);
    CHECK_EQ(packed_count(view(&b)), MANY - 20);
    CHECK(packed_is_valid(view(&b)));
    free(b.bytes);
}

/* Bytes of anybody's making are either refused or safe to walk: under ASan, in blocks of their exact size. */
TEST(packed, hostile_bytes)
{
    struct random_state r;
    random_init(&r, 4);
    unsigned valid = 0;
    for (int round = 0; round < 200000; round++) {
        size_t size = random_below(&r, 24);
        struct buffer b = {malloc(size ? size : 1), size, false};
        for (size_t i = 0; i < size; i++)
            b.bytes[i] =
                (unsigned char)(random_below(&r, 3) ? random_below(&r, 6) : random_below(&r, 256));
        if (size >= 2 && random_below(&r, 2))
            packed_set_count(b.bytes, random_below(&r, 6));
        if (packed_is_valid(view(&b))) {
            size_t n = 0;
            valid++;
            for (size_t at = b.size; (at = packed_prev(view(&b), at)) != 0;)
                n++;
            CHECK_EQ(n, packed_count(view(&b)));
        }
        free(b.bytes);
    }
    CHECK(valid > 100);
}
