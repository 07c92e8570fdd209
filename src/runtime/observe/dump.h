/* dump.h - all goroutines as text; the public part is tuco/observe.h. */
#pragma once

#include "runtime/observe/frames.h"

/* Frames of the caller of the function that calls this, on goroutine or thread. */
void dump_own_frames(struct frames *f);

/* Prints the calling goroutine, or that this is a plain thread, and its frames `own`. */
void dump_self(const struct frames *own, struct report *out);

/* The dump. The calling goroutine is printed with the frames `own`; NULL: it is left out. Waits for another
 * dump to end, but not for ever: the caller may be somebody who failed inside one. */
void dump_all(const struct frames *own, struct report *out);
