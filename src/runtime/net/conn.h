/* conn.h - a descriptor and who waits for it.
 *
 * Readiness is a level kept in user space: the poller reports edges, which set `readable` and
 * `writable`; an operation takes the level (exchange to 0) before its system call and puts it back
 * when the call shows that there may be more. A short read or write leaves it 0: the next edge sets
 * it again. Once the peer has closed (`hangup`), no edge comes any more, so the level stays.
 *
 *   reader                                       poller
 *   1 exchange(readable, 0) == 0: go to 3        1 lock; readable = 1
 *   2 read; full, or hangup: readable = 1        2 takes the waiting places, claims, unlocks, wakes
 *   3 lock; readable set: unlock, go to 1
 *   4 link a place, park (unlocks), go to 1
 *
 * Conns are recycled but their memory is never returned: an event that was already fetched when its
 * conn was closed finds a conn, dead or reused, and at worst wakes it for nothing.
 */
#pragma once

#include "runtime/sched/park.h"
#include "runtime/sched/schedule.h"
#include "runtime/time/timer.h"

#include <tuco/net.h>

enum conn_outcome { CONN_READY = 1, CONN_CLOSED, CONN_EXPIRED };

/* Only conns that were ever given a deadline have one of these; it stays with a recycled conn. */
struct conn_deadlines {
    struct tu__lock lock; /* one setter at a time */
    struct tu__timer read, write;
};

struct tu_conn {
    struct pollable poll;
    struct task task;     /* serving: queued when there is something to do */
    struct tu__lock lock; /* queues, flags below */
    int fd;
    _Atomic uint32_t references;  /* blocking calls inside, plus one until tu_close */
    _Atomic uint32_t serve_state; /* TU_SERVE_* events and SERVE_ACTIVE; serve.c */
    _Atomic bool readable, writable, hangup;
    _Atomic bool serving;                     /* events go to the handler */
    _Atomic bool want_write;                  /* serving: a write was short */
    bool read_more;                           /* serving: the last read may not have been the end */
    bool closed;                              /* under lock */
    _Atomic bool read_expired, write_expired; /* written under lock, by deadlines */
    uint16_t proc;                            /* whose poller it is registered with */
    struct tu__queue readers, writers;
    struct conn_deadlines *deadlines;
    tu_serve_fn handler;
    void (*on_closed)(void *state);
    void *state;
    struct tu_conn *next_free;
};

/* Registers fd with P number `proc`'s poller. 0 or -errno; fd stays the caller's on error. */
int tu__conn_make(tu_conn **out, int fd, uint32_t proc);
/* The next P in turn, to spread connections. */
uint32_t tu__conn_next_proc(void);
/* Parks until the level may be set again: 0 or -errno. */
int tu__conn_wait(tu_conn *c, bool for_read);
bool tu__conn_enter(tu_conn *c); /* false: closed */
void tu__conn_leave(tu_conn *c);
/* Closes the descriptor and recycles. Nobody may use it any more. */
void tu__conn_recycle(tu_conn *c);
/* serve.c: events for a serving conn. */
void tu__serve_event(tu_conn *c, unsigned events);
/* Queues the handler with these TU_SERVE_* events; nothing when the conn is not serving. */
void tu__serve_raise(tu_conn *c, uint32_t events);
