/* gc_weak.c - weak pointers, and functions that are called when an object is gone.
 *
 * A weak pointer is a small object without pointers (to the collector), whose word is zeroed when its target was found
 * unreachable. That is done between the end of marking and the sweep, while the marks say who is alive:
 *
 *   marking     tu_weak_get marks what it returns: nobody else may know it
 *   clearing    all entries are looked at under the lock; tu_weak_get takes it as well, and what is not marked is gone
 *   otherwise   a word that is not zero is a live object's
 *
 * Marking ends, and clearing begins, while all threads stand, and tu_weak_get is a step for those who stop threads
 * (tu__gc_busy), so its answer to "which of the three?" is true until it has returned.
 *
 * A cleanup's argument is a root until it was called. Those that are due are called in order by a goroutine, or by
 * a thread where no scheduler runs; one at a time, and it ends when there are no more.
 */
#include "runtime/gc/gc_weak.h"

#include "base/check.h"
#include "platform/cpu.h"
#include "platform/thread.h"
#include "runtime/gc/collector.h"
#include "runtime/gc/gc_phase.h"
#include "runtime/sched/schedule.h"

#include <stdlib.h>
#include <tuco/go.h>

struct tu_weak {
    _Atomic uintptr_t target; /* 0: it is gone */
};
TU_TYPE(tu_weak);

struct cleanup {
    struct cleanup *next;
    const void *object; /* not seen by the collector */
    void (*fn)(void *arg);
    void *arg;
};

static struct {
    struct tu__lock lock;
    _Atomic bool clearing; /* changes to true while all threads stand */
    tu_weak **weak;        /* not seen by the collector */
    size_t weak_count, weak_room;
    struct cleanup *cleanups;
    struct cleanup *due, *due_last;
    bool calling; /* somebody calls those that are due */
} weak;

/* ---- weak pointers ---- */

static bool room_for_weak_locked(void)
{
    if (weak.weak_count < weak.weak_room)
        return true;
    size_t room = weak.weak_room ? 2 * weak.weak_room : 16;
    tu_weak **more = realloc(weak.weak, room * sizeof *more);
    if (!more)
        return false;
    weak.weak = more;
    weak.weak_room = room;
    return true;
}

tu_weak *tu_weak_make(const void *object)
{
    tu_weak *w = tu_new(tu_weak);
    if (!w)
        return NULL;
    tu_check(!object || tu_gc_owns(object), "tu_weak_make(%p): not an object of the collected heap",
             object);
    atomic_store_explicit(&w->target, (uintptr_t)object, memory_order_relaxed);
    tu__lock(&weak.lock);
    bool ok = room_for_weak_locked();
    if (ok)
        weak.weak[weak.weak_count++] = w;
    tu__unlock(&weak.lock);
    return ok ? w : NULL;
}

/* While the collector clears: false if it has just ended. Does not wait for the lock, which a fork may hold that waits
 * for a stop, which waits for us. */
static bool get_clearing(const tu_weak *w, uintptr_t *target)
{
    while (atomic_load_explicit(&weak.clearing, memory_order_acquire)) {
        if (!tu__trylock(&weak.lock)) {
            cpu_pause();
            continue;
        }
        bool clearing = atomic_load_explicit(&weak.clearing, memory_order_relaxed);
        *target = atomic_load_explicit(&w->target, memory_order_relaxed);
        if (clearing && !tu__mark_is((const void *)*target))
            *target = 0; /* the collector has not come so far */
        tu__unlock(&weak.lock);
        return true;
    }
    return false;
}

static uintptr_t get(struct gc_thread *t, const tu_weak *w)
{
    uintptr_t target;
    if (atomic_load_explicit(&tu__gc_marking, memory_order_relaxed) != 0) {
        struct mark_stack own = {0};
        target = atomic_load_explicit(&w->target, memory_order_relaxed);
        tu__mark(t ? &t->stack : &own, (const void *)target);
        tu__mark_flush(&own);
    } else if (!get_clearing(w, &target)) {
        target = atomic_load_explicit(&w->target, memory_order_relaxed);
    }
    return target;
}

void *tu_weak_get(const tu_weak *w)
{
    struct gc_thread *t = tu__gc_busy_begin();
    uintptr_t target = get(t, w);
    if (t)
        tu__gc_busy_end(t);
    return (void *)target;
}

/* ---- cleanups ---- */

int tu_gc_cleanup(const void *object, void (*fn)(void *arg), void *arg)
{
    tu_check(tu_gc_owns(object), "tu_gc_cleanup(%p): not an object of the collected heap", object);
    struct cleanup *c = malloc(sizeof *c);
    if (!c)
        return -ENOMEM;
    *c = (struct cleanup){.object = object, .fn = fn, .arg = arg};
    tu__lock(&weak.lock);
    c->next = weak.cleanups;
    weak.cleanups = c;
    tu__unlock(&weak.lock);
    return 0;
}

static struct cleanup *take_due(void)
{
    tu__lock(&weak.lock);
    struct cleanup *c = weak.due;
    if (c)
        weak.due = c->next;
    else
        weak.calling = false;
    tu__unlock(&weak.lock);
    return c;
}

static void call_due(void)
{
    for (struct cleanup *c; (c = take_due());) {
        void (*fn)(void *) = c->fn;
        void *arg = c->arg;
        tu__gc_taken(&c->arg,
                     sizeof c->arg); /* the list may not have been scanned yet, and we were */
        free(c);
        fn(arg);
    }
}

static void *call_due_on_thread(void *record)
{
    tu__gc_thread_start(record);
    call_due();
    return NULL;
}

static bool start_thread(void)
{
    struct gc_thread *record = tu__gc_thread_reserve();
    if (record && thread_start(call_due_on_thread, record, 1 << 20, "tuco-cleanups") == 0)
        return true;
    if (record)
        tu__gc_thread_unreserve(record);
    return false;
}

static void start_calling(void)
{
    tu__lock(&weak.lock);
    bool start = weak.due && !weak.calling;
    weak.calling |= start;
    tu__unlock(&weak.lock);
    if (!start)
        return;
    bool ok = tu__sched.procs ? tu_go_named("cleanups", call_due) == 0 : start_thread();
    if (ok)
        return;
    tu__lock(&weak.lock);
    weak.calling = false; /* after the next cycle, then */
    tu__unlock(&weak.lock);
}

/* ---- the collector ---- */

void tu__gc_weak_lock(void)
{
    tu__lock(&weak.lock);
}

void tu__gc_weak_unlock(void)
{
    tu__unlock(&weak.lock);
}

void tu__gc_weak_after_fork(void)
{
    tu__lock_after_fork(&weak.lock);
    atomic_store_explicit(&weak.clearing, false, memory_order_relaxed);
    weak.calling = false;
}

void tu__gc_weak_scan(struct mark_stack *stack)
{
    tu__lock(&weak.lock);
    for (const struct cleanup *c = weak.cleanups; c; c = c->next)
        tu__mark(stack, c->arg);
    for (const struct cleanup *c = weak.due; c; c = c->next)
        tu__mark(stack, c->arg);
    tu__unlock(&weak.lock);
}

void tu__gc_weak_each(void (*visit)(const void *start, size_t size, void *arg), void *arg)
{
    if (!tu__trylock(&weak.lock))
        return;
    for (const struct cleanup *c = weak.cleanups; c; c = c->next)
        visit(&c->arg, sizeof c->arg, arg);
    for (const struct cleanup *c = weak.due; c; c = c->next)
        visit(&c->arg, sizeof c->arg, arg);
    tu__unlock(&weak.lock);
}

void tu__gc_weak_begin(void)
{
    atomic_store_explicit(&weak.clearing, true, memory_order_release);
}

static void clear_weak_locked(void)
{
    size_t kept = 0;
    for (size_t i = 0; i < weak.weak_count; i++) {
        tu_weak *w = weak.weak[i];
        if (!tu__mark_is(w))
            continue;
        const void *target = (const void *)atomic_load_explicit(&w->target, memory_order_relaxed);
        if (tu__mark_is(target))
            weak.weak[kept++] = w;
        else
            atomic_store_explicit(&w->target, 0, memory_order_relaxed);
    }
    weak.weak_count = kept;
}

static void find_due_locked(void)
{
    for (struct cleanup *c, **link = &weak.cleanups; (c = *link);) {
        if (tu__mark_is(c->object)) {
            link = &c->next;
            continue;
        }
        *link = c->next;
        c->next = NULL;
        if (weak.due)
            weak.due_last->next = c;
        else
            weak.due = c;
        weak.due_last = c;
    }
}

void tu__gc_weak_clear(void)
{
    tu__lock(&weak.lock);
    clear_weak_locked();
    find_due_locked();
    atomic_store_explicit(&weak.clearing, false, memory_order_release);
    tu__unlock(&weak.lock);
    start_calling();
}
