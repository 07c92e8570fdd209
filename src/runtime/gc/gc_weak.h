/* gc_weak.h - what the collector does for weak pointers and cleanups; gc_weak.c has the protocol.
 */
#pragma once

#include "runtime/gc/gc_mark.h"

/* While marking: the arguments of cleanups. */
void tu__gc_weak_scan(struct mark_stack *stack);
/* For tests, world stopped: the same, unless a thread that stands has the lock. */
void tu__gc_weak_each(void (*visit)(const void *start, size_t size, void *arg), void *arg);
/* World stopped, at the end of marking. */
void tu__gc_weak_begin(void);
/* Between that and the sweep: zeroes weak pointers to what is not marked, and has cleanups called that are due. */
void tu__gc_weak_clear(void);

/* Around a fork. */
void tu__gc_weak_lock(void);
void tu__gc_weak_unlock(void);
void tu__gc_weak_after_fork(void);
