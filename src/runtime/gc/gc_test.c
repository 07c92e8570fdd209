/* The collected heap: what its objects are like. */
#include <tuco/gc.h>
#include <tuco/go.h>
#include <tuco/mem.h>

#include "runtime/gc/collected.h"
#include "support/testing.h"

#include <string.h>

typedef struct node node;
struct node {
    node *const left, *const right;
    node *const kids[3];
    long value;
};
TU_TYPE(node, left, right, kids);

typedef node *const node_ref;
TU_POINTER_TYPE(node_ref);

typedef struct plain {
    long double wide;
    char text[16];
} plain;
TU_TYPE(plain);

typedef struct small {
    struct small *const next;
} small;
TU_TYPE(small, next);

static bool all_zero(const void *p, size_t size)
{
    const char *bytes = p;
    for (size_t i = 0; i < size; i++)
        if (bytes[i])
            return false;
    return true;
}

TEST(gc, a_type_says_where_its_pointers_are)
{
    const tu_type *t = TU_TYPE_OF(node);
    CHECK_EQ(t->size, sizeof(node));
    REQUIRE(t->pointer_count == 3);
    CHECK_EQ(t->pointers[1].offset, offsetof(node, right));
    CHECK_EQ(t->pointers[2].offset, offsetof(node, kids));
    CHECK_EQ(t->pointers[2].words, 3);
    CHECK_EQ(TU_TYPE_OF(plain)->pointer_count, 0);
}

TEST(gc, objects_are_zero_and_apart)
{
    enum { COUNT = 3000 };
    static small *all[COUNT];
    for (int i = 0; i < COUNT; i++) {
        all[i] = tu_new(small);
        REQUIRE(all[i] && !all[i]->next);
        tu_set(&all[i]->next, i ? all[i - 1] : all[i]);
    }
    for (int i = 1; i < COUNT; i++)
        CHECK(all[i]->next == all[i - 1]);
    tu__collected_verify();
}

TEST(gc, arrays_of_every_size)
{
    for (size_t count = 0; count < 20000; count = count * 9 / 8 + 1) {
        node_ref *row = tu_new_array(node_ref, count);
        REQUIRE(row && all_zero((const void *)row, count * sizeof *row));
        CHECK(tu_gc_usable_size((const void *)row) >= count * sizeof *row);
        for (size_t i = 0; i < count; i++)
            tu_set(&row[i], (node *)(uintptr_t)row);
        node *nodes = tu_new_array(node, count);
        REQUIRE(nodes && all_zero(nodes, count * sizeof *nodes));
        char *bytes = tu_new_bytes(count);
        REQUIRE(bytes && all_zero(bytes, count));
        memset(bytes, 0xff, count);
        CHECK(tu_gc_owns(bytes + count / 2) && tu_gc_owns(&nodes[count / 2]));
    }
    CHECK(!tu_new_bytes(SIZE_MAX) && !tu_new_array(node, SIZE_MAX / 8));
    tu__collected_verify();
}

TEST(gc, alignment)
{
    for (size_t count = 1; count < 300; count++) {
        CHECK((uintptr_t)tu_new_array(plain, count) % 16 == 0);
        CHECK((uintptr_t)tu_new_array(node, count) % 8 == 0);
    }
}

TEST(gc, moving_and_clearing_elements)
{
    node_ref *row = tu_new_array(node_ref, 10);
    for (int i = 0; i < 10; i++)
        tu_set(&row[i], tu_new(node));
    node *first = row[0];
    tu__gc_move(TU_TYPE_OF(node_ref), (void *)&row[1], (const void *)&row[0], 9);
    CHECK(row[0] == first && row[1] == first && row[2] != first);
    tu__gc_clear(TU_TYPE_OF(node_ref), (void *)&row[1], 9);
    CHECK(row[0] == first && !row[1] && !row[9]);
}

TEST(gc, pins_and_roots)
{
    static node *cell[4];
    enum { COUNT = 200 };
    node *pinned[COUNT];
    CHECK_EQ(tu_gc_root_add(cell, sizeof cell), 0);
    for (int i = 0; i < COUNT; i++) {
        pinned[i] = tu_new(node);
        CHECK_EQ(tu_gc_pin(pinned[i]), 0);
        CHECK_EQ(tu_gc_pin(pinned[i]), 0);
    }
    for (int round = 0; round < 2; round++)
        for (int i = 0; i < COUNT; i++)
            tu_gc_unpin(pinned[i * 7 % COUNT]);
    tu_gc_root_remove(cell);
}
