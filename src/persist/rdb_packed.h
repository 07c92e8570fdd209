/* rdb_packed.h - the compact forms of small collections in RDB, as the store's packed (store/index/packed.h).
 *
 * A listpack that holds its elements as the store would is used where it lies; anything else is written anew. What the
 * functions accept passes packed_is_valid, has integers as integers, and says its number of elements. With RDB_BAD and
 * RDB_NO_MEMORY nothing is held.
 */
#pragma once

#include "base/siphash.h"
#include "persist/rdb_reader.h"
#include "store/index/packed.h"

struct rdb_packed {
    struct packed view;   /* what it is */
    unsigned char *owned; /* NULL: in the input */
    size_t capacity, count;
};

/* Empty, in memory of its own. False: out of memory. */
bool rdb_packed_begin(struct rdb_packed *p);
/* Adds an element to one that was begun. False: out of memory, it is as it was. */
bool rdb_packed_add(struct rdb_packed *p, struct slice value);
void rdb_packed_free(struct rdb_packed *p);

enum rdb_result rdb_packed_of_listpack(struct slice bytes, struct rdb_packed *out);
enum rdb_result rdb_packed_of_ziplist(struct slice bytes, struct rdb_packed *out);
/* Names and values of a hash. */
enum rdb_result rdb_packed_of_zipmap(struct slice bytes, struct rdb_packed *out);

/* RDB_BAD if two of every step-th element are equal. */
enum rdb_result rdb_packed_distinct(struct packed p, size_t step, const struct siphash_key *secret);
