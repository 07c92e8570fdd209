/* scope.c - counting children in and out.
 *
 * A child is started on a trampoline that knows the scope, the function and its words; scope and
 * function take two of the six words a goroutine can carry, so a child costs no allocation, and has
 * four arguments. The scope lies on the stack of its block: the last touch of a finishing child is
 * its unlock, after which the block may go on; the waiter's wake, if there is one, is owed by that
 * child, so its sleeper is still there.
 *
 * The join is not cancellable. It would be of no use: returning while a child runs would break the
 * one promise that a scope makes.
 */
#include <tuco/scope.h>

#include "base/check.h"
#include "platform/clock.h"
#include "runtime/sched/park.h"
#include "runtime/time/timer.h"

enum { HAS_RESULT = 1 }; /* low bit of the scope's address in the child's first word */

static inline struct tu__lock *lock_of(struct tu_scope *s)
{
    _Static_assert(sizeof(struct tu__lock) == sizeof s->lock, "the lock does not fit");
    return (struct tu__lock *)&s->lock;
}

/* Keeps the first error, and whose it is, and tells the others. */
static void fail(struct tu_scope *s, int error, const struct tu_site *site)
{
    tu__lock(lock_of(s));
    bool first = s->error == 0;
    if (first) {
        s->error = error;
        s->failed = site;
    }
    tu__unlock(lock_of(s));
    if (first)
        tu_scope_cancel(s);
}

static void finish(struct tu_scope *s)
{
    struct tu__sleeper *waiter = NULL;
    if (s->slots.size > 0)
        tu_semaphore_release(&s->slots, 1);
    tu__lock(lock_of(s));
    tu_check(s->running > 0, "tu_scope: more children finished than started");
    if (--s->running == 0) {
        waiter = s->waiter;
        s->waiter = NULL;
        /* Under the lock: one whose time is up, and who has claimed itself, takes it before it goes. */
        if (waiter && !tu__sleeper_claim(waiter, 1))
            waiter = NULL;
    }
    tu__unlock(lock_of(s));
    if (waiter)
        tu__sleeper_wake(waiter);
}

static void child(uintptr_t scope, uintptr_t function, uintptr_t a, uintptr_t b, uintptr_t c,
                  uintptr_t d)
{
    struct tu_scope *s = (struct tu_scope *)(scope & ~(uintptr_t)HAS_RESULT);
    if (scope & HAS_RESULT) {
        int rc = ((int (*)(uintptr_t, uintptr_t, uintptr_t, uintptr_t))function)(a, b, c, d);
        if (rc < 0)
            fail(s, rc, tu_goroutine_site());
    } else {
        ((void (*)(uintptr_t, uintptr_t, uintptr_t, uintptr_t))function)(a, b, c, d);
    }
    finish(s);
}

int tu__scope_go(struct tu_scope *s, void (*fn)(void), bool result, unsigned count,
                 const uintptr_t *words, const struct tu_site *site)
{
    tu_check(count <= 4, "tu_scope_go: %u arguments", count);
    uintptr_t w[6] = {(uintptr_t)s | (result ? HAS_RESULT : 0), (uintptr_t)fn};
    for (unsigned i = 0; i < count; i++)
        w[2 + i] = words[i];
    int rc = s->slots.size > 0 ? tu_semaphore_acquire(&s->slots, 1) : 0;
    if (rc < 0) {
        fail(s, rc, site);
        return rc;
    }
    tu__lock(lock_of(s));
    tu_check(!s->ended, "tu_scope_go: the scope at %p has ended", (void *)s);
    s->running++;
    tu__unlock(lock_of(s));
    rc = tu_go_words((void (*)(void))child, 6, w, site);
    if (rc < 0) {
        fail(s, rc, site);
        finish(s);
    }
    return rc;
}

static void time_is_up(struct tu__timer *timer, void *sleeper)
{
    if (tu__sleeper_claim(sleeper, 1))
        tu__sleeper_wake(sleeper);
}

/* The caller holds the lock, and has said in s->waiter that it waits. */
static void park_until(struct tu_scope *s, struct tu__sleeper *sleeper, int64_t deadline_ns)
{
    struct tu__timer timer = {0};
    tu__unlock(lock_of(s));
    tu__timer_start(&timer, deadline_ns, time_is_up, sleeper);
    (void)tu__sleeper_park(sleeper, NULL, NULL, TU__WAIT_SCOPE);
    (void)tu__timer_stop(&timer);
    tu__lock(lock_of(s));
    if (s->waiter == sleeper)
        s->waiter = NULL;
    tu__unlock(lock_of(s));
}

static int wait_until(struct tu_scope *s, int64_t deadline_ns)
{
    bool timed = deadline_ns != INT64_MAX;
    for (;;) {
        tu__lock(lock_of(s));
        tu_check(!s->ended, "tu_scope_wait: the scope at %p has ended", (void *)s);
        if (s->running == 0) {
            int error = s->error;
            tu__unlock(lock_of(s));
            return error;
        }
        tu_check(!s->waiter, "tu_scope_wait: two goroutines wait for one scope");
        if (timed && clock_monotonic_ns() >= deadline_ns) {
            tu__unlock(lock_of(s));
            return -ETIMEDOUT;
        }
        struct tu__sleeper sleeper;
        tu__sleeper_init_for(&sleeper, timed, s);
        s->waiter = &sleeper;
        if (timed)
            park_until(s, &sleeper, deadline_ns);
        else
            tu__sleeper_park_lock(&sleeper, lock_of(s), TU__WAIT_SCOPE);
    }
}

int tu_scope_wait(struct tu_scope *s)
{
    return wait_until(s, INT64_MAX);
}

int tu_scope_wait_for(struct tu_scope *s, int64_t timeout_ns)
{
    int64_t now_ns = clock_monotonic_ns();
    return wait_until(s, timeout_ns >= INT64_MAX - now_ns ? INT64_MAX : now_ns + timeout_ns);
}

void tu_scope_cancel(struct tu_scope *s)
{
    if (s->context)
        tu_context_cancel(s->context, -ECANCELED);
}

void tu_scope_limit(struct tu_scope *s, int64_t n)
{
    tu_check(n > 0, "tu_scope_limit: %lld children", (long long)n);
    tu__lock(lock_of(s));
    tu_check(s->running == 0 && s->slots.available == s->slots.size,
             "tu_scope_limit: children run already");
    s->slots = (struct tu_semaphore)TU_SEMAPHORE(n);
    tu__unlock(lock_of(s));
}

const struct tu_site *tu_scope_failed(struct tu_scope *s)
{
    tu__lock(lock_of(s));
    const struct tu_site *site = s->failed;
    tu__unlock(lock_of(s));
    return site;
}

struct tu_scope tu__scope_enter(void)
{
    tu_context *current = tu_context_current();
    tu_context *own = tu_with_cancel(current);
    if (own)
        (void)tu_context_swap(own);
    /* Without memory for a context the scope still joins; its error says what happened. */
    return (struct tu_scope){.context = own, .previous = current, .error = own ? 0 : -ENOMEM};
}

void tu__scope_leave(struct tu_scope *s)
{
    (void)tu_scope_wait(s);
    s->ended = true; /* its memory may soon be something else: a late use is found if it is not */
    if (!s->context)
        return;
    (void)tu_context_swap(s->previous);
    tu_context_release(s->context);
}
