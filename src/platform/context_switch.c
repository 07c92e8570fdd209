/* context_switch.c - the first frame of a stack, laid out as context_switch.S pops it. */
#include "platform/context_switch.h"

#include <string.h>

extern void context_start(void) __asm__("tu__context_start");

void *context_prepare(void *top, void (*entry)(void))
{
#if defined(__x86_64__)
    /* r15 r14 r13 r12 rbx rbp, return address; after the ret rsp is top - 16, aligned for a call. */
    uintptr_t *sp = (uintptr_t *)((char *)top - CONTEXT_PREPARED_BYTES);
    memset(sp, 0, CONTEXT_PREPARED_BYTES);
    sp[4] = (uintptr_t)entry;
    sp[6] = (uintptr_t)context_start;
    return sp;
#else
    uintptr_t *sp = (uintptr_t *)((char *)top - CONTEXT_PREPARED_BYTES);
    memset(sp, 0, CONTEXT_PREPARED_BYTES);
    sp[0] = (uintptr_t)entry;
    sp[11] = (uintptr_t)context_start;
    return sp;
#endif
}

__attribute__((no_sanitize("address"), no_sanitize("thread"))) struct context_place
context_place(const void *sp)
{
    const uintptr_t *words = sp;
#if defined(__x86_64__)
    struct context_place place = {.pc = words[6], .fp = words[5]};
    uintptr_t entry = words[4];
#else
    struct context_place place = {.pc = words[11], .fp = words[10]};
    uintptr_t entry = words[0];
#endif
    if (place.pc == (uintptr_t)context_start)
        place.entry = (void (*)(void))entry;
    return place;
}
