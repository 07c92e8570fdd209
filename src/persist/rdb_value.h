/* rdb_value.h - a key's value in the form that RDB files and DUMP payloads have, and back.
 *
 * What comes in may be anything: it is accepted if it is a value that could have been written; never more memory is asked for than a small multiple of what came. Which form a collection takes in the
 * store follows from the limits (type_limits.h), as if the peers had loaded it. The shard of the key need not be held:
 * nothing is put into the keyspace here (rdb_payload.h does that). Never parks.
 */
#pragma once

#include "persist/rdb_reader.h"
#include "persist/rdb_writer.h"
#include "store/entry.h"

struct keyspace;

/* What an entry is made for. */
struct rdb_target {
    struct keyspace *keyspace; /* its limits, its secret */
    struct slice key;
    int64_t expire_at_ms; /* EXPIRY_NONE: no deadline */
    int64_t now_ms;
};

/* True for types of values that can be written and read. */
bool rdb_value_is_known(enum store_type type);

/* Writes type and body. */
void rdb_value_write(struct rdb_writer *w, const struct entry *e);

/* Reads type and body: RDB_OK, and *out is the caller's; else nothing is held. */
enum rdb_result rdb_value_read(struct rdb_reader *r, const struct rdb_target *target,
                               struct entry **out);
