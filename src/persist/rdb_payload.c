/* rdb_payload.c - see rdb_payload.h. */
#include "persist/rdb_payload.h"

#include "persist/rdb_format.h"
#include "platform/crc64_fast.h"
#include "store/shard.h"

void rdb_payload_write(struct rdb_writer *w, const struct entry *e)
{
    rdb_value_write(w, e);
    rdb_write_number(w, RDB_VERSION, 2);
    if (!w->failed)
        rdb_write_number(w, crc64_fast(0, w->bytes, w->size), 8);
}

bool rdb_payload_check(struct slice payload, struct slice *body)
{
    uint64_t version, crc;
    if (payload.size < RDB_FOOTER)
        return false;
    *body = (struct slice){payload.data, payload.size - RDB_FOOTER};
    struct rdb_reader footer = rdb_reader_of((struct slice){payload.data + body->size, RDB_FOOTER});
    if (!rdb_read_number(&footer, 2, &version) || !rdb_read_number(&footer, 8, &crc))
        return false;
    bool known = (version >= 1 && version <= RDB_VERSION_SHARED) ||
                 (version >= RDB_VERSION_OWN_MIN && version <= RDB_VERSION);
    return known && crc == crc64_fast(0, payload.data, payload.size - 8);
}

enum store_result rdb_payload_dump(struct transaction *tx, struct store_key key,
                                   struct rdb_writer *w)
{
    struct found f = shard_lookup(tx, tx->db, key, LOOKUP_READ);
    if (!f.entry)
        return STORE_MISSING;
    rdb_payload_write(w, f.entry);
    rdb_writer_done(w);
    return w->failed ? STORE_NO_MEMORY : STORE_OK;
}

enum rdb_result rdb_payload_restore(struct transaction *tx, struct store_key key, struct slice body,
                                    int64_t at_ms, const struct restore_options *options)
{
    struct rdb_target target = {tx->keyspace, key.name, at_ms, tx->now_ms};
    struct rdb_reader r = rdb_reader_of(body);
    struct entry *e;
    enum rdb_result result = rdb_value_read(&r, &target, &e);
    if (result == RDB_OK && restore_put(tx, key, e, options) != STORE_OK) {
        entry_free(e);
        result = RDB_NO_MEMORY;
    }
    return result;
}
