/* keyspace.c - life of a keyspace, operations on single keys, numbers. Whole databases are in
 * keyspace_all.c.
 */
#include "store/keyspace.h"

#include "base/check.h"
#include "platform/entropy.h"
#include "store/shard.h"

#include <string.h>
#include <tuco/go.h>
#include <tuco/mem.h>

static void set_default_limits(struct type_limits *l)
{
    atomic_store(&l->hash_max_listpack_entries, 512);
    atomic_store(&l->hash_max_listpack_value, 64);
    atomic_store(&l->set_max_intset_entries, 512);
    atomic_store(&l->set_max_listpack_entries, 128);
    atomic_store(&l->set_max_listpack_value, 64);
    atomic_store(&l->zset_max_listpack_entries, 128);
    atomic_store(&l->zset_max_listpack_value, 64);
    atomic_store(&l->list_max_listpack_size, -2);
    atomic_store(&l->list_compress_depth, 0);
    atomic_store(&l->stream_node_max_bytes, 4096);
    atomic_store(&l->stream_node_max_entries, 100);
    atomic_store(&l->hll_sparse_max_bytes, 3000);
}

struct keyspace *keyspace_new(const struct keyspace_options *options)
{
    uint32_t shards = options && options->shards ? options->shards : TRANSACTION_SHARDS_MAX;
    uint32_t databases = options && options->databases ? options->databases : 16;
    tu_check(shards <= TRANSACTION_SHARDS_MAX && (shards & (shards - 1)) == 0, "%u shards", shards);
    struct keyspace *ks = tu_alloc_zeroed(sizeof *ks);
    if (!ks)
        return NULL;
    ks->shard_count = shards;
    ks->shard_bits = (uint32_t)__builtin_ctz(shards);
    ks->databases = databases;
    ks->long_turns.free =
        (struct tu_semaphore)TU_SEMAPHORE(tu_maxprocs() > 0 ? (int64_t)tu_maxprocs() : 1);
    ks->shard_stride = (sizeof(struct shard) + databases * sizeof(void *) + 63) & ~(size_t)63;
    ks->shard_memory = tu_alloc_zeroed(ks->shard_stride * shards + 63);
    if (!ks->shard_memory) {
        tu_free(ks);
        return NULL;
    }
    ks->shards = (char *)(((uintptr_t)ks->shard_memory + 63) & ~(uintptr_t)63);
    entropy_bytes(&ks->secret, sizeof ks->secret);
    uint64_t seed = entropy_seed();
    for (uint32_t n = 0; n < shards; n++) {
        struct shard *s = shard_at(ks, n);
        s->number = n;
        random_init(&s->random, seed + n);
        s->next_due_ms = INT64_MAX;
    }
    keyspace_set_clock_policy(ks, (struct keyspace_clock_policy){false, 10, 1});
    set_default_limits(&ks->limits);
    return ks;
}

struct type_limits *keyspace_limits(struct keyspace *ks)
{
    return &ks->limits;
}

void keyspace_free(struct keyspace *ks)
{
    for (uint32_t n = 0; n < ks->shard_count; n++) {
        struct shard *s = shard_at(ks, n);
        tu_check(s->watch.count == 0, "a keyspace is freed while keys are watched");
        tu_check(s->blocking.count == 0, "a keyspace is freed while somebody waits for a key");
        for (uint32_t db = 0; db < ks->databases; db++) {
            struct shard_db *d = shard_db_of(s, db);
            if (!d)
                continue;
            hash_detached_free(hash_table_detach(&d->table));
            hash_table_destroy(&d->table);
            expire_index_clear(&d->expire);
            tu_free(d);
        }
    }
    tu_free(ks->shard_memory);
    tu_free(ks);
}

uint32_t keyspace_databases(const struct keyspace *ks)
{
    return ks->databases;
}

uint64_t keyspace_hash(const struct keyspace *ks, struct slice key)
{
    return siphash13(&ks->secret, key.data, key.size);
}

/* ---- look-ahead ---- */

void keyspace_prefetch_bucket(struct keyspace *ks, uint32_t db, uint64_t hash)
{
    const struct shard_db *d = shard_db_of(shard_of(ks, hash), db);
    if (d)
        hash_table_prefetch_bucket(&d->table, hash);
}

void keyspace_prefetch_entry(struct keyspace *ks, uint32_t db, uint64_t hash)
{
    struct shard *s = shard_of(ks, hash);
    const struct shard_db *d = shard_db_of(s, db);
    /* The bucket may only be read under the lock. If somebody has it, this key's misses are paid
     * when it is executed. */
    if (!d || !tu_mutex_try_lock(&s->lock))
        return;
    hash_table_prefetch_entry(&d->table, hash);
    tu_mutex_unlock(&s->lock);
}

static void prefetch_range(const struct transaction *tx, const uint64_t *hashes, size_t from,
                           size_t to, void (*prefetch)(const struct hash_table *, uint64_t))
{
    for (size_t i = from; i < to; i++) {
        const struct shard_db *d = shard_db_of(shard_of(tx->keyspace, hashes[i]), tx->db);
        if (d)
            prefetch(&d->table, hashes[i]);
    }
}

void keyspace_prefetch_keys(const struct transaction *tx, const uint64_t *hashes, size_t count,
                            size_t at)
{
    size_t middle = count - at < KEYSPACE_AHEAD ? count : at + KEYSPACE_AHEAD;
    size_t end = count - at < 2 * KEYSPACE_AHEAD ? count : at + 2 * KEYSPACE_AHEAD;
    prefetch_range(tx, hashes, at == 0 ? 0 : middle, end, hash_table_prefetch_bucket);
    prefetch_range(tx, hashes, at, middle, hash_table_prefetch_entry);
}

const char *keyspace_type_name(enum store_type type)
{
    static const char *const names[] = {"none", "string", "list",   "set",
                                        "zset", "hash",   "stream", "module"};
    return (unsigned)type <= TYPE_MODULE ? names[type] : "unknown";
}

/* ---- one key ---- */

bool keyspace_exists(struct transaction *tx, struct store_key key)
{
    return shard_lookup(tx, tx->db, key, LOOKUP_READ).entry != NULL;
}

bool keyspace_touch(struct transaction *tx, struct store_key key)
{
    return shard_lookup(tx, tx->db, key, LOOKUP_READ).entry != NULL;
}

/* A look that counts a hit or a miss but is no access. */
static struct found look(struct transaction *tx, struct store_key key)
{
    bool no_touch = tx->no_touch;
    tx->no_touch = true;
    struct found f = shard_lookup(tx, tx->db, key, LOOKUP_READ);
    tx->no_touch = no_touch;
    return f;
}

enum store_type keyspace_type(struct transaction *tx, struct store_key key)
{
    struct found f = look(tx, key);
    return f.entry ? (enum store_type)f.entry->type : TYPE_NONE;
}

bool keyspace_delete(struct transaction *tx, struct store_key key, bool lazy)
{
    struct found f = shard_lookup(tx, tx->db, key, LOOKUP_PEEK);
    if (!f.entry)
        return false;
    shard_delete(&f, lazy);
    effects_notify(tx, tx->db, EVENT_GENERIC, "del", key.name);
    effects_changed(tx, tx->db, key.name, key.hash, 1);
    return true;
}

static bool condition_holds(uint32_t conditions, int64_t before_ms, int64_t at_ms)
{
    bool none = before_ms == EXPIRY_NONE;
    if ((conditions & EXPIRE_NX) && !none)
        return false;
    if ((conditions & EXPIRE_XX) && none)
        return false;
    if ((conditions & EXPIRE_GT) && (none || at_ms <= before_ms))
        return false;
    return !((conditions & EXPIRE_LT) && !none && at_ms >= before_ms);
}

enum store_result keyspace_expire_at(struct transaction *tx, struct store_key key, int64_t at_ms,
                                     uint32_t conditions)
{
    struct found f = shard_lookup(tx, tx->db, key, LOOKUP_WRITE);
    if (!f.entry)
        return STORE_MISSING;
    int64_t before_ms = entry_expiry(f.entry);
    if (!condition_holds(conditions, before_ms, at_ms))
        return STORE_NOT_MET;
    return shard_set_expiry(tx, &f, key, at_ms);
}

enum store_result keyspace_expiry(struct transaction *tx, struct store_key key, int64_t *at_ms)
{
    struct found f = look(tx, key);
    *at_ms = f.entry ? entry_expiry(f.entry) : EXPIRY_NONE;
    return f.entry ? STORE_OK : STORE_MISSING;
}

enum store_result keyspace_persist(struct transaction *tx, struct store_key key)
{
    struct found f = shard_lookup(tx, tx->db, key, LOOKUP_WRITE);
    if (!f.entry)
        return STORE_MISSING;
    if (!entry_expires(f.entry))
        return STORE_NOT_MET;
    return shard_set_expiry(tx, &f, key, EXPIRY_NONE);
}

enum store_result keyspace_object(struct transaction *tx, struct store_key key,
                                  struct object_info *out)
{
    struct found f = shard_lookup(tx, tx->db, key, LOOKUP_PEEK);
    if (!f.entry)
        return STORE_MISSING;
    const struct entry *e = f.entry;
    struct clock_policy policy = shard_clock_policy(tx->keyspace);
    size_t share = hash_table_bytes(&f.db->table) / hash_table_count(&f.db->table);
    *out = (struct object_info){
        .type = (enum store_type)e->type,
        .encoding = entry_encoding_name(e),
        .clock = e->clock,
        .idle_s = clock_idle_s(e->clock, tx->now_ms),
        .frequency = clock_frequency(policy, e->clock, tx->now_ms),
        .value_size = entry_value_count(e),
        .memory_bytes = entry_memory(e) + share,
        .address = e,
    };
    return STORE_OK;
}

/* ---- two keys ---- */

enum store_result keyspace_rename(struct transaction *tx, struct store_key from,
                                  struct store_key to, bool nx)
{
    struct found source = shard_lookup(tx, tx->db, from, LOOKUP_WRITE);
    if (!source.entry)
        return STORE_MISSING;
    if (slice_equal(from.name, to.name))
        return nx ? STORE_NOT_MET : STORE_OK;
    struct found target = shard_lookup(tx, tx->db, to, LOOKUP_WRITE);
    if (target.entry && nx)
        return STORE_NOT_MET;
    struct entry *e = entry_renamed(source.entry, to.name);
    if (!e)
        return STORE_NO_MEMORY;
    if (target.entry) {
        shard_delete(&target, true);
        /* The removal may have rearranged the shard's table. */
        source = shard_lookup(tx, tx->db, from, LOOKUP_PEEK);
    }
    uint32_t clock = source.entry->clock;
    if (shard_insert(tx, tx->db, e, to.hash) != STORE_OK) {
        tu_free(e);
        return STORE_NO_MEMORY;
    }
    e->clock = clock;
    source = shard_lookup(tx, tx->db, from, LOOKUP_PEEK);
    tu_free(shard_take(&source)); /* its value lives on in e */
    effects_notify(tx, tx->db, EVENT_GENERIC, "rename_from", from.name);
    effects_notify(tx, tx->db, EVENT_GENERIC, "rename_to", to.name);
    effects_changed(tx, tx->db, from.name, from.hash, 0);
    effects_changed(tx, tx->db, to.name, to.hash, 1);
    return STORE_OK;
}

enum store_result keyspace_copy(struct transaction *tx, struct store_key from, struct store_key to,
                                uint32_t to_db, bool replace)
{
    if (to_db == tx->db && slice_equal(from.name, to.name))
        return STORE_SAME;
    struct found source = shard_lookup(tx, tx->db, from, LOOKUP_READ);
    if (!source.entry)
        return STORE_MISSING;
    struct found target = shard_lookup(tx, to_db, to, LOOKUP_WRITE);
    if (target.entry && !replace)
        return STORE_EXISTS;
    struct entry *e = entry_copy(source.entry, to.name, entry_expiry(source.entry));
    if (!e)
        return STORE_NO_MEMORY;
    uint32_t clock = source.entry->clock;
    if (target.entry)
        shard_delete(&target, true);
    if (shard_insert(tx, to_db, e, to.hash) != STORE_OK) {
        entry_free(e);
        return STORE_NO_MEMORY;
    }
    e->clock = clock;
    effects_notify(tx, to_db, EVENT_GENERIC, "copy_to", to.name);
    effects_changed(tx, to_db, to.name, to.hash, 1);
    return STORE_OK;
}

enum store_result keyspace_move(struct transaction *tx, struct store_key key, uint32_t to_db)
{
    if (to_db == tx->db)
        return STORE_SAME;
    struct found source = shard_lookup(tx, tx->db, key, LOOKUP_WRITE);
    if (!source.entry)
        return STORE_MISSING;
    struct found target = shard_lookup(tx, to_db, key, LOOKUP_WRITE);
    if (target.entry)
        return STORE_EXISTS;
    struct entry *e = source.entry;
    uint32_t clock = e->clock;
    if (shard_insert(tx, to_db, e, key.hash) != STORE_OK)
        return STORE_NO_MEMORY;
    e->clock = clock;
    shard_take(&source); /* another table: source's slot still holds */
    effects_notify(tx, tx->db, EVENT_GENERIC, "move_from", key.name);
    effects_notify(tx, to_db, EVENT_GENERIC, "move_to", key.name);
    effects_changed(tx, tx->db, key.name, key.hash, 0);
    effects_changed(tx, to_db, key.name, key.hash, 1);
    return STORE_OK;
}

/* ---- numbers ---- */

uint64_t keyspace_size(const struct keyspace *ks, uint32_t db)
{
    uint64_t count = 0;
    for (uint32_t n = 0; n < ks->shard_count; n++) {
        const struct shard_db *d = shard_db_of(shard_at(ks, n), db);
        count += d ? hash_table_count(&d->table) : 0;
    }
    return count;
}

uint64_t keyspace_size_expires(const struct keyspace *ks, uint32_t db)
{
    uint64_t count = 0;
    for (uint32_t n = 0; n < ks->shard_count; n++) {
        const struct shard_db *d = shard_db_of(shard_at(ks, n), db);
        count += d ? atomic_load_explicit(&d->expires, memory_order_relaxed) : 0;
    }
    return count;
}

uint64_t keyspace_size_with_fields(const struct keyspace *ks, uint32_t db)
{
    uint64_t count = 0;
    for (uint32_t n = 0; n < ks->shard_count; n++) {
        const struct shard_db *d = shard_db_of(shard_at(ks, n), db);
        count += d ? atomic_load_explicit(&d->with_fields, memory_order_relaxed) : 0;
    }
    return count;
}

void keyspace_stats(struct keyspace *ks, struct keyspace_stats *out)
{
    *out = (struct keyspace_stats){0};
    for (uint32_t n = 0; n < ks->shard_count; n++) {
        struct shard *s = shard_at(ks, n);
        out->hits += atomic_load_explicit(&s->hits, memory_order_relaxed);
        out->misses += atomic_load_explicit(&s->misses, memory_order_relaxed);
        out->expired += atomic_load_explicit(&s->expired, memory_order_relaxed);
        out->expired_fields += atomic_load_explicit(&s->expired_fields, memory_order_relaxed);
        out->dirty += atomic_load_explicit(&s->dirty, memory_order_relaxed);
        /* INFO inside EXEC holds shards itself: one that is busy is left out of the sizes. */
        if (!tu_mutex_try_lock(&s->lock))
            continue;
        out->watching_clients_keys += s->watch.count;
        for (uint32_t db = 0; db < ks->databases; db++) {
            const struct shard_db *d = shard_db_of(s, db);
            out->table_bytes += d ? sizeof *d + hash_table_bytes(&d->table) : 0;
            out->expire_index_bytes += d ? d->expire.bytes : 0;
        }
        tu_mutex_unlock(&s->lock);
    }
    out->table_bytes += ks->shard_stride * ks->shard_count;
}

void keyspace_stats_reset(struct keyspace *ks)
{
    for (uint32_t n = 0; n < ks->shard_count; n++) {
        struct shard *s = shard_at(ks, n);
        tu_mutex_lock(&s->lock);
        s->hits = s->misses = s->expired = s->expired_fields = 0;
        tu_mutex_unlock(&s->lock);
    }
}

void keyspace_set_clock_policy(struct keyspace *ks, struct keyspace_clock_policy p)
{
    uint64_t word =
        (uint64_t)p.lfu << 63 | (uint64_t)(p.log_factor & INT32_MAX) << 32 | p.decay_min;
    atomic_store_explicit(&ks->clock_policy, word, memory_order_relaxed);
}

bool keyspace_clock_is_lfu(const struct keyspace *ks)
{
    return shard_clock_policy(ks).lfu;
}
