/* collector.h - what the parts of the collector ask of each other.
 */
#pragma once

#include "runtime/gc/gc_thread.h"

/* Before a thread claims blocks: begins a cycle if it is time. Never parks. */
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
void tu__gc_roots_each(void (*visit)(const void *start, size_t size, void *arg), void *arg);
