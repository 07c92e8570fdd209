/* close.pml - closing two channels under senders, receivers and selects that wait on both: channel.c, select.c.
 *
 * Channel A has one slot, B has none. A plain sender and a plain receiver, two selects that stand across each
 * other (one receives from A or sends to B, the other sends to A or receives from B), and one who closes
 * first A, then B. A place is a bit, so a queue has no order; who takes one off takes any. The claim of a
 * sleeper is a compare-and-swap; whoever is woken before it has parked notices. Claims:
 *   - each operation ends, with exactly one case: nobody sleeps for ever, nobody is claimed twice;
 *   - what was sent was received, or lies in A's slot;
 *   - nobody is touched, and no place of its is left behind, after it has returned.
 *
 * BROKEN: a claim looks first and writes then. FORGETFUL: a close tells those who wait to receive only.
 */
#define PARTIES 4
#define A 0
#define B 1
#define PENDING 0
#define DONE_A 1
#define DONE_B 2
#define CLOSED 3
#define NOBODY 9
#define RECV 0
#define SEND 8

bit lock[2], closed[2], slot;          /* slot: of A */
bit place[16];                         /* RECV or SEND, + party * 2 + channel */
byte outcome[PARTIES];
bit woken[PARTIES], alive[PARTIES];
byte sends, receives, ended;

inline acquire(l) { atomic { lock[l] == 0 -> lock[l] = 1 } }
inline release(l) { lock[l] = 0 }

/* A compare-and-swap on p's outcome. */
inline claim(p, what)
{
#ifdef BROKEN
    won = (outcome[p] == PENDING);
    if
    :: won -> outcome[p] = what
    :: else -> skip
    fi
#else
    atomic {
        assert(alive[p]);
        if
        :: outcome[p] == PENDING -> outcome[p] = what; won = 1
        :: else -> won = 0
        fi
    }
#endif
}

/* Pops places until one could be claimed: `who`, or NOBODY. Caller holds the lock of c. */
inline claim_one(side, c, what)
{
    who = NOBODY;
    won = 0;
    do
    :: won -> break
    :: !won ->
        atomic {
            if
            :: place[side + 0 + c] -> who = 0; place[side + 0 + c] = 0
            :: place[side + 2 + c] -> who = 1; place[side + 2 + c] = 0
            :: place[side + 4 + c] -> who = 2; place[side + 4 + c] = 0
            :: place[side + 6 + c] -> who = 3; place[side + 6 + c] = 0
            :: else -> who = NOBODY
            fi
        };
        if
        :: who == NOBODY -> break
        :: else -> claim(who, what)
        fi
    od
}

inline wake(p)
{
    atomic { assert(alive[p]); woken[p] = 1 }
}

/* channel_send_locked: `did` is 1 when it is over, 2 when by a close; then `who` is to be woken. */
inline try_send(c)
{
    did = 0;
    who = NOBODY;
    if
    :: closed[c] -> did = 2
    :: else ->
        claim_one(RECV, c, DONE_A + c);
        if
        :: who != NOBODY -> atomic { did = 1; sends++; receives++ }
        :: else ->
            if
            :: c == A && !slot -> atomic { slot = 1; did = 1; sends++ }
            :: else -> skip
            fi
        fi
    fi
}

/* channel_recv_locked */
inline try_recv(c)
{
    did = 0;
    who = NOBODY;
    if
    :: c == A && slot ->
        claim_one(SEND, A, DONE_A);
        atomic {
            did = 1;
            receives++;
            if
            :: who != NOBODY -> sends++ /* its value takes the slot */
            :: else -> slot = 0
            fi
        }
    :: else ->
        claim_one(SEND, c, DONE_A + c);
        if
        :: who != NOBODY -> atomic { did = 1; sends++; receives++ }
        :: closed[c] -> did = 2
        :: else -> skip
        fi
    fi
}

/* One operation or select; sends and receives say on which channels. */
proctype party(byte me; bit send_a; bit recv_a; bit send_b; bit recv_b)
{
    byte who = NOBODY, did = 0;
    bit won;
    /* all channels by address; the look is in any order */
    if
    :: send_a || recv_a -> acquire(A)
    :: else -> skip
    fi;
    if
    :: send_b || recv_b -> acquire(B)
    :: else -> skip
    fi;
    if
    :: send_a -> try_send(A)
    :: recv_a -> try_recv(A)
    :: send_b -> try_send(B)
    :: recv_b -> try_recv(B)
    fi;
    if
    :: !did && send_a -> try_send(A)
    :: !did && recv_a -> try_recv(A)
    :: else -> skip
    fi;
    if
    :: !did && send_b -> try_send(B)
    :: !did && recv_b -> try_recv(B)
    :: else -> skip
    fi;
    atomic {
        if
        :: !did ->
            place[SEND + me * 2 + A] = send_a;
            place[RECV + me * 2 + A] = recv_a;
            place[SEND + me * 2 + B] = send_b;
            place[RECV + me * 2 + B] = recv_b
        :: else -> skip
        fi
    };
    if
    :: send_b || recv_b -> release(B)
    :: else -> skip
    fi;
    if
    :: send_a || recv_a -> release(A)
    :: else -> skip
    fi;
    if
    :: did ->
        if
        :: who != NOBODY -> wake(who)
        :: else -> skip
        fi;
        goto out
    :: else -> skip
    fi;
    woken[me]; /* park: at once, if it came before */
    assert(outcome[me] != PENDING);
    /* leave the queues of those that did not win */
    if
    :: (send_a || recv_a) && outcome[me] != DONE_A ->
        acquire(A);
        atomic { place[SEND + me * 2 + A] = 0; place[RECV + me * 2 + A] = 0 };
        release(A)
    :: else -> skip
    fi;
    if
    :: (send_b || recv_b) && outcome[me] != DONE_B ->
        acquire(B);
        atomic { place[SEND + me * 2 + B] = 0; place[RECV + me * 2 + B] = 0 };
        release(B)
    :: else -> skip
    fi;
out:
    atomic {
        assert(!place[SEND + me * 2 + A] && !place[RECV + me * 2 + A]);
        assert(!place[SEND + me * 2 + B] && !place[RECV + me * 2 + B]);
        alive[me] = 0;
        ended++;
        who = 0;
        did = 0;
        won = 0
    }
}

/* The chain of those claimed is a set here: woken in any order, after the unlock. */
inline close(c)
{
    acquire(c);
    closed[c] = 1;
    do
    :: claim_one(RECV, c, CLOSED);
        if
        :: who == NOBODY -> break
        :: else -> chain[who] = 1
        fi
    od;
#ifndef FORGETFUL
    do
    :: claim_one(SEND, c, CLOSED);
        if
        :: who == NOBODY -> break
        :: else -> chain[who] = 1
        fi
    od;
#endif
    release(c);
    if
    :: chain[0] -> wake(0)
    :: else -> skip
    fi;
    if
    :: chain[1] -> wake(1)
    :: else -> skip
    fi;
    if
    :: chain[2] -> wake(2)
    :: else -> skip
    fi;
    if
    :: chain[3] -> wake(3)
    :: else -> skip
    fi;
    atomic { chain[0] = 0; chain[1] = 0; chain[2] = 0; chain[3] = 0 }
}

proctype closer()
{
    byte who;
    bit won, chain[PARTIES];
    close(A);
    close(B);
    who = 0
}

init
{
    atomic {
        alive[0] = 1;
        alive[1] = 1;
        alive[2] = 1;
        alive[3] = 1;
        run party(0, 1, 0, 0, 0); /* sends to A */
        run party(1, 0, 0, 0, 1); /* receives from B */
        run party(2, 0, 1, 1, 0); /* receives from A or sends to B */
        run party(3, 1, 0, 0, 1); /* sends to A or receives from B */
        run closer()
    };
    timeout ->
        assert(ended == PARTIES);
        assert(sends == receives + slot)
}
