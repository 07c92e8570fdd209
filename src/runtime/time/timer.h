/* timer.h - runtime timers: a 4-ary heap per P, ordered by deadline.
 *
 * The caller owns the struct; zero-filled is a stopped timer. `fire` runs once per start, on
 * whichever thread looks at that P's timers: the P's own, another P's that has nothing to do, or the monitor.
 * It never parks, and may start the timer again. Starts and stops of one timer are the caller's to put in order,
 * for example by a lock that `fire` takes as well; then the timer may also be started while an
 * earlier fire is still on its way, which the new deadline tells apart.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct p;
struct tu__timer {
    void (*fire)(struct tu__timer *t, void *arg);
    void *arg;
    int64_t when_ns;        /* deadline on the tu_now() clock */
    struct p *p;            /* whose heap it is in; under that heap's lock */
    _Atomic uint32_t state; /* see timer.c */
    uint32_t index;         /* position in the heap, or SPILLED; under its lock */
    struct tu__timer *next; /* in the list of spilled ones */
};

/* Arms a stopped timer. */
void tu__timer_start(struct tu__timer *t, int64_t when_ns, void (*fire)(struct tu__timer *, void *),
                     void *arg);
/* Disarms: true if it had been armed and will not fire; false if it fired, or was not armed. When it
 * returns, `fire` is not running any more, so the struct may be freed; so the caller must not hold
 * a lock that `fire` takes. */
bool tu__timer_stop(struct tu__timer *t);
/* The same, but does not wait for a `fire` that runs. */
bool tu__timer_disarm(struct tu__timer *t);
