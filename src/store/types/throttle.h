/* throttle.h - a rate limit at a key: GCRA, the generic cell rate algorithm.
 *
 * `count` tokens come in `period_s` seconds, evenly spaced by an interval; burst + 1 of them may lie there at once. All that is
 * kept is the moment at which all would lie there again if nobody came any more, in Unix nanoseconds, as a string that
 * expires at that moment.
 *
 *     taken = max(moment, now) + quantity * interval;   allowed: taken - now <= (burst + 1) * interval
 *
 * The key's shard is held; never parks.
 */
#pragma once

#include "store/keyspace.h"

#include <stdbool.h>
#include <stdint.h>

struct throttle_rate {
    int64_t burst;           /* 0 or more */
    int64_t count, period_s; /* 1 or more */
    int64_t quantity;        /* tokens to take; 0: only looks */
};
struct throttle_verdict {
    bool limited;
    int64_t limit;     /* burst + 1 */
    int64_t remaining; /* tokens that lie there now */
    int64_t retry_ns;  /* until as many can be had; -1: they were, or never can */
    int64_t reset_ns;  /* until all lie there again */
};
/* STORE_OK; STORE_OUT_OF_RANGE: the numbers give times beyond some 70 years; STORE_WRONG_TYPE, STORE_NOT_INTEGER: something else is
 * at the key; STORE_NO_MEMORY. Where tokens were taken: events "set" and "expire". */
enum store_result throttle_take(struct transaction *tx, struct store_key key,
                                const struct throttle_rate *rate, struct throttle_verdict *verdict);
