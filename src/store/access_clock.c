/* access_clock.c - seconds, or a Morris counter: each access counts with a chance that falls with the
 * counter, so that 8 bits tell a thousand accesses from a million; the counter loses one for every
 * decay_min minutes without being looked at.
 */
#include "store/access_clock.h"

uint32_t clock_start(struct clock_policy p, int64_t now_ms)
{
    return p.lfu ? clock_minutes(now_ms) << 8 | CLOCK_LFU_START : clock_seconds(now_ms);
}

uint32_t clock_frequency(struct clock_policy p, uint32_t clock, int64_t now_ms)
{
    uint32_t counter = clock & 255, passed = (clock_minutes(now_ms) - (clock >> 8)) & 0xffff;
    if (p.decay_min == 0)
        return counter;
    uint32_t lost = passed / p.decay_min;
    return lost > counter ? 0 : counter - lost;
}

uint32_t clock_touch(struct clock_policy p, uint32_t clock, int64_t now_ms,
                     struct random_state *random)
{
    if (!p.lfu)
        return clock_seconds(now_ms);
    uint32_t counter = clock_frequency(p, clock, now_ms);
    if (counter < 255) {
        uint32_t above = counter > CLOCK_LFU_START ? counter - CLOCK_LFU_START : 0;
        /* With probability 1 / (above * log_factor + 1). */
        if (random_below(random, (uint64_t)above * p.log_factor + 1) == 0)
            counter++;
    }
    return clock_minutes(now_ms) << 8 | counter;
}

uint64_t clock_idle_s(uint32_t clock, int64_t now_ms)
{
    return (clock_seconds(now_ms) - clock) & 0xffffff;
}
