/* string.h - the string type.
 *
 * A string that is an int64 in canonical form is stored as one; small values live in the entry of
 * their key, larger ones in a block of their own that grows with slack. Operations here hold the
 * key's shard (transaction.h) and never park. Sizes are checked by the caller against
 * proto-max-bulk-len where an argument decides them (`max_size`).
 */
#pragma once

#include "base/number.h"
#include "store/keyspace.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A value as text. `bytes` points into the store, or, for an integer, into `digits`: do not copy the
 * struct, and read it before the next operation on the key. */
struct string_value {
    struct slice bytes;
    char digits[NUMBER_INT64_MAX_SIZE + 4];
};

/* STORE_OK, STORE_MISSING or STORE_WRONG_TYPE. Counts a hit or a miss. */
enum store_result string_get(struct transaction *tx, struct store_key key,
                             struct string_value *out);

enum string_set_when {
    STRING_SET_ALWAYS,
    STRING_SET_NX, /* only if the key does not exist */
    STRING_SET_XX, /* only if it exists */
    /* only if it is a string that ... */
    STRING_SET_IFEQ,  /* equals `compare` */
    STRING_SET_IFDEQ, /* has `compare` as its digest (string_digest, in any case) */
    /* only if there is no key, or a string that ... */
    STRING_SET_IFNE,  /* does not equal `compare` */
    STRING_SET_IFDNE, /* does not have `compare` as its digest */
};
struct string_set_options {
    enum string_set_when when;
    struct slice compare; /* IFEQ, IFNE; 16 hexadecimal digits for IFDEQ, IFDNE */
    bool keep_ttl;        /* the deadline stays */
    int64_t expire_at_ms; /* Unix time; 0: none. Not in the future: the key is deleted instead */
    struct string_value *old; /* not NULL (SET .. GET): receives the value before; `found` tells */
    bool *found;              /* with `old`: whether there was one */
};
/* SET. `options` may be NULL. STORE_OK; STORE_NOT_MET: the condition failed (`old` is filled in all
 * the same); STORE_WRONG_TYPE: `old` or one of the IFs met another type; STORE_NO_MEMORY. Events: "set", and
 * "expire" if a deadline was given. */
enum store_result string_set(struct transaction *tx, struct store_key key, struct slice value,
                             const struct string_set_options *options);

/* MSET, MSETNX, MSETEX: all or nothing (but for memory that is used up half-way). `keys` and `values` have `count` elements; `when` is ALWAYS,
 * NX (none may exist) or XX (all must exist). STORE_OK, STORE_NOT_MET, STORE_NO_MEMORY. */
enum store_result string_set_many(struct transaction *tx, const struct store_key *keys,
                                  const struct slice *values, size_t count,
                                  const struct string_set_options *options);

/* GETDEL: the value, and the key is gone. */
enum store_result string_get_delete(struct transaction *tx, struct store_key key,
                                    struct string_value *out);
/* GETEX: the value, and the deadline changes: at_ms > 0 sets it (not in the future: deletes),
 * EXPIRY_NONE removes it, 0 leaves it. */
enum store_result string_get_expire(struct transaction *tx, struct store_key key, int64_t at_ms,
                                    struct string_value *out);
/* DELIFEQ, DELEX: `when` is one of the IFs. STORE_OK: deleted; STORE_MISSING, STORE_NOT_MET, STORE_WRONG_TYPE. */
enum store_result string_delete_if(struct transaction *tx, struct store_key key,
                                   enum string_set_when when, struct slice compare);
/* DIGEST: XXH3 of the value (xxh3.h) as 16 lower-case hexadecimal digits, as string_get. */
enum store_result string_digest(struct transaction *tx, struct store_key key,
                                struct string_value *out);

/* Appends; *size is the new size. STORE_TOO_BIG beyond max_size. Event "append". */
enum store_result string_append(struct transaction *tx, struct store_key key, struct slice tail,
                                size_t max_size, size_t *size);
/* Overwrites from `offset` on, zero bytes in between; an empty `bytes` changes nothing. */
enum store_result string_set_range(struct transaction *tx, struct store_key key, size_t offset,
                                   struct slice bytes, size_t max_size, size_t *size);
/* Bytes start..end inclusive, negative from the end; a missing key gives STORE_OK and an empty
 * slice. */
enum store_result string_get_range(struct transaction *tx, struct store_key key, int64_t start,
                                   int64_t end, struct string_value *out);
/* STORE_OK with *size (0 for a missing key) or STORE_WRONG_TYPE. */
enum store_result string_size(struct transaction *tx, struct store_key key, size_t *size);

/* INCRBY, DECRBY...: STORE_NOT_INTEGER, STORE_OVERFLOW, or STORE_OK with the new value. Event
 * "incrby". Keeps the deadline. */
enum store_result string_increment(struct transaction *tx, struct store_key key, int64_t delta,
                                   int64_t *value);
/* INCRBYFLOAT: the new text is in *out. STORE_NOT_FLOAT, STORE_NAN. Event "incrbyfloat". */
enum store_result string_increment_float(struct transaction *tx, struct store_key key,
                                         long double delta, struct string_value *out);

/* INCREX. The sum must lie between the bounds; `saturate`: one outside becomes the nearer bound. A deadline: 0 leaves it,
 * EXPIRY_NONE takes it away, else as SET's, with `only_without` for a key that has none (a new key has none). */
struct string_count {
    int64_t low, high;
    long double float_low, float_high; /* may be infinite */
    bool saturate;
    bool only_without;
    int64_t expire_at_ms;
};
/* *before and *value are what the number was and is: STORE_OK. STORE_NOT_MET: out of bounds, nothing was done, *before alone is
 * set. Errors and events as above, and "expire" or "persist". */
enum store_result string_count_integer(struct transaction *tx, struct store_key key, int64_t delta,
                                       const struct string_count *how, int64_t *before,
                                       int64_t *value);
enum store_result string_count_float(struct transaction *tx, struct store_key key,
                                     long double delta, const struct string_count *how,
                                     long double *before, long double *value);

/* LCS of two byte strings; pure, the caller frees result->text and result->matches with
 * string_lcs_free. STORE_NO_MEMORY when the table of a.size * b.size cells of 4 bytes cannot be had, or
 * either is 4 GiB or more. */
struct string_lcs_match {
    uint32_t a_start, a_end, b_start, b_end; /* inclusive */
};
struct string_lcs {
    size_t size;                      /* of the longest common subsequence */
    char *text;                       /* its bytes */
    struct string_lcs_match *matches; /* from the last to the first */
    size_t match_count;
};
enum store_result string_lcs(struct slice a, struct slice b, struct string_lcs *result);
void string_lcs_free(struct string_lcs *result);
