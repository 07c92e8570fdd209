/* frames_ask.c - the frames of a running thread: it is asked by a signal, and looks at its own stack.
 *
 *   asker                                     asked thread, in its handler
 *   1 slot: FREE -> TAKEN, of whom; ASKED     1 slot: ASKED -> ANSWERING (one answers, once)
 *   2 signal                                  2 if it runs that goroutine: collects its frames
 *   3 waits for DONE                          3 DONE
 *   4 too late: ASKED -> FREE, gives up; a thread that is ANSWERING already is waited for: it only reads its own stack
 */
#include "runtime/observe/frames.h"

#include "platform/fault.h"
#include "platform/thread.h"
#include "runtime/sched/schedule.h"

enum { SLOT_FREE, SLOT_TAKEN, SLOT_ASKED, SLOT_ANSWERING, SLOT_DONE };
enum { WAIT_US = 20, TRIES = 2500 }; /* 50 ms and more */

static struct {
    _Atomic uint32_t state;
    const struct g *g;
    struct frames frames;
} slot;
static bool can_ask;

static void answer(const struct fault_place *at)
{
    uint32_t asked = SLOT_ASKED;
    struct m *m = tu__m();
    struct g *g = m ? m->g : NULL;
    /* of whom was written before ASKED; a thread that answers late finds another state, or goroutine */
    if (!g || atomic_load(&slot.state) != SLOT_ASKED || slot.g != g ||
        !atomic_compare_exchange_strong(&slot.state, &asked, SLOT_ANSWERING))
        return;
    slot.frames.count = 0;
    /* Between two goroutines m->g may be the next one already: then the stack is another one. */
    if (at->sp >= (uintptr_t)g->stack_low && at->sp < (uintptr_t)g) {
        frames_collect(&slot.frames, at->pc, at->fp, (const void *)at->sp, g);
        slot.frames.exact = true;
    }
    atomic_store(&slot.state, SLOT_DONE);
}

void frames_ask_init(void)
{
    can_ask = fault_asking_init(answer);
}

bool frames_ask(struct frames *f, int thread, const struct g *g)
{
    uint32_t free = SLOT_FREE;
    f->count = 0;
    if (!can_ask || thread == 0 || !atomic_compare_exchange_strong(&slot.state, &free, SLOT_TAKEN))
        return false;
    slot.g = g;
    atomic_store(&slot.state, SLOT_ASKED);
    fault_ask(thread);
    for (int i = 0; atomic_load(&slot.state) != SLOT_DONE; i++) {
        uint32_t asked = SLOT_ASKED;
        if (i >= TRIES && atomic_compare_exchange_strong(&slot.state, &asked, SLOT_FREE))
            return false;
        thread_sleep_ns(WAIT_US * 1000);
    }
    *f = slot.frames;
    atomic_store(&slot.state, SLOT_FREE);
    return f->count > 0;
}
