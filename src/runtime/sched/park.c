/* park.c - sleepers of goroutines and of plain threads, and the lock between threads. */
#include "runtime/sched/park.h"

#include "base/check.h"
#include "base/torture.h"
#include "platform/barrier.h"
#include "platform/cpu.h"
#include "platform/futex.h"
#include "runtime/sched/schedule.h"

enum { LOCK_SPINS = TU__LIMIT(100, 1) };

/* Also beside sleepers, which the fast path leaves alone. */
static bool take_held(struct tu__lock *lock)
{
    uint16_t free = 0;
    return atomic_compare_exchange_strong_explicit(&lock->held, &free, 1, memory_order_acquire,
                                                   memory_order_relaxed);
}

void tu__lock_slow(struct tu__lock *lock)
{
    for (int i = 0; i < LOCK_SPINS; i++) {
        if (atomic_load_explicit(&lock->held, memory_order_relaxed) == 0 && take_held(lock))
            return;
        cpu_pause();
    }
    atomic_fetch_add(&lock->sleepers, 1);
    for (;;) {
        barrier_all_threads(); /* pairs with the compiler barrier in tu__unlock */
        if (take_held(lock))
            break;
        uint32_t word = atomic_load_explicit(&lock->word, memory_order_relaxed);
        if ((word & UINT16_MAX) != 0)
            (void)futex_wait(&lock->word, word, -1);
    }
    atomic_fetch_sub(&lock->sleepers, 1);
}

void tu__unlock_slow(struct tu__lock *lock)
{
    futex_wake(&lock->word, 1);
}

void tu__sleeper_init(struct tu__sleeper *s, bool shared)
{
    tu__sleeper_init_for(s, shared, NULL);
}

void tu__sleeper_init_for(struct tu__sleeper *s, bool shared, const void *object)
{
    struct m *m = tu__m();
    struct g *g = m ? m->g : NULL;
    if (g)
        g->object = object;
    s->g = g;
    s->shared = shared;
    atomic_store_explicit(&s->signal, 0, memory_order_relaxed);
    atomic_store_explicit(&s->outcome, 0, memory_order_relaxed);
}

/* A shared sleeper is linked in several objects before it parks, so one of them may wake it while it
 * still runs. The word `signal` settles that: the waker sets WOKEN, the parked side sets PARKED once
 * the context is saved, and whoever comes second makes the goroutine run. */
enum { SIGNAL_NONE, SIGNAL_WOKEN, SIGNAL_PARKED };

struct park_commit {
    struct tu__sleeper *sleeper;
    void (*unlock)(void *arg);
    void *arg;
};

static void commit_shared(void *arg)
{
    struct park_commit *commit = arg;
    struct tu__sleeper *s = commit->sleeper;
    struct g *g = s->g;
    if (commit->unlock)
        commit->unlock(commit->arg);
    /* acq_rel: pairs with the exchange in tu__sleeper_wake; s may be gone after PARKED */
    if (atomic_exchange_explicit(&s->signal, SIGNAL_PARKED, memory_order_acq_rel) == SIGNAL_WOKEN)
        tu__submit(&g->run, SUBMIT_FRONT);
}

int32_t tu__sleeper_park(struct tu__sleeper *s, void (*unlock)(void *arg), void *arg,
                         enum tu__wait why)
{
    if (!s->g) {
        if (unlock)
            unlock(arg);
        /* acquire: pairs with the waker's release of `signal` */
        while (atomic_load_explicit(&s->signal, memory_order_acquire) == SIGNAL_NONE)
            (void)futex_wait(&s->signal, SIGNAL_NONE, -1);
    } else if (s->shared) {
        struct park_commit commit = {s, unlock, arg};
        tu__leave(commit_shared, &commit, why);
    } else {
        tu__leave(unlock, arg, why);
    }
    int32_t outcome = atomic_load_explicit(&s->outcome, memory_order_relaxed);
    tu_assert(outcome != 0);
    return outcome;
}

static void release_lock(void *lock)
{
    tu__unlock(lock);
}

int32_t tu__sleeper_park_lock(struct tu__sleeper *s, struct tu__lock *held, enum tu__wait why)
{
    return tu__sleeper_park(s, release_lock, held, why);
}

void tu__sleeper_wake(struct tu__sleeper *s)
{
    struct g *g = s->g;
    if (!g) {
        atomic_store_explicit(&s->signal, SIGNAL_WOKEN, memory_order_release);
        futex_wake(&s->signal, 1); /* s may be gone: a stray wake is harmless */
        return;
    }
    if (s->shared &&
        atomic_exchange_explicit(&s->signal, SIGNAL_WOKEN, memory_order_acq_rel) != SIGNAL_PARKED)
        return; /* not parked yet: it will notice */
    tu__submit(&g->run, SUBMIT_FRONT);
}
