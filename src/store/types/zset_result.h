/* zset_result.h - members and scores that are being gathered: what a union, an intersection or a search becomes, before it
 * is told or stored.
 *
 *     struct zset_result *r = zset_result_new(tx);
 *     ok = zset_result_add(r, member, score);                       for each
 *     rc = zset_store(tx, key, r, "zunionstore", &count);           takes it over
 *     or: zset_result_sort(r), zset_result_each(r, ...), zset_result_free(r)
 *
 * It is a list of elements, in any order. The table and the tree of a large sorted set are made of it at the end, when their
 * sizes are known: a fifth of the work of inserting one by one. A result that was joined (zset_result_join) finds
 * members by an index of its own. Belongs to one command. Never parks.
 */
#pragma once

#include "store/index/element_table.h"
#include "store/types/zset.h"

struct zset_result;
struct zset_object;
struct type_limits;

/* An empty one. NULL: out of memory. */
struct zset_result *zset_result_new(struct transaction *tx);
/* With its members; NULL is nothing. */
void zset_result_free(struct zset_result *r);
size_t zset_result_count(const struct zset_result *r);

/* Adds a member that is not there. False: out of memory, nothing has changed. */
bool zset_result_add(struct zset_result *r, struct slice member, double score);

/* The same for who knows the hash of the member's name. */
uint64_t zset_result_hash(const struct zset_result *r, struct slice member);
bool zset_result_add_hashed(struct zset_result *r, struct slice member, uint64_t hash,
                            double score);
/* Makes members findable, the coming ones too: about `count` are expected. False: out of memory. */
bool zset_result_join(struct zset_result *r, size_t count);
/* The member of a joined result, whose score may be set, or NULL. */
struct element *zset_result_find(const struct zset_result *r, struct slice member, uint64_t hash);

/* Puts the members in order; then nothing is added any more. False: out of memory. */
bool zset_result_sort(struct zset_result *r);
/* All of a sorted one. */
void zset_result_each(const struct zset_result *r, zset_visit_fn visit, void *context);
/* Bytes of the packed form; 0: it is beyond that form's limits. */
size_t zset_result_packed_size(const struct zset_result *r, const struct type_limits *limits);
/* Writes as many; it is sorted. */
void zset_result_pack(const struct zset_result *r, unsigned char *to);
/* A large sorted set of the members, which leave the result: it is empty then. NULL: out of memory, nothing has changed. */
struct zset_object *zset_result_object(struct zset_result *r);
