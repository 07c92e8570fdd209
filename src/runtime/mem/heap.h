/* heap.h - the manual heap's inner door: what the runtime and its tests ask beyond <tuco/mem.h>.
 * Never parks; callable from any goroutine or thread.
 */
#pragma once

#include <tuco/mem.h>

/* Walks every span, depot and free run and aborts on a broken invariant. Others may allocate
 * meanwhile, but not free: spans on their way to the page heap are in neither place. */
void tu__mem_verify(void);

/* Sends home the blocks in the calling thread's cache, in those that were left, in the depots and in a debug build's
 * quarantine, so that empty spans return. */
void tu__mem_flush(void);

/* Around a wait that may be long: between the two the calling thread uses the heap for nothing, and others may send
 * home what its cache holds. */
void tu__mem_leave(void);
void tu__mem_return(void);

/* One step of the scavenger, of a millisecond or so; called by the monitor with the present time.
 * Not by two threads at once. */
void tu__mem_scavenge(int64_t now_ns);

/* Builds with TU_DEBUG: the n-th allocation from now (1: the next), by any thread, returns NULL,
 * once; 0 turns it off. False in other builds, where it does nothing. */
bool tu__mem_fail_after(int64_t n) TU_MUST_CHECK;
