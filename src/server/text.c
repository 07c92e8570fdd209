/* text.c - a buffer that doubles. */
#include "server/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <tuco/mem.h>

static bool reserve(struct text *t, size_t more)
{
    if (t->failed)
        return false;
    if (t->capacity - t->size > more)
        return true;
    size_t capacity = t->capacity < 128 ? 256 : t->capacity * 2;
    if (capacity - t->size <= more)
        capacity = t->size + more + 1;
    char *data = tu_realloc(t->data, capacity);
    if (!data) {
        t->failed = true;
        return false;
    }
    t->data = data;
    t->capacity = capacity;
    return true;
}

void text_add(struct text *t, struct slice bytes)
{
    if (!reserve(t, bytes.size))
        return;
    if (bytes.size > 0)
        memcpy(t->data + t->size, bytes.data, bytes.size);
    t->size += bytes.size;
    t->data[t->size] = '\0';
}

void text_addf(struct text *t, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    int size = vsnprintf(NULL, 0, format, list);
    va_end(list);
    if (size < 0 || !reserve(t, (size_t)size))
        return;
    va_start(list, format);
    vsnprintf(t->data + t->size, (size_t)size + 1, format, list);
    va_end(list);
    t->size += (size_t)size;
}

void text_release(struct text *t)
{
    tu_free(t->data);
    *t = (struct text){0};
}
