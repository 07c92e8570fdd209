/* gc_stacks.c - see gc_stacks.h. */
#include "runtime/gc/gc_stacks.h"

#include "platform/context_switch.h"
#include "runtime/sched/schedule.h"

enum { REDZONE = 128 }; /* below the stack pointer, which the ABI lets a leaf function use */

/* A stack from sp up to the g at its top. */
TU__RACY static void scan_stack(struct mark_stack *stack, struct g *g, const char *sp)
{
    if (sp >= (const char *)g->stack_low && sp < (const char *)g)
        tu__mark_words(stack, sp, g);
    tu__mark_words(stack, g->words, g->words + 6); /* until it has begun */
}

TU__RACY void tu__gc_scan_thread(struct mark_stack *stack, struct gc_thread *t, uint32_t cycle)
{
    const struct fault_stop *at = &t->at;
    const char *sp = (const char *)at->sp - REDZONE;
    tu__mark_words(stack, at->registers, (const char *)at->registers + at->registers_size);
    if (at->vectors)
        tu__mark_words(stack, at->vectors, (const char *)at->vectors + at->vectors_size);
    struct g *g = goroutine_of_stack((const void *)at->sp);
    if (g) {
        if (sp < (const char *)g->stack_low)
            sp = g->stack_low;
        scan_stack(stack, g, sp);
        atomic_store_explicit(&g->scanned, cycle, memory_order_release);
    } else if (sp >= t->low && sp < t->high) {
        tu__mark_words(stack, sp, t->high);
    }
}

struct parked {
    struct mark_stack *stack;
    uint32_t cycle;
};

TU__RACY static bool scan_parked(struct g *g, void *arg)
{
    struct parked *p = arg;
    if (atomic_load_explicit(&g->scanned, memory_order_relaxed) == p->cycle)
        return true;
    /* Dead ones have neither; handlers of tu_serve have only the second. */
    if (g->alive || atomic_load_explicit(&g->wait, memory_order_acquire) != 0)
        scan_stack(p->stack, g, g->sp);
    /* release: who goes on and sees it knows that its stack was read before */
    atomic_store_explicit(&g->scanned, p->cycle, memory_order_release);
    return true;
}

void tu__gc_scan_parked(struct mark_stack *stack, uint32_t cycle)
{
    struct parked p = {stack, cycle};
    goroutine_each(scan_parked, &p);
}
