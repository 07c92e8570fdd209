/* list.h - the list type.
 *
 * A list is a packed (index/packed.h) in its entry while it stays within list-max-listpack-size, and a quicklist
 * (index/quicklist.h) beyond that. Operations hold the shards of their keys (transaction.h) and never park. A list
 * without elements does not exist: whoever takes the last one removes the key.
 *
 * Elements are shown through a visitor, before they are taken out. Their slices die when the call returns.
 */
#pragma once

#include "store/keyspace.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum list_end { LIST_LEFT, LIST_RIGHT };

/* Neither function may park nor call the store. */
struct list_visitor {
    void (*begin)(void *context, size_t count); /* once, with the number of elements; may be NULL */
    void (*each)(void *context, struct slice element);
    void *context;
};

/* Adds `count` elements one after the other; *size is the new length. STORE_OK, STORE_WRONG_TYPE, STORE_NO_MEMORY,
 * and with only_if_exists STORE_MISSING. Event "lpush" or "rpush", `count` changes. */
enum store_result list_push(struct transaction *tx, struct store_key key, enum list_end end,
                            const struct slice *values, size_t count, bool only_if_exists,
                            size_t *size);

/* Puts a list of these elements under the key, whatever is there; none: removes that ("del"). STORE_OK or
 * STORE_NO_MEMORY; `event` is that of the new list, as many changes as elements. */
enum store_result list_store(struct transaction *tx, struct store_key key,
                             const struct slice *values, size_t count, const char *event);

/* Takes up to `count` elements, the outermost first, and shows them. STORE_OK, STORE_MISSING or STORE_WRONG_TYPE (then
 * nothing is shown). Event "lpop" or "rpop", then "del" if none is left; as many changes as elements. With count 0
 * only begin(0) is called. */
enum store_result list_pop(struct transaction *tx, struct store_key key, enum list_end end,
                           size_t count, const struct list_visitor *shown);

/* Takes the outermost element of `from` and puts it on `to`, which may be the same key; shows it. STORE_OK,
 * STORE_MISSING (no source; `to` was not looked at), STORE_WRONG_TYPE, STORE_NO_MEMORY. Events of the push, of the pop,
 * and "del" of a source without elements. */
enum store_result list_move(struct transaction *tx, struct store_key from, enum list_end from_end,
                            struct store_key to, enum list_end to_end,
                            const struct list_visitor *shown);

/* The following give STORE_OK, STORE_MISSING or STORE_WRONG_TYPE, and what is said of them. Indexes are from 0, negative
 * ones from the end, -1 being the last. */

enum store_result list_size(struct transaction *tx, struct store_key key, size_t *size);
/* STORE_OUT_OF_RANGE: there is no such element. */
enum store_result list_get(struct transaction *tx, struct store_key key, int64_t index,
                           const struct list_visitor *shown);
/* STORE_OUT_OF_RANGE, STORE_NO_MEMORY. Event "lset". */
enum store_result list_set(struct transaction *tx, struct store_key key, int64_t index,
                           struct slice value);
/* Shows first..last inclusive, cut to what is there. */
enum store_result list_range(struct transaction *tx, struct store_key key, int64_t first,
                             int64_t last, const struct list_visitor *shown);
/* Keeps first..last inclusive only. Events "ltrim", and "del" if nothing is left. */
enum store_result list_trim(struct transaction *tx, struct store_key key, int64_t first,
                            int64_t last);
/* Removes the first `count` elements that equal `value`, the last -count if negative, all if 0. Events "lrem", and
 * "del" if nothing is left; neither when *removed is 0. */
enum store_result list_remove(struct transaction *tx, struct store_key key, int64_t count,
                              struct slice value, size_t *removed);
/* Puts `value` before or after the first element that equals `pivot`. STORE_NOT_MET: there is none;
 * STORE_NO_MEMORY. Event "linsert". */
enum store_result list_insert(struct transaction *tx, struct store_key key, bool after,
                              struct slice pivot, struct slice value, size_t *size);

struct list_search {
    struct slice value;
    int64_t rank;    /* 1: from the first match on; -1: from the last one backwards; not 0 */
    uint64_t count;  /* matches to report; 0: all */
    uint64_t maxlen; /* elements to look at; 0: all */
};
/* Calls `each` with the index of every match, in the order of the search. */
enum store_result list_search(struct transaction *tx, struct store_key key,
                              const struct list_search *search,
                              void (*each)(void *context, size_t index), void *context);
