/* gc_shadow.h - for tests: a second copy of every pointer slot, which only tu_set and its like write to.
 *
 * With TUCO_GCSHADOW=1 in the environment each word of the collected heap has a shadow word. A new object's are zero, as it is; what
 * writes pointers as tuco/gc.h asks writes both. When a marking has ended, and the program stands, each pointer slot of a
 * live object is compared: another value was written by something else, and the process aborts and says where.
 */
#pragma once

#include "runtime/gc/collected.h"

#include <stdatomic.h>
#include <stdbool.h>

extern _Atomic bool tu__shadow_on; /* changes only before there are objects */

static inline bool tu__shadow(void)
{
    return __builtin_expect(atomic_load_explicit(&tu__shadow_on, memory_order_relaxed), 0);
}

/* Before the first object: no memory, no shadow. */
void tu__shadow_begin(void);
/* A new span has shadow words from now on: false if there is no memory. */
bool tu__shadow_cover(const struct span *s);
/* Around a write of a pointer and the note of it, so that two writers of one slot leave the same value in both. */
void tu__shadow_lock(void);
/* What lies in [at, at + size) was written; unlocks. */
void tu__shadow_note(const void *at, size_t size);
/* These bytes, of no object yet, are zero. */
void tu__shadow_zero(const void *at, size_t size);
/* Of a live object: aborts if a slot is not what was noted. World stopped. */
void tu__shadow_verify(const void *object);
