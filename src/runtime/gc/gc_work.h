/* gc_work.h - helpers of the collector: threads that mark with it.
 */
#pragma once

#include "runtime/gc/gc_mark.h"

/* Marks until nothing is left anywhere but on threads' own stacks of marks. By the collector; helpers join in: a
 * quarter of the Ps, and one for each P that is idle. */
void tu__gc_work(struct mark_stack *stack);
/* No helper holds anything. If the pool is empty as well then, and the world stands, nothing is left. */
bool tu__gc_helpers_out(void);
/* Around some marking by a thread of the program, which is busy (tu__gc_busy) meanwhile. The end gives back what is left. */
void tu__gc_help_begin(void);
void tu__gc_help_end(struct mark_stack *stack);
