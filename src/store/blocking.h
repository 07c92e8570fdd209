/* blocking.h - who waits for a key, and who is next when it has something.
 *
 * A waiter is enrolled under all keys it waits for, in queues that are served in the order of arrival. An operation that
 * makes a key something to take (effects_changed tells) puts the key's queue on a list in its transaction; before the
 * transaction lets its locks go, blocking_serve lets the waiters take what there is. So nobody else ever sees what a
 * waiter was there for.
 *
 *     state   IDLE -enrol-> WAITING <-> CLAIMED -> SERVED            the server of a key, under its shard's lock
 *                           WAITING -withdraw-> WITHDRAWN + reason   anybody who may touch the waiter
 *                           SERVED, WITHDRAWN -leave-> IDLE          the owner
 *
 * A waiter that needs more than its one key (others, or a destination) is wide: transaction_lock then also takes the shards
 * of all its keys, so that serving it is the whole command once more. Only those who delete keys without having named
 * them (expiry) may hold less.
 *
 * Locks: queues belong to their shard's lock. A waiter belongs to who waits; the server of a key may use it while it
 * is linked there. blocking_leave takes every lock once, so afterwards nobody does.
 */
#pragma once

#include "store/keyspace.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct blocking_queue;
struct blocking_waiter;
struct shard;

enum blocking_state {
    BLOCKING_IDLE,
    BLOCKING_WAITING,
    BLOCKING_CLAIMED, /* for a moment, under a lock: it is being served, or it turns out that it cannot be */
    BLOCKING_SERVED,
    BLOCKING_WITHDRAWN, /* and greater: WITHDRAWN + reason */
};

/* The place of a waiter in one queue. */
struct blocking_node {
    struct blocking_node *next, *previous;
    struct blocking_queue *queue; /* NULL: not linked; under the shard's lock, as the links */
    struct blocking_waiter *waiter;
    uint64_t hash; /* fixed while enrolled */
};

struct blocking_ops {
    /* Does what the waiter waits for, in tx, whose database is the waiter's. False: there was nothing for it, and nothing
     * has changed; it goes on waiting. Never parks. */
    bool (*serve)(struct blocking_waiter *w, struct transaction *tx);
    /* It was served. Under the lock; never parks, and does not touch the store. */
    void (*wake)(struct blocking_waiter *w);
};

/* Zero is idle. */
struct blocking_waiter {
    _Atomic uint32_t state; /* enum blocking_state */
    const struct blocking_ops *ops;
    /* fixed while enrolled */
    enum store_type type; /* what it can take from */
    bool on_missing;      /* also wants to know that a key has gone */
    bool pushes;          /* serving it puts something under `destination` */
    bool wide;            /* pushes, or waits for several keys */
    uint64_t destination;
    size_t count;
    struct blocking_node *nodes; /* &one, or a block */
    struct blocking_node one;
};

struct blocking_wish {
    enum store_type type;
    bool on_missing, pushes;
    uint64_t destination;
    const struct slice *names; /* keys, of the transaction's database; duplicates count once */
    const uint64_t *hashes;
    size_t count; /* 0: for no key, only to be withdrawn */
};
/* Begins to wait. tx holds the shards of all the keys. STORE_OK, or STORE_NO_MEMORY: nothing has changed. */
enum store_result blocking_enrol(struct transaction *tx, struct blocking_waiter *w,
                                 const struct blocking_ops *ops, const struct blocking_wish *wish);
/* Ends the waiting for a reason of the caller's. False: it was over already. Any thread for whom w exists; may spin while
 * it is being served. */
bool blocking_withdraw(struct blocking_waiter *w, uint32_t reason);
/* After that, or when it was served: takes it out of all queues. The owner, holding nothing. May park. */
void blocking_leave(struct blocking_waiter *w, struct keyspace *ks);
static inline uint32_t blocking_state(const struct blocking_waiter *w)
{
    return atomic_load_explicit(&w->state, memory_order_acquire);
}

/* Keys that somebody waits for, and those of them whose disappearance somebody waits for. */
struct blocking_stats {
    uint64_t keys, keys_on_missing;
};
struct blocking_stats blocking_stats(const struct keyspace *ks);

/* ---- for the store; the shards are held ---- */

struct blocking_table {
    struct blocking_queue **chains; /* power of two of them; NULL while empty */
    uint32_t chain_count;
    uint32_t count; /* queues */
    uint32_t wide;  /* nodes of waiters that need more than this key */
};

/* The key has changed: its queue is ready if the key has come to be, has another value than before, or has gone, and that is of
 * interest to who waits. `grown`: also if only the value has changed (a stream got an entry, or lost a group). Costs nothing
 * worth telling if nobody waits in the shard. */
void blocking_touch(struct transaction *tx, uint32_t db, struct slice key, uint64_t hash,
                    bool grown);
/* All keys of the database may have changed. */
void blocking_touch_db(struct transaction *tx, struct shard *shard, uint32_t db);
/* Serves what is ready, and what becomes ready by that. */
void blocking_serve(struct transaction *tx);
/* Adds to `shards` (a bit each) what serving the keys of these hashes needs, as far as it can be seen from the shards
 * held. False: too much to say. */
bool blocking_reach(const struct transaction *tx, const uint64_t *hashes, size_t count,
                    uint64_t *shards);
void blocking_verify(const struct shard *shard);
