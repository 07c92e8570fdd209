/* Slices as Go's are, and what the collector does with what they share. */
#include <tuco/gc.h>
#include <tuco/slice.h>

#include "runtime/gc/collector.h"
#include "support/child.h"
#include "support/testing.h"

#include <errno.h>
#include <string.h>

TU_TYPE(int);
TU_SLICE(ints, int);

typedef struct node node;
struct node {
    node *const next;
    long value;
};
TU_TYPE(node, next);
typedef node *const node_ref;
TU_POINTER_TYPE(node_ref);
TU_SLICE(nodes, node_ref);

typedef struct {
    const nodes items;
    const ints numbers;
} holder;
TU_TYPE(holder, items.at, numbers.at);

static node *make(long value)
{
    node *n = tu_new(node);
    REQUIRE(n);
    n->value = value;
    return n;
}

TEST(slice, append_and_share)
{
    ints s = {0};
    for (int i = 0; i < 10000; i++) {
        CHECK_EQ(tu_append(ints, &s, i), 0);
        CHECK(s.length == (size_t)i + 1 && s.length <= s.capacity);
    }
    for (int i = 0; i < 10000; i++)
        CHECK_EQ(tu_at(s, (size_t)i), i);
    ints part = tu_sub(ints, s, 100, 200);
    CHECK(part.length == 100 && part.capacity == s.capacity - 100 && part.at == s.at + 100);
    tu_at(part, 0) = -1;
    CHECK_EQ(tu_at(s, 100), -1);
    CHECK_EQ(tu_append(ints, &part, -2), 0); /* into the array that both share */
    CHECK_EQ(tu_at(s, 200), -2);
    ints alone = tu_sub_whole(ints, s, 0, 3);
    CHECK_EQ(tu_append(ints, &alone, -3), 0);
    CHECK(alone.at != s.at && alone.length == 4);
    CHECK_EQ(tu_at(s, 3), 3);
    ints longer = tu_sub(ints, tu_make_slice(ints, 0, 8), 0, 8); /* up to the capacity */
    CHECK(longer.length == 8 && tu_at(longer, 7) == 0);
}

TEST(slice, append_all_and_copy)
{
    ints s = tu_make_slice(ints, 0, 2);
    REQUIRE(s.at);
    for (int i = 0; i < 5; i++)
        CHECK_EQ(tu_append(ints, &s, i), 0);
    CHECK_EQ(tu_append_all(ints, &s, s), 0);
    CHECK_EQ(s.length, 10);
    for (int i = 0; i < 10; i++)
        CHECK_EQ(tu_at(s, (size_t)i), i % 5);
    ints to = tu_sub(ints, s, 2, 10), from = tu_sub(ints, s, 0, 5);
    CHECK_EQ(tu_slice_copy(ints, to, from), 5); /* they overlap */
    static const int wanted[] = {0, 1, 0, 1, 2, 3, 4, 2, 3, 4};
    CHECK(memcmp(s.at, wanted, sizeof wanted) == 0);
    ints empty = {0};
    CHECK_EQ(tu_slice_copy(ints, empty, s), 0);
    CHECK_EQ(tu_append_all(ints, &empty, (ints){0}), 0);
    CHECK_EQ(empty.length, 0);
    tu_slice_set(ints, s, 9, 77);
    CHECK_EQ(tu_at(s, 9), 77);
}

/* Fields of objects: what the holder's slices hold lives, and is whole after collections. */
static void elements_live(void)
{
    holder *h = tu_new(holder);
    REQUIRE(h);
    for (int i = 0; i < 2000; i++) {
        CHECK_EQ(tu_append(nodes, &h->items, make(i)), 0);
        CHECK_EQ(tu_append(ints, &h->numbers, -i), 0);
        if (i % 500 == 0)
            tu_gc();
    }
    tu_slice_set(nodes, h->items, 7, make(7007));
    nodes tail = tu_sub(nodes, h->items, 1990, 2000);
    tu_gc();
    for (int i = 0; i < 2000; i++) {
        CHECK_EQ(tu_at(h->items, (size_t)i)->value, i == 7 ? 7007 : i);
        CHECK_EQ(tu_at(h->numbers, (size_t)i), -i);
    }
    tu_slice_assign(nodes, &h->items, (nodes){0});
    tu_gc();
    CHECK_EQ(h->items.length, 0);
    for (int i = 0; i < 10; i++) /* a part keeps the array, and all in it */
        CHECK_EQ(tu_at(tail, (size_t)i)->value, 1990 + i);
}

GO_TEST(slice, elements_live)
{
    elements_live();
}

GO_TIMEOUT_TEST(slice, elements_live_under_torture, 60)
{
    tu__gc_torture(1);
    tu_gc_set_generations(true);
    elements_live();
    tu_gc_set_generations(false);
    elements_live();
    tu__gc_torture(0);
}

TEST(slice, no_memory_changes_nothing)
{
    ints s = tu_make_slice(ints, 0, SIZE_MAX / sizeof(int));
    CHECK(!s.at && s.capacity == 0);
    CHECK_EQ(tu_append(ints, &s, 1), 0);
    ints huge = {s.at, 1, SIZE_MAX / 2}; /* a lie, for the addition */
    huge.length = SIZE_MAX - 1;
    CHECK_EQ(tu_append_all(ints, &s, huge), -ENOMEM);
    CHECK(s.length == 1 && tu_at(s, 0) == 1);
}

static void bad_index(void)
{
    ints s = tu_make_slice(ints, 3, 5);
    printf("%d\n", tu_at(s, 3));
}

static void bad_range(void)
{
    ints s = tu_make_slice(ints, 3, 5);
    s = tu_sub(ints, s, 2, s.capacity + 1);
    printf("%zu\n", s.length);
}

static void check_aborts(void (*run)(void), const char *text)
{
    static struct child c;
    child_run(&c, run);
    CHECK(WIFSIGNALED(c.status) && strstr(c.text, text));
}

TEST(slice, out_of_bounds_aborts)
{
    check_aborts(bad_index, "a slice of 3 elements has no index 3");
    check_aborts(bad_range, "has no range 2 to");
}
