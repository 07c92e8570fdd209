/* rdb_payload.h - what DUMP gives and RESTORE takes: a value (rdb_value.h), a version and a checksum.
 *
 * The key's shard is held where a transaction is given. None parks.
 */
#pragma once

#include "persist/rdb_value.h"
#include "store/restore.h"

/* Writes a whole payload. */
void rdb_payload_write(struct rdb_writer *w, const struct entry *e);
/* True if the version is known and the checksum right; *body is the value then. */
bool rdb_payload_check(struct slice payload, struct slice *body);

/* DUMP, to an empty writer; rdb_writer_done is called. STORE_OK, and w->bytes is the caller's (tu_free); STORE_MISSING;
 * STORE_NO_MEMORY. Counts a hit or a miss. */
enum store_result rdb_payload_dump(struct transaction *tx, struct store_key key,
                                   struct rdb_writer *w);

/* RESTORE: puts what the body says under the name, whatever is there (restore_put). `at_ms`: its deadline or EXPIRY_NONE.
 * RDB_BAD: it is no sound value of a known type; nothing was done then, nor with RDB_NO_MEMORY. */
enum rdb_result rdb_payload_restore(struct transaction *tx, struct store_key key, struct slice body,
                                    int64_t at_ms, const struct restore_options *options);
