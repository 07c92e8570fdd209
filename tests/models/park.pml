/* park.pml - "nothing ready is ever forgotten": the submit and sleep protocol of sched/schedule.h.
 *
 * Two Ps with one ring each, a global queue, and two foreign submitters. The global queue belongs to nobody, so it
 * needs the protocol: a P that finds nothing goes to sleep by announcing itself, giving up its spinning token
 * and looking once more. What lies in a ring is run by its P, which is awake then; whether it is
 * worth a wake, a theft or a look before sleeping is a guess (docs/decisions/0012), and here it may
 * come out either way each time. The monitor, which corrects wrong guesses and would cover up a forgotten wake a
 * millisecond later, is left out. Claim: when nothing moves any more, all work has run.
 *
 * BROKEN: a P does not look again after it has announced its sleep. RACE: a waker that finds nobody to claim
 * gives its token back and leaves it at that.
 */
#define PROCS 2
#define WORK 3 /* one item of each submitter, and one that an item makes ready */

byte global = 0;            /* items in the global queue */
byte queue[PROCS];          /* items in each P's ring */
bit asleep[PROCS];          /* 1: may be claimed */
bit woken[PROCS];           /* the poller's eventfd */
int idle_count = 0;
int spinning = 0;
byte done = 0;              /* items that ran */
byte submitted = 0;

/* work_anywhere(NULL): a ring counts when the guess says so. */
inline look_anywhere()
{
    if
    :: atomic { global > 0 -> seen = 1 }
    :: atomic { queue[0] + queue[1] > 0 -> seen = 1 }
    :: atomic { global == 0 -> seen = 0 }
    fi
}

/* The sleepers are looked at one after the other; if none could be claimed, the token is given back
 * and the work looked for again. */
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
           :: atomic { asleep[0] == 1 -> asleep[0] = 0; claimed = 1 }; idle_count--; woken[0] = 1
           :: asleep[0] == 0 -> skip
           fi;
           if
           :: claimed == 0 ->
              if
              :: atomic { asleep[1] == 1 -> asleep[1] = 0; claimed = 1 }; idle_count--; woken[1] = 1
              :: asleep[1] == 0 -> skip
              fi
           :: else -> skip
           fi;
           if
           :: claimed == 0 ->
              spinning--;
#ifndef RACE
              look_anywhere();
              atomic { retry = seen; seen = 0 }
#endif
           :: else -> skip
           fi
        :: else -> skip
        fi
    od;
    atomic { claimed = 0; seen = 0 }
}

/* A thread without a P puts work in the global queue. */
proctype submitter()
{
    bit retry, claimed, seen;
    atomic { global++; submitted++ };
    /* full fence */
    wake_one()
}

proctype proc(byte id)
{
    bit spin = 0;
    bit found, retry, claimed, seen;
    byte other = 1 - id;
again:
    found = 0;
    if
    :: atomic { queue[id] > 0 -> queue[id]--; found = 1 }
    :: atomic { queue[id] == 0 && global > 0 -> global--; found = 1 }
    :: atomic { queue[id] == 0 && global == 0 && spin == 1 && queue[other] > 0 -> queue[other]--; found = 1 }
    :: queue[id] == 0 && global == 0 -> skip /* the other's ring is not worth it, or empty */
    fi;
    if
    :: found ->
        found = 0;
        if
        :: spin == 1 ->
            spin = 0;
            if
            :: atomic { spinning == 1 -> spinning-- };
               look_anywhere();
               if
               :: seen -> seen = 0; wake_one()
               :: else -> skip
               fi
            :: atomic { spinning != 1 -> spinning-- }
            fi
        :: else -> skip
        fi;
        /* the work runs; it may make one more item ready here, which may be worth a wake */
        done++;
        if
        :: atomic { submitted < WORK -> submitted++; queue[id]++ };
           if
           :: wake_one()
           :: skip
           fi
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
    assert(queue[id] == 0);
    atomic { asleep[id] = 1 };
    atomic { idle_count++ };
    if
    :: spin == 1 -> spin = 0; atomic { spinning-- }
    :: else -> skip
    fi;
#ifndef BROKEN
    look_anywhere();
    if
    :: atomic { seen -> seen = 0; woken[id] = 1 } /* poll without waiting */
    :: else -> skip
    fi;
#endif
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
    atomic { run proc(0); run proc(1); run submitter(); run submitter() };
    /* when everything waits, all work has run */
    timeout ->
        assert(global == 0 && queue[0] == 0 && queue[1] == 0);
        assert(done == submitted)
}
