/* signal_pipe.h - signals as bytes in a pipe, for a goroutine to read.
 */
#pragma once

#include <stddef.h>

/* From now on each of these signals calls note(number), on whatever thread it hits, and then writes
 * its number as one byte to the pipe whose reading end is returned. `note` makes only async-signal-safe
 * calls. -errno when there is no pipe. Once in a process. */
int signal_pipe_open(const int *numbers, size_t count, void (*note)(int number))
    __attribute__((warn_unused_result));
void signal_ignore(const int *numbers, size_t count);
