/* shard.c - finding, adding and removing keys inside one shard, with everything that hangs on it:
 * deadlines, counters, watchers, events. Operations on types and on the keyspace are built of these.
 *
 * The index of deadlines is fed sparingly: an item is added when a key gets its first deadline or an
 * earlier one. A later one needs none, because the item that fires too early is put back. So a key
 * whose deadline is pushed on and on costs nothing here.
 */
#include "store/shard.h"

#include "base/check.h"
#include "store/effects.h"
#include "store/lazy_free.h"
#include "store/types/type_ops.h"
#include "store/watch.h"

#include <tuco/mem.h>

struct shard_db *shard_db_make(struct keyspace *ks, struct shard *s, uint32_t db)
{
    struct shard_db *d = shard_db_of(s, db);
    if (d)
        return d;
    d = tu_alloc_zeroed(sizeof *d);
    if (!d)
        return NULL;
    hash_table_init(&d->table, &ks->secret, ks->shard_bits, ks->shard_memory);
    uint64_t first = ks->shard_bits ? (uint64_t)s->number << (64 - ks->shard_bits) : 0;
    expire_index_share(&d->expire, first, ks->shard_bits);
    /* Release: pairs with shard_db_of on threads that look ahead without the lock. */
    atomic_store_explicit(&s->dbs[db], d, memory_order_release);
    return d;
}

/* ---- deadlines ---- */

static void index_deadline(struct transaction *tx, struct shard *s, struct shard_db *d,
                           uint64_t hash, int64_t at_ms)
{
    /* Out of memory: the key still expires when it is looked at. */
    if (!expire_index_add(&d->expire, hash, at_ms, tx->now_ms))
        return;
    int64_t due = shard_db_wants_sweep(d) ? 0 : expire_index_due_ms(&d->expire);
    if (due < atomic_load_explicit(&s->next_due_ms, memory_order_relaxed))
        atomic_store_explicit(&s->next_due_ms, due, memory_order_relaxed);
}

void shard_refresh_due(const struct keyspace *ks, struct shard *s)
{
    int64_t next = INT64_MAX;
    for (uint32_t db = 0; db < ks->databases; db++) {
        struct shard_db *d = shard_db_of(s, db);
        if (!d)
            continue;
        int64_t due = shard_db_wants_sweep(d) ? 0 : expire_index_due_ms(&d->expire);
        next = due < next ? due : next;
    }
    atomic_store_explicit(&s->next_due_ms, next, memory_order_relaxed);
}

static void account_expiry(struct transaction *tx, struct shard *s, struct shard_db *d,
                           uint64_t hash, int64_t before_ms, int64_t after_ms)
{
    if (before_ms == EXPIRY_NONE && after_ms != EXPIRY_NONE)
        counter_add(&d->expires, 1);
    else if (before_ms != EXPIRY_NONE && after_ms == EXPIRY_NONE)
        counter_add(&d->expires, (uint64_t)-1);
    if (after_ms != EXPIRY_NONE && (before_ms == EXPIRY_NONE || after_ms < before_ms))
        index_deadline(tx, s, d, hash, after_ms);
}

void shard_expiry_changed(struct transaction *tx, struct found *f, int64_t before_ms, uint64_t hash)
{
    account_expiry(tx, f->shard, f->db, hash, before_ms, entry_expiry(f->entry));
}

/* Counts, or counts no longer, an entry that comes or goes. */
static void account_fields(struct shard_db *d, const struct entry *e, int by)
{
    if (__builtin_expect(e->flags & ENTRY_FIELDS, 0))
        counter_add(&d->with_fields, (uint64_t)by);
}

void shard_fields_changed(struct transaction *tx, struct found *f, int64_t before_ms, uint64_t hash)
{
    struct entry *e = f->entry;
    account_fields(f->db, e, -1);
    e->flags |= ENTRY_FIELDS;
    int64_t due_ms = entry_fields_due_ms(e);
    if (due_ms == INT64_MAX)
        e->flags &= (uint8_t)~ENTRY_FIELDS;
    account_fields(f->db, e, 1);
    if (due_ms < before_ms)
        index_deadline(tx, f->shard, f->db, hash, due_ms);
}

/* ---- finding ---- */

void shard_expire(struct transaction *tx, uint32_t db, struct found *f, uint64_t hash)
{
    struct entry *e = shard_take(f);
    counter_add(&f->shard->expired, 1);
    effects_notify(tx, db, EVENT_EXPIRED, "expired", entry_key(e));
    effects_changed(tx, db, entry_key(e), hash, 0);
    if (entry_free_effort(e) > ENTRY_LAZY_EFFORT)
        lazy_free_entry(e);
    else
        entry_free(e);
}

size_t shard_expire_fields(struct transaction *tx, uint32_t db, struct found *f, uint64_t hash,
                           size_t most)
{
    struct entry *e = f->entry;
    const struct type_ops *ops = type_ops_of(e->type);
    int64_t before_ms = entry_fields_due_ms(e);
    size_t count = ops->fields_reclaim(entry_block(e), tx->now_ms, most);
    shard_fields_changed(tx, f, before_ms, hash);
    if (count == 0)
        return 0;
    counter_add(&f->shard->expired_fields, count);
    effects_notify(tx, db, EVENT_EXPIRED, "hexpired", entry_key(e));
    if (ops->size(entry_block(e)) == 0) {
        effects_notify(tx, db, EVENT_GENERIC, "del", entry_key(e));
        effects_changed(tx, db, entry_key(e), hash, 0);
        shard_delete(f, true);
    } else {
        effects_changed(tx, db, entry_key(e), hash, 0);
    }
    return count;
}

/* What has a deadline, or fields that have one: f->entry is NULL afterwards if it is over. */
static void settle_deadlines(struct transaction *tx, uint32_t db, struct found *f, uint64_t hash)
{
    if (entry_is_expired(f->entry, tx->now_ms)) {
        shard_expire(tx, db, f, hash);
        f->entry = NULL;
    } else if (entry_fields_due_ms(f->entry) <= tx->now_ms) {
        shard_expire_fields(tx, db, f, hash, SIZE_MAX);
    }
}

static void touch(struct transaction *tx, struct found *f)
{
    struct clock_policy p = shard_clock_policy(tx->keyspace);
    uint32_t clock = clock_touch(p, f->entry->clock, tx->now_ms, &f->shard->random);
    if (clock != f->entry->clock) /* a hot key's cache line stays clean */
        f->entry->clock = clock & 0xffffff;
}

struct found shard_lookup(struct transaction *tx, uint32_t db, struct store_key key,
                          enum lookup_how how)
{
    struct found f = {.shard = shard_of(tx->keyspace, key.hash)};
    tu_assert(transaction_holds(tx, key.hash));
    f.db = shard_db_of(f.shard, db);
    if (f.db)
        f.entry = hash_table_find(&f.db->table, key.name, key.hash, &f.slot);
    if (f.entry && __builtin_expect(f.entry->flags & (ENTRY_EXPIRES | ENTRY_FIELDS), 0) &&
        !tx->no_expire)
        settle_deadlines(tx, db, &f, key.hash);
    if (how == LOOKUP_PEEK)
        return f;
    if (f.entry && !tx->no_touch)
        touch(tx, &f);
    if (how == LOOKUP_READ) {
        counter_add(f.entry ? &f.shard->hits : &f.shard->misses, 1);
        if (!f.entry)
            effects_notify(tx, db, EVENT_KEY_MISS, "keymiss", key.name);
    }
    return f;
}

/* ---- changing ---- */

enum store_result shard_insert(struct transaction *tx, uint32_t db, struct entry *e, uint64_t hash)
{
    struct keyspace *ks = tx->keyspace;
    struct shard *s = shard_of(ks, hash);
    struct shard_db *d = shard_db_make(ks, s, db);
    tu_assert(transaction_holds(tx, hash));
    if (!d || !hash_table_insert(&d->table, e, hash))
        return STORE_NO_MEMORY;
    e->clock = clock_start(shard_clock_policy(ks), tx->now_ms) & 0xffffff;
    account_expiry(tx, s, d, hash, EXPIRY_NONE, entry_expiry(e));
    account_fields(d, e, 1);
    if (entry_fields_due_ms(e) != INT64_MAX)
        index_deadline(tx, s, d, hash, entry_fields_due_ms(e));
    effects_notify(tx, db, EVENT_NEW, "new", entry_key(e));
    return STORE_OK;
}

void shard_replace(struct transaction *tx, struct found *f, struct entry *e, uint64_t hash)
{
    int64_t before_ms = entry_expiry(f->entry);
    account_fields(f->db, f->entry, -1);
    account_fields(f->db, e, 1);
    if (entry_fields_due_ms(e) != INT64_MAX)
        index_deadline(tx, f->shard, f->db, hash, entry_fields_due_ms(e));
    e->clock = f->entry->clock;
    hash_table_replace(&f->db->table, &f->slot, e);
    f->entry = e;
    account_expiry(tx, f->shard, f->db, hash, before_ms, entry_expiry(e));
}

enum store_result shard_set_expiry(struct transaction *tx, struct found *f, struct store_key key,
                                   int64_t at_ms)
{
    if (at_ms != EXPIRY_NONE && at_ms <= tx->now_ms) {
        shard_expire(tx, tx->db, f, key.hash);
        effects_dirty(tx, key.hash, 1);
        return STORE_OK;
    }
    int64_t before_ms = entry_expiry(f->entry);
    struct entry *e = entry_set_expiry(f->entry, at_ms);
    if (!e)
        return STORE_NO_MEMORY;
    if (e != f->entry) {
        hash_table_replace(&f->db->table, &f->slot, e);
        f->entry = e;
    }
    account_expiry(tx, f->shard, f->db, key.hash, before_ms, at_ms);
    effects_notify(tx, tx->db, EVENT_GENERIC, at_ms == EXPIRY_NONE ? "persist" : "expire",
                   key.name);
    effects_changed(tx, tx->db, key.name, key.hash, 1);
    return STORE_OK;
}

struct entry *shard_take(struct found *f)
{
    struct entry *e = f->entry;
    hash_table_remove(&f->db->table, &f->slot);
    if (entry_expires(e))
        counter_add(&f->db->expires, (uint64_t)-1);
    account_fields(f->db, e, -1);
    f->entry = NULL;
    return e;
}

void shard_delete(struct found *f, bool lazy)
{
    struct entry *e = shard_take(f);
    if (lazy && entry_free_effort(e) > ENTRY_LAZY_EFFORT)
        lazy_free_entry(e);
    else
        entry_free(e);
}
