/* gc_stacks.c - see gc_stacks.h. */
#include "runtime/gc/gc_stacks.h"

#include "runtime/gc/gc_phase.h"
#include "runtime/sched/schedule.h"

enum {
    REDZONE = 128,      /* below the stack pointer, which the ABI lets a leaf function use */
    UNWIND_BYTES = 256, /* below a frame's address, where it keeps the registers it has saved */
};

/* A stack from sp up to the g at its top. */
TU__RACY static void scan_stack(struct mark_stack *stack, struct g *g, const char *sp)
{
    if (sp && sp < (const char *)g->stack_low) /* below the last frame */
        sp = g->stack_low;
    if (sp && sp < (const char *)g)
        tu__mark_words(stack, sp, g);
    tu__mark_words(stack, g->words, g->words + 6); /* until it has begun */
}

/* The thread was in a handler of the program's on its alternate stack. Where it was interrupted before is in a frame of
 * the kernel's there, with its registers: marks what all words there point to, and scans its own stack, or any
 * goroutine's, from the lowest address that is among them. */
TU__RACY static void scan_alternate(struct mark_stack *stack, const struct gc_thread *t)
{
    const char *lowest = t->high;
    for (uintptr_t at = t->at.sp & ~(sizeof at - 1); at < t->at.alternate_high; at += sizeof at) {
        const char *word = *(const char *const volatile *)at;
        tu__mark(stack, word);
        struct g *g = goroutine_of_stack(word);
        if (g)
            scan_stack(stack, g, word - REDZONE);
        else if (word >= t->low && word < lowest)
            lowest = word;
    }
    if (lowest < t->high)
        tu__mark_words(stack, lowest - t->low > REDZONE ? lowest - REDZONE : lowest, t->high);
}

TU__RACY void tu__gc_scan_thread(struct mark_stack *stack, struct gc_thread *t, uint32_t cycle)
{
    const struct fault_stop *at = &t->at;
    const char *sp = (const char *)at->sp - REDZONE;
    tu__mark_words(stack, at->registers, (const char *)at->registers + at->registers_size);
    if (at->vectors)
        tu__mark_words(stack, at->vectors, (const char *)at->vectors + at->vectors_size);
    struct g *g = goroutine_of_stack((const void *)at->sp);
    if (at->sp >= at->alternate_low && at->sp < at->alternate_high) {
        scan_alternate(stack, t);
    } else if (g) {
        scan_stack(stack, g, sp);
        atomic_store_explicit(&g->scanned, cycle, memory_order_release);
    } else if (sp >= t->low && sp < t->high) {
        tu__mark_words(stack, sp, t->high);
    }
}

TU__RACY void tu__gc_scan_unseen(struct mark_stack *stack, struct gc_thread *t, uint32_t cycle)
{
    struct g *g = goroutine_of_stack((const void *)t->at.sp);
    bool unseen = g && atomic_load_explicit(&g->scanned, memory_order_relaxed) != cycle;
#if defined(TU__ASAN) || defined(TU__TSAN)
    unseen = g != NULL; /* it may have begun to scan itself */
#endif
    if (unseen)
        tu__gc_scan_thread(stack, t, cycle);
}

__attribute__((noinline)) void tu__gc_scan_self(struct g *g)
{
    struct gc_thread *t = tu__gc_busy_begin();
    uint32_t cycle = atomic_load_explicit(&tu__gc_marking, memory_order_relaxed);
    if (cycle) {
        __builtin_unwind_init(); /* callee-saved registers go to this frame */
        const char *sp = __builtin_frame_address(0);
        scan_stack(&t->stack, g, sp - UNWIND_BYTES);
        tu__mark_hand_over(&t->stack);
        atomic_store_explicit(&g->scanned, cycle, memory_order_relaxed);
    }
    tu__gc_busy_end(t);
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
    bool waits = atomic_load_explicit(&g->wait, memory_order_acquire) != 0;
    if (g->alive || waits)
        scan_stack(p->stack, g, g->sp);
    if (waits) /* a channel, say, whose address it may not have kept on its stack */
        tu__mark(p->stack, g->object);
    /* release: who goes on and sees it knows that its stack was read before */
    atomic_store_explicit(&g->scanned, p->cycle, memory_order_release);
    return true;
}

void tu__gc_scan_parked(struct mark_stack *stack, uint32_t cycle)
{
    struct parked p = {stack, cycle};
    goroutine_each(scan_parked, &p);
}
