/* watch.h - WATCH: optimistic locking of keys.
 *
 * A client has one struct watcher; each watched key is a node that hangs in the watcher's list and in
 * the watch table of the key's shard. Any change of the key marks the watcher dirty; EXEC looks at the
 * mark while it holds the shards of its keys and of the watched ones.
 *
 * Locks: a node's place in the shard's table belongs to the shard's lock; the watcher's own list to
 * the goroutine that runs the client.
 */
#pragma once

#include "store/store_result.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct transaction;
struct keyspace;
struct shard;
struct watch_node;

struct watcher {
    _Atomic bool dirty;       /* a watched key was touched; set under that key's shard lock */
    uint32_t count;           /* keys watched */
    struct watch_node *nodes; /* owner: the client */
};

/* Watches `key` in the transaction's database (already watched: nothing). The key's shard is held. A
 * key that has expired already is remembered as missing, so its deletion is no change. STORE_OK or
 * STORE_NO_MEMORY. */
enum store_result watch_key(struct transaction *tx, struct watcher *w, struct store_key key);
/* Forgets all and clears the mark. Takes the shards' locks itself: the caller holds nothing. May
 * park. */
void watch_clear(struct watcher *w, struct keyspace *ks);
/* The same while tx holds the shards of all watched keys (EXEC). */
void watch_clear_locked(struct watcher *w, struct transaction *tx);
/* The hashes of the watched keys, for EXEC's transaction_lock: the number written, at most count. */
size_t watch_hashes(const struct watcher *w, uint64_t *hashes, size_t capacity);
/* True if EXEC must fail: a key was touched, or has expired since it was watched. tx holds the shards
 * of all watched keys. */
bool watch_is_dirty(struct watcher *w, struct transaction *tx);

static inline bool watch_any(const struct watcher *w)
{
    return w->count != 0;
}

/* ---- for the store ---- */
/* Marks the watchers of one key; of all keys of `db` in the shard that exist there or in `other_db`
 * (FLUSHDB: other_db = db; SWAPDB: the database that takes its place). The shard is held. */
void watch_touch(struct shard *shard, uint32_t db, struct slice key, uint64_t hash);
void watch_touch_db(struct shard *shard, uint32_t db, uint32_t other_db);
