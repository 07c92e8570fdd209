/* zset_object.h - a large sorted set: a table from member to element, and the tree of their order. Each element is one
 * allocation that both point to. Only the zset type's files use it. Functions that return false ran out of memory: nothing
 * has changed.
 */
#pragma once

#include "store/index/element_table.h"
#include "store/index/packed.h"
#include "store/index/score_sort.h"
#include "store/index/score_tree.h"

struct type_limits;
struct type_ops;

struct zset_object {
    struct element_table members;
    struct score_tree order;
};

struct zset_object *zset_object_new(const struct siphash_key *secret);
void zset_object_free(struct zset_object *o);
/* One of elements that are all different, whose words are the hashes of their names, and are overwritten; they are its own
 * then. NULL: out of memory, they are still the caller's. `in_order`: they are sorted. */
struct zset_object *zset_object_of_items(const struct siphash_key *secret,
                                         struct element_item *items, size_t count, bool in_order);
/* A member that is not there. */
bool zset_object_add(struct zset_object *o, struct slice member, double score);
/* Another score for the element at `place`. */
bool zset_object_rescore(struct zset_object *o, const struct element_place *place, double score);
/* False: there is no such member. */
bool zset_object_remove(struct zset_object *o, struct slice member);
void zset_object_remove_rank(struct zset_object *o, size_t rank);

/* ---- to and from the packed form: member before score, whole scores as integers, never -0 ---- */

/* The score at `at`. */
double zset_packed_score(struct packed p, size_t at);
/* The text of a score there; `out` has NUMBER_DOUBLE_MAX_SIZE bytes. */
struct slice zset_packed_text(double score, char *out);
/* What a member and its score take there, and writing them: the end of what was written. */
size_t zset_packed_pair_size(const struct element *e);
unsigned char *zset_packed_write_pair(unsigned char *to, const struct element *e);
/* NULL: out of memory. The members are all different. */
struct zset_object *zset_object_of_packed(const struct siphash_key *secret, struct packed p);
/* Bytes it would take; 0: beyond the limits of the packed form. */
size_t zset_object_packed_size(const struct zset_object *o, const struct type_limits *limits);
/* Writes as many. */
void zset_object_pack(const struct zset_object *o, unsigned char *to);

void zset_object_verify(const struct zset_object *o);

static inline size_t zset_object_count(const struct zset_object *o)
{
    return o->order.count;
}

extern const struct type_ops zset_type_ops;
