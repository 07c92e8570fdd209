/* keyspace_all.c - operations on whole databases: random keys, scans, flushing, swapping, filling.
 *
 * Those without declared keys go shard by shard, each shard locked for one step; inside EXEC, where
 * all shards are held already, they only walk. A flush detaches the tables under the gate, which takes
 * microseconds a shard, and frees them afterwards.
 */
#include "store/keyspace.h"

#include "base/check.h"
#include "base/number.h"
#include "platform/entropy.h"
#include "store/lazy_free.h"
#include "store/shard.h"
#include "store/watch.h"

#include <string.h>
#include <tuco/mem.h>

static uint64_t shard_size(const struct shard *s, uint32_t db)
{
    const struct shard_db *d = shard_db_of(s, db);
    return d ? hash_table_count(&d->table) : 0;
}

/* True if a lookup has something to drop: the key, or fields of its hash and then perhaps the key. */
static bool is_due(const struct transaction *tx, const struct entry *e)
{
    return entry_is_expired(e, tx->now_ms) || entry_fields_due_ms(e) <= tx->now_ms;
}

/* ---- RANDOMKEY ---- */

/* The shard that holds the n-th key when they are counted shard after shard. */
static uint32_t shard_of_nth(const struct keyspace *ks, uint32_t db, uint64_t n)
{
    for (uint32_t number = 0; number < ks->shard_count; number++) {
        uint64_t size = shard_size(shard_at(ks, number), db);
        if (n < size)
            return number;
        n -= size;
    }
    return 0; /* keys have gone meanwhile */
}

enum attempt { ATTEMPT_FOUND, ATTEMPT_AGAIN, ATTEMPT_NO_MEMORY };

/* One try in one shard: a copy of a name; or nothing, where there is none any more, or it had expired
 * and was deleted. */
static enum attempt random_in_shard(struct transaction *tx, struct shard *s, struct slice *out)
{
    struct shard_db *d = shard_db_of(s, tx->db);
    struct entry *e = d ? hash_table_random(&d->table, random_next(&s->random)) : NULL;
    if (!e)
        return ATTEMPT_AGAIN;
    struct slice key = entry_key(e);
    if (is_due(tx, e)) {
        struct store_key name = {key, keyspace_hash(tx->keyspace, key)};
        if (!shard_lookup(tx, tx->db, name, LOOKUP_PEEK).entry)
            return ATTEMPT_AGAIN;
    }
    char *copy = tu_alloc(key.size + 1);
    if (!copy)
        return ATTEMPT_NO_MEMORY;
    memcpy(copy, key.data, key.size);
    *out = (struct slice){copy, key.size};
    return ATTEMPT_FOUND;
}

bool keyspace_random(struct transaction *tx, struct slice *out)
{
    struct keyspace *ks = tx->keyspace;
    struct random_state r;
    uint64_t size;
    random_init(&r, entropy_seed());
    while ((size = keyspace_size(ks, tx->db)) > 0) {
        uint32_t number = shard_of_nth(ks, tx->db, random_below(&r, size));
        bool locked = transaction_lock_shard(tx, number);
        enum attempt attempt = random_in_shard(tx, shard_at(ks, number), out);
        if (locked)
            transaction_unlock(tx);
        if (attempt != ATTEMPT_AGAIN)
            return attempt == ATTEMPT_FOUND;
    }
    return false;
}

/* ---- SCAN and KEYS ---- */

struct scan {
    struct transaction *tx;
    keyspace_visit_fn visit;
    void *context;
    uint64_t looked_at; /* entries, expired ones included */
};

/* One bucket: the next position. Visits what lives, deletes what has expired. */
static uint64_t scan_bucket(struct scan *scan, struct shard_db *d, uint64_t position)
{
    struct transaction *tx = scan->tx;
    struct entry *found[HASH_SCAN_MAX];
    size_t count;
    uint64_t next = hash_table_scan(&d->table, position, found, &count);
    for (size_t i = 0; i < count; i++)
        __builtin_prefetch(found[i]);
    for (size_t i = 0; i < count; i++) {
        struct slice key = entry_key(found[i]);
        if (is_due(tx, found[i])) {
            struct store_key name = {key, keyspace_hash(tx->keyspace, key)};
            if (!shard_lookup(tx, tx->db, name, LOOKUP_PEEK).entry)
                continue;
        }
        scan->visit(scan->context, key, (enum store_type)found[i]->type);
    }
    scan->looked_at += count;
    return next;
}

/* Buckets of one shard from `position` on, until its end (0) or until `limit` entries were seen. */
static uint64_t scan_shard(struct scan *scan, struct shard *s, uint64_t position, uint64_t limit)
{
    struct shard_db *d = shard_db_of(s, scan->tx->db);
    if (!d || hash_table_count(&d->table) == 0)
        return 0;
    do
        position = scan_bucket(scan, d, position);
    while (position != 0 && scan->looked_at < limit);
    return position;
}

/* A cursor is the upper 48 bits of a position in the whole hash space, the shard's bits first. Bucket
 * boundaries lie on that grid: 8 bits of shard, at most 28 of depth, 12 inside a segment. */
enum { CURSOR_SHIFT = 16 };

uint64_t keyspace_scan(struct transaction *tx, uint64_t cursor, uint64_t count,
                       keyspace_visit_fn visit, void *context)
{
    struct keyspace *ks = tx->keyspace;
    struct scan scan = {tx, visit, context, 0};
    uint64_t hash = cursor << CURSOR_SHIFT, position = hash << ks->shard_bits;
    uint32_t number = shard_number(ks, hash);
    for (;;) {
        struct shard *s = shard_at(ks, number);
        if (shard_size(s, tx->db) > 0) {
            bool locked = transaction_lock_shard(tx, number);
            position = scan_shard(&scan, s, position, count);
            if (locked)
                transaction_unlock(tx);
        } else {
            position = 0;
        }
        if (position == 0 && ++number == ks->shard_count)
            return 0;
        if (scan.looked_at >= count)
            break;
    }
    hash = position >> ks->shard_bits;
    if (ks->shard_bits)
        hash |= (uint64_t)number << (64 - ks->shard_bits);
    return hash >> CURSOR_SHIFT;
}

void keyspace_each(struct transaction *tx, keyspace_visit_fn visit, void *context)
{
    struct keyspace *ks = tx->keyspace;
    struct scan scan = {tx, visit, context, 0};
    for (uint32_t number = 0; number < ks->shard_count; number++) {
        struct shard *s = shard_at(ks, number);
        if (shard_size(s, tx->db) == 0)
            continue;
        bool locked = transaction_lock_shard(tx, number);
        scan_shard(&scan, s, 0, UINT64_MAX);
        if (locked)
            transaction_unlock(tx);
    }
}

/* ---- FLUSHDB, FLUSHALL, SWAPDB ---- */

static uint64_t flush_shard(struct transaction *tx, struct shard *s, uint32_t db, bool lazy)
{
    struct shard_db *d = shard_db_of(s, db);
    if (!d || hash_table_count(&d->table) == 0)
        return 0;
    uint64_t count = hash_table_count(&d->table);
    watch_touch_db(s, db, db);
    struct hash_detached *detached = hash_table_detach(&d->table);
    expire_index_clear(&d->expire);
    atomic_store_explicit(&d->expires, 0, memory_order_relaxed);
    atomic_store_explicit(&d->with_fields, 0, memory_order_relaxed);
    shard_refresh_due(tx->keyspace, s);
    counter_add(&s->dirty, count);
    blocking_touch_db(tx, s, db);
    if (lazy)
        lazy_free_detached(detached, count);
    else
        hash_detached_free(detached);
    return count;
}

uint64_t keyspace_flush(struct transaction *tx, uint32_t db, bool lazy)
{
    struct keyspace *ks = tx->keyspace;
    uint64_t count = 0;
    tu_check(tx->holds_all, "a flush without the gate");
    for (uint32_t i = 0; i < ks->databases; i++) {
        if (db != KEYSPACE_ALL_DBS && db != i)
            continue;
        for (uint32_t n = 0; n < ks->shard_count; n++)
            count += flush_shard(tx, shard_at(ks, n), i, lazy);
        if (ks->hooks.changed)
            ks->hooks.changed(ks->hooks.context, i, (struct slice){0}, true);
    }
    tx->dirty += count;
    return count;
}

void keyspace_swap(struct transaction *tx, uint32_t a, uint32_t b)
{
    struct keyspace *ks = tx->keyspace;
    tu_check(tx->holds_all && a < ks->databases && b < ks->databases, "a swap without the gate");
    for (uint32_t n = 0; n < ks->shard_count && a != b; n++) {
        struct shard *s = shard_at(ks, n);
        watch_touch_db(s, a, b);
        watch_touch_db(s, b, a);
        struct shard_db *d = shard_db_of(s, a);
        atomic_store_explicit(&s->dbs[a], shard_db_of(s, b), memory_order_release);
        atomic_store_explicit(&s->dbs[b], d, memory_order_release);
        blocking_touch_db(tx, s, a);
        blocking_touch_db(tx, s, b);
    }
    if (ks->hooks.changed && a != b) {
        ks->hooks.changed(ks->hooks.context, a, (struct slice){0}, true);
        ks->hooks.changed(ks->hooks.context, b, (struct slice){0}, true);
    }
    tx->dirty++;
    counter_add(&shard_at(ks, 0)->dirty, 1);
}

/* ---- DEBUG POPULATE ---- */

/* Key and value number i in `buffer`; *value is cut or padded with zero bytes. */
static void populate_texts(char *buffer, struct slice prefix, size_t value_size, uint64_t i,
                           struct slice *key, struct slice *value)
{
    char *p = buffer;
    memcpy(p, prefix.data, prefix.size);
    p += prefix.size;
    *p++ = ':';
    p += number_format_uint64(p, i);
    *key = (struct slice){buffer, (size_t)(p - buffer)};
    char *v = p;
    memset(v, 0, value_size);
    char text[32] = "value:";
    size_t size = 6 + number_format_uint64(text + 6, i);
    memcpy(v, text, value_size && size > value_size ? value_size : size);
    *value = (struct slice){v, value_size ? value_size : size};
}

enum store_result keyspace_populate(struct transaction *tx, uint64_t count, struct slice prefix,
                                    size_t value_size)
{
    struct keyspace *ks = tx->keyspace;
    char *buffer = tu_alloc(prefix.size + value_size + 64);
    if (!buffer)
        return STORE_NO_MEMORY;
    enum store_result rc = STORE_OK;
    for (uint64_t i = 0; i < count && rc == STORE_OK; i++) {
        struct slice name, value;
        populate_texts(buffer, prefix, value_size, i, &name, &value);
        struct store_key key = {name, keyspace_hash(ks, name)};
        bool locked = transaction_lock_shard(tx, shard_number(ks, key.hash));
        if (!shard_lookup(tx, tx->db, key, LOOKUP_PEEK).entry) {
            struct entry *e = entry_new_string(name, value, EXPIRY_NONE);
            rc = e ? shard_insert(tx, tx->db, e, key.hash) : STORE_NO_MEMORY;
            if (rc == STORE_OK)
                effects_changed(tx, tx->db, name, key.hash, 1);
            else if (e)
                entry_free(e);
        }
        if (locked)
            transaction_unlock(tx);
    }
    tu_free(buffer);
    return rc;
}
