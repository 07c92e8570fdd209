/* once_test.c - the once that hands on its result. (The plain one: sync_test.c.) */
#include <tuco.h>

#include <pthread.h>
#include <stdatomic.h>

#include "support/testing.h"

static atomic_int runs;

static int make_slowly(void *arg, void **value)
{
    CHECK_EQ(tu_sleep(5 * TU_MS), 0);
    atomic_fetch_add(&runs, 1);
    *value = arg;
    return 7;
}

static int fail(void *arg, void **value)
{
    atomic_fetch_add(&runs, 1);
    *value = arg;
    return -EIO;
}

struct crowd {
    struct tu_once_value once;
    int (*fn)(void *arg, void **value);
    int expected;
    struct tu_wait_group done;
};

static void ask(struct crowd *c)
{
    void *value = NULL;
    CHECK_EQ(tu_once_value(&c->once, c->fn, c, &value), c->expected);
    CHECK(value == c);
    CHECK_EQ(tu_once_value(&c->once, c->fn, NULL, NULL), c->expected);
    tu_wait_group_done(&c->done);
}

static void *ask_on_thread(void *crowd)
{
    ask(crowd);
    return NULL;
}

static void ask_all(int (*fn)(void *, void **), int expected)
{
    struct crowd c = {.fn = fn, .expected = expected};
    pthread_t threads[3];
    atomic_store(&runs, 0);
    tu_wait_group_add(&c.done, 23);
    for (int i = 0; i < 20; i++)
        REQUIRE(tu_go(ask, &c) == 0);
    for (int i = 0; i < 3; i++)
        REQUIRE(pthread_create(&threads[i], NULL, ask_on_thread, &c) == 0);
    CHECK_EQ(tu_wait_group_wait(&c.done), 0);
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    CHECK_EQ(atomic_load(&runs), 1);
}

/* Go: TestOnce, TestOnceValues. */
GO_TEST(once_value, everyone_gets_the_result)
{
    ask_all(make_slowly, 7);
}

/* Go: TestOncePanic, TestOnceFuncPanic: a failure counts as done, and everyone hears of it. */
GO_TEST(once_value, everyone_gets_the_error)
{
    ask_all(fail, -EIO);
}

TEST(once_value, on_one_thread)
{
    struct tu_once_value once = {0};
    int x;
    void *value = NULL;
    CHECK_EQ(tu_once_value(&once, fail, &x, &value), -EIO);
    CHECK_EQ(tu_once_value(&once, make_slowly, NULL, &value), -EIO);
    CHECK(value == &x);
    CHECK_EQ(atomic_load(&runs), 1);
}

struct gate {
    struct tu_once_value once;
    tu_chan(int) go;
    atomic_int inside;
};

static int wait_at_gate(void *arg, void **value)
{
    struct gate *g = arg;
    int v;
    atomic_store(&g->inside, 1);
    int rc = tu_recv(g->go, &v);
    *value = &g->inside;
    return rc;
}

static void first(struct gate *g, int *rc, struct tu_wait_group *done)
{
    *rc = tu_once_value(&g->once, wait_at_gate, g, NULL);
    tu_wait_group_done(done);
}

/* Who waits for another's run listens to its own context; the run goes on. */
GO_TEST(once_value, waiting_ends_with_the_context)
{
    struct gate g = {.go = tu_make_chan(int, 0)};
    struct tu_wait_group done = {0};
    int rc = 1;
    tu_wait_group_add(&done, 1);
    REQUIRE(tu_go(first, &g, &rc, &done) == 0);
    while (!atomic_load(&g.inside))
        tu_yield();
    tu_context *ctx = tu_with_timeout(NULL, 5 * TU_MS);
    void *value = &rc;
    tu_in_context(ctx) {
        CHECK_EQ(tu_once_value(&g.once, wait_at_gate, &g, &value), -ETIMEDOUT);
    }
    CHECK(value == &rc);
    CHECK_EQ(tu_send(g.go, 1), 0);
    CHECK_EQ(tu_wait_group_wait(&done), 0);
    CHECK_EQ(rc, 0);
    tu_in_context(ctx) { /* done: no wait, so no matter that the context has ended */
        CHECK_EQ(tu_once_value(&g.once, wait_at_gate, &g, &value), 0);
    }
    CHECK(value == &g.inside);
    tu_cancel(ctx);
    tu_free_chan(g.go);
}
