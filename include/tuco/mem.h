/* mem.h - the manual heap: what malloc is for, without a header per block.
 *
 * Sizes are rounded up to classes: every 8 bytes to 256, then at most 12.5 % more, from 4 to 32 KiB 6.25 %;
 * beyond, to pages of 8 KiB. Each thread has a cache, so that the usual call takes no lock. Any
 * goroutine or plain thread may free what another allocated. Nothing here parks, and nothing sets
 * errno. When memory is used up, a call may sleep for a millisecond before it gives NULL, all threads together for a tenth of the
 * time at most: caches of others that are about to sleep come free.
 *
 *     struct node *n = tu_alloc(sizeof *n);
 *     if (!n)
 *         return -ENOMEM;
 *     ...
 *     tu_free(n);
 *
 * Mistakes that end the process with a report: tu_free, tu_realloc or tu_usable_size of what is no
 * block of this heap (a pointer outside of it or into a page that is free); tu_free of the block
 * that was freed last, at once, and of any block that was freed before, or of a pointer into a
 * block, when both have come home to the block's page. Builds of libtuco with -DTUCO_DEBUG=ON
 * notice every second tu_free and every pointer into a block at once; a write up to 16 bytes beyond
 * a block's end, when it is freed or resized; and a write to a freed block of up to 64 KiB, within
 * the next 1,024 tu_free or when it is used again. The report names the block, its size and what
 * was asked for.
 */
#pragma once

#include <tuco/base.h>

TU_BEGIN_DECLS

/* `size` bytes, aligned to 8 (to 16 where tu_good_size(size) is a multiple of 16), or NULL when
 * memory is used up. Size 0 gives a block that may be freed. */
TU_API void *tu_alloc(size_t size) __attribute__((malloc, alloc_size(1)));
/* The same, and all `size` bytes are zero. */
TU_API void *tu_alloc_zeroed(size_t size) __attribute__((malloc, alloc_size(1)));
/* Aligned to `align`, a power of two up to 2^40; not rounded up to it. tu_free takes it as any
 * other; tu_realloc keeps the alignment only while the block stays where it is. */
TU_API void *tu_alloc_aligned(size_t align, size_t size)
    __attribute__((malloc, alloc_align(1), alloc_size(2)));
/* As realloc: NULL leaves the old block as it was. Stays in place where the class remains the same,
 * and above 32 KiB where the pages behind it are free. */
TU_API void *tu_realloc(void *block, size_t size) TU_MUST_CHECK;
TU_API void tu_free(void *block); /* NULL is allowed */
/* How many bytes of a block may be used, at least what was asked for. NULL: 0. */
TU_API size_t tu_usable_size(const void *block);
/* What tu_usable_size(tu_alloc(size)) would be; `size` is at most SIZE_MAX / 2. */
TU_API size_t tu_good_size(size_t size);

/* ---- giving memory back ---- */

/* Memory that nobody uses goes back to the system by itself: what exceeds 32 MiB and a sixteenth of
 * the pages in use at once, the rest when it was not needed for about a second, if the runtime was
 * started. This gives back all of it now, and empties the caches of the calling thread and of those that
 * wait for goroutines to run. Returns the bytes that went. Makes system calls. */
TU_API size_t tu_mem_release(void);

/* Called when memory is used up, before the caller of tu_alloc and its like gets NULL, on its thread: true when
 * something was freed, and then the request is tried once more; and so on, until it succeeds or
 * this returns false. The caller may hold locks of any kind: the function must not wait for one of them,
 * nor park. What it allocates itself is not helped by it. One function for the process, set
 * before memory is short; NULL: none. */
typedef bool (*tu_mem_shortage_fn)(void);
TU_API void tu_mem_on_shortage(tu_mem_shortage_fn reclaim);

/* Where a block lies, for programs that defragment. */
struct tu_block_place {
    size_t usable_bytes;
    uint32_t blocks_used; /* of the run of pages that it lies in; caches count as users */
    uint32_t blocks;      /* that run has */
    bool worth_moving;    /* that run is less than 7/8 full, and another one is being filled */
};
TU_API void tu_block_place(const void *block, struct tu_block_place *out);
/* Moves a block's bytes if that is worth it, so that its run may empty and go back. Returns the new
 * block, and the old one is freed; NULL: it stays. Called once for every block, after
 * tu_mem_release, it leaves a class with full runs and one that is not; the caller changes its
 * pointers. The block is the caller's alone meanwhile. */
TU_API void *tu_move(void *block) TU_MUST_CHECK;

/* ---- looking inside ---- */

struct tu_mem_stats {
    size_t used_bytes; /* in blocks handed out, rounded up to their classes */
    size_t heap_bytes; /* in pages that are or may be backed by memory: the sum of the last four */
    size_t peak_bytes; /* largest used_bytes seen when it was asked for */
    size_t cached_bytes;   /* in free blocks that caches hold */
    size_t small_bytes;    /* in pages that are cut into blocks */
    size_t large_bytes;    /* in pages of blocks above 32 KiB */
    size_t free_bytes;     /* in free pages that were not given back to the system */
    size_t metadata_bytes; /* in bookkeeping */
};
TU_API void tu_mem_stats(struct tu_mem_stats *out); /* of all threads */

struct tu_mem_class_stats {
    size_t block_bytes;
    size_t used_blocks;   /* with users */
    size_t cached_blocks; /* free, in caches */
    size_t span_blocks;   /* that its pages have room for */
    size_t spans;         /* runs of pages */
};
/* Classes are numbered from 0, by size. False: there is no class of this number. */
TU_API bool tu_mem_class_stats(unsigned index, struct tu_mem_class_stats *out);

/* Calls visit for each block in use, with its usable size, in the order of addresses. Empties the
 * calling thread's cache first; blocks in those of other threads count as used. The heap is locked:
 * visit may not call anything of this header. */
typedef void (*tu_mem_visit_fn)(void *block, size_t usable_bytes, void *arg);
TU_API void tu_mem_walk(tu_mem_visit_fn visit, void *arg);

TU_END_DECLS
