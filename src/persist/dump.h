/* dump.h - DUMP and RESTORE: a key's value as a payload (rdb_value.h), and a payload as a key.
 *
 * The key's shard is held; neither parks. */
#pragma once

#include "persist/rdb_reader.h"
#include "persist/rdb_writer.h"
#include "store/restore.h"

/* Writes the payload to an empty writer; rdb_writer_done is called. STORE_OK, and w->bytes is the caller's (tu_free);
 * STORE_MISSING; STORE_NO_MEMORY. Counts a hit or a miss. */
enum store_result dump_write(struct transaction *tx, struct store_key key, struct rdb_writer *w);

/* Puts what the payload says under the name, whatever is there (restore_put). `at_ms`: its deadline or EXPIRY_NONE.
 * RDB_BAD: the payload passed dump_is_payload but holds no sound value of a known type; nothing was done then, nor with
 * RDB_NO_MEMORY. */
enum rdb_result dump_restore(struct transaction *tx, struct store_key key, struct slice payload,
                             int64_t at_ms, const struct restore_options *options);
/* True if the payload's version is known and its checksum right. */
bool dump_is_payload(struct slice payload);
