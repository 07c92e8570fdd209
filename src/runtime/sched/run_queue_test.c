/* run_queue_test.c - the ring of a P against a plain array, and with thieves: each item comes out exactly once. */
#include "runtime/sched/run_queue.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "support/testing.h"

enum { ITEMS = 1000 };
static struct runnable items[ITEMS];

/* A full ring refuses, an empty one gives NULL, at every position of head and tail; Go: TestSchedLocalQueue. */
TEST(run_queue, fills_and_drains_at_every_position)
{
    static struct run_queue q;
    for (uint32_t shift = 0; shift < 2 * RUN_QUEUE_SIZE + 3; shift++) {
        uint32_t n = shift % RUN_QUEUE_SIZE + 1;
        CHECK(run_queue_get(&q) == NULL);
        for (uint32_t i = 0; i < n; i++) {
            REQUIRE(run_queue_put(&q, &items[i]));
            CHECK_EQ(run_queue_length(&q), i + 1);
            CHECK(!run_queue_empty(&q));
        }
        if (n == RUN_QUEUE_SIZE)
            CHECK(!run_queue_put(&q, &items[0]));
        for (uint32_t i = 0; i < n; i++)
            CHECK(run_queue_get(&q) == &items[i]);
        CHECK(run_queue_empty(&q));
    }
}

/* A theft takes the older half, rounded up, in order, for every length; Go: TestSchedLocalQueueSteal. */
TEST(run_queue, theft_of_every_length)
{
    static struct run_queue from, to;
    for (uint32_t n = 0; n <= RUN_QUEUE_SIZE; n++) {
        for (uint32_t i = 0; i < n; i++)
            REQUIRE(run_queue_put(&from, &items[i]));
        struct runnable *got = run_queue_steal(&to, &from, false);
        uint32_t taken = n - n / 2;
        CHECK(got == (n ? &items[taken - 1] : NULL));
        CHECK_EQ(run_queue_length(&to), taken ? taken - 1 : 0);
        CHECK_EQ(run_queue_length(&from), n / 2);
        for (uint32_t i = 0; i + 1 < taken; i++)
            CHECK(run_queue_get(&to) == &items[i]);
        for (uint32_t i = taken; i < n; i++)
            CHECK(run_queue_get(&from) == &items[i]);
        CHECK(run_queue_empty(&from) && run_queue_empty(&to));
    }
}

/* What was made ready last is stolen only when asked for, and only when the ring is empty. */
TEST(run_queue, runnext_goes_last)
{
    static struct run_queue from, to;
    atomic_store(&from.runnext, &items[7]);
    CHECK(run_queue_put(&from, &items[1]));
    CHECK(!run_queue_empty(&from));
    CHECK(run_queue_steal(&to, &from, true) == &items[1]);
    CHECK(run_queue_steal(&to, &from, false) == NULL);
    CHECK(!run_queue_empty(&from));
    CHECK(run_queue_steal(&to, &from, true) == &items[7]);
    CHECK(run_queue_steal(&to, &from, true) == NULL);
    CHECK(run_queue_empty(&from) && run_queue_empty(&to));
}

/* Random puts, gets, thefts and overflows of two rings, beside two arrays that do the same slowly. */
TEST(run_queue, model)
{
    static struct run_queue q[2];
    static struct runnable *model[2][RUN_QUEUE_SIZE];
    uint32_t count[2] = {0, 0};
    srand(3);
    for (int step = 0; step < 200000; step++) {
        int a = rand() % 2, b = 1 - a, what = rand() % 100, phase = step / 1000 % 2 ? 70 : 30;
        struct runnable *r = &items[rand() % ITEMS], *half[RUN_QUEUE_SIZE / 2];
        if (what < phase) {
            bool room = count[a] < RUN_QUEUE_SIZE;
            REQUIRE(run_queue_put(&q[a], r) == room);
            if (room) {
                model[a][count[a]++] = r;
            } else if (rand() % 4 == 0) {
                REQUIRE(run_queue_take_half(&q[a], half) == RUN_QUEUE_SIZE / 2);
                REQUIRE(memcmp(half, model[a], sizeof half) == 0);
                count[a] -= RUN_QUEUE_SIZE / 2;
                memmove(model[a], model[a] + RUN_QUEUE_SIZE / 2, count[a] * sizeof *model[a]);
            }
        } else if (count[a] > 0 || what % 2) {
            struct runnable *got = run_queue_get(&q[a]);
            REQUIRE(got == (count[a] ? model[a][0] : NULL));
            if (got)
                memmove(model[a], model[a] + 1, --count[a] * sizeof *model[a]);
        } else {
            uint32_t taken = count[b] - count[b] / 2;
            struct runnable *got = run_queue_steal(&q[a], &q[b], false);
            REQUIRE(got == (taken ? model[b][taken - 1] : NULL));
            if (got) {
                memcpy(model[a], model[b], (taken - 1) * sizeof *model[a]);
                count[a] = taken - 1;
                count[b] -= taken;
                memmove(model[b], model[b] + taken, count[b] * sizeof *model[b]);
            }
        }
        REQUIRE(run_queue_length(&q[a]) == count[a] && run_queue_length(&q[b]) == count[b]);
    }
}

/* ---- with threads ---- */

enum { THIEVES = 3, PASSES = 200000 };
static struct run_queue shared;
static atomic_uint taken_by_thieves;
static atomic_bool over;
static struct runnable pass[PASSES];
static atomic_uchar seen[PASSES];

static void note(struct runnable *r)
{
    CHECK_EQ(atomic_fetch_add(&seen[r - pass], 1), 0);
}

static void *steal_all(void *arg)
{
    struct run_queue *own = arg;
    for (;;) {
        bool last = atomic_load(&over);
        struct runnable *r = run_queue_steal(own, &shared, true);
        unsigned n = 0;
        for (; r; r = run_queue_get(own), n++)
            note(r);
        atomic_fetch_add(&taken_by_thieves, n);
        if (last && n == 0)
            return NULL;
    }
}

/* An owner that puts, gets, overflows and uses runnext beside three thieves: nothing lost, nothing twice; Go:
 * TestSchedLocalQueueSteal, with real thieves. */
TIMEOUT_TEST(run_queue, nothing_lost_among_thieves, 60)
{
    static struct run_queue own[THIEVES];
    pthread_t threads[THIEVES];
    unsigned mine = 0;
    for (int i = 0; i < THIEVES; i++)
        REQUIRE(pthread_create(&threads[i], NULL, steal_all, &own[i]) == 0);
    for (int i = 0; i < PASSES;) {
        int burst = i % 400 + 1;
        for (; burst > 0 && i < PASSES; burst--, i++) {
            struct runnable *r = &pass[i], *half[RUN_QUEUE_SIZE / 2];
            if (i % 3 == 0)
                r = atomic_exchange(&shared.runnext, r);
            while (r && !run_queue_put(&shared, r)) {
                uint32_t n = run_queue_take_half(&shared, half);
                for (uint32_t k = 0; k < n; k++, mine++)
                    note(half[k]);
            }
        }
        for (struct runnable *r; i % 5 < 3 && (r = run_queue_get(&shared)) != NULL; mine++)
            note(r);
    }
    struct runnable *rest;
    while ((rest = run_queue_get(&shared)) != NULL ||
           (rest = atomic_exchange(&shared.runnext, NULL))) {
        note(rest);
        mine++;
    }
    atomic_store(&over, true);
    for (int i = 0; i < THIEVES; i++)
        pthread_join(threads[i], NULL);
    CHECK_EQ(mine + atomic_load(&taken_by_thieves), PASSES);
    for (int i = 0; i < PASSES; i++)
        REQUIRE(atomic_load(&seen[i]) == 1);
}
