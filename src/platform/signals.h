/* signals.h - signals as something to read, instead of something that interrupts.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Keeps these signals from interrupting the calling thread and all that it starts later; they wait to
 * be read. Before the first thread. */
void signals_block(const int *numbers, size_t count);
/* A non-blocking descriptor from which blocked signals are read, each a record of SIGNAL_RECORD_SIZE
 * bytes; or -errno. */
int signals_open(const int *numbers, size_t count) __attribute__((warn_unused_result));
enum { SIGNAL_RECORD_SIZE = 128 };
int signals_number(const void *record);
/* Lets `handler` run when the signal comes, on whatever thread has it unblocked; it may do only what is
 * async-signal-safe, and errno is kept. `replace` false: only if nobody has handled or ignored it
 * before. True if it was installed. */
enum { SIGNAL_QUIT = 3 };
bool signals_handle(int number, void (*handler)(int number), bool replace);
void signals_ignore(const int *numbers, size_t count);
