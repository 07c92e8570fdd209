/* schedule.h - M and P, and the operations that move goroutines between them.
 *
 * P: the right to run goroutines; at most maxprocs. It owns a run queue, a timer heap and a poller,
 *    and always belongs to one M, except for the moment in which the monitor hands it on.
 * M: an OS thread. It runs one goroutine, or its own scheduler loop on the thread's stack.
 *
 * A P is *asleep* when its M waits in the P's poller. Waking it is a write to the poller's eventfd.
 *
 * Parking protocol (nothing ready is ever forgotten); model: tests/models/park.pml. It guards the global
 * queue, which nobody owns. What lies in a P's own queue cannot be forgotten, since a P sleeps only when
 * that is empty; whether to help it is a guess (docs/decisions/0012), which the monitor corrects.
 *   submitter  1 publishes work (global queue)                    sleeper  1 p->asleep = 1, idle_count++
 *              2 full fence                                                2 if spinning: spinning--
 *              3 reads idle_count and spinning;                            3 full fence (the RMWs)
 *                if idle and nobody spins: wakes one, who spins            4 looks at every queue again
 *   The submitter sees the sleeper, or the sleeper sees the work. A spinner that finds work and was
 *   the last one wakes another, since the submitter relied on it; so does a waker that finds nobody
 *   to claim: it gives its token back and looks at every queue again.
 *
 * Losing a P (a hog, or a blocking call); model: tests/models/retake.pml
 *   M entering the runtime                       monitor
 *   1 m->in_runtime++                            1 m->lost: 0 -> ASKED
 *   2 compiler barrier                           2 membarrier on all threads
 *   3 m->lost == 0: owns its P                   3 m->in_runtime != 0: ASKED -> 0 by CAS, give up
 *     ASKED -> 0 by CAS: owns its P              4 ASKED -> TAKEN by CAS: the P is the monitor's
 *     TAKEN: has no P any more
 *   By the barrier, an M whose in_runtime the monitor saw as 0 will see ASKED; the CAS decides. Between 2 and 4
 *   the monitor looks whether p->m is still this M: its P may have moved to a pinned goroutine's thread.
 *   An M without a P treats itself as a foreign thread (work goes to the global queue) until its
 *   goroutine parks or yields; it never waits for a P inside a call, because the goroutine may hold
 *   an object's lock.
 */
#pragma once

#include "base/torture.h"
#include "platform/clock.h"
#include "platform/poll.h"
#include "runtime/sched/goroutine.h"
#include "runtime/sched/run_queue.h"

#include <tuco/go.h>

enum { TU__PROCS_MAX = 256, FRESH_MAX = TU__LIMIT(64, 2) };
/* About 500 us: what served connections may wait for one P before another is woken; dispatch_events. */
enum { TU__HELP_TICKS = 125 * CLOCK_TICKS_4US };
/* A program's first goroutines are taken to be long, until they are known: they spread at once. */
enum { TU__PACE_AT_START = 25 * CLOCK_TICKS_4US };

/* m->lost; its edges are those of the protocol above: NO -> ASKED (monitor), ASKED -> NO (either),
 * ASKED -> TAKEN (monitor), TAKEN -> NO (the M, which then has no P); any -> FORKED (fork.c). */
enum { LOST_NO, LOST_ASKED, LOST_TAKEN, LOST_FORKED };

struct m {
    struct g *g;                 /* running goroutine; NULL in the scheduler loop */
    struct p *p;                 /* what it runs on; NULL: lost, or idle */
    _Atomic uint32_t in_runtime; /* nesting; own thread writes, the monitor reads */
    _Atomic uint32_t lost;       /* LOST_*; see the protocol above */
    /* Runs on the next stack, once the old context is saved; NULL again when it has run: others may look. */
    void (*_Atomic after)(void *arg);
    void *after_arg;
    struct gc_thread *gc_record; /* for its thread, which starts with it */
    void *loop_sp;               /* the scheduler loop's saved stack pointer */
    bool spinning;               /* counted in sched.spinning: looks for work */
    _Atomic uint32_t blocking;   /* tu_blocking_begin nesting */
    _Atomic uint32_t wake;       /* futex while in the idle list */
    struct p *next_p;            /* given with the wake */
    struct g *pinned;            /* the only goroutine that may run here, or NULL */
    struct g *handing; /* picked, but pinned to another M, to which the loop hands this P */
    struct m *idle_next;
    struct m *all_next; /* every M; Ms never end */
    int thread_id;      /* the kernel's; 0 until the thread runs */
    uint64_t random;
    struct fiber fiber;
    struct poll_event events[POLL_EVENTS_MAX];
};

enum { TIMERS_FIRST = TU__LIMIT(16, 2) };

struct timer_heap {
    struct tu__lock lock;
    struct tu__timer **items; /* 4-ary heap by when_ns; NULL: `first` */
    uint32_t count, capacity;
    struct tu__timer
        *spilled; /* those for which there was no memory: none is due before any in the heap */
    struct tu__timer *first[TIMERS_FIRST];
    _Atomic int64_t next_ns; /* items[0]->when_ns, or INT64_MAX; written under lock */
};

struct p {
    uint32_t index;
    uint32_t streak;         /* consecutive runs from runnext or fresh */
    struct runnable *free_g; /* dead goroutines, most recent first */
    uint32_t free_count;
    uint64_t trimmed_ticks;     /* when free_g was last looked through */
    _Atomic uint32_t tick;      /* scheduling decisions; the monitor watches it */
    _Atomic uint32_t attention; /* leave the fast path once: from the monitor, or let_others_in */
    _Atomic(struct m *) m;
    _Atomic uint64_t started, finished; /* goroutines; owner writes, anyone reads */
    _Atomic uint32_t fresh_count;       /* owner writes, the monitor reads */
    struct runnable
        *fresh[FRESH_MAX]; /* started here and not yet run, newest last; not stealable */
    _Alignas(64) struct run_queue queue;
    _Alignas(64) _Atomic uint32_t asleep; /* 1 while its M waits in the poller and may be claimed */
    struct poll poll;
    struct timer_heap timers;
    /* the pace of this P; owner */
    uint64_t polled_ticks; /* clock_ticks when the last poll had returned */
    uint64_t global_ticks; /* when it last took one of the global queue in between */
    uint64_t streak_began; /* when the ring last had its turn */
    uint64_t pace_began;   /* clock_ticks, and the tick, when it was last measured */
    uint32_t pace_tick;
    uint64_t stole_ticks;        /* clock_ticks when it last took something from another; owner */
    _Atomic uint32_t stuck_tick; /* the tick at which a thief found it stuck in one goroutine */
    _Atomic int64_t
        pace_ticks; /* of one scheduling decision, smoothed; anyone reads, the monitor raises it */
    _Atomic uint32_t conns; /* registered with `poll`; the spreading of tu__conn_next_proc */
    /* the monitor's notes */
    uint32_t seen_tick;
    int64_t seen_ns;
};

struct sched {
    uint32_t proc_count;
    struct p *procs;
    /* Now, in units of 2^20 ns, << 8: room for an enum tu__wait. Published by the monitor, because reading
     * the clock at each park would cost more than the rest of it. */
    _Atomic uint64_t coarse;
    _Atomic(struct m *) all_ms;              /* pushed in front */
    _Alignas(64) _Atomic int32_t idle_count; /* Ps asleep */
    _Atomic int32_t spinning;                /* Ms that look for work */
    _Alignas(64) struct tu__lock lock;       /* global queue, idle Ms, free list */
    struct runnable *global_head, *global_tail;
    _Atomic uint32_t global_count;
    struct m *idle_ms;
    _Atomic uint32_t serving; /* conns with a tu_serve handler, which may start work from nothing */
    struct runnable *free_g;
    _Atomic uint32_t free_count;                        /* written under lock */
    _Atomic uint64_t foreign_started, foreign_finished; /* goroutines, by threads without a P */
    _Atomic uint32_t monitor_asleep; /* futex of the monitor while every P is asleep */
    /* Goroutines and threads that wait for something outside the scheduler (a pool thread, the kernel's
     * ring; foreign.h). Counted before the wait, uncounted when the waiter runs again: while it is not
     * 0, somebody will be woken from outside, and "all asleep" is no deadlock. */
    _Atomic int32_t foreign_operations;
    _Atomic uint32_t dump_wanted; /* the monitor is to see to a dump of all goroutines */
};
extern struct sched tu__sched;

/* The calling thread's M, or NULL on a foreign thread. The address of a thread-local is only taken
 * inside: a goroutine may be on another thread after any call that parks. */
#if defined(__x86_64__) && !defined(TU_SIM)
static inline struct m *tu__m(void)
{
    struct m *m;
    __asm__ volatile("movq tu__m_tls@gottpoff(%%rip), %0\n\tmovq %%fs:(%0), %0" : "=r"(m));
    return m;
}
#else
struct m *tu__m(void);
#endif

/* Enters the runtime: afterwards the P (NULL: none) stays ours until the exit. They nest. */
void tu__enter_slow(struct m *m);
static inline struct p *tu__enter(struct m *m)
{
    uint32_t depth = atomic_load_explicit(&m->in_runtime, memory_order_relaxed);
    atomic_store_explicit(&m->in_runtime, depth + 1, memory_order_relaxed);
    atomic_signal_fence(memory_order_seq_cst); /* pairs with the monitor's membarrier */
    if (__builtin_expect(atomic_load_explicit(&m->lost, memory_order_relaxed) != 0, 0))
        tu__enter_slow(m);
    return m->p;
}

static inline void tu__exit(struct m *m)
{
    uint32_t depth = atomic_load_explicit(&m->in_runtime, memory_order_relaxed);
    atomic_store_explicit(&m->in_runtime, depth - 1, memory_order_release);
}

/* Makes r run: in front (runnext) or at the end of this P's queue; from elsewhere, the global one.
 * Wakes a sleeping P when that helps. Never parks. */
enum submit_where { SUBMIT_FRONT, SUBMIT_BACK };
void tu__submit(struct runnable *r, enum submit_where where);

/* Leaves the running goroutine: saves its context, runs after(arg) on another stack, and runs
 * something else. Returns when somebody has submitted the goroutine again. */
void tu__leave(void (*after)(void *arg), void *arg, enum tu__wait why);

/* Number of the P the caller runs on, for spreading; 0 on foreign threads. */
uint32_t tu__proc_index(void);

/* Gives P to an idle or a new M. Called by the monitor and at start. 0 or -errno (P still free). */
int tu__start_machine(struct p *p);
/* The calling M's P goes to another M, as if the monitor had taken it. The caller has forgotten it (m->p), but is p->m until
 * another is: a P without an M is the monitor's to give away, which it is if no thread can be started. */
void tu__give_away(struct p *p);
/* Wakes one sleeping P as a spinner, if any sleeps. */
void tu__wake_one(void);

/* timers, implemented in time/timer.c */
int64_t tu__timers_run(struct p *p, int64_t now_ns); /* fires what is due; the next deadline */
/* Fires what is overdue on other Ps that are awake. True if there was something: it is ready here now. */
bool tu__timers_steal(struct p *self);
/* When a P that goes to sleep (asleep is 1 already) must wake for timers, its own or another's; or INT64_MAX. */
int64_t tu__timers_wait(struct p *self);
/* The monitor, of a P that sticks in one goroutine: has its overdue timers fired by an idle P, else does it. */
void tu__timers_rescue(struct p *p, int64_t now_ns);

/* Forks and calls without a scheduler, implemented in fork.c. */
void tu__fork_init(void);
bool tu__forked(void); /* this is a forked child */
void tu__no_scheduler(const char *what) __attribute__((noreturn, cold)); /* says why, and aborts */

static inline void tu__publish_now(int64_t now_ns)
{
    atomic_store_explicit(&tu__sched.coarse, (uint64_t)(now_ns >> 20) << 8, memory_order_relaxed);
}

/* Marks with `mark` (g->queued) every goroutine that waits in a run queue, as far as that can be seen
 * without stopping anybody. Implemented in schedule.c; for dumps, one at a time. */
void tu__mark_queued(uint64_t mark);

/* The monitor thread, implemented in monitor.c. */
int tu__monitor_start(void);
/* Makes it look around now instead of at the end of its sleep. Async-signal-safe. */
void tu__monitor_wake(void);

/* Reports, implemented in observe/. `in_main`: for tu_main, else for tu_start. */
void tu__observe_start(const struct tu_options *options, bool in_main);
void tu__observe_dump_wanted(void); /* the monitor, when it finds dump_wanted set */
/* The monitor, when every P is asleep: does not come back if nobody is left to wake any goroutine. */
void tu__deadlock_look(void);
/* It always comes back before the first and after the second of these; for tu_main. */
void tu__deadlock_watch(void);
void tu__deadlock_ignore(void);

struct pollable;
/* Readiness: what poll_add is given. `ready` runs on the scheduler's stack and never parks. It is
 * stored last (release) before poll_add, and loaded first (acquire) for an event: the kernel orders
 * the two, but no race detector knows that. */
typedef void (*pollable_fn)(struct pollable *self, unsigned events);
struct pollable {
    _Atomic(pollable_fn) ready;
};

static inline void tu__pollable_event(struct pollable *target, unsigned events)
{
    atomic_load_explicit(&target->ready, memory_order_acquire)(target, events);
}
