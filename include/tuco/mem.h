/* mem.h - the manual heap: size classes every 8 bytes to 128, then at most 12.5 % waste, with a
 * cache per P. No header per block. Any goroutine or plain thread may free what another allocated.
 * Never parks.
 */
#pragma once

#include <tuco/base.h>

TU_BEGIN_DECLS

/* `size` bytes, aligned to 8 (to 16 from 16 bytes up where the class is a multiple of 16), or NULL
 * when memory is used up. Size 0 gives a block that may be freed. */
TU_API void *tu_alloc(size_t size) __attribute__((malloc, alloc_size(1)));
TU_API void *tu_alloc_zeroed(size_t size) __attribute__((malloc, alloc_size(1)));
/* As realloc: NULL leaves the old block as it was. */
TU_API void *tu_realloc(void *block, size_t size) TU_MUST_CHECK;
TU_API void tu_free(void *block); /* NULL is allowed */
TU_API size_t
tu_usable_size(const void *block);       /* bytes that may be used, at least what was asked */
TU_API size_t tu_good_size(size_t size); /* what tu_alloc(size) would give */

struct tu_mem_stats {
    size_t used_bytes; /* in blocks handed out, rounded up to their classes */
    size_t heap_bytes; /* in pages that are backed by memory */
    size_t peak_bytes; /* largest used_bytes seen when it was asked for */
};
TU_API void tu_mem_stats(struct tu_mem_stats *out); /* of all threads */

TU_END_DECLS
