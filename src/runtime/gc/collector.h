/* collector.h - what the parts of the collector ask of each other, and the rest of the runtime of it.
 */
#pragma once

#include "runtime/gc/gc_thread.h"

struct g;

/* Before a thread claims `bytes`: begins a cycle if it is time. Never parks. */
void tu__gc_pace(void);
/* There is no memory for an object: collects. True if it may be worth another try. Blocks the thread, parks nowhere. */
bool tu__gc_out_of_memory(void);

/* Around a fork: between the two nobody is inside, in the child as well. */
void tu__gc_before_fork(void);
void tu__gc_after_fork(bool child);

/* The words of registered ranges and pins: calls visit for each range. Caller holds the lock that
 * tu__gc_roots_lock takes. */
void tu__gc_roots_lock(void);
void tu__gc_roots_unlock(void);
void tu__gc_roots_after_fork(void);
void tu__gc_roots_each(void (*visit)(const void *start, size_t size, void *arg), void *arg);

/* For tests. A cycle after every n-th claim of a span; 0: by need. Freed objects are overwritten while it is not 0. */
void tu__gc_torture(uint32_t every);
