/* gc_anchor.h - memory of the manual heap that may hold pointers to objects: buffers of channels, words of timers,
 * values of contexts. An anchor lies in the thing itself and is known to the collector from add to remove.
 *
 * Never parks. From any thread. Costs a lock that is shared by a few.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct tu__gc_anchor {
    struct tu__gc_anchor *next, *prev;
    const void *start;
    size_t size;    /* bytes; less than a word: nothing was added */
    uint32_t since; /* the cycle that marked when it was added; for tests */
};

/* The words in these bytes; fewer than a word: it does nothing, nor does the remove. */
void tu__gc_anchor_add(struct tu__gc_anchor *a, const void *start, size_t size);
void tu__gc_anchor_remove(struct tu__gc_anchor *a);

/* Around a fork. */
void tu__gc_anchors_lock(void);
void tu__gc_anchors_unlock(void);
void tu__gc_anchors_after_fork(void);
/* The collector: every anchor that is there when it comes to its list. Takes their locks. */
void tu__gc_anchors_each(void (*visit)(const void *start, size_t size, void *arg), void *arg);
/* The same with all locks held, of those that were there before the cycle that marks. */
void tu__gc_anchors_each_locked(void (*visit)(const void *start, size_t size, void *arg),
                                void *arg);
