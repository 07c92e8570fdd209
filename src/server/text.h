/* text.h - text that is being put together in memory: lines of CLIENT LIST, help, log lines.
 *
 *     struct text t = {0};
 *     text_addf(&t, "id=%llu", id);
 *     if (!text_failed(&t)) use(text_slice(&t));
 *     text_release(&t);
 *
 * Zero is empty. After memory was used up it stays as it is, and text_failed says so. Never parks.
 */
#pragma once

#include "base/slice.h"

#include <stdbool.h>
#include <stddef.h>

struct text {
    char *data; /* null-terminated when not NULL; owned */
    size_t size, capacity;
    bool failed;
};

void text_add(struct text *t, struct slice bytes);
void text_addf(struct text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
void text_release(struct text *t);
static inline struct slice text_slice(const struct text *t)
{
    return (struct slice){t->data, t->size};
}
static inline bool text_failed(const struct text *t)
{
    return t->failed;
}
