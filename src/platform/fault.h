/* fault.h - memory faults: an alternate stack per thread, and a handler that may explain. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Installs the SIGSEGV/SIGBUS handler. `explain` is called with the faulting address on the
 * alternate stack; true: it has printed the reason, and the process aborts; false: whatever handler
 * was installed before runs. Only async-signal-safe work is allowed in it. */
void fault_init(bool (*explain)(void *address));
/* Gives the calling thread an alternate signal stack (64 KiB, freed with the thread's mapping). */
void fault_thread_init(void);
/* Async-signal-safe text on stderr. */
void fault_print(const char *text);
void fault_print_number(unsigned long long value, unsigned base);
