/* score_sort_test.c - the sort beside inserting into a tree, and the tree that is built of it. */
#include "store/index/score_sort.h"

#include "base/random.h"
#include "runtime/mem/heap.h"
#include "store/index/score_tree.h"
#include "support/testing.h"

#include <math.h>
#include <stdio.h>
#include <tuco/mem.h>

enum { MOST = 5000 };
static struct element_item items[MOST], room[MOST];
static struct random_state r;

static double random_score(int kind)
{
    static const double strange[] = {-INFINITY, -1e300, -1.5, -0.0, 0,
                                     5e-324,    1,      2,    1e17, INFINITY};
    switch (kind) {
    case 0: return (double)random_below(&r, 10000);
    case 1: return strange[random_below(&r, 10)];
    case 2: return ldexp((double)random_next(&r), -(int)random_below(&r, 900)) - 1;
    default: return 1;
    }
}

static void make(size_t count, int kind)
{
    for (size_t i = 0; i < count; i++) {
        char name[32];
        int size = snprintf(name, sizeof name, "%.*s%zu", (int)random_below(&r, 5), "aaaa", i);
        items[i] = (struct element_item){
            element_new_scored((struct slice){name, (size_t)size}, random_score(kind)),
            random_next(&r)};
        REQUIRE(items[i].element);
    }
}

static void drop(size_t count)
{
    for (size_t i = 0; i < count; i++)
        element_free(items[i].element);
}

static void check_tree(const struct score_tree *t, size_t count)
{
    struct score_place at = score_tree_at(t, 0);
    score_tree_verify(t);
    CHECK_EQ(t->count, count);
    for (size_t i = 0; i < count;) {
        struct score_run run = score_place_run(at), back;
        for (size_t n = 0; n < run.count; n++)
            CHECK(run.items[n] == items[i + n].element);
        back = score_place_run_back(at);
        CHECK(back.items[back.count - 1] == items[i].element);
        i += run.count;
        at = score_place_next_leaf(at);
    }
    CHECK(!score_place_get(at));
}

TEST(score_sort, is_the_order_of_a_tree)
{
    static const size_t counts[] = {0, 1, 2, 23, 24, 25, 61, 62, 300, 1891, 1892, MOST};
    random_init(&r, 7);
    for (size_t c = 0; c < sizeof counts / sizeof *counts; c++) {
        for (int kind = 0; kind < 4; kind++) {
            struct score_tree inserted = {0}, built = {0};
            make(counts[c], kind);
            for (size_t i = 0; i < counts[c]; i++)
                REQUIRE(score_tree_insert(&inserted, items[i].element));
            score_sort(items, room, counts[c]);
            check_tree(&inserted, counts[c]);
            REQUIRE(score_tree_build(&built, items, counts[c]));
            check_tree(&built, counts[c]);
            score_tree_destroy(&inserted);
            score_tree_destroy(&built);
            drop(counts[c]);
        }
    }
}

/* A tree that was built takes and loses elements like any other. */
TEST(score_sort, a_built_tree_lives_on)
{
    struct score_tree t = {0};
    random_init(&r, 8);
    make(MOST, 0);
    score_sort(items, room, MOST / 2);
    REQUIRE(score_tree_build(&t, items, MOST / 2));
    for (size_t i = MOST / 2; i < MOST; i++) {
        REQUIRE(score_tree_insert(&t, items[i].element));
        if (i % 64 == 0)
            score_tree_verify(&t);
    }
    while (t.count > 0) {
        score_tree_remove(&t, random_below(&r, t.count));
        if (t.count % 64 == 0)
            score_tree_verify(&t);
    }
    CHECK_EQ(t.bytes, 0);
    drop(MOST);
}

TEST(score_sort, building_without_memory)
{
    struct score_tree t = {0};
    int allocations = 1;
    if (!tu__mem_fail_after(0)) {
        printf("  skipped: not a debug build\n");
        return;
    }
    random_init(&r, 9);
    make(MOST, 0);
    score_sort(items, room, MOST);
    for (bool done = false; !done; allocations++) {
        REQUIRE(tu__mem_fail_after(allocations));
        done = score_tree_build(&t, items, MOST);
        REQUIRE(tu__mem_fail_after(0));
        CHECK(done || (!t.root && t.bytes == 0 && t.count == 0));
    }
    CHECK(allocations > 80);
    check_tree(&t, MOST);
    score_tree_destroy(&t);
    drop(MOST);
}
