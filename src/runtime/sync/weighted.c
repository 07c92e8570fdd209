/* weighted.c - the semaphore that is taken several units at a time.
 *
 * Under one lock: the units, and a queue. A release serves the queue from its front for as long as what is
 * available is enough for the first; nobody is let past it, else a large request would wait for ever beside small
 * ones. A waiter that leaves by its context may have been what the others waited behind, so it serves the
 * queue as well.
 *
 * A waiter is claimed either by who serves it, or by its context. A claim that fails takes nothing from the
 * units: that waiter is on its way out, and finds itself unlinked.
 *
 *   0 <= available <= size       available < need of the first waiter, unless it is on its way out
 *
 * Rejected: a mutex and a condition (each release would wake everyone to look), the parking table of
 * semaphore.h (its words count single tokens).
 */
#include <tuco/sync.h>

#include "base/check.h"
#include "runtime/sched/park.h"

enum { OUTCOME_SERVED = 1 };

struct waiter {
    struct tu__place place; /* first: the queue links these */
    struct tu__place cancel;
    struct tu__sleeper sleeper;
    int64_t need;
};

static inline struct tu__lock *lock_of(struct tu_semaphore *s)
{
    _Static_assert(sizeof(struct tu__lock) == sizeof s->lock, "the lock does not fit");
    return (struct tu__lock *)&s->lock;
}

static inline struct tu__queue *queue_of(struct tu_semaphore *s)
{
    _Static_assert(offsetof(struct tu_semaphore, tail) - offsetof(struct tu_semaphore, head) ==
                           offsetof(struct tu__queue, tail) &&
                       sizeof(struct tu__queue) == 2 * sizeof s->head,
                   "head and tail are not a queue");
    return (struct tu__queue *)&s->head;
}

/* Caller holds the lock. Those to be woken, oldest first. */
static struct tu__place *serve(struct tu_semaphore *s)
{
    struct tu__place *served = NULL, **last = &served, *p;
    while ((p = queue_of(s)->head) != NULL && ((struct waiter *)p)->need <= s->available) {
        tu__queue_remove(queue_of(s), p);
        if (!tu__sleeper_claim(p->sleeper, OUTCOME_SERVED))
            continue;
        s->available -= ((struct waiter *)p)->need;
        p->next = NULL;
        *last = p;
        last = &p->next;
    }
    return served;
}

static void unlock_and_wake(struct tu_semaphore *s, struct tu__place *served)
{
    tu__unlock(
        lock_of(s)); /* from the first wake on *s may be gone, and each waiter after its own */
    while (served) {
        struct tu__place *p = served;
        served = p->next;
        tu__sleeper_wake(p->sleeper);
    }
}

static inline bool take_at_once(struct tu_semaphore *s, int64_t n)
{
    if (queue_of(s)->head || s->available < n)
        return false;
    s->available -= n;
    return true;
}

/* Caller holds the lock; it is released. */
static int wait(struct tu_semaphore *s, int64_t n)
{
    struct tu__cancel *context = tu__cancel_current();
    struct waiter w = {.place.sleeper = &w.sleeper, .cancel.sleeper = &w.sleeper, .need = n};
    tu__sleeper_init_for(&w.sleeper, context != NULL, s);
    if (context) {
        int error = tu__cancel_watch(context, &w.cancel);
        if (error) {
            tu__unlock(lock_of(s));
            return error;
        }
    }
    tu__queue_push(queue_of(s), &w.place);
    int32_t outcome = tu__sleeper_park_lock(&w.sleeper, lock_of(s), TU__WAIT_SEMAPHORE);
    if (outcome < 0) {
        tu__lock(lock_of(s));
        if (w.place.queued)
            tu__queue_remove(queue_of(s), &w.place);
        unlock_and_wake(s, serve(s));
    }
    if (context)
        tu__cancel_unwatch(context, &w.cancel);
    return outcome < 0 ? outcome : 0;
}

int tu_semaphore_acquire(struct tu_semaphore *s, int64_t n)
{
    tu_check(n >= 0, "tu_semaphore_acquire: %lld units", (long long)n);
    if (n > s->size)
        return -EINVAL;
    tu__lock(lock_of(s));
    if (!take_at_once(s, n))
        return wait(s, n);
    tu__unlock(lock_of(s));
    return 0;
}

bool tu_semaphore_try_acquire(struct tu_semaphore *s, int64_t n)
{
    tu_check(n >= 0, "tu_semaphore_try_acquire: %lld units", (long long)n);
    tu__lock(lock_of(s));
    bool taken = take_at_once(s, n);
    tu__unlock(lock_of(s));
    return taken;
}

void tu_semaphore_release(struct tu_semaphore *s, int64_t n)
{
    tu__lock(lock_of(s));
    tu_check(n >= 0 && n <= s->size - s->available,
             "tu_semaphore_release: %lld units, of %lld that are taken", (long long)n,
             (long long)(s->size - s->available));
    s->available += n;
    unlock_and_wake(s, serve(s));
}
