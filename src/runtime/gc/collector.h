/* collector.h - what the parts of the collector ask of each other, and the rest of the runtime of it.
 */
#pragma once

#include "runtime/gc/gc_thread.h"

/* Before a thread claims blocks: begins a cycle if it is time, or helps with one. Never parks. */
void tu__gc_pace(void);
/* There is no memory for an object: collects. True if it may be worth another try. Blocks the thread, parks nowhere. */
bool tu__gc_out_of_memory(void);

/* One cycle, from its first stop to the end of the sweep; by the collector's thread. */
void tu__gc_run_cycle(uint32_t number);
/* Of a stop. The pause goes from before the first thread is asked until all may go on: how long each then waits for a core
 * is not in it, since others of the program run there. */
struct stop_times {
    int64_t pause_ns;
    int64_t reach_ns; /* of it, until the last thread stood; 0: none had to */
};
/* What the collector's thread notes of the present cycle. */
struct cycle {
    struct mark_stack stack;
    int64_t pause_ns, longest_pause_ns, mark_ns, sweep_ns;
    struct stop_times each[8]; /* of the first stops */
    uint32_t stops;
    size_t used_after_marking;
    bool minor;       /* only what is young is marked and collected */
    bool generations; /* threads note what they write, for a minor cycle to come */
    bool verify;      /* tu__gc_verify_marks and _roots at its end */
};
struct cycle *tu__gc_cycle(void);

/* Switches the questions of tu__gc_set on or off. World stopped. */
void tu__gc_barrier(bool on);
/* Aborts if a marked object points to one that is not. World stopped, all locks held. */
void tu__gc_verify_marks(void);
/* The same of roots and stacks. */
void tu__gc_verify_roots(bool stacks_clean);
/* Whether that looks at stacks and registers, too: only where no frame computes an address that is no object's. Off at first. */
extern bool tu__gc_verify_stacks;
extern uint64_t tu__gc_verified_stacks; /* cycles in which it did */

/* Around a fork: between the two nobody is inside, in the child as well. */
void tu__gc_before_fork(void);
void tu__gc_after_fork(bool child);
void tu__gc_cycle_before_fork(void);
void tu__gc_cycle_after_fork(bool child);

/* The words of registered ranges and pins: calls visit for each range. Caller holds the lock that
 * tu__gc_roots_lock takes. */
void tu__gc_roots_lock(void);
void tu__gc_roots_unlock(void);
void tu__gc_roots_after_fork(void);
void tu__gc_roots_each(void (*visit)(const void *start, size_t size, void *arg), void *arg);

/* For tests. A cycle at every n-th claim of a span; 0: by need. While it is not 0, freed objects are overwritten and
 * marks verified. */
void tu__gc_torture(uint32_t every);
