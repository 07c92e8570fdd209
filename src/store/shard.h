/* shard.h - the inside of a keyspace, for the files of this floor: shards, lookups, and the three
 * ways in which a table changes. The server never includes it.
 *
 * Lock order: shard locks by try-lock only while others are held (transaction.c), then nothing below
 * but the heap's. All functions that take a transaction need the key's shard held. None parks.
 */
#pragma once

#include "base/random.h"
#include "base/siphash.h"
#include "store/access_clock.h"
#include "store/blocking.h"
#include "store/entry.h"
#include "store/expire_index.h"
#include "store/hash_table.h"
#include "store/keyspace.h"
#include "store/type_limits.h"

#include <tuco/sync.h>

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct watch_node;
struct watch_table {
    struct watch_node **chains; /* power of two of them; NULL while empty */
    uint32_t chain_count, count;
};

/* What a shard has in one database. Made when first needed, never freed before the keyspace, because
 * the look-ahead reads it without the lock. */
struct shard_db {
    struct hash_table table;
    struct expire_index expire;   /* under the shard's lock */
    _Atomic uint64_t expires;     /* keys with a deadline; written under the lock */
    _Atomic uint64_t with_fields; /* hashes with fields that have deadlines; the same */
};

struct shard {
    struct tu_mutex lock;
    uint32_t number;
    struct random_state random;     /* frequency counters; under the lock */
    struct watch_table watch;       /* under the lock */
    struct blocking_table blocking; /* under the lock */
    /* Statistics: written under the lock, read without. */
    _Atomic uint64_t hits, misses, expired, expired_fields, dirty;
    /* When the expiry indexes want to be looked at next, Unix ms; INT64_MAX: never. Written under the
     * lock; expire_run reads it without, so that idle shards cost it one load. */
    _Atomic int64_t next_due_ms;
    _Atomic(struct shard_db *) dbs[];
} __attribute__((aligned(64)));

/* long_work.c's. */
struct long_turns {
    struct tu_semaphore free;
    _Atomic uint64_t begun, postponed;
    _Atomic uint32_t running, waiting;
};

struct keyspace {
    struct siphash_key secret;
    uint32_t shard_bits, shard_count, databases;
    size_t shard_stride;      /* bytes from one shard to the next */
    char *shards;             /* aligned to 64 */
    void *shard_memory;       /* what to free */
    struct store_hooks hooks; /* fixed once shared */
    _Atomic uint32_t event_mask;
    struct type_limits limits;
    _Atomic uint64_t clock_policy; /* lfu << 63 | log factor << 32 | decay minutes */
    _Atomic uint64_t blocking_keys, blocking_keys_on_missing; /* blocking_stats */
    struct long_turns long_turns;
    uint32_t expire_next; /* shard at which expire_run goes on; its goroutine's */
};

static inline uint32_t shard_number(const struct keyspace *ks, uint64_t hash)
{
    return ks->shard_bits ? (uint32_t)(hash >> (64 - ks->shard_bits)) : 0;
}
static inline struct shard *shard_at(const struct keyspace *ks, uint32_t number)
{
    return (struct shard *)(void *)(ks->shards + number * ks->shard_stride);
}
static inline struct shard *shard_of(const struct keyspace *ks, uint64_t hash)
{
    return shard_at(ks, shard_number(ks, hash));
}
/* NULL while nothing was ever stored there. Acquire: pairs with shard_db_make. */
static inline struct shard_db *shard_db_of(const struct shard *s, uint32_t db)
{
    return atomic_load_explicit(&s->dbs[db], memory_order_acquire);
}
/* The same, made if needed; NULL: out of memory. */
struct shard_db *shard_db_make(struct keyspace *ks, struct shard *s, uint32_t db);

/* Adds to a counter that only lock holders write. */
static inline void counter_add(_Atomic uint64_t *counter, uint64_t n)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + n,
                          memory_order_relaxed);
}

/* The index of deadlines holds many more items than there are keys with one: time to look for stale
 * ones. */
static inline bool shard_db_wants_sweep(const struct shard_db *d)
{
    enum { SLACK = 64 };
    uint64_t keys = atomic_load_explicit(&d->expires, memory_order_relaxed) +
                    atomic_load_explicit(&d->with_fields, memory_order_relaxed);
    return d->expire.items > 2 * keys + SLACK;
}
static inline struct clock_policy shard_clock_policy(const struct keyspace *ks)
{
    uint64_t p = atomic_load_explicit(&ks->clock_policy, memory_order_relaxed);
    return (struct clock_policy){p >> 63, (uint32_t)(p >> 32) & INT32_MAX, (uint32_t)p};
}

/* A key that is there, and where. */
struct found {
    struct entry *entry; /* NULL: missing */
    struct shard *shard;
    struct shard_db *db; /* NULL: nothing in this database; then entry is NULL too */
    struct hash_slot slot;
};

enum lookup_how {
    LOOKUP_PEEK,  /* no statistics, no access clock */
    LOOKUP_WRITE, /* access clock */
    LOOKUP_READ,  /* access clock, hits and misses, "keymiss" */
};
/* Finds a key of database `db`. One that has expired is deleted ("expired") and missing; a hash loses its fields that
 * are over ("hexpired"), and with the last of them is gone ("del"). */
struct found shard_lookup(struct transaction *tx, uint32_t db, struct store_key key,
                          enum lookup_how how);

/* Adds a key that is not there: takes over `e`, records "new" and the change. STORE_OK, or
 * STORE_NO_MEMORY: `e` is still the caller's. */
enum store_result shard_insert(struct transaction *tx, uint32_t db, struct entry *e, uint64_t hash);
/* Puts `e` in place of f->entry, which is the caller's afterwards; keeps the index of deadlines.
 * `had_expiry_ms` is the deadline before. */
void shard_replace(struct transaction *tx, struct found *f, struct entry *e, uint64_t hash);
/* Says that f's entry is at `e` now: its value was resized. Deadline and clock are as they were. An entry without a
 * database (db NULL) is being made and not in a table yet. */
static inline void shard_entry_moved(struct found *f, struct entry *e)
{
    if (e != f->entry && f->db)
        hash_table_replace(&f->db->table, &f->slot, e);
    f->entry = e;
}
/* Says that f's entry, changed in place, now has another deadline. */
void shard_expiry_changed(struct transaction *tx, struct found *f, int64_t before_ms,
                          uint64_t hash);
/* Says that fields of f's hash have other deadlines now; before_ms is what entry_fields_due_ms said. */
void shard_fields_changed(struct transaction *tx, struct found *f, int64_t before_ms,
                          uint64_t hash);
/* Drops at most `most` fields that are over, and the key if it was the last: their number. */
size_t shard_expire_fields(struct transaction *tx, uint32_t db, struct found *f, uint64_t hash,
                           size_t most);
/* Sets or (EXPIRY_NONE) drops the deadline of a key that is there, with its event ("expire",
 * "persist"); one that is not in the future deletes the key ("expired"). One change either way.
 * STORE_OK or STORE_NO_MEMORY. */
enum store_result shard_set_expiry(struct transaction *tx, struct found *f, struct store_key key,
                                   int64_t at_ms);
/* Takes the entry out of the table; it is the caller's. */
struct entry *shard_take(struct found *f);
/* Takes it out and frees it, in the background if `lazy` and large. */
void shard_delete(struct found *f, bool lazy);
/* Deletes a key because its time is over: statistics, watchers, "expired". */
void shard_expire(struct transaction *tx, uint32_t db, struct found *f, uint64_t hash);

/* Makes the shard's next_due_ms what its indexes say. */
void shard_refresh_due(const struct keyspace *ks, struct shard *s);

/* Locks shard `number` for a command without declared keys: false if all are held already. Pair it
 * with transaction_unlock when true. May park. */
bool transaction_lock_shard(struct transaction *tx, uint32_t number);
/* Keeps an entry until the transaction's unlock, so that slices into it stay valid. False: out of
 * memory. */
bool transaction_keep(struct transaction *tx, struct entry *e);
