/* dump.c - see dump.h. */
#include "persist/dump.h"

#include "persist/rdb_format.h"
#include "persist/rdb_value.h"
#include "store/shard.h"

enum store_result dump_write(struct transaction *tx, struct store_key key, struct rdb_writer *w)
{
    struct found f = shard_lookup(tx, tx->db, key, LOOKUP_READ);
    if (!f.entry)
        return STORE_MISSING;
    rdb_payload_write(w, f.entry);
    rdb_writer_done(w);
    return w->failed ? STORE_NO_MEMORY : STORE_OK;
}

bool dump_is_payload(struct slice payload)
{
    struct slice body;
    return rdb_payload_check(payload, &body);
}

enum rdb_result dump_restore(struct transaction *tx, struct store_key key, struct slice payload,
                             int64_t at_ms, const struct restore_options *options)
{
    struct rdb_target target = {tx->keyspace, key.name, at_ms, tx->now_ms};
    struct slice body = {payload.data, payload.size - RDB_FOOTER};
    struct rdb_reader r = rdb_reader_of(body);
    struct entry *e;
    enum rdb_result result = rdb_value_read(&r, &target, &e);
    if (result == RDB_OK && restore_put(tx, key, e, options) != STORE_OK) {
        entry_free(e);
        result = RDB_NO_MEMORY;
    }
    return result;
}
