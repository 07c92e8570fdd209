/* expire.h - keys disappear within 100 ms of their deadline.
 *
 * Every lookup checks the deadline of what it finds, so nothing expired is ever seen. So that it also
 * goes away unasked, each (shard, database) keeps an index of deadlines: a hierarchical wheel of
 * coarse buckets that hold 8-byte key hashes. expire_run empties the buckets that are due.
 *
 * Invariant: a key with deadline d has at least one item in a bucket that comes due no later than
 * d + EXPIRE_TICK_MS. An item may be stale (key gone, deadline moved): the table decides when it
 * comes due.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct keyspace;

#define EXPIRE_TICK_MS 16

/* Deletes what has expired at now_ms (Unix time), at most `budget` index items, taking one shard at a
 * time and holding it for at most a few hundred items: true if more is due, so call again soon.
 * Callable from one goroutine at a time, every 20 to 50 ms; may park. Emits "expired" events. */
bool expire_run(struct keyspace *ks, int64_t now_ms, size_t budget);
