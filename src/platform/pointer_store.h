/* pointer_store.h - a store that asks first, as one step for those who stop threads, and notes where it was.
 *
 *     tu__gc_set(slot, value):
 *         if ((tu__store_guard & STORE_SLOW) || ((tu__store_guard & STORE_ASKS) && *slot != NULL))
 *             return tu__store_slow(slot, value);
 *         *slot = value;                                                             (release)
 *         if (tu__store_guard != 0 && slot - tu__card_base < tu__card_limit)
 *             tu__card_table[(slot - tu__card_base) >> CARD_SHIFT] = 1;
 *
 * With a guard of 0 that is one question. The limit is 0 unless STORE_NOTES is set. Two (is there a card?) took a fifth more time where stores miss the cache: fewer of
 * them are under way at once.
 *
 * A thread that is stopped between the question and the store would act on an old answer. Whoever stops it calls
 * pointer_store_again, and it asks again when it goes on; so this is in assembly, and not inline. The note comes after the
 * store: who stops the thread in between finds the value in its registers.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum { CARD_SHIFT = 9 }; /* a byte for 512 bytes */
/* STORE_ASKS: what is overwritten is somebody's business, unless it is NULL; STORE_SLOW: each store is. */
enum { STORE_ASKS = 1, STORE_NOTES = 2, STORE_SLOW = 4 };

#define POINTER_STORE_HIDDEN __attribute__((visibility("hidden")))
extern uint32_t tu__store_guard POINTER_STORE_HIDDEN;
extern void (*tu__store_slow)(void *slot, const void *value) POINTER_STORE_HIDDEN;
extern uintptr_t tu__card_base POINTER_STORE_HIDDEN;
extern size_t tu__card_limit
    POINTER_STORE_HIDDEN; /* bytes from base that have cards; 0: nothing is noted */
extern uint8_t *tu__card_table POINTER_STORE_HIDDEN;

/* Of a thread that stands at *pc: moves it back to the question if it is between the two. */
void pointer_store_again(uintptr_t *pc);
