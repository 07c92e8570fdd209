/* expire.c - the active half of expiry: what the indexes say is due, shard by shard.
 *
 * A shard's lock is held for at most BATCH items, whose buckets and entries are prefetched together,
 * then the next shard has its turn: a million keys that expire in one second never hold anybody up
 * for more than some ten microseconds. Hashes stand in the same indexes with the earliest deadline of their fields, and
 * lose at most FIELDS of them a turn. Where an index has collected many more items than there are
 * keys with a deadline (deleted and overwritten ones leave theirs behind), one slot at a time is
 * swept, so stale items are at most about as many as live ones.
 */
#include "store/expire.h"

#include "store/shard.h"

enum { BATCH = 64, FIELDS = 512 };

/* Of its hash only watchers, and who waits for a key, want to know more than the shard, which is also the item's. */
static uint64_t hash_for_watchers(const struct shard *s, const struct shard_db *d,
                                  const struct entry *e, uint64_t item)
{
    struct slice key = entry_key(e);
    return s->watch.count | s->blocking.count ? siphash13(d->table.key, key.data, key.size) : item;
}

/* One item: a key that is over goes, one that is not is put back at its true deadline. A hash loses at most `most` fields
 * and stands first in line again if more are over. Returns the fields. */
static size_t settle(struct transaction *tx, uint32_t db, struct shard *s, struct shard_db *d,
                     uint64_t hash, const struct hash_candidate *c, size_t most)
{
    struct found f = {.shard = s, .db = d, .slot = c->slot};
    size_t fields = 0;
    bool last;
    f.entry = hash_table_candidate_due(&d->table, c, hash, tx->now_ms, &last);
    if (f.entry) {
        shard_expire(tx, db, &f, hash_for_watchers(s, d, f.entry, hash));
        if (last)
            return 0;
    }
    while ((f.entry = hash_table_find_due(&d->table, hash, tx->now_ms, &f.slot)) &&
           entry_is_expired(f.entry, tx->now_ms))
        shard_expire(tx, db, &f, hash_for_watchers(s, d, f.entry, hash));
    if (!f.entry || !(f.entry->flags & (ENTRY_EXPIRES | ENTRY_FIELDS)))
        return 0; /* gone, or made persistent: the item was stale */
    if (most > 0 && entry_fields_due_ms(f.entry) <= tx->now_ms)
        fields = shard_expire_fields(tx, db, &f, hash_for_watchers(s, d, f.entry, hash), most);
    if (!f.entry)
        return fields;
    int64_t due_ms = entry_fields_due_ms(f.entry);
    if (entry_expires(f.entry) && entry_expiry(f.entry) < due_ms)
        due_ms = entry_expiry(f.entry);
    if (due_ms <= tx->now_ms)
        (void)!expire_index_again(&d->expire, hash);
    else if (due_ms != INT64_MAX)
        (void)!expire_index_add(&d->expire, hash, due_ms, tx->now_ms);
    return fields;
}

/* At most BATCH items and FIELDS fields of one database of one shard: their number. */
static size_t run_db(struct transaction *tx, uint32_t db, struct shard *s, struct shard_db *d)
{
    uint64_t hashes[BATCH];
    struct hash_candidate candidates[BATCH];
    if (shard_db_wants_sweep(d))
        expire_index_sweep(&d->expire);
    size_t count = expire_index_take(&d->expire, tx->now_ms, hashes, BATCH), fields = 0;
    for (size_t i = 0; i < count; i++)
        hash_table_prefetch_candidate(&d->table, hashes[i]);
    for (size_t i = 0; i < count; i++)
        candidates[i] = hash_table_candidate(&d->table, hashes[i]);
    for (size_t i = 0; i < count; i++)
        fields +=
            settle(tx, db, s, d, hashes[i], &candidates[i], fields < FIELDS ? FIELDS - fields : 0);
    return count + fields;
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
