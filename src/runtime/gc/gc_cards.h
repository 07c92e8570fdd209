/* gc_cards.h - where pointers were written since the last cycle began: a byte for every 512 bytes of the heap.
 *
 * With generations on, an object that has survived a cycle is old: it stays marked, and a minor cycle does not scan it
 * again, unless its card says that a pointer in it was written. There are two tables. Threads write to one; when a cycle
 * begins, with the world stopped, they get the other, which is clean, and the collector reads and cleans the first beside the
 * program. So:
 *
 *     between two cycles, an old object points to one that is not old only from a card that is dirty in the
 *     table that threads write to
 *
 * since what it points to otherwise was marked in the cycle that made it old.
 */
#pragma once

#include "runtime/gc/gc_mark.h"

/* There are cards for the heap as far as it is committed now; false: no memory. Called before a span is taken, under
 * the collected heap's lock. */
bool tu__cards_cover(void);
/* World stopped: threads note what they write from now on (or not), in the other table. False: it cannot be. */
bool tu__cards_begin(bool on);
/* Cleans the table that they wrote to before; with `scan`, scans what is old on its dirty cards. Takes the
 * collected heap's lock now and then. */
void tu__cards_read(struct mark_stack *stack, bool scan);
/* After a store that did not go through tu__gc_set: `size` bytes from `at` were written. */
void tu__cards_note(const void *at, size_t size);
