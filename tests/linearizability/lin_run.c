/* lin_run.c - what the commands of the model have in common: replies in, values out. */
#include "linearizability/lin_run.h"

#include "base/check.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- replies ---- */

void lin_out(struct lin_run *run, const char *format, ...)
{
    struct lin_reply *r = run->reply;
    va_list list;
    va_start(list, format);
    int size = vsnprintf(r->bytes + r->size, sizeof r->bytes - r->size, format, list);
    va_end(list);
    tu_check(size >= 0 && r->size + (size_t)size < sizeof r->bytes, "a reply is too long");
    r->size += (size_t)size;
}

void lin_out_integer(struct lin_run *run, int64_t n)
{
    lin_out(run, ":%" PRId64 "\r\n", n);
}

void lin_out_bulk(struct lin_run *run, struct slice text)
{
    lin_out(run, "$%zu\r\n%.*s\r\n", text.size, (int)text.size, text.data);
}

void lin_out_array(struct lin_run *run, size_t count)
{
    lin_out(run, "*%zu\r\n", count);
}

void lin_out_nil(struct lin_run *run)
{
    lin_out(run, "$-1\r\n");
}

void lin_out_no_array(struct lin_run *run)
{
    lin_out(run, "*-1\r\n");
}

void lin_out_ok(struct lin_run *run)
{
    lin_out(run, "+OK\r\n");
}

void lin_out_items(struct lin_run *run, const struct lin_items *items)
{
    lin_out_array(run, items->count);
    for (unsigned i = 0; i < items->count; i++)
        lin_out_bulk(run, items->at[i]);
}

/* ---- values ---- */

struct slice lin_word(const struct lin_run *run, unsigned at)
{
    return run->command->word[at];
}

bool lin_says(const struct lin_run *run, unsigned at, const char *text)
{
    return at < run->command->count && slice_equal(lin_word(run, at), slice_of(text));
}

unsigned lin_key_of(const struct lin_run *run, unsigned at)
{
    tu_check(run->command->key_at[at] >= 0, "that word is no key");
    return (unsigned)run->command->key_at[at];
}

const struct lin_value **lin_slot(struct lin_run *run, unsigned at)
{
    return &run->state->key[lin_key_of(run, at)];
}

bool lin_exists(struct lin_run *run, unsigned at)
{
    return *lin_slot(run, at) != NULL;
}

/* The value of the key, empty if it is missing; NULL, and the error said, if it is of another type. */
struct lin_items *lin_open_as(struct lin_run *run, unsigned at, enum lin_type type)
{
    struct lin_items *items = &run->room[run->rooms++];
    lin_value_items(*lin_slot(run, at), items);
    if (items->type != LIN_NONE && items->type != type) {
        lin_out(run, "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n");
        return NULL;
    }
    items->type = type;
    return items;
}

void lin_put(struct lin_run *run, unsigned at, const struct lin_items *items)
{
    *lin_slot(run, at) = lin_pool_value(run->pool, items);
    run->changed |= (uint8_t)(1u << lin_key_of(run, at));
}

void lin_drop(struct lin_run *run, unsigned at)
{
    if (lin_exists(run, at))
        run->changed |= (uint8_t)(1u << lin_key_of(run, at));
    *lin_slot(run, at) = NULL;
}

void lin_put_text(struct lin_run *run, unsigned at, struct slice text)
{
    struct lin_items *one = &run->room[run->rooms]; /* until the next is opened */
    one->type = LIN_STRING;
    one->count = 1;
    one->at[0] = text;
    lin_put(run, at, one);
}

struct slice lin_number_text(struct lin_run *run, int64_t n)
{
    tu_check(run->texts < 32, "too many numbers in one command");
    char *text = run->text[run->texts++];
    return (struct slice){text, (size_t)snprintf(text, sizeof run->text[0], "%" PRId64, n)};
}

/* As a string must be written to count as a number: "0", or digits without a zero in front. */
bool lin_number_of(struct slice text, int64_t *n)
{
    char copy[24], again[24];
    if (text.size == 0 || text.size >= sizeof copy)
        return false;
    memcpy(copy, text.data, text.size);
    copy[text.size] = '\0';
    *n = strtoll(copy, NULL, 10);
    (void)snprintf(again, sizeof again, "%" PRId64, *n);
    return strcmp(copy, again) == 0;
}

int64_t lin_sure_number(struct slice text)
{
    int64_t n = 0;
    tu_check(lin_number_of(text, &n), "not a number");
    return n;
}

void lin_out_string(struct lin_run *run, const struct lin_items *string)
{
    if (string->count == 0)
        lin_out_nil(run);
    else
        lin_out_bulk(run, string->at[0]);
}

void lin_out_field(struct lin_run *run, const struct lin_items *hash, struct slice field)
{
    int at = lin_items_find(hash, 2, field);
    if (at >= 0)
        lin_out_bulk(run, hash->at[at + 1]);
    else
        lin_out_nil(run);
}

/* A result that replaces whatever was there, or nothing, which removes it. */
void lin_store(struct lin_run *run, unsigned at, const struct lin_items *items)
{
    if (items->count == 0)
        lin_drop(run, at);
    else
        lin_put(run, at, items);
}
