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
    int64_t deadline[KEYS]; /* by number; 0: none */
    int64_t now_ms;
};

/* With the top eight bits that a carrying index is told of, and something in those that it loses. */
static const uint64_t common = UINT64_C(0xa7) << 56;

static uint64_t hash_of(const struct model *m, uint64_t number)
{
    return m->index.carries ? common | number << 44 | number << 4 | (number & 15) : number;
}

static uint64_t number_of(const struct model *m, uint64_t hash)
{
    uint64_t number = m->index.carries ? hash >> 4 & 0xfff : hash;
    REQUIRE(number < KEYS);
    CHECK_EQ(hash, m->index.carries ? common | number << 44 | number << 4 : number);
    return number;
}

/* What a keyspace does with the items that are due; counts what is over. */
static size_t settle(struct model *m)
{
    uint64_t hashes[7];
    size_t count, over = 0;
    while ((count = expire_index_take(&m->index, m->now_ms, hashes, 7)) > 0) {
        for (size_t i = 0; i < count; i++) {
            uint64_t h = number_of(m, hashes[i]);
            if (m->deadline[h] == 0)
                continue;
            if (m->deadline[h] <= m->now_ms) {
                m->deadline[h] = 0;
                over++;
            } else {
                REQUIRE(expire_index_add(&m->index, hash_of(m, h), m->deadline[h], m->now_ms));
            }
        }
        expire_index_verify(&m->index);
    }
    return over;
}

static void set_deadline(struct model *m, uint64_t h, int64_t at_ms)
{
    if (m->deadline[h] == 0 || at_ms < m->deadline[h])
        REQUIRE(expire_index_add(&m->index, hash_of(m, h), at_ms, m->now_ms));
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

static void agrees_with_a_list(unsigned shared_bits)
{
    struct model *m = calloc(1, sizeof *m);
    struct random_state r;
    random_init(&r, 21);
    expire_index_share(&m->index, common, shared_bits);
    CHECK_EQ(m->index.carries, shared_bits == 8);
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

TEST(expire_index, agrees_with_a_list)
{
    agrees_with_a_list(0);
}

TEST(expire_index, agrees_with_a_list_when_items_carry_digits)
{
    agrees_with_a_list(8);
}

/* Nothing is handed out that is not due, from one level to the next. */
TEST(expire_index, no_look_at_the_table_on_the_way_down)
{
    struct model *m = calloc(1, sizeof *m);
    int64_t start = INT64_C(1700000000000);
    expire_index_share(&m->index, common, 8);
    m->now_ms = start;
    for (uint64_t h = 0; h < KEYS; h++)
        set_deadline(m, h, start + 100000 + (int64_t)h * 100);
    size_t over = 0, looked_at = 0;
    for (int i = 0; i < 20000; i++) {
        uint64_t hashes[KEYS];
        m->now_ms += 20;
        size_t count = expire_index_take(&m->index, m->now_ms, hashes, KEYS);
        looked_at += count;
        for (size_t j = 0; j < count; j++)
            over += m->deadline[number_of(m, hashes[j])] <= m->now_ms;
        expire_index_verify(&m->index);
    }
    CHECK_EQ(over, KEYS);
    CHECK_EQ(looked_at, KEYS);
    expire_index_clear(&m->index);
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
    expire_index_share(&m->index, common, 8);
    m->now_ms = INT64_C(1700000000000);
    for (int i = 0; i < 1000; i++)
        REQUIRE(expire_index_add(&m->index, hash_of(m, 5), m->now_ms + 100000 + i % 3, m->now_ms));
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
