/* offload_test.c - the thread pool: nobody else is stalled, lanes are bounded and apart, threads end,
 * and what a context's end does to a call that waits for a thread. */
#include "runtime/sched/offload.h"

#include "runtime/sched/schedule.h"
#include "support/testing.h"
#include "support/ticker.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <tuco.h>
#include <unistd.h>

static atomic_int running, most, calls, finished;

static void slow_call(void *arg)
{
    int now = atomic_fetch_add(&running, 1) + 1, seen = atomic_load(&most);
    while (now > seen && !atomic_compare_exchange_weak(&most, &seen, now)) {
    }
    usleep((useconds_t)(uintptr_t)arg);
    atomic_fetch_add(&calls, 1);
    atomic_fetch_sub(&running, 1);
}

static void caller(uintptr_t us)
{
    CHECK_EQ(tu_blocking_call(slow_call, (void *)us), 0);
    atomic_fetch_add(&finished, 1);
}

static void until(atomic_int *word, int value)
{
    for (int i = 0; i < 4000 && atomic_load(word) != value; i++)
        (void)tu_sleep(5 * TU_MS);
    CHECK_EQ(atomic_load(word), value);
}

static int64_t allowed(int64_t ns)
{
    const char *factor = getenv("TEST_TIME_FACTOR");
    return ns * (factor ? atoi(factor) : 1);
}

/* 64 calls of 200 ms: without threads of their own they would hold every P, by turns, for seconds. */
GO_TEST(offload, others_are_never_stalled)
{
    int64_t began = tu_now();
    for (int i = 0; i < 64; i++)
        CHECK_EQ(tu_go(caller, (uintptr_t)200000), 0);
    CHECK(tick_until(&finished, 64) < 20 * TU_MS);
    CHECK(tu_now() - began < allowed(2 * TU_S));
    CHECK(atomic_load(&most) > 8 && atomic_load(&most) <= 64);
    CHECK_EQ(atomic_load(&calls), 64);
}

static atomic_bool gate;

static void gated_call(void *arg)
{
    atomic_fetch_add(&running, 1);
    while (!atomic_load(&gate))
        usleep(1000);
}

static void gated_caller(void)
{
    CHECK_EQ(tu_blocking_call(gated_call, NULL), 0);
    atomic_fetch_add(&finished, 1);
}

/* The 65th and later wait for a thread, and the other lanes do not wait for them. */
GO_TEST(offload, bounded_and_apart)
{
    for (int i = 0; i < 200; i++)
        CHECK_EQ(tu_go(gated_caller), 0);
    struct tu__offload_stats s;
    do {
        (void)tu_sleep(TU_MS);
        s = tu__offload_stats();
    } while (s.running[LANE_CALL] + s.queued[LANE_CALL] < 200 || s.running[LANE_CALL] < 64);
    CHECK_EQ(s.running[LANE_CALL], 64);
    CHECK_EQ(tu__offload_call(LANE_FILE, slow_call, NULL), 0);
    CHECK_EQ(atomic_load(&calls), 1);
    s = tu__offload_stats();
    CHECK(s.threads <= 65);
    CHECK_EQ(s.queued[LANE_CALL], 136);
    atomic_store(&gate, true);
    until(&finished, 200);
}

static void deep(void *arg)
{
    char big[4 << 20];
    memset(big, 1, sizeof big);
    __asm__ volatile("" : : "r"(big) : "memory");
    *(bool *)arg = !tu_on_goroutine();
}

GO_TEST(offload, big_stack_on_a_plain_thread)
{
    bool plain = false;
    CHECK_EQ(tu_blocking_call(deep, &plain), 0);
    CHECK(plain);
}

TEST(offload, from_a_plain_thread_without_runtime)
{
    CHECK_EQ(tu_blocking_call(slow_call, (void *)1000), 0);
    CHECK_EQ(atomic_load(&calls), 1);
}

static void call_in(tu_context *ctx, int *rc)
{
    tu_in_context(ctx) {
        *rc = tu_blocking_call(slow_call, (void *)1000);
    }
    atomic_fetch_add(&finished, 1);
}

/* Queued: withdrawn and never called. */
TEST(offload, a_cancelled_call_that_waits_is_not_made)
{
    struct tu_options one = {.blocking_calls = 1};
    REQUIRE(tu_start(&one) == 0);
    CHECK_EQ(tu_go(caller, (uintptr_t)300000), 0);
    until(&running, 1);
    tu_context *ctx = tu_with_cancel(NULL), *timed = tu_with_timeout(NULL, 20 * TU_MS);
    int rc[2] = {1, 1};
    CHECK_EQ(tu_go(call_in, ctx, &rc[0]), 0);
    CHECK_EQ(tu_go(call_in, timed, &rc[1]), 0);
    until(&finished, 1);
    CHECK_EQ(rc[1], -ETIMEDOUT);
    CHECK_EQ(atomic_load(&tu__sched.foreign_operations), 2);
    tu_context_cancel(ctx, -ECANCELED);
    until(&finished, 3); /* and the slow one */
    CHECK_EQ(rc[0], -ECANCELED);
    CHECK_EQ(atomic_load(&calls), 1);
    tu_in_context(ctx) {
        CHECK_EQ(tu_blocking_call(slow_call, NULL), -ECANCELED);
    }
    CHECK_EQ(atomic_load(&calls), 1);
    CHECK_EQ(atomic_load(&tu__sched.foreign_operations), 0);
    tu_context_release(ctx);
    tu_context_release(timed);
}

/* Running: its argument is the caller's, so it is waited for, and has happened. */
GO_TEST(offload, a_cancelled_call_that_runs_is_waited_for)
{
    tu_context *ctx = tu_with_timeout(NULL, 20 * TU_MS);
    tu_in_context(ctx) {
        int64_t began = tu_now();
        CHECK_EQ(tu_blocking_call(slow_call, (void *)150000), 0);
        CHECK(tu_now() - began >= 150 * TU_MS);
        CHECK_EQ(tu_context_error(ctx), -ETIMEDOUT);
    }
    tu_context_release(ctx);
}

static void nested(void *arg)
{
    CHECK_EQ(tu__offload_call(LANE_FILE, slow_call, arg), 0); /* a pool thread is a plain thread */
}

static void churn(int rounds)
{
    for (int i = 0; i < rounds; i++) {
        tu_context *ctx = tu_with_timeout(NULL, (i % 20) * 10 * TU_US);
        tu_in_context(ctx) {
            int rc = tu_blocking_call(nested, (void *)(uintptr_t)(i % 7));
            CHECK(rc == 0 || rc == -ETIMEDOUT);
        }
        tu_context_release(ctx);
    }
    atomic_fetch_add(&finished, 1);
}

/* Contexts end before, while, and after the call is queued, taken and finished. */
TEST(offload, ends_race_with_calls)
{
    struct tu_options few = {.blocking_calls = 3};
    REQUIRE(tu_start(&few) == 0);
    for (int i = 0; i < 20; i++)
        CHECK_EQ(tu_go(churn, 200), 0);
    until(&finished, 20);
    struct tu__offload_stats s = tu__offload_stats();
    CHECK_EQ(s.queued[LANE_CALL] + s.queued[LANE_FILE], 0);
    CHECK_EQ(atomic_load(&tu__sched.foreign_operations), 0);
}

GO_TEST(offload, idle_threads_end)
{
    for (int i = 0; i < 10; i++)
        CHECK_EQ(tu_go(caller, (uintptr_t)20000), 0);
    until(&finished, 10);
    CHECK(tu__offload_stats().threads > 0);
    for (int i = 0; i < 480 && tu__offload_stats().threads > 0; i++)
        (void)tu_sleep(50 * TU_MS);
    CHECK_EQ(tu__offload_stats().threads, 0);
    CHECK_EQ(tu__offload_stats().idle, 0);
    CHECK_EQ(tu_go(caller, (uintptr_t)1000), 0);
    until(&finished, 11);
}
