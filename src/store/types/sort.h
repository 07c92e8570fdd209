/* sort.h - SORT: the elements of a list, set or sorted set in an order of the caller's.
 *
 * Patterns name other keys: what stands in the place of the first '*' is an element, and "->name" at the end asks for a
 * field of a hash. Who gives patterns that name keys (sort_reads_keys) holds all shards, else those of the key and of
 * the destination suffice. None parks.
 */
#pragma once

#include "store/keyspace.h"

struct sort_options {
    struct slice by; /* data NULL: the elements themselves; without '*': as they come */
    const struct slice
        *get; /* patterns of what to show instead of an element, "#" being the element */
    size_t get_count;
    bool descending, alpha;
    int64_t offset, count; /* of the elements in order; count below 0: to the end */
};

/* False: a pattern of BY that means no order. */
bool sort_has_star(struct slice pattern);
/* True if the patterns name keys. */
bool sort_reads_keys(const struct sort_options *o);

/* `each` gets data NULL for what a pattern does not find. Neither may park nor call the store. */
struct sort_visitor {
    void (*begin)(void *context, size_t count);
    void (*each)(void *context, struct slice text);
    void *context;
};
/* STORE_OK (a missing key is empty), STORE_WRONG_TYPE, STORE_NOT_FLOAT (an element to compare is no number),
 * STORE_NO_MEMORY; nothing is shown then. */
enum store_result sort_show(struct transaction *tx, struct store_key key,
                            const struct sort_options *o, const struct sort_visitor *visitor);
/* Puts the result as a list under `to`, whatever is there, or removes that if the result is empty. */
enum store_result sort_store(struct transaction *tx, struct store_key key,
                             const struct sort_options *o, struct store_key to, size_t *size);
