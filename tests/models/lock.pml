/* lock.pml - the lock between threads: tu__lock and tu__unlock of sched/park.h and park.c.
 *
 * Threads on CPUs of their own. `held` is cleared by a plain store that stays in the CPU's store buffer until it
 * drains, a locked instruction or a system call of that CPU flushes it, or another's membarrier does. The futex
 * compares the whole word and sleeps in one step; a wake wakes one thread, whichever. Claims:
 *   - one thread is inside at a time;
 *   - nobody sleeps for ever: when nothing moves any more, all threads are done and the word is 0.
 *
 * A thread fences in every round of its loop. The first time would do: an unlock that looks later sees its
 * `sleepers`. (Checked once by leaving the others out here.)
 *
 * BROKEN: no membarrier.
 */
#define THREADS 3
#define ROUNDS 2

bit held;
byte sleepers;
bit buffered[THREADS]; /* the CPU's store of held = 0 is not visible yet */
bit asleep[THREADS];
byte inside, done;

inline flush(cpu)
{
    if
    :: buffered[cpu] -> buffered[cpu] = 0; held = 0
    :: else -> skip
    fi
}

inline barrier_all_threads()
{
    atomic { flush(0); flush(1); flush(2) }
}

inline futex_wake(cpu)
{
    atomic {
        flush(cpu);
        if
        :: asleep[0] -> asleep[0] = 0
        :: asleep[1] -> asleep[1] = 0
        :: asleep[2] -> asleep[2] = 0
        :: else -> skip
        fi
    }
}

proctype thread(byte me)
{
    byte round = 0, seen = 0;
    bit got;
again:
    if
    :: round == ROUNDS -> goto out
    :: else -> round++
    fi;
    /* the fast path wants the whole word to be 0; the spins take `held` beside sleepers as well */
    atomic {
        flush(me);
        if
        :: !held -> held = 1; got = 1
        :: got = 0 /* the spins were over just before, or the fast path met sleepers */
        fi
    };
    if
    :: got -> goto critical
    :: else -> skip
    fi;
    sleepers++;
    do
    :: true ->
#ifndef BROKEN
        barrier_all_threads();
#endif
        atomic {
            if
            :: !held -> held = 1; got = 1
            :: else -> got = 0
            fi
        };
        if
        :: got -> break
        :: else -> skip
        fi;
        atomic { seen = sleepers; got = held };
        if
        :: got ->
            atomic { /* the kernel compares and queues under its own lock */
                if
                :: held && sleepers == seen -> asleep[me] = 1
                :: else -> skip
                fi
            };
            !asleep[me]
        :: else -> skip
        fi
    od;
    sleepers--;
critical:
    inside++;
    assert(inside == 1);
    inside--;
    buffered[me] = 1;
    if
    :: sleepers > 0 -> futex_wake(me)
    :: else -> skip
    fi;
    goto again;
out:
    atomic { done++; seen = 0; got = 0 }
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
    atomic { run thread(0); run thread(1); run thread(2); run drain() };
    timeout -> assert(done == THREADS);
    assert(!held && sleepers == 0)
}
