/* gc_mark.h - marking: what is reached is marked and, if it holds pointers, waits on a stack to be scanned.
 *
 * A mark_stack belongs to whoever marks: a worker, or a thread that shades in a barrier. Full buffers, and those of
 * threads that stop marking, go to the pool, from which workers take. When there is no memory for a buffer, objects
 * stay marked and unscanned, and the pool remembers that: marked objects are then scanned over again.
 */
#pragma once

#include "runtime/gc/collected.h"

/* MARK_KEPT: what a thread of the program has marked and keeps to itself is less, so that the last stop finds little. */
enum { MARK_ENTRIES = 510, MARK_KEPT = 32 };
struct mark_buffer {
    struct mark_buffer *next;
    size_t count;
    void *entries[MARK_ENTRIES]; /* beginnings of objects; of large ones, of what is left to scan */
};

/* Zero is empty. */
struct mark_stack {
    struct mark_buffer *top;
    size_t scanned_bytes; /* by whoever drains it */
};

struct tu__mark_pool {
    struct tu__lock lock;
    struct mark_buffer *full, *empty;
    _Atomic size_t full_count; /* buffers; written under lock */
    size_t buffers;
    size_t buffers_most;         /* for tests: as if there were no memory for more; 0: no limit */
    _Atomic uint32_t overflowed; /* something is marked and was neither scanned nor is on a stack */
};
extern struct tu__mark_pool tu__mark_pool;

/* Marks the object that p points to, if any. */
void tu__mark(struct mark_stack *stack, const void *p);
/* Marks what the aligned words in [low, high) point to. */
void tu__mark_words(struct mark_stack *stack, const void *low, const void *high);
/* Scans what is on the stack and in the pool, until there is nothing left or `objects` were scanned; arrays count as
 * several. True: nothing is left. */
bool tu__mark_drain(struct mark_stack *stack, size_t objects);
/* Gives half of what is there to the pool, if nothing lies there for others. */
void tu__mark_share(struct mark_stack *stack);
/* Gives what is there to the pool, if it is MARK_KEPT objects or more. */
void tu__mark_hand_over(struct mark_stack *stack);
/* Gives all buffers to the pool. */
void tu__mark_flush(struct mark_stack *stack);
/* True if nothing is in the pool. */
bool tu__mark_pool_empty(void);
/* Scans all marked objects again, since the pool overflowed. Takes tu__collected.lock, unless `locked`. */
void tu__mark_rescan(struct mark_stack *stack, bool locked);
/* Scans what lies in [low, high) of a span's old objects: those that are marked, and not because they were just born. */
void tu__mark_old_in(struct mark_stack *stack, const struct span *s, char *low, char *high);
/* Of a marked object: what it points to that is not marked, or NULL. */
const void *tu__mark_missing(const void *object);
/* True if the object is marked; for tests and weak pointers. */
bool tu__mark_is(const void *p);
