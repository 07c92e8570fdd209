/* pointer_store.h - a store that asks first, as one step for those who stop threads.
 *
 *     tu__gc_set(slot, value):  if (tu__store_guard == 0) *slot = value (release); else tu__store_slow(slot, value);
 *
 * A thread that is stopped between the question and the store would act on an old answer. Whoever stops it calls
 * pointer_store_again, and it asks again when it goes on; so this is in assembly, and not inline.
 */
#pragma once

#include <stdint.h>

extern uint32_t tu__store_guard __attribute__((visibility("hidden")));
extern void (*tu__store_slow)(void *slot, const void *value) __attribute__((visibility("hidden")));

/* Of a thread that stands at *pc: moves it back to the question if it is between the two. */
void pointer_store_again(uintptr_t *pc);
