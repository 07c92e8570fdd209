/* expire.c - the active half of expiry: what the indexes say is due, shard by shard.
 *
 * A shard's lock is held for at most BATCH items, whose buckets and entries are prefetched together,
 * then the next shard has its turn: a million keys that expire in one second never hold anybody up
 * for more than some ten microseconds. Where an index has collected many more items than there are
 * keys with a deadline (deleted and overwritten ones leave theirs behind), one slot at a time is
 * swept, so stale items are at most about as many as live ones.
 */
#include "store/expire.h"

#include "store/shard.h"

enum { BATCH = 64 };

/* One item: a key that is over goes, one that is not is put back at its true deadline. */
static void settle(struct transaction *tx, uint32_t db, struct shard *s, struct shard_db *d,
                   uint64_t hash)
{
    struct found f = {.shard = s, .db = d};
    f.entry = hash_table_find_hash(&d->table, hash, &f.slot);
    if (!f.entry || !entry_expires(f.entry))
        return; /* deleted, or made persistent: the item was stale */
    if (entry_is_expired(f.entry, tx->now_ms))
        shard_expire(tx, db, &f, hash);
    else
        (void)!expire_index_add(&d->expire, hash, entry_expiry(f.entry), tx->now_ms);
}

/* At most BATCH items of one database of one shard: their number. */
static size_t run_db(struct transaction *tx, uint32_t db, struct shard *s, struct shard_db *d)
{
    uint64_t hashes[BATCH];
    if (shard_db_wants_sweep(d))
        expire_index_sweep(&d->expire);
    size_t count = expire_index_take(&d->expire, tx->now_ms, hashes, BATCH);
    for (size_t i = 0; i < count; i++)
        hash_table_prefetch_bucket(&d->table, hashes[i]);
    for (size_t i = 0; i < count; i++)
        hash_table_prefetch_entry(&d->table, hashes[i]);
    for (size_t i = 0; i < count; i++)
        settle(tx, db, s, d, hashes[i]);
    return count;
}

/* One turn of a shard: the number of items looked at. */
static size_t run_shard(struct keyspace *ks, uint32_t number, int64_t now_ms)
{
    struct transaction tx;
    struct shard *s = shard_at(ks, number);
    size_t count = 0;
    transaction_init(&tx, ks, 0, now_ms);
    transaction_lock_shard(&tx, number);
    for (uint32_t db = 0; db < ks->databases && count < BATCH; db++) {
        struct shard_db *d = shard_db_of(s, db);
        if (d && d->expire.items > 0)
            count += run_db(&tx, db, s, d);
    }
    shard_refresh_due(ks, s);
    transaction_unlock(&tx);
    return count;
}

bool expire_run(struct keyspace *ks, int64_t now_ms, size_t budget)
{
    size_t done = 0;
    uint32_t idle = 0; /* shards in a row with nothing to do */
    while (idle < ks->shard_count && done < budget) {
        uint32_t number = ks->expire_next;
        struct shard *s = shard_at(ks, number);
        ks->expire_next = (number + 1) % ks->shard_count;
        size_t count = 0;
        if (atomic_load_explicit(&s->next_due_ms, memory_order_relaxed) <= now_ms)
            count = run_shard(ks, number, now_ms);
        done += count;
        idle = count ? 0 : idle + 1;
    }
    return done >= budget;
}
