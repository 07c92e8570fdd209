/* scope_sim.c - scopes and contexts: everybody is joined on each way out, an error ends the others,
 * trees of contexts end and are freed under everybody's hands. */
#include "sim/sim_kit.h"

#include "runtime/context/context.h"

/* ---- scopes ---- */

static int alive, failed; /* children that run; that returned an error */
static int first_error;
static tu_channel *never; /* nobody sends */

static int child(unsigned depth);

/* Starts children; the ways out of the block are the end, break, and return from its middle. */
static int family(unsigned depth)
{
    int rc = 0;
    tu_scope(s) {
        unsigned n = random_below(4);
        for (unsigned i = 0; i < n; i++)
            EXPECT(tu_scope_go(&s, child, depth + 1) == 0, "");
        switch (random_below(5)) {
        case 0: rc = tu_scope_wait(&s); break;
        case 1: tu_scope_cancel(&s); break;
        case 2: return 0;
        case 3: tu_yield(); break;
        default: break;
        }
    }
    return rc;
}

static int child_body(unsigned depth)
{
    int rc = 0;
    switch (random_below(6)) {
    case 0: return -1 - (int)random_below(3);
    case 1: rc = tu_sleep(random_between_ns(0, 2 * TU_MS)); break;
    case 2: {
        unsigned v;
        tu_context *ctx = tu_with_timeout(tu_context_current(), random_between_ns(0, 2 * TU_MS));
        tu_in_context(ctx) {
            rc = tu_channel_recv(never, &v);
        }
        EXPECT(rc == -ETIMEDOUT || rc == -ECANCELED, "%d", rc);
        tu_context_release(ctx);
        return 0;
    }
    case 3: tu_yield(); break;
    default:
        if (depth < 3)
            rc = family(depth);
        break;
    }
    EXPECT(rc <= 0, "%d", rc);
    return rc == -ECANCELED ? 0 : rc;
}

static int child(unsigned depth)
{
    alive++;
    int rc = child_body(depth);
    alive--;
    if (rc < 0)
        failed++;
    return rc;
}

SCENARIO(scope, trees)
{
    never = tu_channel_make(sizeof(unsigned), 0);
    tu_context *before = tu_context_current();
    for (unsigned i = 1 + random_below(3); i > 0; i--) {
        (void)family(0);
        EXPECT(alive == 0, "%d children outlived their scope", alive);
        EXPECT(tu_context_current() == before, "the context is not restored");
    }
    tu_channel_free(never);
}

/* One level, where the first error can be told from the others. */
static int errs(int error, int64_t after_ns)
{
    alive++;
    int rc = after_ns > 0 ? tu_sleep(after_ns) : 0;
    if (rc == 0 && error < 0) {
        rc = error;
        if (first_error == 0)
            first_error = error;
    }
    alive--;
    return rc;
}

static int waits_for_ever(void)
{
    unsigned v;
    alive++;
    int rc = tu_channel_recv(never, &v);
    EXPECT(rc == -ECANCELED, "%d", rc);
    alive--;
    return rc;
}

SCENARIO(scope, an_error_ends_the_others)
{
    never = tu_channel_make(sizeof(unsigned), 0);
    int n = 1 + (int)random_below(4), result = 1, errors = 0;
    tu_scope(s) {
        for (int i = 0; i < n; i++) {
            int error = random_below(2) ? -(100 + i) : 0;
            errors += error < 0;
            EXPECT(tu_scope_go(&s, errs, error, random_between_ns(0, TU_MS)) == 0, "");
        }
        if (errors > 0)
            for (unsigned i = random_below(3); i > 0; i--)
                EXPECT(tu_scope_go(&s, waits_for_ever) == 0, "");
        result = tu_scope_wait(&s);
        EXPECT(alive == 0, "%d children run after tu_scope_wait", alive);
    }
    EXPECT((result != 0) == (first_error != 0), "result %d, first error %d", result, first_error);
    EXPECT(result == 0 || (result <= -100 && result > -100 - n), "result %d", result);
    tu_channel_free(never);
}

/* ---- trees of contexts ---- */

enum { CONTEXTS = 8 };
static tu_context *tree[CONTEXTS];
static struct tu_wait_group parties;

static bool legal_end(int error)
{
    return error == -ECANCELED || error == -ETIMEDOUT || error == -EPROTO;
}

static void wait_for_end(unsigned i)
{
    tu_context *ctx = tree[i];
    int rc = tu_context_wait(ctx);
    EXPECT(legal_end(rc) && rc == tu_context_error(ctx), "%d", rc);
    tu_context_release(ctx);
    tu_wait_group_done(&parties);
}

static void cancel_and_release(unsigned i)
{
    for (unsigned k = random_below(6); k > 0; k--)
        tu_yield();
    if (random_below(2))
        EXPECT(tu_sleep(random_between_ns(0, 2 * TU_MS)) == 0, "");
    if (random_below(2))
        tu_context_cancel(tree[i], -EPROTO);
    tu_cancel(tree[i]);
    tu_wait_group_done(&parties);
}

/* A child made below whatever is there, used and dropped at once. */
static void short_lived(unsigned i)
{
    tu_context *ctx = random_below(2) ? tu_with_timeout(tree[i], random_between_ns(-1, TU_MS))
                                      : tu_with_cancel(tree[i]);
    tu_context_release(tree[i]);
    int ended = tu_context_error(ctx);
    EXPECT(ended == 0 || legal_end(ended), "%d", ended);
    tu_in_context(ctx) {
        int rc = tu_sleep(random_between_ns(0, TU_MS));
        EXPECT(rc == 0 || rc == tu_context_error(ctx), "%d", rc);
    }
    tu_context_release(ctx);
    tu_wait_group_done(&parties);
}

SCENARIO(scope, trees_of_contexts)
{
    for (unsigned i = 0; i < CONTEXTS; i++) {
        tu_context *parent = i == 0 ? NULL : tree[random_below(i)];
        tree[i] = random_below(3) == 0 ? tu_with_timeout(parent, random_between_ns(0, 4 * TU_MS))
                                       : tu_with_cancel(parent);
    }
    tu_wait_group_add(&parties, 2 * CONTEXTS + 4);
    for (unsigned i = 0; i < CONTEXTS; i++) {
        tu_context_retain(tree[i]);
        EXPECT(tu_go(wait_for_end, i) == 0, "");
    }
    for (unsigned k = 0; k < 4; k++) {
        unsigned i = random_below(CONTEXTS);
        tu_context_retain(tree[i]);
        EXPECT(tu_go(short_lived, i) == 0, "");
    }
    for (unsigned i = 0; i < CONTEXTS; i++)
        EXPECT(tu_go(cancel_and_release, CONTEXTS - 1 - i) == 0, "");
    EXPECT(tu_wait_group_wait(&parties) == 0, "");
}

/* A descendant has ended by the time its ancestor's cancel has returned. */
SCENARIO(scope, cancel_reaches_the_leaves)
{
    for (unsigned i = 0; i < CONTEXTS; i++)
        tree[i] = tu_with_cancel(i == 0 ? NULL : tree[random_below(i)]);
    tu__context_verify(tree[0]); /* no timer changes it meanwhile */
    tu_wait_group_add(&parties, CONTEXTS);
    for (unsigned i = 0; i < CONTEXTS; i++) {
        tu_context_retain(tree[i]);
        EXPECT(tu_go(wait_for_end, i) == 0, "");
    }
    for (unsigned i = random_below(20); i > 0; i--)
        tu_yield();
    tu_context_cancel(tree[0], -ECANCELED);
    for (unsigned i = 0; i < CONTEXTS; i++)
        EXPECT(tu_context_error(tree[i]) == -ECANCELED, "%d", tu_context_error(tree[i]));
    EXPECT(tu_wait_group_wait(&parties) == 0, "");
    tu__context_verify(tree[0]);
    for (unsigned i = 0; i < CONTEXTS; i++)
        tu_context_release(tree[CONTEXTS - 1 - i]);
}
