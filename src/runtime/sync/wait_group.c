/* wait_group.c - a counter to wait for.
 *
 *     state = counter << 32 | waiters        waiters > 0  =>  counter > 0
 *
 * The invariant makes the end of a round one step: the change that takes the counter to zero while
 * somebody waits sets the whole word to zero, under the lock of the waiters' bucket, and wakes them
 * all. It is also the last touch of the group: a waiter whose context ended may come back, find the
 * counter at zero and free the group at once, while the one that finished it is still waking others.
 * So the word is changed by compare-and-swap: a plain subtraction would reach zero first and then
 * have to look at the waiters.
 *
 * Waiters are only counted up and down under the bucket's lock; the counter may change any time.
 */
#include <tuco/sync.h>

#include "base/check.h"
#include "runtime/sync/semaphore.h"

#define ONE_COUNT  ((uint64_t)1 << 32)
#define ONE_WAITER ((uint64_t)1)

static int64_t counter_of(uint64_t state)
{
    return (int64_t)(state >> 32);
}

static uint32_t waiters_of(uint64_t state)
{
    return (uint32_t)state;
}

/* acq_rel: a change releases what was done before it; the wait that sees zero acquires it, also
 * where it sees it by failing to count itself in. */
static bool change(struct tu_wait_group *g, uint64_t *expected, uint64_t wanted)
{
    return __atomic_compare_exchange_n(&g->state, expected, wanted, false, __ATOMIC_ACQ_REL,
                                       __ATOMIC_ACQUIRE);
}

struct finish {
    struct tu_wait_group *group;
    int delta;
};

static int64_t counter_after(uint64_t state, int delta, const void *group)
{
    int64_t counter = counter_of(state) + delta;
    tu_check(counter >= 0, "the counter of the wait group at %p went below zero", group);
    tu_check(counter <= INT32_MAX, "the counter of the wait group at %p is too large", group);
    return counter;
}

/* Under the bucket's lock: to zero, unless somebody has added meanwhile. */
static bool finish(void *arg)
{
    struct finish *f = arg;
    uint64_t state = __atomic_load_n(&f->group->state, __ATOMIC_RELAXED);
    do {
        if (counter_after(state, f->delta, f->group) != 0)
            return false;
    } while (!change(f->group, &state, 0));
    return true;
}

void tu_wait_group_add(struct tu_wait_group *g, int delta)
{
    uint64_t state = __atomic_load_n(&g->state, __ATOMIC_RELAXED);
    for (;;) {
        int64_t counter = counter_after(state, delta, g);
        if (counter == 0 && waiters_of(state) > 0) {
            struct finish f = {g, delta};
            if (tu__semaphore_open(&g->semaphore, finish, &f))
                return;
            state = __atomic_load_n(&g->state, __ATOMIC_RELAXED);
        } else if (change(g, &state, (uint64_t)counter << 32 | waiters_of(state))) {
            return;
        }
    }
}

void tu_wait_group_done(struct tu_wait_group *g)
{
    tu_wait_group_add(g, -1);
}

static bool enter(void *arg)
{
    struct tu_wait_group *g = arg;
    uint64_t state = __atomic_load_n(&g->state, __ATOMIC_ACQUIRE);
    do {
        if (counter_of(state) == 0)
            return false;
    } while (!change(g, &state, state + ONE_WAITER));
    return true;
}

static void leave(void *arg)
{
    struct tu_wait_group *g = arg;
    (void)__atomic_sub_fetch(&g->state, ONE_WAITER, __ATOMIC_RELAXED);
}

int tu_wait_group_wait(struct tu_wait_group *g)
{
    if (counter_of(__atomic_load_n(&g->state, __ATOMIC_ACQUIRE)) == 0)
        return 0;
    return tu__semaphore_wait(&g->semaphore, enter, leave, g, TU__WAIT_WAIT_GROUP);
}
