/* gc_stacks.h - scanning stacks: of threads that stand, of goroutines that are parked, and of those that go on.
 *
 * In each cycle every goroutine's stack is scanned once, as it was when the cycle began, or before it runs again:
 *
 *   running when the world stands     by the collector, from the registers of its thread
 *   goes on later                     by itself, as the first thing (tu__gc_resumed)
 *   stays parked                      by the collector, meanwhile
 *   started later                     not at all: it began with what others knew
 *
 * g->scanned is the number of the cycle in which this was done. A goroutine that goes on looks at it before it calls
 * any function, that is, while what the collector may be reading is as it was; so either the collector had finished, or
 * the goroutine scans itself. (With a sanitizer a look is a call: there it always scans itself.)
 */
#pragma once

#include "runtime/gc/gc_mark.h"
#include "runtime/gc/gc_thread.h"

enum { REDZONE = 128 /* below the stack pointer, which the ABI lets a leaf function use */ };

/* World stopped: the thread's registers, its stack or that of the goroutine on it. */
void tu__gc_scan_thread(struct mark_stack *stack, struct gc_thread *t, uint32_t cycle);
/* The same, if a goroutine is on it that was not scanned in this cycle: it goes on and has not come so far. */
void tu__gc_scan_unseen(struct mark_stack *stack, struct gc_thread *t, uint32_t cycle);
/* All goroutines that are parked or ready and were not scanned in this cycle. The world may go on. */
void tu__gc_scan_parked(struct mark_stack *stack, uint32_t cycle);

/* ---- for tests, with the world stopped: gc_verify.c ---- */

/* Zeroes a stack downwards from `top`, until it has come to `low` or seen enough zeroes. */
void tu__gc_clean_below(const char *top, const char *low);
/* The same below the frames of all goroutines that are on no thread. False: a thread could not do that for the goroutine that it
 * runs, which may be anywhere later. */
bool tu__gc_clean_stacks(void);
/* Calls visit for what would be scanned if a cycle began now, of those that were clean and scanned when this one did. */
void tu__gc_stacks_each(void (*visit)(const void *low, const void *high, const char *whose));
