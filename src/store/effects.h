/* effects.h - what an operation did, told once to whoever listens.
 *
 * An operation calls effects_changed for every key it changes: watchers of the key are marked, the
 * dirty counters grow, and the listeners (client-side caching, later the journal) are told. For each
 * keyspace event it calls effects_notify, which records only what somebody asked for: the mask of
 * wanted classes is zero on most servers. Records are kept in the transaction with a copy of the key
 * and emitted in order by transaction_unlock, while the shards are still held, so that listeners see
 * the changes of a key in the order in which they happened.
 *
 * The server fills struct store_hooks; hooks never park and never call the store.
 */
#pragma once

#include "base/slice.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct transaction;
struct keyspace;

/* Bits of notify-keyspace-events, with its letters. */
enum store_event {
    EVENT_KEYSPACE = 1 << 0,  /* K: channel __keyspace@<db>__:<key> */
    EVENT_KEYEVENT = 1 << 1,  /* E: channel __keyevent@<db>__:<event> */
    EVENT_GENERIC = 1 << 2,   /* g */
    EVENT_STRING = 1 << 3,    /* $ */
    EVENT_LIST = 1 << 4,      /* l */
    EVENT_SET = 1 << 5,       /* s */
    EVENT_HASH = 1 << 6,      /* h */
    EVENT_ZSET = 1 << 7,      /* z */
    EVENT_EXPIRED = 1 << 8,   /* x */
    EVENT_EVICTED = 1 << 9,   /* e */
    EVENT_STREAM = 1 << 10,   /* t */
    EVENT_KEY_MISS = 1 << 11, /* m: not part of A */
    EVENT_MODULE = 1 << 13,   /* d */
    EVENT_NEW = 1 << 14,      /* n: not part of A */
    EVENT_ALL = EVENT_GENERIC | EVENT_STRING | EVENT_LIST | EVENT_SET | EVENT_HASH | EVENT_ZSET |
                EVENT_EXPIRED | EVENT_EVICTED | EVENT_STREAM | EVENT_MODULE, /* A */
};

struct store_hooks {
    void *context;
    /* One event of class `event_class`. `name` is static ("set", "del", "expired" ...). */
    void (*notify)(void *context, uint32_t db, uint32_t event_class, const char *name,
                   struct slice key);
    /* The key was changed or removed; an empty key with all_keys true: the whole database was. */
    void (*changed)(void *context, uint32_t db, struct slice key, bool all_keys);
};

struct effect; /* one record; effects.c */
struct effects {
    struct effect *first, *last;
};

/* Who listens, and which classes; from the configuration. NULL hooks: nobody. The struct is copied;
 * call before the keyspace is shared, the mask at any time. */
void effects_set_hooks(struct keyspace *ks, const struct store_hooks *hooks);
void effects_set_event_mask(struct keyspace *ks, uint32_t mask);

/* ---- for operations; the key's shard is held ---- */

/* The value at `key` in database `db` was created, changed or removed: `dirty` changes (0: only the
 * watchers and caches care). */
void effects_changed(struct transaction *tx, uint32_t db, struct slice key, uint64_t hash,
                     uint64_t dirty);
/* Counts changes only: for what effects_changed was already told. */
void effects_dirty(struct transaction *tx, uint64_t hash, uint64_t dirty);
/* Records an event of the keyspace. */
void effects_notify(struct transaction *tx, uint32_t db, uint32_t event_class, const char *name,
                    struct slice key);
/* Emits and forgets the records; transaction_unlock calls it. */
void effects_emit(struct transaction *tx);
