/* expire_index_test.c - the wheel against a plain list of deadlines, with time that stands, runs, jumps
 * and goes back. */
#include "store/expire_index.h"

#include "base/random.h"
#include "store/expire.h"
#include "support/testing.h"

#include <stdlib.h>

enum { KEYS = 2000 };

struct model {
    struct expire_index index;
    int64_t deadline[KEYS]; /* by hash; 0: none */
    int64_t now_ms;
};

/* What a keyspace does with the items that are due; counts what is over. */
static size_t settle(struct model *m)
{
    uint64_t hashes[7];
    size_t count, over = 0;
    while ((count = expire_index_take(&m->index, m->now_ms, hashes, 7)) > 0) {
        for (size_t i = 0; i < count; i++) {
            uint64_t h = hashes[i];
            if (m->deadline[h] == 0)
                continue;
            if (m->deadline[h] <= m->now_ms) {
                m->deadline[h] = 0;
                over++;
            } else {
                REQUIRE(expire_index_add(&m->index, h, m->deadline[h], m->now_ms));
            }
        }
        expire_index_verify(&m->index);
    }
    return over;
}

static void set_deadline(struct model *m, uint64_t h, int64_t at_ms)
{
    if (m->deadline[h] == 0 || at_ms < m->deadline[h])
        REQUIRE(expire_index_add(&m->index, h, at_ms, m->now_ms));
    m->deadline[h] = at_ms;
}

/* Nothing is left two ticks after its deadline, and the announced time is never too late. */
static void check_punctual(const struct model *m)
{
    int64_t due = expire_index_due_ms(&m->index);
    for (uint64_t h = 0; h < KEYS; h++) {
        if (m->deadline[h] == 0)
            continue;
        CHECK(m->deadline[h] + 2 * EXPIRE_TICK_MS >= m->now_ms);
        CHECK(due <= m->deadline[h] + 2 * EXPIRE_TICK_MS);
    }
}

TEST(expire_index, agrees_with_a_list)
{
    struct model *m = calloc(1, sizeof *m);
    struct random_state r;
    random_init(&r, 21);
    m->now_ms = INT64_C(1700000000000);
    for (int round = 0; round < 3000; round++) {
        for (int i = 0; i < 5; i++) {
            int64_t distance = (int64_t)(random_next(&r) >> (24 + random_below(&r, 38)));
            set_deadline(m, random_below(&r, KEYS), m->now_ms + 1 + distance);
        }
        if (random_below(&r, 4) == 0)
            m->deadline[random_below(&r, KEYS)] = 0; /* deleted: its item is stale */
        if (random_below(&r, 50) == 0)
            m->now_ms += (int64_t)(random_next(&r) >> (28 + random_below(&r, 30)));
        m->now_ms += (int64_t)random_below(&r, 40);
        settle(m);
        check_punctual(m);
    }
    expire_index_clear(&m->index);
    expire_index_verify(&m->index);
    free(m);
}

TEST(expire_index, far_deadlines_and_the_end_of_time)
{
    struct model *m = calloc(1, sizeof *m);
    m->now_ms = INT64_C(1700000000000);
    set_deadline(m, 1, INT64_MAX);
    set_deadline(m, 2, m->now_ms + INT64_C(3600000));
    set_deadline(m, 3, 1); /* long over */
    expire_index_verify(&m->index);
    m->now_ms += 2 * EXPIRE_TICK_MS;
    CHECK_EQ(settle(m), 1);
    m->now_ms += INT64_C(3600000);
    CHECK_EQ(settle(m), 1);
    CHECK_EQ(m->index.items, 1);
    expire_index_clear(&m->index);
    free(m);
}

TEST(expire_index, follows_a_clock_that_is_set_back)
{
    struct model *m = calloc(1, sizeof *m);
    m->now_ms = INT64_C(1700000000000);
    set_deadline(m, 1, m->now_ms + 10000);
    m->now_ms += 9000;
    settle(m);
    m->now_ms -= INT64_C(86400000);
    set_deadline(m, 2, m->now_ms + 1000);
    CHECK(expire_index_due_ms(&m->index) <= m->now_ms + 1000 + 2 * EXPIRE_TICK_MS);
    m->now_ms += 1000 + 2 * EXPIRE_TICK_MS;
    CHECK_EQ(settle(m), 1);
    CHECK(m->deadline[2] == 0 && m->deadline[1] != 0);
    expire_index_clear(&m->index);
    free(m);
}

TEST(expire_index, sweeping_finds_duplicates)
{
    struct model *m = calloc(1, sizeof *m);
    m->now_ms = INT64_C(1700000000000);
    for (int i = 0; i < 1000; i++)
        REQUIRE(expire_index_add(&m->index, 5, m->now_ms + 100000 + i % 3, m->now_ms));
    m->deadline[5] = m->now_ms + 100001;
    for (int i = 0; i < 4; i++) {
        expire_index_sweep(&m->index);
        settle(m);
    }
    CHECK_EQ(m->index.items, 1);
    m->now_ms += 100000 + 3 * EXPIRE_TICK_MS;
    CHECK_EQ(settle(m), 1);
    expire_index_clear(&m->index);
    free(m);
}
