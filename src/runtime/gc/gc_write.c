/* gc_write.c - the barrier: what a pointer field held when the cycle began is marked before it is overwritten.
 *
 * The common cases of tu__gc_set, while nobody marks or where NULL is overwritten, are in platform/pointer_store.S; the rest
 * of it is here. NULL is no reason to mark anything, whoever writes there at the same time: if something else stood there when
 * the cycle began, it was marked by who overwrote that. Each step
 * that asks whether somebody marks and then overwrites is one for those who stop threads (tu__gc_busy): with the
 * answer of before, it would overwrite what the new cycle has not seen.
 */
#include "runtime/gc/collector.h"

#include "platform/pointer_store.h"
#include "runtime/gc/gc_cards.h"
#include "runtime/gc/gc_mark.h"
#include "runtime/gc/gc_phase.h"
#include "runtime/gc/gc_shadow.h"

#include <string.h>

enum { BUSY_BYTES = 4096 }; /* moved at a time, so that nobody waits long for us to stop */

_Atomic uint32_t tu__gc_marking;

static bool marking(void)
{
    return atomic_load_explicit(&tu__gc_marking, memory_order_relaxed) != 0;
}

/* A thread without a record is one that has found no memory for it. */
static void shade(struct gc_thread *t, const void *object)
{
    struct mark_stack own = {0};
    tu__mark(t ? &t->stack : &own, object);
    if (t)
        tu__mark_hand_over(&t->stack);
    tu__mark_flush(&own);
}

static void end(struct gc_thread *t)
{
    if (t)
        tu__gc_busy_end(t);
}

static void set_slow(void *slot, const void *value)
{
    struct gc_thread *t = tu__gc_busy_begin();
    if (marking())
        shade(t, __atomic_load_n((const void **)slot, __ATOMIC_RELAXED));
    if (tu__shadow())
        tu__shadow_lock();
    __atomic_store_n((const void **)slot, value, __ATOMIC_RELEASE);
    if (tu__shadow())
        tu__shadow_note(slot, sizeof value);
    tu__cards_note(slot, sizeof value);
    end(t);
}

void tu__gc_barrier(bool on)
{
    tu__store_slow = set_slow;
#ifdef TU__TSAN
    on = true; /* it sees no store of assembly, and so no release */
#endif
    uint32_t guard = __atomic_load_n(&tu__store_guard, __ATOMIC_RELAXED);
    guard = on ? guard | STORE_ASKS : guard & ~(uint32_t)STORE_ASKS;
    guard = tu__shadow() ? guard | STORE_SLOW : guard & ~(uint32_t)STORE_SLOW;
    __atomic_store_n(&tu__store_guard, guard, __ATOMIC_RELAXED);
}

void tu__gc_shade_words(const void *start, size_t size)
{
    struct gc_thread *t = tu__gc_busy_begin();
    struct mark_stack own = {0};
    if (marking())
        tu__mark_words(t ? &t->stack : &own, start, (const char *)start + size);
    if (t)
        tu__mark_hand_over(&t->stack);
    tu__mark_flush(&own);
    end(t);
}

static void shade_elements(struct gc_thread *t, const tu_type *type, const char *at, size_t count)
{
    for (; count > 0; count--, at += type->size)
        for (uint32_t i = 0; i < type->pointer_count; i++) {
            const struct tu__pointers *run = &type->pointers[i];
            const void *const *slot = (const void *const *)(const void *)(at + run->offset);
            for (uint32_t k = 0; k < run->words; k++)
                shade(t, __atomic_load_n(&slot[k], __ATOMIC_RELAXED));
        }
}

/* memmove whose words are never seen half written. */
TU__RACY static void move_words(char *to, const char *from, size_t size)
{
    size_t words =
        (((uintptr_t)to | (uintptr_t)from) % sizeof(uintptr_t)) ? 0 : size / sizeof(uintptr_t);
    volatile uintptr_t *w = (volatile uintptr_t *)(void *)to;
    const volatile uintptr_t *v = (const volatile uintptr_t *)(const void *)from;
    size_t done = words * sizeof(uintptr_t);
    if (to <= from) {
        for (size_t i = 0; i < words; i++)
            w[i] = v[i];
        memmove(to + done, from + done, size - done);
    } else {
        memmove(to + done, from + done, size - done);
        for (size_t i = words; i-- > 0;)
            w[i] = v[i];
    }
}

static void move_part(const tu_type *type, char *to, const char *from, size_t count)
{
    struct gc_thread *t = tu__gc_busy_begin();
    if (marking())
        shade_elements(t, type, to, count);
    if (tu__shadow())
        tu__shadow_lock();
    if (marking())
        move_words(to, from, count * type->size);
    else
        memmove(to, from, count * type->size);
    if (tu__shadow())
        tu__shadow_note(to, count * type->size);
    tu__cards_note(to, count * type->size);
    end(t);
}

static size_t part_of(const tu_type *type)
{
    return type->size < BUSY_BYTES ? BUSY_BYTES / type->size : 1;
}

void tu__gc_move(const tu_type *type, void *to, const void *from, size_t count)
{
    size_t part = part_of(type), size = type->size;
    if (type->pointer_count == 0) {
        memmove(to, from, count * size);
    } else if ((uintptr_t)to <= (uintptr_t)from) {
        for (size_t at = 0; at < count; at += part)
            move_part(type, (char *)to + at * size, (const char *)from + at * size,
                      count - at < part ? count - at : part);
    } else {
        for (size_t left = count; left > 0;) {
            size_t n = left < part ? left : part;
            left -= n;
            move_part(type, (char *)to + left * size, (const char *)from + left * size, n);
        }
    }
}

void tu__gc_clear(const tu_type *type, void *at, size_t count)
{
    size_t part = type->pointer_count ? part_of(type) : count;
    for (char *to = at; count > 0; to += part * type->size) {
        size_t n = count < part ? count : part;
        struct gc_thread *t = tu__gc_busy_begin();
        if (marking())
            shade_elements(t, type, to, n);
        if (tu__shadow())
            tu__shadow_lock();
        memset(to, 0, n * type->size);
        if (tu__shadow())
            tu__shadow_note(to, n * type->size);
        end(t);
        count -= n;
    }
}
