/* list_test.c - the operations on two lists beside arrays, with limits that change so that both forms and the ways between
 * them are met; then the same with allocations that fail; the events of each. */
#include "store/types/list.h"

#include "base/random.h"
#include "runtime/mem/heap.h"
#include "store/index/quicklist.h"
#include "store/types/value.h"
#include "support/keyspace_fixture.h"

#include <stdio.h>
#include <stdlib.h>

enum { MOST = 400 };
struct model {
    size_t count;
    char *texts[MOST];
};

static struct random_state random_state;
static struct model models[2];

static size_t below(size_t n)
{
    return random_below(&random_state, n);
}

static void model_insert(struct model *m, size_t at, const char *text)
{
    memmove(m->texts + at + 1, m->texts + at, (m->count++ - at) * sizeof *m->texts);
    m->texts[at] = strdup(text);
}

static void model_remove(struct model *m, size_t at, size_t count)
{
    for (size_t i = at; i < at + count; i++)
        free(m->texts[i]);
    m->count -= count;
    memmove(m->texts + at, m->texts + at + count, (m->count - at) * sizeof *m->texts);
}

struct seen {
    const struct model *model;
    size_t at, shown;
    bool backwards;
};

static void see(void *context, struct slice element)
{
    struct seen *s = context;
    REQUIRE(s->at < s->model->count);
    CHECK(slice_equal(element, slice_of(s->model->texts[s->at])));
    s->at += s->backwards ? (size_t)-1 : 1;
    s->shown++;
}

static void compare(int which)
{
    struct model *m = &models[which];
    struct store_key key = key_of(which ? "b" : "a");
    struct seen seen = {.model = m};
    struct list_visitor shown = {.each = see, .context = &seen};
    struct found f;
    enum store_result rc = value_find(&tx, key, TYPE_LIST, LOOKUP_PEEK, &f);
    CHECK_EQ(rc, m->count ? STORE_OK : STORE_MISSING);
    if (rc != STORE_OK)
        return;
    if (f.entry->encoding == ENCODING_QUICKLIST)
        quicklist_verify(value_object(&f));
    else
        REQUIRE(packed_is_valid(entry_packed(f.entry)));
    CHECK_EQ(list_range(&tx, key, 0, -1, &shown), STORE_OK);
    CHECK_EQ(seen.shown, m->count);
}

static const char *random_text(char *text)
{
    static const char *const few[] = {"a", "b", "", "12", "-700", "ccc"};
    size_t size = below(40) ? below(300) : below(9000);
    if (below(3))
        return few[below(6)];
    memset(text, 'x', size);
    text[size] = 0;
    return text;
}

static enum store_result try_push(struct store_key key, struct model *m, const char *text)
{
    size_t n = 1 + below(3), size;
    bool left = below(2);
    struct slice values[3] = {slice_of(text), SLICE("12"), SLICE("b")};
    enum store_result rc =
        list_push(&tx, key, left ? LIST_LEFT : LIST_RIGHT, values, n, false, &size);
    for (size_t i = 0; rc == STORE_OK && i < n; i++)
        model_insert(m, left ? 0 : m->count, i == 0 ? text : i == 1 ? "12" : "b");
    if (rc == STORE_OK)
        CHECK_EQ(size, m->count);
    return rc;
}

static enum store_result try_pop(struct store_key key, struct model *m)
{
    bool left = below(2);
    size_t n = below(8), there = n < m->count ? n : m->count;
    struct seen seen = {m, left ? 0 : m->count - 1, 0, !left};
    struct list_visitor shown = {.each = see, .context = &seen};
    enum store_result rc = list_pop(&tx, key, left ? LIST_LEFT : LIST_RIGHT, n, &shown);
    CHECK_EQ(rc, m->count ? STORE_OK : STORE_MISSING);
    CHECK_EQ(seen.shown, there);
    model_remove(m, left ? 0 : m->count - there, there);
    return STORE_OK;
}

static enum store_result try_move(int which)
{
    int to = (int)below(2);
    bool left = below(2), to_left = below(2);
    struct model *a = &models[which], *b = &models[to];
    struct seen seen = {a, left ? 0 : a->count - 1, 0, false};
    struct list_visitor shown = {.each = see, .context = &seen};
    enum store_result rc =
        list_move(&tx, key_of(which ? "b" : "a"), left ? LIST_LEFT : LIST_RIGHT,
                  key_of(to ? "b" : "a"), to_left ? LIST_LEFT : LIST_RIGHT, &shown);
    if (rc != STORE_OK)
        return a->count == 0 && rc == STORE_MISSING ? STORE_OK : rc;
    char *text = strdup(a->texts[left ? 0 : a->count - 1]);
    model_remove(a, left ? 0 : a->count - 1, 1);
    model_insert(b, to_left ? 0 : b->count, text);
    free(text);
    return rc;
}

static enum store_result try_set_or_insert(struct store_key key, struct model *m, const char *text)
{
    size_t at = below(m->count), size, pivot = 0;
    bool after = below(2), set = below(2);
    while (strcmp(m->texts[pivot], m->texts[at]) != 0)
        pivot++;
    char *wanted = strdup(m->texts[at]);
    enum store_result rc =
        set ? list_set(&tx, key, (int64_t)at - (after ? (int64_t)m->count : 0), slice_of(text))
            : list_insert(&tx, key, after, slice_of(wanted), slice_of(text), &size);
    free(wanted);
    if (rc != STORE_OK)
        return rc;
    if (set)
        model_remove(m, at, 1);
    model_insert(m, set ? at : pivot + after, text);
    return rc;
}

static void try_remove(struct store_key key, struct model *m, const char *text)
{
    int64_t count = (int64_t)below(5) - 2;
    size_t removed, expected = 0, most = (size_t)(count < 0 ? -count : count ? count : MOST);
    CHECK_EQ(list_remove(&tx, key, count, slice_of(text), &removed), STORE_OK);
    for (size_t i = 0, n = m->count; i < n && expected < most; i++) {
        size_t at = count < 0 ? n - 1 - i : i - expected;
        if (strcmp(m->texts[at], text) == 0) {
            model_remove(m, at, 1);
            expected++;
        }
    }
    CHECK_EQ(removed, expected);
}

static void try_trim(struct store_key key, struct model *m)
{
    size_t first = below(m->count < 5 ? m->count : 5), kept = m->count - first;
    kept -= below(kept < 9 ? kept : 9);
    CHECK_EQ(list_trim(&tx, key, (int64_t)first, (int64_t)(first + kept - 1)), STORE_OK);
    model_remove(m, first + kept, m->count - first - kept);
    model_remove(m, 0, first);
}

static enum store_result step(int which, char *buffer)
{
    struct store_key key = key_of(which ? "b" : "a");
    struct model *m = &models[which];
    const char *text = random_text(buffer);
    unsigned what = (unsigned)below(9);
    if (m->count > MOST - 10)
        what = 8;
    if (m->count == 0 || what < 3)
        return try_push(key, m, text);
    if (what == 3)
        return try_pop(key, m);
    if (what == 4)
        return models[0].count + models[1].count < MOST ? try_move(which) : STORE_OK;
    if (what < 7)
        return try_set_or_insert(key, m, text);
    if (what == 7)
        try_remove(key, m, text);
    else
        try_trim(key, m);
    return STORE_OK;
}

static void run(uint64_t seed, bool failing)
{
    static const int64_t fills[] = {-2, -1, 0, 2, 8, 128};
    static char buffer[9001];
    unsigned failed = 0;
    random_init(&random_state, seed);
    keyspace_fixture_start();
    for (int i = 0; i < 12000; i++) {
        if (i % 300 == 0)
            atomic_store(&keyspace_limits(ks)->list_max_listpack_size, fills[below(6)]);
        if (failing)
            REQUIRE(tu__mem_fail_after((int64_t)below(5) + 1));
        int which = (int)below(2);
        enum store_result rc = step(which, buffer);
        if (failing)
            REQUIRE(tu__mem_fail_after(0));
        REQUIRE(rc == STORE_OK || (failing && rc == STORE_NO_MEMORY));
        failed += rc != STORE_OK;
        compare(0);
        compare(1);
    }
    CHECK(failing == (failed > 100));
    for (int which = 0; which < 2; which++)
        model_remove(&models[which], 0, models[which].count);
    keyspace_fixture_stop();
}

TEST(list, beside_a_model)
{
    run(5, false);
}

TIMEOUT_TEST(list, out_of_memory, 100)
{
    if (tu__mem_fail_after(0))
        run(6, true);
    else
        printf("  skipped: not a debug build\n");
}

static void check_events(const char *expected)
{
    transaction_unlock(&tx);
    if (strcmp(events, expected) != 0)
        test_fail(__FILE__, __LINE__, "events %s, expected %s", events, expected);
    events[0] = 0;
    transaction_lock_all(&tx);
}

static void ignore(void *context, struct slice element) {}

TEST(list, events)
{
    static const struct list_visitor none = {.each = ignore};
    struct slice value = SLICE("v");
    size_t size;
    keyspace_fixture_start();
    effects_set_event_mask(ks, EVENT_KEYEVENT | EVENT_ALL);
    (void)list_push(&tx, key_of("a"), LIST_LEFT, &value, 1, false, &size);
    check_events("lpush a");
    (void)list_move(&tx, key_of("a"), LIST_LEFT, key_of("b"), LIST_RIGHT, &none);
    check_events("rpush b, lpop a, del a");
    (void)list_move(&tx, key_of("b"), LIST_RIGHT, key_of("b"), LIST_LEFT, &none);
    check_events("lpush b, rpop b");
    (void)list_insert(&tx, key_of("b"), true, value, SLICE("w"), &size);
    (void)list_set(&tx, key_of("b"), 0, SLICE("x"));
    check_events("linsert b, lset b");
    (void)list_remove(&tx, key_of("b"), 0, SLICE("none"), &size);
    check_events("");
    (void)list_remove(&tx, key_of("b"), 0, SLICE("x"), &size);
    (void)list_trim(&tx, key_of("b"), 5, 6);
    check_events("lrem b, ltrim b, del b");
    (void)list_push(&tx, key_of("b"), LIST_RIGHT, &value, 1, false, &size);
    (void)list_pop(&tx, key_of("b"), LIST_RIGHT, 3, &none);
    check_events("rpush b, rpop b, del b");
    keyspace_fixture_stop();
}
