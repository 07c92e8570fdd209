/* thread.h - OS threads for the scheduler. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <tuco/base.h>

/* Starts a detached thread with all signals blocked except the synchronous faults and those
 * by which it is asked something (SIGPROF, SIGURG). 0 or -errno. */
int thread_start(void *(*run)(void *arg), void *arg, size_t stack_size, const char *name);
/* Remembers the caller's signal mask; gives the calling thread the one remembered. For a child forked by
 * a thread of thread_start: what it executes must not find all signals blocked. */
void thread_signals_save(void);
void thread_signals_restore(void);
/* The kernel's number of the calling thread, as in /proc/PID/task. */
int thread_id(void);
/* Threads that thread_start has started and that have not returned: a thread counts from before it runs
 * until just before it is gone. */
unsigned thread_count_started(void);
/* Ends the process: writes out what stdout holds, unless a thread is in the middle of writing to it, and runs no
 * destructors, since other threads go on until the end. */
_Noreturn void thread_end_process(int status);
/* All threads of the process, as the kernel counts them, and the signals for which it has handlers: bit n - 1 for
 * signal n. 0 or -errno. Some 30 us. */
int thread_census(unsigned *threads, uint64_t *handled) TU_MUST_CHECK;
void thread_yield(void);
/* The calling thread, when it wakes up, does not wait for the end of another's time slice; it gets shorter ones for that,
 * and no more time in all. Does nothing where the kernel (before Linux 6.12) has no such thing. */
void thread_short_slices(void);
/* Where the kernel writes the number of the core on which the calling thread was last in user code, until the thread ends; any
 * thread may read it. NULL: nowhere (a C library without rseq). */
const volatile uint32_t *thread_core(void);
void thread_sleep_ns(long long duration_ns);
/* The caller's stack, for fault reports. */
void thread_stack(void **low, size_t *size);
