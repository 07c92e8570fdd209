/* condition.c - waiting for a signal with a mutex put aside.
 *
 * A waiter joins the queue before it unlocks the mutex, so no signal by somebody who locks it later
 * can be missed; and it holds the queue's lock from there until it is parked, so no waker meets a
 * waiter that still runs. (Tickets, taken before the unlock and compared afterwards, would keep that
 * lock shorter. But a waiter that leaves by its context would leave a ticket behind that swallows
 * somebody else's signal.)
 *
 * First come, first served: a signal goes to the oldest waiter, never to one that came after it.
 * A signal that finds its waiter taken by the end of a context goes to the next.
 */
#include <tuco/sync.h>

#include "base/check.h"
#include "runtime/sched/park.h"

_Static_assert(sizeof(struct tu__lock) == sizeof(uint32_t), "tu_condition.lock is a tu__lock");

enum { OUTCOME_SIGNAL = 1 };

/* head and tail of the public struct, as the queue they are. */
static struct tu__place *first(struct tu_condition *c)
{
    return __atomic_load_n((struct tu__place **)&c->head, __ATOMIC_RELAXED);
}

static struct tu__lock *lock_of(struct tu_condition *c)
{
    return (struct tu__lock *)&c->lock;
}

static void push(struct tu_condition *c, struct tu__place *p)
{
    struct tu__place *tail = c->tail;
    p->next = NULL;
    p->prev = tail;
    p->queued = true;
    if (tail)
        tail->next = p;
    else
        __atomic_store_n(&c->head, p, __ATOMIC_RELAXED);
    c->tail = p;
}

static void unlink_place(struct tu_condition *c, struct tu__place *p)
{
    if (p->prev)
        p->prev->next = p->next;
    else
        __atomic_store_n(&c->head, p->next, __ATOMIC_RELAXED);
    if (p->next)
        p->next->prev = p->prev;
    else
        c->tail = p->prev;
    p->queued = false;
}

int tu_condition_wait(struct tu_condition *c, struct tu_mutex *m)
{
    struct tu__cancel *context = tu__cancel_current();
    struct tu__sleeper sleeper;
    struct tu__place place = {.sleeper = &sleeper}, cancel = {.sleeper = &sleeper};
    tu__sleeper_init_for(&sleeper, context != NULL, c);
    if (context) {
        int error = tu__cancel_watch(context, &cancel);
        if (error)
            return error;
    }
    tu__lock(lock_of(c));
    push(c, &place);
    tu_mutex_unlock(m);
    int32_t outcome = tu__sleeper_park_lock(&sleeper, lock_of(c), TU__WAIT_CONDITION);
    if (context) {
        if (outcome < 0) {
            tu__lock(lock_of(c));
            if (place.queued)
                unlink_place(c, &place);
            tu__unlock(lock_of(c));
        }
        tu__cancel_unwatch(context, &cancel);
    }
    tu_mutex_lock(m);
    return outcome < 0 ? outcome : 0;
}

/* Claims up to `count` waiters, oldest first, and wakes them. */
static void wake(struct tu_condition *c, unsigned count)
{
    /* Who changed what is waited for under the mutex, after a waiter released it, sees that one
     * here: it joined before. */
    if (!first(c))
        return;
    struct tu__place *woken = NULL, **last = &woken, *p;
    tu__lock(lock_of(c));
    while (count > 0 && (p = first(c)) != NULL) {
        unlink_place(c, p);
        if (!tu__sleeper_claim(p->sleeper, OUTCOME_SIGNAL))
            continue;
        p->next = NULL;
        *last = p;
        last = &p->next;
        count--;
    }
    tu__unlock(lock_of(c));
    while (woken) { /* a claimed waiter stays until its wake */
        p = woken;
        woken = p->next;
        tu__sleeper_wake(p->sleeper);
    }
}

void tu_condition_signal(struct tu_condition *c)
{
    wake(c, 1);
}

void tu_condition_broadcast(struct tu_condition *c)
{
    wake(c, UINT32_MAX);
}
