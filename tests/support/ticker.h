/* ticker.h - is anybody stalled? A goroutine that sleeps 1 ms again and again and notes how late it was.
 *
 * Judged by the ninth of ten, not by the worst: on a machine that is busy otherwise the kernel itself
 * is late now and then, while a runtime that stalls is late nearly always.
 */
#pragma once

#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <tuco/go.h>

/* Ticks until *finished reaches `count`; the lateness in ns that nine of ten ticks did not exceed,
 * divided by TEST_TIME_FACTOR. */
static inline int64_t tick_until(atomic_int *finished, int count)
{
    enum { BUCKETS = 2000 }; /* of 100 us */
    static int late[BUCKETS];
    int ticks = 0, seen = 0, i = 0;
    const char *factor = getenv("TEST_TIME_FACTOR");
    while (atomic_load(finished) < count) {
        int64_t before = tu_now();
        (void)tu_sleep(TU_MS);
        int64_t bucket = (tu_now() - before - TU_MS) / (100 * TU_US);
        late[bucket < BUCKETS ? bucket : BUCKETS - 1]++;
        ticks++;
    }
    for (; i < BUCKETS && (seen += late[i]) * 10 < ticks * 9; i++) {
    }
    return (int64_t)(i + 1) * 100 * TU_US / (factor ? atoi(factor) : 1);
}
