/* pin.pml - handing a P to the thread of a pinned goroutine, while the monitor takes Ps from hogs: hand_over,
 * wait_for_pinned and tu__start_machine of schedule.c, look_at and take_from of monitor.c.
 *
 * Two Ps and three Ms. M 0 has a goroutine of its own; when that parks, M 0 gives its P to an idle M, or leaves it
 * to the monitor when there is none, and waits. Whoever finds the goroutine ready hands it its own P.
 * The monitor asks for a P of an M that it believes has it. (That its membarrier makes in_runtime visible is the
 * claim of retake.pml; here both are visible at once.) Claims:
 *   - a P is used by one M at a time;
 *   - no P is lost, and the pinned goroutine gets to its end: when nothing moves any more it has run
 *     all its rounds.
 *
 * BROKEN: the monitor does not look again whether the P is still with that M. LATE: M 0 forgets an earlier
 * wake after its goroutine has become visible, not before.
 */
#define MS 3
#define NO_P 2
#define NO_M 3
#define ROUNDS 3

mtype = { NO, ASKED, TAKEN };

byte owner[2];       /* p->m */
byte has[MS];        /* m->p */
byte given[MS];      /* m->next_p */
bit in_runtime[MS];
mtype lost[MS] = NO;
bit wake[MS];
bit idle[MS];        /* in the list of idle Ms */
byte using[2];       /* Ms that use it, for the claim */
bit ready;           /* the pinned goroutine is in a queue */
byte rounds;         /* that it has run */

/* Gives p to an idle M; `ok` is 0 when there is none (no thread can be started). */
inline start_machine(p)
{
    to = NO_M;
    atomic {
        if
        :: idle[1] -> idle[1] = 0; to = 1
        :: idle[2] -> idle[2] = 0; to = 2
        :: else -> skip
        fi
    };
    if
    :: to != NO_M -> given[to] = p; owner[p] = to; wake[to] = 1; to = NO_M; ok = 1
    :: else -> ok = 0
    fi
}

/* tu__enter: finds out whether the P is gone. */
inline enter(me)
{
    in_runtime[me] = 1;
    if
    :: lost[me] == NO -> skip
    :: else ->
        atomic {
            if
            :: lost[me] == ASKED -> lost[me] = NO
            :: lost[me] == TAKEN -> lost[me] = NO; has[me] = NO_P
            :: else -> skip
            fi
        }
    fi
}

inline use(me)
{
    if
    :: has[me] != NO_P ->
        using[has[me]]++;
        assert(using[has[me]] == 1);
        using[has[me]]--
    :: else -> skip
    fi
}

/* The thread of the pinned goroutine. */
proctype pinned_machine()
{
    byte p = NO_P, to = NO_M;
    bit ok;
    do
    :: rounds < ROUNDS ->
        in_runtime[0] = 0; /* the goroutine computes */
        enter(0);
        use(0);
        rounds++;
#ifdef LATE
        ready = 1;
        wake[0] = 0;
#else
        wake[0] = 0;
        ready = 1; /* parked, and somebody woke it */
#endif
        p = has[0];
        has[0] = NO_P;
        if
        :: p != NO_P ->
            start_machine(p);
            if
            :: !ok -> owner[p] = NO_M
            :: else -> skip
            fi;
            p = NO_P
        :: else -> skip
        fi;
        wake[0];
        atomic { has[0] = given[0]; given[0] = NO_P }
    :: else -> break
    od
}

proctype machine(byte me)
{
    byte p = NO_P;
    do
    :: has[me] == NO_P ->
        wake[me] = 0;
        idle[me] = 1;
        wake[me];
        atomic { has[me] = given[me]; given[me] = NO_P }
    :: has[me] != NO_P ->
        use(me);
        if
        :: atomic { ready -> ready = 0 }; /* hand over */
            p = has[me];
            has[me] = NO_P;
            given[0] = p;
            owner[p] = 0;
            wake[0] = 1;
            p = NO_P
        :: in_runtime[me] = 0; /* another goroutine runs, for as long as it likes */
            enter(me)
        fi
    od
}

proctype monitor()
{
    byte p, m, to = NO_M;
    bit ok, took;
    do
    :: atomic { p = 0; m = owner[0] }
    :: atomic { p = 1; m = owner[1] };
        if
        :: m == NO_M -> start_machine(p)
        :: else ->
            took = 0;
            if
            :: atomic { lost[m] == NO && !in_runtime[m] -> lost[m] = ASKED };
#ifndef BROKEN
                took = !in_runtime[m] && owner[p] == m;
#else
                took = !in_runtime[m];
#endif
                atomic {
                    if
                    :: lost[m] == ASKED && took -> lost[m] = TAKEN
                    :: lost[m] == ASKED && !took -> lost[m] = NO
                    :: else -> took = 0
                    fi
                };
                if
                :: took -> owner[p] = NO_M; start_machine(p)
                :: else -> skip
                fi
            :: else -> skip
            fi
        fi
    od
}

init { skip }
