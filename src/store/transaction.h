/* transaction.h - what a command holds while it runs: its database, its clock, its shards' locks.
 *
 *     struct transaction tx;
 *     transaction_init(&tx, ks, client->db, now_ms);
 *     transaction_lock(&tx, hashes, count);       // every key the command names; may park
 *     ... operations; none of them parks ...
 *     transaction_unlock(&tx);                    // effects are emitted, then the locks go
 *
 * Conservative two-phase locking: all locks are taken before anything is done. Nobody waits while
 * holding: when a shard is busy, those already held are given back first, so there is no deadlock
 * whatever the order, and a script may later ask for more. The gate (FLUSHALL, SWAPDB, digests,
 * snapshot cuts) is transaction_lock_all.
 *
 * Owner: the goroutine that runs the command; on its stack. One transaction at a time may be locked
 * per goroutine. Between lock and unlock nothing may park (checked with TU_DEBUG).
 */
#pragma once

#include "base/slice.h"
#include "store/effects.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TRANSACTION_SHARDS_MAX 256

struct keyspace;
struct blocking_queue;

struct transaction {
    struct keyspace *keyspace;
    int64_t now_ms; /* Unix time; the one clock for every expiry decision of this command */
    uint32_t db;    /* the selected database */
    bool no_touch;  /* CLIENT NO-TOUCH: lookups leave the access clock alone */
    bool holds_all; /* the gate is closed by us */
    uint8_t turn;   /* enum long_turn: long_work.h */
    bool no_expire; /* lookups see expired keys as they are (loading, replicas); usually false */
    uint32_t held_count;                        /* shards held */
    uint32_t held_one;                          /* the shard, when held_count is 1 */
    uint64_t held[TRANSACTION_SHARDS_MAX / 64]; /* set of shards held; valid if held_count > 1 */
    uint64_t dirty; /* changes made since transaction_init, as rdb_changes_since_last_save counts */
    struct {
        struct blocking_queue *first, *last;
    } ready; /* keys that have something for who waits for them (blocking.h) */
    struct effects effects;
    struct transaction_garbage
        *garbage; /* what to free after unlock: old values a reply still shows */
};

/* Prepares; nothing is locked. Never parks. */
void transaction_init(struct transaction *tx, struct keyspace *ks, uint32_t db, int64_t now_ms);

/* Locks the shards of `count` key hashes (any order, duplicates allowed; 0 locks nothing), and those that who waits for one
 * of the keys needs when it is served (blocking.h). The transaction must hold nothing. May park. */
void transaction_lock(struct transaction *tx, const uint64_t *hashes, size_t count);
/* Locks every shard: the gate. Holds nothing before. May park. */
void transaction_lock_all(struct transaction *tx);
/* Serves who waits for what has changed, emits the recorded effects, releases all, frees garbage. What operations returned as slices dies
 * here. The transaction may then lock again. Never parks. Harmless when nothing is held. */
void transaction_unlock(struct transaction *tx);

static inline bool transaction_holds_all(const struct transaction *tx)
{
    return tx->holds_all;
}
static inline bool transaction_holds_any(const struct transaction *tx)
{
    return tx->held_count != 0;
}
/* True if the shard of this hash is held. */
bool transaction_holds(const struct transaction *tx, uint64_t hash);
/* True if what is held is enough for another operation, on this key, and nobody has to be served before it. */
bool transaction_covers(const struct transaction *tx, uint64_t hash);

/* SELECT inside a MULTI: later operations see database `db`. */
void transaction_rebind_db(struct transaction *tx, uint32_t db);
