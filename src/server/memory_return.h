/* memory_return.h - when to give the system back what keys have left behind.
 *
 * The heap keeps some of what becomes free, because most programs soon want it again (tuco/mem.h). A server whose
 * keys have expired by the million, or were flushed, does not: so once memory in use has fallen by an eighth, and by
 * 4 MiB, and falls no more, all that is free goes back at once. It must rise again before that happens again.
 *
 * One goroutine calls, every 10 to 50 ms. Never parks.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct memory_return {
    int64_t high, last;       /* bytes in use: the most since the last return; when last asked */
    int64_t falling_since_ms; /* 0: it has not fallen by enough */
};

/* True: call tu_mem_release now. All zero before the first call. */
bool memory_return_due(struct memory_return *m, int64_t used_bytes, int64_t now_ms);
