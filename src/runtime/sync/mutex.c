/* mutex.c - the slow halves of the mutex.
 *
 * The word:   waiters << 3 | STARVING | WOKEN | LOCKED
 *
 * Normal mode: unlock wakes one waiter, which then competes with whoever arrives. An arriving
 * goroutine is running already, so it usually wins, and a busy lock changes hands without any switch.
 * WOKEN says that one is on its way (woken, or spinning), so that unlock wakes no second one.
 * A waiter that loses queues again at the front.
 *
 * Starving mode: begins when a waiter that has waited for a millisecond loses once more. Unlock then
 * leaves the word "unlocked and starving", which nobody may take, and hands the lock to the first
 * waiter, which sets LOCKED itself. Ends when the lock goes to the last waiter, or to one that
 * waited for less than that.
 *
 * Spinning: before it parks, a waiter looks again for about a microsecond. A critical section of a
 * few hundred nanoseconds is over by then, while parking and waking cost more than that. Only where
 * the holder can be running meanwhile, i.e. on more than one CPU.
 *
 * Ordering: lock's successful compare-and-swap acquires, unlock's subtraction releases; a hand-over
 * is ordered by the bucket's lock of the semaphore.
 */
#include <tuco/go.h>
#include <tuco/sync.h>

#include "base/check.h"
#include "platform/cpu.h"
#include "runtime/sync/semaphore.h"

enum { LOCKED = 1, WOKEN = 2, STARVING = 4, WAITER = 8 };

#define STARVING_AFTER_NS TU_MS
#define SPIN_NS           TU_US
#define SPIN_PAUSES_MAX   16 /* between two looks; a pause is 5 to 50 ns, by the processor */

/* The symbols behind the inline functions, for those who need an address. */
extern inline void tu_mutex_lock(struct tu_mutex *m);
extern inline void tu_mutex_unlock(struct tu_mutex *m);

static bool change(struct tu_mutex *m, uint32_t *expected, uint32_t wanted)
{
    return __atomic_compare_exchange_n(&m->state, expected, wanted, false, __ATOMIC_ACQUIRE,
                                       __ATOMIC_RELAXED);
}

/* Whether the holder can be running while we spin. */
static bool spinning_helps(void)
{
    static _Atomic unsigned cpus; /* asking costs a system call */
    if (tu_on_goroutine())
        return tu_maxprocs() > 1;
    unsigned n = atomic_load_explicit(&cpus, memory_order_relaxed);
    if (n == 0) {
        n = cpu_count();
        atomic_store_explicit(&cpus, n, memory_order_relaxed);
    }
    return n > 1;
}

/* Spins while it is locked, says so with WOKEN when others wait, and leaves the newest state in
 * *state. True if WOKEN is ours. */
static bool spin(struct tu_mutex *m, uint32_t *state, bool awake)
{
    int64_t end_ns = 0;
    for (int pauses = 1; (*state & (LOCKED | STARVING)) == LOCKED;) {
        if (!awake && !(*state & WOKEN) && *state >= WAITER && change(m, state, *state | WOKEN))
            awake = true;
        for (int i = 0; i < pauses; i++)
            cpu_pause();
        *state = __atomic_load_n(&m->state, __ATOMIC_RELAXED);
        if (pauses < SPIN_PAUSES_MAX) {
            pauses *= 2;
        } else {
            int64_t now_ns = tu_now();
            if (end_ns == 0)
                end_ns = now_ns + SPIN_NS;
            else if (now_ns >= end_ns)
                break;
        }
    }
    return awake;
}

/* Woken in starving mode: the lock is ours, the word does not say so yet. */
static void take_over(struct tu_mutex *m, uint32_t state, bool starving)
{
    tu_check(!(state & (LOCKED | WOKEN)) && state >= WAITER,
             "the mutex at %p is in an impossible state: was it copied, or freed?", (void *)m);
    uint32_t change_by = (uint32_t)LOCKED - WAITER;
    if (!starving || state / WAITER == 1)
        change_by -= STARVING;
    (void)__atomic_add_fetch(&m->state, change_by, __ATOMIC_ACQUIRE);
}

void tu__mutex_lock_slow(struct tu_mutex *m)
{
    bool starving = false, awake = false, may_spin = spinning_helps();
    int64_t since_ns = 0;
    uint32_t state = __atomic_load_n(&m->state, __ATOMIC_RELAXED);
    for (;;) {
        if (may_spin)
            awake = spin(m, &state, awake);
        uint32_t wanted = state;
        if (!(state & STARVING))
            wanted |= LOCKED;
        if (state & (LOCKED | STARVING))
            wanted += WAITER;
        if (starving && (state & LOCKED))
            wanted |= STARVING;
        if (awake)
            wanted &= ~(uint32_t)WOKEN;
        if (!change(m, &state, wanted))
            continue;
        if (!(state & (LOCKED | STARVING)))
            return;
        bool again = since_ns != 0;
        if (!again)
            since_ns = tu_now();
        tu__semaphore_acquire(&m->semaphore, again ? TU__SEMAPHORE_FRONT : TU__SEMAPHORE_BACK,
                              TU__WAIT_MUTEX);
        starving = starving || tu_now() - since_ns > STARVING_AFTER_NS;
        state = __atomic_load_n(&m->state, __ATOMIC_RELAXED);
        if (state & STARVING) {
            take_over(m, state, starving);
            return;
        }
        awake = true;
    }
}

bool tu_mutex_try_lock(struct tu_mutex *m)
{
    uint32_t state = __atomic_load_n(&m->state, __ATOMIC_RELAXED);
    return !(state & (LOCKED | STARVING)) && change(m, &state, state | LOCKED);
}

/* `state` is the word after LOCKED was subtracted. */
void tu__mutex_unlock_slow(struct tu_mutex *m, uint32_t state)
{
    tu_check((state + LOCKED) & LOCKED, "unlock of an unlocked mutex, at %p", (void *)m);
    if (state & STARVING) {
        tu__semaphore_release(&m->semaphore, 1);
        return;
    }
    for (;;) {
        /* Nobody waits, or somebody is at it already. */
        if (state < WAITER || (state & (LOCKED | WOKEN | STARVING)))
            return;
        if (change(m, &state, (state - WAITER) | WOKEN)) {
            tu__semaphore_release(&m->semaphore, 1);
            return;
        }
    }
}
