/* gc_verify.c - for tests: when marking has ended, no marked object points to one that is not.
 *
 * With the world stopped. Blocks that a thread has claimed and not handed out are marked and may hold anything: they are
 * left out. What only stacks point to is not looked at: words on them come and go that are no pointers any more.
 */
#include "runtime/gc/collector.h"
#include "runtime/gc/gc_shadow.h"

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
