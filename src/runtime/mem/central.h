/* central.h - the size classes' spans, and the depot in front of them: what thread caches fill
 * from.
 *
 *     cache of a thread  <->  depot of the class  <->  spans of the class  <->  page heap
 *                 a batch of pointers       a bit per block           whole spans
 *
 * A class's lock covers its depot and its spans. Any thread may call; nothing parks.
 * Lock order: a class's lock, then the page heap's.
 *
 * Equations, exact while nobody moves blocks:
 *     out = sum over the class's spans of span->used = blocks with users + in caches + in the depot
 */
#pragma once

#include "runtime/mem/page_heap.h"
#include "runtime/mem/size_class.h"

enum { PARTIAL_BINS = 8, BATCH_BLOCKS = 64 };

struct tu__central {
    struct tu__lock lock;
    uint32_t
        batch; /* blocks that move at once, at most BATCH_BLOCKS. Up to depot_limit: written once */
    uint32_t block_bytes;
    uint32_t span_pages, capacity;
    uint32_t bin_scale;        /* PARTIAL_BINS / capacity, times 2^16 */
    uint32_t depot_limit;      /* blocks; what is there is a multiple of batch */
    uint64_t reciprocal;       /* of block_bytes: see tu__block_index */
    _Atomic size_t out;        /* blocks that left their spans; written under lock */
    _Atomic uint32_t in_depot; /* written under lock */
    uint32_t depot_low;        /* least in_depot since the last trim */
    void **depot;              /* room for depot_limit; made when first needed */
    uint32_t filled;           /* a bit for each bin of partial that has a span */
    uint32_t span_count;
    struct span *partial[PARTIAL_BINS]; /* spans with a block at home, by how full they are */
} __attribute__((aligned(64)));

extern struct tu__central tu__centrals[SIZE_CLASS_COUNT];

/* Sets up all classes; before any other call, by one thread. */
void tu__centrals_start(void);

/* Puts up to batch blocks into blocks[], fewer when memory is short; returns how many. */
uint32_t tu__central_take(unsigned class, void **blocks);
/* Takes blocks over, at most a batch: a whole one into the depot if it has room, else home. */
void tu__central_give(unsigned class, void **blocks, uint32_t count);
/* The same, always home: spans whose last block this was go back to the page heap. */
void tu__central_send_home(unsigned class, void **blocks, uint32_t count);
/* Sends home what lay in the depots since the last call (all of it if `everything`). */
void tu__centrals_trim(bool everything);

/* Takes one block, for moving `block` there, from the span that is being filled: NULL if `block`
 * lies there or in one that is seven eighths full. Both are the caller's. */
void *tu__central_take_better(unsigned class, const void *block);

/* How full the span of a block is; true if tu__central_take_better would find a better place. */
bool tu__central_place(unsigned class, const void *block, uint32_t *used, uint32_t *capacity);

/* Lock and unlock all classes, in order. */
void tu__centrals_lock(void);
void tu__centrals_unlock(void);
/* Unlocks what fork had locked, in the parent or in the child. */
void tu__centrals_after_fork(bool child);

/* Which block of a small span lies at this offset, rounded down: offset / block_bytes, exact for
 * offsets below 2^20 (spans are at most 2^19 long): reciprocal is 2^40 / bytes, at most 1 too
 * large. */
static inline uint32_t tu__block_index(const struct tu__central *c, size_t offset)
{
    return (uint32_t)((uint64_t)offset * c->reciprocal >> 40);
}
