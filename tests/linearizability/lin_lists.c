/* lin_lists.c - lists in the model. */
#include "linearizability/lin_run.h"

#include "base/check.h"

#include <stdlib.h>

/* ---- lists ---- */

static void push(struct lin_run *run, bool left)
{
    struct lin_items *list = lin_open_as(run, 1, LIN_LIST);
    if (list == NULL)
        return;
    for (unsigned i = 2; i < run->command->count; i++)
        lin_items_insert(list, left ? 0 : list->count, lin_word(run, i));
    lin_put(run, 1, list);
    lin_out_integer(run, list->count);
}

static void run_lpush(struct lin_run *run)
{
    push(run, true);
}

static void run_rpush(struct lin_run *run)
{
    push(run, false);
}

static void run_lpushx(struct lin_run *run)
{
    if (lin_exists(run, 1))
        push(run, true);
    else
        lin_out_integer(run, 0);
}

static struct slice take(struct lin_items *list, bool left)
{
    unsigned at = left ? 0 : list->count - 1;
    struct slice text = list->at[at];
    lin_items_remove(list, at, 1);
    return text;
}

static void pop(struct lin_run *run, bool left)
{
    struct lin_items *list = lin_open_as(run, 1, LIN_LIST);
    if (list == NULL)
        return;
    if (list->count == 0) {
        lin_out_nil(run);
        return;
    }
    lin_out_bulk(run, take(list, left));
    lin_put(run, 1, list);
}

static void run_lpop(struct lin_run *run)
{
    pop(run, true);
}

static void run_rpop(struct lin_run *run)
{
    pop(run, false);
}

static void run_llen(struct lin_run *run)
{
    struct lin_items *list = lin_open_as(run, 1, LIN_LIST);
    if (list != NULL)
        lin_out_integer(run, list->count);
}

static void run_lrange(struct lin_run *run)
{
    struct lin_items *list = lin_open_as(run, 1, LIN_LIST);
    if (list != NULL)
        lin_out_items(run, list);
}

static void run_lindex(struct lin_run *run)
{
    struct lin_items *list = lin_open_as(run, 1, LIN_LIST);
    if (list != NULL)
        lin_out_string(run, list);
}

static void run_lrem(struct lin_run *run)
{
    struct lin_items *list = lin_open_as(run, 1, LIN_LIST);
    if (list == NULL)
        return;
    int at = lin_items_find(list, 1, lin_word(run, 3));
    if (at >= 0) {
        lin_items_remove(list, (unsigned)at, 1);
        lin_put(run, 1, list);
    }
    lin_out_integer(run, at >= 0);
}

/* What waits and is not served has found nothing when it began; what is served, when somebody put something there: so it
 * takes effect as its sister that does not wait does, at some moment between. */
static void wait_pop(struct lin_run *run, unsigned first, unsigned end, bool left, bool many)
{
    for (unsigned i = first; i < end; i++) {
        struct lin_items *list = lin_open_as(run, i, LIN_LIST);
        if (list == NULL)
            return;
        if (list->count == 0)
            continue;
        lin_out_array(run, 2);
        lin_out_bulk(run, lin_word(run, i));
        if (many)
            lin_out_array(run, 1);
        lin_out_bulk(run, take(list, left));
        lin_put(run, i, list);
        return;
    }
    lin_out_no_array(run);
}

static void run_blpop(struct lin_run *run)
{
    wait_pop(run, 1, run->command->count - 1, true, false);
}

static void run_brpop(struct lin_run *run)
{
    wait_pop(run, 1, run->command->count - 1, false, false);
}

static void run_blmpop(struct lin_run *run)
{
    wait_pop(run, 3, 5, lin_says(run, 5, "LEFT"), true);
}

/* LMOVE, RPOPLPUSH: from, to at words 1 and 2. */
static void list_move(struct lin_run *run, bool from_left, bool to_left)
{
    struct lin_items *from = lin_open_as(run, 1, LIN_LIST);
    if (from == NULL)
        return;
    if (from->count == 0) {
        /* BLMOVE gives the one where it waits, the other in a transaction. */
        if (run->observed && slice_equal(*run->observed, SLICE("*-1\r\n")))
            lin_out_no_array(run);
        else
            lin_out_nil(run);
        return;
    }
    struct lin_items *to =
        lin_key_of(run, 1) == lin_key_of(run, 2) ? from : lin_open_as(run, 2, LIN_LIST);
    if (to == NULL)
        return;
    struct slice text = take(from, from_left);
    lin_items_insert(to, to_left ? 0 : to->count, text);
    lin_put(run, 1, from);
    lin_put(run, 2, to);
    lin_out_bulk(run, text);
}

static void run_lmove(struct lin_run *run)
{
    list_move(run, lin_says(run, 3, "LEFT"), lin_says(run, 4, "LEFT"));
}

static void run_rpoplpush(struct lin_run *run)
{
    list_move(run, false, true);
}

static void run_lmpop(struct lin_run *run)
{
    wait_pop(run, 2, 4, lin_says(run, 4, "LEFT"), true);
}

static void run_sort_store(struct lin_run *run)
{
    enum lin_type type = lin_value_type(*lin_slot(run, 1));
    bool sorted = type == LIN_SET || type == LIN_ZSET;
    struct lin_items *list = lin_open_as(run, 1, sorted ? type : LIN_LIST);
    if (list == NULL)
        return;
    for (unsigned i = 1; type == LIN_ZSET && i < list->count; i++)
        lin_items_remove(list, i, 1); /* the scores */
    list->type = LIN_LIST;
    lin_items_sort(list, 1);
    lin_store(run, 4, list);
    lin_out_integer(run, list->count);
}

static const struct lin_row rows[] = {
    {"LPUSH $l %v", run_lpush, 5, LIN_ORDERED},
    {"RPUSH $l %v %v", run_rpush, 4, LIN_ORDERED},
    {"LPUSHX $l %v", run_lpushx, 1, LIN_ORDERED},
    {"LPOP $l", run_lpop, 7, LIN_ORDERED},
    {"RPOP $l", run_rpop, 6, LIN_ORDERED},
    {"LLEN $l", run_llen, 2, LIN_ORDERED},
    {"LRANGE $l 0 -1", run_lrange, 4, LIN_ORDERED},
    {"LINDEX $l 0", run_lindex, 2, LIN_ORDERED},
    {"LREM $l 1 %v", run_lrem, 1, LIN_ORDERED},
    {"LMOVE $l $l LEFT RIGHT", run_lmove, 4, LIN_ORDERED},
    {"LMOVE $l $l RIGHT RIGHT", run_lmove, 2, LIN_ORDERED},
    {"RPOPLPUSH $l $l", run_rpoplpush, 2, LIN_ORDERED},
    {"LMPOP 2 $l $l LEFT", run_lmpop, 3, LIN_ORDERED},
    {"BLPOP $l 0.002", run_blpop, 3, LIN_ORDERED},
    {"BRPOP $l $l 0.003", run_brpop, 2, LIN_ORDERED},
    {"BLMPOP 0.002 2 $l $l LEFT", run_blmpop, 2, LIN_ORDERED},
    {"BLMOVE $l $l LEFT RIGHT 0.002", run_lmove, 3, LIN_ORDERED},
    {"BRPOPLPUSH $l $l 0.003", run_rpoplpush, 2, LIN_ORDERED},
    {"SORT $l ALPHA STORE $l", run_sort_store, 1, LIN_ORDERED},
};

const struct lin_family lin_lists_family = {rows, sizeof rows / sizeof *rows};
