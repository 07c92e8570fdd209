/* id_tree_test.c - beside a sorted array: ids that grow, ids at random, removal from the front, failing allocations. */
#include "store/index/id_tree.h"

#include "base/random.h"
#include "runtime/mem/heap.h"
#include "support/testing.h"

#include <stdio.h>
#include <string.h>

enum { MOST = 3000 };
static struct id ids[MOST];
static size_t count;
static struct random_state dice;
static char values[MOST]; /* addresses only */

static size_t place(struct id id)
{
    size_t i = 0;
    while (i < count && id_compare(ids[i], id) < 0)
        i++;
    return i;
}

static void *value_of(struct id id)
{
    return &values[(id.ms * 7 + id.seq) % MOST];
}

static void check_near(const struct id_tree *t, struct id id)
{
    size_t i = place(id);
    bool exact = i < count && id_compare(ids[i], id) == 0;
    struct id found = ID_MIN;
    CHECK(id_tree_get(t, id) == (exact ? value_of(id) : NULL));
    void *after = id_tree_at_or_after(t, id, &found);
    CHECK((after != NULL) == (i < count));
    CHECK(!after || (id_compare(found, ids[i]) == 0 && after == value_of(found)));
    size_t before = exact ? i + 1 : i;
    void *value = id_tree_at_or_before(t, id, &found);
    CHECK((value != NULL) == (before > 0));
    CHECK(!value || (id_compare(found, ids[before - 1]) == 0 && value == value_of(found)));
}

static bool insert(struct id_tree *t, struct id id)
{
    size_t i = place(id);
    bool exists = i < count && id_compare(ids[i], id) == 0;
    enum id_tree_added added = id_tree_insert(t, id, value_of(id));
    if (added == ID_TREE_NO_MEMORY)
        return false;
    CHECK_EQ(added, exists ? ID_TREE_EXISTS : ID_TREE_ADDED);
    if (!exists) {
        memmove(ids + i + 1, ids + i, (count++ - i) * sizeof *ids);
        ids[i] = id;
    }
    return true;
}

static void drop(struct id_tree *t, struct id id)
{
    size_t i = place(id);
    bool exists = i < count && id_compare(ids[i], id) == 0;
    CHECK(id_tree_remove(t, id) == (exists ? value_of(id) : NULL));
    if (exists)
        memmove(ids + i, ids + i + 1, (--count - i) * sizeof *ids);
}

static struct id any(uint64_t range)
{
    return (struct id){random_below(&dice, range), random_below(&dice, 3)};
}

static void run(uint64_t seed, uint64_t range, bool failing)
{
    struct id_tree t = {0};
    struct id newest = ID_MIN;
    unsigned failed = 0;
    random_init(&dice, seed);
    count = 0;
    for (int i = 0; i < 30000; i++) {
        unsigned phase = (unsigned)(i / 5000 % 3), what = (unsigned)random_below(&dice, 10);
        if (failing)
            REQUIRE(tu__mem_fail_after((int64_t)random_below(&dice, 3) + 1));
        if (what < (phase == 1 ? 2 : 5) && count < MOST - 1) {
            newest = (struct id){newest.ms + random_below(&dice, 2), newest.seq + 1};
            failed += !insert(&t, random_below(&dice, 3) ? any(range) : newest);
        } else if (what < 9) {
            drop(&t, count && random_below(&dice, 2)
                         ? ids[random_below(&dice, 3) ? 0 : random_below(&dice, count)]
                         : any(range));
        }
        if (failing)
            REQUIRE(tu__mem_fail_after(0));
        check_near(&t, any(range));
        if (i % 16 == 0)
            id_tree_verify(&t);
    }
    CHECK(failing == (failed > 0));
    id_tree_clear(&t, NULL);
    id_tree_verify(&t);
}

TEST(id_tree, beside_an_array)
{
    run(1, 40, false);
    run(2, 1000, false);
    run(3, UINT64_MAX, false);
}

TEST(id_tree, out_of_memory)
{
    if (tu__mem_fail_after(0))
        run(4, 2000, true);
    else
        printf("  skipped: not a debug build\n");
}

TEST(id_tree, growing_ids_fill_the_nodes)
{
    struct id_tree t = {0};
    for (uint64_t i = 1; i <= 10000; i++)
        CHECK_EQ(id_tree_insert(&t, (struct id){i, 0}, values), ID_TREE_ADDED);
    id_tree_verify(&t);
    printf("  %.1f bytes an id\n", (double)t.bytes / 10000);
    CHECK(t.bytes < 10000 * 27);
    size_t seen = 0;
    for (struct id at = ID_MIN; id_tree_at_or_after(&t, at, &at); seen++)
        REQUIRE(id_next(&at));
    CHECK_EQ(seen, 10000);
    for (uint64_t i = 1; i <= 10000; i++)
        CHECK(id_tree_remove(&t, (struct id){i, 0}) == values);
    id_tree_verify(&t);
    CHECK(t.root == NULL);
}

TEST(id_tree, neighbours_of_ids)
{
    struct id id = {5, UINT64_MAX};
    CHECK(id_next(&id) && id.ms == 6 && id.seq == 0);
    CHECK(id_previous(&id) && id.ms == 5 && id.seq == UINT64_MAX);
    id = ID_MAX;
    CHECK(!id_next(&id) && id_compare(id, ID_MAX) == 0);
    id = ID_MIN;
    CHECK(!id_previous(&id));
}
