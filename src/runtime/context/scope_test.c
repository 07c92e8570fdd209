/* scope_test.c - scopes join on every way out; defers run in reverse order. */
#include <tuco.h>

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "support/testing.h"

/* ---- scopes ---- */

static atomic_int finished;

static void slow_child(int yields)
{
    for (int i = 0; i < yields; i++)
        tu_yield();
    atomic_fetch_add(&finished, 1);
}

GO_TEST(scope, joins_at_the_end)
{
    tu_scope(s) {
        for (int i = 0; i < 50; i++)
            tu_scope_go(&s, slow_child, i);
    }
    CHECK_EQ(atomic_load(&finished), 50);
    CHECK(tu_context_current() == NULL);
    tu_scope(empty) {
        CHECK_EQ(tu_scope_wait(&empty), 0);
    }
}

static int sleep_then(int64_t ns, int result)
{
    return tu_sleep(ns) < 0 ? -ECANCELED : result;
}

GO_TEST(scope, waits_for_a_time)
{
    tu_scope(s) {
        CHECK_EQ(tu_scope_wait_for(&s, 0), 0); /* nobody to wait for */
        tu_scope_go(&s, sleep_then, (int64_t)10 * TU_S, 0);
        CHECK_EQ(tu_scope_wait_for(&s, 0), -ETIMEDOUT);
        int64_t began = tu_now();
        CHECK_EQ(tu_scope_wait_for(&s, 5 * TU_MS), -ETIMEDOUT);
        CHECK(tu_now() - began >= 5 * TU_MS);
        CHECK(tu_scope_failed(&s) == NULL);
        tu_scope_cancel(&s);
        CHECK_EQ(tu_scope_wait_for(&s, INT64_MAX), -ECANCELED);
    }
    tu_scope(t) {
        tu_scope_go(&t, sleep_then, (int64_t)TU_MS, -ENOENT);
        CHECK_EQ(tu_scope_wait_for(&t, 60 * TU_S), -ENOENT);
    }
}

/* The last child ends just when the time is up: neither is lost, and nobody touches the other's stack. */
GO_TEST(scope, time_is_up_as_the_last_child_ends)
{
    for (int i = 0; i < 300; i++) {
        tu_scope(s) {
            tu_scope_go(&s, sleep_then, (int64_t)(100 + i % 7) * TU_US, 0);
            int rc = tu_scope_wait_for(&s, (100 + i % 5) * TU_US);
            CHECK(rc == 0 || rc == -ETIMEDOUT);
            CHECK_EQ(tu_scope_wait(&s), 0);
        }
    }
}

static int out_by_return(void)
{
    tu_scope(s) {
        tu_scope_go(&s, slow_child, 100);
        return 1;
    }
    return 2;
}

GO_TEST(scope, joins_on_every_way_out)
{
    CHECK_EQ(out_by_return(), 1);
    CHECK_EQ(atomic_load(&finished), 1);
    for (int i = 0; i < 3; i++) {
        tu_scope(s) {
            tu_scope_go(&s, slow_child, 100);
            if (i == 0)
                break;
            if (i == 1)
                continue;
            goto out;
        }
    }
out:
    CHECK_EQ(atomic_load(&finished), 4);
    CHECK(tu_context_current() == NULL);
}

static int sum_child(int *a, long b, char c, unsigned d)
{
    *a += (int)(b + c + (int)d);
    return *a;
}

static int no_arguments(void)
{
    atomic_fetch_add(&finished, 1);
    return 7; /* not an error */
}

GO_TEST(scope, arguments_and_results)
{
    int a = 1, b = 2;
    tu_scope(s) {
        CHECK_EQ(tu_scope_go(&s, sum_child, &a, 10L, (char)3, 4u), 0);
        CHECK_EQ(tu_scope_go(&s, sum_child, &b, -20L, (char)0, 0u), 0);
        CHECK_EQ(tu_scope_wait(&s), -18);
        tu_scope_go(&s, no_arguments);
        CHECK_EQ(tu_scope_wait(&s), -18); /* the first error stays */
    }
    CHECK_EQ(a, 18);
    CHECK_EQ(b, -18);
    CHECK_EQ(atomic_load(&finished), 1);
}

static int wait_child(int *rc)
{
    *rc = tu_sleep(10 * TU_S);
    return *rc;
}

static int failing_child(int rc, int delay_ms)
{
    int slept = tu_sleep(delay_ms * TU_MS);
    return slept < 0 ? slept : rc;
}

GO_TEST(scope, first_error_cancels_siblings)
{
    int rcs[5] = {0}, body = 0;
    int64_t start = tu_now();
    tu_chan(int) never = tu_make_chan(int, 0);
    tu_scope(s) {
        for (int i = 0; i < 5; i++)
            tu_scope_go(&s, wait_child, &rcs[i]);
        tu_scope_go(&s, failing_child, -EIO, 5);
        int v;
        body = tu_recv(never, &v); /* the block runs in the scope's context, too */
        CHECK_EQ(tu_scope_wait(&s), -EIO);
    }
    CHECK_EQ(body, -ECANCELED);
    for (int i = 0; i < 5; i++)
        CHECK_EQ(rcs[i], -ECANCELED);
    CHECK(tu_now() - start < 5 * TU_S);
    tu_free_chan(never);
}

GO_TEST(scope, cancelled_from_outside_and_inside)
{
    int rc = 0, other = 0;
    tu_context *ctx = tu_with_timeout(NULL, 5 * TU_MS);
    tu_in_context(ctx) {
        tu_scope(s) {
            tu_scope_go(&s, wait_child, &rc);
            CHECK_EQ(tu_scope_wait(&s), -ETIMEDOUT); /* the child's own error */
        }
    }
    CHECK_EQ(rc, -ETIMEDOUT);
    tu_cancel(ctx);
    tu_scope(s) {
        tu_scope_go(&s, wait_child, &other);
        tu_scope_cancel(&s);
    }
    CHECK_EQ(other, -ECANCELED);
}

static int spawn_child(struct tu_scope *s, int depth)
{
    if (depth > 0) {
        tu_scope_go(s, spawn_child, s, depth - 1);
        tu_scope_go(s, spawn_child, s, depth - 1);
    }
    atomic_fetch_add(&finished, 1);
    return 0;
}

static int nested_child(int depth)
{
    int rc = 0;
    if (depth == 0)
        return -EDOM;
    tu_scope(s) {
        tu_scope_go(&s, nested_child, depth - 1);
        rc = tu_scope_wait(&s);
    }
    return rc;
}

GO_TEST(scope, children_of_children)
{
    int rc = 1;
    tu_scope(s) {
        tu_scope_go(&s, spawn_child, &s, 10);
    }
    CHECK_EQ(atomic_load(&finished), (1 << 11) - 1);
    tu_scope(s) {
        tu_scope_go(&s, nested_child, 20);
        rc = tu_scope_wait(&s);
    }
    CHECK_EQ(rc, -EDOM);        /* passed up through twenty scopes */
    while (tu_goroutines() > 1) /* what is left of them is on its way out */
        tu_yield();
}

static void *scope_on_thread(void *arg)
{
    tu_scope(s) {
        for (int i = 0; i < 20; i++)
            tu_scope_go(&s, slow_child, i);
    }
    *(int *)arg = atomic_load(&finished);
    return NULL;
}

GO_TEST(scope, on_a_plain_thread)
{
    pthread_t t;
    int seen = 0;
    pthread_create(&t, NULL, scope_on_thread, &seen);
    while (atomic_load(&finished) < 20)
        tu_yield();
    pthread_join(t, NULL);
    CHECK_EQ(seen, 20);
}

static int maybe_fail(int i)
{
    tu_yield();
    return i % 4 == 3 ? -i : 0;
}

GO_TEST(scope, many_short_ones)
{
    for (int round = 0; round < 2000; round++) {
        int rc = 0;
        tu_scope(s) {
            for (int i = 0; i < round % 6; i++)
                tu_scope_go(&s, maybe_fail, i);
            rc = tu_scope_wait(&s);
        }
        CHECK_EQ(rc, round % 6 > 3 ? -3 : 0);
    }
}

/* ---- limits, and whose error it is ---- */

struct gauge {
    atomic_int inside, most;
};

static int stay_inside(struct gauge *g, int i)
{
    int n = atomic_fetch_add(&g->inside, 1) + 1, most = atomic_load(&g->most);
    while (n > most && !atomic_compare_exchange_weak(&g->most, &most, n)) {
    }
    int rc = tu_sleep(i % 5 * 100 * TU_US);
    atomic_fetch_sub(&g->inside, 1);
    atomic_fetch_add(&finished, 1);
    return rc;
}

/* Go: errgroup's TestGoLimit. */
GO_TEST(scope, limit)
{
    for (int n = 1; n <= 4; n++) {
        struct gauge g = {0};
        atomic_store(&finished, 0);
        tu_scope(s) {
            tu_scope_limit(&s, n);
            for (int i = 0; i < 60; i++)
                CHECK_EQ(tu_scope_go(&s, stay_inside, &g, i), 0);
            CHECK(atomic_load(&finished) >= 60 - n);
            CHECK_EQ(tu_scope_wait(&s), 0);
        }
        CHECK_EQ(atomic_load(&finished), 60);
        CHECK(atomic_load(&g.most) <= n && (n > 1 || atomic_load(&g.most) == 1));
    }
}

/* A failing child ends the wait of those who want to start further ones. */
GO_TEST(scope, limit_and_errors)
{
    struct gauge g = {0};
    int rc = 0;
    const struct tu_site *site = NULL;
    tu_scope(s) {
        tu_scope_limit(&s, 2);
        CHECK(tu_scope_failed(&s) == NULL);
        CHECK_EQ(tu_scope_go(&s, wait_child, &rc), 0);
        CHECK_EQ(tu_scope_go(&s, failing_child, -EIO, 2), 0);
        while (tu_scope_go(&s, stay_inside, &g, 0) == 0) { /* ends, or the test's time does */
        }
        CHECK_EQ(tu_scope_wait(&s), -EIO);
        site = tu_scope_failed(&s);
    }
    CHECK_EQ(rc, -ECANCELED);
    REQUIRE(site != NULL);
    CHECK(!strcmp(site->name, "failing_child") && strstr(site->file, "scope_test.c"));
    CHECK(site->line > 0);
    tu_context *ctx = tu_with_timeout(NULL, 3 * TU_MS);
    tu_in_context(ctx) {
        tu_scope(s) {
            tu_scope_limit(&s, 1);
            CHECK_EQ(tu_scope_go(&s, wait_child, &rc), 0);       /* a slot is free: no wait */
            CHECK_EQ(tu_scope_go(&s, no_arguments), -ETIMEDOUT); /* no slot came free in time */
            CHECK_EQ(tu_scope_wait(&s), -ETIMEDOUT);
        }
    }
    tu_cancel(ctx);
}

static int site_child(const struct tu_site **site)
{
    *site = tu_goroutine_site();
    return 0;
}

static void *site_on_thread(void *unused)
{
    CHECK(tu_goroutine_site() == NULL);
    return unused;
}

GO_TEST(scope, a_goroutine_knows_where_it_was_started)
{
    const struct tu_site *site = NULL;
    int line = 0;
    tu_scope(s) {
        tu_scope_go(&s, site_child, &site), line = __LINE__;
    }
    REQUIRE(site != NULL);
    CHECK(!strcmp(site->name, "site_child"));
    CHECK_EQ(site->line, line);
    pthread_t t;
    pthread_create(&t, NULL, site_on_thread, NULL);
    pthread_join(t, NULL);
}

/* ---- defer ---- */

static char trace[64];
static int traced;

static void note(char c)
{
    trace[traced++] = c;
    trace[traced] = 0;
}

static int note_pointer(const char *s)
{
    note(*s);
    return 0;
}

static int defer_and_return(int how)
{
    tu_defer(note, 'a');
    tu_defer(note_pointer, "b");
    for (int i = 0; i < 2; i++) {
        tu_defer(note, (char)('0' + i));
        if (how == 1 && i == 0)
            continue;
        if (how == 2)
            break;
        if (how == 3)
            return 3;
        note('.');
    }
    {
        tu_defer(note, 'x');
        note('y');
    }
    note('e');
    return how;
}

TEST(defer, runs_in_reverse_on_every_way_out)
{
    static const char *const expected[] = {".0.1yxeba", "0.1yxeba", "0yxeba", "0ba"};
    for (int how = 0; how < 4; how++) {
        traced = 0;
        CHECK_EQ(defer_and_return(how), how);
        if (strcmp(trace, expected[how]) != 0)
            test_fail(__FILE__, __LINE__, "way %d: %s, expected %s", how, trace, expected[how]);
    }
}

TEST(defer, keeps_the_argument_of_its_moment)
{
    traced = 0;
    char c = '1';
    {
        tu_defer(note, c);
        c = '2';
        tu_defer(note, c);
        c = '3';
    }
    CHECK(!strcmp(trace, "21"));
    tu_context *ctx = tu_with_cancel(NULL), *kept = tu_context_retain(ctx);
    {
        tu_defer(tu_cancel, ctx);
        CHECK_EQ(tu_context_error(kept), 0);
    }
    CHECK_EQ(tu_context_error(kept), -ECANCELED);
    tu_context_release(kept);
}
