/* cancel.c - the end of a context, seen from the waits that depend on it.
 *
 * A cancellable wait links a second place here and lets both parties race for its sleeper. Whoever
 * ends a context claims under the lock and wakes after it: a claimed sleeper cannot leave before it is
 * woken, so the claimed places may be chained through `next` on the way out, and no lock is held
 * while goroutines are made to run.
 *
 * `error` is written once, under the lock, before the queue is emptied; a watcher reads it under the
 * same lock, so no wait can be added after the last one was woken.
 */
#include "runtime/sched/cancel.h"

#include "base/check.h"

int tu__cancel_watch(struct tu__cancel *c, struct tu__place *p)
{
    tu_assert(p->sleeper->shared);
    tu__lock(&c->lock);
    int32_t error = atomic_load_explicit(&c->error, memory_order_relaxed); /* the lock orders it */
    if (error == 0)
        tu__queue_push(&c->places, p);
    else
        p->queued = false;
    tu__unlock(&c->lock);
    return error;
}

void tu__cancel_unwatch(struct tu__cancel *c, struct tu__place *p)
{
    tu__lock(&c->lock);
    if (p->queued)
        tu__queue_remove(&c->places, p);
    tu__unlock(&c->lock);
}

bool tu__cancel_end(struct tu__cancel *c, int32_t error)
{
    tu_check(error < 0, "a context is cancelled with %d, which is not a negative errno", error);
    struct tu__place *claimed = NULL, *place;
    tu__lock(&c->lock);
    if (atomic_load_explicit(&c->error, memory_order_relaxed) != 0) {
        tu__unlock(&c->lock);
        return false;
    }
    /* release: pairs with the acquire in readers that look without the lock (tu_context_error), so
     * that what was done before the cancel is seen by who sees the cancel. */
    atomic_store_explicit(&c->error, error, memory_order_release);
    while ((place = tu__queue_pop(&c->places)) != NULL) {
        if (tu__sleeper_claim(place->sleeper, error)) {
            place->next = claimed;
            claimed = place;
        }
    }
    tu__unlock(&c->lock);
    while (claimed) {
        place = claimed;
        claimed = place->next;
        tu__sleeper_wake(place->sleeper);
    }
    return true;
}
