/* gc_thread.h - what the collector knows of each thread that may hold pointers to objects.
 *
 * Ms, pool threads and plain threads that made an object or called tu_gc_attach. A record is never freed: when its
 * thread ends it waits, with the blocks it has claimed, for the next one.
 */
#pragma once

#include "runtime/gc/collected.h"

struct gc_thread {
    struct slot slots[KEYS];
    struct gc_thread *next; /* all records; fixed */
    bool idle;              /* its thread has ended; under tu__gc_threads.lock */
};

struct tu__gc_threads {
    struct tu__lock lock;
    _Atomic(struct gc_thread *) all; /* pushed in front */
    bool has_key;
};
extern struct tu__gc_threads tu__gc_threads;

/* The calling thread's; without one, a record whose slots are empty for ever. Not to be kept across a park. */
extern __thread struct gc_thread *tu__gc_thread_tls __attribute__((tls_model("initial-exec")));
/* Makes one if there is none: NULL when there is no memory. */
struct gc_thread *tu__gc_thread_here(void);
