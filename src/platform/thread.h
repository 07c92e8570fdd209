/* thread.h - OS threads for the scheduler. */
#pragma once

#include <stddef.h>

/* Starts a detached thread with all signals blocked except the synchronous faults. 0 or -errno. */
int thread_start(void *(*run)(void *arg), void *arg, size_t stack_size, const char *name);
/* Remembers the caller's signal mask; gives the calling thread the one remembered. For a child forked by
 * a thread of thread_start: what it executes must not find all signals blocked. */
void thread_signals_save(void);
void thread_signals_restore(void);
void thread_yield(void);
void thread_sleep_ns(long long duration_ns);
/* The caller's stack, for fault reports. */
void thread_stack(void **low, size_t *size);
