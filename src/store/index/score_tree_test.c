/* score_tree_test.c - the tree beside a sorted array, verified after each step; what an element costs. */
#include "store/index/score_tree.h"

#include "base/random.h"
#include "runtime/mem/heap.h"
#include "support/testing.h"

#include <stdio.h>
#include <tuco/mem.h>

enum { MOST = 6000 };
static struct element *model[MOST];
static size_t count;
static struct random_state r;

static size_t model_before(const struct score_bound *b)
{
    size_t i = 0;
    for (; i < count; i++) {
        double score = element_score(model[i]);
        int c = score_compare_names(element_name(model[i]), b->member);
        bool name = b->after ? c <= 0 : c < 0;
        if (b->kind == BOUND_SCORE    ? (b->after ? score > b->score : score >= b->score)
            : b->kind == BOUND_MEMBER ? !name
            : score != b->score       ? score > b->score
                                      : !name)
            break;
    }
    return i;
}

static struct element *random_element(int scores)
{
    static unsigned serial;
    char name[32];
    int size = snprintf(name, sizeof name, "%u:%u", (unsigned)random_below(&r, 50), serial++);
    return element_new_scored((struct slice){name, (size_t)size},
                              (double)random_below(&r, (uint64_t)scores) - 3);
}

static bool try_insert(struct score_tree *t, int scores)
{
    struct element *e = random_element(scores);
    if (!e)
        return false;
    struct score_bound b = {BOUND_BOTH, false, element_score(e), element_name(e)};
    size_t at = model_before(&b);
    if (!score_tree_insert(t, e)) {
        element_free(e);
        return false;
    }
    memmove(model + at + 1, model + at, (count - at) * sizeof *model);
    model[at] = e;
    count++;
    return true;
}

static void try_remove(struct score_tree *t)
{
    size_t at = random_below(&r, count);
    struct element *e = score_tree_remove(t, at);
    REQUIRE(e == model[at]);
    memmove(model + at, model + at + 1, (count - at - 1) * sizeof *model);
    count--;
    element_free(e);
}

static void try_rescore(struct score_tree *t)
{
    size_t at = random_below(&r, count);
    struct element *e = model[at];
    double before = element_score(e), score = before + (double)random_below(&r, 3) - 1;
    bool done = score_tree_rescore(t, e, score);
    CHECK(element_score(e) == (done ? score : before));
}

static void compare(const struct score_tree *t)
{
    score_tree_verify(t);
    REQUIRE(t->count == count);
    struct score_place at = score_tree_at(t, 0);
    for (size_t i = 0; i < count; i++, at = score_place_next(at))
        REQUIRE(score_place_get(at) == model[i]);
    REQUIRE(score_place_get(at) == NULL);
    at = count ? score_tree_at(t, count - 1) : at;
    for (size_t i = count; i-- > 0; at = score_place_prev(at))
        REQUIRE(score_place_get(at) == model[i]);
    for (int i = 0; i < 8 && count > 0; i++) {
        const struct element *e = model[random_below(&r, count)];
        struct score_bound b = {(enum score_bound_kind)(random_below(&r, 2) * 2),
                                random_below(&r, 2), element_score(e), element_name(e)};
        REQUIRE(score_tree_before(t, &b) == model_before(&b));
        REQUIRE(model[score_tree_rank(t, e)] == e);
    }
}

static void run(uint64_t seed, bool failing)
{
    struct score_tree t = {0};
    unsigned failed = 0;
    random_init(&r, seed);
    count = 0;
    for (int round = 0; round < 60; round++) {
        uint64_t bias = round % 10 == 9 ? 3 : 20 + random_below(&r, 80);
        int scores = random_below(&r, 2) ? 5 : 100000;
        for (int i = 0; i < 700; i++) {
            if (failing)
                REQUIRE(tu__mem_fail_after((int64_t)random_below(&r, 3) + 1));
            if (count < MOST - 1 && random_below(&r, 100) < bias)
                failed += !try_insert(&t, scores);
            else if (count > 0)
                try_remove(&t);
            if (count > 0)
                try_rescore(&t);
            if (failing)
                REQUIRE(tu__mem_fail_after(0));
            score_tree_verify(&t);
        }
        compare(&t);
    }
    CHECK(failing == (failed > 100));
    while (count > 0)
        try_remove(&t);
    compare(&t);
    CHECK_EQ(t.bytes, 0);
}

TIMEOUT_TEST(score_tree, beside_a_model, 100)
{
    run(1, false);
}

TIMEOUT_TEST(score_tree, out_of_memory, 100)
{
    if (tu__mem_fail_after(0))
        run(2, true);
    else
        printf("  skipped: not a debug build\n");
}

/* Bytes of nodes for each element, times ten. */
static size_t node_bytes(bool in_order)
{
    enum { MANY = 100000 };
    static struct element *made[MANY];
    struct score_tree t = {0};
    random_init(&r, 3);
    for (size_t i = 0; i < MANY; i++) {
        char name[32];
        int size = snprintf(name, sizeof name, "member:%07zu", i);
        double score = in_order ? (double)i : (double)random_next(&r);
        made[i] = element_new_scored((struct slice){name, (size_t)size}, score);
        REQUIRE(score_tree_insert(&t, made[i]));
    }
    score_tree_verify(&t);
    size_t bytes = t.bytes * 10 / MANY;
    score_tree_destroy(&t);
    for (size_t i = 0; i < MANY; i++)
        element_free(made[i]);
    return bytes;
}

TEST(score_tree, what_an_element_costs)
{
    size_t in_order = node_bytes(true), at_random = node_bytes(false);
    printf("  bytes of nodes an element: %zu.%zu in order, %zu.%zu at random\n", in_order / 10,
           in_order % 10, at_random / 10, at_random % 10);
    CHECK(in_order < 100);
    CHECK(at_random < 130);
}
