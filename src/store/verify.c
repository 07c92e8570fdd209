/* verify.c - the walk through everything: each shard's tables and indexes, each entry, and what the counters say of them. */
#include "store/verify.h"

#include "base/check.h"
#include "store/shard.h"
#include "store/types/type_ops.h"

#include <tuco/mem.h>

/* Which encodings a type has, a bit each. */
static unsigned encodings_of(enum store_type type)
{
    static const unsigned encodings[TYPE_MODULE + 1] = {
        [TYPE_STRING] = 1u << ENCODING_BYTES | 1u << ENCODING_INT,
        [TYPE_LIST] = 1u << ENCODING_PACKED | 1u << ENCODING_QUICKLIST,
        [TYPE_SET] = 1u << ENCODING_PACKED | 1u << ENCODING_INTSET | 1u << ENCODING_TABLE,
        [TYPE_ZSET] = 1u << ENCODING_PACKED | 1u << ENCODING_TREE,
        [TYPE_HASH] = 1u << ENCODING_PACKED | 1u << ENCODING_TABLE,
        [TYPE_STREAM] = 1u << ENCODING_STREAM,
    };
    return encodings[type];
}

void verify_entry(const struct entry *e)
{
    tu_check((encodings_of(e->type) >> e->encoding & 1) != 0, "a value of type %u in encoding %u",
             e->type, e->encoding);
    tu_check(entry_bytes(e) <= tu_usable_size(e), "an entry longer than its memory");
    tu_check(!entry_is_bytes(e) == (e->encoding > ENCODING_INTSET), "bytes that are none");
    tu_check(entry_is_bytes(e) || (e->flags & ENTRY_BLOCK), "an object that is not apart");
    tu_check(!(e->flags & ENTRY_FIELDS) || e->type == TYPE_HASH, "fields of what is no hash");
    tu_check(entry_expiry(e) >= EXPIRY_NONE, "a deadline before all time");
    if (e->encoding == ENCODING_INT || (e->flags & ENTRY_BLOCK))
        tu_check(e->value_size == 8, "a number or a pointer of %u bytes", e->value_size);
    if (entry_is_bytes(e) && (e->flags & ENTRY_BLOCK)) {
        const struct blob *blob = entry_block(e);
        tu_check(blob->size <= blob->capacity &&
                     sizeof *blob + blob->capacity <= tu_usable_size(blob),
                 "a blob longer than its memory");
    }
    const struct type_ops *ops = type_ops_of(e->type);
    if (ops)
        ops->verify(e);
}

bool verify_key(struct transaction *tx, struct store_key key)
{
    struct found f = shard_lookup(tx, tx->db, key, LOOKUP_PEEK);
    if (!f.entry)
        return false;
    tu_check(slice_equal(entry_key(f.entry), key.name), "a key under another name");
    verify_entry(f.entry);
    return true;
}

struct counted {
    uint64_t keys, expires, with_fields;
};

static void verify_entries(const struct keyspace *ks, const struct shard *s,
                           const struct hash_table *t, struct counted *sum)
{
    uint64_t position = 0;
    do {
        struct entry *found[HASH_SCAN_MAX];
        size_t count;
        position = hash_table_scan(t, position, found, &count);
        for (size_t i = 0; i < count; i++) {
            const struct entry *e = found[i];
            tu_check(shard_number(ks, keyspace_hash(ks, entry_key(e))) == s->number,
                     "a key in another's shard");
            verify_entry(e);
            sum->keys++;
            sum->expires += entry_expires(e);
            sum->with_fields += (e->flags & ENTRY_FIELDS) != 0;
        }
    } while (position != 0);
}

uint64_t verify_all(struct transaction *tx)
{
    const struct keyspace *ks = tx->keyspace;
    uint64_t keys = 0;
    tu_check(transaction_holds_all(tx), "a look at everything without the gate");
    for (uint32_t db = 0; db < ks->databases; db++) {
        for (uint32_t n = 0; n < ks->shard_count; n++) {
            const struct shard *s = shard_at(ks, n);
            const struct shard_db *d = shard_db_of(s, db);
            struct counted sum = {0};
            if (!d)
                continue;
            hash_table_verify(&d->table);
            expire_index_verify(&d->expire);
            verify_entries(ks, s, &d->table, &sum);
            tu_check(sum.keys == hash_table_count(&d->table), "keys that a scan does not find");
            tu_check(sum.expires == atomic_load_explicit(&d->expires, memory_order_relaxed),
                     "the number of keys with a deadline");
            tu_check(sum.with_fields == atomic_load_explicit(&d->with_fields, memory_order_relaxed),
                     "the number of hashes with deadlines of fields");
            tu_check(d->expire.items >= sum.expires, "deadlines that are in no index");
            keys += sum.keys;
        }
    }
    return keys;
}
