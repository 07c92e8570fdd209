/* heap_debug.h - what builds with TU_DEBUG add to the manual heap; nothing in others.
 *
 * Each block ends with a redzone of TU__REDZONE bytes that its user may not touch, looked at when
 * the block is resized or freed. A freed block is filled with a pattern and waits in a quarantine
 * before it may be used again; whoever wrote to it meanwhile is noticed when it leaves. A bit for
 * each block says whether it is with a user, so that a second tu_free is noticed at once. Reports
 * name the block, its size and what was asked for. The n-th allocation can be made to fail.
 *
 * Blocks above 64 KiB have a redzone and a bit, but neither pattern nor quarantine.
 */
#pragma once

#include "runtime/mem/page_heap.h"

#ifdef TU_DEBUG

enum { TU__REDZONE = 16 };

/* True: this allocation has to fail (tu__mem_fail_after). */
bool tu__debug_must_fail(void);
/* A span's blocks come into being: they look like freed ones. */
void tu__debug_new_span(const struct span *s, size_t block_bytes);
/* `whole` bytes, redzone included, go to a user who asked for `asked`. */
void tu__debug_handed_out(void *block, size_t whole, size_t asked);
/* Before a use by the caller of `function`: aborts unless the block is with a user and intact. */
void tu__debug_check(const void *block, size_t whole, const char *function);
/* It stays where it is, with another size. */
void tu__debug_resized(void *block, size_t whole, size_t asked);
/* A user gives the block back. Returns a block to free in truth, this or an older one; or NULL. */
void *tu__debug_freed(void *block, size_t whole);
/* The oldest block out of the quarantine, or NULL. */
void *tu__debug_release(void);
/* What is in the quarantine of a class: blocks; for PAGE_LARGE bytes. */
size_t tu__debug_quarantined(unsigned code);
/* True if block number `index` of the span is with a user. */
bool tu__debug_is_live(const struct span *s, uint32_t index);

/* fork.c's rules: the child must not find the quarantine locked. */
void tu__debug_before_fork(void);
void tu__debug_after_fork(bool child);

#else

enum { TU__REDZONE = 0 };

static inline bool tu__debug_must_fail(void)
{
    return false;
}
static inline void tu__debug_new_span(const struct span *s, size_t block_bytes) {}
static inline void tu__debug_handed_out(void *block, size_t whole, size_t asked) {}
static inline void tu__debug_check(const void *block, size_t whole, const char *function) {}
static inline void tu__debug_resized(void *block, size_t whole, size_t asked) {}
static inline void *tu__debug_freed(void *block, size_t whole)
{
    return block;
}
static inline void *tu__debug_release(void)
{
    return NULL;
}
static inline size_t tu__debug_quarantined(unsigned code)
{
    return 0;
}
static inline void tu__debug_before_fork(void) {}
static inline void tu__debug_after_fork(bool child) {}

#endif
