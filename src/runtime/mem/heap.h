/* heap.h - the manual heap's inner door: what the runtime and its tests ask beyond <tuco/mem.h>.
 * Never parks; callable from any goroutine or thread.
 */
#pragma once

#include <tuco/mem.h>

/* Walks every span and free list and aborts on a broken invariant. Blocks must not be handed out
 * or freed meanwhile by others in builds with TU_DEBUG only; otherwise it may run at any time. */
void tu__mem_verify(void);

/* Gives the blocks in the calling thread's cache back to their spans, so that empty spans return. */
void tu__mem_flush(void);

/* Builds with TU_DEBUG: the n-th allocation from now (1: the next), by any thread, returns NULL,
 * once; 0 turns it off. False in other builds, where it does nothing. */
bool tu__mem_fail_after(int64_t n) TU_MUST_CHECK;
