/* retake.pml - taking a P from an M that does not enter the runtime (schedule.h, monitor.c).
 *
 * The M enters and leaves the runtime; the monitor asks, fences all threads, looks and decides by
 * compare-and-swap. Claims: at most one of them uses the P at a time, and the M never goes on with a
 * P it has lost. The M's two plain stores and its load are modelled with a store buffer of one entry,
 * which the monitor's membarrier empties.
 *
 * BROKEN=1 leaves out the membarrier; the model must then fail.
 */
mtype = { NO, ASKED, TAKEN };
mtype lost = NO;
byte in_runtime = 0;     /* as other threads see it */
bit buffered = 0;        /* the M's store of in_runtime = 1 is still in its store buffer */
bit m_has_p = 1;         /* what the M believes */
bit m_uses = 0;          /* M is between enter and exit with a P */
bit monitor_owns = 0;
byte rounds = 0;

proctype machine()
{
    mtype seen;
    do
    :: rounds < 3 ->
        rounds++;
        /* enter: the store may linger in the buffer until something flushes it */
        if
        :: in_runtime = 1
        :: buffered = 1
        fi;
        seen = lost;
        if
        :: seen == NO -> skip
        :: else ->
            /* slow path: a locked instruction, so the buffer is flushed */
            atomic {
                if
                :: buffered -> buffered = 0; in_runtime = 1
                :: else
                fi;
                if
                :: lost == ASKED -> lost = NO
                :: lost == TAKEN -> lost = NO; m_has_p = 0
                :: else -> skip
                fi
            }
        fi;
        if
        :: m_has_p ->
            m_uses = 1;
            assert(!monitor_owns);
            m_uses = 0
        :: else -> skip
        fi;
        /* exit: a release store, after the store before it */
        atomic {
            buffered = 0;
            in_runtime = 0
        };
        if
        :: !m_has_p -> break
        :: else -> skip
        fi
    :: else -> break
    od
}

/* The buffer may drain at any time. */
proctype drain()
{
end_drain:
    do
    :: atomic { buffered -> buffered = 0; in_runtime = 1 }
    od
}

proctype monitor()
{
    byte tries = 0;
    bit decided;
    do
    :: tries < 2 && !monitor_owns ->
        tries++;
        atomic { lost == NO -> lost = ASKED };
#ifndef BROKEN
        atomic { /* membarrier: every store buffer is drained */
            if
            :: buffered -> buffered = 0; in_runtime = 1
            :: else -> skip
            fi
        };
#endif
        decided = 0;
        if
        :: in_runtime != 0 -> decided = 0
        :: else -> decided = 1
        fi;
        atomic {
            if
            :: lost == ASKED && decided -> lost = TAKEN; monitor_owns = 1
            :: lost == ASKED && !decided -> lost = NO
            :: else -> skip
            fi
        };
        assert(!(monitor_owns && m_uses))
    :: else -> break
    od
}

init { atomic { run machine(); run drain(); run monitor() } }
