/* page_heap.h - runs of 8 KiB pages out of one reserved address range, and page -> span in O(1).
 *
 *     [ pages in use | free runs ... | not committed yet ............ ]
 *     ^ tu__pages.base               ^ base + tu__pages.committed
 *
 * A *span* describes a run of pages: cut in blocks of one size class (small), one block (large), or
 * free. Free runs are clean (never touched or given back: zero, no memory behind) or dirty; two
 * neighbouring runs of the same kind are always one. Dirty runs beyond a limit are given back.
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

enum span_state { SPAN_CLEAN, SPAN_DIRTY, SPAN_RETURNING, SPAN_SMALL, SPAN_LARGE };

/* Code of a page-table entry: which free list a block of this page goes to. */
enum { PAGE_NONE = 0, PAGE_LARGE = 255 }; /* between them: a size class */

struct span {
    struct span *next,
        *prev;             /* free run: its bin. Small: the class's partial list, under its lock */
    void *free;            /* small: blocks given back, linked through their first word */
    uint32_t first, pages; /* page numbers; fixed while in use */
    uint32_t used;         /* small: blocks that are with users or in caches */
    uint32_t carved;       /* small: blocks that were ever handed out; the rest is untouched */
    uint32_t capacity;     /* small: blocks that fit */
    uint8_t state, class;  /* enum span_state; size class of a small one */
    bool listed;           /* small: in the partial list, i.e. used < capacity */
    bool zero;             /* large: was a clean run when it was handed out */
#ifdef TU_DEBUG
    _Atomic uint64_t live[64]; /* a bit per block: with a user. 32 KiB / 8 is the most blocks */
#endif
};

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

/* A run of `pages` pages for blocks of `class`, or for one large block when class is 0. A clean run
 * is preferred when `zero` is set, a dirty one otherwise; span->zero tells. NULL: out of memory. */
struct span *tu__pages_take(size_t pages, unsigned class, bool zero);
/* Takes a span back, unlinked and with no block in use. */
void tu__pages_give(struct span *s);
/* Makes a large span's run `pages` long without moving it: false if that cannot be. */
bool tu__pages_resize(struct span *s, size_t pages);

struct page_counts {
    size_t small_pages, large_pages; /* in use */
    size_t dirty_pages, clean_pages; /* free */
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
