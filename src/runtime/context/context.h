/* context.h - the inside of a context; see <tuco/context.h>. */
#pragma once

#include <tuco/context.h>

#include "runtime/gc/gc_anchor.h"
#include "runtime/sched/cancel.h"
#include "runtime/time/timer.h"

/* Who points to whom:
 *   child -> parent     a counted reference, for the child's whole life
 *   parent -> children  not counted: a child takes itself off the list before it is freed, and who
 *                       walks the list takes a reference only from a child that still has one
 *   timer -> context    not counted: the context is freed only after tu__timer_stop has returned
 */
struct tu_context {
    struct tu__cancel cancel; /* first: the scheduler knows a context by it */
    _Atomic uint32_t references;
    bool linked;             /* in the parent's list; under the parent's lock */
    bool timed;              /* `timer` was started */
    tu_context *parent;      /* never changes */
    tu_context *children;    /* under our lock */
    tu_context *next, *prev; /* siblings; under the parent's lock. Off the list, `next` chains the
                                 contexts that one walk has taken, or those that wait to be freed */
    int64_t deadline_ns;     /* ours or the nearest ancestor's that is earlier; 0: none */
    const void *key;         /* tu_with_value; NULL: none */
    void *value;
    struct tu__gc_anchor anchor; /* value: it may be a pointer to an object */
    struct tu__timer timer;
};

/* Walks the tree below `ctx` and aborts when a link is wrong. For tests, while nothing changes it. */
void tu__context_verify(tu_context *ctx);
