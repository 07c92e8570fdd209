/* context_behaviour_test.c - what Go's own context tests demand and context_test.c does not show yet;
 * docs/go-behaviours.md. */
#include <tuco.h>

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/testing.h"

static void cancel_child(tu_context *parent, tu_context *child, struct tu_wait_group *done)
{
    CHECK_EQ(tu_context_wait(parent), -ECANCELED);
    tu_context_cancel(child, -EIO);
    tu_wait_group_done(done);
}

/* Go: TestInterlockedCancels: who waits for the parent cancels the child, while the parent's end does so, too. */
GO_TEST(context, interlocked_cancels)
{
    for (int i = 0; i < 500; i++) {
        tu_context *parent = tu_with_cancel(NULL), *child = tu_with_cancel(parent);
        struct tu_wait_group done = {0};
        tu_wait_group_add(&done, 1);
        REQUIRE(tu_go(cancel_child, parent, child, &done) == 0);
        if (i % 2)
            tu_yield();
        tu_context_cancel(parent, -ECANCELED);
        int error = tu_context_wait(child);
        CHECK(error == -ECANCELED || error == -EIO);
        CHECK_EQ(tu_wait_group_wait(&done), 0);
        CHECK_EQ(tu_context_error(child), error);
        tu_context_release(child);
        tu_context_release(parent);
    }
}

/* Go: TestParentFinishesChild, TestChildFinishesFirst: under a parent of each kind. */
GO_TEST(context, child_first_and_parent_first)
{
    static int key;
    for (int kind = 0; kind < 4; kind++)
        for (int parent_first = 0; parent_first < 2; parent_first++) {
            tu_context *parent = NULL;
            if (kind == 1)
                parent = tu_with_cancel(NULL);
            else if (kind == 2)
                parent = tu_with_timeout(NULL, 3600 * TU_S);
            else if (kind == 3)
                parent = tu_with_value(NULL, &key, &key);
            tu_context *child = tu_with_cancel(parent),
                       *timed = tu_with_timeout(child, 1800 * TU_S);
            if (parent_first && parent) {
                tu_context_cancel(parent, -EPROTO);
                CHECK_EQ(tu_context_wait(timed), -EPROTO);
                CHECK_EQ(tu_context_error(child), -EPROTO);
            } else {
                tu_context_cancel(child, -EIO);
                CHECK_EQ(tu_context_wait(timed), -EIO);
                CHECK_EQ(tu_context_error(parent), 0);
            }
            tu_context_release(timed);
            tu_context_release(child);
            tu_context_release(parent);
        }
}

/* Go: TestCanceledTimeout, TestTimeout: which deadline counts, and a cancel before it. */
GO_TEST(context, nested_deadlines)
{
    tu_context *outer = tu_with_timeout(NULL, 8 * TU_MS),
               *inner = tu_with_timeout(outer, 3600 * TU_S);
    CHECK_EQ(tu_context_deadline(inner), tu_context_deadline(outer));
    CHECK_EQ(tu_context_wait(inner), -ETIMEDOUT);
    tu_context_release(inner);
    tu_context_release(outer);
    outer = tu_with_timeout(NULL, 3600 * TU_S);
    inner = tu_with_timeout(outer, 5 * TU_MS);
    CHECK(tu_context_deadline(inner) < tu_context_deadline(outer));
    CHECK_EQ(tu_context_wait(inner), -ETIMEDOUT);
    CHECK_EQ(tu_context_error(outer), 0);
    tu_context_release(inner);
    tu_context_release(outer);
    outer = tu_with_timeout(NULL, 5 * TU_MS);
    tu_context_cancel(outer, -ECANCELED);
    CHECK_EQ(tu_sleep(10 * TU_MS), 0);
    CHECK_EQ(tu_context_error(outer), -ECANCELED); /* the deadline comes too late to change it */
    tu_context_release(outer);
}

static void watch_both(tu_context *ctx, atomic_int *ready, struct tu_wait_group *done)
{
    atomic_fetch_add(ready, 1);
    int error = tu_context_wait(ctx);
    CHECK(error != 0);
    CHECK_EQ(tu_context_error(ctx), error); /* whoever hears of the end sees the error */
    tu_context *late = tu_with_cancel(ctx);
    CHECK_EQ(tu_context_error(late), error);
    tu_context_release(late);
    tu_wait_group_done(done);
}

/* Go: TestContextErrDoneRace, and deadlines that come at the moment of the cancel: one error, the same for all. */
GO_TEST(context, deadline_races_cancel)
{
    for (int i = 0; i < 300; i++) {
        int64_t delay_ns = 20 * TU_US + i % 50 * TU_US;
        tu_context *ctx = tu_with_timeout(NULL, delay_ns), *child = tu_with_cancel(ctx);
        struct tu_wait_group done = {0};
        atomic_int ready = 0;
        tu_wait_group_add(&done, 4);
        for (int k = 0; k < 4; k++)
            REQUIRE(tu_go(watch_both, k % 2 ? ctx : child, &ready, &done) == 0);
        for (int64_t until = tu_now() + delay_ns - 10 * TU_US; tu_now() < until;)
            tu_yield();
        tu_context_cancel(ctx, -EIO);
        int error = tu_context_error(ctx);
        CHECK(error == -EIO || error == -ETIMEDOUT);
        CHECK_EQ(tu_wait_group_wait(&done), 0);
        CHECK_EQ(tu_context_error(ctx), error);
        CHECK_EQ(tu_context_error(child), error);
        tu_context_release(child);
        tu_context_release(ctx);
    }
}

/* Go: TestValues: a long chain, keys at every depth, shadowed ones, and lookups while it ends. */
static void look_up(tu_context *last, char *keys, struct tu_wait_group *done)
{
    for (int i = 0; i < 100; i++)
        for (int k = 0; k < 50; k++)
            CHECK(tu_context_value(last, &keys[k]) == &keys[50 + k]);
    tu_wait_group_done(done);
}

GO_TEST(context, chain_of_values)
{
    static char keys[100];
    tu_context *last = tu_with_cancel(NULL), *root = tu_context_retain(last);
    struct tu_wait_group done = {0};
    for (int round = 0; round < 2; round++) /* the second round shadows the first */
        for (int k = 0; k < 50; k++) {
            tu_context *next = tu_with_value(last, &keys[k], round ? &keys[50 + k] : NULL);
            tu_context_release(last);
            last = next;
        }
    tu_wait_group_add(&done, 4);
    for (int i = 0; i < 4; i++)
        REQUIRE(tu_go(look_up, last, keys, &done) == 0);
    tu_context_cancel(root, -ECANCELED);
    CHECK_EQ(tu_wait_group_wait(&done), 0);
    CHECK_EQ(tu_context_error(last), -ECANCELED);
    tu_context_release(root);
    tu_context_release(last);
}

static void null_key(void)
{
    (void)tu_with_value(NULL, NULL, "value");
}

static void cancel_background(void)
{
    tu_context_cancel(NULL, -ECANCELED);
}

static void cancel_without_error(void)
{
    tu_context_cancel(tu_with_cancel(NULL), 0);
}

static void release_twice(void)
{
    tu_context *ctx = tu_with_cancel(NULL);
    tu_context *kept = tu_with_cancel(ctx); /* so that the memory stays */
    tu_context_release(ctx);
    tu_context_release(ctx);
    tu_context_release(ctx);
    tu_context_release(kept);
}

static bool aborts(void (*mistake)(void))
{
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        if (!freopen("/dev/null", "w", stderr))
            _exit(0);
        mistake();
        _exit(0);
    }
    int status = 0;
    REQUIRE(waitpid(pid, &status, 0) == pid);
    return WIFSIGNALED(status) || WEXITSTATUS(status) != 0;
}

/* Go: TestWithValueChecksKey, TestInvalidDerivedFail. */
TEST(context, mistakes_abort)
{
    CHECK(aborts(null_key));
    CHECK(aborts(cancel_background));
    CHECK(aborts(cancel_without_error));
    CHECK(aborts(release_twice));
}
