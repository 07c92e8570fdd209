/* lin_hashes.c - hashes in the model. */
#include "linearizability/lin_run.h"

#include "base/check.h"

#include <stdlib.h>

/* ---- hashes ---- */

static bool hash_set(struct lin_items *hash, struct slice field, struct slice value)
{
    int at = lin_items_find(hash, 2, field);
    if (at >= 0) {
        hash->at[at + 1] = value;
        return false;
    }
    lin_items_insert(hash, hash->count, field);
    lin_items_insert(hash, hash->count, value);
    lin_items_sort(hash, 2);
    return true;
}

static void run_hset(struct lin_run *run)
{
    int64_t n = 0;
    struct lin_items *hash = lin_open_as(run, 1, LIN_HASH);
    if (hash == NULL)
        return;
    for (unsigned i = 2; i < run->command->count; i += 2)
        n += hash_set(hash, lin_word(run, i), lin_word(run, i + 1));
    lin_put(run, 1, hash);
    lin_out_integer(run, n);
}

static void run_hsetnx(struct lin_run *run)
{
    struct lin_items *hash = lin_open_as(run, 1, LIN_HASH);
    if (hash == NULL)
        return;
    bool is_new = lin_items_find(hash, 2, lin_word(run, 2)) < 0;
    if (is_new) {
        (void)hash_set(hash, lin_word(run, 2), lin_word(run, 3));
        lin_put(run, 1, hash);
    }
    lin_out_integer(run, is_new);
}

static void run_hget(struct lin_run *run)
{
    struct lin_items *hash = lin_open_as(run, 1, LIN_HASH);
    if (hash != NULL)
        lin_out_field(run, hash, lin_word(run, 2));
}

static void run_hmget(struct lin_run *run)
{
    struct lin_items *hash = lin_open_as(run, 1, LIN_HASH);
    if (hash == NULL)
        return;
    lin_out_array(run, run->command->count - 2);
    for (unsigned i = 2; i < run->command->count; i++)
        lin_out_field(run, hash, lin_word(run, i));
}

static void run_hdel(struct lin_run *run)
{
    struct lin_items *hash = lin_open_as(run, 1, LIN_HASH);
    if (hash == NULL)
        return;
    int at = lin_items_find(hash, 2, lin_word(run, 2));
    if (at >= 0) {
        lin_items_remove(hash, (unsigned)at, 2);
        lin_put(run, 1, hash);
    }
    lin_out_integer(run, at >= 0);
}

static void run_hlen(struct lin_run *run)
{
    struct lin_items *hash = lin_open_as(run, 1, LIN_HASH);
    if (hash != NULL)
        lin_out_integer(run, hash->count / 2);
}

static void run_hgetall(struct lin_run *run)
{
    struct lin_items *hash = lin_open_as(run, 1, LIN_HASH);
    if (hash != NULL)
        lin_out_items(run, hash);
}

static void run_hincrby(struct lin_run *run)
{
    struct lin_items *hash = lin_open_as(run, 1, LIN_HASH);
    if (hash == NULL)
        return;
    int at = lin_items_find(hash, 2, lin_word(run, 2));
    int64_t n = at >= 0 ? lin_sure_number(hash->at[at + 1]) : 0;
    n += lin_sure_number(lin_word(run, 3));
    (void)hash_set(hash, lin_word(run, 2), lin_number_text(run, n));
    lin_put(run, 1, hash);
    lin_out_integer(run, n);
}

static const struct lin_row rows[] = {
    {"HSET $h %f %v", run_hset, 5, LIN_ORDERED},
    {"HSET $h %f %v %f %v", run_hset, 3, LIN_ORDERED},
    {"HSETNX $h %f %v", run_hsetnx, 2, LIN_ORDERED},
    {"HGET $h %f", run_hget, 4, LIN_ORDERED},
    {"HMGET $h %f %f", run_hmget, 3, LIN_ORDERED},
    {"HDEL $h %f", run_hdel, 4, LIN_ORDERED},
    {"HLEN $h", run_hlen, 1, LIN_ORDERED},
    {"HGETALL $h", run_hgetall, 3, LIN_PAIRS_ANY_ORDER},
    {"HINCRBY $h %f %n", run_hincrby, 4, LIN_ORDERED},
};

const struct lin_family lin_hashes_family = {rows, sizeof rows / sizeof *rows};
