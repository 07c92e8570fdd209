/* intset_test.c - beside a sorted array, with integers around the limits of each width; failing holes; hostile bytes. */
#include "store/index/intset.h"

#include "base/random.h"
#include "support/testing.h"

#include <stdlib.h>

enum { MOST = 300 };

struct buffer {
    unsigned char *bytes;
    size_t size;
    bool fails;
};

static unsigned char *hole(void *owner, size_t at, size_t removed, size_t inserted)
{
    struct buffer *b = owner;
    size_t after = b->size - removed + inserted;
    if (b->fails && inserted > removed)
        return NULL;
    unsigned char *moved = malloc(after);
    memcpy(moved, b->bytes, at);
    memset(moved + at, 0xa5, inserted);
    memcpy(moved + at + inserted, b->bytes + at + removed, b->size - at - removed);
    free(b->bytes);
    b->bytes = moved;
    b->size = after;
    return moved;
}

static struct intset view(const struct buffer *b)
{
    return (struct intset){b->bytes, b->size};
}

static struct buffer empty(void)
{
    struct buffer b = {malloc(INTSET_HEAD), INTSET_HEAD, false};
    intset_init(b.bytes);
    return b;
}

static void compare(const struct buffer *b, const int64_t *model, size_t count)
{
    size_t at;
    REQUIRE(intset_is_valid(view(b)));
    REQUIRE(intset_count(view(b)) == count);
    for (size_t i = 0; i < count; i++) {
        CHECK_EQ(intset_get(view(b), i), model[i]);
        CHECK(intset_find(view(b), model[i], &at) && at == i);
    }
}

static int64_t pick(struct random_state *r, unsigned phase)
{
    static const int64_t edges[] = {0,
                                    1,
                                    -1,
                                    INT16_MAX,
                                    INT16_MIN,
                                    INT16_MAX + 1,
                                    INT16_MIN - 1,
                                    INT32_MAX,
                                    INT32_MIN,
                                    INT32_MAX + INT64_C(1),
                                    INT32_MIN - INT64_C(1),
                                    INT64_MAX,
                                    INT64_MIN};
    size_t edge_count = phase == 0 ? 5 : phase == 1 ? 9 : 13;
    unsigned shift = phase == 0 ? 48 : phase == 1 ? 32 : 0;
    if (random_below(r, 4) == 0)
        return edges[random_below(r, edge_count)];
    return random_below(r, 2) ? (int64_t)random_next(r) >> shift
                              : (int64_t)random_below(r, 400) - 200;
}

static size_t step(struct random_state *r, struct buffer *b, int64_t *model, size_t count,
                   int64_t value)
{
    struct packed_store store = {hole, b};
    size_t at = 0, said;
    while (at < count && model[at] < value)
        at++;
    bool there = at < count && model[at] == value;
    REQUIRE(intset_find(view(b), value, &said) == there);
    CHECK_EQ(said, at);
    b->fails = random_below(r, 5) == 0;
    if (!there && count < MOST && random_below(r, 3) > 0) {
        bool ok = intset_insert(&store, view(b), said, value);
        REQUIRE(ok == !b->fails);
        if (!ok)
            return count;
        memmove(model + at + 1, model + at, (count - at) * sizeof *model);
        model[at] = value;
        return count + 1;
    }
    if (at == count)
        return count;
    size_t some = 1 + random_below(r, count - at < 3 ? count - at : 3);
    intset_remove(&store, view(b), at, some);
    memmove(model + at, model + at + some, (count - at - some) * sizeof *model);
    return count - some;
}

TEST(intset, beside_a_model)
{
    struct random_state r;
    for (unsigned round = 0; round < 30; round++) {
        struct buffer b = empty();
        int64_t model[MOST];
        size_t count = 0;
        random_init(&r, round);
        for (unsigned i = 0; i < 900; i++) {
            count = step(&r, &b, model, count, pick(&r, i / 300));
            compare(&b, model, count);
        }
        free(b.bytes);
    }
}

TEST(intset, widths)
{
    struct buffer b = empty();
    struct packed_store store = {hole, &b};
    REQUIRE(intset_insert(&store, view(&b), 0, 5));
    CHECK_EQ(b.size, 3);
    REQUIRE(intset_insert(&store, view(&b), 1, 40000));
    CHECK_EQ(b.size, 9);
    REQUIRE(intset_insert(&store, view(&b), 0, INT64_MIN));
    CHECK_EQ(b.size, 25);
    compare(&b, (const int64_t[]){INT64_MIN, 5, 40000}, 3);
    intset_remove(&store, view(&b), 0, 1);
    CHECK_EQ(b.bytes[0], 8);
    free(b.bytes);
}

TEST(intset, hostile_bytes)
{
    static const struct {
        const char *bytes;
        size_t size;
        bool valid;
    } cases[] = {
        {"", 0, false},
        {"\x02", 1, true},
        {"\x03", 1, false},
        {"\x00", 1, false},
        {"\x02\x01", 2, false},
        {"\x02\x01\x00\x02\x00", 5, true},
        {"\x02\x02\x00\x02\x00", 5, false},
        {"\x02\x02\x00\x01\x00", 5, false},
        {"\x02\xff\xff\x01\x00", 5, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        CHECK_EQ(
            intset_is_valid((struct intset){(const unsigned char *)cases[i].bytes, cases[i].size}),
            cases[i].valid);
}
