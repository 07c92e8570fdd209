/* frames.h - the frames of a stack, by following frame pointers.
 *
 * Our code is compiled with -fno-omit-frame-pointer: each function stores its caller's frame pointer and
 * its return address next to each other, and the frame pointer register points at the pair. Code
 * compiled without (a C library, a user's program) is left out, or ends the chain: every link is
 * checked to lie in the stack, higher than the one before, so that a wrong one can only end it.
 */
#pragma once

#include "runtime/observe/report.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct g;

enum { FRAMES_FIRST = 24, FRAMES_LAST = 16 };

/* Of a deep stack the innermost and the outermost frames. */
struct frames {
    size_t count;                  /* all there are */
    uintptr_t first[FRAMES_FIRST]; /* addresses in code, innermost first */
    uintptr_t last
        [FRAMES_LAST]; /* frame i >= FRAMES_FIRST is at i % FRAMES_LAST, if it is among the last */
    bool exact;        /* first[0] is the next instruction, and not a return address */
};

/* Collects from a function's place `pc` and frame pointer `fp` on a stack that lies in [low, high). Reads
 * only there. The owner of the stack may be running. */
void frames_collect(struct frames *f, uintptr_t pc, uintptr_t fp, const void *low,
                    const void *high);
/* The frames of thread `thread`, which runs g, by asking it. False, and no frames, if it does not answer within some
 * milliseconds, or somebody else is asking. */
bool frames_ask(struct frames *f, int thread, const struct g *g);
/* Before the first frames_ask. */
void frames_ask_init(void);
/* Differs, most likely, for different frames. */
uint64_t frames_hash(const struct frames *f);
/* One line each: `    function+offset  file:line`. Frames of the runtime above the call that entered it,
 * and below the goroutine's own first function, are left out. */
void frames_print(const struct frames *f, struct report *out);
