/* mutex.c - the slow halves of the mutex.
 *
 * The word:   waiters << 34 | STARVING | WOKEN | LOCKED.   LOCKED has a half of its own, so that an unlock is a
 * plain store there: a locked instruction less, which is half of a lock-unlock pair (12.4 and 6.9 ns).
 *
 * Normal mode: unlock wakes one waiter, which then competes with whoever arrives. An arriving
 * goroutine is running already, so it usually wins, and a busy lock changes hands without any switch.
 * WOKEN says that one is on its way (woken, or spinning), so that unlock wakes no second one.
 * A waiter that loses queues again at the front.
 *
 * Starving mode: begins when a waiter that has waited for a millisecond loses once more. Unlock then
 * leaves the word "unlocked and starving", which nobody may take, and hands the lock to the first
 * waiter, which sets LOCKED itself; WOKEN says that it is on its way. Ends when the lock goes to the
 * last waiter, or to one that waited for less than that. Who arrives looks at its own half only when it sets
 * LOCKED, then at the other: if it finds STARVING there it unlocks as anybody does, and queues. The one on its way
 * waits until it has.
 *
 * Nobody is forgotten:
 *
 *   unlock                                   wait
 *   1 LOCKED = 0 (plain release)             1 compare-and-swap: LOCKED is set, waiters + 1
 *   2 compiler barrier                       2 the other half was 0 before: membarrier on all threads
 *   3 the other half != 0: pass it on        3 LOCKED == 0 now: pass it on
 *                                            4 sleep on the semaphore
 *   By the barrier, unlock's step 3 sees the waiter, or the waiter's step 3 sees the unlock. To pass on is one
 *   compare-and-swap from a word without LOCKED and WOKEN to one with WOKEN, so it happens once when
 *   both do it, and the token waits in the semaphore for whoever comes to sleep there first.
 *   Without step 2, because the half was not 0: it was so when the holder took the lock (by a locked instruction,
 *   so on x86 its step 3 sees no older value; elsewhere it is an atomic on the whole word), and nobody takes waiters or WOKEN away while LOCKED is set; or its
 *   first bit was set since, by a waiter (or spinner) in its own step 2. So one barrier is paid for a whole queue.
 *
 * Spinning: before it parks, a waiter looks again for a few microseconds. A critical section of a
 * few hundred nanoseconds is over by then, while parking and waking cost more than that. Only where
 * the holder can be running meanwhile, i.e. on more than one CPU.
 *
 * Ordering: lock's successful compare-and-swap acquires, unlock's store releases; a hand-over
 * is ordered by the bucket's lock of the semaphore.
 */
#include <tuco/go.h>
#include <tuco/sync.h>

#include "base/check.h"
#include "platform/barrier.h"
#include "platform/cpu.h"
#include "runtime/sync/semaphore.h"

#define LOCKED   UINT64_C(1)
#define WOKEN    (UINT64_C(1) << 32)
#define STARVING (UINT64_C(2) << 32)
#define WAITER   (UINT64_C(4) << 32)

#define STARVING_AFTER_NS TU_MS
#define SPIN_NS           TU_US
/* Between two looks; a pause is 5 to 50 ns, by the processor. Each look takes the line from the holder: contended,
 * 16 gave 7.9 ns and 64 6.0 on an EPYC, 45 and 30 on a Xeon. */
#define SPIN_PAUSES_MAX 64

/* The symbols behind the inline functions, for those who need an address. */
extern inline void tu_mutex_lock(struct tu_mutex *m);
extern inline void tu_mutex_unlock(struct tu_mutex *m);

static bool change(struct tu_mutex *m, uint64_t *expected, uint64_t wanted)
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
static bool spin(struct tu_mutex *m, uint64_t *state, bool awake)
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

/* After LOCKED was cleared: wakes one waiter, or hands the lock to it, unless somebody is at it already. */
static void pass_on(struct tu_mutex *m)
{
    /* A read-modify-write: who is not seen here has seen that LOCKED is clear. */
    uint64_t state = __atomic_fetch_or(&m->state, 0, __ATOMIC_SEQ_CST);
    while (state >= WAITER && !(state & (LOCKED | WOKEN))) {
        uint64_t wanted = (state & STARVING ? state : state - WAITER) | WOKEN;
        if (change(m, &state, wanted)) {
            tu__semaphore_release(&m->semaphore, 1);
            return;
        }
    }
}

/* Woken in starving mode: the lock is ours, the word does not say so yet. LOCKED there is one who has just come, and
 * leaves again. */
static void take_over(struct tu_mutex *m, uint64_t state, bool starving)
{
    for (uint64_t wanted;; state = __atomic_load_n(&m->state, __ATOMIC_RELAXED)) {
        tu_check((state & (STARVING | WOKEN)) == (STARVING | WOKEN) && state >= WAITER,
                 "the mutex at %p is in an impossible state: was it copied, or freed?", (void *)m);
        if (state & LOCKED) {
            tu_yield(); /* its thread may have lost the core */
            continue;
        }
        wanted = state + LOCKED - WAITER - WOKEN;
        if (!starving || state / WAITER == 1)
            wanted -= STARVING;
        if (change(m, &state, wanted))
            return;
    }
}

/* What `state` becomes when somebody takes it or queues. */
static uint64_t after_attempt(uint64_t state, bool starving, bool awake)
{
    uint64_t wanted = state;
    if (!(state & STARVING))
        wanted |= LOCKED;
    if (state & (LOCKED | STARVING))
        wanted += WAITER;
    if (starving && (state & LOCKED))
        wanted |= STARVING;
    if (awake)
        wanted &= ~WOKEN;
    return wanted;
}

/* `locked`: it has set LOCKED, and then saw STARVING. */
void tu__mutex_lock_slow(struct tu_mutex *m, bool locked)
{
    if (locked)
        tu_mutex_unlock(m);
    bool starving = false, awake = false, may_spin = spinning_helps();
    int64_t since_ns = 0;
    uint64_t state = __atomic_load_n(&m->state, __ATOMIC_RELAXED);
    for (;;) {
        if (may_spin)
            awake = spin(m, &state, awake);
        if (!change(m, &state, after_attempt(state, starving, awake)))
            continue;
        if (!(state & (LOCKED | STARVING)))
            return;
        if (state == LOCKED) {
            barrier_all_threads(); /* pairs with the compiler's barrier in tu_mutex_unlock */
            if (__atomic_load_n(&m->half.locked, __ATOMIC_ACQUIRE) == 0)
                pass_on(m);
        }
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
    uint64_t state = __atomic_load_n(&m->state, __ATOMIC_RELAXED);
    return !(state & (LOCKED | STARVING)) && change(m, &state, state | LOCKED);
}

/* `locked`: what the word said before LOCKED was cleared. */
void tu__mutex_unlock_slow(struct tu_mutex *m, bool locked)
{
    tu_check(locked, "unlock of an unlocked mutex, at %p", (void *)m);
    pass_on(m);
}
