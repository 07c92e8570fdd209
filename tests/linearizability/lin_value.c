/* lin_value.c - interned values: a hash table of byte strings in one chain a bucket. */
#include "linearizability/lin_value.h"

#include "base/check.h"

#include <stdlib.h>

struct lin_value {
    struct lin_value *next; /* in its bucket */
    uint64_t hash;
    enum lin_type type;
    unsigned count;
    size_t size;
    unsigned char bytes[]; /* each item: two bytes of size, itself */
};

enum { BUCKETS = 1 << 14, PACKED_MAX = 1 << 16 };

struct lin_pool {
    struct lin_value *bucket[BUCKETS];
    unsigned char packed[PACKED_MAX];
};

const char *lin_type_name(enum lin_type type)
{
    static const char *const names[] = {"none", "string", "list", "set", "hash", "zset", "stream"};
    return names[type];
}

struct lin_pool *lin_pool_new(void)
{
    struct lin_pool *pool = calloc(1, sizeof *pool);
    tu_check(pool != NULL, "no memory for a pool of values");
    return pool;
}

void lin_pool_clear(struct lin_pool *pool)
{
    for (unsigned i = 0; i < BUCKETS; i++) {
        while (pool->bucket[i] != NULL) {
            struct lin_value *value = pool->bucket[i];
            pool->bucket[i] = value->next;
            free(value);
        }
    }
}

void lin_pool_free(struct lin_pool *pool)
{
    lin_pool_clear(pool);
    free(pool);
}

const struct lin_value *lin_pool_value(struct lin_pool *pool, const struct lin_items *items)
{
    uint64_t hash = 0x9e3779b97f4a7c15u ^ items->type;
    size_t size = 0;
    if (items->count == 0)
        return NULL;
    for (unsigned i = 0; i < items->count; i++) {
        struct slice text = items->at[i];
        tu_check(text.size < 65536 && size + text.size + 2 <= PACKED_MAX, "a value is too long");
        pool->packed[size++] = (unsigned char)(text.size & 255);
        pool->packed[size++] = (unsigned char)(text.size >> 8);
        memcpy(pool->packed + size, text.data, text.size);
        size += text.size;
    }
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ pool->packed[i]) * 0x100000001b3u;
    struct lin_value **at = &pool->bucket[(hash ^ hash >> 29) % BUCKETS];
    for (struct lin_value *v = *at; v != NULL; v = v->next)
        if (v->hash == hash && v->type == items->type && v->size == size &&
            memcmp(v->bytes, pool->packed, size) == 0)
            return v;
    struct lin_value *value = malloc(sizeof *value + size);
    tu_check(value != NULL, "no memory for a value");
    *value = (struct lin_value){*at, hash, items->type, items->count, size};
    memcpy(value->bytes, pool->packed, size);
    *at = value;
    return value;
}

enum lin_type lin_value_type(const struct lin_value *value)
{
    return value != NULL ? value->type : LIN_NONE;
}

void lin_value_items(const struct lin_value *value, struct lin_items *out)
{
    out->type = lin_value_type(value);
    out->count = 0;
    const unsigned char *at = value != NULL ? value->bytes : NULL;
    for (unsigned i = 0; value != NULL && i < value->count; i++) {
        size_t size = at[0] | (size_t)at[1] << 8;
        out->at[out->count++] = (struct slice){(const char *)at + 2, size};
        at += 2 + size;
    }
}

void lin_items_insert(struct lin_items *items, unsigned at, struct slice text)
{
    tu_check(items->count < LIN_ITEMS_MAX, "a value has too many elements");
    memmove(items->at + at + 1, items->at + at, (items->count - at) * sizeof *items->at);
    items->at[at] = text;
    items->count++;
}

void lin_items_remove(struct lin_items *items, unsigned at, unsigned count)
{
    items->count -= count;
    memmove(items->at + at, items->at + at + count, (items->count - at) * sizeof *items->at);
}

int lin_items_find(const struct lin_items *items, unsigned each, struct slice text)
{
    for (unsigned i = 0; i < items->count; i += each)
        if (slice_equal(items->at[i], text))
            return (int)i;
    return -1;
}

int lin_text_compare(struct slice a, struct slice b)
{
    size_t size = a.size < b.size ? a.size : b.size;
    int order = memcmp(a.data, b.data, size);
    return order != 0 ? order : (a.size > b.size) - (a.size < b.size);
}

static int compare_first(const void *a, const void *b)
{
    return lin_text_compare(*(const struct slice *)a, *(const struct slice *)b);
}

void lin_items_sort(struct lin_items *items, unsigned each)
{
    qsort(items->at, items->count / each, each * sizeof *items->at, compare_first);
}
