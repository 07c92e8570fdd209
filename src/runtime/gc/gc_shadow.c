/* gc_shadow.c - see gc_shadow.h. The shadow has the page heap's layout, so a slot's word is an addition away. */
#include "runtime/gc/gc_shadow.h"

#include "base/check.h"
#include "platform/vm.h"
#include "runtime/sched/fiber.h"
#include "runtime/sched/park.h"

#include <string.h>

#define SHADOW_ROOM ((size_t)1 << 40)

_Atomic bool tu__shadow_on;
static struct {
    struct tu__lock lock;
    char *words;
} shadow;

void tu__shadow_begin(void)
{
    if (!shadow.words)
        shadow.words = vm_reserve(SHADOW_ROOM);
    atomic_store_explicit(&tu__shadow_on, shadow.words != NULL, memory_order_relaxed);
}

static void *shadow_of(const void *at)
{
    return shadow.words + ((uintptr_t)at - tu__pages.base);
}

bool tu__shadow_cover(const struct span *s)
{
    size_t size = (size_t)s->pages << PAGE_SHIFT;
    return (uintptr_t)tu__span_start(s) - tu__pages.base + size <= SHADOW_ROOM &&
           vm_commit(shadow_of(tu__span_start(s)), size) == 0;
}

void tu__shadow_lock(void)
{
    tu__lock(&shadow.lock);
}

TU__RACY void tu__shadow_note(const void *at, size_t size)
{
    if (tu_gc_owns(at) && size > 0)
        memcpy(shadow_of(at), at, size);
    tu__unlock(&shadow.lock);
}

void tu__shadow_zero(const void *at, size_t size)
{
    memset(shadow_of(at), 0, size);
}

TU__RACY void tu__shadow_verify(const void *object)
{
    const struct span *s = tu__entry_span(tu__page_entry(object));
    const tu_type *type = s->type;
    size_t bytes = tu__collected_bytes(s);
    if (s->bin == COLLECTED_MIXED) {
        bytes -= sizeof type;
        type = *(const tu_type *const volatile *)(const void *)((const char *)object + bytes);
    }
    for (size_t n = 0, count = type ? bytes / type->size : 0; n < count; n++)
        for (uint32_t i = 0; i < type->pointer_count; i++)
            for (uint32_t k = 0; k < type->pointers[i].words; k++) {
                size_t offset = n * type->size + type->pointers[i].offset + k * sizeof(void *);
                const void *at = (const char *)object + offset;
                const void *is = *(const void *const volatile *)at;
                const void *noted = *(const void *const *)shadow_of(at);
                tu_check(
                    is == noted,
                    "collector: %p (%s), %zu bytes in: %p was written without tu_set; it was %p",
                    object, type->name, offset, is, noted);
            }
}
