/* park.pml - "nothing ready is ever forgotten": the submit and sleep protocol of schedule.h.
 *
 * Two Ps with one slot of work each, a global queue, and two foreign submitters. A P that finds nothing
 * goes to sleep by announcing itself, giving up its spinning token and looking once more. Claim: in
 * every end state no work is left while a P sleeps that nobody is about to wake.
 *
 *     spin -a park.pml && cc -O2 -DSAFETY -o pan pan.c && ./pan     (scripts/check-models)
 *
 * BROKEN=1 leaves out the second look; the model must then fail.
 */
#define PROCS 2
#define WORK 1 /* of each submitter */

byte global = 0;            /* items in the global queue */
byte queue[PROCS];          /* items in each P's ring */
bit asleep[PROCS];          /* 1: may be claimed */
bit woken[PROCS];           /* the poller's eventfd */
int idle_count = 0;
int spinning = 0;
byte done = 0;              /* items that ran */
byte submitted = 0;

#define WORK_ANYWHERE (global > 0 || queue[0] > 0 || queue[1] > 0)

/* The sleepers are looked at one after the other; if none could be claimed, the token is given back
 * and the work looked for again. RACE=1 leaves that last look out; the model must then fail. */
inline wake_one()
{
    retry = 1;
    do
    :: retry == 0 -> break
    :: retry == 1 ->
        retry = 0;
        if
        :: atomic { idle_count > 0 && spinning == 0 -> spinning = 1 };
           claimed = 0;
           if
           :: atomic { asleep[0] == 1 -> asleep[0] = 0 }; idle_count--; woken[0] = 1; claimed = 1
           :: asleep[0] == 0 -> skip
           fi;
           if
           :: claimed == 0 ->
              if
              :: atomic { asleep[1] == 1 -> asleep[1] = 0 }; idle_count--; woken[1] = 1; claimed = 1
              :: asleep[1] == 0 -> skip
              fi
           :: else -> skip
           fi;
           if
           :: claimed == 0 ->
              spinning--;
#ifndef RACE
              retry = WORK_ANYWHERE
#endif
           :: else -> skip
           fi
        :: else -> skip
        fi
    od
}

/* A thread without a P puts work in the global queue. */
proctype submitter()
{
    byte n = 0;
    bit retry, claimed;
    do
    :: n < WORK ->
        atomic { global++; submitted++ };
        /* full fence */
        wake_one();
        n++
    :: else -> break
    od
}

proctype proc(byte id)
{
    bit spin = 0;
    bit found, retry, claimed;
    byte other = 1 - id;
again:
    found = 0;
    if
    :: atomic { queue[id] > 0 -> queue[id]--; found = 1 }
    :: atomic { queue[id] == 0 && global > 0 -> global--; found = 1 }
    :: atomic { queue[id] == 0 && global == 0 && spin == 1 && queue[other] > 0 -> queue[other]--; found = 1 }
    :: else -> skip
    fi;
    if
    :: found ->
        if
        :: spin == 1 ->
            spin = 0;
            if
            :: atomic { spinning == 1 -> spinning-- }; wake_one()
            :: atomic { spinning != 1 -> spinning-- }
            fi
        :: else -> skip
        fi;
        /* the work runs; it may make one more item ready here */
        done++;
        if
        :: atomic { submitted < 2 * WORK + 1 -> submitted++; queue[id]++ }; wake_one()
        :: skip
        fi;
        goto again
    :: else -> skip
    fi;
    /* become a spinner once before sleeping */
    if
    :: atomic { spin == 0 && 2 * spinning < PROCS - idle_count -> spinning++; spin = 1 }; goto again
    :: else -> skip
    fi;
    /* sleep */
    atomic { asleep[id] = 1 };
    atomic { idle_count++ };
    if
    :: spin == 1 -> spin = 0; atomic { spinning-- }
    :: else -> skip
    fi;
#ifndef BROKEN
    if
    :: global > 0 || queue[0] > 0 || queue[1] > 0 -> woken[id] = 1 /* poll without waiting */
    :: else -> skip
    fi;
#endif
end_sleep:
    atomic { woken[id] == 1 -> woken[id] = 0 };
    /* whoever takes `asleep` first decides: ourselves, or a waker, who counted us as a spinner */
    if
    :: atomic { asleep[id] == 1 -> asleep[id] = 0 }; idle_count--
    :: atomic { asleep[id] == 0 -> spin = 1 }
    fi;
    goto again
}

init
{
    atomic { run proc(0); run proc(1); run submitter(); run submitter() }
    /* when everything waits, all work has run */
    timeout ->
        assert(global == 0 && queue[0] == 0 && queue[1] == 0);
        assert(done == submitted)
}
