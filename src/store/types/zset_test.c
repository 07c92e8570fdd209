/* zset_test.c - two sorted sets beside sorted arrays, with limits that change so that both forms and the way between them are
 * met; then the same with allocations that fail; the events of each operation. */
#include "store/types/zset.h"

#include "base/random.h"
#include "runtime/mem/heap.h"
#include "store/types/value.h"
#include "store/types/zset_combine.h"
#include "support/keyspace_fixture.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { NAMES = 300 };
struct model {
    bool there[NAMES];
    double score[NAMES];
    int order[NAMES];
    size_t count;
};

static struct random_state random_state;
static struct model models[3];
static char names[NAMES][16];

static void start(void)
{
    keyspace_fixture_start();
    memset(models, 0, sizeof models);
    for (int i = 0; i < NAMES; i++) /* integers, texts, and one after the other in both orders */
        (void)snprintf(names[i], sizeof names[i], i % 3 ? "%d" : "name:%d", i * 7);
}

static struct store_key key_number(int which)
{
    static const char *const keys[] = {"a", "b", "c"};
    struct slice name = slice_of(keys[which]);
    return (struct store_key){name, keyspace_hash(ks, name)};
}

static size_t below(size_t n)
{
    return random_below(&random_state, n);
}

static const struct model *sorting;

static int compare_members(const void *a, const void *b)
{
    int x = *(const int *)a, y = *(const int *)b;
    double s = sorting->score[x], t = sorting->score[y];
    return s != t ? (s > t) - (s < t) : strcmp(names[x], names[y]);
}

static void sort(struct model *m)
{
    m->count = 0;
    for (int i = 0; i < NAMES; i++)
        if (m->there[i])
            m->order[m->count++] = i;
    sorting = m;
    qsort(m->order, m->count, sizeof *m->order, compare_members);
}

struct seen {
    const struct model *m;
    size_t at, shown;
    bool backwards;
};

static void see(void *context, struct slice member, double score)
{
    struct seen *s = context;
    size_t at = s->backwards ? s->at - s->shown : s->at + s->shown;
    REQUIRE(at < s->m->count);
    REQUIRE(slice_equal(member, slice_of(names[s->m->order[at]])));
    REQUIRE(score == s->m->score[s->m->order[at]]);
    s->shown++;
}

static void compare(int which)
{
    struct model *m = &models[which];
    struct zset_view v;
    sort(m);
    CHECK_EQ(zset_open(&tx, key_number(which), LOOKUP_PEEK, &v),
             m->count ? STORE_OK : STORE_MISSING);
    REQUIRE(zset_count(&v) == m->count);
    zset_verify(&v);
    struct seen seen = {m, 0, 0, false};
    zset_visit(&v, (struct zset_ranks){0, m->count}, false, see, &seen);
    REQUIRE(seen.shown == m->count);
    struct zset_ranks some =
        zset_ranks_by_index(&v, (int64_t)below(20) - 10, (int64_t)below(20) - 10, below(2));
    seen = (struct seen){m, some.end - 1, 0, true};
    zset_visit(&v, some, true, see, &seen);
    REQUIRE(seen.shown == zset_ranks_count(some));
    int i = (int)below(NAMES);
    size_t rank;
    double score;
    REQUIRE(zset_rank(&v, slice_of(names[i]), &rank, &score) == m->there[i]);
    if (m->there[i])
        REQUIRE(m->order[rank] == i && score == m->score[i]);
    struct zset_score_range r = {(double)below(9) - 4, (double)below(9) - 4, below(2), below(2)};
    size_t inside = 0;
    for (size_t k = 0; k < m->count; k++) {
        double s = m->score[m->order[k]];
        inside +=
            (r.min_excluded ? s > r.min : s >= r.min) && (r.max_excluded ? s < r.max : s <= r.max);
    }
    REQUIRE(zset_ranks_count(zset_ranks_by_score(&v, &r)) == inside);
}

static enum store_result try_add(int which)
{
    struct model *m = &models[which];
    int i = (int)below(NAMES);
    uint32_t flags = (uint32_t)below(5) == 0 ? 1u << below(4) : 0;
    flags |= below(4) == 0 ? ZSET_INCREMENT : 0;
    double score = below(4) ? (double)below(9) - 4 : (double)below(1000) / 8 - 60.3;
    struct zset_member member = {slice_of(names[i]), score};
    struct zset_added added;
    enum store_result rc = zset_add(&tx, key_number(which), &member, 1, flags, &added);
    if (rc != STORE_OK)
        return rc;
    double next = (flags & ZSET_INCREMENT) && m->there[i] ? m->score[i] + score : score;
    bool met = m->there[i] ? !(flags & ZSET_NX) && !((flags & ZSET_GT) && next <= m->score[i]) &&
                                 !((flags & ZSET_LT) && next >= m->score[i])
                           : !(flags & ZSET_XX);
    REQUIRE(added.met == met);
    if (met) {
        CHECK_EQ(added.added, !m->there[i]);
        CHECK_EQ(added.updated, m->there[i] && next != m->score[i]);
        m->there[i] = true;
        m->score[i] = next;
    }
    return STORE_OK;
}

static void try_take(int which)
{
    struct model *m = &models[which];
    struct zset_view v;
    sort(m);
    (void)zset_open(&tx, key_number(which), LOOKUP_WRITE, &v);
    if (below(3)) {
        int i = (int)below(NAMES);
        CHECK_EQ(zset_take(&v, slice_of(names[i])), m->there[i]);
        m->there[i] = false;
    } else {
        int64_t start = (int64_t)below(200) - 100;
        struct zset_ranks ranks =
            zset_ranks_by_index(&v, start, start + (int64_t)below(40) - 5, false);
        zset_take_ranks(&v, ranks);
        for (size_t i = ranks.first; i < ranks.end; i++)
            m->there[m->order[i]] = false;
    }
    zset_commit(&v, "zrem");
}

/* The third set becomes the union, intersection or difference of the others. */
static enum store_result try_combine(void)
{
    struct zset_input inputs[2] = {{.weight = 1}, {.weight = 2}};
    struct zset_result *result;
    size_t count;
    enum zset_operation operation = (enum zset_operation)below(3);
    for (int i = 0; i < 2; i++)
        (void)zset_open(&tx, key_number(i), LOOKUP_READ, &inputs[i].view);
    enum store_result rc = zset_combine(&tx, operation, ZSET_MAX, inputs, 2, &result);
    if (rc == STORE_OK)
        rc = zset_store(&tx, key_number(2), result, "zunionstore", false, &count);
    if (rc != STORE_OK)
        return rc;
    struct model *m = &models[2];
    for (int i = 0; i < NAMES; i++) {
        bool a = models[0].there[i], b = models[1].there[i];
        double s = models[0].score[i], t = 2 * models[1].score[i];
        m->there[i] = operation == ZSET_UNION ? a || b : operation == ZSET_INTER ? a && b : a && !b;
        m->score[i] = operation == ZSET_DIFF || !b ? s : !a ? t : s > t ? s : t;
    }
    return STORE_OK;
}

static void run(uint64_t seed, bool failing)
{
    static const int64_t entries[] = {0, 5, 128, 1000};
    unsigned failed = 0;
    random_init(&random_state, seed);
    start();
    for (int i = 0; i < 8000; i++) {
        if (i % 200 == 0)
            atomic_store(&keyspace_limits(ks)->zset_max_listpack_entries, entries[below(4)]);
        if (failing)
            REQUIRE(tu__mem_fail_after((int64_t)below(6) + 1));
        int which = (int)below(2);
        enum store_result rc = STORE_OK;
        if (below(100) == 0)
            rc = try_combine();
        else if (below(i % 1000 < 600 ? 5 : 2) == 0)
            try_take(which);
        else
            rc = try_add(which);
        if (failing)
            REQUIRE(tu__mem_fail_after(0));
        REQUIRE(rc == STORE_OK || (failing && rc == STORE_NO_MEMORY));
        failed += rc != STORE_OK;
        for (int k = 0; k < 3; k++)
            compare(k);
    }
    CHECK(failing == (failed > 100));
    keyspace_fixture_stop();
}

TIMEOUT_TEST(zset, beside_a_model, 100)
{
    run(5, false);
}

TIMEOUT_TEST(zset, out_of_memory, 100)
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

TEST(zset, events)
{
    struct zset_member member = {SLICE("m"), 1};
    struct zset_added added;
    struct zset_view v;
    size_t count;
    start();
    effects_set_event_mask(ks, EVENT_KEYEVENT | EVENT_ALL);
    (void)zset_add(&tx, key_number(0), &member, 1, 0, &added);
    check_events("zadd a");
    (void)zset_add(&tx, key_number(0), &member, 1, 0, &added);
    check_events("");
    (void)zset_add(&tx, key_number(0), &member, 1, ZSET_INCREMENT, &added);
    check_events("zincr a");
    (void)zset_open(&tx, key_number(0), LOOKUP_READ, &v);
    (void)zset_store_range(&tx, key_number(1), &v, (struct zset_ranks){0, 1}, false, &count);
    check_events("zrangestore b");
    (void)zset_open(&tx, key_number(0), LOOKUP_WRITE, &v);
    (void)zset_take(&v, SLICE("none"));
    zset_commit(&v, "zrem");
    check_events("");
    zset_take_ranks(&v, (struct zset_ranks){0, 1});
    zset_commit(&v, "zpopmin");
    check_events("zpopmin a, del a");
    (void)zset_open(&tx, key_number(0), LOOKUP_READ, &v);
    (void)zset_store_range(&tx, key_number(1), &v, (struct zset_ranks){0, 0}, false, &count);
    check_events("del b");
    keyspace_fixture_stop();
}
