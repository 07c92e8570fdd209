/* stream.h - the stream type: operations on keys. Entries: stream_object.h; consumer groups: stream_group.h.
 *
 * A stream without entries exists until it is deleted. Operations hold the shard of their key and never park.
 */
#pragma once

#include "store/keyspace.h"
#include "store/types/stream_object.h"

/* Looks a stream up. STORE_OK, STORE_MISSING, STORE_WRONG_TYPE. The object is valid until the next operation that
 * changes the key; who changes it calls stream_changed. */
enum store_result stream_read(struct transaction *tx, struct store_key key,
                              const struct stream_object **out);
enum store_result stream_write(struct transaction *tx, struct store_key key,
                               struct stream_object **out);
/* The same, but makes an empty one ("new") where there is none; *made tells. Also STORE_NO_MEMORY. */
enum store_result stream_write_or_make(struct transaction *tx, struct store_key key,
                                       struct stream_object **out, bool *made);
void stream_changed(struct transaction *tx, struct store_key key, const char *event,
                    uint64_t dirty);
/* Who waits for entries of the stream looks again: one has come, or a group has gone. */
void stream_awaken(struct transaction *tx, struct store_key key);

enum stream_id_form { STREAM_ID_AUTO, STREAM_ID_AUTO_SEQ, STREAM_ID_GIVEN };
struct stream_addition {
    enum stream_id_form form;
    struct id id;              /* of AUTO_SEQ only the ms */
    bool only_if_exists;       /* STORE_MISSING where there is no stream */
    struct stream_trim trim;   /* afterwards */
    const struct slice *pairs; /* names and values */
    size_t count;              /* of pairs */
};
/* *added is the new id. STORE_OK, STORE_MISSING, STORE_WRONG_TYPE, STORE_NO_MEMORY, STORE_OVERFLOW (no greater id is left),
 * STORE_NOT_MET (the id is not greater than last_id), STORE_TOO_BIG. Events "xadd", "xtrim". */
enum store_result stream_add(struct transaction *tx, struct store_key key,
                             const struct stream_addition *what, struct id *added);
/* Event "xtrim". */
enum store_result stream_trim(struct transaction *tx, struct store_key key,
                              const struct stream_trim *trim, uint64_t *trimmed);

struct stream_limits stream_limits_of(const struct transaction *tx);
