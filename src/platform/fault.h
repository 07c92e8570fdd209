/* fault.h - memory faults: an alternate stack per thread, and a handler that may explain. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <tuco/base.h>

/* Where a thread was interrupted. */
struct fault_place {
    uintptr_t pc, fp, sp;
};

/* Installs the SIGSEGV/SIGBUS handler. `explain` is called with the faulting address on the
 * alternate stack; true: it has printed the reason, and the process aborts; false: whatever handler
 * was installed before runs. Only async-signal-safe work is allowed in it. */
void fault_init(bool (*explain)(void *address, const struct fault_place *at));
/* Gives the calling thread an alternate signal stack (64 KiB, freed with the thread's mapping). */
void fault_thread_init(void);

/* Lets other threads be asked where they are: `answer` runs on the thread that was asked, in a handler of
 * SIGURG, so it may do only what is async-signal-safe. False: the program uses that signal itself. */
bool fault_asking_init(void (*answer)(const struct fault_place *at));
/* A thread that was interrupted and stands still while a function looks at it. */
struct fault_stop {
    uintptr_t *pc; /* where it goes on: may be changed */
    uintptr_t sp;
    const void *registers, *vectors; /* what its registers hold, as words; in the handler's frame */
    size_t registers_size, vectors_size;
    uintptr_t alternate_low, alternate_high; /* the thread's alternate stack, if it has one */
};
/* Lets threads be stopped by fault_ask: `stop` runs on each that was asked, in the handler of SIGURG, before `answer` does,
 * and may wait there. A handler that the program had before is called last. 0 or -errno. */
int fault_stop_init(void (*stop)(struct fault_stop *at)) TU_MUST_CHECK;
/* The calling thread does not block that signal from now on. */
void fault_stop_unblock(void);

/* Asks a thread of this process, by the kernel's number. It answers when it runs next; a system call it is in is
 * restarted, or ends with EINTR where the kernel restarts none (nanosleep, poll). */
void fault_ask(int thread);
