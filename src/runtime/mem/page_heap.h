/* page_heap.h - runs of 8 KiB pages out of one reserved address range, and page -> span in O(1).
 *
 *     [ pages in use | free runs ... | not committed yet ............ ]
 *     ^ tu__pages.base               ^ base + tu__pages.committed
 *
 * A *span* describes a run of pages: cut in blocks of one size class (small), one block (large), or
 * free. Free runs are clean (never touched or given back: zero, no memory behind) or dirty; two
 * neighbouring runs of the same kind are always one. Dirty runs beyond a limit are given back
 * at once, the rest by the scavenger (scavenge.c) when they lie unused.
 *
 * Any thread may call; nothing parks. All functions take the page heap's lock, except the lookups,
 * which need none: an entry only changes while nobody may hold a pointer to a block of its page.
 * Lock order: a class's lock, then the page heap's.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/sched/park.h"

#define PAGE_SHIFT 13
#define PAGE_BYTES ((size_t)1 << PAGE_SHIFT)

enum span_state {
    SPAN_CLEAN,
    SPAN_DIRTY,
    SPAN_RETURNING,
    SPAN_SMALL,
    SPAN_LARGE,
    SPAN_COLLECTED /* the collected heap's: runtime/gc */
};

/* Code of a page-table entry: which free list a block of this page goes to. From 1 the size classes; what is
 * above them has a path of its own. */
enum { PAGE_NONE = 0, PAGE_COLLECTED = 254, PAGE_LARGE = 255 };

enum { SPAN_BLOCKS_MAX = 1024, SPAN_WORDS = SPAN_BLOCKS_MAX / 64 };
enum { COLLECTED_BLOCKS_MAX = SPAN_BLOCKS_MAX / 2, COLLECTED_WORDS = SPAN_WORDS / 2 };

/* The fields from `used` on describe a small span and belong to its class, under the class's lock.
 * */
struct span {
    struct span *next, *prev; /* free run: its bin. Small: its place among the partial spans */
    uint32_t first, pages;    /* page numbers; fixed while in use */
    uint8_t state, class;     /* enum span_state; size class of a small one */
    bool zero;                /* large: was a clean run when it was handed out */
    uint8_t bin;              /* small: the list of partial spans it is in; SPAN_UNLISTED: full */
    uint32_t used;            /* blocks that are with users, in caches or in the depot */
    uint32_t capacity;        /* blocks that fit */
    uint32_t hint;            /* no word of home[] below this one has a bit */
    /* Of a collected span; `bin` is its enum collected_kind, `hint` its number among all of them, `used` its blocks
     * that are taken. Large ones are one block. */
    uint64_t reciprocal;        /* of block_bytes, as in central.h; 0: large */
    const struct tu_type *type; /* of all its objects; NULL: see kind */
    uint32_t block_bytes;       /* 0: large */
    uint32_t key;
    union {
        uint64_t home[SPAN_WORDS]; /* a bit per block: set while it is at home, that is, free */
        struct {                   /* of a collected span; see runtime/gc/collected.h */
            _Atomic uint64_t marks[COLLECTED_WORDS];
            _Atomic uint64_t taken[COLLECTED_WORDS];
            _Atomic uint64_t born[COLLECTED_WORDS];
        };
    };
#ifdef TU_DEBUG
    _Atomic uint64_t live[SPAN_WORDS]; /* a bit per block: with a user. Large: the first one */
#endif
};
#define SPAN_UNLISTED 255

/* Read by the fast paths without a lock; written under the page heap's lock. `table` and `base` are
 * written once. */
struct tu__pages {
    uintptr_t base;
    _Atomic size_t committed; /* bytes from base; grows. 0 before the first allocation */
    _Atomic uint64_t *table;  /* code << 56 | address of the span */
};
extern struct tu__pages tu__pages;

/* The table's entry for an address, or 0 when it is not inside the heap. */
static inline uint64_t tu__page_entry(const void *p)
{
    size_t offset = (uintptr_t)p - tu__pages.base;
    if (__builtin_expect(offset >= atomic_load_explicit(&tu__pages.committed, memory_order_relaxed),
                         0))
        return 0;
    return atomic_load_explicit(&tu__pages.table[offset >> PAGE_SHIFT], memory_order_relaxed);
}
/* The same for who does not hold the object, and found its address somewhere: what the entry leads to can be read. */
static inline uint64_t tu__page_entry_whole(const void *p)
{
    size_t offset = (uintptr_t)p - tu__pages.base;
    if (offset >= atomic_load_explicit(&tu__pages.committed, memory_order_acquire))
        return 0;
    return atomic_load_explicit(&tu__pages.table[offset >> PAGE_SHIFT], memory_order_acquire);
}
static inline unsigned tu__entry_code(uint64_t entry)
{
    return (unsigned)(entry >> 56);
}
static inline struct span *tu__entry_span(uint64_t entry)
{
    return (struct span *)(uintptr_t)(entry & ~((uint64_t)0xff << 56));
}
static inline char *tu__span_start(const struct span *s)
{
    return (char *)(tu__pages.base + ((uintptr_t)s->first << PAGE_SHIFT));
}

/* A run of `pages` pages for blocks of `class`, or for one large block when class is 0. Its address
 * is a multiple of `align` pages, a power of two. A clean run is preferred when `zero` is set, a
 * dirty one otherwise; span->zero tells. NULL: out of memory. */
struct span *tu__pages_take(size_t pages, size_t align, unsigned class, bool zero);
/* The same for a collected span, with the fields of `shape` that describe one: every page's entry leads to it, and who
 * reads an entry (acquire) sees the fields. */
struct span *tu__pages_take_collected(size_t pages, bool zero, const struct span *shape);
/* Takes a span back, unlinked and with no block in use. */
void tu__pages_give(struct span *s);
/* Makes a large span's run `pages` long without moving it: false if that cannot be. */
bool tu__pages_resize(struct span *s, size_t pages);

/* Gives dirty runs back to the system, the longest first, until only `keep` dirty pages are left or
 * `most` were given back; returns how many were. Makes system calls. */
size_t tu__pages_return(size_t keep, size_t most);
/* How many free pages the collected heap is going to want again soon: so many more are not given back at once. */
void tu__pages_expect(size_t pages);
/* The least number of dirty pages since the last call: what nobody needed in between. */
size_t tu__pages_idle(void);

struct page_counts {
    size_t small_pages, large_pages, collected_pages; /* in use */
    size_t dirty_pages, clean_pages;                  /* free */
    size_t metadata_bytes;
};
void tu__pages_count(struct page_counts *out);
/* Walks every run: aborts on a broken invariant. Calls visit (may be NULL) for each span in use. */
void tu__pages_verify(void (*visit)(const struct span *s, void *arg), void *arg);
/* Memory for bookkeeping that is never returned, zero-filled, aligned to 64; NULL: none left. */
void *tu__pages_metadata(size_t size);

/* Around a fork: between the two nobody is inside, in the child as well. */
void tu__pages_before_fork(void);
void tu__pages_after_fork(bool child);
