/* zset_combine.h - sorted sets made from others: union, intersection, difference, a range; told or stored.
 *
 * A result is gathered in a zset_result; storing it takes it over. The shards of all keys are held; none parks.
 */
#pragma once

#include "store/types/set.h"
#include "store/types/zset.h"
#include "store/types/zset_result.h"

enum zset_operation { ZSET_UNION, ZSET_INTER, ZSET_DIFF };
enum zset_aggregate { ZSET_SUM, ZSET_MIN, ZSET_MAX };

/* What goes in: a sorted set, a set, whose members count as having the score 1, or nothing; and what scores are multiplied
 * by. */
struct zset_input {
    struct zset_view view;
    struct set_view set;
    double weight;
};
/* Opens the key for reading, with weight 1. STORE_OK, STORE_MISSING or STORE_WRONG_TYPE. */
enum store_result zset_input_open(struct transaction *tx, struct store_key key,
                                  struct zset_input *input);

/* Gathers into *out, which the caller sorts and frees, or stores. Rearranges the inputs, of which there is at least one. Weights and
 * aggregate do not count for a difference. STORE_OK or STORE_NO_MEMORY. */
enum store_result zset_combine(struct transaction *tx, enum zset_operation operation,
                               enum zset_aggregate aggregate, struct zset_input *inputs,
                               size_t count, struct zset_result **out);
/* The size of the intersection, or `limit` if that is less and not 0. */
uint64_t zset_inter_count(struct zset_input *inputs, size_t count, uint64_t limit);

/* Puts the result under `key` in place of whatever is there; an empty one removes the key. Takes `r` over in any case.
 * *count: its members. One change, or with `each` as many as members. STORE_OK or STORE_NO_MEMORY: nothing has changed. */
enum store_result zset_store(struct transaction *tx, struct store_key key, struct zset_result *r,
                             const char *event, bool each, size_t *count);
/* ZRANGESTORE: the members of these ranks, taken from the highest with `reverse`. The source may be the same key. */
enum store_result zset_store_range(struct transaction *tx, struct store_key key,
                                   const struct zset_view *source, struct zset_ranks ranks,
                                   bool reverse, size_t *count);
