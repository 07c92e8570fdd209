/* string_edit.h - strings as bytes to be written in place, for the types that are made of them (bitmaps, HyperLogLogs).
 *
 *     struct found f;
 *     unsigned char *bytes;
 *     size_t before;
 *     enum store_result rc = string_edit(tx, key, size, &f, &bytes, &before);
 *
 * The key's shard is held; none parks.
 */
#pragma once

#include "store/shard.h"

/* Makes the string at `key`, which may be missing, at least `size` bytes long, with zeros behind its old end: *bytes, to be
 * written, and *before, how many there were. OBJECT ENCODING says raw from then on. Counts no change. STORE_OK,
 * STORE_WRONG_TYPE, or STORE_NO_MEMORY with everything as before. */
enum store_result string_edit(struct transaction *tx, struct store_key key, size_t size,
                              struct found *f, unsigned char **bytes, size_t *before);
/* Replaces whatever is at `key` by a raw string. `bytes` may lie in the store. Counts no change. STORE_OK or
 * STORE_NO_MEMORY. */
enum store_result string_put_raw(struct transaction *tx, struct store_key key, struct slice bytes);
