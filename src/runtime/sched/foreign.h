/* foreign.h - waiting for something outside the scheduler: a pool thread's call, the kernel's ring.
 *
 * A *foreign operation* is one thing that is done elsewhere for one waiter. It lies in the waiter's
 * frame, or wherever the waiter sees to it that it outlives the doer's tu__foreign_done.
 *
 *   waiter                                        doer
 *   1 tu__foreign_init, hands it to the doer      1 does it
 *   2 tu__foreign_wait(f, true)                   2 tu__foreign_done(f, result): its last touch of *f
 *     0: the result is there
 *     < 0: the context has ended; *f is still the doer's
 *   3 asks the doer to stop, tu__foreign_wait(f, false)
 *
 * `done`, `result` and `waiter` change under the lock. The doer claims the sleeper inside the lock and
 * wakes it outside; a waiter whom the context has woken takes the lock to withdraw its sleeper, so no
 * doer knows a sleeper that is gone.
 *
 * While a waiter is inside, tu__sched.foreign_operations counts it: whoever asks whether all goroutines
 * are asleep for ever must find it 0 first.
 */
#pragma once

#include "runtime/sched/park.h"

struct tu__foreign {
    struct tu__lock lock;
    bool done;
    int64_t result; /* valid once done */
    enum tu__wait why;
    struct tu__sleeper *waiter;
};

static inline void tu__foreign_init(struct tu__foreign *f, enum tu__wait why)
{
    *f = (struct tu__foreign){.why = why};
}
/* From any thread, once. Afterwards *f belongs to the waiter alone. Never parks. */
void tu__foreign_done(struct tu__foreign *f, int64_t result);
/* Parks until it is done: 0. With `cancellable`, also until the current context ends: its error, and
 * the operation goes on. From a plain thread: sleeps it. */
int tu__foreign_wait(struct tu__foreign *f, bool cancellable);
/* tu__sched.foreign_operations now. */
int32_t tu__foreign_operations(void);
