/* lin_value.h - the values of the model: a type and a sequence of short texts.
 *
 * A string is one text, a list its elements, a set its members in order, a hash field and value in order of fields, a sorted
 * set member and score in order of score, a stream the last sequence number and then number and value of each entry. Values
 * are interned in a pool: equal values are one pointer, so a state of all keys is a few pointers, cheap to compare and hash.
 * A pool belongs to one thread.
 */
#pragma once

#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>

enum lin_type { LIN_NONE, LIN_STRING, LIN_LIST, LIN_SET, LIN_HASH, LIN_ZSET, LIN_STREAM };
const char *lin_type_name(enum lin_type type);

struct lin_value;
struct lin_pool;

enum { LIN_ITEMS_MAX = 1200 };
/* A value laid out to be looked at and changed; the texts belong to the pool, or to whoever put them in. */
struct lin_items {
    enum lin_type type;
    unsigned count;
    struct slice at[LIN_ITEMS_MAX];
};

struct lin_pool *lin_pool_new(void);
void lin_pool_free(struct lin_pool *pool);
/* Forgets all values. */
void lin_pool_clear(struct lin_pool *pool);
/* The one value that is equal to the items; NULL, a missing key, for none at all. Lives as long as the pool. */
const struct lin_value *lin_pool_value(struct lin_pool *pool, const struct lin_items *items);

enum lin_type lin_value_type(const struct lin_value *value); /* LIN_NONE for NULL */
void lin_value_items(const struct lin_value *value, struct lin_items *out);

/* ---- items ---- */

void lin_items_insert(struct lin_items *items, unsigned at, struct slice text);
void lin_items_remove(struct lin_items *items, unsigned at, unsigned count);
/* The position of the text among every `each`-th item, from 0; -1: not there. */
int lin_items_find(const struct lin_items *items, unsigned each, struct slice text);
int lin_text_compare(struct slice a, struct slice b);
/* Puts groups of `each` items in order of their first texts. */
void lin_items_sort(struct lin_items *items, unsigned each);
