/* digest.c - DEBUG DIGEST as the peers define it: every key gives a digest of key, type, value and
 * whether it expires; those of all keys are combined by exclusive or, so order does not matter.
 * "Mixing" makes order matter where it should: the data's SHA-1 is xored in, then the whole is hashed.
 */
#include "store/digest.h"

#include "base/check.h"
#include "base/number.h"
#include "store/shard.h"
#include "store/types/type_ops.h"

#include <string.h>

void digest_xor(uint8_t digest[SHA1_SIZE], const void *data, size_t size)
{
    uint8_t hash[SHA1_SIZE];
    sha1_of(data, size, hash);
    for (int i = 0; i < SHA1_SIZE; i++)
        digest[i] ^= hash[i];
}

void digest_mix(uint8_t digest[SHA1_SIZE], const void *data, size_t size)
{
    digest_xor(digest, data, size);
    sha1_of(digest, SHA1_SIZE, digest);
}

static void mix_number(uint8_t digest[SHA1_SIZE], uint32_t number)
{
    uint8_t bytes[4] = {(uint8_t)(number >> 24), (uint8_t)(number >> 16), (uint8_t)(number >> 8),
                        (uint8_t)number};
    digest_mix(digest, bytes, sizeof bytes);
}

/* The peers' numbers of the types. */
static uint32_t type_number(enum store_type type)
{
    static const uint32_t numbers[] = {0, 0, 1, 2, 3, 4, 6, 5};
    return numbers[type];
}

static void mix_entry(uint8_t digest[SHA1_SIZE], const struct entry *e)
{
    mix_number(digest, type_number(e->type));
    if (e->type == TYPE_STRING && e->encoding == ENCODING_INT) {
        char digits[NUMBER_INT64_MAX_SIZE];
        digest_mix(digest, digits, number_format_int64(digits, entry_integer(e)));
    } else if (e->type == TYPE_STRING) {
        struct slice value = entry_string(e);
        digest_mix(digest, value.data, value.size);
    } else {
        const struct type_ops *ops = type_ops_of(e->type);
        tu_check(ops, "a value of type %u without operations", e->type);
        ops->digest(e, digest);
    }
    if (entry_expires(e))
        digest_xor(digest, "!!expire!!", 10);
}

static void add_shard(uint8_t digest[SHA1_SIZE], const struct hash_table *t, int64_t now_ms)
{
    uint64_t position = 0;
    do {
        struct entry *found[HASH_SCAN_MAX];
        size_t count;
        position = hash_table_scan(t, position, found, &count);
        for (size_t i = 0; i < count; i++) {
            uint8_t one[SHA1_SIZE] = {0};
            struct slice key = entry_key(found[i]);
            if (entry_is_expired(found[i], now_ms))
                continue;
            digest_mix(one, key.data, key.size);
            mix_entry(one, found[i]);
            digest_xor(digest, one, SHA1_SIZE);
        }
    } while (position != 0);
}

void digest_dataset(struct transaction *tx, uint8_t out[SHA1_SIZE])
{
    const struct keyspace *ks = tx->keyspace;
    tu_check(transaction_holds_all(tx), "a digest without the gate");
    memset(out, 0, SHA1_SIZE);
    for (uint32_t db = 0; db < ks->databases; db++) {
        if (keyspace_size(ks, db) == 0)
            continue;
        mix_number(out, db);
        for (uint32_t n = 0; n < ks->shard_count; n++) {
            const struct shard_db *d = shard_db_of(shard_at(ks, n), db);
            if (d)
                add_shard(out, &d->table, tx->now_ms);
        }
    }
}

void digest_value(struct transaction *tx, struct store_key key, uint8_t out[SHA1_SIZE])
{
    memset(out, 0, SHA1_SIZE);
    struct found f = shard_lookup(tx, tx->db, key, LOOKUP_PEEK);
    if (f.entry)
        mix_entry(out, f.entry);
}
