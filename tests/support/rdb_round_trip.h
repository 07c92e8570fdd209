/* rdb_round_trip.h - for the test and the fuzzer of persist/rdb_value: bytes -> value -> verified -> bytes -> the same value. */
#pragma once

#include "base/check.h"
#include "persist/rdb_payload.h"
#include "store/digest.h"
#include "store/restore.h"
#include "store/shard.h"
#include "store/verify.h"

#include <stdlib.h>
#include <string.h>
#include <tuco/mem.h>

static inline struct store_key round_trip_key(struct transaction *tx, const char *name)
{
    return (struct store_key){slice_of(name), keyspace_hash(tx->keyspace, slice_of(name))};
}

/* Puts type and body under `name`; everything is locked and nothing expires. */
static inline enum rdb_result round_trip_put(struct transaction *tx, const char *name,
                                             struct slice body)
{
    struct store_key key = round_trip_key(tx, name);
    struct rdb_target target = {tx->keyspace, key.name, EXPIRY_NONE, tx->now_ms};
    struct rdb_reader r = rdb_reader_of(body);
    struct entry *e = NULL;
    enum rdb_result result = rdb_value_read(&r, &target, &e);
    if (result != RDB_OK)
        return result;
    verify_entry(e);
    struct restore_options options = {true, -1, -1};
    tu_check(restore_put(tx, key, e, &options) == STORE_OK, "a value that cannot be put");
    return RDB_OK;
}

/* What `body` makes is written and read again, and is the same. */
static inline enum rdb_result round_trip(struct transaction *tx, struct slice body)
{
    uint8_t before[SHA1_SIZE], after[SHA1_SIZE];
    struct store_key key = round_trip_key(tx, "first"), again = round_trip_key(tx, "second");
    enum rdb_result result = round_trip_put(tx, "first", body);
    if (result != RDB_OK)
        return result;
    for (int compress = 0; compress < 2; compress++) {
        struct found f = shard_lookup(tx, 0, key, LOOKUP_PEEK);
        struct rdb_writer w = rdb_writer_new(compress);
        struct slice payload_body;
        rdb_payload_write(&w, f.entry);
        rdb_writer_done(&w);
        tu_check(!w.failed, "a value that cannot be written");
        tu_check(rdb_payload_check((struct slice){(const char *)w.bytes, w.size}, &payload_body),
                 "a payload of our own that is refused");
        tu_check(round_trip_put(tx, "second", payload_body) == RDB_OK,
                 "a value of our own that is refused");
        tu_free(w.bytes);
        f = shard_lookup(tx, 0, again, LOOKUP_PEEK);
        tu_check(f.entry->type == shard_lookup(tx, 0, key, LOOKUP_PEEK).entry->type, "the type");
        digest_value(tx, key, before);
        digest_value(tx, again, after);
        tu_check(memcmp(before, after, SHA1_SIZE) == 0, "another value after writing and reading");
    }
    return RDB_OK;
}
