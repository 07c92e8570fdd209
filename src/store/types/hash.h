/* hash.h - the hash type: fields with values, and a deadline for any field.
 *
 *     struct hash_view v;
 *     enum store_result rc = hash_open(tx, key, LOOKUP_READ, &v);
 *     if (rc == STORE_OK && hash_get(&v, field, &value)) ...
 *
 * Up to hash-max-listpack-entries fields of at most hash-max-listpack-value bytes lie packed, field after value; beyond,
 * and when a field gets a deadline, in a table (hash_object.h), which stays one. A field whose time is over is nowhere to
 * be seen: looking the key up drops it.
 *
 * Results of a view live until the hash changes. Operations on several fields that run out of memory half-way keep what
 * they have done, and have told it. The key's shard is held; none parks.
 */
#pragma once

#include "base/number.h"
#include "store/shard.h"

/* A value as text. `bytes` points into the store, or, for an integer, into `digits`: do not copy the struct. */
struct hash_text {
    struct slice bytes;
    char digits[NUMBER_INT64_MAX_SIZE];
};

/* A hash that is there. */
struct hash_view {
    struct transaction *tx;
    struct store_key key;
    struct found f;
    uint64_t changed; /* fields that hash_take and hash_set_deadline changed */
    bool expected;    /* deadlines may have come */
    int64_t due_ms;   /* what was known of them before */
};

/* ---- reading ---- */

/* STORE_OK, STORE_MISSING (the view is empty, and may be asked) or STORE_WRONG_TYPE. */
enum store_result hash_open(struct transaction *tx, struct store_key key, enum lookup_how how,
                            struct hash_view *v);
size_t hash_count(const struct hash_view *v);
/* False: no such field. */
bool hash_get(const struct hash_view *v, struct slice field, struct hash_text *value);
/* The deadline or EXPIRY_NONE in *at_ms. False: no such field. */
bool hash_deadline(const struct hash_view *v, struct slice field, int64_t *at_ms);

/* The slices die when it returns. */
typedef void (*hash_visit_fn)(void *context, struct slice field, struct slice value);
void hash_each(const struct hash_view *v, hash_visit_fn visit, void *context);
/* Visits about `count` fields from `cursor` on: the next cursor, 0 at the end. A packed hash is visited whole. */
uint64_t hash_scan(const struct hash_view *v, uint64_t cursor, uint64_t count, hash_visit_fn visit,
                   void *context);
/* `count` random fields, all different; there are at least that many. */
void hash_random_distinct(const struct hash_view *v, size_t count, hash_visit_fn visit,
                          void *context);
/* `count` draws from a hash that is not empty; a field may come again. */
void hash_random_any(const struct hash_view *v, uint64_t count, hash_visit_fn visit, void *context);

/* ---- writing ---- */

/* HSET: `count` pairs of field and value. *added: how many are new. The fields lose their deadlines. Event "hset". */
enum store_result hash_set(struct transaction *tx, struct store_key key, const struct slice *pairs,
                           size_t count, size_t *added);
/* HSETNX: STORE_NOT_MET if there is such a field. */
enum store_result hash_set_new(struct transaction *tx, struct store_key key, struct slice field,
                               struct slice value);

enum hash_condition {
    HASH_KEY_NX = 1 << 0,    /* only if the key does not exist */
    HASH_KEY_XX = 1 << 1,    /* only if it does */
    HASH_FIELDS_NX = 1 << 2, /* only if none of the fields exists */
    HASH_FIELDS_XX = 1 << 3, /* only if all do */
};
struct hash_set_options {
    uint32_t conditions;
    bool keep_ttl;
    int64_t at_ms; /* EXPIRY_NONE: no deadline; one that has passed removes the fields instead */
};
/* HSETEX. STORE_OK, STORE_NOT_MET, STORE_WRONG_TYPE, STORE_NO_MEMORY. Events "hset", then "hexpire" if there is a
 * deadline, then "hexpired" if that has passed. */
enum store_result hash_set_with(struct transaction *tx, struct store_key key,
                                const struct slice *pairs, size_t count,
                                const struct hash_set_options *options);

/* HINCRBY: STORE_NOT_INTEGER, STORE_OVERFLOW. The field keeps its deadline. */
enum store_result hash_increment(struct transaction *tx, struct store_key key, struct slice field,
                                 int64_t delta, int64_t *value);
/* HINCRBYFLOAT: STORE_NOT_FLOAT, STORE_NAN. `out` has NUMBER_LONG_DOUBLE_SIZE bytes. */
enum store_result hash_increment_float(struct transaction *tx, struct store_key key,
                                       struct slice field, long double delta, char *out,
                                       size_t *size);

/* Single fields of an open view; hash_commit must follow. */
bool hash_take(struct hash_view *v, struct slice field); /* false: there was none */
/* Conditions are enum expire_condition. STORE_OK; STORE_EXISTS: the deadline has passed, the field is gone; STORE_MISSING;
 * STORE_NOT_MET; STORE_NO_MEMORY. EXPIRY_NONE drops the deadline (STORE_NOT_MET: it had none). */
enum store_result hash_set_deadline(struct hash_view *v, struct slice field, int64_t at_ms,
                                    uint32_t conditions);
/* Tells what the view changed as one event; drops the key if nothing is left. */
void hash_commit(struct hash_view *v, const char *event);
