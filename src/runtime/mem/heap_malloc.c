/* heap_malloc.c - <tuco/mem.h> over malloc, in builds with AddressSanitizer only: each block then
 * has red zones, freed ones are quarantined, and leaks are reported. Blocks are as
 * large as the real heap's, because callers may use all of tu_good_size. What looks inside the heap
 * finds nothing there.
 */
#include "runtime/mem/heap.h"
#include "runtime/mem/sanitizer.h"
#include "runtime/mem/size_class.h"

#include <malloc.h>
#include <stdatomic.h>
#include <stdlib.h>

#if TU__MEM_IS_MALLOC

static _Atomic size_t used_bytes, peak_bytes;
static _Atomic int64_t fail_countdown;

bool tu__mem_fail_after(int64_t n)
{
    atomic_store(&fail_countdown, n);
#ifdef TU_DEBUG
    return true;
#else
    return n == 0;
#endif
}

static bool must_fail(void)
{
#ifdef TU_DEBUG
    if (atomic_load(&fail_countdown) > 0)
        return atomic_fetch_sub(&fail_countdown, 1) == 1;
#endif
    return false;
}

static void *counted(void *p)
{
    if (p)
        atomic_fetch_add(&used_bytes, malloc_usable_size(p));
    return p;
}

/* The sanitizer would end the process; the contract is NULL. */
static bool absurd(size_t size)
{
    return size > (size_t)1 << 40;
}

void *tu_alloc(size_t size)
{
    return must_fail() || absurd(size) ? NULL : counted(malloc(tu_good_size(size)));
}

void *tu_alloc_zeroed(size_t size)
{
    return must_fail() || absurd(size) ? NULL : counted(calloc(1, tu_good_size(size)));
}

void *tu_alloc_aligned(size_t align, size_t size)
{
    if (must_fail() || absurd(size) || absurd(align))
        return NULL;
    void *p = NULL;
    return posix_memalign(&p, align < sizeof p ? sizeof p : align, tu_good_size(size)) == 0
               ? counted(p)
               : NULL;
}

void *tu_realloc(void *block, size_t size)
{
    if (must_fail() || absurd(size))
        return NULL;
    size_t old = block ? malloc_usable_size(block) : 0;
    void *p = realloc(block, tu_good_size(size));
    if (p) {
        atomic_fetch_sub(&used_bytes, old);
        counted(p);
    }
    return p;
}

void tu_free(void *block)
{
    if (block)
        atomic_fetch_sub(&used_bytes, malloc_usable_size(block));
    free(block);
}

size_t tu_usable_size(const void *block)
{
    return malloc_usable_size((void *)block);
}

size_t tu_good_size(size_t size)
{
    if (size > SIZE_CLASS_LARGEST)
        return (size + 8191) & ~(size_t)8191;
    return size_class_bytes(size_class_of(size));
}

void tu_mem_stats(struct tu_mem_stats *out)
{
    size_t used = atomic_load(&used_bytes);
    if (used > atomic_load(&peak_bytes))
        atomic_store(&peak_bytes, used);
    *out = (struct tu_mem_stats){
        .used_bytes = used, .heap_bytes = used, .peak_bytes = atomic_load(&peak_bytes)};
}

bool tu_mem_class_stats(unsigned index, struct tu_mem_class_stats *out)
{
    return false;
}

void tu_block_place(const void *block, struct tu_block_place *out)
{
    *out = (struct tu_block_place){malloc_usable_size((void *)block), 1, 1, false};
}

void *tu_move(void *block)
{
    return NULL;
}

/* The system's allocator has no place to ask from; sanitized builds run out of nothing. */
void tu_mem_on_shortage(tu_mem_shortage_fn reclaim) {}

size_t tu_mem_release(void)
{
    return 0;
}

void tu_mem_walk(tu_mem_visit_fn visit, void *arg) {}

void tu__mem_flush(void) {}

void tu__mem_leave(void) {}

void tu__mem_return(void) {}

void tu__mem_verify(void) {}

void tu__mem_scavenge(int64_t now_ns) {}

#endif
