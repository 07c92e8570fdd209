/* store_result.h - how an operation on the store ends, and how a key is named.
 *
 * The server turns results into replies; the store knows no texts.
 */
#pragma once

#include "base/slice.h"

#include <stdint.h>

enum store_result {
    STORE_OK,
    STORE_MISSING,      /* there is no such key */
    STORE_WRONG_TYPE,   /* it holds another type */
    STORE_NOT_MET,      /* a condition (NX, XX, IFEQ, GT ...) did not hold: nothing was done */
    STORE_EXISTS,       /* the destination exists already */
    STORE_NOT_INTEGER,  /* the value is not an int64 */
    STORE_NOT_FLOAT,    /* the value is not a float */
    STORE_OVERFLOW,     /* an increment would leave int64 */
    STORE_NAN,          /* an increment would give NaN or infinity */
    STORE_TOO_BIG,      /* the value would exceed the caller's limit */
    STORE_OUT_OF_RANGE, /* an offset or index is not allowed */
    STORE_SAME,         /* source and destination are the same */
    STORE_NOT_HLL,      /* the string is no HyperLogLog */
    STORE_CORRUPT,      /* the string looks like one, but its inside makes no sense */
    STORE_POSTPONED,    /* nothing was done: it has to wait for its turn (long_work.h) */
    STORE_NO_MEMORY,    /* allocation failed: nothing was done */
};

/* A key and its hash, which the dispatcher has computed once with keyspace_hash. The bytes are the
 * caller's and are copied when a key is made. */
struct store_key {
    struct slice name;
    uint64_t hash;
};
