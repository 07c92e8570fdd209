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
#define ROUNDS 2
#define LOOKS 1 /* of the monitor at Ps that have an M */
#define RUNS 2  /* of other goroutines */

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
byte runs, looks;

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
    od;
    in_runtime[0] = 0;
    enter(0) /* notices a P that it has lost */
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
        :: atomic { runs < RUNS -> runs++ };
            in_runtime[me] = 0; /* another goroutine runs, for as long as it likes */
            enter(me)
        fi
    od
}

proctype monitor()
{
    byte p = 0, m = 0, to = NO_M;
    bit ok, took;
    do
    :: owner[0] == NO_M && (idle[1] || idle[2]) -> start_machine(0)
    :: owner[1] == NO_M && (idle[1] || idle[2]) -> start_machine(1)
    :: looks < LOOKS ->
        looks++;
        if
        :: p = 0
        :: p = 1
        fi;
        m = owner[p];
        if
        :: m == NO_M -> goto next
        :: else -> skip
        fi;
        if
        :: atomic { lost[m] == NO && !in_runtime[m] -> lost[m] = ASKED }
        :: else -> goto next
        fi;
        took = !in_runtime[m];
#ifndef BROKEN
        took = took && owner[p] == m;
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
        fi;
next:
        atomic { p = 0; m = 0; took = 0; ok = 0 }
    od
}

#define HOLDERS(p) ((has[0] == p) + (has[1] == p) + (has[2] == p))

init
{
    atomic {
        owner[1] = 1;
        has[1] = 1;
        has[2] = NO_P;
        given[0] = NO_P;
        given[1] = NO_P;
        given[2] = NO_P;
        in_runtime[0] = 1;
        in_runtime[1] = 1;
        in_runtime[2] = 1;
        run pinned_machine();
        run machine(1);
        run machine(2);
        run monitor()
    };
    timeout -> assert(rounds == ROUNDS);
    assert(HOLDERS(0) == 1 && HOLDERS(1) == 1)
}
