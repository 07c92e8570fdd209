/* signals.h - signals as something to read, instead of something that interrupts.
 */
#pragma once

#include <stddef.h>

/* Keeps these signals from interrupting the calling thread and all that it starts later; they wait to
 * be read. Before the first thread. */
void signals_block(const int *numbers, size_t count);
/* A non-blocking descriptor from which blocked signals are read, each a record of SIGNAL_RECORD_SIZE
 * bytes; or -errno. */
int signals_open(const int *numbers, size_t count) __attribute__((warn_unused_result));
enum { SIGNAL_RECORD_SIZE = 128 };
int signals_number(const void *record);
void signals_ignore(const int *numbers, size_t count);
