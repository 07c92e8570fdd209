/* lin_sets.c - sets in the model. */
#include "linearizability/lin_run.h"

#include "base/check.h"

#include <stdlib.h>

/* ---- sets ---- */

static bool set_add(struct lin_items *set, struct slice member)
{
    if (lin_items_find(set, 1, member) >= 0)
        return false;
    lin_items_insert(set, set->count, member);
    lin_items_sort(set, 1);
    return true;
}

static void run_sadd(struct lin_run *run)
{
    int64_t n = 0;
    struct lin_items *set = lin_open_as(run, 1, LIN_SET);
    if (set == NULL)
        return;
    for (unsigned i = 2; i < run->command->count; i++)
        n += set_add(set, lin_word(run, i));
    if (n > 0)
        lin_put(run, 1, set);
    lin_out_integer(run, n);
}

static void run_srem(struct lin_run *run)
{
    struct lin_items *set = lin_open_as(run, 1, LIN_SET);
    if (set == NULL)
        return;
    int at = lin_items_find(set, 1, lin_word(run, 2));
    if (at >= 0) {
        lin_items_remove(set, (unsigned)at, 1);
        lin_put(run, 1, set);
    }
    lin_out_integer(run, at >= 0);
}

static void run_sismember(struct lin_run *run)
{
    struct lin_items *set = lin_open_as(run, 1, LIN_SET);
    if (set != NULL)
        lin_out_integer(run, lin_items_find(set, 1, lin_word(run, 2)) >= 0);
}

static void run_scard(struct lin_run *run)
{
    struct lin_items *set = lin_open_as(run, 1, LIN_SET);
    if (set != NULL)
        lin_out_integer(run, set->count);
}

static void run_smembers(struct lin_run *run)
{
    struct lin_items *set = lin_open_as(run, 1, LIN_SET);
    if (set != NULL)
        lin_out_items(run, set);
}

static void run_smove(struct lin_run *run)
{
    if (!lin_exists(run, 1)) {
        lin_out_integer(run, 0);
        return;
    }
    struct lin_items *from = lin_open_as(run, 1, LIN_SET);
    struct lin_items *to = from != NULL ? lin_open_as(run, 2, LIN_SET) : NULL;
    if (to == NULL)
        return;
    int at = lin_items_find(from, 1, lin_word(run, 3));
    if (at >= 0 && lin_key_of(run, 1) != lin_key_of(run, 2)) {
        lin_items_remove(from, (unsigned)at, 1);
        lin_put(run, 1, from);
        if (set_add(to, lin_word(run, 3)))
            lin_put(run, 2, to);
    }
    lin_out_integer(run, at >= 0);
}

/* Any member will do: the one that was seen, if it was seen. */
static void run_spop(struct lin_run *run)
{
    struct lin_items *set = lin_open_as(run, 1, LIN_SET);
    if (set == NULL)
        return;
    if (set->count == 0) {
        lin_out_nil(run);
        return;
    }
    int at = 0;
    if (run->observed != NULL && run->observed->size > 4 && run->observed->data[0] == '$') {
        const char *text = memchr(run->observed->data, '\n', run->observed->size);
        size_t size = run->observed->size - (size_t)(text + 1 - run->observed->data);
        at = text != NULL && size > 2 ? lin_items_find(set, 1, (struct slice){text + 1, size - 2})
                                      : -1;
    }
    lin_out_bulk(run, set->at[at >= 0 ? at : 0]);
    lin_items_remove(set, at >= 0 ? (unsigned)at : 0, 1);
    lin_put(run, 1, set);
}

enum combination { INTERSECTION, UNION, DIFFERENCE };

/* Of the sets at words `from` and `from` + 1; NULL: the error is said. */
static struct lin_items *combine(struct lin_run *run, unsigned from, enum combination how)
{
    struct lin_items *a = lin_open_as(run, from, LIN_SET);
    struct lin_items *b = a != NULL ? lin_open_as(run, from + 1, LIN_SET) : NULL;
    if (b == NULL)
        return NULL;
    if (how == UNION) {
        for (unsigned i = 0; i < b->count; i++)
            (void)set_add(a, b->at[i]);
        return a;
    }
    for (unsigned i = a->count; i-- > 0;)
        if ((lin_items_find(b, 1, a->at[i]) >= 0) != (how == INTERSECTION))
            lin_items_remove(a, i, 1);
    return a;
}

static enum combination how_of(const struct lin_run *run)
{
    char letter = lin_word(run, 0).data[1];
    return letter == 'I' ? INTERSECTION : letter == 'U' ? UNION : DIFFERENCE;
}

static void run_combine(struct lin_run *run)
{
    struct lin_items *set = combine(run, 1, how_of(run));
    if (set != NULL)
        lin_out_items(run, set);
}

static void run_combine_store(struct lin_run *run)
{
    struct lin_items *set = combine(run, 2, how_of(run));
    if (set == NULL)
        return;
    lin_store(run, 1, set);
    lin_out_integer(run, set->count);
}

static void run_sintercard(struct lin_run *run)
{
    struct lin_items *set = combine(run, 2, INTERSECTION);
    if (set != NULL)
        lin_out_integer(run, set->count);
}

static const struct lin_row rows[] = {
    {"SADD $e %m", run_sadd, 5, LIN_ORDERED},
    {"SADD $e %m %m", run_sadd, 3, LIN_ORDERED},
    {"SREM $e %m", run_srem, 5, LIN_ORDERED},
    {"SISMEMBER $e %m", run_sismember, 4, LIN_ORDERED},
    {"SCARD $e", run_scard, 2, LIN_ORDERED},
    {"SMEMBERS $e", run_smembers, 3, LIN_ANY_ORDER},
    {"SPOP $e", run_spop, 2, LIN_ORDERED},
    {"SMOVE $e $e %m", run_smove, 5, LIN_ORDERED},
    {"SINTER $e $e", run_combine, 2, LIN_ANY_ORDER},
    {"SUNION $e $e", run_combine, 2, LIN_ANY_ORDER},
    {"SDIFF $e $e", run_combine, 2, LIN_ANY_ORDER},
    {"SINTERSTORE $e $e $e", run_combine_store, 1, LIN_ORDERED},
    {"SUNIONSTORE $e $e $e", run_combine_store, 2, LIN_ORDERED},
    {"SDIFFSTORE $e $e $e", run_combine_store, 1, LIN_ORDERED},
    {"SINTERCARD 2 $e $e", run_sintercard, 1, LIN_ORDERED},
};

const struct lin_family lin_sets_family = {rows, sizeof rows / sizeof *rows};
