/* sighting.h - what can be seen of one goroutine from outside, while it goes on.
 *
 * Nobody is stopped. A goroutine that stays parked while it is looked at is seen exactly; of one that
 * moves on meanwhile the look is repeated, and in the end its frames are left out. Reading is always safe:
 * slots of goroutines stay mapped and never hold anything else, and their guards are not read.
 */
#pragma once

#include "runtime/observe/frames.h"
#include "runtime/sched/schedule.h"

enum sighting_state { SIGHTING_RUNNING, SIGHTING_RUNNABLE, SIGHTING_WAITING };

struct sighting {
    struct g *g;
    uint64_t id;
    enum sighting_state state;
    enum tu__wait why;          /* WAITING: for this */
    const void *object;         /* WAITING: see enum tu__wait; may be NULL */
    int64_t since_ns;           /* WAITING: since this time, within 2 ms */
    int64_t until_ns;           /* SLEEP: when it ends; 0: not known */
    int fd;                     /* READ, WRITE: the descriptor; else -1 */
    int thread;                 /* RUNNING: the kernel's number of its thread */
    int pinned_to;              /* the number of the thread it is pinned to; 0: none */
    bool blocking;              /* RUNNING: between tu_blocking_begin and _end */
    bool serving;               /* a handler of tu_serve, which has no number or start of its own */
    const struct tu_site *site; /* where it was started; NULL when serving */
    void (*entry)(void);        /* its function, if it has not run yet; else NULL */
    char name[TU_NAME_SIZE];
    struct frames frames; /* none (count 0) while it runs, or has not yet */
};

/* Looks at g. False: it is dead. `mark`: of the tu__mark_queued before; 0: none. Async-signal-safe. */
bool sighting_take(struct g *g, uint64_t mark, struct sighting *s);
/* Prints `goroutine 18 "reader" [chan receive, 5.2 s, channel 0x...]: started at main.c:33 (read_all)`
 * and the frames. */
void sighting_print(const struct sighting *s, struct report *out);
/* The parts of that line: who it is, and where it was started. */
void sighting_print_name(const struct sighting *s, struct report *out);
void sighting_print_start(const struct sighting *s, struct report *out);
/* What it does, without brackets, times and objects: equal for goroutines in the same state. */
const char *sighting_state_name(const struct sighting *s);
