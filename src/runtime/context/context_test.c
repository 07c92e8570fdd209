/* context_test.c - trees of contexts: ending, deadlines, values, and freeing under races. */
#include "runtime/context/context.h"

#include <tuco.h>

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "support/testing.h"

static size_t child_count(tu_context *ctx)
{
    size_t n = 0;
    tu__lock(&ctx->cancel.lock);
    for (tu_context *c = ctx->children; c; c = c->next)
        n++;
    tu__unlock(&ctx->cancel.lock);
    return n;
}

static void until_only_me(void)
{
    while (tu_goroutines() > 1)
        tu_yield();
}

/* ---- one goroutine ---- */

TEST(context, ends_downwards_only)
{
    tu_context *a = tu_with_cancel(NULL), *b = tu_with_cancel(a), *c = tu_with_cancel(b);
    tu_context *d = tu_with_cancel(a);
    tu__context_verify(a);
    tu_context_cancel(b, -EBADMSG);
    tu__context_verify(a);
    CHECK_EQ(tu_context_error(a), 0);
    CHECK_EQ(tu_context_error(b), -EBADMSG);
    CHECK_EQ(tu_context_error(c), -EBADMSG);
    CHECK_EQ(tu_context_error(d), 0);
    tu_context_cancel(b, -EIO); /* the first one counts */
    CHECK_EQ(tu_context_error(b), -EBADMSG);
    tu_context *late = tu_with_cancel(c); /* born under an ended one */
    CHECK_EQ(tu_context_error(late), -EBADMSG);
    tu_context_cancel(a, -ECANCELED);
    CHECK_EQ(tu_context_error(a), -ECANCELED);
    CHECK_EQ(tu_context_error(c), -EBADMSG);
    CHECK_EQ(tu_context_error(d), -ECANCELED);
    CHECK_EQ(tu_context_wait(d), -ECANCELED);
    tu_cancel(late);
    tu_context_release(d);
    tu_context_release(a); /* in any order: children keep their parents */
    tu_context_release(c);
    tu_context_release(b);
    CHECK_EQ(tu_context_error(NULL), 0);
    tu_cancel(NULL);
}

TEST(context, children_leave_their_parent)
{
    tu_context *parent = tu_with_cancel(NULL), *kept = tu_with_cancel(parent);
    for (int i = 0; i < 100; i++) {
        tu_context *child = tu_with_cancel(parent), *other = tu_with_value(parent, &i, parent);
        CHECK_EQ(child_count(parent), 3);
        tu__context_verify(parent);
        tu_cancel(child);
        CHECK_EQ(child_count(parent), 2);
        tu_context_release(other);
        CHECK_EQ(child_count(parent), 1);
    }
    tu_cancel(parent);
    CHECK_EQ(tu_context_error(kept), -ECANCELED);
    tu_context_release(kept);
}

TEST(context, values)
{
    static int k1, k2, k3;
    tu_context *a = tu_with_value(NULL, &k1, "one"), *b = tu_with_value(a, &k2, "two");
    tu_context *c = tu_with_cancel(b), *d = tu_with_value(c, &k1, "uno");
    CHECK(!strcmp(tu_context_value(d, &k1), "uno"));
    CHECK(!strcmp(tu_context_value(c, &k1), "one"));
    CHECK(!strcmp(tu_context_value(d, &k2), "two"));
    CHECK(tu_context_value(d, &k3) == NULL);
    CHECK(tu_context_value(a, &k2) == NULL);
    CHECK(tu_context_value(NULL, &k1) == NULL);
    tu_context_cancel(a, -ECANCELED);
    CHECK_EQ(tu_context_error(d), -ECANCELED);
    tu_context_release(a);
    tu_context_release(b);
    tu_context_release(c);
    tu_context_release(d);
}

/* Deeper than any stack would allow a recursion, upwards and downwards. */
TEST(context, deep_tree)
{
    enum { DEPTH = 300000 };
    tu_context *top = tu_with_cancel(NULL), *last = tu_context_retain(top);
    for (int i = 0; i < DEPTH; i++) {
        tu_context *next = tu_with_cancel(last);
        tu_context_release(last);
        last = next;
    }
    tu__context_verify(top);
    tu_cancel(top);
    CHECK_EQ(tu_context_error(last), -ECANCELED);
    tu_context_release(last);
}

GO_TEST(context, current)
{
    tu_context *a = tu_with_cancel(NULL), *b = tu_with_cancel(a);
    CHECK(tu_context_current() == NULL);
    tu_in_context(a) {
        CHECK(tu_context_current() == a);
        for (int i = 0; i < 2; i++) {
            tu_in_context(b) {
                CHECK(tu_context_current() == b);
                if (i == 0)
                    break;
            }
            CHECK(tu_context_current() == a);
        }
    }
    CHECK(tu_context_current() == NULL);
    tu_cancel(b);
    tu_cancel(a);
}

/* ---- deadlines ---- */

GO_TEST(context, deadlines)
{
    int64_t start = tu_now();
    tu_context *soon = tu_with_timeout(NULL, 20 * TU_MS);
    tu_context *child = tu_with_timeout(soon, TU_S), *past = tu_with_deadline(NULL, start - 1);
    tu_context *never = tu_with_timeout(NULL, INT64_MAX), *plain = tu_with_cancel(soon);
    CHECK_EQ(tu_context_deadline(child), tu_context_deadline(soon));
    CHECK_EQ(tu_context_deadline(plain), tu_context_deadline(soon));
    CHECK_EQ(tu_context_deadline(NULL), 0);
    CHECK_EQ(tu_context_error(past), -ETIMEDOUT);
    CHECK_EQ(tu_context_error(soon), 0);
    CHECK_EQ(tu_context_wait(child), -ETIMEDOUT);
    CHECK(tu_now() - start >= 20 * TU_MS);
    CHECK_EQ(tu_context_wait(plain), -ETIMEDOUT); /* woken in any order */
    CHECK_EQ(tu_context_error(soon), -ETIMEDOUT);
    CHECK_EQ(tu_context_error(never), 0);
    tu_cancel(soon);
    tu_context_release(child);
    tu_context_release(past);
    tu_context_release(plain);
    tu_cancel(never);
    tu_context *early = tu_with_timeout(NULL, 10 * TU_S), *within = tu_with_timeout(early, TU_MS);
    CHECK(tu_context_deadline(within) < tu_context_deadline(early));
    CHECK_EQ(tu_context_wait(within), -ETIMEDOUT);
    CHECK_EQ(tu_context_error(early), 0);
    tu_context_release(within);
    tu_cancel(early);
}

GO_TEST(context, deadline_ends_a_blocking_call)
{
    tu_chan(int) c = tu_make_chan(int, 0);
    tu_context *ctx = tu_with_timeout(NULL, 10 * TU_MS);
    int v;
    tu_in_context(ctx) {
        CHECK_EQ(tu_recv(c, &v), -ETIMEDOUT);
        CHECK_EQ(tu_sleep(TU_S), -ETIMEDOUT);
        CHECK_EQ(tu_context_wait(NULL), -ETIMEDOUT);
    }
    tu_context_release(ctx);
    tu_free_chan(c);
}

/* The last reference to the parent goes away inside the fire of the parent's own timer, through the
 * child that the fire takes along. */
GO_TEST(context, freed_inside_its_own_fire)
{
    for (int round = 0; round < 300; round++) {
        tu_context *parent = tu_with_timeout(NULL, (int64_t)(rand() % 60) * TU_US);
        tu_context *child = tu_with_timeout(parent, (int64_t)(rand() % 60) * TU_US);
        tu_context *grandchild = tu_with_cancel(child);
        tu_context_release(parent);
        tu_context_release(child);
        for (int i = rand() % 200; i > 0; i--)
            (void)tu_now();
        tu_context_release(grandchild);
    }
    CHECK_EQ(tu_sleep(5 * TU_MS), 0);
}

/* ---- many goroutines and threads ---- */

static void wait_for(tu_context *ctx, atomic_int *woken)
{
    CHECK_EQ(tu_context_wait(ctx), -ECANCELED);
    tu_context_release(ctx);
    atomic_fetch_add(woken, 1);
}

static void wait_here(atomic_int *woken)
{
    CHECK_EQ(tu_context_wait(NULL), -ECANCELED); /* the inherited one ends */
    atomic_fetch_add(woken, 1);
}

GO_TEST(context, wakes_all_waiters)
{
    enum { N = 100 };
    tu_context *ctx = tu_with_cancel(NULL), *child = tu_with_cancel(ctx);
    atomic_int woken = 0;
    for (int i = 0; i < N; i++)
        tu_go(wait_for, tu_context_retain(i % 2 ? ctx : child), &woken);
    tu_in_context(child) {
        for (int i = 0; i < N; i++)
            tu_go(wait_here, &woken);
    }
    tu_context_release(child); /* the goroutines hold theirs */
    for (int i = 0; i < 20; i++)
        tu_yield();
    CHECK_EQ(atomic_load(&woken), 0);
    tu_cancel(ctx);
    until_only_me();
    CHECK_EQ(atomic_load(&woken), 2 * N);
}

static void cancel_one(tu_context *ctx)
{
    tu_cancel(ctx);
}

/* A parent and its hundred children are cancelled at the same time, from both ends. */
GO_TEST(context, simultaneous_cancels)
{
    for (int round = 0; round < 50; round++) {
        enum { N = 100 };
        tu_context *root = tu_with_cancel(NULL), *list[N];
        for (int i = 0; i < N; i++)
            list[i] = tu_with_cancel(i % 3 ? list[i / 2] : root);
        tu__context_verify(root);
        for (int i = 0; i < N; i++)
            tu_go(cancel_one, tu_context_retain(list[i]));
        tu_cancel(root);
        for (int i = 0; i < N; i++) {
            CHECK_EQ(tu_context_wait(list[i]), -ECANCELED);
            tu_context_release(list[i]);
        }
        until_only_me();
    }
}

static void cancel_with(tu_context *ctx, int cause, atomic_int *running)
{
    tu_context_cancel(ctx, cause);
    CHECK(tu_context_error(ctx) != 0);
    atomic_fetch_sub(running, 1);
}

/* Of several causes one wins, and nobody ever sees another afterwards. */
GO_TEST(context, cause_race)
{
    for (int round = 0; round < 500; round++) {
        tu_context *ctx = tu_with_cancel(NULL), *child = tu_with_cancel(ctx);
        atomic_int running = 2;
        tu_go(cancel_with, ctx, -EIO, &running);
        tu_go(cancel_with, ctx, -EPROTO, &running);
        int first = tu_context_wait(ctx);
        CHECK(first == -EIO || first == -EPROTO);
        while (atomic_load(&running) > 0) {
            CHECK_EQ(tu_context_error(ctx), first);
            tu_yield();
        }
        CHECK_EQ(tu_context_error(ctx), first);
        CHECK_EQ(tu_context_error(child), first);
        tu_context_release(ctx);
        tu_context_release(child);
    }
}

/* Random layers of every kind, ended by a cancel at the top or by the deadline. */
static void layers(bool by_deadline)
{
    enum { N = 200 };
    static int keys[N];
    tu_context *ctx[N + 1];
    ctx[0] = by_deadline ? tu_with_timeout(NULL, 20 * TU_MS) : tu_with_cancel(NULL);
    for (int i = 1; i <= N; i++) {
        tu_context *parent = ctx[rand() % 2 ? i - 1 : rand() % i];
        switch (rand() % 3) {
        case 0: ctx[i] = tu_with_cancel(parent); break;
        case 1: ctx[i] = tu_with_timeout(parent, TU_S); break;
        default: ctx[i] = tu_with_value(parent, &keys[i - 1], &keys[i - 1]); break;
        }
    }
    if (!by_deadline) {
        tu__context_verify(ctx[0]);
        for (int i = 0; i <= N; i++)
            CHECK_EQ(tu_context_error(ctx[i]), 0);
        tu_context_cancel(ctx[0], -ECANCELED);
    }
    for (int i = N; i >= 0; i--)
        CHECK_EQ(tu_context_wait(ctx[i]), by_deadline ? -ETIMEDOUT : -ECANCELED);
    for (int i = 0; i <= N; i++) {
        CHECK(!ctx[i]->children);
        for (int k = 1; k <= N; k++)
            if (ctx[k]->key == &keys[k - 1] && k == i)
                CHECK(tu_context_value(ctx[i], &keys[k - 1]) == &keys[k - 1]);
    }
    for (int i = 0; i <= N; i++)
        tu_context_release(ctx[i]);
}

GO_TEST(context, layers_cancel)
{
    for (int i = 0; i < 50; i++)
        layers(false);
}

GO_TEST(context, layers_timeout)
{
    for (int i = 0; i < 5; i++)
        layers(true);
}

/* Grows branches below a shared context, ends some, lets others expire, drops all of them, while
 * somebody else cancels the shared one: references and lists under as many races as there are. */
static void *grow(void *arg)
{
    tu_context *shared = arg;
    unsigned seed = (unsigned)(uintptr_t)&seed;
    for (int i = 0; i < 300; i++) {
        tu_context *a = rand_r(&seed) % 2 ? tu_with_cancel(shared)
                                          : tu_with_timeout(shared, rand_r(&seed) % 100 * TU_US);
        tu_context *b =
            rand_r(&seed) % 2 ? tu_with_cancel(a) : tu_with_timeout(a, rand_r(&seed) % 100 * TU_US);
        tu_context *c = tu_with_value(b, &seed, a);
        if (rand_r(&seed) % 2)
            tu_context_cancel(rand_r(&seed) % 2 ? a : b, -EIO);
        if (rand_r(&seed) % 4 == 0)
            tu_yield();
        tu_context_release(a);
        if (rand_r(&seed) % 2) {
            tu_context_release(b);
            tu_cancel(c);
        } else {
            tu_cancel(c);
            tu_context_release(b);
        }
    }
    tu_context_release(shared);
    return NULL;
}

static void grow_goroutine(tu_context *shared, atomic_int *running)
{
    grow(shared);
    atomic_fetch_sub(running, 1);
}

GO_TIMEOUT_TEST(context, grow_and_cancel, 60)
{
    for (int round = 0; round < 10; round++) {
        tu_context *shared = tu_with_timeout(NULL, 30 * TU_MS), *mine = tu_context_retain(shared);
        atomic_int running = 4;
        pthread_t threads[2];
        for (int i = 0; i < 2; i++)
            pthread_create(&threads[i], NULL, grow, tu_context_retain(shared));
        for (int i = 0; i < 4; i++)
            tu_go(grow_goroutine, tu_context_retain(shared), &running);
        CHECK_EQ(tu_sleep(rand() % 3000 * TU_US), 0);
        tu_cancel(shared);
        while (atomic_load(&running) > 0)
            tu_yield();
        for (int i = 0; i < 2; i++)
            pthread_join(threads[i], NULL);
        CHECK(!mine->children);
        while (atomic_load(&mine->references) !=
               1) /* a fire that is under way drops its own last */
            tu_yield();
        tu_context_release(mine);
    }
}

/* After all of that, everything made was freed. */
GO_TEST(context, no_memory_is_kept)
{
    struct tu_mem_stats before, after;
    tu_context_release(tu_with_timeout(NULL, TU_S));
    tu_mem_stats(&before);
    for (int i = 0; i < 20000; i++) {
        tu_context *a = tu_with_timeout(NULL, i % 2 ? TU_S : (i % 8) * TU_US);
        tu_context *b = tu_with_cancel(a);
        tu_context_release(a);
        tu_cancel(b);
    }
    tu_context_release(tu_with_cancel(NULL)); /* buries what lies on the graveyard */
    tu_mem_stats(&after);
    CHECK(after.used_bytes <= before.used_bytes + 100 * sizeof(tu_context));
}
