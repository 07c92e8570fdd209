/* verify.h - is everything as it must be? Aborts at the first thing that is not (tu_check). For tests, fuzzers and DEBUG VERIFY: what is
 * looked at is walked whole.
 */
#pragma once

#include "store/entry.h"
#include "store/transaction.h"

/* A key and its value. */
void verify_entry(const struct entry *e);
/* The value of a key, whose shard is held. False: there is no such key. */
bool verify_key(struct transaction *tx, struct store_key key);
/* All tables, indexes and values; tx holds all. The number of keys, expired ones included. */
uint64_t verify_all(struct transaction *tx);
