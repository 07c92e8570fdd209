/* quicklist_test.c - every operation beside an array of strings, with limits that change, and the structure after each
 * step; nodes as the peers have them. */
#include "store/index/quicklist.h"

#include "base/random.h"
#include "runtime/mem/heap.h"
#include "support/testing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MODEL_MAX = 3000 };
struct model {
    size_t count;
    struct slice values[MODEL_MAX];
};

static const int64_t fills[] = {-1, -2, -5, 0, 1, 3, 16, 128, 4000};

static struct slice random_value(struct random_state *r)
{
    unsigned kind = (unsigned)random_below(r, 12);
    size_t size = kind == 0  ? random_below(r, 20000)
                  : kind < 3 ? random_below(r, 900)
                             : random_below(r, 20);
    char *text = malloc(size + 24);
    if (kind > 8)
        size = (size_t)snprintf(text, 24, "%lld", (long long)random_next(r) >> random_below(r, 64));
    else
        memset(text, 'a' + (int)random_below(r, 3), size);
    return (struct slice){text, size};
}

static void model_insert(struct model *m, size_t at, struct slice value)
{
    memmove(m->values + at + 1, m->values + at, (m->count++ - at) * sizeof *m->values);
    m->values[at] = value;
}

static void model_remove(struct model *m, size_t at, size_t count)
{
    for (size_t i = at; i < at + count; i++)
        free((char *)m->values[i].data);
    m->count -= count;
    memmove(m->values + at, m->values + at + count, (m->count - at) * sizeof *m->values);
}

static bool is_at(struct quicklist_at at, struct slice value)
{
    struct packed_item item;
    quicklist_get(at, &item);
    return slice_equal(packed_text(&item), value);
}

static void compare(const struct quicklist *q, const struct model *m)
{
    quicklist_verify(q);
    REQUIRE(q->count == m->count);
    struct quicklist_at at = quicklist_seek(q, 0);
    for (size_t i = 0; i < m->count; i++, at = quicklist_next(at))
        REQUIRE(at.node && is_at(at, m->values[i]));
    CHECK(at.node == NULL);
    at = quicklist_seek(q, -1);
    for (size_t i = m->count; i-- > 0; at = quicklist_prev(at))
        REQUIRE(at.node && is_at(at, m->values[i]));
    CHECK(at.node == NULL);
}

/* One change at `index` of a list that has elements. False: out of memory. */
static bool change(struct quicklist *q, struct model *m, struct random_state *r, int64_t fill)
{
    size_t index = random_below(r, m->count);
    bool from_end = random_below(r, 2), flag = random_below(r, 2);
    struct quicklist_at at = quicklist_seek(q, (int64_t)index - (from_end ? (int64_t)m->count : 0));
    REQUIRE(at.node && is_at(at, m->values[index]));
    unsigned what = (unsigned)random_below(r, 4);
    if (what == 0) {
        at = quicklist_remove(q, at, flag);
        model_remove(m, index, 1);
        bool none = flag ? index == 0 : index == m->count;
        CHECK(none ? at.node == NULL : at.node && is_at(at, m->values[flag ? index - 1 : index]));
        return true;
    }
    if (what == 1 && random_below(r, 8) == 0) {
        size_t count = random_below(r, (m->count - index < 60 ? m->count - index : 60) + 1);
        quicklist_remove_range(q, index, count);
        model_remove(m, index, count);
        return true;
    }
    struct slice value = random_value(r);
    bool done = what == 1 ? quicklist_replace(q, at, value, fill)
                          : quicklist_insert(q, at, flag, value, fill);
    if (!done) {
        free((char *)value.data);
        return false;
    }
    if (what == 1) {
        free((char *)m->values[index].data);
        m->values[index] = value;
    } else {
        model_insert(m, index + flag, value);
    }
    return true;
}

static bool push(struct quicklist *q, struct model *m, struct random_state *r, int64_t fill)
{
    bool tail = random_below(r, 2);
    struct slice value = random_value(r);
    if (!quicklist_push(q, tail ? QUICKLIST_TAIL : QUICKLIST_HEAD, value, fill)) {
        free((char *)value.data);
        return false;
    }
    model_insert(m, tail ? m->count : 0, value);
    return true;
}

static void finish(struct quicklist *q, struct model *m)
{
    struct quicklist *copy = quicklist_copy(q);
    REQUIRE(copy);
    compare(copy, m);
    CHECK_EQ(copy->nodes, q->nodes);
    CHECK(quicklist_memory(copy) <= quicklist_memory(q));
    quicklist_free(copy);
    quicklist_free(q);
    model_remove(m, 0, m->count);
}

static void run_model(uint64_t seed, int steps, bool failing)
{
    static struct model m;
    struct random_state r;
    random_init(&r, seed);
    struct quicklist *q = quicklist_new();
    int failed = 0;
    int64_t fill = -2;
    for (int i = 0; i < steps; i++) {
        if (random_below(&r, 100) == 0)
            fill = fills[random_below(&r, sizeof fills / sizeof *fills)];
        bool grows = m.count < (i / 400 % 2 ? 40u : 1200u);
        if (failing)
            REQUIRE(tu__mem_fail_after((int64_t)random_below(&r, 4) + 1));
        bool done = m.count == 0 || (grows && random_below(&r, 3)) ? push(q, &m, &r, fill)
                                                                   : change(q, &m, &r, fill);
        if (failing)
            REQUIRE(tu__mem_fail_after(0));
        failed += !done;
        if (m.count > 100 && !grows) {
            quicklist_remove_range(q, 1, 70);
            model_remove(&m, 1, 70);
        }
        if (m.count < 60 || i % 16 == 0)
            compare(q, &m);
    }
    CHECK(failing == (failed > 0));
    finish(q, &m);
}

TEST(quicklist, beside_a_model)
{
    for (uint64_t seed = 1; seed <= 6; seed++)
        run_model(seed, 3000, false);
}

TEST(quicklist, out_of_memory)
{
    if (!tu__mem_fail_after(0)) {
        printf("  skipped: not a debug build\n");
        return;
    }
    run_model(77, 4000, true);
}

TEST(quicklist, of_packed_and_limits)
{
    unsigned char bytes[64] = {0}, *end = bytes + PACKED_HEAD;
    end = packed_write(packed_write(end, SLICE("one")), SLICE("2"));
    packed_set_count(bytes, 2);
    struct quicklist *q = quicklist_of_packed(packed_from(bytes, (size_t)(end - bytes)));
    REQUIRE(q);
    CHECK(q->count == 2 && q->nodes == 1 && is_at(quicklist_seek(q, -2), SLICE("one")));
    CHECK(quicklist_seek(q, 2).node == NULL && quicklist_seek(q, -3).node == NULL);
    CHECK(quicklist_fits(-1, 4096, 100000) && !quicklist_fits(-1, 4097, 1));
    CHECK(quicklist_fits(3, 8192, 3) && !quicklist_fits(3, 8193, 3) && !quicklist_fits(3, 1, 4));
    CHECK(quicklist_fits(-99, 65536, 1) && !quicklist_fits(-5, 65537, 1));
    CHECK(quicklist_fits_half(-2, 4096, 9) && !quicklist_fits_half(-2, 4097, 1));
    CHECK(quicklist_fits_half(5, 99999, 2) && !quicklist_fits_half(5, 1, 3));
    quicklist_free(q);
}
