/* mutex.pml - unlocking without a locked instruction, wakes and the hand-over: sync/mutex.c.
 *
 * Goroutines on CPUs of their own lock and unlock. LOCKED is cleared by a plain store, which stays in the
 * CPU's store buffer until it drains by itself, a locked instruction of that CPU flushes it, or the
 * membarrier of a waiter does. The other half of the word is only changed by locked instructions. A compare-
 * and-swap is one step that computes the new word from the one it finds, as it succeeds only then; what a
 * waiter does with a word it has read before is modelled with that older copy. Whether a waiter spins,
 * and whether it has waited long enough to starve, is open. Claims:
 *   - one goroutine is inside at a time, also when the lock is handed over;
 *   - at most one token lies in the semaphore: nobody is woken twice;
 *   - nobody sleeps for ever: when nothing moves any more, all are done and the word is 0.
 *
 * BROKEN: no membarrier. BLIND: unlock does not look at the other half again once it has cleared LOCKED, but takes
 * the look from before.
 */
#define GOROUTINES 3
#define ROUNDS 2

bit locked, woken, starving;
byte waiters;
bit buffered[GOROUTINES]; /* the CPU's store of locked = 0 is not visible yet */
byte tokens;              /* in the semaphore */
byte inside, done;

inline flush(cpu)
{
    if
    :: buffered[cpu] -> buffered[cpu] = 0; locked = 0
    :: else -> skip
    fi
}

inline flush_all()
{
    flush(0);
    flush(1);
    flush(2)
}

/* One round of its loop per step: from the word it finds, or no more. */
inline pass_on(cpu)
{
    atomic { flush(cpu) }; /* fetch_or */
    atomic {
        flush(cpu);
        if
        :: waiters > 0 && !locked && !woken ->
            if
            :: starving -> skip
            :: else -> waiters--
            fi;
            woken = 1;
            give = 1
        :: else -> give = 0
        fi
    };
    if
    :: give -> atomic { tokens++; assert(tokens == 1) }
    :: else -> skip
    fi
}

proctype goroutine(byte me)
{
    byte round = 0;
    bit give, awake, starves, must_wait, alone, seen_woken, seen_waiters, last;
again:
    if
    :: round == ROUNDS -> goto out
    :: else -> round++
    fi;
    awake = 0;
    starves = 0;
attempt:
    /* spin: says with WOKEN that nobody need be woken; or does not */
    if
    :: atomic { !awake && locked && !buffered[me] && !starving && !woken && waiters > 0 -> woken = 1; awake = 1 }
    :: skip
    fi;
    atomic {
        flush(me);
        must_wait = locked || starving;
        alone = locked && !woken && !starving && waiters == 0;
        if
        :: starves && locked -> starving = 1
        :: else -> skip
        fi;
        if
        :: must_wait -> waiters++
        :: else -> locked = 1
        fi;
        if
        :: awake -> assert(woken); woken = 0
        :: else -> skip
        fi
    };
    if
    :: !must_wait -> goto critical
    :: else -> skip
    fi;
    if
    :: alone ->
#ifndef BROKEN
        atomic { flush_all() }; /* membarrier */
#endif
        if
        :: !locked -> pass_on(me)
        :: else -> skip
        fi
    :: else -> skip
    fi;
    atomic { tokens > 0 -> tokens-- }; /* the semaphore */
    if
    :: starves = 1
    :: skip
    fi;
    if
    :: atomic { starving -> last = (waiters == 1) }; /* the word as take_over has read it */
        assert(woken && waiters > 0 && !locked);
        atomic {
            locked = 1;
            waiters--;
            woken = 0;
            if
            :: !starves || last -> starving = 0
            :: else -> skip
            fi
        };
        goto critical
    :: else -> awake = 1; goto attempt
    fi;
critical:
    inside++;
    assert(inside == 1);
    inside--;
    /* unlock */
#ifdef BLIND
    atomic { seen_woken = woken || starving; seen_waiters = waiters > 0 };
    buffered[me] = 1;
#else
    buffered[me] = 1;
    atomic { seen_woken = woken || starving; seen_waiters = waiters > 0 };
#endif
    if
    :: seen_woken || seen_waiters -> pass_on(me)
    :: else -> skip
    fi;
    goto again;
out:
    atomic { done++; awake = 0; starves = 0; must_wait = 0; alone = 0; seen_woken = 0; seen_waiters = 0 }
}

/* A buffer drains at any time, at last. */
proctype drain()
{
    do
    :: atomic { buffered[0] -> flush(0) }
    :: atomic { buffered[1] -> flush(1) }
    :: atomic { buffered[2] -> flush(2) }
    od
}

init
{
    atomic { run goroutine(0); run goroutine(1); run goroutine(2); run drain() };
    timeout -> assert(done == GOROUTINES);
    assert(!locked && !woken && !starving && waiters == 0 && tokens == 0)
}
