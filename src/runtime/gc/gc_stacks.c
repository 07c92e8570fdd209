/* gc_stacks.c - see gc_stacks.h. */
#include "runtime/gc/gc_stacks.h"

#include "platform/context_switch.h"
#include "runtime/gc/gc_phase.h"
#include "runtime/sched/schedule.h"

enum {
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

static bool on_alternate(const struct gc_thread *t)
{
    return t->at.sp >= t->at.alternate_low && t->at.sp < t->at.alternate_high;
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
    t->own_stack = !g;
    if (on_alternate(t)) {
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

/* ---- for tests ---- */

TU__RACY void tu__gc_clean_below(const char *top, const char *low)
{
    enum { PIECE_BYTES = 4096, ENOUGH = 5 };
    uintptr_t at = (uintptr_t)top & ~(sizeof at - 1);
    for (int empty = 0; empty < ENOUGH && at > (uintptr_t)low; empty++) {
        uintptr_t to = (at - 1) & ~(uintptr_t)(PIECE_BYTES - 1);
        for (to = to > (uintptr_t)low ? to : (uintptr_t)low; at > to;) {
            at -= sizeof at;
            volatile uintptr_t *word = (volatile uintptr_t *)at;
            if (*word == 0)
                continue;
            *word = 0;
            empty = -1;
        }
    }
}

/* True also if nobody knows, because a thread is in a handler on its alternate stack. */
static bool may_be_on_a_thread(const struct g *g)
{
    for (struct gc_thread *t = atomic_load(&tu__gc_threads.all); t; t = t->next)
        if (!t->left_out && (on_alternate(t) || goroutine_of_stack((const void *)t->at.sp) == g))
            return true;
    return false;
}

static bool waits(const struct g *g)
{
    return g->alive || atomic_load_explicit(&g->wait, memory_order_acquire) != 0;
}

static bool clean_parked(struct g *g, void *unused)
{
    if (!may_be_on_a_thread(g))
        tu__gc_clean_below(waits(g) ? g->sp : (const char *)g - CONTEXT_PREPARED_BYTES,
                           g->stack_low);
    return true;
}

bool tu__gc_clean_stacks(void)
{
    for (struct gc_thread *t = atomic_load(&tu__gc_threads.all); t; t = t->next)
        if (!t->left_out && !t->clean &&
            (on_alternate(t) || goroutine_of_stack((const void *)t->at.sp)))
            return false;
    goroutine_each(clean_parked, NULL);
    return true;
}

struct each {
    void (*visit)(const void *low, const void *high, const char *whose);
};

static bool visit_parked(struct g *g, void *arg)
{
    const struct each *each = arg;
    if (!waits(g) || may_be_on_a_thread(g))
        return true;
    each->visit(g->sp, g, "the stack of a goroutine");
    each->visit(g->words, g->words + 6, "an argument of a goroutine");
    if (atomic_load_explicit(&g->wait, memory_order_relaxed) != 0)
        each->visit(&g->object, &g->object + 1, "what a goroutine waits for");
    return true;
}

static void visit_thread(const struct each *each, const struct gc_thread *t)
{
    const struct fault_stop *at = &t->at;
    const char *sp = (const char *)at->sp - REDZONE;
    struct g *g = goroutine_of_stack((const void *)at->sp);
    if (t->clean) /* but its vectors: with them the C library reads beyond the ends of strings */
        each->visit(at->registers, (const char *)at->registers + at->registers_size, "a register");
    if (g)
        each->visit(sp > (const char *)g->stack_low ? sp : g->stack_low, g,
                    "the stack of a goroutine that runs");
    else if (t->clean && t->own_stack && sp >= t->low && sp < t->high)
        each->visit(sp, t->high, "the stack of a thread");
}

void tu__gc_stacks_each(void (*visit)(const void *low, const void *high, const char *whose))
{
    struct each each = {visit};
    for (struct gc_thread *t = atomic_load(&tu__gc_threads.all); t; t = t->next)
        if (!t->left_out && !on_alternate(t))
            visit_thread(&each, t);
    goroutine_each(visit_parked, &each);
}
