/* weighted_test.c - the semaphore; the behaviours of Go's x/sync/semaphore tests, and threads beside them. */
#include <tuco.h>

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/sched/park.h"
#include "support/testing.h"

#define EVENTUALLY(c)                                       \
    do {                                                    \
        for (int tries = 0; !(c) && tries < 20000; tries++) \
            (void)tu_sleep(100 * TU_US);                    \
        REQUIRE(c);                                         \
    } while (0)

TEST(semaphore, takes_and_gives_back)
{
    struct tu_semaphore s = TU_SEMAPHORE(3);
    CHECK_EQ(tu_semaphore_acquire(&s, 2), 0);
    CHECK(tu_semaphore_try_acquire(&s, 1));
    CHECK(!tu_semaphore_try_acquire(&s, 1));
    CHECK(tu_semaphore_try_acquire(&s, 0));
    tu_semaphore_release(&s, 1);
    CHECK(!tu_semaphore_try_acquire(&s, 2));
    tu_semaphore_release(&s, 2);
    CHECK(tu_semaphore_try_acquire(&s, 3));
    CHECK_EQ(tu_semaphore_acquire(&s, 4), -EINVAL); /* Go: TestWeightedDoesntBlockIfTooBig */
    tu_semaphore_release(&s, 3);
    CHECK_EQ(s.available, 3);
    struct tu_semaphore none = {0};
    CHECK_EQ(tu_semaphore_acquire(&none, 1), -EINVAL);
    CHECK_EQ(tu_semaphore_acquire(&none, 0), 0);
}

static void release_unacquired(void)
{
    struct tu_semaphore s = TU_SEMAPHORE(1);
    tu_semaphore_release(&s, 1);
}

static void release_negative(void)
{
    struct tu_semaphore s = TU_SEMAPHORE(1);
    if (tu_semaphore_try_acquire(&s, 1))
        tu_semaphore_release(&s, -1);
}

static void acquire_negative(void)
{
    struct tu_semaphore s = TU_SEMAPHORE(1);
    (void)!tu_semaphore_acquire(&s, -1);
}

static bool aborts(void (*fn)(void))
{
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        if (!freopen("/dev/null", "w", stderr))
            _exit(0);
        fn();
        _exit(0);
    }
    int status = 0;
    REQUIRE(waitpid(pid, &status, 0) == pid);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

/* Go: TestWeightedPanic, TestWeightedReleaseUnacquired. */
TEST(semaphore, mistakes_abort)
{
    CHECK(aborts(release_unacquired));
    CHECK(aborts(release_negative));
    CHECK(aborts(acquire_negative));
}

struct hammer {
    struct tu_semaphore s;
    int64_t size;
    _Atomic int64_t held;
    struct tu_wait_group done;
};

static void hammer(struct hammer *h, unsigned seed)
{
    for (int i = 0; i < 1000; i++) {
        int64_t n = 1 + rand_r(&seed) % h->size;
        if (i % 4 == 3) {
            if (!tu_semaphore_try_acquire(&h->s, n))
                continue;
        } else {
            CHECK_EQ(tu_semaphore_acquire(&h->s, n), 0);
        }
        int64_t held = atomic_fetch_add(&h->held, n) + n;
        CHECK(held <= h->size);
        if (i % 8 == 0)
            tu_yield();
        atomic_fetch_sub(&h->held, n);
        tu_semaphore_release(&h->s, n);
    }
    tu_wait_group_done(&h->done);
}

static void *hammer_thread(void *arg)
{
    hammer(arg, 99);
    return NULL;
}

/* Go: TestWeighted. */
GO_TEST(semaphore, never_more_than_there_are)
{
    struct hammer h = {.s = TU_SEMAPHORE(7), .size = 7};
    pthread_t threads[2];
    tu_wait_group_add(&h.done, 12);
    for (unsigned i = 0; i < 10; i++)
        REQUIRE(tu_go(hammer, &h, i) == 0);
    for (int i = 0; i < 2; i++)
        REQUIRE(pthread_create(&threads[i], NULL, hammer_thread, &h) == 0);
    CHECK_EQ(tu_wait_group_wait(&h.done), 0);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    CHECK_EQ(h.s.available, 7);
    CHECK(!h.s.head && !h.s.tail);
}

/* ---- order ---- */

static int order[8];
static atomic_int next, order_count;

static void note(struct tu_semaphore *s, int64_t n, int who)
{
    CHECK_EQ(tu_semaphore_acquire(s, n), 0);
    order[atomic_fetch_add(&next, 1)] = who;
    atomic_fetch_add(&order_count, 1);
}

static int waiters(struct tu_semaphore *s)
{
    int n = 0;
    tu__lock((struct tu__lock *)&s->lock);
    for (struct tu__place *p = s->head; p; p = p->next)
        n++;
    tu__unlock((struct tu__lock *)&s->lock);
    return n;
}

GO_TEST(semaphore, first_come_first_served)
{
    struct tu_semaphore s = TU_SEMAPHORE(4);
    REQUIRE(tu_semaphore_acquire(&s, 4) == 0);
    static const int64_t needs[] = {3, 1, 4, 1, 1};
    for (int i = 0; i < 5; i++) {
        REQUIRE(tu_go(note, &s, needs[i], i) == 0);
        EVENTUALLY(waiters(&s) == i + 1);
    }
    tu_semaphore_release(&s, 2);
    CHECK(!tu_semaphore_try_acquire(&s, 1)); /* two are there, but others were first */
    CHECK_EQ(tu_sleep(2 * TU_MS), 0);
    CHECK_EQ(atomic_load(&order_count), 0);
    tu_semaphore_release(&s, 2);
    EVENTUALLY(atomic_load(&order_count) == 2); /* 3 and 1 */
    CHECK_EQ(order[0] + order[1], 1);
    tu_semaphore_release(&s, 3);
    CHECK_EQ(tu_sleep(2 * TU_MS), 0);
    CHECK_EQ(atomic_load(&order_count), 2);
    tu_semaphore_release(&s, 1);
    EVENTUALLY(atomic_load(&order_count) == 3);
    CHECK_EQ(order[2], 2);
    tu_semaphore_release(&s, 4);
    EVENTUALLY(atomic_load(&order_count) == 5);
    CHECK_EQ(s.available, 2);
    tu_semaphore_release(&s, 2);
}

static void small_ones(struct tu_semaphore *s, atomic_bool *stop, struct tu_wait_group *done)
{
    while (!atomic_load(stop)) {
        CHECK_EQ(tu_semaphore_acquire(s, 1), 0);
        CHECK_EQ(tu_sleep(50 * TU_US), 0);
        tu_semaphore_release(s, 1);
    }
    tu_wait_group_done(done);
}

/* Go: TestLargeAcquireDoesntStarve. */
GO_TEST(semaphore, large_request_is_not_starved)
{
    enum { SIZE = 8 };
    struct tu_semaphore s = TU_SEMAPHORE(SIZE);
    struct tu_wait_group done = {0};
    atomic_bool stop = false;
    tu_wait_group_add(&done, 2 * SIZE);
    for (int i = 0; i < 2 * SIZE; i++)
        REQUIRE(tu_go(small_ones, &s, &stop, &done) == 0);
    for (int i = 0; i < 20; i++) {
        CHECK_EQ(tu_semaphore_acquire(&s, SIZE), 0);
        CHECK_EQ(s.available, 0);
        tu_semaphore_release(&s, SIZE);
    }
    atomic_store(&stop, true);
    CHECK_EQ(tu_wait_group_wait(&done), 0);
    CHECK_EQ(s.available, SIZE);
}

/* ---- contexts ---- */

static void acquire_in(struct tu_semaphore *s, int64_t n, tu_context *ctx, int *rc,
                       struct tu_wait_group *done)
{
    tu_in_context(ctx) {
        *rc = tu_semaphore_acquire(s, n);
    }
    tu_wait_group_done(done);
}

/* Go: TestWeightedAcquireCanceled, TestAllocCancelDoesntStarve: who waits behind a large request
 * that is given up gets its turn at that moment. */
GO_TEST(semaphore, cancelled_waiter_lets_others_pass)
{
    struct tu_semaphore s = TU_SEMAPHORE(10);
    struct tu_wait_group done = {0};
    tu_context *ctx = tu_with_cancel(NULL);
    int large = 1, small[3] = {1, 1, 1};
    REQUIRE(tu_semaphore_acquire(&s, 2) == 0);
    tu_wait_group_add(&done, 4);
    REQUIRE(tu_go(acquire_in, &s, (int64_t)10, ctx, &large, &done) == 0);
    EVENTUALLY(waiters(&s) == 1);
    for (int i = 0; i < 3; i++)
        REQUIRE(tu_go(acquire_in, &s, (int64_t)2, (tu_context *)NULL, &small[i], &done) == 0);
    EVENTUALLY(waiters(&s) == 4);
    tu_context_cancel(ctx, -EIO);
    CHECK_EQ(tu_wait_group_wait(&done), 0);
    CHECK_EQ(large, -EIO);
    for (int i = 0; i < 3; i++)
        CHECK_EQ(small[i], 0);
    CHECK_EQ(s.available, 2);
    tu_in_context(ctx) {
        CHECK_EQ(tu_semaphore_acquire(&s, 2), 0); /* needs no wait: it is done all the same */
        CHECK_EQ(tu_semaphore_acquire(&s, 1), -EIO);
    }
    tu_semaphore_release(&s, 10);
    tu_cancel(ctx);
}

static void try_for_a_while(struct tu_semaphore *s, unsigned seed, atomic_int *got,
                            struct tu_wait_group *done)
{
    for (int i = 0; i < 200; i++) {
        int64_t n = 1 + rand_r(&seed) % 3;
        tu_context *ctx = tu_with_timeout(NULL, rand_r(&seed) % 200 * TU_US);
        tu_in_context(ctx) {
            int rc = tu_semaphore_acquire(s, n);
            CHECK(rc == 0 || rc == -ETIMEDOUT);
            if (rc == 0) {
                atomic_fetch_add(got, 1);
                (void)tu_sleep(rand_r(&seed) % 100 * TU_US);
                tu_semaphore_release(s, n);
            }
        }
        tu_cancel(ctx);
    }
    tu_wait_group_done(done);
}

/* Deadlines race with releases: no unit is lost, none is handed out twice. */
GO_TEST(semaphore, context_races_with_release)
{
    struct tu_semaphore s = TU_SEMAPHORE(3);
    struct tu_wait_group done = {0};
    atomic_int got = 0;
    tu_wait_group_add(&done, 8);
    for (unsigned i = 0; i < 8; i++)
        REQUIRE(tu_go(try_for_a_while, &s, i, &got, &done) == 0);
    CHECK_EQ(tu_wait_group_wait(&done), 0);
    CHECK_EQ(s.available, 3);
    CHECK(!s.head && !s.tail);
    CHECK(atomic_load(&got) > 0);
}
