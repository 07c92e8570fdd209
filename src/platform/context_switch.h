/* context_switch.h - saving one stack and continuing another.
 *
 * Only the callee-saved registers and the stack pointer change hands (System V x86-64: rbx rbp
 * r12-r15; AAPCS64: x19-x30, d8-d15). Signal masks and floating-point modes stay the thread's.
 */
#pragma once

#include <stdint.h>

/* Saves the caller's context on its stack, its stack pointer in *save, and continues the context
 * whose stack pointer is `load`. Returns when somebody switches back. */
void context_switch(void **save, void *load) __asm__("tu__context_switch");

/* Where a saved context goes on: its next instruction (`pc`), its frame pointer (`fp`), and the entry
 * function if it is a prepared context that has not run yet, else NULL. Reads nothing but the frame
 * at `sp`, which may hold anything. */
struct context_place {
    uintptr_t pc, fp;
    void (*entry)(void);
};
enum { CONTEXT_BYTES = 160 }; /* at most what a saved context takes at `sp` */
struct context_place context_place(const void *sp);

/* Prepares an empty stack that ends at `top` (16-byte aligned): switching to the returned stack
 * pointer calls entry(), which must never return. */
void *context_prepare(void *top, void (*entry)(void));
/* So many bytes below `top` are written then. */
#if defined(__x86_64__)
enum { CONTEXT_PREPARED_BYTES = 72 };
#else
enum { CONTEXT_PREPARED_BYTES = 160 };
#endif
