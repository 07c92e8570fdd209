/* scavenge.c - gives back what lies unused, a little at a time.
 *
 * Four times a second it looks at the low-water mark of each reserve since the last look: blocks in
 * depots, then free pages that still have memory. What lay below the mark was needed by nobody in
 * that time; half of it goes home, or back to the system. So a reserve that is used in every
 * quarter of a second stays, and one that is not has shrunk to a sixteenth after a second. At most
 * 16 MiB go at a time, since the monitor has other things to do.
 *
 * Rejected: a thread of its own (one more, that wakes); work on the path of tu_free, as mimalloc
 * and jemalloc do: whoever frees last pays, and a process that falls idle keeps what it has.
 */
#include "runtime/mem/central.h"
#include "runtime/mem/heap.h"
#include "runtime/mem/sanitizer.h"

#if !TU__MEM_IS_MALLOC

enum { PERIOD_NS = 250000000, KEEP_PAGES = 64, STEP_PAGES = (16 << 20) >> PAGE_SHIFT };

void tu__mem_scavenge(int64_t now_ns)
{
    static int64_t last_ns;
    if (now_ns - last_ns < PERIOD_NS)
        return;
    last_ns = now_ns;
    tu__centrals_trim(false);
    size_t idle = tu__pages_idle() / 2;
    if (idle > STEP_PAGES)
        idle = STEP_PAGES;
    if (idle > 0)
        (void)tu__pages_return(KEEP_PAGES, idle);
}

#endif
