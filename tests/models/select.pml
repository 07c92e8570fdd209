/* select.pml - one select, three parties that may win it: the protocol of park.h and select.c.
 *
 * A select waits to receive from channel A (one slot) and from channel B, under a context C. At the
 * same time somebody sends to A, somebody closes B and somebody ends C. Claims:
 *   - one of the three wins, and the goroutine runs again exactly once, also when the winner comes
 *     before it has parked;
 *   - nobody touches the select's stack after it has returned;
 *   - the value sent was received, or lies in the slot of A; never both, never neither.
 *
 *     spin -a select.pml && cc -O2 -DSAFETY -o pan pan.c && ./pan     (scripts/check-models)
 *
 * BROKEN: the select returns without leaving the queues of those that did not win.
 */
mtype = { NONE, WOKEN, PARKED };

bit lock_a, lock_b, lock_c;
bit queued_a, queued_b, queued_c; /* the select's places */
bit slot_a, closed_b, ended_c;
bit received;                     /* a sender has copied into the select's variable */
byte outcome = 0;                 /* 0 pending, 1 A, 2 B, 3 C */
mtype signal = NONE;
byte runnable = 0;                /* times the goroutine was made to run */
bit alive = 1;                    /* the select's frame exists */
bit looked;                       /* the first look found something: no wait */

inline acquire(l) { atomic { l == 0 -> l = 1 } }
inline release(l) { l = 0 }

/* A compare-and-swap on the sleeper's outcome. */
inline claim(what, won)
{
    atomic {
        assert(alive);
        if
        :: outcome == 0 -> outcome = what; won = 1
        :: else -> won = 0
        fi
    }
}

inline wake()
{
    atomic {
        assert(alive);
        if
        :: signal == PARKED -> runnable++
        :: else -> skip
        fi;
        signal = WOKEN
    }
}

proctype sender()
{
    bit won = 0;
    acquire(lock_a);
    if
    :: queued_a -> queued_a = 0; claim(1, won)
    :: else -> skip
    fi;
    if
    :: won -> assert(alive); received = 1
    :: else -> slot_a = 1
    fi;
    release(lock_a);
    if
    :: won -> wake()
    :: else -> skip
    fi
}

proctype closer()
{
    bit won = 0;
    acquire(lock_b);
    closed_b = 1;
    if
    :: queued_b -> queued_b = 0; claim(2, won)
    :: else -> skip
    fi;
    release(lock_b);
    if
    :: won -> wake()
    :: else -> skip
    fi
}

proctype canceller()
{
    bit won = 0;
    acquire(lock_c);
    ended_c = 1;
    if
    :: queued_c -> queued_c = 0; claim(3, won)
    :: else -> skip
    fi;
    release(lock_c);
    if
    :: won -> wake()
    :: else -> skip
    fi
}

proctype waiter()
{
    bit self_won = 0;
    /* step 2: all channels locked, by address; the look sees one moment */
    acquire(lock_a);
    acquire(lock_b);
    if
    :: slot_a -> slot_a = 0; received = 1; looked = 1
    :: closed_b -> looked = 1
    :: !slot_a && !closed_b -> skip
    fi;
    if
    :: looked -> release(lock_a); release(lock_b); goto out
    :: else -> skip
    fi;
    /* step 3: link, watch the context, unlock, park */
    queued_a = 1;
    queued_b = 1;
    acquire(lock_c);
    if
    :: ended_c -> claim(3, self_won)
    :: else -> queued_c = 1
    fi;
    release(lock_c);
    release(lock_a);
    release(lock_b);
    if
    :: self_won -> skip
    :: else ->
        atomic { /* on the next stack, once the registers are saved */
            if
            :: signal == WOKEN -> runnable++
            :: else -> skip
            fi;
            signal = PARKED
        };
        runnable == 1
    fi;
    assert(outcome != 0);
    /* step 4: the winner's channel needs no lock */
#ifndef BROKEN
    if
    :: outcome != 1 -> acquire(lock_a); queued_a = 0; release(lock_a)
    :: else -> assert(!queued_a)
    fi;
    if
    :: outcome != 2 -> acquire(lock_b); queued_b = 0; release(lock_b)
    :: else -> assert(!queued_b)
    fi;
    acquire(lock_c);
    queued_c = 0;
    release(lock_c);
#endif
    assert(received == (outcome == 1));
out:
    alive = 0
}

/* When all is over. */
proctype judge()
{
    assert(received + slot_a == 1);
    assert(runnable <= 1);
    assert(!queued_a && !queued_b && !queued_c);
    assert(!lock_a && !lock_b && !lock_c)
}

init
{
    atomic { run waiter(); run sender(); run closer(); run canceller() };
    _nr_pr == 1;
    run judge()
}
