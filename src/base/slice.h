/* slice.h - a view of bytes that somebody else owns. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct slice {
    const char *data; /* not null-terminated; may be NULL when size is 0 */
    size_t size;      /* bytes */
};

#define SLICE(literal) ((struct slice){("" literal), sizeof(literal) - 1})

static inline struct slice slice_of(const char *string)
{
    return (struct slice){string, strlen(string)};
}

static inline bool slice_equal(struct slice a, struct slice b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

/* Equal but for the case of ASCII letters. */
static inline bool slice_equal_nocase(struct slice a, struct slice b)
{
    if (a.size != b.size)
        return false;
    for (size_t i = 0; i < a.size; i++) {
        unsigned char x = (unsigned char)a.data[i], y = (unsigned char)b.data[i];
        if (x != y) {
            if ((x | 32) != (y | 32) || (x | 32) < 'a' || (x | 32) > 'z')
                return false;
        }
    }
    return true;
}
