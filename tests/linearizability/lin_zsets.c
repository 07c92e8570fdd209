/* lin_zsets.c - sorted sets in the model. */
#include "linearizability/lin_run.h"

#include "base/check.h"

#include <stdlib.h>

/* ---- sorted sets ---- */

static int compare_by_score(const void *a, const void *b)
{
    const struct slice *x = a, *y = b; /* member, score */
    int64_t n = lin_sure_number(x[1]), m = lin_sure_number(y[1]);
    return n != m ? (n < m ? -1 : 1) : lin_text_compare(x[0], y[0]);
}

static void zset_sort(struct lin_items *zset)
{
    qsort(zset->at, zset->count / 2, 2 * sizeof *zset->at, compare_by_score);
}

/* True if the member is new; *changed: something is another than before. */
static bool zset_put(struct lin_items *zset, struct slice member, struct slice score, bool *changed)
{
    int at = lin_items_find(zset, 2, member);
    if (at < 0) {
        lin_items_insert(zset, zset->count, member);
        lin_items_insert(zset, zset->count, score);
    } else if (slice_equal(zset->at[at + 1], score)) {
        return false;
    } else {
        zset->at[at + 1] = score;
    }
    *changed = true;
    zset_sort(zset);
    return at < 0;
}

static void run_zadd(struct lin_run *run)
{
    int64_t n = 0;
    bool changed = false;
    struct lin_items *zset = lin_open_as(run, 1, LIN_ZSET);
    if (zset == NULL)
        return;
    for (unsigned i = 2; i < run->command->count; i += 2)
        n += zset_put(zset, lin_word(run, i + 1), lin_word(run, i), &changed);
    if (changed)
        lin_put(run, 1, zset);
    lin_out_integer(run, n);
}

static void run_zincrby(struct lin_run *run)
{
    bool changed = false;
    struct lin_items *zset = lin_open_as(run, 1, LIN_ZSET);
    if (zset == NULL)
        return;
    int at = lin_items_find(zset, 2, lin_word(run, 3));
    int64_t n =
        lin_sure_number(lin_word(run, 2)) + (at >= 0 ? lin_sure_number(zset->at[at + 1]) : 0);
    struct slice score = lin_number_text(run, n);
    (void)zset_put(zset, lin_word(run, 3), score, &changed);
    if (changed)
        lin_put(run, 1, zset);
    lin_out_bulk(run, score);
}

static void run_zrem(struct lin_run *run)
{
    struct lin_items *zset = lin_open_as(run, 1, LIN_ZSET);
    if (zset == NULL)
        return;
    int at = lin_items_find(zset, 2, lin_word(run, 2));
    if (at >= 0) {
        lin_items_remove(zset, (unsigned)at, 2);
        lin_put(run, 1, zset);
    }
    lin_out_integer(run, at >= 0);
}

static void run_zscore(struct lin_run *run)
{
    struct lin_items *zset = lin_open_as(run, 1, LIN_ZSET);
    if (zset != NULL)
        lin_out_field(run, zset, lin_word(run, 2));
}

static void run_zrank(struct lin_run *run)
{
    struct lin_items *zset = lin_open_as(run, 1, LIN_ZSET);
    if (zset == NULL)
        return;
    int at = lin_items_find(zset, 2, lin_word(run, 2));
    if (at >= 0)
        lin_out_integer(run, at / 2);
    else
        lin_out_nil(run);
}

static void run_zcard(struct lin_run *run)
{
    struct lin_items *zset = lin_open_as(run, 1, LIN_ZSET);
    if (zset != NULL)
        lin_out_integer(run, zset->count / 2);
}

static void run_zrange(struct lin_run *run)
{
    struct lin_items *zset = lin_open_as(run, 1, LIN_ZSET);
    if (zset != NULL)
        lin_out_items(run, zset);
}

static void zset_pop(struct lin_run *run, bool max)
{
    struct lin_items *zset = lin_open_as(run, 1, LIN_ZSET);
    if (zset == NULL)
        return;
    lin_out_array(run, zset->count != 0 ? 2 : 0);
    if (zset->count == 0)
        return;
    unsigned at = max ? zset->count - 2 : 0;
    lin_out_bulk(run, zset->at[at]);
    lin_out_bulk(run, zset->at[at + 1]);
    lin_items_remove(zset, at, 2);
    lin_put(run, 1, zset);
}

static void run_zpopmin(struct lin_run *run)
{
    zset_pop(run, false);
}

static void run_zpopmax(struct lin_run *run)
{
    zset_pop(run, true);
}

static void run_zmpop(struct lin_run *run)
{
    for (unsigned i = 2; i < 4; i++) {
        struct lin_items *zset = lin_open_as(run, i, LIN_ZSET);
        if (zset == NULL)
            return;
        if (zset->count == 0)
            continue;
        lin_out_array(run, 2);
        lin_out_bulk(run, lin_word(run, i));
        lin_out_array(run, 1);
        lin_out_array(run, 2);
        lin_out_bulk(run, zset->at[0]);
        lin_out_bulk(run, zset->at[1]);
        lin_items_remove(zset, 0, 2);
        lin_put(run, i, zset);
        return;
    }
    lin_out_no_array(run);
}

static void run_bzpopmin(struct lin_run *run)
{
    for (unsigned i = 1; i < 3; i++) {
        struct lin_items *zset = lin_open_as(run, i, LIN_ZSET);
        if (zset == NULL)
            return;
        if (zset->count == 0)
            continue;
        lin_out_array(run, 3);
        lin_out_bulk(run, lin_word(run, i));
        lin_out_bulk(run, zset->at[0]);
        lin_out_bulk(run, zset->at[1]);
        lin_items_remove(zset, 0, 2);
        lin_put(run, i, zset);
        return;
    }
    lin_out_no_array(run);
}

/* A source of ZUNIONSTORE: a set's members have score 1. */
static struct lin_items *open_scored(struct lin_run *run, unsigned at)
{
    bool set = lin_value_type(*lin_slot(run, at)) == LIN_SET;
    struct lin_items *items = lin_open_as(run, at, set ? LIN_SET : LIN_ZSET);
    for (unsigned i = 1; set && i <= items->count; i += 2)
        lin_items_insert(items, i, SLICE("1"));
    return items;
}

/* ZUNIONSTORE and ZINTERSTORE of two. */
static void zset_combine(struct lin_run *run, bool all)
{
    bool changed;
    struct lin_items *a = open_scored(run, 3);
    struct lin_items *b = a != NULL ? open_scored(run, 4) : NULL;
    if (b == NULL)
        return;
    struct lin_items *sum = &run->room[run->rooms++];
    sum->type = LIN_ZSET;
    sum->count = 0;
    for (unsigned i = 0; i < a->count; i += 2) {
        int other = lin_items_find(b, 2, a->at[i]);
        int64_t n =
            lin_sure_number(a->at[i + 1]) + (other >= 0 ? lin_sure_number(b->at[other + 1]) : 0);
        if (all || other >= 0)
            (void)zset_put(sum, a->at[i], lin_number_text(run, n), &changed);
    }
    for (unsigned i = 0; all && i < b->count; i += 2)
        if (lin_items_find(a, 2, b->at[i]) < 0)
            (void)zset_put(sum, b->at[i], b->at[i + 1], &changed);
    lin_store(run, 1, sum);
    lin_out_integer(run, sum->count / 2);
}

static void run_zunionstore(struct lin_run *run)
{
    zset_combine(run, true);
}

static void run_zinterstore(struct lin_run *run)
{
    zset_combine(run, false);
}

static void run_zrangestore(struct lin_run *run)
{
    struct lin_items *zset = lin_open_as(run, 2, LIN_ZSET);
    if (zset == NULL)
        return;
    lin_store(run, 1, zset);
    lin_out_integer(run, zset->count / 2);
}

static const struct lin_row rows[] = {
    {"ZADD $z %n %m", run_zadd, 5, LIN_ORDERED},
    {"ZADD $z %n %m %n %m", run_zadd, 3, LIN_ORDERED},
    {"ZINCRBY $z %n %m", run_zincrby, 4, LIN_ORDERED},
    {"ZREM $z %m", run_zrem, 3, LIN_ORDERED},
    {"ZSCORE $z %m", run_zscore, 3, LIN_ORDERED},
    {"ZRANK $z %m", run_zrank, 2, LIN_ORDERED},
    {"ZCARD $z", run_zcard, 1, LIN_ORDERED},
    {"ZRANGE $z 0 -1 WITHSCORES", run_zrange, 4, LIN_ORDERED},
    {"ZPOPMIN $z", run_zpopmin, 3, LIN_ORDERED},
    {"ZPOPMAX $z", run_zpopmax, 2, LIN_ORDERED},
    {"ZMPOP 2 $z $z MIN", run_zmpop, 2, LIN_ORDERED},
    {"BZPOPMIN $z $z 0.002", run_bzpopmin, 2, LIN_ORDERED},
    {"ZUNIONSTORE $z 2 $z $z", run_zunionstore, 2, LIN_ORDERED},
    {"ZINTERSTORE $z 2 $z $z", run_zinterstore, 1, LIN_ORDERED},
    {"ZRANGESTORE $z $z 0 -1", run_zrangestore, 1, LIN_ORDERED},
};

const struct lin_family lin_zsets_family = {rows, sizeof rows / sizeof *rows};
