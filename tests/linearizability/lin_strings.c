/* lin_strings.c - strings, and what is done to keys of any type, in the model. */
#include "linearizability/lin_run.h"

#include "base/check.h"

#include <stdlib.h>

/* ---- strings ---- */

static void run_get(struct lin_run *run)
{
    struct lin_items *old = lin_open_as(run, 1, LIN_STRING);
    if (old != NULL)
        lin_out_string(run, old);
}

static void run_getdel(struct lin_run *run)
{
    run_get(run);
    if (lin_value_type(*lin_slot(run, 1)) == LIN_STRING)
        lin_drop(run, 1);
}

static void run_getset(struct lin_run *run)
{
    struct lin_items *old = lin_open_as(run, 1, LIN_STRING);
    if (old == NULL)
        return;
    lin_out_string(run, old);
    lin_put_text(run, 1, lin_word(run, 2));
}

static void run_set(struct lin_run *run)
{
    if ((lin_says(run, 3, "NX") && lin_exists(run, 1)) ||
        (lin_says(run, 3, "XX") && !lin_exists(run, 1))) {
        lin_out_nil(run);
        return;
    }
    if (lin_says(run, 3, "IFEQ")) {
        struct lin_items *old = lin_open_as(run, 1, LIN_STRING);
        if (old == NULL)
            return;
        if (old->count == 0 || !slice_equal(old->at[0], lin_word(run, 4))) {
            lin_out_nil(run);
            return;
        }
    }
    lin_put_text(run, 1, lin_word(run, 2));
    lin_out_ok(run);
}

static void run_setnx(struct lin_run *run)
{
    bool is_new = !lin_exists(run, 1);
    if (is_new)
        lin_put_text(run, 1, lin_word(run, 2));
    lin_out_integer(run, is_new);
}

static void run_delifeq(struct lin_run *run)
{
    struct lin_items *old = lin_open_as(run, 1, LIN_STRING);
    if (old == NULL)
        return;
    bool equal = old->count != 0 && slice_equal(old->at[0], lin_word(run, 2));
    if (equal)
        lin_drop(run, 1);
    lin_out_integer(run, equal);
}

static void add_to_string(struct lin_run *run, int64_t by)
{
    int64_t n = 0;
    struct lin_items *old = lin_open_as(run, 1, LIN_STRING);
    if (old == NULL)
        return;
    if (old->count != 0 && !lin_number_of(old->at[0], &n)) {
        lin_out(run, "-ERR value is not an integer or out of range\r\n");
    } else if (__builtin_add_overflow(n, by, &n)) {
        lin_out(run, "-ERR increment or decrement would overflow\r\n");
    } else {
        lin_put_text(run, 1, lin_number_text(run, n));
        lin_out_integer(run, n);
    }
}

static void run_incr(struct lin_run *run)
{
    add_to_string(run, 1);
}

static void run_decrby(struct lin_run *run)
{
    add_to_string(run, -lin_sure_number(lin_word(run, 2)));
}

static void run_append(struct lin_run *run)
{
    char text[8192];
    struct lin_items *old = lin_open_as(run, 1, LIN_STRING);
    if (old == NULL)
        return;
    struct slice first = old->count != 0 ? old->at[0] : SLICE(""), more = lin_word(run, 2);
    tu_check(first.size + more.size <= sizeof text, "a string is too long");
    memcpy(text, first.data, first.size);
    memcpy(text + first.size, more.data, more.size);
    lin_put_text(run, 1, (struct slice){text, first.size + more.size});
    lin_out_integer(run, (int64_t)(first.size + more.size));
}

static void run_strlen(struct lin_run *run)
{
    struct lin_items *old = lin_open_as(run, 1, LIN_STRING);
    if (old != NULL)
        lin_out_integer(run, old->count != 0 ? (int64_t)old->at[0].size : 0);
}

static void run_mget(struct lin_run *run)
{
    lin_out_array(run, run->command->count - 1);
    for (unsigned i = 1; i < run->command->count; i++) {
        run->rooms = 0;
        lin_value_items(*lin_slot(run, i), &run->room[0]);
        if (run->room[0].type == LIN_STRING)
            lin_out_bulk(run, run->room[0].at[0]);
        else
            lin_out_nil(run);
    }
}

static void run_mset(struct lin_run *run)
{
    for (unsigned i = 1; i < run->command->count; i += 2)
        lin_put_text(run, i, lin_word(run, i + 1));
    lin_out_ok(run);
}

static void run_msetnx(struct lin_run *run)
{
    bool none = true;
    for (unsigned i = 1; i < run->command->count; i += 2)
        none = none && !lin_exists(run, i);
    for (unsigned i = 1; none && i < run->command->count; i += 2)
        lin_put_text(run, i, lin_word(run, i + 1));
    lin_out_integer(run, none);
}

/* ---- keys of any type ---- */

static void run_del(struct lin_run *run)
{
    int64_t n = 0;
    for (unsigned i = 1; i < run->command->count; i++) {
        n += lin_exists(run, i);
        lin_drop(run, i);
    }
    lin_out_integer(run, n);
}

static void run_exists(struct lin_run *run)
{
    int64_t n = 0;
    for (unsigned i = 1; i < run->command->count; i++)
        n += lin_exists(run, i);
    lin_out_integer(run, n);
}

static void run_type(struct lin_run *run)
{
    lin_out(run, "+%s\r\n", lin_type_name(lin_value_type(*lin_slot(run, 1))));
}

static void assign(struct lin_run *run, unsigned to, const struct lin_value *value)
{
    *lin_slot(run, to) = value;
    run->changed |= (uint8_t)(1u << lin_key_of(run, to));
}

static void rename_to(struct lin_run *run)
{
    const struct lin_value *value = *lin_slot(run, 1);
    lin_drop(run, 1);
    assign(run, 2, value);
}

static void run_rename(struct lin_run *run)
{
    if (!lin_exists(run, 1)) {
        lin_out(run, "-ERR no such key\r\n");
        return;
    }
    if (lin_key_of(run, 1) != lin_key_of(run, 2))
        rename_to(run);
    lin_out_ok(run);
}

static void run_renamenx(struct lin_run *run)
{
    if (!lin_exists(run, 1)) {
        lin_out(run, "-ERR no such key\r\n");
        return;
    }
    bool may = !lin_exists(run, 2);
    if (may)
        rename_to(run);
    lin_out_integer(run, may);
}

static void run_copy(struct lin_run *run)
{
    if (lin_key_of(run, 1) == lin_key_of(run, 2)) {
        lin_out(run, "-ERR source and destination objects are the same\r\n");
        return;
    }
    bool may = lin_exists(run, 1) && (!lin_exists(run, 2) || lin_says(run, 3, "REPLACE"));
    if (may)
        assign(run, 2, *lin_slot(run, 1));
    lin_out_integer(run, may);
}

static void run_flushdb(struct lin_run *run)
{
    for (unsigned k = 0; k < LIN_KEYS; k++) {
        if (run->state->key[k] != NULL)
            run->changed |= (uint8_t)(1u << k);
        run->state->key[k] = NULL;
    }
    lin_out_ok(run);
}

static const struct lin_row rows[] = {
    {"GET $s", run_get, 8, LIN_ORDERED},
    {"SET $s %v", run_set, 6, LIN_ORDERED},
    {"SET $s %v NX", run_set, 2, LIN_ORDERED},
    {"SET $s %v XX", run_set, 1, LIN_ORDERED},
    {"SET $s %v IFEQ %v", run_set, 1, LIN_ORDERED},
    {"GETSET $s %v", run_getset, 3, LIN_ORDERED},
    {"SET $s %v GET", run_getset, 2, LIN_ORDERED},
    {"GETDEL $s", run_getdel, 2, LIN_ORDERED},
    {"SETNX $s %v", run_setnx, 2, LIN_ORDERED},
    {"DELIFEQ $s %v", run_delifeq, 1, LIN_ORDERED},
    {"INCR $s", run_incr, 5, LIN_ORDERED},
    {"DECRBY $s %n", run_decrby, 2, LIN_ORDERED},
    {"APPEND $s %v", run_append, 2, LIN_ORDERED},
    {"STRLEN $s", run_strlen, 1, LIN_ORDERED},
    {"MGET $s $s $s", run_mget, 6, LIN_ORDERED},
    {"MSET $s %v $s %v $s %v", run_mset, 4, LIN_ORDERED},
    {"MSETNX $s %v $s %v", run_msetnx, 2, LIN_ORDERED},
    {"DEL $a", run_del, 3, LIN_ORDERED},
    {"UNLINK $a $a", run_del, 2, LIN_ORDERED},
    {"EXISTS $a $a $a", run_exists, 3, LIN_ORDERED},
    {"TYPE $a", run_type, 1, LIN_ORDERED},
    {"RENAME $a $a", run_rename, 2, LIN_ORDERED},
    {"RENAMENX $a $a", run_renamenx, 2, LIN_ORDERED},
    {"COPY $a $a", run_copy, 1, LIN_ORDERED},
    {"COPY $a $a REPLACE", run_copy, 2, LIN_ORDERED},
    {"FLUSHDB", run_flushdb, 1, LIN_ORDERED},
};

const struct lin_family lin_strings_family = {rows, sizeof rows / sizeof *rows};
