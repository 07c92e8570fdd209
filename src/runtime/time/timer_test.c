/* timer_test.c - timers, tickers, and who fires them. What Go's own tests demand is named beside each. */
#include <tuco.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/time/timer.h"
#include "support/testing.h"

static atomic_int calls;

static void bump(atomic_int *n)
{
    atomic_fetch_add(n, 1);
}

static bool reaches(atomic_int *n, int target, int64_t limit_ns)
{
    int64_t until = tu_now() + limit_ns;
    while (atomic_load(n) < target && tu_now() < until)
        if (tu_sleep(100 * TU_US) < 0)
            return false;
    return atomic_load(n) == target;
}

/* ---- the channel kind ---- */

GO_TEST(timer, sends_the_time_once)
{
    int64_t start = tu_now(), at = 0;
    tu_timer *t = tu_timer_make(5 * TU_MS);
    REQUIRE(tu_recv(tu_timer_chan(t), &at) == 0);
    CHECK(at - start >= 5 * TU_MS);
    CHECK(tu_now() >= at);
    CHECK_EQ(tu_sleep(10 * TU_MS), 0);
    CHECK_EQ(tu_try_recv(tu_timer_chan(t), &at), -EAGAIN);
    CHECK(!tu_timer_stop(t));
    tu_timer_free(t);
    tu_timer_free(NULL);
    t = tu_timer_make(-7);
    CHECK_EQ(tu_recv(tu_timer_chan(t), &at), 0);
    tu_timer_free(t);
    t = tu_timer_make(TU_NEVER - 1); /* beyond the end of the clock */
    CHECK(tu_timer_stop(t));
    tu_timer_free(t);
}

/* Go: TestStopResult, TestResetResult, and 1.23's promise of no stale value. */
GO_TEST(timer, stop_and_reset_leave_nothing_behind)
{
    int64_t at;
    tu_timer *t = tu_timer_make(TU_NEVER);
    CHECK(!tu_timer_stop(t));
    CHECK(!tu_timer_reset(t, TU_S));
    CHECK(tu_timer_reset(t, 10 * TU_S));
    CHECK(tu_timer_stop(t));
    CHECK(!tu_timer_stop(t));
    for (int i = 0; i < 20; i++) { /* its value lies in the channel, unreceived: it was in time */
        CHECK(!tu_timer_reset(t, 0));
        while (tu_channel_length(tu_timer_channel(t)) == 0)
            tu_yield();
        int64_t reset_at = tu_now();
        CHECK(i % 2 ? tu_timer_stop(t) : tu_timer_reset(t, 20 * TU_MS));
        if (i % 2 == 0) {
            CHECK_EQ(tu_recv(tu_timer_chan(t), &at), 0);
            CHECK(at - reset_at >= 20 * TU_MS);
        }
        CHECK_EQ(tu_try_recv(tu_timer_chan(t), &at), -EAGAIN);
    }
    tu_timer_free(t);
}

/* The race of it: whatever the moment of the stop, either the value had been received before or
 * none comes. Resets at full speed are never served early. */
GO_TEST(timer, stop_races_the_fire)
{
    tu_timer *t = tu_timer_make(TU_NEVER);
    tu_chan(int64_t) c = tu_timer_chan(t);
    int64_t at;
    int in_time = 0, late = 0;
    for (int i = 0; i < 4000; i++) {
        (void)tu_timer_reset(t, (i % 50) * TU_US);
        for (int64_t until = tu_now() + (i % 37) * TU_US; tu_now() < until;)
            tu_yield();
        bool received = tu_try_recv(c, &at) == 0;
        bool stopped = tu_timer_stop(t);
        CHECK_EQ(stopped, !received);
        CHECK_EQ(tu_try_recv(c, &at), -EAGAIN);
        received ? late++ : in_time++;
    }
    CHECK(in_time > 0 && late > 0);
    for (int i = 0; i < 2000; i++) {
        int64_t from = tu_now();
        (void)tu_timer_reset(t, 30 * TU_US);
        if (i % 3 == 0 && tu_recv(c, &at) == 0)
            CHECK(at >= from + 30 * TU_US);
        tu_yield();
    }
    tu_timer_free(t);
}

/* Several at once reset, stop and receive: nothing tears, and at most one value per start is seen. */
static void reset_and_stop(tu_timer *t, atomic_int *starts, atomic_int *running)
{
    for (int i = 0; i < 2000; i++) {
        atomic_fetch_add(starts, 1);
        (void)tu_timer_reset(t, i % 20 * TU_US);
        if (i % 3 == 0)
            tu_yield();
        if (i % 5 == 0)
            (void)tu_timer_stop(t);
    }
    atomic_fetch_sub(running, 1);
}

/* Go: TestTimerStopStress, TestConcurrentTimerReset, TestConcurrentTimerResetStop. */
GO_TEST(timer, resets_and_stops_at_once)
{
    tu_timer *t = tu_timer_make(TU_NEVER);
    atomic_int starts = 0, running = 4;
    int received = 0;
    int64_t at;
    for (int i = 0; i < 4; i++)
        REQUIRE(tu_go(reset_and_stop, t, &starts, &running) == 0);
    while (atomic_load(&running) > 0) {
        if (tu_try_recv(tu_timer_chan(t), &at) == 0)
            received++;
        tu_yield();
    }
    CHECK(received <= atomic_load(&starts));
    (void)tu_timer_stop(t);
    CHECK_EQ(tu_sleep(5 * TU_MS), 0);
    CHECK_EQ(tu_try_recv(tu_timer_chan(t), &at), -EAGAIN);
    CHECK(!tu_timer_reset(t, 0)); /* and it still works */
    CHECK_EQ(tu_recv(tu_timer_chan(t), &at), 0);
    tu_timer_free(t);
}

static void *churn(void *unused)
{
    for (int i = 0; i < 300; i++) {
        tu_timer *t = i % 2 ? tu_timer_make(i % 60 * TU_US) : tu_ticker_make((1 + i % 30) * TU_US);
        int64_t at;
        if (i % 3 == 0)
            CHECK_EQ(tu_recv(tu_timer_chan(t), &at), 0);
        if (i % 5 == 0)
            tu_yield();
        tu_timer_free(t); /* while it fires, often */
    }
    return unused;
}

static void churn_goroutine(atomic_int *running)
{
    (void)churn(NULL);
    atomic_fetch_sub(running, 1);
}

GO_TEST(timer, freed_while_it_fires)
{
    atomic_int running = 6;
    pthread_t threads[2];
    for (int i = 0; i < 2; i++)
        pthread_create(&threads[i], NULL, churn, NULL);
    for (int i = 0; i < 6; i++)
        REQUIRE(tu_go(churn_goroutine, &running) == 0);
    while (atomic_load(&running) > 0)
        CHECK_EQ(tu_sleep(TU_MS), 0);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
}

/* ---- the calling kind ---- */

GO_TEST(timer, calls_a_function)
{
    tu_timer *t = tu_timer_call(2 * TU_MS, bump, &calls);
    CHECK(reaches(&calls, 1, TU_S));
    CHECK(!tu_timer_stop(t));
    CHECK(!tu_timer_reset(t, 0));
    CHECK(reaches(&calls, 2, TU_S));
    CHECK(!tu_timer_reset(t, TU_S));
    CHECK(tu_timer_stop(t));
    tu_timer_free(t);
    t = tu_timer_call(TU_NEVER, bump, &calls);
    CHECK_EQ(tu_sleep(5 * TU_MS), 0);
    CHECK(!tu_timer_stop(t));
    tu_timer_free(t);
    CHECK_EQ(atomic_load(&calls), 2);
}

struct self_stopper {
    tu_timer *timer;
    int rounds;
    bool frees;
    atomic_int finished;
};

/* Re-arms itself a few times, then stops or frees itself; each from inside its own call. */
static void from_inside(struct self_stopper *s)
{
    CHECK(tu_on_goroutine());
    CHECK(tu_context_current() == NULL);
    if (s->rounds-- > 0) {
        CHECK(!tu_timer_reset(s->timer, 10 * TU_US));
        return;
    }
    if (s->frees)
        tu_timer_free(s->timer);
    else
        CHECK(!tu_timer_stop(s->timer));
    atomic_fetch_add(&s->finished, 1);
}

GO_TEST(timer, stopped_and_freed_from_its_own_call)
{
    tu_context *ctx = tu_with_cancel(NULL); /* the call does not run in it */
    tu_in_context(ctx) {
        for (int i = 0; i < 200; i++) {
            struct self_stopper s = {.rounds = i % 5, .frees = i % 2};
            s.timer = tu_timer_call(TU_NEVER, from_inside, &s);
            CHECK(!tu_timer_reset(s.timer, 0));
            CHECK(reaches(&s.finished, 1, 2 * TU_S));
            if (!s.frees)
                tu_timer_free(s.timer);
        }
    }
    tu_cancel(ctx);
}

/* Go: TestAfterStress, TestAfterFuncStarvation: calls that each start the next are not starved by a
 * goroutine that yields all the time, nor it by them. */
struct chain {
    tu_timer *timer;
    atomic_int left, done;
};

static void next_in_chain(struct chain *c)
{
    if (atomic_fetch_sub(&c->left, 1) > 1)
        (void)tu_timer_reset(c->timer, 0);
    else
        atomic_store(&c->done, 1);
}

static void yield_all_the_time(atomic_bool *stop, atomic_int *yields)
{
    while (!atomic_load_explicit(stop, memory_order_relaxed)) {
        atomic_fetch_add_explicit(yields, 1, memory_order_relaxed);
        tu_yield();
    }
    bump(&calls);
}

GO_TEST(timer, calls_beside_those_who_yield)
{
    atomic_bool stop = false;
    atomic_int yields = 0;
    for (unsigned i = 0; i < 2 * tu_maxprocs(); i++)
        REQUIRE(tu_go(yield_all_the_time, &stop, &yields) == 0);
    struct chain c = {.left = 1000};
    c.timer = tu_timer_call(TU_NEVER, next_in_chain, &c);
    (void)tu_timer_reset(c.timer, 0);
    CHECK(reaches(&c.done, 1, 20 * TU_S));
    CHECK(atomic_load(&yields) > 1000);
    atomic_store(&stop, true);
    CHECK(reaches(&calls, (int)(2 * tu_maxprocs()), 10 * TU_S));
    tu_timer_free(c.timer);
}

/* ---- tickers ---- */

/* Go: TestTicker. Ticks lie at whole periods from the start. */
GO_TEST(ticker, ticks_at_whole_periods)
{
    int64_t start = tu_now(), at, before = 0;
    tu_timer *t = tu_ticker_make(2 * TU_MS);
    for (int i = 1; i <= 10; i++) {
        REQUIRE(tu_recv(tu_timer_chan(t), &at) == 0);
        CHECK(at - start >= i * 2 * TU_MS);
        CHECK(at > before);
        before = at;
    }
    start = tu_now();
    CHECK(tu_timer_reset(t, 5 * TU_MS)); /* Go: TestTickerReset */
    for (int i = 1; i <= 3; i++) {
        CHECK_EQ(tu_recv(tu_timer_chan(t), &at), 0);
        CHECK(at - start >= i * 5 * TU_MS);
    }
    CHECK(tu_timer_stop(t));
    CHECK(!tu_timer_stop(t));
    CHECK_EQ(tu_sleep(12 * TU_MS), 0);
    CHECK_EQ(tu_try_recv(tu_timer_chan(t), &at), -EAGAIN);
    CHECK(!tu_timer_reset(t, TU_MS)); /* starts again */
    CHECK_EQ(tu_recv(tu_timer_chan(t), &at), 0);
    tu_timer_free(t);
}

GO_TEST(ticker, drops_what_a_slow_receiver_misses)
{
    int64_t first, second;
    tu_timer *t = tu_ticker_make(TU_MS);
    CHECK_EQ(tu_sleep(20 * TU_MS), 0);
    int64_t before = tu_now();
    while (tu_channel_length(tu_timer_channel(t)) == 0)
        tu_yield();
    CHECK_EQ(tu_recv(tu_timer_chan(t), &first), 0);
    CHECK_EQ(tu_recv(tu_timer_chan(t), &second), 0);
    CHECK(second >= before); /* no burst of those that were missed */
    CHECK(second > first);
    tu_timer_free(t);
}

/* Go: TestMultiWakeupTicker (waking one ticker's reader must not lose another's ticks). */
static void count_ticks(int64_t period_ns, int ticks, atomic_int *done)
{
    tu_timer *t = tu_ticker_make(period_ns);
    int64_t at;
    for (int i = 0; i < ticks; i++)
        CHECK_EQ(tu_recv(tu_timer_chan(t), &at), 0);
    tu_timer_free(t);
    atomic_fetch_add(done, 1);
}

GO_TEST(ticker, many_at_once)
{
    atomic_int done = 0;
    for (int i = 0; i < 40; i++)
        REQUIRE(tu_go(count_ticks, (100 + i) * TU_US, 50, &done) == 0);
    CHECK(reaches(&done, 40, 20 * TU_S));
}

GO_TEST(ticker, in_a_select)
{
    int64_t start = tu_now();
    tu_timer *fast = tu_ticker_make(TU_MS), *slow = tu_ticker_make(4 * TU_MS);
    tu_timer *end = tu_timer_make(20 * TU_S);
    int fasts = 0, slows = 0;
    while (fasts < 20 || slows < 3)
        tu_select() {
            tu_on_recv(tu_timer_chan(fast), now) {
                CHECK(now >= start + ++fasts * TU_MS);
            }
            tu_on_recv(tu_timer_chan(slow), now) {
                CHECK(now >= start + ++slows * 4 * TU_MS);
            }
            tu_on_recv(tu_timer_chan(end), now) {
                CHECK(now >= start + 20 * TU_S);
                test_fail(__FILE__, __LINE__, "%d and %d ticks in 20 s", fasts, slows);
                fasts = slows = 1000;
            }
        }
    tu_timer_free(fast);
    tu_timer_free(slow);
    tu_timer_free(end);
}

static void *ticks_on_a_thread(void *arg)
{
    int64_t at;
    tu_timer *t = tu_ticker_make(TU_MS);
    for (int i = 0; i < 5; i++)
        CHECK_EQ(tu_recv(tu_timer_chan(t), &at), 0);
    tu_timer_free(t);
    t = tu_timer_call(TU_MS, bump, &calls);
    while (atomic_load((atomic_int *)arg) < 1)
        tu_sleep(TU_MS);
    tu_timer_free(t);
    return NULL;
}

GO_TEST(timer, on_a_plain_thread)
{
    pthread_t thread;
    pthread_create(&thread, NULL, ticks_on_a_thread, &calls);
    CHECK(reaches(&calls, 1, 10 * TU_S));
    pthread_join(thread, NULL);
}

/* ---- who fires ---- */

static void hog_until(atomic_bool *stop, atomic_int *running)
{
    atomic_fetch_add(running, 1);
    while (!atomic_load_explicit(stop, memory_order_relaxed)) {
    }
}

static void note_late(struct tu__timer *t, void *arg)
{
    atomic_store((_Atomic int64_t *)arg, tu_now() - t->when_ns);
}

/* Arms a timer on its own P, and then computes past the deadline. */
static void arm_and_hog(struct tu__timer *t, int64_t delay_ns, int64_t hog_ns,
                        _Atomic int64_t *late_ns, atomic_int *done)
{
    tu__timer_start(t, tu_now() + delay_ns, note_late, late_ns);
    for (int64_t until = tu_now() + hog_ns; tu_now() < until;) {
    }
    atomic_fetch_add(done, 1);
}

static int by_size(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* The P that holds the timer sits in one goroutine, another P is idle: that one fires it, long before the
 * 10 ms after which the P would be taken away. */
GO_TEST(timer, idle_p_fires_for_a_busy_one)
{
    if (tu_maxprocs() < 2)
        return;
    enum { ROUNDS = 40 };
    int64_t late[ROUNDS];
    for (int i = 0; i < ROUNDS; i++) {
        struct tu__timer t = {0};
        _Atomic int64_t late_ns = -1;
        atomic_int done = 0;
        REQUIRE(tu_go(arm_and_hog, &t, 1500 * TU_US, 9 * TU_MS, &late_ns, &done) == 0);
        while (atomic_load(&done) == 0)
            CHECK_EQ(tu_sleep(3 * TU_MS), 0); /* so that a P is idle meanwhile */
        (void)tu__timer_stop(&t);
        late[i] = atomic_load(&late_ns);
        CHECK(late[i] >= 0);
    }
    qsort(late, ROUNDS, sizeof late[0], by_size);
    printf("  a timer behind a hog: median %.2f ms late, worst %.2f\n",
           (double)late[ROUNDS / 2] / 1e6, (double)late[ROUNDS - 1] / 1e6);
    CHECK(late[ROUNDS / 4] <
          4 * TU_MS); /* the end of the hog is 7.5 ms late; other load may be, too */
}

static void fire_count(struct tu__timer *t, void *arg)
{
    (void)t;
    atomic_fetch_add((atomic_int *)arg, 1);
}

/* A goroutine arms a timer and hogs, hogs on all other Ps: the monitor has it fired. */
static void arm_then_hog(struct tu__timer *t, atomic_int *fired, atomic_bool *stop,
                         atomic_int *running)
{
    tu__timer_start(t, tu_now() + 2 * TU_MS, fire_count, fired);
    hog_until(stop, running);
}

static void *watch_hogs(void *arg)
{
    atomic_int *fired = arg;
    for (int64_t until = tu_now() + 10 * TU_S; atomic_load(fired) == 0 && tu_now() < until;)
        tu_sleep(TU_MS); /* a plain thread: it needs no P */
    return NULL;
}

TEST(timer, fired_where_every_p_computes)
{
    REQUIRE(tu_start(NULL) == 0);
    atomic_bool stop = false;
    atomic_int running = 0, fired = 0;
    struct tu__timer t = {0};
    int hogs = (int)tu_maxprocs() + 1;
    for (int i = 1; i < hogs; i++)
        REQUIRE(tu_go(hog_until, &stop, &running) == 0);
    REQUIRE(tu_go(arm_then_hog, &t, &fired, &stop, &running) == 0);
    watch_hogs(&fired);
    CHECK_EQ(atomic_load(&fired), 1);
    atomic_store(&stop, true);
    while (tu_goroutines() > 0)
        tu_sleep(TU_MS);
    (void)tu__timer_stop(&t);
}

/* Go: TestTimerFairness: goroutines that hand values to each other without end do not starve a
 * timer on the same P. */
static void send_for_ever(tu_channel *c, tu_channel *done)
{
    for (bool more = true; more;) {
        bool value = true;
        tu_select() {
            tu_on_send((tu_chan(bool))(uintptr_t)c, value) {
            }
            tu_on_recv((tu_chan(bool))(uintptr_t)done, v) {
                more = v;
            }
        }
    }
    bump(&calls);
}

GO_TEST(timer, fair_beside_busy_channels)
{
    tu_chan(bool) c = tu_make_chan(bool, 0), done = tu_make_chan(bool, 0);
    for (int i = 0; i < 2; i++)
        REQUIRE(tu_go(send_for_ever, tu_chan_untyped(c), tu_chan_untyped(done)) == 0);
    int64_t start = tu_now(), at = 0;
    tu_timer *t = tu_timer_make(20 * TU_MS);
    int values = 0;
    while (at == 0)
        tu_select() {
            tu_on_recv(c, v) {
                values += v;
            }
            tu_on_recv(tu_timer_chan(t), now) {
                at = now;
            }
        }
    CHECK(at - start >= 20 * TU_MS && tu_now() - start < 2 * TU_S);
    CHECK(values > 0);
    tu_close_chan(done);
    CHECK(reaches(&calls, 2, 5 * TU_S));
    tu_timer_free(t);
    tu_free_chan(c);
    tu_free_chan(done);
}

/* Go: TestAdjustTimers, TestTimerModifiedEarlier: a timer that is moved forward fires at the new time,
 * one that is moved back does not fire before it. */
GO_TEST(timer, moved_forward_and_back)
{
    for (int i = 0; i < 10; i++) {
        int64_t start = tu_now(), at;
        tu_timer *t = tu_timer_make(TU_S * 3600);
        CHECK(tu_timer_reset(t, 3 * TU_MS));
        CHECK_EQ(tu_recv(tu_timer_chan(t), &at), 0);
        CHECK(at - start >= 3 * TU_MS && at - start < 2 * TU_S);
        CHECK(!tu_timer_reset(t, 2 * TU_MS));
        start = tu_now();
        CHECK(tu_timer_reset(t, 12 * TU_MS));
        CHECK_EQ(tu_recv(tu_timer_chan(t), &at), 0);
        CHECK(at - start >= 12 * TU_MS);
        tu_timer_free(t);
    }
}

/* Timers of many deadlines, each moved at random before they fire, in order of their last deadline. */
GO_TEST(timer, heap_keeps_order_through_changes)
{
    enum { N = 300 };
    static tu_timer *t[N];
    static int64_t when[N];
    unsigned seed = 7;
    for (int i = 0; i < N; i++)
        t[i] = tu_timer_make(TU_S + rand_r(&seed) % 1000 * TU_MS);
    for (int round = 0; round < 3 * N; round++)
        CHECK(tu_timer_reset(t[rand_r(&seed) % N], TU_S + rand_r(&seed) % 1000 * TU_MS));
    for (int i = 0; i < N; i++) {
        int64_t delay = rand_r(&seed) % 30 * TU_MS;
        when[i] = tu_now() + delay;
        CHECK(tu_timer_reset(t[i], delay));
    }
    for (int i = 0; i < N; i++) {
        int64_t at;
        CHECK_EQ(tu_recv(tu_timer_chan(t[i]), &at), 0);
        CHECK(at >= when[i]);
        tu_timer_free(t[i]);
    }
}

/* Go: TestSleepZeroDeadlock: sleeps of nothing, among goroutines that come and go. */
static void sleep_zero(atomic_int *n)
{
    for (int i = 0; i < 100; i++) {
        CHECK_EQ(tu_sleep(0), 0);
        tu_timer *t = tu_timer_make(0);
        (void)tu_timer_stop(t);
        tu_timer_free(t);
        CHECK_EQ(tu_go(bump, n), 0);
    }
}

GO_TEST(timer, sleep_zero)
{
    atomic_int n = 0;
    for (int i = 0; i < 50; i++)
        REQUIRE(tu_go(sleep_zero, &n) == 0);
    CHECK(reaches(&n, 5000, 20 * TU_S));
}

/* ---- mistakes, memory ---- */

static void period_of_nothing(void)
{
    (void)tu_ticker_make(0);
}

static void channel_of_a_call(void)
{
    tu_timer *t = tu_timer_call(TU_NEVER, bump, &calls);
    (void)tu_timer_channel(t);
}

static void without_a_runtime(void)
{
    (void)tu_timer_make(TU_S);
}

static bool aborts(void (*mistake)(void))
{
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        if (!freopen("/dev/null", "w", stderr))
            _exit(1);
        mistake();
        _exit(0);
    }
    int status = 0;
    waitpid(pid, &status, 0);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

TEST(timer, mistakes_abort)
{
    CHECK(aborts(period_of_nothing));
    CHECK(aborts(channel_of_a_call));
    CHECK(aborts(without_a_runtime));
}

GO_TEST(timer, no_memory_is_kept)
{
    struct tu_mem_stats before, after;
    tu_timer_free(tu_timer_make(TU_S));
    tu_mem_stats(&before);
    for (int i = 0; i < 20000; i++) {
        tu_timer *t = i % 2 ? tu_timer_make(i % 7 * TU_US) : tu_ticker_make(TU_S);
        tu_timer_free(t);
    }
    tu_mem_stats(&after);
    CHECK(after.used_bytes <= before.used_bytes + 64 * 1024);
}
