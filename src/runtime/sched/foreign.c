/* foreign.c - see foreign.h. */
#include "runtime/sched/foreign.h"

#include "base/check.h"
#include "runtime/sched/cancel.h"
#include "runtime/sched/schedule.h"

enum { FOREIGN_DONE = 1 };

void tu__foreign_done(struct tu__foreign *f, int64_t result)
{
    tu__lock(&f->lock);
    tu_assert(!f->done);
    f->result = result;
    f->done = true;
    struct tu__sleeper *waiter = f->waiter;
    bool ours = waiter && tu__sleeper_claim(waiter, FOREIGN_DONE);
    tu__unlock(&f->lock);
    if (ours)
        tu__sleeper_wake(waiter);
}

static int wait_plain(struct tu__foreign *f)
{
    struct tu__sleeper sleeper;
    tu__lock(&f->lock);
    if (f->done) {
        tu__unlock(&f->lock);
        return 0;
    }
    tu__sleeper_init(&sleeper, false);
    f->waiter = &sleeper;
    (void)tu__sleeper_park_lock(&sleeper, &f->lock, f->why);
    return 0;
}

static int wait_cancellable(struct tu__foreign *f, struct tu__cancel *cancel)
{
    struct tu__sleeper sleeper;
    struct tu__place ending = {.sleeper = &sleeper};
    tu__sleeper_init(&sleeper, true);
    int rc = tu__cancel_watch(cancel, &ending);
    if (rc < 0) { /* ended before: what is done already counts all the same */
        tu__lock(&f->lock);
        rc = f->done ? 0 : rc;
        tu__unlock(&f->lock);
        return rc;
    }
    int32_t outcome = FOREIGN_DONE;
    tu__lock(&f->lock);
    bool done = f->done;
    if (!done)
        f->waiter = &sleeper;
    tu__unlock(&f->lock);
    if (!done)
        outcome = tu__sleeper_park(&sleeper, NULL, NULL, f->why);
    else if (!tu__sleeper_claim(&sleeper,
                                FOREIGN_DONE)) /* the context was faster: let it wake us */
        (void)tu__sleeper_park(&sleeper, NULL, NULL, f->why);
    tu__cancel_unwatch(cancel, &ending);
    tu__lock(&f->lock);
    f->waiter = NULL;
    done = f->done;
    tu__unlock(&f->lock);
    return done ? 0 : outcome;
}

int tu__foreign_wait(struct tu__foreign *f, bool cancellable)
{
    struct tu__cancel *cancel = cancellable ? tu__cancel_current() : NULL;
    atomic_fetch_add_explicit(&tu__sched.foreign_operations, 1, memory_order_relaxed);
    int rc = cancel ? wait_cancellable(f, cancel) : wait_plain(f);
    atomic_fetch_sub_explicit(&tu__sched.foreign_operations, 1, memory_order_relaxed);
    return rc;
}

int32_t tu__foreign_operations(void)
{
    return atomic_load_explicit(&tu__sched.foreign_operations, memory_order_relaxed);
}
