/* gc_alloc.c - making objects.
 *
 * The fast path bumps a pointer in the thread's slot for the type's key. It may be stopped by the collector at any
 * instruction; collected.h says why that is right. It may not park, so that a goroutine stays on its thread between
 * the look at the thread's record and the store.
 */
#include "runtime/gc/collector.h"

#include "base/check.h"

static const tu_type type_of_bytes = {.name = "bytes", .size = 1};

/* The slot is used up: gives it blocks, and the first of them. */
static __attribute__((noinline)) void *refill(uint32_t key)
{
    struct gc_thread *t = tu__gc_thread_here();
    if (!t)
        return NULL;
    struct slot *slot = &t->slots[key];
    _Atomic uint64_t *active = &t->active[key / 64];
    uint64_t bits = atomic_load_explicit(active, memory_order_relaxed);
    atomic_store_explicit(active, bits | (uint64_t)1 << key % 64, memory_order_relaxed);
    while (!tu__collected_next(slot)) {
        tu__gc_pace();
        if (!tu__collected_claim(slot, key) &&
            (!tu__gc_out_of_memory() || !tu__collected_claim(slot, key)))
            return NULL;
        if (slot->untouched) /* not while a stop waits for us */
            tu__gc_touch(slot->start, (size_t)slot->span->pages << PAGE_SHIFT);
    }
    char *object = slot->cur;
    slot->cur = object + slot->block_bytes;
    return object;
}

static inline void *bump(uint32_t key)
{
    struct slot *slot = &tu__gc_thread_tls->slots[key];
    char *object = slot->cur;
    if (__builtin_expect(object == slot->end, 0))
        return refill(key);
    slot->cur = object + slot->block_bytes;
    return object;
}

static __attribute__((noinline)) void *alloc_large(const tu_type *type, size_t size)
{
    if (!tu__gc_thread_here())
        return NULL;
    tu__gc_pace();
    void *object = tu__collected_large(type, size);
    if (!object && tu__gc_out_of_memory())
        object = tu__collected_large(type, size);
    return object;
}

/* The class for an object, whose blocks all lie at multiples of 16 where the element's size is one. */
static inline uint32_t class_for(const tu_type *type, size_t size)
{
    uint32_t class = size_class_of(size < 16 ? 16 : size);
    while (type->size % 16 == 0 && size_class_bytes(class) % 16 != 0)
        class ++;
    return class;
}

static __attribute__((noinline)) void *alloc_any(const tu_type *type, size_t count)
{
    size_t size;
    if (count == 1 && __atomic_load_n(&type->slab, __ATOMIC_ACQUIRE) == TU__OWN_SLAB) {
        uint32_t key = tu__collected_key((tu_type *)(uintptr_t)type);
        if (key != KEY_NONE)
            return bump(key);
    }
    if (__builtin_mul_overflow(count, type->size, &size) || size > SIZE_MAX / 4)
        return NULL;
    if (size > SIZE_CLASS_LARGEST - sizeof(void *))
        return alloc_large(type, size);
    if (type->pointer_count == 0)
        return bump(KEY_PLAIN + class_for(type, size));
    uint32_t class = class_for(type, size + sizeof(void *));
    char *object = bump(KEY_MIXED + class);
    if (object) /* a collector that comes before finds no type, and nothing in it yet */
        *(const tu_type **)(void *)(object + size_class_bytes(class) - sizeof(void *)) = type;
    return object;
}

__attribute__((noinline)) void *tu__gc_alloc(const tu_type *type, size_t count)
{
    uint32_t key = __atomic_load_n(&type->slab, __ATOMIC_ACQUIRE);
    if (__builtin_expect(count != 1 || key <= TU__OWN_SLAB, 0))
        return alloc_any(type, count);
    return bump(key);
}

void *tu_new_bytes(size_t size)
{
    return alloc_any(&type_of_bytes, size);
}

size_t tu_gc_usable_size(const void *object)
{
    struct collected_place at;
    bool found = tu__collected_find(object, &at);
    tu_check(found && object == tu__collected_block(at.span, at.index),
             "tu_gc_usable_size(%p): not an object of the collected heap", object);
    size_t tail = at.span->bin == COLLECTED_MIXED ? sizeof(void *) : 0;
    return tu__collected_bytes(at.span) - tail;
}

bool tu_gc_owns(const void *pointer)
{
    struct collected_place at;
    return tu__collected_find(pointer, &at);
}
