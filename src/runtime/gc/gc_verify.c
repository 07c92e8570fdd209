/* gc_verify.c - for tests: when marking has ended, all that a second marking would reach is marked.
 *
 * With the world stopped, after the last object was scanned:
 *
 *   1 no marked object points to one that is not. Blocks that a thread has claimed and not handed out are marked and may
 *     hold anything: they are left out
 *   2 no root points to an object that is not marked: registers, stacks, anchors, memory of tu_gc_root_add, pins, arguments of
 *     cleanups
 *
 * So what can be reached from the roots as they are now is marked, by as many steps as it may take: a second marking would
 * find nothing. (1 also holds for what is marked and cannot be reached any more, which the program was free to lose.)
 *
 * 2 is true only of words that the program has written as pointers. A frame has words that nobody has written yet, and these may be
 * pointers of calls before, to what was lost long ago. Therefore, when the cycle begins, all that lies below the frames of a
 * stack is zeroed: who is stopped does it itself, the collector does it for goroutines on no thread. From then on a word there is
 * zero, or was scanned, or was written by one who knew only what is marked. Not looked at, for the same reason:
 *
 *   - registers and stacks of threads that were not scanned when the cycle began, because they slept quietly or ran a
 *     goroutine, and those of a thread on whose stack handlers run
 *   - any stack, if a thread could not clean below the frames of its goroutine: it touched memory (tu__gc_touch) or was in another
 *     handler. That goroutine may be on no thread now, and what lay below it in frames that it has made since
 *   - vector registers: the C library reads beyond the ends of strings with them
 *   - anchors of this cycle: the ring of a new channel holds what its memory did before
 *   - stacks and registers at all, unless tu__gc_verify_stacks: a loop's variable behind the end of an array is the address of whatever
 *     lies there (twenty minutes of torture gave one, in a register of tu__gc_clear, and one in a frame's slot that no one had written).
 *     The torture has other means: freed memory is poisoned, and whatever is read must be as it was made
 *   - words that may be something else than a pointer to the object (is_lost). So not everything that is lost is found at once, but
 *     what is found is lost
 *
 * ThreadSanitizer calls our handler late and has frames of its own: with it stacks are left out.
 */
#include "runtime/gc/collector.h"
#include "runtime/gc/gc_anchor.h"
#include "runtime/gc/gc_shadow.h"
#include "runtime/gc/gc_stacks.h"
#include "runtime/gc/gc_weak.h"

#include "base/check.h"
#include "platform/vm.h"

typedef uint64_t bits[COLLECTED_WORDS];

static void leave_out(bits *marks, const struct slot *slot)
{
    if (!slot->span)
        return;
    size_t from = (size_t)(slot->cur - slot->start) / slot->block_bytes;
    for (size_t i = from / 64; i < COLLECTED_WORDS; i++) {
        uint64_t out = slot->claimed[i];
        if (i == from / 64)
            out &= ~(uint64_t)0 << from % 64;
        if (out)
            marks[slot->span->hint][i] &= ~out;
    }
}

static void verify_span(const struct span *s, const bits *marks)
{
    for (uint32_t w = 0; s->bin != COLLECTED_PLAIN && w < COLLECTED_WORDS; w++)
        for (uint64_t left = (*marks)[w]; left; left &= left - 1) {
            const void *object = tu__collected_block(s, w * 64 + (uint32_t)__builtin_ctzll(left));
            const void *missing = tu__mark_missing(object);
            tu_check(!missing, "collector: %p (%s) points to %p, which was not marked", object,
                     s->type ? s->type->name : "an array", missing);
            if (tu__shadow())
                tu__shadow_verify(object);
        }
}

void tu__gc_verify_marks(void)
{
    struct tu__collected *c = &tu__collected;
    size_t bytes = c->span_count * sizeof(bits);
    bits *marks = bytes ? vm_map(bytes) : NULL;
    if (!marks)
        return;
    for (size_t i = 0; i < c->span_count; i++)
        for (uint32_t w = 0; w < COLLECTED_WORDS; w++)
            marks[i][w] = atomic_load_explicit(&c->spans[i]->marks[w], memory_order_relaxed);
    for (struct gc_thread *t = atomic_load(&tu__gc_threads.all); t; t = t->next)
        for (uint32_t key = 0; key < KEYS; key++)
            leave_out(marks, &t->slots[key]);
    for (size_t i = 0; i < c->span_count; i++)
        verify_span(c->spans[i], &marks[i]);
    vm_unmap(marks, bytes);
}

bool tu__gc_verify_stacks;
uint64_t tu__gc_verified_stacks;

/* ---- roots ---- */

static const char *type_name(const void *object)
{
    const struct span *s = tu__entry_span(tu__page_entry(object));
    return s->type ? s->type->name : s->bin == COLLECTED_PLAIN ? "bytes" : "an array";
}

/* Where a slot is used up, its cur is the end of its last block, which may be dead as well; who makes an object loads it. */
static bool is_end_of_slot(const void *p)
{
    for (struct gc_thread *t = atomic_load(&tu__gc_threads.all); t; t = t->next)
        for (uint32_t key = 0; key < KEYS; key++)
            if (t->slots[key].began == p)
                return true;
    return false;
}

/* The beginning of an object that is not marked, and surely a pointer to it: not the beginning of a span, which is
 * computed to find an object in it; nor where a live object ends; nor what becomes of a pointer when its low byte is
 * used for something else. */
static bool is_lost(const void *p)
{
    struct collected_place at;
    if (!tu__collected_find(p, &at) || tu__mark_is(p))
        return false;
    return at.index > 0 && p == tu__collected_block(at.span, at.index) && (uintptr_t)p % 256 != 0 &&
           !tu__mark_is((const char *)p - 1) && !is_end_of_slot(p);
}

TU__RACY static void look(const void *low, const void *high, const char *whose)
{
    uintptr_t at = ((uintptr_t)low + sizeof at - 1) & ~(sizeof at - 1);
    size_t committed = atomic_load_explicit(&tu__pages.committed, memory_order_relaxed);
    for (; at + sizeof at <= (uintptr_t)high; at += sizeof at) {
        const void *to = *(const void *const volatile *)at;
        if ((uintptr_t)to - tu__pages.base < committed && is_lost(to))
            tu_check(false, "collector: %p, %s, points to %p (%s), which was not marked",
                     (const void *)at, whose, to, type_name(to));
    }
}

static void look_at_range(const void *start, size_t size, void *whose)
{
    look(start, (const char *)start + size, whose);
}

void tu__gc_verify_roots(bool stacks_clean)
{
    static char root[] = "a root", anchor[] = "an anchor", cleanup[] = "a cleanup";
    tu__gc_roots_each(look_at_range, root);
    tu__gc_anchors_each_locked(look_at_range, anchor);
    tu__gc_weak_each(look_at_range, cleanup);
#ifndef TU__TSAN
    if (stacks_clean && tu__gc_verify_stacks) {
        tu__gc_stacks_each(look);
        tu__gc_verified_stacks++;
    }
#endif
}
