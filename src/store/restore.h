/* restore.h - puts a value that was made elsewhere (persist/rdb_value.h) under its name: RESTORE. */
#pragma once

#include "store/keyspace.h"

#include <stdbool.h>
#include <stdint.h>

struct restore_options {
    bool replace;
    int64_t idle_s;    /* seconds since the last access, if the clock tells that; -1: now */
    int64_t frequency; /* access counter, if the clock is one; -1: a new key's */
};

/* True if the name is free or may be taken: what RESTORE looks at first. Counts no hit or miss. */
bool restore_may_put(struct transaction *tx, struct store_key key, bool replace);

/* Puts `e`, whose key is this one, in place of what is there. An entry that is over already only removes that ("del").
 * Takes `e` over in any case but STORE_NO_MEMORY, which leaves everything as it was. Event "restore", one change. */
enum store_result restore_put(struct transaction *tx, struct store_key key, struct entry *e,
                              const struct restore_options *options);
