/* keyspace.h - the database: shards of keys, and the operations that do not care about the type.
 *
 * A keyspace is `shards` shards times `databases` databases. The top bits of a key's hash choose the
 * shard; everything of a key, in all databases, lives in that shard behind one lock.
 *
 * Operations take a transaction that holds the shards of the keys they name (transaction.h). Those
 * marked "takes the locks itself" are for commands without declared keys (SCAN, KEYS, RANDOMKEY):
 * they lock one shard after the other, unless the transaction already holds all. Reads never see an
 * expired key: whoever meets one deletes it and records "expired".
 *
 * Slices and pointers that operations return live until the next operation on that key or
 * transaction_unlock, whichever comes first: copy them into the reply at once.
 */
#pragma once

#include "store/store_result.h"
#include "store/transaction.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct keyspace;
struct entry;

struct keyspace_options {
    uint32_t shards;    /* a power of two up to 256; 0: 256 */
    uint32_t databases; /* 0: 16 */
};
/* NULL when memory is used up. The caller owns it. */
struct keyspace *keyspace_new(const struct keyspace_options *options);
/* Nobody may use it any more. */
void keyspace_free(struct keyspace *ks);
uint32_t keyspace_databases(const struct keyspace *ks);

/* The keyed hash of a key; the same in every database. Pure. */
uint64_t keyspace_hash(const struct keyspace *ks, struct slice key);

/* Look-ahead for pipelines: first _bucket for all keys of a batch, then _entry for all, then execute.
 * No lock is needed; both only warm caches and never wait. */
void keyspace_prefetch_bucket(struct keyspace *ks, uint32_t db, uint64_t hash);
void keyspace_prefetch_entry(struct keyspace *ks, uint32_t db, uint64_t hash);

/* Look-ahead within a command that looks at `count` keys in order and holds their shards: to be called when it comes to
 * key number `at`, a multiple of KEYSPACE_AHEAD. The entries of so many keys are on their way then, and the buckets of
 * as many behind them, so that the cache misses of a group overlap. Never parks. */
#define KEYSPACE_AHEAD 16u
void keyspace_prefetch_keys(const struct transaction *tx, const uint64_t *hashes, size_t count,
                            size_t at);

enum store_type {
    TYPE_NONE,
    TYPE_STRING,
    TYPE_LIST,
    TYPE_SET,
    TYPE_ZSET,
    TYPE_HASH,
    TYPE_STREAM,
    TYPE_MODULE,
};
/* "none", "string", "list", "set", "zset", "hash", "stream": as TYPE prints it. */
const char *keyspace_type_name(enum store_type type);

/* ---- one key; its shard is held ---- */

/* These four count a hit or a miss. */
bool keyspace_exists(struct transaction *tx, struct store_key key);
/* TYPE_NONE when missing. */
enum store_type keyspace_type(struct transaction *tx, struct store_key key);
/* Removes the key; true if there was one. `lazy`: a large value is freed in the background. */
bool keyspace_delete(struct transaction *tx, struct store_key key, bool lazy);
/* Updates the access clock; true if the key exists. */
bool keyspace_touch(struct transaction *tx, struct store_key key);

#define EXPIRY_NONE INT64_C(-1)
enum expire_condition {
    EXPIRE_NX = 1 << 0, /* only if it has no expiry */
    EXPIRE_XX = 1 << 1, /* only if it has one */
    EXPIRE_GT = 1 << 2, /* only if the new one is later (none counts as infinite) */
    EXPIRE_LT = 1 << 3, /* only if the new one is earlier */
};
/* Sets the deadline (Unix milliseconds). One that is not in the future deletes the key ("expired").
 * STORE_OK, STORE_MISSING, STORE_NOT_MET, STORE_NO_MEMORY. */
enum store_result keyspace_expire_at(struct transaction *tx, struct store_key key, int64_t at_ms,
                                     uint32_t conditions);
/* *at_ms: the deadline or EXPIRY_NONE. STORE_OK or STORE_MISSING. Counts a hit or miss but does not
 * touch the clock. */
enum store_result keyspace_expiry(struct transaction *tx, struct store_key key, int64_t *at_ms);
/* Removes the deadline: STORE_OK, STORE_MISSING, STORE_NOT_MET (it had none), STORE_NO_MEMORY. */
enum store_result keyspace_persist(struct transaction *tx, struct store_key key);

/* What OBJECT, MEMORY USAGE and DEBUG OBJECT show. Is no access; counts neither hit nor miss. */
struct object_info {
    enum store_type type;
    const char *encoding; /* "int", "embstr", "raw", ... */
    uint32_t clock;       /* the raw access clock, 24 bits */
    uint64_t idle_s;      /* seconds since the last access; LRU clock only */
    uint32_t frequency;   /* access counter 0..255; LFU clock only */
    size_t value_size;    /* bytes of a string, elements of the others */
    size_t memory_bytes;  /* entry, value and the key's share of the table */
    const void *address;  /* for DEBUG OBJECT */
};
enum store_result keyspace_object(struct transaction *tx, struct store_key key,
                                  struct object_info *out);

/* ---- two keys; both shards are held ---- */

/* STORE_MISSING: no source. With nx, STORE_NOT_MET when the destination exists. Same name: STORE_OK
 * if it exists (STORE_NOT_MET with nx). */
enum store_result keyspace_rename(struct transaction *tx, struct store_key from,
                                  struct store_key to, bool nx);
/* Copies with its expiry into database to_db. STORE_EXISTS when the destination exists and
 * !replace; STORE_SAME when it is the source itself. */
enum store_result keyspace_copy(struct transaction *tx, struct store_key from, struct store_key to,
                                uint32_t to_db, bool replace);
/* Moves to another database. STORE_SAME when it is the current one, STORE_MISSING, STORE_EXISTS. */
enum store_result keyspace_move(struct transaction *tx, struct store_key key, uint32_t to_db);

/* ---- whole databases ---- */

/* Keys in a database, expired ones not yet deleted included; without locks. */
uint64_t keyspace_size(const struct keyspace *ks, uint32_t db);
/* Keys with a deadline. */
uint64_t keyspace_size_expires(const struct keyspace *ks, uint32_t db);
/* Hashes with fields that have one. */
uint64_t keyspace_size_with_fields(const struct keyspace *ks, uint32_t db);

/* A random key: false if the database is empty (or memory is used up). Takes the locks itself; the name is copied to *out,
 * which the caller frees with tu_free (out->data). May park. */
bool keyspace_random(struct transaction *tx, struct slice *out);

/* One call per key. The slice dies when it returns. It must not park nor call the store. */
typedef void (*keyspace_visit_fn)(void *context, struct slice key, enum store_type type);

/* SCAN: visits the keys from `cursor` on, about `count` of them, and returns the next cursor, 0 at
 * the end. The cursor is a position in hash space, below 2^48: a key that stays from the first to
 * the last call is visited exactly once, whatever the table does in between. Takes the locks itself;
 * may park. */
uint64_t keyspace_scan(struct transaction *tx, uint64_t cursor, uint64_t count,
                       keyspace_visit_fn visit, void *context);
/* Visits all keys of the transaction's database, shard by shard. Takes the locks itself; may park. */
void keyspace_each(struct transaction *tx, keyspace_visit_fn visit, void *context);

/* Empties one database, or all with KEYSPACE_ALL_DBS: the number of keys removed. `lazy`: memory is
 * given back in the background. tx holds all. */
#define KEYSPACE_ALL_DBS UINT32_MAX
uint64_t keyspace_flush(struct transaction *tx, uint32_t db, bool lazy);
/* Exchanges two databases for everybody. tx holds all. */
void keyspace_swap(struct transaction *tx, uint32_t a, uint32_t b);

/* DEBUG POPULATE: keys `prefix`:0 .. count-1 with value "value:N", padded or cut to value_size bytes
 * if that is not 0; keys that exist stay. Takes the locks itself; may park. */
enum store_result keyspace_populate(struct transaction *tx, uint64_t count, struct slice prefix,
                                    size_t value_size);

/* ---- numbers for INFO ---- */

struct keyspace_stats {
    uint64_t hits, misses; /* keyspace_hits, keyspace_misses */
    uint64_t expired;      /* expired_keys */
    uint64_t expired_fields;
    uint64_t dirty; /* changes since the start, or since stats were last told a save */
    uint64_t watching_clients_keys;           /* watched (client, key) pairs */
    uint64_t table_bytes, expire_index_bytes; /* overhead that is not in entries */
};
/* Takes the locks itself, one at a time; may park. */
void keyspace_stats(struct keyspace *ks, struct keyspace_stats *out);
/* CONFIG RESETSTAT: hits, misses, expired begin at 0 again. */
void keyspace_stats_reset(struct keyspace *ks);

/* What the access clock means, from maxmemory-policy. */
struct keyspace_clock_policy {
    bool lfu;            /* a frequency counter instead of seconds */
    uint32_t log_factor; /* lfu-log-factor; 0..255 */
    uint32_t decay_min;  /* lfu-decay-time, minutes */
};
void keyspace_set_clock_policy(struct keyspace *ks, struct keyspace_clock_policy policy);
bool keyspace_clock_is_lfu(const struct keyspace *ks);
