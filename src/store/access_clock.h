/* access_clock.h - the 24 bits that say how recently, or how often, a key was used.
 *
 * LRU policies: seconds, modulo 2^24. LFU policies: 16 bits of minutes when the counter last decayed,
 * then 8 bits of a logarithmic counter. Which one follows from maxmemory-policy; after a change old
 * clocks are read as the new kind, as they wear off. Pure.
 */
#pragma once

#include "base/random.h"

#include <stdbool.h>
#include <stdint.h>

struct clock_policy {
    bool lfu;
    uint32_t log_factor, decay_min;
};

#define CLOCK_LFU_START 5u /* a new key is not the first to go */

static inline uint32_t clock_seconds(int64_t now_ms)
{
    return (uint32_t)(now_ms / 1000) & 0xffffff;
}
static inline uint32_t clock_minutes(int64_t now_ms)
{
    return (uint32_t)(now_ms / 60000) & 0xffff;
}

/* For a new key. */
uint32_t clock_start(struct clock_policy p, int64_t now_ms);
/* After an access. */
uint32_t clock_touch(struct clock_policy p, uint32_t clock, int64_t now_ms,
                     struct random_state *random);
/* Seconds since the last access (LRU). */
uint64_t clock_idle_s(uint32_t clock, int64_t now_ms);
/* The counter after decay (LFU). */
uint32_t clock_frequency(struct clock_policy p, uint32_t clock, int64_t now_ms);
