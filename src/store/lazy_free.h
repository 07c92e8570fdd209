/* lazy_free.h - values that nothing points to any more and that take long to free: goroutines give them back in the
 * background, and whoever finds memory used up helps at once. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct entry;
struct hash_detached;

/* Both take what they are given, from any thread, under any lock, and never park. Where nothing can
 * run in the background (no runtime, no memory for a note of it) it is freed before they return. */
void lazy_free_entry(struct entry *e);
void lazy_free_detached(struct hash_detached *d, uint64_t keys); /* NULL is allowed */

/* Frees the oldest that waits. If none does: true when something was freed since the last call, else waits until
 * somebody else has freed one, 10 ms at the most. False: nobody is freeing anything, or it took longer. For tu_mem_on_shortage: needs no lock but its
 * own, which is held for a few instructions. */
bool lazy_free_help(void);

struct lazy_free_counts {
    uint64_t pending; /* keys and single values that wait or are being freed */
    uint64_t freed;   /* since the start, or lazy_free_reset */
};
struct lazy_free_counts lazy_free_counts(void);
void lazy_free_reset(void); /* `freed` is 0 again */
