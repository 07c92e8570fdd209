/* timer.pml - starting, firing, stopping and freeing one timer: time/timer.c and, around it, time/alarm.c.
 *
 * A timer may be armed in the heap of either P. Two threads look at both heaps, as its own P does and as others do
 * for a P that computes. The state is ARMED, and RUNNER once for each thread inside its fire. Fire takes
 * the owner's lock, and delivers only what is armed and due at that time: a ticker's fire arms it again, on the P of
 * the thread that fires. The owner starts it, resets it once and frees it, at any time. Claims:
 *   - nobody touches the timer after it was freed;
 *   - a start is delivered at most once, and none that was reset away or stopped;
 *   - it is in a heap exactly when it is ARMED.
 *
 * BROKEN: a runner that has finished sets the state to idle instead of taking only itself off; a
 * second fire that runs at that time is then forgotten, and freed under its feet.
 * HASTY: who frees does not wait for runners.
 */
#define NONE 2
#define STARTS 3

byte heap = NONE;      /* whose heap it is in */
byte last_heap;        /* t->p: whose it was put in last */
bit heap_lock[2];
bit state_armed;
byte runners;          /* as the state word counts them */
bit user_lock;
bit armed;             /* the owner's view, under user_lock */
byte starts;           /* by owner and fires */
byte due = 0;          /* deadline: the number of the start; time reaches it at any moment */
byte now = 0;
bit delivered[4];
bit void_start[4];     /* reset away or stopped */
bit freed;

inline lock(l) { atomic { l == 0 -> l = 1 } }
inline unlock(l) { l = 0 }
#define TOUCH assert(!freed)

/* tu__timer_start on P p. Caller holds user_lock and the timer is not armed. */
inline start(p)
{
    lock(heap_lock[p]);
    atomic {
        TOUCH;
        assert(!state_armed && heap == NONE);
        starts++;
        due = starts;
        armed = 1;
        state_armed = 1;
        heap = p
    };
    unlock(heap_lock[p])
}

/* tu__timer_disarm. Caller holds user_lock, so nobody starts it; a runner may take it off. */
inline disarm()
{
    TOUCH;
    where = last_heap;
    if
    :: state_armed ->
        lock(heap_lock[where]);
        atomic {
            if
            :: state_armed -> assert(heap == where); heap = NONE; state_armed = 0
            :: else -> assert(heap == NONE)
            fi
        };
        unlock(heap_lock[where])
    :: else -> skip
    fi
}



/* Looks at both heaps until nothing will come any more. */
proctype runner(byte id)
{
    byte h, where;
    do
    :: heap != NONE && due <= now ->
        h = heap;
        if
        :: h == NONE -> goto next
        :: else -> skip
        fi;
        lock(heap_lock[h]);
        if
        :: atomic { heap == h && due <= now -> heap = NONE; assert(state_armed); state_armed = 0; runners++ }
        :: else -> unlock(heap_lock[h]); goto next
        fi;
        unlock(heap_lock[h]);
        /* fire */
        TOUCH;
        lock(user_lock);
        TOUCH;
        if
        :: armed && due <= now ->
            disarm();
            assert(!delivered[due] && !void_start[due]);
            delivered[due] = 1;
            if
            :: starts < STARTS -> last_heap = id; start(id) /* a ticker */
            :: armed = 0
            fi
        :: else -> skip
        fi;
        TOUCH;
        unlock(user_lock);
        atomic {
            TOUCH;
#ifdef BROKEN
            runners = 0
#else
            runners--
#endif
        };
next:
        atomic { h = 0; where = 0 }
    :: freed -> break
    od
}

proctype time_passes()
{
    do
    :: atomic { now < STARTS && now < due -> now++ }
    :: freed -> break
    od
}

inline cancel()
{
    if
    :: armed -> disarm(); void_start[due] = 1; armed = 0
    :: else -> skip
    fi
}

proctype owner()
{
    byte where;
    lock(user_lock);
    last_heap = 0;
    start(0);
    unlock(user_lock);
    if
    :: starts < STARTS -> /* a reset, on another P */
        lock(user_lock);
        cancel();
        if
        :: starts < STARTS -> last_heap = 1; start(1)
        :: else -> skip
        fi;
        unlock(user_lock)
    :: skip
    fi;
    lock(user_lock);
    cancel();
    unlock(user_lock);
    disarm();
#ifndef HASTY
    runners == 0;
#endif
    assert(heap == NONE);
    freed = 1
}

init
{
    atomic { run owner(); run runner(0); run runner(1); run time_passes() };
    timeout -> assert(freed && _nr_pr == 1)
}
